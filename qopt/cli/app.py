"""The command line: its commands, a file each, and what a failure says.

Exit codes: 0 a plan was found (proved or not: the output says which), 1 proved infeasible, 2 bad input,
3 no plan that keeps the limits, and no proof that there is none; 70 an error of qopt's own, 130 interrupted.
"""

from __future__ import annotations

import os
import sys

import typer

from qopt.cli.check import check
from qopt.cli.common import ExitCode
from qopt.cli.compare import compare
from qopt.cli.instances import instances
from qopt.cli.measure import measure
from qopt.cli.methods import methods
from qopt.cli.pack import pack
from qopt.cli.profile import profile
from qopt.cli.solve import solve
from qopt.core.errors import QoptError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Models, bit-widths, cuts, tiers and servers for neural networks at the edge, solved exactly and proved.",
    epilog="Exit codes: 0 a plan was found, 1 proved infeasible, 2 bad input, 3 no plan within the limits.",
)

for command in (solve, check, compare, instances, methods, profile, measure, pack):  # in the order of the help
    app.command()(command)


def main(arguments: list[str] | None = None) -> int:
    """Entry point: run a command, say what is wrong in one line, and return the exit code."""
    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
    except QoptError as error:
        print(f"qopt: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except typer.Exit as stop:
        code = int(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("qopt: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader of our output has left (typer and rich then exit); nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return ExitCode.FOUND
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is None:
            if os.environ.get("QOPT_DEBUG"):
                raise
            print(f"qopt: internal error, {type(error).__name__}: {error} (QOPT_DEBUG=1 shows where)", file=sys.stderr)
            return ExitCode.INTERNAL
        print(f"qopt: {' '.join(usage().split())}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    if code == ExitCode.INTERRUPTED:  # typer turns Ctrl-C into an exit code, and says nothing
        print("qopt: interrupted", file=sys.stderr)
    return int(code or ExitCode.FOUND)


def run() -> None:
    """Console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()

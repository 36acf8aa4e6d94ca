"""The command line: its commands, a file each, and what a failure says.

Exit codes: 0 a plan was found (proved or not: the output says which), 1 proved infeasible, 2 bad input,
3 no plan that keeps the limits, and no proof that there is none; 70 an error of qopt's own, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from qopt import __version__
from qopt.cli.advice import recommend, strategies
from qopt.cli.audit import audit
from qopt.cli.breakpoints import breakpoints
from qopt.cli.check import check
from qopt.cli.common import ExitCode
from qopt.cli.compare import compare
from qopt.cli.exit import exit
from qopt.cli.explain import explain
from qopt.cli.export import export
from qopt.cli.finetune import finetune
from qopt.cli.forecast import forecast
from qopt.cli.front import front
from qopt.cli.generate import generate
from qopt.cli.instances import instances
from qopt.cli.latency import latency
from qopt.cli.measure import measure
from qopt.cli.methods import methods
from qopt.cli.new import new
from qopt.cli.pack import pack
from qopt.cli.place import place
from qopt.cli.profile import profile
from qopt.cli.quantize import quantize
from qopt.cli.replan import replan
from qopt.cli.report import report
from qopt.cli.run_part import run_part
from qopt.cli.schemes import schemes
from qopt.cli.simulate import simulate
from qopt.cli.solve import solve
from qopt.cli.solvers import solvers
from qopt.cli.split import split
from qopt.core.errors import QoptError

app = typer.Typer(
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Models, bit-widths, cuts, tiers and servers for neural networks at the edge, solved exactly and proved.",
    epilog="Exit codes: 0 a plan was found, 1 proved infeasible, 2 bad input, 3 no plan within the limits.",
)

COMMANDS: dict[str, tuple[Callable[..., int], ...]] = {
    "Solve": (solve, replan, place, recommend),
    "Understand": (check, explain, breakpoints, front, report),
    "Bring in": (new, generate, profile, measure, finetune, forecast, exit, quantize),
    "Take out": (export, pack, split, run_part),
    "Compare": (compare, audit, schemes, strategies, simulate, latency),
    "Library": (instances, methods, solvers),
}
"""By what they are for, in the order of the help."""

for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)


def show_version(asked: bool) -> None:
    """Print the version and leave."""
    if asked:
        print(f"qopt {__version__}")
        raise typer.Exit(ExitCode.FOUND)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What the command line takes before a command; the help of all commands stands at `app`."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point: run a command, say what is wrong in one line, and return the exit code."""
    try:
        code = app(arguments, prog_name="qopt", standalone_mode=False)
        sys.stdout.flush()
    except QoptError as error:
        return fail(str(error))
    except typer.Exit as stop:
        code = int(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return fail("interrupted", ExitCode.INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # the reader of our output has left; typer and rich then exit
        drop_output()
        return ExitCode.FOUND
    except OSError as error:
        drop_output()
        return fail(f"{error.filename or 'the output cannot be written'}: {error.strerror or error}")
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is not None:
            return fail(usage())
        if os.environ.get("QOPT_DEBUG"):
            raise
        return fail(f"internal error, {type(error).__name__}: {error} (QOPT_DEBUG=1 shows where)", ExitCode.INTERNAL)
    if code == ExitCode.INTERRUPTED:  # typer turns Ctrl-C into an exit code, and says nothing
        return fail("interrupted", ExitCode.INTERRUPTED)
    return int(code or ExitCode.FOUND)


def fail(reason: str, code: int = ExitCode.BAD_INPUT) -> int:
    """Say what is wrong, in one line on standard error, and give the exit code."""
    print(f"qopt: {' '.join(reason.split())}", file=sys.stderr)
    return code


def drop_output() -> None:
    """Let what was not written go: Python would try again, and complain, as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)

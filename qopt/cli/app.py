"""The command line: qopt solve, check, compare, instances, methods; those that need torch are in `cli_measure`.

Exit codes: 0 a plan was found (proved or not: the output says which), 1 proved infeasible, 2 bad input,
3 no plan that keeps the limits, and no proof that there is none; 70 an error of qopt's own.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from qopt.cli import measure as cli_measure
from qopt.core.errors import InputError, QoptError

FOUND, INFEASIBLE, BAD_INPUT, NO_PLAN, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 70, 130

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Models, bit-widths, cuts, tiers and servers for neural networks at the edge, solved exactly and proved.",
    epilog="Exit codes: 0 a plan was found, 1 proved infeasible, 2 bad input, 3 no plan within the limits.",
)

Instance = Annotated[str, typer.Argument(help="A bundled name (see `qopt instances`) or the path of an instance file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field first, e.g. --set channel.rate=1e6. Repeatable."),
]
Cut = Annotated[int | None, typer.Option(help="Allow this cut only.")]
Level = Annotated[float | None, typer.Option(help="Accuracy level, e.g. 0.01 for one point.")]


def _problem(instance: str, changes: list[str] | None, cut: int | None = None, level: float | None = None) -> Any:
    from qopt.core.reading import load

    problem = load(instance)
    fields: dict[str, Any] = {}
    for change in changes or []:
        name, equals, text = change.partition("=")
        if not equals or not name:
            raise InputError("--set", repr(change), "FIELD=VALUE")
        if name in fields:
            raise InputError("--set", f"{name} twice", "each field once")
        try:
            fields[name] = json.loads(text)
        except (ValueError, RecursionError):
            fields[name] = text
    for option, name, value in (("--cut", "cuts", None if cut is None else [cut]), ("--level", "level", level)):
        if value is not None and name not in type(problem).model_fields:
            family = problem.format.removeprefix("qopt/")
            raise InputError(option, str(cut if name == "cuts" else value), f"nothing: a {family} has no {option[2:]}")
        if value is not None and name in fields:
            raise InputError(option, f"{option} beside --set {name}", "one or the other")
        if value is not None:
            fields[name] = value
    return problem.replace(fields) if fields else problem


def _exit_code(found: bool, infeasible: bool) -> int:
    """0 for a plan that keeps every limit, 1 where it is proved that there is none, else 3."""
    return FOUND if found else INFEASIBLE if infeasible else NO_PLAN


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=1, allow_nan=False))


@app.command()
def solve(
    instance: Instance,
    method: Annotated[str, typer.Option(help="A name from `qopt methods`, or auto.")] = "auto",
    bits: Annotated[str | None, typer.Option(help="whole or real; a named method implies it.")] = None,
    solver: Annotated[str | None, typer.Option(help="Back end, for methods that offer a choice.")] = None,
    formulation: Annotated[str | None, typer.Option(help="Model, for methods that offer a choice.")] = None,
    gap: Annotated[float | None, typer.Option(help="Relative gap allowed, for methods with a guarantee.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of wall time.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the solver.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the solver.")] = None,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    save_plan: Annotated[Path | None, typer.Option(help="Write the plan to this file.")] = None,
    as_json: AsJson = False,
) -> int:
    """Solve a request and certify the answer."""
    from qopt.core.solving import solve as run

    problem = _problem(instance, change, cut, level)
    solution = run(
        problem,
        method,
        bits=bits,
        solver=solver,
        formulation=formulation,
        gap=gap,
        time_limit=time_limit,
        threads=threads,
        seed=seed,
    )
    if save_plan is not None and solution.plan is not None:
        from qopt.core.plan import save_plan as write

        write(solution.plan, save_plan)
    if as_json:
        _print_json(solution.to_dict())
    else:
        from qopt.core.report import console, solution_report

        console().print(solution_report(problem, solution))
    return _exit_code(solution.plan is not None and solution.certificate.feasible, solution.certificate.infeasible)


@app.command()
def check(
    instance: Instance,
    plan: Annotated[Path, typer.Argument(help="A plan file, or the output of `qopt solve --json`.")],
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    as_json: AsJson = False,
) -> int:
    """Certify a plan, or the claim that there is none, from the instance and the file alone.

    Exit code 1 if the plan is not feasible, or if it is proved that there is none.
    """
    from qopt.core.plan import read_answer
    from qopt.core.solving import certify

    problem = _problem(instance, change, cut, level)
    decision, witness = read_answer(plan, problem)
    certificate = certify(problem, decision, witness)
    if decision is not None and decision.problem not in ("", problem.name):
        note = f"the plan was made for {decision.problem}, this is {problem.name}"
        certificate = replace(certificate, notes=(*certificate.notes, note))
    if as_json:
        _print_json(certificate.to_dict())
    else:
        from qopt.core.report import certificate_table, console

        console().print(certificate_table(problem, certificate))
    if decision is None:
        return _exit_code(False, certificate.infeasible)
    return FOUND if certificate.feasible else INFEASIBLE


@app.command()
def compare(
    instances: Annotated[list[str], typer.Argument(help="Bundled names or paths.")],
    methods: Annotated[str | None, typer.Option(help="Names separated by commas; default all.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for each method that takes a limit.")] = None,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    as_json: AsJson = False,
) -> int:
    """Solve instances with several methods and compare the certified answers."""
    from qopt.comparison.tables import rows

    problems = [_problem(instance, change, cut, level) for instance in instances]
    names = None if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    records = rows(problems, names, time_limit=time_limit)
    if as_json:
        _print_json(records)
    else:
        from qopt.core.report import comparison_table, console

        console().print(comparison_table(records))
    return _exit_code(any(r["verified"] for r in records), any(r["status"] == "infeasible" for r in records))


@app.command()
def instances(
    family: Annotated[str | None, typer.Option(help="Only qpart, placement or jqodi.")] = None,
    as_json: AsJson = False,
) -> int:
    """List the bundled instances."""
    from qopt.core.families import family_named
    from qopt.core.reading import bundled, load

    records: list[dict[str, Any]] = []
    folder = "" if family is None else f"{family_named(family).name}/"
    for name in (name for name in bundled() if name.startswith(folder)):
        problem = load(name)
        known = (problem.best_known or {}).get("objective")
        about = problem.description.split(". ")[0].rstrip(".")
        records.append({"name": name, "layers": problem.layers, "best_known": known, "about": about})
    if as_json:
        _print_json(records)
        return FOUND
    from rich.table import Table

    from qopt.core.report import console, number

    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("instance", no_wrap=True)
    table.add_column("layers", justify="right")
    table.add_column("best known", justify="right")
    table.add_column("about")
    for r in records:
        table.add_row(r["name"], str(r["layers"]), number(r["best_known"]), r["about"])
    console().print(table)
    return FOUND


@app.command()
def methods(
    instance: Annotated[str | None, typer.Argument(help="Say which can solve this one.")] = None,
    family: Annotated[str, typer.Option(help="Without an instance: qpart, placement or jqodi.")] = "qpart",
    as_json: AsJson = False,
) -> int:
    """List the methods, what each proves, and why one cannot be used."""
    from qopt.core.solving import methods as listed

    records = listed(instance, family=family)
    if as_json:
        _print_json(records)
        return FOUND
    from rich.table import Table

    from qopt.core.report import console

    table = Table(header_style="bold", box=None, pad_edge=False)
    bits = any(r["bits"] for r in records)
    for heading in ("method", *(("bits",) if bits else ()), "proves", "how", "solvers", "usable"):
        table.add_column(heading)
    for r in records:
        solvers = ", ".join(name if why is None else f"{name} ({why})" for name, why in r["solvers"].items())
        table.add_row(
            r["name"], *([r["bits"]] if bits else []), r["proves"], r["summary"], solvers, r["reason"] or "yes"
        )
    console().print(table)
    return FOUND


app.add_typer(cli_measure.app)


def main(arguments: list[str] | None = None) -> int:
    """Entry point: run a command, say what is wrong in one line, and return the exit code."""
    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
    except QoptError as error:
        print(f"qopt: {error}", file=sys.stderr)
        return BAD_INPUT
    except typer.Exit as stop:
        code = int(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("qopt: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader of our output has left (typer and rich then exit); nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return FOUND
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is None:
            if os.environ.get("QOPT_DEBUG"):
                raise
            print(f"qopt: internal error, {type(error).__name__}: {error} (QOPT_DEBUG=1 shows where)", file=sys.stderr)
            return INTERNAL
        print(f"qopt: {' '.join(usage().split())}", file=sys.stderr)
        return BAD_INPUT
    if code == INTERRUPTED:  # typer turns Ctrl-C into an exit code, and says nothing
        print("qopt: interrupted", file=sys.stderr)
    return int(code or FOUND)


def run() -> None:
    """Console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()

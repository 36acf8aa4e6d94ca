"""`qopt solve`: solve a request and certify the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, Changes, Cut, Instance, Level, method_names, read_problem, told
from qopt.core.errors import InputError


def solve(
    instance: Instance,
    method: Annotated[
        str, typer.Option(help="A name from `qopt methods`, or auto.", autocompletion=method_names)
    ] = "auto",
    bits: Annotated[str | None, typer.Option(help="whole or real; a named method implies it.")] = None,
    solver: Annotated[str | None, typer.Option(help="Back end, for methods that offer a choice.")] = None,
    formulation: Annotated[str | None, typer.Option(help="Model, for methods that offer a choice.")] = None,
    gap: Annotated[float | None, typer.Option(help="Relative gap allowed, for methods with a guarantee.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of wall time, for plan and proof together.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the solver.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the solver.")] = None,
    start: Annotated[Path | None, typer.Option(help="Begin with the plan in this file, for methods that can.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the solver's log, on standard error.")] = False,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    save_plan: Annotated[Path | None, typer.Option(help="Write the plan to this file.")] = None,
    as_json: AsJson = False,
) -> int:
    """Solve a request and certify the answer.

    Example: qopt solve qpart/mnist-mlp6 --set channel.rate=1e6
    """
    from qopt.core.solving import solve as run

    problem = read_problem(instance, change, cut, level)
    begin = None
    if start is not None:
        from qopt.core.plan import read_answer

        begin = read_answer(start, problem)[0]
        if begin is None:
            raise InputError("--start", f"{start}, which says that there is no plan", "a file with a plan")
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
        start=begin,
        verbose=verbose,
    )
    return told(solution, save_plan, as_json)

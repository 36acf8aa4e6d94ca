"""`qopt explain`: what the limits of a problem are worth, or why it has no plan."""

from __future__ import annotations

from typing import Annotated

import typer

from qopt.cli.common import AsJson, Changes, Cut, Instance, Level, exit_code, print_json, read_problem


def explain(
    instance: Instance,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds; what is not known by then is said.")] = None,
    as_json: AsJson = False,
) -> int:
    """Say what each limit is worth; where there is no plan, which limits contradict each other and what would help.

    Example: qopt explain qpart/mnist-mlp6 --set limits.time=0.02

    Exit code 1 if there is no plan, proved; 3 if neither a plan nor a proof was found.
    """
    from qopt.core.explaining import explain as run

    found = run(read_problem(instance, change, cut, level), time_limit=time_limit)
    if as_json:
        print_json(found.to_dict())
    else:
        print(found)
    return exit_code(found.status == "feasible", infeasible=found.status == "infeasible")

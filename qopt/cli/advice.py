"""`qopt strategies` and `qopt recommend`: what the study compares, and what to take instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qopt.cli.common import AsJson, Changes, ExitCode, Instance, print_rows, read_problem, told
from qopt.core.errors import InputError

if TYPE_CHECKING:
    from qopt.placement.problem import Placement


def strategies(
    instance: Instance,
    split: Annotated[
        str | None, typer.Option(help="Operators to split into halves: identity,quantized; default the study's two.")
    ] = None,
    change: Changes = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table for spreadsheets.")] = False,
    as_json: AsJson = False,
) -> int:
    """Cost the study's strategies on a placement: every operator on every tier, and equal halves on pairs of tiers.

    Example: qopt strategies placement/resnet
    """
    from qopt.placement.report import strategies_table
    from qopt.placement.strategies import strategies as cost

    if as_csv and as_json:
        raise InputError("--csv", "--csv beside --json", "one or the other")
    table = cost(_placement(instance, change), split=None if split is None else split.split(","))
    print_rows(table.drop(columns="plan"), as_json, as_csv, strategies_table)
    return ExitCode.FOUND


def recommend(
    instance: Instance,
    accuracy: Annotated[float | None, typer.Option(help="Least accuracy, in [0, 1].")] = None,
    latency: Annotated[float | None, typer.Option(help="Most seconds.")] = None,
    change: Changes = None,
    as_json: AsJson = False,
) -> int:
    """Recommend an operator and a tier for each operation, proved best for a target.

    Example: qopt recommend placement/resnet --accuracy 0.82

    With --accuracy the least objective that reaches it; with --latency alone the most accurate operator within it.
    """
    from qopt.placement.front import recommend as best

    solution = best(_placement(instance, change), accuracy=accuracy, latency=latency)
    return told(solution, None, as_json)


def _placement(instance: str, change: list[str] | None) -> Placement:
    from qopt.placement.problem import Placement

    problem = read_problem(instance, change)
    if not isinstance(problem, Placement):
        raise InputError("INSTANCE", f"{problem.name}, of {problem.format}", "a placement")
    return problem

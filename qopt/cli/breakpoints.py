"""`qopt breakpoints`: the best plan for every value of one parameter."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qopt.cli.common import AsJson, Changes, Cut, Instance, Level, exit_code, print_json, read_problem
from qopt.core.errors import InputError

if TYPE_CHECKING:
    from qopt.core.envelope import Envelope


def breakpoints(
    instance: Instance,
    parameter: Annotated[str, typer.Argument(help="A field that may vary, e.g. channel.rate or time_limit.")],
    low: Annotated[float | None, typer.Option(help="From this value; by default the family's range.")] = None,
    high: Annotated[float | None, typer.Option(help="To this value.")] = None,
    bits: Annotated[str | None, typer.Option(help="Of QPART: whole or real.")] = None,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table for spreadsheets.")] = False,
    as_json: AsJson = False,
) -> int:
    """List the best plan for every value of one parameter, and where it changes.

    Example: qopt breakpoints jqodi/fig5 time_limit

    Exit code 1 if there is no plan for any value.
    """
    from qopt.core.solving import breakpoints as run

    if as_csv and as_json:
        raise InputError("--csv", "--csv beside --json", "one or the other")
    options: dict[str, Any] = {"low": low, "high": high, "bits": bits}
    found = run(
        read_problem(instance, change, cut, level),
        parameter,
        **{name: value for name, value in options.items() if value is not None},
    )
    if as_json:
        print_json(found.to_dict())
    elif as_csv:
        _write_csv(found)
    else:
        _write(found)
    return exit_code(found.feasible, infeasible=True)


def _write(found: Envelope) -> None:
    """Every piece on a line, however long."""
    from qopt.core.display import number

    print(f"{found.problem}: the best plan by {found.axis}")
    for piece in found:
        plan = "no plan" if piece.objective is None else piece.plan
        print(f"  {number(piece.start)} to {number(piece.stop)}: {plan}")


def _write_csv(found: Envelope) -> None:
    """A row a piece; the objective is intercept + slope x, x the parameter (1 / parameter where `inverse` is 1)."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["start", "stop", "intercept", "slope", "inverse", "plan"])
    for piece in found:
        line = piece.objective
        ends = (piece.start, piece.stop if piece.stop < float("inf") else "inf")
        if line is None:
            table.writerow([*ends, "", "", "", ""])
        else:
            table.writerow([*ends, line.intercept, line.slope, int(found.inverse), str(piece.plan)])

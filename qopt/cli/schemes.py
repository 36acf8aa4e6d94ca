"""`qopt schemes`: the schemes of the QPART paper's section V at every cut, as a table and as its figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qopt.cli.common import AsJson, Changes, ExitCode, Instance, Level, print_rows, read_problem
from qopt.core.errors import InputError, shown

if TYPE_CHECKING:
    from qopt.qpart.problem import QPart

FIGURES = ("3", "5", "5-energy", "5-price", "6", "7", "8", "9", "10")


def schemes(
    instance: Instance,
    code: Annotated[float, typer.Option(help="Share of the values that an auto-encoder sends, where assumed.")] = 0.5,
    keep: Annotated[float, typer.Option(help="Share of the neurons that pruning keeps, where assumed.")] = 0.5,
    carried: Annotated[
        Path | None, typer.Option(help="Sizes that were carried out: JSON rows of scheme, cut and size.")
    ] = None,
    stored: Annotated[int, typer.Option(help="Bits of a parameter as it is stored: 32 or 64.")] = 32,
    figure: Annotated[str | None, typer.Option(help=f"Draw a figure of the paper: {', '.join(FIGURES)}.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the figure to this file.")] = None,
    level: Level = None,
    change: Changes = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table for spreadsheets.")] = False,
    as_json: AsJson = False,
) -> int:
    """Cost the QPART paper's schemes at every cut: no optimization, auto-encoder, pruning, its rule, the optimum.

    Example: qopt schemes qpart/table2
    """
    from qopt.qpart.problem import QPart
    from qopt.qpart.report import schemes_table
    from qopt.qpart.schemes import schemes as cost

    if as_csv and as_json:
        raise InputError("--csv", "--csv beside --json", "one or the other")
    if (figure is None) != (out is None):
        raise InputError("--figure", "--figure without --out" if out is None else "--out without --figure", "both")
    if figure is not None and figure not in FIGURES:
        raise InputError("--figure", shown(figure), ", ".join(FIGURES))
    problem = read_problem(instance, change, level=level)
    if not isinstance(problem, QPart):
        raise InputError("INSTANCE", f"{problem.name}, of {problem.format}", "a QPART request")
    table = cost(problem, code=code, keep=keep, carried=carried, stored=stored)
    if figure is not None and out is not None:
        _draw(problem, table, figure, stored, out)
    print_rows(table.drop(columns="plan"), as_json, as_csv, schemes_table)
    return ExitCode.FOUND


def _draw(problem: QPart, table: Any, figure: str, stored: int, out: Path) -> None:
    """Write a figure."""
    from qopt import plots

    ax: Any
    if figure == "3":
        ax = plots.plot_parameter_reduction(problem, stored=stored)
    elif figure == "6":
        ax = plots.plot_size_by_level(problem)
    elif figure.startswith("5"):
        ax = plots.plot_scheme_performance(table, figure.partition("-")[2] or "time")
    else:
        draw = {"7": "objective", "8": "energy", "9": "time", "10": "payload"}[figure]
        ax = getattr(plots, f"plot_scheme_{draw}")(table)
    plots.style.save_figure(ax, out, field="--out", dots=120)

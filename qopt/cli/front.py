"""`qopt front`: all plans that no other beats in what is minimised and in one thing beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qopt.cli.common import AsJson, Changes, Cut, Instance, Level, exit_code, print_json, read_problem
from qopt.core.errors import InputError

if TYPE_CHECKING:
    from qopt.core.front import Front

SHOWN = 40
"""Points that are printed; of more, the first and the last ones."""


def front(
    instance: Instance,
    against: Annotated[
        str | None, typer.Option(help="What to trade the objective against, e.g. payload, noise, time, energy, bytes.")
    ] = None,
    low: Annotated[float | None, typer.Option(help="From this amount of it.")] = None,
    high: Annotated[float | None, typer.Option(help="To this amount of it.")] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Of an allocation: a front of which no point is off by more than this share.")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds; what was found by then is kept.")] = None,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a table (.csv) or all (.json).")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it: .png, .pdf or .svg.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table for spreadsheets.")] = False,
    as_json: AsJson = False,
) -> int:
    """List all plans that no other beats in the objective and in one other quantity, each with its proof.

    Example: qopt front qpart/mnist-mlp6 --against payload

    Exit code 1 if there is no plan, 3 if none was found in time.
    """
    from qopt.core.solving import front as run

    if as_csv and as_json:
        raise InputError("--csv", "--csv beside --json", "one or the other")
    options: dict[str, Any] = {"against": against, "low": low, "high": high, "epsilon": epsilon}
    found = run(
        read_problem(instance, change, cut, level),
        time_limit=time_limit,
        **{name: value for name, value in options.items() if value is not None},
    )
    if output is not None:
        found.save(output)
    if plot is not None:
        from qopt.core.plot_style import save_figure
        from qopt.core.plots import plot_trade_off

        save_figure(plot_trade_off(found), plot)
    if as_json:
        print_json(found.to_dict())
    elif as_csv:
        print(found.to_csv(), end="")
    else:
        _write(found)
    return exit_code(bool(found.points), infeasible=found.complete)


def _write(found: Front) -> None:
    """The points as a table, and what is known of it."""
    from rich.table import Table

    from qopt.core.display import number
    from qopt.core.report import console

    table = Table(box=None, pad_edge=False)
    units = {c.name: f"{c.name} [{c.unit}]" if c.unit else c.name for c in found.criteria}
    columns = [name for name in found.columns if name not in ("name", "proved")]
    for name in columns:
        table.add_column(units.get(name, name), justify="right" if name in units else "left", overflow="fold")
    rows = [point.row for point in found.points]
    hidden = max(0, len(rows) - SHOWN)
    for row in rows[: SHOWN // 2] if hidden else rows:
        table.add_row(*(_cell(row.get(name)) for name in columns))
    if hidden:
        table.add_row(f"… {hidden} more")
        for row in rows[-SHOWN // 2 :]:
            table.add_row(*(_cell(row.get(name)) for name in columns))
    print(f"{found.problem}: {len(found)} plans that no other beats in {' and '.join(units)}")
    if rows:
        console().print(table)
    if found.epsilon is not None:
        eps, eps0 = found.epsilon
        print(f"an epsilon-front, proved: for every plan one of no more, and of {eps:g} and {eps0:g} more cost at most")
    elif found.proved:
        print("whole: every point proved, and no other")
    elif not found.complete:
        print(f"not whole; gap left {number(found.gap, 3)}")
    for note in found.notes:
        print(note)


def _cell(value: object) -> str:
    from qopt.core.display import number

    return number(value) if isinstance(value, float) else "–" if value is None else str(value)

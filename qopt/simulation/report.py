"""A simulation as tables for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from qopt.core.display import number
from qopt.simulation.simulate import Simulation


def _interval(row: Mapping[str, Any], name: str) -> str:
    """A figure with its interval, if it has one."""
    value, low, high = row[name], row["low"], row["high"]
    if value is None or math.isnan(value):
        return "–"
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return number(value)
    return f"{number(value)} [{number(low)}, {number(high)}]"


def _rows(frame: Any) -> list[dict[str, Any]]:
    """Rows of a DataFrame by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> Table:
    table = Table(title_justify="left", header_style="bold", box=None, pad_edge=False)
    for k, heading in enumerate(columns):
        table.add_column(heading, justify="left" if k < words else "right")
    for row in rows:
        table.add_row(*row)
    return table


def rendered(found: Simulation) -> RenderableType:
    """Distributions, what was missed, and what each policy costs above the exact table where that ran too.

    Parameters
    ----------
    found : of `simulate`.
    """
    rows = _rows(found.to_dataframe())
    ends = [key for key in rows[0] if key.startswith("q") and key != "quantity"]
    spread = [
        [row["policy"], row["quantity"], _interval(row, "mean"), *(number(row[key]) for key in ends)] for row in rows
    ]
    misses = [
        [row["policy"], row["missed"], _interval(row, "share")]
        for row in _rows(found.misses())
        if row["share"] or row["missed"] in ("level", "plan")
    ]
    parts: list[RenderableType] = [
        str(found.stream),
        "",
        _table(("policy", "quantity", "mean, 95 % interval", *(f"{k[1:]} %" for k in ends)), spread, 2),
        "",
        _table(("policy", "missed", "share of requests"), misses, 2),
    ]
    if "exact" in found.runs and len(found.runs) > 1:
        lines = []
        for name in found.runs:
            if name != "exact":
                for row in _rows(found.excess(name)):
                    if row["count"]:
                        quantiles = (number(row[key]) for key in ends)
                        lines.append([name, row["requests"], f"{row['count']:,}", _interval(row, "mean"), *quantiles])
        heads = ("policy", "requests", "how many", "J above exact, mean", *(f"{k[1:]} %" for k in ends))
        parts += ["", _table(heads, lines, 2)]
    return Group(*parts)

"""What the results of each run of a study come to, for people: counts, times, claims that are wrong."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType

from qopt.comparison.results import OUT

LISTED = 20
"""Wrong claims that are listed one by one."""


def summary_table(records: Sequence[dict[str, Any]]) -> RenderableType:
    """A row a run: how many were solved, proved, stopped, failed or wrong, and the time.

    Parameters
    ----------
    records : results, as `qopt.comparison.results.records` gives them, a dict each.
    """
    from qopt.core.report import Fitted, scaled

    rows = []
    for run in dict.fromkeys(row["run"] for row in records):
        mine = [row for row in records if row["run"] == run]
        tried = [row for row in mine if row["status"] != "unavailable"]
        times = [row["seconds"] for row in tried if row["solved"] and row["seconds"] is not None]
        failed = sum(row["status"] in ("failed", "crashed") for row in mine)
        rows.append(
            {
                "run": run,
                "results": str(len(mine)),
                "solved": str(sum(row["solved"] for row in mine)),
                "proved": str(sum(row["proved"] for row in mine)),
                "stopped": str(sum(row["status"] in OUT for row in mine)),
                "failed": str(failed),
                "not used": str(len(mine) - len(tried)),
                "wrong": str(sum(bool(row["wrong"]) for row in mine)),
                "median time": scaled(statistics.median(times), "s") if times else "–",
                "total time": scaled(sum(times), "s") if times else "–",
            }
        )
    left = ("run",)
    return Fitted(rows, left=left, needed=("run", "solved", "wrong"), spare=("not used", "total time", "results"))


def wrong_claims(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each claim that the data refute, as many as a glance takes in."""
    wrong = [row for row in records if row["wrong"]]
    for row in wrong[:LISTED]:
        value = "" if row["objective"] is None else f" with {row['objective']:.12g}"
        best = "" if row["best"] is None else f", known {row['best']:.12g}"
        yield f"wrong: {row['run']} on {row['instance']}: {row['status']}{value}{best}: {row['wrong']}"
    if len(wrong) > LISTED:
        yield f"wrong: {len(wrong) - LISTED} more (--csv, --json: all)"

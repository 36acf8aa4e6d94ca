"""Tables made from journals, at any time: results beside each other, and claims that the data refute.

A claim is wrong where the method says that its plan keeps the limits and it does not; that a plan is optimal and
another of the same instance, verified, is better; that there is none and one is known; or that none can be below a
bound and a verified one is. Whole bits are real bits too, so a plan of whole bits refutes claims about real ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from qopt.comparison.journal import Rows, listed, results
from qopt.comparison.record import PHASES
from qopt.core.claims import CLAIMS, NONE, TOLERANCE, refuted
from qopt.core.families import family_named

if TYPE_CHECKING:
    import pandas as pd

    from qopt.comparison.design import Design

ANSWERS = (
    *("instance", "family", "fingerprint", "run", "method", "formulation", "solver", "bits", "exact", "repeat", "seed"),
    *("status", "said", "objective", "bound", "claimed_bound", "gap", "verified", "proved", "best", "excess", "wrong"),
    *("solved", "limit", "nodes", "message"),
)
"""Columns that tell the answer; the same after a kill as without, unless the clock stopped a method."""

COLUMNS = (*ANSWERS[:-3], "seconds", "charged", "limit", *PHASES, "other", "cpu", "memory", "nodes", "message")
"""Columns of every family; its own follow, and the machine."""

DONE = (*CLAIMS, *NONE)
RULES = ("heuristic", "feasible")
OUT = ("time-limit", "killed")
"""Statuses: done by an exact method, by another, and by the clock."""


def records(journals: Rows, study: Design, *, tolerance: float = TOLERANCE) -> list[dict[str, Any]]:
    """Results of a study as dicts, in its order; see `Study.table`. Each is there once, plans and traces left out.

    Parameters
    ----------
    journals : path of a journal, or a list of paths.
    study : whose journals they are; another's is refused.
    tolerance : relative; a claim of optimality is wrong where a verified plan is better by more.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in listed(journals):
        for line in results(path, study.fingerprint):
            found.setdefault(line["key"], _slim(line))
    rows = sorted(found.values(), key=lambda row: list(row.pop("at")))
    _judge(rows, tolerance)
    return rows


def _slim(line: dict[str, Any]) -> dict[str, Any]:
    """A line of a journal as a row of a table."""
    own = family_named(line["family"]).part("report").COLUMNS
    facts = line.get("facts") or {}
    row = {name: line.get(name) for name in ("at", *COLUMNS)}
    row |= {name: (line.get("phases") or {}).get(name) for name in (*PHASES, "other")}
    row["wrong"] = line.get("refuted") or ""
    row["proved"], row["exact"] = bool(line.get("proved")), bool(line.get("exact"))
    row["message"] = line.get("message") or ""
    return row | {name: facts.get(name) for name in own} | {"machine": line.get("machine")}


def _judge(rows: list[dict[str, Any]], tolerance: float) -> None:
    """Fill in what takes all results to say: best, excess, wrong, solved, charged."""
    best: dict[tuple[str, str | None], float] = {}
    for row in rows:
        if row["verified"] and row["objective"] is not None:
            for bits in {row["bits"], "real"} if row["bits"] == "whole" else {row["bits"]}:
                key = row["fingerprint"], bits
                best[key] = min(best.get(key, math.inf), row["objective"])
    for row in rows:
        known = best.get((row["fingerprint"], row["bits"]))
        row["best"], row["excess"] = known, None
        if row["verified"] and known is not None:
            row["excess"] = 0.0 if row["objective"] == known else (row["objective"] - known) / (abs(known) or 1.0)
        row["wrong"] = _wrong(row, known, tolerance)
        row["solved"] = _solved(row)
        row["charged"] = _charged(row)


def _wrong(row: Mapping[str, Any], known: float | None, tolerance: float) -> str:
    """The claim that the data refute, in words; empty for none."""
    bounds = row["claimed_bound"], row["bound"]
    plan = row["objective"], bounds, row["verified"]
    return row["wrong"] or refuted(row["status"], *plan, known, gap=_gap(row), tolerance=tolerance)


def _gap(row: Mapping[str, Any]) -> float:
    """The relative gap that the run allowed."""
    return float(row.get("allowed_gap") or 0.0)


def _solved(row: Mapping[str, Any]) -> bool:
    """Whether the method came to its end and nothing speaks against its answer."""
    if row["wrong"]:
        return False
    if row["status"] in NONE or (row["status"] in DONE and row["verified"]):
        return True
    return not row["exact"] and row["status"] in RULES and bool(row["verified"])


def _charged(row: Mapping[str, Any]) -> float | None:
    """Seconds that a statistic counts: those of a solved row, the limit for every other that was tried."""
    if row["status"] == "unavailable":
        return None
    seconds: float | None = row["seconds"]
    return seconds if row["solved"] else row["limit"]


def table(journals: Rows, study: Design, *, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """Results as a DataFrame; see `Study.table`.

    Parameters
    ----------
    journals : path of a journal, or a list of paths.
    study : whose journals they are; another's is refused.
    tolerance : relative; a claim of optimality is wrong where a verified plan is better by more.
    """
    import pandas as pd

    rows = records(journals, study, tolerance=tolerance)
    columns = list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row if name != "machine"), "machine"]))
    return pd.DataFrame.from_records(rows, columns=columns)


def traces(journals: Rows, study: Design) -> pd.DataFrame:
    """Incumbent and bound over time as a DataFrame; see `Study.traces`.

    Parameters
    ----------
    journals : path of a journal, or a list of paths.
    study : whose journals they are; another's is refused.
    """
    import pandas as pd

    points = [
        (line["instance"], line["run"], line["repeat"], *point)
        for path in listed(journals)
        for line in results(path, study.fingerprint)
        for point in line.get("trace") or ()
    ]
    columns = ["instance", "run", "repeat", "seconds", "incumbent", "bound"]
    return pd.DataFrame.from_records(points, columns=columns).astype({"incumbent": float, "bound": float})


def plans(journals: Rows, study: Design) -> Iterator[tuple[str, str, int, dict[str, Any] | None]]:
    """Instance, run, repeat and plan of each result; see `Study.plans`.

    Parameters
    ----------
    journals : path of a journal, or a list of paths.
    study : whose journals they are; another's is refused.
    """
    for path in listed(journals):
        for line in results(path, study.fingerprint):
            yield line["instance"], line["run"], line["repeat"], line.get("plan")


def machines(journals: Rows) -> dict[str, dict[str, Any]]:
    """What the ids in the column ``machine`` stand for: processor, system, versions.

    Parameters
    ----------
    journals : path of a journal, or a list of paths.
    """
    from qopt.comparison.journal import lines

    return {k: v for path in listed(journals) for line in lines(path) for k, v in line.get("machines", {}).items()}

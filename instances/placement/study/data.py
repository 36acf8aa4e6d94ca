"""What the study printed, read from the files beside this one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

SUBJECTS = ("resnet", "resnext", "fcn", "duc")


def read(name: str) -> Any:
    """The contents of one file of this folder."""
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def strategies() -> list[str]:
    """The study's 18 strategies: twelve on a single tier, six on two."""
    listed = read("setup")["strategies"]
    return [*listed["single"], *listed["split"]]


def effects() -> list[dict[str, Any]]:
    """One record a printed effect: the pair read so that a negative letter says ``left`` is the faster.

    Lower triangles are read in the order of the labels, against the tables' note (see `errata.json`).
    """
    tables, records = read("effects"), []
    for square in tables["square"]:
        labels = square["labels"]
        for i, row in enumerate(square["cells"]):
            for j, cell in enumerate(row):
                if i != j:
                    subject = square["upper" if i < j else "lower"]
                    pair = labels[min(i, j)], labels[max(i, j)]
                    records.append(_effect(square, subject, *pair, cell))
    for table in tables["rectangular"]:
        for left, row in zip(table["rows"], table["cells"], strict=True):
            for right, cell in zip(table["columns"], row, strict=True):
                records.append(_effect(table, table["subject"], left, right, cell))
    return records


def _effect(table: dict[str, Any], subject: str, left: str, right: str, cell: str) -> dict[str, Any]:
    return {"table": table["table"], "subject": subject, "left": left, "right": right, "letter": cell}


def latencies() -> list[dict[str, Any]]:
    """Statements on medians: single values, differences and ratios."""
    return [s for s in read("statements")["statements"] if s["quantity"] in ("median", "difference", "ratio")]


def stated(statement: dict[str, Any]) -> list[tuple[str, float]]:
    """The printed figures of one statement, with the name of what each is: value, mean, smallest, largest."""
    if "range" in statement:
        low, high = statement["range"]
        return [("smallest", low), ("largest", high)]
    name = "value" if "value" in statement else "mean"
    return [(name, statement[name])]


def implied(statement: dict[str, Any], medians: dict[str, dict[str, float]]) -> dict[str, float]:
    """The same figures as medians, subject -> strategy -> seconds, would give them."""
    of = [medians[subject][statement["of"]] for subject in statement["subjects"]]
    if statement["quantity"] == "median":
        return {"value": of[0]}
    over = [medians[subject][statement["over"]] for subject in statement["subjects"]]
    if statement["quantity"] == "difference":
        return {"value": of[0] - over[0]}
    ratios = [a / b for a, b in zip(of, over, strict=True)]
    return {
        "value": ratios[0],
        "mean": sum(ratios) / len(ratios),
        "smallest": min(ratios),
        "largest": max(ratios),
    }


def within(printed: float, found: float) -> bool:
    """Whether a figure of two decimals, rounded or cut off, may have been printed for what was found."""
    return abs(printed - found) <= 0.01 + 0.004 * abs(printed)

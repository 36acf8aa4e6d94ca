"""Writes the tables of docs/placement-study.md, between its marks.

python instances/placement/study/page.py
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gains
import shapes
import signs
from data import HERE, SUBJECTS, implied, latencies, read, stated, strategies, within

from qopt.core.files import write_text

PAGE = HERE.parents[2] / "docs" / "placement-study.md"


def errata() -> list[str]:
    """Table: what is wrong in print, and how it is read."""
    lines = ["| where | printed | found | read as |", "| --- | --- | --- | --- |"]
    return lines + [
        f"| {e['where']} | {e['printed']} | {e['found']} | {e['reading']} |" for e in read("errata")["errata"]
    ]


def medians() -> list[str]:
    """Table: reconstructed medians, with the instance's latency behind each."""
    found, model = read("medians")["medians"], signs.latencies()
    lines = ["| strategy | " + " | ".join(SUBJECTS) + " |", "| --- |" + " --- |" * len(SUBJECTS)]
    for t in strategies():
        lines.append(f"| {t} | " + " | ".join(f"{found[s][t]:.2f} ({model[s][t]:.2f})" for s in SUBJECTS) + " |")
    return lines


def statements() -> list[str]:
    """Table: printed figures that reconstruction and instances meet, by quantity."""
    found, model = read("medians")["medians"], signs.latencies()
    lines = [
        "| figures | printed | met by the medians | instances within 1% | within 3% | within 10% | largest |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    rows = []
    for s in latencies():
        for name, value in stated(s):
            off = abs(implied(s, model)[name] / value - 1)
            rows.append((s["quantity"], name, within(value, implied(s, found)[name]), off))
    for quantity, names in (
        ("median", ("value",)), ("difference", ("value",)), ("ratio", ("value",)), ("ratio", ("mean",)),
        ("ratio", ("smallest", "largest")),
    ):  # fmt: skip
        mine = [r for r in rows if r[0] == quantity and r[1] in names]
        counts = " | ".join(str(sum(r[3] <= limit for r in mine)) for limit in (0.01, 0.03, 0.1))
        title = quantity if quantity != "ratio" else f"ratio, {' and '.join(names)}"
        lines.append(
            f"| {title} | {len(mine)} | {sum(r[2] for r in mine)} | {counts} | {max(r[3] for r in mine):.1%} |"
        )
    return lines


def others() -> list[str]:
    """Table: picture sizes, b, and the residuals of each subject."""
    lines = [
        "| subject | picture [Mbit] | b | rms residual, whole models | rms residual, halves | largest |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for subject, part in read("fit")["subjects"].items():
        whole = [v for t, v in part["residuals"].items() if len(t.split("@")[1]) == 1]
        halves = [v for t, v in part["residuals"].items() if len(t.split("@")[1]) == 2]
        worst = max(part["residuals"], key=lambda t: abs(part["residuals"][t]))
        lines.append(
            f"| {subject} | {_with_error(part['picture_Mbit'], part['picture_error'])} "
            f"| {_weighty(part)} | {_rms(whole):.3f} | {_rms(halves):.3f} "
            f"| {part['residuals'][worst]:+.3f} ({worst}) |"
        )
    return lines


def _weighty(part: dict[str, Any]) -> str:
    """b with its standard error; at a bound it has none."""
    value, error = part["weights_part"], part["weights_part_error"]
    if error is None:
        return f"{value:.2f} (at the bound)"
    return f"{value:.2f} ± {error:.2f}" if error <= 0.2 else f"{value:.2f} (not identified)"


def _rms(values: list[float]) -> float:
    return math.sqrt(math.fsum(v * v for v in values) / len(values))


def _with_error(value: float, error: float | None) -> str:
    """A figure with its relative standard error, or marked as one that the medians do not fix."""
    if error is None or error > 0.2:
        return f"{value:.3g} (not identified)"
    return f"{value:.3g} ± {100 * error:.0f}%"


BLOCKS: dict[str, Callable[[], list[str]]] = {
    "errata": errata,
    "medians": medians,
    "statements": statements,
    "shapes": shapes.table,
    "others": others,
    "signs": signs.shares,
    "missed": signs.missed,
    "halves": gains.halves,
    "overall": gains.overall,
}


def filled(text: str) -> str:
    """The page with every table made anew."""
    for name, make in BLOCKS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        block = "\n".join(make()) + "\n"
        parts = pattern.split(text)  # before, opening mark, closing mark, after
        if len(parts) != 4:
            raise SystemExit(f"{PAGE.name}: {len(parts) // 3} blocks {name}; allowed: 1")
        text = parts[0] + parts[1] + block + parts[2] + parts[3]
    return text


def main(page: Path = PAGE) -> None:
    """Rewrite the page."""
    write_text(page, filled(page.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()

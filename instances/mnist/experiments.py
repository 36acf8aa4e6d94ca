"""Table III and Figs. 7 to 10 of the QPART paper from what schemes.py carried out: accuracy, J, time, energy, payload.

    python instances/mnist/experiments.py     # writes the tables of docs/simulation-study.md

Every scheme is priced by Eqs. 5-17 under Table II. Over several seeds a figure is a mean with the 95 % interval of
Student; a seed is a network, its auto-encoders and its plans.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import qopt
from qopt.core.files import write_text
from qopt.qpart.costs import Cost, breakdown
from qopt.qpart.schemes import as_it_is, cost_of, pruned, with_encoder
from qopt.simulation.modules import student

HERE = Path(__file__).resolve().parent
DATA, PAGE = HERE / "schemes.json", HERE.parents[1] / "docs" / "simulation-study.md"
SCHEMES = ("no optimization", "auto-encoder", "pruning", "qpart-published", "qpart-paper", "exact")
QUANTITIES = {
    "objective": ("J", 1.0),
    "time": ("time [ms]", 1e3),
    "energy": ("energy [mJ]", 1e3),
    "payload": ("payload [Mbit]", 1e-6),
}
FEW = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447}
"""Student's quantiles of few degrees of freedom, for which the expansion is too coarse."""


@dataclass(frozen=True)
class Carried:
    """One scheme of one seed at one cut.

    Attributes
    ----------
    status : whether the level was kept on the calibration images.
    accuracy : on the test images.
    loss : accuracy lost on the calibration images, with its interval.
    size : values sent, share kept, or widths.
    cost : under Table II; None where no size keeps the level.
    """

    status: str
    accuracy: float
    loss: tuple[float, float, float]
    size: Any
    cost: Cost | None


def seeds() -> list[dict[str, Any]]:
    """What schemes.py wrote, a seed each."""
    found: list[dict[str, Any]] = json.loads(DATA.read_text(encoding="utf-8"))["seeds"]
    return found


def _cost(problem: qopt.QPart, scheme: str, cut: int, size: Any) -> Cost | None:
    """What a scheme of this size costs at a cut."""
    if scheme == "no optimization":
        return cost_of(problem, as_it_is(problem, cut))
    if size is None:
        return None
    if scheme == "auto-encoder":
        return cost_of(problem, with_encoder(problem, cut, size))
    if scheme == "pruning":
        return cost_of(problem, pruned(problem, cut, size))
    weights, outputs = (tuple(map(float, widths)) for widths in size)
    return breakdown(problem, qopt.QPartPlan(cut=cut, weights=weights, activations=outputs))


def carried(entry: dict[str, Any]) -> dict[tuple[str, int], Carried]:
    """All schemes of a seed by scheme and cut."""
    problem = qopt.load("qpart/table2")
    found = {}
    for cut in range(1, 7):
        plain = _cost(problem, "no optimization", cut, None)
        found["no optimization", cut] = Carried("kept", entry["accuracy"], (0.0, 0.0, 0.0), 32, plain)
    for row in entry["rows"]:
        scheme, cut, size = row["scheme"], row["cut"], row["size"]
        loss = tuple(row.get("loss", (math.nan,) * 3))
        cost = _cost(problem, scheme, cut, size)
        found[scheme, cut] = Carried(row["status"], row.get("accuracy", math.nan), loss, size, cost)
    return found


def interval(values: list[float]) -> str:
    """A mean, with half the width of its interval where there are several."""
    mean = float(np.mean(values))
    n = len(values)
    if n < 2:
        return f"{mean:.4g}"
    t = FEW.get(n - 1) or student(n - 1)
    return f"{mean:.4g} ± {t * float(np.std(values, ddof=1)) / math.sqrt(n):.2g}"


def _table(all_seeds: list[dict[tuple[str, int], Carried]], value: Any) -> list[str]:
    """A table of schemes by cut; a scheme that loses the level for some seed says for how many."""
    lines = ["| cut p | " + " | ".join(SCHEMES) + " |", "|---|" + "---:|" * len(SCHEMES)]
    for cut in range(1, 7):
        cells = []
        for scheme in SCHEMES:
            rows = [found[scheme, cut] for found in all_seeds]
            values = [value(row) for row in rows if value(row) is not None]
            lost = sum(row.status != "kept" for row in rows)
            mark = f" (level lost{f', {lost} of {len(rows)}' if lost < len(rows) else ''})" if lost else ""
            cells.append((interval(values) if values else "–") + mark)
        lines.append(f"| {cut} | " + " | ".join(cells) + " |")
    return lines


def _size(row: Carried) -> str:
    if row.size is None:
        return "–"
    if isinstance(row.size, list):
        return " ".join(map(str, row.size[0])) + " / " + " ".join(map(str, row.size[1]))
    return f"{row.size:g}"


def text() -> str:
    """The tables of the page."""
    found = [carried(entry) for entry in seeds()]
    n = len(found)
    names = ", ".join(str(entry["seed"]) for entry in seeds())
    lines = [
        f"{n} seed{'s' if n > 1 else ''} ({names}). *Level lost*: the upper end of "
        "the paired loss exceeds one point on the calibration images.",
        "",
        "Table III, accuracy on the 10 000 test images [%]:",
        "",
        *_table(found, lambda row: None if math.isnan(row.accuracy) else 100 * row.accuracy),
        "",
    ]
    for k, (quantity, (label, unit)) in enumerate(QUANTITIES.items()):
        lines += [f"Fig. {(7, 9, 8, 10)[k]}, {label}:", ""]
        lines += _table(found, lambda row, q=quantity, u=unit: None if row.cost is None else u * getattr(row.cost, q))
        lines.append("")
    lines += ["Sizes of seed 0 (values sent; share of neurons kept; widths, of the output last):", ""]
    lines += ["| cut p | " + " | ".join(SCHEMES[1:]) + " |", "|---|" + "---|" * len(SCHEMES[1:])]
    first = found[0]
    lines += [f"| {cut} | " + " | ".join(_size(first[s, cut]) for s in SCHEMES[1:]) + " |" for cut in range(1, 7)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the tables."""
    mark, page = "<!-- carried -->", PAGE.read_text(encoding="utf-8")
    write_text(PAGE, re.sub(f"{mark}\n.*?{mark}", lambda _: f"{mark}\n{text()}{mark}", page, flags=re.DOTALL))


if __name__ == "__main__":
    main()

"""Table III and Figs. 7 to 10 of the QPART paper from what schemes.py carried out: accuracy, J, time, energy, payload.

    python instances/mnist/experiments.py     # writes the tables of docs/simulation-study.md

Every scheme is priced by Eqs. 5-17 under Table II. Over several seeds a figure is a mean with the 95 % interval of
Student; a seed is a network, its auto-encoders and its plans.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
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
    """A mean, with half the width of its interval where there are several that differ by more than rounding."""
    mean = float(np.mean(values))
    n = len(values)
    if np.allclose(values, mean, rtol=1e-12, atol=0.0):
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
    lines += ["Which scheme is cheapest, of those that keep the level:", "", *_winners(found), ""]
    lines += ["The paper's orders, by seeds and cuts, among schemes that keep the level:", "", *_orders(found), ""]
    lines += ["Sizes of seed 0 (values sent; share of neurons kept; widths, of the output last):", ""]
    lines += ["| cut p | " + " | ".join(SCHEMES[1:]) + " |", "|---|" + "---|" * len(SCHEMES[1:])]
    first = found[0]
    lines += [f"| {cut} | " + " | ".join(_size(first[s, cut]) for s in SCHEMES[1:]) + " |" for cut in range(1, 7)]
    return "\n".join(lines) + "\n"


def kept(found: dict[tuple[str, int], Carried], cut: int) -> dict[str, Carried]:
    """The schemes of a seed that keep the level at a cut, with what they cost."""
    return {s: row for (s, p), row in found.items() if p == cut and row.status == "kept" and row.cost is not None}


def cheapest(found: dict[tuple[str, int], Carried], cut: int) -> tuple[str, str]:
    """The scheme of least J among those that keep the level, and why it is not the exact plan, if it is not."""
    costs = {scheme: row.cost.objective for scheme, row in kept(found, cut).items() if row.cost is not None}
    best, exact = min(costs, key=lambda scheme: (costs[scheme], scheme != "exact")), found["exact", cut]
    if best == "exact":
        return best, ""
    if exact.status == "kept" and not best.startswith("qpart"):
        return best, "a scheme of another kind: the exact plan is the best of widths within the calibrated limit"
    if exact.status == "kept":
        return best, "its widths break the calibrated limit and keep the level all the same: the limit is sufficient"
    if exact.size is None:
        return best, "no plan is within the calibrated limit"
    return best, f"the exact plan's loss may be {100 * exact.loss[2]:.2f} points"


def _winners(all_seeds: list[dict[tuple[str, int], Carried]]) -> list[str]:
    """For each cut, which scheme is cheapest for how many seeds, and why where it is not the exact plan."""
    lines = ["| cut p | least J, level kept | where it is not the exact plan |", "|---|---|---|"]
    names = [entry["seed"] for entry in seeds()]
    for cut in range(1, 7):
        won = [cheapest(found, cut) for found in all_seeds]
        counts = Counter(scheme for scheme, _ in won).most_common()
        why = [f"seed {name}: {reason}" for name, (_, reason) in zip(names, won, strict=True) if reason]
        told = ", ".join(f"{scheme} {n} of {len(won)}" for scheme, n in counts)
        lines.append(f"| {cut} | {told} | {'; '.join(why) or '–'} |")
    return lines


def orders(all_seeds: list[dict[tuple[str, int], Carried]]) -> dict[str, tuple[int, int]]:
    """The paper's orders of Table III and Figs. 7 to 10: in how many cases each holds, of how many.

    A case is a seed and a cut. Schemes that lose the level are left out, and so are cases where the scheme that the
    order is about loses it.
    """
    cases = [(found, cut) for found in all_seeds for cut in range(1, 7)]
    counted: dict[str, tuple[int, int]] = {}

    def count(order: str, verdicts: list[bool]) -> None:
        counted[order] = sum(verdicts), len(verdicts)

    for k, (quantity, (label, _)) in enumerate(QUANTITIES.items()):
        values = [
            {scheme: getattr(row.cost, quantity) for scheme, row in kept(found, cut).items()} for found, cut in cases
        ]
        name = f"Fig. {(7, 9, 8, 10)[k]}, {label.split(' [')[0]}"
        count(f"{name}: QPART (exact) least", [v["exact"] <= min(v.values()) for v in values if "exact" in v])
        coded = [v for v in values if "auto-encoder" in v]
        if quantity == "payload":
            less = [v["auto-encoder"] < v["no optimization"] for v in coded]
            count(f"{name}: the auto-encoder sends less than no optimization", less)
        else:
            count(f"{name}: the auto-encoder most", [v["auto-encoder"] >= max(v.values()) for v in coded])
    for other in ("auto-encoder", "pruning"):
        pairs = [(kept(found, cut).get("exact"), kept(found, cut).get(other)) for found, cut in cases]
        more = [a.accuracy > b.accuracy for a, b in pairs if a is not None and b is not None]
        count(f"Table III: QPART (exact) more accurate than {other}", more)
    return counted


def _orders(all_seeds: list[dict[tuple[str, int], Carried]]) -> list[str]:
    lines = ["| order | holds in | of |", "|---|---:|---:|"]
    return lines + [f"| {order} | {n} | {of} |" for order, (n, of) in orders(all_seeds).items()]


def main() -> None:
    """Write the tables."""
    mark, page = "<!-- carried -->", PAGE.read_text(encoding="utf-8")
    write_text(PAGE, re.sub(f"{mark}\n.*?{mark}", lambda _: f"{mark}\n{text()}{mark}", page, flags=re.DOTALL))


if __name__ == "__main__":
    main()

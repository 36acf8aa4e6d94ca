"""Whether any parameters within their ranges give the printed totals and decisions together: writes possible.json.

    python instances/jqodi/study/possible.py

Time is linear in seconds per MAC or bit, energy in joules per MAC or bit, and a range of powers is two linear rows. So
totals within a tolerance are linear rows, and so are orders of energies. A printed optimum says of every other choice
that it does not fit T_max *or* costs more: one binary variable each. Together a small mixed-integer program of 14
continuous variables: HiGHS finds parameters, or proves that there are none. Variables are scaled to the geometric
means of their ranges.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
from data import HERE, Choice, decision, epochs, images, time_limit, totals
from decisions import FULL_EPOCHS, Listed, at_width, published
from model import RADIOS, Floats, ranges, work
from profiles import PROFILES, Profile
from scipy.optimize import Bounds, LinearConstraint, milp

from qopt.core.files import write_text

FULL_TRIED = tuple(range(1, 31))
"""Epochs of Data 1's Full Model that are tried."""

MINIMAL_TRIED = tuple(range(1, 114))
"""Epochs of Data 2's Minimal Model that are tried: up to its model's at 2 bits."""

MARGIN = 1e-3
"""How much more than a printed choice any other must cost, or exceed T_max, relatively."""

TOLERANCE = 0.02
"""Relative, of printed totals."""

Row = dict[int, float]


class System:
    """Rows over seconds (0..6) and joules (7..13) of one MAC or bit, scaled, and binaries."""

    def __init__(self, radio: str) -> None:
        allowed = ranges(radio)
        self.seconds = 1.0 / np.sqrt(allowed.slowest * allowed.fastest)
        self.joules = self.seconds * np.sqrt(allowed.least * allowed.most)
        ends = [1.0 / allowed.fastest / self.seconds, allowed.least / allowed.fastest / self.joules]
        self.low = list(np.concatenate(ends))
        ends = [1.0 / allowed.slowest / self.seconds, allowed.most / allowed.slowest / self.joules]
        self.high = list(np.concatenate(ends))
        self.rows: list[tuple[Row, float, float]] = []
        for part in range(7):
            for power, low, high in ((allowed.least, 0.0, np.inf), (allowed.most, -np.inf, 0.0)):
                self.row({7 + part: 1.0, part: -power[part] * self.seconds[part] / self.joules[part]}, low, high)

    def row(self, coefficients: Row, low: float, high: float) -> None:
        """low <= coefficients x <= high."""
        self.rows.append((coefficients, low, high))

    def time(self, asked: Floats, factor: float = 1.0) -> Row:
        """Seconds of work on the parts, times a factor."""
        return {i: factor * w * self.seconds[i] for i, w in enumerate(asked) if w}

    def energy(self, asked: Floats, factor: float = 1.0) -> Row:
        """Joules of work on the parts, times a factor."""
        return {7 + i: factor * w * self.joules[i] for i, w in enumerate(asked) if w}

    def total(self, row: Row, value: float, tolerance: float) -> None:
        """The row's value within a relative tolerance."""
        self.row({i: c / value for i, c in row.items()}, 1.0 - tolerance, 1.0 + tolerance)

    def order(self, less: Row, more: Row) -> None:
        """less <= more, both of one sign."""
        scale = max(*less.values(), *more.values())
        found = {i: -c / scale for i, c in less.items()}
        for i, c in more.items():
            found[i] = found.get(i, 0.0) + c / scale
        self.row(found, 0.0, np.inf)

    def beaten(self, other: Row, chosen: Row, time: Row | None, limit: float) -> None:
        """`other` costs more than `chosen`, or does not fit the limit; without a time it must cost more."""
        scale = max(chosen.values())
        excess = {i: c / scale for i, c in other.items()}
        for i, c in chosen.items():
            excess[i] = excess.get(i, 0.0) - c * (1.0 + MARGIN) / scale
        if time is None:
            self.row(excess, 0.0, np.inf)
            return
        outside = len(self.low)
        self.low.append(0.0)
        self.high.append(1.0)
        least = sum(c * (self.low[i] if c > 0 else self.high[i]) for i, c in excess.items())
        self.row({**excess, outside: max(0.0, -least)}, 0.0, np.inf)
        self.row({**{i: c / limit for i, c in time.items()}, outside: -(1.0 + MARGIN)}, 0.0, np.inf)

    def solve(self, objective: Row | None = None) -> Floats | None:
        """Log speeds and log powers (14,), or None where there are proved to be none."""
        matrix = np.zeros((len(self.rows), len(self.low)))
        for k, (coefficients, _, _) in enumerate(self.rows):
            for i, c in coefficients.items():
                matrix[k, i] = c
        goal = np.zeros(len(self.low))
        for i, c in (objective or {}).items():
            goal[i] = c
        answer = milp(
            goal,
            constraints=LinearConstraint(matrix, [r[1] for r in self.rows], [r[2] for r in self.rows]),
            integrality=(np.arange(len(self.low)) >= 14).astype(int),
            bounds=Bounds(self.low, self.high),
        )
        if answer.x is None:
            if answer.status != 2:
                raise SystemExit(f"HiGHS stopped without an answer: {answer.message}")
            return None
        inverse, joules = answer.x[:7] * self.seconds, answer.x[7:14] * self.joules
        return np.asarray(np.concatenate([-np.log(inverse), np.log(joules / inverse)]))


def epochs_of(data: str, name: str, full: int) -> int:
    """K of a printed decision whose total is printed."""
    if name == "full":
        return full
    chosen = decision(data, name)
    found = epochs(data, chosen.model, chosen.bits)
    assert found is not None
    return found[0]


def add_totals(
    system: System, data: str, full: int, tolerance: float = TOLERANCE, profiles: dict[str, Profile] = PROFILES
) -> None:
    """The printed totals of one data set."""
    for name, quantity, value in totals(data):
        asked = work(decision(data, name), images(data), profiles)
        count = epochs_of(data, name, full)
        row = system.time(asked, count) if quantity == "time" else system.energy(asked, count)
        system.total(row, value, tolerance)


def add_best(system: System, listed: Listed, chosen: Choice, limited: bool = True) -> None:
    """`chosen` is the cheapest of the listed choices, among those within T_max or (`limited` off) of all."""
    at = listed.choices.at(chosen)
    mine = system.energy(listed.choices.work[at], listed.expected[at])
    for p, asked in enumerate(listed.choices.work):
        if p != at:
            time = system.time(asked, listed.expected[p]) if limited else None
            system.beaten(system.energy(asked, listed.expected[p]), mine, time, listed.limit)
    if limited:
        own = system.time(listed.choices.work[at], listed.expected[at] / listed.limit)
        system.row(own, -np.inf, 1.0)


def constant(data: str, bits: int, count: float, models: tuple[str, ...]) -> Listed:
    """Choices of one bit-width and some models, all with the same K."""
    found = at_width(data, bits)
    keep = [p for p, c in enumerate(found.listed) if c.model in models]
    kept = replace(found, listed=tuple(found.listed[p] for p in keep), work=found.work[keep])
    counts = np.full(len(keep), float(count))
    return Listed(kept, counts, counts, time_limit(data))


def add_orders(system: System, data: str, names: tuple[str, ...]) -> None:
    """Fig. 8's order of the nodes: in time device > server > cloud, in energy the reverse (computing alone)."""
    for name in names:
        asked = work(decision(data, name), images(data))
        server = 1 if asked[1] else 2
        for first, second in ((0, server), (server, 3)):
            slow, fast = (np.where(np.arange(7) == part, asked, 0.0) for part in (first, second))
            system.order(system.time(fast), system.time(slow))
            system.order(system.energy(slow), system.energy(fast))


def build(data: str, radio: str, demands: dict[str, Any], profiles: dict[str, Profile] = PROFILES) -> System:
    """Totals, and what else is demanded.

    Parameters
    ----------
    demands : `epochs` of the Full Model; `tolerance` of totals; `optimum`, `full`: that these are as printed;
        `minimal`: that it is, with so many epochs or, "any", as the cheapest epoch; `orders`: decisions
        with Fig. 8's orders; `trend`: models and epochs at 32 bits with which they still cost more than the Full Model.
    """
    system, full = System(radio), demands.get("epochs", FULL_EPOCHS[data])
    add_totals(system, data, full, demands.get("tolerance", TOLERANCE), profiles)
    if demands.get("optimum"):
        add_best(system, published(data, profiles), decision(data, "optimum"))
    if demands.get("full"):
        chosen = decision(data, "full")
        add_best(system, constant(data, 32, full, (chosen.model,)), chosen, limited=data == "data2")
    if "minimal" in demands:
        chosen, count = decision(data, "minimal"), demands["minimal"]
        models = tuple(PROFILES) if data == "data1" else (chosen.model,)
        listed = constant(data, 1, 1 if count == "any" else count, models)
        add_best(system, listed, chosen, limited=count != "any")
    add_orders(system, data, tuple(demands.get("orders", ())))
    mine = system.energy(work(decision(data, "full"), images(data), profiles), full)
    for model, count in demands.get("trend", {}).items():
        for asked in constant(data, 32, count, (model,)).choices.work:
            system.beaten(system.energy(asked, count), mine, None, time_limit(data))
    return system


def possible(data: str, radio: str, demands: dict[str, Any], profiles: dict[str, Profile] = PROFILES) -> bool:
    """Whether there are parameters."""
    return build(data, radio, demands, profiles).solve() is not None


def literal() -> dict[str, Profile]:
    """The networks with ResNet20 as its footnote says, one block of three convolutions a stage."""
    macs, weights = list(PROFILES["resnet20"].macs), list(PROFILES["resnet20"].weights)
    for stage, (read, written, side) in enumerate(((16, 16, 32), (16, 32, 16), (32, 64, 8)), start=1):
        weights[stage] = 9 * (read * written + 2 * written * written)
        macs[stage] = weights[stage] * side * side
    return {**PROFILES, "resnet20": replace(PROFILES["resnet20"], macs=tuple(macs), weights=tuple(weights))}


def joint(radio: str, demands: dict[str, dict[str, Any]]) -> bool:
    """Whether one set of parameters serves both data sets."""
    system = build("data1", radio, demands["data1"])
    other = build("data2", radio, demands["data2"])
    shift = len(system.low) - 14
    system.low += other.low[14:]
    system.high += other.high[14:]
    for row, low, high in other.rows:
        system.row({i if i < 14 else i + shift: c for i, c in row.items()}, low, high)
    return system.solve() is not None


DEMANDS: dict[str, dict[str, Any]] = {
    "totals": {},
    "optimum": {"optimum": True},
    "full": {"full": True},
    "optimum and full": {"optimum": True, "full": True},
    "minimal": {"minimal": "any"},
    "optimum, full and minimal": {"optimum": True, "full": True, "minimal": "any"},
    "optimum, and Fig. 8's orders of Optimum and JQODI": {"optimum": True, "orders": ("optimum", "jqodi")},
    "optimum and full, and Fig. 8's orders": {"optimum": True, "full": True, "orders": ("optimum", "jqodi", "full")},
    "optimum, full and minimal, and Fig. 8's orders": {
        "optimum": True,
        "full": True,
        "minimal": "any",
        "orders": ("optimum", "jqodi", "full"),
    },
    "full, its model against LeNet-like with 26 epochs at 32 bits": {"full": True, "trend": {"lenet": 26}},
    "full, its model against ResNet20 with 42 epochs at 32 bits": {"full": True, "trend": {"resnet20": 42}},
}
"""Of Data 1, each asked for every number of epochs in `FULL_TRIED`."""


def table() -> dict[str, Any]:
    """Every question and its answer."""
    found: dict[str, Any] = {}
    for radio in RADIOS:
        first = {
            name: [k for k in FULL_TRIED if possible("data1", radio, {**asked, "epochs": k})]
            for name, asked in DEMANDS.items()
        }
        decided = {"optimum": True, "full": True}
        second = {
            "optimum": possible("data2", radio, {"optimum": True}),
            "optimum and full": possible("data2", radio, decided),
            "optimum, full and minimal": [
                k for k in MINIMAL_TRIED if possible("data2", radio, {**decided, "minimal": k})
            ],
        }
        others = {
            "optimum of data 1, ResNet20 as its footnote says": possible("data1", radio, {"optimum": True}, literal()),
            "optimum of data 2, ResNet20 as its footnote says": possible("data2", radio, {"optimum": True}, literal()),
            "totals of both": joint(radio, {"data1": {}, "data2": {}}),
            "totals and optima of both": joint(radio, {"data1": {"optimum": True}, "data2": {"optimum": True}}),
        }
        found[radio] = {"data1": first, "data2": second, "others": others}
    return found


def main() -> None:
    """Ask, print, write."""
    found = table()
    for radio, groups in found.items():
        for group, answers in groups.items():
            for name, answer in answers.items():
                print(radio, group, name, answer, sep=": ")
    write_text(HERE / "possible.json", json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

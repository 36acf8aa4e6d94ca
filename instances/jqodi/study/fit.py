"""Fits the parameters of Data 1 and of Data 2, each by itself, to what is printed: writes fit.json.

    python instances/jqodi/study/fit.py

Fourteen unknowns: speed and power of four nodes and three links, each within its range (ranges.json). Least squares
(scipy) on logarithms of the printed totals, six with Data 1 and one with Data 2, with a slight pull to the middle of
the ranges that makes the answer one. A first fit sees the totals alone, and says what the model then decides. A
second one also sees the printed decisions, as penalties wherever another choice costs less than a margin more; it
becomes the instance. What the totals identify is the rank of their Jacobian, and of each speed and cost the interval
that linear programs leave it when all totals are within 2 %.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from data import HERE, SETS, Choice, decision, images, totals
from decisions import (
    FULL_EPOCHS,
    MINIMAL_EPOCHS,
    Listed,
    full_right,
    minimal_choice,
    needed_epochs,
    optimum,
    published,
    risk_needed,
)
from model import PARTS, RADIOS, Floats, epoch, ranges, unit_costs, work
from possible import TOLERANCE, System, add_totals, constant, epochs_of
from profiles import PROFILES
from scipy.optimize import least_squares

from qopt.core.files import write_text

STARTS = 24
SEED = 20
EXACTLY = 1e4
"""Weight of a printed total's logarithm, beside a pull of 1 for half a range."""

MARGIN = 0.01
"""By which a printed decision shall be cheaper than any other, where the decisions are fitted too."""


@dataclass(frozen=True)
class Demand:
    """A choice that shall be the cheapest of those listed; `limited`: of those within T_max."""

    listed: Listed
    at: int
    limited: bool

    def shortfall(self, z: Floats) -> Floats:
        """How much each choice is too cheap, or within T_max too easily: 0 where the printed one wins."""
        seconds, joules = self.listed.totals(z)
        short = MARGIN - np.log(joules / joules[self.at])
        if self.limited:
            short = np.minimum(short, MARGIN - np.log(seconds / self.listed.limit))
        short[self.at] = np.log(seconds[self.at] / self.listed.limit) + MARGIN / 10 if self.limited else 0.0
        return np.asarray(np.maximum(short, 0.0))


def demands(data: str) -> list[Demand]:
    """The printed Optimum, Full Model and Minimal Model as demands."""
    full, count = decision(data, "full"), MINIMAL_EPOCHS[data]
    minimal = decision(data, "minimal")
    models = tuple(PROFILES) if count is None else (minimal.model,)
    wanted = [
        (published(data), decision(data, "optimum"), True),
        (constant(data, 32, FULL_EPOCHS[data], (full.model,)), full, data == "data2"),
        (constant(data, 1, count or 1, models), minimal, count is not None),
    ]
    return [Demand(listed, listed.choices.at(choice), limited) for listed, choice, limited in wanted]


def printed(data: str, full: int | None = None) -> tuple[list[tuple[str, str, float]], Floats, Floats]:
    """Printed totals, the work of an epoch (totals, 7), and how many epochs; `full`: of the Full Model, assumed."""
    rows, full = totals(data), full or FULL_EPOCHS[data]
    asked = np.array([work(decision(data, name), images(data)) for name, _, _ in rows])
    counts = np.array([float(epochs_of(data, name, full)) for name, _, _ in rows])
    return rows, asked, counts


def log_ratios(data: str, z: Floats, full: int | None = None) -> Floats:
    """Logarithms of the model's totals over the printed ones, (..., totals)."""
    rows, asked, counts = printed(data, full)
    seconds, joules = epoch(z, asked)
    mine = np.where([quantity == "time" for _, quantity, _ in rows], seconds, joules) * counts
    return np.asarray(np.log(mine / [value for _, _, value in rows]))


def fit(data: str, radio: str, decided: bool, starts: int = STARTS) -> Floats:
    """The best of several starts, log speeds and log powers (14,)."""
    low, high = ranges(radio).low, ranges(radio).high
    middle, half = (low + high) / 2, (high - low) / 2
    wanted = demands(data) if decided else []

    def residuals(z: Floats) -> Floats:
        parts = [EXACTLY * log_ratios(data, z), (z - middle) / half]
        parts += [EXACTLY * demand.shortfall(z) for demand in wanted]
        return np.concatenate(parts)

    draws = np.random.default_rng(SEED)
    points = [middle] + [draws.uniform(low, high) for _ in range(starts)]
    answers = [least_squares(residuals, z, bounds=(low, high), x_scale=half, max_nfev=400) for z in points]
    best = min(answers, key=lambda answer: float(answer.cost))
    return np.asarray(best.x)


def identified(data: str, z: Floats) -> tuple[Floats, Floats]:
    """Singular values, and directions (rank, 14), of the logarithms of the totals over log speeds and powers."""
    rows, asked, _ = printed(data)
    inverse, joules = unit_costs(z)
    jacobian = np.zeros((len(rows), 14))
    for k, (_, quantity, _) in enumerate(rows):
        share = asked[k] * (inverse if quantity == "time" else joules)
        share /= share.sum()
        jacobian[k, :7] = -share
        jacobian[k, 7:] = 0.0 if quantity == "time" else share
    _, values, right = np.linalg.svd(jacobian)
    rank = int(np.sum(values > 1e-9 * values[0]))
    return values[:rank], right[:rank]


def intervals(data: str, radio: str, tolerance: float) -> dict[str, list[list[float]]]:
    """What each speed, and each energy of a MAC or bit, can be when every total is within the tolerance."""
    found: dict[str, list[list[float]]] = {}
    for part, name in enumerate(PARTS):
        ends = []
        for variable in (part, 7 + part):
            least, most = (_extreme(data, radio, tolerance, {variable: sign}) for sign in (1.0, -1.0))
            pair = [-least[part], -most[part]] if variable < 7 else [z[7 + part] - z[part] for z in (least, most)]
            low, high = sorted(float(np.exp(v)) for v in pair)
            ends.append([1.0 / high, 1.0 / low] if variable < 7 else [low, high])
        found[name] = [[_digits(v) for v in pair] for pair in ends]
    return found


def _extreme(data: str, radio: str, tolerance: float, goal: dict[int, float]) -> Floats:
    system = System(radio)
    add_totals(system, data, FULL_EPOCHS[data], tolerance)
    z = system.solve(goal)
    if z is None:
        raise SystemExit(f"{data}: no parameters give the totals within {tolerance:g}")
    return z


def _digits(value: float, count: int = 6) -> float:
    return float(f"{value:.{count}g}")


def verdicts(data: str, z: Floats) -> dict[str, Any]:
    """What the model decides with these parameters, beside what is printed."""
    listed = published(data)
    best, (found, cheapest) = int(optimum(listed, z)), minimal_choice(data, z)
    risk, within_model = risk_needed(listed, z, decision(data, "jqodi"))
    return {
        "optimum": _words(listed.choices.listed[best]),
        "full_right": bool(full_right(data, z)),
        "full_others_need": {name: int(count) for name, count in needed_epochs(data, z).items()},
        "minimal": _words(found.listed[int(cheapest)]),
        "risk_needed": _digits(float(risk), 4),
        "risk_needed_within_model": _digits(float(within_model), 4),
    }


def _words(choice: Choice) -> str:
    return f"{choice.model}, {choice.bits} bits, cut {choice.cut}, {choice.server}"


def report(data: str, radio: str, decided: bool) -> dict[str, Any]:
    """One fit as plain data."""
    z = fit(data, radio, decided)
    rows = printed(data)[0]
    residuals = {
        f"{name} {quantity}": float(f"{r:.2e}")
        for (name, quantity, _), r in zip(rows, log_ratios(data, z), strict=True)
    }
    names = [f"{kind} {part}" for kind in ("speed", "power") for part in PARTS]
    values, directions = identified(data, z)
    return {
        "parameters": {
            p: {"speed": _digits(np.exp(z[i])), "power": _digits(np.exp(z[7 + i]))} for i, p in enumerate(PARTS)
        },
        "residuals": residuals,
        "shortfalls": [round(float(demand.shortfall(z).max()), 5) for demand in demands(data)],
        "verdicts": verdicts(data, z),
        "singular_values": [float(f"{v:.3g}") for v in values],
        "directions": [
            {name: round(float(c), 2) for name, c in zip(names, row, strict=True) if abs(c) >= 0.1}
            for row in directions
        ],
    }


def main() -> None:
    """Fit, print and write."""
    found: dict[str, Any] = {}
    for data in SETS:
        found[data] = {}
        for radio in RADIOS:
            entry: dict[str, Any] = {"totals": report(data, radio, False), "decisions": report(data, radio, True)}
            entry["intervals"] = {"within": TOLERANCE, "speed_and_energy": intervals(data, radio, TOLERANCE)}
            found[data][radio] = entry
            tell(data, radio, entry)
    write_text(HERE / "fit.json", json.dumps(found, indent=1) + "\n")


def tell(data: str, radio: str, entry: dict[str, Any]) -> None:
    """Print what a reader asks first."""
    for kind in ("totals", "decisions"):
        part = entry[kind]
        print(f"{data}, Wi-Fi as {radio}, fitted to {kind}")
        for name, values in part["parameters"].items():
            print(f"  {name:14s} {values['speed']:.3e} /s  {values['power']:7.2f} W")
        print(f"  log residuals {part['residuals']}")
        print(f"  short of the printed Optimum, Full, Minimal by {part['shortfalls']}")
        print(f"  the model decides {part['verdicts']}")
        print(f"  identified: {len(part['singular_values'])} of 14, singular values {part['singular_values']}")
        for direction in part["directions"]:
            print(f"    {direction}")
    print("  speed [1/s] and energy [J] of a MAC or bit, all totals within 2 %")
    for name, (speed, energy) in entry["intervals"]["speed_and_energy"].items():
        print(f"  {name:14s} {speed[0]:.2e} to {speed[1]:.2e}   {energy[0]:.2e} to {energy[1]:.2e}")


if __name__ == "__main__":
    main()

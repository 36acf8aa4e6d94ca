"""Parameter sets drawn uniformly, in logarithms, from all that meet the printed totals within a tolerance.

Exact and independent: no chain. Most coordinates are drawn from their ranges. What remains, the speeds and powers of
the cloud's links, is drawn from the interval that totals and ranges leave it given the others: a total is linear in a
speed's inverse and in a power. A draw's weight is the product of these intervals' lengths, and it is kept with
probability weight over the largest weight seen (rejection with an empirical supremum: Caffo, Booth and Davis,
Biometrika 89, 2002), so that what is kept is uniform on the whole set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fit import log_ratios, printed
from model import PARTS, Floats, Ranges, unit_costs
from numpy.typing import NDArray

BATCH = 400_000
BATCHES = 10
"""At the least: the largest weight shall be near the true one."""

ENOUGH = 1.2
"""Draws end when as many times the sets asked for can be expected to be kept."""


@dataclass(frozen=True)
class Target:
    """The set to draw from: ranges, and totals within a tolerance, with an assumed K of the Full Model."""

    data: str
    allowed: Ranges
    tolerance: float
    full: int

    def inside(self, z: Floats) -> NDArray[np.bool_]:
        """Whether sets (n, 14) lie in it."""
        ratios = np.exp(log_ratios(self.data, z, self.full))
        box = ((z >= self.allowed.low) & (z <= self.allowed.high)).all(axis=-1)
        return np.asarray(box & (np.abs(ratios - 1.0) <= self.tolerance).all(axis=-1))

    def solved(self) -> list[tuple[int, list[int]]]:
        """Coordinates that are drawn from what totals leave them, each with the totals that it is in."""
        rows, asked, _ = printed(self.data, self.full)
        found = []
        for quantity, offset in (("time", 0), ("energy", 7)):
            for link in ("a100-rtx3090", "a100-rtx4090"):
                part = PARTS.index(link)
                own = [k for k, row in enumerate(rows) if row[1] == quantity and asked[k, part] > 0]
                if own:
                    found.append((offset + part, own))
        return found


def draw(target: Target, count: int, seed: int, batches: int = BATCHES) -> Floats:
    """`count` sets (count, 14)."""
    draws = np.random.default_rng(seed)
    kept: list[Floats] = []
    weights: list[Floats] = []
    total, largest = 0.0, 0.0
    while len(kept) < batches or not largest or total < ENOUGH * count * largest:
        z, weight = _batch(target, draws)
        kept.append(z)
        weights.append(weight)
        total += float(weight.sum())
        largest = max(largest, float(weight.max(initial=0.0)))
    z, weight = np.concatenate(kept), np.concatenate(weights)
    found = z[draws.random(len(z)) * largest < weight]
    return found[:count] if len(found) >= count else draw(target, count, seed + 1, batches)


def _batch(target: Target, draws: np.random.Generator) -> tuple[Floats, Floats]:
    """Draws that can meet all totals, and their weights."""
    low, high = target.allowed.low, target.allowed.high
    z = draws.uniform(low, high, (BATCH, 14))
    weight = np.ones(BATCH)
    for coordinate, totals in target.solved():
        least, most = _interval(target, z, coordinate, totals)
        some = most > least
        z, weight = z[some], weight[some]
        least, most = least[some], most[some]
        z[:, coordinate] = draws.uniform(least, most)
        weight *= most - least
    return z, weight


def _interval(target: Target, z: Floats, coordinate: int, totals: list[int]) -> tuple[Floats, Floats]:
    """Ends (n,) of a coordinate, log speed or log power of a part, that keep its range and these totals."""
    rows, asked, counts = printed(target.data, target.full)
    part, is_power = coordinate % 7, coordinate >= 7
    inverse, joules = unit_costs(z)
    unit = joules if is_power else inverse
    least = np.full(len(z), 0.0)
    most = np.full(len(z), np.inf)
    for k in totals:
        others = np.where(np.arange(7) == part, 0.0, asked[k])
        rest, slope, value = unit @ others, asked[k, part], rows[k][2] / counts[k]
        least = np.maximum(least, (value * (1.0 - target.tolerance) - rest) / slope)
        most = np.minimum(most, (value * (1.0 + target.tolerance) - rest) / slope)
    # With log cost = log power - log speed, the interval of the cost of a MAC or bit becomes that of the coordinate.
    with np.errstate(divide="ignore", invalid="ignore"):
        below, above = np.log(least), np.log(most)
    below, above = (below + z[:, part], above + z[:, part]) if is_power else (-above, -below)
    low, high = target.allowed.low[coordinate], target.allowed.high[coordinate]
    # A total that the others exceed leaves nothing: its logarithm is no number, and no comparison with it holds.
    return np.maximum(below, low), np.minimum(above, high)

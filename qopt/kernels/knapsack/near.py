"""Strongly correlated data over real numbers: cost + mu weight lies on a coarse grid but for rounding.

Where a profit is a weight and a constant, as in Pisinger's strongly correlated class, the sum of cost + mu weight says
how many constants a choice takes. Over floats these sums are off a grid by their rounding alone: each is

    base + step k + e,   k whole,   low <= e <= high,

low and high being sums over the classes. Whatever a relaxation shows such a sum to be at least may be rounded up to the
next k, and with the limit W on the weights a cost is at least base + step k + low - mu W. That bounds the number of
constants, as a constraint on the number of items would, and it is checked in exact arithmetic as
``["rounded", mu, lam, step]`` (`qopt.kernels.checker`). On exact grids `qopt.kernels.knapsack.rounding` does the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.knapsack.relaxation import Steps, frontier, hull_steps, relax

NOISE = 1e-11
"""Share of the greatest numbers by which sums may miss a grid: some hundred roundings."""

COARSE = 1e4
"""Times that noise, summed over all classes: a grid of a finer step is none."""

ALIKE, AGREE = 0.05, 1e-9
"""So large a share of pairs of neighbouring items must agree on mu, and so closely."""

SHORT = 9
"""Decimal digits of mu and of the step that are tried first: people write short numbers."""

DIVISIONS = 40
"""Of Euclid's algorithm: each at least halves the step."""

POINT = 1e-6
"""Share of a step by which a bound may pass a point of the grid and still count as being on it."""


@dataclass(frozen=True, repr=False)
class NearGrid(Brief):
    """What sums of cost + mu weight are near, in the units of a search.

    Attributes
    ----------
    mu, step : of the grid.
    base, low, high : sums are base + step k and something from low to high.
    table : (n, k) cost + mu weight.
    multiplier : of the limit, at which the relaxation of the table is best.
    least : what the relaxation shows the sum of a choice to be at least.
    """

    mu: float
    step: float
    base: float
    low: float
    high: float
    table: FloatArray
    multiplier: float
    least: float

    def cost_at(self, total: float, capacity: float) -> float:
        """What a choice costs at least whose sum of the table is at least `total`.

        Parameters
        ----------
        total : a lower bound on that sum.
        capacity : on the weights.
        """
        k = math.ceil((total - self.base - self.high) / self.step - POINT)
        return self.base + self.step * k + self.low - self.mu * capacity

    def bar(self, cutoff: float, capacity: float) -> float:
        """Choices whose sum of the table is above this cost `cutoff` or more.

        Parameters
        ----------
        cutoff : cost from which on a choice is of no interest.
        capacity : on the weights.
        """
        if not math.isfinite(cutoff):
            return cutoff
        k = math.ceil((cutoff + self.mu * capacity - self.base - self.low) / self.step + POINT)
        return self.base + self.high + self.step * (k - 1 + POINT)

    def steps(self, weight: FloatArray, present: BoolArray) -> Steps:
        """Hull steps of the table over the items that are present, those that save something.

        Parameters
        ----------
        weight : (n, k).
        present : (n, k) mask, as `hull_steps` takes it.
        """
        found = hull_steps(self.table, weight, present)
        saves = found.gain > 0
        return Steps(
            found.owner[saves], found.item[saves], found.gain[saves], found.load[saves], found.slope[saves], found.start
        )


def near_grid(cost: FloatArray, weight: FloatArray, capacity: float, unit: float) -> NearGrid | None:
    """The grid that cost + mu weight is near, for the mu on which most neighbours agree; None where there is none.

    Parameters
    ----------
    cost, weight : (n, k), shifted to the least of each class and scaled.
    capacity : on the sum of weights.
    unit : what a multiplier of 1 is in the units given, in which short numbers are short.
    """
    if not 0.0 < unit < math.inf or not 0.0 <= capacity < math.inf or cost.shape[1] < 2:
        return None
    raw = _agreed(cost, weight)
    if raw is None:
        return None
    size = max(float(np.abs(cost).max()), raw * float(np.abs(weight).max()))
    best: tuple[float, float, float, FloatArray, FloatArray] | None = None
    for mu in (float(f"{raw * unit:.{SHORT}g}") / unit, raw):
        table = cost + mu * weight
        above = table - table[:, :1]
        step = _step(above, NOISE * size)
        if step is None or step < COARSE * len(cost) * NOISE * size:
            continue
        off = above - np.rint(above / step) * step
        spread = float((off.max(axis=1) - off.min(axis=1)).sum())
        if best is None or spread < best[0]:
            best = spread, mu, step, table, off
    if best is None:
        return None
    _, mu, step, table, off = best
    floor = table.min(axis=1)
    _, steps = frontier(table - floor[:, None], weight)
    relaxed = relax(table - floor[:, None], weight, steps, capacity)
    least = relaxed.bound + float(floor.sum())
    noise = NOISE * size
    return NearGrid(
        mu=mu,
        step=step,
        base=float(table[:, 0].sum()),
        low=float(off.min(axis=1).sum()) - noise,
        high=float(off.max(axis=1).sum()) + noise,
        table=table,
        multiplier=relaxed.multiplier,
        least=least - noise,
    )


def _agreed(cost: FloatArray, weight: FloatArray) -> float | None:
    """The mu > 0 that most pairs of neighbouring items have in common, differing by one and the same amount."""
    order = np.argsort(weight, axis=1, kind="stable")
    c, w = np.take_along_axis(cost, order, 1), np.take_along_axis(weight, order, 1)
    rise, run = (c[:, 1:] - c[:, :-1]).ravel(), (w[:, 1:] - w[:, :-1]).ravel()
    by_run: IntArray = np.argsort(run, kind="stable")
    rise, run = rise[by_run], run[by_run]
    half = len(run) // 2
    apart = run[half:] - run[: len(run) - half]
    known = apart > 0
    slopes = np.sort(-(rise[half:] - rise[: len(rise) - half])[known] / apart[known])
    share = max(int(ALIKE * len(slopes)), 2)
    if len(slopes) <= share:
        return None
    widths = slopes[share:] - slopes[:-share]
    at = int(np.argmin(widths))
    mu = float(slopes[at + share // 2])
    return mu if mu > 0 and widths[at] <= AGREE * mu else None


def _step(above: FloatArray, noise: float) -> float | None:
    """The greatest number of which all of some numbers are multiples, but for noise, by Euclid's algorithm."""
    numbers = np.abs(above).ravel()
    numbers = numbers[numbers > noise]
    if not numbers.size:
        return None
    step = float(numbers.min())
    for _ in range(DIVISIONS):
        off = np.abs(numbers - np.rint(numbers / step) * step)
        rest = off[off > noise * np.maximum(np.rint(numbers / step), 1.0)]
        if not rest.size:
            times = np.rint(numbers / step)
            fitted = float(numbers @ times / (times @ times))
            short = float(f"{fitted:.{SHORT}g}")
            worst = [float(np.abs(numbers - times * x).max()) for x in (short, fitted)]
            return short if worst[0] <= 2.0 * worst[1] else fitted
        step = float(rest.min())
    return None

"""A multiple-choice knapsack with several rows as its search sees it: shifted, scaled, and bounded by multipliers.

Costs and weights are shifted to the least of their class and scaled by powers of two, so that sums round
relative to what is chosen and no unit matters. A `Core` holds the classes that are still open, in the order
in which a search decides them, and for multipliers the Lagrangian bound of every suffix of that order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qopt.arrays import BoolArray, FloatArray, IntArray
from qopt.kernels.grid import grain, room

TOLERANCE = 1e-13
"""Relative: what is within this of the best choice is closed, which is what sums round by."""

PROVED = 0.5e-9
"""Relative to the objective, whatever its offset: half of what a certificate asks for."""

EPSILON = 2.0**-52


@dataclass(frozen=True)
class Shifted:
    """Data of a search.

    Attributes
    ----------
    cost : (n, k), at least 0, about 1 at most.
    weight : (R, n, k), at least 0, rows scaled to about 1.
    capacity, margin : (R,) what weights may add up to, and how far sums may be off.
    cost_unit, weight_unit : exponents of two that scale back: an int, and (R,).
    offset : cost of the classes' least items, in the units given.
    grid : no two sums of `cost` are nearer than this; 0 if nothing is known.
    given_weight, allowed : (R, n, k) and (R,), for the exact test.
    """

    cost: FloatArray
    weight: FloatArray
    capacity: FloatArray
    margin: FloatArray
    cost_unit: int
    weight_unit: IntArray
    offset: float
    grid: float
    given_weight: FloatArray
    allowed: FloatArray

    @property
    def ceiling(self) -> float:
        """More than any choice costs."""
        return float(self.cost.max(axis=1, initial=0.0).sum()) + 1.0

    def broken(self, choice: IntArray) -> int | None:
        """A row that a choice breaks by the exact test."""
        rows = np.arange(len(choice))
        for r, allowed in enumerate(self.allowed):
            if math.fsum([*self.given_weight[r, rows, choice], -allowed]) > 0:
                return r
        return None


def shifted(cost: FloatArray, weight: FloatArray, allowed: FloatArray, on_grid: bool) -> Shifted:
    """Shift and scale data; every row has a finite limit.

    Parameters
    ----------
    allowed : (R,) limits with their slack.
    on_grid : whether to make use of costs and weights that lie on a grid.
    """
    floor_c, floor_w = cost.min(axis=1), weight.min(axis=2)
    c, w = cost - floor_c[:, None], weight - floor_w[:, :, None]
    capacity, margin = np.empty(len(weight)), np.zeros(len(weight))
    for r, row in enumerate(weight):
        whole = room(row, float(allowed[r])) if on_grid else None
        if whole is None:
            capacity[r] = math.fsum([allowed[r], *(-floor_w[r])])
            margin[r] = EPSILON * (len(cost) + 8) * (abs(allowed[r]) + float(np.abs(floor_w[r]).sum()))
        else:
            capacity[r] = whole
    offset = math.fsum(floor_c)
    top = float(c.max())
    step = grain(cost, abs(offset) + float(c.max(axis=1).sum())) if on_grid else 0.0
    cost_unit = _exponent(top)
    sizes = [capacity[r] if capacity[r] > 0 else float(w[r].max()) for r in range(len(weight))]
    weight_unit = np.array([_exponent(size) for size in sizes], dtype=np.int64)
    return Shifted(
        np.ldexp(c, -cost_unit),
        np.ldexp(w, -weight_unit[:, None, None]),
        np.ldexp(capacity, -weight_unit),
        np.ldexp(margin, -weight_unit),
        cost_unit,
        weight_unit,
        offset,
        float(np.ldexp(step, -cost_unit)),
        weight,
        allowed,
    )


def _exponent(size: float) -> int:
    return math.frexp(size)[1] if 0.0 < size < math.inf else 0


class Best:
    """Best choice so far, or the cost that a choice must stay below to be of interest.

    Attributes
    ----------
    value : shifted cost of the choice, or that cost.
    proved : least bound at which something was closed only because a gap was allowed.
    """

    def __init__(self, data: Shifted, value: float, gap: float) -> None:
        self.data, self.value, self.gap = data, value, gap
        self.choice: IntArray | None = None
        self.proved = math.inf
        self._rows = np.arange(len(data.cost))

    @property
    def objective(self) -> float:
        """Cost with its offset, scaled."""
        return self.value + float(np.ldexp(self.data.offset, -self.data.cost_unit))

    @property
    def whole(self) -> bool:
        """Whether costs lie on a grid so coarse that rounding cannot matter."""
        return self.data.grid > 1e6 * TOLERANCE * abs(self.value)

    @property
    def certain(self) -> bool:
        """Whether floats tell what `PROVED` asks for: not where the offset cancels nearly all of the cost."""
        return self.whole or PROVED * abs(self.objective) >= self._blur

    @property
    def exact(self) -> float:
        """Bounds from here on close a subproblem for good."""
        if self.choice is None:
            return self.value - TOLERANCE * abs(self.value)
        if self.whole:
            return self.value - self.data.grid * (1.0 - 1e-6)
        return self.value - min(TOLERANCE * abs(self.value), max(PROVED * abs(self.objective), self._blur))

    @property
    def _blur(self) -> float:
        return EPSILON * (len(self._rows) + 8) * abs(self.value)

    @property
    def threshold(self) -> float:
        """Bounds from here on close a subproblem, up to the gap that is allowed."""
        if self.choice is None or self.gap == 0.0:
            return self.exact
        return min(self.exact, self.value - self.gap * abs(self.objective))

    def closed(self, bounds: FloatArray) -> None:
        """Take note of what is about to be closed."""
        if self.gap and bounds.size:
            least = float(bounds.min())
            if least < self.exact:
                self.proved = min(self.proved, least)

    def offer(self, choice: IntArray) -> bool:
        """Take a choice if it is cheaper and keeps all rows, and improve it by exchanges of single items."""
        value = float(self.data.cost[self._rows, choice].sum())
        if value >= self.value or self.data.broken(choice) is not None:
            return False
        self.value, self.choice = value, choice.copy()
        better = self._exchanged(choice)
        value = float(self.data.cost[self._rows, better].sum())
        if value < self.value and self.data.broken(better) is None:
            self.value, self.choice = value, better
        return True

    def repair(self, choice: IntArray, allowed: BoolArray, multipliers: FloatArray) -> None:
        """Exchange one item at a time until all rows are kept: most relief for the least increase of priced cost."""
        data, choice = self.data, choice.copy()
        priced = data.cost + np.tensordot(multipliers, data.weight, 1)
        for _ in range(2 * len(choice)):
            w, p = data.weight[:, self._rows, choice], priced[self._rows, choice]
            left = data.capacity - w.sum(axis=1)
            over = float(np.maximum(-left, 0.0).sum())
            if over == 0.0:
                break
            after = np.maximum(data.weight - w[:, :, None] - left[:, None, None], 0.0).sum(axis=0)
            relief = np.where(allowed, over - after, 0.0)
            price = np.maximum(priced - p[:, None], 0.0) + 1e-9
            i, j = divmod(int(np.argmax(relief / price)), data.cost.shape[1])
            if relief[i, j] <= 0:
                break
            choice[i] = j
        self.offer(choice)

    def _exchanged(self, choice: IntArray) -> IntArray:
        """Exchange one item at a time for the greatest saving that fits, until none does."""
        data, choice = self.data, choice.copy()
        for _ in range(len(choice)):
            c, w = data.cost[self._rows, choice], data.weight[:, self._rows, choice]
            left = data.capacity - data.margin - w.sum(axis=1)
            fits = np.all(data.weight - w[:, :, None] <= left[:, None, None], axis=0)
            saving = np.where(fits, c[:, None] - data.cost, 0.0)
            i, j = divmod(int(np.argmax(saving)), data.cost.shape[1])
            if saving[i, j] <= 0:
                break
            choice[i] = j
        return choice


@dataclass(frozen=True)
class Priced:
    """Multipliers with what they say of the classes from each stage on.

    Attributes
    ----------
    multipliers : (R, J).
    names : (J,) their places in the list of all multipliers.
    bound : (J, m + 1) least cost + multipliers * weight of the classes left, less multipliers * capacity.
    cost, weight : (J, m + 1) and (R, J, m + 1), of the items that attain it.
    """

    multipliers: FloatArray
    names: IntArray
    bound: FloatArray
    cost: FloatArray
    weight: FloatArray


class Core:
    """Classes with more than one item left, in the order of a search.

    Classes whose items differ most in priced weight come first: what is decided last then fills the rows finely.

    Attributes
    ----------
    classes : (m,) which classes they are.
    options : items of each that are left.
    cost, weight : (m, p) and (R, m, p), by option; cost infinite beyond the last.
    base_cost, base_weight, base_choice : of the classes with one item left.
    least : (R, m + 1) least weight of the classes from each stage on.
    """

    def __init__(self, data: Shifted, allowed: BoolArray, multipliers: FloatArray) -> None:
        self.data = data
        count = allowed.sum(axis=1)
        most = np.where(allowed, data.weight, -np.inf).max(axis=2)
        spread = multipliers @ (most - np.where(allowed, data.weight, np.inf).min(axis=2))
        core = np.flatnonzero(count > 1)
        self.classes: IntArray = core[np.argsort(-spread[core], kind="stable")]
        fixed = np.flatnonzero(count == 1)
        self.base_choice: IntArray = np.argmax(allowed, axis=1)
        self.base_cost = float(data.cost[fixed, self.base_choice[fixed]].sum())
        self.base_weight: FloatArray = data.weight[:, fixed, self.base_choice[fixed]].sum(axis=1)
        self.options: list[IntArray] = [np.flatnonzero(allowed[i]) for i in self.classes]
        m, widest = len(self.classes), max((len(o) for o in self.options), default=1)
        self.cost = np.full((m, widest), np.inf)
        self.weight = np.zeros((len(data.weight), m, widest))
        for stage, (i, items) in enumerate(zip(self.classes, self.options, strict=True)):
            self.cost[stage, : len(items)] = data.cost[i, items]
            self.weight[:, stage, : len(items)] = data.weight[:, i, items]
        self.least = _from_each(np.where(np.isfinite(self.cost), self.weight, np.inf).min(axis=2))
        self.stages = m
        self._rows = np.arange(m)

    def picks(self, multipliers: FloatArray) -> IntArray:
        """(J, m) options of least priced cost, for (J, R) multipliers."""
        found: IntArray = np.argmin(self.cost + np.tensordot(multipliers, self.weight, 1), axis=2)
        return found

    def price(self, multipliers: FloatArray, names: IntArray) -> Priced:
        """What (J, R) multipliers say of every suffix."""
        picks = self.picks(multipliers)
        cost, weight = self.cost[self._rows, picks], self.weight[:, self._rows, picks]
        constant = multipliers @ self.data.capacity
        # A bound must not be too high by rounding: large multipliers cancel against the capacity.
        constant = constant + EPSILON * (self.stages + 8) * constant
        bound = _from_each(cost + np.einsum("jr,rjm->jm", multipliers, weight)) - constant[:, None]
        return Priced(multipliers.T.copy(), names, bound, _from_each(cost), _from_each(weight))

    def complete(self, decided: IntArray, multipliers: FloatArray) -> IntArray:
        """(n,) the choice of the first options decided and the others' picks at (R,) multipliers."""
        choice = self.base_choice.copy()
        option = self.picks(multipliers[None])[0]
        option[: len(decided)] = decided
        for i, items, j in zip(self.classes, self.options, option, strict=True):
            choice[i] = items[j]
        return choice


def _from_each(values: FloatArray) -> FloatArray:
    """Sums from each place of the last axis on, and 0 after the last."""
    found = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    found[..., :-1] = np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]
    return found

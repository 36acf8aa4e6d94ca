"""A multiple-choice knapsack with several rows as its search sees it: shifted, scaled, and bounded by multipliers.

Costs and weights are shifted to the least of their class and scaled by powers of two, so that sums round
relative to what is chosen and no unit matters. A `Core` holds the classes that are still open, in the order
in which a search decides them, and for multipliers the Lagrangian bound of every suffix of that order.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.exact import Late
from qopt.kernels.grid import grain, room
from qopt.kernels.knapsack.ranges import DIGITS_APART, is_wide, tamed
from qopt.kernels.knapsack.ties import Merged
from qopt.kernels.tolerances import EPSILON

SLACK_TERMS = 8
"""Roundings of a bound besides those of its sum, generously: scaling, multipliers, the limit."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Shifted(Brief):
    """Data of a search.

    Attributes
    ----------
    cost : (n, k), at least 0, about 1 at most.
    weight : (R, n, k), at least 0, rows scaled to about 1.
    capacity, margin : (R,) what weights may add up to, at most, and how far sums may be off.
    cost_unit, weight_unit : exponents of two that scale back: an int, and (R,).
    offset : cost of the classes' least items, in the units given.
    step : no two sums of `cost` are nearer than this; 0 if nothing is known.
    cost_error : how far costs of choices may be off because tied classes were merged, in the units given.
    above, scale : costs less the least of each class, in the units given, and what a choice is known to cost above
        that, at most the greatest of them; None where no number is lost beside the others.
    given_weight, allowed : (R, g, k) and (R,), for the exact test.
    owner : (g,) class here of each class given: tied ones are merged.
    """

    cost: FloatArray
    weight: FloatArray
    capacity: FloatArray
    margin: FloatArray
    cost_unit: int
    weight_unit: IntArray
    offset: float
    step: float
    cost_error: float
    above: FloatArray
    scale: float | None
    given_weight: FloatArray
    allowed: FloatArray
    owner: IntArray

    @property
    def ceiling(self) -> float:
        """More than any choice costs."""
        return float(self.cost.max(axis=1, initial=0.0).sum()) + 1.0

    def broken(self, choice: IntArray) -> int | None:
        """A row that a choice breaks by the exact test.

        Parameters
        ----------
        choice : (n,) column of each class.
        """
        given = choice[self.owner]
        classes = np.arange(len(given))
        for r, allowed in enumerate(self.allowed.tolist()):
            if math.fsum([*self.given_weight[r, classes, given].tolist(), -allowed]) > 0:
                return r
        return None


def shifted(
    given_cost: FloatArray,
    given_weight: FloatArray,
    allowed: FloatArray,
    on_grid: bool,
    tied: Merged,
    known: float = math.inf,
    deadline: float | None = None,
) -> Shifted:
    """Merge, shift and scale data; every row has a finite limit.

    Parameters
    ----------
    allowed : (R,) limits with their slack.
    on_grid : whether to make use of costs and weights that lie on a grid.
    tied : which classes to merge; a table in which that rounds is on no grid.
    known : what a choice is known to cost above the least of all classes; infinite for none.
    deadline : `time.perf_counter` at which it stops; None for none.
    given_cost : (g, k) as given.
    given_weight : (R, g, k) as given.

    Raises
    ------
    Late
        The time was over before all rows were there.
    """
    cost, weight = tied.table(given_cost), tied.table(given_weight)
    cost_error, error = float(tied.error(given_cost)), tied.error(given_weight)
    floor_c, floor_w = cost.min(axis=1), weight.min(axis=2)
    c, w = cost - floor_c[:, None], weight - floor_w[:, :, None]
    capacity, margin = np.empty(len(weight)), np.zeros(len(weight))
    for r, row in enumerate(weight):
        if deadline is not None and time.perf_counter() > deadline:
            raise Late
        whole = room(row, float(allowed[r])) if on_grid and error[r] == 0 else None
        if whole is None:
            capacity[r] = math.fsum([allowed[r], error[r], *(-floor_w[r])])
            margin[r] = EPSILON * (len(cost) + SLACK_TERMS) * (abs(allowed[r]) + float(np.abs(floor_w[r]).sum()))
            margin[r] += 2.0 * error[r]
        else:
            capacity[r] = whole
    offset = math.fsum(floor_c)
    step = grain(cost, abs(offset) + float(c.max(axis=1).sum())) if on_grid and cost_error == 0 else 0.0
    above, scale = c, min(known, float(c.max())) if is_wide(c) else None
    c = tamed(c, known)
    for r, most in enumerate((capacity + margin).tolist()):
        w[r] = tamed(w[r], max(most, 0.0))
    cost_unit = _exponent(float(c.max()))
    most_w = w.max(axis=(1, 2))
    sizes = [capacity[r] if capacity[r] > 0 else float(most_w[r]) for r in range(len(weight))]
    # A capacity far below all weights is no unit for them, nor is one that cancels to less than it may be off.
    sizes = [max(size, margin[r], most_w[r] * 2.0**-DIGITS_APART) for r, size in enumerate(sizes)]
    weight_unit = np.array([_exponent(size) for size in sizes], dtype=np.int64)
    with np.errstate(over="ignore"):  # far below 0, or no limit to weights so small
        capacity, margin = np.ldexp(capacity, -weight_unit), np.ldexp(margin, -weight_unit)
    return Shifted(
        cost=np.ldexp(c, -cost_unit),
        weight=np.ldexp(w, -weight_unit[:, None, None]),
        capacity=capacity,
        margin=margin,
        cost_unit=cost_unit,
        weight_unit=weight_unit,
        offset=offset,
        step=float(np.ldexp(step, -cost_unit)),
        cost_error=cost_error,
        above=above,
        scale=scale,
        given_weight=given_weight,
        allowed=allowed,
        owner=tied.owner,
    )


def _exponent(size: float) -> int:
    return math.frexp(size)[1] if 0.0 < size < math.inf else 0


@dataclass(frozen=True, repr=False)
class SuffixBounds(Brief):
    """Multipliers with the Lagrangian bounds that they give of the classes from each stage on.

    Attributes
    ----------
    multipliers : (R, J).
    names : (J,) their places in the pool of multipliers.
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

    Parameters
    ----------
    data : of the search.
    allowed : (n, k) mask of the items that are left.
    multipliers : (R,) by which classes are ordered.

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
        """(J, m) options of least priced cost, for (J, R) multipliers.

        Parameters
        ----------
        multipliers : of the rows, (R,) or one set a row.
        """
        found: IntArray = np.argmin(self.cost + np.tensordot(multipliers, self.weight, 1), axis=2)
        return found

    def suffix_bounds(self, multipliers: FloatArray, names: IntArray) -> SuffixBounds:
        """Lagrangian bounds of every suffix at (J, R) multipliers.

        Parameters
        ----------
        multipliers : of the rows, (R,) or one set a row.
        names : places in the pool of multipliers.
        """
        picks = self.picks(multipliers)
        cost, weight = self.cost[self._rows, picks], self.weight[:, self._rows, picks]
        constant = multipliers @ self.data.capacity
        # A bound must not be too high by rounding: large multipliers cancel against the capacity.
        constant = constant + EPSILON * (self.stages + SLACK_TERMS) * constant
        bound = _from_each(cost + np.einsum("jr,rjm->jm", multipliers, weight)) - constant[:, None]
        return SuffixBounds(multipliers.T.copy(), names, bound, _from_each(cost), _from_each(weight))

    def complete(self, decided: IntArray, multipliers: FloatArray) -> IntArray:
        """(n,) the choice of the first options decided and the others' picks at (R,) multipliers.

        Parameters
        ----------
        decided : (stage,) options taken.
        multipliers : of the rows, (R,) or one set a row.
        """
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

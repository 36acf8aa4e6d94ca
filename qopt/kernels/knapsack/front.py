"""The whole Pareto front of a multiple-choice knapsack: every budget answered by one call.

    all non-dominated (sum_i weight[i, c_i], sum_i cost[i, c_i]),  one item c_i per class

Class by class, the list of non-dominated partial sums is merged with itself shifted by every item (Nemhauser
and Ullmann, 1969). How each partial sum was made is kept in a few bytes, so that any point's choice can be
recovered. Where the lists grow beyond what is allowed, the front's supported points remain (those on its
lower convex hull, from the slopes of each class's hull), and a curve below which no choice lies.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import BoolArray, FloatArray, IntArray, WholeArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.limits import limit_with_slack
from qopt.kernels.arguments import check_options, number
from qopt.kernels.knapsack.front_sums import rounded_sums, walked_sums
from qopt.kernels.knapsack.relaxation import Steps, hull_steps, no_steps, undominated
from qopt.kernels.knapsack.scaled import checked
from qopt.kernels.knapsack.ties import Merged, merge
from qopt.kernels.tolerances import EPSILON, LIMIT_ROUNDING

MAX_LABELS = 10_000_000
"""Partial sums kept in all, and looked at for one class, before only supported points are returned."""

MOST_LABELS = 2**31 - 1
"""Places of labels are kept as 32-bit integers."""

FEW_ITEMS = 100_000
"""So many have their hulls in a few hundredths of a second, however late it is."""

FEW_POINTS = 0.05
"""Seconds that each sum of the supported points may take when the time is over: a front of one point helps nobody."""

AT_ONCE = 4_000_000
"""Items of points recovered together: 32 MB an array."""

SLACK_TERMS = 8
"""Roundings of a sum besides its additions, generously."""


@dataclass(frozen=True)
class Point:
    """What a budget buys.

    Attributes
    ----------
    index : place in the front.
    weight, cost : of the point.
    proved : no choice within the budget is cheaper.
    """

    index: int
    weight: float
    cost: float
    proved: bool


@dataclass(frozen=True, repr=False)
class Listed(Brief):
    """How the points of complete lists were made: class by class, the parent and the item of every label.

    Attributes
    ----------
    points : labels of the last list.
    classes : in the order in which they were merged.
    history : for each of them the parent and the item of every label.
    """

    points: int
    classes: list[int]
    history: list[tuple[WholeArray, WholeArray]]

    def choices(self, labels: IntArray) -> IntArray:
        """(P, n) items of some labels of the last list.

        Parameters
        ----------
        labels : partial answers, or their places.
        """
        found = np.empty((len(labels), len(self.classes)), dtype=np.int64)
        for i, (parent, item) in zip(self.classes[::-1], self.history[::-1], strict=True):
            found[:, i] = item[labels]
            labels = parent[labels].astype(np.int64)
        return found


@dataclass(frozen=True, repr=False)
class Stepped(Brief):
    """How supported points are made: so many of the hull steps are taken.

    Attributes
    ----------
    steps : of the hulls.
    """

    steps: Steps

    def choices(self, labels: IntArray) -> IntArray:
        """(P, n) items after some numbers of steps.

        Parameters
        ----------
        labels : partial answers, or their places.
        """
        found = np.tile(self.steps.start, (len(labels), 1))
        for row, taken in enumerate(labels.tolist()):
            found[row, self.steps.owner[:taken]] = self.steps.item[:taken]
        return found


@dataclass(frozen=True, repr=False)
class Curve(Brief):
    """The linear relaxation as a function of the limit, lowered by what its sums may be off.

    Attributes
    ----------
    weight, cost : (T,) where it bends.
    blur : rounding of the weights.
    """

    weight: FloatArray
    cost: FloatArray
    blur: float

    def below(self, allowed: ArrayLike) -> FloatArray:
        """A lower bound on the cost of every choice within some weights, none below the least.

        Parameters
        ----------
        allowed : mask of the elements that may be used.
        """
        return np.interp(np.asarray(allowed) + self.blur, self.weight, self.cost)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Front(Brief):
    """Points of least cost by weight.

    Attributes
    ----------
    weight, cost : (P,) ascending and descending.
    complete : these are all non-dominated points within the limit; otherwise some, as a rule the supported ones.
    gap : how far a point's cost may be above the optimum at weights from there to the next point, as a share of that
        cost, at most (infinite where that is 0); 0 if complete.
    limit : within which points were asked for.
    labels : partial sums kept.
    curve : lower bounds that need no points.
    """

    weight: FloatArray
    cost: FloatArray
    complete: bool
    gap: float
    limit: float
    labels: int
    curve: Curve
    _labels: IntArray
    _origin: Listed | Stepped
    _ties: Merged
    _given_weight: FloatArray

    def __len__(self) -> int:
        return len(self.weight)

    def choice(self, point: int) -> IntArray:
        """(n,) the column of each class at a point; InputError if there is no such point.

        Parameters
        ----------
        point : place in the front.
        """
        found: IntArray = self.choices([point])[0]
        return found

    def choices(self, points: ArrayLike) -> IntArray:
        """(P, n) the columns at some points.

        Parameters
        ----------
        points : (P,) their positions, from 0.

        Raises
        ------
        InputError
            There is no such point.
        """
        try:
            chosen = np.asarray(points)
        except ValueError:
            chosen = np.zeros((0, 0))
        whole = chosen.ndim == 1 and (chosen.dtype.kind in "iu" or not chosen.size)
        if not whole or np.any((chosen < 0) | (chosen >= len(self))):
            raise InputError("points", shown(points), f"whole numbers from 0 to {len(self) - 1}, the points")
        return self._ties.expand(self._origin.choices(self._labels[chosen.astype(np.int64)]))

    def at(self, limit: float) -> Point | None:
        """The cheapest point within a limit, with its slack of 1e-12, by the exact test; None if there is none.

        Parameters
        ----------
        limit : on the sums, as `solve` takes it.
        """
        allowed = limit_with_slack(number("limit", limit))
        index = self._last(allowed)
        if index < 0:
            return None
        cost, bound = float(self.cost[index]), self.lower_bound(limit)
        return Point(index, float(self.weight[index]), cost, bound is not None and cost <= bound)

    def lower_bound(self, weight: float) -> float | None:
        """A lower bound on the cost of every choice within a weight; None where there is no such choice.

        The optimum where the front is complete and no point is just above the weight, within what its sums may be
        off, to hide another one; otherwise the linear relaxation.

        Parameters
        ----------
        weight : of the same shape, or (R, n, k).
        """
        allowed = limit_with_slack(number("weight", weight))
        index = self._last(allowed)
        if index < 0 and self.curve.weight[0] > allowed + self.curve.blur:
            return None
        clear = index + 1 == len(self) or self.weight[index + 1] > allowed + self.curve.blur
        if self.complete and clear and index >= 0 and allowed <= limit_with_slack(self.limit):
            return float(self.cost[index])
        return float(self.curve.below(allowed))

    def _last(self, allowed: float) -> int:
        """The heaviest point within a weight; -1 if there is none."""
        index = int(np.searchsorted(self.weight, allowed, side="right")) - 1
        # A weight is a sum rounded once: only where that is the limit itself can the exact sum be above.
        if index >= 0 and self.weight[index] == allowed and not _keeps(self._given_weight, self.choice(index), allowed):
            index -= 1
        return index


def front(
    cost: ArrayLike,
    weight: ArrayLike,
    limit: float = math.inf,
    *,
    ties: Sequence[Sequence[int]] | None = None,
    time_limit: float | None = None,
    max_labels: int | None = None,
) -> Front:
    """All non-dominated pairs of weight and cost of complete choices.

    Parameters
    ----------
    cost, weight : (n, k), a class a row, finite, of any sign and scale.
    limit : only points within it, with relative slack 1e-12.
    ties : groups of classes that must take the same column.
    time_limit : seconds after which only supported points are returned.
    max_labels : partial sums kept (of some ten bytes each) before the same. None: 10 million.

    Returns
    -------
    Front
        Weights and costs are sums rounded once. Two sums that differ by less than rounding may count as equal.

    Raises
    ------
    InputError
        Shapes that differ, a number that is not finite or beyond 1e300, bad ties, bad options.
    """
    check_options(math.inf, 0.0, time_limit, max_labels=max_labels)
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    given_cost, given_weight, limit = checked(cost, weight, limit)
    tied = merge(ties, len(given_cost))
    c, w = tied.table(given_cost), tied.table(given_weight)
    error_c, error_w = float(tied.error(given_cost)), float(tied.error(given_weight))
    allowed = limit_with_slack(limit)
    present = undominated(c, w)
    late = deadline is not None and time.perf_counter() > deadline
    steps = no_steps(c, w) if late and c.size > FEW_ITEMS else hull_steps(c, w, present)
    curve = curve_of(c, w, steps, error_c, error_w)
    most = min(MAX_LABELS if max_labels is None else max_labels, MOST_LABELS)
    # With a limit the supported points come first, to which the time is given that is left then.
    walked = None if deadline is None else _walked(given_weight, given_cost, steps, tied, deadline)
    origin: Listed | Stepped | None
    origin, labels = _lists(c, w, present, allowed, error_w, deadline, most)
    made = None if origin is None else _listed(origin, given_cost, given_weight, tied, allowed, deadline)
    if origin is None or made is None:
        origin = Stepped(steps)
        loads, costs = walked or _walked(given_weight, given_cost, steps, tied, None)
        last, complete = np.arange(len(loads)), False
        for at in np.flatnonzero(loads == allowed).tolist():
            if not _keeps(given_weight, tied.expand(origin.choices(np.array([at])))[0], allowed):
                loads[at] = math.inf
    else:
        loads, costs = made
        last = np.arange(origin.points)
        # A label that passed for one within the limit may have hidden another one that is.
        complete = not np.any(loads > allowed)
    found_w, found_c, last = _staircase(loads, costs, last, allowed)
    gap = 0.0
    if not complete and len(last):
        bound = curve.below(np.append(found_w[1:], allowed))
        above, size = np.maximum(found_c - bound, 0.0), np.abs(found_c)
        shares = np.divide(above, size, out=np.where(above > 0, np.inf, 0.0), where=size > 0)
        gap = float(shares.max())
    return Front(
        weight=found_w,
        cost=found_c,
        complete=complete,
        gap=gap,
        limit=limit,
        labels=labels,
        curve=curve,
        _labels=last,
        _origin=origin,
        _ties=tied,
        _given_weight=given_weight,
    )


def _walked(
    weight: FloatArray, cost: FloatArray, steps: Steps, tied: Merged, deadline: float | None
) -> tuple[FloatArray, FloatArray]:
    """Weights and costs of the supported points that are reached in time; the first takes no step."""
    ends: list[float | None] = [None, None]
    if deadline is not None:
        now = time.perf_counter()
        ends = [max((now + deadline) / 2, now + FEW_POINTS), max(deadline, now + 2 * FEW_POINTS)]
    loads, costs = (walked_sums(x, steps, tied, end) for x, end in zip((weight, cost), ends, strict=True))
    return loads[: len(costs)], costs[: len(loads)]


def curve_of(c: FloatArray, w: FloatArray, steps: Steps, error_c: float, error_w: float) -> Curve:
    """The relaxation's optimum by limit, from the lightest choice to the cheapest."""
    rows = np.arange(len(c))
    loads = math.fsum(w[rows, steps.start]) + np.concatenate(([0.0], np.cumsum(steps.load)))
    costs = math.fsum(c[rows, steps.start]) - np.concatenate(([0.0], np.cumsum(steps.gain)))
    sizes = (float(np.abs(table).max(axis=1, initial=0.0).sum()) for table in (w, c))
    blur, blur_c = (EPSILON * (len(loads) + SLACK_TERMS) * size for size in sizes)
    costs -= blur_c
    costs[-1] = math.fsum(c.min(axis=1, initial=math.inf))
    return Curve(loads, costs - error_c, blur + error_w)


def _lists(
    c: FloatArray,
    w: FloatArray,
    present: BoolArray,
    allowed: float,
    error: float,
    deadline: float | None,
    max_labels: int,
) -> tuple[Listed | None, int]:
    """Non-dominated sums over all classes; None if a limit is reached first. And the labels kept."""
    floor_w = w.min(axis=1, initial=math.inf)
    shift_c, shift_w = c - c.min(axis=1, initial=math.inf)[:, None], w - floor_w[:, None]
    room = math.inf
    if math.isfinite(allowed):
        room = math.fsum([allowed, *(-floor_w)]) + LIMIT_ROUNDING * (abs(allowed) + float(np.abs(floor_w).sum()))
        room += error
    # Classes of small costs first: lists grow with what their classes can tell apart.
    order = np.argsort(np.where(present, shift_c, 0.0).max(axis=1), kind="stable")
    label_c, label_w = np.zeros(1), np.zeros(1)
    history: list[tuple[WholeArray, WholeArray]] = []
    total, pace = 0, 0.0
    if room < 0:
        nothing = np.zeros(0, dtype=np.int32)
        return Listed(0, list(range(len(c))), [(nothing, nothing)] * len(c)), 0
    for i in order.tolist():
        items = np.flatnonzero(present[i])
        size = len(label_c)
        begin = time.perf_counter()
        # As long as the last class took for each of its sums, at least.
        late = deadline is not None and begin + pace * size * len(items) >= deadline
        if late or size * len(items) > max_labels:
            return None, total
        # A run of rising weights for each item, so that a stable sort merges them.
        cand_w = (shift_w[i, items][:, None] + label_w).ravel()
        order_w = np.argsort(cand_w, kind="stable")
        cand_w = cand_w[order_w]
        cand_c = (shift_c[i, items][:, None] + label_c).ravel()[order_w]
        best = np.minimum.accumulate(cand_c)
        keep = np.flatnonzero(np.concatenate(([True], cand_c[1:] < best[:-1])) & (cand_w <= room))
        label_w = cand_w[keep]
        heaviest = np.concatenate((label_w[1:] > label_w[:-1], [True]))  # of equal weights the last is cheapest
        keep, label_w = keep[heaviest], label_w[heaviest]
        label_c, made = cand_c[keep], order_w[keep]
        item_type = np.uint8 if c.shape[1] <= 256 else np.uint16 if c.shape[1] <= 65536 else np.int64
        history.append(((made % size).astype(np.int32), items[made // size].astype(item_type)))
        total += len(keep)
        pace = (time.perf_counter() - begin) / len(order_w)
        if total > max_labels:
            return None, total
    return Listed(len(label_c), order.tolist(), history), total


def _listed(
    origin: Listed, cost: FloatArray, weight: FloatArray, tied: Merged, allowed: float, deadline: float | None
) -> tuple[FloatArray, FloatArray] | None:
    """Weights (infinite beyond the limit) and costs of all points, each rounded once; None if that takes too long."""
    rows = np.arange(len(cost))
    w, c = np.empty(origin.points), np.empty(origin.points)
    at_once = max(1, AT_ONCE // max(1, len(cost)))
    for begin in range(0, origin.points, at_once):
        if deadline is not None and time.perf_counter() >= deadline:
            return None
        part = np.arange(begin, min(begin + at_once, origin.points))
        choices = tied.expand(origin.choices(part))
        w[part], c[part] = rounded_sums(weight[rows, choices]), rounded_sums(cost[rows, choices])
        for at in np.flatnonzero((w[part] == allowed) & math.isfinite(allowed)).tolist():
            if not _keeps(weight, choices[at], allowed):
                w[begin + at] = math.inf
    return w, c


def _staircase(
    w: FloatArray, c: FloatArray, labels: IntArray, allowed: float
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Weights, costs and labels of the points within the limit that no other one dominates."""
    order = np.lexsort((c, w))
    order = order[(w[order] <= allowed) & (w[order] < math.inf)]
    best = np.minimum.accumulate(c[order])
    order = order[np.concatenate((np.ones(min(1, len(order)), dtype=bool), c[order][1:] < best[:-1]))]
    return w[order], c[order], labels[order]


def _keeps(weight: FloatArray, choice: IntArray, allowed: float) -> bool:
    """The exact test."""
    return math.fsum([*weight[np.arange(len(weight)), choice].tolist(), -allowed]) <= 0

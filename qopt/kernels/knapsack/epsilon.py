"""Epsilon-fronts of a multiple-choice knapsack: where the whole front has too many points, few that stand for all.

    for every choice of weight w and cost c a point of weight <= w and cost <= (1 + eps) c + eps0

Segment by segment between supported points. At a segment's multiplier every choice costs the segment's line plus its
reduced cost. Choices of small reduced cost are enumerated, sums that differ by little taken for one another; whatever
else lies in the segment is above the line by more than that depth. Where points that are close enough to one another
are not found so, one class takes the blame: with each of its items in turn the rest is a knapsack with segments of its
own, and the points of all these together stand for all choices (branch and bound, with a front in every leaf).
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.limits import limit_with_slack
from qopt.kernels.arguments import check_options, number
from qopt.kernels.knapsack.front import curve_of
from qopt.kernels.knapsack.front_sums import rounded_sums
from qopt.kernels.knapsack.relaxation import hull_steps, undominated
from qopt.kernels.knapsack.scaled import checked
from qopt.kernels.knapsack.segments import NOTHING, ROUNDINGS, Labels, Part, Segment, non_dominated
from qopt.kernels.knapsack.ties import Merged, merge
from qopt.kernels.tolerances import EPSILON

DEPTHS = (1.0 / 64.0, 1.0 / 8.0, 1.0)
"""To which reduced costs are enumerated before a class is branched on, as shares of what a point may cost too much."""

BLUNT = 0.25
"""Share of that by which sums may be taken for one another."""

THIN = 0.125
"""Share of that by which a choice must be better than what is known to be a point."""

MOST_FIXED = 40
"""Classes branched on, one below the other."""

AT_ONCE = 4_000_000
"""Numbers of points added up together."""


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class EpsilonFront(Brief):
    """Points that stand for all choices.

    Attributes
    ----------
    weight, cost : (P,) ascending and descending; sums rounded once.
    bound : (P,) no choice lighter than the next point (within the limit, of the last) costs less.
    eps, eps0 : as asked.
    proved : whether ``cost <= (1 + eps) bound + eps0`` everywhere, up to rounding: the points are an epsilon-front.
    limit : within which points were asked for.
    labels : partial sums made.
    """

    weight: FloatArray
    cost: FloatArray
    bound: FloatArray
    eps: float
    eps0: float
    proved: bool
    limit: float
    labels: int
    _choices: IntArray
    _ties: Merged

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def gap(self) -> float:
        """How far a point's cost may be above the optimum from its weight to the next point's, as a share, at most."""
        above = np.maximum(self.cost - self.bound, 0.0)
        size = np.abs(self.cost)
        shares = np.divide(above, size, out=np.where(above > 0, np.inf, 0.0), where=size > 0)
        return float(shares.max(initial=0.0))

    def choice(self, point: int) -> IntArray:
        """(n,) the column of each class at a point.

        Parameters
        ----------
        point : place in the front.

        Raises
        ------
        InputError
            There is no such point.
        """
        if not isinstance(point, int | np.integer) or not 0 <= point < len(self):
            raise InputError("point", shown(point), f"a whole number from 0 to {len(self) - 1}")
        return self._ties.expand(self._choices[point].astype(np.int64))


def epsilon_front(
    cost: ArrayLike,
    weight: ArrayLike,
    limit: float = math.inf,
    *,
    eps: float,
    eps0: float = 0.0,
    ties: Sequence[Sequence[int]] | None = None,
    time_limit: float | None = None,
) -> EpsilonFront:
    """Points that stand for every choice of a knapsack, proved segment by segment.

    Parameters
    ----------
    cost, weight : (n, k), a class a row, finite, of any sign and scale.
    limit : only points within it, with relative slack 1e-12.
    eps, eps0 : for every choice (c, w) there is a point of weight w or less and cost (1 + eps) c + eps0 or less. Costs
        may reach 0, where eps alone asks for every point.
    ties : groups of classes that must take the same column.
    time_limit : seconds after which segments are left as they are: `EpsilonFront.proved` and `gap` say what is known.

    Returns
    -------
    EpsilonFront
        None of its points beats another.

    Raises
    ------
    InputError
        Shapes that differ, a number that is not finite or beyond 1e300, bad ties, bad options.
    """
    check_options(math.inf, 0.0, time_limit)
    for name, value in (("eps", eps), ("eps0", eps0)):
        if not 0.0 <= number(name, value) < math.inf:
            raise InputError(name, shown(value), "a finite number >= 0")
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    given_cost, given_weight, limit = checked(cost, weight, limit)
    tied = merge(ties, len(given_cost))
    c, w = tied.table(given_cost), tied.table(given_weight)
    errors = float(tied.error(given_cost)), float(tied.error(given_weight))
    search = _Search(c, w, limit_with_slack(limit), errors, eps, eps0, deadline)
    search.run()
    choices = np.array(search.choices, dtype=np.int32).reshape(-1, len(c))
    # Sums as given, each rounded once.
    rows = np.arange(len(given_cost))
    loads, costs = np.empty(len(choices)), np.empty(len(choices))
    part = max(1, AT_ONCE // max(1, len(rows)))
    for begin in range(0, len(choices), part):
        chosen = tied.expand(choices[begin : begin + part].astype(np.int64))
        loads[begin : begin + part] = rounded_sums(given_weight[rows, chosen])
        costs[begin : begin + part] = rounded_sums(given_cost[rows, chosen])
    kept = non_dominated(loads, costs)
    kept = kept[loads[kept] <= limit_with_slack(limit)]
    bound = search.bounds(loads[kept], costs[kept])
    return EpsilonFront(
        weight=loads[kept],
        cost=costs[kept],
        bound=bound,
        eps=eps,
        eps0=eps0,
        proved=not search.open and bool(np.all(costs[kept] <= (1.0 + eps) * bound + eps0 + 8.0 * search.blur)),
        limit=limit,
        labels=search.labels,
        _choices=choices[kept].astype(np.int64),
        _ties=tied,
    )


class _Staircase:
    """The least cost that is known at every weight."""

    def __init__(self) -> None:
        self.x: list[float] = []
        self.cost: list[float] = []

    def at(self, x: float) -> float:
        """Of a choice of no more weight."""
        k = bisect.bisect_right(self.x, x)
        return self.cost[k - 1] if k else math.inf

    def costs(self, x: FloatArray) -> FloatArray:
        """(P,) of choices of no more weight than each."""
        if not len(x):
            return x
        first = max(bisect.bisect_right(self.x, float(x.min())) - 1, 0)
        last = bisect.bisect_right(self.x, float(x.max()))
        steps, costs = np.array(self.x[first:last]), np.array([math.inf, *self.cost[first:last]])
        found: FloatArray = costs[np.searchsorted(steps, x, side="right")]
        return found

    def between(self, low: float, high: float) -> tuple[FloatArray, FloatArray]:
        """Weights, from `low` on, at which the cost falls, and the costs from there on."""
        first, last = bisect.bisect_right(self.x, low), bisect.bisect_left(self.x, high)
        before = self.cost[first - 1] if first else math.inf
        return np.array([low, *self.x[first:last]]), np.array([before, *self.cost[first:last]])

    def add(self, x: float, cost: float) -> None:
        """A choice that is better than what is known."""
        k = bisect.bisect_right(self.x, x)
        end = k
        while end < len(self.x) and self.cost[end] >= cost:
            end += 1
        begin = k - 1 if k and self.x[k - 1] == x else k
        self.x[begin:end], self.cost[begin:end] = [x], [cost]


class _Search:
    """All segments, from the lightest on.

    Attributes
    ----------
    choices : columns of each point found.
    open : ranges of weight in which what is known is no epsilon-front, each with a bound.
    labels : sums made.
    blur : rounding of costs.
    """

    def __init__(
        self,
        c: FloatArray,
        w: FloatArray,
        allowed: float,
        errors: tuple[float, float],
        eps: float,
        eps0: float,
        deadline: float | None,
    ) -> None:
        self._c, self._w, self._allowed, self._deadline = c, w, allowed, deadline
        self._eps, self._eps0 = eps, eps0
        self._present = undominated(c, w)
        steps = hull_steps(c, w, self._present)
        self._curve = curve_of(c, w, steps, *errors)
        self._whole = Part(c, w, steps, np.ones(len(c), dtype=bool))
        size, heavy = (float(np.abs(table).max(axis=1, initial=0.0).sum()) for table in (c, w))
        self.blur = EPSILON * (len(c) + ROUNDINGS) * size + errors[0]
        self._blur_w = EPSILON * (len(c) + ROUNDINGS) * heavy + errors[1]
        self._known = _Staircase()
        self.choices: list[IntArray] = []
        self.open: list[tuple[float, float, float]] = []
        self.labels = 0

    def run(self) -> None:
        """Every segment within the limit."""
        self._walk(self._whole, -math.inf, self._allowed, 0)

    def bounds(self, weight: FloatArray, cost: FloatArray) -> FloatArray:
        """(P,) below which no choice lies that is lighter than the next point.

        Parameters
        ----------
        weight, cost : (P,) of the points, ascending in weight.
        """
        ends = np.append(weight[1:], self._allowed)
        found = self._target(cost) - self.blur
        for low, high, bound in self.open:
            here = (weight < high) & (ends > low)
            found[here] = np.minimum(found[here], bound)
        curve: FloatArray = np.minimum(np.maximum(found, self._curve.below(ends) if len(ends) else found), cost)
        return curve

    def _target(self, cost: FloatArray) -> FloatArray:
        """What choices must cost at least, for points of some costs to stand for them."""
        found: FloatArray = (cost - self._eps0) / (1.0 + self._eps)
        return found

    def _walk(self, part: Part, low: float, high: float, fixed: int) -> None:
        """All segments of a part that reach into a range of weights."""
        weight, cost = part.weight, part.cost
        first = max(int(np.searchsorted(weight, low, side="right")) - 1, 0)
        last = int(np.searchsorted(weight, high, side="right"))
        for t in range(first, last):
            if weight[t] <= self._allowed:
                self._add(part, t, NOTHING, float(weight[t]), float(cost[t]), 0.0)
        inner = min(last, len(weight) - 1)
        ends = np.minimum(weight[first + 1 : inner + 1], high)
        begins = weight[first:inner]
        lines = cost[first:inner] - part.steps.slope[first:inner] * (ends - begins)
        known = self._known.costs(np.maximum(begins, low))
        for t in (first + np.flatnonzero(~(lines - 4.0 * self.blur >= self._target(known)))).tolist():
            begin = float(weight[t])
            self._segment(part, t, max(low - begin, 0.0), min(float(weight[t + 1]), high) - begin, fixed)

    def _add(self, part: Part, taken: int, moved: IntArray, x: float, cost: float, least: float) -> None:
        """One more point, if it is better by more than something than what is known."""
        if cost < self._known.at(x) - least:
            self._known.add(x, cost)
            self.choices.append(part.chosen(taken, moved))

    def _segment(self, part: Part, t: int, low: float, end: float, fixed: int) -> None:
        """Points from `low` to `end` above a supported one: enumerated, or by cases of a class."""
        top, slope = float(part.cost[t]), float(part.steps.slope[t])
        allowed = max(self._eps * (top - slope * end) + self._eps0, 0.0)
        margin = 4.0 * self.blur + 4.0 * slope * self._blur_w
        own: Segment | None = None
        reached = 0.0
        for depth in DEPTHS:
            span = self._unsettled(part, t, low, end, reached - margin)
            if span is None:
                return
            low, end = span
            if self._deadline is not None and time.perf_counter() > self._deadline:
                break
            own = own or Segment(self._c, self._w, self._present, part, t)
            labels, made = own.enumerated(end, depth * allowed, BLUNT * allowed)
            self.labels += made
            if labels is None:
                break
            reached = depth * allowed
            self._settle(part, t, labels, THIN * allowed)
        span = self._unsettled(part, t, low, end, reached - margin)
        if span is None:
            return
        start = float(part.weight[t])
        late = self._deadline is not None and time.perf_counter() > self._deadline
        owner = int(part.steps.owner[t])
        if late or fixed >= MOST_FIXED:
            self.open.append((start + span[0], start + span[1], top - slope * span[1] - margin))
            return
        for item in np.flatnonzero(self._present[owner]).tolist():
            case = part.fixed(self._c, self._w, owner, item)
            self._walk(case, start + span[0], start + span[1], fixed + 1)

    def _unsettled(self, part: Part, t: int, low: float, end: float, depth: float) -> tuple[float, float] | None:
        """From where to where what is known does not stand for what lies `depth` above the line; None for nowhere."""
        start, top, slope = float(part.weight[t]), float(part.cost[t]), float(part.steps.slope[t])
        x, cost = self._known.between(start + low, start + end)
        ends = np.append(x[1:], start + end) - start
        left = np.flatnonzero(top - slope * ends + depth < self._target(cost))
        if not len(left):
            return None
        return max(float(x[left[0]]) - start, low), float(ends[left[-1]])

    def _settle(self, part: Part, t: int, labels: Labels, least: float) -> None:
        """Take the choices that are better than what is known, where by little, not."""
        start, top = float(part.weight[t]), float(part.cost[t])
        x, cost = start + labels.weight, top + labels.cost
        good = np.flatnonzero((cost < self._known.costs(x) - least) & (x <= self._allowed))
        for i in good.tolist():
            if cost[i] < self._known.at(float(x[i])) - least:
                self._add(part, t, labels.moved(i), float(x[i]), float(cost[i]), least)

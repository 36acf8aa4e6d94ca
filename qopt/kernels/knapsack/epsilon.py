"""Epsilon-fronts of a multiple-choice knapsack: where the whole front has too many points, few that stand for all.

    for every choice of weight w and cost c a point of weight <= w and cost <= (1 + eps) c + eps0

Segment by segment between supported points (Warburton, 1987, asks for the same of dynamic programs). At a segment's
multiplier every choice costs the segment's line plus its reduced cost. All choices of reduced cost up to some depth are
enumerated; whatever else lies in the segment is above the line by more than that depth. The depth is doubled until each
point, and the next, satisfy the definition: the proof is the enumeration. Where labels grow beyond what is kept, the
kernel's own search settles what is between two points.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.limits import SLACK, limit_with_slack
from qopt.kernels.arguments import check_options, number
from qopt.kernels.knapsack import single
from qopt.kernels.knapsack.front import curve_of
from qopt.kernels.knapsack.front_sums import rounded_sums
from qopt.kernels.knapsack.relaxation import Steps, hull_steps, undominated
from qopt.kernels.knapsack.scaled import checked
from qopt.kernels.knapsack.ties import Merged, merge
from qopt.kernels.tolerances import EPSILON

MOST_LABELS = 3_000_000
"""Partial sums of one segment before the kernel's search takes over."""

MOST_DEPTHS = 40
"""Tries of a segment."""

DEEPER = 4.0
"""By which the depth grows from try to try."""

FEW = 64
"""Up to so many labels none is worth removing."""

AT_ONCE = 4_000_000
"""Numbers of points added up together."""

SHALLOW = 1.0 / 256.0
"""Depth to which a segment is first enumerated, as a share of what a point may cost too much."""

BLUNT = 0.25
"""Share of that by which sums may be taken for one another."""

ROUNDINGS = 16.0
"""Of a reduced cost and its sums, generously."""


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
    _at: list[tuple[int, IntArray]]
    _steps: Steps
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
        return self._ties.expand(_chosen(self._steps, *self._at[point]))


def _chosen(steps: Steps, taken: int, moved: IntArray) -> IntArray:
    """(m,) columns after some hull steps, and what is changed of them: rows of class and item."""
    found = steps.start.copy()
    found[steps.owner[:taken]] = steps.item[:taken]
    if len(moved):
        found[moved[:, 0]] = moved[:, 1]
    return found


NOTHING = np.zeros((0, 2), dtype=np.int64)
"""Changed of a choice: classes and items, none."""


@dataclass
class _Labels:
    """Choices of one segment by rising weight above its begin, costs from there on, and how they were made."""

    weight: FloatArray
    cost: FloatArray
    places: IntArray
    history: list[tuple[IntArray, IntArray]]
    classes: list[int]
    items: list[IntArray]

    def moved(self, at: int) -> IntArray:
        """(M, 2) classes and items of a choice that are not those of the segment's begin."""
        label, found = int(self.places[at]), []
        for (parent, item), i, own in zip(self.history[::-1], self.classes[::-1], self.items[::-1], strict=True):
            taken = int(item[label])
            if taken:
                found.append((i, int(own[taken])))
            label = int(parent[label])
        return np.array(found, dtype=np.int64).reshape(-1, 2)


@dataclass
class _Place:
    """A choice: weight above the segment's begin, cost, and what is changed or how it was made."""

    x: float
    cost: float
    made: IntArray | tuple[_Labels, int]

    @property
    def moved(self) -> IntArray:
        """(M, 2) classes and items that are not those of the segment's begin."""
        return self.made[0].moved(self.made[1]) if isinstance(self.made, tuple) else self.made


class _Segment:
    """What lies between two supported points.

    Parameters
    ----------
    c, w : (m, k) costs and weights of the merged classes.
    steps : of their hulls.
    at : how many are taken where the segment begins.
    room : weight from its begin to its end.
    present : (m, k) items that no other of their class beats.
    """

    def __init__(self, c: FloatArray, w: FloatArray, steps: Steps, at: int, room: float, present: BoolArray) -> None:
        self.room, self.slope = room, float(steps.slope[at])
        self.base = _chosen(steps, at, NOTHING)
        rows = np.arange(len(c))
        self.load = w - w[rows, self.base][:, None]
        own = np.maximum(c - c[rows, self.base][:, None] + self.slope * self.load, 0.0)
        self.reduced = np.where(present, own, np.inf)

    def enumerated(self, lo: float, hi: float, depth: float, blunt: float) -> tuple[_Labels | None, int]:
        """Choices that stand for all of reduced cost up to a depth, of weight from `lo` to `hi`; and the sums made.

        For each such choice there is one of no more weight that costs more by `blunt` at most, or it is below `lo`.
        None where there are more sums than may be.
        """
        near = self.reduced <= depth
        near[np.arange(len(self.base)), self.base] = False
        classes = np.flatnonzero(near.any(axis=1)).tolist()
        # Classes of small weights first: lists grow with what their classes can tell apart.
        classes.sort(key=lambda i: float(np.abs(self.load[i][near[i]]).max()))
        items = [np.concatenate(([self.base[i]], np.flatnonzero(near[i]))) for i in classes]
        reduced = [np.concatenate(([0.0], self.reduced[i, own[1:]])) for i, own in zip(classes, items, strict=True)]
        loads = [self.load[i, own] for i, own in zip(classes, items, strict=True)]
        low, high = [0.0], [0.0]
        for entry in loads[::-1]:
            low.append(low[-1] + float(entry.min()))
            high.append(high[-1] + float(entry.max()))
        edge = EPSILON * ROUNDINGS * (abs(low[-1]) + abs(high[-1]) + self.room)
        r, x, made, blunted = np.zeros(1), np.zeros(1), 1, 0.0
        share = blunt / max(len(classes), 1)
        history = []
        for step, (add_r, add_x) in enumerate(zip(reduced, loads, strict=True)):
            size = len(r)
            if size * len(add_r) > MOST_LABELS:
                return None, made
            all_r, all_x = (add_r[:, None] + r).ravel(), (add_x[:, None] + x).ravel()
            left = len(loads) - step - 1
            keep = np.flatnonzero(
                (all_r <= depth + blunted) & (all_x + low[left] <= hi + edge) & (all_x + high[left] >= lo - edge)
            )
            if len(keep) > FEW:
                keep = keep[_undominated(all_x[keep], all_r[keep] - self.slope * all_x[keep], share)]
                blunted += share
            r, x = all_r[keep], all_x[keep]
            history.append((keep % size, keep // size))
            made += len(all_r)
        cost = r - self.slope * x
        inside = np.flatnonzero((x >= lo - edge) & (x < hi - edge))
        order = inside[_undominated(x[inside], cost[inside])]
        return _Labels(x[order], cost[order], order, history, classes, items), made


def _undominated(x: FloatArray, cost: FloatArray, share: float = 0.0) -> IntArray:
    """Places of the pairs that no other is as good as, by rising x; of those within a share in cost only the first."""
    order = np.lexsort((cost, x))
    if not len(order):
        return order
    before = np.minimum.accumulate(cost[order])
    found: IntArray = order[np.concatenate(([True], cost[order][1:] < before[:-1]))]
    if share > 0.0:
        step = np.floor(cost[found] / share)
        found = found[np.concatenate(([True], step[1:] != step[:-1]))]
    return found


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
    present = undominated(c, w)
    steps = hull_steps(c, w, present)
    search = _Search(c, w, present, steps, limit_with_slack(limit), errors, eps, eps0, deadline)
    search.run()
    at, bounds = search.at, np.array(search.bound)
    # Sums as given, each rounded once.
    rows = np.arange(len(given_cost))
    loads, costs = np.empty(len(at)), np.empty(len(at))
    part = max(1, AT_ONCE // max(1, len(rows)))
    for begin in range(0, len(at), part):
        chosen = tied.expand(np.array([_chosen(steps, *each) for each in at[begin : begin + part]]))
        loads[begin : begin + part] = rounded_sums(given_weight[rows, chosen])
        costs[begin : begin + part] = rounded_sums(given_cost[rows, chosen])
    kept = _undominated(loads, costs)
    kept = kept[loads[kept] <= limit_with_slack(limit)]
    # A point that fell out leaves its range to the one before it, whose bound is then the least of both.
    least = np.array([bounds[a:b].min() for a, b in zip(kept, [*kept[1:].tolist(), len(at)], strict=True)])
    least = np.minimum(least, costs[kept]) if len(kept) else least
    blur = search.blur
    proved = bool(np.all(costs[kept] <= (1.0 + eps) * least + eps0 + 4.0 * blur))
    return EpsilonFront(
        weight=loads[kept],
        cost=costs[kept],
        bound=least,
        eps=eps,
        eps0=eps0,
        proved=proved,
        limit=limit,
        labels=search.labels,
        _at=[at[i] for i in kept.tolist()],
        _steps=steps,
        _ties=tied,
    )


class _Search:
    """All segments, from the lightest on.

    Attributes
    ----------
    at : steps taken and what is changed, of each point.
    bound : of each point, below which no choice lies that is lighter than the next point.
    labels : sums made.
    blur : rounding of costs.
    """

    def __init__(
        self,
        c: FloatArray,
        w: FloatArray,
        present: BoolArray,
        steps: Steps,
        allowed: float,
        errors: tuple[float, float],
        eps: float,
        eps0: float,
        deadline: float | None,
    ) -> None:
        self._c, self._w, self._present, self._steps, self._allowed = c, w, present, steps, allowed
        self._eps, self._eps0, self._deadline = eps, eps0, deadline
        self.curve = curve_of(c, w, steps, *errors)
        self.loads, self.costs = self.curve.weight, self.curve.cost
        size = float(np.abs(c).max(axis=1, initial=0.0).sum())
        self.blur = EPSILON * (len(c) + ROUNDINGS) * size + errors[0]
        self.at: list[tuple[int, IntArray]] = []
        self.bound: list[float] = []
        self.labels = 0
        self._heaviest = float(np.abs(w).max(initial=0.0))

    def run(self) -> None:
        """Every segment within the limit."""
        if len(self.loads) and self.loads[0] > self._allowed + self.curve.blur:
            return
        for t in range(len(self._steps.gain)):
            if self.loads[t] > self._allowed:
                return
            room = min(float(self._steps.load[t]), self._allowed - float(self.loads[t]))
            late = self._deadline is not None and time.perf_counter() > self._deadline
            fall = float(self._steps.slope[t]) * room
            below = float(self.costs[t]) - fall  # the curve where the segment ends
            if late or fall <= self._eps * below + self._eps0 - 4.0 * self.blur:
                self.at.append((t, NOTHING))
                self.bound.append(below)
                continue
            self._segment(t, room, below)
        if self.loads[-1] <= self._allowed:
            self.at.append((len(self._steps.gain), NOTHING))
            self.bound.append(float(self.costs[-1]))

    def _segment(self, t: int, room: float, below: float) -> None:
        """Points between two supported ones; deeper and deeper until they are close enough."""
        own = _Segment(self._c, self._w, self._steps, t, room, self._present)
        self._allowed_above = max(self._eps * below + self._eps0, 0.0)
        self._margin = self.blur + EPSILON * ROUNDINGS * len(self._c) * own.slope * self._heaviest
        depth = max(SHALLOW * self._allowed_above, own.slope * room * 1e-9)
        self._found: list[tuple[_Place, float]] = []
        self._cover(own, t, _Place(0.0, float(self.costs[t]), NOTHING), room, depth)
        for place, bound in sorted(self._found, key=lambda each: each[0].x):
            self.at.append((t, place.moved))
            self.bound.append(bound)

    def _target(self, cost: float) -> float:
        """What a choice must cost at least, for a point of a cost to stand for it."""
        return (cost - self._eps0 + 2.0 * self.blur) / (1.0 + self._eps)

    def _cover(self, own: _Segment, t: int, first: _Place, end: float, depth: float) -> None:
        """Points from one that is known up to a weight, each with its bound."""
        top, blunt = float(self.costs[t]), BLUNT * self._allowed_above
        for _ in range(MOST_DEPTHS):
            late = self._deadline is not None and time.perf_counter() > self._deadline
            if late:
                break
            labels, made = own.enumerated(first.x, end, depth, blunt)
            self.labels += made
            if labels is None:
                self._searched(own, t, first, end)
                return
            places = [first]
            for i, (x, cost) in enumerate(zip(labels.weight.tolist(), (top + labels.cost).tolist(), strict=True)):
                if x > first.x and cost < first.cost:
                    places.append(_Place(x, cost, (labels, i)))
            found = list(self._thinned(own, top, places, end, depth, blunt))
            left = [k for k, (_, _, _, close) in enumerate(found) if not close]
            # One deeper range from the first point that does not do to the last: sums of one serve the others.
            outside = found if not left else [*found[: left[0]], *found[left[-1] + 1 :]]
            self._found += [(place, bound) for place, bound, _, _ in outside]
            if not left:
                return
            enough = max(self._target(found[k][0].cost) - (top - own.slope * found[k][2]) for k in left)
            first, end = found[left[0]][0], found[left[-1]][2]
            depth = min(DEEPER * depth, enough + 2.0 * self._margin + 2.0 * self.blur)
        self._found.append((first, top - own.slope * end - self.blur))

    def _thinned(
        self, own: _Segment, top: float, places: list[_Place], end: float, depth: float, blunt: float
    ) -> Iterator[tuple[_Place, float, float, bool]]:
        """Points that are needed, each with its bound, the weight to which it holds, and whether it is close enough."""
        blunt += self._margin
        until = [*(place.x for place in places[1:]), end]
        costs = [places[0].cost, *(place.cost - blunt for place in places[1:])]
        beyond = [top - own.slope * max(x, 0.0) + depth - self._margin - self.blur for x in until]
        i = 0
        while i < len(places):
            target, k, bound = self._target(places[i].cost), i, math.inf
            # The range of i ends before the first that it does not stand for.
            while k < len(places):
                least = min(bound, costs[k] if k > i else places[i].cost - (blunt if k else 0.0))
                if min(least, beyond[k]) < target:
                    break
                bound, k = least, k + 1
            close = k > i
            k = max(k, i + 1)
            yield places[i], min(bound, beyond[k - 1], places[i].cost), until[k - 1], close
            i = k

    def _searched(self, own: _Segment, t: int, first: _Place, end: float) -> None:
        """Points from one on, each the lightest choice for which the one before does not stand: a search for each."""
        top, start = float(self.costs[t]), float(self.loads[t])
        rows = np.arange(len(self._c))
        while True:
            left = None if self._deadline is None else max(self._deadline - time.perf_counter(), 0.0)
            target = self._target(first.cost)
            limit = target - 2.0 * SLACK * abs(target) - self.blur
            found = single.solve(self._w, self._c, limit, time_limit=left, on_grid=False)
            if found.status == "infeasible":
                self._found.append((first, target - self._margin))
                return
            if found.status != "optimal" or found.choice is None:
                self._found.append((first, top - own.slope * end - self.blur))
                return
            self._found.append((first, target - self._margin))
            x = math.fsum([*self._w[rows, found.choice].tolist(), -start])
            if x >= end:
                return
            moved = np.flatnonzero(found.choice != own.base)
            cost = math.fsum(self._c[rows, found.choice].tolist())
            first = _Place(x, cost, np.column_stack((moved, found.choice[moved])))

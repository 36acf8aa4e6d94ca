"""Non-dominated partial sums with bounds: the exact search inside `qopt.kernels.mckp`.

Classes are decided in the order of the weight that is at stake in them, the greatest first: what comes last is fine
grained, so the linear relaxation of the rest, which bounds every partial sum, is nearly exact early on.
(Pisinger's cores take the nearest second item first; on networks that leaves hundreds of times more sums.)
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.knapsack.incumbent import Incumbent
from qopt.kernels.knapsack.near import NearGrid
from qopt.kernels.knapsack.relaxation import hull_steps
from qopt.kernels.knapsack.scaled import Scaled

CANDIDATES = 5_000_000
"""Sums made from one class at most: about 40 bytes each for a moment, 200 MB in all."""


@dataclass(frozen=True, repr=False)
class Outcome(Brief):
    """How a search ended: whether it is complete, a bound if not, its order of classes and its size.

    Attributes
    ----------
    complete : whether nothing is left.
    bound : lower bound on what is.
    order : classes in the order in which they were decided.
    labels : sums kept in all.
    """

    complete: bool
    bound: float
    order: IntArray
    labels: int


def search(
    data: Scaled,
    present: BoolArray,
    multiplier: float,
    lagrangian: float,
    incumbent: Incumbent,
    *,
    deadline: float | None,
    max_labels: int,
    near: NearGrid | None = None,
) -> Outcome:
    """Search the items that are `present`, (n, k); the best choice ends up in `incumbent`.

    Parameters
    ----------
    multiplier, lagrangian : of the whole and its bound, by which items leave as the incumbent improves.
    deadline : `time.perf_counter` at which to stop.
    max_labels : sums kept in all (4 bytes each) before the search stops.
    data : the problem as the search sees it, or as plain JSON data.
    present : (n, k) mask of the items that are left.
    near : the grid that sums of costs and weights are near, where there is one: it bounds partial sums as well.
    """
    if not present.any(axis=1).all():
        return Outcome(True, np.inf, np.empty(0, dtype=np.int64), 0)
    core = _Core(data, present, multiplier)
    sums = _PartialSums(core, lagrangian, incumbent, None if near is None else _Rounding(core, near))
    pace = 0.0
    for stage in range(core.stages + 1):
        begin, made = time.perf_counter(), sums.made(stage)
        # As long as the last class took for each of its sums, at least.
        if deadline is not None and begin + pace * made > deadline:
            return Outcome(False, float(sums.bound.min()), core.classes, sums.total)
        if not sums.decide(stage):
            return Outcome(False, float(sums.bound.min()), core.classes, sums.total)
        if not len(sums.c):
            return Outcome(not incumbent.refused, incumbent.value, core.classes, sums.total)
        sums.complete(stage)
        pace = (time.perf_counter() - begin) / made
        late = deadline is not None and time.perf_counter() > deadline
        if stage < core.stages and (late or sums.total > max_labels):
            return Outcome(False, float(sums.bound.min()), core.classes, sums.total)
    return Outcome(not incumbent.refused, float(sums.c.min()), core.classes, sums.total)


class _Core:
    """Classes with several items left, in the order in which they are decided.

    Attributes
    ----------
    classes : (m,) which ones they are, in the order of their decision: stage s decides ``classes[s - 1]``.
    stage_of : (n,) place of each class in `classes`, -1 for classes with one item left.
    reduced_cost : (n, k) against the cheapest item of the class at the multiplier; infinite where not present.
    cheapest : (n,) that item.
    steps : hull steps of all classes, the steepest first.
    rest_c, rest_w : (m,) sums over the lightest items of the classes from each place on.
    """

    def __init__(self, data: Scaled, present: BoolArray, multiplier: float) -> None:
        self.c, self.w, self.present = data.c, data.w, present
        c, w, n = data.c, data.w, len(data.c)
        items_left = present.sum(axis=1)
        priced = np.where(present, c + multiplier * w, np.inf)
        self.cheapest: IntArray = np.argmin(priced, axis=1)
        priced -= priced[np.arange(n), self.cheapest][:, None]
        self.reduced_cost = priced
        several = np.flatnonzero(items_left > 1)
        at_stake = np.where(present, w, -np.inf)[several].max(axis=1) - np.where(present, w, np.inf)[several].min(
            axis=1
        )
        self.classes: IntArray = several[np.argsort(-at_stake, kind="stable")]
        self.stages = len(self.classes)
        self.fixed = np.flatnonzero(items_left == 1)
        self.steps = hull_steps(c, w, present)
        self.stage_of = np.full(n, -1)
        self.stage_of[self.classes] = np.arange(self.stages)
        lightest = self.steps.start[self.classes]
        self.rest_c = np.cumsum(c[self.classes, lightest][::-1])[::-1]
        self.rest_w = np.cumsum(w[self.classes, lightest][::-1])[::-1]


class _Rounding:
    """Which partial sums a near grid closes.

    Parameters
    ----------
    core : the classes in their order.
    near : the grid.
    """

    def __init__(self, core: _Core, near: NearGrid) -> None:
        self.near, steps = near, near.steps(core.w, core.present)
        self._stage, self._gain, self._load = core.stage_of[steps.owner], steps.gain, steps.load
        start = steps.start[core.classes]
        table = near.table[core.classes, start]
        self._rest_t = np.append(np.cumsum(table[::-1])[::-1], 0.0)
        self._rest_w = np.append(np.cumsum(core.w[core.classes, start][::-1])[::-1], 0.0)

    def open(self, stage: int, c: FloatArray, w: FloatArray, incumbent: Incumbent) -> BoolArray:
        """Sums that may still become a choice below the cutoff.

        Parameters
        ----------
        stage : classes decided.
        c, w : costs and weights of the sums.
        incumbent : for the capacity and the cutoff.
        """
        left = self._stage >= stage
        self._stage, self._gain, self._load = self._stage[left], self._gain[left], self._load[left]
        room = incumbent.capacity + incumbent.margin
        ways = self._rest_w[stage] + np.concatenate(([0.0], np.cumsum(self._load)))
        totals = self._rest_t[stage] - np.concatenate(([0.0], np.cumsum(self._gain)))
        least = c + self.near.mu * w + np.interp(room - w, ways, totals)
        kept: BoolArray = least <= self.near.bar(incumbent.cutoff, room)
        return kept


class _PartialSums:
    """Labels of one stage: sums over the classes decided, none of which another one dominates.

    Attributes
    ----------
    c, w, bound : (labels,) their costs, weights and lower bounds.
    total : labels of all stages.
    """

    def __init__(self, core: _Core, lagrangian: float, incumbent: Incumbent, rounding: _Rounding | None) -> None:
        self.core, self.lagrangian, self.incumbent, self.rounding = core, lagrangian, incumbent, rounding
        self.room = incumbent.capacity + incumbent.margin
        cheapest = core.cheapest[core.fixed]
        self.c = np.array([float(core.c[core.fixed, cheapest].sum())])
        self.w = np.array([float(core.w[core.fixed, cheapest].sum())])
        self.bound, self.total = self.c, 0
        self._history: list[tuple[IntArray, int, IntArray]] = []
        # Hull steps of the classes that are still open.
        self._stage, self._gain, self._load = core.stage_of[core.steps.owner], core.steps.gain, core.steps.load
        self._curve_w = self._curve_c = np.zeros(1)

    def made(self, stage: int) -> int:
        """Sums that the decision of a stage makes, at most."""
        items = self.core.present[self.core.classes[stage - 1]].sum() if stage else 1
        return len(self.c) * int(items)

    def decide(self, stage: int) -> bool:
        """Decide one more class and prune; False if there would be too many labels.

        Stage s extends all labels by the items of the class of place s - 1, stage 0 takes the classes with one item.
        """
        core, incumbent = self.core, self.incumbent
        if stage:
            i, size = core.classes[stage - 1], len(self.c)
            items = np.flatnonzero(core.present[i] & (core.reduced_cost[i] + self.lagrangian < incumbent.cutoff))
            if size * len(items) > CANDIDATES:
                return False
            # Item by item, so that the runs are sorted by weight already.
            c, w = (core.c[i, items][:, None] + self.c).ravel(), (core.w[i, items][:, None] + self.w).ravel()
            left = self._stage >= stage
            self._stage, self._gain, self._load = self._stage[left], self._gain[left], self._load[left]
        else:
            c, w = self.c, self.w
        self._relax_rest(stage)
        spare = self.room - w
        bound = c - np.interp(spare, self._curve_w, self._curve_c)
        keep = np.flatnonzero((spare >= self._curve_w[0]) & (bound < incumbent.cutoff))
        keep = keep[np.argsort(w[keep], kind="stable")]
        if keep.size > 1:
            cheapest = np.minimum.accumulate(c[keep])
            keep = keep[np.concatenate(([True], cheapest[1:] < cheapest[:-1]))]
        if self.rounding is not None:
            keep = keep[self.rounding.open(stage, c[keep], w[keep], incumbent)]
        if stage:
            self._history.append((keep.astype(np.int32), size, items))
        self.c, self.w, self.bound = c[keep], w[keep], bound[keep]
        self.total += len(keep)
        return True

    def complete(self, stage: int) -> None:
        """Complete every label with whole hull steps while they fit, and offer the best."""
        core, incumbent = self.core, self.incumbent
        # Twice the margin off: what is offered is not refused for rounding.
        reached = np.searchsorted(self._curve_w, self.room - 2.0 * incumbent.margin - self.w, side="right") - 1
        completed = np.where(reached >= 0, self.c - self._curve_c[np.maximum(reached, 0)], np.inf)
        best = int(np.argmin(completed))
        if completed[best] < incumbent.value:
            choice = self._choice(stage, best)
            taken = np.flatnonzero(core.stage_of[core.steps.owner] >= stage)[: int(reached[best])]
            choice[core.steps.owner[taken]] = core.steps.item[taken]
            incumbent.offer(choice)
        elif stage == core.stages:
            # Only labels within rounding of the limit are left: the exact test decides.
            for label in np.argsort(self.c, kind="stable"):
                if incumbent.offer(self._choice(stage, int(label))):
                    break

    def _relax_rest(self, stage: int) -> None:
        """The linear relaxation of the classes from a stage on: least cost, negated, by the weight that is left."""
        if stage == self.core.stages:
            self._curve_w = self._curve_c = np.zeros(1)
            return
        rest_c, rest_w = self.core.rest_c[stage], self.core.rest_w[stage]
        curve_w, curve_c = np.empty(len(self._load) + 1), np.empty(len(self._load) + 1)
        curve_w[0], curve_c[0] = rest_w, -rest_c
        np.add.accumulate(self._load, out=curve_w[1:])
        curve_w[1:] += rest_w
        np.add.accumulate(self._gain, out=curve_c[1:])
        curve_c[1:] -= rest_c
        self._curve_w, self._curve_c = curve_w, curve_c

    def _choice(self, stage: int, label: int) -> IntArray:
        """The choice behind a label of a stage; classes not yet decided stand at their lightest item."""
        core = self.core
        choice: IntArray = core.cheapest.copy()
        choice[core.classes[stage:]] = core.steps.start[core.classes[stage:]]
        for s in range(stage - 1, -1, -1):
            kept, before, items = self._history[s]
            item, label = divmod(int(kept[label]), before)
            choice[core.classes[s]] = items[item]
        return choice

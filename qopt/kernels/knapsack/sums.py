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
from qopt.kernels.knapsack.incumbent import Incumbent
from qopt.kernels.knapsack.relaxation import hull_steps

CANDIDATES = 5_000_000
"""Sums made from one class at most: about 40 bytes each for a moment."""


@dataclass(frozen=True)
class Outcome:
    """How a search ended: whether it is complete, a bound if not, its order of classes and its size."""

    complete: bool
    bound: float
    order: IntArray
    labels: int


def search(
    c: FloatArray,
    w: FloatArray,
    present: BoolArray,
    lam: float,
    lower: float,
    incumbent: Incumbent,
    deadline: float | None,
    max_labels: int,
) -> Outcome:
    """Search the items that are `present`; the best choice ends up in `incumbent`.

    Parameters
    ----------
    c, w : (n, k) costs and weights, shifted so that every class has least 0.
    lam, lower : multiplier of the whole and its Lagrangian bound, by which items leave as the incumbent improves.
    max_labels : sums kept in all (4 bytes each) before the search stops.
    """
    n = len(c)
    items_left = present.sum(axis=1)
    none = np.empty(0, dtype=np.int64)
    if np.any(items_left == 0):
        return Outcome(True, np.inf, none, 0)
    room = incumbent.capacity + incumbent.margin
    safe = 2.0 * incumbent.margin
    reduced = np.where(present, c + lam * w, np.inf)
    choice = np.argmin(reduced, axis=1)
    reduced -= reduced[np.arange(n), choice][:, None]
    core = np.flatnonzero(items_left > 1)
    stake = np.where(present, w, -np.inf)[core].max(axis=1) - np.where(present, w, np.inf)[core].min(axis=1)
    core = core[np.argsort(-stake, kind="stable")]
    fixed = np.flatnonzero(items_left == 1)
    label_c = np.array([float(c[fixed, choice[fixed]].sum())])
    label_w = np.array([float(w[fixed, choice[fixed]].sum())])

    steps = hull_steps(c, w, present)
    stage_of = np.full(n, -1)
    stage_of[core] = np.arange(len(core))
    own, gain, load = stage_of[steps.owner], steps.gain, steps.load
    start_c, start_w = c[core, steps.start[core]], w[core, steps.start[core]]
    rest_c, rest_w = np.cumsum(start_c[::-1])[::-1], np.cumsum(start_w[::-1])[::-1]
    history: list[tuple[IntArray, int, IntArray]] = []
    total, bound = 0, label_c

    def recover(stage: int, label: int) -> IntArray:
        """The choice behind a label of a stage; classes not yet decided stand at their lightest item."""
        found: IntArray = choice.copy()
        found[core[stage:]] = steps.start[core[stage:]]
        for s in range(stage - 1, -1, -1):
            kept, before, items = history[s]
            item, label = divmod(int(kept[label]), before)
            found[core[s]] = items[item]
        return found

    for stage in range(len(core) + 1):
        if stage:  # decide class core[stage - 1]
            i = core[stage - 1]
            options = np.flatnonzero(present[i] & (reduced[i] + lower < incumbent.aim))
            size = len(label_c)
            if size * len(options) > CANDIDATES:
                return Outcome(False, float(bound.min()), core, total)
            # Option by option, so that the runs are sorted by weight already.
            cand_c = (c[i, options][:, None] + label_c).ravel()
            cand_w = (w[i, options][:, None] + label_w).ravel()
            left = own >= stage
            own, gain, load = own[left], gain[left], load[left]
        else:
            cand_c, cand_w = label_c, label_w
        if stage < len(core):
            curve_w, curve_c = np.empty(len(load) + 1), np.empty(len(load) + 1)
            curve_w[0], curve_c[0] = rest_w[stage], -rest_c[stage]
            np.add.accumulate(load, out=curve_w[1:])
            curve_w[1:] += rest_w[stage]
            np.add.accumulate(gain, out=curve_c[1:])
            curve_c[1:] -= rest_c[stage]
        else:
            curve_w = curve_c = np.zeros(1)
        spare = room - cand_w
        bound = cand_c - np.interp(spare, curve_w, curve_c)
        keep = np.flatnonzero((spare >= curve_w[0]) & (bound < incumbent.aim))
        keep = keep[np.argsort(cand_w[keep], kind="stable")]
        if keep.size > 1:
            running = np.minimum.accumulate(cand_c[keep])
            keep = keep[np.concatenate(([True], running[1:] < running[:-1]))]
        if stage:
            history.append((keep.astype(np.int32), size, options))
        label_c, label_w, bound = cand_c[keep], cand_w[keep], bound[keep]
        total += len(keep)
        if keep.size == 0:
            return Outcome(not incumbent.doubtful, incumbent.value, core, total)
        # Complete every label with whole hull steps while they fit; offer the best few.
        reached = np.searchsorted(curve_w, room - safe - label_w, side="right") - 1
        completed = np.where(reached >= 0, label_c - curve_c[np.maximum(reached, 0)], np.inf)
        best = int(np.argmin(completed))
        if completed[best] < incumbent.value:
            found = recover(stage, best)
            taken = np.flatnonzero(stage_of[steps.owner] >= stage)[: int(reached[best])]
            found[steps.owner[taken]] = steps.item[taken]
            incumbent.offer(found)
        elif stage == len(core):
            # Only labels within rounding of the limit are left: the exact test decides.
            for label in np.argsort(label_c, kind="stable"):
                if incumbent.offer(recover(stage, int(label))):
                    break
        late = deadline is not None and time.perf_counter() > deadline
        if stage < len(core) and (late or total > max_labels):
            return Outcome(False, float(bound.min()), core, total)
    return Outcome(not incumbent.doubtful, float(label_c.min()), core, total)

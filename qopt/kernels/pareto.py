"""Non-dominated partial sums with bounds: the exact search inside `qopt.kernels.mckp`."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from qopt.arrays import BoolArray, FloatArray, IntArray
from qopt.kernels.incumbent import Incumbent
from qopt.kernels.mckp_relax import hull_steps


@dataclass
class Outcome:
    """How a search ended: whether it is complete, a bound if not, and its size."""

    complete: bool
    bound: float
    core: int
    labels: int


def search(
    c: FloatArray,
    w: FloatArray,
    present: BoolArray,
    lam: float,
    incumbent: Incumbent,
    deadline: float | None,
    max_labels: int,
) -> Outcome:
    """Search the items that are `present`; the best choice ends up in `incumbent`.

    Parameters
    ----------
    c, w : (n, k) costs and weights, shifted so that every class has least 0.
    lam : multiplier by which classes are ordered: the nearer a second item is to its class's best, the sooner.
    """
    n = len(c)
    items_left = present.sum(axis=1)
    if np.any(items_left == 0):
        return Outcome(True, math.inf, 0, 0)
    room = incumbent.capacity + incumbent.margin
    safe = 2.0 * incumbent.margin
    reduced = np.where(present, c + lam * w, np.inf)
    rc = reduced - reduced.min(axis=1)[:, None]
    second = np.partition(rc, 1, axis=1)[:, 1] if c.shape[1] > 1 else np.full(n, np.inf)
    core = np.flatnonzero(items_left > 1)
    core = core[np.argsort(second[core], kind="stable")]
    fixed = np.flatnonzero(items_left == 1)
    choice = np.argmin(reduced, axis=1)
    label_c = np.array([float(c[fixed, choice[fixed]].sum())])
    label_w = np.array([float(w[fixed, choice[fixed]].sum())])

    steps = hull_steps(c, w, present)
    stage_of = np.full(n, -1)
    stage_of[core] = np.arange(len(core))
    own = stage_of[steps.owner]
    owner, item, gain, load = steps.owner, steps.item, steps.gain, steps.load
    start_c, start_w = c[core, steps.start[core]], w[core, steps.start[core]]
    rest_c, rest_w = np.cumsum(start_c[::-1])[::-1], np.cumsum(start_w[::-1])[::-1]
    history: list[tuple[IntArray, IntArray]] = []
    total = 0

    def recover(stage: int, label: int) -> IntArray:
        """The choice behind a label of a stage; classes not yet decided stand at their lightest item."""
        found: IntArray = choice.copy()
        found[core[stage:]] = steps.start[core[stage:]]
        for s in range(stage - 1, -1, -1):
            parent, taken = history[s]
            found[core[s]] = taken[label]
            label = int(parent[label])
        return found

    for stage in range(len(core) + 1):
        if stage:  # decide class core[stage - 1]
            i = core[stage - 1]
            options = np.flatnonzero(present[i])
            cand_c = (label_c[:, None] + c[i, options]).ravel()
            cand_w = (label_w[:, None] + w[i, options]).ravel()
            left = own >= stage
            own, owner, item, gain, load = own[left], owner[left], item[left], gain[left], load[left]
        else:
            cand_c, cand_w = label_c, label_w
        if stage < len(core):
            curve_w = np.concatenate(([rest_w[stage]], rest_w[stage] + np.cumsum(load)))
            curve_c = np.concatenate(([rest_c[stage]], rest_c[stage] - np.cumsum(gain)))
        else:
            curve_w = curve_c = np.zeros(1)
        spare = room - cand_w
        bound = cand_c + np.interp(spare, curve_w, curve_c)
        tolerance = 1e-13 * abs(incumbent.value) if math.isfinite(incumbent.value) else 0.0
        keep = np.flatnonzero((spare >= curve_w[0]) & (bound < incumbent.value - tolerance))
        keep = keep[np.argsort(cand_w[keep], kind="stable")]
        if keep.size > 1:
            running = np.minimum.accumulate(cand_c[keep])
            better = np.concatenate(([True], cand_c[keep[1:]] < running[:-1]))
            keep = keep[better]
        if stage:
            history.append((keep // len(options), options[keep % len(options)]))
        label_c, label_w, bound = cand_c[keep], cand_w[keep], bound[keep]
        total += len(keep)
        if keep.size == 0:
            return Outcome(not incumbent.doubtful, incumbent.value, len(core), total)
        # Complete every label with whole hull steps while they fit; offer the best few.
        reached = np.searchsorted(curve_w, room - safe - label_w, side="right") - 1
        completed = np.where(reached >= 0, label_c + curve_c[np.maximum(reached, 0)], np.inf)
        best = int(np.argmin(completed))
        if completed[best] < incumbent.value:
            found = recover(stage, best)
            taken = int(reached[best])
            found[owner[:taken]] = item[:taken]
            incumbent.offer(found)
        elif stage == len(core):
            # Only labels within rounding of the limit are left: the exact test decides.
            for label in np.argsort(label_c, kind="stable"):
                if incumbent.offer(recover(stage, int(label))):
                    break
        late = deadline is not None and time.perf_counter() > deadline
        if stage < len(core) and (late or total > max_labels):
            return Outcome(False, min(float(bound.min()), incumbent.value), len(core), total)
    return Outcome(not incumbent.doubtful, float(label_c.min()), len(core), total)

"""The Lagrangian dual of a resource-constrained shortest path, by cutting planes.

    maximise over lam >= 0:  min over paths p of  cost(p) + sum_r lam_r (resource_r(p) - limit_r)

Every path found is a cut: the least of their lines is an outer model, whose maximiser is the next multiplier to
try. With one limit the maximiser is where two lines cross; with several it is a small linear program. Where the
model has no maximum, a ray of multipliers is tried without costs: if its shortest path exceeds the limits,
nothing is feasible.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.paths.limits import Incumbent, Limits, longest
from qopt.kernels.paths.model import LONGEST, Cuts, OuterModel

KEPT_CUTS = 40
"""Cuts that a dual hands on to the next; those least tight at the best multiplier leave first.
Measured: 10 and 160 are as good."""

CONVERGED = 1e-9
"""Relative: the model's maximum and the best bound are the same, as far as a certificate asks."""

TIGHT = 1e-7
"""Relative: lines that attain the maximum. Looser than `CONVERGED`: where that was reached, two paths are found."""

STEPS, NODE_STEPS = 200, 60
"""Multipliers tried for a dual, at most, and for one at a node of a tree, where the parent's cuts are there already. An
end short of the maximum leaves a weaker bound, still a valid one."""


@dataclass(frozen=True, repr=False)
class Dual(Brief):
    """Best bound found over the multipliers.

    Attributes
    ----------
    bound : less what its sums may be off by, so that exact arithmetic finds no less; infinite where nothing is
        feasible.
    weights : (1 + r,) the leaf's numbers: 1 or, for a ray, 0; then the multipliers.
    cuts : of the model at its end.
    light, heavy : two paths to part: those of least and greatest weighted resource among the lines that attain the
        maximum; where that is one path, or several of one resource, `heavy` is another line that is known. None where
        there is no second one, or nothing is feasible.
    """

    bound: float
    weights: FloatArray
    cuts: Cuts
    light: IntArray | None = None
    heavy: IntArray | None = None


Shortest = Callable[[FloatArray, BoolArray], tuple[float, IntArray | None]]
Ascent = Generator[FloatArray, tuple[float, IntArray | None], Dual]


def maximise(shortest: Shortest, allowed: BoolArray, steps: Ascent) -> Dual:
    """Follow an `ascent`, with shortest paths over the elements that are allowed.

    Parameters
    ----------
    shortest : finds the shortest path by weights over what is allowed.
    allowed : mask of the elements that may be used.
    steps : an ascent under way.
    """
    try:
        weights = next(steps)
        while True:
            weights = steps.send(shortest(weights, allowed))
    except StopIteration as end:
        dual: Dual = end.value
        return dual


def ascent(
    bounds: Limits,
    incumbent: Incumbent,
    model: OuterModel,
    cuts: Cuts,
    *,
    guess: FloatArray | None = None,
    cutoff: float | None = None,
    deadline: float | None = None,
    most: int = STEPS,
) -> Ascent:
    """Maximise the dual; yields weights (1 + r,), takes length and steps of a shortest path, returns the `Dual`.

    Every path is offered to the incumbent.

    Parameters
    ----------
    model : solves the outer models.
    cuts : known lines of paths that are allowed.
    guess : (r,) multipliers to begin with.
    cutoff : stop once the bound reaches it; None for the incumbent's.
    bounds : its limits.
    deadline : `time.perf_counter` at which it stops; None for none.
    most : multipliers tried, at most.
    """
    room, reach = bounds.room, longest(incumbent.graph)
    best, best_lam = -math.inf, np.zeros(len(room))
    lam = np.zeros(len(room)) if guess is None and not cuts.paths else guess
    for _ in range(most):
        ray, guessed = False, lam is not None
        if lam is None:
            top, lam, ray = model.maximise(cuts)
            if not ray and top - best <= CONVERGED * max(abs(top), abs(best)):
                break
            if not ray and cutoff is not None and top < cutoff:
                best_lam = lam  # no multiplier can reach the cutoff: what ties here is where to split
                break
        with np.errstate(over="ignore", invalid="ignore"):
            if not float(lam @ (room + reach * bounds.largest)) < LONGEST:
                break
        weights = np.concatenate(([0.0 if ray else 1.0], lam))
        length, path = yield weights
        if path is None or (ray and length > float(lam @ (room + bounds.margin)) + incumbent.underflow(lam)):
            return Dual(math.inf, weights, cuts)
        value = length - float(lam @ room) - incumbent.error(weights, length)
        if not ray and value > best:
            best, best_lam = value, lam
        new = _learn(incumbent, bounds, cuts, path)
        if best >= (incumbent.cutoff if cutoff is None else cutoff):
            break
        if (deadline is not None and time.perf_counter() > deadline) or not (new or guessed):
            break  # a known line cuts nothing off: the maximum, or a ray within rounding of the limits
        lam = None
    weights = np.concatenate(([1.0], best_lam))
    if not cuts.paths:
        return Dual(best, weights, cuts)
    value_of = cuts.cost + cuts.used @ best_lam
    order = np.argsort(value_of, kind="stable")[:KEPT_CUTS]
    cuts, value_of = cuts.take(order), value_of[order]
    tight = np.flatnonzero(value_of <= value_of[0] + TIGHT * (abs(value_of[0]) + float(np.ptp(cuts.cost))))
    load = cuts.used[tight] @ best_lam
    light, heavy = int(tight[np.argmin(load)]), int(tight[np.argmax(load)])
    if light == heavy:
        # One path, or several that weigh the same: any other path will do to part them.
        others = [i for i in range(len(order)) if i != light]
        if not others:
            return Dual(best, weights, cuts)
        heavy = others[0]
    return Dual(best, weights, cuts, cuts.paths[light], cuts.paths[heavy])


def _learn(incumbent: Incumbent, bounds: Limits, cuts: Cuts, path: IntArray) -> bool:
    """Offer a path and add its line; False if the line was known."""
    costs, amounts = incumbent.graph.terms(path)
    cost, used = float(costs.sum()), amounts[bounds.rows].sum(axis=1)
    if cost - incumbent.rounding < incumbent.value:
        incumbent.offer(path)
    if cuts.paths and bool(np.any((cuts.cost == cost) & np.all(cuts.used == used, axis=1))):
        return False
    cuts.add(path, cost, used)
    return True

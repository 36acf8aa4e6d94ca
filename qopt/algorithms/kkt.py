"""`kkt`: real-valued bits in closed form at every promising cut (Eqs. 17-27 with bounds on the widths)."""

from __future__ import annotations

import math

from qopt.algorithms.method import Options
from qopt.kernels.waterfill import Allocation, allocate
from qopt.problems.qpart import QPart
from qopt.screening import cut_bounds, hopeless, promising
from qopt.segments import Segment, segments
from qopt.solution import Outcome, Status


def solve(problem: QPart, options: Options) -> Outcome:
    """Best cut and real-valued widths; the multiplier of the noise row at that cut in ``details``."""
    clock = options.clock()
    table = segments(problem)
    bounds = cut_bounds(table)
    best, best_segment, best_value, solved = None, None, math.inf, 0
    for cut in promising(bounds, problem.admissible_cuts):
        if hopeless(bounds[cut], best_value):
            break
        if clock.over:
            return _outcome(problem, best_segment, best, best_value, solved, "time-limit", float(bounds[cut]))
        segment = table.at(cut)
        found = at_cut(segment)
        solved += 1
        value = math.inf if found is None else segment.base + found.objective
        if value < best_value or (value == best_value and best_segment and cut < best_segment.cut):
            best, best_segment, best_value = found, segment, value
    return _outcome(problem, best_segment, best, best_value, solved, "optimal", best_value)


def _outcome(
    problem: QPart,
    segment: Segment | None,
    found: Allocation | None,
    value: float,
    solved: int,
    status: str,
    bound: float,
) -> Outcome:
    if segment is None or found is None:
        return Outcome("infeasible" if status == "optimal" else "time-limit")
    level = None if math.isinf(found.level) else found.level
    details = {"multiplier": found.multiplier, "water_level": level, "cuts_solved": solved}
    plan = segment.plan(found.bits, "real", problem.name)
    return Outcome(status, plan, min(bound, value), details=details)


def at_cut(segment: Segment) -> Allocation | None:
    """Closed form at one cut; None if infeasible.

    A binding memory row adds mu to the price of every stored bit; mu is the root of a monotone function.
    """
    assert segment.coefficient is not None
    lo, hi = float(segment.bits[0]), float(segment.bits[-1])
    c, limit, memory = segment.coefficient, segment.limit, segment.memory

    def priced(mu: float) -> Allocation | None:
        return allocate(segment.price + mu * segment.stored, c, limit, lo, hi)

    found = priced(0.0)
    if found is None or _fits(segment, found):
        return found
    # As mu grows the stored bits alone are priced: the least memory any plan needs.
    leanest = allocate(segment.stored, c, limit, lo, hi)
    assert leanest is not None
    if not _fits(segment, leanest):
        return None
    scale = float(segment.price.sum()) / float(segment.stored.sum()) or 1.0

    def excess(log_mu: float) -> float:
        bits = priced(scale * math.exp(log_mu))
        assert bits is not None
        return float(segment.stored @ bits.bits) / memory - 1.0

    from scipy.optimize import brentq

    low, high = -40.0, 0.0
    while excess(high) > 0 and high < 600:
        high += 10.0
    if excess(high) > 0:
        return leanest
    root = (
        high if excess(low) <= 0 else float(brentq(excess, low, high, xtol=1e-15, rtol=8.9e-16, maxiter=400))
    )
    step = 1e-15
    while excess(root) > 1e-13:  # end on the side that keeps the limit
        root, step = root + step * max(1.0, abs(root)), 2 * step
    best = priced(scale * math.exp(root))
    assert best is not None
    # The objective counts the true prices, not those that carry mu.
    return Allocation(best.bits, best.level, best.multiplier, float(segment.price @ best.bits))


def _fits(segment: Segment, found: Allocation) -> bool:
    return math.isinf(segment.memory) or float(segment.stored @ found.bits) <= segment.memory * (1.0 + 1e-13)

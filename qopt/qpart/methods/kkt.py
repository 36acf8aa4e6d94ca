"""`kkt`: real-valued bits in closed form at every candidate cut (Eqs. 17-27 with bounds on the widths)."""

from __future__ import annotations

import math

from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.kernels.waterfill import Allocation, allocate
from qopt.qpart.methods.cut_search import AtCut, best_cut
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem


def solve(problem: QPart, options: Options) -> Outcome:
    """Best cut and real-valued widths; the multiplier of the noise row at that cut in ``details``."""

    def solve_cut(subproblem: Subproblem, _incumbent: float) -> AtCut:
        found = at_cut(subproblem)
        if found is None:
            return AtCut("infeasible")
        level = None if math.isinf(found.level) else found.level
        bound = subproblem.base + found.objective
        return AtCut("optimal", found.bits, bound, found.multiplier, details={"water_level": level})

    return best_cut(problem, options.clock(), solve_cut)


def at_cut(subproblem: Subproblem) -> Allocation | None:
    """Closed form at one cut; None if infeasible.

    A binding memory row adds mu to the price of every stored bit; mu is the root of a monotone function.
    """
    assert subproblem.coefficient is not None
    lo, hi = float(subproblem.bits[0]), float(subproblem.bits[-1])
    c, limit, memory = subproblem.coefficient, subproblem.limit, subproblem.memory

    def priced(mu: float) -> Allocation | None:
        return allocate(subproblem.price + mu * subproblem.stored, c, limit, lo, hi)

    found = priced(0.0)
    if found is None or _fits(subproblem, found):
        return found
    # As mu grows the stored bits alone are priced: the least memory any plan needs.
    leanest = allocate(subproblem.stored, c, limit, lo, hi)
    assert leanest is not None
    if not _fits(subproblem, leanest):
        return None
    scale = float(subproblem.price.sum()) / float(subproblem.stored.sum()) or 1.0

    def excess(log_mu: float) -> float:
        bits = priced(scale * math.exp(log_mu))
        assert bits is not None
        return subproblem.stored_bits(bits.bits) / memory - 1.0

    from scipy.optimize import brentq

    low, high = -40.0, 0.0
    while excess(high) > 0 and high < 600:
        high += 10.0
    if excess(high) > 0:
        return leanest
    root = high if excess(low) <= 0 else float(brentq(excess, low, high, xtol=1e-15, rtol=8.9e-16, maxiter=400))
    step = 1e-15
    while excess(root) > 1e-13:  # end on the side that keeps the limit
        root, step = root + step * max(1.0, abs(root)), 2 * step
    best = priced(scale * math.exp(root))
    assert best is not None
    # The objective counts the true prices, not those that carry mu.
    return Allocation(best.bits, best.level, best.multiplier, float(subproblem.price @ best.bits))


def _fits(subproblem: Subproblem, found: Allocation) -> bool:
    return math.isinf(subproblem.memory) or subproblem.stored_bits(found.bits) <= subproblem.memory * (1.0 + 1e-13)

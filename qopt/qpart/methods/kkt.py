"""`kkt`: real-valued bits in closed form at every candidate cut (Eqs. 17-27 with bounds on the widths)."""

from __future__ import annotations

import math

from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.kernels.waterfill import Allocation, allocate
from qopt.qpart.methods.cut_search import AtCut, best_cut
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem

STEEPEST = 200.0
"""Powers of two by which a stored bit's multiplier may differ from the dearest price: beyond, one of the two is nothing
beside the other, since every item takes the least width at least."""


def solve(problem: QPart, options: Options) -> Outcome:
    """Best cut and real-valued widths; the multiplier of the noise row at that cut in ``details``."""

    def solve_cut(subproblem: Subproblem, _incumbent: float) -> AtCut:
        found = at_cut(subproblem)
        if found is None:
            return AtCut("infeasible")
        level = None if math.isinf(found.level) else found.level
        bound = subproblem.base + found.objective
        multiplier = found.multiplier if math.isfinite(found.multiplier) else None
        return AtCut("optimal", found.bits, bound, multiplier, details={"water_level": level})

    return best_cut(problem, options.clock(), solve_cut)


def at_cut(subproblem: Subproblem) -> Allocation | None:
    """Closed form at one cut; None if infeasible.

    A memory row that binds adds mu to the price of every stored bit. The memory that the plan takes falls as mu grows,
    so the least mu that fits is the multiplier. Where stored bits are free, a small mu is not mu = 0: among the plans
    of least cost it takes one that stores least.
    """
    assert subproblem.coefficient is not None
    lo, hi = float(subproblem.bits[0]), float(subproblem.bits[-1])
    c, limit = subproblem.coefficient, subproblem.limit
    found = allocate(subproblem.price, c, limit, lo, hi)
    if found is None or _fits(subproblem, found):
        return found
    # As mu grows the stored bits alone are priced: the least memory any plan needs.
    leanest = allocate(subproblem.stored, c, limit, lo, hi)
    assert leanest is not None
    if not _fits(subproblem, leanest):
        return None
    dearest, largest = float(subproblem.price.max()), float(subproblem.stored.max())
    price, stored = subproblem.price / (dearest or 1.0), subproblem.stored / largest

    def priced(x: float) -> Allocation:
        """The closed form for mu = 2^x dearest / largest."""
        mixed = price + math.exp2(x) * stored if x <= 0 else math.exp2(-x) * price + stored
        found = allocate(mixed, c, limit, lo, hi)
        assert found is not None  # which depends on c and the limit alone
        unit = dearest * math.exp2(max(x, 0.0))
        level = found.level / unit if unit else math.inf
        # The objective counts the true prices, not those that carry mu.
        return Allocation(found.bits, level, found.multiplier * unit, float(subproblem.price @ found.bits))

    def excess(x: float) -> float:
        return subproblem.stored_bits(priced(x).bits) - subproblem.memory

    from scipy.optimize import brentq

    low, high, step = 0.0, 0.0, 1.0
    while excess(low) <= 0 and low > -STEEPEST:
        low, high, step = max(low - step, -STEEPEST), low, 2 * step
    while excess(high) > 0 and high < STEEPEST:
        low, high, step = high, min(high + step, STEEPEST), 2 * step
    if excess(low) <= 0:  # as good as free: any mu > 0 does
        return priced(low)
    if excess(high) > 0:
        return Allocation(leanest.bits, 0.0, math.inf, float(subproblem.price @ leanest.bits))
    root = float(brentq(excess, low, high, xtol=1e-15, rtol=8.9e-16, maxiter=400))
    step = 1e-15 * max(1.0, abs(root))
    while root < high and not _fits(subproblem, priced(root)):  # end on the side that keeps the limit
        root, step = min(root + step, high), 2 * step
    return priced(root)


def _fits(subproblem: Subproblem, found: Allocation) -> bool:
    return math.isinf(subproblem.memory) or subproblem.stored_bits(found.bits) <= subproblem.memory * (1.0 + 1e-13)

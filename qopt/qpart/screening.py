"""Lower bounds for every cut at once, so that most cuts need not be solved.

At a cut, dropping the bounds on the widths leaves the unbounded closed form

    base + sum_i pi_i b_i,   b_i = 1/2 log2(c_i sum(pi) / (Delta pi_i)),

whose optimum splits into running sums over the layers: O(L) for all cuts. Noise that does not follow
the law is bounded below by it: N_i(b) >= c_i 4^-b with c_i = min_b N_i(b) 4^b.
"""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.qpart.plan import crossing_activations
from qopt.qpart.subproblem import SubproblemTable


def cut_bounds(table: SubproblemTable) -> FloatArray:
    """(L + 1,) lower bound on any plan, whole or real-valued, at every admissible cut; infinite elsewhere."""
    problem = table.problem
    lo, layers = problem.bits.lo, len(problem.network)
    # The grid's noise lies above s 4^-b for every real width, and its infimum over 4^b is s itself.
    if problem.noise.model == "table":
        growth = np.ldexp(1.0, 2 * table.bits)
        c_w, c_x = (table.noise_w * growth).min(axis=1), (table.noise_x * growth).min(axis=1)
    else:
        assert table.c_w is not None
        assert table.c_x is not None
        c_w, c_x = table.c_w, table.c_x

    def parts(price: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Per tensor: pi lo, and for those with price and noise pi and pi log2(c / pi)."""
        live = (price > 0) & (c > 0)
        entropy = np.zeros(len(price))
        entropy[live] = price[live] * (np.log2(c[live]) - np.log2(price[live]))
        return price * lo, np.where(live, price, 0.0), entropy

    def running(column: FloatArray) -> FloatArray:
        return np.concatenate(([0.0], np.cumsum(column)))

    parts_w = parts(table.price_w, c_w)
    floor_w, pi_w, entropy_w = (running(part) for part in parts_w)
    idle_w = running(np.where(parts_w[1] > 0, 0.0, parts_w[0]))
    floor_x, pi_x, entropy_x = parts(table.price_x, c_x)
    bounds = np.full(layers + 1, np.inf)
    delta = problem.delta
    for cut in problem.admissible_cuts.tolist():
        if cut == 0:
            bounds[0] = table.base[0]
            continue
        outputs = [i - 1 for i in crossing_activations(problem, cut)]
        floor = floor_w[cut] + sum(floor_x[i] for i in outputs)
        pi = pi_w[cut] + sum(pi_x[i] for i in outputs)
        limit = float(delta[cut - 1])
        free = -np.inf
        if pi > 0 and limit > 0:
            entropy = entropy_w[cut] + sum(entropy_x[i] for i in outputs)
            idle = idle_w[cut] + sum(floor_x[i] for i in outputs if pi_x[i] == 0)
            free = idle + 0.5 * (entropy + pi * (np.log2(pi) - np.log2(limit)))
        bounds[cut] = table.base[cut] + max(floor, free)
    return bounds


def candidate_cuts(bounds: FloatArray, cuts: IntArray) -> list[int]:
    """Admissible cuts, least bound first; of equal bounds the smallest cut."""
    return [int(p) for p in cuts[np.argsort(bounds[cuts], kind="stable")]]


def dominated(bound: float, incumbent: float) -> bool:
    """Whether a cut of this bound cannot beat the incumbent, running sums' rounding allowed for."""
    return bound > incumbent + 1e-9 * abs(incumbent)

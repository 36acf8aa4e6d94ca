"""Lower bounds for every cut at once, so that most cuts need not be solved.

At a cut, dropping the bounds on the widths leaves the unbounded closed form

    base + sum_i pi_i b_i,   b_i = 1/2 log2(c_i sum(pi) / (Delta pi_i)),

whose optimum splits into running sums over the layers: O(L) for all cuts. Noise that does not follow
the law is bounded below by it: N_i(b) >= c_i 4^-b with c_i = min_b N_i(b) 4^b. Menus are relaxed to the range of all
widths, limits on what a plan costs to what a cut uses of them whatever the widths, and where a table says what
computing costs by width, the least of it counts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import SubproblemTable


def cut_bounds(table: SubproblemTable) -> FloatArray:
    """(L + 1,) lower bound on any plan, whole or real-valued, at every admissible cut; infinite elsewhere."""
    problem = table.problem
    lo, layers = int(table.bits[0]), len(problem.network)
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
    bounds, limits = np.full(layers + 1, np.inf), np.concatenate(([problem.noise_limit(0)], problem.delta))
    base = table.base
    if table.computing is not None:
        least = table.computing if table.menus is None else np.where(table.menus[0], table.computing, np.inf)
        base = base + running(least.min(axis=1)) * (1.0 - ROUNDING)
    for cuts, owner, outputs in _crossings(problem):

        def crossing(column: FloatArray, owner: IntArray = owner, outputs: IntArray = outputs) -> FloatArray:
            found = np.bincount(owner, column[outputs - 1], layers + 1).astype(np.float64)
            if problem.quantize_input:
                found[: _input_until(problem)] += column[-1]
            return found

        floor = (floor_w + crossing(floor_x))[cuts]
        pi = (pi_w + crossing(pi_x))[cuts]
        entropy = (entropy_w + crossing(entropy_x))[cuts]
        idle = (idle_w + crossing(np.where(pi_x > 0, 0.0, floor_x)))[cuts]
        with np.errstate(divide="ignore", invalid="ignore"):
            free = idle + 0.5 * (entropy + pi * (np.log2(pi) - np.log2(limits[cuts])))
        free = np.where((pi > 0) & (limits[cuts] > 0), free, -np.inf)
        nothing = (cuts == 0) & (not problem.quantize_input)
        bounds[cuts] = base[cuts] + np.where(nothing, 0.0, np.maximum(floor, free))
    if table.limits.names:
        for cut in problem.admissible_cuts.tolist():
            if np.any(table.limits.fixed(cut) > table.limits.limits * (1.0 + ROUNDING)):
                bounds[cut] = np.inf
    return bounds


def _input_until(problem: QPart) -> int:
    """The first cut that the raw input does not cross."""
    last = problem.network.last_reader
    return 1 if last is None else int(last[0])


ROUNDING = 1e-9
"""Share by which sums of computing are lowered, and limits raised, before they say that a cut is out."""


PAIRS = 5_000_000
"""Cuts times outputs that cross them which are held at once."""


def _crossings(problem: QPart) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Admissible cuts, some at a time; with them cut and layer of every quantized output that crosses one of them."""
    layers, net = len(problem.network), problem.network
    chosen = problem.admissible_cuts
    ends = np.arange(1, layers + 2) if net.last_reader is None else np.asarray(net.last_reader, dtype=np.int64)
    first = np.arange(1, layers + 1)
    span = np.where((first < layers) | problem.send_output, ends[1:] - first, 0)  # output i crosses cuts i .. end - 1
    step = max(1, int(len(chosen) * PAIRS / max(float(span.sum()), 1.0)))
    for start in range(0, len(chosen), step):
        cuts = chosen[start : start + step]
        low, high = int(cuts[0]), int(cuts[-1]) + 1
        begin, end = np.maximum(first, low), np.minimum(first + span, high)
        count = np.maximum(end - begin, 0)
        outputs = np.repeat(first, count)
        owner = np.arange(len(outputs)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(begin, count)
        yield cuts, owner, outputs


def candidate_cuts(bounds: FloatArray, cuts: IntArray) -> list[int]:
    """Admissible cuts, least bound first; of equal bounds the smallest cut."""
    return [int(p) for p in cuts[np.argsort(bounds[cuts], kind="stable")]]


def dominated(bound: float, incumbent: float) -> bool:
    """Whether a cut of this bound cannot beat the incumbent, running sums' rounding allowed for."""
    return bound > incumbent + 1e-9 * abs(incumbent)

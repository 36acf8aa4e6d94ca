"""Lower bounds by Lagrange's dual at one cut and over all cuts, rebuilt from the problem alone.

For multipliers lam, mu >= 0 of the noise and memory rows, every feasible choice at a cut costs at least

    base + sum_i min_b (price_i b + lam noise_i(b) + mu (stored_i b + overhead_i)) - lam limit - mu memory

with b over the whole widths or over the interval [lo, hi]. Any multipliers give a valid bound; the searches here
only make it good. Rounding is subtracted, so that a bound in floats is a bound. Bounds leave the base out: where
computing costs much more than sending, adding it would cost the digits that matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import ENDLESS, Clock
from qopt.core.limits import limits_with_slack
from qopt.qpart.certificate.cuts import Cut, CutTable
from qopt.qpart.terms import widths

EPS = 2.0**-52


class Bound(NamedTuple):
    """A bound on what bits cost at a cut (base excluded; infinite: proved to hold no plan), and its multipliers."""

    value: float
    lam: float
    mu: float


class _Point(NamedTuple):
    """The dual at one pair of multipliers: value, its rounding, and noise and memory of the minimiser."""

    value: float
    rounding: float
    noise: float
    memory: float


def _dual(cut: Cut, lam: float, mu: float, clock: Clock = ENDLESS) -> _Point:
    """The dual function, its minimiser's use of both rows, and a bound on its rounding."""
    clock.check()
    price = cut.price + mu * cut.stored if mu else cut.price
    if cut.noise is not None:
        cost = cut.cost + mu * cut.storage if mu else cut.cost
        # A width of infinite noise keeps no finite limit; it stays out at multiplier 0 as well.
        with np.errstate(invalid="ignore"):
            total = np.where(np.isfinite(cut.noise), cost + lam * cut.noise, math.inf)
        chosen = np.argmin(total, axis=1)
        rows = np.arange(chosen.size)
        least, noise = total[rows, chosen], cut.noise[rows, chosen]
        b = (cut.bits[chosen] if cut.stand_in is None else cut.width[rows, chosen]).astype(float)
    else:
        b = _minimiser(cut, price, lam)
        noise = cut.noise_at(b)
        least = price * b + lam * noise + mu * cut.overhead
    gained = float(np.sum(least))
    paid = (lam * cut.limit if lam else 0.0) + (mu * cut.memory if mu else 0.0)
    # Terms carry a few roundings each (a real-valued minimiser is off by rounding, which counts squared); a
    # pairwise sum adds one for each doubling.
    rounding = (24 + 2 * math.log2(b.size + 1)) * EPS * (gained + paid)
    return _Point(gained - paid, rounding, float(np.sum(noise)), float(np.dot(cut.stored, b) + np.sum(cut.overhead)))


def _minimiser(cut: Cut, price: FloatArray, lam: float) -> FloatArray:
    """(n,) real-valued widths that minimise ``price b + lam noise(b)`` over [lo, hi]."""
    assert cut.c is not None
    with np.errstate(all="ignore"):
        if not cut.grid:
            b = 0.5 * np.log2((lam * math.log(4)) * (cut.c / price))
        else:
            # With u = 2^b - 1 the derivative vanishes where q u^3 = u + 1. For u >= 1 that needs u <= sqrt(2 / q):
            # from there Newton's method descends to the root of a convex function without passing it.
            q = price / cut.c / (2 * math.log(2) * lam)
            u = np.maximum(np.sqrt(2.0 / q), 1.0)
            for _ in range(12):
                u = np.maximum(u - (q * u**3 - u - 1) / (3 * q * u**2 - 1), 1.0)
            # Where the cube overflows, or q does, the root is far beyond the largest or the smallest width.
            b = np.where(np.isfinite(u), np.log2(u + 1.0), np.where(q < 1, math.inf, -math.inf))
    b = np.where(cut.c == 0, cut.lo, np.where(price == 0, cut.hi, b))
    b = np.where(np.isnan(b), cut.lo, b)
    return np.clip(b, cut.lo, cut.hi)


def _crossing(excess: Callable[[float], float], guess: float) -> float:
    """The x > 0 at which a decreasing function of log x (log of use over limit) falls to 0."""
    x = guess if 0 < guess < math.inf else 1.0
    y = excess(x)
    step = 4.0 if y > 0 else 0.25
    other, z = x, y
    for _ in range(64):
        other = min(max(other * step, 1e-300), 1e300)
        z = excess(other)
        if (z > 0) != (y > 0):
            break
        x, y, step = other, z, min(step, 1e100) ** 1.5
    (low, above), (high, below) = ((x, y), (other, z)) if y > 0 else ((other, z), (x, y))
    side = 0
    for _ in range(80):
        if not high / low > 1 + 1e-13:
            break
        # False position in log x with Illinois' halving; plain halving where a value is not finite or it stalls.
        span = above - below
        secant = math.isfinite(span) and span > 0 and abs(side) < 4
        share = min(max(above / span, 1e-3), 1 - 1e-3) if secant else 0.5
        middle = low * math.pow(high / low, share)
        value = excess(middle)
        if abs(value) < 1e-14:
            return middle
        if value > 0:
            low, above, side = middle, value, side + 1 if side > 0 else 1
            below = below / 2 if side > 1 else below
        else:
            high, below, side = middle, value, side - 1 if side < 0 else -1
            above = above / 2 if side < -1 else above
    return high


def _log_ratio(use: float, limit: float) -> float:
    if use <= 0:
        return -math.inf
    return math.log(use) - math.log(limit) if limit > 0 else math.inf


def _real_multiplier(cut: Cut, mu: float, guess: float, clock: Clock) -> float:
    """The noise row's best multiplier for a given multiplier of memory."""
    if not _dual(cut, 0.0, mu, clock).noise > cut.limit:
        return 0.0
    return _crossing(lambda lam: _log_ratio(_dual(cut, lam, mu, clock).noise, cut.limit), guess)


class _Line(NamedTuple):
    """A tangent of a concave function of one multiplier: at x, value and slope; two uses of the rows."""

    x: float
    value: float
    slope: float
    noise: float
    memory: float


def _kelley(
    tangent: Callable[[float], _Line], guess: float, enough: float = math.inf, exact: float = 1e-14
) -> tuple[_Line, _Line, _Line]:
    """Maximise a concave function over x >= 0, or until it exceeds `enough`.

    Returns the best tangent found, and those on both sides of the maximum.
    """
    left = right = tangent(guess if 0 < guess < math.inf else 1.0)
    factor = 2.0
    while right.slope > 0 and right.value <= enough and right.x < 1e290:
        left, right = right, tangent(right.x * factor)
        factor = min(factor**2, 1e6)
    factor = 2.0
    while left.slope <= 0 and left.x > 0:
        left, right = tangent(left.x / factor if factor < 1e6 else 0.0), left
        factor = factor**2
    best = max(left, right, key=lambda line: line.value)
    for step in range(200):
        drop = left.slope - right.slope
        if best.value > enough or left.slope <= 0 or right.slope > 0 or not right.x > left.x * (1 + 4 * EPS):
            break
        x = left.x + (right.value - left.value - right.slope * (right.x - left.x)) / drop
        if step % 3 == 2:  # a wide bracket shrinks geometrically
            x = math.sqrt(left.x) * math.sqrt(right.x) if left.x > 0 else right.x / 64
        if not left.x < x < right.x:
            break
        line = tangent(x)
        reach = min(left.value + left.slope * (x - left.x), right.value + right.slope * (x - right.x))
        best = max(best, line, key=lambda found: found.value)
        if step % 3 != 2 and line.value >= reach - exact * abs(reach):
            break
        left, right = (line, right) if line.slope > 0 else (left, line)
    return best, left, right


def _whole_dual(cut: Cut, guess: float, enough: float, clock: Clock) -> tuple[float, float]:
    """Good multipliers for whole bits."""

    def by_noise(mu: float) -> Callable[[float], _Line]:
        def tangent(lam: float) -> _Line:
            point = _dual(cut, lam, mu, clock)
            slope = point.noise - cut.limit if math.isfinite(cut.limit) else -1.0
            return _Line(lam, point.value, slope, point.noise, point.memory)

        return tangent

    best, left, right = _kelley(by_noise(0.0), guess, enough)
    if best.value > enough or max(left.memory, right.memory) <= cut.memory:
        return best.x, 0.0
    inner = {0.0: best.x}
    near = [best.x or guess]

    def by_memory(mu: float) -> _Line:
        top, left, right = _kelley(by_noise(mu), near[0], enough)
        inner[mu], near[0] = top.x, top.x or near[0]
        # Where both tangents meet, the mix of their minimisers that just keeps the noise row has the slope in mu.
        drop = left.slope - right.slope
        share = left.slope / drop if drop > 0 and left.slope > 0 >= right.slope else 1.0
        memory = (1 - share) * left.memory + share * right.memory
        return _Line(mu, top.value, memory - cut.memory, top.noise, memory)

    used = float(np.sum(cut.stored))
    start = float(np.sum(cut.price)) / used if used else 1.0
    outer, _, _ = _kelley(by_memory, start, enough, 1e-11)
    return inner[outer.x], outer.x


def out_of_reach(cut: Cut) -> bool:
    """Whether the least noise or the least memory alone exceeds its limit, by the exact test."""
    least = cut.least_noise()
    if not np.all(np.isfinite(least)):
        return True
    if math.isfinite(cut.limit) and math.fsum([*least.tolist(), -cut.limit]) > 0:
        return True
    if any(row.broken for row in cut.more):
        return True
    return math.isfinite(cut.memory) and math.fsum([*cut.least_memory().tolist(), -cut.memory]) > 0


def least_memory(cut: Cut) -> Cut:
    """The problem of keeping the noise limit with the least memory, overhead left out, without a memory row."""
    none = np.zeros_like(cut.overhead)
    return replace(cut, price=cut.stored, base=0.0, overhead=none, memory=math.inf, computing=None, more=())


def exceeds_memory(cut: Cut, stored: float) -> bool:
    """Whether codes of so many bits and the overhead are more than the memory holds."""
    if math.isinf(cut.memory):
        return False
    try:
        return math.fsum([stored, *cut.overhead.tolist(), -cut.memory]) > 0
    except OverflowError:  # the overhead alone exceeds the largest float
        return True


def best_bound(cut: Cut, guess: float = 0.0, enough: float = math.inf, clock: Clock = ENDLESS) -> Bound:
    """The best Lagrangian bound at a cut that a search finds; infinite where the cut provably holds no plan.

    Parameters
    ----------
    cut : the choice at a cut, whole or real-valued bits.
    guess : a multiplier to start from, for example a neighbouring cut's.
    enough : the search may stop at a bound above this.
    clock : raises `OutOfTime` where it is over.
    """
    if cut.price.size == 0 and not cut.more:
        return Bound(0.0, 0.0, 0.0)
    if out_of_reach(cut):
        return Bound(math.inf, 0.0, 0.0)
    if cut.price.size == 0:
        return Bound(0.0, 0.0, 0.0)
    if not guess > 0:
        guess = float(np.sum(cut.price)) / (math.log(4) * cut.limit) if cut.limit > 0 else 1.0
    if cut.noise is not None:
        lam, mu = _whole_dual(replace(cut, memory=math.inf), guess, enough, clock)
    else:
        lam, mu = _real_multiplier(cut, 0.0, guess, clock), 0.0
    plain = bound_at(cut, lam, mu)
    if plain.value > enough:
        return plain
    if exceeds_memory(cut, float(np.sum(cut.stored)) * cut.hi):
        lean = best_bound(least_memory(cut), 0.0, cut.memory - math.fsum(cut.overhead), clock)
        if exceeds_memory(cut, lean.value):
            return Bound(math.inf, lam, mu)  # even the least memory that keeps the noise limit is too much
        if cut.noise is not None:
            lam, mu = _whole_dual(cut, lam or guess, enough, clock)
        elif _dual(cut, lam, mu, clock).memory > cut.memory:
            mu = _crossing(
                lambda m: _log_ratio(
                    _dual(cut, _real_multiplier(cut, m, lam or guess, clock), m, clock).memory, cut.memory
                ),
                float(np.sum(cut.price)) / float(np.sum(cut.stored)),
            )
            lam = _real_multiplier(cut, mu, lam or guess, clock)
    return max(plain, bound_at(cut, lam, mu), bound_at(cut, 0.0, 0.0), key=lambda bound: bound.value)


def bound_at(cut: Cut, lam: float, mu: float) -> Bound:
    """The bound of given multipliers, rounding subtracted."""
    point = _dual(cut, lam, mu)
    return Bound(point.value - point.rounding, lam, mu)


def screening(table: CutTable, cuts: IntArray, samples: int = 24, clock: Clock = ENDLESS) -> FloatArray:
    """Cheap bounds of many cuts at once: the same multipliers for all, sums from prefixes.

    Parameters
    ----------
    cuts : (m,) cuts of interest.
    samples : how many multipliers are tried besides 0.
    clock : ends the trials; any bounds so far are bounds.

    Returns
    -------
    (m,) bounds without the base; infinite where the least noise or memory is out of reach beyond all rounding.
    """
    problem, n = table.problem, len(table.problem.network)
    net, bits = problem.network, widths(problem).astype(float)
    # The output of layer l crosses cuts l .. last - 1.
    last = np.arange(1, n + 1) + 1 if net.last_reader is None else net.last_reader[1:]
    last_of_input = 1 if net.last_reader is None else int(net.last_reader[0])
    kept = np.arange(1, n + 1) < (n + 1 if problem.send_output else n)
    limit = limits_with_slack(np.concatenate(([problem.noise_limit(0)], problem.delta)))
    slack = (4 * n + 64) * EPS

    def over_cuts(weights: FloatArray, activations: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums over the tensors of every cut 0..L, and a bound on their rounding."""
        sums = np.concatenate(([0.0], np.cumsum(weights)))
        if problem.quantize_input and len(activations) > n:
            sums[:last_of_input] += activations[n]
        terms = np.where(kept, activations[:n], 0.0)
        if net.last_reader is None:
            sums[1:] += terms
            return sums, slack * sums
        begin_end = np.zeros(n + 2)
        begin_end[1 : n + 1] += terms
        np.subtract.at(begin_end, last, terms)
        largest = np.concatenate(([0.0], np.cumsum(terms)))
        return sums + np.cumsum(begin_end[: n + 1]), slack * (sums + largest)

    def least(
        price: FloatArray,
        noise: FloatArray | None,
        c: FloatArray | None,
        lam: float,
        computing: FloatArray | None = None,
    ) -> FloatArray:
        if noise is not None:
            total = price[:, None] * bits + np.where(np.isfinite(noise), lam * noise, math.inf)
            if computing is not None:
                total += computing
            return total.min(axis=1)  # type: ignore[no-any-return]
        part = _tensor_part(table, price, c)
        b = _minimiser(part, price, lam)
        return price * b + lam * part.noise_at(b)

    with np.errstate(all="ignore"):
        finite = np.isfinite(limit) & (limit > 0)
        rough = over_cuts(table.price_w, table.price_x)[0][finite] / (math.log(4) * limit[finite])
        rough = rough[np.isfinite(rough) & (rough > 0)]
        grid = np.geomspace(rough.min(), rough.max() * 4, samples) if rough.size else np.array([])
        best = np.zeros(n + 1)
        for lam in (0.0, *grid.tolist()):
            if clock.over:
                break
            low_w = least(table.price_w, table.noise_w, table.c_w, lam, table.computing)
            low_x = least(table.price_x, table.noise_x, table.c_x, lam)
            sums, rounding = over_cuts(low_w, low_x)
            paid = lam * limit if lam else np.zeros(n + 1)
            value = sums - paid - rounding - slack * paid
            best = np.fmax(best, value)
        low_w = _tensor_noise(table, table.noise_w, table.c_w)
        low_x = _tensor_noise(table, table.noise_x, table.c_x)
        noise, rounding = over_cuts(low_w, low_x)
        memory, around = over_cuts(table.stored_w * float(bits[0]) + table.overhead_w, np.zeros(n))
        out = (noise - rounding > limit * (1 + slack)) | (memory - around > table.memory * (1 + slack))
        best[out] = math.inf
    return best[cuts]


def _tensor_part(table: CutTable, price: FloatArray, c: FloatArray | None) -> Cut:
    """Tensors of a problem, whatever the cut, for their real-valued minimisers."""
    grid, bits = table.problem.noise.model == "grid", widths(table.problem)
    none = np.zeros(price.size)
    return Cut(0, 0.0, price, none, none, c, None, math.inf, math.inf, bits, grid, np.arange(price.size))


def _tensor_noise(table: CutTable, noise: FloatArray | None, c: FloatArray | None) -> FloatArray:
    if noise is not None:
        return noise.min(axis=1)  # type: ignore[no-any-return]
    assert c is not None
    return _tensor_part(table, c, c).least_noise()

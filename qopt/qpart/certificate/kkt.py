"""KKT residuals of a plan of real-valued bits at its cut: are the conditions of an optimum met?

They are information beside the proof, which is the dual bound's.
"""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.certificate import KKT
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.qpart.certificate.bounds import best_bound
from qopt.qpart.certificate.cuts import Cut

ENOUGH = 1e-9
"""Residuals up to here need no other multipliers."""


def kkt_residuals(cut: Cut, b: FloatArray, clock: Clock = ENDLESS) -> KKT | None:
    """Relative residuals of the optimality conditions at a plan, for multipliers read off the plan.

    Where the plan leaves them open (every tensor at a bound, or fewer tensors between than rows that bind), those
    of the best dual bound are tried as well, if the clock lets them: a plan is optimal if any multipliers fit.
    """
    if b.size == 0:
        return KKT(0.0, 0.0, 0.0, 0.0, 0.0)
    if np.any(b <= 0) and cut.grid:
        return None  # the grid's noise has no value there
    noise, memory = math.fsum(cut.noise_at(b).tolist()), math.fsum(cut.memory_of(b).tolist())
    binding = cut.limit > 0 and noise >= cut.limit * (1 - 1e-9)
    full = math.isfinite(cut.memory) and memory >= cut.memory * (1 - 1e-9)
    found = _residuals(cut, b, noise, memory, *_read_multipliers(cut, binding, full, b))
    if found.worst > ENOUGH and (binding or full):
        try:
            dual = best_bound(cut, clock=clock)
        except OutOfTime:
            return found
        return min(found, _residuals(cut, b, noise, memory, dual.lam, dual.mu), key=lambda kkt: kkt.worst)
    return found


def _residuals(cut: Cut, b: FloatArray, noise: float, memory: float, lam: float, mu: float) -> KKT:
    """The four residuals for given multipliers.

    Between its bounds a tensor's price per bit equals the worth of the noise it saves,
    ``price + mu stored = lam (-noise'(b))``; at lo the left side may be larger, at hi smaller.
    """
    value, worth = cut.price + mu * cut.stored, lam * cut.noise_slope(b)
    scale = np.abs(cut.price) + abs(mu) * cut.stored + np.abs(worth)
    excess = np.divide(value - worth, scale, out=np.zeros_like(b), where=scale > 0)
    # The natural residual of a box: how far a step against the excess leads before a bound stops it.
    off = np.abs(b - np.clip(b - excess, cut.lo, cut.hi))
    paid, paid_memory = lam * cut.limit if lam else 0.0, mu * cut.memory if mu else 0.0
    whole = math.fsum((cut.price * b).tolist()) + abs(paid) + abs(paid_memory)
    apart = abs(lam) * max(0.0, cut.limit - noise) + (abs(mu) * max(0.0, cut.memory - memory) if mu else 0.0)
    over = noise / cut.limit - 1 if cut.limit > 0 else float(noise > 0)
    over_memory = memory / cut.memory - 1 if cut.memory > 0 else float(memory > 0)
    outside = max(float(np.max(1 - b / cut.lo)), float(np.max(b / cut.hi - 1)))
    return KKT(
        stationarity=max(0.0, float(np.max(off))),
        complementarity=apart / whole if whole > 0 else 0.0,
        primal=max(0.0, over, over_memory, outside),
        dual=(max(0.0, -paid) + max(0.0, -paid_memory)) / whole if whole > 0 else 0.0,
        multiplier=lam,
    )


def _read_multipliers(cut: Cut, binding: bool, full: bool, b: FloatArray) -> tuple[float, float]:
    """Multipliers of the noise and memory rows that a plan implies; 0 for a row that is slack."""
    if not binding and not full:
        return 0.0, 0.0
    gain, near = cut.noise_slope(b), 1e-12 * b
    inner = (b - cut.lo > near) & (cut.hi - b > near) & (gain > 0) & (cut.price + cut.stored > 0)
    with np.errstate(all="ignore"):
        if not full or not np.any(inner & (cut.stored > 0)):
            if not binding:
                return 0.0, 0.0
            if inner.any():
                return float(np.median(cut.price[inner] / gain[inner])), 0.0
            # Every tensor is at a bound: those at hi say how little the multiplier can be, those at lo how much.
            ratio = np.where(gain > 0, cut.price / gain, np.nan)
            at_hi, at_lo = ratio[b >= cut.hi * (1 - 1e-12)], ratio[b <= cut.lo * (1 + 1e-12)]
            least, most = np.nanmax(at_hi, initial=0.0), np.nanmin(at_lo, initial=math.inf)
            return float(least if least > 0 or not math.isfinite(most) else most), 0.0
        # price = lam gain - mu stored, each row scaled to 1 and both columns to their largest entry.
        price, g, z = cut.price[inner], gain[inner], cut.stored[inner]
        if not binding:
            return 0.0, float(np.median(-price[z > 0] / z[z > 0]))
        row = np.maximum(np.maximum(price, z * (np.max(price) / np.max(z))), np.finfo(float).tiny)
        a = np.stack([g / row, -z / row], axis=1)
        size = np.max(np.abs(a), axis=0)
        size[size == 0] = 1.0
        x = np.linalg.lstsq(a / size, price / row, rcond=None)[0] / size
        return float(x[0]), float(x[1])

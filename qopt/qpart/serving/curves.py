"""Real-valued bits: the best plan at a cut as a function of the request, one parameter for all of it.

At a cut only the ratio of the prices of a bit up and down matters. What the weights spend of the noise is a
piecewise-linear function of their water level t, and the bits that go down are piecewise linear in log t: both
are tables of breakpoints, which `numpy.interp` reads exactly. The few items that go up enter by formula. A
memory limit that binds makes stored bits dearer, which is the same as a lower ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.limits import limits_with_slack
from qopt.kernels.waterfill import allocate
from qopt.qpart.costs import fixed_upload, split_macs, upload_values
from qopt.qpart.problem import QPart
from qopt.qpart.serving.fronts import upload_sizes
from qopt.qpart.subproblem import Subproblem, subproblems

HALVINGS = 80
"""Bisections of an interval of logarithms: more than floating-point numbers can tell apart."""

STEEPEST = 1e60
"""Largest ratio of prices told apart from a free download."""


@dataclass(frozen=True, repr=False)
class Curve(Brief):
    """All best plans of one cut.

    Attributes
    ----------
    cut : p.
    level, spent : (k,) breakpoints of the weights' water level and the noise they spend there.
    bits_down : (k,) bits that go down there, overhead included, except for `down`.
    down, up, c : (u,) of the items that go up: bits down and bits up per bit of width, noise at width 0.
    fixed : bits that go up whatever the widths, the raw input among them.
    device_macs, server_macs : on either side.
    limit, lo, hi : noise limit and range of widths.
    leanest : bits down of the plan that stores least; infinite where the noise limit admits no plan.
    """

    cut: int
    level: FloatArray
    spent: FloatArray
    bits_down: FloatArray
    down: FloatArray
    up: FloatArray
    c: FloatArray
    fixed: float
    device_macs: float
    server_macs: float
    limit: float
    lo: float
    hi: float
    leanest: float

    def at(self, ratio: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bits down and quantized bits up of the best plans at ratios of the prices of a bit, up over down.

        Parameters
        ----------
        ratio : (n,) price of a bit up over that of a bit down.
        """
        price = self.down + ratio[:, None] * self.up  # (n, u) in units of a bit down
        level = self._level(price)
        with np.errstate(divide="ignore"):
            log_level = np.log2(level)
        going_down = np.interp(log_level, self._log_levels, self.bits_down) if len(self.level) else 0.0
        live = (price > 0) & (self.c > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            bits = 0.5 * (np.log2(self.c) - np.log2(price) - log_level[:, None])
        bits = np.where(
            live, np.clip(np.where(live, bits, 0.0), self.lo, self.hi), np.where(self.c > 0, self.hi, self.lo)
        )
        return going_down + bits @ self.down, bits @ self.up

    @property
    def _log_levels(self) -> FloatArray:
        logs: FloatArray = np.log2(self.level)
        return logs

    def _level(self, price: FloatArray) -> FloatArray:
        """(n,) water levels at which the noise limit is met exactly; infinite where it does not bind."""
        least, most = self.c * 4.0**-self.hi, self.c * 4.0**-self.lo
        full = (self.spent[-1] if len(self.spent) else 0.0) + float(most.sum())
        if full <= self.limit:
            return np.full(len(price), np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.where(price > 0, np.log2(most / price), -np.inf)
            starts = np.where((price > 0) & (least > 0), np.log2(least / price), np.inf)
        logs = self._log_levels if len(self.level) else np.empty(0)
        low = np.min(starts, axis=1, initial=float(logs.min(initial=1e3)), where=np.isfinite(starts)) - 1.0
        high = np.max(ends, axis=1, initial=float(logs.max(initial=-1e3)), where=np.isfinite(ends)) + 1.0
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            t = np.exp2(middle)
            weights = np.interp(t, self.level, self.spent) if len(self.level) else 0.0
            over = weights + np.clip(t[:, None] * price, least, most).sum(axis=1) > self.limit
            low, high = np.where(over, low, middle), np.where(over, middle, high)
        level: FloatArray = np.exp2(low)
        return level

    def within_memory(self, ratio: FloatArray, memory: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bits down and up of the best plans that fit the memory; infinite where none does.

        Parameters
        ----------
        ratio : (n,) price of a bit up over that of a bit down.
        """
        down, up = self.at(ratio)
        allowed = limits_with_slack(memory)
        tight = np.flatnonzero(down > allowed)
        if tight.size == 0:
            return down, up
        too_large = tight[self.leanest > allowed[tight]]
        tight = tight[self.leanest <= allowed[tight]]
        down[too_large] = up[too_large] = np.inf
        high = np.log2(np.maximum(ratio[tight], 1.0 / STEEPEST))
        low = np.full(len(tight), -np.log2(STEEPEST) - 1.0)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            over = self.at(np.exp2(middle))[0] > memory[tight]
            low, high = np.where(over, low, middle), np.where(over, middle, high)
        down[tight], up[tight] = self.at(np.exp2(low))
        return down, up


def curve(problem: QPart, subproblem: Subproblem, device_macs: float, server_macs: float) -> Curve:
    """The curve of one cut."""
    assert subproblem.coefficient is not None
    lo, hi = float(subproblem.bits[0]), float(subproblem.bits[-1])
    goes_up = np.zeros(len(subproblem.tensors), dtype=bool)
    goes_up[subproblem.uploads] = True
    z, c = subproblem.stored, subproblem.coefficient
    live = ~goes_up & (z > 0) & (c > 0)
    # Items without a price take hi, those without noise lo, whatever the request.
    idle = ~goes_up & ~live
    idle_bits = np.where(c > 0, hi, lo)
    settled_noise = float(np.where(c > 0, c * 4.0**-idle_bits, 0.0)[idle].sum())
    settled_bits = float((z * idle_bits)[idle].sum() + subproblem.overhead.sum())
    zl, cl = z[live], c[live]
    least, most = cl * 4.0**-hi, cl * 4.0**-lo
    level = np.unique(np.concatenate((least / zl, most / zl)))
    spent = np.array([np.clip(t * zl, least, most).sum() for t in level]) + settled_noise
    with np.errstate(divide="ignore"):
        widths = 0.5 * (np.log2(cl) - np.log2(zl) - np.log2(level)[:, None]) if len(level) else np.empty((0, 0))
    bits_down = (np.clip(widths, lo, hi) @ zl if len(level) else np.empty(0)) + settled_bits
    if not len(level):
        level, spent, bits_down = np.array([1.0]), np.array([settled_noise]), np.array([settled_bits])
    lean = allocate(z, c, subproblem.limit, lo, hi)
    return Curve(
        cut=subproblem.cut,
        level=level,
        spent=spent,
        bits_down=bits_down,
        down=z[subproblem.uploads],
        up=upload_sizes(subproblem, upload_values(problem))[subproblem.uploads],
        c=c[subproblem.uploads],
        fixed=fixed_upload(problem, subproblem.cut),
        device_macs=device_macs,
        server_macs=server_macs,
        limit=subproblem.limit,
        lo=lo,
        hi=hi,
        leanest=np.inf if lean is None else subproblem.stored_bits(lean.bits),
    )


def curves(problem: QPart) -> list[Curve]:
    """The curves of all admissible cuts that hold a plan, ascending in the cut."""
    table = subproblems(problem)
    on_device, on_server = split_macs(problem)
    found = [
        curve(problem, table.at(p), float(on_device[p]), float(on_server[p])) for p in problem.admissible_cuts.tolist()
    ]
    return [f for f in found if np.isfinite(f.leanest)]

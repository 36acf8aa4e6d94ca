"""What a Lagrangian bound leaves open, enumerated: partial plans of one candidate, in whole numbers.

Seconds and joules are rounded down to a grid so fine that a plan's sum loses a share of 1e-15 or less. Sums on the
grid are exact, and a plan within T_max is within it on the grid, so what is found is a lower bound. A partial plan
leaves where another of its group is no worse in both sums, where the least time of what follows breaks T_max, or where
its bound at one of a few multipliers reaches the target. Epochs with equal numbers are taken together: it only matters
how often a state is used in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import ENDLESS, Clock
from qopt.core.limits import limit_with_slack
from qopt.jqodi.certificate.arrays import Arrays, Change
from qopt.jqodi.certificate.bounds import LARGEST, MARGIN, Bound, Paths
from qopt.jqodi.certificate.instances import Block, blocks

FACTORS = (1.0, 0.0, 0.5, 0.8, 1.25, 2.0)
"""Multiples of the dual's multiplier whose bounds are looked at, the strongest first."""


class _TooMany(Exception):
    """More partial plans than were allowed."""


def enumerated(
    candidate: Arrays, limit: float, target: Fraction, multiplier: float, labels: int, clock: Clock = ENDLESS
) -> Bound | None:
    """The least of the target and of all plans' costs, rounded down; None where it would take too many partial plans.

    Parameters
    ----------
    candidate : a model at a width that is possible in every epoch.
    target : what is dearer is of no interest.
    multiplier : of a good Lagrangian bound.
    labels : partial plans that may be made.
    clock : raises `OutOfTime` where it is over.
    """
    try:
        with np.errstate(over="ignore"):
            search = _Search(candidate, limit, target, multiplier, labels, clock)
            least = search.paths() if candidate.changing else search.schedule()
    except _TooMany:
        return None
    return min(target, least)


@dataclass(frozen=True)
class _Labels:
    """Partial plans: their group (an epoch used so often, or a state), seconds and joules on the grid."""

    group: IntArray
    time: IntArray
    energy: IntArray

    def take(self, index: IntArray | BoolArray) -> _Labels:
        return _Labels(self.group[index], self.time[index], self.energy[index])

    def best(self) -> _Labels:
        """Those that no other of their group beats."""
        order = np.lexsort((self.energy, self.time, self.group))
        group = self.group[order]
        rank = np.unique(self.energy[order], return_inverse=True)[1].reshape(-1)
        # Later groups lie below all ranks of earlier ones, so the running least begins anew with each.
        level = rank - group * (len(order) + 1)
        before = np.concatenate(([np.iinfo(np.int64).max], np.minimum.accumulate(level)[:-1]))
        return self.take(order[level < before])


class _Search:
    """One enumeration."""

    def __init__(
        self, candidate: Arrays, limit: float, target: Fraction, multiplier: float, labels: int, clock: Clock
    ) -> None:
        self.candidate, self.remaining, self.target, self.clock = candidate, labels, target, clock
        self.multipliers = [m for f in FACTORS if (m := f * multiplier) * limit < LARGEST and (f == 0 or m > 0)]
        room = limit_with_slack(limit)
        self.time_shift = fine_shift(
            candidate.time, candidate.switch_time, candidate.setup_time, candidate.epochs, room
        )
        self.energy_shift = fine_shift(
            candidate.energy, candidate.switch_energy, candidate.setup_energy, candidate.epochs, 0.0
        )
        self.room = int(on_grid(np.array(room), self.time_shift))
        margin = 1.0 + MARGIN * 4 * (candidate.epochs + 4)
        # In floats: energy + lam time + what follows, at or above this, is at least the target + lam T_max exactly.
        self.cutoffs = [(float(target) + lam * room) * margin for lam in self.multipliers]
        self.start = _Labels(
            np.zeros(1, dtype=np.int64),
            self.whole_time(np.array([candidate.setup_time])),
            self.whole_energy(np.array([candidate.setup_energy])),
        )

    def whole_time(self, values: FloatArray) -> IntArray:
        return on_grid(values, self.time_shift)

    def whole_energy(self, values: FloatArray) -> IntArray:
        return on_grid(values, self.energy_shift)

    def weighted(self, labels: _Labels, lam: float) -> FloatArray:
        """(N,) energy + lam time of partial plans, in joules."""
        energy = np.ldexp(labels.energy.astype(np.float64), -self.energy_shift)
        weighted: FloatArray = energy + lam * np.ldexp(labels.time.astype(np.float64), -self.time_shift)
        return weighted

    def kept(self, labels: _Labels, least_time: IntArray, ahead: list[FloatArray]) -> _Labels:
        """Labels that may become plans below the target.

        Parameters
        ----------
        least_time : (N,) what follows takes at least, on the grid.
        ahead : for each multiplier, (N,) what follows costs at least.
        """
        self.clock.check()
        self.remaining -= len(labels.group)
        if self.remaining < 0:
            raise _TooMany
        viable = labels.time + least_time <= self.room
        for lam, cutoff, rest in zip(self.multipliers, self.cutoffs, ahead, strict=True):
            viable &= self.weighted(labels, lam) + rest < cutoff
        return labels.take(viable).best()

    def least(self, labels: _Labels) -> Bound:
        """The least energy of whole plans; infinite if there are none."""
        if not labels.energy.size:
            return math.inf
        return Fraction(int(labels.energy.min())) / Fraction(2) ** self.energy_shift

    # --- epochs that are free of each other -----------------------------------------------------------------------

    def schedule(self) -> Bound:
        """The least energy of what is left open, block by block, those with most seconds at stake first."""
        parts = self._worth(blocks(self.candidate))
        if parts is None:
            return math.inf
        parts.sort(key=lambda part: -len(part.epochs) * float(np.ptp(part.time)))
        lengths = [[part.energy + lam * part.time for lam in self.multipliers] for part in parts]
        seconds = [self.whole_time(part.time) for part in parts]
        # What the blocks after each cost at least, for each multiplier, and take at least.
        tails = [np.zeros(len(self.multipliers))]
        least_times = [0]
        for part, length, time in zip(parts[::-1], lengths[::-1], seconds[::-1], strict=True):
            n = len(part.epochs)
            tails.append(tails[-1] + n * np.array([x.min() for x in length]))
            least_times.append(least_times[-1] + n * int(time.min()))
        labels = self.start
        for at, part in enumerate(parts):
            after = len(parts) - 1 - at
            labels = self.block(labels, part, lengths[at], tails[after], least_times[after])
        return self.least(labels)

    def _worth(self, parts: list[Block]) -> list[Block] | None:
        """Blocks without the states that no plan below the target uses even once; None where one has no others."""
        worth = [np.ones(len(part.states), dtype=bool) for part in parts]
        for lam, cutoff in zip(self.multipliers, self.cutoffs, strict=True):
            lengths = [part.energy + lam * part.time for part in parts]
            least = float(self.weighted(self.start, lam)[0])
            least += math.fsum(len(part.epochs) * float(x.min()) for part, x in zip(parts, lengths, strict=True))
            for keep, x in zip(worth, lengths, strict=True):
                keep &= least + (x - x.min()) < cutoff
        if not all(keep.any() for keep in worth):
            return None
        pairs = zip(parts, worth, strict=True)
        return [Block(p.states[keep], p.epochs, p.energy[keep], p.time[keep]) for p, keep in pairs]

    def block(
        self, labels: _Labels, part: Block, length: list[FloatArray], tail: FloatArray, tail_time: int
    ) -> _Labels:
        """Labels with n more epochs: state by state, the dearest first, each used 0 to n times."""
        n, dear = len(part.epochs), length[0]
        order = np.argsort(-dear, kind="stable")
        time, energy = self.whole_time(part.time[order]), self.whole_energy(part.energy[order])
        # The least over a state and those after it.
        onward = [np.minimum.accumulate(x[order][::-1])[::-1] for x in length]
        fastest = np.minimum.accumulate(time[::-1])[::-1]
        for j in range(len(order)):
            if not labels.group.size:
                break
            free = n - labels.group
            last = j == len(order) - 1
            if last:
                row, times = np.arange(len(free)), free
            else:
                often = np.minimum(free, self._most(labels, free, j, onward, length, order, tail))
                row = np.repeat(np.arange(len(free)), often + 1)
                self.remaining -= len(row)
                if self.remaining < 0:
                    raise _TooMany
                times = np.arange(len(row)) - np.repeat(np.cumsum(often + 1) - often - 1, often + 1)
            labels = _Labels(
                labels.group[row] + times, labels.time[row] + times * time[j], labels.energy[row] + times * energy[j]
            )
            free = n - labels.group
            rest = [free * (0.0 if last else x[j + 1]) + end for x, end in zip(onward, tail, strict=True)]
            labels = self.kept(labels, free * (0 if last else fastest[j + 1]) + tail_time, rest)
        return _Labels(np.zeros_like(labels.group), labels.time, labels.energy)

    def _most(
        self,
        labels: _Labels,
        free: IntArray,
        j: int,
        onward: list[FloatArray],
        length: list[FloatArray],
        order: IntArray,
        tail: FloatArray,
    ) -> IntArray:
        """(N,) how often a state may be used before the bound reaches, at most."""
        most = free.astype(np.float64)
        for lam, cutoff, x, costs, end in zip(self.multipliers, self.cutoffs, onward, length, tail, strict=True):
            step = float(costs[order[j]] - x[j + 1])
            if step > 0:
                gap = cutoff - (self.weighted(labels, lam) + free * x[j + 1] + end)
                most = np.minimum(most, np.maximum(gap, 0.0) / step + 1.0)
        times: IntArray = np.minimum(np.floor(most), free).astype(np.int64)
        return times

    # --- epochs between which changing costs ----------------------------------------------------------------------

    def paths(self) -> Bound:
        """The least energy of what is left open, epoch by epoch; a label's group is its state."""
        candidate, routes = self.candidate, Paths(self.candidate)
        worth, suffixes = np.ones(candidate.time.shape, dtype=bool), []
        for lam, cutoff in zip(self.multipliers, self.cutoffs, strict=True):
            self.clock.check()
            suffixes.append(routes.suffixes(1.0, lam))
            worth &= float(self.weighted(self.start, lam)[0]) + routes.prefixes(1.0, lam) + suffixes[-1] < cutoff
            states = np.count_nonzero(worth, axis=1)
            if not states.all():
                return math.inf
            if int(states[:-1] @ states[1:]) > self.remaining:
                raise _TooMany  # a partial plan for each of these states, which goes on to each of the next
        time = self.whole_time(np.where(candidate.there, candidate.time, 0.0))
        energy = self.whole_energy(np.where(candidate.there, candidate.energy, 0.0))
        zero = np.zeros((candidate.states, candidate.states), dtype=np.int64)
        change_time = zero if candidate.switch_time is None else self.whole_time(candidate.switch_time.matrix)
        change_energy = zero if candidate.switch_energy is None else self.whole_energy(candidate.switch_energy.matrix)
        allowed = [np.flatnonzero(row) for row in worth]
        least_time = [time[-1, allowed[-1]]]
        for k in range(candidate.epochs - 2, -1, -1):
            onward = change_time[np.ix_(allowed[k], allowed[k + 1])] + least_time[-1]
            least_time.append(time[k, allowed[k]] + onward.min(axis=1))
        least_time.reverse()
        count = len(allowed[0])
        labels = _Labels(allowed[0], np.repeat(self.start.time, count), np.repeat(self.start.energy, count))
        labels = self.kept(labels, least_time[0], [x[0, allowed[0]] for x in suffixes])
        for k in range(candidate.epochs):
            labels = _Labels(labels.group, labels.time + time[k, labels.group], labels.energy + energy[k, labels.group])
            if k + 1 == candidate.epochs:
                break
            onto = allowed[k + 1]
            count, place = len(onto), np.tile(np.arange(len(onto)), len(labels.group))
            if len(place) > self.remaining:
                raise _TooMany
            at, to = np.repeat(labels.group, count), onto[place]
            joules = np.repeat(labels.energy, count)
            if k + 1 < candidate.counted:
                joules = joules + change_energy[at, to]
            labels = _Labels(to, np.repeat(labels.time, count) + change_time[at, to], joules)
            labels = self.kept(labels, least_time[k + 1][place], [x[k + 1, to] for x in suffixes])
        return self.least(labels)


def fine_shift(table: FloatArray, switch: Change | None, setup: float, epochs: int, more: float = 0.0) -> int:
    """Power of two of the grid: sums of all epochs stay below 2^60."""
    most = float(np.where(np.isfinite(table), table, 0.0).max(initial=0.0))
    most = max(most + (0.0 if switch is None else switch.largest), setup, more / (epochs + 1))
    # The exponents are added, since the product may be beyond all numbers.
    return 60 - math.frexp(most)[1] - (epochs + 1).bit_length() if most else 0


def on_grid(values: FloatArray, shift: int) -> IntArray:
    """Numbers on the grid, rounded down."""
    whole: IntArray = np.floor(np.ldexp(values, shift)).astype(np.int64)
    return whole

"""All plans of one candidate that no other beats in both energy and time, by one search over partial plans.

First the *supported* plans, shortest paths for weights (1, lam): between two of them that are neighbours nothing lies
below their line. Then partial plans, epoch by epoch, in whole numbers (a grid so fine that a sum loses a share of 1e-15
at most). One leaves where another in the same state is no worse in both sums, and where it can lead to nothing new: a
plan that no known one beats lies between two neighbours, below the highest corner that the known plans leave there, so
what it costs at their line's weights, completed in the cheapest way, must be below that corner as well. Completions are
plans too, and lower the corners. Whenever the search stops, the completions of what is left stand for the rest.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.jqodi.certificate.arrays import Arrays, Change
from qopt.jqodi.certificate.closing import fine_shift, on_grid
from qopt.kernels.paths.labels import pareto

SEGMENTS = 32
"""Neighbours among supported plans, at most: more bound better and take longer."""

MARGIN = 1e-12
"""Share that float sums may be off by: what is that close to a corner stays."""

AT_ONCE = 400_000
"""Partial plans that are made at once: tens of megabytes."""

LARGE = 100_000
"""Numbers of an epoch's table of changes, over which weights are taken one by one."""


_Labels = tuple[IntArray, IntArray, IntArray, IntArray]
"""Partial plans: that of the epoch before, state, energy and time on the grid."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found.

    Attributes
    ----------
    energy, time : (n,) joules and seconds of plans, no two of which beat each other, by rising time.
    complete : whether there are no others.
    states : (n, K) of the plans.
    """

    energy: FloatArray
    time: FloatArray
    complete: bool
    states: IntArray


class Staircase:
    """Energy and time of known plans, none of which another beats, by rising time."""

    def __init__(self) -> None:
        self.energy: FloatArray = np.zeros(0)
        self.time: FloatArray = np.zeros(0)

    def add(self, energy: FloatArray, time: FloatArray) -> None:
        """Take more, and drop what is beaten.

        Parameters
        ----------
        energy, time : (n,) joules and seconds of plans.
        """
        if len(self.time):
            at = np.searchsorted(self.time, time, side="right") - 1
            new = (at < 0) | (energy < self.energy[np.maximum(at, 0)])
            if not new.any():
                return
            energy, time = np.concatenate((self.energy, energy[new])), np.concatenate((self.time, time[new]))
        order = np.lexsort((energy, time))
        energy, time = energy[order], time[order]
        before = np.concatenate(([np.inf], np.minimum.accumulate(energy)[:-1]))
        self.energy, self.time = energy[energy < before], time[energy < before]

    def corners(self, ends: FloatArray, lam: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What plans are known to take at each of neighbouring times, and the highest corner between two (G,).

        Parameters
        ----------
        ends : (G + 1,) times of supported plans.
        lam : (G,) weights of time.
        """
        at = np.searchsorted(self.time, ends, side="right") - 1
        first, last = at[:-1], np.searchsorted(self.time, ends[1:], side="left") - 1
        highest = np.empty(len(lam))
        for g, (a, b) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            after = np.minimum(np.append(self.time[a + 1 : b + 1], ends[g + 1]), ends[g + 1])
            highest[g] = float((self.energy[a : max(a, b) + 1] + lam[g] * after[: max(a, b) + 1 - a]).max())
        return self.energy[first], highest


class _Suffixes:
    """Cheapest ways on for several weights (energy, time), from each state, it included."""

    def __init__(self, candidate: Arrays, changes: _Changes, weights: FloatArray) -> None:
        epochs, states = candidate.energy.shape
        shape = (epochs, len(weights), states)
        self.length, self.energy, self.time = (np.empty(shape) for _ in range(3))
        self.onward = np.zeros(shape, dtype=np.int64)
        energy, time = (np.where(candidate.there, x, np.inf) for x in (candidate.energy, candidate.time))
        present = [np.where(candidate.there, x, 0.0) for x in (candidate.energy, candidate.time)]
        nodes = weights[None, :, :1] * present[0][:, None] + weights[None, :, 1:] * present[1][:, None]
        nodes = np.where(candidate.there[:, None], nodes, np.inf)
        self.length[-1], self.energy[-1], self.time[-1] = nodes[-1], energy[-1][None], time[-1][None]
        several = max(1, LARGE // (states * states))
        for k in range(epochs - 2, -1, -1):
            for begin in range(0, len(weights), several):
                part = slice(begin, begin + several)
                own = weights[part]
                joules, seconds = changes.energy(k + 1).matrix, changes.seconds.matrix
                table = own[:, 0, None, None] * joules + own[:, 1, None, None] * seconds
                total = table + self.length[k + 1, part][:, None, :]
                best = total.argmin(axis=2)
                self.onward[k, part] = best
                least = np.take_along_axis(total, best[:, :, None], axis=2)[:, :, 0]
                self.length[k, part] = nodes[k, part] + least
                rows = np.arange(states)
                for sums, change, node in ((self.energy, joules, energy[k]), (self.time, seconds, time[k])):
                    rest = np.take_along_axis(sums[k + 1, part], best, axis=1)
                    sums[k, part] = node + change[rows, best] + rest

        self.cut_left = np.stack([self._before_cut(changes, k, weights) for k in range(epochs)])

    def _before_cut(self, changes: _Changes, k: int, weights: FloatArray) -> FloatArray:
        """(L, S) the same from where the server is changed before epoch k, and the cut is not yet."""
        table = weights[:, :1, None] * changes.energy(k).of_cut + weights[:, 1:, None] * changes.seconds.of_cut
        ends = self.length[k].reshape(len(weights), -1, 1, table.shape[2])
        least: FloatArray = (table[:, None] + ends).min(axis=3).reshape(len(weights), -1)
        return least

    def path(self, which: int, k: int, state: int) -> list[int]:
        """States after epoch k."""
        states = []
        for later in range(k, len(self.onward) - 1):
            state = int(self.onward[later, which, state])
            states.append(state)
        return states


class _Changes:
    """Joules and seconds of changes before an epoch: of the server, and of the cut."""

    def __init__(self, candidate: Arrays) -> None:
        servers, cuts = len(candidate.servers), len(candidate.cuts)
        free = Change(np.zeros((servers, servers)), np.zeros((cuts, cuts)))
        self.counted, self.none = candidate.counted, free
        self.joules, self.seconds = candidate.switch_energy or free, candidate.switch_time or free

    def energy(self, k: int) -> Change:
        return self.joules if k < self.counted else self.none


def supported(candidate: Arrays, changes: _Changes, clock: Clock) -> tuple[FloatArray, FloatArray, IntArray]:
    """Energy, time and states (K,) of plans that are cheapest for some weights, by rising time.

    Parameters
    ----------
    candidate : (K, S) tables of one model at a bit-width.
    changes : what changing its state costs.
    clock : when it is over, what was found is returned.
    """
    plans: dict[tuple[float, float], IntArray] = {}

    def solve(weights: FloatArray) -> list[tuple[float, float]]:
        suffixes = _Suffixes(candidate, changes, weights)
        points = []
        for g in range(len(weights)):
            state = int(np.argmin(suffixes.length[0, g]))
            states = np.array([state, *suffixes.path(g, 0, state)])
            point = candidate.totals(states)
            plans.setdefault(point, states)
            points.append(point)
        return points

    solve(np.array([[1.0, 0.0], [0.0, 1.0]]))
    done: set[tuple[float, float]] = set()
    while len(plans) < SEGMENTS and not clock.over:
        chain = _chain(plans)
        open_now = []
        for (e, t), (f, u) in itertools.pairwise(chain):
            lam = (e - f) / (u - t)
            if (t, u) not in done and np.isfinite(lam):
                done.add((t, u))
                open_now.append((lam, e + lam * t))
        if not open_now:
            break
        known = set(plans)
        for (lam, line), (e, t) in zip(open_now, solve(np.array([[1.0, lam] for lam, _ in open_now])), strict=True):
            if not e + lam * t < line * (1.0 - MARGIN) and (e, t) not in known:
                plans.pop((e, t), None)  # on the line, or above it by rounding
    chain = _chain(plans)
    energy, time = (np.array(column) for column in zip(*chain, strict=True))
    return energy, time, np.array([plans[point] for point in chain])


def _chain(plans: dict[tuple[float, float], IntArray]) -> list[tuple[float, float]]:
    """Corners of the lower left hull of the plans, by rising time."""
    kept: list[tuple[float, float]] = []
    for e, t in sorted(plans, key=lambda point: (point[1], point[0])):
        if kept and e >= kept[-1][0]:
            continue
        while len(kept) > 1 and (kept[-1][0] - kept[-2][0]) * (t - kept[-2][1]) >= (e - kept[-2][0]) * (
            kept[-1][1] - kept[-2][1]
        ):
            kept.pop()
        kept.append((e, t))
    return kept


class Sweep:
    """One search.

    Parameters
    ----------
    candidate : a model at a width with a state in every epoch.
    known : plans of other candidates, which the search takes note of, and adds to.
    clock : ends it with what there is.
    labels : partial plans that may be made.
    """

    def __init__(self, candidate: Arrays, known: Staircase, clock: Clock, labels: int) -> None:
        self.candidate, self.known, self.clock, self.remaining = candidate, known, clock, labels
        self.changes = _Changes(candidate)
        self.history: list[tuple[IntArray, IntArray]] = []
        self.energies, self.times, self.plans = supported(candidate, self.changes, clock)
        known.add(self.energies, self.times)
        with np.errstate(divide="ignore"):
            self.lam = -np.diff(self.energies) / np.diff(self.times)
        self.energy_shift = fine_shift(
            candidate.energy, candidate.switch_energy, candidate.setup_energy, candidate.epochs
        )
        self.time_shift = fine_shift(candidate.time, candidate.switch_time, candidate.setup_time, candidate.epochs)

    def run(self) -> Found:
        """All plans that no other beats; or, where it is stopped, those that are known."""
        if not len(self.lam) or self.clock.over:
            return Found(self.energies, self.times, not len(self.lam), self.plans)
        candidate = self.candidate
        weights = np.vstack((np.column_stack((np.ones_like(self.lam), self.lam)), [[1.0, 0.0], [0.0, 1.0]]))
        self.suffixes = _Suffixes(candidate, self.changes, weights)
        self.start, self.ceiling = self.known.corners(self.times, self.lam)
        seconds = on_grid(np.where(candidate.there, candidate.time, 0.0), self.time_shift)
        joules = on_grid(np.where(candidate.there, candidate.energy, 0.0), self.energy_shift)
        state = np.flatnonzero(candidate.there[0])
        energy = joules[0, state] + on_grid(np.array(candidate.setup_energy), self.energy_shift)
        time = seconds[0, state] + on_grid(np.array(candidate.setup_time), self.time_shift)
        parent = np.zeros(len(state), dtype=np.int64)
        for k in range(candidate.epochs):
            if k:
                made = self._onward(k, state, energy, time, (joules[k], seconds[k]))
                if made is None:
                    return self._left(k - 1, state, energy, time, False)
                parent, state, energy, time = made
            self.history.append((parent.astype(np.int32), state.astype(np.int32)))
            if k % 4 == 0:
                self._complete(k, state, energy, time)
        return self._left(candidate.epochs - 1, state, energy, time, True)

    def _onward(
        self, k: int, state: IntArray, energy: IntArray, time: IntArray, tables: tuple[IntArray, IntArray]
    ) -> _Labels | None:
        """Partial plans one epoch on; None where there is no time, or there would be too many."""
        candidate, nodes = self.candidate, [np.zeros_like(x) for x in tables]
        cuts, there = len(candidate.cuts), np.flatnonzero(candidate.there[k])
        index = np.arange(candidate.states)
        begun: _Labels = (np.arange(len(state)), state, energy, time)
        labels: _Labels | None = begun
        length = self.suffixes.length[k]
        if not candidate.changing:
            kept = _undominated(np.zeros_like(state), energy, time)
            begun = (kept, np.zeros_like(kept), energy[kept], time[kept])
            free = np.zeros((1, len(there)), dtype=np.int64)
            return self._moved(begun, there[None], (free, free), tables, length)
        change = self.changes.energy(k), self.changes.seconds
        if len(candidate.servers) > 1:
            onto = (np.arange(len(candidate.servers)) * cuts)[None] + (index % cuts)[:, None]
            costs = tuple(on_grid(c.of_server, s)[index // cuts] for c, s in zip(change, self._shifts, strict=True))
            last = cuts == 1
            ahead = length if last else self.suffixes.cut_left[k]
            labels = self._moved(begun, onto, costs, tables if last else (nodes[0], nodes[1]), ahead)
        if cuts > 1 and labels is not None:
            onto = (index // cuts * cuts)[:, None] + np.arange(cuts)[None]
            costs = tuple(on_grid(c.of_cut, s)[index % cuts] for c, s in zip(change, self._shifts, strict=True))
            labels = self._moved(labels, onto, costs, tables, length)
        return labels

    @property
    def _shifts(self) -> tuple[int, int]:
        return self.energy_shift, self.time_shift

    def _moved(
        self,
        labels: _Labels,
        onto: IntArray,
        costs: tuple[IntArray, ...],
        nodes: tuple[IntArray, IntArray],
        ahead: FloatArray,
    ) -> _Labels | None:
        """Partial plans moved: from state s to the states `onto` [s], at `costs` [s], with what these take."""
        parent, state, energy, time = labels
        count = onto.shape[1]
        several = max(1, AT_ONCE // count)
        parts = []
        for begin in range(0, len(state), several):
            part = slice(begin, begin + several)
            self.remaining -= len(state[part]) * count
            if self.clock.over or self.remaining < 0:
                return None
            to = onto[state[part]].ravel()
            e = (energy[part, None] + costs[0][state[part]]).ravel()
            t = (time[part, None] + costs[1][state[part]]).ravel()
            keep = np.flatnonzero(self._promising(ahead, to, e, t))
            to, e, t = to[keep], e[keep] + nodes[0][to[keep]], t[keep] + nodes[1][to[keep]]
            best = _undominated(to, e, t)
            parts.append((parent[part][keep[best] // count], to[best], e[best], t[best]))
        if not parts:
            return labels
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        if len(parts) > 1:
            best = _undominated(columns[1], columns[2], columns[3])
            columns = [column[best] for column in columns]
        return columns[0], columns[1], columns[2], columns[3]

    def _floats(self, energy: IntArray, time: IntArray) -> tuple[FloatArray, FloatArray]:
        return (
            np.ldexp(energy.astype(np.float64), -self.energy_shift),
            np.ldexp(time.astype(np.float64), -self.time_shift),
        )

    def _promising(self, length: FloatArray, state: IntArray, energy: IntArray, time: IntArray) -> BoolArray:
        """Whether partial plans up to a state, it left out, may lead to what no known plan beats.

        `length` (G + 2, S) is the cheapest way on by the lines' weights, by energy and by time.
        """
        e, t = self._floats(energy, time)
        least_energy, least_time = e + length[-2, state], t + length[-1, state]
        # Neighbours between which it can lead: no faster than its least time, no cheaper than its least energy.
        first = np.searchsorted(self.times[1:], least_time * (1.0 - MARGIN), side="left")
        last = len(self.lam) - np.searchsorted(self.start[::-1], least_energy * (1.0 - MARGIN), side="left")
        found = np.zeros(len(state), dtype=bool)
        ceiling = self.ceiling * (1.0 + MARGIN)
        for g in range(len(self.lam)):
            asked = np.flatnonzero((first <= g) & (g < last) & ~found)
            if asked.size:
                at = state[asked]
                found[asked] = e[asked] + self.lam[g] * t[asked] + length[g, at] <= ceiling[g]
        return found

    def _complete(self, k: int, state: IntArray, energy: IntArray, time: IntArray) -> None:
        """Learn from completions."""
        e, t = self._floats(energy, time)
        rest_energy, rest_time = self._rests(k, state)
        self.known.add((e[None] + rest_energy).ravel(), (t[None] + rest_time).ravel())
        self.start, self.ceiling = self.known.corners(self.times, self.lam)

    def _rests(self, k: int, state: IntArray) -> tuple[FloatArray, FloatArray]:
        """(G, N) joules and seconds of the cheapest ways on, by the lines' weights, the state left out."""
        energy = self.suffixes.energy[k, : len(self.lam)] - np.where(
            self.candidate.there[k], self.candidate.energy[k], 0.0
        )
        time = self.suffixes.time[k, : len(self.lam)] - np.where(self.candidate.there[k], self.candidate.time[k], 0.0)
        return energy[:, state], time[:, state]

    def _left(self, k: int, state: IntArray, energy: IntArray, time: IntArray, complete: bool) -> Found:
        """The plans: partial ones that have come to the end, or their completions."""
        count = 1 if complete else len(self.lam)
        label = np.tile(np.arange(len(state)), count)
        which = np.repeat(np.arange(count), len(state))
        e, t = self._floats(energy, time)
        if not complete:
            rest_energy, rest_time = self._rests(k, state)
            e, t = (e[None] + rest_energy).ravel(), (t[None] + rest_time).ravel()
            e, t = np.concatenate((e, self.energies)), np.concatenate((t, self.times))
        order = np.lexsort((e, t))
        before = np.concatenate(([np.inf], np.minimum.accumulate(e[order])[:-1]))
        kept = order[e[order] < before]

        begun = kept[kept < len(label)]
        states = np.empty((len(kept), self.candidate.epochs), dtype=np.int64)
        states[kept >= len(label)] = self.plans[kept[kept >= len(label)] - len(label)]
        mine, paths = label[begun], np.empty((len(begun), self.candidate.epochs), dtype=np.int64)
        for epoch in range(k, -1, -1):
            parents, own = self.history[epoch]
            paths[:, epoch] = own[mine]
            mine = parents[mine]
        for epoch in range(k + 1, self.candidate.epochs):
            paths[:, epoch] = self.suffixes.onward[epoch - 1, which[begun], paths[:, epoch - 1]]
        states[kept < len(label)] = paths
        return Found(e[kept], t[kept], complete, states)


def _undominated(state: IntArray, energy: IntArray, time: IntArray) -> IntArray:
    """Partial plans that no other in their state beats."""
    return pareto(state, energy, time[None], energy)  # type: ignore[arg-type]

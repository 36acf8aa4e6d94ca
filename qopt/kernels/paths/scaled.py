"""Dynamic programming over scaled costs: the least resource that a path of a given whole cost needs.

    r(v, q) = least resource of a path from the source to v whose scaled costs add up to q

Scaled costs are floor(cost / unit) with a power of two as unit, so that no quotient rounds; potentials, the cheapest
scaled suffixes, make them excesses >= 0 over the cheapest way on. At a vertex only labels (q, r) are kept that none is
as good as, so there are never more than whole costs up to the ceiling. Labels that no cheap enough path within the
limit can grow from, by their least resource to go and by a multiplier's suffixes, leave as well.

Resources add up in floats, or in whole numbers of any size where floats cannot tell whether a limit holds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qopt.core.arrays import AnyArray, BoolArray, FloatArray, IntArray
from qopt.kernels.paths.graph import Digraph, Layered
from qopt.kernels.paths.labels import pareto
from qopt.kernels.paths.levels import Level, Levels

ABSENT = 2**61
"""Scaled cost of what is not there: two of them are still a 64-bit integer, and no path that counts costs as much."""

MAX_LABELS = 10_000_000
"""Labels kept in one search: 320 MB at 32 bytes each."""

LABELS_AT_ONCE = 2_000_000
"""Labels made at once, before those that are no good leave: 16 MB an array."""

FIRST_LABELS = 1024
"""Labels that there is room for at first; twice as many whenever they are too few."""


class Stopped(Exception):
    """The time is over, or there would be too many labels; the message says which."""


class WithinRounding(Exception):
    """Floats cannot tell whether a path keeps its limit."""


def check_time(deadline: float | None) -> None:
    """Stop if the time is over.

    Parameters
    ----------
    deadline : `time.perf_counter` at which it stops; None for none.
    """
    if deadline is not None and time.perf_counter() > deadline:
        raise Stopped("the time is over")


@dataclass(frozen=True)
class Room:
    """The limit, and how resources are added up.

    Attributes
    ----------
    surely : sums beyond this exceed the limit.
    per : None for floats; else resources are multiplied by this power of two, which makes them whole.
    """

    surely: float | int
    per: int | None = None

    @property
    def kind(self) -> type:
        """Of arrays of resources."""
        return float if self.per is None else object

    def of(self, parts: FloatArray) -> AnyArray:
        """(m,) resources of arcs, from (parts, m).

        Parameters
        ----------
        parts : (parts, m) resources as given.
        """
        exact: AnyArray = parts
        if self.per is not None:
            exact = np.empty(parts.shape, dtype=object)
            for at, x in np.ndenumerate(parts):
                top, bottom = float(x).as_integer_ratio()
                exact[at] = top * (self.per // bottom)
        total: AnyArray = exact.sum(axis=0)
        return total


def whole_room(graph: Layered | Digraph, allowed: float) -> Room:
    """A finite limit on resources in whole numbers: exact.

    Parameters
    ----------
    graph : layers, or a digraph.
    allowed : mask of the elements that may be used.
    """
    used = [graph.node_resource, graph.arc_resource] if isinstance(graph, Layered) else [graph.resource]
    parts = [x for array in used if array is not None for x in np.unique(array).tolist()]
    per = max(x.as_integer_ratio()[1] for x in parts)
    return Room(math.floor(Fraction(allowed) * per), per)


class Labels:
    """Labels of all vertices, those of a vertex side by side, in arrays that grow.

    Parameters
    ----------
    kind : of the resources: float, or object for whole numbers of any size.
    vertices : their number.
    """

    def __init__(self, kind: type, vertices: int) -> None:
        self.first, self.count = np.zeros((2, vertices), dtype=np.int64)
        self.size = 0
        self.cost, self.parent, self.step = (np.zeros(FIRST_LABELS, dtype=np.int64) for _ in range(3))
        self.used: AnyArray = np.zeros(FIRST_LABELS, dtype=kind)

    def add(self, vertex: IntArray, cost: IntArray, used: AnyArray, parent: IntArray, step: IntArray) -> None:
        """More of them, of vertices in rising order that have none yet.

        Parameters
        ----------
        vertex : where it stands, or where each of them stands.
        cost : (n, k) a class a row, or costs by element.
        used : resources by row.
        parent : label before each.
        step : last step of each.
        """
        if self.size + len(vertex) > MAX_LABELS:
            raise Stopped(f"more than {MAX_LABELS} labels")
        end = self.size + len(vertex)
        for name, values in (("cost", cost), ("used", used), ("parent", parent), ("step", step)):
            array = getattr(self, name)
            if end > len(array):
                array = np.concatenate((array, np.zeros(max(end, len(array)), dtype=array.dtype)))
                setattr(self, name, array)
            array[self.size : end] = values
        new, where, count = np.unique(vertex, return_index=True, return_counts=True)
        self.first[new], self.count[new] = self.size + where, count
        self.size = end

    def steps(self, label: int) -> IntArray:
        """Steps behind a label.

        Parameters
        ----------
        label : its place.
        """
        found = []
        while label >= 0:
            found.append(int(self.step[label]))
            label = int(self.parent[label])
        return np.array([step for step in reversed(found) if step >= 0], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class _Ask:
    """What one search asks for.

    Attributes
    ----------
    unit : by which costs are divided.
    width : excess over the cheapest way on that is too much.
    bar : paths with cost + weight resource above this are of no interest.
    least : (n,) least scaled cost from each vertex to the target.
    """

    unit: float
    width: int
    bar: float
    least: IntArray


class Search:
    """Searches of one graph, each with its own unit.

    Parameters
    ----------
    levels : of the arcs.
    room : the limit.
    weight : multiplier whose suffixes bound labels; 0 for none.
    deadline : of `time.perf_counter`; None for none.
    """

    def __init__(self, levels: Levels, room: Room, weight: float, deadline: float | None) -> None:
        self.levels, self.room, self.weight, self.deadline = levels, room, weight, deadline
        never = math.inf if room.per is None else room.surely + 1
        self.quickest = self._suffixes(never, room.kind, lambda level: room.of(level.resource))
        weighted = lambda level: level.cost.sum(axis=0) + weight * level.resource.sum(axis=0)  # noqa: E731
        self.length: FloatArray = self._suffixes(math.inf, float, weighted)

    def _suffixes(self, never: float, kind: type, of: Callable[[Level], AnyArray]) -> AnyArray:
        """(n,) shortest suffixes by some length of arcs."""
        shortest: AnyArray = np.full(self.levels.vertices, never, dtype=kind)
        shortest[self.levels.target] = 0
        for level in reversed(self.levels):
            check_time(self.deadline)
            np.minimum.at(shortest, level.tail, of(level) + shortest[level.head])
        return shortest

    def cheapest(self, unit: float, ceiling: int, dearest: float, bar: float) -> tuple[int, IntArray] | None:
        """Least sum of scaled costs of a path that keeps the limit, and its steps; None if none is at most a ceiling.

        Parameters
        ----------
        unit : a power of two, by which costs are divided; infinite: all count as 0.
        ceiling : greatest sum of scaled costs.
        dearest : arcs of which a part costs more are left out.
        bar : paths with cost + weight resource above this are of no interest; infinite for none.

        Raises
        ------
        Stopped
            The time is over, or there are more than `MAX_LABELS` labels.
        """
        levels, room = self.levels, self.room
        least = self._suffixes(ABSENT, int, lambda level: _scaled(level, unit, dearest))
        least = np.minimum(least, ABSENT)
        width = ceiling - int(least[levels.source]) + 1
        if width <= 0:
            return None
        labels = Labels(room.kind, levels.vertices)
        ask = _Ask(unit=unit, width=width, bar=bar, least=least)
        zero = np.zeros(1, dtype=np.int64)
        labels.add(zero + levels.source, zero, zero, zero - 1, zero - 1)
        for level in levels:
            onward = _scaled(level, unit, dearest) + least[level.head]
            excess = np.where(onward < ABSENT, onward - least[level.tail], ABSENT)
            arcs = np.flatnonzero((excess < width) & (labels.count[level.tail] > 0))
            for part in _parts(level.head[arcs], labels.count[level.tail[arcs]]):
                check_time(self.deadline)
                self._extend(labels, level, arcs[part], excess, ask)
        first, count = int(labels.first[levels.target]), int(labels.count[levels.target])
        if not count:
            return None
        best = first + int(np.argmin(labels.cost[first : first + count]))
        return int(labels.cost[best] + least[levels.source]), labels.steps(best)

    def _extend(
        self,
        labels: Labels,
        level: Level,
        arcs: IntArray,
        excess: IntArray,
        ask: _Ask,
    ) -> None:
        """Labels of the heads of some arcs, all arcs of these heads."""
        count = labels.count[level.tail[arcs]]
        arc = np.repeat(arcs, count)
        before = np.cumsum(count) - count
        parent = np.arange(len(arc)) + np.repeat(labels.first[level.tail[arcs]] - before, count)
        cost = labels.cost[parent] + excess[arc]
        used = labels.used[parent] + self.room.of(level.resource[:, arcs])[np.repeat(np.arange(len(arcs)), count)]
        head = level.head[arc]
        keep: BoolArray = (cost < ask.width) & (used + self.quickest[head] <= self.room.surely).astype(bool)
        if ask.bar < math.inf:
            # The prefix costs at least what its scaled costs say.
            spent = (cost + (ask.least[self.levels.source] - ask.least[head])) * ask.unit
            keep &= spent + self.weight * used + self.length[head] <= ask.bar
        kept = np.flatnonzero(keep)
        arc, parent, head, cost, used = arc[kept], parent[kept], head[kept], cost[kept], used[kept]
        rank = used if self.room.per is None else np.unique(used, return_inverse=True)[1].astype(float)
        good = pareto(head, cost, rank[None], cost)
        good = good[np.argsort(head[good], kind="stable")]
        labels.add(head[good], cost[good], used[good], parent[good], level.step[arc[good]])


def _scaled(level: Level, unit: float, dearest: float) -> IntArray:
    """(m,) scaled costs; `ABSENT` for arcs that are left out."""
    cost = level.cost.sum(axis=0)
    present = (level.cost <= dearest).all(axis=0) & (cost < math.inf)
    return np.where(present, np.floor(np.where(present, cost, 0.0) / unit).astype(np.int64), ABSENT)


def _parts(head: IntArray, count: IntArray) -> list[IntArray]:
    """Indices of arcs in pieces of about `LABELS_AT_ONCE` labels, all arcs into a vertex in one."""
    if not head.size:
        return []
    made = np.cumsum(count) // LABELS_AT_ONCE
    starts = np.flatnonzero(np.diff(head, prepend=-1))  # where a vertex's arcs begin
    cut = starts[1:][np.diff(made[starts]) > 0]
    return np.split(np.arange(len(head)), cut)

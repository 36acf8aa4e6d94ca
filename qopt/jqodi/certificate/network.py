"""All candidates of a JQODI problem as one network, in which a stranger can follow every plan.

Vertex 0 is the source. An arc leads to each model at a bit-width that reaches its loss and has a state in every epoch:
what quantizing takes. Then come its epochs: an arc for each possible state, from where it is entered to where it is
left, and arcs that change it before the next:

* mode ``choice``, or one state: each state goes on to itself.
* nothing ever costs: all states meet at one vertex.
* else the server is changed first, then the cut, each if there are several. A part that costs the same for any change
  goes through a hub for each value of the other part (whoever pays may come back to where it was), staying beside it;
  one with a matrix has an arc for each entry: S (X + J) arcs in place of S^2, no triangle inequality needed.

At last all states of the last epoch, of all candidates, go to the target. All arcs lead to higher numbers, and no two
have both ends in common. Energies of changes before epochs that do not count are 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.errors import InputError
from qopt.jqodi.certificate.arrays import Arrays
from qopt.jqodi.plan import JqodiPlan

MAX_ARCS = 20_000_000
"""Arcs that are written down: a proof of about a gigabyte."""


@dataclass(frozen=True, eq=False)
class Network:
    """The arcs, and where the states of candidates stand.

    Attributes
    ----------
    vertices : their number; the source is 0, the target the last.
    tail, head : (m,) ends.
    energy, time : (m,) joules and seconds.
    first : arc from the source, by candidate's key; those that are there in the order of the problem.
    ways : vertices of each candidate, by its key.
    """

    vertices: int
    tail: IntArray
    head: IntArray
    energy: FloatArray
    time: FloatArray
    first: dict[str, int]
    ways: dict[str, _Way]

    def instance(self, limit: float, name: str) -> dict[str, object]:
        """As `qopt.kernels.checker` reads it.

        Parameters
        ----------
        limit : T_max [s].
        name : of the problem.
        """
        columns = (self.tail.tolist(), self.head.tolist(), self.energy.tolist(), self.time.tolist())
        return {
            "format": "qopt/kernel-instance",
            "version": 1,
            "kind": "rcsp",
            "name": name,
            "vertices": self.vertices,
            "source": 0,
            "target": self.vertices - 1,
            "arcs": [list(arc) for arc in zip(*columns, strict=True)],
            "limit": [limit],
        }

    def path(self, candidate: Arrays, plan: JqodiPlan) -> list[int]:
        """Arcs of a plan for a candidate.

        Parameters
        ----------
        candidate, plan : which fit each other.
        """
        vertices = [0, *self.ways[candidate.key].vertices(candidate.states_of(plan)), self.vertices - 1]
        key = self.tail * self.vertices + self.head
        order = np.argsort(key)
        wanted = np.array(vertices[:-1]) * self.vertices + np.array(vertices[1:])
        found = order[np.minimum(np.searchsorted(key[order], wanted), len(order) - 1)]
        if not np.array_equal(key[found], wanted):
            raise InputError(
                "plan", f"a plan for {candidate.key} that takes what is not there", "a plan of the problem"
            )
        arcs: list[int] = found.tolist()
        return arcs


@dataclass(frozen=True, eq=False)
class _Part:
    """Changing one part, before an epoch: of the server, or of the cut.

    Attributes
    ----------
    at : (S,) the part's own value in each state.
    others : (S,) that of the other part.
    energy, time : (n, n) joules and seconds from row to column.
    """

    at: IntArray
    others: IntArray
    energy: FloatArray
    time: FloatArray

    @property
    def several(self) -> bool:
        """Whether there is anything to change."""
        return len(self.energy) > 1

    @property
    def charge(self) -> tuple[float, float] | None:
        """What any change costs, where all cost the same."""
        apart = ~np.eye(len(self.energy), dtype=bool)
        energies, times = self.energy[apart], self.time[apart]
        same = bool(np.all(energies == energies[0]) and np.all(times == times[0]))
        return (float(energies[0]), float(times[0])) if same else None


@dataclass(frozen=True, eq=False)
class _Way:
    """Vertices of a candidate.

    Attributes
    ----------
    start : where quantizing ends.
    entered, left : (K, S) of each state.
    stages : before every epoch but the first, for each stage of a change: the vertex at which each state comes out
        (S,), the hub of each (S,) or None, and the part that changes.
    """

    start: int
    entered: IntArray
    left: IntArray
    stages: list[list[tuple[IntArray, IntArray | None, _Part]]]

    def vertices(self, states: IntArray) -> list[int]:
        """Those of a plan, but source and target."""
        found = [self.start]
        for k, s in enumerate(states.tolist()):
            if k:
                before = int(states[k - 1])
                for out, hub, part in self.stages[k - 1] if self.stages else ():
                    # The state that has this part of the new state, and the other part of the one before.
                    onto = int(np.flatnonzero((part.at == part.at[s]) & (part.others == part.others[before]))[0])
                    if hub is not None and (onto != before or not any(part.charge or ())):
                        found.append(int(hub[before]))
                    found.append(int(out[onto]))
                    before = onto
            if found[-1] != self.entered[k, s]:
                found.append(int(self.entered[k, s]))
            found.append(int(self.left[k, s]))
        return found


class _Builder:
    """Arcs one block after the other."""

    def __init__(self) -> None:
        self.vertices, self.arcs = 1, 0
        self.blocks: list[tuple[IntArray, IntArray, FloatArray, FloatArray]] = []

    def new(self, count: int) -> IntArray:
        """Numbers of more vertices."""
        made = np.arange(self.vertices, self.vertices + count)
        self.vertices += count
        return made

    def add(self, tail: IntArray, head: IntArray, energy: FloatArray | float, time: FloatArray | float) -> int:
        """More arcs; returns the number of the first."""
        first = self.arcs
        self.arcs += len(tail)
        if self.arcs > MAX_ARCS:
            allowed = f"at most {MAX_ARCS} arcs, about servers times cuts times both times epochs"
            raise InputError("problem", f"more than {MAX_ARCS} arcs", allowed)
        joules, seconds = (np.broadcast_to(np.asarray(x, dtype=np.float64), tail.shape) for x in (energy, time))
        self.blocks.append((tail, head, joules, seconds))
        return first


def network(candidates: list[Arrays], choice: bool) -> Network:
    """The network of the candidates that have a state in every epoch.

    Parameters
    ----------
    candidates : of one problem.
    choice : whether the state of the first epoch stays.

    Raises
    ------
    InputError
        There would be more than `MAX_ARCS` arcs.
    """
    builder, first, ways, ends = _Builder(), {}, {}, []
    for candidate in candidates:
        if not candidate.possible:
            continue
        start = builder.new(1)
        first[candidate.key] = builder.add(
            np.zeros(1, dtype=np.int64), start, candidate.setup_energy, candidate.setup_time
        )
        way = _epochs(builder, candidate, int(start[0]), choice)
        ways[candidate.key] = way
        ends.append(way.left[-1][candidate.there[-1]])
    target = builder.new(1)
    for last in ends:
        builder.add(last, np.broadcast_to(target, last.shape), 0.0, 0.0)
    columns = [np.concatenate(column) for column in zip(*builder.blocks, strict=True)] or [np.zeros(0)] * 4
    tail, head, energy, time = columns
    return Network(builder.vertices, tail.astype(np.int64), head.astype(np.int64), energy, time, first, ways)


def _parts(candidate: Arrays) -> list[_Part]:
    """Changes of the server and of the cut."""
    servers, cuts = len(candidate.servers), len(candidate.cuts)
    x, j = np.repeat(np.arange(servers), cuts), np.tile(np.arange(cuts), servers)
    found = []
    for name, at, others, count in (("of_server", x, j, servers), ("of_cut", j, x, cuts)):
        tables = [
            np.zeros((count, count)) if change is None else getattr(change, name)
            for change in (candidate.switch_energy, candidate.switch_time)
        ]
        found.append(_Part(at, others, *tables))
    return [part for part in found if part.several]


def _epochs(builder: _Builder, candidate: Arrays, start: int, choice: bool) -> _Way:
    """Vertices and arcs of one candidate."""
    epochs, states = candidate.epochs, candidate.states
    free = not candidate.changing and not choice
    entered, left = (np.zeros((epochs, states), dtype=np.int64) for _ in range(2))
    stages: list[list[tuple[IntArray, IntArray | None, _Part]]] = []
    parts = [] if choice or free else _parts(candidate)
    for k in range(epochs):
        there = np.flatnonzero(candidate.there[k])
        if k == 0:
            entered[0] = start
        elif free:
            entered[k] = builder.new(1)[0]
            before = left[k - 1][candidate.there[k - 1]]
            builder.add(before, np.full(len(before), entered[k, 0]), 0.0, 0.0)
        elif not parts:
            entered[k] = builder.new(states)
            both = np.flatnonzero(candidate.there[k] & candidate.there[k - 1])
            builder.add(left[k - 1][both], entered[k][both], 0.0, 0.0)
        else:
            entered[k] = _change(builder, candidate, k, left[k - 1], parts, stages)
        left[k] = builder.new(states)
        builder.add(entered[k][there], left[k][there], candidate.energy[k, there], candidate.time[k, there])
    return _Way(start, entered, left, stages)


def _change(
    builder: _Builder,
    candidate: Arrays,
    k: int,
    before: IntArray,
    parts: list[_Part],
    stages: list[list[tuple[IntArray, IntArray | None, _Part]]],
) -> IntArray:
    """Arcs of a change before epoch k; returns (S,) where its states come out."""
    now, possible, counts = before, candidate.there[k - 1], float(k < candidate.counted)
    stages.append([])
    for at, part in enumerate(parts):
        # States that can come out: any, but before the epoch itself those that are possible in it.
        into = candidate.there[k] if at == len(parts) - 1 else np.ones_like(possible)
        sources, charge, hub = np.flatnonzero(possible), part.charge, None
        if charge is None:
            out = builder.new(len(now))
            onto = np.flatnonzero(into)
            pairs = part.others[sources][:, None] == part.others[onto][None, :]
            a, b = np.nonzero(pairs)
            r, s = sources[a], onto[b]
            builder.add(now[r], out[s], counts * part.energy[part.at[r], part.at[s]], part.time[part.at[r], part.at[s]])
        else:
            hub = builder.new(int(part.others.max()) + 1)[part.others]
            out = builder.new(len(now))
            builder.add(now[sources], hub[sources], counts * charge[0], charge[1])
            stay = np.flatnonzero(possible & into) if any(charge) else sources[:0]
            builder.add(now[stay], out[stay], 0.0, 0.0)
            onto = np.flatnonzero(into)
            builder.add(hub[onto], out[onto], 0.0, 0.0)
        stages[-1].append((out, hub, part))
        now, possible = out, into
    return now

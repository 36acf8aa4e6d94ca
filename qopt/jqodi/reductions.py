"""One candidate as an instance of a kernel: what methods solve, and what the trees of a witness speak of.

A certificate builds these instances by itself; the order of columns and arcs is said where it does
(`qopt.jqodi.certificate.instances`).

Quantizing is a class, an arc or a layer of its own at the beginning, so that every sum has the terms that the data
have. A schedule keeps, of the states of an epoch, those that no other beats in both energy and time: any plan can be
moved to them without using more, in the numbers as they are. Epochs with the same numbers are exchangeable, and
`counting_graph` says how often each state is used in place of when.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.jqodi.terms import Candidate
from qopt.kernels.paths.graph import Digraph, Layered

STACKED = 20_000_000
"""Entries up to which changes that differ by epoch are one matrix an epoch; beyond, states stand twice."""


@dataclass(frozen=True, eq=False, repr=False)
class Block(Brief):
    """Epochs with the same numbers, and the states that matter in them.

    Attributes
    ----------
    epochs : (n,) from 0.
    states : (p,) none of which another beats, the cheapest first, so the fastest last.
    energy, time : (p,) joules and seconds of one epoch.
    """

    epochs: IntArray
    states: IntArray
    energy: FloatArray
    time: FloatArray


def possible(candidate: Candidate) -> bool:
    """Whether every epoch has a state."""
    return bool(np.isfinite(candidate.time).any(axis=1).all())


def blocks(candidate: Candidate) -> list[Block]:
    """The epochs of a candidate, those with equal numbers together. Every epoch must have a possible state."""
    alike: dict[bytes, list[int]] = {}
    for k in range(candidate.epochs):
        alike.setdefault(candidate.time[k].tobytes() + candidate.energy[k].tobytes(), []).append(k)
    parts = []
    for epochs in alike.values():
        energy, time = candidate.energy[epochs[0]], candidate.time[epochs[0]]
        order = np.lexsort((time, energy))
        before = np.concatenate(([math.inf], np.minimum.accumulate(time[order])[:-1]))
        kept = order[time[order] < before]
        parts.append(Block(np.array(epochs), kept, energy[kept], time[kept]))
    return parts


@dataclass(frozen=True, eq=False, repr=False)
class Schedule(Brief):
    """A multiple-choice knapsack: class 0 is quantizing, class 1 + k is epoch k.

    Attributes
    ----------
    cost, weight : (1 + K, p) joules and seconds; a shorter list of states is filled up with its last.
    states : (K, p) the state behind each column.
    limit : T_max.
    """

    cost: FloatArray
    weight: FloatArray
    states: IntArray
    limit: float

    def states_of(self, choice: IntArray) -> IntArray:
        """(K,) states of a choice of columns (1 + K,)."""
        states: IntArray = self.states[np.arange(len(self.states)), choice[1:]]
        return states


def schedule_instance(candidate: Candidate, limit: float) -> Schedule:
    """The best state of every epoch, where changing costs nothing, as a knapsack. Every epoch must have a state.

    Parameters
    ----------
    candidate : its switching is left out.
    limit : T_max [s].
    """
    parts = blocks(candidate)
    width = max(len(part.states) for part in parts)
    cost, weight = (np.full((1 + candidate.epochs, width), x) for x in (candidate.setup_energy, candidate.setup_time))
    states = np.zeros((candidate.epochs, width), dtype=np.int64)
    for part in parts:
        columns = np.minimum(np.arange(width), len(part.states) - 1)
        cost[1 + part.epochs], weight[1 + part.epochs] = part.energy[columns], part.time[columns]
        states[part.epochs] = part.states[columns]
    return Schedule(cost, weight, states, limit)


def path_graph(candidate: Candidate) -> Layered:
    """The layered graph of a candidate: layer 0 is quantizing, layer 1 + k is epoch k, changes are transitions.

    Layer 0 has every state at the same cost; the one that epoch 0 is in costs no change. Where changes cost energy
    only before the epochs that count, in large graphs every state stands twice, S + s for epochs that do not count.
    """
    epochs, states = candidate.time.shape
    there = np.isfinite(candidate.time)
    cost = np.vstack((np.full(states, candidate.setup_energy), np.where(there, candidate.energy, np.inf)))
    resource = np.vstack((np.full(states, candidate.setup_time), np.where(there, candidate.time, 0.0)))
    energy, time = candidate.switch_energy, candidate.switch_time
    if energy is None or candidate.counted == epochs:
        return Layered(cost, resource, energy, time)
    if epochs * states * states <= STACKED:
        counts = (np.arange(epochs) < candidate.counted)[:, None, None]
        return Layered(cost, resource, np.where(counts, energy, 0.0), time)
    late = (np.arange(1 + epochs) > candidate.counted)[:, None]
    twice = np.hstack((np.where(late, np.inf, cost), np.where(late, cost, np.inf)))
    gone = np.full_like(energy, np.inf)
    return Layered(
        twice,
        np.tile(resource, 2),
        np.block([[energy, np.zeros_like(energy)], [gone, np.zeros_like(energy)]]),
        None if time is None else np.tile(time, (2, 2)),
    )


def path_states(candidate: Candidate, path: IntArray) -> IntArray:
    """(K,) states of a path through `path_graph`.

    Parameters
    ----------
    path : (1 + K,) a state of each layer.
    """
    states: IntArray = path[1:] % len(candidate.states)
    return states


def counting_graph(candidate: Candidate, parts: list[Block]) -> tuple[Digraph, IntArray]:
    """How often each state is used, as paths through grids, one grid a block.

    In the grid of n epochs and p states, vertex (j, k) says that k epochs have been given states up to j: an arc
    uses state j once more, another goes on to the next state. A path through a grid is a multiset of n states, so the
    n! orders of a plan are one path. The first arc is quantizing.

    Parameters
    ----------
    parts : one for each of the candidate's `blocks`.

    Returns
    -------
    The graph, and for each arc block * 2^20 + position of the state in its block, or -1.
    """
    tails, heads, costs, times, used = [], [], [candidate.setup_energy], [candidate.setup_time], [-1]
    base = 1
    for b, part in enumerate(parts):
        p, n = len(part.states), len(part.epochs)
        vertex = base + np.arange(p * (n + 1)).reshape(p, n + 1)
        tails += [vertex[:, :-1].ravel(), vertex[:-1].ravel()]
        heads += [vertex[:, 1:].ravel(), vertex[1:].ravel()]
        onward = np.zeros((p - 1) * (n + 1))
        costs += [*np.repeat(part.energy, n), *onward]
        times += [*np.repeat(part.time, n), *onward]
        used += [*np.repeat((b << 20) + np.arange(p), n), *np.full(len(onward), -1)]
        base = int(vertex[-1, -1])
    tail, head = np.concatenate([[0], *tails]), np.concatenate([[1], *heads])
    return Digraph(base + 1, tail, head, np.array(costs), np.array(times), 0, base), np.array(used)


def counted_states(candidate: Candidate, parts: list[Block], used: IntArray, arcs: IntArray) -> IntArray:
    """(K,) states of a path through `counting_graph`, equal ones next to each other in each block.

    Parameters
    ----------
    parts : one for each of the candidate's `blocks`.
    used : of every arc, as `counting_graph` gives it.
    arcs : of the path, one for each step.
    """
    states = np.zeros(candidate.epochs, dtype=np.int64)
    taken = used[arcs]
    for b, part in enumerate(parts):
        columns = taken[(taken >= 0) & (taken >> 20 == b)] & ((1 << 20) - 1)
        states[part.epochs] = part.states[columns]
    return states

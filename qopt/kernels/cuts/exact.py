"""A minimum cut in whole numbers of any size, for costs that cancel beyond what 57 digits hold.

Where labels that nothing can take, or that draw a dear one after them, are cheap by 1e30, the costs of all others are
lost beside theirs. Then the flow is found once more on the same network, whole and unscaled, by E. A. Dinic's
algorithm (Soviet Mathematics Doklady 11 (1970) 1277-1280), which is strongly polynomial: the numbers' sizes do not
count.
"""

from __future__ import annotations

import time
from collections import deque
from fractions import Fraction

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.kernels.cuts.data import Tensors
from qopt.kernels.cuts.network import SINK, SOURCE, Network
from qopt.kernels.exact import CLOCK_EVERY, Late, whole

MAX_EDGES = 3_000
"""Edges of a network up to which it is solved so: a second at most, as a rule."""


class ExactCut:
    """A minimum cut in whole numbers.

    Parameters
    ----------
    unary : (n, L), infinite where forbidden.
    tensors : as given.
    network : of both, of at most `MAX_EDGES` edges.
    deadline : `time.perf_counter` at which it stops with `qopt.kernels.exact.Late`; None for none.

    Attributes
    ----------
    labels : (n,) of least cost.
    flow : (readings, L-1) the dual, rounded towards 0, where it stays one.
    """

    def __init__(self, unary: FloatArray, tensors: Tensors, network: Network, deadline: float | None) -> None:
        self.network, self.deadline = network, deadline
        labels = unary.shape[1]
        finite = [x for x in (*unary.ravel().tolist(), *tensors.weight.ravel().tolist()) if np.isfinite(x)]
        numbers, self.unit = whole(finite)
        known = iter(numbers)
        never = 2 * sum(map(abs, numbers)) + 1
        costs = [[next(known) if np.isfinite(x) else None for x in row] for row in unary.tolist()]
        weights = [[next(known) if np.isfinite(x) else never for x in row] for row in tensors.weight.tolist()]
        owner = tensors.owner[network.used].tolist()
        zero = [0] * (labels - 1)
        forwards, backwards = [], []
        for row in costs:
            least = min(x for x in row if x is not None)
            forwards += [never if x is None else x - least for x in row]
            backwards += [0, *[never] * (labels - 2), 0]
        for t, alone in zip(owner, network.alone.tolist(), strict=True):
            forwards += weights[t] if alone else zero
            backwards += [never] * (labels - 1)
        copied, sharing = len(network.copied) * (labels - 1), len(network.sharers) * (labels - 1)
        forwards += [never] * (copied + sharing)
        backwards += [never] * copied + [0] * sharing
        for t in network.shared.tolist():
            forwards += weights[t]
            backwards += zero
        self._left = [x for pair in zip(forwards, backwards, strict=True) for x in pair]
        self._ends = [x for pair in zip(network.head.tolist(), network.tail.tolist(), strict=True) for x in pair]
        self._leaving: list[list[int]] = [[] for _ in range(network.nodes)]
        for edge, (tail, head) in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
            self._leaving[tail].append(2 * edge)
            self._leaving[head].append(2 * edge + 1)
        level = self._levels()
        while level[SINK] >= 0:
            self._block(level)
            level = self._levels()
        self.labels: IntArray = network.labels_of(np.array(level) >= 0)
        moved = np.empty(len(forwards), dtype=object)
        moved[:] = [before - left for before, left in zip(forwards, self._left[::2], strict=True)]
        self.flow = self._rounded(network.reading_flow(moved))

    def _levels(self) -> list[int]:
        """Arcs from the source to each node, over what is left; -1 where none lead."""
        level = [-1] * self.network.nodes
        level[SOURCE] = 0
        waiting = deque([SOURCE])
        while waiting:
            node = waiting.popleft()
            for arc in self._leaving[node]:
                head = self._ends[arc]
                if level[head] < 0 and self._left[arc]:
                    level[head] = level[node] + 1
                    waiting.append(head)
        return level

    def _block(self, level: list[int]) -> None:
        """Fill all ways from source to sink on which levels rise."""
        left, ends = self._left, self._ends
        untried = [list(arcs) for arcs in self._leaving]
        way: list[int] = []
        node, steps = SOURCE, 0
        while True:
            steps += 1
            if steps % CLOCK_EVERY == 0 and self.deadline is not None and time.perf_counter() > self.deadline:
                raise Late
            if node == SINK:
                most = min(left[arc] for arc in way)
                for arc in way:
                    left[arc] -= most
                    left[arc ^ 1] += most
                full = next(at for at, arc in enumerate(way) if not left[arc])
                node = ends[way[full] ^ 1]
                del way[full:]
                continue
            arcs = untried[node]
            while arcs and not (left[arcs[-1]] and level[ends[arcs[-1]]] == level[node] + 1):
                arcs.pop()
            if arcs:
                way.append(arcs[-1])
                node = ends[arcs[-1]]
            elif way:
                node = ends[way.pop() ^ 1]
                untried[node].pop()
            else:
                return

    def _rounded(self, flow: np.ndarray) -> FloatArray:
        """Whole flows in the units given, rounded towards 0."""
        found = np.zeros(flow.shape)
        for at in np.argwhere(flow != 0).tolist():
            value = Fraction(int(flow[tuple(at)]), self.unit)
            near = float(value)
            found[tuple(at)] = near if abs(Fraction(near)) <= abs(value) else np.nextafter(near, 0.0)
        return found


def exact_bound(unary: FloatArray, tensors: Tensors, flow: FloatArray) -> float:
    """The greatest float that is not above what a flow proves every labelling to cost.

    Parameters
    ----------
    unary : (n, L), infinite where forbidden, with an allowed label in every row.
    tensors : as given.
    flow : (readings, L-1), finite.
    """
    n, labels = unary.shape
    allowed: BoolArray = np.isfinite(unary)
    numbers, unit = whole([*np.where(allowed, unary, 0.0).ravel().tolist(), *flow.ravel().tolist()])
    gains = [[0] * (labels - 1) for _ in range(n)]
    producer = tensors.producer[tensors.owner].tolist()
    values = iter(numbers[n * labels :])
    for u, r in zip(producer, tensors.reader.tolist(), strict=True):
        for link in range(labels - 1):
            f = next(values)
            gains[r][link] += f
            gains[u][link] -= f
    bound = 0
    for v, gain in enumerate(gains):
        sums = [0]
        for x in gain:
            sums.append(sums[-1] + x)
        bound += min(numbers[v * labels + k] + sums[k] for k in range(labels) if allowed[v, k])
    found = Fraction(bound, unit)
    near = float(found)
    return near if Fraction(near) <= found else float(np.nextafter(near, -np.inf))

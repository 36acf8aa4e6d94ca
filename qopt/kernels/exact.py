"""What floats cannot tell, told in whole numbers of any size: one mechanism for knapsacks and for paths.

    minimise sum of costs  subject to  sum of amounts_r <= room_r for every row r,  along a path of a network

A knapsack is a chain: vertex i stands before class i, and an arc to the next vertex for each column. Floats are dyadic
rationals: times a power of two they are whole, and no sum rounds, so that sums within an ulp of a limit, costs that
cancel and numbers from 1e-324 to 1e300 beside each other are all the same. `cheapest` finds the optimum, `prove`
writes the tree that `qopt.kernels.checker` takes. Both give up beyond a size: whole numbers are slow, and they are
asked only where floats have found what is near and cannot decide.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import le, mul

from qopt.core.display import Brief
from qopt.kernels.nodes import Node

MAX_LABELS = 30_000
"""Partial answers made before a search gives up: about a quarter of a second."""

MAX_ARCS = 100_000
"""Arcs of a network beyond which it is not even built: some tenths of a second."""

MAX_NODES = 20_000
"""Nodes of a tree before it is given up: a proof of about a megabyte."""

CLOCK_EVERY = 256
"""Arcs or labels between two looks at the clock: less than a millisecond."""

Split = Callable[[int, list[int]], Node]
"""The node of a tree that divides a vertex from its arcs: those listed, or the others."""


class Late(Exception):
    """The time is over."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Network(Brief):
    """A network in whole numbers.

    Attributes
    ----------
    vertices : their number; they are 0 to vertices - 1.
    tail, head : ends of each arc, none of them a loop.
    cost : of each arc, times `cost_unit`.
    used : a list for each row with a limit: amounts of each arc, times the row's unit.
    room : what amounts may add up to, by row, in those units.
    cost_unit, units : powers of two that make numbers whole.
    source, target : ends of the path.
    order : vertices in topological order; None where there are cycles, and then no number is negative.
    deadline : `time.perf_counter` at which everything stops; None for none.
    """

    vertices: int
    tail: list[int]
    head: list[int]
    cost: list[int]
    used: list[list[int]]
    room: list[int]
    cost_unit: int
    units: list[int]
    source: int
    target: int
    order: list[int] | None
    deadline: float | None = None

    def check_time(self) -> None:
        """Raise `Late` once the time is over."""
        if self.deadline is not None and time.perf_counter() > self.deadline:
            raise Late

    def lengths(self, scale: int, multipliers: Sequence[float]) -> tuple[list[int], int, int]:
        """Lengths of arcs in whole numbers for a leaf of a tree.

        Parameters
        ----------
        scale : 1 to count costs, 0 for a ray.
        multipliers : of the rows, finite and >= 0.

        Returns
        -------
        ``(lengths, constant, unit)``: scale * cost + multipliers * used of each arc, and multipliers * room, times the
        same factor, which is `unit` for a cost of 1 / `cost_unit`.
        """
        lam = [Fraction(x) * self.cost_unit / per for x, per in zip(multipliers, self.units, strict=True)]
        common = math.lcm(*(x.denominator for x in lam))
        factors = [int(x * common) for x in lam]
        found = [scale * common * c for c in self.cost]
        for factor, row in zip(factors, self.used, strict=True):
            if factor:
                found = [x + factor * amount for x, amount in zip(found, row, strict=True)]
        return found, sum(map(mul, factors, self.room)), common

    def to_target(self, length: Sequence[int]) -> list[int | None]:
        """(vertices,) whole lengths of shortest paths to the target; None where there is none.

        Parameters
        ----------
        length : of each arc, whole.
        """
        entering: list[list[tuple[int, int]]] = [[] for _ in range(self.vertices)]
        for tail, head, step in zip(self.tail, self.head, length, strict=True):
            entering[head].append((tail, step))
        least: list[int | None] = [None] * self.vertices
        least[self.target] = 0
        # Without cycles vertices are settled in topological order from behind, else in the order of their length.
        waiting = None if self.order is None else list(self.order)
        heap = [(0, self.target)]
        seen = 0
        while waiting or (waiting is None and heap):
            seen += 1
            if seen % CLOCK_EVERY == 0:
                self.check_time()
            if waiting is not None:
                vertex = waiting.pop()
            else:
                reach, vertex = heapq.heappop(heap)
                if reach != least[vertex]:
                    continue
            here = least[vertex]
            if here is None:
                continue
            for before, step in entering[vertex]:
                known = least[before]
                if known is None or here + step < known:
                    least[before] = here + step
                    if waiting is None:
                        heapq.heappush(heap, (here + step, before))
        return least

    def leaving(self) -> list[list[int]]:
        """Arcs that leave each vertex."""
        found: list[list[int]] = [[] for _ in range(self.vertices)]
        for arc, tail in enumerate(self.tail):
            found[tail].append(arc)
        return found

    def total(self, arcs: Sequence[int]) -> int:
        """Cost of some arcs, in units.

        Parameters
        ----------
        arcs : places of arcs.
        """
        return sum(self.cost[arc] for arc in arcs)


def whole(numbers: Sequence[float]) -> tuple[list[int], int]:
    """Floats as whole numbers: ``(integers, unit)``, each number being its integer over the unit, a power of two.

    Parameters
    ----------
    numbers : finite.
    """
    ratios = [x.as_integer_ratio() for x in numbers]
    unit = max((bottom for _, bottom in ratios), default=1)
    return [top * (unit // bottom) for top, bottom in ratios], unit


def room_within(allowed: float, unit: int) -> int:
    """The greatest whole number of units that is at most a number: what sums of a row may reach.

    Parameters
    ----------
    allowed : mask of the elements that may be used.
    unit : units to 1.
    """
    return math.floor(Fraction(allowed) * unit)


def almost(best: int) -> int:
    """What a proof must show of an answer: its cost in units, less half of the 1e-9 that a checker grants.

    Two answers may differ by less than floats can say.

    Parameters
    ----------
    best : cost in units.
    """
    return best - abs(best) // (2 * 10**9)


def cheapest(network: Network, multipliers: Sequence[float], below: int | None) -> tuple[bool, list[int] | None]:
    """Find the cheapest path that keeps all limits.

    Partial paths are taken in the order of their cost with the cheapest rest (the A* order), so the first that
    arrives is an optimum; one that another at its vertex matches in every respect goes, and so does one whose cost and
    priced amounts show that nothing below the value known is left in it.

    Parameters
    ----------
    multipliers : of a Lagrangian bound that prunes, one a row, any >= 0.
    below : only cheaper paths count, in units of cost; None for any.
    network : in whole numbers.

    Returns
    -------
    Whether the search came to its end, and the arcs of the path; None where no path is cheaper (or it did not end).
    """
    try:
        return True, _cheapest(network, multipliers, below)
    except Late:
        return False, None


def _cheapest(network: Network, multipliers: Sequence[float], below: int | None) -> list[int] | None:
    """`cheapest`, raising `Late` where it gives up."""
    used, room = list(network.used), list(network.room)
    if below is not None:
        # One more row: cost + lam (amounts - room), too, must stay below.
        priced, constant, unit = network.lengths(1, multipliers)
        used.append(priced)
        room.append(constant + unit * below - 1)
    to_go = network.to_target(network.cost)
    if to_go[network.source] is None:
        return None
    rest = [x or 0 for x in to_go]
    least = [[x or 0 for x in network.to_target(row)] for row in used]
    leaving = [[arc for arc in arcs if to_go[network.head[arc]] is not None] for arcs in network.leaving()]
    labels: list[tuple[int, int]] = [(-1, -1)]
    passed: list[list[tuple[int, ...]]] = [[] for _ in range(network.vertices)]
    heap = [(rest[network.source], 0, network.source, (0,) * len(used))]
    taken_out = 0
    while heap:
        reach, label, vertex, spent = heapq.heappop(heap)
        taken_out += 1
        if taken_out % CLOCK_EVERY == 0:
            network.check_time()
        if below is not None and reach >= below:
            break
        if any(x + go[vertex] > w for x, go, w in zip(spent, least, room, strict=True)):
            continue  # only the first may be so
        if vertex == network.target:
            path = []
            while label:
                label, arc = labels[label]
                path.append(arc)
            return path[::-1]
        # Labels of a vertex come in the order of their cost.
        if any(all(map(le, other, spent)) for other in passed[vertex]):
            continue
        passed[vertex].append(spent)
        if len(labels) > MAX_LABELS:
            raise Late
        for arc in leaving[vertex]:
            after = network.head[arc]
            more = tuple(x + row[arc] for x, row in zip(spent, used, strict=True))
            if all(x + go[after] <= w for x, go, w in zip(more, least, room, strict=True)):
                labels.append((label, arc))
                onward = reach - rest[vertex] + network.cost[arc] + rest[after]
                heapq.heappush(heap, (onward, len(labels) - 1, after, more))
    return None


@dataclass(frozen=True, repr=False)
class _Price(Brief):
    """A leaf of a tree with what it says of the network.

    Attributes
    ----------
    node : the leaf.
    length : of each arc.
    rest : shortest lengths to the target; None where there is no way.
    needed : a path's length from which on the leaf closes it.
    """

    node: Node
    length: list[int]
    rest: list[int | None]
    needed: int

    def closes(self, vertex: int, spent: int) -> bool:
        """Whether it closes all paths that have spent a length up to a vertex."""
        rest = self.rest[vertex]
        return rest is None or spent + rest >= self.needed


def prove(
    network: Network,
    best: int | None,
    leaves: Sequence[tuple[int, Sequence[float], Node]],
    split: Split,
    max_nodes: int = MAX_NODES,
) -> list[Node] | None:
    """A tree which shows that no path within the limits costs less than the best one, or that there is none.

    Arc by arc from the source: what some leaf's multipliers close is a leaf, the rest is divided once more. Where a
    path is decided to its end, its own cost or the row that it breaks closes it, so that a tree is found whatever the
    numbers, if it is small enough; unless `best` is not the best.

    Parameters
    ----------
    best : cost of the best path in units, or what every path costs at least; None where no path keeps the limits.
    leaves : ``(1 or 0, multipliers of the network's rows, the leaf to write)``; among them must be one of no
        multipliers and a ray for each row.
    split : makes the nodes that divide a vertex's arcs.
    max_nodes : beyond which it gives up.

    Returns
    -------
    The nodes in preorder; None if there would be too many of them or the time is over.
    """
    try:
        return _prove(network, best, leaves, split, max_nodes)
    except Late:
        return None


def _prove(
    network: Network,
    best: int | None,
    leaves: Sequence[tuple[int, Sequence[float], Node]],
    split: Split,
    max_nodes: int,
) -> list[Node] | None:
    prices = []
    for scale, multipliers, node in leaves:
        if scale and best is None:
            continue
        length, constant, unit = network.lengths(scale, multipliers)
        needed = constant + 1
        if scale and best is not None:
            needed = constant + unit * best
        prices.append(_Price(node, length, network.to_target(length), needed))
    leaving = network.leaving()

    def closes(vertex: int, spent: Sequence[int]) -> int | None:
        for name, (price, sofar) in enumerate(zip(prices, spent, strict=True)):
            if price.closes(vertex, sofar):
                return name
        return None

    start = (0,) * len(prices)
    name = closes(network.source, start)
    if name is not None:
        return [prices[name].node]
    tree: list[Node] = []
    waiting: list[Node | tuple[int, tuple[int, ...], frozenset[int]]] = [(network.source, start, frozenset())]
    while waiting:
        if len(tree) % CLOCK_EVERY == 0:
            network.check_time()
        task = waiting.pop()
        if isinstance(task, list):
            tree.append(task)
            continue
        vertex, spent, before = task
        if vertex == network.target or len(tree) + len(waiting) > max_nodes:
            return None  # something cheaper than the best, or too many nodes
        behind = before if network.order is not None else before | {vertex}
        closed: dict[int, list[int]] = {}
        parts: list[tuple[list[int], Node | tuple[int, tuple[int, ...], frozenset[int]]]] = []
        for arc in leaving[vertex]:
            after = network.head[arc]
            more = tuple(x + price.length[arc] for x, price in zip(spent, prices, strict=True))
            # A way back leads round in circles, as its vertices have one arc left: no path is there to be priced.
            name = 0 if after in behind else closes(after, more)
            if name is None:
                parts.append(([arc], (after, more, behind)))
            else:
                closed.setdefault(name, []).append(arc)
        parts = [(arcs, prices[name].node) for name, arcs in closed.items()] + parts
        for place, (arcs, part) in reversed(list(enumerate(parts))):
            waiting.append(part)
            if place < len(parts) - 1:
                waiting.append(split(vertex, arcs))
    return tree

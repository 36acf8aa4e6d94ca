"""Seeded random instances of the three kernels, each class defined once.

Knapsacks. All of them are minimisations; ``c`` is cost, ``w`` weight, ``limit`` on the sum of weights.

``qpart``: sizes log-uniform in 10^3..10^5, sensitivities in 10^-1..10^1; item b = 1..k costs size b and weighs
    sensitivity 4^-b; limit is what 6 bits everywhere weigh. Real numbers.
``unc``: integers c and w uniform in 1..1000.
``weak``: integers w uniform in 1..1000, c = 1101 - w + an integer uniform in -100..100.
``strong``: as Pisinger (A minimal algorithm for the multiple-choice knapsack problem, EJOR 83, 1995): w' uniform
    in 1..1000, sorted in each class, profit p' = w' + 10, and items are running sums of both, so that every class
    is convex and nothing is dominated; c = -p.
``subset-sum``: integers w uniform in 1..1000, profit w: c = -w. Every choice that fills the limit is an optimum.
``unc-real``, ``weak-real``, ``strong-real``: the same laws over real numbers instead of integers. Integers have
    many equal sums and a grid that bounds can be rounded to; real numbers have neither.

Except for ``qpart`` the limit is half way between the lightest and the heaviest choice, rounded down to an integer
where the weights are integers.

Knapsacks of several rows, ``weight`` then (rows, n, k) with a limit for each:

``mknap``: the 0-1 knapsacks of the OR-Library's mknapcb files by their recipe (Chu and Beasley, A genetic algorithm
    for the multidimensional knapsack problem, Journal of Heuristics 4, 1998): integers r uniform in 0..1000, limits
    alpha sum r, profits sum r / rows + 500 u with u uniform in 0..1, rounded down; alpha is 1/4, 1/2, 3/4 by turns of
    the seed. A class is two items: leave out (no cost, no weight) or take (c = -profit).
``unc``: integers c and w uniform in 1..1000; limits half way between what the items take that are lightest in all rows
    together and what the cheapest items take, rounded down.
``qpart``: noise and storage, as at a cut of QPART whose memory binds. Sizes, sensitivities, noise and its limit as
    above. Every tenth item is an output that crosses the cut: a bit of it costs ten times its size and takes no
    memory; a bit of the others costs its size and takes as much. The memory is half way between what real widths
    take that are cheapest within the noise alone, and what they take when all outputs have k bits.

Paths. `switching` is a graph of epochs x states. A state's time in an epoch is uniform in 1..10; its cost is uniform in
1..10 too, or with ``correlated`` 11 less the time, times a log-normal factor of spread 0.3. Time and cost of a switch
are uniform in 0.1..1, nothing for staying. The limit is 0.4 of the way from the least time of any path to the time of a
cheapest path. `orlib` reads the OR-Library.

Cuts. `operations`: each operation reads one or two of the 30 before it; what it costs on a tier is log-uniform over
two decades times a log-normal factor of its own on every tier (some run better here, some there), tensors are
log-uniform over two decades, each link up the line is dearer than the one before; the first 10 operations are pinned to
the lowest tier.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


def holds(terms: Iterable[float], limit: float) -> bool:
    """qopt's test of a limit: the exact sum of the terms, rounded once, beside the limit with its slack of 1e-12."""
    return math.fsum([*terms, -limit * (1 + 1e-12 if limit >= 0 else 1 - 1e-12)]) <= 0


class Judged(NamedTuple):
    """What an answer is worth, recomputed from the data."""

    value: float
    feasible: bool
    excess: float
    """Relative amount by which the limit is broken, <= 0 where it is kept."""


@dataclass(frozen=True)
class Knapsack:
    """cost and weight (n, k), a class a row, and a limit on the sum of weights; or (R, n, k) and (R,) for R limits."""

    cost: Array
    weight: Array
    limit: float | Array

    @property
    def kind(self) -> str:
        """Several rows are another kernel."""
        return "mckp" if self.weight.ndim == 2 else "rows"

    def arrays(self) -> tuple[Array, ...]:
        """What a solver gets."""
        return self.cost, self.weight, np.asarray(self.limit)

    def judge(self, choice: list[int]) -> Judged:
        """Cost and feasibility of an item a class."""
        classes = np.arange(len(self.cost))
        limits = np.atleast_1d(self.limit).tolist()
        loads = self.weight.reshape(-1, *self.cost.shape)[:, classes, choice].tolist()
        rows = list(zip(loads, limits, strict=True))
        feasible = all(holds(weights, limit) for weights, limit in rows)
        excess = max(math.fsum([*weights, -limit]) / (abs(limit) or 1.0) for weights, limit in rows)
        return Judged(math.fsum(self.cost[classes, choice].tolist()), feasible, excess)


def knapsack(family: str, n: int, k: int, seed: int) -> Knapsack:
    """A random knapsack of a class of the list above."""
    rng = np.random.default_rng(seed)
    if family == "qpart":
        bits = np.arange(1, k + 1)
        size, sensitivity = 10.0 ** rng.uniform(3, 5, n), 10.0 ** rng.uniform(-1, 1, n)
        return Knapsack(size[:, None] * bits, sensitivity[:, None] * 4.0**-bits, float(sensitivity.sum()) * 4.0**-6)
    law, _, real = family.partition("-")
    whole = real != "real"

    def uniform(low: int, high: int) -> Array:
        """Integers or real numbers from low to high, both included."""
        return rng.integers(low, high + 1, (n, k)).astype(float) if whole else rng.uniform(low, high, (n, k))

    weight = uniform(1, 1000)
    if law == "unc":
        cost = uniform(1, 1000)
    elif law == "weak":
        cost = 1101.0 - weight + uniform(-100, 100)
    elif law == "strong":
        weight = np.sort(weight, axis=1)
        weight, cost = np.cumsum(weight, axis=1), -np.cumsum(weight + 10.0, axis=1)
    elif family == "subset-sum":
        cost = -weight
    else:
        raise ValueError(f"no class of knapsacks is called {family}")
    limit = 0.5 * float((weight.min(axis=1) + weight.max(axis=1)).sum())
    return Knapsack(cost, weight, float(np.floor(limit)) if whole else limit)


def knapsack_rows(family: str, n: int, k: int, rows: int, seed: int) -> Knapsack:
    """A random knapsack of several rows, of a class of the list above."""
    rng = np.random.default_rng(seed)
    if family == "qpart":
        bits = np.arange(1, k + 1)
        size, sensitivity = 10.0 ** rng.uniform(3, 5, n), 10.0 ** rng.uniform(-1, 1, n)
        output = np.arange(n) % 10 == 9
        price, stored = np.where(output, 10.0, 1.0) * size, np.where(output, 0.0, size)
        noise = float(sensitivity.sum()) * 4.0**-6
        memory = 0.0
        # Cheapest real widths spend noise in proportion to their price.
        for sharing, left in ((price, noise), (stored, noise - float(sensitivity[output].sum()) * 4.0**-k)):
            with np.errstate(divide="ignore"):
                widths = 0.5 * np.log2(sensitivity / (sharing * left / sharing.sum()))
            memory += 0.5 * float(stored[~output] @ widths[~output])
        weight = np.stack([sensitivity[:, None] * 4.0**-bits, stored[:, None] * bits])
        return Knapsack(price[:, None] * bits, weight, np.array([noise, memory]))
    if family == "mknap":
        taken = rng.integers(0, 1001, (rows, n)).astype(float)
        profit = np.floor(taken.sum(axis=0) / rows + 500.0 * rng.uniform(0, 1, n))
        nothing = np.zeros((rows, n))
        weight = np.stack([nothing, taken], axis=2)
        limit = np.floor((0.25, 0.5, 0.75)[seed % 3] * taken.sum(axis=1))
        return Knapsack(np.stack([nothing[0], -profit], axis=1), weight, limit)
    if family == "unc":
        cost = rng.integers(1, 1001, (n, k)).astype(float)
        weight = rng.integers(1, 1001, (rows, n, k)).astype(float)
        ends = [weight[:, np.arange(n), table.argmin(axis=1)].sum(axis=1) for table in (weight.sum(axis=0), cost)]
        return Knapsack(cost, weight, np.floor(0.5 * (ends[0] + ends[1])))
    raise ValueError(f"no class of knapsacks of several rows is called {family}")


@dataclass(frozen=True)
class Layered:
    """A state for each epoch: cost and time (K, S), of switching (S, S) from row to column, limit on the time."""

    kind = "layered"
    cost: Array
    time: Array
    switch_cost: Array
    switch_time: Array
    limit: float

    def arrays(self) -> tuple[Array, ...]:
        """What a solver gets."""
        return self.cost, self.time, self.switch_cost, self.switch_time, np.asarray(self.limit)

    def judge(self, states: list[int]) -> Judged:
        """Cost and feasibility of a state an epoch."""
        epochs, at = np.arange(len(self.cost)), np.asarray(states)
        times = [*self.time[epochs, at].tolist(), *self.switch_time[at[:-1], at[1:]].tolist()]
        costs = [*self.cost[epochs, at].tolist(), *self.switch_cost[at[:-1], at[1:]].tolist()]
        excess = math.fsum([*times, -self.limit]) / self.limit
        return Judged(math.fsum(costs), holds(times, self.limit), excess)


def switching(epochs: int, states: int, seed: int, correlated: bool = False) -> Layered:
    """Epochs x states with switching between them."""
    rng = np.random.default_rng(seed)
    time = rng.uniform(1, 10, (epochs, states))
    if correlated:
        cost = (11.0 - time) * np.exp(rng.normal(0, 0.3, (epochs, states)))
    else:
        cost = rng.uniform(1, 10, (epochs, states))
    switch_cost, switch_time = rng.uniform(0.1, 1.0, (2, states, states))
    np.fill_diagonal(switch_cost, 0.0)
    np.fill_diagonal(switch_time, 0.0)

    def best(of: Array, switch: Array, also: Array, also_switch: Array) -> tuple[float, float]:
        """The least sum of one amount over all paths, and the sum of the other along that path."""
        total, other = of[0], also[0]
        for e in range(1, epochs):
            way = total[:, None] + switch
            before = way.argmin(axis=0)
            total = way.min(axis=0) + of[e]
            other = other[before] + also_switch[before, np.arange(states)] + also[e]
        end = int(total.argmin())
        return float(total[end]), float(other[end])

    least, _ = best(time, switch_time, cost, switch_cost)
    _, cheapest = best(cost, switch_cost, time, switch_time)
    return Layered(cost, time, switch_cost, switch_time, least + 0.4 * (cheapest - least))


@dataclass(frozen=True)
class Digraph:
    """Arcs (m, 3 + R): tail, head, cost, resources; a path from source to target within lower and upper limits (R,)."""

    kind = "digraph"
    arcs: Array
    source: int
    target: int
    lower: Array
    upper: Array

    def arrays(self) -> tuple[Array, ...]:
        """What a solver gets."""
        return self.arcs, np.asarray([self.source, self.target]), self.lower, self.upper

    def judge(self, path: list[int]) -> Judged:
        """Cost and feasibility of a list of arcs."""
        used = self.arcs[path]
        tails, heads = used[:, 0].tolist(), used[:, 1].tolist()
        connected = tails == [self.source, *heads[:-1]] and heads[-1] == self.target
        amounts = used[:, 3:].T.tolist()
        fits = all(holds(a, float(u)) for a, u in zip(amounts, self.upper, strict=True))
        fits &= all(holds([-x for x in a], -float(low)) for a, low in zip(amounts, self.lower, strict=True))
        over = [(math.fsum(a) - u) / (abs(u) or 1.0) for a, u in zip(amounts, self.upper.tolist(), strict=True)]
        return Judged(math.fsum(used[:, 2].tolist()), connected and fits, max(over, default=0.0))


def orlib(path: Path) -> Digraph:
    """A file of the OR-Library (Beasley and Christofides, 1989); what a vertex takes is put on the arcs into it."""
    numbers = [float(x) for x in path.read_text().split()]
    vertices, arcs, resources = (int(x) for x in numbers[:3])
    at = 3
    lower, upper = np.array(numbers[at : at + resources]), np.array(numbers[at + resources : at + 2 * resources])
    at += 2 * resources
    passing = np.array(numbers[at : at + vertices * resources]).reshape(vertices, resources)
    at += vertices * resources
    table = np.array(numbers[at : at + arcs * (3 + resources)]).reshape(arcs, 3 + resources)
    table[:, :2] -= 1
    table[:, 3:] += passing[table[:, 1].astype(int)]
    return Digraph(table, 0, vertices - 1, lower - passing[0], upper - passing[0])


@dataclass(frozen=True)
class Placement:
    """A tier for each operation, none below that of what it reads.

    `unary` (n, L) is infinite where a tier is forbidden; tensor t is made by `producer` [t], read by
    `readers[starts[t]:starts[t + 1]]`, and costs `price[t, l]` once if it crosses the link from tier l to l + 1.
    """

    kind = "cut"
    unary: Array
    producer: Array
    starts: Array
    readers: Array
    price: Array

    def arrays(self) -> tuple[Array, ...]:
        """What a solver gets."""
        return self.unary, self.producer, self.starts, self.readers, self.price

    def judge(self, tiers: list[int]) -> Judged:
        """Cost and feasibility of a tier an operation."""
        at = np.asarray(tiers)
        parts = self.unary[np.arange(len(at)), at].tolist()
        ordered = True
        for t, made in enumerate(self.producer.tolist()):
            reading = at[self.readers[self.starts[t] : self.starts[t + 1]]]
            ordered &= bool(np.all(reading >= at[made]))
            parts += self.price[t, at[made] : int(reading.max())].tolist()
        return Judged(math.fsum(parts), ordered and all(map(math.isfinite, parts)), 0.0 if ordered else 1.0)


def operations(n: int, tiers: int, seed: int) -> Placement:
    """A random graph of operations on a line of tiers: about ten stand side by side."""
    rng = np.random.default_rng(seed)
    reads: list[list[int]] = [[] for _ in range(n)]
    for v in range(1, n):
        for u in set(rng.integers(max(0, v - 30), v, int(rng.integers(1, 3))).tolist()):
            reads[u].append(v)
    return _placed(reads, tiers, rng)


def network(n: int, tiers: int, seed: int) -> Placement:
    """Layers as networks have them, one behind the other: plain, residual and with up to four branches."""
    rng = np.random.default_rng(seed)
    reads: list[list[int]] = [[] for _ in range(n)]
    last, free = 0, 1

    def chain(length: int) -> int:
        """A few layers behind `last`; the end of them."""
        nonlocal free
        end = last
        for _ in range(min(length, n - 1 - free)):
            reads[end].append(free)
            end, free = free, free + 1
        return end

    while free < n:
        kind = rng.random()
        branches = 1 if kind < 0.8 else int(rng.integers(2, 5))
        ends = {chain(int(rng.integers(1, 4))) for _ in range(branches)}
        if kind >= 0.5:
            ends |= {last} if kind < 0.8 else set()
        for end in ends - {free}:
            reads[end].append(free)
        last, free = free, free + 1
    return _placed(reads, tiers, rng)


def _placed(reads: list[list[int]], tiers: int, rng: np.random.Generator) -> Placement:
    """Costs of any kind on a graph: which operations read what each one makes."""
    n = len(reads)
    unary = 10.0 ** rng.uniform(-1, 1, (n, 1)) * np.exp(rng.normal(0, 1, (n, tiers)))
    unary[:10, 1:] = np.inf
    made = [u for u in range(n) if reads[u]]
    price = 10.0 ** rng.uniform(-1.5, 0.5, (len(made), 1)) * 2.0 ** np.arange(tiers - 1)
    starts = np.cumsum([0, *(len(reads[u]) for u in made)])
    return Placement(unary, np.array(made), starts, np.concatenate([reads[u] for u in made]), price)


Instance = Knapsack | Layered | Digraph | Placement


def small(kind: str) -> Instance:
    """A tiny instance of a kind, on which a worker warms up."""
    if kind == "layered":
        return switching(4, 3, 0)
    if kind == "digraph":
        arcs = np.array([[0, 1, 1, 1], [1, 2, 1, 1], [0, 2, 1, 3]], dtype=float)
        return Digraph(arcs, 0, 2, np.zeros(1), np.array([2.0]))
    if kind == "rows":
        return knapsack_rows("unc", 10, 5, 2, 0)
    return knapsack("qpart", 4, 8, 0) if kind == "mckp" else operations(12, 3, 0)

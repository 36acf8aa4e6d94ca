"""Limits of a placement as rows over its labels: memory of a tier, and latency.

A row is a sum over the same nodes, tensors and links as the cost. What a tier must hold is more than one sum: weights
that operations share are held once, by whichever of them runs there; and of tensors a tier holds those that are alive,
which differ from step to step of the listed order. Both are a *largest* of sums, one for every step and every choice
of an operation from each group:

    weights of v on k  +  sum over groups of [the chosen one runs on k] bytes  +  tensors alive at the step on k

A plan keeps the limit if it keeps all of these rows; `Limit.worst` is the one of which it uses most, and every one of
them, times a multiplier >= 0, bounds all plans.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.limits import within
from qopt.placement.costs import Labelling, labelling, used
from qopt.placement.parts import Operator
from qopt.placement.problem import Placement
from qopt.placement.terms import Terms, kept_weights, terms

NOTHING = 1e-9
"""Share of a row's largest use below which its limit is no scale."""

NEAR = 1e-9
"""Share of the most by which a rounded sum may be less and still be the most."""


@dataclass(frozen=True, repr=False)
class Alive(Brief):
    """Tensors that a tier must hold, step by step of the listed order.

    Attributes
    ----------
    tier : index of the tier.
    tensor : (m,) those that can be there; the others of the network are not.
    always : (m,) whether they are there whatever the plan: raw inputs that are born there.
    size : (m,) bytes.
    first, last : (m,) steps, 1..n, from and to which they are held.
    scratch : (n + 1,) bytes of each operation while it runs; node 0 needs none.
    """

    tier: int
    tensor: IntArray
    always: BoolArray
    size: FloatArray
    first: IntArray
    last: IntArray
    scratch: FloatArray

    @property
    def steps(self) -> list[int]:
        """Steps at which most may be held: at all others no more is than at a neighbour."""
        n = len(self.scratch) - 1
        born, dies = np.zeros(n + 2, dtype=bool), np.zeros(n + 2, dtype=bool)
        born[self.first], dies[self.last] = True, True
        found, fresh = [], False
        for v in range(1, n + 1):  # what is held at others is held where something goes that came since the last went
            fresh |= bool(born[v])
            if self.scratch[v] > 0 or (dies[v] and fresh):
                found.append(v)
            fresh &= not dies[v]
        return found

    def held(self, labels: IntArray, there: BoolArray) -> FloatArray:
        """(n,) bytes at each step, rounded.

        Parameters
        ----------
        labels : (n + 1,) tiers of all nodes.
        there : (m,) which tensors are on the tier.
        """
        n = len(self.scratch) - 1
        change = np.zeros(n + 2)
        np.add.at(change, self.first[there], self.size[there])
        np.subtract.at(change, self.last[there] + 1, self.size[there])
        found: FloatArray = np.cumsum(change)[1 : n + 1] + np.where(labels == self.tier, self.scratch, 0.0)[1:]
        return found

    def worst(self, costs: Labelling, labels: IntArray) -> int:
        """The step at which most is held, the first of several.

        Parameters
        ----------
        costs : whose tensors these are.
        labels : (n + 1,) tiers of all nodes.
        """
        there = self.there(costs, labels)
        held = self.held(labels, there)
        most = float(held.max(initial=0.0))
        near = np.flatnonzero(held >= most * (1.0 - NEAR)).tolist()
        return max(near, key=lambda v: math.fsum(self.terms(labels, there, v + 1))) + 1

    def there(self, costs: Labelling, labels: IntArray) -> BoolArray:
        """(m,) which tensors are on the tier.

        Parameters
        ----------
        costs : whose tensors these are.
        labels : (n + 1,) tiers of all nodes.
        """
        low, high = costs.reads.reach(labels)
        found: BoolArray = self.always | ((low <= self.tier) & (self.tier <= high))[self.tensor]
        return found

    def terms(self, labels: IntArray, there: BoolArray, step: int) -> list[float]:
        """Bytes of each tensor that is held at a step, and the scratch of the operation that runs then.

        Parameters
        ----------
        labels : (n + 1,) tiers of all nodes.
        there : (m,) which tensors are on the tier.
        step : the node that runs.
        """
        now = there & (self.first <= step) & (step <= self.last)
        return [*self.size[now].tolist(), float(self.scratch[step]) if labels[step] == self.tier else 0.0]


@dataclass(frozen=True, repr=False)
class Limit(Brief):
    """One row, or the largest of several: what a plan uses is a sum over the same nodes and tensors as its cost.

    Attributes
    ----------
    name : ``memory of TIER`` or ``latency``; of one row of several with its step and its choices behind it.
    limit : bytes or seconds.
    unary, weight : (nodes, tiers) and (tensors, links) uses, shaped as a `Labelling`'s costs and finite: of several
        rows what they have in common.
    extra : (s,) uses on top of them, as a `Labelling`'s.
    tier : index of the tier, of which a member speaks.
    groups : nodes that share weights, and the bytes of these; one of each group adds them.
    alive : tensors to be held; those of one step add up.
    producer : (tensors,) node that writes each, where they are to be held.
    """

    name: str
    limit: float
    unary: FloatArray
    weight: FloatArray
    extra: FloatArray = field(default_factory=lambda: np.zeros(0))
    tier: int = 0
    groups: tuple[tuple[tuple[int, ...], float], ...] = ()
    alive: Alive | None = None
    producer: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def single(self) -> bool:
        """Whether it is one row."""
        return not self.groups and self.alive is None

    @property
    def unit(self) -> float:
        """What solvers divide the row by: its limit, or where that is nothing beside the uses, the largest use."""
        largest = max(float(self.unary.max()), float(self.weight.max(initial=0.0)))
        return self.limit if self.limit > NOTHING * largest else largest or 1.0

    def member(self, step: int, chosen: tuple[int, ...]) -> Limit:
        """One of the rows, never above it: entries that are sums are rounded down.

        Parameters
        ----------
        step : of the listed order, 1..n, or 0 for none.
        chosen : a node of each group, or -1 for none.
        """
        if self.single:
            return self
        unary, weight, added = self.unary.copy(), self.weight.copy(), len(self.groups)
        for (_, size), node in zip(self.groups, chosen, strict=True):
            if node >= 0:
                unary[node, self.tier] += size
        if self.alive is not None and step > 0:
            added += self._add_alive(self.alive, step, unary, weight)
        down = 1.0 - (added + 3) * 2.0**-52
        unary, weight = (
            np.where(found == own, found, found * down) for found, own in ((unary, self.unary), (weight, self.weight))
        )
        name = f"{self.name}#{','.join(map(str, (step, *chosen)))}"
        return Limit(name, self.limit, unary, weight, self.extra)

    def _add_alive(self, alive: Alive, step: int, unary: FloatArray, weight: FloatArray) -> int:
        """What is held at a step goes into a row; how many numbers."""
        now = (alive.first <= step) & (step <= alive.last)
        at, size, always = alive.tensor[now], alive.size[now], alive.always[now]
        unary[0] += math.fsum(size[always].tolist())  # node 0 has one tier
        producer = self.producer[at]
        moves = ~always
        np.add.at(unary[:, self.tier], producer[moves], size[moves])
        if self.tier > 0:
            weight[at[moves], self.tier - 1] += size[moves]
        unary[step, self.tier] += alive.scratch[step]
        return len(at) + 1

    def named(self, name: str) -> Limit | None:
        """The row of a name, as `member` gives it; None if there is none."""
        if name == self.name:
            return self.member(0, (-1,) * len(self.groups)) if not self.single else self
        head, mark, tail = name.rpartition("#")
        if self.single or not mark or head != self.name:
            return None
        numbers = tail.split(",")
        if len(numbers) != 1 + len(self.groups) or not all(x.removeprefix("-").isdecimal() for x in numbers):
            return None
        step, *chosen = map(int, numbers)
        known = all(node == -1 or node in nodes for node, (nodes, _) in zip(chosen, self.groups, strict=True))
        if not known or not 0 <= step < len(self.unary) or (step and self.alive is None):
            return None
        return self.member(step, tuple(chosen))

    def worst(self, costs: Labelling, labels: list[int]) -> Limit:
        """The row of which labels (node 0 included) use most."""
        if self.single:
            return self
        step = 0 if self.alive is None else self.alive.worst(costs, np.array(labels, dtype=np.int64))
        return self.member(step, self._chosen(labels))

    def _chosen(self, labels: list[int]) -> tuple[int, ...]:
        """The first node of each group that runs on the tier, -1 for none."""
        return tuple(next((v for v in nodes if labels[v] == self.tier), -1) for nodes, _ in self.groups)

    def uses(self, costs: Labelling, labels: list[int]) -> list[float]:
        """The terms, each as the problem states it, that add up to what labels (node 0 included) use."""
        found = list(used(costs, self.unary, self.weight, labels, self.extra))
        found += [size for (_, size), v in zip(self.groups, self._chosen(labels), strict=True) if v >= 0]
        if self.alive is not None:
            at = np.array(labels, dtype=np.int64)
            found += self.alive.terms(at, self.alive.there(costs, at), self.alive.worst(costs, at))
        return found

    def keeps(self, costs: Labelling, labels: list[int]) -> bool:
        """Whether labels keep it, in the exact test."""
        return within(self.uses(costs, labels), self.limit)


def needed(problem: Placement, operator: Operator) -> list[float]:
    """Bytes that each tier holds at most, whatever the plan."""
    tiers = problem.tiers
    if not (operator.mixed or problem.graph.shared or any(tier.activations for tier in tiers)):
        return [math.fsum(kept_weights(problem, operator).tolist())] * len(tiers)
    own = terms(problem, operator)
    tensors = math.fsum(own.largest) / 8.0 + float(own.scratch.max(initial=0.0))
    return [
        math.fsum([*own.stored[:, k].tolist(), *(size[k] for _, size in own.shared), tensors * tier.activations])
        for k, tier in enumerate(tiers)
    ]


def limits(problem: Placement, own: Terms, costs: Labelling) -> tuple[Limit, ...]:
    """The limits that not every plan keeps: memory of a tier below what it may have to hold, and latency."""
    key = ("limits", own.operator.name, id(own))
    if problem.worked_out.get(("terms", own.operator.name, None)) is not own:  # else another may get its id
        return _limits(problem, own, costs)
    if key not in problem.worked_out:
        problem.worked_out[key] = _limits(problem, own, costs)
    known: tuple[Limit, ...] = problem.worked_out[key]
    return known


def _limits(problem: Placement, own: Terms, costs: Labelling) -> tuple[Limit, ...]:
    rows = []
    for k, (tier, most) in enumerate(zip(problem.tiers, needed(problem, own.operator), strict=True)):
        if tier.memory is not None and most > tier.memory:
            uses = np.zeros_like(costs.unary)
            uses[1:, k] = own.stored[:, k]
            groups = tuple((nodes, size[k]) for nodes, size in own.shared if size[k])
            rows.append(
                Limit(
                    f"memory of {tier.name}",
                    tier.memory,
                    uses,
                    np.zeros_like(costs.weight),
                    tier=k,
                    groups=groups,
                    alive=_alive(own, k) if tier.activations else None,
                    producer=costs.reads.producer,
                )
            )
    if problem.targets.latency is not None:
        at = own if problem.quantile_case is None else terms(problem, own.operator, problem.quantile_case)
        time = labelling(problem, at, objective=(1.0, 0.0, 0.0))
        unary = np.where(np.isinf(time.unary), 0.0, time.unary)
        weight = np.where(np.isinf(time.weight), 0.0, time.weight)
        rows.append(Limit("latency", problem.targets.latency, unary, weight, time.extra))
    return tuple(rows)


def _alive(own: Terms, tier: int) -> Alive:
    """The tensors of a network that a tier may have to hold."""
    born = np.array([flow.first if flow.producer == 0 else -1 for flow in own.flows], dtype=np.int64)
    first, last = own.steps
    there = np.flatnonzero(born <= tier)
    return Alive(
        tier=tier,
        tensor=there,
        always=born[there] == tier,
        size=np.array(own.largest)[there] / 8.0,
        first=first[there],
        last=last[there],
        scratch=np.concatenate(([0.0], own.scratch)),
    )


def binding(problem: Placement, rows: tuple[Limit, ...]) -> Limit | None:
    """The first limit that can bind, so that a minimum cut alone does not solve the problem; None if none can.

    A limit on a latency that is itself the objective is none: the least latency keeps it, or nothing does.

    Parameters
    ----------
    rows : as `limits` gives them, one for each limit.
    """
    return next((row for row in rows if row.name != "latency" or not latency_alone(problem)), None)


def latency_alone(problem: Placement) -> bool:
    """Whether the latency that a target limits is all that the objective counts."""
    w = problem.objective
    return w.energy == 0 and w.price == 0 and problem.targets.quantile is None


def narrowed(costs: Labelling, rows: tuple[Limit, ...], allowed: BoolArray) -> tuple[Labelling, tuple[Limit, ...]]:
    """Costs and single rows where nodes may take some tiers only: what must come on top of a weight is part of it.

    Never above what labels cost that keep to these tiers.

    Parameters
    ----------
    allowed : (nodes, tiers).
    """
    unary = np.where(allowed, costs.unary, np.inf)
    if costs.plain and not any(np.any(row.extra > 0) for row in rows):
        return replace(costs, unary=unary), rows
    tensor, tier, link = costs.places.T
    inside = allowed[np.array(costs.producer)[tensor], tier]

    def least(weight: FloatArray, extra: FloatArray) -> tuple[FloatArray, FloatArray]:
        on_top = np.full(weight.shape, np.inf)
        np.minimum.at(on_top, (tensor[inside], link[inside]), extra[inside])
        on_top[np.isinf(on_top)] = 0.0
        raised = np.where(on_top > 0, np.nextafter(weight + on_top, 0.0), weight)
        return raised, np.where(inside, np.maximum(extra - on_top[tensor, link], 0.0), 0.0)

    weight, extra = least(costs.weight, costs.extra)
    parts = []
    for row in rows:
        own_weight, own_extra = (row.weight, row.extra) if not len(row.extra) else least(row.weight, row.extra)
        parts.append(replace(row, weight=own_weight, extra=own_extra))
    return replace(costs, unary=unary, weight=weight, extra=extra), tuple(parts)


def relaxed(costs: Labelling, rows: tuple[Limit, ...], multipliers: list[float], share: float = 1.0) -> Labelling:
    """Lagrange's relaxation: ``share`` times the costs plus multipliers >= 0 times the uses, never above the exact sum.

    The least cost of labels, less the sum of multiplier times limit, bounds every plan that keeps the rows; with
    share 0, a value > 0 proves that no plan keeps them. What comes on top of weights is left out.

    Parameters
    ----------
    rows : single ones.
    multipliers : >= 0, one for each row.
    share : of the costs: 1, or 0 to prove that there is no plan.
    """
    if share == 1.0 and not any(multipliers):
        return costs
    unary = share * np.where(np.isinf(costs.unary), 0.0, costs.unary)
    weight = share * np.where(np.isinf(costs.weight), 0.0, costs.weight)
    for row, multiplier in zip(rows, multipliers, strict=True):
        if multiplier:
            unary += multiplier * row.unary
            weight += multiplier * row.weight
    if share or sum(m != 0 for m in multipliers) > 1 or not all(m in (0.0, 1.0) for m in multipliers):
        slack = 1.0 - (len(rows) + 2) * 2.0**-51  # below what rounding can have added, for each row and the costs
        unary, weight = unary * slack, weight * slack
    unary[np.isinf(costs.unary)] = np.inf
    weight[np.isinf(costs.weight)] = np.inf
    return Labelling(unary, costs.producer, costs.readers, weight)

"""What a placement costs: latency, energy and price per tier and link, in one place.

Two readings of the same sums. `breakdown` follows a plan, seconds, joules and price apart; `labelling` is the
linear form that optimization needs: a cost of each tier for each operation, a cost of each link for each tensor.

    latency = sum_v time[v, tier_v] + sum over tensors and links crossed of (latency_l + overhead_l bits / rate_l)
    energy  = sum_v power[tier_v] time[v, tier_v] + sum over tensors and links of energy_l overhead_l bits
    price   = sum_v price[tier_v] time[v, tier_v] + sum over tensors and links of price_l overhead_l bits

A tensor crosses each link from its producer's tier to its highest reader's once. An output that returns is one
more message on every link on its way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.errors import InputError
from qopt.placement.problem import Placement
from qopt.placement.terms import Reads, Terms, terms

if TYPE_CHECKING:
    from qopt.placement.plan import PlacementPlan

Bits = TypeVar("Bits", float, FloatArray)


@dataclass(frozen=True, repr=False)
class PlacementCost(Brief):
    """A plan's latency, energy and price, and the objective they add up to.

    Seconds, joules, bits; `computing`, `memory` [bytes] are per tier, `sending`, `bits` (of tensors, without overhead)
    per link; `returning` is the output's way back. `latencies` are those of each input size, `latency` that of their
    mean.

    Attributes
    ----------
    operator, accuracy : name of the operator, and what it reaches, in [0, 1].
    computing, memory : (tiers,) seconds, and bytes of weights, for each tier.
    sending, bits : (links,) seconds, and bits of tensors without overhead, for each link.
    returning : seconds of the output's way back.
    latency, latencies : seconds at the mean of the input sizes, and at each of them.
    computing_energy, transmission_energy : joules.
    price : of computing and sending.
    objective : weighted sum of latency, energy and price.
    """

    equations: ClassVar[str] = "recomputed from the problem's times, sizes and rates"

    operator: str
    accuracy: float
    computing: tuple[float, ...]
    sending: tuple[float, ...]
    returning: float
    bits: tuple[float, ...]
    memory: tuple[float, ...]
    latency: float
    latencies: tuple[float, ...]
    computing_energy: float
    transmission_energy: float
    price: float
    objective: float

    @property
    def energy(self) -> float:
        """Joules for one inference."""
        return self.computing_energy + self.transmission_energy

    def to_dict(self) -> dict[str, object]:
        """Plain data, with the totals."""
        return {**self.__dict__, "energy": self.energy}


def way_back(problem: Placement, tier: int) -> list[tuple[int, float]]:
    """Links on the output's way from a tier, each with its rate; empty without an output that returns.

    Parameters
    ----------
    tier : index of the tier that has the output.
    """
    if problem.output is None:
        return []
    goal = problem.tier_names.index(problem.output.tier)
    up = [(link, problem.links[link].rate) for link in range(tier, goal)]
    down = [(link, problem.links[link].down_rate or problem.links[link].rate) for link in range(goal, tier)]
    return up or down


def breakdown(problem: Placement, plan: PlacementPlan) -> PlacementCost:
    """Cost of a plan, term by term. The plan's shape must fit the problem (`checked_placement`).

    Parameters
    ----------
    plan : of the same problem.
    """
    own = terms(problem, problem.operator(plan.operator))
    number = {name: k for k, name in enumerate(problem.tier_names)}
    at = [problem.birth, *(number[plan.tiers[name]] for name in own.names)]
    tiers, links, w = problem.tiers, problem.links, problem.objective
    labels = np.array(at, dtype=np.int64)
    placed = labels[1:]
    computing = [math.fsum(own.time[placed == k, k].tolist()) for k in range(len(tiers))]
    memory = [math.fsum(own.memory[placed == k].tolist()) for k in range(len(tiers))]

    def sent(bits: float, link: int, rate: float) -> float:
        return links[link].latency + links[link].overhead * bits / rate

    sizes = np.array([flow.bits for flow in own.flows])
    crossed = own.reads.crossed(labels, len(links))
    on_link = [sizes[crossed[:, i]] for i in range(len(links))]
    bits = [math.fsum(there.tolist()) for there in on_link]
    sending = [
        math.fsum((link.latency + link.overhead * there / link.rate).tolist())
        for link, there in zip(links, on_link, strict=True)
    ]
    back = [] if own.output is None else way_back(problem, at[own.output])
    size = 0.0 if problem.output is None else problem.output.size
    returning = math.fsum(sent(size, link, rate) for link, rate in back)
    on_wire = [(link, link.overhead * there) for link, there in zip(links, on_link, strict=True)]
    on_wire += [(links[i], links[i].overhead * np.array([size])) for i, _ in back]
    latency = math.fsum([*computing, *sending, returning])
    raw = range(problem.birth, max(at[r] for r in own.flows[0].readers))
    latencies = tuple(
        latency + math.fsum(sent(b, i, links[i].rate) - sent(own.flows[0].bits, i, links[i].rate) for i in raw)
        for b in problem.input.sizes.tolist()
    )
    computing_energy = math.fsum(tier.power * t for tier, t in zip(tiers, computing, strict=True))
    transmission_energy = math.fsum(x for link, b in on_wire for x in (link.energy * b).tolist())
    price = math.fsum(
        [
            *(tier.price * t for tier, t in zip(tiers, computing, strict=True)),
            *(x for link, b in on_wire for x in (link.price * b).tolist()),
        ]
    )
    return PlacementCost(
        operator=plan.operator,
        accuracy=own.operator.accuracy,
        computing=tuple(computing),
        sending=tuple(sending),
        returning=returning,
        bits=tuple(bits),
        memory=tuple(memory),
        latency=latency,
        latencies=latencies,
        computing_energy=computing_energy,
        transmission_energy=transmission_energy,
        price=price,
        objective=w.time * latency + w.energy * (computing_energy + transmission_energy) + w.price * price,
    )


CHECK_RATE = 30_000
"""Nodes times links of a flow that is checked in a second: that cannot be stopped, and is not begun where there is less
time. Measured on two old cores; where it is wrong, a call ends late or early."""

HANDED_RATE = 200_000
"""Nodes times links of which a second makes the arrays of a minimum cut. From then on the kernel keeps the time."""


@dataclass(frozen=True, repr=False)
class Labelling(Brief):
    """One operator's problem as costs of labels: node 0 is the raw input, label k is tier k.

    Attributes
    ----------
    unary : (n + 1, tiers) cost of each tier for each node; infinite where it may not run.
    producer, readers : of each tensor; order alone where its weights are all 0.
    weight : (tensors, tiers - 1) cost of each link for each tensor; infinite: it may not cross.
    """

    unary: FloatArray
    producer: tuple[int, ...]
    readers: tuple[tuple[int, ...], ...]
    weight: FloatArray

    @property
    def size(self) -> int:
        """Nodes times links, by which the time of a minimum cut and of the check of a flow goes."""
        nodes, tiers = self.unary.shape
        return int(nodes * max(tiers - 1, 1))

    @cached_property
    def reads(self) -> Reads:
        """Who writes and who reads, as arrays."""
        return Reads.of(self.producer, self.readers)

    @property
    def rows(self) -> list[tuple[int, tuple[int, ...], list[float]]]:
        """Tensors as the kernel takes them."""
        return list(zip(self.producer, self.readers, self.weight.tolist(), strict=True))


def labelling(problem: Placement, own: Terms, *, objective: tuple[float, float, float] | None = None) -> Labelling:
    """Costs of one operator's network as unary and tensor terms.

    Parameters
    ----------
    objective : weights of time, energy and price; default the problem's.

    Raises
    ------
    InputError
        The numbers are finite one by one and too large together.
    """
    key = ("labelling", own.operator.name, objective)
    if problem.worked_out.get(("terms", own.operator.name)) is not own:
        return _labelling(problem, own, objective)
    if key not in problem.worked_out:
        problem.worked_out[key] = _labelling(problem, own, objective)
    known: Labelling = problem.worked_out[key]
    return known


def _labelling(problem: Placement, own: Terms, objective: tuple[float, float, float] | None) -> Labelling:
    w = problem.objective
    of_time, of_energy, of_price = (w.time, w.energy, w.price) if objective is None else objective
    tiers, links = problem.tiers, problem.links
    per_second = np.array([of_time + of_energy * t.power + of_price * t.price for t in tiers])

    def on_link(bits: Bits, link: int, rate: float) -> Bits:
        there = links[link]
        wire = there.overhead * bits
        return of_time * (there.latency + wire / rate) + (of_energy * there.energy + of_price * there.price) * wire

    with np.errstate(over="ignore", invalid="ignore"):
        unary = np.zeros((len(own.names) + 1, len(tiers)))
        unary[0, np.arange(len(tiers)) != problem.birth] = np.inf
        unary[1:] = own.time * per_second
        if own.output is not None and problem.output is not None:
            size = problem.output.size
            unary[own.output] += [
                math.fsum(on_link(size, *hop) for hop in way_back(problem, k)) for k in range(len(tiers))
            ]
        sizes = np.array([flow.bits for flow in own.flows])
        weight = np.zeros((len(own.flows) + sum(map(len, own.together)), len(links)))
        for link in range(len(links)):
            weight[: len(sizes), link] = on_link(sizes, link, links[link].rate)
        total = float(unary[1:].sum()) + math.fsum(weight[np.isfinite(weight)].tolist())
    if not math.isfinite(total) or not np.all(np.isfinite(weight)) or total > 1e300:
        allowed = "times, sizes, rates and weights whose products are below 1e300"
        raise InputError("objective", f"a cost of {total:g}", allowed)
    unary[1:][~own.allowed] = np.inf
    if own.private:
        weight[0] = math.inf
    producer, readers = [flow.producer for flow in own.flows], [flow.readers for flow in own.flows]
    for group in own.together:  # a cycle of orders: equal tiers
        for u, v in zip(group, (*group[1:], group[0]), strict=True):
            producer.append(u)
            readers.append((v,))
    unary.flags.writeable = weight.flags.writeable = False
    return Labelling(unary, tuple(producer), tuple(readers), weight)


FAR_CHEAPER = 2.0**-8
"""A model whose unit falls to this share once `priced_out` knows a plan is solved again: its digits were too coarse."""


def priced_out(costs: Labelling, value: float | None) -> Labelling:
    """The same, with the tiers and links forbidden that alone cost more than a known plan; all without one.

    No plan that is cheaper takes them, and numbers like 1e17 seconds ("not on this tier") no longer set the scale.

    Parameters
    ----------
    value : what a known plan costs, in the unit of ``costs``; None without one.
    """
    if value is None:
        return costs
    unary, weight = (np.where(x > value, np.inf, x) for x in (costs.unary, costs.weight))
    return Labelling(unary, costs.producer, costs.readers, weight)


def labellings(problem: Placement) -> dict[str, tuple[Terms, Labelling]]:
    """Terms and costs of every operator that reaches the accuracy target, by its name."""
    found = {}
    for operator in problem.eligible:
        own = terms(problem, operator)
        found[operator.name] = (own, labelling(problem, own))
    return found


NOTHING = 1e-9
"""Share of a row's largest use below which its limit is no scale."""


@dataclass(frozen=True, repr=False)
class Limit(Brief):
    """One row: what a plan uses of it is a sum over the same nodes and tensors as its cost.

    Attributes
    ----------
    name : ``memory of TIER`` or ``latency``.
    limit : bytes or seconds.
    unary, weight : (nodes, tiers) and (tensors, links) uses, shaped as a `Labelling`'s costs and finite.
    """

    name: str
    limit: float
    unary: FloatArray
    weight: FloatArray

    @property
    def unit(self) -> float:
        """What solvers divide the row by: its limit, or where that is nothing beside the uses, the largest use."""
        largest = max(float(self.unary.max()), float(self.weight.max(initial=0.0)))
        return self.limit if self.limit > NOTHING * largest else largest or 1.0


def limits(problem: Placement, own: Terms, costs: Labelling) -> tuple[Limit, ...]:
    """The rows that not every plan keeps: memory of a tier below the operator's weights, and latency."""
    rows = []
    total = math.fsum(own.memory.tolist())
    for k, tier in enumerate(problem.tiers):
        if tier.memory is not None and total > tier.memory:
            uses = np.zeros_like(costs.unary)
            uses[1:, k] = own.memory
            rows.append(Limit(f"memory of {tier.name}", tier.memory, uses, np.zeros_like(costs.weight)))
    if problem.targets.latency is not None:
        time = labelling(problem, own, objective=(1.0, 0.0, 0.0))
        unary = np.where(np.isinf(time.unary), 0.0, time.unary)
        weight = np.where(np.isinf(time.weight), 0.0, time.weight)
        rows.append(Limit("latency", problem.targets.latency, unary, weight))
    return tuple(rows)


def binding(problem: Placement, rows: tuple[Limit, ...]) -> Limit | None:
    """The first row that can bind, so that a minimum cut alone does not solve the problem; None if none can.

    A limit on a latency that is itself the objective is none: the least latency keeps it, or nothing does.

    Parameters
    ----------
    rows : as `limits` gives them, one for each limit.
    """
    latency_alone = problem.objective.energy == 0 and problem.objective.price == 0
    return next((row for row in rows if row.name != "latency" or not latency_alone), None)


def used(costs: Labelling, unary: FloatArray, weight: FloatArray, labels: list[int]) -> list[float]:
    """The terms that add up to what labels (node 0 included) cost, or use of a row.

    Parameters
    ----------
    unary : (nodes, tiers) of the row, or of the costs.
    weight : (tensors, links) likewise.
    labels : tier of each node, node 0 included.
    """
    at = np.array(labels, dtype=np.int64)
    crossed = costs.reads.crossed(at, weight.shape[1])
    found: list[float] = [*unary[np.arange(len(at)), at].tolist(), *weight[crossed].tolist()]
    return found


SLACK = 1.0 - 2.0**-48
"""Relaxed costs are lowered by this factor, where anything is rounded: above what rounding can have added."""


def relaxed(costs: Labelling, rows: tuple[Limit, ...], multipliers: list[float], share: float = 1.0) -> Labelling:
    """Lagrange's relaxation: ``share`` times the costs plus multipliers >= 0 times the uses, never above the exact sum.

    The least cost of labels, less the sum of multiplier times limit, bounds every plan that keeps the rows; with
    share 0, a value > 0 proves that no plan keeps them.

    Parameters
    ----------
    rows : as `limits` gives them, one for each limit.
    multipliers : >= 0, one for each row.
    share : of the costs: 1, or 0 to prove that there is no plan.
    """
    if share == 1.0 and not any(multipliers):
        return costs
    unary = share * np.where(np.isinf(costs.unary), 0.0, costs.unary)
    weight = share * np.where(np.isinf(costs.weight), 0.0, costs.weight)
    for row, multiplier in zip(rows, multipliers, strict=True):
        unary += multiplier * row.unary
        weight += multiplier * row.weight
    if share or sum(m != 0 for m in multipliers) > 1 or not all(m in (0.0, 1.0) for m in multipliers):
        unary, weight = unary * SLACK, weight * SLACK
    unary[np.isinf(costs.unary)] = np.inf
    weight[np.isinf(costs.weight)] = np.inf
    return Labelling(unary, costs.producer, costs.readers, weight)

"""What a placement costs: latency, energy and price per tier and link, in one place.

Two readings of the same sums. `breakdown` follows a plan, seconds, joules and price apart; `labelling` is the
linear form that optimization needs: a cost of each tier for each operation, a cost of each link for each tensor.

    latency = sum_v time[v, tier_v] + sum over tensors and links of overhead_l bits / rate_l
              + sum over links of latency_l
    energy  = sum_v power[tier_v] time[v, tier_v] + sum over tensors and links of energy_l overhead_l bits
    price   = sum_v price[tier_v] time[v, tier_v] + sum over tensors and links of price_l overhead_l bits

A tensor crosses each link from its producer's tier to its highest reader's once. All that cross a link are one message,
whose latency a plan pays on every link from where the input is born to the highest tier where an operation runs. An
output that returns is one more message on every link on its way. What sizes of the input vary counts by its mean. The
limits on all this are in `qopt.placement.rows`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError
from qopt.placement.parts import Output
from qopt.placement.plan import PlacementPlan, labels_of
from qopt.placement.problem import Placement
from qopt.placement.terms import Reads, Terms, terms, varies

Bits = TypeVar("Bits", float, FloatArray)


@dataclass(frozen=True, repr=False)
class PlacementCost(Brief):
    """A plan's latency, energy and price, and the objective they add up to.

    Seconds, joules, bits; `computing`, `memory`, `activations` [bytes] are per tier, `sending`, `bits` (of tensors,
    without overhead) per link; `returning` is the outputs' way back. `latencies` are those of each input size,
    `latency` their mean.

    Attributes
    ----------
    operator, accuracy : name of the operator, and what it reaches, in [0, 1].
    computing, memory : (tiers,) seconds, and bytes of weights (shared ones once), for each tier.
    activations : (tiers,) bytes of tensors and scratch at most, of all steps of the listed order, at the largest size.
    sending, bits : (links,) seconds, and bits of tensors without overhead, for each link.
    returning : seconds of the outputs' way back.
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
    activations: tuple[float, ...]
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


def way_back(problem: Placement, output: Output, tier: int) -> list[tuple[int, float]]:
    """Links on an output's way from a tier, each with its rate.

    Parameters
    ----------
    tier : index of the tier that has the output.
    """
    goal = problem.tier_names.index(output.tier)
    up = [(link, problem.links[link].rate) for link in range(tier, goal)]
    down = [(link, problem.links[link].down_rate or problem.links[link].rate) for link in range(goal, tier)]
    return up or down


def message_links(problem: Placement, labels: IntArray | list[int]) -> range:
    """Links that a message goes over: from where the input is born to the highest tier where an operation runs.

    Parameters
    ----------
    labels : (n + 1,) tiers of all nodes, node 0 included.
    """
    return range(problem.birth, int(np.max(labels)))


def on_links(own: Terms, labels: IntArray, links: int) -> list[FloatArray]:
    """Bits of every tensor that crosses a link, for each of the links.

    Parameters
    ----------
    labels : (n + 1,) tiers of all nodes, node 0 included.
    links : how many there are.
    """
    sizes = np.array([flow.written(int(labels[flow.producer])) for flow in own.flows])
    crossed = own.reads.crossed(labels, links)
    crossed &= np.array([flow.first for flow in own.flows], dtype=np.int64)[:, None] <= np.arange(links)
    return [sizes[crossed[:, i]] for i in range(links)]


def _latency(problem: Placement, own: Terms, labels: IntArray) -> tuple[list[float], list[float], float, list[Any]]:
    """Seconds of computing by tier, of sending by link, of outputs on their way; and what crosses links, in bits."""
    links, placed = problem.links, labels[1:]
    computing = [math.fsum(own.time[placed == k, k].tolist()) for k in range(len(problem.tiers))]
    on_link = on_links(own, labels, len(links))
    messages = message_links(problem, labels)
    sending = [
        math.fsum([link.latency if i in messages else 0.0, *(link.overhead * there / link.rate).tolist()])
        for i, (link, there) in enumerate(zip(links, on_link, strict=True))
    ]
    back = [
        links[link].latency + links[link].overhead * part.size / rate
        for node, part in own.outputs
        for link, rate in way_back(problem, part, int(labels[node]))
    ]
    return computing, sending, math.fsum(back), on_link


def weights_held(own: Terms, labels: IntArray, tier: int) -> list[float]:
    """Bytes of weights that a tier holds, one by one: those of its operations, and shared ones once.

    Parameters
    ----------
    labels : (n + 1,) tiers of all nodes, node 0 included.
    tier : index of the tier.
    """
    placed = labels[1:] == tier
    of_groups = [size[tier] for nodes, size in own.shared if any(labels[v] == tier for v in nodes)]
    return [*own.stored[placed, tier].tolist(), *of_groups]


def breakdown(problem: Placement, plan: PlacementPlan) -> PlacementCost:
    """Cost of a plan, term by term. The plan's shape must fit the problem (`checked_placement`).

    Parameters
    ----------
    plan : of the same problem.
    """
    own = terms(problem, problem.operator(plan.operator))
    at = labels_of(problem, own, plan)
    tiers, links, w = problem.tiers, problem.links, problem.objective
    labels = np.array(at, dtype=np.int64)
    memory = [math.fsum(weights_held(own, labels, k)) for k in range(len(tiers))]
    computing, sending, returning, on_link = _latency(problem, own, labels)
    bits = [math.fsum(there.tolist()) for there in on_link]
    on_wire = [(link, link.overhead * there) for link, there in zip(links, on_link, strict=True)]
    for node, part in own.outputs:
        way = way_back(problem, part, at[node])
        on_wire += [(links[i], links[i].overhead * np.array([part.size])) for i, _ in way]
    latency = math.fsum([*computing, *sending, returning])
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
        activations=tuple(alive_at_most(own, labels, k) for k in range(len(tiers))),
        latency=latency,
        latencies=_latencies(problem, own, labels, latency),
        computing_energy=computing_energy,
        transmission_energy=transmission_energy,
        price=price,
        objective=w.time * latency + w.energy * (computing_energy + transmission_energy) + w.price * price,
    )


def _latencies(problem: Placement, own: Terms, labels: IntArray, latency: float) -> tuple[float, ...]:
    """Seconds at each size of the input, from the latency at their mean."""
    if varies(problem, own.operator):
        found = []
        for case in range(problem.cases):
            computing, sending, returning, _ = _latency(problem, terms(problem, own.operator, case), labels)
            found.append(math.fsum([*computing, *sending, returning]))
        return tuple(found)

    def sent(bits: float, i: int) -> float:
        return problem.links[i].overhead * bits / problem.links[i].rate

    more = [[0.0] for _ in range(problem.cases)]
    for case, terms_ in enumerate(more):
        for flow, bits in zip(own.raw, own.raw_sizes[case], strict=True):
            way = range(flow.first, max(int(labels[r]) for r in flow.readers))
            terms_ += [sent(bits, i) - sent(flow.bits, i) for i in way]
    return tuple(latency + math.fsum(terms_) for terms_ in more)


def alive(own: Terms, labels: IntArray, tier: int) -> FloatArray:
    """(n,) bytes of tensors and scratch that a tier holds at each step of the listed order, rounded.

    A tensor is held on every tier from its producer's to its highest reader's, from its producer's step to its last
    reader's, at its largest.

    Parameters
    ----------
    labels : tiers of all nodes, node 0 included.
    tier : index of the tier.
    """
    n = len(own.names)
    change = np.zeros(n + 2)
    if own.flows:
        low, high = own.reads.reach(labels)
        there = (low <= tier) & (tier <= high) & (np.array([flow.first for flow in own.flows]) <= tier)
        first, last = own.steps
        size = np.array(own.largest) / 8.0
        np.add.at(change, first[there], size[there])
        np.subtract.at(change, last[there] + 1, size[there])
    held: FloatArray = np.cumsum(change)[1 : n + 1] + np.where(labels[1:] == tier, own.scratch, 0.0)
    return held


def alive_at_most(own: Terms, labels: IntArray, tier: int) -> float:
    """Bytes of tensors and scratch that a tier holds at most, of all steps.

    Parameters
    ----------
    labels : (n + 1,) tiers of all nodes, node 0 included.
    tier : index of the tier.
    """
    return max(float(alive(own, labels, tier).max(initial=0.0)), 0.0)


CHECK_RATE = 30_000
"""Nodes times links of a flow that is checked in a second: that cannot be stopped, and is not begun where there is less
time. Measured on two old cores; where it is wrong, a call ends late or early."""

HANDED_RATE = 200_000
"""Nodes times links of which a second makes the arrays of a minimum cut. From then on the kernel keeps the time."""


NO_PLACES: IntArray = np.zeros((0, 3), dtype=np.int64)
NOTHING_EXTRA: FloatArray = np.zeros(0)
for _column in (NO_PLACES, NOTHING_EXTRA):
    _column.flags.writeable = False


@dataclass(frozen=True, repr=False)
class Labelling(Brief):
    """One operator's problem as costs of labels: node 0 is the raw input, label k is tier k.

    Attributes
    ----------
    unary : (n + 1, tiers) cost of each tier for each node; infinite where it may not run.
    producer, readers : of each tensor; order alone where its weights are all 0. The messages of a network with several
        ends are one more, from node 0 to these.
    weight : (tensors, tiers - 1) cost of each link for each tensor; infinite: it may not cross.
    places : (s, 3) tensor, tier, link: what comes on top where the tensor is written on that tier and crosses the link.
    extra : (s,) how much that is, >= 0. A minimum cut knows no such terms: where one is > 0 it is a bound alone.
    """

    unary: FloatArray
    producer: tuple[int, ...]
    readers: tuple[tuple[int, ...], ...]
    weight: FloatArray
    places: IntArray = field(default_factory=lambda: NO_PLACES)
    extra: FloatArray = field(default_factory=lambda: NOTHING_EXTRA)

    @property
    def plain(self) -> bool:
        """Whether nothing comes on top of the costs of tiers and links: a minimum cut is the optimum."""
        return not bool(np.any(self.extra > 0))

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
    key = ("labelling", own.operator.name, id(own), objective)
    if problem.worked_out.get(("terms", own.operator.name, None)) is not own:
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
        return of_time * wire / rate + (of_energy * there.energy + of_price * there.price) * wire

    message = np.array([of_time * there.latency if k >= problem.birth else 0.0 for k, there in enumerate(links)])
    with np.errstate(over="ignore", invalid="ignore"):
        unary = np.zeros((len(own.names) + 1, len(tiers)))
        unary[0, np.arange(len(tiers)) != problem.birth] = np.inf
        unary[1:] = own.time * per_second
        for node, part in own.outputs:
            unary[node] += [
                math.fsum(
                    of_time * links[link].latency + on_link(part.size, link, rate)
                    for link, rate in way_back(problem, part, k)
                )
                for k in range(len(tiers))
            ]
        if len(own.ends) == 1:
            unary[own.ends[0]] += np.concatenate(([0.0], np.cumsum(message)))
        several = len(own.ends) > 1 and any(there.latency for there in links)
        sizes, places, larger = _sizes(own, len(links))
        weight = np.zeros((len(own.flows) + sum(map(len, own.together)) + several, len(links)))
        if several:
            weight[-1] = message
        extra = np.zeros(len(places))
        for link in range(len(links)):
            weight[: len(sizes), link] = on_link(sizes[:, link], link, links[link].rate)
            here = places[:, 2] == link
            extra[here] = on_link(larger[here], link, links[link].rate) - weight[places[here, 0], link]
        total = float(unary[1:].sum()) + math.fsum([*weight[np.isfinite(weight)].tolist(), *extra.tolist()])
    if not math.isfinite(total) or not np.all(np.isfinite(weight)) or total > 1e300:
        allowed = "times, sizes, rates and weights whose products are below 1e300"
        raise InputError("objective", f"a cost of {total:g}", allowed)
    unary[1:][~own.allowed] = np.inf
    for t, flow in enumerate(own.raw):
        weight[t, : flow.first] = 0.0
        if flow.private:
            weight[t, flow.first :] = math.inf
    producer, readers = [flow.producer for flow in own.flows], [flow.readers for flow in own.flows]
    for group in own.together:  # a cycle of orders: equal tiers
        for u, v in zip(group, (*group[1:], group[0]), strict=True):
            producer.append(u)
            readers.append((v,))
    if several:
        producer.append(0)
        readers.append(own.ends)
    unary.flags.writeable = weight.flags.writeable = extra.flags.writeable = False
    return Labelling(unary, tuple(producer), tuple(readers), weight, places, np.maximum(extra, 0.0))


def _sizes(own: Terms, links: int) -> tuple[FloatArray, IntArray, FloatArray]:
    """(m, links) bits of each flow on each link at their least, where they may be more, and how many they are there."""
    sizes = np.repeat(np.array([flow.bits for flow in own.flows])[:, None], links, axis=1)
    places: list[tuple[int, int, int]] = []
    larger: list[float] = []
    for t, flow in enumerate(own.flows):
        if flow.by_tier is None:
            continue
        for link in range(links):
            below = [k for k in range(link + 1) if own.allowed[flow.producer - 1, k]]
            sizes[t, link] = min((flow.by_tier[k] for k in below), default=flow.bits)
            places += [(t, k, link) for k in below]
            larger += [flow.by_tier[k] for k in below]
    return sizes, np.array(places, dtype=np.int64).reshape(-1, 3), np.array(larger)


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
    return replace(costs, unary=unary, weight=weight)


def labellings(problem: Placement) -> dict[str, tuple[Terms, Labelling]]:
    """Terms and costs of every operator that reaches the accuracy target, by its name."""
    found = {}
    for operator in problem.eligible:
        own = terms(problem, operator)
        found[operator.name] = (own, labelling(problem, own))
    return found


def used(
    costs: Labelling, unary: FloatArray, weight: FloatArray, labels: list[int], extra: FloatArray = NOTHING_EXTRA
) -> list[float]:
    """The terms that add up to what labels (node 0 included) cost, or use of a row.

    Parameters
    ----------
    unary : (nodes, tiers) of the row, or of the costs.
    weight : (tensors, links) likewise.
    labels : tier of each node, node 0 included.
    extra : (s,) likewise, at the costs' places; none of it is nothing.
    """
    at = np.array(labels, dtype=np.int64)
    crossed = costs.reads.crossed(at, weight.shape[1])
    found: list[float] = [*unary[np.arange(len(at)), at].tolist(), *weight[crossed].tolist()]
    if len(extra):
        tensor, tier, link = costs.places.T
        there = (at[costs.reads.producer[tensor]] == tier) & crossed[tensor, link]
        found += extra[there].tolist()
    return found


def paid(costs: Labelling, labels: list[int]) -> list[float]:
    """The terms that add up to what labels cost.

    Parameters
    ----------
    labels : tier of each node, node 0 included.
    """
    return used(costs, costs.unary, costs.weight, labels, costs.extra)

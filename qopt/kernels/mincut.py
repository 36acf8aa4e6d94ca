"""Minimum cut on ordered labels, exactly, with a proof.

    minimise sum_v unary[v, label_v] + sum_t sum_l weight[t, l] [label_u <= l < max label of t's readers]
    subject to label_u <= label_r for every reader r of a tensor produced by u,  labels in 0..L-1

**Cut.** With x_{v,k} = [label_v > k] this is a minimum s-t cut (Ishikawa, PAMI 2003; Picard, Management Science
1976): exact for any number of labels, because they are ordered.

**Dual.** Let u be tensor t's producer and r_j its readers. For any numbers f[t, l, j] with
sum_j max(f[t, l, j], 0) <= weight[t, l], what t costs on link l is at least sum_j f[t, l, j] (x_{r_j,l} - x_{u,l}):
weight * max_j (x_{r_j,l} - x_{u,l}) is at least that sum over the positive f, which say how the readers share the
weight, and the negative f are multipliers of the constraints x_{u,l} <= x_{r_j,l}. The sum falls apart by nodes:

    optimum >= sum_v min_l (unary[v, l] + sum_{k<l} r[v, k]),
    r[v, k] = sum of f[t, k, j] over readings r_j = v  -  sum of f[t, k, j] over tensors produced by v

and by linear duality the best f reaches the optimum. Such an f, an ordinary flow, is the proof; `Result.witness`
writes it. *Infeasible*: the same with unary and weights set to 0 where they are finite (so f <= 0 there), and a
bound > 0.

**Method.** Costs become integers on a grid of 2^-57 of a known labelling's cost, rounded down, so that a flow is one
in the data as given too. Messages along the graph (`cuts.sweep`) find most of the flow, maximum flows on what is left
(`cuts.network`) the rest: each with capacities scaled to 32 bits by the gap that is open, until none is.

The kernel knows nothing of neural networks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.arguments import LARGEST, check_options
from qopt.kernels.cuts.data import Tensor, Tensors, checked
from qopt.kernels.cuts.exact import MAX_EDGES, ExactCut, exact_bound
from qopt.kernels.cuts.network import INFINITE, Network
from qopt.kernels.cuts.sweep import sweep
from qopt.kernels.exact import Late
from qopt.kernels.tolerances import EPSILON

if TYPE_CHECKING:
    import networkx

__all__ = ["Result", "Tensors", "solve", "to_networkx"]

GRID_BITS = 57
"""A known labelling costs less than 2^57 units; 64-bit sums of a node's flows have room above."""

PROHIBITIVE = 2.0 ** (GRID_BITS + 2)
"""Units of any greater finite cost: four times what a known labelling costs, so that none that matters takes it."""

FINEST_EXPONENT = 1074
"""Units are at least 2^-1074, so that every whole number of them is a float."""

LEAST_FLOAT = 2.0**-FINEST_EXPONENT
"""Above 0."""

MAX_FLOWS = 16
"""Maximum flows on one grid. Three are usual: each closes the gap to a share of about 1e-5."""

PROVED = 1e-9
"""Share of the objective that may be left between it and the bound for the status ``optimal``."""

EXACT = 1e-12
"""A larger share makes a finer grid worth while, where the labelling found is far cheaper than the one before."""

EXACT_BITS = 40
"""A gap of a share of 2^-40, a little less than that, needs no other flow. Whole numbers have none so small."""

FAR_CHEAPER = 2.0**-8
"""By this factor, eight of a grid's 57 digits. Less gains too little: a finer grid repeats all flows."""


FEW_EDGES = 50_000
"""Edges up to which the network is built however late it is: less than a tenth of a second."""

SECONDS_AN_EDGE = 2e-6
"""Of the network, and of a maximum flow before one was timed: neither asks the clock. Measured: 1 to 3 on the
benchmark's networks and random graphs."""


@dataclass(frozen=True, repr=False)
class Result(Brief):
    """Answer of `solve`.

    Attributes
    ----------
    status : ``optimal`` (bound within 1e-9 of the objective), ``optimal-by-solver`` (the flow is complete, but rounded
        to floats it proves less), ``infeasible``, ``limit`` (the time was over, or costs cancel beyond what 57 digits
        hold in a network too large for whole numbers).
    labels : (n,) label of each node, None if infeasible.
    objective : cost of the labels in the data as given, None if infeasible.
    bound : lower bound on the optimum, proved by `flow`; None if infeasible.
    late : whether the time limit kept it from better labels or a better bound.
    flow : (readings, L-1) the dual f, a row for each entry of ``tensors.reader``; a ray if infeasible.
    tensors : the tensors as given.
    details : ``grids``, ``rounds`` (maximum flows), ``nodes`` and ``arcs`` of the cut network.
    """

    status: Literal["optimal", "optimal-by-solver", "infeasible", "limit"]
    labels: IntArray | None = None
    objective: float | None = None
    bound: float | None = None
    _: KW_ONLY
    late: bool = False
    flow: FloatArray
    tensors: Tensors
    details: dict[str, int] = field(default_factory=dict)

    @property
    def gap(self) -> float | None:
        """objective - bound, None where they do not exist."""
        return None if self.objective is None or self.bound is None else self.objective - self.bound

    def witness(self) -> dict[str, object]:
        """The proof as plain JSON data: labels, and [tensor, link, position of the reader, f] where f is not 0."""
        entry, link = np.nonzero(self.flow)
        owner = self.tensors.owner
        position = np.arange(len(owner)) - self.tensors.start[owner]
        columns = (owner[entry], link, position[entry], self.flow[entry, link])
        return {
            "format": "qopt/kernel-witness",
            "version": 1,
            "kind": "cut",
            "labels": None if self.labels is None else self.labels.tolist(),
            "flow": [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)],
        }


def solve(unary: ArrayLike, tensors: Tensors | Iterable[Tensor], *, time_limit: float | None = None) -> Result:
    """Label every node at least total cost, with a proof.

    Parameters
    ----------
    unary : (n, L) cost of each label, of any sign, L >= 1; +inf forbids a label.
    tensors : `Tensors`, or a list of ``(producer, readers, weights)`` with L-1 weights >= 0; an infinite one
        forbids that this tensor crosses this link. A tensor of zero weights is a plain order constraint.
        Cycles of constraints force equal labels; a tensor without readers costs nothing.
    time_limit : seconds; when they are over, the best labels known and a valid bound are returned.

    Returns
    -------
    Result
        Labels, bound and flow.

    Raises
    ------
    InputError
        Wrong shapes, NaN, a number beyond 1e300, a whole number that no float holds, a negative weight, a node that
        does not exist, a time limit that is none.
    """
    check_options(math.inf, 0.0, time_limit)
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    unary, tensors = checked(unary, tensors)
    n, labels = unary.shape
    nothing = np.zeros((len(tensors.reader), labels - 1))
    if n == 0 or labels == 1:
        if np.isinf(unary).any():
            return Result("infeasible", flow=nothing, tensors=tensors)
        only = np.zeros(n, dtype=np.int64)
        costs = unary[:, 0].tolist()
        return Result("optimal", only, math.fsum(costs), _downward(costs), flow=nothing, tensors=tensors)
    edges = n * labels + 2 * len(tensors.reader) * (labels - 1)
    if deadline is not None and edges > FEW_EDGES and time.perf_counter() + SECONDS_AN_EDGE * edges > deadline:
        return _same_label(unary, tensors, nothing)
    network = Network(tensors, n, labels)
    size = {"nodes": network.nodes, "arcs": 2 * len(network.tail)}
    forbidden, closed = np.isinf(unary), np.isinf(tensors.weight)
    low, ray = network.least(forbidden, closed)
    if low is None:
        return Result("infeasible", flow=ray, tensors=tensors, details=size)
    high = network.greatest(forbidden, closed)
    floor = unary.min(axis=1)
    best = _first(unary, tensors, low, high)
    value = _above(unary, tensors, best, floor)
    grids = rounds = 0
    while True:
        grid = _Grid(unary, tensors, floor, value)
        flow, found, used, ended = _close(grid, network, best, deadline)
        grids, rounds = grids + 1, rounds + used
        objective, bound = _cost(unary, tensors, found), grid.bound(flow)
        previous, best, value = value, found, _above(unary, tensors, found, floor)
        # A first labelling of great cost makes a coarse grid; a cheaper one makes a finer one.
        proved = objective - bound <= PROVED * abs(objective)
        if objective - bound <= EXACT * abs(objective) or not value < (FAR_CHEAPER if proved else 1.0) * previous:
            break
        if not ended or _late(deadline):
            break
    dual = grid.float_flow(flow)
    complete = proved
    if not proved and ended and len(network.tail) <= MAX_EDGES:
        try:
            cut = ExactCut(unary, tensors, network, deadline)
            best, dual, complete = cut.labels, cut.flow, True
            objective, bound = _cost(unary, tensors, best), exact_bound(unary, tensors, dual)
            proved = objective - bound <= PROVED * abs(objective)
        except Late:
            pass
    proved &= bool(np.all(np.abs(dual) <= LARGEST))  # what a checker takes
    status: Literal["optimal", "optimal-by-solver", "limit"] = "optimal"
    if not proved:
        status = "optimal-by-solver" if complete else "limit"
    details = {"grids": grids, "rounds": rounds, **size}
    late = not proved and (not ended or _late(deadline))
    bound = min(bound, objective)
    return Result(status, best, objective, bound, late=late, flow=dual, tensors=tensors, details=details)


def _late(deadline: float | None) -> bool:
    return deadline is not None and time.perf_counter() > deadline


def _same_label(unary: FloatArray, tensors: Tensors, nothing: FloatArray) -> Result:
    """The cheapest label that all nodes may take, where no tensor crosses a link; the bound is that of no flow."""
    floor = unary.min(axis=1)
    if np.isinf(floor).any():
        return Result("infeasible", flow=nothing, tensors=tensors)
    bound = _downward(floor.tolist())
    with np.errstate(invalid="ignore"):
        sums = unary.sum(axis=0)
    label = int(np.argmin(sums))
    if math.isinf(float(sums[label])):
        return Result("limit", bound=bound, late=True, flow=nothing, tensors=tensors)
    objective = math.fsum(unary[:, label].tolist())
    labels, bound = np.full(len(unary), label), min(bound, objective)
    return Result("limit", labels, objective, bound, late=True, flow=nothing, tensors=tensors)


def to_networkx(unary: ArrayLike, tensors: Tensors | Iterable[Tensor]) -> networkx.DiGraph[Any]:
    """The cut network as a graph to draw and to read; `solve` does not use it.

    Nodes are ``"s"``, ``"t"``, ``(v, k)`` for x_{v,k} (on the side of s where label_v > k) and ``("max", t, k)`` for
    the greatest reader of tensor t. Arcs without ``capacity`` are infinite, as `networkx.minimum_cut` reads them.
    ``graph.graph["offset"]`` plus the value of a minimum cut is the optimum.

    Parameters
    ----------
    unary : (n, L) costs, as `solve` takes them.
    tensors : (producer, readers, weights) of each.
    """
    import networkx

    unary, tensors = checked(unary, tensors)
    graph: networkx.DiGraph[Any] = networkx.DiGraph()
    floor = np.where(np.isinf(unary).all(axis=1), 0.0, unary.min(axis=1, initial=math.inf))
    graph.graph["offset"] = math.fsum(floor)
    last = unary.shape[1] - 1

    def arc(tail: object, head: object, capacity: float) -> None:
        before = graph.get_edge_data(tail, head)
        if before is None:
            graph.add_edge(tail, head, **({} if math.isinf(capacity) else {"capacity": capacity}))
        elif math.isinf(capacity):
            before.pop("capacity", None)
        elif "capacity" in before:
            before["capacity"] += capacity

    graph.add_nodes_from(["s", "t"])
    for v, costs in enumerate((unary - floor[:, None]).tolist()):
        places = ["s", *((v, k) for k in range(last)), "t"]
        for label, cost in enumerate(costs):
            arc(places[label], places[label + 1], cost)
            if 0 < label < last:
                arc(places[label + 1], places[label], math.inf)
    for t, (u, weights) in enumerate(zip(tensors.producer.tolist(), tensors.weight.tolist(), strict=True)):
        readers = tensors.reader[tensors.start[t] : tensors.start[t + 1]].tolist()
        for k, weight in enumerate(weights):
            for r in readers:
                arc((u, k), (r, k), math.inf)
                arc((r, k), ("max", t, k), math.inf)
            if readers:
                arc(("max", t, k), (u, k), weight)
    return graph


def _crossed(tensors: Tensors, labels: IntArray) -> BoolArray:
    """(m, L-1) whether a tensor crosses a link."""
    last = np.full(len(tensors.producer), -1)
    np.maximum.at(last, tensors.owner, labels[tensors.reader])
    link = np.arange(tensors.weight.shape[1])
    crossed: BoolArray = (labels[tensors.producer][:, None] <= link) & (link < last[:, None])
    return crossed


def _cost(unary: FloatArray, tensors: Tensors, labels: IntArray) -> float:
    """Cost of feasible labels in the data as given, correctly rounded."""
    paid = tensors.weight[_crossed(tensors, labels)]
    return math.fsum([*unary[np.arange(len(labels)), labels].tolist(), *paid.tolist()])


def _above(unary: FloatArray, tensors: Tensors, labels: IntArray, floor: FloatArray) -> float:
    """What labels cost above every node's least cost; infinite if they take what is forbidden."""
    extra = unary[np.arange(len(labels)), labels] - floor
    return math.fsum([*extra.tolist(), *tensors.weight[_crossed(tensors, labels)].tolist()])


def _downward(terms: list[float]) -> float:
    """Largest float that is not above the exact sum."""
    total = math.fsum(terms)
    return total if math.fsum([*terms, -total]) >= 0 else math.nextafter(total, -math.inf)


def _first(unary: FloatArray, tensors: Tensors, low: IntArray, high: IntArray) -> IntArray:
    """The cheapest of the least and the greatest labels and one label everywhere as far as these two allow."""
    candidates = [low, high, *(np.clip(label, low, high) for label in range(unary.shape[1]))]
    return min(candidates, key=lambda labels: _above(unary, tensors, labels, unary.min(axis=1)))


class _Grid:
    """The data in whole units of 2^-exponent, rounded down, and the way back."""

    def __init__(self, unary: FloatArray, tensors: Tensors, floor: FloatArray, value: float) -> None:
        self.tensors, self.floor = tensors, floor
        self.exponent = min(GRID_BITS - math.frexp(value)[1], FINEST_EXPONENT) if value else 0
        self.forbidden = np.isinf(unary)
        known, least = np.where(self.forbidden, 0.0, unary), floor[:, None]
        above = known - least
        # What the difference was rounded by (Knuth's two-sum): where it was upwards, units must not exceed the data.
        part = above - known
        excess = np.minimum((known - (above - part)) + (-least - part), 0.0)
        units = self._scaled(above)
        # Below the clip no rounding is more than this; a clipped cost must not cancel against its own. And it is
        # there however small it is beside a unit.
        down = np.clip(self._scaled(excess), -PROHIBITIVE * EPSILON, np.where(excess < 0, -LEAST_FLOAT, 0.0))
        rest = units - np.floor(units) + down
        self.unary = units.astype(np.int64) + np.floor(rest).astype(np.int64)
        self.weight = np.floor(self._scaled(tensors.weight)).astype(np.int64)
        # Whole multiples of a larger unit have a dual in that unit: for whole numbers every step is exact.
        used = int(np.bitwise_or.reduce(self.unary, axis=None) | np.bitwise_or.reduce(self.weight, axis=None))
        common = (used & -used).bit_length() - 1 if used else 0
        self.unary >>= common
        self.weight >>= common
        self.exponent -= common
        self.unary[self.forbidden] = INFINITE
        self.weight[np.isinf(tensors.weight)] = INFINITE

    def _scaled(self, data: FloatArray) -> FloatArray:
        # A label or link that costs more than four labellings is taken by none that matters.
        with np.errstate(over="ignore"):
            return np.clip(np.ldexp(data, self.exponent), -PROHIBITIVE, PROHIBITIVE)

    def reduced(self, flow: IntArray) -> tuple[IntArray, int]:
        """Unary costs less their least per node, after the flow has moved costs between nodes; the sum of the least."""
        moved = np.zeros((len(self.unary), self.unary.shape[1] - 1), dtype=np.int64)
        np.add.at(moved, self.tensors.reader, flow)
        np.add.at(moved, self.tensors.producer[self.tensors.owner], -flow)
        reduced = self.unary.copy()
        reduced[:, 1:] += np.cumsum(moved, axis=1)
        reduced[self.forbidden] = INFINITE
        least: IntArray = reduced.min(axis=1)
        reduced -= least[:, None]
        reduced[self.forbidden] = INFINITE
        return reduced, sum(least.tolist())

    def cost(self, labels: IntArray) -> int:
        """Cost of labels in units, above the least of every node."""
        paid = self.weight[_crossed(self.tensors, labels)]
        taken: list[int] = [*self.unary[np.arange(len(labels)), labels].tolist(), *paid.tolist()]
        return sum(taken)

    def float_flow(self, flow: IntArray) -> FloatArray:
        """A flow in the unit of the data. Whole numbers beyond 53 bits are rounded towards 0, where it stays a flow."""
        return np.ldexp(_towards_zero(flow), -self.exponent)

    def bound(self, flow: IntArray) -> float:
        """Largest float that the bound which the flow proves is surely not below."""
        _, above = self.reduced(_towards_zero(flow).astype(np.int64))
        upper = float(above)
        parts = [math.ldexp(x, -self.exponent) for x in (upper, float(above - int(upper)))]
        return _downward([*self.floor.tolist(), *parts])


def _towards_zero(flow: IntArray) -> FloatArray:
    rounded = flow.astype(np.float64)
    over = np.abs(rounded.astype(np.int64)) > np.abs(flow)
    return np.where(over, np.nextafter(rounded, 0.0), rounded)


def _close(
    grid: _Grid, network: Network, labels: IntArray, deadline: float | None
) -> tuple[IntArray, IntArray, int, bool]:
    """Flow and labels of equal cost in units, the number of maximum flows, and whether the time sufficed for them."""
    nothing = np.zeros((len(grid.tensors.reader), grid.unary.shape[1] - 1), dtype=np.int64)
    cost = grid.cost(labels)
    if cost == 0:
        return nothing, labels, 0, True
    reduced, _ = grid.reduced(nothing)
    moved = sweep(grid.tensors, network.distinct, reduced, grid.weight, cost, deadline)
    state = network.start(grid.weight, moved)
    longest = SECONDS_AN_EDGE * len(network.tail)
    for used in range(MAX_FLOWS):
        reduced, bound = grid.reduced(state.total)
        gap = cost - bound
        if gap <= cost >> EXACT_BITS:
            return state.total, labels, used, True
        begin = time.perf_counter()
        if deadline is not None and begin + longest > deadline:
            return state.total, labels, used, False
        found = network.push(state, reduced, gap)
        longest = time.perf_counter() - begin
        if found is None:
            continue
        least = grid.cost(found)
        if least < cost:
            cost, labels = least, found
    return state.total, labels, MAX_FLOWS, True

"""One budget row: the search behind `qopt.kernels.mckp.solve`.

The linear relaxation by hulls and greedy gives a multiplier, a bound and a first choice. Non-dominated partial sums
over the items that reduced costs leave, and branch and bound on the multiplier, find the optimum by turns. The
tree of branch and bound is the proof; where it grows too large, a leaf asks its checker to add up the sums.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.errors import InputError
from qopt.core.limits import limit_with_slack
from qopt.kernels.arguments import LARGEST, number, table
from qopt.kernels.grid import grain, room
from qopt.kernels.knapsack.branch import Node, Search, branch
from qopt.kernels.knapsack.incumbent import Incumbent
from qopt.kernels.knapsack.relaxation import hull_steps, relax, undominated
from qopt.kernels.knapsack.result import Result
from qopt.kernels.knapsack.rounding import Rounded, rounded
from qopt.kernels.knapsack.sums import Outcome, search
from qopt.kernels.knapsack.ties import merge

ROUNDING = 1e-14
"""Partial sums within this share of the limit's scale are kept and rechecked exactly."""

FEW_LABELS, FIRST_NODES = 5_000, 250
"""A first round: so few partial sums, which a checker makes again in no time, and a small tree."""

FIRST_LABELS = 400_000
"""Partial sums that are tried before branch and bound."""

BRANCH_NODES = 20_000
"""Nodes of branch and bound, as a search and as a proof."""

RAY: Node = ["leaf", 0, 1.0]
"""A leaf of its own kind: the weights alone, whatever the costs, exceed the limit."""

MAX_LABELS = 20_000_000
"""Partial sums kept in all before the search stops with a bound."""

PROOF_NODES, PROOF_LABELS = 400, 1_000_000
"""Where partial sums found the optimum: nodes of a tree without them; beyond, partial sums that a checker may be
asked to make again."""

PRICES = (-math.inf, -3.0, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Powers of two by which multipliers for that are spread around the relaxation's; the first is 0."""

CLOSE = 1e-13
"""Relative: what sums of shifted costs round by, at most."""

PROVED = 0.5e-9
"""Where partial sums found the optimum to the last digit, the tree shows it to this, relative: half of what a
certificate asks for."""


def solve(
    cost: Any,
    weight: Any,
    limit: float,
    *,
    ties: Any = None,
    upper: float = math.inf,
    gap: float = 0.0,
    time_limit: float | None = None,
    branch_nodes: int = BRANCH_NODES,
    max_labels: int = MAX_LABELS,
    on_grid: bool = True,
) -> Result:
    """Solve a multiple-choice knapsack to proved optimality.

    Parameters
    ----------
    cost, weight : (n, k), a class a row, finite, of any sign and scale.
    limit : on the sum of weights, with relative slack 1e-12; infinite for none.
    others : as in `qopt.kernels.mckp.solve`, which says what is refused.
    """
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    given_cost, given_weight = checked(cost, weight, limit)
    limit = float(limit)
    rows = np.arange(len(given_cost))
    merged = None if ties is None or not len(ties) else merge(ties, len(given_cost))
    if merged is None:
        cost, weight, error_c, error_w = given_cost, given_weight, 0.0, 0.0
    else:
        cost, weight = merged.table(given_cost), merged.table(given_weight)
        error_c, error_w = float(merged.error(given_cost)), float(merged.error(given_weight))

    def expanded(choice: IntArray) -> IntArray:
        return choice if merged is None else merged.expand(choice)

    data = _Data(cost, weight, limit, on_grid, error_c, error_w)
    if data.capacity < 0:
        return Result("infeasible", tree=[RAY])
    incumbent = Incumbent(
        data.c,
        data.w,
        data.capacity,
        data.margin,
        lambda choice: given_weight[rows, expanded(choice)],
        data.allowed,
        math.ldexp(upper - data.offset, -data.cost_unit),
        offset=math.ldexp(data.offset, -data.cost_unit),
        grain=math.ldexp(data.step, -data.cost_unit),
        gap=gap,
    )
    present = undominated(data.c, data.w)
    relaxed = relax(data.c, data.w, hull_steps(data.c, data.w, present), data.capacity + data.margin)
    incumbent.offer_if_cheap(relaxed.choice, -math.inf)
    search = _Search(data.c, data.w, present, relaxed.multiplier, incumbent, deadline)
    if data.whole is not None and data.step and not incumbent.closed:
        multiplier = relaxed.multiplier * data.price_unit
        search.round_up(rounded(cost, weight, data.whole, multiplier, data.step), data)
    complete, tree, bound = search.run(branch_nodes, max_labels)

    details: dict[str, Any] = {"lp_bound": data.total(relaxed.bound)} | search.details
    choice = None if incumbent.choice is None else expanded(incumbent.choice)
    objective = None if choice is None else math.fsum(given_cost[rows, choice].tolist())
    if not complete:
        return Result("limit", choice, objective, data.total(min(bound, incumbent.value)), None, details)
    tree = data.in_given_units(tree)
    if choice is None and math.isinf(upper):
        return Result("infeasible", tree=tree, details=details)
    if objective is None or objective >= upper:  # shifted sums and given ones round differently
        return Result("cutoff", bound=upper, tree=tree, details=details)
    if not data.certain(incumbent.value, objective):
        tree = None
    if gap and bound < incumbent.value:
        proved = max(objective - gap * abs(objective), data.total(bound))
        return Result("within-gap", choice, objective, proved, tree, details)
    return Result("optimal" if tree else "optimal-by-solver", choice, objective, objective, tree, details)


class _Data:
    """The data as the search sees them: less the least of each class, in units of a power of two.

    Attributes
    ----------
    c, w : (n, k) costs and weights; sums round relative to what is chosen.
    capacity, margin : on the sum of w, and what that may be off by; 0 on a grid, where sums are exact.
    allowed : what the weights as given may add up to.
    offset : sum of the least costs.
    cost_unit, weight_unit : exponents of the units.
    whole : capacity in the given unit where weights lie on a grid, else None.
    step : grid of the costs in the given unit, 0.0 without one.
    """

    def __init__(
        self, cost: FloatArray, weight: FloatArray, limit: float, on_grid: bool, error_c: float, error_w: float
    ) -> None:
        """Errors: what sums over tied classes were rounded by, in all; nothing lies on a grid then."""
        floor_c, floor_w = cost.min(axis=1, initial=math.inf), weight.min(axis=1, initial=math.inf)
        c, w = cost - floor_c[:, None], weight - floor_w[:, None]
        self.cost_unit, self.weight_unit = (math.frexp(float(x.max(initial=0.0)))[1] for x in (c, w))
        self.c, self.w = np.ldexp(c, -self.cost_unit), np.ldexp(w, -self.weight_unit)
        self.offset = math.fsum(floor_c.tolist())
        self.allowed = limit_with_slack(limit)
        self.whole = room(weight, self.allowed) if math.isfinite(limit) and on_grid and not error_w else None
        self.margin = 0.0
        if self.whole is not None:
            capacity = self.whole
        elif math.isfinite(limit):
            capacity = math.fsum([self.allowed, *(-floor_w).tolist(), error_w])
            rounding = ROUNDING * (abs(limit) + float(np.abs(floor_w).sum())) + 2.0 * error_w
            self.margin = math.ldexp(rounding, -self.weight_unit)
        else:
            capacity = math.inf
        try:
            self.capacity = math.ldexp(capacity, -self.weight_unit)
        except OverflowError:
            self.capacity = math.copysign(math.inf, capacity)
        size = abs(self.offset) + float(c.max(axis=1, initial=0.0).sum())
        self.step = grain(cost, size) if on_grid and not error_c else 0.0
        self.error = error_c

    @property
    def price_unit(self) -> float:
        """What a multiplier of 1 is in the given units; 0 or infinite where floats end."""
        try:
            return math.ldexp(1.0, self.cost_unit - self.weight_unit)
        except OverflowError:
            return math.inf

    def total(self, value: float) -> float:
        """A sum of shifted costs as one of given costs."""
        return self.offset + math.ldexp(value, self.cost_unit)

    def certain(self, value: float, objective: float) -> bool:
        """Whether the rounding of sums is far below what a certificate asks for (it is not where costs cancel)."""
        blur = 2 * CLOSE * abs(math.ldexp(value, self.cost_unit)) + 2.0**-52 * abs(self.offset) + self.error
        return bool(self.step) or (value == 0.0 and not self.error) or blur <= PROVED * abs(objective)

    def in_given_units(self, tree: list[Node] | None) -> list[Node] | None:
        """A tree with its multipliers in the given units; None where they are none that a checker takes."""
        unit = self.price_unit
        if tree is None or unit == 1.0:
            return tree
        converted: dict[int, Node] = {}  # nodes that stand in several places stay one
        for node in tree:
            if node[0] == "leaf" and node[1] == 1 and id(node) not in converted:
                converted[id(node)] = ["leaf", 1, node[2] * unit]
            elif node[0] == "sums":
                converted[id(node)] = ["sums", node[1], [x * unit for x in node[2]]]
        scaled = [converted.get(id(node), node) for node in tree]
        prices = [x for node in scaled if node[0] != "split" for x in np.ravel(node[-1]).tolist()]
        return scaled if all(x <= LARGEST for x in prices) else None


class _Search:
    """What follows the relaxation: partial sums and branch and bound by turns, until one of them is through."""

    def __init__(
        self,
        c: FloatArray,
        w: FloatArray,
        present: BoolArray,
        lam: float,
        incumbent: Incumbent,
        deadline: float | None,
    ) -> None:
        self.c, self.w, self.present, self.lam = c, w, present, lam
        self.incumbent, self.deadline = incumbent, deadline
        reduced = c + lam * w
        least = reduced[np.arange(len(c)), np.argmin(reduced, axis=1)]
        self.lower = float(least.sum())
        if lam:
            self.lower -= lam * (incumbent.capacity + incumbent.margin)
        self.excess = reduced - least[:, None]
        self.details: dict[str, Any] = {"nodes": 0, "labels": 0}
        self.root: Node = ["leaf", 1, lam]
        """The node whose bound is the incumbent's floor."""
        incumbent.raise_floor(self.lower)

    def round_up(self, found: Rounded | None, data: _Data) -> None:
        """Take a rounded bound, which is in the given units, where it is better."""
        if found is None:
            return
        bound = math.ldexp(found.bound, -data.cost_unit)
        if bound > self.incumbent.floor:
            self.root = ["rounded", found.mu, found.multiplier]
            self.incumbent.raise_floor(bound)

    def run(self, branch_nodes: int, max_labels: int) -> tuple[bool, list[Node] | None, float]:
        """Whether the search is complete, its tree if there is one, and a bound."""
        incumbent = self.incumbent
        state = self.sums(min(FEW_LABELS, max_labels))
        if state.complete or incumbent.closed:
            return True, self.prove(state, branch_nodes), self.proved
        if not incumbent.grain:
            found = self.branch(min(FIRST_NODES, branch_nodes))
            if found.complete and not incumbent.closed:
                return True, found.tree, incumbent.aim
        bound = incumbent.floor
        for labels, nodes in ((min(FIRST_LABELS, max_labels), branch_nodes), (max_labels, 0)):
            state = self.sums(labels)
            if state.complete or incumbent.closed:
                return True, self.prove(state, branch_nodes), self.proved
            found = self.branch(nodes)
            if found.complete or incumbent.closed:
                return True, [self.root] if incumbent.closed else found.tree, self.proved
            bound = max(bound, state.bound, found.bound)
        return False, None, bound

    @property
    def proved(self) -> float:
        """What a complete search shows everything to cost at least."""
        return self.incumbent.floor if self.incumbent.closed else self.incumbent.aim

    def prove(self, state: Outcome, branch_nodes: int) -> list[Node] | None:
        """A tree for what partial sums found: without a choice, or with the best one."""
        self.incumbent.settle(PROVED)
        if self.incumbent.closed:
            return [self.root]
        if state.labels > FEW_LABELS:
            found = self.branch(min(PROOF_NODES, branch_nodes))
            if found.complete or state.labels > PROOF_LABELS:
                return found.tree
        return [["sums", state.order.tolist(), [self.lam * 2.0**power for power in PRICES]]]

    def sums(self, max_labels: int) -> Outcome:
        """Partial sums over the items that reduced costs leave."""
        if max_labels <= 0 or self.incumbent.closed:
            return Outcome(False, -math.inf, np.empty(0, dtype=np.int64), 0)
        present = self.present & (self.excess + self.lower < self.incumbent.aim)
        state = search(self.c, self.w, present, self.lam, self.lower, self.incumbent, self.deadline, max_labels)
        self.details |= {"core": len(state.order), "labels": self.details["labels"] + state.labels}
        return state

    def branch(self, max_nodes: int) -> Search:
        """Branch and bound; where the incumbent is settled, as a proof."""
        if self.incumbent.closed:
            return Search(None, -math.inf, 0)
        found = branch(
            self.c,
            self.w,
            self.incumbent.capacity + self.incumbent.margin,
            self.incumbent,
            max_nodes=max_nodes,
            deadline=self.deadline,
            guess=self.lam,
        )
        self.details["nodes"] += found.nodes
        return found


def checked(cost: Any, weight: Any, limit: Any) -> tuple[FloatArray, FloatArray]:
    """Arrays of costs and weights that can be used; InputError otherwise."""
    cost, weight = table("cost", cost, "(n, k)"), table("weight", weight, "(n, k)")
    if cost.shape != weight.shape or (len(cost) and cost.shape[1] == 0):
        raise InputError("weight", f"shapes {cost.shape} and {weight.shape}", "two arrays of one shape (n, k), k >= 1")
    number("limit", limit)
    # Without a class any number of columns is right; zero of them have no least item.
    return (cost, weight) if len(cost) else (np.zeros((0, 1)), np.zeros((0, 1)))

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

from qopt.arrays import BoolArray, FloatArray
from qopt.errors import InputError, shown
from qopt.kernels.grid import grain, room
from qopt.kernels.knapsack.branch import Node, Search, branch
from qopt.kernels.knapsack.incumbent import Incumbent
from qopt.kernels.knapsack.relaxation import hull_steps, relax, undominated
from qopt.kernels.knapsack.result import Result
from qopt.kernels.knapsack.rounding import Rounded, rounded
from qopt.kernels.knapsack.sums import Outcome, search
from qopt.kernels.slack import with_slack

ROUNDING = 1e-14
"""Partial sums within this share of the limit's scale are kept and rechecked exactly."""

FIRST_STAGES, FIRST_NODES = 24, 250
"""A first round: partial sums over the classes with most at stake, for a good incumbent, and a small tree."""

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

PROVED = 0.5e-9
"""Where partial sums found the optimum to the last digit, the tree shows it to this, relative: half of what a
certificate asks for."""


def solve(
    cost: Any,
    weight: Any,
    limit: float,
    *,
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
    upper : only choices of lower cost than this are of interest.
    gap : relative; the search may stop once objective - bound <= gap |objective|.
    time_limit : seconds; when it is over, the best choice and a valid bound are returned.
    branch_nodes : nodes of branch and bound before it gives up.
    max_labels : partial sums kept before the search stops, as at a time limit.
    on_grid : whether the tree may rely on costs that lie on a grid (see `qopt.kernels.grid`).

    Raises
    ------
    InputError
        Shapes that differ, or a number that is not finite.
    """
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    cost, weight = checked(cost, weight, limit)
    if not 0.0 <= gap < math.inf:
        raise InputError("gap", shown(gap), "a finite number >= 0")
    n = len(cost)
    rows = np.arange(n)
    # Shifted to the least cost and weight of each class, so that sums round relative to what is chosen.
    floor_c, floor_w = cost.min(axis=1, initial=math.inf), weight.min(axis=1, initial=math.inf)
    c, w = cost - floor_c[:, None], weight - floor_w[:, None]
    offset = math.fsum(floor_c)
    allowed = with_slack(limit)
    whole = room(weight, allowed) if math.isfinite(limit) and on_grid else None
    if whole is not None:
        capacity, margin = whole, 0.0
    elif math.isfinite(limit):
        capacity = math.fsum([allowed, *(-floor_w)])
        margin = ROUNDING * (abs(limit) + float(np.abs(floor_w).sum()))
    else:
        capacity, margin = math.inf, 0.0
    if capacity < 0:
        return Result("infeasible", tree=[RAY])
    step = grain(cost, abs(offset) + float(c.max(axis=1, initial=0.0).sum())) if on_grid else 0.0
    incumbent = Incumbent(c, w, capacity, margin, weight, allowed, upper - offset, offset=offset, grain=step, gap=gap)

    present = undominated(c, w)
    relaxed = relax(c, w, hull_steps(c, w, present), capacity + margin)
    incumbent.offer_if_cheap(relaxed.choice, -math.inf)
    search = _Search(c, w, present, relaxed.multiplier, incumbent, deadline)
    if whole is not None and step and not incumbent.closed:
        search.round_up(rounded(cost, weight, capacity, relaxed.multiplier, step))
    complete, tree, bound = search.run(branch_nodes, max_labels)

    details: dict[str, Any] = {"lp_bound": offset + relaxed.bound} | search.details
    choice = incumbent.choice
    objective = None if choice is None else math.fsum(cost[rows, choice])
    if not complete:
        return Result("limit", choice, objective, offset + min(bound, incumbent.value), tree, details)
    if choice is None and math.isinf(upper):
        return Result("infeasible", tree=tree, details=details)
    if objective is None or objective >= upper:  # shifted sums and given ones round differently
        return Result("cutoff", bound=upper, tree=tree, details=details)
    if gap and bound < incumbent.value:
        proved = max(objective - gap * abs(objective), offset + bound)
        return Result("within-gap", choice, objective, proved, tree, details)
    return Result("optimal" if tree else "optimal-by-solver", choice, objective, objective, tree, details)


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

    def round_up(self, found: Rounded | None) -> None:
        """Take a rounded bound where it is better."""
        if found is not None and found.bound > self.incumbent.floor:
            self.root = ["rounded", found.mu, found.multiplier]
            self.incumbent.raise_floor(found.bound)

    def run(self, branch_nodes: int, max_labels: int) -> tuple[bool, list[Node] | None, float]:
        """Whether the search is complete, its tree if there is one, and a bound."""
        incumbent = self.incumbent
        if not incumbent.grain and not incumbent.closed:
            self.sums(min(FIRST_LABELS, max_labels), FIRST_STAGES)
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
        found = self.branch(min(PROOF_NODES, branch_nodes))
        if found.complete or state.labels > PROOF_LABELS:
            return found.tree
        return [["sums", state.order.tolist(), [self.lam * 2.0**power for power in PRICES]]]

    def sums(self, max_labels: int, max_stages: int | None = None) -> Outcome:
        """Partial sums over the items that reduced costs leave."""
        if max_labels <= 0 or self.incumbent.closed:
            return Outcome(False, -math.inf, np.empty(0, dtype=np.int64), 0)
        present = self.present & (self.excess + self.lower < self.incumbent.aim)
        state = search(
            self.c, self.w, present, self.lam, self.lower, self.incumbent, self.deadline, max_labels, max_stages
        )
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


def checked(cost: Any, weight: Any, limit: float) -> tuple[FloatArray, FloatArray]:
    """Arrays of costs and weights that can be used; InputError otherwise."""
    cost, weight = np.asarray(cost, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    if cost.ndim != 2 or cost.shape != weight.shape or (len(cost) and cost.shape[1] == 0):
        raise InputError("weight", f"shapes {cost.shape} and {weight.shape}", "two arrays of one shape (n, k), k >= 1")
    for name, array in (("cost", cost), ("weight", weight)):
        bad = np.argwhere(~np.isfinite(array))
        if bad.size:
            i, j = bad[0]
            raise InputError(f"{name}[{i}, {j}]", f"{array[i, j]}", "finite numbers")
    if not isinstance(limit, int | float | np.number) or math.isnan(limit) or limit == -math.inf:
        raise InputError("limit", shown(limit), "a number")
    # Without a class any number of columns is right; zero of them have no least item.
    return (cost, weight) if len(cost) else (np.zeros((0, 1)), np.zeros((0, 1)))

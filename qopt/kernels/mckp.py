"""Multiple-choice knapsack, exactly, with a proof.

    minimise sum_i cost[i, c_i]  subject to  sum_i weight[i, c_i] <= limit,  one item c_i per class

The linear relaxation by hulls and greedy gives a multiplier, a bound and a first choice; then branch and
bound, whose tree is the proof. Where the tree grows too large (many nearly equal items: weakly correlated
instances), non-dominated partial sums over the items that reduced costs leave finish the search, pruned by
the relaxation of the rest, and the answer comes without a tree.

The kernel knows nothing of networks.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from qopt.arrays import FloatArray, IntArray
from qopt.errors import InputError, shown
from qopt.kernels.branch import Node, branch
from qopt.kernels.incumbent import Incumbent
from qopt.kernels.mckp_relax import hull_steps, relax, undominated
from qopt.kernels.pareto import search

SLACK = 1e-12
"""Relative slack of the limit: the exact test is fsum(weights) <= limit + 1e-12 |limit|."""

ROUNDING = 1e-14
"""Partial sums within this share of the limit's scale are kept and rechecked exactly."""

BRANCH_NODES = 4_000
"""Nodes of branch and bound before partial sums take over."""

RAY: Node = ["leaf", 0, 1.0, 0.0]
"""A leaf of its own kind: the weights alone, whatever the costs, exceed the limit."""

MAX_LABELS = 20_000_000
"""Partial sums kept in all before the search stops with a bound."""


@dataclass(frozen=True)
class Result:
    """Answer of `solve`.

    Attributes
    ----------
    status : ``optimal``, ``infeasible``, ``cutoff`` (nothing below the given upper value), ``limit`` (stopped early).
    choice : (n,) item of each class, None if there is none.
    objective : sum of the chosen costs, None if there is none.
    bound : lower bound on the optimum, None if infeasible.
    tree : proof that nothing is better than `objective` (or the upper value), None if partial sums decided.
    details : nodes, labels, classes left after fixing.
    """

    status: Literal["optimal", "infeasible", "cutoff", "limit"]
    choice: IntArray | None = None
    objective: float | None = None
    bound: float | None = None
    tree: list[Node] | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def gap(self) -> float | None:
        """objective - bound, None where either is missing."""
        return None if self.objective is None or self.bound is None else self.objective - self.bound


def solve(
    cost: Any,
    weight: Any,
    limit: float,
    *,
    upper: float = math.inf,
    time_limit: float | None = None,
    branch_nodes: int = BRANCH_NODES,
    max_labels: int = MAX_LABELS,
) -> Result:
    """Solve a multiple-choice knapsack to proved optimality.

    Parameters
    ----------
    cost, weight : (n, k), a class a row, finite, of any sign and scale.
    limit : on the sum of weights, with relative slack 1e-12; infinite for none.
    upper : only choices of lower cost than this are of interest.
    time_limit : seconds; when it is over, the best choice and a valid bound are returned.
    branch_nodes : nodes of branch and bound before partial sums take over.
    max_labels : partial sums kept before the search stops, as at a time limit.

    Raises
    ------
    InputError
        Shapes that differ, or a number that is not finite.
    """
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    cost, weight = _checked(cost, weight, limit)
    n = len(cost)
    rows = np.arange(n)
    # Shifted to the least cost and weight of each class, so that sums round relative to what is chosen.
    floor_c, floor_w = cost.min(axis=1, initial=math.inf), weight.min(axis=1, initial=math.inf)
    c, w = cost - floor_c[:, None], weight - floor_w[:, None]
    offset = math.fsum(floor_c)
    allowed = _with_slack(limit)
    capacity = math.fsum([allowed, *(-floor_w)]) if math.isfinite(limit) else math.inf
    margin = ROUNDING * (abs(limit) + float(np.abs(floor_w).sum())) if math.isfinite(limit) else 0.0
    if capacity < 0:
        return Result("infeasible", tree=[RAY])
    incumbent = Incumbent(c, w, capacity, margin, weight, allowed, upper - offset)
    room = capacity + margin

    present = undominated(cost, weight)
    relaxed = relax(c, w, hull_steps(c, w, present), room)
    incumbent.offer_if_cheap(relaxed.choice, -math.inf)
    found = branch(c, w, room, incumbent, max_nodes=branch_nodes, deadline=deadline, guess=relaxed.multiplier)
    details: dict[str, Any] = {"lp_bound": offset + relaxed.bound, "nodes": found.nodes}
    complete, bound = found.complete, found.bound
    if not complete:
        reduced = c + relaxed.multiplier * w
        least = reduced.min(axis=1)
        lower = float(least.sum()) - relaxed.multiplier * room if relaxed.multiplier else float(least.sum())
        if math.isfinite(incumbent.value):
            tolerance = 1e-13 * max(abs(incumbent.value), abs(lower))
            present &= reduced - least[:, None] < incumbent.value - lower + tolerance
        state = search(c, w, present, relaxed.multiplier, incumbent, deadline, max_labels)
        details |= {"core": state.core, "labels": state.labels}
        complete, bound = state.complete, max(state.bound, found.bound, lower)
    choice = incumbent.choice
    objective = None if choice is None else math.fsum(cost[rows, choice])
    if not complete:
        bound = offset + min(bound, incumbent.value)
        return Result("limit", choice, objective, bound, details=details)
    if choice is None and math.isinf(upper):
        return Result("infeasible", tree=found.tree, details=details)
    if objective is None or objective >= upper:  # shifted sums and given ones round differently
        return Result("cutoff", bound=upper, tree=found.tree, details=details)
    return Result("optimal", choice, objective, objective, found.tree, details)


def prove(cost: Any, weight: Any, limit: float, target: float, max_nodes: int) -> list[Node] | None:
    """A tree which shows that no choice within the limit costs less than a target; None if it gets too large."""
    result = solve(cost, weight, limit, upper=target, branch_nodes=max_nodes, max_labels=0)
    return result.tree if result.choice is None else None


def multiplier(cost: FloatArray, weight: FloatArray, limit: float) -> float:
    """Optimal multiplier of the limit in the linear relaxation, for a limit that the lightest items keep."""
    return relax(cost, weight, hull_steps(cost, weight, undominated(cost, weight)), limit * (1.0 + SLACK)).multiplier


def lp_bound(cost: Any, weight: Any, limit: float) -> float | None:
    """Optimum of the linear relaxation; None if even the lightest items break the limit."""
    cost, weight = _checked(cost, weight, limit)
    if math.isinf(limit):
        return float(cost.min(axis=1).sum())
    capacity = _with_slack(limit)
    if weight.min(axis=1).sum() > capacity:
        return None
    return relax(cost, weight, hull_steps(cost, weight, undominated(cost, weight)), capacity).bound


def _with_slack(limit: float) -> float:
    """What weights may add up to; a negative limit is relaxed upwards too."""
    return limit * (1.0 + SLACK if limit >= 0 else 1.0 - SLACK)


def _checked(cost: Any, weight: Any, limit: float) -> tuple[FloatArray, FloatArray]:
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

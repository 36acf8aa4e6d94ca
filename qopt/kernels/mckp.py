"""Multiple-choice knapsack, exactly, with a proof.

    minimise sum_i cost[i, c_i]  subject to  sum_i weight[r, i, c_i] <= limit[r] for every row r,
    one item c_i per class

One row: `qopt.kernels.knapsack.single`; several: `qopt.kernels.knapsack.rows`; all budgets at once: `front`.
Every answer comes with a tree, a partition of the choices with multipliers that bound each part; anyone can check
it (`qopt.kernels.checker`).

The kernel knows nothing of networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.errors import InputError
from qopt.core.limits import limit_with_slack
from qopt.kernels.arguments import check_options
from qopt.kernels.knapsack import single
from qopt.kernels.knapsack.front import Front, Point, front
from qopt.kernels.knapsack.relaxation import frontier, relax
from qopt.kernels.knapsack.result import Result
from qopt.kernels.knapsack.scaled import checked
from qopt.kernels.nodes import Node

__all__ = ["Front", "Point", "Result", "front", "lp_bound", "prove", "solve"]


def solve(
    cost: ArrayLike,
    weight: ArrayLike,
    limit: ArrayLike,
    *,
    ties: Sequence[Sequence[int]] | None = None,
    upper: float = math.inf,
    gap: float = 0.0,
    time_limit: float | None = None,
    branch_nodes: int | None = None,
    max_labels: int | None = None,
    on_grid: bool = True,
) -> Result:
    """Solve a multiple-choice knapsack to proved optimality.

    Parameters
    ----------
    cost : (n, k), a class a row, finite, of any sign and scale.
    weight : (n, k), or (R, n, k) for R rows, likewise.
    limit : on the sum of weights, (R,) with R rows; relative slack 1e-12; infinite for none.
    ties : groups of classes that must take the same column; the tree then speaks of merged classes.
    upper : only choices of lower cost than this are of interest.
    gap : relative; the search may stop once objective - bound <= gap |objective|.
    time_limit : seconds; when it is over, the best choice and a valid bound are returned.
    branch_nodes : nodes of branch and bound before it gives up (one row) or goes on without a tree (several).
    max_labels : partial sums before the search stops, as at a time limit.
    on_grid : whether the tree may rely on costs and weights that lie on a grid (see `qopt.kernels.grid`).

    Returns
    -------
    `Result`: status, choice, objective, bound, and the tree that proves it.

    Raises
    ------
    InputError
        Shapes that differ, a number that is not finite, a class tied twice.
    """
    check_options(upper, gap, time_limit, branch_nodes=branch_nodes, max_labels=max_labels)
    options: dict[str, Any] = {"upper": upper, "gap": gap, "time_limit": time_limit, "on_grid": on_grid}
    for name, value in (("branch_nodes", branch_nodes), ("max_labels", max_labels)):
        if value is not None:
            options[name] = value
    if _axes(weight) != 3:
        return single.solve(cost, weight, limit, ties=ties, **options)
    if np.shape(weight)[0] == 1 and np.shape(limit) == (1,):
        only = np.asarray(limit).tolist()[0]
        return single.solve(cost, np.asarray(weight)[0], only, ties=ties, **options)
    from qopt.kernels.knapsack import rows

    return rows.solve(cost, weight, limit, ties=ties, **options)


def _axes(weight: ArrayLike) -> int:
    try:
        return np.ndim(weight)
    except ValueError:
        raise InputError("weight", "rows of unequal length", "(n, k) or (R, n, k) numbers") from None


def prove(
    cost: ArrayLike,
    weight: ArrayLike,
    limit: ArrayLike,
    target: float,
    max_nodes: int,
    *,
    time_limit: float | None = None,
) -> list[Node] | None:
    """A tree which shows that no choice within the limits costs less than a target; None if it gets too large or late.

    It holds without any rounding to a grid.

    Parameters
    ----------
    cost : (n, k), a class a row.
    weight : (n, k), or (R, n, k) for R rows.
    limit : on the sum of weights, a number or (R,).
    target : the cost that is to be shown.
    max_nodes : nodes of the tree, at most.
    time_limit : seconds; None for no limit.
    """
    labels = 0 if np.ndim(weight) == 2 else None  # with one row the search is the tree
    options: dict[str, Any] = {"branch_nodes": max_nodes, "max_labels": labels, "time_limit": time_limit}
    result = solve(cost, weight, limit, upper=target, on_grid=False, **options)
    return result.tree if result.choice is None else None


def lp_bound(cost: ArrayLike, weight: ArrayLike, limit: float) -> float | None:
    """Optimum of the linear relaxation with one row; None if even the lightest items break the limit.

    Parameters
    ----------
    cost : (n, k), a class a row.
    weight : (n, k), likewise.
    limit : on the sum of weights.
    """
    cost, weight, limit = checked(cost, weight, limit)
    if math.isinf(limit):
        return float(cost.min(axis=1).sum())
    capacity = limit_with_slack(limit)
    if weight.min(axis=1).sum() > capacity:
        return None
    return relax(cost, weight, frontier(cost, weight)[1], capacity).bound

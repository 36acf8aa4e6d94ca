"""A cut with more limits than that on noise: a knapsack of several rows, where noise alone does not settle it.

Rows are noise, storage, and the limits on time, energy, price and payload that there are.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.clock import Clock
from qopt.kernels import mckp
from qopt.kernels.nodes import Node
from qopt.qpart.subproblem import Subproblem


def at_cut(subproblem: Subproblem, upper: float, clock: Clock) -> mckp.Result:
    """Cheapest whole widths at a cut; only those cheaper than `upper` (bits' part of the objective) are of interest."""
    plain = mckp.solve(subproblem.cost, subproblem.noise, subproblem.limit, upper=upper, time_limit=clock.left)
    if plain.choice is not None:
        plain = replace(plain, choice=subproblem.standing(plain.choice))
    if plain.choice is None or subproblem.keeps_others(plain.choice):
        return plain
    cost, weight, limit = _binding(subproblem)
    found = mckp.solve(cost, weight, limit, upper=upper, time_limit=clock.left)
    n = len(subproblem.tensors)
    return found if found.choice is None else replace(found, choice=subproblem.standing(found.choice[:n]))


def tree_at_cut(subproblem: Subproblem, target: float, max_nodes: int, clock: Clock) -> list[Node] | None:
    """A tree which shows that no plan at a cut has bits cheaper than a target; None if too large or too late."""
    plain = mckp.prove(subproblem.cost, subproblem.noise, subproblem.limit, target, max_nodes, time_limit=clock.left)
    if plain is not None:
        others = [0.0] * (len(subproblem.rows) - 1)
        return [[*node, *others] if node[0] == "leaf" else node for node in plain]
    if math.isinf(subproblem.memory) and not subproblem.limits:
        return None
    return mckp.prove(*_binding(subproblem), target, max_nodes, time_limit=clock.left)


def _binding(subproblem: Subproblem) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The knapsack of all rows; those that nothing can break have no limit."""
    cost, weight, limit = subproblem.knapsack()
    if subproblem.limits:
        limit = np.where([row.slack for row in subproblem.rows], np.inf, limit)
    return cost, weight, limit

"""A cut with limited device memory: a knapsack of two rows, noise and storage, where noise alone does not settle it."""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.clock import Clock
from qopt.kernels import mckp
from qopt.kernels.nodes import Node
from qopt.qpart.subproblem import Subproblem


def at_cut(subproblem: Subproblem, upper: float, clock: Clock) -> mckp.Result:
    """Cheapest whole widths at a cut; only those cheaper than `upper` (bits' part of the objective) are of interest."""
    plain = mckp.solve(subproblem.cost, subproblem.noise, subproblem.limit, upper=upper, time_limit=clock.left)
    if plain.choice is None or subproblem.keeps_memory(plain.choice):
        return plain
    return mckp.solve(subproblem.cost, *_rows(subproblem), upper=upper, time_limit=clock.left)


def tree_at_cut(subproblem: Subproblem, target: float, max_nodes: int, clock: Clock) -> list[Node] | None:
    """A tree which shows that no plan at a cut has bits cheaper than a target; None if too large or too late."""
    plain = mckp.prove(subproblem.cost, subproblem.noise, subproblem.limit, target, max_nodes, time_limit=clock.left)
    if plain is not None:
        return [[*node, 0.0] if node[0] == "leaf" else node for node in plain]
    if math.isinf(subproblem.memory):
        return None
    return mckp.prove(subproblem.cost, *_rows(subproblem), target, max_nodes, time_limit=clock.left)


def _rows(subproblem: Subproblem) -> tuple[FloatArray, FloatArray]:
    """Noise and storage, and their limits."""
    return np.stack([subproblem.noise, subproblem.storage]), np.array([subproblem.limit, subproblem.memory])

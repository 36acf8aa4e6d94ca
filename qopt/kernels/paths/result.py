"""The answer of a search for a resource-constrained shortest path."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.nodes import Node
from qopt.kernels.paths.graph import Digraph, Layered


@dataclass(frozen=True, repr=False)
class Result(Brief):
    """Answer of `solve` and of `approximate`.

    Attributes
    ----------
    status : ``optimal`` (proved by `tree`), ``optimal-by-solver`` (the search is complete, up to rounding of its
        sums, but the tree would be too large, or costs cancel so that floats cannot prove it), ``infeasible``,
        ``cutoff`` (nothing below the given upper value, up to rounding), ``within-gap``, ``limit`` (stopped early;
        or a cheaper path exceeds a limit by no more than rounding, and the graph is too large to be searched in
        exact arithmetic).
    path : (K,) states of a layered graph, or the vertices of a digraph's path; None if there is none.
    arcs : (m,) arcs of the path; of a layered graph, those of `Layered.digraph`.
    objective : sum of the path's costs.
    used : (R,) sums of its resources.
    bound : lower bound on the optimum; None if infeasible or if there is none yet.
    tree : list of nodes, a proof that no path costs less than `bound`, or that there is none; None if it was not found.
    details : bound of the root and the tree's leaf that proves it, labels, nodes, elements left after fixing.
    """

    status: Literal["optimal", "optimal-by-solver", "infeasible", "cutoff", "within-gap", "limit"]
    path: IntArray | None = None
    arcs: IntArray | None = None
    objective: float | None = None
    used: FloatArray | None = None
    _: KW_ONLY
    bound: float | None = None
    tree: list[Node] | None = None
    details: dict[str, object] = field(default_factory=dict)

    @property
    def gap(self) -> float | None:
        """objective - bound, None where either is missing."""
        return None if self.objective is None or self.bound is None else self.objective - self.bound


def answer(graph: Layered | Digraph, steps: IntArray) -> tuple[IntArray, IntArray, float, FloatArray]:
    """Path, arcs, objective and resources, from the data as given.

    Parameters
    ----------
    steps : states of the layers, or arcs.
    graph : layers, or a digraph.
    """
    costs, amounts = graph.terms(steps)
    used = np.array([math.fsum(row) for row in amounts])
    if isinstance(graph, Layered):
        return steps, graph.path_arcs(steps), math.fsum(costs), used
    vertices = np.concatenate(([graph.source], graph.head[steps]))
    return vertices, steps, math.fsum(costs), used

"""What a multiple-choice knapsack kernel answers, whatever the number of budget rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from qopt.core.arrays import IntArray
from qopt.core.display import Brief
from qopt.kernels.nodes import Node

Status = Literal["optimal", "optimal-by-solver", "within-gap", "infeasible", "cutoff", "limit"]


@dataclass(frozen=True, repr=False)
class Result(Brief):
    """Answer of a multiple-choice knapsack kernel.

    Attributes
    ----------
    status : ``optimal`` (search complete, with a tree), ``optimal-by-solver`` (complete, the tree grew too large to
        be kept), ``within-gap`` (the requested gap is proved), ``infeasible``, ``cutoff`` (nothing below the given
        upper value), ``limit`` (stopped early, or a choice within rounding of the limit was refused, and what it may
        have hidden cannot be told).
    choice : (n,) item of each class, None if there is none.
    objective : sum of the chosen costs, None if there is none.
    bound : lower bound on the optimum, None if infeasible.
    tree : list of nodes, a proof that nothing is better than `bound` says, in preorder; None where none is kept.
    details : figures of the search.
    """

    status: Status
    choice: IntArray | None = None
    objective: float | None = None
    bound: float | None = None
    tree: list[Node] | None = None
    details: dict[str, object] = field(default_factory=dict)

    @property
    def gap(self) -> float | None:
        """objective - bound, None where either is missing."""
        return None if self.objective is None or self.bound is None else self.objective - self.bound

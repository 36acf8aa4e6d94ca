"""A knapsack as a chain in whole numbers (`qopt.kernels.exact`), for what sums in floats cannot tell.

Costs and weights are those given, so that the sums over tied classes, too, are exact.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.kernels.arguments import LARGEST
from qopt.kernels.exact import MAX_ARCS, Network, Split, cheapest, prove, room_within, whole
from qopt.kernels.knapsack.ties import Merged
from qopt.kernels.nodes import Node

PROOF_NODES = 400
"""Nodes of a tree for one limit; beyond, its checker makes the partial sums again that the search made."""


class ExactKnapsack:
    """Choices in whole numbers.

    Parameters
    ----------
    cost : (n, k) as given.
    weight : (R, n, k) as given.
    allowed : (R,) what the sums of weights may be, infinite for rows without a limit.
    tied : which classes take the same column.
    multipliers : (R,) of the rows, of a Lagrangian bound; any finite numbers >= 0.
    deadline : `time.perf_counter` at which everything stops; None for none.
    """

    def __init__(
        self,
        cost: FloatArray,
        weight: FloatArray,
        allowed: FloatArray,
        tied: Merged,
        multipliers: FloatArray,
        deadline: float | None,
    ) -> None:
        self.rows, self.columns = len(weight), cost.shape[1]
        self.kept = np.flatnonzero(np.isfinite(allowed))
        multipliers = np.clip(np.nan_to_num(multipliers), 0.0, LARGEST)
        self.multipliers = multipliers[self.kept].tolist()
        classes = len(tied.heads)
        members: list[list[int]] = [[int(i)] for i in tied.heads]
        for at, group in tied.groups:
            members[at] = group
        # What differs most is decided first: what is decided last then fills the limits finely.
        spread = np.zeros(len(cost))
        for r, lam in zip(self.kept.tolist(), self.multipliers, strict=True):
            reach = weight[r].max(axis=1) - weight[r].min(axis=1)
            spread += np.minimum(reach, LARGEST) * min(lam, 1.0) if len(self.kept) > 1 else reach
        self.classes: list[int] = np.argsort(-spread[tied.heads], kind="stable").tolist()

        def summed(table: FloatArray) -> tuple[list[int], int]:
            numbers, unit = whole(table.ravel().tolist())
            k = self.columns
            by_class = [numbers[i * k : (i + 1) * k] for i in range(len(table))]
            merged = [list(map(sum, zip(*(by_class[i] for i in members[at]), strict=True))) for at in self.classes]
            return [x for row in merged for x in row], unit

        costs, cost_unit = summed(cost)
        scaled = [summed(weight[r]) for r in self.kept.tolist()]
        stages = np.repeat(np.arange(classes), self.columns)
        self.network = Network(
            vertices=classes + 1,
            tail=stages.tolist(),
            head=(stages + 1).tolist(),
            cost=costs,
            used=[row for row, _ in scaled],
            room=[room_within(w, per) for w, (_, per) in zip(allowed[self.kept].tolist(), scaled, strict=True)],
            cost_unit=cost_unit,
            units=[per for _, per in scaled],
            source=0,
            target=classes,
            order=list(range(classes + 1)),
            deadline=deadline,
        )

    def below(self, choice: IntArray | None, upper: float) -> int | None:
        """What a cheaper choice costs less than, in units: the best one known, or an upper value; None for any.

        Parameters
        ----------
        choice : (m,) columns of the merged classes, None for none.
        upper : only answers of lower cost are of interest.
        """
        if choice is not None:
            return self.network.total([at * self.columns + int(choice[i]) for at, i in enumerate(self.classes)])
        return math.ceil(Fraction(upper) * self.network.cost_unit) if math.isfinite(upper) else None

    def cheapest(self, below: int | None) -> tuple[bool, IntArray | None]:
        """Whether a search for a choice that costs less came to its end, and (m,) the cheapest, None for none.

        Parameters
        ----------
        below : as that method says.
        """
        complete, arcs = cheapest(self.network, self.multipliers, below)
        if arcs is None:
            return complete, None
        choice = np.zeros(len(self.classes), dtype=np.int64)
        choice[self.classes] = np.array(arcs, dtype=np.int64) % self.columns
        return complete, choice

    def prove(self, below: int | None, max_nodes: int) -> list[Node] | None:
        """A tree which shows that no choice costs less; None where it has too many nodes.

        Parameters
        ----------
        below : as that method says, and nothing is cheaper; None: no choice keeps the limits.
        max_nodes : beyond which it gives up; 0 for no proof.
        """
        if max_nodes <= 0:
            return None
        one = self.rows == 1 and below is not None and len(self.kept) == 1
        size = len(self.kept)
        plain = [(1, [0.0] * size), *((0, row) for row in np.eye(size).tolist()), (1, self.multipliers)]
        leaves = [(scale, lam, self._leaf(scale, lam)) for scale, lam in plain]
        split: Split = lambda stage, arcs: ["split", self.classes[stage], [arc % self.columns for arc in arcs]]  # noqa: E731
        tree = prove(self.network, below, leaves, split, min(max_nodes, PROOF_NODES) if one else max_nodes)
        if tree is None and one:
            # The sums that stay are among those that the search kept at the same multiplier: not many.
            return [["sums", list(self.classes), list(self.multipliers)]]
        return tree

    def _leaf(self, scale: int, multipliers: list[float]) -> Node:
        found = np.zeros(self.rows)
        found[self.kept] = multipliers
        return ["leaf", scale, *found.tolist()]


def few_items(cost: FloatArray) -> bool:
    """Whether (n, k) costs are few enough for whole numbers.

    Parameters
    ----------
    cost : (n, k) a class a row, or costs by element.
    """
    return cost.size <= MAX_ARCS

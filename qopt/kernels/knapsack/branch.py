"""Branch and bound for the multiple-choice knapsack that writes down its tree: solution and proof in one.

A node is a set of allowed items per class. Its Lagrangian bound is maximised over the multiplier; the
maximum is the linear relaxation over the node's items. Where the bound reaches the cutoff the node is a
leaf. Otherwise items that are too dear at the multiplier leave, a class at a time, as leaves of their
own; then one class is split between the two items that tie at the multiplier, which cuts the relaxed
solution off on both sides.

The tree is a list in preorder: ``["split", i, [columns]]``, whose first subtree allows class i only
these columns and whose second the others, and ``["leaf", 1, multiplier]``. Anyone can check it
without this file; `qopt.kernels.checker` does, in exact arithmetic.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.knapsack.incumbent import Incumbent
from qopt.kernels.nodes import Node

STEPS = 200
"""Multipliers tried at a node, at most. Each is where two lines cross and cuts a piece off the dual, whose pieces are
finite in number: 3 on average and 14 at most in 74 000 nodes of the benchmark's knapsacks. An end short of the maximum
would leave a weaker bound, still a valid one."""


@dataclass(frozen=True, repr=False)
class Branched(Brief):
    """How a search ended.

    Attributes
    ----------
    tree : the proof; None if the search stopped early.
    bound : least bound of the nodes still open; infinite when complete.
    nodes : nodes looked at.
    """

    tree: list[Node] | None
    bound: float
    nodes: int

    @property
    def complete(self) -> bool:
        """Whether nothing is left open."""
        return self.tree is not None


class Subproblem:
    """The classes of a node that still have a choice, in small arrays; the others are in the base.

    Attributes
    ----------
    classes : (m,) classes as the caller numbers them.
    columns : (m, s) their columns, ascending in weight or not, as given.
    cost, weight : (m, s); the cost of what is not allowed is infinite.
    base_cost, base_weight : sums over the classes that are decided.
    choice : (n,) columns of the decided ones.
    """

    __slots__ = ("base_cost", "base_weight", "choice", "classes", "columns", "cost", "rows", "size", "weight")

    def __init__(
        self,
        classes: IntArray,
        columns: IntArray,
        cost: FloatArray,
        weight: FloatArray,
        base: tuple[float, float],
        choice: IntArray,
    ) -> None:
        self.classes, self.columns, self.cost, self.weight = classes, columns, cost, weight
        self.base_cost, self.base_weight = base
        self.choice = choice
        self.rows = np.arange(len(classes)) * cost.shape[1]
        self.size = np.count_nonzero(np.isfinite(cost))

    def picked(self, flat: IntArray) -> IntArray:
        """The whole choice behind positions in the flat arrays.

        Parameters
        ----------
        flat : positions in the flat arrays.
        """
        found = self.choice.copy()
        found[self.classes] = self.columns.take(flat)
        return found

    def sums(self, flat: IntArray) -> tuple[float, float]:
        """Cost and weight of such a choice.

        Parameters
        ----------
        flat : positions in the flat arrays.
        """
        return (
            self.base_cost + float(np.add.reduce(self.cost.take(flat))),
            self.base_weight + float(np.add.reduce(self.weight.take(flat))),
        )

    def lightest(self) -> IntArray:
        """Positions of the lightest entries that are allowed."""
        found: IntArray = self.rows + np.argmin(np.where(np.isfinite(self.cost), self.weight, np.inf), axis=1)
        return found

    def allowed(self, row: int) -> BoolArray:
        """(s,) which entries of a class are allowed.

        Parameters
        ----------
        row : of the part.
        """
        allowed: BoolArray = np.isfinite(self.cost[row])
        return allowed

    def drop(self, lam: float, excess: float, leaf: Node, tree: list[Node]) -> None:
        """Take out the entries whose reduced cost is at least `excess`, a class at a time, as leaves of the tree.

        Parameters
        ----------
        lam : multiplier.
        excess : from which reduced cost on an entry leaves.
        leaf : the node that closes what leaves.
        tree : the nodes in preorder.
        """
        reduced = self.cost + lam * self.weight
        reduced -= reduced.take(self.rows + np.argmin(reduced, axis=1))[:, None]
        dear = (reduced >= excess) & np.isfinite(reduced)
        rows, entries = np.nonzero(dear)
        if not rows.size:
            return
        columns = self.columns[rows, entries].tolist()
        first = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
        ends = [*first[1:].tolist(), len(columns)]
        for i, begin, end in zip(self.classes[rows[first]].tolist(), first.tolist(), ends, strict=True):
            tree += ["split", i, columns[begin:end]], leaf
        self.cost[dear] = np.inf
        self.size -= len(columns)

    def restricted(self, row: int, keep: BoolArray) -> Subproblem:
        """The part where one class has only some of its entries.

        Parameters
        ----------
        row : of the part.
        keep : mask of what stays.
        """
        cost = self.cost.copy()
        cost[row, ~keep] = np.inf
        return Subproblem(
            self.classes, self.columns, cost, self.weight, (self.base_cost, self.base_weight), self.choice
        ).packed()

    def packed(self) -> Subproblem:
        """The same with decided classes in the base, once half of the entries have gone."""
        if 2 * self.size > self.cost.size:
            return self
        allowed = np.isfinite(self.cost)
        left = allowed.sum(axis=1)
        if not left.all():
            return self
        open_rows = np.flatnonzero(left > 1)
        decided = np.flatnonzero(left == 1)
        flat = self.rows[decided] + np.argmax(allowed[decided], axis=1)
        choice = self.choice.copy()
        choice[self.classes[decided]] = self.columns.take(flat)
        base = self.sums(flat)
        width = int(left[open_rows].max(initial=1))
        # What is allowed first, in the order it had.
        order = np.argsort(~allowed[open_rows], axis=1, kind="stable")[:, :width]
        at = open_rows[:, None]
        return Subproblem(
            self.classes[open_rows],
            self.columns[at, order],
            self.cost[at, order],
            self.weight[at, order],
            base,
            choice,
        )


def branch(
    cost: FloatArray,
    weight: FloatArray,
    capacity: float,
    incumbent: Incumbent,
    *,
    max_nodes: int,
    deadline: float | None = None,
    guess: float = 0.0,
) -> Branched:
    """Search depth first; the best choice ends up in the incumbent, whose first value is the cutoff.

    Parameters
    ----------
    cost, weight : (n, k) finite, shifted so that sums round little.
    capacity : what weights may add up to, rounding allowed for.
    guess : multiplier to begin with.
    deadline : `time.perf_counter` at which to stop.
    incumbent : the best answer so far, which takes what is found.
    max_nodes : nodes before it gives up.
    """
    tree: list[Node] = []
    n, k = cost.shape
    columns = np.broadcast_to(np.arange(k), (n, k))
    whole = Subproblem(np.arange(n), columns, cost.copy(), weight, (0.0, 0.0), np.zeros(n, dtype=np.int64))
    stack: list[tuple[Subproblem, float, float]] = [(whole, guess, -math.inf)]
    looked_at = 0
    while stack:
        if looked_at >= max_nodes or (deadline is not None and time.perf_counter() > deadline):
            return Branched(None, min(bound for _, _, bound in stack), looked_at)
        part, lam, _ = stack.pop()
        looked_at += 1
        node = maximise(part, capacity, lam, incumbent)
        leaf: Node = ["leaf", 0 if node.heavy else 1, float(node.multiplier)]
        if node.bound >= incumbent.cutoff:
            tree.append(leaf)
            continue
        if node.split is None:
            # The relaxation's optimum is whole, yet the exact test refused it: rounding, not a proof.
            return Branched(None, node.bound, looked_at)
        part.drop(node.multiplier, incumbent.cutoff - node.bound, leaf, tree)
        row, light = node.split
        first = part.allowed(row) & (part.weight[row] <= part.weight[row, light])
        rest = part.allowed(row) & ~first
        if not first.any() or not rest.any():  # the split is settled by what was dropped
            stack.append((part.packed(), node.multiplier, node.bound))
            continue
        tree.append(["split", int(part.classes[row]), part.columns[row, first].tolist()])
        stack.append((part.restricted(row, rest), node.multiplier, node.bound))
        stack.append((part.restricted(row, first), node.multiplier, node.bound))
    return Branched(tree, math.inf, looked_at)


@dataclass(frozen=True, repr=False)
class Bounded(Brief):
    """A node's best Lagrangian bound.

    Attributes
    ----------
    bound, multiplier : the bound and where it is attained.
    split : (row of the part, lighter entry) of two items that tie there, in the class where they differ most in
        weight; None where no class does.
    heavy : even the lightest items are too heavy, so the bound is infinite.
    """

    bound: float
    multiplier: float
    split: tuple[int, int] | None = None
    heavy: bool = False


def maximise(part: Subproblem, capacity: float, guess: float, incumbent: Incumbent) -> Bounded:
    """Maximise the Lagrangian dual of a node over the multiplier, or stop once it reaches the incumbent's cutoff.

    The dual is concave and piecewise linear. A choice that is too heavy and one that fits are kept, each
    optimal at some multiplier; the next multiplier is where their lines cross. Every choice that fits is
    offered to the incumbent.

    Parameters
    ----------
    part : a part of the choices.
    capacity : what weights may add up to.
    guess : multiplier to begin with.
    incumbent : the best answer so far, which takes what is found.
    """
    fits: tuple[IntArray, float, float] | None = None
    heavy: tuple[IntArray, float, float] | None = None
    best, best_lam, lam = -math.inf, 0.0, guess
    for _ in range(STEPS):
        flat = part.rows + np.argmin(part.cost + lam * part.weight, axis=1)
        c, w = part.sums(flat)
        value = c + lam * (w - capacity) if lam else c
        if value > best:
            best, best_lam = value, lam
            if best >= incumbent.cutoff:
                return Bounded(best, best_lam)
        if w > capacity:
            if heavy is not None and w >= heavy[2]:
                break
            heavy = flat, c, w
        else:
            if c < incumbent.value:
                incumbent.offer_if_cheap(part.picked(flat), c)
            if lam == 0.0:
                return Bounded(c, 0.0)
            if fits is not None and w <= fits[2]:
                break
            fits = flat, c, w
        if fits is None:
            flat = part.lightest()
            c, w = part.sums(flat)
            if w > capacity:
                return Bounded(math.inf, 1.0, heavy=True)
            if c < incumbent.value:
                incumbent.offer_if_cheap(part.picked(flat), c)
            fits = flat, c, w
        if heavy is None:
            lam = 0.0
            continue
        crossing = (fits[1] - heavy[1]) / (heavy[2] - fits[2])
        if crossing == lam or not crossing > 0:
            break
        lam = crossing
    if fits is None or heavy is None:
        return Bounded(best, best_lam)
    differ = np.flatnonzero(fits[0] != heavy[0])
    light, dense = part.weight.take(fits[0][differ]), part.weight.take(heavy[0][differ])
    at = int(np.argmax(np.abs(dense - light)))
    row = int(differ[at])
    entry = int((fits[0] if light[at] <= dense[at] else heavy[0])[row])
    return Bounded(best, best_lam, (row, entry - int(part.rows[row])))

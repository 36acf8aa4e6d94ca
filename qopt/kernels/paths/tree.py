"""Branch and bound that writes down a proof: a tree of subsets of arcs, each leaf with its multipliers.

A node is a set of allowed states or arcs; its bound is the Lagrangian dual over the paths in it, found from the
cuts of its parent that are still paths. Where the bound reaches the cutoff the node is a leaf. Otherwise two paths
that tie at the multiplier, one light and one heavy, part somewhere: there the allowed elements are split between
them, which cuts the relaxed solution off on both sides.

The tree is a list in preorder: ``["cross", p, arcs]`` or ``["out", v, arcs]``, whose first subtree allows only these
of the arcs that cross from the vertices up to p to those after it (that leave v), and whose second the others; and
``["leaf", a, lam_1, ..., lam_R]``: the shortest path by a cost + lam resource, less lam limit, reaches the cutoff
(a = 1) or is positive, so that nothing is feasible (a = 0).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.arguments import LARGEST
from qopt.kernels.nodes import Node
from qopt.kernels.paths.dual import NODE_STEPS, Ascent, Dual, ascent, maximise
from qopt.kernels.paths.labels import Paths
from qopt.kernels.paths.limits import Incumbent, Limits
from qopt.kernels.paths.model import Cuts, OuterModel


@dataclass(frozen=True, repr=False)
class Proof(Brief):
    """The tree, None if it was not finished, and the nodes branched on or closed.

    Attributes
    ----------
    tree : the nodes in preorder.
    nodes : branched on or closed.
    """

    tree: list[Node] | None
    nodes: int


def leaf(weights: FloatArray, rows: IntArray, resources: int) -> Node:
    """A leaf; limits that are infinite have multiplier 0.

    Parameters
    ----------
    weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
    rows : (r,) resources that have a limit.
    resources : number of all resources.
    """
    multipliers = np.zeros(resources)
    multipliers[rows] = weights[1:]
    return ["leaf", int(weights[0]), *map(float, multipliers)]


def writable(tree: list[Node]) -> bool:
    """Whether all multipliers of a tree's leaves are numbers that a checker takes.

    Parameters
    ----------
    tree : the nodes.
    """
    numbers = {x for node in tree if node[0] == "leaf" for x in node[2:] if isinstance(x, float)}
    return all(x <= LARGEST for x in numbers)


@dataclass
class _Part:
    """A subset of the paths: what is allowed, cuts and multipliers to begin with; later its node and its two sides."""

    allowed: BoolArray
    cuts: Cuts
    guess: FloatArray | None
    node: Node | None = None
    sides: tuple[_Part, ...] = ()


@dataclass(frozen=True, kw_only=True, repr=False)
class Claim(Brief):
    """What is to be proved: no path within the limits costs less than a cutoff.

    Parameters
    ----------
    paths : shortest paths.
    bounds : limits.
    cutoff : what is to be reached.

    Attributes
    ----------
    resources : number of all, with a limit or without.
    incumbent : takes the paths that are met.
    model : solves outer models of the duals.
    deadline : `time.perf_counter` at which to stop.
    """

    paths: Paths
    bounds: Limits
    resources: int
    incumbent: Incumbent
    cutoff: float
    model: OuterModel
    deadline: float | None = None

    def late(self) -> bool:
        """Whether the time is over."""
        return self.deadline is not None and time.perf_counter() > self.deadline

    def leaf(self, dual: Dual) -> Node:
        """The leaf that a dual's bound closes.

        Parameters
        ----------
        dual : the dual whose bound closes it.
        """
        return leaf(dual.weights, self.bounds.rows, self.resources)

    def ascent(self, part: _Part, **options: Any) -> Ascent:
        """Towards the dual of a part.

        Parameters
        ----------
        part : a part of the choices.
        options : of `ascent`.
        """
        return ascent(
            self.bounds, self.incumbent, self.model, part.cuts, guess=part.guess, deadline=self.deadline, **options
        )


def branch(claim: Claim, cuts: Cuts, guess: FloatArray, *, max_nodes: int) -> Proof:
    """Prove a claim.

    Parts are taken from the end of a stack, several at once where their shortest paths can be found together.

    Parameters
    ----------
    cuts, guess : lines and (r,) multipliers of the root's dual.
    claim : what is to be proved.
    max_nodes : nodes before it gives up.
    """
    if max_nodes < 1:
        return Proof(None, 0)
    paths = claim.paths
    tree, root = _fixed(claim, _Part(paths.everything, cuts, guess))
    stack, nodes = [root], 0
    together = paths.together if len(claim.bounds.rows) == 1 else 1
    while stack:
        batch, stack = stack[-together:], stack[:-together]
        nodes += len(batch)
        if nodes > max_nodes or claim.late():
            return Proof(None, nodes)
        steps = [claim.ascent(part, cutoff=claim.cutoff, most=NODE_STEPS) for part in batch]
        for part, dual in zip(batch, _ascend(paths, batch, steps), strict=True):
            if dual.bound >= claim.cutoff:
                part.node = claim.leaf(dual)
                continue
            if dual.light is None or dual.heavy is None:
                return Proof(None, nodes)  # one path is left and the exact test refuses it: rounding, not a proof
            part.node, *sides = paths.split(part.allowed, dual.light, dual.heavy, dual.weights)
            part.sides = tuple(_side(paths, side, dual) for side in sides)
            stack.extend(part.sides[::-1])
            part.cuts = Cuts()
    pending = [root]
    while pending:
        part = pending.pop()
        if part.node is not None:
            tree.append(part.node)
        pending.extend(part.sides[::-1])
    return Proof(tree, nodes)


def _fixed(claim: Claim, root: _Part) -> tuple[list[Node], _Part]:
    """Leaves for elements through which every path is too dear, all at one multiplier, and the part left.

    Repeated, with the dual raised over what is left, while more than half of the elements leave.
    """
    tree: list[Node] = []
    paths, bounds = claim.paths, claim.bounds
    while True:
        dual = maximise(paths.shortest, root.allowed, claim.ascent(root))
        root.cuts, root.guess = dual.cuts, dual.weights[1:]
        if dual.bound >= claim.cutoff or claim.late():
            return tree, root
        shift = float(dual.weights[1:] @ bounds.room)
        if math.isfinite(claim.cutoff):  # else only what has no path at all is too dear
            shift += claim.incumbent.error(dual.weights, claim.cutoff + shift)
        excess = paths.through(dual.weights, root.allowed) - shift
        nodes, left = paths.apart(root.allowed, excess >= claim.cutoff)
        if 2 * np.count_nonzero(left) > np.count_nonzero(root.allowed):
            return tree, root
        for node in nodes:
            tree += [node, claim.leaf(dual)]
        root = _side(paths, left, dual)


def _side(paths: Paths, allowed: BoolArray, dual: Dual) -> _Part:
    """A side of a split, with the lines of its paths."""
    inside = [i for i, path in enumerate(dual.cuts.paths) if paths.holds(allowed, path)]
    return _Part(allowed, dual.cuts.take(inside), dual.weights[1:])


def _ascend(paths: Paths, batch: list[_Part], steps: list[Ascent]) -> list[Dual]:
    """Follow several ascents at once."""
    duals: list[Dual | None] = [None] * len(batch)
    asked: dict[int, FloatArray] = {}
    for i, step in enumerate(steps):
        try:
            asked[i] = next(step)
        except StopIteration as end:  # it asks for no path at all: its numbers are beyond the range of floats
            duals[i] = end.value
    while asked:
        weights = np.stack(list(asked.values()))
        found = paths.shortest_of_each(weights, [batch[i].allowed for i in asked])
        for i, answer in zip(list(asked), found, strict=True):
            try:
                asked[i] = steps[i].send(answer)
            except StopIteration as end:
                duals[i] = end.value
                del asked[i]
    return [dual for dual in duals if dual is not None]

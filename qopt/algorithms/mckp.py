"""`mckp`: whole bits exactly, a multiple-choice knapsack at every promising cut, and a witness."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qopt.algorithms.method import Clock, Options
from qopt.arrays import IntArray
from qopt.kernels import mckp
from qopt.kernels.mckp_witness import Node, prove
from qopt.problems.qpart import QPart
from qopt.screening import cut_bounds, hopeless, promising
from qopt.segments import Segment, SegmentTable, segments
from qopt.solution import Outcome

WITNESS_NODES = 100_000
"""Nodes of all trees together beyond which no witness is written."""

WITNESS_ITEMS = 2_000_000
"""Items at all cuts together beyond which no witness is written; the certificate then works alone."""

OPTIMALITY = 1e-9
"""Relative tolerance within which a plan counts as optimal (of the objective, and of its transmission part)."""


def solve(problem: QPart, options: Options) -> Outcome:
    """Best cut and whole widths, with a witness that no plan is better."""
    clock = options.clock()
    table = segments(problem)
    bounds = cut_bounds(table)
    order = promising(bounds, problem.admissible_cuts)
    best: tuple[Segment, IntArray] | None = None
    best_value, pending = math.inf, math.inf
    for cut in order:
        if hopeless(bounds[cut], best_value):
            break
        segment = table.at(cut)
        result = at_cut(segment, best_value - segment.base, clock)
        if result.status == "limit":
            pending = min(pending, segment.base + (result.bound or 0.0))
        if result.choice is not None and result.objective is not None:
            value = segment.base + result.objective
            if value < best_value or (best and value == best_value and cut < best[0].cut):
                best, best_value = (segment, result.choice), value
        if clock.over:
            later = order[order.index(cut) + 1 :]
            pending = min([pending, *(float(bounds[p]) for p in later)])
            break
    if best is None:
        return Outcome("infeasible" if math.isinf(pending) else "time-limit")
    segment, choice = best
    plan = segment.plan(segment.bits[choice], "whole", problem.name)
    if pending < best_value:
        return Outcome("time-limit", plan, pending)
    value_of_bits = best_value - segment.base
    witness = make_witness(table, best_value, value_of_bits or best_value, clock)
    return Outcome("optimal", plan, best_value, witness)


def at_cut(segment: Segment, upper: float, clock: Clock | None = None) -> mckp.Result:
    """Knapsack at one cut; only plans cheaper than `upper` (bits' part of the objective) are of interest.

    The cost of the weights and the memory they take are proportional, so for fixed widths of everything else
    the cheapest plan is also the leanest: a memory limit that binds is met by fixing those widths in turn.
    """
    left = clock.left if clock else None
    result = mckp.solve(segment.cost, segment.noise, segment.limit, upper=upper, time_limit=left)
    if result.choice is None or _fits(segment, result.choice):
        return result
    others = _not_proportional(segment)
    best = mckp.Result("cutoff" if math.isfinite(upper) else "infeasible", None, None, None)
    for widths in np.ndindex(*(len(segment.bits),) * len(others)):
        fixed = np.array(widths, dtype=np.int64)
        spent = float(segment.cost[others, fixed].sum())
        if spent >= upper:
            continue
        # Storage is the objective here: it ranks plans as the cost does, and is right at price 0 too.
        stored = segment.stored[:, None] * segment.bits
        noise = segment.noise.copy()
        for i, j in zip(others, fixed, strict=True):
            stored[i] = stored[i, j]
            noise[i] = noise[i, j]
        leanest = mckp.solve(stored, noise, segment.limit, time_limit=clock.left if clock else None)
        if leanest.choice is None:
            continue
        choice = leanest.choice.copy()
        choice[others] = fixed
        if not _fits(segment, choice):
            continue
        value = math.fsum(segment.cost[np.arange(len(choice)), choice])
        if value < upper:
            upper = value
            best = mckp.Result("optimal", choice, value, value)
    if best.choice is None and best.status == "cutoff":
        return mckp.Result("cutoff", None, None, upper)
    return best


def _not_proportional(segment: Segment) -> IntArray:
    """Tensors whose price is not the common multiple of their storage: activations, and a tied pair."""
    free = segment.stored == 0
    own = free & (segment.price > 0)
    if segment.tied:
        own[segment.cut - 1] = True
    return np.flatnonzero(own)


def _fits(segment: Segment, choice: IntArray) -> bool:
    if math.isinf(segment.memory):
        return True
    return math.fsum([*(segment.stored * segment.bits[choice]), -segment.memory * (1.0 + mckp.SLACK)]) <= 0


def make_witness(table: SegmentTable, best: float, scale: float, clock: Clock) -> dict[str, Any] | None:
    """Trees for all admissible cuts which show that nothing is better than `best` by more than the tolerance.

    Half the tolerance is kept in reserve for the checker's exact arithmetic. Cut 0 needs no tree.
    """
    target = best - 0.5 * OPTIMALITY * min(abs(best), abs(scale))
    cuts = [int(p) for p in table.problem.admissible_cuts if p > 0]
    if sum(cuts) * len(table.bits) > WITNESS_ITEMS:
        return None
    trees: dict[str, list[Node]] = {}
    left = WITNESS_NODES
    for cut in cuts:
        if clock.over:
            return None
        segment = table.at(cut)
        tree = _tree(segment, target - segment.base, left)
        if tree is None:
            return None
        trees[str(cut)] = tree
        left -= len(tree)
    return {"format": "qopt/qpart-witness", "version": 1, "cuts": trees}


def _tree(segment: Segment, target: float, max_nodes: int) -> list[Node] | None:
    """Tree of one cut: by noise alone where that suffices, otherwise with a multiplier for memory."""
    cheaper = mckp.solve(segment.cost, segment.noise, segment.limit, upper=target)
    if cheaper.choice is None:
        return prove(segment.cost, segment.noise, segment.limit, target, max_nodes)
    if math.isinf(segment.memory):
        return None
    return _memory_tree(segment, target, max_nodes)


def _memory_tree(segment: Segment, target: float, max_nodes: int) -> list[Node] | None:
    """For every choice of the widths that do not follow storage: too dear, or too large for the memory."""
    others = [int(i) for i in _not_proportional(segment)]
    last = len(segment.bits) - 1
    stored = segment.stored[:, None] * segment.bits
    nodes: list[Node] = []
    for widths in np.ndindex(*(last + 1,) * len(others)):
        # Preorder: a tensor is split when those behind it in the order begin anew; its last width needs no split.
        for depth, (i, j) in enumerate(zip(others, widths, strict=True)):
            if j < last and not any(widths[depth + 1 :]):
                nodes.append(["split", i, [j]])
        cost, noise, room = segment.cost.copy(), segment.noise.copy(), stored.copy()
        for array in (cost, noise, room):
            for i, j in zip(others, widths, strict=True):
                array[i] = array[i, j]
        if mckp.solve(cost, noise, segment.limit, upper=target).choice is None:
            subtree = prove(cost, noise, segment.limit, target, max_nodes - len(nodes))
        else:
            beyond = segment.memory * (1.0 + mckp.SLACK) * (1.0 + 1e-12)
            subtree = prove(room, noise, segment.limit, beyond, max_nodes - len(nodes))
            if subtree:
                subtree = [["leaf", 0, node[2], 1.0] if node[0] == "leaf" else node for node in subtree]
        if not subtree or len(nodes) > max_nodes:
            return None
        nodes += subtree
    return nodes

"""`cut-branch`: limits on memory and latency by Lagrange multipliers on minimum cuts, and branching where a gap stays.

At a node, every operation has a set of tiers. For multipliers m >= 0 of the limits the cheapest labels of

    cost + sum_r m_r (use_r - limit_r)

are a minimum cut and a lower bound; cutting planes find good m. Labels that keep the limits are plans. Where the best
bound stays below the best plan, one operation's tiers are divided. The tree, with the multipliers and flows of
its leaves, is the witness (`qopt.placement.certificate.bounds`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import Clock, OutOfTime
from qopt.core.limits import limit_with_slack, within
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.kernels import mincut
from qopt.kernels.nodes import Node
from qopt.placement.costs import HANDED_RATE, Labelling, relaxed, used
from qopt.placement.methods.candidates import NO_OPERATOR, Candidate, candidates
from qopt.placement.plan import plan_of
from qopt.placement.problem import Placement

CLOSED = 1e-10
"""A bound within this share of the best plan closes a node; the certificate allows 1e-9."""

PLANES = 40
"""Cutting planes at one node, at most."""


@dataclass
class _Point:
    """Labels, what they cost, and what they use of every row beyond its limit."""

    labels: IntArray
    cost: float
    excess: FloatArray


@dataclass
class _Search:
    """The best plan so far, and what the search of one operator needs."""

    clock: Clock
    best: float = math.inf
    found: tuple[Candidate, IntArray] | None = None
    nodes: int = 0
    cuts: int = 0
    trees: dict[str, list[Node]] = field(default_factory=dict)
    bound: float = math.inf

    def operator(self, candidate: Candidate) -> None:
        """Search one operator; its tree goes to the witness."""
        tree: list[Node] = []
        waiting = [np.ones(candidate.costs.unary.shape, dtype=bool)]
        while waiting:
            if self.clock.over:
                raise OutOfTime
            here = waiting.pop()
            self.nodes += 1
            leaf, split = self._node(candidate, here)
            if leaf is not None:
                tree.append(leaf)
                continue
            assert split is not None
            node, tiers = split
            names = self.tier_names
            tree.append(["split", candidate.own.names[node - 1], [names[k] for k in np.flatnonzero(tiers)]])
            first, second = here.copy(), here.copy()
            first[node] &= tiers
            second[node] &= ~tiers
            waiting += [second, first]
        self.trees[candidate.name] = tree

    tier_names: tuple[str, ...] = ()

    def _cut(self, candidate: Candidate, here: Labelling, m: list[float], share: float) -> tuple[mincut.Result, float]:
        """A minimum cut of the relaxed costs, and the bound that it is; raises `OutOfTime` where that is broken off."""
        self.cuts += 1
        if not self.clock.affords(here.size, HANDED_RATE):
            raise OutOfTime("there is no time for another minimum cut")
        costs = relaxed(here, candidate.rows, m, share)
        found = mincut.solve(costs.unary, costs.rows, time_limit=self.clock.left)
        if found.late:
            if found.labels is not None:
                self._point(candidate, here, found.labels)
            raise OutOfTime("a minimum cut was broken off")
        if found.bound is None:
            return found, math.inf
        limit = math.fsum(a * limit_with_slack(row.limit) for a, row in zip(m, candidate.rows, strict=True))
        return found, found.bound - limit

    def _leaf(self, candidate: Candidate, found: mincut.Result, m: list[float], share: int) -> Node:
        proof = found.witness()
        given = {row.name: a for row, a in zip(candidate.rows, m, strict=True) if a}
        return ["leaf", share, given, proof["labels"], proof["flow"]]

    def _point(self, candidate: Candidate, here: Labelling, labels: IntArray) -> _Point:
        """What labels are worth; a plan that keeps the limits and is better becomes the best."""
        at = labels.tolist()
        cost = math.fsum(used(here, here.unary, here.weight, at))
        uses = [used(here, row.unary, row.weight, at) for row in candidate.rows]
        keeps = [within(use, row.limit) for use, row in zip(uses, candidate.rows, strict=True)]
        if all(keeps) and cost < self.best:
            self.best, self.found = cost, (candidate, labels)
        excess = [
            math.fsum([*use, -limit_with_slack(row.limit)]) for use, row in zip(uses, candidate.rows, strict=True)
        ]
        return _Point(labels, cost, np.array(excess))

    def _reaches(self, bound: float) -> bool:
        return bound >= self.best - CLOSED * abs(self.best) if math.isfinite(self.best) else bound == math.inf

    def _node(self, candidate: Candidate, allowed: BoolArray) -> tuple[Node | None, tuple[int, BoolArray] | None]:
        """A leaf that closes this node, or the node and tiers to branch on."""
        costs = candidate.costs
        here = Labelling(np.where(allowed, costs.unary, np.inf), costs.producer, costs.readers, costs.weight)
        rows = len(candidate.rows)
        m = [0.0] * rows
        found, bound = self._cut(candidate, here, m, 1.0)
        if found.labels is None:
            return self._leaf(candidate, found, m, 1), None
        points = [self._point(candidate, here, found.labels)]
        if self._reaches(bound):
            return self._leaf(candidate, found, m, 1), None
        if not np.any(np.isfinite(here.unary).sum(axis=1) > 1):
            return ["plan"], None
        # Does one limit, or do those on memory together, rule out everything here?
        units = [[1.0 if r == i else 0.0 for r in range(rows)] for i in range(rows)]
        stored = [0.0 if row.name == "latency" else 1.0 for row in candidate.rows]
        for ray in (*units, *([stored] if sum(stored) > 1 else [])):
            tested, over = self._cut(candidate, here, ray, 0.0)
            if over > 0:
                return self._leaf(candidate, tested, ray, 0), None
            if tested.labels is not None:
                points.append(self._point(candidate, here, tested.labels))
        best_m, best_bound, best_cut = m, bound, found
        scale = np.array([row.unit for row in candidate.rows])
        weights = np.zeros(len(points))
        for _ in range(PLANES):
            if self.clock.over:
                raise OutOfTime
            multipliers, value, weights = _multipliers(points, scale)
            m = multipliers.tolist()
            found, bound = self._cut(candidate, here, m, 1.0)
            if bound > best_bound:
                best_m, best_bound, best_cut = m, bound, found
            assert found.labels is not None
            points.append(self._point(candidate, here, found.labels))
            if self._reaches(best_bound):
                return self._leaf(candidate, best_cut, best_m, 1), None
            if best_bound >= value - 1e-9 * abs(value):
                break
        return None, _branch(candidate, allowed, points[: len(weights)], weights)


def _multipliers(points: list[_Point], scale: FloatArray) -> tuple[FloatArray, float, FloatArray]:
    """Multipliers that maximise the least of the points' relaxed costs, that value, and each point's part in it."""
    cost = np.array([p.cost for p in points])
    unit = float(np.max(np.abs(cost))) or 1.0
    excess = np.array([p.excess / scale for p in points])
    # maximise t: t <= cost_i / unit + m . excess_i, 0 <= m <= 1e6
    matrix = np.column_stack((np.ones(len(points)), -excess))
    objective = np.zeros(1 + len(scale))
    objective[0] = -1.0
    bounds = [(None, None), *([(0.0, 1e6)] * len(scale))]
    found = linprog(objective, A_ub=matrix, b_ub=cost / unit, bounds=bounds, method="highs")
    if found.status != 0 or found.x is None:
        return np.zeros(len(scale)), float(cost.min()), np.ones(len(points))
    weights: FloatArray = -np.asarray(found.ineqlin.marginals)
    multipliers: FloatArray = np.maximum(found.x[1:], 0.0) * unit / scale
    return multipliers, float(found.x[0]) * unit, weights


def _branch(
    candidate: Candidate, allowed: BoolArray, points: list[_Point], weights: FloatArray
) -> tuple[int, BoolArray]:
    """Where the labels that carry the bound disagree most, by their use of the limits; there the tiers are divided."""
    free = (np.isfinite(candidate.costs.unary) & allowed).sum(axis=1) > 1
    size = np.zeros(len(free))
    for row in candidate.rows:
        size += row.unary.max(axis=1) / row.unit
    carrying = [p.labels for p, w in zip(points, weights, strict=True) if w > 1e-9] or [p.labels for p in points]
    low, high = np.min(carrying, axis=0), np.max(carrying, axis=0)
    tiers = np.arange(allowed.shape[1])
    apart = free & (low < high)
    if apart.any():
        node = int(np.argmax(np.where(apart, size, -1.0)))
        return node, tiers <= low[node]
    node = int(np.argmax(np.where(free, size, -1.0)))
    return node, tiers == low[node]


def solve(problem: Placement, options: Options) -> Outcome:
    """The best plan within all limits, with a tree of cuts as witness. Takes time_limit."""
    search = _Search(options.clock(), tier_names=problem.tier_names)
    order: list[tuple[float, Candidate]] = []
    status, bound = "optimal", None
    done = 0
    try:
        for candidate in candidates(problem, search.clock):
            if not search.clock.affords(candidate.costs.size, HANDED_RATE):
                raise OutOfTime("there is no time for a minimum cut")
            unary, rows = candidate.costs.unary, candidate.costs.rows
            least = mincut.solve(unary, rows, time_limit=search.clock.left).bound
            order.append((math.inf if least is None else least, candidate))
        order.sort(key=lambda pair: pair[0])
        for _, candidate in order:
            search.operator(candidate)
            done += 1
    except OutOfTime:
        status = "time-limit"
        if len(order) == len(problem.eligible):
            bound = min([search.best, *(least for least, _ in order[done:])])
    details = {"nodes": search.nodes, "cuts": search.cuts}
    witness = {"format": "qopt/placement-witness", "version": 1, "operators": search.trees}
    if search.found is None:
        message = "" if problem.eligible else NO_OPERATOR
        if status == "optimal":
            return Outcome("infeasible", witness=witness, message=message, details=details)
        return Outcome("time-limit", bound=bound, details=details)
    plan = plan_of(problem, search.found[0].own, search.found[1][1:])
    if status == "time-limit":
        return Outcome("time-limit", plan, bound, witness=witness, details=details)
    return Outcome("optimal", plan, search.best, witness=witness, details=details)

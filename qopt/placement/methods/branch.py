"""`cut-branch`: limits on memory and latency by Lagrange multipliers on minimum cuts, and branching where a gap stays.

At a node, every operation has a set of tiers. For multipliers m >= 0 of the limits' rows the cheapest labels of

    cost + sum_r m_r (use_r - limit_r)

are a minimum cut and a lower bound; cutting planes find good m. Labels that keep the limits are plans. Of a limit that
is the largest of many rows, those count that labels on the way have broken. Where the best bound stays below the best
plan, one operation's tiers are divided. The tree, with the multipliers and flows of its leaves, is the witness
(`qopt.placement.certificate.bounds`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import Clock, OutOfTime
from qopt.core.limits import limit_with_slack
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.kernels import mincut
from qopt.kernels.nodes import Node
from qopt.placement.costs import HANDED_RATE, paid, used
from qopt.placement.methods.candidates import NO_OPERATOR, Candidate, candidates
from qopt.placement.methods.prefixes import best_prefixes
from qopt.placement.narrow import Part, followed, part_of
from qopt.placement.plan import plan_of
from qopt.placement.problem import Placement
from qopt.placement.rows import Limit, narrowed, relaxed

CLOSED = 1e-10
"""A bound within this share of the best plan closes a node; the certificate allows 1e-9."""

PLANES = 40
"""Cutting planes at one node, at most."""


NEAR = 0.5
"""Where multipliers alone cannot close a node, they are good enough within this share of what stays open."""

LARGEST = 1e6
"""Multipliers, as shares of the cost for a whole limit."""


@dataclass
class _Point:
    """Labels, what they cost, and what they use of every row beyond its limit."""

    labels: IntArray
    cost: float
    excess: list[float]


@dataclass
class _Open:
    """A node of the tree that is not looked at: tiers that are allowed, and what is known of good multipliers."""

    allowed: BoolArray
    multipliers: list[float] = field(default_factory=list)
    points: list[_Point] = field(default_factory=list)


@dataclass
class _Search:
    """The best plan so far, and what the search of one operator needs."""

    clock: Clock
    best: float = math.inf
    found: tuple[Candidate, IntArray] | None = None
    nodes: int = 0
    cuts: int = 0
    trees: dict[str, list[Node]] = field(default_factory=dict)
    rows: list[Limit] = field(default_factory=list)
    tier_names: tuple[str, ...] = ()

    def operator(self, candidate: Candidate, birth: int) -> None:
        """Search one operator, node 0 on the tier `birth`; its tree goes to the witness."""
        tree: list[Node] = []
        self.rows = [row.member(0, (-1,) * len(row.groups)) for row in candidate.rows]
        begin = best_prefixes(candidate, birth, self.clock)
        if begin is not None:
            self._point(candidate, begin)
        waiting = [_Open(np.ones(candidate.costs.unary.shape, dtype=bool))]
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
            for inside in (~tiers, tiers):  # the first subtree is looked at first
                allowed = here.allowed.copy()
                allowed[node] &= inside
                points = [point for point in here.points if inside[point.labels[node]]]
                waiting.append(_Open(allowed, here.multipliers, points))
        self.trees[candidate.name] = tree

    def _cut(self, candidate: Candidate, here: Part, m: list[float], share: float) -> tuple[mincut.Result, float]:
        """A minimum cut of the relaxed costs, and the bound that it is; raises `OutOfTime` where that is broken off."""
        self.cuts += 1
        costs, rows = here.costs, here.rows
        if not self.clock.affords(costs.size, HANDED_RATE):
            raise OutOfTime("there is no time for another minimum cut")
        priced = relaxed(costs, rows, m, share)
        found = mincut.solve(priced.unary, priced.rows, time_limit=self.clock.left)
        if found.late:
            if found.labels is not None:
                self._point(candidate, here.lifted(found.labels))
            raise OutOfTime("a minimum cut was broken off")
        if found.bound is None:
            return found, math.inf
        limit = math.fsum(a * limit_with_slack(row.limit) for a, row in zip(m, rows, strict=True))
        return found, found.bound - limit

    def _leaf(self, found: mincut.Result, m: list[float], share: int) -> Node:
        proof = found.witness()
        given = {row.name: a for row, a in zip(self.rows, m, strict=False) if a}
        return ["part", share, given, proof["labels"], proof["flow"]]

    def _point(self, candidate: Candidate, labels: IntArray) -> _Point:
        """What labels are worth; a plan that keeps the limits and is better becomes the best.

        A row of a limit that they break, and that does not count yet, counts from now on.
        """
        at, costs = labels.tolist(), candidate.costs
        cost = math.fsum(paid(costs, at))
        keeps = True
        for limit in candidate.rows:
            if not limit.keeps(costs, at):
                keeps = False
                row = limit.worst(costs, at)
                if all(row.name != known.name for known in self.rows):
                    self.rows.append(row)
        if keeps and cost < self.best:
            self.best, self.found = cost, (candidate, labels)
        return _Point(labels, cost, [])

    def _fill(self, candidate: Candidate, points: list[_Point]) -> None:
        """What points use of the rows that count by now."""
        for point in points:
            at = point.labels.tolist()
            for row in self.rows[len(point.excess) :]:
                use = used(candidate.costs, row.unary, row.weight, at, row.extra)
                point.excess.append(math.fsum([*use, -limit_with_slack(row.limit)]))

    def _reaches(self, bound: float) -> bool:
        return bound >= self.best - CLOSED * abs(self.best) if math.isfinite(self.best) else bound == math.inf

    def _node(self, candidate: Candidate, here: _Open) -> tuple[Node | None, tuple[int, BoolArray] | None]:
        """A leaf that closes this node, or the node and tiers to branch on."""

        here.allowed = followed(candidate.costs, here.allowed)
        if not here.allowed.any(axis=1).all():
            return ["part", 1, {}, None, []], None

        def narrow() -> Part:
            return part_of(*narrowed(candidate.costs, tuple(self.rows), here.allowed))

        part = narrow()
        m = here.multipliers + [0.0] * (len(self.rows) - len(here.multipliers))
        found, bound = self._cut(candidate, part, m, 1.0)
        if found.labels is None:
            return self._leaf(found, m, 1), None
        here.points.append(self._point(candidate, part.lifted(found.labels)))
        if self._reaches(bound):
            return self._leaf(found, m, 1), None
        if not np.any(here.allowed.sum(axis=1) > 1):
            return ["plan"], None
        if math.isinf(self.best):
            refuted = self._refuted(candidate, part, here)
            if refuted is not None:
                return refuted, None
        best_m, best_bound, best_cut = m, bound, found
        weights = np.ones(len(here.points))
        for _ in range(PLANES):
            if not self.rows:
                break
            if self.clock.over:
                raise OutOfTime
            part = narrow() if len(part.rows) < len(self.rows) else part
            self._fill(candidate, here.points)
            m, value, weights = _multipliers(here.points, np.array([row.unit for row in self.rows]))
            found, bound = self._cut(candidate, part, m, 1.0)
            if bound > best_bound:
                best_m, best_bound, best_cut = m, bound, found
            assert found.labels is not None
            here.points.append(self._point(candidate, part.lifted(found.labels)))
            if self._reaches(best_bound):
                return self._leaf(best_cut, best_m, 1), None
            open_ = self.best - value if math.isfinite(self.best) else 0.0
            fresh = len(part.rows) < len(self.rows)  # a row that no multiplier knows
            if best_bound >= value - max(1e-9 * abs(value), NEAR * open_) and not fresh:
                break
        here.multipliers = best_m
        if math.isinf(self.best) and any(best_m):
            tested, over = self._cut(candidate, part, (best_m + [0.0] * len(part.rows))[: len(part.rows)], 0.0)
            if over > 0:
                return self._leaf(tested, best_m, 0), None
        return None, _branch(candidate, self.rows, here, weights)

    def _refuted(self, candidate: Candidate, part: Part, here: _Open) -> Node | None:
        """A leaf if one row, or those on memory together, rule out everything here."""
        rows = part.rows
        units = [[1.0 if r == i else 0.0 for r in range(len(rows))] for i in range(len(rows))]
        stored = [0.0 if row.name == "latency" or "#" in row.name else 1.0 for row in rows]
        for ray in (*units, *([stored] if sum(stored) > 1 else [])):
            tested, over = self._cut(candidate, part, ray, 0.0)
            if over > 0:
                return self._leaf(tested, ray, 0)
            if tested.labels is not None:
                here.points.append(self._point(candidate, part.lifted(tested.labels)))
        return None


def _multipliers(points: list[_Point], scale: FloatArray) -> tuple[list[float], float, FloatArray]:
    """Multipliers that maximise the least of the points' relaxed costs, that value, and each point's part in it."""
    cost = np.array([p.cost for p in points])
    unit = float(np.max(np.abs(cost))) or 1.0
    excess = np.array([p.excess for p in points]) / scale
    # maximise t: t <= cost_i / unit + m . excess_i, 0 <= m <= LARGEST
    matrix = np.column_stack((np.ones(len(points)), -excess))
    objective = np.zeros(1 + len(scale))
    objective[0] = -1.0
    bounds = [(None, None), *([(0.0, LARGEST)] * len(scale))]
    found = linprog(objective, A_ub=matrix, b_ub=cost / unit, bounds=bounds, method="highs")
    if found.status != 0 or found.x is None:
        return [0.0] * len(scale), float(cost.min()), np.ones(len(points))
    weights: FloatArray = -np.asarray(found.ineqlin.marginals)
    multipliers: list[float] = (np.maximum(found.x[1:], 0.0) * unit / scale).tolist()
    return multipliers, float(found.x[0]) * unit, weights


def _branch(candidate: Candidate, rows: list[Limit], here: _Open, weights: FloatArray) -> tuple[int, BoolArray]:
    """The middle of where the labels that carry the bound disagree, by use of the limits; there the tiers are divided.

    What comes on top of weights in these labels is no part of the bound: where there is such, the tier of its producer.
    """
    allowed, points = here.allowed, here.points[: len(weights)]
    free = (np.isfinite(candidate.costs.unary) & allowed).sum(axis=1) > 1
    carrying = [p.labels for p, w in zip(points, weights, strict=True) if w > 1e-9] or [p.labels for p in points]
    tiers = np.arange(allowed.shape[1])
    dear = _dearest(candidate, free, carrying)
    if dear is not None:
        return dear[0], tiers == dear[1]
    size = np.zeros(len(free))
    for row in rows:
        size += row.unary.max(axis=1) / row.unit
    low, high = np.min(carrying, axis=0), np.max(carrying, axis=0)
    apart = free & (low < high)
    if apart.any():
        # Tiers rise along the data: an operation in the middle settles most of those before it, or of those behind it.
        sums = np.cumsum(np.where(apart, size + size.sum() / len(size), 0.0))
        node = int(np.searchsorted(sums, sums[-1] / 2.0))
        return node, tiers <= low[node]
    node = int(np.argmax(np.where(free, size, -1.0)))
    return node, tiers == low[node]


def _dearest(candidate: Candidate, free: BoolArray, carrying: list[IntArray]) -> tuple[int, int] | None:
    """The free operation, and its tier, that pays most on top of weights in some labels; None where none does."""
    costs, best = candidate.costs, (0.0, 0, 0)
    if costs.plain:
        return None
    tensor, tier, link = costs.places.T
    producer = costs.reads.producer[tensor]
    for labels in carrying:
        crossed = costs.reads.crossed(labels, costs.weight.shape[1])
        there = (labels[producer] == tier) & crossed[tensor, link] & free[producer]
        if there.any():
            extra = np.where(there, costs.extra, 0.0)
            i = int(np.argmax(extra))
            best = max(best, (float(extra[i]), int(producer[i]), int(tier[i])))
    return (best[1], best[2]) if best[0] > 0 else None


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
            search.operator(candidate, problem.birth)
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

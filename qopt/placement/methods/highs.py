"""`highs-mip`: one operator after the other as a mixed-integer program, as arrays for HiGHS; all limits included.

    minimise   sum_v (unary[v, 0] + sum_k (unary[v, k+1] - unary[v, k]) x[v, k]) + sum_{t,k} weight[t, k] z[t, k]
    x[v, k+1] <= x[v, k];   x[u, k] <= x[r, k],  z[t, k] >= x[r, k] - x[u, k]  for every reader r of tensor t of u
    sum_v use[v, k] (x[v, k-1] - x[v, k]) <= limit  for the memory of tier k, latency likewise;  x binary
    e[t, i, k] >= z[t, k] + x[u, i-1] - x[u, i] - 1  where t is larger on link k if it is written on tier i
    stored[k] >= sum_v bytes of v on k + sum_g bytes of g held[g, k],  held[g, k] >= x[v, k-1] - x[v, k]  for v of g
    stored[k] + bytes of the tensors on k that are alive at a step <= limit  for every step that may be the worst

x[v, k] = 1 if node v runs above tier k. Rows of stored and held are there where tensors or shared weights count. The
same model, to be read, is `qopt.formulations.placement.joint`. Here costs are divided by their largest and rows by
their limits; once a plan is known, what alone costs more is left out.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array

from qopt.core.arrays import BoolArray, FloatArray
from qopt.core.clock import Clock, OutOfTime
from qopt.core.limits import limit_with_slack
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.core.solvers.exclusion import Found, Round, solve_and_exclude
from qopt.core.solvers.highs import SolverError, solve_milp
from qopt.placement.costs import FAR_CHEAPER, paid, priced_out, used
from qopt.placement.limits import keeps_rows
from qopt.placement.methods.candidates import NO_OPERATOR, Candidate, candidates
from qopt.placement.plan import PlacementPlan, labels_of, plan_of
from qopt.placement.problem import Placement
from qopt.placement.rows import Limit

SCALE = 1e4
"""Scaled cost of a plan: its last digits stay above HiGHS's absolute tolerances."""

ROUNDS = 50
"""Times that HiGHS is asked for one operator, at most."""


def filled(unary: FloatArray) -> FloatArray:
    """Costs with the forbidden ones replaced by those of the nearest tier below that is allowed, else above."""
    out = unary.copy()
    for k in range(1, out.shape[1]):
        out[:, k] = np.where(np.isinf(out[:, k]), out[:, k - 1], out[:, k])
    for k in range(out.shape[1] - 2, -1, -1):
        out[:, k] = np.where(np.isinf(out[:, k]), out[:, k + 1], out[:, k])
    return out


class _Model:
    """Rows of one operator's program, growing; columns x[v, k], z[t, k], e[t, i, k], and what limits add."""

    def __init__(self, candidate: Candidate, clock: Clock) -> None:
        costs = candidate.costs
        self.candidate, self.clock = candidate, clock
        self.nodes: int = costs.unary.shape[0]
        self.links: int = costs.unary.shape[1] - 1
        self.tensors = len(costs.producer)
        self.first_extra: int = (self.nodes + self.tensors) * self.links
        self.columns: int = self.first_extra + len(costs.places)
        self.entries: list[tuple[int, int, float]] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.base, self.cost = self._linear(costs.unary, costs.weight, costs.extra)
        self.unit = max(abs(self.base), float(np.abs(self.cost).max(initial=0.0))) / SCALE or 1.0
        singles = [row.extra for row in candidate.rows if len(row.extra)]
        there = np.zeros(len(costs.places), dtype=bool)
        for extra in (costs.extra, *singles):
            there |= extra > 0
        self.dear = np.flatnonzero(there)
        self.upper_of = [1.0] * self.columns
        self.counted = np.any([costs.weight > 0, *(row.weight > 0 for row in candidate.rows)], axis=0)
        for row in candidate.rows:
            if row.alive is not None:
                self.counted[row.alive.tensor] = True
        self._labels()
        self._tensors()
        self._dear()
        for row in candidate.rows:
            limit = limit_with_slack(row.limit)
            base, line = self._linear(row.unary, row.weight, row.extra)
            entries = [(c, a / row.unit) for c, a in enumerate(line) if a]
            if row.single:
                self._row(entries, -math.inf, (limit - base) / row.unit)
            else:
                self._largest(row, entries, base / row.unit, limit / row.unit)
        self.cost = np.concatenate((self.cost, np.zeros(self.columns - len(self.cost))))

    def x(self, v: int, k: int) -> int:
        """Column of x[v, k]."""
        return v * self.links + k

    def z(self, t: int, k: int) -> int:
        """Column of z[t, k]."""
        return (self.nodes + t) * self.links + k

    def _row(self, terms: list[tuple[int, float]], lower: float, upper: float) -> None:
        self.entries += [(len(self.lower), column, value) for column, value in terms]
        self.lower.append(lower)
        self.upper.append(upper)

    def _labels(self) -> None:
        """Labels rise one by one; a forbidden one is passed over."""
        forbidden = np.isinf(self.candidate.costs.unary)
        for v in self.clock.watching(range(self.nodes)):
            for k in range(self.links - 1):
                self._row([(self.x(v, k + 1), 1.0), (self.x(v, k), -1.0)], -math.inf, 0.0)
            for label in np.flatnonzero(forbidden[v]).tolist():
                # label is taken if x[v, label - 1] = 1 and x[v, label] = 0
                row, taken = [], 0.0
                if label > 0:
                    row.append((self.x(v, label - 1), 1.0))
                else:
                    taken = 1.0
                if label < self.links:
                    row.append((self.x(v, label), -1.0))
                self._row(row, -math.inf, -taken)

    def _tensors(self) -> None:
        costs = self.candidate.costs
        for t, (u, readers) in self.clock.watching(enumerate(zip(costs.producer, costs.readers, strict=True))):
            for k in range(self.links):
                weight = float(costs.weight[t, k])
                for r in readers:
                    difference = [(self.x(r, k), 1.0), (self.x(u, k), -1.0)]
                    self._row(difference, 0.0, 0.0 if math.isinf(weight) else math.inf)
                    if math.isfinite(weight) and self.counted[t, k]:
                        self._row([(self.z(t, k), 1.0), (self.x(r, k), -1.0), (self.x(u, k), 1.0)], 0.0, math.inf)

    def _on(self, v: int, k: int) -> tuple[list[tuple[int, float]], float]:
        """[v runs on tier k] as entries and a constant."""
        entries = [(self.x(v, k - 1), 1.0)] if k > 0 else []
        entries += [(self.x(v, k), -1.0)] if k < self.links else []
        return entries, 0.0 if k > 0 else 1.0

    def _dear(self) -> None:
        """What comes on top of weights: once a tensor is written on a tier, and crosses a link."""
        costs = self.candidate.costs
        for e in self.dear.tolist():
            t, tier, link = costs.places[e].tolist()
            entries, constant = self._on(costs.producer[t], tier)
            row = [(self.first_extra + e, 1.0), (self.z(t, link), -1.0), *((c, -a) for c, a in entries)]
            self._row(row, constant - 1.0, math.inf)

    def _column(self, upper: float) -> int:
        """One more column, from 0."""
        self.upper_of.append(upper)
        self.columns += 1
        return self.columns - 1

    def _largest(self, row: Limit, entries: list[tuple[int, float]], base: float, limit: float) -> None:
        """A limit that is the largest of many rows, in shares of its unit."""
        stored = [*entries]
        for nodes, size in row.groups:
            held = self._column(1.0)
            for v in nodes:
                on, constant = self._on(v, row.tier)
                self._row([(held, 1.0), *((c, -a) for c, a in on)], constant, math.inf)
            stored.append((held, size / row.unit))
        if row.alive is None:
            self._row(stored, -math.inf, limit - base)
            return
        total = self._column(math.inf)
        self._row([(total, 1.0), *((c, -a) for c, a in stored)], base, math.inf)
        self._row([(total, 1.0)], -math.inf, limit)
        common = replace(row, groups=(), unary=np.zeros_like(row.unary))
        for step in self.clock.watching(row.alive.steps):
            one = common.member(step, ())
            more, line = self._linear(one.unary, one.weight, one.extra)
            step_entries = [(c, a / row.unit) for c, a in enumerate(line) if a]
            self._row([(total, 1.0), *step_entries], -math.inf, limit - more / row.unit)

    def _linear(self, unary: FloatArray, weight: FloatArray, extra: FloatArray) -> tuple[float, FloatArray]:
        """A sum over labels and links as a constant and coefficients of the columns."""
        known = filled(unary)
        on_top = extra if len(extra) else np.zeros(len(self.candidate.costs.places))
        plain = np.where(np.isinf(weight), 0.0, weight).ravel()
        line = np.concatenate((np.diff(known, axis=1).ravel(), plain, on_top))
        return math.fsum(known[:, 0].tolist()), line

    def exclude(self, labels: tuple[int, ...]) -> None:
        """Leave out one labelling."""
        row, ones = [], 0
        for v, label in enumerate(labels):
            for k in range(self.links):
                above = label > k
                ones += above
                row.append((self.x(v, k), -1.0 if above else 1.0))
        self._row(row, 1.0 - ones, math.inf)

    def _point(self, labels: list[int]) -> FloatArray:
        """The columns of a plan's labels."""
        x = np.array([float(label > k) for label in labels for k in range(self.links)])
        costs = self.candidate.costs
        highest = [max((labels[r] for r in readers), default=0) for readers in costs.readers]
        pairs = zip(costs.producer, highest, strict=True)
        z = [float(labels[u] <= k < top) for u, top in pairs for k in range(self.links)]
        places = costs.places.tolist()
        e = [float(labels[costs.producer[t]] == tier and tier <= k < highest[t]) for t, tier, k in places]
        rest = [] if self.columns == self.first_extra + len(places) else self._held(labels)
        return np.concatenate((x, np.array(z), np.array(e), np.array(rest)))

    def _held(self, labels: list[int]) -> list[float]:
        """The columns of limits that are the largest of many rows: groups, and what is stored."""
        found = []
        for row in self.candidate.rows:
            if row.single:
                continue
            groups = [float(any(labels[v] == row.tier for v in nodes)) for nodes, _ in row.groups]
            found += groups
            if row.alive is not None:
                uses = used(self.candidate.costs, row.unary, row.weight, labels)
                shared = [size * on for (_, size), on in zip(row.groups, groups, strict=True)]
                found.append(math.fsum([*uses, *shared]) / row.unit)
        return found

    def solve(self, clock: Clock, options: Options, start: list[int] | None) -> Found[tuple[int, ...]]:
        """HiGHS's status, labels that keep the limits, and bound in the problem's units; from the labels of a plan."""
        candidate = self.candidate
        costs, unit = candidate.costs, self.unit
        base, cost = self.base, self.cost
        integer: BoolArray = np.arange(self.columns) < self.nodes * self.links

        def attempt() -> Round[tuple[int, ...]]:
            row, column, value = (np.array(part) for part in zip(*self.entries, strict=True))
            shape = (len(self.lower), self.columns)
            matrix = coo_array((value.astype(float), (row.astype(int), column.astype(int))), shape=shape).tocsr()
            said = solve_milp(
                cost / unit,
                matrix,
                np.array(self.lower),
                np.array(self.upper),
                np.array(self.upper_of),
                integer,
                time_limit=clock.left,
                threads=options.threads,
                seed=options.seed,
                start=None if start is None else self._point(start),
                log=options.verbose,
            )
            labels = None
            if said.x is not None:
                x = np.round(said.x[: self.nodes * self.links].reshape(self.nodes, self.links))
                labels = tuple(x.sum(axis=1).astype(np.int64).tolist())
            return Round(said.status, labels, None if said.bound is None else base + unit * said.bound, said.nodes)

        def broken(labels: tuple[int, ...]) -> str | None:
            return None if keeps_rows(costs, candidate.rows, labels) else "a limit"

        return solve_and_exclude(attempt, broken, self.exclude, clock=clock, most=ROUNDS)


def _alone(candidate: Candidate) -> Found[tuple[int, ...]]:
    """One tier: its only plan, if that keeps the limits."""
    labels = (0,) * len(candidate.costs.unary)
    keeps = keeps_rows(candidate.costs, candidate.rows, labels)
    return Found("optimal", labels) if keeps else Found("infeasible")


def _cost(candidate: Candidate, labels: tuple[int, ...]) -> float:
    costs = candidate.costs
    return math.fsum(paid(costs, list(labels)))


def _solved(candidate: Candidate, clock: Clock, options: Options, start: list[int] | None) -> Found[tuple[int, ...]]:
    """One operator; again without what its plan prices out, while that makes the model's digits much finer."""
    if np.isinf(candidate.costs.unary).all(axis=1).any():
        return Found("infeasible")
    model = _Model(candidate, clock)
    found = model.solve(clock, options, start)
    while found.status == "optimal" and found.point is not None:
        narrowed = replace(candidate, costs=priced_out(candidate.costs, _cost(candidate, found.point)))
        try:
            finer = _Model(narrowed, clock)
            if finer.unit > FAR_CHEAPER * model.unit:  # ends: floats span no more than 270 such steps
                break
            model, again = finer, finer.solve(clock, options, start)
        except OutOfTime:
            return replace(found, status="time-limit", message="the plan was not looked at again in finer digits")
        nodes = (found.nodes or 0) + (again.nodes or 0)
        better = again.point is not None and _cost(candidate, again.point) < _cost(candidate, found.point)
        found = replace(again, point=again.point if better else found.point, nodes=nodes)
    return found


def solve(problem: Placement, options: Options) -> Outcome:
    """The best plan within all limits by HiGHS's word. Takes time_limit, threads, seed, start and verbose."""
    clock = options.clock()
    best, best_value, bound, nodes = None, math.inf, math.inf, 0
    worst: Status = "optimal"
    message = ""
    try:
        for candidate in candidates(problem, clock):
            start = None
            if isinstance(options.start, PlacementPlan) and options.start.operator == candidate.name:
                start = labels_of(problem, candidate.own, options.start)
            found = _solved(candidate, clock, options, start) if problem.links else _alone(candidate)
            nodes += found.nodes or 0
            if found.status not in ("optimal", "infeasible"):
                worst, message = found.status, found.message
            if found.point is not None:
                value = _cost(candidate, found.point)
                bound = min(bound, value if found.bound is None else min(found.bound, value))
                if value < best_value:
                    best, best_value = plan_of(problem, candidate.own, found.point[1:]), value
            elif found.status != "infeasible":
                bound = -math.inf if found.bound is None else min(bound, found.bound)
    except SolverError as error:
        return Outcome("failed", message=str(error))
    except OutOfTime:
        worst, message, bound = "time-limit", "the models were not all built in time", -math.inf
    claimed = bound if math.isfinite(bound) else None
    details = {"nodes": nodes}
    if best is None:
        message = message if problem.eligible else NO_OPERATOR
        status = "infeasible" if worst == "optimal" else worst
        return Outcome(status, bound=claimed, message=message, details=details)
    return Outcome(worst, best, claimed, message=message, details=details)

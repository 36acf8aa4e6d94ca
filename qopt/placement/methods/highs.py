"""`highs-mip`: one operator after the other as a mixed-integer program, as arrays for HiGHS; all limits included.

    minimise   sum_v (unary[v, 0] + sum_k (unary[v, k+1] - unary[v, k]) x[v, k]) + sum_{t,k} weight[t, k] z[t, k]
    x[v, k+1] <= x[v, k];   x[u, k] <= x[r, k],  z[t, k] >= x[r, k] - x[u, k]  for every reader r of tensor t of u
    sum_v use[v, k] (x[v, k-1] - x[v, k]) <= limit  for the memory of tier k, latency likewise;  x binary

x[v, k] = 1 if node v runs above tier k. The same model, to be read, is `qopt.formulations.placement.joint`. Here costs
are divided by their largest and rows by their limits; once a plan is known, what alone costs more is left out.
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
from qopt.placement.costs import FAR_CHEAPER, priced_out, used
from qopt.placement.limits import keeps_rows
from qopt.placement.methods.candidates import NO_OPERATOR, Candidate, candidates
from qopt.placement.plan import PlacementPlan, labels_of, plan_of
from qopt.placement.problem import Placement

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
    """Rows of one operator's program, growing; columns x[v, k] and then z[t, k]."""

    def __init__(self, candidate: Candidate, clock: Clock) -> None:
        costs = candidate.costs
        self.candidate, self.clock = candidate, clock
        self.nodes: int = costs.unary.shape[0]
        self.links: int = costs.unary.shape[1] - 1
        self.tensors = len(costs.producer)
        self.columns = (self.nodes + self.tensors) * self.links
        self.entries: list[tuple[int, int, float]] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.base, self.cost = self._linear(costs.unary, costs.weight)
        self.unit = max(abs(self.base), float(np.abs(self.cost).max(initial=0.0))) / SCALE or 1.0
        self._labels()
        self._tensors()
        for row in candidate.rows:
            limit = limit_with_slack(row.limit)
            base, line = self._linear(row.unary, row.weight)
            self._row([(c, a / row.unit) for c, a in enumerate(line) if a], -math.inf, (limit - base) / row.unit)

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
                    if 0 < weight < math.inf:
                        self._row([(self.z(t, k), 1.0), (self.x(r, k), -1.0), (self.x(u, k), 1.0)], 0.0, math.inf)

    def _linear(self, unary: FloatArray, weight: FloatArray) -> tuple[float, FloatArray]:
        """A sum over labels and links as a constant and coefficients of the columns."""
        known = filled(unary)
        line = np.concatenate((np.diff(known, axis=1).ravel(), np.where(np.isinf(weight), 0.0, weight).ravel()))
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
        return np.concatenate((x, np.array(z)))

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
                np.ones(self.columns),
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
    return math.fsum(used(costs, costs.unary, costs.weight, list(labels)))


def _solved(candidate: Candidate, clock: Clock, options: Options, start: list[int] | None) -> Found[tuple[int, ...]]:
    """One operator; again without what its plan prices out, while that makes the model's digits much finer."""
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

"""`highs-mip`: one operator after the other as a mixed-integer program, as arrays for HiGHS; all limits included.

    minimise   sum_v (unary[v, 0] + sum_k (unary[v, k+1] - unary[v, k]) x[v, k]) + sum_{t,k} weight[t, k] z[t, k]
    x[v, k+1] <= x[v, k];   x[u, k] <= x[r, k],  z[t, k] >= x[r, k] - x[u, k]  for every reader r of tensor t of u
    sum_v use[v, k] (x[v, k-1] - x[v, k]) <= limit  for the memory of tier k, latency likewise;  x binary

x[v, k] = 1 if node v runs above tier k. The same model, to be read, is `qopt.formulations.placement.joint`. Here costs
are divided by what a plan costs and rows by their limits.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_array

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.limits import limit_with_slack, within
from qopt.core.method import Clock, Options
from qopt.core.solution import Outcome, Status
from qopt.core.solvers.highs import SolverError, solve_milp
from qopt.placement.costs import used
from qopt.placement.methods.candidates import NO_OPERATOR, Candidate, candidates
from qopt.placement.plan import plan_of
from qopt.placement.problem import Placement

SCALE = 1e4
"""Scaled cost of a plan: its last digits stay above HiGHS's absolute tolerances."""

ROUNDS = 50
"""Points that keep a limit only within the solver's tolerance, and are excluded, at most."""


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

    def __init__(self, candidate: Candidate) -> None:
        costs = candidate.costs
        self.candidate = candidate
        self.nodes: int = costs.unary.shape[0]
        self.links: int = costs.unary.shape[1] - 1
        self.tensors = len(costs.producer)
        self.columns = (self.nodes + self.tensors) * self.links
        self.entries: list[tuple[int, int, float]] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self._labels()
        self._tensors()
        for row in candidate.rows:
            limit = limit_with_slack(row.limit)
            unit = limit or float(max(row.unary.max(), row.weight.max(initial=0.0))) or 1.0
            base, line = self._linear(row.unary, row.weight)
            self._row([(c, a / unit) for c, a in enumerate(line) if a], -math.inf, (limit - base) / unit)

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
        for v in range(self.nodes):
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
        for t, (u, readers) in enumerate(zip(costs.producer, costs.readers, strict=True)):
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

    def exclude(self, labels: list[int]) -> None:
        """Leave out one labelling."""
        row, ones = [], 0
        for v, label in enumerate(labels):
            for k in range(self.links):
                above = label > k
                ones += above
                row.append((self.x(v, k), -1.0 if above else 1.0))
        self._row(row, 1.0 - ones, math.inf)

    def solve(self, clock: Clock, options: Options) -> tuple[Status, IntArray | None, float | None, int]:
        """HiGHS's status, labels, and bound in the problem's units."""
        candidate = self.candidate
        costs = candidate.costs
        base, cost = self._linear(costs.unary, costs.weight)
        unit = max(abs(base), float(np.abs(cost).max(initial=0.0))) / SCALE or 1.0
        integer: BoolArray = np.arange(self.columns) < self.nodes * self.links
        nodes, rounds = 0, 0
        while True:
            row, column, value = (np.array(part) for part in zip(*self.entries, strict=True))
            shape = (len(self.lower), self.columns)
            matrix = coo_array((value.astype(float), (row.astype(int), column.astype(int))), shape=shape).tocsr()
            found = solve_milp(
                cost / unit,
                matrix,
                np.array(self.lower),
                np.array(self.upper),
                np.ones(self.columns),
                integer,
                time_limit=clock.left,
                threads=options.threads,
                seed=options.seed,
            )
            nodes += found.nodes
            bound = None if found.bound is None else base + unit * found.bound
            if found.x is None:
                return found.status, None, bound, nodes
            x = np.round(found.x[: self.nodes * self.links].reshape(self.nodes, self.links))
            labels: IntArray = x.sum(axis=1).astype(np.int64)
            at = labels.tolist()
            if all(within(used(costs, r.unary, r.weight, at), r.limit) for r in candidate.rows):
                return found.status, labels, bound, nodes
            rounds += 1
            if clock.over or rounds > ROUNDS:
                return ("time-limit" if clock.over else "failed"), None, bound, nodes
            self.exclude(at)


def solve(problem: Placement, options: Options) -> Outcome:
    """The best plan within all limits by HiGHS's word. Takes time_limit, threads and seed."""
    clock = options.clock()
    best, best_value, bound, nodes = None, math.inf, math.inf, 0
    worst: Status = "optimal"
    for candidate in candidates(problem):
        costs = candidate.costs
        if costs.unary.shape[1] == 1:
            labels: IntArray | None = np.zeros(len(costs.unary), dtype=np.int64)
            assert labels is not None
            at = labels.tolist()
            keeps = all(within(used(costs, r.unary, r.weight, at), r.limit) for r in candidate.rows)
            status: Status = "optimal" if keeps else "infeasible"
            own_bound, labels = None, labels if keeps else None
        else:
            try:
                status, labels, own_bound, more = _Model(candidate).solve(clock, options)
            except SolverError as error:
                return Outcome("failed", message=str(error))
            nodes += more
        if status not in ("optimal", "infeasible"):
            worst = status
        if labels is not None:
            value = math.fsum(used(costs, costs.unary, costs.weight, labels.tolist()))
            bound = min(bound, value if own_bound is None else min(own_bound, value))
            if value < best_value:
                best, best_value = plan_of(problem, candidate.own, labels[1:]), value
        elif status != "infeasible":
            bound = -math.inf if own_bound is None else min(bound, own_bound)
    claimed = bound if math.isfinite(bound) else None
    details = {"nodes": nodes}
    if best is None:
        message = "" if problem.eligible else NO_OPERATOR
        status = "infeasible" if worst == "optimal" else worst
        return Outcome(status, bound=claimed, message=message, details=details)
    return Outcome(worst, best, claimed, details=details)

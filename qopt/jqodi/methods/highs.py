"""`highs-mip`: one candidate after the other as a mixed-integer program, as arrays for HiGHS; every mode.

    minimise   sum_k,s energy[k, s] x[k, s] + sum_k,r,s switch_energy[r, s] z[k, r, s]
    sum_s x[k, s] = 1                                               one state an epoch, x binary
    sum_s z[k, r, s] = x[k, r],  sum_r z[k, r, s] = x[k+1, s]       what flows from epoch to epoch, 0 <= z <= 1
    tau + sum_k,s time[k, s] x[k, s] + sum_k,r,s switch_time[r, s] z[k, r, s] <= T_max

Flows z are there in mode path with switching only; in mode choice all epochs are one. The same models, to be read, are
`qopt.formulations.jqodi`. Here energies are divided by what a plan costs, and the last row by T_max.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_array, csr_array, vstack

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import Clock, OutOfTime
from qopt.core.limits import limit_with_slack
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.core.solvers.exclusion import Found, Round, solve_and_exclude
from qopt.core.solvers.highs import SolverError, solve_milp
from qopt.jqodi.methods.search import infeasible
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import possible
from qopt.jqodi.terms import Candidate, candidates, keeps_limit, plan_of, states_of, terms_of, totals

SCALE = 1e4
"""Scaled energy of a plan: its last digits stay above HiGHS's absolute tolerances."""

ROUNDS = 50
"""Times that HiGHS is asked for one candidate, at most."""

MOST = 2_000_000
"""Columns of one candidate's program, at most."""


def too_large(problem: Jqodi) -> str | None:
    """Why a problem has too many columns, or None."""
    for model, width in problem.admissible:
        epochs, states = problem.needed(model, width), len(problem.servers) * len(model.admissible_cuts)
        if epochs is None or problem.mode == "choice":
            continue
        flows = states * states if problem.mode == "path" and problem.switching.costs else 0
        if epochs * (states + flows) > MOST:
            return f"more than {MOST} columns for {model.name} at {width.bits} bits"
    return None


class _Model:
    """One candidate's program: columns x[k, s] of possible states, then z[k, r, s] between them."""

    def __init__(self, problem: Jqodi, candidate: Candidate, clock: Clock) -> None:
        self.problem, self.candidate, self.clock = problem, candidate, clock
        self.choice = problem.mode == "choice"
        if self.choice:
            there: BoolArray = np.atleast_2d(np.isfinite(candidate.time).all(axis=0))
            sums = [terms_of(candidate, np.full(candidate.epochs, s)) for s in clock.watching(np.flatnonzero(there[0]))]
            energy = np.array([math.fsum(e) - candidate.setup_energy for e, _ in sums])
            time = np.array([math.fsum(t) - candidate.setup_time for _, t in sums])
        else:
            there = np.isfinite(candidate.time)
            energy, time = candidate.energy[there], candidate.time[there]
        self.layer, self.state = np.nonzero(there)
        self.layers = len(there)
        self.count = len(self.layer)
        self.cost, self.seconds = energy, time
        one = coo_array((np.ones(self.count), (self.layer, np.arange(self.count))), shape=(self.layers, self.count))
        self.matrix, self.sides = csr_array(one), np.ones(self.layers)
        changing = candidate.switch_time is not None or candidate.switch_energy is not None
        if changing and not self.choice and self.layers > 1:
            self._flows()
        self.excluded: list[IntArray] = []

    def _flows(self) -> None:
        """Columns z and the rows that tie them to x."""
        candidate, first = self.candidate, np.searchsorted(self.layer, np.arange(self.layers + 1))
        joules, seconds = candidate.switch_energy, candidate.switch_time
        tails, heads, energy, time = [], [], [], []
        for k in self.clock.watching(range(self.layers - 1)):
            rows, columns = np.arange(first[k], first[k + 1]), np.arange(first[k + 1], first[k + 2])
            pairs = np.ix_(self.state[rows], self.state[columns])
            tails.append(np.repeat(rows, len(columns)))
            heads.append(np.tile(columns, len(rows)))
            zero = np.zeros(len(tails[-1]))
            energy.append(zero if joules is None or k + 1 >= candidate.counted else joules[pairs].ravel())
            time.append(zero if seconds is None else seconds[pairs].ravel())
        self.clock.check()
        tail, head = np.concatenate(tails), np.concatenate(heads)
        self.tail, self.head = tail, head
        flows = np.arange(len(tail))
        n = self.count
        # Rows of x before the last epoch send what they have, those after the first get it.
        sends, gets = first[self.layers - 1], n - first[1]
        out = coo_array((np.ones(len(tail)), (tail, n + flows)), shape=(sends, n + len(tail)))
        into = coo_array((np.ones(len(tail)), (head - first[1], n + flows)), shape=(gets, n + len(tail)))
        of_out = coo_array((-np.ones(sends), (np.arange(sends), np.arange(sends))), shape=out.shape)
        of_in = coo_array((-np.ones(gets), (np.arange(gets), first[1] + np.arange(gets))), shape=into.shape)
        one = coo_array((np.ones(n), (self.layer, np.arange(n))), shape=(self.layers, n + len(tail)))
        self.matrix = csr_array(vstack([one, out + of_out, into + of_in]))
        self.sides = np.concatenate((np.ones(self.layers), np.zeros(sends + gets)))
        self.cost = np.concatenate((self.cost, *energy))
        self.seconds = np.concatenate((self.seconds, *time))

    def states(self, x: FloatArray) -> IntArray:
        """(K,) states of a point."""
        order = np.lexsort(
            (self.state, -x[: self.count], self.layer)
        )  # the largest of each layer, of equal ones the first
        chosen: IntArray = self.state[order[np.searchsorted(self.layer, np.arange(self.layers))]]
        return np.full(self.candidate.epochs, chosen[0]) if self.choice else chosen

    def exclude(self, states: tuple[int, ...]) -> None:
        """Leave out one choice of states."""
        taken = np.array(states[:1] if self.choice else states)
        self.excluded.append(np.flatnonzero(taken[self.layer] == self.state))

    def _start(self, options: Options) -> FloatArray | None:
        """The columns of a plan to begin with, if it is one of this candidate."""
        plan = options.start
        if not isinstance(plan, JqodiPlan) or f"{plan.model}/{plan.bits}" != self.candidate.key:
            return None
        states = states_of(self.candidate, plan)
        if self.choice and len(set(states.tolist())) > 1:
            return None
        x = np.asarray(self.state == states[self.layer], dtype=np.float64)
        if len(self.cost) == self.count:
            return x
        return np.concatenate((x, x[self.tail] * x[self.head]))

    def solve(self, clock: Clock, options: Options) -> Found[tuple[int, ...]]:
        """HiGHS's status, states that keep T_max, and bound in joules."""
        candidate, n = self.candidate, len(self.cost)
        base = candidate.setup_energy
        least = np.minimum.reduceat(
            self.cost[: self.count], np.searchsorted(self.layer, np.arange(self.layers))
        ).tolist()
        # By a plan: some states may be dearer by many orders of magnitude, and what matters would drown in rounding.
        unit = (base + math.fsum(least) or float(self.cost.max(initial=0.0))) / SCALE or 1.0
        limit = limit_with_slack(self.problem.time_limit)
        integer = np.arange(n) < self.count
        start = self._start(options)

        def attempt() -> Round[tuple[int, ...]]:
            rows = [self.matrix, csr_array((self.seconds / limit)[None])]
            lower = np.concatenate((self.sides, [-np.inf], np.full(len(self.excluded), -np.inf)))
            upper = np.concatenate((self.sides, [(limit - candidate.setup_time) / limit]))
            for columns in self.excluded:
                entries = (np.ones(len(columns)), (np.zeros(len(columns), dtype=int), columns))
                rows.append(csr_array(coo_array(entries, shape=(1, n))))
                upper = np.append(upper, self.layers - 1.0)
            said = solve_milp(
                self.cost / unit,
                csr_array(vstack(rows)),
                lower,
                upper,
                np.ones(n),
                integer,
                time_limit=clock.left,
                threads=options.threads,
                seed=options.seed,
                start=start,
                log=options.verbose,
            )
            states = None if said.x is None else tuple(self.states(said.x).tolist())
            return Round(said.status, states, None if said.bound is None else base + unit * said.bound, said.nodes)

        def broken(states: tuple[int, ...]) -> str | None:
            return None if keeps_limit(self.problem, candidate, states) else "T_max"

        return solve_and_exclude(attempt, broken, self.exclude, clock=clock, most=ROUNDS)


def solve(problem: Jqodi, options: Options) -> Outcome:
    """The best plan of all candidates by HiGHS's word. Takes time_limit, threads, seed, start and verbose."""
    clock = options.clock()
    best: tuple[Candidate, tuple[int, ...]] | None = None
    best_value, bound, nodes = math.inf, math.inf, 0
    worst: Status = "optimal"
    message = ""
    for candidate in candidates(problem):
        if not possible(candidate) or (problem.mode == "choice" and not np.isfinite(candidate.time).all(axis=0).any()):
            continue
        try:
            result = _Model(problem, candidate, clock).solve(clock, options)
        except OutOfTime:
            result = Found("time-limit", message=f"the model of {candidate.key} was not built in time")
        except SolverError as error:
            return Outcome("failed", message=str(error))
        nodes += result.nodes or 0
        if result.status not in ("optimal", "infeasible"):
            worst, message = result.status, result.message
        states, claimed = result.point, result.bound
        if states is not None:
            value = totals(candidate, states)[0]
            bound = min(bound, value if claimed is None else min(claimed, value))
            if value < best_value:
                best, best_value = (candidate, states), value
        elif result.status != "infeasible":
            bound = -math.inf if claimed is None else min(bound, claimed)
    least = bound if math.isfinite(bound) else None
    details = {"nodes": nodes}
    if best is None:
        return (
            infeasible(problem, details=details, clock=clock)
            if worst == "optimal"
            else Outcome(worst, bound=least, message=message)
        )
    return Outcome(worst, plan_of(problem, *best), least, message=message, details=details)

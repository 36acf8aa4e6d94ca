"""Whole bits by a mixed-integer program in Pyomo: any form of the model, any of three solvers.

No solver's word is taken for the plan. Every point is rounded and put to the exact test; one that breaks a limit
within the solver's tolerance is cut off, together with every plan that is at least as noisy (or as large) tensor by
tensor, and the model is solved again. What remains unchecked is the solver's claim that nothing better exists.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, MethodError
from qopt.core.limits import within
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.core.solvers.pyomo import Answer, run_external, run_highs
from qopt.qpart.costs import breakdown
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.qpart.segments import Segment, segments

MAX_SEED = 2**31 - 1


def chosen_columns(segment: Segment, plan: QPartPlan) -> Any:
    """(n,) column of every item's width in the segment's tables."""
    columns = np.zeros(len(segment.tensors), dtype=np.int64)
    columns[segment.owner] = np.array([*plan.weights, *plan.activations], dtype=np.int64) - int(segment.bits[0])
    return columns


def broken_use(segment: Segment, columns: Any) -> FloatArray | None:
    """(n, k) what items use of a limit that the choice breaks in the exact test; None if it keeps all."""
    rows = np.arange(len(columns))
    for use, limit in ((segment.noise, segment.limit), (segment.storage, segment.memory)):
        if math.isfinite(limit) and not within(use[rows, columns], limit):
            return use
    return None


def exclude(model: Any, segment: Segment, columns: Any, use: FloatArray) -> None:
    """Cut off every plan of this cut that uses, tensor by tensor, at least as much as a plan that breaks the limit."""
    p, n = segment.cut, len(columns)
    shared = model.width.dim() == 2
    at_least = use >= use[np.arange(n), columns][:, None]
    terms = []
    for i, j in zip(*np.nonzero(at_least), strict=True):
        tensor, b = int(segment.tensors[i]), int(segment.bits[j])
        key = (tensor, b) if shared else (p, tensor, b)
        if key in model.width:
            terms.append(model.width[key])
    # Shared variables of another cut may reach n; a cut's own are all zero unless it is chosen.
    model.excluded.add(sum(terms) <= (n - model.cut[p] if shared else (n - 1) * model.cut[p]))


def solve(problem: QPart, options: Options) -> Outcome:
    """Solve the joint model of `qopt.formulations.qpart` in the form and with the solver asked for.

    Takes formulation (one-hot, aggregated, big-m, hull), solver (highs, cbc, glpk), time_limit, threads (not glpk)
    and seed. `Outcome.bound` is the solver's own, in the problem's units.
    """
    clock = options.clock()
    form, solver = options.formulation or "one-hot", options.solver or "highs"
    if options.seed is not None and options.seed > MAX_SEED:
        raise InputError("seed", str(options.seed), f"a whole number from 0 to {MAX_SEED} (solver {solver})")
    if solver == "glpk" and options.threads not in (None, 1):
        raise InputError("threads", str(options.threads), "1, because glpk runs on one thread")
    if solver not in ("highs", "cbc", "glpk"):
        raise MethodError(f"solver {solver}: found no such solver; allowed: highs, cbc, glpk")

    import pyomo.environ as pyo

    from qopt.formulations.qpart import extract, joint

    model = joint(problem, form)
    model.excluded = pyo.ConstraintList(doc="plans that broke a limit within the solver's tolerance")
    table = segments(problem)
    details: dict[str, Any] = {"formulation": form, "rounds": 0, "nodes": 0}
    bound: float | None = None
    while True:
        left = clock.left
        answer = run_highs(model, left, options) if solver == "highs" else run_external(solver, model, left, options)
        if solver != "highs" and answer.status == "infeasible" and clock.over:
            # cbc calls a problem infeasible when the clock stops it before its first plan.
            answer = Answer("time-limit", False, None)
        details["rounds"] += 1
        details["nodes"] += answer.nodes or 0
        if answer.bound is not None:
            bound = model.offset + model.unit * answer.bound
        if not answer.point:
            return Outcome(answer.status, bound=bound, message=answer.message, details=details)
        plan = extract(model, problem)
        segment = table.at(plan.cut)
        columns = chosen_columns(segment, plan)
        use = broken_use(segment, columns)
        if use is None:
            if bound is not None:
                bound = min(bound, breakdown(problem, plan).objective)  # above it by rounding only
            return Outcome(answer.status, plan, bound, message=answer.message, details=details)
        if answer.status != "optimal" or clock.over:
            status: Status = "time-limit" if clock.over else answer.status
            return Outcome(status, bound=bound, message="the solver's point breaks a limit", details=details)
        exclude(model, segment, columns, use)

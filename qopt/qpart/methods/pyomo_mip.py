"""Whole bits by a mixed-integer program in Pyomo: any form of the model, any of three solvers.

No solver's word is taken for the plan. Every point is rounded and put to the exact test; one that breaks a limit
within the solver's tolerance is cut off, together with every plan that is at least as noisy (or as large) tensor by
tensor, and the model is solved again. What remains unchecked is the solver's claim that nothing better exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import OutOfTime
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.core.solvers.exclusion import solve_and_exclude
from qopt.core.solvers.pyomo import asking, choose
from qopt.qpart.costs import breakdown
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem, subproblems

if TYPE_CHECKING:
    import pyomo.environ as pyo


def chosen_columns(subproblem: Subproblem, plan: QPartPlan) -> IntArray:
    """(n,) column of every item's width in the subproblem's tables."""
    columns: IntArray = np.zeros(len(subproblem.tensors), dtype=np.int64)
    columns[subproblem.owner] = subproblem.columns_of(np.array([*plan.weights, *plan.activations], dtype=np.int64))
    return columns


def broken_use(subproblem: Subproblem, columns: IntArray) -> FloatArray | None:
    """(n, k) what items use of a limit that the choice breaks in the exact test; None if it keeps all."""
    return next((row.use for row in subproblem.rows if not row.keeps(columns)), None)


def exclude(model: pyo.ConcreteModel, subproblem: Subproblem, columns: IntArray, use: FloatArray) -> None:
    """Cut off every plan of this cut that uses, tensor by tensor, at least as much as a plan that breaks the limit."""
    p, n = subproblem.cut, len(columns)
    shared = model.width.dim() == 2
    at_least = use >= use[np.arange(n), columns][:, None]
    terms = []
    for i, j in zip(*np.nonzero(at_least), strict=True):
        tensor, b = int(subproblem.tensors[i]), int(subproblem.bits[j])
        key = (tensor, b) if shared else (p, tensor, b)
        if key in model.width:
            terms.append(model.width[key])
    # Shared variables of another cut may reach n; a cut's own are all zero unless it is chosen.
    model.excluded.add(sum(terms) <= (n - model.cut[p] if shared else (n - 1) * model.cut[p]))


def solve(problem: QPart, options: Options) -> Outcome:
    """Solve the joint model of `qopt.formulations.qpart` in the form and with the solver asked for.

    Takes formulation (one-hot, aggregated, big-m, hull), solver, time_limit, threads, seed, start and verbose; some
    solvers take fewer (`qopt.core.solvers.programs`). `Outcome.bound` is the solver's own, in the problem's units.
    """
    clock, run = options.clock(), choose(options)
    form = options.formulation or "one-hot"

    import pyomo.environ as pyo

    from qopt.formulations.qpart import assign, extract, joint

    try:
        model = joint(problem, form, clock=clock)
    except OutOfTime:
        return Outcome("time-limit", message="there is no time to build the model and hand it over")
    model.excluded = pyo.ConstraintList(doc="plans that broke a limit within the solver's tolerance")
    table = subproblems(problem)

    ask = asking(run, model, problem, clock, options.start, assign, extract, offset=model.offset)

    def used(plan: QPartPlan) -> tuple[Subproblem, IntArray, FloatArray | None]:
        subproblem = table.at(plan.cut)
        columns = chosen_columns(subproblem, plan)
        return subproblem, columns, broken_use(subproblem, columns)

    def broken(plan: QPartPlan) -> str | None:
        return None if used(plan)[2] is None else "a limit"

    def cut_off(plan: QPartPlan) -> None:
        subproblem, columns, use = used(plan)
        assert use is not None
        exclude(model, subproblem, columns, use)

    found = solve_and_exclude(ask, broken, cut_off, clock=clock)
    bound = found.bound
    if found.point is not None and bound is not None:
        bound = min(bound, breakdown(problem, found.point).objective)  # above it by rounding only
    details = {"formulation": form, "rounds": found.rounds, "nodes": found.nodes or 0}
    return Outcome(found.status, found.point, bound, message=found.message, details=details)

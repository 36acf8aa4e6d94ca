"""Real-valued bits by a cone solver: the convex problem of every cut that can be best, in CVXPY."""

from __future__ import annotations

import math
import warnings

from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.core.solvers.cvxpy import run as cvxpy_run
from qopt.qpart.methods.cut_search import AtCut, best_cut, dual_bound
from qopt.qpart.methods.repair import holds, least_noise, repair
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem

RATE = 50_000
"""Tensors a second of a model that is built and handed to the solver, on two old cores."""


def _settings(solver: str, left: float | None) -> dict[str, object]:
    """Tolerances near the solver's best, and its time limit."""
    if solver == "clarabel":
        settings: dict[str, object] = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
        if left is not None:
            settings["time_limit"] = max(left, 1e-3)
        return settings
    settings = {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 200_000}
    if left is not None:
        settings["time_limit_secs"] = max(left, 1e-3)
    return settings


def solve(problem: QPart, options: Options) -> Outcome:
    """Solve the cone form of `qopt.formulations.qpart_convex` cut by cut (noise by the law only).

    Takes solver (clarabel, scs) and time_limit. `Outcome.bound` is the dual function at the solver's multipliers;
    ``details["multiplier"]`` is lambda of the accuracy row at the best cut, in objective per noise.
    """
    import cvxpy as cp

    from qopt.formulations.qpart_convex import convex_cvxpy, extract_widths, noisy, units

    clock, solver = options.clock(), options.solver or "clarabel"

    def at_cut(subproblem: Subproblem, _incumbent: float) -> AtCut:
        safe = least_noise(subproblem, "law")
        if not holds(subproblem, safe, "law"):
            return AtCut("infeasible")
        if len(subproblem.tensors) == 0:
            return AtCut("optimal", safe, subproblem.base, 0.0)
        if not clock.affords(len(subproblem.tensors), RATE):
            return AtCut("time-limit", message=f"there is no time to build the model of cut {subproblem.cut}")
        model = convex_cvxpy(problem, subproblem.cut)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "Solution may be inaccurate": the exact test and the bound judge
            try:
                cvxpy_run(model, solver, **_settings(solver, clock.left))
            except cp.SolverError as error:
                return AtCut("failed", message=f"{solver} broke off: {' '.join(str(error).split())[:200]}")
        if model.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) or model.var_dict["width"].value is None:
            status = "time-limit" if clock.over else "failed"
            return AtCut(status, message=f"{solver} stopped at cut {subproblem.cut}: {model.status}")
        width = repair(subproblem, extract_widths(model, subproblem), "law")
        _, unit = units(subproblem)
        multiplier = memory = 0.0
        if noisy(subproblem):
            multiplier = max(float(model.constraints[0].dual_value), 0.0) * unit / subproblem.limit
        if math.isfinite(subproblem.memory) and subproblem.stored.any():
            memory = max(float(model.constraints[-1].dual_value), 0.0) * unit / (subproblem.memory or 1.0)
        bound = dual_bound(subproblem, multiplier, memory)
        return AtCut("optimal", width, bound, multiplier, details={"memory_multiplier": memory})

    return best_cut(problem, clock, at_cut)

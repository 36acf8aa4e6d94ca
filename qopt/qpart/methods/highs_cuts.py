"""Real-valued bits by linear programs: Kelley's tangents in Pyomo, solved by HiGHS, with a lower bound each round."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.phases import phase, say, shift
from qopt.core.solution import Outcome
from qopt.core.solvers.pyomo import fresh_highs
from qopt.qpart.methods.cut_search import AtCut, best_cut, objective
from qopt.qpart.methods.repair import holds, least_noise, noise_of, repair
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem

if TYPE_CHECKING:
    from pyomo.contrib.solver.solvers.highs import Highs

GAP = 1e-9
"""The best mended point, which breaks no limit, must come this close to the LP's bound, relative to the sum of prices.
(The LP's own point may break the limit to the end: where all tangents have the price's slope, many points of the
LP are optimal.)"""

PROGRESS = 1e-12
"""Rounds go on beyond that while they bring point and bound together by this much: the error of the multiplier is
about the square root of the gap. HiGHS's smallest tolerance, 1e-10, ends it."""

TOLERANCES = (1e-10, 1e-9, 1e-8)
"""Feasibility tolerances. Where the warm simplex method loses its precision, a fresh one starts with the next."""

MAX_ROUNDS = 200

RATE = 10_000
"""Tensors a second of a model that is built and handed to HiGHS, on two old cores."""


def solve(problem: QPart, options: Options) -> Outcome:
    """Solve the tangent form of `qopt.formulations.qpart_convex` cut by cut (noise by the law or the grid).

    Takes time_limit, threads and verbose. Each round solves the linear relaxation and adds tangents at its point, at
    that point mended (`repair`), and at the mended point to which the accuracy row's dual prices the tensors.
    `Outcome.bound` is the best LP bound. ``details["rounds"]`` lists the LP bounds of the best cut,
    ``details["row_dual"]`` is the dual of its accuracy row in objective per noise, and ``details["multiplier"]`` the
    same, `polished` (without a memory row).
    """
    clock = options.clock()

    def at_cut(subproblem: Subproblem, incumbent: float) -> AtCut:
        return _at_cut(problem, subproblem, incumbent, options, clock)

    return best_cut(problem, clock, at_cut)


def priced_widths(subproblem: Subproblem, dual: float, width: FloatArray, model: str) -> FloatArray:
    """(n,) widths at which tensors spend what a dual of the accuracy row asks: pi_i / unit = dual (-f_i'(b_i)).

    Exact for the law; for the grid -f'/f is taken at the given widths.
    """
    from qopt.formulations.qpart_convex import least_width, steepness, units, width_at

    share = subproblem.price / units(subproblem)[1] / (dual * steepness(width, model))
    found = width_at(subproblem, np.maximum(share, 1e-300), model)
    clipped: FloatArray = np.clip(found, least_width(subproblem, model), float(subproblem.bits[-1]))
    return clipped


def dual_value(subproblem: Subproblem, dual: float, width: FloatArray, model: str) -> float:
    """Dual function, without the cut's base, at a dual of the scaled accuracy row (rounded, not certified)."""
    from qopt.formulations.qpart_convex import units

    for _ in range(1 if model == "law" else 30):
        width = priced_widths(subproblem, dual, width, model)
    multiplier = dual * units(subproblem)[1] / subproblem.limit
    noise = multiplier * noise_of(subproblem, width, model)
    return math.fsum([*(subproblem.price * width), *noise, -multiplier * subproblem.limit])


def polished(subproblem: Subproblem, dual: float, width: FloatArray, model: str) -> float:
    """A dual of the scaled accuracy row, improved by Newton's method on the dual function where that helps.

    Tensors between their bounds spend in inverse proportion to the dual; HiGHS's tolerance of 1e-10 on the tangents
    leaves it uncertain by about 1e-5.
    """
    from qopt.formulations.qpart_convex import least_width

    lo, hi = least_width(subproblem, model), float(subproblem.bits[-1])
    best, score = dual, dual_value(subproblem, dual, width, model)
    for _ in range(3):
        for _ in range(1 if model == "law" else 30):
            width = priced_widths(subproblem, dual, width, model)
        share = noise_of(subproblem, width, model) / subproblem.limit
        between = (width > lo) & (width < hi)
        inner, outer = math.fsum(share[between]), math.fsum(share[~between])
        if not (inner > 0.0 and outer < 1.0):
            break
        dual *= inner / (1.0 - outer)
        value = dual_value(subproblem, dual, width, model)
        if not value > score:
            break
        best, score = dual, value
    return best


def _solver(options: Options) -> Highs:
    """A HiGHS that keeps its model: rows are added to it and the simplex method goes on from its last basis."""
    solver = fresh_highs(options.threads)
    solver.config.load_solutions = False
    solver.config.raise_exception_on_nonoptimal_result = False
    solver.config.threads = options.threads
    solver.config.tee = options.verbose
    updates = solver.config.auto_updates
    for name in updates:
        updates[name] = False
    return solver


def _settings(tolerance: float) -> dict[str, object]:
    return {
        "solver": "simplex",
        "primal_feasibility_tolerance": tolerance,
        "dual_feasibility_tolerance": tolerance,
    }


def _at_cut(problem: QPart, subproblem: Subproblem, incumbent: float, options: Options, clock: Clock) -> AtCut:
    from pyomo.contrib.solver.common.results import TerminationCondition

    from qopt.formulations.qpart_convex import add_tangents, convex, extract_widths, noisy

    noise = problem.noise.model
    if not holds(subproblem, least_noise(subproblem, noise), noise):
        return AtCut("infeasible")
    if len(subproblem.tensors) == 0:
        return AtCut("optimal", np.zeros(0), subproblem.base, 0.0)

    if not clock.affords(len(subproblem.tensors), RATE):
        return AtCut("time-limit", message=f"there is no time to build the model of cut {subproblem.cut}")
    model = convex(problem, subproblem.cut)
    solver = _solver(options)
    tolerance = TOLERANCES[0]

    bounds: list[float] = []
    dual = 0.0
    best, value, last, spent, multiplier = None, math.inf, math.inf, 0.0, None
    status, message = "failed", f"no convergence at cut {subproblem.cut} in {MAX_ROUNDS} rounds"
    for _ in range(MAX_ROUNDS):
        left = clock.left
        limit = None if left is None else spent + max(left, 0.0)  # HiGHS counts from its first round
        with phase("hand_over"):
            results = solver.solve(model, solver_options=_settings(tolerance), time_limit=limit)
            shift("hand_over", "solve", float(results.timing_info.highs_time or 0.0) - spent)
        say("HiGHS", results.termination_condition.name)
        spent = float(results.timing_info.highs_time or 0.0)
        reason = results.termination_condition
        if reason == TerminationCondition.maxTimeLimit:
            status, message = "time-limit", ""
            break
        # "Optimal" may be said of the scaled program alone; then there is no point within the tolerances.
        if reason != TerminationCondition.convergenceCriteriaSatisfied or results.incumbent_objective is None:
            if best is None and reason == TerminationCondition.provenInfeasible and tolerance > TOLERANCES[0]:
                return AtCut("infeasible")
            looser = [t for t in TOLERANCES if t > tolerance]
            if not looser:
                message = f"HiGHS stopped: {reason.name}"
                break
            solver, tolerance, spent = _solver(options), looser[0], 0.0
            continue
        results.solution_loader.load_vars()
        bounds.append(float(model.offset + model.unit * results.incumbent_objective))
        width = extract_widths(model, subproblem)
        dual = 0.0
        if noisy(subproblem):
            dual = abs(float(results.solution_loader.get_duals([model.accuracy])[model.accuracy]))
        multiplier = dual * float(model.unit) / subproblem.limit if dual else 0.0
        if bounds[-1] >= incumbent:
            return AtCut("dominated", best, bounds[-1], multiplier)
        points = [repair(subproblem, width, noise)]
        if dual > 0.0:
            points.append(repair(subproblem, priced_widths(subproblem, dual, width, noise), noise))
        mended = [point for point in points if point is not None]
        for point in mended:
            if objective(subproblem, point) < value:
                best, value = point, objective(subproblem, point)
        gap = (value - max(bounds)) / float(model.unit)
        if gap <= PROGRESS or (gap <= GAP and gap > last - PROGRESS):
            break
        last = gap
        if clock.over:
            status, message = "time-limit", ""
            break
        for point in (width, *mended):
            solver.add_constraints(add_tangents(model, subproblem, point, noise))
    if best is not None and bounds and value - max(bounds) <= GAP * float(model.unit):
        status, message = "optimal", ""
    row_dual = multiplier
    if status == "optimal" and dual > 0.0 and best is not None and not hasattr(model, "memory"):
        multiplier = polished(subproblem, dual, best, noise) * float(model.unit) / subproblem.limit
    details: dict[str, object] = {"row_dual": row_dual, "rounds": bounds, "tangents": len(model.tangents)}
    return AtCut(status, best, max(bounds, default=None), multiplier, message, details)

"""Models in Pyomo handed to HiGHS, or to the programs cbc and glpsol, and what they say in qopt's words.

Methods call `choose`, which checks what the options ask of a solver and gives the function that runs it. No solver's
word is taken for a plan or for a proof: whoever calls puts the point to the exact test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qopt.core.arguments import is_whole
from qopt.core.clock import Clock
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.method import Options
from qopt.core.phases import phase, say, shift
from qopt.core.solution import Status

if TYPE_CHECKING:
    import pyomo.environ as pyo
    from pyomo.contrib.solver.solvers.highs import Highs

SOLVERS = ("highs", "cbc", "glpk")
"""Solvers that a model in Pyomo can be handed to, the usual one first."""

MAX_SEED = 2**31 - 1
"""All three hold their seeds in 32 bits with a sign."""

TOLERANCE = 1e-9
"""Feasibility and integrality tolerance asked for. With its default of 1e-6 HiGHS 1.15 calls plans optimal that are
up to 30 % worse than the optimum: noise terms differ by more orders of magnitude than that."""


@dataclass(frozen=True)
class Answer:
    """How a solver stopped: its reason in qopt's words, whether a point was loaded, its bound (scaled)."""

    status: Status
    point: bool
    bound: float | None
    nodes: int | None = None
    message: str = ""


def choose(options: Options) -> Callable[[pyo.ConcreteModel, Clock], Answer]:
    """The solver that options name, HiGHS by default: a function of a model in Pyomo and the clock to stop by.

    It solves to gap 0, loads the point into the model if there is one, and tells how the solver stopped.

    Raises
    ------
    InputError
        A seed outside 0..2^31 - 1, or several threads for glpk, which has one.
    MethodError
        The solver is none of `SOLVERS`.
    """
    solver, seed = options.solver or SOLVERS[0], options.seed
    if solver not in SOLVERS:
        raise MethodError(f"solver {solver}: found no such solver; allowed: {', '.join(SOLVERS)}")
    if seed is not None and not (is_whole(seed) and 0 <= seed <= MAX_SEED):
        raise InputError("seed", shown(seed), f"a whole number from 0 to {MAX_SEED} (solver {solver})")
    if solver == "glpk" and options.threads not in (None, 1):
        raise InputError("threads", shown(options.threads), "1, because glpk runs on one thread")

    def run(model: pyo.ConcreteModel, clock: Clock) -> Answer:
        if clock.over:
            return Answer("time-limit", False, None)
        if solver == "highs":
            return run_highs(model, clock.left, options)
        answer = run_external(solver, model, clock.left, options)
        # cbc calls a problem infeasible when the clock stops it before its first plan.
        stopped = answer.status == "infeasible" and clock.over
        return Answer("time-limit", False, None) if stopped else answer

    return run


def fresh_highs(threads: int | None) -> Highs:
    """A HiGHS of Pyomo's that has solved nothing yet.

    HiGHS's pool of threads is global to the process: without its reset a second number of threads is an error.
    """
    import highspy
    from pyomo.contrib.solver.solvers.highs import Highs

    if threads is not None:
        highspy.Highs.resetGlobalScheduler(True)
    return Highs()


def _finite(number: float | None) -> float | None:
    return float(number) if number is not None and math.isfinite(number) and abs(number) < 1e29 else None


def run_highs(model: pyo.ConcreteModel, left: float | None, options: Options) -> Answer:
    """Solve with HiGHS to gap 0 and load its point, if there is one.

    HiGHS 1.15 gave a wrong answer on about one in 500 small models of the forms big-m and hull, with presolve or
    without, never both; and with presolve it called a feasible one-hot model infeasible. So those forms, and
    models called infeasible, are solved a second time without presolve, and the better answer counts.
    """
    from pyomo.contrib.solver.common.results import SolutionStatus

    settings: dict[str, object] = {
        "mip_feasibility_tolerance": TOLERANCE,
        "primal_feasibility_tolerance": TOLERANCE,
        "dual_feasibility_tolerance": TOLERANCE,
    }
    if options.seed is not None:
        settings["random_seed"] = options.seed
    clock = Clock(left)

    def attempt(presolve: str) -> Any:
        with phase("hand_over"):
            results = ask(presolve)
            shift("hand_over", "solve", results.timing_info.timer.get_total_time("optimize"))
        say("HiGHS", results.termination_condition.name)
        return results

    def ask(presolve: str) -> Any:
        return fresh_highs(options.threads).solve(
            model,
            load_solutions=False,
            raise_exception_on_nonoptimal_result=False,
            time_limit=None if clock.left is None else max(clock.left, 0.0),
            threads=options.threads,
            rel_gap=0.0,
            abs_gap=0.0,
            solver_options=settings | {"presolve": presolve},
        )

    def has_point(results: Any) -> bool:
        return results.solution_status in (SolutionStatus.feasible, SolutionStatus.optimal)

    results = attempt("choose")
    answer = _reading(results, has_point(results))
    doubtful = answer.status in ("infeasible", "failed") or options.formulation in ("big-m", "hull")
    if doubtful and not clock.over:
        second = attempt("off")
        other = _reading(second, has_point(second))
        if other.point and (not answer.point or second.incumbent_objective < results.incumbent_objective):
            bounds = [a.bound for a in (answer, other) if a.bound is not None and a.point]
            nodes = (answer.nodes or 0) + (other.nodes or 0)
            results, answer = second, replace(other, bound=min(bounds, default=None), nodes=nodes)
    if answer.point:
        with phase("extract"):
            results.solution_loader.load_vars()
    return answer


def _reading(results: Any, point: bool) -> Answer:
    """What HiGHS says, in qopt's words."""
    from pyomo.contrib.solver.common.results import TerminationCondition

    reason = results.termination_condition
    statuses: dict[object, Status] = {
        TerminationCondition.convergenceCriteriaSatisfied: "optimal",
        TerminationCondition.provenInfeasible: "infeasible",
        TerminationCondition.infeasibleOrUnbounded: "infeasible",  # every variable is bounded
        TerminationCondition.maxTimeLimit: "time-limit",
    }
    status = statuses.get(reason, "failed")
    if status == "optimal" and not point:
        status = "failed"
    nodes = getattr(results.extra_info, "mip_node_count", None)
    message = f"HiGHS stopped: {reason.name}" if status == "failed" else ""
    bound = _finite(results.objective_bound) if status != "infeasible" else None
    return Answer(status, point and status != "infeasible", bound, None if nodes is None else int(nodes), message)


def run_external(name: str, model: pyo.ConcreteModel, left: float | None, options: Options) -> Answer:
    """Solve with the program of ``cbc`` or ``glpk`` to gap 0 and load its point, if there is one."""
    import pyomo.environ as pyo
    from pyomo.opt import SolverStatus, TerminationCondition

    settings: dict[str, object] = {}
    if name == "cbc":
        settings |= {"ratioGap": 0, "allowableGap": 0, "primalTolerance": TOLERANCE, "integerTolerance": TOLERANCE}
        if left is not None:
            settings |= {"timeMode": "elapsed", "seconds": max(left, 0.01)}
        if options.threads is not None:
            settings["threads"] = options.threads
        if options.seed is not None:
            settings |= {"randomSeed": options.seed, "randomCbcSeed": options.seed}
    else:
        settings["mipgap"] = 0
        if left is not None:
            settings["tmlim"] = max(math.ceil(left), 1)  # glpsol takes whole seconds
        if options.seed is not None:
            settings["seed"] = options.seed
    solver = pyo.SolverFactory(name)
    try:
        with phase("hand_over"):
            results = solver.solve(model, load_solutions=False, options=settings)
            shift("hand_over", "solve", _finite(getattr(results.solver, "time", None)))
        say(name, results.solver.termination_condition)
    except (ValueError, RuntimeError, OSError) as error:  # Pyomo's ways to say that the program broke off
        return Answer("failed", False, None, message=f"{name} broke off: {' '.join(str(error).split())[:200]}")
    reason = results.solver.termination_condition
    point = len(results.solution) > 0 and bool(results.solution(0).variable)
    point = point and reason != TerminationCondition.intermediateNonInteger
    statuses: dict[object, Status] = {
        TerminationCondition.optimal: "optimal",
        TerminationCondition.infeasible: "infeasible",
        TerminationCondition.infeasibleOrUnbounded: "infeasible",
        TerminationCondition.maxTimeLimit: "time-limit",
    }
    if left is not None:  # what programs say that the clock stopped with, and without, a plan
        statuses |= dict.fromkeys(
            (TerminationCondition.feasible, TerminationCondition.intermediateNonInteger), "time-limit"
        )
    status = statuses.get(reason, "failed")
    if status in ("optimal", "time-limit") and point:
        # Variables at zero may be missing from the solver's file.
        for variable in model.component_data_objects(pyo.Var):
            if not variable.fixed:
                variable.set_value(0, skip_validation=True)
        results.solver.status = SolverStatus.ok  # Pyomo logs a warning where the clock stopped the program
        model.solutions.load_from(results, ignore_invalid_labels=True, default_variable_value=0)
    elif status == "optimal":
        status = "failed"
    bound = _finite(results.problem.lower_bound) if status in ("optimal", "time-limit") else None
    message = f"{name} stopped: {reason}" if status == "failed" else ""
    return Answer(status, point and status in ("optimal", "time-limit"), bound, message=message)

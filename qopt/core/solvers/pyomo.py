"""Models in Pyomo handed to HiGHS, or to the solvers of `qopt.core.solvers.programs`, and what they say in our words.

Methods call `choose`, which checks what the options ask of a solver and gives the function that runs it. No solver's
word is taken for a plan or for a proof: whoever calls puts the point to the exact test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.arguments import is_whole
from qopt.core.clock import Clock
from qopt.core.errors import InputError, shown
from qopt.core.method import Options
from qopt.core.phases import phase, say, shift
from qopt.core.plan import Plan
from qopt.core.solution import Status
from qopt.core.solvers.answers import TOLERANCE, Answer, finite
from qopt.core.solvers.exclusion import Point, Round
from qopt.core.solvers.programs import check, run_further, run_in_own_process, run_program

if TYPE_CHECKING:
    import pyomo.environ as pyo
    from pyomo.contrib.solver.solvers.highs import Highs

MAX_SEED = 2**31 - 1
"""Solvers hold their seeds in 32 bits with a sign."""


def choose(options: Options) -> Callable[[pyo.ConcreteModel, Clock], Answer]:
    """The solver that options name, HiGHS by default: a function of a model in Pyomo and the clock to stop by.

    It solves to gap 0, loads the point into the model if there is one, and tells how the solver stopped. With
    `Options.start` the model holds the values of a plan, from which the solver begins.

    Raises
    ------
    InputError
        A setting that the solver cannot be told: a seed outside 0..2^31 - 1, several threads or a start for one that
        takes none, threads or a seed for a solver that only Pyomo knows.
    MethodError
        There is no such solver.
    """
    solver, seed = options.solver or "highs", options.seed
    if seed is not None and not (is_whole(seed) and 0 <= seed <= MAX_SEED):
        raise InputError("seed", shown(seed), f"a whole number from 0 to {MAX_SEED} (solver {solver})")
    check(solver, options)
    route = {"scip": run_in_own_process, "cp-sat": run_in_own_process, "cbc": run_program, "glpk": run_program}

    def run(model: pyo.ConcreteModel, clock: Clock) -> Answer:
        if clock.over:
            return Answer("time-limit", False, None)
        if solver == "highs":
            return run_highs(model, clock.left, options)
        answer = route.get(solver, run_further)(solver, model, clock.left, options)
        # cbc calls a problem infeasible when the clock stops it before its first plan.
        stopped = answer.status == "infeasible" and clock.over
        return Answer("time-limit", False, None) if stopped else answer

    return run


def asking(
    run: Callable[[pyo.ConcreteModel, Clock], Answer],
    model: Any,
    problem: Any,
    clock: Clock,
    start: Plan | None,
    assign: Callable[[Any, Any, Any], None],
    extract: Callable[[Any, Any], Point],
    *,
    offset: float = 0.0,
) -> Callable[[], Round[Point]]:
    """A joint model put to its solver once more, as `qopt.core.solvers.exclusion.solve_and_exclude` asks for it.

    Parameters
    ----------
    run : of `choose`.
    model : whose objective is the problem's less `offset`, in units of ``model.unit``.
    problem : that it is of.
    clock : what is left of it is the solver's.
    start : a plan to begin every round with, or None.
    assign, extract : of the family's formulation: a plan into the model's variables, and back.
    offset : what the model's objective leaves out, in the unit of the problem's objective.
    """

    def ask() -> Round[Point]:
        if start is not None:
            assign(model, problem, start)
        said = run(model, clock)
        plan = extract(model, problem) if said.point else None
        bound = None if said.bound is None else offset + model.unit * said.bound
        return Round(said.status, plan, bound, said.nodes, said.message)

    return ask


def fresh_highs(threads: int | None) -> Highs:
    """A HiGHS of Pyomo's that has solved nothing yet.

    HiGHS's pool of threads is global to the process: without its reset a second number of threads is an error.
    """
    import highspy
    from pyomo.contrib.solver.solvers.highs import Highs

    if threads is not None:
        highspy.Highs.resetGlobalScheduler(True)
    return Highs()


def run_highs(model: pyo.ConcreteModel, left: float | None, options: Options) -> Answer:
    """Solve with HiGHS to gap 0 and load its point, if there is one.

    HiGHS 1.15 gave a wrong answer on about one in 500 small models of the forms big-m and hull, with presolve or
    without, never both; and with presolve it called a feasible one-hot model infeasible. So those forms, and
    models called infeasible, are solved a second time without presolve, and the better answer counts. With a start
    the first time is HiGHS on arrays, which Pyomo's interface gives no point to begin with.
    """
    from pyomo.contrib.solver.common.results import SolutionStatus

    if options.start is not None:
        answer = _from_start(model, left, options)
        if answer.status not in ("infeasible", "failed") and options.formulation not in ("big-m", "hull"):
            return answer

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
            tee=options.verbose,
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


def _from_start(model: pyo.ConcreteModel, left: float | None, options: Options) -> Answer:
    """Solve a model's arrays from the values that it holds, and load the point."""
    from qopt.core.solvers.arrays import compiled
    from qopt.core.solvers.highs import SolverError, solve_milp

    made = compiled(model)
    linear = made.linear
    try:
        said = solve_milp(
            linear.cost,
            linear.matrix,
            linear.row_lower,
            linear.row_upper,
            linear.upper,
            linear.integer,
            time_limit=left,
            threads=options.threads,
            seed=options.seed,
            start=np.array([float(v.value or 0.0) for v in made.variables]),
            log=options.verbose,
            smallest=1e-9,  # as without a start
        )
    except SolverError as error:
        return Answer("failed", False, None, message=str(error))
    if said.x is not None:
        made.load(said.x.tolist())
    bound = None if said.bound is None else said.bound + made.constant
    message = f"HiGHS stopped: {said.message}" if said.status == "failed" else ""
    return Answer(said.status, said.x is not None, bound, said.nodes, message)


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
    bound = finite(results.objective_bound) if status != "infeasible" else None
    return Answer(status, point and status != "infeasible", bound, None if nodes is None else int(nodes), message)

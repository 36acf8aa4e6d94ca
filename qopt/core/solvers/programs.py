"""Solvers other than HiGHS for models in Pyomo: programs, packages in their own process, and what only Pyomo knows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qopt.core.errors import InputError, MethodError, shown
from qopt.core.method import Options
from qopt.core.phases import phase, say, shift
from qopt.core.solution import Status
from qopt.core.solvers import own_process
from qopt.core.solvers.answers import TOLERANCE, Answer, finite
from qopt.core.solvers.backends import MIP_SOLVERS, in_pyomo, program

if TYPE_CHECKING:
    import pyomo.environ as pyo

STARTED = ("highs", "scip", "cbc", "cp-sat", "gurobi")
"""Solvers that begin with a plan."""


def check(solver: str, options: Options) -> None:
    """Refuse settings that a solver cannot be told. (A seed is nothing to GLPK, which draws nothing.)"""

    def refuse(name: str, allowed: str) -> None:
        raise InputError(name, shown(getattr(options, name)), allowed)

    if solver in ("glpk", "scip") and options.threads not in (None, 1):
        refuse("threads", f"1, because {solver} runs on one thread")
    if options.start is not None and solver not in STARTED:
        refuse("start", f"nothing with solver {solver}; {', '.join(STARTED)} begin with a plan")
    known = [backend.name for backend in MIP_SOLVERS]
    if solver not in known:
        if in_pyomo(solver):
            raise MethodError(f"solver {solver}: found no such solver; allowed: {', '.join(known)}")
        for name in ("threads", "seed"):
            if getattr(options, name) is not None:
                refuse(name, f"nothing: how {solver} is told, only its own interface knows")


def run_in_own_process(name: str, model: pyo.ConcreteModel, left: float | None, options: Options) -> Answer:
    """Solve with ``scip``, ``cp-sat`` or GLPK's package in a process of its own, and load the point."""
    from qopt.core.solvers.arrays import compiled
    from qopt.core.writers import mps

    made = compiled(model)
    columns = made.linear.columns
    start = None
    if options.start is not None:
        start = {c: float(v.value or 0.0) for c, v in zip(columns, made.variables, strict=True)}
    text = mps.write(made.linear)
    with phase("solve"):
        said = own_process.run(
            name,
            text,
            left=left,
            seed=options.seed,
            threads=options.threads,
            start=start,
            verbose=options.verbose,
        )
    say(name, said["message"] or said["status"])
    values, bound = said["values"], said["bound"]
    if values is not None:
        made.load(float(values.get(column, 0.0)) for column in columns)
    bound = None if bound is None else finite(bound + made.constant)
    return Answer(said["status"], values is not None, bound, said["nodes"], said["message"])


def run_program(name: str, model: pyo.ConcreteModel, left: float | None, options: Options) -> Answer:
    """Solve with the program of ``cbc`` or ``glpk`` to gap 0 and load its point, if there is one."""
    path = program(name)
    if path is None:
        return run_in_own_process(name, model, left, options)
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
    return _through_pyomo(name, model, left, options, settings, executable=path)


def run_further(name: str, model: pyo.ConcreteModel, left: float | None, options: Options) -> Answer:
    """Solve with Gurobi, or with what Pyomo knows by this name; of gaps only Gurobi is told."""
    settings: dict[str, object] = {}
    if name == "gurobi":
        name = "gurobi_direct"
        settings = {"MIPGap": 0, "MIPGapAbs": 0, "FeasibilityTol": TOLERANCE, "IntFeasTol": TOLERANCE}
        settings |= {} if options.threads is None else {"Threads": options.threads}
        settings |= {} if options.seed is None else {"Seed": options.seed}
    return _through_pyomo(name, model, left, options, settings)


def _through_pyomo(
    name: str,
    model: pyo.ConcreteModel,
    left: float | None,
    options: Options,
    settings: dict[str, object],
    executable: str | None = None,
) -> Answer:
    """Solve with a solver of Pyomo's, and load its point, if there is one."""
    import pyomo.environ as pyo

    solver = pyo.SolverFactory(name) if executable is None else pyo.SolverFactory(name, executable=executable)
    own: dict[str, Any] = {}
    if executable is None and left is not None:
        own["timelimit"] = max(left, 0.01)
    if options.start is not None:
        own["warmstart"] = True
    try:
        with phase("hand_over"):
            results = solver.solve(model, load_solutions=False, options=settings, tee=options.verbose, **own)
            told = getattr(results.solver, "time", None)
            shift("hand_over", "solve", told if isinstance(told, float) else None)
        say(name, results.solver.termination_condition)
    except Exception as error:  # Pyomo's interfaces raise what they like where the solver broke off
        return Answer("failed", False, None, message=f"{name} broke off: {' '.join(str(error).split())[:200]}")
    return _reading(name, model, left, results)


def _reading(name: str, model: pyo.ConcreteModel, left: float | None, results: Any) -> Answer:
    """What a solver of Pyomo's says, in qopt's words."""
    import pyomo.environ as pyo
    from pyomo.opt import SolverStatus, TerminationCondition

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
    bound = finite(results.problem.lower_bound) if status in ("optimal", "time-limit") else None
    message = f"{name} stopped: {reason}" if status == "failed" else ""
    return Answer(status, point and status in ("optimal", "time-limit"), bound, message=message)

"""Models in CVXPY handed to any solver that it finds: its time limit, its log, and what breaks off said in a line."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from qopt.core.errors import InputError, shown
from qopt.core.method import Options
from qopt.core.phases import phase, say, shift

if TYPE_CHECKING:
    import cvxpy as cp

LIMITS = {
    "clarabel": "time_limit",
    "gurobi": "TimeLimit",
    "highs": "time_limit",
    "osqp": "time_limit",
    "scs": "time_limit_secs",
}
"""What solvers call their limit in seconds. SCIP and SciPy take it inside other settings."""


def check(solver: str, options: Options) -> None:
    """Refuse a time limit that a solver cannot be told."""
    if options.time_limit is not None and solver not in (*LIMITS, "scip", "scipy"):
        allowed = f"nothing: how {solver} is told, only its own interface knows"
        raise InputError("time_limit", shown(options.time_limit), allowed)


def limited(solver: str, left: float | None) -> dict[str, object]:
    """The setting of a time limit [s]; none where there is none."""
    if left is None:
        return {}
    seconds = max(left, 1e-3)
    if solver == "scip":
        return {"scip_params": {"limits/time": seconds}}
    return {"scipy_options": {"time_limit": seconds}} if solver == "scipy" else {LIMITS[solver]: seconds}


def attempt(model: cp.Problem, solver: str, settings: dict[str, object], verbose: bool) -> str:
    """Solve a model; where the solver broke off, a line that says so, else nothing.

    Compiling the model and reading it back counts as handing over, the rest as solving.
    """
    try:
        with phase("hand_over"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "may be inaccurate": the exact test judges
            model.solve(solver=solver.upper(), verbose=verbose, **settings)
            say(solver, model.status)
            shift("hand_over", "solve", getattr(model.solver_stats, "solve_time", None))
    except Exception as error:  # CVXPY's interfaces raise what they like, and ValueError where no point came
        return f"{solver} broke off: {' '.join(str(error).split())[:200]}"
    return ""

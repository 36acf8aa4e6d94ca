"""Models in CVXPY handed to a solver, with the time that each part takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qopt.core.phases import phase, say, shift

if TYPE_CHECKING:
    import cvxpy as cp


def run(model: cp.Problem, solver: str, **settings: Any) -> None:
    """``model.solve``: compiling it and reading it back counts as handing over, the rest as solving.

    Parameters
    ----------
    model : what is solved.
    solver : its name in qopt.
    settings : of `cvxpy.Problem.solve`.
    """
    with phase("hand_over"):
        try:
            model.solve(solver=solver.upper(), **settings)
        finally:
            if model.status is not None:
                say(solver, model.status)
            shift("hand_over", "solve", getattr(model.solver_stats, "solve_time", None))

"""The solvers that a mixed-integer model in Pyomo can be handed to, and any other that Pyomo or CVXPY finds.

A method lists those of the first kind by name (`MIP_SOLVERS`); `in_pyomo` and `in_cvxpy` look for the others when they
are asked for. What is not there is said with the reason.
"""

from __future__ import annotations

import importlib.util
import shutil
from functools import cache

from qopt.core.method import Backend

HIGHS = Backend("highs", module="highspy")

MIP_SOLVERS = (
    HIGHS,
    Backend("scip", packages=("pyscipopt",)),
    Backend("cbc", program="cbc", packages=("pulp",)),
    Backend("glpk", program="glpsol", packages=("swiglpk",)),
    Backend("cp-sat", packages=("ortools",)),
    Backend("gurobi", packages=("gurobipy",)),
)
"""The usual one first. `scip`, `cp-sat` and glpk's package run in a process of their own."""

CLARABEL = Backend("clarabel", module="clarabel")
SCS = Backend("scs", module="scs")
SCIPY = Backend("scipy", module="scipy")

CVXPY_SOLVERS = (HIGHS, CLARABEL, SCS, SCIPY)
"""Those that methods on CVXPY name; which of them depends on the family."""

BESIDE_HIGHS = {"GLOP": "ortools", "PDLP": "ortools"}
"""Solvers of CVXPY whose package does not load beside highspy, which CVXPY loads itself."""

META = (
    *("gdpopt", "mindtpy", "multistart", "mpec_", "path", "trustregion", "py", "asl", "contrib"),
    *("ipopt", "appsi_ipopt", "cyipopt", "conopt", "scipy", "knitro"),
)
"""Beginnings of names by which Pyomo calls what is no solver of mixed-integer linear programs."""


def program(name: str) -> str | None:
    """Path of a backend's program: on the path, or cbc in the package pulp; None where there is none."""
    backend = next(b for b in MIP_SOLVERS if b.name == name)
    found = shutil.which(backend.program) if backend.program else None
    if found is None and name == "cbc" and importlib.util.find_spec("pulp") is not None:
        import warnings

        import pulp

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that PuLP 4 will come without the program
            return str(pulp.PULP_CBC_CMD().path)
    return found


@cache
def in_pyomo(name: str) -> str | None:
    """Why a solver of this name cannot be used through Pyomo, or None."""
    import logging

    from pyomo.environ import SolverFactory  # which, unlike that of pyomo.opt, knows them all

    if name not in SolverFactory or name.startswith((*META, "_")):
        return "Pyomo knows no solver of that name for mixed-integer programs"
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # Pyomo warns of what it does not find; the answer says it
    try:
        available = bool(SolverFactory(name).available(exception_flag=False))
    except Exception as error:  # whatever a plug-in raises
        return f"Pyomo finds no {name} ({' '.join(str(error).split())[:100]})"
    finally:
        logging.disable(level)
    return None if available else f"Pyomo finds no {name} here"


@cache
def in_cvxpy(name: str) -> str | None:
    """Why a solver of this name cannot be used through CVXPY, or None."""
    import cvxpy as cp

    if name.upper() in BESIDE_HIGHS:
        return f"the package {BESIDE_HIGHS[name.upper()]} does not load beside highspy"
    return None if name.upper() in cp.installed_solvers() else "CVXPY finds no solver of that name here"


@cache
def in_cvxpy_cones(name: str) -> str | None:
    """Why a solver of this name cannot be used through CVXPY for exponential cones, or None."""
    from cvxpy.constraints import ExpCone
    from cvxpy.reductions.solvers.defines import SOLVER_MAP_CONIC

    conic = SOLVER_MAP_CONIC.get(name.upper())
    if conic is not None and ExpCone not in conic.SUPPORTED_CONSTRAINTS:
        return "it has no exponential cones"
    return in_cvxpy(name)


def listed() -> list[dict[str, object]]:
    """Every solver, a record each: name, method (``pyomo`` or ``cvxpy``), listed (whether methods name it), reason.

    The reason is None where it can be used.
    """
    by_method = {"pyomo": MIP_SOLVERS, "cvxpy": CVXPY_SOLVERS}
    found: list[dict[str, object]] = []
    for method, backends in by_method.items():
        known = {backend.name: backend.missing() for backend in backends}
        found += [{"name": n, "method": method, "listed": True, "reason": why} for n, why in known.items()]
        further = {n: why for n, why in others(method).items() if n not in known}
        found += [{"name": n, "method": method, "listed": False, "reason": why} for n, why in further.items()]
    return found


def others(library: str) -> dict[str, str | None]:
    """Every further solver that a library (``pyomo`` or ``cvxpy``) knows: None, or the reason why it cannot be used."""
    if library == "pyomo":
        from pyomo.environ import SolverFactory

        named = {backend.name for backend in MIP_SOLVERS}
        names = [n for n in SolverFactory if not n.startswith((*META, "_")) and n not in named]
        return {name: in_pyomo(name) for name in names}
    from cvxpy.reductions.solvers.defines import SOLVER_MAP_CONIC, SOLVER_MAP_QP

    known = sorted({*SOLVER_MAP_CONIC, *SOLVER_MAP_QP})
    return {name.lower(): in_cvxpy(name.lower()) for name in known}

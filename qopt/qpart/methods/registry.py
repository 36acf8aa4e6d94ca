"""All methods, in the order in which they are listed. The first exact one that can solve a problem is its default."""

from __future__ import annotations

from collections.abc import Callable

from qopt.core.method import Method
from qopt.core.solvers.backends import CLARABEL, MIP_SOLVERS, SCS
from qopt.qpart.methods import brute_force
from qopt.qpart.methods.paper import EQUATIONS
from qopt.qpart.methods.published import PRINTED_FIRST, no_menus
from qopt.qpart.problem import QPart
from qopt.qpart.real_bits import not_in_closed_form


def _needs_law(problem: QPart) -> str | None:
    """Why a method that works on the coefficients s cannot take a problem, or None."""
    noise = problem.noise
    if noise.s_weights is None or noise.s_activations is None:
        return "noise.s_weights and noise.s_activations are missing, this method works on the law"
    return None


def _takes(*models: str) -> Callable[[QPart], str | None]:
    """A test that refuses problems whose noise follows none of some models."""

    def refuses(problem: QPart) -> str | None:
        model = problem.noise.model
        return None if model in models else f"it takes noise by {' or '.join(models)}, this problem's is a {model}"

    return refuses


def _first_of(*tests: Callable[[QPart], str | None]) -> Callable[[QPart], str | None]:
    """A test that gives the first reason that any of some tests has."""
    return lambda problem: next((why for test in tests if (why := test(problem)) is not None), None)


def _no_tables(problem: QPart) -> str | None:
    """Why the published rule, which prices MACs, cannot take a problem, or None."""
    return None if problem.tables is None else "the published rule prices MACs, this problem has tables"


METHODS: tuple[Method, ...] = (
    Method(
        name="mckp",
        summary="multiple-choice knapsack at every candidate cut: LP bound, reduced-cost fixing, Pareto lists",
        bits="whole",
        proves="optimal, with a witness",
        target="qopt.qpart.methods.mckp:solve",
        options=("time_limit",),
    ),
    Method(
        name="highs-mip",
        summary="joint one-hot model over cut and bits, as arrays for HiGHS, gap 0",
        bits="whole",
        proves="optimal by the solver's word",
        target="qopt.qpart.methods.highs_mip:solve",
        imports=("highspy",),
        needs=("highspy",),
        options=("time_limit", "threads", "seed", "start", "verbose"),
    ),
    Method(
        name="pyomo",
        summary="the readable joint model, in four formulations",
        bits="whole",
        proves="optimal by the solver's word",
        target="qopt.qpart.methods.pyomo_mip:solve",
        imports=("pyomo.environ", "qopt.formulations.qpart", "pyomo.contrib.solver.solvers.highs"),
        needs=("pyomo",),
        solvers=MIP_SOLVERS,
        further="qopt.core.solvers.backends:in_pyomo",
        formulations=("one-hot", "aggregated", "big-m", "hull"),
        options=("time_limit", "threads", "seed", "solver", "formulation", "start", "verbose"),
    ),
    Method(
        name="brute-force",
        summary="every plan, small instances",
        bits="whole",
        proves="optimal by enumeration",
        target="qopt.qpart.methods.brute_force:solve",
        options=("time_limit",),
        refuses=brute_force.too_large,
    ),
    Method(
        name="round-up",
        summary="the closed form's widths rounded up",
        bits="whole",
        proves="nothing: a heuristic",
        target="qopt.qpart.methods.simple:solve_round_up",
        imports=("scipy.optimize",),
        exact=False,
        options=("time_limit",),
        refuses=_needs_law,
    ),
    Method(
        name="uniform",
        summary="one width for every tensor, the smallest that keeps the limits",
        bits="whole",
        proves="nothing: a heuristic",
        target="qopt.qpart.methods.simple:solve_uniform",
        exact=False,
        options=("time_limit",),
    ),
    Method(
        name="qpart-paper",
        summary="the published algorithm: Eq. 40 at the cut, Eq. 27 for the rest, rounded up",
        bits="whole",
        proves="nothing: it may break the noise limit",
        target="qopt.qpart.methods.paper:solve",
        exact=False,
        formulations=EQUATIONS,
        options=("time_limit", "formulation"),
        refuses=_first_of(_needs_law, _no_tables),
    ),
    Method(
        name="qpart-published",
        summary="Algorithms 1 and 2 as published: widths fixed offline under Table II, the cut chosen online",
        bits="whole",
        proves="nothing: it may break the noise limit",
        target="qopt.qpart.methods.published:solve",
        exact=False,
        formulations=PRINTED_FIRST,
        options=("time_limit", "formulation"),
        refuses=_first_of(_needs_law, _no_tables, no_menus),
    ),
    Method(
        name="kkt",
        summary="closed form with bounds at every candidate cut",
        bits="real",
        proves="optimal, by strong duality",
        target="qopt.qpart.methods.kkt:solve",
        imports=("scipy.optimize",),
        refuses=_first_of(_takes("law"), not_in_closed_form),
        options=("time_limit",),
    ),
    Method(
        name="highs-cuts",
        summary="Kelley's tangents on the convex Pyomo model, solved by HiGHS",
        bits="real",
        proves="optimal within 1e-9 of the limit, a lower bound each round",
        target="qopt.qpart.methods.highs_cuts:solve",
        imports=("pyomo.environ", "qopt.formulations.qpart_convex", "pyomo.contrib.solver.solvers.highs", "highspy"),
        refuses=_first_of(_takes("law", "grid"), not_in_closed_form),
        needs=("pyomo", "highspy"),
        options=("time_limit", "threads", "verbose"),
    ),
    Method(
        name="cvxpy",
        summary="the convex problem with exponential cones",
        bits="real",
        proves="optimal within the solver's tolerance",
        target="qopt.qpart.methods.convex_cvxpy:solve",
        imports=("cvxpy", "qopt.formulations.qpart_convex"),
        refuses=_first_of(_takes("law"), not_in_closed_form),
        needs=("cvxpy",),
        solvers=(CLARABEL, SCS),
        further="qopt.core.solvers.backends:in_cvxpy_cones",
        options=("time_limit", "solver", "verbose"),
    ),
)

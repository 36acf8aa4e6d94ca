"""All methods, in the order in which they are listed. The first exact one that can solve a problem is its default."""

from __future__ import annotations

from qopt.algorithms import brute_force
from qopt.algorithms.method import Backend, Bits, Method, fastest, named
from qopt.problems.qpart import QPart

HIGHS = Backend("highs", module="highspy")


def _needs_law(problem: QPart) -> str | None:
    """Why a method that works on the coefficients s cannot take a problem, or None."""
    noise = problem.noise
    if noise.s_weights is None or noise.s_activations is None:
        return "noise.s_weights and noise.s_activations are missing, this method works on the law"
    return None


METHODS: tuple[Method, ...] = (
    Method(
        name="mckp",
        summary="multiple-choice knapsack at every promising cut: LP bound, reduced-cost fixing, Pareto lists",
        bits="whole",
        proves="optimal, with a witness",
        target="qopt.algorithms.mckp:solve",
        options=("time_limit",),
    ),
    Method(
        name="highs-mip",
        summary="joint one-hot model over cut and bits, as arrays for HiGHS, gap 0",
        bits="whole",
        proves="optimal by the solver's word",
        target="qopt.algorithms.highs_mip:solve",
        needs=("highspy",),
        options=("time_limit", "threads", "seed"),
    ),
    Method(
        name="pyomo",
        summary="the readable joint model, in four formulations",
        bits="whole",
        proves="optimal by the solver's word",
        target="qopt.algorithms.pyomo_mip:solve",
        needs=("pyomo",),
        solvers=(HIGHS, Backend("cbc", program="cbc"), Backend("glpk", program="glpsol")),
        formulations=("one-hot", "aggregated", "big-m", "hull"),
        options=("time_limit", "threads", "seed", "solver", "formulation"),
    ),
    Method(
        name="brute-force",
        summary="every plan, small instances",
        bits="whole",
        proves="optimal by enumeration",
        target="qopt.algorithms.brute_force:solve",
        options=("time_limit",),
        refuses=brute_force.too_large,
    ),
    Method(
        name="round-up",
        summary="the closed form's widths rounded up",
        bits="whole",
        proves="nothing: a heuristic",
        target="qopt.algorithms.simple:solve_round_up",
        exact=False,
        refuses=_needs_law,
    ),
    Method(
        name="uniform",
        summary="one width for every tensor, the smallest that keeps the limits",
        bits="whole",
        proves="nothing: a heuristic",
        target="qopt.algorithms.simple:solve_uniform",
        exact=False,
    ),
    Method(
        name="qpart-paper",
        summary="the published algorithm: Eq. 40 at the cut, Eq. 27 for the rest, rounded up",
        bits="whole",
        proves="nothing: it may break the noise limit",
        target="qopt.algorithms.paper:solve",
        exact=False,
        refuses=_needs_law,
    ),
    Method(
        name="kkt",
        summary="closed form with bounds at every promising cut",
        bits="real",
        proves="optimal, by strong duality",
        target="qopt.algorithms.kkt:solve",
        noise=("law",),
        options=("time_limit",),
    ),
    Method(
        name="highs-cuts",
        summary="Kelley's tangents on the convex Pyomo model, solved by HiGHS",
        bits="real",
        proves="optimal within 1e-9 of the limit, a lower bound each round",
        target="qopt.algorithms.highs_cuts:solve",
        noise=("law", "grid"),
        needs=("pyomo", "highspy"),
        options=("time_limit", "threads"),
    ),
    Method(
        name="cvxpy",
        summary="the convex problem with exponential cones",
        bits="real",
        proves="optimal within the solver's tolerance",
        target="qopt.algorithms.convex_cvxpy:solve",
        noise=("law",),
        needs=("cvxpy",),
        solvers=(Backend("clarabel", module="clarabel"), Backend("scs", module="scs")),
        options=("time_limit", "solver"),
    ),
)


def get(name: str) -> Method:
    """The method of a name."""
    return named(METHODS, name)


def default(problem: QPart, bits: Bits) -> Method:
    """The fastest exact method for a problem over whole or real-valued bits."""
    return fastest(METHODS, problem, bits)

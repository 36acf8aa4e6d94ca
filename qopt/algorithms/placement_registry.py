"""All methods for placements, as they are listed. The first exact one that can solve a problem is its default."""

from __future__ import annotations

from qopt.algorithms import placement_brute_force, placement_candidates, placement_chain, placement_pyomo
from qopt.algorithms.method import Backend, Method, fastest, named
from qopt.problems.placement import Placement

METHODS: tuple[Method, ...] = (
    Method(
        name="mincut",
        summary="a minimum cut for each operator",
        proves="optimal without binding limits, with a witness",
        target="qopt.algorithms.placement_mincut:solve",
        refuses=placement_candidates.binding,
    ),
    Method(
        name="chain-dp",
        summary="dynamic programming over operation and tier, chains only",
        proves="optimal without binding limits",
        target="qopt.algorithms.placement_chain:solve",
        refuses=placement_chain.refuses,
    ),
    Method(
        name="cut-branch",
        summary="minimum cuts under Lagrange multipliers of the limits, branching on tiers",
        proves="optimal within all limits, with a witness",
        target="qopt.algorithms.placement_branch:solve",
        options=("time_limit",),
    ),
    Method(
        name="highs-mip",
        summary="a mixed-integer program for each operator, as arrays for HiGHS, gap 0",
        proves="optimal by the solver's word",
        target="qopt.algorithms.placement_highs:solve",
        needs=("highspy",),
        options=("time_limit", "threads", "seed"),
    ),
    Method(
        name="pyomo",
        summary="the readable joint model, as a mixed-integer program or (no limits) a linear one",
        proves="optimal by the solver's word",
        target="qopt.algorithms.placement_pyomo:solve",
        needs=("pyomo",),
        solvers=(
            Backend("highs", module="highspy"),
            Backend("cbc", program="cbc"),
            Backend("glpk", program="glpsol"),
        ),
        formulations=("mip", "lp"),
        options=("time_limit", "threads", "seed", "solver", "formulation"),
    ),
    Method(
        name="cvxpy",
        summary="the minimum cut of each operator as a linear program",
        proves="optimal within the solver's tolerance",
        target="qopt.algorithms.placement_pyomo:solve_cvxpy",
        needs=("cvxpy",),
        solvers=(Backend("highs", module="highspy"), Backend("clarabel", module="clarabel")),
        options=("solver",),
        refuses=placement_pyomo.one_tier,
    ),
    Method(
        name="brute-force",
        summary="every plan, small instances",
        proves="optimal by enumeration",
        target="qopt.algorithms.placement_brute_force:solve",
        options=("time_limit",),
        refuses=placement_brute_force.too_large,
    ),
    Method(
        name="equal-size",
        summary="the study's split into two halves of equal weight size, on the best pair of tiers",
        proves="nothing: a heuristic",
        target="qopt.algorithms.placement_equal_size:solve",
        exact=False,
    ),
)


def get(name: str) -> Method:
    """The method of a name."""
    return named(METHODS, name)


def default(problem: Placement, bits: None = None) -> Method:
    """The fastest exact method for a problem."""
    return fastest(METHODS, problem, bits)

"""All methods for placements, as they are listed. The first exact one that can solve a problem is its default."""

from __future__ import annotations

from qopt.core.method import Method
from qopt.core.solvers.backends import CLARABEL, HIGHS, MIP_SOLVERS
from qopt.placement.methods import brute_force as placement_brute_force
from qopt.placement.methods import candidates as placement_candidates
from qopt.placement.methods import chain as placement_chain
from qopt.placement.methods import pyomo as placement_pyomo

METHODS: tuple[Method, ...] = (
    Method(
        name="mincut",
        summary="a minimum cut for each operator",
        proves="optimal without binding limits, with a witness",
        target="qopt.placement.methods.mincut:solve",
        options=("time_limit",),
        refuses=placement_candidates.binding,
    ),
    Method(
        name="chain-dp",
        summary="dynamic programming over operation and tier, chains only",
        proves="optimal without binding limits",
        target="qopt.placement.methods.chain:solve",
        options=("time_limit",),
        refuses=placement_chain.refuses,
    ),
    Method(
        name="cut-branch",
        summary="minimum cuts under Lagrange multipliers of the limits, branching on tiers",
        proves="optimal within all limits, with a witness",
        target="qopt.placement.methods.branch:solve",
        imports=("scipy.optimize",),
        options=("time_limit",),
    ),
    Method(
        name="highs-mip",
        summary="a mixed-integer program for each operator, as arrays for HiGHS, gap 0",
        proves="optimal by the solver's word",
        target="qopt.placement.methods.highs:solve",
        imports=("highspy",),
        needs=("highspy",),
        options=("time_limit", "threads", "seed", "start", "verbose"),
    ),
    Method(
        name="pyomo",
        summary="the readable joint model, as a mixed-integer program or (no limits) a linear one",
        proves="optimal by the solver's word",
        target="qopt.placement.methods.pyomo:solve",
        imports=("pyomo.environ", "qopt.formulations.placement", "pyomo.contrib.solver.solvers.highs"),
        needs=("pyomo",),
        solvers=MIP_SOLVERS,
        further="qopt.core.solvers.backends:in_pyomo",
        formulations=("mip", "lp"),
        options=("time_limit", "threads", "seed", "solver", "formulation", "start", "verbose"),
    ),
    Method(
        name="cvxpy",
        summary="the minimum cut of each operator as a linear program",
        proves="optimal within the solver's tolerance",
        target="qopt.placement.methods.pyomo:solve_cvxpy",
        imports=("cvxpy", "qopt.formulations.placement"),
        needs=("cvxpy",),
        solvers=(HIGHS, CLARABEL),
        further="qopt.core.solvers.backends:in_cvxpy",
        options=("time_limit", "solver", "verbose"),
        refuses=placement_pyomo.one_tier,
    ),
    Method(
        name="brute-force",
        summary="every plan, small instances",
        proves="optimal by enumeration",
        target="qopt.placement.methods.brute_force:solve",
        options=("time_limit",),
        refuses=placement_brute_force.too_large,
    ),
    Method(
        name="equal-size",
        summary="the study's split into two halves of equal weight size, on the best pair of tiers",
        proves="nothing: a heuristic",
        target="qopt.placement.methods.equal_size:solve",
        exact=False,
        options=("time_limit",),
    ),
)

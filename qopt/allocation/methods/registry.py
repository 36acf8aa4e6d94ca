"""All methods for allocations, as they are listed. The first exact one that can solve a problem is its default."""

from __future__ import annotations

from qopt.allocation.methods import brute_force as allocation_brute_force
from qopt.allocation.methods import mckp as allocation_mckp
from qopt.allocation.methods import modelopt as allocation_modelopt
from qopt.core.method import Method
from qopt.core.solvers.backends import HIGHS, MIP_SOLVERS

METHODS: tuple[Method, ...] = (
    Method(
        name="mckp",
        summary="a multiple-choice knapsack with a row for each budget",
        proves="optimal, with a witness",
        target="qopt.allocation.methods.mckp:solve",
        options=("time_limit", "gap"),
        refuses=allocation_mckp.refuses,
    ),
    Method(
        name="highs-mip",
        summary="the integer program as arrays for HiGHS, gap 0; pairs as products with their marginals",
        proves="optimal by the solver's word; with pairs, the relaxation's bound as a witness",
        target="qopt.allocation.methods.highs:solve",
        needs=("highspy",),
        options=("time_limit", "threads", "seed", "start", "verbose"),
    ),
    Method(
        name="pyomo",
        summary="the readable joint model",
        proves="optimal by the solver's word",
        target="qopt.allocation.methods.pyomo:solve",
        needs=("pyomo",),
        solvers=MIP_SOLVERS,
        further="qopt.core.solvers.backends:in_pyomo",
        options=("time_limit", "threads", "seed", "solver", "start", "verbose"),
    ),
    Method(
        name="cvxpy",
        summary="the same model as matrices",
        proves="optimal by the solver's word",
        target="qopt.allocation.methods.pyomo:solve_cvxpy",
        needs=("cvxpy", "highspy"),
        solvers=(HIGHS,),
        further="qopt.core.solvers.backends:in_cvxpy",
        options=("time_limit", "solver", "verbose"),
    ),
    Method(
        name="brute-force",
        summary="every plan, small instances",
        proves="optimal by enumeration",
        target="qopt.allocation.methods.brute_force:solve",
        options=("time_limit",),
        refuses=allocation_brute_force.too_large,
    ),
    Method(
        name="greedy",
        summary="by damage for each unit saved, then what still fits",
        proves="nothing: a heuristic",
        target="qopt.allocation.methods.greedy:solve",
        exact=False,
        options=("time_limit",),
    ),
    Method(
        name="uniform",
        summary="the best single format for all groups",
        proves="nothing: a heuristic",
        target="qopt.allocation.methods.uniform:solve",
        exact=False,
        options=("time_limit",),
    ),
    Method(
        name="beam",
        summary="group by group, the best 1000 partial plans, much as AutoRound does it",
        proves="nothing: a heuristic",
        target="qopt.allocation.methods.beam:solve",
        exact=False,
        options=("time_limit",),
    ),
    Method(
        name="modelopt",
        summary="the rule of NVIDIA's ModelOpt: scores that fall with size, unscaled, a solver's default gap",
        proves="nothing: a heuristic",
        target="qopt.allocation.methods.modelopt:solve",
        exact=False,
        options=("time_limit",),
        refuses=allocation_modelopt.refuses,
    ),
)

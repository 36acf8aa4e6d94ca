"""All methods for JQODI, as they are listed. The first exact one that can solve a problem is its default."""

from __future__ import annotations

from qopt.core.method import Method
from qopt.core.solvers.backends import HIGHS, MIP_SOLVERS, SCIPY
from qopt.jqodi.methods import brute_force as jqodi_brute_force
from qopt.jqodi.methods import fptas as jqodi_fptas
from qopt.jqodi.methods import highs as jqodi_highs
from qopt.jqodi.methods import inspection as jqodi_inspection
from qopt.jqodi.methods import path as jqodi_path
from qopt.jqodi.methods import pyomo as jqodi_pyomo
from qopt.jqodi.methods import schedule as jqodi_schedule

METHODS: tuple[Method, ...] = (
    Method(
        name="inspection",
        summary="every choice of model, bit-width, server and cut; mode choice",
        proves="optimal by enumeration, which the certificate repeats",
        target="qopt.jqodi.methods.inspection:solve",
        options=("time_limit",),
        refuses=jqodi_inspection.refuses,
    ),
    Method(
        name="mckp",
        summary="a multiple-choice knapsack for each model and bit-width, where changing costs nothing",
        proves="optimal, with a witness",
        target="qopt.jqodi.methods.schedule:solve",
        options=("time_limit", "gap"),
        refuses=jqodi_schedule.refuses,
    ),
    Method(
        name="rcsp",
        summary="a resource-constrained shortest path through the epochs for each model and bit-width",
        proves="optimal, with a witness",
        target="qopt.jqodi.methods.path:solve",
        options=("time_limit", "gap"),
        refuses=jqodi_path.refuses,
    ),
    Method(
        name="highs-mip",
        summary="a mixed-integer program for each model and bit-width, as arrays for HiGHS, gap 0",
        proves="optimal by the solver's word",
        target="qopt.jqodi.methods.highs:solve",
        imports=("highspy",),
        needs=("highspy",),
        options=("time_limit", "threads", "seed", "start", "verbose"),
        refuses=jqodi_highs.too_large,
    ),
    Method(
        name="pyomo",
        summary="the readable model of the mode; of a path as flows or as an assignment",
        proves="optimal by the solver's word",
        target="qopt.jqodi.methods.pyomo:solve",
        imports=("pyomo.environ", "qopt.formulations.jqodi", "pyomo.contrib.solver.solvers.highs"),
        needs=("pyomo",),
        solvers=MIP_SOLVERS,
        further="qopt.core.solvers.backends:in_pyomo",
        formulations=("flow", "assignment"),
        options=("time_limit", "threads", "seed", "solver", "formulation", "start", "verbose"),
        refuses=jqodi_pyomo.too_large,
    ),
    Method(
        name="cvxpy",
        summary="the same model on arrays in CVXPY",
        proves="optimal by the solver's word",
        target="qopt.jqodi.methods.pyomo:solve_cvxpy",
        imports=("cvxpy", "qopt.formulations.jqodi"),
        needs=("cvxpy",),
        solvers=(HIGHS, SCIPY),
        further="qopt.core.solvers.backends:in_cvxpy",
        formulations=("flow", "assignment"),
        options=("time_limit", "solver", "formulation", "verbose"),
        refuses=jqodi_pyomo.too_large,
    ),
    Method(
        name="brute-force",
        summary="every plan, small instances",
        proves="optimal by enumeration",
        target="qopt.jqodi.methods.brute_force:solve",
        options=("time_limit",),
        refuses=jqodi_brute_force.too_large,
    ),
    Method(
        name="fptas",
        summary="an approximation scheme for the shortest path, time polynomial in 1 / gap",
        proves="at most the gap above the optimum, default 1 %",
        target="qopt.jqodi.methods.fptas:solve",
        exact=False,
        options=("time_limit", "gap"),
        refuses=jqodi_fptas.refuses,
    ),
    Method(
        name="jqodi-paper",
        summary="the paper's Algorithms 1-4: the tree of all paths, scored by weight, risk and opportunity",
        proves="nothing: a heuristic",
        target="qopt.jqodi.methods.paper:solve",
        exact=False,
        options=("time_limit",),
    ),
    Method(
        name="adp",
        summary="forward dynamic programming by least energy, states below the ideal loss curve pruned (Eq. 14)",
        proves="nothing: a heuristic",
        target="qopt.jqodi.methods.adp:solve",
        exact=False,
        options=("time_limit",),
    ),
    Method(
        name="full-model",
        summary="the best plan at the widest bit-width, whether or not it fits",
        proves="nothing: a comparison",
        target="qopt.jqodi.methods.full_model:solve_full",
        exact=False,
        stand_in=False,
        options=("time_limit",),
    ),
    Method(
        name="minimal-model",
        summary="the best plan at the smallest bit-width, whether or not it reaches the loss",
        proves="nothing: a comparison",
        target="qopt.jqodi.methods.full_model:solve_minimal",
        exact=False,
        stand_in=False,
        options=("time_limit",),
    ),
)

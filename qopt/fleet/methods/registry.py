"""All methods for fleets, as they are listed. The first exact one that can solve a problem is its default."""

from __future__ import annotations

from qopt.core.method import Method
from qopt.core.solvers.backends import MIP_SOLVERS
from qopt.fleet.methods import brute_force as fleet_brute_force
from qopt.fleet.methods import mckp as fleet_mckp
from qopt.fleet.units import too_many

METHODS: tuple[Method, ...] = (
    Method(
        name="mckp",
        summary="small fleets as a multiple-choice knapsack with a row for each capacity",
        proves="optimal, with a witness",
        target="qopt.fleet.methods.mckp:solve",
        options=("time_limit", "gap"),
        refuses=fleet_mckp.refuses,
    ),
    Method(
        name="lagrangian",
        summary="prices by a level bundle method, and a plan by rounding; any number of requests",
        proves="a gap that falls as one over the number of requests, by the prices alone",
        target="qopt.fleet.methods.lagrangian:solve",
        needs=("highspy",),
        options=("time_limit", "threads"),
        imports=("highspy", "scipy.optimize"),
    ),
    Method(
        name="column-generation",
        summary="a master program over plans of groups, priced by the same passes, and the same rounding",
        proves="a gap, by the prices alone",
        target="qopt.fleet.methods.columns:solve",
        needs=("highspy",),
        options=("time_limit", "threads"),
        imports=("highspy", "scipy.optimize"),
    ),
    Method(
        name="highs-mip",
        summary="small fleets: the integer program as arrays for HiGHS, gap 0",
        proves="optimal by the solver's word",
        target="qopt.fleet.methods.highs:solve",
        needs=("highspy",),
        options=("time_limit", "threads", "seed", "start", "verbose"),
        refuses=too_many,
    ),
    Method(
        name="pyomo",
        summary="small fleets: the readable joint model",
        proves="optimal by the solver's word",
        target="qopt.fleet.methods.pyomo:solve",
        needs=("pyomo",),
        solvers=MIP_SOLVERS,
        further="qopt.core.solvers.backends:in_pyomo",
        options=("time_limit", "threads", "seed", "solver", "start", "verbose"),
        refuses=too_many,
    ),
    Method(
        name="brute-force",
        summary="every plan, small instances",
        proves="optimal by enumeration",
        target="qopt.fleet.methods.brute_force:solve",
        options=("time_limit",),
        refuses=fleet_brute_force.too_large,
    ),
    Method(
        name="own-best",
        summary="each request its own best, refused where that does not fit",
        proves="nothing: a heuristic",
        target="qopt.fleet.methods.operators:solve_own_best",
        exact=False,
        options=("time_limit",),
    ),
    Method(
        name="greedy",
        summary="in order, each request the cheapest option that still fits",
        proves="nothing: a heuristic",
        target="qopt.fleet.methods.operators:solve_greedy",
        exact=False,
        options=("time_limit",),
    ),
    Method(
        name="least-loaded",
        summary="in order, each request to the server with the least load",
        proves="nothing: a heuristic",
        target="qopt.fleet.methods.operators:solve_least_loaded",
        exact=False,
        options=("time_limit",),
    ),
)

"""`fptas`: a plan within a given share of the optimum, in time polynomial in its inverse; modes schedule and path.

Each candidate is approximated on its own (`qopt.kernels.rcsp.approximate`), the one of the least bound first; what its
bound rules out needs no search.
"""

from __future__ import annotations

import math
from typing import Any

from qopt.core.arrays import IntArray
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.jqodi.methods.search import infeasible, least_energy
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import path_graph, path_states, possible
from qopt.jqodi.terms import Candidate, candidates, keeps_limit, plan_of, totals
from qopt.kernels import rcsp

GUARANTEE = 0.01
"""Energy <= (1 + this) times the optimum, unless the option gap says otherwise."""


def refuses(problem: Jqodi) -> str | None:
    """Why a problem needs no approximation, or None."""
    if problem.mode == "choice":
        return "it takes modes schedule and path; inspection solves mode choice exactly in no time"
    return None


def solve(problem: Jqodi, options: Options) -> Outcome:
    """A plan of energy <= (1 + gap) optimum. Takes gap, default 0.01, and time_limit."""
    clock, eps = options.clock(), options.gap or GUARANTEE
    pairs = [
        (least_energy(problem, candidate, clock), candidate) for candidate in candidates(problem) if possible(candidate)
    ]
    best: tuple[float, Candidate, IntArray] | None = None
    bound, stopped = math.inf, ""
    witness: dict[str, Any] = {"format": "qopt/jqodi-witness", "version": 1, "kind": "rcsp", "candidates": {}}
    details: dict[str, Any] = {"gap": eps, "candidates": {}}
    for least, candidate in sorted(pairs, key=lambda pair: pair[0]):
        if best is not None and best[0] <= (1.0 + eps) * least:
            bound = min(bound, least)
            details["candidates"][candidate.key] = {"status": "ruled out by its relaxation"}
            continue
        if clock.over:
            bound, stopped = min(bound, least), "the time is over"
            details["candidates"][candidate.key] = {"status": "not looked at"}
            continue
        found = rcsp.approximate(path_graph(candidate), problem.time_limit, eps, time_limit=clock.left)
        details["candidates"][candidate.key] = {"status": found.status, "rounds": found.details.get("rounds", 0)}
        if found.tree is not None:
            witness["candidates"][candidate.key] = found.tree
        if found.status == "limit":
            stopped = str(found.details.get("stopped", "the time is over"))
        if found.status != "infeasible":
            bound = min(bound, max(least, found.bound or 0.0))
        if found.path is not None:
            states = path_states(candidate, found.path)
            value = totals(candidate, states)[0]
            if (best is None or value < best[0]) and keeps_limit(problem, candidate, states):
                best = (value, candidate, states)
    claimed = bound if math.isfinite(bound) else None
    if best is None:
        if not stopped:
            return infeasible(problem, witness, details, clock)
        return Outcome("time-limit" if clock.over else "failed", None, claimed, witness, stopped, details)
    if claimed is not None:
        claimed = min(claimed, best[0])
    plan = plan_of(problem, best[1], best[2])
    if stopped:
        return Outcome("time-limit" if clock.over else "feasible", plan, claimed, witness, stopped, details)
    return Outcome("feasible", plan, claimed, witness, f"at most {eps:.3g} of the optimum above it", details)

"""`rcsp`: a resource-constrained shortest path through the epochs, for each candidate.

In the layered graph (`qopt.jqodi.reductions.path_graph`) a layer is an epoch, a state a server and a cut, a transition
what changing costs.
"""

from __future__ import annotations

from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.jqodi.methods.search import CandidateResult, search
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import path_graph, path_states
from qopt.jqodi.terms import Candidate
from qopt.kernels import rcsp

SMALL, NODES = 100, 500
"""Epochs times states up to which a tree is looked for, and its nodes; beyond, a certificate that enumerates what the
root leaves open is sooner there, and where it is not, no tree of a few nodes would be."""


def refuses(problem: Jqodi) -> str | None:
    """Why a problem is no path, or None."""
    return "it takes modes schedule and path, this problem's is choice" if problem.mode == "choice" else None


def solve(problem: Jqodi, options: Options) -> Outcome:
    """The best path of all candidates, with trees as witness where they are small. Takes time_limit and gap."""
    return search(problem, options, "rcsp", _solve_candidate)


def _solve_candidate(problem: Jqodi, candidate: Candidate, upper: float, gap: float, clock: Clock) -> CandidateResult:
    result = rcsp.solve(
        path_graph(candidate),
        problem.time_limit,
        upper=upper,
        gap=gap,
        time_limit=clock.left,
        witness_nodes=NODES if candidate.time.size <= SMALL else 0,
        witness_labels=0,
    )
    states = None if result.path is None else path_states(candidate, result.path)
    tree, root = result.tree, result.details.get("root_leaf")
    if tree is None and isinstance(root, list):
        tree = [root]
    details: dict[str, object] = {
        key: result.details[key] for key in ("labels", "nodes", "stopped") if key in result.details
    }
    return CandidateResult(result.status, states, result.bound, tree, details)

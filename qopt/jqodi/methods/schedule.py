"""`mckp`: one server and cut an epoch, each free of the others, as a multiple-choice knapsack for each candidate.

Where many epochs have the same numbers, their orders are many plans of one value, which branching takes one by one.
If a short search does not settle such a candidate, the graph that counts how often each state is used does
(`qopt.jqodi.reductions.counting_graph`): there a plan is one path, whatever the order of its epochs.
"""

from __future__ import annotations

from typing import Any

from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.jqodi.methods.search import CandidateResult, search
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import blocks, counted_states, counting_graph, schedule_instance
from qopt.jqodi.terms import Candidate
from qopt.kernels import mckp, rcsp

SHORT_LABELS, SHORT_NODES = 20_000, 1_000
"""Partial sums and nodes that a knapsack with equal classes may take before counting."""


def refuses(problem: Jqodi) -> str | None:
    """Why a problem is no knapsack, or None."""
    if problem.mode == "choice":
        return "it takes modes schedule and path, this problem's is choice"
    if problem.mode == "path" and problem.switching.costs:
        return "changing the server or the cut costs, and it takes epochs that are free of each other"
    return None


def solve(problem: Jqodi, options: Options) -> Outcome:
    """The best schedule of all candidates, with trees as witness. Takes time_limit and gap."""
    return search(problem, options, "mckp", _solve_candidate)


def _solve_candidate(problem: Jqodi, candidate: Candidate, upper: float, gap: float, clock: Clock) -> CandidateResult:
    instance = schedule_instance(candidate, problem.time_limit)
    parts = blocks(candidate)
    equal = any(len(part.epochs) > 1 and len(part.states) > 1 for part in parts)
    first = mckp.solve(
        instance.cost,
        instance.weight,
        instance.limit,
        upper=upper,
        gap=gap,
        time_limit=clock.left,
        branch_nodes=SHORT_NODES if equal else None,
        max_labels=SHORT_LABELS if equal else None,
    )
    states = None if first.choice is None else instance.states_of(first.choice)
    details: dict[str, Any] = {
        key: first.details[key] for key in ("labels", "nodes", "stopped") if key in first.details
    }
    if not equal or first.status != "limit":
        return CandidateResult(first.status, states, first.bound, first.tree, details)
    graph, used = counting_graph(candidate, parts)
    below = upper if first.objective is None else min(upper, first.objective)
    counted = rcsp.solve(graph, instance.limit, upper=below, gap=gap, time_limit=clock.left, witness_nodes=0)
    details["labels"] = details.get("labels", 0) + counted.details.get("labels", 0)
    if counted.arcs is not None:
        states = counted_states(candidate, parts, used, counted.arcs)
    # The relaxation's leaf bounds all schedules; a certificate closes the gap by counting.
    bounds = [bound for bound in (first.bound, counted.bound) if bound is not None]
    status, bound = counted.status, max(bounds, default=None)
    if status == "cutoff" and states is not None:
        status = "optimal-by-solver"  # the first search's schedule, which nothing beats
    root = counted.details["root_leaf"]
    assert isinstance(root, list)
    return CandidateResult(status, states, bound, [root], details)

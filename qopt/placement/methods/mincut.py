"""`mincut`: a minimum cut for each operator, exact without limits on memory, whatever the number of tiers.

With x_{v,k} = 1 if operation v runs above tier k, costs of tiers are arcs along a chain, tensors arcs between
chains: see `qopt.formulations.placement` and `qopt.kernels.mincut`.
"""

from __future__ import annotations

import math

from qopt.core.clock import OutOfTime
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.kernels import mincut
from qopt.kernels.nodes import Node
from qopt.placement.costs import HANDED_RATE
from qopt.placement.methods.candidates import candidates, outcome
from qopt.placement.problem import Placement


def solve(problem: Placement, options: Options) -> Outcome:
    """The best operator's optimal placement, with a flow for every operator as witness. Takes time_limit.

    A minimum cut that the clock breaks off leaves labels and a bound too.
    """
    clock, late = options.clock(), False
    answers, trees, rounds, bounds = [], {}, 0, []
    try:
        for candidate in candidates(problem, clock):
            if not clock.affords(candidate.costs.size, HANDED_RATE):
                late = True
                break
            unary, rows = candidate.costs.unary, candidate.costs.rows
            found = mincut.solve(unary, rows, time_limit=clock.left)
            late |= found.late
            bounds.append(math.inf if found.bound is None else found.bound)
            rounds += found.details.get("rounds", 0)
            if not found.late:
                proof = found.witness()
                leaf: Node = ["leaf", 1, {}, proof["labels"], proof["flow"]]
                trees[candidate.name] = [leaf]
            if found.labels is not None and found.objective is not None:
                answers.append((candidate, found.objective, found.labels))
    except OutOfTime:
        late = True
    details = {"operators": len(bounds), "rounds": rounds}
    bound = min(bounds) if late and len(bounds) == len(problem.eligible) else None
    return outcome(problem, answers, trees=trees, details=details, late=late, bound=bound)

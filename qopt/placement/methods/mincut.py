"""`mincut`: a minimum cut for each operator, exact without limits on memory, whatever the number of tiers.

With x_{v,k} = 1 if operation v runs above tier k, costs of tiers are arcs along a chain, tensors arcs between
chains: see `qopt.formulations.placement` and `qopt.kernels.mincut`.
"""

from __future__ import annotations

from qopt.core.clock import OutOfTime
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.kernels import mincut
from qopt.kernels.nodes import Node
from qopt.placement.costs import CUT_RATE
from qopt.placement.methods.candidates import candidates, outcome
from qopt.placement.problem import Placement


def solve(problem: Placement, options: Options) -> Outcome:
    """The best operator's optimal placement, with a flow for every operator as witness. Takes time_limit.

    A minimum cut is not begun where there is surely no time for it.
    """
    clock, late = options.clock(), False
    answers, trees, rounds = [], {}, 0
    try:
        for candidate in candidates(problem, clock):
            if not clock.affords(candidate.costs.size, CUT_RATE):
                late = True
                break
            found = mincut.solve(candidate.costs.unary, candidate.costs.rows)
            rounds += found.details.get("rounds", 0)
            proof = found.witness()
            leaf: Node = ["leaf", 1, {}, proof["labels"], proof["flow"]]
            trees[candidate.name] = [leaf]
            if found.labels is not None and found.objective is not None:
                answers.append((candidate, found.objective, found.labels))
    except OutOfTime:
        late = True
    details = {"operators": len(trees), "rounds": rounds}
    return outcome(problem, answers, trees=trees, details=details, late=late)

"""`mincut`: a minimum cut for each operator, exact without limits on memory, whatever the number of tiers.

With x_{v,k} = 1 if operation v runs above tier k, costs of tiers are arcs along a chain, tensors arcs between
chains: see `qopt.formulations.placement` and `qopt.kernels.mincut`.
"""

from __future__ import annotations

from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.kernels import mincut
from qopt.kernels.nodes import Node
from qopt.placement.methods.candidates import candidates, outcome
from qopt.placement.problem import Placement


def solve(problem: Placement, options: Options) -> Outcome:
    """The best operator's optimal placement, with a flow for every operator as witness."""
    del options
    answers, trees, rounds = [], {}, 0
    for candidate in candidates(problem):
        found = mincut.solve(candidate.costs.unary, candidate.costs.rows)
        rounds += found.details.get("rounds", 0)
        proof = found.witness()
        leaf: Node = ["leaf", 1, {}, proof["labels"], proof["flow"]]
        trees[candidate.name] = [leaf]
        if found.labels is not None and found.objective is not None:
            answers.append((candidate, found.objective, found.labels))
    return outcome(problem, answers, trees=trees, details={"operators": len(trees), "rounds": rounds})

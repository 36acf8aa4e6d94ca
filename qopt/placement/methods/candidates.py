"""What placement methods share: the operators to look at, the best of their answers, the witness."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from qopt.core.arrays import IntArray
from qopt.core.clock import ENDLESS, Clock
from qopt.core.display import Brief
from qopt.core.solution import Outcome
from qopt.kernels.nodes import Node
from qopt.placement.costs import Labelling, labelling
from qopt.placement.parts import Operator
from qopt.placement.plan import PlacementPlan, plan_of
from qopt.placement.problem import Placement
from qopt.placement.rows import Limit, latency_alone, limits, needed
from qopt.placement.terms import Terms, kept_weights, terms


@dataclass(frozen=True, repr=False)
class Candidate(Brief):
    """An operator that reaches the accuracy target: its network, costs and limits."""

    own: Terms
    costs: Labelling
    rows: tuple[Limit, ...]

    @property
    def name(self) -> str:
        """The operator's name."""
        return self.own.operator.name


def candidates(problem: Placement, clock: Clock = ENDLESS) -> Iterator[Candidate]:
    """The operators that reach the accuracy target, the most accurate first: among equal costs it wins.

    Each is made when it is asked for; raises `OutOfTime` before one where the clock is over.
    """
    for operator in clock.watching(sorted(problem.eligible, key=lambda o: -o.accuracy)):
        own = terms(problem, operator)
        costs = labelling(problem, own)
        yield Candidate(own, costs, limits(problem, own, costs))


def weight_size(problem: Placement, operator: Operator) -> float:
    """Bytes of an operator's weights, summed exactly."""
    return math.fsum(kept_weights(problem, operator).tolist())


def binding(problem: Placement) -> str | None:
    """Why a method without limits cannot take a problem, or None: a limit can bind.

    A limit on a latency that is itself the objective is none: the least latency keeps it, or nothing does. An operator
    that mixes others may have tensors that are larger on one tier than on another: these a cut does not know either.
    """
    for operator in sorted(problem.eligible, key=lambda o: -o.accuracy):
        most = needed(problem, operator)
        tiers = zip(problem.tiers, most, strict=True)
        tight = [f"memory of {t.name}" for t, total in tiers if t.memory is not None and total > t.memory]
        if problem.targets.latency is not None and not latency_alone(problem):
            tight.append("latency")
        if tight:
            return f"the {tight[0]} can bind, and it takes no limits"
        if operator.mixed and not labelling(problem, terms(problem, operator)).plain:
            return f"operator {operator.name} writes larger tensors on some tiers, and it takes one size of each"
    return None


def keeps_latency(problem: Placement, own: Terms, labels: Sequence[int] | IntArray) -> bool:
    """Whether labels of all nodes keep the latency target."""
    costs, at = labelling(problem, own), [int(k) for k in labels]
    return all(row.keeps(costs, at) for row in limits(problem, own, costs) if row.name == "latency")


NO_OPERATOR = "no operator reaches the accuracy target"


def outcome(
    problem: Placement,
    answers: Sequence[tuple[Candidate, float, Sequence[int] | IntArray]],
    *,
    trees: dict[str, list[Node]] | None = None,
    details: Mapping[str, object] | None = None,
    late: bool = False,
    bound: float | None = None,
) -> Outcome:
    """The cheapest of the operators' optimal labels (node 0 included), each with its cost; ties go to the first.

    With `late` the clock kept some operators from an answer or from their best, and `bound` is what is known of all.
    """
    best = min(answers, key=lambda answer: answer[1], default=None)
    witness = None
    if trees is not None:
        witness = {"format": "qopt/placement-witness", "version": 1, "operators": trees}
    if best is None or not keeps_latency(problem, best[0].own, best[2]):
        # Flows of the least cost do not prove that nothing keeps the latency: the certificate's own do.
        message = "" if problem.eligible else NO_OPERATOR
        return Outcome("time-limit" if late else "infeasible", message=message, details=details or {})
    plan: PlacementPlan = plan_of(problem, best[0].own, best[2][1:])
    if late:
        known = bound if bound is not None and math.isfinite(bound) else None
        return Outcome("time-limit", plan, known, witness=witness, details=details or {})
    return Outcome("optimal", plan, best[1], witness=witness, details=details or {})

"""What placement methods share: the operators to look at, the best of their answers, the witness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qopt.core.arrays import IntArray
from qopt.core.display import Brief
from qopt.core.limits import within
from qopt.core.solution import Outcome
from qopt.kernels.nodes import Node
from qopt.placement.costs import Labelling, Limit, labelling, labellings, limits, used
from qopt.placement.costs import binding as binding_row
from qopt.placement.plan import PlacementPlan, plan_of
from qopt.placement.problem import Placement
from qopt.placement.terms import Terms


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


def candidates(problem: Placement) -> list[Candidate]:
    """The operators that reach the accuracy target, the most accurate first: among equal costs it wins."""
    found = [Candidate(own, costs, limits(problem, own, costs)) for own, costs in labellings(problem).values()]
    return sorted(found, key=lambda c: -c.own.operator.accuracy)


def binding(problem: Placement) -> str | None:
    """Why a method without limits cannot take a problem, or None."""
    for candidate in candidates(problem):
        row = binding_row(problem, candidate.rows)
        if row is not None:
            return f"the {row.name} can bind, and it takes no limits"
    return None


def keeps_latency(problem: Placement, own: Terms, labels: Sequence[int] | IntArray) -> bool:
    """Whether labels of all nodes keep the latency target."""
    if problem.targets.latency is None:
        return True
    time = labelling(problem, own, objective=(1.0, 0.0, 0.0))
    return within(used(time, time.unary, time.weight, [int(k) for k in labels]), problem.targets.latency)


NO_OPERATOR = "no operator reaches the accuracy target"


def outcome(
    problem: Placement,
    answers: Sequence[tuple[Candidate, float, Sequence[int] | IntArray]],
    *,
    trees: dict[str, list[Node]] | None = None,
    details: Mapping[str, object] | None = None,
) -> Outcome:
    """The cheapest of the operators' optimal labels (node 0 included), each with its cost; ties go to the first."""
    best = min(answers, key=lambda answer: answer[1], default=None)
    if best is None or not keeps_latency(problem, best[0].own, best[2]):
        message = "" if problem.eligible else NO_OPERATOR
        # Flows of the least cost do not prove that nothing keeps the latency: the certificate's own do.
        return Outcome("infeasible", message=message, details=details or {})
    witness = None
    if trees is not None:
        witness = {"format": "qopt/placement-witness", "version": 1, "operators": trees}
    plan: PlacementPlan = plan_of(problem, best[0].own, best[2][1:])
    return Outcome("optimal", plan, best[1], witness=witness, details=details or {})

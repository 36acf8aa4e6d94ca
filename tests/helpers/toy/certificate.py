"""Whether a picked item is the best: every other is looked at again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qopt.core.certificate import Certificate, Slack
from toy.problem import Toy, ToyPlan

IN_SOLVE: Mapping[str, Any] = {}


@dataclass(frozen=True)
class ToyCost:
    """What an item costs."""

    objective: float
    equations: str = "recomputed from price and weight"

    def to_dict(self) -> dict[str, float]:
        """Plain data."""
        return {"objective": self.objective}


def certify(problem: Toy, plan: ToyPlan | None, witness: Any = None) -> Certificate:
    """What is true of a plan, by enumeration."""
    del witness
    fitting = [problem.cost(item) for item in problem.items if problem.fits(item)]
    bound = min(fitting, default=None)
    kind = None if bound is None else "enumeration"
    if plan is None:
        return Certificate(None, False, None, None, bound=bound, kind=kind, infeasible=bound is None)
    item = next(item for item in problem.items if item.name == plan.item)
    cost, fits = problem.cost(item), problem.fits(item)
    slack = Slack("budget", item.weight, problem.budget, fits)
    return Certificate(None, fits, cost, ToyCost(cost), (slack,), bound=bound, kind=kind, proved=fits and cost == bound)

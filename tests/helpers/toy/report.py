"""How a toy's plan is shown, and its break-even rates and front."""

from __future__ import annotations

import math
from typing import Any

from rich.text import Text

from qopt.core.envelope import Envelope, of_lines
from qopt.core.errors import InputError, shown
from qopt.core.front import Criterion, Front, FrontPoint, front_of
from qopt.core.solution import Solution
from qopt.core.solving import solve
from toy.problem import Toy, ToyPlan

FACTS = ("item",)
COLUMNS = FACTS
KINDS: dict[str, str] = {}
BUDGETS = {"budget": "budget"}


def facts(problem: Toy, solution: Solution) -> dict[str, Any]:
    """The column of a comparison that is the toy's own."""
    del problem
    return {"item": solution.plan.item if solution.plan else None}


def heading(solution: Solution) -> str:
    """How the plan was found."""
    return solution.method


def plan_parts(problem: Toy, solution: Solution) -> list[Text]:
    """The item, in words."""
    del problem
    return [Text(f"pick {solution.plan.item}")]


def breakpoints(problem: Toy, parameter: str, *, low: float = 0.0, high: float = math.inf) -> Envelope:
    """The best item by the rate."""
    if parameter != "rate":
        raise InputError("parameter", shown(parameter), "'rate'")
    items = [item for item in problem.items if problem.fits(item)]
    plans = [ToyPlan(problem=problem.name, item=item.name) for item in items]
    where = {"problem": problem.name, "parameter": parameter, "unit": "1/kg", "low": low, "high": high}
    return of_lines([(item.price, item.weight) for item in items], plans, **where)


def front(problem: Toy) -> Front:
    """Price against weight."""
    points = []
    for item in problem.items:
        alone = problem.replace({"items": [item.model_dump()]})
        points.append(FrontPoint(item.name, {"price": item.price, "weight": item.weight}, solve(alone)))
    return front_of(problem.name, (Criterion("price", ""), Criterion("weight", "kg")), points)

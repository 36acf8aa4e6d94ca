"""How a toy is solved: by looking at every item."""

from __future__ import annotations

from qopt.core.method import Method, Options
from qopt.core.solution import Outcome
from toy.problem import Toy, ToyPlan


def scan(problem: Toy, options: Options) -> Outcome:
    """The least cost of all items that fit."""
    del options
    best = min((item for item in problem.items if problem.fits(item)), key=problem.cost, default=None)
    if best is None:
        return Outcome("infeasible")
    return Outcome("optimal", ToyPlan(problem=problem.name, item=best.name), problem.cost(best))


def first(problem: Toy, options: Options) -> Outcome:
    """The first item, whatever it costs or weighs."""
    del options
    return Outcome("heuristic", ToyPlan(problem=problem.name, item=problem.items[0].name))


METHODS = (
    Method(name="scan", summary="every item", proves="optimal", target="toy.registry:scan"),
    Method(name="first", summary="the first", proves="nothing", target="toy.registry:first", exact=False),
    Method(
        name="model",
        summary="the readable model",
        proves="optimal by the solver's word",
        target="toy_formulation:solve",
        needs=("pyomo", "highspy"),
    ),
)

"""The toy as a model in Pyomo: the one file of a family that stands outside its room."""

from __future__ import annotations

from typing import Any

from toy.problem import Toy, ToyPlan

from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.core.solvers.pyomo import choose


def model(problem: Toy) -> Any:
    """One binary variable an item; exactly one is picked."""
    import pyomo.environ as pyo

    m = pyo.ConcreteModel()
    m.pick = pyo.Var(range(len(problem.items)), domain=pyo.Binary)
    m.one = pyo.Constraint(expr=sum(m.pick.values()) == 1)
    m.budget = pyo.Constraint(
        expr=sum(item.weight * m.pick[i] for i, item in enumerate(problem.items)) <= problem.budget
    )
    m.cost = pyo.Objective(expr=sum(problem.cost(item) * m.pick[i] for i, item in enumerate(problem.items)))
    return m


def solve(problem: Toy, options: Options) -> Outcome:
    """Solve the model with HiGHS."""
    m = model(problem)
    answer = choose(options)(m, options.clock())
    if not answer.point:
        return Outcome(answer.status)
    chosen = next(item for i, item in enumerate(problem.items) if m.pick[i].value > 0.5)
    return Outcome(answer.status, ToyPlan(problem=problem.name, item=chosen.name), answer.bound)

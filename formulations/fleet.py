"""An option for each request on shared servers and links: an integer program, for small fleets.

Sets and data
    r in R            requests, each by itself;  O_r the options of its class that meet its deadline, and its refusal
    J_ro              what an option costs; of the refusal, the penalty
    u_kro, C_k        what it uses of capacity k, and how much there is: seconds and memory of a server, airtime of a
                      cell up and down; a refusal uses nothing

Variables
    chosen[r, o]      x_ro = 1 if request r takes option o; o = 0 is the refusal

    minimise      sum J_ro x_ro
    one           sum_o x_ro = 1                      for each r
    capacity      sum_ro u_kro x_ro <= C_k            for each k that can be exceeded
    x binary

Form ``lp`` has 0 <= x <= 1; its value is that of the Lagrangian dual, what multipliers alone can prove. Scaling: costs
are divided by `model.unit`, rows by their limits; `model.cost` is in the problem's units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo

from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.errors import InputError, shown
from qopt.core.reading import problem_of
from qopt.core.solvers.answers import give
from qopt.fleet.plan import FleetPlan, taken
from qopt.fleet.problem import Fleet
from qopt.fleet.units import MOST_UNITS, units

RATE = 40_000
"""Entries of a model that are built and handed over in a second."""

FORMS = ("mip", "lp")
"""Forms of the joint model: ``lp`` is its linear relaxation."""


def joint(problem: Fleet, form: str = "mip", *, clock: Clock = ENDLESS) -> pyo.ConcreteModel:
    """The choice of options as one Pyomo model, in one of `FORMS`; see the head of this file.

    Parameters
    ----------
    form : one of `FORMS`.
    clock : the model is built only where there is time to build it and to hand it over.

    Returns
    -------
    A model with ``chosen[r, o]``, the rows named above, the expression ``cost``, and an empty list of rows
    ``excluded``. Read the plan with `extract`.

    Raises
    ------
    InputError
        The problem is no fleet or has too many requests, or the form is none of `FORMS`.
    OutOfTime
        By the clock there is no time to build the model and to hand it over.
    """
    problem = problem_of(Fleet, problem, named=True)
    if form not in FORMS:
        raise InputError("form", shown(form), ", ".join(FORMS))
    if problem.count > MOST_UNITS:
        raise InputError("problem", f"{problem.count} requests", f"at most {MOST_UNITS}, for a model to read")
    own = units(problem)
    if not clock.affords(float(own.open.sum()) * (2 + len(own.limit)), RATE):
        raise OutOfTime(f"a model of {int(own.open.sum())} variables")
    model = pyo.ConcreteModel(name=problem.name)
    at = [(int(r), int(o)) for r, o in np.argwhere(own.open)]
    model.chosen = pyo.Var(at, domain=pyo.Binary if form == "mip" else pyo.UnitInterval)
    of = {r: np.flatnonzero(own.open[r]).tolist() for r in range(len(own.row))}
    model.one = pyo.Constraint(list(of), rule=lambda m, r: sum(m.chosen[r, o] for o in of[r]) == 1)
    model.capacity = pyo.ConstraintList(doc="in the order of the servers' work and memory, then the cells' airtime")
    for use, limit in zip(own.use, own.limit.tolist(), strict=True):
        scale = float(max(limit, 1))
        terms = [float(use[key]) / scale * model.chosen[key] for key in at if use[key]]
        model.capacity.add(sum(terms) <= limit / scale)
    model.cost = pyo.Expression(expr=sum(int(own.cost[key]) * model.chosen[key] for key in at))
    model.unit = float(np.median(own.cost)) or 1.0
    model.objective = pyo.Objective(expr=model.cost / model.unit)
    model.excluded = pyo.ConstraintList(doc="plans that kept a capacity only within the solver's tolerance")
    return model


def extract(model: Any, problem: Fleet) -> FleetPlan:
    """The plan that a solved joint model holds: of each request the option that is chosen most.

    Whether it keeps the capacities is for the certificate to say.

    Parameters
    ----------
    model : a solved `joint`.
    """
    problem = problem_of(Fleet, problem)
    own = units(problem)
    value = np.full(own.cost.shape, -1.0)
    for key, variable in model.chosen.items():
        value[key] = pyo.value(variable, exception=False) or 0.0
    return own.plan(problem, value.argmax(axis=1))


def assign(model: Any, problem: Fleet, plan: FleetPlan) -> None:
    """Give the variables of a joint model the values of a plan; the inverse of `extract`.

    Parameters
    ----------
    model : a `joint`, of the same problem.

    Raises
    ------
    InputError
        The plan does not fit the problem.
    """
    problem = problem_of(Fleet, problem)
    give(model, [(model.chosen, (r, o), 1.0) for r, o in enumerate(_choice(problem, plan))])


def _choice(problem: Fleet, plan: FleetPlan) -> list[int]:

    taken(problem, plan)
    found: list[int] = units(problem).choice(problem, plan).tolist()
    return found


def legend(problem: Fleet) -> list[str]:
    """What the names of the joint model's columns mean, a line each."""
    problem_of(Fleet, problem)
    return ["chosen(r,o): request r takes option o of its class, counted from 1; 0 is its refusal"]


def exclude(model: Any, problem: Fleet, plan: FleetPlan) -> None:
    """Cut off one plan: some request must choose something else.

    Parameters
    ----------
    model : a `joint`, which gets a row more in ``excluded``.
    plan : the plan that becomes infeasible, and no other.
    """
    problem = problem_of(Fleet, problem)
    chosen = [model.chosen[r, o] for r, o in enumerate(_choice(problem, plan))]
    model.excluded.add(sum(chosen) <= len(chosen) - 1)

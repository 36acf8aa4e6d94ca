"""What a JQODI problem can limit: the time T_max, and the loss L_max of each model whose losses are given."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qopt.core.clock import Clock
from qopt.core.limited import Least, Limit
from qopt.core.smallest import better
from qopt.core.solving import solve
from qopt.jqodi.costs import breakdown
from qopt.jqodi.limits import smallest_limits
from qopt.jqodi.losses import losses
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi

LOSS = "loss "
"""Begins the names of limits on the losses of models."""

ENDLESS_TIME = 1e30
"""Seconds that no plan takes."""

MOST_LEVELS = 2_000
"""Epochs of a width whose losses are looked at as limits."""


def limits(problem: Jqodi) -> tuple[Limit, ...]:
    """Everything that can be limited, with what the problem states.

    Parameters
    ----------
    problem : a JQODI problem.
    """
    lossy = [m for m in problem.models if m.loss_limit is not None and any(w.loss is not None for w in m.widths)]
    time = problem.time_limit if problem.time_limit < ENDLESS_TIME else None
    return (
        Limit("time", time, "s", words="T_max"),
        *(Limit(LOSS + m.name, m.loss_limit, words=f"L_max of {m.name}") for m in lossy),
    )


def changed(problem: Jqodi, values: Mapping[str, float | None]) -> Jqodi:
    """The problem with other limits.

    Parameters
    ----------
    problem : a JQODI problem.
    values : by name; None takes a limit away: T_max is then beyond all plans, L_max what one epoch reaches.
    """
    number = {LOSS + model.name: k for k, model in enumerate(problem.models)}
    changes: dict[str, object] = {}
    for name, value in values.items():
        if name == "time":
            changes["time_limit"] = ENDLESS_TIME if value is None else max(value, math.ulp(0.0))
        else:
            changes[f"models[{number[name]}].loss_limit"] = _any_loss(problem, name) if value is None else value
    return problem.replace(changes)


def _any_loss(problem: Jqodi, name: str) -> float:
    """A loss limit that every width of a model reaches after one epoch."""
    return max([0.0, *_levels(problem, name)[0]]) * 2.0 + 1.0


def _levels(problem: Jqodi, name: str) -> tuple[list[float], bool]:
    """Losses after so many epochs of the widths of a model, by both estimates; whether these are all.

    They are what a limit can tell apart. A width that does not reach the present limit may need any number of epochs
    for a looser one.
    """
    model = problem.model(name.removeprefix(LOSS))
    found: set[float] = set()
    whole = True
    for width in model.widths:
        needed = [MOST_LEVELS if k is None else k for k in problem.epochs(model, width)]
        most = min(max(needed), MOST_LEVELS)
        for estimate in ("expected", "robust"):
            parts = problem.loss_parts(model, width, estimate)
            if parts is not None:
                after = losses(*parts, most)[1:]
                whole = whole and len(after) < MOST_LEVELS
                found.update(max(float(loss), 0.0) for loss in after)
    return sorted(found), whole


def used(problem: Jqodi, plan: JqodiPlan) -> dict[str, float]:
    """What a plan uses, by name: seconds, and of its model the loss that it reaches; of the others nothing.

    Parameters
    ----------
    problem, plan : a JQODI problem and a plan for it.
    """
    cost = breakdown(problem, plan)
    reached = cost.expected_losses if problem.estimate == "expected" else cost.robust_losses
    found = {LOSS + model.name: 0.0 for model in problem.models}
    if reached:
        found[LOSS + plan.model] = max(reached[-1], 0.0)
    return {"time": math.inf if cost.time is None else cost.time, **found}


def least(problem: Jqodi, name: str, below: float | None, clock: Clock) -> Least | None:
    """The smallest T_max or L_max that works; None for the next better T_max, which solves must find.

    Parameters
    ----------
    problem : a JQODI problem.
    name : of the limit.
    below : objective that a plan must be better than; None for any.
    clock : of the call.
    """
    if name == "time":
        if below is not None:
            return None
        seconds = smallest_limits(problem).time_limit
        return Least(seconds, proved=True)
    if below is None:
        model = name.removeprefix(LOSS)
        loss = smallest_limits(problem).loss_limits.get(model)
        return Least(loss, proved=True)
    # A larger limit asks for no more epochs, so that of the losses that tell plans apart the first is found by halving.
    now = problem.model(name.removeprefix(LOSS)).loss_limit or 0.0
    known, sure = _levels(problem, name)
    levels = [level for level in known if level > now]
    low, high = 0, len(levels)
    while low < high:
        middle = (low + high) // 2
        solution = solve(changed(problem, {name: levels[middle]}), time_limit=clock.left)
        good = solution.certificate.feasible and better(solution.objective, below)
        sure = sure and (good or solution.certificate.proved or solution.certificate.infeasible)
        low, high = (low, middle) if good else (middle + 1, high)
    return Least(levels[high] if high < len(levels) else None, proved=sure)

"""Deciding again while a run is under way: what has happened becomes a `Start`, and what is left is solved.

What was spent stays spent: the seconds count towards T_max, the joules are told beside the objective. A loss that was
observed replaces the forecast, whose changes go on from it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from qopt.core.arguments import is_number, real, whole
from qopt.core.errors import InputError, shown
from qopt.core.limits import within
from qopt.core.reading import problem_of
from qopt.core.solution import Solution
from qopt.core.solving import solve
from qopt.jqodi.costs import breakdown
from qopt.jqodi.models import LARGEST, Width
from qopt.jqodi.plan import JqodiPlan, checked_plan
from qopt.jqodi.problem import Jqodi, Start


def remaining(
    problem: Jqodi | str | os.PathLike[str],
    plan: JqodiPlan,
    after: int,
    *,
    elapsed: float | None = None,
    energy: float | None = None,
    observed: float | None = None,
    anew: bool = False,
    changes: Mapping[str, object] | None = None,
) -> Jqodi:
    """The problem that is left when some epochs of a plan are done.

    Parameters
    ----------
    problem : what was asked; it may have a start itself.
    plan : what was decided for it.
    after : epochs of the plan that are done, from 0: then only time has passed. All of them only where the loss may not
        be reached yet: one was observed, or by the chances of K more may be needed.
    elapsed : seconds since the run began; default what the plan takes for these epochs.
    energy : joules spent since the run began; default likewise.
    observed : loss of the model after these epochs, in place of the forecast; only where K follows from losses.
    anew : whether another model or bit-width may be begun now.
    changes : what is known to be otherwise by now: dotted field names and values, as `replace` of a problem takes them.

    Returns
    -------
    The same problem with a `start`, and the changes made.

    Raises
    ------
    InputError
        The plan does not fit the problem; more epochs than it has; time or energy that is less than what was spent
        before; a loss that is no number, that nothing can be forecast from, or that is at its limit, so that nothing
        is left to decide.
    """
    problem = problem_of(Jqodi, problem, named=True)
    if not isinstance(plan, JqodiPlan):
        raise InputError("plan", f"a {type(plan).__name__}", "a plan for a JQODI problem")
    checked_plan(problem, plan)
    after = whole("after", after, 0, len(plan.servers))
    before = problem.start or Start()
    model = problem.model(plan.model)
    width = model.width(plan.bits)
    going_on = after > 0 or problem.under_way(model, width)
    behind = problem.behind(model, width) + after
    ended = after == len(plan.servers) and not _more_are_needed(problem, width, behind)
    if width.epochs is not None and ended:
        allowed = f"fewer than {after}: the plan has no more epochs, and nothing is left to decide"
        raise InputError("after", str(after), allowed)
    start: dict[str, Any] = {**before.model_dump(), "anew": anew, "epochs": before.epochs + after}
    spent = (None, None) if elapsed is not None and energy is not None else _spent(problem, plan, after)
    for name, given, least, known in (
        ("elapsed", elapsed, before.elapsed, spent[0]),
        ("energy", energy, before.energy, spent[1]),
    ):
        if given is None and known is None:
            raise InputError(name, "nothing", "a number, since by the conditions an epoch that is done was impossible")
        start[name] = known if given is None else real(name, given, least, LARGEST)
    if after:
        start |= {"model": plan.model, "bits": plan.bits, "server": plan.servers[after - 1]}
        start |= {"cut": plan.cuts[after - 1], "trained": None if behind == before.epochs + after else behind}
        if not problem.under_way(model, width):
            start |= {"loss": None, "loss_after": None}
        elif before.loss is not None:
            start["loss_after"] = before.seen
    if observed is not None:
        if not going_on or width.loss is None:
            why = "K is given" if going_on else "nothing has been trained"
            raise InputError("observed", shown(observed), f"nothing, since {why}")
        if not is_number(observed) or not math.isfinite(observed):
            raise InputError("observed", shown(observed), "a finite number, the loss")
        if model.loss_limit is not None and within([float(observed)], model.loss_limit):
            allowed = (
                f"more than L_max of {model.loss_limit:g}: with that the run has ended, and nothing is left to decide"
            )
            raise InputError("observed", shown(observed), allowed)
        start |= {"loss": float(observed), "loss_after": None}
    elif ended:
        allowed = f"fewer than {after}, or a loss that was observed: by the forecast the run has ended"
        raise InputError("after", str(after), allowed)
    if changes:
        return problem.replace({"start": start, **changes})
    parts = {name: getattr(problem, name) for name in type(problem).model_fields}
    return Jqodi(**{**parts, "start": Start(**start)})  # what stays is not validated again


def _more_are_needed(problem: Jqodi, width: Width, behind: int) -> bool:
    """Whether, by the chances of K, a plan that has ended without success has more epochs to come with that chance."""
    if problem.confidence is None or width.epochs is None or width.epochs.chances is None:
        return False
    return width.epochs.at(problem.confidence, behind) is not None


def _spent(problem: Jqodi, plan: JqodiPlan, after: int) -> tuple[float | None, float | None]:
    """Seconds and joules since the run began, when some epochs of a plan are done; None where one is impossible."""
    start = problem.start or Start()
    if not after:
        return start.elapsed, start.energy
    part = plan.model_copy(update={"servers": plan.servers[:after], "cuts": plan.cuts[:after]})
    cost = breakdown(problem, part)
    times, energies = [row.time for row in cost.epochs], [row.energy for row in cost.epochs]
    if None in times or None in energies:
        return None, None
    time = [cost.elapsed, cost.setup_time, *(x for x in times if x is not None)]
    return math.fsum(time), math.fsum([cost.spent, cost.setup_energy, *(x for x in energies if x is not None)])


def replan(
    problem: Jqodi | str | os.PathLike[str],
    plan: JqodiPlan,
    after: int,
    *,
    elapsed: float | None = None,
    energy: float | None = None,
    observed: float | None = None,
    anew: bool = False,
    changes: Mapping[str, object] | None = None,
    method: str = "auto",
    time_limit: float | None = None,
) -> Solution:
    """Decide again after some epochs of a plan, from what has happened.

    Parameters
    ----------
    problem : what was asked, a bundled name, or the path of an instance file; it may have a start itself.
    plan : what was decided for it.
    after : epochs of the plan that are done, from 0: then only time has passed.
    elapsed : seconds since the run began; default what the plan takes for these epochs.
    energy : joules spent since the run began; default likewise.
    observed : loss of the model after these epochs, in place of the forecast; only where K follows from losses.
    anew : whether another model or bit-width may be begun now.
    changes : what is known to be otherwise by now: dotted field names and values, as `replace` of a problem takes them.
    method, time_limit : as `qopt.solve` takes them.

    Returns
    -------
    `qopt.Solution` of the problem that is left, which is its `instance`. Its plan has the epochs from the next one on;
    its objective is the joules still to be spent.

    Raises
    ------
    InputError, MethodError
        As `qopt.jqodi.remaining` and `qopt.solve` raise them. That T_max can no longer be kept is no error but a
        status, with what would be needed in the message.
    """
    left = remaining(
        problem, plan, after, elapsed=elapsed, energy=energy, observed=observed, anew=anew, changes=changes
    )
    return solve(left, method, time_limit=time_limit)

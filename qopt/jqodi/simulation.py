"""A run as it happens: a plan followed in a world whose losses and conditions differ from the forecast.

Two problems stand beside each other: the *forecast*, which is decided on, and the *world*, which has the losses and the
conditions that come true. At the beginning of an epoch its conditions are seen, not those after it. Deciding *once*
follows the first plan; deciding *again* solves what is left after every epoch (a receding horizon), with the loss that
was observed. In both, a server that is gone, or a plan that has ended before the loss was reached, is made up for by
the state that is possible now and, with the change into it, takes the least time.

A run ends when the world's loss is reached, or its conditions end. It is *in time* if the loss was reached within
T_max.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.limits import within
from qopt.core.reading import problem_of
from qopt.core.solving import solve
from qopt.jqodi.losses import losses
from qopt.jqodi.parts import Conditions, Inference, ServerConditions, lasting
from qopt.jqodi.plan import JqodiPlan, checked_plan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.replan import remaining
from qopt.jqodi.terms import Candidate, candidate_at

ROOM = 200
"""Epochs beyond the world's for which forecasts assume conditions: a loss that falls slowly needs more of them."""

Decide = Literal["once", "again"]


@dataclass(frozen=True, repr=False)
class Run(Brief):
    """What happened.

    Attributes
    ----------
    model, bits : what was trained.
    states : pairs of server and cut, one for each epoch.
    time, energy : seconds and joules of fine-tuning, quantizing and changes included; what is served afterwards is not.
    reached : whether the loss was reached.
    in_time : whether it was, within T_max.
    solved : how many problems were solved.
    without_plan : after how many epochs no plan was found that keeps T_max by the forecast.
    """

    model: str
    bits: int
    states: tuple[tuple[str, int], ...]
    time: float
    energy: float
    reached: bool
    in_time: bool
    solved: int
    without_plan: int


class _World:
    """What every state takes in every epoch, what comes true, and what has been spent."""

    def __init__(self, world: Jqodi, plan: JqodiPlan) -> None:
        self.model, self.width = world.model(plan.model), world.model(plan.model).width(plan.bits)
        self.needed = world.epochs(self.model, self.width)[0]
        most = world.horizon or self.needed or len(plan.servers)
        self.epochs = most if self.needed is None else min(self.needed, most)
        plain = world.model_copy(update={"inference": Inference(), "estimate": "expected"})
        self.candidate: Candidate = candidate_at(plain, plan.model, plan.bits, epochs=self.epochs, all_count=True)
        parts = world.loss_parts(self.model, self.width, "expected")
        self.losses = None if parts is None else [float(loss) for loss in losses(*parts, self.epochs)]
        self.times, self.energies = [self.candidate.setup_time], [self.candidate.setup_energy]
        self.states: list[int] = []

    def _changing(self, cost: FloatArray | None) -> FloatArray:
        """(S,) cost of changing into each state now."""
        if cost is None or not self.states:
            return np.zeros(len(self.candidate.states))
        row: FloatArray = cost[self.states[-1]]
        return row

    def step(self, wanted: tuple[str, int] | None) -> bool:
        """Train an epoch in a state, or in the fastest that there is; False if there is none."""
        k, own = len(self.states), self.candidate
        s = -1 if wanted is None else own.index[wanted]
        seconds = own.time[k] + self._changing(own.switch_time)
        if s < 0 or not math.isfinite(seconds[s]):
            s = int(np.argmin(seconds))
        if not math.isfinite(seconds[s]):
            return False
        for terms, table, switch in (
            (self.times, own.time, own.switch_time),
            (self.energies, own.energy, own.switch_energy),
        ):
            terms += [float(table[k, s]), float(self._changing(switch)[s])]
        self.states.append(s)
        return True


def follow(
    forecast: Jqodi, world: Jqodi, plan: JqodiPlan | None = None, *, decide: Decide = "once", method: str = "auto"
) -> Run | None:
    """Let a run happen; None where there is no plan to begin with.

    Parameters
    ----------
    forecast : what is decided on.
    world : the same problem with the losses (by their expected numbers) and conditions that come true, from the first
        epoch of the forecast on. Its own limits do not matter.
    plan : to begin with; default the solution of the forecast, with the first epoch's conditions seen.
    decide : ``once``, or ``again`` after every epoch.
    method : as `qopt.solve` takes it.

    Raises
    ------
    InputError
        No JQODI problem, a plan that does not fit the forecast, a world that lacks its model or bit-width, that has
        other servers or cuts of it, or that is a run under way.
    """
    forecast, world = problem_of(Jqodi, forecast, field="forecast"), problem_of(Jqodi, world, field="world")
    if decide not in ("once", "again"):
        raise InputError("decide", shown(decide), "'once' or 'again'")
    if world.start is not None or forecast.start is not None:
        raise InputError("start", "a run that has begun", "a forecast and a world without start")
    solved = 0
    if plan is None:
        solved, plan = 1, _solved(_seen(forecast, world, 0), method)
        if plan is None:
            return None
    checked_plan(forecast, plan)
    if not any(m.name == plan.model and w.bits == plan.bits for m in world.models for w in m.widths):
        raise InputError("world", f"no {plan.model} at {plan.bits} bits", "the models of the forecast")
    _check_same_states(forecast, world, plan.model)
    now, left, followed, without = _World(world, plan), _seen(forecast, world, 0), 0, 0
    asked = plan  # what is followed; `left` is the problem that it answers
    for k in range(now.epochs):
        if k and decide == "again":
            again = _again(left, asked, followed, now, _seen(forecast, world, k).conditions)
            found = None if again is None else _solved(again, method)
            solved += again is not None
            without += found is None
            if again is not None and found is not None:
                left, asked, followed = again, found, 0
        more = followed < len(asked.servers)
        if not now.step((asked.servers[followed], asked.cuts[followed]) if more else None):
            break
        followed += 1
    time, energy = math.fsum(now.times), math.fsum(now.energies)
    reached = now.needed is not None and len(now.states) >= now.needed
    return Run(
        model=plan.model,
        bits=plan.bits,
        states=tuple(now.candidate.states[s] for s in now.states),
        time=time,
        energy=energy,
        reached=reached,
        in_time=reached and within(now.times, forecast.time_limit),
        solved=solved,
        without_plan=without,
    )


def _check_same_states(forecast: Jqodi, world: Jqodi, model: str) -> None:
    """Refuse a world whose servers, or cuts of a model, are not those of the forecast."""
    cuts = (world.model(model).admissible_cuts, forecast.model(model).admissible_cuts)
    pairs = ((world.server_names, forecast.server_names, "servers"), (*cuts, f"cuts of {model}"))
    for there, asked, what in pairs:
        for missing in [each for each in asked if each not in there]:
            raise InputError("world", f"no {missing!r} among the {what}", f"the {what} of the forecast")
        for more in [each for each in there if each not in asked]:
            raise InputError("world", f"{more!r} among the {what}", f"the {what} of the forecast")


def _solved(problem: Jqodi, method: str) -> JqodiPlan | None:
    """The plan of a problem, if one keeps its limits."""
    solution = solve(problem, method)
    plan: JqodiPlan | None = solution.plan
    return plan if solution.certificate.feasible else None


def _again(left: Jqodi, plan: JqodiPlan, after: int, now: _World, conditions: Conditions | None) -> Jqodi | None:
    """What is left; None where by the forecast nothing is, or more epochs than conditions are thought of for."""
    observed = None if now.losses is None else now.losses[len(now.states)]
    after = min(after, len(plan.servers))
    try:
        problem = remaining(
            left,
            plan,
            after,
            elapsed=math.fsum(now.times),
            energy=math.fsum(now.energies),
            observed=observed,
            changes={"conditions": conditions},
        )
    except InputError:
        return None
    server, cut = now.candidate.states[now.states[-1]]
    return problem.replace({"start.server": server, "start.cut": cut, "start.epochs": len(now.states)})


def _seen(forecast: Jqodi, world: Jqodi, k: int) -> Jqodi:
    """A forecast in which the conditions of epoch k, from 0, are the world's, and those after it the forecast's."""
    if world.conditions is None:
        return forecast
    own, true = forecast.conditions or Conditions(), world.conditions
    length = max([k + 1, *(len(column) for _, column in [*own.columns(), *true.columns()])]) + ROOM

    def column(expected: Any, comes: Any) -> Any:
        if comes is None:
            return expected if expected is None else lasting(expected, length)
        values = lasting(np.ones(1) if expected is None else expected, length)
        values[k] = comes[k]
        return values

    def flags(expected: Any, comes: Any) -> Any:
        values = column(expected, comes)
        return None if values is None else [bool(value) for value in values]

    servers: dict[str, ServerConditions] = {}
    for name in forecast.server_names:
        a, b = own.servers.get(name) or ServerConditions(), true.servers.get(name) or ServerConditions()
        rates = {what: column(getattr(a, what), getattr(b, what)) for what in ("speed", "cloud_rate", "device_rate")}
        servers[name] = ServerConditions(**rates, available=flags(a.available, b.available))
    parts = {what: column(getattr(own, what), getattr(true, what)) for what in ("cloud_speed", "device_speed")}
    return forecast.model_copy(update={"conditions": Conditions(**parts, servers=servers)})

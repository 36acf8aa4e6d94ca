"""Energy over time, and over the loss that is reached: all plans that no other beats, by one search of labels.

For two criteria a search for each model and width (`qopt.jqodi.sweep`), which knows what the ones before
have found. With the loss, the same for each number of epochs after which a model at a width has a loss of its own,
from the least loss on: what is found there bounds all that lose more.
"""

from __future__ import annotations

import math
import os
import time as wall
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qopt.core.arguments import whole
from qopt.core.arrays import IntArray
from qopt.core.certificate import Certificate, Slack
from qopt.core.clock import ENDLESS, Clock
from qopt.core.errors import InputError, shown
from qopt.core.front import Criterion, Front, FrontPoint
from qopt.core.reading import problem_of
from qopt.core.solution import Solution
from qopt.jqodi.certificate import arrays
from qopt.jqodi.certificate.arrays import Arrays
from qopt.jqodi.losses import losses
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi, Model, Width
from qopt.jqodi.sweep import Staircase, Sweep

ENERGY, TIME, LOSS = Criterion("energy", "J"), Criterion("time", "s"), Criterion("loss", "")
CRITERIA = {criterion.name: criterion for criterion in (ENERGY, TIME, LOSS)}

MAX_LABELS = 100_000_000
"""Partial plans made for a front, by default: some minutes."""

SEARCHING = 0.7
"""Share of the time in which is searched: completing what was begun and reading plans from it takes the rest."""

SAME = 1e-12
"""Share by which the search's sums may differ from a plan's own."""


@dataclass(frozen=True, eq=False)
class Reached:
    """A plan of a front.

    Attributes
    ----------
    energy, time : joules and seconds, recomputed from the plan.
    loss : the least loss limit for which the plan has as many epochs as are needed; 0 where nobody asked.
    candidate : its model at its width, over its epochs.
    states : (K,) of the plan.
    proved : whether it is known that no plan of at most this time and loss takes less energy.
    """

    energy: float
    time: float
    loss: float
    candidate: Arrays
    states: IntArray
    proved: bool

    def plan(self, problem: Jqodi) -> JqodiPlan:
        """The plan.

        Parameters
        ----------
        problem : whose name it bears.
        """
        own, states = self.candidate, self.states.tolist()
        servers = [x for x in own.servers for _ in own.cuts]
        cuts = [*own.cuts] * len(own.servers)
        return JqodiPlan(
            problem=problem.name,
            model=own.model,
            bits=own.bits,
            servers=tuple([servers[s] for s in states]),
            cuts=tuple([cuts[s] for s in states]),
        )


def front(
    problem: Jqodi | str | os.PathLike[str],
    *,
    criteria: Sequence[str] = ("energy", "time"),
    against: str | None = None,
    max_labels: int = MAX_LABELS,
    clock: Clock = ENDLESS,
) -> Front:
    """All plans that no other beats in energy and time; with the loss among the criteria, in all three.

    T_max is set aside, everything else stays. A point's solution answers the problem whose T_max is the point's time
    (and whose loss limit is the point's loss); its certificate has no breakdown of costs, which `qopt.certify` gives.

    Parameters
    ----------
    problem : a problem, a bundled name or a path.
    criteria : list of names, energy and time, and loss where the models' losses are given: the loss limit. A plan then
        may train for fewer epochs than its model needs, down to one.
    against : what energy is weighed against: ``time``, or ``loss`` for time and loss; another way to say `criteria`.
    max_labels : partial plans that may be made.
    clock : when it is over, or there were more partial plans, the front holds what was found, not proved.

    Raises
    ------
    InputError
        The problem is of another family, or a criterion is unknown or not given.
    """
    asked = problem_of(Jqodi, problem, named=True)
    if against not in (None, "time", "loss"):
        raise InputError("against", shown(against), "'time', or 'loss' for time and loss")
    wanted = _criteria(("energy", "time", "loss") if against == "loss" else criteria)
    whole("max_labels", max_labels, 1, 10**12)
    begun = wall.perf_counter()
    search = clock.part(SEARCHING)
    found = reached(asked, LOSS in wanted, max_labels, search)
    late = search.over  # asked once: reading plans goes on after the search
    share = (wall.perf_counter() - begun) / max(len(found), 1)
    points = [_point(asked, each, LOSS in wanted, share, late) for each in found]
    first = wanted[0].name
    points.sort(key=lambda point: [point.values[first] or 0.0, *(point.values[c.name] or 0.0 for c in wanted)])
    complete = all(each.proved for each in found)
    stopped = "the time limit is reached" if late else f"more than {max_labels} partial plans"
    notes = () if complete else (stopped,)
    return Front(asked.name, wanted, tuple(points), complete=complete, notes=notes)


def _criteria(names: Sequence[str]) -> tuple[Criterion, ...]:
    """The criteria by name."""
    allowed = "energy and time, or energy, time and loss, each once"
    if not isinstance(names, list | tuple) or any(type(name) is not str for name in names):
        raise InputError("criteria", shown(names), allowed)
    unknown = [name for name in names if name not in CRITERIA]
    if unknown or len(set(names)) != len(names) or not {"energy", "time"} <= set(names):
        raise InputError("criteria", shown(list(names)), allowed)
    return tuple(CRITERIA[name] for name in names)


def reached(problem: Jqodi, with_loss: bool, max_labels: int, clock: Clock) -> list[Reached]:
    """The plans that no other beats, by rising loss and time.

    Parameters
    ----------
    with_loss : whether a lower loss makes up for more energy and time.
    max_labels : partial plans that may be made.
    clock : when it is over, what was found is returned.
    """
    known, left, complete = Staircase(), max_labels, True
    found: list[tuple[float, float, float, Arrays, IntArray]] = []
    for loss, candidate in _levels(problem) if with_loss else ((0.0, one) for one in arrays.every(problem)):
        if clock.over and found:
            complete = False
            break
        if problem.mode == "choice":
            found += [(*each, loss, candidate, states) for each, states in _choices(candidate)]
            continue
        if not candidate.possible:
            continue
        search = Sweep(candidate, known, clock, left)
        result = search.run()
        left, complete = search.remaining, complete and result.complete
        sums = zip(result.energy.tolist(), result.time.tolist(), strict=True)
        for states, totals, summed in zip(result.states, candidate.totals_of(result.states), sums, strict=True):
            complete = complete and all(math.isclose(a, b, rel_tol=SAME) for a, b in zip(totals, summed, strict=True))
            found.append((*totals, loss, candidate, states))
    return [Reached(*each, complete) for each in _undominated(found)]


def _undominated(
    found: list[tuple[float, float, float, Arrays, IntArray]],
) -> Iterator[tuple[float, float, float, Arrays, IntArray]]:
    """Those that no other is as good as in everything; the first of equal ones."""
    order = sorted(range(len(found)), key=lambda i: (found[i][2], found[i][1], found[i][0]))
    below = Staircase()  # of what loses less
    begin = 0
    while begin < len(order):
        loss = found[order[begin]][2]
        end = next((i for i in range(begin, len(order)) if found[order[i]][2] > loss), len(order))
        energies, least = below.energy.copy(), math.inf
        for i in order[begin:end]:
            energy, time = found[i][:2]
            at = int(np.searchsorted(below.time, time, side="right")) - 1
            if energy < least and (at < 0 or energy < energies[at]):
                yield found[i]
                least = energy
        below.add(np.array([found[i][0] for i in order[begin:end]]), np.array([found[i][1] for i in order[begin:end]]))
        begin = end


def _choices(candidate: Arrays) -> Iterator[tuple[tuple[float, float], IntArray]]:
    """Every state, kept through all epochs."""
    for s in np.flatnonzero(candidate.there.all(axis=0)).tolist():
        states = np.full(candidate.epochs, s, dtype=np.int64)
        yield candidate.totals(states), states


def _levels(problem: Jqodi) -> Iterator[tuple[float, Arrays]]:
    """The least loss limits for which a model at a width trains for so many epochs, and it over these; least first.

    The epochs that must fit T_max and those whose energy counts both go with the limit, each by its own estimate.
    """
    found: list[tuple[float, int, Model, Width]] = []
    for at, (model, width, most) in enumerate(arrays.needed(problem)):
        limits: set[float] = set()
        for estimate in ("expected", problem.estimate):
            parts = problem.loss_parts(model, width, estimate)
            if parts is None or width.epochs is not None:
                missing = f"loss, and no losses of {model.name} at {width.bits} bits"
                raise InputError("criteria", missing, "energy and time")
            limits.update(max(float(loss), 0.0) for loss in losses(*parts, most)[1:])
        found += [(limit, at, model, width) for limit in limits]
    seen: set[tuple[int, int | None, int | None]] = set()
    for limit, at, model, width in sorted(found, key=lambda level: level[:2]):
        asked = model.model_copy(update={"loss_limit": limit})
        expected, robust = problem.epochs(asked, width)
        epochs = expected if problem.estimate == "expected" else robust
        if epochs is None or (at, expected, robust) in seen or epochs > (problem.needed(model, width) or 0):
            continue
        seen.add((at, expected, robust))
        yield limit, arrays.read(problem, asked, width, epochs)


def _point(problem: Jqodi, each: Reached, with_loss: bool, seconds: float, late: bool) -> FrontPoint:
    """A plan as a point, with what is known of it."""
    rows = [Slack("time", each.time, each.time, True)]
    if with_loss:
        rows.append(Slack("loss", each.loss, each.loss, True))
    stopped: Literal["time-limit", "labels"] | None = None if each.proved else "time-limit" if late else "labels"
    certificate = Certificate(
        bits=None,
        feasible=True,
        objective=each.energy,
        cost=None,
        constraints=tuple(rows),
        bound=each.energy if each.proved else None,
        kind="enumeration" if each.proved else None,
        proved=each.proved,
        stopped=stopped,
    )
    solution = Solution(
        problem=problem.name,
        method="labels",
        solver=None,
        bits=None,
        status="optimal" if each.proved else "time-limit" if late else "feasible",
        plan=each.plan(problem),
        objective=each.energy,
        bound=certificate.bound,
        seconds=seconds,
        certificate=certificate,
        instance=None if with_loss else problem.model_copy(update={"time_limit": each.time}),
    )
    values = {"energy": each.energy, "time": each.time, **({"loss": each.loss} if with_loss else {})}
    facts = {"model": each.candidate.model, "bits": each.candidate.bits, "epochs": each.candidate.epochs}
    return FrontPoint(f"{each.candidate.model} at {each.candidate.bits} bits", values, solution, facts)

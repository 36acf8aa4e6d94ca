"""What a request can limit: noise, memory, time, energy, price, payload; for fronts and for `qopt.explain`.

Noise is a share of what the accuracy level allows at the plan's cut: the limit that a request states is 1. It is one
limit over all cuts, whose noise limits differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.clock import Clock
from qopt.core.limited import Least, Limit
from qopt.core.limits import SLACK
from qopt.core.problem import Problem
from qopt.core.smallest import better
from qopt.core.solution import Solution
from qopt.kernels import mckp
from qopt.kernels.knapsack.prices import row_prices
from qopt.qpart.costs import breakdown
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import LIMITS, UNITS, QPart
from qopt.qpart.subproblem import Subproblem, subproblems
from qopt.qpart.terms import noise_terms

LEAST_LIMIT = 1e-100
"""The smallest limit above 0 that an instance states; below it a limit is 0."""

NONE = 1e100
"""The largest limit that an instance states: what is used as if there were none, where a row is needed."""


def limits(problem: QPart) -> tuple[Limit, ...]:
    """Everything that can be limited, with what the request states.

    Parameters
    ----------
    problem : a request.
    """
    given = problem.given_limits
    priced = problem.server.price > 0 and len(problem.admissible_cuts) > 1
    noisy = problem.quantize_input or bool(np.any(problem.admissible_cuts > 0))
    return (
        Limit(
            "noise", 1.0 if noisy else None, words="accuracy (noise, as a share of what the level allows)", varies=noisy
        ),
        Limit("memory", problem.device.memory, "bit", varies=bool(np.any(problem.admissible_cuts > 0))),
        *(
            Limit(name, given.get(name), UNITS[name], varies=priced if name == "price" else _varies(problem))
            for name in LIMITS
        ),
    )


def _varies(problem: QPart) -> bool:
    """Whether there is anything to choose: a second cut, or a width."""
    return len(problem.admissible_cuts) > 1 or len(problem.widths) > 1


def changed(problem: QPart, values: Mapping[str, float | None]) -> QPart:
    """The request with other limits.

    Parameters
    ----------
    problem : a request.
    values : by name; None takes a limit away. Noise is a share of what the accuracy level allows now.
    """
    changes: dict[str, object] = {}
    for name, value in values.items():
        if name == "noise":
            changes |= _with_noise(problem, value)
        elif name == "memory":
            changes["device.memory"] = _stated(value)
        else:
            changes[f"limits.{name}"] = _stated(value)
    if problem.limits is None and any(name.startswith("limits.") for name in changes):
        named = {
            name.removeprefix("limits."): changes.pop(name) for name in list(changes) if name.startswith("limits.")
        }
        changes["limits"] = named
    return problem.replace(changes)


def _stated(value: float | None) -> float | None:
    """A limit as an instance may state it."""
    return None if value is None else 0.0 if value < LEAST_LIMIT else value


def _with_noise(problem: QPart, share: float | None) -> dict[str, object]:
    """Noise limits times a share, in the row of the level; None: more than any plan makes."""
    if share == 1.0:
        return {}
    row, accuracy = problem.level_row, problem.accuracy
    delta = np.array(accuracy.delta)
    if share is None:
        most = 2.0 * math.fsum(float(table.max(axis=1).sum()) for table in noise_terms(problem) if table.size)
        of_all = np.full(delta.shape[1], max(most, 1.0))
        of_input = max(most, 1.0)
    else:
        of_all = delta[row] * share
        of_all[of_all < LEAST_LIMIT] = 0.0
        of_input = 0.0 if accuracy.delta_input is None else (_stated(float(accuracy.delta_input[row]) * share) or 0.0)
    delta[row] = of_all
    found: dict[str, object] = {"accuracy.delta": delta.tolist()}
    if accuracy.delta_input is not None:
        inputs = np.array(accuracy.delta_input)
        inputs[row] = of_input
        found["accuracy.delta_input"] = inputs.tolist()
    return found


def used(problem: QPart, plan: QPartPlan) -> dict[str, float]:
    """What a plan of whole bits uses, by name.

    Parameters
    ----------
    problem, plan : a request and a plan for it.
    """
    cost, own = breakdown(problem, plan), subproblems(problem).at(plan.cut)
    _, first = np.unique(own.owner, return_index=True)
    columns = own.columns_of(np.array([*plan.weights, *plan.activations], dtype=float)[first])
    noise = math.fsum(own.noise[np.arange(len(columns)), columns].tolist())
    return {
        "noise": share_of(noise, own.limit),
        "memory": math.fsum(own.memory_of(own.widths_of(columns)).tolist()),
        "time": cost.time,
        "energy": cost.energy,
        "price": cost.price,
        "payload": cost.payload,
    }


def share_of(noise: float, limit: float) -> float:
    """Noise as a share of a cut's limit; infinite where nothing is allowed and something is made.

    Parameters
    ----------
    noise : sum of the terms.
    limit : Delta(a, p), infinite at a cut without noise.
    """
    return noise / limit if limit > 0 else 0.0 if noise == 0 else math.inf


def least(problem: Problem, name: str, below: float | None, clock: Clock) -> Least:
    """The least that a plan of whole bits uses of something, with all other limits kept: a knapsack at every cut.

    Parameters
    ----------
    problem : a request.
    name : of what is to be small.
    below : objective that a plan must be better than; None for any.
    clock : of the call.
    """
    assert isinstance(problem, QPart)
    if name in LIMITS:
        problem = changed(problem, {name: NONE})
    table = subproblems(problem)
    best, pending = math.inf, math.inf
    for cut in problem.admissible_cuts.tolist():
        own = table.at(cut)
        if clock.over:
            pending = -math.inf
            break
        found = _least_at(own, name, below, best, clock)
        if found is None:
            continue
        value, bound = found
        best, pending = min(best, value), min(pending, bound)
    # Limits within the slack of each other allow the same.
    proved = pending >= best or (best < math.inf and best - pending <= SLACK * abs(best))
    return Least(None if best == math.inf else max(best, 0.0), proved)


def _least_at(
    own: Subproblem, name: str, below: float | None, upper: float, clock: Clock
) -> tuple[float, float] | None:
    """The least at a cut, and a bound on it; infinite where none is found; None where there is none below `upper`."""
    rows = {row.name: row for row in own.rows}
    goal = rows["accuracy" if name == "noise" else name]
    others = [row for row in own.rows if row is not goal and math.isfinite(row.limit) and not row.slack]
    unit = own.limit if name == "noise" else 1.0
    if name == "noise" and math.isinf(own.limit):
        goal, unit = goal._replace(use=np.zeros_like(goal.use)), 1.0
    if not len(own.tensors):
        value = goal.fixed / (unit or 1.0)
        kept = all(row.keeps(np.zeros(0, dtype=np.int64)) for row in others) and (bool(unit) or goal.fixed <= 0.0)
        return (value, value) if kept and (below is None or better(own.base, below)) else None
    # What is fixed is one more class, so that the kernel's test of a limit is the request's own.
    weights, most = [_with_fixed(row.use, row.fixed) for row in others], [row.limit for row in others]
    if below is not None:
        weights.append(_with_fixed(own.cost, own.base))
        most.append(below - 2.0 * SLACK * abs(below))
    if unit == 0.0:  # nothing is allowed here: only plans without noise count, and of these all are alike
        weights.append(_with_fixed(goal.use, goal.fixed))
        most.append(0.0)
        goal, unit = goal._replace(use=np.zeros_like(goal.use), fixed=0.0), 1.0
    uses = _with_fixed(goal.use, 0.0)
    result = mckp.solve(
        uses,
        np.stack(weights) if weights else np.zeros_like(uses),
        np.array(most) if weights else math.inf,
        upper=upper * unit - goal.fixed if math.isfinite(upper) else math.inf,
        time_limit=clock.left,
    )
    if result.status == "infeasible":
        return None
    value = math.inf if result.objective is None else (result.objective + goal.fixed) / unit
    if result.status == "optimal":
        return value, value
    return value, -math.inf if result.bound is None else (result.bound + goal.fixed) / unit


def _with_fixed(use: FloatArray, fixed: float) -> FloatArray:
    """(n + 1, k) what items use, and what is used whatever is chosen."""
    return np.vstack((use, np.full((1, use.shape[1]), fixed)))


def parts(problem: QPart, solution: Solution) -> list[str]:
    """What each cut of a request without a plan breaks, a line for neighbours that break the same.

    Parameters
    ----------
    problem, solution : a request, and the proof that it has no plan.
    """
    del problem
    return [note for note in solution.certificate.notes if note.startswith("cut")]


def multipliers(problem: QPart, solution: Solution) -> dict[str, float]:
    """Of each limit in the linear relaxation at the plan's cut, where all of them are rows of one knapsack.

    Parameters
    ----------
    problem, solution : a request and its best plan.
    """
    own = subproblems(problem).at(solution.plan.cut)
    rows = [row for row in own.rows if math.isfinite(row.limit)]
    if not len(own.tensors) or not rows:
        return {}
    room = [row.limit - row.fixed for row in rows]
    prices = row_prices(own.cost, np.stack([row.use for row in rows]), room)
    if prices is None:
        return {}
    named = dict(zip([row.name for row in rows], prices.tolist(), strict=True))
    noise = named.pop("accuracy", None)
    return named if noise is None else {"noise": noise * own.limit, **named}

"""Search over cuts for methods that solve one cut at a time, skipping those that cannot be best."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.core.solution import Outcome, Status
from qopt.qpart.problem import QPart
from qopt.qpart.screening import candidate_cuts, cut_bounds, dominated
from qopt.qpart.subproblem import Subproblem, subproblems

LN4 = math.log(4.0)


@dataclass(frozen=True, repr=False)
class AtCut(Brief):
    """What solving one cut gave.

    Attributes
    ----------
    status : ``optimal``, ``infeasible``, ``time-limit``, ``dominated`` (its bound passed the incumbent) or ``failed``.
    width : (n,) widths that pass the exact test, or None.
    bound : lower bound on the cut's objective, or None.
    multiplier : of the noise row, None if unknown.
    details : what is worth keeping if this is the best cut.
    """

    status: str
    width: FloatArray | None = None
    bound: float | None = None
    multiplier: float | None = None
    message: str = ""
    details: dict[str, object] = field(default_factory=dict)


def dual_bound(subproblem: Subproblem, multiplier: float, memory_multiplier: float = 0.0) -> float:
    """Lower bound on a cut's objective by weak duality, for noise that is at least the law's (law and grid).

    ``base - lambda Delta - kappa (memory - overhead) + sum_i min over b in [lo, hi] of (pi_i + kappa z_i) b
    + lambda c_i 4^-b``
    """
    lo, hi = float(subproblem.bits[0]), float(subproblem.bits[-1])
    if multiplier == 0.0 and memory_multiplier == 0.0:
        return subproblem.base + lo * math.fsum(subproblem.price)
    assert subproblem.coefficient is not None
    c, price = subproblem.coefficient, subproblem.price + memory_multiplier * subproblem.stored
    with np.errstate(divide="ignore", invalid="ignore"):
        free = 0.5 * (np.log2(c) + math.log2(multiplier * LN4) - np.log2(price)) if multiplier else np.full(len(c), lo)
    width = np.where(c > 0, np.where(price > 0, np.clip(free, lo, hi), hi), lo)
    parts = [subproblem.base, *(price * width), *(multiplier * c * np.exp2(-2.0 * width))]
    if multiplier:
        parts.append(-multiplier * subproblem.limit)
    if memory_multiplier:
        parts += [-memory_multiplier * subproblem.memory, *(memory_multiplier * subproblem.overhead)]
    return math.fsum(parts)


def objective(subproblem: Subproblem, width: FloatArray) -> float:
    """Objective of widths at a cut (Eq. 17)."""
    return math.fsum([subproblem.base, *(subproblem.price * width)])


def best_cut(problem: QPart, clock: Clock, solve_cut: Callable[[Subproblem, float], AtCut]) -> Outcome:
    """Solve cuts in the order of their lower bounds until the next bound is worse than the incumbent.

    Parameters
    ----------
    problem : the request.
    clock : checked before each cut.
    solve_cut : called with a cut's data and the incumbent's objective (infinite at first).
    """
    table = subproblems(problem)
    bounds = cut_bounds(table)
    incumbent, best, chosen = math.inf, None, None
    bound, solved, status, message = math.inf, 0, "optimal", ""
    for p in candidate_cuts(bounds, problem.admissible_cuts):
        lower = float(bounds[p])
        if math.isinf(lower) or dominated(lower, incumbent):  # infinite noise keeps no limit
            bound = min(bound, lower)
            break
        if clock.over:
            bound, status = min(bound, lower), "time-limit"
            break
        subproblem = table.at(p)
        answer = solve_cut(subproblem, incumbent)
        solved += 1
        if answer.status == "infeasible":
            continue
        bound = min(bound, lower if answer.bound is None else max(lower, answer.bound))
        if answer.status in ("time-limit", "failed") and status != "failed":
            status, message = answer.status, answer.message
        if answer.width is not None:
            value = objective(subproblem, answer.width)
            if value < incumbent or (value == incumbent and chosen is not None and subproblem.cut < chosen.cut):
                incumbent, best, chosen = value, answer, subproblem
    details: dict[str, object] = {"cuts_solved": solved, "cuts": len(problem.admissible_cuts)}
    if best is None or chosen is None:
        kind: Status = "infeasible" if status == "optimal" else status  # type: ignore[assignment]
        found = bound if math.isfinite(bound) and kind != "infeasible" else None
        return Outcome(kind, bound=found, message=message, details=details)
    details |= {"multiplier": best.multiplier, **best.details}
    plan = chosen.plan(best.width, "real", problem.name)  # type: ignore[arg-type]
    return Outcome(status, plan, min(bound, incumbent), message=message, details=details)  # type: ignore[arg-type]

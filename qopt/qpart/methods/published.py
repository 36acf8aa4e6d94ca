"""`qpart-published`: Algorithms 1 and 2 to the letter, for comparison.

Algorithm 1 runs offline: for every level and cut p >= 1 it fixes the widths of layers 1..p at *one* condition, that is
one device, server, channel and weights of Eq. 17. Eq. 40 as printed gives b_p, Eq. 27 the layers before it, with the
robustness of a layer averaged over its weights and its output (Eq. 22). What crosses the cut has b_p too (Eq. 14).
Algorithm 2 runs online: at the request's own prices it takes the cut whose fixed widths cost least (Eq. 17).

`qpart-paper` instead works the widths out at the request itself, with eps restored and a robustness for each tensor.
The paper says nothing of rounding: widths are rounded up and clipped to lo..hi. Neither algorithm looks at Delta.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.qpart.costs import breakdown
from qopt.qpart.methods.paper import raw_widths, whole_widths
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import subproblems
from qopt.qpart.table2 import TABLE_II

PRINTED_FIRST = ("printed", "restored")
"""The form of Eq. 40, the first by default; see `qopt.qpart.methods.paper.EQUATIONS`."""


def no_menus(problem: QPart) -> str | None:
    """Why the published algorithm, which gives one width for a cut's weights and output, cannot take a problem."""
    return "bits has menus, the published algorithm knows a range lo..hi" if problem.bits.has_menus else None


def averaged(problem: QPart) -> QPart:
    """The problem with Eq. 22's robustness: one for a layer, the mean of its weights' and its output's.

    Parameters
    ----------
    problem : a request with a robustness for each tensor, or none, which is 1.
    """
    accuracy = problem.accuracy
    if accuracy.rho_weights is None and accuracy.rho_activations is None:
        return problem
    ones = np.ones_like(accuracy.delta)
    sides = [ones if rho is None else rho for rho in (accuracy.rho_weights, accuracy.rho_activations)]
    mean = (sides[0] + sides[1]) / 2.0
    rows = [[x if math.isfinite(x) else None for x in row] for row in mean.tolist()]
    return problem.replace({"accuracy.rho_weights": rows, "accuracy.rho_activations": rows})


def offline_problem(problem: QPart, condition: Mapping[str, Any] | None = None) -> QPart:
    """What Algorithm 1 works on: the condition's prices, Eq. 22's robustness, one width for a cut's weights and output.

    Parameters
    ----------
    condition : fields of `QPart.replace`; None is Table II.
    """
    changes = {**(TABLE_II if condition is None else condition), "tie_cut": True}
    return averaged(problem.replace(changes))


def offline_widths(
    problem: QPart, condition: Mapping[str, Any] | None = None, equation: str = "printed"
) -> Iterator[tuple[QPartPlan, FloatArray]]:
    """Algorithm 1 at the problem's level: the plan of every admissible cut p >= 1, with its raw widths (Eqs. 40, 27).

    Parameters
    ----------
    condition : fields of `QPart.replace`, the one condition; None is Table II.
    equation : the form of Eq. 40, ``printed`` or ``restored``.
    """
    fixed = offline_problem(problem, condition)
    table = subproblems(fixed)
    for cut in problem.admissible_cuts.tolist():
        if cut == 0:
            continue
        subproblem = table.at(cut)
        raw = raw_widths(fixed, table, subproblem, equation)
        yield subproblem.plan(whole_widths(subproblem, raw), "whole", problem.name), raw


def solve(problem: QPart, options: Options) -> Outcome:
    """The published plan; its raw widths are in ``details["raw"]``, weights of layers 1..p, the last also the output's.

    Takes time_limit: cuts are evaluated in their order; and formulation: the form of Eq. 40, see `PRINTED_FIRST`.
    """
    clock, best, best_value, raw = options.clock(), None, math.inf, None
    status: Status = "heuristic"
    message = "widths fixed under Table II's condition"
    for plan, found in offline_widths(problem, equation=options.formulation or PRINTED_FIRST[0]):
        if clock.over:
            status, message = "time-limit", f"the cuts before {plan.cut} were evaluated"
            break
        value = breakdown(problem, plan).objective  # Algorithm 2, line 3
        if value < best_value:
            best, best_value, raw = plan, value, found
    if best is None or raw is None:
        stopped = status == "time-limit"
        return Outcome(status, message=message if stopped else "the published algorithm needs a cut p >= 1")
    details = {"raw": [float(b) if math.isfinite(b) else None for b in raw]}
    return Outcome(status, best, message=message, details=details)

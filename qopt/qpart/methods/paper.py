"""`qpart-paper`: the published algorithm, for comparison (Algorithms 1 and 2, Eqs. 27 and 40).

Eq. 40 with the eps that Eq. 32 drops put back gives the width at the cut,

    b_p = (xi - delta) o_p / (eps z_p) - 1 / ln 4,

and Eq. 27 the others: c_l 4^{-b_l} / z_l is the same for all. With `formulation="printed"` it is Eq. 40 to the letter,

    b_p = ((xi - delta) o_p - z_p / ln 4) / (eps z_p),

which subtracts a number of values from a cost. Widths are rounded up and clipped to the admissible
range, every cut p >= 1 is evaluated, and the best objective wins. The noise limit enters nowhere: whether the plan
keeps it is for the certificate to say.
"""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.qpart.costs import prices
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem, SubproblemTable, subproblems

EQUATIONS = ("restored", "printed")
"""Eq. 40 with the eps that Eq. 32 drops put back, and as it is printed."""


def raw_widths(
    problem: QPart, table: SubproblemTable, subproblem: Subproblem, equation: str = "restored"
) -> FloatArray:
    """(n,) widths of Eqs. 40 and 27 at a cut p >= 1, as they come: not whole, not bounded, perhaps not finite.

    Parameters
    ----------
    table, subproblem : of the problem.
    equation : one of `EQUATIONS`, the form of Eq. 40.
    """
    assert table.c_w is not None
    assert subproblem.coefficient is not None
    p, price = subproblem.cut, prices(problem)
    pi_p, c_p = float(table.price_w[p - 1]), float(table.c_w[p - 1])
    with np.errstate(all="ignore"):
        macs = float(problem.network.macs[p - 1])
        lost = float(problem.network.weights[p - 1]) if equation == "printed" else pi_p
        b_p = np.float64((price.device - price.server) * macs - lost / math.log(4.0)) / pi_p
        widths: FloatArray = b_p + 0.5 * (np.log2(subproblem.coefficient / c_p) - np.log2(subproblem.price / pi_p))
    widths[subproblem.owner[p - 1]] = b_p
    return widths


def whole_widths(subproblem: Subproblem, raw: FloatArray) -> FloatArray:
    """(n,) raw widths rounded up and clipped; a tensor without noise takes lo, one of undefined width hi.

    With menus, rounded up to the next width on the tensor's menu, or the largest.
    """
    assert subproblem.coefficient is not None
    lo, hi = float(subproblem.bits[0]), float(subproblem.bits[-1])
    widths = np.where(subproblem.coefficient > 0, np.nan_to_num(raw, nan=hi, posinf=hi, neginf=lo), lo)
    rounded = np.clip(np.ceil(widths), lo, hi)
    if subproblem.stand_in is None:
        return rounded
    return subproblem.widths_of(subproblem.columns_of(rounded)).astype(np.float64)


def solve(problem: QPart, options: Options) -> Outcome:
    """The published plan; its raw widths are in ``details["raw"]``, in the order of the subproblem's items.

    Takes time_limit: cuts are evaluated in their order; and formulation: the form of Eq. 40, see `EQUATIONS`.
    """
    clock, table = options.clock(), subproblems(problem)
    best, best_value, raw = None, math.inf, None
    status: Status = "heuristic"
    message = ""
    for cut in problem.admissible_cuts:
        if clock.over:
            status, message = "time-limit", f"the cuts before {cut} were evaluated"
            break
        if cut == 0:  # the paper always leaves at least one layer to the device
            continue
        subproblem = table.at(int(cut))
        found = raw_widths(problem, table, subproblem, options.formulation or EQUATIONS[0])
        bits = whole_widths(subproblem, found)
        value = subproblem.base + float(subproblem.price @ bits)
        if value < best_value:
            best, best_value, raw = subproblem.plan(bits, "whole", problem.name), value, found
    if best is None or raw is None:
        if message:
            return Outcome("time-limit", message=message)
        return Outcome("heuristic", message="the published algorithm needs a cut p >= 1")
    details = {"raw": [float(b) if math.isfinite(b) else None for b in raw]}
    return Outcome(status, best, message=message, details=details)

"""A proof of a QPART plan of whole widths that `qopt.kernels.checker` takes: a knapsack and a tree for every cut.

What a cut costs whatever its widths is a class of one column, the last. Every part must show that it has nothing
cheaper than the plan, which is the answer to one of them.
"""

from __future__ import annotations

import math

import numpy as np

from qopt.core.errors import InputError
from qopt.kernels.parts import knapsack_part
from qopt.kernels.parts import proof as whole
from qopt.qpart.certificate.certify import certify
from qopt.qpart.certificate.cuts import CutTable
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart


def proof(problem: QPart, plan: QPartPlan | None, gap: float) -> dict[str, object]:
    """The proof that no plan of whole widths is better than one, or (plan None) that no plan keeps the limits.

    Parameters
    ----------
    problem : the problem.
    plan : of whole widths that keeps all limits, or None.
    gap : share of its cost by which something may be cheaper.

    Returns
    -------
    An object of format ``qopt/kernel-proof``.

    Raises
    ------
    InputError
        Real-valued widths, a plan of another problem or one that breaks a limit, or no tree is found.
    """
    if plan is not None:
        if plan.bits != "whole":
            raise InputError("plan.bits", plan.bits, "whole: real-valued widths are proved by their dual alone")
        certificate = certify(problem, plan, labels=0)
        if not certificate.feasible:
            broken = certificate.violations[0] if certificate.violations else "a plan that breaks a limit"
            raise InputError("plan", broken, "a plan that keeps all limits of this problem")
    table, upper, parts = CutTable(problem, "whole"), math.inf, []
    chosen: dict[int, list[int]] = {}
    if plan is not None:
        cut = table.at(plan.cut)
        widths = [*plan.weights, *plan.activations]
        _, first = np.unique(cut.owner, return_index=True)
        chosen[plan.cut] = [int(widths[i]) - cut.lo for i in first]
        columns = np.array(chosen[plan.cut], dtype=np.int64)
        upper = math.fsum([cut.base, *cut.cost[np.arange(len(columns)), columns].tolist()])
    for p in problem.admissible_cuts.tolist():
        cost, noise, limit, stored, memory, base = table.knapsack(p)
        k = len(table.at(p).bits)
        rows = [[*rows, [last] * k] for rows, last in ((cost, base), (noise, 0.0), (stored, 0.0))]
        choice = [*chosen[p], 0] if p in chosen else None
        parts.append(knapsack_part(rows[0], [rows[1], rows[2]], [limit, memory], choice, upper, gap))
    return whole(parts)

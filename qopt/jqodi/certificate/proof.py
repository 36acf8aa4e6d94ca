"""A proof of a JQODI plan that `qopt.kernels.checker` takes: one network for all candidates, and a leaf for each.

It is made from the problem and the plan alone. The source's arcs divide the candidates. One whose Lagrangian bound
reaches what is claimed has that multiplier as its leaf, one in which no plan keeps T_max a ray, and what such a bound
leaves open is a leaf of labels, which the checker makes vertex by vertex (`qopt.kernels.checker`).
"""

from __future__ import annotations

import math
from fractions import Fraction

from qopt.core.errors import InputError
from qopt.jqodi.certificate import arrays
from qopt.jqodi.certificate.arrays import Arrays
from qopt.jqodi.certificate.bounds import LARGEST, dual
from qopt.jqodi.certificate.certify import TOLERANCE, violations
from qopt.jqodi.certificate.network import network
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi

FACTORS = (1.0, 0.5, 0.8, 1.25, 2.0)
"""Multiples of a dual's multiplier whose bounds prune labels."""

SURELY = 0.9
"""Share of the gap that a single leaf may use: the rest is for sums that round otherwise there."""


def proof(problem: Jqodi, plan: JqodiPlan | None, gap: float = TOLERANCE) -> dict[str, object]:
    """The proof that nothing takes less energy than a plan, or (plan None) that no plan keeps T_max.

    Parameters
    ----------
    problem : the problem.
    plan : a plan that keeps all limits, or None.
    gap : share of the plan's energy by which something may be cheaper.

    Returns
    -------
    An object of format ``qopt/kernel-proof``, of which nothing is promised before a checker has said yes.

    Raises
    ------
    InputError
        The plan is of another problem or breaks a limit, or there would be too many arcs.
    """
    candidates = arrays.every(problem)
    path, target = None, None
    net = network(candidates, problem.mode == "choice")
    if plan is not None:
        broken = violations(problem, plan)
        if broken:
            raise InputError("plan", broken[0], "a plan that keeps all limits of this problem")
        own = next(one for one in candidates if (one.model, one.bits) == (plan.model, plan.bits))
        path = net.path(own, plan)
        objective = Fraction(own.totals(own.states_of(plan))[0])
        target = objective - Fraction(SURELY * gap) * abs(objective)
    tree: list[list[object]] = []
    present = [one for one in candidates if one.key in net.first]
    for candidate in present:
        if candidate is not present[-1]:
            tree.append(["out", 0, [net.first[candidate.key]]])
        tree.append(_leaf(candidate, problem, target))
    witness: dict[str, object] = {
        "format": "qopt/kernel-witness",
        "version": 1,
        "kind": "rcsp",
        "path": path,
        "tree": tree or [["leaf", 0, 0.0]],
    }
    if plan is not None and gap > TOLERANCE:
        witness["gap"] = gap
    part = {"instance": net.instance(problem.time_limit, problem.name), "witness": witness}
    return {"format": "qopt/kernel-proof", "version": 1, "parts": [part]}


def _leaf(candidate: Arrays, problem: Jqodi, target: Fraction | None) -> list[object]:
    """What closes one candidate."""
    found = dual(candidate, problem.time_limit, target)
    choice = problem.mode == "choice"  # the network's states stay, so that its bound is no lower
    if found.bound == math.inf and not math.isfinite(found.multiplier):
        return ["leaf", 0, 1.0]
    if target is not None and found.bound >= target:
        return ["leaf", 1, found.multiplier]
    factors = () if choice or not found.multiplier else FACTORS
    return ["labels", [[m] for f in factors if (m := f * found.multiplier) < LARGEST]]

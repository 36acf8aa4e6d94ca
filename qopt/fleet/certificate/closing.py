"""Proofs of small fleets: the knapsack of single requests, and a tree that the kernels' checker follows exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qopt.core.clock import Clock
from qopt.fleet.certificate.bound import Refused
from qopt.fleet.problem import Fleet
from qopt.fleet.units import LARGEST, Units, too_many, units
from qopt.kernels import mckp
from qopt.kernels.checker import Knapsack, tree_bound
from qopt.kernels.checker import Refused as KernelRefused

MOST_REQUESTS = 40
"""Requests up to which the certificate looks for a proof of its own."""

LABELS = 300_000
"""Partial choices that it may look at: about a second."""


def instance(own: Units) -> dict[str, object]:
    """A fleet as the checker reads a knapsack: costs, weights and limits as lists.

    Parameters
    ----------
    own : the fleet, request by request.
    """
    return {"cost": own.cost.tolist(), "weight": own.use.tolist(), "limit": own.kernel_limit.tolist()}


def tree_value(problem: Fleet, tree: object, objective: int | None) -> Fraction:
    """What a tree shows every plan to cost at least.

    Raises
    ------
    Refused
        It shows nothing, or the fleet is too large for one.
    """
    why = too_many(problem)
    if why is not None:
        raise Refused(f"a tree, of a fleet with {why}")
    own = units(problem)
    try:
        found = tree_bound(Knapsack(instance(own)), tree, objective)
    except KernelRefused as why:
        raise Refused(str(why)) from None
    if found is None:
        raise Refused("it shows that there is no plan, though all may be refused")
    return found


def closed(problem: Fleet, labels: int, clock: Clock) -> Fraction | None:
    """A bound of the kernel's, with a tree that holds; None where it finds none.

    Parameters
    ----------
    problem : the problem.
    labels : partial choices that may be looked at.
    clock : ends the search.
    """
    own = units(problem)
    if (own.limit >= LARGEST).any():
        return None
    weights = own.use.astype(float) if len(own.use) else np.zeros((1, *own.cost.shape))
    limits = own.kernel_limit if len(own.use) else np.array([np.inf])
    found = mckp.solve(own.cost.astype(float), weights, limits, time_limit=clock.left, max_labels=labels)
    if found.tree is None or not len(own.use):
        least = Fraction(int(own.cost.min(axis=1).sum()))
        return least if not len(own.use) else None
    try:
        return tree_value(problem, found.tree, found.objective if found.objective is None else int(found.objective))
    except Refused:
        return None

"""A proof of a fleet's plan that `qopt.kernels.checker` takes: its knapsack, and the multipliers as a tree of one leaf.

Files hold every request with every option, so they are for fleets of some hundred requests; of larger ones anyone
recomputes the bound from the multipliers in one pass (`qopt.fleet.certificate.bound`).
"""

from __future__ import annotations

from qopt.core.errors import InputError
from qopt.fleet.arrays import tables
from qopt.fleet.certificate.certify import violations
from qopt.fleet.certificate.closing import instance
from qopt.fleet.costs import breakdown
from qopt.fleet.plan import FleetPlan
from qopt.fleet.problem import Fleet
from qopt.fleet.units import LARGEST, too_many, units
from qopt.kernels.parts import knapsack_part
from qopt.kernels.parts import proof as whole_proof
from qopt.kernels.parts import witness as kernel_witness

MOST_NUMBERS = 5_000_000
"""Weights in a file."""


def proof(problem: Fleet, plan: FleetPlan | None, gap: float) -> dict[str, object]:
    """The proof that nothing is better than a plan.

    Parameters
    ----------
    problem : the problem.
    plan : a plan that keeps all capacities.
    gap : share of its cost by which something may be cheaper.

    Returns
    -------
    An object of format ``qopt/kernel-proof``.

    Raises
    ------
    InputError
        No plan, one that breaks a capacity, too many requests, or no proof is found.
    """
    if plan is None:
        raise InputError("plan", "none", "a plan: all requests may be refused")
    broken = violations(problem, plan)
    if broken:
        raise InputError("plan", broken[0], "a plan that keeps all capacities of this problem")
    why = too_many(problem)
    if why is not None:
        raise InputError("problem", why, "a small fleet")
    own = units(problem)
    if own.use.size > MOST_NUMBERS or (own.limit >= LARGEST).any():
        raise InputError("problem", f"{own.use.size} weights", f"at most {MOST_NUMBERS}, for a file of sane size")
    choice = own.choice(problem, plan).tolist()
    upper = float(breakdown(problem, plan).objective)
    if not len(own.use):
        return whole_proof([_without_limits(own.cost.tolist(), choice, gap)])
    part = knapsack_part(own.cost.astype(float), own.use.astype(float), own.kernel_limit, choice, upper, gap)
    return whole_proof([part])


def leaf_proof(problem: Fleet, plan: FleetPlan, witness: dict[str, object], gap: float) -> dict[str, object]:
    """The proof that multipliers give, a tree of one leaf.

    Parameters
    ----------
    problem : a fleet of at most some thousand requests.
    plan : a plan that keeps all capacities.
    witness : multipliers, as `Solution.witness` has them.
    gap : share of the plan's cost by which something may be cheaper: at least the certificate's.

    Returns
    -------
    An object of format ``qopt/kernel-proof``.

    Raises
    ------
    InputError
        A tree in the place of multipliers, or too many requests.
    """
    given, shift = witness.get("multipliers"), witness.get("shift")
    if not isinstance(given, dict) or not isinstance(shift, int):
        raise InputError("witness", str(witness.get("kind")), "one of kind multipliers")
    if problem.count * max(len(o.name) for o in problem.classes.values()) > MOST_NUMBERS:
        raise InputError("problem", f"{problem.count} requests", "a fleet for a file of sane size")
    own = units(problem)
    by_name = {resource.name: resource.field for resource in tables(problem).resources}
    lam = [given.get(by_name[name], 0) / 2**shift for name in own.names]
    choice = own.choice(problem, plan).tolist()
    fields = {"format": "qopt/kernel-instance", "version": 1, "kind": "mckp", **instance(own)}
    tree: list[list[object]] = [["leaf", 1, *lam]]
    return whole_proof([{"instance": fields, "witness": kernel_witness("mckp", "choice", choice, gap, tree=tree)}])


def _without_limits(cost: list[list[int]], choice: list[int], gap: float) -> dict[str, object]:
    """A part without capacities: the cheapest of each is the answer."""
    fields: dict[str, object] = {"format": "qopt/kernel-instance", "version": 1, "kind": "mckp"}
    fields |= {"cost": cost, "weight": [], "limit": []}
    return {"instance": fields, "witness": kernel_witness("mckp", "choice", choice, gap, tree=[["leaf", 1]])}

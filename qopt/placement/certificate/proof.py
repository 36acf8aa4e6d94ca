"""A proof of a placement that `qopt.kernels.checker` takes: a minimum cut for every operator, each with a flow."""

from __future__ import annotations

from qopt.core.errors import InputError
from qopt.kernels import mincut
from qopt.kernels.parts import proof as whole
from qopt.kernels.parts import witness
from qopt.placement.certificate.bounds import cut_instance
from qopt.placement.certificate.certify import violations
from qopt.placement.costs import labelling
from qopt.placement.plan import PlacementPlan, labels_of
from qopt.placement.problem import Placement
from qopt.placement.rows import limits
from qopt.placement.terms import terms


def proof(problem: Placement, plan: PlacementPlan | None, gap: float) -> dict[str, object]:
    """The proof that nothing is better than a plan, or (plan None) that there is none.

    Parameters
    ----------
    problem : the problem, without limits on memory and latency: a cut of many tiers takes none.
    plan : a plan that keeps everything, or None.
    gap : share of its cost by which something may be cheaper.

    Returns
    -------
    An object of format ``qopt/kernel-proof``.

    Raises
    ------
    InputError
        Limits on memory or latency, a plan of another problem, or no operator reaches the target.
    """
    if plan is not None:
        broken = violations(problem, plan)
        if broken:
            raise InputError("plan", broken[0], "a plan that keeps all limits of this problem")
    parts: list[dict[str, object]] = []
    for operator in problem.eligible:
        own = terms(problem, operator)
        costs = labelling(problem, own)
        if limits(problem, own, costs):
            allowed = "a problem without: trees of flows are checked by qopt check alone"
            raise InputError("problem", "limits on memory or latency", allowed)
        if not costs.plain:
            allowed = "operators whose tensors are as large wherever they are written: a minimum cut is no proof here"
            raise InputError("problem", f"operator {operator.name}, which mixes sizes", allowed)
        flow = mincut.solve(costs.unary, costs.rows).witness()["flow"]
        labels = None if plan is None or plan.operator != operator.name else labels_of(problem, own, plan)
        parts.append({"instance": cut_instance(costs), "witness": witness("cut", "labels", labels, gap, flow=flow)})
    if not parts:
        raise InputError("problem", "no operator that reaches the accuracy", "at least one, to be proved anything of")
    return whole(parts)

"""A plan: the model, its bit-width, and the server and cut of every epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from qopt.core.arrays import AnyArray
from qopt.core.errors import InputError, shown
from qopt.core.plan import Plan
from qopt.jqodi.losses import MAX_EPOCHS
from qopt.jqodi.problem import Jqodi

Cut = Annotated[int, Field(ge=0, strict=True)]


class JqodiPlan(Plan):
    """What is trained, and where in each epoch.

    Attributes
    ----------
    model, bits : the model and the bit-width that it is quantized to.
    servers, cuts : (K,) server and cut of each epoch.
    """

    format: Literal["qopt/jqodi-plan"] = "qopt/jqodi-plan"
    version: Literal[1] = 1
    model: str
    bits: Annotated[int, Field(strict=True)]
    servers: Annotated[tuple[str, ...], Field(min_length=1, max_length=MAX_EPOCHS)]
    cuts: Annotated[tuple[Cut, ...], Field(min_length=1, max_length=MAX_EPOCHS)]

    def _decided(self) -> dict[str, Sequence[object] | AnyArray]:
        """A row for each epoch."""
        return {"epoch": range(1, len(self.cuts) + 1), "server": self.servers, "cut": self.cuts}


def checked_plan(problem: Jqodi, plan: JqodiPlan) -> JqodiPlan:
    """A plan whose shape fits the problem.

    Where the loss is never reached, any number of epochs fits; that the loss is missed is for the certificate to say,
    as is a limit that is exceeded.

    Raises
    ------
    InputError
        An unknown model, width or server, a cut that is not admissible, or another number of epochs than the width
        needs.
    """
    known = tuple(model.name for model in problem.models)
    if plan.model not in known:
        raise InputError("plan.model", shown(plan.model), ", ".join(known))
    model = problem.model(plan.model)
    widths = [width.bits for width in model.widths]
    if plan.bits not in widths:
        raise InputError("plan.bits", str(plan.bits), f"widths of {model.name}: {', '.join(map(str, widths))}")
    if len(plan.cuts) != len(plan.servers):
        raise InputError("plan.cuts", f"{len(plan.cuts)} epochs", f"{len(plan.servers)}, as many as servers has")
    needed = problem.needed(model, model.width(plan.bits))
    if needed is not None and len(plan.servers) != needed:
        allowed = f"{needed}, the epochs of {model.name} at {plan.bits} bits ({problem.estimate})"
        raise InputError("plan.servers", f"{len(plan.servers)} epochs", allowed)
    horizon = problem.horizon
    if horizon is not None and len(plan.servers) > horizon:
        raise InputError("plan.servers", f"{len(plan.servers)} epochs", f"{horizon}, for which conditions are given")
    servers, cuts = set(problem.server_names), set(model.admissible_cuts)
    for k, (server, cut) in enumerate(zip(plan.servers, plan.cuts, strict=True)):
        if server not in servers:
            raise InputError(f"plan.servers[{k}]", shown(server), ", ".join(problem.server_names))
        if cut not in cuts:
            listed = ", ".join(map(str, model.admissible_cuts))
            raise InputError(f"plan.cuts[{k}]", str(cut), f"cuts of {model.name}: {listed}")
    return plan

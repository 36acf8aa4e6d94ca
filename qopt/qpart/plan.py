"""A plan for one request: the decision alone, plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from qopt.core.arrays import AnyArray
from qopt.core.errors import InputError
from qopt.core.plan import Plan
from qopt.qpart.problem import QPart

BitWidth = Annotated[float, Field(ge=0, le=64, allow_inf_nan=False, strict=True)]


class QPartPlan(Plan):
    """A cut and the bit-widths of what crosses it or runs before it.

    Attributes
    ----------
    cut : p, layers 1..p run on the device.
    weights : (p,) bit-widths of the weights of layers 1..p.
    activations : a width for each quantized tensor that crosses the cut (`crossing_activations`), ascending.
    bits : ``whole`` or ``real``: which of the two problems the plan answers.
    """

    format: Literal["qopt/qpart-plan"] = "qopt/qpart-plan"
    version: Literal[1] = 1
    bits: Literal["whole", "real"] = "whole"
    cut: Annotated[int, Field(ge=0, strict=True)]
    weights: tuple[BitWidth, ...]
    activations: tuple[BitWidth, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain data; whole widths as integers."""
        data = self.model_dump()
        kind = int if self.bits == "whole" else float
        for name in ("weights", "activations"):
            data[name] = [kind(b) if float(b).is_integer() else float(b) for b in data[name]]
        return data

    def _decided(self) -> dict[str, Sequence[object] | AnyArray]:
        """A row for each width: of weights by layer, of outputs (``activations``) in their order."""
        kinds = ["weights"] * len(self.weights) + ["activations"] * len(self.activations)
        places = [*range(1, len(self.weights) + 1), *range(1, len(self.activations) + 1)]
        return {"kind": kinds, "number": places, "bits": [*self.weights, *self.activations]}


def crossing_activations(problem: QPart, cut: int) -> list[int]:
    """Layers whose output crosses a cut and is quantized, ascending (not an output kept).

    0 stands for the raw input, which is among them only where it is quantized.
    """
    n, first = len(problem.network), 0 if problem.quantize_input else 1
    return [int(i) for i in problem.network.crossing(cut) if first <= i < n or (i == n and problem.send_output)]


def checked_plan(problem: QPart, plan: QPartPlan) -> QPartPlan:
    """A plan whose shape fits the problem.

    Raises
    ------
    InputError
        The cut is not one of the network's, or the widths do not match the tensors of the cut. (A width out of
        range or a limit exceeded is for the certificate to say.)
    """
    n = len(problem.network)
    if plan.cut > n:
        raise InputError("plan.cut", str(plan.cut), f"a cut from 0 to {n}")
    if len(plan.weights) != plan.cut:
        raise InputError(
            "plan.weights", f"{len(plan.weights)} widths", f"{plan.cut}, one for each layer before the cut"
        )
    crossing = crossing_activations(problem, plan.cut)
    if len(plan.activations) != len(crossing):
        allowed = f"{len(crossing)}, one for each quantized tensor that crosses cut {plan.cut}"
        raise InputError("plan.activations", f"{len(plan.activations)} widths", allowed)
    return plan

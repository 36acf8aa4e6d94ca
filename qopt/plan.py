"""A plan: the decision alone, plain data."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any, Literal

from pydantic import Field

from qopt.errors import InputError, shown
from qopt.families import FAMILIES, family_of
from qopt.files import write_whole
from qopt.problems.problem import Frozen, Problem
from qopt.problems.qpart import QPart
from qopt.problems.reading import read_json

BitWidth = Annotated[float, Field(ge=0, le=64, allow_inf_nan=False, strict=True)]


class Plan(Frozen):
    """What plans of all families share: a format, and the name of the problem that they answer."""

    format: str
    version: int
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return self.model_dump()


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

    def to_dict(self) -> dict[str, Any]:
        """Plain data; whole widths as integers."""
        data = self.model_dump()
        kind = int if self.bits == "whole" else float
        for name in ("weights", "activations"):
            data[name] = [kind(b) if float(b).is_integer() else float(b) for b in data[name]]
        return data


def crossing_activations(problem: QPart, cut: int) -> list[int]:
    """Layers whose output crosses a cut and is quantized, ascending (not the raw input, not an output kept)."""
    n = len(problem.network)
    return [int(i) for i in problem.network.crossing(cut) if 0 < i < n or (i == n and problem.send_output)]


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


def read_answer(path: str | os.PathLike[str], problem: Problem | None = None) -> tuple[Plan | None, Any]:
    """Read a plan file, or the plan and the witness of a solution file (``qopt solve --json``).

    The plan is None where a solution says that there is none. The witness is handed on as it stands: whether it
    is one is for its checker to say.

    Parameters
    ----------
    problem : the problem whose plan it must be; by default the file's ``format`` says the family.
    """
    data: Any = read_json(path)
    if isinstance(data, dict) and data.get("format") == "qopt/solution":
        if data.get("version", 1) != 1:
            raise InputError("version", shown(data.get("version")), "1")
        plan = data.get("plan")
        return None if plan is None else _plan(plan, problem), data.get("witness")
    return _plan(data, problem), None


def _plan(data: Any, problem: Problem | None) -> Plan:
    family = FAMILIES["qopt/qpart"] if problem is None else family_of(problem)
    form = data.get("format") if isinstance(data, dict) else None
    if problem is None and isinstance(form, str):
        family = FAMILIES.get(form.removesuffix("-plan"), family)
    kind: type[Plan] = family.part("plan")
    if not isinstance(data, dict):
        own = [name for name in kind.model_fields if name not in (*Plan.model_fields, "bits")]
        raise InputError("plan", shown(data), "an object with " + ", ".join(own[:-1]) + f" and {own[-1]}")
    return kind(**data)


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """Read a plan from a plan file or a solution file."""
    plan, _ = read_answer(path)
    if plan is None:
        raise InputError("plan", "none: the solution says that there is no plan", "a plan")
    return plan


def save_plan(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Write a plan file."""
    write_whole(path, lambda file: file.write((json.dumps(plan.to_dict(), indent=1) + "\n").encode()))

"""What solvers say of models in Pyomo, and values that models are given."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qopt.core.errors import InputError
from qopt.core.solution import Status

if TYPE_CHECKING:
    import pyomo.environ as pyo

TOLERANCE = 1e-9
"""Feasibility and integrality tolerance asked for. With its default of 1e-6 HiGHS 1.15 calls plans optimal that are
up to 30 % worse than the optimum: noise terms differ by more orders of magnitude than that."""


@dataclass(frozen=True)
class Answer:
    """How a solver stopped: its reason in qopt's words, whether a point was loaded, its bound (scaled)."""

    status: Status
    point: bool
    bound: float | None
    nodes: int | None = None
    message: str = ""


def finite(number: float | None) -> float | None:
    return float(number) if number is not None and math.isfinite(number) and abs(number) < 1e29 else None


def give(model: pyo.ConcreteModel, values: Iterable[tuple[Any, object, float]]) -> None:
    """Give a model the values of a point: those named, and 0 to every other variable.

    Parameters
    ----------
    values : variable, index and value.

    Raises
    ------
    InputError
        The model has no such entry, as it leaves out what breaks a limit on its own.
    """
    import pyomo.environ as pyo

    for variable in model.component_data_objects(pyo.Var, descend_into=True):
        if not variable.fixed:
            variable.set_value(0, skip_validation=True)
    for variables, index, value in values:
        if index not in variables:
            parts = index if isinstance(index, tuple) else (index,)
            name = f"{variables.local_name}({','.join(map(str, parts))})"
            raise InputError("plan", name, "what the model leaves open: it leaves out what breaks a limit on its own")
        variables[index].set_value(value, skip_validation=True)

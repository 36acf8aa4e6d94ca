"""Models in Pyomo as arrays with readable names, and as NL files."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from qopt.core.display import Brief
from qopt.core.errors import MethodError
from qopt.core.writers.linear import Linear, distinct

if TYPE_CHECKING:
    import pyomo.environ as pyo


@dataclass(frozen=True, repr=False)
class Compiled(Brief):
    """A linear model, the variables in Pyomo that are its columns, in order, and what its objective leaves out."""

    linear: Linear
    variables: tuple[Any, ...]
    constant: float

    def load(self, values: Iterable[float]) -> None:
        """Give the model in Pyomo the values of a point."""
        for variable, value in zip(self.variables, values, strict=True):
            variable.set_value(value, skip_validation=True)


def compiled(model: pyo.ConcreteModel, comments: Sequence[str] = ()) -> Compiled:
    """The arrays of a linear model, with Pyomo's compiler; `model.offset` and `model.unit` scale its objective.

    Parameters
    ----------
    comments : lines for the head of a file.

    Raises
    ------
    MethodError
        A row of the model has no variable and is false: no plan satisfies it.
    """
    import pyomo.environ as pyo
    from pyomo.common.errors import InfeasibleConstraintException
    from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

    order = list(model.component_data_objects(pyo.Var, descend_into=True))
    try:
        form = LinearStandardFormCompiler().write(model, mixed_form=True, column_order=order)
    except InfeasibleConstraintException as error:
        raise MethodError(f"no model to write: {' '.join(str(error).split())}, so that there is no plan") from None
    called = _names(model)
    variables = tuple(form.columns)
    senses = np.array([row.bound_type for row in form.rows])
    sides = np.array(form.rhs, dtype=np.float64)
    offset, unit = float(getattr(model, "offset", 0.0)), float(getattr(model, "unit", 1.0))
    matrix = csr_array(form.A)
    matrix.sum_duplicates()
    return Compiled(
        Linear(
            name=str(model.name),
            comments=tuple(comments),
            columns=distinct(called.get(id(v), v.name) for v in variables),
            rows=distinct(_own_name(row.constraint) for row in form.rows),
            cost=form.c.toarray()[0] if len(variables) else np.zeros(0),
            offset=offset + unit * float(form.c_offset[0]),
            unit=unit,
            matrix=matrix,
            row_lower=np.where(senses <= 0, sides, -np.inf),
            row_upper=np.where(senses >= 0, sides, np.inf),
            lower=np.array([-np.inf if v.lb is None else float(v.lb) for v in variables]),
            upper=np.array([np.inf if v.ub is None else float(v.ub) for v in variables]),
            integer=np.array([not v.is_continuous() for v in variables], dtype=bool),
        ),
        variables,
        float(form.c_offset[0]),
    )


def _names(model: pyo.ConcreteModel) -> dict[int, str]:
    """Names of variables by their id; what a reference at the top of the model calls one comes before its own name."""
    import pyomo.environ as pyo

    found: dict[int, str] = {}
    for component in model.component_objects(pyo.Var, descend_into=False):
        if component.is_reference():
            found |= {id(v): _indexed(component.local_name, index) for index, v in component.items()}
    for variable in model.component_data_objects(pyo.Var, descend_into=True):
        found.setdefault(id(variable), _own_name(variable))
    return found


def _own_name(data: Any) -> str:
    """``width(2,5,4)`` for an entry of a component at the top of the model; else the whole path."""
    component = data.parent_component()
    if component.parent_block() is data.model():
        return _indexed(component.local_name, data.index() if component.is_indexed() else None)
    return str(data.name).translate(str.maketrans("[]", "()", "'\" "))


def _indexed(name: str, index: object) -> str:
    if index is None:
        return name
    parts = index if isinstance(index, tuple) else (index,)
    return f"{name}({','.join(str(part).replace(',', '_') for part in parts if part != '')})"


@dataclass(frozen=True, repr=False)
class Nl(Brief):
    """An NL file, the names of its columns and rows (of the files .col and .row), and its variables, in order."""

    text: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    variables: tuple[Any, ...]


def nl(model: pyo.ConcreteModel) -> Nl:
    """A model as an NL file, which names nothing: solvers give numbers back in the order of its columns."""
    import pyomo.environ as pyo
    from pyomo.repn.plugins.nl_writer import NLWriter

    stream = io.StringIO()
    order = list(model.component_data_objects(pyo.Var, descend_into=True))
    info = NLWriter().write(
        model, stream, linear_presolve=False, scale_model=False, skip_trivial_constraints=True, column_order=order
    )
    called = _names(model)
    columns = distinct(called.get(id(v), v.name) for v in info.variables)
    return Nl(stream.getvalue(), columns, distinct(map(_own_name, info.constraints)), tuple(info.variables))

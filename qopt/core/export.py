"""`qopt.export`: a problem as a file for other programs; and plans back from what solvers write.

The table `FORMATS` says what can be written. A model is a family's readable one, of `qopt.formulations`, in the
formulation asked for; its columns and rows have the names that the formulation gives them, so that a solver's solution
file leads back to a plan. What is true of that plan is for `qopt.certify` to say.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.families import FAMILIES, family_of
from qopt.core.files import write_text
from qopt.core.plan import Plan
from qopt.core.problem import Problem
from qopt.core.reading import as_problem
from qopt.core.solution_files import Point, read

if TYPE_CHECKING:
    from qopt.core.solvers.arrays import Compiled

LONGEST_COMMENT = 240
"""Characters of a line at the head of a file: readers of LP files take 255."""

WHOLE = 1e-5
"""How far from a whole number, or outside its bounds, a solver may leave a column: ten times their usual tolerances."""


@dataclass(frozen=True, repr=False)
class Format(Brief):
    """One row of the table of formats.

    Attributes
    ----------
    name, summary : how users call it, and what it is in one line; a file of it ends in ``.NAME``.
    write : from a problem and a formulation (None for the family's usual one) to files: text by suffix, the main one
        first.
    """

    name: str
    summary: str
    write: Callable[[Problem, str | None], dict[str, str]]


def export(
    problem: Problem | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    format: str | None = None,
    formulation: str | None = None,
) -> str:
    """Write a problem as a model that other solvers read.

    The model is that of `qopt.formulations` for the problem's family. Its objective is scaled; the head of the file
    says how, and what its names mean. The same problem gives the same file, byte for byte.

    Parameters
    ----------
    problem : a problem, a bundled name, or the path of an instance file.
    path : of the file to write; None writes none. An NL file, which names nothing, gets its names in files ``.col`` and
        ``.row`` beside it.
    format : ``mps``, ``lp``, ``nl`` or ``cip``; by default what the path ends in.
    formulation : which model, of those that `qopt.methods` lists for the method pyomo; by default the first.

    Returns
    -------
    The text of the file.

    Raises
    ------
    InputError
        An unknown format or formulation, a family without a model, a path that cannot be written.
    MethodError
        The problem has no plan at all, so that there is no model, or the formulation cannot take it.
    """
    asked = as_problem(problem)
    chosen = _format(format, path)
    files = chosen.write(asked, formulation)
    if path is not None:
        target = Path(os.fspath(path))
        for number, (suffix, text) in enumerate(files.items()):
            write_text(target if number == 0 else target.with_suffix(suffix), text)
    return next(iter(files.values()))


def _format(name: str | None, path: str | os.PathLike[str] | None) -> Format:
    """The format of a name, or of a path's end."""
    known = ", ".join(FORMATS)
    if name is None and path is None:
        raise InputError("format", "nothing", known)
    given = Path(os.fspath(path or "")).suffix.removeprefix(".") if name is None else name
    if given not in FORMATS:
        raise InputError("format", shown(given) + ("" if name is not None else ", what the path ends in"), known)
    return FORMATS[given]


def joint_model(problem: Problem, formulation: str | None) -> Any:
    """The family's joint model in Pyomo."""
    module = _module(problem)
    try:
        return module.joint(problem) if formulation is None else module.joint(problem, formulation)
    except InputError as error:
        if error.field == "form":
            raise InputError("formulation", error.found, error.allowed) from None
        raise


def _module(problem: Problem) -> Any:
    family = family_of(problem)
    if not family.formulation:
        able = " or ".join(f.a_problem for f in FAMILIES.values() if f.formulation)
        raise InputError("problem", f"{shown(problem.name)}, {family.a_problem}, which has no model to write", able)
    return family.part("formulation")


def _comments(problem: Problem, formulation: str | None, offset: float, unit: float) -> tuple[str, ...]:
    """Lines for the head of a file."""
    form = "" if formulation is None else f", formulation {formulation}"
    lines = (
        f"{problem.name} ({problem.format}{form}), by qopt",
        f"objective of the problem = {offset!r} + {unit!r} * objective",
        *_module(problem).legend(problem),
    )
    # In ASCII, on one line each, and no longer than readers take, whatever stands in names.
    return tuple("".join(c if " " <= c <= "~" else "?" for c in line)[:LONGEST_COMMENT] for line in lines)


def _linear(problem: Problem, formulation: str | None) -> Compiled:
    from dataclasses import replace

    from qopt.core.solvers.arrays import compiled

    made = compiled(joint_model(problem, formulation))
    comments = _comments(problem, formulation, made.linear.offset, made.linear.unit)
    return replace(made, linear=replace(made.linear, comments=comments))


def _lp(problem: Problem, formulation: str | None) -> dict[str, str]:
    from qopt.core.writers import lp

    return {".lp": lp.write(_linear(problem, formulation).linear)}


def _mps(problem: Problem, formulation: str | None) -> dict[str, str]:
    from qopt.core.writers import mps

    return {".mps": mps.write(_linear(problem, formulation).linear)}


def _cip(problem: Problem, formulation: str | None) -> dict[str, str]:
    from qopt.core.writers import cip

    return {".cip": cip.write(_linear(problem, formulation).linear)}


def _nl(problem: Problem, formulation: str | None) -> dict[str, str]:
    from qopt.core.solvers.arrays import nl

    made = nl(joint_model(problem, formulation))
    return {".nl": made.text, ".col": "\n".join(made.columns) + "\n", ".row": "\n".join(made.rows) + "\n"}


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format("mps", "free MPS, which every solver reads", _mps),
        Format("lp", "the LP format of CPLEX, to be read by people too", _lp),
        Format("nl", "AMPL's NL, for solvers that it drives", _nl),
        Format("cip", "SCIP's own format", _cip),
    )
}
"""What `export` writes, by name."""


def read_solution(
    path: str | os.PathLike[str],
    problem: Problem | str | os.PathLike[str],
    *,
    formulation: str | None = None,
) -> Plan | None:
    """Read the plan from what a solver wrote of a model that `qopt.export` made.

    Nothing is believed: the point must be one of a plan's, and what the plan is worth `qopt.certify` says.

    Parameters
    ----------
    path : of the solver's file: HiGHS, SCIP, Gurobi, CBC, CPLEX (XML), GLPK (``glpsol -w``), AMPL, or lines ``NAME
        VALUE``. Columns that SCIP and CBC leave out are 0.
    problem : whose model it was: a problem, a bundled name, or the path of an instance file.
    formulation : in which it was exported.

    Returns
    -------
    The plan, or None where the solver says that there is none.

    Raises
    ------
    InputError
        The file cannot be read, is no solution file, or of another model; a whole column is fractional, one is outside
        its bounds, or the point is no plan's.
    """
    return solution_of(path, as_problem(problem), formulation)[0]


def solution_of(
    path: str | os.PathLike[str], problem: Problem, formulation: str | None
) -> tuple[Plan | None, str, float | None]:
    """The plan of a solution file, a line about what the file says, and its objective; otherwise as `read_solution`."""
    name, point = os.fspath(path), read(path)
    if point.infeasible:
        return None, f"{point.kind} says {point.says or 'infeasible'}", None
    if not point.values:
        raise InputError(name, f"no point: {point.kind} says {point.says or 'nothing'}", "a solution")
    module = _module(problem)
    model = joint_model(problem, formulation)
    columns, variables, made = _columns(model, point)
    values = _placed(name, point, columns, _where(problem, formulation))
    for column, variable in zip(columns, variables, strict=True):
        variable.set_value(_inside(name, column, variable, values.get(column, 0.0)), skip_validation=True)
    plan: Plan = module.extract(model, problem)
    _is_the_plans(name, module, model, problem, plan, columns, variables)
    said = f"{point.kind} says {point.says}" if point.says else f"{point.kind}'s file"
    claimed = None if point.objective is None or made is None else made.offset + made.unit * point.objective
    if claimed is not None:
        said += f", objective {claimed:.12g}"
    return plan, said, claimed


def _where(problem: Problem, formulation: str | None) -> str:
    return f"{problem.name}, formulation {formulation or 'by default'}"


def _columns(model: Any, point: Point) -> tuple[tuple[str, ...], tuple[Any, ...], Any]:
    """Names and variables of the columns in the order of the file that the solver read, and the arrays if it did."""
    from qopt.core.solvers.arrays import compiled, nl

    if point.kind == "AMPL":
        made = nl(model)
        return made.columns, made.variables, None
    arrays = compiled(model)
    return arrays.linear.columns, arrays.variables, arrays.linear


def _placed(name: str, point: Point, columns: tuple[str, ...], where: str) -> dict[str, float]:
    """Values by the model's names."""
    if point.count is not None and point.count != len(columns):
        raise InputError(name, f"{point.count} columns", f"the {len(columns)} of the model of {where}")
    values = point.values
    if point.numbered:
        values = {columns[int(key[1:]) - 1]: value for key, value in values.items() if _within(key, len(columns))}
        if len(values) != len(columns):
            raise InputError(name, f"values of {len(values)} columns", f"{len(columns)}, all of {where}")
        return values
    known = set(columns)
    stranger = next((key for key in values if key not in known), None)
    if stranger is not None:
        allowed = f"names of the model of {where}, such as {columns[0]}" if columns else "no names"
        raise InputError(name, f"the column {shown(stranger)}", allowed)
    return values


def _within(key: str, count: int) -> bool:
    return key[1:].isdigit() and len(key) < 12 and 1 <= int(key[1:]) <= count


def _inside(name: str, column: str, variable: Any, value: float) -> float:
    """A value within its bounds, and whole where it must be."""
    low, high = variable.lb, variable.ub
    if (low is not None and value < low - WHOLE) or (high is not None and value > high + WHOLE):
        raise InputError(f"{name}, {column}", f"{value:g}", f"a value from {low} to {high}")
    if variable.is_continuous():
        return value
    if abs(value - round(value)) > WHOLE:
        raise InputError(f"{name}, {column}", f"{value:g}", "a whole number")
    return float(round(value))


def _is_the_plans(
    name: str,
    module: Any,
    model: Any,
    problem: Problem,
    plan: Plan,
    columns: tuple[str, ...],
    variables: tuple[Any, ...],
) -> None:
    """Refuse a point whose whole columns are not those of the plan that was read from it."""
    whole = [j for j, variable in enumerate(variables) if not variable.is_continuous()]
    given = [variables[j].value for j in whole]
    module.assign(model, problem, plan)
    for j, value in zip(whole, given, strict=True):
        own = variables[j].value
        if own != value:
            raise InputError(f"{name}, {columns[j]}", f"{value:g}", f"{own:g}, as the other columns have it: no plan's")

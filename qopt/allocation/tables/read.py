"""`qopt.read_table`: whatever table there is, as an allocation."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from qopt.allocation.problem import Allocation
from qopt.allocation.tables.csv_file import from_csv
from qopt.allocation.tables.gguf import from_gguf, is_gguf
from qopt.allocation.tables.hawq import from_hawq, is_hawq
from qopt.allocation.tables.sensitivity import from_sensitivity, is_sensitivity
from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, shown
from qopt.core.reading import bundled, from_data, load, problem_of, read_json

KNOWN = "an allocation, a HAWQ table, a GGUF Tool Suite table, a sensitivity file, or a .csv"


def read_table(
    path: str | os.PathLike[str],
    *,
    budgets: Mapping[str, float | None] | None = None,
    parameters: Sequence[float] | FloatArray | None = None,
    fixed: float = 0.0,
    name: str | None = None,
) -> Allocation:
    """A table of damage and sizes as an allocation; what it is, its content says.

    Parameters
    ----------
    path : a bundled allocation's name, an instance file, or a table in a format that other tools use: see
        `qopt.allocation.tables`, a file each.
    budgets : of its resources, by name; without any, nothing is limited yet.
    parameters, fixed : of a sensitivity file, which has no sizes: weights of each layer, and bytes taken in any case.
    name : of the problem; by default the file's.

    Raises
    ------
    InputError
        The file cannot be read, is none of these, or is malformed.
    """
    text = os.fspath(path)
    limits = dict(budgets or {})
    called = name or Path(text).stem
    if text in bundled():
        return _changed(problem_of(Allocation, load(text), field="table"), limits, name)
    if text.lower().endswith(".csv"):
        return from_csv(Path(text), budgets=limits, name=called)
    data = read_json(text)
    if is_sensitivity(data):
        return from_sensitivity(data, parameters, fixed=fixed, budgets=limits, name=called)
    if is_hawq(data):
        return from_hawq(data, budgets=limits, name=called)
    if is_gguf(data):
        return from_gguf(data, budgets=limits, name=called)
    if isinstance(data, dict) and str(data.get("format", "")).startswith("qopt/"):
        return _changed(problem_of(Allocation, from_data(data), field="table"), limits, name)
    fields = ", ".join(list(data)[:6]) if isinstance(data, dict) else shown(data)
    raise InputError(text, f"an object with {fields}" if isinstance(data, dict) else fields, KNOWN)


def _changed(problem: Allocation, budgets: dict[str, float | None], name: str | None) -> Allocation:
    """A problem with other budgets and another name, where some are given."""
    if budgets:
        problem = problem.with_budgets(**budgets)
    return problem.replace({"name": name}) if name is not None else problem

"""A plan: the decision alone, plain data, in files of JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qopt.core.arrays import AnyArray
from qopt.core.display import short
from qopt.core.errors import InputError, shown
from qopt.core.families import FAMILIES, family_named, family_of
from qopt.core.files import write_whole
from qopt.core.html import InNotebooks, table
from qopt.core.problem import Frozen, Problem
from qopt.core.reading import read_json

if TYPE_CHECKING:
    import pandas as pd


class Plan(InNotebooks, Frozen):
    """What plans of all families share: a format, and the name of the problem that they answer.

    Attributes
    ----------
    problem : name of the problem that it answers; empty where it is not known.
    """

    format: str
    version: int
    problem: str = ""

    def __str__(self) -> str:
        decided = [(name, value) for name, value in self._shown() if name != "problem" and value is not None]
        return ", ".join(f"{name} {value if isinstance(value, str) else short(value)}" for name, value in decided)

    def _parts(self) -> str:
        decided = [(name, value) for name, value in self._shown() if value not in (None, "")]
        return table(
            (), [(name, value if isinstance(value, str) else short(value)) for name, value in decided], left=(0, 1)
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return self.model_dump()

    def to_dataframe(self) -> pd.DataFrame:
        """A table with a row for each thing that is decided: a layer's width, an epoch's cut, an operation's tier."""
        import pandas as pd

        return pd.DataFrame(self._decided())

    def _decided(self) -> dict[str, Sequence[object] | AnyArray]:
        """Columns of the table, all of one length; where a family says nothing, a row of the fields."""
        return {name: [value] for name, value in self._shown() if name != "problem"}


def read_answer(path: str | os.PathLike[str], problem: Problem | None = None) -> tuple[Plan | None, object]:
    """Read a plan file, or the plan and the witness of a solution file (``qopt solve --json``).

    The plan is None where a solution says that there is none. The witness is handed on as it stands: whether it
    is one is for its checker to say.

    Parameters
    ----------
    problem : the problem whose plan it must be; by default the file's ``format`` says the family.
    """
    data = read_json(path)
    if isinstance(data, dict) and data.get("format") == "qopt/solution":
        if data.get("version", 1) != 1:
            raise InputError("version", shown(data.get("version")), "1")
        plan = data.get("plan")
        return None if plan is None else _plan(plan, problem), data.get("witness")
    return _plan(data, problem), None


def _plan(data: object, problem: Problem | None) -> Plan:
    family = family_named(None) if problem is None else family_of(problem)
    form = data.get("format") if isinstance(data, dict) else None
    if problem is None and isinstance(form, str):
        family = FAMILIES.get(form.removesuffix("-plan"), family)
    kind: type[Plan] = family.part("plan")
    if not isinstance(data, dict):
        own = [name for name in kind.model_fields if name not in (*Plan.model_fields, "bits")]
        raise InputError("plan", shown(data), "an object with " + ", ".join(own[:-1]) + f" and {own[-1]}")
    return kind(**data)


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """Read a plan from a plan file or a solution file.

    Parameters
    ----------
    path : of a JSON file: a plan, or what ``qopt solve --json`` prints.

    Returns
    -------
    The plan, of its family's class.

    Raises
    ------
    InputError
        The file cannot be read, is neither, or says that there is no plan.
    """
    plan, _ = read_answer(path)
    if plan is None:
        raise InputError("plan", "none: the solution says that there is no plan", "a plan")
    return plan


def save_plan(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Write a plan file.

    Parameters
    ----------
    plan : of any family.
    path : of the file to write, whole or not at all.
    """
    write_whole(path, lambda file: file.write((json.dumps(plan.to_dict(), indent=1) + "\n").encode()))

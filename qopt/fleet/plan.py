"""Fleet: the decision, an option for every row of requests, or several where a row stands for many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from qopt.core.arrays import AnyArray, IntArray
from qopt.core.columns import Counts
from qopt.core.display import short
from qopt.core.errors import InputError, shown
from qopt.core.plan import Plan
from qopt.fleet.problem import Fleet

Split = Annotated[tuple[Annotated[int, Field(ge=0, strict=True)], ...], Field(min_length=3, max_length=3)]


class FleetPlan(Plan):
    """What every request gets.

    Attributes
    ----------
    option : (n,) of each row: 0 is refused, o the o-th option of its class, from 1.
    splits : rows that stand for several requests of which some take something else: row, option, how many.
    """

    format: Literal["qopt/fleet-plan"] = "qopt/fleet-plan"
    version: Literal[1] = 1
    option: Counts
    splits: tuple[Split, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, data: object) -> object:
        """Lists of a file as tuples."""
        if isinstance(data, dict) and isinstance(data.get("splits"), list):
            entries = data["splits"]
            return {**data, "splits": tuple(tuple(x) if isinstance(x, list) else x for x in entries)}
        return data

    def _decided(self) -> dict[str, Sequence[object] | AnyArray]:
        """A row for each row of requests, with no count, then one for each split, with its own."""
        rows = [*range(len(self.option)), *(row for row, _, _ in self.splits)]
        options = np.concatenate((self.option, np.array([option for _, option, _ in self.splits], dtype=np.int64)))
        counts = [None] * len(self.option) + [count for _, _, count in self.splits]
        return {"row": rows, "option": options, **({"count": counts} if self.splits else {})}

    def __str__(self) -> str:
        refused = int((self.option == 0).sum())
        return f"{len(self.option)} rows, {refused} refused, {len(self.splits)} splits: {short(self.option)}"


def taken(problem: Fleet, plan: FleetPlan) -> tuple[IntArray, IntArray, IntArray]:
    """Rows, columns and counts of a plan that fits a problem: who takes what, and how many.

    Raises
    ------
    InputError
        Another number of rows, an option that a class has not, or a split of more requests than a row has.
    """
    n = len(problem.requests)
    if len(plan.option) != n:
        raise InputError("plan.option", f"{len(plan.option)} entries", f"{n}, one for each row of requests")
    sizes = np.array([len(options.name) for options in problem.classes.values()])[problem.requests.kind]
    if (plan.option > sizes).any():
        at = int(np.argmax(plan.option > sizes))
        raise InputError(f"plan.option[{at}]", str(int(plan.option[at])), f"0 to {sizes[at]}, as its class has options")
    ones = np.ones(n, dtype=np.int64)
    left = ones if problem.requests.count is None else problem.requests.count.copy()
    rows, columns, counts = [], [], []
    for s, (row, option, count) in enumerate(plan.splits):
        where = f"plan.splits[{s}]"
        if row >= n or option > sizes[row]:
            raise InputError(where, shown([row, option, count]), "a row of the problem, and an option of its class")
        if count > left[row]:
            raise InputError(where, f"{count} requests", f"at most the {left[row]} that the row has left")
        left[row] -= count
        rows.append(row)
        columns.append(option)
        counts.append(count)

    def joined(whole: IntArray, extra: list[int]) -> IntArray:
        return np.concatenate((whole, np.array(extra, dtype=np.int64)))

    return joined(np.arange(n), rows), joined(plan.option, columns), joined(left, counts)

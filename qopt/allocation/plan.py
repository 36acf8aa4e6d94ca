"""Allocation: the decision, a format and (with pools) a pool for every group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from qopt.allocation.problem import Allocation, Name
from qopt.core.arrays import AnyArray, IntArray
from qopt.core.checks import unknown
from qopt.core.errors import InputError, shown
from qopt.core.plan import Plan


class AllocationPlan(Plan):
    """Formats, and pools where there are some, by the name of the group.

    Attributes
    ----------
    formats : name of the format of every group.
    pools : name of the pool that holds every group; None where the problem has no pools.
    """

    format: Literal["qopt/allocation-plan"] = "qopt/allocation-plan"
    version: Literal[1] = 1
    formats: dict[Name, Name]
    pools: dict[Name, Name] | None = None

    def __str__(self) -> str:
        counts: dict[str, int] = {}
        for name in self.formats.values():
            counts[name] = counts.get(name, 0) + 1
        listed = ", ".join(f"{count} x {name}" for name, count in sorted(counts.items(), key=lambda c: -c[1])[:6])
        return listed + (", …" if len(counts) > 6 else "")

    def _decided(self) -> dict[str, Sequence[object] | AnyArray]:
        """A row for each group."""
        found: dict[str, Sequence[object] | AnyArray] = {
            "group": list(self.formats),
            "format": list(self.formats.values()),
        }
        return found if self.pools is None else {**found, "pool": [self.pools.get(group) for group in self.formats]}


def places(problem: Allocation, plan: AllocationPlan) -> tuple[IntArray, IntArray]:
    """(n,) index of each group's format and pool: a plan that fits the problem, as arrays.

    Raises
    ------
    InputError
        It names a group, format or pool that there is not, leaves one out, or takes a format that is on no menu.
    """
    if (plan.pools is None) != (problem.pools is None):
        found = "nothing" if plan.pools is None else f"{len(plan.pools)} entries"
        allowed = "nothing: the problem has no pools" if problem.pools is None else "a pool for each group"
        raise InputError("plan.pools", found, allowed)
    formats = _indices(problem, "formats", plan.formats, problem.formats)
    outside = ~problem.menu[np.arange(len(formats)), formats]
    if outside.any():
        g = int(np.argmax(outside))
        menu = [name for name, on in zip(problem.formats, problem.menu[g], strict=True) if on]
        found = shown(plan.formats[problem.groups[g]])
        raise InputError(f"plan.formats.{problem.groups[g]}", found, "one on its menu: " + ", ".join(menu[:8]))
    if plan.pools is None:
        return formats, np.zeros(len(formats), dtype=np.int64)
    return formats, _indices(problem, "pools", plan.pools, problem.pool_names)


def _indices(problem: Allocation, field: str, chosen: Mapping[str, str], known: Sequence[str]) -> IntArray:
    place = {name: i for i, name in enumerate(known)}
    for group, name in chosen.items():
        if group not in problem.place:
            complaint = unknown("", group, problem.groups, "a group")
            raise InputError(f"plan.{field}", shown(group), str((complaint.context or {})["allowed"]))
        if name not in place:
            allowed = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
            raise InputError(f"plan.{field}.{group}", shown(name), f"a name of the problem's: {allowed}")
    missing = next((group for group in problem.groups if group not in chosen), None)
    if missing is not None:
        left = len(problem.groups) - len(chosen)
        raise InputError(
            f"plan.{field}", f"nothing for {missing}" + (f" and {left - 1} more" if left > 1 else ""), "every group"
        )
    return np.array([place[chosen[group]] for group in problem.groups], dtype=np.int64)


def plan_of(
    problem: Allocation, formats: Sequence[int] | IntArray, pools: Sequence[int] | IntArray | None = None
) -> AllocationPlan:
    """The plan of indices, one for each group; pools count where the problem has some."""
    pool_names, held = problem.pool_names, None
    if problem.pools is not None:
        given = np.zeros(len(problem.groups), dtype=np.int64) if pools is None else pools
        held = {group: pool_names[int(p)] for group, p in zip(problem.groups, given, strict=True)}
    chosen = {group: problem.formats[int(f)] for group, f in zip(problem.groups, formats, strict=True)}
    return AllocationPlan(problem=problem.name, formats=chosen, pools=held)

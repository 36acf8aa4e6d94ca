"""Plans of other tools: recipes (tensor name pattern = type) and small JSON, read as plans of a problem.

A recipe has a line for each pattern, as the GGUF Tool Suite and llama.cpp's quantizers take them:

    # comments, and empty lines
    ^blk\\.[0-9]+\\.attn_k\\.weight$=q8_0
    ffn_down = q4_K
    .*=iq4_ks

A pattern is a regular expression that is searched for in the names of groups; of several that match a group the first
counts. With pools a type is followed by the pool, ``q8_0@host``. Patterns come from strangers: those that can take a
matcher more than a moment (a repeated group, many repetitions) are refused.

Small JSON is an object of formats by group, or of ``{"format": ..., "pool": ...}``, or a plan or solution file of qopt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from qopt.allocation.plan import AllocationPlan, places
from qopt.allocation.problem import Allocation
from qopt.core.errors import InputError, shown
from qopt.core.plan import read_answer
from qopt.core.reading import read_json

MOST_BYTES = 16 * 2**20
"""Largest recipe that is read."""

REPETITIONS = 4
"""Of a pattern, at most: with so many a name of 200 characters is matched in a moment."""

KEPT = ("f32", "f16", "bf16")
"""Types of tensors that a recipe may leave as they are, though the table does not list them: norms and biases."""


def read_foreign_plan(path: str | os.PathLike[str], problem: Allocation) -> tuple[AllocationPlan, list[str]]:
    """A plan of another tool, and remarks.

    Parameters
    ----------
    path : a recipe, a small JSON object, or a plan or solution file.
    problem : whose groups and formats it names.

    Raises
    ------
    InputError
        It cannot be read, or names groups or formats that the problem does not have, or leaves some out.
    """
    name = Path(os.fspath(path)).name
    try:
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise InputError(name, f"more than {MOST_BYTES // 2**20} MiB", f"at most {MOST_BYTES // 2**20} MiB")
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(name, (error.strerror or "an unreadable file").lower(), "a recipe or a JSON file") from None
    except UnicodeDecodeError:
        raise InputError(name, "bytes that are no UTF-8", "a recipe or a JSON file") from None
    if not text.lstrip().startswith("{"):
        return from_recipe(text, problem, name)
    data = read_json(path)
    if isinstance(data, dict) and isinstance(data.get("format"), str) and data["format"].startswith("qopt/"):
        plan, _ = read_answer(path, problem)
        if plan is None:
            raise InputError(name, "a solution without a plan", "a plan")
        places(problem, cast(AllocationPlan, plan))
        return cast(AllocationPlan, plan), []
    return from_object(cast("dict[str, object]", data), problem, name)


def from_object(
    data: Mapping[str, object], problem: Allocation, where: str = "plan"
) -> tuple[AllocationPlan, list[str]]:
    """A plan from formats by group."""
    formats: dict[str, str] = {}
    pools: dict[str, str] = {}
    for group, value in data.items():
        entry: dict[str, object] = value if isinstance(value, dict) else {"format": value}
        if group not in problem.place:
            raise InputError(f"{where}.{group}", "no such group", _some(problem.groups))
        kind = entry.get("format")
        if not isinstance(kind, str) or not set(entry) <= {"format", "pool"}:
            raise InputError(f"{where}.{group}", shown(value), "a format, or an object with format and pool")
        formats[group] = _format(kind, problem, f"{where}.{group}")
        if "pool" in entry:
            pools[group] = _pool(entry["pool"], problem, f"{where}.{group}")
    return _finished(problem, formats, pools, where), []


def from_recipe(text: str, problem: Allocation, where: str = "recipe") -> tuple[AllocationPlan, list[str]]:
    """A plan from a recipe's lines."""
    formats: dict[str, str] = {}
    pools: dict[str, str] = {}
    kept = 0
    for at, line in enumerate(text.splitlines(), start=1):
        spoken = line.strip()
        if not spoken or spoken.startswith("#"):
            continue
        here = f"{where}, line {at}"
        pattern, equals, kind = spoken.rpartition("=")
        pattern, kind = pattern.strip(), kind.strip()
        if not equals or not pattern or not kind:
            raise InputError(here, shown(spoken), "PATTERN=TYPE")
        matcher = _compiled(pattern, here)
        found = [group for group in problem.groups if matcher.search(group)]
        kind, at_sign, pool = kind.partition("@")
        if not found and kind.lower() in KEPT:
            kept += 1
            continue
        if not found:
            raise InputError(here, f"{shown(pattern)}, which no group is called", _some(problem.groups))
        chosen = _format(kind, problem, here)
        for group in found:
            if group not in formats:
                formats[group] = chosen
                if at_sign:
                    pools[group] = _pool(pool, problem, here)
    words = "pattern" if kept == 1 else "patterns"
    notes = [f"{kept} {words} for tensors that stay as they are, which the table counts as fixed"] if kept else []
    return _finished(problem, formats, pools, where), notes


def _compiled(pattern: str, where: str) -> re.Pattern[str]:
    """A pattern that takes no time."""
    bare = re.sub(r"\\.|\[[^\]]*\]", "x", pattern)
    if re.search(r"\)\s*[*+{?]", bare) or len(re.findall(r"[*+{]", bare)) > REPETITIONS or len(pattern) > 1000:
        allowed = f"a pattern with at most {REPETITIONS} repetitions (* + {{}}) and no repeated group"
        raise InputError(where, shown(pattern), allowed)
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(where, shown(pattern), f"a regular expression ({error})") from None


def _format(kind: str, problem: Allocation, where: str) -> str:
    """The format of a type, whatever its capitals."""
    if kind in problem.formats:
        return kind
    alike = [name for name in problem.formats if name.casefold() == kind.casefold()]
    if len(alike) == 1:
        return alike[0]
    raise InputError(where, f"type {shown(kind)}", "a format of the table: " + ", ".join(problem.formats[:40]))


def _pool(name: object, problem: Allocation, where: str) -> str:
    if problem.pools is None:
        raise InputError(where, f"pool {shown(name)}", "no pool: the problem has none")
    if not isinstance(name, str) or name not in problem.pools.budgets:
        raise InputError(where, f"pool {shown(name)}", ", ".join(problem.pools.budgets))
    return name


def _finished(problem: Allocation, formats: dict[str, str], pools: dict[str, str], where: str) -> AllocationPlan:
    """The plan, once every group has a format and, where there are pools, a pool."""
    left = [group for group in problem.groups if group not in formats]
    if left:
        raise InputError(where, f"no type for {_some(left)}", "a type for every group of the table")
    if problem.pools is not None:
        homeless = [group for group in problem.groups if group not in pools]
        if homeless:
            raise InputError(where, f"no pool for {_some(homeless)}", "TYPE@POOL for every group")
    plan = AllocationPlan(problem=problem.name, formats=formats, pools=pools if problem.pools is not None else None)
    places(problem, plan)
    return plan


def _some(names: tuple[str, ...] | list[str]) -> str:
    """A few names and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more

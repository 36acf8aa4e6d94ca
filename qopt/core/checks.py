"""Checks that problems share: names that differ, names that exist, columns of the right length."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticCustomError

from qopt.core.columns import complaint
from qopt.core.errors import shown


def twice(entries: tuple[Any, ...]) -> Any:
    """An entry that stands twice, or None."""
    return next((entry for i, entry in enumerate(entries) if entry in entries[:i]), None)


def unknown(where: str, name: str, known: tuple[str, ...], what: str) -> PydanticCustomError:
    """The complaint about a name that is none of those known."""
    listed = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    return complaint(where, shown(name), f"{what}: {listed}")


def check_length(where: str, column: Any, length: int, of: str) -> None:
    """Refuse a column, where there is one, that has not one entry for each of what it is about."""
    if column is not None and len(column) != length:
        raise complaint(where, f"{len(column)} entries", f"{length}, one for each {of}")

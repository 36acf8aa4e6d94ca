"""Checks that problems share: names that differ, names that exist, columns of the right length."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sized
from typing import TypeVar

from pydantic_core import PydanticCustomError

from qopt.core.arrays import AnyArray
from qopt.core.columns import complaint
from qopt.core.errors import one_line, shown

Named = TypeVar("Named", bound=Hashable)


def twice(entries: Iterable[Named]) -> Named | None:
    """The first entry that has stood before, or None."""
    seen: set[Named] = set()
    for entry in entries:
        if entry in seen:
            return entry
        seen.add(entry)
    return None


def unknown(where: str, name: str, known: tuple[str, ...], what: str) -> PydanticCustomError:
    """The complaint about a name that is none of those known."""
    listed = ", ".join(one_line(entry, 60) for entry in known[:8]) + (", …" if len(known) > 8 else "")
    return complaint(where, shown(name), f"{what}: {listed}")


def check_length(where: str, column: Sized | None, length: int, of: str) -> None:
    """Refuse a column, where there is one, that has not one entry for each of what it is about."""
    if column is not None and len(column) != length:
        raise complaint(where, f"{len(column)} entries", f"{length}, one for each {of}")


def check_lengths(columns: Mapping[str, AnyArray | None], length: int, of: str, axis: int = 0) -> None:
    """Refuse columns, by their paths without the first dot, that do not have that length along an axis."""
    for name, column in columns.items():
        if column is not None and column.shape[axis] != length:
            raise complaint(f".{name}", f"{column.shape[axis]} entries", f"{length}, one for each {of}")

"""What the readers of tables share: fields of plain JSON, asked for one at a time; what is wrong is one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qopt.core.arguments import is_number
from qopt.core.errors import InputError, shown


def field(data: object, name: str, kind: type | tuple[type, ...], what: str, where: str = "") -> Any:
    """A field of an object, of some type.

    Raises
    ------
    InputError
        The object has no such field, or another one there.
    """
    path = f"{where}.{name}" if where else name
    if not isinstance(data, dict):
        raise InputError(where or "table", shown(data), f"an object with a field {name}")
    if name not in data:
        raise InputError(path, "nothing", what)
    value = data[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(path, shown(value), what)
    return value


def numbers(data: object, name: str, length: int | None, where: str = "", least: float | None = None) -> list[float]:
    """A list of finite numbers of some length, each at least so much."""
    path = f"{where}.{name}" if where else name
    found: Sequence[Any] = field(data, name, list, "a list of numbers", where)
    if length is not None and len(found) != length:
        raise InputError(path, f"{len(found)} entries", f"{length}")
    for i, x in enumerate(found):
        if not is_number(x) or not abs(x) <= 1e300 or (least is not None and x < least):
            raise InputError(f"{path}[{i}]", shown(x), "a number" if least is None else f"a number >= {least:g}")
    return list(found)


def with_budgets(resources: dict[str, dict[str, Any]], budgets: Mapping[str, float | None]) -> dict[str, Any]:
    """Resources, some with a budget.

    Raises
    ------
    InputError
        A budget of a resource that the table does not have.
    """
    for name in budgets:
        if name not in resources:
            raise InputError(f"budgets.{name}", "no such resource", ", ".join(resources))
    return {name: {**resource, "budget": budgets.get(name)} for name, resource in resources.items()}

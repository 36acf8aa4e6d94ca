"""What all problem families share: frozen data, a head with a name and a source, and changes by dotted names."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from qopt.core.columns import in_range, no_limit, not_free, positive_in_range, unsigned
from qopt.core.complaints import as_input_error
from qopt.core.display import one_line
from qopt.core.errors import InputError, shown
from qopt.core.html import InNotebooks, escaped, paragraph

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True), AfterValidator(unsigned)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Quantity = Annotated[Amount, AfterValidator(in_range)]
"""A physical quantity: 0, or from 1e-100 to 1e100, whatever its unit."""
PositiveQuantity = Annotated[Positive, AfterValidator(positive_in_range)]
Rate = Annotated[PositiveQuantity, BeforeValidator(not_free)]
"""Of a link: positive, and what is sent for nothing has the largest."""
UpperLimit = Annotated[Quantity | None, BeforeValidator(no_limit)]
"""Of what a plan uses; none given, or infinity, is no limit."""
Flag = Annotated[bool, Field(strict=True)]


class Frozen(BaseModel):
    """Immutable data; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise as_input_error(error, type(self)) from None

    def __repr__(self) -> str:
        return one_line(type(self).__name__, self._shown())

    __str__ = __repr__

    def _shown(self) -> Iterator[tuple[str, object]]:
        """Fields and values that a short line names."""
        return ((name, getattr(self, name)) for name in type(self).model_fields if name not in ("format", "version"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frozen) and type(self) is type(other) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]


class Problem(InNotebooks, Frozen):
    """Head of every problem. Its `format` names the family (`qopt.families`).

    Attributes
    ----------
    name, description, source : what it is called, what it is, where its numbers come from.
    best_known : the best objective known, and how it was obtained.
    """

    format: str
    version: int
    name: str = "unnamed"
    description: str = ""
    source: str = ""
    best_known: dict[str, object] | None = None

    @property
    @abstractmethod
    def layers(self) -> int:
        """How many layers or operations the network has."""

    def summary(self) -> list[str]:
        """What the problem asks, in one to three lines for people; a family says more than its size."""
        return [f"{self.layers} layers"]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(self.name)}, {', '.join(self.summary()[:1])})"

    def __str__(self) -> str:
        return "\n  ".join([f"{self.name} ({self.format})", *self.summary()])

    def _parts(self) -> str:
        lines = [*self.summary(), *filter(None, (self.description, self.source and f"source: {self.source}"))]
        return f"<p><strong>{escaped(self.name)}</strong> ({escaped(self.format)})</p>" + "".join(map(paragraph, lines))

    def replace(self, changes: Mapping[str, object]) -> Self:
        """A copy with some fields changed, validated anew.

        Parameters
        ----------
        changes : dotted field names and their new values, e.g. ``{"channel.rate": 1e6, "links[0].rate": 1e6}``.
        """
        data: Any = self.model_dump()
        for path, value in changes.items():
            data = _changed(data, _steps(path), value, path)
        return type(self)(**data)


def _steps(path: str) -> list[str | int]:
    """``links[0].rate`` as links, 0, rate."""
    steps: list[str | int] = []
    for part in path.split("."):
        found = re.fullmatch(r"([^\[\]]*)((?:\[\d{1,9}\])*)", part)
        if found is None:
            return [path]
        steps += [found[1], *(int(i) for i in re.findall(r"\d+", found[2]))]
    return steps


def _changed(node: object, steps: list[str | int], value: object, path: str) -> object:
    """A node of plain data with the entry at the end of some steps replaced."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        if not isinstance(node, list | tuple) or step >= len(node):
            length = f"entries 0 to {len(node) - 1}" if isinstance(node, list | tuple) and node else "no entries there"
            raise InputError(path, "no such entry", length)
        return [_changed(entry, rest, value, path) if i == step else entry for i, entry in enumerate(node)]
    if not isinstance(node, dict):
        raise InputError(path, "no such field", f"a field of an object, not of {shown(node)}")
    if rest:
        inner = node.get(step)
        if inner is None and step in node and isinstance(rest[0], str):
            inner = {}  # an optional object that is not there yet: what it lacks is for its own check to say
        if not isinstance(inner, list | tuple if isinstance(rest[0], int) else dict):
            raise InputError(path, "no such field", ", ".join(node))
        return {**node, step: _changed(inner, rest, value, path)}
    return {**node, step: value}

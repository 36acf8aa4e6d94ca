"""The network of a placement: operations in an order in which they can run, and the tensors between them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Self

from pydantic import Field, model_validator

from qopt.core.checks import check_length, twice, unknown
from qopt.core.columns import Quantities, complaint
from qopt.core.errors import shown
from qopt.core.problem import Frozen, Quantity

Name = Annotated[str, Field(min_length=1, max_length=200, strict=True)]
Names = tuple[Name, ...]


class Tensor(Frozen):
    """What one operation writes and others read.

    Attributes
    ----------
    producer, readers : operations. Whatever the number of its readers, a tensor crosses a link once at most.
    size : bits.
    """

    producer: Name
    readers: Annotated[Names, Field(min_length=1)]
    size: Quantity


class Shared(Frozen):
    """Weights that several operations read: a tier that runs any of them holds them, once.

    Attributes
    ----------
    operations : two or more.
    size : bytes, beside the operations' own weights.
    """

    operations: Annotated[Names, Field(min_length=2)]
    size: Quantity


class Graph(Frozen):
    """The network, n operations in an order in which they can run.

    Attributes
    ----------
    operations : (n,) names.
    work : (n,) MACs of each operation.
    weights : (n,) bytes of weights that the tier which runs it must hold.
    tensors : all that the operations write. An operation may write several tensors, or none that is read.
    time : seconds on every tier, for operations whose time is not work / speed: pre- and post-processing.
    together : lists of operations that must run on one tier (blocks that cannot be split).
    shared : list of groups of operations that read the same weights, with bytes of these.
    scratch : (n,) bytes that an operation needs while it runs, beside weights and tensors; default none.
    """

    operations: Annotated[Names, Field(min_length=1, max_length=100_000)]
    work: Quantities
    weights: Quantities
    tensors: tuple[Tensor, ...] = ()
    time: dict[Name, Quantities] = Field(default={})
    together: tuple[Names, ...] = ()
    shared: tuple[Shared, ...] = ()
    scratch: Quantities | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        names, n = self.operations, len(self.operations)
        again = twice(names)
        if again is not None:
            raise complaint(".operations", f"{shown(again)} twice", "names that differ")
        check_length(".work", self.work, n, "operation")
        check_length(".weights", self.weights, n, "operation")
        check_length(".scratch", self.scratch, n, "operation")
        place = self.place
        for t, tensor in enumerate(self.tensors):
            at = f".tensors[{t}]"
            for where, name in ((".producer", tensor.producer), *((".readers", r) for r in tensor.readers)):
                if name not in place:
                    raise unknown(at + where, name, names, "an operation")
            if twice(tensor.readers) is not None:
                raise complaint(f"{at}.readers", f"{shown(twice(tensor.readers))} twice", "each reader once")
        for t, tensor in enumerate(self.tensors):
            for reader in tensor.readers:
                if place[reader] <= place[tensor.producer]:
                    around = _cycle_among([(u.producer, r) for u in self.tensors for r in u.readers])
                    if around:
                        raise complaint(".tensors", "a cycle, " + " -> ".join(around), "a graph without cycles")
                    found = f"{shown(reader)}, which is listed before its producer {shown(tensor.producer)}"
                    allowed = "operations listed in an order in which they can run"
                    raise complaint(f".tensors[{t}].readers", found, allowed)
        for name in (*self.time, *(name for group in self.together for name in group)):
            if name not in place:
                raise unknown(".time" if name in self.time else ".together", name, names, "an operation")
        for g, part in enumerate(self.shared):
            at = f".shared[{g}].operations"
            for name in part.operations:
                if name not in place:
                    raise unknown(at, name, names, "an operation")
            if twice(part.operations) is not None:
                raise complaint(at, f"{shown(twice(part.operations))} twice", "each operation once")
        for g, group in enumerate(self.together):
            if len(set(group)) < 2 or twice(group) is not None:
                raise complaint(f".together[{g}]", shown(list(group)), "at least two operations, none twice")
        return self

    def __len__(self) -> int:
        return len(self.operations)

    @cached_property
    def reads(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the readers of each tensor, ascending."""
        place = self.place
        return tuple(
            (place[t.readers[0]],) if len(t.readers) == 1 else tuple(sorted([place[r] for r in t.readers]))
            for t in self.tensors
        )

    @cached_property
    def writes(self) -> tuple[int, ...]:
        """Position of the producer of each tensor."""
        place = self.place
        return tuple([place[t.producer] for t in self.tensors])

    @cached_property
    def place(self) -> dict[str, int]:
        """Position of each operation."""
        return {name: i for i, name in enumerate(self.operations)}


def _cycle_among(edges: Iterable[tuple[str, str]]) -> list[str]:
    """Nodes of a cycle, the first again at the end; empty if there is none."""
    before: dict[str, list[str]] = {}
    for tail, head in edges:
        before.setdefault(head, []).append(tail)
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []

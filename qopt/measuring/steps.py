"""A traced network as a list of steps, each one operation on the values of earlier steps.

Steps are recorded on a batch of one and run under `torch.func.vmap`, one example at a time as far as an
operation can tell. So a value's batch is always its first dimension, wherever the module keeps it, sizes that
the module computed from its batch are the constants of a batch of one, and variants may be stacked freely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.func import vmap

from qopt.core.display import Brief

_LINEAR, _RELU = torch.ops.aten.linear.default, torch.ops.aten.relu.default

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Ref:
    """The value of an earlier step, standing among a step's arguments."""

    step: int


@dataclass(frozen=True, repr=False)
class Step(Brief):
    """One operation.

    Attributes
    ----------
    function : called with `arguments` and `keywords`, each `Ref` in them replaced by that step's value; a step
        with a weight is called with its input, the weight and the bias instead.
    arguments, keywords : for each a value, or a `Ref` to the step that has it.
    layer : the latest layer among its inputs, or the layer that it is.
    shape : of its value on a batch of one; None if the value is not one tensor.
    weighted : whether it multiplies its only input by the weight of `layer`.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    layer: int = 0
    shape: Shape | None = None
    weighted: bool = False

    @property
    def reads(self) -> tuple[int, ...]:
        """Steps whose values are among the arguments."""
        return tuple(ref.step for ref in references((self.arguments, dict(self.keywords))))


def references(argument: Any) -> Iterator[Ref]:
    """Every `Ref` in a nest of lists, tuples and dicts."""
    if isinstance(argument, Ref):
        yield argument
    elif isinstance(argument, (list, tuple)):
        for item in argument:
            yield from references(item)
    elif isinstance(argument, dict):
        for item in argument.values():
            yield from references(item)


def replaced(argument: Any, change: Callable[[Any], Any]) -> Any:
    """A nest of lists, tuples, dicts and slices with every leaf changed."""
    if isinstance(argument, (list, tuple)):
        return type(argument)(replaced(item, change) for item in argument)
    if isinstance(argument, dict):
        return {key: replaced(item, change) for key, item in argument.items()}
    return change(argument)


def without_batch(shape: Shape) -> Shape:
    """Shape of a value of one example as a user sees it: a leading batch of one left out."""
    return shape[1:] if shape[:1] == (1,) else shape


def needed(steps: Sequence[Step], targets: Iterable[int], given: Iterable[int]) -> list[int]:
    """Steps to run for the targets' values where those of `given` are there, in order of execution.

    A step without inputs that is not given (the input) is listed: a caller sees what is missing.
    """
    known, stack, found = set(given), list(targets), set[int]()
    while stack:
        index = stack.pop()
        if index not in known and index not in found:
            found.add(index)
            stack.extend(steps[index].reads)
    return sorted(found)


def read_by(steps: Sequence[Step], targets: Iterable[int], given: Iterable[int]) -> set[int]:
    """Those of `given` that the targets' values are computed from."""
    known, wanted = set(given), list(targets)
    run = needed(steps, wanted, known)
    return known & {*wanted, *(index for step in run for index in steps[step].reads)}


@torch.no_grad()
def run(
    steps: Sequence[Step],
    order: Sequence[int],
    targets: Sequence[int],
    given: Mapping[int, torch.Tensor],
    weights: Mapping[int, tuple[torch.Tensor, torch.Tensor | None]],
) -> list[torch.Tensor]:
    """Values of the targets on a batch.

    Parameters
    ----------
    steps : of the network.
    order : of `needed` for these targets and this `given`.
    targets : steps whose values are wanted.
    given : values by step, each (n, ...) with `without_batch` of the step's shape.
    weights : weight and bias of each layer that has a weight.

    Returns
    -------
    A tensor (n, ...) for each target, its shape the step's without the batch of one.
    """
    names = list(given)
    last = {index: position for position, step in enumerate(order) for index in steps[step].reads}
    dead: dict[int, list[int]] = {}
    for index, position in last.items():
        if index not in targets:
            dead.setdefault(position, []).append(index)

    own = {index for index in order if steps[index].weighted}  # a product's values are its own: no view of others
    in_place = {
        index
        for position, index in enumerate(order)
        if steps[index].function is _RELU and own.intersection(steps[index].reads, dead.get(position, ()))
    }

    def computed(*arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values: dict[int, Any] = dict(zip(names, arguments, strict=True))
        for position, index in enumerate(order):
            step = steps[index]
            inputs = replaced(step.arguments, lambda a: values[a.step] if isinstance(a, Ref) else a)
            if index in in_place:
                values[index] = torch.relu_(*inputs)
            elif step.weighted:
                values[index] = step.function(*inputs, *weights[step.layer])
            else:
                keywords = replaced(dict(step.keywords), lambda a: values[a.step] if isinstance(a, Ref) else a)
                values[index] = step.function(*inputs, **keywords)
            for gone in dead.get(position, ()):
                values.pop(gone, None)
        return tuple(values[target] for target in targets)

    shapes = {index: steps[index].shape or () for index in (*names, *targets)}
    batch = [tensor.reshape(len(tensor), *shapes[index]) for index, tensor in given.items()]
    if not order:
        found: Sequence[torch.Tensor] = [batch[names.index(target)] for target in targets]
    elif all(steps[index].function in (_LINEAR, _RELU) for index in order):
        found = computed(*batch)  # as on one example, whatever comes first; the bias added within the product
    else:
        found = vmap(computed)(*batch)
    return [
        value.reshape(len(value), *without_batch(shapes[target])) for value, target in zip(found, targets, strict=True)
    ]


def common_ancestor(steps: Sequence[Step], root: int, wanted: Iterable[int]) -> int:
    """The last step of the root's layer that is one tensor and that every wanted value is computed through.

    Nearest common dominator in the graph of the layer's own steps; what they read of earlier layers does not
    count, because a reader has that too.
    """
    layer, above = steps[root].layer, {root: root}

    def meet(a: int, b: int) -> int:
        while a != b:  # steps are numbered in order of execution, so the later one moves up
            a, b = (above[a], b) if a > b else (a, above[b])
        return a

    for index in range(root + 1, len(steps)):
        if steps[index].layer == layer:
            inside = [i for i in steps[index].reads if i in above]
            nearest = inside[0]
            for other in inside[1:]:
                nearest = meet(nearest, other)
            above[index] = nearest
    ends = list(wanted)
    found = ends[0]
    for end in ends[1:]:
        found = meet(found, end)
    while steps[found].shape is None:
        found = above[found]
    return found

"""Which layers multiply by one and the same weight: read as it is, transposed, or in slices that overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch


class Place(NamedTuple):
    """Where a tensor's entries lie: two of the same place are one parameter."""

    pointer: int
    offset: int
    device: str

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Place:
        """Of a `tensor` with values."""
        return cls(tensor.untyped_storage().data_ptr(), int(tensor.storage_offset()), str(tensor.device))


@dataclass(frozen=True)
class Tie:
    """Layers of one weight.

    Attributes
    ----------
    layers : their numbers, ascending.
    weight : what they have in common: the whole of it, where some read a part.
    views : for those that read it otherwise than as it is: size, stride and offset within `weight`, which is
        contiguous where there are any.
    """

    layers: tuple[int, ...]
    weight: torch.Tensor
    views: Mapping[int, tuple[tuple[int, ...], tuple[int, ...], int]]


def ties(weights: Mapping[int, torch.Tensor], known: Iterable[torch.Tensor]) -> list[Tie]:
    """Every weight, once, with the layers that multiply by it.

    Weights that have an entry in common are one, unless no tensor holds all of their entries.

    Parameters
    ----------
    weights : by layer, ascending.
    known : tensors that the weights may be views of.
    """
    alike: dict[Any, list[int]] = {}
    for number, weight in weights.items():
        alike.setdefault((Place.of(weight), weight.shape, weight.stride()), []).append(number)
    by_storage: dict[int, list[list[int]]] = {}
    for numbers in alike.values():
        by_storage.setdefault(weights[numbers[0]].untyped_storage().data_ptr(), []).append(numbers)
    candidates: list[torch.Tensor] | None = None
    found = []
    for pointer, groups in by_storage.items():
        if len(groups) == 1:
            found.append(Tie(tuple(groups[0]), weights[groups[0][0]], {}))
            continue
        if candidates is None:
            candidates = [*weights.values(), *known]
        own = [t for t in candidates if t.is_contiguous() and t.untyped_storage().data_ptr() == pointer]
        sets = _overlapping(groups, weights)
        while (more := _reached(sets, weights, own)) is not None:  # what holds one set may reach into another
            sets = more
        for overlapping in sets:
            found += _tied(overlapping, weights, own)
    return sorted(found, key=lambda tie: tie.layers)


def viewed(
    function: Callable[..., torch.Tensor], size: Sequence[int], stride: Sequence[int], offset: int
) -> Callable[..., torch.Tensor]:
    """A layer's multiplication by a part of a weight, or its transpose, as one by the whole.

    Parameters
    ----------
    function : of inputs, weight and bias.
    size, stride, offset : of the part, in the contiguous whole.
    """

    def part(*arguments: Any) -> torch.Tensor:
        *inputs, weight, bias = arguments
        return function(*inputs, weight.contiguous().as_strided(size, stride, offset), bias)

    return part


def _entries(tensor: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Numbers within the storage of a tensor's entries."""
    return numbers.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).flatten()


def _numbers(tensor: torch.Tensor) -> torch.Tensor:
    """0, 1, ... for every entry of a tensor's storage."""
    return torch.arange(tensor.untyped_storage().nbytes() // tensor.element_size())


def _overlapping(groups: list[list[int]], weights: Mapping[int, torch.Tensor]) -> list[list[list[int]]]:
    """Groups of one storage put together where they have an entry in common."""
    numbers = _numbers(weights[groups[0][0]])
    owner = torch.full_like(numbers, -1)
    found: list[list[list[int]]] = []
    for group in groups:
        entries = _entries(weights[group[0]], numbers)
        met = sorted({*torch.unique(owner[entries]).tolist()} - {-1})
        joined = [group]
        for index in met:
            joined += found[index]
            owner[owner == index] = len(found)
            found[index] = []
        owner[entries] = len(found)
        found.append(joined)
    return [group for group in found if group]


def _used(groups: list[list[int]], weights: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """Which entries of the storage some groups read."""
    numbers = _numbers(weights[groups[0][0]])
    used = torch.zeros(len(numbers), dtype=torch.bool)
    for group in groups:
        used[_entries(weights[group[0]], numbers)] = True
    return used


def _whole(
    groups: list[list[int]], weights: Mapping[int, torch.Tensor], own: Sequence[torch.Tensor]
) -> torch.Tensor | None:
    """The smallest tensor that holds all entries of some groups, or None."""
    used, numbers = _used(groups, weights), _numbers(weights[groups[0][0]])
    count = int(used.sum())
    holders = [t for t in own if t.numel() >= count and int(used[_entries(t, numbers)].sum()) == count]
    return min(holders, key=lambda tensor: tensor.numel()) if holders else None


def _reached(
    sets: list[list[list[int]]], weights: Mapping[int, torch.Tensor], own: Sequence[torch.Tensor]
) -> list[list[list[int]]] | None:
    """The sets with two of them put together, where the tensor that holds one has entries of the other; else None."""
    for i, groups in enumerate(sets):
        whole = _whole(groups, weights, own) if len(groups) > 1 else None
        if whole is None:
            continue
        inside = _entries(whole, _numbers(whole))
        for j, other in enumerate(sets):
            if j != i and bool(_used(other, weights)[inside].any()):
                rest = [kept for k, kept in enumerate(sets) if k not in (i, j)]
                return [*rest, [*groups, *other]]
    return None


def _tied(groups: list[list[int]], weights: Mapping[int, torch.Tensor], own: Sequence[torch.Tensor]) -> list[Tie]:
    """One tie of groups that overlap, or one each where nothing holds them all."""
    apart = [Tie(tuple(numbers), weights[numbers[0]], {}) for numbers in groups]
    if len(groups) == 1:
        return apart
    whole = _whole(groups, weights, own)
    if whole is None:
        return apart
    layers = tuple(sorted(number for group in groups for number in group))
    views = {}
    for number in layers:
        weight = weights[number]
        if (Place.of(weight), weight.shape, weight.stride()) != (Place.of(whole), whole.shape, whole.stride()):
            offset = int(weight.storage_offset() - whole.storage_offset())
            views[number] = tuple(weight.shape), tuple(weight.stride()), offset
    return [Tie(layers, whole, views)]

"""What a module takes and returns, where that is not one tensor each: packed into one, row by row.

Tensor 0 of a network holds all inputs of an example, in float32, one behind the other; so a device sends all of them or
none. Several outputs are one tensor likewise, which a user's score gets back as the module returned them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from qopt.core.errors import InputError, shown

Shape = tuple[int, ...]

LARGEST_WHOLE = 2**24
"""Whole numbers up to here are float32 numbers: inputs such as tokens must stay below."""

SEVERAL = "an example for each input: a tuple in their order, or a dict by name"


@dataclass(frozen=True)
class Inputs:
    """The inputs of a module.

    Attributes
    ----------
    names : (inputs,) those of the module's own arguments.
    shapes : of one example of each.
    types : of the entries of each.
    form : how the module is called: with one tensor, with several in order, or by name.
    """

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    types: tuple[torch.dtype, ...]
    form: str = "one"

    @classmethod
    def of(cls, module: nn.Module, example: Any) -> Inputs:
        """The inputs that a module is called with in an example, whose tensors were checked.

        Raises
        ------
        InputError
            Other inputs than the module has.
        """
        needed, allowed = _arguments(module)
        if isinstance(example, Mapping):
            names, parts, form = tuple(map(str, example)), list(example.values()), "name"
            unknown = [name for name in names if allowed is not None and name not in allowed]
            missing = [name for name in needed if name not in names]
            if unknown or missing:
                found = f"an input {unknown[0]!r}" if unknown else f"no input {missing[0]!r}"
                raise InputError("example", found, f"the module's own inputs ({', '.join(allowed or needed)})")
        else:
            parts = list(example) if isinstance(example, (tuple, list)) else [example]
            form = "order" if isinstance(example, (tuple, list)) else "one"
            most = len(parts) if allowed is None else len(allowed)
            if form == "one" and len(needed) > 1:
                raise InputError("module", f"{len(needed)} inputs ({', '.join(needed)})", SEVERAL)
            if not len(needed) <= len(parts) <= most:
                found = f"a {type(example).__name__} of {len(parts)} inputs"
                raise InputError("example", found, f"{_many(len(needed), most)}, as the module has")
            known = [*(allowed or needed)][: len(parts)]
            names = tuple(known + [f"input{i}" for i in range(len(known), len(parts))])
        shapes = tuple(tuple(part.shape[1:]) for part in parts)
        return cls(names, shapes, tuple(part.dtype for part in parts), form)

    @property
    def size(self) -> int:
        """Entries of one example of all of them."""
        return sum(map(math.prod, self.shapes))

    @property
    def shape(self) -> Shape:
        """Shape of tensor 0 of one example."""
        return self.shapes[0] if self.form == "one" else (self.size,)

    @property
    def whole(self) -> bool:
        """Whether every input is of whole numbers, such as tokens."""
        return not any(kind.is_floating_point for kind in self.types)

    def parts(self, example: Any) -> list[Any]:
        """The inputs in their order, from what `example` holds them as.

        Raises
        ------
        InputError
            Not these inputs.
        """
        if isinstance(example, Mapping):
            if set(example) != set(self.names):
                raise InputError("inputs", shown(list(example)), f"{', '.join(self.names)}")
            return [example[name] for name in self.names]
        if isinstance(example, (tuple, list)) and self.form != "one":
            if len(example) != len(self.names):
                raise InputError("inputs", f"{len(example)}", f"{len(self.names)}: {', '.join(self.names)}")
            return list(example)
        return [example]

    def packed(self, example: Any) -> torch.Tensor:
        """(n, ...) tensor 0 from the inputs of n examples; one input as it is.

        Parameters
        ----------
        example : tensors or arrays (n, ...) as `parts` takes them.

        Raises
        ------
        InputError
            Inputs of other shapes or numbers of examples, or whole numbers beyond what float32 holds.
        """
        parts = self.parts(example)
        if len(parts) == 1 and len(self.names) > 1:
            return torch.as_tensor(parts[0])  # packed already
        tensors = []
        for name, shape, kind, part in zip(self.names, self.shapes, self.types, parts, strict=True):
            tensor = torch.as_tensor(part)
            if not tensor.ndim or tuple(tensor.shape[1:]) != shape or len(tensor) != len(parts[0]):
                found = f"shape {tuple(tensor.shape)}"
                raise InputError(name, found, f"({len(parts[0])}, {', '.join(map(str, shape))})")
            if self.form != "one" and not kind.is_floating_point:  # it becomes float32
                whole_numbers(name, tensor.cpu().numpy())
            tensors.append(tensor)
        if self.form == "one":
            return tensors[0]
        return torch.cat([tensor.flatten(1).float() for tensor in tensors], dim=1)

    def arguments(self, packed: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
        """What the module is called with; copies, since it may write into them.

        Parameters
        ----------
        packed : (n, ...) tensor 0.
        """
        if self.form == "one":
            return (packed.to(self.types[0], copy=True),), {}
        rows = torch.split(packed, [math.prod(shape) for shape in self.shapes], dim=1)
        parts = tuple(
            row.reshape(-1, *shape).to(kind, copy=True)
            for row, shape, kind in zip(rows, self.shapes, self.types, strict=True)
        )
        return (parts, {}) if self.form == "order" else ((), dict(zip(self.names, parts, strict=True)))

    def steps(self) -> Iterator[Callable[[torch.Tensor], torch.Tensor] | None]:
        """For each input what makes it from tensor 0 of one example; None: it is tensor 0."""
        start = 0
        for shape, kind in zip(self.shapes, self.types, strict=True):
            if self.form == "one":
                yield None if kind.is_floating_point else _cast(kind)
            else:
                yield _cut(start, start + math.prod(shape), shape, kind)
            start += math.prod(shape)


@dataclass(frozen=True)
class Outputs:
    """Several outputs, or outputs in a tuple or a dict.

    Attributes
    ----------
    names : (outputs,) as one writes each behind what is returned: ``[0]``, ``['logits']``.
    shapes : of one example of each.
    """

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    _spec: TreeSpec
    _others: tuple[Any, ...]
    """Of every leaf: None where a tensor stands, else what stands there, in a tuple."""

    @classmethod
    def of(cls, output: Any) -> Outputs:
        """What a module returned for a batch.

        Parameters
        ----------
        output : a nest of tensors (n, ...).

        Raises
        ------
        InputError
            No tensors, or one that is no batch of floating-point numbers.
        """
        from torch.utils._pytree import keystr, tree_flatten_with_path

        named, spec = tree_flatten_with_path(output)
        tensors = [(keystr(path), leaf) for path, leaf in named if isinstance(leaf, torch.Tensor)]
        if not tensors:
            raise InputError("module", f"an output of type {type(output).__name__}", "tensors as output")
        others = tuple(None if isinstance(leaf, torch.Tensor) else (leaf,) for _, leaf in named)
        shapes = tuple(tuple(leaf.shape[1:]) for _, leaf in tensors)
        return cls(tuple(name for name, _ in tensors), shapes, spec, others)

    def packed(self, output: Any) -> torch.Tensor:
        """(n, entries) all tensors of an output, one behind the other."""
        return joined(*self.leaves(output))

    @staticmethod
    def leaves(output: Any) -> list[torch.Tensor]:
        """The tensors of an output, in the order of `names`."""
        return [leaf for leaf in tree_flatten(output)[0] if isinstance(leaf, torch.Tensor)]

    def unpacked(self, packed: torch.Tensor) -> Any:
        """What the module returns.

        Parameters
        ----------
        packed : (n, entries) of `packed`.
        """
        rows = iter(torch.split(packed, [math.prod(shape) for shape in self.shapes], dim=1))
        shapes = iter(self.shapes)
        leaves = [next(rows).reshape(-1, *next(shapes)) if other is None else other[0] for other in self._others]
        return tree_unflatten(leaves, self._spec)


def joined(*outputs: torch.Tensor) -> torch.Tensor:
    """(n, entries) of outputs (n, ...)."""
    return torch.cat([output.reshape(len(output), -1) for output in outputs], dim=1)


def whole_numbers(name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An input of whole numbers in float32.

    Raises
    ------
    InputError
        Numbers that are not whole, or that float32 does not hold.
    """
    if array.dtype.kind not in "iubf" or (array.dtype.kind == "f" and bool(np.any(array != np.rint(array)))):
        raise InputError(name, f"numbers of type {array.dtype}", "whole numbers, as the network takes them")
    if array.size and int(np.abs(array.astype(np.float64)).max()) > LARGEST_WHOLE:
        raise InputError(name, f"{int(np.abs(array.astype(np.float64)).max())}", f"whole numbers up to {LARGEST_WHOLE}")
    return array.astype(np.float32)


def _cast(kind: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
    def cast(x: torch.Tensor) -> torch.Tensor:
        return x.to(kind)

    return cast


def _cut(start: int, end: int, shape: Shape, kind: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
    def cut(x: torch.Tensor) -> torch.Tensor:
        return x[:, start:end].reshape(-1, *shape).to(kind)

    return cut


def _many(least: int, most: int) -> str:
    if least == most:
        return "one tensor" if most == 1 else f"{most} inputs"
    return f"{least} to {most} inputs"


def _arguments(module: nn.Module) -> tuple[list[str], Sequence[str] | None]:
    """Names of what a module must, and of what it can be called with; None: anything, or nobody knows."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # compiled, or made by a script
        return [], None
    given = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    plain = [p for p in parameters if p.kind in given]
    needed = [p.name for p in plain if p.default is inspect.Parameter.empty]
    more = any(p.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD) for p in parameters)
    named = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    return needed, None if more else [*(p.name for p in plain), *named]

"""Inputs and labels that a network is measured on: from tensors, an ``.npz`` file or IDX archives."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.measuring import fingerprint
from qopt.measuring.archives import read_arrays
from qopt.measuring.idx import read_examples
from qopt.measuring.signature import Inputs, whole_numbers


@dataclass(frozen=True, repr=False)
class Examples(Brief):
    """Inputs (n, ...) in float32 and what belongs to each, by default a class: labels (n,) in int64.

    Attributes
    ----------
    x : (n, ...) in float32.
    labels : (n,) in int64, or what else belongs to each.
    """

    x: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        if self.labels.ndim == 0 or self.x.ndim == 0 or len(self.x) != len(self.labels) or len(self.x) == 0:
            found = f"inputs of shape {tuple(self.x.shape)} and labels of shape {tuple(self.labels.shape)}"
            raise InputError("examples", found, "one label for each input, at least one")
        if self.x.dtype != torch.float32:
            raise InputError("examples.x", f"numbers of {self.x.dtype}", "float32")
        if not bool(torch.isfinite(self.x).all()):
            raise InputError("examples.x", "numbers that are not finite", "finite numbers")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> Examples:
        return Examples(self.x[part], self.labels[part])

    def digest(self) -> str:
        """SHA-256 of inputs and labels."""
        return fingerprint.digest(iter([("x", self.x), ("labels", self.labels)]))

    def split(self, sizes: Sequence[int], seed: int) -> list[Examples]:
        """Disjoint parts of these sizes, drawn at random with a `seed`.

        Raises
        ------
        InputError
            A part without examples, or more examples asked for than there are.
        """
        if any(size < 1 for size in sizes) or sum(sizes) > len(self):
            raise InputError("sizes", shown(list(sizes)), f"positive numbers that add up to {len(self)} or less")
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        parts = order[: sum(sizes)].split_with_sizes(list(sizes))
        return [Examples(self.x[part], self.labels[part]) for part in parts]


def read(
    path: str | os.PathLike[str], shape: Sequence[int], split: str = "train", inputs: Inputs | None = None
) -> Examples:
    """Labelled examples from a file or a folder.

    Parameters
    ----------
    path : an ``.npz`` file with ``x`` (n, ...), or the inputs by name, and ``labels`` (n, ...), or a folder of the
        archives ``SPLIT-images-idx3-ubyte.gz`` and ``SPLIT-labels-idx1-ubyte.gz``, whose bytes are divided by 255.
    shape : of one input of the network; inputs with as many entries take it.
    split : ``train`` or ``t10k``, for a folder.
    inputs : of the network, where there are several or their entries are whole numbers (tokens).

    Raises
    ------
    InputError
        Nothing readable there, or inputs that do not fit.
    """
    name = os.fspath(path)
    if Path(name).is_dir():
        archives = [Path(name) / f"{split}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
        x, labels = read_examples(*archives)
        found: np.ndarray[Any, Any] = x.astype(np.float32) / np.float32(255)
    else:
        found, labels = _arrays(name, inputs)
    entries = math.prod(found.shape[1:])
    if entries != math.prod(shape):
        raise InputError(name, f"inputs of shape {found.shape[1:]}", f"{math.prod(shape)} numbers, for {tuple(shape)}")
    return Examples(torch.from_numpy(found).reshape(-1, *shape), torch.from_numpy(labels.astype(np.int64)))


def as_examples(data: Any, shape: Sequence[int], split: str = "train", inputs: Inputs | None = None) -> Examples:
    """Labelled examples from whatever a caller has.

    Parameters
    ----------
    data : examples; a path, as for `read`; or inputs (n, ...) and labels (n, ...), tensors or arrays: of floating-point
        numbers, of whole ones where the network takes such, or several in a tuple or a dict where it has several.
    shape : of one input of the network; inputs with as many entries take it.
    split, inputs : as for `read`.

    Raises
    ------
    InputError
        Something else, or inputs that do not fit the network.
    """
    if isinstance(data, (str, os.PathLike)):
        return read(data, shape, split, inputs)
    if not isinstance(data, Examples):
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            found = f"{type(data).__name__}" + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
            raise InputError("data", found, "(inputs, labels), a path, or Examples")
        several = inputs is not None and inputs.form != "one"
        parts = list(map(_array, inputs.parts(data[0]) if several and inputs is not None else data[:1]))
        x, labels = checked_inputs(parts, _array(data[1]), inputs, "data: ")
        data = Examples(torch.from_numpy(x), torch.from_numpy(labels))
    if math.prod(data.x.shape[1:]) != math.prod(shape):
        allowed = f"{math.prod(shape)} numbers each, for {tuple(shape)}"
        raise InputError("data", f"inputs of shape {tuple(data.x.shape[1:])}", allowed)
    return Examples(data.x.reshape(-1, *shape), data.labels)


def _array(part: Any) -> np.ndarray[Any, Any]:
    return part.detach().numpy(force=True) if isinstance(part, torch.Tensor) else np.asarray(part)


def _arrays(name: str, inputs: Inputs | None) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Inputs in float32 and ``labels`` of an ``.npz`` file, which may not hold pickled objects."""
    names = ("x",) if inputs is None or inputs.form == "one" else inputs.names
    shown_names = "x (n, ...)" if names == ("x",) else ", ".join(names)
    allowed = f"an .npz file with {shown_names} and labels (n,), or a folder of IDX archives"
    found = read_arrays(name, allowed, (*names, "labels"))
    missing = [part for part in ("labels", *names) if part not in found]
    if missing:
        raise InputError(name, f"no {missing[0]}", allowed)
    return checked_inputs([found[part] for part in names], found["labels"], inputs, f"{name}: ")


def checked_inputs(
    parts: Sequence[np.ndarray[Any, Any]], labels: np.ndarray[Any, Any], inputs: Inputs | None, where: str
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Tensor 0 of the examples in float32, and labels in int64.

    Parameters
    ----------
    parts : (n, ...) each input.
    labels : (n, ...) whole numbers.
    inputs : of the network; None for one of floating-point numbers.
    where : before the names of the fields, in messages.

    Raises
    ------
    InputError
        Inputs of other types, shapes or numbers than the network takes.
    """
    if inputs is None:
        return checked_arrays(parts[0], labels, where)
    names = ("x",) if inputs.form == "one" else inputs.names
    found = []
    for name, kind, part in zip(names, inputs.types, parts, strict=True):
        if not kind.is_floating_point:
            part = whole_numbers(f"{where}{name}", part)
        found.append(checked_arrays(part, labels, where, name)[0])
    x = found[0] if inputs.form == "one" else inputs.packed(found).numpy()
    return x, labels.astype(np.int64)


def checked_arrays(
    x: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], where: str = "", name: str = "x"
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Inputs in float32 and labels in int64.

    Parameters
    ----------
    x : (n, ...) floating-point numbers.
    labels : (n, ...) whole numbers.
    where : before the names of the fields, in messages.
    name : of the inputs, likewise.

    Raises
    ------
    InputError
        Numbers of other types, other shapes, or numbers that float32 or int64 does not have.
    """
    if x.dtype.kind != "f":
        raise InputError(
            f"{where}{name}", f"numbers of type {x.dtype}", "floating-point numbers, scaled as the network wants"
        )
    if (
        labels.dtype.kind not in "iu"
        or labels.ndim == 0
        or labels.shape[1:] == (1,)
        or x.ndim < 2
        or len(x) != len(labels)
    ):
        found_shapes = f"{labels.dtype} of shape {labels.shape} for {name} of shape {x.shape}"
        raise InputError(f"{where}labels", found_shapes, "a whole number for each input")
    with np.errstate(over="ignore", invalid="ignore"):
        single = x.astype(np.float32)
    good = np.isfinite(single)
    if not bool(good.all()):
        at = np.unravel_index(int(np.argmin(good)), x.shape)
        raise InputError(f"{where}{name}[{', '.join(map(str, at))}]", f"{x[at]}", "finite numbers of float32")
    if labels.size and int(labels.max()) > np.iinfo(np.int64).max:
        raise InputError(f"{where}labels", f"class {int(labels.max())}", "numbers of classes, from 0")
    return single, labels.astype(np.int64)

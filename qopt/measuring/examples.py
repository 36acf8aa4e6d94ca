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


def read(path: str | os.PathLike[str], shape: Sequence[int], split: str = "train") -> Examples:
    """Labelled examples from a file or a folder.

    Parameters
    ----------
    path : an ``.npz`` file with ``x`` (n, ...) and ``labels`` (n,), or a folder of the archives
        ``SPLIT-images-idx3-ubyte.gz`` and ``SPLIT-labels-idx1-ubyte.gz``, whose bytes are divided by 255.
    shape : of one input of the network; inputs with as many entries take it.
    split : ``train`` or ``t10k``, for a folder.

    Raises
    ------
    InputError
        Nothing readable there, or inputs that do not fit.
    """
    name = os.fspath(path)
    if Path(name).is_dir():
        archives = [Path(name) / f"{split}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
        x, labels = read_examples(*archives)
        inputs: np.ndarray[Any, Any] = x.astype(np.float32) / np.float32(255)
    else:
        inputs, labels = _arrays(name)
    entries = math.prod(inputs.shape[1:])
    if entries != math.prod(shape):
        raise InputError(name, f"inputs of shape {inputs.shape[1:]}", f"{math.prod(shape)} numbers, for {tuple(shape)}")
    return Examples(torch.from_numpy(inputs).reshape(-1, *shape), torch.from_numpy(labels.astype(np.int64)))


def as_examples(data: Any, shape: Sequence[int], split: str = "train") -> Examples:
    """Labelled examples from whatever a caller has.

    Parameters
    ----------
    data : examples; a path, as for `read`; or inputs (n, ...) of floating-point numbers and labels (n,), tensors or
        arrays.
    shape : of one input of the network; inputs with as many entries take it.
    split : as for `read`.

    Raises
    ------
    InputError
        Something else, or inputs that do not fit the network.
    """
    if isinstance(data, (str, os.PathLike)):
        return read(data, shape, split)
    if not isinstance(data, Examples):
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            found = f"{type(data).__name__}" + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
            raise InputError("data", found, "(inputs, labels), a path, or Examples")
        x, labels = (
            part.detach().numpy(force=True) if isinstance(part, torch.Tensor) else np.asarray(part) for part in data
        )
        x, labels = checked_arrays(x, labels, "data: ")
        data = Examples(torch.from_numpy(x), torch.from_numpy(labels))
    if math.prod(data.x.shape[1:]) != math.prod(shape):
        allowed = f"{math.prod(shape)} numbers each, for {tuple(shape)}"
        raise InputError("data", f"inputs of shape {tuple(data.x.shape[1:])}", allowed)
    return Examples(data.x.reshape(-1, *shape), data.labels)


def _arrays(name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """``x`` in float32 and ``labels`` of an ``.npz`` file, which may not hold pickled objects."""
    allowed = "an .npz file with x (n, ...) and labels (n,), or a folder of IDX archives"
    found = read_arrays(name, allowed, ("x", "labels"))
    if len(found) < 2:
        raise InputError(name, f"no {'labels' if 'x' in found else 'x'}", allowed)
    return checked_arrays(found["x"], found["labels"], f"{name}: ")


def checked_arrays(
    x: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], where: str = ""
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Inputs in float32 and labels in int64.

    Parameters
    ----------
    x : (n, ...) floating-point numbers.
    labels : (n,) whole numbers.
    where : before the names of the fields, in messages.

    Raises
    ------
    InputError
        Numbers of other types, other shapes, or numbers that float32 or int64 does not have.
    """
    if x.dtype.kind != "f":
        raise InputError(
            f"{where}x", f"numbers of type {x.dtype}", "floating-point numbers, scaled as the network wants"
        )
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or x.ndim < 2 or len(x) != len(labels):
        found_shapes = f"{labels.dtype} of shape {labels.shape} for x of shape {x.shape}"
        raise InputError(f"{where}labels", found_shapes, "a whole number for each input")
    with np.errstate(over="ignore", invalid="ignore"):
        single = x.astype(np.float32)
    good = np.isfinite(single)
    if not bool(good.all()):
        at = np.unravel_index(int(np.argmin(good)), x.shape)
        raise InputError(f"{where}x[{', '.join(map(str, at))}]", f"{x[at]}", "finite numbers of float32")
    if labels.size and int(labels.max()) > np.iinfo(np.int64).max:
        raise InputError(f"{where}labels", f"class {int(labels.max())}", "numbers of classes, from 0")
    return single, labels.astype(np.int64)

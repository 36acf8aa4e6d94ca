"""Tensors between labelled nodes: the data of a minimum cut on ordered labels, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.kernels.arguments import LARGEST, floats

Tensor = tuple[int, Sequence[int] | IntArray, Sequence[float] | FloatArray]
"""(producer, readers, weights per link)."""


@dataclass(frozen=True, eq=False, repr=False)
class Tensors(Brief):
    """m tensors with their producers, readers and weights per link, in compressed rows.

    Attributes
    ----------
    producer : (m,) node that makes each tensor.
    start : (m + 1,) readers of tensor t are ``reader[start[t]:start[t + 1]]``.
    reader : (readings,) nodes that read the tensors.
    weight : (m, L-1) cost of each tensor on each link, >= 0; infinite: it may not cross.
    """

    producer: IntArray
    start: IntArray
    reader: IntArray
    weight: FloatArray

    @classmethod
    def of(cls, rows: Iterable[Tensor], links: int) -> Tensors:
        """From a list `rows` of ``(producer, readers, weights)`` with `links` = L-1 weights each.

        Raises
        ------
        InputError
            A row that is not such a triple, or has another number of weights.
        """
        rows = list(rows)
        for t, row in enumerate(rows):
            try:
                _, readers, weights = row
                lengths = len(readers), len(weights)
            except (TypeError, ValueError):
                raise InputError(f"tensors[{t}]", shown(row), "(producer, readers, weights)") from None
            if lengths[1] != links:
                raise InputError(f"tensors[{t}].weights", f"{lengths[1]} numbers", f"{links}, one a link")
        start = np.cumsum([0, *(len(readers) for _, readers, _ in rows)])
        return cls(
            _nodes("tensors.producer", [producer for producer, _, _ in rows]),
            start,
            _nodes("tensors.reader", [reader for _, readers, _ in rows for reader in readers]),
            _numbers("tensors.weight", [list(weights) for _, _, weights in rows]).reshape(len(rows), links),
        )

    @cached_property
    def owner(self) -> IntArray:
        """(readings,) tensor of each entry of `reader`."""
        return np.repeat(np.arange(len(self.producer)), np.diff(self.start))


def checked(unary: object, tensors: object) -> tuple[FloatArray, Tensors]:
    """Both as arrays, or the first thing that is wrong with them.

    Parameters
    ----------
    unary : (n, L) costs of labels.
    tensors : `Tensors`, or a list of (producer, readers, weights).

    Raises
    ------
    InputError
        A number, a shape or a name that is not what it may be, in one line.
    """
    unary = _numbers("unary", unary)
    if unary.ndim != 2 or (unary.shape[1] == 0):
        raise InputError("unary", f"shape {unary.shape}", "a row for each node, a column for each label, at least one")
    n, labels = unary.shape
    _refuse(unary, "unary", np.isnan(unary) | (np.abs(unary) > LARGEST) & (unary != np.inf), "at most 1e300, or +inf")
    if not isinstance(tensors, Tensors):
        if not isinstance(tensors, Iterable) or isinstance(tensors, str | bytes):
            raise InputError("tensors", shown(tensors), "Tensors, or a list of (producer, readers, weights)")
        tensors = Tensors.of(tensors, labels - 1)
    producer, start = _nodes("tensors.producer", tensors.producer), _nodes("tensors.start", tensors.start)
    reader, weight = _nodes("tensors.reader", tensors.reader), _numbers("tensors.weight", tensors.weight)
    m = len(producer)
    if weight.shape != (m, labels - 1):
        raise InputError("tensors.weight", f"shape {weight.shape}", f"({m}, {labels - 1}): tensors, links")
    if len(start) != m + 1 or start[0] != 0 or start[-1] != len(reader) or np.any(np.diff(start) < 0):
        raise InputError("tensors.start", shown(start), f"{m + 1} numbers from 0 up to {len(reader)}, none falling")
    for name, nodes in (("producer", producer), ("reader", reader)):
        _refuse(nodes, f"tensors.{name}", (nodes < 0) | (nodes >= n), f"nodes 0 to {n - 1}")
    _refuse(weight, "tensors.weight", ~((weight >= 0) & ((weight <= LARGEST) | (weight == np.inf))), ">= 0")
    return unary, Tensors(producer, start, reader, weight)


def _refuse(array: FloatArray | IntArray, name: str, wrong: BoolArray, allowed: str) -> None:
    places = np.argwhere(wrong)
    if places.size:
        place = tuple(places[0].tolist())
        raise InputError(f"{name}[{', '.join(map(str, place))}]", f"{array[place]}", f"numbers {allowed}")


def _numbers(name: str, data: object) -> FloatArray:
    if isinstance(data, np.ndarray) and data.dtype == np.float64:
        return data
    try:
        return floats(name, data, "", "rows of numbers, all of one length")
    except InputError as error:
        raise (error if error.found else InputError(name, shown(data), error.allowed)) from None


def _nodes(name: str, data: object) -> IntArray:
    try:
        array = np.asarray(data)
    except ValueError:
        raise InputError(name, shown(data), "whole numbers") from None
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InputError(name, shown(data), "whole numbers")
    return array.astype(np.int64)

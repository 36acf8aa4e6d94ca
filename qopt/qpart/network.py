"""The network of a QPART request: layers as columns, the tensors between them, and layers that share a width."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.checks import check_lengths
from qopt.core.columns import Counts, Quantities, complaint
from qopt.core.errors import shown
from qopt.core.problem import Flag, Frozen, Quantity

Width = Annotated[int, Field(ge=1, le=64, strict=True)]
"""Up to 64 bits: the papers' parameters are stored in double precision (QPART, section III.C)."""


class Tie(Frozen):
    """Layers whose weights have one bit-width.

    Attributes
    ----------
    layers : two or more, each once, ascending.
    shared : whether they are one tensor, sent and stored once (their numbers of weights are equal); by default
        they are only grouped.
    """

    layers: Counts
    shared: Flag = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.layers) < 2 or self.layers[0] < 1 or np.any(np.diff(self.layers) <= 0):
            raise complaint(".layers", shown(self.layers.tolist()), "at least two layers from 1 on, ascending")
        return self


class NetworkColumns(Frozen):
    """Layers 1..L as columns of length L (section III.B).

    Attributes
    ----------
    macs : (L,) MACs o_l of each layer (Eqs. 1-2).
    weights : (L,) number of weights z_l^w of each layer; biases are not counted.
    activations : (L,) number of outputs z_l^x of each layer.
    overhead : (L,) bits sent and stored with the weights of each layer whatever their width (scales and zero
        points), optional: the paper counts none.
    overhead_activations : (L,) bits sent with the output of each layer whatever its width, optional: ranges
        fixed in advance take none.
    input_size, input_bits : values z_0^x of the raw input and the bits of each.
    last_reader : (L + 1,), optional. Entry i is the last layer that reads tensor i (0 the input, i the output
        of layer i); the default i + 1 is a chain. A cut p is crossed by every tensor i <= p with
        ``last_reader[i] > p``. The output's entry is L + 1.
    layers : names, optional.
    ties : lists of layers whose weights share a bit-width, or are one tensor.
    """

    macs: Quantities
    weights: Quantities
    activations: Quantities
    overhead: Quantities | None = None
    overhead_activations: Quantities | None = None
    input_size: Quantity
    input_bits: Width = 32
    last_reader: Counts | None = None
    layers: tuple[str, ...] | None = None
    ties: tuple[Tie, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        n = len(self.macs)
        if n == 0:
            raise complaint(".macs", "no layers", "at least one layer")
        columns = {
            "weights": self.weights,
            "activations": self.activations,
            "overhead": self.overhead,
            "overhead_activations": self.overhead_activations,
        }
        check_lengths(columns, n, "layer")
        if self.layers is not None and len(self.layers) != n:
            raise complaint(".layers", f"{len(self.layers)} names", f"{n}, one for each layer")
        if self.last_reader is not None:
            check_lengths({"last_reader": self.last_reader}, n + 1, "tensor 0..L")
            first = np.arange(1, n + 2)
            wrong = np.flatnonzero((self.last_reader < first) | (self.last_reader > n + 1))
            if wrong.size:
                i = int(wrong[0])
                raise complaint(f".last_reader[{i}]", str(self.last_reader[i]), f"a layer from {i + 1} to {n + 1}")
        tied: set[int] = set()
        for t, tie in enumerate(self.ties):
            members = tie.layers.tolist()
            for layer in members:
                if layer > n or layer in tied:
                    found = f"layer {layer}" + (" a second time" if layer in tied else "")
                    raise complaint(f".ties[{t}].layers", found, f"layers from 1 to {n}, each in one tie")
            tied.update(members)
            if tie.shared and len(set(self.weights[tie.layers - 1].tolist())) > 1:
                raise complaint(f".ties[{t}].shared", "layers of different size", "equal numbers of weights")
            if tie.shared and self.overhead is not None and len(set(self.overhead[tie.layers - 1].tolist())) > 1:
                raise complaint(f".ties[{t}].shared", "layers of different overhead", "equal overheads")
        return self

    def __len__(self) -> int:
        return len(self.macs)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the layers, ``layer1`` .. where none are given."""
        return self.layers or tuple(f"layer{i}" for i in range(1, len(self) + 1))

    @property
    def leaders(self) -> IntArray:
        """(L,) first layer whose weights have the same width as those of layer l, from 1; l itself where untied."""
        first = np.arange(1, len(self) + 1)
        for tie in self.ties:
            first[tie.layers - 1] = tie.layers[0]
        return first

    @property
    def sent(self) -> FloatArray:
        """(L,) weights to send and store for each layer: those of a shared tensor count with its first layer."""
        return self._once(self.weights)

    @property
    def sent_overhead(self) -> FloatArray:
        """(L,) bits of overhead to send and store for each layer, those of a shared tensor with its first layer."""
        return np.zeros(len(self)) if self.overhead is None else self._once(self.overhead)

    def _once(self, column: FloatArray) -> FloatArray:
        """A column of the layers in which a shared tensor counts with its first layer."""
        if not any(tie.shared for tie in self.ties):
            return column
        once = column.copy()
        for tie in self.ties:
            if tie.shared:
                once[tie.layers[1:] - 1] = 0.0
        return once

    def crossing(self, cut: int) -> IntArray:
        """Tensors that cross a cut, ascending: 0 is the input, i the output of layer i."""
        if self.last_reader is None:
            return np.array([cut])
        return np.flatnonzero(self.last_reader[: cut + 1] > cut)

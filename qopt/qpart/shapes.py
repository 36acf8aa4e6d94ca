"""Layers by their shapes: MACs, weights and outputs without a framework (Eqs. 1-2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qopt.core.arguments import whole
from qopt.core.errors import InputError, shown

MOST = 2**31
"""Largest extent of a shape that is taken."""


@dataclass(frozen=True)
class Linear:
    """A fully connected layer, ``Y = X W`` (Eq. 1).

    Attributes
    ----------
    inputs : D values.
    outputs : G values.
    """

    inputs: int
    outputs: int

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            whole(f"Linear.{name}", getattr(self, name), 1, MOST)

    @property
    def macs(self) -> int:
        """``o = D G`` (Eq. 1)."""
        return self.inputs * self.outputs

    @property
    def weights(self) -> int:
        """Number of weights, biases not counted."""
        return self.inputs * self.outputs

    @property
    def values_in(self) -> int:
        """Values that go in."""
        return self.inputs

    @property
    def values_out(self) -> int:
        """Values that come out."""
        return self.outputs


@dataclass(frozen=True)
class Conv:
    """A convolution over height and width, perhaps with pooling behind it (Eq. 2).

    Attributes
    ----------
    inputs, outputs : channels C_in and C_out.
    kernel : F_1 x F_2, one number or two.
    size : height and width of what goes in, one number or two.
    stride : of both directions.
    padding : values on each side of both directions.
    groups : of channels; C_in for a depthwise convolution.
    pool : by which pooling behind the layer divides height and width, rounded down; 1 is none. Pooling has no MACs.
    """

    inputs: int
    outputs: int
    kernel: int | tuple[int, int]
    size: int | tuple[int, int]
    stride: int = 1
    padding: int = 0
    groups: int = 1
    pool: int = 1

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "stride", "groups", "pool"):
            whole(f"Conv.{name}", getattr(self, name), 1, MOST)
        whole("Conv.padding", self.padding, 0, MOST)
        for name in ("kernel", "size"):
            value = getattr(self, name)
            pair = value if isinstance(value, tuple | list) else (value, value)
            if len(pair) != 2:
                raise InputError(f"Conv.{name}", shown(value), "a whole number, or two")
            object.__setattr__(self, name, tuple(whole(f"Conv.{name}", x, 1, MOST) for x in pair))
        if self.inputs % self.groups or self.outputs % self.groups:
            raise InputError("Conv.groups", shown(self.groups), "a divisor of inputs and outputs")
        if min(self.positions) < 1:
            raise InputError("Conv.kernel", shown(self.kernel), f"one that fits into size {self.size} with its padding")
        if min(x // self.pool for x in self.positions) < 1:
            raise InputError("Conv.pool", shown(self.pool), f"at most {min(self.positions)}, the output's extent")

    @property
    def positions(self) -> tuple[int, int]:
        """Height and width of what the convolution gives, before pooling: the U and V that Eq. 2 needs."""
        return self._out(0), self._out(1)

    def _out(self, axis: int) -> int:
        kernel, size = self.kernel, self.size
        assert isinstance(kernel, tuple)
        assert isinstance(size, tuple)
        return (size[axis] + 2 * self.padding - kernel[axis]) // self.stride + 1

    def _per_position(self) -> int:
        assert isinstance(self.kernel, tuple)
        return self.inputs // self.groups * self.outputs * self.kernel[0] * self.kernel[1]

    @property
    def macs(self) -> int:
        """``o = C_in C_out F_1 F_2 U V`` (Eq. 2) with U and V of the *output*, which is what is computed."""
        return self._per_position() * self.positions[0] * self.positions[1]

    @property
    def macs_as_printed(self) -> int:
        """Eq. 2 to the letter, U and V "the size of input activation": too many where the output is smaller."""
        assert isinstance(self.size, tuple)
        return self._per_position() * self.size[0] * self.size[1]

    @property
    def weights(self) -> int:
        """Number of weights, biases not counted."""
        return self._per_position()

    @property
    def values_in(self) -> int:
        """Values that go in."""
        assert isinstance(self.size, tuple)
        return self.inputs * self.size[0] * self.size[1]

    @property
    def values_out(self) -> int:
        """Values that come out, behind pooling."""
        return self.outputs * (self.positions[0] // self.pool) * (self.positions[1] // self.pool)


def network_of(layers: Sequence[Linear | Conv], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Columns of a chain of layers, as `QPart.network` takes them (Eqs. 1-2).

    Parameters
    ----------
    layers : in the order in which they run; each takes as many values as the one before gives.
    names : of the layers, one each; by default `fc1`, `conv2`, ...

    Raises
    ------
    InputError
        No layers, something that is no layer, names that are no list, or a layer that does not fit the one before.
    """
    if not isinstance(layers, list | tuple) or not layers:
        raise InputError("layers", shown(layers), "a list of Linear and Conv, at least one")
    for k, layer in enumerate(layers):
        if not isinstance(layer, Linear | Conv):
            raise InputError(f"layers[{k}]", shown(layer), "Linear or Conv")
        if k and layer.values_in != layers[k - 1].values_out:
            found = f"{layer.values_in} values in, behind {layers[k - 1].values_out} out"
            raise InputError(f"layers[{k}]", found, "as many as the layer before gives")
    if names is not None and (isinstance(names, str) or not isinstance(names, Sequence)):
        raise InputError("names", shown(names), "a list of names, one for each layer")
    kinds = ["conv" if isinstance(layer, Conv) else "fc" for layer in layers]
    return {
        "macs": [layer.macs for layer in layers],
        "weights": [layer.weights for layer in layers],
        "activations": [layer.values_out for layer in layers],
        "input_size": layers[0].values_in,
        "layers": list(names) if names is not None else [f"{kind}{k}" for k, kind in enumerate(kinds, start=1)],
    }

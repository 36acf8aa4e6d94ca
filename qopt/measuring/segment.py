"""A plan made real: the quantized segment that the device runs, and the rest that the server runs.

`make` quantizes the weights of layers 1..p as the plan says; `DeviceSegment` computes with what it reads from the
file and sends packed codes; `ServerSegment` computes with those and its own weights. The device's own layers read its
activations as they are; only what crosses the cut is quantized.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from qopt.core.display import Brief, one_line
from qopt.core.errors import InputError
from qopt.measuring import fingerprint
from qopt.measuring.arithmetic import plain_float32
from qopt.measuring.grids import MAX_BITS, Grid, Quantized, Range, Steps, quantize
from qopt.measuring.network import Network
from qopt.measuring.packing import pack, unpack
from qopt.measuring.segment_file import Header, SegmentFile, SentTensor, StoredLayer, read_segment, sealed, tensors_of
from qopt.qpart.plan import QPartPlan

Sent = dict[int, torch.Tensor]
"""What goes up, by tensor: packed codes (n, bytes) in uint8; the raw input, or an output that the device keeps, as it
is in float32."""


def sent_tensors(network: Network, plan: QPartPlan) -> tuple[int, ...]:
    """Tensors that a plan quantizes and sends: those that cross its cut without the raw input.

    At cut L a plan may keep the network's output on the device (``send_output`` of a request).

    Raises
    ------
    InputError
        The plan is not one for this network, or its widths are not whole numbers from 1 to 16.
    """
    layers = len(network)
    if plan.bits != "whole":
        raise InputError("plan.bits", plan.bits, "whole, which alone can be packed")
    if plan.cut > layers:
        raise InputError("plan.cut", str(plan.cut), f"a cut from 0 to {layers}")
    if len(plan.weights) != plan.cut:
        raise InputError(
            "plan.weights", f"{len(plan.weights)} widths", f"{plan.cut}, one for each layer before the cut"
        )
    crossing = tuple(i for i in network.crossing(plan.cut) if i > 0)
    if plan.cut == layers and len(plan.activations) == len(crossing) - 1:
        crossing = crossing[:-1]
    if len(plan.activations) != len(crossing):
        found, allowed = f"{len(plan.activations)} widths", f"{len(crossing)}, for tensors {crossing} of cut {plan.cut}"
        raise InputError("plan.activations", found, allowed)
    for field in ("weights", "activations"):
        for i, width in enumerate(getattr(plan, field)):
            if not (float(width).is_integer() and 1 <= width <= MAX_BITS):
                raise InputError(f"plan.{field}[{i}]", f"{width:g} bits", f"a whole number from 1 to {MAX_BITS}")
    return crossing


def quantized_weights(network: Network, plan: QPartPlan, grid: Grid) -> dict[int, Quantized]:
    """Codes of the weights of layers 1..p; a weight that layers share stands with the first of them.

    Raises
    ------
    InputError
        A width that the grid cannot have, or two for a weight that layers share.
    """
    first = _first_layers(network)
    found: dict[int, Quantized] = {}
    for layer in network.layers[: plan.cut]:
        if not layer.parameters:
            continue
        leader, width = first.get(layer.number, layer.number), int(plan.weights[layer.number - 1])
        if leader not in found:
            found[leader] = quantize(network.weight(leader), width, grid)
        elif found[leader].bits != width:
            allowed = f"{found[leader].bits}, as in layer {leader}, which has the same weight"
            raise InputError(f"plan.weights[{layer.number - 1}]", f"{width} bits", allowed)
    return found


@plain_float32()
def make(
    network: Network,
    plan: QPartPlan,
    grid: Grid,
    ranges: Mapping[int, Range],
    activation_grid: Grid | None = None,
) -> SegmentFile:
    """Quantize the device's part of a network as a plan says.

    Parameters
    ----------
    network : the trained network.
    plan : cut and whole widths.
    grid : of the weights.
    ranges : of every tensor that is sent, by number, fixed in advance; see `sent_tensors`.
    activation_grid : how those are quantized, per tensor; by default asymmetric.

    Returns
    -------
    The segment, to be saved or run.

    Raises
    ------
    InputError
        The plan is not one for this network (also where layers that share a weight have different widths), or a range
        is missing.
    """
    activation_grid = activation_grid or Grid()
    tensors = sent_tensors(network, plan)
    activations = []
    for tensor, width in zip(tensors, plan.activations, strict=True):
        if tensor not in ranges:
            raise InputError(f"ranges[{tensor}]", "nothing", f"the range of tensor {tensor}, which crosses the cut")
        steps = Steps.on(ranges[tensor], int(width), activation_grid)
        offset = None if steps.offset is None else float(steps.offset)
        size = network.layers[tensor - 1].size
        activations.append(
            SentTensor(tensor=tensor, size=size, bits=int(width), scale=float(steps.scale), offset=offset)
        )
    weights = quantized_weights(network, plan, grid)
    biases = {layer.number: _bias(network, layer.number) for layer in network.layers[: plan.cut] if layer.biases}
    header = Header(
        structure=fingerprint.structure(network),
        weights=fingerprint.weights(network),
        data="",
        grid=str(grid),
        activation_grid=str(activation_grid),
        plan=plan,
        layers=_stored_layers(network, plan),
        activations=tuple(activations),
    )
    return SegmentFile(sealed(header, tensors_of(weights, biases)), weights, biases)


class DeviceSegment:
    """Layers 1..p as the device runs them: weights and biases from the file, everything else from the network.

    Parameters
    ----------
    segment : of `make` or `qopt.measuring.segment_file.read_segment`.
    network : the same operations, shapes and constants; the weights of its layers 1..p are not used.

    Raises
    ------
    InputError
        The segment is of another network.
    """

    def __init__(self, segment: SegmentFile, network: Network) -> None:
        _check_structure(segment, network)
        self.segment = segment
        first, device = _first_layers(network), network.device
        values = {number: weight.values().to(device) for number, weight in segment.weights.items()}
        weights: dict[int, tuple[torch.Tensor, torch.Tensor | None]] = {}
        for layer in network.layers[: segment.header.plan.cut]:
            if layer.parameters:
                bias = segment.biases.get(layer.number)
                weight = values[first.get(layer.number, layer.number)]
                weights[layer.number] = weight, None if bias is None else bias.to(device)
        self._network = network.with_weights(weights)
        self._steps = _steps(segment, device)

    def __repr__(self) -> str:
        return _shown(self, self.segment)

    @classmethod
    def load(cls, path: str | os.PathLike[str], network: Network) -> DeviceSegment:
        """The device's part from a file at `path`."""
        return cls(read_segment(path), network)

    @plain_float32()
    @torch.no_grad()
    def run(self, x: torch.Tensor | np.ndarray[Any, Any]) -> Sent:
        """What the device sends for a batch of inputs.

        Parameters
        ----------
        x : (n, ...) finite numbers, a tensor or an array; a tuple, or a dict by name, where the network has several
            inputs. Computed with in float32.

        Returns
        -------
        By tensor, one row of bytes for each inference.

        Raises
        ------
        InputError
            Inputs of another shape, numbers that are not finite, or no numbers.
        """
        network, cut = self._network, self.segment.header.plan.cut
        values = {0: _inputs(x, network)}
        last = {i: layer.number for layer in network.layers[:cut] for i in layer.reads}
        crossing = network.crossing(cut)
        for number in range(1, cut + 1):
            values[number] = network.finish(number, network.product(number, values), values)
            values = {i: t for i, t in values.items() if i in crossing or last.get(i, 0) > number}
        sent = {}
        for i in crossing:
            steps = self._steps.get(i)
            sent[i] = values[i] if steps is None else pack(_rows(steps.codes(values[i]).codes), steps.bits)
        return sent


class ServerSegment:
    """Layers p + 1..L as the server runs them, from what the device sends.

    Parameters
    ----------
    segment : the segment that the device has.
    network : the network that it was made from.

    Raises
    ------
    InputError
        The segment is of another network, or of one with other weights.
    """

    def __init__(self, segment: SegmentFile, network: Network) -> None:
        _check_structure(segment, network)
        if fingerprint.weights(network) != segment.header.weights:
            raise InputError("network", "other weights than the segment was made from", "the network it was made from")
        self.segment, self._network = segment, network
        self._steps = _steps(segment, network.device)

    def __repr__(self) -> str:
        return _shown(self, self.segment)

    @classmethod
    def load(cls, path: str | os.PathLike[str], network: Network) -> ServerSegment:
        """The server's part for the segment in a file at `path`."""
        return cls(read_segment(path), network)

    @plain_float32()
    @torch.no_grad()
    def run(self, sent: Mapping[int, torch.Tensor | np.ndarray[Any, Any]]) -> torch.Tensor:
        """What the network returns, (n, ...), from what the device sent.

        Raises
        ------
        InputError
            A tensor is missing, or has other bytes than the plan says.
        """
        if not isinstance(sent, Mapping):
            raise InputError("sent", type(sent).__name__, "tensors by number, as `DeviceSegment.run` returns them")
        network, cut = self._network, self.segment.header.plan.cut
        values: dict[int, torch.Tensor] = {}
        for i in network.crossing(cut):
            if i not in sent:
                raise InputError(f"sent[{i}]", "nothing", f"tensor {i}, which crosses cut {cut}")
            if not isinstance(sent[i], (torch.Tensor, np.ndarray)):
                raise InputError(f"sent[{i}]", type(sent[i]).__name__, "a tensor, as `DeviceSegment.run` returns it")
            values[i] = self._received(i, torch.as_tensor(sent[i]).to(network.device))
        return network.resume(values, cut)

    def _received(self, tensor: int, data: torch.Tensor) -> torch.Tensor:
        steps = self._steps.get(tensor)
        if steps is None:
            shape = self._network.layers[tensor - 1].output if tensor else self._network.input_shape
            return _numbers(f"sent[{tensor}]", data, shape, self._network.device)
        layer = self._network.layers[tensor - 1]
        if data.ndim != 2:
            raise InputError(f"sent[{tensor}]", f"shape {tuple(data.shape)}", "(n, bytes)")
        try:
            codes = unpack(data, steps.bits, layer.size).reshape(-1, *layer.output)
        except InputError as error:
            raise InputError(f"sent[{tensor}]", error.found, error.allowed) from None
        return Quantized(codes, steps.scale, steps.offset, steps.bits, steps.grid).values()


@dataclass(frozen=True, repr=False)
class Segment(Brief):
    """Both halves of a network that was packed, in one process.

    Attributes
    ----------
    device : runs layers 1..p and sends.
    server : runs the rest.
    """

    device: DeviceSegment
    server: ServerSegment

    @classmethod
    def load(cls, path: str | os.PathLike[str], network: Network) -> Segment:
        """Both parts from a file at `path` that `SegmentFile.save` wrote."""
        segment = read_segment(path)
        return cls(DeviceSegment(segment, network), ServerSegment(segment, network))

    def __call__(self, x: torch.Tensor | np.ndarray[Any, Any]) -> torch.Tensor:
        """What the network returns, (n, ...), from inputs (n, ...) by way of what is sent."""
        return self.server.run(self.device.run(x))


def _rows(codes: torch.Tensor) -> torch.Tensor:
    """(n, entries), also of one entry each."""
    return codes.reshape(len(codes), -1)


def _shown(part: DeviceSegment | ServerSegment, segment: SegmentFile) -> str:
    header = segment.header
    fields = (
        ("cut", header.plan.cut),
        ("layers", len(header.layers)),
        ("sent", [a.tensor for a in header.activations]),
    )
    return one_line(type(part).__name__, (*fields, ("grid", header.grid)))


def _inputs(x: Any, network: Network) -> torch.Tensor:
    """A batch of inputs as the network takes them."""
    if network.inputs.form != "one" and isinstance(x, (dict, tuple, list)):
        x = network.inputs.packed(x)
    if not isinstance(x, (torch.Tensor, np.ndarray)):
        raise InputError("x", type(x).__name__, "a tensor or an array (n, ...)")
    if isinstance(x, np.ndarray) and x.dtype.kind not in "fiub":
        raise InputError("x", f"an array of {x.dtype}", "numbers")
    return _numbers("x", torch.as_tensor(x), network.input_shape, network.device)


def _numbers(field: str, x: torch.Tensor, shape: Sequence[int], device: torch.device) -> torch.Tensor:
    """(n, ...) finite numbers in float32 on a device."""
    if x.ndim != 1 + len(shape) or tuple(x.shape[1:]) != tuple(shape):
        raise InputError(field, f"shape {tuple(x.shape)}", f"(n, {', '.join(map(str, shape))})")
    found = x.to(device, torch.float32)
    if x.is_complex() or not bool(torch.isfinite(found).all()):
        raise InputError(field, "numbers that are not finite" if not x.is_complex() else str(x.dtype), "finite numbers")
    return found


def _first_layers(network: Network) -> dict[int, int]:
    """The first of the layers with one weight, for each layer that shares its weight."""
    return {number: group[0] for group in network.shared for number in group}


def _bias(network: Network, number: int) -> torch.Tensor:
    bias = network.bias(number)
    assert bias is not None
    return bias


def _steps(segment: SegmentFile, device: torch.device) -> dict[int, Steps]:
    """Grids of the tensors that are quantized and sent; what is not among them crosses as it is."""
    grid = Grid.parse(segment.header.activation_grid)

    def number(value: float) -> torch.Tensor:
        return torch.tensor(value, dtype=torch.float32, device=device)

    return {
        a.tensor: Steps(number(a.scale), None if a.offset is None else number(a.offset), a.bits, grid)
        for a in segment.header.activations
    }


def _check_structure(segment: SegmentFile, network: Network) -> None:
    """Refuse a segment of another network, or one whose layers are not the network's."""
    header = segment.header
    if fingerprint.structure(network) != header.structure:
        raise InputError("network", "another one than the segment was made from", "the network it was made from")
    sizes = [(i, network.layers[i - 1].size) for i in sent_tensors(network, header.plan)]
    if [(a.tensor, a.size) for a in header.activations] != sizes:
        found = str([(a.tensor, a.size) for a in header.activations])
        raise InputError("header.activations", found, f"tensors and sizes {sizes}, as in the network")
    for number, (found_layer, layer) in enumerate(
        zip(header.layers, _stored_layers(network, header.plan), strict=True)
    ):
        if found_layer != layer.model_copy(update={"name": found_layer.name}):
            raise InputError(f"header.layers[{number}]", str(found_layer), f"{layer}, as in the network")


def _stored_layers(network: Network, plan: QPartPlan) -> tuple[StoredLayer, ...]:
    """What the file of a plan holds of each layer 1..p."""
    first, stored = _first_layers(network), []
    for layer, width in zip(network.layers, plan.weights, strict=False):
        leader = first.get(layer.number, layer.number)
        own = layer.parameters > 0 and leader == layer.number
        stored.append(
            StoredLayer(
                name=layer.name,
                bits=int(width),
                shape=tuple(network.weight(layer.number).shape) if own else (),
                weight_of=leader if layer.parameters and not own else None,
                biases=layer.biases,
            )
        )
    return tuple(stored)

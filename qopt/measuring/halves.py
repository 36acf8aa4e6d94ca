"""The two parts of a segment as ONNX graphs in float32: what a runtime other than ours computes with.

torch's own exporter writes them, of the traced network on a batch of one. Each layer's weight stands as the constant
``weight.l``, each bias as ``bias.l``, so that `qopt.runtime.qdq` can put codes in their place.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qopt.core.errors import InputError
from qopt.measuring.network import Network
from qopt.measuring.segment import DeviceSegment, ServerSegment
from qopt.measuring.segment_file import SegmentFile
from qopt.measuring.steps import Ref, needed, read_by, replaced

OPSET = 18
"""Version of the standard operations that torch's exporter is asked for."""

INPUT, OUTPUT = "input", "output"
"""Names of the network's input and output in the graphs; between them tensors are called ``tensor.l``."""


@dataclass(frozen=True)
class Half:
    """One part in float32.

    Attributes
    ----------
    graph : an ONNX file's bytes; what its weights and biases are in there is of no meaning, see `constants`.
    reads, writes : tensors that come in and go out, by their names in the graph.
    weights : layer of each weight in the graph, by its name.
    constants : float32, the biases and, on the server, the weights, by their names.
    """

    graph: bytes
    reads: dict[str, int]
    writes: tuple[str, ...]
    weights: dict[str, int]
    constants: dict[str, np.ndarray[Any, np.dtype[np.float32]]]


def tensor_name(number: int) -> str:
    """What tensor `number` of a network is called in the graphs."""
    return f"tensor.{number}" if number else INPUT


def device_half(segment: SegmentFile, network: Network, *, whole: bool = False) -> Half | None:
    """Layers 1..p as a graph: from the input to the tensors that cross the cut. None where the cut is 0.

    Parameters
    ----------
    segment : of this network.
    network : the network that it was made from.
    whole : whether the device keeps what the network returns, instead of sending the last tensor.

    Raises
    ------
    InputError
        The segment is of another network, it has several inputs, or torch cannot write an operation.
    """
    DeviceSegment(segment, network)  # checks that they belong together
    _check_one(network)
    cut = segment.header.plan.cut
    if cut == 0:
        return None
    made = [i for i in network.crossing(cut) if i > 0]
    targets = [network.output_step] if whole else [network.exits[i] for i in made]
    half = _half(network, (0,), targets, [OUTPUT] if whole else [tensor_name(i) for i in made])
    biases = {f"bias.{number}": bias.cpu().numpy() for number, bias in segment.biases.items()}
    return replace(half, constants={name: biases[name] for name in half.constants if name in biases})


def server_half(segment: SegmentFile, network: Network) -> Half:
    """Layers p + 1..L as a graph: from the tensors that cross the cut to what the network returns.

    Parameters, errors
        As for `device_half`.
    """
    ServerSegment(segment, network)
    _check_one(network)
    return _half(network, network.crossing(segment.header.plan.cut), [network.output_step], [OUTPUT])


def _check_one(network: Network) -> None:
    if network.inputs.form != "one" or network.outputs is not None:
        raise InputError("network", "several inputs or outputs", "a network of one input and one output")


class _Steps(torch.nn.Module):
    """Some steps of a network on a batch of one, as a module.

    The exporter makes one constant of two that are equal, so each is filled with a number of its own; what belongs
    there is put in afterwards.
    """

    def __init__(self, network: Network, given: Sequence[int], targets: Sequence[int]) -> None:
        super().__init__()
        self.steps, self.given, self.targets = network.steps, list(given), list(targets)
        self.order = needed(self.steps, self.targets, self.given)
        first = {number: group[0] for group in network.shared for number in group}
        self.weight, self.bias = torch.nn.ParameterDict(), torch.nn.ParameterDict()
        self.leaders: dict[int, str] = {}
        for index in self.order:
            number = self.steps[index].layer
            if self.steps[index].weighted:
                self.leaders[number] = leader = str(first.get(number, number))
                if leader not in self.weight:  # filled again, its number would be the next one's too
                    self.weight[leader] = self._filled(network.weight(number))
                bias = network.bias(number)
                if bias is not None:
                    self.bias[str(number)] = self._filled(bias)

    def _filled(self, like: torch.Tensor) -> torch.nn.Parameter:
        number = float(len(self.weight) + len(self.bias) + 1)
        return torch.nn.Parameter(torch.full(like.shape, number), requires_grad=False)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values: dict[int, Any] = dict(zip(self.given, inputs, strict=True))

        def own(argument: object) -> object:
            return values[argument.step] if isinstance(argument, Ref) else argument

        for index in self.order:
            step = self.steps[index]
            arguments = replaced(step.arguments, own)
            if step.weighted:
                own_bias = str(step.layer)
                bias = self.bias[own_bias] if own_bias in self.bias else None  # noqa: SIM401  no mapping's get
                values[index] = step.function(*arguments, self.weight[self.leaders[step.layer]], bias)
            else:
                values[index] = step.function(*arguments, **replaced(dict(step.keywords), own))
        return tuple(values[index] for index in self.targets)


@torch.no_grad()
def _half(network: Network, reads: Sequence[int], targets: Sequence[int], names: Sequence[str]) -> Half:
    """The graph from some tensors to some steps."""
    network = network.to("cpu")
    used = read_by(network.steps, targets, [network.exits[i] for i in reads])
    there = [i for i in reads if network.exits[i] in used]
    module = _Steps(network, [network.exits[i] for i in there], targets).eval()
    try:
        with tempfile.TemporaryDirectory(prefix="qopt-") as folder, warnings.catch_warnings():
            path = os.path.join(folder, "half.onnx")
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                tuple(torch.zeros(example_shape(network, i)) for i in there),
                path,
                dynamo=False,
                opset_version=OPSET,
                do_constant_folding=False,
                input_names=[tensor_name(i) for i in there],
                output_names=list(names),
            )
            found = Path(path).read_bytes()
    except Exception as error:  # the exporter's errors share no class
        text = " ".join(str(error).split())[:160]
        raise InputError("network", f"an operation that torch cannot write as ONNX ({text})", "others") from None
    weights = {f"weight.{leader}": int(leader) for leader in module.weight}
    constants = {name: network.weight(number).detach().numpy() for name, number in weights.items()}
    for number in module.bias:
        bias = network.bias(int(number))
        assert bias is not None
        constants[f"bias.{number}"] = bias.detach().numpy()
    return Half(found, {tensor_name(i): i for i in there}, tuple(names), weights, constants)


def example_shape(network: Network, number: int) -> tuple[int, ...]:
    """Shape of tensor `number` on a batch of one, as the graphs have it.

    Parameters
    ----------
    number : 0 the input, 1..L.
    """
    return tuple(network.steps[network.exits[number]].shape or ())

"""How far the noise of tensors together is from the sum of what each adds alone: pairs, and one number for a network.

Eqs. 20-23 add noise up. To second order, quantizing a set S together adds

    N_S = sum over i in S of N_i  +  sum over pairs of I_ij,      I_ij = N_ij - N_i - N_j,

so measuring the pairs says how wrong the sum is for the tensors of a whole cut. The largest N_S over the sum of N_i, at
any cut and at any of a few widths that all tensors have, is the network's factor. Where a limit is to hold for plans
that calibration did not try, Delta is taken down by that factor (`qopt.measuring.calibration.calibrate`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from qopt.core.display import Brief, listed, number
from qopt.core.errors import InputError, shown
from qopt.measuring.arithmetic import plain_float32
from qopt.measuring.batches import Batches
from qopt.measuring.examples import Examples
from qopt.measuring.grids import Steps
from qopt.measuring.memory import default_memory
from qopt.measuring.network import Network, TensorName
from qopt.measuring.noise import QuantizedWeights
from qopt.measuring.plans import crossing_outputs
from qopt.measuring.progress import ProgressCallback, ignore_progress
from qopt.measuring.scores import squared_change
from qopt.measuring.sensitivity import Sensitivity

TRIED = (2, 4)
"""Widths at which pairs are measured by default: where plans end up, and where errors begin to be small."""

Quantized = frozenset[TensorName]


@dataclass(frozen=True, repr=False)
class Interaction(Brief):
    """Noise of pairs of tensors beside the sum of theirs.

    Attributes
    ----------
    factor : the largest of `by_cut`, at least 1.
    by_cut : (cut, width) -> noise of all tensors of the cut, to second order, over the sum of what each adds alone.
    pairs : (cut, width, one tensor, another) -> noise of both together over the sum; 1 where it is additive.
    examples : how many.
    """

    factor: float
    by_cut: dict[tuple[int, int], float]
    pairs: dict[tuple[int, int, TensorName, TensorName], float]
    examples: int

    def __str__(self) -> str:
        rows = [f"cut {cut}, {bits} bits: {number(ratio)} times the sum" for (cut, bits), ratio in self.by_cut.items()]
        return listed(f"joint noise at most {number(self.factor)} times the sum, {self.examples} examples", rows)


@plain_float32()
@torch.no_grad()
def joint_noise(
    network: Network,
    examples: Examples,
    found: Sensitivity,
    *,
    bits: Sequence[int] | None = None,
    memory: int | None = None,
    advance: ProgressCallback = ignore_progress,
) -> Interaction:
    """Measure every pair of tensors that a cut quantizes.

    Parameters
    ----------
    network, found : as measured: grids of the weights, ranges of the activations.
    examples : those of the coefficients, or some of them.
    bits : widths, each for all tensors at a time; by default those of 2 and 4 that were measured.
    memory : bytes that tensors may take, by default a share of what the device has free (see `default_memory`).
    advance : receives how far the work is.

    Returns
    -------
    Noise of each pair and of each cut over the sum of what tensors add alone, and the largest of the cuts' ratios.

    Raises
    ------
    InputError
        A width that was not measured, or none.
    """
    bits = [b for b in TRIED if b in found.bits] or [int(found.bits[-1])] if bits is None else list(bits)
    if not bits or any(b not in found.bits for b in bits):
        raise InputError("bits", shown(bits), f"measured widths, {found.bits[0]} to {found.bits[-1]}")
    memory = default_memory(network.device) if memory is None else memory
    runs = _Runs(network, examples, found, len(bits), memory)
    cuts = range(1, len(network) + 1)
    by_cut, pairs = {}, {}
    for done, (cut, width) in enumerate(itertools.product(cuts, bits), start=1):
        tensors = _quantized_at(network, cut)
        alone = {tensor: runs.noise(cut, width, frozenset((tensor,))) for tensor in tensors}
        total = math.fsum(alone.values())
        beyond = 0.0
        for one, other in itertools.combinations(tensors, 2):
            both, apart = runs.noise(cut, width, frozenset((one, other))), alone[one] + alone[other]
            pairs[cut, width, one, other] = both / apart if apart else 1.0
            beyond += both - apart
        by_cut[cut, width] = (total + beyond) / total if total else 1.0
        advance("joint noise", done, len(cuts) * len(bits))
    return Interaction(max(1.0, *by_cut.values()), by_cut, pairs, len(examples))


def _quantized_at(network: Network, cut: int) -> list[TensorName]:
    """Tensors that a plan with this cut quantizes; a weight that layers share stands once, with the first of them."""
    again = {layer for group in network.shared for layer in group[1:]}
    layers = [layer for layer in network.layers[:cut] if layer.parameters and layer.number not in again]
    return [TensorName("weight", layer.number) for layer in layers] + [
        TensorName("activation", i) for i in crossing_outputs(network, cut)
    ]


class _Runs:
    """Mean squared change of the outputs with some tensors quantized, measured once each."""

    def __init__(self, network: Network, examples: Examples, found: Sensitivity, widths: int, memory: int) -> None:
        self._network, self._found = network, found
        self._batches = Batches(network, examples, 1, memory)
        self._weights = QuantizedWeights(network, found.grid, widths, memory // 4)
        self._leader = {layer: group[0] for group in network.shared for layer in group}
        self._known: dict[tuple[int, int, Quantized], float] = {}

    def noise(self, cut: int, bits: int, tensors: Quantized) -> float:
        """Weights alone add the same noise at every cut behind them."""
        if all(tensor.kind == "weight" for tensor in tensors):
            cut = max(self._last_use(tensor.layer, cut) for tensor in tensors)
        key = cut, bits, tensors
        if key not in self._known:
            parts = [squared_change(self._run(batch.values, *key)[None], batch.outputs)[0] for batch in self._batches]
            self._known[key] = float(np.concatenate(parts).mean())
        return self._known[key]

    def _last_use(self, layer: int, cut: int) -> int:
        users = next((group for group in self._network.shared if layer in group), (layer,))
        return max(user for user in users if user <= cut)

    def _run(self, known: Sequence[torch.Tensor], cut: int, bits: int, tensors: Quantized) -> torch.Tensor:
        network, found = self._network, self._found
        weights = {tensor.layer for tensor in tensors if tensor.kind == "weight"}
        changed = [n for n in range(1, cut + 1) if self._leader.get(n, n) in weights]
        first = min(changed, default=cut + 1)
        values = dict(enumerate(known[:first]))
        for layer in range(first, cut + 1):
            weight = self._weights.at(layer, bits) if layer in changed else None
            product = network.product(layer, values, weight=weight)
            values[layer] = network.finish(layer, product, values)
        crossing = {i: values[i] for i in network.crossing(cut)}
        for tensor in tensors:
            if tensor.kind == "activation":
                span = found.range_of(tensor.layer, bits)
                steps = Steps.on(span, bits, found.activation_grid, network.device)
                crossing[tensor.layer] = steps.values(crossing[tensor.layer])
        return network.resume(crossing, cut)

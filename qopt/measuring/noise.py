"""Noise that quantizing one tensor adds to what the network returns: N_i(b) of Eqs. 18-19, example by example."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

import numpy as np
import torch

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.errors import InputError
from qopt.core.shard import Shard
from qopt.measuring.batches import Batch, Batches
from qopt.measuring.checkpoint import Arrays, Checkpoint
from qopt.measuring.grids import Grid, Range, Steps
from qopt.measuring.network import Network, TensorName
from qopt.measuring.parallel import run_all
from qopt.measuring.progress import ProgressCallback, ignore_progress
from qopt.measuring.scores import Margin, Score, check_finite, scored, squared_change
from qopt.measuring.shards import order
from qopt.measuring.variants import outputs_with_products, outputs_with_tensors, tensor_names

LAW_BITS = range(4, 11)
"""Widths that s is fitted on: below, the law does not hold; above, float32 rounding shows."""

SAMPLE = 2**18
"""Entries of an activation, evenly spaced, that its clipped range is fitted to."""


def unit_name(stage: str, tensor: TensorName, batch: int) -> str:
    """Name of a unit of work in a checkpoint."""
    return f"{stage}-{tensor.kind}-{tensor.layer:03d}-batch-{batch:05d}"


@dataclass(frozen=True, repr=False)
class Reference(Brief):
    """The unquantized network on the examples.

    Attributes
    ----------
    margin : (n,) squared norm of a change that matters; by default ``||sigma*||^2``.
    score : (n,).
    ranges : for each layer, the range of its activation at each width.
    spans : for each layer, smallest and largest entry of its activation.
    """

    margin: FloatArray
    score: FloatArray
    ranges: tuple[tuple[Range, ...], ...]
    spans: tuple[Range, ...]


def reference(
    batches: Batches,
    bits: Sequence[int],
    grid: Grid,
    score: Score,
    margin: Margin,
    checkpoint: Checkpoint,
    shard: Shard | None = None,
) -> Reference:
    """Run the network as it is: scores, margins, and the ranges on which its activations will be quantized.

    A range is fixed here, once: what lies outside on other data is clipped, and a device needs no pass over its output,
    nor numbers beside the codes, to quantize it. Clipped ranges are fitted to evenly spaced entries.

    Parameters
    ----------
    bits, grid : widths, and the per-tensor grid of the activations.
    shard : which of several processes with one checkpoint this is: it begins with its own share of the batches.
    """
    layers = batches.network.layers
    total = len(batches.examples)
    stride = [-(-total * layer.size // SAMPLE) | 1 for layer in layers]  # odd: no multiple of a layer's even width

    def measured(batch: Batch) -> Arrays:
        check_finite(batch.outputs, batch.first)
        found = {"margin": margin(batch.outputs).double().numpy(force=True)}
        found["score"] = scored(score, batch.outputs[None], batch.labels)[0]
        for layer, tensor, every in zip(layers, batch.values[1:], stride, strict=True):
            span = Range.of(tensor)
            found[f"ends-{layer.number}"] = np.array([[span.low], [span.high]])
            if grid.clip == "mse":
                start = -batch.first * layer.size % every
                found[f"sample-{layer.number}"] = tensor.flatten()[start::every].numpy(force=True)
        return found

    turns = order(shard or Shard(1, 1), len(batches))
    units = [partial(checkpoint.unit, f"reference-batch-{i:05d}", partial(batches.run, i, measured)) for i in turns]
    by_batch = dict(zip(turns, run_all(units, batches.workers), strict=True))
    parts = [by_batch[i] for i in range(len(batches))]

    def fitted(number: int) -> tuple[Range, tuple[Range, ...]]:
        ends = np.concatenate([part[f"ends-{number}"] for part in parts], axis=1)
        span = Range(float(ends[0].min()), float(ends[1].max()))
        if grid.clip == "minmax":
            return span, (span,) * len(bits)
        sample = np.concatenate([[span.low, span.high], *(part[f"sample-{number}"] for part in parts)])
        entries = torch.from_numpy(sample.astype(np.float32))
        return span, tuple(Range.best(entries, b, grid) for b in bits)

    found = run_all([partial(fitted, layer.number) for layer in layers], batches.workers)
    margins = np.concatenate([part["margin"] for part in parts])
    scores = np.concatenate([part["score"] for part in parts])
    return Reference(margins, scores, tuple(ranges for _, ranges in found), tuple(span for span, _ in found))


class QuantizedWeights:
    """The weights of a network as a device has them, at any width: grids are kept, values too where they fit.

    Threads may ask at a time.

    Parameters
    ----------
    network, grid : whose weights, and how they are quantized.
    widths : how many widths will be asked for, at most.
    memory : bytes for the values.
    """

    def __init__(self, network: Network, grid: Grid, widths: int, memory: int) -> None:
        self._network, self._grid = network, grid
        self._keeps = 4 * widths * sum(layer.parameters for layer in network.layers) <= memory
        self._steps: dict[tuple[int, int], Steps] = {}
        self._values: dict[tuple[int, int], torch.Tensor] = {}
        self._lock = Lock()

    def drop(self) -> None:
        """Let go of the values, and keep none from now on."""
        with self._lock:
            self._keeps = False
            self._values.clear()

    def at(self, number: int, bits: int) -> torch.Tensor:
        """What the device computes with, for layer l at a width."""
        key = number, bits
        weight = self._network.weight(number)
        with self._lock:
            if key in self._values:
                return self._values[key]
            if key not in self._steps:
                self._steps[key] = Steps.of(weight, bits, self._grid)
            values = self._steps[key].values(weight)
            if self._keeps:
                self._values[key] = values
            return values


def noise_tables(
    batches: Batches,
    bits: Sequence[int],
    grid: Grid,
    activation_grid: Grid,
    found: Reference,
    score: Score,
    checkpoint: Checkpoint,
    advance: ProgressCallback = ignore_progress,
    names: Sequence[TensorName] | None = None,
) -> dict[TensorName, tuple[FloatArray, FloatArray]]:
    """For each tensor (k, n) ``||Z_q - Z||^2`` with only that tensor quantized, and (k, n) the scores.

    Parameters
    ----------
    bits : (k,) widths.
    grid, activation_grid : of the weights and of the activations.
    found : ranges of the activations.
    names : of which tensors; by default of all.
    """
    network = batches.network
    weights = QuantizedWeights(network, grid, len(bits), batches.memory // 4)
    batches.when_exhausted(weights.drop)
    names = tensor_names(network) if names is None else names
    steps = {
        number: [Steps.on(span, b, activation_grid, network.device) for b, span in zip(bits, ranges, strict=True)]
        for number, ranges in enumerate(found.ranges, start=1)
    }

    def measured(tensor: TensorName, batch: Batch) -> Arrays:
        number, values = tensor.layer, batch.values
        given = dict(enumerate(values[:number]))
        parts = []
        for first in range(0, len(bits), batches.at_once):
            some = range(len(bits))[first : first + batches.at_once]
            if tensor.kind == "weight":
                quantized = (weights.at(number, bits[i]) for i in some)
                products = torch.stack([network.product(number, given, weight=weight) for weight in quantized])
                outputs = outputs_with_products(network, number, values, products)
            else:
                changed = torch.stack([steps[number][i].values(values[number]) for i in some])
                outputs = outputs_with_tensors(network, number, values, changed)
            parts.append((squared_change(outputs, batch.outputs), scored(score, outputs, batch.labels)))
        noise, scores = map(np.concatenate, zip(*parts, strict=True))
        return {"noise": noise, "score": scores}

    def job(index: int, tensor: TensorName) -> Callable[[], Arrays]:
        work = partial(batches.run, index, partial(measured, tensor))
        return partial(checkpoint.unit, unit_name("table", tensor, index), work)

    jobs = [job(index, tensor) for index in range(len(batches)) for tensor in names]
    units = run_all(jobs, batches.workers, lambda done: advance("noise tables", done, len(jobs)))
    return {
        tensor: (
            np.concatenate([unit["noise"] for unit in units[i :: len(names)]], axis=1),
            np.concatenate([unit["score"] for unit in units[i :: len(names)]], axis=1),
        )
        for i, tensor in enumerate(names)
    }


@dataclass(frozen=True)
class Law:
    """N(b) = s 4^-b fitted to one row of the table.

    Attributes
    ----------
    s : median of ``N(b) 4^b`` over the widths of the fit.
    error : largest ``|log2(N(b) / (s 4^-b))|`` over those widths: 1 is a factor of two.
    """

    s: float
    error: float


def law_columns(bits: Sequence[int], over: Sequence[int] = LAW_BITS) -> list[int]:
    """Columns of the table that the law is fitted on."""
    used = [i for i, b in enumerate(bits) if b in over]
    if not used:
        raise InputError("bits", str(list(bits)), f"at least one width of {list(over)}")
    return used


def fit_law(bits: Sequence[int], noise: FloatArray, over: Sequence[int] = LAW_BITS) -> Law:
    """The coefficient s of Eqs. 18-19 and how far the law is from what was measured.

    Parameters
    ----------
    bits : (k,) widths of the row.
    noise : (k,) measured N(b).
    over : widths that the fit uses, those of them that the row has.
    """
    scaled = np.array([math.ldexp(float(noise[i]), 2 * bits[i]) for i in law_columns(bits, over)])
    s = float(np.median(scaled))
    if s == 0.0:
        return Law(0.0, 0.0 if not scaled.any() else math.inf)
    with np.errstate(divide="ignore"):
        return Law(s, float(np.max(np.abs(np.log2(scaled / s)))))

"""Running a plan: the device's layers with the weights it got, what crosses the cut quantized, the server's layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

import numpy as np
import torch

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.measuring.arithmetic import plain_float32
from qopt.measuring.batches import Batch, Batches
from qopt.measuring.checkpoint import Arrays
from qopt.measuring.examples import Examples
from qopt.measuring.grids import Steps
from qopt.measuring.intervals import Estimate
from qopt.measuring.losses import paired_loss
from qopt.measuring.memory import default_memory
from qopt.measuring.network import Network
from qopt.measuring.noise import QuantizedWeights
from qopt.measuring.parallel import run_all
from qopt.measuring.scores import Score, correct, is_bounded, of_outputs, scored, squared_change
from qopt.measuring.sensitivity import Sensitivity
from qopt.qpart.plan import QPartPlan


@dataclass(frozen=True, repr=False)
class Widths(Brief):
    """A plan of whole bits.

    Attributes
    ----------
    weights : (p,) widths of the weights of layers 1..p; a product of activations has one that means nothing.
    activations : a width for each output that crosses the cut, ascending.
    """

    weights: tuple[int, ...]
    activations: tuple[int, ...]

    @classmethod
    def of(cls, plan: QPartPlan) -> Widths:
        """The widths of a plan of whole bits.

        Raises
        ------
        InputError
            The bits of the plan are real.
        """
        if plan.bits != "whole":
            raise InputError("plan.bits", plan.bits, "whole: bits that can be sent")
        return cls(tuple(map(int, plan.weights)), tuple(map(int, plan.activations)))

    @property
    def cut(self) -> int:
        """p."""
        return len(self.weights)

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.weights))} | {' '.join(map(str, self.activations))}"


def crossing_outputs(network: Network, cut: int) -> tuple[int, ...]:
    """Layers whose outputs cross a cut; the raw input, if it crosses too, goes as it is.

    Parameters
    ----------
    cut : p.
    """
    return tuple(i for i in network.crossing(cut) if i > 0)


class PlanRunner:
    """Plans on one set of examples; plans that begin with the same widths share what they have in common.

    Parameters
    ----------
    network, examples : what is run on what.
    found : grids of the weights, ranges of the activations.
    score : of each example.
    memory : bytes that tensors may take; by default what the device has.

    Attributes
    ----------
    bounded : whether the scores lie in [0, 1].
    """

    def __init__(
        self,
        network: Network,
        examples: Examples,
        found: Sensitivity,
        *,
        score: Score = correct,
        memory: int | None = None,
    ) -> None:
        memory = default_memory(network.device) if memory is None else memory
        self._network, self._found, self._score = network, found, of_outputs(score, network.outputs)
        self.bounded = is_bounded(score)
        self._batches = Batches(network, examples, 1, memory // 2)
        self._weights = QuantizedWeights(network, found.grid, len(found.bits), memory // 4)
        self._budget, self._held = memory // 4, 0
        self._prefixes: OrderedDict[tuple[int, int, tuple[int, ...]], dict[int, torch.Tensor]] = OrderedDict()
        self._reference: FloatArray | None = None
        self._lock = Lock()
        for drop in (self._weights.drop, self._drop):
            self._batches.when_exhausted(drop)

    @property
    def reference(self) -> FloatArray:
        """(n,) scores of the unquantized network."""
        if self._reference is None:
            with plain_float32(), torch.no_grad():
                parts = [self._batches.run(i, self._scored) for i in range(len(self._batches))]
            self._reference = np.concatenate([x["score"] for x in parts])
        return self._reference

    def _scored(self, batch: Batch) -> Arrays:
        return {"score": scored(self._score, batch.outputs[None], batch.labels)[0]}

    @plain_float32()
    @torch.no_grad()
    def run(self, plan: Widths) -> tuple[FloatArray, FloatArray]:
        """(n,) scores behind the plan's cut, and (n,) ``||Z' - Z||^2`` that it adds to the outputs.

        Raises
        ------
        InputError
            Widths that were not measured, or that do not fit the cut.
        """
        crossing = crossing_outputs(self._network, plan.cut)
        if not 1 <= plan.cut <= len(self._network) or len(plan.activations) != len(crossing):
            raise InputError("plan", shown(str(plan)), f"a cut from 1 on with {len(crossing)} outputs that cross it")
        steps = {
            i: Steps.on(self._found.range_of(i, b), b, self._found.activation_grid, self._network.device)
            for i, b in zip(crossing, plan.activations, strict=True)
        }
        work = partial(self._run, plan, steps)
        jobs = [partial(self._batches.run, index, work) for index in range(len(self._batches))]
        parts = run_all(jobs, self._batches.workers)
        return np.concatenate([x["score"] for x in parts]), np.concatenate([x["noise"] for x in parts])

    def _run(self, plan: Widths, steps: Mapping[int, Steps], batch: Batch) -> Arrays:
        """Scores and changes of one batch."""
        values = dict(self._device(batch, plan.weights))
        for i, grid in steps.items():
            values[i] = grid.values(values[i])
        outputs = self._network.resume(values, plan.cut)[None]
        score, noise = scored(self._score, outputs, batch.labels)[0], squared_change(outputs, batch.outputs)[0]
        return {"score": score, "noise": noise}

    def loss(self, plan: Widths, *, seed: int = 0) -> Estimate:
        """Mean score that a plan loses, with its paired 95 % interval; `seed` is that of any resampling."""
        return paired_loss(self.reference, self.run(plan)[0], seed=seed, bounded=self.bounded)

    def _device(self, batch: Batch, widths: Sequence[int]) -> dict[int, torch.Tensor]:
        """What crosses the cut behind the layers whose weights have these widths, before it is quantized."""
        if not widths:
            return {0: batch.values[0]}
        key = batch.first, len(batch), tuple(widths)
        with self._lock:
            if key in self._prefixes:
                self._prefixes.move_to_end(key)
                return self._prefixes[key]
        number = len(widths)
        values = dict(self._device(batch, widths[:-1]))
        layer = self._network.layers[number - 1]
        weight = self._weights.at(number, widths[-1]) if layer.parameters else None
        product = self._network.product(number, values, weight=weight)
        values[number] = self._network.finish(number, product, values)
        found = {i: values[i] for i in self._network.crossing(number)}
        self._hold(key, found)
        return found

    def _drop(self) -> None:
        """Let go of what plans share, and keep less of it from now on."""
        with self._lock:
            self._prefixes.clear()
            self._held, self._budget = 0, self._budget // 2

    def _hold(self, key: tuple[int, int, tuple[int, ...]], found: dict[int, torch.Tensor]) -> None:
        """Keep tensors for the next plan; what was used longest ago goes first."""
        with self._lock:
            self._prefixes[key] = found
            self._held += _bytes(found)
            while self._held > self._budget:
                self._held -= _bytes(self._prefixes.popitem(last=False)[1])


def _bytes(tensors: dict[int, torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())

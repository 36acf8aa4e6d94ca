"""rho_i(a): how much noise on the logits, coming from tensor i, costs an accuracy level (Eqs. 20-22)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.measuring.arithmetic import tf32
from qopt.measuring.batches import Batch, Batches
from qopt.measuring.checkpoint import Arrays, Checkpoint
from qopt.measuring.directions import SEEDS, uniform
from qopt.measuring.examples import Examples
from qopt.measuring.grids import Grid, lengths
from qopt.measuring.network import Network, TensorName
from qopt.measuring.noise import Reference, unit_name
from qopt.measuring.parallel import run_all
from qopt.measuring.progress import ProgressCallback, ignore_progress
from qopt.measuring.scores import Score, scored, squared_change
from qopt.measuring.variants import outputs_with_products, outputs_with_tensors, tensor_names
from qopt.qpart.problem import SAME_LEVEL

SCALES_PER_OCTAVE = 8
"""Scales of noise lie on a grid of ratio 2^(1/8); step k is the scale 2^(k/8)."""

FIRST, LAST, LEAST = -8 * SCALES_PER_OCTAVE, 4 * SCALES_PER_OCTAVE, -24 * SCALES_PER_OCTAVE
"""Steps searched first, from 1/256 of a tensor's range to 16 times its range, and the least one ever tried."""

PILOT = 1000
"""Examples, evenly spaced, on which the search starts, or a quarter of them if that is less."""

FAR_BELOW = 100
"""The pilot multiplies in TF32 where its error is so many times below the change that matters, ``||sigma*||^2``."""

TOO_FEW = 250
"""A pilot of fewer examples says too little to be worth its work."""

MARGIN = 3
"""Steps beyond the highest level at which noise is tried too, for the interval of its rho."""


@dataclass(repr=False)
class Trials(Brief):
    """What noise of several scales does to one tensor's examples: step -> (n,) squared change and score.

    Both are means over the directions of noise.
    """

    noise: dict[int, FloatArray] = field(default_factory=dict)
    score: dict[int, FloatArray] = field(default_factory=dict)

    @property
    def steps(self) -> list[int]:
        """Steps tried, ascending."""
        return sorted(self.noise)

    def lost(self, reference: FloatArray) -> dict[int, float]:
        """Mean score lost at each step, to be compared with a level."""
        return {k: float(np.mean(reference - self.score[k])) for k in self.steps}

    def reached(self, reference: FloatArray, level: float) -> int | None:
        """The smallest step tried that costs a level; None where none does."""
        return next((k for k, lost in self.lost(reference).items() if costs(lost, level)), None)


def costs(lost: float | FloatArray, level: float) -> Any:
    """Whether a loss, or each of an array of losses, reaches a level, up to rounding."""
    return lost >= level * (1.0 - SAME_LEVEL)


def next_steps(lost: dict[int, float], levels: Sequence[float]) -> set[int]:
    """Steps to try next, so that every level has a step that costs it, the one before it not.

    Beyond what was tried the steps double. Between a step that costs the level and the last one before it that does
    not, the loss is interpolated, in logarithms of both; the two steps about the crossing are next.

    Parameters
    ----------
    lost : step -> loss, of the steps tried so far, at least one.
    levels : accuracy levels.
    """
    wanted = set()
    for level in levels:
        top = min((k for k, x in lost.items() if costs(x, level)), default=None)
        if top is None:
            last = max(lost)
            before = max((k for k in lost if k < last), default=last - 1)
            wanted.add(min(LAST, last + 2 * (last - before)))
            continue
        below = max((k for k in lost if k < top), default=None)
        if below is None:
            after = min((k for k in lost if k > top), default=top + 1)
            wanted.add(max(LEAST, top - 2 * (after - top)))
        elif top - below > 1:
            share = 0.5
            if 0.0 < lost[below] < lost[top]:
                share = math.log(level / lost[below]) / math.log(lost[top] / lost[below])
            crossing = min(max(math.ceil(below + share * (top - below)), below + 1), top)
            wanted |= {k for k in (crossing - 1, crossing) if below < k < top}
    return wanted - lost.keys()


def noise_trials(
    batches: Batches,
    grid: Grid,
    found: Reference,
    levels: Sequence[float],
    score: Score,
    seed: int,
    checkpoint: Checkpoint,
    variants: int,
    advance: ProgressCallback = ignore_progress,
    names: Sequence[TensorName] | None = None,
) -> dict[TensorName, Trials]:
    """Noise on each tensor at the scales around which the accuracy falls by each level.

    The noise is ``scale * range * u`` with u uniform in (-1, 1), the same direction at every scale; where the grid is
    one for each channel or group, so is the range. Instead of every scale, octaves (every other one, where there is a
    pilot) are tried on some of the examples,
    then steps by interpolation, first there, then on all: accuracy is nearly monotone along a direction, and all levels
    share what was tried. What is found is a scale that costs the level while the next smaller one does not; where
    accuracy rises again with more noise, a still smaller scale could cost it too.

    A weight enters its product linearly, and so does an activation that nothing else reads the next layer's: one
    product with the direction serves every scale. A recurrent layer's weight does not: it has a product a scale.

    Parameters
    ----------
    grid : of the weights.
    found : the network without noise.
    levels : accuracy levels.
    seed : of the directions; there are three.
    variants : batches of noise run at once.
    names : on which tensors; by default on all.
    """
    every = _pilot_spacing(len(batches.examples))
    octaves = set(range(FIRST, LAST + 1, SCALES_PER_OCTAVE if every == 1 else 2 * SCALES_PER_OCTAVE))
    start = dict.fromkeys(tensor_names(batches.network) if names is None else names, octaves)
    if every == 1:
        search = _Search(batches, grid, found, score, seed)
        return search.run("pilot", start, found.score, levels, checkpoint, advance)
    start = _pilot(batches, start, every, grid, found, levels, score, seed, checkpoint, variants, advance)
    search = _Search(batches, grid, found, score, seed)
    return search.run("noise", start, found.score, levels, checkpoint, advance)


def _pilot(
    batches: Batches,
    octaves: dict[TensorName, set[int]],
    every: int,
    grid: Grid,
    found: Reference,
    levels: Sequence[float],
    score: Score,
    seed: int,
    checkpoint: Checkpoint,
    variants: int,
    advance: ProgressCallback,
) -> dict[TensorName, set[int]]:
    """Steps to start with on all examples, from a search on some; only they come from it, so TF32 serves if it can."""
    some = Examples(batches.examples.x[::every], batches.examples.labels[::every])
    few = Batches(batches.network, some, variants, batches.memory, keep=False, size=batches.size)
    reference = found.score[::every]
    with tf32(tf32_error(few) * FAR_BELOW <= float(found.margin.mean())):
        search = _Search(few, grid, found, score, seed)
        guessed = search.run("pilot", octaves, reference, levels, checkpoint, advance)
    start = {}
    for tensor, trials in guessed.items():
        tops = [trials.reached(reference, level) for level in levels]
        start[tensor] = {LAST if top is None else top for top in tops}
        start[tensor].add(min(max(start[tensor]) + MARGIN, LAST))
    return start


def tf32_error(batches: Batches) -> float:
    """Mean ``||Z' - Z||^2`` that TF32 alone causes, on the first batch: what it is used for must be far above.

    Infinite on a device that has no TF32.
    """
    if batches.network.device.type != "cuda":
        return math.inf

    def compared(batch: Batch) -> Arrays:
        with tf32():
            outputs = batches.network(batch.values[0])
        return {"error": squared_change(outputs[None], batch.outputs)[0]}

    return float(batches.run(0, compared)["error"].mean())


class _Search:
    """Rounds of trials on one set of examples until every level is bracketed by neighbouring scales."""

    def __init__(self, batches: Batches, grid: Grid, found: Reference, score: Score, seed: int) -> None:
        self._batches, self._score = batches, score
        self._grid, self._spans = grid, found.spans
        self._seeds = [SEEDS * seed + i for i in range(SEEDS)]
        self._keeps = _lines_bytes(batches) <= batches.memory // 4
        self._kept: dict[tuple[TensorName, int, int], tuple[torch.Tensor, torch.Tensor]] = {}
        batches.when_exhausted(self._drop)

    def run(
        self,
        stage: str,
        start: dict[TensorName, set[int]],
        reference: FloatArray,
        levels: Sequence[float],
        checkpoint: Checkpoint,
        advance: ProgressCallback,
    ) -> dict[TensorName, Trials]:
        """Trials of each tensor, from the steps to start with."""
        found: dict[TensorName, Trials] = {tensor: Trials() for tensor in start}
        pending, number = start, 0
        while pending:
            jobs = [
                self._job(f"{stage}-{number}", index, tensor, sorted(steps), checkpoint)
                for index in range(len(self._batches))
                for tensor, steps in pending.items()
            ]
            shown = partial(_advanced, advance, f"{stage}, round {number + 1}", len(jobs))
            units = run_all(jobs, self._batches.workers, shown)
            for i, (tensor, steps) in enumerate(pending.items()):
                for row, k in enumerate(sorted(steps)):
                    own = units[i :: len(pending)]
                    found[tensor].noise[k] = np.concatenate([unit["noise"][row] for unit in own])
                    found[tensor].score[k] = np.concatenate([unit["score"][row] for unit in own])
            wanted = {tensor: next_steps(found[tensor].lost(reference), levels) for tensor in start}
            pending, number = {tensor: steps for tensor, steps in wanted.items() if steps}, number + 1
        return found

    def _job(
        self, stage: str, index: int, tensor: TensorName, steps: list[int], checkpoint: Checkpoint
    ) -> Callable[[], Arrays]:
        """What one unit of work is: some steps for one tensor on one batch."""
        work = partial(self._batches.run, index, partial(self._measured, tensor, steps))
        return partial(checkpoint.unit, unit_name(stage, tensor, index), work)

    def _measured(self, tensor: TensorName, steps: list[int], batch: Batch) -> Arrays:
        """(steps, n) squared change and score of a batch, means over the directions."""
        noise, score = np.zeros((len(steps), len(batch))), np.zeros((len(steps), len(batch)))
        network = self._batches.network
        number, run = _added_to(network, tensor)
        base, directions = self._lines(tensor, batch)
        at_once = max(1, self._batches.at_once // SEEDS)
        for first in range(0, len(steps), at_once):
            part = steps[first : first + at_once]
            changed = directions.new_empty(len(part), *directions.shape)
            for k, noisy in zip(part, changed, strict=True):
                torch.add(base, directions, alpha=2.0 ** (k / SCALES_PER_OCTAVE), out=noisy)
            variants = changed.flatten(0, 1)
            if tensor.kind == "weight" and not network.is_linear_in_weight(number):
                given = dict(enumerate(batch.values[:number]))
                variants = torch.stack([network.product(number, given, weight=noisy) for noisy in variants])
            outputs = run(network, number, batch.values, variants)
            rows = slice(first, first + len(part))
            shape = (len(part), SEEDS, len(batch))
            noise[rows] = squared_change(outputs, batch.outputs).reshape(shape).mean(axis=1)
            score[rows] = scored(self._score, outputs, batch.labels).reshape(shape).mean(axis=1)
        return {"noise": noise, "score": score}

    def _lines(self, tensor: TensorName, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """What noise is added to, (n, ...), and noise of scale 1 along each direction there, (directions, n, ...).

        For the weight of a recurrent layer it is the weight itself.
        """
        key = tensor, batch.first, len(batch)
        if key in self._kept:
            return self._kept[key]
        network, number, values = self._batches.network, tensor.layer, batch.values
        place, run = _added_to(network, tensor)
        given = dict(enumerate(values[:place]))
        if tensor.kind == "weight":
            weight = network.weight(number)
            length = lengths(weight, self._grid)
            weights = [length * self._uniform(tensor, s, 0, 1, weight)[0] for s in self._seeds]
            if not network.is_linear_in_weight(number):
                return weight, torch.stack(weights)
            noises = [network.product(number, given, weight=noise, bias=False) for noise in weights]
        else:
            span, one = self._spans[number - 1].length, values[number][0]
            noises = [self._uniform(tensor, s, batch.first, len(batch), one).mul_(span) for s in self._seeds]
            if place > number:
                noises = [network.product(place, {**given, number: noise}, bias=False) for noise in noises]
        base = network.product(place, given) if run is outputs_with_products else values[number]
        found = base, torch.stack(noises)
        if self._keeps:
            self._kept[key] = found
        return found

    def _drop(self) -> None:
        """Let go of the lines, and keep none from now on."""
        self._keeps = False
        self._kept.clear()

    @staticmethod
    def _uniform(tensor: TensorName, seed: int, first: int, count: int, like: torch.Tensor) -> torch.Tensor:
        return uniform(tensor, seed, first, count, like.shape, like.device)


def _added_to(network: Network, tensor: TensorName) -> tuple[int, Callable[..., torch.Tensor]]:
    """The layer where noise on a tensor is added, to its product or to what leaves it, and what runs on from there."""
    number = tensor.layer
    if tensor.kind == "weight":
        return number, outputs_with_products
    return (number + 1, outputs_with_products) if network.is_read_linearly(number) else (number, outputs_with_tensors)


def _pilot_spacing(count: int) -> int:
    """Every how many examples the search starts on; 1: on all of them, at once."""
    pilot = min(PILOT, count // 4)
    return count // pilot if pilot >= TOO_FEW else 1


def _lines_bytes(batches: Batches) -> int:
    """Bytes of every tensor's lines on all examples: three directions, and a weight's product without noise."""
    return 4 * len(batches.examples) * sum((2 * SEEDS + 1) * layer.size for layer in batches.network.layers)


def _advanced(advance: ProgressCallback, what: str, total: int, done: int) -> None:
    advance(what, done, total)

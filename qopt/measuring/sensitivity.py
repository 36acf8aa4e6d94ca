"""How much noise each tensor's quantization adds, and how much the accuracy bears, with intervals (Eqs. 18-22).

One set of examples, used for nothing else: it gives sigma*, the noise table N_i(b), the coefficient s_i of the law, the
robustness rho_i(a) at every level, and the ranges of the activations.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qopt.core.arguments import is_number, is_whole
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief, listed, number
from qopt.core.errors import InputError, shown
from qopt.core.files import write_text
from qopt.core.shard import Shard
from qopt.measuring import fingerprint
from qopt.measuring.arithmetic import plain_float32
from qopt.measuring.batches import Batches
from qopt.measuring.checkpoint import Checkpoint, made_from
from qopt.measuring.estimates import TensorSensitivity, estimated
from qopt.measuring.examples import Examples
from qopt.measuring.grids import MAX_BITS, Grid, Range
from qopt.measuring.intervals import Estimate, Resamples
from qopt.measuring.network import Network, TensorName
from qopt.measuring.noise import law_columns, noise_tables, reference
from qopt.measuring.parallel import run_all
from qopt.measuring.progress import LineCallback, ProgressCallback, ignore_line, ignore_progress
from qopt.measuring.robustness import noise_trials
from qopt.measuring.scores import (
    Margin,
    Score,
    adversarial_margin,
    chance,
    classes_of,
    correct,
    of_outputs,
    qualified_name,
)
from qopt.measuring.shards import tensors_of
from qopt.measuring.variants import tensor_names
from qopt.qpart.problem import SAME_LEVEL

WIDTHS = range(1, MAX_BITS + 1)
"""Widths of the table by default."""

FORMAT = "qopt/sensitivity"


@dataclass(frozen=True, repr=False)
class Sensitivity(Brief):
    """Coefficients measured on one set of data.

    Attributes
    ----------
    natural : mean ``||sigma*||^2`` (or of the margin that was given).
    score : mean score of the unquantized network.
    bits : (k,) widths of the tables.
    levels : list of accuracy levels a, ascending.
    grid, activation_grid : how weights and activations are quantized.
    tensors : what was measured of each tensor.
    ranges : for each layer, the range of its activation at each width: calibration, test and device use it too.
    examples, seed : how many examples, and the seed of noise and intervals.
    fingerprint : digests of the weights and of the data, and the grids; None in files of earlier versions.
    """

    natural: Estimate
    score: float
    bits: IntArray
    levels: tuple[float, ...]
    grid: Grid
    activation_grid: Grid
    tensors: dict[TensorName, TensorSensitivity]
    ranges: tuple[tuple[Range, ...], ...]
    examples: int
    seed: int
    fingerprint: dict[str, Any] | None = None

    def __str__(self) -> str:
        rows = [f"{tensor}: {found}" for tensor, found in self.tensors.items()]
        how = f"{self.bits[0]} to {self.bits[-1]} bits, {self.examples} examples, score {number(self.score, 4)}"
        return listed(f"sensitivity of {len(rows)} tensors, {how}", rows)

    def terms(self, tensor: TensorName, level: float) -> FloatArray:
        """(k,) N_i(b) / rho_i(a); zero where the level is never lost."""
        found = self.tensors[tensor]
        return found.noise / found.rho[self.row(level)].value

    def row(self, level: float) -> int:
        """Number of a level, from 0.

        Raises
        ------
        InputError
            A level that was not measured.
        """
        for row, known in enumerate(self.levels):
            if math.isclose(known, level, rel_tol=SAME_LEVEL):
                return row
        raise InputError("level", shown(level), "one of " + ", ".join(f"{a:g}" for a in self.levels))

    def range_of(self, layer: int, bits: int) -> Range:
        """The range that the activation of a layer is quantized on at a width of `bits`.

        Raises
        ------
        InputError
            A width that was not measured.
        """
        if bits not in self.bits:
            raise InputError("bits", shown(bits), f"a measured width, {self.bits[0]} to {self.bits[-1]}")
        return self.ranges[layer - 1][int(bits - self.bits[0])]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; infinite figures as None."""
        return {
            "format": FORMAT,
            "version": 1,
            "natural": _plain(self.natural),
            "score": self.score,
            "bits": self.bits.tolist(),
            "levels": list(self.levels),
            "grid": str(self.grid),
            "activation_grid": str(self.activation_grid),
            "examples": self.examples,
            "seed": self.seed,
            "tensors": [
                {
                    "kind": tensor.kind,
                    "layer": tensor.layer,
                    "noise": [found.noise.tolist(), found.noise_low.tolist(), found.noise_high.tolist()],
                    "lost": found.lost.tolist(),
                    "s": _plain(found.s),
                    "law_error": _finite(found.law_error),
                    "rho": [_plain(estimate) for estimate in found.rho],
                    "scale": [_finite(scale) for scale in found.scale],
                }
                for tensor, found in self.tensors.items()
            ],
            "ranges": [[[span.low, span.high] for span in row] for row in self.ranges],
            **({} if self.fingerprint is None else {"fingerprint": self.fingerprint}),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Sensitivity:
        """Back from `to_dict`.

        Raises
        ------
        InputError
            The data is not what `to_dict` gives.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("version") != 1:
            found = shown(data.get("format") if isinstance(data, dict) else data)
            raise InputError("sensitivity", found, f"an object of format {FORMAT}, version 1")
        try:
            read = cls._read(data)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise InputError("sensitivity", f"{type(error).__name__}: {error}", "what `save` wrote") from None
        read._check()
        return read

    @classmethod
    def _read(cls, data: dict[str, Any]) -> Sensitivity:
        tensors = {}
        for row in data["tensors"]:
            noise, low, high = (np.array(x, dtype=np.float64) for x in row["noise"])
            tensors[TensorName(row["kind"], int(row["layer"]))] = TensorSensitivity(
                noise,
                low,
                high,
                np.array(row["lost"], dtype=np.float64),
                _estimate(row["s"]),
                _number(row["law_error"]),
                tuple(map(_estimate, row["rho"])),
                tuple(map(_number, row["scale"])),
            )
        printed = data.get("fingerprint")
        return cls(
            _estimate(data["natural"]),
            float(data["score"]),
            np.array(data["bits"], dtype=np.int64),
            tuple(map(float, data["levels"])),
            Grid.parse(data["grid"]),
            Grid.parse(data["activation_grid"]),
            tensors,
            tuple(tuple(Range(float(low), float(high)) for low, high in row) for row in data["ranges"]),
            int(data["examples"]),
            int(data["seed"]),
            None if printed is None else {part: printed[part] for part in ("weights", "data", "grid")},
        )

    def _check(self) -> None:
        """Refuse what a file may say and a measurement cannot."""
        check_settings(self.levels, self.bits.tolist())
        widths, levels, layers = len(self.bits), len(self.levels), len(self.ranges)
        for tensor, one in self.tensors.items():
            field = f"sensitivity: {tensor}"
            if tensor.kind not in ("weight", "activation") or not 1 <= tensor.layer <= layers:
                raise InputError(field, "no tensor of the network", f"weights and activations of layers 1 to {layers}")
            rows = (one.noise, one.noise_low, one.noise_high, one.lost)
            if any(row.shape != (widths,) for row in rows) or {len(one.rho), len(one.scale)} != {levels}:
                raise InputError(field, "rows of other lengths", f"{widths} widths and {levels} levels")
            if not all(bool(np.all(np.isfinite(row))) for row in rows) or bool((one.noise < 0).any()):
                raise InputError(field, "noise that is negative or not finite", "finite numbers >= 0")
            if any(not x.value > 0 for x in one.rho):
                raise InputError(field, "a rho that is not positive", "positive numbers, null for never lost")
        spans = [x for row in self.ranges for span in row for x in (span.low, span.high)]
        if any(len(row) != widths for row in self.ranges) or not bool(np.all(np.isfinite(spans))):
            raise InputError("sensitivity: ranges", "other than finite pairs", f"{widths} for each layer")
        if not 0.0 < self.natural.value < math.inf:
            raise InputError("sensitivity: natural", shown(self.natural.value), "a positive number")

    @classmethod
    def merged(cls, parts: Sequence[Sensitivity]) -> Sensitivity:
        """Shards of one measurement, the `parts`, as the whole; the same as if it had been measured at once.

        Raises
        ------
        InputError
            Shards of other networks, data or settings, a tensor twice, or a layer's activation that none of them has.
        """
        if not parts:
            raise InputError("parts", "none", "at least one shard")
        tensors: dict[TensorName, TensorSensitivity] = {}
        common = replace(parts[0], tensors=tensors).to_dict()
        for i, part in enumerate(parts):
            own = replace(part, tensors=tensors).to_dict()
            settings = sorted(common.keys() - {"tensors"}, key=("natural", "score", "ranges").count)  # figures last
            other = [name for name in settings if own[name] != common[name]]
            if other:
                raise InputError(f"parts[{i}].{other[0]}", "another than in the first", "shards of one measurement")
        for i, part in enumerate(parts):
            twice = [str(tensor) for tensor in part.tensors if tensor in tensors]
            if twice:
                raise InputError(f"parts[{i}].tensors", f"{twice[0]} once more", "every tensor in one shard")
            tensors |= part.tensors
        missing = {TensorName("activation", i) for i in range(1, len(parts[0].ranges) + 1)} - tensors.keys()
        if missing:
            raise InputError("parts", f"no {min(map(str, missing))}", "all shards")
        order = sorted(tensors, key=lambda tensor: (tensor.kind == "activation", tensor.layer))
        return replace(parts[0], tensors={tensor: tensors[tensor] for tensor in order})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file at `path`."""
        write_text(path, json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Sensitivity:
        """What `save` wrote, read from a file at `path`.

        Raises
        ------
        InputError
            The file cannot be read, or is none that `save` wrote.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            why = getattr(error, "strerror", None) or "no JSON"
            raise InputError(os.fspath(path), why.lower(), "a file that `save` wrote") from None
        return cls.from_dict(data)


@plain_float32()
@torch.no_grad()
def measure(
    network: Network,
    examples: Examples,
    *,
    levels: Sequence[float],
    bits: Sequence[int] = WIDTHS,
    grid: Grid | None = None,
    activation_grid: Grid | None = None,
    score: Score = correct,
    margin: Margin = adversarial_margin,
    seed: int = 0,
    memory: int | None = None,
    shard: tuple[int, int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    say: LineCallback = ignore_line,
    advance: ProgressCallback = ignore_progress,
) -> Sensitivity:
    """Noise table, s, rho and sigma* of a network, each with an interval.

    Parameters
    ----------
    network : traced, trained, on the device where it is to be measured.
    examples : data for the coefficients alone.
    levels : list of accuracy levels a in (0, 1], ascending: losses of the mean score.
    bits : list of consecutive widths within 1..16.
    grid : of the weights; by default one asymmetric grid a tensor, from the smallest to the largest entry.
    activation_grid : of the activations, per tensor; by default asymmetric, clipped if the weights' grid is.
    score : what an output is worth; by default whether the largest logit is the label's.
    margin : squared norm of a change that matters; by default ``||sigma*||^2``.
    seed : of the directions of noise and of the intervals.
    memory : bytes that tensors may take, by default a share of what the device has free (see `default_memory`);
        statistics of every example (some 400 numbers a tensor) come on top.
    shard : (i, n), to measure every n-th tensor from the i-th on and leave the rest to other processes: with one and
        the same `checkpoint`, after which a run without a shard has all tensors, or see `Sensitivity.merged`.
    checkpoint : a folder for finished work, from which a run that was stopped goes on.
    say, advance : receive a line for each tensor, and how far the work is.

    Raises
    ------
    InputError
        Settings outside these, outputs that are not finite, one class, labels that the network meets less often than
        by guessing, a checkpoint of something else.
    """
    grid = grid or Grid()
    score, margin = of_outputs(score, network.outputs), of_outputs(margin, network.outputs)
    settings = _Settings(levels, bits, grid, activation_grid or Grid(clip=grid.clip), score, margin, seed)
    size = None if memory is not None else made_from(checkpoint).get("batches")  # a resumed run has the same batches
    batches = Batches(network, examples, len(bits), memory, size=size if is_whole(size) else None)
    saved = Checkpoint(checkpoint, settings.made_from(batches))
    names = tensor_names(network)
    own = None if shard is None else Shard.checked(shard)
    names = names if own is None else tensors_of(own, names)
    base = reference(batches, bits, settings.activation_grid, score, margin, saved, own)
    if not base.margin.mean() > 0:
        raise InputError("logits", "the two largest equal for every example", "a network that tells classes apart")
    classes = classes_of(next(iter(batches)).outputs) if score is correct else 0
    if doubt := chance(score, base.score, classes):
        say(f"warning: {doubt}")
    tables = noise_tables(batches, bits, grid, settings.activation_grid, base, score, saved, advance, names)
    trials = noise_trials(batches, grid, base, levels, score, seed, saved, len(bits), advance, names)

    resamples = Resamples(len(examples), seed=seed)
    natural = resamples.means(base.margin[:, None])[:, 0]
    estimates = [
        partial(estimated, bits, levels, base, noise, scores, trials[tensor], resamples, natural)
        for tensor, (noise, scores) in tables.items()
    ]
    tensors = dict(zip(tables, run_all(estimates, batches.workers), strict=True))
    for tensor, found in tensors.items():
        say(f"{tensor!s:>13}: {found}")
    return Sensitivity(
        Estimate.of(float(base.margin.mean()), natural),
        float(base.score.mean()),
        np.array(bits, dtype=np.int64),
        tuple(map(float, levels)),
        grid,
        settings.activation_grid,
        tensors,
        base.ranges,
        len(examples),
        seed,
        {part: settings.made_from(batches)[part] for part in ("weights", "data", "grid")},
    )


@dataclass(frozen=True)
class _Settings:
    """Arguments of `measure` that its figures depend on, checked."""

    levels: Sequence[float]
    bits: Sequence[int]
    grid: Grid
    activation_grid: Grid
    score: Score
    margin: Margin
    seed: int

    def __post_init__(self) -> None:
        check_settings(self.levels, self.bits)
        if self.activation_grid.per != "tensor":
            allowed = "a per-tensor grid: its range is fixed in advance"
            raise InputError("activation_grid", str(self.activation_grid), allowed)

    def made_from(self, batches: Batches) -> dict[str, Any]:
        """What a checkpoint holds must have been made from."""
        return {
            "network": fingerprint.structure(batches.network),
            "weights": fingerprint.weights(batches.network),
            "data": batches.examples.digest(),
            "bits": list(self.bits),
            "levels": list(self.levels),
            "grid": [str(self.grid), str(self.activation_grid)],
            "score": [qualified_name(self.score), qualified_name(self.margin)],
            "seed": self.seed,
            "batches": batches.size,
            "device": batches.network.device.type,
        }


def check_settings(levels: Sequence[float], bits: Sequence[int]) -> None:
    """Refuse levels and widths that cannot be measured.

    Parameters
    ----------
    levels : list of accuracy levels a.
    bits : list of widths.

    Raises
    ------
    InputError
        Levels that are not in (0, 1] and ascending, or widths that are not consecutive within 1..16 or without one that
        the law is fitted on.
    """
    if len(levels) == 0 or any(not (is_number(a) and 0 < a <= 1) for a in levels) or any(np.diff(levels) <= 0):
        raise InputError("levels", shown(list(levels)), "accuracy losses in (0, 1], ascending")
    whole = all(is_whole(b) and 1 <= b <= MAX_BITS for b in bits)
    if len(bits) == 0 or not whole or any(np.diff(bits) != 1):
        raise InputError("bits", shown(list(bits)), f"consecutive widths from 1 to {MAX_BITS}")
    law_columns(bits)


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None


def _plain(estimate: Estimate) -> list[float | None]:
    return [_finite(x) for x in (estimate.value, estimate.low, estimate.high)]


def _number(x: float | None) -> float:
    return math.inf if x is None else float(x)


def _estimate(row: Sequence[float | None]) -> Estimate:
    return Estimate(*map(_number, row))

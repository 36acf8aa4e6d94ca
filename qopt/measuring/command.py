"""What `qopt measure` does: a network and labelled examples become an instance, plans and figures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qopt.core.arguments import is_whole, whole
from qopt.core.display import Brief, listed
from qopt.core.display import number as figure
from qopt.core.errors import InputError, shown
from qopt.core.shard import Shard
from qopt.measuring.calibrated import Calibrated
from qopt.measuring.calibration import calibrate_cuts
from qopt.measuring.coefficients import instance
from qopt.measuring.examples import Examples, as_examples
from qopt.measuring.grids import FLOAT_BITS, MAX_BITS, Grid
from qopt.measuring.interaction import Interaction, joint_noise
from qopt.measuring.intervals import Estimate
from qopt.measuring.loading import load_module
from qopt.measuring.losses import check_decidable, check_guarantee, least_examples, paired_loss
from qopt.measuring.network import Network
from qopt.measuring.plans import PlanRunner, Widths
from qopt.measuring.profile import trace
from qopt.measuring.progress import LineCallback, ProgressCallback, ignore_line, ignore_progress
from qopt.measuring.scores import Margin, Score, adversarial_margin, correct, is_bounded
from qopt.measuring.sensitivity import WIDTHS, Sensitivity, check_settings, measure
from qopt.qpart.problem import QPart
from qopt.qpart.report import leaves_the_server

LEVELS = (0.002, 0.005, 0.01, 0.02, 0.05)
"""Accuracy levels measured by default, those of them that the examples can decide."""

JOINT_EXAMPLES = 1000
"""Examples on which pairs of tensors are measured: a ratio of means needs fewer than the means themselves."""


@dataclass(frozen=True, repr=False)
class Cheapest(Brief):
    """The plan of least payload at a level and cut.

    Attributes
    ----------
    level, cut : a and p.
    delta : the calibrated limit.
    plan : widths; None where no limit holds.
    left : bits sent for weights, scales counted, over those of float32 weights; biases in neither.
    calibration, test : score lost on the examples that Delta was found on, and on the rest.
    """

    level: float
    cut: int
    delta: Estimate
    plan: Widths | None
    left: float | None
    calibration: Estimate | None
    test: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""

        def ends(x: Estimate | None) -> list[float] | None:
            return None if x is None else [x.value, x.low, x.high]

        return {
            "level": self.level,
            "cut": self.cut,
            "delta": ends(self.delta),
            "weights": None if self.plan is None else list(self.plan.weights),
            "activations": None if self.plan is None else list(self.plan.activations),
            "left": self.left,
            "calibration": ends(self.calibration),
            "test": ends(self.test),
        }


@dataclass(frozen=True, repr=False)
class Measured(Brief):
    """Everything that was found of a network.

    Attributes
    ----------
    sensitivity : noise and robustness of every tensor.
    cuts : Delta for each level and cut.
    problem : the instance.
    cheapest : plans of least payload, tried on the examples of the test.
    test_score : mean score of the unquantized network on those.
    interaction : joint noise of pairs, if it was asked for.
    notes : what a user should know: labels in doubt, levels left out, where the best plan changes.
    """

    sensitivity: Sensitivity
    cuts: list[list[Calibrated]]
    problem: QPart
    cheapest: list[Cheapest]
    test_score: float
    interaction: Interaction | None = None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = [
            f"level {plan.level:g}, cut {plan.cut}: Delta {figure(plan.delta.value)}, "
            + ("no plan" if plan.plan is None else f"{figure(plan.left, 3)} of the weights' bits left")
            for plan in self.cheapest
        ]
        rows += self.notes
        return listed(f"{self.problem.name}, measured: score {figure(self.test_score, 4)} on the test examples", rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: every figure with its interval, every limit that was tried."""
        return {
            "format": "qopt/measured",
            "version": 1,
            "instance": self.problem.model_dump(mode="json"),
            "sensitivity": self.sensitivity.to_dict(),
            "calibration": [[result.to_dict() for result in row] for row in self.cuts],
            "cheapest": [plan.to_dict() for plan in self.cheapest],
            "test_score": self.test_score,
            "joint_noise": None if self.interaction is None else self.interaction.factor,
            "notes": list(self.notes),
        }


def weights_left(network: Network, found: Sensitivity, plan: Widths) -> float:
    """Bits sent for the weights of a plan, scales counted, over those of the same weights in float32.

    A weight that layers share is sent once. Biases are sent as they are and stand in neither number.
    """
    again = {layer for group in network.shared for layer in group[1:]}
    sent = whole = 0
    for layer, bits in enumerate(plan.weights, start=1):
        if network.layers[layer - 1].parameters and layer not in again:
            weight = network.weight(layer)
            sent += bits * weight.numel() + found.grid.overhead(weight)
            whole += FLOAT_BITS * weight.numel()
    return sent / whole if whole else 0.0


@dataclass(frozen=True, repr=False)
class Settings(Brief):
    """How to measure: the options of ``qopt measure``.

    Attributes
    ----------
    weights : safetensors file of the network's weights.
    split : which archives, where the examples are a folder.
    sizes : how many examples for coefficients, calibration and test; by default a quarter, a half, a quarter.
    levels : accuracy levels a in (0, 1], ascending; by default those of `LEVELS` that the examples can decide.
    bits : consecutive widths within 1..16.
    grid : of the weights, in words such as ``per-channel,clipped``.
    device : where to measure.
    input_bits : of each value of the raw input, in the instance.
    seed : of division, noise and intervals.
    memory : bytes that tensors may take; by default what the device has.
    checkpoint : folder for finished work.
    guarantee : whether losses are bounded by exact intervals.
    joint : whether to measure pairs of tensors, and take Delta down by what their joint noise has beyond the sum.
    score, margin : what an output is worth, and how large a change of it matters.

    Raises
    ------
    InputError
        Words that name no grid, levels, widths or input bits out of range, not three sizes; the rest is checked where
        it is used.
    """

    weights: Path | None = None
    split: str = "train"
    sizes: Sequence[int] | None = None
    levels: Sequence[float] | None = None
    bits: Sequence[int] = WIDTHS
    grid: str = ""
    device: str = "cpu"
    input_bits: int = 32
    seed: int = 0
    memory: int | None = None
    checkpoint: str | os.PathLike[str] | None = None
    guarantee: bool = False
    joint: bool = False
    score: Score = correct
    margin: Margin = adversarial_margin

    def __post_init__(self) -> None:
        Grid.parse(self.grid)
        check_settings(LEVELS if self.levels is None else self.levels, self.bits)
        whole("input_bits", self.input_bits, 1, FLOAT_BITS)
        if not is_bounded(self.score):
            check_guarantee(self.guarantee)
        if self.sizes is not None and (len(self.sizes) != 3 or not all(map(is_whole, self.sizes))):
            raise InputError("sizes", shown(list(self.sizes)), "three: for coefficients, calibration and test")

    def part(self, name: str) -> Path | None:
        """Folder for the finished work of one part of the measurement."""
        return None if self.checkpoint is None else Path(self.checkpoint) / name

    def levels_for(self, examples: int) -> tuple[tuple[float, ...], str | None]:
        """Levels to measure with so many examples for calibration, and a note on those that were left out.

        Raises
        ------
        InputError
            A level that was asked for, or all of the default, cannot be decided; see `check_decidable`.
        """
        if self.score is not correct:  # what other scores can decide is seen when they are calibrated
            return tuple(LEVELS if self.levels is None else self.levels), None
        asked = LEVELS[-1:] if self.levels is None else self.levels
        check_decidable(asked, examples, guarantee=self.guarantee)
        if self.levels is not None:
            return tuple(self.levels), None
        kept = tuple(a for a in LEVELS if least_examples(a, guarantee=self.guarantee) <= examples)
        if kept == LEVELS:
            return kept, None
        needed = least_examples(LEVELS[0], guarantee=self.guarantee)
        left = ", ".join(f"{a:g}" for a in LEVELS if a not in kept)
        return kept, f"levels {left} are left out: {examples} calibration examples cannot decide them, {needed} could"


def run(
    network: str,
    examples: Path,
    settings: Settings | None = None,
    *,
    say: LineCallback = ignore_line,
    advance: ProgressCallback = ignore_progress,
) -> Measured:
    """Measure, calibrate, test.

    Parameters
    ----------
    network : ``NET.py:FUNCTION``.
    examples : an ``.npz`` file, or a folder of IDX archives; none of them used in training.
    settings : by default those of `Settings`.
    say, advance : receive a line for each tensor, level and cut, and how far the work is.
    """
    settings = settings or Settings()
    module, example = load_module(network, settings.weights)
    return measured(trace(module, example), examples, settings, network.rpartition(":")[2], say=say, advance=advance)


def measured(
    network: Network,
    data: Any,
    settings: Settings,
    name: str,
    *,
    say: LineCallback = ignore_line,
    advance: ProgressCallback = ignore_progress,
) -> Measured:
    """Measure, calibrate and test a traced network.

    Parameters
    ----------
    data : what `as_examples` takes; none of it used in training.
    name : of the instance, behind ``qpart/``.
    say, advance : as for `run`.
    """
    notes = []

    def noted(line: str) -> None:
        if line.startswith("warning: "):
            notes.append(line)
        say(line)

    traced = network.to(settings.device)
    coefficients, calibration, test = _divided(data, traced, settings)
    levels, left_out = settings.levels_for(len(calibration))
    say(f"examples: {len(coefficients)} for coefficients, {len(calibration)} for calibration, {len(test)} for the test")
    if left_out is not None:
        say(left_out)
        notes.append(left_out)
    found = measure(
        traced,
        coefficients,
        levels=levels,
        bits=settings.bits,
        grid=Grid.parse(settings.grid),
        score=settings.score,
        margin=settings.margin,
        seed=settings.seed,
        memory=settings.memory,
        checkpoint=settings.part("sensitivity"),
        say=noted,
        advance=advance,
    )
    joint = joint_noise(traced, coefficients[:JOINT_EXAMPLES], found, advance=advance) if settings.joint else None
    if joint is not None:
        notes.append(
            f"joint noise of tensors is at most {figure(joint.factor)} times the sum; Delta is taken down by it"
        )
        say(notes[-1])
    cuts = calibrate_cuts(
        traced,
        calibration,
        found,
        score=settings.score,
        guarantee=settings.guarantee,
        interaction=1.0 if joint is None else joint.factor,
        seed=settings.seed,
        memory=settings.memory,
        checkpoint=settings.part("calibration"),
        say=say,
        advance=advance,
    )
    level = 0.01 if 0.01 in levels else levels[0]
    problem = instance(traced, found, cuts, name=f"qpart/{name}", level=level, input_bits=settings.input_bits)
    runner = PlanRunner(traced, test, found, score=settings.score, memory=settings.memory)
    cheapest = [
        _cheapest(traced, found, runner, level, cut, result, settings)
        for level, row in zip(found.levels, cuts, strict=True)
        for cut, result in enumerate(row, start=1)
    ]
    if levels[-1] >= 0.5:
        notes.append(
            f"level {levels[-1]:g} gives {100 * levels[-1]:g} points away: levels are shares, one point is 0.01"
        )
    if all(plan.plan is None for plan in cheapest):
        notes.append(
            "no limit keeps any level: the smallest that was tested fails at every cut; "
            "wider --bits, a larger level or more examples may help"
        )
    elif (moves := leaves_the_server(problem)) is not None:
        notes.append(moves)
    return Measured(found, cuts, problem, cheapest, float(runner.reference.mean()), joint, tuple(notes))


def run_shard(
    network: str,
    examples: Path,
    settings: Settings,
    shard: Shard,
    *,
    say: LineCallback = ignore_line,
    advance: ProgressCallback = ignore_progress,
) -> Sensitivity:
    """Measure the coefficients of one shard's tensors into the checkpoint's folder; `run` then finds them there.

    Raises
    ------
    InputError
        No checkpoint in the settings.
    """
    if settings.checkpoint is None:
        raise InputError("--shard", "no --checkpoint", "a folder that all shards share")
    module, example = load_module(network, settings.weights)
    traced = trace(module, example).to(settings.device)
    coefficients, calibration, _ = _divided(examples, traced, settings)
    return measure(
        traced,
        coefficients,
        levels=settings.levels_for(len(calibration))[0],
        bits=settings.bits,
        grid=Grid.parse(settings.grid),
        score=settings.score,
        margin=settings.margin,
        seed=settings.seed,
        memory=settings.memory,
        shard=shard,
        checkpoint=settings.part("sensitivity"),
        say=say,
        advance=advance,
    )


def _divided(data: Any, network: Network, settings: Settings) -> tuple[Examples, ...]:
    """Examples for coefficients, calibration and test."""
    examples = as_examples(data, network.input_shape, settings.split, network.inputs)
    quarter = len(examples) // 4
    if settings.sizes is None and quarter == 0:
        raise InputError("data", f"{len(examples)} examples", "at least 4: for coefficients, calibration and test")
    return tuple(examples.split(settings.sizes or (quarter, 2 * quarter, quarter), settings.seed))


def _cheapest(
    network: Network,
    found: Sensitivity,
    runner: PlanRunner,
    level: float,
    cut: int,
    result: Calibrated,
    settings: Settings,
) -> Cheapest:
    """The plan of least payload at a level and cut, tried on the examples of the test."""
    trial = result.chosen
    if trial is None:
        return Cheapest(level, cut, result.delta, None, None, None, None)
    plan, loss = trial.plans[0], trial.losses[0]
    left = weights_left(network, found, plan)
    lost = paired_loss(
        runner.reference,
        runner.run(plan)[0],
        seed=settings.seed,
        guarantee=settings.guarantee,
        bounded=is_bounded(settings.score),
    )
    return Cheapest(level, cut, result.delta, plan, left, loss, lost)


def numbers(field: str, text: str, kind: type[Any], count: int | None = None) -> list[Any]:
    """Numbers written with commas between them."""
    try:
        found = [kind(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or (count is not None and len(found) != count):
        words = "whole numbers" if kind is int else "numbers"
        raise InputError(field, shown(text), f"{count or 'some'} {words} with commas between them")
    return found


def widths(field: str, text: str) -> list[int]:
    """``LO-HI`` as widths LO..HI."""
    low, dash, high = text.partition("-")
    if not (dash and low.strip().isdecimal() and high.strip().isdecimal() and int(low) <= int(high) <= MAX_BITS):
        raise InputError(field, shown(text), f"LO-HI, whole numbers from 1 to {MAX_BITS}")
    return list(range(int(low), int(high) + 1))

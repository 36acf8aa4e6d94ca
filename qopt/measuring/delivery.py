"""From an instance's plan to a segment: whether instance and network belong together, and what the segment loses.

`deliver` is what `qopt pack` does; the rest are its steps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.plan import read_answer
from qopt.core.problem import Problem
from qopt.core.reading import problem_of
from qopt.measuring import fingerprint
from qopt.measuring.arithmetic import plain_float32
from qopt.measuring.batches import Batches
from qopt.measuring.checkpoint import Checkpoint
from qopt.measuring.coefficients import noise_fields
from qopt.measuring.examples import Examples, read
from qopt.measuring.grids import Grid, Range, Steps, quantize
from qopt.measuring.intervals import Estimate
from qopt.measuring.loading import load_module
from qopt.measuring.losses import paired_loss
from qopt.measuring.network import Network
from qopt.measuring.noise import reference
from qopt.measuring.profile import trace
from qopt.measuring.scores import Score, chance, classes_of, correct, is_bounded, of_outputs, scored
from qopt.measuring.segment import DeviceSegment, ServerSegment, make, sent_tensors
from qopt.measuring.segment_file import SegmentFile, read_segment
from qopt.measuring.sensitivity import Sensitivity
from qopt.qpart.costs import breakdown
from qopt.qpart.plan import QPartPlan, checked_plan
from qopt.qpart.problem import QPart


def deliver(
    instance: Problem | str,
    plan: str | os.PathLike[str],
    network: str,
    out: Path,
    *,
    weights: Path | None = None,
    measured: Path | None = None,
    grid: str | None = None,
    ranges: Path | None = None,
    examples: Path | None = None,
    split: str = "t10k",
    level: float | None = None,
) -> dict[str, Any]:
    """Pack the device's part of a network into a file, read it back, and run it where there are examples.

    Parameters
    ----------
    instance : a problem, a bundled name or a path.
    plan : a plan file, or what ``qopt solve --json`` printed.
    network : ``NET.py:FUNCTION``, with the safetensors file `weights`.
    out : the segment's file.
    weights : of the network, a safetensors file.
    measured : a file of sensitivities: their grids, and their ranges of the activations. Without it:
    ranges, grid : examples on which the ranges are fixed, and words such as ``per-channel,clipped``.
    examples : an ``.npz`` file to run on, or a folder of IDX archives with its `split`.
    split : ``train`` or ``t10k``, for a folder.
    level : accuracy level of the verdict; by default the instance's.

    Returns
    -------
    See `record`.

    Raises
    ------
    InputError
        Options that do not go together, a file that cannot be read, or parts that do not belong together.
    """
    _check_options(measured, grid, ranges, examples, level)
    problem, decision = request_and_plan(instance, plan)
    traced = trace(*load_module(network, weights))
    if measured is not None:
        known = Sensitivity.load(measured)
        weight_grid, activation_grid = known.grid, known.activation_grid
        check_request(problem, traced, weight_grid)
        check_measured(known, traced, problem)
        spans = measured_ranges(known, traced, decision)
    else:
        weight_grid = Grid.parse(grid or "")
        activation_grid = Grid(clip=weight_grid.clip)
        check_request(problem, traced, weight_grid)
        assert ranges is not None
        spans = ranges_on(traced, read(ranges, traced.input_shape, inputs=traced.inputs), decision, activation_grid)
    make(traced, decision, weight_grid, spans, activation_grid).save(out)
    segment = read_segment(out)
    checked = (
        None if examples is None else check(segment, traced, read(examples, traced.input_shape, split, traced.inputs))
    )
    return record(problem, traced, segment, checked, problem.level if level is None else level)


def _check_options(
    measured: Path | None, grid: str | None, ranges: Path | None, examples: Path | None, level: float | None
) -> None:
    """Refuse options of the command that do not go together."""
    if (measured is None) == (ranges is None):
        found = "nothing" if measured is None else "--measured beside --ranges"
        raise InputError("--measured", found, "--measured FILE, or --ranges EXAMPLES and perhaps --grid")
    if measured is not None and grid is not None:
        raise InputError("--grid", "--grid beside --measured", "one of them: what was measured has a grid")
    if level is not None and examples is None:
        raise InputError("--level", "--level without --check", "both, or neither: without --check nothing is run")
    if level is not None and not 0 <= level <= 1:
        raise InputError("--level", f"{level:g}", "an accuracy loss from 0 to 1, 0.01 for one point")


def request_and_plan(instance: Problem | str, plan: str | os.PathLike[str]) -> tuple[QPart, QPartPlan]:
    """An instance, and the plan in a plan file or in what ``qopt solve --json`` printed.

    Parameters
    ----------
    instance : a problem, a bundled name or a path.
    plan : path of the file.

    Raises
    ------
    InputError
        No QPART request, a solution without a plan, or a plan that does not fit the instance.
    """
    problem = problem_of(QPart, instance, field="instance", named=True)
    decision, _ = read_answer(plan, problem)
    if not isinstance(decision, QPartPlan):
        raise InputError("plan", "none: the solution says that there is no plan", "a plan")
    return problem, checked_plan(problem, decision)


def check_request(problem: QPart, network: Network, grid: Grid) -> None:
    """Refuse an instance that is not about this network, or that counts another grid's scales.

    Sizes of all tensors are compared, what crosses every cut, and weights that layers share. An instance without
    `network.overhead` counts no scales; it fits any grid.

    Raises
    ------
    InputError
        The first field that differs.
    """
    net = problem.network
    if len(net) != len(network):
        raise InputError("network.macs", f"{len(net)} layers", f"{len(network)}, as in the network")
    again = {number for group in network.shared for number in group[1:]}
    columns: dict[str, tuple[Sequence[Any], Sequence[Any]]] = {
        "weights": (net.weights.tolist(), [layer.parameters for layer in network.layers]),
        "activations": (net.activations.tolist(), [layer.size for layer in network.layers]),
        "input_size": ([net.input_size], [network.columns()["input_size"]]),
        "last_reader": (
            [net.crossing(p).tolist() for p in range(len(net) + 1)],
            [list(network.crossing(p)) for p in range(len(net) + 1)],
        ),
        "ties": (
            (net.sent == 0).tolist(),
            [layer.parameters == 0 or layer.number in again for layer in network.layers],
        ),
    }
    if net.overhead is not None:
        own = [grid.overhead(network.weight(layer.number)) if layer.parameters else 0 for layer in network.layers]
        columns["overhead"] = net.overhead.tolist(), own
    words = {
        "last_reader": "tensors {} that cross cut {}",
        "ties": "{}: whether the weights are sent with another layer ({})",
    }
    for field, (found, expected) in columns.items():
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            if one != other:
                said = words.get(field, "{}").format(one, i if field == "last_reader" else f"layer {i + 1}")
                source = f"of grid {grid}" if field == "overhead" else "as in the network"
                raise InputError(f"network.{field}[{i}]", said, f"{shown(other)}, {source}")


def check_measured(found: Sensitivity, network: Network, problem: QPart | None = None) -> None:
    """Refuse sensitivities that were measured on other weights, or that an instance was not made from.

    Parameters
    ----------
    found : with a fingerprint; without one (files of earlier versions) weights and grids are not compared.
    problem : its table of noise, if it has one, must be the sensitivities': other data or grids give another.

    Raises
    ------
    InputError
        What differs.
    """
    printed = found.fingerprint
    if printed is not None and printed["weights"] != fingerprint.weights(network):
        raise InputError(
            "measured", "other weights than the network's", "sensitivities of this network: measure it again"
        )
    if printed is not None and printed["grid"] != [str(found.grid), str(found.activation_grid)]:
        raise InputError("measured", f"grids {found.grid} and {found.activation_grid}", f"{shown(printed['grid'])}")
    if problem is None or problem.noise.model != "table" or problem.noise.table is None:
        return
    table, own = problem.noise.table, noise_fields(found)["table"]
    for field, asked in (("bits", table.bits), ("weights", table.weights), ("activations", table.activations)):
        here, measured = np.asarray(asked, dtype=np.float64), np.asarray(own[field], dtype=np.float64)
        if here.shape != measured.shape or not np.allclose(here, measured, rtol=1e-9, atol=0.0):
            allowed = "the table of the sensitivities: the instance was made with other data, grids or weights"
            raise InputError(f"noise.table.{field}", "other figures than were measured", allowed)


@plain_float32()
@torch.no_grad()
def ranges_on(network: Network, examples: Examples, plan: QPartPlan, grid: Grid) -> dict[int, Range]:
    """Ranges of the tensors that a plan sends, from the unquantized network on examples, as measuring fixes them.

    Parameters
    ----------
    grid : of the activations, per tensor.
    """
    tensors = sent_tensors(network, plan)
    if not tensors:
        return {}
    bits = sorted({int(b) for b in plan.activations})

    def nothing(outputs: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        del labels
        return torch.zeros(len(outputs), dtype=torch.float64)

    found = reference(Batches(network, examples, 1), bits, grid, nothing, nothing, Checkpoint(None, {}))
    return {i: found.ranges[i - 1][bits.index(int(width))] for i, width in zip(tensors, plan.activations, strict=True)}


def outputs_of_plan(network: Network, segment: SegmentFile, x: torch.Tensor) -> torch.Tensor:
    """What a segment must give: the network run with the quantizer's output, without codes or file.

    Parameters
    ----------
    x : (n, ...) inputs.
    """
    plan, grid = segment.header.plan, Grid.parse(segment.header.grid)
    values = {0: x}
    for layer in network.layers[: plan.cut]:
        weight = None
        if layer.parameters:
            weight = quantize(network.weight(layer.number), int(plan.weights[layer.number - 1]), grid).values()
        values[layer.number] = network.finish(
            layer.number, network.product(layer.number, values, weight=weight), values
        )
    activation_grid = Grid.parse(segment.header.activation_grid)
    for sent in segment.header.activations:
        numbers = [None if n is None else torch.tensor(n, device=x.device) for n in (sent.scale, sent.offset)]
        assert numbers[0] is not None
        steps = Steps(numbers[0], numbers[1], sent.bits, activation_grid)
        values[sent.tensor] = steps.values(values[sent.tensor])
    return network.resume({i: values[i] for i in network.crossing(plan.cut)}, plan.cut)


def measured_ranges(found: Sensitivity, network: Network, plan: QPartPlan) -> dict[int, Range]:
    """Ranges of the tensors that a plan sends, as they were fixed when the network was measured.

    Raises
    ------
    InputError
        Another number of layers, or a width that was not measured.
    """
    if len(found.ranges) != len(network):
        raise InputError("ranges", f"{len(found.ranges)} layers", f"{len(network)}, as in the network")
    tensors = sent_tensors(network, plan)
    return {i: found.range_of(i, int(width)) for i, width in zip(tensors, plan.activations, strict=True)}


@dataclass(frozen=True, repr=False)
class Checked(Brief):
    """A segment run on examples.

    Attributes
    ----------
    examples : how many.
    reference, score : mean score of the unquantized network, and of device and server together.
    loss : their difference, with its 95 % interval.
    identical : whether device and server give, bit for bit, what the network with the quantizer's output gives.
    upload_bytes : sent for one inference; the raw input is not counted.
    doubt : what is to be said of the labels, if the network does not tell them better than by guessing.
    """

    examples: int
    reference: float
    score: float
    loss: Estimate
    identical: bool
    upload_bytes: int
    doubt: str | None = None

    def verdict(self, level: float) -> str:
        """Whether the loss is within a level, where the interval can tell."""
        if self.loss.high <= level:
            return "within the level"
        return "above the level" if self.loss.low > level else "the interval reaches beyond the level"


@plain_float32()
@torch.no_grad()
def check(
    segment: SegmentFile, network: Network, examples: Examples, *, score: Score = correct, seed: int = 0
) -> Checked:
    """Run a segment's two halves on examples, beside the unquantized network.

    Parameters
    ----------
    score : what an output is worth, for each example.
    seed : of the interval.

    Returns
    -------
    `Checked`: mean scores of both, the score lost with its interval, and whether the parts fit bit for bit.
    """
    device, server = DeviceSegment(segment, network), ServerSegment(segment, network)
    score = of_outputs(score, network.outputs)
    kept, found, identical, upload, classes = [], [], True, 0, 1
    for batch in Batches(network, examples, 1):
        x = batch.values[0]
        sent = device.run(x)
        upload = sum(tensor.shape[-1] for tensor in sent.values() if tensor.dtype == torch.uint8)
        outputs = server.run(sent)
        classes = classes_of(outputs) if score is correct else 0
        identical &= torch.equal(outputs, outputs_of_plan(network, segment, x))
        kept.append(scored(score, batch.outputs[None], batch.labels)[0])
        found.append(scored(score, outputs[None], batch.labels)[0])
    before, after = np.concatenate(kept), np.concatenate(found)
    doubt = chance(score, before, classes)
    loss = paired_loss(before, after, seed=seed, bounded=is_bounded(score))
    return Checked(len(examples), float(before.mean()), float(after.mean()), loss, identical, upload, doubt)


def record(
    problem: QPart, network: Network, segment: SegmentFile, checked: Checked | None, level: float
) -> dict[str, Any]:
    """What was packed, and what came of running it, as plain data.

    ``instance_payload_bits`` is what the instance counts (Eq. 14 down, overhead where it has any), ``payload_bits``
    what the file holds of it; ``of_float32`` is codes and overhead as a share of the same weights in float32.

    Parameters
    ----------
    level : accuracy level a of the verdict.
    """
    header, size = segment.header, segment.size
    parameters = sum(weight.codes.numel() for weight in segment.weights.values())
    found: dict[str, Any] = {
        "problem": problem.name,
        "cut": header.plan.cut,
        "layers": len(network),
        "grid": header.grid,
        "activation_grid": header.activation_grid,
        "bytes": asdict(size) | {"total": size.total},
        "payload_bits": size.payload_bits,
        "instance_payload_bits": breakdown(problem, header.plan).download,
        "of_float32": (size.codes + size.overhead) / (4 * parameters) if parameters else None,
        "check": None,
    }
    found["bytes"].pop("payload_bits")
    if checked is not None:
        found["check"] = asdict(checked) | {"level": level, "verdict": checked.verdict(level)}
    return found


def lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A record for people: labels and values.

    Parameters
    ----------
    found : as `record` gives it.
    """
    size, share = found["bytes"], found["of_float32"]
    parts = ", ".join(f"{size[part]:,} {part}" for part in ("codes", "overhead", "biases", "header"))
    rows = [
        ("cut", f"{found['cut']} of {found['layers']}"),
        ("grid", f"{found['grid']}; activations {found['activation_grid']}"),
        ("file", f"{size['total']:,} bytes: {parts}"),
        ("payload", f"{found['payload_bits']:,} bits" + ("" if share is None else f", {share:.2%} of float32")),
    ]
    counted = found["instance_payload_bits"]
    if counted != found["payload_bits"]:
        rows.append(("", f"the instance counts {counted:,.0f} bits: it has no network.overhead"))
    done = found["check"]
    if done is not None:
        loss = Estimate(**done["loss"])
        rows += [
            ("run", f"{done['examples']:,} examples, {done['upload_bytes']:,} bytes up for each"),
            ("", f"score {done['score']:.4f}, unquantized {done['reference']:.4f}"),
            ("loss", f"{loss.points()}, level {done['level']:g}: {done['verdict']}"),
            *([("warning", done["doubt"])] if done["doubt"] else []),
            ("", f"{'' if done['identical'] else 'NOT '}bit for bit the network run with the quantizer's output"),
        ]
    return rows

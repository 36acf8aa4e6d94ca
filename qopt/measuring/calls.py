"""One call each, for modules at hand: `qopt.measure`, `qopt.finetune`, `qopt.pack`, `qopt.load_segment`.

torch is imported when one of them is called.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qopt.measuring.extra import need_torch

if TYPE_CHECKING:
    import numpy as np
    import torch

    from qopt.core.plan import Plan
    from qopt.core.solution import Solution
    from qopt.jqodi.estimators.curves import Curve
    from qopt.measuring.command import Measured
    from qopt.measuring.examples import Examples
    from qopt.measuring.finetuning import Loss
    from qopt.measuring.network import Network
    from qopt.measuring.progress import LineCallback, ProgressCallback
    from qopt.measuring.scores import Margin, Score
    from qopt.measuring.segment import Segment
    from qopt.measuring.segment_file import SegmentFile
    from qopt.measuring.sensitivity import Sensitivity

    Array = torch.Tensor | np.ndarray[Any, Any]
    Inputs = Array | tuple[Array, ...] | dict[str, Array]
    Data = Examples | str | os.PathLike[str] | tuple[Inputs, Array]


def measure(
    module: torch.nn.Module,
    example: Inputs,
    data: Data,
    *,
    levels: Sequence[float] | None = None,
    bits: Sequence[int] = range(1, 17),
    grid: str = "per-channel,clipped",
    sizes: Sequence[int] | None = None,
    name: str | None = None,
    input_bits: int = 32,
    guarantee: bool = False,
    joint: bool = False,
    score: Score | None = None,
    margin: Margin | None = None,
    device: str = "cpu",
    seed: int = 0,
    memory: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    say: LineCallback | None = None,
    advance: ProgressCallback | None = None,
) -> Measured:
    """How much quantization a network bears: coefficients, calibrated noise limits, and the instance made of them.

    Parameters
    ----------
    module : trained, float32, the first dimension of every input and output the batch.
    example : (n, ...) at least one input; a tuple, or a dict by name, where the module has several.
    data : labelled examples that the module was not trained on: inputs (n, ...), several as in `example`, and labels
        (n, ...), an ``.npz`` file with ``x`` or the inputs by name and ``labels``, or a folder of IDX archives.
    levels : list of accuracy losses a in (0, 1], ascending; by default those of 0.2, 0.5, 1, 2 and 5 points that the
        examples can decide.
    bits : list of consecutive widths within 1..16.
    grid : of the weights, in words.
    sizes : how many examples, one for each of coefficients, calibration and test; by default a quarter, a half, a
        quarter.
    name : of the instance, behind ``qpart/``; by default the class of the module.
    input_bits : of each value of the raw input.
    guarantee : whether losses must be bounded for every number of examples (exact intervals), not nearly.
    joint : whether to measure pairs of tensors, and take the limits down by what their joint noise has beyond the sum.
    score, margin : for other tasks than telling classes apart, or a module with several outputs, which they get as
        it returns them; see `qopt.measuring.scores` and `qopt.measuring.language`.
    device : where to measure, ``cpu`` or ``cuda``.
    seed : of division, noise and intervals.
    memory : bytes that tensors may take.
    checkpoint : folder for finished work; a run that was stopped goes on there.
    say, advance : receive lines and steps of progress.

    Returns
    -------
    The instance is its ``problem``, the coefficients its ``sensitivity``; printed, it lists the plans of least payload.

    Raises
    ------
    InputError
        A module that cannot be traced, examples that do not fit or are too few for a level, settings out of range.
    QoptError
        torch or safetensors is not installed.
    """
    need_torch()
    from qopt.measuring import command
    from qopt.measuring.profile import trace
    from qopt.measuring.progress import ignore_line, ignore_progress
    from qopt.measuring.scores import adversarial_margin, correct

    settings = command.Settings(
        sizes=sizes,
        levels=levels,
        bits=bits,
        grid=grid,
        device=device,
        input_bits=input_bits,
        guarantee=guarantee,
        joint=joint,
        score=score or correct,
        margin=margin or adversarial_margin,
        seed=seed,
        checkpoint=checkpoint,
    )
    if memory is not None:
        settings = replace(settings, memory=memory)
    network = trace(module, _tensor(example))
    name = type(module).__name__.lower() if name is None else name
    return command.measured(network, data, settings, name, say=say or ignore_line, advance=advance or ignore_progress)


def finetune(
    module: torch.nn.Module,
    example: Array,
    data: Data,
    *,
    bits: Sequence[int] = range(1, 9),
    epochs: int = 5,
    seeds: int = 1,
    sizes: Sequence[int] | None = None,
    lr: float = 1e-3,
    batch: int = 64,
    grid: str = "per-channel,symmetric,clipped",
    loss: Loss | None = None,
    name: str | None = None,
    label: str = "",
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    say: LineCallback | None = None,
    advance: ProgressCallback | None = None,
) -> list[Curve]:
    """Fine-tune a quantized network at some widths, and keep its losses by epoch, as JQODI's section III has it.

    In each epoch the full-precision weights are quantized, the quantized network is trained on the device's examples
    (straight-through), and what training changed is added to the full-precision weights.

    Parameters
    ----------
    module : trained, float32, the first dimension of its one input and its output the batch. It stays as it is: copies
        are tuned.
    example : (n, ...) at least one input.
    data : labelled examples of the device: inputs (n, ...) and labels (n,), an ``.npz`` file with ``x`` and
        ``labels``, or a folder of IDX archives.
    bits : list of widths, from 1 to 16, or 32 for full precision.
    epochs : of each width.
    seeds : how many runs of each width, in other orders of the examples.
    sizes : (2,) examples for training and for validation; by default four fifths and a fifth.
    lr, batch : learning rate of Adam, which begins anew in each epoch, and examples of a step.
    grid : of the weights, in words.
    loss : mean loss >= 0 of a batch, of outputs and labels; default the cross-entropy of classes.
    name : of the model; by default the class of the module.
    label : of the data.
    seed : of division and order of the examples.
    checkpoint : folder for finished curves and the last epoch; a run stopped there goes on.
    say : called with each line of progress.
    advance : called with what is under way, epochs done and epochs in all.

    Returns
    -------
    A curve for each width and seed: for `qopt.save_curves`, and for `qopt.forecast_losses`.

    Raises
    ------
    InputError
        A setting that is not allowed, data that do not fit, or a loss that is not finite.
    """
    need_torch()
    from qopt.measuring import finetuning_runs
    from qopt.measuring.finetuning import Settings
    from qopt.measuring.grids import Grid
    from qopt.measuring.progress import ignore_line, ignore_progress

    settings = Settings(lr, batch, Grid.parse(grid), loss, seed)
    name = type(module).__name__.lower() if name is None else name
    return finetuning_runs.run(
        module,
        _tensor(example),
        data,
        list(bits),
        epochs,
        seeds,
        settings,
        sizes=sizes,
        name=name,
        label=label,
        checkpoint=checkpoint,
        say=say or ignore_line,
        advance=advance or ignore_progress,
    )


def pack(
    module: torch.nn.Module,
    example: Inputs,
    plan: Plan | Solution,
    measured: Measured | Sensitivity | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
) -> SegmentFile:
    """The device's part of a network, quantized as a plan says, with the grids and ranges that were measured.

    Parameters
    ----------
    module : as it was measured.
    example : (n, ...) at least one input, as for `measure`.
    plan : whole bits, or a solution that has them.
    measured : what `measure` returned, its sensitivities, or the file that they were saved to.
    path : the file to write, whole or not at all; by default none is written.

    Returns
    -------
    The segment; its ``size`` says what the file's bytes are.

    Raises
    ------
    InputError
        No plan, one for another network, a width that was not measured, other weights than those measured, or a path
        that cannot be written.
    """
    need_torch()
    from qopt.core.errors import InputError
    from qopt.core.solution import Solution
    from qopt.measuring import delivery
    from qopt.measuring.command import Measured
    from qopt.measuring.profile import trace
    from qopt.measuring.segment import make
    from qopt.measuring.sensitivity import Sensitivity
    from qopt.qpart.plan import QPartPlan

    decision = plan.plan if isinstance(plan, Solution) else plan
    if not isinstance(decision, QPartPlan):
        raise InputError("plan", "none" if decision is None else type(decision).__name__, "a plan of a QPART request")
    if isinstance(measured, Measured):
        measured = measured.sensitivity
    found = measured if isinstance(measured, Sensitivity) else Sensitivity.load(measured)
    network = trace(module, _tensor(example))
    delivery.check_measured(found, network)
    ranges = delivery.measured_ranges(found, network, decision)
    segment = make(network, decision, found.grid, ranges, found.activation_grid)
    if path is not None:
        segment.save(path)
    return segment


def load_segment(path: str | os.PathLike[str], module: torch.nn.Module, example: Inputs) -> Segment:
    """A packed file ready to run: what the device computes, what it sends, what the server makes of it.

    Parameters
    ----------
    path : a file that `pack` wrote.
    module : the network that it was made from.
    example : (n, ...) at least one input, as for `measure`.

    Returns
    -------
    ``device.run(x)`` gives what is sent for inputs (n, ...), ``server.run(sent)`` the outputs; called, it does both.

    Raises
    ------
    InputError
        The file cannot be read, or is of another network or other weights.
    """
    need_torch()
    from qopt.measuring.profile import trace
    from qopt.measuring.segment import Segment

    return Segment.load(path, trace(module, _tensor(example)))


def traced(module: torch.nn.Module, example: Inputs) -> Network:
    """The module as layers 1..L.

    Parameters
    ----------
    module : as it was measured.
    example : (n, ...) at least one input, as for `measure`.
    """
    need_torch()
    from qopt.measuring.profile import trace

    return trace(module, _tensor(example))


def _tensor(example: Any) -> Any:
    """Arrays as tensors; anything else is for `trace` to judge."""
    import numpy as np
    import torch

    if isinstance(example, (tuple, list)):
        return tuple(map(_tensor, example))
    if isinstance(example, dict):
        return {name: _tensor(part) for name, part in example.items()}
    if not isinstance(example, np.ndarray) or example.dtype.kind not in "biuf":
        return example
    found = torch.as_tensor(example)
    return found.float() if found.dtype == torch.float64 else found

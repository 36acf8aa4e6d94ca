"""`qopt finetune`: how the loss of a user's own network goes, quantized and fine-tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, NetworkFunction, Weights, print_json
from qopt.core.errors import InputError
from qopt.measuring.extra import need_torch


def finetune(
    network: NetworkFunction,
    examples: Annotated[Path, typer.Argument(help="The device's: an .npz file with x and labels, or IDX archives.")],
    weights: Weights = None,
    split: Annotated[str, typer.Option(help="Which archives of a folder: train or t10k.")] = "train",
    sizes: Annotated[
        str | None, typer.Option(help="Examples for training and validation, e.g. 4000,1000; default 4/5, 1/5.")
    ] = None,
    bits: Annotated[str, typer.Option(help="Widths by commas, LO-HI for several; 32 is full precision.")] = "1-8",
    epochs: Annotated[int, typer.Option(help="Epochs of each width.")] = 5,
    seeds: Annotated[int, typer.Option(help="Runs of each width.")] = 1,
    lr: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 1e-3,
    batch: Annotated[int, typer.Option(help="Examples of a step.")] = 64,
    grid: Annotated[str, typer.Option(help="Of the weights, as for qopt measure.")] = "per-channel,symmetric,clipped",
    loss: Annotated[
        str | None, typer.Option(help="NET.py:FUNCTION of outputs and labels, the mean loss; default cross-entropy.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the model; default that of its class.")] = None,
    label: Annotated[str, typer.Option(help="Of the data.")] = "",
    seed: Annotated[int, typer.Option(help="Of division and order of the examples.")] = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder for finished work; a run stopped there goes on.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the curves to this file, for qopt forecast.")] = None,
    as_json: AsJson = False,
) -> int:
    """Fine-tune a quantized network, epoch by epoch: quantize, train, update; and keep its losses.

    Example: qopt finetune net.py:build examples.npz --bits 2-4,32 --epochs 5 --save curves.json

    The epochs stay few: `qopt forecast` says from them how many a loss takes.
    """
    need_torch()
    if save is not None and (save.is_dir() or not save.absolute().parent.is_dir()):  # said before hours of work
        raise InputError("--save", str(save), "a file in a folder that exists")
    from qopt.jqodi.estimators.curves import save_curves
    from qopt.measuring import command, finetuning_runs, report
    from qopt.measuring.finetuning import Settings
    from qopt.measuring.grids import Grid
    from qopt.measuring.loading import load_function, load_module

    settings = Settings(lr, batch, Grid.parse(grid), None if loss is None else load_function(loss, "--loss"), seed)
    module, example = load_module(network, weights)
    with report.progress(quiet=as_json) as (say, advance):
        curves = finetuning_runs.run(
            module,
            example,
            examples,
            _widths(bits),
            epochs,
            seeds,
            settings,
            sizes=None if sizes is None else command.numbers("--sizes", sizes, int, 2),
            split=split,
            name=network.rpartition(":")[2] if name is None else name,
            label=label,
            checkpoint=checkpoint,
            say=say,
            advance=advance,
        )
    if save is not None:
        save_curves(curves, save)
    if as_json:
        print_json([curve.to_dict() for curve in curves])
    else:
        print(
            f"{'bits':>4} {'seed':>4} {'L_a':>9} {'quantized':>9} {'trained':>9} {'updated':>9}  after epoch {epochs}"
        )
        for curve in curves:
            losses = (curve.loss, curve.quantized[-1], curve.trained[-1], curve.updated[-1])
            print(f"{curve.bits:4} {curve.seed:4} " + " ".join(f"{value:9.4g}" for value in losses))
    return ExitCode.FOUND


def _widths(text: str) -> list[int]:
    """``1-8,32`` as a list."""
    found: list[int] = []
    for part in text.split(","):
        lo, dash, hi = part.partition("-")
        try:
            ends = int(lo), int(hi if dash else lo)
        except ValueError:
            raise InputError("--bits", repr(text), "widths by commas, such as 1-8,32") from None
        if not 1 <= ends[0] <= ends[1] <= 32:
            raise InputError("--bits", repr(text), "widths from 1 to 16, ascending in a range, or 32")
        found += range(ends[0], ends[1] + 1)
    return found

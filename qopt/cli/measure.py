"""`qopt measure`: how much quantization a user's own network bears."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, NetworkFunction, Weights, print_json
from qopt.core.errors import InputError
from qopt.measuring.extra import need_torch


def measure(
    network: NetworkFunction,
    examples: Annotated[
        Path, typer.Argument(help="An .npz file with x and labels, or a folder of IDX archives; not used in training.")
    ],
    weights: Weights = None,
    split: Annotated[str, typer.Option(help="Which archives of a folder: train or t10k.")] = "train",
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Examples for coefficients, calibration and test, e.g. 5000,10000,5000; default 1/4, 1/2, 1/4."
        ),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(
            help="Accuracy losses, shares (0.01 is one point), ascending; default those of 0.002,0.005,0.01,0.02,0.05 "
            "that the examples can decide."
        ),
    ] = None,
    bits: Annotated[str, typer.Option(help="Widths, LO-HI.")] = "1-16",
    grid: Annotated[
        str,
        typer.Option(
            help="Of the weights: per-tensor, per-channel or groups-of-32 (64, 128), asymmetric or symmetric, "
            "minmax or clipped; for groups scales-16 or scales-8."
        ),
    ] = "per-channel,clipped",
    guarantee: Annotated[
        bool, typer.Option("--guarantee", help="Bound losses for every number of examples: wider, exact intervals.")
    ] = False,
    joint: Annotated[
        bool, typer.Option("--joint", help="Measure pairs of tensors; limits go down by their noise beyond the sum.")
    ] = False,
    score: Annotated[
        str | None,
        typer.Option(
            help="NET.py:FUNCTION of outputs and labels, for other tasks than classes; a margin goes with it."
        ),
    ] = None,
    margin: Annotated[
        str | None, typer.Option(help="NET.py:FUNCTION of outputs: squared norm of a change that matters.")
    ] = None,
    input_bits: Annotated[int, typer.Option(help="Bits of each value of the raw input.")] = 32,
    device: Annotated[str, typer.Option(help="Where to measure: cpu or cuda.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Of division, noise and intervals.")] = 0,
    memory: Annotated[
        int | None, typer.Option(help="MiB that tensors may take; by default a share of what the device has free.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder for finished work; a run stopped there goes on.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            help="i/n: measure every n-th tensor into the checkpoint, as one of n processes; then run without it."
        ),
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the instance to this file.")] = None,
    measured: Annotated[Path | None, typer.Option(help="Write the sensitivities to this file, for qopt pack.")] = None,
    as_json: AsJson = False,
) -> int:
    """Measure how much quantization a network bears: noise, robustness and noise limits, with intervals.

    Example: qopt measure net.py:build examples.npz --save mine.json --measured measured.json
    """
    need_torch()
    for option, path in (("--save", save), ("--measured", measured)):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):  # said before hours of work
            raise InputError(option, str(path), "a file in a folder that exists")
    from qopt.core.shard import Shard
    from qopt.measuring import command, report
    from qopt.measuring.loading import load_function
    from qopt.measuring.scores import adversarial_margin, correct

    if (score is None) != (margin is None):
        given, other = ("--score", "--margin") if margin is None else ("--margin", "--score")
        raise InputError(other, f"nothing beside {given}", "both, or neither")
    with report.progress(quiet=as_json) as (say, advance):
        settings = command.Settings(
            weights=weights,
            split=split,
            sizes=None if sizes is None else command.numbers("--sizes", sizes, int, 3),
            levels=None if levels is None else command.numbers("--levels", levels, float),
            bits=command.widths("--bits", bits),
            grid=grid,
            device=device,
            input_bits=input_bits,
            seed=seed,
            memory=None if memory is None else memory * 2**20,
            checkpoint=checkpoint,
            guarantee=guarantee,
            joint=joint,
            score=correct if score is None else load_function(score, "--score"),
            margin=adversarial_margin if margin is None else load_function(margin, "--margin"),
        )
        if shard is not None:
            part = command.run_shard(network, examples, settings, Shard.parse(shard), say=say, advance=advance)
            say(f"shard {shard}: {len(part.tensors)} tensors measured; once all shards are, run without --shard")
            return ExitCode.FOUND
        found = command.run(network, examples, settings, say=say, advance=advance)
    if save is not None:
        from qopt.core.reading import save as write

        write(found.problem, save)
    if measured is not None:
        found.sensitivity.save(measured)
    if as_json:
        print_json(found.to_dict())
    else:
        report.show(found)
    return ExitCode.FOUND

"""`qopt pack`: the device's part of a network, quantized as a plan says, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, Instance, NetworkFunction, Weights, load_instance, print_json
from qopt.measuring.extra import need_torch


def pack(
    instance: Instance,
    plan: Annotated[Path, typer.Argument(help="A plan file, or the output of `qopt solve --json`.")],
    network: NetworkFunction,
    out: Annotated[Path, typer.Option(help="Write the segment to this file (safetensors).")],
    weights: Weights = None,
    measured: Annotated[
        Path | None, typer.Option(help="Measured sensitivities: their grids, and their ranges of the activations.")
    ] = None,
    grid: Annotated[
        str | None, typer.Option(help="Without --measured: the weights' grid, e.g. per-channel,symmetric,clipped.")
    ] = None,
    ranges: Annotated[
        Path | None, typer.Option(help="Without --measured: examples on which the activations' ranges are fixed.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="Run device and server on these examples (.npz, or a folder of IDX archives).")
    ] = None,
    split: Annotated[str, typer.Option(help="Of a folder to check on: t10k or train.")] = "t10k",
    level: Annotated[float | None, typer.Option(help="Accuracy level to check; by default the instance's.")] = None,
    as_json: AsJson = False,
) -> int:
    """Pack the device's part of a network, quantized as a plan says, into a file.

    Of a folder of archives, --ranges reads the training examples. With --check the file is read back and run.
    """
    need_torch()
    from qopt.measuring import delivery, report

    record = delivery.deliver(
        load_instance(instance) if instance == "-" else instance,
        plan,
        network,
        out,
        weights=weights,
        measured=measured,
        grid=grid,
        ranges=ranges,
        examples=check,
        split=split,
        level=level,
    )
    if as_json:
        print_json(record)
    else:
        report.show_lines(delivery.lines(record))
    return ExitCode.FOUND

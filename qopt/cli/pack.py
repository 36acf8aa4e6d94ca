"""`qopt pack`: the device's part of a network, quantized as a plan says, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, Instance, NetworkFunction, Weights, load_instance, print_json
from qopt.measuring.extra import need_torch
from qopt.runtime.extra import need_onnx

if TYPE_CHECKING:
    from qopt.runtime.manifest import Parts


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
    parts: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write the parts as ONNX files (QDQ), for `qopt run-part`."),
    ] = None,
    level: Annotated[float | None, typer.Option(help="Accuracy level to check; by default the instance's.")] = None,
    as_json: AsJson = False,
) -> int:
    """Pack the device's part of a network, quantized as a plan says, into a file.

    Example: qopt pack mine.json plan.json net.py:build --measured measured.json --out segment.safetensors

    Of a folder of archives, --ranges reads the training examples. With --check the file is read back and run.
    """
    if parts is not None:
        from qopt.runtime.manifest import check_free

        check_free(parts)
        need_onnx()
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
    made = None if parts is None else _export(out, network, weights, parts)
    if as_json:
        print_json(record if made is None else record | {"parts": made.model_dump()})
        return ExitCode.FOUND
    report.show_lines(delivery.lines(record))
    if made is not None and parts is not None:
        from qopt.runtime.report import show_parts

        show_parts(made, parts)
    return ExitCode.FOUND


def _export(segment: Path, network: str, weights: Path | None, folder: Path) -> Parts:
    """The segment's parts as ONNX files."""
    from qopt.measuring.loading import load_module
    from qopt.runtime.qdq import export_parts

    return export_parts(segment, *load_module(network, weights), folder)

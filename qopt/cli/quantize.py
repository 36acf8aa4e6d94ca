"""`qopt quantize`: 8-bit weights and activations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, print_json
from qopt.cli.onnx_options import OnnxFile, Shapes, Unfolded, one_size
from qopt.runtime.extra import need_onnx


def quantize(
    model: OnnxFile,
    examples: Annotated[
        Path, typer.Argument(metavar="CALIBRATION.npz", help="Arrays (n, ...) by the names of the inputs.")
    ],
    save: Annotated[Path, typer.Option(help="Write the quantized model to this file.")],
    shape: Shapes = None,
    per_channel: Annotated[
        bool, typer.Option("--per-channel/--per-tensor", help="A scale for each channel of a weight, or one.")
    ] = True,
    unfolded: Unfolded = False,
    as_json: AsJson = False,
) -> int:
    """Quantize an ONNX file to 8 bits, ranges from calibration examples (static, QDQ).

    Example: qopt quantize model.onnx calibration.npz --save quantized.onnx
    """
    need_onnx()
    from qopt.runtime import report
    from qopt.runtime.quantizing import quantize_onnx

    shapes = one_size(shape)
    found = quantize_onnx(model, examples, save, shapes=shapes, per_channel=per_channel, optimize=not unfolded)
    if as_json:
        print_json(report.quantized_data(found))
    else:
        report.show_quantized(found, save)
    return ExitCode.FOUND

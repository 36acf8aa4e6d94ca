"""`qopt exit`: a network without its last repeated blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, print_json
from qopt.cli.onnx_options import OnnxFile, Shapes, Unfolded, one_size
from qopt.runtime.extra import need_onnx


def exit(
    model: OnnxFile,
    save: Annotated[Path | None, typer.Option(help="Write the shortened model to this file.")] = None,
    shape: Shapes = None,
    blocks: Annotated[int, typer.Option(help="How many repeated blocks to leave out.")] = 2,
    unfolded: Unfolded = False,
    as_json: AsJson = False,
) -> int:
    """Leave out the last repeated blocks of an ONNX file (an early exit), found by their structure.

    Example: qopt exit model.onnx --save short.onnx
    """
    need_onnx()
    from qopt.runtime import report
    from qopt.runtime.exits import exit_onnx

    found = exit_onnx(model, save, shapes=one_size(shape), blocks=blocks, optimize=not unfolded)
    if as_json:
        print_json(report.exit_data(found))
    else:
        report.show_exit(found, save)
    return ExitCode.FOUND

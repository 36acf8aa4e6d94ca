"""`qopt split`: a placement becomes files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, print_json
from qopt.cli.onnx_options import OnnxFile, Shapes, Unfolded, one_size
from qopt.runtime.extra import need_onnx


def split(
    model: OnnxFile,
    plan: Annotated[Path, typer.Argument(help="A plan or a solution of the placement (JSON).")],
    out: Annotated[Path, typer.Option(help="Folder for the parts; not there yet, or empty.")],
    shape: Shapes = None,
    profile: Annotated[
        Path | None, typer.Option(help="Profile of this file: its shapes, and needed for a quantized file.")
    ] = None,
    unfolded: Unfolded = False,
    as_json: AsJson = False,
) -> int:
    """Cut an ONNX file along a placement: a part for each tier, and a manifest of what crosses.

    Example: qopt split model.onnx plan.json --profile mobile.json --out parts
    """
    need_onnx()
    from qopt.runtime import report
    from qopt.runtime.splitting import split_onnx

    parts = split_onnx(model, plan, out, shapes=one_size(shape), profile=profile, optimize=not unfolded)
    if as_json:
        print_json(parts.model_dump())
    else:
        report.show_parts(parts, out)
    return ExitCode.FOUND

"""What the commands for ONNX files share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OnnxFile = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="An ONNX file.")]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="NAME=1,3,320,320",
        help="Shape of an input that the file leaves open. Repeatable, for several inputs.",
    ),
]
Unfolded = Annotated[
    bool, typer.Option("--unfolded", help="Leave the file's operations as they are: no constants are folded.")
]


def one_size(shapes: list[str] | None) -> dict[str, tuple[int, ...]] | None:
    """The shapes of ``--shape``, of one input size; None where none is given.

    Raises
    ------
    InputError
        Several sizes of an input, or no shape.
    """
    from qopt.core.errors import InputError
    from qopt.runtime.shapes import parse_sizes

    if not shapes:
        return None
    sizes = parse_sizes(shapes)
    if len(sizes) > 1:
        raise InputError("--shape", f"{len(sizes)} sizes of an input", "one")
    return sizes[0]

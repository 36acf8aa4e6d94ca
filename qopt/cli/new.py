"""`qopt new`: an instance file to begin with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import ExitCode, family_names
from qopt.core.errors import InputError


def new(
    family: Annotated[
        str, typer.Argument(help="qpart, placement, jqodi, allocation or fleet.", autocompletion=family_names)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write to this file, which must be a new one.")
    ] = None,
) -> int:
    """Write a commented instance with every field, which loads and solves as it is.

    Example: qopt new qpart -o mine.json
    """
    from qopt.core.families import family_named
    from qopt.core.files import write_text
    from qopt.core.template import template

    text = template(family_named(family))
    if out is None:
        sys.stdout.write(text)
        return ExitCode.FOUND
    if out.exists():
        raise InputError("--out", f"{out}, which exists", "a new file")
    write_text(out, text)
    return ExitCode.FOUND

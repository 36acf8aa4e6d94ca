"""`qopt export`: an instance as a model for other solvers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import Changes, Cut, ExitCode, Instance, Level, read_problem


def format_names(incomplete: str) -> list[str]:
    """Formats that begin like this, for the shell's completion."""
    from qopt.core.export import FORMATS

    return [name for name in FORMATS if name.startswith(incomplete)]


def export(
    instance: Instance,
    format: Annotated[
        str | None,
        typer.Option(help="mps, lp, nl or cip; by default what the file ends in.", autocompletion=format_names),
    ] = None,
    formulation: Annotated[str | None, typer.Option(help="Which model; see `qopt methods` at pyomo.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file, not to standard output.")] = None,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
) -> int:
    """Write an instance as a model that other solvers read; `qopt check` takes their solution files."""
    from qopt.core.export import export as write

    text = write(read_problem(instance, change, cut, level), out, format=format, formulation=formulation)
    if out is None:
        sys.stdout.write(text)
    return ExitCode.FOUND

"""`qopt export`: an instance as a model for other solvers, or its solution as a proof for the checker."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import Changes, Cut, ExitCode, Instance, Level, read_problem
from qopt.core.errors import InputError, shown
from qopt.core.problem import Problem

PROOF = "proof"
"""The format that is no model."""


def format_names(incomplete: str) -> list[str]:
    """Formats that begin like this, for the shell's completion."""
    from qopt.core.export import FORMATS

    return [name for name in (*FORMATS, PROOF) if name.startswith(incomplete)]


def export(
    instance: Instance,
    solution: Annotated[
        str | None,
        typer.Argument(help="For a proof: a file of `qopt solve --json`, or a plan; without it qopt solves."),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="mps, lp, nl or cip, by default what the file ends in; or proof.", autocompletion=format_names
        ),
    ] = None,
    formulation: Annotated[str | None, typer.Option(help="Which model; see `qopt methods` at pyomo.")] = None,
    gap: Annotated[
        float | None, typer.Option(help="For a proof: the share of its cost by which a plan may be above the best.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file, not to standard output.")] = None,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
) -> int:
    """Write an instance as a model that other solvers read, or its solution as a proof that the checker reads.

    Example: qopt export qpart/teaching-3 -o model.mps

    `qopt check` takes the solvers' solution files. A proof is for `python -m qopt.kernels.checker FILE`, which imports
    nothing but the standard library.
    """
    from qopt.core.export import export as write
    from qopt.core.files import write_text

    problem = read_problem(instance, change, cut, level)
    if format != PROOF:
        for name, value in (("solution", solution), ("--gap", gap)):
            if value is not None:
                raise InputError(name, shown(value), "nothing beside a model: --format proof takes it")
        text = write(problem, out, format=format, formulation=formulation)
    else:
        if formulation is not None:
            raise InputError("--formulation", shown(formulation), "nothing beside --format proof")
        text = _proof(problem, solution, gap)
        if out is not None:
            write_text(out, text)
    if out is None:
        sys.stdout.write(text)
    return ExitCode.FOUND


def _proof(problem: Problem, solution: str | None, gap: float | None) -> str:
    """The text of a proof, accepted by the checker."""
    from qopt.core.solving import solve
    from qopt.kernels.proof import proof_of

    found = proof_of(problem, solve(problem) if solution is None else solution, gap=gap)
    return json.dumps(found, allow_nan=False) + "\n"

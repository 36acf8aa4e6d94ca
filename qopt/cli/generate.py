"""`qopt generate`: a seeded random instance."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import ExitCode, family_names, settings
from qopt.core.errors import InputError


def generate(
    family: Annotated[
        str, typer.Argument(help="qpart, placement, jqodi, allocation or fleet.", autocompletion=family_names)
    ],
    size: Annotated[int, typer.Argument(help="Layers, operations, epochs, groups or requests.")],
    seed: Annotated[int, typer.Option(help="The same seed and settings give the same instance.")],
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Another setting of qopt.generate.FAMILY; a wrong name lists them."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file, not to standard output.")] = None,
) -> int:
    """Write a random instance of any size.

    Example: qopt generate qpart 20 --seed 7 --set memory=1.5 -o drawn.json
    """
    from qopt.core.families import FAMILIES, family_named
    from qopt.core.reading import save, to_json

    own = family_named(family)
    if not own.generate:
        able = " or ".join(f.name for f in FAMILIES.values() if f.generate)
        raise InputError("family", f"{own.name}, which has no generator", able)
    function = own.part("generate")
    chosen = settings(change)
    first, *others = inspect.signature(function).parameters
    known = [name for name in others if name != "seed"]
    for name in chosen:
        if name not in known:
            raise InputError("--set", name, ", ".join(known))
    try:
        problem = function(size, seed=seed, **chosen)
    except InputError as error:
        raise InputError("SIZE" if error.field == first else error.field, error.found, error.allowed) from None
    if out is None:
        sys.stdout.write(to_json(problem))
    else:
        save(problem, out)
    return ExitCode.FOUND

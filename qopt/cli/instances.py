"""`qopt instances`: the bundled instances."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qopt.cli.common import AsJson, ExitCode, print_json


def instances(
    family: Annotated[str | None, typer.Option(help="Only qpart, placement, jqodi, allocation or fleet.")] = None,
    as_json: AsJson = False,
) -> int:
    """List the bundled instances.

    Example: qopt instances --family qpart
    """
    from qopt.core.families import family_named
    from qopt.core.reading import bundled, load

    records: list[dict[str, Any]] = []
    folder = "" if family is None else f"{family_named(family).name}/"
    for name in (name for name in bundled() if name.startswith(folder)):
        problem = load(name)
        known = (problem.best_known or {}).get("objective")
        about = problem.description.split(". ")[0].rstrip(".")
        records.append({"name": name, "layers": problem.layers, "best_known": known, "about": about})
    if as_json:
        print_json(records)
        return ExitCode.FOUND
    from rich.table import Table

    from qopt.core.display import number
    from qopt.core.report import console

    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("instance", no_wrap=True)
    table.add_column("layers", justify="right")
    table.add_column("best known", justify="right")
    table.add_column("about")
    for r in records:
        table.add_row(r["name"], str(r["layers"]), number(r["best_known"]), r["about"])
    console().print(table)
    return ExitCode.FOUND

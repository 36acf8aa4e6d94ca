"""`qopt methods`: what can solve an instance, and what each method proves."""

from __future__ import annotations

from typing import Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, instance_names, load_instance, print_json


def methods(
    instance: Annotated[
        str | None, typer.Argument(help="Say which can solve this one.", autocompletion=instance_names)
    ] = None,
    family: Annotated[
        str, typer.Option(help="Without an instance: qpart, placement, jqodi, allocation or fleet.")
    ] = "qpart",
    as_json: AsJson = False,
) -> int:
    """List the methods, what each proves, and why one cannot be used.

    Example: qopt methods qpart/teaching-3
    """
    from qopt.core.solving import methods as listed

    records = listed(None if instance is None else load_instance(instance), family=family)
    if as_json:
        print_json(records)
        return ExitCode.FOUND
    from rich.table import Table

    from qopt.core.report import console

    table = Table(header_style="bold", box=None, pad_edge=False)
    bits = any(r["bits"] for r in records)
    for heading in ("method", *(("bits",) if bits else ()), "proves", "how", "solvers", "usable"):
        table.add_column(heading)
    for r in records:
        solvers = ", ".join(name if why is None else f"{name} ({why})" for name, why in r["solvers"].items())
        table.add_row(
            r["name"], *([r["bits"]] if bits else []), r["proves"], r["summary"], solvers, r["reason"] or "yes"
        )
    console().print(table)
    return ExitCode.FOUND

"""`qopt solvers`: what there is to hand models to."""

from __future__ import annotations

from typing import Annotated

import typer

from qopt.cli.common import AsJson, ExitCode, print_json


def solvers(
    every: Annotated[bool, typer.Option("--all", help="Also those that Pyomo and CVXPY know and do not find.")] = False,
    as_json: AsJson = False,
) -> int:
    """List the solvers that can be used (--solver), by which methods, and why others cannot.

    Example: qopt solvers
    """
    from qopt.core.solvers.backends import listed

    records = listed()
    if as_json:
        print_json(records)
        return ExitCode.FOUND
    from rich.table import Table

    from qopt.core.report import console

    table = Table(header_style="bold", box=None, pad_edge=False)
    for heading in ("solver", "methods", "usable"):
        table.add_column(heading)
    known = [r for r in records if every or r["listed"] or r["reason"] is None]
    for r in known:
        table.add_row(str(r["name"]), str(r["method"]), str(r["reason"] or "yes"))
    console().print(table)
    if len(known) < len(records):
        print(f"and {len(records) - len(known)} more that Pyomo and CVXPY know and do not find: qopt solvers --all")
    return ExitCode.FOUND

"""`qopt audit`: somebody's plan against the best there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, exit_code, instance_names, load_instance, print_json
from qopt.core.errors import InputError


def audit(
    table: Annotated[
        str,
        typer.Argument(
            help="A bundled allocation, its file, a HAWQ or GGUF Tool Suite table, a .csv, or - for standard input.",
            autocompletion=instance_names,
        ),
    ],
    plan: Annotated[Path, typer.Argument(help="A recipe (lines PATTERN=TYPE), or JSON with a format for each group.")],
    budget: Annotated[
        list[str] | None, typer.Option("--budget", metavar="NAME=AMOUNT", help="In place of the table's. Repeatable.")
    ] = None,
    own_use: Annotated[
        bool, typer.Option("--own-use", help="Measure against what the plan itself takes, though it keeps the budgets.")
    ] = False,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for the best plan.")] = None,
    save_plan: Annotated[Path | None, typer.Option(help="Write the best plan to this file.")] = None,
    as_json: AsJson = False,
) -> int:
    """Say what another tool's plan weighs, its true gap, and the better plan with its proof.

    Example: qopt audit allocation/qwen3.5-0.8b recipe.txt --budget bytes=400000000
    """
    from qopt.allocation.audit import audit as run

    budgets: dict[str, float | None] = {}
    for change in budget or []:
        name, equals, text = change.partition("=")
        try:
            amount = float(text) if equals and name else None
        except ValueError:
            amount = None
        if amount is None:
            raise InputError("--budget", repr(change), "NAME=AMOUNT, such as bytes=400000000")
        if name in budgets:
            raise InputError("--budget", f"{name} twice", "each resource once")
        budgets[name] = amount
    found = run(
        load_instance(table) if table == "-" else table, plan, budgets=budgets, own_use=own_use, time_limit=time_limit
    )
    if save_plan is not None and found.best.plan is not None:
        from qopt.core.plan import save_plan as write

        write(found.best.plan, save_plan)
    if as_json:
        print_json(found.to_dict())
    else:
        from qopt.core.report import console

        console().print(found.rendered())
    return exit_code(found.best.plan is not None, found.best.certificate.infeasible)

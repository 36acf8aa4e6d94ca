"""`qopt compare`: several methods on several instances, side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from qopt.cli.common import AsJson, Changes, Cut, Level, exit_code, instance_names, print_json, read_problem


def compare(
    instances: Annotated[list[str], typer.Argument(help="Bundled names or paths.", autocompletion=instance_names)],
    methods: Annotated[str | None, typer.Option(help="Names separated by commas; default all.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for each call, plan and proof together.")] = None,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    as_json: AsJson = False,
) -> int:
    """Solve instances with several methods and compare the certified answers."""
    from qopt.comparison.tables import rows

    problems = [read_problem(instance, change, cut, level) for instance in instances]
    names = None if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    records = rows(problems, names, time_limit=time_limit)
    if as_json:
        print_json(records)
    else:
        from qopt.core.report import comparison_table, console

        console().print(comparison_table(records))
    return exit_code(any(r["verified"] for r in records), any(r["status"] == "infeasible" for r in records))

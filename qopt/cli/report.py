"""`qopt report`: instances as one page of HTML, with sliders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import Changes, Cut, ExitCode, Level, instance_names, read_problem
from qopt.core.errors import InputError, shown


def report(
    instances: Annotated[list[str], typer.Argument(help="Bundled names or paths.", autocompletion=instance_names)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page, a file that ends in .html.")] = Path(
        "report.html"
    ),
    compare: Annotated[bool, typer.Option("--compare", help="Put all methods beside each other.")] = False,
    methods: Annotated[str | None, typer.Option(help="Compare these, names separated by commas.")] = None,
    explore: Annotated[bool, typer.Option("--explore/--no-explore", help="With sliders or without.")] = True,
    time_limit: Annotated[
        float | None,
        typer.Option(help="Seconds for each solve and each slider; by default 5 for a slider, less for large ones."),
    ] = None,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
) -> int:
    """Write one page about instances that needs nothing but a browser: plan, proof, pictures, and sliders.

    Example: qopt report qpart/teaching-3 placement/teaching-5 -o report.html

    A slider moves along all best plans, which are computed beforehand: for a rate, a deadline, a budget, noise.
    """
    from qopt.reporting.page import report as run

    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError("--output", shown(str(output)), "a name that ends in .html")
    names = None if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    problems = [read_problem(instance, change, cut, level) for instance in instances]
    page = run(problems, compare=compare, methods=names, explore=explore, time_limit=time_limit)
    page.save(output)
    for solution in page.solutions:
        print(f"{solution.problem}: {solution.certificate.verdict}")
    print(f"{output}: {len(page.html.encode()) / 1000:.0f} kB")
    return ExitCode.FOUND

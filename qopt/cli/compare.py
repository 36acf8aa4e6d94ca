"""`qopt compare`: several methods on several instances, side by side; or a study, from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from qopt.cli import studies
from qopt.cli.common import (
    AsJson,
    Changes,
    Cut,
    ExitCode,
    Level,
    exit_code,
    instance_names,
    print_json,
    read_problem,
)
from qopt.core.errors import InputError
from qopt.core.shard import Shard


def compare(
    instances: Annotated[
        list[str],
        typer.Argument(help="Bundled names or paths; or one study, a .toml file.", autocompletion=instance_names),
    ],
    methods: Annotated[str | None, typer.Option(help="Names separated by commas; default all.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for each call, plan and proof together.")] = None,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    as_json: AsJson = False,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Of a study; default STUDY.jsonl beside its file.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a study's journal.")] = False,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Share I of N of a study, with its journal.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Solves of a study at the same time; -1 for every core.")] = None,
    merge: Annotated[
        list[Path] | None, typer.Option(help="Put this journal's results into the study's, run nothing. Repeatable.")
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="Run nothing: only the table of a study's journal.")] = False,
    module: Annotated[
        list[str] | None, typer.Option("--import", metavar="MODULE", help="Imported before solving. Repeatable.")
    ] = None,
) -> int:
    """Solve instances with several methods and compare the certified answers.

    Example: qopt compare qpart/mnist-mlp6 --methods mckp,highs-mip,round-up
    """
    asked: dict[str, object] = {
        "--methods": methods,
        "--time-limit": time_limit,
        "--cut": cut,
        "--level": level,
        "--set": change,
    }
    own: dict[str, object] = {
        "--journal": journal,
        "--resume": resume or None,
        "--shard": shard,
        "--jobs": jobs,
        "--merge": merge,
        "--table": table or None,
        "--import": module,
    }
    if studies.is_study(instances[0]):
        if len(instances) > 1:
            raise InputError("instances", f"{len(instances)} beside a study", "one study")
        for option, value in asked.items():
            if value is not None:
                raise InputError(option, "this option beside a study", "what the study's file says")
        return studies.compare(
            instances[0],
            journal,
            resume,
            None if shard is None else Shard.parse(shard),
            jobs,
            merge or [],
            table,
            module or [],
            csv,
            as_json,
        )
    for option, value in own.items():
        if value is not None:
            raise InputError(option, f"instances, such as {instances[0]!r}", "this option for a study, a .toml file")
    return _instances(instances, methods, time_limit, cut, level, change, as_json, csv)


def _instances(
    instances: list[str],
    methods: str | None,
    time_limit: float | None,
    cut: int | None,
    level: float | None,
    change: list[str] | None,
    as_json: bool,
    csv: Path | None,
) -> int:
    """Compare on some instances; what there is when it is interrupted is printed too."""
    from qopt.comparison.tables import rows

    problems = [read_problem(instance, change, cut, level) for instance in instances]
    names = None if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    records: list[dict[str, Any]] = []
    interrupted = False
    with studies.Progress(None) as progress:

        def keep(record: dict[str, Any]) -> None:
            records.append(record)
            progress(record)

        try:
            rows(problems, names, time_limit=time_limit, progress=keep)
        except KeyboardInterrupt:
            interrupted = True
    if csv is not None:
        studies.write_csv(csv, records)
    if as_json:
        print_json(records)
    elif records:
        from qopt.core.report import comparison_table, console

        console().print(comparison_table(records))
    if interrupted:
        return ExitCode.INTERRUPTED
    return exit_code(any(r["verified"] for r in records), any(r["status"] == "infeasible" for r in records))

"""Studies on the command line: run, resumed, merged, and their tables."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qopt.cli.common import ExitCode, exit_code, print_json
from qopt.core.display import short
from qopt.core.shard import Shard

if TYPE_CHECKING:
    from qopt.comparison.study import Study

ROWS = 40
"""Results that are printed one by one; of more, only what they come to."""

FEW = 200
"""Results of which each has a line of progress; more share one line that changes."""


def is_study(name: str) -> bool:
    """Whether an argument is a study: a TOML file, or a JSON file that says so."""
    if name.endswith(".toml"):
        return True
    try:
        with open(name, encoding="utf-8") as file:
            return name.endswith(".json") and '"qopt/study"' in file.read(4096)
    except (OSError, ValueError):
        return False


def compare(
    name: str,
    journal: Path | None,
    resume: bool,
    shard: Shard | None,
    jobs: int | None,
    merge: Sequence[Path],
    table_only: bool,
    imports: Sequence[str],
    table_file: Path | None,
    as_json: bool,
) -> int:
    """Run a study, go on with it or merge its journals, and print what there is."""
    from qopt.comparison.engine import head_of
    from qopt.comparison.journal import merge as put_together
    from qopt.comparison.results import records
    from qopt.comparison.study import Study
    from qopt.comparison.tasks import Tasks

    study = Study.read(name)
    path = journal or _beside(name, shard)
    total, interrupted = Tasks(study, shard).count(), False
    if merge:
        put_together([*map(str, merge)], path, head_of(study, shard))
    elif not table_only:
        with Progress(total, path if resume else None) as progress:
            try:
                study.run(path, jobs=jobs, shard=shard, resume=resume, imports=imports, progress=progress)
            except KeyboardInterrupt:
                interrupted = True
    found = records(path, study)
    if table_file is not None:
        write_csv(table_file, found)
    if as_json:
        print_json(found)
    else:
        _print(study, found, path, total)
    if interrupted:
        return ExitCode.INTERRUPTED
    return exit_code(any(r["verified"] for r in found), any(r["status"] == "infeasible" for r in found))


def _beside(name: str, shard: Shard | None) -> Path:
    """The journal of a study: its file's name, and the share's."""
    path = Path(name)
    part = "" if shard is None else f".{shard[0]}of{shard[1]}"
    return path.with_name(f"{path.stem}{part}.jsonl")


def _print(study: Study, found: list[dict[str, Any]], path: Path, total: int) -> None:
    """Results one by one where they are few, and what each run comes to."""
    from rich.text import Text

    from qopt.comparison.summary import summary_table, wrong_claims
    from qopt.core.report import comparison_table, console

    out = console()
    if not found:
        out.print(Text(f"{study.name}: no result yet in {path}"))
        return
    if len(found) <= ROWS:
        out.print(comparison_table([{**row, "problem": row["instance"], "method": row["run"]} for row in found]))
        out.print()
    out.print(summary_table(found))
    for line in wrong_claims(found):
        out.print(Text(line, style="bold red"))
    if len(found) < total:
        out.print(Text(f"{len(found)} of {total} results in {path}; --resume goes on with them", style="dim"))
    else:
        out.print(Text(f"{len(found)} results in {path}", style="dim"))


def write_csv(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Records as a CSV file, whole or not at all: a line each, empty where there is nothing to say."""
    from qopt.core.files import write_text

    columns = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in record.items()})
    write_text(path, text.getvalue())


class Progress:
    """Each result as it comes, on a terminal's standard error; of many, their number and the time left.

    Parameters
    ----------
    total : how many results there will be; None where that is not known.
    begun : a journal whose results are there already.
    """

    def __init__(self, total: int | None, begun: Path | None = None) -> None:
        self.total, self.count = total, 0
        self.there = 0
        if begun is not None and total is not None and begun.exists():
            from qopt.comparison.journal import results

            self.there = sum(1 for _ in results(begun))
        self.shown = sys.stderr.isatty()
        self._begun, self._last = time.monotonic(), 0.0
        self._width = 0

    def __call__(self, row: dict[str, Any]) -> None:
        """Tell of one more result."""
        self.count += 1
        if not self.shown:
            return
        done = self.there + self.count
        if self.total is None or self.total <= FEW:
            of = "" if self.total is None else f"/{self.total}"
            seconds = "" if row["seconds"] is None else f"  {row['seconds']:.3g} s"
            what = f"{row.get('instance', row.get('problem'))}  {row.get('run', row['method'])}  {row['status']}"
            objective = "" if row.get("objective") is None else f"  {short(row['objective'])}"
            print(f"{done}{of}  {what}{objective}{seconds}", file=sys.stderr, flush=True)
            return
        now = time.monotonic()
        if now - self._last < 0.5 and done < self.total:
            return
        self._last = now
        left = (now - self._begun) / self.count * (self.total - done)
        self._line(f"{done}/{self.total} results, {left:.0f} s left")

    def _line(self, text: str) -> None:
        """Put a text in the place of the last."""
        print(f"\r{text:<{self._width}}", end="", file=sys.stderr, flush=True)
        self._width = len(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width:
            print(file=sys.stderr, flush=True)

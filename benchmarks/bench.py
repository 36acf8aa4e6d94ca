"""Is qopt as fast as it was? Its times beside HiGHS's in the same run, on record.

    python benchmarks/bench.py [--quick] [--record benchmarks/record.csv] [--page benchmarks/bench.md]   # some minutes

Seconds depend on the machine; the ratio of HiGHS's to qopt's on the same arrays, in the same minutes, far less. Each
run appends a line a row to the record, and warns where the ratio is less than that of past runs, their median, by more
than a factor of 1.5. The protocol is that of benchmarks/README.md: a process for each solver, seeds outermost, two
threads, gap 0, answers judged from the data; a search that the clock stopped is charged the limit, and says so.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import kernels
from figures import machine, seconds
from peers.process import Worker

import qopt
from qopt.core.files import write_text

FOLDER = Path(__file__).resolve().parent

NAMES = (
    "qpart 50 x 15",
    "unc 50 x 15",
    "unc 1000 x 20",
    "weak 1000 x 20",
    "qpart 1000 x 20",
    "strong-real 50 x 15",
    "qpart 50 x 15, 2 rows",
    "unc 100 x 10, 2 rows",
    "50 epochs x 20 states",
    "50 epochs x 20 states, correlated",
    "random graph of 10 000 operations, 4 tiers",
    "OR-Library rcsp5",
    "OR-Library rcsp8",
)
"""Rows of `kernels.py` that both finish within seconds; strongly correlated real numbers HiGHS does not, and is charged
the limit."""

INSTANCES = ("qpart/mnist-mlp6", "placement/resnet", "jqodi/data2", "allocation/hawq-resnet18")
"""Bundled instances, through `qopt.solve`: method auto, and method highs-mip."""

SEEDS, LIMIT = 5, 10.0

WORSE = 1.5
"""Factor by which a ratio may fall below the median of the record before it is a warning."""


class Line(NamedTuple):
    """A line of the record: median seconds, and how many of HiGHS's solves ended within the limit."""

    date: str
    version: str
    commit: str
    machine: str
    row: str
    solves: int
    qopt_seconds: float
    highs_seconds: float
    highs_finished: int
    ratio: float


def _commit() -> str:
    """The commit, with a plus where files are changed; empty outside of a repository."""
    try:
        run = ["git", "-C", str(FOLDER), "describe", "--always", "--dirty=+"]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def measured(rows: Sequence[kernels.Row], instances: Sequence[str], seeds: int, limit: float) -> Iterator[Line]:
    """Median times of both, row by row."""
    about = datetime.date.today().isoformat(), qopt.__version__, _commit(), machine().split(";")[0]
    workers = {name: Worker(kernels.SOLVERS[name], sys.executable, kernels.THREADS) for name in ("qopt", "highs")}
    try:
        for row in rows:
            tallies = kernels.measure(row, workers, range(seeds), limit, [])
            yield _line(about, row.name, tallies["qopt"].seconds, tallies["highs"].seconds, limit)
    finally:
        for worker in workers.values():
            worker.stop()
    for name in instances:
        problem = qopt.load(name)
        spent: dict[str, list[float]] = {"auto": [], "highs-mip": []}
        qopt.solve(problem)  # what is imported once is not timed
        qopt.solve(problem, "highs-mip", time_limit=limit)
        for _ in range(seeds):
            for method, times in spent.items():
                start = time.perf_counter()
                found = qopt.solve(problem, method, time_limit=limit)
                done = found.status in ("optimal", "optimal-by-solver")
                times.append(time.perf_counter() - start if done else math.inf)
        yield _line(about, name, spent["auto"], spent["highs-mip"], limit)


def _line(
    about: tuple[str, str, str, str], row: str, own: Sequence[float], highs: Sequence[float], limit: float
) -> Line:
    mine, other = (statistics.median(min(x, limit) for x in times) for times in (own, highs))
    finished = sum(map(math.isfinite, highs))
    return Line(*about, row, len(own), mine, other, finished, other / mine)


def past(path: Path) -> list[Line]:
    """The record; empty where there is none yet."""
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [
            Line(
                *(entry[name] for name in Line._fields[:5]),
                int(entry["solves"]),
                float(entry["qopt_seconds"]),
                float(entry["highs_seconds"]),
                int(entry["highs_finished"]),
                float(entry["ratio"]),
            )
            for entry in csv.DictReader(file)
        ]


def append(path: Path, lines: Sequence[Line]) -> None:
    """Add lines to the record."""
    new = not path.exists()
    with open(path, "a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(Line._fields)
        writer.writerows([f"{x:.6g}" if isinstance(x, float) else x for x in line] for line in lines)


def slower(record: Sequence[Line], now: Sequence[Line]) -> list[str]:
    """A warning for each row whose ratio has worsened."""
    warnings = []
    for line in now:
        before = [old.ratio for old in record if old.row == line.row]
        if before and line.ratio * WORSE < statistics.median(before):
            median = statistics.median(before)
            runs = f"{len(before)} run{'s' * (len(before) > 1)}"
            warnings.append(
                f"SLOWER: {line.row}: HiGHS takes {line.ratio:.3g} times as long, on record {median:.3g} ({runs})"
            )
    return warnings


def page(lines: Sequence[Line], record: Sequence[Line], limit: float) -> str:
    """The table that pages show."""
    text = [
        "# qopt beside HiGHS, on record",
        "",
        f"Written by `make bench`, {lines[0].date}, qopt {lines[0].version} ({lines[0].commit}), {lines[0].machine};",
        f"at most {limit:g} s a solve. *x qopt* is HiGHS's median over qopt's in the same run, *on record* the median",
        "of past runs ([record.csv](record.csv)). Rows with a slash are bundled instances through `qopt.solve`, with",
        "certificate; the others are kernels, proof written ([protocol](README.md#the-kernels-beside-their-peers)).",
        "",
        "| row | solves | qopt | HiGHS | x qopt | on record |",
        "|---|---|---|---|---|---|",
    ]
    for line in lines:
        before = [old.ratio for old in record if old.row == line.row]
        more = "" if line.highs_finished == line.solves else f" ({line.highs_finished} of {line.solves} ended)"
        cells = (
            line.row,
            str(line.solves),
            seconds(line.qopt_seconds),
            seconds(line.highs_seconds) + more,
            ("> " if more else "") + f"{line.ratio:.2g}",
            f"{statistics.median(before):.2g}" if before else "-",
        )
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small rows, two seeds: a smoke run")
    parser.add_argument("--record", type=Path, default=FOLDER / "record.csv")
    parser.add_argument("--page", type=Path, default=FOLDER / "bench.md")
    asked = parser.parse_args(arguments)
    rows = [row for row in kernels.ROWS if row.name in NAMES]
    instances: Sequence[str] = INSTANCES
    seeds, limit = SEEDS, LIMIT
    if asked.quick:
        seeds, limit = 2, 5.0
        rows, instances, seeds, limit = (
            [r for r in kernels.QUICK if r.name == "unc 20 x 8"],
            ("qpart/teaching-3",),
            2,
            5.0,
        )
    record, lines = past(asked.record), []
    for line in measured(rows, instances, seeds, limit):
        lines.append(line)
        print(f"{line.row}: qopt {seconds(line.qopt_seconds)}, HiGHS {line.ratio:.2g} times that", flush=True)
    append(asked.record, lines)
    write_text(asked.page, page(lines, record, limit))
    print("\n".join(slower(record, lines) or ["no row is slower than on record"]))


if __name__ == "__main__":
    main()

"""Time limits kept: every method of every family on large problems under short limits, one table.

python benchmarks/limits.py [--size N] [--family NAME] [--method NAME] [--shard i/n] [--rows FILE]
python benchmarks/limits.py --table FILE...

Asked is the whole call of `qopt.solve`, certificate included, within the limit, three tenths of a second and a tenth of
the limit. Each problem and method has a process of its own, in which a tiny problem is solved first: loading is not
solving. Generating and validating a problem comes before the call. Rows go to a file as lines of JSON; ``--table``
makes one Markdown table of the files of all shards, and of a row that is there twice takes the last.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

import qopt
from qopt.allocation.generate import allocation
from qopt.core.families import family_named
from qopt.core.problem import Problem
from qopt.core.shard import Shard
from qopt.jqodi.generate import jqodi
from qopt.placement.generate import placement
from qopt.qpart.generate import qpart

LIMITS = (0.01, 0.1, 1.0)
"""Seconds."""

SIZES = (300, 3_000, 30_000)
"""Layers, operations, epochs times states."""

GRACE, SHARE = 0.3, 0.1
"""What a call may take above its limit: seconds, and a share of the limit."""

PATIENCE = 30.0
"""Seconds after which a process that does not come back is ended."""

EPOCHS = {30: (10, 1, 3), 300: (30, 2, 5), 3_000: (100, 5, 6), 30_000: (300, 10, 10)}
"""Epochs, servers and cuts of a JQODI problem of some size."""


@dataclass(frozen=True)
class Row:
    """One call.

    Attributes
    ----------
    kind, size, method, limit : what was asked.
    seconds : of the whole call; None where it did not come back.
    cpu : seconds of the processor in it: less than `seconds` where others used the machine.
    status, plan, gap : of the answer; gap is the certificate's.
    """

    kind: str
    size: int
    method: str
    limit: float
    seconds: float | None
    cpu: float | None
    status: str
    plan: bool
    gap: float | None

    @property
    def allowed(self) -> float:
        """Seconds that the call may take."""
        return self.limit * (1.0 + SHARE) + GRACE

    @property
    def kept(self) -> bool:
        """Whether the call was back in time."""
        return self.seconds is not None and self.seconds <= self.allowed

    def line(self) -> str:
        """The row of a table in Markdown."""
        seconds = f"> {PATIENCE:g}" if self.seconds is None else f"{self.seconds:.2f}"
        cpu = "–" if self.cpu is None else f"{self.cpu:.2f}"
        gap = "–" if self.gap is None else f"{max(self.gap, 0.0):.1e}"
        plan = "yes" if self.plan else "no"
        mark = "" if self.kept else " **late**"
        cells = (self.kind, self.size, self.method, f"{self.limit:g}", f"{seconds}{mark}", cpu, self.status, plan, gap)
        return f"| {' | '.join(map(str, cells))} |"


def with_pairs(groups: int) -> Problem:
    """An allocation in which every tenth group interacts with the next."""
    alone = allocation(groups, seed=1)
    rng, k = np.random.default_rng(1), len(alone.formats)
    scale = 0.1 * float(alone.damage[np.isfinite(alone.damage)].mean())
    pairs = [
        {"groups": [alone.groups[g], alone.groups[g + 1]], "damage": (scale * rng.uniform(-0.5, 1.0, (k, k))).tolist()}
        for g in range(0, groups - 1, 10)
    ]
    return alone.replace({"interactions": pairs})


def in_mode(mode: str) -> Callable[[int], Problem]:
    """JQODI of a mode and size."""

    def made(size: int) -> Problem:
        epochs, servers, cuts = EPOCHS[size]
        return jqodi(epochs, seed=1, servers=servers, cuts=cuts, mode=mode)

    return made


KINDS: dict[str, Callable[[int], Problem]] = {
    "qpart, law": lambda size: qpart(size, seed=1, branches=True),
    "qpart, table": lambda size: qpart(size, seed=1, branches=True, noise="table"),
    "placement": lambda size: placement(size, seed=1),
    "placement, memory": lambda size: placement(size, seed=1, memory=0.3),
    "placement, chain": lambda size: placement(size, seed=1, branches=0.0),
    "jqodi, choice": in_mode("choice"),
    "jqodi, schedule": in_mode("schedule"),
    "jqodi, path": in_mode("path"),
    "allocation": lambda size: allocation(size, seed=1),
    "allocation, budgets": lambda size: allocation(size, seed=1, resources=3, ties=0.2, menus=0.8),
    "allocation, pools": lambda size: allocation(size, seed=1, resources=3, pools=2),
    "allocation, pairs": with_pairs,
    "allocation, bytes": lambda size: allocation(size, seed=1, minimise="bytes"),
}
"""A problem of every kind, by its size."""

TINY = {"qpart": 3, "placement": 4, "jqodi": 30, "allocation": 3}
"""Sizes of problems that are solved in no time."""


@cache
def tiny(kind: str) -> Problem:
    """A problem of a kind that is solved in no time."""
    if kind.startswith("qpart"):
        return qpart(3, seed=1, bits=(1, 4), reference_bits=3, noise="table" if "table" in kind else "law")
    return KINDS[kind](TINY[family_of_kind(kind)])


def family_of_kind(kind: str) -> str:
    """Name of the family of a kind of problem."""
    return kind.split(",")[0]


def asked(kind: str, problem: Problem, method: str, limit: float, size: int) -> Row:
    """One call, timed."""
    begin, worked = time.perf_counter(), time.process_time()
    found = qopt.solve(problem, method, time_limit=limit)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - worked
    plan = found.plan is not None and found.certificate.feasible
    return Row(kind, size, method, limit, seconds, cpu, found.status, plan, found.certificate.gap)


def _process(kind: str, problem: Problem, method: str, size: int, out: Connection) -> None:
    """What the process of a problem and a method does."""
    small = tiny(kind)
    if not _reason(small, method):
        qopt.solve(small, method, time_limit=10.0)
    for limit in LIMITS:
        out.send(asked(kind, problem, method, limit, size))


def _reason(problem: Problem, method: str) -> str | None:
    """Why a method does not take a problem, or None."""
    return next(m["reason"] for m in qopt.methods(problem) if m["name"] == method)  # type: ignore[no-any-return]


def measured(kind: str, problem: Problem, method: str, size: int) -> Iterator[Row]:
    """A row for each limit."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_process, args=(kind, problem, method, size, there))
    process.start()
    there.close()
    for limit in LIMITS:
        try:
            if here.poll(PATIENCE):
                yield here.recv()
                continue
        except EOFError:
            yield Row(kind, size, method, limit, None, None, "broke off", False, None)
            break
        yield Row(kind, size, method, limit, None, None, "no answer", False, None)
        break
    process.kill()
    process.join()


def machine() -> str:
    """Where this was measured."""
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    versions = f"Python {platform.python_version()}, numpy {sys.modules['numpy'].__version__}"
    return f"{processor}, {os.cpu_count()} cores, load {load} before; {versions}"


HEADING = """\
| problem | size | method | limit [s] | whole call [s] | processor [s] | status | plan | proved gap |
|---|--:|---|--:|--:|--:|---|---|--:|"""

MARK = "<!-- rows -->"
"""In a page: what follows is made here."""

Task = tuple[int, str, str]
"""Size, kind and method."""


def tasks() -> list[Task]:
    """All that there is to measure."""
    return [
        (size, kind, method.name)
        for size in SIZES
        for kind in KINDS
        for method in family_named(family_of_kind(kind)).part("registry").METHODS
    ]


def measure(chosen: list[Task], out: Path | None) -> None:
    """Measure some, print the rows, and append them to a file."""
    file = None if out is None else out.open("a", encoding="utf-8")

    def put(record: dict[str, Any]) -> None:
        if file is not None:
            file.write(json.dumps(record) + "\n")
            file.flush()

    put({"machine": machine()})
    print(HEADING, flush=True)
    made: tuple[int, str] | None = None
    for size, kind, method in chosen:
        if made != (size, kind):
            made, problem = (size, kind), KINDS[kind](size)
        reason = _reason(problem, method)
        if reason:
            put({"refused": [kind, size, method, reason]})
            continue
        for row in measured(kind, problem, method, size):
            print(row.line(), flush=True)
            put(asdict(row))
    if file is not None:
        file.close()


def table(paths: list[Path]) -> list[str]:
    """One table of the rows of several files, the machines and counts above it, what was not asked below."""
    order = {task: k for k, task in enumerate(tasks())}
    machines: dict[str, None] = {}
    rows: dict[tuple[int, float], Row] = {}
    refused: dict[int, str] = {}
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if "machine" in record:
                machines[record["machine"].split(", load")[0]] = None
            elif "refused" in record:
                kind, size, method, reason = record["refused"]
                refused[order[size, kind, method]] = f"* {kind}, {size}: {method} does not take it: {reason}"
            else:
                row = Row(**record)
                rows[order[row.size, row.kind, row.method], row.limit] = row
    late = [row for row in rows.values() if not row.kept]
    busy = sum(row.cpu is None or row.cpu > row.allowed for row in late)
    without = sum(not row.plan for row in rows.values())
    missing = len(order) - len({k for k, _ in rows} | set(refused))
    return [
        *machines,
        "",
        f"{len(rows)} calls, {missing} problems and methods not measured; {len(late)} late, {busy} of them by the "
        f"processor's seconds too; {without} without a plan that keeps all limits.",
        "",
        *HEADING.splitlines(),
        *(row.line() for _, row in sorted(rows.items(), key=lambda item: item[0])),
        "",
        "Not asked:",
        "",
        *(line for _, line in sorted(refused.items())),
    ]


def main() -> None:
    """Measure, or make a table of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, choices=SIZES, help="default all")
    parser.add_argument("--family", choices=TINY, help="default all")
    parser.add_argument("--kind", choices=KINDS, help="default all")
    parser.add_argument("--method", help="of this name alone")
    parser.add_argument(
        "--shard", type=Shard.parse, default=Shard(1, 1), help="i/n: every n-th problem and method, from the i-th"
    )
    parser.add_argument("--rows", type=Path, help="append rows to this file")
    parser.add_argument("--table", type=Path, nargs="+", help="make the table of such files")
    parser.add_argument("--page", type=Path, help=f"put the table into this page, after {MARK}")
    given = parser.parse_args()
    if given.table:
        lines = "\n".join(table(given.table)) + "\n"
        if given.page is None:
            print(lines, end="")
        else:
            above = given.page.read_text(encoding="utf-8").split(MARK)[0]
            given.page.write_text(f"{above}{MARK}\n\n{lines}", encoding="utf-8")
        return
    shard, shards = given.shard
    wanted = [
        task
        for task in tasks()
        if given.size in (None, task[0])
        and given.family in (None, family_of_kind(task[1]))
        and given.kind in (None, task[1])
        and given.method in (None, task[2])
    ]
    measure(wanted[shard - 1 :: shards], given.rows)


if __name__ == "__main__":
    main()

"""Time limits kept: every method of every family on large problems under short limits, one table.

python benchmarks/limits.py [--quick] [--family NAME] [--method NAME] [--out FILE]

Asked is the whole call of `qopt.solve`, certificate included, within the limit, three tenths of a second and a tenth of
the limit. Each problem and method has a process of its own, in which a tiny problem is solved first: loading is not
solving. Generating and validating a problem comes before the call.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import qopt
from qopt.core.families import family_of
from qopt.core.problem import Problem
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


def problems(size: int) -> Iterator[tuple[str, Problem]]:
    """A problem of every kind, of some size."""
    yield "qpart, law", qpart(size, seed=1, branches=True)
    yield "qpart, table", qpart(size, seed=1, branches=True, noise="table")
    yield "placement", placement(size, seed=1)
    yield "placement, memory", placement(size, seed=1, memory=0.3)
    yield "placement, chain", placement(size, seed=1, branches=0.0)
    epochs, servers, cuts = EPOCHS[size]
    for mode in ("choice", "schedule", "path"):
        yield f"jqodi, {mode}", jqodi(epochs, seed=1, servers=servers, cuts=cuts, mode=mode)


def tiny(kind: str) -> Problem:
    """A problem of a kind that is solved in no time."""
    size = {"qpart": 3, "placement": 4}.get(kind.split(",")[0])
    made = dict(problems(30)) if size is None else {}
    if kind.startswith("qpart"):
        return qpart(3, seed=1, bits=(1, 4), reference_bits=3, noise="table" if "table" in kind else "law")
    if kind.startswith("placement"):
        return placement(4, seed=1, branches=0.0, memory=0.3 if "memory" in kind else None)
    return made[kind]


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"problems of size {SIZES[0]} alone")
    parser.add_argument("--family", help="qpart, placement or jqodi; default all")
    parser.add_argument("--method", help="of this name alone")
    parser.add_argument("--out", type=Path, help="append the table to this file")
    given = parser.parse_args()
    lines, rows, refused = [machine(), "", *HEADING.splitlines()], [], []
    print("\n".join(lines), flush=True)
    for size in SIZES[:1] if given.quick else SIZES:
        for kind, problem in problems(size):
            if given.family not in (None, family_of(problem).name):
                continue
            for method in (m.name for m in family_of(problem).part("registry").METHODS):
                if given.method not in (None, method):
                    continue
                reason = _reason(problem, method)
                if reason:
                    refused.append(f"{kind}, {size}: {method} does not take it: {reason}")
                    continue
                for row in measured(kind, problem, method, size):
                    rows.append(row)
                    lines.append(row.line())
                    print(lines[-1], flush=True)
    late, without = [row for row in rows if not row.kept], sum(not row.plan for row in rows)
    busy = sum(row.cpu is None or row.cpu > row.allowed for row in late)
    counts = f"{len(rows)} calls; {len(late)} late, {busy} of them by the processor's seconds too"
    summary = ["", f"{counts}; {without} without a plan that keeps all limits.", "", *refused]
    print("\n".join(summary))
    if given.out:
        with given.out.open("a", encoding="utf-8") as file:
            file.write("\n".join([*lines, *summary]) + "\n")


if __name__ == "__main__":
    main()

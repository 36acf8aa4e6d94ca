"""Figures of fleets: benchmarks/fleet.md, a section at a time, or all of them (some minutes).

    python benchmarks/fleet.py [small] [million] [engines] [rules] [leaves] [stream] [--requests N]

small    500 random fleets against an enumeration: bound <= optimum <= plan, and exact methods come to the optimum
million  N requests x 20 options, 10 servers, 30 capacities, loads 0.6 to 0.8: bound, certified gap, seconds, memory
engines  one process, threads, processes, Dask, torch: the same answer, seconds of a pass
rules    what operators do, over loads from 0.5 to 2
leaves   a server leaves: from the old prices against from nothing
stream   N requests from a CSV file, read in chunks

Seconds are of processor and of the clock: only the first can be compared where a machine has other work. Sections that
are not asked for keep what the page says of them.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

import numpy as np  # noqa: E402
from every_fleet import optimum, small  # noqa: E402

import qopt  # noqa: E402
from qopt.core.clock import ENDLESS  # noqa: E402
from qopt.fleet.arrays import shards, tables  # noqa: E402
from qopt.fleet.engine import Engine  # noqa: E402
from qopt.fleet.explain import solve_from, without_server  # noqa: E402
from qopt.fleet.methods.dual import climb, plan  # noqa: E402
from qopt.fleet.methods.lagrangian import plan_of  # noqa: E402
from qopt.fleet.requests import read_requests  # noqa: E402
from qopt.fleet.witness import multipliers, prices  # noqa: E402

PAGE = Path(__file__).with_suffix(".md")


class Watch:
    """Seconds of processor and of the clock."""

    def __init__(self) -> None:
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def __str__(self) -> str:
        return f"{time.process_time() - self.cpu:.1f} ({time.perf_counter() - self.wall:.0f})"


def memory() -> str:
    """The most memory that this process has held."""
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"


def table(head: str, rows: Iterator[list[object]]) -> str:
    """A table in Markdown; each row is printed when it is known."""
    columns = head.split("|")
    lines = ["| " + " | ".join(c.strip() for c in columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(map(str, row)) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def of_small(_: int) -> str:
    """500 random fleets."""

    def rows() -> Iterator[list[object]]:
        watch, proved, closed = Watch(), 0, 0
        for seed in range(500):
            problem = small(seed)
            least = optimum(problem)
            for method in ("mckp", "brute-force", "highs-mip"):
                found = qopt.solve(problem, method)
                assert found.status == "optimal"
                assert found.objective == least
                proved += 1
            for method in ("lagrangian", "column-generation"):
                found = qopt.solve(problem, method)
                assert found.bound is not None
                assert found.bound <= least <= found.objective
                closed += found.objective == least
        yield [500, f"{proved} of 1500", f"{closed} of 1000", str(watch)]

    return table("fleets | exact methods at the optimum | plans of prices at the optimum | seconds", rows())


def answer(fleet: Any, kind: str = "numpy", **options: Any) -> tuple[Any, Any, Engine]:
    """A climb and its plan."""
    with Engine(tables(fleet), shards(fleet), kind, **options) as engine:
        climbed = climb(engine, clock=ENDLESS)
        found = plan(engine, climbed, len(fleet.requests), ENDLESS)
    assert found is not None
    return climbed, found, engine


def vertex(climbed: Any) -> float:
    """Cost of the core's vertex with all others as they are: no less than the linear program's optimum."""
    left = climbed.left - climbed.own.use.T @ climbed.core.x
    priced = float(climbed.own.length @ climbed.core.x) + float(climbed.grid.value(climbed.lam) @ left)
    return float(climbed.value) + priced


def of_million(requests: int) -> str:
    """The large fleets."""

    def rows() -> Iterator[list[object]]:
        for load in (0.6, 0.7, 0.8):
            fleet = qopt.generate.fleet(requests, seed=1, load=load)
            watch = Watch()
            climbed, found, _ = answer(fleet)
            took = str(watch)
            watch = Watch()
            witness = multipliers(fleet, climbed.best, climbed.grid)
            certificate = qopt.certify(fleet, plan_of(fleet, found.option, found.splits), witness)
            assert certificate.feasible
            above = (vertex(climbed) - float(climbed.bound)) / float(climbed.bound)
            row = [f"{requests:.0e}", load, climbed.passes, f"{above:.0e}", f"{certificate.gap:.1e}"]
            yield [*row, certificate.cost.refused, took, str(watch), memory()]

    head = "requests | load | passes | LP above the bound | certified gap | refused | seconds | certificate | memory"
    return table(head, rows())


def of_engines(requests: int) -> str:
    """One fleet on every engine."""
    requests = min(requests, 200_000)
    fleet = qopt.generate.fleet(requests, seed=1)
    shared, parts = tables(fleet), shards(fleet, max(requests // 8, 1))

    def rows() -> Iterator[list[object]]:
        first: Any = None
        kinds: list[tuple[str, dict[str, Any]]] = [
            ("numpy", {}),
            ("threads", {"jobs": 2}),
            ("processes", {"jobs": 1}),
            ("processes", {"jobs": 2}),
            ("dask", {"jobs": 2}),
            ("torch", {}),
        ]
        for kind, options in kinds:
            with Engine(shared, parts, kind, **options) as engine:
                own = engine.grid()
                lam = own.rounded(np.full(len(shared.resources), 1.0))
                engine.evaluate(lam, own.shift)
                watch, begun = Watch(), time.perf_counter()
                for _ in range(5):
                    engine.evaluate(lam, own.shift)
                each = (time.perf_counter() - begun) / 5
                per_pass = str(watch)
                climbed = climb(engine, clock=ENDLESS)
                found = plan(engine, climbed, requests, ENDLESS)
            assert found is not None
            said = (climbed.best.tolist(), climbed.bound, found.option.tolist(), found.objective)
            first = said if first is None else first
            same = "the same" if said == first else "ANOTHER"
            billion = each / requests * 1e9
            yield [kind, options.get("jobs", 1), per_pass, f"{1e9 * each / requests:.0f} ns", f"{billion:.0f} s", same]

    head = "engine | jobs | 5 passes, seconds | a request and pass | 10^9 requests, a pass on one machine | answer"
    return table(head, rows())


def of_rules(requests: int) -> str:
    """What operators do."""
    requests = min(requests, 20_000)

    def rows() -> Iterator[list[object]]:
        for load in (0.5, 0.75, 1.0, 1.25, 1.5, 2.0):
            # A load of 2 is half of what all would like.
            fleet = qopt.generate.fleet(requests, seed=1, load=1.0 / load)
            climbed, found, _ = answer(fleet)
            best = qopt.certify(fleet, plan_of(fleet, found.option, found.splits))
            row: list[object] = [
                load,
                f"{float((found.objective - climbed.bound) / found.objective):.1e}",
                best.cost.refused,
            ]
            for method in ("own-best", "greedy", "least-loaded"):
                other = qopt.solve(fleet, method)
                assert other.certificate.feasible
                row += [f"{other.objective / found.objective:.3f}", other.certificate.cost.refused]
            yield row

    head = "load | gap | refused | own best: cost | refused | greedy: cost | refused | least loaded: cost | refused"
    return table(head, rows())


def of_leaving(requests: int) -> str:
    """From the old prices, and from nothing."""
    requests = min(requests, 100_000)

    def rows() -> Iterator[list[object]]:
        fleet = qopt.generate.fleet(requests, seed=1)
        before = solve_from(fleet)
        left = without_server(fleet, "server3")
        starts: list[tuple[str, Any]] = [("old prices", prices(fleet, before.witness)), ("nothing", None)]
        for name, priced in starts:
            watch = Watch()
            after = solve_from(left, priced)
            assert after.bound is not None
            certificate = qopt.certify(left, after.plan, after.witness)
            yield [name, after.details["passes"], str(watch), f"{certificate.gap:.1e}", certificate.cost.refused]

    return table("from | passes over all | seconds | gap | refused", rows())


def of_stream(requests: int) -> str:
    """From a CSV file."""

    def rows() -> Iterator[list[object]]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "asked.csv"
            fleet = qopt.generate.fleet(1000, seed=1, load=0.7)
            _write(path, fleet, requests)
            watch = Watch()
            asked = read_requests(path, fleet)
            reading = str(watch)
        factor = requests / 1000
        larger = {
            "servers": {name: {"work": int(s.work * factor)} for name, s in fleet.servers.items()},
            "cells": {n: {"up": int(c.up * factor), "down": int(c.down * factor)} for n, c in fleet.cells.items()},
        }
        many = fleet.with_parts(requests=asked, **larger)
        watch = Watch()
        climbed, found, _ = answer(many)
        gap = float((found.objective - climbed.bound) / found.objective)
        yield [f"{requests:.0e}", reading, str(watch), climbed.passes, f"{gap:.1e}", memory()]

    return table("requests | reading, seconds | solving, seconds | passes | gap | memory", rows())


def _write(path: Path, fleet: Any, requests: int) -> None:
    """A file of drawn requests, some at a time."""
    rng = np.random.default_rng(1)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["class", "cell", "rate_up", "rate_down", "penalty", "deadline"])
        for begin in range(0, requests, 100_000):
            n = min(100_000, requests - begin)
            kind = [f"network{k}" for k in rng.integers(1, len(fleet.classes) + 1, n)]
            cell = [f"cell{q}" for q in rng.integers(1, len(fleet.cells) + 1, n)]
            up, down = 2e7 * 10.0 ** rng.uniform(-0.5, 0.5, n), 6e7 * 10.0 ** rng.uniform(-0.5, 0.5, n)
            penalty, deadline = rng.integers(1_500_000, 4_000_000, n), rng.uniform(0.3, 2.0, n)
            columns = (kind, cell, up.tolist(), down.tolist(), penalty.tolist(), deadline.round(6).tolist())
            out.writerows(zip(*columns, strict=True))


SECTIONS: dict[str, tuple[str, Callable[[int], str]]] = {
    "small": ("Small fleets against an enumeration", of_small),
    "million": ("A million requests", of_million),
    "engines": ("Engines", of_engines),
    "rules": ("What operators do", of_rules),
    "leaves": ("A server leaves", of_leaving),
    "stream": ("Requests streamed from a file", of_stream),
}

HEAD = """# Fleets, measured

By `python benchmarks/fleet.py`; what is drawn and compared is at the head of that file. Seconds are of processor, and
of the clock in brackets: the machine had other work. Costs of rules are relative to the plan of the prices.
"""


def main() -> None:
    """Measure what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION")
    parser.add_argument("--requests", type=int, default=1_000_000)
    asked = parser.parse_args()
    known = {}
    if PAGE.exists():
        parts = re.split(r"^## (.*)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
        known = dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))
    for name in asked.sections or SECTIONS:
        title, work = SECTIONS[name]
        print(title, flush=True)
        made = f"{time.strftime('%Y-%m-%d')}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores."
        known[title] = f"{work(asked.requests)}\n\n{made}"
        body = "\n".join(f"\n## {title}\n\n{known[title]}" for title, _ in SECTIONS.values() if title in known)
        PAGE.write_text(f"{HEAD}{body}\n")


if __name__ == "__main__":
    main()

"""The three kernels beside what a user would pick instead: one table, measured here.

    python benchmarks/kernels.py [--quick] [--only mckp|rcsp|cut] [--seeds 11] [--peers-python PATH] [--json OUT]

Every solver runs in a process of its own and gets the same arrays; seeds are the outer loop, so that a busy moment of
the machine hits all solvers alike. Nothing is asserted. How to read the table: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kernel_instances as instances
import numpy as np
from figures import machine
from peers.process import Worker

from qopt.core.files import write_text

SOLVERS = {"qopt": "qopt_kernels", "highs": "highs", "pulp": "pulp_cbc", "cpsat": "cpsat", "scipy": "scipy_flow"}
"""Name in the table, and the file in peers/."""

THREADS = 2
PATIENCE = 3
"""A solver that found no end on so many seeds of a row, one after the other, is spared the others."""

FLOW = 10_000_000
"""Arcs up to which a flow model is handed to the peers: 180 million binaries are nothing to try."""

SAME = 1e-9
"""Relative difference up to which two optima are the same number; more than summing in another order makes."""


@dataclass(frozen=True)
class Row:
    """A class of instances: how they are drawn, which gap is asked for, who solves them."""

    kernel: str
    name: str
    draw: Callable[[int], instances.Instance]
    solvers: tuple[str, ...] = ("qopt", "highs", "pulp", "cpsat")
    gap: float = 0.0
    asked: float | None = None
    known: float | None = None
    """Published optimum."""


def _knapsacks(family: str, n: int, k: int, asked: float | None = None, gap: float = 0.0) -> Row:
    size = f"{n:,}".replace(",", " ") if n >= 10_000 else str(n)
    within = f", within {gap:g}" if gap else ""
    return Row(
        "mckp",
        f"{family} {size} x {k}{within}",
        lambda seed: instances.knapsack(family, n, k, seed),
        gap=gap,
        asked=asked,
    )


def _rows(family: str, n: int, k: int, rows: int) -> Row:
    draw = lambda seed: instances.knapsack_rows(family, n, k, rows, seed)  # noqa: E731
    return Row("mckp", f"{family} {n} x {k}, {rows} rows", draw)


ORLIB = Path(__file__).parents[1] / "instances" / "rcsp"
PUBLISHED: dict[str, float] = json.loads((ORLIB / "optima.json").read_text())
"""Optima as published with the files."""


def _orlib(name: str) -> Row:
    file = ORLIB / f"{name}.txt"
    return Row(
        "rcsp", f"OR-Library {name}", lambda _: instances.orlib(file), ("qopt", "highs"), known=float(PUBLISHED[name])
    )


def _switching(
    epochs: int, states: int, asked: float | None = None, *, correlated: bool = False, gap: float = 0.0
) -> Row:
    name = f"{epochs} epochs x {states} states" + (", correlated" if correlated else "")
    return Row(
        "rcsp",
        name + (f", within {gap:g}" if gap else ""),
        lambda seed: instances.switching(epochs, states, seed, correlated),
        ("qopt", "highs") if epochs * states**2 < FLOW else ("qopt",),
        gap=gap,
        asked=asked,
    )


def _cut(name: str, draw: Callable[[int, int, int], instances.Instance], n: int, asked: float | None = None) -> Row:
    return Row("cut", name, lambda seed: draw(n, 4, seed), ("qopt", "highs", "scipy"), asked=asked)


ROWS: tuple[Row, ...] = (
    _knapsacks("qpart", 50, 15, 0.003),
    _knapsacks("unc", 50, 15, 0.001),
    _knapsacks("unc", 1000, 20, 0.03),
    _knapsacks("weak", 1000, 20, 0.15),
    _knapsacks("qpart", 1000, 20, 0.5),
    _knapsacks("weak", 50, 15),
    _knapsacks("strong", 50, 15),
    _knapsacks("strong", 1000, 20),
    _knapsacks("subset-sum", 50, 15),
    _knapsacks("unc-real", 50, 15),
    _knapsacks("unc-real", 1000, 20),
    _knapsacks("weak-real", 50, 15),
    _knapsacks("weak-real", 1000, 20),
    _knapsacks("strong-real", 50, 15),
    _knapsacks("strong-real", 1000, 20),
    _knapsacks("qpart", 100_000, 16, gap=1e-6),
    _knapsacks("unc", 100_000, 16, gap=1e-6),
    _rows("qpart", 50, 15, 2),
    _rows("unc", 100, 10, 2),
    _rows("unc", 100, 10, 3),
    _rows("unc", 100, 10, 5),
    _rows("mknap", 100, 2, 5),
    _switching(50, 20, 0.05),
    _switching(50, 20, 0.05, correlated=True),
    _switching(500, 600, gap=1e-3),
    _switching(500, 600, correlated=True, gap=1e-3),
    *(_orlib(name) for name in PUBLISHED),
    _cut("network of 10 000 operations, 4 tiers", instances.network, 10_000, 0.3),
    _cut("random graph of 10 000 operations, 4 tiers", instances.operations, 10_000),
)

QUICK: tuple[Row, ...] = (
    _switching(8, 5),
    _cut("network of 200 operations, 4 tiers", instances.network, 200),
    _knapsacks("qpart", 20, 8),
    _knapsacks("unc", 20, 8),
    _knapsacks("subset-sum", 6, 5),
    _knapsacks("strong-real", 20, 8),
    _rows("mknap", 12, 2, 3),
    _rows("unc", 10, 5, 2),
)


# --- measuring ----------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """One solver on one row."""

    seconds: list[float] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    accepted: list[bool] = field(default_factory=list)
    megabytes: float = 0.0
    failed: int = 0
    spared: int = 0

    @property
    def out_of_time(self) -> bool:
        """Whether the last tries all ran out of time, or failed."""
        last = self.seconds[-PATIENCE:]
        return len(last) == PATIENCE and all(map(math.isinf, last))

    def enter(self, reply: dict[str, Any], outcome: str, why: str) -> None:
        """Note one solve."""
        finished = (reply.get("optimal") or infeasible(reply)) and not reply.get("timed_out")
        self.seconds.append(reply["seconds"] if finished else math.inf)
        self.verdicts.append(outcome)
        self.reasons += [why] if why else []
        self.failed += "failed" in reply and not reply.get("timed_out")
        self.megabytes = max(self.megabytes, reply.get("megabytes", 0.0))
        notes = reply.get("notes", {})
        if "accepted" in notes:
            self.checks.append(notes["check_seconds"])
            self.accepted.append(notes["accepted"])


def infeasible(reply: dict[str, Any]) -> bool:
    """Whether a solver says that nothing is feasible."""
    return str(reply.get("said", "")).lower() == "infeasible"


def verdict(reply: dict[str, Any], judged: instances.Judged | None, best: float | None, gap: float) -> tuple[str, str]:
    """What an answer turned out to be: right, wrong or open, and why it is wrong, or how good what it leaves is.

    `best` is the cheapest feasible answer that any of the solvers gave. A claim of optimality is wrong if its answer is
    dearer than that, or breaks a limit, or if the clock had stopped the search and the word was 'optimal' all the same.
    """
    if infeasible(reply) and best is not None:
        return "wrong", "called infeasible"
    if not reply.get("optimal"):
        return "open", reply.get("failed", "") or stopped(judged, best)
    if judged is None:
        return "wrong", "optimal without an answer"
    why = ["stopped by the clock, called optimal"] if reply.get("timed_out") else []
    if not judged.feasible:
        why.append(f"breaks the limit by {judged.excess:.0e}")
    elif best is not None and judged.value - best > max(gap, SAME) * abs(judged.value):
        why.append(f"{(judged.value - best) / abs(best):.0e} above the best")
    return ("wrong", ", ".join(why)) if why else ("right", unproved(reply))


def stopped(judged: instances.Judged | None, best: float | None) -> str:
    """What a search that claims nothing leaves, beside the cheapest feasible answer of all."""
    if judged is None or not judged.feasible or best is None:
        return "stopped without an answer that is feasible"
    above = judged.value - best
    return f"stopped, {above / abs(best):.0e} above the best" if above > SAME * abs(best) else "stopped at the best"


def unproved(reply: dict[str, Any]) -> str:
    """Why an answer of qopt's, which is right, has no proof that the checker accepts; empty if it has one."""
    notes = reply.get("notes", {})
    if reply.get("said") == "optimal-by-solver":
        return "optimal without a witness"
    return f"witness refused: {notes['reason']}" if notes.get("accepted") is False else ""


def measure(
    row: Row, workers: dict[str, Worker], seeds: Iterable[int], seconds: float, records: list[dict[str, Any]]
) -> dict[str, Tally]:
    """Every solver on every seed of a row, seed by seed, each seed beginning with another solver."""
    tallies = {name: Tally() for name in row.solvers if name in workers}
    names = list(tallies)
    for name in names:
        workers[name].stop()  # a new process a row: its memory is this row's alone
    with tempfile.TemporaryDirectory() as folder:
        for turn, seed in enumerate(seeds):
            instance = row.draw(seed)  # files hold one instance: then seeds are repetitions
            file = Path(folder) / f"{turn}.npz"
            np.savez(file, *instance.arrays())
            request = {"kind": instance.kind, "file": str(file), "gap": row.gap, "seconds": seconds, "threads": THREADS}
            replies: dict[str, dict[str, Any]] = {}
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                if tallies[name].out_of_time:
                    tallies[name].spared += 1
                else:
                    replies[name] = workers[name].ask(request, 2 * seconds + 60)
            file.unlink()
            judged = {n: instance.judge(r["answer"]) for n, r in replies.items() if r.get("answer") is not None}
            best = min((j.value for j in judged.values() if j.feasible), default=None)
            if best is not None and row.known is not None:
                best = min(best, row.known)
            for name, reply in replies.items():
                outcome, why = verdict(reply, judged.get(name), best, row.gap)
                tallies[name].enter(reply, outcome, why)
                record = {"row": row.name, "kernel": row.kernel, "seed": seed, "solver": name}
                record |= {k: v for k, v in reply.items() if k != "answer"} | {"verdict": outcome, "why": why}
                records.append(record | (judged[name]._asdict() if name in judged else {}))
    for name in names:
        workers[name].stop()
    return tallies


# --- the table ----------------------------------------------------------------------------------------------------

HEAD = (
    "instances | solver | median | worst | x qopt | right / wrong / open | peak MB | witness checked | asked"
    " | why wrong, open or unproved"
)


def shown(value: float, limit: float) -> str:
    """Seconds that people read, three digits; what did not finish is longer than the limit."""
    if math.isinf(value):
        return f"> {limit:g} s"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def times(ratio: float) -> str:
    """A ratio that people read, two digits."""
    return f"{ratio:.2g}" if ratio < 100 else f"{ratio:.0f}"


def line(row: Row, name: str, tally: Tally, own: float | None, limit: float) -> str:
    """A line of the table."""
    median = statistics.median(tally.seconds)
    counts = " / ".join(str(tally.verdicts.count(v)) for v in ("right", "wrong", "open"))
    ratio = "-"
    if own is not None and math.isfinite(own) and name != "qopt":
        ratio = f"> {times(limit / own)}" if math.isinf(median) else times(median / own)
    checked = "-"
    if tally.checks:
        checked = f"{sum(tally.accepted)} of {len(tally.seconds)}, {shown(statistics.median(tally.checks), limit)}"
    elif name == "qopt":
        checked = f"0 of {len(tally.seconds)}"
    why = sorted(set(tally.reasons), key=lambda r: -tally.reasons.count(r))[:2]
    if tally.spared:
        why.append(f"{tally.spared} seeds not tried after {PATIENCE} in a row without an end")
    cells = (
        row.name,
        name,
        "failed" if tally.failed == len(tally.seconds) else shown(median, limit),
        "failed" if tally.failed else shown(max(tally.seconds), limit),
        ratio,
        counts,
        f"{tally.megabytes:.1f}" if tally.megabytes else "-",
        checked,
        f"< {shown(row.asked, limit)}" if row.asked and name == "qopt" else "-",
        "; ".join(why) or "-",
    )
    return "| " + " | ".join(cells) + " |"


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small instances, two seeds: a smoke run")
    parser.add_argument("--only", choices=("mckp", "rcsp", "cut"), action="append", help="this kernel only; repeatable")
    parser.add_argument("--rows", help="only rows whose name contains this")
    parser.add_argument("--solvers", help=f"comma separated, of {', '.join(SOLVERS)}")
    parser.add_argument("--seeds", type=int, help="instances a row, 11 unless told (2 with --quick)")
    parser.add_argument("--time-limit", type=float, help="seconds a solve, 60 unless told (5 with --quick)")
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter that has PuLP and OR-Tools")
    parser.add_argument("--json", type=Path, help="write every single figure to this file")
    chosen = parser.parse_args(arguments)
    seeds = chosen.seeds or (2 if chosen.quick else 11)
    limit = chosen.time_limit or (5.0 if chosen.quick else 60.0)
    wanted = chosen.solvers.split(",") if chosen.solvers else list(SOLVERS)
    for name in wanted:
        if name not in SOLVERS:
            parser.error(f"no solver is called {name}; there are {', '.join(SOLVERS)}")

    rows = [r for r in (QUICK if chosen.quick else ROWS) if r.kernel in (chosen.only or r.kernel)]
    rows = [r for r in rows if (chosen.rows or "") in r.name]
    used = [name for name in wanted if any(name in r.solvers for r in rows)]
    print(machine() + "\n")
    workers, missing = {}, {}
    for name in used:
        python = chosen.peers_python if name in ("pulp", "cpsat") else sys.executable
        worker = Worker(SOLVERS[name], python, THREADS)
        if "version" in worker.hello:
            workers[name] = worker
            print(f"{name}: {worker.hello['version']}")
        else:
            missing[name] = worker.hello.get("missing") or worker.hello.get("failed", "")
            print(f"{name}: MISSING, {missing[name]}")
    print(f"\nat most {limit:g} s a solve, {seeds} seeds, {THREADS} threads\n")
    print(f"| {HEAD} |\n|{'---|' * len(HEAD.split(' | '))}", flush=True)
    records: list[dict[str, Any]] = []
    try:
        for row in rows:
            tallies = measure(row, workers, range(seeds), limit, records)
            own = statistics.median(tallies["qopt"].seconds) if "qopt" in tallies else None
            for name in row.solvers:
                if name in tallies:
                    print(line(row, name, tallies[name], own, limit), flush=True)
                elif name in missing:
                    print(f"| {row.name} | {name} | missing: {missing[name]} |" + " - |" * 7, flush=True)
            if chosen.json:
                write_text(chosen.json, json.dumps({"machine": machine(), "missing": missing, "records": records}))
    finally:
        for worker in workers.values():
            worker.stop()


if __name__ == "__main__":
    main()

"""What a study costs beside its solves, and whether kills leave a trace in its table.

    python benchmarks/studies.py [--requests 10000] [--size 8] [--jobs 2] [--kills 10] [--dask]

Random QPART requests under three methods, four times: a small and a larger part in one process, whose difference in
processor's time beside that of the solves is what a result costs; all in one go; killed at random and resumed; and, if
asked for, on a local Dask cluster of two workers one of which is killed. Compared are all columns that no measurement
is in, and plans.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import joblib

import qopt
from qopt.comparison.journal import results
from qopt.comparison.results import ANSWERS

METHODS = ("mckp", "highs-mip", "round-up")


def asked(requests: int, size: int) -> qopt.Study:
    """The study."""
    drawn = {"generate": "qpart", "size": size, "seeds": {"count": requests}}
    return qopt.Study(name="requests", instances=[drawn], runs=METHODS, time_limit=60)


def processor() -> float:
    """Seconds of processor of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def cost_of_results(folder: Path, size: int, counts: tuple[int, int] = (20, 220)) -> None:
    """Processor's time beside the solves, without what is done once: the difference of a larger and a small study."""
    spent = []
    for count in counts:
        study, path, before = asked(count, size), folder / f"cost-{count}", processor()
        study.run(path, jobs=1)
        spent.append((processor() - before, float(study.table(path)["cpu"].sum())))
    whole, solves = (spent[1][k] - spent[0][k] for k in (0, 1))
    begun = time.process_time()
    for seed in range(*counts):
        qopt.generate.qpart(size, seed=seed)
    drawing = time.process_time() - begun
    number = (counts[1] - counts[0]) * len(METHODS)
    print(
        f"processor: {whole / number * 1e3:.2f} ms a result, of which {solves / number * 1e3:.2f} ms solve and certify,"
        f" {drawing / number * 1e3:.2f} ms draw the instance: {whole / solves - 1:.1%} beside the solves,"
        f" {(whole - drawing) / solves - 1:.1%} without drawing"
    )


def told(study: qopt.Study, path: Path) -> tuple[list[dict[str, Any]], dict[Any, Any]]:
    """All that is no measurement: columns and plans; each result is there once."""
    found = list(study.plans(path))
    plans = {(name, run, repeat): plan for name, run, repeat, plan in found}
    assert len(found) == len(plans)
    return study.table(path)[[*ANSWERS]].astype(object).fillna("").to_dict("records"), plans


def in_one_go(study: qopt.Study, path: Path, jobs: int) -> None:
    """Run, and print the time beside that of the solves."""
    begun = time.perf_counter()
    added = study.run(path, jobs=jobs)
    wall = time.perf_counter() - begun
    table = study.table(path)
    solves = float((table["seconds"] + table["certify"]).sum())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"in one go: {added} results in {wall:.0f} s on {jobs} processes, {jobs * wall / solves - 1:.1%} beside the"
        f" solves; {int(table['solved'].sum())} solved, {int((table['wrong'] != '').sum())} wrong claims;"
        f" peak memory of the process that writes {memory:.0f} MiB, its table included"
    )


def killed(study: qopt.Study, folder: Path, jobs: int, kills: int) -> Path:
    """Run by the command line, killed at random."""
    file, path, rng = folder / "study.json", folder / "killed.jsonl", random.Random(0)
    file.write_text(json.dumps(study.model_dump(mode="json", exclude_none=True)))
    command = [sys.executable, "-m", "qopt", "compare", str(file), "--journal", str(path), "--resume"]
    command += ["--jobs", str(jobs)]
    total = len(METHODS) * len(study.instances[0].seeds or ())
    for goal in sorted(rng.sample(range(total), kills)):
        process = subprocess.Popen(
            [*command, "--jobs", str(jobs)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and (not path.exists() or sum(1 for _ in path.open("rb")) <= goal):
            time.sleep(rng.uniform(0.0, 0.5))
        process.kill()
        process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(f"killed {kills} times and resumed: {sum(1 for _ in results(path))} results")
    return path


def on_dask(study: qopt.Study, path: Path) -> None:
    """Run on a local cluster that loses a worker half-way."""
    from distributed import Client, LocalCluster

    seen = 0
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        first = next(iter(client.run(os.getpid).values()))
        half = len(METHODS) * len(study.instances[0].seeds or ()) // 2

        def kill(_row: dict[str, Any]) -> None:
            nonlocal seen
            seen += 1
            if seen == half:
                os.kill(first, signal.SIGKILL)

        study.run(path, progress=kill)
    print(f"a Dask cluster of two, one killed half-way: {sum(1 for _ in results(path))} results")


def main() -> None:
    """Measure, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--dask", action="store_true")
    options = parser.parse_args()
    study = asked(options.requests, options.size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cost_of_results(folder, options.size)
        in_one_go(study, folder / "whole", options.jobs)
        expected = told(study, folder / "whole")
        print(
            f"the same table and plans: {told(study, killed(study, folder, options.jobs, options.kills)) == expected}"
        )
        if options.dask:
            on_dask(study, folder / "dask")
            print(f"the same table and plans: {told(study, folder / 'dask') == expected}")


if __name__ == "__main__":
    main()

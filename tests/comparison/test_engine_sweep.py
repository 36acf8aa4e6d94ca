"""Studies on several processes and on a cluster, killed in between: nothing is lost, nothing is there twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import joblib
import pytest

import qopt
from qopt.comparison.journal import results

pytestmark = pytest.mark.sweep

MEMBERS = int(os.environ.get("QOPT_STUDY", "40"))
"""Requests of the study."""

KILLS = int(os.environ.get("QOPT_KILLS", "3"))
DRAWN = {"generate": "qpart", "size": 4, "seeds": {"count": MEMBERS}}
STUDY = qopt.Study(instances=[DRAWN], runs=["mckp", "highs-mip", "round-up"], time_limit=30)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Any]:
    """The plans of the study, made one after another in one process."""
    path = tmp_path_factory.mktemp("study") / "journal"
    assert STUDY.run(path) == 3 * MEMBERS
    return plans_of(path)


def plans_of(path: Path) -> dict[Any, Any]:
    """Plans by instance and run; each is there once."""
    found = list(STUDY.plans(path))
    plans = {(name, run, repeat): plan for name, run, repeat, plan in found}
    assert len(found) == len(plans) == 3 * MEMBERS
    return plans


def test_killed_at_random_and_resumed(plans: dict[Any, Any], tmp_path: Path) -> None:
    path, file = tmp_path / "journal", tmp_path / "study.json"
    file.write_text(json.dumps(STUDY.model_dump(mode="json", exclude_none=True)))
    command = [sys.executable, "-m", "qopt", "compare", str(file), "--journal", str(path), "--resume", "--jobs", "2"]
    rng = random.Random(0)
    for kill in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        goal = 3 * MEMBERS * (kill + 1) // (KILLS + 2)
        while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") <= goal):
            time.sleep(rng.uniform(0.0, 0.2))
        process.kill()
        process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert plans_of(path) == plans


def test_a_worker_that_dies_is_replaced(plans: dict[Any, Any], tmp_path: Path) -> None:
    import psutil

    killed: list[int] = []

    def kill(_row: dict[str, Any]) -> None:
        if not killed:
            workers = [child for child in psutil.Process().children() if "LokyProcess-1" in child.cmdline()]
            killed.extend(worker.pid for worker in workers)
            workers[0].kill()

    assert STUDY.run(tmp_path / "journal", jobs=2, progress=kill) == 3 * MEMBERS
    assert killed
    assert plans_of(tmp_path / "journal") == plans


def test_a_cluster_of_two_loses_a_worker(plans: dict[Any, Any], tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        workers = list(client.run(os.getpid).values())
        seen: list[str] = []

        def kill(row: dict[str, Any]) -> None:
            seen.append(row["key"])
            if len(seen) == MEMBERS:
                os.kill(workers[0], signal.SIGKILL)

        STUDY.run(tmp_path / "journal", progress=kill, chunk=5)
    assert plans_of(tmp_path / "journal") == plans


def test_shards_beside_each_other(plans: dict[Any, Any], tmp_path: Path) -> None:
    shares = [tmp_path / f"{i}" for i in (1, 2, 3)]
    for i, share in enumerate(shares, 1):
        STUDY.run(share, shard=(i, 3))
    assert sum(1 for share in shares for _ in results(share)) == 3 * MEMBERS
    assert {(n, run, k): plan for share in shares for n, run, k, plan in STUDY.plans(share)} == plans


def test_memory_is_that_of_a_chunk(tmp_path: Path) -> None:
    peaks = []
    for count in (30, 300):
        study = qopt.Study(instances=[{**DRAWN, "size": 1, "seeds": {"count": count}}], runs=["uniform"])
        tracemalloc.start()
        study.run(tmp_path / f"{count}", jobs=1, chunk=10)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 270 < 400  # bytes a result: its key, and no more

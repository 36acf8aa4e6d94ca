"""The same multipliers, bound and plan whatever the engine and the shards, and if a worker dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dying_worker import dying

import qopt
from qopt.core.clock import ENDLESS
from qopt.fleet.arrays import shards, tables
from qopt.fleet.engine import Engine
from qopt.fleet.methods.dual import climb, plan
from qopt.fleet.passes import dual_pass
from qopt.fleet.problem import Fleet


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return qopt.generate.fleet(90, seed=3, classes=2, options=4, servers=2, cells=1, load=0.6, rows=70)


def answer(fleet: Fleet, kind: str, **options: Any) -> tuple[Any, ...]:
    """Multipliers, bound, plan and cost."""
    with Engine(tables(fleet), shards(fleet, options.pop("rows", 20)), kind, **options) as engine:
        climbed = climb(engine, clock=ENDLESS)
        found = plan(engine, climbed, len(fleet.requests), ENDLESS)
    assert found is not None
    return climbed.best.tolist(), climbed.bound, found.option.tolist(), found.splits, found.objective


@pytest.fixture(scope="module")
def usual(fleet: Fleet) -> tuple[Any, ...]:
    return answer(fleet, "numpy", rows=10_000)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("numpy", {"rows": 7}),
        pytest.param("threads", {"jobs": 2}, marks=pytest.mark.sweep),
        pytest.param("torch", {"device": "cpu"}, marks=pytest.mark.sweep),
        pytest.param("processes", {"jobs": 2}, marks=pytest.mark.sweep),
        pytest.param("dask", {"jobs": 2}, marks=pytest.mark.sweep),
    ],
)
def test_same_answer(fleet: Fleet, usual: tuple[Any, ...], kind: str, options: dict[str, Any]) -> None:
    assert answer(fleet, kind, **options) == usual


def test_torch_adds_up_the_same(fleet: Fleet) -> None:
    rng = np.random.default_rng(1)
    shared, parts = tables(fleet), shards(fleet, 15)
    with Engine(shared, parts) as here, Engine(shared, parts, "torch", device="cpu") as there:
        grid = here.grid()
        for _ in range(5):
            lam = grid.rounded(rng.uniform(0, 5, len(shared.resources)))
            one, other = (engine.evaluate(lam, grid.shift) for engine in (here, there))
            assert list(one) == list(other)
            assert all((one[k].taken == other[k].taken).all() and one[k].penalty == other[k].penalty for k in one)


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_a_worker_that_is_killed_changes_nothing(fleet: Fleet, kind: str, tmp_path: Path) -> None:
    shared, parts = tables(fleet), shards(fleet, 20)
    lam = np.ones(len(shared.resources), dtype=np.int64)
    with Engine(shared, parts, kind, jobs=2) as engine:
        found = engine.map(dying, str(tmp_path / "mark"), lam, 4)
    assert (tmp_path / "mark").exists()
    for one, shard in zip(found, parts, strict=True):
        own = dual_pass(shard, shared, lam, 4)
        assert all((one[key].taken == own[key].taken).all() for key in own)


def test_unknown_engines_are_refused(fleet: Fleet) -> None:
    with pytest.raises(qopt.InputError, match=r"engine: found 'spark'; allowed: numpy, threads"):
        Engine(tables(fleet), shards(fleet), "spark")
    with (
        pytest.raises(qopt.InputError, match="device: found 'nowhere'"),
        Engine(tables(fleet), shards(fleet), "torch", device="nowhere"),
    ):
        pass

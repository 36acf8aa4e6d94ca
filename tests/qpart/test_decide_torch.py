"""Requests decided with torch: the same cuts and plans as with numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sweeps import swept  # noqa: E402

import qopt  # noqa: E402
from qopt.core.errors import InputError  # noqa: E402
from qopt.qpart.generate import qpart  # noqa: E402
from qopt.qpart.serving.decide_torch import NEAR, decide_tensors  # noqa: E402

LEVELS = [0.002, 0.005, 0.01, 0.02, 0.05]
KINDS: list[dict[str, Any]] = [
    {"noise": model, **options}
    for model in ("law", "grid", "table")
    for options in ({}, {"tie_cut": True}, {"branches": True})
]


def network(seed: int, layers: int = 4, **options: Any) -> Any:
    p = qpart(layers, seed=seed, bits=(1, 6), name=f"network-{seed}", **options)
    delta = [(p.accuracy.delta[0] * s).tolist() for s in (0.1, 0.3, 1, 3, 10)]
    rho = {"accuracy.rho_weights": None, "accuracy.rho_activations": None}
    return p.replace({"accuracy.levels": LEVELS, "accuracy.delta": delta, **rho})


def columns(p: Any, n: int, seed: int) -> dict[str, Any]:
    """Requests that vary every field that enters a price, half of them with a limit on memory."""
    rng = np.random.default_rng(seed)
    found = {
        name: middle * 10 ** rng.uniform(-1, 1, n)
        for name, middle in {
            "device.clock": 2e8,
            "server.price": 0.1,
            "channel.rate": p.channel.uplink,
            "channel.transmit_power": 1.0,
            "objective.time": 1.0,
            "objective.energy": 1.0,
            "objective.price": 1.0,
        }.items()
    }
    found["inferences"] = np.floor(20 * 10 ** rng.uniform(-1, 1, n))
    found["level"] = rng.choice(LEVELS, n)
    stored = float(p.network.weights.sum())
    found["device.memory"] = np.where(rng.random(n) < 0.5, np.inf, stored * 10 ** rng.uniform(-1, 1, n))
    return found


@pytest.mark.parametrize("seed", swept(range(27), lambda seed: seed < 9))
def test_the_same_cuts_and_plans_as_numpy(seed: int) -> None:
    p = network(seed, **KINDS[seed % 9])
    table = qopt.offline([p])
    asked = columns(p, 2000, seed)
    here = qopt.decide(table, asked)
    there = qopt.decide(table, asked, device="cpu")
    assert (here.cut == there.cut).all()
    assert (here.entry == there.entry).all()
    found = here.cut >= 0
    assert found.any()
    assert there.objective[found] == pytest.approx(here.objective[found], rel=1e-15)
    assert np.isinf(there.objective[~found]).all()
    answer = decide_tensors(table, {name: torch.from_numpy(column) for name, column in asked.items()})
    assert answer.cut.tolist() == here.cut.tolist()
    assert answer.entry.tolist() == here.entry.tolist()


def test_ties_are_decided_as_numpy_decides_them() -> None:
    """Where prices vanish, whole groups of plans cost the same; where memory binds exactly, its slack counts."""
    p = network(0, noise="law")
    table = qopt.offline([p])
    entries = table.whole["network-0", 2]
    sizes = np.unique(entries.download)
    sizes = np.concatenate([sizes, sizes * (1 - 5e-13), sizes * (1 - 5e-12)])
    for weights in ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        asked = dict(zip(("objective.time", "objective.energy", "objective.price"), weights, strict=True))
        some = {"device.memory": sizes, "level": 0.01, **asked}
        here, there = qopt.decide(table, some), qopt.decide(table, some, device="cpu")
        assert (here.cut == there.cut).all()
        assert (here.entry == there.entry).all()
    assert NEAR < 1e-9


def test_requests_without_columns_and_of_several_networks() -> None:
    table = qopt.offline([network(1), network(2)])
    names = np.array(["network-2", "network-1", "network-1"])
    for columns_, of in (({"channel.rate": [1e5, 1e6, 1e7]}, names), ({}, "network-2"), ({}, names)):
        asked = qopt.Requests.of(columns_, of)
        here, there = qopt.decide(table, asked), qopt.decide(table, asked, device="cpu")
        assert here.entry.tolist() == there.entry.tolist()
        assert there.objective == pytest.approx(here.objective, rel=1e-15)
    assert there.plan(0) == here.plan(0)


def tensors(**changes: Any) -> Any:
    """A call on one network, some columns of it changed."""
    given = {"channel.rate": torch.tensor([1e6, 1e7], dtype=torch.float64), **changes}
    return lambda: decide_tensors(qopt.offline([network(1)]), given)


SLOW = {"channel.rate": torch.full((2,), 1e-30, dtype=torch.float64)}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (tensors(speed=torch.ones(2)), "requests.speed"),
        (tensors(level=[0.01, 0.01]), "requests.level"),
        (tensors(level=torch.tensor([0.01])), "requests.level"),
        (tensors(level=torch.tensor([[0.01, 0.01]])), "requests.level"),
        (tensors(level=torch.tensor([0.01, 1.5])), "requests.level[1]"),
        (tensors(level=torch.tensor([0.01, 0.0001])), "requests.level[1]"),
        (tensors(inferences=torch.tensor([1.5, 2.0])), "requests.inferences[0]"),
        (tensors(**{"device.clock": torch.tensor([1.0, torch.nan])}), "requests.device.clock[1]"),
        (tensors(**{"device.memory": torch.tensor([-1.0, torch.inf])}), "requests.device.memory[0]"),
        (tensors(**{"channel.rate": torch.tensor([0.0, 1.0])}), "requests.channel.rate[0]"),
        (tensors(**{"objective.time": torch.full((2,), 1e305, dtype=torch.float64)}, **SLOW), "requests[0]"),
        (lambda: decide_tensors(qopt.offline([network(1)]), {}), "requests"),
        (lambda: decide_tensors(qopt.offline([network(1)]), {"level": torch.ones(1)}, "other"), "network"),
        (lambda: decide_tensors(qopt.offline([network(1)], "real"), {"level": torch.ones(1)}), "table.bits"),
        (lambda: qopt.decide(qopt.offline([network(1)]), {"level": [0.01]}, device="nowhere"), "device"),
    ],
)
def test_bad_input_gives_one_line(call: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_decides_the_same() -> None:
    p = network(3, layers=8, noise="law")
    table = qopt.offline([p])
    asked = columns(p, 100_000, 1)
    here, there = qopt.decide(table, asked), qopt.decide(table, asked, device="cuda")
    assert (here.cut == there.cut).all()
    assert (here.entry == there.entry).all()

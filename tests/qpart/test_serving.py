"""Offline table and online step: the answer that solving each request gives, and one line for bad input."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweeps import few, swept

import qopt
from qopt.core.errors import InputError
from qopt.qpart.generate import qpart
from qopt.qpart.problem import QPart
from qopt.qpart.serving.table import Table

LEVELS = [0.002, 0.005, 0.01, 0.02, 0.05]
CASES: dict[str, dict[str, Any]] = {
    "law": {"noise": "law"},
    "grid": {"noise": "grid"},
    "table": {"noise": "table"},
    "tie_cut": {"noise": "law", "tie_cut": True},
    "branches": {"noise": "law", "branches": True},
    "grouped": {"noise": "law"},
    "shared": {"noise": "law"},
    "no-cut-0": {"noise": "law", "cuts": [1, 3, 5]},
}


@functools.cache
def network(case: str, seed: int = 3) -> QPart:
    p = qpart(5, seed=seed, bits=(1, 6), name=f"{case}-{seed}", **CASES[case])
    changes: dict[str, Any] = {
        "accuracy.levels": LEVELS,
        "accuracy.delta": [(p.accuracy.delta[0] * s).tolist() for s in (0.1, 0.3, 1, 3, 10)],
        "accuracy.rho_weights": None,
        "accuracy.rho_activations": None,
    }
    if case in ("grouped", "shared"):
        changes["network.ties"] = [{"layers": [2, 4], "shared": case == "shared"}]
        sizes = p.network.weights.copy()
        sizes[3] = sizes[1]
        changes["network.weights"] = sizes.tolist()
    return p.replace(changes)


@functools.cache
def table(case: str, bits: Any = "whole") -> Table:
    return qopt.offline([network(case), network(case, 4)], bits)


def columns(p: QPart, n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def around(middle: float, decades: float = 1.0) -> Any:
        return middle * 10 ** rng.uniform(-decades, decades, n)

    return {
        "device.clock": around(2e8),
        "device.cycles_per_mac": around(5.0),
        "device.energy_coefficient": around(3e-27),
        "device.memory": np.where(rng.random(n) < 0.4, np.inf, around(float(p.network.weights.sum()))),
        "server.clock": around(3e9),
        "server.price": around(0.1, 2),
        "channel.rate": around(p.channel.uplink, 2),
        "channel.download_rate": around(p.channel.uplink, 2),
        "channel.transmit_power": around(1.0),
        "objective.time": around(1.0),
        "objective.energy": around(1.0),
        "objective.price": around(1.0),
        "inferences": np.floor(around(30.0)).clip(1),
        "level": rng.choice([*LEVELS, 0.013], n),
    }


@pytest.mark.parametrize(
    ("case", "bits"),
    [(c, "whole") for c in CASES]
    + swept([(c, "real") for c in CASES if CASES[c]["noise"] == "law"], lambda case: case[0] != "branches"),
)
def test_a_decision_is_what_solving_gives(case: str, bits: str) -> None:
    n, nets = few(80), [network(case), network(case, 4)]
    asked = columns(nets[0], n, 7) | {"network": [nets[i % 2].name for i in range(n)]}
    requests = qopt.Requests.of(asked)
    found = qopt.decide(table(case, bits), requests)
    for i in range(n):
        problem = requests.problem(i, nets[i % 2])
        direct = qopt.solve(problem, bits=bits)
        plan = found.plan(i)
        if direct.plan is None:
            assert direct.status == "infeasible"
            assert (found.cut[i], found.objective[i], plan) == (-1, np.inf, None)
            continue
        rel = 1e-12 if bits == "whole" else 1e-9
        assert found.objective[i] == pytest.approx(direct.objective, rel=rel), i
        assert plan is not None
        assert plan.cut == found.cut[i]
        certificate = qopt.certify(problem, plan)
        assert certificate.feasible, certificate.violations
        assert certificate.objective == pytest.approx(found.objective[i], rel=1e-9)


def test_no_plan_is_said_so() -> None:
    p = network("no-cut-0")
    found = qopt.decide(qopt.offline([p]), qopt.Requests.of({"device.memory": [0.0, np.inf]}))
    assert found.cut[0] == -1
    assert found.objective[0] == np.inf
    assert found.plan(0) is None
    assert found.cut[1] > 0


@pytest.mark.parametrize("bits", ["whole", "real"])
def test_the_level_below_serves(bits: Any) -> None:
    t, name = table("law", bits), network("law").name
    between = qopt.decide(t, qopt.Requests.of({"level": [0.013, 0.9]}, network=name))
    exact = qopt.decide(t, qopt.Requests.of({"level": [0.01, 0.05]}, network=name))
    assert np.array_equal(between.objective, exact.objective)
    assert between.plan(0) == exact.plan(0)
    with pytest.raises(InputError, match=r"requests\.level\[1\]"):
        qopt.decide(t, qopt.Requests.of({"level": [0.01, 0.001]}, network=name))


@pytest.mark.parametrize("bits", ["whole", "real"])
@pytest.mark.parametrize("zero", [("time", "energy", "price"), ("time", "energy")])
def test_weights_of_zero(bits: Any, zero: tuple[str, ...]) -> None:
    p = network("law")
    requests = qopt.Requests.of({f"objective.{w}": [0.0] for w in zero} | {"inferences": [10**6]})
    found = qopt.decide(qopt.offline([p], bits), requests)
    direct = qopt.solve(requests.problem(0, p), bits=bits)
    assert found.objective[0] == pytest.approx(direct.objective, rel=1e-9, abs=1e-300)


def test_shannon_channel_follows_the_power() -> None:
    shannon = {"bandwidth": 1e6, "gain": 1e-3, "noise_power": 1e-4}
    p = network("law").replace({"channel": {**shannon, "transmit_power": 1.0}})
    t, requests = qopt.offline([p]), qopt.Requests.of({"channel.transmit_power": [0.01, 1.0, 100.0]})
    found = qopt.decide(t, requests)
    for i in range(3):
        assert found.objective[i] == pytest.approx(qopt.solve(requests.problem(i, p)).objective, rel=1e-12)
    with pytest.raises(InputError, match=r"transmit_power\[1\]"):
        qopt.decide(t, qopt.Requests.of({"channel.transmit_power": [1.0, 0.0]}))


def test_threads_blocks_and_inputs() -> None:
    p = network("law")
    asked = columns(p, 70_000, 1)
    before = {k: v.copy() for k, v in asked.items()}
    requests, t = qopt.Requests.of(asked), qopt.offline([p])
    one, two = qopt.decide(t, requests, threads=1), qopt.decide(t, requests, threads=2)
    assert np.array_equal(one.objective, two.objective)
    assert np.array_equal(one.entry, two.entry)
    assert all(np.array_equal(before[k], asked[k]) for k in asked)
    assert len(qopt.decide(t, qopt.Requests.of({"level": []}))) == 0
    frame = requests.take(np.arange(50)).to_dataframe()
    again = qopt.decide(t, qopt.Requests.from_dataframe(frame))
    assert np.array_equal(again.objective, one.objective[:50])
    scalar = qopt.Requests.of({"server.price": 2.0, "level": [0.01, 0.02]})
    assert scalar.columns["server.price"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize("bits", ["whole", "real"])
def test_a_table_survives_its_file(tmp_path: Path, bits: Any) -> None:
    path, t = tmp_path / "table.npz", table("shared", bits)
    t.save(path)
    with np.load(path, allow_pickle=False) as file:
        assert all(file[k].dtype != object for k in file.files)
    requests = qopt.Requests.of(columns(network("shared"), 50, 2), network=network("shared").name)
    again = qopt.load_table(path)
    assert again.networks == t.networks
    assert np.array_equal(qopt.decide(again, requests).objective, qopt.decide(t, requests).objective)
    whole = path.read_bytes()
    for data in (b"", b"hello\n", whole[:100], whole[: len(whole) // 2], whole[:300] + b"\x00" * 50 + whole[350:]):
        path.write_bytes(data)
        with pytest.raises(InputError) as error:
            qopt.load_table(path)
        assert "\n" not in str(error.value)
    for header in (
        b"{}",
        b"[]",
        b"\xff",
        b'{"format": "qopt/qpart-table", "version": 1, "networks": {}, "tables": []}',
    ):
        np.savez(path, header=np.frombuffer(header, dtype=np.uint8))
        with pytest.raises(InputError):
            qopt.load_table(path)
    with pytest.raises(InputError):
        qopt.load_table(tmp_path / "missing.npz")


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"level": [0.01, 0.01], "server.price": [1.0]}, "requests.server.price"),
        ({"speed": [1.0]}, "requests.speed"),
        ({"server.price": [1.0, float("nan")]}, "requests.server.price[1]"),
        ({"channel.rate": [1.0, float("inf")]}, "requests.channel.rate[1]"),
        ({"channel.rate": [1.0, 0.0]}, "requests.channel.rate[1]"),
        ({"device.memory": [float("inf"), -1.0]}, "requests.device.memory[1]"),
        ({"device.clock": [1e9, "fast"]}, "requests.device.clock[1]"),
        ({"device.clock": [1e9, "2"]}, "requests.device.clock[1]"),
        ({"device.clock": [1e9, True]}, "requests.device.clock[1]"),
        ({"device.clock": [1e9, None]}, "requests.device.clock[1]"),
        ({"device.clock": "2"}, "requests.device.clock"),
        ({"device.clock": object()}, "requests.device.clock"),
        ({"inferences": [1, 1.5]}, "requests.inferences[1]"),
        ({"inferences": [1, 10**400]}, "requests.inferences"),
        ({"level": [0.01, 1.5]}, "requests.level[1]"),
    ],
)
def test_bad_requests_take_one_line(asked: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError) as error:
        qopt.Requests.of(asked)
    assert error.value.field == where
    assert "\n" not in str(error.value)


def test_an_unknown_network_is_named_with_its_row() -> None:
    known = network("law").name
    with pytest.raises(InputError, match=r"requests\.network\[1\]"):
        qopt.decide(table("law"), qopt.Requests.of({"network": [known, "other"]}))


def test_fading_is_seeded_and_exponential() -> None:
    link = {"bandwidth": 1e6, "gain": 1e-3, "noise_power": 1e-4, "transmit_power": 2.0}
    rates = qopt.fading_rates(100_000, seed=1, **link)
    assert np.array_equal(rates, qopt.fading_rates(100_000, seed=1, **link))
    h = np.expm1(rates / 1e6 * np.log(2)) / 20.0  # Eq. 13 solved for h
    assert h.mean() == pytest.approx(1.0, abs=0.02)
    assert np.mean(h > 1) == pytest.approx(np.exp(-1), abs=0.01)
    with pytest.raises(InputError):
        qopt.fading_rates(3, seed=1, **{**link, "gain": 0.0})


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("cut", lambda a: a + 100),
        ("cut", lambda a: a.astype(float)),
        ("start", lambda a: a[:-1]),
        ("start", lambda a: a[::-1].copy()),
        ("download", lambda a: a * np.nan),
        ("upload", lambda a: a[:1]),
        ("extreme", lambda a: np.zeros_like(a)),
        ("widths", lambda a: a[:1]),
    ],
)
def test_a_well_formed_file_of_the_wrong_arrays(tmp_path: Path, field: str, change: Any) -> None:
    path, crafted = tmp_path / "table.npz", tmp_path / "crafted.npz"
    qopt.offline([qpart(3, seed=1, bits=(1, 4))]).save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays[f"0.{field}"] = change(arrays[f"0.{field}"])
    np.savez(crafted, **arrays)
    with pytest.raises(InputError) as error:
        qopt.load_table(crafted)
    assert "\n" not in str(error.value)
    assert "crafted.npz" in str(error.value)


@pytest.mark.parametrize(("field", "change"), [("download", lambda a: -a), ("widths", lambda a: a * 0 + 999)])
def test_a_file_whose_plans_do_not_cost_what_it_says(tmp_path: Path, field: str, change: Any) -> None:
    test_a_well_formed_file_of_the_wrong_arrays(tmp_path, field, change)


def test_names_one_problem_and_plain_columns_are_taken() -> None:
    table = qopt.offline("qpart/teaching-3")
    rates = {"channel.rate": [500.0, 2000.0, 8000.0]}
    requests = qopt.Requests.of(rates)
    for given in (rates, requests, requests.to_dataframe().drop(columns="network")):
        assert qopt.decide(table, given).objective.tolist() == qopt.decide(table, requests).objective.tolist()
    assert list(qopt.offline([qopt.load("qpart/teaching-3")]).networks) == list(table.networks)


def test_refusals_are_one_line() -> None:
    problem = qopt.load("qpart/teaching-3")
    table = qopt.offline(problem)
    decisions = qopt.decide(table, {"channel.rate": [1.0, 2.0]})
    narrow = qopt.breakpoints(problem, "rate", low=100, high=1000)
    calls: list[Any] = [
        lambda: qopt.decide(table, {"channel.rate": [1e-320]}),
        lambda: qopt.decide(table, 3),
        lambda: decisions.plan(-1),
        lambda: decisions.plan(2),
        lambda: narrow.objective(1e6),
        lambda: narrow.objectives([200.0, float("nan")]),
        lambda: narrow.at(1e6),
        lambda: narrow.at("x"),
        lambda: qopt.breakpoints(problem, ["rate"]),
        lambda: qopt.breakpoints(problem, "device.clock"),
        lambda: qopt.breakpoints(problem, "rate", low="1"),
        lambda: qopt.load_table(3),
        lambda: qopt.fading_rates(-1, seed=0, bandwidth=1, gain=1, noise_power=1, transmit_power=1),
        lambda: qopt.fading_rates(1, seed=0, bandwidth="1", gain=1, noise_power=1, transmit_power=1),
        lambda: qopt.Requests.of({}, network=None),
    ]
    for call in calls:
        with pytest.raises(InputError) as error:
            call()
        assert "\n" not in str(error.value)
    assert qopt.breakpoints(problem, "inferences").pieces[0].start == 1.0

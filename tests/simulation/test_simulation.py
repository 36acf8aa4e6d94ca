"""The simulator: streams are what they say, modules against equations request by request, policies on one stream."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Cli

import qopt
from qopt.core.errors import InputError
from qopt.qpart.costs import breakdown
from qopt.qpart.generate import qpart
from qopt.simulation.execution import executed
from qopt.simulation.modules import Units, figure, share, student
from qopt.simulation.policies import policies
from qopt.simulation.simulate import Simulation, over_level, simulate
from qopt.simulation.streams import Stream

DEVICES = {
    "phone": {"device.clock": 1e9, "inferences": 100, "count": 3, "limits.time": 0.05, "device.memory": 1e9},
    "sensor": {"device.clock": 2e8, "inferences": 10_000, "limits.time": 2.0, "device.memory": 1e9},
}


def small(name: str, layers: int, seed: int) -> qopt.QPart:
    """A random network with three levels, few widths, and numbers like the bundled ones."""
    p = qpart(layers, seed=seed, bits=(1, 8))
    delta = [(p.accuracy.delta[0] * share).tolist() for share in (1.0, 3.0, 9.0)]
    levels = {"accuracy.levels": [0.002, 0.01, 0.05], "accuracy.delta": delta}
    rho = {"accuracy.rho_weights": None, "accuracy.rho_activations": None}
    return p.replace({"name": name, "level": 0.01, "server.charge_energy": False, **levels, **rho})


NETWORKS = [small("one", 3, 1), small("two", 4, 2)]


def drawn(n: int = 300, **options: Any) -> Stream:
    return qopt.draw_stream(n, NETWORKS, **{"seed": 3, "devices": DEVICES, **options})


@pytest.fixture(scope="module")
def ran() -> Simulation:
    stream = drawn()
    return simulate(stream, ["published", "restored", "exact", "device", "server", "float"], threads=1)


@pytest.mark.parametrize("model", ["transmission", "block", "markov"])
def test_the_same_stream_twice_gives_the_same_bytes(model: Any) -> None:
    channel = qopt.Channel(model=model)
    one, two, other = drawn(channel=channel), drawn(channel=channel), drawn(channel=channel, seed=4)
    assert one.digest() == two.digest() != other.digest()
    assert simulate(one, ["server"]).digest() == simulate(two, ["server"], threads=1).digest()


def test_channels_stay_as_long_as_their_model_says() -> None:
    rng = np.random.default_rng(0)
    block = qopt.Channel(model="block", block=7).rates(50, rng)
    assert (block == block[:, :1]).all()
    assert [len(set(block[k : k + 7, 0])) for k in range(0, 49, 7)] == [1] * 7
    assert len(set(block[:, 0])) == 8
    free = qopt.Channel().rates(2000, rng)
    assert len(np.unique(free)) == free.size
    # Rayleigh: P(rate <= r) = 1 - exp(-(2^(r/B) - 1) N0 / (P alpha)).
    median = 1e6 * math.log2(1 + 100 * math.log(2))
    assert abs(float((free <= median).mean()) - 0.5) < 0.03
    markov = qopt.Channel(model="markov", bad_gain=1e-9, to_bad=0.1, to_good=0.3)
    bad = (markov.rates(20_000, rng) < 1.0).ravel()
    assert abs(float(bad.mean()) - 0.25) < 0.02
    assert abs(float(bad[1:][~bad[:-1]].mean()) - 0.1) < 0.01
    assert abs(float((~bad)[1:][bad[:-1]].mean()) - 0.3) < 0.02


def test_every_request_is_costed_as_its_own_problem(ran: Simulation) -> None:
    """The modules' columns against `breakdown` of each request at the rates of its own moments."""
    stream = ran.stream
    for name, run in ran.runs.items():
        table = policies(stream.networks, [name])[0].table
        for row in range(0, 300, 43):
            asked = stream.requests
            network = stream.networks[asked.networks[asked.network[row]]]
            at = asked.problem(row, network)
            if run.cut[row] < 0:
                assert name == "exact"
                continue
            plans = table.whole[network.name, at.level_row]
            e = int(run.entry[row])
            widths = plans.widths[plans.start[e] : plans.start[e + 1]].astype(float).tolist()
            p = int(run.cut[row])
            plan = qopt.QPartPlan(cut=p, weights=tuple(widths[:p]), activations=tuple(widths[p:]))
            rates = {"channel.rate": stream.upload_rate[row], "channel.download_rate": stream.download_rate[row]}
            there = at.replace({key: float(value) for key, value in rates.items()})
            if name == "float":
                there = there.replace({"network.overhead": None})
            cost = breakdown(there, plan)
            for quantity in ("time", "energy", "price", "payload", "objective"):
                assert getattr(run, quantity)[row] == pytest.approx(getattr(cost, quantity), rel=1e-9)
            limits = there.given_limits
            assert run.misses["time"][row] == (cost.time > limits["time"] * (1 + 1e-12))
            if name != "float":
                noise = qopt.certify(there.replace({"limits": None, "device.memory": None}), plan)
                assert run.misses["level"][row] == (not noise.feasible)


def test_the_exact_table_is_least_at_the_rate_told(ran: Simulation) -> None:
    """Of policies whose plans keep the limits and the level, none promises less; it never misses a level or memory."""
    exact = ran.runs["exact"]
    assert not exact.misses["level"].any()
    assert not exact.misses["memory"].any()
    told = replace(ran.stream, download_rate=ran.stream.requests.columns["channel.rate"])
    told = replace(told, upload_rate=told.download_rate)
    again = simulate(told, ["exact", "device", "server", "published"], threads=1)
    best = again.runs["exact"].objective
    assert np.allclose(best, again.runs["exact"].promised, rtol=1e-9)
    for run in again.runs.values():
        kept = sum(column for column in run.misses.values()) == 0
        assert (run.objective[kept] >= best[kept] * (1 - 1e-9)).all()
    assert again.runs["published"].misses["level"].any()
    assert not again.runs["exact"].misses["time"].any()


def test_distributions_misses_and_excess_are_tables(ran: Simulation) -> None:
    table = ran.to_dataframe().set_index(["policy", "quantity"])
    run = ran.runs["device"]
    assert table.loc[("device", "time"), "mean"] == pytest.approx(run.time.mean())
    assert table.loc[("device", "time"), "q95"] == pytest.approx(np.quantile(run.time, 0.95))
    low, high = table.loc[("device", "time"), ["low", "high"]]
    assert low < run.time.mean() < high
    misses = ran.misses().set_index(["policy", "missed"])
    assert misses.loc[("published", "level"), "share"] == ran.runs["published"].misses["level"].mean()
    assert misses.loc[("exact", "level"), "high"] == pytest.approx(3.7 / 300)
    excess = ran.excess("restored").set_index("requests")
    assert excess.loc["level kept", "count"] + excess.loc["level missed", "count"] == excess.loc["all", "count"]
    with pytest.raises(InputError, match="policy: found 'none'"):
        ran.excess("none")
    assert "mean J" in str(ran)


@pytest.mark.parametrize(("devices", "block"), [(1, 50), (40, 50)])
def test_intervals_hold_what_they_promise(devices: int, block: int) -> None:
    """Means of a channel that remembers: the true mean is inside in about 95 % of the runs, however requests mix."""
    rng, inside, stays = np.random.default_rng(0), 0, 2000
    for _ in range(300):
        device = rng.integers(0, devices, stays)
        unit = np.empty(stays, dtype=np.int64)
        for d in range(devices):
            rows = np.flatnonzero(device == d)
            unit[rows] = d * stays + np.arange(len(rows)) // block
        _, number = np.unique(unit, return_inverse=True)
        kind = device % 2  # two classes of devices, far apart
        found = figure(rng.normal(size=stays)[number] + 5.0 * kind, Units(unit, kind))
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= (2.5 if devices > 1 else 0.0) <= found.high
    assert 0.91 <= inside / 300 <= 0.98


def test_ends_of_intervals() -> None:
    assert student(31) == pytest.approx(2.0395, abs=2e-4)
    assert student(7) == pytest.approx(2.3646, abs=2e-3)
    assert figure(np.ones(3)).low is None
    assert math.isnan(figure(np.empty(0)).value)
    assert share(np.zeros(100)).high == pytest.approx(0.037)
    ten = Units(np.arange(100) // 10, np.zeros(100, dtype=np.int64))
    assert share(np.zeros(100), ten).high == pytest.approx(0.37)
    assert figure(np.arange(100.0), ten.of(np.arange(100) < 70)).low is None  # seven units


def test_a_stream_knows_what_depends_on_what() -> None:
    """Blocks are a device's, and slow states leave a device a unit or two."""
    block = drawn(channel=qopt.Channel(model="block", block=7))
    for d in range(4):
        mine = block.upload_rate[block.device == d]
        unit = block.units.unit[block.device == d]
        assert len(np.unique(mine)) == len(np.unique(unit)) == -(-len(mine) // 7)
        assert len(np.unique(block.units.unit)) == sum(-(-int((block.device == k).sum()) // 7) for k in range(4))
    assert set(block.units.kind[block.device == 3]) == {1}
    slow = drawn(channel=qopt.Channel(model="markov", to_bad=1e-3, to_good=4e-3))
    assert len(np.unique(slow.units.unit)) == 4
    table = simulate(slow, ["server"]).to_dataframe()
    assert table["low"].isna().all()
    assert len(np.unique(drawn().units.unit)) == 300


def test_widths_of_32_bits_have_their_noise_too() -> None:
    """Only a network as it is stored is exempt: a plan of 32 bits and more under a huge noise misses its level."""
    network = qopt.load("qpart/teaching-3")
    loud = {"noise.s_weights": [1e30] * 3, "noise.s_activations": [1e30] * 3}
    loud = network.replace({"bits.lo": 32, "bits.hi": 64, "cuts": [3], **loud})
    found = simulate(qopt.draw_stream(20, loud), ["published", "float"])
    assert not found.runs["float"].misses["level"].any()
    run = found.runs["published"]
    table = qopt.published_table(loud).whole[loud.name, loud.level_row]
    widths = [table.widths[table.start[e] : table.start[e + 1]].astype(float).tolist() for e in run.entry.tolist()]
    kept = [
        qopt.certify(loud, qopt.QPartPlan(cut=3, weights=tuple(w[:3]), activations=tuple(w[3:]))).feasible
        for w in widths
    ]
    assert min(min(w) for w in widths) >= 32
    assert run.misses["level"].tolist() == [float(not k) for k in kept]
    assert run.misses["level"].all()


def test_nothing_to_tell_is_told_without_a_warning() -> None:
    free = NETWORKS[0].replace({"objective.time": 0.0, "objective.energy": 0.0, "objective.price": 0.0})
    found = simulate(qopt.draw_stream(20, free), ["exact", "server"])
    assert (found.excess("server")["mean"].dropna() == 0.0).all()
    nothing = simulate(qopt.draw_stream(20, NETWORKS[0].replace({"device.memory": 1e-3, "cuts": [3]})), ["exact"])
    assert "no plan" in str(nothing)


def test_real_execution_of_a_sample(ran: Simulation) -> None:
    """Each distinct plan of a sample runs once, and its score counts as often as it was taken."""
    calls = []

    def run(plan: qopt.QPartPlan) -> Any:
        calls.append(plan)
        return np.full(50, 0.5 + plan.cut / 100)

    name = "one"
    found = executed(ran, "device", name, run, sample=40, seed=1)
    rows = np.flatnonzero(ran.stream.requests.network == ran.stream.requests.networks.index(name))
    assert found.requests == 40 <= len(rows)
    assert len(calls) == found.plans == len(set(map(str, calls)))
    assert found.score.value == pytest.approx(0.53)
    for arguments, line in (
        ({"network": "other"}, "network: found 'other'"),
        ({"policy": "other"}, "policy: found 'other'"),
        ({"sample": 0}, "sample: found 0"),
    ):
        with pytest.raises(InputError, match=line):
            executed(ran, **{"policy": "exact", "network": name, "run": run, **arguments})


BAD: list[tuple[dict[str, Any], str]] = [
    ({"requests": 0}, "requests: found 0; allowed: a whole number from 1"),
    ({"networks": []}, "networks: found none"),
    ({"networks": [NETWORKS[0], NETWORKS[0]]}, "twice"),
    ({"levels": []}, "levels: found none"),
    ({"levels": [0.001]}, "levels: found 0.001; allowed: levels from 0.002 up"),
    ({"devices": {}}, "devices"),
    ({"devices": {"a": {"channel.rate": 1}}}, "devices.a.channel.rate: found an unknown field"),
    ({"devices": {"a": {"device.clock": 1e8}, "b": {}}}, "devices.b.device.clock: found nothing"),
    ({"devices": {"a": {"device.clock": -1.0}}}, "devices.a.device.clock: found -1"),
    ({"devices": {"a": {"device.clock": "fast"}}}, "devices.a.device.clock: found 'fast'; allowed: a number"),
    ({"devices": {"a": {"device.clock": None}}}, "devices.a.device.clock: found None"),
    ({"devices": {"a": {"device.clock": [1e9]}}}, "devices.a.device.clock: found \\[1000000000.0\\]"),
    ({"devices": {"a": {"inferences": True}}}, "devices.a.inferences: found True"),
    ({"devices": {"a": {"inferences": 1.5}}}, "devices.a.inferences: found 1.5"),
    ({"devices": {"a": {"count": 2}, "a-1": {}}}, "devices: found two devices 'a-1'"),
    ({"networks": 5}, "networks: found 5"),
    ({"levels": "ab"}, "levels: found 'ab'; allowed: a list of accuracy levels"),
    ({"levels": 5}, "levels: found 5; allowed: a list of accuracy levels"),
    ({"channel": "block"}, "channel: found 'block'; allowed: a qopt.Channel"),
    ({"devices": {"a": {"count": 0}}}, "devices.a.count: found 0"),
]


@pytest.mark.parametrize(("arguments", "line"), BAD)
def test_bad_streams_are_one_line(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        qopt.draw_stream(**{"requests": 10, "networks": NETWORKS, **arguments})


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("gain", 0.0, "channel.gain: found 0, a channel that is off; allowed: a finite number > 0"),
        ("bandwidth", math.inf, "channel.bandwidth"),
        ("bandwidth", 1e308, "channel: found an SNR of"),
        ("model", "awgn", "channel.model: found 'awgn'"),
        ("block", 0, "channel.block"),
        ("to_bad", 0.0, "channel.to_bad"),
    ],
)
def test_a_channel_that_is_off_is_one_line(field: str, value: Any, line: str) -> None:
    with pytest.raises(InputError, match=line):
        qopt.Channel(**{field: value})


def test_policies_that_cannot_be_are_one_line() -> None:
    stream = drawn(5)
    for policy, line in ((["best"], "policies: found 'best'"), ([], "policies"), (["exact", "exact"], "none twice")):
        with pytest.raises(InputError, match=line):
            simulate(stream, policy)
    held = qopt.draw_stream(5, NETWORKS[0].replace({"cuts": [1]}))
    with pytest.raises(InputError, match="does not admit cut 0"):
        simulate(held, ["server"])
    with pytest.raises(InputError, match="policies: found 5; allowed: exact, published"):
        simulate(stream, 5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="problems: found 5"):
        qopt.published_table(5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="names: found 5"):
        qopt.QPart.from_layers([qopt.Linear(2, 2)], names=5, noise={}, accuracy={}, level=0.01)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="stream: found 3"):
        simulate(3)  # type: ignore[arg-type]
    measured = NETWORKS[1].replace({"tables": {"server_time": [1.0] * 4}})
    with pytest.raises(InputError, match="with tables"):
        simulate(qopt.draw_stream(5, measured), ["exact"])


def test_the_command(qopt_cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_text(json.dumps({"phone": {"device.clock": 1e9, "inferences": 100, "count": 3}}))
    words = ["simulate", "qpart/teaching-3", "-n", "200", "--policy", "exact,server", "--devices", str(path)]
    told = qopt_cli(*words, "--channel", "block", "--fading", "block=5", "--json")
    assert told.code == 0
    data = json.loads(told.out)
    assert data["requests"] == 200
    assert {row["policy"] for row in data["misses"]} == {"exact", "server"}
    assert "J above exact" in qopt_cli(*words).out
    for more in (["--fading", "gain=0"], ["--fading", "x=1"], ["--levels", "a"], ["--policy", "y"], ["-n", "0"]):
        assert qopt_cli("simulate", "qpart/teaching-3", *more).code == 2


@pytest.mark.sweep
def test_many_networks_on_one_stream() -> None:
    """Random networks with branches and several levels: exact never misses and is never beaten at the rate told."""
    for seed in range(int(os.environ.get("QOPT_SIMULATED", "2"))):
        networks = [qpart(4 + k, seed=10 * seed + k, branches=bool(k)).replace({"name": f"n{k}"}) for k in range(2)]
        stream = qopt.draw_stream(2000, networks, seed=seed, channel=qopt.Channel(model="block", block=1))
        found = simulate(stream, ["exact", "restored", "device", "server"])
        best = found.runs["exact"]
        assert not best.misses["level"].any()
        for run in found.runs.values():
            kept = run.misses["level"] == 0
            assert (run.objective[kept] >= best.objective[kept] * (1 - 1e-9)).all()
        assert over_level(qopt.offline(networks), "n0", 0).sum() == 0


def test_json_has_every_digit(qopt_cli: Cli) -> None:
    """Energies and prices are small: none is printed as 0."""
    call = qopt_cli("simulate", "qpart/teaching-3", "-n", "50", "--policy", "exact", "--json")
    rows = {row["quantity"]: row for row in json.loads(call.out)["distributions"]}
    found = qopt.simulate(qopt.draw_stream(50, "qpart/teaching-3"), "exact").to_dataframe().set_index("quantity")
    for name, row in rows.items():
        assert row["mean"] == found["mean"][name]

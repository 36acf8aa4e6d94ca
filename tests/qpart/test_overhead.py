"""Overhead of quantized tensors: bits sent and stored whatever the widths, in every method, table and proof."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction as F
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qopt.formulations.qpart import extract, joint, joint_cvxpy
from qopt.formulations.qpart_convex import convex
from sweeps import swept

import qopt
from qopt.core.errors import InputError, MethodError
from qopt.core.reading import to_json
from qopt.qpart.certificate.bounds import screening
from qopt.qpart.certificate.cuts import CutTable
from qopt.qpart.costs import breakdown
from qopt.qpart.generate import qpart
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import QPart
from qopt.qpart.report import plan_table
from qopt.qpart.serving.breakpoints import breakpoints
from qopt.qpart.serving.decide import decide
from qopt.qpart.serving.requests import Requests
from qopt.qpart.serving.table import load_table, offline
from qopt.qpart.subproblem import subproblems


def case(seed: int) -> QPart:
    """A small request with overhead that matters: about as many bits as the codes."""
    rnd = random.Random(seed)
    n = rnd.randint(2, 4)
    noise: Any = rnd.choice(["law", "grid", "table"])
    p = qpart(n, seed=seed, noise=noise, bits=(1, 3), tie_cut=rnd.random() < 0.3, branches=rnd.random() < 0.5)
    sizes = p.network.weights.copy()
    overhead = np.array([rnd.choice([0, rnd.uniform(0, 3) * z]) for z in sizes])
    changes: dict[str, Any] = {
        "network.overhead_activations": [rnd.uniform(0, 3) * z for z in p.network.activations],
        "inferences": rnd.choice([1, 3]),
        "channel.download_rate": rnd.choice([None, p.channel.uplink * rnd.uniform(0.3, 3)]),
        "send_output": rnd.random() < 0.5,
        "cuts": rnd.choice([None, list(range(1, n + 1)), [n]]),
    }
    if rnd.random() < 0.5:
        tied = sorted(rnd.sample(range(1, n + 1), 2))
        shared = rnd.random() < 0.6
        if shared:
            sizes[tied[1] - 1], overhead[tied[1] - 1] = sizes[tied[0] - 1], overhead[tied[0] - 1]
        changes["network.ties"] = [{"layers": tied, "shared": shared}]
    changes["network.weights"], changes["network.overhead"] = sizes.tolist(), overhead.tolist()
    if rnd.random() < 0.6:
        changes["device.memory"] = (float(sizes.sum()) * 2 + float(overhead.sum())) * rnd.uniform(0.3, 1.3)
    return p.replace(changes)


def bits_of(p: QPart, cut: int, weights: tuple[int, ...], activations: tuple[int, ...]) -> tuple[F, F]:
    """Bits down and up by Eq. 14 and the overheads, from the instance's numbers alone."""
    net = p.network
    again = {layer for tie in net.ties if tie.shared for layer in tie.layers.tolist()[1:]}
    down = F(0)
    for layer in range(1, cut + 1):
        if layer not in again:
            down += weights[layer - 1] * F(float(net.weights[layer - 1]))
            down += F(float(net.overhead[layer - 1])) if net.overhead is not None else 0
    last = net.last_reader.tolist() if net.last_reader is not None else list(range(1, len(net) + 2))
    up = F(net.input_bits) * F(net.input_size) if last[0] > cut else F(0)
    sent = [i for i in range(1, cut + 1) if last[i] > cut and (i < len(net) or p.send_output)]
    for i, width in zip(sent, activations, strict=True):
        up += width * F(float(net.activations[i - 1]))
        up += F(float(net.overhead_activations[i - 1])) if net.overhead_activations is not None else 0
    return down, up


def cost_of(p: QPart, cut: int, down: F, up: F) -> F:
    """Eq. 17 of so many bits, in rationals."""
    d, s, ch, w = p.device, p.server, p.channel, p.objective
    macs = [F(float(o)) for o in p.network.macs]
    cycles, clock = F(d.cycles_per_mac), F(d.clock)
    xi = cycles * (F(w.time) / clock + F(w.energy) * F(d.energy_coefficient) * clock**2)
    cycles, clock = F(s.cycles_per_mac), F(s.clock)
    delta = (F(w.time) + F(w.price) * F(s.price)) * cycles / clock
    delta += F(w.energy) * F(s.energy_coefficient) * clock**2 * cycles if s.charge_energy else 0
    bit = F(w.time) + F(w.energy) * F(ch.transmit_power)
    sent = bit * up / F(ch.uplink) + bit * down / F(ch.downlink) / p.inferences
    return xi * sum(macs[:cut]) + delta * sum(macs[cut:]) + sent


def cheapest(p: QPart) -> tuple[F, int] | None:
    """The best of all whole-bit plans, by counting: objective and cut."""
    best: tuple[F, int] | None = None
    widths = range(p.bits.lo, p.bits.hi + 1)
    for cut in p.admissible_cuts.tolist():
        outputs = len(crossing_activations(p, cut))
        for chosen in itertools.product(widths, repeat=cut + outputs):
            weights, activations = chosen[:cut], chosen[cut:]
            plan = QPartPlan(cut=cut, weights=weights, activations=activations)
            if any("memory" not in line for line in qopt.certify(p, plan, labels=0).violations):
                continue
            down, up = bits_of(p, cut, weights, activations)
            if p.device.memory is not None and down > F(p.device.memory) * (1 + F(1, 10**12)):
                continue
            found = (cost_of(p, cut, down, up), cut)
            best = found if best is None or found < best else best
    return best


@pytest.mark.parametrize("seed", range(24))
def test_payload_cost_and_memory_of_random_plans(seed: int) -> None:
    p, rnd = case(seed), random.Random(seed)
    for cut in range(len(p.network) + 1):
        outputs = crossing_activations(p, cut)
        chosen = [rnd.randint(1, 3) for _ in range(cut + len(outputs))]
        for tie in p.network.ties:
            for layer in tie.layers.tolist():
                if layer <= cut:
                    chosen[layer - 1] = chosen[int(tie.layers[0]) - 1]
        if p.tie_cut and cut in outputs:
            chosen[-1] = chosen[cut - 1]
        weights, activations = tuple(chosen[:cut]), tuple(chosen[cut:])
        plan = QPartPlan(cut=cut, weights=weights, activations=activations)
        down, up = bits_of(p, cut, weights, activations)
        certificate = qopt.certify(p, plan, labels=0)
        assert certificate.cost is not None
        assert certificate.cost.download == pytest.approx(float(down), rel=1e-13)
        assert certificate.cost.upload == pytest.approx(float(up), rel=1e-13)
        assert certificate.cost.payload == pytest.approx(float(down + up), rel=1e-13)
        assert certificate.objective == pytest.approx(float(cost_of(p, cut, down, up)), rel=1e-12)
        assert not [note for note in certificate.notes if note.startswith("error")]
        subproblem = subproblems(p).at(cut)
        widths = np.zeros(len(subproblem.tensors))
        widths[subproblem.owner] = chosen
        linear = subproblem.base + float(subproblem.price @ widths)
        assert linear == pytest.approx(float(cost_of(p, cut, down, up)), rel=1e-12)
        assert subproblem.stored_bits(widths) == pytest.approx(float(down), rel=1e-13)
        if p.device.memory is not None:
            memory = next(row for row in certificate.constraints if row.name == "memory")
            assert memory.used == pytest.approx(float(down), rel=1e-13)
            assert memory.holds == (down <= F(p.device.memory))


@pytest.mark.parametrize("seed", [s for s in range(40) if len(case(s).network) < 4][:14])
def test_every_method_finds_the_best_plan(seed: int) -> None:
    p = case(seed)
    best = cheapest(p)
    methods = ["brute-force", "mckp", "highs-mip"]
    for method in methods:
        found = qopt.solve(p, method)
        if best is None:
            assert found.plan is None
            assert found.certificate.infeasible
            continue
        assert found.objective == pytest.approx(float(best[0]), rel=1e-9)
        assert found.certificate.proved
    for form in ("one-hot", "aggregated", "big-m", "hull") if seed % 4 == 0 else ():
        found = qopt.solve(p, "pyomo", formulation=form)
        assert (found.plan is None) == (best is None)
        assert best is None or found.objective == pytest.approx(float(best[0]), rel=1e-8)
    if p.noise.model == "law":
        real = qopt.solve(p, "kkt")
        assert (real.plan is not None) or best is None
        if real.plan is not None:
            assert real.certificate.proved
            assert real.objective is not None
            assert best is None or real.objective <= float(best[0]) * (1 + 1e-9)
            for method in ("cvxpy", "highs-cuts"):
                assert qopt.solve(p, method).objective == pytest.approx(real.objective, rel=1e-6)
    for method in ("round-up", "uniform", "qpart-paper"):
        if method != "uniform" and p.noise.model != "law":
            continue
        found = qopt.solve(p, method)
        if found.plan is not None:
            assert isinstance(found.plan, QPartPlan)
            whole = tuple(map(int, found.plan.weights)), tuple(map(int, found.plan.activations))
            down, up = bits_of(p, found.plan.cut, *whole)
            assert found.objective == pytest.approx(float(cost_of(p, found.plan.cut, down, up)), rel=1e-12)


def binding(seed: int, bits: str) -> tuple[QPart, QPart, float]:
    """A request at one cut whose memory binds; the same without overhead and as much memory less; its cost."""
    p = qpart(4, seed=seed, bits=(1, 8), branches=seed % 2 == 0)
    cut = 3 + seed % 2
    p = p.replace({"cuts": [cut], "inferences": 2})
    method = "kkt" if bits == "real" else "mckp"
    leanest = qopt.solve(p.replace({"channel.download_rate": 1e-9 * p.channel.uplink}), method)
    free = qopt.solve(p.replace({"channel.download_rate": 1e3 * p.channel.uplink}), method)
    needs = [breakdown(p, found.plan).download for found in (leanest, free) if isinstance(found.plan, QPartPlan)]
    assert needs[0] < needs[1]
    rnd = random.Random(seed)
    overhead = [float(round(rnd.uniform(0.1, 3) * z)) for z in p.network.weights]
    room = round(needs[0] + (needs[1] - needs[0]) * rnd.uniform(0.05, 0.4))
    dear = {"channel.download_rate": 1e3 * p.channel.uplink, "device.memory": room}
    total = sum(overhead[:cut])
    price = (p.objective.time + p.objective.energy * p.channel.transmit_power) / (1e3 * p.channel.uplink) / 2
    without = p.replace(dear)
    return p.replace(dear | {"network.overhead": overhead, "device.memory": room + total}), without, price * total


@pytest.mark.parametrize("seed", swept(range(6), lambda seed: seed < 2))
@pytest.mark.parametrize("bits", ["whole", "real"])
def test_a_memory_that_binds_is_short_by_the_overhead(seed: int, bits: str) -> None:
    """At a fixed cut overhead is a constant cost, and memory that is not there: costs, bounds and proofs agree."""
    p, without, constant = binding(seed, bits)
    methods = ("mckp", "highs-mip", "pyomo") if bits == "whole" else ("kkt", "cvxpy", "highs-cuts")
    best = qopt.solve(without, methods[0])
    assert best.objective is not None
    assert best.objective > qopt.solve(without.replace({"device.memory": None}), methods[0]).objective * (1 + 1e-9)
    for method in methods:
        found = qopt.solve(p, method)
        exact = method in ("mckp", "highs-mip", "kkt")
        assert found.objective == pytest.approx(best.objective + constant, rel=1e-9 if exact else 1e-6)
        assert found.bound == pytest.approx(best.objective + constant, rel=1e-6)
        if exact:
            assert found.certificate.proved
        one, other = qopt.certify(p, found.plan, labels=0), qopt.certify(without, found.plan, labels=0)
        assert one.feasible
        assert other.feasible
        assert one.bound == pytest.approx((other.bound or 0.0) + constant, rel=1e-9)
        assert (one.kkt is None) == (other.kkt is None)
        if one.kkt is not None and other.kkt is not None:
            assert one.kkt.worst == pytest.approx(other.kkt.worst, abs=1e-9)
    if bits == "whole":
        proved = qopt.certify(p, qopt.solve(p).plan, qopt.solve(p).witness, labels=0)
        assert proved.proved
        assert not [note for note in proved.notes if "rejected" in note]


def test_screening_sees_a_memory_that_overhead_fills() -> None:
    p = qpart(12, seed=2, bits=(1, 4)).replace({"network.overhead": [64.0] * 12})
    p = p.replace({"network.weights": [1.0] * 12, "device.memory": 65.0 * 5})
    bounds = screening(CutTable(p, "whole"), p.admissible_cuts)
    assert np.isinf(bounds).tolist() == [cut > 5 for cut in range(13)]


@pytest.mark.parametrize("form", ["one-hot", "aggregated"])
def test_the_pyomo_models_cost_is_the_plans(form: str) -> None:
    import pyomo.environ as pyo

    p = next(c for c in map(case, range(100)) if c.device.memory is not None and cheapest(c) is not None)
    found = qopt.solve(p).plan
    assert isinstance(found, QPartPlan)
    model = joint(p, form)
    for v in model.component_data_objects(pyo.Var):
        v.set_value(0, skip_validation=True)
    model.cut[found.cut].set_value(1)
    outputs = crossing_activations(p, found.cut)
    for i in map(int, subproblems(p).at(found.cut).tensors):
        width = found.weights[i - 1] if i > 0 else found.activations[outputs.index(-i)]
        model.width[found.cut, i, int(width)].set_value(1)
    assert pyo.value(model.cost) == pytest.approx(breakdown(p, found).objective, rel=1e-12)
    rows: Any = model.component_data_objects(pyo.Constraint, active=True)
    assert all(row.uslack() >= -1e-12 for row in rows)


def test_the_cvxpy_model_finds_the_best_plan() -> None:
    p = next(c for c in map(case, range(100)) if c.device.memory is not None and cheapest(c) is not None)
    best = cheapest(p)
    assert best is not None
    model = joint_cvxpy(p)
    settings = {"primal_feasibility_tolerance": 1e-9, "mip_feasibility_tolerance": 1e-9}
    model.solve(solver="HIGHS", highs_options=settings)
    assert breakdown(p, extract(model, p)).objective == pytest.approx(float(best[0]), rel=1e-9)


@pytest.mark.parametrize("bits", ["whole", "real"])
@pytest.mark.parametrize("seed", swept(range(12), lambda seed: seed > 5))
def test_tables_answer_as_solving_does(seed: int, bits: Any, tmp_path: Path) -> None:
    p = case(seed)
    if bits == "real" and p.noise.model != "law":
        p = p.replace({"noise.model": "law", "noise.table": None})
    table = offline(p.replace({"device.memory": None}), bits=bits)
    table.save(tmp_path / "table.npz")
    table = load_table(tmp_path / "table.npz")
    rnd = np.random.default_rng(seed)
    n = 12
    total = float(p.network.sent.sum() * 2 + p.network.sent_overhead.sum())
    requests = Requests.of(
        {
            "channel.rate": p.channel.uplink * 10 ** rnd.uniform(-2, 2, n),
            "device.memory": np.where(rnd.random(n) < 0.4, np.inf, total * rnd.uniform(0.2, 1.4, n)),
            "inferences": rnd.integers(1, 50, n).astype(float),
        }
    )
    answers = decide(table, requests)
    for row in range(n):
        asked = requests.problem(row, p)
        solved = qopt.solve(asked, "mckp" if bits == "whole" else "kkt")
        if solved.plan is None:
            assert np.isinf(answers.objective[row])
            continue
        assert answers.objective[row] == pytest.approx(solved.objective, rel=1e-9)
        plan = answers.plan(row)
        assert plan is not None
        certificate = qopt.certify(asked, plan, labels=0)
        assert certificate.feasible
        assert certificate.objective == pytest.approx(solved.objective, rel=1e-9)


def test_a_table_file_with_another_overhead_is_refused(tmp_path: Path) -> None:
    p = case(3).replace({"device.memory": None})
    assert p.network.overhead is not None
    table = offline(p)
    key = next(iter(table.networks))
    table.networks[key] = p.replace({"network.overhead": (p.network.overhead + 64).tolist()})
    table.save(tmp_path / "table.npz")
    with pytest.raises(InputError, match="damaged"):
        load_table(tmp_path / "table.npz")


@pytest.mark.parametrize("bits", ["whole", "real"])
@pytest.mark.parametrize("parameter", ["rate", "inferences", "transmit_power"])
def test_breakpoints_follow_the_best_plan(parameter: str, bits: Any) -> None:
    for seed in (1, 6, 9):
        p = case(seed).replace({"channel.download_rate": None, "noise.model": "law", "noise.table": None})
        if bits == "real" and parameter == "inferences":
            p = p.replace({"cuts": [0, len(p.network)], "send_output": False, "network.last_reader": None})
            with pytest.raises(InputError):
                breakpoints(p, parameter, bits=bits)
            continue
        found = breakpoints(p, parameter, low=1.0, high=1e4, bits=bits)
        name = {"rate": "channel.rate", "transmit_power": "channel.transmit_power"}.get(parameter, parameter)
        for value in (1, 7, 300, 9000):
            asked = p.replace({name: value if parameter == "inferences" else float(value)})
            solved = qopt.solve(asked, "mckp" if bits == "whole" else "kkt")
            if solved.plan is not None:
                assert float(found.objective(float(value))) == pytest.approx(solved.objective, rel=1e-9)


def test_none_and_zeros_change_no_number() -> None:
    for seed in range(6):
        p = qpart(4, seed=seed, bits=(1, 6), memory=0.8, branches=seed % 2 == 0)
        zeros = p.replace({"network.overhead": [0.0] * 4, "network.overhead_activations": [0.0] * 4})
        for method in ("mckp", "kkt", "uniform", "qpart-paper"):
            one, other = qopt.solve(p, method), qopt.solve(zeros, method)
            assert one.objective == other.objective
            assert one.bound == other.bound
            assert one.plan == other.plan
        assert "overhead" not in to_json(p)


def test_overhead_alone_can_fill_the_memory() -> None:
    p = qpart(3, seed=5, bits=(1, 3)).replace({"cuts": [2, 3]})
    sizes = p.network.weights
    tight = float(sizes[:2].sum()) + 128
    p = p.replace({"network.overhead": [64.0] * 3, "device.memory": tight, "accuracy.delta": [[1e9] * 3]})
    found = qopt.solve(p)
    assert found.plan is not None
    assert found.certificate.proved
    assert found.plan.weights == (1.0, 1.0)
    assert qopt.solve(p.replace({"device.memory": tight * (1 + 1e-13)}), "kkt").certificate.proved
    for method in ("mckp", "highs-mip", "brute-force", "kkt", "cvxpy", "highs-cuts", "pyomo"):
        for memory in (tight - 1, 100.0, 0.0):
            none = qopt.solve(p.replace({"device.memory": memory}), method)
            assert none.plan is None
            assert none.certificate.infeasible
    with pytest.raises(MethodError, match="overhead"):
        convex(p.replace({"device.memory": 100.0}), 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network.overhead": [1.0]}, "network.overhead: found 1 entries; allowed: 3"),
        ({"network.overhead": [1.0, -1.0, 0.0]}, "network.overhead[1]"),
        ({"network.overhead": [1.0, math.inf, 0.0]}, "network.overhead[1]"),
        ({"network.overhead_activations": [1.0, math.nan, 0.0]}, "network.overhead_activations[1]"),
        (
            {
                "network.weights": [9.0, 9.0, 1.0],
                "network.overhead": [1.0, 2.0, 0.0],
                "network.ties": [{"layers": [1, 2], "shared": True}],
            },
            "overhead",
        ),
    ],
)
def test_bad_overheads_take_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        qpart(3, seed=1).replace(changes)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_overhead_too_large_for_floats_is_refused() -> None:
    dear = {"channel.rate": 1e-100, "channel.transmit_power": 1e100, "objective.energy": 1e100}
    p = qpart(2, seed=1).replace({"network.overhead": [1e100, 1e100], **dear})
    with pytest.raises(InputError, match="overhead"):
        qopt.solve(p)


def test_the_report_counts_it() -> None:
    from rich.console import Console

    p = qpart(2, seed=1).replace({"network.weights": [100.0, 50.0], "network.overhead": [6400.0, 0.0]})
    console = Console(width=120)
    with console.capture() as captured:
        console.print(plan_table(p, QPartPlan(cut=1, weights=(4.0,), activations=(2.0,))))
    line = next(line for line in captured.get().splitlines() if "weights" in line)
    assert "6.8 kbit" in line
    assert "212.5%" in line

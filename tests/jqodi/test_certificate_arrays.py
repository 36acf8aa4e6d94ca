"""The certificate's reading of Eqs. 1-10 beside the methods': equal to the last digit, and what a witness speaks of."""

from __future__ import annotations

import ast
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweeps import few

from qopt.core.errors import InputError
from qopt.jqodi import certificate, reductions, terms
from qopt.jqodi.certificate import arrays, instances
from qopt.jqodi.certificate.certify import certify
from qopt.jqodi.costs import breakdown
from qopt.jqodi.generate import jqodi
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.kernels import checker, exchange

SEEDS = range(few(90))


def drawn(seed: int) -> Jqodi:
    """A random problem of any mode, with what changes the numbers of a state."""
    rng = np.random.default_rng(seed)
    mode: Any = ("choice", "schedule", "path")[seed % 3]
    asked = jqodi(
        int(rng.integers(1, 7)),
        seed=seed,
        mode=mode,
        servers=int(rng.integers(1, 5)),
        cuts=int(rng.integers(1, 5)),
        models=int(rng.integers(1, 3)),
        conditions=bool(rng.random() < 0.6),
        switching=None if rng.random() < 0.7 else False,
        estimate="robust" if rng.random() < 0.6 else "expected",
        losses=bool(rng.random() < 0.4),
        requests=float(rng.choice([0.0, 1e3, 123456.7])),
        tightness=float(rng.uniform(0, 1)),
    )
    changes: dict[str, Any] = {}
    data = asked.model_dump(mode="json")
    for m, model in enumerate(asked.models):
        n = len(model)
        if rng.random() < 0.5:
            kept = rng.permutation(n + 1)[: int(rng.integers(1, n + 2))]
            changes[f"models[{m}].cuts"] = sorted(int(j) for j in kept)
        if rng.random() < 0.3:
            changes[f"models[{m}].cloud_work"] = float(rng.choice([0.0, rng.uniform(1, 1e12)]))
        if rng.random() < 0.3:
            changes[f"models[{m}].weights"] = [0.0] * n  # nothing to send
        for w in range(len(model.widths)):
            changes[f"models[{m}].widths[{w}].work"] = float(rng.choice([1.0, 0.3, 1.7]))
    if rng.random() < 0.3:
        changes["widths"] = [4]
    if len(asked.servers) > 1 and rng.random() < 0.5:  # no link with the device, or none with the cloud
        if rng.random() < 0.5:
            changes["devices[0].links"] = data["devices"][0]["links"][1:]
        else:
            changes["servers[0].cloud_rate"] = None
    if asked.conditions is not None and rng.random() < 0.5:  # rates that are gone
        name = asked.servers[-1].name
        for column in ("device_rate", "cloud_rate", "speed"):
            factors = np.array(getattr(asked.conditions.servers[name], column))
            factors[rng.random(len(factors)) < 0.3] = 0.0
            changes[f"conditions.servers.{name}.{column}"] = factors.tolist()
    if mode == "path" and rng.random() < 0.4:
        changes["switching"] = {"server_time": 0.1, "cut_energy": float(rng.choice([0.0, 0.7]))}
    if rng.random() < 0.3 and "devices[0].links" not in changes:
        changes["devices[0].links[0].rate"] = 1e5
        changes["devices[0].links[0].bandwidth"] = changes["devices[0].links[0].snr"] = None
    return asked.replace(changes)


def pairs(seed: int) -> list[tuple[Jqodi, arrays.Arrays, terms.Candidate]]:
    """The certificate's reading and the methods' of every candidate."""
    asked = drawn(seed)
    own, theirs = arrays.every(asked), terms.candidates(asked)
    assert [x.key for x in own] == [x.key for x in theirs]
    return [(asked, x, y) for x, y in zip(own, theirs, strict=True)]


def test_both_readings_of_the_equations_are_equal_to_the_last_digit() -> None:
    seen = {"robust": 0, "gone": 0, "switching": 0, "requests": 0, "candidates": 0}
    for seed in SEEDS:
        for asked, own, theirs in pairs(seed):
            assert (own.model, own.bits) == (theirs.model, theirs.bits)
            assert (own.epochs, own.counted) == (theirs.epochs, theirs.counted)
            assert tuple((x, j) for x in own.servers for j in own.cuts) == theirs.states
            assert (own.setup_time, own.setup_energy) == (theirs.setup_time, theirs.setup_energy)
            np.testing.assert_array_equal(own.time, theirs.time)
            np.testing.assert_array_equal(own.energy, theirs.energy)
            assert own.possible == reductions.possible(theirs)
            for mine, matrix in ((own.switch_time, theirs.switch_time), (own.switch_energy, theirs.switch_energy)):
                assert (mine is None) == (matrix is None)
                if mine is not None and matrix is not None:
                    np.testing.assert_array_equal(mine.matrix, matrix)
                    assert mine.largest == matrix.max()
            rng = np.random.default_rng(seed)
            for _ in range(3):
                states = rng.integers(0, own.states, own.epochs)
                assert own.terms(states) == terms.terms_of(theirs, states)
                assert own.totals(states) == terms.totals(theirs, states)
                plan = terms.plan_of(asked, theirs, states)
                assert own.states_of(plan).tolist() == states.tolist()
                found = arrays.of_plan(asked, plan)
                np.testing.assert_array_equal(found.time, own.time)
                np.testing.assert_array_equal(found.energy, own.energy)
            seen["candidates"] += 1
            seen["robust"] += own.counted < own.epochs
            seen["gone"] += not own.there.all()
            seen["switching"] += own.changing
            seen["requests"] += asked.inference.requests > 0
    assert min(seen.values()) > few(20), seen


def test_the_instances_of_witnesses_are_equal_to_the_methods() -> None:
    """Columns and arcs, to the place: a tree that a method wrote is read as it was meant."""
    knapsacks = paths = repeated = 0
    for seed in SEEDS:
        for asked, own, theirs in pairs(seed):
            if not own.possible:
                continue
            limit = asked.time_limit
            graph = exchange.rcsp_instance(reductions.path_graph(theirs), limit)
            mine = instances.layered(own, limit)
            assert mine == {name: graph[name] for name in exchange.FIELDS["rcsp"]}
            paths += 1
            parts, blocks = reductions.blocks(theirs), instances.blocks(own)
            assert len(parts) == len(blocks)
            for part, block in zip(parts, blocks, strict=True):
                for name in ("epochs", "states", "energy", "time"):
                    np.testing.assert_array_equal(getattr(part, name), getattr(block, name))
            if not own.changing:
                schedule = reductions.schedule_instance(theirs, limit)
                knapsack = exchange.mckp_instance(schedule.cost, schedule.weight, limit)
                assert instances.knapsack(own, limit) == {name: knapsack[name] for name in exchange.FIELDS["mckp"]}
                knapsacks += 1
                repeated += len({len(block.states) for block in blocks}) > 1
    assert knapsacks > few(30)
    assert paths > few(60)
    assert repeated > few(5)


def test_equal_and_dominated_states_leave_by_the_stated_rule() -> None:
    energy, time = np.array([3.0, 1.0, 1.0, 2.0, math.inf, 3.0]), np.array([1.0, 9.0, 8.0, 8.0, math.inf, 1.0])
    assert instances.undominated(energy, time) == [2, 0]
    assert instances.undominated(energy[:1], time[:1]) == [0]
    assert instances.undominated(np.array([2.0, 2.0, 2.0]), np.array([5.0, 5.0, 5.0])) == [0]


# --- against the equations in rationals ---------------------------------------------------------------------------


def exact(asked: Jqodi, own: arrays.Arrays, k: int, name: str, j: int) -> tuple[Fraction | None, Fraction]:
    """Seconds and joules of one epoch in one state by Eqs. 1-10, nothing rounded; None where it is impossible."""
    model = next(m for m in asked.models if m.name == own.model)
    width = next(w for w in model.widths if w.bits == own.bits)
    device, server = asked.decided, next(s for s in asked.servers if s.name == name)
    link = next((link for link in device.links if link.server == name), None)
    images = Fraction(asked.training_passes) * Fraction(device.training) + Fraction(device.validation)
    macs, parameters = [list(map(Fraction, column.tolist())) for column in (model.macs, model.weights)]
    whole = images * sum(macs) if model.cloud_work is None else Fraction(model.cloud_work)
    on_device, on_server = (images * Fraction(width.work) * sum(part) for part in (macs[:j], macs[j:]))
    bits, shallow = sum(parameters) * width.bits, sum(parameters[:j]) * width.bits
    now = asked.conditions
    here = None if now is None else now.servers.get(name)

    def factor(column: Any) -> Fraction:
        return Fraction(1) if column is None else Fraction(float(column[k]))

    energy = Fraction(0)
    if k < own.counted:
        energy += on_device * Fraction(device.energy) + on_server * Fraction(server.energy)
        energy += whole * Fraction(asked.cloud.energy) + 2 * bits * Fraction(server.cloud_energy)
        energy += 2 * shallow * Fraction(0 if link is None else link.energy)
    if k == own.epochs - 1 and asked.inference.requests and link is not None:
        up = Fraction(0)
        if j == 0:
            assert model.input_size is not None
            assert model.input_bits is not None
            up = Fraction(model.input_size) * model.input_bits
        elif j < len(model):
            assert model.activations is not None
            up = Fraction(float(model.activations[j - 1])) * width.bits
        served = Fraction(width.work) * (
            sum(macs[:j]) * Fraction(device.energy) + sum(macs[j:]) * Fraction(server.energy)
        )
        energy += Fraction(asked.inference.requests) * (served + up * Fraction(link.energy))
    if link is None or server.cloud_rate is None or (here and here.available is not None and not here.available[k]):
        return None, energy
    loads = (
        (on_device, Fraction(device.speed) * factor(now and now.device_speed)),
        (on_server, Fraction(server.speed) * factor(here and here.speed)),
        (whole, Fraction(asked.cloud.speed) * factor(now and now.cloud_speed)),
        (2 * bits, Fraction(server.cloud_rate) * factor(here and here.cloud_rate)),
        (2 * shallow, Fraction(link.bits_per_second) * factor(here and here.device_rate)),
    )
    if any(amount and not rate for amount, rate in loads):
        return None, energy
    return sum((amount / rate for amount, rate in loads if amount), Fraction(0)), energy


def test_the_certificates_numbers_are_the_equations() -> None:
    """Every entry, within a few roundings of Eqs. 1-10 in rationals."""
    roundings, entries = Fraction(1, 2**49), 0
    for seed in range(0, len(SEEDS), 2):
        for asked, own, _ in pairs(seed):
            for k in range(own.epochs):
                for s in range(own.states):
                    name, j = own.servers[s // len(own.cuts)], own.cuts[s % len(own.cuts)]
                    seconds, joules = exact(asked, own, k, name, j)
                    assert own.there[k, s] == (seconds is not None)
                    entries += 1
                    if seconds is not None:
                        assert abs(Fraction(float(own.time[k, s])) - seconds) <= roundings * seconds
                        assert abs(Fraction(float(own.energy[k, s])) - joules) <= roundings * joules
    assert entries > few(1000)


def test_tables_and_account_come_to_the_same_sums() -> None:
    """The second reading that a certificate compares: a plan followed through its epochs."""
    compared = 0
    for seed in SEEDS:
        for asked, own, theirs in pairs(seed):
            if own.possible:
                states = np.argmin(own.time, axis=1)
                account = breakdown(asked, terms.plan_of(asked, theirs, states))
                assert own.totals(states) == pytest.approx((account.objective, account.time), rel=1e-13)
                compared += 1
    assert compared > few(60)


# --- what is refused, and what is not used ------------------------------------------------------------------------


def test_numbers_too_large_are_refused_as_the_methods_do() -> None:
    asked = jqodi(3, seed=1, servers=2, cuts=2, models=1, widths=[8])
    for changes in (
        {"models[0].macs": [1e299] * 3},
        {"models[0].cloud_work": 1e300, "cloud.energy": 1e300},
        {"cloud.speed": 1e-300, "models[0].cloud_work": 1e200},
        {"servers[1].cloud_energy": 1e305},
        {"inference.requests": 1e300, "servers[0].energy": 1e9},
    ):
        large = asked.replace(changes)
        lines = []
        for reading in (terms.candidates, arrays.every):
            with pytest.raises(InputError) as caught:
                reading(large)
            lines.append(str(caught.value))
        assert lines[0] == lines[1]
    plan = JqodiPlan(model="model1", bits=8, servers=("server1",) * 3, cuts=(1,) * 3)
    with pytest.raises(InputError, match="a number too large"):
        certify(asked.replace({"servers[1].cloud_energy": 1e305}), plan)


def test_too_many_epochs_and_states_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = jqodi(3, seed=1, servers=2, cuts=2, models=1, widths=[8])
    monkeypatch.setattr(arrays, "MAX_ENTRIES", 11)
    with pytest.raises(InputError, match="epochs times states up to 11"):
        arrays.every(asked)


def test_a_change_is_two_parts() -> None:
    change = arrays.Change(
        np.array([[0.0, 2.0], [3.0, 0.0]]), np.array([[0.0, 0.5, 0.25], [1.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    )
    assert change.matrix.shape == (6, 6)
    at = np.arange(6)
    np.testing.assert_array_equal(change.between(at[:, None], at[None, :]), change.matrix)
    assert change.between(1, 5) == 2.0 + 4.0
    assert change.largest == 7.0


def test_a_certificate_uses_no_table_of_the_methods() -> None:
    """By its imports: the problem, the plan, the account, the checker, and what all families share."""
    allowed = ("problem", "models", "parts", "losses", "plan", "costs", "certificate")
    for file in Path(certificate.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [entry.name for entry in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name == "qopt.kernels":
                    assert isinstance(node, ast.ImportFrom)
                    assert [entry.name for entry in node.names] == [checker.__name__.split(".")[-1]]
                elif name.startswith("qopt."):
                    family = name.startswith("qopt.jqodi.") and name.split(".")[2] in allowed
                    assert family or name.startswith("qopt.core.") or name == "qopt.kernels.checker", (file.name, name)

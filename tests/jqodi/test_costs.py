"""What a plan costs: by hand, against Eqs. 1-10 in rationals, and where time and energy go."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from jqodi_problems import A_AND_B, CAMERA, CLOUD
from sweeps import few

from qopt.jqodi.costs import NODES, breakdown
from qopt.jqodi.generate import jqodi
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import (
    arcs,
    candidate_at,
    candidate_of,
    candidates,
    keeps_limit,
    plan_of,
    request_bits,
    states_of,
    terms_of,
    totals,
)

EXACT = 1e-14
"""A few roundings."""


def problem(**changes: Any) -> Jqodi:
    """One model on two servers, in numbers that are easy by hand: 4 images an epoch, 16 bits of parameters."""
    data: dict[str, Any] = {
        "mode": "path",
        "time_limit": 100.0,
        "cloud": CLOUD,
        "servers": [
            *A_AND_B,
            {"name": "far", "speed": 4.0, "energy": 2.0, "cloud_rate": 16.0},
        ],
        "devices": [CAMERA],
        "models": [
            {
                "name": "net",
                "macs": [1, 2, 3],
                "weights": [4, 2, 2],
                "activations": [2, 1, 1],
                "input_size": 3,
                "input_bits": 8,
                "widths": [
                    {
                        "bits": 2,
                        "quantize_time": 3.0,
                        "quantize_energy": 5.0,
                        "epochs": {"expected": 3, "robust": 4},
                    },
                    {"bits": 4, "work": 2.0, "epochs": {"expected": 1, "robust": 1}},
                ],
            }
        ],
    }
    base = Jqodi(**data)
    return base.replace(changes) if changes else base


def plan(*states: tuple[str, int], bits: int = 2) -> JqodiPlan:
    return JqodiPlan(model="net", bits=bits, servers=tuple(x for x, _ in states), cuts=tuple(j for _, j in states))


def test_an_epoch_by_hand() -> None:
    """A, cut 1: 4 MACs on device, 20 on the server, 24 in the cloud, 16 bits each way to the cloud, 8 to the device.

    Seconds 4/2 + 20/8 + 24/24 + 2 (16/8 + 8/4), joules 4 + 60 + 12 + 2 (8 + 1), and so on.
    """
    own = candidate_at(problem(), "net", 2)
    assert own.states[:4] == (("A", 1), ("A", 2), ("B", 1), ("B", 2))
    assert own.time[0].tolist() == [13.5, 18.5, 12.0, 15.0, math.inf, math.inf]
    assert own.energy[0].tolist() == [94.0, 79.0, 68.0, 62.0, math.inf, math.inf]
    assert (own.epochs, own.counted, own.switch_time, own.switch_energy) == (3, 3, None, None)
    found = breakdown(problem(), plan(("A", 1), ("A", 1), ("B", 2)))
    assert (found.time, found.energy, found.objective) == (3 + 2 * 13.5 + 15, 5 + 2 * 94 + 62, 5 + 2 * 94 + 62)
    first, last = found.epochs[0], found.epochs[2]
    assert first.times == (2.0, 2.5, 1.0, 4.0, 4.0)
    assert first.energies == (4.0, 60.0, 12.0, 2.0, 16.0)
    assert (last.server, last.cut, last.times, last.energies) == ("B", 2, (6, 3, 1, 3, 2), (12, 24, 12, 6, 8))
    assert found.node_times == dict(zip(NODES, (10, 8, 3, 11, 10), strict=True))
    assert found.node_energies == dict(zip(NODES, (20, 144, 36, 10, 40), strict=True))


def test_ends_of_the_network_and_the_cloud_work() -> None:
    asked = problem(**{"models[0].cuts": [0, 3], "models[0].cloud_work": 12.0})
    own = candidate_at(asked, "net", 2)
    # Cut 0: nothing on the device and no parameters sent to it; cut 3: nothing on the server.
    assert own.time[0, :2].tolist() == [24 / 8 + 0.5 + 4, 24 / 2 + 0.5 + 2 * (2 + 4)]
    assert own.energy[0, :2].tolist() == [72 + 6 + 16, 24 + 6 + 2 * (8 + 2)]


def test_work_of_a_width_is_the_device_and_the_servers() -> None:
    own = candidate_at(problem(), "net", 4)
    assert own.time[0, 0] == 2 * 2 + 2 * 2.5 + 1 + 2 * (32 / 8 + 16 / 4)
    assert own.energy[0, 0] == 2 * 64 + 12 + 2 * (16 + 2)


def test_robust_epochs_take_time_and_no_energy() -> None:
    asked = problem(estimate="robust", **{"switching.server_energy": 7.0, "switching.server_time": 1.0})
    own = candidate_at(asked, "net", 2)
    assert (own.epochs, own.counted) == (4, 3)
    assert own.energy[3, :4].tolist() == [0, 0, 0, 0]
    assert math.isinf(own.energy[3, 4])
    here = plan(("A", 1), ("A", 1), ("B", 1), ("A", 1))
    found = breakdown(asked, here)
    assert found.time == 3 + 3 * 13.5 + 12 + 2
    assert found.energy == 5 + 2 * 94 + 68 + 7, "the change into the fourth epoch costs time, and energy that is not"
    assert totals(own, states_of(own, here)) == (found.energy, found.time)
    assert [row.counted for row in found.epochs] == [True, True, True, False]
    energies, times = arcs(own)
    assert energies is not None
    assert times is not None
    assert [float(energies[k].max()) for k in range(3)] == [7, 7, 0]
    assert times.shape == (6, 6)


def test_changing_costs_by_pair() -> None:
    server = np.array([[0.0, 1, 2], [4, 0, 8], [16, 32, 0]])
    cut = np.array([[0, 9, 9, 9], [9, 0, 0.5, 9], [9, 0.25, 0, 9], [9, 9, 9, 0]])
    asked = problem(switching={"server_time": server, "cut_time": cut, "cut_energy": 0.125})
    own = candidate_at(asked, "net", 2)
    assert own.switch_time is not None
    at = own.index
    for (x, j), (y, i), seconds in (
        (("A", 1), ("A", 1), 0),
        (("A", 1), ("B", 1), 1),
        (("B", 1), ("A", 2), 4.5),
        (("B", 2), ("B", 1), 0.25),
        (("far", 2), ("B", 1), 32.25),
    ):
        assert own.switch_time[at[x, j], at[y, i]] == seconds
        found = breakdown(asked, plan((x, j), (y, i), (y, i)))
        assert (found.switch_time, found.switch_energy) == (seconds, 0.125 * (i != j))
    assert arcs(own)[0] is own.switch_energy


def test_conditions_are_factors_and_zero_is_gone() -> None:
    asked = problem(
        **{
            "models[0].widths[0].epochs": {"expected": 4, "robust": 4},
            "conditions": {
                "device_speed": [1, 0.5, 1, 1],
                "cloud_speed": [1, 0.5, 1, 1],
                "servers": {
                    "A": {"speed": [1, 0.25, 1, 1], "cloud_rate": [1, 0.5, 1, 1], "device_rate": [1, 0.5, 0, 1]},
                    "B": {"available": [True, True, False, True]},
                },
            },
        }
    )
    own = candidate_at(asked, "net", 2)
    assert own.time[0, :4].tolist() == own.time[3, :4].tolist() == [13.5, 18.5, 12.0, 15.0]
    assert own.time[1, 0] == 4 + 10 + 2 + 8 + 8
    assert np.isinf(own.time[2]).all(), "A cannot reach the device, B is gone"
    assert own.energy[1, 0] == own.energy[0, 0], "energy is by MAC and by bit, not by second"
    found = breakdown(asked, plan(("A", 1), ("A", 1), ("A", 1), ("A", 1)))
    assert found.impossible == (3,)
    assert (found.time, found.energy, found.objective) == (None, None, None)
    assert (found.epochs[2].times[3], found.node_times["device link"]) == (None, None)
    assert not keeps_limit(asked, own, [0, 0, 0, 0])
    json.dumps(found.to_dict(), allow_nan=False)


def test_nothing_to_send_needs_no_link_at_work() -> None:
    """At cut 0 the device's link carries nothing, so that its rate may be 0; the server's speed may be at cut n."""
    gone = {"conditions": {"servers": {"A": {"device_rate": [0, 1, 1], "speed": [1, 0, 1]}}}}
    asked = problem(**{"models[0].cuts": [0, 1, 3], **gone})
    own = candidate_at(asked, "net", 2)
    assert np.isinf(own.time[:2, :3]).tolist() == [[False, True, True], [True, True, False]]
    for k in range(2):
        for s in range(3):
            states = [2, 0, 0]
            states[k] = s
            found = breakdown(asked, plan_of(asked, own, states))
            assert (found.time is None) == math.isinf(totals(own, states)[1])


def test_inference_requests_by_hand() -> None:
    """Cut 1 on A: 1 MAC on the device, 2 values of 2 bits up, 5 MACs on the server."""
    asked = problem(**{"inference.requests": 10.0})
    found = breakdown(asked, plan(("B", 2), ("B", 2), ("A", 1)))
    served = found.inference
    assert served is not None
    assert (served.bits, served.time, served.energy) == (4, 0.5 + 1 + 0.625, 1 + 0.5 + 15)
    assert (served.total_time, served.total_energy) == (21.25, 165)
    assert (found.time, found.energy) == (3 + 15 + 15 + 13.5, 5 + 62 + 62 + 94)
    assert found.energy is not None
    assert found.objective == found.energy + 165, "only the last epoch's server and cut serve"
    own = candidate_at(asked, "net", 2)
    assert own.energy[2, 0] == own.energy[0, 0] + 165
    assert own.energy[1, 0] == own.energy[0, 0]
    ends = problem(**{"models[0].cuts": [0, 3]})
    model = ends.models[0]
    assert [request_bits(model, model.width(2), j) for j in (0, 1, 3)] == [24, 4, 0]
    for cut, energy, time in ((0, 24 * 0.125 + 18, 6 + 0.75), (3, 6, 3)):
        alone = breakdown(ends, plan(("A", cut), ("A", cut), ("A", cut))).inference
        assert alone is not None
        assert (alone.energy, alone.time, alone.total_energy) == (energy, time, 0)
    unknown = breakdown(problem(**{"models[0].activations": None}), plan(("A", 1), ("A", 1), ("A", 1)))
    assert unknown.inference is None
    assert unknown.objective == unknown.energy


def test_losses_are_reported() -> None:
    loss = {
        "quantization": {"expected": 0.25, "robust": 0.5},
        "update": {"expected": -0.125, "robust": -0.0625},
        "run": {"expected": [-0.125, -0.0625, -0.0625], "robust": -0.125},
    }
    widths = [{"bits": 2, "loss": loss}]
    asked = problem(**{"models[0].widths": widths, "models[0].loss": 0.5, "models[0].loss_limit": 0.3125})
    found = breakdown(asked, plan(("A", 1), ("A", 1)))
    assert found.expected_losses == (0.75, 0.5, 0.3125)
    assert found.robust_losses == (1.0, 0.8125, 0.625)
    assert (found.expected_epochs, found.robust_epochs) == (2, 4)


def exact_totals(asked: Jqodi, here: JqodiPlan) -> tuple[Fraction, Fraction]:
    """Energy that counts and time by Eqs. 1-10, nothing rounded."""
    model = asked.model(here.model)
    width = model.width(here.bits)
    device = asked.decided
    images = Fraction(asked.training_passes) * Fraction(device.training) + Fraction(device.validation)
    macs, weights = [Fraction(x) for x in model.macs.tolist()], [Fraction(x) for x in model.weights.tolist()]
    expected = model.epochs(width)[0]
    counted = len(here.cuts) if expected is None else expected
    energy, time = Fraction(width.quantize_energy), Fraction(width.quantize_time)

    def factor(column: Any, k: int) -> Fraction:
        return Fraction(1) if column is None else Fraction(float(column[k]))

    now = asked.conditions
    for k, (name, j) in enumerate(zip(here.servers, here.cuts, strict=True)):
        server = {s.name: s for s in asked.servers}[name]
        link = {s.server: s for s in device.links}[name]
        local = now.servers.get(name) if now else None
        work = images * Fraction(width.work)
        on_device, on_server, cloud = work * sum(macs[:j]), work * sum(macs[j:]), images * sum(macs)
        whole, shallow = sum(weights) * here.bits, sum(weights[:j]) * here.bits
        assert server.cloud_rate is not None
        time += on_device / (Fraction(device.speed) * factor(now and now.device_speed, k))
        time += on_server / (Fraction(server.speed) * factor(local and local.speed, k))
        time += cloud / (Fraction(asked.cloud.speed) * factor(now and now.cloud_speed, k))
        time += 2 * whole / (Fraction(server.cloud_rate) * factor(local and local.cloud_rate, k))
        time += 2 * shallow / (Fraction(link.bits_per_second) * factor(local and local.device_rate, k))
        joules = on_device * Fraction(device.energy) + on_server * Fraction(server.energy)
        joules += cloud * Fraction(asked.cloud.energy)
        joules += 2 * (whole * Fraction(server.cloud_energy) + shallow * Fraction(link.energy))
        if k:
            x, y = asked.server_names.index(here.servers[k - 1]), asked.server_names.index(name)
            i = here.cuts[k - 1]
            change = asked.switching
            for kind, u, v in (("server", x, y), ("cut", i, j)):
                seconds, cost = getattr(change, f"{kind}_time"), getattr(change, f"{kind}_energy")
                if u != v:
                    time += Fraction(seconds if isinstance(seconds, float) else float(seconds[u, v]))
                    joules += Fraction(cost if isinstance(cost, float) else float(cost[u, v]))
        energy += joules if k < counted else 0
    served = Fraction(asked.inference.requests)
    if served:
        last, j = here.servers[-1], here.cuts[-1]
        bits = Fraction(float(model.activations[j - 1])) * here.bits if model.activations is not None else Fraction(0)
        one = Fraction(width.work) * sum(macs[:j]) * Fraction(device.energy)
        one += Fraction(width.work) * sum(macs[j:]) * Fraction({s.name: s for s in asked.servers}[last].energy)
        one += bits * Fraction({s.server: s for s in device.links}[last].energy)
        energy += served * one
    return energy, time


@pytest.mark.parametrize("estimate", ["expected", "robust"])
def test_tables_and_account_are_the_equations(estimate: Any) -> None:
    """The tables that methods optimize, and the account that follows the plan, against rationals."""
    rng = np.random.default_rng(8)
    compared = 0
    for seed in range(few(12)):
        asked = jqodi(5, seed=seed, servers=3, cuts=3, estimate=estimate, requests=100.0 * (seed % 3))
        for own in candidates(asked):
            for _ in range(8):
                states = [int(rng.choice(np.flatnonzero(np.isfinite(row)))) for row in own.time]
                here = plan_of(asked, own, states)
                assert states_of(candidate_of(asked, here), here).tolist() == states
                energy, time = exact_totals(asked, here)
                account = breakdown(asked, here)
                assert totals(own, states) == pytest.approx((float(energy), float(time)), rel=EXACT)
                assert (account.objective, account.time) == pytest.approx((float(energy), float(time)), rel=EXACT)
                parts = [*account.node_energies.values(), account.setup_energy, account.switch_energy]
                assert math.fsum(parts) == pytest.approx(account.energy, rel=1e-12)
                seconds = [*(t for t in account.node_times.values() if t is not None), account.setup_time]
                assert math.fsum([*seconds, account.switch_time]) == pytest.approx(account.time, rel=1e-12)
                json.dumps(account.to_dict(), allow_nan=False)
                compared += 1
    assert compared > few(300)


def test_terms_add_up_and_keep_the_limit_exactly() -> None:
    """T_max = 0.1 + 0.2 + ... as floats add up: the plan that takes exactly that keeps it."""
    asked = jqodi(6, seed=3, servers=2, cuts=2)
    own = candidates(asked)[0]
    states = np.argmin(own.time, axis=1)
    energies, times = terms_of(own, states)
    assert (math.fsum(energies), math.fsum(times)) == totals(own, states)
    exactly = asked.replace({"time_limit": math.fsum(times)})
    assert keeps_limit(exactly, own, states)
    assert not keeps_limit(exactly.replace({"time_limit": math.fsum(times) * (1 - 1e-11)}), own, states)


def test_report_reads_well() -> None:
    """Runs of epochs, nodes, inference and loss; an impossible epoch is named."""
    from rich.console import Console, Group

    from qopt.core.certificate import Certificate
    from qopt.core.solution import Solution
    from qopt.jqodi.report import facts, plan_parts

    def told(asked: Jqodi, here: JqodiPlan) -> tuple[str, dict[str, Any]]:
        cost = breakdown(asked, here)
        certificate = Certificate(bits=None, feasible=True, objective=cost.objective, cost=cost)
        solution = Solution("p", "m", None, None, "optimal", here, cost.objective, None, 0.0, certificate)
        console = Console(width=140, record=True, quiet=False, file=None)
        with console.capture() as captured:
            console.print(Group(*plan_parts(asked, solution)))
        return captured.get(), facts(asked, solution)

    text, row = told(problem(**{"inference.requests": 10.0}), plan(("A", 1), ("A", 1), ("B", 2)))
    for words in ("model net at 2 bits, 3 epochs for camera", "1 … 2", "1..2 of 3 on the device", "27 s", "188 J"):
        assert words in text
    assert "10 of them: " in text
    assert "quantizing" in text
    assert (row["model"], row["width"], row["servers"], row["cuts"], row["time"]) == ("net", 2, "A, B", "1, 2", 45.0)
    robust = problem(estimate="robust", conditions={"servers": {"A": {"available": [True, True, True, False]}}})
    text, _ = told(robust, plan(("A", 1), ("A", 1), ("A", 1), ("A", 1)))
    assert "impossible" in text
    assert "of the first 3 epochs; all 4 must fit the time" in text

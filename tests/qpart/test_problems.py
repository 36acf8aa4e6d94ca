"""Problems as data: they survive their file, and both readings of their cost agree with the paper."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qpart_problems import table_ii
from sweeps import examples

from qopt.core.errors import MethodError
from qopt.core.limits import within
from qopt.core.reading import from_data, load, save, to_json
from qopt.core.solving import solve
from qopt.qpart.costs import base_costs, breakdown, prices, tensor_prices
from qopt.qpart.generate import LONGEST_READ, qpart
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import subproblems
from qopt.qpart.terms import coefficients, noise_terms, widths

SCALES = st.sampled_from([1e-9, 1e-3, 1.0, 1e3, 1e9])


@st.composite
def problems(draw: st.DrawFn, max_layers: int = 12) -> QPart:
    """Generated requests with every option of the data switched on and off."""
    layers = draw(st.integers(1, max_layers))
    lo = draw(st.integers(1, 8))
    problem = qpart(
        layers,
        seed=draw(st.integers(0, 2**32)),
        spread=draw(st.sampled_from([0.0, 1.0, 2.0, 6.0])),
        noise=draw(st.sampled_from(["law", "grid", "table"])),
        bits=(lo, draw(st.integers(lo, 16))),
        tie_cut=draw(st.booleans()),
        branches=draw(st.booleans()),
        insensitive=draw(st.sampled_from([0.0, 0.3, 1.0])),
        memory=draw(st.sampled_from([None, 0.5, 2.0])),
        cuts=draw(st.none() | st.lists(st.integers(0, layers), min_size=1, unique=True).map(sorted)),
        objective_scale=draw(SCALES),
        noise_scale=draw(SCALES),
    )
    changes: dict[str, Any] = {
        "inferences": draw(st.sampled_from([1, 7, 1000])),
        "send_output": draw(st.booleans()),
        "server.charge_energy": draw(st.booleans()),
        "server.price": draw(st.sampled_from([0.0, 0.3])),
        "channel.charge_download": draw(st.booleans()),
        "channel.download_rate": draw(st.sampled_from([None, 3e6])),
        "objective.time": draw(st.sampled_from([0.0, 2.0])),
    }
    return problem.replace(changes)


@examples(60)
@given(problems())
def test_round_trip(problem: QPart) -> None:
    text = to_json(problem)
    again = from_data(json.loads(text))
    assert again == problem
    assert to_json(again) == text
    assert again.accuracy.delta.dtype == np.float64
    for one, two in zip(noise_terms(problem), noise_terms(again), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(base_costs(problem), base_costs(again))


def test_round_trip_through_a_file(tmp_path: Path) -> None:
    problem = qpart(5, seed=3, noise="table", branches=True, insensitive=0.5)
    save(problem, tmp_path / "p.json")
    assert load(tmp_path / "p.json") == problem
    assert load(str(tmp_path / "p.json")) == problem
    assert [p.name for p in tmp_path.iterdir()] == ["p.json"]


def test_frozen() -> None:
    problem = load("qpart/teaching-3")
    with pytest.raises(ValueError, match="frozen"):
        problem.level = 0.5
    with pytest.raises(ValueError, match="read-only"):
        problem.network.macs[0] = 1


def test_replace_changes_only_what_it_names() -> None:
    problem = load("qpart/resnet50")
    before = to_json(problem)
    changed = problem.replace({"channel.rate": 1e6, "cuts": [3, 6], "level": 0.02, "device.memory": None})
    assert (changed.channel.rate, changed.cuts.tolist(), changed.device.memory) == (1e6, [3, 6], None)  # type: ignore
    assert changed.level_row == problem.level_row + 1
    np.testing.assert_array_equal(changed.delta, problem.accuracy.delta[3])
    assert to_json(problem) == before
    back = changed.replace({"channel.rate": 5e6, "cuts": None, "level": 0.01, "device.memory": 48e6})
    assert back == problem


# --- prices ----------------------------------------------------------------------------------------


def test_prices_of_table_ii() -> None:
    p = prices(table_ii())
    assert p.device == pytest.approx(2.56e-8, rel=1e-12)
    assert p.server == pytest.approx(4.1667e-10, rel=1e-5)
    assert p.upload == p.download == pytest.approx(1e-8, rel=1e-12)
    assert prices(table_ii(**{"server.charge_energy": True})).server == pytest.approx(4.26042e-8, rel=1e-6)


def test_what_users_vary() -> None:
    assert prices(table_ii(inferences=10)).download == pytest.approx(1e-9, rel=1e-12)
    assert prices(table_ii(inferences=10)).upload == pytest.approx(1e-8, rel=1e-12)
    assert prices(table_ii(**{"channel.charge_download": False})).download == pytest.approx(5e-9, rel=1e-12)
    fast_down = prices(table_ii(**{"channel.download_rate": 400e6}))
    assert (fast_down.download, fast_down.upload) == pytest.approx((5e-9, 1e-8), rel=1e-12)
    charged = prices(table_ii(**{"server.price": 2.0, "objective.price": 3.0}))
    assert charged.server == pytest.approx(7 * 1.25 / 3e9, rel=1e-12)


@pytest.mark.parametrize(("snr", "bits_per_hertz"), [(1, 1), (3, 2), (1023, 10), (0.1, math.log2(1.1))])
def test_shannon_rate(snr: float, bits_per_hertz: float) -> None:
    # P alpha h / N0 = 0.5 * 4e-6 * 0.25 / N0
    channel = {
        "bandwidth": 2e6,
        "gain": 4e-6,
        "fading": 0.25,
        "noise_power": 5e-7 / snr,
        "transmit_power": 0.5,
    }
    problem = table_ii(channel=channel)
    assert problem.channel.uplink == pytest.approx(2e6 * bits_per_hertz, rel=1e-12)
    assert problem.channel.downlink == problem.channel.uplink


def random_plan(problem: QPart, cut: int, seed: int) -> QPartPlan:
    rng = np.random.default_rng(seed)
    lo, hi = problem.bits.lo, problem.bits.hi
    crossing = crossing_activations(problem, cut)
    weights = rng.integers(lo, hi + 1, cut).astype(float).tolist()
    activations = rng.integers(lo, hi + 1, len(crossing)).astype(float).tolist()
    if problem.tie_cut and cut and cut in crossing:
        activations[-1] = weights[-1]
    return QPartPlan(cut=cut, weights=tuple(weights), activations=tuple(activations))


@examples(60)
@given(problems(), st.data())
def test_linear_form_equals_the_equations_term_by_term(problem: QPart, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(problem.network)))
    plan = random_plan(problem, cut, data.draw(st.integers(0, 2**32)))
    crossing = crossing_activations(problem, cut)
    price_w, price_x = tensor_prices(problem)
    b_x = dict(zip(crossing, plan.activations, strict=True))
    linear = math.fsum(
        [
            base_costs(problem)[cut],
            *(price_w[i] * b for i, b in enumerate(plan.weights)),
            *(price_x[i - 1] * b for i, b in b_x.items()),
        ]
    )
    cost = breakdown(problem, plan)
    assert cost.objective == pytest.approx(linear, rel=1e-12)

    # Eqs. 5-8 and 14-17 once more, written out for this plan.
    net, d, s, ch, w = problem.network, problem.device, problem.server, problem.channel, problem.objective
    here, there = float(net.macs[:cut].sum()), float(net.macs[cut:].sum())
    down = math.fsum(b * z for b, z in zip(plan.weights, net.weights[:cut], strict=True))
    raw = net.input_bits * net.input_size if 0 in net.crossing(cut) else 0.0
    up = raw + math.fsum(b * net.activations[i - 1] for i, b in b_x.items())
    assert (cost.download, cost.upload) == pytest.approx((down, up), rel=1e-12)
    assert cost.payload == pytest.approx(down + up, rel=1e-12)
    sending, receiving = up / ch.uplink, down / (ch.download_rate or ch.uplink) / problem.inferences
    radio = sending + (receiving if ch.charge_download else 0.0)
    expected = {
        "device_time": here * 5 / 2e8,
        "device_energy": 3e-27 * 4e16 * here * 5,
        "server_time": there * 1.25 / 3e9,
        "server_energy": 3.75e-27 * 9e18 * there * 1.25 * s.charge_energy,
        "price": s.price * there * 1.25 / 3e9,
        "transmission_time": sending + receiving,
        "transmission_energy": ch.transmit_power * radio,
    }
    found = cost.to_dict()
    assert {k: found[k] for k in expected} == pytest.approx(expected, rel=1e-12)
    assert (d.clock, s.clock) == (2e8, 3e9)
    total = w.time * cost.time + w.energy * cost.energy + w.price * cost.price
    assert cost.objective == pytest.approx(total, rel=1e-12)


# --- noise -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [(1, 16), (3, 5), (7, 7)])
@pytest.mark.parametrize("model", ["law", "grid", "table"])
def test_noise_terms_by_their_formulas(model: Any, bits: tuple[int, int]) -> None:
    problem = qpart(4, seed=8, noise=model, bits=bits, insensitive=0.3)
    noise, accuracy = problem.noise, problem.accuracy
    assert np.isinf(accuracy.rho_weights).any()  # type: ignore[arg-type]
    sides = (
        (noise.s_weights, accuracy.rho_weights, noise.table and noise.table.weights),
        (noise.s_activations, accuracy.rho_activations, noise.table and noise.table.activations),
    )
    for terms, (s, rho, table) in zip(noise_terms(problem), sides, strict=True):
        assert terms.shape == (4, bits[1] - bits[0] + 1)
        for layer in range(4):
            for k, b in enumerate(range(bits[0], bits[1] + 1)):
                expected = {
                    "law": s[layer] * 4.0**-b,
                    "grid": s[layer] / (2.0**b - 1) ** 2,
                    "table": table[layer][k] if table is not None else None,
                }[model]
                assert terms[layer, k] == pytest.approx(expected / rho[0][layer], rel=1e-14)


def test_grid_over_law() -> None:
    problem = table_ii()
    ratio = noise_terms(problem.replace({"noise.model": "grid"}))[0] / noise_terms(problem)[0]
    np.testing.assert_allclose(ratio[0, :4], [4.0, 1.78, 1.31, 1.14], atol=0.005)


def test_a_table_is_read_at_its_own_widths() -> None:
    rows = [[80.0, 20.0, 30.0, 1.0]]
    table = {"bits": [2, 3, 4, 5], "weights": rows, "activations": [[8.0, 4.0, 2.0, 1.0]]}
    problem = table_ii(noise={"model": "table", "table": table}, bits={"lo": 3, "hi": 5})
    assert noise_terms(problem)[0].tolist() == [[20, 30, 1]]  # as it is, although 4 bits are worse than 3
    assert widths(problem).tolist() == [3, 4, 5]
    with pytest.raises(MethodError, match=r"noise\.s_weights"):
        coefficients(problem)


def test_robustness_of_the_level_asked_for() -> None:
    accuracy = {
        "levels": [0.01, 0.02],
        "delta": [[1], [3]],
        "rho_weights": [[2], [4]],
        "rho_activations": [[None], [8]],
    }
    problem = table_ii(accuracy=accuracy)
    assert [c.tolist() for c in coefficients(problem)] == [[0.5], [0.0]]
    assert [c.tolist() for c in coefficients(problem.replace({"level": 0.02}))] == [[0.25], [0.125]]
    assert problem.replace({"level": 0.02}).delta.tolist() == [3]


def test_feasibility_is_forgiving_by_one_part_in_a_trillion() -> None:
    assert within([0.1, 0.2], 0.3)
    assert within([180 / 7] * 7, 180)
    assert within([1 + 0.9e-12], 1)
    assert not within([1 + 1.1e-12], 1)
    assert within([], 0)
    assert not within([5e-324], 0)
    assert within([1e300], math.inf)


# --- subproblems --------------------------------------------------------------------------------------


def branched(**changes: Any) -> QPart:
    """Four layers; the input is read by layers 1 and 2, the output of layer 1 by layers 2 and 4."""
    problem = QPart(
        network={
            "macs": [10, 20, 30, 40],
            "weights": [1, 2, 3, 4],
            "activations": [100, 200, 300, 400],
            "input_size": 1000,
            "input_bits": 8,
            "last_reader": [2, 4, 3, 4, 5],
        },
        device={"cycles_per_mac": 1, "clock": 1},
        server={"cycles_per_mac": 1, "clock": 2},
        channel={"rate": 1},
        noise={"s_weights": [4, 8, 12, 16], "s_activations": [400, 800, 1200, 1600]},
        accuracy={"levels": [0.01], "delta": [[1, 2, 3, 4]]},
        level=0.01,
        bits={"lo": 1, "hi": 2},
    )
    return problem.replace(changes)


CROSSING = {
    # cut: raw input sent, tensors chosen, price, coefficient
    0: (True, [], [], []),
    1: (True, [1, -1], [1, 100], [4, 400]),
    2: (False, [1, 2, -1, -2], [1, 2, 100, 200], [4, 8, 400, 800]),
    3: (False, [1, 2, 3, -1, -3], [1, 2, 3, 100, 300], [4, 8, 12, 400, 1200]),
    4: (False, [1, 2, 3, 4, -4], [1, 2, 3, 4, 400], [4, 8, 12, 16, 1600]),
}


@pytest.mark.parametrize("cut", CROSSING)
def test_segment_with_several_crossing_tensors(cut: int) -> None:
    sent, tensors, price, c = CROSSING[cut]
    subproblem = subproblems(branched()).at(cut)
    done = sum([10, 20, 30, 40][:cut])
    assert subproblem.base == done + (100 - done) / 2 + 8000 * sent
    assert subproblem.tensors.tolist() == tensors
    assert subproblem.price.tolist() == price
    assert subproblem.coefficient is not None
    assert subproblem.coefficient.tolist() == c
    assert subproblem.noise.tolist() == [[x / 4, x / 16] for x in c]
    assert subproblem.stored.tolist() == [z if t > 0 else 0 for t, z in zip(tensors, price, strict=True)]
    assert subproblem.limit == (cut or math.inf)


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_tied_segment(cut: int) -> None:
    _, tensors, price, c = CROSSING[cut]
    subproblem = subproblems(branched(tie_cut=True)).at(cut)
    last = cut - 1  # of the weights, joined by the last tensor that crosses
    assert subproblem.tensors.tolist() == tensors[:-1]
    assert subproblem.price.tolist() == [*price[:last], price[last] + price[-1], *price[cut:-1]]
    joined = [*c[:last], c[last] + c[-1], *c[cut:-1]]
    assert subproblem.coefficient is not None
    assert subproblem.coefficient.tolist() == joined
    assert subproblem.noise.tolist() == [[x / 4, x / 16] for x in joined]
    assert subproblem.stored.tolist()[:cut] == [1, 2, 3, 4][:cut]


def test_tie_without_an_output_to_tie() -> None:
    subproblem = subproblems(branched(tie_cut=True, send_output=False)).at(4)
    assert subproblem.tensors.tolist() == [1, 2, 3, 4]
    assert subproblem.price.tolist() == [1, 2, 3, 4]
    assert subproblem.owner.tolist() == [0, 1, 2, 3]


@examples(60)
@given(problems(), st.data())
def test_segment_costs_what_its_plan_costs(problem: QPart, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(problem.network)))
    subproblem = subproblems(problem).at(cut)
    n, k = subproblem.cost.shape
    choice = np.random.default_rng(data.draw(st.integers(0, 2**32))).integers(0, k, n)
    plan = subproblem.plan(subproblem.bits[choice], "whole")
    objective = subproblem.base + float(subproblem.cost[np.arange(n), choice].sum())
    assert objective == pytest.approx(breakdown(problem, plan).objective, rel=1e-12)

    # Its noise is that of the plan's tensors, each looked up by itself.
    terms_w, terms_x = noise_terms(problem)
    lo = problem.bits.lo
    spent = [terms_w[i, int(b) - lo] for i, b in enumerate(plan.weights)]
    crossing = crossing_activations(problem, cut)
    spent += [terms_x[t - 1, int(b) - lo] for t, b in zip(crossing, plan.activations, strict=True)]
    assert subproblem.noise[np.arange(n), choice].sum() == pytest.approx(math.fsum(spent), rel=1e-12)
    stored = float(subproblem.stored @ subproblem.bits[choice])
    assert stored == pytest.approx(
        math.fsum(b * z for b, z in zip(plan.weights, problem.network.weights, strict=False))
    )
    if problem.tie_cut and cut in crossing:
        assert plan.activations[-1] == plan.weights[-1]


# --- the generator ---------------------------------------------------------------------------------


@examples(60)
@given(problems(max_layers=30))
def test_generated_requests_meet_their_limits_at_the_reference_width(problem: QPart) -> None:
    reference = min(max(6, problem.bits.lo), problem.bits.hi) - problem.bits.lo
    table = subproblems(problem.replace({"send_output": True}))
    for cut in range(1, len(problem.network) + 1):
        subproblem = table.at(cut)
        assert within(subproblem.noise[:, reference], subproblem.limit)
        assert not within(subproblem.noise[:, reference] * (1 + 1e-6), subproblem.limit) or subproblem.limit == 0


def test_generator_is_seeded_and_its_source_says_how() -> None:
    problem = qpart(7, seed=5, noise="table", branches=True, bits=(2, 9), name="mine")
    assert problem == qpart(7, seed=5, noise="table", branches=True, bits=(2, 9), name="mine")
    assert problem.replace({"name": "x"}) != qpart(7, seed=6, noise="table", branches=True, bits=(2, 9), name="x")
    call = problem.source.removeprefix("qopt.generate.")
    assert eval(call, {"qpart": qpart}).replace({"name": "mine"}) == problem


def test_generator_scales() -> None:
    plain = qpart(6, seed=4)
    scaled = qpart(6, seed=4, objective_scale=1e-9, noise_scale=1e9)
    np.testing.assert_allclose(base_costs(scaled), 1e-9 * base_costs(plain), rtol=1e-12)
    for one, two in zip(tensor_prices(scaled), tensor_prices(plain), strict=True):
        np.testing.assert_allclose(one, 1e-9 * two, rtol=1e-12)
    for one, two in zip(noise_terms(scaled), noise_terms(plain), strict=True):
        np.testing.assert_allclose(one, 1e9 * two, rtol=1e-12)
    np.testing.assert_allclose(scaled.delta, 1e9 * plain.delta, rtol=1e-12)


def test_generator_branches_and_tables() -> None:
    problem = qpart(200, seed=1, branches=True, noise="table")
    last = problem.network.last_reader
    assert last is not None
    longer = last[:-1] - np.arange(1, 201)
    assert 20 < np.count_nonzero(longer) < 80
    assert longer.max() == LONGEST_READ
    assert max(len(problem.network.crossing(cut)) for cut in range(201)) >= 3
    table = subproblems(problem)
    assert all(within(s.noise[:, 5], s.limit) for s in map(table.at, range(1, 201)))
    steps = np.diff(noise_terms(problem)[0], axis=1)
    assert (steps > 0).any()  # more bits may mean more noise
    assert (steps < 0).mean() > 0.5


def test_best_cuts_of_generated_requests_are_spread_out() -> None:
    """At the reference width every cut is the best one for some seed."""
    best = []
    for seed in range(60):
        table = subproblems(qpart(8, seed=seed))
        best.append(int(np.argmin([s.base + 6 * s.price.sum() for s in map(table.at, range(9))])))
    assert len(set(best)) >= 7
    assert max(np.bincount(best)) <= 25


def test_generator_at_full_size() -> None:
    problem = qpart(100_000, seed=1, branches=True)
    assert len(problem.network) == 100_000
    subproblem = subproblems(problem).at(100_000)
    assert within(subproblem.noise[:, 5], subproblem.limit)


def test_server_work_is_not_a_difference_of_sums() -> None:
    """Total less the device's part cancels: 3 MACs left after 1e16 would be 4, and the wrong cut would be proved."""
    problem = QPart(
        network={"macs": [1e16, 3], "weights": [0, 0], "activations": [0.25, 3.5], "input_size": 1},
        device={"cycles_per_mac": 1e-30, "clock": 1.0},
        server={"cycles_per_mac": 1.0, "clock": 1.0},
        channel={"rate": 1.0},
        noise={"s_weights": [1, 1], "s_activations": [1, 1]},
        accuracy={"levels": [0.01], "delta": [[1e9, 1e9]]},
        level=0.01,
        bits={"lo": 1, "hi": 1},
        cuts=[1, 2],
    )
    assert base_costs(problem).tolist()[1:] == pytest.approx([3.0, 1e-14], rel=1e-12)
    found = solve(problem)
    assert found.status == "optimal"
    assert found.objective == pytest.approx(3.25)
    assert found.plan is not None
    assert found.plan.cut == 1

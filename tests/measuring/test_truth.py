"""Joint plans beside the model, as figures and as pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_networks import build, data_for, with_output, with_weight  # noqa: E402
from torch import nn  # noqa: E402

from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring.calibrated import Calibrated  # noqa: E402
from qopt.measuring.calibration import calibrate_cuts  # noqa: E402
from qopt.measuring.grids import quantize  # noqa: E402
from qopt.measuring.intervals import Estimate  # noqa: E402
from qopt.measuring.network import TensorName  # noqa: E402
from qopt.measuring.plans import PlanRunner, Widths  # noqa: E402
from qopt.measuring.profile import trace  # noqa: E402
from qopt.measuring.sensitivity import measure  # noqa: E402
from qopt.measuring.truth import JointPlan, held, joint_plans, law_ratios, priced_plans, random_plans, tensors_of  # noqa: E402
from qopt.plots import plot_additivity, plot_law, plot_loss  # noqa: E402

LEVELS = [0.03, 0.1]


@pytest.fixture(scope="module")
def measured() -> Any:
    module, network = build("branch")
    examples = data_for(module, "branch", 300, 1)
    found = measure(network, examples, levels=LEVELS)
    records = joint_plans(network, found, PlanRunner(network, examples, found), random_plans(network, 12, seed=2))
    return module, network, examples, found, records


def test_a_plan_of_one_noisy_tensor_is_that_tensor_s_noise(measured: Any) -> None:
    _, network, examples, found, _ = measured
    runner = PlanRunner(network, examples, found)
    one = joint_plans(network, found, runner, [Widths((3,), (16,)), Widths((16,), (2,))])
    for record, tensor, bits in zip(one, (TensorName("weight", 1), TensorName("activation", 1)), (3, 2), strict=True):
        assert record.noise.value == pytest.approx(found.tensors[tensor].noise[bits - 1], rel=0.02)
        assert record.ratio == pytest.approx(1.0, rel=0.02)
        assert record.loss.value == pytest.approx(found.tensors[tensor].lost[bits - 1], abs=0.01)


def test_the_sum_is_over_the_plan_s_tensors(measured: Any) -> None:
    module, network, examples, found, records = measured
    reference = module(examples.x)
    for record in records[:4]:
        total, spent = 0.0, [0.0] * len(LEVELS)
        for tensor, bits in tensors_of(network, record.plan):
            if tensor.kind == "weight":
                values = quantize(network.weight(tensor.layer), bits).values()
                outputs = with_weight(module, tensor.layer, values, examples.x)
            else:
                span = found.range_of(tensor.layer, bits)
                outputs = with_output(
                    module, tensor.layer, lambda y, b=bits, s=span: quantize(y, b, span=s).values(), examples.x
                )
            noise = float((outputs - reference).double().square().sum(1).mean())
            total += noise
            spent = [x + noise / r.value for x, r in zip(spent, found.tensors[tensor].rho, strict=True)]
        assert record.summed == pytest.approx(total, rel=1e-3)
        assert record.spent == pytest.approx(spent, rel=1e-3)
        assert record.noise.low <= record.noise.value <= record.noise.high


def test_a_linear_network_of_wide_grids_is_additive() -> None:
    """Without nonlinearity and with little noise, noise of independent tensors adds up but for chance."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 40), nn.Linear(40, 40), nn.Linear(40, 4)).eval().requires_grad_(False)
    network = trace(module, torch.zeros(1, 6))
    examples = data_for(module, "chain", 400, 1)
    found = measure(network, examples, levels=[0.1])
    plans = random_plans(network, 12, cuts=[3], lo=6, hi=8)
    for record in joint_plans(network, found, PlanRunner(network, examples, found), plans):
        assert record.ratio == pytest.approx(1.0, abs=0.3)


def test_random_plans_are_as_asked_for(measured: Any) -> None:
    network = measured[1]
    plans = random_plans(network, 200, cuts=[2, 4], lo=3, hi=5, seed=4)
    assert {plan.cut for plan in plans} == {2, 4}
    assert {len(plan.activations) for plan in plans if plan.cut == 2} == {2}
    assert {b for plan in plans for b in (*plan.weights, *plan.activations)} == {3, 4, 5}
    assert plans == random_plans(network, 200, cuts=[2, 4], lo=3, hi=5, seed=4)


@pytest.mark.sweep
def test_priced_plans_spend_no_more_than_delta(measured: Any) -> None:
    module, network, _, found, _ = measured
    held_out = data_for(module, "branch", 300, 2)
    cuts = calibrate_cuts(network, held_out, found)
    runner = PlanRunner(network, held_out, found)
    for each in (False, True):
        plans = priced_plans(network, found, cuts, 0.1, 20, each=each)
        assert len(plans) == 20
        assert len(set(plans)) > 2
        for record in joint_plans(network, found, runner, plans):
            assert record.spent[1] <= cuts[1][record.plan.cut - 1].delta.value * (1 + 1e-12)
    none = [[Calibrated(Estimate(0.0, 0.0, 0.0), ())] * len(network)] * 2
    assert priced_plans(network, found, none, 0.1, 20) == []


def test_held_counts_by_hand(measured: Any) -> None:
    found = measured[3]

    def record(spent: float, low: float, value: float) -> JointPlan:
        return JointPlan(Widths((2,), (2,)), Estimate(1, 1, 1), 1.0, Estimate(value, low, 1.0), (spent, 10 * spent))

    records = [record(0.5, 0.0, 0.01), record(0.9, 0.02, 0.05), record(1.0, 0.06, 0.08), record(1.1, 0.9, 0.9)]
    cuts = [[Calibrated(Estimate(limit, limit, limit), ())] for limit in (1.0, 2.0)]
    first, second = held(found, cuts, records)
    assert (first.plans, first.within, first.refuted, first.worst) == (3, 1, 1, 0.08)
    assert (second.plans, second.within, second.refuted, second.worst) == (0, 0, 0, None)


def test_ratios_are_the_table_over_the_law(measured: Any) -> None:
    found = measured[3]
    ratios = law_ratios(found)
    assert set(ratios) == set(found.tensors)
    for tensor, one in found.tensors.items():
        for b in (1, 5, 9):
            assert ratios[tensor][b - 1] == pytest.approx(one.noise[b - 1] / (one.s.value * 4.0**-b))
        fit = np.log2(ratios[tensor][3:10])
        assert np.max(np.abs(fit)) == pytest.approx(one.law_error)


def test_pictures_carry_the_figures(measured: Any) -> None:
    _, _, _, found, records = measured
    ax = plot_law(found)
    lines = {line.get_label(): line for line in ax.get_lines()}
    drawn = lines["weight 2"].get_ydata()
    assert np.asarray(drawn) == pytest.approx(law_ratios(found)[TensorName("weight", 2)])
    assert len([name for name in lines if not name.startswith("_")]) == len(found.tensors)

    ax = plot_additivity(records)
    points = [p for line in ax.get_lines()[:-1] for p in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    wanted = {(r.summed, r.noise.value) for r in records}
    assert wanted <= set(points)

    ax = plot_loss(records, found, 0.1)
    x, y = ax.get_lines()[0].get_data()
    assert np.asarray(x) == pytest.approx([r.spent[1] / found.natural.value for r in records])
    assert np.asarray(y) == pytest.approx([100 * r.loss.value for r in records])


def test_bad_input_gives_one_line(measured: Any) -> None:
    _, network, examples, found, records = measured
    runner = PlanRunner(network, examples, found)
    for call, field in (
        (lambda: joint_plans(network, found, runner, []), "plans"),
        (lambda: plot_additivity([]), "records"),
        (lambda: plot_loss(records, found, 0.07), "level"),
        (lambda: found.terms(TensorName("weight", 1), math.nan), "level"),
        (lambda: found.range_of(1, 17), "bits"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.field == field

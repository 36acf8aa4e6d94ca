"""Delta by trying plans: from the smallest limit upwards, the last before the first failure, for every price."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_networks import build, data_for, with_weight  # noqa: E402
from sweeps import swept  # noqa: E402
from torch import nn  # noqa: E402

from qopt.core.errors import InputError  # noqa: E402
from qopt.core.solving import solve  # noqa: E402
from qopt.measuring.calibrated import Calibrated  # noqa: E402
from qopt.measuring.calibration import (  # noqa: E402
    COARSE,
    FINE,
    FURTHER,
    RATIO,
    Losses,
    before_first_failure,
    calibrate,
    calibrate_cuts,
)
from qopt.measuring.coefficients import accuracy_fields, instance, noise_fields, payload_request  # noqa: E402
from qopt.measuring.examples import Examples  # noqa: E402
from qopt.measuring.grids import Grid, quantize  # noqa: E402
from qopt.measuring.intervals import Estimate  # noqa: E402
from qopt.measuring.losses import paired_loss  # noqa: E402
from qopt.measuring.network import TensorName  # noqa: E402
from qopt.measuring.plans import PlanRunner, Widths, crossing_outputs  # noqa: E402
from qopt.measuring.profile import trace  # noqa: E402
from qopt.measuring.scores import correct  # noqa: E402
from qopt.measuring.sensitivity import measure  # noqa: E402
from qopt.qpart.costs import breakdown  # noqa: E402
from qopt.qpart.plan import QPartPlan, crossing_activations  # noqa: E402
from qopt.qpart.terms import noise_terms  # noqa: E402

BITS = np.arange(1, 17)


# --- the rule, on losses that are made up ----------------------------------------------------------


def losing(share: float, n: int = 4000) -> Any:
    """Differences of n examples of which a share is lost."""
    difference = np.zeros(n)
    difference[: round(share * n)] = 1.0
    return difference


def two_tensors(limit: float) -> tuple[Widths, ...] | None:
    """Equal widths for two tensors under the law 4^-b each, 16 bits at most."""
    b = math.ceil(math.log(2 / limit, 4) - 1e-9) if limit else 17
    return (Widths((max(1, b),), (max(1, b),)),) if b <= 16 else None


def test_delta_is_the_last_limit_before_the_first_failure() -> None:
    def difference(plan: Widths) -> Any:
        # 4 and 5 bits lose too much; 3 bits, with more noise, would do by luck
        return losing({1: 0.5, 2: 0.2, 3: 0.001, 4: 0.03, 5: 0.03}.get(plan.weights[0], 0.001))

    found = calibrate(1.0, 0.01, two_tensors, Losses(difference))
    every = [RATIO**-k for k in range(FINE + 1)] + [RATIO**-FINE * COARSE**-k for k in range(1, 30)]
    limits = [trial.limit for trial in found.trials]
    assert two_tensors(limits[0]) is not None
    assert two_tensors(limits[0] / COARSE) is None
    assert limits == pytest.approx([limit for limit in sorted(every) if limits[0] <= limit <= limits[-1]], rel=1e-12)
    held = [trial.losses[0].high <= 0.01 for trial in found.trials]
    assert held == [True] * (len(held) - FURTHER - 1) + [False] * (FURTHER + 1)
    assert found.delta.value == limits[-FURTHER - 2]
    assert found.chosen is not None
    assert found.chosen.plans == two_tensors(found.delta.value)
    assert found.chosen.plans[0].weights == (6,)
    assert found.delta.low <= found.delta.value <= found.delta.high


def test_a_limit_that_holds_behind_a_failure_is_not_taken() -> None:
    def difference(plan: Widths) -> Any:
        return losing(0.1 if plan.weights[0] in (1, 3) else 0.0)

    found = calibrate(1.0, 0.01, two_tensors, Losses(difference))
    assert found.chosen is not None
    assert found.chosen.plans[0].weights == (4,)
    assert all(trial.plans[0].weights[0] >= 3 for trial in found.trials)


def test_the_smallest_limit_that_fails_is_a_refusal() -> None:
    def difference(plan: Widths) -> Any:
        return losing(0.1 if plan.weights[0] == 16 else 0.0)

    found = calibrate(1.0, 0.01, two_tensors, Losses(difference))
    assert found.delta.value == 0.0
    assert found.chosen is None
    assert len(found.trials) == 1 + FURTHER


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_plans_that_do_not_change_end_the_search(share: float) -> None:
    """No tensor of the cut counts, so every limit has the same plan: one test decides."""
    plan = Widths((1,), (1,))
    found = calibrate(1.0, 0.01, lambda _: (plan,), Losses(lambda _: losing(share)))
    assert [trial.limit for trial in found.trials] == [1.0]
    assert found.delta.value == (0.0 if share else 1.0)

    def two(limit: float) -> tuple[Widths, ...]:
        return (Widths((1 if limit > 1e-200 else 5,), (1,)),)

    found = calibrate(1.0, 0.01, two, Losses(lambda _: losing(share)))
    assert found.trials[0].plans == two(0.0)
    assert COARSE * found.trials[0].limit > 1e-200


def test_labels_at_chance_end_with_no_limit() -> None:
    rng = np.random.default_rng(0)
    plan = Widths((1,), (1,))
    found = calibrate(1.0, 0.01, lambda _: (plan,), Losses(lambda _: rng.choice([-1.0, 0.0, 1.0], 450)))
    assert found.delta.value == 0.0


def test_tests_before_the_first_failure_count() -> None:
    columns = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], dtype=bool)
    assert before_first_failure(columns).tolist() == [2, 1, 4]


def test_interaction_takes_delta_to_a_smaller_limit_that_was_tested() -> None:
    def found(interaction: float) -> Calibrated:
        losses = Losses(lambda plan: losing(0.0 if plan.weights[0] > 2 else 0.1))
        return calibrate(1.0, 0.01, two_tensors, losses, interaction=interaction)

    alone, by_two, by_a_bit_more = found(1.0).delta.value, found(2.0), found(2.01)
    assert by_two.delta.value == pytest.approx(alone / 2.0)
    assert by_two.chosen is not None
    assert by_a_bit_more.delta.value == pytest.approx(alone / 2.0 / RATIO)


def test_delta_holds_for_every_price() -> None:
    def plans(limit: float) -> tuple[Widths, ...] | None:
        cheap = two_tensors(limit)
        return cheap and (cheap[0], Widths((cheap[0].weights[0] + 2,), (cheap[0].activations[0] - 1,)))

    def first(limit: float) -> tuple[Widths, ...] | None:
        return two_tensors(limit)

    def difference(plan: Widths) -> Any:
        return losing(0.0 if plan.activations[0] >= 4 else 0.1)

    alone = calibrate(1.0, 0.01, first, Losses(difference))
    both = calibrate(1.0, 0.01, plans, Losses(difference))
    assert both.delta.value < alone.delta.value
    assert both.chosen is not None
    assert both.chosen.plans[1].activations[0] >= 4


def test_no_limit_is_delta_zero() -> None:
    found = calibrate(1.0, 0.01, lambda x: two_tensors(x) if x > 1e-3 else None, Losses(lambda _: losing(0.5)))
    assert found.delta == Estimate(0.0, 0.0, 0.0)
    assert found.chosen is None
    assert found.trials[0].limit > 1e-3 >= found.trials[0].limit / COARSE
    assert calibrate(1.0, 0.01, lambda _: None, Losses(losing)).trials == ()


def test_a_plan_is_measured_once() -> None:
    seen: list[Widths] = []

    def difference(plan: Widths) -> Any:
        seen.append(plan)
        return losing(0.0)

    losses = Losses(difference)
    for level in (0.01, 0.02):
        calibrate(1.0, level, two_tensors, losses)
    assert len(seen) == len(set(seen)) == 16


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.sweep
def test_what_is_kept_when_drawn_is_a_bootstrap_of_the_intervals(graded: bool) -> None:
    rng = np.random.default_rng(3)
    difference = (rng.random(1500) < 0.03).astype(float) - (rng.random(1500) < 0.01)
    if graded:
        difference *= rng.random(1500)
    losses, plan = Losses(lambda _: difference), Widths((1,), (1,))
    nothing = np.zeros(1500)
    drawn = [paired_loss(rng.choice(difference, 1500), nothing, seed=k).high for k in range(150)]
    for level in np.quantile(drawn, [0.1, 0.5, 0.9]):
        kept = losses.keep_when_drawn(plan, float(level))
        assert kept.mean() == pytest.approx(np.mean(np.array(drawn) <= level), abs=0.08)


@pytest.mark.sweep
def test_the_interval_of_delta_covers_what_other_examples_give() -> None:
    """The same rule on fresh examples lands in the interval about as often as it should."""
    rng = np.random.default_rng(1)
    loss = {b: 0.4 * 2.0**-b for b in range(1, 30)}

    def plans(limit: float) -> tuple[Widths, ...] | None:
        return (Widths((math.ceil(1 - math.log2(limit) * 2),), (1,)),) if limit > 1e-4 else None

    def found(n: int = 2000) -> Calibrated:
        base = rng.random(n)
        return calibrate(1.0, 0.01, plans, Losses(lambda plan: (base < loss[plan.weights[0]]).astype(float)))

    first = [found() for _ in range(30)]
    inside = [
        one.delta.low <= other.delta.value <= one.delta.high for one, other in itertools.product(first[:10], first[10:])
    ]
    assert np.mean(inside) > 0.8
    assert len({one.delta.value for one in first}) > 1, "the case has luck in it"


# --- plans on networks -----------------------------------------------------------------------------


def test_a_plan_quantizes_the_device_s_part_alone() -> None:
    module, network = build("branch")
    examples = data_for(module, "branch", 200, 1)
    found = measure(network, examples, levels=[0.1], grid=Grid("channel", clip="mse"))
    runner = PlanRunner(network, examples, found)
    assert crossing_outputs(network, 2) == (1, 2)
    plan = Widths((2, 3), (4, 2))
    scores, noise = runner.run(plan)

    # The device computes with its own values; the server with what came through the cut.
    device = network.tensors(examples.x)
    first = torch.relu(module.layer1._conv_forward(examples.x, quantized(network, 1, 2), module.layer1.bias))
    second = torch.relu(module.layer2._conv_forward(first, quantized(network, 2, 3), module.layer2.bias))
    got = [
        quantize(tensor, bits, found.activation_grid, found.range_of(layer, bits)).values()
        for layer, tensor, bits in ((1, first, 4), (2, second, 2))
    ]
    outputs = module.layer4(torch.relu(module.layer3(got[1]) + got[0]).flatten(1))
    assert scores.tolist() == correct(outputs, examples.labels).tolist()
    expected = (outputs - device[-1]).double().square().sum(1)
    assert noise == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-6)
    assert not np.array_equal(scores, runner.reference)
    assert runner.loss(plan, seed=3) == paired_loss(runner.reference, scores, seed=3)


def quantized(network: Any, layer: int, bits: int) -> Any:
    return quantize(network.weight(layer), bits, Grid("channel", clip="mse")).values()


@pytest.mark.sweep
def test_prefixes_that_plans_share_change_nothing() -> None:
    module, network = build("branch")
    examples = data_for(module, "branch", 90, 1)
    found = measure(network, examples, levels=[0.1])
    plans = [Widths((a, b, c), (3,)) for a in (2, 5) for b in (1, 4) for c in (2, 3)]
    roomy, tight = PlanRunner(network, examples, found), PlanRunner(network, examples, found, memory=200_000)
    for plan in plans * 2:
        assert roomy.run(plan)[1] == pytest.approx(tight.run(plan)[1], rel=1e-4, abs=1e-9)
        assert roomy.run(plan)[1] == pytest.approx(PlanRunner(network, examples, found).run(plan)[1], rel=1e-6)


@pytest.mark.parametrize(
    "plan",
    [Widths((), ()), Widths((2,) * 5, (2,)), Widths((2, 2), (2,)), Widths((2,), (17,)), Widths((17,), (2,))],
    ids=str,
)
def test_a_plan_that_does_not_fit_is_said(plan: Widths) -> None:
    module, network = build("branch")
    examples = data_for(module, "branch", 30, 1)
    found = measure(network, examples, levels=[0.1])
    with pytest.raises(InputError) as caught:
        PlanRunner(network, examples, found).run(plan)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="whole"):
        Widths.of(QPartPlan(bits="real", cut=1, weights=(2.5,), activations=(3.0,)))


# --- a network becomes an instance -----------------------------------------------------------------


@pytest.mark.parametrize("name", swept(["chain", "branch"], lambda name: name == "branch"))
def test_a_measured_network_becomes_an_instance(name: str) -> None:
    module, network = build(name)
    levels = [0.03, 0.1]
    found = measure(network, data_for(module, name, 400, 4), levels=levels, grid=Grid("channel", clip="mse"))
    held_out = data_for(module, name, 600, 5)
    cuts = calibrate_cuts(network, held_out, found, shared_by=(1, 50))
    problem = instance(network, found, cuts, name="qpart/small", level=0.1)
    runner = PlanRunner(network, held_out, found)
    reference = runner.reference
    weights, activations = noise_terms(problem)
    for i in range(len(network)):
        assert weights[i] == pytest.approx(found.terms(TensorName("weight", i + 1), 0.1))
        assert activations[i] == pytest.approx(found.terms(TensorName("activation", i + 1), 0.1))
    for level, row in zip(levels, cuts, strict=True):
        asked = problem.replace({"level": level})
        assert [float(d) for d in asked.delta] == [c.delta.value for c in row]
        for cut, result in enumerate(row, start=1):
            assert result.delta.low <= result.delta.value <= result.delta.high
            assert result.chosen is not None
            for plan, loss in zip(result.chosen.plans, result.chosen.losses, strict=True):
                assert (len(plan.weights), len(plan.activations)) == (cut, len(crossing_activations(problem, cut)))
                assert loss == paired_loss(reference, runner.run(plan)[0])
                assert loss.high <= level
            # What calibration calls cheapest is what a request of the payload alone is solved to, by another method.
            one = payload_request(network, found, level, 1).replace(
                {"accuracy.delta": accuracy_fields(found, cuts)["delta"], "cuts": [cut]}
            )
            best = solve(one, "highs-mip")
            chosen = result.chosen.plans[0]
            own = QPartPlan(
                cut=cut, weights=tuple(map(float, chosen.weights)), activations=tuple(map(float, chosen.activations))
            )
            assert best.plan is not None
            assert breakdown(one, own).objective == pytest.approx(breakdown(one, best.plan).objective, rel=1e-9)


def test_scales_are_counted_in_the_instance() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 60, 1)
    for words, expected in (("", [64, 64, 64]), ("per-channel,symmetric", [9 * 32, 7 * 32, 4 * 32])):
        found = measure(network, examples, levels=[0.1], grid=Grid.parse(words))
        request = payload_request(network, found, 0.1, 1)
        assert request.network.overhead is not None
        assert request.network.overhead.tolist() == expected
        assert request.network.overhead_activations is None


class Twice(nn.Module):
    """One linear layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1, self.layer2, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.layer2(torch.relu(self.layer1(torch.relu(self.layer2(x))))))
        return self.out(x)  # type: ignore[no-any-return]


def test_a_weight_that_is_used_twice_has_one_width() -> None:
    torch.manual_seed(0)
    module = Twice().eval().requires_grad_(False)
    network = trace(module, torch.zeros(1, 6))
    assert network.shared == ((1, 3),)
    found = measure(network, data_for(module, "chain", 300, 1), levels=[0.1])
    cuts = calibrate_cuts(network, data_for(module, "chain", 400, 2), found, shared_by=(1,))
    for trial in (trial for result in cuts[0][2:] for trial in result.trials):
        assert all(plan.weights[0] == plan.weights[2] for plan in trial.plans)
    price = payload_request(network, found, 0.1, 1).network.sent
    assert price.tolist() == [36.0, 36.0, 0.0, 24.0]


def test_cuts_that_are_not_asked_for_have_no_plan() -> None:
    module, network = build("chain")
    found = measure(network, data_for(module, "chain", 200, 1), levels=[0.1])
    held_out = data_for(module, "chain", 200, 2)
    some = calibrate_cuts(network, held_out, found, cuts=[2])
    every = calibrate_cuts(network, held_out, found)
    assert [c.delta.value for c in some[0]] == [0.0, every[0][1].delta.value, 0.0]
    for cuts, shared_by, field in (
        ([0], (1,), "cuts"),
        ([4], (1,), "cuts"),
        ([], (1,), "cuts"),
        ([1], (), "shared_by"),
    ):
        with pytest.raises(InputError, match=field):
            calibrate_cuts(network, held_out, found, cuts=cuts, shared_by=shared_by)


def test_a_level_that_is_never_lost_counts_no_noise() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 100, 3)
    found = measure(network, Examples(torch.zeros_like(examples.x), examples.labels), levels=[0.01])
    weights, _ = noise_terms(payload_request(network, found, 0.01, 1))
    assert weights[0].tolist() == [0.0] * 16
    assert noise_fields(found)["table"]["bits"] == BITS.tolist()


def test_changing_a_weight_by_hand_is_what_a_plan_of_one_layer_does() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 300, 1)
    found = measure(network, examples, levels=[0.1])
    weight = quantize(network.weight(1), 3).values()
    by_hand = with_weight(module, 1, weight, examples.x)
    scores, noise = PlanRunner(network, examples, found).run(Widths((3,), (16,)))
    assert noise.mean() == pytest.approx(float((by_hand - module(examples.x)).square().sum(1).mean()), rel=0.01)
    assert scores.mean() == pytest.approx(float(correct(by_hand, examples.labels).mean()), abs=0.01)

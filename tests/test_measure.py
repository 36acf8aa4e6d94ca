"""Coefficients measured with torch: the quantizer, the networks, the noise, Delta, and the kept weights on MNIST."""

from __future__ import annotations

import copy
import gzip
import itertools
import math
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from qopt.errors import InputError, QoptError
from qopt.measure.arithmetic import mean_square, plain_float32
from qopt.measure.calibration import RATIO, Loss, calibrate, paired_bootstrap
from qopt.measure.coefficients import (
    Examples,
    accuracy_fields,
    calibrate_cuts,
    measure,
    noise_fields,
    plan_loss,
    right,
    right_with_plan,
)
from qopt.measure.idx import MAX_ENTRIES, read_examples, read_idx
from qopt.measure.network import Chain, Layer, TensorName
from qopt.measure.quantizer import Range, codes, quantize, step
from qopt.measure.sensitivity import (
    SCALES_PER_OCTAVE,
    adversarial_noise,
    fit_law,
    noise_table,
    robustness,
)
from qopt.problems.qpart import Accuracy, Noise, QPart
from qopt.problems.reading import load
from qopt.problems.terms import noise_terms

FOLDER = Path(__file__).resolve().parents[1] / "instances" / "mnist-mlp6"
sys.path.insert(0, str(FOLDER))

import evaluate  # noqa: E402
import make  # noqa: E402
import mlp  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pareto(cost: Any, noise: Any, limit: float) -> np.ndarray | None:
    """Exact widths by lists of undominated partial plans, written without a look at the kernel."""
    plans: list[tuple[float, float, tuple[int, ...]]] = [(0.0, 0.0, ())]
    for row_cost, row_noise in zip(cost, noise, strict=True):
        grown = sorted(
            (c + float(row_cost[k]), w + float(row_noise[k]), (*chosen, k))
            for c, w, chosen in plans
            for k in range(len(row_cost))
        )
        plans, least = [], math.inf
        for plan in grown:
            if plan[1] < least and plan[1] <= limit:
                plans.append(plan)
                least = plan[1]
    return np.array(plans[0][2]) if plans else None


def small_chain(seed: int = 0, sizes: tuple[int, ...] = (6, 9, 7, 4)) -> Chain:
    """A network of a few layers with random weights."""
    torch.manual_seed(seed)
    pairs = list(itertools.pairwise(sizes))
    layers = [Layer(nn.Linear(n, m), nn.ReLU()) for n, m in pairs[:-1]]
    return Chain([*layers, Layer(nn.Linear(*pairs[-1]))]).requires_grad_(False)


def data_for(chain: Chain, n: int, seed: int) -> Examples:
    """Inputs that the network labels itself, a tenth of the labels replaced: an accuracy near 0.9."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 6, generator=generator)
    labels = chain(x).argmax(1)
    labels[: n // 10] = (labels[: n // 10] + 1) % 4
    return Examples(x, labels)


# --- the quantizer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 3, 8, 16])
@pytest.mark.parametrize("shift", [-3.0, 0.0, 250.0])
def test_quantizer_takes_the_nearest_point_of_its_grid(bits: int, shift: float) -> None:
    t = torch.randn(500, generator=torch.Generator().manual_seed(bits), dtype=torch.float64) + shift
    span = Range.of(t)
    q = quantize(t, bits)
    grid = torch.linspace(span.mu, span.phi, 2**bits, dtype=torch.float64)
    nearest = (t[:, None] - grid).abs().min(dim=1).values
    assert torch.allclose((t - q).abs(), nearest, atol=1e-12 * max(1, abs(shift)))
    assert step(span, bits) == pytest.approx(float(grid[1] - grid[0]))
    assert q.min() == pytest.approx(span.mu)
    assert q.max() == pytest.approx(span.phi)
    sent = codes(t, span, bits)
    assert sent.min() == 0
    assert sent.max() == 2**bits - 1


def test_quantizer_clips_what_lies_outside_a_fixed_range() -> None:
    q = quantize(torch.tensor([-9.0, 0.2, 0.6, 9.0]), 1, Range(0.0, 1.0))
    assert q.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_quantizer_keeps_a_constant() -> None:
    assert quantize(torch.full((3,), 2.5), 4).tolist() == [2.5] * 3


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: quantize(torch.ones(2), 0), "bits"),
        (lambda: quantize(torch.tensor([0.0, 1.0]), 25), "bits"),
        (lambda: Range.of(torch.tensor([0.0, math.nan])), "range"),
        (lambda: Range.of(torch.tensor([])), "tensor"),
        (lambda: Range(1.0, 0.0), "range"),
        (lambda: Layer(nn.ReLU()), "layer"),
        (lambda: Chain([]), "layers"),
        (lambda: Examples(torch.ones(3, 2), torch.ones(2)), "examples"),
        (lambda: adversarial_noise(torch.ones(3, 1)), "logits"),
        (lambda: fit_law([1, 2], np.ones(2)), "bits"),
        (lambda: paired_bootstrap(np.ones(2, bool), np.ones(3, bool)), "correct"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(call: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


# --- archives --------------------------------------------------------------------------------------


def archive(path: Path, array: np.ndarray, *, shape: tuple[int, ...] | None = None, kind: int = 8) -> Path:
    header = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *(shape or array.shape))
    path.write_bytes(gzip.compress(header + array.tobytes()))
    return path


def test_archive_comes_back_as_written(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 2), dtype=np.uint8)
    labels = np.arange(5, dtype=np.uint8)
    x, y = read_examples(archive(tmp_path / "x.gz", images), archive(tmp_path / "y.gz", labels))
    assert np.array_equal(x, images)
    assert np.array_equal(y, labels)


def test_bad_archives_give_one_line(tmp_path: Path) -> None:
    labels = np.arange(5, dtype=np.uint8)
    plain = tmp_path / "plain.gz"
    plain.write_bytes(b"not an archive")
    cut = tmp_path / "cut.gz"
    cut.write_bytes(archive(tmp_path / "y.gz", np.arange(200, dtype=np.uint8)).read_bytes()[:-20])
    short = tmp_path / "short.gz"
    short.write_bytes(gzip.compress(b"\0\0\10"))
    for path, found in [
        (tmp_path / "absent.gz", "no such file"),
        (tmp_path, "is a directory"),
        (plain, "gzip"),
        (cut, "end"),
        (short, "ends after 3 bytes"),
        (archive(tmp_path / "float.gz", labels, kind=13), "first bytes"),
        (archive(tmp_path / "images.gz", labels.reshape(5, 1, 1)), "first bytes"),
        (archive(tmp_path / "fewer.gz", labels, shape=(6,)), "5 bytes"),
        (archive(tmp_path / "more.gz", labels, shape=(4,)), "behind the last"),
        (archive(tmp_path / "huge.gz", labels, shape=(MAX_ENTRIES + 1,)), "entries"),
    ]:
        with pytest.raises(InputError) as caught:
            read_idx(path, 1)
        assert caught.value.field == str(path)
        assert found in caught.value.found
        assert "\n" not in str(caught.value)
    images = archive(tmp_path / "x.gz", np.zeros((4, 2, 2), np.uint8))
    with pytest.raises(InputError, match="5 labels"):
        read_examples(images, archive(tmp_path / "y5.gz", labels))


# --- one tensor changed ----------------------------------------------------------------------------


def test_a_changed_tensor_gives_what_a_changed_network_gives() -> None:
    chain = small_chain()
    x = torch.rand(20, 6)
    outputs = chain.outputs(x)
    assert torch.equal(outputs[-1], chain(x))
    for tensor in chain.tensors():
        assert torch.equal(chain.logits_with(tensor, lambda t: t, outputs), outputs[-1])
        if tensor.kind == "weight":
            other = copy.deepcopy(chain)
            other.layer(tensor.layer).module.weight.mul_(0.5)
            expected = other(x)
        else:
            rest = Chain(list(chain.layers)[tensor.layer :]) if tensor.layer < len(chain) else nn.Identity()
            expected = rest(outputs[tensor.layer] * 0.5)
        assert torch.allclose(chain.logits_with(tensor, lambda t: t * 0.5, outputs), expected, atol=1e-6)


def test_a_plan_quantizes_the_device_s_part_alone() -> None:
    chain = small_chain()
    examples = data_for(chain, 300, 1)
    outputs = chain.outputs(examples.x)
    span = Range.of(outputs[2])
    other = copy.deepcopy(chain)
    for i, bits in ((1, 2), (2, 3)):
        other.layer(i).module.weight.copy_(quantize(chain.layer(i).weight, bits))
    logits = other.layer(3)(quantize(other.outputs(examples.x)[2], 2, span))
    expected = (logits.argmax(1) == examples.labels).numpy()
    assert np.array_equal(right_with_plan(chain, examples, [2, 3], 2, span), expected)
    assert not np.array_equal(expected, right(chain, examples))
    with pytest.raises(InputError, match="span"):
        right_with_plan(chain, examples, [2, 3], 2, None)


def test_settings_come_back() -> None:
    torch.backends.cudnn.allow_tf32 = True
    with plain_float32():
        assert not torch.backends.cudnn.allow_tf32
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.allow_tf32
    assert not torch.are_deterministic_algorithms_enabled()


# --- noise and robustness --------------------------------------------------------------------------


def test_adversarial_noise_by_hand() -> None:
    assert adversarial_noise(torch.tensor([[1.0, 4.0, 2.0], [0.0, 0.0, -1.0]])) == pytest.approx((2.0 + 0.0) / 2)


def test_noise_of_the_output_is_its_quantization_error() -> None:
    chain = small_chain()
    x = torch.rand(200, 6)
    table = noise_table(chain, x, range(1, 9))
    logits = chain(x)
    for b, noise in zip(range(1, 9), table[TensorName("activation", 3)], strict=True):
        assert noise == pytest.approx(float((quantize(logits, b) - logits).double().pow(2).sum(1).mean()))
    assert set(table) == set(chain.tensors())


def test_noise_falls_by_four_a_bit() -> None:
    chain = small_chain(sizes=(6, 64, 32, 4))
    table = noise_table(chain, torch.rand(400, 6), range(1, 13))
    for tensor, row in table.items():
        law = fit_law(range(1, 13), row)
        assert law.error < 1.5, tensor
        assert row[11] == pytest.approx(law.s * 4.0**-12, rel=1.5)


def test_the_law_is_a_median_and_says_its_error() -> None:
    bits = list(range(1, 17))
    row = np.array([3.0 * 4.0**-b for b in bits])
    assert fit_law(bits, row).s == pytest.approx(3.0)
    assert fit_law(bits, row).error == pytest.approx(0.0, abs=1e-12)
    row[5] *= 4  # b = 6, one of the seven widths of the fit
    row[15] = 1e9  # b = 16, none of them
    assert fit_law(bits, row).s == pytest.approx(3.0)
    assert fit_law(bits, row).error == pytest.approx(2.0)


@pytest.mark.parametrize("tensor", [TensorName("weight", 1), TensorName("activation", 2), TensorName("weight", 3)])
def test_robustness_is_the_first_scale_that_costs_the_level(tensor: TensorName) -> None:
    chain = small_chain()
    examples = data_for(chain, 500, 2)
    outputs, loss = chain.outputs(examples.x), 0.05
    found = robustness(chain, tensor, examples.labels, outputs, loss)
    base = chain.layer(tensor.layer).weight if tensor.kind == "weight" else outputs[tensor.layer]
    directions = [torch.rand(base.shape, generator=torch.Generator().manual_seed(s)) * 2 - 1 for s in (0, 1, 2)]

    def at(scale: float) -> tuple[float, float]:
        amplitude = scale * float(base.max() - base.min())
        noisy = [chain.logits_with(tensor, lambda t, u=u: t + amplitude * u, outputs) for u in directions]  # type: ignore[misc]
        lost = [
            float((outputs[-1].argmax(1) == examples.labels).double().mean())
            - float((z.argmax(1) == examples.labels).double().mean())
            for z in noisy
        ]
        return float(np.mean(lost)), float(np.mean([mean_square(z, outputs[-1]) for z in noisy]))

    lost, noise = at(found.scale)
    assert lost >= loss - 1e-12
    assert found.rho == pytest.approx(noise / adversarial_noise(outputs[-1]), rel=1e-4)
    assert (math.log2(found.scale) * SCALES_PER_OCTAVE) == pytest.approx(
        round(math.log2(found.scale) * SCALES_PER_OCTAVE)
    )
    assert all(at(found.scale * 2 ** (-k / SCALES_PER_OCTAVE))[0] < loss for k in range(1, 25))


def test_robustness_is_infinite_where_noise_changes_nothing() -> None:
    chain = small_chain()
    examples = data_for(chain, 100, 3)
    nothing = Examples(torch.zeros_like(examples.x), examples.labels)
    outputs = chain.outputs(nothing.x)
    assert robustness(chain, TensorName("weight", 1), nothing.labels, outputs, 0.01).rho == math.inf


# --- Delta -----------------------------------------------------------------------------------------


def test_bootstrap_is_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(400) < 0.9
    after = np.where(rng.random(400) < 0.06, ~before, before)
    loss = paired_bootstrap(before, after, seed=1)
    difference = before.astype(float) - after
    resampled = difference[rng.integers(0, 400, (4000, 400))].mean(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    assert loss.mean == pytest.approx(difference.mean())
    assert loss.low == pytest.approx(low, abs=0.004)
    assert loss.high == pytest.approx(high, abs=0.004)
    assert loss.low < loss.mean < loss.high
    assert paired_bootstrap(before, before) == Loss(0.0, 0.0, 0.0)
    assert paired_bootstrap(before, after, seed=1) == loss


BITS = np.arange(1, 17)
LAW = np.array([[4.0 ** -float(b) for b in BITS]] * 2)


def test_delta_is_the_first_of_three_limits_in_a_row() -> None:
    cost = np.array([[1.0], [3.0]]) * BITS

    def loss(widths: tuple[int, ...]) -> Loss:
        fails = widths[0] < 4 or widths == (5, 4)
        return Loss(0.0, 0.0, 0.02 if fails else 0.005)

    result = calibrate(1.0, [cost], LAW, BITS, 0.01, loss, pareto)
    limits = [trial.limit for trial in result.trials]
    assert limits == pytest.approx([RATIO**-k for k in range(len(limits))])
    held = [trial.losses[0].high <= 0.01 for trial in result.trials]
    assert held[-3:] == [True] * 3
    assert not any(all(held[i : i + 3]) for i in range(len(held) - 3))
    assert result.delta == result.trials[-3].limit == result.chosen.limit
    assert any(held[:-3]), "the case has a limit that holds alone"
    assert result.chosen.plans[0] == tuple(int(BITS[i]) for i in pareto(cost, LAW, result.delta))  # type: ignore[union-attr]


def test_delta_holds_for_every_price() -> None:
    dear_weights, dear_activation = np.array([[3.0], [1.0]]) * BITS, np.array([[1.0], [3.0]]) * BITS

    def loss(widths: tuple[int, ...]) -> Loss:
        return Loss(0.0, 0.0, 0.0 if widths[1] >= 4 else 0.02)

    alone = calibrate(1.0, [dear_weights], LAW, BITS, 0.01, loss, pareto)
    both = calibrate(1.0, [dear_weights, dear_activation], LAW, BITS, 0.01, loss, pareto)
    assert both.delta < alone.delta
    assert both.chosen.plans[1][1] >= 4


def test_delta_that_does_not_exist_is_said() -> None:
    with pytest.raises(QoptError, match="no noise limit"):
        calibrate(1.0, [LAW], LAW, BITS, 0.01, lambda _: Loss(0.5, 0.4, 0.6), pareto)


def test_a_measured_network_becomes_an_instance() -> None:
    chain = small_chain()
    found = measure(chain, data_for(chain, 400, 4), range(1, 17), 0.03)
    cuts = calibrate_cuts(chain, data_for(chain, 600, 5), found, pareto, shared_by=(1, 50))
    noise, accuracy = Noise(**noise_fields(found, 3)), Accuracy(**accuracy_fields(found, cuts))
    assert noise.table is not None
    problem = QPart(
        network={"macs": [54, 63, 28], "weights": [54, 63, 28], "activations": [9, 7, 4], "input_size": 6},
        device={"cycles_per_mac": 5.0, "clock": 2e8},
        server={"cycles_per_mac": 1.25, "clock": 3e9},
        channel={"rate": 1e6},
        noise=noise.model_dump(),
        accuracy=accuracy.model_dump(),
        level=0.03,
    )
    weights, activations = noise_terms(problem)
    for i in range(3):
        assert weights[i] == pytest.approx(found.terms(TensorName("weight", i + 1)))
        assert activations[i] == pytest.approx(found.terms(TensorName("activation", i + 1)))
    assert [float(d) for d in problem.delta] == [c.delta for c in cuts]
    for cut, result in enumerate(cuts, start=1):
        for plan, loss in zip(result.chosen.plans, result.chosen.losses, strict=True):
            assert len(plan) == cut + 1
            assert loss.high <= 0.03


# --- the kept weights on the kept test images --------------------------------------------------------


@pytest.fixture(scope="module")
def kept() -> tuple[Chain, list[Range], dict[str, Any], Examples, QPart]:
    chain, spans, metadata = mlp.load(FOLDER / "weights.safetensors")
    return chain, spans, metadata, mlp.examples(FOLDER, "t10k"), load("qpart/mnist-mlp6")


def test_kept_network_is_the_instance_s(kept: Any) -> None:
    chain, _, metadata, test, problem = kept
    assert [chain.layer(i).weight.numel() for i in range(1, 7)] == problem.network.weights.tolist()
    accuracy = float(right(chain, test).mean())
    assert accuracy >= 0.98
    assert accuracy == pytest.approx(metadata["accuracy"]["test"], abs=3e-4)
    assert len(test) == 10_000


def test_every_cut_keeps_its_accuracy_on_the_test_images(kept: Any) -> None:
    chain, spans, _, test, problem = kept
    prices = evaluate.tensor_prices(problem)
    for cut in range(1, 7):
        plans = {
            evaluate.best_widths(problem, cut, problem.network.weights, problem.network.activations),
            evaluate.best_widths(problem, cut, *prices),
        }
        for plan in plans:
            assert plan_loss(chain, test, plan[:-1], plan[-1], spans[cut - 1]).high <= 0.01, plan
    left, all_in = evaluate.payload_left(chain, plan)
    assert len(plan) == 7
    assert left <= all_in <= 0.096


def test_payload_left_by_hand(kept: Any) -> None:
    left, all_in = evaluate.payload_left(kept[0], (2, 8, 4))
    weights, biases = 784 * 512 * 2 + 512 * 256 * 8, 32 * (512 + 256)
    whole = 32 * (784 * 512 + 512 * 256 + 512 + 256)
    assert left == pytest.approx((weights + biases) / whole)
    assert all_in == pytest.approx((weights + biases + 4 * 256 + 3 * 64) / (whole + 32 * 256))


def test_bundled_request_is_cut_inside_and_the_cut_moves(kept: Any) -> None:
    problem = kept[4]
    slow, fast = evaluate.objectives(problem), evaluate.objectives(problem.replace({"channel.rate": 1e7}))
    assert min(slow, key=lambda p: slow[p]) == 5
    assert min(fast, key=lambda p: fast[p]) == 1
    bits = np.arange(1, 17)
    noise_w, noise_x = noise_terms(problem)
    price_w, price_x = evaluate.tensor_prices(problem)
    base = evaluate.base_costs(problem)
    for p in slow:
        cost = np.append(price_w[:p], price_x[p - 1])[:, None] * bits
        plan = pareto(cost, np.vstack([noise_w[:p], noise_x[p - 1]]), problem.delta[p - 1])
        assert plan is not None
        assert slow[p] == pytest.approx(base[p] + sum(cost[i, k] for i, k in enumerate(plan)), rel=1e-12)


def test_figures_are_printed_from_the_kept_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([]) == 0
    text = capsys.readouterr().out
    assert "cut 6:" in text
    assert "payload left" in text


@pytest.mark.parametrize(
    ("program", "arguments", "field"),
    [
        (make.main, ["absent"], "absent/train-images-idx3-ubyte.gz"),
        (evaluate.main, ["--data", "absent"], "absent/t10k-images-idx3-ubyte.gz"),
        (evaluate.main, ["--weights", str(FOLDER / "mlp.py")], "mlp.py"),
        (evaluate.main, ["--instance", "absent.json"], "instance"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    program: Any, arguments: list[str], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert field in said

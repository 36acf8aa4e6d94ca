"""Noise, robustness and margins, beside the same figures from the module itself: changed weights and hooks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_networks import SHAPES, build, data_for, with_output, with_weight  # noqa: E402
from sweeps import swept  # noqa: E402
from torch import nn  # noqa: E402

from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring.arithmetic import plain_float32  # noqa: E402
from qopt.measuring.directions import SEEDS, uniform  # noqa: E402
from qopt.measuring.estimates import rho_of_draws  # noqa: E402
from qopt.measuring.examples import Examples  # noqa: E402
from qopt.measuring.grids import Grid, Range, quantize  # noqa: E402
from qopt.measuring.network import TensorName  # noqa: E402
from qopt.measuring.noise import fit_law  # noqa: E402
from qopt.measuring.parallel import run_all  # noqa: E402
from qopt.measuring.profile import trace  # noqa: E402
from qopt.measuring.robustness import LAST, LEAST, SCALES_PER_OCTAVE, next_steps  # noqa: E402
from qopt.measuring.scores import adversarial_margin, correct  # noqa: E402
from qopt.measuring.sensitivity import Sensitivity, measure  # noqa: E402

BOTH = pytest.mark.parametrize("name", ["chain", "branch"])
LEVELS = [0.02, 0.05, 0.2]


def change_of(outputs: Any, reference: Any) -> float:
    return float((outputs.double() - reference.double()).square().flatten(1).sum(dim=1).mean())


# --- the noise table -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "grid"),
    swept(
        itertools.product(["chain", "branch"], ["", "per-channel,symmetric,clipped", "groups-of-32,scales-8"]),
        lambda case: case[0] == "branch" and case[1],
    ),
)
def test_noise_is_that_of_a_network_with_one_tensor_changed(name: str, grid: str) -> None:
    module, network = build(name)
    examples = data_for(module, name, 150, 1)
    found = measure(network, examples, levels=[0.05], bits=range(1, 9), grid=Grid.parse(grid))
    reference, tensors = module(examples.x), network.tensors(examples.x)
    assert found.score == pytest.approx(float((reference.argmax(1) == examples.labels).double().mean()))
    assert len(found.tensors) == 2 * len(network)
    for tensor, one in found.tensors.items():
        for column, bits in enumerate(range(1, 9)):
            if tensor.kind == "weight":
                weight = network.weight(tensor.layer)
                changed = quantize(weight, bits, Grid.parse(grid)).values()
                outputs = with_weight(module, tensor.layer, changed, examples.x)
            else:
                clip = Grid(clip=Grid.parse(grid).clip)
                span = Range.of(tensors[tensor.layer])
                if clip.clip == "mse":
                    ends = torch.tensor([span.low, span.high])  # the fit sees the ends beside the entries
                    span = Range.best(torch.cat([ends, tensors[tensor.layer].flatten()]), bits, clip)
                outputs = with_output(
                    module, tensor.layer, lambda y, b=bits, s=span, g=clip: quantize(y, b, g, s).values(), examples.x
                )
            assert one.noise[column] == pytest.approx(change_of(outputs, reference), rel=1e-4, abs=1e-12), tensor
            lost = correct(reference, examples.labels).mean() - correct(outputs, examples.labels).mean()
            assert one.lost[column] == pytest.approx(float(lost), abs=1e-12)
            assert one.noise_low[column] <= one.noise[column] <= one.noise_high[column]


@pytest.mark.parametrize("name", swept(["chain", "branch"], lambda name: name == "branch"))
def test_memory_changes_nothing_but_the_batches(name: str) -> None:
    module, network = build(name)
    examples = data_for(module, name, 120, 2)
    whole = measure(network, examples, levels=LEVELS)
    parts = measure(network, examples, levels=LEVELS, memory=2**21)
    for tensor, one in whole.tensors.items():
        other = parts.tensors[tensor]
        assert other.noise == pytest.approx(one.noise, rel=1e-4)
        assert [x.value for x in other.rho] == pytest.approx([x.value for x in one.rho], rel=1e-4)
    assert parts.ranges == whole.ranges


@pytest.mark.parametrize("name", swept(["chain", "branch"], lambda name: name == "branch"))
def test_threads_change_nothing_at_all(name: str, two_threads: Callable[[], None]) -> None:
    module, network = build(name)
    examples = data_for(module, name, 120, 2)
    alone = measure(network, examples, levels=[0.05], memory=2**21)
    two_threads()
    both = measure(network, examples, levels=[0.05], memory=2**21)
    assert torch.get_num_threads() == 2
    assert both.to_dict() == alone.to_dict()


def test_work_side_by_side_comes_back_in_order(two_threads: Callable[[], None]) -> None:
    done: list[int] = []
    two_threads()
    assert run_all([partial(pow, i, 2) for i in range(50)], 2, done.append) == [i * i for i in range(50)]
    assert done == list(range(1, 51))
    with pytest.raises(ZeroDivisionError):
        run_all([partial(divmod, 1, i) for i in (1, 0, 2)], 2)
    assert torch.get_num_threads() == 2


def test_a_range_is_the_activation_s_on_all_examples() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 400, 3)
    found = measure(network, examples, levels=[0.05], memory=2**21)
    for layer in (1, 2, 3):
        tensor = network.tensors(examples.x)[layer]
        for bits in (1, 7, 16):
            assert found.range_of(layer, bits).low == pytest.approx(float(tensor.min()), rel=1e-6)
            assert found.range_of(layer, bits).high == pytest.approx(float(tensor.max()), rel=1e-6)


def test_noise_falls_by_four_a_bit() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    module.requires_grad_(False)
    found = measure(trace(module, torch.zeros(1, 6)), data_for(module, "chain", 400, 1), levels=[0.1])
    for tensor, one in found.tensors.items():
        assert one.law_error < 1.5, tensor
        assert one.noise[11] == pytest.approx(one.s.value * 4.0**-12, rel=1.5)
        assert one.s.low <= one.s.value <= one.s.high


def test_the_law_is_a_median_and_says_its_error() -> None:
    bits = list(range(1, 17))
    row = np.array([3.0 * 4.0**-b for b in bits])
    assert fit_law(bits, row).s == pytest.approx(3.0)
    assert fit_law(bits, row).error == pytest.approx(0.0, abs=1e-12)
    row[5] *= 4  # b = 6, one of the seven widths of the fit
    row[15] = 1e9  # b = 16, none of them
    assert fit_law(bits, row).s == pytest.approx(3.0)
    assert fit_law(bits, row).error == pytest.approx(2.0)


# --- margins and robustness ------------------------------------------------------------------------


def test_the_margin_by_hand() -> None:
    margins = adversarial_margin(torch.tensor([[1.0, 4.0, 2.0], [0.0, 0.0, -1.0]]))
    assert margins.tolist() == [2.0, 0.0]


def test_natural_is_the_mean_margin() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 200, 1)
    found = measure(network, examples, levels=[0.05])
    assert found.natural.value == pytest.approx(float(adversarial_margin(module(examples.x)).mean()))
    assert found.natural.low < found.natural.value < found.natural.high


@pytest.mark.parametrize("name", swept(["chain", "branch"], lambda name: name == "branch"))
@pytest.mark.parametrize("grid", ["per-tensor", "per-channel"])
def test_rho_is_noise_at_a_scale_that_costs_the_level_and_the_one_before_does_not(name: str, grid: str) -> None:
    module, network = build(name)
    examples = data_for(module, name, 300, 2)
    found = measure(network, examples, levels=LEVELS, grid=Grid.parse(grid), seed=1)
    reference, tensors = module(examples.x), network.tensors(examples.x)
    right = correct(reference, examples.labels).mean()

    def at(tensor: TensorName, scale: float) -> tuple[float, float]:
        """Loss and noise, means over the directions, by changing the module."""
        lost, noise = [], []
        for seed in range(SEEDS, 2 * SEEDS):
            if tensor.kind == "weight":
                weight = network.weight(tensor.layer)
                u = uniform(tensor, seed, 0, 1, weight.shape, weight.device)[0]
                rows = weight.flatten(1)
                length = rows.max() - rows.min()
                if grid == "per-channel":
                    length = (rows.amax(1) - rows.amin(1)).reshape(-1, *[1] * (weight.ndim - 1))
                outputs = with_weight(module, tensor.layer, weight + scale * length * u, examples.x)
            else:
                value = tensors[tensor.layer]
                u = uniform(tensor, seed, 0, len(value), value.shape[1:], value.device).flatten(1)
                amplitude = scale * float(value.max() - value.min())
                outputs = with_output(module, tensor.layer, lambda y, a=amplitude, u=u: y + a * u, examples.x)
            lost.append(float(right - correct(outputs, examples.labels).mean()))
            noise.append(change_of(outputs, reference))
        return float(np.mean(lost)), float(np.mean(noise))

    reached = 0
    for tensor, one in found.tensors.items():
        for level, rho, scale in zip(LEVELS, one.rho, one.scale, strict=True):
            if math.isinf(scale):
                assert rho.value == math.inf
                assert at(tensor, 2.0 ** (LAST / SCALES_PER_OCTAVE))[0] < level
                continue
            lost, noise = at(tensor, scale)
            step = math.log2(scale) * SCALES_PER_OCTAVE
            assert step == pytest.approx(round(step), abs=1e-9)
            assert lost >= level - 1e-9
            assert at(tensor, 2.0 ** ((round(step) - 1) / SCALES_PER_OCTAVE))[0] < level
            assert rho.value == pytest.approx(noise / found.natural.value, rel=1e-3)
            assert rho.low <= rho.value <= rho.high
            reached += 1
    assert reached > len(found.tensors)


def test_rho_is_infinite_where_noise_changes_nothing() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 100, 3)
    nothing = Examples(torch.zeros_like(examples.x), examples.labels)
    found = measure(network, nothing, levels=[0.01])
    one = found.tensors[TensorName("weight", 1)]
    assert [x.value for x in one.rho] == [math.inf]
    assert found.terms(TensorName("weight", 1), 0.01).tolist() == [0.0] * 16


def test_every_draw_looks_for_its_own_scale() -> None:
    steps = [-8, 0, 8]
    lost = np.array([[0.0, 0.1, 0.2], [0.0, 0.04, 0.2], [0.0, 0.0, 0.01]])
    noise = np.array([[1.0, 4.0, 16.0]] * 3)
    found = rho_of_draws(steps, noise, lost, np.array([2.0, 2.0, 2.0]), 0.05)
    # Loss is linear between scales: 0.05 at step -4, then at 8 * 0.01 / 0.16 = 0.5, first met at step 1; never.
    assert found == pytest.approx([2.0 / 2, 4.0 * 4 ** (1 / 8) / 2, math.inf])


def test_the_search_ends_at_neighbouring_steps() -> None:
    """On any nearly monotone loss, from any start: a step that costs the level, the one before not."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        crossing, slope = rng.uniform(-150, 30), rng.uniform(0.02, 1.0)
        curve = {k: float(np.exp(slope * (k - crossing)) * 0.05 + rng.normal(0, 1e-4)) for k in range(LEAST, LAST + 1)}
        levels = sorted(rng.uniform(0.001, 0.2, 3))
        tried = {int(k): curve[int(k)] for k in rng.integers(-64, 33, 3)}
        for _round in range(60):
            wanted = next_steps(tried, levels)
            if not wanted:
                break
            assert not wanted & tried.keys()
            tried |= {k: curve[k] for k in wanted}
        assert not wanted
        for level in levels:
            top = min((k for k, x in tried.items() if x >= level), default=None)
            if top is None:
                assert LAST in tried
            else:
                assert top == LEAST or tried[top - 1] < level
        assert len(tried) < 60


# --- directions ------------------------------------------------------------------------------------


def test_directions_do_not_depend_on_batches() -> None:
    tensor, cpu = TensorName("activation", 2), torch.device("cpu")
    whole = uniform(tensor, 5, 0, 40, (3, 4), cpu)
    assert whole.shape == (40, 3, 4)
    assert torch.equal(whole[17:], uniform(tensor, 5, 17, 23, (3, 4), cpu))


def test_directions_are_uniform_and_unrelated() -> None:
    cpu = torch.device("cpu")
    names = [TensorName("activation", 1), TensorName("activation", 2), TensorName("weight", 1)]
    drawn = [uniform(name, seed, 0, 500, (200,), cpu).double() for name in names for seed in (0, 1)]
    for u in drawn:
        assert float(u.abs().max()) < 1
        counts = torch.histc(u.float(), 20, -1, 1)
        assert float(((counts - 5000) ** 2 / 5000).sum()) < 45.0  # chi-square with 19 degrees of freedom: 0.999 at 43.8
        for shift in ((u[1:] * u[:-1]), (u[:, 1:] * u[:, :-1])):
            assert abs(float(shift.mean())) * 3 * math.sqrt(shift.numel()) < 5
    for i, u in enumerate(drawn):
        for v in drawn[:i]:
            assert abs(float((u * v).mean())) * 3 * math.sqrt(u.numel()) < 5


# --- other tasks, files, bad input -----------------------------------------------------------------


def near(outputs: Any, wanted: Any) -> Any:
    """A score for regression: 1 at the wanted values, 0 from a distance of one on."""
    return (1 - (outputs - wanted).norm(dim=1)).clamp(min=0).double()


def unit_margin(outputs: Any) -> Any:
    return torch.ones(len(outputs))


def test_another_task_brings_its_score_and_margin() -> None:
    module, network = build("chain")
    x = data_for(module, "chain", 200, 1).x
    examples = Examples(x, module(x) + 0.01)
    found = measure(network, examples, levels=[0.05], score=near, margin=unit_margin)
    assert found.natural.value == 1.0
    assert found.score == pytest.approx(1 - 0.02, abs=1e-4)
    one = found.tensors[TensorName("activation", 3)]
    assert 0 < one.rho[0].value < math.inf
    assert one.lost[0] > 0.05 > one.lost[15]


def test_figures_come_back_from_a_file(tmp_path: Path) -> None:
    module, network = build("branch")
    found = measure(network, data_for(module, "branch", 100, 1), levels=LEVELS, grid=Grid("channel", True, "mse"))
    found.save(tmp_path / "found.json")
    again = Sensitivity.load(tmp_path / "found.json")
    assert again.to_dict() == found.to_dict()
    assert (again.grid, again.activation_grid, again.ranges) == (found.grid, found.activation_grid, found.ranges)
    (tmp_path / "other.json").write_text('{"format": "qopt/plan"}')
    (tmp_path / "broken.json").write_text('{"format": "qopt/sensitivity", "version": 1}')
    for name in ("absent.json", "other.json", "broken.json"):
        with pytest.raises(InputError) as caught:
            Sensitivity.load(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_same_seed_gives_the_same_figures() -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 150, 1)
    first, again, other = (measure(network, examples, levels=[0.05], seed=s).to_dict() for s in (0, 0, 1))
    assert first == again
    assert first["tensors"][0]["rho"] != other["tensors"][0]["rho"]
    assert first["tensors"][0]["noise"][0] == other["tensors"][0]["noise"][0]


def test_settings_come_back() -> None:
    torch.backends.cudnn.allow_tf32 = True
    with plain_float32():
        assert not torch.backends.cudnn.allow_tf32
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    assert torch.backends.cudnn.allow_tf32
    assert not torch.are_deterministic_algorithms_enabled()


class Broken(nn.Module):
    """Not a number where an input is above 10."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer1(x) * (10.0 - x[:, :1]).sqrt()  # type: ignore[no-any-return]


def asked(**changes: Any) -> Any:
    """A call of `measure` on the chain."""
    return lambda: measure(
        build("chain")[1], **{"examples": data_for(build("chain")[0], "chain", 50, 1), "levels": [0.05], **changes}
    )


def of_module(module: nn.Module, labels: Any) -> Any:
    """A call of `measure` on a module of its own."""
    x = torch.rand(30, 6, generator=torch.Generator().manual_seed(0))
    x[17] = 11.0
    module.requires_grad_(False)
    return lambda: measure(trace(module, torch.zeros(1, 6)), Examples(x, labels), levels=[0.1])


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (asked(levels=[]), "levels"),
        (asked(levels=[0.0]), "levels"),
        (asked(levels=[0.1, 0.05]), "levels"),
        (asked(levels=[math.nan]), "levels"),
        (asked(bits=[]), "bits"),
        (asked(bits=[1, 3]), "bits"),
        (asked(bits=range(10, 18)), "bits"),
        (asked(bits=[1, 2]), "bits"),
        (asked(activation_grid=Grid("channel")), "activation_grid"),
        (asked(memory=1), "memory"),
        (asked(score=lambda _z, _y: torch.ones(3)), "score"),
        (asked(score=lambda z, _y: torch.full((len(z),), 2.0)), "score"),
        (asked(score=lambda z, _y: torch.full((len(z),), math.nan)), "score"),
        (asked(examples=Examples(torch.rand(5, *SHAPES["chain"]), torch.full((5,), 9))), "labels"),
        (asked(examples=Examples(torch.rand(5, *SHAPES["chain"]), torch.rand(5))), "labels"),
        (of_module(Broken(), torch.zeros(30, dtype=torch.int64)), "logits"),
        (
            of_module(nn.Sequential(nn.Linear(6, 4), nn.Unflatten(1, (2, 2))), torch.zeros(30, dtype=torch.int64)),
            "logits",
        ),
        (lambda: adversarial_margin(torch.ones(3, 2, 2)), "logits"),
        (lambda: fit_law([1, 2], np.ones(2)), "bits"),
        (lambda: Examples(torch.ones(3, 2), torch.ones(2)), "examples"),
        (lambda: Examples(torch.ones(0, 2), torch.ones(0)), "examples"),
        (lambda: Examples(torch.ones(3, 2).double(), torch.ones(3)), "examples.x"),
        (lambda: Examples(torch.tensor([[math.inf]]), torch.ones(1)), "examples.x"),
    ],
)
def test_bad_input_gives_one_line(call: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_there_is_said() -> None:
    if torch.cuda.is_available():
        pytest.skip("the device is there")
    with pytest.raises(InputError, match="device"):
        build("chain")[1].to("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_another_device_gives_the_same_figures() -> None:
    module, network = build("branch")
    examples = data_for(module, "branch", 200, 1)
    here = measure(network, examples, levels=LEVELS, grid=Grid("channel", clip="mse"))
    there = measure(network.to("cuda"), examples, levels=LEVELS, grid=Grid("channel", clip="mse"))
    for tensor, one in here.tensors.items():
        other = there.tensors[tensor]
        assert other.noise[:10] == pytest.approx(one.noise[:10], rel=1e-3)
        assert other.noise[10:] == pytest.approx(one.noise[10:], rel=2e-2)  # as small as float32's own rounding
        assert other.scale == pytest.approx(one.scale, rel=0.1)

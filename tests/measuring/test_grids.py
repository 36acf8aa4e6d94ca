"""Uniform grids: nearest points, ranges, what is sent, and the clipped range of least error."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from scipy.optimize import minimize
from sweeps import swept

from qopt.core.errors import InputError
from qopt.measuring.grids import MAX_BITS, Grid, Quantized, Range, Steps, lengths, quantize

GRIDS = [
    Grid(per, symmetric, clip)  # type: ignore[arg-type]
    for per, symmetric, clip in itertools.product(("tensor", "channel"), (False, True), ("minmax", "mse"))
]
WIDTHS = [1, 2, 3, 5, 8, 12, 16]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def points(found: Quantized, channel: int) -> torch.Tensor:
    """All points of a channel's grid, from the numbers that are sent."""
    scale = found.scale.double().reshape(-1)[channel]
    whole = torch.arange(2**found.bits, dtype=torch.float64)
    if found.offset is None:
        return scale * (whole - (2**found.bits - 1) / 2)
    return found.offset.double().reshape(-1)[channel] + scale * whole


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("shift", [0.0, 40.0])
def test_every_entry_goes_to_the_nearest_point(grid: Grid, bits: int, shift: float) -> None:
    tensor = normal(3, 5, 4, seed=bits) + shift
    found = quantize(tensor, bits, grid)
    assert found.codes.dtype == torch.int32
    assert found.values().dtype == torch.float32
    assert 0 <= int(found.codes.min()) <= int(found.codes.max()) < 2**bits
    for channel in range(3):
        grid_points = points(found, channel if grid.per == "channel" else 0)
        taken = grid_points[found.codes[channel].long()]
        distance = (tensor[channel].double() - taken).abs()
        best = torch.stack([(x.double() - grid_points).abs().min() for x in tensor[channel].flatten()])
        assert torch.allclose(distance.flatten(), best, atol=1e-12 * max(1.0, shift))
        assert torch.equal(found.values()[channel], taken.float())


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_batches_see_the_values_that_codes_stand_for(grid: Grid, bits: int) -> None:
    tensor = normal(4, 33, seed=3)
    assert torch.equal(Steps.of(tensor, bits, grid).values(tensor), quantize(tensor, bits, grid).values())


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("clip", ["minmax", "mse"])
def test_a_channel_is_quantized_as_if_alone(symmetric: bool, clip: Any) -> None:
    tensor = normal(5, 7, 3) * torch.tensor([0.01, 0.1, 1.0, 10.0, 100.0])[:, None, None]
    whole = quantize(tensor, 3, Grid("channel", symmetric, clip)).values()
    for channel in range(5):
        alone = quantize(tensor[channel], 3, Grid("tensor", symmetric, clip)).values()
        assert torch.equal(whole[channel], alone)


def test_minmax_reaches_both_ends() -> None:
    tensor = normal(200) + 3
    for bits in WIDTHS:
        values = quantize(tensor, bits).values()
        assert float(values.min()) == pytest.approx(float(tensor.min()), rel=1e-6)
        assert float(values.max()) == pytest.approx(float(tensor.max()), rel=1e-6)
        symmetric = quantize(tensor, bits, Grid(symmetric=True)).values()
        assert float(symmetric.max()) == pytest.approx(float(tensor.abs().max()), rel=1e-6)


def test_one_symmetric_bit_is_the_sign() -> None:
    values = quantize(torch.tensor([-3.0, -0.1, 0.2, 1.0]), 1, Grid(symmetric=True)).values()
    assert values.tolist() == [-3.0, -3.0, 3.0, 3.0]


def test_a_fixed_range_clips_what_lies_outside() -> None:
    tensor = torch.tensor([-9.0, 0.2, 0.6, 9.0])
    assert quantize(tensor, 1, span=Range(0.0, 1.0)).values().tolist() == [0.0, 0.0, 1.0, 1.0]
    reach = quantize(tensor, 1, Grid(symmetric=True), Range(-0.5, 1.0)).values()
    assert reach.tolist() == [-1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("grid", [g for g in GRIDS if not g.symmetric], ids=str)
def test_a_constant_stays(grid: Grid) -> None:
    assert quantize(torch.full((2, 3), 2.5), 4, grid).values().tolist() == [[2.5] * 3] * 2


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_zeros_stay(grid: Grid) -> None:
    assert quantize(torch.zeros(2, 3), 4, grid).values().tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_numbers_beside_the_codes_are_those_that_are_stored(grid: Grid) -> None:
    found = quantize(normal(5, 6), 4, grid)
    stored = found.scale.numel() + (0 if found.offset is None else found.offset.numel())
    assert grid.numbers(normal(5, 6)) == stored
    assert grid.overhead(normal(5, 6)) == 32 * stored


# --- groups ----------------------------------------------------------------------------------------

GROUPS = [
    Grid(per, symmetric, clip, scale_bits)  # type: ignore[arg-type]
    for per, symmetric, clip, scale_bits in itertools.product(
        ("group-32", "group-64"), (False, True), ("minmax", "mse"), (32, 16, 8)
    )
]


@pytest.mark.parametrize("grid", GROUPS, ids=str)
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((3, 128), marks=pytest.mark.sweep),
        (2, 75),
        (2, 9, 3, 3),
        pytest.param((2, 5), marks=pytest.mark.sweep),
    ],
)
def test_a_group_is_a_grid_of_its_own(grid: Grid, shape: tuple[int, ...]) -> None:
    """Every entry is at the nearest point of its group's grid, which covers the group, in every width of the scales."""
    tensor = normal(*shape, seed=len(shape)) * torch.tensor([0.01, 1.0, 30.0])[: shape[0]].reshape(
        -1, *[1] * (len(shape) - 1)
    )
    for bits in (1, 4, 7):
        found = quantize(tensor, bits, grid)
        values, codes, last = found.values(), found.codes.flatten(1), 2**bits - 1
        assert torch.equal(Steps.of(tensor, bits, grid).values(tensor), values)
        assert grid.group is not None
        groups = -(-codes.shape[1] // grid.group)
        assert found.scale.shape == (shape[0], groups)
        for row in range(shape[0]):
            for group in range(groups):
                part = slice(group * grid.group, (group + 1) * grid.group)
                entries, taken = (x.flatten(1)[row, part] for x in (tensor, values))
                scale = float(found.scale[row, group])
                first = -scale * last / 2 if found.offset is None else float(found.offset[row, group])
                grid_points = first + scale * torch.arange(last + 1, dtype=torch.float64)
                best = (entries.double()[:, None] - grid_points).abs().amin(dim=1)
                assert torch.allclose(
                    (entries.double() - taken.double()).abs(), best, atol=1e-6 * float(entries.abs().max())
                )
                if grid.scale_bits == 32:
                    alone = quantize(entries, bits, Grid("tensor", grid.symmetric, grid.clip)).values()
                    assert torch.equal(taken, alone)
                elif grid.clip == "minmax":
                    assert float((entries - taken).abs().max()) <= scale / 2 * (1 + 1e-5)


@pytest.mark.parametrize("symmetric", [False, True])
def test_scales_of_groups_have_so_many_bits(symmetric: bool) -> None:
    tensor = normal(4, 200)
    found = quantize(tensor, 4, Grid("group-32", symmetric, "minmax", 16))
    for numbers in (found.scale, found.offset):
        assert numbers is None or torch.equal(numbers, numbers.half().float())
    found = quantize(tensor, 4, Grid("group-32", symmetric, "minmax", 8))
    for numbers, last in ((found.scale, 255), (found.offset, 127)):
        if numbers is not None:
            assert all(
                len(set((row / row.abs().max() * last).round().int().tolist())) <= 2 * last + 1 for row in numbers
            )
            ratio = numbers / numbers.abs().amax(dim=1, keepdim=True) * last
            assert torch.allclose(ratio, ratio.round(), atol=1e-3)


@pytest.mark.parametrize(
    ("words", "bits"),
    [
        ("groups-of-32", 3 * 4 * 2 * 32),
        ("groups-of-64", 3 * 2 * 2 * 32),
        ("groups-of-128", 3 * 1 * 2 * 32),
        ("groups-of-32,scales-16", 3 * 4 * 2 * 16),
        ("groups-of-32,scales-16,symmetric", 3 * 4 * 16),
        ("groups-of-32,scales-8", 3 * 4 * 2 * 8 + 3 * 2 * 32),
        ("groups-of-128,scales-8,symmetric", 3 * 8 + 3 * 32),
    ],
)
def test_what_groups_send_beside_the_codes_is_counted(words: str, bits: int) -> None:
    grid = Grid.parse(words)
    assert grid.overhead(normal(3, 100)) == grid.overhead(normal(3, 25, 2, 2)) == bits
    assert Grid.parse(str(grid)) == grid


def test_noise_has_the_range_of_its_group() -> None:
    tensor = normal(3, 100)
    found = lengths(tensor, Grid("group-32"))
    assert found.shape == tensor.shape
    for row, first in itertools.product(range(3), (0, 32, 64, 96)):
        part = tensor[row, first : first + 32]
        assert found[row, first : first + 32].tolist() == [float(part.max() - part.min())] * len(part)
    assert lengths(tensor, Grid("channel")).shape == (3, 1)
    assert float(lengths(tensor, Grid())) == float(tensor.max() - tensor.min())


# --- clipped ranges --------------------------------------------------------------------------------


def error_of(tensor: torch.Tensor, bits: int, low: float, high: float) -> float:
    x = tensor.double()
    step = max((high - low) / (2**bits - 1), 1e-300)
    return float(((((x - low) / step).round().clamp(0, 2**bits - 1) * step + low) - x).square().sum())


@pytest.mark.parametrize("bits", swept([1, 2, 3, 4, 6], lambda bits: bits in (2, 4)))
@pytest.mark.parametrize("kind", ["normal", "relu", "heavy", "shifted"])
def test_clipped_is_near_the_least_error_of_all_ranges(bits: int, kind: str) -> None:
    x = normal(2000, seed=bits)
    tensor = {"normal": x, "relu": x.relu(), "heavy": x**3, "shifted": x * 0.1 + 7}[kind]
    found = float((quantize(tensor, bits, Grid(clip="mse")).values().double() - tensor.double()).square().sum())
    assert found <= error_of(tensor, bits, float(tensor.min()), float(tensor.max())) * (1 + 1e-6)
    starts = (
        torch.quantile(tensor, torch.tensor([0.0, 0.01, 0.1, 0.2])),
        torch.quantile(tensor, torch.tensor([0.8, 0.9, 0.99, 1.0])),
    )
    least = min(
        minimize(
            lambda ends: error_of(tensor, bits, float(min(ends)), float(max(ends))),
            [float(low), float(high)],
            method="Nelder-Mead",
            options={"maxiter": 150},
        ).fun
        for low, high in itertools.product(*starts)
    )
    assert found <= (1.15 if kind == "heavy" or bits == 6 else 1.03) * least


@pytest.mark.parametrize(("bits", "least"), [(1, 0.3634), (2, 0.1188), (3, 0.03744), (4, 0.01154)])
def test_clipped_normal_has_the_textbook_error(bits: int, least: float) -> None:
    """Uniform quantizers of least error for a normal variable: Max (1960), table II."""
    x = normal(400, 500)
    for grid in (Grid(clip="mse"), Grid(clip="mse", symmetric=True)):
        error = float((quantize(x, bits, grid).values() - x).double().square().mean())
        assert error == pytest.approx(least, rel=0.015)


@pytest.mark.parametrize("bits", [1, 4, 9, 16])
def test_clipping_never_loses(bits: int) -> None:
    tensor = torch.cat([normal(20, 30), normal(20, 3) ** 5], dim=1)
    # Ranges are compared in float32; what is sent is rounded to float32 once more.
    rounding = 1 + 1e-5 if bits < 10 else 1.01
    for per, symmetric in itertools.product(("tensor", "channel"), (False, True)):
        errors = [
            (quantize(tensor, bits, Grid(per, symmetric, clip)).values() - tensor).double().square().sum(dim=1)  # type: ignore[arg-type]
            for clip in ("mse", "minmax")
        ]
        if per == "channel":
            assert bool((errors[0] <= errors[1] * rounding).all())
        assert float(errors[0].sum()) <= float(errors[1].sum()) * rounding


# --- words and bad input ---------------------------------------------------------------------------


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_a_grid_is_spelled_and_read(grid: Grid) -> None:
    assert Grid.parse(str(grid)) == grid
    assert Grid.parse("") == Grid()
    assert str(Grid("channel", True, "mse")) == "per-channel,symmetric,clipped"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: quantize(torch.ones(2), 0), "bits"),
        (lambda: quantize(torch.ones(2), MAX_BITS + 1), "bits"),
        (lambda: quantize(torch.ones(2), True), "bits"),
        (lambda: quantize(torch.tensor([0.0, math.nan]), 4), "tensor"),
        (lambda: quantize(torch.tensor([0.0, math.inf]), 4), "tensor"),
        (lambda: quantize(torch.tensor([]), 4), "tensor"),
        (lambda: quantize(torch.tensor([-3e38, 3e38]), 1), "tensor"),
        (lambda: quantize(torch.ones(2, 2), 4, Grid("channel"), Range(0, 1)), "grid.per"),
        (lambda: Range(1.0, 0.0), "range"),
        (lambda: Range(0.0, math.inf), "range"),
        (lambda: Range.of(torch.tensor([])), "tensor"),
        (lambda: Range.of(torch.tensor([math.nan])), "range"),
        (lambda: Grid.parse("per-row"), "grid"),
        (lambda: Grid.parse("clipped,minmax"), "grid"),
        (lambda: Grid("group-48"), "grid.per"),  # type: ignore[arg-type]
        (lambda: Grid("channel", scale_bits=16), "grid.scale_bits"),
        (lambda: Grid.parse("scales-8"), "grid.scale_bits"),
        (lambda: Grid.parse("groups-of-32,per-channel"), "grid"),
        (lambda: quantize(torch.tensor([[1e6, -1e6]]), 4, Grid("group-32", scale_bits=16)), "tensor"),
        (lambda: Grid("row"), "grid.per"),  # type: ignore[arg-type]
        (lambda: Grid(clip="best"), "grid.clip"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_gives_one_line(call: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.field == field
    assert "\n" not in str(caught.value)

"""Quantized segments: the file is what the plan says it costs, and runs as the quantized network does."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import random
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from sweeps import swept  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring.grids import Grid, Range, quantize  # noqa: E402
from qopt.measuring.network import Network  # noqa: E402
from qopt.measuring.profile import trace  # noqa: E402
from qopt.measuring.segment import DeviceSegment, ServerSegment, make, quantized_weights  # noqa: E402
from qopt.measuring.segment_file import SegmentFile, read_segment  # noqa: E402
from qopt.qpart.costs import breakdown  # noqa: E402
from qopt.qpart.plan import QPartPlan, crossing_activations  # noqa: E402
from qopt.qpart.problem import QPart  # noqa: E402

GRIDS = [
    Grid(per, symmetric, clip)  # type: ignore[arg-type]
    for per, symmetric, clip in itertools.product(("tensor", "channel"), (False, True), ("minmax", "mse"))
]
FOUR = [GRIDS[0], GRIDS[3], GRIDS[5], GRIDS[6]]
"""Each setting of each kind twice."""
GROUPS = [
    Grid("group-32", symmetric, clip, bits)  # type: ignore[arg-type]
    for symmetric, clip, bits in ((False, "mse", 8), (True, "minmax", 8), (False, "minmax", 16), (True, "mse", 32))
]


class Residual(nn.Module):
    """Three convolutions around a shortcut, and a linear layer; batch normalizations fold."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu(x + self.two(F.relu(self.one(x))))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class Mixed(nn.Module):
    """Attention over four tokens with a layer normalization, one linear layer used twice, and a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.key, self.query, self.value = (nn.Linear(6, 6) for _ in range(3))
        self.twice, self.head = nn.Linear(6, 6), nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        scores = self.query(y) @ self.key(y).transpose(-1, -2)
        y = x + F.softmax(scores, -1) @ self.value(y)
        y = torch.cat((F.relu(self.twice(y)), self.twice(F.relu(self.twice(y)))), -1)
        return self.head(y.mean(1))  # type: ignore[no-any-return]


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 5, bias=False), nn.ReLU(), nn.Linear(5, 3))


SHAPES = {"plain": (7,), "residual": (1, 6, 6), "mixed": (4, 6)}


def module_of(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return {"plain": plain, "residual": Residual, "mixed": Mixed}[name]().eval()


@lru_cache
def traced(name: str, seed: int = 0) -> Network:
    return trace(module_of(name, seed), torch.rand(2, *SHAPES[name], generator=torch.Generator().manual_seed(1)))


def inputs(name: str, n: int = 5) -> torch.Tensor:
    return torch.rand(n, *SHAPES[name], generator=torch.Generator().manual_seed(2))


def ranges_of(network: Network, x: torch.Tensor) -> dict[int, Range]:
    return {i: Range.of(tensor) for i, tensor in enumerate(network.tensors(x)) if i}


def random_plan(network: Network, cut: int, seed: int) -> QPartPlan:
    rnd = random.Random(seed)
    widths = [rnd.randint(1, 16) for _ in range(cut)]
    for group in network.shared:
        for layer in group:
            if layer <= cut:
                widths[layer - 1] = widths[group[0] - 1]
    sent = [i for i in network.crossing(cut) if i]
    return QPartPlan(cut=cut, weights=tuple(widths), activations=tuple(rnd.randint(1, 16) for _ in sent))


def request(network: Network, grid: Grid) -> QPart:
    """A request whose network is this one, with the overhead of the grid."""
    columns = network.columns()
    n = len(network)
    overhead = [grid.overhead(network.weight(x.number)) if x.parameters else 0 for x in network.layers]
    return QPart(
        network=columns | {"overhead": overhead},
        device={"cycles_per_mac": 1.0, "clock": 1.0},
        server={"cycles_per_mac": 1.0, "clock": 1.0},
        channel={"rate": 1.0},
        noise={"s_weights": [1.0] * n, "s_activations": [1.0] * n},
        accuracy={"levels": [0.01], "delta": [[1.0] * n]},
        level=0.01,
    )


def run_by_hand(network: Network, plan: QPartPlan, grid: Grid, ranges: dict[int, Range], x: torch.Tensor) -> Any:
    """The network run with the quantizer's output: no file, no codes, no segment."""
    values = {0: x}
    for layer in network.layers[: plan.cut]:
        i = layer.number
        weight = None
        if layer.parameters:
            weight = quantize(network.weight(i), int(plan.weights[i - 1]), grid).values()
        values[i] = network.finish(i, network.product(i, values, weight), values)
    crossing = network.crossing(plan.cut)
    widths = iter(plan.activations)
    activation_grid = Grid("tensor", grid.symmetric, grid.clip)
    crossed = {
        i: quantize(values[i], int(next(widths)), activation_grid, ranges[i]).values() if i else values[i]
        for i in crossing
    }
    return network.resume(crossed, plan.cut)


@pytest.mark.parametrize("grid", swept(GRIDS + GROUPS, lambda grid: grid not in (*FOUR[2:], GROUPS[0])), ids=str)
def test_unpacked_weights_are_the_quantizers(grid: Grid, tmp_path: Path) -> None:
    """Bit for bit, at every width."""
    network = traced("residual")
    ranges = ranges_of(network, inputs("residual"))
    for bits in range(1, 17):
        plan = QPartPlan(cut=4, weights=(bits,) * 4, activations=(bits,))
        make(network, plan, grid, ranges).save(tmp_path / "segment.safetensors")
        read = read_segment(tmp_path / "segment.safetensors")
        assert sorted(read.weights) == [1, 2, 3, 4]
        for number, weight in read.weights.items():
            expected = quantize(network.weight(number), bits, grid)
            assert weight.values().numpy().tobytes() == expected.values().numpy().tobytes()
            assert torch.equal(weight.codes, expected.codes)
            assert weight.values().shape == network.weight(number).shape


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    "grid", swept([*FOUR, GROUPS[0], GROUPS[2]], lambda grid: grid in (*FOUR[:2], GROUPS[2])), ids=str
)
def test_device_and_server_together_are_the_quantized_network(name: str, grid: Grid, tmp_path: Path) -> None:
    network, x = traced(name), inputs(name)
    ranges = ranges_of(network, inputs(name, 3))
    activation_grid = Grid("tensor", grid.symmetric, grid.clip)
    several = 0
    for cut in range(len(network) + 1):
        plan = random_plan(network, cut, seed=cut)
        several += len(plan.activations) > 1
        make(network, plan, grid, ranges, activation_grid).save(tmp_path / "segment.safetensors")
        device = DeviceSegment.load(tmp_path / "segment.safetensors", network)
        server = ServerSegment.load(tmp_path / "segment.safetensors", network)
        sent = device.run(x)
        for i, width in zip([i for i in network.crossing(cut) if i], plan.activations, strict=True):
            assert sent[i].dtype == torch.uint8
            assert sent[i].shape == (len(x), -(-network.layers[i - 1].size * int(width) // 8))
        outputs = server.run(sent)
        assert outputs.numpy().tobytes() == run_by_hand(network, plan, grid, ranges, x).numpy().tobytes()
    assert several or name == "plain"


def test_the_device_computes_what_the_module_with_quantized_weights_computes() -> None:
    """Against torch's own run of a copy of the module; an output of 16 bits on its own range is off by its step."""
    module, x = module_of("plain"), inputs("plain")
    network = trace(module, x)
    plan = QPartPlan(cut=5 - 2, weights=(3, 5, 4), activations=(16,))
    copied = copy.deepcopy(module)
    for position, bits in ((0, 3), (2, 5), (4, 4)):
        weight = copied[position].weight  # type: ignore[index]
        weight.data = quantize(weight.data, bits, Grid("channel", False, "mse")).values()
    with torch.no_grad():
        expected = copied(x)
    segment = make(network, plan, Grid("channel", False, "mse"), {3: Range.of(expected)})
    found = ServerSegment(segment, network).run(DeviceSegment(segment, network).run(x))
    step = float(expected.max() - expected.min()) / (2**16 - 1)
    assert float((found - expected).abs().max()) <= 0.51 * step + 1e-6
    kept = make(network, plan.model_copy(update={"activations": ()}), Grid("channel", False, "mse"), {})
    sent = DeviceSegment(kept, network).run(x)
    assert torch.allclose(sent[3], expected, atol=1e-6)
    assert torch.equal(ServerSegment(kept, network).run(sent), sent[3])


@pytest.mark.parametrize("name", SHAPES)
def test_the_file_is_as_large_as_the_plan_says(name: str, tmp_path: Path) -> None:
    network = traced(name)
    ranges = ranges_of(network, inputs(name))
    for cut, grid in itertools.product(range(len(network) + 1), (GRIDS[0], GRIDS[2], GRIDS[4], GRIDS[7], *GROUPS)):
        plan = random_plan(network, cut, seed=cut)
        segment = make(network, plan, grid, ranges)
        path = tmp_path / "segment.safetensors"
        size = segment.save(path)
        assert size == segment.size
        assert path.stat().st_size == size.total
        problem = request(network, grid)
        assert size.payload_bits == breakdown(problem, plan).download
        stored = len(segment.weights)
        whole = size.codes + size.overhead
        assert size.payload_bits <= 8 * whole < size.payload_bits + 8 * max(stored, 1)
        assert size.biases == 4 * sum(layer.biases for layer in network.layers[:cut])
        assert crossing_activations(problem, cut) == [i for i in network.crossing(cut) if i]
        again = tmp_path / "again.safetensors"
        make(network, plan, grid, ranges).save(again)
        assert again.read_bytes() == path.read_bytes()


def test_a_shared_weight_is_stored_once() -> None:
    network = traced("mixed")
    group = network.shared[0]
    assert len(group) == 3
    plan = random_plan(network, len(network), seed=0)
    segment = make(network, plan, Grid(), ranges_of(network, inputs("mixed")))
    assert [number for number in group if number in segment.weights] == [group[0]]
    assert segment.header.layers[group[1] - 1].weight_of == group[0]
    widths = list(plan.weights)
    widths[group[1] - 1] = 1 + widths[group[0] - 1] % 16
    with pytest.raises(InputError, match="same weight"):
        quantized_weights(network, plan.model_copy(update={"weights": tuple(widths)}), Grid())


def test_a_device_needs_none_of_the_networks_weights(tmp_path: Path) -> None:
    network, other, x = traced("plain"), traced("plain", seed=5), inputs("plain")
    plan = random_plan(network, 2, seed=3)
    path = tmp_path / "segment.safetensors"
    make(network, plan, Grid(), ranges_of(network, x)).save(path)
    sent = DeviceSegment.load(path, other).run(x)
    assert torch.equal(sent[2], DeviceSegment.load(path, network).run(x)[2])
    with pytest.raises(InputError, match="other weights"):
        ServerSegment.load(path, other)


def saved(path: Path, name: str = "residual", cut: int = 2) -> tuple[Network, SegmentFile]:
    network = traced(name)
    segment = make(network, random_plan(network, cut, 1), Grid("channel"), ranges_of(network, inputs(name)))
    segment.save(path)
    return network, segment


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as error:
        read_segment(path)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def rewritten(path: Path, tensors: dict[str, Any] | None = None, **changes: Any) -> None:
    """The same file with some tensors, or some fields of the header, changed; None takes one away."""
    with safe_open(path, framework="pt") as file:
        found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["qopt"]) | changes
    found = {key: tensor for key, tensor in (found | (tensors or {})).items() if tensor is not None}
    save_file(found, path, {"qopt": json.dumps(header)})


def test_files_that_are_no_segments(tmp_path: Path) -> None:
    path = tmp_path / "segment.safetensors"
    network, segment = saved(path)
    whole = path.read_bytes()
    refused(tmp_path / "missing", "no such file")
    refused(tmp_path, "directory")
    path.write_bytes(pickle.dumps({"weight": [1.0]}))
    refused(path, "no safetensors file")
    torch.save({"weight": torch.ones(3)}, path)
    refused(path, "no safetensors file")
    for length in (0, 7, 8, 100, segment.size.header, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path, "no safetensors file")
    path.write_bytes(whole + b"\0")
    refused(path, "no safetensors file")
    save_file({"x": torch.ones(2)}, path)
    refused(path, "without a segment's header")
    for text in ("[", "[1]", '"x"', "{}", "[" * 100_000, '{"format": NaN}'):
        save_file({"x": torch.ones(2)}, path, {"qopt": text})
        refused(path)
    path.write_bytes(whole)
    assert read_segment(path).header == segment.header
    assert len(network) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "version"),
        ({"format": "qopt/qpart"}, "format"),
        ({"grid": "per-row"}, "grid"),
        ({"activation_grid": "symmetric"}, "activations"),
        ({"activation_grid": "per-channel"}, "activation_grid"),
        ({"structure": "\ud800"}, "not those that were written"),
        ({"data": "0" * 64}, "tensors"),
        ({"extra": 1}, "extra"),
        ({"layers": []}, "layers"),
        ({"activations": []}, "activations"),
        ({"plan": {"cut": 2, "weights": [1], "activations": []}}, "layers"),
    ],
)
def test_headers_that_do_not_fit(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "segment.safetensors"
    saved(path)
    rewritten(path, **changes)
    refused(path, words)


def test_layers_of_another_size(tmp_path: Path) -> None:
    path = tmp_path / "segment.safetensors"
    _, segment = saved(path)
    layers = [layer.model_dump() for layer in segment.header.layers]
    for change in ({"shape": [4, 4, 3, 4]}, {"shape": [2**40, 2**40]}, {"biases": 9}, {"bits": 17}, {"shape": [-1]}):
        saved(path)
        rewritten(path, layers=[layers[0], layers[1] | change])
        refused(path)
    for change in ({"shape": (), "weight_of": 2}, {"shape": (), "weight_of": 0}, {"weight_of": 1}):
        saved(path)
        rewritten(path, layers=[layers[0], layers[1] | change])
        refused(path, "weight_of")


@pytest.mark.parametrize(
    "tensors",
    [
        {"weight.1.codes": None},
        {"weight.1.codes": torch.zeros(1, dtype=torch.uint8)},
        {"weight.1.scale": torch.zeros(4, dtype=torch.float64)},
        {"weight.1.scale": torch.zeros(3)},
        {"weight.1.scale": -torch.ones(4)},
        {"weight.1.offset": torch.full((4,), float("nan"))},
        {"bias.2": torch.full((4,), float("inf"))},
        {"more": torch.zeros(1)},
    ],
    ids=lambda tensors: next(iter(tensors)),
)
def test_tensors_that_do_not_fit(tensors: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "segment.safetensors"
    saved(path)
    rewritten(path, tensors)
    refused(path)


def test_every_flipped_bit_of_the_data_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "segment.safetensors"
    _, segment = saved(path)
    whole = path.read_bytes()
    for at in np.random.default_rng(0).integers(segment.size.header, len(whole), 40).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        refused(path)


def test_a_changed_grid_of_an_activation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "segment.safetensors"
    _, segment = saved(path)
    first, *others = (sent.model_dump() for sent in segment.header.activations)
    for change, word in (
        ({"scale": first["scale"] * 1.001}, "not those that were written"),
        ({"offset": first["offset"] + 1.0}, "not those that were written"),
        ({"scale": 1e300}, "scale"),  # infinite in float32
        ({"offset": -1e39}, "offset"),
    ):
        saved(path)
        rewritten(path, activations=[first | change, *others])
        refused(path, word)


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "segment.safetensors"
    network, segment = saved(path)
    for part in (DeviceSegment, ServerSegment):
        with pytest.raises(InputError, match="another one"):
            part.load(path, traced("plain"))
    # A header that lies about what crosses, with the right digests.
    lie = segment.header.activations[0].model_copy(update={"size": 1})
    header = segment.header.model_copy(update={"activations": (lie, *segment.header.activations[1:])})
    with pytest.raises(InputError, match="tensors and sizes"):
        DeviceSegment(SegmentFile(header, segment.weights, segment.biases), network)
    first = segment.header.layers[0].model_copy(update={"shape": (4, 9)})
    header = segment.header.model_copy(update={"layers": (first, *segment.header.layers[1:])})
    with pytest.raises(InputError, match=r"header\.layers\[0\]"):
        DeviceSegment(SegmentFile(header, segment.weights, segment.biases), network)


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (QPartPlan(cut=4, weights=(1,) * 4, activations=(1,)), "plan.cut"),
        (QPartPlan(cut=2, weights=(1,), activations=(1,)), "plan.weights"),
        (QPartPlan(cut=2, weights=(1, 2), activations=()), "plan.activations"),
        (QPartPlan(cut=1, weights=(0,), activations=(1,)), "plan.weights[0]"),
        (QPartPlan(cut=1, weights=(17,), activations=(1,)), "plan.weights[0]"),
        (QPartPlan(cut=1, weights=(2.5,), activations=(1,)), "plan.weights[0]"),
        (QPartPlan(cut=1, weights=(2,), activations=(17,)), "plan.activations[0]"),
        (QPartPlan(cut=1, weights=(2.0,), activations=(3.0,), bits="real"), "plan.bits"),
    ],
)
def test_plans_that_cannot_be_packed(plan: QPartPlan, field: str) -> None:
    network = traced("plain")
    with pytest.raises(InputError) as error:
        make(network, plan, Grid(), ranges_of(network, inputs("plain")))
    assert error.value.field == field


def test_what_is_sent_must_be_what_the_plan_says(tmp_path: Path) -> None:
    path = tmp_path / "segment.safetensors"
    network, _ = saved(path)
    x = inputs("residual")
    device, server = DeviceSegment.load(path, network), ServerSegment.load(path, network)
    sent = device.run(x)
    tensor = max(sent)
    for wrong in (sent[tensor][:, :-1], sent[tensor].float(), sent[tensor][0]):
        with pytest.raises(InputError) as error:
            server.run(sent | {tensor: wrong})
        assert error.value.field == f"sent[{tensor}]"
    with pytest.raises(InputError, match="crosses"):
        server.run({})
    with pytest.raises(InputError, match="range"):
        make(network, random_plan(network, 2, 1), Grid(), {})
    with pytest.raises(InputError, match="sent: found list"):
        server.run(list(sent.values()))


def test_inputs_of_any_kind_of_number_are_taken_and_others_said() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    network = trace(module, torch.zeros(1, 6))
    plan = QPartPlan(cut=1, weights=(3.0,), activations=(4.0,))
    segment = make(network, plan, Grid(), {1: Range(0.0, 3.0)})
    device, server = DeviceSegment(segment, network), ServerSegment(segment, network)
    x = torch.rand(5, 6)
    sent = device.run(x)
    for other in (x.numpy(), x.double(), x.double().numpy(), x.clone().requires_grad_(True)):
        assert torch.equal(device.run(other)[1], sent[1])
    assert device.run(np.ones((2, 6), dtype=np.int64))[1].shape == sent[1][:2].shape
    assert torch.equal(server.run({1: sent[1].numpy()}), server.run(sent))
    broken = x.clone()
    broken[2, 3] = torch.nan
    for given, words in (
        (broken, "not finite"),
        (np.full((1, 6), 1e300), "not finite"),
        (x[0], r"shape \(6,\)"),
        (x[:, :5], r"shape \(5, 5\); allowed: \(n, 6\)"),
        ([[0.0] * 6], "x: found list"),
        (np.array([["a"] * 6]), "x: found an array of"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            device.run(given)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    raw = QPartPlan(cut=0, weights=(), activations=())
    whole = make(network, raw, Grid(), {})
    with pytest.raises(InputError, match=r"sent\[0\]: found shape"):
        ServerSegment(whole, network).run({0: x[:, :2]})
    with pytest.raises(InputError, match=r"sent\[0\]: found list"):
        ServerSegment(whole, network).run({0: [1.0]})  # type: ignore[dict-item]

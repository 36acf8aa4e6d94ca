"""What counts as a layer: attention, tied and folded weights, and the other ways to multiply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from example_networks import Depthwise, near, returned, seeded, traced
from torch import nn
from torch.nn import functional as F

from qopt.measuring.profile import trace
from qopt.measuring.sharing import ties
from qopt.qpart.network import NetworkColumns


@pytest.mark.parametrize("options", [{"is_causal": True}, {"scale": 0.3}, {"enable_gqa": True}, {"attn_mask": True}])
def test_attention_with_its_options(options: dict[str, Any]) -> None:
    if options.get("attn_mask"):
        options = {"attn_mask": torch.randn(4, 4)}

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 4 if options.get("enable_gqa") else 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k = (layer(x).unflatten(-1, (-1, 2)).transpose(1, 2) for layer in (self.query, self.key))
            return F.scaled_dot_product_attention(q, k, k, **options).flatten(1)

    torch.manual_seed(0)
    module, x = Attention(), torch.randn(3, 4, 8)
    network = trace(module, x)
    assert [layer.kind for layer in network.layers] == ["linear", "linear", "product", "product"]
    assert near(network(x), returned(module, x))


def test_one_weight_used_twice_is_one_tie_and_keeps_its_normalizations_apart() -> None:
    module, network, _ = traced("tied")
    assert network.shared == ((1, 2), (3, 4))  # and one decoded by its transpose
    assert network.columns()["ties"] == [{"layers": [1, 2], "shared": True}, {"layers": [3, 4], "shared": True}]
    assert torch.equal(network.weight(1), module.same.weight)
    columns = NetworkColumns.model_validate(network.columns())
    assert columns.sent.tolist() == [81.0, 0.0, 36.0, 0.0]


def test_parameters_of_two_modules_may_be_one() -> None:
    module = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5), nn.Linear(5, 2))
    module[2].weight = module[0].weight
    assert trace(module, torch.randn(2, 5)).shared == ((1, 2),)


def test_normalization_is_folded_in() -> None:
    torch.manual_seed(1)
    conv: Any = nn.Conv2d(3, 4, 3, bias=False)
    norm: Any = nn.BatchNorm2d(4)
    module: Any = seeded(nn.Sequential(conv, norm, nn.Flatten(), nn.Linear(16, 6), nn.BatchNorm1d(6)), 2)
    x = torch.randn(5, 3, 4, 4)
    network = trace(module, x)
    factor = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    assert near(network.weight(1), (conv.weight.double() * factor[:, None, None, None]).float(), 1e-7)
    bias = network.bias(1)
    assert bias is not None
    assert near(bias, (norm.bias.double() - norm.running_mean.double() * factor).float(), 1e-6)
    assert [(layer.biases, layer.output) for layer in network.layers] == [(4, (16,)), (6, (6,))]
    assert near(network.tensors(x)[1], module[:3](x).detach())
    assert near(network(x), returned(module, x))


def test_normalization_of_what_others_read_too_is_not_folded_in() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return (self.norm(y) + y).flatten(1)

    module: Any = seeded(Both())
    network = trace(module, torch.randn(2, 1, 3, 3))
    assert torch.equal(network.weight(1), module.conv.weight)


def test_normalization_of_other_channels_than_the_outputs_is_not_folded_in() -> None:
    module: Any = seeded(nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Flatten(), nn.Linear(25, 2)))
    x = torch.randn(2, 5, 3)  # the normalization is over the five rows, not over the five outputs
    network = trace(module, x)
    assert torch.equal(network.weight(1), module[0].weight)
    assert near(network(x), returned(module, x))


def test_more_ways_to_multiply() -> None:
    class Ways(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.right, self.left = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(2, 5))
            self.heads, self.vector = nn.Parameter(torch.randn(2, 3, 6)), nn.Parameter(torch.randn(6))
            self.shift = nn.Parameter(torch.randn(3))
            self.register_buffer("turned", torch.eye(3).flip(0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.addmm(self.shift, x.reshape(-1, 4), self.right).view(-1, 5, 3)
            y = torch.einsum("oi,bid->bod", self.left, y) @ self.turned
            z = torch.tensordot(y, self.turned, 1) + y
            return (z[:, :, None] @ self.heads)[:, :, 0] @ self.vector

    torch.manual_seed(0)
    module, x = Ways(), torch.randn(3, 5, 4)
    network = trace(module, x)
    assert near(network(x), returned(module, x))
    assert [layer.macs for layer in network.layers] == [5 * 4 * 3, 2 * 5 * 3, 2 * 9, 2 * 9, 2 * 3 * 6, 2 * 6]
    assert [network.weight(layer.number).numel() for layer in network.layers] == [12, 10, 9, 9, 36, 6]
    generator = torch.Generator().manual_seed(1)
    tensors = network.tensors(x)
    for layer in network.layers:  # linear in each of these weights, and in nothing else
        values = {i: tensors[i] for i in layer.reads}
        noise = torch.randn(network.weight(layer.number).shape, generator=generator)
        apart = network.product(layer.number, values) + network.product(layer.number, values, noise, bias=False)
        assert near(network.product(layer.number, values, network.weight(layer.number) + noise), apart, 1e-5)


def test_a_vector_as_weight_has_one_output_channel() -> None:
    class Vectors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front, self.left = nn.Parameter(torch.randn(5)), nn.Parameter(torch.randn(3))
            self.matrix, self.end = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.front @ x
            each = [torch.mv(self.matrix, row) for row in y]
            found = torch.stack([torch.addmv(self.left, self.matrix, row) for row in y] + each).reshape(2, -1, 3)
            return F.linear(x[..., :3] @ self.left + found.sum((0, 2))[:, None] @ torch.ones(1, 5), self.front)

    module, x = Vectors(), torch.randn(3, 5, 4)
    network = trace(module, x)
    assert near(network(x), returned(module, x))
    shapes = [tuple(network.weight(layer.number).shape) for layer in network.layers]
    assert shapes == [(1, 5), (3, 4), (3, 4), (1, 3), (5, 1), (1, 5)]
    assert [layer.macs for layer in network.layers] == [20, 12, 12, 15, 5, 5]
    assert network.shared == ((1, 6), (2, 3))


def test_what_is_computed_from_parameters_alone_is_a_constant() -> None:
    module, network, _ = traced("sound")
    weight = module.fc.weight
    factor = module.after.weight / torch.sqrt(module.after.running_var + module.after.eps)
    assert network.layers[4].name == "fc"
    assert near(network.weight(5), (weight * factor[:, None]).detach())


def test_writing_into_a_tensor_and_sizes_of_the_batch() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x)
            y += 1
            y[:, 0] = x[:, 1]
            wide = torch.zeros(len(x), 6)
            wide[:, 1:5] = y
            return self.b(wide.reshape(len(x) * 2, 3).view(-1, 6))

    module, x = Writes(), torch.randn(3, 4)
    network = trace(module, x)
    tensors = network.tensors(x)
    before = [tensor.clone() for tensor in tensors]
    assert near(network.resume({1: tensors[1]}, 1), returned(module, x))
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))


def test_integers_and_maps() -> None:
    class Bytes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.depth = Depthwise()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.depth((x.float() / 255).permute(0, 3, 1, 2))

    module = seeded(Bytes())
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8))
    network = trace(module, x)
    assert network.columns(input_bits=8)["input_bits"] == 8
    assert network.crossing(0) == (0,)
    assert near(network(x), returned(module, x))
    assert network.layers[-1].output == (12, 8, 8)


def test_what_is_made_of_a_weight_twice_is_one_weight() -> None:
    """Grouped transposed convolutions and stacked products rewrite their weight: used twice it is still one."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(4, 4, 3, padding=1, groups=2)
            self.heads = nn.Parameter(torch.randn(4, 5, 5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.up(torch.relu(self.up(x)))
            return (torch.relu(y @ self.heads) @ self.heads).flatten(1)

    torch.manual_seed(0)
    module, x = Twice(), torch.randn(2, 4, 5, 5)
    network = trace(module, x)
    assert network.shared == ((1, 2), (3, 4))
    assert near(network(x), returned(module, x))


def test_views_that_reach_into_each_other_are_one_weight() -> None:
    """Two pairs of slices overlap; what holds the first pair holds entries of the second."""
    storage = torch.randn(10, 4)
    a, b, c, d = storage[:4], storage[2:6], storage[5:8], storage[7:10]
    whole = ties({1: a, 2: b, 3: c, 4: d}, [storage])
    assert [tie.layers for tie in whole] == [(1, 2, 3, 4)]
    apart = ties({1: storage[:2], 2: storage[:2].clone(), 3: storage[2:4]}, [storage])
    assert [tie.layers for tie in apart] == [(1,), (2,), (3,)]
    part = ties({1: storage[:3], 2: storage[1:3], 3: storage[4:6], 4: storage[4:5]}, [storage])
    assert [tie.layers for tie in part] == [(1, 2), (3, 4)]

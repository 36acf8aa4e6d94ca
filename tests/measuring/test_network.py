"""Running a traced network: tensors, cuts, one layer at a time, stacked variants."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from example_networks import NETWORKS, Block, mlp, near, returned, traced
from sweeps import swept
from torch import nn

from qopt.core.errors import InputError
from qopt.measuring.profile import trace

EVERY = pytest.mark.parametrize(
    "name", swept(NETWORKS, lambda name: name in ("resnet18", "resnet34", "resnet50", "vgg-like"))
)
SMALL = [name for name in NETWORKS if name not in ("resnet34", "resnet50", "vgg-like")]


@EVERY
def test_last_tensor_is_what_the_module_returns(name: str) -> None:
    module, network, tensors = traced(name)
    assert len(tensors) == len(network) + 1
    assert near(tensors[-1], returned(module, tensors[0]))
    assert near(network(tensors[0][1:2]), returned(module, tensors[0][1:2]))
    for layer, tensor in zip(network.layers, tensors[1:], strict=True):
        assert tensor.shape == (3, *layer.output)


@EVERY
def test_every_cut_resumes_to_the_same_output(name: str) -> None:
    _, network, tensors = traced(name)
    for cut in range(0, len(network) + 1, 1 if name in SMALL else 7):
        crossing = {i: tensors[i] for i in network.crossing(cut)}
        assert near(network.resume(crossing, cut), tensors[-1])


@pytest.mark.parametrize("name", SMALL)
def test_a_cut_is_crossed_by_what_is_needed_and_by_nothing_else(name: str) -> None:
    _, network, tensors = traced(name)
    generator = torch.Generator().manual_seed(3)
    for cut in range(len(network) + 1):
        crossing = {i: tensors[i] for i in network.crossing(cut)}
        for i, tensor in crossing.items():
            with pytest.raises(InputError, match=re.escape(f"values[{i}]: found nothing")):
                network.resume({j: other for j, other in crossing.items() if j != i}, cut)
            other = tensor + torch.randn(tensor.shape, generator=generator)
            assert not near(network.resume({**crossing, i: other}, cut), tensors[-1], 1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_layer_by_layer_from_the_tensors_that_it_reads(name: str) -> None:
    _, network, tensors = traced(name)
    for layer in network.layers:
        values = {i: tensors[i] for i in layer.reads}
        product = network.product(layer.number, values)
        assert near(network.finish(layer.number, product, values), tensors[layer.number])


@pytest.mark.parametrize("name", ["lenet-like", "resnet20", "sound", "depthwise", "hand-written-attention", "tied"])
def test_noise_on_a_weight_can_be_added_behind_the_product(name: str) -> None:
    _, network, tensors = traced(name)
    generator = torch.Generator().manual_seed(5)
    for layer in network.layers:
        if not layer.parameters:
            continue
        weight = network.weight(layer.number)
        noise = torch.randn(weight.shape, generator=generator) * weight.abs().max()
        values = {i: tensors[i] for i in layer.reads}
        apart = network.product(layer.number, values) + network.product(layer.number, values, noise, bias=False)
        assert near(network.product(layer.number, values, weight + noise), apart, 1e-5)


def test_variants_are_stacked_along_the_batch() -> None:
    for name in ("resnet20", "encoder-time-first", "dense"):
        _, network, tensors = traced(name)
        for cut in (1, 2, len(network) - 1):
            crossing = network.crossing(cut)
            changed = {i: tensors[i] * 1.1 for i in crossing}
            stacked = {i: torch.cat([tensors[i], changed[i], tensors[i][:1]]) for i in crossing}
            found = network.resume(stacked, cut)
            assert near(found[:3], tensors[-1], 1e-5)
            assert near(found[3:6], network.resume(changed, cut), 1e-5)
            assert near(found[6:], tensors[-1][:1], 1e-5)


@pytest.mark.parametrize(("name", "number"), [("mlp", 3), ("lenet-like", 5), ("encoder", 5), ("depthwise", 2)])
def test_another_weight_does_what_it_does_in_the_module(name: str, number: int) -> None:
    module, network, tensors = traced(name)
    layer = network.layers[number - 1]
    parameters = dict(module.named_parameters())
    weight = parameters[f"{layer.name}.weight"]
    assert torch.equal(network.weight(number), weight)
    other = weight.detach() * 0.5 + 0.01
    values = {i: tensors[i] for i in layer.reads}
    product = network.product(number, values, other)
    values = {i: tensors[i] for i in range(number)}
    values[number] = network.finish(number, product, values)
    found = network.resume(values, number)
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.copy_(other)
        wanted = returned(module, tensors[0])
        weight.copy_(kept)
    assert near(found, wanted)
    assert not near(found, tensors[-1], 1e-3)


def test_tensors_of_a_residual_network_are_what_its_blocks_return() -> None:
    module, network, tensors = traced("resnet20")
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        part.register_forward_hook(lambda _m, _i, out, key=key: seen.__setitem__(key, out.clone()))
        for key, part in module.named_modules()
        if isinstance(part, Block)
    ]
    returned(module, tensors[0])
    for hook in hooks:
        hook.remove()
    numbers = {layer.name: layer.number for layer in network.layers}
    for key, output in seen.items():
        number = numbers[f"{key}.conv2"]
        if number < len(network) - 1:  # behind the last block the mean belongs to its layer too
            assert near(tensors[number], output)
            assert network.crossing(number) == (number,)
            assert network.crossing(number - 1) == (number - 2, number - 1)


def test_time_first_and_batch_first_hold_the_same_tensors() -> None:
    (_, first, tensors), (_, second, others) = traced("encoder"), traced("encoder-time-first")
    assert near(tensors[-1], others[-1])
    assert [layer.macs for layer in first.layers] == [layer.macs for layer in second.layers]
    for one, other in zip(tensors, others, strict=True):
        assert one.shape[0] == other.shape[0] == 3
        assert one.numel() == other.numel()


def test_branches_inside_a_layer_leave_through_what_they_have_in_common() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x).exp()
            a, b = y.tanh(), y.cos()
            return self.second((a + b).sin()) * self.third(b)

    torch.manual_seed(0)
    module, x = Branches(), torch.randn(3, 4)
    network = trace(module, x)
    tensors = network.tensors(x)
    # Both readers need the two branches; what they have in common is the exponential.
    assert near(tensors[1], returned(module.first, x).exp())
    for cut in range(4):
        assert near(network.resume({i: tensors[i] for i in network.crossing(cut)}, cut), returned(module, x))


def test_the_module_is_left_as_it_was_and_the_network_as_it_was_traced() -> None:
    module: Any = mlp((6, 5, 3)).train()
    x = torch.randn(4, 6)
    torch.backends.mha.set_fastpath_enabled(True)
    network = trace(module, x, names=["first", "second"])
    assert all(part.training for part in module.modules())
    assert torch.backends.mha.get_fastpath_enabled()
    assert [layer.name for layer in network.layers] == ["first", "second"]
    before = network(x)
    with torch.no_grad():
        module[1].weight.zero_()
    assert torch.equal(network(x), before)
    assert not before.requires_grad


def test_a_copy_on_the_same_device_computes_the_same() -> None:
    _, network, tensors = traced("encoder")
    copy = network.to("cpu")
    assert copy.device == torch.device("cpu")
    assert torch.equal(copy(tensors[0]), network(tensors[0]))
    with pytest.raises(InputError, match="device: found nowhere"):
        network.to("nowhere")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device: found cuda"):
            network.to("cuda")


@pytest.mark.parametrize("name", SMALL)
def test_the_product_of_a_sum_is_the_sum_of_products_where_nothing_else_reads_a_tensor(name: str) -> None:
    _, network, tensors = traced(name)
    assert not network.is_read_linearly(len(network))
    generator = torch.Generator().manual_seed(3)
    for number in range(len(network)):
        readers = [layer.number for layer in network.layers if number in layer.reads]
        if not network.is_read_linearly(number):
            continue
        assert readers == [number + 1]
        noise = torch.randn(tensors[number].shape, generator=generator)
        values = dict(enumerate(tensors[: number + 1]))
        parts = network.product(number + 1, values) + network.product(number + 1, {**values, number: noise}, bias=False)
        whole = network.product(number + 1, {**values, number: tensors[number] + noise})
        assert near(parts, whole, 1e-4)
        product = {**values, number: noise}  # what finishes the layer does not read the tensor again
        assert near(network.finish(number + 1, whole, product), network.finish(number + 1, whole, values))


class TwiceRead(nn.Module):
    """What enters a ReLU is read again behind it; tokens, so a batch has more than one dimension before the last."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.one(x)
        z = self.two(torch.relu(y))
        return self.three(torch.relu(z)) + (torch.relu(y) * y).sum(-1, keepdim=True)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("module", "shape"), [(TwiceRead(), (4, 5)), (nn.Sequential(nn.Linear(5, 3), nn.ReLU()), (4, 5))]
)
def test_no_value_is_overwritten_that_is_read_again(module: nn.Module, shape: tuple[int, ...]) -> None:
    network = trace(module, torch.rand(1, *shape))
    x = torch.randn(6, *shape, generator=torch.Generator().manual_seed(1))
    kept = x.clone()
    with torch.no_grad():
        assert near(network(x), module(x))
    tensors = network.tensors(x)
    before = [tensor.clone() for tensor in tensors]
    for layer in network.layers:
        values = dict(enumerate(tensors[: layer.number]))
        network.finish(layer.number, network.product(layer.number, values), values)
        network.resume(dict(enumerate(tensors)), layer.number)
    assert all(torch.equal(a, b) for a, b in zip(before, tensors, strict=True))
    assert torch.equal(x, kept)

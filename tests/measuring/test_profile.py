"""From a torch module to its layers: products counted, weights found, the graph between them."""

from __future__ import annotations

import json

import networkx as nx
import pytest
import torch
from example_networks import NETWORKS, Block, ResNet, returned, seeded, traced
from sweeps import swept
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from qopt.core.errors import InputError
from qopt.measuring.profile import records, trace
from qopt.qpart.network import NetworkColumns

EVERY = pytest.mark.parametrize("name", swept(NETWORKS, lambda name: name in ("resnet34", "resnet50")))


@EVERY
def test_twice_the_macs_are_the_flops_that_torch_counts(name: str) -> None:
    module, network, tensors = traced(name)
    # On a CPU the counter does not know the fused attention; it counts the products that attention is made of.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        returned(module, tensors[0][:1])
    assert counter.get_total_flops() == 2 * sum(layer.macs for layer in network.layers)


@pytest.mark.parametrize(
    ("name", "macs", "weights"),
    [
        ("mlp", 575_808, 575_808),
        ("lenet-like", 32.19e6, 2.330e6),
        ("vgg-like", 397.8e6, 17.82e6),
        ("resnet20", 40.55e6, 0.268e6),
    ],
)
def test_sizes_of_the_networks_in_the_literature(name: str, macs: float, weights: float) -> None:
    layers = traced(name)[1].layers
    assert sum(layer.macs for layer in layers) == pytest.approx(macs, rel=2e-4)
    assert sum(layer.parameters for layer in layers) == pytest.approx(weights, rel=2e-3)


@pytest.mark.sweep
def test_resnet18_at_its_full_size() -> None:
    network = trace(seeded(ResNet(Block, (2, 2, 2, 2))), torch.randn(1, 3, 224, 224))
    assert len(network) == 21
    assert sum(layer.macs for layer in network.layers) == 1_814_073_344
    assert sum(layer.parameters for layer in network.layers) == 11_678_912


@EVERY
def test_parameters_are_those_of_the_modules(name: str) -> None:
    module, network, _ = traced(name)
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.MultiheadAttention)
    own = sum(
        tensor.numel()
        for part in module.modules()
        if isinstance(part, kinds)
        for key, tensor in part.named_parameters(recurse=False)
        if "weight" in key
    )
    once = {min(group): group for group in network.shared}
    repeated = {number for group in once.values() for number in group[1:]}
    found = sum(layer.parameters for layer in network.layers if layer.number not in repeated)
    outside = {"hand-written-attention": 64, "sound": 12 * 6}  # out; normalized
    assert found == own + outside.get(name, 0)


@EVERY
def test_columns_make_an_instance_with_the_same_crossings(name: str) -> None:
    _, network, tensors = traced(name)
    columns = NetworkColumns.model_validate(json.loads(json.dumps(network.columns())))
    assert len(columns) == len(network)
    assert columns.activations.tolist() == [tensor[0].numel() for tensor in tensors[1:]]
    assert columns.input_size == tensors[0][0].numel()
    for cut in range(len(network) + 1):
        assert tuple(columns.crossing(cut).tolist()) == network.crossing(cut)
    assert (columns.last_reader is None) == all(network.crossing(c) == (c,) for c in range(len(network) + 1))


def test_graphs() -> None:
    chain = traced("lenet-like")[1].graph()
    assert list(chain.edges) == [(i, i + 1) for i in range(5)]
    dense = traced("dense")[1].graph()
    # Every convolution reads all before it; the first reader of a tensor needs no other than the later ones do.
    assert set(dense.edges) == {(i, j) for j in range(1, 5) for i in range(j)} | {(4, 5)}
    assert nx.is_directed_acyclic_graph(dense)
    assert dense.nodes[0]["size"] == 3 * 81
    assert sum(data["macs"] for _, data in dense.nodes(data=True)) == 105_071


def test_attention_is_projections_and_two_products() -> None:
    _, network, _ = traced("encoder")
    block = [(layer.name.removeprefix("blocks.layers.0."), layer.kind, layer.macs) for layer in network.layers[:6]]
    assert block == [
        ("self_attn.in_proj", "linear", 6 * 16 * 48),
        ("self_attn.scores", "product", 2 * 6 * 6 * 8),
        ("self_attn.mixed", "product", 2 * 6 * 6 * 8),
        ("self_attn.out_proj", "linear", 6 * 16 * 16),
        ("linear1", "linear", 6 * 16 * 32),
        ("linear2", "linear", 6 * 32 * 16),
    ]
    assert network.layers[2].reads == (1, 2)
    assert network.layers[5].reads == (4, 5)
    assert network.layers[11].output == (16,)  # of the last block only the class token is read
    with pytest.raises(InputError, match="layer: found 2, a product of two activations"):
        network.weight(2)


def test_records() -> None:
    _, network, tensors = traced("encoder")
    rows = records(network)
    assert [row["layer"] for row in rows] == list(range(1, 14))
    assert rows[2]["sent"] == sum(tensors[i][0].numel() for i in rows[2]["crossing"])
    assert rows[2]["crossing"] == [0, 3]

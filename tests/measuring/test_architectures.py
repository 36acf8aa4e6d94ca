"""Every kind of layer and every shape of network: traced, counted as torch counts, packed and run bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from example_networks import near  # noqa: E402
from sweeps import swept  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import qopt  # noqa: E402
from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring.delivery import outputs_of_plan  # noqa: E402
from qopt.measuring.grids import Grid, Range  # noqa: E402
from qopt.measuring.network import Network, TensorName  # noqa: E402
from qopt.measuring.profile import trace  # noqa: E402
from qopt.measuring.segment import DeviceSegment, ServerSegment, make  # noqa: E402
from qopt.qpart.plan import QPartPlan  # noqa: E402


class Net(nn.Module):
    """Parts and what is done with them."""

    def __init__(self, forward: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.does = forward
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self.does(self, *inputs, **named)


def image() -> Any:
    return {"conv": nn.Conv2d(3, 8, 3), "fc": nn.Linear(8, 4)}


def pooled(net: Any, h: torch.Tensor) -> Any:
    return net.fc(h.mean((2, 3)))


def masked(net: Any, x: torch.Tensor) -> Any:
    return pooled(net, F.pad(net.conv(x)[:, net.keep], (0, 0, 0, 0, 0, 1)))


def tied(reads: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    def forward(net: Any, x: torch.Tensor) -> Any:
        second = reads(net.w)
        return net.fc(F.linear(F.relu(F.linear(x, net.w))[:, : second.shape[1]], second))

    return Net(forward, w=nn.Parameter(torch.randn(6, 6)), fc=nn.Linear(6, 3))


def slices_first(net: Any, x: torch.Tensor) -> Any:
    return F.linear(F.relu(F.linear(x, net.w[1:4])) @ net.w[:3, :6], net.w)


def in_place(net: Any, x: torch.Tensor) -> Any:
    return net.fc(F.relu(x.sub_(0.5).div_(0.25), inplace=True))


def written(net: Any, x: torch.Tensor) -> Any:
    y = net.fc(x)
    y[y > 0] = 0.5
    return y[:, [2, 0, 1, 1]]


def language(net: Any, tokens: torch.Tensor) -> Any:
    h = net.embedding(tokens) + net.place(torch.arange(tokens.shape[1]))
    return F.linear(torch.tanh(net.mix(h)), net.embedding.weight)


def states(net: Any, x: torch.Tensor) -> Any:
    out, (hidden, cell) = net.lstm(x.transpose(0, 1))
    return net.fc(torch.cat([out.mean(0), hidden[-1], cell[0]], 1))


def cells(net: Any, x: torch.Tensor) -> Any:
    h, c = net.start(x[:, 0]).chunk(2, 1)
    g = h
    for t in range(x.shape[1]):
        h, c = net.lstm(x[:, t], (h, c))
        g = net.gru(h, g)
    return net.fc(g)


def decoded(net: Any, x: torch.Tensor) -> Any:
    return net.up(F.relu(net.down(x)))


def coder(dimensions: int, groups: int = 1) -> nn.Module:
    conv, norm = getattr(nn, f"Conv{dimensions}d"), getattr(nn, f"BatchNorm{dimensions}d")
    back = getattr(nn, f"ConvTranspose{dimensions}d")(4, 6, 3, 2, 1, 1, groups, bias=groups > 1)
    return Net(decoded, down=conv(2, 4, 3, 2, 1), up=nn.Sequential(back, norm(6)))


def both(net: Any, x: torch.Tensor, tokens: torch.Tensor, scale: float = 2.0) -> Any:
    h = F.relu(net.a(x)) * scale + net.table[tokens].mean(1)
    return {"logits": net.b(h), "hidden": (h, None)}


def sequence() -> torch.Tensor:
    return torch.randn(3, 5, 3)


CASES: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "channels by a list": lambda: (
        Net(lambda n, x: pooled(n, n.conv(x[:, [2, 1, 0]])), **image()),
        torch.randn(3, 3, 6, 6),
    ),
    "channels by a buffer": lambda: (
        Net(lambda n, x: pooled(n, n.conv(x[:, n.order])), order=torch.tensor([2, 1, 0]), **image()),
        torch.randn(3, 3, 6, 6),
    ),
    "relative position bias": lambda: (
        Net(
            lambda n, x: pooled(n, n.conv(x) + n.table[n.places]),
            table=nn.Parameter(torch.randn(5)),
            places=torch.randint(0, 5, (4, 4)),
            **image(),
        ),
        torch.randn(3, 3, 6, 6),
    ),
    "number in a buffer": lambda: (
        Net(lambda n, x: pooled(n, n.conv(x) + n.conv(x)[:, n.one][:, None]), one=torch.tensor(1), **image()),
        torch.randn(3, 3, 6, 6),
    ),
    "boolean mask": lambda: (Net(masked, keep=torch.arange(8) != 2, **image()), torch.randn(3, 3, 6, 6)),
    "writes into its input": lambda: (Net(in_place, fc=nn.Linear(6, 4)), torch.randn(3, 6)),
    "writes behind a mask": lambda: (Net(written, fc=nn.Linear(6, 4)), torch.randn(3, 6)),
    "transposed": lambda: (tied(lambda w: w.t()), torch.randn(3, 6)),
    "slice": lambda: (tied(lambda w: w[:, :3]), torch.randn(3, 6)),
    "slices first": lambda: (Net(slices_first, w=nn.Parameter(torch.randn(6, 6))), torch.randn(3, 6)),
    "embedding tied to the head": lambda: (
        Net(language, embedding=nn.Embedding(9, 4), place=nn.Embedding(5, 4), mix=nn.Linear(4, 4)),
        torch.randint(0, 9, (3, 5)),
    ),
    "lstm": lambda: (Net(states, lstm=nn.LSTM(3, 4), fc=nn.Linear(12, 2)), sequence()),
    "lstm of two layers, both ways": lambda: (
        Net(
            lambda n, x: n.fc(n.lstm(x)[0]),
            lstm=nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True),
            fc=nn.Linear(8, 2),
        ),
        sequence(),
    ),
    "lstm over the rows of a map": lambda: (
        Net(lambda n, x: n.lstm(x.flatten(0, 1))[0].unflatten(0, (-1, 2)), lstm=nn.LSTM(3, 4, batch_first=True)),
        torch.randn(3, 2, 5, 3),
    ),
    "gru, both ways": lambda: (
        Net(
            lambda n, x: n.fc(torch.cat([n.gru(x)[0][:, -1], n.gru(x)[1][1]], 1)),
            gru=nn.GRU(3, 4, batch_first=True, bidirectional=True, bias=False),
            fc=nn.Linear(12, 2),
        ),
        sequence(),
    ),
    "rnn": lambda: (
        Net(
            lambda n, x: n.fc(n.rnn(x)[0]), rnn=nn.RNN(3, 4, batch_first=True, nonlinearity="relu"), fc=nn.Linear(4, 2)
        ),
        sequence(),
    ),
    "cells": lambda: (
        Net(cells, start=nn.Linear(3, 8), lstm=nn.LSTMCell(3, 4), gru=nn.GRUCell(4, 4), fc=nn.Linear(4, 2)),
        sequence(),
    ),
    "transposed convolution, 1d": lambda: (coder(1), torch.randn(3, 2, 6)),
    "transposed convolution, 2d, groups": lambda: (coder(2, 2), torch.randn(3, 2, 6, 6)),
    "transposed convolution, 3d": lambda: (coder(3), torch.randn(3, 2, 4, 4, 4)),
    "several inputs and outputs": lambda: (
        Net(both, a=nn.Linear(4, 3), table=nn.Parameter(torch.randn(7, 3)), b=nn.Linear(3, 2)),
        (torch.randn(3, 4), torch.randint(0, 7, (3, 5))),
    ),
}

SHARED = {
    "number in a buffer": ((1, 2),),
    "transposed": ((1, 2),),
    "slice": ((1, 2),),
    "slices first": ((1, 2, 3),),
    "embedding tied to the head": ((1, 3),),
    "gru, both ways": ((1, 5), (2, 6), (3, 7), (4, 8)),
    "cells": ((2, 6, 10, 14, 18), (3, 7, 11, 15, 19), (4, 8, 12, 16, 20), (5, 9, 13, 17, 21)),
}


def plan_of(network: Network, cut: int) -> QPartPlan:
    """Widths that differ from layer to layer, and are one where a weight is."""
    first = {layer: group[0] for group in network.shared for layer in group}
    weights = [3 + first.get(layer, layer) % 5 for layer in range(1, cut + 1)]
    crossing = [i for i in network.crossing(cut) if i]
    return QPartPlan(cut=cut, weights=weights, activations=[4 + i % 4 for i in crossing])


QUICK = {"boolean mask", "slices first", "embedding tied to the head", "several inputs and outputs"}
QUICK |= {"transposed convolution, 2d, groups", "lstm over the rows of a map"}


@pytest.mark.parametrize("name", swept(CASES, lambda name: name not in QUICK))
def test_traced_as_torch_counts_and_packed_bit_for_bit(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        module, example = CASES[name]()
    module.eval()
    network = trace(module, example)
    inputs = network.inputs
    x = inputs.packed(example)
    parts, _ = inputs.arguments(x)
    with (
        torch.no_grad(),
        torch.backends.mkldnn.flags(enabled=False, allow_tf32=None),
        FlopCounterMode(display=False) as counter,
    ):
        output = module(*(part[:1] for part in parts))
    assert 2 * sum(layer.macs for layer in network.layers) == counter.get_total_flops()
    with torch.no_grad():
        output = module(*inputs.arguments(x)[0])
    own = output if network.outputs is None else network.outputs.packed(output)
    assert near(network(x), own, 1e-5)
    assert network.shared == SHARED.get(name, ())

    ranges = {i: Range.of(tensor) for i, tensor in enumerate(network.tensors(x)) if i}
    for cut in {1, len(network) // 2, len(network)}:
        segment = make(network, plan_of(network, cut), Grid("channel"), ranges)
        found = ServerSegment(segment, network).run(DeviceSegment(segment, network).run(example))
        assert torch.equal(found, outputs_of_plan(network, segment, x.float()))


def test_a_table_is_not_asked_for_a_row_that_it_does_not_have() -> None:
    module = Net(language, embedding=nn.Embedding(9, 4), place=nn.Embedding(5, 4), mix=nn.Linear(4, 4))
    network = trace(module, torch.zeros(1, 5, dtype=torch.long))
    with pytest.raises(InputError, match="a row that there is not"):
        network(torch.full((2, 5), 9.0))


@pytest.mark.sweep
def test_measured_by_name_with_the_users_loss() -> None:
    """Two inputs, two outputs, an embedding and a recurrent layer: coefficients, limits, an instance."""

    def forward(net: Any, x: torch.Tensor, tokens: torch.Tensor) -> Any:
        h = net.gru(net.embedding(tokens))[0][:, -1]
        return net.a(torch.cat([h, x], 1)), {"b": net.b(h)}

    def score(output: Any, labels: torch.Tensor) -> torch.Tensor:
        logits, others = output
        assert others["b"].shape == (len(labels), 3)
        return (logits.argmax(1) == labels[:, 0]).double()

    def margin(output: Any) -> torch.Tensor:
        first, second = output[0].topk(2, dim=1).values.double().unbind(1)
        return (first - second) ** 2

    with torch.random.fork_rng():
        torch.manual_seed(3)
        parts = {"embedding": nn.Embedding(5, 3), "gru": nn.GRU(3, 4, batch_first=True)}
        module = Net(forward, **parts, a=nn.Linear(6, 3), b=nn.Linear(4, 3)).eval()
        data = {"x": torch.randn(300, 2), "tokens": torch.randint(0, 5, (300, 3))}
        with torch.no_grad():
            labels = module(**data)[0].argmax(1)[:, None].expand(-1, 2)
    example = {name: part[:2] for name, part in data.items()}
    with pytest.raises(InputError, match=r"score: found none, for a network that returns \[0\], \[1\]\['b'\]"):
        qopt.measure(module, example, (data, labels), levels=[0.05], bits=range(4, 6))
    options: Any = {"levels": [0.05], "bits": range(3, 7), "grid": "per-channel", "sizes": (60, 120, 120)}
    found = qopt.measure(module, example, (data, labels), score=score, margin=margin, **options)
    assert [layer.macs for layer in trace(module, example).layers] == [0, 3 * 36, 3 * 48, 18, 12]
    assert found.problem.network.input_size == 5
    noise = found.sensitivity.tensors
    assert all(one.noise[0] > 4 * one.noise[-1] > 0 for one in noise.values())
    assert np.isinf(noise[TensorName("weight", 5)].rho[0].value)  # of an output that the score does not read
    assert 0 < noise[TensorName("weight", 3)].rho[0].value < np.inf  # of the recurrence
    assert found.test_score == 1.0
    assert any(delta.delta.value > 0 for delta in found.cuts[0])
    with pytest.raises(InputError, match="data: tokens"):
        qopt.measure(
            module, example, ({**data, "tokens": data["tokens"] + 0.5}, labels), score=score, margin=margin, **options
        )


@pytest.mark.parametrize("squeezed", swept([False, True], lambda squeezed: not squeezed))
def test_a_classifier_of_one_logit_from_the_command_line(squeezed: bool, tmp_path: Any, capsys: Any) -> None:
    from qopt.cli.app import main

    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 2)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, labels=(x[:, 0] > x[:, 1]).astype(np.int64))
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class One(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = torch.nn.Linear(2, 1)\n"
        "        self.fc.weight.data[:] = torch.tensor([[1.0, -1.0]])\n"
        "        self.fc.bias.data[:] = 0\n"
        "    def forward(self, x):\n"
        f"        return self.fc(x){'.squeeze(1)' if squeezed else ''}\n"
        "def net():\n"
        "    return One(), torch.zeros(2, 2)\n"
    )
    words = ["measure", f"{tmp_path}/net.py:net", f"{tmp_path}/data.npz", "--levels", "0.05", "--bits", "4-8"]
    files = ["--save", f"{tmp_path}/one.json", "--measured", f"{tmp_path}/found.json"]
    assert main([*words, *files, "--sizes", "200,400,300", "--json"]) == 0
    problem = qopt.load(f"{tmp_path}/one.json")
    solution = qopt.solve(problem.replace({"cuts": [1]}))
    (tmp_path / "plan.json").write_text(solution.plan.model_dump_json())
    capsys.readouterr()
    packed = [
        "pack",
        f"{tmp_path}/one.json",
        f"{tmp_path}/plan.json",
        f"{tmp_path}/net.py:net",
        "--out",
        f"{tmp_path}/out",
    ]
    assert main([*packed, "--measured", f"{tmp_path}/found.json", "--check", f"{tmp_path}/data.npz"]) == 0
    assert "unquantized 1.0000" in capsys.readouterr().out

"""What cannot be traced, in one line; and the command ``qopt profile``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from example_networks import returned, traced
from torch import nn
from torch.nn import functional as F

from qopt.cli.app import main
from qopt.core.errors import InputError
from qopt.measuring.profile import trace


class Calls(nn.Module):
    """A linear layer and then whatever is asked for."""

    def __init__(self, function: Any, *parts: nn.Module) -> None:
        super().__init__()
        self.linear, self.function, self.parts = nn.Linear(4, 4), function, nn.ModuleList(parts)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self.linear(x), *self.parts)


def counts(y: torch.Tensor, part: Any) -> torch.Tensor:
    part.count += 1
    return y


def calls(y: torch.Tensor, part: Any) -> torch.Tensor:
    part.calls = getattr(part, "calls", 0) + 1
    return y * part.calls  # type: ignore[no-any-return]


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Calls(lambda y: y if y.sum() > 0 else -y), "no control flow"),
        (Calls(lambda y: y[y > 0].sum() + y), "no control flow"),
        (Calls(lambda y: y * y.max().item()), "no control flow"),
        (Calls(lambda y: torch.cond(y.sum() > 0, torch.sin, torch.cos, (y,))), "no control flow"),
        (Calls(lambda y: y * torch.nan), "NaN"),
        (Calls(lambda y: (None, y is None)), "type tuple"),
        (Calls(lambda y: {"logits": y.argmax(1)}), "output of int64"),
        (Calls(lambda y: (y, y.sum())), "a row for each example"),
        (
            Calls(lambda y, part: part(y[:, None])[0][:, 0], nn.LSTM(4, 4, batch_first=True, proj_size=2)),
            "LSTM with projections",
        ),
        (
            Calls(lambda y, part: part((y > 0).long()), nn.EmbeddingBag(2, 3)),
            "embedding_bag.padding_idx, which has weights",
        ),
        (Calls(lambda y, part: part(y, y), nn.Bilinear(4, 4, 3)), "operation bilinear"),
        (Calls(lambda y: F.dropout(y, 0.5)), "operation native_dropout"),
        (Calls(lambda y: y - y.mean(0)), "alike and on its own"),
        (Calls(lambda y, part: part(y), nn.BatchNorm1d(4, track_running_stats=False)), "alike and on its own"),
        (Calls(lambda y: y.view(1, 4)), "alike and on its own"),
        (Calls(lambda y: y.sum()), "alike and on its own"),
        (Calls(counts, Counter()), "keeps nothing"),
        (Calls(calls, Counter()), "another output when it is called again; allowed: a module that keeps nothing"),
        (nn.Sequential(nn.ReLU(), nn.Flatten()), "no layer with a weight"),
        (Calls(lambda y: torch.ones(len(y), 2)), "no layer with a weight"),
        (Calls(lambda y: y.argmax(1)), "output of int64"),
        (nn.Linear(4, 4).double(), "module.weight: found float64"),
        (nn.Linear(3, 4), "batch of shape"),
        (Calls(lambda y: y[:, :0]), "empty output of shape (1, 0)"),
    ],
)
def test_what_cannot_be_traced_is_said_in_one_line(module: nn.Module, message: str) -> None:
    with pytest.raises(InputError) as error:
        trace(module, torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("example", [torch.zeros(1, 4), torch.ones(4, 4), torch.ones(1, 4, 1)])
@pytest.mark.parametrize("leak", [lambda x: x - x.mean(0), lambda x: x.cumsum(0)])
def test_a_leak_between_examples_shows_on_equal_ones_too(example: torch.Tensor, leak: Any) -> None:
    class Leaks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(leak(x).flatten(1))  # type: ignore[no-any-return]

    with pytest.raises(InputError, match="alike and on its own"):
        trace(Leaks(), example)


def test_bad_arguments() -> None:
    with pytest.raises(InputError, match="example: found sparse_coo; allowed: a dense tensor"):
        trace(nn.Linear(4, 4), torch.eye(4).to_sparse())
    with pytest.raises(InputError, match=r"example: found no values \(meta\)"):
        trace(nn.Linear(4, 4, device="meta"), torch.empty(1, 4, device="meta"))
    with pytest.raises(InputError, match="module: found str"):
        trace("resnet", torch.randn(1, 4))
    with pytest.raises(InputError, match="example: found a tuple of 2 inputs; allowed: one tensor, as the module has"):
        trace(nn.Linear(4, 4), (torch.zeros(1, 4), torch.zeros(1, 4)))
    with pytest.raises(InputError, match=r"module: found 2 inputs \(input1, input2\); allowed: an example for"):
        trace(nn.Bilinear(4, 4, 4), torch.zeros(1, 4))
    with pytest.raises(InputError, match="example: found list"):
        trace(nn.Linear(4, 4), [1.0])
    with pytest.raises(InputError, match=r"example: found shape \(0, 4\)"):
        trace(nn.Linear(4, 4), torch.empty(0, 4))
    with pytest.raises(InputError, match="names: found 2 names; allowed: 1"):
        trace(nn.Linear(4, 4), torch.randn(1, 4), names=["a", "b"])
    network = trace(nn.Linear(4, 2), torch.randn(1, 4))
    x = torch.randn(3, 4)
    for call, match in (
        (lambda: network.weight(2), "layer: found 2"),
        (lambda: network.crossing(-1), "cut: found -1"),
        (lambda: network.product(0, {0: x}), "layer: found 0"),
        (lambda: network.product(1, {0: x}, torch.randn(4, 2)), "weight: found shape"),
        (lambda: network.product(1, {0: torch.randn(3, 5)}), r"values\[0\]: found shape \(3, 5\); allowed: \(n, 4\)"),
        (lambda: network(x[:0]), r"values\[0\]: found shape \(0, 4\)"),
        (lambda: network.product(1, [x]), "values: found list"),
        (lambda: network.resume({}, 0), r"values\[0\]: found nothing"),
    ):
        with pytest.raises(InputError, match=match):
            call()
    _, dense, tensors = traced("dense")
    with pytest.raises(InputError, match="batches of 2 and 3"):
        dense.resume({0: tensors[0], 1: tensors[1][:2]}, 1)


SOURCE = """
from __future__ import annotations
from dataclasses import dataclass
import torch
from torch import nn
from beside import WIDTH

@dataclass
class Sizes:
    out: int = 3

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, WIDTH), nn.ReLU(), nn.Linear(WIDTH, Sizes().out)), torch.zeros(2, 4)

def single():
    return nn.Linear(2, 2)

def fails():
    raise KeyError("no\\nsuch thing")

def leaves():
    raise SystemExit(0)

def speaks():
    print("built")
    return network()

class Flows(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
    def forward(self, x):
        return self.linear(x) if x.sum() > 0 else x

def flows():
    return Flows(), torch.ones(1, 4)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("WIDTH = 5\n")
    path = tmp_path / "net.py"
    path.write_text(SOURCE)
    return path


def test_command(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "columns.json"
    assert main(["profile", f"{source}:network", "--save", str(saved)]) == 0
    shown = capsys.readouterr()
    assert "35" in shown.out
    assert shown.err == ""
    assert json.loads(saved.read_text())["macs"] == [20, 15]
    assert main(["profile", f"{source}:network", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["network"] == json.loads(saved.read_text())
    assert [row["name"] for row in found["layers"]] == ["0", "2"]
    assert main(["profile", f"{source}:speaks", "--json"]) == 0
    shown = capsys.readouterr()
    assert (json.loads(shown.out), shown.err) == (found, "built\n")
    assert main(["profile", f"{source}:network", "--save", str(tmp_path / "no" / "where.json")]) == 2
    assert "--save: found" in capsys.readouterr().err


def test_a_file_that_cannot_be_finished_leaves_the_old_one(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit on the size of files stands in for a full disk."""
    import resource
    import signal

    saved = tmp_path / "columns.json"
    saved.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
        code = main(["profile", f"{source}:network", "--save", str(saved)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (code, saved.read_text()) == (2, "old")
    assert "--save: found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("torch.zeros(1, 4), torch.zeros(1, 4)", "returned (Linear, Tensor, Tensor); allowed: (module, example input)"),
        ("(torch.zeros(1, 4), torch.zeros(1, 4))", "a tuple of 2 inputs; allowed: one tensor, as the module has"),
        ("{'input': torch.zeros(1, 4), 'x': torch.zeros(1, 4)}", "an input 'x'; allowed: the module's own inputs"),
    ],
)
def test_two_inputs_are_said_to_be_one_too_many(
    returned: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "two.py"
    path.write_text(f"import torch\ndef net():\n    return torch.nn.Linear(4, 4), {returned}\n")
    assert main(["profile", f"{path}:net"]) == 2
    assert said in capsys.readouterr().err


def test_weights_of_the_command(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import save_file

    from qopt.measuring.loading import load_module

    weights = {"0.weight": torch.ones(5, 4), "0.bias": torch.zeros(5)}
    weights |= {"2.weight": torch.ones(3, 5), "2.bias": torch.zeros(3)}
    path = tmp_path / "w.safetensors"
    save_file(weights, path)
    module, example = load_module(f"{source}:network", path)
    assert returned(module, example + 1).tolist() == [[20.0] * 3] * 2
    pickled = tmp_path / "w.pt"
    torch.save(weights, pickled)
    for change, match in (
        ({"2.bias": torch.zeros(4)}, "2.bias of shape (4,); allowed: (3,)"),
        ({"4.bias": torch.zeros(4)}, "a tensor '4.bias'"),
        ({"2.bias": None}, "no tensor '2.bias'"),
    ):
        save_file({k: v for k, v in (weights | change).items() if v is not None}, path)
        assert main(["profile", f"{source}:network", "--weights", str(path)]) == 2
        assert match in capsys.readouterr().err
    assert main(["profile", f"{source}:network", "--weights", str(pickled)]) == 2
    assert "pickles" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("where", "match"),
    [
        ("{}", "NET.py:FUNCTION"),
        ("{}:nothing", "no function 'nothing'"),
        ("{}x:network", "no file"),
        ("{}:single", "returned Linear"),
        ("{}:fails", "KeyError in"),
        ("{}:leaves", "SystemExit in"),
        ("{}:flows", "no control flow"),
    ],
)
def test_bad_networks_of_the_command(source: Path, where: str, match: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", where.format(source)]) == 2
    error = capsys.readouterr().err
    assert match in error
    assert error.count("\n") == 1

"""``qopt measure``: a network and data in, an instance, sensitivities and a report out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Cli

torch = pytest.importorskip("torch")

from small_networks import build, data_for  # noqa: E402

import qopt  # noqa: E402
from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring import command  # noqa: E402
from qopt.measuring.grids import Grid  # noqa: E402
from qopt.measuring.plans import Widths  # noqa: E402
from qopt.measuring.sensitivity import Sensitivity, measure  # noqa: E402
from qopt.qpart.plan import QPartPlan  # noqa: E402

NET = """
import sys
sys.path.insert(0, {tests!r})
from small_networks import build as made
import torch

def net():
    return made("chain")[0], torch.zeros(1, 6)

def named():
    return net()

def nothing():
    return torch.nn.ReLU(), torch.zeros(1, 6)
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET.format(tests=str(Path(__file__).resolve().parents[1] / "helpers")))
    examples = data_for(build("chain")[0], "chain", 800, 1)
    np.savez(tmp_path / "data.npz", x=examples.x.numpy(), labels=examples.labels.numpy())
    return tmp_path


def test_a_network_and_data_become_an_instance(files: Path, qopt_cli: Cli) -> None:
    outputs = ("--save", files / "net.json", "--measured", files / "found.json", "--checkpoint", files / "work")
    asked = ("measure", f"{files / 'net.py'}:net", files / "data.npz", "--levels", "0.05,0.2", "--input-bits", "8")
    call = qopt_cli(*asked, *outputs, "--json")
    assert call.code == 0, call.err
    record = json.loads(call.out)

    problem = qopt.load(files / "net.json")
    assert problem.model_dump(mode="json") == record["instance"]
    assert problem.network.input_bits == 8
    assert problem.level == 0.05
    assert problem.accuracy.levels.tolist() == [0.05, 0.2]
    found = Sensitivity.load(files / "found.json")
    assert found.to_dict() == record["sensitivity"]
    assert (found.grid, found.examples) == (Grid("channel", clip="mse"), 200)
    deltas = [[c["delta"][0] for c in row] for row in record["calibration"]]
    assert problem.accuracy.delta.tolist() == deltas

    solution = qopt.solve(problem)
    assert solution.plan is not None
    assert [(row["level"], row["cut"]) for row in record["cheapest"]] == [
        (a, p) for a in (0.05, 0.2) for p in (1, 2, 3)
    ]
    for row in record["cheapest"]:
        plan = QPartPlan(cut=row["cut"], weights=row["weights"], activations=row["activations"])
        assert qopt.certify(problem.replace({"level": row["level"]}), plan).feasible
        assert row["calibration"][2] <= row["level"]
        assert row["test"][1] <= row["test"][0] <= row["test"][2]

    again = qopt_cli(*asked, *outputs, "--json")
    assert again.out == call.out, "from the checkpoint"
    table = qopt_cli(*asked, "--checkpoint", files / "work")
    assert table.code == 0
    assert "weights left" in table.out
    assert "activation 3" in table.out
    assert "Delta" in table.err, "progress goes to standard error"


def test_what_is_left_of_float32_by_hand() -> None:
    module, network = build("chain")
    found = measure(network, data_for(module, "chain", 60, 1), levels=[0.1], grid=Grid("channel", True))
    sent = 2 * 54 + 32 * 9 + 5 * 63 + 32 * 7
    assert command.weights_left(network, found, Widths((2, 5), (3,))) == pytest.approx(sent / (32 * (54 + 63)))


def test_every_tensor_and_every_cut_has_a_line_of_progress(files: Path) -> None:
    calls: list[str] = []
    settings = command.Settings(levels=[0.2])
    found = command.run(f"{files / 'net.py'}:named", files / "data.npz", settings, say=calls.append)
    assert found.problem.name == "qpart/named", "an instance has the function's name"
    assert any("everything stays on the server" in note for note in found.notes)
    assert sum("weight" in line for line in calls) == 3
    assert sum("level 0.2, cut" in line for line in calls) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.py:net", "data.npz"], "network"),
        (["net.py:absent", "data.npz"], "network"),
        (["net.py:nothing", "data.npz"], "layer"),
        (["net.py:net", "absent.npz"], "absent.npz"),
        (["net.py:net", "net.py"], "net.py"),
        (["net.py:net", "data.npz", "--sizes", "1,2"], "--sizes"),
        (["net.py:net", "data.npz", "--sizes", "500,500,500"], "800 or less"),
        (["net.py:net", "data.npz", "--levels", "much"], "--levels"),
        (["net.py:net", "data.npz", "--levels", "0.2,0.1"], "levels"),
        (["net.py:net", "absent.npz", "--levels", "nan"], "levels"),
        (["net.py:net", "absent.npz", "--levels", "0.1,0.1"], "levels"),
        (["net.py:net", "absent.npz", "--bits", "11-12"], "bits"),
        (["net.py:net", "data.npz", "--sizes", "20,40,20", "--levels", "0.002"], "at least 1917 calibration examples"),
        (["net.py:net", "data.npz", "--guarantee", "--levels", "0.01"], "at least 437 calibration examples"),
        (["net.py:net", "data.npz", "--bits", "4"], "--bits"),
        (["net.py:net", "data.npz", "--bits", "2-17"], "--bits"),
        (["net.py:net", "data.npz", "--grid", "round"], "grid"),
        (["net.py:net", "data.npz", "--device", "warp"], "device"),
        (["net.py:net", "data.npz", "--memory", "0"], "memory"),
        (["net.py:net", "data.npz", "--weights", "net.py"], "safetensors"),
        (["net.py:net", "data.npz", "--checkpoint", "net.py"], "checkpoint"),
        (["net.py:net", "data.npz", "--input-bits", "0"], "input_bits"),
        (["net.py:net", "data.npz", "--save", "absent/net.json"], "--save"),
        (["net.py:net", "data.npz", "--measured", "."], "--measured"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], said: str, files: Path, qopt_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    call = qopt_cli("measure", *arguments)
    lines = [line for line in call.err.splitlines() if line.startswith("qopt:")]
    assert call.code == 2
    assert len(lines) == 1
    assert said in lines[0]


def test_numbers_and_widths() -> None:
    assert command.numbers("--levels", "0.1, 0.2", float) == [0.1, 0.2]
    assert command.widths("--bits", "2-5") == [2, 3, 4, 5]
    with pytest.raises(InputError):
        command.numbers("--sizes", "", int)

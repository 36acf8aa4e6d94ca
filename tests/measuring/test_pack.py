"""`qopt pack`: from an instance, a plan and a network to a segment that is run."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from qopt.core.errors import InputError  # noqa: E402
from qopt.core.plan import save_plan  # noqa: E402
from qopt.core.reading import save  # noqa: E402
from qopt.measuring import delivery  # noqa: E402
from qopt.measuring.examples import Examples, read  # noqa: E402
from qopt.measuring.grids import Grid  # noqa: E402
from qopt.measuring.loading import load_module  # noqa: E402
from qopt.measuring.network import Network  # noqa: E402
from qopt.measuring.plans import PlanRunner, Widths  # noqa: E402
from qopt.measuring.profile import trace  # noqa: E402
from qopt.measuring.segment import make  # noqa: E402
from qopt.measuring.sensitivity import measure  # noqa: E402
from qopt.qpart.plan import QPartPlan  # noqa: E402
from qopt.qpart.problem import QPart  # noqa: E402

SOURCE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.four = nn.Linear(8, 3)

    def forward(self, x):
        x = self.one(x).relu()
        return self.four(x + self.three(self.two(x).relu()).relu())


def net():
    return Net(), torch.ones(1, 6)


def other():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), torch.ones(1, 6)
"""

GRID = Grid("channel", True, "mse")


class Place:
    """A folder with a network, its weights, labelled examples, an instance and a plan."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "net.py").write_text(SOURCE)
        self.module = f"{folder / 'net.py'}:net"
        torch.manual_seed(0)
        module, _ = load_module(self.module)
        self.weights = folder / "weights.safetensors"
        save_file(module.state_dict(), self.weights)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((200, 6)).astype(np.float32)
        with torch.no_grad():
            labels = module(torch.from_numpy(x)).argmax(1).numpy()
        self.examples = folder / "examples.npz"
        np.savez(self.examples, x=x, labels=labels)
        self.instance, self.plan = folder / "instance.json", folder / "plan.json"
        self.out = folder / "segment.safetensors"
        save(self.request(), self.instance)
        self.decision = QPartPlan(cut=1, weights=(2,), activations=(3,))
        save_plan(self.decision, self.plan)

    @cached_property
    def network(self) -> Network:
        return trace(*load_module(self.module, self.weights))

    def request(self, **changes: Any) -> QPart:
        network = self.network
        overhead = [GRID.overhead(network.weight(layer.number)) for layer in network.layers]
        return QPart(
            name="net",
            network=network.columns() | {"overhead": overhead} | changes,
            device={"cycles_per_mac": 1.0, "clock": 1e6},
            server={"cycles_per_mac": 1.0, "clock": 1.0},
            channel={"rate": 1e6},
            noise={"s_weights": [1.0] * 4, "s_activations": [1.0] * 4},
            accuracy={"levels": [0.01, 0.5], "delta": [[0.5] * 4] * 2},
            level=0.5,
            cuts=[1, 2],
        )

    def arguments(self, *more: object, plan: Path | None = None, grid: str = str(GRID)) -> list[object]:
        where = [self.instance, plan or self.plan, self.module, "--weights", self.weights, "--out", self.out]
        return ["pack", *where, "--grid", grid, "--ranges", self.examples, *more]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("pack"))


def test_a_plan_becomes_a_file_and_runs(place: Place, qopt_cli: Cli) -> None:
    call = qopt_cli(*place.arguments("--check", place.examples, "--json"))
    assert (call.code, call.err) == (0, "")
    found = json.loads(call.out)
    assert found["payload_bits"] == found["instance_payload_bits"] == 48 * 2 + 8 * 32
    assert found["bytes"]["total"] == place.out.stat().st_size == sum(found["bytes"].values()) - found["bytes"]["total"]
    assert found["check"]["identical"]
    assert found["check"]["upload_bytes"] == 3
    assert found["check"]["examples"] == 200
    assert found["check"]["reference"] == 1.0
    assert found["check"]["loss"]["value"] == pytest.approx(1.0 - found["check"]["score"])
    assert found["check"]["verdict"] == "within the level"
    strict = json.loads(qopt_cli(*place.arguments("--check", place.examples, "--json", "--level", "1e-6")).out)
    assert strict["check"]["verdict"] != "within the level"
    table = qopt_cli(*place.arguments("--check", place.examples)).out
    assert f"{place.out.stat().st_size:,} bytes" in table
    assert "bit for bit" in table
    assert "NOT" not in table


def test_a_solution_will_do_for_a_plan(place: Place, qopt_cli: Cli) -> None:
    solution = place.folder / "solution.json"
    solution.write_text(qopt_cli("solve", place.instance, "--json").out)
    call = qopt_cli(*place.arguments("--json", "--check", place.examples, plan=solution))
    assert (call.code, call.err) == (0, "")
    assert json.loads(call.out)["cut"] == json.loads(solution.read_text())["plan"]["cut"]
    assert json.loads(call.out)["check"]["identical"]


def test_measured_grids_and_ranges_give_what_calibration_ran(place: Place, qopt_cli: Cli) -> None:
    network, examples = place.network, read(place.examples, (6,))
    found = measure(network, examples, levels=[0.5], bits=range(2, 7), grid=GRID)
    found.save(place.folder / "measured.json")
    where = [place.instance, place.plan, place.module, "--weights", place.weights, "--out", place.out]
    call = qopt_cli("pack", *where, "--measured", place.folder / "measured.json", "--check", place.examples, "--json")
    assert (call.code, call.err) == (0, "")
    checked = json.loads(call.out)["check"]
    runner = PlanRunner(network, examples, found)
    assert checked["score"] == pytest.approx(float(runner.run(Widths.of(place.decision))[0].mean()))
    assert checked["identical"]
    # The same examples and grid give the ranges that measuring fixed.
    spans = delivery.ranges_on(network, examples, place.decision, found.activation_grid)
    assert spans == delivery.measured_ranges(found, network, place.decision)
    assert qopt_cli("pack", *where, "--measured", place.instance).code == 2
    with pytest.raises(InputError, match="measured width"):
        delivery.measured_ranges(found, network, place.decision.model_copy(update={"activations": (9.0,)}))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--grid", "per-row"), "grid"),
        (("--grid", "per-tensor,symmetric"), "network.overhead[0]"),
        (("--measured", "x"), "--measured beside --ranges"),
        (("--out", "/nowhere/segment"), "no such file"),
        (("--weights", "/nowhere/weights"), "no file"),
        (("--check", "/nowhere/examples.npz"), "no such file"),
        (("--ranges", "/nowhere/examples.npz"), "no such file"),
    ],
)
def test_bad_input_takes_one_line(more: tuple[str, ...], words: str, place: Place, qopt_cli: Cli) -> None:
    call = qopt_cli(*place.arguments(*more))
    assert (call.code, call.out) == (2, "")
    assert call.err.count("\n") == 1
    assert words in call.err


def test_what_does_not_belong_together_is_refused(place: Place, qopt_cli: Cli) -> None:
    where = [place.module, "--weights", place.weights, "--out", place.out]
    for arguments, words in (
        ([place.instance, place.plan, *where], "--measured: found nothing"),
        ([place.instance, place.plan, *where, "--measured", "x", "--grid", "symmetric"], "--grid beside"),
        ([place.instance, place.weights, *where, "--ranges", place.examples], "UTF-8"),
        (["placement/resnet50-three-tier", place.plan, *where, "--ranges", place.examples], "instance"),
        (["qpart/teaching-3", place.plan, *where, "--ranges", place.examples], "network.macs"),
    ):
        call = qopt_cli("pack", *arguments)
        assert (call.code, call.out) == (2, "")
        assert call.err.count("\n") == 1
        assert words in call.err
    other = [place.instance, place.plan, f"{place.folder / 'net.py'}:other", "--out", place.out]
    assert "2, as in the network" in qopt_cli("pack", *other, "--ranges", place.examples).err
    none = place.folder / "none.json"
    tight = place.request()
    save(tight.replace({"accuracy.delta": [[0.0] * 4] * 2}), none)
    solution = place.folder / "infeasible.json"
    solution.write_text(qopt_cli("solve", none, "--json").out)
    assert "there is no plan" in qopt_cli(*place.arguments(plan=solution)).err
    save_plan(QPartPlan(cut=2, weights=(4.0,), activations=(5.0, 5.0)), solution)
    assert "plan.weights" in qopt_cli(*place.arguments(plan=solution)).err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": [48, 64, 65, 24]}, "network.weights[2]"),
        ({"activations": [8, 9, 8, 3]}, "network.activations[1]"),
        ({"input_size": 7}, "network.input_size[0]"),
        ({"last_reader": None}, "network.last_reader[2]"),
        ({"overhead": [256, 256, 256, 95]}, "network.overhead[3]"),
    ],
)
def test_an_instance_of_another_network_is_refused(changes: dict[str, Any], words: str, place: Place) -> None:
    delivery.check_request(place.request(), place.network, GRID)
    delivery.check_request(place.request(overhead=None), place.network, Grid())
    with pytest.raises(InputError) as error:
        delivery.check_request(place.request(**changes), place.network, GRID)
    assert words in str(error.value)


def test_an_instance_without_overhead_is_told_apart(place: Place) -> None:
    network, problem = place.network, place.request(overhead=None)
    spans = delivery.ranges_on(network, read(place.examples, (6,)), place.decision, Grid())
    segment = make(network, place.decision, GRID, spans)
    found = delivery.record(problem, network, segment, None, 0.5)
    assert found["payload_bits"] - found["instance_payload_bits"] == 8 * 32
    assert any("no network.overhead" in value for _, value in delivery.lines(found))


def test_a_shared_weight_must_be_one_in_the_instance() -> None:
    class Twice(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.one(self.one(x).relu())

    network = trace(Twice(), torch.ones(1, 4))
    columns = network.columns()
    fields: dict[str, Any] = {
        "device": {"cycles_per_mac": 1.0, "clock": 1.0},
        "server": {"cycles_per_mac": 1.0, "clock": 1.0},
        "channel": {"rate": 1.0},
        "noise": {"s_weights": [1.0] * 2, "s_activations": [1.0] * 2},
        "accuracy": {"levels": [0.01], "delta": [[1.0] * 2]},
        "level": 0.01,
    }
    delivery.check_request(QPart(network=columns, **fields), network, Grid())
    columns.pop("ties")
    with pytest.raises(InputError, match="ties"):
        delivery.check_request(QPart(network=columns, **fields), network, Grid())


def test_examples_of_one_batch_and_of_many_give_one_answer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    network, examples = place.network, read(place.examples, (6,))
    segment = make(network, place.decision, GRID, delivery.ranges_on(network, examples, place.decision, Grid()))
    whole = delivery.check(segment, network, examples)
    monkeypatch.setattr("qopt.measuring.batches._LARGEST", 7)
    parts = delivery.check(segment, network, Examples(examples.x, examples.labels))
    assert parts == whole


@pytest.mark.parametrize("level", ["nan", "inf", "-0.01", "1.5"])
def test_a_level_is_a_share_of_the_examples(place: Place, qopt_cli: Cli, level: str) -> None:
    call = qopt_cli(*place.arguments("--check", place.examples, "--level", level, "--json"))
    assert call.code == 2
    assert call.err.startswith("qopt: --level: found")


def test_a_level_without_examples_is_refused(place: Place, qopt_cli: Cli) -> None:
    call = qopt_cli(*place.arguments("--level", "0.01"))
    assert (call.code, call.err.count("\n")) == (2, 1)
    assert "--level without --check" in call.err

"""The three networks on MNIST: kept weights, kept measurements and kept test images tell one story."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripts import ROOT, scripts
from sweeps import swept

import qopt
from qopt.qpart.problem import QPart
from qopt.qpart.terms import noise_terms

torch = pytest.importorskip("torch", reason="the extra 'measure' is not installed")

FOLDER = ROOT / "instances/mnist"
NAMES = ("mlp6", "cnn", "resnet")
SCRIPTS = ("data", "evaluate", "make", "networks", "train")
LEVELS = [0.002, 0.005, 0.01, 0.02, 0.05]


@pytest.fixture(scope="module")
def mnist() -> Iterator[SimpleNamespace]:
    """The scripts as modules."""
    with scripts("instances/mnist", *SCRIPTS) as modules:
        yield modules


@dataclass(frozen=True)
class Kept:
    """What the repository keeps of one network, and a runner of plans on the test images."""

    name: str
    network: Any
    found: Any
    problem: QPart
    runner: Any
    metadata: dict[str, Any]


@pytest.fixture(scope="module")
def kept(mnist: Any) -> dict[str, Kept]:
    from safetensors import safe_open

    from qopt.measuring.plans import PlanRunner
    from qopt.measuring.sensitivity import Sensitivity

    test, found = mnist.data.test_images(FOLDER), {}
    for name in NAMES:
        network = mnist.evaluate.kept(name)
        measured = Sensitivity.load(FOLDER / f"{name}-sensitivity.json")
        with safe_open(FOLDER / f"{name}.safetensors", framework="pt") as file:
            metadata = json.loads(file.metadata()["qopt"])
        problem = qopt.load(f"qpart/mnist-{name}")
        assert isinstance(problem, QPart)
        found[name] = Kept(name, network, measured, problem, PlanRunner(network, test, measured), metadata)
    return found


@pytest.mark.parametrize("name", swept(NAMES, lambda name: name != "mlp6"))
def test_kept_weights_have_the_accuracy_that_training_reported(kept: dict[str, Kept], name: str) -> None:
    one = kept[name]
    accuracy = float(one.runner.reference.mean())
    assert accuracy == pytest.approx(one.metadata["accuracy"]["test"], abs=3e-4)
    assert accuracy > (0.98 if name == "mlp6" else 0.988)
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 2.5e6


@pytest.mark.parametrize("name", swept(NAMES, lambda name: name != "mlp6"))
def test_instance_is_the_network_with_its_scales(kept: dict[str, Kept], name: str) -> None:
    one = kept[name]
    net, layers = one.problem.network, one.network.layers
    assert net.weights.tolist() == [layer.parameters for layer in layers]
    assert net.overhead is not None
    # Two float32 numbers for each output channel, which is each bias of a folded layer too.
    assert net.overhead.tolist() == [64 * layer.biases for layer in layers]
    for cut in range(len(layers) + 1):
        assert net.crossing(cut).tolist() == list(one.network.crossing(cut))
    assert one.problem.accuracy.levels.tolist() == LEVELS


def test_sizes_by_hand(kept: dict[str, Kept]) -> None:
    sizes = (784, 512, 256, 128, 64, 32, 10)
    assert kept["mlp6"].problem.network.macs.tolist() == [a * b for a, b in itertools.pairwise(sizes)]
    # 5 x 5 convolutions without padding on 28 x 28, halved by pooling; then 512-120-84-10.
    assert kept["cnn"].problem.network.macs.tolist() == [300 * 24**2, 9600 * 8**2, 512 * 120, 120 * 84, 84 * 10]
    resnet = kept["resnet"].problem.network
    assert resnet.weights.sum() < 100_000
    assert resnet.macs.tolist()[:3] == [9 * 16 * 14**2, 9 * 16 * 16 * 14**2, 9 * 16 * 16 * 14**2]
    assert resnet.crossing(4).tolist() == [3, 4]  # inside the second block: its input and its first convolution


@pytest.mark.parametrize("name", swept(NAMES, lambda name: name != "mlp6"))
def test_instance_has_the_measured_figures(kept: dict[str, Kept], name: str) -> None:
    from qopt.measuring.network import TensorName

    one = kept[name]
    for level in LEVELS:
        weights, activations = noise_terms(one.problem.replace({"level": level}))
        for i in range(1, len(one.network) + 1):
            for kind, terms in (("weight", weights), ("activation", activations)):
                assert terms[i - 1] == pytest.approx(one.found.terms(TensorName(kind, i), level), rel=1e-12)
        deltas = one.problem.replace({"level": level}).delta
        steps = np.log2(one.found.natural.value / deltas[deltas > 0]) * 4
        assert np.all(steps > -1e-9)
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)  # on the grid from the natural scale downwards


@pytest.mark.parametrize("name", swept(NAMES, lambda name: name != "mlp6"))
def test_plans_keep_their_level_on_images_that_nothing_has_seen(kept: dict[str, Kept], mnist: Any, name: str) -> None:
    one = kept[name]
    last = len(one.network)
    cuts = {"mlp6": [3, last], "cnn": [2, last], "resnet": [last]}[name]
    rows = list(mnist.evaluate.rows(one.problem, one.network, one.found, one.runner, [0.002, 0.01], cuts))
    assert len(rows) == 2 * len(cuts) * 2
    for row in rows:
        assert row.loss.low <= row.level, row  # an interval above the level would refute it
    whole = [row for row in rows if row.cut == last and row.level == 0.01]
    assert all(row.loss.high <= 0.01 for row in whole if row.shared == 1)
    assert all(row.left <= (0.08 if name == "mlp6" else 0.12) for row in whole)


@pytest.mark.parametrize("name", swept(NAMES, lambda name: name != "mlp6"))
def test_the_request_is_cut_inside_and_its_plan_keeps_the_level(kept: dict[str, Kept], name: str) -> None:
    from qopt.measuring.plans import Widths

    one = kept[name]
    solution = qopt.solve(one.problem)
    assert solution.status == "optimal"
    assert solution.plan is not None
    assert solution.plan.cut == {"mlp6": 5, "cnn": 2, "resnet": 6}[name]
    assert solution.objective == pytest.approx(one.problem.best_known["objective"], rel=1e-12)  # type: ignore[index]
    assert one.runner.loss(Widths.of(solution.plan)).low <= one.problem.level


def test_cuts_move_with_link_and_sharing(kept: dict[str, Kept]) -> None:
    def best(name: str, changes: dict[str, Any]) -> int:
        plan = qopt.solve(kept[name].problem.replace(changes)).plan
        assert plan is not None
        return plan.cut

    assert best("mlp6", {"channel.rate": 1e7}) == 1
    assert [best("cnn", {"inferences": n}) for n in (10, 100, 300, 1000)] == [1, 2, 3, 5]
    assert [best("cnn", {"channel.rate": r}) for r in (1e5, 5e5, 5e6)] == [2, 1, 0]
    assert best("resnet", {"device.memory": None}) == 10


def test_payload_by_hand(kept: dict[str, Kept], mnist: Any) -> None:
    from qopt.measuring.command import weights_left
    from qopt.measuring.plans import Widths

    one, plan = kept["mlp6"], Widths((2, 8), (4,))
    weights, scales = 784 * 512 * 2 + 512 * 256 * 8, 64 * (512 + 256)
    whole, biases = 32 * (784 * 512 + 512 * 256), 32 * (512 + 256)
    left = weights_left(one.network, one.found, plan)
    assert left == pytest.approx((weights + scales) / whole)
    with_biases = mnist.evaluate.with_biases(one.network, plan, left)
    assert with_biases == pytest.approx((weights + scales + biases) / (whole + biases))


def test_parts_share_no_image_and_are_always_the_same(mnist: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from qopt.measuring.examples import Examples

    numbered = Examples(torch.arange(60_000.0)[:, None, None, None], torch.arange(60_000) % 10)
    monkeypatch.setattr(mnist.data, "read", lambda *_: numbered)
    parts = mnist.data.divided(Path())
    assert {name: len(part) for name, part in parts.items()} == mnist.data.SPLIT
    drawn = torch.cat([part.x.flatten() for part in parts.values()])
    assert sorted(drawn.tolist()) == list(range(60_000))
    again = mnist.data.divided(Path())
    assert all(torch.equal(parts[name].x, again[name].x) for name in parts)
    monkeypatch.setattr(mnist.data, "read", lambda *_: numbered[:100])
    with pytest.raises(qopt.InputError, match="100"):
        mnist.data.divided(Path())


def test_training_keeps_weights_in_their_box(mnist: Any) -> None:
    from qopt.measuring.examples import Examples

    generator = torch.Generator().manual_seed(3)
    few = Examples(torch.rand(512, 1, 28, 28, generator=generator), torch.arange(512) % 10)
    said: list[str] = []
    patch = pytest.MonkeyPatch()
    patch.setitem(mnist.train.EPOCHS, "cnn", 1)
    try:
        first, again = (mnist.train.train("cnn", few, 5, said.append) for _ in range(2))
    finally:
        patch.undo()
    assert len(said) == 2
    for weight, box in mnist.train.boxed(first, mnist.train.BOX["cnn"]):
        assert float(weight.detach().abs().max()) <= box * (1 + 1e-6)
        assert math.isclose(box, 2.5 / math.sqrt(weight[0].numel()))
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_page_counts_what_its_tables_show() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    tables = page.split("<!-- losses -->")[1]
    for name, layers in (("mlp6", 6), ("cnn", 5), ("resnet", 10)):
        part = tables.split(f"**{name}**")[1].split("**")[0]
        assert len([line for line in part.splitlines() if line.startswith("| ") and line[2].isdigit()]) == layers
        assert "; 0 lose more." in part


@pytest.mark.parametrize(
    ("program", "arguments", "field"),
    [
        ("train", ["absent"], "absent"),
        ("make", ["absent"], "absent"),
        ("evaluate", ["--data", "absent"], "absent"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    mnist: Any, program: str, arguments: list[str], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert getattr(mnist, program).main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert field in said
    assert getattr(mnist, program).main([*arguments, "vgg"]) == 2
    assert capsys.readouterr().err == "error: network: found vgg; allowed: mlp6, cnn, resnet\n"

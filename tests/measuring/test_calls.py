"""`qopt.measure`, `qopt.pack` and `qopt.load_segment`: the commands' work in one call each, for modules at hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_networks import build, data_for  # noqa: E402

import qopt  # noqa: E402
from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring import command, delivery  # noqa: E402
from qopt.measuring.sensitivity import Sensitivity  # noqa: E402

SETTINGS: dict[str, Any] = {"levels": [0.1], "bits": range(2, 6), "seed": 1}


@pytest.fixture(scope="module")
def made() -> SimpleNamespace:
    module = build("chain")[0]
    data = data_for(module, "chain", 800, 1)
    found = qopt.measure(module, data.x[:1], (data.x, data.labels), name="small", **SETTINGS)
    request = found.problem.replace({"channel.rate": 1e3, "inferences": 10**6, "cuts": [2, 3]})
    return SimpleNamespace(module=module, data=data, found=found, plan=qopt.solve(request))


@pytest.mark.sweep
def test_measure_is_what_the_command_measures(made: Any, tmp_path: Path) -> None:
    data, found = made.data, made.found
    assert found.problem.name == "qpart/small"
    np.savez(tmp_path / "data.npz", x=data.x.numpy(), labels=data.labels.numpy())
    settings = command.Settings(grid="per-channel,clipped", **SETTINGS)
    network = build("chain")[1]
    for given in (data, tmp_path / "data.npz", (data.x.double().numpy(), data.labels.numpy())):
        again = command.measured(network, given, settings, "small")
        assert again.to_dict() == found.to_dict()
    assert "level 0.1, cut 3: Delta" in str(found)


def test_a_module_s_class_names_the_instance() -> None:
    module = build("chain")[0]
    data = data_for(module, "chain", 400, 1)
    found = qopt.measure(module, data.x[:1].numpy(), data, **{**SETTINGS, "levels": [0.2]})
    assert found.problem.name == "qpart/chain"


def test_a_plan_is_packed_loaded_and_run(made: Any, tmp_path: Path) -> None:
    module, x = made.module, made.data.x
    path, file = tmp_path / "segment.safetensors", tmp_path / "found.json"
    made.found.sensitivity.save(file)
    segment = qopt.pack(module, x[:1], made.plan, made.found, path)
    assert path.stat().st_size == segment.size.total
    for measured in (made.found.sensitivity, file):
        assert qopt.pack(module, x[:1], made.plan.plan, measured).header == segment.header
    loaded = qopt.load_segment(path, module, x[:1])
    outputs = delivery.outputs_of_plan(build("chain")[1], segment, x)
    assert torch.equal(loaded(x), outputs)
    assert torch.equal(loaded(x.double().numpy()), outputs)
    assert torch.equal(loaded.server.run(loaded.device.run(x)), outputs)
    assert "Segment" in repr(loaded)


def test_other_weights_than_those_measured_are_refused(made: Any) -> None:
    other, x = build("chain", seed=5)[0], made.data.x
    with pytest.raises(InputError, match="other weights than the network's"):
        qopt.pack(other, x[:1], made.plan, made.found)
    network = build("chain")[1]
    delivery.check_measured(made.found.sensitivity, network, made.found.problem)
    noise = made.found.problem.model_dump(mode="json")["noise"]["table"]
    noise["weights"][1][2] *= 1.01
    with pytest.raises(InputError, match=r"noise\.table\.weights: found other figures"):
        delivery.check_measured(
            made.found.sensitivity, network, made.found.problem.replace({"noise.table.weights": noise["weights"]})
        )
    data = made.found.sensitivity.to_dict()
    assert data["fingerprint"]["data"] == made.data.split([200, 400, 200], 1)[0].digest()
    regridded = Sensitivity.from_dict({**data, "grid": "per-tensor,asymmetric,minmax"})
    with pytest.raises(InputError, match="measured: found grids per-tensor"):
        delivery.check_measured(regridded, network)
    older = {key: value for key, value in data.items() if key != "fingerprint"}
    delivery.check_measured(Sensitivity.from_dict(older), network)


def test_what_is_wrong_is_said_in_one_line(made: Any) -> None:
    module, x, labels = made.module, made.data.x, made.data.labels
    shifted = (labels + 1) % 4
    broken = x.clone()
    broken[7, 2] = torch.nan
    chance = torch.randint(4, labels.shape, generator=torch.Generator().manual_seed(0))
    network, settings = build("chain")[1], command.Settings(**SETTINGS)
    lines: list[str] = []

    def measured(*data: Any) -> Any:
        return command.measured(network, data, settings, "small", say=lines.append)

    for call, words in (
        (lambda: measured(x, shifted), "labels: found 0."),
        (lambda: measured(broken, labels), r"data: x\[7, 2\]: found nan"),
        (lambda: measured(x[:40], labels[:40]), "at least 35 calibration examples"),
        (lambda: qopt.measure(module, x[:1], (x, labels), levels=[float("nan")]), r"levels: found \[nan\]"),
        (lambda: qopt.measure(module, x[:1], (x, labels), bits=[2.0, 3.0]), "bits: found"),
        (lambda: measured(x), "data: found tuple of 1"),
        (lambda: measured(x[:, :5], labels), "data: found inputs of shape"),
        (lambda: measured(x.long(), labels), "data: x: found numbers of type int64"),
        (lambda: qopt.measure(module, (x[:1], x[:1]), (x, labels)), "example: found a tuple of 2 inputs"),
        (lambda: qopt.pack(module, x[:1], None, made.found), "plan: found none"),
        (lambda: qopt.load_segment("nowhere", module, x[:1]), "nowhere"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert any("no better than guessing" in note for note in measured(x, chance).notes)
    assert any("no better than guessing" in line for line in lines)


def test_default_levels_are_those_that_the_examples_can_decide() -> None:
    settings = command.Settings()
    assert settings.levels_for(1917) == (command.LEVELS, None)
    kept, note = settings.levels_for(400)
    assert kept == (0.01, 0.02, 0.05)
    assert note is not None
    assert "1917 could" in note
    with pytest.raises(InputError, match=r"0\.05 with 40 calibration examples"):
        settings.levels_for(40)
    assert command.Settings(guarantee=True).levels_for(400)[0] == (0.02, 0.05)


def test_joint_noise_takes_the_limits_down(made: Any) -> None:
    data = made.data
    joint = qopt.measure(made.module, data.x[:1], data, joint=True, **SETTINGS)
    assert joint.interaction is not None
    factor = joint.interaction.factor
    assert factor > 1.0
    for tight, loose in zip(joint.cuts[0], made.found.cuts[0], strict=True):
        assert tight.delta.value <= loose.delta.value / factor * (1 + 1e-9)
        assert tight.chosen is None or tight.chosen in tight.trials
    assert json.dumps(joint.to_dict())
    assert any("joint noise" in note for note in joint.notes)


@pytest.mark.parametrize(
    "change",
    [
        {"bits": [2, 3, 4]},
        {"bits": []},
        {"levels": [float("nan")]},
        {"natural": [float("nan"), 0, 0]},
        {"natural": [10**400, 0, 0]},
        {"examples": float("inf")},
        {"ranges": [[[0.0, float("inf")]] * 4] * 3},
        {"ranges": 5},
        {"grid": 5},
        {"tensors": [{"kind": "weight", "layer": 9}]},
        {"fingerprint": {"weights": 1}},
        {"fingerprint": 3},
    ],
    ids=str,
)
def test_a_sensitivity_file_that_no_measurement_wrote(change: dict[str, Any], made: Any, tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    path.write_text(json.dumps({**made.found.sensitivity.to_dict(), **change}))
    with pytest.raises(InputError) as caught:
        Sensitivity.load(path)
    assert "\n" not in str(caught.value)
    path.write_text("[" * 100_000)
    with pytest.raises(InputError):
        Sensitivity.load(path)

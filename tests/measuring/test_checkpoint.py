"""Finished work survives a kill: nothing is lost, nothing is measured twice, nothing foreign is used."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_networks import build, data_for, slow  # noqa: E402

from qopt.core.errors import InputError  # noqa: E402
from qopt.measuring.calibration import calibrate_cuts  # noqa: E402
from qopt.measuring.checkpoint import Checkpoint  # noqa: E402
from qopt.measuring.sensitivity import Sensitivity, measure  # noqa: E402

HELPERS = Path(__file__).resolve().parents[1] / "helpers"


def arrays(value: float) -> dict[str, np.ndarray[Any, Any]]:
    return {"noise": np.array([value, np.inf]), "score": np.zeros((2, 3))}


def test_a_unit_is_computed_once(tmp_path: Path) -> None:
    calls = []

    def compute() -> dict[str, np.ndarray[Any, Any]]:
        calls.append(1)
        return arrays(1.0)

    for _ in range(2):
        saved = Checkpoint(tmp_path / "work", {"seed": 1, "bits": [1, 2]})
        found = saved.unit("a-1", compute)
        assert found["noise"].tolist() == [1.0, np.inf]
        assert found["score"].shape == (2, 3)
    assert (len(calls), saved.reused, saved.computed) == (1, 1, 0)


def test_units_of_another_version_are_not_used(tmp_path: Path) -> None:
    for found in ({}, {"units": 1}):
        (tmp_path / "made-from.json").write_text(json.dumps({"seed": 1, **found}))
        with pytest.raises(InputError, match=r"written by another version.*allowed: a new folder") as caught:
            Checkpoint(tmp_path, {"seed": 1})
        assert "\n" not in str(caught.value)


def test_without_a_folder_everything_is_computed() -> None:
    saved = Checkpoint(None, {"seed": 1})
    for _ in range(2):
        assert saved.unit("a", lambda: arrays(2.0))["noise"][0] == 2.0
    assert (saved.reused, saved.computed) == (0, 2)


def test_a_unit_that_fails_leaves_nothing(tmp_path: Path) -> None:
    saved = Checkpoint(tmp_path, {})

    def fails() -> dict[str, np.ndarray[Any, Any]]:
        raise RuntimeError("no power")

    with pytest.raises(RuntimeError, match="no power"):
        saved.unit("a", fails)
    assert [path.name for path in tmp_path.iterdir()] == ["made-from.json"]
    assert saved.unit("a", lambda: arrays(3.0))["noise"][0] == 3.0


def test_other_work_is_refused(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "work", {"weights": "a", "seed": 1})
    with pytest.raises(InputError, match="other seed, weights"):
        Checkpoint(tmp_path / "work", {"weights": "b", "seed": 2})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    with pytest.raises(InputError, match="other files"):
        Checkpoint(tmp_path / "mine", {})
    (tmp_path / "work" / "made-from.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        Checkpoint(tmp_path / "work", {})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="checkpoint"):
        Checkpoint(tmp_path / "file", {})


def test_a_damaged_unit_is_said(tmp_path: Path) -> None:
    saved = Checkpoint(tmp_path, {})
    saved.unit("a", lambda: arrays(1.0))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:40])
    with pytest.raises(InputError, match=r"a\.npz"):
        saved.unit("a", lambda: arrays(1.0))


def test_a_unit_has_the_name_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unit"):
        Checkpoint(tmp_path, {}).unit("../a", lambda: arrays(1.0))


# --- a real kill -----------------------------------------------------------------------------------

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from small_networks import build, data_for, slow
from qopt.measuring.sensitivity import measure
module, network = build("chain")
measure(network, data_for(module, "chain", 200, 1), levels=[0.02, 0.1], score=slow, memory=2**19, checkpoint={folder!r})
"""


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz")}


@pytest.mark.sweep
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "work"
    program = PROGRAM.format(tests=str(HELPERS), folder=str(folder))
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program], env={**os.environ, "QOPT_TEST_NAP": "0.03"}
    )
    try:
        until = time.monotonic() + 60
        while len(times(folder) if folder.exists() else {}) < 7 and child.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert child.returncode == -signal.SIGKILL
    before = times(folder)
    assert len(before) >= 7

    module, network = build("chain")
    examples = data_for(module, "chain", 200, 1)
    made: list[Checkpoint] = []
    original = Checkpoint.__init__

    def watched(self: Checkpoint, *arguments: Any) -> None:
        original(self, *arguments)
        made.append(self)

    monkeypatch.setattr(Checkpoint, "__init__", watched)
    resumed = measure(network, examples, levels=[0.02, 0.1], score=slow, memory=2**19, checkpoint=folder)
    whole = measure(network, examples, levels=[0.02, 0.1], score=slow, memory=2**19)
    after = times(folder)
    assert made[0].reused == len(before), "everything finished before the kill is used"
    assert made[0].computed == len(after) - len(before) > 0, "and nothing of it is measured again"
    assert {name: after[name] for name in before} == before
    assert resumed.to_dict() == whole.to_dict(), "as if there had been no kill"
    again = measure(network, examples, levels=[0.02, 0.1], score=slow, memory=2**19, checkpoint=folder)
    assert (made[2].computed, again.to_dict()) == (0, whole.to_dict())


def test_changed_weights_data_or_settings_are_not_continued(tmp_path: Path) -> None:
    module, network = build("chain")
    examples = data_for(module, "chain", 200, 1)
    levels = [0.05]
    found = measure(network, examples, levels=levels, checkpoint=tmp_path / "work")
    for changed, part in (
        (lambda: measure(build("chain", 1)[1], examples, levels=levels, checkpoint=tmp_path / "work"), "weights"),
        (lambda: measure(network, examples[:100], levels=levels, checkpoint=tmp_path / "work"), "data"),
        (lambda: measure(network, examples, levels=[0.1], checkpoint=tmp_path / "work"), "levels"),
        (lambda: measure(network, examples, levels=levels, seed=2, checkpoint=tmp_path / "work"), "seed"),
        (lambda: measure(network, examples, levels=levels, score=slow, checkpoint=tmp_path / "work"), "score"),
        (lambda: calibrate_cuts(network, examples, found, checkpoint=tmp_path / "work"), "coefficients"),
    ):
        with pytest.raises(InputError, match=part):
            changed()


@pytest.mark.sweep
def test_calibration_goes_on_too(tmp_path: Path) -> None:
    module, network = build("chain")
    found = measure(network, data_for(module, "chain", 300, 1), levels=[0.05])
    assert isinstance(found, Sensitivity)
    held_out = data_for(module, "chain", 400, 2)
    first = calibrate_cuts(network, held_out, found, checkpoint=tmp_path / "work")
    before = times(tmp_path / "work")
    for name in sorted(before)[::2]:
        (tmp_path / "work" / name).unlink()
    kept = times(tmp_path / "work")
    assert calibrate_cuts(network, held_out, found, checkpoint=tmp_path / "work") == first
    after = times(tmp_path / "work")
    assert set(after) == set(before)
    assert {name: after[name] for name in kept} == kept

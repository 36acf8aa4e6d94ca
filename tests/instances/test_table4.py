"""Table IV's cells: the images and networks of the script, one small cell all the way, and what the kept cells say."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scripts import scripts
from torch import nn

from qopt.core.errors import InputError, QoptError


@pytest.fixture(scope="module")
def study() -> Iterator[Any]:
    with scripts("instances/table4", "pictures", "nets", "cell", "table") as found:
        yield found


def clouds(n: int, seed: int) -> tuple[Any, Any]:
    """Points of three classes in the plane, which a network of six weights tells apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    corners = np.array([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])
    return (corners[labels] + rng.normal(0, 0.6, (n, 2))).astype(np.float32), labels


def test_images_are_the_same_each_time_and_move(study: Any) -> None:
    (x, labels), (again, _) = study.pictures.made(10, 40), study.pictures.made(10, 40)
    assert x.shape == (40, 3, 32, 32)
    assert x.dtype == np.uint8
    assert set(labels.tolist()) <= set(range(10))
    assert (x == again).all()
    fields = study.pictures.patterns(10)
    assert np.abs(fields.mean((1, 2, 3))).max() < 1e-6
    shifted = study.pictures.moved(fields, np.random.default_rng(0))
    for before, after in zip(fields, shifted, strict=True):  # the same numbers at other places
        assert (np.sort(before, axis=None) == np.sort(after, axis=None)).all()
        at = [(np.roll(before, (i, j), (1, 2)) == after).all() for i in range(-3, 4) for j in range(-3, 4)]
        assert sum(at) == 1


def test_parts_share_no_image(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = study.pictures.Set((3, 32, 32), 10, (20, 15, 10), (5, 10), (0.01,))
    monkeypatch.setitem(study.pictures.SETS, "images10", small)
    found = study.pictures.parts("images10")
    assert [len(labels) for _, labels in found.values()] == [20, 15, 10]
    together = np.concatenate([x for x, _ in found.values()])
    assert len(np.unique(together, axis=0)) == 45
    assert -2.0 <= together.min() < -1.0 < 1.0 < together.max() <= 2.0
    with pytest.raises(InputError, match="--sets: found cifar10"):
        study.pictures.chosen("digits,cifar10")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(QoptError, match="scikit-learn is not installed"):
        study.pictures.parts("digits")


def test_networks_fit_their_images(study: Any) -> None:
    for (name, kind), build in study.nets.BUILDERS.items():
        module, example = build()
        assert example.shape[1:] == study.pictures.SETS[name].shape
        assert module.eval()(example).shape == (1, study.pictures.SETS[name].classes)
        assert getattr(study.nets, f"{name}_{kind}") is build
    x, labels = study.pictures.made(10, 64)
    module = study.nets.trained("images10", "mlp", x.astype(np.float32) / 255, labels, epochs=1)
    assert not module.training


def test_a_small_cell_all_the_way(study: Any) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 3)).eval()
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]]))
        module[0].bias.zero_()
    held, test = clouds(300, 1), clouds(400, 2)
    (row,) = study.cell.cells(
        module, torch.zeros(1, 2), held, test, names=("clouds", "linear"), levels=[0.05], sizes=(40, 250)
    )
    assert row["status"] == "optimal"
    assert row["identical"]
    assert row["initial_bytes"] == 4 * (6 + 3)
    bits = row["widths"][0][0]
    assert row["optimized_bytes"] == -(-6 * bits // 8) + 3 * 2 * 4 + 3 * 4  # codes, scales of rows, biases
    with torch.no_grad():
        right = (module(torch.from_numpy(test[0])).argmax(1).numpy() == test[1]).mean()
    value, low, high = row["initial_accuracy"]
    assert value == pytest.approx(right)
    assert low < value < high
    assert row["loss"][0] == pytest.approx(value - row["optimized_accuracy"][0], abs=2e-6)
    line = study.cell.line(row)
    assert len(line) == len(study.cell.HEAD)
    refused = {name: row[name] for name in ("data", "network", "level", "initial_bytes", "initial_accuracy")}
    assert study.cell.line({**refused, "status": "infeasible"})[-1] == "no plan (infeasible)"


def test_published_columns_are_those_printed(study: Any) -> None:
    rows = study.cell.published()
    printed = json.loads(study.cell.PRINTED.read_text(encoding="utf-8"))["table4"]
    assert [row[0] for row in rows] == printed["data"]
    assert [float(row[5]) for row in rows] == printed["ratio"]
    assert all(len(row) == len(study.cell.HEAD) for row in rows)


def test_bad_numbers_are_one_line(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.cell.main(["net.py:f", "held.npz", "test.npz", "--levels", "1,x"]) == 2
    assert "--levels" in capsys.readouterr().err


@pytest.fixture(scope="module")
def kept(study: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = study.table.known(study.table.DATA)
    return found


def test_every_set_has_its_cells(study: Any, kept: list[dict[str, Any]]) -> None:
    wanted = {("MNIST", name, level) for name in study.table.KEPT for level in study.table.LEVELS}
    for name, found in study.pictures.SETS.items():
        wanted |= {(name, kind, level) for kind in study.table.KINDS for level in found.levels}
    assert {(row["data"], row["network"], row["level"]) for row in kept} == wanted
    assert len(kept) == len(wanted)


def test_no_cell_loses_more_than_its_level(kept: list[dict[str, Any]]) -> None:
    """The file is the network as the plan has it, bit for bit, and no loss is surely above the level."""
    for row in kept:
        assert row["status"] == "optimal"
        assert row["identical"]
        assert row["verdict"] != "above the level"
        assert row["loss"][0] < row["level"]
        assert row["loss"][0] < 0.0066  # the largest that the paper prints
    assert sum(row["verdict"] == "within the level" for row in kept) >= len(kept) - 3


def test_payloads_beside_the_papers(kept: list[dict[str, Any]]) -> None:
    """At one point all but the smallest network send a smaller share than the largest that the paper prints."""
    share = {
        (row["data"], row["network"]): row["optimized_bytes"] / row["initial_bytes"]
        for row in kept
        if row["level"] == 0.01
    }
    assert [cell for cell, value in share.items() if value > 0.1812] == [("digits", "mlp")]
    assert min(row["initial_bytes"] for row in kept) == 26_280
    assert share["digits", "mlp"] < 0.25


def test_the_page_shows_the_cells(study: Any, kept: list[dict[str, Any]]) -> None:
    page = study.table.PAGE.read_text(encoding="utf-8")
    assert study.table.text(kept) in page, "run python instances/table4/table.py"

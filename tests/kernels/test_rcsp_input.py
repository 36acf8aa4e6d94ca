"""What `qopt.kernels.rcsp` takes and what it refuses: graphs, limits, options, files of the OR-Library."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qopt.core.errors import InputError
from qopt.kernels import rcsp
from qopt.kernels.rcsp import Digraph, Layered

NUMBERS = np.ones((2, 3))
LINE: dict[str, Any] = {
    "vertices": 2, "tail": [0], "head": [1], "cost": [1.0], "resource": [1.0], "source": 0, "target": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((NUMBERS[0], NUMBERS), "node_cost"),
        ((np.zeros((0, 3)), np.zeros((0, 3))), "node_cost"),
        (("x", NUMBERS), "node_cost"),
        ((NUMBERS, NUMBERS[:1]), "node_resource"),
        ((np.full((2, 3), np.nan), NUMBERS), "node_cost[0, 0]"),
        ((np.full((2, 3), -np.inf), NUMBERS), "node_cost[0, 0]"),
        ((np.full((2, 3), -1e301), NUMBERS), "node_cost[0, 0]"),
        ((NUMBERS, np.full((2, 3), 1e301)), "node_resource[0, 0]"),
        ((NUMBERS, -NUMBERS), "node_resource[0, 0]"),
        ((NUMBERS, np.full((1, 2, 3), np.inf)), "node_resource[0, 0, 0]"),
        ((NUMBERS, NUMBERS, np.ones((2, 2))), "arc_cost"),
        ((NUMBERS, NUMBERS, np.ones((2, 3, 3))), "arc_cost"),
        ((NUMBERS, NUMBERS, np.full((3, 3), np.nan)), "arc_cost[0, 0]"),
        ((NUMBERS, NUMBERS, None, np.ones((2, 2))), "arc_resource"),
        ((NUMBERS, NUMBERS, None, -np.ones((3, 3))), "arc_resource[0, 0]"),
    ],
)
def test_bad_layers_are_named(arguments: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        Layered(*arguments)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"vertices": 0}, "vertices"),
        ({"vertices": 2.5}, "vertices"),
        ({"tail": [2]}, "tail[0]"),
        ({"head": [-1]}, "head[0]"),
        ({"tail": [0.0]}, "tail"),
        ({"tail": [0, 1]}, "tail"),
        ({"source": 2}, "source"),
        ({"target": True}, "target"),
        ({"cost": [math.nan]}, "cost[0]"),
        ({"cost": [1e301]}, "cost[0]"),
        ({"resource": [1e301]}, "resource[0]"),
        ({"cost": [[1.0]]}, "cost"),
        ({"resource": [-1.0]}, "resource[0]"),
        ({"resource": [1.0, 2.0]}, "resource"),
        ({"tail": [0, 1], "head": [1, 0], "cost": [1.0, -1.0], "resource": [0.0, 0.0]}, "cost[1]"),
        ({"tail": [0, 1], "head": [1, 1], "cost": [1.0, -1.0], "resource": [0.0, 0.0]}, "cost[1]"),
    ],
)
def test_bad_digraphs_are_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        Digraph(**{**LINE, **change})
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("limit", "options", "field"),
    [
        (math.nan, {}, "limit"),
        (-math.inf, {}, "limit"),
        ("1", {}, "limit"),
        (None, {}, "limit"),
        ([1.0, 2.0], {}, "limit"),
        (1.0, {"lower": 0.5}, "lower"),
        (1e301, {}, "limit"),
        ([[1.0]], {}, "limit"),
        ([math.nan], {}, "limit[0]"),
        (1.0, {"upper": math.nan}, "upper"),
        (1.0, {"upper": -1e301}, "upper"),
        (1.0, {"gap": -1.0}, "gap"),
        (1.0, {"time_limit": -1.0}, "time_limit"),
        (1.0, {"max_labels": 1.5}, "max_labels"),
        (1.0, {"witness_nodes": -1}, "witness_nodes"),
    ],
)
def test_bad_questions_are_named(limit: Any, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        rcsp.solve(Digraph(**LINE), limit, **options)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_lower_limits_that_say_nothing_are_taken() -> None:
    assert rcsp.solve(Digraph(**LINE), 1.0, lower=0.0).objective == 1.0
    with pytest.raises(InputError, match="dominance"):
        rcsp.solve(Digraph(**LINE), 1.0, lower=0.1)


def test_files_that_are_no_instances(tmp_path: Path) -> None:
    head = "2 1 1 0 9 0 0 "
    bad = ["", "1 2", head + "1 2 x 1", head + "1 2 3", head + "1 3 1 1", head + "0 2 1 1", head + "1 1.5 1 1"]
    bad += ["inf 1 1", "nan 1 1", "-1 1 1", "2.5 1 1", "1e300 1 1", head + "1 nan 1 1"]
    texts = [text.encode() for text in bad] + [b"\xff\xfe\x00\x81", b"\x00\x01"]
    for text in texts:
        (tmp_path / "bad.txt").write_bytes(text)
        with pytest.raises(InputError) as caught:
            rcsp.read_orlib(tmp_path / "bad.txt")
        assert "\n" not in str(caught.value)
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(InputError):
            rcsp.read_orlib(path)


def test_amounts_consumed_at_vertices_count(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text("3 3 1  0  5  1 2 1  1 2 1 1  2 3 1 0  1 3 9 0")
    graph, _, limit = rcsp.read_orlib(tmp_path / "small.txt")
    assert rcsp.solve(graph, limit).objective == 2.0  # 1 + (1 + 2) + (0 + 1) = 5
    assert rcsp.solve(graph, limit - 0.5).objective == 9.0

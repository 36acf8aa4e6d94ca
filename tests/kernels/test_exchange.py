"""Instances and witnesses as files: what comes back, and what is refused in a line."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from kernel_files import CUT, GRAPH, KNAPSACK, Data

from qopt.core.errors import InputError
from qopt.kernels import exchange, mckp, mincut
from qopt.kernels.checker import check
from qopt.kernels.knapsack.result import Result
from qopt.kernels.paths.graph import Digraph, Layered


def test_instances_come_back_as_they_were(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "x.json"
    cost, weight, limit = rng.normal(size=(4, 3)), rng.normal(size=(2, 4, 3)), np.array([1 / 3, math.inf])
    exchange.save(path, exchange.mckp_instance(cost, weight, limit, ties=[[1, 3]]))
    found = exchange.load(path)
    assert isinstance(found, exchange.Knapsack)
    for before, after in zip((cost, weight, limit), found[:3], strict=True):
        np.testing.assert_array_equal(before, after)
    assert found.ties == [[1, 3]]

    ends = rng.integers(0, 5, (2, 9))
    arc_cost = np.where(rng.random(9) < 0.3, np.inf, rng.random(9))
    graph = Digraph(5, ends[0], ends[1], arc_cost, rng.random((2, 9)), 0, 4)
    exchange.save(path, exchange.rcsp_instance(graph, limit))
    route = exchange.load(path)
    assert isinstance(route, exchange.Route)
    for name in ("vertices", "tail", "head", "cost", "resource", "source", "target"):
        np.testing.assert_array_equal(getattr(graph, name), getattr(route.graph, name))
    np.testing.assert_array_equal(route.limit, limit)

    layered = Layered(rng.random((3, 2)), rng.random((3, 2)), rng.random((2, 2)))
    assert len(exchange.rcsp_instance(layered, 1.5)["arcs"]) == len(layered.digraph().tail)

    unary = np.where(rng.random((4, 3)) < 0.3, np.inf, rng.normal(size=(4, 3)))
    tensors = [(0, [1, 2], [0.1, math.inf]), (3, [], [0.0, 1 / 7])]
    exchange.save(path, exchange.cut_instance(unary, tensors))
    cut = exchange.load(path)
    assert isinstance(cut, exchange.Labelling)
    np.testing.assert_array_equal(cut.unary, unary)
    assert cut.tensors == tensors
    result = mincut.solve(*cut)
    assert check(exchange.cut_instance(*cut), exchange.cut_witness(result)).accepted


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"format": "x"}, "format"),
        ({"version": 2}, "version"),
        ({"kind": "lp"}, "kind"),
        ({"lower": 3}, "lower"),
        ({"limit": "2"}, "limit"),
        ({"limit": [True]}, "limit[0]"),
        ({"limit": [2, 2]}, "weight"),
        ({"cost": [[1, 2], [3]]}, "cost[1]"),
        ({"cost": [[1, 2], [3, None]]}, "cost[1][1]"),
        ({"cost": [[1, 2**53 + 1], [3, 4]]}, "cost[0][1]"),
        ({"cost": [[1, 10**400], [3, 4]]}, "cost[0][1]"),
        ({"weight": [[[0, 1, 2], [0, 1]]]}, "weight[0][1]"),
        ({"ties": [[0, 2]]}, "ties[0][1]"),
        ({"ties": 3}, "ties"),
    ],
)
def test_a_bad_instance_is_one_line(tmp_path: Path, change: Data, field: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**KNAPSACK, **change}))
    with pytest.raises(InputError) as caught:
        exchange.load(path)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "change", "field"),
    [
        (GRAPH, {"arcs": [[0, 4, 2, 3]]}, "arcs[0][1]"),
        (GRAPH, {"vertices": 10**12}, "vertices"),
        (GRAPH, {"source": 4}, "source"),
        (GRAPH, {"arcs": [[0, 1, 2]]}, "arcs[0]"),
        (GRAPH, {"arcs": [[0, 1.0, 2, 3]]}, "arcs[0][1]"),
        (GRAPH, {"arcs": [[0, 1, 2, None]]}, "arcs[0][3]"),
        (CUT, {"labels": 3}, "unary[0]"),
        (CUT, {"unary": [[0, "5"], [4, 0]]}, "unary[0][1]"),
        (CUT, {"tensors": [[2, [1], [3]]]}, "tensors[0][0]"),
        (CUT, {"tensors": [[0, [2], [3]]]}, "tensors[0][1][0]"),
        (CUT, {"tensors": [[0, [1], [-3]]]}, "tensors[0][2]"),
        (CUT, {"tensors": [[0, [1], [3, 3]]]}, "tensors[0][2]"),
        (CUT, {"tensors": [[0, [1]]]}, "tensors[0]"),
    ],
)
def test_bad_graphs_and_cuts_are_named(data: Data, change: Data, field: str) -> None:
    with pytest.raises(InputError) as caught:
        exchange.from_data({**data, **change})
    assert caught.value.field == field


def test_what_is_not_proved_has_no_witness() -> None:
    stopped = mckp.solve([[1.0, 2.0]] * 3, [[2.0, 1.0]] * 3, 4.0, upper=0.0)
    with pytest.raises(InputError):
        exchange.mckp_witness(stopped)
    for wrong in ([[math.nan]], [[math.inf]]):
        with pytest.raises(InputError):
            exchange.mckp_instance(wrong, [[1.0]], 1.0)
    with pytest.raises(InputError):
        exchange.mckp_instance([[1.0]], [[1.0]], [1.0, 2.0])
    with pytest.raises(InputError):
        exchange.mckp_instance([[1.0]], [[1.0]], -math.inf)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: exchange.mckp_instance([[1.0], [1.0, 2.0]], [[1.0]], 1.0), "cost"),
        (lambda: exchange.mckp_instance([[1.0]], [[1.0], [1.0, 2.0]], 1.0), "weight"),
        (lambda: exchange.mckp_instance([["a"]], [[1.0]], 1.0), "cost"),
        (lambda: exchange.mckp_instance([[1.0]], [[1.0]], "much"), "limit"),
        (lambda: exchange.mckp_instance([[1.0]], [[1.0]], 1.0, [[0, 1]]), "ties[0][1]"),
        (lambda: exchange.mckp_instance([[1.0]], [[1.0]], 1.0, 3), "ties"),
        (lambda: exchange.rcsp_instance(5, 5), "graph"),  # type: ignore[arg-type]
        (lambda: exchange.rcsp_instance(Digraph(2, [0], [1], [1.0], [1.0], 0, 1), "x"), "limit"),  # type: ignore[arg-type]
        (lambda: exchange.mckp_witness(None), "result"),
        (lambda: exchange.rcsp_witness(3), "result"),
        (lambda: exchange.cut_witness(None), "result"),
        (lambda: exchange.save("nowhere.json", {"x": math.nan}), "data"),
        (lambda: exchange.save("nowhere.json", {"x": np.zeros(2)}), "data"),
    ],
)
def test_what_cannot_be_written_is_one_line(call: Callable[[], object], field: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.field == field
    assert "\n" not in str(caught.value)
    assert not Path("nowhere.json").exists()


def test_a_gap_is_written_in_plain_numbers() -> None:
    tree = [["leaf", 1, np.float64(0.5)]]
    result = Result("within-gap", np.zeros(1, dtype=np.int64), np.float64(2.0), np.float64(1.5), tree)
    witness = exchange.mckp_witness(result)
    assert type(witness["gap"]) is float
    assert type(witness["tree"][0][2]) is float
    assert witness["gap"] == pytest.approx(0.25)
    assert exchange.mckp_witness(dataclasses.replace(result, objective=0.0, bound=0.0))["gap"] == 0.0
    with pytest.raises(InputError):
        exchange.mckp_witness(dataclasses.replace(result, objective=0.0, bound=-1.0))


@pytest.mark.parametrize("data", [GRAPH, CUT])
def test_only_a_knapsack_has_ties(data: Data) -> None:
    for ties in ([], [[0, 1]]):
        verdict = check({**data, "ties": ties}, None)
        assert not verdict.accepted
        assert "its fields are not" in verdict.reason

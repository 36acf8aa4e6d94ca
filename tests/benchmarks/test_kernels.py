"""The kernels' benchmark runs, judges answers from the data, and draws the same instances every time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scripts import ROOT, scripts
from sweeps import swept

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Iterator[tuple[ModuleType, ModuleType]]:
    """The script and its instances."""
    with scripts("benchmarks", "kernels", "kernel_instances") as modules:
        yield modules.kernels, modules.kernel_instances


@pytest.mark.parametrize(
    ("only", "least"), swept([((), 8), (("--only", "mckp", "--rows", "unc"), 2)], lambda case: not case[0])
)
def test_the_script_prints_a_line_a_solver(tmp_path: Path, only: tuple[str, ...], least: int) -> None:
    out = tmp_path / "figures.json"
    script = [sys.executable, str(BENCHMARKS / "kernels.py"), "--quick", "--solvers", "qopt,highs", "--json", str(out)]
    script += only
    run = subprocess.run(script, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in run.stdout.splitlines() if line[:1] == "|"
    ]
    assert {len(row) for row in rows} == {10}
    measured = [row for row in rows[2:] if row[1] in ("qopt", "highs")]
    assert len(measured) == len(rows) - 2 >= least
    assert [row[5] for row in measured if row[1] == "qopt"] == ["2 / 0 / 0"] * (len(measured) // 2)
    data = json.loads(out.read_text())
    assert data["missing"] == {}
    assert len(data["records"]) == 2 * len(measured)
    assert all(r["seconds"] > 0 and r["megabytes"] >= 0 and r["feasible"] for r in data["records"])
    values: dict[Any, set[float]] = {}
    assert all(r["optimal"] for r in data["records"] if r["solver"] == "qopt")
    for r in (r for r in data["records"] if r["optimal"]):
        values.setdefault((r["row"], r["seed"]), set()).add(round(r["value"], 6))
    assert all(len(v) == 1 for v in values.values())


@pytest.mark.sweep
def test_a_missing_peer_is_said_to_be_missing(tmp_path: Path) -> None:
    """An interpreter without packages stands for one without PuLP."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    script = [sys.executable, str(BENCHMARKS / "kernels.py"), "--quick", "--only", "mckp", "--rows", "unc"]
    script += ["--solvers", "qopt,pulp", "--peers-python", str(bare)]
    run = subprocess.run(script, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "pulp: MISSING, " in run.stdout
    assert "| missing: the process ended with code 1: ModuleNotFoundError: No module named " in run.stdout


@pytest.mark.parametrize(
    ("reply", "choice", "expected"),
    [
        ({"optimal": True}, [1, 0], "right"),
        ({"optimal": True}, [0, 0], "wrong"),  # dearer than the best
        ({"optimal": True}, [1, 1], "wrong"),  # breaks the limit
        ({"optimal": True, "timed_out": True}, [1, 0], "wrong"),  # stopped by the clock, called optimal
        ({"optimal": True}, None, "wrong"),
        ({"said": "Infeasible"}, None, "wrong"),
        ({"said": "Time limit", "timed_out": True}, [1, 0], "open"),
    ],
)
def test_claims_are_judged(bench: Any, reply: dict[str, Any], choice: list[int] | None, expected: str) -> None:
    kernels, instances = bench
    instance = instances.Knapsack(np.array([[3.0, 1.0], [3.0, 1.5]]), np.array([[0.0, 1.0], [0.0, 1.0]]), 1.0)
    judged = None if choice is None else instance.judge(choice)
    best = instance.judge([1, 0])
    assert (best.value, best.feasible) == (4.0, True)
    assert kernels.verdict(reply, judged, best.value, 0.0)[0] == expected


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ([1, 0], "stopped at the best"),
        ([0, 0], "stopped, 5e-01 above the best"),
        ([1, 1], "stopped without an answer that is feasible"),
        (None, "stopped without an answer that is feasible"),
    ],
)
def test_what_a_stopped_search_leaves_is_said(bench: Any, choice: list[int] | None, said: str) -> None:
    kernels, instances = bench
    instance = instances.Knapsack(np.array([[3.0, 1.0], [3.0, 1.5]]), np.array([[0.0, 1.0], [0.0, 1.0]]), 1.0)
    judged = None if choice is None else instance.judge(choice)
    assert kernels.verdict({"said": "limit"}, judged, 4.0, 0.0) == ("open", said)
    assert kernels.verdict({"failed": "out of memory"}, judged, 4.0, 0.0) == ("open", "out of memory")


@pytest.mark.parametrize(
    "family", ["qpart", "unc", "weak", "strong", "subset-sum", "unc-real", "weak-real", "strong-real"]
)
def test_knapsacks_are_what_their_class_says(bench: Any, family: str) -> None:
    _, instances = bench
    one, again, other = (instances.knapsack(family, 30, 9, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.cost, again.cost)
    assert not np.array_equal(one.cost, other.cost)
    lightest, heaviest = one.weight.min(axis=1).sum(), one.weight.max(axis=1).sum()
    assert lightest < one.limit < heaviest
    whole = bool(np.all(one.cost == np.rint(one.cost)) and np.all(one.weight == np.rint(one.weight)))
    assert whole == (family in ("unc", "weak", "strong", "subset-sum"))
    if family == "subset-sum":
        np.testing.assert_array_equal(one.cost, -one.weight)
    if family.startswith("strong"):  # profit per weight falls from item to item: nothing is dominated
        slopes = np.diff(-one.cost, axis=1) / np.diff(one.weight, axis=1)
        assert np.all(np.diff(slopes, axis=1) <= 1e-9)
    if family.startswith("weak"):
        assert np.abs(one.cost - 1101 + one.weight).max() <= 100 + 1e-9


@pytest.mark.parametrize(("family", "k", "rows"), [("qpart", 9, 2), ("unc", 9, 2), ("unc", 9, 5), ("mknap", 2, 5)])
def test_knapsacks_of_several_rows_are_what_their_class_says(bench: Any, family: str, k: int, rows: int) -> None:
    _, instances = bench
    one, again, other = (instances.knapsack_rows(family, 30, k, rows, seed) for seed in (1, 1, 2))
    assert one.kind == "rows"
    assert (one.cost.shape, one.weight.shape, np.shape(one.limit)) == ((30, k), (rows, 30, k), (rows,))
    np.testing.assert_array_equal(one.cost, again.cost)
    np.testing.assert_array_equal(one.weight, again.weight)
    assert not np.array_equal(one.cost, other.cost)
    assert np.all(one.weight.min(axis=2).sum(axis=1) < one.limit)
    cheapest = one.cost.argmin(axis=1)
    assert not one.judge(cheapest.tolist()).feasible
    if family == "qpart":  # outputs take no memory, and all others in proportion to what they cost
        output = np.all(one.weight[1] == 0, axis=1)
        assert np.count_nonzero(output) == 3
        np.testing.assert_array_equal(one.weight[1][~output], one.cost[~output])
        return
    assert np.all(one.limit == np.rint(one.limit))
    if family == "mknap":
        taken, profit = one.weight[:, :, 1], -one.cost[:, 1]
        assert np.all((taken >= 0) & (taken <= 1000) & (taken == np.rint(taken)))
        assert not one.weight[:, :, 0].any()
        np.testing.assert_array_equal(one.limit, np.floor(taken.sum(axis=1) / 2))  # the turn of alpha = 1/2
        beyond = profit - taken.mean(axis=0)
        assert np.all((beyond > -1) & (beyond <= 500))


def test_every_row_of_a_knapsack_is_judged(bench: Any) -> None:
    _, instances = bench
    weight = np.array([[[0.0, 1.0], [0.0, 2.0]], [[4.0, 0.0], [3.0, 0.0]]])
    instance = instances.Knapsack(np.array([[1.0, 5.0], [2.0, 7.0]]), weight, np.array([2.0, 5.0]))
    assert instance.judge([1, 0]) == (7.0, True, -0.4)
    assert instance.judge([0, 0]) == (3.0, False, 0.4)
    assert instance.judge([1, 1]) == (12.0, False, 0.5)


@pytest.mark.parametrize(("family", "k", "least"), [("qpart", 9, 4), ("mknap", 2, 0)])
def test_peers_get_rows_that_admit_the_same_choices(
    bench: Any, family: str, k: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, instances = bench
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers"))
    import scaling

    drawn = instances.knapsack_rows(family, 10, k, 2, 0)
    weight, limit = scaling.rows_of(drawn.weight, drawn.limit)
    scaled = {"one": scaling.to_one(drawn.cost, weight, limit), "whole": scaling.to_integers(drawn.cost, weight, limit)}
    if family == "qpart":
        np.testing.assert_array_equal(scaled["one"][2], [1.0, 1.0])
    classes, admitted = np.arange(10), set()
    for choice in np.random.default_rng(0).integers(least, k, (300, 10)):
        loads = weight[:, classes, choice].sum(axis=1)
        assert np.all(np.abs(loads - limit) > 1e-9 * limit)  # none within what scaling rounds
        admitted |= set((loads <= limit).tolist())
        for _, heavy, most in scaled.values():
            np.testing.assert_array_equal(heavy[:, classes, choice].sum(axis=1) <= most, loads <= limit)
    assert admitted == {True, False}
    one, most = scaling.rows_of(drawn.weight[0], np.asarray(drawn.limit[0]))  # a single row is one of several
    assert (one.shape, most.shape) == ((1, 10, k), (1,))


def test_answers_of_the_other_kinds_are_judged(bench: Any) -> None:
    _, instances = bench
    layered = instances.Layered(
        np.array([[1.0, 2.0], [4.0, 8.0]]), np.ones((2, 2)), np.array([[0, 0.5], [0.25, 0]]), np.zeros((2, 2)), 2.0
    )
    assert layered.judge([1, 0]) == (6.25, True, 0.0)
    arcs = np.array([[0, 1, 1, 1], [1, 2, 1, 1], [0, 2, 1, 3]], dtype=float)
    digraph = instances.Digraph(arcs, 0, 2, np.zeros(1), np.array([2.0]))
    assert digraph.judge([0, 1])[:2] == (2.0, True)
    assert digraph.judge([2])[:2] == (1.0, False)
    assert not digraph.judge([0]).feasible  # does not reach the target
    unary = np.array([[1.0, np.inf], [5.0, 1.0], [5.0, 1.0]])
    placement = instances.Placement(unary, np.array([0]), np.array([0, 2]), np.array([1, 2]), np.array([[2.0]]))
    assert placement.judge([0, 1, 1])[:2] == (5.0, True)  # the tensor crosses once, for both
    assert placement.judge([0, 0, 0])[:2] == (11.0, True)
    assert not placement.judge([1, 1, 1]).feasible

"""The checker of the kernels' answers on witnesses written by hand: what each rule accepts, and what it refuses."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from kernel_files import CUT, GRAPH, KNAPSACK, Data, headed

from qopt.kernels import checker
from qopt.kernels.checker import check

TREE = [["split", 0, [0]], ["leaf", 1, 1], ["leaf", 1, 3.0]]


@pytest.mark.parametrize(
    ("choice", "tree", "why"),
    [
        ([2, 0], TREE, None),
        ([1, 1], TREE, None),
        ([1, 1], [["leaf", 1, 2.5]], "does not reach"),
        ([1, 1], [TREE[0], TREE[2], TREE[1]], "does not reach"),
        ([0, 1], TREE, "does not reach"),
        ([2, 1], TREE, "breaks limit 0"),
        ([1], TREE, "not a list of 2"),
        ([True, 1], TREE, "a choice"),
        ([3, 0], TREE, "a choice"),
        (None, TREE, "nothing is feasible"),
        ([1, 1], TREE[:2], "ends too early"),
        ([1, 1], [*TREE, TREE[2]], "after its end"),
        ([1, 1], [], "ends too early"),
        ([1, 1], None, "not a list"),
        ([1, 1], [["split", 0, [0, 1, 2]], *TREE[1:]], "empty"),
        ([1, 1], [["split", 0, []], *TREE[1:]], "empty"),
        ([1, 1], [["split", 0, [0, 0]], *TREE[1:]], "twice"),
        ([1, 1], [["split", 0, [3]], *TREE[1:]], "a column"),
        ([1, 1], [["split", 2, [0]], *TREE[1:]], "class"),
        ([1, 1], [["split", 0, [2]], ["split", 0, [1]], *TREE[1:], TREE[2]], "no longer allowed"),
        ([1, 1], [["cross", 0, [0]], *TREE[1:]], "neither"),
        ([1, 1], [["leaf", 1, -2.0]], "negative"),
        ([1, 1], [["leaf", 1, 2.0, 0.0]], "1 multipliers"),
        ([1, 1], [["leaf", 1]], "1 multipliers"),
        ([1, 1], [["leaf", True, 2.0]], "1 multipliers"),
        ([1, 1], [["leaf", 1, math.nan]], "not a number"),
        ([1, 1], [["leaf", 1, math.inf]], "not a number"),
        ([1, 1], [["leaf", 1, 10**400]], "not a number"),
        ([1, 1], [["leaf", 1, "2"]], "not a number"),
        ([1, 1], [["leaf", 0, 1.0]], "proves nothing"),
        ([1, 1], [[]], "neither"),
    ],
)
def test_a_knapsack_by_hand(choice: Any, tree: Any, why: str | None) -> None:
    verdict = check(KNAPSACK, headed("witness", "mckp", choice=choice, tree=tree))
    assert verdict.accepted is (why is None), verdict
    if why is None:
        assert verdict.objective == verdict.bound == 4
    else:
        assert why in verdict.reason
        assert "\n" not in verdict.reason


def one_knapsack(cost: Any, weight: Any, limit: Any, choice: Any, *leaf: Any, **more: Any) -> checker.Verdict:
    data = headed("instance", "mckp", cost=cost, weight=weight, limit=limit, **more)
    return check(data, headed("witness", "mckp", choice=choice, tree=[["leaf", *leaf]]))


def test_bounds_and_limits_are_rounded_to_the_grid_of_their_sums() -> None:
    whole, even, odd = [[2.0, 1.0]] * 2, [[[0.0, 2.0]] * 2], 2.0**-40
    no_grid = [[[0.0, 2.0], [0.0, 2.0 + odd]]]
    # One of the two at 1 fits, which costs 3. Multiplier 1/2 shows 2.5, and 3 as costs are whole.
    assert one_knapsack(whole, no_grid, [3.0], [1, 0], 1, 0.5).accepted
    assert not one_knapsack([[2.0, 1.0], [2.0, 1.0 + odd]], no_grid, [3.0], [1, 0], 1, 0.5).accepted
    # Weights are even, so that the limit 3 is 2: that shows 3 for any costs.
    assert one_knapsack([[2.0, 1.0], [2.0, 1.0 + odd]], even, [3.0], [1, 0], 1, 0.5).accepted
    verdict = one_knapsack(whole, even, [1.9], [0, 0], 0, 1.0)  # only whole answers of no weight fit
    assert "proves nothing" in verdict.reason
    assert one_knapsack(whole, even, [1.9], [0, 0], 1, 0.0).reason.endswith("does not reach the cost of the answer")
    assert one_knapsack(whole, even, [1.9], [0, 0], 1, 0.5).accepted


def test_nothing_is_cheaper_by_more_than_a_milliardth() -> None:
    near, far = 1 + 0.9e-9, 1 + 1.1e-9
    verdict = one_knapsack([[1, near]], [[[0, 0]]], [0], [1], 1, 0)
    assert verdict.accepted
    assert verdict.bound == 1
    assert verdict.objective == Fraction(near)
    assert verdict.reason == "nothing is cheaper by more than 1e-09 of it"
    assert not one_knapsack([[1, far]], [[[0, 0]]], [0], [1], 1, 0).accepted
    assert not one_knapsack([[0, 5e-324]], [[[0, 0]]], [0], [1], 1, 0).accepted
    assert not one_knapsack([[-far, -1]], [[[0, 0]]], [0], [1], 1, 0).accepted


def test_limits_have_a_slack_of_a_trillionth() -> None:
    weight = [[[0.1], [0.2]]]
    assert one_knapsack([[1], [1]], weight, [0.3], [0, 0], 1, 0).accepted
    assert one_knapsack([[1], [1]], weight, [0.3 * (1 - 1e-11)], None, 0, 1.0).accepted
    assert not one_knapsack([[1], [1]], weight, [0.3 * (1 - 1e-11)], [0, 0], 1, 0).accepted
    negative = [[[-0.1], [-0.2]]]
    assert one_knapsack([[1], [1]], negative, [-0.3 * (1 - 1e-13)], [0, 0], 1, 0).accepted
    assert one_knapsack([[1], [1]], negative, [-0.3 * (1 - 1e-11)], [0, 0], 1, 0).accepted
    assert one_knapsack([[1], [1]], negative, [-0.31], None, 0, 1.0).accepted


def test_bounds_are_exact_where_floats_are_not() -> None:
    """The answer must reach the bound in rationals; here floats would lose a term of 1e-30 beside 1."""
    cost = [[1.0, 1e-30], [1e-30, 1.0]]
    verdict = one_knapsack(cost, [[[0, 0]] * 2], [0], [1, 0], 1, 0)
    assert verdict.objective == verdict.bound == 2 * Fraction(1e-30)
    tiny = one_knapsack([[5e-324, 1e300]], [[[1e300, 5e-324]]], [1.0], [1], 1, 1e300)
    assert tiny.accepted
    assert tiny.objective == Fraction(1e300)


def test_rows_ties_and_no_limit() -> None:
    cost, rows = [[3, 0], [3, 0], [3, 0]], [[[0, 1]] * 3, [[0, 1], [0, 9], [0, 1]]]
    assert one_knapsack(cost, rows, [None, None], [1, 1, 1], 1, 0, 0).accepted
    assert "without a limit" in one_knapsack(cost, rows, [None, 5], [1, 0, 1], 1, 1, 0).reason
    assert one_knapsack(cost, rows, [2, 5], [1, 0, 1], 1, 3.0, 0).accepted  # one leaf, the first row's multiplier
    assert one_knapsack(cost, rows, [3, 5], [1, 0, 1], 1, 0.0, 0.0).accepted is False
    tied = [[0, 2], [1]]
    assert one_knapsack(cost, rows, [2, 5], [1, 0, 1], 1, 3.0, 0, ties=[[0, 2]]).accepted
    assert "tied classes" in one_knapsack(cost, rows, [2, 5], [1, 0, 0], 1, 3.0, 0, ties=tied).reason
    # All three tied: none can take column 1 within the second row, and the merged class is one.
    assert one_knapsack(cost, rows, [3, 5], [0, 0, 0], 1, 0, 2.0, ties=[[0, 1, 2]]).accepted
    several: list[Any] = [[[]], [[0, 0]], [[0, 1], [1, 2]], [[3]], [["0"]], 7]
    for ties in several:
        verdict = one_knapsack(cost, rows, [2, 5], [1, 0, 1], 1, 3.0, 0, ties=ties)
        assert verdict.reason.startswith("the instance")
        assert "malformed" not in verdict.reason


def test_knapsacks_without_classes_or_rows() -> None:
    assert one_knapsack([], [[]], [0], [], 1, 0).accepted
    assert one_knapsack([], [[]], [-1], None, 0, 1).accepted
    assert one_knapsack([[2, 1]], [], [], [1], 1).accepted
    assert not one_knapsack([[]], [[[]]], [1], [], 1, 0).accepted


GOOD = [["out", 0, [0]], ["cross", 1, [2]], ["leaf", 0, 1], ["leaf", 1, 5], ["leaf", 1, 0]]


@pytest.mark.parametrize(
    ("path", "tree", "why"),
    [
        ([1, 3], GOOD, None),
        ([1, 3], [["cross", 0, [0]], *GOOD[1:]], None),
        ([1, 3], [["leaf", 1, 1]], "does not reach"),
        ([1, 3], [*GOOD[:3], ["leaf", 1, 0], GOOD[4]], "does not reach"),
        ([4], GOOD, "does not reach"),
        ([0, 2], GOOD, "breaks limit 0"),
        ([3, 1], GOOD, "does not lead"),
        ([1], GOOD, "does not lead"),
        ([], GOOD, "does not lead"),
        ([6], GOOD, "an arc"),
        (None, GOOD, "nothing is feasible"),
        ([1, 3], [["out", 1, [3]], *GOOD[1:]], "not allowed"),
        ([1, 3], [["out", 0, [0, 0]], *GOOD[1:]], "twice"),
        ([1, 3], [["out", 0, [0, 1, 4]], *GOOD[1:]], "empty"),
        ([1, 3], [["out", 4, [0]], *GOOD[1:]], "vertex"),
        ([1, 3], [["out", 3, []], *GOOD[1:]], "empty"),
        ([1, 3], [["split", 0, [0]], *GOOD[1:]], "neither"),
        ([1, 3], GOOD[:4], "ends too early"),
        ([1, 3], [*GOOD[:3], ["leaf", 1, -5], GOOD[4]], "negative"),
    ],
)
def test_a_path_by_hand(path: Any, tree: Any, why: str | None) -> None:
    verdict = check(GRAPH, headed("witness", "rcsp", path=path, tree=tree))
    assert verdict.accepted is (why is None), verdict
    if why is None:
        assert verdict.objective == verdict.bound == 4
    else:
        assert why in verdict.reason


def test_graphs_with_cycles_absent_arcs_and_loops() -> None:
    def verdict(path: Any, tree: Any, **changes: Any) -> checker.Verdict:
        return check({**GRAPH, **changes}, headed("witness", "rcsp", path=path, tree=tree))

    back = [*GRAPH["arcs"], [2, 1, 0, 0]]
    out = [["out", 0, [0]], ["leaf", 1, 5], ["leaf", 1, 0]]
    assert not verdict([1, 3], out, arcs=back).accepted  # 0-2-1-3 costs 3 now
    assert verdict([1, 6, 2], out, arcs=back).accepted
    assert "cross" in verdict([1, 6, 2], [["cross", 0, [0]], *out[1:]], arcs=back).reason
    assert "negative" in verdict([1, 6, 2], out, arcs=[*GRAPH["arcs"], [2, 1, -1, 0]]).reason
    assert "negative" in verdict([1, 3], GOOD, arcs=[*GRAPH["arcs"], [1, 1, -1, 0]]).reason
    assert verdict([1, 3], GOOD, arcs=[*GRAPH["arcs"], [1, 1, 1, 0]]).accepted
    absent = [arc if k == 4 else [*arc[:2], None, arc[3]] for k, arc in enumerate(GRAPH["arcs"])]
    assert "absent" in verdict([1, 3], [["leaf", 1, 0]], arcs=absent).reason
    assert verdict([4], [["leaf", 1, 0]], arcs=absent).accepted
    assert "not allowed" in verdict([4], [["out", 0, [1]], ["leaf", 1, 0], ["leaf", 1, 0]], arcs=absent).reason
    assert verdict(None, [["leaf", 1, 0]], arcs=[]).accepted  # no path at all
    assert verdict([], [["leaf", 1, 0]], target=0).accepted
    # A negative cost is fine where nothing leads back, whatever the numbers of the vertices.
    renamed = [[3 - arc[0], 3 - arc[1], -arc[2], arc[3]] for arc in GRAPH["arcs"]]
    assert verdict([4], [["leaf", 1, 0]], arcs=renamed, source=3, target=0).accepted


@pytest.mark.parametrize(
    ("labels", "flow", "why"),
    [
        ([0, 1], [[0, 0, 0, 3]], None),
        ([0, 1], [[0, 0, 0, 3.5]], "above its weight"),
        ([0, 1], [[0, 0, 0, 2]], "does not reach"),
        ([0, 1], [], "does not reach"),
        ([0, 0], [[0, 0, 0, 3]], "does not reach"),
        ([1, 0], [[0, 0, 0, 3]], "lower label"),
        ([0, 2], [[0, 0, 0, 3]], "labels[1]"),
        ([0], [[0, 0, 0, 3]], "list of 2"),
        ([0, 1], [[0, 0, 0, 2], [0, 0, 0, 1]], "twice"),
        ([0, 1], [[1, 0, 0, 3]], "tensor"),
        ([0, 1], [[0, 1, 0, 3]], "link"),
        ([0, 1], [[0, 0, 1, 3]], "reader"),
        ([0, 1], [[0, 0, 0, math.inf]], "value"),
        ([0, 1], [[0, 0, 0]], "list of 4"),
        (None, [[0, 0, 0, 3]], "above its weight"),
        (None, [[0, 0, 0, -3]], "proves nothing"),
    ],
)
def test_a_cut_by_hand(labels: Any, flow: Any, why: str | None) -> None:
    verdict = check(CUT, headed("witness", "cut", labels=labels, flow=flow))
    assert verdict.accepted is (why is None), verdict
    if why is None:
        assert verdict.objective == verdict.bound == 3
    else:
        assert why in verdict.reason


def test_readers_share_the_weight_of_their_tensor() -> None:
    data = {**CUT, "unary": [[0, 5], [4, 0], [4, 0]], "tensors": [[0, [1, 2], [3]]]}

    def verdict(*flow: float) -> checker.Verdict:
        return check(data, headed("witness", "cut", labels=[0, 1, 1], flow=[[0, 0, j, f] for j, f in enumerate(flow)]))

    assert verdict(1, 2).accepted
    assert verdict(1.5, 1.5).accepted
    for flow in ((2, 2), (3, 3), (4, -1), (-1, 4)):
        assert "above its weight" in verdict(*flow).reason


def test_a_cut_that_is_forbidden() -> None:
    no_flow: Data = headed("witness", "cut", labels=None, flow=[])
    assert check({**CUT, "unary": [[0, 1], [None, None]]}, no_flow).accepted
    upside_down = {**CUT, "unary": [[None, 1], [1, None]]}  # the reader below its producer
    assert not check(upside_down, no_flow).accepted
    assert check(upside_down, {**no_flow, "flow": [[0, 0, 0, -1]]}).accepted
    assert not check(upside_down, {**no_flow, "flow": [[0, 0, 0, 1]]}).accepted
    apart = {**CUT, "unary": [[0, None], [None, 0]], "tensors": [[0, [1], [None]]]}
    assert check(apart, {**no_flow, "flow": [[0, 0, 0, 1]]}).accepted
    assert "forbidden" in check(apart, {**no_flow, "labels": [0, 1]}).reason

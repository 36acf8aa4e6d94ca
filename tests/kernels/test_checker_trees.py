"""`checker.tree_bound`: what trees are worth, against a plain recursion in rationals; deep trees; hostile ones."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from exact import allowed, total
from hypothesis import given
from kernel_files import GRAPH, KNAPSACK, VALUES, Data, answers, graph, headed, paths
from sweeps import examples, few

from qopt.kernels import checker
from qopt.kernels.checker import Knapsack, Path, Refused, check, tree_bound

Bound = Fraction | None
Bounds = Callable[[set[Any], int, list[float]], Bound]


def multipliers(data: Data, rng: np.random.Generator) -> list[float]:
    """One for each row, 0 where there is no limit."""
    drawn = [float(rng.choice([0.0, 0.25, 1.0, 1.7, 30.0])) for _ in data["limit"]]
    return [0.0 if limit is None else lam for lam, limit in zip(drawn, data["limit"], strict=True)]


def least(values: list[Bound]) -> Bound:
    return min((value for value in values if value is not None), default=None)


class Grid(NamedTuple):
    """Answers' sums are base + k step, with k whole."""

    base: Fraction
    step: Fraction

    def up(self, x: Fraction) -> Fraction:
        return self.base + math.ceil((x - self.base) / self.step) * self.step

    def down(self, x: Fraction) -> Fraction:
        return self.base + math.floor((x - self.base) / self.step) * self.step


def grid(classes: list[list[float]], base: Fraction, apart: list[Fraction]) -> Grid:
    """The grid of numbers that lie apart from a base by these differences."""
    below = max((Fraction(x).denominator for row in classes for x in row), default=1)
    return Grid(base, Fraction(math.gcd(*(int(x * below) for x in apart)) or 1, below))


def grids(data: Data) -> list[Grid]:
    """Of the costs, then of each row."""
    if data["kind"] == "mckp":
        tables = [data["cost"], *data["weight"]]
        return [
            grid(table, total(row[0] for row in table), [Fraction(x) - Fraction(row[0]) for row in table for x in row])
            for table in tables
        ]
    columns = [[arc[x] or 0.0 for arc in data["arcs"]] for x in range(2, 3 + len(data["limit"]))]
    return [grid([column], Fraction(0), [Fraction(x) for x in column]) for column in columns]


def paid(data: Data, lams: list[float], known: list[Grid]) -> Fraction:
    """What a leaf takes off: each multiplier times its limit, on the grid of what answers use."""
    rows = zip(lams, data["limit"], known[1:], strict=True)
    return sum((Fraction(lam) * row.down(Fraction(allowed(limit))) for lam, limit, row in rows if lam), Fraction(0))


# --- reference: a tree and its bound, by recursion over sets of what is allowed -----------------------------------


def random_knapsack(rng: np.random.Generator) -> Data:
    """Real numbers, one to three rows."""
    n, k, rows = int(rng.integers(1, 5)), int(rng.integers(2, 5)), int(rng.integers(1, 4))
    cost, weight = rng.uniform(-9, 9, (n, k)), rng.uniform(0, 9, (rows, n, k))
    limit = [None if rng.random() < 0.2 else float(rng.uniform(1, 4) * n) for _ in range(rows)]
    return headed("instance", "mckp", cost=cost.tolist(), weight=weight.tolist(), limit=limit)


def grown_knapsack(data: Data, rng: np.random.Generator) -> tuple[list[Any], Bound]:
    """A random tree whose rays are genuine, and its bound."""
    known = grids(data)

    def grow(allowed: list[set[int]], depth: int) -> tuple[list[Any], Bound]:
        wide = [i for i, columns in enumerate(allowed) if len(columns) > 1]
        if wide and rng.random() < 0.8 and depth < 7:
            i = int(rng.choice(wide))
            columns = sorted(allowed[i])
            named = rng.permutation(columns)[: int(rng.integers(1, len(columns)))].tolist()
            sides = [set(named), allowed[i] - set(named)]
            parts = [grow([*allowed[:i], side, *allowed[i + 1 :]], depth + 1) for side in sides]
            return [["split", i, named], *parts[0][0], *parts[1][0]], least([part[1] for part in parts])
        lams = multipliers(data, rng)
        for a in (0, 1):
            found = sum(
                (
                    min(
                        a * Fraction(data["cost"][i][c])
                        + sum(Fraction(lam) * Fraction(w[i][c]) for lam, w in zip(lams, data["weight"], strict=True))
                        for c in columns
                    )
                    for i, columns in enumerate(allowed)
                ),
                Fraction(0),
            )
            found -= paid(data, lams, known)
            if a or found > 0:
                break
        return [["leaf", a, *lams]], known[0].up(found) if a else None

    return grow([set(range(len(row))) for row in data["cost"]], 0)


def grown_graph(data: Data, rng: np.random.Generator) -> tuple[list[Any], Bound]:
    """The same for paths, over the list of all paths."""
    arcs = data["arcs"]
    known = grids(data)
    upward = all(arc[0] < arc[1] for arc in arcs if arc[2] is not None and arc[0] != arc[1])

    def grow(left: list[list[int]], allowed: set[int], depth: int) -> tuple[list[Any], Bound]:
        groups = [("out", v, {k for k in allowed if arcs[k][0] == v}) for v in range(data["vertices"])]
        if upward:
            groups += [
                ("cross", v, {k for k in allowed if arcs[k][0] <= v < arcs[k][1]}) for v in range(data["vertices"])
            ]
        groups = [group for group in groups if len(group[2]) > 1]
        if groups and rng.random() < 0.8 and depth < 7:
            kind, v, group = groups[int(rng.integers(len(groups)))]
            order = rng.permutation(sorted(group)).tolist()
            named = order[: int(rng.integers(1, len(order)))]
            parts = []
            for gone in (group - set(named), set(named)):
                kept = [path for path in left if not gone & set(path)]
                parts.append(grow(kept, allowed - gone, depth + 1))
            return [[kind, v, named], *parts[0][0], *parts[1][0]], least([part[1] for part in parts])
        lams = multipliers(data, rng)
        for a in (0, 1):
            lengths = [
                sum(
                    (
                        a * Fraction(arcs[k][2])
                        + sum(Fraction(lam) * Fraction(x) for lam, x in zip(lams, arcs[k][3:], strict=True))
                        for k in path
                    ),
                    Fraction(0),
                )
                for path in left
            ]
            found = min(lengths, default=None)
            if a or found is None or found > paid(data, lams, known):
                break
        return [["leaf", a, *lams]], None if found is None or not a else known[0].up(found - paid(data, lams, known))

    present = {k for k, arc in enumerate(arcs) if arc[2] is not None and arc[0] != arc[1]}
    return grow(list(paths(data)), present, 0)


def off_grid(data: Data, rng: np.random.Generator) -> Data:
    """The same graph with real numbers."""
    arcs = []
    for tail, head, cost, *used in data["arcs"]:
        numbers = rng.uniform(0, 9, 1 + len(used)).tolist()
        arcs.append([tail, head, None if cost is None else numbers[0], *numbers[1:]])
    return {**data, "arcs": arcs}


def test_a_trees_bound_is_the_least_of_its_leaves() -> None:
    splits = 0
    for seed in range(few(300)):
        rng = np.random.default_rng(seed)
        if seed % 2:
            data = random_knapsack(rng)
            tree, expected = grown_knapsack(data, rng)
            problem: Knapsack | Path = Knapsack(data)
        else:
            data = off_grid(graph(seed), rng) if seed % 4 else graph(seed)
            tree, expected = grown_graph(data, rng)
            problem = Path(data)
        splits += len(tree) // 2
        found = tree_bound(problem, tree)
        assert found == expected
        assert tree_bound(problem, tree) == found, "a walk leaves nothing behind"
        with pytest.raises(Refused, match="too early"):
            tree_bound(problem, tree[:-1])
        with pytest.raises(Refused, match="after its end"):
            tree_bound(problem, [*tree, ["leaf", 1, *[0.0] * len(data["limit"])]])
        assert tree_bound(problem, tree) == found, "nor does one that was refused"
    assert splits > few(500)


def test_leaves_of_other_kinds_need_a_target() -> None:
    problem = Knapsack(
        headed("instance", "mckp", cost=[[3, 0], [3, 0], [3, 1]], weight=[[[0, 2], [0, 3], [0, 2]]], limit=[4])
    )
    tree: list[Any] = [["split", 0, [1]], ["sums", [2, 1], []], ["leaf", 1, 1.0]]
    with pytest.raises(Refused, match="does not show that nothing is feasible"):
        tree_bound(problem, tree)
    assert tree_bound(problem, tree, Fraction(7, 2)) == 4  # costs are whole
    with pytest.raises(Refused, match="a sum is left"):
        tree_bound(problem, tree, 5)
    assert tree_bound(problem, [["leaf", 0, 0.0], tree[2]][1:]) == tree_bound(problem, [tree[2]], 100)
    with pytest.raises(Refused, match="node 0 of the tree: sums, which is not a leaf of paths"):
        tree_bound(Path(GRAPH), [["sums", [], []]], 1)


def test_a_tree_may_ask_for_so_many_sums_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    cost, weight = rng.uniform(0, 9, (6, 3)).tolist(), rng.uniform(0, 9, (6, 3)).tolist()
    data = headed("instance", "mckp", cost=cost, weight=[weight], limit=[20])
    tree: list[Any] = [["split", 0, [0]], ["sums", list(range(6)), []], ["sums", list(range(6)), []]]
    target = min(value for _, value in answers(data))
    problem = Knapsack(data)
    tree_bound(problem, tree, target)
    for name, most in (("MOST_SUMS", problem.made - 1), ("MOST_AT_ONCE", 2)):
        with monkeypatch.context() as patched:
            patched.setattr(checker, name, most)
            with pytest.raises(Refused, match="it asks for more than"):
                tree_bound(problem, tree, target)
    assert tree_bound(problem, tree, target) is not None


# --- deep ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", ["second", "first"])
def test_chains_over_fifty_classes(nested: str) -> None:
    """Column after column of every class is split off, until one is left of each."""
    n, k = 50, 401 if nested == "second" else 61
    cost = [[float(c) for c in range(k)] for _ in range(n)]
    data = headed("instance", "mckp", cost=cost, weight=[[[0.0] * k] * n], limit=[1.0])
    tree: list[Any] = []
    for c, i in itertools.product(range(k - 1), range(n)):
        if nested == "second":  # the cheapest column leaves: a leaf, and the tree goes on with the others
            tree += [["split", i, [c]], ["leaf", 1, 0.0]]
        else:
            tree.append(["split", i, list(range(c + 1, k))])
    tree += [["leaf", 1, 0.0]] * (1 if nested == "second" else (k - 1) * n + 1)
    problem = Knapsack(data)
    assert tree_bound(problem, tree) == 0
    assert check(data, headed("witness", "mckp", choice=[0] * n, tree=tree)).accepted
    with pytest.raises(Refused, match="too early"):
        tree_bound(problem, tree[:-1])


def test_a_hundred_thousand_splits_below_each_other() -> None:
    """No copy of what is allowed is kept for each: that would be 10^10 numbers."""
    n = few(100_000)
    data = headed("instance", "mckp", cost=[[1.0, 2.0]] * n, weight=[[[0.0, 0.0]] * n], limit=[1.0])
    splits: list[Any] = [["split", i, [0]] for i in range(n)]
    with pytest.raises(Refused, match="the tree ends too early"):
        tree_bound(Knapsack(data), [*splits, ["leaf", 1, 0.0], ["leaf", 1, 0.0]])
    m = few(20_000)
    arcs = [[v, v + 1, x, 1.0] for v in range(m) for x in (1.0, 2.0)]
    line = headed("instance", "rcsp", vertices=m + 1, source=0, target=m, arcs=arcs, limit=[None])
    outs: list[Any] = [["out", v, [2 * v]] for v in range(m)]
    with pytest.raises(Refused, match="the tree ends too early"):
        tree_bound(Path(line), [*outs, ["leaf", 1, 0.0], ["leaf", 1, 0.0]])
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    for tree in (nested, ["leaf", nested], [["leaf", 1, nested]], [["split", 0, nested]]):
        with pytest.raises(Refused):
            tree_bound(Knapsack(KNAPSACK), tree)


# --- hostile ------------------------------------------------------------------------------------------------------


class Odd:
    """Compares with nothing."""

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __hash__(self) -> int:
        return 0


HOSTILE: list[Any] = [
    None,
    {},
    "tree",
    [None],
    [{}],
    ["leaf"],
    [["leaf"]],
    [["leaf", 1]],
    [["leaf", True, 0.0]],
    [["leaf", 1.0, 0.0]],
    [["leaf", 1, True]],
    [["leaf", 1, math.nan]],
    [["leaf", 1, math.inf]],
    [["leaf", 1, -1e-300]],
    [["leaf", 1, 10**400]],
    [["leaf", 1, "0"]],
    [["leaf", 1, [0]]],
    [[Odd(), 1, 0.0]],
    [["leaf", 1, Odd()]],
    [["leaf", np.int64(1), 0.0]],
    [["leaf", 1, np.float64(0.0)]],
    np.array([1.0]),
    [np.array(["leaf", "x"])],
    [[np.zeros(2), 1, 2]],
]


@pytest.mark.parametrize("tree", HOSTILE, ids=lambda tree: type(tree).__name__)
def test_hostile_trees_are_refused_in_a_line(tree: Any) -> None:
    for problem in (Knapsack(KNAPSACK), Path(GRAPH)):
        for target in (None, 1):
            with pytest.raises(Refused) as caught:
                tree_bound(problem, tree, target)
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 300


@given(VALUES)
@examples(200)
def test_nothing_but_refused_is_raised(value: Any) -> None:
    good: list[Any] = [["split", 0, [0]], ["leaf", 1, 1.0], ["leaf", 1, 1.0]]
    trees = [value, [value], [value, *good[1:]], [good[0], value, good[2]], [["split", 0, value], *good[1:]]]
    trees += [
        [["split", value, [0]], *good[1:]],
        [["leaf", value, 1.0]],
        [["leaf", 1, value]],
        [["sums", value, value]],
    ]
    for tree in trees:
        for problem in (Knapsack(KNAPSACK), Path(GRAPH)):
            with contextlib.suppress(Refused):
                tree_bound(problem, tree, 1)

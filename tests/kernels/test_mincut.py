"""Minimum cut on ordered labels against enumeration, HiGHS on the linear relaxation, and its dual in rationals."""

from __future__ import annotations

import itertools
import json
import math
import sys
from fractions import Fraction
from typing import Any

import networkx
import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array
from sweeps import few, swept

from qopt.core.errors import InputError
from qopt.kernels import mincut
from qopt.kernels.mincut import Tensors

Rows = list[tuple[int, list[int], list[float]]]


def enumerated(unary: Any, rows: Rows) -> float:
    """Least cost over all labellings, straight from the statement; infinite if none is feasible."""
    n, labels = unary.shape
    best = math.inf
    for choice in itertools.product(range(labels), repeat=n):
        terms = [float(unary[v, choice[v]]) for v in range(n)]
        for producer, readers, weights in rows:
            if any(choice[r] < choice[producer] for r in readers):
                terms.append(math.inf)
            elif readers:
                terms += weights[choice[producer] : max(choice[r] for r in readers)]
        best = min(best, math.fsum(terms) if all(map(math.isfinite, terms)) else math.inf)
    return best


def check(unary: Any, rows: Rows, witness: dict[str, Any], tolerance: Fraction = Fraction(1, 10**9)) -> Fraction | None:
    """Check a witness in rationals, from its definition; its bound, None for a proof that nothing is feasible."""
    n, labels = unary.shape
    assert (witness["format"], witness["version"], witness["kind"]) == ("qopt/kernel-witness", 1, "cut")
    chosen = witness["labels"]
    paid: dict[tuple[int, int], Fraction] = {}
    moved = [[Fraction(0)] * (labels - 1) for _ in range(n)]
    seen = set()
    for t, link, j, value in witness["flow"]:
        assert (t, link, j) not in seen
        seen.add((t, link, j))
        producer, readers, _ = rows[t]
        f = Fraction(value)
        paid[t, link] = paid.get((t, link), Fraction(0)) + max(f, Fraction(0))
        moved[readers[j]][link] += f
        moved[producer][link] -= f
    for (t, link), amount in paid.items():
        weight = rows[t][2][link]
        assert weight == math.inf or amount <= (0 if chosen is None else Fraction(weight))
    bound = Fraction(0)
    for v in range(n):
        prefix = [sum(moved[v][:label], Fraction(0)) for label in range(labels)]
        options = [
            prefix[label] + (0 if chosen is None else Fraction(float(unary[v, label])))
            for label in range(labels)
            if unary[v, label] < math.inf
        ]
        if not options:
            assert chosen is None
            return None
        bound += min(options)
    if chosen is None:
        assert bound > 0
        return None
    objective = sum((Fraction(float(unary[v, label])) for v, label in enumerate(chosen)), Fraction(0))
    for producer, readers, weights in rows:
        assert all(chosen[r] >= chosen[producer] for r in readers)
        if readers:
            objective += sum(map(Fraction, weights[chosen[producer] : max(chosen[r] for r in readers)]), Fraction(0))
    assert bound >= objective - tolerance * abs(objective)
    return bound


def agrees(unary: Any, rows: Rows, expected: float) -> mincut.Result:
    """Solve, compare with the known optimum, and check the proof, written and read as JSON."""
    found = mincut.solve(unary, rows)
    bound = check(unary, rows, json.loads(json.dumps(found.witness())))
    if math.isinf(expected):
        assert found.status == "infeasible"
        assert (found.labels, found.objective, found.bound, found.gap) == (None, None, None, None)
        return found
    assert found.status == "optimal"
    assert found.objective is not None
    assert found.bound is not None
    assert bound is not None
    assert found.objective == pytest.approx(expected, rel=1e-12, abs=0)
    assert Fraction(found.bound) <= bound
    assert found.objective - found.bound <= 1e-9 * abs(found.objective)
    return found


def small(rng: np.random.Generator) -> tuple[Any, Rows]:
    """A little of everything: shared tensors, pins, infinite weights, cycles, ties, readings listed twice."""
    labels = int(rng.choice([1, 2, 2, 3, 3, 4]))
    n = int(rng.integers(1, 8 if labels < 4 else 7))
    whole = rng.random() < 0.5
    unary = rng.integers(-3, 4, (n, labels)).astype(float) if whole else rng.normal(size=(n, labels))
    unary[rng.random((n, labels)) < rng.choice([0.0, 0.2, 0.5])] = np.inf
    rows: Rows = []
    for _ in range(int(rng.integers(0, 2 * n + 1))):
        producer = int(rng.integers(n))
        forwards = rng.random() < 0.85
        count = int(rng.choice([0, 1, 1, 1, 2, 2, 3]))
        pool = np.arange(min(producer + 1, n - 1), n) if forwards else np.arange(n)
        readers = rng.choice(pool, count).tolist()
        weights = rng.integers(0, 4, labels - 1).astype(float) if whole else rng.exponential(size=labels - 1)
        weights[rng.random(labels - 1) < rng.choice([0.0, 0.1, 0.3])] = np.inf
        weights[rng.random(labels - 1) < 0.15] = 0.0
        rows.append((producer, readers, weights.tolist()))
    return unary, rows


@pytest.mark.parametrize("block", swept(range(10), lambda block: block > 2))
def test_small_instances_equal_enumeration(block: int) -> None:
    statuses = set()
    for seed in range(few(60)):
        unary, rows = small(np.random.default_rng([block, seed]))
        statuses.add(agrees(unary, rows, enumerated(unary, rows)).status)
    assert statuses == {"optimal", "infeasible"}


def relaxed(unary: Any, rows: Rows) -> tuple[float, Any]:
    """Optimum of the linear relaxation over x_{v,k} and the greatest reader of every tensor, and the x found."""
    n, labels = unary.shape
    links = labels - 1
    cost = [*np.diff(np.where(np.isinf(unary), 1e6, unary), axis=1).ravel()]
    entries: list[tuple[int, int, int]] = []
    count = 0

    def below(low: int, high: int) -> None:
        nonlocal count
        entries.extend([(count, low, 1), (count, high, -1)])
        count += 1

    for v, k in itertools.product(range(n), range(links - 1)):
        below(v * links + k + 1, v * links + k)
    for producer, readers, weights in rows:
        for k, weight in enumerate(weights):
            cost.append(weight)
            cost[producer * links + k] -= weight
            for r in readers:
                below(producer * links + k, r * links + k)
                below(r * links + k, len(cost) - 1)
    row, column, value = zip(*entries, strict=True)
    matrix: Any = csr_array((value, (row, column)), shape=(count, len(cost)))
    tight: Any = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    answer: Any = linprog(np.array(cost), matrix, np.zeros(count), bounds=(0, 1), method="highs", options=tight)
    assert answer.status == 0
    return answer.fun + math.fsum(np.where(np.isinf(unary), 1e6, unary)[:, 0]), answer.x[: n * links].reshape(n, links)


def medium(kind: str, n: int, labels: int, seed: int) -> tuple[Any, Rows]:
    rng = np.random.default_rng(seed)
    unary = rng.exponential(size=(n, labels)) * np.geomspace(3.0, 1.0, labels)
    rows: Rows = []
    for u in range(n - 1):
        if kind == "chain":
            readers = [u + 1]
        elif kind == "residual":
            readers = [u + 1, min(u + 3, n - 1)] if u % 3 == 0 else [u + 1]
        else:
            readers = np.unique(u + 1 + rng.integers(0, min(40, n - u - 1), rng.integers(1, 4))).tolist()
        rows.append((u, sorted(set(readers)), rng.exponential(size=labels - 1).tolist()))
    if kind != "chain":
        unary[0, 1:] = np.inf
    return unary, rows


@pytest.mark.parametrize("kind", ["chain", "residual", "wide"])
@pytest.mark.parametrize("labels", [2, 3, 5])
def test_medium_instances_equal_the_linear_relaxation_which_is_integral(kind: str, labels: int) -> None:
    for seed in range(2):
        unary, rows = medium(kind, 250, labels, seed)
        optimum, x = relaxed(unary, rows)
        found = mincut.solve(unary, rows)
        assert found.status == "optimal"
        assert found.objective == pytest.approx(optimum, rel=1e-8)
        assert found.bound == pytest.approx(found.objective, rel=1e-12)
        # The optimum is almost surely unique, so the vertex is the labelling: integral.
        assert np.abs(x - (np.asarray(found.labels)[:, None] > np.arange(labels - 1))).max() < 1e-6
        check(unary, rows, found.witness(), Fraction(1, 10**12))


@pytest.mark.sweep
def test_networks_of_thousands_of_nodes_are_proved_in_rationals() -> None:
    for kind in ("chain", "residual", "wide"):
        unary, rows = medium(kind, 2000, 4, 5)
        found = mincut.solve(unary, rows)
        assert found.status == "optimal"
        check(unary, rows, found.witness(), Fraction(1, 10**12))


@pytest.mark.parametrize("exponent", [-12, -9, -6, -3, 3, 6, 9, 12])
def test_labels_do_not_depend_on_the_scale(exponent: int) -> None:
    for seed, kind in enumerate(["chain", "residual", "wide"]):
        unary, rows = medium(kind, 60, 3, seed)
        scale = 10.0**exponent
        scaled = [(u, readers, [w * scale for w in weights]) for u, readers, weights in rows]
        plain, found = mincut.solve(unary, rows), mincut.solve(unary * scale, scaled)
        assert np.array_equal(np.asarray(plain.labels), np.asarray(found.labels))
        assert found.objective == pytest.approx(np.asarray(plain.objective) * scale, rel=1e-12)
        check(unary * scale, scaled, found.witness(), Fraction(1, 10**12))


def test_powers_of_two_change_nothing_but_the_scale() -> None:
    unary, rows = medium("wide", 80, 3, 7)
    for exponent in (-900, -300, 300, 900):
        scaled = [(u, readers, [math.ldexp(w, exponent) for w in weights]) for u, readers, weights in rows]
        plain, found = mincut.solve(unary, rows), mincut.solve(np.ldexp(unary, exponent), scaled)
        assert plain.objective is not None
        assert found.status == "optimal"
        assert np.array_equal(np.asarray(plain.labels), np.asarray(found.labels))
        assert found.objective == math.ldexp(plain.objective, exponent)


@pytest.mark.parametrize("seed", range(40))
def test_magnitudes_far_apart_are_still_proved(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = int(rng.integers(2, 4))
    n = int(rng.integers(2, 8))
    unary = 10.0 ** rng.choice([-9, 0, 9], (n, labels)) * rng.integers(1, 9, (n, labels))
    rows: Rows = []
    for u in range(n - 1):
        readers = np.unique(rng.integers(u + 1, n, rng.integers(1, 3))).tolist()
        rows.append((u, readers, (10.0 ** rng.choice([-9, 0, 9], labels - 1)).tolist()))
    agrees(unary, rows, enumerated(unary, rows))


def test_a_cheap_optimum_far_below_the_first_labelling_needs_a_second_grid() -> None:
    # Every single label for all costs 1e9 or more; the best labelling 3e-9 or so.
    unary = np.array([[1e-9, 1e9, 1e9], [1e9, 2e-9, 1e9], [1e9, 1e9, 1e-9], [1e9, 1e9, 1e-30]])
    rows: Rows = [(0, [1], [1e-10, 1.0]), (1, [2, 3], [1.0, 3e-10]), (0, [3], [2e-12, 5e-12])]
    found = agrees(unary, rows, enumerated(unary, rows))
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2, 2]
    assert found.details["grids"] > 1
    check(unary, rows, found.witness(), Fraction(1, 10**12))


def test_whole_numbers_are_proved_without_a_gap() -> None:
    for seed in range(few(30)):
        rng = np.random.default_rng(seed)
        unary = rng.integers(-1000, 1000, (6, 3)).astype(float)
        rows: Rows = [(u, [u + 1, 5], rng.integers(0, 500, 2).astype(float).tolist()) for u in range(4)]
        found = agrees(unary, rows, enumerated(unary, rows))
        assert found.gap == 0
        check(unary, rows, found.witness(), Fraction(0))


def test_a_tensor_is_paid_once_whoever_reads_it() -> None:
    unary = [[0.0, math.inf], [9.0, 0.0], [9.0, 0.0], [9.0, 0.0]]
    found = mincut.solve(unary, [(0, [1, 2, 3], [5.0])])
    assert found.objective == 5.0
    separate = mincut.solve(unary, [(0, [1], [5.0]), (0, [2], [5.0]), (0, [3], [5.0])])
    assert separate.objective == 15.0


def test_cycles_of_constraints_force_equal_labels() -> None:
    rng = np.random.default_rng(3)
    for _ in range(few(20)):
        unary = rng.normal(size=(5, 4))
        ring: Rows = [(v, [(v + 1) % 5], [0.0, 0.0, 0.0]) for v in range(5)]
        found = mincut.solve(unary, ring)
        assert found.labels is not None
        assert set(found.labels.tolist()) == {int(np.argmin(unary.sum(axis=0)))}
        assert found.objective == pytest.approx(unary.sum(axis=0).min())


def test_contradicting_pins_come_with_a_ray() -> None:
    late, early = [math.inf, math.inf, 0.0], [0.0, math.inf, math.inf]
    free = [1.0, 1.0, 1.0]
    along: Rows = [(0, [1], [1.0, 1.0]), (1, [2, 3], [1.0, 1.0])]
    agrees(np.array([late, free, free, early]), along, math.inf)
    agrees(np.array([early, late]), [(0, [1], [0.0, math.inf])], math.inf)
    agrees(np.array([early, free, late]), [(0, [1, 2], [math.inf, 1.0])], math.inf)
    agrees(np.array([[math.inf] * 3, free]), [], math.inf)
    agrees(np.array([[math.inf], [0.0]]), [], math.inf)


def test_a_star_of_many_pinned_readers() -> None:
    """Messages that pile up at one node beyond any sum that matters."""
    readers = list(range(1, 3000))
    unary = np.vstack([[[0.0, 1.0, 4000.0]], np.tile([[math.inf, 1e250, 1e-3]], (2999, 1))])
    rows: Rows = [(0, readers, [0.5, 0.25]), *((0, [r], [1e-4, 1e-4]) for r in readers)]
    found = mincut.solve(unary, rows)
    assert found.status == "optimal"
    assert found.objective == pytest.approx(0.75 + 2999 * 1.2e-3)
    check(unary, rows, found.witness())


def test_many_pinned_readers_of_tensors_that_may_not_cross() -> None:
    """Multipliers of the order and of infinite weights, larger together than any finite cost."""
    rng = np.random.default_rng(8)
    readers = list(range(2, 90))
    unary = rng.exponential(size=(90, 3))
    unary[2:, 0] = np.inf
    unary[2:50, 2] = np.inf
    rows: Rows = [(0, readers, [math.inf, 2.0]), (1, readers, [4.0, math.inf]), (1, readers[40:], [math.inf, 0.0])]
    found = mincut.solve(unary, rows)
    assert found.status == "optimal"
    assert found.labels is not None
    # The second tensor may not cross the second link but the third may; the producers may not stay at 0 or 0 and 1.
    best = math.inf
    for first, second, rest in itertools.product(range(3), range(3), (1, 2)):
        if first in (1, 2) and second in (1, 2):
            options = [unary[v, max(first, second, 1) : rest + 1].min(initial=math.inf) for v in readers]
            crossing = (2.0 if first == 1 and rest == 2 else 0.0) + (math.inf if second == 1 and rest == 2 else 0.0)
            best = min(best, unary[0, first] + unary[1, second] + math.fsum(options) + crossing)
    assert found.objective == pytest.approx(best, rel=1e-12)
    check(unary, rows, found.witness(), Fraction(1, 10**12))


def test_nothing_to_decide() -> None:
    assert mincut.solve(np.zeros((0, 3)), []).objective == 0.0
    only = mincut.solve([[2.0], [-3.0]], [(0, [1], [])])
    assert (only.status, only.objective, only.bound) == ("optimal", -1.0, -1.0)
    single = mincut.solve([[2.0, -3.0, 5.0]], [])
    assert single.labels is not None
    assert (single.labels.tolist(), single.objective, single.gap) == ([1], -3.0, 0.0)
    unread = mincut.solve([[0.0, 1.0]], [(0, [], [7.0]), (0, [0], [7.0])])
    assert unread.objective == 0.0


def test_compressed_rows_say_the_same_as_a_list() -> None:
    unary, rows = medium("wide", 30, 3, 2)
    producer = np.array([u for u, _, _ in rows])
    start = np.cumsum([0, *(len(readers) for _, readers, _ in rows)])
    reader = np.concatenate([readers for _, readers, _ in rows])
    weight = np.array([weights for _, _, weights in rows])
    found = mincut.solve(unary, Tensors(producer, start, reader, weight))
    assert found.witness() == mincut.solve(unary, rows).witness()
    assert found.witness() == mincut.solve(unary, Tensors.of(rows, 2)).witness()


def test_data_are_not_changed_and_answers_repeat() -> None:
    unary, rows = medium("residual", 40, 3, 1)
    before, tensors = unary.copy(), Tensors.of(rows, 2)
    first, second = mincut.solve(unary, tensors), mincut.solve(unary, tensors)
    assert np.array_equal(unary, before)
    assert first.witness() == second.witness()


def test_the_cut_network_of_networkx_has_the_same_optimum() -> None:
    for seed in range(few(40)):
        unary, rows = small(np.random.default_rng([99, seed]))
        rows = [(u, readers, [min(w, 50.0) for w in weights]) for u, readers, weights in rows]
        graph = mincut.to_networkx(unary, rows)
        expected = enumerated(unary, rows)
        if math.isinf(expected):
            with pytest.raises(networkx.NetworkXUnbounded):
                networkx.minimum_cut_value(graph, "s", "t")
        else:
            value = graph.graph["offset"] + networkx.minimum_cut_value(graph, "s", "t")
            assert value == pytest.approx(expected, abs=1e-9)


TWO = [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("unary", "tensors", "field"),
    [
        ([0.0, 1.0], [], "unary"),
        ([[], []], [], "unary"),
        ([[0.0, 1.0], [1.0]], [], "unary"),
        ("costs", [], "unary"),
        ([[0.0, math.nan]], [], "unary[0, 1]"),
        ([[0.0, -math.inf]], [], "unary[0, 1]"),
        ([[0.0, 1e301]], [], "unary[0, 1]"),
        (TWO, 3, "tensors"),
        (TWO, [7], "tensors[0]"),
        (TWO, [(0, [1])], "tensors[0]"),
        (TWO, [(0, [1], [1.0]), (0, [1], [1.0, 2.0])], "tensors[1].weights"),
        (TWO, [(0, [1], [-1.0])], "tensors.weight[0, 0]"),
        (TWO, [(0, [1], [math.nan])], "tensors.weight[0, 0]"),
        (TWO, [(0, [1], ["a"])], "tensors.weight"),
        (TWO, [(2, [1], [1.0])], "tensors.producer[0]"),
        (TWO, [(0, [1, -1], [1.0])], "tensors.reader[1]"),
        (TWO, [(0, [0.5], [1.0])], "tensors.reader"),
        (TWO, Tensors(np.array([0]), np.array([0, 2]), np.array([1]), np.array([[1.0]])), "tensors.start"),
        (TWO, Tensors(np.array([0]), np.array([0, 1]), np.array([1]), np.array([[1.0, 2.0]])), "tensors.weight"),
    ],
)
def test_bad_input_is_refused_in_one_line(unary: Any, tensors: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        mincut.solve(unary, tensors)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_importing_the_kernel_does_not_load_a_solver_or_a_drawing_library() -> None:
    import subprocess

    code = (
        "import sys, qopt.kernels.mincut; print([m for m in ('highspy', 'networkx', 'matplotlib') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

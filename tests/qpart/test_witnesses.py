"""Witnesses of QPART: true trees are accepted, forged ones refused, and what a bound leaves open is closed."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from exact import SEEDS
from hypothesis import given
from hypothesis import strategies as st
from small_requests import small, whole_plans
from sweeps import examples, few

from qopt.core.limits import limit_with_slack
from qopt.qpart.certificate.certify import certify, proof_target
from qopt.qpart.certificate.cuts import CutTable
from qopt.qpart.certificate.witness import check_tree
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart

Data = tuple[Any, Any, float, Any, float, float]


def grown(data: Data, target: float | Fraction, rng: random.Random) -> list[Any] | None:
    """A tree by plain branch and bound; None where some choice is below the target."""
    cost, noise, limit, stored, memory, offset = data
    limit, memory = limit_with_slack(limit), limit_with_slack(memory)
    c, w, z = (np.array(rows, dtype=float).reshape(len(cost), -1) for rows in (cost, noise, stored))
    base = float(np.median(c[c > 0]) / np.median(w[w > 0])) if (c > 0).any() and (w > 0).any() else 1.0
    leaves = [(a, base * 2.0**e if e > -40 else 0.0, 0.0) for e in range(-40, 40, 2) for a in (1, 0)]
    if math.isfinite(memory):
        per = float(c.max() / max(z.max(), 1e-300)) or 1.0
        leaves += [(a, x, per * f) for a, x, _ in leaves for f in (0.25, 1.0, 4.0, 64.0)]
        leaves += [(0, 0.0, 1.0)]
    needed = float(Fraction(target) - Fraction(offset))
    tree: list[Any] = []
    todo: list[list[list[int]]] = [[list(range(c.shape[1])) for _ in cost]]
    while todo:
        allowed = todo.pop()
        for a, lam, mu in leaves:
            paid = lam * limit + (mu * memory if mu else 0.0)
            gain = sum(min(a * c[i, j] + lam * w[i, j] + mu * z[i, j] for j in js) for i, js in enumerate(allowed))
            if gain - paid > (needed if a else 0.0) + 1e-14 * (gain + paid):
                tree.append(["leaf", a, lam, mu])
                break
        else:
            free = [i for i, js in enumerate(allowed) if len(js) > 1]
            if not free:
                return None
            i = rng.choice(free)
            half = allowed[i][: len(allowed[i]) // 2]
            tree.append(["split", i, half])
            rest = [j for j in allowed[i] if j not in half]
            todo += [[*allowed[:i], rest, *allowed[i + 1 :]], [*allowed[:i], half, *allowed[i + 1 :]]]
    return tree


def knapsack(rng: random.Random, n: int = 4, k: int = 4, with_memory: bool = False) -> tuple[Data, float]:
    """A random multiple-choice knapsack and its optimum by brute force."""
    scale = 10.0 ** rng.randint(-9, 9)
    cost = [[rng.uniform(1, 9) * scale * (j + 1) for j in range(k)] for _ in range(n)]
    noise = [[rng.uniform(1, 9) * 4.0**-j / scale for j in range(k)] for _ in range(n)]
    stored = [[rng.uniform(1, 5) * (j + 1) for j in range(k)] for _ in range(n)]
    limit = sum(r[k // 2] for r in noise)
    memory = sum(r[k // 2] for r in stored) * 1.2 if with_memory else math.inf
    best = math.inf
    for choice in itertools.product(range(k), repeat=n):
        if sum(r[j] for r, j in zip(noise, choice, strict=True)) > limit:
            continue
        if sum(r[j] for r, j in zip(stored, choice, strict=True)) <= memory:
            best = min(best, sum(r[j] for r, j in zip(cost, choice, strict=True)))
    return (cost, noise, limit, stored, memory, 3.0 * scale), best + 3.0 * scale


def verdict(data: Data, tree: Any, target: float | Fraction) -> Any:
    cost, noise, limit, stored, memory, offset = data
    return check_tree(cost, noise, limit, stored, memory, tree, target, offset)


@examples(60)
@given(SEEDS, st.booleans())
def test_true_witnesses_are_accepted_and_forged_ones_refused(seed: int, with_memory: bool) -> None:
    rng = random.Random(seed)
    data, best = knapsack(rng, with_memory=with_memory)
    target = best * (1 - 1e-9) if math.isfinite(best) else 1e30
    tree = grown(data, target, rng)
    assert tree is not None
    accepted = verdict(data, tree, target)
    assert accepted.accepted, accepted.reason
    assert accepted.bound >= target
    assert verdict(data, json.loads(json.dumps(tree)), Fraction(target)).accepted
    if math.isfinite(best):
        assert accepted.bound <= best * (1 + 1e-12)
        assert not verdict(data, tree, best * (1 + 1e-6)).accepted  # nothing proves what is false
        assert not verdict(data, tree, math.inf).accepted
    assert not verdict(data, tree[:-1], target).accepted
    assert not verdict(data, [*tree, tree[-1]], target).accepted
    assert not verdict(data, [], target).accepted

    leaves = [i for i, node in enumerate(tree) if node[0] == "leaf"]
    splits = [i for i, node in enumerate(tree) if node[0] == "split"]
    for value in (-1.0, math.nan, math.inf, -math.inf, "1", None, True, [1], 10**400):
        forged = copy.deepcopy(tree)
        forged[rng.choice(leaves)][2] = value
        assert not verdict(data, forged, target).accepted
    if math.isfinite(best):
        # The leaf that holds the optimum cannot be proved by other means: a ray, or wild multipliers.
        for change in ([0, 1.0, 0.0], [1, 1e200, 0.0], [2, 0.0, 0.0]):
            forged = [["leaf", *change] if node[0] == "leaf" else node for node in tree]
            assert not verdict(data, forged, target).accepted
    for at in splits[:3]:
        dropped = [node for i, node in enumerate(tree) if i != at]
        assert not verdict(data, dropped, target).accepted
        for columns in ([], [0, 0], [0, 1, 2, 3], [99], [-1], "01", None, [True], [0.0], list(range(10**5))):
            forged = copy.deepcopy(tree)
            forged[at][2] = columns
            assert not verdict(data, forged, target).accepted
        for item in (-1, 4, "0", None, 0.0, True, 10**30):
            forged = copy.deepcopy(tree)
            forged[at][1] = item
            assert not verdict(data, forged, target).accepted


def test_a_forged_split_cannot_hide_the_optimum() -> None:
    """Columns allowed on neither side, or given back to the second, would let a tree skip the best choice."""
    cost, noise = [[1.0, 2.0], [1.0, 2.0]], [[1.0, 0.0], [1.0, 0.0]]
    args = (1.0, [[0.0, 0.0]] * 2, math.inf)
    tree = [["split", 0, [0]], ["leaf", 1, 1.0, 0.0], ["leaf", 1, 1.0, 0.0]]
    assert check_tree(cost, noise, *args, tree, 3.0).accepted
    assert not check_tree(cost, noise, *args, tree, 3.0000001).accepted
    # A split that splits nothing, even where either side would be proved.
    for columns in ([0, 1], []):
        assert not check_tree(cost, noise, *args, [["split", 0, columns], *tree[1:]], 1.0).accepted
    assert not check_tree(cost, noise, *args, [["split", 0, [0, 1]], tree[1]], 1.0).accepted
    again = [["split", 0, [1]], ["split", 0, [0]], *[["leaf", 1, 1.0, 0.0]] * 3]
    assert not check_tree(cost, noise, *args, again, 1.0).accepted


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["leaf", "split"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@examples(60)
@given(JUNK, st.dictionaries(st.sampled_from(["0", "1", "2", "x"]), JUNK, max_size=3))
def test_junk_is_refused_and_never_raises(junk: Any, cuts: Any) -> None:
    data, best = knapsack(random.Random(7))
    assert not verdict(data, junk, best).accepted
    problem, plan, _ = open_problem()
    for witness in (junk, {"format": "qopt/qpart-witness", "version": 1, "cuts": cuts}):
        certificate = certify(problem, plan, witness, labels=0)
        assert not certificate.proved


def test_deep_trees_are_walked_without_recursion() -> None:
    n = few(100_000)
    cost, zero = [[1.0, 2.0]] * n, [[0.0, 0.0]] * n
    splits = [["split", i, [0]] for i in range(n)]
    assert "too early" in check_tree(cost, zero, 1.0, zero, math.inf, splits, 1.0).reason
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    assert not check_tree([[1.0]], [[0.0]], 1.0, [[0.0]], math.inf, nested, 1.0).accepted
    m = 150
    tree = [node for i in range(m) for node in (["split", i, [0]], ["leaf", 1, 0.0, 0.0])]
    # Reversed sense: the first side of every split is the leaf, the second goes on.
    chain = [*tree, ["leaf", 1, 0, 0]]
    assert check_tree(cost[:m], zero[:m], 1.0, zero[:m], math.inf, chain, float(m)).accepted
    assert not check_tree(cost[:m], zero[:m], 1.0, zero[:m], math.inf, chain, float(m) + 1).accepted


@functools.cache
def open_problem() -> tuple[QPart, QPartPlan, float]:
    """A problem whose optimum Lagrange's bound alone does not prove, and that optimum by brute force."""
    for seed in range(1000):
        problem = small(random.Random(seed)).replace({"tie_cut": False})
        feasible = [(objective, plan) for plan, holds, objective in whole_plans(problem) if holds]
        if len(feasible) > 20 and len(problem.admissible_cuts) > 1:
            objective, plan = min(feasible, key=lambda entry: entry[0])
            if not certify(problem, plan, labels=0).proved:
                return problem, plan, objective
    raise AssertionError("no such problem")


@examples(60)
@given(SEEDS)
def test_a_witness_closes_what_lagrange_leaves(seed: int) -> None:
    rng = random.Random(seed)
    problem = small(rng)
    feasible = [(objective, plan) for plan, holds, objective in whole_plans(problem) if holds]
    if not feasible:
        return
    objective, plan = min(feasible, key=lambda entry: entry[0])
    target = proof_target(problem, plan)
    table, trees = CutTable(problem, "whole"), {}
    for p in problem.admissible_cuts.tolist():
        if p > 0:
            tree = grown(table.knapsack(p), target, rng)
            assert tree is not None
            trees[str(p)] = tree
    witness = {"format": "qopt/qpart-witness", "version": 1, "cuts": trees}
    plain = certify(problem, plan, labels=0)
    proof = certify(problem, plan, witness, labels=0)
    assert proof.proved, proof.notes
    assert proof.kind == ("lagrangian" if plain.proved else "witness")
    assert proof.bound is not None
    assert proof.bound <= objective * (1 + 1e-12)
    if plain.proved:
        return
    forgeries: list[Any] = [
        {**witness, "version": 2},
        {**witness, "version": True},
        {**witness, "format": "qopt/plan"},
        {**witness, "cuts": {}},
        {**witness, "cuts": list(trees.values())},
        {**witness, "cuts": {**trees, "77": trees[max(trees)]}},
        {**witness, "cuts": {p: tree[:-1] for p, tree in trees.items()}},
        {**witness, "cuts": {p: [["leaf", 1, 0, 0]] for p in trees}},
        [],
    ]
    for forged in forgeries:
        refused = certify(problem, plan, forged, labels=0)
        assert not refused.proved
        assert any("witness rejected" in note for note in refused.notes)
    # The witness of the best plan proves nothing of a worse one.
    worse = [p for o, p in feasible if o > objective * (1 + 1e-8)]
    if worse:
        assert not certify(problem, rng.choice(worse), witness).proved


def test_the_tree_of_another_cut_is_refused() -> None:
    problem, plan, _ = open_problem()
    table = CutTable(problem, "whole")
    cuts = [p for p in problem.admissible_cuts.tolist() if p > 0]
    rng = random.Random(0)
    target = proof_target(problem, plan)
    trees = {str(p): grown(table.knapsack(p), target, rng) for p in cuts}
    witness = {"format": "qopt/qpart-witness", "version": 1, "cuts": trees}
    assert certify(problem, plan, witness, labels=0).proved
    for p, q in itertools.permutations(trees, 2):
        forged = {**witness, "cuts": {**trees, p: trees[q]}}
        certificate = certify(problem, plan, forged, labels=0)
        # Whatever is accepted is a proof: the foreign tree must hold on the cut's own numbers.
        cost, noise, limit, stored, memory, offset = table.knapsack(int(p))
        assert certificate.proved == check_tree(cost, noise, limit, stored, memory, trees[q], target, offset).accepted


def test_a_better_plan_is_named() -> None:
    problem, _, objective = open_problem()
    feasible = [(o, p) for p, holds, o in whole_plans(problem) if holds]
    worst = max(feasible, key=lambda entry: entry[0])[1]
    certificate = certify(problem, worst)
    assert not certificate.proved
    assert certificate.bound is not None
    assert certificate.bound <= objective * (1 + 1e-12)
    named = [float(note.split()[-1]) for note in certificate.notes if "better plan" in note]
    assert named
    assert named[0] == pytest.approx(objective, rel=1e-12)

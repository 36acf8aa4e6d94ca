"""Resource-constrained shortest paths against enumeration, another solver, published optima and exact arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from constrained_paths import (
    check_against_brute,
    check_path,
    flow_program,
    layered_paths,
    middling,
    random_digraph,
    random_layered,
    random_limit,
    simple_paths,
    total,
)
from sweeps import few, swept

from qopt.kernels import rcsp
from qopt.kernels.checker import check
from qopt.kernels.exchange import rcsp_instance, rcsp_witness
from qopt.kernels.paths import layers as rcsp_layers
from qopt.kernels.rcsp import Digraph

ORLIB = Path(__file__).parents[2] / "instances" / "rcsp"


@pytest.mark.parametrize("block", swept(range(5), lambda block: block > 1))
def test_layers_agree_with_enumeration(block: int) -> None:
    for seed in range(few(100)):
        rng = np.random.default_rng((1, block, seed))
        graph = random_layered(rng, int(rng.integers(1, 5)), int(rng.integers(1, 5)), int(rng.integers(1, 4)))
        check_against_brute(graph, random_limit(rng, graph), **OPTIONS[seed % len(OPTIONS)])


def test_leaving_out_states_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide layers are searched in parts; here all layers count as wide."""
    monkeypatch.setattr(rcsp_layers, "SPARSE_FROM", 1)
    for seed in range(few(100)):
        rng = np.random.default_rng((16, seed))
        graph = random_layered(rng, int(rng.integers(2, 5)), int(rng.integers(3, 6)), int(rng.integers(1, 4)))
        check_against_brute(graph, random_limit(rng, graph))
    for seed in range(3):
        graph, limit = middling(np.random.default_rng((17, seed)), 1, layers=10, states=12)
        result = rcsp.solve(graph, limit)
        check_path(graph, limit, result)
        assert result.objective == pytest.approx(flow_program(graph.digraph(), limit), rel=1e-6)


@pytest.mark.parametrize("cyclic", [False, True])
@pytest.mark.parametrize("block", swept(range(5), lambda block: block > 1))
def test_digraphs_agree_with_enumeration(block: int, cyclic: bool) -> None:
    for seed in range(few(100)):
        rng = np.random.default_rng((2, block, seed, cyclic))
        vertices = int(rng.integers(2, 8))
        graph = random_digraph(rng, vertices, int(rng.integers(1, 3 * vertices)), int(rng.integers(1, 4)), cyclic)
        check_against_brute(graph, random_limit(rng, graph), **OPTIONS[seed % len(OPTIONS)])


OPTIONS: list[dict[str, Any]] = [{}, {}, {"witness_nodes": 3}, {"witness_nodes": 0}]


def test_random_instances_are_of_every_kind() -> None:
    """The tests above would say little if all instances were easy or infeasible."""
    seen: dict[str, int] = {}
    for seed in range(60):
        rng = np.random.default_rng((1, 0, seed))
        graph = random_layered(rng, int(rng.integers(1, 5)), int(rng.integers(1, 5)), int(rng.integers(1, 4)))
        result = rcsp.solve(graph, random_limit(rng, graph))
        kind: str = result.status
        if result.tree is not None and len(result.tree) > 1:
            kind += " by a tree"
        seen[kind] = seen.get(kind, 0) + 1
    assert min(seen.get(kind, 0) for kind in ("optimal", "optimal by a tree", "infeasible")) >= 3, seen


# --- mid-size instances against a mixed-integer program -----------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_middling_layers_agree_with_a_program(rows: int) -> None:
    for seed in range(4):
        graph, limit = middling(np.random.default_rng((3, rows, seed)), rows)
        result, best = rcsp.solve(graph, limit), flow_program(graph.digraph(), limit)
        if best is None:
            assert result.status == "infeasible"
        else:
            assert result.status in ("optimal", "optimal-by-solver")
            check_path(graph, limit, result)
            assert result.objective == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("rows", [1, 3])
def test_middling_digraphs_agree_with_a_program(rows: int) -> None:
    for seed in range(6):
        rng = np.random.default_rng((4, rows, seed))
        n, m = 60, 1000
        tail, head = rng.integers(0, n, (2, m))
        near = np.abs(tail - head) < 15
        tail, head = tail[near & (tail != head)], head[near & (tail != head)]
        cost, resource = rng.integers(1, 50, len(tail)).astype(float), rng.uniform(0, 10, (rows, len(tail)))
        graph = Digraph(n, tail, head, cost, resource, 0, n - 1)
        free = rcsp.solve(graph, np.full(rows, np.inf))
        assert free.used is not None
        limit = free.used * 0.75
        result, best = rcsp.solve(graph, limit), flow_program(graph, limit)
        if best is None:
            assert result.status == "infeasible"
        else:
            check_path(graph, limit, result)
            assert result.objective == pytest.approx(best, rel=1e-6)


PUBLISHED = {1: 131, 2: 131, 3: 2, 4: 2, 5: 100, 6: 100, 7: 6, 8: 14}


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_optima(number: int) -> None:
    graph, lower, limit = rcsp.read_orlib(ORLIB / f"rcsp{number}.txt")
    result = rcsp.solve(graph, limit, lower=lower)
    assert result.status == "optimal"
    assert result.objective == PUBLISHED[number]
    check_path(graph, limit, result)
    assert result.tree is not None
    verdict = check(rcsp_instance(graph, limit), rcsp_witness(result))
    assert verdict.accepted, verdict.reason
    assert verdict.objective == PUBLISHED[number]


@pytest.mark.parametrize("rows", [1, 2])
def test_trees_of_layers_convince_the_checker(rows: int) -> None:
    proved = 0
    for seed in range(4):
        graph, limit = middling(np.random.default_rng((14, rows, seed)), rows, layers=15)
        result = rcsp.solve(graph, limit, witness_nodes=5_000)
        if result.tree is None:
            continue
        proved += 1
        verdict = check(rcsp_instance(graph, limit), rcsp_witness(result))
        assert verdict.accepted, verdict.reason
        # A tree that lacks a leaf, or claims another path, proves nothing.
        assert not check(rcsp_instance(graph, limit), {**rcsp_witness(result), "tree": result.tree[:-1]}).accepted
    assert proved >= 3


def test_conversion_keeps_every_path() -> None:
    for seed in range(few(20)):
        rng = np.random.default_rng((5, seed))
        graph = random_layered(rng, int(rng.integers(1, 4)), int(rng.integers(1, 4)), 2)
        network = graph.digraph()
        assert np.all(network.tail < network.head)
        assert network.order is not None
        one = sorted((total(c), tuple(total(row) for row in used)) for c, used in layered_paths(graph))
        two = sorted((total(c), tuple(total(row) for row in used)) for c, used in simple_paths(network))
        assert one == two

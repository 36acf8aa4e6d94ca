"""Halves of any listing, tables over rates, graphs of networkx, and a drawn detector."""

from __future__ import annotations

import itertools
from typing import Any

import networkx as nx
import numpy as np
import pytest
from sweeps import few, swept

import qopt
from qopt.core.errors import InputError
from qopt.generate import detector, placement
from qopt.placement.halves import first_half
from qopt.placement.problem import Placement
from qopt.placement.table import rate_table
from qopt.placement.terms import terms

TEACHING = "placement/teaching-5"


def relisted(problem: Placement, rng: np.random.Generator) -> Placement:
    """The same graph with its operations, tensors and readers in another order in which they can run."""
    graph, n = problem.graph, len(problem.graph)
    needs: list[set[int]] = [set() for _ in range(n)]
    for u, readers in zip(graph.writes, graph.reads, strict=True):
        for r in readers:
            needs[r].add(u)
    order: list[int] = []
    while len(order) < n:
        ready = [v for v in range(n) if v not in order and needs[v] <= set(order)]
        order.append(int(rng.choice(ready)))
    data = problem.model_dump()
    new = data["graph"]
    for column in ("operations", "work", "weights"):
        new[column] = [new[column][v] for v in order]
    new["tensors"] = [
        {**new["tensors"][t], "readers": [str(x) for x in rng.permutation(new["tensors"][t]["readers"])]}
        for t in rng.permutation(len(new["tensors"]))
    ]
    return Placement(**data)


def test_halves_do_not_depend_on_the_listing() -> None:
    rng = np.random.default_rng(5)
    for seed in range(4):
        problem = placement(14, seed=seed, branches=(0.0, 0.4, 0.8, 1.0)[seed], operators=1)
        found = set()
        for _ in range(few(50)):
            other = relisted(problem, rng)
            own = terms(other, other.operators[0])
            first = first_half(own)
            assert first is not None
            found.add(frozenset(name for name, inside in zip(own.names, first, strict=True) if inside))
        assert len(found) == 1


def test_halves_of_more_down_sets_than_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qopt.placement.halves.MOST", 3)
    rng = np.random.default_rng(1)
    problem = placement(14, seed=1, branches=0.4, operators=1)
    found = set()
    for _ in range(few(25)):
        own = terms(other := relisted(problem, rng), other.operators[0])
        first = first_half(own)
        assert first is not None
        found.add(frozenset(np.array(own.names)[first].tolist()))
    assert len(found) == 1


def test_halves_count_shared_weights_once() -> None:
    """Without a shared table the cut is behind c; the table of a and b makes their half the heavier one."""
    names = ["a", "b", "c", "d"]
    data: dict[str, Any] = {
        "graph": {
            "operations": names,
            "work": [1.0] * 4,
            "weights": [1.0, 1.0, 1.0, 3.0],
            "tensors": [{"producer": u, "readers": [v], "size": 1.0} for u, v in itertools.pairwise(names)],
        },
        "input": {"sizes": [1.0], "readers": ["a"]},
        "tiers": [{"name": "m", "speed": 1.0}, {"name": "e", "speed": 2.0}],
        "links": [{"rate": 1.0}],
        "operators": [{"name": "id", "accuracy": 1.0}],
    }
    plain = Placement(**data)
    assert first_half(terms(plain, plain.operators[0])).tolist() == [True, True, True, False]
    tied = plain.replace({"graph.shared": [{"operations": ["a", "b"], "size": 2.0}]})
    assert first_half(terms(tied, tied.operators[0])).tolist() == [True, True, False, False]


@pytest.mark.parametrize("name", swept([TEACHING, "drawn"], lambda name: name == "drawn"))
def test_a_table_is_the_optimum_everywhere(name: str) -> None:
    problem = qopt.load(name) if name == TEACHING else placement(12, seed=3, branches=0.5, operators=2)
    low, high = (0.5, 100.0) if name == TEACHING else (1e5, 1e8)
    table = rate_table(problem, low=low, high=high)
    assert table.complete
    assert table.solved >= len(table)
    rates = np.exp(np.random.default_rng(0).uniform(np.log(low), np.log(high), (few(30), 2)))
    for (up, on), plan, value in zip(rates.tolist(), table.decide(rates), table.objectives(rates), strict=True):
        here = problem.replace({"links[0].rate": up, "links[1].rate": on})
        assert value == pytest.approx(qopt.solve(here).objective, rel=1e-9)
        assert qopt.certify(here, table.plans[int(plan)]).proved
    one = rate_table(problem, links=[1], low=low, high=high)
    found = qopt.breakpoints(problem, "links[1].rate", low=low, high=high)
    ends = [low, *found.values, high]
    middles = [np.sqrt(a * b) for a, b in itertools.pairwise(ends)]
    assert one.objectives(middles) == pytest.approx(found.objectives(middles), rel=1e-9)


def test_what_a_table_refuses() -> None:
    problem = qopt.load(TEACHING)
    table = rate_table(problem, low=[1.0, 9.0], high=10.0)
    assert table.at(1.0, 10.0) in table.plans
    for rates, words in (
        ([[1.0, 21.0]], r"rates\[0, 1\]"),
        ([1.0], "shape"),
        ("fast", "rates"),
        ([[0.0, 1.0]], "1 to"),
    ):
        with pytest.raises(InputError, match=words):
            table.decide(rates)  # type: ignore[arg-type]
    for changes, options, words in (
        ({"targets.latency": 5.0}, {}, "targets.latency"),
        ({}, {"links": [2]}, "links"),
        ({}, {"low": 20.0}, "low < high"),
        ({}, {"low": [1.0]}, "one for each link"),
        ({"pins": {"conv": ["mobile"]}, "tiers[0].memory": 10.0}, {}, "no plan"),
    ):
        with pytest.raises(InputError, match=words):
            rate_table(problem.replace(changes), **{"low": 1.0, "high": 10.0, **options})


def branchy() -> Any:
    graph = nx.DiGraph()
    graph.add_node("split", work=2.0, weights=8.0, size=16.0)
    graph.add_node("left", work=4.0, size=4.0, scratch=2.0)
    graph.add_node("right", work=4.0, time=[3.0, 1.0])
    graph.add_node("join", work=1.0)
    graph.add_edge("split", "left")
    graph.add_edge("split", "right")
    graph.add_edge("left", "join")
    graph.add_edge("right", "join", size=6.0)
    return graph


FIELDS: dict[str, Any] = {
    "input": {"sizes": [32.0]},
    "tiers": [{"name": "m", "speed": 1.0}, {"name": "e", "speed": 4.0}],
    "links": [{"rate": 8.0}],
    "operators": [{"name": "id", "accuracy": 1.0}],
}


def test_a_graph_of_networkx() -> None:
    problem = Placement.from_networkx(branchy(), **FIELDS)
    assert problem.graph.operations == ("split", "left", "right", "join")
    assert [(t.producer, t.readers, t.size) for t in problem.graph.tensors] == [
        ("split", ("left", "right"), 16.0),
        ("left", ("join",), 4.0),
        ("right", ("join",), 6.0),
    ]
    assert problem.input is not None
    assert problem.input.readers == ("split",)
    assert problem.graph.time["right"].tolist() == [3.0, 1.0]
    assert qopt.solve(problem).status == "optimal"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: g.add_edge("join", "split", size=1.0), "a cycle"),
        (lambda g: g.add_edge("right", "left"), "no size"),
        (lambda g: g.add_edge("split", "join", weight=3), "the attribute 'weight'"),
        (lambda g: g.add_node("left", flops=3), "the attribute 'flops'"),
        (lambda g: g.add_edge("left", "right", size=9.0, tensor="t"), None),
    ],
)
def test_graphs_of_networkx_that_are_none(change: Any, words: str | None) -> None:
    graph = branchy()
    change(graph)
    if words is None:
        assert len(Placement.from_networkx(graph, **FIELDS).graph.tensors) == 4
        return
    with pytest.raises(InputError, match=words):
        Placement.from_networkx(graph, **FIELDS)


def test_only_directed_graphs() -> None:
    with pytest.raises(InputError, match="a directed graph"):
        Placement.from_networkx(nx.Graph(), **FIELDS)  # type: ignore[arg-type]


def test_a_detector() -> None:
    """Memory and deadline bind, and the plan is proved."""
    problem = detector(70, seed=1)
    found = qopt.solve(problem)
    assert len(problem.graph) == 70
    assert found.method == "cut-branch"
    assert found.status == "optimal"
    free = problem.replace({"tiers[0].memory": None, "tiers[1].memory": None, "targets": {}})
    assert qopt.solve(free).objective < found.objective
    with pytest.raises(InputError, match="operations"):
        detector(59, seed=1)


@pytest.mark.sweep
def test_a_detector_whose_memories_hold_tensors() -> None:
    """HiGHS finds the same."""
    held = detector(120, seed=1, activations=True, memory=0.03)
    mine, solver = qopt.solve(held), qopt.solve(held, "highs-mip")
    assert mine.status == "optimal"
    assert mine.objective == pytest.approx(solver.objective, rel=1e-9)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(3))
def test_a_detector_of_400_operations(seed: int) -> None:
    found = qopt.solve(detector(400, seed=seed))
    assert found.status == "optimal"
    assert found.certificate.kind == "witness"

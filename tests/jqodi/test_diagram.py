"""The time-energy diagram: its paths are the plans; labels tell how the best is found; pictures show what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from jqodi_problems import possible_plans

import qopt
from qopt import plots
from qopt.core.errors import InputError
from qopt.jqodi.costs import breakdown
from qopt.jqodi.diagram import SOURCE, THETA, diagram, plan_vertices, write_diagram
from qopt.jqodi.generate import jqodi
from qopt.jqodi.labels import RULES, labels
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import keeps_limit, totals

FIG5 = "jqodi/fig5"


def small(seed: int, mode: Any = "path", **options: Any) -> Jqodi:
    options = {"servers": 2, "cuts": 2, "models": 2, "widths": (8,), "tightness": 0.5} | options
    return jqodi(3 + seed % 2, seed=seed, mode=mode, estimate="robust" if seed % 3 == 0 else "expected", **options)


# --- the diagram ---------------------------------------------------------------------------------------------------


def test_the_figure() -> None:
    """One model, three widths of which one never reaches its loss, 3 and 2 epochs of 4 states."""
    problem = qopt.load(FIG5)
    graph = diagram(problem)
    kinds = [data["kind"] for _, data in graph.nodes(data=True)]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "source": 1,
        "model": 1,
        "width": 3,
        "epoch": 20,
        "theta": 1,
    }
    assert not graph.nodes["M1/2"]["reaches"]
    assert graph.out_degree("M1/2") == 0
    assert graph.edges["M1", "M1/8"] == {"energy": 0.6, "time": 0.7}
    arc = graph.edges["M1/8/1/fast/1", "M1/8/2/frugal/1"]
    assert arc["energy"] == pytest.approx(13.5)  # 13.2 and 0.3 for the change
    assert arc["time"] == pytest.approx(1.61)
    assert nx.is_directed_acyclic_graph(graph)
    path = nx.shortest_path(graph, SOURCE, THETA, weight="energy")
    assert nx.path_weight(graph, path, "time") > problem.time_limit  # frugal alone would be cheapest
    assert nx.path_weight(graph, plan_vertices(problem, qopt.solve(problem).plan), "energy") == pytest.approx(34.5)


@pytest.mark.parametrize("mode", ["choice", "schedule", "path"])
def test_paths_are_plans(mode: str) -> None:
    """Paths from source to Theta, their energies and times, one to one with the plans."""
    for seed in range(3):
        problem = small(seed, mode, conditions=seed == 1, requests=50.0 * seed)
        graph = diagram(problem)
        paths = list(nx.all_simple_paths(graph, SOURCE, THETA))
        found = [[nx.path_weight(graph, path, of) for path in paths] for of in ("energy", "time")]
        expected = list(zip(*(totals(own, states) for own, states in possible_plans(problem)), strict=True))
        for energy, time in ((1.0, 0.0), (0.0, 1.0), (1.0, 0.37)):
            one, two = (sorted(energy * e + time * t for e, t in zip(*both, strict=True)) for both in (found, expected))
            assert one == pytest.approx(two, rel=1e-9)


@pytest.mark.parametrize("mode", ["choice", "schedule", "path"])
def test_leaves_of_the_tree_are_the_plans_within_the_limit(mode: str) -> None:
    for seed in range(4):
        problem = small(seed, mode)
        tree = diagram(problem, tree=True)
        fits = [totals(own, s) for own, s in possible_plans(problem) if keeps_limit(problem, own, s)]
        ends = [tree.nodes[vertex] for vertex in tree.predecessors(THETA)]
        assert sorted((end["spent"], end["elapsed"]) for end in ends) == sorted(fits)
        epochs = [vertex for vertex, data in tree.nodes(data=True) if data["kind"] == "epoch"]
        assert all(tree.in_degree(vertex) == 1 for vertex in epochs)
        assert all(tree.nodes[vertex]["elapsed"] <= problem.time_limit * (1 + 1e-12) for vertex in epochs)
        best = qopt.solve(problem).plan
        if best is not None:
            assert all(vertex in tree for vertex in plan_vertices(problem, best, tree=True))


def test_a_diagram_that_is_too_large_is_refused() -> None:
    problem = jqodi(12, seed=1, servers=2, cuts=2, models=1, widths=(8,), tightness=1.0)
    assert len(diagram(problem)) < 100
    with pytest.raises(InputError, match="max_size"):
        diagram(problem, tree=True, max_size=2000)
    with pytest.raises(InputError, match="max_size"):
        diagram(problem, max_size=50)
    with pytest.raises(InputError, match="problem"):
        diagram(qopt.load("placement/teaching-5"))  # type: ignore[arg-type]


def test_files(tmp_path: Path) -> None:
    for tree in (False, True):
        graph = diagram(qopt.load(FIG5), tree=tree)
        write_diagram(graph, tmp_path / "diagram.graphml")
        again = nx.read_graphml(tmp_path / "diagram.graphml")
        assert dict(again.nodes(data=True)) == dict(graph.nodes(data=True))
        assert nx.utils.edges_equal(list(again.edges(data=True)), list(graph.edges(data=True)), directed=True)
        write_diagram(graph, tmp_path / "diagram.json")
        read = nx.node_link_graph(json.loads((tmp_path / "diagram.json").read_text()), edges="edges")
        assert nx.utils.graphs_equal(read, graph)
    with pytest.raises(InputError, match="graphml"):
        write_diagram(graph, tmp_path / "diagram.dot")


# --- labels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [RULES, ("time",), ("bound",), ("dominance",), ()])
def test_labels_find_the_optimum_whatever_leaves(rules: tuple[str, ...]) -> None:
    for seed in range(6):
        problem = small(seed, "path" if seed % 2 else "schedule")
        best = qopt.solve(problem, method="brute-force").objective
        walk = labels(problem, rules=rules)
        if best is None:
            assert walk.plan is None
            assert walk.energy is None
        else:
            assert walk.energy == pytest.approx(best, rel=1e-12)
            assert qopt.certify(problem, walk.plan).feasible


def test_every_label_left_for_the_reason_given() -> None:
    """By enumeration: what leaves for time has no plan within T_max, what leaves for a bound none that is cheaper."""
    fates = set()
    for seed in range(6):
        problem = small(seed, "path", tightness=0.4)
        walk = labels(problem)
        plans = [
            (own.key, tuple(own.states[s] for s in states), *totals(own, states), keeps_limit(problem, own, states))
            for own, states in possible_plans(problem)
        ]
        for label in walk.labels:
            key = "/".join(label.vertex.split("/")[:2])
            on = [p for p in plans if p[0] == key and p[1][: label.epoch] == label.states]
            within = [p for p in on if p[4]]
            fates.add(label.fate)
            if label.fate == "time":
                assert not within
            elif label.fate == "bound":
                assert walk.energy is not None
                assert all(p[2] >= walk.energy * (1 - 1e-9) for p in within)
            elif label.fate == "dominance":
                rivals = [other for other in walk.at(label.vertex) if other.fate == "kept"]
                assert any(o.energy <= label.energy and o.time <= label.time for o in rivals)
        assert sum(walk.counts().values()) == len(walk.labels) == len(walk.table())
    assert fates >= {"kept", "time", "bound"}


def test_dominance_is_shown_where_bounds_are_off() -> None:
    walk = labels(qopt.load(FIG5), rules=("time", "dominance"))
    left = [label for label in walk.labels if label.fate == "dominance"]
    assert left
    assert all("gets there with" in label.reason for label in left)


def test_fewer_rules_leave_more_labels() -> None:
    problem = qopt.load(FIG5)
    kept = [labels(problem, rules=rules).counts()["kept"] for rules in (RULES, ("time", "dominance"), ("time",), ())]
    assert kept == sorted(kept)
    assert kept[0] < kept[-1]
    assert labels(problem).multipliers["M1/8"] == pytest.approx(16.0)


def test_what_labels_refuse() -> None:
    with pytest.raises(InputError, match="choice"):
        labels(small(0, "choice"))
    with pytest.raises(InputError, match="rules"):
        labels(small(0), rules=("hope",))
    with pytest.raises(InputError, match="max_labels"):
        labels(small(0), rules=(), max_labels=20)
    with pytest.raises(InputError, match="problem"):
        labels(qopt.load("placement/teaching-5"))  # type: ignore[arg-type]


# --- pictures ------------------------------------------------------------------------------------------------------


def texts(ax: Any) -> list[str]:
    return [text.get_text() for text in (*ax.texts, *ax.get_xticklabels())]


def test_the_picture_of_the_figure() -> None:
    plan = qopt.solve(qopt.load(FIG5)).plan
    ax = plots.plot_diagram(FIG5, plan)
    graph = diagram(qopt.load(FIG5))
    assert sum(len(points.get_offsets()) for points in ax.collections) == len(graph)
    bold = [line for line in ax.lines if line.get_linewidth() > 2]
    assert len(bold) == len(plan.servers) + 3
    assert len(ax.lines) == graph.number_of_edges()
    found = texts(ax)
    assert "2 bits, never" in found
    assert "epoch 3" in found
    assert "20.4 J\n1.01 s" in found
    tree = plots.plot_diagram(FIG5, plan, tree=True)
    assert any(text.endswith("3.32 s") for text in texts(tree))
    places = [tuple(point) for points in ax.collections for point in points.get_offsets().tolist()]
    assert len(set(places)) == len(places)


def test_time_against_energy() -> None:
    problem = qopt.load(FIG5)
    plans = {"best": qopt.solve(problem).plan, "full": qopt.solve(problem, method="minimal-model").plan}
    ax = plots.plot_energy_time(problem, plans)
    stairs, limit, best, broken = ax.lines
    assert min(stairs.get_ydata()) <= 34.5 <= max(stairs.get_ydata())
    assert limit.get_xdata()[0] == 3.5
    assert best.get_ydata()[0] == pytest.approx(34.5)
    assert best.get_markerfacecolor() != "white"
    assert broken.get_markerfacecolor() == "white"


@pytest.mark.parametrize("what", ["energy", "time"])
def test_where_it_goes(what: Any) -> None:
    problem = small(1, requests=1000.0, tightness=1.0)
    plan = qopt.solve(problem).plan
    ax = plots.plot_breakdown(problem, {"one": plan, "two": plan}, what)
    cost = breakdown(problem, plan)
    widths = [bars[0].get_width() for bars in ax.containers]
    assert sum(widths) == pytest.approx(cost.objective if what == "energy" else cost.time)
    names = ax.get_legend_handles_labels()[1]
    assert ("inference" in names) == (what == "energy")
    assert widths[names.index("device")] == (cost.node_energies if what == "energy" else cost.node_times)["device"]
    one = plots.plot_breakdown(problem, plan, what, ax=plots.plot_diagram(FIG5))
    assert one.get_xlabel().startswith(what)
    labels_ = [text.get_text() for text in ax.texts]
    assert len(labels_) == 2
    assert all(float(text) == pytest.approx(sum(widths), rel=1e-3) for text in labels_)
    assert not any("e" in text for text in labels_)


def test_what_pictures_refuse() -> None:
    problem = qopt.load(FIG5)
    plan = qopt.solve(problem).plan
    with pytest.raises(InputError, match="vertices"):
        plots.plot_diagram(jqodi(60, seed=0, servers=2, cuts=2))
    with pytest.raises(InputError, match="what"):
        plots.plot_breakdown(problem, plan, "price")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="plans"):
        plots.plot_breakdown(problem, {})
    with pytest.raises(InputError, match="problem"):
        plots.plot_diagram("placement/teaching-5")
    slow = plan.model_copy(update={"servers": ("frugal", "frugal")})
    with pytest.raises(InputError, match="within T_max"):
        plots.plot_diagram(problem, slow, tree=True)

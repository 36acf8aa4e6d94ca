"""Placements as data: what is refused and in which words, what an operator makes of a graph, files, the generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from qopt.instances import make_placement, make_schema

import qopt
from qopt.core.errors import InputError
from qopt.core.families import FAMILIES
from qopt.core.reading import load, save
from qopt.placement.generate import placement
from qopt.placement.problem import Placement
from qopt.placement.terms import terms

TEACHING = "placement/teaching-5"


def data() -> dict[str, Any]:
    """The teaching instance as plain data."""
    return load(TEACHING).model_dump()


def tensor(producer: str, *readers: str) -> dict[str, Any]:
    return {"producer": producer, "readers": list(readers), "size": 8}


SECOND = {"name": "second", "accuracy": 0.5}
BAD: list[tuple[str, Any, str, str]] = [
    ("graph.operations", [], "graph.operations", ""),
    ("graph.operations", ["a", "a", "b", "c", "d"], "graph.operations", "'a' twice"),
    ("graph.work", [1, 2], "graph.work", "2 entries"),
    ("graph.work", [0, 1, -1, 0, 0], "graph.work[2]", "-1"),
    ("graph.weights", [0, 1, 2, "3", 4], "graph.weights[3]", "'3'"),
    ("graph.tensors", [tensor("conv", "classify", "conv")], "graph.tensors", "a cycle, conv -> conv"),
    ("graph.tensors", [tensor("conv", "block"), tensor("block", "conv")], "graph.tensors", "a cycle"),
    ("graph.tensors", [tensor("block", "conv")], "graph.tensors[0].readers", "'conv', which is listed before its prod"),
    ("graph.tensors", [tensor("relu", "conv")], "graph.tensors[0].producer", "'relu'"),
    ("graph.tensors", [tensor("prepare", "relu")], "graph.tensors[0].readers", "'relu'"),
    ("graph.tensors", [tensor("prepare")], "graph.tensors[0].readers", ""),
    ("graph.tensors", [tensor("prepare", "conv", "conv")], "graph.tensors[0].readers", "'conv' twice"),
    ("graph.tensors", [tensor("prepare", "conv")], "graph.operations", "'block', which reads nothing"),
    ("graph.tensors", [], "graph.operations", "reads nothing"),
    ("graph.time", {"prepare": [1, 2]}, "graph.time.prepare", "2 entries"),
    ("graph.time", {"relu": [1, 2, 3]}, "graph.time", "'relu'"),
    ("graph.together", [["conv"]], "graph.together[0]", "'conv'"),
    ("graph.together", [["conv", "relu"]], "graph.together", "'relu'"),
    ("input.sizes", [], "input.sizes", "none"),
    ("input.sizes", [float("nan")], "input.sizes[0]", "nan"),
    ("input.readers", ["relu"], "input.readers", "'relu'"),
    ("input.tier", "moon", "input.tier", "'moon'"),
    ("output", {"operation": "relu", "size": 1, "tier": "edge"}, "output.operation", "'relu'"),
    ("output", {"operation": "classify", "size": 1, "tier": "moon"}, "output.tier", "'moon'"),
    ("output", {"operation": "add", "size": 1, "tier": "edge"}, "operators[2].skips", "'add'"),
    ("tiers", [], "tiers", ""),
    ("tiers[1].name", "mobile", "tiers", "'mobile' twice"),
    ("tiers[1].speed", 0, "tiers[1].speed", "0"),
    ("tiers[1].speed", None, "tiers[1].speed", "nothing"),
    ("links", [{"rate": 1}], "links", "1 entries"),
    ("links[0].rate", 0, "links[0].rate", "0"),
    ("links[1].rate", float("inf"), "links[1].rate", "inf"),
    ("links[0].overhead", 0, "links[0].overhead", "0"),
    ("links[0].latency", -1, "links[0].latency", "-1"),
    ("operators", [], "operators", ""),
    ("operators", [{"name": "identity"}], "operators[0].accuracy", "nothing"),
    ("operators[0].accuracy", 1.2, "operators[0].accuracy", "1.2"),
    ("operators", [SECOND, SECOND], "operators", "'second' twice"),
    ("operators[1].skips", ["relu"], "operators[1].skips", "'relu'"),
    ("operators[1].skips", ["prepare", "conv", "block", "add", "classify"], "operators[1].skips", "all operations"),
    ("operators[0].weights", [1, 2], "operators[0].weights", "2 entries"),
    ("operators[1].weights", [1, 2, 3, 4, 5], "operators[1].weights", "beside weight_factor"),
    ("operators[1].tensors", [1, 2, 3, 4], "operators[1].tensors", "beside tensor_factor"),
    ("operators[1].speeds", [1, 0, 1], "operators[1].speeds", "0"),
    ("operators[1].speeds", [1, 1], "operators[1].speeds", "2 entries"),
    ("operators[0].time", [[1, 1, 1]], "operators[0].time", "1 entries"),
    ("operators[0].time", [[1, 1]] * 5, "operators[0].time", "rows of 2"),
    ("pins", {"relu": ["edge"]}, "pins", "'relu'"),
    ("pins", {"conv": []}, "pins.conv", "no tier"),
    ("pins", {"conv": ["moon"]}, "pins.conv", "'moon'"),
    ("pins", {"conv": ["cloud"], "block": ["edge"]}, "pins", "pins that contradict each other"),
    ("pins", {"prepare": ["cloud"], "classify": ["mobile", "edge"]}, "pins", "contradict"),
    ("objective", {"time": 0}, "objective", "all 0"),
    ("targets", {"accuracy": 80}, "targets.accuracy", "80"),
    ("targets", {"latency": -1}, "targets.latency", "-1"),
    ("colour", "red", "colour", "an unknown field"),
    ("links[7].rate", 1, "links[7].rate", "no such entry"),
    ("graph.time.prepare", [1, 2, 3, 4], "graph.time.prepare", "4 entries"),
]


@pytest.mark.parametrize(("path", "value", "field", "words"), BAD, ids=[f"{b[0]}={str(b[1])[:30]}" for b in BAD])
def test_bad_input_is_one_line(path: str, value: Any, field: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        load(TEACHING).replace({path: value})
    assert error.value.field == field
    assert words in error.value.found
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_numbers_that_are_too_large_together() -> None:
    large = {"graph.work": [1e100] * 5, "tiers[0].speed": 1e-100, "objective.time": 1e100}
    problem = load(TEACHING).replace(large)
    with pytest.raises(InputError, match="below 1e300"):
        qopt.solve(problem)


def test_private_input_against_a_pin() -> None:
    with pytest.raises(InputError, match=r"pins\.prepare: found edge, while input\.private keeps .* on mobile"):
        load(TEACHING).replace({"input.private": True, "pins": {"prepare": ["edge"]}})
    kept = load(TEACHING).replace({"input.private": True, "pins": {"prepare": ["mobile", "edge"]}})
    assert kept.allowed[0].tolist() == [True, False, False]


def test_a_pin_below_the_input() -> None:
    with pytest.raises(InputError, match=r"pins\.classify: found mobile, edge, below cloud, where input\.tier"):
        load(TEACHING).replace({"input.tier": "cloud", "pins": {"classify": ["mobile", "edge"]}})


def test_an_early_exit_passes_on_what_enters_the_block() -> None:
    problem = load(TEACHING)
    own = terms(problem, problem.operator("quantized early exit"))
    assert own.names == ("prepare", "conv", "classify")
    assert [(f.producer, f.readers, f.bits) for f in own.flows] == [(0, (1,), 48), (1, (2,), 16), (2, (3,), 8)]
    assert own.memory.tolist() == [0, 100, 75]
    assert own.time.tolist() == [[2, 1, 1], [32, 2, 1], [64, 4, 2]]
    whole = terms(problem, problem.operator("identity"))
    assert [(f.producer, f.readers) for f in whole.flows] == [(0, (1,)), (1, (2,)), (2, (3, 4)), (3, (4,)), (4, (5,))]


def test_a_skipped_operation_passes_on_all_its_inputs() -> None:
    problem = load(TEACHING).replace({"operators": [{"name": "short", "accuracy": 0.8, "skips": ["add", "prepare"]}]})
    own = terms(problem, problem.operators[0])
    assert own.names == ("conv", "block", "classify")
    # conv reads the raw input; classify reads what add read: the outputs of conv and of block
    assert [(f.producer, f.readers, f.bits) for f in own.flows] == [(0, (1,), 48), (1, (2, 3), 32), (2, (3,), 32)]


def test_columns_of_an_operator_replace_factors() -> None:
    changes = {
        "operators[0].weights": [1, 2, 3, 4, 5],
        "operators[0].tensors": [1, 2, 3, 4],
        "operators[0].time": [[k, 2 * k, 3 * k] for k in range(5)],
    }
    problem = load(TEACHING).replace(changes)
    own = terms(problem, problem.operators[0])
    assert own.memory.tolist() == [1, 2, 3, 4, 5]
    assert [f.bits for f in own.flows] == [48, 1, 2, 3, 4]
    assert own.time[0].tolist() == [0, 0, 0], "the operator's table comes before the graph's"
    assert own.time[4].tolist() == [4, 8, 12]


def test_where_operations_may_run() -> None:
    problem = load(TEACHING).replace({"input.tier": "edge", "pins": {"classify": ["mobile", "cloud"]}})
    assert problem.birth == 1
    assert problem.allowed.tolist() == [[False, True, True]] * 4 + [[False, False, True]]
    assert qopt.solve(problem).plan.tiers["classify"] == "cloud"


def test_a_file_and_back(tmp_path: Path) -> None:
    for problem in (load(TEACHING), load("placement/branches-30"), placement(20, seed=3, memory=0.5, pins=0.3)):
        path = tmp_path / "problem.json"
        save(problem, path)
        again = load(path)
        assert again == problem
        assert again.allowed.tolist() == problem.allowed.tolist()


def test_the_schema_refuses_what_is_malformed() -> None:
    schema = json.loads(make_schema.path(FAMILIES["qopt/placement"]).read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    good = json.loads(json.dumps(data(), default=lambda a: a.tolist()))
    good = {k: v for k, v in good.items() if v is not None}
    for path, value in (
        (("graph", "work"), [1, -1]),
        (("tiers",), []),
        (("links",), [{"rate": 0}]),
        (("operators",), [{"name": "identity"}]),
        (("targets", "accuracy"), 2),
        (("input", "sizes"), ["x"]),
        (("colour",), "red"),
        (("version",), 2),
    ):
        changed = json.loads(json.dumps(good))
        at = changed
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        assert list(validator.iter_errors(changed)), path


def test_the_script_makes_the_instance() -> None:
    standing = load("placement/branches-30").replace({"best_known": None})
    assert standing == make_placement.branches_30(), "run python instances/make_placement.py"


class TestTeaching5:
    problem = load(TEACHING)

    def latency(self, operator: str, *tiers: str) -> float:
        """Objective of a plan by hand-written tiers."""
        from qopt.placement.costs import breakdown
        from qopt.placement.plan import PlacementPlan

        own = terms(self.problem, self.problem.operator(operator))
        plan = PlacementPlan(operator=operator, tiers=dict(zip(own.names, tiers, strict=True)))
        return breakdown(self.problem, plan).objective

    def test_every_sum_of_the_description(self) -> None:
        m, e, c = "mobile", "edge", "cloud"
        for total, operator, tiers in (
            (27, "identity", (e, e, e, e, e)),
            (36, "identity", (c, c, c, c, c)),
            (82, "identity", (m, m, m, m, m)),
            (31, "identity", (e, e, c, c, c)),
            (25, "identity", (e, e, e, e, c)),
            (17, "quantized", (e, e, e, e, e)),
            (16, "quantized", (e, e, e, e, c)),
            (13, "quantized", (m, e, e, e, c)),
            (17, "quantized", (e, e, c, c, c)),
            (10, "quantized early exit", (m, e, e)),
            (19, "early exit", (e, e, e)),
        ):
            assert self.latency(operator, *tiers) == total, (operator, tiers)
            assert str(total) in self.problem.description

    def test_optimum(self) -> None:
        known = self.problem.best_known
        for method in ("mincut", "brute-force", "cut-branch", "highs-mip", "pyomo", "cvxpy"):
            found = qopt.solve(self.problem, method)
            assert found.objective == pytest.approx(known["objective"], rel=1e-12)
            assert (found.plan.operator, found.plan.tiers) == (known["operator"], known["tiers"])
        assert qopt.solve(self.problem, "equal-size").objective == 17
        assert qopt.solve(self.problem.replace({"targets": {}})).objective == 10

    def test_latency_of_each_input(self) -> None:
        edge = self.problem.replace({"pins": {"prepare": ["edge"]}})
        assert qopt.solve(edge).certificate.cost.latencies == (15.0, 17.0)
        assert qopt.solve(self.problem).certificate.cost.latencies == (13.0, 13.0)


# --- generator -----------------------------------------------------------------------------------------------------


def test_generator_is_seeded_and_varied() -> None:
    assert placement(25, seed=3) == placement(25, seed=3)
    assert placement(25, seed=3) != placement(25, seed=4)
    chain = placement(25, seed=1, branches=0)
    assert all(len(t.readers) == 1 for t in chain.graph.tensors)
    wide = placement(40, seed=1, branches=0.8)
    assert max(len(t.readers) for t in wide.graph.tensors) > 2, "shared tensors"
    reads = [sum(name in t.readers for t in wide.graph.tensors) for name in wide.graph.operations]
    assert max(reads) >= 2, "joins"
    assert sum(wide.graph.operations[-1] != t.producer for t in wide.graph.tensors) == 39, "everything is read"
    tiers = {frozenset(qopt.solve(placement(6, seed=s)).plan.tiers.values()) for s in range(20)}
    assert len(tiers) >= 3


def test_pins_of_the_generator_leave_a_plan() -> None:
    for seed in range(40):
        problem = placement(15, seed=seed, pins=0.6, private=bool(seed % 2), tiers=2 + seed % 4)
        assert problem.pins
        assert qopt.solve(problem).status == "optimal"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"operations": 0}, "operations"),
        ({"seed": -1}, "seed"),
        ({"tiers": 65}, "tiers"),
        ({"branches": 1.5}, "branches"),
        ({"operators": 5}, "operators"),
        ({"pins": "x"}, "pins"),
        ({"memory": -1.0}, "memory"),
        ({"private": 1}, "private"),
        ({"spread": np.nan}, "spread"),
        ({"objective": {"time": 0.0}}, "objective"),
    ],
)
def test_generator_refuses(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as error:
        placement(**{"operations": 3, "seed": 1, **arguments})
    assert error.value.field == field


def test_the_head_is_the_same_in_every_family() -> None:
    assert isinstance(load(TEACHING), Placement)
    assert load(TEACHING).layers == 5
    assert load("qpart/teaching-3").layers == 3

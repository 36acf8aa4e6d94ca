"""What an allocation may say, and what is refused in one line."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import qopt
from qopt.allocation.problem import Allocation
from qopt.core.errors import InputError
from qopt.core.reading import from_data

GOOD: dict[str, Any] = {
    "format": "qopt/allocation",
    "version": 1,
    "name": "small",
    "groups": ["a", "b", "c"],
    "formats": ["int2", "int4", "int8"],
    "damage": [[9, 3, 1], [8, 2, None], [5, 1, 0]],
    "resources": {
        "bytes": {"use": [[10, 20, 40], [10, 20, None], [5, 10, 20]], "budget": 50, "unit": "B"},
        "latency": {"use": [[1.5, 2, 3], [1, 2, None], [1, 1, 1]]},
    },
}
PAIR = {"groups": ["a", "b"], "damage": [[0] * 3] * 3}
POOLS = {"resource": "bytes", "budgets": {"device": 40, "host": None}}


def changed(path: str, value: object) -> dict[str, Any]:
    """The good problem with one field changed."""
    data: Any = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    at = data
    for step in parents:
        at = at[step]
    at[last] = value
    return data  # type: ignore[no-any-return]


def test_the_good_problem_is_good() -> None:
    problem = from_data(GOOD)
    assert problem.layers == 3
    assert problem.menu.sum() == 8
    assert problem.whole == {"bytes": True, "latency": False}
    assert from_data(problem.model_dump()) == problem
    assert "bytes at most 50 B" in str(problem)


BAD = [
    ("groups", ["a", "b", "a"], "groups", "'a' twice"),
    ("formats", ["int2", "int2", "int8"], "formats", "'int2' twice"),
    ("damage", [[1, 2, 3]] * 2, "damage", "2 entries"),
    ("damage", [[1, 2]] * 3, "damage", "rows of 2 entries"),
    ("damage", [[1, 2, "x"]] + [[1, 2, 3]] * 2, "damage[0][2]", "'x'"),
    ("damage", [[1, 2, 3], [None] * 3, [1, 2, 3]], "damage[1]", "no format"),
    ("resources.bytes.use", [[1, 2, 3]] * 2, "resources.bytes.use", "2 entries"),
    (
        "resources.bytes.use",
        [[1, None, 3]] * 3,
        "resources.bytes.use[0][1]",
        "null for int4, which is on the menu of a",
    ),
    ("resources.bytes.use", [[1, -2, 3]] * 3, "resources.bytes.use[0][1]", "-2"),
    ("resources.bytes.budget", -1, "resources.bytes.budget", "-1"),
    ("resources.bytes.budget", 3, "resources.bytes.budget", "3 B, where plans use 25 to 80"),
    ("resources.bytes.budget", 51_200, "resources.bytes.budget", "51200 B, where plans use 25 to 80"),
    ("resources.damage", {"use": [[1, 2, 3]] * 3}, "resources", "'damage'"),
    ("minimise", "joules", "minimise", "'joules'"),
    ("minimise", "bytes", "damage_limit", "nothing"),
    ("damage_limit", 1.0, "damage_limit", "1"),
    ("ties", [["a"]], "ties[0]", "('a',)"),
    ("ties", [["a", "x"]], "ties[0]", "'x'"),
    ("ties", [["a", "b"], ["b", "c"]], "ties", "'b' twice"),
    ("pools", {**POOLS, "resource": "joules"}, "pools.resource", "'joules'"),
    ("pools", {**POOLS, "budgets": {}}, "pools.budgets", "{}"),
    ("pools", {**POOLS, "budgets": {"device": 1, "host": 1}}, "pools.budgets", "2 B, where plans use"),
    ("pools", {**POOLS, "use": {"bytes": {}}}, "pools.use.bytes", "'bytes'"),
    ("pools", {**POOLS, "use": {"latency": {"disk": [[1] * 3] * 3}}}, "pools.use.latency", "'disk'"),
    ("interactions", [{**PAIR, "groups": ["a", "a"]}], "interactions[0].groups", "'a' twice"),
    ("interactions", [{**PAIR, "groups": ["a", "x"]}], "interactions[0].groups", "'x'"),
    ("interactions", [{**PAIR, "damage": [[0] * 2] * 2}], "interactions[0].damage", "2 x 2"),
    ("interactions", [PAIR, {**PAIR, "groups": ["b", "a"]}], "interactions", "the pair a, b twice"),
    ("interactions", [{**PAIR, "damage": [[None] * 3] * 3}], "interactions[0].damage", "null for formats"),
]


@pytest.mark.parametrize(("path", "value", "field", "found"), BAD, ids=[f"{p}={str(v)[:30]}" for p, v, *_ in BAD])
def test_what_is_wrong_is_one_line(path: str, value: object, field: str, found: str) -> None:
    with pytest.raises(InputError) as caught:
        from_data(changed(path, value))
    line = str(caught.value)
    assert line.startswith(f"{field}: found {found}")
    assert line.isprintable()
    assert len(line) < 500


@pytest.mark.parametrize(("factor", "words"), [(1 / 1024, "1024 times more"), (1e6, r"1e\+06 times less")])
def test_a_budget_in_another_unit_is_refused_with_a_hint(factor: float, words: str) -> None:
    problem = qopt.load("allocation/qwen3.5-0.8b")
    with pytest.raises(InputError, match=rf"^resources.bytes.budget: found .* B, where plans use .*{words}"):
        problem.with_budgets(bytes=5e8 * factor)


def test_a_budget_a_little_off_is_no_error() -> None:
    """Too little is infeasible, and said why; too much is said not to bind."""
    problem = qopt.load("allocation/hawq-resnet18").with_budgets(bytes=None)
    low, high = problem.range_of("bytes")
    solution = qopt.solve(problem.with_budgets(bytes=low - 1))
    assert solution.status == "infeasible"
    assert solution.message.startswith("bytes: the least that a plan takes is")
    eighth = qopt.solve(problem.with_budgets(bytes=(low + high) / 16))
    assert eighth.status == "infeasible"
    assert eighth.message.endswith("(in range: 8 times more)")
    assert any("cannot bind" in note for note in qopt.solve(problem.with_budgets(bytes=2 * high)).certificate.notes)


def test_plans_that_do_not_fit_are_one_line() -> None:
    problem = from_data(GOOD)
    good = {"a": "int2", "b": "int2", "c": "int2"}
    for formats, field in (
        ({**good, "x": "int2"}, r"plan\.formats: found 'x'"),
        ({**good, "a": "int3"}, r"plan\.formats\.a: found 'int3'"),
        ({**good, "b": "int8"}, r"plan\.formats\.b: found 'int8'; allowed: one on its menu: int2, int4"),
        ({"a": "int2"}, r"plan\.formats: found nothing for b and 1 more"),
    ):
        with pytest.raises(InputError, match=field):
            qopt.certify(problem, qopt.AllocationPlan(formats=formats))
    with pytest.raises(InputError, match=r"plan\.pools: found 1 entries"):
        qopt.certify(problem, qopt.AllocationPlan(formats=good, pools={"a": "device"}))
    pooled = problem.replace({"pools": POOLS})
    with pytest.raises(InputError, match=r"plan\.pools: found nothing"):
        qopt.certify(pooled, qopt.AllocationPlan(formats=good))
    with pytest.raises(InputError, match=r"plan\.pools\.a: found 'disk'"):
        qopt.certify(pooled, qopt.AllocationPlan(formats=good, pools=dict.fromkeys(good, "disk")))


def test_budgets_change_without_a_copy_of_the_tables() -> None:
    problem = from_data(GOOD)
    other = problem.with_budgets(bytes=60)
    assert other == problem.replace({"resources.bytes.budget": 60})
    assert other.resources["bytes"].use is not None
    assert problem.with_budgets(bytes=None).resources["bytes"].budget is None
    with pytest.raises(InputError, match=r"^budgets.*: found no such resource; allowed: bytes, latency$"):
        problem.with_budgets(joules=1.0)


def test_generated_problems_say_how_they_were_made() -> None:
    one = qopt.generate.allocation(5, seed=3, resources=4, pools=2, ties=0.5, interactions=0.5)
    assert one == qopt.generate.allocation(5, seed=3, resources=4, pools=2, ties=0.5, interactions=0.5)
    assert one.source.startswith("qopt.generate.allocation(5, seed=3, formats=4, resources=4, pools=2")
    for option, value in (("formats", 0), ("resources", 5), ("pools", 9), ("ties", 2), ("minimise", "joules")):
        with pytest.raises(InputError, match=f"^{option}: found"):
            qopt.generate.allocation(5, seed=3, **{option: value})
    assert isinstance(one, Allocation)
    assert np.isfinite(one.damage).all()

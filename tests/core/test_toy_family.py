"""A fourth family is its own room, a row in the table of families, and a formulation: nothing else is touched."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qopt
from qopt.core.families import FAMILIES, Family, register

ROOM = Path(__file__).parents[1] / "helpers" / "toy"
ROW = Family(
    name="toy",
    problem="toy.problem:Toy",
    plan="toy.problem:ToyPlan",
    registry="toy.registry",
    certificate="toy.certificate",
    report="toy.report",
    breakpoints="toy.report:breakpoints",
    front="toy.report:front",
)
DATA = {
    "format": "qopt/toy",
    "version": 1,
    "name": "shelf",
    "items": [
        {"name": "brick", "price": 1.0, "weight": 6.0},
        {"name": "board", "price": 4.0, "weight": 2.0},
        {"name": "glass", "price": 7.0, "weight": 1.0},
        {"name": "gold", "price": 8.0, "weight": 2.0},
    ],
    "budget": 5.0,
}


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    """An instance file of the toy, which is a family for as long as the test runs."""
    register(ROW)
    path = tmp_path / "shelf.json"
    path.write_text(json.dumps(DATA))
    yield path
    del FAMILIES[ROW.format]


def test_what_users_call(shelf: Path) -> None:
    problem = qopt.load(shelf)
    solution = qopt.solve(problem)
    assert (solution.status, solution.plan.item, solution.objective) == ("optimal", "board", 6.0)
    assert qopt.certify(problem, solution.plan).proved
    assert qopt.solve(problem, "first").certificate.violations == ()
    assert not qopt.solve(problem, "first").certificate.feasible
    assert qopt.solve(problem, "model").objective == 6.0
    assert qopt.solve(problem.replace({"budget": 0.5})).status == "infeasible"
    assert [m["name"] for m in qopt.methods(problem)] == ["scan", "first", "model"]
    table = qopt.compare([problem])
    assert table["item"].tolist() == ["board", "brick", "board"]
    assert table["verified"].tolist() == [True, False, True]
    found = qopt.breakpoints(problem, "rate")
    assert found.by("item") == [(0.0, 3.0, "board"), (3.0, float("inf"), "glass")]
    front = qopt.front(problem)
    assert [point.name for point in front] == ["board", "glass"]
    assert {point.name for point in front.dominated} == {"gold", "brick"}


def test_what_is_shown(shelf: Path, qopt_cli: Any) -> None:
    solution = qopt.solve(shelf)
    assert "pick board" in solution.report()
    assert "budget" in solution.report()
    by_rate, front = qopt.breakpoints(shelf, "rate"), qopt.front(shelf)
    for thing in (qopt.load(shelf), solution, solution.plan, solution.certificate, by_rate, front):
        assert 0 < len(repr(thing)) <= 500
        assert len(str(thing).splitlines()) <= 6
    assert str(by_rate).splitlines()[1:] == ["  0 to 3: item board", "  3 to inf: item glass"]
    assert [line.split()[0] for line in str(front).splitlines()[1:]] == ["board:", "glass:"]
    done = qopt_cli("solve", shelf, "--save-plan", shelf.with_name("plan.json"))
    assert done.code == 0
    assert "pick board" in done.out
    assert qopt_cli("check", shelf, shelf.with_name("plan.json")).code == 0
    assert "board" in qopt_cli("compare", shelf).out
    assert "the readable model" in qopt_cli("methods", shelf).out
    assert qopt_cli("solve", shelf, "--set", "budget=0.1").code == 1


def test_a_plan_of_another_family_and_a_bad_field_are_one_line(shelf: Path) -> None:
    with pytest.raises(qopt.InputError, match="plan: found a QPartPlan; allowed: a plan for a toy problem"):
        qopt.certify(shelf, qopt.solve("qpart/teaching-3").plan)
    with pytest.raises(qopt.InputError, match=r"items\[0\].weight: found -1"):
        qopt.load(shelf).replace({"items[0].weight": -1})
    with pytest.raises(qopt.InputError, match="parameter: found 'budget'; allowed: 'rate'"):
        qopt.breakpoints(shelf, "budget")
    with pytest.raises(qopt.InputError, match="foo: found 1; allowed: nothing: breakpoints of a toy problem"):
        qopt.breakpoints(shelf, "rate", foo=1)
    with pytest.raises(qopt.InputError, match="labels: found 5; allowed: nothing: the certificate of a toy problem"):
        qopt.certify(shelf, None, labels=5)


def test_it_touches_two_files_outside_its_room() -> None:
    """Its lines, and what it imports: core, and itself. The row and the formulation are the two files."""
    lines = sum(bool(line.strip()) for path in ROOM.glob("*.py") for line in path.read_text().splitlines())
    assert lines <= 150
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("qopt"):
                assert node.module.startswith("qopt.core"), f"{path.name}: {node.module}"
    assert importlib.import_module("toy_formulation").__file__ is not None


def test_core_names_no_family() -> None:
    """No file of core has a family's name as a word of its code: not in a condition, not in a default."""
    core = Path(importlib.import_module("qopt.core").__file__ or "").parent
    names = {"qpart", "jqodi", "placement", "QPart", "Jqodi", "Placement"}
    for path in core.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            told = node.id if isinstance(node, ast.Name) else node.value if isinstance(node, ast.Constant) else None
            assert told not in names, f"{path.name}: {told}"


def test_the_table_is_filled_in_a_fresh_process() -> None:
    code = "from qopt.core.families import FAMILIES; print(len(FAMILIES))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(importlib.import_module("qopt.families").ROWS)

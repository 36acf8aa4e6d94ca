"""Instances that commands write: `qopt new`, `qopt generate`, and standard input wherever one is read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from command_line import Cli

import qopt
from qopt.core.families import FAMILIES
from qopt.core.problem import Frozen

NAMES = [family.name for family in FAMILIES.values()]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Standard input, to be filled."""
    stream = io.BytesIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))
    return stream


def fields(kind: type[Frozen]) -> set[str]:
    return set(kind.model_fields)


@pytest.mark.parametrize("family", NAMES)
def test_new_writes_every_field_and_solves(tmp_path: Path, qopt_cli: Cli, family: str) -> None:
    path = tmp_path / "mine.json"
    assert qopt_cli("new", family, "--out", str(path)).code == 0
    problem, text = qopt.load(path), path.read_text()
    assert problem.name == f"my-{family}"
    assert problem.best_known is None
    for name in fields(type(problem)):
        assert f'"{name}":' in text
    assert text.count("//") > 20
    assert qopt.solve(path).status == "optimal"
    again = qopt_cli("new", family, "--out", str(path))
    assert (again.code, path.read_text()) == (2, text)
    assert "allowed: a new file" in again.err


def test_fields_of_a_template_that_are_comments_may_be_taken_in(tmp_path: Path, qopt_cli: Cli) -> None:
    """Every line that leaves a field out is JSON where the marks before it are gone."""
    path = tmp_path / "mine.json"
    qopt_cli("new", "qpart", "-o", str(path))
    text, problem = path.read_text(), qopt.load(path)
    taken = text.replace('// "memory": null', '"memory": 1000')
    assert taken != text
    path.write_text(taken)
    assert qopt.load(path).device.memory == 1000
    path.write_text(text.replace('// "', '"'))
    assert qopt.load(path) == problem


def test_comments_keep_the_numbers_of_lines(tmp_path: Path, qopt_cli: Cli) -> None:
    path = tmp_path / "x.json"
    path.write_text('// one\n  // two\n{"format": "a//b",\n// three\n "x": }\n')
    called = qopt_cli("solve", str(path))
    assert "no JSON at line 5, column 7" in called.err
    path.write_text('{"format": "qopt/qpart", // no comment: it does not begin the line\n "x": 1}')
    assert "no JSON at line 1" in qopt_cli("solve", str(path)).err


@pytest.mark.parametrize("family", NAMES)
def test_generate_is_the_function_of_that_name(tmp_path: Path, qopt_cli: Cli, family: str) -> None:
    path = tmp_path / "drawn.json"
    assert qopt_cli("generate", family, "4", "--seed", "7", "--set", "name=drawn", "-o", str(path)).code == 0
    assert qopt.load(path) == getattr(qopt.generate, family)(4, seed=7, name="drawn")
    printed = qopt_cli("generate", family, "4", "--seed", "7", "--set", "name=drawn")
    assert printed.out == path.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("generate", "qpart", "0", "--seed", "1"), "SIZE: found 0"),
        (("generate", "qpart", "3", "--seed", "-1"), "seed: found -1"),
        (("generate", "qpart", "3", "--seed", "1", "--set", "noise=loud"), "noise: found 'loud'"),
        (("generate", "qpart", "3", "--seed", "1", "--set", "colour=red"), "--set: found colour; allowed: spread, "),
        (("generate", "qpart", "3", "--seed", "1", "--set", "seed=2"), "--set: found seed"),
        (("generate", "tsp", "3", "--seed", "1"), "family: found 'tsp'"),
        (("new", "tsp"), "family: found 'tsp'"),
        (("breakpoints", "qpart/teaching-3", "colour"), "colour"),
        (("breakpoints", "qpart/teaching-3", "channel.rate", "--csv", "--json"), "one or the other"),
        (("breakpoints", "jqodi/fig5", "time_limit", "--bits", "whole"), "bits: found 'whole'; allowed: nothing"),
    ],
)
def test_bad_calls_are_one_line(qopt_cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    called = qopt_cli(*arguments)
    assert (called.code, called.out) == (2, "")
    assert said in called.err
    assert called.err.count("\n") == 1


@pytest.mark.parametrize(
    "command", [("solve", "-"), ("compare", "-"), ("methods", "-"), ("export", "-", "--format", "lp")]
)
def test_an_instance_on_standard_input(qopt_cli: Cli, stdin: io.BytesIO, command: tuple[str, ...]) -> None:
    stdin.write(qopt_cli("generate", "jqodi", "2", "--seed", "1").out.encode())
    stdin.seek(0)
    called = qopt_cli(*command)
    assert called.code == 0
    assert called.out


def test_nothing_on_standard_input_is_one_line(qopt_cli: Cli, stdin: io.BytesIO) -> None:
    stdin.seek(0)
    called = qopt_cli("solve", "-")
    assert called.code == 2
    assert called.err.startswith("qopt: standard input: found no JSON at line 1, column 1")


def test_breakpoints_as_text_csv_and_json_say_the_same(qopt_cli: Cli) -> None:
    found = qopt.breakpoints("jqodi/fig5", "time_limit")
    call = ("breakpoints", "jqodi/fig5", "time_limit")
    assert json.loads(qopt_cli(*call, "--json").out) == json.loads(json.dumps(found.to_dict()))
    rows = list(csv.DictReader(io.StringIO(qopt_cli(*call, "--csv").out)))
    assert [(float(row["start"]), float(row["stop"])) for row in rows] == [(p.start, p.stop) for p in found]
    assert [row["intercept"] for row in rows] == [
        "" if p.objective is None else str(p.objective.intercept) for p in found
    ]
    lines = qopt_cli(*call).out.splitlines()
    assert len(lines) == 1 + len(found)
    assert "no plan" in lines[1]
    assert "34.5" not in lines[0]
    below = qopt_cli(*call, "--high", "1")
    assert below.code == 1

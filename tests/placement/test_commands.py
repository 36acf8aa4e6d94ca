"""The command line on placements."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

import qopt
from qopt.core.reading import save

TEACHING = "placement/teaching-5"


def test_solve_prints_tiers_and_the_certificate(qopt_cli: Cli) -> None:
    found = qopt_cli("solve", TEACHING)
    assert found.code == 0
    for words in ("operator quantized", "mobile", "conv … add", "feasible and optimal, proved", "flow", "13"):
        assert words in found.out


def test_input_sizes_are_printed_where_they_matter(qopt_cli: Cli) -> None:
    """The optimum prepares the picture on the mobile, so that its size does not matter; from the edge on it does."""
    assert "input sizes" not in qopt_cli("solve", TEACHING).out
    on_edge = qopt_cli("solve", TEACHING, "--set", 'pins={"prepare": ["edge"]}').out
    assert "15 s to 17 s over 2 input sizes" in on_edge  # 48 bits take 6 s at 8 bit/s, 40 take 5 and 56 take 7


def test_solve_check_and_back(qopt_cli: Cli, tmp_path: Path) -> None:
    for method in ("mincut", "cut-branch", "highs-mip"):
        path, plan = tmp_path / "solution.json", tmp_path / "plan.json"
        solved = qopt_cli("solve", TEACHING, "--method", method, "--json", "--save-plan", plan)
        assert solved.code == 0
        path.write_text(solved.out, encoding="utf-8")
        for file in (path, plan):
            checked = qopt_cli("check", TEACHING, file, "--json")
            assert checked.code == 0
            assert json.loads(checked.out)["proved"]
        assert qopt.read_plan(plan) == qopt.solve(TEACHING).plan


def test_check_refuses_what_is_wrong(qopt_cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan = qopt.solve(TEACHING).plan.to_dict()
    path.write_text(json.dumps({**plan, "tiers": {**plan["tiers"], "prepare": "cloud"}}), encoding="utf-8")
    found = qopt_cli("check", TEACHING, path)
    assert found.code == 1
    assert "NOT FEASIBLE" in found.out
    assert "conv: below prepare" in found.out
    path.write_text(json.dumps(qopt.solve("qpart/teaching-3").plan.to_dict()), encoding="utf-8")
    other = qopt_cli("check", TEACHING, path)
    assert other.code == 2
    assert "qopt/placement-plan" in other.err
    path.write_text("[]", encoding="utf-8")
    assert "operator and tiers" in qopt_cli("check", TEACHING, path).err


def test_fields_can_be_set(qopt_cli: Cli) -> None:
    found = json.loads(
        qopt_cli("solve", TEACHING, "--set", "links[1].rate=8", "--set", "targets.accuracy=0.79", "--json").out
    )
    assert found["plan"]["operator"] == "identity"
    assert found["objective"] == 6 + 6 + 1 + 1 + 2 + 2  # everything on the cloud
    assert found["bits"] is None
    private = json.loads(qopt_cli("solve", TEACHING, "--set", "input.private=true", "--json").out)
    assert private["plan"]["tiers"]["prepare"] == "mobile"


def test_exit_codes(qopt_cli: Cli) -> None:
    assert qopt_cli("solve", TEACHING, "--set", "targets.latency=12").code == 1
    assert qopt_cli("solve", TEACHING, "--set", "targets.accuracy=0.9").code == 1
    assert qopt_cli("solve", TEACHING, "--method", "equal-size", "--set", "targets.latency=16").code == 3
    assert qopt_cli("compare", TEACHING, "--set", "targets.latency=12", "--methods", "mincut,equal-size").code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["solve", TEACHING, "--set", "links[0].rate=0"], "links[0].rate: found 0"),
        (["solve", TEACHING, "--set", 'pins={"conv": ["cloud"], "add": ["mobile"]}'], "contradict"),
        (["solve", TEACHING, "--bits", "whole"], "bits: found 'whole'"),
        (["solve", TEACHING, "--cut", "2"], "--cut: found 2; allowed: nothing: a placement has no cut"),
        (["check", TEACHING, "plan.json", "--level", "0.01"], "--level: found 0.01; allowed: nothing: a placement has"),
        (["solve", TEACHING, "--set", "operators=[]"], "operators: found []; allowed: a list of 1 or more entries"),
        (["solve", TEACHING, "--method", "mckp"], "method: found 'mckp'"),
        (["solve", TEACHING, "--method", "chain-dp"], "not a chain"),
        (["compare", TEACHING, "qpart/teaching-3", "--methods", "mincut"], "method: found 'mincut'"),
        (["methods", "--family", "tiers"], "family: found 'tiers'"),
    ],
)
def test_bad_calls(qopt_cli: Cli, arguments: list[str], words: str) -> None:
    found = qopt_cli(*arguments)
    assert found.code == 2
    assert words in found.err
    assert found.err.count("\n") == 1


def test_compare(qopt_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    found = qopt_cli("compare", TEACHING)
    assert found.code == 0
    for words in ("mincut", "operator", "mobile-edge-cloud", "not used: chain-dp"):
        assert words in found.out
    assert "bits" not in found.out
    records = json.loads(qopt_cli("compare", TEACHING, "--json").out)
    assert {r["method"] for r in records if r["proved"]} >= {"mincut", "cut-branch", "highs-mip", "pyomo", "cvxpy"}
    both = qopt_cli("compare", TEACHING, "qpart/teaching-3", "--methods", "brute-force,highs-mip")
    assert both.code == 0
    assert "whole" in both.out
    assert "mobile-edge-cloud" in both.out


def test_compare_as_a_table() -> None:
    table = qopt.compare([TEACHING, "qpart/teaching-3"], ["brute-force"])
    assert table.operator.tolist()[0] == "quantized"
    assert table.cut.tolist()[1] == 2


def test_lists(qopt_cli: Cli) -> None:
    assert "placement/branches-30" in qopt_cli("instances").out
    own = json.loads(qopt_cli("instances", "--family", "placement", "--json").out)
    assert {r["name"].split("/")[0] for r in own} == {"placement"}
    assert {r["name"]: r["layers"] for r in own}[TEACHING] == 5
    listed = qopt_cli("methods", "--family", "placement")
    assert listed.code == 0
    assert "cut-branch" in listed.out
    records = json.loads(qopt_cli("methods", TEACHING, "--json").out)
    assert records[0]["name"] == "mincut"
    assert all(r["bits"] is None for r in records)


def test_numbers_in_json_are_finite(qopt_cli: Cli, tmp_path: Path) -> None:
    def walk(node: Any) -> None:
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
            walk(value)
            assert not isinstance(value, float) or math.isfinite(value)

    path = tmp_path / "private.json"
    save(qopt.load(TEACHING).replace({"input.private": True, "tiers[0].memory": 60}), path)
    for arguments in (["solve", path], ["compare", path], ["solve", path, "--method", "cut-branch"]):
        walk(json.loads(qopt_cli(*arguments, "--json").out))

"""The command line on JQODI problems."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli
from rich.console import Console

import qopt
from qopt.core.reading import save
from qopt.core.report import certificate_table

TOY, DATA1 = "jqodi/fig5", "jqodi/data1"
FREE = ("--set", "mode=schedule", "--set", "switching={}")


def test_solve_prints_epochs_nodes_and_the_certificate(qopt_cli: Cli) -> None:
    """The optimum of the toy is worked by hand in its description: 34.5 J and 3.32 s."""
    found = qopt_cli("solve", TOY)
    assert found.code == 0
    for words in (
        "model M1 at 8 bits, 2 epochs for device",
        "frugal",
        "1 of 3 on the device",
        "changing",
        "34.5 J",
        "3.32 s of 3.5 s",
        "expected loss",
        "feasible and optimal, proved",
        "recomputed from Eqs. 1-10",
    ):
        assert words in found.out


def test_equal_epochs_are_one_line(qopt_cli: Cli) -> None:
    found = qopt_cli("solve", DATA1)
    assert found.code == 0
    for words in ("1 … 26", "rtx3090", "64C3-MP2", "6.988 kJ", "135.6 s of 180 s", "one server and cut"):
        assert words in found.out


def test_requests_are_told_apart(qopt_cli: Cli) -> None:
    """What is served is part of the objective and not of fine-tuning."""
    plain = json.loads(qopt_cli("solve", DATA1, "--json").out)
    found = json.loads(qopt_cli("solve", DATA1, "--set", "inference.requests=1000", "--json").out)
    cost = found["certificate"]["cost"]
    assert plain["certificate"]["cost"]["objective"] == plain["certificate"]["cost"]["energy"]
    assert cost["objective"] == pytest.approx(cost["energy"] + cost["inference"]["total_energy"], rel=1e-12)
    assert cost["inference"]["total_energy"] == 1000 * cost["inference"]["energy"] > 0
    assert found["objective"] > plain["objective"]
    assert "1000 of them: " in qopt_cli("solve", DATA1, "--set", "inference.requests=1000").out


@pytest.mark.parametrize(
    ("method", "changes"),
    [("rcsp", ()), ("highs-mip", ()), ("brute-force", ()), ("mckp", FREE), ("inspection", ("--set", "mode=choice"))],
)
def test_solve_check_and_back(qopt_cli: Cli, tmp_path: Path, method: str, changes: tuple[str, ...]) -> None:
    path, plan = tmp_path / "solution.json", tmp_path / "plan.json"
    solved = qopt_cli("solve", TOY, "--method", method, *changes, "--json", "--save-plan", plan)
    assert solved.code == 0
    path.write_text(solved.out, encoding="utf-8")
    for file in (path, plan):
        checked = qopt_cli("check", TOY, file, *changes, "--json")
        assert checked.code == 0
        assert json.loads(checked.out)["proved"]
    assert json.loads(solved.out)["plan"] == json.loads(plan.read_text(encoding="utf-8"))


def test_the_modes_are_a_chain(qopt_cli: Cli) -> None:
    """By hand: 41.4 J with one server, 34.5 J where changing costs 0.3 J, 34.2 J where it is free."""
    objectives = [
        json.loads(qopt_cli("solve", TOY, *changes, "--json").out)["objective"]
        for changes in (("--set", "mode=choice"), (), FREE)
    ]
    assert objectives == pytest.approx([41.4, 34.5, 34.2], rel=1e-12)


def test_check_refuses_what_is_wrong(qopt_cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan = qopt.solve(TOY).plan.to_dict()

    def check(changes: dict[str, Any]) -> Any:
        path.write_text(json.dumps({**plan, **changes}), encoding="utf-8")
        return qopt_cli("check", TOY, path)

    late = check({"servers": ["frugal", "frugal"]})  # 0.7 + 2 x 1.46 s
    assert late.code == 1
    assert "NOT FEASIBLE" in late.out
    assert "3.62" in late.out
    never = check({"bits": 2})
    assert never.code == 1
    assert "never reaches it" in never.out
    cheaper = check({"servers": ["fast", "fast"]})  # feasible, and 20 % above the optimum
    assert cheaper.code == 0
    assert "proved" not in cheaper.out.split("verdict")[1].splitlines()[0]
    for changes, words in (
        ({"servers": ["fast"]}, "plan.cuts: found 2 epochs; allowed: 1"),
        ({"servers": ["fast"], "cuts": [1]}, "plan.servers: found 1 epochs; allowed: 2"),
        ({"servers": ["fast", "moon"]}, "plan.servers[1]: found 'moon'; allowed: fast, frugal"),
        ({"cuts": [1, 3]}, "plan.cuts[1]: found 3; allowed: cuts of M1: 1, 2"),
        ({"bits": 3}, "plan.bits: found 3; allowed: widths of M1: 2, 4, 8"),
        ({"model": "M2"}, "plan.model: found 'M2'; allowed: M1"),
    ):
        found = check(changes)
        assert found.code == 2
        assert words in found.err
        assert found.err.count("\n") == 1
    path.write_text(json.dumps(qopt.solve("placement/teaching-5").plan.to_dict()), encoding="utf-8")
    assert "qopt/jqodi-plan" in qopt_cli("check", TOY, path).err


def test_a_claim_of_infeasibility_can_be_checked(qopt_cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    solved = qopt_cli("solve", TOY, "--set", "time_limit=2", "--json")
    assert solved.code == 1
    path.write_text(solved.out, encoding="utf-8")
    assert qopt_cli("check", TOY, path, "--set", "time_limit=2").code == 1
    assert qopt_cli("check", TOY, path).code == 3  # with 3.5 s there is a plan, and the file has none


def test_fields_can_be_set(qopt_cli: Cli) -> None:
    def plan(*changes: str) -> Any:
        sets = [word for change in changes for word in ("--set", change)]
        return json.loads(qopt_cli("solve", TOY, *sets, "--json").out)["plan"]

    assert plan()["servers"] == ["fast", "frugal"]
    assert plan("time_limit=3")["servers"] == ["fast", "fast"]
    assert plan("time_limit=4")["servers"] == ["frugal", "frugal"]
    assert plan("time_limit=2.5")["bits"] == 4
    assert plan("widths=[4]")["servers"] == ["fast", "frugal", "frugal"]
    assert len(plan("estimate=robust")["cuts"]) == 4
    gone = 'conditions={"servers": {"frugal": {"available": [true, false, false, true]}}}'
    assert plan(gone)["servers"][1] == "fast"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["time_limit=1"], "T_max of 1 s cannot be met: it takes"),
        (["models[0].loss_limit=0.02"], "a T_max of 4.48 s (M1 at 4 bits), or an L_max of M1 of 0.029"),
        (["widths=[2]"], "L_max cannot be met: no admissible bit-width of any model ever reaches it"),
        (["servers[0].cloud_rate=null", "servers[1].cloud_rate=null"], "no server has a link with the cloud"),
        (
            ['conditions={"servers": {"fast": {"available": [true, false, true]}, "frugal": {"speed": [1, 0, 1]}}}'],
            "no T_max can be met: in epoch 2 no server and cut is possible",
        ),
    ],
)
def test_what_cannot_be_met_is_said(qopt_cli: Cli, changes: list[str], words: str) -> None:
    sets = [word for change in changes for word in ("--set", change)]
    found = qopt_cli("solve", TOY, *sets)
    assert found.code == 1
    assert words in " ".join(found.out.split())
    assert "infeasible: no plan exists, proved" in found.out


def test_the_smallest_limits_work(qopt_cli: Cli) -> None:
    """Numbers in the message can be set: by hand 0.1 s and three epochs of 0.73 s, and 0.049 - 2 x 0.005."""
    found = json.loads(qopt_cli("solve", TOY, "--set", "time_limit=2", "--json").out)
    seconds, loss = re.findall(r"of ([\d.]+)", found["message"])[1:]
    assert 2.29 <= float(seconds) <= 2.2901
    assert 0.039 <= float(loss) <= 0.03901
    assert qopt_cli("solve", TOY, "--set", f"time_limit={seconds}").code == 0
    assert qopt_cli("solve", TOY, "--set", "time_limit=2.289").code == 1
    loosened = ("--set", "time_limit=2", "--set")
    assert qopt_cli("solve", TOY, *loosened, f"models[0].loss_limit={loss}").code == 0
    assert qopt_cli("solve", TOY, *loosened, "models[0].loss_limit=0.0389").code == 1


def test_no_time_and_no_proof(qopt_cli: Cli) -> None:
    for method in ("rcsp", "brute-force"):
        found = qopt_cli("solve", TOY, "--method", method, "--time-limit", "0", "--json")
        assert found.code == 0
        data = json.loads(found.out)
        assert (data["status"], data["certificate"]["feasible"]) == ("time-limit", True)


@pytest.mark.parametrize("method", ["rcsp", "fptas"])
def test_gap(qopt_cli: Cli, method: str) -> None:
    found = json.loads(qopt_cli("solve", TOY, "--method", method, "--gap", "0.2", "--json").out)
    assert 34.5 * (1 - 1e-12) <= found["objective"] <= 34.5 * 1.2


@pytest.mark.parametrize("formulation", ["flow", "assignment"])
def test_formulations_can_be_chosen(qopt_cli: Cli, formulation: str) -> None:
    arguments = ("--method", "pyomo", "--formulation", formulation, "--solver", "highs", "--json")
    assert json.loads(qopt_cli("solve", TOY, *arguments).out)["objective"] == pytest.approx(34.5, rel=1e-12)


def test_published_strategies(qopt_cli: Cli, tmp_path: Path) -> None:
    """The paper's own plan is dearer than its Optimum; its comparisons break limits, and the exit code says so."""
    printed = {"jqodi-paper": (0, 7651.3), "full-model": (3, 19091.0), "minimal-model": (3, None)}
    for method, (code, total) in printed.items():
        path = tmp_path / f"{method}.json"
        found = qopt_cli("solve", DATA1, "--method", method, "--json", "--save-plan", path)
        assert found.code == code
        solution = json.loads(found.out)
        assert solution["status"] == "heuristic"
        assert solution["certificate"]["bound"] == pytest.approx(6988.1, rel=1e-3)
        if total is not None:
            assert solution["certificate"]["cost"]["energy"] == pytest.approx(total, rel=1e-3)
        assert qopt_cli("check", DATA1, path).code == (1 if code else 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["solve", TOY, "--set", "servers[0].cloud_rate=-1"], "servers[0].cloud_rate: found -1; allowed: a number > 0"),
        (["solve", TOY, "--set", "time_limit=0"], "time_limit: found 0"),
        (["solve", TOY, "--set", "mode=schedule"], "mode: found 'schedule' beside a switching that costs"),
        (["solve", TOY, "--set", "device=moon"], "device: found 'moon'; allowed: a device: device"),
        (["solve", TOY, "--set", "widths=[3]"], "widths[0]: found 3; allowed: widths of the models: 2, 4, 8"),
        (["solve", TOY, "--set", 'conditions={"device_speed": [1]}'], "conditions.device_speed: found 1 entries"),
        (
            ["solve", TOY, "--set", 'devices[0].links=[{"server": "moon", "rate": 1}]'],
            "found 'moon'; allowed: a server",
        ),
        (["solve", TOY, "--set", "models=[]"], "models: found []; allowed: a list of 1 or more entries"),
        (["solve", TOY, "--bits", "whole"], "bits: found 'whole'"),
        (["solve", TOY, "--cut", "2"], "--cut: found 2; allowed: nothing: a jqodi has no cut"),
        (["check", TOY, "plan.json", "--level", "0.01"], "--level: found 0.01; allowed: nothing: a jqodi has no level"),
        (["solve", TOY, "--method", "mincut"], "method: found 'mincut'"),
        (["solve", TOY, "--method", "mckp"], "changing the server or the cut costs"),
        (["solve", TOY, "--method", "inspection"], "it takes mode choice, this problem's is path"),
        (["solve", TOY, "--method", "brute-force", "--gap", "0.1"], "gap: found 0.1, which brute-force does not take"),
        (["solve", TOY, "--method", "rcsp", "--gap", "0"], "gap: found 0.0; allowed: a number > 0"),
        (["solve", TOY, "--method", "rcsp", "--solver", "highs"], "solver: found 'highs', which rcsp does not take"),
        (["solve", DATA1, "--method", "fptas"], "it takes modes schedule and path"),
        (["solve", TOY, "--method", "jqodi-paper", "--gap", "0.1"], "gap: found 0.1, which jqodi-paper does not take"),
        (["compare", TOY, "placement/teaching-5", "--methods", "rcsp"], "method: found 'rcsp'"),
    ],
)
def test_bad_calls(qopt_cli: Cli, arguments: list[str], words: str) -> None:
    found = qopt_cli(*arguments)
    assert found.code == 2
    assert words in found.err
    assert found.err.count("\n") == 1


def test_a_certificate_in_words(qopt_cli: Cli, tmp_path: Path) -> None:
    """What holds or does not is yes or no, and a plan that is not feasible has no gap."""
    code, out, _ = qopt_cli("solve", TOY, "--method", "minimal-model")
    assert code != 0 or "NOT FEASIBLE" in out
    rows = {line.split("  ")[0].strip(): line for line in out[out.index("Certificate") :].splitlines()}
    assert "gap" not in rows
    assert re.search(r"0\.0\d+ of 0\.035  VIOLATED", rows["loss"])
    file = tmp_path / "plan.json"
    plan = qopt.solve(DATA1).plan
    qopt.save_plan(plan, file)
    _, out, _ = qopt_cli("check", DATA1, str(file), "--set", "widths=[4]")
    assert re.search(r"admissible width +no  VIOLATED", out)
    assert "lower bound" in out
    assert "\ngap" not in out
    _, out, _ = qopt_cli("check", DATA1, str(file), "--set", "mode=schedule")
    assert re.search(r"\ngap ", out)
    hard = qopt.generate.jqodi(8, seed=3, mode="schedule", models=1, widths=[8], servers=2, cuts=2)
    report = certificate_table(hard, replace(qopt.solve(hard).certificate, kind="lagrangian", proved=False))
    shown = Console(width=200)
    with shown.capture() as caught:
        shown.print(report)
    assert "one for each model and bit-width" in caught.get()
    assert "cut)" not in caught.get()


def test_compare(qopt_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    found = qopt_cli("compare", TOY)
    assert found.code == 0
    for words in ("rcsp", "servers", "fast, frugal", "not used: mckp: changing", "not used: inspection: it takes mode"):
        assert words in found.out
    records = {r["method"]: r for r in json.loads(qopt_cli("compare", TOY, "--json").out)}
    assert {name for name, r in records.items() if r["proved"]} >= {
        "rcsp",
        "highs-mip",
        "pyomo",
        "cvxpy",
        "brute-force",
    }
    assert records["minimal-model"]["verified"] is False
    assert not [r["message"] for r in records.values() if r["status"] == "failed"]
    assert qopt_cli("compare", TOY, "--set", "time_limit=1", "--methods", "rcsp,highs-mip").code == 1
    both = qopt_cli("compare", TOY, "placement/teaching-5", "--methods", "brute-force,highs-mip")
    assert both.code == 0
    for words in ("fig5", "teaching-5", "M1", "quantized"):
        assert words in both.out


def test_compare_as_a_table() -> None:
    table = qopt.compare([TOY, DATA1], ["brute-force"])
    assert table.model.tolist() == ["M1", "lenet"]
    assert table.width.tolist() == [8, 8]
    assert table.servers.tolist() == ["fast, frugal", "rtx3090"]
    assert table.cuts.tolist() == ["1", "1"]
    assert table.time.tolist() == pytest.approx([3.32, 135.564], rel=1e-4)


def test_lists(qopt_cli: Cli) -> None:
    own = {r["name"]: r for r in json.loads(qopt_cli("instances", "--family", "jqodi", "--json").out)}
    assert set(own) >= {TOY, DATA1, "jqodi/data2"}
    assert own[TOY]["best_known"] == 34.5
    listed = qopt_cli("methods", "--family", "jqodi")
    assert listed.code == 0
    for name in ("inspection", "mckp", "rcsp", "highs-mip", "brute-force", "fptas", "jqodi-paper", "adp", "full-model"):
        assert name in listed.out
    usable = {r["name"]: r["reason"] for r in json.loads(qopt_cli("methods", TOY, "--json").out)}
    assert usable["rcsp"] is None
    assert "mode choice" in usable["inspection"]


def test_numbers_in_json_are_finite(qopt_cli: Cli, tmp_path: Path) -> None:
    """Links that are missing and servers that are gone make times infinite inside; none of that is written."""

    def walk(node: Any) -> None:
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
            walk(value)
            assert not isinstance(value, float) or math.isfinite(value)

    toy = qopt.load(TOY)
    gone = {"servers": {"frugal": {"available": [True, False, True]}, "fast": {"speed": [0.0, 1.0, 1.0]}}}
    changes: list[dict[str, Any]] = [
        {"conditions": gone},
        {"servers[0].cloud_rate": None},
        {"time_limit": 0.5},
        {"widths": [2]},
    ]
    for number, change in enumerate(changes):
        path = tmp_path / f"{number}.json"
        save(toy.replace(change), path)
        for arguments in (["solve", path], ["compare", path], ["solve", path, "--method", "highs-mip"]):
            walk(json.loads(qopt_cli(*arguments, "--json").out))

"""Tables that people have, recipes, and the audit of another tool's plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qopt
from qopt.allocation.recipe import from_recipe
from qopt.core.errors import InputError

HAWQ: dict[str, Any] = {
    "network": "two layers",
    "source": "made up",
    "bits": [4, 8],
    "trace": [2.0, 1.0, 0.5],
    "delta_w2": {"4": [3.0, 4.0, 1.0], "8": [0.5, 0.25, 0.5]},
    "parameters": [100, 200, 100],
    "macs": [1000, 500, 500],
    "latency_ms": {"4": [1.0, 1.0, 1.0], "8": [2.0, 1.5, 1.5]},
    "tied": [[0, 1]],
}
GGUF: dict[str, Any] = {
    "what": "two tensors",
    "source": "made up",
    "fixed_bytes_of_other_tensors": 7,
    "formats": [{"name": "q2", "kld": 2.0}, {"name": "q4", "kld": 0.5}],
    "tensors": [
        {"name": "blk.0.w", "kld_q2": 0.25, "bytes": [20, 40]},
        {"name": "blk.1.w", "kld_q2": 0.5, "bytes": [10, 20]},
    ],
}
CSV = "group,format,damage,bytes\na,int4,3,10\na,int8,1,20\nb,int4,2,10\n"


def written(tmp_path: Path, name: str, content: object) -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_hawq(tmp_path: Path) -> None:
    problem = qopt.read_table(written(tmp_path, "hawq.json", HAWQ), budgets={"bytes": 300})
    assert problem.name == "hawq"
    assert problem.formats == ("int4", "int8")
    assert problem.damage.tolist() == [[6.0, 1.0], [4.0, 0.25], [0.5, 0.25]]
    assert problem.resources["bytes"].use.tolist() == [[50, 100], [100, 200], [50, 100]]
    assert problem.resources["bops"].use[0].tolist() == [16_000, 64_000]
    assert problem.resources["latency"].unit == "ms"
    assert problem.ties == (("layer1", "layer2"),)
    assert qopt.solve(problem).plan.formats == {"layer1": "int4", "layer2": "int4", "layer3": "int8"}


def test_gguf(tmp_path: Path) -> None:
    problem = qopt.read_table(written(tmp_path, "gguf.json", GGUF), budgets={"bytes": 57}, name="mine")
    assert problem.name == "mine"
    assert problem.damage.tolist() == [[0.25, 0.0625], [0.5, 0.125]]
    assert problem.resources["bytes"].fixed == 7
    solution = qopt.solve(problem)
    assert solution.certificate.cost.resources["bytes"] == 7 + 20 + 20
    assert solution.objective == 0.375


def test_csv(tmp_path: Path) -> None:
    problem = qopt.read_table(written(tmp_path, "t.csv", CSV), budgets={"bytes": 25})
    assert problem.menu.tolist() == [[True, True], [True, False]]
    assert qopt.solve(problem).objective == 5.0


def test_sensitivity() -> None:
    path = Path(__file__).parents[2] / "instances" / "mnist" / "mlp6-sensitivity.json"
    weights = qopt.load("qpart/mnist-mlp6").network.weights
    problem = qopt.read_table(path, parameters=weights, fixed=100, budgets={"bytes": int(weights.sum() / 2)})
    assert problem.formats[3] == "int4"
    assert problem.resources["bytes"].use[0, 0] == np.ceil(weights[0] / 8)
    solution = qopt.solve(problem)
    assert solution.status == "optimal"
    assert solution.certificate.cost.resources["bytes"] <= int(weights.sum() / 2)
    with pytest.raises(InputError, match=r"^parameters: found nothing; allowed: the number of weights of each layer"):
        qopt.read_table(path)
    with pytest.raises(InputError, match=r"^parameters: found "):
        qopt.read_table(path, parameters=[1, 2])


def without(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


BAD: list[tuple[str, object, str]] = [
    ("x.json", {"a": 1}, r"x.json: found an object with a; allowed: an allocation, a HAWQ table"),
    ("x.json", [1], r"x.json: found \[1\]"),
    ("x.json", without(HAWQ, "bits"), r"^bits: found nothing"),
    ("x.json", {**HAWQ, "macs": [1]}, r"^macs: found 1 entries; allowed: 3$"),
    ("x.json", {**HAWQ, "delta_w2": {"4": [1, 1, 1]}}, r"^delta_w2.8: found nothing"),
    ("x.json", {**HAWQ, "parameters": [1, "2", 3]}, r"^parameters\[1\]: found '2'; allowed: a number >= 0$"),
    ("x.json", {**HAWQ, "tied": [[0, 9]]}, r"^tied\[0\]: found \[0, 9\]"),
    (
        "x.json",
        {**GGUF, "formats": [{"name": "q2", "kld": 0}, {"name": "q4", "kld": 1}]},
        r"^formats\[0\].kld: found 0",
    ),
    (
        "x.json",
        {**GGUF, "tensors": [{"name": "a", "kld_q9": 1, "bytes": [1, 2]}]},
        r"^tensors\[0\]: found \['kld_q9'\]",
    ),
    (
        "x.json",
        {**GGUF, "tensors": [{"name": "a", "kld_q2": 1, "bytes": [1]}]},
        r"^tensors\[0\].bytes: found 1 entries",
    ),
    ("x.json", {**GGUF, "tensors": [{"name": "a", "kld_q2": 1}]}, r"^tensors\[0\].bytes: found nothing"),
    ("x.csv", "", r"^x.csv, line 1: found ''; allowed: columns group, format, damage"),
    ("x.csv", CSV + "a,int4,1,1\n", r"^x.csv, line 5: found a in int4 again"),
    ("x.csv", CSV + "c,int4,x,1\n", r"^x.csv, line 5, damage: found 'x'; allowed: a finite number$"),
    ("x.csv", CSV + "c,int4,1\n", r"^x.csv, line 5: found 3 cells"),
    ("x.csv", CSV + "c,int4,1,\n", r"^x.csv, line 5, bytes: found ''"),
    ("x.csv", "group,format,damage\n", r"^x.csv: found no line below the head"),
]


@pytest.mark.parametrize(("name", "content", "line"), BAD, ids=range(len(BAD)))
def test_bad_tables_are_one_line(tmp_path: Path, name: str, content: object, line: str) -> None:
    with pytest.raises(InputError, match=line) as caught:
        qopt.read_table(written(tmp_path, name, content))
    assert str(caught.value).isprintable()


def test_other_ways_to_go_wrong(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"budgets.joules: found no such resource; allowed: bytes, bops, latency"):
        qopt.read_table(written(tmp_path, "hawq.json", HAWQ), budgets={"joules": 1})
    with pytest.raises(InputError, match=r"no such file"):
        qopt.read_table(tmp_path / "missing.csv")
    with pytest.raises(
        InputError, match=r"^table: found 'teaching-3', a qpart problem; allowed: an allocation problem"
    ):
        qopt.read_table("qpart/teaching-3")


RECIPES = [
    ("blk\\.9=q4\n.*=q4", r"line 1: found 'blk\\\\.9', which no group is called"),
    ("blk.0=q4", r"found no type for blk.1.w; allowed: a type for every group"),
    (".*=q5", r"line 1: found type 'q5'; allowed: a format of the table: q2, q4"),
    ("blk", r"line 1: found 'blk'; allowed: PATTERN=TYPE"),
    ("=q4", r"line 1: found '=q4'; allowed: PATTERN=TYPE"),
    ("blk(=q4", r"line 1: found 'blk\('; allowed: a regular expression"),
    ("(a+)+$=q4", r"line 1: found '\(a\+\)\+\$'; allowed: a pattern with at most"),
    ("a*a*a*a*a*=q4", r"line 1: found 'a\*a\*a\*a\*a\*'; allowed: a pattern with at most"),
    (".*=q4@host", r"line 1: found pool 'host'; allowed: no pool"),
]


@pytest.mark.parametrize(("text", "line"), RECIPES, ids=range(len(RECIPES)))
def test_bad_recipes_are_one_line(tmp_path: Path, text: str, line: str) -> None:
    problem = qopt.read_table(written(tmp_path, "gguf.json", GGUF))
    with pytest.raises(InputError, match=line):
        from_recipe(text, problem)


def test_recipes(tmp_path: Path) -> None:
    problem = qopt.read_table(written(tmp_path, "gguf.json", GGUF))
    plan, notes = from_recipe("# all\n\n^blk\\.0\\.w$ = Q4\n.*=q2\n^norm$=f32\n", problem)
    assert plan.formats == {"blk.0.w": "q4", "blk.1.w": "q2"}
    assert notes == ["1 pattern for tensors that stay as they are, which the table counts as fixed"]
    pooled = problem.replace({"pools": {"resource": "bytes", "budgets": {"device": 30, "host": None}}})
    plan, _ = from_recipe("blk.0=q4@host\nblk.1=q2@device", pooled)
    assert plan.pools == {"blk.0.w": "host", "blk.1.w": "device"}
    with pytest.raises(InputError, match=r"no pool for blk.0.w"):
        from_recipe("blk.0=q4\nblk.1=q2@device", pooled)


def test_audit() -> None:
    problem = qopt.load("allocation/teaching-4")
    uniform = {"a": "int4", "b": "int4", "c": "int4", "d": "int4"}
    found = qopt.audit(problem, uniform)
    assert not found.own_use
    assert (found.objective, found.best.objective, found.best.status) == (20.0, 15.0, "optimal")
    assert found.above == pytest.approx(1 / 3)
    assert found.gap == pytest.approx(0.25)
    assert found.changes == [("b", "int4", "int8")]
    own = qopt.audit(problem, uniform, own_use=True)
    assert own.own_use
    assert own.best.certificate.cost.resources["bytes"] <= 80
    assert own.best.objective == 20.0
    heavy = qopt.audit(problem, dict.fromkeys(uniform, "int8"))
    assert heavy.own_use
    assert not heavy.certificate.feasible
    assert heavy.best.objective == 3.0
    assert "60 B over" in str(heavy)
    assert "breaks budget bytes: 160 of 100" in str(heavy)
    free = qopt.audit(problem, uniform, budgets={"bytes": None})
    assert free.own_use
    for bad in (5, {"a": "int4"}, {"x": "int4"}, {"a": 4}, {**uniform, "a": {"format": "int4", "pool": "x"}}):
        with pytest.raises(InputError):
            qopt.audit(problem, bad)  # type: ignore[arg-type]


def test_audit_on_the_command_line(tmp_path: Path, qopt_cli: Any) -> None:
    recipe = written(tmp_path, "mine.recipe", ".*=int4\n")
    done = qopt_cli("audit", "allocation/teaching-4", recipe, "--save-plan", tmp_path / "best.json")
    assert done.code == 0
    assert "bytes: 80 B, 20 B to spare (budget 100 B)" in done.out
    assert "33.3 % above it; best plan within the budgets: 15, optimal" in done.out
    assert qopt_cli("check", "allocation/teaching-4", tmp_path / "best.json").code == 0
    again = qopt_cli("audit", "allocation/teaching-4", tmp_path / "best.json", "--json")
    assert json.loads(again.out)["above"] == 0.0
    assert qopt_cli("audit", "allocation/teaching-4", recipe, "--budget", "bytes=80", "--own-use").code == 0
    for arguments, line in (
        ((written(tmp_path, "bad", "x=int4"),), "which no group is called"),
        ((recipe, "--budget", "bytes"), "--budget: found 'bytes'"),
        ((recipe, "--budget", "joules=1"), "found no such resource"),
        ((recipe, "--budget", "bytes=0.08"), "0.08 B, where plans use"),
        ((tmp_path / "missing",), "no such file"),
    ):
        done = qopt_cli("audit", "allocation/teaching-4", *arguments)
        assert done.code == 2
        assert line in done.err
        assert done.err.count("\n") == 1

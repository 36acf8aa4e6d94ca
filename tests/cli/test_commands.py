"""The command line: exit codes, one line for what is wrong, JSON that reads back, nothing half written."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, check_refusal

import qopt
from qopt.core.reading import to_json
from qopt.qpart.generate import qpart

TEACHING = "qpart/teaching-3"


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """A request with a choice to make, cut after its last layer."""
    path = tmp_path / "instance.json"
    path.write_text(to_json(qpart(3, seed=4, bits=(1, 6), reference_bits=4, cuts=[3])))
    return path


def process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "qopt", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_solve_prints_the_plan_and_the_certificate(qopt_cli: Cli) -> None:
    found = qopt_cli("solve", TEACHING)
    solution = qopt.solve(TEACHING)
    assert found.code == 0
    assert found.err == ""
    assert "optimal" in found.out
    assert solution.plan is not None
    assert f"cut {solution.plan.cut}" in found.out
    assert f"{solution.objective:.12g}" in found.out
    assert solution.certificate.cost is not None
    for words in ("payload", "time", "energy", "price", "lower bound", "Certificate"):
        assert words in found.out
    assert f"{solution.certificate.cost.price:.6g}" in found.out


def test_solve_prints_every_width(qopt_cli: Cli, instance: Path) -> None:
    found, solution = qopt_cli("solve", instance), qopt.solve(instance)
    lines = [line.split() for line in found.out.splitlines() if " weights " in line or " output " in line][:4]
    assert solution.plan is not None
    assert len(lines) == 4
    for line, width in zip(lines, (*solution.plan.weights, *solution.plan.activations), strict=True):
        assert f"{width:.0f}" in line[4:5]


@pytest.mark.parametrize("method", ["mckp", "kkt", "uniform", "highs-mip"])
def test_json_reads_back_through_check(qopt_cli: Cli, instance: Path, tmp_path: Path, method: str) -> None:
    found = qopt_cli("solve", instance, "--method", method, "--json")
    assert found.code == 0
    data = json.loads(found.out)
    assert data["method"] == method
    assert data["objective"] == data["certificate"]["objective"]
    path = tmp_path / "solution.json"
    path.write_text(found.out)
    again = qopt_cli("check", instance, path, "--json")
    assert again.code == 0
    certificate = json.loads(again.out)
    assert certificate["objective"] == data["objective"]
    assert certificate["feasible"]
    assert certificate["proved"] == data["certificate"]["proved"]
    table = qopt_cli("check", instance, path)
    assert f"{data['objective']:.12g}" in table.out


def test_check_from_a_plan_file_alone(qopt_cli: Cli, instance: Path, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    assert qopt_cli("solve", instance, "--save-plan", path).code == 0
    assert qopt.read_plan(path) == qopt.solve(instance).plan
    assert qopt_cli("check", instance, path).code == 0


def tampered(data: dict[str, Any], change: Callable[[dict[str, Any]], None], path: Path) -> Path:
    other = copy.deepcopy(data)
    change(other)
    path.write_text(json.dumps(other))
    return path


def test_check_finds_a_tampered_plan(qopt_cli: Cli, instance: Path, tmp_path: Path) -> None:
    data = json.loads(qopt_cli("solve", instance, "--json").out)
    path = tmp_path / "tampered.json"

    def lighter(d: dict[str, Any]) -> None:
        d["plan"]["weights"] = [1, 1, 1]

    broken = qopt_cli("check", instance, tampered(data, lighter, path))
    assert broken.code == 1
    assert "NOT FEASIBLE" in broken.out
    assert "VIOLATED" in broken.out

    def heavier(d: dict[str, Any]) -> None:
        d["plan"]["weights"] = [6, 6, 6]
        d["plan"]["activations"] = [6]
        d["objective"] = d["bound"] = 0.0
        d["status"] = "optimal"
        d["certificate"]["proved"] = True

    dear = json.loads(qopt_cli("check", instance, tampered(data, heavier, path), "--json").out)
    assert dear["feasible"]
    assert not dear["proved"]
    assert dear["objective"] > data["objective"]


def leaves(witness: dict[str, Any]) -> list[list[Any]]:
    return [node for tree in witness["cuts"].values() for node in tree if node[0] == "leaf"]


@pytest.mark.parametrize("how", ["multipliers", "missing tree", "truncated", "kind", "junk"])
def test_check_finds_a_tampered_witness(instance: Path, how: str) -> None:
    problem = qopt.load(instance)
    found = qopt.solve(problem)
    assert found.witness is not None
    good = qopt.certify(problem, found.plan, found.witness, labels=0)
    assert good.proved
    without = qopt.certify(problem, found.plan, None, labels=0)
    witness = copy.deepcopy(found.witness)
    if how == "multipliers":
        for leaf in leaves(witness):
            leaf[2] *= 3.0
    elif how == "missing tree":
        witness["cuts"].clear()
    elif how == "truncated":
        for tree in witness["cuts"].values():
            tree.pop()
    elif how == "kind":
        for leaf in leaves(witness):
            leaf[1] = 0
    else:
        witness["cuts"]["3"] = [["split", 0, "abc"], None]
    bad = qopt.certify(problem, found.plan, witness, labels=0)
    assert bad.proved == without.proved is False
    assert any("witness" in note for note in bad.notes)


def test_fields_can_be_set(qopt_cli: Cli) -> None:
    def solved(*options: str) -> dict[str, Any]:
        found = qopt_cli("solve", TEACHING, "--json", *options)
        assert found.code == 0, found.err
        data: dict[str, Any] = json.loads(found.out)
        return data

    plain, problem = solved(), qopt.load(TEACHING)
    rate = 123.0
    for cut in (1, 2):
        data = solved("--cut", str(cut))
        assert data["plan"]["cut"] == cut
        assert data["objective"] >= plain["objective"]
    slow = solved("--set", f"channel.rate={rate}")
    assert slow["objective"] == qopt.solve(problem.replace({"channel.rate": rate})).objective
    both = solved("--set", "bits.hi=9", "--set", 'objective={"time": 2, "energy": 1, "price": 0}')
    changed = problem.replace({"bits.hi": 9, "objective": {"time": 2, "energy": 1, "price": 0}})
    assert both["objective"] == qopt.solve(changed).objective
    level = problem.accuracy.levels[-1]
    assert solved("--level", str(level))["objective"] == qopt.solve(problem.replace({"level": level})).objective


def test_compare_prints_every_method(qopt_cli: Cli) -> None:
    found = qopt_cli("compare", TEACHING, "--methods", "mckp,kkt,uniform,brute-force")
    assert found.code == 0
    for words in ("mckp", "kkt", "uniform", "brute-force", "optimal", "heuristic", "yes, proved"):
        assert words in found.out
    assert f"{qopt.solve(TEACHING).objective:.8g}" in found.out
    records = json.loads(qopt_cli("compare", TEACHING, TEACHING, "--methods", "mckp, kkt", "--json").out)
    assert [r["method"] for r in records] == ["mckp", "kkt"] * 2


def test_compare_when_a_method_breaks_off(qopt_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from qopt.core.method import Method

    real = Method.load

    def broken(*_: Any) -> Any:
        raise RuntimeError("gave up")

    monkeypatch.setattr(Method, "load", lambda m: broken if m.name == "kkt" else real(m))
    found = qopt_cli("compare", TEACHING, "--methods", "mckp,kkt")
    assert found.code == 0
    assert "failed" in found.out
    assert "gave up" in found.out


def test_instances_are_listed(qopt_cli: Cli) -> None:
    found = qopt_cli("instances")
    assert found.code == 0
    names = [r["name"] for r in json.loads(qopt_cli("instances", "--json").out)]
    assert TEACHING in names
    for name in names:
        assert name in found.out


def test_methods_are_listed(qopt_cli: Cli) -> None:
    found = qopt_cli("methods", TEACHING)
    assert found.code == 0
    records = json.loads(qopt_cli("methods", "--json").out)
    for r in records:
        assert r["name"] in found.out
    table = {r["name"]: r for r in json.loads(qopt_cli("methods", "qpart/resnet18", "--json").out)}
    assert "plans" in table["brute-force"]["reason"]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["solve", "--help"], ["check", "--help"], ["compare", "--help"]])
def test_help(qopt_cli: Cli, arguments: list[str]) -> None:
    found = qopt_cli(*arguments)
    assert found.code == (0 if arguments else 2)
    assert "Usage" in found.out + found.err


# --- exit codes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        ["accuracy.delta=[[1e-30, 1e-30, 1e-30]]"],  # an accuracy that no width reaches
        ["accuracy.delta=[[0, 0, 0]]"],
        ["device.memory=0"],  # a memory that nothing fits in
        ["device.memory=1"],
    ],
)
@pytest.mark.parametrize("bits", ["whole", "real"])
def test_proved_infeasible_is_1(qopt_cli: Cli, instance: Path, changes: list[str], bits: str) -> None:
    options = [text for change in changes for text in ("--set", change)]
    found = qopt_cli("solve", instance, "--bits", bits, *options)
    assert found.code == 1
    assert found.err == ""
    assert "infeasible" in found.out
    data = json.loads(qopt_cli("solve", instance, "--bits", bits, "--json", *options).out)
    assert data["status"] == "infeasible"
    assert data["plan"] is None
    assert data["objective"] is None
    assert data["certificate"]["infeasible"]
    assert qopt_cli("compare", instance, "--methods", "mckp,uniform", *options).code == 1


def test_a_plan_that_breaks_a_limit_is_3(qopt_cli: Cli) -> None:
    found = qopt_cli("solve", "qpart/mnist-mlp6", "--method", "qpart-paper", "--json")
    assert found.code == 3
    assert json.loads(found.out)["certificate"]["feasible"] is False


def test_a_plan_within_no_time_is_0(qopt_cli: Cli, instance: Path) -> None:
    found = qopt_cli("solve", instance, "--method", "brute-force", "--time-limit", "0", "--json")
    assert found.code == 0
    data = json.loads(found.out)
    assert (data["status"], data["certificate"]["feasible"]) == ("time-limit", True)
    found = qopt_cli("solve", instance, "--method", "uniform", "--set", "device.memory=1")
    assert found.code in (1, 3)  # a heuristic found none; whether there is one, the certificate may know


BAD_CALLS: list[tuple[list[str], str]] = [
    (["solve"], "argument"),
    (["nonsense"], "nonsense"),
    (["solve", TEACHING, "--nonsense"], "--nonsense"),
    (["solve", TEACHING, "--method", "simplex"], "method: found 'simplex'; allowed: auto, mckp"),
    (["solve", TEACHING, "--method", "kkt", "--bits", "whole"], "bits: found 'whole' with method kkt"),
    (["solve", TEACHING, "--bits", "float"], "bits: found 'float'; allowed: whole or real"),
    (["solve", TEACHING, "--method", "mckp", "--solver", "highs"], "solver: found 'highs', which mckp does not take"),
    (["solve", TEACHING, "--method", "pyomo", "--formulation", "x"], "formulation: found 'x'; allowed: one-hot"),
    (["solve", TEACHING, "--method", "uniform", "--gap", "1"], "gap: found 1.0, which uniform"),
    (["solve", TEACHING, "--time-limit", "-1"], "time_limit: found -1.0; allowed: seconds >= 0"),
    (["solve", TEACHING, "--time-limit", "nan"], "time_limit: found nan"),
    (["solve", TEACHING, "--time-limit", "soon"], "--time-limit"),
    (["solve", TEACHING, "--method", "highs-mip", "--threads", "0"], "threads: found 0"),
    (["solve", TEACHING, "--method", "highs-mip", "--seed", "-3"], "seed: found -3"),
    (["solve", TEACHING, "--seed", "1"], "seed: found 1, which mckp does not take"),
    (["solve", TEACHING, "--cut", "99"], "cuts"),
    (["solve", TEACHING, "--cut", "-1"], "cuts"),
    (["solve", TEACHING, "--cut", "two"], "--cut"),
    (["solve", TEACHING, "--level", "0.77"], "level"),
    (["solve", TEACHING, "--level", "nan"], "level"),
    (["solve", TEACHING, "--set", "rate"], "--set: found 'rate'; allowed: FIELD=VALUE"),
    (["solve", TEACHING, "--set", "=5"], "--set: found '=5'; allowed: FIELD=VALUE"),
    (["solve", TEACHING, "--set", "channel.rate=-1"], "channel.rate: found -1"),
    (["solve", TEACHING, "--set", "channel.rate=fast"], "channel.rate: found 'fast'"),
    (["solve", TEACHING, "--set", "channel.rate=NaN"], "channel.rate: found nan"),
    (["solve", TEACHING, "--set", "channel.rate=Infinity"], "channel.rate: found inf"),
    (["solve", TEACHING, "--set", "channel.rate=" + "[" * 5000], "channel.rate"),
    (["solve", TEACHING, "--set", "channel.rate=1" + "0" * 5000], "channel.rate"),
    (["solve", TEACHING, "--set", "channel.colour=1"], "channel.colour: found an unknown field"),
    (["solve", TEACHING, "--set", "a\nb=1"], "found"),
    (["solve", TEACHING, "--set", "....=1"], "found"),
    (["solve", TEACHING, "--set", "channel.rate.x=1"], "channel.rate"),
    (["solve", TEACHING, "--set", "network.macs.0=1"], "network.macs"),
    (["solve", "qpart/teachin-3"], "qpart/teaching-3"),
    (["solve", ""], "instance"),
    (["solve", "no\nsuch"], "instance"),
    (["check", TEACHING], "argument"),
    (["check", TEACHING, "/no/such/plan.json"], "no such file"),
    (["compare"], "argument"),
    (["compare", TEACHING, "--methods", "mckp,nope"], "method: found 'nope'"),
    (["compare", TEACHING, "--methods", ","], "methods: found none"),
    (["compare", TEACHING, "--time-limit", "-1"], "time_limit: found -1.0"),
    (["methods", "nope"], "instance"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD_CALLS, ids=[str(i) for i in range(len(BAD_CALLS))])
def test_bad_calls(qopt_cli: Cli, arguments: list[str], words: str) -> None:
    assert words.lower() in check_refusal(qopt_cli(*arguments)).lower()


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(data: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for name in parents:
            data = data[name]
        if value is None:
            del data[last]
        else:
            data[last] = value

    return apply


BAD_FIELDS: list[tuple[str, Any, str]] = [
    ("network.macs", [1.0, -1.0, 1.0], "network.macs[1]: found -1"),
    ("network.weights", [1, None, 1], "network.weights[1]: found None"),
    ("network.weights", [1, "x", 1], "network.weights[1]: found 'x'"),
    ("network.weights", None, "network.weights: found nothing"),
    ("network.macs", [], "network"),
    ("device.clock", 0, "device.clock: found 0"),
    ("device.memory", -5, "device.memory: found -5"),
    ("channel", None, "channel: found nothing"),
    ("colour", "red", "colour: found an unknown field"),
    ("bits", {"lo": 9, "hi": 2}, "bits"),
    ("level", 0.5, "level"),
    ("cuts", [7], "cuts"),
    ("format", "qopt/unknown", "format"),
    ("version", 99, "version: found 99"),
]


@pytest.mark.parametrize(("path", "value", "words"), BAD_FIELDS)
def test_bad_instance_files(qopt_cli: Cli, instance: Path, path: str, value: Any, words: str) -> None:
    data = json.loads(instance.read_text())
    change(path, value)(data)
    instance.write_text(json.dumps(data))
    assert words in check_refusal(qopt_cli("solve", instance))
    assert words in check_refusal(qopt_cli("compare", instance))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no JSON"),
        (b"hello", "no JSON"),
        (b"[1, 2]", "object"),
        (b'{"a": 1, "a": 2}', "a: found the field twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"format": "qopt/qpart", "level": NaN}', "NaN"),
        (b'{"format": "qopt/qpart", "level": -Infinity}', "-Infinity"),
        (b"\xff\xfe", "UTF-8"),
        (b"\x00" * 100, "no JSON"),
    ],
    ids=range(10),
)
def test_files_that_are_no_instance(qopt_cli: Cli, tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    assert words in check_refusal(qopt_cli("solve", path))
    check_refusal(qopt_cli("check", TEACHING, path))


def test_an_infeasibility_claim_is_checked(qopt_cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    tight = ["--set", "accuracy.delta=[[1e-30,1e-30,1e-30]]", "--set", "cuts=[1,2,3]"]
    call = qopt_cli("solve", TEACHING, "--json", *tight)
    assert call.code == 1
    path.write_text(call.out)
    assert qopt_cli("check", TEACHING, path, *tight).code == 1
    assert qopt_cli("check", TEACHING, path).code == 3  # of the instance as it is, the claim is not true
    for method in ("uniform", "round-up", "qpart-paper"):  # none of them can know, the certificate does
        assert qopt_cli("solve", TEACHING, "--method", method, *tight).code == 1
    assert qopt_cli("compare", TEACHING, "--methods", "mckp,qpart-paper", *tight).code == 1


@pytest.mark.parametrize(
    "options", [["--level", "0.01", "--set", "level=0.5"], ["--cut", "1", "--set", "cuts=[2]"], ["--set", "name=a"] * 2]
)
def test_a_field_set_twice(qopt_cli: Cli, options: list[str]) -> None:
    check_refusal(qopt_cli("solve", TEACHING, *options))


def test_writing_through_a_link_and_to_a_device(qopt_cli: Cli, tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    assert qopt_cli("solve", TEACHING, "--save-plan", link).code == 0
    assert link.is_symlink()
    assert json.loads(target.read_text())["cut"] == 2
    assert qopt_cli("solve", TEACHING, "--save-plan", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()


def test_a_directory_and_a_missing_file(qopt_cli: Cli, tmp_path: Path) -> None:
    assert "directory" in check_refusal(qopt_cli("solve", tmp_path))
    check_refusal(qopt_cli("solve", tmp_path / "none.json"))
    assert "directory" in check_refusal(qopt_cli("check", TEACHING, tmp_path))


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"cut": 1}, "weights: found nothing"),
        ({"cut": 9, "weights": [1] * 9, "activations": [1]}, "cut: found 9"),
        ({"cut": 3, "weights": [1, 1], "activations": [1]}, "weights: found 2 widths"),
        ({"cut": 3, "weights": [1, 1, 1], "activations": []}, "activations: found 0 widths"),
        ({"cut": 3, "weights": [1, -1, 1], "activations": [1]}, "weights[1]: found -1"),
        ({"cut": 3, "weights": [1, 1, 99], "activations": [1]}, "weights[2]: found 99"),
        ({"cut": 3, "weights": [1, 1, "8"], "activations": [1]}, "weights[2]: found '8'"),
        ({"cut": True, "weights": [1], "activations": [1]}, "cut: found True"),
        ({"cut": 3, "weights": [1, 1, 1], "activations": [1], "x": 1}, "x: found an unknown field"),
        ({"cut": 3, "weights": 1, "activations": [1]}, "weights"),
        ({"format": "qopt/solution", "version": 2, "plan": None}, "version: found 2"),
        ({"format": "qopt/solution", "plan": 3}, "plan: found 3"),
        ([], "plan"),
    ],
)
def test_bad_plan_files(qopt_cli: Cli, instance: Path, tmp_path: Path, plan: Any, words: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    assert words in check_refusal(qopt_cli("check", instance, path))


def test_a_witness_that_is_junk_is_no_error(qopt_cli: Cli, instance: Path, tmp_path: Path) -> None:
    data = json.loads(qopt_cli("solve", instance, "--json").out)
    path = tmp_path / "solution.json"
    junk: list[Any] = [7, "x", [], {"format": "qopt/qpart-witness"}, {"format": 1, "cuts": []}, {"cuts": {"3": [[]]}}]
    for witness in junk:
        path.write_text(json.dumps({**data, "witness": witness}))
        assert qopt_cli("check", instance, path).code == 0


# --- files and processes ---------------------------------------------------------------------------------------------


def test_a_plan_that_cannot_be_written_leaves_nothing(qopt_cli: Cli, instance: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "taken").mkdir()
    before = sorted(p.name for p in tmp_path.rglob("*"))
    for path in (
        tmp_path / "none" / "plan.json",
        instance / "plan.json",
        folder / "taken",
        folder / ("x" * 300),
        "/",
        "",
    ):
        line = check_refusal(qopt_cli("solve", instance, "--save-plan", path))
        assert "a path that can be written" in line
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_a_plan_is_not_overwritten_by_a_failure(qopt_cli: Cli, instance: Path, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("mine")
    check_refusal(qopt_cli("solve", instance, "--method", "nope", "--save-plan", path))
    assert qopt_cli("solve", instance, "--set", "device.memory=0", "--save-plan", path).code == 1
    assert path.read_text() == "mine"
    assert qopt_cli("solve", instance, "--save-plan", path).code == 0
    assert qopt.read_plan(path).cut == 3
    assert not list(tmp_path.glob("*.partial"))


def test_as_a_module() -> None:
    with process("solve", TEACHING, "--json") as running:
        out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert json.loads(out)["status"] == "optimal"
    with process("solve", "nope") as running:
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (2, "")
    assert err.count("\n") == 1


def test_a_reader_that_leaves_early() -> None:
    """``qopt instances | head -0``."""
    with process("solve", TEACHING, "--json") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        err = running.stderr.read()
        running.wait(60)
    assert "Traceback" not in err
    assert err.count("\n") <= 1
    assert running.returncode in (0, 141)


def test_tables_hold_without_unicode_output() -> None:
    """A terminal that knows ASCII alone is no reason for a traceback."""
    with process(
        "solve", TEACHING, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    ) as running:
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert "optimal" in out


@pytest.mark.parametrize("method", ["brute-force", "mckp"])
def test_interrupted(tmp_path: Path, method: str) -> None:
    """Ctrl-C during a long solve: exit code 130 and one line."""
    path = tmp_path / "long.json"
    if method == "brute-force":
        problem = qpart(5, seed=1, bits=(1, 16), reference_bits=4, cuts=[5])
    else:
        problem = qpart(4000, seed=1, noise="table", reference_bits=5)
    path.write_text(to_json(problem))
    # A process that was started in the background ignores Ctrl-C, and so would its children.
    ready = (
        "import signal, sys, numpy, qopt.cli.app, qopt.core.solving; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "print('ready', flush=True); sys.exit(qopt.cli.app.main(sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", ready, "solve", str(path), "--method", method],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        time.sleep(0.5)
        for _ in range(3):  # Python drops what is raised while it frees an object or a lock of an import
            running.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, err = running.communicate(timeout=20)
                break
    assert running.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "qopt: interrupted"
    assert "Traceback" not in err or "Exception ignored" in err


def test_numbers_in_json_are_finite(qopt_cli: Cli, instance: Path) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
        elif isinstance(node, float):
            assert math.isfinite(node)

    for arguments in (["solve", instance], ["solve", TEACHING], ["compare", TEACHING], ["methods"], ["instances"]):
        walk(json.loads(qopt_cli(*arguments, "--json").out))

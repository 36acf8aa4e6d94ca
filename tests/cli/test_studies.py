"""`qopt compare` on a study's file, and tables that fit their width."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, check_refusal

import qopt

TEACHING = "qpart/teaching-3"


STUDY = """
name = "pair"
time_limit = 30
instances = [{names = ["qpart/teaching-3"]}]
runs = [{method = ["mckp", "round-up"]}]
"""


def test_a_study_from_its_file(qopt_cli: Cli, tmp_path: Path) -> None:
    study, journal = tmp_path / "pair.toml", tmp_path / "pair.jsonl"
    study.write_text(STUDY)
    first = qopt_cli("compare", study)
    assert first.code == 0
    for words in ("yes, proved", "median time", f"2 results in {journal}"):
        assert words in " ".join(first.out.split())
    assert "of 2 results" not in first.out
    assert "--resume" in check_refusal(qopt_cli("compare", study))
    lines = journal.read_bytes().splitlines(keepends=True)
    begun = tmp_path / "begun.jsonl"
    begun.write_bytes(b"".join(lines[:-1]))
    assert "1 of 2 results" in qopt_cli("compare", study, "--journal", begun, "--table").out
    before = journal.read_bytes()
    again = qopt_cli("compare", study, "--resume", "--json", "--csv", tmp_path / "pair.csv")
    assert journal.read_bytes() == before
    records = json.loads(again.out)
    assert [(r["run"], r["objective"], r["wrong"]) for r in records] == [("mckp", 312.0, ""), ("round-up", 328.0, "")]
    header, *lines = (tmp_path / "pair.csv").read_text().splitlines()
    assert header.split(",") == list(records[0])
    assert [line.split(",")[0] for line in lines] == ["teaching-3"] * 2
    merged = qopt_cli("compare", study, "--journal", tmp_path / "other.jsonl", "--merge", journal, "--json")
    assert json.loads(merged.out) == records == json.loads(qopt_cli("compare", study, "--table", "--json").out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--methods", "mckp"], "--methods: found this option beside a study"),
        (["--time-limit", "3"], "--time-limit: found this option beside a study"),
        (["--shard", "3/2"], "--shard: found '3/2'"),
        (["--shard", "a"], "--shard: found 'a'"),
        (["--import", "no_such"], "imports: found 'no_such'"),
        ([TEACHING], "instances: found 2 beside a study"),
        (["--table"], "pair.jsonl: found no such file"),
        (["--merge", "none.jsonl"], "none.jsonl: found no such file"),
        (["--jobs", "0"], "jobs: found 0"),
    ],
)
def test_bad_options_of_a_study(qopt_cli: Cli, tmp_path: Path, arguments: list[str], words: str) -> None:
    study = tmp_path / "pair.toml"
    study.write_text(STUDY)
    assert words in check_refusal(qopt_cli("compare", study, *arguments))


def test_options_of_a_study_without_one(qopt_cli: Cli) -> None:
    for option in (["--resume"], ["--shard", "1/2"], ["--jobs", "2"], ["--table"]):
        assert f"{option[0]}: found instances" in check_refusal(qopt_cli("compare", TEACHING, *option))


@pytest.mark.parametrize("width", [140, 80, 60, 30])
def test_no_width_cuts_a_number(qopt_cli: Cli, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    instances = ["qpart/mnist-mlp6", "placement/teaching-5"]
    methods = ["mckp", "round-up"], ["mincut"]
    found = "\n".join(
        qopt_cli("compare", name, "--methods", ",".join(some)).out
        for name, some in zip(instances, methods, strict=True)
    )
    assert "…" not in found
    assert max(map(len, found.splitlines())) <= width
    for name, some in zip(instances, methods, strict=True):
        for method in some:
            assert f"{qopt.solve(name, method).objective:.8g}" in found


def test_ctrl_c_keeps_the_rows(qopt_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from qopt.core.method import Method

    real = Method.load

    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Method, "load", lambda m: interrupt if m.name == "kkt" else real(m))
    found = qopt_cli("compare", TEACHING, "--methods", "mckp,kkt")
    assert found.code == 130
    assert "mckp" in found.out
    assert "interrupted" in found.err

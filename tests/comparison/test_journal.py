"""The journal: nothing in it is lost, nothing is taken that is not its own, and what its tables say of wrong claims."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import qopt
from qopt.comparison.engine import head_of
from qopt.comparison.journal import Journal, encoded, merge, results
from qopt.comparison.tasks import Task, Tasks

STUDY = qopt.Study(
    instances=[{"generate": "qpart", "size": 2, "seeds": {"count": 4}}],
    runs=["mckp", "pyomo", "round-up"],
    time_limit=9,
)
TASKS = list(Tasks(STUDY))
HEAD = head_of(STUDY, None)


def line(task: Task, **changes: Any) -> dict[str, Any]:
    """A result as it stands in a journal."""
    seed = task.source.value[2]
    return {
        "key": task.key,
        "at": [*task.at],
        "instance": f"random-2-{seed}",
        "family": "qpart",
        "fingerprint": f"{seed:016x}",
        "run": task.run,
        "method": task.setting.method,
        "bits": "whole",
        "exact": task.run != "round-up",
        "repeat": 0,
        "status": "heuristic" if task.run == "round-up" else "optimal",
        "objective": 100.0,
        "bound": 100.0,
        "verified": True,
        "proved": task.run != "round-up",
        "seconds": 1.0,
        "limit": 9,
        **changes,
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_a_kill_at_any_byte_costs_no_whole_line(path: Path) -> None:
    with Journal(path, HEAD) as journal:
        journal.append([line(task) for task in TASKS[:5]])
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    for size in [*range(0, len(whole), 37), *ends]:
        path.write_bytes(whole[:size])
        with Journal(path, HEAD) as journal:
            kept = list(results(path))
            assert kept == [line(task) for task in TASKS[: max(sum(end <= size for end in ends) - 1, 0)]]
            journal.append([line(TASKS[5])])
        assert list(results(path)) == [*kept, line(TASKS[5])]


def test_another_process_is_kept_out(path: Path) -> None:
    with Journal(path, HEAD), pytest.raises(qopt.MethodError, match="another process writes to this journal"):
        Journal(path, HEAD)
    Journal(path, HEAD).close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"notes that somebody keeps", "a file of another kind"),
        (b'{"format":"qopt/study"}\n', "a file of another kind"),
        (encoded({"format": "qopt/journal", "version": 1, "fingerprint": "0"}), "the journal of another study"),
        (encoded({"format": "qopt/journal", "version": 1} | HEAD | {"shard": "1/2"}), "the journal of shard 1/2"),
    ],
)
def test_what_is_no_journal_of_the_study_stays_as_it_is(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(qopt.InputError) as caught:
        Journal(path, HEAD)
    assert words in str(caught.value)
    assert path.read_bytes() == content


def test_a_broken_line_is_named(path: Path) -> None:
    with Journal(path, HEAD) as journal:
        journal.append([line(TASKS[0])])
    path.write_bytes(path.read_bytes() + b"{}\n" + encoded(line(TASKS[1])))
    with pytest.raises(qopt.InputError, match="line 3: found a broken line"):
        list(results(path))
    with pytest.raises(qopt.InputError, match="no such file"):
        STUDY.table(path.with_name("none"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with pytest.raises(qopt.InputError, match="/dev/full: found no space left on device"):
        Journal("/dev/full", HEAD)


def test_merging_takes_each_result_once(tmp_path: Path) -> None:
    shares = []
    for i in (1, 2):
        shares.append(tmp_path / f"{i}.jsonl")
        with Journal(shares[-1], head_of(STUDY, (i, 2))) as journal:
            journal.append([{"machines": {"m": {"qopt": "1"}}}, *(line(task) for task in Tasks(STUDY, (i, 2)))])
    whole = tmp_path / "whole.jsonl"
    assert merge(shares, whole, HEAD) == len(TASKS)
    assert merge([*shares, whole], whole, HEAD) == 0
    assert [row["key"] for row in results(whole)] != [task.key for task in TASKS]
    for journals in (whole, shares, [*shares, whole]):
        table = STUDY.table(journals)
        assert [*zip(table["instance"], table["run"], strict=True)] == [
            (f"random-2-{task.source.value[2]}", task.run) for task in TASKS
        ]
    with Journal(tmp_path / "other", HEAD) as journal:
        journal.append([line(TASKS[0], fingerprint="f" * 16)])
    with pytest.raises(qopt.InputError, match="'random-2-0' unlike that of another journal"):
        merge([tmp_path / "other"], whole, HEAD)


WRONG: list[tuple[dict[str, Any], str, bool]] = [
    ({}, "", True),
    ({"objective": 100.00001}, "", True),  # within the tolerance of solvers
    ({"objective": 101.0}, "a better plan is known", False),
    ({"objective": 101.0, "status": "time-limit"}, "", False),
    ({"objective": 90.0, "verified": False}, "plan breaks a limit", False),
    ({"objective": None, "verified": None, "status": "infeasible-by-solver"}, "there is a plan", False),
    ({"objective": 101.0, "status": "feasible", "claimed_bound": 100.5}, "bound above a plan", False),
    ({"objective": None, "verified": None, "status": "killed"}, "", False),
    ({"bits": "real", "objective": 101.0}, "a better plan is known", False),  # whole bits are real bits
    ({"bits": "real", "objective": 99.0, "bound": 99.0}, "", True),
]


@pytest.mark.parametrize(("changes", "words", "solved"), WRONG, ids=[f"{c}" for c, _, _ in WRONG])
def test_claims_that_the_data_refute(path: Path, changes: dict[str, Any], words: str, solved: bool) -> None:
    with Journal(path, HEAD) as journal:
        journal.append([line(TASKS[0]), line(TASKS[1], **changes), line(TASKS[2], objective=104.0)])
    first, second, third = STUDY.table(path).to_dict("records")
    assert (second["wrong"], second["solved"]) == (words, solved)
    assert second["charged"] == (1.0 if solved else 9)
    assert (first["wrong"], first["solved"], first["best"], first["excess"]) == ("", True, 100.0, 0.0)
    assert (third["wrong"], third["solved"], third["excess"]) == ("", True, 0.04)


def test_what_cannot_be_used_is_charged_nothing(path: Path) -> None:
    with Journal(path, HEAD) as journal:
        told = {
            name: line(TASKS[0])[name]
            for name in ("key", "at", "instance", "family", "fingerprint", "run", "method", "limit")
        }
        journal.append([told | {"status": "unavailable", "message": "no"}])
    (row,) = STUDY.table(path).to_dict("records")
    assert (row["solved"], row["message"]) == (False, "no")
    assert row["charged"] is None or row["charged"] != row["charged"]


def test_head_says_the_study(path: Path) -> None:
    Journal(path, HEAD).close()
    first = json.loads(path.read_text().splitlines()[0])
    assert qopt.Study(**first["study"]).fingerprint == STUDY.fingerprint == first["fingerprint"]

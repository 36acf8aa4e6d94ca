"""Studies that run: resumed at any place they give the same table; what hangs, dies or lies is a row."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qopt
from qopt.comparison.journal import results
from qopt.comparison.results import ANSWERS
from qopt.qpart.methods import registry

PATH = str(Path(__file__).parents[1] / "helpers")
SMALL = qopt.Study(
    name="small",
    instances=["qpart/teaching-3", "placement/teaching-5", {"generate": "qpart", "size": 3, "seeds": {"count": 4}}],
    runs=["mckp", "round-up", "mincut"],
    time_limit=30,
)
EXPECTED = 1 * 2 + 1 + 4 * 2


def answers(study: qopt.Study, journals: Any) -> list[dict[str, Any]]:
    """The part of a table that is no measurement."""
    records: list[dict[str, Any]] = study.table(journals)[[*ANSWERS]].astype(object).to_dict("records")
    return [{name: None if value != value else value for name, value in record.items()} for record in records]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of the small study, run in one go."""
    path = tmp_path_factory.mktemp("small") / "small.jsonl"
    rows: list[dict[str, Any]] = []
    assert SMALL.run(path, progress=rows.append) == len(rows) == EXPECTED
    return path


def test_table_says_what_compare_says(journal: Path) -> None:
    table = SMALL.table(journal)
    assert len(table) == EXPECTED
    for name, methods in (("qpart/teaching-3", ["mckp", "round-up"]), ("placement/teaching-5", ["mincut"])):
        compared = qopt.compare([name], methods=methods)
        mine = table[table["instance"] == name.split("/")[1]]
        for column in ("method", "status", "objective", "bound", "verified", "proved", *compared.columns[10:-2]):
            assert mine[column].tolist() == compared[column].tolist(), column
    assert table["solved"].all()
    assert (table["wrong"] == "").all()
    assert (table["seconds"] == table["charged"]).all()
    assert (table["seconds"] > 0).all()
    assert (table["certify"] > 0).all()
    assert (table["memory"] > 1e6).all()
    assert table["machine"].nunique() == 1


def test_plans_and_traces_stand_beside_the_table(journal: Path) -> None:
    table = SMALL.table(journal).set_index(["instance", "run"])
    found = list(SMALL.plans(journal))
    assert len(found) == EXPECTED
    for name, run, repeat, plan in found:
        assert repeat == 0
        assert plan is not None
        if name == "teaching-3":
            decision = qopt.qpart.plan.QPartPlan(**plan)
            assert qopt.certify("qpart/teaching-3", decision).objective == table.loc[(name, run), "objective"]
    last = SMALL.traces(journal).groupby(["instance", "run"])["incumbent"].last()
    assert (last == table["objective"].astype(float).reindex(last.index)).all()


def test_resumed_at_any_place_it_is_the_same(journal: Path, tmp_path: Path) -> None:
    whole, path = journal.read_bytes(), tmp_path / "cut.jsonl"
    path.write_bytes(whole[: len(whole) * 2 // 3])  # amid a line
    there = len(list(results(path)))
    assert 0 < there < EXPECTED
    assert SMALL.run(path) == EXPECTED - there
    assert SMALL.run(path) == 0
    assert len(list(results(path))) == EXPECTED
    assert answers(SMALL, path) == answers(SMALL, journal)
    with pytest.raises(qopt.InputError, match="a journal that was begun"):
        SMALL.run(path, resume=False)


def test_an_instance_that_changed_is_refused(tmp_path: Path) -> None:
    problem = qopt.load("qpart/teaching-3")
    qopt.core.reading.save(problem, tmp_path / "mine.json")
    study = qopt.Study(instances=[tmp_path / "mine.json"], runs=["round-up"])
    study.run(tmp_path / "journal")
    before = (tmp_path / "journal").read_bytes()
    qopt.core.reading.save(problem.replace({"channel.rate": 3.0}), tmp_path / "mine.json")
    with pytest.raises(qopt.InputError, match="found results of another 'teaching-3'"):
        study.run(tmp_path / "journal")
    assert (tmp_path / "journal").read_bytes() == before


def test_two_instances_of_one_name(tmp_path: Path) -> None:
    problems = [qopt.load("qpart/teaching-3").replace({"channel.rate": rate}) for rate in (2.0, 3.0)]
    study = qopt.Study(instances=problems, runs=["round-up"])
    assert study.run(tmp_path / "journal") == 2
    assert study.run(tmp_path / "journal") == 0
    assert study.table(tmp_path / "journal")["fingerprint"].nunique() == 2


@pytest.fixture
def troubled(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of the module whose methods go wrong; the registry is as before when the test is over."""
    monkeypatch.setattr(registry, "METHODS", registry.METHODS)
    monkeypatch.delitem(sys.modules, "troubled_methods", raising=False)
    assert PATH in sys.path
    yield "troubled_methods"
    sys.modules.pop("troubled_methods", None)


ENDS = {
    "hangs": ("killed", "did not keep the limit"),
    "dies": ("crashed", "died by SIGSEGV"),
    "leaves": ("crashed", "left with exit code 3"),
    "raises": ("failed", "ZeroDivisionError: no luck"),
    "overrates": ("failed", "says a worse plan to be optimal"),
    "denies": ("failed", "says that there is no plan"),
}
"""How each method of `troubled_methods` ends, and what is said of it."""


@pytest.mark.parametrize(
    "names", [["hangs", "dies", "overrates", "denies"], pytest.param([*ENDS], marks=pytest.mark.sweep)], ids=len
)
def test_what_goes_wrong_is_a_row_and_the_study_goes_on(tmp_path: Path, troubled: str, names: list[str]) -> None:
    __import__(troubled)
    runs = [*names, "mckp"]
    study = qopt.Study(instances=["qpart/teaching-3"], runs=runs, time_limit=0.25, grace=0.25)
    assert study.run(tmp_path / "journal", imports=[troubled]) == len(runs)
    rows = {row["run"]: row for row in study.table(tmp_path / "journal").to_dict("records")}
    for name in names:
        status, words = ENDS[name]
        assert rows[name]["status"] == status
        assert words in rows[name]["message"]
    assert rows["overrates"]["wrong"] == "a better plan is known"
    assert rows["denies"]["wrong"] == "there is a plan"
    assert [name for name, row in rows.items() if row["solved"]] == ["mckp"]
    assert all(row["charged"] == 0.25 for name, row in rows.items() if name != "mckp")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shard": (3, 2)}, "shard: found (3, 2)"),
        ({"shard": "1/2"}, "shard: found '1/2'"),
        ({"jobs": 0}, "jobs: found 0"),
        ({"chunk": 0}, "chunk: found 0"),
        ({"imports": ["no_such_module"]}, "imports: found 'no_such_module'"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(qopt.InputError) as caught:
        SMALL.run(tmp_path / "journal", **arguments)
    assert words in str(caught.value)
    assert not (tmp_path / "journal").exists()

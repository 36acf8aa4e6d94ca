"""What a study asks: files and objects, runs that lists give, and what is refused in one line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

import qopt
from qopt.comparison.tasks import Tasks, _said, fingerprint

ROOT = Path(__file__).parents[2]

TOML = """
name = "four"
time_limit = 10

[[instances]]
names = ["qpart/teaching-?", "placement/teaching-5"]

[[instances]]
generate = "qpart"
size = [3, 4]
seeds = {first = 5, count = 3}
options = {noise = "grid"}

[[runs]]
method = ["mckp", "mincut"]

[[runs]]
method = "pyomo"
formulation = ["one-hot", "big-m"]
seed = 7
"""
DATA: dict[str, Any] = {
    "instances": [
        {"names": ["qpart/teaching-?", "placement/teaching-5"]},
        {"generate": "qpart", "size": [3, 4], "seeds": {"first": 5, "count": 3}, "options": {"noise": "grid"}},
    ],
    "runs": [{"method": ["mckp", "mincut"]}, {"method": "pyomo", "formulation": ["one-hot", "big-m"], "seed": 7}],
    "time_limit": 10,
}


def test_a_file_and_an_object_ask_the_same(tmp_path: Path) -> None:
    path = tmp_path / "four.toml"
    path.write_text(TOML)
    study = qopt.Study.read(path)
    assert study == qopt.Study(name="four", **DATA)
    (tmp_path / "four.json").write_text(json.dumps(DATA))
    assert qopt.Study.read(tmp_path / "four.json").fingerprint == study.fingerprint
    for change in ({"time_limit": 11}, {"repeats": 2}, {"runs": ["mckp"]}, {"threads": 2}):
        assert qopt.Study(**{**DATA, **change}).fingerprint != study.fingerprint


def test_tasks_by_instance_then_run_then_repeat() -> None:
    study = qopt.Study(**DATA, repeats=2)
    tasks = list(Tasks(study))
    assert Tasks(study).count() == len(tasks) == len({task.key for task in tasks}) == (1 + 6) * 3 * 2 + 1 * 2
    assert [task.run for task in tasks[:6:2]] == ["mckp", "pyomo/one-hot/seed=7", "pyomo/big-m/seed=7"]
    assert [task.seed for task in tasks[:4]] == [None, None, 7, 8]
    assert [task.run for task in tasks[6:8]] == ["mincut", "mincut"]
    assert tasks[-1].source.value == ["qpart", 4, 7, {"noise": "grid"}]
    assert tasks[-1].source.problem().name == "random-4-7-noise=grid"


def test_shards_are_a_partition() -> None:
    study = qopt.Study(**DATA, repeats=2)
    shares = [Tasks(study, (i, 3)) for i in (1, 2, 3)]
    keys = [task.key for share in shares for task in share]
    assert sorted(keys) == sorted(task.key for task in Tasks(study))
    assert [share.count() for share in shares] == [len(list(share)) for share in shares]


def test_what_a_problem_asks_is_its_fingerprint() -> None:
    problem = qopt.load("qpart/teaching-3")
    assert fingerprint(problem) == fingerprint(problem.replace({"name": "other", "description": "", "source": "me"}))
    assert fingerprint(problem) != fingerprint(problem.replace({"channel.rate": 3.0}))


def test_a_field_that_is_off_changes_no_fingerprint() -> None:
    """In lists too: what a later version adds to a tier or an operator leaves old instances theirs."""
    written = json.loads((ROOT / "instances/placement/teaching-5.json").read_text())
    more = copy.deepcopy(written)
    more["tiers"][0] |= {"activations": False, "memory": None}
    more["operators"][0] |= {"on": [], "tensors_at": None}
    one, other = (qopt.Placement(**data) for data in (written, more))
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(one.replace({"tiers[0].activations": True, "tiers[0].memory": 8.0}))
    assert _said({"a": [{"b": None, "c": 1}, None, []]}) == {"a": [{"c": 1}, None, []]}


def test_python_takes_names_paths_and_problems(tmp_path: Path) -> None:
    problem = qopt.generate.qpart(3, seed=1)
    qopt.core.reading.save(problem, tmp_path / "mine.json")
    study = qopt.Study(instances=["qpart/teaching-3", tmp_path / "mine.json", problem], runs=["mckp"])
    sources = [task.source for task in Tasks(study)]
    assert [source.name for source in sources] == ["teaching-3", problem.name, problem.name]
    assert sources[1].fingerprint == sources[2].fingerprint
    assert sources[2].problem() == problem


def test_all_is_every_method_that_takes_the_settings() -> None:
    every = {task.run for task in Tasks(qopt.Study(instances=["qpart/teaching-3"]))}
    assert every == {method["name"] for method in qopt.methods("qpart/teaching-3")}
    seeded = {
        task.run for task in Tasks(qopt.Study(instances=["qpart/teaching-3"], runs=[{"method": "all", "seed": 1}]))
    }
    assert seeded == {f"{m['name']}/seed=1" for m in qopt.methods("qpart/teaching-3") if "seed" in m["options"]}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"instances": []}, "instances: found"),
    ({"instances": ["qpart/nothing-*"]}, "instances.names: found 'qpart/nothing-*'"),
    ({"instances": [{"names": ["x"], "generate": "qpart"}]}, "found names and generate"),
    ({"instances": [{}]}, "found none of them; allowed: one of names, generate and problem"),
    ({"instances": [{"names": ["qpart/teaching-3"], "seed": 1}]}, "seed: found"),
    ({"instances": [{"names": ["qpart/teaching-3"], "size": 1}]}, "size without generate"),
    ({"instances": [{"generate": "nets", "size": 1, "seeds": [1]}]}, "generate: found 'nets'"),
    ({"instances": [{"generate": "qpart", "size": 1}]}, "seeds: found nothing"),
    ({"instances": [{"generate": "qpart", "size": 1, "seeds": [1], "options": {"nose": 1}}]}, "nose"),
    (
        {"instances": [{"generate": "qpart", "size": 1, "seeds": [1], "options": {"spread": -1}}]},
        "[0].spread: found -1",
    ),
    ({"instances": [{"generate": "qpart", "size": 0, "seeds": [1]}]}, "size"),
    ({"instances": [{"generate": "qpart", "size": 1, "seeds": {"count": 0}}]}, "seeds"),
    ({"instances": [{"problem": {"format": "qopt/other"}}]}, "format: found 'qopt/other'"),
    ({"runs": ["nope"]}, "runs[0].method: found 'nope'"),
    ({"runs": [{"method": "mckp", "solver": "highs"}]}, "runs[0].solver: found"),
    ({"runs": [{"method": "pyomo", "formulation": "x"}]}, "runs[0].formulation: found 'x'"),
    ({"runs": [{"method": "mckp", "seed": 1}]}, "runs[0].seed: found 1, which mckp does not take"),
    ({"runs": [{"method": ["mckp", "kkt"], "label": "a"}]}, "label: found 'a'"),
    ({"runs": [{"method": "mckp", "label": "a"}, {"method": "kkt", "label": "a"}]}, "two runs called a"),
    ({"runs": [{"method": []}]}, "method: found an empty list"),
    ({"repeats": 0}, "repeats: found 0"),
    ({"time_limit": 0}, "time_limit: found 0"),
    ({"time_limt": 1}, "time_limt: found"),
]


@pytest.mark.parametrize(("change", "words"), BAD, ids=[words for _, words in BAD])
def test_bad_studies_are_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(qopt.InputError) as caught:
        Tasks(qopt.Study(**{"instances": ["qpart/teaching-3"], "runs": ["mckp"], **change})).check()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", b"name = ", "no TOML"),
        ("a.toml", b"\xff", "byte 0 that is not UTF-8"),
        ("a.toml", b"a = " + b"[" * 5000, "a TOML file"),
        ("a.json", b"[1]", "an object with instances and runs"),
        ("a.json", b"{", "no JSON"),
        ("a.toml", b'format = "qopt/qpart"\ninstances = ["qpart/teaching-3"]', "format: found 'qopt/qpart'"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, name: str, text: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(qopt.InputError) as caught:
        qopt.Study.read(tmp_path / name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(qopt.InputError, match="no such file"):
        qopt.Study.read(tmp_path / "none.toml")

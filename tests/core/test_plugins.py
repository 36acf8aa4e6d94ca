"""Methods that other packages bring: the example package as it would be installed, and ones that are broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "own_method"

BROKEN = {
    "qpart.mckp": "qopt_widest:METHOD",
    "qpart.nowhere": "no_such_module:METHOD",
    "qpart.other": "qopt_widest:METHOD",
    "qpart.number": "qopt_widest:solve",
    "tsp": "qopt_widest:METHOD",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages with the example in it, its entry points as its ``pyproject.toml`` has them, and more."""
    shutil.copy(EXAMPLE / "qopt_widest.py", tmp_path)
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    entries = project["entry-points"]["qopt.methods"] | BROKEN
    folder = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (folder / "entry_points.txt").write_text("[qopt.methods]\n" + "".join(f"{k} = {v}\n" for k, v in entries.items()))
    return tmp_path


def qopt_with(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))
    return subprocess.run(
        [sys.executable, "-m", "qopt", *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_is_listed_solves_and_is_certified(site: Path) -> None:
    listed = {m["name"]: m["reason"] for m in json.loads(qopt_with(site, "methods", "--json").stdout)}
    assert listed["widest"] is None
    assert listed["mckp"] is None
    assert listed["mckp (2)"] == "a method of qopt is called mckp"
    assert "does not load (ModuleNotFoundError" in listed["nowhere"]
    assert listed["other"] == "qopt_widest:METHOD calls itself 'widest'"
    assert "not a qopt.core.method.Method" in listed["number"]
    assert "not FAMILY.METHOD" in listed["tsp"]
    done = qopt_with(site, "solve", "qpart/teaching-3", "--method", "widest", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["status"], found["objective"]) == (0, "heuristic", 528)
    assert found["certificate"]["feasible"]


def test_a_broken_one_is_one_line(site: Path) -> None:
    done = qopt_with(site, "solve", "qpart/teaching-3", "--method", "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("qopt: method nowhere: no_such_module:METHOD does not load")
    assert done.stderr.count("\n") == 1

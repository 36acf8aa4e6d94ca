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


CODE = """
import json, qopt
from qopt.cli.app import main
listed = {m["name"]: m["reason"] for m in qopt.methods()}
found = qopt.solve("qpart/teaching-3", "widest")
print(json.dumps([listed, found.status, found.objective, found.certificate.feasible]), flush=True)
raise SystemExit(main(["solve", "qpart/teaching-3", "--method", "nowhere"]))
"""


def test_the_example_works_and_what_is_broken_is_a_reason(site: Path) -> None:
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False)
    listed, *found = json.loads(done.stdout)
    assert listed["widest"] is None
    assert listed["mckp"] is None
    assert listed["mckp (2)"] == "a method of qopt is called mckp"
    assert "does not load (ModuleNotFoundError" in listed["nowhere"]
    assert listed["other"] == "qopt_widest:METHOD calls itself 'widest'"
    assert "not a qopt.core.method.Method" in listed["number"]
    assert "not FAMILY.METHOD" in listed["tsp"]
    assert found == ["heuristic", 528, True]
    assert done.returncode == 2
    assert done.stderr.startswith("qopt: method nowhere: no_such_module:METHOD does not load")
    assert done.stderr.count("\n") == 1

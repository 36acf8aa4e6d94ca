"""The walls between the rooms of the package: what they let through, and that every public name stays what it is.

All of it is asked of a copy of the package laid out as it installs, where `formulations` and `instances` stand inside.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())

LAYERS = "Each room imports only rooms below it"
FAMILIES = "No family knows another, nor another's formulation"
CIRCLES = "No circle, neither of files nor of rooms"
METHODS_ONLY = "Only methods import formulations"
FORMULATIONS = "A formulation knows neither methods nor certificates"
CERTIFICATES = "A certificate knows neither methods nor formulations"
CHECKER = "The checker of proofs imports nothing of qopt"
SOLVERS = "Solver libraries stay where something is modelled or solved"
TORCH = "torch stays in measuring"
ONNX = "onnx stays in runtime"
SOCKETS = "Sockets stay in runtime"
MATPLOTLIB = "matplotlib stays in plots"
PANDAS = "pandas stays where tables are handed out"

VIOLATIONS = [
    ("core/solving.py", "qopt.qpart.costs", LAYERS),
    ("kernels/mckp.py", "qopt.qpart.problem", LAYERS),
    ("qpart/report.py", "qopt.cli.common", LAYERS),
    ("placement/report.py", "qopt.comparison.tables", LAYERS),
    ("formulations/qpart.py", "qopt.measuring.intervals", LAYERS),
    ("qpart/costs.py", "qopt.jqodi.costs", FAMILIES),
    ("qpart/methods/simple.py", "qopt.formulations.jqodi", FAMILIES),
    ("core/errors.py", "qopt.core.reading", CIRCLES),
    ("qpart/costs.py", "qopt.formulations.qpart", METHODS_ONLY),
    ("formulations/qpart.py", "qopt.qpart.methods.kkt", FORMULATIONS),
    ("formulations/jqodi.py", "qopt.jqodi.certificate.certify", FORMULATIONS),
    ("qpart/certificate/certify.py", "qopt.qpart.methods.kkt", CERTIFICATES),
    ("placement/certificate/bounds.py", "qopt.formulations.placement", CERTIFICATES),
    ("kernels/checker.py", "qopt.core.errors", CHECKER),
    ("core/solving.py", "highspy", SOLVERS),
    ("qpart/costs.py", "scipy.optimize", SOLVERS),
    ("qpart/costs.py", "torch", TORCH),
    ("placement/report.py", "onnx", ONNX),
    ("comparison/latencies.py", "aiohttp", SOCKETS),
    ("core/report.py", "matplotlib.pyplot", MATPLOTLIB),
    ("core/report.py", "pandas", PANDAS),
]
"""A file, what it must not import, and the contract that says so."""

LINT = """
import json, sys
from pathlib import Path
from importlinter.cli import lint_imports

violations, config = json.loads(sys.argv[1]), sys.argv[2]
for name, module in [(None, None), *violations]:
    file = name and Path("qopt", name)
    text = file and file.read_bytes()
    if file:
        file.write_bytes(text + f"\\n\\ndef _late():\\n    import {module}\\n".encode())
    print(f"START {name} {module}", flush=True)
    print(f"EXIT {lint_imports(config, no_cache=True, no_logo=True)}", flush=True)
    if file:
        file.write_bytes(text)
"""

KINDS = """
import importlib, inspect, json, pkgutil, sys
from pathlib import Path
import qopt

def modules(package):
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        try:
            yield importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            if error.name.partition(".")[0] not in ("torch", "safetensors"):
                raise
            continue
        if found.ispkg:
            yield from modules(sys.modules[found.name])

if sys.argv[1:] == ["everything first"]:
    list(modules(qopt))

def kind(value):
    return "module" if inspect.ismodule(value) else "call" if callable(value) else "value"

def kinds(package):
    return {name: kind(getattr(package, name)) for name in package.__all__}

rooms = [found.name for found in pkgutil.iter_modules(qopt.__path__) if found.name != "__main__"]
found = {"qopt": kinds(qopt) | {room: kind(getattr(qopt, room)) for room in rooms}}
for room in rooms:
    if Path("qopt", room, "__init__.pyi").exists():  # hands out functions of its files
        found[room] = kinds(getattr(qopt, room))
print(json.dumps([rooms, found]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Python files of the package, where they stand when it is installed."""
    folder = tmp_path_factory.mktemp("installed")
    sources = CONFIG["tool"]["setuptools"]["package-dir"]
    for package in CONFIG["tool"]["setuptools"]["packages"]:
        outer = max((name for name in sources if f"{package}.".startswith(f"{name}.")), key=len)
        inner = package.removeprefix(outer).strip(".").replace(".", "/")
        target = folder / package.replace(".", "/")
        target.mkdir(parents=True)
        for file in (ROOT / sources[outer] / inner).glob("*.py*"):
            if file.suffix in (".py", ".pyi"):
                shutil.copy(file, target)
    return folder


def run(folder: Path, code: str, *arguments: str) -> str:
    """Standard output of Python code that runs in a folder, and finds the package there."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.sweep
def test_walls(installed: Path) -> None:
    """As the tree is, every contract holds; a wrong import, even inside a function, breaks the one that forbids it."""
    given = json.dumps([violation[:2] for violation in VIOLATIONS])
    lint = run(installed, LINT, given, str(ROOT / "pyproject.toml")).split("START ")[1:]
    codes = [int(match.group(1)) for part in lint if (match := re.search(r"^EXIT (\d+)$", part, re.M))]
    broken = [set(re.findall(r"^(.+?) BROKEN", part, re.M)) for part in lint]
    assert codes[0] == 0, lint[0]
    assert broken[0] == set()
    assert codes[1:] == [1] * len(VIOLATIONS)
    missed = [violation for violation, names in zip(VIOLATIONS, broken[1:], strict=True) if violation[2] not in names]
    assert missed == []
    assert {contract["name"] for contract in CONFIG["tool"]["importlinter"]["contracts"]} == {v[2] for v in VIOLATIONS}


@pytest.mark.sweep
def test_public_names_stay_what_they_are(installed: Path) -> None:
    """Rooms are modules and the rest are calls: when first used, and after every file has been imported."""
    rooms, fresh = json.loads(run(installed, KINDS))
    assert {"qopt", "jqodi"} <= set(fresh)
    assert {"core", "formulations", "instances", "cli"} <= set(rooms)
    modules = {name for name, kind in fresh["qopt"].items() if kind == "module"}
    assert modules == {*rooms, "statistics"}
    assert {kind for name, kind in fresh["qopt"].items() if name not in modules} == {"call"}
    assert json.loads(run(installed, KINDS, "everything first")) == [rooms, fresh]


def test_no_folder_bears_the_name_of_a_call_or_a_library() -> None:
    """A room named after a call would take its place; a folder on the path of imports, a library's."""
    import qopt

    calls = {name for name in qopt.__all__ if callable(getattr(qopt, name))}
    rooms = {package.split(".")[1] for package in CONFIG["tool"]["setuptools"]["packages"] if "." in package}
    assert not rooms & calls
    libraries = {"onnx", "onnxruntime", "tensorflow", "jax", "pulp", "ortools", "gurobipy", "cplex", "highspy", "pyomo"}
    libraries |= {*importlib.metadata.packages_distributions(), *sys.stdlib_module_names}
    folders = {
        path.name
        for top in ("qopt", "tests", "benchmarks", "formulations", "instances")
        for path in (ROOT / top).rglob("*")
        if path.is_dir() and path.name != "__pycache__"
    }
    assert not folders & libraries

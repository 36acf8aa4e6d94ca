"""What a release says of itself, in the several places that say it: name, version, extras, pinned versions."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import qopt

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

INSTALL = re.compile(r"pip install '([^'\[]+)\[([\w,]+)\]'")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def found(pattern: str, name: str) -> str:
    match = re.search(pattern, text(name), re.MULTILINE)
    assert match is not None, f"{pattern} in {name}"
    return match[1]


def test_one_version() -> None:
    assert metadata.version(PROJECT["name"]) == qopt.__version__, "install again: pip install --editable ."
    assert found(r"^version: (.+)$", "CITATION.cff") == qopt.__version__
    assert found(r"^## (\d\S*) - ", "CHANGELOG.md") == qopt.__version__


def test_one_date() -> None:
    assert found(r'^date-released: "(.+)"$', "CITATION.cff") == found(r"^## \d\S* - (.+)$", "CHANGELOG.md")


def test_advice_to_install_names_this_distribution_and_its_extras() -> None:
    pages = [*(ROOT / "qopt").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]
    advice = [match for path in pages for match in INSTALL.findall(path.read_text(encoding="utf-8"))]
    assert len(advice) >= 4
    for name, extras in advice:
        assert name in (PROJECT["name"], "."), "another package"  # or a clone
        assert set(filter(None, extras.split(","))) <= set(EXTRAS), extras


def test_every_requirement_is_pinned() -> None:
    pinned = {canonicalize_name(line.split("==")[0]) for line in text("constraints.txt").splitlines() if "==" in line}
    for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]:
        name = Requirement(line).name
        assert name == PROJECT["name"] or canonicalize_name(name) in pinned, name

"""The site: each page stands in one section of the index, each public name in one of the reference, links hold."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from pathlib import Path

from building import reference, stage
from docstrings import resolved

import qopt

DOCS = Path(__file__).parents[2] / "docs"


def test_every_page_is_in_one_section_of_the_index() -> None:
    listed = Counter(path for _, paths in stage.sections() for path in paths)
    assert set(listed.values()) == {1}, [path.name for path, times in listed.items() if times > 1]
    pages = {*DOCS.glob("*.md"), *(DOCS / "notebooks").glob("*.ipynb")} - {DOCS / "index.md"}
    assert pages <= set(listed), sorted(path.name for path in pages - set(listed))


def test_a_theory_page_follows_its_problem() -> None:
    """Unless it has a row of its own."""
    assert stage.followers(DOCS / "placement.md") == sorted(DOCS.glob("placement-*.md"))
    (results,) = [paths for title, paths in stage.sections() if title == "Compare"]
    assert DOCS / "placement-study.md" in results


def test_links_of_the_gathered_pages_lead_to_pages_and_files(tmp_path: Path) -> None:
    stage.stage(tmp_path, DOCS / "notebooks")
    pages = sorted(tmp_path.rglob("*.md"))
    assert tmp_path / "repository" / "qopt" / "kernels" / "checker.py.md" in pages
    for page in pages:
        text = stage.FENCE.sub("", page.read_text(encoding="utf-8"))
        for link in stage.LINK.finditer(text):
            found = re.match(r"[a-z]+:", link["target"]) or (page.parent / link["target"]).is_file()
            assert found, f"{page.relative_to(tmp_path)}: {link['target']}"


def test_links_in_code_stay_as_they_are() -> None:
    text = '[a](library.md) and\n```markdown\n[a](library.md)\n```\n[b](../LICENSE#x "y") [c](#d) [e](https://f)\n'
    changed, found = stage.relinked(text, DOCS / "x.md")
    assert changed == text.replace("../LICENSE", "repository/LICENSE")
    assert found == [DOCS / "library.md", DOCS.parent / "LICENSE"]


def test_every_public_name_is_in_one_section_of_the_reference() -> None:
    sections = reference.sections(reference.PAGE.read_text(encoding="utf-8"))
    listed = Counter(name for names in sections.values() for name in names)
    assert set(listed.values()) == {1}, [name for name, times in listed.items() if times > 1]
    assert not [name for name in listed if resolved(name) is None]
    public = {f"qopt.{name}" for name in qopt.__all__ if not inspect.ismodule(getattr(qopt, name))}
    assert public <= set(listed), sorted(public - set(listed))
    assert {*reference.ROOMS.values(), reference.OTHERS} <= set(sections)

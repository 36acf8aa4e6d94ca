"""The site: each page stands in one section of the index, each public name in one of the reference, links hold."""

from __future__ import annotations

import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from building import reference, stage

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
    """From the stub alone: importing everything takes seconds, and `make docs` does."""
    stub = (DOCS.parent / "qopt" / "__init__.pyi").read_text(encoding="utf-8")
    public = {f"qopt.{name}" for name in re.findall(r"^from \.\S+ import \w+ as (\w+)$", stub, re.MULTILINE)}
    modules = {f"qopt.{name}" for name in re.findall(r"^from \. import \w+ as (\w+)$", stub, re.MULTILINE)}
    assert len(public) > 70
    sections = reference.sections(reference.PAGE.read_text(encoding="utf-8"))
    listed = Counter(name for names in sections.values() for name in names)
    assert set(listed.values()) == {1}, [name for name, times in listed.items() if times > 1]
    assert public <= set(listed), sorted(public - set(listed))
    for name in set(listed) - public - modules:
        assert find_spec(name) is not None, name
    assert {*reference.ROOMS.values(), reference.OTHERS} <= set(sections)

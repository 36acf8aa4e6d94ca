"""The pictures of the pages: each is on a page, and its function still draws it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from scripts import scripts

DOCS = Path(__file__).parents[2] / "docs"
NAMES = (
    "break-even",
    "qpart-cuts",
    "qpart-water",
    "serving-break-even",
    "measuring-law",
    "simulation-schemes",
    "jqodi-diagram",
    "jqodi-energies",
    "jqodi-front",
    "learning-forecast",
)


@pytest.fixture(scope="module")
def pictures() -> Iterator[Any]:
    matplotlib.use("Agg")
    with scripts("docs", "make_pictures") as found:
        yield found.make_pictures


def test_every_picture_is_on_a_page(pictures: Any) -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    assert tuple(pictures.PICTURES) == NAMES
    for name in NAMES:
        assert f"(img/{name}.png)" in pages
        assert (DOCS / "img" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.sweep
@pytest.mark.parametrize("name", NAMES)
def test_every_picture_is_drawn(pictures: Any, name: str) -> None:
    assert pictures.PICTURES[name]().has_data()

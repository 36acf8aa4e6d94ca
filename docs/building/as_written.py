"""Docstrings as they were written: a model in indented lines is no paragraph to be filled, a bar is a bar."""

from __future__ import annotations

import re
from typing import Any

BAR = re.compile(r"(?<!\\)\|")
SECTION = re.compile(r"Parameters|Attributes|Returns|Yields|Raises|Notes|Examples")
LONG = 80
"""Letters of a first line that is a sentence's beginning; a type is shorter."""


def keep(_app: Any, what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Make indented lines of a module's docstring blocks of their own, and bars what they are elsewhere."""
    found: list[str] = []
    inside = False
    for line in lines:
        indented = what == "module" and line.startswith("    ")
        if indented and not inside:
            found += ["", "::", ""]
        elif inside and line and not indented:
            found.append("")
        inside = indented or (inside and not line)
        found.append(line if inside else plain_bars(line))
    lines[:] = entries(found)


def entries(lines: list[str]) -> list[str]:
    """The lines with ``name : a sentence`` as a name and a text, where numpydoc would take the sentence for a type."""
    found: list[str] = []
    section = ""
    for k, line in enumerate(lines):
        after = lines[k + 1] if k + 1 < len(lines) else ""
        if SECTION.fullmatch(line) and after.startswith("---"):
            section = line
        name, colon, text = line.partition(" : ")
        begins = bool(line) and not line[0].isspace() and not line.startswith("---") and line != section
        sentence = len(line) > LONG or not after[:1].isspace()  # whole, or it goes on in the next line
        if section in ("Parameters", "Attributes") and begins and colon and sentence:
            found += [name, f"    {text}"]
        elif section in ("Returns", "Yields") and begins and found[-1][:1].strip("- "):
            found[-1] += f" {line}"  # one sentence, and not a result a line
        else:
            found.append(line)
    return found


def plain_bars(line: str) -> str:
    """A line whose bars, outside of code, begin no substitution of reStructuredText."""
    pieces = line.split("`")
    pieces[::2] = [BAR.sub(r"\\|", piece) for piece in pieces[::2]]
    return "`".join(pieces)


def without_private(_app: Any, what: str, _name: str, _obj: Any, _options: Any, call: str, _result: Any) -> Any:
    """No way of making an object, where only this package makes it: its fields begin with an underscore."""
    return ("", None) if what == "class" and call and re.search(r"[(,]\s*_\w", call) else None


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx, before numpydoc."""
    app.connect("autodoc-process-docstring", keep, priority=100)
    app.connect("autodoc-process-signature", without_private, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The reference: a page for each section of docs/reference.md, from the docstrings of the names that it lists.

A name of `qopt` stands where docs/reference.md lists it; a module that it lists stands there with all it gives. What
these take and return, and what other pages name, follows on the page of its room. `tests/helpers/docstrings.py` says
what is public, for this and for the tests.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference.md"
NAME = re.compile(r"`(qopt(?:\.\w+)+)`")

ROOMS = {
    "kernels": "Kernels",
    "plots": "Look",
    "reporting": "Look",
    "runtime": "Take out",
    "measuring": "Bring in",
    "comparison": "Compare",
    "simulation": "Compare",
    "core": "Solve",
}
"""Where a name goes that no section lists, by its room; else to the families."""

OTHERS = "Families"


def sections(text: str) -> dict[str, list[str]]:
    """The sections of docs/reference.md, each with the names that it lists, in order."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {
        heading: list(dict.fromkeys(NAME.findall(body))) for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def key(thing: Any) -> str:
    """A function or class by module and name."""
    return f"{thing.__module__}:{thing.__qualname__}"


def write(into: Path) -> list[Path]:
    """Write the pages into a folder; they are returned in order."""
    sys.path.insert(0, str(ROOT / "tests" / "helpers"))
    from docstrings import members, methods, public, resolved

    def entry(name: str, thing: Any) -> str:
        """The directive of a name: ``MODULE.NAME`` as users write it."""
        module, _, short = name.rpartition(".")
        kind = "class" if inspect.isclass(thing) else "function"
        if kind == "class" and issubclass(thing, BaseException):
            kind = "exception"
        listed = ", ".join(method for method, _ in methods(thing)) if kind != "function" else ""
        options = f"   :members: {listed}\n" if listed else ""
        return f".. py:currentmodule:: {module}\n\n.. auto{kind}:: {short}\n{options}\n"

    listed = sections(PAGE.read_text(encoding="utf-8"))
    left = public()
    bodies: dict[str, list[str]] = {heading: [] for heading in listed}
    modules: dict[str, list[ModuleType]] = {heading: [] for heading in listed}
    for heading, names in listed.items():
        for name in names:
            thing = resolved(name)
            if isinstance(thing, ModuleType):
                modules[heading].append(thing)
            elif left.pop(key(thing), None) is not None:
                bodies[heading].append(entry(name, thing))
    for heading, found in modules.items():
        for module in found:
            bodies[heading].append(head(module.__name__))
            given = (
                [getattr(module, name) for name in module.__all__] if hasattr(module, "__path__") else members(module)
            )
            for thing in given:
                if (inspect.isfunction(thing) or inspect.isclass(thing)) and left.pop(key(thing), None) is not None:
                    bodies[heading].append(entry(f"{module.__name__}.{thing.__name__}", thing))
    rest: dict[str, list[tuple[str, Any]]] = {}
    for name, thing in left.items():
        rest.setdefault(name.partition(":")[0], []).append((name.replace(":", "."), thing))
    for module_name, things in sorted(rest.items()):
        heading = ROOMS.get(module_name.split(".")[1], OTHERS)
        if module_name not in {module.__name__ for found in modules.values() for module in found}:
            bodies[heading].append(head(module_name))
        bodies[heading] += [entry(name, thing) for name, thing in things if "." not in thing.__qualname__]
    pages = []
    for heading, texts in bodies.items():
        path = into / f"{heading.lower().replace(' ', '-')}.rst"
        path.write_text(f"{heading}\n{'=' * len(heading)}\n\n{''.join(texts)}", encoding="utf-8")
        pages.append(path)
    return pages


def head(name: str) -> str:
    """The heading of a module, and what its docstring says of it."""
    title = f"``{name}``"
    return f"{title}\n{'-' * len(title)}\n\n.. automodule:: {name}\n   :no-members:\n\n"

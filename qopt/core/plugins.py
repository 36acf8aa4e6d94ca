"""Methods that other packages bring, by entry points of the group ``qopt.methods``.

An entry is called ``FAMILY.METHOD`` and leads to a `Method` of that name. What is wrong with one is the reason why its
method cannot be used; it keeps nothing else from working. A package says in its ``pyproject.toml``

    [project.entry-points."qopt.methods"]
    "qpart.widest" = "qopt_widest:METHOD"
"""

from __future__ import annotations

import importlib.metadata
from functools import cache

from qopt.core.errors import shown
from qopt.core.families import FAMILIES, Family
from qopt.core.method import Method

GROUP = "qopt.methods"


def methods_of(family: Family) -> tuple[Method, ...]:
    """All methods of a family: its own, in their order, and then those of other packages."""
    own: tuple[Method, ...] = family.part("registry").METHODS
    taken = {method.name for method in own}
    return own + tuple(_clashing(m) if m.name in taken else m for m in brought(family.name))


@cache
def brought(family: str) -> tuple[Method, ...]:
    """Methods of other packages for a family, by name."""
    entries = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name)
    found: list[Method] = []
    for entry in entries:
        of, _, name = entry.name.partition(".")
        if not name or f"qopt/{of}" not in FAMILIES:
            found.append(_broken(entry.name, f"its entry point is called {shown(entry.name)}, not FAMILY.METHOD"))
        elif of == family:
            found.append(_loaded(entry, name))
    return tuple(found)


def _loaded(entry: importlib.metadata.EntryPoint, name: str) -> Method:
    try:
        method = entry.load()
    except Exception as error:  # whatever somebody's package raises as it loads
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return _broken(name, f"{entry.value} does not load ({why[:120]})")
    if not isinstance(method, Method):
        return _broken(name, f"{entry.value} is {shown(method)}, not a qopt.core.method.Method")
    if method.name != name:
        return _broken(name, f"{entry.value} calls itself {shown(method.name)}")
    return method


def _clashing(method: Method) -> Method:
    return _broken(f"{method.name} (2)", f"a method of qopt is called {method.name}")


def _broken(name: str, why: str) -> Method:
    return Method(name=name, summary="of another package", proves="nothing", target="", exact=False, broken=why)

"""What is public, and what a docstring says: for the check of `tests/docs/test_docstrings.py`."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pydantic

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "notebooks").glob("*.py"))]
STUBS = ("qopt", "qopt.jqodi")
"""Packages whose public names stand in a stub beside them."""

UNTOLD = ("format", "version", "model_config")
"""Fields that every file has, and what pydantic keeps with a class."""

SECTIONS = ("Parameters", "Returns", "Yields", "Raises", "Attributes", "Notes", "Examples")


# --- what is public -----------------------------------------------------------------------------------------------


def public() -> dict[str, Any]:
    """Functions and classes that somebody may call, by ``module:name``.

    * Those of the stubs, of modules that a stub or a package's ``__all__`` names, and of the modules that pages name.
      Of a module they are its ``__all__``, or what it defines without an underscore.
    * Those that a page names, as ``qopt.a.b`` in its text or imported in its code.
    * Classes that the annotations of these speak of: what they take, hold and return. Of a module with an ``__all__``
      only its own, and of kernels none that stands inside a package of theirs.
    """
    named: set[str] = set()
    for package in STUBS:
        named |= {f"{package}.{name}" for name in importlib.import_module(package).__all__}
    for package in ("qopt.kernels", "qopt.formulations", "qopt.comparison", "qopt.plots", "qopt.generate"):
        named |= {f"{package}.{name}" for name in importlib.import_module(package).__all__}
    for page in PAGES:
        named |= named_on(page.read_text(encoding="utf-8"))
    things: dict[str, Any] = {}
    for name in sorted(named):
        thing = resolved(name)
        for each in members(thing) if isinstance(thing, ModuleType) else [thing]:
            enter(things, each)
    pending = list(things.values())
    while pending:
        for each in spoken_of(pending.pop()):
            module = importlib.import_module(each.__module__)
            inner = module.__name__.count(".") > 2 and module.__name__.startswith("qopt.kernels.")
            if not inner and each.__name__ in getattr(module, "__all__", (each.__name__,)) and enter(things, each):
                pending.append(each)
    return dict(sorted(things.items()))


def named_on(text: str) -> set[str]:
    """Dotted names of this package in a page: in its text, and imported in its code."""
    names = {name.rstrip(".") for name in re.findall(r"\bqopt(?:\.\w+)+", text)}
    for module, listed in re.findall(r"^from (qopt[\w.]*) import (\([^)]*\)|[^\n(]*)", text, re.MULTILINE):
        entries = [entry.split("#")[0].split(" as ")[0].strip() for entry in re.split(r"[,\n]", listed.strip("()"))]
        names |= {f"{module}.{entry}" for entry in entries if entry}
    return names


def resolved(name: str) -> Any:
    """The module, function or class of a dotted name; None where a page makes one up, or it is a value."""
    parts = name.split(".")
    thing: Any = importlib.import_module(parts[0])
    for k, part in enumerate(parts[1:], start=2):
        if isinstance(thing, ModuleType):
            try:
                thing = importlib.import_module(".".join(parts[:k]))
                continue
            except ModuleNotFoundError:
                pass
        thing = inspect.getattr_static(thing, part, None) if inspect.isclass(thing) else getattr(thing, part, None)
    return thing


def members(module: ModuleType) -> Iterator[Any]:
    """What a module gives: its ``__all__``, or what it defines without an underscore; of a package nothing more."""
    if hasattr(module, "__path__"):
        return
    listed = getattr(module, "__all__", None)
    for name in listed or [name for name in vars(module) if not name.startswith("_")]:
        thing = getattr(module, name)
        if listed or getattr(thing, "__module__", None) == module.__name__:
            yield thing


def enter(things: dict[str, Any], thing: Any) -> bool:
    """Note a function or class of this package; whether it is new."""
    if not (inspect.isfunction(thing) or inspect.isclass(thing)) or not thing.__module__.startswith("qopt."):
        return False
    key = f"{thing.__module__}:{thing.__qualname__}"
    if key in things or thing.__name__.startswith("_"):
        return False
    things[key] = thing
    return True


def spoken_of(thing: Any) -> Iterator[Any]:
    """Classes in the annotations of a function, or of a class's fields, methods and properties."""
    for function in [thing] if inspect.isfunction(thing) else [f for _, f in methods(thing)]:
        yield from named_in(function, getattr(function, "__annotations__", {}))
    if inspect.isclass(thing):
        yield from named_in(thing, inspect.get_annotations(thing))


def named_in(owner: Any, annotations: Mapping[str, Any]) -> Iterator[Any]:
    """Classes of this package that annotations name."""
    scope = vars(importlib.import_module(owner.__module__))
    for annotation in annotations.values():
        for word in re.findall(
            r"\w+", annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        ):
            if inspect.isclass(scope.get(word)):
                yield scope[word]


def methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public methods and properties that a class defines itself, as functions; not those that a base describes."""
    for name, value in vars(cls).items():
        if name.startswith("_") or any(getattr(getattr(base, name, None), "__doc__", None) for base in cls.__bases__):
            continue
        inner = (
            getattr(value, "fget", None) or getattr(value, "func", None) or getattr(value, "__func__", None) or value
        )
        if isinstance(value, pydantic.fields.FieldInfo) or "validator" in type(value).__name__.lower():
            continue
        if inspect.isfunction(inner) and inner.__module__ == cls.__module__:
            yield name, inner


# --- what a docstring says ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Doc:
    """A docstring in parts.

    Attributes
    ----------
    first : its first line.
    text : all of it.
    sections : by heading, the entries of each: ``a, b : ...`` stands under a and under b.
    """

    first: str
    text: str
    sections: Mapping[str, Mapping[str, str]]

    def entry(self, name: str) -> str | None:
        """What it says of a parameter, or of a field."""
        for heading in ("Parameters", "Attributes"):
            if name in self.sections.get(heading, {}):
                return self.sections[heading][name]
        return None

    def like(self) -> str | None:
        """The function whose parameters and errors this one's are, as in ``Parameters as `joint`.``."""
        found = re.search(r"(?i:parameters|as)\b[^`.]*? as `(\w+)`", self.text)
        return found[1] if found else None


def doc_of(thing: Any) -> Doc | None:
    """The docstring of a function or class; None if it has none of its own."""
    text = inspect.cleandoc(thing.__doc__ or "")
    if not text or (dataclasses.is_dataclass(thing) and text.startswith(f"{thing.__name__}(")):
        return None
    marks = [(m.start(), m.end(), m[1]) for m in re.finditer(rf"^({'|'.join(SECTIONS)})\n-+$", text, re.MULTILINE)]
    sections = {}
    for k, (_, end, heading) in enumerate(marks):
        body = text[end : marks[k + 1][0] if k + 1 < len(marks) else len(text)]
        sections[heading] = entries_of(body)
    return Doc(text.split("\n", 1)[0], text, sections)


def entries_of(body: str) -> dict[str, str]:
    """Entries of a section by name."""
    entries: dict[str, str] = {}
    current: list[str] = []
    for line in body.strip("\n").splitlines():
        if line[:1].strip():
            names, _, rest = line.partition(" : ")
            current = [name.strip(" *`") for name in names.split(",")] if re.fullmatch(r"[\w*, `]+", names) else []
            entries |= dict.fromkeys(current, rest)
        else:
            entries |= {name: f"{entries[name]} {line.strip()}" for name in current}
    return entries


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Parameters that a caller gives."""
    return [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]


def raised_in(function: Callable[..., Any]) -> set[str]:
    """Errors of this package that a function's own body raises, by name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    pending, names = list(ast.iter_child_nodes(tree)), set()
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            names.add(node.exc.func.id)
        pending.extend(ast.iter_child_nodes(node))
    return names & {"InputError", "MethodError", "Refused"}


def fields(cls: type) -> dict[str, str]:
    """Public fields that a dataclass, model or named tuple declares itself, with their annotations."""
    annotated = inspect.get_annotations(cls)
    model = issubclass(cls, pydantic.BaseModel)
    if not (dataclasses.is_dataclass(cls) or model or hasattr(cls, "_fields")):
        return {}
    texts = {name: a if isinstance(a, str) else inspect.formatannotation(a) for name, a in annotated.items()}
    return {
        name: text
        for name, text in texts.items()
        if not name.startswith("_")
        and not text.startswith("ClassVar")
        and name not in ("format", "version", "model_config")
    }

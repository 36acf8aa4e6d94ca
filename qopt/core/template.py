"""A commented instance to begin with: every field, what it means, and a value with which the file loads as it is.

Fields and values are those of the family's smallest bundled instance, meanings those of its classes' docstrings. A line
that begins with ``//`` is a comment (`qopt.core.reading`), and so fields that may be left out stand in such lines.
"""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from importlib import resources

from qopt.core.display import with_article
from qopt.core.errors import InputError, shown
from qopt.core.families import Family
from qopt.core.problem import Frozen, Problem
from qopt.core.reading import bundled, load

WIDTH = 110
"""Characters of a line of comment, at most."""


def template(family: Family) -> str:
    """The text of a commented instance file of a family.

    Raises
    ------
    InputError
        The family has no bundled instance whose values could be taken.
    """
    names = [name for name in bundled() if name.startswith(f"{family.name}/")]
    if not names:
        raise InputError("family", f"{shown(family.name)}, which has no bundled instance", "a family that has one")
    folder = resources.files("qopt.instances")
    sample = load(min(names, key=lambda name: len(folder.joinpath(f"{name}.json").read_bytes())))
    about = {"name": f"my-{family.name}", "description": "What is asked, in a sentence.", "source": "Where it is from."}
    problem: Problem = sample.replace({**about, "best_known": None})
    what = (inspect.getdoc(type(problem)) or "").split("\n\n")[0]
    head = [
        *_comment(f"{with_article(family.name).capitalize()} instance: {what}", ""),
        "// Lines that begin with // are comments. Fields in them may be left out; so may others, with a default.",
    ]
    return "\n".join([*head, *_object(problem, ""), ""])


def _comment(text: str, indent: str) -> list[str]:
    lines = textwrap.wrap(" ".join(text.split()), WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)
    return [f"{indent}// {line}" for line in lines]


def _object(thing: Frozen, indent: str) -> list[str]:
    """An object with a comment before each field that has one; those without a value are comments themselves."""
    inner, told = indent + "  ", _meanings(type(thing))
    names = list(type(thing).model_fields)
    given = [name for name in names if getattr(thing, name) is not None]
    lines, said = ["{"], ""
    for name in [*(name for name in names if name != given[-1]), given[-1]]:  # one that is given ends without a comma
        if told.get(name, "") != said:  # one entry of a docstring may be about several fields
            said = told.get(name, "")
            lines += _comment(said, inner)
        if name not in given:
            lines.append(f'{inner}// "{name}": null,')
            continue
        value = _value(getattr(thing, name), inner)
        value[0] = f"{inner}{json.dumps(name)}: {value[0]}"
        value[-1] += "," if name != given[-1] else ""
        lines += value
    return [*lines, f"{indent}}}"]


def _value(value: object, indent: str) -> list[str]:
    """A value on its lines, the first without its indent."""
    if isinstance(value, Frozen):
        return _object(value, indent)
    if isinstance(value, dict) and value and all(isinstance(v, Frozen) for v in value.values()):
        return _several([(f"{json.dumps(k)}: ", v) for k, v in value.items()], "{}", indent)
    if isinstance(value, tuple | list) and value and all(isinstance(v, Frozen) for v in value):
        return _several([("", v) for v in value], "[]", indent)
    plain = _plain(value)
    if isinstance(plain, list) and plain and isinstance(plain[0], list):
        rows = [f"{indent}  {json.dumps(row)}" for row in plain]
        return ["[", *(f"{row}," for row in rows[:-1]), rows[-1], f"{indent}]"]
    return [json.dumps(plain, ensure_ascii=False)]


def _several(entries: list[tuple[str, Frozen]], brackets: str, indent: str) -> list[str]:
    """Objects of one kind: the first with comments, the others a line each."""
    lines = [brackets[0]]
    for number, (key, thing) in enumerate(entries):
        own = _object(thing, indent + "  ")
        if number:
            own = [json.dumps(_plain(thing.model_dump(exclude_none=True)), ensure_ascii=False)]
        own[0] = f"{indent}  {key}{own[0]}"
        own[-1] += "," if number + 1 < len(entries) else ""
        lines += own
    return [*lines, f"{indent}{brackets[1]}"]


def _plain(value: object) -> object:
    """Arrays and tuples as lists."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, Frozen):
        return _plain(value.model_dump(exclude_none=True))
    listed = value.tolist() if hasattr(value, "tolist") else value
    return [_plain(v) for v in listed] if isinstance(listed, list | tuple) else listed


def _meanings(kind: type) -> dict[str, str]:
    """What the docstrings of a class, and of those that it is derived from, say of its attributes."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        found |= dict(_attributes(inspect.cleandoc(each.__doc__ or "")))
    return found


def _attributes(doc: str) -> Iterator[tuple[str, str]]:
    """Names and meanings in the section Attributes of a docstring: ``a, b : text`` and indented lines below."""
    section = re.search(r"^Attributes\n-+\n((?:.+\n?|\n(?=\S+.* : | ))*)", doc, re.M)
    names: list[str] = []
    text: list[str] = []
    for line in (section[1] if section else "").splitlines():
        if line.startswith(" ") or " : " not in line:
            text.append(line)
            continue
        yield from ((name, " ".join(text)) for name in names)
        before, _, after = line.partition(" : ")
        names, text = [name.strip() for name in before.split(",")], [after]
    yield from ((name, " ".join(text)) for name in names)

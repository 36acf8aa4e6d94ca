"""Instance files: versioned JSON in, problems out; problems in, JSON out. Lines that begin with ``//`` are comments.

A file is untrusted: its size is bounded before it is read, its nesting while it is parsed, and every
complaint is one line.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable
from importlib import resources
from typing import IO, Any, NoReturn, TypeVar

from qopt.core.display import with_article
from qopt.core.errors import InputError, shown
from qopt.core.families import FAMILIES
from qopt.core.files import write_whole
from qopt.core.problem import Problem

COMMENT = re.compile(r"^[ \t]*//.*$", re.M)
"""A line of comment."""

Kind = TypeVar("Kind", bound=Problem)
"""A family's class of problems."""

MAX_BYTES = 256 * 2**20
"""Largest file that is read. A network of 100 000 layers with a measured noise table needs about 64 MiB."""


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise InputError(key, "the field twice in one object", "once")
        found[key] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise InputError("file", text, "JSON numbers, which are finite")


def read_json(path: str | os.PathLike[str]) -> object:
    """Parse a JSON file of bounded size and depth.

    Raises
    ------
    InputError
        The file is missing, too large, not UTF-8, not JSON, too deeply nested, or repeats a field.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            return parse_json(name, file)
    except OSError as error:
        raise InputError(name, (error.strerror or "an unreadable file").lower(), "a readable JSON file") from None


def parse_json(name: str, file: IO[bytes]) -> object:
    """Parse an open JSON file; lines that begin with ``//`` are comments. Errors as `read_json`, but for a missing one.

    Parameters
    ----------
    name : of the file, for messages.
    """
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(name, f"more than {MAX_BYTES // 2**20} MiB", f"at most {MAX_BYTES // 2**20} MiB")
    try:
        # No text of JSON goes over the end of a line, so such a line stands in none. Its end stays, for line numbers.
        text = COMMENT.sub("", data.decode("utf-8"))
        found: object = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
        return found
    except UnicodeDecodeError as error:
        raise InputError(name, f"byte {error.start} that is not UTF-8", "JSON text in UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(name, f"no JSON at {where} ({error.msg.lower()})", "a JSON file") from None
    except RecursionError:
        raise InputError(name, "brackets nested too deeply", "the nesting of an instance file") from None
    except InputError:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise InputError(name, str(error).split(";")[0].lower(), "numbers of ordinary length") from None


def from_data(data: object) -> Any:
    """A problem from the parsed content of an instance file."""
    if not isinstance(data, dict):
        raise InputError("file", shown(data), "an object with a field 'format'")
    family = data.get("format")
    if not isinstance(family, str) or family not in FAMILIES:
        raise InputError("format", shown(family) if "format" in data else "nothing", " or ".join(FAMILIES))
    return FAMILIES[family].part("problem")(**data)


def bundled() -> list[str]:
    """Names of the instances that come with the package, e.g. ``qpart/mnist-mlp6``."""
    root = resources.files("qopt.instances")
    names = {family.removeprefix("qopt/") for family in FAMILIES}
    families = [folder for folder in root.iterdir() if folder.is_dir() and folder.name in names]
    return sorted(
        f"{folder.name}/{file.name.removesuffix('.json')}"
        for folder in families
        for file in folder.iterdir()
        if file.name.endswith(".json")
    )


def load(name: str | os.PathLike[str]) -> Any:
    """Load an instance by its bundled name or by path.

    Parameters
    ----------
    name : a bundled name such as ``"qpart/mnist-mlp6"`` (see `bundled`), or the path of an instance file.

    Returns
    -------
    The problem, of its family's class.

    Raises
    ------
    InputError
        No such name or file, no JSON, or a field that is not as it should be: its path, what was found, what is
        allowed.
    """
    if not isinstance(name, str | os.PathLike):
        raise InputError("instance", shown(name), "a bundled name or the path of an instance file")
    text = os.fspath(name)
    names = bundled()
    if text in names:
        with resources.as_file(resources.files("qopt.instances").joinpath(f"{text}.json")) as path:
            return from_data(read_json(path))
    if not os.path.exists(text):  # unlike Path.exists, also for names that no file can have
        one_each = list({name.split("/")[0]: name for name in reversed(names)}.values())
        near = difflib.get_close_matches(text, names, n=3, cutoff=0.4) or one_each
        raise InputError("instance", shown(text), "the path of a file, or a bundled name such as " + ", ".join(near))
    return from_data(read_json(text))


def as_problem(problem: Problem | str | os.PathLike[str]) -> Problem:
    """A problem, or the one that a bundled name or path stands for."""
    if isinstance(problem, Problem):
        return problem
    if not isinstance(problem, str | os.PathLike):
        raise InputError("problem", shown(problem), "a problem, a bundled name, or the path of an instance file")
    loaded: Problem = load(problem)
    return loaded


def problem_of(
    kind: type[Kind], problem: object, *, field: str = "problem", named: bool = False, instead: str = ""
) -> Kind:
    """A problem of one family, as it is; the one way to ask for it.

    Parameters
    ----------
    kind : the family's class of problems.
    problem : what was handed in.
    field : what the caller calls it.
    named : whether a bundled name or the path of an instance file may stand for it.
    instead : what serves problems of another family, in words.

    Raises
    ------
    InputError
        It is of another family, or no problem.
    """
    given = load(problem) if named and isinstance(problem, str | os.PathLike) else problem
    if isinstance(given, kind):
        return given
    of = f"{shown(given.name)}, {_a_problem(type(given))}" if isinstance(given, Problem) else shown(given)
    allowed = _a_problem(kind) + (", a bundled name, or the path of an instance file" if named else "")
    raise InputError(field, of, f"{allowed}; {instead}" if instead else allowed)


def problems_of(kind: type[Kind], given: object, *, field: str = "problems") -> dict[str, Kind]:
    """One or several problems of one family, or their names or paths, by name.

    Parameters
    ----------
    kind : the family's class of problems.
    given : what was handed in.
    field : what the caller calls it.

    Raises
    ------
    InputError
        None, two of one name, another family, or no problem at all.
    """
    several = [given] if isinstance(given, Problem | str | os.PathLike) else given
    if not isinstance(several, Iterable):
        raise InputError(field, shown(given), f"{_a_problem(kind)}, its name or path, or several of them")
    found: dict[str, Kind] = {}
    for one in several:
        problem = problem_of(kind, one, field=field, named=True)
        if problem.name in found:
            raise InputError(field, f"{problem.name!r} twice", "different names")
        found[problem.name] = problem
    if not found:
        raise InputError(field, "none", "at least one")
    return found


def _a_problem(kind: type[Problem]) -> str:
    """``a qpart problem``, by the family's name."""
    return with_article(f"{str(kind.model_fields['format'].default).removeprefix('qopt/')} problem")


def to_json(problem: Problem) -> str:
    """The instance file of a problem: one line a column, fields in the order of the schema."""
    data = problem.model_dump(exclude_none=True, exclude_defaults=False)

    def render(value: object, indent: str) -> str:
        if isinstance(value, dict) and value:
            inner = indent + "  "
            fields = [f"{inner}{json.dumps(k)}: {render(v, inner)}" for k, v in value.items()]
            return "{\n" + ",\n".join(fields) + f"\n{indent}}}"
        if isinstance(value, list | tuple) and value and isinstance(value[0], list | dict):
            inner = indent + "  "
            return "[\n" + ",\n".join(inner + json.dumps(row) for row in value) + f"\n{indent}]"
        return json.dumps(value, allow_nan=False, ensure_ascii=False)

    return render(data, "") + "\n"


def save(problem: Problem, path: str | os.PathLike[str]) -> None:
    """Write a problem as an instance file.

    Parameters
    ----------
    problem : of any family.
    path : of the file to write, whole or not at all.
    """
    write_whole(path, lambda file: file.write(to_json(problem).encode()))

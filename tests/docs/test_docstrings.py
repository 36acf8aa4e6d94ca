"""Every public docstring says what goes in, what comes out, in which units and shapes, and what may go wrong.

What is public is decided by `docstrings.public`: stubs, ``__all__``, and what the pages name. Of each function, class,
public method and property:

* there is a docstring;
* a function's parameters, and what a class is made of, have an entry each (``low, high : ...`` is one for both);
  methods and properties may name theirs in the text, ``Parameters as `joint`.`` points to another's, and but for the
  functions of `qopt` itself an object of one public class may do without: its class says what it is;
* whoever raises an error itself has a section ``Raises`` that names it, or says ``errors as `report```, or in a few
  words ``InputError if ...``;
* a result has a section ``Returns``, or the first line is what it is, and not what is done;
* arrays and lists have a shape, quantities of a dimension have a unit;
* problems, and what solves them, name an equation or a source.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from docstrings import Doc, doc_of, fields, methods, parameters, public, raised_in

import qopt
from qopt.core.errors import InputError
from qopt.core.families import FAMILIES

DEEDS = frozenset(
    """
    add answer ask build calibrate certify check cut decide describe divide draw enumerate evaluate execute find
    fit follow give leave list load make maximise measure merge minimise pack pick plot prepare prove put quantize
    read recompute record register run sample save score solve split sum take tell trace turn unpack update walk
    work write
    """.split()  # noqa: SIM905  a list of words reads best as words
)
"""First words of docstrings that say what is done: what comes of it is another matter."""

LISTED = re.compile(r"Array|ndarray|Sequence|Iterable|list\[|tuple\[\w+, \.\.\.\]|Floats|Ints|Rows|Amounts|Counts")
"""Annotations of more than one number."""

SHAPE = re.compile(
    r"\([\w+*^/ -]+,[^()]*\)|\b(?:each|every|per|all) \w+|\b(?:a|an|one) \w+ (?:a|an|for|of|by)\b|\bone (?:a|an)\b|"
    r"\b(?:rows?|columns?|lists?|pairs?|names?|one (?:for|of|or)|two or|words)\b"
)
"""A shape, or in words what there is one for."""

NUMBER = re.compile(r"\bfloat\b|Amount|Positive|Array|Floats|Rows")
UNITS = {
    r"(?:\w+_)?(?:time|seconds|latency|delay|elapsed)": r"\[(?:1/)?s\]|\bsecond",
    r"(?:\w+_)?(?:energy|joules)": r"\[(?:1/)?J\b|joule|J/",
    r"(?:\w+_)?rates?": r"bits? (?:a|per) second|\[bit/s\]|bit/s|b/s|per second|Eq",
    r"(?:\w+_)?(?:power)": r"\[W\]|watt",
    r"(?:\w+_)?memory": r"bits?\b|bytes?\b",
    r"(?:\w+_)?speeds?": r"MACs?|per second|a second",
    r"bandwidth": r"\[Hz\]|hertz|Hz",
    r"clock": r"\[Hz\]|hertz|Hz|cycles",
    r"payload": r"bits",
}
"""By names of numbers: what says their unit."""

SOURCE = re.compile(
    r"\bEqs?\. ?\d|[Ss]ection|Algorithm|\bthe paper|Fig\.|Table I|`qopt\.(?:kernels|formulations)\.|HiGHS|"
    r"\(\d{4}\)|knapsack|shortest path|minimum cut|dynamic programming|published|study"
)


def callables(things: dict[str, Any]) -> Iterator[tuple[str, Callable[..., Any], bool]]:
    """Public functions, and the methods and properties of public classes; whether it is one of the latter."""
    for name, thing in things.items():
        if inspect.isfunction(thing):
            yield name, thing, False
        else:
            yield from ((f"{name}.{method}", function, True) for method, function in methods(thing))


def given(function: Callable[..., Any], doc: Doc, seen: int = 0) -> Iterator[Doc]:
    """The docstring, and those that it points to with ``as `name```."""
    yield doc
    like = doc.like()
    if like and seen < 3:
        other = vars(importlib.import_module(function.__module__)).get(like)
        if other is not None and (more := doc_of(other)):
            yield from given(other, more, seen + 1)


def absent(things: dict[str, Any]) -> list[str]:
    """Without a docstring."""
    names = [name for name, thing in things.items() if inspect.isclass(thing) and doc_of(thing) is None]
    return names + [name for name, function, _ in callables(things) if doc_of(function) is None]


def says_itself(function: Callable[..., Any], parameter: inspect.Parameter, things: dict[str, Any]) -> bool:
    """Whether a parameter is an object of one public class, whose own docstring says what it is."""
    cls = vars(importlib.import_module(function.__module__)).get(str(parameter.annotation).removesuffix(" | None"))
    return inspect.isclass(cls) and f"{cls.__module__}:{cls.__qualname__}" in things


def without_entry(things: dict[str, Any]) -> list[str]:
    """Parameters and fields of which nothing is said."""
    faults = []
    named = [getattr(qopt, name) for name in qopt.__all__]
    doors = {f"{thing.__module__}:{thing.__qualname__}" for thing in named if inspect.isfunction(thing)}
    assert "qopt.core.solving:solve" in doors
    for name, function, inside in callables(things):
        if (doc := doc_of(function)) is None:
            continue
        docs = list(given(function, doc))
        for p in parameters(function):
            in_text = inside and re.search(rf"\b{p.name}\b", doc.text)
            needed = name in doors or not says_itself(function, p, things)
            if needed and not in_text and all(d.entry(p.name) is None for d in docs):
                faults.append(f"{name}: {p.name}")
    for name, thing in things.items():
        if inspect.isclass(thing) and (doc := doc_of(thing)):
            short = doc.first if issubclass(thing, tuple) else ""  # a named tuple may say it in its line
            told = [
                field for field in fields(thing) if doc.entry(field) is not None or re.search(rf"\b{field}\b", short)
            ]
            faults += [f"{name}: {field}" for field in fields(thing) if field not in told]
            if "__init__" in vars(thing) and not fields(thing) and not issubclass(thing, Exception):
                faults += [f"{name}: {p.name}" for p in parameters(thing.__init__) if doc.entry(p.name) is None]
    return faults


def without_error(things: dict[str, Any]) -> list[str]:
    """Errors that a body raises and no section names."""
    faults = []
    for name, function, _ in callables(things):
        doc, raised = doc_of(function), raised_in(function)
        if doc is None or not raised:
            continue
        said = " ".join(d.text for d in given(function, doc) if "Raises" in d.sections)
        if not re.search(r"[Ee]rrors as `|(?:Input|Method)Error if ", doc.text):
            faults += [f"{name}: {error}" for error in raised if error not in said]
    return faults


def without_result(things: dict[str, Any]) -> list[str]:
    """First lines that say what is done, where something comes of it."""
    faults = []
    for name, function, _ in callables(things):
        doc, result = doc_of(function), inspect.signature(function).return_annotation
        nothing = result in (None, "None", inspect.Signature.empty)
        if doc is None or nothing or {"Returns", "Yields"} & set(doc.sections):
            continue
        first = re.split(r"\W", doc.first)[0].lower()
        if first in DEEDS and not re.search(r"[Rr]eturns? ", doc.text):
            faults.append(f"{name}: {doc.first}")
    return faults


def without_unit(things: dict[str, Any]) -> list[str]:
    """Entries without a shape or a unit."""
    faults = []
    for name, thing in things.items():
        doc = doc_of(thing)
        if doc is None:
            continue
        if inspect.isfunction(thing):
            typed = {p.name: str(p.annotation) for p in parameters(thing)}
            docs = list(given(thing, doc))
        else:
            typed, docs = fields(thing), [doc]
        for field, annotation in typed.items():
            entry = next((e for d in docs if (e := d.entry(field)) is not None), None)
            if entry is None:
                continue
            if LISTED.search(annotation) and not SHAPE.search(entry):
                faults.append(f"{name}: {field}: shape: {entry}")
            for what, unit in UNITS.items():
                if re.fullmatch(what, field) and NUMBER.search(annotation) and not re.search(unit, entry):
                    faults.append(f"{name}: {field}: unit: {entry}")
    return faults


CHECKS = (absent, without_entry, without_error, without_result, without_unit)


def test_public_docstrings() -> None:
    things = public()  # imports everything once, so all checks are one test
    assert len(things) > 250
    for name in ("qopt.core.solving:solve", "qopt.qpart.problem:QPart", "qopt.core.certificate:Slack"):
        assert name in things
    for name in ("qopt.kernels.rcsp:solve", "qopt.measuring.sensitivity:measure", "qopt.formulations.jqodi:joint"):
        assert name in things
    assert not any(part.startswith("_") for name in things for part in name.split(":")[1].split("."))
    faults = [f"{check.__doc__} {fault}" for check in CHECKS for fault in sorted(check(things))]
    assert not faults, f"{len(faults)} faults of docstrings:\n" + "\n".join(faults)


@dataclass(frozen=True)
class Bad:
    """Seconds and joules.

    Attributes
    ----------
    time : of all that.
    energies : joules.
    """

    time: float
    energies: Sequence[float]
    more: int = 0


def bad(limit: float, path: str) -> float:
    """Solve it.

    Parameters
    ----------
    limit : seconds.
    """
    if limit < 0:
        raise InputError("limit", str(limit), "seconds")
    return float(path)


def silent() -> None:
    pass


def test_the_checks_find_faults() -> None:
    made_up = {"m:Bad": Bad, "m:bad": bad, "m:silent": silent}
    assert [check(made_up) for check in CHECKS] == [
        ["m:silent"],
        ["m:bad: path", "m:Bad: more"],
        ["m:bad: InputError"],
        ["m:bad: Solve it."],
        ["m:Bad: time: unit: of all that.", "m:Bad: energies: shape: joules."],
    ]


def test_problems_and_methods_name_a_source() -> None:
    faults = []
    for family in FAMILIES.values():
        problem = family.part("problem")
        places = [(problem, importlib.import_module(problem.__module__))]
        for method in family.part("registry").METHODS:
            module, _, function = method.target.partition(":")
            places.append((getattr(importlib.import_module(module), function), importlib.import_module(module)))
        for thing, module in places:
            if not SOURCE.search(f"{thing.__doc__} {module.__doc__}"):
                faults.append(f"{thing.__module__}:{thing.__qualname__}")
    assert not faults, "\n".join(faults)

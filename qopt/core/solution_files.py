"""Files in which solvers leave the point that they found.

Read are: HiGHS (``solution_file``, its raw style), SCIP (``write solution``), Gurobi (``write x.sol``), CBC
(``solution x.sol``), CPLEX (XML), GLPK (``glpsol -w``), AMPL's, which solvers of NL files write, and plain lines
``NAME VALUE`` as MIPLIB has them. GLPK's and AMPL's name no columns: their numbers stand in the order of the model's
file. A file is untrusted, and so is what it says: a point is read, never believed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from qopt.core.display import Brief
from qopt.core.errors import InputError, shown

MAX_BYTES = 256 * 2**20
"""Largest file that is read."""

KINDS = "a solution file of HiGHS, SCIP, Gurobi, CBC, CPLEX (XML), GLPK (glpsol -w) or AMPL"


@dataclass(frozen=True, repr=False)
class Point(Brief):
    """What a solution file says.

    Attributes
    ----------
    kind : whose file it is, in words.
    says : the solver's own word, where the file has it.
    infeasible : whether that word is that there is no point.
    objective : of the model, as the file claims; None where it does not.
    values : by name; of a file that numbers its columns by ``#1``, ``#2``, from 1.
    numbered : whether it numbers its columns, all of them.
    count : how many columns it says that the model has; None where it does not, and those left out are 0.
    """

    kind: str
    says: str = ""
    infeasible: bool = False
    objective: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    numbered: bool = False
    count: int | None = None


def read(path: str | os.PathLike[str]) -> Point:
    """The point of a solution file; its beginning says whose it is.

    Raises
    ------
    InputError
        It cannot be read, is of none of these kinds, names a column twice, or has a value that is no number.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(name, (error.strerror or "an unreadable file").lower(), KINDS) from None
    if len(data) > MAX_BYTES:
        raise InputError(name, f"more than {MAX_BYTES // 2**20} MiB", f"at most {MAX_BYTES // 2**20} MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(name, f"byte {error.start} that is not UTF-8", KINDS) from None
    lines = text.splitlines()
    for known, reader in READERS:
        if known(lines):
            return reader(Lines(name, lines))
    first = next((line for line in lines if line.strip()), "")
    raise InputError(name, shown(first) if first else "an empty file", KINDS)


class Lines:
    """Lines of a file, and what is wrong in one of them."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name, self.lines = name, lines

    def wrong(self, at: int, allowed: str) -> InputError:
        """The complaint about a line, counted from 0."""
        found = shown(self.lines[at]) if at < len(self.lines) else "the end of the file"
        return InputError(f"{self.name}, line {at + 1}", found, allowed)

    def number(self, at: int, text: str) -> float:
        """A value of a line; infinities and NaN are none."""
        try:
            value = float(text)
        except ValueError:
            raise self.wrong(at, "a name and its value") from None
        if not abs(value) < float("inf"):
            raise self.wrong(at, "a value that is finite")
        return value

    def whole(self, at: int) -> int:
        """A line that is one count."""
        if at >= len(self.lines) or not re.fullmatch(r"\s*\d{1,9}\s*", self.lines[at]):
            raise self.wrong(at, "a count")
        return int(self.lines[at])

    def pairs(self, places: Iterator[tuple[int, str, str]] | list[tuple[int, str, str]]) -> dict[str, float]:
        """Names and values of lines, each name once."""
        found: dict[str, float] = {}
        for at, name, value in places:
            if name in found:
                raise self.wrong(at, f"{name} once")
            found[name] = self.number(at, value)
        return found

    def first(self, pattern: str) -> tuple[int, re.Match[str]] | None:
        """The first line that a pattern is found in."""
        return next(((at, m) for at, line in enumerate(self.lines) if (m := re.search(pattern, line))), None)


def _begins(*words: str) -> Callable[[list[str]], bool]:
    return lambda lines: next((line for line in lines if line.strip()), "").startswith(words)


def _highs(file: Lines) -> Point:
    says = file.lines[1].strip() if len(file.lines) > 1 else ""
    primal, columns = file.first(r"^# Primal solution values"), file.first(r"^# Columns (\d{1,9})$")
    none = Point("HiGHS", says, "infeasible" in says.lower())
    if primal is None:
        raise file.wrong(len(file.lines), "the heading # Primal solution values")
    stands = file.lines[primal[0] + 1 : primal[0] + 2]
    if stands == ["None"] or none.infeasible:
        return none
    if columns is None:
        raise file.wrong(len(file.lines), "the heading # Columns")
    at, count = columns[0] + 1, int(columns[1][1])
    values = file.pairs(_named(file, range(at, at + count)))
    objective = file.first(r"^Objective (\S+)$")
    value = None if objective is None else file.number(objective[0], objective[1][1])
    return Point("HiGHS", says, False, value, values, count=count)


def _named(file: Lines, places: range) -> Iterator[tuple[int, str, str]]:
    """Lines that are a name and a value, and perhaps more that does not count."""
    for at in places:
        words = file.lines[at].split() if at < len(file.lines) else []
        if len(words) < 2:
            raise file.wrong(at, "a name and its value")
        yield at, words[0], words[1]


def _scip(file: Lines) -> Point:
    heading, _, says = (part.strip() for part in file.lines[0].partition(":"))
    says = says if heading == "solution status" else ""
    if file.first(r"^no solution available") or "infeasible" in says:
        return Point("SCIP", says, "infeasible" in says)
    objective = file.first(r"^objective value:\s*(\S+)$")
    start = -1 if objective is None else objective[0]
    places = [at for at in range(max(start + 1, 1 if says else 0), len(file.lines)) if file.lines[at].strip()]
    values = file.pairs([next(_named(file, range(at, at + 1))) for at in places])
    value = None if objective is None else file.number(start, objective[1][1])
    if values.pop("objconstant", None) is not None:  # SCIP's column for the constant of an NL file's objective
        value = None
    return Point("SCIP", says, False, value, values)


def _cbc(file: Lines) -> Point:
    says, _, rest = file.lines[0].partition(" - objective value ")
    if "infeasible" in says.lower() or "no integer solution" in file.lines[0]:
        return Point("CBC", says, "infeasible" in says.lower())

    def places() -> Iterator[tuple[int, str, str]]:
        for at, line in enumerate(file.lines[1:], 1):
            words = line.removeprefix("**").split()
            if words and (len(words) < 3 or not words[0].isdigit()):
                raise file.wrong(at, "a number, a name and its value")
            if words:
                yield at, words[1], words[2]

    return Point("CBC", says, False, file.number(0, rest.split()[0]) if rest.strip() else None, file.pairs(places()))


def _cplex(file: Lines) -> Point:
    import xml.etree.ElementTree as tree

    text = "\n".join(file.lines)
    if "<!" in text.replace("<!--", ""):  # no document type, so no entities that swell
        raise InputError(file.name, "an XML file with a document type", KINDS)
    try:
        root = tree.fromstring(text)
    except tree.ParseError as error:
        raise InputError(file.name, f"no XML ({error})", KINDS) from None
    if root.tag == "CPLEXSolutions":
        root = next(iter(root.findall("CPLEXSolution")), root)
    if root.tag != "CPLEXSolution":
        raise InputError(file.name, f"XML with the root {shown(root.tag)}", "CPLEXSolution")
    header = root.find("header")
    head = {} if header is None else header.attrib
    says = head.get("solutionStatusString", "")
    found: dict[str, float] = {}
    for variable in root.iter("variable"):
        name, value = variable.get("name", ""), variable.get("value", "")
        try:
            found[name] = float(value)
        except ValueError:
            raise InputError(f"{file.name}, {name}", shown(value), "a number") from None
    try:
        objective = float(head["objectiveValue"]) if "objectiveValue" in head else None
    except ValueError:
        objective = None
    return Point("CPLEX", says, "infeasible" in says and not found, objective, found)


GLPK = {"o": "optimal", "f": "feasible", "u": "undefined", "i": "infeasible", "n": "infeasible"}
"""Letters of GLPK's statuses."""


def _glpk(file: Lines) -> Point:
    """``s bas|ipt|mip ROWS COLUMNS ...`` and ``j NUMBER [STATUS] VALUE [DUAL]``."""
    line = file.first(r"^s (bas|ipt|mip) (\d{1,9}) (\d{1,9}) (.*)$")
    if line is None:
        raise file.wrong(len(file.lines), "a line that begins with s, as glpsol -w writes")
    at, kind, columns, rest = line[0], line[1][1], int(line[1][3]), line[1][4].split()
    words = [GLPK[word] for word in rest[:-1] if word in GLPK]
    status = ", ".join(dict.fromkeys(words))
    if "infeasible" in words:
        return Point("GLPK", status, True)
    lines = {at: text.split() for at, text in enumerate(file.lines) if text.startswith("j ")}
    place = 3 if kind == "bas" else 2
    if any(len(line) <= place for line in lines.values()):
        raise file.wrong(next(a for a, line in lines.items() if len(line) <= place), "j, a number and a value")
    values = file.pairs([(a, f"#{line[1]}", line[place]) for a, line in lines.items()])
    objective = file.number(at, rest[-1]) if rest else None
    return Point("GLPK", status, False, objective, values, numbered=True, count=columns)


def _gurobi(file: Lines) -> Point:
    objective = file.first(r"^# Objective value = (\S+)")
    places = [at for at, line in enumerate(file.lines) if line.strip() and not line.startswith("#")]
    values = file.pairs([next(_named(file, range(at, at + 1))) for at in places])
    value = None if objective is None else file.number(objective[0], objective[1][1])
    return Point("Gurobi", "", False, value, values)


def _ampl(file: Lines) -> Point:
    """A message, ``Options``, their number and they, four counts, dual values, values, ``objno``."""
    found = file.first(r"^Options\s*$")
    assert found is not None
    says = " ".join(line.strip() for line in file.lines[: found[0]] if line.strip())
    code = file.first(r"^objno \d+ (\d+)")
    stopped = int(code[1][1]) if code else 0
    at = found[0] + 1
    options = file.whole(at)
    at += options + 1
    duals, columns, written = file.whole(at + 1), file.whole(at + 2), file.whole(at + 3)
    if 200 <= stopped < 300 or not written:
        return Point("AMPL", says, 200 <= stopped < 300)
    first = at + 4 + duals
    if first + written > len(file.lines):
        raise file.wrong(len(file.lines), f"{written} values")
    values = file.pairs(
        [(at, f"#{j + 1}", file.lines[at].strip()) for j, at in enumerate(range(first, first + written))]
    )
    return Point("AMPL", says, False, None, values, numbered=True, count=columns)


def _plain(file: Lines) -> Point:
    objective = file.first(r"^=obj=\s+(\S+)$")
    places = [at for at, line in enumerate(file.lines) if line.strip() and not line.startswith(("=obj=", "#"))]
    values = file.pairs([next(_named(file, range(at, at + 1))) for at in places])
    return Point("a list", "", False, None if objective is None else file.number(objective[0], objective[1][1]), values)


def _list(lines: list[str]) -> bool:
    """Whether the first line that says something is a name and a number, or an objective."""
    words = next((line.split() for line in lines if line.strip() and not line.startswith("#")), [])
    return len(words) == 2 and re.fullmatch(r"[-+]?[\d.]+([eE][-+]?\d+)?", words[1]) is not None


READERS: tuple[tuple[Callable[[list[str]], bool], Callable[[Lines], Point]], ...] = (
    (_begins("Model status"), _highs),
    (_begins("solution status:", "objective value:"), _scip),
    (_begins("# Solution for model", "# Objective value"), _gurobi),
    (_begins("<?xml", "<CPLEXSolution"), _cplex),
    (_begins("c ", "s bas", "s ipt", "s mip"), _glpk),
    (lambda lines: any(line.strip() == "Options" for line in lines[:200]), _ampl),
    (lambda lines: bool(lines) and " - objective value " in lines[0], _cbc),
    (_list, _plain),
)
"""How a kind is known by its lines, and what reads it."""

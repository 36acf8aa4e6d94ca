"""LP files, in the dialect of CPLEX that HiGHS, SCIP, CBC, GLPK and Gurobi share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qopt.core.writers.linear import Linear, number

WIDTH = 100
"""Characters of a line, about; readers take 255 and more."""


def write(model: Linear) -> str:
    r"""The file. Every column stands in the objective, if with 0, so that readers number them as `Linear` does."""
    return "\n".join(_lines(model)) + "\n"


def _lines(model: Linear) -> Iterator[str]:
    yield from (rf"\ {comment}" for comment in model.comments)
    yield "Minimize"
    yield from _sum("objective", zip(model.cost.tolist(), model.columns, strict=True))
    yield "Subject To"
    for i, name in enumerate(model.rows):
        sense, side = model.side(i)
        terms = model.row(i) or [(0.0, model.columns[0])]
        *lines, last = _sum(name, terms)
        yield from lines
        yield f"{last} {sense} {number(side)}"
    yield "Bounds"
    for j, name in enumerate(model.columns):
        if not model.binary(j):
            low, high = float(model.lower[j]), float(model.upper[j])
            ends = ["-inf" if low == float("-inf") else number(low), "+inf" if high == float("inf") else number(high)]
            yield f" {ends[0]} <= {name} <= {ends[1]}"
    for heading, of in (("Binary", True), ("General", False)):
        names = [c for j, c in enumerate(model.columns) if model.integer[j] and model.binary(j) is of]
        if names:
            yield heading
            yield from _filled(names)
    yield "End"


def _sum(name: str, terms: Iterable[tuple[float, str]]) -> list[str]:
    """``name: 2 x + 3 y`` on as many lines as it takes."""
    words = [f"{'-' if a < 0 else '+'} {number(abs(a))} {column}" for a, column in terms]
    first, *rest = _filled(words)
    return [f" {name}: {first.lstrip()}", *rest]


def _filled(words: Iterable[str]) -> list[str]:
    """Words on lines of about `WIDTH`."""
    lines, line = [], ""
    for word in words:
        if line and len(line) + len(word) > WIDTH:
            lines.append(line)
            line = ""
        line += f" {word}"
    return [*lines, line]

"""Free MPS files: a name or a number is what stands between spaces."""

from __future__ import annotations

from collections.abc import Iterator

from scipy.sparse import csc_array

from qopt.core.writers.linear import LONGEST, Linear, number, plain_name

SENSES = {"=": "E", "<=": "L", ">=": "G"}


def write(model: Linear) -> str:
    """The file. Whole columns stand between markers, and every column has its bounds: defaults differ by reader."""
    return "\n".join(_lines(model)) + "\n"


def _lines(model: Linear) -> Iterator[str]:
    yield from (f"* {comment}" for comment in model.comments)
    yield f"NAME {plain_name(model.name)[:LONGEST]}"
    yield "ROWS"
    yield " N objective"
    sides = [model.side(i) for i in range(len(model.rows))]
    yield from (f" {SENSES[sense]} {name}" for (sense, _), name in zip(sides, model.rows, strict=True))
    yield "COLUMNS"
    yield from _columns(model)
    yield "RHS"
    yield from (f" RHS {name} {number(side)}" for (_, side), name in zip(sides, model.rows, strict=True) if side)
    yield "BOUNDS"
    for j, name in enumerate(model.columns):
        yield from (f" {kind} BOUND {name}{value}" for kind, value in _bounds(model, j))
    yield "ENDATA"


def _columns(model: Linear) -> Iterator[str]:
    matrix, whole, markers = csc_array(model.matrix), False, 0
    for j, name in enumerate(model.columns):
        if bool(model.integer[j]) is not whole:
            whole = not whole
            yield f" MARKER{markers} 'MARKER' '{'INTORG' if whole else 'INTEND'}'"
            markers += 1
        start, end = int(matrix.indptr[j]), int(matrix.indptr[j + 1])
        entries = sorted(zip(matrix.indices[start:end].tolist(), matrix.data[start:end].tolist(), strict=True))
        yield f" {name} objective {number(float(model.cost[j]))}"
        yield from (f" {name} {model.rows[i]} {number(value)}" for i, value in entries)
    if whole:
        yield f" MARKER{markers} 'MARKER' 'INTEND'"


def _bounds(model: Linear, j: int) -> list[tuple[str, str]]:
    low, high = float(model.lower[j]), float(model.upper[j])
    if model.binary(j):
        return [("BV", "")]
    if low == high:
        return [("FX", f" {number(low)}")]
    lower = ("MI", "") if low == float("-inf") else ("LO", f" {number(low)}")
    upper = ("PL", "") if high == float("inf") else ("UP", f" {number(high)}")
    return [lower, upper]

"""CIP files, the format in which SCIP writes its own problems."""

from __future__ import annotations

from collections.abc import Iterator

from qopt.core.writers.linear import LONGEST, Linear, number, plain_name

SENSES = {"=": "==", "<=": "<=", ">=": ">="}


def write(model: Linear) -> str:
    """The file: variables with their kind, cost and bounds, then linear constraints."""
    return "\n".join(_lines(model)) + "\n"


def _lines(model: Linear) -> Iterator[str]:
    kinds = [_kind(model, j) for j in range(len(model.columns))]
    count = {kind: kinds.count(kind) for kind in ("binary", "integer", "continuous")}
    yield from (f"# {comment}" for comment in model.comments)
    yield "STATISTICS"
    yield f"  Problem name     : {plain_name(model.name)[:LONGEST]}"
    yield (
        f"  Variables        : {len(kinds)} ({count['binary']} binary, {count['integer']} integer, "
        f"0 implicit integer, {count['continuous']} continuous)"
    )
    yield f"  Constraints      : {len(model.rows)} initial, {len(model.rows)} maximal"
    yield "OBJECTIVE"
    yield "  Sense            : minimize"
    yield "VARIABLES"
    for j, (name, kind) in enumerate(zip(model.columns, kinds, strict=True)):
        low, high = (_end(float(side[j])) for side in (model.lower, model.upper))
        yield f"  [{kind}] <{name}>: obj={number(float(model.cost[j]))}, original bounds=[{low},{high}]"
    yield "CONSTRAINTS"
    for i, name in enumerate(model.rows):
        sense, side = model.side(i)
        terms = model.row(i) or [(0.0, model.columns[0])]
        left = " ".join(f"{'-' if a < 0 else '+'}{number(abs(a))}<{column}>" for a, column in terms)
        yield f"  [linear] <{name}>: {left} {SENSES[sense]} {number(side)};"
    yield "END"


def _kind(model: Linear, j: int) -> str:
    return "binary" if model.binary(j) else "integer" if model.integer[j] else "continuous"


def _end(bound: float) -> str:
    return {float("inf"): "+inf", float("-inf"): "-inf"}.get(bound) or number(bound)

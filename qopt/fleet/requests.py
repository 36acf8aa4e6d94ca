"""Requests from a file, in chunks: CSV with the standard library, Parquet where pyarrow is installed.

Columns, by the names in the file's head: ``class`` and ``cell`` (names of the problem's), ``rate_up`` and
``rate_down`` (bits a second), ``penalty`` (cost), ``deadline`` (seconds; empty for none), ``count``. Only class, cell
and penalty must be there. Rates become airtime for a data unit, rounded up; deadlines are rounded down: a plan that
keeps the whole numbers keeps the others too.
"""

from __future__ import annotations

import csv
import itertools
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qopt.core.arrays import AnyArray, FloatArray, IntArray
from qopt.core.errors import InputError, MethodError, shown
from qopt.fleet.problem import Fleet, Requests

REQUIRED = ("class", "cell", "penalty")
KNOWN = (*REQUIRED, "rate_up", "rate_down", "deadline", "count")

CHUNK = 100_000
"""Rows at a time."""

NEVER = 2**53
"""A deadline that is none: the largest that columns hold."""

ROUNDING = 1e-12
"""Share by which an airtime may be above a whole number and still be taken for it."""

Chunk = dict[str, list[Any]]


def read_requests(path: str | os.PathLike[str], fleet: Fleet, *, merge: bool = False) -> Requests:
    """Requests of a file, for a fleet's classes, cells and units.

    Parameters
    ----------
    path : of a ``.csv`` file with a head, or a ``.parquet`` file.
    fleet : its own requests count for nothing here.
    merge : whether equal rows are added up; then rows are in the order of class and cell.

    Returns
    -------
    Columns in whole numbers, for `Fleet.with_parts`.

    Raises
    ------
    InputError
        A column is missing or unknown, or an entry is not as it should be: its row, column, and what is allowed.
    MethodError
        A Parquet file, and pyarrow is not installed.
    """
    parts = list(chunks(path, fleet))
    if not parts:
        raise InputError(os.fspath(path), "no request", "at least one row below the head")
    columns: dict[str, IntArray | None] = {}
    for name in parts[0]:
        columns[name] = np.concatenate([part[name] for part in parts])
    if merge:
        columns = merged(columns)
    if columns["count"] is not None and bool((columns["count"] == 1).all()):
        columns["count"] = None
    deadline = columns["deadline"]
    if deadline is not None and bool((deadline == NEVER).all()):
        columns["deadline"] = None
    return Requests(**columns)


def merged(columns: Mapping[str, IntArray | None]) -> dict[str, IntArray | None]:
    """Columns with equal rows added up.

    Parameters
    ----------
    columns : (n,) of whole numbers by name, ``count`` among them.
    """
    names = [name for name in columns if name != "count"]
    count = columns["count"]
    table = np.stack([column for name in names if (column := columns[name]) is not None], axis=1)
    rows, inverse = np.unique(table, axis=0, return_inverse=True)
    summed = np.zeros(len(rows), dtype=np.int64)
    np.add.at(summed, inverse.ravel(), np.ones(len(table), dtype=np.int64) if count is None else count)
    return {**{name: rows[:, i] for i, name in enumerate(names)}, "count": summed}


def chunks(path: str | os.PathLike[str], fleet: Fleet, rows: int = CHUNK) -> Iterator[dict[str, IntArray]]:
    """The columns of a file in whole numbers, some rows at a time.

    Parameters
    ----------
    path, fleet : as for `read_requests`.
    rows : of a chunk.
    """
    name = os.fspath(path)
    raw = _parquet(name, rows) if name.endswith((".parquet", ".pq")) else _csv(name, rows)
    places = {"class": {n: i for i, n in enumerate(fleet.classes)}, "cell": {n: i for i, n in enumerate(fleet.cells)}}
    start = 0
    for chunk in raw:
        yield _converted(chunk, fleet, places, name, start)
        start += len(chunk["class"])


def _check_head(head: list[str], name: str) -> None:
    for column in REQUIRED:
        if column not in head:
            raise InputError(
                name, f"no column {column}", f"columns {', '.join(REQUIRED)}; others: {', '.join(KNOWN[3:])}"
            )
    for column in head:
        if column not in KNOWN:
            raise InputError(name, f"a column {shown(column)}", ", ".join(KNOWN))
    if len(set(head)) != len(head):
        raise InputError(name, "a column twice", "each column once")


def _csv(name: str, rows: int) -> Iterator[Chunk]:
    try:
        with open(name, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            head = next(reader, None)
            if head is None:
                raise InputError(name, "an empty file", "a head, and a row for each request")
            head = [column.strip() for column in head]
            _check_head(head, name)
            start = 0
            while block := list(itertools.islice(reader, rows)):
                for i, row in enumerate(block):
                    if len(row) != len(head):
                        where = f"{name}: row {start + i + 1}"
                        raise InputError(
                            where, f"{len(row)} of {len(head)} entries", "a whole row: does the file end early?"
                        )
                yield {column: list(entries) for column, entries in zip(head, zip(*block, strict=True), strict=True)}
                start += len(block)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(name, " ".join(str(error).split()), "a CSV file in UTF-8") from None


def _parquet(name: str, rows: int) -> Iterator[Chunk]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise MethodError(
            "a Parquet file needs the package pyarrow: pip install 'qopt-edge[fleet]', or use CSV"
        ) from None
    try:
        with parquet.ParquetFile(name) as file:
            _check_head(list(file.schema_arrow.names), name)
            for batch in file.iter_batches(batch_size=rows):
                if batch.num_rows:
                    yield batch.to_pydict()
    except (OSError, ValueError) as error:
        raise InputError(name, " ".join(str(error).split())[:200], "a Parquet file") from None


def _converted(
    chunk: Chunk, fleet: Fleet, places: Mapping[str, Mapping[str, int]], name: str, start: int
) -> dict[str, IntArray]:
    def numbers(column: str, empty: float) -> FloatArray:
        return _numbers(chunk, column, name, start, empty)

    def refuse(column: str, wrong: AnyArray, allowed: str) -> None:
        if wrong.any():
            at = int(np.argmax(wrong))
            raise InputError(f"{name}: row {start + at + 1}, column {column}", shown(chunk[column][at]), allowed)

    found: dict[str, IntArray] = {}
    for column, field in (("class", "kind"), ("cell", "cell")):
        known = places[column]
        try:
            found[field] = np.array([known[str(entry).strip()] for entry in chunk[column]], dtype=np.int64)
        except KeyError:
            at = next(i for i, entry in enumerate(chunk[column]) if str(entry).strip() not in known)
            listed = ", ".join(list(known)[:8]) + (", …" if len(known) > 8 else "")
            raise InputError(
                f"{name}: row {start + at + 1}, column {column}", shown(chunk[column][at]), f"a {column}: {listed}"
            ) from None
    penalty = numbers("penalty", math.nan)
    refuse("penalty", ~((penalty >= 0) & (penalty <= 2.0**53)), "a number from 0 to 2^53")
    found["penalty"] = np.rint(penalty).astype(np.int64)
    for column, field in (("rate_up", "up"), ("rate_down", "down")):
        if column in chunk:
            rate = numbers(column, math.nan)
            refuse(column, ~((rate > 0) & (rate < math.inf)), "bits a second, a finite number > 0")
            airtime = np.ceil(fleet.units.data / rate / fleet.units.time * (1.0 - ROUNDING))
            refuse(column, ~(airtime <= 2.0**44), "a rate at which a data unit takes at most 2^44 units of time")
            found[field] = airtime.astype(np.int64)
        else:
            found[field] = np.zeros(len(penalty), dtype=np.int64)
    found["deadline"] = np.full(len(penalty), NEVER)
    if "deadline" in chunk:
        deadline = numbers("deadline", math.inf)
        refuse("deadline", ~(deadline >= 0), "seconds >= 0, or nothing")
        found["deadline"] = np.minimum(np.floor(deadline / fleet.units.time), float(NEVER)).astype(np.int64)
    found["count"] = np.ones(len(penalty), dtype=np.int64)
    if "count" in chunk:
        count = numbers("count", math.nan)
        refuse("count", ~((count >= 1) & (count == np.floor(count)) & (count <= 2e9)), "a whole number >= 1")
        found["count"] = count.astype(np.int64)
    return found


def _numbers(chunk: Chunk, column: str, name: str, start: int, empty: float) -> FloatArray:
    """A column as floats; an entry that is left out stands for `empty`."""
    entries = chunk[column]
    try:
        return np.array(entries, dtype=np.float64) if None not in entries else _slowly(entries, empty)
    except (ValueError, TypeError):
        try:
            return _slowly(entries, empty)
        except (ValueError, TypeError):
            at = next(i for i, entry in enumerate(entries) if not _is_number(entry))
            raise InputError(f"{name}: row {start + at + 1}, column {column}", shown(entries[at]), "a number") from None


def _slowly(entries: list[Any], empty: float) -> FloatArray:
    return np.array([empty if entry is None or entry == "" else float(entry) for entry in entries])


def _is_number(entry: object) -> bool:
    try:
        float(entry)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return entry is None or entry == ""
    return True

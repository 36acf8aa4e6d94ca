"""A table as CSV: a line for each group and format, with columns ``group``, ``format``, ``damage`` and a resource each.

    group,format,damage,bytes,latency
    conv1,int8,0.002,9408,0.31
    conv1,int4,0.031,4704,0.22

A pair without a line is not on the group's menu.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from qopt.allocation.problem import Allocation
from qopt.allocation.tables.fields import with_budgets
from qopt.core.errors import InputError, shown
from qopt.core.reading import MAX_BYTES

HEAD = ("group", "format", "damage")


def from_csv(path: Path, *, budgets: Mapping[str, float | None], name: str) -> Allocation:
    """The allocation of a CSV file.

    Raises
    ------
    InputError
        The file cannot be read, a column is missing, a cell is no number, or a pair stands there twice.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(str(path), f"more than {MAX_BYTES // 2**20} MiB", f"at most {MAX_BYTES // 2**20} MiB")
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except OSError as error:
        raise InputError(str(path), (error.strerror or "an unreadable file").lower(), "a readable CSV file") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(str(path), "bytes that are no CSV", "CSV text in UTF-8") from None
    head = [cell.strip() for cell in lines[0]] if lines else []
    missing = [column for column in HEAD if column not in head]
    if missing or len(set(head)) != len(head):
        raise InputError(
            f"{path.name}, line 1", shown(",".join(head)), "columns group, format, damage and a resource each"
        )
    resources = [column for column in head if column not in HEAD]
    groups: dict[str, int] = {}
    formats: dict[str, int] = {}
    cells: dict[tuple[int, int], list[float]] = {}
    for at, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        where = f"{path.name}, line {at}"
        if len(line) != len(head):
            raise InputError(where, f"{len(line)} cells", f"{len(head)}, one for each column")
        row = dict(zip(head, (cell.strip() for cell in line), strict=True))
        key = (groups.setdefault(row["group"], len(groups)), formats.setdefault(row["format"], len(formats)))
        if key in cells:
            raise InputError(where, f"{row['group']} in {row['format']} again", "each pair once")
        cells[key] = [_number(row[column], f"{where}, {column}") for column in ("damage", *resources)]
    if not cells:
        raise InputError(path.name, "no line below the head", "a line for each group and format")
    tables = np.full((1 + len(resources), len(groups), len(formats)), math.inf)
    for (g, f), values in cells.items():
        tables[:, g, f] = values
    table = {column: {"use": tables[1 + r]} for r, column in enumerate(resources)}
    return Allocation(
        name=name,
        source=path.name,
        groups=tuple(groups),
        formats=tuple(formats),
        damage=tables[0],
        resources=with_budgets(table, budgets),
    )


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(where, shown(text), "a finite number")
    return value

"""How objects show themselves: one short line each, whatever they hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, islice

import numpy as np

ENTRIES = 6
"""Entries of a list that are shown; of a longer one the first three."""

WIDTH = 60
"""Characters that one value may take."""

LENGTH = 500
"""Characters that an object may take: some lines of a screen."""

LISTED = 8
"""Rows of a table that are printed; of a longer one the first seven."""


def number(value: float | None, digits: int = 6) -> str:
    """A number for people; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"


def with_article(noun: str) -> str:
    """``a placement``, ``an allocation``."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def counted(how_many: int, noun: str) -> str:
    """``1 server`` or ``2 servers``."""
    return f"{how_many} {noun}{'' if how_many == 1 else 's'}"


def gap_text(gap: float | None) -> str:
    """A relative gap; below what floating-point sums can tell apart it is nothing."""
    if gap is None:
        return "–"
    return "0" if gap <= 1e-12 else f"{gap:.1e}"


def short(value: object) -> str:
    """A value on one short line: long lists by runs of equal entries or by the first ones, arrays by shape."""
    if isinstance(value, np.ndarray):
        if value.ndim == 1 and value.size <= ENTRIES:
            return short(value.tolist())
        return f"array {' x '.join(map(str, value.shape))}"
    shape: tuple[int, ...] = getattr(value, "shape", ())
    if hasattr(value, "dtype") and shape:
        return f"tensor {' x '.join(map(str, shape))}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list | tuple):
        if len(value) <= ENTRIES:
            return f"[{', '.join(map(short, value))}]"
        runs = [(len([*equal]), entry) for entry, equal in groupby(islice(map(short, value), LISTED * ENTRIES))]
        if len(value) <= LISTED * ENTRIES and len(runs) <= ENTRIES // 2:  # servers of many epochs: where it changes
            return f"[{', '.join(f'{entry} (×{count})' if count > 1 else entry for count, entry in runs)}]"
        return f"[{', '.join(map(short, value[:3]))}, … {len(value)} in all]"
    if isinstance(value, Mapping):
        if len(value) > ENTRIES:
            return f"{len(value)} entries"
        return "{" + ", ".join(f"{k}: {short(v)}" for k, v in value.items()) + "}"
    text = " ".join(repr(value).split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def one_line(name: str, fields: Iterable[tuple[str, object]]) -> str:
    """``Name(field=value, ...)``, fields that are None left out, cut where it would fill a screen."""
    text = f"{name}({', '.join(f'{field}={short(value)}' for field, value in fields if value is not None)})"
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 2]}…)"


def listed(head: str, rows: Sequence[str]) -> str:
    """A line and the rows below it, as many as a glance takes in."""
    shown = rows if len(rows) <= LISTED else [*rows[: LISTED - 1], f"… {len(rows) - LISTED + 1} more"]
    return "\n  ".join([head, *shown])


class Brief:
    """For dataclasses made with ``repr=False``: a short line in place of all they hold; private fields stay out."""

    def __repr__(self) -> str:
        names = [field.name for field in dataclasses.fields(self) if field.repr]  # type: ignore[arg-type]
        shown = [name for name in names if not name.startswith("_")]
        return one_line(type(self).__name__, ((name, getattr(self, name)) for name in shown))

"""A mixed-integer linear model as arrays, with names that every solver's reader takes.

Names are made of what the model says: ``width(2,5,4)`` is entry (2, 5, 4) of its variable ``width``. Readers of LP
files differ in what they take; letters, digits and ``_ . , ( ) ~``, not beginning with a digit or a full stop, and at
most 100 characters are taken by all (CBC's reader is the strictest). Anything else becomes ``_``; where two names
become one, or a name is cut, the later ones end in ``~2``, ``~3``: the same model has the same names every time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from scipy.sparse import csr_array

from qopt.core.arrays import BoolArray, FloatArray
from qopt.core.display import Brief

LONGEST = 100
"""Characters of a name, at most."""


@dataclass(frozen=True, repr=False)
class Linear(Brief):
    """minimise ``cost @ x`` subject to ``row_lower <= matrix @ x <= row_upper``, ``lower <= x <= upper``.

    Attributes
    ----------
    name : of the model.
    comments : lines for the head of a file.
    columns, rows : (n,) and (m,) names.
    cost : (n,) scaled; the problem's objective is ``offset + unit * cost @ x``.
    matrix : (m, n).
    row_lower, row_upper : (m,) one of the two is infinite, or both are equal.
    lower, upper : (n,) bounds, infinite where there is none.
    integer : (n,) which columns are whole.
    """

    name: str
    comments: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cost: FloatArray
    offset: float
    unit: float
    matrix: csr_array
    row_lower: FloatArray
    row_upper: FloatArray
    lower: FloatArray
    upper: FloatArray
    integer: BoolArray

    def binary(self, j: int) -> bool:
        """Whether a column is 0 or 1."""
        return bool(self.integer[j] and self.lower[j] == 0.0 and self.upper[j] == 1.0)

    def row(self, i: int) -> list[tuple[float, str]]:
        """Coefficients and names of a row, in the order of the columns."""
        start, end = int(self.matrix.indptr[i]), int(self.matrix.indptr[i + 1])
        entries = zip(self.matrix.indices[start:end].tolist(), self.matrix.data[start:end].tolist(), strict=True)
        return [(value, self.columns[j]) for j, value in sorted(entries)]

    def side(self, i: int) -> tuple[str, float]:
        """Sense and right-hand side of a row: ``=``, ``<=`` or ``>=``."""
        low, high = float(self.row_lower[i]), float(self.row_upper[i])
        if low == high:
            return "=", low
        return ("<=", high) if low == float("-inf") else (">=", low)


def plain_name(text: str) -> str:
    """A name with nothing in it that a solver's reader stumbles over; it may be too long."""
    name = re.sub(r"[^A-Za-z0-9_.,()]", "_", text)
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Plain names, no two alike and none longer than `LONGEST`."""
    found: dict[str, None] = {}
    counts: dict[str, int] = {}
    for text in names:
        name = plain_name(text)
        if len(name) > LONGEST or name in found:
            stem = name[: LONGEST - 10]
            while (name := stem + (f"~{counts[stem]}" if stem in counts else "")) in found:
                counts[stem] = counts.get(stem, 1) + 1
            counts.setdefault(stem, 1)
        found[name] = None
    return tuple(found)


def number(value: float) -> str:
    """A number that reads back as the same float; whole ones without a point."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)

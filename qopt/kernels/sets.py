"""Published sets of knapsacks in their own formats, as instances of `qopt.kernels.mckp`.

A 0-1 knapsack maximises profit within limits; here an item is a class of two columns, left or taken, and costs are
profits with a minus sign.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown


@dataclass(frozen=True, eq=False, repr=False)
class Knapsack(Brief):
    """A 0-1 knapsack of R rows: maximise the profit of the items taken, of which no row holds more than its limit.

    Attributes
    ----------
    name : what the file calls it, or its number there.
    profit : (n,) of each item.
    weight : (R, n).
    limit : (R,).
    known : the best profit that the file states; None where it states none.
    """

    name: str
    profit: FloatArray
    weight: FloatArray
    limit: FloatArray
    known: float | None

    def as_classes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Costs (n, 2), weights (R, n, 2) and limits (R,) for `qopt.kernels.mckp.solve`; column 1 takes the item."""
        cost = np.column_stack((np.zeros_like(self.profit), -self.profit))
        weight = np.stack([np.column_stack((np.zeros_like(row), row)) for row in self.weight])
        return cost, weight, self.limit

    def profit_of(self, choice: IntArray | None) -> float | None:
        """Profit of a choice of columns; None for none.

        Parameters
        ----------
        choice : (n,) 0 for an item left, 1 for one taken.
        """
        return None if choice is None else math.fsum(self.profit[np.asarray(choice) == 1].tolist())


def read_mknap(path: str | Path) -> list[Knapsack]:
    """Read a file of the OR-Library's multidimensional knapsacks, ``mknap1`` or ``mknapcb1`` to ``mknapcb9``.

    The text holds the number of problems; for each its numbers of items n and rows m and the best profit known, 0 for
    none; n profits; m rows of n weights; m limits (Chu and Beasley, J. Heuristics 4, 1998).

    Parameters
    ----------
    path : of the file.

    Returns
    -------
    The problems, in the file's order, called after the file and their number from 1.

    Raises
    ------
    InputError
        The file cannot be read, or holds something else.
    """
    allowed = "an OR-Library file of multidimensional knapsacks"
    try:
        words = Path(path).read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise InputError(str(path), shown(error), allowed) from None
    try:
        numbers = _Numbers(words)
        found = []
        for k in range(numbers.whole(1)):
            n, m = numbers.whole(1), numbers.whole(1)
            known = numbers.take(1)[0]
            profit = numbers.take(n)
            weight, limit = numbers.take(n * m).reshape(m, n), numbers.take(m)
            name = f"{Path(path).stem}-{k + 1}"
            found.append(Knapsack(name, profit, weight, limit, None if known == 0 else float(known)))
        numbers.end()
    except ValueError as error:
        raise InputError(str(path), f"{len(words)} words: {error}", allowed) from None
    return found


class _Numbers:
    """Words of a file, taken one after the other as finite numbers."""

    def __init__(self, words: list[str]) -> None:
        self.words, self.at = words, 0

    def take(self, count: int) -> FloatArray:
        if count > len(self.words) - self.at:
            raise ValueError(f"the file ends where {count} numbers are due, after word {len(self.words)}")
        part = self.words[self.at : self.at + count]
        self.at += count
        found = np.array([float(word) for word in part], dtype=np.float64)
        if not np.isfinite(found).all():
            raise ValueError(f"{part[int(np.argmin(np.isfinite(found)))]} is no finite number")
        return found

    def whole(self, least: int) -> int:
        value = float(self.take(1)[0])
        if value != int(value) or value < least:
            raise ValueError(f"{value:g} is no whole number >= {least}")
        return int(value)

    def end(self) -> None:
        if self.at < len(self.words):
            raise ValueError(f"{len(self.words) - self.at} more than the problems take")


def read_pisinger(path: str | Path) -> list[Knapsack]:
    """Read a file of Pisinger's knapsacks (``knapPI_1_50_1000.csv`` and the like).

    Each problem is its name; lines ``n``, ``c`` (capacity), ``z`` (best profit) and ``time``; an item a line, its
    number from 1, profit, weight, and whether the best answer takes it, separated by commas; and a line of dashes
    (D. Pisinger, Where are the hard knapsack problems?, Computers & Operations Research 32, 2005).

    Parameters
    ----------
    path : of the file.

    Returns
    -------
    The problems, in the file's order.

    Raises
    ------
    InputError
        The file cannot be read, or holds something else, such as an answer whose profit is not ``z``.
    """
    allowed = "a file of Pisinger's knapsacks"
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(str(path), shown(error), allowed) from None
    rows = [(k, line.strip()) for k, line in enumerate(lines, start=1) if line.strip() and set(line.strip()) != {"-"}]
    found, at = [], iter(rows)
    number = 0
    try:
        for number, name in at:
            head = {}
            for wanted in ("n", "c", "z", "time"):
                number, line = next(at)
                word, _, value = line.partition(" ")
                if word != wanted:
                    raise ValueError(f"{line!r} where '{wanted} ...' is due")
                head[wanted] = float(value)
            if head["n"] < 1 or head["n"] != int(head["n"]):
                raise ValueError(f"{head['n']:g} items")
            items = np.array([_item(*next(at), k) for k in range(1, int(head["n"]) + 1)])
            taken = float(items[items[:, 2] == 1, 0].sum())
            if taken != head["z"]:
                raise ValueError(f"an answer worth {taken:g} where z is {head['z']:g}")
            limit = np.array([head["c"]])
            found.append(Knapsack(name, items[:, 0], items[None, :, 1], limit, head["z"]))
    except (StopIteration, RuntimeError):
        raise InputError(str(path), f"its end in the middle of a problem, after line {number}", allowed) from None
    except ValueError as error:
        raise InputError(str(path), f"line {number}: {error}", allowed) from None
    if not found:
        raise InputError(str(path), "no problem", allowed)
    return found


def _item(number: int, line: str, k: int) -> tuple[float, float, float]:
    """Profit, weight and whether it is taken, of item k."""
    (words,) = csv.reader([line])
    values = [float(word) for word in words]
    if len(values) != 4 or values[0] != k or not all(map(math.isfinite, values)) or values[3] not in (0, 1):
        raise ValueError(f"{line!r} where item {k}, its profit, weight and 0 or 1 are due (line {number})")
    return values[1], values[2], values[3]

"""The rules of VIPR, version 1.0, by themselves: whether a file proves what it says, in rationals."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

Vector = dict[int, Fraction]


class Row(NamedTuple):
    """A constraint, and the assumptions that it rests on."""

    sense: str
    right: Fraction
    terms: Vector
    rests: frozenset[int]


class Wrong(Exception):
    """Why a file proves nothing."""


class Words:
    """The words of a file, one after the other."""

    def __init__(self, text: str) -> None:
        self.words, self.at = text.split(), 0

    def next(self) -> str:
        if self.at >= len(self.words):
            raise Wrong("the file ends too early")
        self.at += 1
        return self.words[self.at - 1]

    def whole(self) -> int:
        return int(self.next())

    def expect(self, *words: str) -> None:
        for word in words:
            if self.next() != word:
                raise Wrong(f"not {word}")

    def vector(self, objective: Vector, count: int) -> Vector:
        first = self.next()
        if first == "OBJ":
            return dict(objective)
        found: Vector = {}
        for _ in range(int(first)):
            x = self.whole()
            if not 0 <= x < count or x in found:
                raise Wrong("a variable that is not there, or twice")
            found[x] = Fraction(self.next())
        return {x: a for x, a in found.items() if a}


def is_false(row: Row) -> bool:
    """Whether nothing satisfies it."""
    if any(row.terms.values()):
        return False
    return (row.sense in "GE" and row.right > 0) or (row.sense in "LE" and row.right < 0)


def dominates(row: Row, sense: str, right: Fraction, terms: Vector) -> bool:
    """Whether a row implies a constraint without a computation."""
    if is_false(row):
        return True
    if row.terms != terms:
        return False
    if sense == "E":
        return row.sense == "E" and row.right == right
    if row.sense not in (sense, "E"):
        return False
    return row.right >= right if sense == "G" else row.right <= right


def combined(rows: list[Row], used: list[tuple[int, Fraction]]) -> Row:
    """A linear combination."""
    terms: Vector = {}
    right, sense, rests = Fraction(0), "E", frozenset[int]()
    for at, factor in used:
        if not 0 <= at < len(rows):
            raise Wrong("a row that is not there yet")
        row = rows[at]
        if row.sense != "E" and factor:
            own = row.sense if factor > 0 else {"G": "L", "L": "G"}[row.sense]
            if sense not in ("E", own):
                raise Wrong("a combination of rows of both senses")
            sense = own
        right += factor * row.right
        rests |= row.rests
        for x, a in row.terms.items():
            terms[x] = terms.get(x, Fraction(0)) + factor * a
    return Row(sense, right, {x: a for x, a in terms.items() if a}, rests)


def pairs(words: Words) -> list[tuple[int, Fraction]]:
    return [(words.whole(), Fraction(words.next())) for _ in range(words.whole())]


def derivation(words: Words, rows: list[Row], whole: set[int], objective: Vector, count: int) -> Row:
    """The next derivation, if its reason holds."""
    words.next()
    sense, right = words.next(), Fraction(words.next())
    terms = words.vector(objective, count)
    words.expect("{")
    reason = words.next()
    if reason == "asm":
        rests = frozenset([len(rows)])
    elif reason in ("lin", "rnd"):
        found = combined(rows, pairs(words))
        if reason == "rnd":
            if found.sense == "E" or any(x not in whole or a.denominator > 1 for x, a in found.terms.items()):
                raise Wrong("rounded what is not whole")
            up = math.ceil(found.right) if found.sense == "G" else math.floor(found.right)
            found = found._replace(right=Fraction(up))
        if not dominates(found, sense, right, terms):
            raise Wrong("not what its combination says")
        rests = found.rests
    elif reason == "uns":
        one, some, two, none = (words.whole() for _ in range(4))
        if not all(0 <= at < len(rows) for at in (one, some, two, none)):
            raise Wrong("a row that is not there yet")
        first, second = sorted((rows[some], rows[none]), key=lambda row: row.sense)
        if (first.sense, second.sense) != ("G", "L") or first.terms != second.terms:
            raise Wrong("assumptions that are no two sides")
        if any(x not in whole or a.denominator > 1 for x, a in first.terms.items()):
            raise Wrong("assumptions that are not whole")
        if first.right.denominator > 1 or first.right != second.right + 1:
            raise Wrong("assumptions that leave something between them")
        if not all(dominates(rows[at], sense, right, terms) for at in (one, two)):
            raise Wrong("not what both sides say")
        rests = (rows[one].rests - {some}) | (rows[two].rests - {none})
    else:
        raise Wrong("a reason that is not known")
    words.expect("}")
    words.next()
    return Row(sense, right, terms, rests)


def verify(text: str) -> tuple[Fraction | None, Fraction | None]:
    """Lower and upper bound that a file proves; None for one that says that nothing is feasible.

    Raises
    ------
    Wrong
        It proves nothing.
    """
    words = Words("\n".join(line for line in text.splitlines() if not line.startswith("%")))
    words.expect("VER", "1.0", "VAR")
    count = words.whole()
    for _ in range(count):
        words.next()
    words.expect("INT")
    whole = {words.whole() for _ in range(words.whole())}
    words.expect("OBJ", "min")
    objective = words.vector({}, count)
    words.expect("CON")
    rows: list[Row] = []
    number, _ = words.whole(), words.whole()
    for _ in range(number):
        words.next()
        sense, right = words.next(), Fraction(words.next())
        rows.append(Row(sense, right, words.vector(objective, count), frozenset()))
    given = list(rows)
    words.expect("RTP")
    kind = words.next()
    lower, upper = (Fraction(words.next()), Fraction(words.next())) if kind == "range" else (None, None)
    words.expect("SOL")
    for _ in range(words.whole()):
        words.next()
        solution = words.vector(objective, count)
        value = sum((a * solution.get(x, Fraction(0)) for x, a in objective.items()), Fraction(0))
        if upper is None or value > upper:
            raise Wrong("a solution above the range")
        if any(solution.get(x, Fraction(0)).denominator > 1 for x in whole):
            raise Wrong("a solution that is not whole")
        for row in given:
            left = sum((a * solution.get(x, Fraction(0)) for x, a in row.terms.items()), Fraction(0))
            slack = left - row.right
            if (row.sense in "GE" and slack < 0) or (row.sense in "LE" and slack > 0):
                raise Wrong("a solution that breaks a row")
    words.expect("DER")
    for _ in range(words.whole()):
        rows.append(derivation(words, rows, whole, objective, count))
    proved = [row for row in rows[-1:] if not row.rests]
    if lower is None:
        if not any(is_false(row) for row in proved):
            raise Wrong("nothing false is derived")
    elif not any(dominates(row, "G", lower, objective) for row in proved):
        raise Wrong("the lower bound is not derived")
    return lower, upper

"""Is a kernel's answer right? Exact integers and the standard library: copy this file anywhere and run it.

    python checker.py INSTANCE.json WITNESS.json [--gap G]      prints  yes: ...  (exit 0)  or  no: why  (exit 1)
    python checker.py PROOF.json [--gap G]                      the same for instances and witnesses in one file

The claim: the answer keeps every limit and nothing is cheaper by more than a share G of its cost, by default 1e-9; or
nothing keeps them. Whoever asks states G: a witness may claim a smaller one, and is held to that, and no larger one.

Lagrange. For any lam_r >= 0, an answer x that keeps the limits, weight_r(x) <= limit_r, costs at least
    min over x of (a cost(x) + sum_r lam_r weight_r(x))  -  sum_r lam_r limit_r           with a = 1,
since what is added is <= 0. Without limits the minimum is easy. Where it is > 0 for a = 0, no x keeps the limits.

One such bound is rarely enough, so the answers are divided until each part has its own. A witness is a *tree*, a list
of nodes in preorder: a split is followed by its first subtree, then its second; the bound of each leaf must reach.

mckp   One column for each class. ``["split", i, columns]``: class i takes one of these; or one of the others left.
rcsp   A path of arcs. ``["out", v, arcs]``: of the arcs that leave v it takes none but these; or none of these. (A path
       without a cycle takes one at most.) ``["cross", p, arcs]``: the same for arcs with tail <= p < head, of which a
       path takes one at most where every arc has tail < head.
both   ``["leaf", a, lam_1, ..., lam_R]``.
rcsp   ``["labels", multipliers]``, a leaf of another kind where there are no cycles, multipliers [[lam_1, ..., lam_R],
       ...]: partial paths are made vertex by vertex. One leaves where another at its vertex is no worse in cost and
       every weight, where the least that the rest weighs breaks a limit, and where its bound at one of the multipliers
       (0 is always among them) reaches. None may be left at the target.
mckp   ``["sums", classes, multipliers]``, a leaf of another kind for one limit: sums of its columns are made class by
       class, those named last and in this order. A sum that another beats in cost and weight leaves, and one
       whose bound at one of the multipliers (0 is always among them) reaches. None may be left. A fourth entry names
       grids [mu, lam, step], as below, whose bounds do the same.
       ``["sums", classes, multipliers]`` for several limits: all other classes come first, and there are multipliers
       [[lam_1, ..., lam_R], ...] for the sums after each class that is named. A sum leaves where the least that the
       rest weighs breaks a limit, and where its bound reaches. None may be left.
       ``["rounded", mu, lam]``, likewise: cost + mu weight has a least sum at lam, rounded up to the grid of such sums;
       an answer costs at least that less mu limit.
       ``["rounded", mu, lam, step]``: every sum of cost + mu weight is base + k step + e with k whole and
       low <= e <= high; base, low and high from the data. An answer's is the least sum at lam or more, so k is at
       least the next whole number, and it costs base + k step + low less mu limit or more.
cut    A label for each node. Its bound is tight without a tree: a flow proves it, see `Cut`.

A witness whose answer is null and that has a number ``below`` claims that nothing costs less than that. A *proof* is
one file, ``{"format": "qopt/kernel-proof", "version": 1, "parts": [{"instance": ..., "witness": ...}, ...]}``: an
answer is one to any of the instances, the cheapest of those given is meant, and no part may have a cheaper one.

A float is an integer over a power of two, so everything is scaled to integers and nothing is rounded, except as part
of the claim: limit W stands for the float W (1 + 1e-12), or W (1 - 1e-12) if W < 0; and where costs (or weights) can
only sum up to base + k step with k whole, a bound is rounded up (a limit down) to such a sum.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import sys
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from itertools import accumulate, compress, groupby, pairwise
from operator import add, getitem, is_not, itemgetter, le, mul
from typing import Generic, NamedTuple, NoReturn, TypeVar

__all__ = ["Cut", "Knapsack", "Path", "Refused", "Verdict", "check", "check_proof", "main", "tree_bound"]

LARGEST = 1e300
MOST_SUMS, MOST_AT_ONCE = 50_000_000, 10_000_000
"""Sums that the leaves of a tree may ask for, in all and at one class."""
GAP = 1e-9
REMEMBERED = 64
"""Sets of multipliers whose prices are kept: leaves share them."""


class Verdict(NamedTuple):
    """The answer's cost and what everything costs at least (None: nothing is feasible); what is proved, or why not.

    Attributes
    ----------
    accepted : whether the witness proves what it claims.
    objective : cost of the answer; None if there is none.
    bound : what everything costs at least; None: nothing is feasible.
    reason : one line.
    """

    accepted: bool
    objective: Fraction | None
    bound: Fraction | None
    reason: str


NOTHING = Verdict(True, None, None, "nothing is feasible")


class Refused(Exception):
    """What is wrong with an instance or a witness, in a line."""


def _refuse(why: str) -> NoReturn:
    raise Refused(why)


def _index(x: object, below: int, what: str) -> int:
    return x if type(x) is int and 0 <= x < below else _refuse(f"{what} is not a whole number from 0 to {below - 1}")


def _number(x: object, what: str) -> int | float:
    if not (type(x) is int or type(x) is float) or not abs(x) <= LARGEST:
        _refuse(f"{what} is not a number up to {LARGEST:g}")
    return x


def _list(x: object, what: str, length: int | None = None) -> Sequence[object]:
    if not isinstance(x, list | tuple) or length not in (None, len(x)):
        _refuse(f"{what} is not a list" + ("" if length is None else f" of {length}"))
    return x


def _scaled(numbers: Sequence[int | float]) -> tuple[list[int], int]:
    """Numbers as integers over 2^shift."""
    ratios = [x.as_integer_ratio() for x in numbers]
    shift = max((below.bit_length() for _, below in ratios), default=1) - 1
    return [(top << shift) // below for top, below in ratios], shift


class Row(NamedTuple):
    """Integers over 2^shift, one for each column or arc; an answer's sum is base + k step for some whole k."""

    values: list[int]
    shift: int
    base: int
    step: int

    def down(self, limit: object, what: str) -> int | None:
        """The largest sum within a limit; None: no limit."""
        if limit is None:
            return None
        size = float(_number(limit, what))
        top, below = (size * (1 + 1e-12 if size >= 0 else 1 - 1e-12)).as_integer_ratio()
        return self.base + ((top << self.shift) // below - self.base) // self.step * self.step

    def up(self, bound: int, shift: int) -> int:
        """The least sum that is not below bound / 2^shift, for a shift at least that of the row."""
        return self.base - (self.base + (-bound >> (shift - self.shift))) // self.step * self.step


# --- trees --------------------------------------------------------------------------------------------------------

LEAVES = ("leaf", "sums", "rounded", "labels")
FLAGS = bytes.maketrans(b"01", b"\0\1")
Mark = TypeVar("Mark")
"""How a split is undone."""
Result = TypeVar("Result")


class Minima(dict[int, int]):
    """The least length of a class by the mask of its allowed columns, each found once."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths = lengths

    def __missing__(self, mask: int) -> int:
        allowed = bin(mask)[:1:-1].encode().translate(FLAGS)  # the lowest bit first
        self[mask] = least = min(compress(self.lengths, allowed))
        return least


class Prices:
    """a cost + sum lam weight of each column or arc, and sum lam limit, over 2^shift.

    For a knapsack also each class's minima, and of the masks seen last their minima and the sum of these.
    """

    def __init__(self, lengths: list[int], constant: int, shift: int) -> None:
        self.lengths, self.constant, self.shift = lengths, constant, shift
        self.minima: list[Minima] = []
        self.seen: list[int] = []
        self.least: list[int] = []
        self.total = 0


class Limited(ABC, Generic[Mark]):
    """What knapsacks and paths share: a cost, rows with limits, the walk through a tree, the bound of a leaf.

    What a part of a tree still allows is kept in one place. A split narrows it and leaves a mark, by which it is
    turned to its other side and taken back in the end: a tree takes memory for its nodes, however deep it is.
    """

    def __init__(self, cost: Row, weights: Sequence[Row], limits: Sequence[object]) -> None:
        self.cost = cost
        self.rows = [(row, row.down(x, f"limit[{r}]")) for r, (row, x) in enumerate(zip(weights, limits, strict=True))]
        self.known: dict[tuple[int | float, ...], Prices] = {}

    @abstractmethod
    def reset(self) -> None:
        """Allow everything."""

    @abstractmethod
    def split(self, node: Sequence[object]) -> Mark:
        """Allow the first side of a split only; returns its mark."""

    @abstractmethod
    def turn(self, mark: Mark) -> Mark:
        """Go from a split's first side to its second; returns the mark from now on."""

    @abstractmethod
    def restore(self, mark: Mark) -> None:
        """Allow what was allowed before a split, whose second side is done."""

    @abstractmethod
    def least(self, prices: Prices) -> int | None:
        """The least sum of lengths over what is allowed; None: nothing is."""

    def walk(self, tree: object, needed: int | None, closed: Callable[[int | None], object]) -> None:
        """Follow a tree in preorder; `closed` gets the least cost that each leaf shows (None: it holds no answer)."""
        around: list[tuple[Mark, bool]] = []  # marks of the splits, and whether this is their second side
        done = False
        self.reset()
        for at, node in enumerate(_list(tree, "the tree")):
            if done:
                _refuse("the tree goes on after its end")
            try:
                entries = _list(node, "it")
                if not entries or entries[0] not in LEAVES:
                    around.append((self.split(entries), False))
                    continue
                closed(self.leaf(entries, needed))
            except Refused as why:
                _refuse(f"node {at} of the tree: {why}")
            while around and around[-1][1]:
                self.restore(around.pop()[0])
            if around:
                around.append((self.turn(around.pop()[0]), True))
            else:
                done = True
        if not done:
            _refuse("the tree ends too early")

    def leaf(self, node: Sequence[object], needed: int | None) -> int | None:
        """What a leaf shows everything that is allowed to cost at least; None: that no answer is allowed."""
        if node[0] != "leaf":
            return self.other(node, needed)
        prices = self.prices(node)
        found = self.least(prices)
        if found is None:
            return None
        if node[1] == 1:
            return self.cost.up(found - prices.constant, prices.shift)
        return None if found > prices.constant else _refuse("a ray that proves nothing")

    @abstractmethod
    def other(self, node: Sequence[object], needed: int | None) -> int | None:
        """What a leaf of another kind shows everything in it to cost, if it is as much as is needed."""

    def value(self, chosen: Sequence[int]) -> int:
        """Cost of the columns or arcs of an answer, which must keep the limits."""
        for r, (row, limit) in enumerate(self.rows):
            if limit is not None and sum(row.values[x] for x in chosen) > limit:
                _refuse(f"the answer breaks limit {r}")
        return sum(self.cost.values[x] for x in chosen)

    def prices(self, leaf: Sequence[object]) -> Prices:
        """The multipliers of a leaf, checked and applied."""
        scale = leaf[1] if len(leaf) == 2 + len(self.rows) else None
        if type(scale) is not int or scale not in (0, 1):
            _refuse(f"not 'leaf', then 0 or 1, then {len(self.rows)} multipliers")
        given = [_number(x, "a multiplier") for x in leaf[2:]]
        if any(x < 0 for x in given):
            _refuse("a multiplier is negative")
        key = (scale, *given)
        if key not in self.known:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            multipliers, below = _scaled(given)
            shift = max(self.cost.shift, *(row.shift + below for row, _ in self.rows), 0)
            lengths, constant = [scale * x << (shift - self.cost.shift) for x in self.cost.values], 0
            for multiplier, (row, limit) in zip(multipliers, self.rows, strict=True):
                if multiplier and limit is None:
                    _refuse("a row without a limit has a multiplier")
                if multiplier and limit is not None:
                    factor = multiplier << (shift - row.shift - below)
                    lengths = [x + factor * weight for x, weight in zip(lengths, row.values, strict=True)]
                    constant += factor * limit
            self.known[key] = Prices(lengths, constant, shift)
        return self.known[key]

    def prove(self, objective: int | None, tree: object, gap: Fraction, upper: Fraction | None = None) -> Verdict:
        """Whether every leaf of a tree shows what is claimed: of the answer, or of an upper value in its place."""
        scale = 1 << self.cost.shift
        target = objective if upper is None else upper * scale
        needed = None if target is None else _needed(target, gap)
        bounds = []

        def closed(bound: int | None) -> None:
            if bound is not None:
                bounds.append(_reaches(bound, needed))

        self.walk(tree, needed, closed)
        if target is None or (objective is None and not bounds):
            return NOTHING
        if upper is not None:
            return _below(upper, Fraction(min(bounds), scale) if bounds else upper, gap)
        assert objective is not None
        return _proved(objective, min(bounds), self.cost.shift, gap)


def tree_bound(problem: Knapsack | Path, tree: object, target: Fraction | int | None = None) -> Fraction | None:
    """What a tree shows every answer to cost at least, exactly; None where it shows that nothing keeps the limits.

    It is the least of its leaves, whatever that is worth: nothing is compared with an answer.

    Parameters
    ----------
    problem : a `Knapsack` or a `Path`, from the fields of an instance.
    tree : the nodes, untrusted.
    target : leaves that are sums or rounded show a cost of so much, or nothing. None: they are refused.

    Raises
    ------
    Refused
        The tree proves nothing: it is malformed, or a leaf holds what it says it does not. Nothing else is raised.
    """
    bounds: list[int | None] = []
    try:
        problem.walk(tree, None if target is None else math.ceil(target * (1 << problem.cost.shift)), bounds.append)
    except Refused:
        raise
    except Exception as error:  # the promise is one line, whatever the tree contains
        raise Refused(f"malformed ({type(error).__name__})") from None
    least = min((bound for bound in bounds if bound is not None), default=None)
    return None if least is None else Fraction(least, 1 << problem.cost.shift)


def _gap(allowed: int | float, witness: Mapping[str, object]) -> Fraction:
    """How much cheaper, as a share of its cost, something may be than the answer: what the witness says, if it does.

    A claim below 1e-9 counts as 1e-9, or as what is allowed, whichever is less.
    """
    if witness.get("gap") is None:
        return Fraction(allowed)
    claimed = _number(witness["gap"], "its gap")
    if not 0 <= claimed <= allowed:
        _refuse(f"its gap of {float(claimed)!r} is not between 0 and the {float(allowed)!r} that is allowed")
    return max(Fraction(claimed), min(Fraction(allowed), Fraction(GAP)))


def _upper(witness: Mapping[str, object], answered: bool) -> Fraction | None:
    """What a witness without an answer says that nothing is below; None where it says no such thing."""
    if witness.get("below") is None:
        return None
    if answered:
        _refuse("an answer beside the claim that nothing is below a number")
    return Fraction(_number(witness["below"], "what nothing is below"))


def _needed(objective: int | Fraction, gap: Fraction) -> int:
    """What everything must cost at least."""
    target = Fraction(objective)
    return math.ceil(target - gap * abs(target))


def _reaches(bound: int, needed: int | None) -> int:
    if needed is None:
        _refuse("it does not show that nothing is feasible")
    return bound if bound >= needed else _refuse("its bound does not reach the cost of the answer")


def _below(upper: Fraction, bound: Fraction, gap: Fraction) -> Verdict:
    """Of an instance without an answer: nothing costs less than an upper value, up to a share of it."""
    more = "" if bound >= upper else f" by more than {float(gap):.3g} of it"
    return Verdict(True, None, min(bound, upper), f"nothing is below {float(upper)!r}{more}")


def _proved(objective: int, bound: int, shift: int, gap: Fraction) -> Verdict:
    reason = "nothing is cheaper" + ("" if bound >= objective else f" by more than {float(gap):.3g} of it")
    return Verdict(True, Fraction(objective, 1 << shift), Fraction(min(bound, objective), 1 << shift), reason)


# --- multiple-choice knapsack -------------------------------------------------------------------------------------


class NearGrid(NamedTuple):
    """Integers over 2^shift: mu, lam, step; and sums, of which an answer's is base + k step and from low to high."""

    sums: list[int]
    shift: int
    mu: int
    lam: int
    step: int
    base: int
    low: int
    high: int


class Knapsack(Limited[tuple[int, int]]):
    """What is allowed is a mask of columns for each group: a class, or tied classes at the place of their first.

    Parameters
    ----------
    data : `cost` [class][column], `weight` [row][class][column], `limit` [row], and `ties`, as in an instance file.
    """

    def __init__(self, data: Mapping[str, object]) -> None:
        self.widths = [len(_list(row, f"cost[{i}]")) for i, row in enumerate(_list(data["cost"], "cost"))]
        groups, tied = {i: [i] for i in range(len(self.widths))}, set[int]()
        for tie in _list(data.get("ties") or [], "ties"):
            group = sorted(_index(i, len(self.widths), "a tied class") for i in _list(tie, "a tie"))
            if len({*group} - tied) != len(group) or len({self.widths[i] for i in group}) != 1:
                _refuse("a tie of nothing, of classes of several widths, or of one tied already")
            tied.update(group)
            groups[group[0]] = group
            for i in group[1:]:
                del groups[i]
        self.groups = list(groups.values())
        self.starts = list(accumulate((self.widths[group[0]] for group in self.groups), initial=0))
        self.everything = [(1 << self.widths[group[0]]) - 1 for group in self.groups]
        self.allowed, self.made = list(self.everything), 0
        if 0 in self.widths:
            _refuse("a class without columns")
        limits = _list(data["limit"], "limit")
        weights = [self.row(x, f"weight[{r}]") for r, x in enumerate(_list(data["weight"], "weight", len(limits)))]
        super().__init__(self.row(data["cost"], "cost"), weights, limits)

    def row(self, table: object, what: str) -> Row:
        """A number for each class and column of a `table`, summed over each group; `what` names it in refusals."""
        rows = [
            _list(row, f"{what}[{i}]", self.widths[i]) for i, row in enumerate(_list(table, what, len(self.widths)))
        ]
        values, shift = _scaled([_number(x, what) for row in rows for x in row])
        ends = list(accumulate(self.widths, initial=0))
        classes = [values[a:b] for a, b in pairwise(ends)]
        merged = [[sum(column) for column in zip(*(classes[i] for i in group), strict=True)] for group in self.groups]
        step = math.gcd(*(x - group[0] for group in merged for x in group)) or 1
        return Row([x for group in merged for x in group], shift, sum(group[0] for group in merged), step)

    def answer(self, choice: object) -> list[int]:
        """The column that each group takes, from the `choice` of a witness."""
        given = zip(_list(choice, "the choice", len(self.widths)), self.widths, strict=True)
        taken = [_index(c, width, "a choice") for c, width in given]
        if any(taken[i] != taken[group[0]] for group in self.groups for i in group):
            _refuse("tied classes take different columns")
        return [start + taken[group[0]] for start, group in zip(self.starts, self.groups, strict=False)]

    def reset(self) -> None:
        self.allowed, self.made = list(self.everything), 0

    def split(self, node: Sequence[object]) -> tuple[int, int]:
        if len(node) != 3 or node[0] != "split":
            _refuse("neither a leaf nor ['split', class, columns]")
        i, named = _index(node[1], len(self.allowed), "its class"), 0
        before = self.allowed[i]
        for c in _list(node[2], "its third entry"):
            column = 1 << _index(c, before.bit_length(), "a column")
            if named & column or not before & column:
                _refuse("it names a column twice, or one no longer allowed")
            named |= column
        if named in (0, before):
            _refuse("one of its sides is empty")
        self.allowed[i] = named
        return i, before

    def turn(self, mark: tuple[int, int]) -> tuple[int, int]:
        i, before = mark
        self.allowed[i] ^= before
        return mark

    def restore(self, mark: tuple[int, int]) -> None:
        i, before = mark
        self.allowed[i] = before

    def least(self, prices: Prices) -> int:
        if not prices.minima:
            minima = [Minima(prices.lengths[a:b]) for a, b in pairwise(self.starts)]
            prices.seen, prices.least = list(self.allowed), list(map(getitem, minima, self.allowed))
            prices.total, prices.minima = sum(prices.least), minima
        for i in compress(range(len(self.allowed)), map(is_not, self.allowed, prices.seen)):
            found = prices.minima[i][self.allowed[i]]  # all that may fail comes before what changes
            prices.total += found - prices.least[i]
            prices.seen[i], prices.least[i] = self.allowed[i], found
        return prices.total

    def other(self, node: Sequence[object], needed: int | None) -> int:
        if node[0] == "labels":
            _refuse("labels, which is for paths")
        if needed is None:
            _refuse("it does not show that nothing is feasible")
        if node[0] == "sums" and len(self.rows) > 1:
            return self.several(node, needed)
        limit = self.rows[0][1] if len(node) in (3, 4) and len(self.rows) == 1 else None
        if limit is None:
            _refuse(f"not '{node[0]}' and two or three entries, for one limit")
        if node[0] == "sums":
            return self.sums(node, needed, limit)
        return self.near(node[1:], needed, limit) if len(node) == 4 else self.rounded(node, needed, limit)

    def rounded(self, node: Sequence[object], needed: int, limit: int) -> int:
        """The cost that a `node` ``["rounded", mu, lam]`` shows under a `limit`, if it is the `needed` one.

        Sums of cost + mu weight are multiples of a step.
        """
        multipliers, below = _scaled([_number(x, "a multiplier") for x in node[1:]])
        if min(multipliers) < 0:
            _refuse("a multiplier is negative")
        weight, cost = self.rows[0][0], self.cost
        shift = max(cost.shift, weight.shift + below)
        mu, lam = (x << (shift - weight.shift - below) for x in multipliers)
        together = [(c << (shift - cost.shift)) + mu * w for c, w in zip(cost.values, weight.values, strict=True)]
        spans = list(pairwise(self.starts))
        base = sum(together[a] for a, _ in spans)
        step = math.gcd(*(x - together[a] for a, b in spans for x in together[a:b])) or 1
        prices = [x + lam * w for x, w in zip(together, weight.values, strict=True)]
        least = sum(
            min(x for c, x in enumerate(prices[a:b]) if mask >> c & 1)
            for (a, b), mask in zip(spans, self.allowed, strict=True)
        )
        total = Row(together, shift, base, step).up(least - lam * limit, shift)
        return _reaches(cost.up(total - mu * limit, shift), needed)

    def near_grid(self, given: object) -> NearGrid:
        """Sums of cost + mu weight over what is allowed, near a grid, for a `given` list [mu, lam, step]."""
        numbers = [_number(x, "a multiplier or a step") for x in _list(given, "mu, lam and a step", 3)]
        (mu, lam, step), below = _scaled(numbers)
        if mu < 0 or lam < 0 or step <= 0:
            _refuse("a multiplier is negative, or a step is not positive")
        weight, cost = self.rows[0][0], self.cost
        shift = max(cost.shift, weight.shift + below)
        mu, lam = (x << (shift - weight.shift - below) for x in (mu, lam))
        step <<= shift - below
        together = [(c << (shift - cost.shift)) + mu * w for c, w in zip(cost.values, weight.values, strict=True)]
        base = low = high = 0
        for (a, b), mask in zip(pairwise(self.starts), self.allowed, strict=True):
            sums = [x for c, x in enumerate(together[a:b]) if mask >> c & 1]
            off = [(x - sums[0] + step // 2) % step - step // 2 for x in sums]
            base, low, high = base + sums[0], low + min(off), high + max(off)
        return NearGrid(together, shift, mu, lam, step, base, low, high)

    def near(self, given: Sequence[object], needed: int, limit: int) -> int:
        """The cost that sums near a grid show under a `limit`, if it is the `needed` one; `given` mu, lam, step."""
        grid, weight = self.near_grid(list(given)), self.rows[0][0].values
        least = -grid.lam * limit
        for (a, b), mask in zip(pairwise(self.starts), self.allowed, strict=True):
            least += min(grid.sums[x] + grid.lam * weight[x] for x in range(a, b) if mask >> (x - a) & 1)
        k = -((grid.base + grid.high - least) // grid.step)
        shown = grid.base + k * grid.step + grid.low - grid.mu * limit
        return _reaches(self.cost.up(shown, grid.shift), needed)

    def sums(self, node: Sequence[object], needed: int, limit: int) -> int:
        """The cost that a `node` ``["sums", classes, multipliers]`` shows under a `limit`, if it is the `needed` one.

        Sums over these classes, each completed as cheaply as the others allow.
        """
        weight, cost = self.rows[0][0], self.cost
        named = [_index(i, len(self.allowed), "a class") for i in _list(node[1], "its classes")]
        if len(set(named)) != len(named):
            _refuse("it names a class twice")
        classes = [*sorted(set(range(len(self.allowed))).difference(named)), *named]
        columns = [
            [(weight.values[x], cost.values[x]) for x in range(a, b) if mask >> (x - a) & 1]
            for (a, b), mask in zip(pairwise(self.starts), self.allowed, strict=True)
        ]
        # A sum may leave once its bound, rounded up to the grid, reaches: once it exceeds the grid point before that.
        least = cost.up(needed, cost.shift)
        prices = []
        for given in _list(node[3], "its grids") if len(node) == 4 else ():
            grid = self.near_grid(given)
            a, b = 1 << (grid.shift - cost.shift), grid.mu + grid.lam
            scale = grid.shift - cost.shift
            # The least k that costs as much as is needed; a sum leaves once it exceeds all that the k before allows.
            k = -((grid.base + grid.low - grid.mu * limit - (least << scale)) // grid.step)
            most = grid.base + grid.high + (k - 1) * grid.step + grid.lam * limit
            rest = [min(a * c + b * w for w, c in columns[i]) for i in classes]
            after = list(accumulate(reversed(rest), initial=0))[-2::-1]
            prices.append((a, b, [most - x for x in after]))
        for multiplier in (0, *_list(node[2], "its multipliers")):
            (factor,), below = _scaled([_number(multiplier, "a multiplier")])
            if factor < 0:
                _refuse("a multiplier is negative")
            shift = max(cost.shift, weight.shift + below)
            a, b = 1 << (shift - cost.shift), factor << (shift - weight.shift - below)
            rest = [min(a * c + b * w for w, c in columns[i]) for i in classes]
            after = list(accumulate(reversed(rest), initial=0))[-2::-1]
            prices.append((a, b, [a * (least - cost.step) + b * limit - x for x in after]))
        lightest = list(accumulate((min(columns[i])[0] for i in reversed(classes)), initial=0))[-2::-1]
        kept = [(0, 0)]
        for at, i in enumerate(classes):
            room, tops = limit - lightest[at], [(a, b, top[at]) for a, b, top in prices]
            reach = [bisect_right(kept, room - x, key=itemgetter(0)) for x, _ in columns[i]]  # they rise in weight
            self.made += sum(reach)
            if self.made > MOST_SUMS or sum(reach) > MOST_AT_ONCE:
                _refuse(f"it asks for more than {MOST_SUMS} sums, or {MOST_AT_ONCE} at once")
            longer = [(w + x, c + y) for (x, y), most in zip(columns[i], reach, strict=True) for w, c in kept[:most]]
            longer.sort()
            kept, cheapest = [], None
            for w, c in longer:
                if (cheapest is None or c < cheapest) and not any(a * c + b * w > top for a, b, top in tops):
                    kept.append((w, c))
                    cheapest = c
        return least if not kept else _refuse("a sum is left that is cheaper")

    def several(self, node: Sequence[object], needed: int) -> int:
        """The cost that a `node` ``["sums", classes, multipliers]`` shows under several limits, if it is as `needed`.

        There are multipliers for the sums after each class that is named, [lam_1, ..., lam_R] each.
        """
        if len(node) != 3:
            _refuse("not 'sums' and two entries, for several limits")
        named = [_index(i, len(self.allowed), "a class") for i in _list(node[1], "its classes")]
        if len(set(named)) != len(named):
            _refuse("it names a class twice")
        others = sorted(set(range(len(self.allowed))).difference(named))
        given: list[Sequence[object]] = [[] for _ in others]
        given += [_list(each, "its multipliers") for each in _list(node[2], "its multipliers", len(named))]
        limited = [(row.values, limit) for row, limit in self.rows if limit is not None]
        at = [r for r, (_, limit) in enumerate(self.rows) if limit is not None]
        cost, classes = self.cost, others + named
        places = [
            [x for x in range(self.starts[i], self.starts[i + 1]) if self.allowed[i] >> (x - self.starts[i]) & 1]
            for i in classes
        ]
        least = cost.up(needed, cost.shift) - cost.step

        def behind(lengths: Sequence[int]) -> list[int]:
            """The least that the classes after each one add to some lengths."""
            found = accumulate((min(lengths[x] for x in some) for some in reversed(places)), initial=0)
            return list(found)[-2::-1]

        lightest = [behind(values) for values, _ in limited]
        known: dict[tuple[object, ...], tuple[list[int], list[int]]] = {}

        def priced(multipliers: Sequence[object], stage: int) -> tuple[list[int], int]:
            """Factors of the weights and the cost of a sum, and what they may come to after a class."""
            key = tuple(multipliers)
            if key not in known:
                numbers = [_number(x, "a multiplier") for x in key]
                if any(x < 0 for x in numbers) or any(x and self.rows[r][1] is None for r, x in enumerate(numbers)):
                    _refuse("a multiplier is negative, or one of a row without a limit")
                scaled, below = _scaled([numbers[r] for r in at])
                shift = max(cost.shift, *(self.rows[r][0].shift + below for r in at), 0)
                factors = [x << (shift - self.rows[r][0].shift - below) for r, x in zip(at, scaled, strict=True)]
                factors.append(1 << (shift - cost.shift))
                columns = [*(values for values, _ in limited), cost.values]
                lengths = [0] * len(cost.values)
                for factor, column in zip(factors, columns, strict=True):
                    if factor:
                        lengths = [x + factor * y for x, y in zip(lengths, column, strict=True)]
                most = factors[-1] * least + sum(f * limit for f, (_, limit) in zip(factors, limited, strict=False))
                known[key] = factors, [most - x for x in behind(lengths)]
            factors, tops = known[key]
            return factors, tops[stage]

        kept = [(0,) * (len(limited) + 1)]
        for stage, some in enumerate(places):
            self.made += len(kept) * len(some)
            if self.made > MOST_SUMS or len(kept) * len(some) > MOST_AT_ONCE:
                _refuse(f"it asks for more than {MOST_SUMS} sums, or {MOST_AT_ONCE} at once")
            steps = [(*(values[x] for values, _ in limited), cost.values[x]) for x in some]
            kept = [tuple(map(add, each, step)) for step in steps for each in kept]
            for r, (_, limit) in enumerate(limited):
                room = limit - lightest[r][stage]
                kept = [each for each in kept if each[r] <= room]
            for multipliers in ([0] * len(self.rows), *given[stage]):
                factors, top = priced(_list(multipliers, "multipliers", len(self.rows)), stage)
                kept = [each for each in kept if sum(map(mul, factors, each)) <= top]
        return least + cost.step if not kept else _refuse("a sum is left that is cheaper")

    def objective(self, witness: Mapping[str, object]) -> Fraction | None:
        """Cost of the answer of a `witness`, which must be one; None without an answer."""
        given = witness["choice"]
        return None if given is None else Fraction(self.value(self.answer(given)), 1 << self.cost.shift)

    def verdict(self, witness: Mapping[str, object], gap: int | float, upper: Fraction | None = None) -> Verdict:
        """What a `witness` proves, up to a `gap`: the share by which something may be cheaper; of an `upper` value."""
        objective = None if witness["choice"] is None else self.value(self.answer(witness["choice"]))
        upper = _upper(witness, objective is not None) if upper is None else upper
        return self.prove(objective, witness["tree"], _gap(gap, witness), upper)


# --- constrained shortest path ------------------------------------------------------------------------------------


class Path(Limited[tuple[list[int], list[int]]]):
    """What is allowed is a flag for each arc; arcs are put in an order in which paths take them.

    An arc of cost null is absent. Loops may be taken, but nothing is gained by them.

    Parameters
    ----------
    data : `vertices`, `source`, `target`, `arcs`, `limit`, as in an instance file.
    """

    def __init__(self, data: Mapping[str, object]) -> None:
        self.vertices = _index(data["vertices"], 2**63, "vertices")
        self.source, self.target = (_index(data[end], self.vertices, end) for end in ("source", "target"))
        limits = _list(data["limit"], "limit")
        arcs: list[tuple[int, int, bool, list[int | float]]] = []  # tail, head, whether it is there, its numbers
        self.made = 0
        for k, arc in enumerate(_list(data["arcs"], "arcs")):
            entries = _list(arc, f"arcs[{k}]", 3 + len(limits))
            tail, head = (_index(end, self.vertices, f"an end of arcs[{k}]") for end in entries[:2])
            there = entries[2] is not None
            numbers = [_number(x, f"a number of arcs[{k}]") for x in (entries[2:] if there else (0, *entries[3:]))]
            arcs.append((tail, head, there, numbers))
        rank = self._ranked([arc[:2] for arc in arcs if arc[2] and arc[0] != arc[1]])
        self.cyclic = rank is None
        if any(x < 0 for tail, head, _, numbers in arcs if self.cyclic or tail == head for x in numbers):
            _refuse("a number is negative in a graph with cycles, where a cycle might pay, or on a loop")
        known = rank or {}
        order = sorted(range(len(arcs)), key=lambda k: known.get(arcs[k][0], arcs[k][0]))
        self.place = {k: at for at, k in enumerate(order)}
        self.tails, self.heads = [arcs[k][0] for k in order], [arcs[k][1] for k in order]
        self.present = [arcs[k][2] for k in order]
        ends = list(zip(self.tails, self.heads, strict=True))
        self.everything = bytes(there and tail != head for there, (tail, head) in zip(self.present, ends, strict=True))
        self.allowed = bytearray(self.everything)
        self.upward = all(tail < head for tail, head in compress(ends, self.everything))
        self.leaving: dict[int, list[int]] = {}
        for at, tail in enumerate(self.tails):
            self.leaving.setdefault(tail, []).append(at)
        columns = [[arcs[k][3][x] for k in order] for x in range(1 + len(limits))]
        rows = [Row(x, shift, 0, math.gcd(*x) or 1) for x, shift in map(_scaled, columns)]
        super().__init__(rows[0], rows[1:], limits)

    @staticmethod
    def _ranked(ends: list[tuple[int, int]]) -> dict[int, int] | None:
        """Places of vertices so that every arc leads on, none where numbers do already; None where there are cycles."""
        if all(tail < head for tail, head in ends):
            return {}
        sorter = TopologicalSorter[int]()
        for tail, head in ends:
            sorter.add(head, tail)
        try:
            return {v: at for at, v in enumerate(sorter.static_order())}
        except CycleError:
            return None

    def answer(self, path: object) -> list[int]:
        """The places of arcs that lead from the source to the target, from the `path` of a witness."""
        arcs = [self.place[_index(k, len(self.place), "an arc of the path")] for k in _list(path, "the path")]
        if [self.source, *(self.heads[at] for at in arcs)] != [*(self.tails[at] for at in arcs), self.target]:
            _refuse("the path does not lead from the source to the target")
        if not all(self.present[at] for at in arcs):
            _refuse("the path takes an absent arc")
        return arcs

    def reset(self) -> None:
        self.allowed, self.made = bytearray(self.everything), 0

    def split(self, node: Sequence[object]) -> tuple[list[int], list[int]]:
        if len(node) != 3 or node[0] not in ("out", "cross") or (node[0] == "cross" and not self.upward):
            _refuse("neither a leaf nor ['out', vertex, arcs], nor ['cross', vertex, arcs] where all arcs lead upwards")
        v = _index(node[1], self.vertices, "its vertex")
        group: Sequence[int] = self.leaving.get(v, [])
        if node[0] == "cross":
            group = [at for at, (tail, head) in enumerate(zip(self.tails, self.heads, strict=True)) if tail <= v < head]
        before = {at for at in group if self.allowed[at]}
        places = [self.place[_index(k, len(self.allowed), "an arc")] for k in _list(node[2], "its third entry")]
        named = before.intersection(places)
        if len(named) != len(places) or len(named) in (0, len(before)):
            _refuse("it names an arc twice, or one not allowed there, or one of its sides is empty")
        others = [at for at in before if at not in named]
        for at in others:
            self.allowed[at] = 0
        return others, places

    def turn(self, mark: tuple[list[int], list[int]]) -> tuple[list[int], list[int]]:
        others, places = mark
        for at in others:
            self.allowed[at] = 1
        for at in places:
            self.allowed[at] = 0
        return [], places

    def restore(self, mark: tuple[list[int], list[int]]) -> None:
        for at in mark[1]:
            self.allowed[at] = 1

    def least(self, prices: Prices) -> int | None:
        state = self.allowed
        best = {self.source: 0}
        if not self.cyclic:
            for tail, head, length in compress(zip(self.tails, self.heads, prices.lengths, strict=True), state):
                if tail in best and (head not in best or best[tail] + length < best[head]):
                    best[head] = best[tail] + length
            return best.get(self.target)
        queue, done = [(0, self.source)], set[int]()  # Dijkstra: no length is negative
        while queue and self.target not in done:
            length, v = heapq.heappop(queue)
            for at in () if v in done else self.leaving.get(v, ()):
                head, through = self.heads[at], length + prices.lengths[at]
                if state[at] and (head not in best or through < best[head]):
                    best[head] = through
                    heapq.heappush(queue, (through, head))
            done.add(v)
        return best.get(self.target)

    def other(self, node: Sequence[object], needed: int | None) -> int | None:
        if node[0] != "labels" or len(node) != 2:
            _refuse(f"{node[0]}, which is not a leaf of paths, or not with its entries")
        if self.cyclic:
            _refuse("labels in a graph with cycles")
        search = Labels(self, needed)
        for each in ([0] * len(self.rows), *_list(node[1], "its multipliers")):
            search.price(_list(each, f"multipliers for {len(self.rows)} limits", len(self.rows)))
        self.made += search.run(MOST_SUMS - self.made)
        return None if needed is None else self.cost.up(needed, self.cost.shift)

    def objective(self, witness: Mapping[str, object]) -> Fraction | None:
        """Cost of the answer of a `witness`, which must be one; None without an answer."""
        given = witness["path"]
        return None if given is None else Fraction(self.value(self.answer(given)), 1 << self.cost.shift)

    def verdict(self, witness: Mapping[str, object], gap: int | float, upper: Fraction | None = None) -> Verdict:
        """What a `witness` proves, up to a `gap`: the share by which something may be cheaper; of an `upper` value."""
        objective = None if witness["path"] is None else self.value(self.answer(witness["path"]))
        upper = _upper(witness, objective is not None) if upper is None else upper
        return self.prove(objective, witness["tree"], _gap(gap, witness), upper)


class Labels:
    """Partial paths of what a `graph` allows, whose cost stays below what is `needed` (None: any cost).

    A label holds its weights by the rows that have a limit, then its cost.
    """

    def __init__(self, graph: Path, needed: int | None) -> None:
        self.graph = graph
        limited = [r for r, (_, limit) in enumerate(graph.rows) if limit is not None]
        self.limited, self.columns = limited, [*(graph.rows[r][0].values for r in limited), graph.cost.values]
        reached = {graph.source}
        self.arcs = []
        for at in compress(range(len(graph.tails)), graph.allowed):
            if graph.tails[at] in reached:
                self.arcs.append(at)
                reached.add(graph.heads[at])
        self.room: list[tuple[int, dict[int, int]]] = []
        for row, limit in graph.rows:
            if limit is not None:
                self.room.append((limit, self.ahead([row.values[at] for at in self.arcs])))
        self.prices: list[tuple[list[int], int, dict[int, int]]] = []
        cost = graph.cost
        # It may leave once its bound, rounded up to the grid, reaches: once it exceeds the grid point before that.
        self.most = None if needed is None else cost.up(needed, cost.shift) - cost.step

    def ahead(self, lengths: list[int]) -> dict[int, int]:
        """The least length from each vertex to the target, where it can be reached, of lengths of `arcs`."""
        best, tails, heads = {self.graph.target: 0}, self.graph.tails, self.graph.heads
        for at, length in zip(reversed(self.arcs), reversed(lengths), strict=True):
            rest = best.get(heads[at])
            if rest is not None:
                known = best.get(tails[at])
                if known is None or rest + length < known:
                    best[tails[at]] = rest + length
        return best

    def price(self, given: Sequence[object]) -> None:
        """Take multipliers, one for each row."""
        multipliers = [_number(x, "a multiplier") for x in given]
        if any(x < 0 for x in multipliers):
            _refuse("a multiplier is negative")
        rows, cost = self.graph.rows, self.graph.cost
        if any(x and rows[r][1] is None for r, x in enumerate(multipliers)):
            _refuse("a row without a limit has a multiplier")
        if self.most is None:
            return
        scaled, below = _scaled([multipliers[r] for r in self.limited])
        shift = max(cost.shift, *(rows[r][0].shift + below for r in self.limited), 0)
        factors = [x << (shift - rows[r][0].shift - below) for r, x in zip(self.limited, scaled, strict=True)]
        factors.append(1 << (shift - cost.shift))
        lengths = [factors[-1] * cost.values[at] for at in self.arcs]
        for factor, column in zip(factors[:-1], self.columns, strict=False):
            if factor:
                lengths = [x + factor * column[at] for x, at in zip(lengths, self.arcs, strict=True)]
        room = sum(factor * limit for factor, (limit, _) in zip(factors, self.room, strict=False))
        self.prices.append((factors, self.most * factors[-1] + room, self.ahead(lengths)))

    def run(self, most: int) -> int:
        """Make all labels, `most` at most; returns how many, and refuses where one arrives at the target."""
        graph, made = self.graph, 0
        waiting: dict[int, list[tuple[int, ...]]] = {graph.source: [(0,) * len(self.columns)]}
        for v, leaving in groupby(self.arcs, key=graph.tails.__getitem__):
            kept = _undominated(waiting.pop(v, ()))
            for at in leaving if kept else ():
                head, step = graph.heads[at], [column[at] for column in self.columns]
                if not all(head in rest for _, rest in self.room) or not all(head in x for *_, x in self.prices):
                    continue
                made += len(kept)
                if made > most:
                    _refuse(f"it asks for more than {MOST_SUMS} sums")
                rooms = [limit - rest[head] for limit, rest in self.room]
                tops = [(factors, top - rest[head]) for factors, top, rest in self.prices]
                onward = waiting.setdefault(head, [])
                for label in kept:
                    longer = tuple(map(add, label, step))
                    if all(map(le, longer, rooms)) and all(sum(map(mul, x, longer)) <= top for x, top in tops):
                        onward.append(longer)
        if graph.source == graph.target or waiting.get(graph.target):
            _refuse(
                "a path is left that is cheaper" if self.most is not None else "a path is left that keeps the limits"
            )
        return made


def _undominated(labels: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Those that no other is as good as in everything; of equal ones, one."""
    kept: list[tuple[int, ...]] = []
    for label in sorted(labels):
        if len(label) <= 2:  # they rise in weight: the cheapest so far is the last one
            if not kept or label[-1] < kept[-1][-1]:
                kept.append(label)
        elif not any(all(map(le, other, label)) for other in kept):
            kept.append(label)
    return kept


# --- minimum cut --------------------------------------------------------------------------------------------------


class Cut:
    """A label for each node. A tensor's readers have labels at least its producer's; each link between is paid once.

    Let x_v,l = 1 if label(v) > l, else 0. A flow gives each tensor t, link l and reader j a number f such that the
    positive ones of a tensor and link sum up to its weight w at most (anything where that is infinite). Then tensor t
    with producer u pays  w max_j (x_j,l - x_u,l) >= sum_j f (x_j,l - x_u,l)  there, as no difference is negative.
    Collected by nodes, these are gains r[v][l] that v has for every link l below its label, so that everything costs
    at least  sum over v of  min over l of (unary[v][l] + r[v][0] + ... + r[v][l-1]).
    Where nothing is feasible, the same with unary and w at 0 is positive.

    Parameters
    ----------
    data : fields of an instance of kind ``mincut``, as read from JSON.
    """

    def __init__(self, data: Mapping[str, object]) -> None:
        rows, tensors = _list(data["unary"], "unary"), _list(data["tensors"], "tensors")
        self.labels = _index(data["labels"], 2**63, "labels")
        self.unary = [
            [None if x is None else _number(x, f"unary[{v}]") for x in _list(row, f"unary[{v}]", self.labels)]
            for v, row in enumerate(rows)
        ]
        self.tensors: list[tuple[int, list[int], list[int | float | None]]] = []
        for t, tensor in enumerate(tensors):
            first, others, given = _list(tensor, f"tensors[{t}]", 3)
            nodes = (first, *_list(others, "its readers"))
            producer, *readers = (_index(v, len(rows), f"a node of tensors[{t}]") for v in nodes)
            weights = [
                None if x is None else _number(x, f"a weight of tensors[{t}]")
                for x in _list(given, f"the weights of tensors[{t}]", self.labels - 1)
            ]
            if any(x is not None and x < 0 for x in weights):
                _refuse(f"a weight of tensors[{t}] is negative")
            self.tensors.append((producer, readers, weights))
        found = [*self.unary, *(weights for _, _, weights in self.tensors)]
        numbers = [x for row in found for x in row if x is not None]
        values, self.shift = _scaled(numbers)
        self.costs = Row(values, self.shift, 0, math.gcd(*values) or 1)

    def scaled(self, x: int | float, shift: int) -> int:
        """A number `x` over 2^`shift`, rounded down."""
        top, below = x.as_integer_ratio()
        return (top << shift) // below

    def value(self, labels: object) -> int:
        """Cost of labels, which must be allowed and in order."""
        given = enumerate(_list(labels, "labels", len(self.unary)))
        chosen = [_index(label, self.labels, f"labels[{v}]") for v, label in given]
        paid = [row[label] for label, row in zip(chosen, self.unary, strict=True)]
        for t, (producer, readers, weights) in enumerate(self.tensors):
            if any(chosen[v] < chosen[producer] for v in readers):
                _refuse(f"a reader of tensors[{t}] has a lower label than its producer")
            paid += weights[chosen[producer] : max((chosen[v] for v in readers), default=0)]
        return sum(
            _refuse("a label or a link that is forbidden") if x is None else self.scaled(x, self.shift) for x in paid
        )

    def objective(self, witness: Mapping[str, object]) -> Fraction | None:
        """Cost of the answer of a `witness`, which must be one; None without an answer."""
        given = witness["labels"]
        return None if given is None else Fraction(self.value(given), 1 << self.shift)

    def verdict(self, witness: Mapping[str, object], gap: int | float, upper: Fraction | None = None) -> Verdict:
        """What a `witness` proves, up to a `gap`: the share by which something may be cheaper; of an `upper` value."""
        share = _gap(gap, witness)
        objective = None if witness["labels"] is None else self.value(witness["labels"])
        upper = _upper(witness, objective is not None) if upper is None else upper
        counts = objective is not None or upper is not None
        flow: list[tuple[int, int, int, int | float]] = []
        for entry in _list(witness["flow"], "the flow"):
            tensor, between, reader, amount = _list(entry, "an entry of the flow", 4)
            t = _index(tensor, len(self.tensors), "its tensor")
            of = _index(between, self.labels - 1, "its link")
            at = _index(reader, len(self.tensors[t][1]), "its reader")
            flow.append((t, of, at, _number(amount, "its value")))
        if len({named[:3] for named in flow}) != len(flow):
            _refuse("the flow has an entry twice")
        values, shift = _scaled([amount for *_, amount in flow])
        shift, below = max(shift, self.shift), shift
        gains = [[0] * (self.labels - 1) for _ in self.unary]
        used: dict[tuple[int, int], int] = {}
        for (t, link, j, _), value in zip(flow, values, strict=True):
            value <<= shift - below
            producer, readers, _ = self.tensors[t]
            gains[readers[j]][link] += value
            gains[producer][link] -= value
            used[t, link] = used.get((t, link), 0) + max(value, 0)
        for (t, link), total in used.items():
            weight = self.tensors[t][2][link]
            if weight is not None and total > (self.scaled(weight, shift) if counts else 0):
                _refuse(f"the flow of tensors[{t}] over link {link} is above its weight")
        bound = 0
        for row, gain in zip(self.unary, gains, strict=True):
            sums = zip(row, accumulate(gain, initial=0), strict=True)
            allowed = [r + (self.scaled(x, shift) if counts else 0) for x, r in sums if x is not None]
            if not allowed:
                return NOTHING
            bound += min(allowed)
        if upper is not None:
            reached = _reaches(self.costs.up(bound, shift), _needed(upper * (1 << self.shift), share))
            return _below(upper, Fraction(reached, 1 << self.shift), share)
        if objective is not None:
            reached = _reaches(self.costs.up(bound, shift), _needed(objective, share))
            return _proved(objective, reached, self.shift, share)
        return NOTHING if bound > 0 else _refuse("a flow that proves nothing")


# --- files --------------------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[type[Knapsack | Path | Cut], set[str], set[str]]] = {
    "mckp": (Knapsack, {"cost", "weight", "limit"}, {"choice", "tree"}),
    "rcsp": (Path, {"vertices", "source", "target", "arcs", "limit"}, {"path", "tree"}),
    "cut": (Cut, {"labels", "unary", "tensors"}, {"labels", "flow"}),
}
"""By kind: who checks it, the fields of an instance, those of a witness."""
OTHER_FIELDS = {"format", "version", "kind", "name", "note"}


def check(instance: object, witness: object, gap: float = GAP) -> Verdict:
    """Whether a witness proves an answer to an instance, both as read from JSON; it raises nothing.

    Parameters
    ----------
    instance : fields of an instance: kind, costs and limits.
    witness : the answer, and its proof.
    gap : how much cheaper, as a share of the answer's cost, something may be. A witness may claim less, never more.
    """
    return _answered(gap, lambda: [_read(instance, witness, "")])


def check_proof(proof: object, gap: float = GAP) -> Verdict:
    """Whether a proof shows that nothing is cheaper than the best of its answers, as read from JSON; it raises nothing.

    Parameters
    ----------
    proof : an object of format ``qopt/kernel-proof``, a list of instances with a witness each.
    gap : how much cheaper, as a share of the answer's cost, something may be.
    """

    def parts() -> list[Part]:
        if type(proof) is not dict or proof.get("format") != "qopt/kernel-proof" or proof.get("version") != 1:
            raise _About("the proof", "not an object of format qopt/kernel-proof, version 1")
        given = proof.get("parts")
        if not isinstance(given, list) or not given:
            raise _About("the proof", "its parts are not a list of at least one")
        whole = [part if type(part) is dict else {} for part in given]
        return [_read(x.get("instance"), x.get("witness"), f" of part {at}") for at, x in enumerate(whole)]

    return _answered(gap, parts)


class Part(NamedTuple):
    """An instance that has been read, its witness, and where they stand.

    Attributes
    ----------
    problem, claim : the instance, and the fields of its witness.
    where : for refusals.
    """

    problem: Knapsack | Path | Cut
    claim: Mapping[str, object]
    where: str


class _About(Exception):
    """A refusal, and what it is about."""


def _guarded(subject: str, work: Callable[[], Result]) -> Result:
    """What some work returns; a refusal, or what else goes wrong, as one about its subject."""
    try:
        return work()
    except Refused as why:
        raise _About(subject, str(why)) from None
    except Exception as error:  # the promise is an answer, whatever the files contain
        raise _About(subject, f"malformed ({type(error).__name__})") from None


def _read(instance: object, witness: object, where: str) -> Part:
    """An instance and its witness."""

    def problem() -> tuple[str, set[str], Knapsack | Path | Cut]:
        kind, data = _opened(instance, "qopt/kernel-instance")
        checker, fields, proof = KINDS[kind]
        allowed = fields | OTHER_FIELDS | ({"ties"} if kind == "mckp" else set())
        if not fields <= data.keys() <= allowed:
            _refuse(f"its fields are not {', '.join(sorted(fields))}")
        return kind, proof, checker(data)

    kind, proof, found = _guarded(f"the instance{where}", problem)

    def claim() -> Mapping[str, object]:
        claimed, fields = _opened(witness, "qopt/kernel-witness")
        if claimed != kind or not proof <= fields.keys():
            _refuse(f"not one of kind {kind} with fields {', '.join(sorted(proof))}")
        return fields

    return Part(found, _guarded(f"the witness{where}", claim), where)


def _answered(gap: float, read: Callable[[], list[Part]]) -> Verdict:
    """What the parts of a proof show together."""

    def number() -> None:
        if _number(gap, "it") < 0:
            _refuse("it is negative")

    try:
        _guarded("the gap", number)
        parts = read()
        upper: Fraction | None = None
        if len(parts) > 1:
            costs = [
                _guarded(f"the witness{where}", lambda p=problem, c=claim: p.objective(c))  # type: ignore[misc]
                for problem, claim, where in parts
            ]
            upper = min((cost for cost in costs if cost is not None), default=None)
        found = [
            _guarded(f"the witness{where}", lambda p=problem, c=claim: p.verdict(c, gap, upper))  # type: ignore[misc]
            for problem, claim, where in parts
        ]
    except _About as refusal:
        subject, why = refusal.args
        return Verdict(False, None, None, f"{subject}: {why}")
    if len(found) == 1:
        only: Verdict = found[0]
        return only
    bounds = [verdict.bound for verdict in found if verdict.bound is not None]
    if upper is None and bounds:  # claims of numbers below which there is nothing, and no answer
        return Verdict(True, None, min(bounds), f"nothing is below {float(min(bounds))!r}")
    if upper is None:
        return NOTHING
    return Verdict(True, upper, min(bounds, default=upper), "nothing is cheaper, up to the gap")


def _opened(data: object, form: str) -> tuple[str, dict[str, object]]:
    """The kind of a file, and its fields."""
    if type(data) is not dict or data.get("format") != form or type(data.get("version")) is not int:
        _refuse(f"not an object of format {form}")
    if data["version"] != 1 or type(data.get("kind")) is not str or data["kind"] not in KINDS:
        _refuse(f"not version 1, or none of the kinds {', '.join(KINDS)}")
    return data["kind"], data


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a field twice in one object")
    return dict(pairs)


def main(arguments: Sequence[str]) -> int:
    """Check two files; print one line.

    Parameters
    ----------
    arguments : words of the command line.

    Returns
    -------
    0 for yes, 1 for no.
    """
    parser = argparse.ArgumentParser(prog="checker.py", description="Is a kernel's answer right?", allow_abbrev=False)
    parser.add_argument("files", nargs="+", metavar="FILE", help="INSTANCE.json and WITNESS.json, or PROOF.json")
    parser.add_argument(
        "--gap", type=float, default=GAP, help="the share by which something may be cheaper (%(default)g)"
    )
    asked = parser.parse_args(arguments)
    if not 0 <= asked.gap <= LARGEST:
        parser.error(f"argument --gap: found {asked.gap}; allowed: a number from 0 to {LARGEST:g}")
    if len(asked.files) > 2:
        parser.error("argument FILE: an instance and a witness, or one proof")
    read: list[object] = []
    for name in asked.files:
        try:
            with open(name, encoding="utf-8") as file:
                read.append(json.load(file, object_pairs_hook=_once))
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            print(f"not readable: {name}: {' '.join(str(error).split())}", file=sys.stderr)
            return 2
    if len(read) == 1 and not (isinstance(read[0], dict) and read[0].get("format") == "qopt/kernel-proof"):
        parser.error("argument FILE: an instance and a witness, or one proof")
    verdict = check(read[0], read[1], asked.gap) if len(read) == 2 else check_proof(read[0], asked.gap)
    accepted, objective, bound, reason = verdict
    numbers = "" if objective is None or bound is None else f"objective {float(objective)!r}, bound {float(bound)!r}: "
    print(f"yes: {numbers}{reason}" if accepted else f"no: {reason}")
    return 0 if accepted else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Checks a proof that no choice is better: exact rationals, the standard library, and nothing else.

The claim is about a multiple-choice knapsack: one column for each item i, costs cost[i][c], noise[i][c] within a
limit, stored[i][c] within a memory. The proof is a *tree* that partitions the choices into leaves, each with
multipliers that bound it. A tree is a list of nodes in preorder:

``["split", i, columns]``
    The first subtree that follows restricts item i to these columns, the second to the rest of what was allowed.
``["leaf", a, lam, mu]``
    By Lagrange, every choice in the leaf that keeps both limits has
    ``a (offset + cost) >= a offset + sum_i min_c (a cost + lam noise + mu stored)[i][c] - lam limit - mu memory``.
    With a = 1 this bound must reach the target; with a = 0 it must be positive: 0 > 0, so the leaf holds no
    feasible choice.

Floats are dyadic rationals: they are scaled to integers by a power of two, so that nothing is ever rounded.
Whatever a tree contains, the answer is a `Verdict`, never an exception.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

FORMAT, VERSION = "qopt/qpart-witness", 1
REMEMBERED = 64
"""Multipliers whose leaf bounds are kept, so that trees that share a few are checked faster."""


class Verdict(NamedTuple):
    """The answer: whether the proof holds, the least bound of its leaves (infinite: nothing feasible), and why not."""

    accepted: bool
    bound: float | None
    reason: str


Rows = Sequence[Sequence[float]]
Knapsack = tuple[Rows, Rows, float, Rows, float, float]
"""cost, noise, limit, stored, memory, offset."""


class _Refuted(Exception):
    """The proof does not hold; the text says where."""


def _scaled(rows: Rows, unit: float) -> tuple[list[list[int]], int, int]:
    """Numbers and one more as integers over 2^shift; what is not finite becomes 0 (its column is barred)."""
    shift = max(
        (
            (float(x).as_integer_ratio()[1].bit_length() - 1)
            for row in (*rows, (unit,))
            for x in row
            if math.isfinite(x)
        ),
        default=0,
    )

    def scale(x: float) -> int:
        if not math.isfinite(x):
            return 0
        top, bottom = float(x).as_integer_ratio()
        return (top << shift) // bottom

    return [[scale(x) for x in row] for row in rows], scale(unit), shift


class _Leaves:
    """Exact Lagrangian bounds over masks of allowed columns (bit c of a mask is column c)."""

    def __init__(self, cost: Rows, noise: Rows, limit: float, stored: Rows, memory: float, offset: float) -> None:
        widths = [len(row) for row in cost]
        for name, rows in (("cost", cost), ("noise", noise), ("stored", stored)):
            if [len(row) for row in rows] != widths or any(not x >= 0 for row in rows for x in row):
                raise _Refuted(f"{name} is not a table of numbers >= 0")
        if not (limit >= 0 and memory >= 0 and math.isfinite(offset)):
            raise _Refuted("a limit is negative or the offset not finite")
        # A column of infinite cost, or of infinite noise under a finite limit, is in no choice that matters.
        self.usable = [
            sum(1 << c for c, entry in enumerate(zip(*rows, strict=True)) if all(map(math.isfinite, entry)))
            for rows in zip(cost, noise, stored, strict=True)
        ]
        self.cost, self.offset, self.cost_shift = _scaled(cost, offset)
        self.noise, self.limit, self.noise_shift = _scaled(noise, limit)
        self.stored, self.memory, self.stored_shift = _scaled(stored, memory)
        self.rows = (math.isfinite(limit), math.isfinite(memory))
        self.start = [(1 << width) - 1 for width in widths]
        self.known: dict[tuple[int, float, float], list[dict[int, int | None]]] = {}

    def bound(self, a: int, lam: float, mu: float, allowed: list[int]) -> tuple[int, int] | None:
        """Bound of a leaf as (numerator, shift): numerator / 2^shift. None: an item has no usable column."""
        (lam_top, lam_bottom), (mu_top, mu_bottom) = lam.as_integer_ratio(), mu.as_integer_ratio()
        noise_shift = self.noise_shift + lam_bottom.bit_length() - 1
        stored_shift = self.stored_shift + mu_bottom.bit_length() - 1
        shift = max(self.cost_shift, noise_shift, stored_shift)
        by_cost = a << (shift - self.cost_shift)
        by_noise, by_stored = lam_top << (shift - noise_shift), mu_top << (shift - stored_shift)
        if len(self.known) >= REMEMBERED and (a, lam, mu) not in self.known:
            self.known.clear()
        known = self.known.setdefault((a, lam, mu), [{} for _ in allowed])
        total = by_cost * self.offset - by_noise * self.limit - by_stored * self.memory
        for i, mask in enumerate(allowed):
            if mask not in known[i]:
                costs, noises, stores = self.cost[i], self.noise[i], self.stored[i]
                columns = [c for c in range(mask.bit_length()) if mask & self.usable[i] & 1 << c]
                values = [by_cost * costs[c] + by_noise * noises[c] for c in columns]
                if mu:
                    values = [value + by_stored * stores[c] for value, c in zip(values, columns, strict=True)]
                known[i][mask] = min(values, default=None)
            least = known[i][mask]
            if least is None:
                return None
            total += least
        return total, shift

    def check(self, node: Sequence[Any], allowed: list[int], target: Fraction | float) -> Fraction | float:
        """Bound that a leaf proves; infinite where it proves that nothing feasible is in it."""
        if len(node) != 4:
            raise _Refuted(f"a leaf of {len(node)} entries")
        _, a, lam, mu = node
        if type(a) is not int or a not in (0, 1):
            raise _Refuted("a leaf that is neither 1 (bound) nor 0 (ray)")
        if any(type(x) not in (int, float) or not 0 <= x <= 1.7976931348623157e308 for x in (lam, mu)):
            raise _Refuted("a multiplier that is not a finite number >= 0")
        if (lam and not self.rows[0]) or (mu and not self.rows[1]):
            raise _Refuted("a multiplier for a row that is not there")
        found = self.bound(a, float(lam), float(mu), allowed)
        if found is None:
            return math.inf
        value = Fraction(found[0], 1 << found[1])
        if a == 0 and value <= 0:
            raise _Refuted("a ray that proves nothing")
        if a == 1 and value < target:
            raise _Refuted(f"a leaf's bound of {float(value):.12g} does not reach the target {float(target):.12g}")
        return value if a else math.inf


def _restrict(node: Sequence[Any], allowed: list[int]) -> tuple[int, int]:
    """Item and mask of a split."""
    if len(node) != 3:
        raise _Refuted(f"a split of {len(node)} entries")
    _, i, columns = node
    if type(i) is not int or not 0 <= i < len(allowed):
        raise _Refuted("a split of an item that does not exist")
    mask = 0
    if not isinstance(columns, list | tuple) or len(columns) > allowed[i].bit_length():
        raise _Refuted("a split without a list of columns")
    for c in columns:
        if type(c) is not int or not 0 <= c < allowed[i].bit_length() or not allowed[i] >> c & 1 or mask >> c & 1:
            raise _Refuted(f"a split of item {i} that names a column twice or one not allowed")
        mask |= 1 << c
    if mask == 0 or mask == allowed[i]:
        raise _Refuted(f"a split of item {i} with an empty side")
    return i, mask


def _walk(leaves: _Leaves, tree: Any, target: Fraction | float) -> Fraction | float:
    if not isinstance(tree, list | tuple):
        raise _Refuted("a tree that is not a list of nodes")
    allowed, least = list(leaves.start), math.inf
    bound: Fraction | float = least
    pending: list[tuple[int, int, int]] = []  # item, mask before the split, mask of the second side (0: begun)
    finished = False
    for node in tree:
        if finished:
            raise _Refuted("nodes after the end of the tree")
        if not isinstance(node, list | tuple) or not node or node[0] not in ("split", "leaf"):
            raise _Refuted("a node that is neither split nor leaf")
        if node[0] == "split":
            i, mask = _restrict(node, allowed)
            pending.append((i, allowed[i], allowed[i] & ~mask))
            allowed[i] = mask
            continue
        bound = min(bound, leaves.check(node, allowed, target))
        while pending and not pending[-1][2]:
            i, before, _ = pending.pop()
            allowed[i] = before
        if pending:
            i, before, rest = pending[-1]
            pending[-1], allowed[i] = (i, before, 0), rest
        finished = not pending
    if not finished:
        raise _Refuted("a tree that ends too early")
    return bound


def _downward(value: Fraction | float) -> float:
    """The largest float that is not above an exact value."""
    rounded = float(value)
    return rounded if rounded <= value else math.nextafter(rounded, -math.inf)


def check_tree(
    cost: Rows,
    noise: Rows,
    limit: float,
    stored: Rows,
    memory: float,
    tree: Any,
    target: Fraction | float,
    offset: float = 0.0,
) -> Verdict:
    """Check that every feasible choice costs at least `target`.

    Parameters
    ----------
    cost, noise, stored : a row for each item, a column for each choice, numbers >= 0.
    limit, memory : what noise and stored may add up to; infinite where there is no such row.
    tree : the untrusted proof.
    target : what offset + cost must reach, exactly; infinite claims that nothing is feasible.
    offset : added to every choice's cost.
    """
    try:
        leaves = _Leaves(cost, noise, limit, stored, memory, offset)
        return Verdict(True, _downward(_walk(leaves, tree, target)), "")
    except _Refuted as why:
        return Verdict(False, None, str(why))
    except Exception as error:  # the promise is an answer whatever the proof contains
        return Verdict(False, None, f"a malformed proof ({type(error).__name__})")


def check_witness(
    knapsack: Callable[[int], Knapsack],
    cuts: Collection[int],
    witness: Any,
    target: Fraction | float,
    closed: Collection[int] = (),
) -> Verdict:
    """Check a witness: a tree for each cut, or a cut that needs none.

    Parameters
    ----------
    knapsack : data of the choice at a cut.
    cuts : every admissible cut. One without a tree must be out at multiplier 0 or by its least noise or memory.
    witness : the untrusted proof.
    target : what every plan must cost at least.
    closed : cuts known to be out already; a tree that is there is checked all the same.
    """
    if type(witness) is not dict or witness.get("format") != FORMAT or type(witness.get("cuts")) is not dict:
        return Verdict(False, None, f"not an object of format {FORMAT} with cuts")
    if type(witness.get("version")) is not int or witness["version"] != VERSION:
        return Verdict(False, None, f"a version other than {VERSION}")
    trees, names = witness["cuts"], {str(p): p for p in cuts}
    if any(key not in names for key in trees):
        return Verdict(False, None, "a tree for a cut that is not admissible")
    least = math.inf
    for name, p in names.items():
        if name not in trees and p in closed:
            continue
        cost, noise, limit, stored, memory, offset = knapsack(p)
        attempts = [trees[name]] if name in trees else [[["leaf", *leaf]] for leaf in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
        verdicts = [check_tree(cost, noise, limit, stored, memory, tree, target, offset) for tree in attempts]
        accepted = [v.bound for v in verdicts if v.accepted and v.bound is not None]
        if not accepted:
            why = verdicts[0].reason if name in trees else "no tree, and it is not out by itself"
            return Verdict(False, None, f"cut {p}: {why}")
        least = min(least, max(accepted))
    return Verdict(True, least, "")

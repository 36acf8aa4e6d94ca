"""Why a request has no plan: which limit each cut breaks, alone or together with others."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from qopt.core.clock import Clock
from qopt.core.errors import InputError
from qopt.kernels import mckp
from qopt.qpart.certificate.cuts import CutTable
from qopt.qpart.certificate.rows import SEARCHED
from qopt.qpart.certificate.witness import check_tree
from qopt.qpart.problem import UNITS


class Broken(NamedTuple):
    """Limits that a cut cannot keep, alone or together, and by how much where it is one alone."""

    names: tuple[str, ...]
    amounts: str = ""

    @property
    def words(self) -> str:
        """``time``, or ``accuracy and time together``."""
        if len(self.names) == 1:
            return self.names[0]
        return f"{', '.join(self.names[:-1])} and {self.names[-1]} together"


def broken_limits(table: CutTable, p: int, clock: Clock, guess: tuple[str, ...] = ()) -> Broken:
    """Limits that no choice at a cut keeps: one that even the least of every item breaks, else a minimal set.

    A set is found by leaving out one limit after the other while the rest still contradict each other; one of which
    that cannot be told stays in it.

    Parameters
    ----------
    table : of a problem whose cut `p` holds no plan.
    clock : where it is over, all limits that there are stay in the set.
    guess : limits that contradict each other at a neighbouring cut: if they do here, no smaller set is looked for.
    """
    cut = table.at(p)
    least_noise = cut.least_noise()
    for name, least, allowed in (
        ("accuracy", least_noise, cut.limit),
        ("memory", cut.least_memory(), cut.memory),
    ):
        if math.isfinite(allowed) and math.fsum([*least.tolist(), -allowed]) > 0:
            unit = " bit" if name == "memory" else ""
            return Broken((name,), f"{math.fsum(least.tolist()):.6g}{unit} at the least, allowed {allowed:.6g}")
    for row in cut.more:
        if row.broken:
            unit = f" {UNITS[row.name]}".rstrip()
            return Broken((row.name,), f"{row.least:.6g}{unit} at the least, allowed {row.limit:.6g}")
    names = ["accuracy", "memory", *(row.name for row in cut.more)]
    limits = [cut.limit, cut.memory, *(row.limit for row in cut.more)]
    kept = [r for r, limit in enumerate(limits) if math.isfinite(limit)]
    if cut.noise is None:  # real-valued bits: no tree shows it
        return Broken(tuple(names[r] for r in kept))
    if len(guess) > 1 and not clock.over and _contradict(table, p, [names.index(name) for name in guess], clock):
        return Broken(guess)
    for r in list(kept):
        if not clock.over and _contradict(table, p, [x for x in kept if x != r], clock):
            kept.remove(r)
    return Broken(tuple(names[r] for r in kept))


def _contradict(table: CutTable, p: int, rows: list[int], clock: Clock) -> bool:
    """Whether some limits of a cut contradict each other, proved by a tree."""
    cost, noise, limit, stored, memory, offset, *more = table.knapsack(p)
    uses, limits = [noise, stored, *(use for use, _ in more)], [limit, memory, *(most for _, most in more)]
    limits = [most if r in rows else math.inf for r, most in enumerate(limits)]
    nothing = np.zeros_like(np.array(cost))
    try:
        found = mckp.solve(
            nothing, np.array(uses), np.array(limits), on_grid=False, time_limit=clock.left, max_labels=SEARCHED
        )
    except InputError:
        return False
    if found.status != "infeasible" or found.tree is None:
        return False
    others = list(zip(uses[2:], limits[2:], strict=True))
    return check_tree(cost, noise, limits[0], stored, limits[1], found.tree, math.inf, offset, others).accepted


class _Run(NamedTuple):
    """Neighbouring cuts that break the same limits, and what the first of them breaks."""

    first: int
    last: int
    broken: Broken


MOST_ITEMS = 5000
"""Tensors of all cuts together that are looked at to say what the cuts break: those of a chain of 100 layers."""

MOST_REASONS = 6
"""Lines about what cuts break."""


def reasons(table: CutTable, clock: Clock) -> list[str]:
    """What each cut of a problem without a plan breaks, a line for neighbours that break the same."""
    runs: list[_Run] = []
    items = 0
    for p in table.problem.admissible_cuts.tolist():
        items += p
        if runs and (clock.over or items > MOST_ITEMS):
            break
        broken = broken_limits(table, p, clock, runs[-1].broken.names if runs else ())
        if runs and runs[-1].broken.names == broken.names:
            runs[-1] = runs[-1]._replace(last=p)
        elif len(runs) == MOST_REASONS:
            break
        else:
            runs.append(_Run(p, p, broken))
    lines = []
    for first, last, broken in runs:
        where = f"cut {first} breaks" if first == last else f"cuts {first} to {last} break"
        amounts = f": {broken.amounts}" if broken.amounts else ""
        lines.append(f"{where} {broken.words}{amounts if first == last or not amounts else f' (cut {first}{amounts})'}")
    end = int(table.problem.admissible_cuts[-1])
    if runs and runs[-1].last < end:
        lines.append(f"cuts {runs[-1].last + 1} to {end} hold no plan either; what they break was not looked at")
    return lines

"""From requests to multipliers: samples, full passes in a box, then the core's multipliers; and to a plan.

First a sample of 3000 requests, then one of 30 000 (of much larger fleets), then all of them, near what the
sample says: the level bundle method (`qopt.fleet.methods.bundle`). Then the core (`qopt.fleet.methods.core`) moves the
multipliers to where no single request is wrong, in a few passes, and its vertex becomes the plan
(`qopt.fleet.methods.rounding`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qopt.core.arrays import AnyArray, FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.fleet.arrays import Group, Key, Shard
from qopt.fleet.engine import Engine
from qopt.fleet.grid import Grid
from qopt.fleet.methods.bundle import Dual, Evaluate, maximise, value_of
from qopt.fleet.methods.core import Core, Items, items, solve_core
from qopt.fleet.methods.rounding import polished, rounded, split_rows
from qopt.fleet.near import margins, near, sample
from qopt.fleet.passes import choices, dual_pass, merged

SAMPLES = ((3_000, 1e-4), (30_000, 1e-5))
"""Rows of the samples, and how closely their dual is maximised."""

LARGER = 4
"""A fleet must be so many times larger than a sample for it to be worth taking."""

CLOSE = 1e-6
"""How closely the full dual is maximised by the bundle before the core takes over."""

WIDTH, AT_LEAST = 0.1, 1e-3
"""Half the width of the box: a tenth of each multiplier, and a share of what makes its capacity worth all costs."""

ROUNDS = 300
"""Passes of one climb, at most."""

CORES = 10
"""Times that a core is solved, at most."""

WIDEN = 4
"""Times by which a core grows that is too small: it cannot keep the capacities, or its multipliers lead astray."""

ENOUGH = 1e-9
"""Share of the value by which the core's vertex may be above it: then no multipliers are better by more."""

ROWS = 5_000
"""Requests of the first core, about; half of them where there are fewer."""

ALL = 1_000
"""Rows of a fleet whose core is all of it, with every option."""

MARGINS = 30_000
"""Rows of the sample that says how wide the core's margin is."""


@dataclass(frozen=True, repr=False)
class Climbed(Brief):
    """Multipliers, what they prove, and the core there.

    Attributes
    ----------
    grid, lam : multipliers on their grid.
    value : the dual function there.
    load : of the plan that they choose, capacities aside.
    bound, best : the largest value of the dual function that was met, and its multipliers.
    passes : passes over all requests.
    core, own, margin, groups, left : the core at `lam`: its vertex, items, margin, requests, and what others leave.
    """

    grid: Grid
    lam: IntArray
    value: Fraction
    load: IntArray
    bound: Fraction
    best: IntArray
    passes: int
    core: Core | None
    own: Items
    groups: list[Group]
    left: IntArray
    margin: float

    @property
    def above(self) -> bool:
        """Whether the core's vertex is above some capacity, by more than rounding: the core is too small."""
        if self.core is None:
            return False
        size = np.maximum(self.own.use.max(axis=0, initial=1), 1)
        return bool((self.core.above > 1e-6 * size).any())


def climb(
    engine: Engine,
    *,
    clock: Clock,
    start: IntArray | None = None,
    known: Grid | None = None,
    close: float = CLOSE,
) -> Climbed:
    """Maximise the dual function of all requests of an engine.

    Parameters
    ----------
    engine : that holds the requests.
    clock : ends it after the pass that runs.
    start : (K,) multipliers on the grid to begin at, in the place of samples.
    known : the grid, where it is known.
    close : share of the value at which the bundle hands over to the core.
    """
    shared = engine.tables
    own = engine.grid() if known is None else known
    capacity = shared.capacity
    count, rows = (sum(part) for part in zip(*engine.map(_sizes), strict=True))
    before = engine.passes
    centre = np.zeros(len(capacity), dtype=np.int64) if start is None else np.minimum(start, own.most)
    if start is None:
        for size, gap in SAMPLES:
            if rows >= LARGER * size and not clock.over:
                drawn = engine.map(_sample, size / rows)
                share = sum(int(group.counts.sum()) for shard in drawn for group in shard) / count
                evaluate = _here(drawn, engine, own)
                found = _boxed(evaluate, engine, own, capacity * share, centre, gap, clock)
                centre = found.lam
    whole = _boxed(lambda lam: engine.evaluate(lam, own.shift), engine, own, capacity, centre, close, clock)
    lam, value = whole.lam, whole.value
    size, best = ROWS, None
    for _ in range(CORES):
        margin = _margin(engine, lam, own, rows, size)
        best = _core(engine, own, lam, margin, clock)
        core = best.core
        if core is None or clock.over:
            break
        if best.above:
            if not np.isfinite(margin):
                break
            size *= WIDEN
            continue
        lengths = float(best.own.length @ core.x) + float(own.value(lam) @ (best.left - best.own.use.T @ core.x))
        nxt = own.rounded(core.multipliers)
        if lengths <= ENOUGH * abs(float(value)) or (nxt == lam).all():
            break
        reached = value_of(engine.evaluate(nxt, own.shift), shared, nxt, own, capacity)[0]
        if reached > value:
            lam, value = nxt, reached
        elif np.isfinite(margin):
            size *= WIDEN
        else:
            break
    assert best is not None
    return replace(best, bound=value, best=lam, passes=engine.passes - before)


def _core(engine: Engine, own: Grid, lam: IntArray, margin: float, clock: Clock) -> Climbed:
    """The core at some multipliers, and its vertex."""
    shared, capacity = engine.tables, engine.tables.capacity
    value, load = value_of(engine.evaluate(lam, own.shift), shared, lam, own, capacity)
    groups = joined(group for part in engine.map(near, lam, own.shift, margin) for group in part)
    inside = items(groups, shared, lam, own, margin)
    left = capacity - (load - inside.use[inside.first].T @ inside.count)
    core = None if clock.over else solve_core(inside, left, own.value(lam), clock)
    return Climbed(own, lam, value, load, value, lam, 0, core, inside, groups, left, margin)


def joined(parts: Iterable[Group]) -> list[Group]:
    """Groups put together, each with its rows in order: the same however the requests lie in shards."""
    of: dict[Key, list[Group]] = {}
    for group in parts:
        of.setdefault(group.key, []).append(group)
    found = []
    for key, members in sorted(of.items()):
        row, up, down, penalty, count = (
            np.concatenate([getattr(group, name) for group in members])
            for name in ("row", "up", "down", "penalty", "counts")
        )
        deadlines = [group.deadline for group in members if group.deadline is not None]
        deadline = np.concatenate(deadlines) if deadlines else None
        found.append(Group(key, row, up, down, deadline, penalty, count).take(np.argsort(row)))
    return found


def _boxed(
    evaluate: Evaluate,
    engine: Engine,
    own: Grid,
    capacity: FloatArray | IntArray,
    centre: IntArray,
    gap: float,
    clock: Clock,
) -> Dual:
    """Climb from a box around a centre; from a wide one where the centre is nothing."""
    shared = engine.tables
    value = value_of(evaluate(centre), shared, centre, own, capacity)[0]
    worth = own.rounded(max(float(abs(value)), 1.0) / np.maximum(capacity, 1.0))
    width = np.maximum((centre * WIDTH).astype(np.int64), (worth * AT_LEAST).astype(np.int64) + 1)
    free = not centre.any()
    low = np.zeros_like(centre) if free else np.maximum(centre - width, 0)
    high = np.minimum(own.most, 10 * worth + 1 if free else centre + width)
    return maximise(evaluate, shared, own, capacity, centre, low, high, gap=gap, rounds=ROUNDS, clock=clock)


def _here(drawn: list[Shard], engine: Engine, own: Grid) -> Evaluate:
    """A pass over a sample, in this process."""
    return lambda lam: merged(dual_pass(shard, engine.tables, lam, own.shift) for shard in drawn)


def _sizes(shard: Shard, _: object) -> tuple[int, int]:
    """How many requests, and in how many rows."""
    return sum(int(group.counts.sum()) for group in shard), sum(len(group) for group in shard)


def _sample(shard: Shard, _: object, share: float) -> Shard:
    return sample(shard, share)


def _sampled_margins(shard: Shard, tables: object, share: float, lam: IntArray, shift: int) -> FloatArray:
    drawn = sample(shard, share)
    return margins(drawn, tables, lam, shift) if drawn else np.zeros(0)  # type: ignore[arg-type]


def _margin(engine: Engine, lam: IntArray, own: Grid, rows: int, size: int) -> float:
    """The margin that leaves about so many requests in the core; infinite where that is all of them."""
    if rows <= ALL:
        return float("inf")
    size = min(size, rows // 2) if size <= ROWS else size
    if rows <= size:
        return float("inf")
    found = np.concatenate(engine.map(_sampled_margins, min(1.0, MARGINS / rows), lam, own.shift))
    choosing = found[np.isfinite(found)]  # the others have one column only
    share = size / rows * len(found) / max(len(choosing), 1)
    return float(np.quantile(choosing, share)) if share < 1.0 else float("inf")


@dataclass(frozen=True, repr=False)
class Planned(Brief):
    """A plan that keeps all capacities.

    Attributes
    ----------
    option : (n,) column of each row.
    splits : row, column and count where a row's requests do not all take its column.
    objective : what it costs.
    room : (K,) what it leaves of the capacities.
    """

    option: IntArray
    splits: tuple[tuple[int, int, int], ...]
    objective: int
    room: IntArray


def plan(engine: Engine, climbed: Climbed, rows: int, clock: Clock) -> Planned | None:
    """The plan of a climb: what the multipliers choose, and the core's vertex, rounded.

    Parameters
    ----------
    engine : as for the climb.
    climbed : where it ended.
    rows : of the problem.
    clock : ends the search for a better rounding.

    Returns
    -------
    None where there is no vertex that keeps the capacities.
    """
    own, core = climbed.own, climbed.core
    if core is None or climbed.above:
        return None
    if not len(own.row):
        best_x, room = np.zeros(0, dtype=np.int64), climbed.left
    else:
        own, x = _with_whole_menus(climbed, engine, split_rows(own, core.x))
        split = split_rows(own, x)
        begun = rounded(own, x, climbed.left, clock)
        if begun is None:
            return None
        if split.any():
            begun = polished(own, begun, climbed.left, climbed.grid.value(climbed.lam), split, clock)
        best_x, room = begun.x, begun.room
    option = np.zeros(rows, dtype=np.int64)
    for at, column in engine.map(choices, climbed.lam, climbed.grid.shift):
        option[at] = column
    splits: list[tuple[int, int, int]] = []
    order = np.argsort(best_x, kind="stable")
    main = np.full(len(own.row), -1, dtype=np.int64)
    main[own.of[order]] = order
    option[own.row] = own.column[main]
    for item in np.flatnonzero(best_x > 0).tolist():
        if item != main[own.of[item]]:
            splits.append((int(own.row[own.of[item]]), int(own.column[item]), int(best_x[item])))
    # The plan of the multipliers costs the value less lam (load - C); the core's rows are exchanged in it.
    lam, shift = climbed.lam, climbed.grid.shift
    over = sum(
        int(a) * int(b) for a, b in zip(lam.tolist(), (climbed.load - engine.tables.capacity).tolist(), strict=True)
    )
    base = climbed.value - Fraction(over, 1 << shift)
    exchanged = int(own.cost @ best_x) - int(own.cost[own.first] @ own.count)
    return Planned(option, tuple(splits), int(base) + exchanged, room)


def _with_whole_menus(climbed: Climbed, engine: Engine, split: AnyArray) -> tuple[Items, FloatArray]:
    """The core's items, and all columns of the requests that its vertex splits."""
    own, core = climbed.own, climbed.core
    assert core is not None
    if not np.isfinite(climbed.margin):
        return own, core.x
    rows = own.row[split]
    parts: list[Items] = []
    for inside, margin in ((False, climbed.margin), (True, float("inf"))):
        groups = [group.take(np.flatnonzero(np.isin(group.row, rows) == inside)) for group in climbed.groups]
        parts.append(items([g for g in groups if len(g)], engine.tables, climbed.lam, climbed.grid, margin))
    a, b = parts
    both = Items(
        np.concatenate((a.row, b.row)),
        np.concatenate((a.count, b.count)),
        np.concatenate((a.of, b.of + len(a.row))),
        np.concatenate((a.column, b.column)),
        np.concatenate((a.cost, b.cost)),
        np.concatenate((a.use, b.use)),
        np.concatenate((a.length, b.length)),
    )
    value = {
        key: x
        for *key_, x in zip(own.row[own.of].tolist(), own.column.tolist(), core.x.tolist(), strict=True)
        for key in (tuple(key_),)
    }
    keys = zip(both.row[both.of].tolist(), both.column.tolist(), strict=True)
    return both, np.array([value.get(key, 0.0) for key in keys])

"""Search of a multiple-choice knapsack with several rows: many partial choices at a time, bounded by multipliers.

The classes of a `Core` are decided one after the other. Partial choices (labels) of one stage are extended
together, as arrays; each extension has the largest of the Lagrangian bounds that the multipliers known
give it, and goes when that reaches the best choice. Where many stay, the relaxation of one of them is
solved: its multipliers are good for its neighbours, too. Blocks of labels are searched depth first, least
bounds first, so that good choices come early and few labels are kept.

Every extension remembers the multipliers that closed it. Read back, that is a tree of splits and leaves: a proof.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.knapsack.rows_core import Core, SuffixBounds
from qopt.kernels.knapsack.rows_incumbent import Incumbent
from qopt.kernels.knapsack.rows_relaxation import Relaxation
from qopt.kernels.nodes import Node

LABELS_A_PROGRAM = 40
"""So many labels are worth the linear program of one of them. Measured: at 10 a third more programs save 3 % of the
labels, at 160 half of the programs leave a quarter more labels."""

LEAST_SHARE, FUTILE_PROGRAMS = 0.05, 2
"""A program that closes a smaller share of a block's labels was in vain; after two of these in a row none is solved.
Measured: shares of 0.01 and 0.2 trade 8 % fewer labels for 40 % more programs and the reverse; after one or four in
vain there are a quarter or a half more labels."""

MULTIPLIERS_A_STAGE = 64
"""Multipliers found in the search that are kept for a stage: the newest. Measured: 16 and 256 are as good; this bounds
memory and the time of a stage."""

STAGES_A_PROGRAM = 4
"""A program's multipliers are kept for its stage and the next ones, so many in all. Measured: for its own stage alone
they leave two thirds more labels, for 16 stages 3 % fewer."""

STRIDE = 7919
"""Steps through a block to the labels whose programs are solved. A prime, so that all labels of a block come before one
comes again, unless their number is a multiple of it; and large, so that neighbours, which are alike, do not follow each
other (measured: steps of 1 leave an eighth more labels)."""

LABELS_ON_STACK = 4_000_000
"""About what all blocks that wait hold: one of every stage, with all of its options."""

SMALLEST_BLOCK, LARGEST_BLOCK = 256, 4_000
"""Labels extended together: enough for arrays to pay, few enough for the cache, and for good choices to come early.
Measured: at most 1000 or 16 000 make no difference."""


@dataclass(kw_only=True, repr=False)
class Block(Brief):
    """Labels of one stage.

    Attributes
    ----------
    cost, weight : (m,) and (m, R) sums of what is decided.
    bound, by : (m,) lower bound, and the name of the multipliers that give it; -1 - r: row r cannot be kept.
    parent, row, option : where each label comes from: a block, (m,) a label there, (m,) an option of that stage.
    extended : labels that were extended, once they were.
    names : (extended, options) what the extensions' bounds came from.
    children : blocks of extensions that stayed open.
    """

    stage: int
    cost: FloatArray
    weight: FloatArray
    bound: FloatArray
    by: IntArray
    parent: Block | None
    row: IntArray
    option: IntArray
    extended: IntArray | None = None
    names: IntArray | None = None
    children: list[Block] = field(default_factory=list)

    def decided(self, label: int) -> IntArray:
        """(stage,) the options a label took.

        Parameters
        ----------
        label : its place.
        """
        taken: list[int] = []
        block: Block | None = self
        while block is not None and block.parent is not None:
            taken.append(int(block.option[label]))
            label, block = int(block.row[label]), block.parent
        return np.array(taken[::-1], dtype=np.int64)


@dataclass(repr=False)
class MultiplierPool(Brief):
    """All multipliers ever used; their names are their places, and the first are zero in every row.

    Attributes
    ----------
    multipliers : (R,) each.
    """

    multipliers: list[FloatArray]

    def add(self, multipliers: FloatArray) -> int:
        """Name of new multipliers.

        Parameters
        ----------
        multipliers : of the rows, (R,) or one set a row.
        """
        self.multipliers.append(multipliers)
        return len(self.multipliers) - 1

    def of(self, names: Iterable[int]) -> FloatArray:
        """(J, R) multipliers of some names.

        Parameters
        ----------
        names : places in the pool of multipliers.
        """
        return np.array([self.multipliers[name] for name in names])


class Search:
    """One search of a core.

    Parameters
    ----------
    core : the classes in their order.
    incumbent : the best choice so far.
    pool : takes the multipliers that the search finds.
    common : names of the multipliers that are tried at every stage.
    relaxation : over the core's classes in their order; None to make do with the multipliers knspecial.
    deadline : `time.perf_counter` at which to stop.
    max_labels : extensions looked at before it stops.
    max_recorded : extensions remembered for a tree before that is given up.
    """

    def __init__(
        self,
        core: Core,
        incumbent: Incumbent,
        pool: MultiplierPool,
        common: list[int],
        *,
        relaxation: Relaxation | None,
        deadline: float | None,
        max_labels: int,
        max_recorded: int,
    ) -> None:
        self.core, self.incumbent, self.pool, self.relaxation = core, incumbent, pool, relaxation
        self.deadline, self.max_labels, self.max_recorded = deadline, max_labels, max_recorded
        self.common = core.suffix_bounds(pool.of(common), np.array(common, dtype=np.int64))
        self.of_stage: list[SuffixBounds | None] = [None] * (core.stages + 1)
        self.labels, self.recorded, self.recording = 0, 0, max_recorded > 0
        self.closing: list[IntArray] = [np.zeros(0, dtype=np.int64)] * (core.stages + 1)
        """By classes decided: how many labels each multiplier closed in the last search, by name."""
        self._counting = False
        self.open_bound = np.inf
        bounds = core.base_cost + core.base_weight @ self.common.multipliers + self.common.bound[:, 0]
        at = int(np.argmax(bounds))
        none = np.zeros(1, dtype=np.int64)
        self.root = Block(
            stage=0,
            cost=np.array([core.base_cost]),
            weight=core.base_weight[None].copy(),
            bound=bounds[at : at + 1],
            by=self.common.names[at : at + 1].copy(),
            parent=None,
            row=none,
            option=none,
        )
        self._relaxed = 0

    @property
    def programs(self) -> int:
        """Relaxations solved."""
        return self.relaxation.programs if self.relaxation else 0

    @property
    def late(self) -> bool:
        """Whether a limit is reached."""
        return self.labels >= self.max_labels or (self.deadline is not None and time.perf_counter() >= self.deadline)

    def beam(self, width: int) -> None:
        """Look for good choices only: at every stage the labels of least bound go on.

        Parameters
        ----------
        width : labels kept in a round or at a stage.
        """
        block = self.root
        for _ in range(self.core.stages):
            found = self._extend(block, np.arange(len(block.cost)))
            if found is None or self.late:
                return
            order = np.argsort(found.bound, kind="stable")[:width]
            block = _selected(found, order)
        self._finish(block)

    def run(self) -> bool:
        """Search everything; whether it came to its end. If not, `open_bound` is the least bound of what is open."""
        size = max(SMALLEST_BLOCK, min(LARGEST_BLOCK, LABELS_ON_STACK // max(1, sum(map(len, self.core.options)))))
        stacks: list[list[Block]] = [[] for _ in range(self.core.stages + 1)]
        stacks[0].append(self.root)
        self._counting, deepest = True, 0
        while deepest >= 0:
            if not stacks[deepest]:
                deepest -= 1
                continue
            if self.late:
                self.open_bound = min(float(block.bound.min()) for stack in stacks for block in stack)
                return False
            block = stacks[deepest].pop()
            if deepest == self.core.stages:
                self._finish(block)
                continue
            closed = block.bound >= self.incumbent.cutoff
            self.incumbent.note_closed(block.bound[closed])
            rows = np.flatnonzero(~closed)
            found = self._extend(block, rows) if rows.size else None
            if found is None:
                continue
            order = np.argsort(-found.bound, kind="stable")
            deepest += 1
            # Least bounds are pushed last, so that they come first.
            for begin in range(0, len(order), size):
                child = _selected(found, order[begin : begin + size])
                stacks[deepest].append(child)
                if self.recording:
                    block.children.append(child)
        return True

    def _extend(self, block: Block, rows: IntArray) -> Block | None:
        """Decide one more class for some labels of a block; what stays open, None if nothing does."""
        core, incumbent, stage = self.core, self.incumbent, block.stage
        width = len(core.options[stage])
        cost, weight = core.cost[stage, :width], core.weight[:, stage, :width]
        self.labels += len(rows) * width
        label_c, label_w, table = block.cost[rows], block.weight[rows], self.common
        left = label_c[:, None] + label_w @ table.multipliers
        right = cost[:, None] + weight.T @ table.multipliers + table.bound[:, stage + 1]
        bounds = left[:, None, :] + right[None]
        at = np.argmax(bounds, axis=2)
        bound = np.take_along_axis(bounds, at[:, :, None], axis=2)[:, :, 0]
        names = table.names[at]
        cutoff = incumbent.cutoff
        fits = np.ones(bound.shape, dtype=bool)
        for r, most in enumerate(core.data.capacity + core.data.margin - core.least[:, stage + 1]):
            heavy = label_w[:, r, None] + weight[r] > most
            names[heavy] = -1 - r
            fits &= ~heavy
        shut = fits & (bound >= cutoff)
        incumbent.note_closed(bound[shut])
        self._count(names[shut], stage + 1)
        row, option = np.nonzero(fits & (bound < cutoff))
        if self.recording:
            self.recorded += names.size
            if self.recorded > self.max_recorded:
                self._forget()
            else:
                block.extended, block.names = rows, names
        found = Block(
            stage=stage + 1,
            cost=label_c[row] + cost[option],
            weight=label_w[row] + weight[:, option].T,
            bound=bound[row, option],
            by=names[row, option],
            parent=block,
            row=rows[row],
            option=option,
        )
        place = row * width + option
        special = self.of_stage[stage + 1]
        if special is not None and len(place):
            values = found.cost[:, None] + found.weight @ special.multipliers + special.bound[:, 0]
            at = np.argmax(values, axis=1)
            self._raise(found, values[np.arange(len(at)), at], special.names[at])
            found, place = self._closed(found, place, names)
        self._complete(found, self.common, stage + 1)
        if special is not None:
            self._complete(found, special, 0)
        if self.relaxation is not None and stage + 1 < core.stages:
            found, place = self._relax(found, place, names, self.relaxation)
        return found if len(found.cost) else None

    def _raise(self, block: Block, values: FloatArray, names: IntArray | int) -> None:
        better = values > block.bound
        block.by = np.where(better, names, block.by)
        block.bound = np.where(better, values, block.bound)

    def _closed(self, block: Block, place: IntArray, names: IntArray) -> tuple[Block, IntArray]:
        """A block without the labels whose bounds suffice; their multipliers are noted in `names` at their `place`."""
        closed = block.bound >= self.incumbent.cutoff
        if not closed.any():
            return block, place
        names.ravel()[place[closed]] = block.by[closed]
        self._count(block.by[closed], block.stage)
        self.incumbent.note_closed(block.bound[closed])
        stays = np.flatnonzero(~closed)
        return _selected(block, stays), place[stays]

    def _count(self, names: IntArray, stage: int) -> None:
        """Note what closed labels of a stage."""
        if not self._counting or not names.size:
            return
        more, counts = np.bincount(np.maximum(names, 0)), self.closing[stage]
        if len(more) < len(counts):
            more, counts = counts, more
        more[: len(counts)] += counts
        self.closing[stage] = more

    def sums(self, leaf: Callable[[int], Node], most: int) -> Node:
        """A leaf that has its checker make these labels again, with the multipliers that closed most at each stage.

        Parameters
        ----------
        leaf : makes leaves from names.
        most : multipliers of a stage.
        """
        stages = []
        for counts in self.closing[1:]:
            order = np.argsort(-counts[1:], kind="stable")[:most] + 1  # name 0 is no multiplier at all
            stages.append([leaf(name)[2:] for name in order[counts[order] > 0].tolist()])
        return ["sums", self.core.classes.tolist(), stages]

    def _relax(self, block: Block, place: IntArray, names: IntArray, relaxation: Relaxation) -> tuple[Block, IntArray]:
        """Solve relaxations of single labels for as long as their multipliers close many others."""
        core, in_vain = self.core, 0
        while len(block.cost) > LABELS_A_PROGRAM and in_vain < FUTILE_PROGRAMS and not self.late:
            self._relaxed += 1
            label = self._relaxed * STRIDE % len(block.cost)
            multipliers = relaxation.multipliers(core.data.capacity - block.weight[label], block.stage)
            if multipliers is None:
                break
            found = core.suffix_bounds(multipliers[None], np.array([self.pool.add(multipliers)]))
            here = self._keep(found, block.stage)
            values = block.cost + block.weight @ multipliers + here.bound[0, 0]
            self._raise(block, values, int(here.names[0]))
            self._complete(block, here, 0)
            before = len(block.cost)
            block, place = self._closed(block, place, names)
            in_vain = in_vain + 1 if len(block.cost) > (1.0 - LEAST_SHARE) * before else 0
        return block, place

    def _keep(self, found: SuffixBounds, stage: int) -> SuffixBounds:
        """Keep multipliers for the next stages; what they say at this one."""
        for at in range(stage, min(stage + STAGES_A_PROGRAM, self.core.stages + 1)):
            new = _at(found, at)
            old = self.of_stage[at]
            self.of_stage[at] = new if old is None else _joined(old, new)
        return _at(found, stage)

    def _complete(self, block: Block, table: SuffixBounds, stage: int) -> None:
        """Offer the cheapest of all labels completed by the items that some multipliers pick."""
        if not len(block.cost):
            return
        fits: BoolArray = np.ones((len(block.cost), len(table.names)), dtype=bool)
        for r, capacity in enumerate(self.core.data.capacity):
            fits &= block.weight[:, r, None] + table.weight[r, :, stage] <= capacity
        total = np.where(fits, block.cost[:, None] + table.cost[:, stage], np.inf)
        label, j = divmod(int(np.argmin(total)), total.shape[1])
        if total[label, j] < self.incumbent.value:
            self.incumbent.offer(self.core.complete(block.decided(label), table.multipliers[:, j]))

    def _finish(self, block: Block) -> None:
        """Labels that decide everything: the exact test admits them or names the row that they break."""
        for label in np.argsort(block.cost, kind="stable"):
            if block.bound[label] >= self.incumbent.cutoff or block.cost[label] >= self.incumbent.cutoff:
                if block.bound[label] < block.cost[label]:
                    block.by[label], block.bound[label] = 0, block.cost[label]
                self.incumbent.note_closed(block.bound[label : label + 1])
                continue
            choice = self.core.complete(block.decided(int(label)), self.pool.multipliers[0])
            broken = self.core.data.broken(choice)
            if broken is None:
                self.incumbent.offer(choice)
            block.by[label] = 0 if broken is None else -1 - broken
            block.bound[label] = block.cost[label] if broken is None else np.inf

    def _forget(self) -> None:
        """Give up the tree: blocks that are done may go."""
        self.recording = False
        waiting = [self.root]
        while waiting:
            block = waiting.pop()
            waiting += block.children
            block.children, block.names, block.extended = [], None, None


def _selected(block: Block, which: IntArray) -> Block:
    return Block(
        stage=block.stage,
        cost=block.cost[which],
        weight=block.weight[which],
        bound=block.bound[which],
        by=block.by[which],
        parent=block.parent,
        row=block.row[which],
        option=block.option[which],
    )


def _at(table: SuffixBounds, stage: int) -> SuffixBounds:
    """A table at one stage alone."""
    one = slice(stage, stage + 1)
    return SuffixBounds(
        table.multipliers, table.names, table.bound[:, one], table.cost[:, one], table.weight[:, :, one]
    )


def _joined(old: SuffixBounds, new: SuffixBounds) -> SuffixBounds:
    last = slice(1 - MULTIPLIERS_A_STAGE, None)
    return SuffixBounds(
        np.concatenate((old.multipliers[:, last], new.multipliers), axis=1),
        np.concatenate((old.names[last], new.names)),
        np.concatenate((old.bound[last], new.bound)),
        np.concatenate((old.cost[last], new.cost)),
        np.concatenate((old.weight[:, last], new.weight), axis=1),
    )

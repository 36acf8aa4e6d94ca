"""Multiple-choice knapsack with several budget rows, exactly, with a proof.

    minimise sum_i cost[i, c_i]  subject to  sum_i weight[r, i, c_i] <= limit[r] for every r,  one item c_i per class

The linear relaxation gives multipliers of the rows and a Lagrangian bound; a narrow search finds a good
choice; items whose reduced cost passes it leave; a search over what remains, bounded by many multipliers,
decides (`qopt.kernels.knapsack.rows_search`). What closed each part is written down as a tree, which is the proof.

For many rows and classes no such search comes to an end in reasonable time; then the best choice and the
bound proved so far are the answer.

Constants here and in `rows_search` that are called measured were tried at about a quarter of and four times their
value, on 13 knapsacks of two rows and 50 to 100 classes or five rows and 40 to 45 (kinds of the kernels' benchmark).
Labels and programs were counted, which no machine changes; no value is the best for all of the 13.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.errors import InputError
from qopt.core.limits import limits_with_slack
from qopt.kernels.arguments import check_options, table
from qopt.kernels.exact import Late
from qopt.kernels.knapsack.exact import ExactKnapsack, few_items
from qopt.kernels.knapsack.late import late_answer, with_choice
from qopt.kernels.knapsack.ranges import far_cheaper, shifted_exponent
from qopt.kernels.knapsack.result import Result, Status
from qopt.kernels.knapsack.rows_core import SLACK_TERMS, Core, Shifted, shifted
from qopt.kernels.knapsack.rows_incumbent import Incumbent
from qopt.kernels.knapsack.rows_relaxation import Relaxation
from qopt.kernels.knapsack.rows_search import MultiplierPool, Search
from qopt.kernels.knapsack.rows_tree import grouped, leaves, subtree
from qopt.kernels.knapsack.ties import merge
from qopt.kernels.nodes import Node
from qopt.kernels.tolerances import EPSILON

BRANCH_NODES = 100_000
"""Nodes of a tree before it is given up."""

MAX_LABELS = 100_000_000
"""Extensions of partial choices looked at before the search stops with a bound."""

RECORDED_PER_NODE = 20
"""Extensions remembered for a node that the tree may have: those that the same multipliers close share a leaf. Chosen:
memory for trees that fit in the end, at 8 bytes an extension."""

PROOF_LABELS, STAGE_MULTIPLIERS = 3_000_000, 48
"""Where a tree would be too large: extensions that a checker may be asked to make again, some ten microseconds each,
and multipliers that it tries on those of a stage. Chosen; what a stage leaves open the next one closes."""

FIRST_WIDTH, SECOND_WIDTH = 20, 100
"""Labels that the beam searches for a first and for a good choice keep at a stage. Measured: a quarter makes the last
search a quarter (first) and a half (second) larger, four times makes neither smaller."""

SMALL_CORE = 6
"""Open classes that need no more multipliers than the relaxation's. Measured: at 24 searches are half as large again,
and below 6 nothing changes."""

NEARBY_CAPACITIES = 7
"""Relaxations solved with capacities off by up to what one class can change, whose multipliers are tried at all
stages: what a search has left is not the relaxation's to the last unit. Measured: one or 28 change little, 3 % of the
labels."""

FIXING_MULTIPLIERS = 128
"""Multipliers of the pool whose reduced costs fix items before the last search, at most. Measured: 16 make that search
two thirds larger, and 1000 no smaller."""

AT_ONCE = 1_000_000
"""Reduced costs computed together: 8 MB an array."""

FIRST_SHARE = 0.5
"""Of the time limit, for the first linear program: the rest is for a choice, and for the program's end."""

SECONDS_A_NUMBER = 1e-6
"""For a number of the first linear program: it takes about half of this to hand it over, as much again to begin, and
only then does HiGHS look at the clock. Measured: 30 000 classes, 16 items, 5 rows."""

PENALTY = 1e3
"""Price of breaking a row in the relaxation, as a multiple of what all classes cost together: far above any cost.
No bound hangs on it: bounds are computed from the multipliers, whatever these are."""


def solve(
    cost: ArrayLike,
    weight: ArrayLike,
    limit: ArrayLike,
    *,
    ties: Sequence[Sequence[int]] | None = None,
    upper: float = math.inf,
    gap: float = 0.0,
    time_limit: float | None = None,
    branch_nodes: int | None = None,
    max_labels: int | None = None,
    on_grid: bool = True,
) -> Result:
    """Solve a multiple-choice knapsack with R rows to proved optimality.

    Parameters
    ----------
    cost : (n, k), a class a row.
    weight : (R, n, k).
    limit : (R,) on the sums of weights; infinite for none.
    others : as in `qopt.kernels.mckp.solve`, which says what is refused.
    ties : groups of classes that take the same column.
    upper : only answers of lower cost are of interest.
    gap : relative, that may stay unproved.
    time_limit : seconds; None for none.
    branch_nodes : nodes of a tree before it is given up.
    max_labels : labels kept before it stops.
    on_grid : whether numbers on a grid are made use of.

    Returns
    -------
    Result
        Its tree has R multipliers in every leaf, 0 for a row without a limit.
    """
    check_options(upper, gap, time_limit, branch_nodes=branch_nodes, max_labels=max_labels)
    # Who says how much may be searched or written has a clock of their own, which making labels again would overrun.
    relabel = on_grid and branch_nodes is None and max_labels is None
    branch_nodes = BRANCH_NODES if branch_nodes is None else branch_nodes
    max_labels = MAX_LABELS if max_labels is None else max_labels
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    cost, weight, limit = _checked(cost, weight, limit)
    tied = merge(ties, len(cost))
    rows = len(weight)
    kept = np.flatnonzero(np.isfinite(limit))
    allowed = limits_with_slack(limit[kept])
    if len(cost) == 0:
        broken = [r for r, most in zip(kept.tolist(), allowed.tolist(), strict=True) if most < 0]
        if broken:
            return Result("infeasible", tree=[["leaf", 0, *np.eye(rows)[broken[0]].tolist()]])
        cost, weight = np.zeros((1, 1)), np.zeros((rows, 1, 1))
        empty = solve(cost, weight, limit, upper=upper)
        return empty if empty.choice is None else replace(empty, choice=empty.choice[:0])
    options = _Options(
        upper=upper, gap=gap, deadline=deadline, branch_nodes=branch_nodes, max_labels=max_labels, relabel=relabel
    )
    known, all_allowed = math.inf, limits_with_slack(limit)
    while True:
        try:
            data = shifted(cost, weight[kept], allowed, on_grid, tied, known, deadline)
        except Late:
            return late_answer(cost, weight, all_allowed, tied, upper)
        run = _Run(data, cost, kept, rows, options)
        found = run.result()
        choice = run.incumbent.choice
        if data.scale is None or choice is None or found.status == "limit":
            break
        known = float(data.above[np.arange(len(choice)), choice].sum())
        if not far_cheaper(known, data.scale):
            break
    if found.status == "limit" and found.choice is None:
        return with_choice(found, late_answer(cost, weight, all_allowed, tied, upper))
    if not run.unsure or found.status in ("limit", "within-gap") or not few_items(cost) or run.late():
        return found
    return run.settled(found, ExactKnapsack(cost, weight, all_allowed, tied, run.given_multipliers, deadline))


@dataclass(frozen=True, kw_only=True)
class _Options:
    """Of `solve`, checked; the deadline by `time.perf_counter`; whether the proof may have labels made again."""

    upper: float
    gap: float
    deadline: float | None
    branch_nodes: int
    max_labels: int
    relabel: bool


class _Run:
    """One call of `solve`: what is still allowed, what is known, and the proof so far.

    Parameters
    ----------
    given_cost : (g, k), for the objective.
    kept : (R,) places, among all `rows`, of those with a limit.
    """

    def __init__(self, data: Shifted, given_cost: FloatArray, kept: IntArray, rows: int, options: _Options) -> None:
        self.data, self.given_cost, self.kept, self.rows = data, given_cost, kept, rows
        self.options, upper = options, options.upper
        below = shifted_exponent(upper - data.offset, -data.cost_unit)
        self.ceiling = data.ceiling
        self.incumbent = Incumbent(data, min(self.ceiling, below), options.gap, options.deadline)
        self.pool = MultiplierPool([np.zeros(len(kept))])
        self.allowed: BoolArray = np.ones(data.cost.shape, dtype=bool)
        self.fixed: list[tuple[int, dict[int, list[int]]]] = []
        """Classes and the columns that left, by what closed them."""
        self.last: int | None = None
        """What closes all that is left; None while something is open or the last columns of a class were dropped."""
        self.bound = -math.inf
        self.details: dict[str, object] = {}
        self.programs = 0
        self.open = False
        """Whether the time was over before the last search."""
        self.lost = False
        """Whether the proof has numbers beyond the range of floats."""
        self.root = 0
        """Place of the relaxation's multipliers in the pool."""

    def result(self) -> Result:
        search = self._search()
        if search is None:
            return self._stopped() if self.open else self._answer(self._tree(None))
        finished = search.run()
        self.programs += search.programs
        self.details |= {"labels": search.labels, "core": search.core.stages}
        if not finished:
            self.bound = max(self.bound, search.open_bound)
            return self._stopped()
        return self._answer(self._tree(search))

    @property
    def unsure(self) -> bool:
        """Whether floats could not tell or prove the answer found."""
        return self.lost or (self.incumbent.choice is not None and not self.incumbent.certain)

    @property
    def given_multipliers(self) -> FloatArray:
        """(rows,) the relaxation's, in the units given; infinite or 0 where floats end."""
        found: FloatArray = np.zeros(self.rows)
        with np.errstate(over="ignore"):
            found[self.kept] = np.ldexp(self.pool.multipliers[self.root], self.data.cost_unit - self.data.weight_unit)
        return found

    def settled(self, found: Result, whole: ExactKnapsack) -> Result:
        """An answer without a proof, told and proved in whole numbers; as it was where these are too many."""
        upper, choice = self.options.upper, self.incumbent.choice
        complete, better = whole.cheapest(whole.below(choice, upper))
        if not complete:
            return found
        choice = choice if better is None else better
        tree = whole.prove(whole.below(choice, upper), self.options.branch_nodes)
        if choice is None:
            return replace(found, tree=tree)
        given = choice[self.data.owner]
        objective = math.fsum(self.given_cost[np.arange(len(given)), given].tolist())
        if objective >= upper:
            return replace(found, tree=tree)
        status: Status = "optimal" if tree is not None else "optimal-by-solver"
        return Result(status, given, objective, objective, tree, found.details)

    def late(self) -> bool:
        """Whether the time is over."""
        return self.options.deadline is not None and time.perf_counter() >= self.options.deadline

    def _search(self) -> Search | None:
        """The search that is left to do; None if everything is closed, or left `open` because the time is over."""
        if self._too_heavy():
            return None
        data, pool = self.data, self.pool
        if self.options.deadline is not None:
            numbers = np.count_nonzero(self.allowed) * (1 + len(data.weight))
            if time.perf_counter() + SECONDS_A_NUMBER * numbers > self.options.deadline:
                self._fix([0])
                self.open = True
                return None
        first = self._relaxation(np.where(self.allowed, data.cost, np.inf), data.weight)
        for share in (FIRST_SHARE, 1.0):  # some of the time is for a choice
            found = first.multipliers(data.capacity, share=share)
            self.root = root = pool.add(pool.multipliers[0] if found is None else found)
            reduced = np.where(self.allowed, data.cost + np.tensordot(pool.multipliers[root], data.weight, 1), np.inf)
            self.incumbent.repair(np.argmin(reduced, axis=1), self.allowed, pool.multipliers[root])
            if not first.interrupted or self.late():
                break
        self.programs += first.programs
        common = [0, root]
        if not self.late():
            self._search_in(common, None).beam(FIRST_WIDTH)
        if self._fix(common):
            return None
        self.details["lp_bound"] = data.offset + math.ldexp(self.bound, data.cost_unit)
        if self.late():
            self.open = True
            return None
        core = Core(data, self.allowed, pool.multipliers[root])
        if core.stages > SMALL_CORE:
            relaxation = self._relaxation(core.cost, core.weight)
            rng = np.random.default_rng(0)
            reach = np.where(np.isfinite(core.cost), core.weight, 0.0).std(axis=2).max(axis=1)
            for _ in range(NEARBY_CAPACITIES):
                near = relaxation.multipliers(
                    data.capacity - core.base_weight + rng.uniform(-1.0, 1.0, len(reach)) * reach
                )
                if near is not None:
                    common.append(pool.add(near))
                if self.late():
                    break
            self.programs += relaxation.programs
            if self._fix(common):
                return None
            search = self._search_in(common, root)
            search.beam(SECOND_WIDTH)
            self.programs += search.programs
            # Evenly: those found late in the search are for rows that are nearly full.
            known = len(pool.multipliers)
            if self._fix(list(range(0, known, 1 + known // FIXING_MULTIPLIERS))):
                return None
        return self._search_in(common, root, self.options.branch_nodes)

    def _search_in(self, common: list[int], order: int | None, branch_nodes: int = 0) -> Search:
        """A search of what is allowed now; with relaxations if an order is given by multipliers for it."""
        core = Core(self.data, self.allowed, self.pool.multipliers[common[-1] if order is None else order])
        relaxation = None
        if order is not None and core.stages > SMALL_CORE:
            relaxation = self._relaxation(core.cost, core.weight)
        return Search(
            core,
            self.incumbent,
            self.pool,
            common,
            relaxation=relaxation,
            deadline=self.options.deadline,
            max_labels=self.options.max_labels,
            max_recorded=RECORDED_PER_NODE * branch_nodes,
        )

    def _relaxation(self, cost: FloatArray, weight: FloatArray) -> Relaxation:
        return Relaxation(cost, weight, PENALTY * self.ceiling, self.options.deadline)

    def _too_heavy(self) -> bool:
        """Drop items that break a row beside the lightest of all others; whether that leaves nothing."""
        data = self.data
        for r, capacity in enumerate(data.capacity):
            if capacity < 0:
                self.last = -1 - r
                return True
        for r, most in enumerate(data.capacity + data.margin):
            heavy = self.allowed & (data.weight[r] > most)
            for i in np.flatnonzero(heavy.any(axis=1)):
                self.fixed.append((int(i), {-1 - r: np.flatnonzero(heavy[i]).tolist()}))
                self.allowed[i] &= ~heavy[i]
                if not self.allowed[i].any():
                    return True
        return False

    def _fix(self, names: list[int]) -> bool:
        """Fix items out whose reduced costs pass the cutoff; whether everything is closed."""
        data, cutoff = self.data, self.incumbent.cutoff
        bound, by = np.full(data.cost.shape, -np.inf), np.zeros(data.cost.shape, dtype=np.int64)
        at_once = max(1, AT_ONCE // data.cost.size)
        for begin in range(0, len(names), at_once):
            if begin and self.late():
                break
            some = np.array(names[begin : begin + at_once], dtype=np.int64)
            multipliers = self.pool.of(some)
            reduced = np.where(self.allowed, data.cost + np.tensordot(multipliers, data.weight, 1), np.inf)
            least = reduced.min(axis=2)
            constant = multipliers @ data.capacity
            whole = least.sum(axis=1) - constant - EPSILON * (len(least[0]) + SLACK_TERMS) * constant
            best = int(np.argmax(whole))
            self.bound = max(self.bound, float(whole[best]))
            if whole[best] >= cutoff:
                self.incumbent.note_closed(whole[best : best + 1])
                self.last = int(some[best])
                return True
            values = whole[:, None, None] + (reduced - least[:, :, None])
            top = np.argmax(values, axis=0)
            value = np.take_along_axis(values, top[None], axis=0)[0]
            by, bound = np.where(value > bound, some[top], by), np.maximum(bound, value)
        gone = self.allowed & (bound >= cutoff)
        self.incumbent.note_closed(bound[gone])
        for i in np.flatnonzero(gone.any(axis=1)):
            columns = np.flatnonzero(gone[i])
            self.fixed.append((int(i), grouped(columns.tolist(), by[i, columns].tolist())))
            self.allowed[i] &= ~gone[i]
            if not self.allowed[i].any():
                return True
        return False

    def _tree(self, search: Search | None) -> list[Node] | None:
        """The proof: what was dropped, then the search's own tree; None where it cannot be written."""
        try:
            return self._written(search)
        except OverflowError:
            self.lost = True
            return None

    def _written(self, search: Search | None) -> list[Node] | None:
        """`_tree`; OverflowError where multipliers are beyond the range of floats."""
        rays = self.incumbent.choice is None and self.incumbent.value >= self.ceiling
        leaf = leaves(self.pool, self.data, self.kept, self.rows, rays)
        tree: list[Node] = []
        for i, groups in self.fixed:
            for name, columns in groups.items():
                tree += [["split", i, columns], leaf(name)]
        if search is not None:
            below: list[Node] | None = None
            if search.recording:
                below = subtree(
                    search.root,
                    search.core,
                    self.incumbent.exact_cutoff,
                    leaf,
                    self.options.branch_nodes,
                    self.options.deadline,
                )
            if below is None and self.options.relabel and not rays and search.labels <= PROOF_LABELS:
                below = [search.sums(leaf, STAGE_MULTIPLIERS)]
            return None if below is None else tree + below
        if self.last is not None:
            return [*tree, leaf(self.last)]
        del tree[-2]  # the last columns of a class need no split
        return tree

    def _stopped(self) -> Result:
        """The answer of a search that did not come to its end."""
        self.bound = min(self.bound, self.incumbent.proved, self.incumbent.value)
        return self._answer(None, stopped=True)

    def _answer(self, tree: list[Node] | None, stopped: bool = False) -> Result:
        data, incumbent = self.data, self.incumbent
        choice = None if incumbent.choice is None else incumbent.choice[data.owner]
        if choice is not None and not incumbent.certain:
            tree = None
        details = self.details | {"programs": self.programs, "nodes": 0 if tree is None else len(tree)}
        objective = None if choice is None else math.fsum(self.given_cost[np.arange(len(choice)), choice].tolist())
        if stopped:
            bound = _downward(data, self.bound)
            if objective is not None:
                bound = min(bound, objective)
                if self.options.gap and objective - bound <= self.options.gap * abs(objective):
                    return Result("within-gap", choice, objective, bound, None, details)
            return Result("limit", choice, objective, bound, None, details)
        if choice is None and incumbent.value >= self.ceiling:
            return Result("infeasible", tree=tree, details=details)
        if objective is None or objective >= self.options.upper:  # shifted sums and given ones round differently
            return Result("cutoff", bound=self.options.upper, tree=tree, details=details)
        if incumbent.proved < incumbent.exact_cutoff:
            return Result("within-gap", choice, objective, _downward(data, incumbent.proved), tree, details)
        status: Status = "optimal" if tree is not None else "optimal-by-solver"
        return Result(status, choice, objective, objective, tree, details)


def _downward(data: Shifted, value: float) -> float:
    """A shifted bound in the units given, lowered by what its sums may be off."""
    above = math.ldexp(value, data.cost_unit)
    blur = data.cost_error + EPSILON * (len(data.cost) + SLACK_TERMS) * (abs(above) + abs(data.offset))
    return data.offset + above - blur


def _checked(cost: ArrayLike, weight: ArrayLike, limit: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    cost, weight = table("cost", cost, "(n, k)"), table("weight", weight, "(R, n, k)")
    if weight.shape[1:] != cost.shape or (len(cost) and cost.shape[1] == 0):
        found = f"shapes {cost.shape} and {weight.shape}"
        raise InputError("weight", found, "cost of shape (n, k), k >= 1, and weight of shape (R, n, k)")
    limit = table("limit", limit, "(R,)", infinite=True)
    if len(limit) != len(weight):
        raise InputError("limit", f"{len(limit)} numbers", f"a number for each of the {len(weight)} rows")
    return cost, weight, limit

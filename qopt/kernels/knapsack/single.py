"""One budget row: the search behind `qopt.kernels.mckp.solve`.

The linear relaxation by hulls and greedy gives a multiplier, a bound and a first choice. Non-dominated partial sums
over the items that reduced costs leave, and branch and bound on the multiplier, find the optimum by turns. The
tree of branch and bound is the proof; where it grows too large, a leaf asks its checker to add up the sums.

Constants that are called measured were tried at a tenth of and ten times their value, by the processor's time on 21
knapsacks of the kernels' benchmark, 50 x 15 and 1000 x 20; differences below a fifth are noise.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import BoolArray, IntArray
from qopt.core.limits import limit_with_slack
from qopt.kernels.knapsack.branch import Branched, branch
from qopt.kernels.knapsack.exact import ExactKnapsack, few_items
from qopt.kernels.knapsack.halves import pair_up
from qopt.kernels.knapsack.incumbent import Incumbent
from qopt.kernels.knapsack.late import late_answer
from qopt.kernels.knapsack.near import NearGrid, near_grid
from qopt.kernels.knapsack.ranges import far_cheaper
from qopt.kernels.knapsack.relaxation import frontier, relax
from qopt.kernels.knapsack.result import Result
from qopt.kernels.knapsack.rounding import Rounded, rounded
from qopt.kernels.knapsack.scaled import Scaled, checked
from qopt.kernels.knapsack.sums import Outcome, search
from qopt.kernels.knapsack.ties import merge
from qopt.kernels.nodes import Node
from qopt.kernels.tolerances import PROOF_GAP

FEW_LABELS, FIRST_NODES = 5_000, 250
"""A first round: so few partial sums, which a checker makes again in no time, and a small tree. Measured: ten times as
many nodes take twice the time; all else is noise."""

FIRST_LABELS = 400_000
"""Partial sums that are tried before branch and bound. Measured: a tenth of them takes eight times as long, ten times
as many are as fast."""

BRANCH_NODES = 20_000
"""Nodes of branch and bound, as a search and as a proof. Chosen: a proof that is written out in some megabytes."""

ROUNDS, MORE_ROUNDS, LATE_ROUNDS = 3, 12, 1_000
"""Rounds of sums by halves: where a near grid has a bound that a choice may reach, which one or two do as a rule; after
partial sums were too many; and at the end of a search with a time limit, for as long as time is left."""

MAX_LABELS = 20_000_000
"""Partial sums kept in all before the search stops with a bound: 80 MB at 4 bytes each."""

PROOF_NODES, PROOF_LABELS = 400, 1_000_000
"""Where partial sums found the optimum: nodes of a tree without them; beyond, partial sums that a checker may be
asked to make again. Measured: ten times as many nodes take two and a half times as long, a tenth of them is as fast and
leaves more proofs to be made by sums."""

SPREAD = (-math.inf, -3.0, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Powers of two by which the multipliers of a proof by partial sums are spread around the relaxation's; the first is 0.
A sum of the first classes has less or more weight left than the relaxation gives the rest, whose best multiplier is
another one then. A factor of 8 either way, closer near 1: chosen; too few only leave the checker more sums to make."""

NEAR_SPREAD = (0.0, *(sign * x for x in (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8) for sign in (-1, 1)))
"""The same around the multiplier at which a near grid's bound is rounded up: constants are counted by the weight of the
next one, which changes little from class to class."""

RAY: Node = ["leaf", 0, 1.0]
"""A leaf of its own kind: the weights alone, whatever the costs, exceed the limit."""


def solve(
    cost: ArrayLike,
    weight: ArrayLike,
    limit: ArrayLike,
    *,
    ties: Sequence[Sequence[int]] | None = None,
    upper: float = math.inf,
    gap: float = 0.0,
    time_limit: float | None = None,
    branch_nodes: int = BRANCH_NODES,
    max_labels: int = MAX_LABELS,
    on_grid: bool = True,
) -> Result:
    """Solve a multiple-choice knapsack to proved optimality.

    Parameters
    ----------
    cost, weight : (n, k), a class a row, finite, of any sign and scale.
    limit : on the sum of weights, with relative slack 1e-12; infinite for none.
    others : as in `qopt.kernels.mckp.solve`, which says what is refused.
    ties : groups of classes that take the same column.
    upper : only answers of lower cost are of interest.
    gap : relative, that may stay unproved.
    time_limit : seconds; None for none.
    branch_nodes : nodes of a tree before it is given up.
    max_labels : labels kept before it stops.
    on_grid : whether numbers on a grid are made use of.
    """
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    given_cost, given_weight, limit = checked(cost, weight, limit)
    rows = np.arange(len(given_cost))
    merged = None if ties is None or not len(ties) else merge(ties, len(given_cost))
    if merged is None:
        cost, weight, cost_error, weight_error = given_cost, given_weight, 0.0, 0.0
    else:
        cost, weight = merged.table(given_cost), merged.table(given_weight)
        cost_error, weight_error = float(merged.error(given_cost)), float(merged.error(given_weight))

    def expanded(choice: IntArray) -> IntArray:
        return choice if merged is None else merged.expand(choice)

    def late() -> bool:
        return deadline is not None and time.perf_counter() > deadline

    def in_haste() -> Result:
        allowed = np.array([limit_with_slack(limit)])
        return late_answer(given_cost, given_weight[None], allowed, merge(ties, len(given_cost)), upper)

    known = math.inf
    while True:
        if late() and len(cost):
            return in_haste()
        data = Scaled(
            cost, weight, limit, on_grid=on_grid, cost_error=cost_error, weight_error=weight_error, known=known
        )
        if not data.feasible:
            return Result("infeasible", tree=[RAY])
        incumbent = Incumbent(
            data,
            lambda choice: given_weight[rows, expanded(choice)],
            data.in_units(upper - data.offset),
            gap=gap,
            deadline=deadline,
        )
        if late() and len(cost):
            return in_haste()
        present, steps = frontier(data.c, data.w)
        relaxed = relax(data.c, data.w, steps, data.capacity + data.margin)
        incumbent.offer_if_cheap(relaxed.choice, -math.inf)
        search = _Search(data, present, relaxed.multiplier, incumbent, deadline)
        if data.whole is not None and data.step and not incumbent.closed:
            multiplier = relaxed.multiplier * data.multiplier_unit
            search.round_up(rounded(cost, weight, data.whole, multiplier, data.step))
        complete, tree, bound = search.run(branch_nodes, max_labels)
        if not complete or data.scale is None or incumbent.choice is None:
            break
        known = float(data.above[np.arange(len(cost)), incumbent.choice].sum())
        if not far_cheaper(known, data.scale):
            break

    details: dict[str, object] = {"lp_bound": data.total(relaxed.bound), **search.details}
    choice = incumbent.choice

    def priced() -> float | None:
        return None if choice is None else math.fsum(given_cost[rows, expanded(choice)].tolist())

    objective = priced()
    if complete:
        tree = data.in_given_units(tree)
    unsure = objective is not None and not data.certain(incumbent.value, objective)
    settled = False
    if (incumbent.refused or (complete and (unsure or tree is None))) and few_items(cost) and not late():
        lam = np.array([relaxed.multiplier * data.multiplier_unit])
        tied = merge(ties, len(given_cost))
        whole = ExactKnapsack(given_cost, given_weight[None], np.array([data.allowed]), tied, lam, deadline)
        settled, found = whole.cheapest(whole.below(choice, upper))
        if found is not None:
            choice = found
            objective = priced()
        if settled:
            complete, tree = True, whole.prove(whole.below(choice, upper), branch_nodes)
    if choice is not None:
        choice = expanded(choice)
    if not complete:
        bound = data.surely(min(bound, incumbent.value))
        return Result("limit", choice, objective, bound if objective is None else min(bound, objective), None, details)
    if choice is None and math.isinf(upper):
        return Result("infeasible", tree=tree, details=details)
    if objective is None or objective >= upper:  # shifted sums and given ones round differently
        return Result("cutoff", bound=upper, tree=tree, details=details)
    if unsure and not settled:
        tree = None
    if gap and bound < incumbent.value and not settled:
        proved = max(objective - gap * abs(objective), data.total(bound))
        return Result("within-gap", choice, objective, proved, tree, details)
    if search.within and not settled:
        bound = min(objective, data.surely(incumbent.lower_bound))
        return Result("optimal" if tree else "optimal-by-solver", choice, objective, bound, tree, details)
    return Result("optimal" if tree else "optimal-by-solver", choice, objective, objective, tree, details)


class _Search:
    """What follows the relaxation: partial sums and branch and bound by turns, until one of them is through.

    Parameters
    ----------
    present : (n, k) items that no other dominates.
    multiplier : of the relaxation.
    """

    def __init__(
        self, data: Scaled, present: BoolArray, multiplier: float, incumbent: Incumbent, deadline: float | None
    ) -> None:
        self.data, self.present, self.multiplier = data, present, multiplier
        self.incumbent, self.deadline = incumbent, deadline
        priced = data.c + multiplier * data.w
        least = priced[np.arange(len(priced)), np.argmin(priced, axis=1)]
        self.lagrangian = float(least.sum())
        if multiplier:
            self.lagrangian -= multiplier * (data.capacity + data.margin)
        self.reduced_cost = priced - least[:, None]
        self.details: dict[str, int] = {"nodes": 0, "labels": 0}
        self.root: Node = ["leaf", 1, multiplier]
        """The node whose bound is the incumbent's."""
        self.near: NearGrid | None = None
        self.within = False
        """Whether the bound is below the best cost, by less than a certificate asks."""
        self._rng = np.random.default_rng(0)
        incumbent.raise_bound(self.lagrangian)

    def round_up(self, found: Rounded | None) -> None:
        """Take a rounded bound, which is in the given units, where it is better."""
        if found is None:
            return
        bound = math.ldexp(found.bound, -self.data.cost_unit)
        if bound > self.incumbent.lower_bound:
            self.root = ["rounded", found.mu, found.multiplier]
            self.incumbent.raise_bound(bound)

    def run(self, branch_nodes: int, max_labels: int) -> tuple[bool, list[Node] | None, float]:
        """Whether the search is complete, its tree if there is one, and a bound."""
        incumbent = self.incumbent
        if self.late():
            return False, None, incumbent.lower_bound
        state = self.sums(min(FEW_LABELS, max_labels))
        if state.complete or incumbent.closed:
            return True, self.prove(state, branch_nodes), self.proved
        if not incumbent.on_grid:
            if max_labels:  # else a tree of multipliers alone is asked for
                self.round_near()
            if self.incumbent.closed:
                return True, [self.root], self.proved
            if self.near is None:
                found = self.branch(min(FIRST_NODES, branch_nodes))
                if found.complete and not incumbent.closed:
                    return True, found.tree, incumbent.cutoff
        bound = incumbent.lower_bound
        for labels, nodes in ((min(FIRST_LABELS, max_labels), branch_nodes), (max_labels, 0)):
            state = self.sums(labels)
            if state.complete or incumbent.closed:
                return True, self.prove(state, branch_nodes), self.proved
            if self.near is not None:
                found = Branched(None, -math.inf, 0)
                self.fill(MORE_ROUNDS)
            else:
                found = self.branch(nodes)
            if found.complete or incumbent.closed:
                return True, [self.root] if incumbent.closed else found.tree, self.proved
            bound = max(bound, state.bound, found.bound)
            if self.late():
                break
        if self.deadline is not None and max_labels >= MAX_LABELS and self.fill(LATE_ROUNDS):
            return True, [self.root], self.proved
        return False, None, max(bound, incumbent.lower_bound)

    def round_near(self) -> None:
        """Where sums of costs and weights are near a grid, the bound that this gives, and choices which reach it."""
        data, incumbent = self.data, self.incumbent
        room = data.capacity + data.margin
        self.near = near = near_grid(data.c, data.w, room, data.multiplier_unit)
        if near is None:
            return
        bound = near.cost_at(near.least, room)
        if bound > incumbent.lower_bound:
            unit = data.multiplier_unit
            self.root = ["rounded", near.mu * unit, near.multiplier * unit, math.ldexp(near.step, data.cost_unit)]
            incumbent.raise_bound(bound)
        self.settle()
        self.fill(ROUNDS)

    def fill(self, rounds: int) -> bool:
        """Look for a choice that reaches the bound, or comes as near to it as a proof must; whether one does."""
        incumbent = self.incumbent
        for _ in range(rounds):
            if incumbent.closed or incumbent.choice is None or self.late():
                break
            left = self.present & (self.reduced_cost + self.lagrangian < incumbent.value)
            pair_up(incumbent, self.reduced_cost, left, incumbent.choice, self._rng)
            self.settle()
        return incumbent.closed

    def settle(self) -> None:
        """Leave it at a choice that is as near to the bound as a proof must come."""
        incumbent = self.incumbent
        if incumbent.closed or incumbent.choice is None:
            return
        if incumbent.value - incumbent.lower_bound <= PROOF_GAP * abs(incumbent.offset + incumbent.value):
            incumbent.prove_within(PROOF_GAP)
            self.within = incumbent.closed

    def late(self) -> bool:
        """Whether the time is over."""
        return self.deadline is not None and time.perf_counter() > self.deadline

    @property
    def proved(self) -> float:
        """What a complete search shows everything to cost at least."""
        return self.incumbent.lower_bound if self.incumbent.closed else self.incumbent.cutoff

    def prove(self, state: Outcome, branch_nodes: int) -> list[Node] | None:
        """A tree for what partial sums found: without a choice, or with the best one."""
        self.incumbent.prove_within(PROOF_GAP)
        if self.incumbent.closed:
            return [self.root]
        if state.labels > FEW_LABELS:
            found = self.branch(min(PROOF_NODES, branch_nodes))
            if found.complete or state.labels > PROOF_LABELS:
                return found.tree
        node: Node = ["sums", state.order.tolist(), [self.multiplier * 2.0**power for power in SPREAD]]
        if self.near is not None:
            unit, near = self.data.multiplier_unit, self.near
            step = math.ldexp(near.step, self.data.cost_unit)
            node.append([[near.mu * unit, near.multiplier * 2.0**power * unit, step] for power in NEAR_SPREAD])
        return [node]

    def sums(self, max_labels: int) -> Outcome:
        """Partial sums over the items that reduced costs leave."""
        if max_labels <= 0 or self.incumbent.closed or self.late():
            return Outcome(False, -math.inf, np.empty(0, dtype=np.int64), 0)
        present = self.present & (self.reduced_cost + self.lagrangian < self.incumbent.cutoff)
        state = search(
            self.data,
            present,
            self.multiplier,
            self.lagrangian,
            self.incumbent,
            deadline=self.deadline,
            max_labels=max_labels,
            near=self.near,
        )
        self.details |= {"core": len(state.order), "labels": self.details["labels"] + state.labels}
        return state

    def branch(self, max_nodes: int) -> Branched:
        """Branch and bound; once the choice is known to be optimal, as a proof."""
        if self.incumbent.closed or self.late():
            return Branched(None, -math.inf, 0)
        found = branch(
            self.data.c,
            self.data.w,
            self.data.capacity + self.data.margin,
            self.incumbent,
            max_nodes=max_nodes,
            deadline=self.deadline,
            guess=self.multiplier,
        )
        self.details["nodes"] += found.nodes
        return found

"""Certifies a QPART plan: feasible or not, and how far from optimal it can be at most.

Everything is recomputed from the problem and the plan; no method's code takes part. The order of proof: Lagrange's
dual at every cut, then the witness that came with the plan, then enumeration of what is left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from qopt.core.arguments import whole
from qopt.core.arrays import FloatArray
from qopt.core.certificate import Certificate
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.errors import InputError, shown
from qopt.qpart.certificate.bounds import Bound, best_bound, screening
from qopt.qpart.certificate.closing import LABELS, enumerate_below, exact_cost, holds_a_plan
from qopt.qpart.certificate.constraints import constraints_of, item_widths
from qopt.qpart.certificate.cuts import Cut, CutTable
from qopt.qpart.certificate.kkt import kkt_residuals
from qopt.qpart.certificate.reasons import reasons
from qopt.qpart.certificate.rows import SEARCHED, may_bind, relaxation_bound, search_below
from qopt.qpart.certificate.witness import Judgement, KnapsackData, check_witness
from qopt.qpart.costs import Cost, breakdown
from qopt.qpart.plan import QPartPlan, checked_plan
from qopt.qpart.problem import QPart

TOLERANCE = 1e-9
"""`proved` allows this share of the objective, and of what the transmission costs."""

IN_SOLVE: Mapping[str, int] = {"labels": 300_000}
"""Effort that `qopt.solve` asks for: closing gaps by so many partial sums takes about a second."""

ROUNDING = 1e-12
"""Eq. 17 term by term and as a sum of prices may differ by this share of the objective."""

Stopped = Literal["time-limit", "labels"] | None
"""Why proving ended early."""

SCREENED = 8
"""From this many cuts on, cheap bounds of all come first."""


def certify(
    problem: QPart,
    plan: QPartPlan | None,
    witness: dict[str, object] | None = None,
    *,
    bits: str | None = None,
    labels: int = LABELS,
    clock: Clock = ENDLESS,
) -> Certificate:
    """What is true of a plan, or of the claim that there is none.

    Parameters
    ----------
    problem : the request.
    plan : the plan, or None to ask whether the problem is infeasible.
    witness : an untrusted proof for whole bits (`qopt.qpart.certificate.witness`).
    bits : ``whole`` or ``real``, the problem that the statement is about; default the plan's, or ``whole``.
    labels : sums that closing the gap by enumeration may make, at all cuts together; 0 to do without.
    clock : what is proved of optimality, or of the claim that there is no plan, is what there is time for. Feasibility
        is certified whatever it says.

    Raises
    ------
    InputError
        The plan's shape does not fit the problem, real-valued bits are asked of a measured noise table, or `labels`
        is no whole number >= 0.
    """
    start = time.perf_counter()
    labels = whole("labels", labels, 0)
    if plan is not None:
        checked_plan(problem, plan)
    bits = bits if bits is not None else plan.bits if plan is not None else "whole"
    if bits not in ("whole", "real"):
        raise InputError("bits", shown(bits), "whole or real")
    table = CutTable(problem, bits)
    if plan is None:
        certificate = _without_plan(table, witness, labels, clock)
    else:
        certificate = _with_plan(table, plan, witness, labels, clock)
    return replace(certificate, seconds=time.perf_counter() - start)


@dataclass
class _Search:
    """Bounds of all cuts so far: `bounds` of those looked at one by one, `rest` the least of all others (with base).

    `stopped`: the clock kept cuts from being looked at.
    """

    table: CutTable
    bounds: dict[int, Bound] = field(default_factory=dict)
    rest: Fraction | float = math.inf
    stopped: bool = False

    def least(self) -> Fraction | float:
        """The lower bound over all cuts, exact; infinite where no cut holds a plan."""
        least: Fraction | float = self.rest if math.isinf(self.rest) else Fraction(self.rest)
        for p, bound in self.bounds.items():
            if math.isfinite(bound.value):
                least = min(least, Fraction(float(self.table.base[p])) + Fraction(bound.value))
        return least

    def open(self, target: Fraction) -> list[int]:
        """Cuts whose bound does not reach a target, ascending in their bound."""
        base = self.table.base
        below = [
            p
            for p, bound in self.bounds.items()
            if math.isfinite(bound.value) and Fraction(float(base[p])) + Fraction(bound.value) < target
        ]
        return sorted(below, key=lambda p: float(base[p]) + self.bounds[p].value)


def _search(table: CutTable, ceiling: float | None, clock: Clock) -> _Search:
    """Bounds of every admissible cut, refined where they do not reach the ceiling, while there is time.

    Without a ceiling, cuts are refined until the least bound is one that has been refined.
    """
    cuts, search = table.problem.admissible_cuts, _Search(table)
    base = table.base[cuts]
    screened = cuts.size >= SCREENED and not clock.over
    rough = screening(table, cuts, clock=clock) if screened else np.zeros(cuts.size)
    keys = base + rough
    # Adding the base rounds: a cut counts as out only beyond that.
    keys -= 4 * 2.0**-52 * np.where(np.isfinite(keys), keys, 0.0)
    least, lam = math.inf, 0.0
    order = np.argsort(keys, kind="stable").tolist()
    for i in order:
        enough = least if ceiling is None else max(ceiling, 0.0)
        if keys[i] > enough or (ceiling is None and keys[i] == math.inf):
            search.rest = float(keys[i])
            break
        p = int(cuts[i])
        try:
            clock.check()
            bound = _bound(table.at(p), lam, (enough - float(table.base[p])) * (1 + ROUNDING), clock)
        except OutOfTime:
            search.rest, search.stopped = float(keys[i]), True  # the least of those that are left
            break
        search.bounds[p] = bound
        lam = bound.lam if 0 < bound.lam < math.inf else lam
        least = min(least, float(table.base[p]) + bound.value)
    return search


def _bound(cut: Cut, lam: float, enough: float, clock: Clock) -> Bound:
    """The best bound of a cut by multipliers: of noise and memory, and where that is not enough of all its limits."""
    bound = best_bound(cut, lam, enough, clock)
    if bound.value > enough or cut.noise is None or not may_bind(cut):
        return bound
    clock.check()
    return bound._replace(value=max(bound.value, relaxation_bound(cut, clock)))


def _with_plan(
    table: CutTable, plan: QPartPlan, witness: dict[str, object] | None, labels: int, clock: Clock
) -> Certificate:
    problem, cut = table.problem, table.at(plan.cut)
    cost = breakdown(problem, plan)
    widths = item_widths(cut, plan)
    constraints, violations = constraints_of(table, cut, plan, widths)
    feasible, notes = not violations, []
    objective, target = _exact(cut, widths, cost)
    notes.extend(_disagreements(cut, widths, cost))
    if not plan_agrees(float(objective), cost):
        notes.append(f"error: Eq. 17 term by term gives {cost.objective:.17g}, its prices {float(objective):.17g}")
    search = _search(table, float(objective) if feasible else None, clock)
    least, kind = search.least(), "kkt-dual" if table.bits == "real" else "lagrangian"
    better: Fraction | None = None
    stopped: Stopped = "time-limit" if search.stopped else None
    if feasible and table.bits == "whole" and least < target:
        looked_at = {int(p) for p in problem.admissible_cuts} if search.rest >= target else set(search.bounds)
        closed = looked_at - set(search.open(target))
        verdict = None
        if witness is not None:
            verdict, stopped = _checked(table, witness, target, closed, clock, stopped)
            if verdict is not None and not verdict.accepted:
                notes.append(f"witness rejected: {verdict.reason}")
        if verdict is not None and verdict.accepted:
            others = _Search(table, {p: b for p, b in search.bounds.items() if p in closed})
            others.rest = search.rest if search.rest >= target else math.inf
            reached = verdict.bound if verdict.bound is not None else math.inf
            least = max(target, min(others.least(), Fraction(reached) if math.isfinite(reached) else reached))
            kind, stopped = "witness", None
        elif labels > 0 and not stopped:
            least, better, lines, stopped = _close(search, objective, target, labels, clock)
            kind = "enumeration" if least > search.least() else kind
            notes.extend(lines)
    elif witness is not None and table.bits == "real":
        notes.append("a witness is for whole bits: not used")
    if stopped == "time-limit" and (not feasible or least < target):
        notes.append(_left_open(search, target if feasible else None))
    if better is not None:
        notes.append(f"a better plan costs {float(better):.17g}")
    if feasible:
        least = min(least, objective)
    elif least == math.inf:
        notes.extend(reasons(table, clock))
    bound = float(least) if least < math.inf else None
    proved = feasible and better is None and least >= target and not any(n.startswith("error") for n in notes)
    if bound is not None and proved:
        bound = min(bound, cost.objective)
    return Certificate(
        bits=table.bits,
        feasible=feasible,
        objective=cost.objective,
        cost=cost,
        constraints=tuple(constraints),
        violations=tuple(violations),
        bound=bound,
        kind=kind if bound is not None else None,
        proved=proved,
        infeasible=least == math.inf,
        kkt=kkt_residuals(cut, widths, clock) if table.bits == "real" else None,
        notes=tuple(notes),
        stopped=stopped,
    )


def _exact(cut: Cut, widths: FloatArray, cost: Cost) -> tuple[Fraction, Fraction]:
    """Objective of a plan as base and sum of prices, not added in floats, and what a bound on it must reach.

    Where computing costs much more than sending, the tolerance is finer than the objective's last digit.
    """
    objective = Fraction(cut.base) + Fraction(math.fsum((cut.price * widths).tolist()))
    if cut.computing is not None:
        columns = cut.columns(widths)
        if columns is None:  # the tables say nothing of these widths: no plan, and no proof
            return Fraction(cost.objective) if math.isfinite(cost.objective) else Fraction(0), Fraction(0)
        objective += Fraction(math.fsum(cut.computing[np.arange(widths.size), columns].tolist()))
    tolerance = TOLERANCE * min(abs(cost.objective), cost.transmission_cost or abs(cost.objective))
    return objective, objective - Fraction(tolerance)


def proof_target(problem: QPart, plan: QPartPlan) -> Fraction:
    """What a lower bound must reach to prove a plan optimal: the target of a witness, exactly."""
    cut = CutTable(problem, plan.bits).at(checked_plan(problem, plan).cut)
    return _exact(cut, item_widths(cut, plan), breakdown(problem, plan))[1]


def plan_agrees(linear: float, cost: Cost) -> bool:
    """Whether both readings of Eq. 17 give one objective, up to rounding."""
    return abs(linear - cost.objective) <= ROUNDING * abs(cost.objective)


def _disagreements(cut: Cut, widths: FloatArray, cost: Cost) -> list[str]:
    """A line for each limit whose row and whose sum in Eqs. 5-17 say different amounts."""
    columns, lines = cut.columns(widths) if cut.more else None, []
    for row in cut.more if columns is not None else ():
        used = math.fsum([row.fixed, *row.use[np.arange(widths.size), columns].tolist()])
        if abs(used - getattr(cost, row.name)) > ROUNDING * abs(used):
            lines.append(f"error: {row.name} term by term is {getattr(cost, row.name):.17g}, its row gives {used:.17g}")
    return lines


def _checked(
    table: CutTable,
    witness: dict[str, object],
    target: Fraction | float,
    closed: set[int],
    clock: Clock,
    stopped: Stopped,
) -> tuple[Judgement | None, Stopped]:
    """What the witness proves, cut by cut; None and why, where the clock stopped the check."""

    def knapsack(p: int) -> KnapsackData:
        clock.check()
        return table.knapsack(p)

    try:
        return check_witness(knapsack, table.problem.admissible_cuts.tolist(), witness, target, closed), stopped
    except OutOfTime:
        return None, "time-limit"


def _left_open(search: _Search, target: Fraction | None) -> str:
    """What the clock kept from being proved, in words."""
    cuts = len(search.table.problem.admissible_cuts)
    if target is None:
        return f"the time limit is reached: {len(search.bounds)} of {cuts} cuts were looked at"
    settled = (cuts if search.rest >= target else len(search.bounds)) - len(search.open(target))
    return f"the time limit is reached: {settled} of {cuts} cuts are settled"


def _close(
    search: _Search, objective: Fraction, target: Fraction, labels: int, clock: Clock
) -> tuple[Fraction | float, Fraction | None, list[str], Stopped]:
    """Enumerate the open cuts: the bound they end with, a better objective if there is one, remarks, what stopped it.

    The cut of the least bound is first. Where one stays open the others need no look: the bound rises no further.
    """
    table, notes, left = search.table, [], labels
    closed = _Search(table, dict(search.bounds), search.rest)
    best = objective
    stopped: Stopped = None
    for p in search.open(target):
        cut, bound = table.at(p), search.bounds[p]
        # The cheaper of the plan and what was found so far is the ceiling; above the bound at this cut, or it is out.
        ceiling = float(min(best, objective) - Fraction(cut.base))
        if may_bind(cut):
            try:
                answer = search_below(table, p, target, left, clock)
            except OutOfTime:
                stopped = "time-limit"
                break
            if answer.choice is not None:
                best = min(best, exact_cost(cut, answer.choice))
            if not answer.proved:
                notes.append(f"cut {p}: no proof by multipliers within {SEARCHED} partial choices; the gap stays open")
                stopped = "labels" if answer.choice is None else None
                break
            del closed.bounds[p]  # out: the tree reaches the target itself, which no float may be
            closed.rest = min(closed.rest, target)
            continue
        try:
            found = enumerate_below(cut, ceiling, bound.lam, bound.mu, left, clock)
        except OutOfTime:
            stopped = "time-limit"
            break
        left -= found.labels
        if found.bound is None:
            notes.append(f"cut {p}: more than {labels} sums, with those at the cuts before it; the gap stays open")
            stopped = "labels"
            break
        if found.bound > bound.value:
            closed.bounds[p] = bound._replace(value=found.bound)
        if found.choice is not None:
            best = min(best, exact_cost(cut, found.choice))
    return closed.least(), best if best < target else None, notes, stopped


def _without_plan(table: CutTable, witness: dict[str, object] | None, labels: int, clock: Clock) -> Certificate:
    """Whether every admissible cut is proved to hold no plan; else a bound on every plan's objective."""
    search, notes = _search(table, None, clock), []
    least = search.least()
    kind: str | None = "kkt-dual" if table.bits == "real" else "lagrangian"
    stopped: Stopped = "time-limit" if search.stopped else None
    if least < math.inf and table.bits == "whole":
        cuts = table.problem.admissible_cuts.tolist()
        closed = {p for p, bound in search.bounds.items() if bound.value == math.inf}
        if witness is not None:
            verdict, stopped = _checked(table, witness, math.inf, closed, clock, stopped)
            if verdict is not None and verdict.accepted:
                least, kind, stopped = math.inf, "witness", None
            elif verdict is not None:
                notes.append(f"witness rejected: {verdict.reason}")
        if least < math.inf and labels > 0 and not stopped:
            answer, stopped = _nothing_left(table, [p for p in cuts if p not in closed], labels, clock)
            if answer:
                least, kind = math.inf, "enumeration"
            elif answer is None:
                notes.append("whether any plan exists stays open")
    if stopped == "time-limit":
        notes.append(_left_open(search, None))
    infeasible = least == math.inf
    if infeasible:
        notes.extend(reasons(table, clock))
    return Certificate(
        bits=table.bits,
        feasible=False,
        objective=None,
        cost=None,
        bound=None if infeasible else float(least),
        kind=kind,
        infeasible=infeasible,
        notes=tuple(notes),
        stopped=stopped,
    )


def _nothing_left(table: CutTable, cuts: list[int], labels: int, clock: Clock) -> tuple[bool | None, Stopped]:
    """Whether none of these cuts holds a whole-bit plan; None: not decided, and what stopped it if something did."""
    left, decided = labels, True
    try:
        for p in cuts:
            cut = table.at(p)
            if best_bound(cut, clock=clock).value == math.inf:
                continue
            if may_bind(cut):
                seen = search_below(table, p, None, left, clock)
                if seen.choice is not None:
                    return False, None
                decided = decided and seen.proved
                continue
            answer, made = holds_a_plan(cut, left, clock)
            left -= made
            if answer:
                return False, None
            decided = decided and answer is False
    except OutOfTime:
        return None, "time-limit"
    return (True, None) if decided else (None, "labels" if left < 0 else None)

"""Certifies a JQODI plan: feasible or not, and how far from optimal it can be at most.

Everything is recomputed from the problem and the plan; no method's code takes part: the cost is followed through the
epochs (`qopt.jqodi.costs`), bounds are about numbers read on their own (`qopt.jqodi.certificate.arrays`), and both must
come to the same sums. The bound is the least over all
candidates, the models and bit-widths that reach their loss: choices are enumerated; for schedules and paths it is the
best of the certificate's own Lagrangian dual, the witness that came with the plan, and an enumeration of what these
leave open (`qopt.jqodi.certificate.bounds`, `qopt.jqodi.certificate.closing`).
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qopt.core.arguments import whole
from qopt.core.certificate import Certificate, Slack
from qopt.core.errors import shown
from qopt.core.limits import within
from qopt.jqodi.certificate import arrays
from qopt.jqodi.certificate.arrays import Arrays
from qopt.jqodi.certificate.bounds import Bound, dual, first_multiplier, tree_bound, tree_work
from qopt.jqodi.certificate.closing import enumerated
from qopt.jqodi.costs import JqodiCost, breakdown
from qopt.jqodi.plan import JqodiPlan, checked_plan
from qopt.jqodi.problem import Jqodi
from qopt.kernels.checker import Refused

TOLERANCE = 1e-9
"""`proved` allows this share of the objective."""

AIM = 1e-11
"""An enumeration looks for plans that are cheaper by this share."""

IN_SOLVE: Mapping[str, object] = {}
"""Effort that `qopt.solve` asks for: the usual."""

ROUNDING = 1e-12
"""The cost term by term and as a sum over epochs may differ by this share of it."""

LABELS = 3_000_000
"""Partial plans of one candidate that the certificate makes to close a gap: about two seconds."""

QUICK = 1_000_000
"""Work up to which a tree is followed before anything is enumerated."""


def certify(problem: Jqodi, plan: JqodiPlan | None, witness: object = None, *, labels: int = LABELS) -> Certificate:
    """What is true of a plan, or of the claim that there is none.

    Parameters
    ----------
    problem : the problem.
    plan : the plan, or None to ask whether the problem is infeasible.
    witness : an untrusted proof, ``{"format": "qopt/jqodi-witness", "version": 1, "kind": "mckp" or "rcsp",
        "candidates": {"MODEL/BITS": tree}}``; a tree of `qopt.kernels.checker` speaks of the candidate as an instance
        of that kernel (`qopt.jqodi.certificate.instances`).
    labels : partial plans of one candidate that may be enumerated; 0 for none.

    Raises
    ------
    InputError
        The plan's shape does not fit the problem, or `labels` is no whole number >= 0.
    """
    start = time.perf_counter()
    labels = whole("labels", labels, 0)
    notes: list[str] = []
    kind, trees = _trees(witness, notes)
    if plan is None:
        least, of = _least(problem, kind, trees, None, labels, notes)
        infeasible = least == math.inf
        certificate = Certificate(
            bits=None,
            feasible=False,
            objective=None,
            cost=None,
            bound=None if infeasible or least == -math.inf else float(least),
            kind=of,
            infeasible=infeasible,
            notes=tuple(notes),
        )
    else:
        checked_plan(problem, plan)
        cost = breakdown(problem, plan)
        rows, broken = _constraints(problem, plan, cost)
        least, of = _least(problem, kind, trees, None if broken else cost.objective, labels, notes)
        certificate = _with_plan(problem, plan, cost, (rows, broken), (least, of), notes)
    return replace(certificate, seconds=time.perf_counter() - start)


def violations(problem: Jqodi, plan: JqodiPlan) -> list[str]:
    """A line for each constraint that a plan breaks; empty for a feasible one."""
    checked_plan(problem, plan)
    return _constraints(problem, plan, breakdown(problem, plan))[1]


def _trees(witness: object, notes: list[str]) -> tuple[str, dict[str, object]]:
    """Kind and trees of a witness."""
    if witness is None:
        return "", {}
    match witness:
        case {
            "format": "qopt/jqodi-witness",
            "version": 1 as version,
            "kind": ("mckp" | "rcsp") as kind,
            "candidates": dict() as trees,
        } if type(version) is int:
            return kind, trees
    notes.append("witness rejected: not an object of format qopt/jqodi-witness, version 1, kind mckp or rcsp")
    return "", {}


def _less(objective: float, share: float) -> Fraction:
    """An objective less a share of it: for `TOLERANCE`, what a bound must reach to prove it."""
    return Fraction(objective) - Fraction(share * abs(objective))


def _least(
    problem: Jqodi, kind: str, trees: dict[str, object], objective: float | None, labels: int, notes: list[str]
) -> tuple[Bound, str | None]:
    """A bound on every plan, infinite if there is none, and its kind."""
    least: Bound = math.inf
    used: set[str] = set()
    some = arrays.every(problem)
    if problem.mode == "choice" or not some:
        return min((_best_choice(problem, candidate) for candidate in some), default=math.inf), "enumeration"
    known = {candidate.key for candidate in some}
    for key in (key for key in trees if key not in known):
        notes.append(f"witness rejected for {shown(key)}: no candidate")
    for candidate in some:
        bound, how = _candidate_bound(problem, candidate, kind, trees.get(candidate.key), objective, labels, notes)
        least = min(least, bound)
        used.add(how)
    of = next(name for name in ("enumeration", "witness", "lagrangian") if name in used)
    return least, None if least == -math.inf else of


def _best_choice(problem: Jqodi, candidate: Arrays) -> Bound:
    """The least energy of one state for all epochs, by looking at all; infinite if none keeps T_max."""
    best = math.inf
    for s in np.flatnonzero(candidate.there.all(axis=0)):
        energy, seconds = candidate.terms(np.full(candidate.epochs, s))
        value = math.fsum(energy)
        if value < best and within(seconds, problem.time_limit):
            best = value
    return best if math.isinf(best) else Fraction(best)


def _candidate_bound(
    problem: Jqodi, candidate: Arrays, kind: str, tree: object, objective: float | None, labels: int, notes: list[str]
) -> tuple[Bound, str]:
    """A bound on the plans of one candidate, as good as the target if that can be shown, and how."""
    limit, target = problem.time_limit, None if objective is None else _less(objective, TOLERANCE)
    lagrangian = dual(candidate, limit, target, None if tree is None else first_multiplier(tree))
    best, how = lagrangian.bound, "lagrangian"
    if best == math.inf or (target is not None and best >= target):
        return best, how
    work = math.inf if tree is None else tree_work(candidate, kind, tree)
    # A single leaf is a dual once more, in exact arithmetic: what that one could not show, it cannot.
    alone = isinstance(tree, list) and len(tree) == 1 and first_multiplier(tree) is not None
    ways = ["witness", "enumeration"] if work <= QUICK and not alone else ["enumeration", "witness"]
    for way in ways:
        bound: Bound | None = None
        if way == "enumeration" and objective is not None and labels:
            bound = enumerated(candidate, limit, _less(objective, AIM), lagrangian.multiplier, labels)
        elif way == "witness" and math.isfinite(work):
            try:
                bound = tree_bound(candidate, limit, kind, tree, target)
            except Refused as why:
                notes.append(f"witness rejected for {candidate.key}: {why}")
        if bound is not None and bound > best:
            best, how = bound, way
        if target is not None and best >= target:
            break
    return best, how


def _with_plan(
    problem: Jqodi,
    plan: JqodiPlan,
    cost: JqodiCost,
    checked: tuple[list[Slack], list[str]],
    lower: tuple[Bound, str | None],
    notes: list[str],
) -> Certificate:
    rows, broken = checked
    least, of = lower
    feasible, objective = not broken, cost.objective
    if feasible and objective is not None:
        summed = math.fsum(_terms(problem, plan)[0])
        if abs(summed - objective) > ROUNDING * abs(objective):
            notes.append(f"error: the energy term by term is {objective:.17g}, as a sum of epochs {summed:.17g}")
        # The plan is one of those that the bound is about: above it, the bound is rounding.
        least = min(least, Fraction(summed))
    sound = not any(note.startswith("error") for note in notes)
    proved = feasible and objective is not None and sound and least >= _less(objective, TOLERANCE)
    bound = float(least) if math.isfinite(least) else None
    if proved and bound is not None and objective is not None:
        bound = min(bound, objective)
    return Certificate(
        bits=None,
        feasible=feasible,
        objective=objective,
        cost=cost,
        constraints=tuple(rows),
        violations=tuple(broken),
        bound=bound,
        kind=of if bound is not None else None,
        proved=proved,
        infeasible=least == math.inf,
        notes=tuple(notes),
    )


def _terms(problem: Jqodi, plan: JqodiPlan) -> tuple[list[float], list[float]]:
    """The numbers that a plan's energy and time are sums of, by the tables."""
    candidate = arrays.of_plan(problem, plan)
    return candidate.terms(candidate.states_of(plan))


def _constraints(problem: Jqodi, plan: JqodiPlan, cost: JqodiCost) -> tuple[list[Slack], list[str]]:
    """Every constraint in the exact test, and a line for each that fails."""
    rows: list[Slack] = []
    lines: list[str] = []
    what = f"{plan.model} at {plan.bits} bits"
    foreign = problem.widths is not None and plan.bits not in problem.widths
    rows.append(Slack.whether("admissible width", foreign))
    if foreign:
        lines.append(f"admissible width: {plan.bits} bits, allowed {', '.join(map(str, problem.widths or ()))}")
    model = problem.model(plan.model)
    needed = problem.needed(model, model.width(plan.bits))
    losses = cost.robust_losses if problem.estimate == "robust" else cost.expected_losses
    if losses and model.loss_limit is not None:
        rows.append(Slack("loss", losses[-1], model.loss_limit, needed is not None))
        if needed is None:
            lines.append(
                f"loss: {what} never reaches it; {losses[-1]:.17g} after {len(plan.servers)} epochs, "
                f"allowed {model.loss_limit:.17g}"
            )
    else:
        rows.append(Slack.whether("loss reached", needed is None))
        if needed is None:
            lines.append(f"loss reached: {what} never reaches it")
    gone = cost.impossible
    rows.append(Slack.whether("epochs possible", len(gone)))
    if gone:
        k = gone[0]
        lines.append(
            f"epochs possible: {plan.servers[k - 1]} with cut {plan.cuts[k - 1]} is impossible in epoch {k}"
            + (f" and {len(gone) - 1} more" if len(gone) > 1 else "")
        )
    if problem.mode == "choice":
        states = list(zip(plan.servers, plan.cuts, strict=True))
        changes = sum(a != b for a, b in itertools.pairwise(states))
        rows.append(Slack.whether("one server and cut", changes))
        if changes:
            lines.append(f"one server and cut: {changes} changes, none is allowed in mode choice")
    if not gone:
        seconds = _terms(problem, plan)[1]
        used, limit = math.fsum(seconds), problem.time_limit
        rows.append(Slack("time", used, limit, within(seconds, limit)))
        if not rows[-1].holds:
            lines.append(f"time: {used:.17g} s, allowed {limit:.17g}")
    return rows, lines

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
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from qopt.core.arguments import whole
from qopt.core.certificate import Certificate, Slack
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.errors import shown
from qopt.core.limits import within
from qopt.jqodi.certificate import arrays
from qopt.jqodi.certificate.arrays import Arrays
from qopt.jqodi.certificate.bounds import TREE_RATE, Bound, dual, first_multiplier, lowered, tree_bound, tree_work
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

CHEAP = 200_000
"""Epochs times states of a candidate that is bounded by a multiplier even where the time is over: milliseconds."""

QUICK = 1_000_000
"""Work up to which a tree is followed before anything is enumerated."""


def certify(
    problem: Jqodi, plan: JqodiPlan | None, witness: object = None, *, labels: int = LABELS, clock: Clock = ENDLESS
) -> Certificate:
    """What is true of a plan, or of the claim that there is none.

    Parameters
    ----------
    problem : the problem.
    plan : the plan, or None to ask whether the problem is infeasible.
    witness : an untrusted proof, ``{"format": "qopt/jqodi-witness", "version": 1, "kind": "mckp" or "rcsp",
        "candidates": {"MODEL/BITS": tree}}``; a tree of `qopt.kernels.checker` speaks of the candidate as an instance
        of that kernel (`qopt.jqodi.certificate.instances`).
    labels : partial plans of one candidate that may be enumerated; 0 for none.
    clock : what is proved of optimality, or of the claim that there is no plan, is what there is time for. Feasibility
        is certified whatever it says.

    Raises
    ------
    InputError
        The plan's shape does not fit the problem, or `labels` is no whole number >= 0.
    """
    start = time.perf_counter()
    labels = whole("labels", labels, 0)
    proof = _Proof(problem, *_trees(witness), labels, clock)
    if plan is None:
        least, of = _least(proof, None)
        infeasible = least == math.inf
        certificate = Certificate(
            bits=None,
            feasible=False,
            objective=None,
            cost=None,
            bound=None if infeasible or least == -math.inf else float(least),
            kind=of,
            infeasible=infeasible,
            notes=tuple(proof.notes),
            stopped=proof.stopped,
        )
    else:
        checked_plan(problem, plan)
        cost = breakdown(problem, plan)
        rows, broken = _constraints(problem, plan, cost)
        least, of = _least(proof, None if broken else cost.objective)
        certificate = replace(
            _with_plan(problem, plan, cost, (rows, broken), (least, of), proof.notes), stopped=proof.stopped
        )
    return replace(certificate, seconds=time.perf_counter() - start)


@dataclass
class _Proof:
    """What there is to prove with, and what was remarked on the way."""

    problem: Jqodi
    kind: str
    trees: dict[str, object]
    notes: list[str]
    labels: int
    clock: Clock
    stopped: Literal["time-limit", "labels"] | None = None

    def out_of_time(self, what: str) -> None:
        """Note what the clock kept from being looked at; the first note says it for all."""
        if self.stopped != "time-limit":
            self.notes.append(f"the time limit is reached: {what}")
        self.stopped = "time-limit"


def violations(problem: Jqodi, plan: JqodiPlan) -> list[str]:
    """A line for each constraint that a plan breaks; empty for a feasible one."""
    checked_plan(problem, plan)
    return _constraints(problem, plan, breakdown(problem, plan))[1]


def _trees(witness: object) -> tuple[str, dict[str, object], list[str]]:
    """Kind and trees of a witness, and what is wrong with it."""
    if witness is None:
        return "", {}, []
    match witness:
        case {
            "format": "qopt/jqodi-witness",
            "version": 1 as version,
            "kind": ("mckp" | "rcsp") as kind,
            "candidates": dict() as trees,
        } if type(version) is int:
            return kind, trees, []
    return "", {}, ["witness rejected: not an object of format qopt/jqodi-witness, version 1, kind mckp or rcsp"]


def _less(objective: float, share: float) -> Fraction:
    """An objective less a share of it: for `TOLERANCE`, what a bound must reach to prove it."""
    return Fraction(objective) - Fraction(share * abs(objective))


def _least(proof: _Proof, objective: float | None) -> tuple[Bound, str | None]:
    """A bound on every plan, infinite if there is none, and its kind."""
    problem, some = proof.problem, arrays.needed(proof.problem)
    least: Bound = math.inf
    used: set[str] = set()
    if problem.mode != "choice" and some:
        known = {f"{model.name}/{width.bits}" for model, width, _ in some}
        proof.notes += [f"witness rejected for {shown(key)}: no candidate" for key in proof.trees if key not in known]
    for model, width, epochs in some:
        if proof.clock.over and epochs * len(problem.servers) * len(model.admissible_cuts) > CHEAP:
            proof.out_of_time(f"{model.name}/{width.bits}, and what comes after it, was not looked at")
            return -math.inf, None
        candidate = arrays.read(problem, model, width, epochs)
        bound, how = (
            _best_choice(proof, candidate) if problem.mode == "choice" else _candidate(proof, candidate, objective)
        )
        least = min(least, bound)
        used.add(how)
    of = next((name for name in ("enumeration", "witness", "lagrangian") if name in used), "enumeration")
    return least, None if least == -math.inf else of


def _best_choice(proof: _Proof, candidate: Arrays) -> tuple[Bound, str]:
    """The least energy of one state for all epochs, by looking at all; infinite if none keeps T_max."""
    best = math.inf
    states = np.flatnonzero(candidate.there.all(axis=0))
    for s in states:
        if proof.clock.over:
            proof.out_of_time(f"{candidate.key} is bounded by what its cheapest server and cut take")
            with np.errstate(over="ignore"):
                least = float(candidate.energy[:, states].sum(axis=0).min()) + candidate.setup_energy
            return lowered(candidate, least), "lagrangian"
        energy, seconds = candidate.terms(np.full(candidate.epochs, s))
        value = math.fsum(energy)
        if value < best and within(seconds, proof.problem.time_limit):
            best = value
    return (best if math.isinf(best) else Fraction(best)), "enumeration"


def _candidate(proof: _Proof, candidate: Arrays, objective: float | None) -> tuple[Bound, str]:
    """A bound on the plans of one candidate, as good as the target if that can be shown in time, and how."""
    limit, clock, kind, tree = proof.problem.time_limit, proof.clock, proof.kind, proof.trees.get(candidate.key)
    target = None if objective is None else _less(objective, TOLERANCE)
    found = dual(candidate, limit, target, None if tree is None else first_multiplier(tree), clock)
    best, how = found.bound, "lagrangian"
    if best == math.inf or (target is not None and best >= target):
        return best, how
    work = math.inf if tree is None else tree_work(candidate, kind, tree)
    # A single leaf is a dual once more, in exact arithmetic: what that one could not show, it cannot.
    alone = isinstance(tree, list) and len(tree) == 1 and first_multiplier(tree) is not None
    ways = ["witness", "enumeration"] if work <= QUICK and not alone else ["enumeration", "witness"]
    late, undone = clock.over, ""
    for way in ways:
        bound: Bound | None = None
        if way == "enumeration" and objective is not None and proof.labels:
            try:
                clock.check()
                aim = _less(objective, AIM)
                bound = enumerated(candidate, limit, aim, found.multiplier, proof.labels, clock)
                undone = (
                    "" if bound is not None else f"{candidate.key}: more than {proof.labels} partial plans, left open"
                )
            except OutOfTime:
                late = True
        elif way == "witness" and math.isfinite(work):
            if not clock.affords(work, TREE_RATE):
                late = True
                continue
            try:
                bound = tree_bound(candidate, limit, kind, tree, target)
            except Refused as why:
                proof.notes.append(f"witness rejected for {candidate.key}: {why}")
        if bound is not None and bound > best:
            best, how = bound, way
        if target is not None and best >= target:
            return best, how
    if late:
        proof.out_of_time(f"{candidate.key}, and perhaps more, is bounded by multipliers alone")
    elif undone:
        proof.notes.append(undone)
        proof.stopped = proof.stopped or "labels"
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
    start = problem.start
    other = start is not None and start.model is not None and not start.anew
    other = other and start is not None and (start.model, start.bits) != (plan.model, plan.bits)
    rows.append(Slack.whether("admissible width", foreign))
    if foreign:
        lines.append(f"admissible width: {plan.bits} bits, allowed {', '.join(map(str, problem.widths or ()))}")
    model = problem.model(plan.model)
    if start is not None and start.model is not None:
        rows.append(Slack.whether("what is under way", other))
        if other:
            lines.append(f"what is under way: {what}, and {start.model} at {start.bits} bits is being trained")
    needed = problem.needed(model, model.width(plan.bits))
    losses = cost.robust_losses if problem.estimate == "robust" else cost.expected_losses
    if problem.estimate == "chance":
        rows.append(Slack("chance", cost.in_time or 0.0, problem.confidence or 1.0, needed is not None, at_least=True))
        if needed is None:
            lines.append(f"chance: {what} never reaches its loss with a chance of {problem.confidence:g}")
    elif losses and model.loss_limit is not None:
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
        k, at = gone[0], gone[0] - 1 - problem.done
        lines.append(
            f"epochs possible: {plan.servers[at]} with cut {plan.cuts[at]} is impossible in epoch {k}"
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

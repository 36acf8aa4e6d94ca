"""Certifies a placement: feasible or not, and how far from optimal it can be at most.

Everything is recomputed from the problem and the plan; no method's code takes part. The bound is the least over all
operators that reach the accuracy target of what minimum cuts prove of each: with the witness that came with the
plan, and where that is missing or refused, with flows of the certificate's own (`qopt.placement.certificate.bounds`).
Where limits leave a gap, small networks are enumerated.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qopt.core.certificate import Certificate, Slack
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.limits import within
from qopt.placement.certificate.bounds import (
    ENUMERATED,
    WitnessRefused,
    cheap_bound,
    least_of_all,
    own_bound,
    tree_bound,
)
from qopt.placement.costs import PlacementCost, breakdown, labelling, paid, weights_held
from qopt.placement.parts import Operator
from qopt.placement.plan import PlacementPlan, checked_placement, labels_of
from qopt.placement.problem import Placement
from qopt.placement.rows import limits
from qopt.placement.terms import Terms, terms

TOLERANCE = 1e-9
"""`proved` allows this share of the objective."""

IN_SOLVE: Mapping[str, object] = {}
"""Effort that `qopt.solve` asks for: the usual."""

CHEAP = 20_000
"""Operations times tiers of a network that is looked at even where the time is over: milliseconds."""

ROUNDING = 1e-12
"""The cost term by term and as a sum over labels may differ by this share of the objective."""


def certify(
    problem: Placement, plan: PlacementPlan | None, witness: object = None, *, clock: Clock = ENDLESS
) -> Certificate:
    """What is true of a plan, or of the claim that there is none.

    Parameters
    ----------
    problem : the problem.
    plan : the plan, or None to ask whether the problem is infeasible.
    witness : an untrusted proof (`qopt.placement.certificate.bounds`).
    clock : what is proved of optimality, or of the claim that there is no plan, is what there is time for. Feasibility
        is certified whatever it says.

    Raises
    ------
    InputError
        The plan's shape does not fit the problem.
    """
    start = time.perf_counter()
    if plan is not None:
        checked_placement(problem, plan)
    cost = None if plan is None else breakdown(problem, plan)
    least, kind, notes, late = _least(problem, witness, None if cost is None else _target(cost.objective), clock)
    if plan is None or cost is None:
        infeasible = least == math.inf
        found = Certificate(
            bits=None,
            feasible=False,
            objective=None,
            cost=None,
            bound=None if infeasible or least is None else float(least),
            kind=kind,
            infeasible=infeasible,
            notes=tuple(notes),
        )
    else:
        found = _with_plan(problem, plan, cost, least, kind, notes)
    return replace(found, stopped="time-limit" if late else None, seconds=time.perf_counter() - start)


def _least(
    problem: Placement, witness: object, target: Fraction | None, clock: Clock
) -> tuple[Fraction | float | None, str | None, list[str], bool]:
    """A bound on every plan, its kind, remarks, and whether the clock kept it from being better.

    The bound is infinite where there is no plan, None where nothing is proved. Operators whose bound does not reach the
    target (None: infinity) are enumerated where they are small.
    """
    notes: list[str] = []
    trees: dict[str, object] = {}
    if witness is not None:
        if (
            isinstance(witness, dict)
            and witness.get("format") == "qopt/placement-witness"
            and type(witness.get("version")) is int
            and witness["version"] == 1
            and isinstance(witness.get("operators"), dict)
        ):
            trees = witness["operators"]
        else:
            notes.append("witness rejected: not an object of format qopt/placement-witness, version 1")
    least: Fraction | float | None = math.inf
    kinds: set[str] = set()
    late: list[str] = []
    for operator in problem.eligible:
        if clock.over and len(problem.graph) * len(problem.tiers) > CHEAP:
            late.append(operator.name)
            least = None
            break
        bound, kind, slow = _operator(problem, operator, trees, target, clock, notes)
        kinds.add(kind)
        late += [operator.name] if slow else []
        if bound is None:
            notes.append(f"{operator.name}: no flow was accepted, nothing is proved")
        least = None if least is None or bound is None else min(least, bound)
    if late:
        notes.append(f"the time limit is reached: operator {late[0]}, perhaps others too, has less than a flow")
    order = ("enumeration", "witness", "flow", "cheapest")
    of = next((kind for kind in order if kind in kinds), "enumeration")
    return least, of if least is not None else None, notes, bool(late)


def _operator(
    problem: Placement,
    operator: Operator,
    trees: dict[str, object],
    target: Fraction | None,
    clock: Clock,
    notes: list[str],
) -> tuple[Fraction | float | None, str, bool]:
    """A bound on the plans of one operator (None: nothing is proved), its kind, and whether the clock stopped more."""
    own = terms(problem, operator)
    costs = labelling(problem, own)
    rows = limits(problem, own, costs)
    bound: Fraction | float | None = None
    kind, name = "flow", operator.name
    try:
        if name in trees:
            try:
                bound = tree_bound(problem, own, costs, rows, trees[name], clock)
                kind = "witness" if rows else kind
            except WitnessRefused as why:
                notes.append(f"witness rejected for {name}: {why}")
        if bound is None:
            bound = own_bound(costs, rows, clock)
        if (rows or not costs.plain) and (bound is None or bound < (math.inf if target is None else target)):
            exact = least_of_all(costs, rows, ENUMERATED, clock)
            bound, kind = (bound, kind) if exact is None else (exact, "enumeration")
    except OutOfTime:
        return (cheap_bound(costs), "cheapest", True) if bound is None else (bound, kind, True)
    return bound, kind, False


def _target(objective: float) -> Fraction:
    """What a bound must reach to prove an objective."""
    return Fraction(objective) - Fraction(TOLERANCE * abs(objective))


def _with_plan(
    problem: Placement,
    plan: PlacementPlan,
    cost: PlacementCost,
    least: Fraction | float | None,
    kind: str | None,
    notes: list[str],
) -> Certificate:
    own = terms(problem, problem.operator(plan.operator))
    labels = labels_of(problem, own, plan)
    constraints, broken = _constraints(problem, own, plan, labels)
    feasible = not broken
    if feasible:
        costs = labelling(problem, own)
        linear = math.fsum(paid(costs, labels))
        if abs(linear - cost.objective) > ROUNDING * abs(cost.objective):
            notes.append(f"error: the cost term by term is {cost.objective:.17g}, as a sum of labels {linear:.17g}")
        # The plan is one of those that the bound is about: above it, the bound is rounding.
        least = None if least is None else min(least, Fraction(linear))
    proved = (
        feasible
        and least is not None
        and least >= _target(cost.objective)
        and not any(n.startswith("error") for n in notes)
    )
    bound = None if least is None or least == math.inf else float(least)
    if proved and bound is not None:
        bound = min(bound, cost.objective)
    return Certificate(
        bits=None,
        feasible=feasible,
        objective=cost.objective,
        cost=cost,
        constraints=tuple(constraints),
        violations=tuple(broken),
        bound=bound,
        kind=kind if bound is not None else None,
        proved=proved,
        infeasible=least == math.inf,
        notes=tuple(notes),
    )


def violations(problem: Placement, plan: PlacementPlan) -> list[str]:
    """A line for each constraint that a plan breaks; empty for a feasible one."""
    own = terms(problem, problem.operator(checked_placement(problem, plan).operator))
    return _constraints(problem, own, plan, labels_of(problem, own, plan))[1]


def _constraints(
    problem: Placement, own: Terms, plan: PlacementPlan, labels: list[int]
) -> tuple[list[Slack], list[str]]:
    """Every constraint in the exact test, and a line for each that fails."""
    names, tiers = ("the raw input", *own.names), problem.tier_names
    wrong = [v for v, k in enumerate(labels[1:]) if not own.allowed[v, k]]
    lines = [f"{own.names[v]}: on {tiers[labels[v + 1]]}, where it may not run" for v in wrong]
    rows = [Slack.whether("tiers allowed", len(wrong))]
    down = [(f.producer, r) for f in own.flows for r in f.readers if labels[r] < labels[f.producer]]
    lines += [f"{names[r]}: below {names[u]}, which it reads" for u, r in down]
    rows.append(Slack.whether("data moves up", len(down)))
    apart = [group for group in own.together if len({labels[v] for v in group}) > 1]
    lines += [f"{', '.join(names[v] for v in group)}: not on one tier" for group in apart]
    rows.append(Slack.whether("together", len(apart)))
    if any(labels[r] != flow.first for flow in own.flows if flow.private for r in flow.readers):
        rows.append(Slack.whether("private input", 1))
        lines.append("the raw input leaves its tier")
    accuracy, target = own.operator.accuracy, problem.targets.accuracy
    rows.append(Slack("accuracy", accuracy, target, accuracy >= target, at_least=True))
    if accuracy < target:
        lines.append(f"operator {plan.operator}: accuracy {accuracy:.17g}, at least {target:.17g} is asked for")
    for k, tier in enumerate(problem.tiers):
        if tier.memory is None:
            continue
        stored = weights_held(own, np.array(labels, dtype=np.int64), k)
        if tier.activations:
            stored += _alive(own, labels, k)
        rows.append(Slack(f"memory of {tier.name}", math.fsum(stored), tier.memory, within(stored, tier.memory)))
        if not rows[-1].holds:
            lines.append(f"memory of {tier.name}: {rows[-1].used:.17g} bytes, allowed {tier.memory:.17g}")
    limit = problem.targets.latency
    if limit is not None and not down and not wrong:
        seconds = _seconds(problem, own, labels)
        at = problem.targets.quantile
        name = "latency" if at is None else f"latency at quantile {at:g}"
        rows.append(Slack(name, math.fsum(seconds), limit, within(seconds, limit)))
        if not rows[-1].holds:
            lines.append(f"{name}: {rows[-1].used:.17g} s, allowed {limit:.17g}")
    return rows, lines


def _seconds(problem: Placement, own: Terms, labels: list[int]) -> list[float]:
    """The terms of the latency at the size of the input that the target is about."""
    if problem.quantile_case is not None:
        own = terms(problem, own.operator, problem.quantile_case)
    time_only = labelling(problem, own, objective=(1.0, 0.0, 0.0))
    unary, weight = (np.where(np.isinf(x), 0.0, x) for x in (time_only.unary, time_only.weight))
    return paid(replace(time_only, unary=unary, weight=weight), labels)


def _alive(own: Terms, labels: list[int], tier: int) -> list[float]:
    """Bytes of tensors, and of scratch, that a tier holds at the step of the listed order where these are most."""
    n = len(own.names)
    changes = [Fraction(0)] * (n + 2)
    there: list[tuple[int, int, float]] = []
    for flow, bits in zip(own.flows, own.largest, strict=True):
        if max(labels[flow.producer], flow.first) <= tier <= max(labels[r] for r in flow.readers):
            there.append((max(flow.producer, 1), max(flow.readers), bits / 8.0))
    for first, last, size in there:
        changes[first] += Fraction(size)
        changes[last + 1] -= Fraction(size)
    held, most, at = Fraction(0), Fraction(0), 1
    for v in range(1, n + 1):
        held += changes[v]
        now = held + (Fraction(float(own.scratch[v - 1])) if labels[v] == tier else 0)
        if now > most:
            most, at = now, v
    scratch = [float(own.scratch[at - 1])] if labels[at] == tier else []
    return [*(size for first, last, size in there if first <= at <= last), *scratch]

"""What a placement may not break, in the exact test: pins, the order of tiers, groups, privacy, targets, memory.

Methods and strategies ask here. The certificate, which judges them, asks nobody: it has its own reading.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from qopt.core.limits import within
from qopt.placement.costs import Labelling, labelling
from qopt.placement.problem import Placement
from qopt.placement.rows import Limit, limits
from qopt.placement.terms import Terms


def keeps_rows(costs: Labelling, rows: Iterable[Limit], labels: Sequence[int]) -> bool:
    """Whether labels (tier indices, node 0 included) keep every row, memory and latency, in the exact test."""
    at = list(labels)
    return all(row.keeps(costs, at) for row in rows)


def leaves(own: Terms, labels: Sequence[int]) -> bool:
    """Whether a private input leaves the tier where it is born."""
    return any(labels[r] > flow.first for flow in own.raw if flow.private for r in flow.readers)


def broken(problem: Placement, own: Terms, labels: Sequence[int]) -> str | None:
    """The first constraint that a placement of an operator's network breaks, in one line; None if it keeps all.

    Parameters
    ----------
    own : the operator's network.
    labels : (n + 1,) tier index of the raw input and of each operation that the operator keeps.
    """
    return next(_broken(problem, own, list(labels)), None)


def _broken(problem: Placement, own: Terms, labels: list[int]) -> Iterator[str]:
    names, tiers = ("the raw input", *own.names), problem.tier_names
    for v, k in enumerate(labels[1:]):
        if not own.allowed[v, k]:
            yield f"{own.names[v]}: on {tiers[k]}, where it may not run"
    for flow in own.flows:
        for r in flow.readers:
            if labels[r] < labels[flow.producer]:
                yield f"{names[r]}: below {names[flow.producer]}, which it reads"
    for group in own.together:
        if len({labels[v] for v in group}) > 1:
            yield f"{', '.join(names[v] for v in group)}: not on one tier"
    if leaves(own, labels):
        yield "the raw input leaves its tier"
    if own.operator.accuracy < problem.targets.accuracy:
        found, target = own.operator.accuracy, problem.targets.accuracy
        yield f"operator {own.operator.name}: accuracy {found:.17g}, at least {target:.17g} is asked for"
    costs = labelling(problem, own)
    units = {"latency": "s"}
    for row in limits(problem, own, costs):
        terms = row.uses(costs, labels)
        if not within(terms, row.limit):
            yield f"{row.name}: {math.fsum(terms):.17g} {units.get(row.name, 'bytes')}, allowed {row.limit:.17g}"

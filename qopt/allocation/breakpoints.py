"""The best plan for every budget of one resource: the whole staircase, from one dynamic program.

All non-dominated pairs of use and damage come from the kernel's front (`qopt.kernels.mckp.front`), each a plan; the
best within a budget is the last whose use fits. Where there are too many to list, that is refused: a single budget is
cheap, so a sweep over budgets serves.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from qopt.allocation.items import Budget, items
from qopt.allocation.plan import AllocationPlan
from qopt.allocation.problem import Allocation
from qopt.core.arguments import is_number
from qopt.core.clock import ENDLESS, Clock
from qopt.core.envelope import Envelope, Line, Piece
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.reading import problem_of
from qopt.kernels import mckp

LABELS = 3_000_000
"""Partial sums kept before the staircase is given up: some 30 MB and seconds."""


def breakpoints(
    problem: Allocation,
    parameter: str,
    *,
    low: float | None = None,
    high: float | None = None,
    clock: Clock = ENDLESS,
) -> Envelope:
    """The best plan for every budget of one resource.

    Parameters
    ----------
    problem : an allocation that minimises damage; the budget that varies is its only limit.
    parameter : ``resources.NAME.budget``, or the resource's name.
    low, high : range of the budget; by default from the lightest to the heaviest plan.
    clock : of the call; where it is over before all steps are known, some of them are given.

    Raises
    ------
    InputError
        No such parameter, other limits or pairs beside it, or an empty range.
    MethodError
        Too many plans are best for some budget.
    """
    problem = problem_of(Allocation, problem)
    known = [f"resources.{name}.budget" for name in problem.resources]
    name = parameter.removeprefix("resources.").removesuffix(".budget") if isinstance(parameter, str) else ""
    if name not in problem.resources:
        raise InputError("parameter", shown(parameter), " or ".join(known) or "nothing: no resource is there")
    least, most = problem.range_of(name)
    ends = []
    for end, given, default in (("low", low, least), ("high", high, most)):
        value = default if given is None else given
        if not is_number(value) or not 0 <= value < math.inf:
            raise InputError(end, shown(given), "a finite number >= 0")
        ends.append(float(value))
    if ends[0] >= ends[1]:
        raise InputError("low", f"{ends[0]:g} with high {ends[1]:g}", "low < high")
    own = items(problem.with_budgets(**{name: most}))
    others = [budget.name for budget in own.budgets if budget.name != name]
    if others or problem.interactions:
        found = f"a limit on {', '.join(others)}" if others else "damage of pairs"
        raise InputError("problem", found, f"an allocation whose only limit is that on {name}, without pairs")
    (row,) = own.budgets
    top = Budget(row.name, row.use, ends[1], row.whole)
    front = mckp.front(
        own.cost, row.use, top.kernel_limit, ties=own.ties or None, time_limit=clock.left, max_labels=LABELS
    )
    if not front.complete and not clock.over:
        raise MethodError(f"{name}: too many plans are best for some budget to list; qopt.solve takes one at a time")

    def at(index: int) -> Callable[[], AllocationPlan]:
        return lambda: own.plan(front.choice(index))

    starts, damages = front.weight.tolist(), front.cost.tolist()
    pieces: list[Piece] = []
    if not starts or starts[0] > ends[0]:
        pieces.append(Piece(ends[0], min([*starts[:1], ends[1]]), None, None))
    for k, (start, damage) in enumerate(zip(starts, damages, strict=True)):
        stop = starts[k + 1] if k + 1 < len(starts) else ends[1]
        if stop >= ends[0] and max(start, ends[0]) <= min(stop, ends[1]):
            pieces.append(Piece(max(start, ends[0]), min(stop, ends[1]), Line(damage), at(k)))
    unit = problem.resources[name].unit
    where = (problem.name, f"resources.{name}.budget", unit)
    return Envelope(*where, tuple(pieces), ends[0], ends[1], limit=True, solved=1, complete=front.complete)

"""Break-even of placements: the best operator and tiers as a function of one parameter, exactly.

A plan's objective is affine in 1 / rate of a link, in 1 / speed of a tier, and in sizes, latencies, powers and prices.
The best of all plans is therefore the lower envelope of lines, concave and piecewise linear, and all of it is found
by intersection (Eisner and Severance 1976): solve at both ends; where the two lines cross, solve again; if that
plan is below both lines, go on left and right of it, else the crossing is a break-even point. With b break-even
points that is about 2 b + 2 minimum cuts. Lines and crossings are rational numbers.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from qopt.core.arguments import is_number
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.envelope import Envelope, of_lines
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.reading import problem_of
from qopt.core.solving import solve
from qopt.placement.costs import message_links, way_back
from qopt.placement.parts import Operator
from qopt.placement.plan import PlacementPlan, labels_of
from qopt.placement.problem import Placement
from qopt.placement.terms import kept_operations, terms

INVERSE = r"links\[\d+\]\.(?:rate|down_rate)|tiers\[\d+\]\.speed"
AFFINE = (
    r"input\.size|links\[\d+\]\.(?:latency|overhead|energy|price)|tiers\[\d+\]\.(?:power|price)"
    r"|objective\.(?:time|energy|price)"
)
KNOWN = (
    "input.size, links[i].rate, .down_rate, .latency, .overhead, .energy, .price, tiers[i].speed, .power, .price, "
    "objective.time, .energy, .price"
)

RANGE = 1000.0
"""By default a parameter ranges from its value over this factor to its value times it."""

ROUNDING = Fraction(1, 10**12)
"""A plan counts as better than a line only beyond this share of it: the cut's costs are rounded, the lines are not."""

UNITS = {
    "size": "bit",
    "rate": "bit/s",
    "down_rate": "bit/s",
    "latency": "s",
    "energy": "J/bit",
    "price": "1/bit",
    "speed": "work/s",
    "power": "W",
}
"""Units of the fields of inputs, links and tiers; an overhead is a factor."""


def unit_of(name: str) -> str:
    """The unit of a parameter; empty for a number."""
    section, field = name.split(".")
    if section == "objective":
        return {"time": "1/s", "energy": "1/J"}.get(field, "")
    return "1/s" if section.startswith("tiers") and field == "price" else UNITS.get(field, "")


def exact_cost(problem: Placement, plan: PlacementPlan) -> Fraction:
    """The objective of a plan, without any rounding of its sums and products."""
    own = terms(problem, problem.operator(plan.operator))
    at = labels_of(problem, own, plan)
    w = problem.objective
    of_time, of_energy, of_price = Fraction(w.time), Fraction(w.energy), Fraction(w.price)
    per_second = [of_time + of_energy * Fraction(t.power) + of_price * Fraction(t.price) for t in problem.tiers]

    def sent(bits: float, link: int, rate: float) -> Fraction:
        there = problem.links[link]
        wire = Fraction(there.overhead) * Fraction(bits)
        return (
            of_time * wire / Fraction(rate)
            + (of_energy * Fraction(there.energy) + of_price * Fraction(there.price)) * wire
        )

    total = sum((Fraction(float(own.time[v, k])) * per_second[k] for v, k in enumerate(at[1:])), Fraction(0))
    for flow in own.flows:
        bits = flow.written(at[flow.producer])
        for link in range(max(at[flow.producer], flow.first), max(at[r] for r in flow.readers)):
            total += sent(bits, link, problem.links[link].rate)
    messages = list(message_links(problem, at))
    for node, part in own.outputs:
        way = way_back(problem, part, at[node])
        total += sum((sent(part.size, *hop) for hop in way), Fraction(0))
        messages += [link for link, _ in way]
    return total + of_time * sum((Fraction(problem.links[link].latency) for link in messages), Fraction(0))


def breakpoints(
    problem: Placement,
    parameter: str,
    *,
    low: float | None = None,
    high: float | None = None,
    clock: Clock = ENDLESS,
) -> Envelope:
    """The best plan for every value of a parameter.

    Parameters
    ----------
    problem : the placement; everything but the parameter stays as it is.
    parameter : ``input.size`` (bits), or a field such as ``links[0].rate``; the error lists all.
    low, high : range, both finite and > 0; default the parameter's value over and times 1000.
    clock : of the call. Any plan serves at every value, so where it is over the best of those found stand for all.

    Raises
    ------
    InputError
        An unknown parameter, the speed of a tier that no eligible operator uses, an empty range, or a latency target
        (which the parameter changes too).
    MethodError
        A problem whose optimum could not be proved.
    """
    problem = problem_of(Placement, problem)
    name = parameter if isinstance(parameter, str) else ""
    inverse = re.fullmatch(INVERSE, name) is not None
    if not inverse and re.fullmatch(AFFINE, name) is None:
        raise InputError(
            "parameter", shown(parameter), f"one in whose value or inverse the objective is affine: {KNOWN}"
        )
    if problem.targets.latency is not None:
        raise InputError("targets.latency", f"{problem.targets.latency:g}", "no latency target: the parameter moves it")
    value = _value(problem, name)
    if name.endswith(".speed") and problem.eligible and not any(_by_speed(problem, o) for o in problem.eligible):
        allowed = "a parameter that moves something: every eligible operator here has speeds or times of its own"
        raise InputError("parameter", f"{name}, on which no time depends", allowed)
    ends = []
    for end, given, default in (("low", low, 1 / RANGE), ("high", high, RANGE)):
        if given is None and not value:
            raise InputError(end, "nothing", f"a number > 0, since {name} has no value > 0")
        number = (value or 0.0) * default if given is None else given
        if not is_number(number) or not 0 < number < math.inf:
            raise InputError(end, shown(given), "a finite number > 0")
        ends.append(float(number))
    if ends[0] >= ends[1]:
        raise InputError("low", f"{ends[0]:g} with high {ends[1]:g}", "low < high")
    search = _Lines(problem, name, inverse, clock)
    first, last = sorted((search.abscissa(ends[0]), search.abscissa(ends[1])))
    complete = True
    try:
        if search.solve(first) is not None:
            search.between(first, last)
    except OutOfTime:
        complete = False
    found = list(search.lines.values())
    return of_lines(
        [(intercept, slope) for intercept, slope, _ in found],
        [plan for _, _, plan in found],
        problem=problem.name,
        parameter=name,
        unit=unit_of(name),
        low=ends[0],
        high=ends[1],
        inverse=inverse,
        solved=search.solved,
        complete=complete,
    )


def _by_speed(problem: Placement, operator: Operator) -> bool:
    """Whether some operation's time is its work over the tier's speed under an operator."""
    if operator.time is not None or operator.speeds is not None:
        return False
    kept = kept_operations(problem, operator)
    return any(problem.graph.operations[i] not in problem.graph.time for i in kept)


def _input_size(problem: Placement) -> float:
    """The mean size of the one input, if nothing else is said of its sizes."""
    source = problem.input
    known = [operator for operator in problem.operators if operator.time_at or operator.tensors_at]
    if source is None or source.shares is not None or known:
        allowed = "another parameter: this one is of one input, whose sizes come equally often and change nothing else"
        raise InputError("parameter", "input.size", allowed)
    return source.size


def _value(problem: Placement, name: str) -> float | None:
    """What the parameter is now."""
    if name == "input.size":
        return _input_size(problem)
    section, field = name.split(".")
    found = re.fullmatch(r"(\w+)\[(\d+)\]", section)
    if found is None:
        return float(getattr(problem.objective, field))
    entries = getattr(problem, found[1])
    if int(found[2]) >= len(entries):
        last = f"{found[1]}[{len(entries) - 1}].{field}"
        known = f"{found[1]}[0].{field}" + (f" to {last}" if len(entries) > 1 else "")
        raise InputError("parameter", name, known if entries else f"another one: this problem has no {found[1]}")
    value = getattr(entries[int(found[2])], field)
    return None if value is None else float(value)


class _Lines:
    """The lines of the plans found so far, and how often was solved."""

    def __init__(self, problem: Placement, name: str, inverse: bool, clock: Clock) -> None:
        self.problem, self.name, self.inverse, self.clock = problem, name, inverse, clock
        self.lines: dict[tuple[Fraction, Fraction], tuple[Fraction, Fraction, PlacementPlan]] = {}
        self.solved = 0

    def abscissa(self, value: float) -> Fraction:
        """x of a parameter's value."""
        return 1 / Fraction(value) if self.inverse else Fraction(value)

    def moved(self, value: float) -> Placement:
        """The problem with the parameter at a value."""
        return self.problem.replace({"input.sizes": [value]} if self.name == "input.size" else {self.name: value})

    def solve(self, x: Fraction) -> tuple[Fraction, Fraction] | None:
        """Intercept and slope of the best plan at x; None if no plan keeps the limits.

        Raises `OutOfTime` where the clock is over; a plan that was found by then is kept.
        """
        self.clock.check()
        value = float(1 / x if self.inverse else x)
        solution = solve(self.moved(value), time_limit=self.clock.left)
        self.solved += 1
        if solution.certificate.infeasible:
            return None
        if solution.late:
            if solution.plan is not None and solution.certificate.feasible:
                self._keep(value, solution.plan)
            raise OutOfTime("a plan on the way was not proved in time")
        if not solution.certificate.proved:
            raise MethodError(f"{self.name} = {value:g}: {solution.status}, not proved")
        return self._keep(value, solution.plan)

    def _keep(self, value: float, plan: PlacementPlan) -> tuple[Fraction, Fraction]:
        """The line of a plan, which counts from now on."""
        values = (value, value * 2.0)
        (x1, c1), (x2, c2) = ((self.abscissa(v), exact_cost(self.moved(v), plan)) for v in values)
        slope = (c2 - c1) / (x2 - x1)
        line = (c1 - slope * x1, slope)
        self.lines.setdefault(line, (*line, plan))
        return line

    def between(self, first: Fraction, last: Fraction) -> None:
        """Find every line of the envelope between two abscissas.

        Each round finds a plan's line that is new, or is the last between two: at most twice as many as lines.
        """
        left, right = self.solve(first), self.solve(last)
        assert left is not None
        assert right is not None
        waiting = [(left, right)]
        while waiting:
            left, right = waiting.pop()
            if left[1] <= right[1]:  # the envelope is concave: slopes fall, or both are one line
                continue
            x = (right[0] - left[0]) / (left[1] - right[1])
            if not first < x < last:
                continue
            known = len(self.lines)
            line = self.solve(x)
            assert line is not None
            here = left[0] + left[1] * x
            if len(self.lines) > known and line[0] + line[1] * x < here - ROUNDING * abs(here):
                waiting += [(left, line), (line, right)]

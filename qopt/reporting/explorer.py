"""Sliders: exact envelopes and fronts as compact data for the page's script, and as tables for a page without it.

The script only looks values up: between two break-even values one plan is best, and its objective is
``intercept + slope x`` (x the parameter, or its inverse). So what a slider shows is exact, not sampled. Where no such
curve is known, some values are solved, each by itself; the slider then stands on these alone, and says so.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, replace
from typing import Any

from qopt.core.clock import Clock
from qopt.core.display import number
from qopt.core.envelope import Envelope
from qopt.core.errors import QoptError
from qopt.core.families import family_of
from qopt.core.front import Front
from qopt.core.html import cut_rows, escaped, paragraph, table
from qopt.core.limits import SLACK
from qopt.core.plan import Plan
from qopt.core.problem import Problem
from qopt.core.report import scaled
from qopt.core.showing import Slider, Strip
from qopt.core.solving import breakpoints, front, solve

SECONDS, BRIEF = 5.0, 0.5
"""For each slider where nothing else is said: of a problem of ordinary size, and of a large one."""

LARGE = 1_000
"""Layers beyond which a problem is large: fronts and solves by themselves are left out, where no time was given."""

MOST, FEWER = 200, 40
"""Pieces of one slider that a page carries, and those of a large problem: of more, those around the present value."""

LARGEST = 250_000
"""Characters of one slider's data; with more, fewer pieces."""

FEW = 4
"""Pieces that a slider keeps, however large they are."""

LONGEST = 160
"""Characters of a plan."""

RUNS = 150
"""Runs of a strip; of a plan with more, how often each group comes."""

BEYOND = 8.0
"""How far a slider goes beyond the outermost values where its range has no end, as a factor."""

DECADES = 20.0
"""From such a quotient of its ends on an axis is logarithmic."""

PREFIXED = ("s", "J", "W", "bit", "bit/s", "B", "byte", "Hz")
"""Units that take SI prefixes."""

WHOLE = ("bit", "bit/s", "B", "byte")
"""Those of them of which there is no part: a millibit would be read as a megabit."""


@dataclass(frozen=True)
class Stretch:
    """One plan is best from `start` to `stop`; the objective is ``line[0] + line[1] x``. Without a line: no plan."""

    start: float
    stop: float
    line: tuple[float, float] | None
    plan: Plan | None


@dataclass(frozen=True)
class Curve:
    """What a slider moves along.

    Attributes
    ----------
    slider : what is moved.
    unit, objective : unit of what is moved, and name of what is minimised.
    stretches : ascending, each with the next one's start as its stop.
    inverse, limit : as in `Envelope`.
    complete : whether nothing better is left to be found.
    points : whether stretches are single values, with nothing known between them.
    remarks : a line each.
    whole : pieces there are; those shown are fewer where a page would be too large.
    """

    slider: Slider
    unit: str
    objective: str
    stretches: tuple[Stretch, ...]
    inverse: bool = False
    limit: bool = False
    complete: bool = True
    points: bool = False
    remarks: tuple[str, ...] = ()
    whole: int = 0

    @property
    def said(self) -> list[str]:
        """The remarks, and of how many pieces some are shown."""
        kept, whole = len(self.stretches), f"{self.whole:,}".replace(",", " ")
        shown = f"{kept} of {whole} pieces are shown, those around the present value"
        return [*self.remarks, *([shown] if kept < self.whole else [])]


def quantity(value: float | None, unit: str) -> str:
    """A value with its unit, with a prefix where the unit takes one.

    Parameters
    ----------
    value : in the unit; None for none.
    unit : empty for a number.
    """
    if value is None or not math.isfinite(value):
        return "–" if value is None else "∞"
    if unit in PREFIXED and (unit not in WHOLE or abs(value) >= 1):
        return scaled(value, unit)
    return f"{number(value)} {unit}".rstrip()


def curve(problem: Problem, slider: Slider, seconds: float) -> Curve:
    """The envelope or front of a slider, cut down to what a page carries.

    Parameters
    ----------
    problem : of any family.
    slider : one of its family's.
    seconds : that it may take; what was found by then is shown, and that it is not complete.

    Raises
    ------
    QoptError
        The family cannot say it for this problem.
    """
    most = MOST if problem.layers <= LARGE else FEWER
    if slider.call == "breakpoints":
        found = breakpoints(problem, slider.name, time_limit=seconds)
        return _of_envelope(slider, found, most)
    if slider.call == "solves":
        return _of_solves(problem, slider, Clock(seconds))
    return _of_front(slider, front(problem, against=slider.name, time_limit=seconds), most)


def _of_solves(problem: Problem, slider: Slider, clock: Clock) -> Curve:
    """Some values, each solved by itself within its share of the time."""
    module, stretches, proved = family_of(problem).part("showing"), [], 0
    for k, value in enumerate(slider.values):
        limit = clock.part(1.0 / (len(slider.values) - k)).left
        solution = solve(module.changed(problem, slider.name, value), time_limit=limit)
        kept = solution.plan is not None and solution.certificate.feasible and solution.objective is not None
        line = (float(solution.objective or 0.0), 0.0) if kept else None
        stretches.append(Stretch(value, value, line, solution.plan if kept else None))
        proved += solution.certificate.proved or solution.certificate.infeasible
    whole = len(stretches)
    sure = "each" if proved == whole else f"{proved} of them"
    remark = f"{whole} values are solved, each by itself, {sure} to a proof; between them nothing is known"
    complete = proved == whole
    return Curve(slider, "", "objective", tuple(stretches), False, False, complete, True, (remark,), whole)


def _of_envelope(slider: Slider, found: Envelope, most: int = MOST) -> Curve:
    shown = _near([piece.start for piece in found.pieces], slider.now, most)
    stretches = tuple(
        Stretch(
            piece.start,
            piece.stop,
            None if piece.objective is None else (piece.objective.intercept, piece.objective.slope),
            piece.plan,
        )
        for piece in found.pieces[shown]
    )
    remarks = () if found.complete else ("not complete: the time ran out, other plans may be better",)
    whole = len(found.pieces)
    kind = found.inverse, found.limit, found.complete
    return Curve(slider, found.unit, "objective", stretches, *kind, remarks=remarks, whole=whole)


def _of_front(slider: Slider, found: Front, most: int = MOST) -> Curve:
    """A front of two criteria as a staircase in the one that is limited."""
    criteria = {criterion.name: criterion for criterion in found.criteria}
    across = criteria.pop(slider.name)
    up = next(iter(criteria.values()))
    points = sorted(found.points, key=lambda point: float(point.values[across.name] or 0.0))
    xs = [float(point.values[across.name] or 0.0) for point in points]
    reaching = across.sense == "max"  # a limit from below: at a value the next point from there on is the cheapest
    ends = [*xs, math.inf]
    starts = [0.0, *xs[:-1]] if reaching else xs
    stops = xs if reaching else ends[1:]
    shown = _near(starts, slider.now, most)
    stretches = [
        Stretch(start, stop, (float(point.values[up.name] or 0.0), 0.0), point.plan)
        for start, stop, point in list(zip(starts, stops, points, strict=True))[shown]
    ]
    if stretches and not reaching and shown.start == 0 and xs[0] > 0:
        stretches.insert(0, Stretch(0.0, xs[0], None, None))
    if stretches and reaching and shown.stop == len(xs) and xs[-1] < 1.0:
        stretches.append(Stretch(xs[-1], 1.0, None, None))
    remarks = [*found.reserves, *found.notes]
    unit = f"{up.name} [{up.unit}]" if up.unit else up.name
    said = tuple(dict.fromkeys(remarks))
    whole = len(points) - (shown.stop - shown.start) + len(stretches)
    kind = False, not reaching, found.complete
    return Curve(slider, across.unit, unit, tuple(stretches), *kind, remarks=said, whole=whole)


def _near(starts: list[float], now: float | None, most: int = MOST) -> slice:
    """Which pieces a page carries: all, or as many as it may around the present value."""
    if len(starts) <= most:
        return slice(0, len(starts))
    at = 0 if now is None else max(sum(start <= now for start in starts) - 1, 0)
    first = min(max(at - most // 2, 0), len(starts) - most)
    return slice(first, first + most)


def _halved(found: Curve) -> Curve:
    """The curve with half of its pieces, those around the present value."""
    starts = [stretch.start for stretch in found.stretches]
    return replace(found, stretches=found.stretches[_near(starts, found.slider.now, len(starts) // 2)])


def ends(found: Curve) -> tuple[float, float]:
    """(low, high) of the slider, finite: the range of the pieces, and where that has no end some way beyond them.

    Of a range of one value alone, low is not below high: there is nothing to move.
    """
    low, high = found.stretches[0].start, found.stretches[-1].stop
    if found.points:
        return low, high
    now = found.slider.now
    inside = (*(stretch.start for stretch in found.stretches[1:]), *([] if now is None else [now]))
    anchors = [value for value in inside if low <= value <= high and 0 < value < math.inf]
    anchors = anchors or [min(high, max(low, 1.0)) if high > 0 else 1.0]
    if not math.isfinite(high):
        high = min(max(anchors) * BEYOND, sys.float_info.max)
    if low <= 0:
        low = max(min(anchors) / BEYOND, sys.float_info.min)
    return low, high


def data(problem: Problem, found: Curve) -> dict[str, Any]:
    """What the script reads: numbers to the last digit, plans and groups of strips once each.

    Parameters
    ----------
    problem : whose plans they are.
    found : the curve.
    """
    family = family_of(problem)
    strips = getattr(family.part("showing"), "strips", None) if family.showing else None
    plans: list[dict[str, Any]] = []
    known: dict[str, int] = {}
    groups: dict[str, int] = {}
    which = []
    for stretch in found.stretches:
        if stretch.plan is None:
            which.append(-1)
            continue
        rows = [] if strips is None else [_short(strip) for strip in strips(problem, stretch.plan)]
        entry = {
            "text": _cut(str(stretch.plan)),
            "rows": [
                [row.name, [[groups.setdefault(group, len(groups)), count] for group, count in row.runs]]
                for row in rows
            ],
        }
        key = json.dumps(entry)
        if key not in known:
            known[key] = len(plans)
            plans.append(entry)
        which.append(known[key])
    low, high = ends(found)
    return {
        "title": found.slider.words,
        "parameter": found.slider.name,
        "unit": found.unit,
        "prefixed": found.unit in PREFIXED,
        "whole": found.unit in WHOLE,
        "objective": found.objective,
        "inverse": found.inverse,
        "limit": found.limit,
        "slack": SLACK,
        "complete": found.complete,
        "points": found.points,
        "now": found.slider.now,
        "low": low,
        "high": high,
        "log": high / low >= DECADES,
        "starts": [stretch.start for stretch in found.stretches],
        "stops": [stretch.stop if math.isfinite(stretch.stop) else None for stretch in found.stretches],
        "lines": [None if stretch.line is None else list(stretch.line) for stretch in found.stretches],
        "plan": which,
        "plans": plans,
        "groups": list(groups),
    }


def _short(strip: Strip) -> Strip:
    """A strip, or of one with too many runs how often each group comes."""
    if len(strip.runs) <= RUNS:
        return strip
    counts: dict[str, int] = {}
    for group, count in strip.runs:
        counts[group] = counts.get(group, 0) + count
    most = sorted(counts.items(), key=lambda pair: -pair[1])
    if len(most) > RUNS:
        most = [*most[: RUNS - 1], ("others", sum(count for _, count in most[RUNS - 1 :]))]
    return Strip(f"{strip.name}, by number", tuple(most))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def embedded(content: dict[str, Any]) -> str:
    """Data as JSON inside an element ``script``: no text in it can end the element.

    Parameters
    ----------
    content : plain data.
    """
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def rendered(problem: Problem, slider: Slider, seconds: float) -> str:
    """A slider as HTML: its data, its table, and what is not known.

    Parameters
    ----------
    problem : of any family.
    slider : one of its family's.
    seconds : that it may take.
    """
    title = f"<h4>{escaped(slider.words[:1].upper() + slider.words[1:])}</h4>"
    try:
        found = curve(problem, slider, seconds)
    except QoptError as error:
        return f"{title}<p class='note'>No slider: {escaped(error)}</p>"
    if not any(stretch.line for stretch in found.stretches):
        why = "" if found.complete else " was found in the time"
        return f"{title}<p class='note'>No plan{why}, whatever its value.</p>"
    low, high = ends(found)
    if not low < high:
        only = quantity(found.stretches[0].start, found.unit)
        return f"{title}<p class='note'>No slider: {escaped(only)} is the only value.</p>"
    head = (*((slider.name,) if found.points else ("from", "to")), found.objective, "plan")
    content = embedded(data(problem, found))
    while len(content) > LARGEST and len(found.stretches) > FEW:
        found = _halved(found)
        content = embedded(data(problem, found))
    rows = []
    for stretch in found.stretches:
        span = [quantity(stretch.start, found.unit), quantity(stretch.stop, found.unit)]
        rows.append((*span[: len(head) - 2], _objective(found, stretch), _cut(str(stretch.plan or "no plan"))))
    listed = table(head, cut_rows(rows, MOST), left=(len(head) - 1,), kind="tall")
    notes = "".join(f"<p class='note'>{escaped(remark)}</p>" for remark in found.said)
    now = "" if slider.now is None else paragraph(f"In the instance: {quantity(slider.now, found.unit)}")
    return f'<div class="explorer">{title}<script type="application/json">{content}</script>{now}{notes}{listed}</div>'


def _objective(found: Curve, stretch: Stretch) -> str:
    """The objective at both ends of a piece, or where it is level once."""
    if stretch.line is None:
        return "–"
    values = []
    for end in dict.fromkeys((stretch.start, stretch.stop)):
        x = (math.inf if end == 0 else 1 / end) if found.inverse else end
        values.append(quantity(stretch.line[0] + (stretch.line[1] * x if stretch.line[1] else 0.0), ""))
    return " to ".join(dict.fromkeys(values))


def sliders(problem: Problem, seconds: float | None) -> str:
    """All sliders of a problem.

    Parameters
    ----------
    problem : of any family.
    seconds : for each of them; None for `SECONDS`, and of a large problem only what is quickly known.
    """
    family = family_of(problem)
    known = getattr(family.part("showing"), "sliders", None) if family.showing else None
    listed: list[Slider] = [] if known is None else known(problem)
    if not listed:
        return f"<p class='note'>For {escaped(family.a_problem)} no exact curve is known to move along.</p>"
    if seconds is not None or problem.layers <= LARGE:
        return "".join(rendered(problem, slider, SECONDS if seconds is None else seconds) for slider in listed)
    quick = [slider for slider in listed if slider.call == "breakpoints"]
    out = [slider.words for slider in listed if slider not in quick]
    said = f"<p class='note'>Left out, the problem is large: {escaped(', '.join(out))}. A time limit asks for them.</p>"
    return "".join(rendered(problem, slider, BRIEF) for slider in quick) + (said if out else "")

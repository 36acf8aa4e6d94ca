"""The parts of a page about one problem: question, plan, certificate, methods, limits, sliders, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qopt.core.display import number, short
from qopt.core.errors import QoptError
from qopt.core.explaining import explain
from qopt.core.families import family_of
from qopt.core.html import escaped, paragraph, table
from qopt.core.limited import limits_of
from qopt.core.problem import Problem
from qopt.core.report import certificate_table, comparison_table, scaled, verdict
from qopt.core.rich_html import of
from qopt.core.solution import Solution
from qopt.reporting.explorer import LARGE, SECONDS, sliders
from qopt.reporting.plots import figure

ENOUGH = 1.5
"""Seconds for the solve of a large problem, where nothing is said."""

CHEAP_LAYERS = 200
"""Up to so many layers what the limits are worth is looked for."""

LONG = 240
"""Characters of a description that are read before the rest; a longer one unfolds."""

CHEAP_LIMITS = 8
"""Up to so many limits as well: each takes some solves."""


def article(
    k: int,
    problem: Problem,
    solution: Solution,
    records: Sequence[dict[str, Any]],
    *,
    explore: bool,
    seconds: float | None,
) -> str:
    """All of one problem.

    Parameters
    ----------
    k : number of the problem on the page, from 1.
    problem, solution : what was asked, and the answer.
    records : of its methods, as `qopt.comparison.tables.rows` gives them; none for no comparison.
    explore : whether there are sliders.
    seconds : for each slider, and for what the limits are worth; None where nothing was said.
    """
    parts = [
        ("Question", question(problem)),
        ("Plan", plan(solution) + (_hurried(problem, solution) if seconds is None else "")),
        ("Explorer", sliders(problem, seconds) if explore else ""),
        ("Certificate", certificate(problem, solution)),
        ("What the limits are worth", worth(problem, seconds)),
        ("Methods beside each other", of(comparison_table(list(records))) if records else ""),
        ("Pictures", pictures(problem, solution, f"p{k}")),
    ]
    body = "".join(f"<section><h3>{title}</h3>{inner}</section>" for title, inner in parts if inner)
    said = of(verdict(solution.certificate))
    return f'<article id="instance-{k}"><h2>{escaped(problem.name)}</h2>{said}{body}</article>'


def question(problem: Problem) -> str:
    """What is asked, and where the numbers come from."""
    rows = [("family", problem.format.removeprefix("qopt/"))]
    rows += [("asked" if k == 0 else "", line) for k, line in enumerate(problem.summary())]
    if problem.source:
        rows.append(("source", problem.source))
    if problem.best_known:
        told = problem.best_known.items()
        rows.append(("best known", ", ".join(f"{k} {v if isinstance(v, str) else short(v)}" for k, v in told)))
    about = paragraph(problem.description) if problem.description else ""
    if len(problem.description) > LONG:
        about = f"<details><summary>Description</summary>{about}</details>"
    return table((), rows, left=(0, 1), kind="facts") + about


def _hurried(problem: Problem, solution: Solution) -> str:
    """That a large problem was not solved to the end, because nobody gave a time for it."""
    if problem.layers <= LARGE or not solution.late:
        return ""
    return f"<p class='note'>The problem is large: it had {ENOUGH:g} s, proof included. A time limit gives it more.</p>"


def plan(solution: Solution) -> str:
    """The plan as the console prints it; without one, that there is none, and why."""
    problem = solution.instance
    assert problem is not None
    own = family_of(problem).part("report")
    by = solution.method + (f" with {solution.solver}" if solution.solver else "")
    said = paragraph(f"{solution.status}, by {by}, in {scaled(solution.seconds, 's')}")
    if solution.message:
        said += paragraph(solution.message)
    if solution.plan is None or solution.certificate.cost is None:
        proved = solution.certificate.infeasible
        return said + f'<p><strong class="red">No plan{", proved" if proved else " was found"}.</strong></p>'
    return said + "".join(map(of, own.plan_parts(problem, solution)))


def certificate(problem: Problem, solution: Solution) -> str:
    """Verdict, bound and gap, and every limit with what is left of it."""
    found = solution.certificate
    limits = found.limits_table()
    return of(certificate_table(problem, found)) + (f"<h4>Limits</h4>{limits}" if limits else "")


def worth(problem: Problem, seconds: float | None) -> str:
    """What each limit is worth, or which limits contradict each other, where that is cheap to say."""
    if not family_of(problem).limited:
        return ""
    given = [limit for limit in limits_of(problem) if limit.value is not None]
    if not given:
        return ""
    if problem.layers > CHEAP_LAYERS or len(given) > CHEAP_LIMITS:
        return "<p class='note'>Not looked for, the problem is large; <code>qopt explain</code> says it.</p>"
    try:
        found = explain(problem, time_limit=SECONDS if seconds is None else seconds)
        lines = str(found).removeprefix(f"{problem.name}: ").splitlines()
        return "".join(paragraph(line.strip()) for line in lines)
    except QoptError as error:
        return f"<p class='note'>Not known: {escaped(error)}</p>"


def pictures(problem: Problem, solution: Solution, name: str) -> str:
    """The family's pictures of a plan; without a plan there are none."""
    family = family_of(problem)
    if not family.showing or solution.plan is None or not solution.certificate.feasible:
        return ""
    drawn = family.part("showing").pictures(problem, solution)
    if not drawn:
        return "<p class='note'>None: the problem is too large to draw.</p>"
    return "".join(figure(picture, f"{name}-{k}") for k, picture in enumerate(drawn, 1))


def overview(solutions: Sequence[Solution]) -> str:
    """A row for each problem, with a link to its part of the page."""
    rows = []
    for k, solution in enumerate(solutions, 1):
        found = solution.certificate
        link = f'<a href="#instance-{k}">{escaped(solution.problem)}</a>'
        cells = "".join(f'<td class="number">{number(x, 8)}</td>' for x in (solution.objective, found.bound))
        shades = of(verdict(found)).removeprefix("<p>").removesuffix("</p>")
        rows.append(f"<tr><td>{link}</td><td>{shades}</td>{cells}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("instance", "verdict", "objective", "lower bound"))
    return f'<div class="box"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'

"""`qopt.report`: problems as one page of HTML that asks for nothing from anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from qopt.core.arguments import check_time_limit
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.files import write_text
from qopt.core.html import escaped
from qopt.core.problem import Problem
from qopt.core.reading import as_problem
from qopt.core.solution import Solution
from qopt.core.solving import solve
from qopt.reporting.explorer import LARGE
from qopt.reporting.sections import ENOUGH, article, overview


@dataclass(frozen=True, repr=False)
class Page(Brief):
    """A page about some problems.

    Attributes
    ----------
    title : of the page.
    solutions : what it shows, one of each problem.
    html : the whole page, self-contained.
    """

    title: str
    solutions: tuple[Solution, ...]
    html: str = field(repr=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file.

        Parameters
        ----------
        path : of the file, which ends in .html or .htm.

        Raises
        ------
        InputError
            Another ending, or a path that cannot be written.
        """
        if os.path.splitext(os.fspath(path))[1].lower() not in (".html", ".htm"):
            raise InputError("path", shown(os.fspath(path)), "a name that ends in .html")
        write_text(path, self.html)

    def _repr_html_(self) -> str:
        style = "width:100%;height:80vh;border:0"
        return f'<iframe title="{escaped(self.title)}" style="{style}" srcdoc="{escaped(self.html)}"></iframe>'


def report(
    problems: Problem | Solution | str | os.PathLike[str] | Iterable[Problem | Solution | str | os.PathLike[str]],
    *,
    compare: bool = False,
    methods: Sequence[str] | None = None,
    explore: bool = True,
    time_limit: float | None = None,
) -> Page:
    """A page about problems: plan, certificate, limits, pictures, and sliders that move along exact curves.

    It needs nothing but a browser: no server, no network, no fonts or scripts from elsewhere. All break-even values and
    plans are computed beforehand (`qopt.breakpoints`, `qopt.front`); without JavaScript they stand as tables.

    Parameters
    ----------
    problems : one or several: problems, bundled names, paths of instance files, or solutions by `qopt.solve`, which
        are not solved again.
    compare : whether the methods stand beside each other, each solved (`qopt.compare`).
    methods : names of those to compare, all where none are given; with a name `compare` is implied.
    explore : whether there are sliders.
    time_limit : seconds for each solve, and for each slider; by default solves take what they take, and a slider 5 s.
        What is not complete by then says so. Of more than 1000 layers a solve has 1.5 s by default and a slider
        0.5 s, and the page says what is left out.

    Returns
    -------
    `Page`: ``page.save("report.html")``, or ``page.html`` as text.

    Raises
    ------
    InputError
        Malformed input, no problem at all, or a solution without its problem.
    """
    check_time_limit(time_limit)
    asked = _listed(problems)
    solutions = [_solved(one, time_limit) for one in asked]
    seconds = None if time_limit is None else float(time_limit)
    articles = []
    for k, solution in enumerate(solutions, 1):
        problem = solution.instance
        assert problem is not None
        records = _records(problem, methods, time_limit) if compare or methods else []
        articles.append(article(k, problem, solution, records, explore=explore, seconds=seconds))
    title = solutions[0].problem if len(solutions) == 1 else f"{len(solutions)} instances"
    return Page(title, tuple(solutions), _whole(title, solutions, articles))


def _listed(problems: Any) -> list[Any]:
    """Problems or solutions as a list."""
    if isinstance(problems, str | os.PathLike | Problem | Solution):
        return [problems]
    if not isinstance(problems, Iterable):
        raise InputError("problems", shown(problems), "problems, solutions, bundled names or paths")
    found = list(problems)
    if not found:
        raise InputError("problems", "none", "at least one")
    return found


def _solved(one: Any, time_limit: float | None) -> Solution:
    if not isinstance(one, Solution):
        problem = as_problem(one)
        return solve(problem, time_limit=ENOUGH if time_limit is None and problem.layers > LARGE else time_limit)
    if one.instance is None:
        raise InputError("problems", "a solution without its problem", "one that qopt.solve made")
    return one


def _records(problem: Problem, methods: Sequence[str] | None, time_limit: float | None) -> list[dict[str, Any]]:
    from qopt.comparison.tables import rows

    return rows([problem], methods, time_limit=time_limit)


def _whole(title: str, solutions: Sequence[Solution], articles: Sequence[str]) -> str:
    """The page: its style and script inside, and nothing else from anywhere."""
    from qopt import __version__

    room = files("qopt.reporting")
    style, script = (room.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "explorer.js"))
    several = f"<nav aria-label='Instances'>{overview(solutions)}</nav>" if len(solutions) > 1 else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escaped(title)} – qopt</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escaped(title)}</h1><p class='note'>A report by qopt {escaped(__version__)}.</p></header>\n"
        f"{several}{''.join(articles)}</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )

"""What problems in real-valued bits cannot say, with the reason: one place for methods, tables and envelopes."""

from __future__ import annotations

from qopt.qpart.problem import QPart


def no_widths_between(problem: QPart) -> str | None:
    """Why real-valued bits say nothing of a problem, or None: menus and tables know whole widths only.

    Parameters
    ----------
    problem : a request.
    """
    if problem.bits.has_menus:
        return "bits has menus of whole widths, real-valued bits take a range lo..hi"
    if problem.tables is not None and problem.tables.by_width:
        return "tables has times or energies by whole widths, real-valued bits lie between"
    return None


def no_limits(problem: QPart) -> str | None:
    """Why what knows noise and memory alone cannot take a problem, or None.

    Parameters
    ----------
    problem : a request.
    """
    given = problem.given_limits
    return f"limits.{next(iter(given))} is a row beside noise and memory, which are all it takes" if given else None


def not_in_closed_form(problem: QPart) -> str | None:
    """Why the closed form, and what is made of it, cannot take a problem, or None.

    Parameters
    ----------
    problem : a request.
    """
    return no_widths_between(problem) or no_limits(problem)

"""`qopt.compare`: instances x methods, each answer certified."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from qopt.core.arguments import is_number
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.families import family_of
from qopt.core.method import Method, named
from qopt.core.plugins import methods_of
from qopt.core.problem import Problem
from qopt.core.reading import as_problem
from qopt.core.solving import solve

if TYPE_CHECKING:
    import pandas as pd


HEAD = ("problem", "method", "bits", "status", "objective", "bound", "gap", "seconds", "verified", "proved")
"""Columns of every family; bits are left out where a family has none."""


def rows(
    problems: Iterable[Problem | str | os.PathLike[str]] | Problem | str | os.PathLike[str],
    methods: Sequence[str] | str | None = None,
    *,
    time_limit: float | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """One record for every problem and method (see `compare`), a method that cannot be used included with its reason.

    A method that breaks off is one failed row; the others go on. The certificate's bound is reported, not the
    method's claim. The time limit goes to the methods that take one.

    Parameters
    ----------
    problems : problems, bundled names or paths; one of them, or a list.
    methods : names, or one; default all.
    time_limit : seconds.
    progress : called with each record as it is there.

    Returns
    -------
    A dict for each problem and method: `HEAD`, the family's own columns (COLUMNS of its report), ``refuted`` (the claim
    that turned out false) and ``message``. What is not known is None.

    Raises
    ------
    InputError
        No problems or methods, an unknown one, or a time limit that is none.
    """
    asked = [as_problem(p) for p in _listed("problems", problems, "problems, bundled names or paths")]
    if not asked:
        raise InputError("problems", "none", "at least one")
    names = None if methods is None else _listed("methods", methods, "names of methods")
    chosen = [_chosen(problem, names) for problem in asked]
    if not all(chosen):
        raise InputError("methods", "none", "at least one")
    if time_limit is not None and not (is_number(time_limit) and 0 <= time_limit < float("inf")):
        raise InputError("time_limit", shown(time_limit), "seconds >= 0")
    records = []
    for problem, its_methods in zip(asked, chosen, strict=True):
        for method in its_methods:
            records.append(_record(problem, method, time_limit))
            if progress:
                progress(records[-1])
    return records


def _record(problem: Problem, method: Method, time_limit: float | None) -> dict[str, Any]:
    """The record of one problem and method."""
    family = family_of(problem)
    own = family.part("report")
    head = [name for name in HEAD if name != "bits" or family.bits]
    record: dict[str, Any] = dict.fromkeys((*head, *own.COLUMNS, "refuted", "message"))
    record.update(problem=problem.name, method=method.name)
    if method.bits is not None:
        record.update(bits=method.bits)
    reason = method.unavailable(problem)
    if reason:
        return record | {"status": "unavailable", "message": reason}
    limit = time_limit if "time_limit" in method.options else None
    try:
        solution = solve(problem, method.name, time_limit=limit)
    except InputError:  # what the caller asked for is wrong, whatever the method
        raise
    except MethodError as error:
        return record | {"status": "unavailable", "message": str(error)}
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        return record | {"status": "failed", "message": f"{type(error).__name__}: {text}"}
    return record | solution.row


def _listed(name: str, value: Iterable[Any] | Any, of: str) -> list[Any]:
    """A list; a single entry is one of its own, though a text and a problem can be iterated over."""
    if isinstance(value, str | os.PathLike | Problem):
        return [value]
    if not isinstance(value, Iterable):
        raise InputError(name, shown(value), f"a list of {of}")
    return list(value)


def _chosen(problem: Problem, names: Sequence[str] | None) -> list[Method]:
    """The methods of a problem's family, all or those of some names."""
    known = methods_of(family_of(problem))
    return list(known) if names is None else [named(known, name) for name in names]


def compare(
    problems: Iterable[Problem | str | os.PathLike[str]] | Problem | str | os.PathLike[str],
    methods: Sequence[str] | str | None = None,
    *,
    time_limit: float | None = None,
) -> pd.DataFrame:
    """Solve problems with methods and put the certified answers in one table.

    Parameters
    ----------
    problems : problems, bundled names or paths; one of them, or a list.
    methods : names, or one; default all. One that cannot be used is a row with its reason.
    time_limit : seconds for each call, certificate included, for the methods that take a limit.

    Returns
    -------
    DataFrame with a row for each problem and method: objective, bound and gap (the certificate's), seconds (the
    method's, model building included), verified (every constraint recomputed), proved; for QPART bits, cut,
    payload [bits], for a placement operator, tiers, latency [s], for JQODI model, width, servers, cuts, time [s].
    """
    import pandas as pd

    records = rows(problems, methods, time_limit=time_limit)
    columns = list(dict.fromkeys(name for record in records for name in record))
    return pd.DataFrame.from_records(records, columns=columns)

"""Tables of plans that somebody else made: the published algorithm's, or any; `decide` then is Algorithm 2."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from qopt.core.errors import InputError, MethodError, shown
from qopt.core.reading import problems_of
from qopt.qpart.costs import breakdown, split_macs
from qopt.qpart.methods.published import PRINTED_FIRST, offline_widths
from qopt.qpart.methods.registry import METHODS
from qopt.qpart.plan import QPartPlan, checked_plan
from qopt.qpart.problem import QPart
from qopt.qpart.serving.entries import Entries, measured_of
from qopt.qpart.serving.table import Table

Problem = QPart | str | os.PathLike[str]


def entries_of(problem: QPart, plans: Sequence[QPartPlan]) -> Entries:
    """Plans as the rows of a table: whatever they are, none is left out.

    Parameters
    ----------
    problem : their network.
    plans : one or several for a cut, of whole widths.

    Raises
    ------
    InputError
        A plan that does not fit the problem.
    """
    plans = sorted((checked_plan(problem, plan) for plan in plans), key=lambda plan: plan.cut)
    costs = [breakdown(problem, plan) for plan in plans]
    cut = np.array([plan.cut for plan in plans], dtype=np.int64)
    on_device, on_server = split_macs(problem)
    widths = [np.array((*plan.weights, *plan.activations), dtype=np.int64) for plan in plans]
    measured = None
    if problem.tables is not None:
        each = [measured_of(problem, plan.cut, w) for plan, w in zip(plans, widths, strict=True)]
        measured = np.array(each).reshape(-1, 4).T.copy()
    return Entries(
        cut=cut,
        device_macs=on_device[cut],
        server_macs=on_server[cut],
        download=np.array([cost.download for cost in costs]),
        upload=np.array([cost.upload for cost in costs]),
        extreme=np.ones(len(plans), dtype=bool),
        widths=np.concatenate([np.empty(0, dtype=np.int64), *widths]),
        start=np.concatenate(([0], np.cumsum([len(w) for w in widths]))).astype(np.int64),
        measured=measured,
    )


def published_table(
    problems: Problem | Iterable[Problem],
    *,
    condition: Mapping[str, Any] | None = None,
    equation: str = PRINTED_FIRST[0],
) -> Table:
    """Algorithm 1 for every network and level, to the letter: widths fixed at one condition, a plan for each cut.

    `qopt.decide` on it is Algorithm 2: the largest level that does not exceed the one asked for, then the cut whose
    fixed widths cost least by Eq. 17. Whether a plan keeps its level nobody looks at; `qopt.certify` says.

    Parameters
    ----------
    problems : one or several networks, or their names or paths.
    condition : the one condition, fields of `QPart.replace`; by default Table II.
    equation : Eq. 40 as ``printed``, or with the eps that was lost ``restored``.

    Raises
    ------
    InputError
        No problem, two of one name, an unknown equation or field.
    MethodError
        A problem that the published algorithm cannot take: without the law's coefficients, with tables or menus.
    """
    if equation not in PRINTED_FIRST:
        raise InputError("equation", shown(equation), " or ".join(PRINTED_FIRST))
    networks = problems_of(QPart, problems)
    whole: dict[tuple[str, int], Entries] = {}
    refuses = next(method for method in METHODS if method.name == "qpart-published").refuses
    for problem in networks.values():
        if refuses is not None and (why := refuses(problem)) is not None:
            raise MethodError(f"{problem.name}: {why}")
        for row, level in enumerate(problem.accuracy.levels.tolist()):
            at_level = problem.replace({"level": level})
            plans = [plan for plan, _ in offline_widths(at_level, condition, equation)]
            whole[problem.name, row] = entries_of(problem, plans)
    return Table("whole", networks, whole, {})

"""Whether a table from elsewhere lacks a better plan: it is worked out again, cut by cut, and compared.

That costs what working out a table costs, so it is asked for: `Table.verify`, or ``load_table(path, verify=True)``.
"""

from __future__ import annotations

import numpy as np

from qopt.core.clock import Clock
from qopt.core.errors import InputError
from qopt.qpart.problem import QPart
from qopt.qpart.serving.entries import Entries, entries_in_time

TOLERANCE = 1e-9
"""Plans whose bits differ by no more than this share are as good as each other: the tolerance of a proof."""


def check_complete(name: str, problem: QPart, row: int, plans: Entries, clock: Clock) -> bool:
    """Whether the clock left time to see that no plan is missing at a level, counted from 0.

    Raises
    ------
    InputError
        A plan is missing: in both directions of the link it takes no more bits than any of the same cut.
    """
    at_level = problem.replace({"level": float(problem.accuracy.levels[row]), "device.memory": None})
    best, complete = entries_in_time(at_level, clock)
    for cut in np.unique(best.cut).tolist():
        own, known = np.flatnonzero(plans.cut == cut), np.flatnonzero(best.cut == cut)
        for e in known.tolist():
            as_good = (plans.download[own] <= best.download[e] * (1.0 + TOLERANCE)) & (
                plans.upload[own] <= best.upload[e] * (1.0 + TOLERANCE)
            )
            if not as_good.any():
                found = f"no plan at cut {cut} as good as {best.download[e]:g} bits down and {best.upload[e]:g} up"
                raise InputError(f"table of {name}, level {at_level.level:g}", found, "the table that offline makes")
    return complete

"""A method of another package: QPART with every tensor at its largest width, at the best cut that allows it.

``pip install docs/examples/own_method``, and ``qopt methods`` lists it: the entry point in ``pyproject.toml`` leads to
METHOD.
"""

from __future__ import annotations

from qopt import QPart, QPartPlan, certify
from qopt.core.method import Method, Options
from qopt.core.solution import Outcome
from qopt.qpart.plan import crossing_activations


def solve(problem: QPart, options: Options) -> Outcome:
    """The cheapest cut at the largest widths, of those that keep all limits."""
    best, least = None, float("inf")
    for cut in options.clock().watching(problem.admissible_cuts):
        wide = float(problem.bits.hi)
        outputs = (wide,) * len(crossing_activations(problem, int(cut)))
        plan = QPartPlan(problem=problem.name, cut=int(cut), weights=(wide,) * int(cut), activations=outputs)
        found = certify(problem, plan, time_limit=0.0)
        if found.feasible and found.objective < least:
            best, least = plan, found.objective
    return Outcome("heuristic" if best else "failed", best)


METHOD = Method(
    name="widest",
    summary="every tensor at its largest width",
    bits="whole",
    proves="nothing: a heuristic",
    target="qopt_widest:solve",
    exact=False,
    options=("time_limit",),
)

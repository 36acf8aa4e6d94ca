"""The study's strategies: operators on single tiers, and two of them split into halves on pairs of tiers (section 4.3).

With four operators and three tiers these are the study's 18: identity, quantized, early exit and quantized early exit
on mobile, edge and cloud, and the operators of the largest and the smallest model (identity and quantized early exit),
split into two halves of equal weight size (Algorithm 2), on mobile-edge, edge-cloud and mobile-cloud.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qopt.core.errors import InputError, shown
from qopt.core.reading import problem_of
from qopt.placement.costs import breakdown
from qopt.placement.halves import first_half
from qopt.placement.limits import broken
from qopt.placement.plan import PlacementPlan, labels_of, plan_of, tiers_used
from qopt.placement.problem import Placement
from qopt.placement.terms import Terms, terms

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "strategy",
    "operator",
    "tiers",
    "accuracy",
    "latency",
    "energy",
    "price",
    "objective",
    "weights",
    "feasible",
    "plan",
)


def extremes(problem: Placement) -> list[str]:
    """Operators of the largest and the smallest weight size: the two that the study splits."""
    sizes = {o.name: terms(problem, o).weight_size for o in problem.operators}
    return list(dict.fromkeys((max(sizes, key=lambda n: sizes[n]), min(sizes, key=lambda n: sizes[n]))))


def strategy_plans(
    problem: Placement, split: Sequence[str] | None = None
) -> Iterator[tuple[str, PlacementPlan, Terms]]:
    """Name, plan and network of every strategy: single tiers first, then pairs."""
    names = problem.tier_names
    networks = {o.name: terms(problem, o) for o in problem.operators}
    for name, own in networks.items():
        for k, tier in enumerate(names):
            yield f"{name} on {tier}", plan_of(problem, own, [k] * len(own.names)), own
    for name in extremes(problem) if split is None else split:
        own = networks[name]
        first = first_half(own)
        if first is None:
            continue
        for low, high in itertools.combinations(range(len(names)), 2):
            labels = np.where(first, low, high).tolist()
            yield f"{name} split on {names[low]}-{names[high]}", plan_of(problem, own, labels), own


def strategies(problem: Placement | str | os.PathLike[str], *, split: Sequence[str] | None = None) -> pd.DataFrame:
    """What every strategy of the study costs on a problem.

    Parameters
    ----------
    problem : a placement, a bundled name or a path.
    split : operators to split on pairs of tiers; default those of the largest and the smallest weight size.

    Returns
    -------
    DataFrame with a row for each strategy: latency [s], energy [J], price, objective, accuracy, weights [bytes],
    feasible (pins, memory and both targets), plan.

    Raises
    ------
    InputError
        The problem is no placement, or `split` names an unknown operator.
    """
    import pandas as pd

    problem = problem_of(Placement, problem, named=True)
    known = [operator.name for operator in problem.operators]
    for name in split or ():
        if name not in known:
            raise InputError("split", shown(name), ", ".join(known))
    records: list[dict[str, object]] = []
    for name, plan, own in strategy_plans(problem, split):
        cost = breakdown(problem, plan)
        records.append(
            {
                "strategy": name,
                "operator": plan.operator,
                "tiers": tiers_used(problem, plan),
                "accuracy": cost.accuracy,
                "latency": cost.latency,
                "energy": cost.energy,
                "price": cost.price,
                "objective": cost.objective,
                "weights": own.weight_size,
                "feasible": broken(problem, own, labels_of(problem, own, plan)) is None,
                "plan": plan,
            }
        )
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))

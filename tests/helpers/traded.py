"""Small problems of every family with all their plans: the objective, and what each uses of whatever can be limited."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import every_allocation
import numpy as np
import qpart_enumeration
from jqodi_problems import possible_plans

from qopt.allocation.generate import allocation
from qopt.core.arrays import FloatArray
from qopt.core.limited import limits_of
from qopt.jqodi.generate import jqodi
from qopt.jqodi.terms import totals
from qopt.placement.costs import breakdown
from qopt.placement.generate import placement
from qopt.placement.plan import PlacementPlan
from qopt.qpart.generate import qpart

SAME = 1e-11
"""Share by which sums of the same numbers in another order may differ here."""


@dataclass
class Traded:
    """A problem and all its plans, limits set aside.

    Attributes
    ----------
    problem : of any family.
    objective : (N,) of every plan.
    used : (N,) of every plan by the names of limits; of those from below less what is reached, so that less is better.
    """

    problem: Any
    objective: FloatArray
    used: dict[str, FloatArray]

    def kept(self, limits: Mapping[str, float]) -> FloatArray:
        """(N,) which plans keep limits; those from below with their sign turned."""
        good = np.ones(len(self.objective), dtype=bool)
        for name, limit in limits.items():
            good &= self.used[name] <= limit + SAME * abs(limit)
        return good

    def given(self) -> dict[str, float]:
        """The limits that the problem states."""
        return {
            limit.name: -limit.value if limit.at_least else limit.value
            for limit in limits_of(self.problem)
            if limit.value is not None
        }

    def best(self, limits: Mapping[str, float]) -> float:
        """The least objective within limits; infinite where nothing keeps them."""
        return float(self.objective[self.kept(limits)].min(initial=math.inf))

    def front(self, name: str) -> list[tuple[float, float]]:
        """(objective, use) of the plans that no other beats, the other limits kept, the best objective first."""
        good = self.kept({other: limit for other, limit in self.given().items() if other != name})
        pairs = sorted(zip(self.used[name][good].tolist(), self.objective[good].tolist(), strict=True))
        found: list[tuple[float, float]] = []
        for use, cost in pairs:
            if math.isfinite(use) and (not found or found[-1][0] - cost > SAME * abs(cost)):
                if found and abs(found[-1][1] - use) <= SAME * abs(use):
                    found.pop()
                found.append((cost, use))
        return found[::-1]


def of_qpart(seed: int) -> Traded:
    """Three layers at most, few widths; some with menus, tables, memory or limits."""
    rng = np.random.default_rng(seed)
    settings: dict[str, Any] = {"bits": (2, 2 + int(rng.integers(1, 4))), "noise": ("law", "grid", "table")[seed % 3]}
    if seed % 2:
        settings["limits"] = {"time": float(rng.uniform(0.9, 1.6)), "payload": float(rng.uniform(0.9, 2.0))}
    if seed % 5 == 0:
        settings["memory"] = float(rng.uniform(0.4, 1.2))
    if seed % 7 == 0:
        settings["tables"] = True
    if seed % 11 == 0:
        settings["quantize_input"] = True
    problem = qpart(int(rng.integers(1, 4)), seed=seed, tie_cut=seed % 4 == 0, branches=seed % 6 == 0, **settings)
    rows = list(qpart_enumeration.plans(problem))
    names = ("noise", "memory", "time", "energy", "price", "payload")
    used = {name: np.array([row.used[name] for row in rows]) for name in names}
    allowed = np.array([qpart_enumeration.limits(problem, row.cut).get("noise", math.inf) for row in rows])
    used["noise"] = used["noise"] / allowed
    return Traded(problem, np.array([row.objective for row in rows]), used)


def of_allocation(seed: int) -> Traded:
    """Five groups at most; some with two resources, pools, ties, pairs, or a resource to minimise."""
    rng = np.random.default_rng(seed)
    problem = allocation(
        int(rng.integers(1, 6)),
        seed=seed,
        formats=int(rng.integers(2, 4)),
        resources=1 + seed % 2,
        pools=1 + (seed % 3 == 2),
        ties=0.3 if seed % 4 == 0 else 0.0,
        interactions=0.3 if seed % 5 == 0 else 0.0,
        minimise="damage" if seed % 7 else "bytes",
        tightness=float(rng.uniform(0.2, 0.8)),
    )
    taken = list(every_allocation.plans(problem))
    damage = np.array([float(every_allocation.damage(problem, each)) for each in taken])
    used = {"damage": damage}
    for name in problem.resources:
        used[name] = np.array([float(every_allocation.used(problem, name, each)) for each in taken])
    if problem.pools is not None:
        for p, pool in enumerate(problem.pools.budgets):
            held = [float(every_allocation.used(problem, problem.pools.resource, each, p)) for each in taken]
            used[f"pool {pool}"] = np.array(held)
    return Traded(problem, used[problem.minimise], used)


def of_placement(seed: int) -> Traded:
    """Four operations at most on three tiers; some with memory and targets."""
    rng = np.random.default_rng(seed)
    problem = placement(
        int(rng.integers(1, 5)),
        seed=seed,
        tiers=int(rng.integers(2, 4)),
        branches=0.3 * (seed % 2),
        operators=int(rng.integers(1, 4)),
        objective=({"time": 1.0, "energy": 0.05, "price": 0.1}, {"time": 0.0, "energy": 1.0}, None)[seed % 3],
        memory=float(rng.uniform(0.3, 1.1)) if seed % 2 else None,
    )
    rank = {name: k for k, name in enumerate(problem.tier_names)}
    rows, names = [], problem.graph.operations
    for operator in problem.operators:
        kept = [i for i, name in enumerate(names) if name not in operator.skips]
        choices = [[problem.tier_names[k] for k in np.flatnonzero(problem.allowed[i])] for i in kept]
        for tiers in itertools.product(*choices):
            placed = {names[i]: tier for i, tier in zip(kept, tiers, strict=True)}
            if _rises(problem, operator.skips, placed, rank):
                rows.append(breakdown(problem, PlacementPlan(operator=operator.name, tiers=placed)))
    used = {"accuracy": np.array([-row.accuracy for row in rows]), "latency": np.array([row.latency for row in rows])}
    for k, tier in enumerate(problem.tier_names):
        used[f"memory {tier}"] = np.array([row.memory[k] for row in rows])
    traded = Traded(problem, np.array([row.objective for row in rows]), used)
    if seed % 4 == 0:
        latency = float(np.quantile(used["latency"], rng.uniform(0.2, 0.8)))
        level = -float(rng.choice(used["accuracy"]))
        traded.problem = problem.replace({"targets": {"latency": latency, "accuracy": level}})
    return traded


def _rises(problem: Any, skips: tuple[str, ...], placed: dict[str, str], rank: dict[str, int]) -> bool:
    """Whether data only moves up, through skipped operations too."""
    level: dict[str, int] = {}
    for name in problem.graph.operations:
        before = max([level[t.producer] for t in problem.graph.tensors if name in t.readers], default=problem.birth)
        level[name] = before if name in skips else rank[placed[name]]
        if level[name] < before:
            return False
    return True


def of_jqodi(seed: int) -> Traded:
    """Three epochs at most, two servers, two models: T_max is the one limit."""
    rng = np.random.default_rng(seed)
    problem = jqodi(
        int(rng.integers(1, 4)),
        seed=seed,
        mode=("choice", "schedule", "path")[seed % 3],
        servers=int(rng.integers(1, 3)),
        cuts=int(rng.integers(1, 3)),
        models=int(rng.integers(1, 3)),
        estimate=("expected", "robust")[seed // 3 % 2],
    )
    rows = [totals(own, np.array(states)) for own, states in possible_plans(problem)]
    return Traded(problem, np.array([row[0] for row in rows]), {"time": np.array([row[1] for row in rows])})


FAMILIES: dict[str, Callable[[int], Traded]] = {
    "qpart": of_qpart,
    "allocation": of_allocation,
    "placement": of_placement,
    "jqodi": of_jqodi,
}

"""Tables for placements: which tier runs what, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from qopt.core.display import number
from qopt.core.report import add_rows, grid, scaled
from qopt.core.solution import Solution
from qopt.placement.costs import PlacementCost
from qopt.placement.plan import PlacementPlan, tiers_used
from qopt.placement.problem import Placement
from qopt.placement.terms import terms

COLUMNS = ("operator", "tiers", "latency")
"""Columns of a comparison that are its own."""

FACTS = ("operator", "tiers")
"""Those of them that say what a plan decides."""

BUDGETS = {"accuracy": "accuracy", "memory": "memory", "latency": "latency"}
"""Limits of which the amount used is worth a line, and what the line is called; the others either hold or do not."""

KINDS = {
    "flow": "minimum cuts, a flow for every operator, checked in exact arithmetic",
    "cheapest": "every operation on its cheapest tier, tensors for nothing",
}
"""Kinds of bounds in words."""


def facts(problem: Placement, solution: Solution) -> dict[str, object]:
    """The columns of a comparison that are placements' own."""
    plan, cost = solution.plan, solution.certificate.cost
    return {
        "operator": plan.operator if plan else None,
        "tiers": tiers_used(problem, plan) if plan else None,
        "latency": cost.latency if cost else None,
    }


def heading(solution: Solution) -> str:
    """How a plan was found, in a few words."""
    return solution.method


def plan_parts(problem: Placement, solution: Solution) -> list[RenderableType]:
    """The operator, runs of operations on one tier, and the plan's cost."""
    plan, cost = solution.plan, solution.certificate.cost
    return [
        Text(f"operator {plan.operator}, accuracy {number(cost.accuracy)}", style="bold"),
        plan_table(problem, plan),
        Text(),
        cost_table(problem, cost),
    ]


def plan_table(problem: Placement, plan: PlacementPlan) -> RenderableType:
    """Runs of operations that follow each other on one tier."""
    own = terms(problem, problem.operator(plan.operator))
    number_of = {name: k for k, name in enumerate(problem.tier_names)}
    runs: list[tuple[str, list[int]]] = []
    for v, name in enumerate(own.names):
        if not runs or runs[-1][0] != plan.tiers[name]:
            runs.append((plan.tiers[name], []))
        runs[-1][1].append(v)
    table = Table(title_justify="left", header_style="bold", box=None, pad_edge=False)
    for heading_ in ("tier", "operations"):
        table.add_column(heading_)
    for heading_ in ("how many", "time", "weights"):
        table.add_column(heading_, justify="right")
    lines = []
    for tier, members in runs:
        first, last = own.names[members[0]], own.names[members[-1]]
        column = number_of[tier]
        seconds, memory = float(own.time[members, column].sum()), float(own.stored[members, column].sum())
        span = first if first == last else f"{first} … {last}"
        lines.append((tier, span, str(len(members)), scaled(seconds, "s"), scaled(memory, "B")))
    add_rows(table, lines, "runs")
    return table


def cost_table(problem: Placement, cost: PlacementCost) -> RenderableType:
    """Latency, energy and price of a plan, where they arise."""
    table = grid()
    tiers = problem.tier_names
    times = [f"{scaled(t, 's')} {name}" for name, t in zip(tiers, cost.computing, strict=True) if t]
    for i, seconds in enumerate(cost.sending):
        if seconds:
            times.append(f"{scaled(seconds, 's')} link {tiers[i]}-{tiers[i + 1]} ({scaled(cost.bits[i], 'bit')})")
    if cost.returning:
        whose = "output's" if len(problem.results) == 1 else "outputs'"
        times.append(f"{scaled(cost.returning, 's')} the {whose} way back")
    table.add_row("latency", f"{scaled(cost.latency, 's')}: " + ", ".join(times))
    low, high = (scaled(end(cost.latencies), "s") for end in (min, max))
    if low != high:
        table.add_row("", f"{low} to {high} over {len(cost.latencies)} input sizes")
    held = [
        f"{scaled(amount, 'B')} {tier.name}"
        for tier, amount in zip(problem.tiers, cost.activations, strict=True)
        if tier.activations
    ]
    if held:
        table.add_row("tensors held", ", ".join(held))
    if cost.energy:
        parts = f"{scaled(cost.computing_energy, 'J')} computing, {scaled(cost.transmission_energy, 'J')} links"
        table.add_row("energy", f"{scaled(cost.energy, 'J')}: {parts}")
    if cost.price:
        table.add_row("price", number(cost.price))
    return table


def strategies_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The study's strategies, a line each, as `qopt.strategies` has them."""
    table = Table(title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.add_column("strategy")
    for heading_ in ("accuracy", "latency", "objective", "weights", "feasible"):
        table.add_column(heading_, justify="right")
    for row in rows:
        table.add_row(
            str(row["strategy"]),
            number(row["accuracy"]),
            scaled(row["latency"], "s"),
            number(row["objective"]),
            scaled(row["weights"], "B"),
            "yes" if row["feasible"] else "no",
        )
    return table

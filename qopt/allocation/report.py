"""Tables for allocations: which formats, what they weigh, and where the damage comes from."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table

from qopt.allocation.costs import AllocationCost
from qopt.allocation.plan import AllocationPlan, places
from qopt.allocation.problem import DAMAGE, Allocation
from qopt.core.display import number
from qopt.core.report import add_rows, grid
from qopt.core.solution import Solution

COLUMNS = ("damage", "used")
"""Columns of a comparison that are its own."""

FACTS = ("used",)
"""Those of them that say what a plan decides."""

BUDGETS = {"budget": "budget", "pool": "pool", "damage": "damage"}
"""Limits of which the amount used is worth a line, and what the line is called."""

KINDS = {
    "cheapest": "the cheapest format of every group, whatever the budgets",
    "lagrangian": "a multiplier of each budget",
    "lp-dual": "multipliers of budgets and of pairs' marginals, in exact arithmetic",
}
"""Kinds of bounds in words."""


def facts(problem: Allocation, solution: Solution) -> dict[str, object]:
    """The columns of a comparison that are allocations' own: damage, and what is used of the first resource."""
    cost = solution.certificate.cost
    first = next(iter(problem.resources), None)
    return {
        "damage": None if cost is None else cost.damage,
        "used": None if cost is None or first is None else amount(cost.resources[first], problem.resources[first].unit),
    }


def heading(solution: Solution) -> str:
    """How a plan was found, in a few words."""
    return solution.method


def amount(value: float, unit: str = "") -> str:
    """A quantity of a resource: whole numbers with all their digits, in groups of three."""
    text = f"{value:,.0f}".replace(",", " ") if value.is_integer() and abs(value) < 2**53 else number(value)
    return f"{text} {unit}".rstrip()


def plan_parts(problem: Allocation, solution: Solution) -> list[RenderableType]:
    """How many groups take each format, and what the plan uses."""
    plan, cost = solution.plan, solution.certificate.cost
    return [plan_table(problem, plan), cost_table(problem, cost)]


def plan_table(problem: Allocation, plan: AllocationPlan) -> RenderableType:
    """A row for each group, or for each format where there are many groups."""
    formats, pools = places(problem, plan)
    first = next(iter(problem.resources), None)
    few = len(problem.groups) <= FEW
    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("group" if few else "format")
    table.add_column("format" if few else "groups", justify="left" if few else "right")
    if problem.pools is not None:
        table.add_column("pool")
    table.add_column("damage", justify="right")
    if first is not None:
        table.add_column(first, justify="right")
    rows: dict[tuple[str, ...], list[int]] = {}
    for g in range(len(formats)):
        name = problem.formats[int(formats[g])]
        pool = (problem.pool_names[int(pools[g])],) if problem.pools is not None else ()
        rows.setdefault((problem.groups[g], name, *pool) if few else (name, *pool), []).append(g)
    order = {name: f for f, name in enumerate(problem.formats)}
    keys = list(rows) if few else sorted(rows, key=lambda key: order[key[0]])
    lines = []
    for key in keys:
        members = rows[key]
        head = key if few else (key[0], str(len(members)), *key[1:])
        damage = sum(float(problem.damage[g, formats[g]]) for g in members)
        used = (
            () if first is None else (amount(sum(float(problem.resources[first].use[g, formats[g]]) for g in members)),)
        )
        lines.append((*head, number(damage), *used))
    add_rows(table, lines, "groups" if few else "formats")
    return table


FEW = 40
"""Up to so many groups have a row each; of more, a row a format says how many take it."""


def cost_table(problem: Allocation, cost: AllocationCost) -> RenderableType:
    """Damage, and every resource, to the last unit where it has whole ones."""
    table = grid()
    table.add_row("", "")
    table.add_row(DAMAGE, number(cost.damage, 10))
    for name, used in cost.resources.items():
        resource = problem.resources[name]
        parts = [amount(used, resource.unit)]
        if resource.budget is not None:
            parts.append(f"of {amount(resource.budget, resource.unit)}")
        if resource.fixed:
            parts.append(f"({amount(resource.fixed, resource.unit)} fixed)")
        table.add_row(name, " ".join(parts))
    for pool, held in cost.pools.items():
        assert problem.pools is not None
        budget = problem.pools.budgets[pool]
        unit = problem.resources[problem.pools.resource].unit
        table.add_row(f"in {pool}", amount(held, unit) + ("" if budget is None else f" of {amount(budget, unit)}"))
    return table

"""Tables for fleets: who gets what, what is used, and what the next unit of it is worth."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table

from qopt.core.display import number
from qopt.core.report import add_rows, scaled
from qopt.core.solution import Solution
from qopt.fleet.costs import FleetCost, called, capacities
from qopt.fleet.plan import taken
from qopt.fleet.problem import Fleet
from qopt.fleet.witness import prices

COLUMNS = ("refused", "late")
"""Columns of a comparison that are its own."""

FACTS = ("refused",)
"""Those of them that say what a plan decides."""

BUDGETS: dict[str, str] = {}
"""Limits of which the amount used is worth a line, and what the line is called: the plan's table has them."""

KINDS = {
    "cheapest": "each request its own best, whatever the capacities",
    "lagrangian": "a price of each capacity",
}
"""Kinds of bounds in words."""


def facts(problem: Fleet, solution: Solution) -> dict[str, object]:
    """The columns of a comparison that are fleets' own: how many are refused, and how many are late."""
    del problem
    cost = solution.certificate.cost
    return {"refused": None if cost is None else cost.refused, "late": None if cost is None else cost.late}


def heading(solution: Solution) -> str:
    """How a plan was found, in a few words."""
    return solution.method


def plan_parts(problem: Fleet, solution: Solution) -> list[RenderableType]:
    """How many requests of each class take each option, and how full the capacities are."""
    cost = solution.certificate.cost
    return [plan_table(problem, solution), capacity_table(problem, cost, solution.witness)]


def plan_table(problem: Fleet, solution: Solution) -> RenderableType:
    """A row for each option that somebody takes."""
    rows, columns, counts = taken(problem, solution.plan)
    kinds = problem.requests.kind[rows]
    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("class")
    table.add_column("option")
    table.add_column("requests", justify="right")
    lines = []
    for k, (name, options) in enumerate(problem.classes.items()):
        mine = kinds == k
        for o in range(len(options.name) + 1):
            count = int(counts[mine & (columns == o)].sum())
            if count:
                lines.append((name, "refused" if o == 0 else options.name[o - 1], str(count)))
    add_rows(table, lines, "options")
    return table


def capacity_table(problem: Fleet, cost: FleetCost, witness: dict[str, object] | None) -> RenderableType:
    """A row for each capacity: how much is used, and the price of a second or byte where multipliers are known."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("capacity", "used", "of", "share", "price"):
        table.add_column(column, justify="left" if column == "capacity" else "right")
    known = prices(problem, witness) if witness is not None and witness.get("kind") == "multipliers" else {}
    lines = []
    for field, limit in capacities(problem).items():
        memory = field.endswith(".memory")
        size, unit = (problem.units.memory, "B") if memory else (problem.units.time, "s")
        share = f"{100 * cost.used[field] / limit:.1f}%" if limit else "–"
        price = f"{number(known[field])} /{unit}" if field in known else "–"
        lines.append((called(field), scaled(cost.used[field] * size, unit), scaled(limit * size, unit), share, price))
    add_rows(table, lines, "capacities")
    return table

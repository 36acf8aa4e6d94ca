"""Tables for JQODI plans: what is trained where in which epochs, and where time and energy go."""

from __future__ import annotations

from itertools import groupby

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from qopt.core.display import number
from qopt.core.report import add_rows, grid, scaled
from qopt.core.solution import Solution
from qopt.jqodi.costs import NODES, EpochCost, JqodiCost
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi

COLUMNS = ("model", "width", "servers", "cuts", "time")
"""Columns of a comparison that are its own. `time` is the plan's, in seconds; `seconds` the method's."""

FACTS = ("model", "width", "servers", "cuts")
"""Those of them that say what a plan decides."""

BUDGETS = {"time": "time", "loss": "loss"}
"""Limits of which the amount used is worth a line, and what the line is called; the others either hold or do not."""

KINDS = {"lagrangian": "Lagrangian multipliers, one for each model and bit-width"}
"""Kinds of bounds in words."""


def facts(problem: Jqodi, solution: Solution) -> dict[str, object]:
    """The columns of a comparison that are JQODI's own."""
    del problem
    plan, cost = solution.plan, solution.certificate.cost
    return {
        "model": plan.model if plan else None,
        "width": plan.bits if plan else None,
        "servers": _in_order(plan.servers) if plan else None,
        "cuts": _in_order(plan.cuts) if plan else None,
        "time": cost.time if cost else None,
    }


def _in_order(values: tuple[object, ...]) -> str:
    """Different values in the order in which they come first; three of them at most."""
    different = list(dict.fromkeys(values))
    return ", ".join(map(str, different[:3])) + (", …" if len(different) > 3 else "")


def heading(solution: Solution) -> str:
    """How a plan was found, in a few words."""
    return solution.method


def plan_parts(problem: Jqodi, solution: Solution) -> list[RenderableType]:
    """Model and width, runs of epochs with one server and cut, and the plan's cost."""
    plan, cost = solution.plan, solution.certificate.cost
    device = problem.decided.name
    more = f" more after {problem.done}" if problem.done else ""
    head = f"model {plan.model} at {plan.bits} bits, {len(plan.servers)} epochs{more} for {device}"
    return [
        Text(head, style="bold"),
        plan_table(problem, plan, cost),
        Text(),
        node_table(problem, plan, cost),
        Text(),
        cost_table(problem, cost),
    ]


def _layers(problem: Jqodi, plan: JqodiPlan, cut: int) -> str:
    """What a cut leaves to the device, in words."""
    model = problem.model(plan.model)
    n = len(model)
    if cut in (0, n):
        return "all on the server" if cut == 0 else "all on the device"
    last = f" ({model.layers[cut - 1]})" if model.layers is not None else ""
    first = "1" if cut == 1 else f"1..{cut}"
    return f"{first}{last} of {n} on the device"


def plan_table(problem: Jqodi, plan: JqodiPlan, cost: JqodiCost) -> RenderableType:
    """Runs of epochs that follow each other with one server and cut."""
    runs = [list(run) for _, run in groupby(cost.epochs, key=lambda row: (row.server, row.cut))]
    table = Table(title_justify="left", header_style="bold", box=None, pad_edge=False)
    for heading_ in ("epochs", "server", "cut", "layers"):
        table.add_column(heading_)
    for heading_ in ("time", "energy"):
        table.add_column(heading_, justify="right")
    lines = []
    for run in runs:
        first, last = run[0], run[-1]
        span = str(first.epoch) if first is last else f"{first.epoch} … {last.epoch}"
        layers = _layers(problem, plan, first.cut)
        totals = _total(run, "time", "s"), _total(run, "energy", "J")
        lines.append((span, first.server, str(first.cut), layers, *totals))
    add_rows(table, lines, "runs")
    return table


def _total(run: list[EpochCost], name: str, unit: str) -> str:
    """Time of a run, or its energy that counts; ``impossible`` where an epoch is."""
    values = [getattr(row, name) for row in run if name == "time" or row.counted]
    return "impossible" if any(x is None for x in values) else scaled(sum(values), unit)


def node_table(problem: Jqodi, plan: JqodiPlan, cost: JqodiCost) -> RenderableType:
    """Where time and energy go."""
    table = Table(title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.add_column("where")
    for heading_ in ("time", "energy"):
        table.add_column(heading_, justify="right")
    servers = ", ".join(dict.fromkeys(plan.servers)) if len(set(plan.servers)) <= 3 else "the servers"
    names = dict(
        zip(NODES, (problem.decided.name, servers, "cloud", "link with the device", "link with the cloud"), strict=True)
    )
    for node in NODES:
        seconds = cost.node_times[node]
        time = "impossible" if seconds is None else scaled(seconds, "s")
        what = f"{node}: {names[node]}" if node in ("device", "edge") else names[node]
        table.add_row(what, time, scaled(cost.node_energies[node], "J"))
    if cost.elapsed or cost.spent:
        table.add_row("before", scaled(cost.elapsed, "s"), f"({scaled(cost.spent, 'J')})")
    if cost.setup_time or cost.setup_energy:
        table.add_row("quantizing", scaled(cost.setup_time, "s"), scaled(cost.setup_energy, "J"))
    if cost.switch_time or cost.switch_energy:
        table.add_row("changing", scaled(cost.switch_time, "s"), scaled(cost.switch_energy, "J"))
    if cost.time is not None and cost.energy is not None:
        table.add_row("fine-tuning", scaled(cost.time, "s"), scaled(cost.energy, "J"), style="bold")
    return table


def cost_table(problem: Jqodi, cost: JqodiCost) -> RenderableType:
    """T_max, inference, and the loss."""
    table = grid()
    if cost.time is not None:
        table.add_row("time", f"{scaled(cost.time, 's')} of {scaled(problem.time_limit, 's')}")
    if cost.in_time is not None:
        asked = "" if problem.confidence is None else f", at least {number(problem.confidence)}"
        table.add_row("chance", f"{number(cost.in_time)} that so many epochs are enough{asked}")
    if any(not row.counted for row in cost.epochs):
        counted = sum(row.counted for row in cost.epochs)
        table.add_row("energy", f"of the first {counted} epochs; all {len(cost.epochs)} must fit the time")
    served = cost.inference
    if served is not None:
        parts = f"{scaled(served.time, 's')}, {scaled(served.energy, 'J')}, {scaled(served.bits, 'bit')} up"
        table.add_row("one inference", parts)
        if served.requests:
            table.add_row("", f"{number(served.requests)} of them: {scaled(served.total_energy, 'J')} in the objective")
    for name, losses in (("expected", cost.expected_losses), ("robust", cost.robust_losses)):
        if losses:
            table.add_row(f"{name} loss", f"{number(losses[0])} falls to {number(losses[-1])}")
    return table

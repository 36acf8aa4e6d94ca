"""Tables for QPART: plans with their bits, and what they cost."""

from __future__ import annotations

from typing import Literal

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from qopt.core.display import number
from qopt.core.report import add_rows, grid, scaled
from qopt.core.solution import Solution
from qopt.qpart.costs import Cost
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import LIMITS, QPart

COLUMNS = ("cut", "payload")
"""Columns of a comparison that are its own."""

FACTS = ("cut",)
"""Those of them that say what a plan decides."""

BUDGETS = {"accuracy": "noise", "memory": "memory", **{name: f"{name} limit" for name in LIMITS}}
"""Limits of which the amount used is worth a line, and what the line is called; the others either hold or do not."""

FEW_LAYERS = 12
"""Layers up to which a report says at what rate a plan changes: a solve for each cut, some milliseconds each."""

KINDS = {
    "kkt-dual": "the dual function of the convex problem",
    "lagrangian": "Lagrangian multipliers, one set a cut",
}
"""Kinds of bounds in words."""


def facts(problem: QPart, solution: Solution) -> dict[str, object]:
    """The columns of a comparison that are QPART's own."""
    del problem
    cost = solution.certificate.cost
    return {
        "cut": solution.plan.cut if solution.plan else None,
        "payload": cost.payload if cost else None,
    }


def heading(solution: Solution) -> str:
    """How a plan was found, in a few words."""
    return f"{solution.method}, {solution.bits} bits"


def plan_parts(problem: QPart, solution: Solution) -> list[RenderableType]:
    """Where the cut is, the bits of every tensor, and the plan's cost."""
    n, plan = len(problem.network), solution.plan
    where = f"cut {plan.cut} of {n}: layers 1..{plan.cut} on the device"
    if plan.cut == 0:
        where = "cut 0: the whole network on the server"
    elif plan.cut == n:
        where = f"cut {n} of {n}: the whole network on the device"
    cost = cost_table(problem, plan, solution.certificate.cost)
    return [Text(where, style="bold"), plan_table(problem, plan), Text(), cost]


def _bits(width: float, kind: str) -> str:
    return f"{width:.0f}" if kind == "whole" else f"{width:.3f}"


def plan_table(problem: QPart, plan: QPartPlan) -> RenderableType:
    """Bits of every tensor, and its share of the payload, overhead (scales, zero points) included."""
    net = problem.network
    if plan.cut == 0 and not plan.activations:
        said = "The raw input goes to the server; no tensor is quantized."
        if len(problem.admissible_cuts) == 1 or problem.given_limits:
            return Text(said)
        moves = leaves_the_server(problem, plan.bits) if len(net) <= FEW_LAYERS else None
        where = f"A{moves[1:]}" if moves else 'At what rate that changes: qopt.breakpoints(problem, "rate")'
        return Text(f"{said} {where}.")
    names, beside = net.names, net.sent_overhead  # all names are made anew when they are asked for
    rows = [
        (f"{names[i]} weights", "down", b, float(net.sent[i]), float(beside[i])) for i, b in enumerate(plan.weights)
    ]
    crossing = crossing_activations(problem, plan.cut)
    beside = np.zeros(len(net)) if net.overhead_activations is None else net.overhead_activations
    rows += [
        (f"{names[i - 1]} output", "up", b, float(net.activations[i - 1]), float(beside[i - 1]))
        if i
        else ("raw input", "up", b, net.input_size, 0.0)
        for i, b in zip(crossing, plan.activations, strict=True)
    ]
    if 0 in net.crossing(plan.cut) and not problem.quantize_input:
        rows.append(("raw input", "up", float(net.input_bits), net.input_size, 0.0))
    table = Table(title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.add_column("tensor")
    table.add_column("link")
    for heading in ("values", "bits", "payload", "of float32"):
        table.add_column(heading, justify="right")
    lines = []
    for name, link, width, size, overhead in rows:
        share = width / 32 + (overhead / (32 * size) if size else 0.0)
        payload = scaled(width * size + overhead, "bit")
        lines.append((name, link, f"{size:,.0f}", _bits(width, plan.bits), payload, f"{share:.1%}"))
    add_rows(table, lines, "tensors")
    return table


def leaves_the_server(problem: QPart, bits: Literal["whole", "real"] = "whole") -> str | None:
    """At what rate the best plan stops leaving everything on the server; None where it does not do so.

    Raises
    ------
    InputError
        See `qopt.qpart.serving.breakpoints`.
    """
    from qopt.qpart.serving.breakpoints import breakpoints

    here = problem.channel.uplink
    found = breakpoints(problem, "rate", bits=bits)
    last = found.at(here)
    if last.objective is None or last.plan.cut != 0:
        return None
    said = f"at {scaled(here, 'bit/s')} everything stays on the server"
    before = next((piece for piece in reversed(found.pieces) if piece.stop <= last.start), None)
    if before is None or before.objective is None:
        return f"{said}, and at every slower link too"
    return f"{said}; from {scaled(last.start, 'bit/s')} downwards cut {before.plan.cut} is better"


def cost_table(problem: QPart, plan: QPartPlan, cost: Cost) -> RenderableType:
    """Payload, time, energy and price of a plan."""
    table = grid()
    share = f" (the download is shared by {problem.inferences} inferences)" if problem.inferences > 1 else ""
    full = 32 * (float(problem.network.sent[: plan.cut].sum()))
    if cost.download and full:
        share = f", {cost.download / full:.1%} of the weights at float32" + share
    down, up = scaled(cost.download, "bit"), scaled(cost.upload, "bit")
    table.add_row("payload", f"{scaled(cost.payload, 'bit')}: {down} down, {up} up{share}")
    times = ((cost.device_time, "device"), (cost.transmission_time, "link"), (cost.server_time, "server"))
    table.add_row("time", f"{scaled(cost.time, 's')}: " + ", ".join(f"{scaled(t, 's')} {where}" for t, where in times))
    energies = [(cost.device_energy, "device"), (cost.transmission_energy, "link")]
    if problem.server.charge_energy:
        energies.append((cost.server_energy, "server"))
    parts = ", ".join(f"{scaled(e, 'J')} {where}" for e, where in energies)
    table.add_row("energy", f"{scaled(cost.energy, 'J')}: {parts}")
    table.add_row("price", number(cost.price))
    return table

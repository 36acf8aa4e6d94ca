"""Tables a person likes to read: plans, certificates, comparisons."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from qopt.certificates.certificate import Certificate
from qopt.costs import Cost
from qopt.plan import QPartPlan, crossing_activations
from qopt.problems.qpart import QPart
from qopt.solution import Solution

KINDS = {
    "kkt-dual": "the dual function of the convex problem",
    "lagrangian": "Lagrangian multipliers, one set a cut",
    "witness": "the witness, checked in exact arithmetic",
    "enumeration": "enumeration of all that could be better",
}

BUDGETS = ("accuracy", "memory")
"""Constraints of which the amount used is worth a line; the others either hold or do not."""

MAX_ROWS = 40
"""Tensors listed before the table is cut short."""


def number(value: float | None, digits: int = 6) -> str:
    """A number for people; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"


def gap_text(gap: float | None) -> str:
    """A relative gap; below what floating-point sums can tell apart it is nothing."""
    if gap is None:
        return "–"
    return "0" if gap <= 1e-12 else f"{gap:.1e}"


def scaled(value: float, unit: str) -> str:
    """A quantity with the SI prefix that reads best."""
    if value == 0:
        return f"0 {unit}"
    for factor, prefix in (
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
    ):
        if abs(value) >= factor:
            return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    return table


def _bits(width: float, kind: str) -> str:
    return f"{width:.0f}" if kind == "whole" else f"{width:.3f}"


def plan_table(problem: QPart, plan: QPartPlan) -> RenderableType:
    """Bits of every tensor, and its share of the payload."""
    net = problem.network
    if plan.cut == 0:
        return Text("The raw input goes to the server; no tensor is quantized.")
    rows = [(f"{net.names[i]} weights", "down", b, float(net.sent[i])) for i, b in enumerate(plan.weights)]
    crossing = crossing_activations(problem, plan.cut)
    rows += [
        (f"{net.names[i - 1]} output", "up", b, float(net.activations[i - 1]))
        for i, b in zip(crossing, plan.activations, strict=True)
    ]
    if 0 in net.crossing(plan.cut):
        rows.append(("raw input", "up", float(net.input_bits), net.input_size))
    table = Table(title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.add_column("tensor")
    table.add_column("link")
    for heading in ("values", "bits", "payload", "of float32"):
        table.add_column(heading, justify="right")
    shown = rows if len(rows) <= MAX_ROWS else rows[: MAX_ROWS - 1]
    for name, link, width, size in shown:
        payload = scaled(width * size, "bit")
        table.add_row(name, link, f"{size:,.0f}", _bits(width, plan.bits), payload, f"{width / 32:.1%}")
    if len(shown) < len(rows):
        table.add_row(f"… {len(rows) - len(shown)} more", "", "", "", "", "")
    return table


def cost_table(problem: QPart, plan: QPartPlan, cost: Cost) -> RenderableType:
    """Payload, time, energy and price of a plan."""
    grid = _grid()
    share = f" (the download is shared by {problem.inferences} inferences)" if problem.inferences > 1 else ""
    full = 32 * (float(problem.network.sent[: plan.cut].sum()))
    if cost.download and full:
        share = f", {cost.download / full:.1%} of the weights at float32" + share
    down, up = scaled(cost.download, "bit"), scaled(cost.upload, "bit")
    grid.add_row("payload", f"{scaled(cost.payload, 'bit')}: {down} down, {up} up{share}")
    times = ((cost.device_time, "device"), (cost.transmission_time, "link"), (cost.server_time, "server"))
    grid.add_row("time", f"{scaled(cost.time, 's')}: " + ", ".join(f"{scaled(t, 's')} {where}" for t, where in times))
    energies = [(cost.device_energy, "device"), (cost.transmission_energy, "link")]
    if problem.server.charge_energy:
        energies.append((cost.server_energy, "server"))
    parts = ", ".join(f"{scaled(e, 'J')} {where}" for e, where in energies)
    grid.add_row("energy", f"{scaled(cost.energy, 'J')}: {parts}")
    grid.add_row("price", number(cost.price))
    return grid


def verdict(certificate: Certificate) -> Text:
    """One line: what the certificate says."""
    if certificate.infeasible:
        return Text("infeasible: no plan exists, proved", style="bold yellow")
    if certificate.objective is None:
        return Text("nothing is proved", style="bold yellow")
    if not certificate.feasible:
        return Text("NOT FEASIBLE", style="bold red")
    if certificate.proved:
        return Text("feasible and optimal, proved", style="bold green")
    gap = "" if certificate.gap is None else f", at most {max(certificate.gap, 0.0):.3g} (relative) above the optimum"
    return Text(f"feasible{gap}", style="bold yellow")


def certificate_table(certificate: Certificate) -> RenderableType:
    """What is true of a plan: verdict, bound, slack of every constraint, residuals."""
    grid = _grid()
    grid.add_row("verdict", verdict(certificate))
    if certificate.objective is not None:
        grid.add_row("objective", f"{number(certificate.objective, 12)}  (recomputed from Eqs. 5-17)")
    if certificate.bound is not None:
        kind = KINDS.get(certificate.kind or "", certificate.kind or "")
        grid.add_row("lower bound", f"{number(certificate.bound, 12)}  ({certificate.kind}: {kind})")
        grid.add_row("gap", gap_text(certificate.gap))
    kept = []
    for slack in certificate.constraints:
        if slack.holds and slack.name not in BUDGETS:
            kept.append(slack.name)
            continue
        mark = "" if slack.holds else "  VIOLATED"
        grid.add_row(slack.name, f"{number(slack.used)} of {number(slack.limit)}{mark}")
    if kept:
        grid.add_row("also kept", ", ".join(kept))
    if certificate.kkt is not None:
        k = certificate.kkt
        grid.add_row(
            "KKT residuals",
            f"stationarity {k.stationarity:.1e}, complementarity {k.complementarity:.1e}, "
            f"primal {k.primal:.1e}, dual {k.dual:.1e}; multiplier {number(k.multiplier)}",
        )
    for line in (*certificate.violations, *certificate.notes):
        grid.add_row("", line)
    return grid


def solution_report(problem: QPart, solution: Solution) -> RenderableType:
    """A solution and its certificate."""
    parts: list[RenderableType] = []
    head = Text.assemble((problem.name, "bold"), f"  {solution.method}, {solution.bits} bits  ")
    head.append(solution.status, style="bold green" if solution.status == "optimal" else "bold yellow")
    head.append(f"  {scaled(solution.seconds, 's')}", style="dim")
    parts.append(head)
    if solution.message:
        parts.append(Text(solution.message))
    if solution.plan is not None and solution.certificate.cost is not None:
        n = len(problem.network)
        where = f"cut {solution.plan.cut} of {n}: layers 1..{solution.plan.cut} on the device"
        if solution.plan.cut == 0:
            where = "cut 0: the whole network on the server"
        elif solution.plan.cut == n:
            where = f"cut {n} of {n}: the whole network on the device"
        parts += [Text(), Text(where, style="bold"), plan_table(problem, solution.plan), Text()]
        parts += [cost_table(problem, solution.plan, solution.certificate.cost)]
    parts += [Text(), Text("Certificate", style="bold"), certificate_table(solution.certificate)]
    return Group(*parts)


def comparison_table(records: list[dict[str, Any]]) -> RenderableType:
    """Instances x methods."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    several = len({r["problem"] for r in records}) > 1
    if several:
        table.add_column("problem")
    for heading in ("method", "bits", "status"):
        table.add_column(heading)
    for heading in ("cut", "objective", "proved bound", "gap", "time", "verified"):
        table.add_column(heading, justify="right")
    for r in records:
        cells = [r["problem"]] if several else []
        if r["status"] == "unavailable":
            continue
        verified = {None: "–", True: "yes", False: "NO"}[r["verified"]]
        if r["proved"]:
            verified += ", proved"
        gap = gap_text(r["gap"])
        cut = "–" if r["cut"] is None else str(r["cut"])
        cells += [r["method"], r["bits"], r["status"], cut, number(r["objective"], 8), number(r["bound"], 8)]
        seconds = "–" if r["seconds"] is None else scaled(r["seconds"], "s")
        table.add_row(*cells, gap, seconds, verified)
    reasons: dict[str, list[str]] = {}
    for r in records:
        if r["status"] == "unavailable":
            where = f" on {r['problem']}" if several else ""
            reasons.setdefault(f"{r['message']}{where}", []).append(r["method"])
    notes = [Text(f"not used: {', '.join(names)}: {reason}", style="dim") for reason, names in reasons.items()]
    notes += [
        Text(f"failed: {r['method']} on {r['problem']}: {r['message']}", style="dim")
        for r in records
        if r["status"] == "failed" and r["message"]
    ]
    return Group(table, *notes)


def console() -> Console:
    """Where tables go: wide enough not to wrap when the output is a file or a pipe."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=140)

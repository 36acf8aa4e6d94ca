"""Every constraint of a plan in the exact test, with its slack and a line for each that fails."""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.certificate import Slack
from qopt.core.limits import within
from qopt.qpart.certificate.cuts import Cut, CutTable, More
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import UNITS


def item_widths(cut: Cut, plan: QPartPlan) -> FloatArray:
    """(n,) a plan's widths in the order of the items; of tensors that must agree the first one's."""
    _, first = np.unique(cut.owner, return_index=True)
    return np.array([*plan.weights, *plan.activations], dtype=float)[first]


def constraints_of(table: CutTable, cut: Cut, plan: QPartPlan, widths: FloatArray) -> tuple[list[Slack], list[str]]:
    """Every constraint in the exact test, and a line for each that fails."""
    problem, p = table.problem, plan.cut
    given = np.array([*plan.weights, *plan.activations], dtype=float)
    rows = [Slack.whether("admissible cut", p not in problem.admissible_cuts)]

    def name(at: int) -> str:
        if at < p:
            return f"weights of layer {at + 1}"
        layer = crossing_activations(problem, p)[at - p]
        return f"output of layer {layer}" if layer else "raw input"

    lines = [] if rows[0].holds else [f"cut {p} is not admissible"]
    if given.size:
        low, high = int(np.argmin(given)), int(np.argmax(given))
        for row, at, used, limit in (
            ("least width", low, float(cut.lo), float(given[low])),
            ("largest width", high, float(given[high]), float(cut.hi)),
        ):
            rows.append(Slack(row, used, limit, used <= limit))
            if used > limit:
                lines.append(f"{name(at)}: {given[at]:.17g} bits, allowed {cut.lo} to {cut.hi}")
    if table.bits == "whole" and given.size:
        apart = np.abs(given - np.round(given))
        at = int(np.argmax(apart))
        rows.append(Slack.whether("whole bits", apart[at]))
        if apart[at] > 0:
            lines.append(f"{name(at)}: {given[at]:.17g} bits, which is not whole")
    if table.menus is not None and given.size:
        masks = np.concatenate((table.menus[0][:p], table.menus[1][np.array(crossing_activations(problem, p)) - 1]))
        off = [at for at, b in enumerate(given.tolist()) if b not in cut.bits[masks[at]]]
        rows.append(Slack.whether("widths on the menus", len(off)))
        if off:
            menu = ", ".join(map(str, cut.bits[masks[off[0]]]))
            lines.append(f"{name(off[0])}: {given[off[0]]:.17g} bits, on its menu {menu}")
    if len(cut.owner) > len(widths):
        apart = np.abs(given - widths[cut.owner])
        at = int(np.argmax(apart))
        rows.append(Slack.whether("tied widths", apart[at]))
        if apart[at] > 0:
            partner = name(int(np.flatnonzero(cut.owner == cut.owner[at])[0]))
            lines.append(f"{name(at)}: {given[at]:.17g} bits, tied to {partner}: {widths[cut.owner[at]]:.17g}")
    if p > 0 or problem.quantize_input:
        limit = problem.noise_limit(p)
        terms = _noise_of(cut, widths)
        if terms is None or not np.all(np.isfinite(terms)):
            lines.append("accuracy: noise is not known at these widths")
        else:
            rows.append(Slack("accuracy", math.fsum(terms.tolist()), limit, within(terms.tolist(), limit)))
            if not rows[-1].holds:
                lines.append(f"accuracy: noise {rows[-1].used:.17g}, allowed {limit:.17g}")
    if problem.device.memory is not None:
        stored, memory = cut.memory_of(widths).tolist(), problem.device.memory
        rows.append(Slack("memory", math.fsum(stored), memory, within(stored, memory)))
        if not rows[-1].holds:
            lines.append(f"memory: {rows[-1].used:.17g} bits, allowed {memory:.17g}")
    for more in cut.more:
        spent = _used(table, cut, more, widths)
        if spent is None:
            lines.append(f"{more.name}: not known at these widths")
            continue
        parts = [more.fixed, *spent.tolist()]
        rows.append(Slack(more.name, math.fsum(parts), more.limit, within(parts, more.limit)))
        if not rows[-1].holds:
            unit = f" {UNITS[more.name]}".rstrip()
            lines.append(f"{more.name}: {rows[-1].used:.17g}{unit}, allowed {more.limit:.17g}")
    return rows, lines


def _noise_of(cut: Cut, widths: FloatArray) -> FloatArray | None:
    """(n,) noise terms at a plan's widths; None where they are not known."""
    columns = cut.columns(widths)
    if cut.noise is not None and columns is not None:
        return cut.noise[np.arange(widths.size), columns]
    return cut.noise_at(widths) if cut.c is not None else None


def _used(table: CutTable, cut: Cut, row: More, widths: FloatArray) -> FloatArray | None:
    """(n,) what items use of a limit at a plan's widths; None where no table says it.

    Without tables by width it is proportional to the width, whole or not.
    """
    columns, tables = cut.columns(widths), table.problem.tables
    if columns is not None:
        return row.use[np.arange(widths.size), columns]
    if (tables is not None and tables.by_width) or table.menus is not None:
        return None
    return row.use[:, -1] * (widths / float(cut.hi))

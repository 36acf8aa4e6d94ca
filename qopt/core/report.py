"""Tables a person likes to read: plans, certificates, comparisons."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from qopt.core.certificate import Certificate
from qopt.core.display import gap_text, number
from qopt.core.families import FAMILIES, family_of
from qopt.core.problem import Problem

KINDS = {
    "witness": "a tree of multipliers, checked in exact arithmetic",
    "enumeration": "enumeration of all that could be better",
}
"""Kinds of bounds that every family has; a family's own are in its report."""

MAX_ROWS = 40
"""Rows of a plan listed before the table leaves some out."""

LEAST = 6
"""Characters that a column of texts keeps when it folds."""

TAIL = 5
"""Of those, rows from the plan's end: what crosses the cut, or where it ends."""


def scaled(value: float, unit: str) -> str:
    """A quantity with the SI prefix that reads best.

    Parameters
    ----------
    value : in the unit.
    unit : without a prefix, such as ``s``.
    """
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


def add_rows(table: Table, rows: Sequence[Sequence[str]], what: str = "rows") -> None:
    """Put a plan's rows into its table; of too many the first and the last, and how many are left out between them."""
    hidden = max(0, len(rows) - MAX_ROWS + 1)
    head = MAX_ROWS - TAIL - 1 if hidden else len(rows)
    for row in rows[:head]:
        table.add_row(*row)
    if hidden:
        table.add_row(f"… {hidden} more {what} (--json: all)")
        for row in rows[-TAIL:]:
            table.add_row(*row)


def grid() -> Table:
    """A table of two columns without lines: what, and how much."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    return table


def verdict(certificate: Certificate) -> Text:
    """What the certificate says, in color: red where a limit is broken, green where optimality is proved."""
    broken = certificate.objective is not None and not certificate.feasible
    color = "red" if broken else "green" if certificate.proved else "yellow"
    return Text(certificate.verdict, style=f"bold {color}")


def certificate_table(problem: Problem, certificate: Certificate) -> RenderableType:
    """What is true of a plan: verdict, bound, slack of every constraint, residuals."""
    own = family_of(problem).part("report")
    table = grid()
    table.add_row("verdict", verdict(certificate))
    if certificate.objective is not None:
        table.add_row("objective", f"{number(certificate.objective, 12)}  ({certificate.cost.equations})")
    if certificate.bound is not None:
        kinds = {**KINDS, **own.KINDS}
        kind = kinds.get(certificate.kind or "", certificate.kind or "")
        table.add_row("lower bound", f"{number(certificate.bound, 12)}  ({certificate.kind}: {kind})")
        if certificate.gap is not None:
            table.add_row("gap", gap_text(certificate.gap))
    kept = []
    for slack in certificate.constraints:
        first, *rest = slack.name.split()
        if slack.holds and first not in own.BUDGETS:
            kept.append(slack.name)
            continue
        mark = "" if slack.holds else "  VIOLATED"
        table.add_row(" ".join([own.BUDGETS.get(first, first), *rest]), f"{slack.text}{mark}")
    if kept:
        table.add_row("also kept", ", ".join(kept))
    if certificate.kkt is not None:
        k = certificate.kkt
        table.add_row(
            "KKT residuals",
            f"stationarity {k.stationarity:.1e}, complementarity {k.complementarity:.1e}, "
            f"primal {k.primal:.1e}, dual {k.dual:.1e}; multiplier {number(k.multiplier)}",
        )
    for line in (*certificate.violations, *certificate.notes):
        table.add_row("", line)
    return table


class Fitted:
    """A table that no width cuts: columns that do not fit are left out, and named below; texts fold, numbers never.

    Where not even the needed columns fit, each row is a block of lines.

    Parameters
    ----------
    rows : cells by column, the same columns in each row, in order.
    left : columns of texts; the others are numbers, at the right.
    needed : columns that stay.
    spare : the others, those that go first before those that go last.
    """

    def __init__(
        self, rows: Sequence[Mapping[str, str]], *, left: Sequence[str], needed: Sequence[str], spare: Sequence[str]
    ) -> None:
        self.rows, self.left, self.needed = rows, left, needed
        self.columns = list(rows[0]) if rows else list(needed)
        self.going = [name for name in spare if name in self.columns]

    def _table(self, columns: Sequence[str]) -> Table:
        table = Table(header_style="bold", box=None, pad_edge=False)
        for name in columns:
            if name in self.left:
                table.add_column(name, overflow="fold", min_width=LEAST)
            else:
                # Without a least width rich cuts what it may not wrap.
                least = max(cell_len(text) for text in (name, *(row[name] for row in self.rows)))
                table.add_column(name, justify="right", no_wrap=True, min_width=least)
        for row in self.rows:
            table.add_row(*(row[name] for name in columns))
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns: list[str] = list(self.columns)
        gone: list[str] = []
        wide = options.update(max_width=100_000)

        def width(least: bool) -> int:
            found = Measurement.get(console, wide, self._table(columns))
            return found.minimum if least else found.maximum

        for name in self.going:
            if width(False) <= options.max_width:
                break
            columns.remove(name)
            gone.append(name)
        if width(True) <= options.max_width:
            yield self._table(columns)
        else:
            for row in self.rows:
                yield Text("\n".join(f"{name}: {row[name]}" for name in columns) + "\n", overflow="fold")
        if gone:
            yield Text(f"not shown at this width: {', '.join(gone)} (--json, --csv: all)", style="dim")


def comparison_table(records: list[dict[str, Any]]) -> RenderableType:
    """A row for each problem and method, and a line for each reason why one is missing.

    Parameters
    ----------
    records : one for each problem and method, as `qopt.comparison.tables.rows` gives them: problem, method, status and
        message; objective, bound, gap, seconds, verified and proved, None where there is nothing to say; bits, and the
        family's FACTS, where it has them.
    """
    several = len({r["problem"] for r in records}) > 1
    decided = dict.fromkeys(name for family in FAMILIES.values() for name in family.part("report").FACTS)
    facts = [name for name in decided if any(name in r for r in records)]
    head = [*(["problem"] if several else []), "method", *(["bits"] if any("bits" in r for r in records) else [])]
    rows = []
    for r in records:
        if r["status"] == "unavailable":
            continue
        verified = {None: "–", True: "yes", False: "NO"}[r["verified"]]
        if r["proved"]:
            verified += ", proved"
        cells = {name: r.get(name) or "–" for name in (*head, "status")}
        cells |= {name: "–" if r.get(name) is None else str(r[name]) for name in facts}
        cells |= {"objective": number(r["objective"], 8), "proved bound": number(r["bound"], 8)}
        seconds = "–" if r["seconds"] is None else scaled(r["seconds"], "s")
        rows.append(cells | {"gap": gap_text(r["gap"]), "time": seconds, "verified": verified})
    needed = [name for name in (*head, "status", "objective", "time", "verified") if name != "bits"]
    spare = ("bits", *reversed(facts), "proved bound", "gap")
    table = Fitted(rows, left=(*head, "status"), needed=needed, spare=spare)
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


def as_text(shown: RenderableType, width: int = 140) -> str:
    """A table as plain text.

    Parameters
    ----------
    shown : anything that rich prints.
    width : of a line, in characters.
    """
    with (plain := Console(width=width, color_system=None, markup=False, emoji=False)).capture() as capture:
        plain.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def console() -> Console:
    """Where tables go: as wide as the terminal or as COLUMNS says, else, in a file or a pipe, 140 characters.

    Texts are as they are: ``[s]`` is a unit, and a name may have brackets or colons, so nothing is markup.
    """
    plain = Console(markup=False, emoji=False)
    if plain.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return plain
    return Console(width=140, markup=False, emoji=False)

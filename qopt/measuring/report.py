"""What was measured, for people: progress while it runs, tables at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from qopt.core.report import console, grid

if TYPE_CHECKING:
    from qopt.measuring.command import Measured
    from qopt.measuring.intervals import Estimate


@contextmanager
def progress(quiet: bool = False) -> Iterator[tuple[Callable[[str], None], Callable[[str, int, int], None]]]:
    """Where lines and steps of progress go: standard error, with bars if it is a terminal.

    Parameters
    ----------
    quiet : no lines.
    """
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks = {}

    def say(line: str) -> None:
        if not quiet:
            bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def advance(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done)

    with bars if bars.console.is_terminal else nullcontext():
        yield say, advance


def show(found: Measured) -> None:
    """Print a table of the tensors and one of the levels and cuts, whole where the output is a file or a pipe."""
    for table in (_tensors(found), _cuts(found)):
        out = console()
        if not out.is_terminal:
            width = Measurement.get(out, out.options.update(max_width=10_000), table).maximum
            out = Console(width=max(out.width, width), markup=False, emoji=False)
        out.print(table)
    for note in found.notes:
        console().print(note, markup=False, highlight=False, soft_wrap=True)


def show_layers(columns: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the layers of a network, and which of them share a weight.

    Parameters
    ----------
    columns : the ``network`` object of an instance, as `Network.columns` gives it.
    rows : a row for each layer, as `qopt.measuring.profile.records` gives them.
    """
    console().print(_layers(columns, rows))
    for tie in columns.get("ties", []):
        console().print(f"layers {', '.join(map(str, tie['layers']))} share one weight")


def show_lines(lines: Sequence[tuple[str, str]]) -> None:
    """Print labels and values."""
    table = grid()
    for label, value in lines:
        table.add_row(label, value)
    console().print(table)


def _layers(columns: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, footer_style="bold", show_footer=True)
    sent = {layer for tie in columns.get("ties", []) for layer in tie["layers"][1:]}
    totals = {
        "MACs": sum(row["macs"] for row in rows),
        "weights": sum(row["weights"] for row in rows if row["layer"] not in sent),
        "biases": sum(row["biases"] for row in rows),
    }
    for heading in ("layer", "name", "kind", "MACs", "weights", "biases", "output", "reads", "crosses", "sent"):
        right = heading in ("layer", "MACs", "weights", "biases", "sent")
        footer = "total" if heading == "name" else f"{totals[heading]:,}" if heading in totals else ""
        table.add_column(heading, footer, justify="right" if right else "left", no_wrap=heading == "MACs")
    table.add_row("0", "input", "", "", "", "", "", "", "0", f"{columns['input_size']:,}")
    for row in rows:
        table.add_row(
            str(row["layer"]),
            row["name"],
            row["kind"],
            f"{row['macs']:,}",
            f"{row['weights']:,}",
            f"{row['biases']:,}",
            " x ".join(map(str, row["output"])),
            " ".join(map(str, row["reads"])),
            " ".join(map(str, row["crossing"])),
            f"{row['sent']:,}",
        )
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, title=title, title_justify="left")
    for heading in headings:
        named = heading in ("tensor", "widths")
        table.add_column(heading, justify="left" if named else "right", no_wrap=named)
    return table


def _tensors(found: Measured) -> Table:
    s = found.sensitivity
    levels = [f"rho at {a:g}" for a in s.levels]
    title = f"\nmean ||sigma*||^2 {_interval(s.natural)}, score {s.score:.4f} on {s.examples} examples"
    table = _table(title, "tensor", "s", "law within", *levels)
    for tensor, one in s.tensors.items():
        rho = [_interval(x) for x in one.rho]
        table.add_row(str(tensor), _interval(one.s), f"2^{one.law_error:.2f}", *rho)
    return table


def _cuts(found: Measured) -> Table:
    title = f"\nplans of least payload; loss in points, score {found.test_score:.4f} on the test's examples"
    table = _table(title, "level", "cut", "Delta", "widths", "weights left", "calibration", "test")
    for row in found.cheapest:
        if row.plan is None or row.left is None or row.calibration is None or row.test is None:
            table.add_row(f"{row.level:g}", str(row.cut), "-", "no limit holds", "", "", "")
            continue
        losses = [f"{100 * x.value:.2f} [{100 * x.low:.2f}, {100 * x.high:.2f}]" for x in (row.calibration, row.test)]
        table.add_row(
            f"{row.level:g}", str(row.cut), _interval(row.delta), str(row.plan), f"{100 * row.left:.2f} %", *losses
        )
    return table


def _interval(x: Estimate) -> str:
    return f"{x.value:.3g} [{x.low:.3g}, {x.high:.3g}]"

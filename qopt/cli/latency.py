"""`qopt latency`: what was measured with `qopt run-part`, as the study's tables, beside what was predicted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qopt.cli.common import AsJson, ExitCode, print_json
from qopt.core.errors import InputError

if TYPE_CHECKING:
    from qopt.comparison.agreement import Agreement
    from qopt.comparison.latencies import Logs


def latency(
    logs: Annotated[list[Path], typer.Argument(help="Logs of `qopt run-part --examples --log`, of one model.")],
    predicted: Annotated[
        Path | None, typer.Option(help="JSON: seconds by strategy, or what `qopt strategies --json` prints.")
    ] = None,
    box: Annotated[Path | None, typer.Option(metavar="FILE", help="Write box plots to this picture.")] = None,
    adjust: Annotated[str, typer.Option(help="Adjustment of Conover's p-values for the number of pairs.")] = (
        "bonferroni"
    ),
    alpha: Annotated[float, typer.Option(help="Level of significance.")] = 0.05,
    csv: Annotated[Path | None, typer.Option(help="Write the medians to this file.")] = None,
    as_json: AsJson = False,
) -> int:
    """Medians of medians, tests and effects of measured latencies, and predictions beside them.

    Example: qopt latency mobile.jsonl --predicted predicted.json
    """
    from qopt.comparison import latencies
    from qopt.comparison.agreement import agreement, read_predictions
    from qopt.core.files import write_text

    read = latencies.read_logs(logs)
    table = latencies.medians(read.requests)
    tests, untested = [], []
    for test in latencies.comparisons(table):
        try:
            tests.append((test, latencies.run_test(read.requests, test, adjust=adjust, alpha=alpha)))
        except InputError as error:
            if error.field in ("adjust", "alpha"):
                raise
            untested.append(f"{test.dimension} {test.name}: {error}")
    found = None
    if predicted is not None:
        found = agreement(read.requests, read_predictions(predicted))
    if csv is not None:
        write_text(csv, table.to_csv(index=False))
    if box is not None:
        _draw(read.requests, box)
    if as_json:
        print_json(_plain(read, table, tests, found))
    else:
        _show(read, table, tests, untested, found)
    return ExitCode.FOUND


def _draw(requests: Any, path: Path) -> None:
    from qopt.comparison.plots import plot_latencies
    from qopt.core.plot_style import save_figure

    save_figure(plot_latencies(requests), path, field="--box")


def _plain(read: Logs, table: Any, tests: list[Any], found: Agreement | None) -> dict[str, Any]:
    """Everything as plain data; what is no number is null."""
    import json

    def rows(frame: Any) -> Any:
        return json.loads(frame.to_json(orient="records", double_precision=15))

    data: dict[str, Any] = {"left_out": read.left_out, "reasons": read.reasons, "strategies": rows(table)}
    data["tests"] = [
        {"dimension": test.dimension, "name": test.name, "strategies": list(test.strategies), "pairs": rows(pairs)}
        for test, pairs in tests
    ]
    if found is not None:
        data["prediction"] = {
            "strategies": rows(found.table),
            "close": list(found.close),
            "rank": found.rank,
            "rank_interval": None if found.rank_interval is None else list(found.rank_interval),
            "best": found.best,
            "recommended": found.recommended,
            "excess": found.excess,
        }
    return data


def _show(read: Logs, table: Any, tests: list[Any], untested: list[str], found: Agreement | None) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    from qopt.comparison.latencies import PARTS, matrix, normality
    from qopt.core.report import Fitted, console, scaled

    out = console()

    def line(text: str) -> None:
        out.print(text, markup=False, highlight=False, soft_wrap=True)

    shapiro = normality(read.requests)
    normal = {} if shapiro is None else dict(zip(shapiro["group"], shapiro["normal"], strict=True))
    rows = []
    for row in table.to_dict("records"):
        cells = {"strategy": row["strategy"], "n": f"{row['n']}", "median": scaled(row["total"], "s")}
        cells["repetitions"] = f"{scaled(row['low'], 's')} to {scaled(row['high'], 's')}"
        cells |= {part: scaled(row[part], "s") for part in PARTS if part != "total"}
        rows.append(cells | {"normal": {True: "yes", False: "no", None: "–"}[normal.get(row["strategy"])]})
    out.print(Fitted(rows, left=("strategy",), needed=("strategy", "median"), spare=("normal", "pre", "post", "n")))
    for kind, count in read.left_out.items():
        line(f"left out: {count} {'line' if count == 1 else 'lines'} {kind}")
    for reason, count in sorted(read.reasons.items(), key=lambda item: -item[1])[:5]:
        line(f"refused {count} times: {reason}")
    for test, pairs in tests:
        h, p = pairs["kruskal_h"].iloc[0], pairs["kruskal_p"].iloc[0]
        line(f"\n{test.dimension} dimension, {test.name}: Kruskal-Wallis H = {h:.4g}, p = {p:.2g}")
        for title, column in (
            ("Cliff's delta, where significant", "letter"),
            ("Conover, adjusted", "conover_p"),
            ("Wilcoxon, adjusted", "wilcoxon_adjusted"),
        ):
            found_cells = matrix(pairs, column)
            names = [Text(str(name)) for name in found_cells.columns]
            shown = Table(title, *map(Column, names), header_style="bold", box=None, pad_edge=False)
            for name, own in zip(names, found_cells.to_numpy(), strict=True):
                shown.add_row(name, *(f"{v:.2g}" if isinstance(v, float) else str(v) for v in own))
            out.print(shown)
    for reason in untested:
        line(f"not tested: {reason}")
    if found is not None:
        _show_prediction(found)


def _show_prediction(found: Agreement) -> None:
    from qopt.core.report import Fitted, console, scaled

    out, rows = console(), []
    for row in found.table.to_dict("records"):
        for part in ("total", "compute", "link"):
            if f"predicted_{part}" in found.table.columns:
                said, measured = row[f"predicted_{part}"], row[f"measured_{part}"]
                if said == said:
                    cells = {"strategy": row["strategy"], "part": part, "predicted": scaled(said, "s")}
                    error = row[f"error_{part}"]
                    cells |= {
                        "measured": scaled(measured, "s"),
                        "error": f"{100 * error:+.1f} %" if error == error else "–",
                    }
                    rows.append(cells)
    out.print("")
    out.print(
        Fitted(rows, left=("strategy", "part"), needed=("strategy", "part", "predicted", "measured", "error"), spare=())
    )
    text = f"recommended: {found.recommended}, {100 * found.excess:.1f} % above the best measured, {found.best}"
    if found.rank is not None and found.rank_interval is not None:
        low, high = found.rank_interval
        text += f"\nrank correlation of the {len(found.close)} within a factor of 2 of the best: {found.rank:.2f}"
        text += f" [{low:.2f}, {high:.2f}]"
    out.print(text, markup=False, highlight=False, soft_wrap=True)

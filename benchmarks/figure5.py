"""Fig. 5 of the QPART paper from the model: time, energy and price by cut, and what the paper says about them.

`python benchmarks/figure5.py` writes the tables of docs/figure5.md, docs/figure5.csv and docs/img/figure5.png.

Table II with the paper's six-layer network. Widths with quantization are the optimal whole bits of each cut under the
measured noise of qpart/mnist-mlp6 at its 1-point level; without, everything has 32 bits. One download serves one
inference. The price zeta per second is not in Table II: 1 is assumed, and the price is proportional to it.
"""

from __future__ import annotations

import csv
import functools
import io
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import qopt
from qopt.core.files import write_text
from qopt.qpart.costs import Cost, breakdown
from qopt.qpart.table2 import TABLE_II

DOCS = Path(__file__).parents[1] / "docs"
ZETA = 1.0
LAST = 6
POINTS = range(1, LAST + 1)
"""The paper's partition points 0..5."""

HOLDS, FAILS, OPEN, CARRIED = "holds", "does not hold", "cannot be decided", "carried out"
"""Verdicts; what was carried out is judged where its figures are, in docs/simulation.md."""


def request(charge: bool) -> qopt.QPart:
    """The paper's setting; `charge`: whether the server's energy counts, as Eq. 25 prints and the text excludes."""
    setting = {**TABLE_II, "cuts": None, "server.charge_energy": charge, "server.price": ZETA}
    return qopt.load("qpart/mnist-mlp6").replace(setting)


@dataclass(frozen=True)
class Point:
    """One cut: widths of the optimum, and its cost beside that of 32 bits everywhere."""

    cut: int
    widths: tuple[int, ...]
    quantized: Cost
    full: Cost


@functools.cache
def points(charge: bool) -> tuple[Point, ...]:
    """Cuts 0..6 of one reading, every optimum proved."""
    problem, found = request(charge), []
    unquantized = problem.replace({"network.overhead": None})  # numbers at 32 bits need no scales
    for cut in range(LAST + 1):
        solution = qopt.solve(problem.replace({"cuts": [cut]}))
        assert solution.plan is not None
        assert solution.status == "optimal"
        plain = qopt.QPartPlan(cut=cut, weights=(32.0,) * cut, activations=(32.0,) * (cut > 0))
        widths = tuple(int(b) for b in (*solution.plan.weights, *solution.plan.activations))
        found.append(Point(cut, widths, breakdown(problem, solution.plan), breakdown(unquantized, plain)))
    return tuple(found)


def rising(values: list[float]) -> bool:
    """Whether each value exceeds the one before."""
    return all(a < b for a, b in itertools.pairwise(values))


@dataclass(frozen=True)
class Statement:
    """A sentence of the paper, in our words, and what the model makes of it."""

    where: str
    text: str
    reading: str
    verdict: str
    number: str


def course(values: list[float], unit: str) -> str:
    """First to last, and where a value falls short of the one before it though most rise."""
    dips = [f"from cut {p} to {p + 1}" for p, (a, b) in enumerate(itertools.pairwise(values), start=1) if b < a]
    some = len(dips) * 2 < len(values)
    return f"{values[0]:.2f} -> {values[-1]:.2f} {unit}" + (f", falling {' and '.join(dips)}" if dips and some else "")


def span(values: list[float], form: str = "{:.1f}") -> str:
    """Least to largest."""
    return f"{form.format(min(values))} to {form.format(max(values))}"


def statements() -> list[Statement]:
    """What the paper states about Figs. 3 and 5 to 10 and its payload, judged by the model at cuts 1..6."""
    found: list[Statement] = []

    def say(where: str, text: str, reading: str, holds: bool | None, number: str) -> None:
        found.append(Statement(where, text, reading, OPEN if holds is None else HOLDS if holds else FAILS, number))

    def series(charge: bool, quantized: bool, value: Callable[[Cost], float]) -> list[float]:
        return [value(p.quantized if quantized else p.full) for p in points(charge)[1:]]

    looks = ((True, "quantized"), (False, "32 bits"))
    for quantized, look in looks:
        v = series(False, quantized, lambda c: 1e3 * c.time)
        say("Fig. 5", "time increases as the cut moves to the last layer", look, rising(v), course(v, "ms"))
    for charge, reading in ((False, "server's energy not charged"), (True, "server's energy charged")):
        for quantized, look in looks:
            v = series(charge, quantized, lambda c: 1e3 * c.energy)
            say("Fig. 5", "energy increases as the cut moves to the last layer", f"{look}, {reading}", rising(v),
                course(v, "mJ"))  # fmt: skip
    v = series(False, True, lambda c: 1e6 * c.price)
    say("Fig. 5", "the server's cost decreases", "both", rising([-x for x in v]), f"{v[0]:.1f} -> {v[-1]:.1f} (1e-6)")
    for quantized, look in looks:
        first, last = (points(False)[k] for k in (1, -1))
        a, b = (first.quantized, last.quantized) if quantized else (first.full, last.full)
        time = (b.transmission_time - a.transmission_time) / (b.time - a.time)
        energy = (b.transmission_energy - a.transmission_energy) / (b.energy - a.energy)
        say("Fig. 5", "time grows because more parameters are sent", look, time > 0.5, f"{time:.0%} of the growth")
        say("Fig. 5", "energy grows because more parameters are sent", f"{look}, server's energy not charged",
            energy > 0.5, f"{energy:.0%} of the growth")  # fmt: skip
    v, plain = (series(False, q, lambda c: c.time) for q in (True, False))
    ratio = [b / a for a, b in zip(v, plain, strict=True)]
    say("Figs. 5, 9", "quantization reduces time significantly at every cut", "both", min(ratio) > 1.5,
        f"{span(ratio, '{:.2f}')} times less")  # fmt: skip
    for charge, reading in ((False, "server's energy not charged"), (True, "server's energy charged")):
        v, plain = (series(charge, q, lambda c: c.energy) for q in (True, False))
        ratio = [b / a for a, b in zip(v, plain, strict=True)]
        say("Figs. 5, 8", "quantization reduces energy significantly at every cut", reading, min(ratio) > 1.5,
            f"{span(ratio)} times less")  # fmt: skip
        v, plain = (series(charge, q, lambda c: c.objective) for q in (True, False))
        ratio = [b / a for a, b in zip(v, plain, strict=True)]
        say("Fig. 7", "lower total cost than without optimization at every cut", reading, min(ratio) > 1,
            f"{span(ratio)} times less")  # fmt: skip
    for quantized, look in looks:
        v = series(False, quantized, lambda c: c.transmission_time / c.time)
        say(
            "Introduction",
            "transmission makes up most of the latency",
            look,
            min(v) > 0.5,
            f"{100 * min(v):.1f} to {100 * max(v):.1f} % of it",
        )
    saved = [1 - p.quantized.payload / p.full.payload for p in points(False)[1:]]
    say("Abstract, Fig. 10", "the payload falls by over 80 % (of 32 bits)", "every cut", min(saved) > 0.8,
        f"{100 * min(saved):.2f} to {100 * max(saved):.2f} %")  # fmt: skip
    by_layer = [1 - b / 32 for b in points(False)[-1].widths[:-1]]
    inside = all(0.62 <= x <= 0.84 for x in by_layer)
    say("Fig. 3", "each layer's parameters shrink by 62 to 84 %", "our network, cut 6", inside,
        f"{100 * min(by_layer):.2f} to {100 * max(by_layer):.2f} %")  # fmt: skip
    law = qopt.generate.qpart(LAST, seed=0, cuts=[LAST], bits=(1, 32))
    shrink = []
    for factor in (1.0, 4.0):
        moved = law.replace({"accuracy.delta": (law.accuracy.delta * factor).tolist()})
        plan = qopt.solve(moved, "kkt").plan
        assert plan is not None
        shrink.append([*plan.weights, *plan.activations])
    lost = [a - b for a, b in zip(*shrink, strict=True)]
    say("Fig. 6", "the model's size falls exponentially as the noise allowed grows", "law, real-valued bits",
        max(abs(x - 1) for x in lost) > 1e-6, f"{max(lost):.3f} bit a value less for 4 times the noise")  # fmt: skip
    say(
        "Fig. 6",
        "the same, as the accuracy accepted falls",
        "any",
        None,
        "how Delta depends on accuracy is measured, and the paper prints no data",
    )
    see = "[simulation.md](simulation.md#carried-out-on-mnist)"
    for where, text in (
        ("Figs. 7-10", "cheaper and faster than an auto-encoder and than pruning"),
        ("Fig. 10", "an auto-encoder reduces the payload a little"),
        ("Table III", "accuracy is kept"),
    ):
        found.append(Statement(where, text, "our network", CARRIED, f"see {see} and [the ledger](ledger.md)"))
    return found


COLUMNS = (
    "cut",
    "widths",
    "bits",
    "time_ms",
    "energy_mj",
    "energy_with_server_mj",
    "price_1e6",
    "payload_kbit",
    "link_share_of_time",
)


def data() -> list[tuple[str, ...]]:
    """Rows of the figure: a cut with its optimal widths, and with 32 bits."""
    rows = []
    for off, on in zip(points(False), points(True), strict=True):
        for bits, a, b in (("optimal", off.quantized, on.quantized), ("32", off.full, on.full)):
            widths = " ".join(map(str, off.widths)) if bits == "optimal" else ""
            rows.append((
                str(off.cut), widths or "-", bits,
                f"{1e3 * a.time:.4f}", f"{1e3 * a.energy:.4f}", f"{1e3 * b.energy:.4f}",
                f"{1e6 * a.price:.3f}", f"{a.payload / 1e3:.3f}", f"{a.transmission_time / a.time:.4f}",
            ))  # fmt: skip
    return rows


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows)) + "\n"


def comma_separated() -> str:
    """The data as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([COLUMNS, *data()])
    return out.getvalue()


def filled(page: str) -> str:
    """The page with its two tables, each between its marks."""
    head = ("cut", "widths, output last", "bits", "time [ms]", "energy [mJ]", "with the server's [mJ]", "price [1e-6]",
            "payload [kbit]", "link's share of time")  # fmt: skip
    judged = [(s.where, s.text, s.reading, s.verdict, s.number) for s in statements()]
    for name, text in (
        ("data", table(head, data())),
        ("statements", table(("where", "statement", "reading", "verdict", "number"), judged)),
    ):
        mark = f"<!-- {name} -->"
        page = re.sub(f"{mark}\n.*?{mark}", lambda _, m=mark, t=text: f"{m}\n{t}{m}", page, flags=re.DOTALL)  # type: ignore[misc]
    return page


def draw(path: Path) -> None:
    """The figure: what the paper draws at cuts 1..6, with cut 0 hollow beside them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from qopt.core.plot_style import BLUE, ORANGE, save_figure

    panels: tuple[tuple[str, bool, Callable[[Cost], float]], ...] = (
        ("time [ms]", False, lambda c: 1e3 * c.time),
        ("energy, server's not charged [mJ]", False, lambda c: 1e3 * c.energy),
        ("energy, server's charged [mJ]", True, lambda c: 1e3 * c.energy),
        ("price, 1 per second [$10^{-6}$]", False, lambda c: 1e6 * c.price),
    )
    fig, axes = plt.subplots(1, 4, figsize=(12, 2.9), layout="constrained")
    for ax, (title, charge, value) in zip(axes, panels, strict=True):
        for k, (label, color, marker) in enumerate((("32 bits", ORANGE, "s"), ("optimal whole bits", BLUE, "o"))):
            y = [value(p.quantized if k else p.full) for p in points(charge)]
            size = 4 if k else 7
            ax.plot(
                POINTS, y[1:], marker=marker, markersize=size, color=color, linestyle="--" if k else "-", label=label
            )
            ax.plot([0], y[:1], marker=marker, markersize=size, color=color, markerfacecolor="white", linestyle="none")
        ax.set_title(title, loc="left", fontsize=9)
        ax.set_xlabel("cut p (0: the raw picture goes up)", fontsize=8)
        ax.set_ylim(0, None)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    save_figure(fig, path, dots=90)
    plt.close(fig)


def main() -> None:
    """Write the page's tables, the data and the picture."""
    page = DOCS / "figure5.md"
    write_text(page, filled(page.read_text(encoding="utf-8")))
    write_text(DOCS / "figure5.csv", comma_separated())
    (DOCS / "img").mkdir(exist_ok=True)
    draw(DOCS / "img" / "figure5.png")
    for statement in statements():
        print(f"{statement.verdict:18} {statement.where}: {statement.text} [{statement.reading}]: {statement.number}")


if __name__ == "__main__":
    main()

"""Figs. 4 to 7 of the study from our data: the medians of the instances beside the reconstructed ones.

    python instances/placement/study/figures.py 4 --out figure4.png

The study draws boxes of its samples, which are not published; what is drawn here is one latency a strategy.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import signs
from data import SUBJECTS, read

from qopt.core.errors import InputError
from qopt.core.plot_style import INK, SEQUENCE, axes_for, save_figure

TIERS = ("M", "E", "C")
FIGURES = {
    4: [f"I@{t}" for t in TIERS],
    5: [*(f"{o}@{t}" for t in TIERS for o in ("I", "Q", "E", "QE")), "I@ME", "QE@ME"],
    6: [*(f"I@{t}" for t in ("ME", "EC", "MC")), *(f"I@{t}" for t in TIERS)],
    7: [*(f"QE@{t}" for t in ("ME", "EC", "MC")), *(f"QE@{t}" for t in TIERS)],
}
"""Strategies of each figure."""


def values(figure: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Seconds of each subject and strategy of a figure: of the instance, and the reconstructed median."""
    model, medians = signs.latencies(), read("medians")["medians"]
    return {s: {t: (model[s][t], medians[s][t]) for t in FIGURES[figure]} for s in SUBJECTS}


def draw(figure: int, ax: Any = None) -> Any:
    """One figure: a group of bars for each subject, a mark where the reconstructed median is."""
    found = values(figure)
    names = FIGURES[figure]
    ax = axes_for(ax, 1.6 + 0.28 * len(names) * len(SUBJECTS) / 2 + 3, 3.6)
    width = 0.8 / len(names)
    for k, name in enumerate(names):
        at = [j + (k - (len(names) - 1) / 2) * width for j in range(len(SUBJECTS))]
        color, shade = SEQUENCE[k % len(SEQUENCE)], 1.0 - 0.35 * (k // len(SEQUENCE))
        ax.bar(at, [found[s][name][0] for s in SUBJECTS], width * 0.9, color=color, alpha=shade, label=name)
        ax.plot(at, [found[s][name][1] for s in SUBJECTS], linestyle="none", marker="_", color=INK, markersize=6)
    ax.set_xticks(range(len(SUBJECTS)), SUBJECTS)
    ax.set_yscale("log")
    ax.set_ylabel("latency [s]; mark: reconstructed median")
    ax.legend(frameon=False, fontsize=7, ncol=2, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def main(arguments: list[str] | None = None) -> int:
    """Draw a figure into a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("figure", type=int, choices=sorted(FIGURES))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    if not options.out.resolve().parent.is_dir():
        parser.error(f"--out {options.out}: no such folder")
    try:
        save_figure(draw(options.figure), options.out, field="--out", dots=120)
    except InputError as reason:
        parser.error(str(reason))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How well the estimators forecast curves of architectures and of widths that they have not seen.

    python instances/jqodi/study/estimators.py [--curves curves.json] [--out estimators.json]

Each curve is left out with all curves of its architecture, or of its width; the rest are the history. An estimator
sees its first 3, 5 or 8 epochs and says what the loss is at the last one, how much update and training change it from
there on in sum, and at which epoch it meets L_max: the loss of the full-precision curve of the same network and data
after epochs 6, 10 and 14, so that no limit is made of the curve itself. K beyond the last epoch is "not within". Gamma
is asked for before anything is quantized.

Errors are medians of |log(forecast / true)| for the loss and of |forecast - true| over L_a for gamma and the sums of
changes, and the mean of |epochs| for K, where "not within" counts as one more than the last epoch. Coverage is of
central intervals, with Clopper and Pearson's 95 % interval as if curves were independent; runs of one network, width
and data are alike, so the truth is somewhat wider.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qopt.core.files import write_text
from qopt.core.scripts import exit_code
from qopt.jqodi.estimators.curves import Curve, read_curves
from qopt.jqodi.estimators.estimator import LEAST, Estimator
from qopt.jqodi.estimators.registry import ESTIMATORS
from qopt.measuring.losses import binomial_end

HERE = Path(__file__).resolve().parent
SEEN = (3, 5, 8)
LEVELS = (0.5, 0.8, 0.95)
LIMITS = (6, 10, 14)
"""Epochs of the full-precision curve whose losses are limits."""

DRAWS = 400
FULL = 32

Floats = NDArray[np.float64]
Score = tuple[float, tuple[bool, ...]]


def folds(curves: Sequence[Curve]) -> Iterator[tuple[str, list[Curve], list[Curve]]]:
    """What is left out, the curves left out, and the history."""
    for kind, of in (("architecture", lambda c: c.model), ("width", lambda c: c.bits)):
        for value in sorted({of(curve) for curve in curves}):
            yield (
                kind,
                [curve for curve in curves if of(curve) == value],
                [curve for curve in curves if of(curve) != value],
            )


def covered(draws: Floats, true: float) -> tuple[bool, ...]:
    """Whether the central intervals of the levels hold a number, which may be infinite as draws may be."""
    tails = [(1 - level) / 2 for level in LEVELS]
    ends = [np.quantile(draws, [tail, 1 - tail], method="closest_observation") for tail in tails]
    return tuple(bool(low <= true <= high) for low, high in ends)


def scored(forecaster: Estimator, curve: Curve, seen: int, history: list[Curve], limits: list[float]) -> dict[str, Any]:
    """Errors and coverage of one forecast: loss, run, update and K."""
    last = curve.epochs
    found = forecaster.forecast(curve.first(seen), last, history, draws=DRAWS)
    scores: dict[str, list[Score]] = defaultdict(list)
    final = found.trained[:, -1]
    error = abs(math.log(max(float(np.median(final)), LEAST) / max(curve.trained[-1], LEAST)))
    scores["loss"].append((error, covered(final, curve.trained[-1])))
    for name in ("run", "update"):
        draws, true = getattr(found, name)[:, seen:].sum(axis=1), float(getattr(curve, name)[seen:].sum())
        scores[name].append((abs(float(np.median(draws)) - true) / curve.loss, covered(draws, true)))
    for limit in limits:
        true = float(curve.epochs_to(limit) or math.inf)
        if true <= seen:
            continue
        draws = found.first_epochs(limit)
        middle = float(np.quantile(draws, 0.5, method="inverted_cdf"))
        scores["K"].append((abs(min(middle, last + 1.0) - min(true, last + 1.0)), covered(draws, true)))
    return scores


def evaluated(curves: Sequence[Curve]) -> dict[tuple[str, int, str, str], list[Score]]:
    """Scores by what was left out, epochs seen, quantity and estimator; gamma has seen 0."""
    full: dict[tuple[str, str], list[Curve]] = defaultdict(list)
    for curve in curves:
        if curve.bits == FULL:
            full[curve.model, curve.data].append(curve)
    found: dict[tuple[str, int, str, str], list[Score]] = defaultdict(list)
    for kind, left_out, history in folds(curves):
        print(f"left out: {kind} of {left_out[0].model} at {left_out[0].bits} bits", flush=True)
        for name, made in ESTIMATORS.items():
            for curve in left_out:
                gamma = made().gamma(curve, history, draws=DRAWS)
                error = abs(float(np.median(gamma)) - curve.gamma) / curve.loss
                found[kind, 0, "gamma", name].append((error, covered(gamma, curve.gamma)))
                like = full[curve.model, curve.data]
                limits = [float(np.median([c.trained[k - 1] for c in like])) for k in LIMITS if k <= curve.epochs]
                for seen in SEEN:
                    for quantity, scores in scored(made(), curve, seen, history, limits).items():
                        found[kind, seen, quantity, name] += scores
    return found


def row(key: tuple[str, int, str, str], scores: list[Score]) -> dict[str, Any]:
    """Median error and coverage of one cell, with intervals."""
    n, held = len(scores), np.array([s[1] for s in scores]).sum(axis=0)
    kind, seen, quantity, name = key
    found: dict[str, Any] = {"left_out": kind, "seen": seen, "of": quantity, "estimator": name, "n": n}
    errors = [s[0] for s in scores]
    found["error"] = float(f"{np.mean(errors) if quantity == 'K' else np.median(errors):.4g}")
    for level, count in zip(LEVELS, held.tolist(), strict=True):
        low, high = 1.0 - float(binomial_end(n - count, n, 0.95)), float(binomial_end(count, n, 0.95))
        found[f"{100 * level:g} %"] = [round(count / n, 3), round(low, 3), round(high, 3)]
    return found


@exit_code
def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--curves", type=Path, default=HERE / "curves.json")
    parser.add_argument("--out", type=Path, default=HERE / "estimators.json")
    options = parser.parse_args(arguments)
    rows = [row(key, scores) for key, scores in sorted(evaluated(read_curves(options.curves)).items())]
    lines = ",\n".join(json.dumps(entry) for entry in rows)
    write_text(options.out, f"[\n{lines}\n]\n")
    print(table(rows))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text, for reading."""
    lines = [f"{'left out':13}{'seen':>4}  {'of':7}{'estimator':10}{'n':>5}{'error':>9}" + "".join(
        f"{f'{100 * level:g} %':>20}" for level in LEVELS
    )]  # fmt: skip
    for entry in rows:
        ends = "".join(
            f"{f'{share:.2f} ({low:.2f}-{high:.2f})':>20}"
            for share, low, high in (entry[f"{100 * level:g} %"] for level in LEVELS)
        )
        lines.append(f"{entry['left_out']:13}{entry['seen']:4}  {entry['of']:7}{entry['estimator']:10}{entry['n']:5}"
                     f"{entry['error']:9.3g}{ends}")  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

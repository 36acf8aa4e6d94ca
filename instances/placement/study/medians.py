"""The 72 medians behind the study's words: writes medians.json.

    python instances/placement/study/medians.py

The study prints ten medians and, for the rest, ratios, ranges of ratios and means of ratios. Together they
determine the median of every subject and strategy: this script finds the medians that contradict the statements
least (least squares over log figures, each divided by the relative step of its last digit, large residuals counted
by their size and not by their square). Statements with an erratum take no part unless the error is one of wording
(`read_as`).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from data import HERE, SUBJECTS, implied, latencies, stated, strategies, within
from scipy.optimize import least_squares

from qopt.core.files import write_text

STARTS = 48
STEP = 0.005  # half of the last printed digit, and figures are cut off as often as rounded


def main() -> None:
    """Solve from several seeded starts and write the best."""
    names = strategies()
    place = {(u, t): i for i, (u, t) in enumerate((u, t) for u in SUBJECTS for t in names)}
    rows = [row for s in latencies() if "erratum" not in s or "read_as" in s for row in _rows(s, place)]

    def residuals(x: np.ndarray) -> np.ndarray:
        return np.array([(_figure(x, *row[:3]) - row[3]) / row[4] for row in rows])

    def jacobian(x: np.ndarray) -> np.ndarray:
        out = np.zeros((len(rows), len(x)))
        for r, row in enumerate(rows):
            for column, slope in _slopes(x, *row[:3]):
                out[r, column] += slope / row[4]
        return out

    rng, best = np.random.default_rng(0), None
    for _ in range(STARTS):
        found = least_squares(residuals, _start(place, rng), jac=jacobian, loss="soft_l1", max_nfev=400)
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    values = {u: {t: round(float(np.exp(best.x[place[u, t]])), 3) for t in names} for u in SUBJECTS}
    slopes = jacobian(best.x)
    spread = float(np.sqrt(np.linalg.inv(slopes.T @ slopes).diagonal().max()))
    report(values, spread)


def report(medians: dict[str, dict[str, float]], spread: float) -> None:
    """Print statements that the medians miss, and write the file."""
    missed = []
    for s in latencies():
        found = implied(s, medians)
        missed += [(s["id"], name, v, round(found[name], 3)) for name, v in stated(s) if not within(v, found[name])]
    figures = sum(len(stated(s)) for s in latencies())
    print(f"{figures} printed figures, {figures - len(missed)} met")
    print(f"largest relative standard deviation of a median: {spread:.4f}")
    for line in missed:
        print(*line)
    head = "Medians [s] that medians.py reconstructs from the statements; the study prints those of quantity median."
    lines = [f"    {json.dumps(u)}: {json.dumps(medians[u])}" for u in SUBJECTS]
    text = "{\n" + f'  "note": {json.dumps(head)},\n  "medians": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
    write_text(HERE / "medians.json", text)


def _rows(
    statement: dict[str, Any], place: dict[tuple[str, str], int]
) -> list[tuple[str, list[int], list[int] | None, float, float]]:
    """What one statement asks: kind, columns above, columns below, log of the figure, its relative step."""
    of = [place[u, statement["of"]] for u in statement["subjects"]]
    over = [place[u, statement["over"]] for u in statement["subjects"]] if "over" in statement else None
    kind = statement["quantity"] if statement["quantity"] != "ratio" else ""
    return [(kind or name, of, over, float(np.log(v)), STEP / v) for name, v in stated(statement)]


def _figure(x: np.ndarray, kind: str, of: list[int], over: list[int] | None) -> float:
    """Log of a statement's figure at log medians x."""
    if over is None:
        return float(x[of[0]])
    if kind == "difference":
        return float(np.log(max(np.exp(x[of[0]]) - np.exp(x[over[0]]), 1e-3)))
    ratios = x[of] - x[over]
    if kind == "mean":
        return float(np.log(np.mean(np.exp(ratios))))
    return float({"value": ratios[0], "smallest": ratios.min(), "largest": ratios.max()}[kind])


def _slopes(x: np.ndarray, kind: str, of: list[int], over: list[int] | None) -> list[tuple[int, float]]:
    """Derivatives of `_figure`: column, slope."""
    if over is None:
        return [(of[0], 1.0)]
    if kind == "difference":
        a, b = np.exp(x[of[0]]), np.exp(x[over[0]])
        gap = max(a - b, 1e-3)
        return [(of[0], a / gap), (over[0], -b / gap)]
    ratios = x[of] - x[over]
    if kind == "mean":
        share = np.exp(ratios) / np.exp(ratios).sum()
        return [(c, s) for c, s in zip(of, share, strict=True)] + [(c, -s) for c, s in zip(over, share, strict=True)]
    k = {"value": 0, "smallest": int(ratios.argmin()), "largest": int(ratios.argmax())}[kind]
    return [(of[k], 1.0), (over[k], -1.0)]


def _start(place: dict[tuple[str, str], int], rng: np.random.Generator) -> np.ndarray:
    """Rough medians: what is printed, other operators somewhat faster, halves by what their tensor takes to send."""
    whole = {"M": (9, 6, 27, 45), "E": (5.6, 4, 12, 24), "C": (17.6, 17.6, 3.8, 29)}
    x = np.zeros(len(place))
    for (subject, strategy), i in place.items():
        operator, tiers = strategy.split("@")
        k = SUBJECTS.index(subject)
        if len(tiers) == 1:
            value = whole[tiers][k] * (1.0 if operator == "I" or tiers == "C" else rng.uniform(0.5, 1.1))
        else:
            sending = 0.0 if tiers == "ME" else (9, 9, 220, 600)[k]
            value = whole["E"][k] * rng.uniform(0.8, 1.8) + sending * rng.uniform(0.9, 1.2)
        x[i] = np.log(value)
    return x


if __name__ == "__main__":
    main()

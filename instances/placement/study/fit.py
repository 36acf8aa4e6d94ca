"""Fits the model's times to the study's medians: writes fit.json.

    python instances/placement/study/fit.py

Least squares on log latencies over all subjects at once, 72 medians (medians.json). Unknown: for each subject the
time T of the whole network for four operators on three tiers, the median picture's size and the part b of T that
goes with weights; for all subjects together the overhead of each link, which holds base64 and whatever else grows
with the bits sent (packet headers, encoding and decoding). Bounds: times no shorter than the processors' peak speed
allows, pictures within the range printed, overheads of at least base64's 4/3.

The twelve medians of whole models on one tier fix the twelve times; the six medians of halves on two tiers are what
tests the model, with b and the overheads left to meet them. A second fit with both overheads at 4/3 shows what the
overheads are worth.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import shapes
from data import HERE, SUBJECTS, read, strategies
from model import MEBI, OPERATORS, TIERS, Parameters, latency, skipped, split
from scipy.optimize import least_squares

from qopt.core.files import write_text

PEAK = {"M": 38.4e9, "E": 76.8e9, "C": 9.75e12}
"""MACs per second: cores x 2.4 GHz x 4 (128-bit vectors, multiply and add), and 19.5 TFLOP/s of the accelerator."""

QUANTIZED_GAIN = 4.0
"""How much faster 8-bit arithmetic may be at best."""

BASE64 = 4 / 3
LARGEST_OVERHEAD = 8.0
SLOWEST = 100.0
IDENTIFIED = 0.2
"""Largest relative standard error of a parameter that counts as identified."""

KEYS = [(operator, tier) for operator in OPERATORS for tier in TIERS]
COUNT = len(KEYS) + 2  # times, picture, b


def main() -> None:
    """Fit twice, print residuals and what is identified, write the first fit."""
    print("Overheads fitted:")
    data, misfit = fit(fixed=False)
    tell(data)
    print("\nBoth overheads 4/3:")
    nominal, nominal_misfit = fit(fixed=True)
    tell(nominal)
    data["nominal"] = nominal["rms"]
    print(f"\nroot mean square of log residuals: {misfit:.4f}; with overheads of 4/3: {nominal_misfit:.4f}")
    write_text(HERE / "fit.json", json.dumps(data, indent=1) + "\n")


def unpack(x: np.ndarray) -> dict[str, Parameters]:
    """Parameters of every subject from the vector: two log overheads, then log times, log picture and b of each."""
    found = {}
    overheads = float(np.exp(x[0])), float(np.exp(x[1]))
    for k, subject in enumerate(SUBJECTS):
        part = x[2 + k * COUNT : 2 + (k + 1) * COUNT]
        times = {key: float(np.exp(v)) for key, v in zip(KEYS, part, strict=False)}
        found[subject] = Parameters(times, float(np.exp(part[-2])), float(part[-1]), overheads)
    return found


def fit(fixed: bool) -> tuple[dict[str, Any], float]:
    """Solve; the answer as plain data, and the root mean square of log residuals."""
    medians = read("medians")["medians"]
    halves = {s: {operator: split(s, operator) for operator in ("I", "QE")} for s in SUBJECTS}

    def residuals(x: np.ndarray) -> np.ndarray:
        found = unpack(x)
        return np.array(
            [np.log(latency(t, halves[s], found[s]) / medians[s][t]) for s in SUBJECTS for t in strategies()]
        )

    start, low, high = _bounds(medians, fixed)
    solved = least_squares(
        residuals, np.clip(start, low, high), bounds=(low, high), max_nfev=1000, xtol=1e-12, ftol=1e-12
    )
    free = (solved.x > low + 1e-6) & (solved.x < high - 1e-6)
    degrees = len(solved.fun) - int(free.sum())
    slopes = np.asarray(solved.jac)[:, free]
    spread = np.linalg.pinv(slopes.T @ slopes).diagonal() * 2 * solved.cost / degrees
    errors = np.full(len(solved.x), np.nan)  # at a bound: no error, and not identified
    errors[free] = np.sqrt(spread)
    found, columns = unpack(solved.x), residuals(solved.x).reshape(len(SUBJECTS), -1)
    subjects = {}
    for k, subject in enumerate(SUBJECTS):
        p, e = found[subject], errors[2 + k * COUNT : 2 + (k + 1) * COUNT]
        subjects[subject] = {
            "times": {f"{o}@{t}": round(v, 4) for (o, t), v in p.times.items()},
            "speeds_GMAC": {f"{o}@{t}": round(work(subject, o) / v / 1e9, 2) for (o, t), v in p.times.items()},
            "errors": {f"{o}@{t}": _or_none(v) for (o, t), v in zip(KEYS, e, strict=False)},
            "picture_Mbit": round(p.picture, 4),
            "picture_error": _or_none(e[-2]),
            "weights_part": round(p.weighty, 4),
            "weights_part_error": _or_none(e[-1]),
            "residuals": {t: round(float(v), 4) for t, v in zip(strategies(), columns[k], strict=True)},
        }
    rms = float(np.sqrt(np.mean(solved.fun**2)))
    overheads = [round(float(v), 4) for v in np.exp(solved.x[:2])]
    return {"overheads": overheads, "rms": round(rms, 4), "free": int(free.sum()), "subjects": subjects}, rms


def work(subject: str, operator: str) -> float:
    """MACs of the operations that an operator keeps."""
    net, out = shapes.build(subject), skipped(operator)
    return sum(w for name, w in zip(net.operations, net.work, strict=True) if name not in out)


def _bounds(medians: dict[str, dict[str, float]], fixed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, lower and upper end of every parameter."""
    widest = BASE64 * 1.000001 if fixed else LARGEST_OVERHEAD
    start = [float(np.log(BASE64 * 1.05))] * 2
    low, high = [float(np.log(BASE64))] * 2, [float(np.log(widest))] * 2
    for entry in read("subjects")["subjects"]:
        subject = entry["name"]
        for operator, tier in KEYS:
            gain = QUANTIZED_GAIN if "Q" in operator else 1.0
            start.append(float(np.log(medians[subject][f"{operator}@{tier}"] * (0.1 if tier == "C" else 0.95))))
            low.append(float(np.log(work(subject, operator) / PEAK[tier] / gain)))
            high.append(float(np.log(SLOWEST)))
        a, b = (float(np.log(v * MEBI)) for v in entry["input_Mb"])
        sent = medians[subject]["I@C"] * 0.9 / BASE64
        start += [min(max(float(np.log(sent)), a), b), 0.5]
        low += [a, 0.0]
        high += [b, 1.0]
    return np.array(start), np.array(low), np.array(high)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def tell(data: dict[str, Any]) -> None:
    """Print overheads, residuals of the split strategies, and which parameters are not identified."""
    print(f"overheads {data['overheads']}, rms {data['rms']}, {data['free']} parameters off their bounds")
    for subject, part in data["subjects"].items():
        worst = {t: v for t, v in part["residuals"].items() if abs(v) > 0.01}
        errors = {**part["errors"], "picture": part["picture_error"], "b": part["weights_part_error"]}
        loose = [name for name, e in errors.items() if e is None or e > IDENTIFIED]
        print(f"{subject}: picture {part['picture_Mbit']} Mbit, b {part['weights_part']}, not identified: {loose}")
        print(f"  residuals above 1%: {worst}")


if __name__ == "__main__":
    main()

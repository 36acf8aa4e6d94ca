"""Runs in changing worlds: deciding once beside deciding again, by estimate and method, beside clairvoyance.

`python benchmarks/changing.py [--runs 200] [--seed 1] [--out benchmarks/changing.md]`; some minutes on one core.

Problems are drawn (`qopt.generate.jqodi`): three servers, three cuts, two bit-widths, losses given, nominal conditions.
Each run draws a world (`qopt.jqodi.worlds`): the loss falls faster or slower than forecast, by a factor of the model
and one of each epoch, rates and speeds drift, servers leave and come back. Ten problems, equally many worlds each; all
decisions see the same worlds. The chances of K that `chance` asks for come from 2000 other draws of the same law.

A run misses if its loss is not reached within T_max. Regret is its energy less that of the plan which knows the world,
in percent, over the runs that are in time and whose world has a plan. Intervals are of 95 %: Clopper and Pearson's for
misses, and for means the percentiles of 2000 bootstraps over runs.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv

import qopt
from qopt.core.files import write_whole
from qopt.jqodi.drawing import chances, drawn_epochs
from qopt.jqodi.parts import Inference
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.simulation import Decide, Run, follow

OUT = Path(__file__).with_suffix(".md")
PROBLEMS, EPOCHS, HORIZON, DRAWS = 10, 10, 30, 2000
CONFIDENCE = 0.9
"""Promised where the estimate is a chance."""

ERRORS = {"model_error": 0.1, "epoch_error": 0.15}
LAW = {**ERRORS, "drift": 0.2, "leaves": 0.05, "returns": 0.5}
"""Of worlds."""


class Way(NamedTuple):
    """A way to decide."""

    name: str
    estimate: str
    method: str
    decide: Decide


WAYS = (
    Way("expected, once", "expected", "auto", "once"),
    Way("expected, again", "expected", "auto", "again"),
    Way("robust, once", "robust", "auto", "once"),
    Way("robust, again", "robust", "auto", "again"),
    Way(f"chance {CONFIDENCE:g} of K, once", "chance", "auto", "once"),
    Way("the paper's score, once", "robust", "jqodi-paper", "once"),
    Way("the paper's score, again", "robust", "jqodi-paper", "again"),
)


def problem(seed: int, mode: str) -> Jqodi:
    """One problem."""
    return qopt.generate.jqodi(
        EPOCHS,
        seed=seed,
        mode=mode,
        servers=3,
        cuts=3,
        models=1,
        losses=True,
        conditions=False,
        tightness=0.6,
    )


def asked(base: Jqodi, way: Way, seed: int) -> Jqodi:
    """What a way decides on: T_max leaves room for the robust estimate."""
    if way.estimate != "chance":
        return base.replace({"estimate": way.estimate})
    changes: dict[str, object] = {"estimate": "chance", "confidence": CONFIDENCE}
    for m, model in enumerate(base.models):
        for w, width in enumerate(model.widths):
            expected = model.epochs(width)[0]
            needed = drawn_epochs(base, model.name, width.bits, DRAWS, seed=seed, epochs=HORIZON, **ERRORS)
            changes[f"models[{m}].widths[{w}].loss"] = None
            changes[f"models[{m}].widths[{w}].epochs"] = {"expected": expected, "chances": chances(needed)}
    return base.replace(changes)


def roomy(base: Jqodi) -> Jqodi:
    """T_max is 1.15 times what the robust estimate takes at the least, or what it was if that is more."""
    least = qopt.jqodi.smallest_limits(base.replace({"estimate": "robust"})).time_limit
    assert least is not None
    return base.replace({"time_limit": max(base.time_limit, 1.15 * least), "inference": Inference()})


class Rows(NamedTuple):
    """Runs of one way beside clairvoyance."""

    runs: list[Run | None]
    clairvoyant: list[float]
    seconds: float


def simulate(count: int, seed: int, mode: str, tell: Callable[[str], None]) -> dict[str, Rows]:
    """All ways in the same worlds.

    Parameters
    ----------
    count : worlds in all.
    seed : of the worlds.
    mode : of the problems.
    tell : what a line of progress is handed to.
    """
    found: dict[str, Rows] = {way.name: Rows([], [], 0.0) for way in WAYS}
    each = -(-count // PROBLEMS)
    for number in range(PROBLEMS):
        base = roomy(problem(number, mode))
        some = qopt.jqodi.worlds(base, each, seed=seed * 1000 + number, epochs=HORIZON, **LAW)
        known = [qopt.solve(world.replace({"time_limit": base.time_limit})) for world in some]
        best = [float("inf") if one.plan is None else float(one.objective or 0.0) for one in known]
        for way in WAYS:
            begun = time.perf_counter()
            forecast = asked(base, way, seed * 1000 + 500 + number)
            runs = [follow(forecast, world, decide=way.decide, method=way.method) for world in some]
            spent = found[way.name].seconds + time.perf_counter() - begun
            found[way.name] = Rows(found[way.name].runs + runs, found[way.name].clairvoyant + best, spent)
        tell(f"{mode}: problem {number + 1} of {PROBLEMS}")
    return found


def share(count: int, of: int) -> str:
    """A share in percent, with Clopper and Pearson's interval."""
    low = 0.0 if count == 0 else float(betaincinv(count, of - count + 1.0, 0.025))
    high = 1.0 if count == of else float(betaincinv(count + 1.0, of - count, 0.975))
    return f"{count / of:.1%} [{low:.1%}, {high:.1%}]"


def mean(values: Sequence[float], unit: str = "") -> str:
    """A mean with the interval of a bootstrap."""
    if not values:
        return "none"
    rng = np.random.default_rng(0)
    sample = np.asarray(values)
    means = sample[rng.integers(len(sample), size=(2000, len(sample)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{sample.mean():.4g}{unit} [{low:.4g}, {high:.4g}]"


def table(found: dict[str, Rows]) -> list[str]:
    """Lines of a table, a row a way."""
    lines = [
        "| decided by | missed | energy, J | regret, % of clairvoyance | problems solved a run |",
        "|---|---|---|---|---|",
    ]
    known = next(iter(found.values())).clairvoyant
    possible = [energy for energy in known if energy < float("inf")]
    missed = share(len(known) - len(possible), len(known))
    lines.append(f"| clairvoyance | {missed} | {mean(possible)} | 0 | 1 |")
    for name, rows in found.items():
        runs = [(run, best) for run, best in zip(rows.runs, rows.clairvoyant, strict=True)]
        missed = sum(run is None or not run.in_time for run, _ in runs)
        there = [run for run, _ in runs if run is not None]
        regret = [
            100.0 * (run.energy / best - 1.0) for run, best in runs if run and run.in_time and best < float("inf")
        ]
        solved = sum(run.solved for run in there) / max(len(there), 1)
        energy = mean([run.energy for run in there])
        lines.append(f"| {name} | {share(missed, len(runs))} | {energy} | {mean(regret)} | {solved:.1f} |")
    return lines


def main() -> None:
    """Run, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--modes", default="schedule,choice")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    parts = ["# Runs in changing worlds", "", *(__doc__ or "").split("\n")[4:]]
    for mode in options.modes.split(","):
        begun = time.perf_counter()
        found = simulate(options.runs, options.seed, mode, print)
        parts += [f"## Mode {mode}, {len(next(iter(found.values())).runs)} runs", "", *table(found), ""]
        print("\n".join(table(found)), f"\n{time.perf_counter() - begun:.0f} s")
    law = ", ".join(f"{name} {value:g}" for name, value in LAW.items())
    parts += [f"Worlds: {law}. T_max is at least 1.15 times what the robust estimate needs, nominal conditions.", ""]
    parts += [
        f"qopt {qopt.__version__}, {platform.machine()}, Python {platform.python_version()}; seed {options.seed}.",
        "",
    ]
    write_whole(options.out, lambda file: file.write("\n".join(parts).encode()))


if __name__ == "__main__":
    main()

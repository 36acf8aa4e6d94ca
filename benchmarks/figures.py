"""Measures what qopt claims of itself, as one table.

    python benchmarks/figures.py            # everything, some minutes
    python benchmarks/figures.py --quick    # the same on small samples, a few seconds

Nothing is asserted: a figure is what was measured, and the column beside it what is asked of it. Times are
medians over repeated runs, in this process unless said otherwise.
"""

from __future__ import annotations

import argparse
import itertools
import math
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

import qopt
from qopt.core.method import Options, named
from qopt.core.solution import Outcome
from qopt.kernels import mckp, waterfill
from qopt.qpart.certificate.certify import certify
from qopt.qpart.costs import breakdown
from qopt.qpart.generate import qpart
from qopt.qpart.methods import registry
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import subproblems

EXACT = (("mckp", None), ("highs-mip", None), *(("pyomo", f) for f in ("one-hot", "aggregated", "big-m", "hull")))


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    convex: int = 200
    small: int = 500
    repeats: int = 21
    imports: int = 11
    layers: int = 100_000
    bundled_repeats: int = 5
    bundled: tuple[str, ...] | None = None
    kernel_repeats: int = 7
    largest_kernel: int = 1000
    scs: int = 20


QUICK = Sizes(
    convex=4,
    small=12,
    repeats=3,
    imports=1,
    layers=5_000,
    bundled_repeats=1,
    bundled=("qpart/teaching-3",),
    kernel_repeats=1,
    largest_kernel=50,
    scs=1,
)

Row = tuple[str, str, str]
"""Figure, measured, asked for."""


def median_seconds(function: Callable[[], Any], repeats: int) -> float:
    """Median wall time of a call, after one call that is not counted."""
    function()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def seconds(value: float) -> str:
    """A time that people read."""
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def run(method: str, problem: QPart, **options: Any) -> Outcome:
    """A method's bare outcome, before any certificate."""
    return named(registry.METHODS, method).run(problem, Options(**options))


def objective(problem: QPart, outcome: Outcome) -> float:
    """Recomputed objective of an outcome's plan; infinite without one."""
    return math.inf if outcome.plan is None else breakdown(problem, outcome.plan).objective


# --- the convex problem -------------------------------------------------------------------------------------------


def convex_requests(number: int) -> Iterator[QPart]:
    """Random requests of 1 to 60 layers, noise by the law, scales from 1e-9 to 1e9; two in three cut at the end."""
    for seed in range(number):
        rnd = random.Random(seed)
        layers = rnd.randint(1, 60)
        yield qpart(
            layers,
            seed=seed,
            spread=rnd.choice([1.0, 2.0, 4.0]),
            tie_cut=rnd.random() < 0.2,
            branches=rnd.random() < 0.2,
            reference_bits=rnd.choice([3, 6, 10]),
            objective_scale=10.0 ** rnd.uniform(-9, 9),
            noise_scale=10.0 ** rnd.uniform(-9, 9),
            cuts=None if seed % 3 == 0 else [layers],
        )


def convex_figures(sizes: Sizes) -> Iterator[Row]:
    """The closed form beside Clarabel, Kelley's tangents and SCS."""
    requests = list(convex_requests(sizes.convex))
    own = [run("kkt", p) for p in requests]
    residuals = []
    for problem, found in zip(requests, own, strict=True):
        kkt = certify(problem, found.plan, bits="real").kkt if found.plan else None
        residuals.append(kkt.worst if kkt else 0.0)
    what = f"{sizes.convex} requests, 1-60 layers, scales 1e-9..1e9"
    yield f"kkt: worst KKT residual, {what}", f"{max(residuals):.1e}", "<= 1e-9"
    for method, solver, number in (
        ("cvxpy", "clarabel", None),
        ("highs-cuts", None, None),
        ("cvxpy", "scs", sizes.scs),
    ):
        distance, multiplier, unfinished, spent = [0.0], [0.0], 0, []
        for problem, mine in list(zip(requests, own, strict=True))[:number]:
            start = time.perf_counter()
            other = run(method, problem, solver=solver)
            spent.append(time.perf_counter() - start)
            if other.status != "optimal" or other.plan is None or mine.plan is None:
                unfinished += 1
                continue
            value = objective(problem, mine)
            distance.append(abs(objective(problem, other) - value) / abs(value))
            if mine.plan.cut == other.plan.cut and mine.plan.cut:
                a, b = mine.details["multiplier"], other.details["multiplier"]
                multiplier.append(abs(a - b) / max(a, b) if a != b else 0.0)
        name = solver or method
        beyond = sum(m > 1e-5 for m in multiplier)
        asked = "<= 1e-6" if solver != "scs" else "-"
        yield f"kkt against {name}: objective, relative, worst of {len(spent)}", f"{max(distance):.1e}", asked
        asked = "<= 1e-5" if solver != "scs" else "-"
        yield f"kkt against {name}: multiplier, relative, worst", f"{max(multiplier):.1e} ({beyond} beyond 1e-5)", asked
        yield f"{name}: not finished; median time", f"{unfinished}; {seconds(statistics.median(spent))}", "0"


# --- whole bits ---------------------------------------------------------------------------------------------------


def small_requests(number: int) -> Iterator[QPart]:
    """Requests small enough to enumerate, of every noise and every feature."""
    for seed in range(number):
        rnd = random.Random(seed)
        layers, lo = rnd.choice([1, 2, 3, 3, 4, 4]), rnd.choice([1, 1, 2])
        hi = lo + rnd.choice([1, 2, 4, 5])
        noise: Any = rnd.choice(["law", "grid", "table"])
        problem = qpart(
            layers,
            seed=seed,
            noise=noise,
            bits=(lo, hi),
            reference_bits=rnd.randint(lo, hi),
            tie_cut=rnd.random() < 0.3,
            branches=rnd.random() < 0.3,
        )
        changes: dict[str, Any] = {}
        if rnd.random() < 0.3:
            changes["device.memory"] = float(problem.network.weights.sum()) * rnd.uniform(1, 4) * lo
        if rnd.random() < 0.6:
            changes["cuts"] = sorted(rnd.sample(range(1, layers + 1), rnd.randint(1, layers)))
        yield problem.replace(changes)


def whole_figures(sizes: Sizes) -> Iterator[Row]:
    """Exact methods beside enumeration, and the chain of bounds."""
    requests = list(small_requests(sizes.small))
    truth = [run("brute-force", p) for p in requests]
    best = [objective(p, t) for p, t in zip(requests, truth, strict=True)]
    infeasible = sum(math.isinf(b) for b in best)
    asked = f"{sizes.small} of {sizes.small}"
    yield "small requests by brute force: feasible, infeasible", f"{sizes.small - infeasible}, {infeasible}", "-"
    for method, form in EXACT:
        agree = proved = 0
        for problem, known, value in zip(requests, truth, best, strict=True):
            found = run(method, problem, formulation=form)
            mine = objective(problem, found)
            agree += found.status == known.status and (mine == value or abs(mine - value) <= 1e-9 * abs(value))
            if method == "mckp":
                certificate = certify(problem, found.plan, found.witness, bits="whole", labels=0)
                proved += found.witness is not None and (certificate.proved or certificate.infeasible)
        yield (
            f"{method}{f' ({form})' if form else ''}: status and optimum of brute force",
            f"{agree} of {sizes.small}",
            asked,
        )
        if method == "mckp":
            yield "mckp: witnesses written and verified, no enumeration", f"{proved} of {sizes.small}", asked
    lawful = [(p, b) for p, b in zip(requests, best, strict=True) if p.noise.model == "law" and p.device.memory is None]
    held, all_of = 0, 0
    for problem, value in lawful:
        if math.isinf(value):
            continue
        all_of += 1
        table = subproblems(problem)
        relaxed = math.inf
        for cut in problem.admissible_cuts:
            at = table.at(int(cut))
            bound = mckp.lp_bound(at.cost, at.noise, at.limit)
            relaxed = relaxed if bound is None else min(relaxed, at.base + bound)
        chain = [objective(problem, run("kkt", problem)), relaxed, value, objective(problem, run("round-up", problem))]
        held += all(a <= b * (1 + 1e-9) for a, b in itertools.pairwise(chain))
    yield "real-valued <= LP <= whole <= rounded up (law, no memory)", f"{held} of {all_of}", "always"


# --- speed --------------------------------------------------------------------------------------------------------


def closed_form_figures(sizes: Sizes) -> Iterator[Row]:
    """The closed form on a large network."""
    problem = qpart(sizes.layers, seed=0, cuts=[sizes.layers])
    at = subproblems(problem).at(sizes.layers)
    assert at.coefficient is not None
    lo, hi, c = float(problem.bits.lo), float(problem.bits.hi), at.coefficient
    kernel = median_seconds(lambda: waterfill.allocate(at.price, c, at.limit, lo, hi), sizes.repeats)
    yield f"closed form, {sizes.layers:,} layers: kernel, median of {sizes.repeats}", seconds(kernel), "<= 30 ms"
    method = median_seconds(lambda: run("kkt", problem), sizes.repeats)
    yield "the same: method kkt, columns to plan", seconds(method), "-"
    solved = qopt.solve(problem, "kkt")
    whole = median_seconds(lambda: qopt.solve(problem, "kkt"), min(sizes.repeats, 5))
    text = (
        f"{seconds(whole)} ({solved.status}, worst residual {solved.certificate.kkt.worst:.0e})"
        if solved.certificate.kkt
        else "-"
    )
    yield "the same: qopt.solve with its certificate", text, "-"


def import_seconds(module: str, runs: int) -> float:
    """Median time of an import in a new process that has numpy already."""
    code = f"import time, numpy; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    subprocess.run(command, capture_output=True, check=True)
    return statistics.median(
        float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(runs)
    )


def import_figures(sizes: Sizes) -> Iterator[Row]:
    """What importing costs."""
    yield (
        f"import qopt beyond numpy, median of {sizes.imports} processes",
        seconds(import_seconds("qopt", sizes.imports)),
        "<= 50 ms",
    )
    yield "import qopt.core.solving beyond numpy", seconds(import_seconds("qopt.core.solving", sizes.imports)), "-"


def bundled_figures(sizes: Sizes) -> Iterator[Row]:
    """Every bundled instance under every method that can solve it, 20 s at most each."""
    for name in sizes.bundled or qopt.bundled():
        problem = qopt.load(name)
        for method in registry.METHODS:
            if method.unavailable(problem):
                continue
            limit = 20.0 if "time_limit" in method.options else None
            found = qopt.solve(problem, method.name, time_limit=limit)
            spent = found.seconds
            if spent < 2:
                spent = statistics.median(
                    qopt.solve(problem, method.name, time_limit=limit).seconds for _ in range(sizes.bundled_repeats)
                )
            value = "no plan" if found.objective is None else f"{found.objective:.9g}"
            yield f"{name}, {method.name}", f"{seconds(spent)}, {found.status}, {value}", "-"


# --- the knapsack kernel ------------------------------------------------------------------------------------------


def knapsacks(family: str, n: int, k: int, seed: int) -> tuple[Any, Any, float]:
    """A random knapsack with a limit in between.

    ``law``: sizes and sensitivities log-uniform over two decades, costs size times bits, noise sensitivity times
    4^-bits, limit the noise of 6 bits everywhere. ``uncorrelated``: integer costs and weights 1..1000.
    ``weakly correlated``: weights 1..1000, costs 1000 less the weight, give or take 100; the limit of both is half
    way between the lightest and the heaviest choice.
    """
    rng = np.random.default_rng(seed)
    if family == "law":
        bits = np.arange(1, k + 1)
        size, c = 10.0 ** rng.uniform(3, 5, n), 10.0 ** rng.uniform(-1, 1, n)
        return size[:, None] * bits, c[:, None] * 4.0**-bits, float(c.sum()) * 4.0**-6
    weight = rng.integers(1, 1001, (n, k)).astype(float)
    if family == "uncorrelated":
        cost = rng.integers(1, 1001, (n, k)).astype(float)
    else:
        cost = 1000.0 - weight + rng.integers(-100, 101, (n, k)) + 101.0
    return cost, weight, float(np.rint(0.5 * (weight.min(axis=1) + weight.max(axis=1)).sum()))


def kernel_figures(sizes: Sizes) -> Iterator[Row]:
    """Median time of the knapsack kernel over seeds, its gap exactly 0 or said otherwise."""
    large = sizes.largest_kernel
    for family, n, k, asked in (
        ("law", 50, 15, "< 3 ms"),
        ("uncorrelated", 50, 15, "< 1 ms"),
        ("uncorrelated", large, 20, "< 30 ms"),
        ("weakly correlated", large, 20, "< 150 ms"),
        ("law", large, 20, "< 500 ms"),
    ):
        spent, solved, trees = [], 0, 0
        for seed in range(sizes.kernel_repeats):
            cost, weight, limit = knapsacks(family, n, k, seed)
            start = time.perf_counter()
            found = mckp.solve(cost, weight, limit, time_limit=60)
            spent.append(time.perf_counter() - start)
            solved += found.status == "optimal"
            trees += found.tree is not None
        counts = f"{solved} of {len(spent)} optimal, {trees} with a tree"
        yield (
            f"mckp.solve, {family} {n} x {k}",
            f"{seconds(statistics.median(spent))} (worst {seconds(max(spent))}; {counts})",
            asked,
        )


# --- the table ----------------------------------------------------------------------------------------------------


SECTIONS: dict[str, Callable[[Sizes], Iterator[Row]]] = {
    "convex": convex_figures,
    "whole": whole_figures,
    "closed-form": closed_form_figures,
    "import": import_figures,
    "bundled": bundled_figures,
    "kernel": kernel_figures,
}


def machine() -> str:
    """Processor, Python and the versions that figures depend on."""
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        processor = f"{names[0]}, {len(names)} logical cores"
    except (OSError, IndexError):
        pass
    packages = ("qopt", "numpy", "scipy", "highspy", "pyomo", "cvxpy", "clarabel", "scs")
    versions = []
    for package in packages:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    return f"{processor}; {platform.system()}; Python {platform.python_version()}\n{', '.join(versions)}"


def main(arguments: list[str] | None = None) -> None:
    """Print the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small samples: a smoke run")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="these sections only; repeatable")
    chosen = parser.parse_args(arguments)
    sizes = QUICK if chosen.quick else Sizes()
    print(machine() + "\n")
    print("| figure | measured | asked for |\n|---|---|---|")
    for name in chosen.only or SECTIONS:
        for row in SECTIONS[name](sizes):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()

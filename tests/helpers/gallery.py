"""Every picture of `qopt.plots`, each of something small or of something large."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import qopt
from qopt import plots
from qopt.comparison.times import Times, times
from qopt.jqodi.estimators.curves import Curve
from qopt.jqodi.estimators.forecast import Forecast

SMALL, LARGE = 5, 200
"""Layers, operations, groups or epochs."""

MNIST = Path(__file__).parents[2] / "instances" / "mnist"


@functools.cache
def request(n: int) -> Any:
    problem = qopt.generate.qpart(n, seed=1, name=f"a network of {n} layers")
    return problem if n <= 40 else problem.replace({"cuts": [*range(0, n + 1, n // 20)]})


@functools.cache
def solution(n: int) -> Any:
    return qopt.solve(request(n).replace({"cuts": [n]}))


@functools.cache
def placed(n: int) -> Any:
    return qopt.generate.placement(n, seed=1, branches=0.4)


@functools.cache
def trained(n: int) -> Any:
    return qopt.generate.jqodi(min(n, 40), seed=1, servers=3, cuts=3, losses=True, requests=10.0)


@functools.cache
def plan_of(problem: Any) -> Any:
    return qopt.solve(problem).plan


@functools.cache
def trained_plan(n: int) -> Any:
    return qopt.solve(trained(n)).plan


@functools.cache
def allocated(n: int) -> Any:
    return qopt.generate.allocation(n, seed=1)


@functools.cache
def fleet(n: int, load: float = 0.7) -> Any:
    few = n <= 40
    return qopt.generate.fleet(20 * n, seed=1, classes=2, servers=3 if few else 30, cells=3 if few else 30, load=load)


@functools.cache
def schemes(n: int) -> pd.DataFrame:
    table = qopt.schemes("qpart/table2")
    if n == SMALL:
        return table
    more = [table.assign(cut=table["cut"] + 7 * k) for k in range(n // 7)]
    return pd.concat(more, ignore_index=True)


def compared(instances: int, methods: int) -> pd.DataFrame:
    rng = np.random.default_rng(instances)
    seconds = 10.0 ** (rng.uniform(-2, 1, (instances, 1)) + rng.normal(0, 0.4, (instances, methods)))
    rows = [
        {"problem": f"family/instance-{i}", "method": f"a method, no. {m}", "bits": "whole", "status": "optimal"}
        | {"objective": 1.0, "bound": 1.0 - 0.1 * (m % 3), "gap": 0.1 * (m % 3), "seconds": float(seconds[i, m])}
        | {"verified": True, "proved": m % 3 == 0, "message": ""}
        for i in range(instances)
        for m in range(methods)
    ]
    return pd.DataFrame(rows)


def run_times(n: int) -> Times:
    return times(compared(max(n, 3), 4 if n == SMALL else 20), limit=30.0)


def traces(n: int) -> pd.DataFrame:
    points = [(0.1, np.nan, 1.0), (0.2, 5.0, 1.0), (0.4, 4.0, 2.0), (0.8, 3.0, 2.9)]
    return pd.DataFrame(
        {"instance": "x", "run": f"run number {r}", "seconds": t * (1 + r / 9), "incumbent": u, "bound": b}
        for r in range(3 if n == SMALL else 20)
        for t, u, b in points
    )


def latencies(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    names = [f"identity on tier {k}" for k in range(4 if n == SMALL else 24)]
    return pd.DataFrame({"strategy": np.repeat(names, 40), "total": 10 ** rng.normal(0.0, 0.4, 40 * len(names))})


def curve(n: int, width: int = 4, model: str = "net") -> Curve:
    fall = 0.1 + 2.0 * np.arange(1, n + 1) ** -0.7 * (1 + 1 / width)
    rising = tuple(1.0 - 0.2 * fall / fall[0])
    return Curve(model, width, 3.0, tuple(fall * 1.05), tuple(fall), tuple(fall * 1.02), accuracy=rising)


def forecast(n: int) -> Forecast:
    rng = np.random.default_rng(1)
    drawn = np.array(curve(n).trained) * np.exp(np.cumsum(rng.normal(0, 0.3 / n, (200, n)), axis=1))
    return Forecast(3.0, drawn * 1.05, drawn, n // 3, "power-law")


def measured(n: int) -> Any:
    from qopt.measuring.sensitivity import Sensitivity

    return Sensitivity.load(MNIST / f"{'mlp6' if n == SMALL else 'resnet'}-sensitivity.json")


def joint(n: int) -> Any:
    from qopt.measuring.intervals import Estimate
    from qopt.measuring.plans import Widths
    from qopt.measuring.truth import JointPlan

    rng = np.random.default_rng(1)
    natural = measured(n).natural.value
    levels = len(measured(n).levels)

    def of(value: float) -> Estimate:
        return Estimate(value, 0.8 * value, 1.3 * value)

    return [
        JointPlan(Widths((int(w),), (4,)), of(s * f), s, of(0.02 * s * f / natural), (float(s),) * levels)
        for w, s, f in zip(
            rng.integers(1, 8, n), natural * 10 ** rng.normal(0, 1, n), rng.lognormal(0, 0.3, n), strict=True
        )
    ]


def stopped_front(n: int) -> Any:
    found = qopt.front(request(n).replace({"cuts": [n]}), low=0.5, high=2.0, time_limit=2.0)
    xs, ys = found.curve("noise", "objective")
    below = tuple((x, 0.98 * y) for x, y in zip(xs[::3], ys[::3], strict=True))
    return replace(found, bounds=below)


def drawings(n: int) -> dict[str, Callable[[], Any]]:
    """What draws each picture, by the name of its function; nothing is solved before it is called."""
    loads = [0.5, 0.8, 1.2, 2.0]

    def shares() -> Any:
        fleets = [fleet(n, load) for load in loads]
        return plots.plot_options(fleets, [qopt.solve(f, "greedy").plan for f in fleets], loads)

    def cost_of_cuts() -> Any:
        return plots.plot_cuts("jqodi/data1", qopt.solve("jqodi/data1").plan)

    def losses() -> Any:
        plan = trained_plan(n)
        return plots.plot_losses(trained(n), {"best": plan}, [curve(len(plan.cuts), plan.bits, plan.model)])

    def fading() -> Any:
        table = qopt.offline([request(n)])
        return plots.plot_fading(qopt.decide(table, qopt.Requests.of({"channel.rate": 10 ** np.linspace(3, 8, 2000)})))

    def published() -> Any:
        rates = np.geomspace(2e5, 2e6, min(n, 12))
        return plots.plot_published([qopt.load("qpart/mnist-mlp6").replace({"channel.rate": float(r)}) for r in rates])

    return {
        "plot_water_level": lambda: plots.plot_water_level(request(n), n, solution(n).plan),
        "plot_objective_by_cut": lambda: plots.plot_objective_by_cut(request(n)),
        "plot_cut_by_rate": lambda: plots.plot_cut_by_rate(request(n), [1e4, 1e5, 1e6]),
        "plot_bits": lambda: plots.plot_bits(request(n), {"optimum": solution(n), "other": solution(n).plan}),
        "plot_payload": lambda: plots.plot_payload(request(n), solution(n)),
        "plot_noise": lambda: plots.plot_noise(qopt.generate.qpart(n, seed=1, noise="table")),
        "plot_comparison": lambda: plots.plot_comparison(compared(n, 4)),
        "plot_profile": lambda: plots.plot_profile(run_times(n)),
        "plot_gaps": lambda: plots.plot_gaps(traces(n)),
        "plot_ratios": lambda: plots.plot_ratios(run_times(n), "a method, no. 0"),
        "plot_latencies": lambda: plots.plot_latencies(latencies(n)),
        "plot_breakpoints": lambda: plots.plot_breakpoints(request(n), "rate", low=1e3, high=1e8),
        "plot_fading": fading,
        "plot_published": published,
        "plot_parameter_reduction": lambda: plots.plot_parameter_reduction(request(n), solution(n).plan),
        "plot_scheme_performance": lambda: plots.plot_scheme_performance(schemes(n)),
        "plot_size_by_level": lambda: plots.plot_size_by_level("qpart/mnist-mlp6"),
        "plot_scheme_objective": lambda: plots.plot_scheme_objective(schemes(n)),
        "plot_scheme_energy": lambda: plots.plot_scheme_energy(schemes(n)),
        "plot_scheme_time": lambda: plots.plot_scheme_time(schemes(n)),
        "plot_scheme_payload": lambda: plots.plot_scheme_payload(schemes(n)),
        "plot_placement": lambda: plots.plot_placement(placed(n), qopt.solve(placed(n)).plan),
        "plot_break_even": lambda: plots.plot_break_even(placed(n), "links[0].rate"),
        "plot_front": lambda: plots.plot_front(placed(n)),
        "plot_diagram": lambda: plots.plot_diagram("jqodi/fig5", qopt.solve("jqodi/fig5").plan),
        "plot_energy_time": lambda: plots.plot_energy_time(trained(min(n, 12)), trained_plan(min(n, 12))),
        "plot_breakdown": lambda: plots.plot_breakdown(trained(n), {"best": trained_plan(n), "again": trained_plan(n)}),
        "plot_losses": losses,
        "plot_cuts": cost_of_cuts,
        "plot_inference": lambda: plots.plot_inference("jqodi/data1", {"best": qopt.solve("jqodi/data1").plan}),
        "plot_accuracy": lambda: plots.plot_accuracy({f"net at {w} bits": curve(n, w) for w in (2, 4, 8)}),
        "plot_forecast": lambda: plots.plot_forecast(curve(n), forecast(n), 0.3),
        "plot_sensitivity": lambda: plots.plot_sensitivity(measured(n)),
        "plot_law": lambda: plots.plot_law(measured(n)),
        "plot_additivity": lambda: plots.plot_additivity(joint(n)),
        "plot_loss": lambda: plots.plot_loss(joint(n), measured(n), measured(n).levels[0]),
        "plot_formats": lambda: plots.plot_formats(allocated(n), qopt.solve(allocated(n)).plan),
        "plot_budgets": lambda: plots.plot_budgets(allocated(n), _budgets(allocated(n)), methods=("auto", "uniform")),
        "plot_trade_off": lambda: plots.plot_trade_off(stopped_front(n)),
        "plot_capacities": lambda: plots.plot_capacities(fleet(n), qopt.solve(fleet(n), "greedy").plan),
        "plot_options": shares,
    }


def _budgets(problem: Any) -> list[float]:
    budget = next(iter(problem.resources.values())).budget
    return [budget * f for f in (0.8, 1.0, 1.3, 1.6)]

"""The bundled tables under many budgets: proved, never above a budget, equal to HiGHS, no worse than other tools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sweeps import swept

import qopt
from qopt.core.errors import InputError, MethodError

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where budgets stand between all layers at 4 bits and all at 8."""

ROWS = [("bytes",), ("bops",), ("latency",), ("bytes", "bops", "latency")]
ELEMENTS = 751_894_528
"""Weights of the language model, so that a budget is so many bits for each."""


def hawq(rows: tuple[str, ...], share: float) -> Any:
    problem = qopt.load("allocation/hawq-resnet18").with_budgets(bytes=None)
    ends = {name: problem.range_of(name) for name in rows}
    return problem.with_budgets(**{name: low + share * (high - low) for name, (low, high) in ends.items()})


@pytest.mark.parametrize("rows", ROWS, ids="+".join)
@pytest.mark.parametrize("share", swept(SHARES, lambda share: share not in (0.3, 0.5)))
def test_hawq_is_proved_and_equal_to_highs(rows: tuple[str, ...], share: float) -> None:
    problem = hawq(rows, share)
    solution = qopt.solve(problem)
    assert solution.status == "optimal"
    assert solution.method == "mckp"
    assert qopt.solve(problem, "highs-mip").objective == pytest.approx(solution.objective, rel=1e-9)
    for name in rows:
        assert solution.certificate.cost.resources[name] <= problem.resources[name].budget * (1 + 1e-12)
    for method in ("greedy", "uniform", "beam"):
        other = qopt.solve(problem, method)
        if other.plan is not None:
            assert other.certificate.feasible
            assert other.objective >= solution.objective * (1 - 1e-9)


@pytest.mark.parametrize("step", swept(range(121), lambda step: step % 40 != 5))
def test_language_model_under_every_budget(step: int) -> None:
    """2 to 8 bits a weight in steps of 0.05."""
    budget = int((2 + 0.05 * step) * ELEMENTS / 8)
    problem = qopt.load("allocation/qwen3.5-0.8b").with_budgets(bytes=budget)
    solution = qopt.solve(problem)
    assert solution.status == "optimal"
    assert solution.certificate.cost.resources["bytes"] <= budget
    greedy = qopt.solve(problem, "greedy")
    assert greedy.certificate.cost.resources["bytes"] <= budget
    assert greedy.certificate.bound == pytest.approx(solution.objective, rel=1e-8)


def pooled(device: int, host: int) -> Any:
    """The language model in two pools."""
    problem = qopt.load("allocation/qwen3.5-0.8b").with_budgets(bytes=None)
    return problem.replace({"pools": {"resource": "bytes", "budgets": {"device": device, "host": host}}})


def test_two_pools_that_differ_in_nothing_are_as_good_as_one() -> None:
    solution = qopt.solve(pooled(300_000_000, 100_000_000))
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(qopt.solve("allocation/qwen3.5-0.8b").objective, rel=1e-12)
    held = solution.certificate.cost.pools
    assert held["device"] <= 300_000_000
    assert held["host"] <= 100_000_000


@pytest.mark.sweep
def test_breakpoints_are_what_every_budget_buys() -> None:
    problem = qopt.load("allocation/hawq-resnet18").with_budgets(bytes=None)
    found = qopt.breakpoints(problem, "resources.bytes.budget")
    assert found.low, found.high == problem.range_of("bytes")
    for share in (0.0, 0.2, 0.5, 0.77, 1.0):
        budget = float(np.floor(found.low + share * (found.high - found.low)))
        solution = qopt.solve(problem.with_budgets(bytes=budget))
        piece = found.at(budget)
        assert found.objective(budget) == pytest.approx(solution.objective, rel=1e-9)
        certificate = qopt.certify(problem.with_budgets(bytes=budget), piece.plan)
        assert certificate.feasible
        assert certificate.proved
    for call, line in (
        (lambda: qopt.breakpoints(problem, "joules"), "parameter: found 'joules'"),
        (lambda: qopt.breakpoints(problem, "bytes", low=2.0, high=1.0), "low: found 2 with high 1"),
        (lambda: qopt.breakpoints(problem.with_budgets(latency=3.5), "bytes"), "problem: found a limit on latency"),
    ):
        with pytest.raises(InputError, match=line):
            call()
    with pytest.raises(MethodError, match="bytes: too many plans are best for some budget to list"):
        qopt.breakpoints("allocation/qwen3.5-0.8b", "bytes")


def test_a_time_limit_leaves_a_plan_or_says_so() -> None:
    problem = qopt.generate.allocation(200, seed=1, formats=6, resources=4, tightness=0.4)
    solution = qopt.solve(problem, time_limit=0.2)
    assert solution.status in ("optimal", "time-limit")
    assert solution.plan is None or solution.certificate.feasible


def test_pictures() -> None:
    problem = qopt.load("allocation/teaching-4")
    ax = qopt.plots.plot_formats(problem, qopt.solve(problem).plan)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["int4", "int8"]
    ax = qopt.plots.plot_budgets(problem, [60, 80, 100], methods=("auto", "uniform"))
    assert ax.get_xlabel() == "budget of bytes [B]"
    assert [line.get_label() for line in ax.get_lines()] == ["optimum", "uniform"]
    with pytest.raises(InputError, match="resource: found 'joules'"):
        qopt.plots.plot_budgets(problem, [1], resource="joules")
    with pytest.raises(InputError, match="budgets: found none"):
        qopt.plots.plot_budgets(problem, [])

"""The offline table under limits, menus, tables by width and a quantized input: each answer is that of `solve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qopt import certify, generate, solve
from qopt.core.errors import InputError, MethodError
from qopt.qpart.problem import LIMITS, QPart
from qopt.qpart.serving import fronts
from qopt.qpart.serving.breakpoints import breakpoints
from qopt.qpart.serving.decide import decide
from qopt.qpart.serving.table import Table, load_table, offline

REQUESTS = int(os.environ.get("QOPT_LIMIT_REQUESTS", "300"))
"""Requests of the sweep, a dozen a network; the figures quoted for it are of 10 000."""


def network(seed: int) -> QPart:
    """A small network with menus, tables, branches and a quantized input, as chance has it."""
    rng = np.random.default_rng(seed)
    problem = generate.qpart(
        int(rng.integers(1, 5)),
        seed=seed,
        bits=(1, 8),
        noise=str(rng.choice(["law", "table"])),  # type: ignore[arg-type]
        menu=[(2, 4, 8), (2, 3, 8), None][rng.integers(3)],
        ends=8 if rng.random() < 0.2 else None,
        tables=bool(rng.random() < 0.5),
        quantize_input=bool(rng.random() < 0.4),
        branches=bool(rng.random() < 0.3),
    )
    return problem.replace({"server.price": float(rng.choice([0.0, 1.0])), "inferences": int(rng.choice([1, 5]))})


def columns(problem: QPart, seed: int, n: int) -> dict[str, Any]:
    """Requests whose limits lie around what the unlimited optimum uses, some of them exactly there."""
    rng = np.random.default_rng(seed)
    base = solve(problem).certificate.cost
    found: dict[str, Any] = {"channel.rate": problem.channel.uplink * 10 ** rng.uniform(-1, 1, n)}
    for name in LIMITS:
        if rng.random() < 0.6:
            around = getattr(base, name) * np.where(rng.random(n) < 0.2, 1.0, 10 ** rng.uniform(-0.3, 0.5, n))
            found[f"limits.{name}"] = np.where(rng.random(n) < 0.2, np.inf, around + 1e-12 * (around == 0))
    if rng.random() < 0.5:
        found["device.memory"] = 4 * problem.network.weights.sum() * rng.uniform(0.3, 1.5, n)
    return found


def check_requests(problem: QPart, table: Table, asked: dict[str, Any]) -> None:
    """Each decision is the optimum that `solve` proves, and its plan keeps the request's limits."""
    answers, on_torch = decide(table, asked), decide(table, asked, device="cpu")
    assert np.array_equal(answers.cut, on_torch.cut)
    assert np.array_equal(answers.entry, on_torch.entry)
    for row in range(len(answers)):
        request = answers.requests.problem(row, problem)
        found, plan = solve(request), answers.plan(row)
        assert (found.plan is None) == (plan is None), (problem.source, row)
        if plan is None:
            assert found.status == "infeasible"
            continue
        assert found.certificate.proved
        assert answers.objective[row] == pytest.approx(found.objective, rel=1e-9), (problem.source, row)
        assert certify(request, plan, labels=0).feasible, (problem.source, row)


@pytest.mark.parametrize("seed", range(3))
def test_decisions_under_limits_are_optima(seed: int) -> None:
    problem = network(seed)
    check_requests(problem, offline(problem), columns(problem, seed, 4))


@pytest.mark.sweep
def test_many_decisions_under_limits_are_optima() -> None:
    for seed in range(100, 100 + REQUESTS // 12):
        problem = network(seed)
        check_requests(problem, offline(problem), columns(problem, seed, 12))


def test_a_saved_table_answers_as_before(tmp_path: Path) -> None:
    problem = generate.qpart(3, seed=5, bits=(1, 8), menu=(2, 4, 8), tables=True, quantize_input=True)
    table, asked = offline(problem), {"limits.time": [0.01, 1.0, np.inf]}
    table.save(tmp_path / "table.npz")
    again = load_table(tmp_path / "table.npz")
    assert np.array_equal(decide(table, asked).objective, decide(again, asked).objective)


def test_a_saved_plan_off_its_menu_is_refused(tmp_path: Path) -> None:
    problem = generate.qpart(2, seed=1, bits=(1, 8), menu=(2, 4, 8), cuts=[2])
    table = offline(problem)
    next(iter(table.whole.values())).widths[0] = 3
    table.save(tmp_path / "table.npz")
    with pytest.raises(InputError, match="damaged"):
        load_table(tmp_path / "table.npz")


def test_more_plans_than_a_table_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "MOST", 20)
    with pytest.raises(MethodError, match="more than 20 plans at cut"):
        offline(generate.qpart(6, seed=0, bits=(1, 8), tables=True))


def test_columns_that_tables_make_idle_are_refused() -> None:
    problem = generate.qpart(2, seed=0, bits=(1, 8), menu=(2, 8), tables=True)
    for device in (None, "cpu"):
        with pytest.raises(InputError, match=r"requests.device.clock: found a column; allowed: none: the tables"):
            decide(offline(problem), {"device.clock": [1e9]}, device=device)


def test_real_valued_tables_say_what_they_do_not_serve() -> None:
    problem = generate.qpart(2, seed=0)
    with pytest.raises(MethodError, match="menus of whole widths"):
        offline(problem.replace({"bits.menu": [2, 4]}), bits="real")
    with pytest.raises(MethodError, match=r"limits\.time is a row"):
        offline(problem.replace({"limits.time": 1.0}), bits="real")
    with pytest.raises(InputError, match="for a table of real-valued bits"):
        decide(offline(problem, bits="real"), {"limits.time": [1.0]})


def test_envelopes_under_limits() -> None:
    problem = generate.qpart(3, seed=2, bits=(1, 8), menu=(2, 4, 8), tables=True)
    payload = solve(problem).certificate.cost.payload
    limited = problem.replace({"limits.payload": 0.999 * payload})
    envelope = breakpoints(limited, "rate")
    for rate in (1e5, 1e6, 1e7):
        expected = solve(limited.replace({"channel.rate": rate})).objective
        assert envelope.objectives(np.array([rate]))[0] == pytest.approx(expected, rel=1e-9)
    with pytest.raises(InputError, match=r"limits\.time depends on it"):
        breakpoints(problem.replace({"limits.time": 1.0}), "rate")
    assert breakpoints(problem.replace({"limits.time": 1.0}), "objective.energy").feasible

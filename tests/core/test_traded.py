"""Fronts, prices and contradictions of every family, against all plans of small problems one by one."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clocks import CountingClock
from sweeps import swept
from traded import FAMILIES, Traded

import qopt
from qopt.cli.app import main
from qopt.core import contradiction, solving
from qopt.core.clock import Clock
from qopt.core.errors import InputError
from qopt.core.limited import Limit, changed, limits_of

ROUNDS = int(os.environ.get("QOPT_TRADED", "40"))
"""Random problems of each family in the sweeps."""

CHUNKS = swept([(family, chunk) for family in FAMILIES for chunk in range(10)], lambda case: case[1] > 0)


def seeds(chunk: int, of: int) -> range:
    """A tenth of the seeds; of the first tenth, which is no sweep, the second."""
    return range(1, 2) if chunk == 0 and ROUNDS == 60 else range(chunk * of // 10, (chunk + 1) * of // 10)


def tradable(traded: Traded) -> list[Limit]:
    """What a front may be against: all but what has a front of its own, and what no plan differs in."""
    return [
        limit
        for limit in limits_of(traded.problem)
        if not limit.at_least and limit.varies and limit.name != getattr(traded.problem, "minimise", "")
    ]


@pytest.mark.parametrize(("family", "chunk"), CHUNKS)
def test_fronts_hold_every_plan_that_none_beats_and_no_other(family: str, chunk: int) -> None:
    for seed in seeds(chunk, ROUNDS):
        traded = FAMILIES[family](seed)
        names = [limit.name for limit in tradable(traded)]
        against = names[seed % len(names)]
        found = qopt.front(traded.problem, against=against)
        expected = traded.front(against)
        reached = [(point.values[found.criteria[0].name], point.values[against]) for point in found]
        assert len(reached) == len(expected), (seed, against)
        np.testing.assert_allclose(
            np.array(reached).reshape(-1, 2), np.array(expected).reshape(-1, 2), rtol=1e-9, atol=1e-300
        )
        assert found.proved or not provable(traded.problem), (seed, against)
        if found.points:
            point = found.points[seed % len(found)]
            assert qopt.certify(point.solution.instance, point.plan).feasible


def provable(problem: Any) -> bool:
    """Not so where damage of pairs is limited: that is no row of the knapsack that certificates read."""
    return not getattr(problem, "interactions", ()) or problem.minimise == "damage"


def limited(traded: Traded, seed: int) -> tuple[Limit, Any]:
    """One limit at a random plan's use, and the problem with it."""
    rng = np.random.default_rng(seed)
    limit = tradable(traded)[seed % len(tradable(traded))]
    others = {name: value for name, value in traded.given().items() if name != limit.name}
    uses = traded.used[limit.name][traded.kept(others)]
    if not len(uses):
        return limit, None
    value = float(np.quantile(uses[np.isfinite(uses)], rng.uniform(0, 0.6), method="nearest"))
    return limit, changed(traded.problem, {limit.name: max(value, 1e-90)})


@pytest.mark.parametrize(("family", "chunk"), CHUNKS)
def test_prices_are_differences_of_problems_solved_again(family: str, chunk: int) -> None:
    for seed in seeds(chunk, ROUNDS * 2 // 5):
        traded = FAMILIES[family](seed)
        limit, problem = limited(traded, seed)
        if problem is None or not provable(problem):
            continue
        value = limits_of(problem)[[x.name for x in limits_of(problem)].index(limit.name)].value
        scale = 1.0
        if family == "qpart" and limit.name == "noise":  # a share of the request's own limit
            delta, old = problem.noise_limit(problem.layers), traded.problem.noise_limit(problem.layers)
            value, scale = 1.0, (delta / old if old else 1.0)
        others = {name: most for name, most in traded.given().items() if name != limit.name}
        assert value is not None
        best = traded.best({**others, limit.name: value * scale})
        said = qopt.explain(problem)
        assert said.status == "feasible", seed
        assert said.solution.objective == pytest.approx(best, rel=1e-9)
        (worth,) = [worth for worth in said.worths if worth.limit.name == limit.name]
        free = traded.best(others)
        assert worth.binds == (best - free > 1e-11 * abs(best)), (seed, limit.name)
        if not worth.binds:
            continue
        good = traded.kept(others) & (traded.objective < best - 1e-11 * abs(best))
        step = float(traded.used[limit.name][good].min())
        assert worth.proved, (seed, limit.name)
        assert worth.next_limit is not None
        assert worth.next_limit * scale == pytest.approx(step, rel=1e-9)
        after = qopt.solve(changed(problem, {limit.name: worth.next_limit}))
        assert after.objective == pytest.approx(worth.next_objective, rel=1e-12)
        assert worth.next_objective == pytest.approx(traded.best({**others, limit.name: step}), rel=1e-9)
        if worth.multiplier is not None:
            assert worth.multiplier >= 0


def planted(traded: Traded, seed: int) -> dict[str, float] | None:
    """Limits that contradict each other: one at some plan's use, another below what is least within it."""
    rng = np.random.default_rng(seed)
    names = [limit.name for limit in limits_of(traded.problem) if limit.varies]
    names = [name for name in names if name != getattr(traded.problem, "minimise", "")]
    rng.shuffle(names)
    good = np.ones(len(traded.objective), dtype=bool)
    found: dict[str, float] = {}
    for name in names[:-1] if len(names) > 1 else []:
        uses = traded.used[name][good]
        found[name] = float(np.quantile(uses[np.isfinite(uses)], rng.uniform(0.3, 1.0), method="nearest"))
        good &= traded.used[name] <= found[name]
    last = names[-1]
    least = float(traded.used[last][good].min())
    found[last] = least * 0.9 if least > 0 else least * 1.1
    return found if math.isfinite(least) and least != 0 and all(x != 0 for x in found.values()) else None


@pytest.mark.parametrize(("family", "chunk"), CHUNKS)
def test_planted_contradictions_are_minimal_and_relaxations_least(family: str, chunk: int) -> None:
    for seed in seeds(chunk, ROUNDS * 2 // 5):
        traded = FAMILIES[family](seed)
        limits = planted(traded, seed)
        if limits is None or not provable(traded.problem):
            continue
        known = {limit.name: limit for limit in limits_of(traded.problem)}
        stated = {name: -value if known[name].at_least else value for name, value in limits.items()}
        try:
            base = changed(traded.problem, dict.fromkeys(known))
            problem = changed(base, stated)
        except InputError:  # a budget so small that it is taken for one in another unit
            continue
        if family == "qpart" and "noise" in limits:
            # With its own limit taken away noise is a share of another number.
            problem = changed(traded.problem, {**dict.fromkeys(known), **stated})
        said = qopt.explain(problem)
        assert said.status == "infeasible", seed
        assert said.contradiction is not None
        assert said.contradiction.minimal
        assert said.contradiction.background is False
        names = [limit.name for limit in said.contradiction.limits]
        shares = dict(limits)
        assert not traded.kept({name: shares[name] for name in names}).any(), seed
        for name in names:  # any one removed leaves a plan
            assert traded.kept({other: shares[other] for other in names if other != name}).any(), seed
        for relaxation in said.relaxations:
            name = relaxation.limit.name
            rest = traded.kept({other: value for other, value in shares.items() if other != name})
            assert relaxation.proved, (seed, name)
            assert (relaxation.needed is not None) == bool(rest.any()), (seed, name)
            if relaxation.needed is None:
                continue
            loosest = changed(problem, {name: relaxation.needed})
            assert qopt.solve(loosest).certificate.feasible, (seed, name)
            strictest = changed(problem, {name: relaxation.limit.stricter(relaxation.needed)})
            assert qopt.solve(strictest).certificate.infeasible, (seed, name)


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (
            lambda: qopt.front("qpart/mnist-mlp6", against="price"),
            "against: found price, which is the same for every plan;",
        ),
        (
            lambda: qopt.front("qpart/teaching-3", against="bytes"),
            "against: found 'bytes'; allowed: noise or memory or ",
        ),
        (lambda: qopt.front("qpart/teaching-3", low=2, high=1), "low: found 2 with high 1; allowed: low <= high"),
        (lambda: qopt.front("qpart/teaching-3", high=math.nan), "high: found nan; allowed: a finite number >= 0"),
        (lambda: qopt.front("allocation/teaching-4", epsilon=0), "epsilon: found 0; allowed: "),
        (lambda: qopt.front("jqodi/fig5", against="payload"), "against: found 'payload'; allowed: 'time', or 'loss'"),
        (lambda: qopt.explain("qpart/teaching-3", time_limit=-1), "time_limit: found -1; allowed: seconds >= 0"),
        (lambda: qopt.explain(5), "problem: found 5"),
        (
            lambda: qopt.front("qpart/teaching-3").save("x.txt"),
            "path: found 'x.txt'; allowed: a name that ends in .csv",
        ),
    ],
)
def test_what_cannot_be_asked(ask: Any, line: str) -> None:
    with pytest.raises(InputError) as error:
        ask()
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_no_limits_at_all_and_tests_that_end_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    free = qopt.load("allocation/teaching-4").replace({"resources.bytes.budget": None})
    said = qopt.explain(free)
    assert (said.worths, said.notes) == ((), ("no limits are given: nothing to price",))

    tight = qopt.load("qpart/mnist-mlp6").replace({"limits": {"payload": 8e5, "time": 0.02}})
    whole = qopt.explain(tight)
    assert whole.contradiction is not None
    assert [limit.name for limit in whole.contradiction.limits] == ["noise", "payload"]
    real = contradiction.solve

    def blind(problem: Any, **options: Any) -> Any:
        """A solver that comes to no answer where time is not limited."""
        found = real(problem, **options)
        if problem.limits.time is not None:
            return found
        certificate = dataclasses.replace(found.certificate, infeasible=False)
        return dataclasses.replace(found, plan=None, status="time-limit", certificate=certificate)

    monkeypatch.setattr(contradiction, "solve", blind)
    open_ = qopt.explain(tight)
    assert open_.contradiction is not None
    assert not open_.contradiction.minimal
    assert open_.contradiction.undecided == ("time",)
    assert {limit.name for limit in open_.contradiction.limits} == {"noise", "payload", "time"}
    assert "not proved minimal" in str(open_)
    assert "undecided in the time: whether time could go" in str(open_)

    late = qopt.explain(tight, time_limit=0)
    assert late.status in ("undecided", "infeasible")
    assert late.contradiction is None or not late.contradiction.minimal


def test_without_limits_no_plan_is_no_contradiction_of_limits() -> None:
    """What cannot be because of the problem itself is not blamed on a limit that was not given."""
    never = qopt.load("allocation/teaching-4")
    found = contradiction.contradiction(never, (), Clock(None))
    assert found.limits == ()


def test_a_front_of_costs_below_zero_is_whole() -> None:
    """Damage may be negative: its front is that of the same damages moved up, wherever the clock stops."""
    base = qopt.generate.allocation(4, seed=5)
    lower = base.replace({"damage": base.damage - 100.0, "best_known": None})
    up, down = qopt.front(base, against="bytes"), qopt.front(lower, against="bytes")
    assert (down.complete, down.gap) == (True, 0)
    assert [point.values["bytes"] for point in down] == [point.values["bytes"] for point in up]
    late = qopt.front(lower, against="bytes", time_limit=0)
    assert late.complete == (late.gap == 0)


def test_a_front_as_a_table_a_file_a_picture_and_a_command(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    csv, data, picture = tmp_path / "f.csv", tmp_path / "f.json", tmp_path / "f.svg"
    asked = ["front", "allocation/teaching-4", "--against", "bytes"]
    assert main([*asked, "-o", str(csv), "--plot", str(picture)]) == 0
    assert csv.read_text().splitlines()[1] == "plan 1,3.0,160.0,True"
    assert picture.stat().st_size > 1000
    front = qopt.front("allocation/teaching-4")
    front.save(data)
    assert json.loads(data.read_text())["points"][0]["plan"]["formats"]
    assert len(front.to_dataframe()) == len(front)
    assert main(["front", "qpart/mnist-mlp6", "--against", "price"]) == 2
    assert main(["explain", "allocation/teaching-4"]) == 0
    assert main(["explain", "jqodi/data1", "--set", "time_limit=1"]) == 1


@pytest.mark.parametrize("family", swept(["qpart", "allocation", "placement"], lambda family: family != "qpart"))
def test_wherever_the_clock_stops_what_a_front_says_is_true(monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    traded = FAMILIES[family](1 if family != "allocation" else 3)
    name = tradable(traded)[-1].name
    expected = traded.front(name)
    monkeypatch.setattr(solving, "Clock", CountingClock)
    complete = set()
    for after in (0, 100, 1000, 10**6):
        found = qopt.front(traded.problem, against=name, time_limit=after)
        complete.add(found.complete)
        first = found.criteria[0].name
        assert found.complete == (found.gap == 0)
        for point in found:
            assert any(cost <= point.values[first] * (1 + 1e-9) for cost, use in expected if use <= point.values[name])
        for x, bound in found.bounds:
            best = min((cost for cost, use in expected if use <= x * (1 + 1e-9)), default=math.inf)
            assert bound <= best * (1 + 1e-9)
    assert True in complete


def test_a_front_where_the_other_limits_contradict_each_other_is_empty() -> None:
    problem = qopt.generate.allocation(3, seed=2, resources=2)
    short = problem.replace({"resources.bops.budget": problem.range_of("bops")[0] - 1.0})
    found = qopt.front(short, against="bytes")
    assert (len(found), found.complete, found.notes) == (0, True, ("no plan keeps the other limits",))

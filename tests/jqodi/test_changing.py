"""Runs followed in worlds that differ from the forecast, and chances by samples."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta
from sweeps import few

import qopt
from qopt.core.limits import within
from qopt.jqodi import follow, solve_sampled, worlds
from qopt.jqodi.costs import breakdown
from qopt.jqodi.drawing import chances, drawn_epochs, missed_at_most, promised_epochs
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.sampled import in_time


def asked(seed: int = 2, mode: Any = "schedule", **options: Any) -> Jqodi:
    """A problem of some 12 epochs whose nominal conditions do not change."""
    given = {"models": 1, "widths": [8], "losses": True, "conditions": False, **options}
    return qopt.generate.jqodi(12, seed=seed, mode=mode, **given)


@pytest.mark.parametrize("mode", ["schedule", "path", "choice"])
def test_where_nothing_differs_a_run_is_the_plan(mode: Any) -> None:
    """Once and again: the world is the forecast, so both spend what the plan says, and choices stay as they are."""
    for seed in range(few(5)):
        problem = asked(seed, mode)
        solution = qopt.solve(problem)
        once = follow(problem, problem)
        assert once is not None
        assert once.states == tuple(zip(solution.plan.servers, solution.plan.cuts, strict=True))
        assert once.energy == pytest.approx(solution.objective)
        assert once.time == pytest.approx(solution.certificate.cost.time)
        assert (once.in_time, once.solved) == (True, 1)
        again = follow(problem, problem, decide="again")
        assert again is not None
        assert again.in_time
        assert again.solved == len(solution.plan.servers)
        if mode != "choice":  # there, what is left may be moved to another choice
            assert again.energy == pytest.approx(solution.objective)


@pytest.mark.sweep
def test_what_a_run_takes_is_what_the_world_says() -> None:
    """The states of a run as a plan of the world cost what the run has cost, missing servers made up for."""
    problem = asked(3, "path", requests=0.0)
    for world in worlds(problem, few(10), seed=4, epochs=40, leaves=0.3):
        for decide in ("once", "again"):
            run = follow(problem, world, decide=decide)  # type: ignore[arg-type]
            assert run is not None
            servers, cuts = zip(*run.states, strict=True)
            cost = breakdown(world, qopt.JqodiPlan(model=run.model, bits=run.bits, servers=servers, cuts=cuts))
            assert cost.time == pytest.approx(run.time)
            assert cost.energy == pytest.approx(run.energy)
            assert not cost.impossible
            assert run.reached == (len(run.states) == world.epochs(world.models[0], world.models[0].widths[0])[0])
            assert run.in_time == (run.reached and within([run.time], problem.time_limit))


def test_a_plan_that_ends_early_goes_on() -> None:
    problem = asked()
    slow = problem.replace(
        {"models[0].widths[0].loss.run.expected": -0.02, "models[0].widths[0].loss.run.robust": -0.02}
    )
    plan = qopt.solve(problem).plan
    run = follow(problem, slow, plan)
    assert run is not None
    assert run.reached
    assert len(run.states) > len(plan.servers)
    never = {"models[0].widths[0].loss": None, "models[0].widths[1].loss": None}
    ended = follow(problem, problem.replace({**never, "conditions": {"cloud_speed": [1.0] * 15}}), plan)
    assert ended is not None
    assert (ended.reached, ended.in_time, len(ended.states)) == (False, False, 15)


def test_worlds_are_drawn_as_they_say() -> None:
    """The mean of factors is 1; servers are there as often as the chain has it; equal seeds are equal worlds."""
    problem = asked()
    some = worlds(problem, 60, seed=0, epochs=50, model_error=0.2, epoch_error=0.0, drift=0.3, leaves=0.1, returns=0.4)
    assert some == worlds(problem, 60, seed=0, epochs=50, model_error=0.2, epoch_error=0.0, drift=0.3, leaves=0.1, returns=0.4)  # fmt: skip  # noqa: E501
    loss = problem.models[0].widths[0].loss
    assert loss is not None
    steps = [world.models[0].widths[0].loss.run.expected[0] / loss.run.expected for world in some]  # type: ignore
    assert abs(np.mean(steps) - 1.0) < 4 * 0.2 / math.sqrt(60)
    there = [world.conditions.servers["server2"].available for world in some]  # type: ignore[union-attr]
    assert np.mean(there) == pytest.approx(0.8, abs=0.08)
    speed = np.log([world.conditions.servers["server2"].speed for world in some])  # type: ignore[union-attr]
    assert np.std(speed) == pytest.approx(0.3, rel=0.2)
    calm = worlds(problem, 1, seed=0, epochs=20, model_error=0, epoch_error=0, drift=0, leaves=0)[0]
    assert follow(problem, calm).energy == pytest.approx(qopt.solve(problem).objective)  # type: ignore[union-attr]


LAW: dict[str, Any] = {"epochs": 40, "model_error": 0.2, "epoch_error": 0.1}


def test_draws_of_epochs_follow_the_law_of_worlds() -> None:
    """The same shares, by a difference of four standard errors; and without errors the forecast's number."""
    base = asked(5).replace({"time_limit": 1e6})
    direct = drawn_epochs(base, "model1", 8, 2000, seed=1, **LAW)
    some = worlds(base, 100, seed=2, drift=0.0, **LAW)
    own = [world.epochs(world.models[0], world.models[0].widths[0])[0] for world in some]
    assert np.mean([k or 40 for k in direct]) == pytest.approx(np.mean([k or 40 for k in own]), abs=4 * 2.5 / 10)
    expected = base.epochs(base.models[0], base.models[0].widths[0])[0]
    assert set(drawn_epochs(base, "model1", 8, 5, seed=1, epochs=40, model_error=0, epoch_error=0)) == {expected}
    assert set(drawn_epochs(base, "model1", 8, 5, seed=1, epochs=3)) == {None}
    shares = chances(direct)
    assert sum(share for _, share in shares) == pytest.approx(sum(k is not None for k in direct) / 2000)


def test_what_draws_promise_is_kept_by_fresh_ones() -> None:
    """10 000 fresh draws: no more are late than was promised from 4000 others."""
    base = asked(5).replace({"time_limit": 1e6, "models[0].widths[1].loss": None})
    known, fresh = (drawn_epochs(base, "model1", 8, n, seed=n, **LAW) for n in (4000, 10_000))
    for confidence in (0.8, 0.95):
        epochs = promised_epochs(known, confidence)
        assert epochs is not None
        missed = sum(k is None or k > epochs for k in fresh)
        assert missed / 10_000 <= 1.0 - confidence
        sure = base.replace(
            {
                "models[0].widths[0].loss": None,
                "models[0].widths[0].epochs": {"expected": 12, "chances": chances(known)},
                "estimate": "chance",
                "confidence": confidence,
            }
        )
        planned = len(qopt.solve(sure).plan.servers)
        assert planned <= epochs
        late = sum(k is None or k > planned for k in fresh)  # of a law that is estimated: both errors together
        assert beta.ppf(0.0005, late, 10_001 - late) <= 1.0 - confidence + 3.3 * math.sqrt(0.16 / 4000)
    assert missed_at_most(7, 90) == pytest.approx(beta.ppf(0.975, 8, 83))
    assert promised_epochs([12] * 10, 0.9) is None
    assert promised_epochs([12] * 40, 0.9) == 12
    for missed, of, sure in ((1, 2, 1 - 1e-16), (0, 1, math.nextafter(1.0, 0.0)), (3, 4, 0.9999999999999999)):
        assert missed_at_most(missed, of, sure) == pytest.approx(beta.ppf(0.5 + 0.5 * sure, missed + 1, of - missed))
    assert promised_epochs([1] * 50, 0.9, sure=1 - 1e-16) is None


def test_samples_of_choices_are_all_looked_at() -> None:
    """Against every choice: the cheapest that is in time in three of four samples."""
    problem = asked(1, "choice", tightness=0.3)
    some = worlds(problem, 12, seed=3, epochs=40, drift=0.4)
    found = solve_sampled(problem, some, 0.75)
    best = math.inf
    for server, cut in itertools.product(problem.server_names, problem.models[0].admissible_cuts):
        plan = qopt.JqodiPlan(model="model1", bits=8, servers=(server,) * 12, cuts=(cut,) * 12)
        cost = breakdown(problem, plan)
        assert cost.time is not None
        assert cost.objective is not None
        if in_time(problem, plan, some) >= 9:
            best = min(best, cost.objective)
    assert (found.solution is None) == math.isinf(best)
    if found.solution is not None:
        assert found.solution.objective == pytest.approx(best)
        assert found.solution.status == "optimal-by-solver"


def test_samples_decide_where_the_forecast_says_no() -> None:
    """By the forecast each choice is late; in samples where all is ten times as fast the cheapest is in time."""
    nominal = asked(1, "choice")
    problem = nominal.replace({"time_limit": 0.9 * (qopt.jqodi.smallest_limits(nominal).time_limit or 0.0)})
    assert qopt.solve(problem).status == "infeasible"
    factors = {name: [10.0] * 40 for name in ("speed", "cloud_rate", "device_rate")}
    conditions = {name: [10.0] * 40 for name in ("cloud_speed", "device_speed")}
    world = problem.replace({"conditions": {**conditions, "servers": dict.fromkeys(problem.server_names, factors)}})
    found = solve_sampled(problem, [world] * 3, 0.9)
    assert found.solution is not None
    assert found.share == 1.0
    assert not found.solution.certificate.feasible
    assert "by the forecast: time" in found.solution.message
    late = problem.replace({"time_limit": 1e6})
    assert found.solution.objective == pytest.approx(qopt.solve(late).objective)


def test_samples_of_schedules_are_no_more_than_heuristic() -> None:
    problem = asked(2)
    some = worlds(problem, 12, seed=3, epochs=40)
    found = solve_sampled(problem, some[:8], 0.75, fresh=some[8:], steps=6)
    assert found.solution is not None
    assert found.solution.status == "heuristic"
    assert found.solution.certificate.feasible
    assert found.share == in_time(problem, found.solution.plan, some[:8]) / 8
    assert found.share >= 0.75
    missed = 4 - in_time(problem, found.solution.plan, some[8:])
    assert found.missed_at_most == missed_at_most(missed, 4)
    assert found.missed_at_most >= 0.6  # four worlds promise next to nothing
    hopeless = solve_sampled(problem.replace({"time_limit": 1.0}), some[:2], 0.5)
    assert (hopeless.solution, hopeless.share) == (None, None)


def test_what_cannot_be_followed_is_one_line() -> None:
    problem = asked()
    begun = problem.replace({"start": {"elapsed": 1.0}})
    renamed = problem.replace({"servers[0].name": "other", "devices[0].links[0].server": "other"})
    for call, message in (
        (lambda: follow(problem, begun), "start: found a run that has begun"),
        (lambda: follow(problem, problem, decide="often"), "decide: found 'often'"),  # type: ignore[arg-type]
        (lambda: follow(problem, renamed), "world: found no 'server1' among the servers; allowed: the servers of the"),
        (lambda: solve_sampled(problem, [renamed], 0.5), "world: found no 'server1' among the servers"),
        (lambda: follow(problem, problem.replace({"models[0].cuts": [3]})), "among the cuts of model1"),
        (lambda: worlds(begun, 1, seed=0, epochs=3), "a run that has begun"),
        (lambda: worlds(problem, 0, seed=0, epochs=3), "count: found 0"),
        (lambda: worlds(problem, 1, seed=0, epochs=3, drift=-1), "drift: found -1"),
        (lambda: solve_sampled(problem, [], 0.5), "samples: found nothing"),
        (lambda: solve_sampled(problem, [problem], 0.0), "confidence: found 0"),
        (lambda: missed_at_most(3, 2), "missed: found 3"),
        (lambda: drawn_epochs(problem, "model1", 5, 1, seed=0, epochs=3), "model: found 'model1' at 5 bits"),
        (lambda: chances([None]), "needed: found no draw that reaches its loss"),
        (lambda: promised_epochs([], 0.5), "needed: found no draws"),
    ):
        with pytest.raises(qopt.InputError) as error:
            call()
        assert message in str(error.value)
    assert follow(problem.replace({"time_limit": 1.0}), problem) is None

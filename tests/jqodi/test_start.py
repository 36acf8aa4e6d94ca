"""Runs that have begun: what is left of them, deciding again, features and gradients, chances of K."""

from __future__ import annotations

import itertools
import math
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import jqodi_problems as jp
import jqodi_runs as runs
import numpy as np
import pytest
from command_line import Cli
from scipy.stats import beta
from sweeps import few

import qopt
from qopt.comparison.tasks import fingerprint
from qopt.jqodi import terms
from qopt.jqodi.certificate import arrays
from qopt.jqodi.certificate.proof import proof
from qopt.jqodi.costs import breakdown
from qopt.jqodi.limits import epochs_within
from qopt.jqodi.problem import Jqodi
from qopt.kernels import checker

PROBLEMS = int(os.environ.get("QOPT_JQODI_RUNS", "0")) or few(40)
"""Random problems that all methods solve; 500 by hand."""

EXACT = ("brute-force", "inspection", "mckp", "rcsp", "highs-mip", "pyomo", "cvxpy")
HEURISTIC = ("fptas", "jqodi-paper", "adp", "full-model", "minimal-model")


def random_problems(count: int, first: int = 0) -> list[tuple[int, Jqodi]]:
    """So many random problems with the seeds that give them."""
    found: list[tuple[int, Jqodi]] = []
    seed = first
    while len(found) < count:
        problem = runs.drawn(seed)
        if problem is not None:
            found.append((seed, problem))
        seed += 1
    return found


def begun(**changes: Any) -> Jqodi:
    """`given` at 2 bits after one of three epochs on A with cut 1, 10 s ago; no conditions."""
    start = {"epochs": 1, "elapsed": 10.0, "energy": 5.0, "model": "given", "bits": 2, "server": "A", "cut": 1}
    return jp.problem(conditions=None, start=start, **changes)


# --- what is left -------------------------------------------------------------------------------------------------


def test_what_was_spent_counts_and_what_is_done_is_not_done_again() -> None:
    """By hand: two of three epochs are left; from A to B costs 2 s and 1 J, a cut 1/2 J; 10 s have passed."""
    problem = begun()
    plan = qopt.JqodiPlan(model="given", bits=2, servers=("B", "B"), cuts=(2, 2))
    cost = breakdown(problem, plan)
    fresh, three = problem.replace({"start": None}), {"servers": ("B",) * 3, "cuts": (2,) * 3}
    whole = breakdown(fresh, plan.model_copy(update=three))
    assert whole.switch_energy == 0
    assert cost.time == pytest.approx(10.0 + 2.0 + whole.epochs[0].time + whole.epochs[1].time)  # type: ignore[operator]
    assert (cost.switch_time, cost.switch_energy) == (2.0, 1.5)
    assert (cost.elapsed, cost.spent) == (10.0, 5.0)
    assert [row.epoch for row in cost.epochs] == [2, 3]
    assert problem.epochs(problem.models[0], problem.models[0].widths[0]) == (2, 3)


def test_only_what_is_under_way_goes_on_unless_it_may_be_begun_anew() -> None:
    problem = begun()
    assert [(m.name, w.bits) for m, w in problem.admissible] == [("given", 2)]
    both = problem.replace({"start.anew": True})
    assert ("derived", 8) in [(m.name, w.bits) for m, w in both.admissible]
    own = {candidate.key: candidate for candidate in terms.candidates(both)}
    assert own["given/2"].setup_time == 10.0
    assert own["derived/8"].setup_time == 11.0  # quantizing, 1 s
    assert (own["derived/8"].setup_energy, own["given/2"].setup_energy) == (2.0, 0.0)
    other = qopt.JqodiPlan(model="given", bits=4, servers=("A", "A"), cuts=(1, 1))
    certificate = qopt.certify(problem, other)
    assert "what is under way" in certificate.violations[0]
    assert qopt.certify(both, other).feasible


def test_conditions_and_losses_go_on_from_the_epochs_that_are_done() -> None:
    """A is gone in epoch 3 of the run; after one epoch this is the second that is decided."""
    there = [True, True, False, True, True, True, True]
    problem = begun().replace({"conditions": {"servers": {"A": {"available": there}}}})
    plan = qopt.JqodiPlan(model="given", bits=2, servers=("A", "A"), cuts=(1, 1))
    assert breakdown(problem, plan).impossible == (3,)
    assert "A with cut 1 is impossible in epoch 3" in qopt.certify(problem, plan).violations[0]
    # 0.75 falls by 0.1875, 0.1875, 0.125, 0.125: to 0.25 in three epochs, and by 0.5 observed after two in three more.
    start = {"model": "derived", "bits": 8, "epochs": 1}
    derived = jp.problem(conditions=None, start=start)
    pair = (derived.models[1], derived.models[1].widths[0])
    assert derived.epochs(*pair)[0] == 2
    late = derived.replace({"start": {**start, "epochs": 2, "loss": 0.5}})
    assert late.epochs(*pair)[0] == 2
    known = late.loss_parts(*pair, "expected")
    assert known is not None
    assert known[0] == (0.5,)
    assert late.replace({"start.loss": 0.6}).epochs(*pair)[0] is None  # the lists end: 0.35 is the least
    before = derived.replace({"start": {**start, "epochs": 2, "loss": 0.6, "loss_after": 1}})
    assert before.epochs(*pair)[0] == 2  # 0.4125 after the second, then 0.2875, 0.1625


@pytest.mark.parametrize("mode", ["schedule", "path"])
def test_without_surprise_the_rest_of_the_best_plan_is_the_best(mode: Any) -> None:
    """Bellman's principle: after any epoch, what was spent and what is left are the first optimum."""
    for seed in range(few(6)):
        problem = qopt.generate.jqodi(8, seed=seed, mode=mode, losses=seed % 2 == 0, servers=2, cuts=2)
        first = qopt.solve(problem)
        for after in range(0, len(first.plan.servers), 3):
            again = qopt.replan(problem, first.plan, after)
            assert again.status == "optimal"
            start = again.instance.start  # type: ignore[union-attr]
            assert start.energy + again.objective == pytest.approx(first.objective, rel=1e-9)
            if after > 2 and len(again.plan.servers) > 1:  # and once more, from the plan of a plan
                twice = qopt.replan(again.instance, again.plan, 1)  # type: ignore[arg-type]
                assert twice.instance.start.epochs == after + 1  # type: ignore[union-attr]
                together = twice.instance.start.energy + twice.objective  # type: ignore[union-attr]
                assert together == pytest.approx(first.objective, rel=1e-9)


def test_an_observed_loss_replaces_the_forecast() -> None:
    problem = qopt.load("jqodi/fig5").replace({"time_limit": 60.0})
    plan = qopt.solve(problem).plan
    forecast = qopt.solve(problem).certificate.cost.expected_losses
    slower = qopt.replan(problem, plan, 1, observed=forecast[1] + 0.008)
    assert slower.status == "optimal"
    assert len(slower.plan.servers) > len(plan.servers) - 1
    assert slower.certificate.cost.expected_losses[0] == pytest.approx(forecast[1] + 0.008)
    later = qopt.jqodi.remaining(slower.instance, slower.plan, 1)  # type: ignore[arg-type]
    assert later.start is not None
    assert (later.start.epochs, later.start.loss_after) == (2, 1)


def test_what_is_begun_anew_counts_its_own_epochs() -> None:
    """After one epoch of another model, a second one begins; its epochs are its own, those of conditions the run's."""
    problem = begun().replace({"start.anew": True, "conditions": {"device_speed": [1.0] * 9}})
    plan = qopt.JqodiPlan(model="derived", bits=8, servers=("A",) * 3, cuts=(1,) * 3)
    left = qopt.jqodi.remaining(problem, plan, 1)
    assert left.start is not None
    assert (left.start.epochs, left.start.trained, left.start.model, left.start.anew) == (2, 1, "derived", False)
    assert left.start.elapsed == pytest.approx(10.0 + 1.0 + breakdown(problem, plan).epochs[0].time)
    pair = (left.models[1], left.models[1].widths[0])
    assert left.epochs(*pair)[0] == 2
    assert left.horizon == 7
    rest = breakdown(left, plan.model_copy(update={"servers": ("A",) * 2, "cuts": (1,) * 2}))
    assert rest.time == pytest.approx(breakdown(problem, plan).time)
    assert [row.epoch for row in rest.epochs] == [3, 4]


def test_limits_of_a_run_under_way_are_explained() -> None:
    fig5 = qopt.load("jqodi/fig5")
    left = qopt.jqodi.remaining(fig5, qopt.solve(fig5).plan, 1, elapsed=1.9, observed=0.0395)
    assert "T_max at most 3.5 s (2.91 s used)" in str(qopt.explain(left))
    steps = [piece.start for piece in qopt.breakpoints(left, "time_limit")]
    assert steps == pytest.approx([0.0, 2.91, 3.51])
    assert "epoch 2 is next, 1.9 s have passed" in str(left)


@pytest.mark.sweep
def test_random_problems_have_one_optimum() -> None:
    """All methods against the least of all plans, each followed through its epochs by the account of costs."""
    for seed, problem in random_problems(PROBLEMS):
        least = runs.least_energy(problem)
        able = {row["name"] for row in qopt.methods(problem) if row["reason"] is None}
        slow = {"pyomo", "cvxpy"} if seed % 5 else set()
        for method in [*EXACT, *HEURISTIC]:
            if method not in able - slow:
                continue
            solution = qopt.solve(problem, method)
            assert not [note for note in solution.certificate.notes if note.startswith("error")], (seed, method)
            if math.isinf(least):
                assert not solution.certificate.feasible, (seed, method)
            elif method in EXACT:
                assert solution.certificate.feasible, (seed, method)
                assert solution.objective == pytest.approx(least, rel=1e-9), (seed, method)
            elif solution.certificate.feasible:
                assert solution.objective >= least * (1.0 - 1e-9), (seed, method)


def test_readings_front_labels_and_proofs_agree() -> None:
    for seed, problem in random_problems(few(20), first=5000):
        for own, other in zip(terms.candidates(problem), arrays.every(problem), strict=True):
            assert np.array_equal(own.time, other.time), seed
            assert np.array_equal(own.energy, other.energy), seed
            assert (own.setup_time, own.setup_energy) == (other.setup_time, other.setup_energy)
        solution = qopt.solve(problem)
        assert solution.status in ("optimal", "infeasible"), seed
        if solution.plan is None:
            continue
        front = [
            p.values["energy"] or 0.0 for p in qopt.front(problem) if (p.values["time"] or 0.0) <= problem.time_limit
        ]
        assert min(front, default=math.inf) == pytest.approx(solution.objective, rel=1e-9), seed
        if problem.mode != "choice":
            assert qopt.jqodi.labels.labels(problem).energy == pytest.approx(solution.objective, rel=1e-9), seed
        vertices = qopt.jqodi.plan_vertices(problem, solution.plan)
        graph = qopt.jqodi.diagram.diagram(problem)
        steps = [graph.edges[a, b] for a, b in itertools.pairwise(vertices)]
        assert math.fsum(step["time"] for step in steps) == pytest.approx(solution.certificate.cost.time), seed
        (part,) = proof(problem, solution.plan)["parts"]  # type: ignore[misc]
        assert checker.check(part["instance"], part["witness"]).accepted, seed


def test_how_many_epochs_fit_from_a_state() -> None:
    """Against one epoch after the other, by dynamic programming over so many."""
    for seed in range(few(10)):
        base = qopt.generate.jqodi(5, seed=seed, mode=("path", "choice")[seed % 2], servers=3, conditions=False)  # type: ignore[arg-type]
        start = {"server": "server2", "cut": 3, "elapsed": 0.1 * base.time_limit}
        problem = base.replace({"start": start, "time_limit": 1.7 * base.time_limit})
        model, width = problem.models[0], problem.models[0].widths[0]
        most = epochs_within(problem, model, width)
        for epochs in (most, most + 1):
            asked = problem.replace({"models[0].widths[0].epochs": {"expected": max(epochs, 1)}, "widths": [4]})
            only = asked.replace({"models": [asked.models[0].model_dump()]})
            assert qopt.jqodi.smallest_limits(only).feasible == (1 <= epochs == most), seed


# --- traffic ------------------------------------------------------------------------------------------------------


def test_features_and_gradients_by_hand() -> None:
    """One image to train and one to validate; cut 1 puts out 2 values: 2 x 2 x 2 bits up, 2 x 32 back, at 4 bit/s."""
    plain = jp.problem()
    counted = jp.problem(traffic={})
    plan = qopt.JqodiPlan(model="given", bits=2, servers=("A",) * 3, cuts=(1,) * 3)
    one, two = breakdown(plain, plan), breakdown(counted, plan)
    assert two.time - one.time == pytest.approx(3 * 72 / 4)  # type: ignore[operator]
    assert two.objective - one.objective == pytest.approx(3 * 72 * 0.125)  # type: ignore[operator]
    assert two.node_energies["device link"] - one.node_energies["device link"] == pytest.approx(27.0)
    narrow = breakdown(jp.problem(traffic={"gradient_bits": 2}), plan)
    assert narrow.time - one.time == pytest.approx(3 * 12 / 4)  # type: ignore[operator]
    ends = {"models[0].cuts": [0, 3], "models[0].input_size": 6.0, "models[0].input_bits": 8}
    for cut, bits in ((0, 2 * 6 * 8), (3, 0)):
        at = plan.model_copy(update={"cuts": (cut,) * 3})
        there = [breakdown(jp.problem(**ends, **more), at).time for more in ({}, {"traffic": {}})]
        assert there[1] - there[0] == pytest.approx(3 * bits / 4)  # type: ignore[operator]


def test_features_do_not_fit_the_published_epoch() -> None:
    """328 Mbit of LeNet-like's first layer, 6188 s, beside a printed epoch of 5.2 s; gradients come on top."""
    data1 = qopt.load("jqodi/data1")
    plan = qopt.solve(data1).plan
    one, two = (breakdown(problem, plan).epochs[0].time for problem in (data1, data1.replace({"traffic": {}})))
    assert one == pytest.approx(5.214, abs=1e-3)
    assert two - one == pytest.approx(6187.7 + 2000 * 16384 * 32 / data1.decided.links[0].bits_per_second, rel=1e-4)
    assert qopt.solve(data1.replace({"traffic": {}})).status == "infeasible"


def test_fields_that_are_not_used_leave_a_fingerprint() -> None:
    plain = jp.problem()
    others = [jp.problem(traffic={}), jp.problem(start={}), jp.problem(start={"elapsed": 1.0})]
    assert len({fingerprint(each) for each in (plain, *others)}) == 4
    assert fingerprint(plain) == fingerprint(jp.problem(traffic=None, start=None, confidence=None))


# --- chances ------------------------------------------------------------------------------------------------------

CHANCES = [[20, 0.5], [22, 0.25], [24, 0.125], [30, 0.0625]]


def chancy(confidence: float, **changes: Any) -> Jqodi:
    """One model whose K is 20, 22, 24 or 30, or in one of 16 cases never."""
    base = qopt.generate.jqodi(24, seed=3, models=1, widths=[8], mode="schedule", conditions=False)
    named = {"estimate": "chance", "confidence": confidence, "models[0].widths[0].epochs.chances": CHANCES}
    return base.replace({**named, "time_limit": 2.0 * base.time_limit, **changes})


@pytest.mark.parametrize(
    ("confidence", "done", "epochs"),
    [
        (0.5, 0, 20),
        (0.51, 0, 22),
        (0.875, 0, 24),
        (0.9375, 0, 30),
        (0.94, 0, None),
        (0.5, 20, 2),
        (0.75, 20, 4),
        (0.8, 22, None),
    ],
)
def test_epochs_of_a_confidence(confidence: float, done: int, epochs: int | None) -> None:
    """Chances in eighths and sixteenths are exact; what is done without success is ruled out."""
    start = {"epochs": done, "model": "model1", "bits": 8} if done else None
    problem = chancy(confidence, start=start)
    assert problem.needed(problem.models[0], problem.models[0].widths[0]) == epochs
    solution = qopt.solve(problem)
    assert solution.status == ("infeasible" if epochs is None else "optimal")
    if epochs is not None:
        cost = solution.certificate.cost
        given = [(k, Fraction(str(p))) for k, p in CHANCES if k > done]
        reached = sum(p for k, p in given if k <= done + epochs)
        assert cost.in_time == pytest.approx(float(reached / (sum(p for _, p in given) + Fraction(1, 16))))
        assert cost.in_time >= confidence
        row = next(row for row in solution.certificate.constraints if row.name == "chance")
        assert row.holds
        assert row.at_least


def test_promised_chances_hold_for_fresh_draws() -> None:
    """10 000 fresh runs: those that are not in time, by the upper end of an exact 99.9 % interval."""
    rng = np.random.default_rng(0)
    counts = [k for k, _ in CHANCES]
    for confidence in (0.6, 0.8, 0.9):
        problem = chancy(confidence)
        solution = qopt.solve(problem)
        steps = breakdown(problem, solution.plan)
        assert steps.time is not None
        assert steps.time <= problem.time_limit
        needed = rng.choice([*counts, 10**6], size=10_000, p=[*(p for _, p in CHANCES), 0.0625])
        missed = int((needed > len(solution.plan.servers)).sum())
        assert beta.ppf(0.0005, missed, 10_001 - missed) <= 1.0 - confidence


def what_is_left_to_pay(problem: Jqodi) -> dict[tuple[str, ...], tuple[float, float]]:
    """Joules and seconds of every schedule of one model that is under way, K given, all epochs alike, cut 1.

    In its own words: as long as the expected end is ahead, only epochs up to it are paid for; behind it, each one is.
    """
    start, width = problem.start, problem.models[0].widths[0]
    assert start is not None
    assert width.epochs is not None
    last = width.epochs.robust or 0
    if problem.estimate == "chance":
        left = [(k, Fraction(p)) for k, p in width.epochs.chances or () if k > start.epochs]
        over = 1 - sum(Fraction(p) for k, p in width.epochs.chances or () if k <= start.epochs)
        sure = [k for k, _ in left if sum(p for i, p in left if i <= k) >= Fraction(problem.confidence or 1.0) * over]
        last = sure[0]
    numbers = range(start.epochs + 1, last + 1)
    paid = [k for k in numbers if start.epochs >= width.epochs.expected or k <= width.epochs.expected]
    one: dict[str, tuple[float, float]] = {}
    for server in problem.server_names:
        row = breakdown(problem, qopt.JqodiPlan(model="M", bits=4, servers=(server,), cuts=(1,))).epochs[0]
        assert row.time is not None
        one[server] = (math.fsum(row.energies), row.time)
    return {
        way: (sum(one[way[k - numbers[0]]][0] for k in paid), start.elapsed + sum(one[x][1] for x in way))
        for way in itertools.product(problem.server_names, repeat=len(numbers))
    }


def past(estimate: Any, done: int, expected: int = 2) -> Jqodi:
    """Two servers, the dear one first and faster; K is 2 as expected, 4 at the most, and so many epochs are done."""
    layers = {"macs": [10.0, 10.0], "weights": [5.0, 5.0], "cuts": [1]}
    epochs = {"expected": expected, "robust": 4, "chances": [[2, 0.5], [4, 0.4]]}
    data: dict[str, Any] = {
        "name": "past",
        "mode": "schedule",
        "time_limit": 200.0,
        "cloud": {"speed": 1e3, "energy": 0.01},
        "servers": [
            {"name": "dear", "speed": 200.0, "energy": 0.4, "cloud_rate": 100.0},
            {"name": "cheap", "speed": 100.0, "energy": 0.1, "cloud_rate": 100.0},
        ],
        "devices": [
            {
                "name": "d",
                "speed": 50.0,
                "energy": 0.02,
                "training": 10,
                "links": [{"server": name, "rate": 50.0} for name in ("dear", "cheap")],
            }
        ],
        "models": [{"name": "M", **layers, "widths": [{"bits": 4, "epochs": epochs}]}],
        "estimate": estimate,
        "confidence": 0.75 if estimate == "chance" else None,
    }
    fresh = Jqodi(**data)
    return fresh.replace({"start": {"epochs": done, "elapsed": 60.0, "model": "M", "bits": 4}}) if done else fresh


@pytest.mark.parametrize("estimate", ["robust", "chance"])
@pytest.mark.parametrize(("done", "expected"), [(1, 2), (2, 2), (3, 2), (3, 1), (2, 3)])
def test_epochs_after_the_expected_ones_are_paid_for(estimate: str, done: int, expected: int) -> None:
    """What is left when K^exp has passed costs what its epochs cost, in every reading of the equations."""
    problem = past(estimate, done, expected)
    ways = what_is_left_to_pay(problem)
    for limit in (200.0, sum(sorted(time for _, time in ways.values())[:2]) / 2):
        asked = problem.replace({"time_limit": limit})
        least = min(energy for energy, time in ways.values() if time <= limit)
        for method in ("auto", "rcsp", "mckp", "brute-force"):
            solution = qopt.solve(asked, method)
            assert solution.certificate.proved
            assert solution.objective == pytest.approx(least, rel=1e-12)
            assert (solution.objective or 0.0) > 0
        assert set(qopt.solve(problem).plan.servers[: max(expected - done, 1)]) == {"cheap"}
        own, other = terms.candidates(asked)[0], arrays.every(asked)[0]
        assert np.array_equal(own.energy, other.energy)


def test_a_run_goes_on_after_a_plan_whose_chance_was_missed() -> None:
    """Two epochs were enough with a chance of 1/2; given that they were not, two more are with 4/5."""
    problem = past("chance", 0).replace({"confidence": 0.4})
    plan = qopt.solve(problem).plan
    assert len(plan.servers) == 2
    again = qopt.replan(problem, plan, 2)
    assert len(again.plan.servers) == 2
    assert again.certificate.proved
    assert again.certificate.cost.in_time == pytest.approx(0.8)
    with pytest.raises(qopt.InputError, match="after: found 2; allowed: fewer than 2: the plan has no more"):
        qopt.replan(again.instance, again.plan, 2)  # type: ignore[arg-type]
    world = problem.replace({"estimate": "expected", "confidence": None, "models[0].widths[0].epochs": {"expected": 4}})
    run = qopt.jqodi.follow(problem, world, decide="again")
    assert run is not None
    assert (run.reached, run.without_plan, len(run.states)) == (True, 0, 4)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": {"epochs": 1}}, "start.model: found nothing beside epochs"),
        ({"start": {"server": "A"}}, "start.cut: found nothing beside a server"),
        ({"start": {"server": "moon", "cut": 1}}, "start.server: found 'moon'"),
        ({"start": {"server": "A", "cut": 4}}, "start.cut: found 4; allowed: a cut from 0 to 3"),
        ({"start": {"model": "given", "bits": 8}}, "start.bits: found 8; allowed: a width of given: 2, 4, 32"),
        ({"start": {"model": "given", "bits": 2, "epochs": 3}}, "start.epochs: found 3; allowed: at most 2"),
        ({"start": {"model": "given", "bits": 2, "loss": 0.3}}, "start.loss: found 0.3; allowed: nothing, since K"),
        ({"start": {"model": "derived", "bits": 8, "loss_after": 1}}, "start.loss_after: found a number, and no loss"),
        ({"start": {"elapsed": float("nan")}}, "start.elapsed: found nan"),
        ({"start": {"elapsed": -1.0}}, "start.elapsed: found -1"),
        ({"traffic": {"gradient_bits": 0}}, "traffic.gradient_bits: found 0"),
        ({"traffic": {}, "models[0].activations": None}, "models[0].activations: found nothing; allowed: a column"),
        ({"estimate": "chance"}, "confidence: found nothing"),
        ({"confidence": 0.9}, "confidence: found 0.9 beside 'expected'"),
        ({"estimate": "chance", "confidence": 0.9}, "models[0].widths[0].epochs.chances: found nothing"),
        ({"models[0].widths[0].epochs.chances": [[3, 0.5], [3, 0.1]]}, "chances[1][0]: found 3; allowed: more than 3"),
        ({"models[0].widths[0].epochs.chances": [[3, 0.9], [4, 0.2]]}, "chances: found chances that add up to 1.1"),
        (
            {"start": {"model": "given", "bits": 2, "epochs": 1, "anew": True}, "conditions": {"cloud_speed": [1] * 3}},
            "conditions.cloud_speed: found 3 entries; allowed: at least 4",
        ),
    ],
)  # fmt: skip
def test_bad_fields_are_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(qopt.InputError) as error:
        jp.problem(**changes)
    assert message in str(error.value)


def test_what_cannot_be_decided_again_is_one_line() -> None:
    fig5 = qopt.load("jqodi/fig5")
    plan = qopt.solve(fig5).plan
    given = jp.problem(conditions=None)
    known = qopt.JqodiPlan(model="given", bits=2, servers=("A",) * 3, cuts=(1,) * 3)
    cases: list[tuple[Jqodi, Any, int, dict[str, Any], str]] = [
        (fig5, plan, 3, {}, "after: found 3; allowed: a whole number from 0 to 2"),
        (fig5, plan, 2, {}, "after: found 2; allowed: fewer than 2, or a loss that was observed"),
        (fig5, plan, 1, {"observed": 0.035}, "observed: found 0.035; allowed: more than L_max of 0.035"),
        (fig5, plan, 1, {"observed": float("nan")}, "observed: found nan; allowed: a finite number"),
        (fig5, plan, 0, {"observed": 0.04}, "observed: found 0.04; allowed: nothing, since nothing has been trained"),
        (fig5, plan, 1, {"elapsed": -1.0}, "elapsed: found -1"),
        (fig5, plan, 1, {"energy": float("inf")}, "energy: found inf"),
        (fig5, plan, 1, {"changes": {"speed": 1}}, "speed: found an unknown field"),
        (fig5, known, 1, {}, "plan.model: found 'given'"),
        (given, known, 3, {}, "after: found 3; allowed: fewer than 3: the plan has no more epochs"),
        (given, known, 1, {"observed": 0.3}, "observed: found 0.3; allowed: nothing, since K is given"),
    ]
    for problem, followed, after, options, message in cases:
        with pytest.raises(qopt.InputError) as error:
            qopt.replan(problem, followed, after, **options)
        assert message in str(error.value)


def test_the_command_decides_again(tmp_path: Path, qopt_cli: Cli) -> None:
    plan, left = tmp_path / "plan.json", tmp_path / "left.json"
    assert qopt_cli("solve", "jqodi/fig5", "--save-plan", str(plan))[0] == 0
    code, out, _ = qopt_cli(
        "replan", "jqodi/fig5", str(plan), "--after", "1", "--elapsed", "1.9", "--save-problem", str(left)
    )
    assert code == 0
    assert "1 epochs more after 1" in out
    assert "before" in out
    assert qopt.load(left).start.elapsed == 1.9
    code, out, _ = qopt_cli("replan", "jqodi/fig5", str(plan), "--after", "1", "--elapsed", "3.4")
    assert (code, "it takes 4.41 s" in out) == (1, True)
    code, _, error = qopt_cli("replan", "jqodi/fig5", str(plan), "--after", "1", "--observed", "0.03")
    assert (code, "observed: found 0.03" in error) == (2, True)

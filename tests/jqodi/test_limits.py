"""What T_max and loss can be met, in exact sums, and the front of time and energy, against enumeration."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from exact import within
from jqodi_problems import possible_plans, problem
from sweeps import few

import qopt
from qopt.core.clock import Clock
from qopt.core.envelope import Piece
from qopt.core.errors import InputError
from qopt.core.limited import changed, limits_of
from qopt.core.reading import load
from qopt.jqodi.breakpoints import breakpoints
from qopt.jqodi.generate import jqodi
from qopt.jqodi.limited import least
from qopt.jqodi.limits import epochs_within, rounded_up, smallest_limits
from qopt.jqodi.plan import checked_plan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidate_at, states_of, totals

# --- limits that cannot be met ---------------------------------------------------------------------------------------


def by_enumeration(asked: Jqodi) -> list[tuple[float, float]]:
    """Time and energy of every plan that is possible in every epoch."""
    both = (totals(own, states) for own, states in possible_plans(asked))
    return [(time, energy) for energy, time in both if time < math.inf]


def feasible(asked: Jqodi) -> bool:
    return any(within([time], asked.time_limit) for time, _ in by_enumeration(asked))


def small(seed: int, mode: Any, **changes: Any) -> Jqodi:
    return jqodi(3, seed=seed, mode=mode, servers=2, cuts=2, models=2, widths=[4, 8], losses=True, **changes)


@pytest.mark.parametrize("mode", ["choice", "schedule", "path"])
def test_smallest_limits_work_and_smaller_ones_do_not(mode: str) -> None:
    several = 0
    for seed in range(6):
        base = small(seed, mode, estimate="robust" if seed % 2 else "expected")
        least = min(time for time, _ in by_enumeration(base))
        tight = base.replace({"time_limit": 0.7 * least})
        found = smallest_limits(tight)
        assert not found.feasible
        assert found.time_limit is not None
        assert "T_max of" in found.message
        assert "cannot be met" in found.message
        assert found.time_limit == pytest.approx(least, rel=1e-12)
        assert feasible(tight.replace({"time_limit": found.time_limit}))
        assert not feasible(tight.replace({"time_limit": found.time_limit * (1 - 1e-9)}))
        names = [model.name for model in tight.models]
        for name, limit in found.loss_limits.items():
            field = f"models[{names.index(name)}].loss_limit"
            never = [{"bits": 4}, {"bits": 8}]
            others = {f"models[{i}].widths": never for i in range(len(names)) if names[i] != name}
            assert feasible(tight.replace({**others, field: limit}))
            assert not feasible(tight.replace({**others, field: limit * (1 - 1e-9)}))
            assert rounded_up(limit) in found.message
            several += 1
    assert several > 3


def test_feasible_is_told_from_the_terms() -> None:
    differ = 0
    for seed in range(few(40)):
        base = small(seed, "choice")
        least = min(time for time, _ in by_enumeration(base))
        for step in range(-4, 5):
            asked = base.replace({"time_limit": least / (1 + 1e-12) * (1 + step * 2.0**-53)})
            found = smallest_limits(asked)
            assert found.feasible == (qopt.solve(asked).plan is not None)
            differ += found.feasible != within([least], asked.time_limit)
    assert differ  # the rounded sum is within T_max, and the terms are not


def test_rounded_up_works_as_a_limit() -> None:
    rng = np.random.default_rng(2)
    for value in [*(10.0 ** rng.uniform(-8, 12, 500)), 1.0, 999999.5, 0.1, 123456789.0]:
        limit = float(rounded_up(float(value)))
        assert within([float(value)], limit)
        assert limit <= value * (1 + 2e-5)
    # What is a short decimal but for rounding is told as one.
    assert rounded_up(0.1 + 0.2) == "0.3"
    assert rounded_up(0.3 * (1 + 1e-11)) == "0.300001"
    toy = load("jqodi/fig5").replace({"time_limit": 2})
    found = smallest_limits(toy)
    assert "T_max of 2.29 s" in found.message
    assert "L_max of M1 of 0.039 " in found.message
    assert feasible(toy.replace({"time_limit": 2.29}))
    assert feasible(toy.replace({"models[0].loss_limit": 0.039}))


def test_epochs_within_by_adding_up() -> None:
    asked = problem(time_limit=40.0, conditions=None)
    model = asked.model("given")
    least = float(candidate_at(asked, "given", 2).time.min())
    assert least == 12
    assert epochs_within(asked, model, model.width(2)) == 3
    assert epochs_within(asked.replace({"time_limit": 36.0}), model, model.width(2)) == 3
    assert epochs_within(asked.replace({"time_limit": 11.9}), model, model.width(2)) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time_limit": 5.0}, "T_max of 5 s cannot be met: "),
        ({"widths": [32]}, "L_max cannot be met: no admissible bit-width of any model ever reaches it"),
        ({"models[1].loss_limit": 0.1, "widths": [8]}, "within T_max it takes an L_max of derived of 0.125 (8 bits; n"),
        ({"device": "phone", "servers[0].cloud_rate": None}, "no server has a link with the cloud and one with phone"),
        ({"conditions.cloud_speed": [1, 0, 1, 1, 1, 1, 1]}, "in epoch 2 no server and cut is possible for given at 2"),
        (
            {"mode": "choice", "conditions.servers": {"A": {"speed": [1, 0, 1]}, "B": {"device_rate": [1, 1, 0]}}}
            | {"widths": [2]},
            "no server and cut is possible in every epoch, as mode choice demands",
        ),
    ],
)
def test_what_cannot_be_met_is_said(changes: dict[str, Any], words: str) -> None:
    found = smallest_limits(problem(**changes))
    assert not found.feasible
    assert words in found.message
    assert "\n" not in found.message


def test_a_larger_loss_may_do_before_an_epoch_in_which_nothing_works() -> None:
    gone = {"conditions": {"cloud_speed": [1, 1, 0, 1, 1, 1, 1]}, "widths": [8]}
    found = smallest_limits(problem(**gone))
    assert found.time_limit is None
    assert (
        "in epoch 3 no server and cut is possible for derived at 8 bits; within T_max it takes an L_max"
        in found.message
    )
    assert found.loss_limits == {"derived": 0.375}
    assert feasible(problem(**{**gone, "models[1].loss_limit": 0.375}))
    assert not feasible(problem(**{**gone, "models[1].loss_limit": 0.374}))


def test_neither_limit_alone_will_do() -> None:
    found = smallest_limits(problem(**{"models[1].loss_limit": 0.1, "widths": [8], "time_limit": 2.0}))
    assert (found.time_limit, found.loss_limits) == (None, {})
    assert "T_max of 2 s holds not one epoch" in found.message


def test_feasible_says_so() -> None:
    found = smallest_limits(problem())
    assert found.feasible
    assert found.message.startswith("feasible: the smallest T_max is ")
    assert found.fastest is not None


# --- the front of time and energy ------------------------------------------------------------------------------------


def energy_of(piece: Piece) -> float:
    """The least energy in a piece, the same all along."""
    assert piece.objective is not None
    return piece.objective(piece.start)


@pytest.mark.parametrize("mode", ["choice", "schedule", "path"])
def test_front_is_that_of_all_plans(mode: Any) -> None:
    """In mode path without costs of changing, which is a schedule; with them a method has to solve it."""
    several = 0
    for seed in range(8):
        asked = small(seed, mode, switching=False)
        front = breakpoints(asked)
        plans = sorted(by_enumeration(asked))
        best = math.inf
        expected = []
        for time, energy in plans:
            if energy < best * (1 - 1e-13):
                best = energy
                expected.append((time, energy))
        below, *steps = front
        assert below.plan is None
        assert below.objective is None
        assert (below.start, below.stop) == (0.0, front.values[0])
        assert [time for time, _ in expected] == pytest.approx(front.values, rel=1e-13)
        assert [energy for _, energy in expected] == pytest.approx([energy_of(s) for s in steps], rel=1e-13)
        several += len(steps) > 2
        for i, piece in enumerate(steps):
            own = candidate_at(asked, piece.plan.model, piece.plan.bits)
            reached = totals(own, states_of(own, checked_plan(asked, piece.plan)))
            assert reached == pytest.approx((energy_of(piece), piece.start), rel=1e-13)
            assert front.at(piece.start) is piece
            assert front.at(piece.start * (1 - 1e-13)) is piece, "within the slack of every limit"
            assert piece.stop == (front.values[i + 1] if i + 1 < len(steps) else math.inf)
        early = front.values[0] * (1 - 1e-9)
        assert front.at(early) is below
        assert front.objective(early) is None
        assert np.isnan(front.objectives([early])).all()
        middle = [piece.start * 1.0001 for piece in steps]
        assert front.objectives(np.array(middle)) == pytest.approx(
            [min(e for t, e in plans if t <= limit) for limit in middle], rel=1e-13
        )
    assert several >= 4


def test_front_of_paths_with_costs_of_changing() -> None:
    """Every plan that no other beats, by one search."""
    points = 0
    for seed in range(4):
        asked = small(seed, "path")
        assert asked.switching.costs
        front = breakpoints(asked)
        plans = by_enumeration(asked)
        for piece in front.pieces[1:]:
            energy = energy_of(piece)
            assert energy == pytest.approx(min(e for t, e in plans if t <= piece.start * (1 + 1e-12)), rel=1e-12)
            before = [e for t, e in plans if t < piece.start * (1 - 1e-11)]
            assert min(before, default=math.inf) > energy * (1 + 1e-13)
        assert front.values[0] == pytest.approx(min(t for t, _ in plans), rel=1e-12)
        points += len(front.values)
        if len(front.values) > 2:
            part = breakpoints(asked, low=front.values[1], high=front.values[2])
            assert [piece.start for piece in part] == pytest.approx(front.values[1:3], rel=1e-12)
            with pytest.raises(InputError, match="max_labels: found 1, and still no end"):
                breakpoints(asked, max_labels=1)
    assert points > 8


def test_front_up_to_a_limit() -> None:
    asked = small(3, "schedule")
    whole = breakpoints(asked)
    cut = breakpoints(asked, high=whole.values[2])
    assert cut.values == whole.values[:3]
    nothing = breakpoints(asked, high=whole.values[0] / 2)
    assert [piece.plan for piece in nothing] == [None]
    assert not nothing.feasible
    with pytest.raises(InputError, match="from 0 to"):
        cut.at(whole.values[2] * 2)
    low = whole.values[1] * 1.0001
    part = breakpoints(asked, low=low, high=whole.values[2])
    assert [piece.start for piece in part] == [low, whole.values[2]], "the first is the best at the low end"
    assert part.pieces[0].plan == whole.at(low).plan
    with pytest.raises(InputError, match="from"):
        part.objective(whole.values[0])
    ranges: list[dict[str, Any]] = [{"low": 2.0, "high": 2.0}, {"low": -1.0}, {"high": math.nan}, {"high": "9"}]
    for bad in ranges:
        with pytest.raises(InputError, match=f"{next(iter(bad))}: found"):
            breakpoints(asked, **bad)
    with pytest.raises(InputError, match="time_limit"):
        qopt.breakpoints(asked, "servers[0].speed")
    with pytest.raises(InputError, match="too many plans"):
        breakpoints(asked, max_labels=3)


def test_a_looser_loss_that_saves_is_found_beyond_the_epochs_that_are_needed_now() -> None:
    """A width that never reaches the present limit may reach a looser one, after any number of epochs."""
    asked = qopt.load("jqodi/fig5").replace({"time_limit": 1e6})
    name = next(limit.name for limit in limits_of(asked) if limit.name.startswith("loss "))
    now = qopt.solve(asked).objective
    assert now is not None
    found = least(asked, name, now, Clock(None))
    assert found.value is not None
    assert qopt.solve(changed(asked, {name: found.value})).objective < now  # type: ignore[operator]
    limit = asked.model(name.removeprefix("loss ")).loss_limit
    for share in (0.0, 0.25, 0.5, 0.75, 1.0 - 1e-6):
        between = limit + share * (found.value - limit)  # type: ignore[operator]
        saved = qopt.solve(changed(asked, {name: between})).objective
        assert not found.proved or saved == pytest.approx(now, rel=1e-9), between

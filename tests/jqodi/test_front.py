"""Fronts of JQODI problems: by enumeration, against the solver, anytime, and in three criteria."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import pytest
from jqodi_problems import MODES, possible_plans, solved

import qopt
from qopt.core.clock import Clock
from qopt.core.errors import InputError
from qopt.core.front import Front
from qopt.jqodi import generate
from qopt.jqodi.front import front, reached
from qopt.jqodi.losses import losses
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidate_at, totals

Point = tuple[float, ...]


def small(seed: int, losses_too: bool = False) -> Jqodi:
    rng = np.random.default_rng(seed)
    return generate.jqodi(
        int(rng.integers(1, 3 if losses_too else 5)),
        seed=seed,
        mode="path" if seed % 2 else MODES[seed // 2 % 3],
        servers=int(rng.integers(1, 4)),
        cuts=int(rng.integers(1, 3)),
        models=int(rng.integers(1, 3)),
        widths=(4, 8)[: int(rng.integers(1, 3))],
        estimate=("expected", "robust")[seed // 3 % 2],
        losses=losses_too,
        conditions=not losses_too,
        requests=float(rng.integers(0, 2) * 10),
    )


def best_of(points: list[Point]) -> list[Point]:
    """Points that no other is as good as in everything; what differs by rounding alone counts as equal."""
    kept: list[Point] = []
    for point in sorted(set(points)):
        if not any(all(a <= b * (1 + 1e-12) for a, b in zip(other, point, strict=True)) for other in kept):
            kept.append(point)
    return kept


def same_points(found: list[Point], expected: list[Point]) -> None:
    """Each of one list is as good as one of the other, up to rounding."""
    for one, other in ((found, expected), (expected, found)):
        for point in one:
            assert any(all(a <= b * (1 + 1e-11) for a, b in zip(x, point, strict=True)) for x in other), point


def values(found: Front, *names: str) -> list[Point]:
    return [tuple(float(point.values[name] or 0.0) for name in names) for point in found]


def check_energy_and_time(seed: int) -> None:
    asked = small(seed)
    expected = best_of([totals(own, states) for own, states in possible_plans(asked)])
    found = front(asked)
    assert found.proved
    assert [c.name for c in found.criteria] == ["energy", "time"]
    same_points(values(found, "energy", "time"), expected)
    for point in found.points[:: 1 + len(found) // 5]:
        own = asked.replace({"time_limit": point.values["time"] or 1.0})
        certificate = qopt.certify(own, point.plan)
        assert certificate.feasible
        assert math.isclose(certificate.objective or 0.0, point.values["energy"] or 0.0, rel_tol=1e-12)


def by_levels(asked: Jqodi) -> list[Point]:
    """Energy, time and loss of every plan over every number of epochs, one loss limit at a time."""
    points: list[Point] = []
    levels = {
        max(float(loss), 0.0)
        for model, width in asked.admissible
        for estimate in ("expected", asked.estimate)
        for loss in losses(*(model.loss_parts(width, estimate) or ((), ())), asked.needed(model, width) or 0)[1:]
    }
    for level in levels:
        models = [{**model.model_dump(), "loss_limit": level} for model in asked.models]
        own = Jqodi(**{**asked.model_dump(), "models": models})
        for candidate, states in possible_plans(own):
            model = asked.model(candidate.model)
            if candidate.epochs <= (asked.needed(model, model.width(candidate.bits)) or 0):
                points.append((*totals(candidate, states), level))
    return points


def check_three(seed: int) -> None:
    asked = small(seed, losses_too=True).replace({"inference": {"requests": 0.0}})
    found = front(asked, criteria=["energy", "time", "loss"])
    assert found.proved
    same_points(values(found, "energy", "time", "loss"), best_of(by_levels(asked)))


MANY = int(os.environ.get("QOPT_FRONTS", "150"))
"""Random problems of the sweep."""


@pytest.mark.parametrize("seed", range(10))
def test_energy_and_time_by_enumeration(seed: int) -> None:
    check_energy_and_time(seed)


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_energy_time_and_loss_by_enumeration(seed: int) -> None:
    check_three(seed)


@pytest.mark.sweep
@pytest.mark.parametrize("block", range(5))
def test_many_fronts_by_enumeration(block: int) -> None:
    for seed in range(100 + block, 100 + MANY, 5):
        check_energy_and_time(seed)


@pytest.mark.sweep
def test_many_fronts_of_three_by_enumeration() -> None:
    for seed in range(MANY // 20):
        check_three(seed)


def test_points_are_optima_for_their_time() -> None:
    asked = generate.jqodi(12, seed=4, servers=3, cuts=3, models=2)
    found = qopt.front(asked)
    assert found.proved
    assert len(found) > 20
    for point in found.points[::7]:
        solution = solved(asked.replace({"time_limit": point.values["time"] or 1.0}))
        assert solution.status == "optimal"
        assert math.isclose(solution.objective, point.values["energy"] or 0.0, rel_tol=1e-12)
    again = qopt.breakpoints(asked, "time_limit")
    assert len(again.points) == len(found)


class Steps(Clock):
    """A clock that is over after it was asked so often."""

    def __init__(self, steps: int) -> None:
        super().__init__(1.0)
        self.steps = steps

    @property
    def over(self) -> bool:
        self.steps -= 1
        return self.steps < 0

    def part(self, _: float) -> Clock:
        return self


def test_what_was_found_is_kept() -> None:
    asked = generate.jqodi(16, seed=4, servers=3, cuts=3, models=1, widths=(8,))
    whole = front(asked)
    counts = []
    for steps in (0, 3, 12, 20):
        part = front(asked, clock=Steps(steps))
        assert not part.proved
        assert part.points
        assert {point.solution.status for point in part} <= {"time-limit", "feasible"}
        for point in part:  # a plan of its own, no better than the whole front
            states = candidate_at(asked, point.plan.model, point.plan.bits)
            at = [states.index[x, j] for x, j in zip(point.plan.servers, point.plan.cuts, strict=True)]
            assert totals(states, at) == (point.values["energy"], point.values["time"])
        better = set(values(part, "energy", "time")) - set(values(whole, "energy", "time"))
        assert len(better) < len(part)
        counts.append(len(part))
    assert counts[0] < counts[-1]
    few = front(asked, max_labels=500)
    assert not few.proved
    assert few.points
    assert qopt.front(asked, time_limit=60.0).proved
    assert not reached(asked, False, 500, Clock(None))[0].proved


def test_a_time_that_is_over_while_plans_are_read_stopped_nothing() -> None:
    """Labels ended the search; that the time was over a little later is not why."""
    asked = generate.jqodi(16, seed=4, servers=3, cuts=3, models=1, widths=(8,))
    clock = Steps(10**9)
    reached(asked, False, 500, clock)
    found = front(asked, max_labels=500, clock=Steps(10**9 - clock.steps + 1))
    assert len(found) > 1
    assert {point.solution.status for point in found} == {"feasible"}
    assert found.notes == ("more than 500 partial plans",)


def test_bad_arguments() -> None:
    asked = small(1)
    bad: list[tuple[dict[str, Any], str]] = [
        ({"criteria": ["energy"]}, "criteria"),
        ({"criteria": ["energy", "time", "price"]}, "criteria"),
        ({"criteria": ["energy", "time", "time"]}, "criteria"),
        ({"criteria": 3}, "criteria"),
        ({"criteria": ["energy", "time", "loss"]}, "criteria"),
        ({"max_labels": 0}, "max_labels"),
        ({"time_limit": -1}, "time_limit"),
        ({"colour": 1}, "colour"),
    ]
    for options, field in bad:
        with pytest.raises(InputError, match=f"{field}: found"):
            qopt.front(asked, **options)

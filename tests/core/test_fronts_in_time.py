"""Fronts and breakpoints under a time limit: what was found is kept, true, and said not to be whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from clocks import CountingClock

import qopt
from qopt.allocation.generate import allocation
from qopt.core import solving
from qopt.core.envelope import Envelope
from qopt.core.families import FAMILIES
from qopt.jqodi.generate import jqodi
from qopt.placement.generate import placement
from qopt.qpart.generate import qpart

ASKED: dict[str, tuple[Callable[[], Any], str, dict[str, Any]]] = {
    "qpart": (lambda: qpart(4, seed=1, bits=(1, 4)), "rate", {}),
    "qpart, real": (lambda: qpart(4, seed=1), "objective.energy", {"bits": "real"}),
    "placement": (lambda: placement(6, seed=1), "links[0].rate", {}),
    "jqodi, choice": (lambda: jqodi(3, seed=1, mode="choice"), "time_limit", {}),
    "jqodi, schedule": (lambda: jqodi(3, seed=1, mode="schedule"), "time_limit", {}),
    "jqodi, path": (lambda: jqodi(3, seed=1, mode="path"), "time_limit", {}),
    "allocation": (lambda: allocation(6, seed=1), "bytes", {}),
}


def objectives(found: Envelope, values: list[float]) -> list[float]:
    """Objectives at some values; infinite where there is no plan."""
    return [math.inf if (at := found.objective(value)) is None else at for value in values]


def test_all_families_are_asked() -> None:
    assert {kind.split(",")[0] for kind in ASKED} == {f.name for f in FAMILIES.values() if f.breakpoints}


@pytest.mark.parametrize("kind", ASKED)
def test_wherever_the_clock_stops_breakpoints_what_is_kept_is_true(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    build, parameter, options = ASKED[kind]
    problem = build()
    whole = qopt.breakpoints(problem, parameter, **options)
    assert whole.complete
    inner = [piece.start for piece in whole if piece.objective is not None and math.isfinite(piece.start)][1:]
    values = [value for value in inner if value > 0] or [2.0]
    best = objectives(whole, values)
    assert qopt.breakpoints(problem, parameter, time_limit=60, **options).complete
    monkeypatch.setattr(solving, "Clock", CountingClock)
    for after in (0, 3, 10, 40, 200):
        found = qopt.breakpoints(problem, parameter, time_limit=after, **options)
        kept = objectives(found, values)
        assert all(a >= b * (1 - 1e-9) for a, b in zip(kept, best, strict=True))
        assert (found.low, found.high) == (whole.low, whole.high)
        assert found.pieces[0].start == whole.low
        assert found.pieces[-1].stop == whole.high
        if found.complete:
            np.testing.assert_allclose(kept, best, rtol=1e-9)
        else:
            assert "not whole" in str(found)
            assert found.to_dict()["complete"] is False
    assert not qopt.breakpoints(problem, parameter, time_limit=0, **options).complete


def test_wherever_the_clock_stops_a_front_what_is_kept_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = placement(6, seed=1)
    whole = qopt.front(problem)
    assert whole.complete
    assert qopt.front(problem, time_limit=60).complete
    least = {p.name: p.values["objective"] for p in (*whole.points, *whole.dominated)}
    monkeypatch.setattr(solving, "Clock", CountingClock)
    seen = set()
    for after in (0, 5, 30, 60, 120, 250, 500):
        found = qopt.front(problem, time_limit=after)
        seen.add(found.complete)
        for point in (*found.points, *found.dominated):
            best, value = least[point.name], point.values["objective"]
            assert best is not None
            assert value is None or value >= best * (1 - 1e-9)
            assert point.plan is None or point.solution.certificate.feasible
        if found.complete:
            assert [p.name for p in found] == [p.name for p in whole]
        else:
            assert not found.proved
            assert "not whole" in str(found)
    assert False in seen


@pytest.mark.parametrize("bad", [-1, "1", math.nan, True])
def test_a_time_limit_that_is_none(bad: Any) -> None:
    for ask in (qopt.front, lambda p, **o: qopt.breakpoints(p, "links[0].rate", **o)):
        with pytest.raises(qopt.InputError, match=r"^time_limit: found .*; allowed: seconds >= 0$"):
            ask(placement(3, seed=1), time_limit=bad)
    with pytest.raises(qopt.InputError, match=r"^clock: found "):
        qopt.front(placement(3, seed=1), clock=None)

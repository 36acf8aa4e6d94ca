"""Where the time of a solve goes: phases are disjoint and sum up, and nothing is kept where nobody records."""

from __future__ import annotations

import pytest

import qopt
from qopt.core.phases import POINTS, Record, phase, recorder, recording, say, shift, teller


def test_phases_of_a_method_with_a_solver_are_its_seconds() -> None:
    for name, method in (
        ("qpart/teaching-3", "highs-mip"),
        ("qpart/teaching-3", "pyomo"),
        ("placement/teaching-5", "cvxpy"),
    ):
        with recording() as record:
            solution = qopt.solve(name, method)
        assert {"build", "hand_over", "solve", "extract", "certify"} <= record.seconds.keys()
        assert all(seconds >= 0 for seconds in record.seconds.values())
        told = sum(seconds for phase, seconds in record.seconds.items() if phase != "certify")
        assert told >= 0.9 * solution.seconds
        assert len(record.said) == 1
    assert recorder() is None


def test_incumbents_and_bounds_of_highs_are_the_problems() -> None:
    with recording() as record:
        solution = qopt.solve(qopt.generate.qpart(6, seed=2), "highs-mip")
    assert record.trace
    objective = solution.objective
    assert objective is not None
    for _, incumbent, bound in record.trace:
        assert incumbent is None or incumbent >= objective * (1 - 1e-6)
        assert bound is None or bound <= objective * (1 + 1e-6)
    assert [point[0] for point in record.trace] == sorted(point[0] for point in record.trace)


def test_a_phase_inside_another_stops_its_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr("qopt.core.phases.time.perf_counter", lambda: float(next(now)))
    with recording() as record:  # 0
        with phase("hand_over"):  # 1: a second of building
            with phase("solve"):  # 2
                pass  # 3
            shift("hand_over", "solve", 0.5)  # 4
        record.close()  # 5, 6
    assert record.seconds == {"build": 1.0, "hand_over": 2.5, "solve": 1.5, "extract": 1.0}


def test_long_traces_are_thinned_and_keep_their_ends() -> None:
    record = Record()
    for step in range(50 * POINTS):
        record.point(1.0, -1.0 / (step + 1))
    assert len(record.trace) <= POINTS
    assert record.trace[0][1:] == (1.0, -1.0)
    assert record.trace[-1][2] is not None
    assert record.trace[-1][2] > -1.0 / (49 * POINTS)


def test_nobody_records() -> None:
    with phase("solve"):
        say("HiGHS", "Optimal")
        shift("hand_over", "solve", 1.0)
    assert teller() is None

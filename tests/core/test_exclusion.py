"""The loop that cuts off points which break a limit: why it ends, and what it hands back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qopt.core.clock import Clock
from qopt.core.errors import InputError, MethodError
from qopt.core.method import Options
from qopt.core.solvers import pyomo as pyomo_solvers
from qopt.core.solvers.exclusion import Found, Round, solve_and_exclude
from qopt.core.solvers.pyomo import choose


class Counting:
    """A solver that answers 1, 2, 3, ...: the first that is not excluded, at least `least`."""

    def __init__(self, least: int, **said: Any) -> None:
        self.least, self.said, self.excluded = least, said, set[int]()

    def solve(self) -> Round[int]:
        point = next(n for n in range(1, 10**6) if n not in self.excluded)
        return Round(**{"status": "optimal", "point": point, "bound": float(point), "nodes": 2, **self.said})

    def broken(self, point: int) -> str | None:
        return None if point >= self.least else f"{point} < {self.least}"

    def run(self, *, limit: float | None = None, **options: Any) -> Found[int]:
        return solve_and_exclude(self.solve, self.broken, self.excluded.add, clock=Clock(limit), **options)


def test_points_are_cut_off_until_one_keeps_the_limit() -> None:
    found = Counting(4).run()
    assert found == Found("optimal", 4, 4.0, 8, "", 4)


def test_a_solver_without_a_point_has_the_last_word() -> None:
    asked = Counting(4, point=None, status="infeasible", message="no")
    assert asked.run() == Found("infeasible", None, 1.0, 2, "no", 1)


def test_the_last_bound_that_was_said_stays() -> None:
    said: Iterator[Round[int]] = iter((Round("optimal", 1, 1.0), Round("infeasible", nodes=3)))
    found = solve_and_exclude(lambda: next(said), lambda _: "a limit", lambda _: None, clock=Clock(None))
    assert found == Found("infeasible", None, 1.0, 3, "", 2)


def test_the_clock_ends_it() -> None:
    found = Counting(4).run(limit=0.0)
    assert found == Found("time-limit", None, 1.0, 2, "the solver's point breaks 1 < 4", 1)


def test_a_solver_that_stopped_early_is_not_asked_again() -> None:
    found = Counting(4, status="time-limit").run()
    assert (found.status, found.point, found.rounds) == ("time-limit", None, 1)
    found = Counting(4, status="failed").run()
    assert (found.status, found.point, found.rounds) == ("failed", None, 1)
    assert Counting(1, status="time-limit").run() == Found("time-limit", 1, 1.0, 2, "", 1)


def test_there_is_a_last_round() -> None:
    found = Counting(10**6).run(most=7)
    assert found == Found("failed", None, 7.0, 14, f"7 points of the solver break 7 < {10**6}", 7)


def test_a_point_that_comes_back_ends_it() -> None:
    """Each round removes a point, so there are no more rounds than points; a solver that ignores its rows is failed."""
    found = Counting(4, point=1).run()
    assert found == Found("failed", None, 2.0, 4, "the solver's point breaks 1 < 4, and was cut off before", 2)


@pytest.mark.parametrize("solver", [None, "highs", "cbc", "glpk"])
def test_what_a_solver_takes_is_checked_first(solver: str | None) -> None:
    named = solver or "highs"
    for seed in (-1, 2**31, 1.0, True):
        with pytest.raises(InputError, match=rf"^seed: found .*; allowed: a whole number .*\(solver {named}\)$"):
            choose(Options(solver=solver, seed=seed))  # type: ignore[arg-type]
    if named == "glpk":
        with pytest.raises(InputError, match=r"^threads: found 2; allowed: 1, because glpk runs on one thread$"):
            choose(Options(solver=solver, threads=2))
    else:
        choose(Options(solver=solver, threads=2, seed=0))
    choose(Options(solver=solver, threads=1, seed=2**31 - 1))


def test_an_unknown_solver_is_named() -> None:
    with pytest.raises(MethodError, match=r"^solver abacus: found no such solver; allowed: highs, scip, cbc, glpk, "):
        choose(Options(solver="abacus"))


@pytest.mark.parametrize("solver", ["cbc", "glpk"])
def test_infeasible_after_the_clock_is_no_proof(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = pyomo_solvers.Answer("infeasible", False, None)
    monkeypatch.setattr(pyomo_solvers, "run_program", lambda name, *_: said if name == solver else None)
    run = choose(Options(solver=solver))
    assert run(None, Clock(0.0)).status == "time-limit"
    assert run(None, Clock(None)) == said
    assert run(None, Clock(100.0)) == said

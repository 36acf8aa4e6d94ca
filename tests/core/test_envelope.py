"""One class of envelopes and one of fronts for all families: lookup at the ends, ranges without a plan, dominance."""

from __future__ import annotations

import itertools
import json
import math
import random
from typing import Any

import numpy as np
import pytest

import qopt
from qopt.core.envelope import Envelope, Line, Piece, of_lines
from qopt.core.errors import InputError
from qopt.core.front import Criterion, FrontPoint, front_of

PLAN = qopt.solve("qpart/teaching-3").plan
WHERE: dict[str, Any] = {"problem": "p", "parameter": "x", "unit": "s"}


@pytest.mark.parametrize("inverse", [False, True])
def test_an_envelope_is_the_least_of_its_lines(inverse: bool) -> None:
    rnd = random.Random(1)
    for _ in range(200):
        lines = [(rnd.randint(0, 9), rnd.randint(0, 6)) for _ in range(rnd.randint(1, 6))]
        found = of_lines(lines, [PLAN] * len(lines), **WHERE, low=0.5, high=8.0, inverse=inverse)
        assert (found.pieces[0].start, found.pieces[-1].stop) == (0.5, 8.0)
        assert all(a.stop == b.start for a, b in itertools.pairwise(found))
        values = np.array([rnd.uniform(0.5, 8.0) for _ in range(9)] + found.values + [0.5, 8.0])
        least = [min(a + b * (1 / v if inverse else v) for a, b in lines) for v in values]
        assert found.objectives(values) == pytest.approx(least)
        assert [found.objective(v) for v in values] == pytest.approx(least)


def test_a_range_without_plans_is_one_piece_without_an_objective() -> None:
    nothing = of_lines([], [], **WHERE, low=0.0, high=math.inf)
    assert not nothing.feasible
    assert [(piece.start, piece.stop, piece.plan, piece.objective) for piece in nothing] == [
        (0.0, math.inf, None, None)
    ]
    assert nothing.objective(3.0) is None
    assert np.isnan(nothing.objectives([[1.0, 2.0]])).tolist() == [[True, True]]
    assert nothing.points == nothing.values == []
    assert json.loads(json.dumps(nothing.to_dict()))["pieces"][0]["stop"] is None


def test_a_limit_holds_from_what_a_plan_uses_with_its_slack() -> None:
    made: list[int] = []
    pieces = (
        Piece(0.0, 0.3, None, None),
        Piece(0.3, 5.0, Line(7.0), lambda: (made.append(1), PLAN)[1]),
        Piece(5.0, math.inf, Line(2.0), PLAN),
    )
    found = Envelope(**WHERE, pieces=pieces, low=0.0, high=math.inf, limit=True)
    assert found.at(0.1 + 0.2).objective == Line(7.0)
    assert found.at(0.3 * (1 - 1e-13)).objective == Line(7.0), "within the slack"
    assert found.objective(0.3 * (1 - 1e-11)) is None
    assert (found.objective(4.9), found.objective(5.0), found.objective(math.inf)) == (7.0, 2.0, 2.0)
    assert not made, "plans are made when asked for"
    assert found.at(1.0).plan is found.at(2.0).plan is PLAN
    assert made == [1]
    assert found.points == [(0.3, 7.0), (5.0, 2.0)]
    assert found.values == [0.3, 5.0]
    assert found.by("cut") == [(0.0, 0.3, None), (0.3, math.inf, PLAN.cut)]


@pytest.mark.parametrize("value", [0.4, 9.0, math.nan, "1", None, True])
def test_values_outside_are_refused_in_one_line(value: Any) -> None:
    found = of_lines([(1, 1)], [PLAN], **WHERE, low=0.5, high=8.0)
    with pytest.raises(InputError) as error:
        found.at(value)
    assert error.value.field == "x"
    assert "\n" not in str(error.value)


def test_a_front_is_what_no_other_point_dominates() -> None:
    rnd = random.Random(2)
    solution = qopt.solve("qpart/teaching-3")
    empty = qopt.solve(qopt.load("qpart/teaching-3").replace({"device.memory": 0.0, "cuts": [2]}))
    criteria = (Criterion("gain", "", "max"), Criterion("cost", "J"))
    for _ in range(300):
        drawn = [(rnd.randint(0, 4), rnd.randint(0, 4)) for _ in range(rnd.randint(0, 7))]
        candidates = [
            FrontPoint(str(i), {"gain": float(g), "cost": float(c)}, solution) for i, (g, c) in enumerate(drawn)
        ]
        candidates.append(FrontPoint("none", {"gain": 9.0, "cost": None}, empty))
        found = front_of("p", criteria, candidates)
        expected = {
            str(i)
            for i, (g, c) in enumerate(drawn)
            if not any(h >= g and d <= c and (h, d) != (g, c) for h, d in drawn)
        }
        assert {point.name for point in found} == expected
        assert len(found) + len(found.dominated) == len(candidates)
        assert found.dominated[-1].name == "none"
        gains = [point.values["gain"] for point in found]
        assert gains == sorted(gains, reverse=True)


def test_every_family_gives_the_same_kinds_of_objects() -> None:
    for name, parameter in (("qpart/teaching-3", "rate"), ("placement/teaching-5", "links[1].rate")):
        assert isinstance(qopt.breakpoints(name, parameter), qopt.Envelope)
    by_limit = qopt.breakpoints("jqodi/fig5", "time_limit")
    assert isinstance(by_limit, qopt.Envelope)
    assert by_limit.axis == "time_limit [s]"
    assert isinstance(qopt.front("placement/teaching-5"), qopt.Front)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: qopt.certify("placement/teaching-5", None, labels=5), "labels: found 5; allowed: nothing: "),
        (lambda: qopt.breakpoints("qpart/teaching-3", "rate", foo=1), "foo: found 1; allowed: nothing: "),
        (lambda: qopt.breakpoints("placement/teaching-5", "links[1].rate", bits="real"), "bits: found 'real'"),
        (lambda: qopt.front("placement/teaching-5", foo=1), "foo: found 1; allowed: nothing: "),
        (lambda: qopt.front("qpart/teaching-3", against=5), "against: found 5; allowed: noise or memory or time or "),
        (lambda: qopt.certify(3, None), "problem: found 3"),
        (lambda: qopt.certify("qpart/teaching-3", None, labels="x"), "labels: found 'x'; allowed: a whole number >= 0"),
        (lambda: qopt.certify("jqodi/fig5", None, labels=-1), "labels: found -1; allowed: a whole number >= 0"),
        (lambda: qopt.certify("qpart/teaching-3", {}), "plan: found a dict; allowed: a plan for a qpart problem"),
        (
            lambda: qopt.breakpoints("jqodi/fig5", "time_limit", max_labels="x"),
            "max_labels: found 'x'; allowed: a",
        ),
        (lambda: qopt.breakpoints("qpart/teaching-3", "rate", low="x"), "low: found 'x'; allowed: a number"),
        (lambda: qopt.compare(3), "problems: found 3; allowed: a list of problems"),
        (lambda: qopt.compare("qpart/nothing"), "instance: found 'qpart/nothing'; allowed: the path"),
        (lambda: qopt.compare("qpart/teaching-3", "nothing"), "method: found 'nothing'"),
        (lambda: qopt.compare(["qpart/teaching-3"], 5), "methods: found 5; allowed: a list of names"),
    ],
)
def test_options_that_a_family_does_not_take(call: Any, line: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_one_problem_and_one_method_are_a_list_of_one() -> None:
    problem = qopt.load("qpart/teaching-3")
    for one in (problem, "qpart/teaching-3", [problem]):
        for method in ("mckp", ["mckp"]):
            table = qopt.compare(one, method)
            assert table[["problem", "method"]].to_numpy().tolist() == [["teaching-3", "mckp"]]

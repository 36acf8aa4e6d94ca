"""What a fleet refuses, and what it says of itself."""

from __future__ import annotations

from typing import Any

import pytest

import qopt

BAD = [
    (
        {"classes.camera.server": [None, "edge", "cloud"]},
        r"classes.camera.server\[2\]: found 'cloud'; allowed: a server",
    ),
    ({"classes.camera.work": [1, 5, 2]}, r"classes.camera.work\[0\]: found 1; allowed: 0 where server is null"),
    ({"classes.camera.cost": [12, 2]}, r"classes.camera.cost: found 2 entries; allowed: 3, one for each option"),
    ({"classes.camera.cost": [12, -2, 5]}, r"classes.camera.cost\[1\]: found -2"),
    ({"classes.camera.cost": [12, 2.5, 5]}, r"classes.camera.cost\[1\]: found 2.5; allowed: a whole number"),
    ({"classes.camera.name": ["a", "a", "b"]}, r"classes.camera.name: found 'a' twice"),
    ({"classes.camera.name": []}, r"classes.camera.name: found \(\)|classes.camera.name"),
    ({"classes": {}}, r"classes: found \{\}"),
    ({"requests.kind": [0, 0, 1, 0]}, r"requests.kind\[2\]: found 1; allowed: the place of a class, 0 to 0"),
    ({"requests.cell": [0, 0, 0, 7]}, r"requests.cell\[3\]: found 7; allowed: the place of a cell, 0 to 0"),
    ({"requests.penalty": [1, 1, 1]}, r"requests.penalty: found 3 entries; allowed: 4, one for each request"),
    ({"requests.penalty": [1, 1, 1, 2**52]}, r"requests.penalty\[3\]: found 4503599627370496; allowed: at most"),
    ({"requests.up": [1, 1, 2, float("nan")]}, r"requests.up\[3\]: found nan"),
    ({"requests.count": [0, 0, 0, 0]}, r"requests.count: found 0 requests"),
    ({"servers.edge.work": -1}, r"servers.edge.work: found -1; allowed: a number >= 0"),
    ({"servers.edge.work": 1.5}, r"servers.edge.work: found 1.5"),
    ({"units.time": 0.0}, r"units.time: found 0.0; allowed: a number > 0"),
]


@pytest.mark.parametrize(("changes", "line"), BAD)
def test_bad_fields_are_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(qopt.InputError, match=line) as caught:
        qopt.load("fleet/teaching-4").replace(changes)
    assert "\n" not in str(caught.value)


def test_no_capacity_is_a_plan_that_refuses() -> None:
    problem = qopt.load("fleet/teaching-4")
    tight = problem.replace({"servers.edge.work": 0, "classes.camera.cost": [20, 2, 5], "best_known": None})
    for method in ("mckp", "lagrangian", "column-generation", "own-best"):
        found = qopt.solve(tight, method)
        assert (found.objective, found.certificate.cost.refused) == (60, 4)
    late = problem.replace({"requests.deadline": [0, 0, 0, 0], "classes.camera.time": [1, 1, 1]})
    assert qopt.solve(late, "lagrangian").objective == 60


def test_counts_are_requests() -> None:
    problem = qopt.load("fleet/teaching-4")
    twice = problem.replace(
        {"requests": {"kind": [0, 0], "cell": [0, 0], "penalty": [15, 15], "up": [1, 2], "count": [2, 2]}}
    )
    assert str(twice).splitlines()[1].strip() == "4 requests in 2 rows of 1 class"
    assert qopt.solve(twice).objective == qopt.solve(problem).objective == 26
    mixed = qopt.solve(twice.replace({"servers.edge.work": 7}))
    assert mixed.plan.splits
    assert mixed.objective == qopt.solve(problem.replace({"servers.edge.work": 7})).objective


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        ({"option": [1, 1, 1]}, r"plan.option: found 3 entries; allowed: 4"),
        ({"option": [1, 1, 1, 4]}, r"plan.option\[3\]: found 4; allowed: 0 to 3"),
        (
            {"option": [1, 1, 1, 1], "splits": [[0, 2, 2]]},
            r"plan.splits\[0\]: found 2 requests; allowed: at most the 1",
        ),
        ({"option": [1, 1, 1, 1], "splits": [[9, 2, 1]]}, r"plan.splits\[0\]: found \[9, 2, 1\]"),
    ],
)
def test_plans_that_do_not_fit_are_one_line(plan: dict[str, Any], line: str) -> None:
    with pytest.raises(qopt.InputError, match=line):
        qopt.certify("fleet/teaching-4", qopt.FleetPlan(**plan))

"""A link's latency is paid once, whatever crosses it: all tensors over a link are one message."""

from __future__ import annotations

from fractions import Fraction

import pytest
from every_placement import Reading, best_of_all

import qopt
from qopt.placement.breakpoints import exact_cost
from qopt.placement.costs import breakdown, labelling, paid
from qopt.placement.plan import PlacementPlan, labels_of
from qopt.placement.problem import Placement
from qopt.placement.terms import terms

TEACHING = qopt.load("placement/teaching-5")
TIERS = dict(zip(TEACHING.graph.operations, ("edge", "edge", "edge", "cloud", "cloud"), strict=True))
"""Over the link to the cloud go what conv writes, which add reads, and what block writes."""


def forked(**fields: object) -> Placement:
    """Three operations on two tiers, of which two are ends: nobody reads what they write."""
    graph = {
        "operations": ["a", "b", "c"],
        "work": [1, 40, 20],
        "weights": [0, 0, 0],
        "tensors": [{"producer": "a", "readers": ["b", "c"], "size": 2}],
    }
    return Placement(
        **{
            "name": "forked",
            "graph": graph,
            "input": {"sizes": [100], "readers": ["a"]},
            "tiers": [{"name": "mobile", "speed": 1}, {"name": "edge", "speed": 10}],
            "links": [{"rate": 1, "latency": 25}],
            "operators": [{"name": "identity", "accuracy": 1}],
            **fields,
        }
    )


def test_two_tensors_over_a_link_are_one_message() -> None:
    plan = PlacementPlan(operator="identity", tiers=TIERS)
    problem = TEACHING.replace({"links[0].latency": 10.0, "links[1].latency": 1.0})
    # 6 + 1 + 4 + 8 up to and on the edge; 16 + 16 to the cloud, where add and classify take 0 + 2
    assert breakdown(TEACHING, plan).latency == 53
    found = breakdown(problem, plan)
    assert found.latency == 53 + 10 + 1
    assert found.sending == (6 + 10, 16 + 16 + 1)
    assert exact_cost(problem, plan) == 64
    own = terms(problem, problem.operator("identity"))
    assert sum(map(Fraction, paid(labelling(problem, own), labels_of(problem, own, plan)))) == 64


def test_where_the_cut_moves() -> None:
    """Quantized, classify takes 4 s on the edge, 1 + 2 on the cloud and the message to it: equal at 1 s."""
    found = qopt.breakpoints(TEACHING, "links[1].latency", low=0.25, high=4.0)
    assert [piece.plan.tiers["classify"] for piece in found.pieces] == ["cloud", "edge"]
    assert found.pieces[0].stop == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("latency", [0.0, 5.0, 25.0, 26.0, 51.0, 53.0])
def test_of_several_ends_the_highest_counts(latency: float) -> None:
    """b saves 36 s on the edge and c 18; the tensor takes 2: both pay for a message of 52 s, b alone for one of 34."""
    problem = forked(links=[{"rate": 1, "latency": latency}])
    best = best_of_all(problem)
    assert best is not None
    assert best[2] == {"a": "mobile", "b": "edge", "c": "edge"} if latency < 52 else dict.fromkeys("abc", "mobile")
    for method in ("mincut", "cut-branch", "highs-mip", "pyomo", "cvxpy", "brute-force"):
        solution = qopt.solve(problem, method)
        assert solution.objective == pytest.approx(best[0], rel=1e-9), method
        assert solution.certificate.proved, method


def test_a_limit_counts_it_once() -> None:
    """On the mobile 61 s, with b on the edge 1 + 2 + 25 + 4 + 20, with both 1 + 2 + 25 + 4 + 2: one row for all."""
    problem = forked(objective={"time": 0, "energy": 1}, targets={"latency": 34.0})
    problem = problem.replace({"tiers[1].power": 1.0})
    for method in ("cut-branch", "highs-mip", "brute-force"):
        solution = qopt.solve(problem, method)
        assert solution.plan.tiers == {"a": "mobile", "b": "edge", "c": "edge"}, method
        assert solution.certificate.cost.latency == 34
        assert solution.certificate.proved, method
    assert qopt.solve(problem.replace({"targets.latency": 33.9})).status == "infeasible"


def test_an_input_born_higher_pays_for_what_is_above() -> None:
    tiers = [{"name": name, "speed": 1} for name in ("mobile", "edge", "cloud")]
    links = [{"rate": 1, "latency": 7}, {"rate": 1, "latency": 11}]
    problem = forked(tiers=tiers, links=links, input={"sizes": [1], "readers": ["a"], "tier": "edge"})
    for place, seconds in (("edge", 61.0), ("cloud", 61.0 + 1 + 11)):
        plan = PlacementPlan(operator="identity", tiers=dict.fromkeys("abc", place))
        assert breakdown(problem, plan).latency == seconds
        assert Reading(problem, "identity").costs(plan.tiers, 0)[0] == seconds

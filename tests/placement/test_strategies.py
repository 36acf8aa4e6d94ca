"""The study's strategies, the front, recommendations, and break-even values."""

from __future__ import annotations

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from sweeps import few, swept

import qopt
from qopt import plots
from qopt.core.errors import InputError
from qopt.placement.generate import placement
from qopt.placement.halves import first_half
from qopt.placement.plots import _labels
from qopt.placement.problem import Placement
from qopt.placement.strategies import extremes
from qopt.placement.terms import Terms, terms

mpl.use("Agg")

TEACHING = "placement/teaching-5"


# --- strategies ----------------------------------------------------------------------------------------------------


def test_eighteen_strategies() -> None:
    table = qopt.strategies(TEACHING)
    assert len(table) == 18
    latency = dict(zip(table.strategy, table.latency, strict=True))
    assert latency["identity on mobile"] == 82
    assert latency["identity on edge"] == 27
    assert latency["identity on cloud"] == 36
    assert latency["quantized on edge"] == 17
    assert latency["early exit on edge"] == 19
    # halves: prepare and conv | block, add, classify
    assert latency["identity split on edge-cloud"] == 31
    assert latency["identity split on mobile-edge"] == 2 + 16 + 32 / 8 + 8 + 8
    assert latency["identity split on mobile-cloud"] == 2 + 16 + 32 / 8 + 32 / 2 + 2 + 2
    # quantized early exit: prepare, conv (100 bytes) | classify (75)
    assert latency["quantized early exit split on edge-cloud"] == 6 + 1 + 2 + 8 / 2 + 2
    assert not table[table.operator == "early exit"].feasible.any(), "below the accuracy target"
    assert table[table.operator == "quantized"].feasible.all()
    best = qopt.solve(TEACHING).objective
    assert best is not None
    assert table[table.feasible].objective.min() == 16 + 1 > best


def test_strategies_follow_the_sizes() -> None:
    problem = qopt.load(TEACHING)
    assert extremes(problem) == ["identity", "quantized early exit"]
    assert len(qopt.strategies(problem, split=["quantized"])) == 12 + 3
    with pytest.raises(InputError, match="split"):
        qopt.strategies(problem, split=["other"])
    with pytest.raises(InputError, match="a placement"):
        qopt.strategies("qpart/teaching-3")


def split_point(own: Terms) -> int | None:
    """How many operations are in the first half, which are the first here."""
    first = first_half(own)
    if first is None:
        return None
    assert np.all(first[:-1] >= first[1:])
    return int(first.sum())


def test_split_point_by_hand() -> None:
    problem = qopt.load(TEACHING)
    identity = problem.operator("identity")
    for weights, together, point in (
        ([0, 400, 300, 0, 300], [], 2),
        ([0, 100, 100, 0, 200], [], 4),  # equal after block and after add: the latest
        ([0, 0, 0, 0, 9], [], 4),
        ([9, 0, 0, 0, 0], [], 4),
        ([0, 250, 250, 300, 100], [], 2),  # nearest to half after block, but add reads what conv wrote, too
        ([0, 400, 300, 0, 300], [["conv", "block"]], 4),
        ([0, 400, 300, 0, 300], [["prepare", "classify"]], None),
    ):
        changed = problem.replace({"graph.weights": weights, "graph.together": together})
        assert split_point(terms(changed, identity)) == point, weights


def test_split_point_with_a_tensor_shared_everywhere() -> None:
    """Where every point shares a tensor, the fewest decide: here of the picture, read first and last."""
    problem = qopt.load(TEACHING).replace({"input.readers": ["prepare", "classify"]})
    assert split_point(terms(problem, problem.operator("identity"))) == 2


# --- front and recommendation --------------------------------------------------------------------------------------


def test_front() -> None:
    found = qopt.front(TEACHING)
    points = sorted((*found, *found.dominated), key=lambda p: -p.row["accuracy"])
    assert {p.name: (p.solution.objective, p in found.points, p.facts["tiers"]) for p in points} == {
        "identity": (25.0, True, "edge-cloud"),
        "quantized": (13.0, True, "mobile-edge-cloud"),
        "early exit": (19.0, False, "edge"),
        "quantized early exit": (10.0, True, "mobile-edge"),
    }
    assert [p.values["accuracy"] for p in points] == [0.8, 0.78, 0.7, 0.68]
    assert [p.name for p in found] == ["identity", "quantized", "quantized early exit"]
    assert all(p.solution.status == "optimal" and p.row["proved"] for p in points)
    assert found.proved
    table = found.to_dataframe()
    assert table["on_front"].tolist() == [True, True, True, False]
    assert table["objective"].tolist() == [25.0, 13.0, 10.0, 19.0]
    assert [set(p["plan"]["tiers"].values()) <= {"mobile", "edge", "cloud"} for p in found.to_dict()["points"]] == [
        True
    ] * 3


def test_front_with_an_operator_that_fits_nowhere() -> None:
    problem = qopt.load(TEACHING).replace({f"tiers[{k}].memory": 100 for k in range(3)})
    found = qopt.front(problem)
    on, off = ({p.name: p for p in points} for points in (found.points, found.dominated))
    assert off["identity"].solution.status == "infeasible"
    assert off["identity"].plan is None
    assert off["identity"].row["tiers"] is None
    assert "quantized" in on


def test_recommendations() -> None:
    for targets, operator, objective in (
        ({"accuracy": 0.79}, "identity", 25),
        ({"accuracy": 0.75}, "quantized", 13),
        ({}, "quantized", 13),
        ({"accuracy": 0.0}, "quantized early exit", 10),
        ({"accuracy": 0.0, "latency": 26}, "quantized early exit", 10),
        ({"accuracy": 0.6, "latency": 9.9}, None, None),
        ({"latency": 25}, "identity", 25),
        ({"latency": 24.9}, "quantized", 13),
        ({"latency": 12}, None, None),  # the problem's own accuracy target holds
    ):
        found = qopt.recommend(TEACHING, **targets)
        assert found.objective == objective, targets
        assert found.status == ("optimal" if operator else "infeasible")
        assert (found.plan.operator if found.plan else None) == operator
    for targets in ({"accuracy": 2}, {"latency": math.nan}, {"latency": -1}, {"accuracy": "high"}):
        with pytest.raises(InputError):
            qopt.recommend(TEACHING, **targets)


# --- break-even ----------------------------------------------------------------------------------------------------


def moved(problem: Placement, parameter: str, value: float) -> Placement:
    return problem.replace({"input.sizes": [value]} if parameter == "input.size" else {parameter: value})


def test_break_even_by_hand() -> None:
    problem = qopt.load(TEACHING)
    found = qopt.breakpoints(problem, "links[1].rate")
    # quantized: classify moves up where 2/r + 2 = 4; block and add follow where 8/r + 2 + 2 = 2/r + 4 + 2; conv and the
    # rest follow where 16/r + 1 + 2 + 2 = 8/r + 2 + 2 + 2
    assert found.values == pytest.approx([1.0, 3.0, 8.0], rel=1e-15)
    assert [sum(t == "cloud" for t in piece.plan.tiers.values()) for piece in found.pieces] == [0, 1, 3, 4]
    assert found.at(2.0).plan == qopt.solve(problem).plan
    sizes = qopt.breakpoints(problem, "input.size")
    # on the cloud s/8 + s/2 + 6, from the edge s/8 + 10, and 13 if prepared on the mobile
    assert sizes.values == [8.0, 24.0]
    assert sizes.objectives([4.0, 8.0, 16.0, 48.0]).tolist() == [8.5, 11.0, 12.0, 13.0]
    assert [sizes.objective(x) for x in (4.0, 8.0, 16.0, 48.0)] == [8.5, 11.0, 12.0, 13.0]
    assert (found.axis, sizes.axis) == ("links[1].rate [bit/s]", "input.size [bit]")
    assert [tier for _, _, tier in found.by("operator")] == ["quantized"]


PARAMETERS = [
    ("links[0].rate", {}),
    ("links[1].rate", {"low": 1e4, "high": 1e9}),
    ("input.size", {}),
    ("tiers[0].speed", {}),
    ("links[0].latency", {}),
    ("links[0].overhead", {"low": 0.5, "high": 4.0}),
    ("tiers[2].price", {}),
    ("objective.energy", {}),
]


@pytest.mark.parametrize(("parameter", "settings"), PARAMETERS, ids=[p for p, _ in PARAMETERS])
@pytest.mark.parametrize("seed", swept((0, 1, 3), lambda seed: seed > 0))
def test_break_even_against_sampling(parameter: str, settings: dict[str, float], seed: int) -> None:
    objective = {"time": 1.0, "energy": 0.05, "price": 0.3}
    problem = placement(9, seed=seed, branches=0.5, objective=objective, memory=0.4 if seed == 3 else None)
    found = qopt.breakpoints(problem, parameter, **settings)
    low, high = found.pieces[0].start, found.pieces[-1].stop
    assert all(a.stop == b.start for a, b in zip(found.pieces, found.pieces[1:], strict=False))
    assert found.solved <= 3 * len(found.pieces) + 2
    inside = np.array(found.values)
    samples = [*np.geomspace(low, high, few(16)), *inside, *(inside * (1 - 1e-6)), *(inside * (1 + 1e-6))]
    for value in np.clip(samples, low, high):
        best = qopt.solve(moved(problem, parameter, float(value))).objective
        assert found.objective(float(value)) == pytest.approx(best, rel=1e-10)
    for piece in found.pieces:
        middle = math.sqrt(piece.start * piece.stop)
        certified = qopt.certify(moved(problem, parameter, middle), piece.plan)
        assert certified.feasible
        assert certified.objective == pytest.approx(float(found.objective(middle)), rel=1e-12)


def test_break_even_without_a_plan() -> None:
    problem = qopt.load(TEACHING).replace({"targets.accuracy": 0.99})
    found = qopt.breakpoints(problem, "links[0].rate")
    assert not found.feasible
    assert [(piece.plan, piece.objective) for piece in found] == [(None, None)]
    assert found.at(1.0).plan is None
    assert found.objective(1.0) is None


@pytest.mark.parametrize(
    ("parameter", "settings", "field"),
    [
        ("links[0].colour", {}, "parameter"),
        ("rate", {}, "parameter"),
        ("links[5].rate", {}, "parameter"),
        ("tiers[1].speed", {}, "parameter"),
        (3, {}, "parameter"),
        ("links[0].rate", {"low": 0}, "low"),
        ("links[0].rate", {"low": 5, "high": 5}, "low"),
        ("links[0].rate", {"high": math.inf}, "high"),
        ("links[0].energy", {}, "low"),
        ("input.size", {"low": "1"}, "low"),
    ],
)
def test_break_even_refuses(parameter: Any, settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as error:
        qopt.breakpoints("placement/resnet" if parameter == "tiers[1].speed" else TEACHING, parameter, **settings)
    assert error.value.field == field


def test_break_even_says_what_there_is() -> None:
    problem = qopt.load(TEACHING)
    with pytest.raises(InputError, match=r"allowed: links\[0\]\.rate to links\[1\]\.rate"):
        qopt.breakpoints(problem, "links[7].rate")
    # identity computes at the tiers' speeds, quantized has its own
    assert qopt.breakpoints(problem, "tiers[1].speed").pieces
    quantized = problem.replace({"operators": [problem.operator("quantized").model_dump()]})
    with pytest.raises(InputError, match="no time depends"):
        qopt.breakpoints(quantized, "tiers[1].speed")


def test_break_even_needs_no_latency_target() -> None:
    with pytest.raises(InputError, match="latency target"):
        qopt.breakpoints(qopt.load(TEACHING).replace({"targets.latency": 20}), "links[0].rate")
    inside = qopt.breakpoints(TEACHING, "links[0].rate")
    with pytest.raises(InputError, match="a value from"):
        inside.objective(1e9)


# --- pictures ------------------------------------------------------------------------------------------------------


def test_pictures() -> None:
    problem = qopt.load("placement/branches-30")
    solution = qopt.solve(problem)
    ax = plots.plot_placement(problem, solution.plan)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["mobile", "edge", "cloud"]
    found = qopt.breakpoints(problem, "links[0].rate")
    ax = plots.plot_break_even(problem, "links[0].rate")
    assert len(ax.get_legend().get_texts()) == len(found.pieces)
    ax = plots.plot_front(problem)
    assert "the study's strategies" in [t.get_text() for t in ax.get_legend().get_texts()]
    with pytest.raises(InputError):
        plots.plot_break_even(problem.replace({"targets.accuracy": 1.0}), "links[0].rate")


def test_pictures_take_names() -> None:
    plan = qopt.solve(TEACHING).plan
    ax = plots.plot_placement(TEACHING, plan)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["input", *plan.tiers]
    ax = plots.plot_break_even(TEACHING, "links[1].rate", low=0.5, high=100)
    assert ax.get_ylabel() == "least latency [s]"
    ax = plots.plot_front(TEACHING)
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert [o.name for o in qopt.load(TEACHING).operators] == texts[1:5]
    assert ax.get_xlabel() == "latency [s]"
    assert not ax.xaxis.get_minorticklocs().size
    for weights, words in (({"time": 0, "energy": 2}, "objective, 0 latency [s] + 2 energy"), ({}, "latency [s]")):
        problem = qopt.load(TEACHING).replace({"objective": weights, "tiers[0].power": 1})
        assert plots.plot_front(problem).get_xlabel().startswith(words)


def test_linear_axes_show_lines() -> None:
    """Against the inverse of a rate the least latency is concave and piecewise linear."""
    ax = plots.plot_break_even(TEACHING, "links[1].rate", low=0.5, high=100, scale="linear")
    assert ax.get_xlabel() == "1 / links[1].rate [1/(bit/s)]"
    assert ax.get_xscale() == ax.get_yscale() == "linear"
    slopes = []
    for line in ax.get_lines()[:4]:
        x, y = line.get_data()
        slope = np.diff(y) / np.diff(x)
        assert slope == pytest.approx(np.full(len(slope), slope[0]), rel=1e-6, abs=1e-6)
        slopes.append((float(np.mean(x)), float(slope[0])))
    assert [s for _, s in sorted(slopes)] == sorted((s for _, s in slopes), reverse=True)
    with pytest.raises(InputError, match="log, linear"):
        plots.plot_break_even(TEACHING, "links[1].rate", scale="cubic")  # type: ignore[arg-type]


def test_legends_tell_plans_apart() -> None:
    """Plans with as many operations on each tier as another are told apart by the operations that differ."""
    plan = qopt.solve(TEACHING).plan
    moved_up = plan.tiers | {"conv": "mobile", "prepare": "edge"}  # as many on each tier
    other = qopt.PlacementPlan(operator=plan.operator, tiers=moved_up)
    third = qopt.PlacementPlan(operator="identity", tiers=plan.tiers)
    texts = _labels([plan, other, third], ("mobile", "edge", "cloud"))
    assert texts == [
        "quantized: mobile 1, edge 3, cloud 1; prepare on mobile",
        "quantized: mobile 1, edge 3, cloud 1; prepare on edge",
        "identity: mobile 1, edge 3, cloud 1",
    ]
    for seed in range(6):
        problem = placement(12, seed=seed, branches=0.6)
        drawn = plots.plot_break_even(problem, "links[0].rate").get_legend().get_texts()
        assert len({t.get_text() for t in drawn}) == len(drawn)


def test_pictures_of_requests_point_to_those_of_placements() -> None:
    problem = qopt.load(TEACHING)
    for draw in (
        lambda: plots.plot_water_level(problem, 1),
        lambda: plots.plot_objective_by_cut(problem),
        lambda: plots.plot_cut_by_rate(problem, [1.0, 2.0]),
        lambda: plots.plot_bits(problem, [qopt.solve(problem)]),
        lambda: plots.plot_noise(problem),
        lambda: plots.plot_published([problem]),
        lambda: plots.plot_breakpoints(problem, "links[0].rate"),
    ):
        with pytest.raises(InputError, match="plot_break_even"):
            draw()


def test_a_front_against_what_there_is_not() -> None:
    with pytest.raises(InputError, match=r"^against: found 'payload'; allowed: accuracy or latency or memory "):
        qopt.front("placement/teaching-5", against="payload")
    with pytest.raises(InputError, match=r"^low: found 1; allowed: nothing: accuracy has a point for each operator"):
        qopt.front("placement/teaching-5", low=1)


def test_what_is_no_problem() -> None:
    for ask, allowed in (
        (qopt.front, "a problem"),
        (qopt.recommend, "a placement problem"),
        (qopt.strategies, "a placement problem"),
        (qopt.solve, "a problem"),
    ):
        with pytest.raises(InputError, match=rf"^problem: found 5; allowed: {allowed}, a bundled name, or the path of"):
            ask(5)
    with pytest.raises(InputError, match=r"instance: found 5"):
        qopt.load(5)

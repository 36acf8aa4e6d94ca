"""Pictures carry the right numbers: what is asserted is data, not pixels."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Rectangle

import qopt
from qopt import plots
from qopt.core.errors import InputError
from qopt.qpart.terms import noise_terms

RATES = [1e3, 2e3, 4e3]


@pytest.fixture(scope="module")
def teaching() -> qopt.QPart:
    return qopt.load("qpart/teaching-3")


@pytest.fixture(scope="module")
def mnist() -> qopt.QPart:
    return qopt.load("qpart/mnist-mlp6")


def bars(ax: Any) -> list[Rectangle]:
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_water_level_of_the_teaching_instance(teaching: qopt.QPart) -> None:
    ax = plots.plot_water_level(teaching, 2)
    assert [b.get_width() for b in bars(ax)] == [16, 32, 16]
    assert [b.get_x() for b in bars(ax)] == [0, 16, 48]
    np.testing.assert_allclose([b.get_height() for b in bars(ax)], 1 / 64, rtol=1e-12)
    (level,) = ax.lines
    np.testing.assert_allclose(level.get_ydata(), 1 / 64, rtol=1e-12)
    assert [t.get_text() for t in ax.texts] == [
        "first weights\n5.5 bits",
        "second weights\n3.5 bits",
        "second output\n2 bits",
    ]


@pytest.mark.parametrize("seed", range(6))
def test_areas_are_the_noise_spent_and_bounds_are_marked(seed: int) -> None:
    problem = qopt.generate.qpart(5, seed=seed, bits=(4, 8))
    cut = 1 + seed % 5
    solution = qopt.solve(problem.replace({"cuts": [cut]}), "kkt")
    ax = plots.plot_water_level(problem, cut)
    assert sum(b.get_width() * b.get_height() for b in bars(ax)) == pytest.approx(problem.delta[cut - 1], rel=1e-9)
    level = float(ax.lines[0].get_ydata()[0])
    assert level * np.log(4) * solution.details["multiplier"] == pytest.approx(1, rel=1e-9)
    assert solution.plan is not None
    for bar, b in zip(bars(ax), (*solution.plan.weights, *solution.plan.activations), strict=True):
        height = bar.get_height()
        if b <= 4:
            assert bar.get_hatch() == "//"
            assert height <= level * (1 + 1e-9)
        elif b >= 8:
            assert bar.get_hatch() == "\\\\"
            assert height >= level * (1 - 1e-9)
        else:
            assert not bar.get_hatch()
            assert height == pytest.approx(level, rel=1e-9)


def test_water_level_with_a_plan_and_without_a_level(teaching: qopt.QPart) -> None:
    plan = qopt.solve(teaching).plan
    assert plan is not None
    ax = plots.plot_water_level(teaching, 2, plan)
    (steps,) = [p for p in ax.patches if not isinstance(p, Rectangle)]
    # 512 4^-5 / 16, 64 4^-4 / 32, 4 4^-2 / 16
    np.testing.assert_allclose(steps.get_data().values, [1 / 32, 1 / 128, 1 / 64])
    generous = teaching.replace({"accuracy.delta": [[1e6] * 3]})
    assert any("does not bind" in text for text in legend(plots.plot_water_level(generous, 2)))


def test_tied_widths_are_one_bar(teaching: qopt.QPart) -> None:
    tied = teaching.replace({"tie_cut": True})
    plan = qopt.solve(tied).plan
    ax = plots.plot_water_level(tied, 2, plan)
    assert [b.get_width() for b in bars(ax)] == [16, 48]
    assert sum(b.get_width() * b.get_height() for b in bars(ax)) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("name", ["teaching", "mnist"])
def test_objective_by_cut_adds_up(name: str, request: pytest.FixtureRequest) -> None:
    problem = request.getfixturevalue(name)
    ax = plots.plot_objective_by_cut(problem)
    cuts = problem.admissible_cuts
    heights = np.array([[b.get_height() for b in group] for group in ax.containers])
    priced = name == "teaching"  # then the price is a part of its own
    assert heights.shape == (4 + priced, len(cuts))
    best = [qopt.solve(problem.replace({"cuts": [int(p)]})).objective for p in cuts]
    np.testing.assert_allclose(heights.sum(axis=0), best, rtol=1e-12)
    if name == "teaching":
        np.testing.assert_allclose(ax.lines[0].get_ydata(), [528, 476, 304, 576], rtol=1e-9)
        device, server, price, download, upload = heights[:, 2]
        np.testing.assert_allclose([device, server + price, download, upload], [64, 8, 208, 32], rtol=1e-12)
        assert price == problem.objective.price * qopt.solve(problem).certificate.cost.price > 0
        assert "Best cut: 2, at 312" in ax.get_title(loc="left")
    else:
        assert not ax.lines  # measured noise has no real-valued bound
        assert "Best cut: 5" in ax.get_title(loc="left")


def test_a_cut_without_a_plan_is_marked(teaching: qopt.QPart) -> None:
    ax = plots.plot_objective_by_cut(teaching.replace({"bits.hi": 4}))
    assert [(t.get_text(), t.xy[0]) for t in ax.texts] == [("no plan", p) for p in (1, 2, 3)]
    assert "Best cut: 0" in ax.get_title(loc="left")


def test_bits_of_several_plans(teaching: qopt.QPart) -> None:
    whole, real = qopt.solve(teaching), qopt.solve(teaching, bits="real")
    ax = plots.plot_bits(teaching, {"whole": whole, "real": real})
    assert [line.get_ydata().tolist() for line in ax.lines] == [[5, 4], [2], [5.5, 3.5], [2]]
    assert legend(ax) == ["whole: cut 2", "real: cut 2"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [1, 2], atol=0.3)
    assert legend(plots.plot_bits(teaching, [whole, real])) == ["mckp (whole): cut 2", "kkt (real): cut 2"]
    at_0 = qopt.QPartPlan(cut=0, weights=(), activations=())
    assert plots.plot_bits(teaching, [at_0]).lines[0].get_ydata().size == 0


def test_cut_by_rate_is_lines_and_their_envelope(teaching: qopt.QPart) -> None:
    ax = plots.plot_cut_by_rate(teaching, RATES, bits="real")
    envelope, *lines = [np.asarray(line.get_ydata()) for line in ax.lines]
    np.testing.assert_allclose(envelope, np.min(lines, axis=0))
    seconds = ax.lines[0].get_xdata()
    np.testing.assert_allclose(seconds, [250, 500, 1000])
    for p, values in enumerate(lines):
        assert values[1] == pytest.approx(values[0] + (values[2] - values[0]) / 3, rel=1e-9)
        at = [
            qopt.solve(teaching.replace({"cuts": [p], "channel.rate": r}), bits="real").objective for r in RATES[::-1]
        ]
        np.testing.assert_allclose(values, at)


def test_noise_is_the_table_and_the_law(mnist: qopt.QPart) -> None:
    ax = plots.plot_noise(mnist, [1, -5])
    measured, fitted = noise_terms(mnist), noise_terms(mnist.replace({"noise.model": "law"}))
    expected = [measured[0][0], fitted[0][0], measured[1][4], fitted[1][4]]
    for line, values in zip(ax.lines, expected, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert legend(ax) == ["fc1 weights", "fc5 output"]


def test_comparison_has_times_and_gaps(teaching: qopt.QPart, mnist: qopt.QPart) -> None:
    table = qopt.compare([teaching, mnist], methods=["mckp", "uniform", "kkt"])
    ax = plots.plot_comparison(table)
    (gaps,) = ax.child_axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["mckp (whole)", "uniform (whole)", "kkt (real)"]
    first, second = ax.lines
    np.testing.assert_array_equal(first.get_xdata(), table["seconds"][:3].astype(float))
    np.testing.assert_array_equal(second.get_xdata(), table["seconds"][3:5].astype(float))  # kkt has no plan there
    np.testing.assert_allclose(gaps.lines[0].get_xdata(), [0, 100 * 80 / 392, 0], atol=1e-12)
    assert gaps.lines[1].get_xdata()[0] == 0
    assert legend(gaps) == ["teaching-3", mnist.name]


@pytest.mark.parametrize("draw", ["plot_water_level", "plot_objective_by_cut", "plot_bits"])
def test_draws_on_the_axes_given(draw: str, teaching: qopt.QPart) -> None:
    _, ax = plt.subplots()
    arguments = {"plot_water_level": (1,), "plot_objective_by_cut": (), "plot_bits": ([qopt.solve(teaching)],)}[draw]
    assert getattr(plots, draw)(teaching, *arguments, ax=ax) is ax
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert len(plt.get_fignums()) == 1


def test_bad_requests_name_the_field(teaching: qopt.QPart, mnist: qopt.QPart) -> None:
    plan = qopt.solve(teaching).plan
    assert plan is not None
    calls: list[tuple[str, Any]] = [
        ("noise.model", lambda: plots.plot_water_level(mnist, 1)),
        ("cut", lambda: plots.plot_water_level(teaching, 0)),
        ("cut", lambda: plots.plot_water_level(teaching, 4)),
        ("cut", lambda: plots.plot_water_level(teaching.replace({"bits.hi": 2}), 1)),
        ("plan.cut", lambda: plots.plot_water_level(teaching, 1, plan)),
        ("device.memory", lambda: plots.plot_water_level(teaching.replace({"device.memory": 195.0}), 2)),
        ("plans", lambda: plots.plot_bits(teaching, [])),
        ("rates", lambda: plots.plot_cut_by_rate(teaching, [1e3])),
        ("noise.model", lambda: plots.plot_noise(teaching)),
        ("tensors", lambda: plots.plot_noise(mnist, [7])),
        ("table", lambda: plots.plot_comparison(qopt.compare([teaching], ["mckp"]).drop(columns="gap"))),
        ("table", lambda: plots.plot_comparison(qopt.compare([mnist], ["kkt"]))),
    ]
    for field, call in calls:
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.field == field
        assert "\n" not in str(caught.value)
    assert not plt.get_fignums()  # nothing half drawn


def test_matplotlib_loads_when_first_used() -> None:
    code = "import sys, qopt.plots; print('matplotlib' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"

"""Pictures of comparisons: whole under a plain savefig, legible for one instance or a thousand, no two series alike."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from qopt import plots
from qopt.comparison.times import Times, times
from qopt.core.errors import InputError
from qopt.core.plot_style import SERIES, series


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def table(instances: int, methods: int) -> pd.DataFrame:
    rng = np.random.default_rng(instances)
    seconds = 10.0 ** (rng.uniform(-2, 1, (instances, 1)) + rng.normal(0, 0.4, (instances, methods)))
    rows: list[dict[str, Any]] = []
    for i in range(instances):
        for m in range(methods):
            done = bool(seconds[i, m] < 30)
            rows.append(
                {"problem": f"family/instance-{i}", "method": f"a method, no. {m}", "bits": "whole"}
                | {"status": "optimal" if done else "time-limit", "objective": 1.0, "bound": 1.0 if done else 0.9}
                | {"gap": 0.0 if done else 0.1, "seconds": float(min(seconds[i, m], 30))}
                | {"verified": True, "proved": done, "message": ""}
            )
    return pd.DataFrame(rows)


def traces(runs: int) -> pd.DataFrame:
    points = [(0.1, np.nan, 1.0), (0.2, 5.0, 1.0), (0.4, 4.0, 2.0), (0.8, 3.0, 2.9)]
    return pd.DataFrame(
        [
            {"instance": "x", "run": f"run number {r}", "seconds": t * (1 + r / 9), "incumbent": u, "bound": b}
            for r in range(runs)
            for t, u, b in points
        ]
    )


def found(instances: int, runs: int) -> Times:
    return times(table(instances, runs), limit=30.0)


def draw(kind: str, instances: int, runs: int) -> Any:
    if kind == "comparison":
        return plots.plot_comparison(table(instances, runs))
    if kind == "on given axes":
        return plots.plot_comparison(table(instances, runs), plt.subplots()[1])
    if kind == "profile":
        return plots.plot_profile(found(instances, runs))
    if kind == "ratios":
        return plots.plot_ratios(found(instances, runs), "a method, no. 0")
    return plots.plot_gaps(traces(runs))


@pytest.mark.parametrize(
    ("kind", "instances", "runs"),
    [
        ("comparison", 1, 2),
        ("comparison", 5, 4),
        ("comparison", 300, 20),
        ("on given axes", 5, 4),
        ("profile", 1, 2),
        ("profile", 40, 20),
        ("ratios", 5, 20),
        ("gaps", 1, 20),
    ],
)
def test_whole_under_a_plain_savefig(kind: str, instances: int, runs: int) -> None:
    """Axes, labels and legends lie inside of the picture, and the axes have room."""
    ax = draw(kind, instances, runs)
    figure = ax.get_figure()
    figure.savefig(io.BytesIO())
    parts = [ax, *ax.child_axes] + [a.get_legend() for a in (ax, *ax.child_axes) if a.get_legend() is not None]
    width, height = figure.canvas.get_width_height()
    for part in parts:
        box = part.get_tightbbox(figure.canvas.get_renderer())
        assert box.x0 >= -1, part
        assert box.y0 >= -1, part
        assert box.x1 <= width + 1, part
        assert box.y1 <= height + 1, part
    assert ax.get_window_extent().width > 0.2 * width
    assert ax.get_window_extent().height > 0.3 * height


def test_no_two_series_are_alike() -> None:
    looks = [series(k) for k in range(SERIES)]
    assert SERIES >= 20
    assert len({(x["color"], x["linestyle"]) for x in looks}) == SERIES
    assert len({(x["color"], x["marker"]) for x in looks}) == SERIES
    ax = draw("profile", 30, 20)
    drawn = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in ax.lines}
    assert len(drawn) == len(ax.lines) == 20
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"a method, no. {k}" for k in range(20)]


def test_a_gap_closes_as_the_best_so_far_do() -> None:
    rows = traces(1)
    rows.loc[len(rows)] = ["x", "run number 0", 1.6, 9.0, 1.0]  # a worse pair later changes nothing
    (line,) = plots.plot_gaps(rows).lines
    np.testing.assert_allclose(line.get_ydata()[:4], [80, 50, 100 * 0.1 / 3, 100 * 0.1 / 3])
    assert line.get_xdata()[0] == 0.2


def test_more_than_a_dozen_instances_are_a_cloud_with_its_quartiles() -> None:
    ax = draw("comparison", 30, 2)
    assert ax.child_axes[0].get_legend() is None
    cloud, quartiles, median = ax.lines[:3]
    assert len(cloud.get_xdata()) == 30
    assert quartiles.get_xdata()[0] < median.get_xdata()[0] < quartiles.get_xdata()[1]


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: plots.plot_profile(found(1, SERIES + 1)), f"runs: found {SERIES + 1}; allowed: at most {SERIES}"),
        (lambda: plots.plot_ratios(found(3, 2), "z"), "reference: found 'z'; allowed: one of a method, no. 0"),
        (lambda: plots.plot_gaps(traces(1).drop(columns="bound")), "traces: found no column bound"),
        (lambda: plots.plot_gaps(traces(1), instance="y"), "instance: found 'y'; allowed: one of x"),
        (lambda: plots.plot_gaps(traces(1)[:1]), "traces: found no point with an incumbent and a bound"),
    ],
)
def test_bad_input_is_one_clear_line(call: Any, line: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value).startswith(line)
    assert not plt.get_fignums()

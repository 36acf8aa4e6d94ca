"""Every picture is whole under a plain savefig, names what is on its axes, and reads in grey."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from gallery import LARGE, SMALL, drawings, fleet
from sweeps import swept

import qopt
from qopt import plots
from qopt.core.errors import InputError
from qopt.core.plot_style import HATCHES, LISTED, area, legend_beside, literal, save_figure

TORCH = {"plot_sensitivity", "plot_law", "plot_additivity", "plot_loss"}
QUICK = {"plot_payload", "plot_objective_by_cut", "plot_placement", "plot_formats", "plot_options", "plot_trade_off"}
"""Drawn at every run; the others are sweeps."""

CROWDED = ("bits", "payload", "noise", "gaps", "placement", "formats")
"""Drawn of something large too."""

CASES = [(SMALL, name) for name in drawings(SMALL)] + [(LARGE, f"plot_{name}") for name in CROWDED]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def check_whole(ax: Any) -> None:
    """Axes, labels and legends lie inside of the picture; what has ticks has a name; no two kinds of bars are alike."""
    figure = ax.get_figure(root=True)
    figure.savefig(io.BytesIO())
    width, height = figure.canvas.get_width_height()
    for part in (ax, *ax.child_axes):
        box = part.get_tightbbox(figure.canvas.get_renderer())
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= width + 1
        assert box.y1 <= height + 1
        assert part.get_xlabel()
        assert part.get_ylabel() or not any(part.yaxis.get_ticklabels()) or part is not ax
    assert ax.get_window_extent().width > 0.25 * width
    assert ax.get_window_extent().height > 0.3 * height
    looks = [(bars[0].get_facecolor(), bars[0].get_hatch()) for bars in ax.containers if hasattr(bars[0], "get_hatch")]
    assert len(set(looks)) == len(looks)


def test_every_picture_is_in_the_gallery() -> None:
    assert set(drawings(SMALL)) == set(plots.__all__) - {"style"}


@pytest.mark.parametrize(("n", "name"), swept(CASES, lambda case: case[0] == LARGE or case[1] not in QUICK))
def test_a_picture_is_whole_and_names_its_axes(n: int, name: str) -> None:
    if name in TORCH:
        pytest.importorskip("torch")
    check_whole(drawings(n)[name]())


def test_a_picture_on_given_axes_is_whole_too() -> None:
    _, ax = plt.subplots()
    assert plots.plot_payload(qopt.load("qpart/teaching-3"), ax=ax) is ax
    check_whole(ax)


def test_payload_before_and_after() -> None:
    problem = qopt.load("qpart/teaching-3")  # cut 2 at 5, 4 and 2 bits
    ax = plots.plot_payload(problem)
    net = problem.network
    before, after = ax.lines[0].get_ydata(), ax.lines[1].get_ydata()
    assert before.tolist() == [32 * z for z in net.weights[:2]]
    assert after.tolist() == [5 * net.weights[0], 4 * net.weights[1]]
    assert ax.lines[3].get_ydata().tolist() == [2 * net.activations[1]]
    with pytest.raises(InputError, match="stored"):
        plots.plot_payload(problem, stored=65)


def test_time_and_energy_by_cut_add_up() -> None:
    problem = qopt.load("qpart/teaching-3").replace({"channel.transmit_power": 0.5, "objective.energy": 2.0})
    for what in ("time", "energy"):
        ax = plots.plot_objective_by_cut(problem, what)
        tops = [sum(group[k].get_height() for group in ax.containers) for k in range(4)]
        for p, top in enumerate(tops):
            cost = qopt.solve(problem.replace({"cuts": [p]})).certificate.cost
            assert top == pytest.approx(cost.to_dict()[what])
        assert what in ax.get_ylabel()
    with pytest.raises(InputError, match="what: found 'price'; allowed: objective, time, energy"):
        plots.plot_objective_by_cut(problem, "price")  # type: ignore[arg-type]


def test_kinds_of_bars_are_told_apart_without_colour() -> None:
    assert len({(look["color"], look["hatch"]) for look in map(area, range(36))}) == 36
    assert len({area(k)["hatch"] for k in range(6)}) == len(HATCHES) == 6


def test_names_are_no_formulas_and_long_legends_say_how_much_they_leave_out() -> None:
    _, ax = plt.subplots()
    for k in range(30):
        ax.plot([0, 1], [k, k], label=literal(f"$\\foo${k}\nb"))
    legend_beside(ax)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(texts) == LISTED
    assert texts[-1] == "… 11 more"
    check_whole(plots.plot_bits(_named(r"$\foo$"), [qopt.solve("qpart/teaching-3")]))


def test_options_whose_names_begin_alike_each_have_an_area() -> None:
    asked = fleet(3)
    plan, kind = qopt.solve(asked, "greedy").plan, next(iter(asked.classes))
    own = asked.classes[kind]
    long = own.model_copy(update={"name": tuple("long " * 20 + name for name in own.name)})
    again = asked.with_parts(classes={**asked.classes, kind: long})
    drawn = [plots.plot_options([one] * 2, [plan] * 2, [1.0, 2.0]) for one in (asked, again)]
    assert len(drawn[0].collections) == len(drawn[1].collections) > 2


def _named(name: str) -> Any:
    return qopt.load("qpart/teaching-3").replace({"network.layers": [name, name + "b", "c" * 100]})


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    _, ax = plt.subplots()
    for ending in (".png", ".pdf", ".svg"):
        save_figure(ax, tmp_path / f"a{ending}")
        assert (tmp_path / f"a{ending}").stat().st_size > 1000
    with pytest.raises(InputError, match=r"--out: found .*; allowed: a name that ends in \.png, \.pdf, \.svg"):
        save_figure(ax, tmp_path / "a.nothing", field="--out")
    with pytest.raises(InputError, match="allowed: a path that can be written"):
        save_figure(ax, tmp_path / "none" / "a.png")
    assert len(list(tmp_path.iterdir())) == 3

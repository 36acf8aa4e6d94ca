"""A page shows what is true, asks for nothing from anywhere, and stays whole whatever the problem holds."""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, check_refusal
from pages import Reader, looked_up
from sweeps import swept

import qopt
from qopt.core.envelope import Envelope, Line, Piece
from qopt.core.limited import changed
from qopt.core.showing import Slider
from qopt.fleet.showing import LOADS
from qopt.fleet.showing import changed as loaded
from qopt.reporting.explorer import (
    MOST,
    Curve,
    Stretch,
    _halved,
    _of_envelope,
    curve,
    data,
    embedded,
    ends,
    rendered,
    sliders,
)

MARKUP = "</script><img src=x onerror=alert(1)> & \"'"
"""A name that would be markup, were it not escaped."""


@functools.cache
def teaching() -> str:
    return str(qopt.report(["qpart/teaching-3", "allocation/teaching-4"]).html)


def _asked_for(page: Reader) -> list[str]:
    """Addresses that a page would open or load, but for places on the page itself and data within it."""
    kinds = ("src", "href", "srcset", "xlink:href", "data", "action", "poster")
    found = [str(value) for _, attributes in page.tags for name, value in attributes.items() if name in kinds]
    return [address for address in found if not address.startswith(("#", "data:"))]


def _check_whole(html: str) -> Reader:
    """A page that asks for nothing, with all ids different and every element closed."""
    page = Reader(html)
    assert _asked_for(page) == []
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert [tag for tag, _ in page.tags].count("img") == html.count("<img alt=")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.open == ["meta", "meta", "meta", "link"][: len(page.open)] or page.open == []
    assert html.rstrip().endswith("</html>")
    return page


def test_a_page_asks_for_nothing_and_says_what_is_proved() -> None:
    page = _check_whole(teaching())
    assert "teaching-3 feasible and optimal, proved 312 312" in page.text
    assert page.text.count("cut 2 of 3: layers 1..2 on the device") == 1
    assert "the next better plan needs 1.375 and saves 16 of 312, exactly" in page.text
    assert [tag for tag, _ in page.tags].count("svg") >= 3
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags


def test_without_a_script_all_break_even_values_stand_in_tables() -> None:
    page = Reader(teaching())
    envelope = qopt.breakpoints("allocation/teaching-4", "resources.bytes.budget")
    for piece in envelope:
        assert piece.objective is not None
        assert f"{piece.start:g} B {piece.stop:g} B {piece.objective(piece.start):g} {piece.plan}" in page.text
    assert "0 bit/s 9.714 kbit/s ∞ to 121.412" in page.text


def test_a_name_with_markup_is_shown_literally() -> None:
    problem = qopt.load("qpart/teaching-3").replace({"name": MARKUP, "description": MARKUP, "source": MARKUP})
    names = [MARKUP, r"$\foo$", "*"]
    problem = problem.replace({"network.layers": names})
    html = qopt.report(problem, explore=False).html
    page = _check_whole(html)
    assert page.text.count(" ".join(MARKUP.split())) >= 4
    assert "onerror=alert(1)>" not in html.replace("&gt;", "")
    assert "<h3>Pictures</h3>" in html  # though one of the names is no formula
    script = embedded({"text": MARKUP})
    assert "<" not in script
    assert json.loads(script) == {"text": MARKUP}


def test_a_slider_is_the_envelope_at_break_even_values_and_between() -> None:
    problem = qopt.load("qpart/teaching-3")
    slider = Slider("breakpoints", "rate", "rate", 2000.0)
    content = data(problem, curve(problem, slider, 60.0))
    envelope = qopt.breakpoints(problem, "rate")
    breaks = envelope.values
    values = [*breaks, *(b * f for b in breaks for f in (0.2, 0.999, 1.001, 7.0))]
    assert content["starts"][1:] == breaks  # to the last bit
    for value in values:
        piece, objective = looked_up(content, value)
        assert objective == envelope.objective(value)
        solved = qopt.solve(problem.replace({"channel.rate": value}))
        assert solved.certificate.proved
        assert objective == pytest.approx(solved.objective, rel=1e-12)
        if value not in breaks:
            assert content["plans"][content["plan"][piece]]["text"] == str(solved.plan)


@pytest.mark.parametrize(
    ("name", "slider", "values"),
    swept(
        [
            ("qpart/teaching-3", Slider("front", "noise", "noise", 1.0), [0.005, 0.0625, 0.9, 1.0, 1.375, 30.0, 200.0]),
            (
                "placement/teaching-5",
                Slider("front", "accuracy", "accuracy", 0.75),
                [0.1, 0.68, 0.7, 0.78, 0.79, 0.8, 0.9],
            ),
            (
                "jqodi/fig5",
                Slider("breakpoints", "time_limit", "deadline", 3.5),
                [1.0, 2.29, 2.5, 3.32, 3.5, 3.62, 10.0],
            ),
        ],
        lambda case: case[0] != "qpart/teaching-3",
    ),
)
def test_a_slider_along_a_limit_is_what_solving_within_it_gives(name: str, slider: Slider, values: list[float]) -> None:
    problem = qopt.load(name)
    content = data(problem, curve(problem, slider, 60.0))
    limit = {"time_limit": "time"}.get(slider.name, slider.name)
    for value in values:
        _, objective = looked_up(content, value)
        solved = qopt.solve(changed(problem, {limit: value}))
        assert solved.certificate.proved or solved.certificate.infeasible
        assert objective == (None if solved.plan is None else pytest.approx(solved.objective, rel=1e-12)), value


def test_of_too_many_pieces_those_around_the_present_value_are_kept_exactly() -> None:
    ends = [math.sqrt(k) for k in range(1, 2002)]
    pieces = tuple(Piece(a, b, Line(1 / a), None) for a, b in itertools.pairwise(ends))
    envelope = Envelope("many", "budget", "B", pieces, ends[0], ends[-1], limit=True)
    now = 30.0
    found = _of_envelope(Slider("breakpoints", "budget", "budget", now), envelope)
    assert len(found.stretches) == MOST
    assert "200 of 2 000 pieces are shown, those around the present value" in found.said
    half = _halved(found)  # a page that is still too large says one number of pieces, not two
    assert [remark for remark in half.said if "pieces are shown" in remark] == [
        "100 of 2 000 pieces are shown, those around the present value"
    ]
    assert found.stretches[0].start < now < found.stretches[-1].stop
    for stretch in found.stretches:
        assert stretch.line == (envelope.objective(stretch.start), 0.0)


def test_a_problem_without_a_plan_has_a_page_that_says_so() -> None:
    problem = qopt.load("qpart/teaching-3").replace({"limits": {"payload": 1.0, "time": 1e-6}})
    page = _check_whole(qopt.report(problem, time_limit=5.0).html)
    assert "No plan, proved." in page.text
    assert "infeasible: no plan exists, proved" in page.text
    assert "No plan, whatever its value." in page.text
    assert "no plan keeps the limit on payload" in page.text
    assert "no value helps while the others stand" in page.text


def test_without_an_exact_curve_some_values_are_solved_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = qopt.load("fleet/teaching-4")
    page = _check_whole(qopt.report(problem).html)
    assert "8 values are solved, each by itself, each to a proof; between them nothing is known" in page.text
    (content,) = page.sliders
    assert content["points"]
    assert content["starts"] == content["stops"] == list(LOADS)
    for value, line in zip(content["starts"], content["lines"], strict=True):
        assert line == [float(qopt.solve(loaded(problem, "load", value)).objective), 0.0]  # type: ignore[arg-type]
    monkeypatch.setattr("qopt.fleet.showing.sliders", lambda _: [])
    assert "For a fleet problem no exact curve is known to move along." in sliders(problem, None)


def test_a_range_of_one_value_has_no_slider(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = qopt.load("qpart/teaching-3")
    one = Curve(Slider("breakpoints", "rate", "rate", 7.0), "bit/s", "o", (Stretch(7.0, 7.0, (1.0, 0.0), None),))
    monkeypatch.setattr("qopt.reporting.explorer.curve", lambda *_: one)
    html = rendered(problem, one.slider, 1.0)
    assert "No slider: 7 bit/s is the only value." in html
    assert "<script" not in html


def test_of_a_large_problem_what_takes_long_is_left_out_and_named() -> None:
    problem = qopt.generate.qpart(1_001, seed=1).replace({"cuts": [3, 5]})
    page = Reader(sliders(problem, None))
    assert [content["parameter"] for content in page.sliders] == ["rate"]
    assert "Left out, the problem is large: accuracy (noise" in page.text


@pytest.mark.sweep
def test_ten_thousand_layers_stay_a_page() -> None:
    problem = qopt.generate.qpart(10_000, seed=1).replace({"cuts": [3, 9_999]})
    html = qopt.report(problem, time_limit=0.2).html
    page = _check_whole(html)
    assert len(html.encode()) < 500_000
    assert "Not looked for, the problem is large" in page.text


@pytest.mark.sweep
@pytest.mark.parametrize("family", ["qpart", "placement", "jqodi", "allocation"])
def test_a_hundred_layers_take_two_megabytes_at_most(family: str) -> None:
    problem: Any = getattr(qopt.generate, family)(100, seed=1)
    html = qopt.report(problem, time_limit=0.5).html
    _check_whole(html)
    assert len(html.encode()) <= 2_000_000


def test_a_solution_is_shown_and_not_solved_again() -> None:
    solution = qopt.solve("allocation/teaching-4", "greedy" if _has("greedy") else "auto")
    page = qopt.report(solution, explore=False)
    assert page.solutions == (solution,)
    assert f"by {solution.method}" in Reader(page.html).text
    assert page._repr_html_().count("<iframe") == 1


def _has(name: str) -> bool:
    return any(method["name"] == name for method in qopt.methods("allocation/teaching-4"))


def test_what_is_no_problem_is_refused() -> None:
    with pytest.raises(qopt.InputError, match="problems: found none; allowed: at least one"):
        qopt.report([])
    with pytest.raises(qopt.InputError, match="problems: found 3"):
        qopt.report(3)  # type: ignore[arg-type]
    with pytest.raises(qopt.InputError, match="time_limit"):
        qopt.report("qpart/teaching-3", time_limit=-1.0)


def test_the_command_writes_the_page(qopt_cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    call = qopt_cli("report", "allocation/teaching-4", "-o", path, "--no-explore")
    assert call.code == 0
    assert call.out.startswith("teaching-4: feasible and optimal, proved\n")
    _check_whole(path.read_text(encoding="utf-8"))
    check_refusal(qopt_cli("report", "allocation/teaching-4", "-o", tmp_path / "page.txt"))


@pytest.mark.parametrize("now", [None, 0.01, 3.0, 1e6, 1e308])
@pytest.mark.parametrize(("start", "stop"), [(0.0, 0.05), (0.0, 100.0), (2.0, 7.0), (1.0, math.inf), (0.0, math.inf)])
def test_a_slider_stays_on_its_curve(start: float, stop: float, now: float | None) -> None:
    stretch = Stretch(start, stop, (1.0, 0.0), None)
    low, high = ends(Curve(Slider("breakpoints", "r", "r", now), "", "o", (stretch,)))
    assert start <= low < high <= stop
    assert low > 0
    assert math.isfinite(high)
    if now is not None and start <= now <= stop:
        assert low <= now <= high

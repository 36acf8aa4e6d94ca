"""Objects in a notebook: what is printed, as tables, with every text escaped."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Group
from rich.table import Table
from rich.text import Text

import qopt
from qopt.core.html import cut_rows, table
from qopt.core.rich_html import of

MARKUP = "<b>&'\"</b>"


@functools.cache
def named() -> Any:
    return qopt.load("qpart/teaching-3").replace({"name": MARKUP})


@functools.cache
def solved() -> Any:
    return qopt.solve(named())


OBJECTS: dict[str, Callable[[], Any]] = {
    "problem": named,
    "plan": lambda: solved().plan,
    "solution": solved,
    "certificate": lambda: solved().certificate,
    "envelope": lambda: qopt.breakpoints(named(), "rate"),
    "front": lambda: qopt.front(named(), low=1.0),
    "explanation": lambda: qopt.explain(named()),
}


@pytest.mark.parametrize("which", OBJECTS)
def test_every_text_is_escaped(which: str) -> None:
    html = OBJECTS[which]()._repr_html_()
    assert html.startswith('<div class="qopt">')
    assert "<b>" not in html
    assert which == "certificate" or "&lt;b&gt;&amp;" in html
    assert html.count("<table>") == html.count("</table>")


def test_a_notebook_shows_what_the_console_prints() -> None:
    html = solved()._repr_html_()
    for cell in ("second weights", "128 bit", "cut 2 of 3: layers 1..2 on the device", "feasible and optimal, proved"):
        assert cell in html
    assert "<strong>cut 2 of 3" in html
    assert '<td style="text-align:right">12.5%</td>' in html


def test_texts_tables_and_groups_of_rich() -> None:
    grid = Table.grid()
    grid.add_column(justify="right")
    grid.add_row("[red]not markup[/]")
    bold = Text("a ").append("<b>", style="bold green").append(" c")
    assert of(Group(grid, bold, Text())) == (
        '<div class="box facts" style="overflow-x:auto"><table><tbody><tr><td style="text-align:right">'
        '[red]not markup[/]</td></tr></tbody></table></div><p>a <strong class="green">&lt;b&gt;</strong> c</p>'
    )


def test_long_tables_say_how_many_rows_are_left_out() -> None:
    rows = [(str(k),) for k in range(1000)]
    kept = cut_rows(rows, 10)
    assert len(kept) == 10
    assert kept[4] == ("… 991 more",)
    assert kept[-1] == ("999",)
    assert cut_rows(rows[:10], 10) == rows[:10]
    assert table(("a", "b"), [("1",)]).count("<td") == 2


def test_an_envelope_is_a_table_of_its_pieces() -> None:
    frame = qopt.breakpoints(named(), "rate").to_dataframe()
    assert list(frame["start"]) == [0.0, 9714.285714285714]
    assert frame["intercept"].tolist() == [72.0, 16.0]
    assert frame["plan"][0] == "bits whole, cut 2, weights [5, 4], activations [2]"


TABLES = {
    "qpart/teaching-3": [["weights", 1, 5.0], ["weights", 2, 4.0], ["activations", 1, 2.0]],
    "jqodi/fig5": [[1, "fast", 1], [2, "frugal", 1]],
    "allocation/teaching-4": [["a", "int4"], ["b", "int8"], ["c", "int4"], ["d", "int4"]],
    "fleet/teaching-4": [[k, 3] for k in range(4)],
}


@pytest.mark.parametrize("name", TABLES)
def test_a_plan_is_a_table_and_a_solution_a_row_of_a_comparison(name: str) -> None:
    solution = qopt.solve(name)
    assert solution.plan.to_dataframe().to_numpy().tolist() == TABLES[name]
    (row,) = solution.to_dataframe().to_dict("records")
    (compared,) = qopt.compare([name], [solution.method]).to_dict("records")
    assert list(row) == list(compared)
    assert row | {"seconds": 0.0} == compared | {"seconds": 0.0}


@pytest.mark.parametrize("name", ["qpart/teaching-3", "allocation/teaching-4"])
def test_a_point_s_plan_needs_no_certificate(name: str) -> None:
    front = qopt.front(name, **({"against": "bytes"} if name.startswith("alloc") else {}))
    for point in front.points:
        plan = point.plan
        assert "solution" not in vars(point)  # neither a certificate nor a copy of the problem
        assert point.solution.plan == plan

"""Long plans in print: the first rows and the last, and how many are between them."""

from __future__ import annotations

import re

import pytest
from rich.table import Table

import qopt
from qopt.core.display import short
from qopt.core.report import MAX_ROWS, TAIL, add_rows, as_text, console


@pytest.mark.parametrize("count", [0, 1, MAX_ROWS - 1, MAX_ROWS, MAX_ROWS + 1, 10 * MAX_ROWS])
def test_rows_that_are_shown_and_hidden_are_all(count: int) -> None:
    table = Table(box=None, show_header=False)
    table.add_column()
    add_rows(table, [(f"row {k}",) for k in range(count)])
    lines = [line.strip() for line in as_text(table).splitlines() if line.strip()]
    shown = [int(line.split()[1]) for line in lines if line.startswith("row")]
    hidden = sum(int(number) for number in re.findall(r"… (\d+) more rows", "\n".join(lines)))
    assert len(lines) <= MAX_ROWS
    assert len(shown) + hidden == count
    last = TAIL if hidden else 0
    assert shown == [*range(len(shown) - last), *range(count - last, count)]


def test_what_crosses_a_late_cut_is_shown() -> None:
    """The activations that go up stand last, and they are what the cut is about."""
    report = qopt.solve("qpart/resnet50").report()
    assert "more tensors" in report
    assert report.count(" up ") >= 2


def test_units_and_names_in_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("time [s]", "size [b]", box=None)
    table.add_row("1 [i]", ":warning: [bold]")
    console().print(table)
    for printed in (capsys.readouterr().out, as_text(table)):
        for words in ("time [s]", "size [b]", "1 [i]", ":warning: [bold]"):
            assert words in printed


def test_long_lists_say_where_they_change() -> None:
    assert short([3] * 6 + [2, 2] + [1]) == "[3 (×6), 2 (×2), 1]"
    assert short([1, 1, 1]) == "[1, 1, 1]"
    assert short([*range(7)]) == "[0, 1, 2, … 7 in all]"
    assert short([0] * 1000) == "[0, 0, 0, … 1000 in all]"


def test_capacities_have_units_and_prices_are_for_one_of_them() -> None:
    fleet = qopt.load("fleet/teaching-4").replace({"units": {"time": 1e-3}})
    report = " ".join(qopt.solve(fleet, "lagrangian").report().split())
    assert "work of edge 8 ms 10 ms 80.0% 1000 /s" in report

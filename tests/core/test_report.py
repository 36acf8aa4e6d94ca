"""Long plans in print: the first rows and the last, and how many are between them."""

from __future__ import annotations

import re

import pytest
from rich.table import Table

import qopt
from qopt.core.report import MAX_ROWS, TAIL, add_rows, as_text


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

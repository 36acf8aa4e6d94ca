"""A plan that leaves everything on the server says at what rate that changes."""

from __future__ import annotations

import pytest

import qopt
from qopt.qpart.problem import QPart
from qopt.qpart.report import FEW_LAYERS, leaves_the_server


@pytest.fixture(scope="module")
def teaching() -> QPart:
    problem = qopt.load("qpart/teaching-3")
    assert isinstance(problem, QPart)
    return problem


def test_the_rate_is_where_the_best_cut_changes(teaching: QPart) -> None:
    envelope = qopt.breakpoints(teaching, "rate")
    moves = next(piece.stop for piece in reversed(envelope.pieces) if piece.plan.cut != 0)
    fast = teaching.replace({"channel.rate": 2.0 * moves})
    note = leaves_the_server(fast)
    assert note is not None
    cut = qopt.solve(teaching.replace({"channel.rate": 0.999 * moves})).plan.cut  # type: ignore[union-attr]
    assert cut != 0
    assert f"downwards cut {cut} is better" in note
    shown = " ".join(qopt.solve(fast).report().split())
    assert note.split("; ")[1] in shown
    assert leaves_the_server(teaching.replace({"channel.rate": 0.5 * moves})) is None


def test_where_no_rate_changes_it(teaching: QPart) -> None:
    alone = teaching.replace({"cuts": [0]})
    assert "every slower link too" in (leaves_the_server(alone) or "")


def test_large_networks_name_the_call() -> None:
    problem = qopt.load("qpart/resnet18").replace({"channel.rate": 1e12, "device.cycles_per_mac": 1e6, "cuts": [0, 21]})
    assert len(problem.network) > FEW_LAYERS
    assert "qopt.breakpoints" in qopt.solve(problem).report()

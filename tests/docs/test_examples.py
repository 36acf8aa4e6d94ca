"""The examples of the documentation run as they stand."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.py"))


def test_examples_are_short() -> None:
    assert EXAMPLES
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= 60 for path in EXAMPLES)


@pytest.mark.sweep
def test_a_network_of_ones_own_is_measured_planned_packed_and_run(capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("aiohttp")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runpy.run_path(str(next(path for path in EXAMPLES if path.stem == "your_network")), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    assert "qpart/mine, measured: score 0.9" in printed
    assert re.search(r"^optimal .*cut [12]", printed, re.MULTILINE)
    assert re.search(r"front of objective and payload \[bit\]\n  plan 1: .*, proved$", printed, re.MULTILINE)
    lost = re.search(r"lost (-?[\d.]+) points \[(-?[\d.]+), ", printed)
    assert lost is not None
    assert float(lost[2]) <= 1.0  # an interval above the level would refute it
    assert re.search(r"quantized-segment on mobile-edge: .* link .* 150 requests$", printed, re.MULTILINE)

"""The benchmark script runs and prints its table; what it measures is not tested here."""

from __future__ import annotations

import runpy

import pytest
from scripts import ROOT

SCRIPT = ROOT / "benchmarks/figures.py"


@pytest.mark.sweep
def test_the_script_prints_every_section(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(SCRIPT))["main"](["--quick"])
    out = capsys.readouterr().out
    rows = [line.split(" | ") for line in out.splitlines() if line.startswith("| ")]
    assert len(rows) > 30
    assert all(len(row) == 3 for row in rows)
    for words in ("numpy", "KKT residual", "witnesses", "closed form", "import qopt", "qpart/teaching-3", "mckp.solve"):
        assert words in out
    measured = {row[0].removeprefix("| "): row[1] for row in rows}
    agreeing = [value for name, value in measured.items() if name.endswith("optimum of brute force")]
    assert len(agreeing) == 6
    assert set(agreeing) == {"12 of 12"}

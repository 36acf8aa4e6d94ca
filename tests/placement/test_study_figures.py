"""Figs. 4 to 7 of the deployment study, one command each, from the instances."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts import scripts


@pytest.mark.sweep
def test_figures_show_the_instances_beside_the_medians(tmp_path: Path) -> None:
    with scripts("instances/placement/study", "figures", "signs", "data") as study:
        assert {figure: len(names) for figure, names in study.figures.FIGURES.items()} == {4: 3, 5: 14, 6: 6, 7: 6}
        found = study.figures.values(4)
        assert all(abs(model / median - 1) < 0.06 for row in found.values() for model, median in row.values())
        path = tmp_path / "figure.png"
        assert study.figures.main(["4", "--out", str(path)]) == 0
        assert path.stat().st_size > 1000

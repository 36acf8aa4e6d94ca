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


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripts("instances/placement/study", "figures", "signs", "data") as study, pytest.raises(SystemExit) as left:
        study.figures.main(["4", "--out", str(tmp_path / "none" / "figure.png")])
    assert left.value.code == 2
    assert capsys.readouterr().err.rstrip().endswith("figure.png: no such folder")

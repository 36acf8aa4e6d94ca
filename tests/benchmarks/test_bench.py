"""The record of times beside HiGHS's: lines are appended, and a row that has become slower is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from scripts import scripts


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    with scripts("benchmarks", "bench") as modules:
        yield modules.bench


def test_a_row_that_is_slower_than_on_record_is_said(bench: ModuleType, tmp_path: Path) -> None:
    def line(row: str, ratio: float) -> object:
        return bench.Line("2026-01-01", "1", "abc", "a machine, 2 cores", row, 5, 0.5, ratio / 2, 4, ratio)

    path = tmp_path / "record.csv"
    assert bench.past(path) == []
    for ratio in (12.0, 10.0, 2.0):
        bench.append(path, [line("a", ratio), line("b", 4.0)])
    record = bench.past(path)
    assert len(record) == 6
    assert record[0] == line("a", 12.0)
    now = [line("a", 6.7), line("b", 2.5), line("new", 0.1)]
    assert bench.slower(record, now) == ["SLOWER: b: HiGHS takes 2.5 times as long, on record 4 (3 runs)"]
    assert bench.slower(record, [line("a", 6.6)])  # the median is 10
    assert "| b | 5 | 500 ms | 1.25 s (4 of 5 ended) | > 2.5 | 4 |" in bench.page(now, record, 10.0)


@pytest.mark.sweep
def test_a_small_run(bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["--quick", "--record", str(tmp_path / "r.csv"), "--page", str(tmp_path / "b.md")])
    assert [line.row for line in bench.past(tmp_path / "r.csv")] == ["unc 20 x 8", "qpart/teaching-3"]
    assert "no row is slower" in capsys.readouterr().out

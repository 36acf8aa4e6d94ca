"""Requests from files: whole numbers rounded to the safe side, chunks, and what is wrong in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

import qopt
from qopt.fleet.problem import Fleet, Units
from qopt.fleet.requests import chunks, read_requests

HEAD = "class,cell,rate_up,rate_down,penalty,deadline,count\n"


@pytest.fixture
def fleet() -> Fleet:
    """Two classes, two cells; microseconds and kilobytes."""
    drawn = qopt.generate.fleet(4, seed=1, classes=2, options=3, servers=1, cells=2)
    assert drawn.units == Units(time=1e-6, data=8000.0, memory=1e6)
    return drawn


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_rates_are_airtime_and_equal_rows_one(fleet: Fleet, tmp_path: Path) -> None:
    text = HEAD + "network2,cell1,3e6,1e7,1000,0.5,2\nnetwork1,cell2,1e6,1e7,5,,1\nnetwork2,cell1,3e6,1e7,1000,0.5,1\n"
    path = written(tmp_path / "asked.csv", text)
    found = read_requests(path, fleet)
    assert found.kind.tolist() == [1, 0, 1]
    assert found.up is not None
    assert found.up.tolist() == [2667, 8000, 2667]
    assert found.deadline is not None
    assert found.deadline[0] == 500_000
    assert found.count is not None
    assert found.count.tolist() == [2, 1, 1]
    assert [len(chunk["kind"]) for chunk in chunks(path, fleet, 2)] == [2, 1]
    once = read_requests(path, fleet, merge=True)
    assert (once.kind.tolist(), once.count.tolist()) == ([0, 1], [1, 3])  # type: ignore[union-attr]
    assert qopt.solve(fleet.with_parts(requests=once)).certificate.feasible


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            "network1,cell1,nan,1e7,5,,1",
            r"row 2, column rate_up: found 'nan'; allowed: bits a second, a finite number > 0",
        ),
        ("network1,cell1,1e6,0,5,,1", r"row 2, column rate_down: found '0'; allowed: bits a second"),
        ("network9,cell1,1e6,1e7,5,,1", r"row 2, column class: found 'network9'; allowed: a class: network1, network2"),
        ("network1,cell9,1e6,1e7,5,,1", r"row 2, column cell: found 'cell9'; allowed: a cell: cell1, cell2"),
        ("network1,cell1,1e6,1e7,,,1", r"row 2, column penalty: found ''; allowed: a number from 0"),
        ("network1,cell1,1e6,1e7,-5,,1", r"row 2, column penalty: found '-5'; allowed: a number from 0"),
        ("network1,cell1,1e6,1e7,NaN,,1", r"row 2, column penalty: found 'NaN'; allowed: a number from 0"),
        ("network1,cell1,fast,1e7,5,,1", r"row 2, column rate_up: found 'fast'; allowed: a number"),
        ("network1,cell1,1e6,1e7,5,,1.5", r"row 2, column count: found '1.5'; allowed: a whole number >= 1"),
        ("network1,cell1,1e6,1e7,5,-1,1", r"row 2, column deadline: found '-1'; allowed: seconds >= 0"),
        ("network1,cell1,1e6,1", r"row 2: found 4 of 7 entries; allowed: a whole row: does the file end early\?"),
    ],
)
def test_bad_rows_are_one_line(fleet: Fleet, tmp_path: Path, row: str, line: str) -> None:
    path = written(tmp_path / "asked.csv", HEAD + "network1,cell1,1e6,1e7,5,,1\n" + row)
    with pytest.raises(qopt.InputError, match=line):
        read_requests(path, fleet)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "found an empty file"),
        (HEAD, "found no request"),
        ("class,cell\n", "found no column penalty"),
        ("class,cell,penalty,colour\n", "found a column 'colour'"),
        ("class,cell,penalty,cell\n", "found a column twice"),
    ],
)
def test_bad_heads_are_one_line(fleet: Fleet, tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(qopt.InputError, match=line):
        read_requests(written(tmp_path / "asked.csv", text), fleet)
    with pytest.raises(qopt.InputError, match=r"no\.csv"):
        read_requests(tmp_path / "no.csv", fleet)


def test_parquet_is_the_same_or_says_what_it_needs(fleet: Fleet, tmp_path: Path) -> None:
    text = HEAD + "network2,cell1,3e6,1e7,1000,0.5,2\nnetwork1,cell2,1e6,1e7,5,,1\n"
    own = read_requests(written(tmp_path / "asked.csv", text), fleet)
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError:
        with pytest.raises(qopt.MethodError, match="pyarrow"):
            read_requests(tmp_path / "asked.parquet", fleet)
        return
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(tmp_path / "asked.csv"), tmp_path / "asked.parquet")
    assert read_requests(tmp_path / "asked.parquet", fleet) == own
    (tmp_path / "torn.parquet").write_bytes((tmp_path / "asked.parquet").read_bytes()[:-10])
    with pytest.raises(qopt.InputError, match=r"torn.parquet: .* allowed: a Parquet file"):
        read_requests(tmp_path / "torn.parquet", fleet)

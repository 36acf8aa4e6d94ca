"""Published sets in their own formats, on small files of our own."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from qopt.core.errors import InputError
from qopt.kernels import mckp, sets

MKNAP = """2
3 2 9
 5 4 3
 2 3 1
 4 1 5
 5 6
2 1 0
 7.5 2
 3 1
 3
"""

PISINGER = """mine_1_3_10_1
n 3
c 5
z 9
time 0.00
1,5,2,1
2,4,3,1
3,3,3,0
-----

mine_1_3_10_2
n 1
c 1
z 0
time 0.00
1,9,2,0
-----
"""


def best(problem: sets.Knapsack) -> float:
    """The best profit, by looking at all."""
    return max(
        float(problem.profit @ x)
        for x in (np.array(t) for t in itertools.product((0, 1), repeat=len(problem.profit)))
        if (problem.weight @ x <= problem.limit).all()
    )


def check(problems: list[sets.Knapsack], known: list[float | None]) -> None:
    assert [problem.known for problem in problems] == known
    for problem in problems:
        found = mckp.solve(*problem.as_classes())
        assert found.status == "optimal"
        assert problem.profit_of(found.choice) == best(problem)
        assert problem.known in (None, best(problem))


def test_mknap(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text(MKNAP)
    problems = sets.read_mknap(tmp_path / "small.txt")
    assert [problem.name for problem in problems] == ["small-1", "small-2"]
    assert problems[0].weight.tolist() == [[2, 3, 1], [4, 1, 5]]
    check(problems, [9.0, None])


def test_pisinger(tmp_path: Path) -> None:
    (tmp_path / "small.csv").write_text(PISINGER)
    problems = sets.read_pisinger(tmp_path / "small.csv")
    assert [problem.name for problem in problems] == ["mine_1_3_10_1", "mine_1_3_10_2"]
    check(problems, [9.0, 0.0])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1 3 2", "3 words: the file ends where 1 numbers are due"),
        ("1 2.5 1 0", "4 words: 2.5 is no whole number >= 1"),
        (MKNAP + " 4", "24 words: 1 more than the problems take"),
        ("1 1 1 0 nan 1 1", "7 words: nan is no finite number"),
        ("one", "1 words: could not convert string to float: 'one'"),
    ],
)
def test_what_is_no_mknap_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        sets.read_mknap(path)
    assert str(error.value).startswith(f"{path}: found {line}")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="missing"):
        sets.read_mknap(tmp_path / "missing.txt")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("z 9", "z 8"), "line 5: an answer worth 9 where z is 8"),
        (("2,4,3,1", "2,4,3"), "line 5: '2,4,3' where item 2, its profit, weight and 0 or 1 are due (line 7)"),
        (("c 5", "k 5"), "line 3: 'k 5' where 'c ...' is due"),
        (("1,9,2,0\n", ""), "its end in the middle of a problem, after line 15"),
        ((PISINGER, "\n"), "no problem"),
    ],
)
def test_what_is_no_pisinger_is_one_line(tmp_path: Path, change: tuple[str, str], line: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(PISINGER.replace(*change, 1))
    with pytest.raises(InputError) as error:
        sets.read_pisinger(path)
    assert str(error.value).startswith(f"{path}: found {line}")
    assert "\n" not in str(error.value)

"""Whole instance files, tables and requests with entries changed: a truth, or one line that refuses them.

``FUZZ_EXAMPLES`` in the environment sets how many of each kind the sweep tries (100). Tens of thousands of instances:
``benchmarks/fuzz.py``, in shards and without hypothesis.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutated_families import FAMILIES
from mutations import ENDS, OTHERS, answer, mutated, refuted

import qopt
from qopt.core.errors import InputError
from qopt.qpart.generate import qpart
from qopt.qpart.serving.requests import FIELDS

FEW = 10
MANY = int(os.environ.get("FUZZ_EXAMPLES", "100"))


EACH = pytest.mark.parametrize("family", FAMILIES)


def fuzz(examples: int, check: Callable[[Random], None]) -> None:
    """Run a check on so many random generators that hypothesis makes, and shrinks where it fails."""

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.randoms(use_true_random=False))
    def run(random: Random) -> None:
        check(random)

    run()


def instances(examples: int, family: str) -> None:
    files, methods = FAMILIES[family].files(), FAMILIES[family].methods

    def check(random: Random) -> None:
        data = mutated(random.choice(files), random)
        assert refuted(data, methods) is None, data

    fuzz(examples, check)


@EACH
def test_changed_instance_files(family: str) -> None:
    instances(FEW, family)


@pytest.mark.sweep
@EACH
def test_many_changed_instance_files(family: str) -> None:
    instances(MANY, family)


def requests(examples: int) -> None:
    problem = qpart(3, seed=1, bits=(1, 3))
    tables = [qopt.offline(problem), qopt.offline(problem, bits="real")]

    def check(random: Random) -> None:
        columns: dict[str, Any] = {}
        for name in random.sample(FIELDS, random.randint(1, 3)):
            usual = 2 if name == "inferences" else problem.level if name == "level" else 10.0 ** random.randint(-3, 3)
            unusual = random.random() < 0.5
            values = [random.choice((*ENDS, *OTHERS)) if unusual and random.random() < 0.5 else usual for _ in range(2)]
            columns[name] = values if random.random() < 0.8 else values[0]
        table = random.choice(tables)
        decisions = answer(lambda: qopt.decide(table, qopt.Requests.of(columns)))
        if decisions is None:
            return
        for row in range(len(decisions)):
            asked = answer(lambda r=row: decisions.requests.problem(r, problem))
            alone = asked and answer(lambda p=asked: qopt.solve(p, bits=table.bits))
            if alone is None:
                continue
            value = decisions.objective[row]
            assert math.isinf(value) == (alone.plan is None), columns
            if alone.plan is not None:
                assert value == pytest.approx(alone.objective, rel=2e-9), columns
                assert qopt.certify(asked, decisions.plan(row)).feasible, columns

    fuzz(examples, check)


def test_changed_requests() -> None:
    requests(FEW)


@pytest.mark.sweep
def test_many_changed_requests() -> None:
    requests(MANY)


def archives(examples: int, folder: Path) -> None:
    """Members changed, left out, of another type; bytes of the archive changed, cut off, put in front."""
    path = folder / "table.npz"
    qopt.offline(qpart(2, seed=1, bits=(1, 3))).save(path)
    whole = path.read_bytes()
    with np.load(path) as file:
        arrays: dict[str, Any] = {name: file[name] for name in file.files}
    kinds = ("f4", "f2", "c16", "U5", "O", "i1", "b1", "M8[s]", "u8")

    def check(random: Random) -> None:
        if random.random() < 0.5:
            data = bytearray(whole)
            for _ in range(random.randint(1, 4)):
                data[random.randrange(len(data))] = random.randrange(256)
            path.write_bytes(bytes(data[: random.choice([None, None, random.randrange(len(data))])]))
        else:
            changed, name = dict(arrays), random.choice(list(arrays))
            how = random.random()
            if how < 0.2:
                del changed[name]
            elif how < 0.5:
                with np.errstate(all="ignore"):
                    changed[name] = arrays[name].astype(random.choice(kinds))
            elif how < 0.8:
                changed[name] = random.choice(
                    [arrays[name][:-1], arrays[name][None], np.array(random.choice(ENDS), dtype=object)]
                )
            else:
                changed[random.choice(["../x", "0.cut.npy", "é"])] = arrays[name]
            stream = io.BytesIO()
            np.savez(stream, **changed)
            path.write_bytes(stream.getvalue())
        answer(lambda: qopt.decide(qopt.load_table(path), {"channel.rate": [1.0]}))

    fuzz(examples, check)


def test_changed_archives(tmp_path: Path) -> None:
    archives(FEW, tmp_path)


@pytest.mark.sweep
def test_many_changed_archives(tmp_path: Path) -> None:
    archives(4 * MANY, tmp_path)


class Torn(InputError):
    """One that does not keep to its line, as `InputError` itself does."""

    def __str__(self) -> str:
        return "two\nlines"


def test_a_refusal_is_an_input_error() -> None:
    """The check of these tests finds what it should."""
    assert answer(lambda: qopt.load("nowhere.json")) is None
    with pytest.raises(ZeroDivisionError):
        answer(lambda: 1 / 0)
    with pytest.raises(RuntimeWarning):
        answer(lambda: np.float64(1) / np.float64(0))
    with pytest.raises(AssertionError, match="no clear line"):
        answer(lambda: (_ for _ in ()).throw(Torn("a", "two lines", "one")))

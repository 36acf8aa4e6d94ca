"""Table files that were damaged or forged: refused in one line, or every answer is as the unharmed table gives it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qopt
from qopt import InputError, QPart, Requests
from qopt.qpart.generate import qpart
from qopt.qpart.serving.entries import Entries, front
from qopt.qpart.serving.table import Table
from qopt.qpart.serving.table_file import FIELDS, digest

Arrays = dict[str, Any]

REQUESTS = {"channel.rate": 10.0 ** np.arange(0.0, 12.0), "device.memory": [1e9, 1e2, 1e4] * 4}


def saved(path: Path, problem: QPart) -> Arrays:
    qopt.offline(problem).save(path)
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def loaded(path: Path) -> Table | None:
    try:
        return qopt.load_table(path)
    except InputError as error:
        return None if str(error).count("\n") == 0 else pytest.fail(str(error))


def decided(table: Table) -> list[float]:
    return qopt.decide(table, Requests.of(REQUESTS)).objective.tolist()


def changes(arrays: Arrays, rng: np.random.Generator, each: int) -> Iterator[tuple[str, Any]]:
    """One entry of one array changed, some of each array."""
    for name, array in arrays.items():
        if name in ("header", "digest") or not array.size:
            continue
        for at in rng.choice(array.size, min(each, array.size), replace=False).tolist():
            changed = array.copy()
            if array.dtype == bool:
                changed[at] = not array[at]
            elif array.dtype.kind == "i":
                changed[at] += int(rng.choice([-1, 1]))
            else:
                changed[at] *= float(rng.choice([0.5, 1 + 1e-9, -1.0, np.nan]))
            yield name, changed


def test_one_changed_entry_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    arrays = saved(path, qpart(3, seed=1, bits=(1, 4)))
    assert decided(qopt.load_table(path)) == decided(qopt.offline(qpart(3, seed=1, bits=(1, 4))))
    for name, changed in changes(arrays, np.random.default_rng(0), 2):
        np.savez(path, **{**arrays, name: changed})
        assert loaded(path) is None, name


@pytest.mark.parametrize("seed", [1, *(pytest.param(s, marks=pytest.mark.sweep) for s in range(2, 8))])
def test_one_changed_entry_is_refused_even_with_the_right_digest(tmp_path: Path, seed: int) -> None:
    """Columns are worked out anew; of the widths, fewer bits break the noise limit, and more are not needed."""
    path, problem = tmp_path / "table.npz", qpart(3, seed=seed, bits=(1, 4))
    arrays = saved(path, problem)
    truth = decided(qopt.offline(problem))
    for name, changed in changes(arrays, np.random.default_rng(seed), 6):
        forged = {**arrays, name: changed}
        np.savez(path, **{**forged, "digest": digest({k: a for k, a in forged.items() if k != "digest"})})
        table = loaded(path)
        assert table is None or decided(table) == truth, (name, changed)


def test_a_plan_of_too_much_noise_or_a_cut_left_out(tmp_path: Path) -> None:
    path, problem = tmp_path / "table.npz", qpart(3, seed=1, bits=(1, 4))
    table = qopt.offline(problem)
    loud = qopt.offline(problem.replace({"accuracy.delta": (problem.accuracy.delta * 4.0).tolist()}))
    fewer = qopt.offline(problem.replace({"cuts": [0, 1]}))
    for other in (loud, fewer):
        Table(
            "whole", table.networks, {(next(iter(table.networks)), k): e for (_, k), e in other.whole.items()}, {}
        ).save(path)
        assert loaded(path) is None


def test_a_better_plan_that_was_left_out(tmp_path: Path) -> None:
    """Only working the table out again tells: `verify` does, whichever plan is missing."""
    path, problem = tmp_path / "table.npz", qopt.load("qpart/teaching-3")
    table = qopt.offline(problem)
    assert table.verify()
    assert qopt.offline(problem, bits="real").verify()
    assert not table.verify(time_limit=0)
    passed = 0
    for key, plans in table.whole.items():
        for gone in range(len(plans)):
            kept = np.delete(np.arange(len(plans)), gone)
            widths = [plans.widths[plans.start[e] : plans.start[e + 1]] for e in kept]
            columns = {name: getattr(plans, name)[kept] for name in FIELDS if name not in ("widths", "start")}
            start = np.concatenate(([0], np.cumsum([len(w) for w in widths]))).astype(np.int64)
            fewer = Entries(**columns, widths=np.concatenate(widths), start=start)
            for cut in np.unique(fewer.cut):
                own = np.flatnonzero(fewer.cut == cut)
                fewer.extreme[own] = front(fewer.download[own], fewer.upload[own])[1]
            forged = Table("whole", table.networks, {**table.whole, key: fewer}, {})
            forged.save(path)
            passed += loaded(path) is not None
            with pytest.raises(
                qopt.InputError, match=r"^table of .*: found no plan at cut .*; allowed: the table that "
            ):
                forged.verify()
            if loaded(path) is not None:
                with pytest.raises(qopt.InputError, match=r"^table of "):
                    qopt.load_table(path, verify=True)
    assert passed > 0
    for bad in (-1, True):
        with pytest.raises(qopt.InputError, match=r"^time_limit: found "):
            table.verify(time_limit=bad)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.sweep)])
def test_changed_bytes(tmp_path: Path, seed: int) -> None:
    path, problem = tmp_path / "table.npz", qpart(2, seed=1, bits=(1, 3))
    saved(path, problem)
    whole, rng = path.read_bytes(), np.random.default_rng(seed)
    truth = decided(qopt.offline(problem))
    for _ in range(40 if seed == 0 else 800):
        data = bytearray(whole)
        for at in rng.choice(len(data), rng.integers(1, 4)).tolist():
            data[at] = int(rng.integers(256))
        if rng.random() < 0.2:
            data = data[: int(rng.integers(len(data)))]
        path.write_bytes(bytes(data))
        table = loaded(path)
        assert table is None or decided(table) == truth


@pytest.mark.parametrize(
    "change",
    [
        lambda _: [],
        lambda header: {**header, "version": 1},
        lambda header: {**header, "bits": ["whole"]},
        lambda header: {**header, "bits": "real"},
        lambda header: {**header, "networks": []},
        lambda header: {**header, "networks": {}},
        lambda header: {**header, "tables": header["tables"][:-1]},
        lambda header: {**header, "tables": [[name, True] for name, _ in header["tables"]]},
        lambda header: {**header, "tables": [["elsewhere", row] for _, row in header["tables"]]},
        lambda header: {k: v for k, v in header.items() if k != "format"},
    ],
)
def test_headers_that_are_none(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "table.npz"
    arrays = saved(path, qpart(2, seed=1, bits=(1, 3)))
    header = json.dumps(change(json.loads(bytes(arrays["header"]).decode()))).encode()
    arrays["header"] = np.frombuffer(header, dtype=np.uint8)
    np.savez(path, **{**arrays, "digest": digest({k: a for k, a in arrays.items() if k != "digest"})})
    table = loaded(path)
    assert table is None or (table.bits == "real" and len(decided(table)) == 12)

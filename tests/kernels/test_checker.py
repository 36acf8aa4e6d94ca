"""The checker of the kernels' answers, against enumeration: it accepts genuine proofs, and nothing that is false."""

from __future__ import annotations

import copy
import itertools
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exact import allowed, total
from hypothesis import given
from hypothesis import strategies as st
from kernel_files import VALUES, Data, answers, graph, headed, paths, real
from sweeps import examples, few

from qopt.kernels import checker, exchange, mckp, mincut, rcsp
from qopt.kernels.checker import check
from qopt.kernels.paths.graph import Layered

MILLIARDTH = Fraction(1, 10**9)


def true(data: Data, verdict: checker.Verdict) -> bool:
    """Whether what a verdict says holds."""
    least = min((cost for _, cost in answers(data)), default=None)
    if least is None or verdict.objective is None or verdict.bound is None:
        return least is None and verdict.objective is None and verdict.bound is None
    return verdict.bound <= least <= verdict.objective <= least + abs(verdict.objective) * MILLIARDTH


# --- instances and genuine witnesses ------------------------------------------------------------------------------


def knapsack(seed: int) -> tuple[Data, Data]:
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    cost, weight = real(rng, seed % 2 == 0, n, k), real(rng, seed % 3 == 0, n, k)
    if seed % 5 == 0:
        cost, weight = -cost, -weight
    low, high = float(weight.min(axis=1).sum()), float(weight.max(axis=1).sum())
    limit = low + float(rng.choice([-0.2, 0.0, 0.1, 0.4, 0.7])) * (high - low + 1)
    result = mckp.solve(cost, weight, limit)
    assert result.status in ("optimal", "infeasible")
    witness = exchange.mckp_witness(result)
    return read(exchange.mckp_instance(cost, weight, limit)), read(witness)


def labelling(seed: int) -> tuple[Data, Data]:
    rng = np.random.default_rng(seed)
    n, labels = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    unary = real(rng, seed % 2 == 0, n, labels) - 4
    unary[rng.random((n, labels)) < 0.1] = math.inf
    tensors = []
    for _ in range(int(rng.integers(0, 5))):
        weights = real(rng, seed % 2 == 0, labels - 1)
        weights[rng.random(labels - 1) < 0.1] = math.inf
        tensors.append((int(rng.integers(n)), rng.integers(0, n, int(rng.integers(0, 4))).tolist(), weights))
    result = mincut.solve(unary, tensors)
    return read(exchange.cut_instance(unary, tensors)), read(exchange.cut_witness(result))


def proof(data: Data) -> Data:
    """A witness by splitting until a few multipliers close every leaf, over the list of all paths."""
    rows = range(len(data["limit"]))
    best = min(((cost, path) for path, cost in answers(data)), default=None)
    upward = all(arc[0] < arc[1] for arc in data["arcs"])

    def closing(left: list[list[int]]) -> list[Any] | None:
        for size in (0.0, 0.1, 1.0, 10.0, 1e12):
            for at in itertools.product((0.0, 1.0), repeat=len(rows)):
                lam = [size * x if data["limit"][r] is not None else 0.0 for r, x in enumerate(at)]
                for a in (1, 0):
                    bounds = [
                        a * total(data["arcs"][k][2] for k in path)
                        + sum(
                            Fraction(lam[r])
                            * (total(data["arcs"][k][3 + r] for k in path) - Fraction(allowed(data["limit"][r])))
                            for r in rows
                            if lam[r]
                        )
                        for path in left
                    ]
                    if (a == 0 and min(bounds, default=1) > 0) or (
                        a == 1 and best is not None and min(bounds, default=best[0]) >= best[0]
                    ):
                        return ["leaf", a, *lam]
        return None

    def tree(left: list[list[int]], open_arcs: frozenset[int]) -> list[Any]:
        leaf = closing(left)
        if leaf is not None:
            return [leaf]
        v = next(x for x in range(data["vertices"]) if len({k for path in left for k in path if leaves(k, x)}) > 1)
        group = {k for k in open_arcs if leaves(k, v)}
        kind = "out"
        if upward and v % 2:
            kind, group = "cross", {k for k in open_arcs if data["arcs"][k][0] <= v < data["arcs"][k][1]}
        named = {min(k for path in left for k in path if leaves(k, v))}
        first = [path for path in left if not (group - named) & set(path)]
        second = [path for path in left if not named & set(path)]
        return [
            [kind, v, sorted(named)],
            *tree(first, open_arcs - (group - named)),
            *tree(second, open_arcs - named),
        ]

    def leaves(k: int, v: int) -> bool:
        return bool(data["arcs"][k][0] == v)

    present = frozenset(k for k, arc in enumerate(data["arcs"]) if arc[2] is not None and arc[0] != arc[1])
    nodes = tree(list(paths(data)), present)
    return headed("witness", "rcsp", path=None if best is None else best[1], tree=nodes)


def route(seed: int) -> tuple[Data, Data]:
    data = graph(seed)
    return read(data), read(proof(data))


def read(data: Data) -> Data:
    """As it comes out of a file."""
    found: Data = json.loads(json.dumps(data, allow_nan=False))
    return found


SOURCES = {"mckp": knapsack, "rcsp": route, "cut": labelling}


@pytest.mark.parametrize("kind", SOURCES)
def test_genuine_witnesses_are_accepted_and_say_the_truth(kind: str) -> None:
    outcomes = set()
    for seed in range(few(250)):
        data, witness = SOURCES[kind](seed)
        verdict = check(data, witness)
        assert verdict.accepted, (seed, verdict)
        assert true(data, verdict), (seed, verdict)
        outcomes.add(verdict.objective is None)
    assert outcomes == {True, False}


def test_genuine_witnesses_of_paths() -> None:
    """Those of the kernel, whose trees it writes in its own way."""
    outcomes = set()
    for seed in range(few(300)):
        data = graph(seed)
        result = rcsp.solve(*exchange.from_data(data))
        if result.status == "optimal-by-solver":  # a sum of cancelling costs, too near zero to be proved to 1e-9 of it
            continue
        outcomes.add((seed % 3, result.status))
        verdict = check(data, read(exchange.rcsp_witness(result)))
        assert verdict.accepted, (seed, verdict)
        assert true(data, verdict), (seed, verdict)
    assert len(outcomes) == 6


def test_genuine_witnesses_of_layers() -> None:
    rng, longest = np.random.default_rng(0), 0
    for size in [3] * few(60) + [8] * few(6):
        cost, used = rng.uniform(1, 9, (size, size)), rng.uniform(1, 9, (2, size, size))
        arc_cost = np.where(rng.random((size, size)) < 0.1, np.inf, rng.random((size, size)))
        layers = Layered(cost, used, arc_cost, rng.random((2, size, size)))
        limit = rng.uniform(3, 6, 2) * size
        result = rcsp.solve(layers, limit)
        data, witness = read(exchange.rcsp_instance(layers, limit)), read(exchange.rcsp_witness(result))
        verdict = check(data, witness)
        assert verdict.accepted
        assert size > 3 or true(data, verdict)
        longest = max(longest, len(witness["tree"]))
        if len(witness["tree"]) > 1:
            assert not check(data, {**witness, "tree": witness["tree"][:-1]}).accepted
            assert not check(data, {**witness, "tree": witness["tree"][1:]}).accepted
    assert longest > 20


# --- what is false is refused -------------------------------------------------------------------------------------

JUNK: list[Any] = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    0.5,
    -0.0,
    1e308,
    math.nan,
    math.inf,
    10**400,
    "",
    "leaf",
    [],
    {},
    [[]],
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested data."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from places(inner, (*path, key))


def mutated(rng: np.random.Generator, value: Any) -> Any:
    """A copy with one place changed: other numbers, entries dropped, doubled, swapped, or junk."""
    value = copy.deepcopy(value)
    all_places = [path for path in places(value) if path]
    path = all_places[int(rng.integers(len(all_places)))]
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    key, old = path[-1], parent[path[-1]]
    way = int(rng.integers(6))
    if way == 0 and isinstance(parent, list):
        del parent[key]
    elif way == 1 and isinstance(parent, list):
        parent.insert(int(rng.integers(len(parent) + 1)), copy.deepcopy(old))
    elif way == 2 and isinstance(parent, list):
        other = int(rng.integers(len(parent)))
        parent[key], parent[other] = parent[other], old
    elif way < 5 and type(old) in (int, float) and abs(old) < 1e300:
        parent[key] = (
            type(old)(old + int(rng.choice([-2, -1, 1, 2]))) if way < 4 else type(old)(old * rng.uniform(0, 2))
        )
    else:
        parent[key] = JUNK[int(rng.integers(len(JUNK)))]
    return value


@pytest.mark.parametrize("kind", SOURCES)
def test_a_changed_witness_is_refused_or_still_true(kind: str) -> None:
    rng, refused, accepted = np.random.default_rng(1), 0, 0
    for seed in range(few(150)):
        data, witness = SOURCES[kind](seed)
        for _ in range(30):
            verdict = check(data, mutated(rng, witness))
            assert not verdict.accepted or true(data, verdict), (seed, verdict)
            refused, accepted = refused + (not verdict.accepted), accepted + verdict.accepted
    assert refused > accepted > 0  # a tree does not mind every change


@pytest.mark.parametrize("kind", SOURCES)
def test_a_witness_of_other_data_is_refused_or_still_true(kind: str) -> None:
    rng, refused = np.random.default_rng(2), 0
    for seed in range(few(150)):
        data, witness = SOURCES[kind](seed)
        for _ in range(20):
            other = mutated(rng, data)
            verdict = check(other, witness)
            assert not verdict.accepted or true(other, verdict), (seed, other, verdict)
            refused += not verdict.accepted
    assert refused > few(100)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_worse_answer_with_the_same_proof_is_refused(kind: str) -> None:
    field, tried = {"mckp": "choice", "rcsp": "path", "cut": "labels"}[kind], 0
    for seed in range(few(300)):
        data, witness = SOURCES[kind](seed)
        objective = check(data, witness).objective
        for answer, cost in itertools.islice(answers(data), 50):
            verdict = check(data, {**witness, field: answer})
            if objective is None or cost > objective + abs(objective) * MILLIARDTH * 2:
                assert not verdict.accepted
                tried += 1
            else:
                assert verdict.accepted
        if objective is not None:
            assert not check(data, {**witness, field: None}).accepted
    assert tried > few(500)


@pytest.mark.parametrize("kind", SOURCES)
def test_files_of_another_kind_version_or_field_are_refused(kind: str) -> None:
    data, witness = next((d, w) for d, w in map(SOURCES[kind], range(9)) if check(d, w).objective is not None)
    assert check({**data, "name": "a name", "note": "a note"}, witness).accepted
    changes: list[Data] = [
        {"version": 2},
        {"version": True},
        {"format": "x"},
        {"kind": "other"},
        {"kind": []},
        {"lower": [1]},
    ]
    for change in changes:
        assert check({**data, **change}, witness).reason.startswith("the instance")
        if "lower" not in change:
            assert check(data, {**witness, **change}).reason.startswith("the witness")
    for field in data:
        assert not check({k: v for k, v in data.items() if k != field}, witness).accepted
    for field in witness:
        assert not check(data, {k: v for k, v in witness.items() if k != field}).accepted
    for other in SOURCES:
        if other != kind:
            mixed = {**SOURCES[other](0)[1], **witness, "kind": other}
            assert "not one of kind" in check(data, mixed).reason


@given(st.sampled_from(list(SOURCES)), st.integers(0, 20), st.booleans(), st.integers(0, 2**32), VALUES)
@examples(300)
def test_nothing_is_raised_whatever_the_files_hold(kind: str, seed: int, which: bool, place: int, value: Any) -> None:
    data, witness = SOURCES[kind](seed)
    changed = copy.deepcopy(data if which else witness)
    keys = [path for path in places(changed) if path]
    *path, last = keys[place % len(keys)]
    parent = changed
    for key in path:
        parent = parent[key]
    parent[last] = value
    verdict = check(changed, witness) if which else check(data, changed)
    assert not verdict.accepted or true(changed if which else data, verdict)
    for pair in ((value, witness), (data, value), (value, value)):
        assert not check(*pair).accepted


# --- as a script --------------------------------------------------------------------------------------------------


def run(folder: Path, *names: str) -> tuple[int, str, str]:
    """A copy of the checker alone, in an isolated interpreter without site-packages."""
    script = folder / "checker.py"
    script.write_bytes(Path(checker.__file__).read_bytes())
    given = [str(folder / name) if name.endswith(".json") else name for name in names]
    command = [sys.executable, "-I", "-S", str(script), *given]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_script_needs_the_standard_library_alone(tmp_path: Path) -> None:
    for kind, source in SOURCES.items():
        data, witness = source(4)
        exchange.save(tmp_path / f"{kind}.json", data)
        exchange.save(tmp_path / f"{kind}-witness.json", witness)
        code, out, err = run(tmp_path, f"{kind}.json", f"{kind}-witness.json")
        assert (code, err) == (0, "")
        assert out.startswith("yes: ")
        assert out.count("\n") == 1
    code, out, err = run(tmp_path, "mckp.json", "rcsp-witness.json")
    assert (code, err) == (1, "")
    assert out.startswith("no: the witness")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    (tmp_path / "twice.json").write_text('{"format": 1, "format": 2}')
    (tmp_path / "digits.json").write_text("1" * 10_000)
    for name in ("missing.json", "deep.json", "bytes.json", "twice.json", "digits.json"):
        code, out, err = run(tmp_path, name, "mckp-witness.json")
        assert (code, out) == (2, "")
        assert err.startswith("not readable")
        assert err.count("\n") == 1
    assert run(tmp_path)[0] == 2
    assert run(tmp_path, "mckp.json")[0] == 2


def test_the_script_takes_a_gap(tmp_path: Path) -> None:
    exchange.save(tmp_path / "i.json", headed("instance", "mckp", cost=[[1, 0.9]], weight=[[[0, 1]]], limit=[1]))
    worse = headed("witness", "mckp", choice=[0], tree=[["leaf", 1, 0.0]])
    exchange.save(tmp_path / "w.json", worse)
    exchange.save(tmp_path / "own.json", {**worse, "gap": 0.3})
    for name, gap, code, words in (
        ("w.json", None, 1, "does not reach"),
        ("w.json", "0.2", 0, "nothing is cheaper by more than 0.2 of it"),
        ("own.json", None, 1, "its gap of 0.3 is not between 0 and the 1e-09 that is allowed"),
        ("own.json", "0.2", 1, "its gap of 0.3 is not between 0 and the 0.2 that is allowed"),
        ("own.json", "0.3", 0, "by more than 0.3 of it"),
    ):
        found, out, err = run(tmp_path, "i.json", name, *([] if gap is None else ["--gap", gap]))
        assert (found, err) == (code, "")
        assert words in out
        assert out.count("\n") == 1
    for gap in ("-1", "nan", "inf", "1e301", "much"):
        found, out, err = run(tmp_path, "i.json", "w.json", "--gap", gap)
        assert (found, out) == (2, "")
        assert err.splitlines()[-1].startswith("checker.py: error: argument --gap: ")

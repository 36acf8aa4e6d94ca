"""Files of the kernels, as plain data: headers, small ones by hand, and every answer that is feasible."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from exact import total, within
from hypothesis import strategies as st

Data = dict[str, Any]


def headed(form: str, kind: str, **data: Any) -> Data:
    """Data of an instance or a witness under its header."""
    return {"format": f"qopt/kernel-{form}", "version": 1, "kind": kind, **data}


def answers(data: Data) -> Iterator[tuple[Any, Fraction]]:
    """Every feasible answer with its cost, in rationals."""
    kind = data["kind"]
    if kind == "mckp":
        for choice in itertools.product(*(range(len(row)) for row in data["cost"])):
            if any(len({choice[i] for i in tie}) > 1 for tie in data.get("ties", [])):
                continue
            sums = [total(row[i][c] for i, c in enumerate(choice)) for row in data["weight"]]
            if all(w is None or within([s], w) for s, w in zip(sums, data["limit"], strict=True)):
                yield list(choice), total(data["cost"][i][c] for i, c in enumerate(choice))
    elif kind == "rcsp":
        for path in paths(data):
            used = [total(data["arcs"][k][3 + r] for k in path) for r in range(len(data["limit"]))]
            if all(w is None or within([s], w) for s, w in zip(used, data["limit"], strict=True)):
                yield path, total(data["arcs"][k][2] for k in path)
    else:
        for labels in itertools.product(range(data["labels"]), repeat=len(data["unary"])):
            paid = [row[label] for row, label in zip(data["unary"], labels, strict=True)]
            for producer, readers, weights in data["tensors"]:
                paid += weights[labels[producer] : max((labels[v] for v in readers), default=0)]
            ordered = all(labels[t[0]] <= labels[v] for t in data["tensors"] for v in t[1])
            if ordered and None not in paid:
                yield list(labels), total(paid)


def paths(data: Data) -> Iterator[list[int]]:
    """Every path without a vertex twice, as arcs."""

    def onward(vertex: int, seen: frozenset[int], path: list[int]) -> Iterator[list[int]]:
        if vertex == data["target"]:
            yield path
            return
        for k, arc in enumerate(data["arcs"]):
            if arc[0] == vertex and arc[1] not in seen and arc[2] is not None:
                yield from onward(arc[1], seen | {arc[1]}, [*path, k])

    yield from onward(data["source"], frozenset({data["source"]}), [])


KNAPSACK = headed("instance", "mckp", cost=[[5, 3, 0], [4, 1, 0.5]], weight=[[[0, 1, 2], [0, 1, 2]]], limit=[2])
"""Best: 4 = 3 + 1 = 0 + 4. One leaf proves 3.5 at most, at multiplier 2.5."""

GRAPH = headed(
    "instance",
    "rcsp",
    vertices=4,
    source=0,
    target=3,
    arcs=[[0, 1, 1, 9], [0, 2, 2, 1], [1, 3, 1, 1], [2, 3, 2, 1], [0, 3, 9, 0], [1, 2, 0, 0]],
    limit=[9],
)

CUT = headed("instance", "cut", labels=2, unary=[[0, 5], [4, 0]], tensors=[[0, [1], [3]]])


def real(rng: np.random.Generator, whole: bool, *shape: int) -> Any:
    """Whole or real numbers."""
    return rng.integers(0, 9, shape).astype(float) if whole else 10.0 ** rng.uniform(-3, 3, shape)


def graph(seed: int) -> Data:
    """A small graph: leading upwards, leading upwards under other numbers, or with cycles."""
    rng = np.random.default_rng(seed)
    n, rows = int(rng.integers(3, 7)), int(rng.integers(1, 3))
    names = rng.permutation(n).tolist() if seed % 3 == 1 else list(range(n))
    arcs: list[list[Any]] = []
    for tail, head in itertools.product(range(n), range(n)):
        forward = tail < head if seed % 3 < 2 else tail != head or rng.random() < 0.2
        if forward and rng.random() < 0.75:
            numbers = [float(x) for x in real(rng, seed % 2 == 0, 1 + rows)]
            if seed % 3 < 2 and seed % 5 == 0:
                numbers[0] = -numbers[0]
            arcs.append([names[tail], names[head], None if rng.random() < 0.05 else numbers[0], *numbers[1:]])
    limit = [float(rng.choice([8.0, 20.0, 100.0, 1e4])) if seed % 7 or r else None for r in range(rows)]
    return headed("instance", "rcsp", vertices=n, source=names[0], target=names[-1], arcs=arcs, limit=limit)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["leaf", "split", "cross", "out", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=12,
)

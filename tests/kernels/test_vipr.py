"""Proofs in VIPR: the format's rules take them, and refuse what is changed where it matters."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from constrained_paths import random_digraph, random_layered, random_limit
from vipr_rules import Wrong, verify

from qopt.core.errors import InputError
from qopt.kernels import mckp, mincut, rcsp
from qopt.kernels.exchange import (
    cut_instance,
    cut_witness,
    mckp_instance,
    mckp_witness,
    rcsp_instance,
    rcsp_witness,
)
from qopt.kernels.vipr import vipr

COUNT = 8
Case = tuple[dict[str, Any], dict[str, Any]]


def knapsack(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    n, k, rows = int(rng.integers(2, 6)), int(rng.integers(2, 5)), int(rng.integers(2, 4))
    real = bool(rng.integers(2))
    cost, weight = (
        rng.uniform(0, 9, s) if real else rng.integers(0, 30, s).astype(float) for s in ((n, k), (rows, n, k))
    )
    limit = weight.min(axis=2).sum(axis=1) + rng.uniform(-0.02, 0.5) * np.ptp(weight, axis=2).sum(axis=1)
    found = mckp.solve(cost, weight, limit)
    return mckp_instance(cost, weight, limit), mckp_witness(found)


def path(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 3))
    if seed % 2:
        graph: Any = random_layered(rng, int(rng.integers(2, 5)), int(rng.integers(2, 4)), rows)
    else:
        graph = random_digraph(rng, 7, 22, rows, False)
    limit = random_limit(rng, graph)
    return rcsp_instance(graph, limit), rcsp_witness(rcsp.solve(graph, limit))


def cut(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    n, labels = int(rng.integers(2, 7)), int(rng.integers(2, 4))
    unary = rng.integers(0, 12, (n, labels)) / 4
    unary[rng.random(unary.shape) < 0.1] = math.inf
    tensors = []
    for v in range(n - 1):
        readers = [int(x) for x in rng.choice(np.arange(v + 1, n), int(rng.integers(1, n - v)), replace=False)]
        tensors.append((v, readers, [float(x) for x in rng.integers(0, 9, labels - 1) / 2]))
    return cut_instance(unary, tensors), cut_witness(mincut.solve(unary, tensors))


KINDS = {"knapsack": knapsack, "path": path, "cut": cut}


def translated(kind: str, seed: int) -> str | None:
    """The file of a case; None where its leaves have no translation, or the kernel no tree."""
    try:
        instance, witness = KINDS[kind](seed)
    except InputError:
        return None
    if any(node[0] in ("sums", "rounded", "labels") for node in witness.get("tree", [])):
        with pytest.raises(InputError, match="tree: found leaves of kind"):
            vipr(instance, witness)
        return None
    return vipr(instance, witness)


def check_many(kind: str, first: int, wanted: int) -> None:
    accepted, seed = 0, first
    while accepted < wanted:
        text = translated(kind, seed)
        seed += 1
        assert seed < first + 5 * wanted
        if text is not None:
            lower, upper = verify(text)
            assert (lower is None) == (upper is None)
            assert lower is None or upper is None or lower <= upper
            accepted += 1


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_accepted(kind: str) -> None:
    check_many(kind, 0, COUNT)


@pytest.mark.sweep
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_files_are_accepted(kind: str) -> None:
    check_many(kind, 1000, 100)


def changes(text: str, rng: np.random.Generator) -> dict[str, str]:
    """The file with a claim, a multiplier or a split made another one, by what was changed."""
    found = {}
    claim = re.search(r"^RTP range (-?\d+) ", text, re.M)
    if claim is not None:
        more = int(claim[1]) + 1 + abs(int(claim[1]))
        found["claim"] = text.replace(claim[0], f"RTP range {more} ")
    lines = text.split("\n")
    combined = [i for i, line in enumerate(lines) if "{ lin " in line and not line.endswith("lin 0 } -1")]
    i = int(rng.choice(combined))
    words = lines[i].split()
    at = words.index("lin")
    pairs = list(range(at + 3, at + 2 + 2 * int(words[at + 1]), 2))
    empty = {line.split()[0][1:] for line in lines if re.fullmatch(r"C\d+ [GLE] \S+ 0", line)}  # rows that say nothing
    telling = [j for j in pairs if words[j - 1] not in empty]
    if telling:
        j = int(rng.choice(telling))
        words[j] = str(Fraction(words[j]) + 1)
        found["multiplier"] = "\n".join([*lines[:i], " ".join(words), *lines[i + 1 :]])
    splits = [i for i, line in enumerate(lines) if "{ uns " in line]
    if splits:
        i = int(rng.choice(splits))
        words = lines[i].split()
        at = words.index("uns")
        words[at + 1], words[at + 3] = words[at + 3], words[at + 1]
        found["split"] = "\n".join([*lines[:i], " ".join(words), *lines[i + 1 :]])
        assumed = [i for i, line in enumerate(lines) if "{ asm }" in line and " G 1 " in line]
        i = assumed[0]
        found["assumption"] = "\n".join([*lines[:i], lines[i].replace(" G 1 ", " G 2 "), *lines[i + 1 :]])
    return found


def check_changes(kind: str, seeds: range) -> dict[str, int]:
    refused: dict[str, int] = {}
    for seed in seeds:
        text = translated(kind, seed)
        if text is None:
            continue
        for what, changed in changes(text, np.random.default_rng(seed)).items():
            if changed == text:
                continue
            with pytest.raises(Wrong):
                verify(changed)
            refused[what] = refused.get(what, 0) + 1
    return refused


@pytest.mark.parametrize("kind", KINDS)
def test_changes_are_refused(kind: str) -> None:
    refused = check_changes(kind, range(20, 20 + 2 * COUNT))
    assert refused["claim"]
    assert refused["multiplier"]
    if kind == "knapsack":
        assert refused["split"]
        assert refused["assumption"]


def test_what_has_no_translation() -> None:
    cost, weight = np.array([[3.0, 1.0], [4.0, 2.0]]), np.array([[1.0, 3.0], [1.0, 2.0]])
    instance, witness = mckp_instance(cost, weight, 4.0), mckp_witness(mckp.solve(cost, weight, 4.0))
    sums = {**witness, "tree": [["sums", [], [0.5]]]}
    with pytest.raises(InputError, match="tree: found leaves of kind sums"):
        vipr(instance, sums)
    with pytest.raises(InputError, match="witness: found the witness"):
        vipr(instance, {**witness, "choice": [0, 0]})
    cyclic = rcsp.Digraph(3, np.array([0, 1, 1]), np.array([1, 0, 2]), np.ones(3), np.ones(3), 0, 2)
    with pytest.raises(InputError, match="a graph with cycles"):
        vipr(rcsp_instance(cyclic, 5.0), rcsp_witness(rcsp.solve(cyclic, 5.0)))
    with pytest.raises(Wrong):
        verify(vipr(instance, witness)[:-40])

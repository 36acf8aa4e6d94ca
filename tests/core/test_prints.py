"""Prints are short: whatever a user can hold fits on a part of a screen, however much it holds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import qopt
from qopt.allocation.items import items
from qopt.core.families import FAMILIES
from qopt.core.method import Options
from qopt.jqodi.diagram import diagram
from qopt.jqodi.labels import labels
from qopt.jqodi.terms import candidates
from qopt.kernels import mckp, mincut, rcsp, waterfill
from qopt.kernels.paths.graph import Digraph, Layered
from qopt.placement.costs import labelling
from qopt.placement.rows import limits
from qopt.placement.terms import terms
from qopt.qpart.serving.prices import request_prices
from qopt.qpart.subproblem import subproblems

LONGEST = 500
"""Characters of a repr."""

MOST_LINES = 14
"""Lines of a print."""


@functools.cache
def deep() -> Any:
    """2000 layers with several tensors across each cut."""
    return qopt.generate.qpart(2000, seed=1, branches=True, noise="table", name="deep")


@functools.cache
def long() -> Any:
    """40 epochs with 9 states each."""
    return qopt.generate.jqodi(40, seed=1, servers=3, cuts=3, models=1, losses=True, requests=10.0)


@functools.cache
def wide() -> Any:
    """2000 operations over 12 tiers."""
    return qopt.generate.placement(2000, seed=1, tiers=12)


@functools.cache
def fleet_of_many() -> Any:
    return qopt.generate.fleet(3000, seed=1, servers=40, cells=40)


@functools.cache
def solved(which: str) -> Any:
    if which == "qpart":
        return qopt.solve(deep().replace({"cuts": [1999, 2000]}), "mckp")
    if which == "fleet":
        return qopt.solve(fleet_of_many(), "greedy")
    if which == "allocation":
        return qopt.solve("allocation/qwen3.5-0.8b")
    return qopt.solve(long(), "rcsp") if which == "jqodi" else qopt.solve(wide())


@functools.cache
def table(bits: Any) -> Any:
    problems = [qopt.generate.qpart(12, seed=seed, name=f"network-{seed}") for seed in range(12)]
    return qopt.offline(problems, bits)


@functools.cache
def requests(n: int = 50_000) -> Any:
    rng = np.random.default_rng(1)
    fields = ("device.clock", "server.clock", "channel.rate", "server.price", "objective.time", "objective.energy")
    names = rng.choice(list(table("whole").networks), n)
    amounts = {field: 10.0 ** rng.uniform(-2, 9, n) for field in (*fields, "objective.price", "channel.transmit_power")}
    return qopt.Requests.of({**amounts, "inferences": np.ones(n), "level": np.full(n, 0.5)}, names)


@functools.cache
def knapsack() -> tuple[Any, Any, float]:
    """300 classes."""
    rng = np.random.default_rng(3)
    weight = rng.integers(1, 1001, (300, 6)).astype(float)
    cost = 1101.0 - weight + rng.integers(-100, 101, weight.shape)
    return cost, weight, float(np.floor(0.4 * (weight.min(1) + weight.max(1)).sum()))


@functools.cache
def layered() -> Layered:
    rng = np.random.default_rng(4)
    return Layered(rng.random((40, 9)), rng.random((40, 9)), rng.random((9, 9)), rng.random((9, 9)))


@functools.cache
def digraph() -> Digraph:
    rng, n = np.random.default_rng(5), 60
    tail, head = rng.integers(0, n, 600), rng.integers(0, n, 600)
    return Digraph(n, tail, head, rng.random(600), rng.random((3, 600)), 0, n - 1)


def cut() -> Any:
    rng, n = np.random.default_rng(6), 2000
    return mincut.solve(rng.random((n, 4)), [(k, [k + 1], rng.random(3)) for k in range(n - 1)])


def water() -> Any:
    rng = np.random.default_rng(7)
    return waterfill.allocate(rng.random(5000), rng.random(5000), 10.0, 1.0, 16.0)


@functools.cache
def own_terms() -> Any:
    return terms(wide(), wide().operators[0])


@functools.cache
def costs_of_labels() -> Any:
    return labelling(wide(), own_terms())


HELD: dict[str, Callable[[], Any]] = {
    "qpart": deep,
    "jqodi": long,
    "allocation": lambda: qopt.load("allocation/qwen3.5-0.8b"),
    "allocation solution": lambda: solved("allocation"),
    "allocation plan": lambda: solved("allocation").plan,
    "allocation certificate": lambda: solved("allocation").certificate,
    "allocation cost": lambda: solved("allocation").certificate.cost,
    "fleet": lambda: fleet_of_many(),
    "fleet solution": lambda: solved("fleet"),
    "fleet plan": lambda: solved("fleet").plan,
    "fleet certificate": lambda: solved("fleet").certificate,
    "fleet cost": lambda: solved("fleet").certificate.cost,
    "items": lambda: items(qopt.load("allocation/qwen3.5-0.8b")),
    "audit": lambda: qopt.audit("allocation/teaching-4", dict.fromkeys("abcd", "int4")),
    "placement": wide,
    "qpart solution": lambda: solved("qpart"),
    "jqodi solution": lambda: solved("jqodi"),
    "placement solution": lambda: solved("placement"),
    "qpart plan": lambda: solved("qpart").plan,
    "jqodi plan": lambda: solved("jqodi").plan,
    "placement plan": lambda: solved("placement").plan,
    "qpart certificate": lambda: solved("qpart").certificate,
    "jqodi certificate": lambda: solved("jqodi").certificate,
    "placement certificate": lambda: solved("placement").certificate,
    "qpart cost": lambda: solved("qpart").certificate.cost,
    "jqodi cost": lambda: solved("jqodi").certificate.cost,
    "an epoch's cost": lambda: solved("jqodi").certificate.cost.epochs[0],
    "placement cost": lambda: solved("placement").certificate.cost,
    "envelope": lambda: qopt.breakpoints(qopt.load("qpart/teaching-3"), "channel.rate"),
    "piece": lambda: qopt.breakpoints(qopt.load("qpart/teaching-3"), "channel.rate").pieces[0],
    "front": lambda: qopt.front(qopt.generate.placement(30, seed=1)),
    "front's point": lambda: qopt.front(qopt.generate.placement(30, seed=1)).points[0],
    "offline table": lambda: table("whole"),
    "offline table of curves": lambda: table("real"),
    "entries": lambda: next(iter(table("whole").whole.values())),
    "curve": lambda: next(iter(table("real").real.values()))[0],
    "requests": requests,
    "decisions": lambda: qopt.decide(table("whole"), requests()),
    "no decisions": lambda: qopt.decide(table("whole"), requests().take(np.zeros(0, dtype=np.int64))),
    "prices": lambda: request_prices(requests(), table("whole").networks["network-1"]),
    "subproblems": lambda: subproblems(deep()),
    "subproblem": lambda: subproblems(deep()).at(1500),
    "outcome": lambda: FAMILIES["qopt/qpart"].part("registry").METHODS[0].run(qopt.load("qpart/resnet50"), Options()),
    "candidate": lambda: candidates(long())[0],
    "diagram": lambda: diagram(long(), max_size=1_000_000),
    "labels": lambda: labels(qopt.load("jqodi/fig5")),
    "label": lambda: labels(qopt.load("jqodi/fig5")).labels[0],
    "smallest limits": lambda: qopt.jqodi.smallest_limits(long()),
    "placement's terms": own_terms,
    "labelling": costs_of_labels,
    "placement's limits": lambda: limits(wide(), own_terms(), costs_of_labels()),
    "knapsack": lambda: mckp.solve(*knapsack()),
    "knapsack's front": lambda: mckp.front(knapsack()[0][:60], knapsack()[1][:60]),
    "knapsack's point": lambda: mckp.front(knapsack()[0][:60], knapsack()[1][:60]).at(1e9),
    "layered graph": layered,
    "digraph": digraph,
    "path": lambda: rcsp.solve(layered(), 16.0),
    "path in a digraph": lambda: rcsp.solve(digraph(), [2.0, 2.0, 2.0]),
    "approximate path": lambda: rcsp.approximate(layered(), 16.0, 0.1),
    "cut": cut,
    "water": water,
}


def check(shown: Any) -> None:
    """A short line, and a print of a few."""
    line, lines = repr(shown), str(shown).splitlines()
    assert len(line) <= LONGEST, f"{len(line)} characters: {line[:200]}"
    assert "\n" not in line
    assert len(lines) <= MOST_LINES, f"{len(lines)} lines"
    assert all(len(row) <= LONGEST for row in lines)


@pytest.mark.parametrize("name", HELD)
def test_prints_are_short(name: str) -> None:
    check(HELD[name]())


def test_the_table_of_families_and_their_methods_is_short() -> None:
    for family in FAMILIES.values():
        check(family)
        for method in family.part("registry").METHODS:
            check(method)


def test_a_print_says_what_it_is() -> None:
    assert str(table("whole")).startswith("offline table of whole bits, 12 networks\n  network-0: 12 layers")
    assert str(requests()).startswith("50000 requests of 12 networks\n")

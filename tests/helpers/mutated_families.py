"""Whole instances of each family, small and with all that it knows, and the methods whose answers are compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qopt.allocation.generate import allocation
from qopt.core.problem import Problem
from qopt.core.reading import to_json
from qopt.fleet.generate import fleet
from qopt.jqodi.generate import jqodi
from qopt.placement.generate import placement
from qopt.qpart.generate import qpart


@dataclass(frozen=True)
class Mutated:
    """What is changed, and who answers.

    Attributes
    ----------
    build : the instances.
    methods : names; their answers must not contradict each other.
    """

    build: Callable[[], Sequence[Problem]]
    methods: tuple[str, ...]

    def files(self) -> list[Any]:
        """The instances as the data of their files."""
        return [json.loads(to_json(problem)) for problem in self.build()]


def of_qpart() -> list[Problem]:
    """A chain, limits on memory with widths tied, branches with overheads."""
    branches = {"network.overhead": [1.0, 2.0, 3.0], "network.last_reader": [2, 4, 3, 4], "inferences": 3}
    return [
        qpart(3, seed=1, bits=(1, 3)),
        qpart(2, seed=2, bits=(1, 4)).replace({"device.memory": 50.0, "tie_cut": True}),
        qpart(3, seed=3, bits=(1, 3)).replace(branches),
    ]


def of_placement() -> list[Problem]:
    """Limits on memory, pins and a private input, a target of latency."""
    return [
        placement(4, seed=1, memory=0.6),
        placement(5, seed=2, pins=0.3, private=True),
        placement(4, seed=4, memory=0.7).replace({"targets.latency": 5.0}),
    ]


def of_jqodi() -> list[Problem]:
    """The three modes."""
    return [
        jqodi(2, seed=1, mode=mode, servers=2, cuts=2, models=2, tightness=0.8)
        for mode in ("choice", "schedule", "path")
    ]


def of_allocation() -> list[Problem]:
    """Two budgets with ties and short menus, pools, pairs that interact, and the least bytes within a damage."""
    return [
        allocation(4, seed=1, formats=3, resources=2, ties=0.4, menus=0.8),
        allocation(3, seed=2, formats=3, resources=3, pools=2, ties=0.3),
        allocation(3, seed=3, formats=3, interactions=0.7),
        allocation(3, seed=4, formats=3, pools=2, interactions=0.5, minimise="bytes"),
    ]


def of_fleet() -> list[Problem]:
    """With counts and without, with memory, without deadlines."""
    return [
        fleet(4, seed=1, classes=1, options=3, servers=1, cells=1),
        fleet(6, seed=2, classes=2, options=3, servers=2, cells=1, rows=3, memory=True, deadlines=False),
    ]


FAMILIES = {
    "qpart": Mutated(of_qpart, ("auto", "brute-force", "kkt", "round-up", "qpart-paper")),
    "placement": Mutated(of_placement, ("auto", "brute-force", "cut-branch", "equal-size")),
    "jqodi": Mutated(of_jqodi, ("auto", "brute-force", "adp", "jqodi-paper")),
    "fleet": Mutated(of_fleet, ("auto", "lagrangian", "highs-mip", "own-best", "greedy", "least-loaded")),
    "allocation": Mutated(of_allocation, ("auto", "brute-force", "highs-mip", "greedy", "uniform", "beam", "modelopt")),
}

"""What the tests of JQODI share: parts of small problems, and every plan of a problem."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, Literal

import qopt
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import Candidate, candidates

Mode = Literal["choice", "schedule", "path"]
MODES: tuple[Mode, ...] = ("choice", "schedule", "path")

# In numbers that are easy by hand.
CLOUD = {"speed": 24.0, "energy": 0.5}
A_AND_B = [
    {"name": "A", "speed": 8.0, "energy": 3.0, "cloud_rate": 8.0, "cloud_energy": 0.5},
    {"name": "B", "speed": 4.0, "energy": 2.0, "cloud_rate": 16.0, "cloud_energy": 0.25},
]
CAMERA = {
    "name": "camera",
    "speed": 2.0,
    "energy": 1.0,
    "training": 1.0,
    "validation": 1.0,
    "links": [
        {"server": "A", "rate": 4.0, "energy": 0.125},
        {"server": "B", "bandwidth": 4.0, "snr": 3.0, "energy": 0.25},
    ],
}


def solved(problem: Jqodi, method: str = "auto", **options: Any) -> Any:
    """`qopt.solve`, whose plan, objective and witness are there."""
    return qopt.solve(problem, method, **options)


def possible_plans(problem: Jqodi) -> Iterator[tuple[Candidate, tuple[int, ...]]]:
    """The states of every plan that is possible in every epoch, candidate by candidate."""
    for own in candidates(problem):
        there = [[s for s in range(len(own.states)) if math.isfinite(row[s])] for row in own.time]
        for states in itertools.product(*there):
            if problem.mode != "choice" or len(set(states)) == 1:
                yield own, states

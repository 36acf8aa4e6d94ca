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


def data() -> dict[str, Any]:
    """Two servers, two models: one whose epochs are given, one whose loss is."""
    return {
        "format": "qopt/jqodi",
        "version": 1,
        "name": "two-models",
        "mode": "path",
        "time_limit": 400.0,
        "cloud": CLOUD,
        "servers": A_AND_B,
        "devices": [
            CAMERA,
            {"name": "phone", "speed": 4.0, "energy": 1.0, "training": 1.0, "links": [{"server": "A", "rate": 4.0}]},
        ],
        "models": [
            {
                "name": "given",
                "macs": [1, 2, 3],
                "weights": [4, 2, 2],
                "activations": [2, 1, 1],
                "widths": [
                    {"bits": 2, "epochs": {"expected": 3, "robust": 4}},
                    {"bits": 4, "epochs": {"expected": 2, "robust": 2}},
                    {"bits": 32},
                ],
            },
            {
                "name": "derived",
                "loss": 0.5,
                "loss_limit": 0.25,
                "macs": [1, 1],
                "weights": [2, 2],
                "activations": [2, 2],
                "widths": [
                    {
                        "bits": 8,
                        "quantize_time": 1.0,
                        "quantize_energy": 2.0,
                        "loss": {
                            "quantization": {"expected": 0.25, "robust": 0.375},
                            "update": {"expected": -0.0625, "robust": -0.0625},
                            "run": {"expected": [-0.125, -0.125, -0.0625, -0.0625], "robust": [-0.03125] * 7},
                        },
                    }
                ],
            },
        ],
        "conditions": {"servers": {"A": {"speed": [1.0] * 7, "available": [True] * 7}}},
        "switching": {"server_time": 2.0, "server_energy": [[0, 1], [3, 0]], "cut_energy": 0.5},
    }


def problem(**changes: Any) -> Jqodi:
    """The problem, some fields (by dotted name) changed."""
    return Jqodi(**data()).replace(changes) if changes else Jqodi(**data())

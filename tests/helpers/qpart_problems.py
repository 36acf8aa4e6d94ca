"""Small problems of QPART that several test files take."""

from __future__ import annotations

from typing import Any

from qopt.qpart.problem import QPart


def table_ii(**changes: Any) -> QPart:
    """Table II of the paper on a one-layer network."""
    problem = QPart(
        network={"macs": [1], "weights": [1], "activations": [1], "input_size": 1},
        device={"cycles_per_mac": 5, "clock": 200e6, "energy_coefficient": 3e-27},
        server={"cycles_per_mac": 1.25, "clock": 3e9, "energy_coefficient": 3.75e-27},
        channel={"rate": 200e6, "transmit_power": 1},
        noise={"s_weights": [1], "s_activations": [1]},
        accuracy={"levels": [0.01], "delta": [[1]]},
        level=0.01,
    )
    return problem.replace(changes)

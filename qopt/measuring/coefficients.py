"""Measured coefficients as the parts of a QPART instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from qopt.measuring.calibrated import Calibrated
from qopt.measuring.network import Network, TensorName
from qopt.measuring.sensitivity import Sensitivity
from qopt.qpart.problem import QPart

KINDS: tuple[Literal["weight", "activation"], ...] = ("weight", "activation")


def network_fields(network: Network, found: Sensitivity, input_bits: int = 32) -> dict[str, Any]:
    """The ``network`` object of an instance: the layers, and the bits sent beside each weight's codes.

    Parameters
    ----------
    input_bits : bits of each value of the raw input.
    """
    overhead = [
        found.grid.overhead(network.weight(layer.number)) if layer.parameters else 0 for layer in network.layers
    ]
    return {**network.columns(input_bits), "overhead": overhead}


def noise_fields(found: Sensitivity) -> dict[str, Any]:
    """The ``noise`` object of an instance: the table in force, the law's coefficients beside it."""
    silent = [0.0] * len(found.bits)
    rows: dict[str, list[list[float]]] = {}
    law: dict[str, list[float]] = {}
    for kind in KINDS:
        tensors = [found.tensors.get(TensorName(kind, i)) for i in range(1, len(found.ranges) + 1)]
        rows[kind] = [silent if t is None else t.noise.tolist() for t in tensors]
        law[kind] = [0.0 if t is None else t.s.value for t in tensors]
    return {
        "model": "table",
        "s_weights": law["weight"],
        "s_activations": law["activation"],
        "table": {"bits": found.bits.tolist(), "weights": rows["weight"], "activations": rows["activation"]},
    }


def robustness_fields(found: Sensitivity) -> dict[str, Any]:
    """``levels``, ``rho_weights`` and ``rho_activations`` of an instance's ``accuracy``; None: never lost."""

    def row(kind: Literal["weight", "activation"], level: int) -> list[float | None]:
        tensors = [found.tensors.get(TensorName(kind, i)) for i in range(1, len(found.ranges) + 1)]
        rho = [float("inf") if t is None else t.rho[level].value for t in tensors]
        return [x if x < float("inf") else None for x in rho]

    levels = range(len(found.levels))
    return {
        "levels": list(found.levels),
        "rho_weights": [row("weight", k) for k in levels],
        "rho_activations": [row("activation", k) for k in levels],
    }


def accuracy_fields(found: Sensitivity, cuts: Sequence[Sequence[Calibrated]]) -> dict[str, Any]:
    """The ``accuracy`` object of an instance: a row for each level, Delta of cuts 1..L.

    Parameters
    ----------
    cuts : as `calibrate_cuts` gives them: a list for each level.
    """
    return {**robustness_fields(found), "delta": [[c.delta.value for c in row] for row in cuts]}


def instance(
    network: Network,
    found: Sensitivity,
    cuts: Sequence[Sequence[Calibrated]],
    *,
    name: str,
    level: float,
    input_bits: int = 32,
) -> QPart:
    """A request around measured coefficients: device, server and link are Table II of QPART, for users to change.

    Parameters
    ----------
    cuts : as `calibrate_cuts` gives them: a list for each level.
    name : of the request.
    level : a, one of those measured.
    input_bits : bits of one value of the raw input.
    """
    source = (
        f"Noise table, s, rho and Delta measured by qopt, seed {found.seed}, weights {found.grid}, activations "
        f"{found.activation_grid}. Device, server and link: Table II of QPART."
    )
    data: dict[str, Any] = {
        "name": name,
        "source": source,
        "network": network_fields(network, found, input_bits),
        "device": {"cycles_per_mac": 5.0, "clock": 2e8, "energy_coefficient": 3e-27},
        "server": {"cycles_per_mac": 1.25, "clock": 3e9, "energy_coefficient": 3.75e-27},
        "channel": {"rate": 2e8, "transmit_power": 1.0},
        "noise": noise_fields(found),
        "accuracy": accuracy_fields(found, cuts),
        "level": level,
        "bits": {"lo": int(found.bits[0]), "hi": int(found.bits[-1])},
    }
    return QPart(**data)


def payload_request(network: Network, found: Sensitivity, level: float, inferences: int) -> QPart:
    """The request whose objective is the payload of Eq. 14 in bits, an inference's share of the download.

    Its noise limits are zero: they are what calibration looks for.

    Parameters
    ----------
    level : a, one of those measured.
    inferences : how many share one download of the weights.
    """
    zero = [[0.0] * len(network)] * len(found.levels)
    data: dict[str, Any] = {
        "name": "payload",
        "network": network_fields(network, found),
        "device": {"cycles_per_mac": 1.0, "clock": 1.0},
        "server": {"cycles_per_mac": 1.0, "clock": 1.0},
        "channel": {"rate": 1.0},
        "noise": noise_fields(found),
        "accuracy": {**robustness_fields(found), "delta": zero},
        "bits": {"lo": int(found.bits[0]), "hi": int(found.bits[-1])},
        "level": level,
        "inferences": inferences,
    }
    return QPart(**data)

"""The settings of the QPART paper's simulations (Table II), as changes of a request."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

TABLE_II: Mapping[str, Any] = MappingProxyType(
    {
        "device.cycles_per_mac": 5.0,
        "device.clock": 2e8,
        "device.energy_coefficient": 3e-27,
        "server.cycles_per_mac": 1.25,
        "server.clock": 3e9,
        "server.energy_coefficient": 3.75e-27,
        "server.price": 0.0,
        "channel.rate": 2e8,
        "channel.download_rate": None,
        "channel.bandwidth": None,
        "channel.gain": None,
        "channel.fading": None,
        "channel.noise_power": None,
        "channel.transmit_power": 1.0,
        "channel.charge_download": True,
        "objective.time": 1.0,
        "objective.energy": 1.0,
        "objective.price": 1.0,
        "inferences": 1,
    }
)
"""Fields of `QPart.replace`. Table II has no price zeta: it is 0 here. Whether the server's energy is charged, as Eq.
25 prints and the text excludes, stays the request's own: `server.charge_energy`."""


def nested() -> dict[str, Any]:
    """Device, server, channel and objective of Table II, as fields of a new problem; what is None is left out."""
    found: dict[str, Any] = {}
    for path, value in TABLE_II.items():
        part, _, name = path.partition(".")
        if name and value is not None:
            found.setdefault(part, {})[name] = value
    return found

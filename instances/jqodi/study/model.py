"""Eqs. 1-10 of one epoch as two scalar products, for many parameter sets at once.

A choice asks work of seven parts, four nodes [MAC] and three links [bit]: `work`. With a part's speed v [MAC/s or
bit/s] and power P [W] an epoch takes sum work / v seconds and sum work P / v joules: linear in 1 / v and in P / v.
The device's Wi-Fi is one link, whichever server it leads to.

Agreement with qopt's own terms is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from data import SERVERS, Choice, images, read
from numpy.typing import NDArray
from profiles import PROFILES, Profile

Floats = NDArray[np.float64]

PARTS = ("pi5", "rtx3090", "rtx4090", "a100", "a100-rtx3090", "a100-rtx4090", "wifi")
"""Nodes, then links."""

RADIOS = ("link", "message")
"""What the Wi-Fi's rate stands for: the rate of the radio, or of small messages with their latency."""


@dataclass(frozen=True)
class Ranges:
    """Lower and upper ends, (7,) each."""

    slowest: Floats
    fastest: Floats
    least: Floats
    most: Floats

    @property
    def low(self) -> Floats:
        """(14,) log speed and log power."""
        return np.asarray(np.log(np.concatenate([self.slowest, self.least])))

    @property
    def high(self) -> Floats:
        """(14,) log speed and log power."""
        return np.asarray(np.log(np.concatenate([self.fastest, self.most])))


def ranges(radio: str) -> Ranges:
    """What the parameters may be."""
    listed = read("ranges")
    entries = [listed["compute"].get(part) or listed["links"][part] for part in PARTS]
    rates = [entry.get("speed") or entry["rate"] for entry in entries]
    if radio == "message":
        rates[PARTS.index("wifi")] = listed["wifi_messages"]["rate"]
    speeds, powers = np.array(rates, dtype=float), np.array([entry["power"] for entry in entries], dtype=float)
    return Ranges(speeds[:, 0], speeds[:, 1], powers[:, 0], powers[:, 1])


def work(choice: Choice, count: float, profiles: dict[str, Profile] = PROFILES) -> Floats:
    """(7,) MACs and bits of one epoch, for an epoch worth so many inferences."""
    profile, server = profiles[choice.model], SERVERS.index(choice.server)
    macs, bits = np.array(profile.macs) * count, np.array(profile.weights) * float(choice.bits)
    found = np.zeros(len(PARTS))
    found[0] = macs[: choice.cut].sum()
    found[1 + server] = macs[choice.cut :].sum()
    found[3] = macs.sum()
    found[4 + server] = 2.0 * bits.sum()
    found[6] = 2.0 * bits[: choice.cut].sum()
    return found


@dataclass(frozen=True)
class Choices:
    """Choices with the work of one epoch, (choices, 7)."""

    listed: tuple[Choice, ...]
    work: Floats

    def at(self, choice: Choice) -> int:
        """Where a choice stands."""
        return self.listed.index(choice)


def choices(
    data: str,
    bits: dict[str, tuple[int, ...]],
    profiles: dict[str, Profile] = PROFILES,
    servers: tuple[str, ...] = SERVERS,
) -> Choices:
    """Every cut and server of every model at its bit-widths."""
    listed = tuple(
        Choice(name, width, cut, server)
        for name, widths in bits.items()
        for width, cut, server in product(widths, profiles[name].cuts, servers)
    )
    return Choices(listed, np.array([work(choice, images(data), profiles) for choice in listed]))


def unit_costs(z: Floats) -> tuple[Floats, Floats]:
    """Seconds and joules of one MAC or bit, (..., 7) each, of log speeds and log powers (..., 14)."""
    inverse = np.exp(-z[..., :7])
    return inverse, inverse * np.exp(z[..., 7:])


def epoch(z: Floats, asked: Floats) -> tuple[Floats, Floats]:
    """Seconds and joules of an epoch, (sets, choices) each, or (choices,) of one set."""
    seconds, joules = unit_costs(z)
    return seconds @ asked.T, joules @ asked.T

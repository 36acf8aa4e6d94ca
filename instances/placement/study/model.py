"""Latency of the study's strategies under the placement model: computing and sending, one after the other.

A strategy's latency is what its tiers compute plus what its tensors take on every link that they cross,

    sum_v T[tier, operator] ((1 - b) work_v / work + b weights_v / weights)  +  sum of bits x overhead / rate,

over the operations v that the operator keeps. T is the time of the whole network on a tier; b, one number a subject,
is the part of it that goes with the weights (reading them) and not with the MACs. The picture is born on the mobile
and goes to the tier of the first operation. The study moves pre-processing with the first operation and
post-processing with the last: their time is in T.
"""

from __future__ import annotations

from dataclasses import dataclass

import shapes
from data import read

OPERATORS = ("I", "Q", "E", "QE")
TIERS = "MEC"
RATES: tuple[float, ...] = tuple(link["Mbit_per_s"] for link in read("setup")["links"])
"""Mbit/s, 10^6 bits each, of mobile-edge and edge-cloud."""

MEBI = 2**20 / 1e6
"""The study's Mb in Mbit."""


def skipped(operator: str) -> tuple[str, ...]:
    """Operations that an operator leaves out."""
    return shapes.SKIPPED if "E" in operator else ()


@dataclass(frozen=True)
class Split:
    """What the first half holds: its parts of work and of weights, and Mbit of the tensors that leave it."""

    work: float
    weights: float
    tensor: float


def split(subject: str, operator: str) -> Split:
    """The halves of equal size of one subject."""
    net, left_out = shapes.build(subject), skipped(operator)
    place = {name: i for i, name in enumerate(net.operations)}
    at = place[shapes.cut(subject, operator)]
    kept = [i for name, i in place.items() if name not in left_out]
    work, weights = sum(net.work[i] for i in kept), sum(net.weights[i] for i in kept)
    before = [i for i in kept if i < at]
    return Split(
        work=sum(net.work[i] for i in before) / work,
        weights=sum(net.weights[i] for i in before) / weights,
        tensor=shapes.crossing(net, at) * 32 / 1e6,
    )


@dataclass(frozen=True)
class Parameters:
    """One subject: T[operator, tier] in seconds, the picture's Mbit, b, and the overhead of each link."""

    times: dict[tuple[str, str], float]
    picture: float
    weighty: float
    overheads: tuple[float, float]

    def sending(self, size: float, source: str, target: str) -> float:
        """Seconds for Mbit from one tier to another."""
        links = range(TIERS.index(source), TIERS.index(target))
        return sum((size * self.overheads[k] / RATES[k] for k in links), 0.0)


def latency(strategy: str, halves: dict[str, Split], p: Parameters) -> float:
    """Seconds of a strategy, given the halves under each operator that is split."""
    operator, tiers = strategy.split("@")
    first, last = tiers[0], tiers[-1]
    total = p.sending(p.picture, "M", first)
    if len(tiers) == 1:
        return total + p.times[operator, first]
    half = halves[operator]
    share = (1 - p.weighty) * half.work + p.weighty * half.weights
    total += share * p.times[operator, first] + (1 - share) * p.times[operator, last]
    return total + p.sending(half.tensor, first, last)

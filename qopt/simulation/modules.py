"""The simulator's three modules (section V): executing, communication, performance. Each works on whole columns."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.qpart.problem import QPart

BATCHES = 32
"""Runs of requests that follow each other, whose means give the intervals: a channel's memory is within a batch."""

FEWEST = 8
"""Batches from which an interval is given."""

QUANTILES = (0.05, 0.5, 0.95, 0.99)


class Columns:
    """What requests say, the network's own number where they say nothing.

    Parameters
    ----------
    columns : (n,) arrays by field name.
    network : whose numbers stand in.
    """

    def __init__(self, columns: Mapping[str, FloatArray], network: QPart) -> None:
        self._columns, self._network = columns, network

    def __getitem__(self, name: str) -> FloatArray | float:
        """The column of a field, or one number."""
        if name in self._columns:
            return self._columns[name]
        part, _, last = name.partition(".")
        value = getattr(getattr(self._network, part), last) if last else getattr(self._network, part)
        return float(value)

    def given(self, name: str) -> FloatArray | None:
        """The column of a field, or None where requests have none.

        Parameters
        ----------
        name : of the field.
        """
        return self._columns.get(name)


@dataclass(frozen=True)
class Execution:
    """What computing took, (n,) columns.

    Attributes
    ----------
    device_time, server_time : (n,) seconds.
    device_energy, server_energy : (n,) joules; the server's only where it is charged.
    price : (n,) of the server.
    """

    device_time: FloatArray
    server_time: FloatArray
    device_energy: FloatArray
    server_energy: FloatArray
    price: FloatArray


class ExecutingModule:
    """Runs both segments of every request: Eqs. 5-8 for the MACs on either side."""

    def run(self, said: Columns, network: QPart, device_macs: FloatArray, server_macs: FloatArray) -> Execution:
        """Seconds, joules and price of each request.

        Parameters
        ----------
        said : what requests say.
        network : whose they are.
        device_macs, server_macs : (n,) O_1 and O_2.
        """
        cycles = device_macs * said["device.cycles_per_mac"]
        clock = said["device.clock"]
        work = server_macs * said["server.cycles_per_mac"]
        speed = said["server.clock"]
        seconds = np.asarray(work / speed)
        charged = said["server.energy_coefficient"] * speed * speed * work
        return Execution(
            device_time=np.asarray(cycles / clock),
            server_time=seconds,
            device_energy=np.asarray(said["device.energy_coefficient"] * clock * clock * cycles),
            server_energy=np.asarray(charged) if network.server.charge_energy else np.zeros(len(seconds)),
            price=np.asarray(said["server.price"] * seconds),
        )


@dataclass(frozen=True)
class Transmission:
    """What sending took, (n,) columns.

    Attributes
    ----------
    time : (n,) seconds of download and upload, a download's shared by its inferences.
    energy : (n,) joules.
    """

    time: FloatArray
    energy: FloatArray


class CommunicationModule:
    """Sends weights down and what crosses the cut up, at the rates that the channel has then: Eqs. 14-16."""

    def run(
        self,
        said: Columns,
        network: QPart,
        bits: tuple[FloatArray, FloatArray],
        rates: tuple[FloatArray, FloatArray],
    ) -> Transmission:
        """Seconds and joules of each request.

        Parameters
        ----------
        said : what requests say.
        network : whose they are.
        bits : (n,) download and upload.
        rates : (n,) of both directions [bit/s].
        """
        down = bits[0] / rates[0] / said["inferences"]
        up = bits[1] / rates[1]
        power = said["channel.transmit_power"]
        energy = power * (up + down) if network.channel.charge_download else power * up
        return Transmission(down + up, np.asarray(energy))


@dataclass(frozen=True)
class Figure:
    """A mean or a share with its interval; None for the ends of what too few requests say.

    Attributes
    ----------
    value : the figure.
    low, high : ends of its 95 % interval, from the means of batches.
    """

    value: float
    low: float | None
    high: float | None


def student(freedom: int, confidence: float = 0.95) -> float:
    """Quantile of Student's distribution for a two-sided interval, by its expansion about the normal's (from 7 on).

    Parameters
    ----------
    freedom : degrees of freedom.
    confidence : of the interval.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    first = (z**3 + z) / 4.0
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96.0
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384.0
    return z + first / freedom + second / freedom**2 + third / freedom**3


def figure(values: FloatArray) -> Figure:
    """A mean with the interval of batch means, which allows for requests that depend on their neighbours.

    Parameters
    ----------
    values : (n,) in the order of the requests.
    """
    if not len(values):
        return Figure(math.nan, None, None)
    mean = float(values.mean())
    batches = min(BATCHES, len(values))
    if batches < FEWEST:
        return Figure(mean, None, None)
    means = np.array([part.mean() for part in np.array_split(values, batches)])
    half = student(batches - 1) * float(means.std(ddof=1)) / math.sqrt(batches)
    return Figure(mean, mean - half, mean + half)


def share(seen: FloatArray) -> Figure:
    """A share with its interval; where none or all were seen, an end from the binomial: 3.7 / n (97.5 %).

    Parameters
    ----------
    seen : (n,) 0 or 1, in the order of the requests.
    """
    found = figure(seen)
    if found.low is None or found.high is None:
        return found
    room = min(1.0, 3.7 / len(seen))
    low = 1.0 - room if found.value == 1.0 else max(0.0, found.low)
    high = room if found.value == 0.0 else min(1.0, found.high)
    return Figure(found.value, low, high)


@dataclass(repr=False)
class PerformanceModule(Brief):
    """Collects what the other two report, and says how it is distributed.

    Attributes
    ----------
    policy : that was run.
    cut : (n,) cuts taken; -1 where there was no plan.
    entry : (n,) the plan, its place in the policy's table for the request's network and level; -1 for none.
    time, energy, price, payload, objective : (n,) seconds, joules, price, bits, and J of Eq. 17 as it came out; not a
        number where there was no plan.
    promised : (n,) J at the rate that the server was told.
    misses : (n,) of each kind, 1 where a request missed: ``level``, ``time``, ``memory``, ``plan``, ...
    """

    policy: str
    cut: IntArray
    entry: IntArray
    time: FloatArray
    energy: FloatArray
    price: FloatArray
    payload: FloatArray
    objective: FloatArray
    promised: FloatArray
    misses: dict[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def empty(cls, policy: str, requests: int) -> PerformanceModule:
        """Columns to be filled.

        Parameters
        ----------
        policy : its name.
        requests : n.
        """
        cut, entry = (np.full(requests, -1, dtype=np.int64) for _ in range(2))
        time, energy, price, payload, objective, promised = (np.full(requests, np.nan) for _ in range(6))
        return cls(policy, cut, entry, time, energy, price, payload, objective, promised)

    def __len__(self) -> int:
        return len(self.cut)

    def __str__(self) -> str:
        missed = ", ".join(f"{name} {100 * float(column.mean()):.3g} %" for name, column in self.misses.items())
        return f"{self.policy}: mean J {np.nanmean(self.objective):.6g} of {len(self)} requests; missed: {missed}"

    def collect(self, rows: IntArray, cut: IntArray, entry: IntArray, columns: Mapping[str, FloatArray]) -> None:
        """Take in what some requests came to.

        Parameters
        ----------
        rows : (m,) their positions.
        cut, entry : (m,) of each.
        columns : (m,) arrays by name, of those that this object has.
        """
        self.cut[rows], self.entry[rows] = cut, entry
        for name, values in columns.items():
            getattr(self, name)[rows] = values

    def miss(self, name: str, rows: IntArray, missed: FloatArray) -> None:
        """Count a kind of miss.

        Parameters
        ----------
        name : of the kind.
        rows : (m,) positions of requests.
        missed : (m,) whether each missed.
        """
        self.misses.setdefault(name, np.zeros(len(self)))[rows] = missed

    def distribution(self, quantity: str) -> tuple[Figure, FloatArray]:
        """Mean with its interval, and the quantiles `QUANTILES`, (4,), of requests that had a plan.

        Parameters
        ----------
        quantity : time, energy, price, payload or objective.
        """
        values: FloatArray = getattr(self, quantity)
        served = values[np.isfinite(values)]
        if not served.size:
            return figure(served), np.full(len(QUANTILES), np.nan)
        return figure(served), np.quantile(served, QUANTILES)

    def digest(self) -> str:
        """SHA-256 of all columns."""
        found = hashlib.sha256(self.policy.encode())
        for column in (self.cut, self.entry, self.time, self.energy, self.price, self.payload, self.objective):
            found.update(column.tobytes())
        for name, column in sorted(self.misses.items()):
            found.update(name.encode() + column.tobytes())
        return found.hexdigest()

"""The simulator's three modules (section V): executing, communication, performance. Each works on whole columns."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.qpart.problem import QPart

FEWEST = 8
"""Independent units from which an interval is given."""

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
class Units:
    """Which requests depend on each other.

    Attributes
    ----------
    unit : (n,) number of the unit of each request; units are independent of each other (`Channel.stretch`).
    kind : (n,) number of its class of devices; a unit is of one class.
    """

    unit: IntArray
    kind: IntArray

    def of(self, rows: IntArray | BoolArray) -> Units:
        """Those of some requests.

        Parameters
        ----------
        rows : positions, or (n,) which.
        """
        return Units(self.unit[rows], self.kind[rows])


@dataclass(frozen=True)
class Figure:
    """A mean or a share with its interval; None for the ends of what too few independent units say.

    Attributes
    ----------
    value : the figure.
    low, high : ends of its 95 % interval, from the sums of independent units.
    """

    value: float
    low: float | None
    high: float | None


def student(freedom: float, confidence: float = 0.95) -> float:
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


def figure(values: FloatArray, units: Units | None = None) -> Figure:
    """A mean with its interval: requests of a unit may depend on each other, units do not.

    The variance is that of the units' sums about their class's mean, and of which classes happened to ask; classes with
    fewer than `FEWEST` units are taken together.

    Parameters
    ----------
    values : (n,) of requests.
    units : of the same requests; without, each is a unit.
    """
    n = len(values)
    if not n:
        return Figure(math.nan, None, None)
    mean = float(values.mean())
    numbers = np.arange(n) if units is None else units.unit
    _, first, unit = np.unique(numbers, return_index=True, return_inverse=True)
    if len(first) < FEWEST:
        return Figure(mean, None, None)
    kind = _strata(np.zeros(len(first), dtype=np.int64) if units is None else units.kind[first])
    asked, held = kind[unit], np.bincount(kind)
    own = np.bincount(asked, weights=values) / np.bincount(asked)
    sums = np.bincount(unit, weights=values - own[asked])
    within = np.bincount(kind, weights=sums * sums) * held / (held - 1)
    spread = float(within.sum())
    # Welch and Satterthwaite: a class of few units has its say in the degrees of freedom.
    freedom = 1.0 / float(((within / spread) ** 2 / (held - 1)).sum()) if spread > 0.0 else float(len(first) - 1)
    half = student(freedom) * math.sqrt(spread + float(((own[asked] - mean) ** 2).sum())) / n
    return Figure(mean, mean - half, mean + half)


def _strata(kind: IntArray) -> IntArray:
    """(u,) the class of each unit, 0, 1, ...; small classes are one, and all are where that is small too."""
    _, found, counts = np.unique(kind, return_inverse=True, return_counts=True)
    small = counts[found] < FEWEST
    if 0 < int(small.sum()) < FEWEST:
        return np.zeros(len(kind), dtype=np.int64)
    stratum: IntArray = np.unique(np.where(small, -1, found), return_inverse=True)[1].astype(np.int64)
    return stratum


def share(seen: FloatArray, units: Units | None = None) -> Figure:
    """A share with its interval; where none or all were seen, an end from the binomial of u units: 3.7 / u (97.5 %).

    Parameters
    ----------
    seen : (n,) 0 or 1, of requests.
    units : of the same requests; without, each is a unit.
    """
    found = figure(seen, units)
    if found.low is None or found.high is None:
        return found
    room = min(1.0, 3.7 / (len(seen) if units is None else len(np.unique(units.unit))))
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
    units : which requests depend on each other, for intervals; None where none do.
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
    units: Units | None = None

    @classmethod
    def empty(cls, policy: str, requests: int, units: Units | None = None) -> PerformanceModule:
        """Columns to be filled.

        Parameters
        ----------
        policy : its name.
        requests : n.
        units : which of them depend on each other.
        """
        cut, entry = (np.full(requests, -1, dtype=np.int64) for _ in range(2))
        time, energy, price, payload, objective, promised = (np.full(requests, np.nan) for _ in range(6))
        return cls(policy, cut, entry, time, energy, price, payload, objective, promised, units=units)

    def __len__(self) -> int:
        return len(self.cut)

    def __str__(self) -> str:
        missed = ", ".join(f"{name} {100 * float(column.mean()):.3g} %" for name, column in self.misses.items())
        served = self.objective[np.isfinite(self.objective)]
        mean = f"mean J {served.mean():.6g}" if served.size else "no plan"
        return f"{self.policy}: {mean} of {len(self)} requests; missed: {missed}"

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
        had = np.isfinite(values)
        served = values[had]
        if not served.size:
            return figure(served), np.full(len(QUANTILES), np.nan)
        return figure(served, None if self.units is None else self.units.of(had)), np.quantile(served, QUANTILES)

    def digest(self) -> str:
        """SHA-256 of all columns."""
        found = hashlib.sha256(self.policy.encode())
        for column in (self.cut, self.entry, self.time, self.energy, self.price, self.payload, self.objective):
            found.update(column.tobytes())
        for name, column in sorted(self.misses.items()):
            found.update(name.encode() + column.tobytes())
        return found.hexdigest()

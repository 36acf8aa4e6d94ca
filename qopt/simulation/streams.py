"""Streams of requests: who asks, for which network, at which level, and what the channel does meanwhile."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qopt.core.arguments import is_number, real, whole
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief, listed
from qopt.core.errors import InputError, shown
from qopt.core.reading import problems_of
from qopt.qpart.problem import QPart
from qopt.qpart.serving.requests import FIELDS, Requests
from qopt.simulation.channels import MOMENTS, Channel
from qopt.simulation.modules import Units

MOST = 10**8
"""Requests of a stream: some 100 bytes each."""

OWN = frozenset({"level", "channel.rate", "channel.download_rate", "channel.transmit_power"})
"""Fields that the stream draws or the channel gives, which no device brings."""


@dataclass(frozen=True, repr=False)
class Stream(Brief):
    """Requests in the order in which they are made, and what is known of each only later.

    Attributes
    ----------
    requests : what the server is told: network, device, level, and the rate at that moment.
    download_rate, upload_rate : (n,) rates [bit/s] while it transmits.
    device : (n,) number of the device that asks.
    devices : name of each device.
    networks : asked for, by name.
    seed : that it was drawn with.
    units : which requests depend on each other: a device's, within a stretch of its channel.
    """

    requests: Requests
    download_rate: FloatArray
    upload_rate: FloatArray
    device: IntArray
    devices: tuple[str, ...]
    networks: dict[str, QPart]
    seed: int
    units: Units

    def __len__(self) -> int:
        return len(self.device)

    def __str__(self) -> str:
        low, high = np.quantile(self.requests.columns["channel.rate"], [0.05, 0.95])
        rows = [f"rates told: 90 % from {low:.4g} to {high:.4g} bit/s", f"networks: {', '.join(self.networks)}"]
        return listed(f"stream of {len(self)} requests by {len(self.devices)} devices, seed {self.seed}", rows)

    def digest(self) -> str:
        """SHA-256 of everything in it: the same stream has the same."""
        found = hashlib.sha256()
        for name, column in sorted(self.requests.columns.items()):
            found.update(name.encode() + column.tobytes())
        found.update("\0".join(self.requests.networks).encode() + self.requests.network.tobytes())
        for part in (self.download_rate.tobytes(), self.upload_rate.tobytes(), self.device.tobytes()):
            found.update(part)
        return found.hexdigest()


def draw_stream(
    requests: int,
    networks: QPart | str | os.PathLike[str] | Iterable[QPart | str | os.PathLike[str]],
    *,
    seed: int = 0,
    devices: Mapping[str, Mapping[str, float]] | None = None,
    levels: Sequence[float] | None = None,
    channel: Channel | None = None,
) -> Stream:
    """Draw a stream of requests: each by a device, for a network and a level chosen at random, over a fading channel.

    Parameters
    ----------
    requests : how many, at least 1.
    networks : one or several, each as likely as any; what a device does not say is the network's own.
    seed : of everything that is drawn; the same arguments give the same bytes.
    devices : classes of devices by name, each with fields of requests (`device.clock` [Hz], `device.memory` [bits],
        `limits.time` [s], `inferences`, ...) and perhaps `count`, how many devices; by default one device that says
        nothing. Every device has a channel of its own.
    levels : list of accuracy levels, each as likely as any; by default those of each network.
    channel : `Channel`, the same model for every device (Eqs. 11-13).

    Returns
    -------
    `Stream`: requests as the server is told of them, and the rates at which each will be served.

    Raises
    ------
    InputError
        No requests, no network, an unknown field, a level below all of a network's, or a channel that is off.
    """
    n = whole("requests", requests, 1, MOST)
    seed = whole("seed", seed, 0)
    channel = Channel() if channel is None else channel
    if not isinstance(channel, Channel):
        raise InputError("channel", shown(channel), "a qopt.Channel")
    known = problems_of(QPart, networks, field="networks")
    names, classes, fields = _devices(devices)
    rng = np.random.default_rng(seed)
    asked = rng.integers(0, len(known), n)
    device = rng.integers(0, len(names), n)
    columns = {name: values[device] for name, values in fields.items()}
    columns["level"] = _levels(known, asked, levels, rng)
    rates = np.empty((n, MOMENTS))
    order = np.argsort(device, kind="stable")  # a device's requests in their order
    ends = np.cumsum(np.bincount(device, minlength=len(names)))
    unit = np.empty(n, dtype=np.int64)
    used = 0
    for rows in np.split(order, ends[:-1]):
        rates[rows] = channel.rates(len(rows), rng)
        unit[rows] = used + np.arange(len(rows)) // channel.stretch()
        used += len(rows)  # more than it has units, so that no two devices share one
    columns["channel.rate"] = rates[:, 0].copy()
    columns["channel.transmit_power"] = np.full(n, channel.transmit_power)
    order_of_names = sorted(known)
    position = np.array([order_of_names.index(name) for name in known])[asked]
    made = Requests.of(columns)  # checks every value, with its row
    told = Requests(made.columns, position.astype(np.int64), tuple(order_of_names))
    return Stream(
        told, rates[:, 1].copy(), rates[:, 2].copy(), device, names, known, seed, Units(unit, classes[device])
    )


def _devices(
    classes: Mapping[str, Mapping[str, float]] | None,
) -> tuple[tuple[str, ...], IntArray, dict[str, FloatArray]]:
    """Names of all devices, number of each one's class, and a column for each field that classes say, (devices,)."""
    if classes is None:
        return ("device",), np.zeros(1, dtype=np.int64), {}
    if not isinstance(classes, Mapping) or not classes:
        raise InputError("devices", shown(classes), "classes of devices by name, at least one")
    names: list[str] = []
    counts: list[int] = []
    fields: list[str] = []
    for name, said in classes.items():
        if not isinstance(said, Mapping):
            raise InputError(f"devices.{name}", shown(said), "fields of requests, and perhaps count")
        count = whole(f"devices.{name}.count", said.get("count", 1), 1, 10**6)
        for field, value in said.items():
            if field == "count":
                continue
            if field not in FIELDS or field in OWN:
                allowed = ", ".join(f for f in FIELDS if f not in OWN)
                raise InputError(f"devices.{name}.{field}", "an unknown field", allowed)
            _device_value(f"devices.{name}.{field}", field, value)
        names += [name if count == 1 else f"{name}-{k}" for k in range(1, count + 1)]
        counts.append(count)
        fields += [field for field in said if field != "count" and field not in fields]
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise InputError("devices", f"two devices {twice!r}", "names that no device of another class has")
    columns = {}
    for field in fields:
        missing = next((name for name, said in classes.items() if field not in said), None)
        if missing is not None:
            raise InputError(f"devices.{missing}.{field}", "nothing", "a value, as another class has one")
        columns[field] = np.repeat([float(said[field]) for said in classes.values()], counts)
    return tuple(names), np.repeat(np.arange(len(counts)), counts), columns


def _device_value(where: str, field: str, value: object) -> None:
    """Refuse what no request may say of a field, by the requests' own check."""
    if not is_number(value):
        raise InputError(where, shown(value), "a number")
    try:
        Requests.of({field: np.array([float(value)])})
    except InputError as reason:
        raise InputError(where, reason.found, reason.allowed) from None


def _levels(
    networks: Mapping[str, QPart], asked: IntArray, levels: Sequence[float] | None, rng: np.random.Generator
) -> FloatArray:
    """(n,) the level of each request."""
    if levels is not None and np.ndim(np.asarray(levels, dtype=object)) != 1:
        raise InputError("levels", shown(levels), "a list of accuracy levels")
    if levels is not None and not len(levels):
        raise InputError("levels", "none", "at least one accuracy level")
    draw = rng.random(len(asked))
    found = np.empty(len(asked))
    for k, (name, problem) in enumerate(networks.items()):
        own = (
            problem.accuracy.levels
            if levels is None
            else np.array([real("levels", a, 0, 1, above=True) for a in levels])
        )
        if float(np.min(own)) < float(problem.accuracy.levels[0]) * (1.0 - 1e-12):
            allowed = f"levels from {problem.accuracy.levels[0]:g} up, the first of {name}"
            raise InputError("levels", f"{float(np.min(own)):g}", allowed)
        rows = asked == k
        found[rows] = own[(draw[rows] * len(own)).astype(np.int64)]
    return found

"""What requests pay for what a plan does, and what their limits count of it: linear in a plan's features.

Features of a plan are MACs on the device and on the server, bits up and down, and where the network has tables the
seconds and joules of both sides that these say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.errors import InputError
from qopt.qpart.problem import LIMITS, QPart
from qopt.qpart.serving.requests import Requests


@dataclass(frozen=True, repr=False)
class RequestPrices(Brief):
    """(n,) coefficients of Eq. 17 for each request (Eqs. 24-26), and its limits.

    Attributes
    ----------
    device, server : objective per MAC, as far as tables do not say what layers take.
    upload, download : objective per bit.
    memory : bits.
    measured : objective per second and joule on the device, and per second and joule on the server, that tables say;
        none where the network has no tables.
    uses : what a limit counts of each feature, (F, n), and the limit, (n,), for every limit that is given.
    """

    device: FloatArray
    server: FloatArray
    upload: FloatArray
    download: FloatArray
    memory: FloatArray
    measured: tuple[FloatArray, ...] = ()
    uses: tuple[tuple[FloatArray, FloatArray], ...] = ()

    @property
    def objective(self) -> FloatArray:
        """(n, F) coefficients of the features of plans: MACs on both sides, bits up and down, then what is measured."""
        return np.stack((self.device, self.server, self.upload, self.download, *self.measured), axis=1)


def request_prices(requests: Requests, network: QPart) -> RequestPrices:
    """xi, delta and eps of every request, the network's own values where a column is missing."""
    n = len(requests)

    def column(x: object) -> FloatArray:
        return np.broadcast_to(np.asarray(x, dtype=np.float64), (n,))

    with np.errstate(over="ignore", invalid="ignore"):  # `decide` refuses prices that are not finite
        found = prices_from(requests.columns, network, own=float, log1p=np.log1p)
        uses = uses_from(requests.columns, network, own=float, log1p=np.log1p)
    device, server, upload, download, memory, *measured = map(column, found)
    of_limits = tuple((np.stack([column(x) for x in of_features]), column(limit)) for of_features, limit in uses)
    return RequestPrices(device, server, upload, download, memory, tuple(measured), of_limits)


def _values(columns: Mapping[str, Any], network: QPart, own: Callable[[float], Any]) -> Callable[[str], Any]:
    """What a field of a request is: its column, else the network's own number."""
    given = network.given_limits
    known: dict[str, float] = {
        "device.cycles_per_mac": network.device.cycles_per_mac,
        "device.clock": network.device.clock,
        "device.energy_coefficient": network.device.energy_coefficient,
        "device.memory": np.inf if network.device.memory is None else network.device.memory,
        "server.cycles_per_mac": network.server.cycles_per_mac,
        "server.clock": network.server.clock,
        "server.price": network.server.price,
        "server.energy_coefficient": network.server.energy_coefficient,
        "channel.transmit_power": network.channel.transmit_power,
        "objective.time": network.objective.time,
        "objective.energy": network.objective.energy,
        "objective.price": network.objective.price,
        "inferences": network.inferences,
        **{f"limits.{name}": given.get(name, np.inf) for name in LIMITS},
    }

    def value(name: str) -> Any:
        return columns[name] if name in columns else own(known[name])

    return value


def prices_from(
    columns: Mapping[str, Any], network: QPart, *, own: Callable[[float], Any], log1p: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """Prices of a MAC on the device and on the server, of a bit up and of a bit down, and the memory (Eqs. 24-26).

    Parameters
    ----------
    columns : (n,) arrays of one library by field name, a selection of `FIELDS`.
    own : makes a number of that library from the network's own value, where a column is missing.
    log1p : of that library.

    Returns
    -------
    xi, delta, eps up, eps down, and memory [bits]; each (n,), or one number where no column matters to it. Where the
    network has tables, four more: the price of a second and of a joule on the device, and of both on the server; xi
    and delta are then without what the tables say.
    """
    value, tables = _values(columns, network, own), network.tables
    w_t, w_e, w_c = value("objective.time"), value("objective.energy"), value("objective.price")
    cycles, clock = value("device.cycles_per_mac"), value("device.clock")
    device = w_t * cycles / clock + w_e * value("device.energy_coefficient") * clock * clock * cycles
    cycles, clock = value("server.cycles_per_mac"), value("server.clock")
    server = (w_t + w_c * value("server.price")) * cycles / clock
    if network.server.charge_energy:
        server = server + w_e * value("server.energy_coefficient") * clock * clock * cycles
    measured: tuple[Any, ...] = ()
    if tables is not None:
        (d_s, d_j), (s_s, s_j) = _per_mac(network, value)
        device = w_t * d_s + w_e * d_j
        server = (w_t + w_c * value("server.price")) * s_s + w_e * s_j
        charged = w_e if network.server.charge_energy else own(0.0)
        measured = (w_t, w_e, w_t + w_c * value("server.price"), charged)
    power = value("channel.transmit_power")
    up_rate, down_rate = _rates(columns, network, power, own, log1p)
    receiving = w_e * power if network.channel.charge_download else 0.0
    upload = (w_t + w_e * power) / up_rate
    download = (w_t + receiving) / down_rate / value("inferences")
    return device, server, upload, download, value("device.memory"), *measured


def _per_mac(network: QPart, value: Callable[[str], Any]) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Seconds and joules of a MAC on the device and on the server; 0 where tables say what layers take instead."""
    tables = network.tables
    cycles, clock = value("device.cycles_per_mac"), value("device.clock")
    d_s, d_j = cycles / clock, value("device.energy_coefficient") * clock * clock * cycles
    cycles, clock = value("server.cycles_per_mac"), value("server.clock")
    s_s, s_j = cycles / clock, value("server.energy_coefficient") * clock * clock * cycles
    if tables is not None:
        d_s = d_s if tables.device_time is None else 0.0 * d_s
        d_j = d_j if tables.device_energy is None else 0.0 * d_j
        s_s = s_s if tables.server_time is None else 0.0 * s_s
        s_j = s_j if tables.server_energy is None else 0.0 * s_j
    return (d_s, d_j), (s_s, s_j if network.server.charge_energy else 0.0 * s_j)


def uses_from(
    columns: Mapping[str, Any], network: QPart, *, own: Callable[[float], Any], log1p: Callable[[Any], Any]
) -> list[tuple[list[Any], Any]]:
    """What every limit counts of each feature of a plan, and the limit (Eqs. 5-8, 14-16).

    Features are MACs on the device and on the server, bits up and down, and where the network has tables seconds and
    joules on the device and on the server that these say.

    Parameters
    ----------
    columns : (n,) arrays of one library by field name, a selection of `FIELDS`.
    own : makes a number of that library from the network's own value, where a column is missing.
    log1p : of that library.

    Returns
    -------
    A pair for each limit that the network or a column gives, in the order time, energy, price, payload.
    """
    given = [name for name in LIMITS if f"limits.{name}" in columns or name in network.given_limits]
    if not given:
        return []
    value, none, one = _values(columns, network, own), own(0.0), own(1.0)
    (d_s, d_j), (s_s, s_j) = _per_mac(network, value)
    power, zeta = value("channel.transmit_power"), value("server.price")
    up_rate, down_rate = _rates(columns, network, power, own, log1p)
    up, down = one / up_rate, one / down_rate / value("inferences")
    received = power * down if network.channel.charge_download else none
    charged = one if network.server.charge_energy else none
    features = {
        "time": [d_s, s_s, up, down, one, none, one, none],
        "energy": [d_j, s_j, power * up, received, none, one, none, charged],
        "price": [none, zeta * s_s, none, none, none, none, zeta, none],
        "payload": [none, none, one, one, none, none, none, none],
    }
    count = 4 if network.tables is None else 8
    return [(features[name][:count], value(f"limits.{name}")) for name in given]


def _rates(
    columns: Mapping[str, Any],
    network: QPart,
    power: Any,
    own: Callable[[float], Any],
    log1p: Callable[[Any], Any],
) -> tuple[Any, Any]:
    """Rates up and down [bit/s]."""
    up_rate: Any = columns.get("channel.rate")
    if up_rate is None:
        up_rate = _own_rate(network, power, own, log1p)
    down_rate: Any = columns.get("channel.download_rate")
    if down_rate is None:
        down_rate = up_rate if network.channel.download_rate is None else own(network.channel.download_rate)
    return up_rate, down_rate


def check_columns(names: Iterable[str], network: QPart) -> None:
    """Refuse columns that nothing would depend on, because tables of the network say what they stand for.

    Parameters
    ----------
    names : of the columns.
    network : that the requests are of.

    Raises
    ------
    InputError
        The first such column.
    """
    tables = network.tables
    if tables is None:
        return
    device = tables.device_time is not None and tables.device_energy is not None
    server = tables.server_time is not None
    server = server and (tables.server_energy is not None or not network.server.charge_energy)
    useless = {
        "device.cycles_per_mac": device,
        "device.clock": device,
        "device.energy_coefficient": tables.device_energy is not None,
        "server.cycles_per_mac": server,
        "server.clock": server,
        "server.energy_coefficient": tables.server_energy is not None,
    }
    for name in names:
        if useless.get(name):
            allowed = f"none: the tables of {network.name} say the time and energy of its layers"
            raise InputError(f"requests.{name}", "a column", allowed)


def _own_rate(network: QPart, power: Any, own: Callable[[float], Any], log1p: Callable[[Any], Any]) -> Any:
    """The network's rate; by Eq. 13 it depends on the power, which a request may vary."""
    ch = network.channel
    if ch.rate is not None:
        return own(ch.rate)
    assert ch.bandwidth is not None
    assert ch.gain is not None
    assert ch.noise_power is not None
    return ch.bandwidth * log1p(power * ch.gain * (ch.fading or 1.0) / ch.noise_power) / np.log(2.0)

"""Requests as columns: a million of them are a handful of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arguments import is_number, whole
from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.columns import LEAST, MOST, RANGE
from qopt.core.display import Brief, listed, number
from qopt.core.errors import InputError, shown
from qopt.qpart.problem import LIMITS, QPart, serving_rows

if TYPE_CHECKING:
    import pandas as pd

POSITIVE = (
    "device.cycles_per_mac",
    "device.clock",
    "server.cycles_per_mac",
    "server.clock",
    "channel.rate",
    "channel.download_rate",
)
AMOUNTS = (
    "device.energy_coefficient",
    "device.memory",
    "server.price",
    "server.energy_coefficient",
    "channel.transmit_power",
    "objective.time",
    "objective.energy",
    "objective.price",
)
RATES = ("channel.rate", "channel.download_rate")
ENDLESS = ("device.memory", *(f"limits.{name}" for name in LIMITS))
"""Limits of a request, which may be infinite: none."""

FIELDS = (*POSITIVE, *AMOUNTS, *ENDLESS[1:], "level", "inferences")
"""What may vary from request to request, by the names that `QPart.replace` takes; beside them ``network``."""


@dataclass(frozen=True, repr=False)
class Requests(Brief):
    """Columns of equal length; a field without a column keeps the network's own value.

    Attributes
    ----------
    columns : (n,) arrays by field name, a selection of `FIELDS`. ``device.memory`` and ``limits`` may be infinite: none.
    network : (n,) position of each request's network in `networks`.
    networks : names of the networks asked for.
    """

    columns: dict[str, FloatArray]
    network: IntArray
    networks: tuple[str, ...]

    def __str__(self) -> str:
        rows = []
        for name, column in self.columns.items():
            ends = f"{number(float(column.min()))} to {number(float(column.max()))}" if len(column) else "empty"
            rows.append(f"{name}: {ends}")
        asked = f" of {len(self.networks)} networks" if len(self.networks) > 1 else ""
        return listed(f"{len(self)} requests{asked}", rows)

    def __len__(self) -> int:
        return len(self.network)

    @classmethod
    def of(cls, columns: Mapping[str, ArrayLike] | pd.DataFrame, network: object = "") -> Requests:
        """Requests from columns (arrays, lists, or one number for all).

        Parameters
        ----------
        columns : values by field name; a column ``network`` of names may be among them.
        network : the network of all requests, or a name for each. Empty: the table's only one.

        Raises
        ------
        InputError
            An unknown field, columns of different length, or a value that is not admissible, with row and column.
        """
        if not hasattr(columns, "keys"):
            raise InputError("requests", shown(columns), "columns by field name, or a DataFrame")
        given = {str(name): columns[name] for name in columns.keys()}  # noqa: SIM118, a DataFrame's too
        names = given.pop("network", network)
        unknown = [name for name in given if name not in FIELDS]
        if unknown:
            raise InputError(f"requests.{unknown[0]}", "an unknown column", ", ".join((*FIELDS, "network")))
        rows = {name: _rows(column) for name, column in given.items()}
        lengths = {name: length for name, length in rows.items() if length is not None}
        if not isinstance(names, str):
            try:
                names = np.asarray(names)
            except ValueError:  # lists of unlike length
                names = np.asarray(None)
            if names.ndim != 1:
                raise InputError("requests.network", shown(network), "a name, or a column of names")
            lengths["network"] = len(names)
        n = next(iter(lengths.values()), 1)
        for name, length in lengths.items():
            if length != n:
                first = next(iter(lengths))
                raise InputError(f"requests.{name}", f"{length} rows", f"{n}, as in column {first}")
        arrays = {name: _column(name, column, n) for name, column in given.items()}
        if isinstance(names, str):
            return cls(arrays, np.zeros(n, dtype=np.int64), (names,))
        distinct, position = np.unique(names.astype(str), return_inverse=True)
        return cls(arrays, position.astype(np.int64), tuple(str(name) for name in distinct))

    @classmethod
    def from_dataframe(cls, frame: pd.DataFrame) -> Requests:
        """Requests from a DataFrame whose columns are field names, and perhaps ``network``.

        Parameters
        ----------
        frame : a row for each request.
        """
        return cls.of({str(name): frame[name].to_numpy() for name in frame.columns})

    def to_dataframe(self) -> pd.DataFrame:
        """The same columns as a DataFrame."""
        import pandas as pd

        names = np.array(self.networks, dtype=object)[self.network]
        return pd.DataFrame({"network": names, **self.columns})

    def take(self, rows: IntArray | BoolArray | slice) -> Requests:
        """Some of the requests, by position.

        Parameters
        ----------
        rows : positions, or a mask, one for each request.
        """
        return Requests({k: v[rows] for k, v in self.columns.items()}, self.network[rows], self.networks)

    def problem(self, row: int, network: QPart) -> QPart:
        """One request as a problem of its own, to be solved directly.

        Parameters
        ----------
        row : of the request, from 0.
        network : what it does not say.
        """
        changes: dict[str, Any] = {}
        for name, column in self.columns.items():
            value = float(column[row])
            if name in ENDLESS and np.isinf(value):
                changes[name] = None
            elif name == "inferences":
                changes[name] = int(value)
            elif name == "level":  # Algorithm 2: the largest level that does not exceed it
                levels = network.accuracy.levels
                served = int(serving_rows(levels, value))
                changes[name] = float(levels[served]) if served >= 0 else value
            else:
                changes[name] = value
        if "channel.rate" in changes:
            changes |= dict.fromkeys(("channel.bandwidth", "channel.gain", "channel.fading", "channel.noise_power"))
        return network.replace(changes)


def _rows(column: object) -> int | None:
    """How many rows a column has; None for one number, or what is no column."""
    if isinstance(column, list | tuple):
        return len(column)
    return len(column) if getattr(column, "ndim", None) == 1 else None  # type: ignore[arg-type]


def _column(name: str, values: object, n: int) -> FloatArray:
    """A checked column of n numbers."""
    numeric = isinstance(values, np.ndarray) and values.dtype.kind in "iuf"
    if not numeric and not isinstance(values, str) and np.iterable(values):
        for row, value in enumerate(values):  # numpy would read "1" and True as numbers
            if not is_number(value):
                raise InputError(f"requests.{name}[{row}]", shown(value), allowed_in(name))
    elif not numeric and not is_number(values):
        raise InputError(f"requests.{name}", shown(values), "a column of numbers")
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"requests.{name}", shown(values), "a column of numbers of ordinary size") from None
    if column.ndim == 0:
        column = np.full(n, float(column))
    if column.ndim != 1:
        raise InputError(f"requests.{name}", f"an array of {column.ndim} dimensions", "one column")
    with np.errstate(invalid="ignore"):
        good = (column >= LEAST) & (column <= MOST)
        if name in AMOUNTS or name in ENDLESS:
            good |= column == 0
        if name in ENDLESS:
            good |= column == np.inf
        if name == "inferences":
            good = (column >= 1) & (column <= 2.0**53) & (column == np.floor(column))
        if name == "level":
            good &= column <= 1
    bad = np.flatnonzero(~good)
    if bad.size:
        raise InputError(f"requests.{name}[{bad[0]}]", f"{column[bad[0]]:g}", allowed_in(name))
    return column


def allowed_in(name: str) -> str:
    """What a column may hold, in words."""
    if name == "inferences":
        return "a whole number from 1 to 2^53"
    if name == "level":
        return "an accuracy level in (0, 1]"
    if name in ENDLESS:
        unit = "bits: " if name == "device.memory" else ""
        return f"{unit}0, {RANGE}, or inf for no limit"
    if name in AMOUNTS:
        return f"0, or {RANGE}"
    return f"{RANGE}; the largest is as good as free" if name in RATES else RANGE


def fading_rates(
    n: int, *, seed: int, bandwidth: float, gain: float, noise_power: float, transmit_power: float
) -> FloatArray:
    """(n,) rates [bit/s] of a channel with Rayleigh fading (Eqs. 11-13).

    ``B log2(1 + P alpha h / N0)`` with h exponential of mean 1, drawn with a seed.

    Parameters
    ----------
    n : how many.
    seed : of `numpy.random.default_rng`, >= 0.
    bandwidth : B [Hz].
    gain : alpha, mean gain of the channel.
    noise_power : N0 [W].
    transmit_power : P [W].

    Raises
    ------
    InputError
        A number that is not finite and above 0.
    """
    n = whole("n", n, 0)
    for name, value in (
        ("bandwidth", bandwidth),
        ("gain", gain),
        ("noise_power", noise_power),
        ("transmit_power", transmit_power),
    ):
        if not is_number(value) or not 0 < value < math.inf:
            raise InputError(name, shown(value), "a finite number > 0")
    fading = np.random.default_rng(seed).exponential(1.0, n)
    rates: FloatArray = bandwidth * np.log1p(transmit_power * gain * fading / noise_power) / np.log(2.0)
    return rates


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
    return RequestPrices(
        *map(column, found[:5]),
        measured=tuple(map(column, found[5:])),
        uses=tuple((np.stack([column(x) for x in of_features]), column(limit)) for of_features, limit in uses),
    )


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

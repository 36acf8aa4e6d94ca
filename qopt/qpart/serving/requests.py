"""Requests as columns: a million of them are a handful of arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    columns : (n,) arrays by field name, a selection of `FIELDS`. Memory and ``limits`` may be infinite: none.
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

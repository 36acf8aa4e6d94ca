"""What a JQODI problem is made of: nodes and links, conditions by epoch, costs of changing, requests served."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.arrays import AnyArray, FloatArray
from qopt.core.checks import twice
from qopt.core.columns import AmountOrRows, Amounts, complaint
from qopt.core.errors import shown
from qopt.core.problem import Amount, Flag, Frozen, Positive
from qopt.jqodi.models import Name


class Cloud(Frozen):
    """The cloud server: speed v_c [MAC/s] and energy e_c [J/MAC].

    Attributes
    ----------
    speed : v_c [MAC/s].
    energy : e_c [J/MAC].
    """

    speed: Positive
    energy: Amount


class Server(Frozen):
    """An edge server x.

    Attributes
    ----------
    name : of the server, each once.
    speed, energy : v_x [MAC/s] and e_x [J/MAC].
    cloud_rate, cloud_energy : of its link with the cloud, v_cx [bit/s] and e_cx [J/bit]. No rate is no link.
    """

    name: Name
    speed: Positive
    energy: Amount
    cloud_rate: Positive | None = None
    cloud_energy: Amount = 0.0


class Link(Frozen):
    """The link of a device with a server.

    Attributes
    ----------
    server : its name.
    rate : v_xd [bit/s]; or `bandwidth` [Hz] and `snr` (a ratio, not decibels), then v_xd = B log2(1 + SNR).
    bandwidth, snr : B [Hz], and the ratio of signal to noise.
    energy : e_xd [J/bit].
    """

    server: Name
    rate: Positive | None = None
    bandwidth: Positive | None = None
    snr: Positive | None = None
    energy: Amount = 0.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        shannon = [name for name in ("bandwidth", "snr") if getattr(self, name) is not None]
        if self.rate is not None and shannon:
            raise complaint(".rate", f"a rate beside {' and '.join(shannon)}", "one or the other")
        if self.rate is None and len(shannon) < 2:
            found = f"only {shannon[0]}" if shannon else "nothing"
            raise complaint(".rate", found, "a rate, or bandwidth and snr")
        return self

    @property
    def bits_per_second(self) -> float:
        """v_xd."""
        if self.rate is not None:
            return self.rate
        assert self.bandwidth is not None
        assert self.snr is not None
        return self.bandwidth * math.log2(1.0 + self.snr)


class Device(Frozen):
    """An end device with its data.

    Attributes
    ----------
    name : of the device, each once.
    speed, energy : v_d [MAC/s] and e_d [J/MAC].
    training, validation : images.
    links : one for each server that can serve it; one that is not listed cannot.
    """

    name: Name
    speed: Positive
    energy: Amount
    training: Amount
    validation: Amount = 0.0
    links: Annotated[tuple[Link, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        again = twice(tuple(link.server for link in self.links))
        if again is not None:
            raise complaint(".links", f"{shown(again)} twice", "one link with each server")
        return self


class ServerConditions(Frozen):
    """What changes at a server, a factor on its nominal value for each epoch; 0: gone, time is infinite.

    Attributes
    ----------
    speed, cloud_rate, device_rate : (epochs,) factors on MACs and bits a second; default 1.
    available : (epochs,) whether it can be used.
    """

    speed: Amounts | None = None
    cloud_rate: Amounts | None = None
    device_rate: Amounts | None = None
    available: tuple[Flag, ...] | None = None


def lasting(column: Sequence[float] | AnyArray, length: int) -> FloatArray:
    """(length,) a column of conditions as floats; after its end the last entry goes on.

    Parameters
    ----------
    column : one entry or more, by epoch.
    length : epochs.
    """
    values = np.array(column[:length], dtype=np.float64)
    found: FloatArray = np.concatenate((values, np.full(length - len(values), values[-1])))
    return found


class Conditions(Frozen):
    """What changes from epoch to epoch, as factors on nominal values.

    Attributes
    ----------
    cloud_speed, device_speed : (epochs,) factors on MACs a second; default 1.
    servers : conditions of some servers, by name.
    """

    cloud_speed: Amounts | None = None
    device_speed: Amounts | None = None
    servers: dict[Name, ServerConditions] = Field(default={})

    def columns(self) -> Iterator[tuple[str, AnyArray]]:
        """Every list that is given, with its path."""
        for name in ("cloud_speed", "device_speed"):
            if getattr(self, name) is not None:
                yield f".{name}", getattr(self, name)
        for server, factors in self.servers.items():
            for name in ServerConditions.model_fields:
                if getattr(factors, name) is not None:
                    yield f".servers.{server}.{name}", getattr(factors, name)


class Switching(Frozen):
    """What changing from (x, j) to (x', j') before an epoch costs: a server's part if x != x', a cut's if j != j'.

    In mode ``choice`` nothing ever changes, but from the server and cut of a `Start` to the first epoch's.

    Attributes
    ----------
    server_time, server_energy : seconds and joules; a number, or a matrix from row to column over all servers.
    cut_time, cut_energy : seconds and joules likewise, rows and columns over the cuts 0..n of the deepest model.
    """

    server_time: AmountOrRows = 0.0
    server_energy: AmountOrRows = 0.0
    cut_time: AmountOrRows = 0.0
    cut_energy: AmountOrRows = 0.0

    @property
    def costs(self) -> bool:
        """Whether anything is above 0."""
        return any(np.any(np.asarray(getattr(self, name)) > 0) for name in type(self).model_fields)


class Inference(Frozen):
    """What is served after fine-tuning: requests, each one inference with the last epoch's server and cut.

    Attributes
    ----------
    requests : how many; 0 for none.
    """

    requests: Amount = 0.0

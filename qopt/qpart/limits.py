"""Limits on time, energy, price and payload as rows: what every tensor uses of each at every width.

Each limit is on a sum of what the cut fixes (computing by MACs, the server, what is sent whatever the widths) and what
the widths decide: the bits of every tensor, and where a table says so the time or energy of a layer on the device.
These terms are computed here once and are exact data from then on, as noise terms are (`qopt.qpart.terms`): every
method, every model and every certificate reads the same floating-point numbers.
"""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.qpart.costs import fixed_upload, split_macs, upload_values
from qopt.qpart.problem import QPart


class LimitTerms:
    """The limits of a request that are given, and what they are made of.

    Parameters
    ----------
    problem : a request.

    Attributes
    ----------
    names : of the limits that there are, in the order time, energy, price, payload.
    limits : (R,) what they allow, slack not included.
    weights : (R, L, k) what the weights of each layer use at each width; infinite where a table has no number.
    outputs : (R, L, k) what each output uses, with a last row for the raw input where it is quantized.
    """

    def __init__(self, problem: QPart) -> None:
        self.problem = problem
        given = problem.given_limits
        self.names = tuple(given)
        self.limits = np.array(list(given.values()), dtype=np.float64)
        if not given:
            empty = np.zeros((0, 0, 0))
            self.weights, self.outputs, self._fixed = empty, empty, np.zeros((0, 0))
            return
        b, values, sent = problem.widths.astype(float), upload_values(problem), problem.network.sent
        per_down, per_up = _per_bit(problem)
        tables = problem.tables
        measured = {} if tables is None else {"time": tables.device_time, "energy": tables.device_energy}
        weights, outputs = [], []
        for name in self.names:
            used = per_down[name] * (sent[:, None] * b)
            table = measured.get(name)
            if tables is not None and table is not None:
                used = used + tables.at(table, problem.widths)
            weights.append(used)
            outputs.append(per_up[name] * (values[:, None] * b))
        self.weights, self.outputs = np.stack(weights), np.stack(outputs)
        computing = _computing(problem)
        down = np.concatenate(([0.0], np.cumsum(problem.network.sent_overhead)))
        self._fixed = np.stack([computing[name] + per_down[name] * down for name in self.names])
        self._per_up = np.array([per_up[name] for name in self.names])

    def __repr__(self) -> str:
        return f"LimitTerms({', '.join(self.names) or 'none'})"

    def fixed(self, cut: int) -> FloatArray:
        """(R,) what a cut uses of each limit whatever the widths.

        Parameters
        ----------
        cut : p.
        """
        if not self.names:
            return np.zeros(0)
        found: FloatArray = self._fixed[:, cut] + self._per_up * fixed_upload(self.problem, cut)
        return found


def _per_bit(problem: QPart) -> tuple[dict[str, float], dict[str, float]]:
    """What a bit down and a bit up use of each limit (Eqs. 14-16)."""
    ch = problem.channel
    down, up = 1.0 / ch.downlink / problem.inferences, 1.0 / ch.uplink
    receiving = ch.transmit_power if ch.charge_download else 0.0
    return (
        {"time": down, "energy": receiving * down, "price": 0.0, "payload": 1.0},
        {"time": up, "energy": ch.transmit_power * up, "price": 0.0, "payload": 1.0},
    )


def _computing(problem: QPart) -> dict[str, FloatArray]:
    """(L + 1,) what computing uses at every cut, without what depends on widths (Eqs. 5-8)."""
    d, s, tables = problem.device, problem.server, problem.tables
    on_device, on_server = split_macs(problem)
    device_time = on_device * (d.cycles_per_mac / d.clock)
    device_energy = on_device * (d.energy_coefficient * d.clock * d.clock * d.cycles_per_mac)
    server_time = on_server * (s.cycles_per_mac / s.clock)
    server_energy = on_server * (s.energy_coefficient * s.clock * s.clock * s.cycles_per_mac)
    if tables is not None:
        if tables.device_time is not None:
            device_time = np.zeros_like(device_time)
        if tables.device_energy is not None:
            device_energy = np.zeros_like(device_energy)
        if tables.server_time is not None:
            server_time = _from_each(tables.server_time)
        if tables.server_energy is not None:
            server_energy = _from_each(tables.server_energy)
    if not s.charge_energy:
        server_energy = np.zeros_like(server_energy)
    return {
        "time": device_time + server_time,
        "energy": device_energy + server_energy,
        "price": s.price * server_time,
        "payload": np.zeros_like(server_time),
    }


def _from_each(column: FloatArray) -> FloatArray:
    """(L + 1,) sums of a column from each layer on."""
    found = np.zeros(len(column) + 1)
    found[:-1] = np.cumsum(column[::-1])[::-1]
    return found

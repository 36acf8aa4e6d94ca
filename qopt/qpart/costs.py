"""What a plan costs: Eqs. 5-17 of QPART, in one place.

Two readings of the same equations. `breakdown` follows them term by term, seconds and joules apart;
`prices`, `base_costs` and `tensor_prices` are the linear form of Eqs. 24-26 that optimization needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.errors import InputError
from qopt.qpart.layer_tables import LayerTables
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import QPart


@dataclass(frozen=True)
class Prices:
    """Coefficients of Eq. 17 in linear form (Eqs. 24-26). What a table says of layers is not in them.

    Attributes
    ----------
    device : xi, objective per MAC on the device.
    server : delta, objective per MAC on the server.
    upload : eps, objective per bit sent to the server.
    download : objective per bit of weights sent to the device, shared by the inferences it serves.
    """

    device: float
    server: float
    upload: float
    download: float


def prices(problem: QPart) -> Prices:
    """xi, delta and eps of a request (Eqs. 24-26)."""
    w, d, s, ch = problem.objective, problem.device, problem.server, problem.channel
    device = (
        w.time * d.cycles_per_mac / d.clock + w.energy * d.energy_coefficient * d.clock * d.clock * d.cycles_per_mac
    )
    server = (w.time + w.price * s.price) * s.cycles_per_mac / s.clock
    if s.charge_energy:
        server += w.energy * s.energy_coefficient * s.clock * s.clock * s.cycles_per_mac
    if problem.tables is not None:
        device, server = _untabled(problem, problem.tables)
    upload = (w.time + w.energy * ch.transmit_power) / ch.uplink
    receiving = w.energy * ch.transmit_power if ch.charge_download else 0.0
    download = (w.time + receiving) / ch.downlink / problem.inferences
    return Prices(device, server, upload, download)


def _untabled(problem: QPart, tables: LayerTables) -> tuple[float, float]:
    """What is left of xi and delta where tables say the time or the energy of layers."""
    w, d, s = problem.objective, problem.device, problem.server
    device = server = 0.0
    if tables.device_time is None:
        device += w.time * d.cycles_per_mac / d.clock
    if tables.device_energy is None:
        device += w.energy * d.energy_coefficient * d.clock * d.clock * d.cycles_per_mac
    if tables.server_time is None:
        server += (w.time + w.price * s.price) * s.cycles_per_mac / s.clock
    if tables.server_energy is None and s.charge_energy:
        server += w.energy * s.energy_coefficient * s.clock * s.clock * s.cycles_per_mac
    return device, server


def device_costs(problem: QPart) -> FloatArray | None:
    """(L, k) objective of computing a layer on the device by the width of its weights, as far as tables say it.

    None where no table of the device is given; infinite at widths that the tables have no number for.
    """
    tables, w = problem.tables, problem.objective
    if tables is None or not tables.by_width:
        return None
    b, total = problem.widths, np.zeros((problem.layers, len(problem.widths)))
    for weight, table in ((w.time, tables.device_time), (w.energy, tables.device_energy)):
        if table is not None:
            found = tables.at(table, b)
            total += np.where(np.isfinite(found), weight * found, np.inf)
    _finite("tables of the device", total[np.isfinite(total)].sum())
    return total


def server_costs(problem: QPart) -> FloatArray | None:
    """(L,) objective of computing a layer on the server as far as tables say it; None where none is given."""
    tables, w, s = problem.tables, problem.objective, problem.server
    if tables is None or (tables.server_time is None and tables.server_energy is None):
        return None
    total = np.zeros(problem.layers)
    if tables.server_time is not None:
        total += (w.time + w.price * s.price) * tables.server_time
    if tables.server_energy is not None and s.charge_energy:
        total += w.energy * tables.server_energy
    _finite("tables of the server", total.sum())
    return total


def _finite(what: str, cost: float) -> None:
    """Refuse a request whose numbers are finite one by one and too large together."""
    if not math.isfinite(cost):
        allowed = "network, device, server, channel and objective whose products are finite"
        raise InputError("objective", f"a cost of {what} of {cost}", allowed)


def tensor_prices(problem: QPart) -> tuple[FloatArray, FloatArray]:
    """pi_i, objective per bit of width, of weights and of activations, each (L,).

    Behind the activations stands the raw input where it is quantized, so that ``activations[i - 1]`` is tensor i's.
    """
    p = prices(problem)
    with np.errstate(over="ignore", invalid="ignore"):
        weights: FloatArray = p.download * problem.network.sent
        activations: FloatArray = p.upload * upload_values(problem)
        _finite("bits sent", np.append(weights, activations).sum() * problem.bits.hi)
    return weights, activations


def upload_values(problem: QPart) -> FloatArray:
    """(L,) values of each output, or (L + 1,) with the raw input's behind them where it is quantized."""
    net = problem.network
    return np.append(net.activations, net.input_size) if problem.quantize_input else net.activations


def split_macs(problem: QPart) -> tuple[FloatArray, FloatArray]:
    """O_1 and O_2, MACs on the device and on the server at every cut, each (L + 1,) (Eqs. 3-4).

    Each is summed from its own end: total less the device's part would cancel.
    """
    macs = problem.network.macs
    on_device = np.concatenate(([0.0], np.cumsum(macs)))
    on_server = np.concatenate((np.cumsum(macs[::-1])[::-1], [0.0]))
    return on_device, on_server


def base_costs(problem: QPart) -> FloatArray:
    """(L + 1,) part of Eq. 17 at every cut 0..L that no bit-width changes.

    Computing, the raw input if it is sent, and what is sent with weights and activations whatever their widths.
    """
    p, net = prices(problem), problem.network
    with np.errstate(over="ignore", invalid="ignore"):
        bits = net.input_bits * net.input_size * p.upload
        _finite("computing and the raw input", net.macs.sum() * (p.device + p.server) + bits)
        down = p.download * np.cumsum(net.sent_overhead)
        up = p.upload * (np.zeros(1) if net.overhead_activations is None else net.overhead_activations)
        _finite("overhead", np.append(down, up).sum())
    on_device, on_server = split_macs(problem)
    base: FloatArray = p.device * on_device + p.server * on_server
    on_server_costs = server_costs(problem)
    if on_server_costs is not None:
        base[:-1] += np.cumsum(on_server_costs[::-1])[::-1]
    if not problem.quantize_input:
        until = 1 if net.last_reader is None else int(net.last_reader[0])
        base[:until] += p.upload * net.input_bits * net.input_size
    base[1:] += down
    if net.overhead_activations is not None:
        # The output of layer i crosses cuts i .. last - 1. Only sums of numbers >= 0: no cancellation.
        last = np.arange(2, len(net) + 2) if net.last_reader is None else net.last_reader[1:]
        kept = len(net) if problem.send_output else len(net) - 1
        for i in np.flatnonzero(up[:kept]).tolist():
            base[i + 1 : last[i]] += up[i]
    return base


def fixed_upload(problem: QPart, cut: int) -> float:
    """Bits that go up at a cut whatever the widths: the raw input if it crosses as it is, and overhead of the outputs.

    Parameters
    ----------
    cut : p.
    """
    net = problem.network
    raw = not problem.quantize_input and 0 in net.crossing(cut)
    bits = net.input_bits * net.input_size if raw else 0.0
    if net.overhead_activations is not None:
        bits += math.fsum(net.overhead_activations[i - 1] for i in crossing_activations(problem, cut) if i)
    return bits


@dataclass(frozen=True, repr=False)
class Cost(Brief):
    """A plan's payload, time, energy and price, and the objective they add up to (Eqs. 5-8, 14-17).

    Payloads in bits, times in seconds, energies in joules. `download` is what one plan sends to the device;
    time and energy charge each inference its share of it.

    Attributes
    ----------
    download, upload : bits that the plan sends to the device, and one inference back (Eq. 14).
    device_time, server_time, transmission_time : seconds of one inference.
    device_energy, transmission_energy, server_energy : joules of one inference.
    price : of the server for one inference.
    objective : J of Eq. 17.
    transmission_cost : the part of J that goes with what is sent.
    """

    equations: ClassVar[str] = "recomputed from Eqs. 5-17"

    download: float
    upload: float
    device_time: float
    server_time: float
    transmission_time: float
    device_energy: float
    transmission_energy: float
    server_energy: float
    price: float
    objective: float
    transmission_cost: float

    @property
    def payload(self) -> float:
        """Z, bits sent in both directions (Eq. 14)."""
        return self.download + self.upload

    @property
    def time(self) -> float:
        """Seconds for one inference."""
        return self.device_time + self.server_time + self.transmission_time

    @property
    def energy(self) -> float:
        """Joules for one inference; the server's only where it is charged."""
        return self.device_energy + self.transmission_energy + self.server_energy

    def to_dict(self) -> dict[str, object]:
        """Plain data, with the totals."""
        return {**self.__dict__, "payload": self.payload, "time": self.time, "energy": self.energy}


Effort = tuple[float, float]
"""Seconds and joules of computing, for one inference."""


def breakdown(problem: QPart, plan: QPartPlan) -> Cost:
    """Cost of a plan by Eqs. 5-8 and 14-17, term by term."""
    net, p = problem.network, plan.cut
    macs_device, macs_server = float(np.sum(net.macs[:p])), float(np.sum(net.macs[p:]))
    crossing = net.crossing(p)
    up = 0.0
    widths = iter(plan.activations)
    for tensor in crossing:
        if tensor == 0:
            up += (next(widths) if problem.quantize_input else net.input_bits) * net.input_size
        elif tensor < len(net) or problem.send_output:
            up += next(widths) * float(net.activations[tensor - 1])
            if net.overhead_activations is not None:
                up += float(net.overhead_activations[tensor - 1])
    down = float(np.dot(plan.weights, net.sent[:p])) + float(net.sent_overhead[:p].sum())

    (device_time, device_energy), (server_time, server_energy) = computing(problem, macs_device, macs_server)
    if problem.tables is not None:
        # What a table says stands in place of the four figures above.
        tables = problem.tables
        if tables.device_time is not None:
            device_time = _looked_up(problem, tables.device_time, plan)
        if tables.device_energy is not None:
            device_energy = _looked_up(problem, tables.device_energy, plan)
        if tables.server_time is not None:
            server_time = float(tables.server_time[p:].sum())
        if tables.server_energy is not None:
            server_energy = float(tables.server_energy[p:].sum()) if problem.server.charge_energy else 0.0
    return account(problem, down, up, (device_time, device_energy), (server_time, server_energy))


def computing(problem: QPart, device_macs: float, server_macs: float) -> tuple[Effort, Effort]:
    """Seconds and joules of the device, and of the server where its energy is charged (Eqs. 5-8).

    Parameters
    ----------
    problem : whose device and server compute; its tables are not looked at.
    device_macs, server_macs : O_1 and O_2 [MACs].
    """
    d, s = problem.device, problem.server
    device_time = device_macs * d.cycles_per_mac / d.clock
    device_energy = d.energy_coefficient * d.clock * d.clock * device_macs * d.cycles_per_mac
    server_time = server_macs * s.cycles_per_mac / s.clock
    server_energy = (
        s.energy_coefficient * s.clock * s.clock * server_macs * s.cycles_per_mac if s.charge_energy else 0.0
    )
    return (device_time, device_energy), (server_time, server_energy)


def account(problem: QPart, down: float, up: float, device: Effort, server: Effort) -> Cost:
    """Cost of what is sent and computed (Eqs. 14-17).

    Parameters
    ----------
    problem : whose channel, price and weights count.
    down, up : bits in either direction; what is sent down serves all of the request's inferences.
    device, server : seconds and joules of an inference.
    """
    ch, w = problem.channel, problem.objective
    device_time, device_energy = device
    server_time, server_energy = server
    price = problem.server.price * server_time
    down_time, up_time = down / ch.downlink / problem.inferences, up / ch.uplink
    down_energy = ch.transmit_power * down_time if ch.charge_download else 0.0
    up_energy = ch.transmit_power * up_time
    transmission = w.time * (down_time + up_time) + w.energy * (down_energy + up_energy)
    computed = w.time * (device_time + server_time) + w.energy * (device_energy + server_energy) + w.price * price
    return Cost(
        download=down,
        upload=up,
        device_time=device_time,
        server_time=server_time,
        transmission_time=down_time + up_time,
        device_energy=device_energy,
        transmission_energy=down_energy + up_energy,
        server_energy=server_energy,
        price=price,
        objective=computed + transmission,
        transmission_cost=transmission,
    )


def _looked_up(problem: QPart, table: FloatArray, plan: QPartPlan) -> float:
    """What a table of the device says of a plan's layers at the widths of their weights.

    Infinite at a width without a column, which no menu has.
    """
    assert problem.tables is not None
    assert problem.tables.bits is not None
    columns = {float(b): j for j, b in enumerate(problem.tables.bits.tolist())}
    at = [columns.get(float(b)) for b in plan.weights]
    return sum(math.inf if j is None else float(table[layer, j]) for layer, j in enumerate(at))

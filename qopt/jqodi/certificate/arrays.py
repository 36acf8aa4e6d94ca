"""A candidate (a model at a bit-width) in numbers, as the certificate reads it from the problem and Eqs. 1-10.

Methods optimize over tables of their own (`qopt.jqodi.terms`), and nothing is shared with them: if either reading were
wrong, plans that are proved would show it. The last digit decides whether a plan keeps T_max, so both round alike:

* MACs and parameters of layers are summed exactly and rounded once; the server's from its own layers.
* D = (images x work) MACs and G = parameters x bits. A speed or rate is its nominal value x the epoch's factor.
* Seconds are ((F_a / v_c + D_j^ed / v_d) + D_j^es / v_x) + 2 (G / v_cx + G_j / v_xd), joules of an epoch
  ((D_j^ed e_d + D_j^es e_x) + F_a e_c) + 2 (G e_cx + G_j e_xd), in this order of sums.
* Features and gradients, where they are counted, are ((training + validation) up + training back) bits H_j; seconds
  and joules end in + H_j / v_xd and + H_j e_xd.
* The last epoch's joules take those of all requests, requests x ((MACs e_d + MACs e_x) + bits e_xd).
* A change costs a server's part + a cut's part. That from the state in which a run stands is added to the first
  epoch's numbers at last, to its joules too. Quantizing's seconds are those + the time that has passed.

Work or bits of 0 take no time. What a rate of 0 has to carry, or a server without link that is gone, is impossible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.errors import InputError
from qopt.jqodi.parts import Server, ServerConditions
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import LARGEST, Jqodi, Model, Width

MAX_ENTRIES = 50_000_000
"""Epochs times states of one candidate, at most."""


@dataclass(frozen=True, eq=False)
class Change:
    """What changing the state costs: the server's part plus the cut's.

    Attributes
    ----------
    of_server : (X, X) seconds or joules from the server of the row to that of the column.
    of_cut : (J, J) seconds or joules, of cuts.
    """

    of_server: FloatArray
    of_cut: FloatArray

    def between(self, before: IntArray | int, after: IntArray | int) -> FloatArray:
        """Costs of changes between states.

        Parameters
        ----------
        before, after : (n,) numbers of states.
        """
        cuts = len(self.of_cut)
        costs: FloatArray = (
            self.of_server[np.floor_divide(before, cuts), np.floor_divide(after, cuts)]
            + self.of_cut[np.mod(before, cuts), np.mod(after, cuts)]
        )
        return costs

    @cached_property
    def matrix(self) -> FloatArray:
        """(S, S) of every change."""
        size = len(self.of_server) * len(self.of_cut)
        together: FloatArray = self.of_server[:, None, :, None] + self.of_cut[None, :, None, :]
        return together.reshape(size, size)

    @property
    def largest(self) -> float:
        """The dearest change."""
        return float(self.of_server.max() + self.of_cut.max())


@dataclass(frozen=True, eq=False)
class Arrays:
    """One model at one bit-width over K epochs; state x J + j is the server x of X with the cut j of J.

    Attributes
    ----------
    model, bits : which.
    servers, cuts : lists of the X servers in the problem's order, and of the J admissible cuts, ascending.
    epochs : K, the epochs that must fit T_max.
    counted : the first so many epochs' energy counts: K^exp, or all where so many are done already.
    time : (K, S) seconds; infinite where a state is impossible.
    energy : (K, S) joules that count, those of inference requests in the last epoch; infinite where the time is.
    setup_time, setup_energy : seconds and joules of quantizing, once.
    switch_time, switch_energy : of a change before an epoch; None where all are 0. The energy of one before an epoch
        that does not count does not count.
    """

    model: str
    bits: int
    servers: tuple[str, ...]
    cuts: tuple[int, ...]
    epochs: int
    counted: int
    time: FloatArray
    energy: FloatArray
    setup_time: float
    setup_energy: float
    switch_time: Change | None
    switch_energy: Change | None

    @property
    def key(self) -> str:
        """``MODEL/BITS``, as witnesses name it."""
        return f"{self.model}/{self.bits}"

    @property
    def states(self) -> int:
        """S, servers times cuts."""
        return len(self.servers) * len(self.cuts)

    @property
    def changing(self) -> bool:
        """Whether any change costs something."""
        return self.switch_time is not None or self.switch_energy is not None

    @cached_property
    def there(self) -> BoolArray:
        """(K, S) whether a state is possible in an epoch."""
        finite: BoolArray = np.isfinite(self.time)
        return finite

    @property
    def possible(self) -> bool:
        """Whether every epoch has a state."""
        return bool(self.there.any(axis=1).all())

    def states_of(self, plan: JqodiPlan) -> IntArray:
        """(K,) the state in each epoch of a plan for this candidate."""
        pairs = zip(plan.servers, plan.cuts, strict=True)
        return np.array([self.servers.index(x) * len(self.cuts) + self.cuts.index(j) for x, j in pairs], dtype=np.int64)

    def terms(self, states: Sequence[int] | IntArray) -> tuple[list[float], list[float]]:
        """The numbers that the energy and the time of (K,) states are sums of."""
        at = np.asarray(states, dtype=np.int64)
        energies = [self.setup_energy, *np.take_along_axis(self.energy, at[:, None], axis=1).ravel().tolist()]
        seconds = [self.setup_time, *np.take_along_axis(self.time, at[:, None], axis=1).ravel().tolist()]
        if self.switch_energy is not None:
            energies += self.switch_energy.between(at[:-1], at[1:])[: max(self.counted - 1, 0)].tolist()
        if self.switch_time is not None:
            seconds += self.switch_time.between(at[:-1], at[1:]).tolist()
        return energies, seconds

    def totals(self, states: Sequence[int] | IntArray) -> tuple[float, float]:
        """Energy and time of (K,) states, rounded once; infinite where one is impossible."""
        energies, seconds = self.terms(states)
        return math.fsum(energies), math.fsum(seconds)

    def totals_of(self, states: IntArray) -> list[tuple[float, float]]:
        """Energy and time of (n, K) states, as `totals` of each."""
        rows = np.arange(self.epochs)
        energies, seconds = [self.energy[rows, states]], [self.time[rows, states]]
        if self.switch_energy is not None:
            energies.append(self.switch_energy.between(states[:, :-1], states[:, 1:])[:, : max(self.counted - 1, 0)])
        if self.switch_time is not None:
            seconds.append(self.switch_time.between(states[:, :-1], states[:, 1:]))
        columns = zip(np.hstack(energies).tolist(), np.hstack(seconds).tolist(), strict=True)
        return [(math.fsum([self.setup_energy, *e]), math.fsum([self.setup_time, *t])) for e, t in columns]


def needed(problem: Jqodi) -> list[tuple[Model, Width, int]]:
    """The models at admissible widths that reach their loss, in the problem's order, and their epochs."""
    found = []
    for model in problem.models:
        for width in model.widths:
            start = problem.start
            if problem.widths is not None and width.bits not in problem.widths:
                continue
            bound = start is not None and start.model is not None and not start.anew
            if bound and not problem.under_way(model, width):
                continue
            epochs = problem.needed(model, width)
            if epochs is not None:
                found.append((model, width, epochs))
    return found


def every(problem: Jqodi) -> list[Arrays]:
    """All candidates."""
    return [read(problem, *one) for one in needed(problem)]


def of_plan(problem: Jqodi, plan: JqodiPlan) -> Arrays:
    """The candidate of a plan whose shape fits the problem, over as many epochs as the plan has."""
    model = next(model for model in problem.models if model.name == plan.model)
    width = next(width for width in model.widths if width.bits == plan.bits)
    return read(problem, model, width, len(plan.servers))


def read(problem: Jqodi, model: Model, width: Width, epochs: int) -> Arrays:
    """A model at a width that is trained for so many epochs.

    Raises
    ------
    InputError
        Too many epochs and states, or numbers that are finite one by one and too large together.
    """
    servers, cuts = tuple(server.name for server in problem.servers), model.admissible_cuts
    if epochs * len(servers) * len(cuts) > MAX_ENTRIES:
        raise InputError("epochs", f"{epochs} epochs of {model.name}", f"epochs times states up to {MAX_ENTRIES}")
    expected = problem.epochs(model, width)[0]
    counted = epochs  # where K^exp is behind, or not known: what is planned is still to be paid for
    if expected is not None and expected > 0:
        counted = min(expected, epochs)
    with np.errstate(all="ignore"):  # what overflows is refused below
        work = _Work(problem, model, width)
        time, joules = _times(problem, work, epochs), _joules(problem, work)
        energy = np.tile(joules, (epochs, 1, 1))
        energy[counted:] = np.where(np.isfinite(joules), 0.0, joules)
        if problem.inference.requests > 0:
            energy[-1] += problem.inference.requests * _request(problem, model, width)
        time[0] += _arrival(problem, cuts, "time")
        energy[0] += _arrival(problem, cuts, "energy")
    energy[np.isinf(time)] = np.inf
    tables = []
    for what, table in (("time", time), ("energy", energy)):
        if not np.all(table[~np.isinf(time)] <= LARGEST / epochs):
            allowed = f"work, sizes, speeds and rates whose sums stay below {LARGEST:g}"
            raise InputError(f"the {what} of {model.name} at {width.bits} bits", "a number too large", allowed)
        tables.append(table.reshape(epochs, -1))
        tables[-1].flags.writeable = False
    start = problem.start
    begun = start is not None and (start.model, start.bits) == (model.name, width.bits)
    passed = 0.0 if start is None else start.elapsed
    return Arrays(
        model=model.name,
        bits=width.bits,
        servers=servers,
        cuts=cuts,
        epochs=epochs,
        counted=counted,
        time=tables[0],
        energy=tables[1],
        setup_time=passed if begun else width.quantize_time + passed,
        setup_energy=0.0 if begun else width.quantize_energy,
        switch_time=_change(problem, cuts, "time"),
        switch_energy=_change(problem, cuts, "energy"),
    )


class _Work:
    """What an epoch computes and sends (Eqs. 1-4): D^ed, D^es and G_j for each of J cuts, F_a and G."""

    def __init__(self, problem: Jqodi, model: Model, width: Width) -> None:
        device, macs, parameters = problem.decided, model.macs.tolist(), model.weights.tolist()
        images = problem.training_passes * device.training + device.validation
        self.on_device = np.array([images * width.work * math.fsum(macs[:j]) for j in model.admissible_cuts])
        self.on_server = np.array([images * width.work * math.fsum(macs[j:]) for j in model.admissible_cuts])
        self.on_cloud = images * math.fsum(macs) if model.cloud_work is None else model.cloud_work
        self.bits = math.fsum(parameters) * width.bits
        self.shallow_bits = np.array([math.fsum(parameters[:j]) * width.bits for j in model.admissible_cuts])
        self.exchanged = _exchanged(problem, model, width)
        for amount in (images * width.work * math.fsum(macs), self.on_cloud, self.bits, float(self.exchanged.max())):
            if not amount <= LARGEST:
                raise InputError(f"the work or size of {model.name}", "a number too large", f"sums below {LARGEST:g}")


def _times(problem: Jqodi, work: _Work, epochs: int) -> FloatArray:
    """(K, X, J) seconds of an epoch (Eqs. 5-10)."""
    device, cloud, now = problem.decided, problem.cloud, problem.conditions
    rates = {link.server: link.bits_per_second for link in device.links}
    when = range(problem.done, problem.done + epochs)
    linked = [server.name in rates and server.cloud_rate is not None for server in problem.servers]

    def here(server: Server) -> ServerConditions:
        return (None if now is None else now.servers.get(server.name)) or ServerConditions()

    def each(name: str, nominal: list[float]) -> FloatArray:
        """(K, X, 1) of a quantity of the servers."""
        columns = [_varying(x, getattr(here(s), name), when) for s, x in zip(problem.servers, nominal, strict=True)]
        return np.stack(columns, axis=1)[:, :, None]

    def alone(nominal: float, factors: Any) -> FloatArray:
        """(K, 1, 1) of a quantity that no server has."""
        return _varying(nominal, factors, when)[:, None, None]

    on_cloud = _seconds(work.on_cloud, alone(cloud.speed, now and now.cloud_speed))
    on_device = _seconds(work.on_device, alone(device.speed, now and now.device_speed))
    on_server = _seconds(work.on_server, each("speed", [server.speed for server in problem.servers]))
    # Where there is no link, any rate will do: the state is impossible.
    from_cloud = _seconds(work.bits, each("cloud_rate", [server.cloud_rate or 1.0 for server in problem.servers]))
    rate = each("device_rate", [rates.get(s.name, 1.0) for s in problem.servers])
    to_device = _seconds(work.shallow_bits, rate)
    available = each("available", [1.0] * len(problem.servers)) != 0
    time = ((on_cloud + on_device) + on_server) + 2.0 * (from_cloud + to_device)
    if problem.traffic is not None:
        time = time + _seconds(work.exchanged, rate)
    possible: FloatArray = np.where(available & np.array(linked)[:, None], time, np.inf)
    return possible


def _varying(nominal: float, factors: Any, when: range) -> FloatArray:
    """(K,) a nominal value, times the epoch's factor where there are any."""
    shares = np.ones(len(when)) if factors is None else np.asarray([factors[k] for k in when], dtype=np.float64)
    return nominal * shares


def _seconds(amount: FloatArray | float, rate: FloatArray) -> FloatArray:
    """None for nothing, no end at a rate of 0, NaN where a number is beyond all floats."""
    quotient = np.where(np.equal(amount, 0.0), 0.0, np.divide(amount, rate))
    overflow = np.isinf(rate) | (np.isinf(quotient) & (rate > 0.0))
    seconds: FloatArray = np.where(overflow, np.nan, quotient)
    return seconds


def _joules(problem: Jqodi, work: _Work) -> FloatArray:
    """(X, J) joules of an epoch; those of servers without a link are of no interest."""
    device, links = problem.decided, {link.server: link.energy for link in problem.decided.links}
    rows = []
    for server in problem.servers:
        computing = (
            work.on_device * device.energy + work.on_server * server.energy + work.on_cloud * problem.cloud.energy
        )
        sending = work.bits * server.cloud_energy + work.shallow_bits * links.get(server.name, 0.0)
        rows.append(computing + 2.0 * sending)
        if problem.traffic is not None:
            rows[-1] = rows[-1] + work.exchanged * links.get(server.name, 0.0)
    return np.stack(rows)


def _exchanged(problem: Jqodi, model: Model, width: Width) -> FloatArray:
    """(J,) bits of features and gradients in an epoch; 0 where they are not counted."""
    amounts = np.zeros(len(model.admissible_cuts))
    if problem.traffic is not None:
        device = problem.decided
        for at, j in enumerate(model.admissible_cuts):
            images = device.training + device.validation
            amounts[at] = images * _sent_up(model, width, j)
            if 0 < j < len(model) and model.activations is not None:
                amounts[at] += device.training * (float(model.activations[j - 1]) * problem.traffic.gradient_bits)
    return amounts


def _arrival(problem: Jqodi, cuts: Sequence[int], what: str) -> FloatArray:
    """(X, J) seconds or joules of changing from the state in which the run stands; 0 where it stands in none."""
    costs, start = np.zeros((len(problem.servers), len(cuts))), problem.start
    if start is None or start.server is None or start.cut is None:
        return costs
    names = [server.name for server in problem.servers]
    for kind, before, axis in (("server", names.index(start.server), range(len(names))), ("cut", start.cut, cuts)):
        table = getattr(problem.switching, f"{kind}_{what}")
        part = np.array(
            [(0.0 if at == before else table) if isinstance(table, float) else float(table[before, at]) for at in axis]
        )
        costs = costs + (part[:, None] if kind == "server" else part[None, :])
    return costs


def _request(problem: Jqodi, model: Model, width: Width) -> FloatArray:
    """(X, J) joules of one inference request: layers 1..j on the device, an activation up, the rest on the server."""
    device, macs = problem.decided, model.macs.tolist()
    links = {link.server: link.energy for link in device.links}
    joules = np.empty((len(problem.servers), len(model.admissible_cuts)))
    for at, j in enumerate(model.admissible_cuts):
        shallow, deep = width.work * math.fsum(macs[:j]), width.work * math.fsum(macs[j:])
        up = np.float64(_sent_up(model, width, j))
        for x, server in enumerate(problem.servers):
            computing = shallow * np.float64(device.energy) + deep * np.float64(server.energy)
            joules[x, at] = computing + up * links.get(server.name, 0.0)
    return joules


def _sent_up(model: Model, width: Width, cut: int) -> float:
    """Bits of a request at a cut; the problem has checked that they are known."""
    if cut == len(model):
        return 0.0
    if cut:
        assert model.activations is not None
        return float(model.activations[cut - 1]) * width.bits
    assert model.input_size is not None
    assert model.input_bits is not None
    return model.input_size * model.input_bits


def _change(problem: Jqodi, cuts: Sequence[int], what: str) -> Change | None:
    """Seconds or joules of changes; None where all are 0."""
    parts = []
    for kind, at in (("server", range(len(problem.servers))), ("cut", cuts)):
        cost = getattr(problem.switching, f"{kind}_{what}")
        if isinstance(cost, float):
            parts.append(np.where(np.eye(len(at), dtype=bool), 0.0, cost))
        else:
            parts.append(np.asarray(cost, dtype=np.float64)[np.ix_(at, at)])
    return Change(*parts) if any(np.any(part) for part in parts) else None

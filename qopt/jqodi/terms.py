"""Seconds and joules of every epoch and state: the numbers that methods and models share (Eqs. 1-10).

They are computed once and are exact data from then on. Certificates read the equations on their own, rounded alike
(`qopt.jqodi.certificate.arrays` states the rule), and come to the same floats.

For one model and bit-width, a *state* is a pair of server x and cut j. In epoch k it takes

    t = D_j^ed / v_d + D_j^es / v_x + F_a / v_c + 2 (G / v_cx + G_j / v_xd)
    e = D_j^ed e_d + D_j^es e_x + F_a e_c + 2 (G e_cx + G_j e_xd)

D is work in MACs an epoch, G are parameters times bits. Work or bits of 0 take no time, whatever the speed. With
`Traffic` t has H_j / v_xd more and e has H_j e_xd more, H_j the bits of features and gradients. Where a run has begun
(`Start`), the change from its last state is part of the first epoch's numbers, and the elapsed time of quantizing's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qopt.core.arguments import whole
from qopt.core.arrays import AnyArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.limits import within
from qopt.jqodi.losses import MAX_EPOCHS
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import LARGEST, Jqodi, Model, Width

State = tuple[str, int]

MAX_ENTRIES = 50_000_000
"""Epochs times states of one candidate, at most."""


@dataclass(frozen=True, eq=False, repr=False)
class Candidate(Brief):
    """One model at one bit-width, with its S states over K epochs.

    Attributes
    ----------
    model, bits : which.
    states : (S,) pairs of server and cut: servers in their order, each with its cuts in order.
    epochs : K, the epochs that must fit T_max.
    counted : epochs whose energy counts, at least one: the first K^exp, all where K^exp has passed (`Jqodi.counted`).
    time : (K, S) seconds; infinite where a state is impossible.
    energy : (K, S) joules that count: 0 from `counted` on, inference requests in the last epoch; infinite where the
        time is. The first epoch's have the change from the state that the run is in.
    setup_time, setup_energy : seconds and joules of quantizing, once, if it is to be done; the time that has passed.
    switch_time, switch_energy : (S, S) seconds and joules of changing from row to column before an epoch; None where
        all are 0. Before an epoch from `counted` on, the energy does not count (`arcs`).
    done : epochs of the run before these.
    """

    model: str
    bits: int
    states: tuple[State, ...]
    epochs: int
    counted: int
    time: FloatArray
    energy: FloatArray
    setup_time: float
    setup_energy: float
    switch_time: FloatArray | None
    switch_energy: FloatArray | None
    done: int = 0

    @cached_property
    def index(self) -> dict[State, int]:
        """Position of each state."""
        return {state: s for s, state in enumerate(self.states)}

    @property
    def key(self) -> str:
        """``MODEL/BITS``, as witnesses name it."""
        return f"{self.model}/{self.bits}"


def _each(amount: FloatArray, rate: FloatArray) -> FloatArray:
    """amount / rate, where nothing takes no time and a rate of 0 takes forever; NaN where numbers overflow."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        quotient = np.where(amount == 0, 0.0, amount / rate)
        return np.where((np.isinf(quotient) & (rate > 0)) | np.isinf(rate), np.nan, quotient)


def _varying(nominal: float, column: Any, when: slice) -> FloatArray:
    """(epochs,) a speed or rate: its nominal value times the factors, where there are any."""
    with np.errstate(over="ignore"):
        if column is None:
            return np.full(when.stop - when.start, nominal)
        return nominal * np.asarray(column[when], dtype=np.float64)


def epoch_work(problem: Jqodi, model: Model, width: Width) -> tuple[FloatArray, float]:
    """MACs of an epoch: of layers 1..j for j = 0..n (at the width's `work`), and the cloud's F_a."""
    image = np.array([math.fsum(model.macs[:j].tolist()) for j in range(len(model) + 1)])
    cloud = problem.images * float(image[-1]) if model.cloud_work is None else model.cloud_work
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused where it is used
        return problem.images * width.work * image, cloud


def candidate_at(
    problem: Jqodi, model: str, bits: int, *, epochs: int | None = None, all_count: bool = False
) -> Candidate:
    """Seconds and joules of a model at a width.

    Parameters
    ----------
    model : name of a model.
    bits : one of its widths.
    epochs : train so many; default K, and needed where the loss is never reached.
    all_count : whether the energy of every epoch counts; default of the first K^exp.

    Raises
    ------
    InputError
        No such model or width, no number of epochs, conditions that end before them, or numbers that are finite one by
        one and too large together.
    """
    pair = next(((m, w) for m in problem.models for w in m.widths if m.name == model and w.bits == bits), None)
    if pair is None:
        known = ", ".join(f"{m.name} at {w.bits}" for m in problem.models for w in m.widths)
        raise InputError("model", f"{shown(model)} at {bits!r} bits", known)
    chosen, width = pair
    needed = problem.needed(chosen, width) if epochs is None else whole("epochs", epochs, 1, MAX_EPOCHS)
    if needed is None:
        raise InputError("epochs", "nothing", f"a number, since {model} at {bits} bits never reaches its loss")
    horizon = problem.horizon
    if horizon is not None and needed > horizon:
        raise InputError("conditions", f"{horizon} epochs", f"at least {needed}, the epochs of {model} at {bits} bits")
    if needed * len(problem.servers) * len(chosen.admissible_cuts) > MAX_ENTRIES:
        raise InputError("epochs", f"{needed} epochs of {model}", f"epochs times states up to {MAX_ENTRIES}")
    counted = needed if all_count else problem.counted(chosen, width, needed)
    states = tuple((server.name, j) for server in problem.servers for j in chosen.admissible_cuts)
    time, energy = _tables(problem, chosen, width, needed)
    energy[counted:][np.isfinite(energy[counted:])] = 0.0
    if problem.inference.requests > 0:
        with np.errstate(over="ignore"):  # what overflows is refused below
            energy[-1] += problem.inference.requests * _request_energy(problem, chosen, width)
    switch = problem.switching
    of_time, of_energy = (switch.server_time, switch.cut_time), (switch.server_energy, switch.cut_energy)
    time[0] += _arrival(problem, chosen, *of_time)
    energy[0] += _arrival(problem, chosen, *of_energy)
    energy[np.isinf(time)] = np.inf
    for what, table in (("time", time), ("energy", energy)):
        if not np.all(table[~np.isinf(time)] <= LARGEST / needed):
            allowed = f"work, sizes, speeds and rates whose sums stay below {LARGEST:g}"
            raise InputError(f"the {what} of {model} at {bits} bits", "a number too large", allowed)
        table.flags.writeable = False
    setup_energy, setup_time = setup(problem, chosen, width)
    return Candidate(
        model=model,
        bits=bits,
        states=states,
        epochs=needed,
        counted=counted,
        time=time,
        energy=energy,
        setup_time=setup_time,
        setup_energy=setup_energy,
        switch_time=_switch(problem, chosen, *of_time),
        switch_energy=_switch(problem, chosen, *of_energy),
        done=problem.done,
    )


def setup(problem: Jqodi, model: Model, width: Width) -> tuple[float, float]:
    """Joules and seconds before the first epoch: of quantizing, unless it is done, and the seconds that have passed."""
    passed = 0.0 if problem.start is None else problem.start.elapsed
    if problem.under_way(model, width):
        return 0.0, passed
    return width.quantize_energy, width.quantize_time + passed


def candidates(problem: Jqodi) -> tuple[Candidate, ...]:
    """Every admissible model and width that reaches its loss, in the order of the problem."""
    return tuple(
        candidate_at(problem, model.name, width.bits)
        for model, width in problem.admissible
        if problem.needed(model, width) is not None
    )


def _tables(problem: Jqodi, model: Model, width: Width, epochs: int) -> tuple[FloatArray, FloatArray]:
    """(K, S) seconds and joules of an epoch, servers and then cuts along S."""
    cuts = np.array(model.admissible_cuts)
    parts, cloud_work = epoch_work(problem, model, width)
    on_device = parts[cuts]
    _refuse_overflow(model, [*parts.tolist(), cloud_work, math.fsum(model.weights.tolist()) * width.bits])
    # The server's share is summed from its own layers: the difference of two sums would round.
    on_server = problem.images * width.work * np.array([math.fsum(model.macs[j:].tolist()) for j in cuts])
    sizes = np.array([math.fsum(model.weights[:j].tolist()) for j in cuts]) * width.bits
    whole = np.array(math.fsum(model.weights.tolist()) * width.bits)
    cloud, device, conditions = problem.cloud, problem.decided, problem.conditions
    links = {link.server: link for link in device.links}
    when, sent_up = slice(problem.done, problem.done + epochs), _traffic(problem, model, width)
    cloud_speed = _varying(cloud.speed, conditions and conditions.cloud_speed, when)
    device_speed = _varying(device.speed, conditions and conditions.device_speed, when)
    of_all = _each(np.array(cloud_work), cloud_speed)[:, None] + _each(on_device, device_speed[:, None])
    times, energies = [], []
    for server in problem.servers:
        link = links.get(server.name)
        if link is None or server.cloud_rate is None:
            times.append(np.full((epochs, len(cuts)), np.inf))
            energies.append(np.full((epochs, len(cuts)), np.inf))
            continue
        factors = None if conditions is None else conditions.servers.get(server.name)
        speed = _varying(server.speed, factors and factors.speed, when)
        to_cloud = _varying(server.cloud_rate, factors and factors.cloud_rate, when)
        to_device = _varying(link.bits_per_second, factors and factors.device_rate, when)
        sent = 2.0 * (_each(whole, to_cloud)[:, None] + _each(sizes, to_device[:, None]))
        time = of_all + _each(on_server, speed[:, None]) + sent
        if sent_up is not None:
            time = time + _each(sent_up, to_device[:, None])
        time[_varying(1.0, factors and factors.available, when) == 0] = np.inf
        with np.errstate(over="ignore"):
            joules = (
                on_device * device.energy
                + on_server * server.energy
                + cloud_work * cloud.energy
                + 2.0 * (whole * server.cloud_energy + sizes * link.energy)
            )
            if sent_up is not None:
                joules = joules + sent_up * link.energy
        times.append(time)
        energies.append(np.tile(joules, (epochs, 1)))
    return np.concatenate(times, axis=1), np.concatenate(energies, axis=1)


def _traffic(problem: Jqodi, model: Model, width: Width) -> FloatArray | None:
    """(J,) bits of features and gradients in an epoch at each cut; None where they are not counted."""
    if problem.traffic is None:
        return None
    device, bits = problem.decided, []
    for j in model.admissible_cuts:
        up = request_bits(model, width, j)
        assert up is not None  # the problem has checked that it is known
        back = 0.0
        if 0 < j < len(model):
            assert model.activations is not None
            back = float(model.activations[j - 1]) * problem.traffic.gradient_bits
        bits.append((device.training + device.validation) * up + device.training * back)
    _refuse_overflow(model, bits)
    return np.array(bits)


def _refuse_overflow(model: Model, amounts: list[float]) -> None:
    if not np.all(np.array(amounts) <= LARGEST):
        raise InputError(f"the work or size of {model.name}", "a number too large", f"sums below {LARGEST:g}")


def _request_energy(problem: Jqodi, model: Model, width: Width) -> FloatArray:
    """(S,) joules of one inference request in each state; infinite without a link."""
    links = {link.server: link for link in problem.decided.links}
    rows = []
    for server in problem.servers:
        for j in model.admissible_cuts:
            link, bits = links.get(server.name), request_bits(model, width, j)
            if link is None or bits is None:
                rows.append(math.inf)
                continue
            device = width.work * math.fsum(model.macs[:j].tolist()) * problem.decided.energy
            rows.append(device + width.work * math.fsum(model.macs[j:].tolist()) * server.energy + bits * link.energy)
    return np.array(rows)


def request_bits(model: Model, width: Width, cut: int) -> float | None:
    """Bits that a request sends up at a cut: the input's, an activation's at the model's width, none after the last.

    Parameters
    ----------
    cut : j.
    """
    if cut == len(model):
        return 0.0
    if cut:
        return None if model.activations is None else float(model.activations[cut - 1]) * width.bits
    if model.input_size is None or model.input_bits is None:
        return None
    return model.input_size * model.input_bits


def _switch(problem: Jqodi, model: Model, of_server: float | AnyArray, of_cut: float | AnyArray) -> FloatArray | None:
    """(S, S) cost of a change: the server's part plus the cut's; None where all are 0."""
    cuts = np.array(model.admissible_cuts)
    x = np.repeat(np.arange(len(problem.servers)), len(cuts))
    j = np.tile(cuts, len(problem.servers))

    def part(of_part: float | AnyArray, at: IntArray) -> FloatArray:
        if isinstance(of_part, float):
            return np.where(at[:, None] == at[None, :], 0.0, of_part)
        rows: FloatArray = of_part[at[:, None], at[None, :]]
        return rows

    cost = part(of_server, x) + part(of_cut, j)
    cost.flags.writeable = False
    return cost if np.any(cost) else None


def _arrival(problem: Jqodi, model: Model, of_server: float | AnyArray, of_cut: float | AnyArray) -> FloatArray:
    """(S,) cost of changing from the state that the run is in; 0 where it is in none."""
    cuts, start = np.array(model.admissible_cuts), problem.start
    if start is None or start.server is None or start.cut is None:
        return np.zeros(len(problem.servers) * len(cuts))

    def part(of_part: float | AnyArray, before: int, at: IntArray) -> FloatArray:
        row: FloatArray = np.where(at == before, 0.0, of_part) if isinstance(of_part, float) else of_part[before, at]
        return row

    x = np.repeat(np.arange(len(problem.servers)), len(cuts))
    j = np.tile(cuts, len(problem.servers))
    return part(of_server, problem.server_names.index(start.server), x) + part(of_cut, start.cut, j)


def arcs(candidate: Candidate) -> tuple[FloatArray | None, FloatArray | None]:
    """Energy and time of changing, as a layered graph takes them: (S, S), or (K-1, S, S); None for zero.

    Energies before an epoch from `counted` on are 0, and only then they differ by epoch.
    """
    energy = candidate.switch_energy
    if energy is not None and candidate.counted < candidate.epochs:
        shape = (candidate.epochs - 1, *energy.shape)
        counts = (np.arange(1, candidate.epochs) < candidate.counted)[:, None, None]
        energy = np.where(counts, np.broadcast_to(energy, shape), 0.0)
    return energy, candidate.switch_time


def terms_of(candidate: Candidate, states: Sequence[int] | IntArray) -> tuple[list[float], list[float]]:
    """The numbers that the energy and the time of a plan are sums of, quantizing first.

    Parameters
    ----------
    states : (K,) index of the state in each epoch.
    """
    at = np.asarray(states, dtype=np.int64)
    rows = np.arange(candidate.epochs)
    energy = [candidate.setup_energy, *candidate.energy[rows, at].tolist()]
    time = [candidate.setup_time, *candidate.time[rows, at].tolist()]
    if candidate.switch_energy is not None:
        energy += candidate.switch_energy[at[:-1], at[1:]][: max(candidate.counted - 1, 0)].tolist()
    if candidate.switch_time is not None:
        time += candidate.switch_time[at[:-1], at[1:]].tolist()
    return energy, time


def totals(candidate: Candidate, states: Sequence[int] | IntArray) -> tuple[float, float]:
    """Energy and time of a plan, exactly rounded; infinite where a state is impossible.

    Parameters
    ----------
    states : (K,) index of the state in each epoch.
    """
    energy, time = terms_of(candidate, states)
    return math.fsum(energy), math.fsum(time)


def loosest_limit(some: Sequence[Candidate]) -> float:
    """A T_max [s] that every plan of some candidates keeps: twice what the slowest takes at most, up to `LARGEST`.

    Parameters
    ----------
    some : candidates, one for each model and width.
    """
    most = 1.0
    for candidate in some:
        longest = np.where(np.isfinite(candidate.time), candidate.time, 0.0).max(axis=1)
        change = 0.0 if candidate.switch_time is None else candidate.epochs * float(candidate.switch_time.max())
        most = max(most, candidate.setup_time + float(longest.sum()) + change)
    return min(2.0 * most, LARGEST)


def keeps_limit(problem: Jqodi, candidate: Candidate, states: Sequence[int] | IntArray) -> bool:
    """Whether a plan is possible in every epoch and within T_max, in the exact test.

    Parameters
    ----------
    states : (K,) index of the state in each epoch.
    """
    return within(terms_of(candidate, states)[1], problem.time_limit)


def states_of(candidate: Candidate, plan: JqodiPlan) -> IntArray:
    """(K,) index of the state in each epoch of a plan for this candidate."""
    pairs = zip(plan.servers, plan.cuts, strict=True)
    return np.array([candidate.index[pair] for pair in pairs], dtype=np.int64)


def plan_of(problem: Jqodi, candidate: Candidate, states: Sequence[int] | IntArray) -> JqodiPlan:
    """The plan of a state in each epoch.

    Parameters
    ----------
    states : (K,) index of the state in each epoch.
    """
    chosen = [candidate.states[int(s)] for s in states]
    return JqodiPlan(
        problem=problem.name,
        model=candidate.model,
        bits=candidate.bits,
        servers=tuple(server for server, _ in chosen),
        cuts=tuple(cut for _, cut in chosen),
    )


def candidate_of(problem: Jqodi, plan: JqodiPlan) -> Candidate:
    """The candidate that a plan belongs to, over as many epochs as the plan has."""
    return candidate_at(problem, plan.model, plan.bits, epochs=len(plan.servers))

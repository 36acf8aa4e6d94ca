"""What a plan costs: seconds and joules by node, by link and by epoch, straight from Eqs. 1-10.

An account for people and for the certificate. It follows a plan through its epochs and does not use the tables that
methods optimize over (`qopt.jqodi.terms`); both must come to the same sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from qopt.core.display import Brief, listed, number
from qopt.core.reading import problem_of
from qopt.jqodi.losses import losses
from qopt.jqodi.parts import Link, Server
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi, Model, Width

NODES = ("device", "edge", "cloud", "device link", "cloud link")
"""Where time and energy go: three nodes that compute, and the edge server's links with device and cloud."""


@dataclass(frozen=True, repr=False)
class EpochCost(Brief):
    """One epoch.

    Attributes
    ----------
    epoch : its number in the run: 1..K, or on from the epochs that are done.
    server, cut : the state.
    times, energies : seconds and joules of each of `NODES`; a time is None where it would not end.
    switch_time, switch_energy : seconds and joules of the change before it.
    time, energy : seconds and joules of all that; None where the state is impossible.
    counted : whether its energy is part of the objective.
    """

    epoch: int
    server: str
    cut: int
    times: tuple[float | None, ...]
    energies: tuple[float, ...]
    switch_time: float
    switch_energy: float
    time: float | None
    energy: float | None
    counted: bool


@dataclass(frozen=True)
class InferenceCost:
    """One inference request with the last epoch's server and cut, at nominal speeds, and all of them.

    Attributes
    ----------
    time, energy : seconds and joules of one request: layers 1..j on the device, `bits` up, the rest on the server.
    bits : that one request sends up.
    requests : how many are part of the objective.
    total_time, total_energy : seconds and joules of all; the time is not part of T_max.
    """

    time: float
    energy: float
    bits: float
    requests: float
    total_time: float
    total_energy: float


@dataclass(frozen=True, repr=False)
class JqodiCost(Brief):
    """A plan's time and energy, and the objective.

    Attributes
    ----------
    model, bits : what is trained, and at which width.
    objective : joules of fine-tuning that count, and of inference requests; None where an epoch is impossible.
    energy, time : joules of fine-tuning that count, and seconds of all epochs, quantizing included; of a run that has
        begun, the joules still to be spent, and all seconds since it began.
    setup_time, setup_energy, switch_time, switch_energy : seconds and joules of quantizing, and of all changes.
    elapsed, spent : seconds and joules before the first epoch that is decided; 0 where nothing has begun.
    node_times, node_energies : sums over the epochs (energies over those that count) for each of `NODES`; None where
        an epoch is impossible there.
    epochs : each of them.
    inference : None where the problem does not say what a request sends, or the numbers are too large.
    expected_losses, robust_losses : (1 + epochs,) after 0, 1, ... epochs; empty where only K is known.
    expected_epochs, robust_epochs : K by both estimates from now on; 0 where it has passed, None for never.
    in_time : probability, 0 to 1, that the loss is reached after at most these epochs, where chances of K are given:
        within T_max [s] if the plan keeps it. Else None.
    """

    equations: ClassVar[str] = "recomputed from Eqs. 1-10"

    model: str
    bits: int
    objective: float | None
    energy: float | None
    time: float | None
    setup_time: float
    setup_energy: float
    switch_time: float
    switch_energy: float
    node_times: dict[str, float | None]
    node_energies: dict[str, float]
    epochs: tuple[EpochCost, ...]
    inference: InferenceCost | None
    expected_losses: tuple[float, ...]
    robust_losses: tuple[float, ...]
    expected_epochs: int | None
    robust_epochs: int | None
    elapsed: float = 0.0
    spent: float = 0.0
    in_time: float | None = None

    def __str__(self) -> str:
        rows = [
            f"energy {number(self.energy)} J, time {number(self.time)} s, {len(self.epochs)} epochs",
            f"quantizing {number(self.setup_energy)} J, {number(self.setup_time)} s",
            f"changes {number(self.switch_energy)} J, {number(self.switch_time)} s",
        ]
        if self.elapsed or self.spent:
            rows.append(f"before {number(self.spent)} J, {number(self.elapsed)} s")
        if self.inference is not None:
            rows.append(f"requests {number(self.inference.total_energy)} J, {number(self.inference.total_time)} s")
        return listed(f"{self.model} at {self.bits} bits: objective {number(self.objective)} J", rows)

    @property
    def impossible(self) -> tuple[int, ...]:
        """Epochs, from 1 on, whose server and cut are impossible."""
        return tuple(row.epoch for row in self.epochs if row.time is None)

    def to_dict(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


def breakdown(problem: Jqodi, plan: JqodiPlan) -> JqodiCost:
    """Cost of a plan, term by term. The plan's shape must fit the problem (`checked_plan`)."""
    model = problem_of(Jqodi, problem).model(plan.model)
    width = model.width(plan.bits)
    expected, robust = problem.epochs(model, width)
    begun, start = problem.under_way(model, width), problem.start
    elapsed = 0.0 if start is None else start.elapsed
    quantizing = (0.0, 0.0) if begun else (width.quantize_time, width.quantize_energy)
    epochs = len(plan.servers)
    counted = problem.counted(model, width, epochs)
    rows: list[EpochCost] = []
    for k, (name, cut) in enumerate(zip(plan.servers, plan.cuts, strict=True)):
        previous = (plan.servers[k - 1], plan.cuts[k - 1]) if k else _before(problem, (name, cut))
        rows.append(_epoch(problem, model, width, k, (name, cut), previous, k < counted))
    time = _sum_or_none([elapsed, quantizing[0], *(row.time for row in rows)])
    # From the single terms, not from sums of epochs: one rounding instead of many.
    joules = [x for row in rows if row.counted for x in (*row.energies, row.switch_energy)]
    energy = None if time is None else math.fsum([quantizing[1], *joules])
    inference = _inference(problem, model, width, plan)
    served = problem.inference.requests
    objective = energy
    if energy is not None and served > 0:
        objective = None if inference is None else math.fsum([quantizing[1], *joules, inference.total_energy])
    return JqodiCost(
        model=plan.model,
        bits=plan.bits,
        objective=objective,
        energy=energy,
        time=time,
        setup_time=quantizing[0],
        setup_energy=quantizing[1],
        switch_time=math.fsum(row.switch_time for row in rows),
        switch_energy=math.fsum(row.switch_energy for row in rows if row.counted),
        node_times={node: _sum_or_none(row.times[i] for row in rows) for i, node in enumerate(NODES)},
        node_energies={node: math.fsum(row.energies[i] for row in rows if row.counted) for i, node in enumerate(NODES)},
        epochs=tuple(rows),
        inference=inference,
        expected_losses=_losses(problem, model, width, "expected", epochs),
        robust_losses=_losses(problem, model, width, "robust", epochs),
        expected_epochs=expected,
        robust_epochs=robust,
        elapsed=elapsed,
        spent=0.0 if start is None else start.energy,
        in_time=_in_time(problem, model, width, epochs),
    )


def _before(problem: Jqodi, state: tuple[str, int]) -> tuple[str, int]:
    """The state in which the run stands; the first epoch's own where it stands in none."""
    start = problem.start
    return state if start is None or start.server is None or start.cut is None else (start.server, start.cut)


def _in_time(problem: Jqodi, model: Model, width: Width, epochs: int) -> float | None:
    """Chance that so many epochs more are enough, where chances are given."""
    if width.epochs is None or width.epochs.chances is None:
        return None
    done = problem.behind(model, width)
    return width.epochs.chance(done + epochs, done)


def _sum_or_none(values: Iterable[float | None]) -> float | None:
    """Their sum; None where one is."""
    given = list(values)
    numbers = [x for x in given if x is not None]
    return math.fsum(numbers) if len(numbers) == len(given) else None


def _duration(amount: float, rate: float) -> float | None:
    """Seconds for an amount at a rate: none for nothing, and no end at a rate of 0."""
    if amount == 0:
        return 0.0
    return amount / rate if rate > 0 else None


def _factor(column: Any, k: int) -> float:
    return 1.0 if column is None else float(column[k])


def _exchanged(problem: Jqodi, model: Model, width: Width, cut: int) -> float:
    """Bits of features up and of gradients down in an epoch, where they are counted."""
    if problem.traffic is None:
        return 0.0
    device, gradients = problem.decided, 0.0
    if 0 < cut < len(model) and model.activations is not None:
        gradients = float(model.activations[cut - 1]) * problem.traffic.gradient_bits
    features = _sent_up(model, width, cut) or 0.0
    return (device.training + device.validation) * features + device.training * gradients


def _link(problem: Jqodi, server: str) -> Link | None:
    return next((link for link in problem.decided.links if link.server == server), None)


def _server(problem: Jqodi, name: str) -> Server:
    return next(server for server in problem.servers if server.name == name)


def _epoch(
    problem: Jqodi,
    model: Model,
    width: Width,
    k: int,
    state: tuple[str, int],
    previous: tuple[str, int],
    counted: bool,
) -> EpochCost:
    """Eqs. 1-10 for epoch k (from 0) of those decided in a state, after the change from the one before."""
    now_at = problem.done + k
    name, cut = state
    server, device, cloud, link = _server(problem, name), problem.decided, problem.cloud, _link(problem, name)
    shallow, deep = model.macs[:cut].tolist(), model.macs[cut:].tolist()
    images = problem.training_passes * device.training + device.validation
    on_device = images * width.work * math.fsum(shallow)  # Eq. 3
    on_server = images * width.work * math.fsum(deep)  # Eq. 4
    on_cloud = images * math.fsum([*shallow, *deep]) if model.cloud_work is None else model.cloud_work
    whole = math.fsum(model.weights.tolist()) * width.bits  # Eq. 1
    sent = math.fsum(model.weights[:cut].tolist()) * width.bits  # Eq. 2
    exchanged = _exchanged(problem, model, width, cut)

    now = problem.conditions
    here = None if now is None else now.servers.get(name)
    available = here is None or here.available is None or here.available[now_at]
    there = link is not None and server.cloud_rate is not None and available
    device_rate = 0.0 if link is None else link.bits_per_second * _factor(here and here.device_rate, now_at)
    cloud_rate = 0.0 if server.cloud_rate is None else server.cloud_rate * _factor(here and here.cloud_rate, now_at)
    times = (
        _duration(on_device, device.speed * _factor(now and now.device_speed, now_at)),
        _duration(on_server, server.speed * _factor(here and here.speed, now_at)) if available else None,
        _duration(on_cloud, cloud.speed * _factor(now and now.cloud_speed, now_at)),
        _duration(2 * sent + exchanged, device_rate),  # down and up: Eq. 9
        _duration(2 * whole, cloud_rate),
    )
    energies = (
        on_device * device.energy,
        on_server * server.energy,
        on_cloud * cloud.energy,
        (2 * sent + exchanged) * (0.0 if link is None else link.energy),
        2 * whole * server.cloud_energy,
    )
    switch_time = _change(problem, previous, state, "time")
    switch_energy = _change(problem, previous, state, "energy")
    time = _sum_or_none([*times, switch_time]) if there else None
    return EpochCost(
        epoch=now_at + 1,
        server=name,
        cut=cut,
        times=times,
        energies=energies,
        switch_time=switch_time,
        switch_energy=switch_energy,
        time=time,
        energy=None if time is None else math.fsum([*energies, switch_energy]),
        counted=counted,
    )


def _change(problem: Jqodi, old: tuple[str, int], new: tuple[str, int], what: str) -> float:
    """What changing the state costs: the server's part and the cut's."""
    names = problem.server_names
    parts = []
    for kind, i, j in (("server", names.index(old[0]), names.index(new[0])), ("cut", old[1], new[1])):
        cost = getattr(problem.switching, f"{kind}_{what}")
        if i != j:
            parts.append(cost if isinstance(cost, float) else float(cost[i, j]))
    return math.fsum(parts)


def _inference(problem: Jqodi, model: Model, width: Width, plan: JqodiPlan) -> InferenceCost | None:
    """A request in the last epoch's state; None where what it sends is not known, or there is no link."""
    name, cut = plan.servers[-1], plan.cuts[-1]
    server, device, link = _server(problem, name), problem.decided, _link(problem, name)
    if link is None:
        return None
    bits = _sent_up(model, width, cut)
    if bits is None:
        return None
    on_device = width.work * math.fsum(model.macs[:cut].tolist())
    on_server = width.work * math.fsum(model.macs[cut:].tolist())
    time = math.fsum([on_device / device.speed, bits / link.bits_per_second, on_server / server.speed])
    energy = math.fsum([on_device * device.energy, bits * link.energy, on_server * server.energy])
    requests = problem.inference.requests
    cost = InferenceCost(time, energy, bits, requests, requests * time, requests * energy)
    return cost if all(math.isfinite(x) for x in asdict(cost).values()) else None


def _sent_up(model: Model, width: Width, cut: int) -> float | None:
    """Bits that an image sends up at a cut; None where they are not known."""
    if cut == len(model):
        return 0.0
    if cut > 0:
        return None if model.activations is None else float(model.activations[cut - 1]) * width.bits
    if model.input_size is None or model.input_bits is None:
        return None
    return model.input_size * model.input_bits


def _losses(problem: Jqodi, model: Model, width: Width, estimate: str, epochs: int) -> tuple[float, ...]:
    """Losses after 0, 1, ... epochs; empty where only K is known."""
    parts = problem.loss_parts(model, width, estimate)
    return () if parts is None else tuple(float(loss) for loss in losses(*parts, epochs))

"""Plans of a QPART request one by one, costed from the text of the equations: a reading of its own, for tests.

Nothing of the package's costs, terms or subproblems is used; widths, menus, ties and rows are taken from the request.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

from qopt.qpart.problem import QPart


class Enumerated(NamedTuple):
    """A plan: cut, widths of layers 1..p, widths of what goes up by tensor, and what it costs."""

    cut: int
    weights: tuple[int, ...]
    outputs: dict[int, int]
    objective: float
    used: dict[str, float]


def menu(problem: QPart, kind: str, layer: int) -> set[int]:
    """Widths of the weights or of the output of a layer, or of the raw input (layer 0)."""
    bits = problem.bits
    usual = range(bits.lo, bits.hi + 1) if bits.menu is None else bits.menu.tolist()
    if layer == 0:
        own = bits.input
    else:
        menus = getattr(bits, kind)
        own = None if menus is None else menus[layer - 1]
    return set(usual if own is None else own.tolist())


def noise(problem: QPart, kind: str, layer: int, b: int) -> float:
    """Noise of a tensor over its robustness."""
    model, accuracy, row = problem.noise, problem.accuracy, problem.level_row
    if layer == 0:
        rho = 1.0 if accuracy.rho_input is None else accuracy.rho_input[row]
        s = model.s_input
        table = None if model.table is None else model.table.input
    else:
        robustness = getattr(accuracy, f"rho_{kind}")
        rho = 1.0 if robustness is None else robustness[row, layer - 1]
        column = getattr(model, f"s_{kind}")
        s = None if column is None else column[layer - 1]
        table = None if model.table is None else getattr(model.table, kind)[layer - 1]
    if model.model == "table":
        assert model.table is not None
        assert table is not None
        return float(table[b - int(model.table.bits[0])] / rho)
    assert s is not None
    return float(s / rho * (4.0**-b if model.model == "law" else (2.0**b - 1.0) ** -2))


def cost(problem: QPart, cut: int, weights: tuple[int, ...], outputs: dict[int, int]) -> tuple[float, dict[str, float]]:
    """Objective of a plan, and what it uses of every limit."""
    net, d, s, ch, w = problem.network, problem.device, problem.server, problem.channel, problem.objective
    tables, n = problem.tables, len(problem.network)
    down = 0.0
    shared = {layer for tie in net.ties if tie.shared for layer in tie.layers.tolist()[1:]}
    for layer, b in enumerate(weights, 1):
        if layer not in shared:
            down += b * net.weights[layer - 1] + (0.0 if net.overhead is None else net.overhead[layer - 1])
    up = 0.0
    for i in range(cut + 1):
        last = i + 1 if net.last_reader is None else net.last_reader[i]
        if last <= cut or (i == n and not problem.send_output):
            continue
        if i == 0:
            up += net.input_size * (outputs[0] if problem.quantize_input else net.input_bits)
        else:
            beside = 0.0 if net.overhead_activations is None else net.overhead_activations[i - 1]
            up += outputs[i] * net.activations[i - 1] + beside
    seconds = joules = server = server_joules = 0.0
    for layer in range(1, n + 1):
        macs = float(net.macs[layer - 1])
        if layer <= cut:
            at = None if tables is None or tables.bits is None else tables.bits.tolist().index(weights[layer - 1])
            time, energy = (
                macs * d.cycles_per_mac / d.clock,
                macs * d.cycles_per_mac * d.energy_coefficient * d.clock**2,
            )
            if tables is not None and tables.device_time is not None:
                time = tables.device_time[layer - 1, at]
            if tables is not None and tables.device_energy is not None:
                energy = tables.device_energy[layer - 1, at]
            seconds, joules = seconds + time, joules + energy
        else:
            time, energy = (
                macs * s.cycles_per_mac / s.clock,
                macs * s.cycles_per_mac * s.energy_coefficient * s.clock**2,
            )
            if tables is not None and tables.server_time is not None:
                time = tables.server_time[layer - 1]
            if tables is not None and tables.server_energy is not None:
                energy = tables.server_energy[layer - 1]
            server, server_joules = server + time, server_joules + energy
    down_time, up_time = down / ch.downlink / problem.inferences, up / ch.uplink
    time = seconds + server + down_time + up_time
    energy = joules + ch.transmit_power * (up_time + (down_time if ch.charge_download else 0.0))
    if s.charge_energy:
        energy += server_joules
    used = {"time": time, "energy": energy, "price": s.price * server, "payload": down + up, "memory": down}
    return w.time * time + w.energy * energy + w.price * used["price"], used


def plans(problem: QPart) -> Iterator[Enumerated]:
    """Every plan with widths on the menus and ties kept, whatever limits it breaks; `used` has its noise too."""
    net, n = problem.network, len(problem.network)
    group = {layer: layer for layer in range(1, n + 1)}
    for tie in net.ties:
        group.update(dict.fromkeys(tie.layers.tolist(), int(tie.layers[0])))
    for cut in range(n + 1) if problem.cuts is None else problem.cuts.tolist():
        last = list(range(1, n + 2)) if net.last_reader is None else net.last_reader.tolist()
        crossing = [i for i in range(cut + 1) if last[i] > cut and (i < n or problem.send_output)]
        crossing = [i for i in crossing if i or problem.quantize_input]
        tensors = [("weights", layer) for layer in range(1, cut + 1)] + [("activations", i) for i in crossing]
        for widths in itertools.product(*(sorted(menu(problem, *tensor)) for tensor in tensors)):
            weights, outputs = widths[:cut], dict(zip(crossing, widths[cut:], strict=True))
            if any(weights[layer - 1] != weights[group[layer] - 1] for layer in range(1, cut + 1)):
                continue
            if problem.tie_cut and cut in outputs and cut and outputs[cut] != weights[cut - 1]:
                continue
            objective, used = cost(problem, cut, weights, outputs)
            terms = [noise(problem, kind, i, b) for (kind, i), b in zip(tensors, widths, strict=True)]
            used["noise"] = math.fsum(terms) if cut or problem.quantize_input else 0.0
            yield Enumerated(cut, weights, outputs, objective, used)


def limits(problem: QPart, cut: int) -> dict[str, float]:
    """What a plan at a cut may use."""
    found = {"memory": math.inf if problem.device.memory is None else problem.device.memory}
    if problem.limits is not None:
        for name in ("time", "energy", "price", "payload"):
            value = getattr(problem.limits, name)
            found[name] = math.inf if value is None else value
    if cut:
        found["noise"] = float(problem.accuracy.delta[problem.level_row, cut - 1])
    elif problem.quantize_input:
        assert problem.accuracy.delta_input is not None
        found["noise"] = float(problem.accuracy.delta_input[problem.level_row])
    return found


def best(problem: QPart, all_plans: list[Enumerated] | None = None) -> Enumerated | None:
    """The cheapest plan that keeps every limit, each with its slack of 1e-12."""
    found = None
    for plan in plans(problem) if all_plans is None else all_plans:
        kept = all(plan.used[name] <= most * (1 + 1e-12) for name, most in limits(problem, plan.cut).items())
        if kept and (found is None or plan.objective < found.objective):
            found = plan
    return found

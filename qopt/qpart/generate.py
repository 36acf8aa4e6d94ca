"""Seeded random requests of any size, for tests, benchmarks and exercises.

Sizes and sensitivities are log-uniform, as those of real networks roughly are; the accuracy constraint
is set so that a known plan meets it, and the link so that computing and transmission weigh about the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from qopt.core.arguments import real, whole
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.draws import drawn_head, log_uniform
from qopt.core.errors import InputError, shown
from qopt.qpart.generate_limits import checked_limits, checked_menu, layer_tables, limits_from
from qopt.qpart.menus import BitRange, stand_ins
from qopt.qpart.problem import Device, QPart, Server
from qopt.qpart.terms import menu_masks, noise_terms

MAX_LAYERS = 1_000_000
LONGEST_READ = 7
"""Layers that a branch may skip, at most: as in real networks, whatever their depth."""

# Table II of the paper. The server's energy is charged: a MAC then costs 2.56e-8 on the device and 4.26e-8 on
# the server, so that computing pulls the cut towards the output and downloading weights towards the input.
TABLE_II: dict[str, Any] = {
    "device": {"cycles_per_mac": 5.0, "clock": 2e8, "energy_coefficient": 3e-27},
    "server": {"cycles_per_mac": 1.25, "clock": 3e9, "energy_coefficient": 3.75e-27, "charge_energy": True},
    "transmit_power": 1.0,
}


def qpart(
    layers: int,
    *,
    seed: int,
    spread: float = 2.0,
    noise: Literal["law", "grid", "table"] = "law",
    bits: tuple[int, int] = (1, 16),
    reference_bits: int | None = None,
    tie_cut: bool = False,
    branches: bool = False,
    insensitive: float = 0.0,
    memory: float | None = None,
    cuts: Sequence[int] | None = None,
    objective_scale: float = 1.0,
    noise_scale: float = 1.0,
    menu: Sequence[int] | None = None,
    ends: int | None = None,
    tables: bool = False,
    limits: Mapping[str, float] | None = None,
    quantize_input: bool = False,
    name: str | None = None,
) -> QPart:
    """A seeded random QPART request.

    The same arguments give the same request. Device, server and power are those of the paper's Table II with
    the server's energy charged; the rate is drawn near the one at which downloading all weights costs what
    computing on the device saves (Eq. 17), so that any cut may be the best.

    Parameters
    ----------
    layers : L, 1 to 1 000 000. Everything is drawn as columns; 100 000 layers take a fraction of a second.
    seed : of `numpy.random.default_rng`, >= 0.
    spread : decades over which weights, activations and sensitivities range, 0 to 12.
    noise : ``law`` s 4^-b, ``grid`` s (2^b - 1)^-2, or ``table``: the law times log-normal disturbances, one
        for each tensor and width, so that more bits may mean more noise. The law's s stand beside the table.
    bits : (lo, hi), admissible widths.
    reference_bits : Delta(a, p) is the noise that this width makes on every tensor of cut p, so the request
        is feasible. Default 6, or the end of `bits` that is nearest to 6.
    tie_cut : as in `QPart`.
    branches : some tensors are read again up to 7 layers later, so that several cross a cut.
    insensitive : probability that a tensor's robustness is unbounded (null): its noise does not count.
    memory : device memory as a multiple of what all weights take at `reference_bits`; default no limit. Below
        1 it can rule out deep cuts; cut 0 stays feasible where it is admissible.
    cuts : list of admissible cuts, default all.
    objective_scale, noise_scale : multiply all weights of the objective, and all noise with its limits.
    menu : widths within `bits` that every tensor may have, such as (2, 4, 8); default all of the range.
    ends : width within `bits` of the weights of the first and of the last layer; default as any other.
    tables : whether time and energy of the layers are measured: by width on the device, time alone on the server.
    limits : shares by name (time, energy, price, payload) of what the cheapest plan uses whose tensors all have
        `reference_bits`; at 1 and above that plan keeps them.
    quantize_input : as in `QPart`; the input's noise is drawn like an output's.
    name : default ``random-<layers>-<seed>``, with the options that are not the defaults behind it.

    Returns
    -------
    QPart
        One accuracy level, 0.01.

    Raises
    ------
    InputError
        An argument is out of range; its name is the error's field.
    """
    options = dict(locals())
    del options["layers"], options["name"]
    asked = _Asked.of(layers, options)
    drawn = _draw(asked)
    data = _assembled(asked, drawn) | drawn_head(qpart, asked.layers, options, name)
    request = QPart(**data)
    data["accuracy"]["delta"] = _limits(request, asked.reference, drawn.last_reader)
    if asked.quantize_input:
        data["accuracy"]["delta_input"] = [float(_reference_noise(request, asked.reference)[1][-1]) * (1 + 1e-9)]
    if asked.limits:
        data["limits"] = limits_from(QPart(**data), asked.limits, asked.reference)
    return QPart(**data)


@dataclass(frozen=True)
class _Asked:
    """The checked arguments of `qpart`; cuts and `tie_cut` are checked by the request."""

    layers: int
    seed: int
    spread: float
    noise: Literal["law", "grid", "table"]
    bits: BitRange
    reference: int
    tie_cut: bool
    branches: bool
    insensitive: float
    memory: float | None
    cuts: Sequence[int] | None
    objective_scale: float
    noise_scale: float
    menu: list[int] | None
    ends: int | None
    tables: bool
    limits: dict[str, float]
    quantize_input: bool

    @classmethod
    def of(cls, layers: object, options: dict[str, Any]) -> Self:
        """The arguments, if all are in range."""
        layers = whole("layers", layers, 1, MAX_LAYERS)
        seed = whole("seed", options["seed"], 0, 2**63 - 1)
        spread = real("spread", options["spread"], 0, 12)
        insensitive = real("insensitive", options["insensitive"], 0, 1)
        objective_scale = real("objective_scale", options["objective_scale"], 0, 1e300, above=True)
        noise_scale = real("noise_scale", options["noise_scale"], 0, 1e300, above=True)
        bits, reference = _bit_range(options["bits"]), options["reference_bits"]
        if reference is None:
            reference = min(max(6, bits.lo), bits.hi)
        else:
            reference = whole("reference_bits", reference, bits.lo, bits.hi)
        memory, noise, branches = options["memory"], options["noise"], options["branches"]
        if memory is not None:
            memory = real("memory", memory, 0, 1e300)
        if noise not in ("law", "grid", "table"):
            raise InputError("noise", shown(noise), "'law', 'grid' or 'table'")
        for flag in ("branches", "tables", "quantize_input"):
            if not isinstance(options[flag], bool | np.bool_):
                raise InputError(flag, shown(options[flag]), "true or false")
        ends = options["ends"]
        return cls(
            layers=layers,
            seed=seed,
            spread=spread,
            noise=noise,
            bits=bits,
            reference=reference,
            tie_cut=options["tie_cut"],
            branches=bool(branches),
            insensitive=insensitive,
            memory=memory,
            cuts=options["cuts"],
            objective_scale=objective_scale,
            noise_scale=noise_scale,
            menu=checked_menu(options["menu"], bits),
            ends=None if ends is None else whole("ends", ends, bits.lo, bits.hi),
            tables=bool(options["tables"]),
            limits=checked_limits(options["limits"]),
            quantize_input=bool(options["quantize_input"]),
        )

    @property
    def bits_data(self) -> dict[str, object]:
        """The field `bits` of the request."""
        data: dict[str, object] = {"lo": self.bits.lo, "hi": self.bits.hi}
        if self.menu is not None:
            data["menu"] = self.menu
        if self.ends is not None:
            data["weights"] = [[self.ends] if i in (0, self.layers - 1) else None for i in range(self.layers)]
        return data


def _bit_range(bits: object) -> BitRange:
    if not isinstance(bits, Sequence) or isinstance(bits, str) or len(bits) != 2:
        raise InputError("bits", shown(bits), "a pair (lo, hi)")
    try:
        return BitRange(lo=bits[0], hi=bits[1])
    except InputError as error:
        raise InputError(f"bits.{error.field}" if error.field else "bits", error.found, error.allowed) from None


@dataclass(frozen=True)
class _Drawn:
    """What chance decides: columns of length L, the input, and how far the rate is from its middle."""

    weights: FloatArray
    activations: FloatArray
    macs: FloatArray
    s_weights: FloatArray
    s_activations: FloatArray
    rho_weights: FloatArray
    rho_activations: FloatArray
    input_size: float
    tilt: float
    last_reader: IntArray | None
    table: dict[str, object] | None
    s_input: float | None
    layer_tables: dict[str, object] | None


def _draw(asked: _Asked) -> _Drawn:
    """All draws. Their order is part of what a seed means."""
    rng, layers, spread = np.random.default_rng(asked.seed), asked.layers, asked.spread
    weights = np.maximum(np.rint(log_uniform(rng, spread, 3e4, layers)), 1)
    activations = np.maximum(np.rint(log_uniform(rng, spread, 3e3, layers)), 1)
    positions = np.maximum(np.rint(log_uniform(rng, spread, 30, layers)), 1)
    s_weights = log_uniform(rng, spread, asked.noise_scale, layers)
    s_activations = log_uniform(rng, spread, asked.noise_scale, layers)
    robustness = log_uniform(rng, min(spread, 1.0), 1.0, 2 * layers)
    robustness[rng.random(2 * layers) < asked.insensitive] = math.inf
    input_size = float(np.maximum(np.rint(log_uniform(rng, spread, 3e3, 1)), 1)[0])
    tilt = float(log_uniform(rng, 0.6, 1.0, 1)[0])
    last_reader = _last_readers(rng, layers) if asked.branches else None
    table = _noise_table(rng, asked.bits, s_weights, s_activations) if asked.noise == "table" else None
    s_input = None
    if asked.quantize_input:
        s_input = float(log_uniform(rng, spread, asked.noise_scale, 1)[0])
        if table is not None:
            law = np.ldexp(1.0, -2 * np.arange(asked.bits.lo, asked.bits.hi + 1))
            table["input"] = s_input * law * np.exp(rng.normal(0.0, 1.0, len(law)))
    measured = None
    if asked.tables:
        columns = np.arange(asked.bits.lo, asked.bits.hi + 1)
        measured = layer_tables(rng, weights * positions, columns, TABLE_II["device"], TABLE_II["server"])
    return _Drawn(
        weights=weights,
        activations=activations,
        macs=weights * positions,
        s_weights=s_weights,
        s_activations=s_activations,
        rho_weights=robustness[:layers],
        rho_activations=robustness[layers:],
        input_size=input_size,
        tilt=tilt,
        last_reader=last_reader,
        table=table,
        s_input=s_input,
        layer_tables=measured,
    )


def _last_readers(rng: np.random.Generator, layers: int) -> IntArray:
    """A chain in which about a quarter of the tensors are also read up to `LONGEST_READ` layers later."""
    chain = np.arange(1, layers + 2)
    longer = rng.integers(1, LONGEST_READ + 1, layers + 1) * (rng.random(layers + 1) < 0.25)
    last: IntArray = np.minimum(chain + longer, layers)
    last[layers] = layers + 1
    return last


def _noise_table(
    rng: np.random.Generator, bits: BitRange, s_weights: FloatArray, s_activations: FloatArray
) -> dict[str, object]:
    """The law times log-normal disturbances, one for each tensor and width."""
    widths = np.arange(bits.lo, bits.hi + 1)
    law = np.ldexp(1.0, -2 * widths)
    # A standard deviation of 1 overturns the law's factor of 4 from one width to the next now and then.
    disturbance = np.exp(rng.normal(0.0, 1.0, (2, len(s_weights), len(widths))))
    return {
        "bits": widths,
        "weights": s_weights[:, None] * law * disturbance[0],
        "activations": s_activations[:, None] * law * disturbance[1],
    }


def _assembled(asked: _Asked, drawn: _Drawn) -> dict[str, Any]:
    """The request but for its name and source, with noise limits of zero."""
    all_weights = asked.reference * float(np.sum(drawn.weights))
    bit_cost = _saved_per_mac() * float(np.sum(drawn.macs)) / all_weights
    return {
        "description": "A random request: sizes, sensitivities and limits are drawn, not measured.",
        "network": {
            "macs": drawn.macs,
            "weights": drawn.weights,
            "activations": drawn.activations,
            "input_size": drawn.input_size,
            "input_bits": 8,
            "last_reader": drawn.last_reader,
        },
        "device": {
            **TABLE_II["device"],
            "memory": None if asked.memory is None else asked.memory * asked.reference * float(np.sum(drawn.weights)),
        },
        "server": TABLE_II["server"],
        "channel": {
            "rate": drawn.tilt * (1.0 + TABLE_II["transmit_power"]) / bit_cost,
            "transmit_power": TABLE_II["transmit_power"],
        },
        "objective": dict.fromkeys(("time", "energy", "price"), asked.objective_scale),
        "noise": {
            "model": asked.noise,
            "s_weights": drawn.s_weights,
            "s_activations": drawn.s_activations,
            "s_input": drawn.s_input,
            "table": drawn.table,
        },
        "accuracy": {
            "levels": [0.01],
            "delta": np.zeros((1, asked.layers)),
            "rho_weights": drawn.rho_weights[None, :],
            "rho_activations": drawn.rho_activations[None, :],
            "delta_input": [0.0] if asked.quantize_input else None,
        },
        "level": 0.01,
        "bits": asked.bits_data,
        "tables": drawn.layer_tables,
        "cuts": asked.cuts,
        "tie_cut": asked.tie_cut,
        "quantize_input": asked.quantize_input,
    }


def _saved_per_mac() -> float:
    """What a MAC costs less on the device than on the server, delta - xi of Eqs. 24-25, weights 1."""
    device, server = Device(**TABLE_II["device"]), Server(**TABLE_II["server"])
    on_device = device.cycles_per_mac * (1 / device.clock + device.energy_coefficient * device.clock**2)
    on_server = server.cycles_per_mac * (1 / server.clock + server.energy_coefficient * server.clock**2)
    return on_server - on_device


def _reference_noise(request: QPart, reference: int) -> tuple[FloatArray, FloatArray]:
    """(L,) noise of weights and of outputs at the reference width, the raw input's behind them if it is quantized.

    A tensor whose menu lacks the width takes the next up on it, or the largest.
    """
    terms, allowed, widths = noise_terms(request), menu_masks(request), request.widths
    at = min(int(np.searchsorted(widths, reference)), len(widths) - 1)
    if allowed is None:
        return terms[0][:, at], terms[1][:, at]
    of_weights, of_outputs = (
        np.take_along_axis(noise, stand_ins(mask)[:, at : at + 1], axis=1)[:, 0]
        for noise, mask in zip(terms, allowed, strict=True)
    )
    return of_weights, of_outputs


def _noise_of_cuts(weights: FloatArray, activations: FloatArray, last_reader: IntArray | None) -> FloatArray:
    """(L,) noise that given terms of all tensors add up to at cuts 1..L."""
    crossing = activations.copy()
    if last_reader is not None:
        ends = last_reader[1:]
        for skipped in range(1, LONGEST_READ + 1):  # only sums of positive numbers: no cancellation
            cut = np.arange(1, len(weights) + 1) + skipped
            crosses = ends > cut
            crossing[cut[crosses] - 1] += activations[crosses]
    return np.cumsum(weights) + crossing


def _limits(request: QPart, reference: int, last_reader: IntArray | None) -> FloatArray:
    """(1, L) the noise at every cut when all its tensors have the reference width."""
    of_weights, of_outputs = _reference_noise(request, reference)
    layers = request.layers
    spent = _noise_of_cuts(of_weights, of_outputs[:layers], last_reader)
    if request.quantize_input and last_reader is not None:
        spent[: int(last_reader[0]) - 1] += of_outputs[layers]
    # These sums are rounded, differently from those of a later check: a billionth keeps the plan feasible.
    limits: FloatArray = spent[None, :] * (1 + 1e-9)
    return limits

"""Seeded random JQODI problems: slow thrifty devices, fast thirsty servers, links and speeds that vary by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from qopt.core.arguments import real, whole
from qopt.core.arrays import FloatArray
from qopt.core.draws import drawn_head, log_uniform
from qopt.core.errors import InputError, shown
from qopt.jqodi.problem import Jqodi

MAX_EPOCHS = 5_000
ROBUST = 1.2
"""Robust epochs over expected ones."""

GONE = 0.05
"""Share of epochs in which a server is not available, under changing conditions."""

# Orders of magnitude of the bundled jqodi/data1: CIFAR-10, a Raspberry Pi 5, two graphics cards and a cloud.
CLOUD: dict[str, object] = {"speed": 5e12, "energy": 5e-11}
DEVICE: dict[str, object] = {"speed": 2e10, "energy": 2e-10, "training": 2000.0, "validation": 500.0}
INPUT: dict[str, object] = {"input_size": 3072.0, "input_bits": 8}  # a picture of 32 x 32 in three colors
SERVER_SPEED, SERVER_ENERGY = 4e11, 4e-10
NETWORK_MACS, NETWORK_PARAMETERS, LAYER_ACTIVATIONS = 1e8, 1e6, 2e4

# Made up, so that time limits and energies pull different ways.
FASTER_TAKES_MORE = 0.7
"""A server of k times the speed takes k to this power times the joules a MAC."""

CLOUD_RATE, CLOUD_JOULES = 1e8, 1e-7
"""Bits a second and joules a bit between cloud and server, in the middle."""

BANDWIDTH, SNR, DEVICE_JOULES = 1e6, 100.0, 1e-6
"""Hertz, signal to noise and joules a bit between server and device; the last two in the middle."""

LOWEST = {"cloud_speed": 0.5, "device_speed": 0.7, "speed": 0.3, "cloud_rate": 0.3, "device_rate": 0.2}
"""Share of its nominal value that each falls to at the least, under changing conditions."""

DRIFT = 0.3
"""Radians, of a standard deviation, by which conditions go on around their circle in an epoch."""

QUANTIZING = (2.0, 5.0)
"""Seconds and joules that quantizing takes at most."""

SERVER_CHANGE, SERVER_CHANGE_JOULES = (0.1, 1.0), 4.0
"""Seconds that changing the server takes, from and to, and joules for each of them."""

CUT_CHANGE_SECONDS, CUT_CHANGE_JOULES = 0.05, 0.2
"""What moving the cut takes for each layer."""

LOSS, LOSS_LIMIT = 1.0, 0.5
ROBUST_LOSS = 1.5
"""Robust rise of the loss by quantizing over the expected one."""

UPDATE = 0.25
"""Share of an epoch's fall of the loss that comes with the update; the run has the rest."""


def jqodi(
    epochs: int,
    *,
    seed: int,
    mode: Literal["choice", "schedule", "path"] = "path",
    servers: int = 3,
    cuts: int = 4,
    models: int = 2,
    widths: Sequence[int] = (4, 8),
    conditions: bool = True,
    switching: bool | None = None,
    estimate: Literal["expected", "robust"] = "expected",
    losses: bool = False,
    requests: float = 0.0,
    tightness: float = 0.5,
    name: str | None = None,
) -> Jqodi:
    """A seeded random JQODI problem; the same arguments give the same problem.

    A device computes slowly and with little energy, servers fast and with more, the faster the more; early layers have
    the work, late ones the parameters. So the time limit decides where the cut lies and which server is worth it.

    Parameters
    ----------
    epochs : the largest K^exp, 1 to 5000; other widths need down to half as many.
    seed : of `numpy.random.default_rng`, >= 0.
    mode : ``choice``, ``schedule`` or ``path``.
    servers : 1 to 200.
    cuts : admissible cuts of the first and deepest model, which has one layer more; 1 to 200.
    models : 1 to 20.
    widths : a list of admissible bit-widths, 1 to 32. Every model has an entry at 32 bits too, for comparisons.
    conditions : whether speeds, rates and availability change by epoch. One server is always there.
    switching : whether changing server or cut costs; default where mode is ``path``, and only there it may.
    estimate : ``expected`` or ``robust``.
    losses : whether loss changes are given, from which K follows, in place of K.
    requests : inference requests after fine-tuning.
    tightness : T_max lies this share of the way from the least time of any plan (0) to the time of one of least
        energy (1).
    name : default ``random-<epochs>-<seed>``, with the options that are not the defaults behind it.

    Raises
    ------
    InputError
        An argument is out of range; its name is the error's field.
    """
    options = dict(locals())
    del options["epochs"], options["name"]
    asked = _Asked.of(epochs, options)
    problem = Jqodi(**_assembled(asked, _draw(asked)), **drawn_head(jqodi, asked.epochs, options, name))
    return _limited(problem, asked.tightness)


@dataclass(frozen=True)
class _Asked:
    """The checked arguments of `jqodi`; the estimate is checked by the problem."""

    epochs: int
    seed: int
    mode: Literal["choice", "schedule", "path"]
    servers: int
    cuts: int
    models: int
    widths: list[int]
    conditions: bool
    switching: bool
    estimate: Literal["expected", "robust"]
    losses: bool
    requests: float
    tightness: float

    @classmethod
    def of(cls, epochs: object, options: dict[str, Any]) -> Self:
        """The arguments, if all are in range."""
        epochs = whole("epochs", epochs, 1, MAX_EPOCHS)
        seed = whole("seed", options["seed"], 0, 2**63 - 1)
        servers, cuts = whole("servers", options["servers"], 1, 200), whole("cuts", options["cuts"], 1, 200)
        models = whole("models", options["models"], 1, 20)
        mode, switching = options["mode"], options["switching"]
        if mode not in ("choice", "schedule", "path"):
            raise InputError("mode", shown(mode), "'choice', 'schedule' or 'path'")
        widths = _bits(options["widths"])
        for field in ("conditions", "losses"):
            if not isinstance(options[field], bool):
                raise InputError(field, shown(options[field]), "true or false")
        if switching not in (None, True, False) or (switching and mode != "path"):
            raise InputError("switching", shown(switching), "true only where mode is path, or false")
        return cls(
            epochs=epochs,
            seed=seed,
            mode=mode,
            servers=servers,
            cuts=cuts,
            models=models,
            widths=widths,
            conditions=options["conditions"],
            switching=mode == "path" if switching is None else bool(switching),
            estimate=options["estimate"],
            losses=options["losses"],
            requests=real("requests", options["requests"], 0, 1e12),
            tightness=real("tightness", options["tightness"], 0, 1),
        )


def _bits(widths: object) -> list[int]:
    """Different widths, ascending."""
    if not isinstance(widths, list | tuple) or not widths:
        raise InputError("widths", shown(widths), "a list of bit-widths from 1 to 32")
    return sorted({whole(f"widths[{i}]", b, 1, 32) for i, b in enumerate(widths)})


@dataclass(frozen=True)
class _Drawn:
    """What chance decides, as parts of the problem."""

    models: list[dict[str, object]]
    servers: list[dict[str, object]]
    links: list[dict[str, object]]
    conditions: dict[str, object] | None
    switching: dict[str, object] | None


def _draw(asked: _Asked) -> _Drawn:
    """All draws. Their order is part of what a seed means."""
    rng = np.random.default_rng(asked.seed)
    models = [_model(rng, number, asked) for number in range(asked.models)]
    names = [f"server{x}" for x in range(1, asked.servers + 1)]
    servers = _servers(rng, names)
    links = [
        {
            "server": server,
            "bandwidth": BANDWIDTH,
            "snr": float(log_uniform(rng, 2.0, SNR, 1)[0]),
            "energy": float(log_uniform(rng, 1.0, DEVICE_JOULES, 1)[0]),
        }
        for server in names
    ]
    longest = math.ceil(asked.epochs * ROBUST) + 1
    conditions = _conditions(rng, names, longest) if asked.conditions else None
    switching = _switching(rng, asked.servers, asked.cuts) if asked.switching else None
    return _Drawn(models, servers, links, conditions, switching)


def _assembled(asked: _Asked, drawn: _Drawn) -> dict[str, Any]:
    """The problem but for its name and source, with a time limit to be replaced."""
    data: dict[str, Any] = {
        "description": "A random problem: sizes, speeds, rates and epochs are drawn, not measured.",
        "mode": asked.mode,
        "time_limit": 1.0,
        "cloud": CLOUD,
        "servers": drawn.servers,
        "devices": [{"name": "device", **DEVICE, "links": drawn.links}],
        "models": drawn.models,
        "widths": asked.widths,
        "estimate": asked.estimate,
        "conditions": drawn.conditions,
        "inference": {"requests": asked.requests},
    }
    return data if drawn.switching is None else {**data, "switching": drawn.switching}


def _model(rng: np.random.Generator, number: int, asked: _Asked) -> dict[str, object]:
    """A model whose work is in its early layers and whose parameters are in the late ones."""
    cuts, epochs, bits = asked.cuts, asked.epochs, asked.widths
    n = cuts + 1 if number == 0 else int(rng.integers(max(2, (cuts + 1) // 2), cuts + 2))
    share = np.arange(n) / n
    scale = float(log_uniform(rng, 1.0, 1.0, 1)[0])
    macs = np.rint(log_uniform(rng, 0.6, NETWORK_MACS * scale / n, n) * 10.0 ** (0.5 - share))
    weights = np.rint(log_uniform(rng, 0.6, NETWORK_PARAMETERS * scale / n, n) * 10.0 ** (2.0 * share - 1.5))
    activations = np.rint(log_uniform(rng, 0.6, LAYER_ACTIVATIONS, n) * 10.0 ** (-share)) + 1.0
    # The narrowest width of the first model needs the most epochs; the others take off up to half of them.
    counts = [max(1, math.ceil(epochs * float(rng.uniform(0.5, 1.0)))) for _ in bits]
    counts = sorted(counts, reverse=True)
    if number == 0:
        counts[0] = epochs
    wide = [] if 32 in bits else [32]
    entries = [
        _width(rng, b, k, asked.losses)
        for b, k in zip([*bits, *wide], [*counts, *counts[-1:] * len(wide)], strict=True)
    ]
    model = {
        "name": f"model{number + 1}",
        "macs": macs,
        "weights": weights,
        "activations": activations,
        **INPUT,
        "widths": entries,
    }
    return {**model, "loss": LOSS, "loss_limit": LOSS_LIMIT} if asked.losses else model


def _width(rng: np.random.Generator, bits: int, epochs: int, losses: bool) -> dict[str, object]:
    """A width that needs so many epochs: given, or by losses that quantizing raises, from `LOSS` to `LOSS_LIMIT`."""
    entry: dict[str, object] = {
        "bits": bits,
        "quantize_time": float(rng.uniform(0.0, QUANTIZING[0])),
        "quantize_energy": float(rng.uniform(0.0, QUANTIZING[1])),
    }
    robust = math.ceil(epochs * ROBUST)
    if not losses:
        return {**entry, "epochs": {"expected": epochs, "robust": robust}}
    gamma = float(2.0**-bits)
    # Half an epoch less than K of them bring the loss to its limit, so K is not in doubt.
    above = LOSS - LOSS_LIMIT
    fall = {"expected": (above + gamma) / (epochs - 0.5), "robust": (above + ROBUST_LOSS * gamma) / (robust - 0.5)}
    return {
        **entry,
        "loss": {
            "quantization": {"expected": gamma, "robust": ROBUST_LOSS * gamma},
            "update": {estimate: -UPDATE * step for estimate, step in fall.items()},
            "run": {estimate: -(1.0 - UPDATE) * step for estimate, step in fall.items()},
        },
    }


def _servers(rng: np.random.Generator, names: list[str]) -> list[dict[str, object]]:
    """Servers whose MACs take the more energy the faster they are."""
    speed = log_uniform(rng, 1.0, SERVER_SPEED, len(names))
    joules = SERVER_ENERGY * (speed / SERVER_SPEED) ** FASTER_TAKES_MORE * log_uniform(rng, 0.5, 1.0, len(names))
    return [
        {
            "name": server,
            "speed": float(speed[x]),
            "energy": float(joules[x]),
            "cloud_rate": float(log_uniform(rng, 1.0, CLOUD_RATE, 1)[0]),
            "cloud_energy": float(log_uniform(rng, 1.0, CLOUD_JOULES, 1)[0]),
        }
        for x, server in enumerate(names)
    ]


def _walk(rng: np.random.Generator, epochs: int, low: float) -> FloatArray:
    """Factors in [low, 1] that drift from epoch to epoch."""
    steps = np.cumsum(rng.normal(0.0, DRIFT, epochs)) + rng.uniform(0.0, 2.0 * math.pi)
    factors: FloatArray = low + (1.0 - low) * (0.5 + 0.5 * np.sin(steps))
    return factors


def _conditions(rng: np.random.Generator, names: list[str], epochs: int) -> dict[str, object]:
    there = rng.random((len(names), epochs)) >= GONE
    there[int(rng.integers(len(names)))] = True
    return {
        "cloud_speed": _walk(rng, epochs, LOWEST["cloud_speed"]),
        "device_speed": _walk(rng, epochs, LOWEST["device_speed"]),
        "servers": {
            name: {
                **{what: _walk(rng, epochs, LOWEST[what]) for what in ("speed", "cloud_rate", "device_rate")},
                "available": there[x].tolist(),
            }
            for x, name in enumerate(names)
        },
    }


def _switching(rng: np.random.Generator, servers: int, cuts: int) -> dict[str, object]:
    """Costs of changing the server, pair by pair, and of moving the cut, layer by layer."""
    between = rng.uniform(*SERVER_CHANGE, (servers, servers))
    np.fill_diagonal(between, 0.0)
    apart = np.abs(np.subtract.outer(np.arange(cuts + 2), np.arange(cuts + 2)))
    return {
        "server_time": between,
        "server_energy": SERVER_CHANGE_JOULES * between,
        "cut_time": CUT_CHANGE_SECONDS * apart,
        "cut_energy": CUT_CHANGE_JOULES * apart,
    }


def _limited(problem: Jqodi, tightness: float) -> Jqodi:
    """The problem with T_max between the least time and the time of a plan of least energy."""
    from qopt.jqodi.limits import fastest_states
    from qopt.jqodi.terms import candidates, totals

    least, cheapest = math.inf, (math.inf, math.inf)
    for candidate in candidates(problem):
        states = fastest_states(problem, candidate)
        assert states is not None  # one server is always there
        least = min(least, totals(candidate, states)[1])
        if problem.mode == "choice":
            chosen = np.full(candidate.epochs, int(np.argmin(candidate.energy.sum(axis=0))))
        else:
            chosen = np.argmin(candidate.energy, axis=1)
        cheapest = min(cheapest, totals(candidate, chosen))
    limit = least + tightness * max(cheapest[1] - least, 0.0)
    return Jqodi(**{**problem.model_dump(), "time_limit": limit})

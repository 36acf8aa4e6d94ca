"""Worlds: what may come true of a JQODI problem, drawn. Losses that err by model and epoch, rates that drift, servers
that come and go.

A world is the same problem with other numbers: K, or the changes of losses, and conditions by epoch. The forecast stays
what it was. Draws are seeded; the same arguments give the same worlds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from qopt.core.arguments import real, whole
from qopt.core.arrays import BoolArray, FloatArray
from qopt.core.errors import InputError, shown
from qopt.core.limits import limit_with_slack
from qopt.core.reading import problem_of
from qopt.jqodi.losses import MAX_EPOCHS, fewest_epochs
from qopt.jqodi.models import Model, Width
from qopt.jqodi.parts import lasting
from qopt.jqodi.problem import Jqodi


def worlds(
    problem: Jqodi,
    count: int,
    *,
    seed: int,
    epochs: int,
    model_error: float = 0.1,
    epoch_error: float = 0.1,
    drift: float = 0.2,
    leaves: float = 0.05,
    returns: float = 0.5,
) -> tuple[Jqodi, ...]:
    """Random worlds of a problem.

    The fall of the loss in an epoch is the expected one times a factor of the model at its width, the same in all
    epochs, and a factor of the epoch, both log-normal of mean 1. A rate or speed is its nominal value times a factor
    whose logarithm is an autoregression of order 1 (0.8 an epoch) with mean 0. A server that is there is gone in the
    next epoch with chance `leaves`, one that is gone is back with chance `returns`; of all gone, the first comes back.
    A width whose K is given needs K / (the model's factor) epochs, rounded up.

    Parameters
    ----------
    problem : whose expected losses and nominal conditions are the middle; what its own conditions say comes on top.
    count : of worlds, 1 to 100 000.
    seed : of `numpy.random.default_rng`, >= 0.
    epochs : for which conditions are drawn, 1 to 5000: a run ends there at the latest.
    model_error, epoch_error : standard deviations of the logarithms of both factors of the loss, 0 to 3.
    drift : standard deviation of the logarithms of factors of rates and speeds, 0 to 3.
    leaves, returns : chances, 0 to 1.

    Raises
    ------
    InputError
        The problem is none of this family or a run that has begun, or an argument is out of range.
    """
    problem = problem_of(Jqodi, problem)
    if problem.start is not None:
        raise InputError("problem", f"{problem.name}, a run that has begun", "a problem without a start")
    count, epochs = whole("count", count, 1, 100_000), whole("epochs", epochs, 1, 5_000)
    rng = np.random.default_rng(whole("seed", seed, 0, 2**63 - 1))
    sizes = (real(name, x, 0, 3) for name, x in (("model_error", model_error), ("epoch_error", epoch_error)))
    errors = tuple(sizes)
    drift = real("drift", drift, 0, 3)
    moves = (real("leaves", leaves, 0, 1), real("returns", returns, 0, 1))
    return tuple(_world(rng, problem, epochs, errors, drift, moves, number) for number in range(count))


def _world(
    rng: np.random.Generator,
    problem: Jqodi,
    epochs: int,
    errors: tuple[float, ...],
    drift: float,
    moves: tuple[float, float],
    number: int,
) -> Jqodi:
    data: Any = problem.model_dump()
    for model, entry in zip(problem.models, data["models"], strict=True):
        for width, own in zip(model.widths, entry["widths"], strict=True):
            factor = _lognormal(rng, errors[0], 1)[0]
            if width.loss is not None:
                own["loss"] = _loss(rng, width, factor, errors[1], epochs)
            elif width.epochs is not None:
                needed = min(max(math.ceil(width.epochs.expected / factor - 1e-9), 1), MAX_EPOCHS)
                own["epochs"] = {"expected": needed, "robust": needed}
    data["conditions"] = _conditions(rng, problem, epochs, drift, moves)
    data |= {"estimate": "expected", "confidence": None, "name": f"{problem.name}-world-{number}"}
    for model, entry in zip(problem.models, data["models"], strict=True):
        for own in entry["widths"]:
            if (_needed(model, own) or 0) > epochs:  # a run ends with the conditions: it never gets there
                own |= {"epochs": None, "loss": None}
    return Jqodi(**data)


def _needed(model: Model, own: Any) -> int | None:
    """K of a model by the drawn data of one of its widths."""
    if own["epochs"] is not None:
        return int(own["epochs"]["expected"])
    if own["loss"] is None or model.loss is None or model.loss_limit is None:
        return None
    loss = own["loss"]
    begin = (model.loss, loss["quantization"]["expected"])
    return fewest_epochs(begin, (loss["update"]["expected"], loss["run"]["expected"]), model.loss_limit)


def _lognormal(rng: np.random.Generator, sigma: float, size: int) -> FloatArray:
    """(size,) factors of mean 1."""
    factors: FloatArray = np.exp(rng.normal(-0.5 * sigma * sigma, sigma, size) if sigma else np.zeros(size))
    return factors


def _loss(rng: np.random.Generator, width: Width, factor: float, error: float, epochs: int) -> dict[str, object]:
    """Changes that come true, by both estimates the same."""
    assert width.loss is not None
    factors = factor * _lognormal(rng, error, epochs)
    found: dict[str, object] = {}
    for name in ("update", "run"):
        given = getattr(width.loss, name).expected
        steps = np.full(epochs, given) if isinstance(given, float) else np.asarray(given[:epochs], dtype=np.float64)
        found[name] = dict.fromkeys(("expected", "robust"), steps * factors[: len(steps)])
    gamma = width.loss.quantization.expected
    return {**found, "quantization": {"expected": gamma, "robust": gamma}}


def _conditions(
    rng: np.random.Generator, problem: Jqodi, epochs: int, drift: float, moves: tuple[float, float]
) -> dict[str, object]:
    """Factors and availability by epoch, on top of the problem's own; its last ones go on."""
    own = problem.conditions
    names = problem.server_names
    there = np.ones((len(names), epochs), dtype=bool)
    for k in range(1, epochs):
        draw = rng.random(len(names))
        there[:, k] = np.where(there[:, k - 1], draw >= moves[0], draw < moves[1])
        if not there[:, k].any():
            there[0, k] = True

    def on_top(given: Any, factors: FloatArray) -> FloatArray:
        if given is None:
            return factors
        column: FloatArray = factors * lasting(given, epochs)
        return column

    servers = {}
    for x, name in enumerate(names):
        given = None if own is None else own.servers.get(name)
        rates = {what: on_top(given and getattr(given, what), _drifting(rng, drift, epochs)) for what in RATES}
        open_ = on_top(given and given.available, there[x].astype(float)) > 0
        servers[name] = {**rates, "available": open_.tolist()}
    both = ("cloud_speed", "device_speed")
    speeds = {what: on_top(own and getattr(own, what), _drifting(rng, drift, epochs)) for what in both}
    return {**speeds, "servers": servers}


RATES = ("speed", "cloud_rate", "device_rate")
KEEPS = 0.8
"""Share of a factor's logarithm that stays from epoch to epoch."""


def _drifting(rng: np.random.Generator, sigma: float, epochs: int) -> FloatArray:
    """(epochs,) positive factors whose logarithms drift around 0 with a standard deviation."""
    logs = np.empty(epochs)
    steps = rng.normal(0.0, 1.0, epochs)
    logs[0] = sigma * steps[0]
    for k in range(1, epochs):
        logs[k] = KEEPS * logs[k - 1] + math.sqrt(1.0 - KEEPS**2) * sigma * steps[k]
    factors: FloatArray = np.exp(logs)
    return factors


def drawn_epochs(
    problem: Jqodi,
    model: str,
    bits: int,
    count: int,
    *,
    seed: int,
    epochs: int,
    model_error: float = 0.1,
    epoch_error: float = 0.1,
) -> list[int | None]:
    """K of a model at a width in so many worlds, without the worlds: losses are drawn by the law of `worlds`.

    Parameters
    ----------
    problem : whose expected losses are the middle; K must follow from them.
    model, bits : which.
    count : of draws, 1 to 1 000 000.
    seed : of `numpy.random.default_rng`, >= 0.
    epochs : looked at, 1 to 5000; what needs more counts as never.
    model_error, epoch_error : standard deviations of the logarithms of both factors of the loss, 0 to 3.

    Returns
    -------
    A number for each draw; None for never. Sums are rounded: a loss within 1e-12 of its limit reaches it.

    Raises
    ------
    InputError
        No such model or width, one whose K is given, or an argument out of range.
    """
    problem = problem_of(Jqodi, problem)
    known = {(m.name, w.bits): (m, w) for m in problem.models for w in m.widths if w.loss is not None}
    if (model, bits) not in known:
        allowed = ", ".join(f"{m} at {b}" for m, b in known) or "a model whose losses are given"
        raise InputError("model", f"{shown(model)} at {bits!r} bits", allowed)
    own, width = known[model, bits]
    count, epochs = whole("count", count, 1, 1_000_000), whole("epochs", epochs, 1, 5_000)
    rng = np.random.default_rng(whole("seed", seed, 0, 2**63 - 1))
    errors = real("model_error", model_error, 0, 3), real("epoch_error", epoch_error, 0, 3)
    assert width.loss is not None
    assert own.loss is not None
    assert own.loss_limit is not None
    steps = np.zeros(epochs)
    reached = epochs
    for change in (width.loss.update.expected, width.loss.run.expected):
        listed = np.full(epochs, change) if isinstance(change, float) else np.asarray(change[:epochs], dtype=np.float64)
        steps[: len(listed)] += listed
        reached = min(reached, len(listed))
    found: list[int | None] = []
    begin, limit = own.loss + width.loss.quantization.expected, limit_with_slack(own.loss_limit)
    for at in range(0, count, BATCH):
        size = min(BATCH, count - at)
        factors = _lognormal(rng, errors[0], size)[:, None] * _lognormal(rng, errors[1], size * epochs).reshape(
            size, -1
        )
        below: BoolArray = begin + np.cumsum(factors * steps, axis=1)[:, :reached] <= limit
        first = np.argmax(below, axis=1) + 1
        there: list[bool] = np.asarray(below.any(axis=1)).tolist()
        found += [int(k) if yes else None for k, yes in zip(first.tolist(), there, strict=True)]
    return found


BATCH = 10_000
"""Draws that are looked at together."""


def chances(needed: Sequence[int | None]) -> list[tuple[int, float]]:
    """Shares of draws of K, as ``epochs.chances`` takes them.

    Parameters
    ----------
    needed : list of K in each draw, None for never; at least one.

    Raises
    ------
    InputError
        No draws, or in none of them the loss is reached.
    """
    counts = Counter(k for k in needed if k is not None)
    if not counts:
        raise InputError("needed", "no draw that reaches its loss", "at least one")
    return [(k, counts[k] / len(needed)) for k in sorted(counts)]


def promised_epochs(needed: Sequence[int | None], confidence: float, *, sure: float = 0.95) -> int | None:
    """The fewest epochs of which K needs no more with a chance of at least the confidence, as draws can promise it.

    The upper end of Clopper and Pearson's interval for the chance that K is more must be at most 1 - confidence: as
    ``epochs.robust`` it keeps what it promises whatever the law of K is, in at least a share `sure` of sets of draws
    (for any number fixed beforehand; the least of several that pass may miss it by a little more).

    Parameters
    ----------
    needed : list of K in each draw, None for never.
    confidence : between 0 and 1.
    sure : of the interval, between 0 and 1.

    Returns
    -------
    A number of epochs; None where so few draws promise nothing, or never is too likely.

    Raises
    ------
    InputError
        No draws, or an argument out of range.
    """
    if not needed:
        raise InputError("needed", "no draws", "at least one")
    real("confidence", confidence, 0, 1)
    for k in sorted({k for k in needed if k is not None}):
        missed = sum(other is None or other > k for other in needed)
        if missed_at_most(missed, len(needed), sure) <= 1.0 - confidence:
            return k
    return None


def missed_at_most(missed: int, of: int, confidence: float = 0.95) -> float:
    """Upper end of Clopper and Pearson's two-sided interval for a share of which `missed` of `of` were seen.

    Parameters
    ----------
    missed, of : counts, 0 <= missed <= of, of >= 1.
    confidence : of the interval.
    """
    missed, of = whole("missed", missed, 0, of), whole("of", of, 1)
    tail = 0.5 - 0.5 * real("confidence", confidence, 0, 1)
    if missed == of or not tail:
        return 1.0
    k = np.arange(1, missed + 1)
    ways = np.concatenate(([0.0], np.cumsum(np.log((of - k + 1) / k))))  # logarithms of the binomial coefficients
    low, high = missed / of, 1.0
    for _ in range(60):  # the chance of so few falls with the share
        share = 0.5 * (low + high)
        if share in (low, high):  # neighbours: nearer to 1 a float does not tell more
            break
        logs = ways + np.arange(missed + 1) * math.log(share) + (of - np.arange(missed + 1)) * math.log1p(-share)
        top = float(logs.max())
        below = top + math.log(float(np.exp(logs - top).sum())) <= math.log(tail)
        low, high = (low, share) if below else (share, high)
    return high

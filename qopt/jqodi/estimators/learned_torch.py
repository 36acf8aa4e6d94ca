"""The learned kind of the JQODI paper (section V.B): an LSTM over the epochs, and small networks for the changes.

The paper trains two networks for gamma and its changes and an LSTM for K, for each model and width by itself; their
sizes are in an appendix that is not printed. Here all finished curves train together: the LSTM reads the epochs seen,
two small networks on its state give mean and spread of gamma^update and gamma^run of the next epoch (as logarithms of
factors), a third gives gamma. A forecast is drawn epoch by epoch, each draw by one of several members that were trained
on curves drawn with replacement; K is read from the draws, as of every estimator. torch loads when it is first asked.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.errors import MethodError
from qopt.jqodi.estimators.adam_torch import Adam
from qopt.jqodi.estimators.curves import Curve
from qopt.jqodi.estimators.estimator import LEAST, Estimator, log_losses, walked

if TYPE_CHECKING:
    import torch

MEMBERS = 3
"""Networks of an ensemble."""

HIDDEN = 24
STEPS = 150
RATE = 1e-2
FEATURES = 6
SPREADS = (-6.0, 1.0)
"""Ends of the logarithm of a spread."""

KEPT = 16
"""Ensembles that are kept for the next forecast from the same curves."""


class Learned(Estimator):
    """An LSTM over the epochs seen, with small networks for gamma, gamma^update and gamma^run."""

    name = "learned"
    least_seen = 1
    needs_history = True

    def _later(
        self, curve: Curve, epochs: int, history: list[Curve], draws: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        torch = _torch()
        members = _members(tuple(other for other in history if other.loss > 0))
        steps, found = epochs - curve.epochs, []
        for part, member in zip(_parts(draws, len(members)), members, strict=True):
            rows = torch.from_numpy(_features(curve)).float()[None].repeat(part, 1, 1)
            with torch.no_grad():
                output, state = member["lstm"](rows)
                changes = np.empty((part, steps, 2))
                losses = np.full(part, log_losses(curve)[1][-1])
                for step in range(steps):
                    drawn = []
                    for head in ("update", "run"):
                        mean, spread = _normal(member[head](output[:, -1]))
                        drawn.append(mean.numpy() + np.exp(spread.numpy()) * rng.standard_normal(part))
                    changes[:, step] = np.stack(drawn, axis=1)
                    losses = losses + changes[:, step].sum(axis=1)
                    row = _rows(curve, losses, changes[:, step, 0], changes[:, step, 1], curve.epochs + step + 1)
                    output, state = member["lstm"](torch.from_numpy(row).float()[:, None], state)
            found.append(changes)
        start = np.full(draws, log_losses(curve)[1][-1])
        return walked(start, np.concatenate(found))

    def _gamma(self, curve: Curve, history: list[Curve], draws: int, rng: np.random.Generator) -> FloatArray:
        torch = _torch()
        found = []
        members = _members(tuple(history))
        for part, member in zip(_parts(draws, len(members)), members, strict=True):
            with torch.no_grad():
                mean, spread = _normal(member["gamma"](torch.from_numpy(_static(curve)).float()[None]))
            drawn = float(mean) + float(spread.exp()) * rng.standard_normal(part)
            found.append(np.expm1(np.clip(drawn, -50.0, 50.0)))
        return np.concatenate(found)


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MethodError("estimator learned: torch is not installed: pip install 'qopt-edge[measure]'") from None
    return torch


def _parts(draws: int, count: int) -> list[int]:
    return [len(part) for part in np.array_split(np.arange(draws), count)]


def _static(curve: Curve) -> FloatArray:
    """What is known of a curve before its first epoch, (4,)."""
    loss = np.log(max(curve.loss, LEAST))
    return np.array([curve.bits / 8.0, 2.0 ** -float(curve.bits), np.log1p(curve.parameters) / 10.0, loss])


def _rows(curve: Curve, loss: FloatArray, update: FloatArray, run: FloatArray, epoch: float | FloatArray) -> FloatArray:
    """(n, FEATURES) what the LSTM reads of epochs: log loss after them, changes, which they are, width."""
    n = len(loss)
    ones = np.ones(n)
    return np.stack(
        [loss, np.clip(update, -3, 3), np.clip(run, -3, 3), np.log(epoch * ones), ones * min(curve.bits, 10) / 8.0,
         ones * 2.0 ** -float(curve.bits)], axis=1
    )  # fmt: skip


def _features(curve: Curve) -> FloatArray:
    """(epochs, FEATURES) of the epochs of a curve."""
    quantized, trained = log_losses(curve)
    before = np.concatenate([quantized[:1], trained[:-1]])
    return _rows(curve, trained, quantized - before, trained - quantized, np.arange(1.0, curve.epochs + 1))


def _normal(output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and logarithm of the spread."""
    mean, spread = output.unbind(-1)
    return mean, spread.clamp(*SPREADS)


@functools.lru_cache(maxsize=KEPT)
def _members(history: tuple[Curve, ...]) -> list[dict[str, Any]]:
    """The ensemble of these curves, trained once."""
    return [_member(history, seed) for seed in range(MEMBERS)]


def _member(history: Sequence[Curve], seed: int) -> dict[str, Any]:
    """One network of each kind, trained on curves drawn with replacement, by likelihood."""
    torch = _torch()
    rng = np.random.default_rng(seed)
    chosen = [history[i] for i in rng.integers(len(history), size=len(history))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        member = {"lstm": torch.nn.LSTM(FEATURES, HIDDEN, batch_first=True)}
        for head, inputs in (("update", HIDDEN), ("run", HIDDEN), ("gamma", 4)):
            member[head] = torch.nn.Sequential(
                torch.nn.Linear(inputs, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, 2)
            )
    longest = max(curve.epochs for curve in chosen)
    rows, mask = np.zeros((len(chosen), longest, FEATURES)), np.zeros((len(chosen), longest), dtype=bool)
    for i, curve in enumerate(chosen):
        rows[i, : curve.epochs], mask[i, : curve.epochs] = _features(curve), True
    x, known = torch.from_numpy(rows).float(), torch.from_numpy(mask[:, 1:])
    static = torch.from_numpy(np.array([_static(curve) for curve in chosen])).float()
    ratios = torch.tensor([np.log1p(max(c.gamma / c.loss, -1 + 1e-6)) for c in chosen]).float()
    parameters = [p for network in member.values() for p in network.parameters()]
    optimizer = Adam(parameters, RATE)

    def surprise(output: Any, target: Any) -> Any:
        mean, spread = _normal(output)
        return spread + 0.5 * ((target - mean) / spread.exp()) ** 2

    for step in range(STEPS):
        optimizer.rate = 0.5 * RATE * (1.0 + np.cos(np.pi * step / STEPS))
        states, _ = member["lstm"](x[:, :-1])
        loss = surprise(member["gamma"](static), ratios).mean()
        if bool(known.any()):
            for column, head in ((1, "update"), (2, "run")):
                loss = loss + surprise(member[head](states), x[:, 1:, column])[known].mean()
        optimizer.clear()
        loss.backward()
        optimizer.step()
    return member

"""Language models: the loss per token as a score, and perplexity.

A model's output is (n, tokens, vocabulary), its labels (n, tokens): the token that follows each. An example is a
sequence, and so is what is resampled: the tokens of one sequence are not independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError
from qopt.measuring.intervals import Estimate, Resamples


def token_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(n,) mean cross-entropy of each sequence in nats per token.

    Parameters
    ----------
    logits : (n, tokens, vocabulary).
    labels : (n, tokens) the token that follows each; what is below zero (padding) does not count.

    Raises
    ------
    InputError
        Outputs that are no logits of tokens, or labels that the vocabulary does not have.
    """
    _check_logits(logits)
    if labels.shape != logits.shape[:2] or labels.is_floating_point():
        found = f"{labels.dtype} of shape {tuple(labels.shape)}"
        raise InputError("labels", found, f"whole numbers of shape {tuple(logits.shape[:2])}, a token for each")
    counted = labels >= 0
    if bool((labels >= logits.shape[2]).any()) or not bool(counted.any(dim=1).all()):
        found = f"tokens up to {int(labels.max())}, {int((~counted.any(dim=1)).sum())} sequences without any"
        raise InputError("labels", found, f"tokens from 0 to {logits.shape[2] - 1} in every sequence")
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels.clamp(min=0), reduction="none")
    return (losses.double() * counted).sum(dim=1) / counted.sum(dim=1)


def token_margin(logits: torch.Tensor) -> torch.Tensor:
    """(n,) sum over the tokens of ``(z_(1) - z_(2))^2 / 2``, as `qopt.measuring.scores.adversarial_margin` of each.

    Parameters
    ----------
    logits : (n, tokens, vocabulary).
    """
    _check_logits(logits)
    first, second = logits.double().topk(2, dim=2).values.unbind(2)
    return ((first - second) ** 2 / 2).sum(dim=1)


@dataclass(frozen=True)
class LossPerToken:
    """Minus the loss per token as a score, which may be any number.

    Attributes
    ----------
    unit : nats that count as one: with the unquantized model's own loss, a level of 0.005 is 0.5 % more loss per token.
    """

    unit: float = 1.0
    bounded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0.0 < self.unit < math.inf:
            raise InputError("unit", f"{self.unit:g}", "a positive number of nats")

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(n,) score of each sequence; see `token_loss`."""
        return -token_loss(logits, labels) / self.unit


def perplexity(losses: FloatArray, *, seed: int = 0) -> Estimate:
    """The exponential of the mean loss per token, its 95 % interval from resampling whole sequences.

    Parameters
    ----------
    losses : (n,) mean loss per token of each sequence, in nats; sequences of one length.
    seed : of the resampling.
    """
    drawn = Resamples(len(losses), seed=seed).means(losses[:, None])[:, 0]
    mean = Estimate.of(float(losses.mean()), drawn)
    return Estimate(math.exp(mean.value), math.exp(mean.low), math.exp(mean.high))


def _check_logits(logits: torch.Tensor) -> None:
    if logits.ndim != 3 or logits.shape[2] < 2:
        raise InputError("logits", f"shape {tuple(logits.shape)}", "(n, tokens, vocabulary)")

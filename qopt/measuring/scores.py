"""What a network's answer is worth, and how far it is from changing.

A score is between 0 and 1 for each example; an accuracy level a is a drop of its mean. The default is whether the
largest logit is the label's, or of a single logit whether its sign is; other tasks bring their own. A score that has an
attribute ``bounded = False``, such as minus a loss, may be any number: see `qopt.measuring.language`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, shown
from qopt.measuring.intervals import CONFIDENCE
from qopt.measuring.losses import binomial_end
from qopt.measuring.signature import Outputs

Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``(output (n, ...), labels (n, ...)) -> (n,)``, from 0 to 1; each example by itself."""

Margin = Callable[[torch.Tensor], torch.Tensor]
"""``output (n, ...) -> (n,)``: squared norm of a change of the output that matters, for each example."""


def correct(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(n,) 1 where the largest of the logits (n, classes) is the label's (n,), else 0.

    One logit tells class 1, where it is positive, from class 0.

    Parameters
    ----------
    logits : (n, classes), (n, 1) or (n,).
    labels : (n,) whole numbers.

    Raises
    ------
    InputError
        Labels that are no classes of the network.
    """
    classes = classes_of(logits)
    if labels.ndim != 1 or labels.is_floating_point():
        raise InputError("labels", f"{labels.dtype} of shape {tuple(labels.shape)}", "a whole number for each example")
    if bool(((labels < 0) | (labels >= classes)).any()):
        found = f"classes from {int(labels.min())} to {int(labels.max())}"
        raise InputError("labels", found, f"classes from 0 to {classes - 1}, as the network returns")
    if logits.numel() == len(logits):
        return ((logits.flatten() > 0) == labels).double()
    return (logits.argmax(dim=1) == labels).double()


def adversarial_margin(logits: torch.Tensor) -> torch.Tensor:
    """(n,) ``||sigma*||^2 = (z_(1) - z_(2))^2 / 2``: the least change that makes the two largest logits equal.

    Of one logit z it is ``z^2``: the least change that takes it to zero.

    Parameters
    ----------
    logits : (n, classes), (n, 1) or (n,).
    """
    classes_of(logits)
    if logits.numel() == len(logits):
        return logits.double().flatten() ** 2
    first, second = logits.double().topk(2, dim=1).values.unbind(1)
    return (first - second) ** 2 / 2


def classes_of(logits: torch.Tensor) -> int:
    """How many classes an output tells apart; refuses one that does not.

    Parameters
    ----------
    logits : (n, classes), or one for each example: (n, 1) or (n,).

    Raises
    ------
    InputError
        An output of another shape.
    """
    if logits.ndim <= 2 and logits.numel() == len(logits):
        return 2
    if logits.ndim != 2:
        allowed = "(n, classes), or one logit for each example; for other tasks give a score and a margin"
        raise InputError("logits", f"shape {tuple(logits.shape)}", allowed)
    return int(logits.shape[1])


def of_outputs(function: Callable[..., Any], outputs: Outputs | None) -> Callable[..., Any]:
    """A score or a margin of what a module returns, as one of the tensor that its outputs are packed in.

    Parameters
    ----------
    function : that somebody gave.
    outputs : of the network; None where it returns one tensor.

    Raises
    ------
    InputError
        The network has several outputs, and the score or margin is that of classes.
    """
    if outputs is None or hasattr(function, "of_outputs"):
        return function
    if function in (correct, adversarial_margin):
        which = "score" if function is correct else "margin"
        found = f"none, for a network that returns {', '.join(outputs.names)}"
        raise InputError(which, found, "a function of what the network returns (and, for a score, of labels)")

    @functools.wraps(function)
    def told(packed: torch.Tensor, *others: torch.Tensor) -> Any:
        return function(outputs.unpacked(packed), *others)

    told.of_outputs, told.bounded = outputs, is_bounded(function)  # type: ignore[attr-defined]
    told.__qualname__ = getattr(function, "__qualname__", repr(function))
    return told


def is_bounded(score: Score) -> bool:
    """Whether a score is one of numbers from 0 to 1.

    Parameters
    ----------
    score : of outputs and labels.
    """
    return bool(getattr(score, "bounded", True))


def chance(score: Score, scores: FloatArray, classes: int) -> str | None:
    """What is to be said where labels may not belong to their inputs: the network is no better than guessing.

    Parameters
    ----------
    score : only of `correct` it is known what guessing gives.
    scores : (n,) of the unquantized network, 0 or 1.
    classes : how many the network tells apart.

    Returns
    -------
    A warning where a score at chance, one in `classes`, lies within the 95 % interval of Clopper and Pearson; None
    where the network is better.

    Raises
    ------
    InputError
        The network is worse than guessing, beyond doubt: labels in another order, or numbered from 1.
    """
    if score is not correct:
        return None
    n, right = len(scores), int(np.sum(scores == 1.0))
    share, guessed = right / n, 1.0 / classes
    most, least = (binomial_end(count, n, CONFIDENCE) for count in (right, n - right))
    if most < guessed:
        found = f"{share:.4f} right of {n}, where guessing gives {guessed:.4f}"
        raise InputError("labels", found, "labels that belong to the inputs, in the order of the network's classes")
    if 1.0 - least <= guessed:
        found = f"{share:.4f} right of {n} is no better than guessing ({guessed:.4f})"
        return f"{found}: do the labels belong to the inputs?"
    return None


def check_finite(logits: torch.Tensor, first: int) -> None:
    """Refuse outputs that are not numbers.

    Parameters
    ----------
    logits : (n, ...).
    first : number of the first of these examples, for the message.

    Raises
    ------
    InputError
        There are such outputs; the first of them is named.
    """
    bad = ~torch.isfinite(logits.reshape(len(logits), -1)).all(dim=1)
    if bool(bad.any()):
        at = first + int(bad.nonzero()[0])
        raise InputError("logits", f"an output that is not finite, for example {at}", "finite numbers")


def qualified_name(function: Score | Margin) -> str:
    """By what name a score or a margin is known to a checkpoint: its module and its own.

    Parameters
    ----------
    function : that somebody gave.
    """
    return f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}"


def scored(score: Score, outputs: torch.Tensor, labels: torch.Tensor) -> FloatArray:
    """Scores of several variants of the same examples.

    Parameters
    ----------
    score : of each example.
    outputs : (v, n, ...).
    labels : (n, ...).

    Returns
    -------
    (v, n)

    Raises
    ------
    InputError
        Not one number for each example, or one outside of [0, 1] (of a score without bounds: not finite).
    """
    v, n = outputs.shape[:2]
    repeated = labels.expand(v, *labels.shape).flatten(0, 1)
    found = score(outputs.flatten(0, 1), repeated)
    if not isinstance(found, torch.Tensor) or found.shape != (v * n,):
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else shown(found)
        raise InputError("score", f"{shape} for {v * n} examples", "a tensor with one number for each example")
    array: FloatArray = found.detach().double().numpy(force=True).reshape(v, n)
    if not is_bounded(score):
        if not bool(np.all(np.isfinite(array))):
            raise InputError("score", shown(float(array[~np.isfinite(array)][0])), "finite numbers")
    elif not bool(np.all((array >= 0) & (array <= 1))):
        raise InputError("score", shown(float(array[~((array >= 0) & (array <= 1))][0])), "numbers from 0 to 1")
    return array


def squared_change(outputs: torch.Tensor, reference: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(v, n) ``||Z' - Z||^2`` of outputs (v, n, ...) against the reference's (n, ...), summed in float64.

    Parameters
    ----------
    outputs : (v, n, ...) of v variants.
    reference : (n, ...).
    """
    v, n = outputs.shape[:2]
    return (outputs - reference).double().square_().reshape(v, n, -1).sum(dim=2).numpy(force=True)

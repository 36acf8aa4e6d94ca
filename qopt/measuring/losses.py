"""How much of its score a network loses at most: intervals of a paired loss that are right for small counts too.

Of n examples, b are right before and wrong after (lost), c the other way round (gained); the loss is (b - c) / n. A
bootstrap of few changes is too narrow, of none it has no width at all, so the ends come from Tango's score interval
(Statistics in Medicine 17, 1998): the losses that the score test does not refute. Where a guarantee is asked, whatever
n and the shares, from the binomial intervals of Clopper and Pearson (Biometrika 26, 1934). Scores that are means (a
loss per token) are resampled, whole examples (sequences) at a time.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError
from qopt.measuring.intervals import CONFIDENCE, DRAWS, Estimate, Resamples

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

LEAST_CHANGED = 30
"""Examples that must change before a bootstrap of graded scores is believed: the usual size from which a mean is taken
for normal. Of fewer, each change counts as a whole example, which can only widen the interval."""

_HALVINGS = 53
"""Of the interval [-1, 1] in which a root lies: down to the rounding of its ends."""


def _variance(lost: FloatArray, gained: FloatArray, n: int, loss: FloatArray) -> FloatArray:
    """n times the variance of b - c if the loss were this: n (2 q + d (1 - d)), q the likeliest share gained."""
    a = 2.0 * n
    b = -lost - gained + (a - lost + gained) * loss
    c = -gained * loss * (1.0 - loss)
    root = np.sqrt(np.maximum(b * b - 4.0 * a * c, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.where(b > 0.0, -2.0 * c / (root + b), (root - b) / (2.0 * a))  # the form that does not cancel
    found: FloatArray = n * np.maximum(2.0 * q + loss * (1.0 - loss), 0.0)
    return found


def refuted(lost: Any, gained: Any, n: int, loss: Any, confidence: float = CONFIDENCE) -> BoolArray:
    """Whether the score test refutes that the loss is as large as this: where it does, the upper end lies below.

    Parameters
    ----------
    lost, gained : (...) examples that change from right to wrong, and from wrong to right.
    n : examples in all.
    loss : (...) a loss in (-1, 1].
    confidence : of the two-sided interval; the test is one-sided, at half of what is left.
    """
    lost, gained, loss = (np.asarray(x, dtype=np.float64) for x in (lost, gained, loss))
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    found: BoolArray = lost - gained - n * loss + z * np.sqrt(_variance(lost, gained, n, loss)) <= 0.0
    return found


def p_value(lost: Any, gained: Any, n: int, loss: Any) -> FloatArray:
    """(...) one-sided p-value of the score test that the loss is this or less: small where it is larger.

    Parameters
    ----------
    lost, gained, n, loss : as for `refuted`.
    """
    from scipy.special import ndtr

    lost, gained, loss = (np.asarray(x, dtype=np.float64) for x in (lost, gained, loss))
    beyond, spread = lost - gained - n * loss, np.sqrt(_variance(lost, gained, n, loss))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(spread > 0.0, beyond / spread, np.where(beyond > 0.0, np.inf, -np.inf))
    found: FloatArray = ndtr(-z)
    return found


def holm(p: Any, error: float = 1.0 - CONFIDENCE) -> BoolArray:
    """(m,) which of m hypotheses are rejected, none of them wrongly but with this probability (Holm, 1979).

    Parameters
    ----------
    p : (m,) their p-values, dependent in any way.
    error : probability that a true one is among the rejected.
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    passed = p[order] <= error / np.arange(len(p), 0, -1)
    found = np.zeros(len(p), dtype=bool)
    found[order] = np.logical_and.accumulate(passed)
    return found


def score_upper(lost: Any, gained: Any, n: int, confidence: float = CONFIDENCE) -> FloatArray:
    """(...) upper end of Tango's score interval for the loss (b - c) / n; the lower end is minus that of (c, b).

    Parameters
    ----------
    lost, gained, n, confidence : as for `refuted`.
    """
    lost, gained = np.broadcast_arrays(np.asarray(lost, dtype=np.float64), np.asarray(gained, dtype=np.float64))
    low, high = (lost - gained) / n, np.ones(lost.shape)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        out = refuted(lost, gained, n, middle, confidence)
        low, high = np.where(out, low, middle), np.where(out, middle, high)
    return high


def binomial_end(count: Any, n: int, confidence: float) -> FloatArray:
    """(...) upper end of Clopper and Pearson's two-sided interval for a share of which `count` of n were seen.

    Parameters
    ----------
    count : (...) how many were seen.
    n : examples in all.
    confidence : of the two-sided interval.
    """
    from scipy.special import betaincinv

    count = np.asarray(count, dtype=np.float64)
    found: FloatArray = np.where(
        count < n, betaincinv(count + 1.0, np.maximum(n - count, 1.0), 0.5 + confidence / 2.0), 1.0
    )
    return found


def exact_upper(lost: Any, gained: Any, n: int, confidence: float = CONFIDENCE) -> FloatArray:
    """(...) upper end that holds for every n and every share: Clopper and Pearson's for b / n less theirs for c / n.

    Each takes half of the error that is allowed above.

    Parameters
    ----------
    lost, gained, n : as for `refuted`.
    confidence : of the two-sided interval for the loss.
    """
    each = 0.5 + confidence / 2.0
    not_gained = n - np.asarray(gained, dtype=np.float64)
    found: FloatArray = binomial_end(lost, n, each) + binomial_end(not_gained, n, each) - 1.0
    return found


def least_examples(level: float, *, guarantee: bool = False, confidence: float = CONFIDENCE) -> int:
    """The least number of examples that can show that a loss is within a level: that many, and none changes.

    Parameters
    ----------
    level : accuracy level a in (0, 1].
    guarantee : by the exact interval; by default by the score interval (381 for one point, 765 for half of one).
    confidence : of the two-sided interval.
    """
    if level >= 1.0:
        return 1
    if guarantee:
        return math.ceil(math.log((1.0 - confidence) / 4.0) / math.log1p(-level))
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    return math.ceil(z * z * (1.0 - level) / level)


def check_decidable(
    levels: Any, examples: int, *, guarantee: bool = False, field: str = "levels", which: str = "calibration"
) -> None:
    """Refuse accuracy levels that so many examples cannot decide, whatever they show.

    Parameters
    ----------
    levels : accuracy levels a in (0, 1], at least one.
    examples : how many there are.
    guarantee : as for `least_examples`.
    field : name of the input that the error complains of.
    which : in words, what the examples are for.

    Raises
    ------
    InputError
        The smallest such level, and how many examples could decide it.
    """
    level = min(levels)
    needed = least_examples(level, guarantee=guarantee)
    if needed > examples:
        found = f"{level:g} with {examples} {which} examples, which cannot decide it"
        raise InputError(field, found, f"at least {needed} {which} examples for that level, or larger levels")


def changes(difference: FloatArray) -> tuple[int, int] | None:
    """How many examples were lost and gained; None where some change by a part of their score.

    Parameters
    ----------
    difference : (n,) score before minus score after.
    """
    lost, gained = int(np.sum(difference == 1.0)), int(np.sum(difference == -1.0))
    return (lost, gained) if lost + gained == np.count_nonzero(difference) else None


def paired_loss(
    before: np.ndarray[Any, Any],
    after: np.ndarray[Any, Any],
    *,
    seed: int = 0,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
    guarantee: bool = False,
    bounded: bool = True,
) -> Estimate:
    """Score lost between two runs on the same examples, with its interval.

    Where every example is right or wrong, Tango's score interval, or the exact one; other scores are resampled, whole
    examples at a time.

    Parameters
    ----------
    before, after : (n,) score of each example, or whether it is right.
    seed, draws : of the resampling, where there is any.
    confidence : of the two-sided interval.
    guarantee : whether the interval must hold for every n: exact for right and wrong, the empirical Bernstein bound of
        Maurer and Pontil (COLT 2009) for other scores.
    bounded : whether scores lie in [0, 1]; others (a loss per token) are always resampled.

    Returns
    -------
    The mean of before less after, with the ends of its interval.

    Raises
    ------
    InputError
        Not one score for the same examples, scores that are not numbers, or a guarantee for scores without bounds.
    """
    if before.shape != after.shape or before.ndim != 1 or len(before) == 0:
        found = f"shapes {before.shape} and {after.shape}"
        raise InputError("scores", found, "the same examples, at least one")
    difference = before.astype(np.float64) - after
    if not bool(np.all(np.isfinite(difference))):
        raise InputError("scores", "numbers that are not finite", "finite numbers")
    n, value = len(difference), float(difference.mean())
    if not bounded:
        check_guarantee(guarantee)
        return Estimate.of(value, Resamples(n, seed=seed, draws=draws).means(difference[:, None])[:, 0], confidence)
    upper = exact_upper if guarantee else score_upper
    counts = changes(difference)
    if counts is not None:
        lost, gained = counts
        below, above = upper([gained, lost], [lost, gained], n, confidence)
        ends = -float(below), float(above)
    elif guarantee:
        wide = _bernstein(difference, confidence)
        ends = value - wide, value + wide
    elif np.count_nonzero(difference) < LEAST_CHANGED:
        changed = [np.sum(difference < 0), np.sum(difference > 0)]
        entirely = [np.sum(difference == 1.0), np.sum(difference == -1.0)]
        below, above = upper(changed, entirely, n, confidence)
        ends = -float(below), float(above)
    else:
        drawn = Resamples(n, seed=seed, draws=draws).means(difference[:, None])[:, 0]
        found_ends = Estimate.of(value, drawn, confidence)
        ends = found_ends.low, found_ends.high
    return Estimate(value, min(value, ends[0]), max(value, ends[1]))


def check_guarantee(guarantee: bool) -> None:
    """Refuse a guarantee for scores without bounds.

    Parameters
    ----------
    guarantee : whether one is asked for.

    Raises
    ------
    InputError
        It is: the mean of numbers of any size has no interval that holds for every n.
    """
    if guarantee:
        found = "a guarantee for a score that may be any number"
        raise InputError("guarantee", found, "a score from 0 to 1, or no guarantee")


def _bernstein(difference: FloatArray, confidence: float) -> float:
    """How far the mean of numbers in [-1, 1] may lie from that of a sample, in one direction."""
    n = len(difference)
    if n == 1:
        return 2.0
    logarithm = math.log(4.0 / (1.0 - confidence))  # of 2 over the error on one side
    return math.sqrt(2.0 * float(difference.var(ddof=1)) * logarithm / n) + 14.0 * logarithm / (3.0 * (n - 1))

"""How many epochs a loss needs to come down to its limit, in exact arithmetic (Eqs. 11-12).

    L(K) = L_a + gamma + sum_{k=1..K} (gamma^update(k) + gamma^run(k)) <= L_max

The test is that of every limit (`qopt.core.limits.within`): terms as given, relative slack 1e-12 of the limit.
"""

from __future__ import annotations

import math
from fractions import Fraction

from qopt.core.arrays import FloatArray
from qopt.core.limits import limit_with_slack

MAX_EPOCHS = 100_000
"""More epochs than these count as never."""

Change = float | FloatArray
"""Loss change of each epoch: one number for all, or a list of one an epoch."""


def _listed(changes: tuple[Change, ...]) -> int | None:
    """Epochs for which changes are listed; None where all are single numbers."""
    lengths = [len(c) for c in changes if not isinstance(c, float)]
    return min(lengths) if lengths else None


def losses(start: tuple[float, ...], changes: tuple[Change, ...], epochs: int) -> list[Fraction]:
    """Loss after epochs 0..`epochs`, exactly; shorter where the lists of changes are.

    Parameters
    ----------
    start : two terms of the loss before the first epoch, one for L_a and one for gamma.
    changes : gamma^update and gamma^run, a number for all epochs or one for each.
    epochs : how many at most.
    """
    listed = _listed(changes)
    after = [sum(map(Fraction, start), Fraction(0))]
    for k in range(epochs if listed is None else min(epochs, listed)):
        step = sum((Fraction(c if isinstance(c, float) else float(c[k])) for c in changes), Fraction(0))
        after.append(after[-1] + step)
    return after


def fewest_epochs(start: tuple[float, ...], changes: tuple[Change, ...], limit: float) -> int | None:
    """The fewest epochs >= 1 after which the loss is within its limit; None if it never is.

    Lists of changes end: what they do not reach, is never reached.

    Parameters
    ----------
    start : two terms of the loss before the first epoch, one for L_a and one for gamma.
    changes : gamma^update and gamma^run, a number for all epochs or one for each.
    limit : L_max.
    """
    allowed = Fraction(limit_with_slack(limit))
    listed = _listed(changes)
    if listed is not None:
        after = losses(start, changes, listed)
        return next((k for k, loss in enumerate(after) if k and loss <= allowed), None)
    step = sum((Fraction(c) for c in changes if isinstance(c, float)), Fraction(0))
    above = sum(map(Fraction, start), Fraction(0)) - allowed
    if above + step <= 0:
        return 1
    if step >= 0:
        return None
    epochs = math.ceil(above / -step)
    return epochs if epochs <= MAX_EPOCHS else None


def least_loss(start: tuple[float, ...], changes: tuple[Change, ...], epochs: int) -> float | None:
    """The smallest limit >= 0 that some number of epochs up to `epochs` reaches, rounded up; None if there is none.

    Parameters
    ----------
    start : two terms of the loss before the first epoch, one for L_a and one for gamma.
    changes : gamma^update and gamma^run, a number for all epochs or one for each.
    epochs : how many at most.
    """
    if _listed(changes) is None:  # the loss moves one way: the first or the last epoch is best
        step = sum((Fraction(c) for c in changes if isinstance(c, float)), Fraction(0))
        first = sum(map(Fraction, start), Fraction(0)) + step
        after = [first, first + (epochs - 1) * step] if epochs else []
    else:
        after = losses(start, changes, epochs)[1:]
    if not after:
        return None
    least = max(min(after), Fraction(0))
    rounded = float(least)
    return rounded if Fraction(rounded) >= least else math.nextafter(rounded, math.inf)

"""Many sums at once, each rounded once, as `math.fsum` does."""

from __future__ import annotations

import math
import time

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.kernels.exact import CLOCK_EVERY
from qopt.kernels.knapsack.relaxation import Steps
from qopt.kernels.knapsack.ties import Merged
from qopt.kernels.tolerances import DIGITS, EPSILON


def rounded_sums(values: FloatArray) -> FloatArray:
    """(P,) sums of the rows of a (P, n) array, correctly rounded.

    Every addition's rounding error is itself a float (Knuth's two-sum); the errors are added up beside the sum.
    Where what is still uncertain could change the last digit, `math.fsum` decides.

    Parameters
    ----------
    values : numbers, finite.
    """
    total, error = np.zeros(len(values)), np.zeros(len(values))
    largest, terms = np.zeros(len(values)), values.T
    for term in terms:
        summed = total + term
        back = summed - total
        error += (total - (summed - back)) + (term - back)
        total = summed
        np.maximum(largest, np.abs(total), out=largest)
    n = len(terms)
    # The errors are below n eps largest in all, and each of n additions of them is off by eps of that, at most.
    doubt = (n + 2.0) ** 2 * EPSILON**2 * largest + 4.0 * EPSILON * np.abs(error)
    low, high = total + (error - doubt), total + (error + doubt)
    for row in np.flatnonzero(~(low == high)).tolist():
        low[row] = math.fsum(values[row].tolist())
    return low


def walked_sums(values: FloatArray, steps: Steps, tied: Merged, deadline: float | None = None) -> FloatArray:
    """(T + 1,) sums over the choices after 0, 1, ..., T hull steps, correctly rounded; fewer if the time is over.

    A step changes one merged class, so that the sums are kept exactly, as whole numbers of the last digit of all,
    and never added up anew.

    Parameters
    ----------
    values : (n, k) of the classes given.
    steps : of the merged classes.
    tied : which classes these are.
    deadline : `time.perf_counter` at which it stops; None for none.
    """
    mantissa, exponent = np.frexp(values)
    shift = exponent - DIGITS
    least = int(shift.min(initial=0))
    digits, up = np.ldexp(mantissa, DIGITS).astype(np.int64), shift - least
    at = tied.expand(steps.start)
    rows = np.arange(len(values))
    start = sum(d << s for d, s in zip(digits[rows, at].tolist(), up[rows, at].tolist(), strict=True))
    several = dict(tied.groups)
    now = steps.start.tolist()
    found, unit = [start], 1 << -least
    for step, (owner, item) in enumerate(zip(steps.owner.tolist(), steps.item.tolist(), strict=True)):
        if step % CLOCK_EVERY == 0 and deadline is not None and time.perf_counter() > deadline:
            break
        for i in several.get(owner) or (tied.heads[owner],):
            start += (int(digits[i, item]) << int(up[i, item])) - (int(digits[i, now[owner]]) << int(up[i, now[owner]]))
        now[owner] = item
        found.append(start)
    return np.array([whole / unit for whole in found])  # true division of integers rounds once

"""Many sums at once, each rounded once: `math.fsum` along the rows of an array."""

from __future__ import annotations

import math

import numpy as np

from qopt.arrays import FloatArray

EPSILON = 2.0**-52


def rounded_sums(values: FloatArray) -> FloatArray:
    """(P,) sums of the rows of a (P, n) array, correctly rounded.

    Every addition's rounding error is itself a float (Knuth's two-sum); the errors are added up beside the sum.
    Where what is still uncertain could change the last digit, `math.fsum` decides.
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

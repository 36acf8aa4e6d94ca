"""Noise terms of tensors at widths.

The terms are computed here once and are exact data from then on: every method, every model and every
certificate reads the same floating-point numbers.
"""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.errors import InputError, MethodError
from qopt.qpart.problem import QPart


def widths(problem: QPart) -> IntArray:
    """(k,) admissible bit-widths lo..hi."""
    return np.arange(problem.bits.lo, problem.bits.hi + 1)


def _robustness(problem: QPart) -> tuple[FloatArray | float, FloatArray | float]:
    rho_w, rho_x = problem.accuracy.rho_weights, problem.accuracy.rho_activations
    row = problem.level_row
    return (1.0 if rho_w is None else rho_w[row]), (1.0 if rho_x is None else rho_x[row])


def _quotient(name: str, noise: FloatArray, rho: FloatArray | float) -> FloatArray:
    """Noise over robustness, refused where it overflows."""
    with np.errstate(over="ignore"):
        terms: FloatArray = noise / rho
    bad = np.argwhere(~np.isfinite(terms))
    if bad.size:
        at = "".join(f"[{i}]" for i in bad[0])
        raise InputError(f"noise.{name}{at}", f"{noise[tuple(bad[0])]:g} over a tiny rho", "a finite quotient")
    return terms


def coefficients(problem: QPart) -> tuple[FloatArray, FloatArray]:
    """c = s / rho of weights and activations, each (L,): noise spent per 4^-b (Eqs. 18-22).

    Raises
    ------
    MethodError
        The instance has measured noise only and no coefficients s.
    """
    noise = problem.noise
    if noise.s_weights is None or noise.s_activations is None:
        raise MethodError("noise.s_weights: found nothing; allowed: a column, to work with the law s 4^-b")
    rho_w, rho_x = _robustness(problem)
    return _quotient("s_weights", noise.s_weights, rho_w), _quotient("s_activations", noise.s_activations, rho_x)


def noise_terms(problem: QPart) -> tuple[FloatArray, FloatArray]:
    """Noise terms N_i(b) / rho_i of weights and of activations, each (L, k), in the model of noise in force.

    The columns are the widths lo..hi. Row l - 1 is layer l.
    """
    b = widths(problem)
    if problem.noise.model == "table":
        table = problem.noise.table
        assert table is not None
        rho_w, rho_x = _robustness(problem)
        columns = b - int(table.bits[0])
        return (
            _quotient("table.weights", table.weights[:, columns], np.reshape(rho_w, (-1, 1))),
            _quotient("table.activations", table.activations[:, columns], np.reshape(rho_x, (-1, 1))),
        )
    c_w, c_x = coefficients(problem)
    factor = np.ldexp(1.0, -2 * b) if problem.noise.model == "law" else (np.ldexp(1.0, b) - 1.0) ** -2
    return c_w[:, None] * factor, c_x[:, None] * factor

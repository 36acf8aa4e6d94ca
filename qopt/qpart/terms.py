"""Noise terms of tensors at widths.

The terms are computed here once and are exact data from then on: every method, every model and every
certificate reads the same floating-point numbers.
"""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.errors import InputError, MethodError
from qopt.qpart.menus import masks
from qopt.qpart.problem import QPart


def widths(problem: QPart) -> IntArray:
    """(k,) bit-widths that some tensor may have, ascending: lo..hi without menus."""
    return problem.widths


def _robustness(problem: QPart) -> tuple[FloatArray | float, FloatArray | float]:
    """rho of weights and of outputs, behind which stands the raw input's where it is quantized."""
    accuracy, row = problem.accuracy, problem.level_row
    rho_w, rho_x = accuracy.rho_weights, accuracy.rho_activations
    of_weights = 1.0 if rho_w is None else rho_w[row]
    of_outputs = 1.0 if rho_x is None else rho_x[row]
    if problem.quantize_input:
        of_input = 1.0 if accuracy.rho_input is None else accuracy.rho_input[row]
        of_outputs = np.append(np.broadcast_to(of_outputs, (problem.layers,)), of_input)
    return of_weights, of_outputs


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

    Behind the activations stands the raw input's where it is quantized, as in `noise_terms`.

    Raises
    ------
    MethodError
        The instance has measured noise only and no coefficients s.
    """
    noise = problem.noise
    if noise.s_weights is None or noise.s_activations is None:
        raise MethodError("noise.s_weights: found nothing; allowed: a column, to work with the law s 4^-b")
    rho_w, rho_x = _robustness(problem)
    s_x = noise.s_activations
    if problem.quantize_input:
        if noise.s_input is None:
            raise MethodError("noise.s_input: found nothing; allowed: a number, to work with the law s 4^-b")
        s_x = np.append(s_x, noise.s_input)
    return _quotient("s_weights", noise.s_weights, rho_w), _quotient("s_activations", s_x, rho_x)


def noise_terms(problem: QPart) -> tuple[FloatArray, FloatArray]:
    """Noise terms N_i(b) / rho_i of weights and of activations, each (L, k), in the model of noise in force.

    The columns are those of `widths`. Row l - 1 is layer l; where the raw input is quantized, a last row of the
    activations is it, so that row i - 1 is tensor i for i = 0 as well.
    """
    b = widths(problem)
    if problem.noise.model == "table":
        table = problem.noise.table
        assert table is not None
        rho_w, rho_x = _robustness(problem)
        columns = b - int(table.bits[0])
        outputs = table.activations[:, columns]
        if problem.quantize_input:
            assert table.input is not None
            outputs = np.vstack((outputs, table.input[columns]))
        return (
            _quotient("table.weights", table.weights[:, columns], np.reshape(rho_w, (-1, 1))),
            _quotient("table.activations", outputs, np.reshape(rho_x, (-1, 1))),
        )
    c_w, c_x = coefficients(problem)
    factor = np.ldexp(1.0, -2 * b) if problem.noise.model == "law" else (np.ldexp(1.0, b) - 1.0) ** -2
    return c_w[:, None] * factor, c_x[:, None] * factor


def menu_masks(problem: QPart) -> tuple[BoolArray, BoolArray] | None:
    """(L, k) which widths the weights of each layer may have, and which its output; None without menus.

    Behind the outputs stands the raw input where it is quantized.
    """
    if not problem.bits.has_menus:
        return None
    weights, outputs = problem.bits.menus(problem.layers, problem.quantize_input)
    return masks(weights, problem.widths), masks(outputs, problem.widths)

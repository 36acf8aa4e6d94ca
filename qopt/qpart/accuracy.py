"""What quantizing does to the logits, and what each accuracy level allows: noise by width, and limits on its sum."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from qopt.core.checks import check_lengths
from qopt.core.columns import Quantities, QuantityRows, Robustness, RobustnessRows, Shares, Widths, complaint
from qopt.core.errors import shown
from qopt.core.problem import Frozen, Quantity


class NoiseTable(Frozen):
    """Measured noise N_i(b): a row for each tensor, a column for each width in `bits`.

    Attributes
    ----------
    bits : (k,) consecutive widths.
    weights : (L, k) noise of the weights of each layer.
    activations : (L, k) noise of the output of each layer.
    input : (k,) noise of the raw input, where it is quantized.
    """

    bits: Widths
    weights: QuantityRows
    activations: QuantityRows
    input: Quantities | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.bits) == 0 or np.any(np.diff(self.bits) != 1):
            raise complaint(".bits", shown(self.bits.tolist()), "consecutive widths, ascending")
        columns = {"weights": self.weights, "activations": self.activations}
        check_lengths(columns, len(self.bits), "width", axis=1)
        check_lengths({"input": self.input}, len(self.bits), "width")
        return self


class Noise(Frozen):
    """Noise that quantizing one tensor adds to the logits (Eqs. 18-19), mean squared norm.

    Attributes
    ----------
    model : ``law`` is s 4^-b, ``grid`` is s (2^b - 1)^-2 (what the grid of Eq. 9 implies), ``table`` is measured.
    s_weights, s_activations : (L,) coefficients s of the law.
    s_input : the raw input's, where it is quantized.
    table : the measured noise, used as it is.
    """

    model: Literal["law", "grid", "table"] = "law"
    s_weights: Quantities | None = None
    s_activations: Quantities | None = None
    s_input: Quantity | None = None
    table: NoiseTable | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.model == "table" and self.table is None:
            raise complaint(".table", "nothing", "a table, because model is 'table'")
        if self.model != "table":
            for name in ("s_weights", "s_activations"):
                if getattr(self, name) is None:
                    raise complaint(f".{name}", "nothing", f"a column, because model is {self.model!r}")
        return self


class Accuracy(Frozen):
    """What each accuracy level allows (Eqs. 20-23): a row for each level.

    Attributes
    ----------
    levels : (K,) accepted losses a, absolute (0.01 is one point), ascending.
    delta : (K, L) noise limit Delta(a, p) of cuts p = 1..L.
    rho_weights, rho_activations : (K, L) robustness of each tensor; null where the loss is never reached,
        so that its noise does not count. Default 1.
    delta_input : (K,) noise limit Delta(a, 0) of cut 0, where the raw input is quantized.
    rho_input : (K,) robustness of the raw input, likewise. Default 1.
    """

    levels: Shares
    delta: QuantityRows
    rho_weights: RobustnessRows | None = None
    rho_activations: RobustnessRows | None = None
    delta_input: Quantities | None = None
    rho_input: Robustness | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.levels) == 0 or np.any(np.diff(self.levels) <= 0):
            raise complaint(".levels", shown(self.levels.tolist()), "at least one level, ascending")
        columns = {
            "delta": self.delta,
            "rho_weights": self.rho_weights,
            "rho_activations": self.rho_activations,
            "delta_input": self.delta_input,
            "rho_input": self.rho_input,
        }
        check_lengths(columns, len(self.levels), "level")
        return self

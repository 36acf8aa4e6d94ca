"""Measured time and energy of a network's layers, in place of MACs times a constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from pydantic import model_validator

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.checks import check_lengths
from qopt.core.columns import Quantities, QuantityTable, Widths, complaint
from qopt.core.errors import shown
from qopt.core.problem import Frozen


class LayerTables(Frozen):
    """Time and energy of each layer where it runs. What is given replaces MACs times a constant (Eqs. 5-8).

    The device runs a layer with quantized weights, and the time depends on their width; the server runs it as it is.

    Attributes
    ----------
    bits : (k,) widths of weights that the device's tables have a column for, ascending.
    device_time : (L, k) seconds of each layer on the device by the width of its weights; null at widths that the
        layer's menu has not.
    device_energy : (L, k) joules, likewise.
    server_time : (L,) seconds of each layer on the server.
    server_energy : (L,) joules; charged, like any energy of the server, only with ``server.charge_energy``.
    """

    bits: Widths | None = None
    device_time: QuantityTable | None = None
    device_energy: QuantityTable | None = None
    server_time: Quantities | None = None
    server_energy: Quantities | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.by_width and self.bits is None:
            raise complaint(".bits", "nothing", "the widths that the device's tables have columns for")
        if self.bits is not None and not self.by_width:
            raise complaint(".bits", shown(self.bits.tolist()), "nothing, without device_time or device_energy")
        if self.bits is not None:
            if len(self.bits) == 0 or np.any(np.diff(self.bits) <= 0):
                raise complaint(".bits", shown(self.bits.tolist()), "at least one width, ascending, none twice")
            columns = {"device_time": self.device_time, "device_energy": self.device_energy}
            check_lengths(columns, len(self.bits), "width", axis=1)
        return self

    @property
    def by_width(self) -> bool:
        """Whether anything depends on a width."""
        return self.device_time is not None or self.device_energy is not None

    def check(self, menus: Sequence[IntArray], names: Sequence[str]) -> None:
        """Refuse tables that do not fit the layers, or that say nothing of a width which a layer's menu has.

        Parameters
        ----------
        menus : (L,) widths that the weights of each layer may have.
        names : (L,) of the layers.
        """
        tables = {"device_time": self.device_time, "device_energy": self.device_energy}
        columns = {**tables, "server_time": self.server_time, "server_energy": self.server_energy}
        check_lengths({f"tables.{name}": column for name, column in columns.items()}, len(menus), "layer")
        if not self.by_width or self.bits is None:
            return
        for i, menu in enumerate(menus):
            missing = np.setdiff1d(menu, self.bits)
            if missing.size:
                found = f"no column for {missing[0]} bits, which the weights of {names[i]} may have"
                raise complaint(".tables.bits", found, "every admissible width of weights")
            at = np.searchsorted(self.bits, menu)
            for name, table in tables.items():
                if table is None:
                    continue
                holes = at[~np.isfinite(table[i, at])]
                if holes.size:
                    found = f"null at {self.bits[holes[0]]} bits, which the weights of {names[i]} may have"
                    raise complaint(f".tables.{name}[{i}][{holes[0]}]", found, "a number, or a menu without that width")

    def at(self, table: FloatArray, widths: IntArray) -> FloatArray:
        """(L, k) columns of one of the device's tables for some widths; infinite where it has none.

        Parameters
        ----------
        table : (L, k) of this object.
        widths : (k,) ascending.
        """
        assert self.bits is not None
        found = np.full((len(table), len(widths)), np.inf)
        shared, ours, asked = np.intersect1d(self.bits, widths, return_indices=True)
        if shared.size:
            found[:, asked] = table[:, ours]
        return found

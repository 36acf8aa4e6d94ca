"""Admissible bit-widths of a request: a range for all tensors, and menus where hardware runs only some widths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
from pydantic import model_validator

from qopt.core.arrays import BoolArray, IntArray
from qopt.core.columns import Widths, complaint
from qopt.core.errors import shown
from qopt.core.problem import Frozen
from qopt.qpart.network import Width

Menus = tuple[Widths | None, ...]


class BitRange(Frozen):
    """Admissible bit-widths: a range, and within it a menu for all tensors or for some.

    A tensor takes one of the widths of its own menu; without one those of `menu`; without that lo..hi.

    Attributes
    ----------
    lo, hi : least and largest width.
    menu : widths of every tensor that has no menu of its own, ascending, such as [2, 4, 8]; optional.
    weights : (L,) menus of the weights of each layer, optional; null for a layer that has none of its own.
    activations : (L,) menus of the output of each layer, likewise.
    input : menu of the raw input, where it is quantized.
    """

    lo: Width = 1
    hi: Width = 16
    menu: Widths | None = None
    weights: Menus | None = None
    activations: Menus | None = None
    input: Widths | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.lo > self.hi:
            raise complaint("", f"lo {self.lo} above hi {self.hi}", "lo <= hi")
        for where, menu in self._named():
            if len(menu) == 0 or np.any(np.diff(menu) <= 0):
                raise complaint(where, shown(menu.tolist()), "at least one width, ascending, none twice")
            outside = menu[(menu < self.lo) | (menu > self.hi)]
            if outside.size:
                raise complaint(where, f"{outside[0]} bits", f"widths from lo {self.lo} to hi {self.hi}")
        return self

    def _named(self) -> Iterator[tuple[str, IntArray]]:
        """Every menu that is given, with its path."""
        for name in ("menu", "input"):
            menu = getattr(self, name)
            if menu is not None:
                yield f".{name}", menu
        for name in ("weights", "activations"):
            for i, menu in enumerate(getattr(self, name) or ()):
                if menu is not None:
                    yield f".{name}[{i}]", menu

    @property
    def has_menus(self) -> bool:
        """Whether any menu is given."""
        return next(self._named(), None) is not None

    @property
    def usual(self) -> IntArray:
        """Widths of a tensor without a menu of its own."""
        return np.arange(self.lo, self.hi + 1) if self.menu is None else self.menu

    def menus(self, layers: int, with_input: bool) -> tuple[list[IntArray], list[IntArray]]:
        """Menus of the weights of each layer, and of each output; behind these the raw input's if it is asked for.

        Parameters
        ----------
        layers : L.
        with_input : whether the raw input is quantized.
        """

        def filled(own: Menus | None) -> list[IntArray]:
            return [self.usual if menu is None else menu for menu in own or (None,) * layers]

        outputs = filled(self.activations)
        if with_input:
            outputs.append(self.usual if self.input is None else self.input)
        return filled(self.weights), outputs


def masks(menus: list[IntArray], widths: IntArray) -> BoolArray:
    """(n, k) which widths are on each of n menus.

    Parameters
    ----------
    menus : of each tensor.
    widths : (k,) all widths, ascending.
    """
    found = np.zeros((len(menus), len(widths)), dtype=bool)
    for i, menu in enumerate(menus):
        found[i, np.searchsorted(widths, menu)] = True
    return found


def stand_ins(mask: BoolArray) -> IntArray:
    """(n, k) the column that stands in for each: the next width up that is on the menu, else the largest on it.

    A column off the menu is a copy of one on it, so that tables stay rectangular and nothing else is admitted.

    Parameters
    ----------
    mask : (n, k) which columns are on the menu, one at least in each row.
    """
    k = mask.shape[1]
    here = np.where(mask, np.arange(k), k)
    above = np.minimum.accumulate(here[:, ::-1], axis=1)[:, ::-1]
    last = k - 1 - np.argmax(mask[:, ::-1], axis=1)
    found: IntArray = np.where(above < k, above, last[:, None])
    return found

"""Classes that must take the same column, merged into one.

A group stands at the position of its first member; its costs and weights are the sums over its members.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.arrays import FloatArray, IntArray
from qopt.errors import InputError, shown


@dataclass(frozen=True)
class Merged:
    """Which merged class each class belongs to.

    Attributes
    ----------
    owner : (n,) merged class of each class.
    members : classes of each merged class, ascending.
    """

    owner: IntArray
    members: tuple[tuple[int, ...], ...]

    def table(self, values: FloatArray) -> FloatArray:
        """(..., n, k) values as (..., m, k): those of a group added up, each sum rounded once."""
        merged: FloatArray = values[..., [group[0] for group in self.members], :].copy()
        for at, group in enumerate(self.members):
            if len(group) > 1:
                together = np.moveaxis(values[..., list(group), :], -2, -1)
                sums = [math.fsum(entry) for entry in together.reshape(-1, len(group)).tolist()]
                merged[..., at, :] = np.reshape(sums, together.shape[:-1])
        return merged

    def expand(self, choice: IntArray) -> IntArray:
        """(..., n) columns of all classes, from the (..., m) columns of merged ones."""
        expanded: IntArray = choice[..., self.owner]
        return expanded


def merge(ties: Any, classes: int) -> Merged:
    """Read groups of classes that take the same column.

    Parameters
    ----------
    ties : groups of class numbers, each class in one group at most; None or empty for none.
    classes : n.

    Raises
    ------
    InputError
        A group that is not a list of whole numbers below n, or a class that is named twice.
    """
    first = np.arange(classes)
    named: set[int] = set()
    if ties is not None and not isinstance(ties, list | tuple):
        raise InputError("ties", shown(ties), "a list of lists of classes")
    for g, group in enumerate(ties or []):
        if not isinstance(group, list | tuple) or not group:
            raise InputError(f"ties[{g}]", shown(group), "a list of at least one class")
        for place, i in enumerate(group):
            where = f"ties[{g}][{place}]"
            if isinstance(i, bool) or not isinstance(i, int | np.integer) or not 0 <= i < classes:
                raise InputError(where, shown(i), f"a whole number from 0 to {classes - 1}")
            if int(i) in named:
                raise InputError(where, f"class {i} once more", "a class in one group, once")
            named.add(int(i))
        first[list(group)] = min(group)
    heads, owner = np.unique(first, return_inverse=True)
    members = tuple(tuple(np.flatnonzero(owner == at).tolist()) for at in range(len(heads)))
    return Merged(owner.astype(np.int64), members)

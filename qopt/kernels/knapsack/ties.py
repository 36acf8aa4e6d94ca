"""Classes that must take the same column, merged into one.

A group stands at the position of its first member; its costs and weights are the sums over its members. Such a sum
is rounded, so what decides about a choice adds up the terms as given, and `Merged.error` says how far off sums of
merged numbers may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qopt.core.arguments import is_whole
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.kernels.arguments import LARGEST
from qopt.kernels.tolerances import EPSILON


@dataclass(frozen=True, repr=False)
class Merged(Brief):
    """Which merged class each class belongs to.

    Attributes
    ----------
    owner : (n,) merged class of each class.
    heads : (m,) first member of each merged class.
    groups : (merged class, its members, ascending), of those with several members.
    """

    owner: IntArray
    heads: IntArray
    groups: tuple[tuple[int, list[int]], ...]

    def table(self, values: FloatArray) -> FloatArray:
        """(..., n, k) values as (..., m, k): those of a group added up, each sum rounded once.

        Parameters
        ----------
        values : numbers, finite.

        Raises
        ------
        InputError
            A sum beyond what a number given may be.
        """
        if not self.groups:
            return values
        merged: FloatArray = values[..., self.heads, :]
        for at, group in self.groups:
            merged[..., at, :] = _summed(values[..., group, :])
            if np.abs(merged[..., at, :]).max(initial=0.0) > LARGEST:
                raise InputError("ties", f"sums over classes {shown(group)} beyond {LARGEST:g}", "smaller numbers")
        return merged

    def error(self, values: FloatArray) -> FloatArray:
        """(...) how far the sum over any choice of merged values may be from that of (..., n, k) values; 0: exact.

        Parameters
        ----------
        values : numbers, finite.
        """
        worst = [np.zeros(values.shape[:-2])]
        for _, group in self.groups:
            part = values[..., group, :]
            # The difference is rounded, but 0 only where it is 0.
            off = _summed(np.concatenate((part, -_summed(part)[..., None, :]), axis=-2))
            worst.append(np.abs(off).max(axis=-1, initial=0.0))
        found: FloatArray = _summed(np.stack(worst, axis=-1)[..., None]).reshape(values.shape[:-2])
        return found * (1.0 + 4.0 * EPSILON)  # twice rounded, and then some

    def expand(self, choice: IntArray) -> IntArray:
        """(..., n) columns of all classes, from the (..., m) columns of merged ones.

        Parameters
        ----------
        choice : (n,) column of each class.
        """
        expanded: IntArray = choice[..., self.owner]
        return expanded


def _summed(values: FloatArray) -> FloatArray:
    """(..., k) sums along the last axis but one of (..., g, k) values, each rounded once."""
    terms = np.moveaxis(values, -2, -1)
    sums = [math.fsum(entry) for entry in terms.reshape(-1, terms.shape[-1]).tolist()]
    return np.reshape(np.array(sums, dtype=np.float64), terms.shape[:-1])


def merge(ties: Sequence[Sequence[int]] | None, classes: int) -> Merged:
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
    groups: dict[int, list[int]] = {}
    for g, group in enumerate(ties or []):
        if not isinstance(group, list | tuple) or not group:
            raise InputError(f"ties[{g}]", shown(group), "a list of at least one class")
        for place, i in enumerate(group):
            where = f"ties[{g}][{place}]"
            if not is_whole(i) or not 0 <= i < classes:
                allowed = f"a whole number from 0 to {classes - 1}" if classes else "nothing, without classes"
                raise InputError(where, shown(i), allowed)
            if int(i) in named:
                raise InputError(where, f"class {i} once more", "a class in one group, once")
            named.add(int(i))
        members = sorted(map(int, group))
        first[members] = members[0]
        if len(members) > 1:
            groups[members[0]] = members
    heads, owner = np.unique(first, return_inverse=True)
    at = np.searchsorted(heads, list(groups)).tolist()
    return Merged(owner.astype(np.int64), heads, tuple(zip(at, groups.values(), strict=True)))

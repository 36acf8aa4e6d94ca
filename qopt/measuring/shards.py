"""Several devices or processes measure one network: each a shard of its tensors, none of them twice.

What is measured of a tensor depends on no other tensor, so shard i of n takes every n-th one. Shards that share a
checkpoint's folder share the pass over the unquantized network too, and need no merging: a run without a shard finds
everything there and goes on. Sensitivities that were measured apart are put together by `Sensitivity.merged`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qopt.core.arguments import is_whole
from qopt.core.errors import InputError, shown
from qopt.measuring.network import TensorName


class Shard(NamedTuple):
    """Part i of n, i from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``i/n``."""
        number, slash, of = (part.strip() for part in text.partition("/"))
        if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise InputError("--shard", shown(text), "i/n, whole numbers with 1 <= i <= n")
        return cls(int(number), int(of))

    @classmethod
    def checked(cls, shard: object) -> Shard:
        """A shard from two numbers (i, n).

        Raises
        ------
        InputError
            Something else, or not 1 <= i <= n.
        """
        if isinstance(shard, tuple) and len(shard) == 2 and all(map(is_whole, shard)) and 1 <= shard[0] <= shard[1]:
            return cls(*shard)
        raise InputError("shard", shown(shard), "(i, n), whole numbers with 1 <= i <= n")

    def order(self, count: int) -> list[int]:
        """Units 0 .. `count` - 1 that all shards need, this one's share of them first.

        Shards that work at the same time find the others' shares done when they have done their own.
        """
        first = count * (self.number - 1) // self.of
        return [*range(first, count), *range(first)]

    def part(self, tensors: Sequence[TensorName]) -> list[TensorName]:
        """Those of the tensors that this shard measures; about as much work as any other's.

        Raises
        ------
        InputError
            More shards than tensors.
        """
        if self.of > len(tensors):
            raise InputError("shard", f"{self.of} shards", f"at most {len(tensors)}, one for each tensor")
        return list(tensors[self.number - 1 :: self.of])

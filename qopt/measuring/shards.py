"""Several devices or processes measure one network: each a shard of its tensors, none of them twice.

What is measured of a tensor depends on no other tensor, so shard i of n takes every n-th one. Shards that share a
checkpoint's folder share the pass over the unquantized network too, and need no merging: a run without a shard finds
everything there and goes on. Sensitivities that were measured apart are put together by `Sensitivity.merged`.
"""

from __future__ import annotations

from collections.abc import Sequence

from qopt.core.errors import InputError
from qopt.core.shard import Shard
from qopt.measuring.network import TensorName


def order(shard: Shard, count: int) -> list[int]:
    """Units 0 .. `count` - 1 that all shards need, this one's share of them first.

    Shards that work at the same time find the others' shares done when they have done their own.
    """
    first = count * (shard.number - 1) // shard.of
    return [*range(first, count), *range(first)]


def tensors_of(shard: Shard, tensors: Sequence[TensorName]) -> list[TensorName]:
    """Those of the tensors that a shard measures; about as much work as any other's.

    Raises
    ------
    InputError
        More shards than tensors.
    """
    if shard.of > len(tensors):
        raise InputError("shard", f"{shard.of} shards", f"at most {len(tensors)}, one for each tensor")
    return list(tensors[shard.number - 1 :: shard.of])

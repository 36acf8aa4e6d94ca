"""The pass on torch's device: the same products and sums, exact in float64, so the same answer.

`torch.argmin` takes the first of equals too. Requests stay on the device between passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.errors import InputError, shown
from qopt.fleet.arrays import Group, Key, Shard, Tables, blocks
from qopt.fleet.passes import Sums, coefficients

if TYPE_CHECKING:
    import torch

ROWS = {"cpu": 8_192, "cuda": 1_000_000}
"""Rows at a time: what fits into a processor's cache, or keeps a GPU busy within a gigabyte."""


class TorchPass:
    """Shards on a device, and the pass over them.

    Parameters
    ----------
    tables, shards : of the problem.
    device : such as ``cpu`` or ``cuda``; None for a GPU if there is one.

    Raises
    ------
    InputError
        The device is not there.
    """

    def __init__(self, tables: Tables, shards: Sequence[Shard], device: str | None) -> None:
        import torch

        name = device if device is not None else "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.device = torch.device(name)
            torch.zeros(1, device=self.device)
        except (RuntimeError, AssertionError):
            raise InputError("device", shown(name), "one that torch finds here, such as cpu") from None
        self.tables = tables
        rows = ROWS.get(self.device.type, ROWS["cpu"])
        self.parts = [self._moved(group) for shard in shards for group in blocks(shard, rows)]

    def _moved(self, group: Group) -> tuple[Key, Any, Any, Any, Any]:
        """Airtimes (n, 3), what misses deadlines, penalties and weights of a group, on the device."""
        import torch

        def of(column: IntArray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(column)).to(self.device)

        ones = np.ones(len(group), dtype=np.int64)
        airtime = of(np.stack((ones, group.up, group.down), axis=1)).double()
        missed = None
        if group.deadline is not None:
            time = of(self.tables.menus[group.key].time.T).double()
            missed = airtime @ time > of(group.deadline)[:, None]
        weights = np.stack((ones, group.up, group.down, group.penalty), axis=1) * group.counts[:, None]
        return group.key, airtime, missed, of(group.penalty).double(), of(weights)

    def __call__(self, lam: IntArray, shift: int) -> dict[Key, Sums]:
        """Sums of each group at some multipliers."""
        import torch

        found: dict[Key, Any] = {}
        priced = {key: coefficients(menu, lam, shift) for key, menu in self.tables.menus.items()}
        for key, airtime, missed, penalty, weights in self.parts:
            table = torch.from_numpy(priced[key].T.astype(float)).to(self.device)
            lengths = airtime @ table
            if missed is not None:
                lengths.masked_fill_(missed, float("inf"))
            best = lengths.argmin(dim=1)
            least = lengths.gather(1, best[:, None])[:, 0]
            choice = torch.where(least < penalty * 2.0**shift, best + 1, torch.zeros_like(best))
            if key not in found:
                found[key] = torch.zeros((table.shape[1] + 1, 4), dtype=torch.int64, device=self.device)
            found[key].index_add_(0, choice, weights)
        done = {key: sums.cpu().numpy() for key, sums in sorted(found.items())}
        return {key: Sums(sums[:, :3], int(sums[0, 3])) for key, sums in done.items()}

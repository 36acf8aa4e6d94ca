"""A pass in which whoever comes first is killed; in a file that other processes can import."""

from __future__ import annotations

import os
import signal
from typing import Any

from qopt.fleet.arrays import Shard, Tables
from qopt.fleet.passes import dual_pass


def dying(shard: Shard, shared: Tables, mark: str, lam: Any, shift: int) -> Any:
    """The pass; who makes the file `mark` is killed before it is done."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return dual_pass(shard, shared, lam, shift)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError

"""The classical problems underneath, on plain arrays; no word of neural networks."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["exchange", "mckp", "mincut", "rcsp", "waterfill"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"qopt.kernels.{name}")
    raise AttributeError(f"module 'qopt.kernels' has no attribute {name!r}")

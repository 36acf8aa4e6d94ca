"""The problems as models to read, extend and solve anywhere; imported as `qopt.formulations`."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["placement", "qpart", "qpart_convex"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"qopt.formulations.{name}")
    raise AttributeError(f"module 'qopt.formulations' has no attribute {name!r}")

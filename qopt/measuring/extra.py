"""The packages of the extra ``measure``; importing this file needs none of them."""

from __future__ import annotations

from qopt.core.errors import QoptError


def need_torch() -> None:
    """Say what to install where torch or safetensors is missing."""
    try:
        import safetensors
        import torch
    except ModuleNotFoundError as error:
        raise QoptError(f"{error.name} is not installed: pip install 'qopt-edge[measure]'") from error
    del safetensors, torch

"""The packages of the extras ``onnx`` and ``serve``; importing this file needs none of them."""

from __future__ import annotations

from qopt.core.errors import QoptError


def need_onnx() -> None:
    """Say what to install where onnx or onnxruntime is missing."""
    try:
        import onnx
        import onnxruntime
    except ModuleNotFoundError as error:
        raise QoptError(f"{error.name} is not installed: pip install 'qopt-edge[onnx]'") from error
    del onnx, onnxruntime


def need_service() -> None:
    """Say what to install where onnxruntime or aiohttp is missing."""
    try:
        import aiohttp
        import onnxruntime
    except ModuleNotFoundError as error:
        raise QoptError(f"{error.name} is not installed: pip install 'qopt-edge[serve]'") from error
    del aiohttp, onnxruntime

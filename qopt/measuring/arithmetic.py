"""The arithmetic that coefficients are measured in: float32 as written, seeded, sums in float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import deterministic

FILLING: Any = deterministic
"""torch's setting of what new tensors are filled with; a module whose type stubs do not know it."""


@contextmanager
def plain_float32() -> Iterator[None]:
    """Switch TF32 off, and algorithms that differ from run to run, for as long as something is measured.

    Usable as a decorator. The caller's settings come back afterwards.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fills = FILLING.fill_uninitialized_memory
    matmul.allow_tf32 = cudnn.allow_tf32 = cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    FILLING.fill_uninitialized_memory = False  # nothing here reads what it has not written
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        FILLING.fill_uninitialized_memory = fills


@contextmanager
def tf32(allowed: bool = True) -> Iterator[None]:
    """Multiply in TF32 for as long as this lasts, on a device that has it; not at all where it is not allowed."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before

"""How much memory a device has for tensors, and how to tell that it has run out."""

from __future__ import annotations

import os
from pathlib import Path

import torch

SHARE_OF_GPU = 0.8
"""Share of a GPU's free memory that tensors may take: libraries want workspaces beside it, and blocks leave holes."""

SHARE_OF_RAM = 0.25
"""Share of a machine's memory that tensors may take: other programs run there too."""

_EXHAUSTED = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def default_memory(device: torch.device) -> int:
    """Bytes that tensors may take on a device where the user names no number.

    On a GPU a share of what is free on it now, what torch holds without using it included; on a CPU a share of the
    machine's memory, or of the control group's where that is less.
    """
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(SHARE_OF_GPU * (free + unused))
    return int(SHARE_OF_RAM * _machine_memory())


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that a device, or the machine, is out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _EXHAUSTED)


def release(device: torch.device) -> None:
    """Give blocks that hold no tensor back to a GPU."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _machine_memory() -> int:
    """Bytes of memory, of the control group (version 2, or 1) if that allows less."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**32
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found = min(found, int(Path(path).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return found

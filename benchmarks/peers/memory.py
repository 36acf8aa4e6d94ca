"""Peak memory of a solve, children included.

`ru_maxrss` of a new process starts at what its parent held when it was made, so the kernel's own high-water mark of the
process is read where there is one (Linux), and reset before the first solve: imports may have had a higher peak.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import threading
from pathlib import Path

INTERVAL = 0.005
"""Seconds between looks at the children; their mark only rises, so what is missed is the growth of a last instant."""


def _kib(pid: int | str, name: str) -> int | None:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return None


def _maxrss_kib() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // 1024 if sys.platform == "darwin" else used


class Peak:
    """High-water mark above what the process held when this was made, with that of its children added.

    Use as a context manager around every solve; `megabytes` is the highest over all of them.
    """

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._base = _kib("self", "VmRSS") or _maxrss_kib()
        self._children: dict[str, int] = {}
        self._stop = threading.Event()
        self.megabytes = 0.0

    def __enter__(self) -> Peak:
        self._children.clear()
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        own = (_kib("self", "VmHWM") or _maxrss_kib()) - self._base
        self.megabytes = max(self.megabytes, (own + sum(self._children.values())) / 1024)

    def _watch(self) -> None:
        listing = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
        while not self._stop.wait(INTERVAL):
            try:
                pids = listing.read_text().split()
            except OSError:
                return
            for pid in pids:
                used = _kib(pid, "VmHWM")
                if used:
                    self._children[pid] = max(used, self._children.get(pid, 0))

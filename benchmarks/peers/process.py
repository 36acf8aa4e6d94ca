"""A solver's process, seen from outside."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

START = 120.0
"""Seconds that a process may take to import its solver."""


class Worker:
    """A process with one solver in it; started when it is first asked, and again when it has ended.

    Attributes
    ----------
    hello : what it said first: ``version``, or ``missing`` and why.
    """

    def __init__(self, peer: str, python: str, threads: int) -> None:
        self._command = [python, str(Path(__file__).with_name("worker.py")), peer]
        # A process that is ended leaves its files behind: they go with this folder, and nobody else's do.
        self._folder = tempfile.TemporaryDirectory()
        self._environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TMPDIR": self._folder.name}
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as this
        self.hello = self._start()

    def _start(self) -> dict[str, Any]:
        self._errors.seek(0)
        self._errors.truncate()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=self._environment,
            start_new_session=True,  # so that it can be ended together with what it starts
        )
        return self._read(START)

    def ask(self, request: dict[str, Any], patience: float) -> dict[str, Any]:
        """The reply to a request; a process that says nothing for so many seconds is ended."""
        if self._process is None:
            self._start()
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
        return self._read(patience)

    def _read(self, patience: float) -> dict[str, Any]:
        if self._process is None or self._process.stdout is None:
            return {"failed": "the process does not start"}
        if not select.select([self._process.stdout], [], [], patience)[0]:
            self.stop()
            return {"failed": f"no answer after {patience:.0f} s", "timed_out": True}
        line = self._process.stdout.readline()
        if line:
            reply: dict[str, Any] = json.loads(line)
            return reply
        code = self._process.wait()
        self.stop()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        return {"failed": f"the process ended with code {code}" + (f": {last[:200]}" if last else "")}

    def stop(self) -> None:
        """End the process and what it started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process = None

"""All parts of a folder as processes of this machine, for an experiment: sockets on loopback, links held to rates."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.errors import InputError, QoptError, shown
from qopt.runtime.extra import need_service
from qopt.runtime.manifest import read_parts

if TYPE_CHECKING:
    from qopt.comparison.latencies import Logs
    from qopt.runtime.sessions import Array

PATIENCE = 60.0
"""Seconds in which a process listens, or ends when it is told to."""


def time_parts(
    folder: str | os.PathLike[str],
    examples: Mapping[str, Array] | str | os.PathLike[str],
    *,
    roles: Sequence[str] | None = None,
    rates: Sequence[float | None] | None = None,
    threads: Sequence[int] | None = None,
    repetitions: int = 5,
    warmup: int = 100,
    pause: float = 0.0,
    strategy: str | None = None,
    log: str | os.PathLike[str] | None = None,
) -> Logs:
    """Run the parts as processes, ask them for every example, and measure the latency (section 4.3 of the study).

    The first role asks; each other one is a service on a socket of 127.0.0.1. Processes are gone afterwards, and when
    this one is ended.

    Parameters
    ----------
    folder : that `split_onnx` or `export_parts` made.
    examples : arrays (n, ...) by the names of the model's inputs, or an ``.npz`` file with them.
    roles : list of tiers from the device up, those without a part pass on; by default those of the parts.
    rates : list of the links' bits per second, one for each link between two roles; None for no limit.
    threads : list of the threads of an operation, one for each role; by default 1 each.
    repetitions, warmup : how often all examples are run, and requests before that count for nothing.
    pause : seconds before each request; a profile with the same pause says what a part then takes.
    strategy : what the log calls it; by default the operator and its tiers.
    log : file to append the requests to; by default none is kept.

    Returns
    -------
    What was logged, for `qopt latency`; printed, the median of medians with its parts, in seconds.

    Raises
    ------
    InputError
        The folder is not as it was written, lists of other lengths, no request was answered. QoptError where a process
        does not start or breaks off, lines are missing, or aiohttp is not installed.
    """
    need_service()
    tiers = tuple(part.tier for part in read_parts(folder).parts)
    names = tuple(tiers if roles is None else roles)
    ways = (None,) * (len(names) - 1) if rates is None else tuple(rates)
    wide = (1,) * len(names) if threads is None else tuple(threads)
    if not names or len({*names}) < len(names):
        raise InputError("roles", shown(list(names)), "names, each once")
    for field, found, wanted in (("rates", len(ways), len(names) - 1), ("threads", len(wide), len(names))):
        if found != wanted:
            raise InputError(field, f"{found} entries", f"{wanted}, for roles {', '.join(names)}")
    with tempfile.TemporaryDirectory(prefix="qopt-") as scratch, contextlib.ExitStack() as stack:
        lines = Path(scratch) / "requests.jsonl"
        alive, url = stack.enter_context(_alive()), None
        for at in range(len(names) - 1, 0, -1):
            rate = ways[at] if at < len(ways) else None
            url = stack.enter_context(_service(folder, names[at], wide[at], url, rate, alive))
        if isinstance(examples, Mapping):
            file = Path(scratch) / "examples.npz"
            with zipfile.ZipFile(file, "w") as archive:  # np.savez would take some names for its own
                for name, value in examples.items():
                    with archive.open(f"{name}.npy", "w") as member:
                        np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)
        else:
            file = Path(examples)
        command = _command(folder, names[0], wide[0], url, ways[0] if ways else None)
        command += ["--examples", os.fspath(file), "--log", os.fspath(lines)]
        command += ["--repetitions", str(repetitions), "--warmup", str(warmup), "--pause", f"{pause:.17g}"]
        command += [] if strategy is None else ["--strategy", strategy]
        done = subprocess.run(command, stdin=alive, capture_output=True, text=True, check=False)
        if log is not None and lines.exists():
            with open(log, "ab") as kept:
                kept.write(lines.read_bytes())
        return _read(names[0], done, lines)


def _read(role: str, done: subprocess.CompletedProcess[str], lines: Path) -> Logs:
    """What a process that asked has logged, if it ran to its end and no line is missing."""
    from qopt.comparison.latencies import read_logs

    said = re.search(r": (\d+) answered, (\d+) refused$", done.stdout, re.MULTILINE)
    if said is None or (done.returncode and int(said[1])):
        raise QoptError(f"{role}: {done.stderr.strip()[-300:] or f'it ended with code {done.returncode}'}")
    found = read_logs([lines])
    there = len(found.requests), found.left_out.get("refused", 0)
    if there != (int(said[1]), int(said[2])):
        raise QoptError(f"{role}: {there[0]} and {there[1]} lines of {said[1]} answered and {said[2]} refused requests")
    return found


@contextlib.contextmanager
def _alive() -> Iterator[int]:
    """The end of a pipe for the processes' standard input: at its end they end, this one ended how it may."""
    read, write = os.pipe()
    try:
        yield read
    finally:
        os.close(read)
        os.close(write)


def _command(folder: str | os.PathLike[str], role: str, threads: int, url: str | None, rate: float | None) -> list[str]:
    command = [sys.executable, "-m", "qopt", "run-part", os.fspath(folder), "--role", role, "--threads", str(threads)]
    command.append("--end-with-input")
    if url is not None:
        command += ["--next", url]
        command += [] if rate is None else ["--link", f"{rate:.17g}"]
    return command


@contextlib.contextmanager
def _service(
    folder: str | os.PathLike[str], role: str, threads: int, url: str | None, rate: float | None, alive: int
) -> Iterator[str]:
    """A service in a process of its own: its address, once it listens."""
    process = subprocess.Popen(
        _command(folder, role, threads, url, rate),
        stdin=alive,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(PATIENCE, process.kill)
    try:
        timer.start()
        assert process.stdout is not None
        words = process.stdout.readline().split()
        timer.cancel()
        if not words:
            process.kill()
            _, errors = process.communicate(timeout=PATIENCE)
            raise QoptError(f"{role}: {errors.strip()[-300:] or f'it does not listen within {PATIENCE:g} s'}")
        yield words[-1]
    finally:
        timer.cancel()
        _end(process)


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate(timeout=PATIENCE)

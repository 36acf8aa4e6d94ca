"""Where chunks of a study are solved: a worker keeps one process that solves, and ends it when a limit is broken."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from qopt.comparison.tasks import Source, Task

START = 120.0
"""Seconds that a process has for its imports."""

WARM_UP = 2.0
"""Seconds beyond the limit that a method's first solve has, at least."""

LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS", "RAYON", "POLARS_MAX")
"""Variables ``..._NUM_THREADS`` by which numerical libraries are told how many threads they may start."""


@dataclass(frozen=True)
class Terms:
    """What all solves of a study share.

    Attributes
    ----------
    limit, grace : seconds of a solve, None for no limit, and seconds beyond it after which it is ended.
    threads : of a solve.
    imports : modules that a solving process imports first.
    owner : host and number of the process that began the study.
    """

    limit: float | None
    grace: float
    threads: int
    imports: tuple[str, ...]
    owner: tuple[str, int]


@dataclass(frozen=True)
class Group:
    """Solves of one instance that travel together.

    Attributes
    ----------
    source : the instance.
    tasks : of it, a list.
    """

    source: Source
    tasks: list[Task]


class Gone(Exception):
    """The process that solves was ended, or ended by itself."""


class Solver:
    """A process that solves, started anew after it had to be ended."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        environment = os.environ | {f"{name}_NUM_THREADS": str(terms.threads) for name in LIBRARIES}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "qopt.comparison.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for who began the study; and a solver's own programs end with it
        )
        self._held = b""
        self.source: Source | None = None
        self.reason: str | None = None
        self.warm: set[str] = set()
        ready = self.ask({"path": sys.path, "imports": terms.imports}, START)
        self.machine: str = ready["machine"]
        self.machines: dict[str, Any] = ready["machines"]

    def ask(self, message: dict[str, Any], seconds: float | None) -> dict[str, Any]:
        """Send a message and wait for its answer, so long at most."""
        assert self._process.stdout is not None
        end = None if seconds is None else time.monotonic() + seconds
        try:
            self._send(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        except OSError:
            raise Gone(self._last_words()) from None
        pipe = self._process.stdout.fileno()
        parts = [self._held]
        while b"\n" not in parts[-1]:
            left = None if end is None else end - time.monotonic()
            if (left is not None and left <= 0) or not select.select([pipe], [], [], left)[0]:
                self.end()
                raise TimeoutError
            part = os.read(pipe, 1 << 20)
            if not part:
                raise Gone(self._last_words())
            parts.append(part)
        line, _, self._held = b"".join(parts).partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self._process.stdin.write(view) or 0 :]

    def _last_words(self) -> str:
        """How the process ended. What it had started is ended too, before its number can be another process's."""
        if hasattr(os, "waitid"):  # all but macOS
            with contextlib.suppress(OSError):
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        code = self._process.returncode
        if code >= 0:
            return f"the process left with exit code {code}"
        with contextlib.suppress(ValueError):
            return f"the process died by {signal.Signals(-code).name}"
        return f"the process died by signal {-code}"

    def end(self) -> None:
        """End the process and what it has started."""
        if self.alive:  # once it is reaped, its number may be another process's
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    @property
    def alive(self) -> bool:
        """Whether it can take a message."""
        return self._process.poll() is None


_SOLVERS = threading.local()
"""Of each thread of a worker its own process: Dask's workers have threads."""

_ALL: list[Solver] = []


def _solver(terms: Terms) -> Solver:
    """The process of this thread, a new one where there is none."""
    held: Solver | None = getattr(_SOLVERS, "solver", None)
    if held is not None and held.terms == terms and held.alive:
        return held
    if held is not None:
        _drop(held)
    _SOLVERS.solver = new = Solver(terms)
    _ALL.append(new)
    return new


def _drop(solver: Solver) -> None:
    solver.end()
    with contextlib.suppress(ValueError):
        _ALL.remove(solver)
    _SOLVERS.solver = None


@atexit.register
def end_all() -> None:
    """End the processes that solve for this one."""
    while _ALL:
        _ALL.pop().end()


def work(groups: list[Group], terms: Terms) -> dict[str, Any]:
    """Solve a chunk of a study.

    Parameters
    ----------
    groups : the chunk, a list.
    terms : of the study.

    Returns
    -------
    ``rows``, a result each, ``machines``, what their ids stand for, and ``took``, seconds.
    """
    _watch_owner(terms)
    begun = time.perf_counter()
    machines: dict[str, Any] = {}
    rows = [row for group in groups for row in _group(group, terms, machines)]
    return {"rows": rows, "machines": machines, "took": time.perf_counter() - begun}


def _group(group: Group, terms: Terms, machines: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Solve the tasks of an instance, one by one."""
    for task in group.tasks:
        row = _blank(task, terms)
        begun = time.perf_counter()
        solver: Solver | None = None
        try:
            solver = _solver(terms)
            machines.update(solver.machines)
            row["machine"] = solver.machine
            if solver.source != group.source:
                solver.reason = solver.ask({"source": asdict(group.source)}, None)["reason"]
                solver.source = group.source
            if solver.reason is not None:
                row.update(status="unavailable", message=f"there is no such instance: {solver.reason}")
            else:
                message = {"setting": task.setting.model_dump(), "seed": task.seed, "limit": terms.limit}
                solver = _warmed(solver, message, terms, group.source)
                begun = time.perf_counter()
                allowed = None if terms.limit is None else terms.limit + terms.grace
                row.update(solver.ask(message | {"grace": terms.grace, "threads": terms.threads}, allowed))
        except TimeoutError:
            if solver is None:
                row.update(status="crashed", message=f"the process did not start in {START:g} s")
            else:
                spent = time.perf_counter() - begun
                reason = f"ended after {spent:.3g} s: it did not keep the limit"
                row.update(status="killed", message=reason, seconds=spent)
        except Gone as gone:
            row.update(status="crashed", message=str(gone), seconds=time.perf_counter() - begun)
        if solver is not None and not solver.alive:
            _drop(solver)
        yield row


_COLD: set[str] = set()
"""Runs that did not come through their first, uncounted solve here; they go without."""


def _warmed(solver: Solver, message: dict[str, Any], terms: Terms, source: Source) -> Solver:
    """A process in which the method of a message is loaded and has solved something already."""
    name = f"{source.family} {message['setting']}"
    if name in solver.warm or name in _COLD:
        return solver
    solver.warm.add(name)
    allowed = None if terms.limit is None else terms.limit + max(terms.grace, WARM_UP)
    try:
        solver.ask(message | {"load": source.family}, START)
        solver.ask(message | {"warm": source.family}, allowed)
    except (TimeoutError, Gone):
        _COLD.add(name)
        _drop(solver)
        solver = _solver(terms)
        solver.ask({"source": asdict(source)}, None)
        solver.source = source
    return solver


def _blank(task: Task, terms: Terms) -> dict[str, Any]:
    """What is known of a result before it is there."""
    setting, source = task.setting, task.source
    return {
        "key": task.key,
        "at": task.at,
        "instance": source.name or _called(source),
        "family": source.family,
        "fingerprint": source.fingerprint,
        "run": task.run,
        "method": setting.method,
        "formulation": setting.formulation,
        "solver": setting.solver,
        "repeat": task.repeat,
        "seed": task.seed,
        "limit": terms.limit,
        **({"drawn": source.identity} if source.kind == "generate" else {}),
    }


def _called(source: Source) -> str:
    """The name of an instance that was never drawn."""
    _, size, seed, _ = source.value
    return f"random-{size}-{seed}"


def owner() -> tuple[str, int]:
    """Host and number of this process."""
    return socket.gethostname(), os.getpid()


_WATCHED: set[int] = set()


def _watch_owner(terms: Terms) -> None:
    """Where the process that began the study started this one, leave when it is gone: nobody takes the answers."""
    host, number = terms.owner
    parent = os.getppid()
    if parent != number or host != socket.gethostname() or parent in _WATCHED:
        return
    _WATCHED.add(parent)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        end_all()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()

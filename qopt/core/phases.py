"""Where the time of a solve goes, and what the solver tells meanwhile: for whoever records, and for nobody else.

Code that hands a model to a solver says so by `phase`, as does what certifies; the method's time before counts as
building, that after as extracting. A solver's word goes to `say`, its incumbents and bounds to the function that
`teller` gives. Without a `recording` around it each costs a look at one variable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Name = Literal["hand_over", "solve", "extract", "certify", "other"]
"""Phases that code names. What lies before a hand-over is ``build``, what lies after the last solve ``extract``."""

DRIVEN = ("hand_over", "solve")
"""Phases of a solver's driver: what a method does beside them prepares a model, or reads one."""

POINTS = 400
"""Points of a trace that are kept; of more, every second one is dropped, and from then on every second one comes."""


class Record:
    """What is written down during one solve.

    Attributes
    ----------
    seconds : of each phase so far, disjoint: one inside another stops the outer one's watch.
    said : the solver's own words, each once, in the order in which they were said.
    trace : points (seconds since the record began, incumbent, bound), in the unit of the objective; None for what is
        not told.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.said: list[str] = []
        self.trace: list[tuple[float, float | None, float | None]] = []
        self.begun = time.perf_counter()
        self._open: list[str] = []
        self._since = self.begun
        self._idle = 0.0
        self._stride, self._skipped = 1, 0

    def lap(self) -> None:
        """Count the seconds since the last look at the watch."""
        now = time.perf_counter()
        if self._open:
            self.add(self._open[-1], now - self._since)
        else:
            self._idle += now - self._since
        self._since = now

    def add(self, name: str, seconds: float) -> None:
        """Count seconds for a phase."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def enter(self, name: str) -> None:
        """Begin a phase."""
        self.lap()
        if not self._open and name in DRIVEN:
            self.add("build", self._idle)
            self._idle = 0.0
        elif not self._open and name == "certify":
            self.close()
        self._open.append(name)

    def close(self) -> None:
        """Count what came after the last phase: as extracting where a solver ran, else as the method's own work."""
        self.lap()
        self.add("extract" if any(name in self.seconds for name in DRIVEN) else "other", self._idle)
        self._idle = 0.0

    def leave(self) -> None:
        """End the phase that was begun last."""
        self.lap()
        self._open.pop()

    def point(self, incumbent: float | None, bound: float | None) -> None:
        """Add a point to the trace: a value that is reached, and the lower bound, None for one that is not told."""
        self._skipped += 1
        last = self.trace[-1][1:] if self.trace else None
        if last == (incumbent, bound):
            return
        improved = last is None or incumbent != last[0]
        if self._skipped < self._stride and not improved:
            return
        self._skipped = 0
        self.trace.append((time.perf_counter() - self.begun, incumbent, bound))
        if len(self.trace) > POINTS:
            del self.trace[1:-1:2]
            self._stride *= 2


_RECORD: ContextVar[Record | None] = ContextVar("record", default=None)


def recorder() -> Record | None:
    """The record of the solve that runs, None where nobody records: for callbacks that other threads make."""
    return _RECORD.get()


@contextmanager
def recording() -> Iterator[Record]:
    """A context in which phases, words and points are written into the record that it gives."""
    record = Record()
    token = _RECORD.set(record)
    try:
        yield record
    finally:
        _RECORD.reset(token)


@contextmanager
def phase(name: Name) -> Iterator[None]:
    """A context whose time counts as a phase."""
    record = _RECORD.get()
    if record is None:
        yield
        return
    record.enter(name)
    try:
        yield
    finally:
        record.leave()


def shift(source: str, target: str, seconds: float | None) -> None:
    """Count seconds of one phase for another: what a library tells of itself when it is done."""
    record = _RECORD.get()
    if record is None or seconds is None:
        return
    record.lap()
    moved = max(min(seconds, record.seconds.get(source, 0.0)), 0.0)
    record.add(source, -moved)
    record.add(target, moved)


def say(solver: str, word: object) -> None:
    """Write down how a solver says that it ended."""
    record = _RECORD.get()
    text = f"{solver}: {word}"
    if record is not None and text not in record.said:
        record.said.append(text)


def teller(unit: float = 1.0, offset: float = 0.0) -> Callable[[float | None, float | None], None] | None:
    """A function that takes incumbent and bound in a solver's scale, or None where nobody records.

    Parameters
    ----------
    unit, offset : the objective is ``offset + unit * value``.
    """
    record = _RECORD.get()
    if record is None:
        return None

    def tell(incumbent: float | None, bound: float | None) -> None:
        scaled = [None if value is None else offset + unit * value for value in (incumbent, bound)]
        record.point(*scaled)

    return tell

"""Where the time of a solve goes, and what the solver tells meanwhile: for whoever records, and for nobody else.

Code that builds, hands over, solves or extracts says so by `phase`; a solver's word goes to `say`, its incumbents and
bounds to `tell`. Without a `recording` around it each costs a look at one variable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Name = Literal["build", "hand_over", "solve", "extract", "certify"]
"""Phases that are told apart; what belongs to none of them is the method's own work."""

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
        self._stride, self._skipped = 1, 0

    def _lap(self) -> None:
        now = time.perf_counter()
        if self._open:
            name = self._open[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def enter(self, name: str) -> None:
        """Begin a phase."""
        self._lap()
        self._open.append(name)

    def leave(self) -> None:
        """End the phase that was begun last."""
        self._lap()
        self._open.pop()

    def point(self, incumbent: float | None, bound: float | None) -> None:
        """Add a point to the trace: the best value known now, and the lower bound, None for one that is not told."""
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

"""One clock for a whole call: made where the call begins, handed down, and asked by every loop that can be long."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from qopt.core.errors import QoptError

Item = TypeVar("Item")


class OutOfTime(QoptError):
    """The clock stopped some work; whoever began it says what is left undone."""


class Clock:
    """Wall time since its making, against a limit.

    Parameters
    ----------
    limit : seconds; None for none.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._start = self.now()

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.perf_counter()

    @property
    def spent(self) -> float:
        """Seconds since its making, those in which it was `held` left out."""
        return self.now() - self._start

    @property
    def left(self) -> float | None:
        """Seconds left, 0 where it is over; None without a limit."""
        return None if self.limit is None else max(self.limit - self.spent, 0.0)

    @property
    def over(self) -> bool:
        """Whether the limit is reached."""
        return self.limit is not None and self.spent >= self.limit

    def part(self, share: float) -> Clock:
        """A clock that is over when a share of what is left is; one without a limit if this has none."""
        left = self.left
        return Clock(None if left is None else share * left)

    def affords(self, work: float, rate: float) -> bool:
        """Whether there is time for work at a rate a second: for what cannot be stopped once it has begun."""
        left = self.left
        return left is None or work <= rate * left

    def watching(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, one by one; raises `OutOfTime` between two where the limit is reached."""
        for item in items:
            self.check()
            yield item

    def check(self) -> None:
        """Raise `OutOfTime` where the limit is reached."""
        if self.over:
            raise OutOfTime("the time limit is reached")

    @contextmanager
    def held(self) -> Iterator[None]:
        """A context that leaves out what happens meanwhile: imports."""
        before = self.now()
        yield
        self._start += self.now() - before


ENDLESS = Clock(None)
"""A clock without a limit."""

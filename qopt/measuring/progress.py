"""How long work tells how far it is: lines of text, and counts of units done."""

from __future__ import annotations

from collections.abc import Callable

LineCallback = Callable[[str], None]
"""Called with each line of progress."""

ProgressCallback = Callable[[str, int, int], None]
"""Called as work proceeds: what is under way, units done, units in all."""


def ignore_line(line: str) -> None:
    """Drop a line of progress."""
    del line


def ignore_progress(what: str, done: int, total: int) -> None:
    """Drop a count of units done."""
    del what, done, total

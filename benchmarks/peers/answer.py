"""What a solver says, in one form for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A solver's word, unchecked.

    Attributes
    ----------
    said : its status in its own words.
    optimal : whether a user reads that as optimal (or within the gap asked for).
    answer : choices, arcs or labels; None without a point.
    timed_out : whether it stopped at its time limit, whatever it says.
    notes : anything else worth a column, for example what a checker says.
    """

    said: str
    optimal: bool
    answer: list[int] | None
    timed_out: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def with_point(self, answer: list[int]) -> Answer:
        """The same word with a point."""
        return replace(self, answer=answer)

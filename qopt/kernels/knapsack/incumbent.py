"""The best choice found so far in a multiple-choice knapsack, and the exact test that admits it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from qopt.core.arrays import FloatArray, IntArray

ROUNDING = 1e-13
"""Relative: bounds within this of the best value cannot be told from it, which is what sums round by."""


class Incumbent:
    """Best feasible choice so far, and what a bound must reach to close a part of the search.

    Sums of shifted weights carry rounding: within `margin` of the capacity the exact test decides, on the
    weights as given.

    Parameters
    ----------
    terms : the weights of a choice as given, for the exact test.

    Attributes
    ----------
    value : its shifted cost; before there is a choice, the cutoff.
    aim : nothing of interest costs less than `value` and at least this: what separates the two is rounding, the
        grid of the costs, or the gap that the caller allows.
    floor : a proved lower bound on every choice. Where it reaches the aim, `closed` holds and the aim is -inf: any
        search then ends at once.
    doubtful : a choice of lower cost was rejected by the exact test, so the search has a blind spot.
    """

    def __init__(
        self,
        c: FloatArray,
        w: FloatArray,
        capacity: float,
        margin: float,
        terms: Callable[[IntArray], FloatArray],
        allowed: float,
        cutoff: float,
        *,
        offset: float = 0.0,
        grain: float = 0.0,
        gap: float = 0.0,
    ) -> None:
        self.c, self.w = c, w
        self.capacity, self.margin, self.allowed = capacity, margin, allowed
        self.terms = terms
        self.offset, self.gap = offset, gap
        # Sums of n shifted costs are known to about this; a bound must pass the grid point below by more.
        self.grain = grain - 0.1 * grain if grain else 0.0
        self.choice: IntArray | None = None
        self.doubtful = False
        self.floor = -math.inf
        self._rows = np.arange(len(c))
        # The grid point above the cutoff, so that nothing below it is missed for rounding.
        self._set(math.ceil(cutoff / grain) * grain if grain and math.isfinite(cutoff) else cutoff)

    def _set(self, value: float) -> None:
        self.value = value
        self.aim = value
        if math.isfinite(value):
            gap = 0.0 if self.choice is None else self.gap * abs(self.offset + value)  # no gap to a mere cutoff
            self.aim -= max(ROUNDING * abs(value), self.grain, gap)
        self._close()

    def _close(self) -> None:
        if self.floor >= self.aim:
            self.aim = -math.inf

    @property
    def closed(self) -> bool:
        """Whether the floor shows that nothing of interest is left."""
        return self.aim == -math.inf

    def raise_floor(self, bound: float) -> None:
        """A lower bound on every choice has been proved."""
        self.floor = max(self.floor, bound)
        self._close()

    def settle(self, tolerance: float) -> None:
        """The choice is known to be optimal: what is left is to show it, to a relative tolerance."""
        if self.choice is not None:
            self.aim = min(self.aim, self.value - tolerance * abs(self.offset + self.value))
            self._close()

    def offer(self, choice: IntArray) -> bool:
        """Take a choice if it is feasible and better."""
        value = float(self.c[self._rows, choice].sum())
        if value >= self.value:
            return False
        load = float(self.w[self._rows, choice].sum())
        if load > self.capacity - self.margin and (
            load > self.capacity + self.margin
            or (self.margin and math.fsum([*self.terms(choice).tolist(), -self.allowed]) > 0)
        ):
            self.doubtful |= load <= self.capacity + self.margin
            return False
        self.choice = choice.copy()
        self._set(value)
        return True

    def offer_if_cheap(self, choice: IntArray, cost: float) -> None:
        """Offer a choice of known shifted cost, then exchange items while that helps."""
        if cost < self.value and self.offer(choice):
            self.improve()

    def improve(self) -> None:
        """Exchange one item at a time for the greatest saving that still fits, until none does."""
        if self.choice is None:
            return
        choice = self.choice.copy()
        for _ in range(len(choice)):
            c, w = self.c[self._rows, choice], self.w[self._rows, choice]
            room = self.capacity - self.margin - float(w.sum())
            saving = np.where(self.w - w[:, None] <= room, c[:, None] - self.c, 0.0)
            best = int(np.argmax(saving))
            i, j = divmod(best, self.c.shape[1])
            if saving[i, j] <= 0:
                break
            choice[i] = j
        self.offer(choice)

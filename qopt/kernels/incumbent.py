"""The best choice found so far in a multiple-choice knapsack, and the exact test that admits it."""

from __future__ import annotations

import math

import numpy as np

from qopt.arrays import FloatArray, IntArray


class Incumbent:
    """Best feasible choice so far.

    Sums of shifted weights carry rounding: within `margin` of the capacity the exact test decides, on the
    weights as given.

    Attributes
    ----------
    value : its shifted cost; before there is a choice, the cutoff.
    doubtful : a choice of lower cost was rejected by the exact test, so the search has a blind spot.
    """

    def __init__(
        self,
        c: FloatArray,
        w: FloatArray,
        capacity: float,
        margin: float,
        weight: FloatArray,
        allowed: float,
        cutoff: float,
    ) -> None:
        self.c, self.w, self.weight = c, w, weight
        self.capacity, self.margin, self.allowed = capacity, margin, allowed
        self.value = cutoff
        self.choice: IntArray | None = None
        self.doubtful = False
        self._rows = np.arange(len(c))

    def offer(self, choice: IntArray) -> bool:
        """Take a choice if it is feasible and better."""
        value = float(self.c[self._rows, choice].sum())
        if value >= self.value:
            return False
        load = float(self.w[self._rows, choice].sum())
        if load > self.capacity - self.margin and (
            load > self.capacity + self.margin or math.fsum([*self.weight[self._rows, choice], -self.allowed]) > 0
        ):
            self.doubtful |= load <= self.capacity + self.margin
            return False
        self.value, self.choice = value, choice.copy()
        return True

    def offer_if_cheap(self, choice: IntArray, cost: float) -> None:
        """Offer a choice whose sum of costs is known to be about `cost`; look closer only if that is better."""
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

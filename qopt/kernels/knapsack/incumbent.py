"""The best choice found so far in a multiple-choice knapsack with one row, and the exact test that admits it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.kernels.knapsack.scaled import Scaled
from qopt.kernels.tolerances import SUM_ROUNDING

GRID_MARGIN = 0.1
"""Share of a grid's step by which a bound must pass the grid point below the best cost. No grid has a step below a
hundred times what sums round by (`qopt.kernels.grid.grain`), so this is ten times the rounding at least."""


class Incumbent:
    """Best feasible choice so far, and what a bound must reach to close a part of the search.

    Sums of shifted weights carry rounding: within `margin` of the capacity the exact test decides, on the
    weights as given.

    Parameters
    ----------
    given_weights : the weights of a choice as given, for the exact test.
    upper : only choices of lower shifted cost are of interest.
    gap : relative, which may stay unproved.
    deadline : `time.perf_counter` at which exchanges stop; None for none.

    Attributes
    ----------
    c, w, capacity, margin : of the data.
    value : its shifted cost; before there is a choice, what it must stay below.
    cutoff : nothing of interest costs less than `value` and at least this: what separates the two is rounding, the
        grid of the costs, or the gap that the caller allows.
    lower_bound : a proved one on every choice. Where it reaches the cutoff, `closed` holds and the cutoff is -inf: any
        search then ends at once.
    refused : a choice of lower cost was refused by the exact test, so the search has a blind spot.
    """

    def __init__(
        self,
        data: Scaled,
        given_weights: Callable[[IntArray], FloatArray],
        upper: float,
        *,
        gap: float = 0.0,
        deadline: float | None = None,
    ) -> None:
        self.c, self.w, self.capacity, self.margin = data.c, data.w, data.capacity, data.margin
        self.given_weights, self.allowed = given_weights, data.allowed
        self.offset, self.gap = data.in_units(data.offset), gap
        step = data.in_units(data.step)
        self.on_grid, self._step = bool(step), step - GRID_MARGIN * step
        self.choice: IntArray | None = None
        self.refused = False
        self.lower_bound = -math.inf
        self._classes = np.arange(len(data.c))
        self._upper = upper
        self._deadline = deadline
        # The grid point above, so that nothing below it is missed for rounding.
        self._set(math.ceil(upper / step) * step if step and math.isfinite(upper) else upper)

    def _set(self, value: float) -> None:
        self.value = value
        self.cutoff = value
        if math.isfinite(value):
            gap = 0.0 if self.choice is None else self.gap * abs(self.offset + value)  # no gap to a mere upper value
            self.cutoff -= max(SUM_ROUNDING * abs(value), self._step, gap)
        self._close()

    def _close(self) -> None:
        if self.lower_bound >= self.cutoff:
            self.cutoff = -math.inf

    @property
    def closed(self) -> bool:
        """Whether the lower bound shows that nothing of interest is left."""
        return self.cutoff == -math.inf

    def raise_bound(self, bound: float) -> None:
        """A lower bound on every choice has been proved.

        Parameters
        ----------
        bound : a lower bound.
        """
        self.lower_bound = max(self.lower_bound, bound)
        self._close()

    def prove_within(self, tolerance: float) -> None:
        """The choice is known to be optimal: what is left is to show it, to a relative tolerance.

        A choice within rounding of the upper value may not be below it in the units given: then the proof is of that
        value, to the last digit.

        Parameters
        ----------
        tolerance : relative.
        """
        near = SUM_ROUNDING * (abs(self._upper) + abs(self.offset)) if math.isfinite(self._upper) else 0.0
        if self.choice is not None and self._upper - self.value > near:
            self.cutoff = min(self.cutoff, self.value - tolerance * abs(self.offset + self.value))
            self._close()

    def offer(self, choice: IntArray) -> bool:
        """Take a choice if it is feasible and better.

        Parameters
        ----------
        choice : (n,) column of each class.
        """
        value = float(self.c[self._classes, choice].sum())
        if value >= self.value:
            return False
        load = float(self.w[self._classes, choice].sum())
        if load > self.capacity - self.margin and (
            load > self.capacity + self.margin
            or (self.margin and math.fsum([*self.given_weights(choice).tolist(), -self.allowed]) > 0)
        ):
            self.refused |= load <= self.capacity + self.margin
            return False
        self.choice = choice.copy()
        self._set(value)
        return True

    def offer_if_cheap(self, choice: IntArray, cost: float) -> None:
        """Offer a choice of known shifted cost, then exchange items while that helps.

        Parameters
        ----------
        choice : (n,) column of each class.
        cost : (n, k) a class a row, or costs by element.
        """
        if cost < self.value and self.offer(choice):
            self.improve()

    def improve(self) -> None:
        """Exchange one item at a time for the greatest saving that still fits, until none does."""
        if self.choice is None:
            return
        choice = self.choice.copy()
        for _ in range(len(choice)):
            if self._deadline is not None and time.perf_counter() > self._deadline:
                break
            c, w = self.c[self._classes, choice], self.w[self._classes, choice]
            room = self.capacity - self.margin - float(w.sum())
            saving = np.where(self.w - w[:, None] <= room, c[:, None] - self.c, 0.0)
            best = int(np.argmax(saving))
            i, j = divmod(best, self.c.shape[1])
            if saving[i, j] <= 0:
                break
            choice[i] = j
        self.offer(choice)

"""The best choice found so far in a knapsack with several rows, and what a bound must reach to close a subproblem."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.kernels.knapsack.ranges import shifted_exponent
from qopt.kernels.knapsack.rows_core import SLACK_TERMS, Shifted
from qopt.kernels.tolerances import COARSE, EPSILON, PROOF_GAP, SUM_ROUNDING

LEAST_INCREASE = 1e-9
"""What an exchange that makes nothing dearer counts as: all such come first, in the order of their relief. Costs are
about 1 here."""

Score = Callable[[IntArray, IntArray, FloatArray], FloatArray]
"""(m, k) what exchanges in some classes are worth: of the classes, the choice, and what it leaves of the capacity."""


class Incumbent:
    """Best choice so far, or the cost that a choice must stay below to be of interest.

    Parameters
    ----------
    data : of the search.
    below : shifted cost that a choice must stay below.
    gap : relative, which may stay unproved.
    deadline : `time.perf_counter` at which exchanges stop.

    Attributes
    ----------
    value : shifted cost of the choice, or the one to stay below.
    proved : least bound at which something was closed only because a gap was allowed.
    """

    def __init__(self, data: Shifted, below: float, gap: float, deadline: float | None) -> None:
        self.data, self.gap, self.deadline = data, gap, deadline
        # So that bounds which reach `exact_cutoff` reach what was asked for.
        self.value = below + 2.0 * SUM_ROUNDING * abs(below)
        self.choice: IntArray | None = None
        self.proved = math.inf
        self._classes = np.arange(len(data.cost))

    @property
    def objective(self) -> float:
        """Cost with its offset, scaled."""
        return self.value + shifted_exponent(self.data.offset, -self.data.cost_unit)

    @property
    def on_grid(self) -> bool:
        """Whether costs lie on a grid so coarse that rounding cannot matter."""
        return self.data.step > COARSE * SUM_ROUNDING * abs(self.value)

    @property
    def certain(self) -> bool:
        """Whether floats tell what `PROOF_GAP` asks for: not where the offset cancels nearly all of the cost."""
        return self.on_grid or PROOF_GAP * abs(self.objective) >= self._blur

    @property
    def exact_cutoff(self) -> float:
        """Bounds from here on close a subproblem for good."""
        if self.choice is None:
            return self.value - SUM_ROUNDING * abs(self.value)
        if self.on_grid:
            return self.value - self.data.step * (1.0 - 1.0 / COARSE)
        return self.value - min(SUM_ROUNDING * abs(self.value), max(PROOF_GAP * abs(self.objective), self._blur))

    @property
    def _blur(self) -> float:
        rounding = EPSILON * (len(self._classes) + SLACK_TERMS) * abs(self.value)
        return rounding + shifted_exponent(self.data.cost_error, -self.data.cost_unit)

    @property
    def cutoff(self) -> float:
        """Bounds from here on close a subproblem, up to the gap that is allowed."""
        if self.choice is None or self.gap == 0.0:
            return self.exact_cutoff
        return min(self.exact_cutoff, self.value - self.gap * abs(self.objective))

    def note_closed(self, bounds: FloatArray) -> None:
        """Take note of what is about to be closed.

        Parameters
        ----------
        bounds : its limits.
        """
        if self.gap and bounds.size:
            least = float(bounds.min())
            if least < self.exact_cutoff:
                self.proved = min(self.proved, least)

    def offer(self, choice: IntArray) -> bool:
        """Take a choice if it is cheaper and keeps all rows, and improve it by exchanges of single items.

        Parameters
        ----------
        choice : (n,) column of each class.
        """
        value = float(self.data.cost[self._classes, choice].sum())
        if value >= self.value or self.data.broken(choice) is not None:
            return False
        self.value, self.choice = value, choice.copy()
        better = self._exchanged(choice, self._savings, len(choice))
        value = float(self.data.cost[self._classes, better].sum())
        if value < self.value and self.data.broken(better) is None:
            self.value, self.choice = value, better
        return True

    def repair(self, choice: IntArray, allowed: BoolArray, multipliers: FloatArray) -> None:
        """Exchange one item at a time until all rows are kept: most relief for the least increase of priced cost.

        Parameters
        ----------
        choice : (n,) column of each class.
        allowed : mask of the elements that may be used.
        multipliers : of the rows, (R,) or one set a row.
        """
        data = self.data
        priced = data.cost + np.tensordot(multipliers, data.weight, 1)

        def relief(some: IntArray, choice: IntArray, left: FloatArray) -> FloatArray:
            before = data.weight[:, some, choice[some]] + left[:, None]
            after = np.maximum(data.weight[:, some] - before[:, :, None], 0.0).sum(axis=0)
            less = np.where(allowed[some], np.maximum(-left, 0.0).sum() - after, 0.0)
            found: FloatArray = less / (
                np.maximum(priced[some] - priced[some, choice[some]][:, None], 0.0) + LEAST_INCREASE
            )
            return found

        self.offer(self._exchanged(choice, relief, 2 * len(choice), until_kept=True))

    def _savings(self, some: IntArray, choice: IntArray, left: FloatArray) -> FloatArray:
        data, now = self.data, choice[some]
        most = data.weight[:, some, now] + (left - data.margin)[:, None]
        fits = np.all(data.weight[:, some] <= most[:, :, None], axis=0)
        found: FloatArray = np.where(fits, data.cost[some, now][:, None] - data.cost[some], 0.0)
        return found

    def _exchanged(self, choice: IntArray, score: Score, most: int, until_kept: bool = False) -> IntArray:
        """Exchange one item at a time, that of the best score, until none is worth it, or all rows are kept.

        An exchange changes the scores in all classes, nearly always downwards: a class is scored anew only when it
        comes first with its old score (Minoux' lazy greedy, 1978), and all are scored in the end.
        """
        data, choice, made = self.data, choice.copy(), 0
        while True:
            left = data.capacity - data.weight[:, self._classes, choice].sum(axis=1)
            if until_kept and left.min(initial=0.0) >= 0:
                return choice
            scores = score(self._classes, choice, left)
            item = np.argmax(scores, axis=1)
            best = scores[self._classes, item]
            worth = np.flatnonzero(best > 0)
            if not worth.size:
                return choice
            waiting = [
                (-s, i, j, made)
                for s, i, j in zip(best[worth].tolist(), worth.tolist(), item[worth].tolist(), strict=True)
            ]
            heapq.heapify(waiting)
            while waiting and not (until_kept and left.min(initial=0.0) >= 0):
                if made >= most or (self.deadline is not None and time.perf_counter() >= self.deadline):
                    return choice
                _, i, j, scored = heapq.heappop(waiting)
                if scored == made:
                    left = left + data.weight[:, i, choice[i]] - data.weight[:, i, j]
                    choice[i], made = j, made + 1
                now = score(np.array([i]), choice, left)[0]
                j = int(np.argmax(now))
                if now[j] > 0:
                    heapq.heappush(waiting, (-float(now[j]), i, j, made))

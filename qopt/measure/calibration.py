"""Delta(a, p): how much noise a cut may have, found by trying plans on data that nothing else uses.

Eqs. 20-23 add the tensors' noise up as if their effects on the accuracy were independent. They are not quite,
so the limit is not derived but calibrated: from its natural scale, mean ``||sigma*||^2``, downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.arrays import FloatArray, IntArray
from qopt.errors import InputError, QoptError

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

WidthSolver = Callable[[FloatArray, FloatArray, float], IntArray | None]
"""An exact solver: ``(cost (n, k), noise (n, k), limit) -> (n,)``, the column of each tensor's width, or None."""

RATIO = 2.0**0.25
"""Ratio of neighbouring limits on the grid."""

IN_A_ROW = 3
"""A limit holds if its plan and those of the next two smaller limits keep the accuracy."""


@dataclass(frozen=True)
class Loss:
    """Accuracy lost on paired examples: its mean and an interval, in [-1, 1]."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.mean:.2f} points [{100 * self.low:.2f}, {100 * self.high:.2f}]"


def paired_bootstrap(
    reference: BoolArray,
    correct: BoolArray,
    *,
    seed: int = 0,
    draws: int = 10_000,
    confidence: float = 0.95,
) -> Loss:
    """Accuracy lost from `reference` to `correct` and its percentile interval by resampling examples.

    An example's difference is -1, 0 or 1, so resampling n examples is one draw of a trinomial.

    Parameters
    ----------
    reference, correct : (n,) bool, whether each example is classified rightly before and after.
    draws : resamples.
    confidence : of the interval, central.
    """
    if reference.shape != correct.shape or reference.ndim != 1 or len(reference) == 0:
        found = f"shapes {reference.shape} and {correct.shape}"
        raise InputError("correct", found, "the same examples, at least one")
    n = len(reference)
    lost, gained = int(np.sum(reference & ~correct)), int(np.sum(~reference & correct))
    counts = np.random.default_rng(seed).multinomial(n, [lost / n, gained / n, (n - lost - gained) / n], size=draws)
    tail = (1 - confidence) / 2
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / n, [tail, 1 - tail])
    return Loss((lost - gained) / n, float(low), float(high))


@dataclass(frozen=True)
class Trial:
    """One limit of the grid: the widths of its plans, one for each set of prices, and what each loses."""

    limit: float
    plans: tuple[tuple[int, ...], ...]
    losses: tuple[Loss, ...]


@dataclass(frozen=True)
class Calibrated:
    """Delta of one cut and every limit that was tried, largest first."""

    delta: float
    trials: tuple[Trial, ...]

    @property
    def chosen(self) -> Trial:
        """The trial at Delta."""
        return next(trial for trial in self.trials if trial.limit == self.delta)


def calibrate(
    natural: float,
    costs: Sequence[FloatArray],
    noise: FloatArray,
    bits: IntArray,
    loss: float,
    measured_loss: Callable[[tuple[int, ...]], Loss],
    solver: WidthSolver,
) -> Calibrated:
    """Largest limit on the grid from `natural` downwards that the accuracy bears.

    Which plan is best under a limit depends on the ratio of the prices of a weight's and an activation's bit,
    and plans of equal noise need not lose equally much. So a limit must hold for each of several prices.

    Parameters
    ----------
    natural : mean ``||sigma*||^2``, where the search starts.
    costs : for each set of prices, (n, k) cost of each tensor of the cut at each width.
    noise : (n, k) noise over robustness, N_i(b) / rho_i.
    bits : (k,) the widths.
    loss : accuracy level a.
    measured_loss : loss of a plan, a width for each tensor, on the calibration data.
    solver : finds the cheapest plan under a limit, exactly.

    Raises
    ------
    QoptError
        No limit holds: even plans that nearly exhaust the widths lose too much.
    """
    known: dict[tuple[int, ...], Loss] = {}
    trials: list[Trial] = []
    limit, held = natural, 0
    while held < IN_A_ROW:
        choices = [solver(cost, noise, limit) for cost in costs]
        found = [columns for columns in choices if columns is not None]
        if len(found) < len(choices):
            raise QoptError(f"no noise limit keeps the accuracy within {loss:g}: no plan keeps the limit {limit:g}")
        plans = tuple(tuple(int(bits[c]) for c in columns) for columns in found)
        for plan in plans:
            if plan not in known:
                known[plan] = measured_loss(plan)
        trials.append(Trial(limit, plans, tuple(known[plan] for plan in plans)))
        held = held + 1 if all(x.high <= loss for x in trials[-1].losses) else 0
        limit /= RATIO
    return Calibrated(trials[-IN_A_ROW].limit, tuple(trials))

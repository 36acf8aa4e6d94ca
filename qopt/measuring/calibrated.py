"""What calibration finds: Delta of a level and cut, and the trials that led to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qopt.core.display import Brief
from qopt.measuring.intervals import Estimate
from qopt.measuring.plans import Widths


@dataclass(frozen=True, repr=False)
class Trial(Brief):
    """One limit of the grid: its plans, one for each ratio of prices, and what each loses.

    Attributes
    ----------
    limit : Delta that was tried.
    plans : one for each ratio of prices.
    losses : what each of them loses.
    """

    limit: float
    plans: tuple[Widths, ...]
    losses: tuple[Estimate, ...]

    def keeps(self, level: float) -> bool:
        """Whether the upper end of every plan's interval stays within the level."""
        return all(loss.high <= level for loss in self.losses)


@dataclass(frozen=True, repr=False)
class Calibrated(Brief):
    """Delta of one level and cut, and every limit that was tried, smallest first.

    Attributes
    ----------
    delta : the limit, with an interval from resampling the calibration examples. An upper end at the last limit tried
        may lie higher still, but not above the natural scale. Zero where the smallest limit does not hold: the
        instance then has no plan at this level and cut.
    trials : one for each limit that was tried, smallest first.
    """

    delta: Estimate
    trials: tuple[Trial, ...]

    @property
    def chosen(self) -> Trial | None:
        """The trial at Delta; None where no limit holds."""
        return next((trial for trial in self.trials if trial.limit == self.delta.value), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "delta": [self.delta.value, self.delta.low, self.delta.high],
            "trials": [
                {
                    "limit": trial.limit,
                    "plans": [[list(plan.weights), list(plan.activations)] for plan in trial.plans],
                    "losses": [[loss.value, loss.low, loss.high] for loss in trial.losses],
                }
                for trial in self.trials
            ],
        }

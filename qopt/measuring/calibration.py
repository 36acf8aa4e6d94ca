"""Delta(a, p): how much noise a cut may have, found by trying plans on data that nothing else uses.

Eqs. 20-23 add the tensors' noise up as if their effects on the accuracy were independent. They are not quite,
so the limit is not derived but calibrated: from its natural scale, mean ``||sigma*||^2``, downwards.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, QoptError, shown
from qopt.kernels import mckp
from qopt.measuring import fingerprint
from qopt.measuring.calibrated import Calibrated, Trial
from qopt.measuring.checkpoint import Arrays, Checkpoint
from qopt.measuring.coefficients import payload_request
from qopt.measuring.examples import Examples
from qopt.measuring.intervals import Estimate, Resamples, paired_loss
from qopt.measuring.network import Network
from qopt.measuring.plans import PlanRunner, Widths
from qopt.measuring.progress import LineCallback, ProgressCallback, ignore_line, ignore_progress
from qopt.measuring.scores import Score, correct, qualified_name
from qopt.measuring.sensitivity import Sensitivity
from qopt.qpart.subproblem import Subproblem, SubproblemTable

RATIO = 2.0**0.25
"""Ratio of neighbouring limits on the grid."""

IN_A_ROW = 3
"""A limit holds if its plan and those of the next two smaller limits keep the accuracy."""

FURTHER = 2
"""Limits tried below those, for the interval of Delta."""

SHARED_BY = tuple(10**k for k in range(7))
"""Inferences that share a download of the weights: from a bit down as dear as a bit up to next to nothing."""


@dataclass(repr=False)
class Losses(Brief):
    """What plans lose on the calibration examples: measured once each.

    Parameters
    ----------
    difference : (n,) score of the unquantized network minus the plan's, of each example.
    seed : of the intervals.
    """

    difference: Callable[[Widths], FloatArray]
    seed: int = 0
    _known: dict[Widths, tuple[FloatArray, Estimate]] = field(default_factory=dict)
    _drawn: dict[Widths, FloatArray] = field(default_factory=dict)
    _resamples: Resamples | None = None

    def of(self, plan: Widths) -> Estimate:
        """Mean loss of a plan and its interval."""
        if plan not in self._known:
            difference = self.difference(plan)
            loss = paired_loss(difference, np.zeros_like(difference), seed=self.seed)
            self._known[plan] = difference, loss
        return self._known[plan][1]

    def upper_ends(self, plan: Widths) -> FloatArray:
        """(draws,) upper end of the interval that resampled examples would give.

        A draw's mean plus the data's distance from mean to upper end, in proportion to the draw's spread.
        """
        if plan not in self._drawn:
            loss, difference = self.of(plan), self._known[plan][0]
            if self._resamples is None:
                self._resamples = Resamples(len(difference), seed=self.seed)
            mean, square = self._resamples.means(np.stack([difference, difference**2], axis=1)).T
            spread = float(difference.std())
            ratio = np.sqrt(np.maximum(square - mean**2, 0.0)) / spread if spread else np.zeros_like(mean)
            self._drawn[plan] = mean + (loss.high - loss.value) * ratio
        return self._drawn[plan]


def calibrate(
    natural: float, level: float, plans: Callable[[float], tuple[Widths, ...] | None], losses: Losses
) -> Calibrated:
    """Largest limit on the grid from `natural` downwards that the accuracy bears.

    Which plan is best under a limit depends on the ratio of the prices of a weight's and an activation's bit,
    and plans of equal noise need not lose equally much. So a limit must hold for each of several prices.

    Parameters
    ----------
    natural : mean ``||sigma*||^2``, where the search starts.
    level : accuracy level a.
    plans : the cheapest plans under a limit, one for each ratio of prices; None where there is none.
    losses : what plans lose.
    """
    trials: list[Trial] = []
    limit, held, further = natural, 0, 0
    while further < FURTHER:
        found = plans(limit)
        if found is None:
            break
        trials.append(Trial(limit, found, tuple(losses.of(plan) for plan in found)))
        further += held == IN_A_ROW
        held = held if held == IN_A_ROW else held + 1 if trials[-1].keeps(level) else 0
        limit /= RATIO
    keeps = np.array([trial.keeps(level) for trial in trials], dtype=bool)
    drawn = np.array(
        [np.max([losses.upper_ends(plan) for plan in trial.plans], axis=0) <= level for trial in trials], dtype=bool
    )
    limits = np.array([trial.limit for trial in trials])
    delta = float(_first_in_a_row(keeps[:, None], limits, 0.0)[0])
    smallest = float(limits[-1]) if delta else 0.0
    return Calibrated(Estimate.of(delta, _first_in_a_row(drawn, limits, smallest)), tuple(trials))


def _first_in_a_row(keeps: np.ndarray[Any, np.dtype[np.bool_]], limits: FloatArray, otherwise: float) -> FloatArray:
    """(draws,) the first limit that keeps the level with the next two, for each column of (trials, draws)."""
    windows = len(limits) - IN_A_ROW + 1
    if windows < 1:
        return np.full(keeps.shape[1] if keeps.ndim == 2 else 1, otherwise)
    good = np.all([keeps[i : i + windows] for i in range(IN_A_ROW)], axis=0)
    found: FloatArray = np.where(good.any(axis=0), limits[np.argmax(good, axis=0)], otherwise)
    return found


def exact_widths(subproblem: Subproblem, limit: float, cost: FloatArray | None = None) -> Widths | None:
    """The cheapest whole bits of a cut under a noise limit, proved; None where there are none.

    Parameters
    ----------
    cost : (items, k) instead of the subproblem's own.
    """
    result = mckp.solve(subproblem.cost if cost is None else cost, subproblem.noise, limit)
    if result.choice is None and result.status == "infeasible":
        return None
    if result.choice is None or result.status != "optimal":
        raise QoptError(f"the whole-bit plan of cut {subproblem.cut} was not proved: {result.status}")
    return Widths.of(subproblem.plan(subproblem.bits[result.choice], "whole"))


def calibrate_cuts(
    network: Network,
    examples: Examples,
    found: Sensitivity,
    *,
    shared_by: Sequence[int] = SHARED_BY,
    cuts: Sequence[int] | None = None,
    score: Score = correct,
    seed: int = 0,
    memory: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    say: LineCallback = ignore_line,
    advance: ProgressCallback = ignore_progress,
) -> list[list[Calibrated]]:
    """Delta(a, p) at every level and cut p = 1..L, each with the plans that led to it.

    The plans are those of least payload (Eq. 14), and of least payload for each inference where a download serves
    several, proved optimal.

    Parameters
    ----------
    network : as it was measured.
    examples : data used neither for `found` nor for the final test.
    found : coefficients, at the levels wanted.
    shared_by : numbers of inferences that share one download of the weights; a limit must hold for the plans of each.
    cuts : which to calibrate; by default all. The others get Delta zero: no plan.
    score : as for `found`.
    seed : of the intervals.
    memory : bytes that tensors may take; by default what the device has.
    checkpoint : a folder for finished work, not that of `found`.
    say, advance : receive a line for each level and cut, and how far the work is.

    Returns
    -------
    A list for each level, with an entry for each cut 1..L.
    """
    wanted = set(range(1, len(network) + 1) if cuts is None else cuts)
    if not wanted or not wanted <= set(range(1, len(network) + 1)):
        raise InputError("cuts", shown(sorted(wanted)), f"cuts from 1 to {len(network)}")
    if not shared_by:
        raise InputError("shared_by", "nothing", "at least one number of inferences")
    saved = Checkpoint(checkpoint, _made_from(network, examples, found, score))
    runner = PlanRunner(network, examples, found, score=score, memory=memory)
    losses = Losses(partial(_difference, runner, saved), seed)
    natural = found.natural.value
    results, done = [], 0
    for level in found.levels:
        tables = [SubproblemTable(payload_request(network, found, level, n)) for n in shared_by]
        row = []
        for cut in range(1, len(network) + 1):
            if cut not in wanted:
                row.append(Calibrated(Estimate(0.0, 0.0, 0.0), ()))
                continue
            result = calibrate(natural, level, partial(_cheapest, [table.at(cut) for table in tables]), losses)
            row.append(result)
            done += 1
            advance("calibration", done, len(wanted) * len(found.levels))
            say(f"level {level:g}, cut {cut}: {_line(result, natural)}")
        results.append(row)
    return results


def _made_from(network: Network, examples: Examples, found: Sensitivity, score: Score) -> dict[str, Any]:
    """What a checkpoint holds must have been made from."""
    return {
        "network": fingerprint.structure(network),
        "weights": fingerprint.weights(network),
        "data": examples.digest(),
        "coefficients": found.to_dict(),
        "score": qualified_name(score),
        "device": network.device.type,
    }


def _difference(runner: PlanRunner, saved: Checkpoint, plan: Widths) -> FloatArray:
    """(n,) score of the unquantized network minus the plan's, of each example."""

    def measured() -> Arrays:
        return {"difference": runner.reference - runner.run(plan)[0]}

    name = hashlib.sha256(str(plan).encode()).hexdigest()[:24]
    return saved.unit(f"plan-{plan.cut:03d}-{name}", measured)["difference"]


def _cheapest(subproblems: Sequence[Subproblem], limit: float) -> tuple[Widths, ...] | None:
    """The cheapest plans of a cut under a limit, one for each ratio of prices; None where there is none."""
    plans = []
    for subproblem in subproblems:
        plan = exact_widths(subproblem, limit)
        if plan is None:
            return None
        plans.append(plan)
    return tuple(plans)


def _line(result: Calibrated, natural: float) -> str:
    if result.chosen is None:
        return f"no limit keeps the level ({len(result.trials)} tried)"
    delta = result.delta
    losses = dict(zip(result.chosen.plans, result.chosen.losses, strict=True))
    plans = "; ".join(f"{plan} loses {loss.points()}" for plan, loss in losses.items())
    tried = f"{delta.value / natural:.3g} of natural, {len(result.trials)} limits tried"
    return f"Delta {delta.value:.5g} [{delta.low:.5g}, {delta.high:.5g}] ({tried}); {plans}"

"""Delta(a, p): how much noise a cut may have, found by trying plans on data that nothing else uses.

Eqs. 20-23 add the tensors' noise up as if their effects on the accuracy were independent. They are not quite,
so the limit is not derived but calibrated, by fixed-sequence testing: limits that were laid down before are tested from
the smallest upwards, and the last before the first failure is kept. However many are tested, a limit that does not hold
is kept with no more risk than one test's, because the first such limit must pass it. (Searching downwards for the first
limit that passes is a maximum over looks, and its risk grows with their number.)
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
from qopt.measuring.intervals import Estimate, Resamples
from qopt.measuring.losses import BoolArray, changes, check_decidable, exact_upper, paired_loss, refuted
from qopt.measuring.network import Network
from qopt.measuring.plans import PlanRunner, Widths
from qopt.measuring.progress import LineCallback, ProgressCallback, ignore_line, ignore_progress
from qopt.measuring.scores import Score, correct, is_bounded, qualified_name
from qopt.measuring.sensitivity import Sensitivity
from qopt.qpart.subproblem import Subproblem, SubproblemTable

RATIO = 2.0**0.25
"""Ratio of neighbouring limits from the natural scale down to `FINE` steps below it."""

FINE = 24
"""Steps of `RATIO`: to a 64th of the natural scale. Limits measured on three networks lay above a seventh."""

COARSE = 4.0
"""Ratio of neighbouring limits below those: about a bit for every tensor (Eq. 19)."""

FURTHER = 2
"""Limits tried above the first that fails, for the interval of Delta."""

SHARED_BY = tuple(10**k for k in range(7))
"""Inferences that share a download of the weights: from a bit down as dear as a bit up to next to nothing."""


@dataclass(repr=False)
class Losses(Brief):
    """What plans lose on the calibration examples: measured once each.

    Parameters
    ----------
    difference : (n,) score of the unquantized network minus the plan's, of each example.
    seed : of the resampling.
    guarantee : whether intervals must hold for every number of examples; see `paired_loss`.
    bounded : whether scores lie in [0, 1].
    """

    difference: Callable[[Widths], FloatArray]
    seed: int = 0
    guarantee: bool = False
    bounded: bool = True
    _known: dict[Widths, tuple[FloatArray, Estimate]] = field(default_factory=dict)
    _drawn: dict[Widths, FloatArray] = field(default_factory=dict)
    _resamples: Resamples | None = None

    def of(self, plan: Widths) -> Estimate:
        """Mean loss of a plan and its interval."""
        if plan not in self._known:
            difference = self.difference(plan)
            loss = paired_loss(
                difference,
                np.zeros_like(difference),
                seed=self.seed,
                guarantee=self.guarantee,
                bounded=self.bounded,
            )
            self._known[plan] = difference, loss
        return self._known[plan][1]

    def keep_when_drawn(self, plan: Widths, level: float) -> BoolArray:
        """(draws,) whether the upper end stays within a level on resampled calibration examples.

        Where some examples change by a part of their score, a draw's upper end is its mean plus the data's distance
        from mean to upper end, in proportion to the draw's spread.
        """
        loss, difference = self.of(plan), self._known[plan][0]
        n = len(difference)
        if plan not in self._drawn:
            if self._resamples is None:
                self._resamples = Resamples(n, seed=self.seed)
            self._drawn[plan] = self._resamples.means(np.stack([difference, difference**2], axis=1)).T
        mean, square = self._drawn[plan]
        if not self.bounded or changes(difference) is None:
            spread = float(difference.std())
            ratio = np.sqrt(np.maximum(square - mean**2, 0.0)) / spread if spread > 0.0 else np.ones_like(mean)
            found: BoolArray = mean + (loss.high - loss.value) * ratio <= level
            return found
        lost, gained = np.rint(n * (square + mean) / 2.0), np.rint(n * (square - mean) / 2.0)
        return exact_upper(lost, gained, n) <= level if self.guarantee else refuted(lost, gained, n, level)


Plans = tuple[Widths, ...]
"""The cheapest plans under a limit, one for each ratio of prices."""


class _Sequence:
    """The limits of one cut in the order in which they were laid down, 0 the natural scale, and their plans.

    The plans depend on the coefficients alone, not on the examples that test them.
    """

    def __init__(self, natural: float, plans: Callable[[float], Plans | None]) -> None:
        self._natural, self._plans = natural, plans
        self._finest = plans(0.0)
        self._known: dict[int, Plans | None] = {}

    def limit(self, step: int) -> float:
        return self._natural * RATIO ** -min(step, FINE) * COARSE ** -max(step - FINE, 0)

    def plans(self, step: int) -> Plans | None:
        if step not in self._known:
            self._known[step] = self._plans(self.limit(step))
        return self._known[step]

    def first(self) -> int | None:
        """The step of the smallest limit worth a test: below it there are no plans, or the same; None: no plans at all.

        Downwards this ends, because limits reach zero in double precision, where the plans are the finest if any.
        """
        step = FINE
        while self._idle(step + 1) is False:
            step += 1
        while step > 0 and self._idle(step):
            step -= 1
        return None if self.plans(step) is None else step

    def _idle(self, step: int) -> bool:
        """Whether a limit has no plans, or those of the next larger one, which none below it changes."""
        plans = self.plans(step)
        return plans is None or (plans == self._finest and self.plans(step - 1) == plans)


def calibrate(
    natural: float,
    level: float,
    plans: Callable[[float], Plans | None],
    losses: Losses,
    *,
    interaction: float = 1.0,
) -> Calibrated:
    """Largest limit from the smallest upwards, at most `natural`, before the first that the accuracy does not bear.

    Which plan is best under a limit depends on the ratio of the prices of a weight's and an activation's bit,
    and plans of equal noise need not lose equally much. So a limit must hold for each of several prices.

    Parameters
    ----------
    natural : mean ``||sigma*||^2``, where the sequence of limits ends.
    level : accuracy level a.
    plans : the cheapest plans under a limit, one for each ratio of prices; None where there is none. What is cheapest
        under a limit and keeps a smaller one is cheapest there too.
    losses : what plans lose.
    interaction : how many times the sum the noise of tensors together may be (`qopt.measuring.interaction`): the limit
        kept is the largest tested that this factor takes to a limit that holds.

    Returns
    -------
    Delta zero where the smallest limit fails, or where no limit has a plan.
    """
    sequence = _Sequence(natural, plans)
    step = sequence.first()
    trials: list[Trial] = []
    failed = 0
    while step is not None and step >= 0 and failed <= FURTHER:
        found = sequence.plans(step)
        assert found is not None  # plans under a limit are plans under every larger one
        trials.append(Trial(sequence.limit(step), found, tuple(losses.of(plan) for plan in found)))
        failed += failed > 0 or not trials[-1].keeps(level)
        step -= 1
    if not trials:
        return Calibrated(Estimate(0.0, 0.0, 0.0), ())
    limits = np.array([0.0, *(trial.limit for trial in trials)])
    keeps = np.array([[trial.keeps(level)] for trial in trials])
    drawn = np.array([np.all([losses.keep_when_drawn(p, level) for p in trial.plans], axis=0) for trial in trials])
    kept, kept_when_drawn = (limits[before_first_failure(passed)] for passed in (keeps, drawn))
    if interaction > 1.0:
        kept, kept_when_drawn = (
            limits[np.searchsorted(limits, found / interaction * (1.0 + 1e-12), side="right") - 1]
            for found in (kept, kept_when_drawn)
        )
    return Calibrated(Estimate.of(float(kept[0]), kept_when_drawn), tuple(trials))


def before_first_failure(passed: BoolArray) -> np.ndarray[Any, np.dtype[np.intp]]:
    """(draws,) how many tests of a fixed sequence pass before the first that fails.

    Parameters
    ----------
    passed : (tests, draws) whether each test, in order, passes in each draw.
    """
    found: np.ndarray[Any, np.dtype[np.intp]] = np.logical_and.accumulate(passed, axis=0).sum(axis=0)
    return found


def exact_widths(subproblem: Subproblem, limit: float, cost: FloatArray | None = None) -> Widths | None:
    """The cheapest whole bits of a cut under a noise limit, proved; None where there are none.

    Parameters
    ----------
    limit : what the noise terms may add up to.
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
    guarantee: bool = False,
    interaction: float = 1.0,
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
    cuts : list of those to calibrate; by default all. The others get Delta zero: no plan.
    score : as for `found`.
    guarantee : whether the intervals of losses must hold for every number of examples; see `paired_loss`.
    interaction : how many times the sum the noise of tensors together may be; see `calibrate`.
    seed : of the intervals.
    memory : bytes that tensors may take; by default what the device has.
    checkpoint : a folder for finished work, not that of `found`.
    say, advance : receive a line for each level and cut, and how far the work is.

    Returns
    -------
    A list for each level, with an entry for each cut 1..L.

    Raises
    ------
    InputError
        No such cut, no number of inferences, or a level that so many examples cannot decide, with the number that could
        (where every example is right or wrong).
    """
    wanted = set(range(1, len(network) + 1) if cuts is None else cuts)
    if not wanted or not wanted <= set(range(1, len(network) + 1)):
        raise InputError("cuts", shown(sorted(wanted)), f"cuts from 1 to {len(network)}")
    if not shared_by:
        raise InputError("shared_by", "nothing", "at least one number of inferences")
    saved = Checkpoint(checkpoint, _made_from(network, examples, found, score))
    runner = PlanRunner(network, examples, found, score=score, memory=memory)
    bounded = is_bounded(score)
    if bounded and bool(np.isin(runner.reference, (0.0, 1.0)).all()):
        check_decidable(found.levels, len(examples), guarantee=guarantee)
    losses = Losses(partial(_difference, runner, saved), seed, guarantee, bounded)
    natural = found.natural.value
    results, done = [], 0
    for level in found.levels:
        tables = [SubproblemTable(payload_request(network, found, level, n)) for n in shared_by]
        row = []
        for cut in range(1, len(network) + 1):
            if cut not in wanted:
                row.append(Calibrated(Estimate(0.0, 0.0, 0.0), ()))
                continue
            subproblems = [table.at(cut) for table in tables]
            result = calibrate(natural, level, partial(_cheapest, subproblems), losses, interaction=interaction)
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


def _cheapest(subproblems: Sequence[Subproblem], limit: float) -> Plans | None:
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

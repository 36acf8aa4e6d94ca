"""Is the model true? Joint plans measured beside what the sum of single tensors' noise says, and the 4^-b law.

Eqs. 20-23 add up the noise of tensors that were quantized one at a time, and take a sum of noise over robustness below
a limit for an accuracy. Both can be tried: quantize many tensors together and measure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.limits import within
from qopt.measuring.calibrated import Calibrated
from qopt.measuring.calibration import exact_widths
from qopt.measuring.coefficients import payload_request
from qopt.measuring.intervals import Estimate, Resamples
from qopt.measuring.losses import paired_loss
from qopt.measuring.network import Network, TensorName
from qopt.measuring.plans import PlanRunner, Widths, crossing_outputs
from qopt.measuring.sensitivity import Sensitivity
from qopt.qpart.subproblem import SubproblemTable


@dataclass(frozen=True, repr=False)
class JointPlan(Brief):
    """A plan as measured, beside what the model says of it.

    Attributes
    ----------
    plan : widths.
    noise : mean ``||Z' - Z||^2`` with every tensor of the plan quantized.
    summed : sum of N_i(b_i) over its tensors, each measured alone.
    loss : mean score lost.
    spent : for each level, the sum of N_i(b_i) / rho_i(a): what is compared with Delta(a, p).
    """

    plan: Widths
    noise: Estimate
    summed: float
    loss: Estimate
    spent: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Measured noise over the sum: 1 where noise is additive."""
        return self.noise.value / self.summed if self.summed else math.inf if self.noise.value else 1.0


def tensors_of(network: Network, plan: Widths) -> list[tuple[TensorName, int]]:
    """The tensors that a plan quantizes, each with its width."""
    weights = [
        (TensorName("weight", i), b) for i, b in enumerate(plan.weights, start=1) if network.layers[i - 1].parameters
    ]
    outputs = crossing_outputs(network, plan.cut)
    return weights + [(TensorName("activation", i), b) for i, b in zip(outputs, plan.activations, strict=True)]


def random_plans(
    network: Network, count: int, *, cuts: Sequence[int] | None = None, lo: int = 2, hi: int = 8, seed: int = 0
) -> list[Widths]:
    """Plans of widths drawn uniformly from lo..hi, at cuts drawn uniformly; layers that share a weight share its width.

    Parameters
    ----------
    count : how many.
    cuts : list of those to draw from; by default 1..L.
    lo, hi : least and largest width.
    seed : of the draws.
    """
    rng = np.random.default_rng(seed)
    cuts = range(1, len(network) + 1) if cuts is None else cuts
    plans = []
    for _ in range(count):
        cut = int(rng.choice(np.array(cuts)))
        weights = rng.integers(lo, hi + 1, cut).tolist()
        for group in network.shared:
            for layer in group:
                if layer <= cut:
                    weights[layer - 1] = weights[group[0] - 1]
        outputs = rng.integers(lo, hi + 1, len(crossing_outputs(network, cut))).tolist()
        plans.append(Widths(tuple(weights), tuple(outputs)))
    return plans


def priced_plans(
    network: Network,
    found: Sensitivity,
    cuts: Sequence[Sequence[Calibrated]],
    level: float,
    count: int,
    *,
    each: bool = False,
    seed: int = 0,
) -> list[Widths]:
    """Cheapest plans under the calibrated Delta of a level, at random cuts and random prices of a bit.

    A request's prices are a tensor's size times one number for what goes down and one for what goes up. Their ratio is
    drawn here, log-uniform from 1e-6 to 1; Delta is calibrated at a few ratios in that range.

    Parameters
    ----------
    cuts : as `calibrate_cuts` gives them, a list for each level.
    level : a, one of those measured.
    count : how many; fewer where no limit holds.
    each : draw a price for every tensor instead, log-uniform over four decades. No request has such prices: these plans
        spend the same noise in other places, and Delta was not calibrated for them.
    seed : of the draws.
    """
    row = cuts[found.row(level)]
    usable = [p for p, c in enumerate(row, start=1) if c.delta.value > 0]
    rng = np.random.default_rng(seed)
    table = SubproblemTable(payload_request(network, found, level, 1))
    plans = []
    for _ in range(count if usable else 0):
        cut = int(rng.choice(usable))
        segment = table.at(cut)
        price = segment.price.copy()
        price[segment.stored > 0] *= 10.0 ** rng.uniform(-6.0, 0.0)
        if each:
            price = 10.0 ** rng.uniform(-2.0, 2.0, len(price))
        plan = exact_widths(segment, row[cut - 1].delta.value, price[:, None] * segment.bits)
        if plan is not None:
            plans.append(plan)
    return plans


def joint_plans(
    network: Network, found: Sensitivity, runner: PlanRunner, plans: Sequence[Widths], *, seed: int = 0
) -> list[JointPlan]:
    """Measure plans and set them beside the model.

    Parameters
    ----------
    runner : plans on examples: those of `found` test additivity alone, others the whole model.
    plans : list of plans to be measured.
    seed : of the intervals.

    Returns
    -------
    A `JointPlan` for each plan.

    Raises
    ------
    InputError
        No plans, or a width that was not measured.
    """
    if not plans:
        raise InputError("plans", "none", "at least one")
    reference, records = runner.reference, []
    resamples = Resamples(len(reference), seed=seed)
    for plan in plans:
        scores, noise = runner.run(plan)
        tensors = tensors_of(network, plan)
        if any(b not in found.bits for _, b in tensors):
            raise InputError("plan", shown(str(plan)), f"widths from {found.bits[0]} to {found.bits[-1]}")
        column = [int(b - found.bits[0]) for _, b in tensors]
        spent = [
            math.fsum(float(found.terms(t, a)[k]) for (t, _), k in zip(tensors, column, strict=True))
            for a in found.levels
        ]
        records.append(
            JointPlan(
                plan,
                Estimate.of(float(noise.mean()), resamples.means(noise[:, None])[:, 0]),
                math.fsum(float(found.tensors[t].noise[k]) for (t, _), k in zip(tensors, column, strict=True)),
                paired_loss(reference, scores, seed=seed, bounded=runner.bounded),
                tuple(spent),
            )
        )
    return records


@dataclass(frozen=True)
class Held:
    """Plans within the calibrated Delta of a level, and what they lose.

    Attributes
    ----------
    level : a.
    plans : how many joint plans keep Delta(a, p).
    within : how many of them lose at most the level, on average over the examples.
    refuted : how many lose more, even at the lower end of their intervals.
    worst : largest mean loss among them; None where there are none.
    """

    level: float
    plans: int
    within: int
    refuted: int
    worst: float | None


def held(found: Sensitivity, cuts: Sequence[Sequence[Calibrated]], records: Sequence[JointPlan]) -> list[Held]:
    """For each level, whether plans that keep the calibrated Delta keep the level too.

    Parameters
    ----------
    cuts : as `calibrate_cuts` gives them: a list for each level.
    records : of `joint_plans`, one for each plan.
    """
    results = []
    for row, level in enumerate(found.levels):
        inside = [r.loss for r in records if within([r.spent[row]], cuts[row][r.plan.cut - 1].delta.value)]
        results.append(
            Held(
                level,
                len(inside),
                sum(loss.value <= level for loss in inside),
                sum(loss.low > level for loss in inside),
                max((loss.value for loss in inside), default=None),
            )
        )
    return results


def law_ratios(found: Sensitivity) -> dict[TensorName, FloatArray]:
    """N_i(b) / (s_i 4^-b) for each tensor, (k,): 1 where the law holds, NaN where a tensor adds no noise."""
    law = np.exp2(-2.0 * found.bits.astype(np.float64))
    return {
        tensor: one.noise / (one.s.value * law) if one.s.value > 0 else np.full(len(law), np.nan)
        for tensor, one in found.tensors.items()
    }

"""Real execution of both segments, for the accuracy of a sample of requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qopt.core.arguments import whole
from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, shown
from qopt.qpart.plan import QPartPlan
from qopt.simulation.modules import Figure, figure
from qopt.simulation.simulate import Simulation


@dataclass(frozen=True)
class Executed:
    """What a sample of requests came to when both segments really ran.

    Attributes
    ----------
    policy, network : whose requests.
    requests : how many were sampled.
    plans : distinct plans among them, each of which ran once.
    score : mean score with its interval over the sampled requests, each with an example of its own.
    """

    policy: str
    network: str
    requests: int
    plans: int
    score: Figure


def executed(
    simulation: Simulation,
    policy: str,
    network: str,
    run: Callable[[QPartPlan], FloatArray],
    *,
    sample: int = 1000,
    seed: int = 0,
) -> Executed:
    """Run the plans of a sample of requests on examples (section V's executing module): accuracy as it comes out.

    Parameters
    ----------
    simulation : of `simulate`.
    policy : one of its runs.
    network : name of the network whose requests are sampled.
    run : runs a plan, device's segment and server's, on examples: (n,) scores, such as whether each is right. Of a
        `qopt.measuring.plans.PlanRunner` it is ``lambda plan: runner.run(Widths.of(plan))[0]``.
    sample : how many requests, those without a plan left out.
    seed : of the sample, and of which example each request brings.

    Returns
    -------
    `Executed`: mean score with its interval, and how many plans ran.

    Raises
    ------
    InputError
        No such run or network, or none of its requests has a plan.
    """
    if policy not in simulation.runs:
        raise InputError("policy", shown(policy), ", ".join(simulation.runs))
    stream = simulation.stream
    if network not in stream.requests.networks:
        raise InputError("network", shown(network), ", ".join(stream.requests.networks))
    sample = whole("sample", sample, 1)
    rng = np.random.default_rng(seed)
    ran = simulation.runs[policy]
    rows = np.flatnonzero((stream.requests.network == stream.requests.networks.index(network)) & (ran.cut >= 0))
    if not rows.size:
        raise InputError("network", f"{network}, of whose requests none has a plan", "a network that was served")
    rows = np.sort(rng.choice(rows, min(sample, rows.size), replace=False))
    table = simulation.policies[policy].table
    levels = [stream.requests.problem(int(row), stream.networks[network]).level_row for row in rows]
    scores: dict[QPartPlan, FloatArray] = {}
    found = np.empty(len(rows))
    for k, (row, level) in enumerate(zip(rows.tolist(), levels, strict=True)):
        plans, e, cut = table.whole[network, level], int(ran.entry[row]), int(ran.cut[row])
        widths = plans.widths[plans.start[e] : plans.start[e + 1]].astype(float).tolist()
        plan = QPartPlan(problem=network, cut=cut, weights=tuple(widths[:cut]), activations=tuple(widths[cut:]))
        if plan not in scores:
            scores[plan] = np.asarray(run(plan), dtype=np.float64)
        found[k] = scores[plan][rng.integers(0, len(scores[plan]))]
    return Executed(policy, network, len(rows), len(scores), figure(found, stream.units.of(rows)))

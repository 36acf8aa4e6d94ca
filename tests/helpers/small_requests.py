"""Small requests with any feature that changes what a cut holds, and all their plans with whole bits."""

from __future__ import annotations

import itertools
import random
from typing import Any

from qopt.core.limits import within
from qopt.qpart.costs import breakdown
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import QPart
from qopt.qpart.terms import noise_terms

LEVEL = 0.01


def small(rng: random.Random, **changes: Any) -> QPart:
    """A problem of one to three layers, at any scale, with any of the features that change what a cut holds."""
    n, hi = rng.randint(1, 3), rng.choice([2, 4])
    scale = 10.0 ** rng.randint(-12, 12)
    model = changes.pop("model", rng.choice(["law", "grid", "table"]))
    noise: dict[str, Any] = {"model": model}
    if model == "table":
        noise["table"] = {"bits": list(range(1, hi + 1))}
        for name in ("weights", "activations"):
            rows = [[rng.random() * scale * 4.0**-b for b in range(1, hi + 1)] for _ in range(n)]
            noise["table"][name] = [sorted(r, reverse=True) if rng.random() < 0.8 else r for r in rows]
    else:
        noise["s_weights"] = [rng.choice([0, 1, 1, 1]) * rng.uniform(0.1, 3) * scale for _ in range(n)]
        noise["s_activations"] = [rng.uniform(0.1, 3) * scale for _ in range(n)]
    tight = rng.choice([0.003, 0.02, 0.1, 0.5]) * scale
    weights = [rng.randint(0, 50) for _ in range(n)]
    problem = QPart(
        network={
            "macs": [rng.randint(0, 100) for _ in range(n)],
            "weights": weights,
            "activations": [rng.randint(0, 30) for _ in range(n)],
            "input_size": rng.choice([5, 5000]),
            "input_bits": 8,
            "last_reader": [rng.randint(i + 1, n + 1) for i in range(n)] + [n + 1] if rng.random() < 0.4 else None,
        },
        device={"cycles_per_mac": 1.0, "clock": rng.choice([1.0, 10.0])},
        server={"cycles_per_mac": 1.0, "clock": 50.0, "price": 0.1},
        channel={"rate": rng.choice([1.0, 1e-9, 1e9]), "transmit_power": 1.0},
        noise=noise,
        accuracy={"levels": [LEVEL], "delta": [[tight * rng.uniform(0.5, 2) * (i + 1) for i in range(n)]]},
        level=LEVEL,
        bits={"lo": 1, "hi": hi},
        tie_cut=rng.random() < 0.3,
        send_output=rng.random() < 0.7,
    )
    if rng.random() < 0.4:
        changes.setdefault("device.memory", float(rng.randint(1, 200)))
    if rng.random() < 0.5:
        changes.setdefault("cuts", sorted(rng.sample(range(1, n + 1), rng.randint(1, n))))
    return problem.replace(changes)


def whole_plans(problem: QPart) -> list[tuple[QPartPlan, bool, float]]:
    """Every whole-bit plan, whether it is feasible, and its objective: section 1 read word for word."""
    found = []
    noise_w, noise_x = noise_terms(problem)
    lo, hi = problem.bits.lo, problem.bits.hi
    for p in problem.admissible_cuts.tolist():
        outputs = crossing_activations(problem, p)
        for widths in itertools.product(range(lo, hi + 1), repeat=p + len(outputs)):
            w, x = widths[:p], widths[p:]
            if problem.tie_cut and p > 0 and p in outputs and x[-1] != w[-1]:
                continue
            terms = [float(noise_w[i, b - lo]) for i, b in enumerate(w)]
            terms += [float(noise_x[i - 1, b - lo]) for i, b in zip(outputs, x, strict=True)]
            stored = [float(z * b) for z, b in zip(problem.network.weights, w, strict=False)]
            feasible = (p == 0 or within(terms, float(problem.delta[p - 1]))) and (
                problem.device.memory is None or within(stored, problem.device.memory)
            )
            plan = QPartPlan(cut=p, weights=tuple(map(float, w)), activations=tuple(map(float, x)))
            found.append((plan, feasible, breakdown(problem, plan).objective))
    return found

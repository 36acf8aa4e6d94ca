"""Figures of serving: decisions against direct solving, their speed, break-even points, the published algorithm.

python benchmarks/serving.py [--quick] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np

import qopt
from qopt.core.files import write_text
from qopt.qpart.generate import qpart
from qopt.qpart.problem import QPart

LEVELS = [0.002, 0.005, 0.01, 0.02, 0.05]


def network(layers: int, seed: int, **options: Any) -> QPart:
    """A random network with five levels."""
    p = qpart(layers, seed=seed, **options)
    delta = [(p.accuracy.delta[0] * s).tolist() for s in (0.1, 0.3, 1, 3, 10)]
    rho = {"accuracy.rho_weights": None, "accuracy.rho_activations": None}
    return p.replace({"accuracy.levels": LEVELS, "accuracy.delta": delta, **rho})


def requests(p: QPart, n: int, seed: int) -> qopt.Requests:
    """Random requests that vary every field but the server's speed."""
    rng = np.random.default_rng(seed)

    def around(x: float) -> Any:
        return x * 10 ** rng.uniform(-1, 1, n)

    middle = {"device.clock": 2e8, "server.price": 0.1, "channel.rate": p.channel.uplink}
    middle |= {"channel.download_rate": p.channel.uplink, "channel.transmit_power": 1.0}
    middle |= {"objective.time": 1.0, "objective.energy": 1.0, "objective.price": 1.0}
    columns = {name: around(x) for name, x in middle.items()}
    columns["inferences"] = np.floor(around(20.0))
    columns["level"] = rng.choice(LEVELS, n)
    columns["device.memory"] = np.where(rng.random(n) < 0.5, np.inf, around(3 * float(p.network.weights.sum())))
    return qopt.Requests.of(columns)


def equal(n: int) -> int:
    """How many decisions have the objective of solving directly, within 1e-12."""
    same, kinds = (
        0,
        [{"noise": m, **o} for m in ("law", "grid", "table") for o in ({}, {"tie_cut": True}, {"branches": True})],
    )
    for k in range(n):
        if k % 50 == 0:
            p = network(6, k, bits=(1, 8), **kinds[k // 50 % len(kinds)])
            asked = requests(p, min(50, n - k), k)
            found = qopt.decide(qopt.offline([p]), asked)
        value = qopt.solve(asked.problem(k % 50, p)).objective
        j = float(found.objective[k % 50])
        same += np.isinf(j) if value is None else abs(j - value) <= 1e-12 * abs(value)
    return int(same)


def speed(n: int, repeats: int) -> float:
    """Median seconds of `decide` for 20 layers and 5 levels."""
    p = network(20, 1)
    table, asked = qopt.offline([p]), requests(p, n, 0)
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        qopt.decide(table, asked)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def rates(p: QPart, n: int) -> int:
    """How many sampled rates have the objective that the break-even intervals give."""
    x = p.channel.uplink * 10 ** np.random.default_rng(0).uniform(-3, 3, n)
    found = qopt.decide(qopt.offline([p]), qopt.Requests.of({"channel.rate": x})).objective
    return int(np.sum(np.abs(qopt.breakpoints(p, "rate").objectives(x) - found) <= 1e-12 * found))


def _request(seed: int) -> QPart:
    """A random request over a range of rates, its server's energy not charged, as in the paper's text."""
    rng = np.random.default_rng(seed)
    changes = {"server.charge_energy": False, "channel.rate": float(10 ** rng.uniform(5, 8))}
    return qpart(6, seed=seed, reference_bits=int(rng.integers(3, 9))).replace(changes)


def paper(problems: list[QPart]) -> dict[str, Any]:
    """Noise over its limit, and excess cost where the limit holds."""
    factor, excess, broken = [], [], 0
    for p in problems:
        found = qopt.solve(p, "qpart-paper")
        noise = next((s for s in found.certificate.constraints if "noise" in s.name or "accuracy" in s.name), None)
        factor += [noise.used / noise.limit] if noise else []
        broken += not found.certificate.feasible
        if found.certificate.feasible and found.objective is not None:
            excess.append(found.objective / (qopt.solve(p).objective or 1.0) - 1)
    return {"problems": len(problems), "broken": broken, "factor": factor, "excess": excess}


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", help="write the figures as JSON")
    parser.add_argument("--picture", help="draw the published algorithm on the random requests")
    options = parser.parse_args(arguments)
    n, million, samples, many = (100, 10_000, 500, 10) if options.quick else (10_000, 1_000_000, 10_000, 200)
    mlp = qopt.load("qpart/mnist-mlp6")
    law = mlp.replace({"noise.model": "law"})
    figures = {
        "equal": [equal(n), n],
        "decide_seconds": [speed(million, 7), million],
        "rates_equal": [rates(p, samples) for p in [mlp, *(qpart(6, seed=s) for s in range(20))]],
        "paper_mnist": paper([mlp]),
        "paper_law": paper([law]),
        "paper_random": paper([_request(s) for s in range(many)]),
    }
    for name, value in figures.items():
        if isinstance(value, dict):
            q = {
                k: np.quantile(v, [0, 0.25, 0.5, 0.75, 1]).tolist() if v else []
                for k, v in value.items()
                if k in ("factor", "excess")
            }
            print(f"{name}: {value['broken']} of {value['problems']} break the limit; quantiles {q}")
        else:
            print(f"{name}: {value}")
    try:
        import torch

        print("CUDA device:", torch.cuda.get_device_name() if torch.cuda.is_available() else "not available")
    except ImportError:
        print("CUDA device: not available")
    if options.picture:
        import matplotlib

        matplotlib.use("Agg")
        ax = qopt.plots.plot_published([_request(s) for s in range(many)])
        qopt.plots.style.save_figure(ax, options.picture, dots=90)
    if options.out:
        write_text(options.out, json.dumps(figures))


if __name__ == "__main__":
    main()

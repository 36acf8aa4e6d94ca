"""Repeat the figures of `qpart/mnist-mlp6` from the kept weights and the kept test images: no download.

python evaluate.py [--instance FILE] [--weights FILE] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import mlp
import numpy as np
import torch

from qopt.arrays import FloatArray, IntArray
from qopt.costs import base_costs, tensor_prices
from qopt.errors import QoptError
from qopt.kernels import mckp
from qopt.measure.coefficients import Examples, plan_loss, right
from qopt.measure.network import Chain
from qopt.measure.quantizer import Range
from qopt.problems.qpart import QPart
from qopt.problems.reading import load
from qopt.problems.terms import noise_terms, widths

HERE = Path(__file__).resolve().parent
FLOAT_BITS = 32
RATES = (5e4, 1e5, 2e5, 4e5, 6e5, 1e6, 5e6, 2e8)


def exact(cost: FloatArray, noise: FloatArray, limit: float) -> IntArray | None:
    """Cheapest width of each tensor under a noise limit, proved."""
    result = mckp.solve(cost, noise, limit)
    if result.choice is None:
        return None
    if result.status != "optimal":
        raise QoptError(f"the whole-bit plan was not proved: {result.status}")
    return result.choice


def best_widths(problem: QPart, cut: int, weights: FloatArray, activations: FloatArray) -> tuple[int, ...]:
    """Cheapest widths of the weights of layers 1..cut and of its output, at these prices of a bit."""
    noise_w, noise_x = noise_terms(problem)
    bits = widths(problem)
    price = np.append(weights[:cut], activations[cut - 1])
    choice = exact(price[:, None] * bits, np.vstack([noise_w[:cut], noise_x[cut - 1 : cut]]), problem.delta[cut - 1])
    if choice is None:
        raise QoptError(f"cut {cut}: no plan keeps the noise limit")
    return tuple(int(b) for b in bits[choice])


def payload_left(chain: Chain, plan: Sequence[int]) -> tuple[float, float]:
    """Share of float32 that is sent for the weights of a plan, biases at float32 counted.

    Returns
    -------
    The share of weights and biases; the same with the output activation (float32 in the denominator) and, in the
    numerator, two float32 numbers of range for every quantized tensor.
    """
    cut = len(plan) - 1
    layers = [chain.layer(i) for i in range(1, cut + 1)]
    biases = sum(layer.module.bias.numel() for layer in layers)
    sent = sum(b * layer.weight.numel() for b, layer in zip(plan, layers, strict=False)) + FLOAT_BITS * biases
    whole = FLOAT_BITS * (sum(layer.weight.numel() for layer in layers) + biases)
    output = layers[-1].module.out_features
    ranges = 2 * FLOAT_BITS * (cut + 1)
    return sent / whole, (sent + plan[-1] * output + ranges) / (whole + FLOAT_BITS * output)


def cut_by_rate(problem: QPart, rates: Sequence[float] = RATES) -> list[str]:
    """A line for each rate: J at every admissible cut, the best one marked."""
    lines = ["rate [bit/s]  " + "".join(f"{'p = ' + str(p):>13}" for p in problem.admissible_cuts)]
    for rate in rates:
        asked = problem.replace({"channel.rate": rate})
        objective = objectives(asked)
        best = min(objective, key=lambda p: objective[p])
        cells = [f"{value:>12.5g}" + ("*" if p == best else " ") for p, value in objective.items()]
        lines.append(f"{rate:12.3g}  " + "".join(cells))
    return lines


def objectives(problem: QPart) -> dict[int, float]:
    """J of the best whole-bit plan at every admissible cut."""
    base, (price_w, price_x) = base_costs(problem), tensor_prices(problem)
    found = {}
    for p in map(int, problem.admissible_cuts):
        if p == 0:
            found[p] = float(base[0])
            continue
        plan = best_widths(problem, p, price_w, price_x)
        found[p] = float(base[p] + np.dot(price_w[:p], plan[:p]) + price_x[p - 1] * plan[p])
    return found


def report(problem: QPart, chain: Chain, spans: Sequence[Range], test: Examples) -> list[str]:
    """Accuracy, and for each cut the least payload's plan with what it leaves of float32 and what it loses."""
    net = problem.network
    lines = [f"accuracy on {len(test)} test images, float32: {100 * right(chain, test).mean():.2f} %", ""]
    lines.append("plans of least payload (widths of the weights | of the output)")
    for p in range(1, len(net) + 1):
        plan = best_widths(problem, p, net.weights, net.activations)
        loss = plan_loss(chain, test, plan[:-1], plan[-1], spans[p - 1])
        left, all_in = payload_left(chain, plan)
        lines.append(
            f"cut {p}: {' '.join(map(str, plan[:-1])):>11} | {plan[-1]:<2}  payload left {100 * left:.2f} % "
            f"({100 * all_in:.2f} % with output and ranges), loses {loss}"
        )
    lines += ["", "the bundled request: J by cut, and what the plan loses at the request's own prices"]
    objective = objectives(problem)
    prices = tensor_prices(problem)
    for p, value in objective.items():
        if p == 0:
            continue
        plan = best_widths(problem, p, *prices)
        loss = plan_loss(chain, test, plan[:-1], plan[-1], spans[p - 1])
        mark = "*" if value == min(objective.values()) else " "
        lines.append(f"cut {p}{mark} J {value:.6g}: {' '.join(map(str, plan[:-1])):>11} | {plan[-1]:<2} loses {loss}")
    return [*lines, "", "J by cut as the rate changes (* the best)", *cut_by_rate(problem)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--instance", type=Path, default=HERE.parent / "qpart" / "mnist-mlp6.json")
    parser.add_argument("--weights", type=Path, default=HERE / "weights.safetensors")
    parser.add_argument("--data", type=Path, default=HERE, help="folder of the t10k archives")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums are then added in one order, whatever the machine's number of cores
    try:
        chain, spans, _ = mlp.load(options.weights)
        print("\n".join(report(load(options.instance), chain, spans, mlp.examples(options.data, "t10k"))))
    except QoptError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

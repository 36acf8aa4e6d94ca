"""Train the network, measure its coefficients, write the instance `qpart/mnist-mlp6`.

    python make.py FOLDER [--seed 0] [--epochs 15] [--weights FILE] [--out FOLDER]

FOLDER holds MNIST's four ``.gz`` archives. The same seed gives the same files on one kind of machine; across
processors and versions of torch, float32 sums differ in their last digits and training carries them on.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import evaluate
import mlp
import torch

from qopt.errors import InputError, QoptError
from qopt.measure.calibration import Calibrated
from qopt.measure.coefficients import (
    Sensitivity,
    accuracy_fields,
    calibrate_cuts,
    measure,
    noise_fields,
    right,
)
from qopt.problems.qpart import QPart
from qopt.problems.reading import save

LEVEL = 0.01
BITS = range(1, 17)
HERE = Path(__file__).resolve().parent

DESCRIPTION = (
    "A 784-512-256-128-64-32-10 network with ReLU, trained on MNIST, at the 1-point level. A camera keeps its "
    "pictures and the server keeps the last layer, so the cut is one of 1..5. The weights are downloaded once and "
    "serve {inferences} inferences over a slow link. Behind each layer of this network activations halve while "
    "weights and MACs fall to about a quarter: going deeper pays more with every layer, so the best cut jumps. On a "
    "slow link it is 5, on a fast one 1."
)
SOURCE = (
    "Noise table, s, rho and Delta: measured on the kept weights by instances/mnist-mlp6/make.py, seed {seed} (5000 "
    "images for the coefficients, 10000 others for Delta, the test images for neither). Delta holds for the plans of "
    "least payload and for those of least payload when {inferences} inferences share a download. Table II of QPART: "
    "device and server (5 and 5/4 cycles per MAC, 200 MHz and 3 GHz, kappa 3e-27, eta 3.75e-27 known and not "
    "charged), 1 W, weights of time and energy. Ours: {rate:g} bit/s instead of 200 Mbit/s (there the best cut is "
    "trivially the raw image), one download shared by {inferences} inferences, cuts 1..5, 8-bit input. Not in the "
    "payload: {biases} biases and two numbers of range for each tensor."
)
CUTS = [1, 2, 3, 4, 5]


def request(found: Sensitivity, cuts: Sequence[Calibrated], seed: int, rate: float, inferences: int) -> QPart:
    """The bundled request around measured coefficients."""
    weights = [n * m for n, m in itertools.pairwise(mlp.SIZES)]
    data = {
        "name": "qpart/mnist-mlp6",
        "description": DESCRIPTION.format(inferences=inferences),
        "source": SOURCE.format(seed=seed, rate=rate, inferences=inferences, biases=sum(mlp.SIZES[1:])),
        "network": {
            "macs": weights,
            "weights": weights,
            "activations": list(mlp.SIZES[1:]),
            "input_size": mlp.SIZES[0],
            "input_bits": 8,
            "layers": [f"fc{i}" for i in range(1, len(mlp.SIZES))],
        },
        "device": {"cycles_per_mac": 5.0, "clock": 2e8, "energy_coefficient": 3e-27},
        "server": {
            "cycles_per_mac": 1.25,
            "clock": 3e9,
            "energy_coefficient": 3.75e-27,
            "charge_energy": False,
        },
        "channel": {"rate": rate, "transmit_power": 1.0},
        "noise": noise_fields(found, len(cuts)),
        "accuracy": accuracy_fields(found, cuts),
        "level": LEVEL,
        "cuts": CUTS,
        "inferences": inferences,
    }
    return QPart(**data)


def run(options: argparse.Namespace) -> None:
    """Train, measure, calibrate, write."""
    start = time.perf_counter()

    def say(line: str) -> None:
        print(f"{time.perf_counter() - start:7.1f} s  {line}", flush=True)

    data, test = mlp.examples(options.folder, "train"), mlp.examples(options.folder, "t10k")
    parts = mlp.split(data, options.seed)
    folder, target = options.out / "mnist-mlp6", options.out / "qpart" / "mnist-mlp6.json"
    for path in (folder, target.parent):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(str(path), str(error.strerror).lower(), "a folder that can be written") from None
    if options.weights is None:
        chain = mlp.train(parts["training"], options.seed, options.epochs, say)
    else:
        chain = mlp.load(options.weights)[0]
    accuracy = {name: float(right(chain, part).mean()) for name, part in {**parts, "test": test}.items()}
    say("accuracy " + ", ".join(f"{name} {100 * value:.2f} %" for name, value in accuracy.items()))

    found = measure(chain, parts["coefficients"], BITS, LEVEL, say)
    say(f"mean ||sigma*||^2 {found.natural:.5g}; law within a factor 2^{max(x.error for x in found.laws.values()):.2f}")
    cuts = calibrate_cuts(
        chain,
        parts["calibration"],
        found,
        evaluate.exact,
        shared_by=(1, options.inferences),
        seed=options.seed,
        say=say,
    )
    problem = request(found, cuts, options.seed, options.rate, options.inferences)
    for line in evaluate.report(problem, chain, found.spans, test):
        print(line)

    metadata = {
        "architecture": "-".join(map(str, mlp.SIZES)) + ", fully connected, ReLU",
        "seed": options.seed,
        "accuracy": accuracy,
        "torch": torch.__version__,
    }
    if options.weights is None:
        metadata["epochs"] = options.epochs
        mlp.save(chain, list(found.spans), metadata, folder / "weights.safetensors")
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        if (options.folder / name).resolve() != (folder / name).resolve():
            shutil.copyfile(options.folder / name, folder / name)
    save(problem, target)
    say(f"wrote {target}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of MNIST's four .gz archives")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--weights", type=Path, help="measure these weights instead of training")
    parser.add_argument("--out", type=Path, default=HERE.parent, help="folder that gets mnist-mlp6/ and qpart/")
    parser.add_argument("--rate", type=float, default=2e5, help="of the bundled request [bit/s]")
    parser.add_argument("--inferences", type=int, default=1000, help="that share one download")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums are then added in one order, whatever the machine's number of cores
    try:
        run(options)
    except QoptError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

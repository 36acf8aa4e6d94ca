"""Measure the networks and write the instances `qpart/mnist-mlp6`, `qpart/mnist-cnn` and `qpart/mnist-resnet`.

    python make.py FOLDER [NETWORK ...] [--checkpoint FOLDER] [--out FOLDER] [--device cuda]

FOLDER holds MNIST's four ``.gz`` archives. The weights are those that train.py keeps. With a checkpoint, a run that was
stopped goes on where it was. The same weights give the same files on one kind of machine; across processors and
versions of torch, the last digits of float32 sums differ.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import data
import evaluate
import torch

from qopt.core.errors import InputError
from qopt.core.reading import save
from qopt.core.scripts import exit_code
from qopt.measuring.calibrated import Calibrated
from qopt.measuring.calibration import SHARED_BY, calibrate_cuts
from qopt.measuring.coefficients import instance
from qopt.measuring.grids import Grid
from qopt.measuring.network import Network
from qopt.measuring.sensitivity import Sensitivity, measure
from qopt.qpart.problem import QPart

HERE = Path(__file__).resolve().parent
LEVELS = (0.002, 0.005, 0.01, 0.02, 0.05)
GRID = Grid.parse("per-channel,asymmetric,clipped")
SEED = 0
MEMORY = 3 * 2**30
"""Bytes: enough to keep every tensor of every image, and what plans have in common."""

SOURCE = (
    "Noise table, s, rho and Delta: measured on the kept weights by instances/mnist/make.py, seed 0, grids {grid}, "
    "ranges of activations fixed in advance (10000 images for the coefficients, 10000 others for Delta, the test "
    "images for neither). Delta: limits tested from the smallest upwards, the last before the first whose plans "
    "break the level at the upper end of Tango's interval. It holds for the plans of least payload when 1 to 10^6 "
    "inferences share a download, {inferences} among them. Table II of QPART: device and server (5 and 5/4 cycles "
    "per MAC, 200 MHz and 3 GHz, kappa 3e-27, eta 3.75e-27 known and not charged), 1 W, weights of time and energy. "
    "Ours: {ours}, 8-bit input. In the payload: two float32 numbers for each output channel of a weight (overhead); "
    "not in it: {biases} biases."
)


@dataclass(frozen=True)
class Request:
    """What an instance asks beyond the network: sentences for people, and fields that differ from Table II's."""

    description: str
    ours: str
    rate: float
    inferences: int
    fields: dict[str, Any]


REQUESTS = {
    "mlp6": Request(
        "A 784-512-256-128-64-32-10 network with ReLU, trained on MNIST, at the 1-point level. A camera keeps its "
        "pictures and the server keeps the last layer, so the cut is one of 1..5. The weights are downloaded once and "
        "serve 1000 inferences over a slow link. Behind each layer of this network activations halve while weights and "
        "MACs fall to about a quarter: going deeper pays more with every layer, so the best cut jumps. On a slow link "
        "it is 5, on a fast one 1.",
        "200000 bit/s instead of 200 Mbit/s (there the best cut is trivially the raw image), one download shared by "
        "1000 inferences, cuts 1..5",
        2e5,
        1000,
        {"cuts": [1, 2, 3, 4, 5]},
    ),
    "cnn": Request(
        "LeNet-5 with wider convolutions, trained on MNIST, at the 1-point level. Two convolutions hold an eighth of "
        "the weights and most of the MACs, three fully connected layers the rest. 100 inferences share a download over "
        "a slow link, and every cut is allowed: the device runs the convolutions (cut 2). On a faster link "
        "cut 1 is best, then the raw picture; with more inferences for one download cut 3, then the whole network.",
        "200000 bit/s instead of 200 Mbit/s, one download shared by 100 inferences",
        2e5,
        100,
        {},
    ),
    "resnet": Request(
        "A small residual network with batch normalization, trained on MNIST, at the 1-point level. A camera keeps its "
        "pictures and has 8 KiB for weights, scales included; 1000 inferences share a download over a slow link. A cut "
        "inside a residual block is crossed by two tensors, so the best cuts lie between blocks: behind the second "
        "stage (6) with the memory as it is, behind the last layer (10) without the limit.",
        "100000 bit/s instead of 200 Mbit/s, one download shared by 1000 inferences, 65536 bits of memory, cuts 1..10",
        1e5,
        1000,
        {"device.memory": 65536.0, "cuts": list(range(1, 11))},
    ),
}


def request(
    name: str, network: Network, found: Sensitivity, cuts: Sequence[Sequence[Calibrated]], level: float = 0.01
) -> QPart:
    """The bundled request around measured coefficients: Table II, and what differs from it."""
    asked = REQUESTS[name]
    biases = sum(layer.biases for layer in network.layers)
    grid = str(found.grid).replace(",", ", ")
    source = SOURCE.format(grid=grid, inferences=asked.inferences, ours=asked.ours, biases=biases)
    plain = instance(network, found, cuts, name=f"qpart/mnist-{name}", level=level, input_bits=8)
    fields = {"channel.rate": asked.rate, "inferences": asked.inferences, **asked.fields}
    return plain.replace({"description": asked.description, "source": source, **fields})


def run(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Measure, calibrate, write; one network after the other."""
    names = data.chosen(options.networks)
    parts = data.divided(options.folder)
    for name in names:
        network = evaluate.kept(name, options.weights).to(options.device)
        folder = None if options.checkpoint is None else options.checkpoint / name
        found = measure(
            network,
            parts["coefficients"],
            levels=LEVELS,
            grid=GRID,
            seed=SEED,
            memory=MEMORY,
            checkpoint=folder and folder / "coefficients",
            say=say,
        )
        say(f"{name}: accuracy {100 * found.score:.2f} %, mean ||sigma*||^2 {found.natural.value:.5g}")
        cuts = calibrate_cuts(
            network,
            parts["calibration"],
            found,
            shared_by=sorted({*SHARED_BY, REQUESTS[name].inferences}),
            seed=SEED,
            memory=MEMORY,
            checkpoint=folder and folder / "calibration",
            say=say,
        )
        problem = request(name, network, found, cuts)
        try:
            for part in ("mnist", "qpart"):
                (options.out / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(str(options.out), str(error.strerror).lower(), "a folder that can be written") from None
        found.save(options.out / "mnist" / f"{name}-sensitivity.json")
        save(problem, options.out / "qpart" / f"mnist-{name}.json")
        say(f"{name}: wrote {problem.name}")


@exit_code
def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of MNIST's four .gz archives")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="mlp6, cnn or resnet; default all")
    parser.add_argument("--weights", type=Path, default=HERE, help="folder of the weights that train.py wrote")
    parser.add_argument("--checkpoint", type=Path, help="folder for finished work; a stopped run goes on from there")
    parser.add_argument("--out", type=Path, default=HERE.parent, help="folder that gets mnist/ and qpart/")
    parser.add_argument("--device", default="cpu", help="where to measure, such as cuda")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums are then added in one order, whatever the machine's number of cores
    start = time.perf_counter()
    run(options, lambda line: print(f"{time.perf_counter() - start:7.1f} s  {line}", flush=True))


if __name__ == "__main__":
    sys.exit(main())

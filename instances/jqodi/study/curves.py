"""Fine-tunes three small networks for turned and inverted digits at 1 to 8 and 32 bits, and keeps every loss.

    python instances/jqodi/study/curves.py [--seeds 3] [--epochs 16] [--checkpoint FOLDER] [--out FILE]

The cloud's model is trained on upright digits; the device has others of its own, turned by 45 degrees or with black and
white exchanged. All images are MNIST's 10 000 test images, which lie in instances/mnist, halved to 14 x 14 pixels: 5000
train the cloud's models, 1500 fine-tune, 600 validate. Each curve is kept in the checkpoint as soon as it is done, so
that a run that was stopped goes on. About 15 minutes on one core.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from curve_networks import NETWORKS, SIDE, network
from torch import nn

from qopt.core.scripts import exit_code
from qopt.jqodi.estimators.adam_torch import Adam
from qopt.jqodi.estimators.curves import Curve, read_curves, save_curves
from qopt.measuring.examples import Examples, read
from qopt.measuring.finetuning import Settings, tune

HERE = Path(__file__).resolve().parent
MNIST = HERE.parents[1] / "mnist"
OUT = HERE / "curves.json"

SIZES = {"cloud": 5000, "training": 1500, "validation": 600}
WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 32)
ANGLE = 45.0
"""Degrees by which the device's digits are turned."""

CLOUD_EPOCHS = 12
CLOUD_RATE = 2e-3
SETTINGS = Settings(lr=5e-4, batch=50)


def turned(x: torch.Tensor, degrees: float) -> torch.Tensor:
    """(n, 1, h, w) images, each turned about its centre, bilinear."""
    a = math.radians(degrees)
    turn = torch.tensor([[math.cos(a), -math.sin(a), 0.0], [math.sin(a), math.cos(a), 0.0]])
    where = nn.functional.affine_grid(turn.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, where, align_corners=False)


def inverted(x: torch.Tensor) -> torch.Tensor:
    """(n, 1, h, w) images, black and white exchanged."""
    return 1.0 - x


DATA = {"turned": lambda x: turned(x, ANGLE), "inverted": inverted}
"""What the device's images are to the cloud's."""


def examples(folder: Path = MNIST) -> dict[str, Examples]:
    """The parts of MNIST's test images, 14 x 14."""
    found = read(folder, (1, 28, 28), "t10k")
    halved = Examples(nn.functional.avg_pool2d(found.x, 28 // SIDE), found.labels)
    return dict(zip(SIZES, halved.split(list(SIZES.values()), seed=0), strict=True))


def cloud_model(name: str, training: Examples) -> dict[str, torch.Tensor]:
    """Parameters and buffers of a network trained in full precision on upright digits."""
    torch.manual_seed(0)
    module = network(name)
    optimizer = Adam(module.parameters(), CLOUD_RATE)
    for _ in range(CLOUD_EPOCHS):
        for chosen in torch.randperm(len(training)).split(100):
            optimizer.clear()
            nn.functional.cross_entropy(module(training.x[chosen]), training.labels[chosen]).backward()
            optimizer.step()
    return {key: value.clone() for key, value in module.state_dict().items()}


def curves(seeds: int, epochs: int, checkpoint: Path) -> list[Curve]:
    """Every curve; those that the checkpoint has are read."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    parts, found = examples(), []
    starts = {name: cloud_model(name, parts["cloud"]) for name in NETWORKS}
    runs = list(itertools.product(range(seeds), NETWORKS, DATA, WIDTHS))
    for number, (seed, name, data, bits) in enumerate(runs, start=1):
        path = checkpoint / f"{name}-{data}-{bits}-{seed}-{epochs}.json"
        if not path.exists():
            own = [Examples(DATA[data](parts[part].x), parts[part].labels) for part in ("training", "validation")]
            module = network(name)
            module.load_state_dict(starts[name])
            curve = tune(module, *own, bits, epochs, replace(SETTINGS, seed=seed), name=name, data=data)
            save_curves([curve], path)
        found += read_curves(path)
        ends = f"{found[-1].loss:.3f} to {found[-1].trained[-1]:.3f}"
        print(f"{number:3}/{len(runs)} {name} {data} {bits:2} bits, seed {seed}: {ends}", flush=True)
    return found


@exit_code
def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--checkpoint", type=Path, help="folder of finished curves; default a temporary one")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums are then added in one order, whatever the machine's number of cores
    with tempfile.TemporaryDirectory() as folder:
        save_curves(curves(options.seeds, options.epochs, options.checkpoint or Path(folder)), options.out)


if __name__ == "__main__":
    sys.exit(main())

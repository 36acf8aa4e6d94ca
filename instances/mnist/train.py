"""Train the networks and keep their weights.

    python train.py FOLDER [NETWORK ...] [--seed 0] [--out FOLDER]

FOLDER holds MNIST's four ``.gz`` archives. The same seed gives the same file on one kind of machine and one version
of torch; elsewhere float32 sums differ in their last digits and training carries them on.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import data
import networks
import torch
from safetensors.torch import save as serialized
from torch import nn

from qopt.core.files import write_whole
from qopt.core.scripts import exit_code
from qopt.measuring.examples import Examples

BOX = {"mlp6": 1.5, "cnn": 2.5, "resnet": 1.0}
"""Weights with n inputs stay within BOX / sqrt(n); 2.5 is 1.8 standard deviations of He's start. Where a batch
normalization follows, the box costs nothing: it scales every channel anew.
"""

EPOCHS = {"mlp6": 30, "cnn": 12, "resnet": 16}
WEIGHT_DECAY = {"mlp6": 0.02, "cnn": 0.02, "resnet": 0.05}
RATE = 2e-3
BATCH = 128
SHIFT = 1
"""Training images move by up to this many pixels each way."""


def boxed(module: nn.Module, box: float) -> list[tuple[torch.Tensor, float]]:
    """The weights of convolutions and fully connected layers, each with the half-width of its box."""
    found = []
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            found.append((layer.weight, box / math.sqrt(layer.weight[0].numel())))
    return found


def train(name: str, examples: Examples, seed: int, say: Callable[[str], None]) -> nn.Module:
    """Train in float32. Nothing is quantized and no noise of a quantizer is simulated.

    What makes the result kind to a quantizer is a box on each layer's weights, re-entered after every step: no
    outlier stretches the grid, and the network learns to spread its work. Weight decay empties the weights of
    pixels that are nearly always background.
    """
    torch.manual_seed(seed)
    module, _ = networks.BUILDERS[name]()
    weights = boxed(module, BOX[name])
    for weight, box in weights:
        nn.init.uniform_(weight, -box, box)
    inside = {id(weight) for weight, _ in weights}
    rest = [p for p in module.parameters() if id(p) not in inside]
    groups = [
        {"params": [weight for weight, _ in weights], "weight_decay": WEIGHT_DECAY[name]},
        {"params": rest, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    epochs, batches = EPOCHS[name], len(examples) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * batches, pct_start=0.2)
    padded = nn.functional.pad(examples.x, (SHIFT,) * 4)
    for epoch in range(1, epochs + 1):
        order, total = torch.randperm(len(examples)), 0.0
        for chosen in order[: batches * BATCH].split(BATCH):
            top, left = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
            logits = module(padded[chosen, :, top : top + 28, left : left + 28])
            loss = nn.functional.cross_entropy(logits, examples.labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for weight, box in weights:
                    weight.clamp_(-box, box)
            total += float(loss.detach())
        say(f"{name} epoch {epoch:2d} of {epochs}: mean loss {total / batches:.4f}")
    module.eval()
    return module


@torch.no_grad()
def accuracy(module: nn.Module, examples: Examples) -> float:
    """Share of the examples that are classified rightly."""
    right = sum(
        int((module(x).argmax(1) == labels).sum())
        for x, labels in zip(examples.x.split(1000), examples.labels.split(1000), strict=True)
    )
    return right / len(examples)


def run(options: argparse.Namespace) -> None:
    """Train, report the accuracies, write."""
    start = time.perf_counter()

    def say(line: str) -> None:
        print(f"{time.perf_counter() - start:7.1f} s  {line}", flush=True)

    names = data.chosen(options.networks)
    parts = {**data.divided(options.folder), "test": data.test_images(options.folder)}
    for name in names:
        module = train(name, parts["training"], options.seed, say)
        reached = {part: accuracy(module, examples) for part, examples in parts.items()}
        say(f"{name} " + ", ".join(f"{part} {100 * value:.2f} %" for part, value in reached.items()))
        metadata = {"network": name, "seed": options.seed, "epochs": EPOCHS[name], "accuracy": reached}
        tensors = {key: value.contiguous() for key, value in module.state_dict().items()}
        content = serialized(tensors, metadata={"qopt": json.dumps({**metadata, "torch": torch.__version__})})
        path = options.out / f"{name}.safetensors"
        write_whole(path, lambda file, content=content: file.write(content))
        say(f"wrote {path}, {len(content)} bytes")


@exit_code
def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of MNIST's four .gz archives")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="mlp6, cnn or resnet; default all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent, help="folder for the weights")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums are then added in one order, whatever the machine's number of cores
    run(options)


if __name__ == "__main__":
    sys.exit(main())

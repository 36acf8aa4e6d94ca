"""How long measuring takes: qopt beside the straightforward loop, and a network of ResNet-18's shape on any device.

    python benchmarks/measure.py mlp FOLDER [--images 10000] [--grid WORDS] [--no-loop] [--threads 2]
    python benchmarks/measure.py resnet18 [--device cuda] [--images 1024] [--size 224] [--memory MIB] [--threads 2]

FOLDER holds MNIST's archives; the weights are the kept ones of instances/mnist. Everything is measured: 16 widths of
every tensor, rho at five levels, intervals included.

The loop does what the definitions say, one thing after the other: for every tensor and width it runs the whole network
on all images with that tensor quantized; for every tensor it goes up the scales of ratio 2^(1/8), three directions
each, until the highest level is lost. It computes the same figures, which are compared.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from qopt.core.scripts import exit_code
from qopt.measuring.arithmetic import plain_float32
from qopt.measuring.directions import SEEDS, uniform
from qopt.measuring.examples import Examples, read
from qopt.measuring.grids import Grid, lengths, quantize
from qopt.measuring.loading import load_module
from qopt.measuring.network import Network, TensorName
from qopt.measuring.profile import trace
from qopt.measuring.robustness import FIRST, LAST, SCALES_PER_OCTAVE
from qopt.measuring.sensitivity import WIDTHS, Sensitivity, measure

LEVELS = (0.002, 0.005, 0.01, 0.02, 0.05)
INSTANCES = Path(__file__).resolve().parents[1] / "instances" / "mnist"
BATCH = 1000


class Loop:
    """The straightforward loop: one change of one tensor, one run of the whole network, again and again."""

    def __init__(self, network: Network, examples: Examples, found: Sensitivity) -> None:
        self.network, self.examples, self.found = network, examples, found
        self.batches = [slice(i, i + BATCH) for i in range(0, len(examples), BATCH)]
        self.spans = [found.range_of(layer.number, WIDTHS[-1]) for layer in network.layers]

    def run(
        self,
        weight: tuple[int, torch.Tensor] | None = None,
        change: tuple[int, Callable[[torch.Tensor, int], torch.Tensor]] | None = None,
    ) -> torch.Tensor:
        """Logits of all images, every layer run, one weight or one activation another."""
        outputs = []
        for batch in self.batches:
            values = {0: self.examples.x[batch]}
            for layer in range(1, len(self.network) + 1):
                other = weight[1] if weight is not None and weight[0] == layer else None
                values[layer] = self.network.finish(layer, self.network.product(layer, values, weight=other), values)
                if change is not None and change[0] == layer:
                    values[layer] = change[1](values[layer], batch.start)
            outputs.append(values[len(self.network)])
        return torch.cat(outputs)

    def noisy(self, tensor: TensorName, scale: float, seed: int) -> torch.Tensor:
        """Logits with noise of a scale on one tensor, along a direction."""
        if tensor.kind == "weight":
            weight = self.network.weight(tensor.layer)
            length = lengths(weight, self.found.grid)
            u = uniform(tensor, seed, 0, 1, weight.shape, weight.device)[0]
            return self.run(weight=(tensor.layer, weight + scale * length * u))
        span = self.spans[tensor.layer - 1].length

        def added(values: torch.Tensor, first: int) -> torch.Tensor:
            u = uniform(tensor, seed, first, len(values), values.shape[1:], values.device)
            return values + scale * span * u

        return self.run(change=(tensor.layer, added))

    def quantized(self, tensor: TensorName, bits: int) -> torch.Tensor:
        """Logits with one tensor quantized."""
        if tensor.kind == "weight":
            weight = quantize(self.network.weight(tensor.layer), bits, self.found.grid).values()
            return self.run(weight=(tensor.layer, weight))
        span, grid = self.found.range_of(tensor.layer, bits), self.found.activation_grid
        return self.run(change=(tensor.layer, lambda values, _: quantize(values, bits, grid, span).values()))

    @plain_float32()
    @torch.no_grad()
    def figures(self) -> tuple[dict[TensorName, list[float]], dict[TensorName, list[float]]]:
        """For each tensor its noise at every width, and the first scale that costs each level."""
        reference = self.run()
        right = float((reference.argmax(1) == self.examples.labels).double().mean())
        noise: dict[TensorName, list[float]] = {}
        scales: dict[TensorName, list[float]] = {}
        for tensor in self.found.tensors:
            noise[tensor] = [_change(self.quantized(tensor, b), reference) for b in WIDTHS]
            scales[tensor] = []
            for k in range(FIRST, LAST + 1):
                scale = 2.0 ** (k / SCALES_PER_OCTAVE)
                outputs = [self.noisy(tensor, scale, seed) for seed in range(SEEDS)]
                kept = [float((z.argmax(1) == self.examples.labels).double().mean()) for z in outputs]
                lost = right - sum(kept) / SEEDS
                _ = [_change(z, reference) for z in outputs]
                scales[tensor] += [scale for a in LEVELS[len(scales[tensor]) :] if lost >= a * (1 - 1e-12)]
                if len(scales[tensor]) == len(LEVELS):
                    break
            scales[tensor] += [float("inf")] * (len(LEVELS) - len(scales[tensor]))
        return noise, scales


def _change(outputs: torch.Tensor, reference: torch.Tensor) -> float:
    return float((outputs - reference).double().square().sum(dim=1).mean())


def mlp(options: argparse.Namespace) -> list[str]:
    """The MLP on MNIST: qopt, then the loop."""
    module, example = load_module(f"{INSTANCES / 'networks.py'}:mlp6", INSTANCES / "mlp6.safetensors")
    network = trace(module, example)
    examples = read(options.folder, network.input_shape, "train")[: options.images]
    warm = examples[:64]
    measure(network, warm, levels=LEVELS)
    start, cpu = time.perf_counter(), time.process_time()
    found = measure(network, examples, levels=LEVELS, grid=Grid.parse(options.grid))
    fast, cpu = time.perf_counter() - start, time.process_time() - cpu
    about = f"MNIST MLP, {len(found.tensors)} tensors, {len(WIDTHS)} widths, rho at {len(LEVELS)} levels"
    lines = [f"{about}, {len(examples)} images, weights {found.grid}: qopt {fast:.1f} s ({cpu:.1f} s of CPU)"]
    if options.no_loop:
        return lines
    start = time.perf_counter()
    noise, scales = Loop(network, examples, found).figures()
    slow = time.perf_counter() - start
    off = max(float(np.max(np.abs(np.array(noise[t][:12]) / one.noise[:12] - 1))) for t, one in found.tensors.items())
    apart = [
        abs(np.log2(a / b)) * SCALES_PER_OCTAVE if np.isfinite(a) and np.isfinite(b) else float(a != b)
        for t, one in found.tensors.items()
        for a, b in zip(scales[t], one.scale, strict=True)
    ]
    lines += [
        f"the straightforward loop: {slow:.1f} s, {slow / fast:.1f} times as long",
        f"noise of 1 to 12 bits differs by at most {off:.1e} of itself; {sum(x < 1e-9 for x in apart)} of {len(apart)} "
        f"scales are the same, the others at most {max(apart):.0f} steps of 2^(1/8) apart",
    ]
    return lines


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inside, h, w) to (n, outside, h / stride, w / stride)."""
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class ResNet18(nn.Module):
    """The shape of He et al. (2016), table 1; with fewer channels in the first layer, a smaller one."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, channels, 7, 2, 3, bias=False), nn.BatchNorm2d(channels)
        blocks: list[nn.Module] = []
        inside = channels
        for outside, stride in ((channels, 1), (2 * channels, 2), (4 * channels, 2), (8 * channels, 2)):
            blocks += [Block(inside, outside, stride), Block(outside, outside, 1)]
            inside = outside
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(8 * channels, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) to (n, 1000)."""
        x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 3, 2, 1)
        return self.head(self.blocks(x).mean((2, 3)))  # type: ignore[no-any-return]


def resnet18(options: argparse.Namespace) -> list[str]:
    """ResNet-18's shape with random weights and images: nine labels in ten are the network's own."""
    torch.manual_seed(0)
    module = ResNet18().eval().requires_grad_(False)
    network = trace(module, torch.zeros(1, 3, options.size, options.size)).to(options.device)
    x = torch.randn(options.images, 3, options.size, options.size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        parts = [network(part.to(network.device)).argmax(1).cpu() for part in x.split_with_sizes(_sizes(len(x)))]
    labels = torch.cat(parts)
    labels[::10] = (labels[::10] + 1) % 1000
    start = time.perf_counter()
    memory = None if options.memory is None else options.memory * 2**20
    found = measure(network, Examples(x, labels), levels=LEVELS, memory=memory, advance=shown)
    seconds = time.perf_counter() - start
    print(file=sys.stderr)
    tensors = f"{len(found.tensors)} tensors, {len(WIDTHS)} widths, rho at {len(LEVELS)} levels"
    lines = [f"ResNet-18's shape, {tensors}, {len(x)} images of {options.size}: {seconds:.1f} s on {options.device}"]
    if network.device.type == "cuda":
        lines.append(f"at most {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB on {torch.cuda.get_device_name()}")
    return lines


def _sizes(count: int, most: int = 64) -> list[int]:
    return [min(most, count - first) for first in range(0, count, most)]


def shown(what: str, done: int, total: int) -> None:
    """Progress on one line of standard error."""
    print(f"\r{what}: {done} of {total}      ", end="", file=sys.stderr, flush=True)


@exit_code
def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("mlp")
    one.add_argument("folder", type=Path, help="folder of MNIST's archives")
    one.add_argument("--images", type=int, default=10_000)
    one.add_argument("--grid", default="")
    one.add_argument("--no-loop", action="store_true", help="without the straightforward loop")
    other = kinds.add_parser("resnet18")
    other.add_argument("--device", default="cpu")
    other.add_argument("--images", type=int, default=1024)
    other.add_argument("--size", type=int, default=224)
    other.add_argument("--memory", type=int, help="MiB that tensors may take; by default a share of the device's")
    for sub in (one, other):
        sub.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads")
    lines = mlp(options) if options.kind == "mlp" else resnet18(options)
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())

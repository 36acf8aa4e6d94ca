"""Writes qpart/resnet18.json, resnet34.json and resnet50.json: real shapes, synthetic noise.

    python instances/make_resnets.py

The layers are those of ResNets for 224 x 224 images and 1000 classes (He et al., 2016; the variant of
ResNet50 whose 3 x 3 convolutions carry the stride): convolutions and the final fully connected layer in an
order in which they can run, each with the batch normalization, activation, addition or pooling that follows
it fused into its output. A block's input skips to the addition, so that cuts inside a block are crossed by
two tensors.

The noise coefficients are drawn from a seeded generator. They are not measured: plans for these instances say
nothing of the accuracy of a real ResNet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qopt.core.reading import from_data, load, save
from qopt.qpart.problem import QPart

LEVELS = (0.002, 0.005, 0.01, 0.02, 0.05)
STAGES = ((64, 56, 1), (128, 28, 2), (256, 14, 2), (512, 7, 2))
"""Channels, side of the output and stride of the four stages."""

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
"""Blocks of each stage, by the number of layers in the name."""


@dataclass
class Layers:
    """Columns of a network while it is built; `add` returns a layer's number, 1.. in order of execution."""

    names: list[str] = field(default_factory=list)
    macs: list[int] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    activations: list[int] = field(default_factory=list)
    last_reader: dict[int, int] = field(default_factory=dict)

    def add(
        self,
        name: str,
        reads: int,
        channels: tuple[int, int],
        kernel: int,
        side: int,
        output: int | None = None,
    ) -> int:
        """A convolution (Eq. 2, with the output's positions) with what is fused behind it.

        Parameters
        ----------
        reads : number of the tensor that it reads: 0 the input, i the output of layer i.
        channels : channels in and out.
        side : height and width of the convolution's own output.
        output : values that leave the fused layer, where pooling makes them fewer.
        """
        into, out = channels
        self.names.append(name)
        self.weights.append(kernel * kernel * into * out)
        self.macs.append(self.weights[-1] * side * side)
        self.activations.append(out * side * side if output is None else output)
        number = len(self.names)
        self.last_reader[reads] = number
        return number

    def network(self) -> dict[str, Any]:
        """The columns as `qopt.qpart.network.NetworkColumns` takes them."""
        n = len(self.names)
        return {
            "macs": self.macs,
            "weights": self.weights,
            "activations": self.activations,
            "input_size": 224 * 224 * 3,
            "input_bits": 8,
            "last_reader": [self.last_reader.get(i, n + 1) for i in range(n + 1)],
            "layers": self.names,
        }


def resnet(depth: int) -> Layers:
    """The layers of ResNet18 or 34 (blocks of two convolutions) or ResNet50 (bottlenecks of three)."""
    bottleneck = depth >= 50
    expansion = 4 if bottleneck else 1
    net = Layers()
    tensor = net.add("conv1+pool", 0, (3, 64), 7, 112, output=64 * 56 * 56)
    into = 64
    for stage, (width, side, stride) in enumerate(STAGES, start=1):
        out = width * expansion
        for block in range(1, BLOCKS[depth][stage - 1] + 1):
            name, shortcut = f"layer{stage}.{block}", tensor
            first_side = side * stride if bottleneck and block == 1 else side
            downsample = block == 1 and into != out
            is_last = stage == len(STAGES) and block == BLOCKS[depth][-1]
            pooled = out if is_last else None
            suffix = "+add+pool" if is_last else "+add"
            if bottleneck:
                inner = net.add(f"{name}.conv1", tensor, (into, width), 1, first_side)
                inner = net.add(f"{name}.conv2", inner, (width, width), 3, side)
            else:
                inner = net.add(f"{name}.conv1", tensor, (into, width), 3, side)
            if downsample:
                shortcut = net.add(f"{name}.downsample", tensor, (into, out), 1, side)
            kernel, conv = (1, "conv3") if bottleneck else (3, "conv2")
            tensor = net.add(f"{name}.{conv}{suffix}", inner, (width, out), kernel, side, output=pooled)
            net.last_reader[shortcut] = tensor  # the addition
            into = out
    net.add("fc", tensor, (into, 1000), 1, 1)
    return net


def noise(net: Layers, seed: int) -> tuple[dict[str, Any], list[list[float]]]:
    """Synthetic coefficients s and limits Delta.

    s is log-normal (standard deviation a factor of 2) around 1 for weights and around 4 for activations. The
    limit is the same at every cut; at one point it is the noise of 5 bits for every weight of the network,
    and it grows in proportion to the level.
    """
    rng = np.random.default_rng(seed)
    n = len(net.names)
    s_weights = np.exp(rng.normal(0.0, np.log(2.0), n))
    s_activations = 4.0 * np.exp(rng.normal(0.0, np.log(2.0), n))
    one_point = float(np.sum(s_weights)) * 4.0**-5
    delta = [[_round(one_point * level / 0.01)] * n for level in LEVELS]
    columns = {"s_weights": _rounded(s_weights), "s_activations": _rounded(s_activations)}
    return {"model": "law", **columns}, delta


def _round(value: float) -> float:
    """Six significant digits: a synthetic number needs no more."""
    return float(f"{value:.6g}")


def _rounded(column: Any) -> list[float]:
    return [_round(float(x)) for x in column]


TABLE_II: dict[str, dict[str, Any]] = {
    "device": {"cycles_per_mac": 5, "clock": 2e8, "energy_coefficient": 3e-27},
    "server": {"cycles_per_mac": 1.25, "clock": 3e9, "energy_coefficient": 3.75e-27},
}

REQUESTS: dict[int, dict[str, Any]] = {
    18: {
        "about": (
            "One inference, no sharing, 10 Mbit/s. The server's energy is charged, so a MAC is cheaper on "
            "the device; what the last stage's many weights cost to download weighs about the same as what "
            "its MACs save there, and the best cut moves with the level."
        ),
        "server": {"charge_energy": True},
        "channel": {"rate": 10e6, "transmit_power": 1},
    },
    34: {
        "about": (
            "A narrow radio link (Eq. 13: 180 kHz, 10 percent signal to noise, about 25 kbit/s) for what "
            "goes up, 1 Mbit/s and no power charged for what comes down, one download for 10 000 inferences. "
            "Sending early activations costs as much as computing whole stages on the device, and two "
            "tensors cross a cut inside a block."
        ),
        "channel": {
            "bandwidth": 180e3,
            "gain": 1e-13,
            "fading": 1.0,
            "noise_power": 2e-13,
            "transmit_power": 0.2,
            "download_rate": 1e6,
            "charge_download": False,
        },
        "inferences": 10_000,
    },
    50: {
        "about": (
            "The server charges 70 a second, which makes a MAC cheaper on the device; 5 Mbit/s, one download "
            "for 20 inferences. The device keeps 48 Mbit (6 MB) of weights, which is what stops the cut in "
            "the last stages."
        ),
        "server": {"price": 70},
        "device": {"memory": 48e6},
        "channel": {"rate": 5e6, "transmit_power": 1},
        "inferences": 20,
    },
}


def instance(depth: int) -> QPart:
    """The bundled request of one network."""
    net = resnet(depth)
    request = REQUESTS[depth]
    coefficients, delta = noise(net, seed=depth)
    made: QPart = from_data(
        {
            "format": "qopt/qpart",
            "name": f"resnet{depth}",
            "description": (
                f"ResNet{depth} on 224 x 224 images: real shapes with skip connections, synthetic noise. "
                + request["about"]
            ),
            "source": (
                "Shapes: He et al., Deep Residual Learning for Image Recognition, CVPR 2016. Device and "
                "server: Table II of the QPART paper. Noise coefficients and limits: drawn by "
                f"instances/make_resnets.py, seed {depth}; they are synthetic, measured on nothing."
            ),
            "network": net.network(),
            "device": {**TABLE_II["device"], **request.get("device", {})},
            "server": {**TABLE_II["server"], **request.get("server", {})},
            "channel": request["channel"],
            "noise": coefficients,
            "accuracy": {"levels": list(LEVELS), "delta": delta},
            "level": 0.01,
            "inferences": request.get("inferences", 1),
        }
    )
    return made


def main() -> None:
    """Write the instances beside this file; a best-known value of an unchanged instance stays."""
    folder = Path(__file__).resolve().parent / "qpart"
    for depth in BLOCKS:
        path, problem = folder / f"resnet{depth}.json", instance(depth)
        if path.exists():
            standing = load(path)
            if standing.replace({"best_known": None}) == problem:
                problem = standing
        save(problem, path)


if __name__ == "__main__":
    main()

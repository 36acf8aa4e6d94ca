"""QPART plans as ONNX parts beside the plan's own quantizer: three MNIST networks, all cuts.

    python benchmarks/qdq.py FOLDER [--images 10000] [--level 0.01]

FOLDER holds MNIST's archives (instances/mnist has the test images). For each network and cut the optimal plan of widths
2, 4 and 8 is packed and exported (where there is none at the level, 8 bits everywhere), and both are run on the same
images: the largest difference of the outputs, relative to the largest output, over the images whose codes on the link
are the same; how many codes differ, since onnxruntime adds up in another order than torch and a sum may fall on the
other side of the border between two codes; images classified rightly by either; bytes of the device's file, its
payload, and its header.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

import qopt
from qopt.measuring import delivery
from qopt.measuring.examples import read
from qopt.measuring.loading import load_module
from qopt.measuring.network import Network
from qopt.measuring.profile import trace
from qopt.measuring.segment import DeviceSegment, ServerSegment, make
from qopt.measuring.sensitivity import Sensitivity
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.runtime.device import OpenPart
from qopt.runtime.qdq import export_network

HERE = Path(__file__).parents[1] / "instances" / "mnist"
NETWORKS = {"mlp6": "mlp6", "cnn": "cnn", "resnet": "resnet"}


def plan_at(problem: QPart, cut: int, level: float) -> tuple[QPartPlan, bool]:
    """The optimal plan of widths 2, 4 and 8 at a cut, or 8 bits everywhere; and which of the two."""
    fields = {"cuts": [cut], "bits.menu": [2, 4, 8], "level": level}
    found = qopt.solve(problem.replace(fields)).plan
    if isinstance(found, QPartPlan):
        return found, True
    sent = [i for i in problem.network.crossing(cut).tolist() if i]
    return QPartPlan(cut=cut, weights=[8] * cut, activations=[8] * len(sent)), False


def row(
    name: str, network: Network, known: Sensitivity, plan: QPartPlan, best: bool, x: torch.Tensor, labels: torch.Tensor
) -> None:
    """Pack, export, run both ways, and print."""
    own = make(network, plan, known.grid, delivery.measured_ranges(known, network, plan), known.activation_grid)
    device, server = DeviceSegment(own, network), ServerSegment(own, network)
    sent = device.run(x)
    want = server.run(sent).numpy()
    with tempfile.TemporaryDirectory() as folder:
        parts = export_network(own, network, f"{folder}/parts")
        mobile, edge = (OpenPart(f"{folder}/parts", role) for role in ("mobile", "edge"))
        inputs, outputs, same, differ, codes = x.numpy(), [], [], 0, 0
        theirs = {i: t.numpy() for i, t in sent.items() if i}
        for k in range(len(inputs)):
            there = {"input": inputs[k : k + 1]}
            made = mobile.run(there)
            unlike = 0
            for tensor, rows in theirs.items():
                width = mobile.bits[f"tensor.{tensor}.codes"]
                mine = made[f"tensor.{tensor}.codes"]
                codes += mine.size
                assert width is not None
                if width <= 8:
                    packed = np.unpackbits(rows[k], bitorder="little", count=mine.size * width).reshape(-1, width)
                    unlike += int(((packed << np.arange(width, dtype=np.uint8)).sum(1) != mine.reshape(-1)).sum())
            differ += unlike
            same.append(unlike == 0)
            outputs.append(edge.run(there | made)["output"])
        found = np.concatenate(outputs)
        first = parts.parts[0]
        size = (Path(folder) / "parts" / first.file).stat().st_size
    apart = np.abs(found - want)[same].max() / np.abs(want).max()
    right = [int((o.argmax(1) == labels.numpy()).sum()) for o in (want, found)]
    paid = (size, first.payload, size - (first.payload or 0)) if plan.cut else ("", "", "")
    widths = " ".join(f"{w:g}" for w in (*plan.weights, *plan.activations))
    cells = (
        name,
        plan.cut,
        widths if best else f"{widths} (8 everywhere)",
        f"{apart:.1e}",
        f"{differ} of {codes}",
        *right,
        *paid,
    )
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> None:
    """Print a table with a row for each network and cut."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--level", type=float, default=0.01)
    arguments = parser.parse_args()
    head = ("network", "cut", "bits", "difference", "codes that differ", "right, plan", "right, parts", "file")
    print("| " + " | ".join((*head, "payload", "header")) + " |")
    print("|---" * 10 + "|")
    for name, function in NETWORKS.items():
        network = trace(*load_module(f"{HERE / 'networks.py'}:{function}", HERE / f"{name}.safetensors"))
        known = Sensitivity.load(HERE / f"{name}-sensitivity.json")
        problem = qopt.load(f"qpart/mnist-{name}")
        assert isinstance(problem, QPart)
        examples = read(arguments.folder, network.input_shape, "t10k")
        x, labels = examples.x[: arguments.images], examples.labels[: arguments.images]
        for cut in range(len(network) + 1):
            row(name, network, known, *plan_at(problem, cut, arguments.level), x, labels)


if __name__ == "__main__":
    main()

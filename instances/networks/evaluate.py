"""What operators cost and gain: the residual network on MNIST's test images, the segmenter on new images.

    python evaluate.py FOLDER [--runs 100] [--only residual] [--out FOLDER --tier mobile --threads 1]

FOLDER holds MNIST's archives. For each network: whole, without its last two equal blocks, quantized, and both; its
score (share classified rightly; mIoU), what is lost of it with a 95 % interval (paired: the same examples), and the
median latency of one example on this machine with its interval, optimization on, and the sizes of the files. With
`--out` the files and the profiles of this machine are kept, for `qopt place`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import models
import numpy as np
from train import scenes

from qopt.core.report import scaled
from qopt.measuring.idx import read_examples
from qopt.measuring.losses import paired_loss
from qopt.runtime.exits import exit_onnx
from qopt.runtime.folding import fold
from qopt.runtime.profiling import profile_onnx
from qopt.runtime.quantizing import quantize_onnx
from qopt.runtime.sessions import options, run, session
from qopt.runtime.timing import Protocol, clocked

Array = np.ndarray[Any, np.dtype[Any]]
HERE = Path(__file__).parent


def outputs(path: Path, name: str, x: Array) -> Array:
    """Of all examples, one after the other: the operators' files take one."""
    own = fold(path, {"image": (1, *x.shape[1:])})
    made = session(own.network.proto, name, options("all"))
    return np.concatenate([run(made, name, {"image": x[i : i + 1]})[own.network.outputs[0]] for i in range(len(x))])


def right(logits: Array, labels: Array) -> Array:
    """Whether each image is classified rightly."""
    return np.asarray(logits.argmax(1) == labels)


def overlap(scores: Array, classes: Array) -> Array:
    """Mean over the classes of an image of intersection over union, (n,): each image's mIoU, so that losses pair."""
    found = scores.argmax(1)
    rows = []
    for k in range(models.CLASSES):
        both, either = ((found == k) & (classes == k)).sum((1, 2)), ((found == k) | (classes == k)).sum((1, 2))
        rows.append(np.where(either > 0, both / np.maximum(either, 1), np.nan))
    return np.asarray(np.nanmean(rows, axis=0))


def latency(path: Path, x: Array, runs: int) -> str:
    """Median of one example's latency, and the least and the largest of five repetitions."""
    own = fold(path, {"image": (1, *x.shape[1:])})
    made = session(own.network.proto, own.name, options("all"))
    time = clocked(lambda: made.run(None, {"image": x[:1]}), Protocol(runs, 5, runs))
    return f"{scaled(time.seconds, 's')} [{scaled(time.low, 's')}, {scaled(time.high, 's')}]"


def evaluate(
    name: str, x: Array, truth: Array, calibration: Array, score: Any, arguments: argparse.Namespace, folder: Path
) -> None:
    """Make the files of a network, and print a row for each."""
    whole = HERE / f"{name}.onnx"
    files = {"identity": whole} | {o: folder / f"{name}-{o}.onnx" for o in ("exit", "quantized", "exit-quantized")}
    shapes = {"image": (1, *x.shape[1:])}
    exit_ = exit_onnx(whole, files["exit"], shapes=shapes)
    quantize_onnx(whole, {"image": calibration}, files["quantized"])
    quantize_onnx(files["exit"], {"image": calibration}, files["exit-quantized"])
    print(f"\n{name}: {exit_}\n")
    print("| operator | score | lost, points | latency | bytes |\n|---|---|---|---|---|")
    before = score(outputs(whole, name, x), truth)
    for operator, path in files.items():
        after = score(outputs(path, name, x), truth)
        lost = "" if operator == "identity" else paired_loss(before, after).points().replace(" points", "")
        size, time = path.stat().st_size, latency(path, x, arguments.runs)
        print(f"| {operator} | {after.mean():.4f} | {lost} | {time} | {size} |", flush=True)
        if arguments.out is not None:
            of = None if operator == "identity" else whole
            profile = profile_onnx(
                path,
                of=of,
                shapes=shapes,
                operator=operator,
                accuracy=float(after.mean()),
                tier=arguments.tier,
                threads=arguments.threads,
            )
            profile.save(folder / f"{name}-{operator}-{arguments.tier}.json")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--calibration", type=int, default=256)
    parser.add_argument("--tier", default="device")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=("residual", "segmenter"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    pixels, labels = read_examples(*(arguments.folder / f"t10k-{p}-ubyte.gz" for p in ("images-idx3", "labels-idx1")))
    seen, _ = read_examples(*(arguments.folder / f"train-{p}-ubyte.gz" for p in ("images-idx3", "labels-idx1")))
    count = arguments.calibration
    x, calibration = (
        np.asarray(images, np.float32).reshape(-1, 1, 28, 28) / np.float32(255) for images in (pixels, seen[:count])
    )
    images, classes = scenes(2000, 1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.only != "segmenter":
            evaluate("residual", x, labels, calibration, right, arguments, folder)
        if arguments.only != "residual":
            evaluate("segmenter", images, classes, scenes(count, 2)[0], overlap, arguments, folder)


if __name__ == "__main__":
    main()

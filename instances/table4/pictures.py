"""Labelled images that need no download: scikit-learn's digits, and images of 10 and of 100 classes made by numpy.

    python pictures.py FOLDER [--sets digits,images10,images100]

writes NAME-training.npz, NAME-held.npz and NAME-test.npz: ``x`` (digits in [0, 1], made images in [-2, 2]) and
``labels`` from 0, the form that `qopt measure` takes. The parts share no image: networks are trained on the first,
measured and calibrated on the second, and the third is for the accuracies alone. Digits are scikit-learn's (8 x 8, 1797
images), which has to be installed for them.

A class of made images is a pattern of low frequencies in three colours. An image is its class's pattern, moved by up to
`SHIFT` pixels, weaker or stronger, with another class's pattern over it, sometimes the stronger of the two, and noise:
no network is right on all of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qopt.core.errors import InputError, QoptError
from qopt.core.scripts import exit_code

SIDE, LOWEST = 32, 4
"""Pixels of a side, and the highest frequency of a pattern in periods a side."""
SHIFT, MIXED, NOISE = 3, 0.7, 0.5
"""Pixels that a pattern moves by at most, the other class's greatest strength, standard deviation of the noise."""
CONTRAST = 0.18
"""How much of the range of brightness a standard deviation of a pattern takes."""
CHUNK = 1000
PARTS = ("training", "held", "test")

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Set:
    """A data set.

    Attributes
    ----------
    shape : of an image: channels, height, width.
    classes : how many.
    sizes : images for training, measuring and testing.
    measured : how those for measuring are divided: for coefficients, for calibration.
    levels : accuracy levels that so many calibration images can decide.
    """

    shape: tuple[int, int, int]
    classes: int
    sizes: tuple[int, int, int]
    measured: tuple[int, int]
    levels: tuple[float, ...]


SETS = {
    "digits": Set((1, 8, 8), 10, (700, 600, 497), (100, 500), (0.01, 0.02)),
    "images10": Set((3, SIDE, SIDE), 10, (4000, 2300, 2000), (300, 2000), (0.005, 0.01)),
    "images100": Set((3, SIDE, SIDE), 100, (8000, 2300, 2000), (300, 2000), (0.005, 0.01)),
}


def chosen(names: str) -> list[str]:
    """Names of sets, separated by commas."""
    found = names.split(",")
    for name in found:
        if name not in SETS:
            raise InputError("--sets", name, ", ".join(SETS))
    return found


def patterns(classes: int, seed: int = 0) -> Array:
    """(classes, 3, side, side) periodic fields of low frequencies, mean 0 and variance 1, float32."""
    rng = np.random.default_rng([classes, seed])
    spectrum = np.fft.fft2(rng.standard_normal((classes, 3, SIDE, SIDE)))
    frequency = np.abs(np.fft.fftfreq(SIDE) * SIDE)
    spectrum *= (frequency[:, None] <= LOWEST) & (frequency[None, :] <= LOWEST)
    spectrum[..., 0, 0] = 0.0
    found = np.fft.ifft2(spectrum).real
    scaled: Array = (found / found.std(axis=(1, 2, 3), keepdims=True)).astype(np.float32)
    return scaled


def moved(images: Array, rng: np.random.Generator) -> Array:
    """(n, channels, side, side) images, each moved by its own number of pixels, what leaves coming in again."""
    n, channels, side, _ = images.shape
    down, right = rng.integers(-SHIFT, SHIFT + 1, (2, n, 1))
    at = np.arange(side)
    rows, columns = (at - down) % side, (at - right) % side
    found: Array = images[
        np.arange(n)[:, None, None, None],
        np.arange(channels)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
    return found


def made(classes: int, n: int, seed: int = 0) -> tuple[Array, Array]:
    """(n, 3, side, side) uint8 images and (n,) classes."""
    fields, rng = patterns(classes, seed), np.random.default_rng([classes, seed, 1])
    images, labels = [], []
    for start in range(0, n, CHUNK):
        k = min(CHUNK, n - start)
        own = rng.integers(classes, size=k)
        other = (own + rng.integers(1, classes, size=k)) % classes
        strength, mixed = (rng.uniform(low, high, (k, 1, 1, 1)) for low, high in ((0.5, 1.0), (0.0, MIXED)))
        x = strength * moved(fields[own], rng) + mixed * moved(fields[other], rng)
        x += NOISE * rng.standard_normal(x.shape)
        images.append(np.rint(255 * np.clip(0.5 + CONTRAST * x, 0.0, 1.0)).astype(np.uint8))
        labels.append(own)
    return np.concatenate(images), np.concatenate(labels)


def digits(seed: int = 0) -> tuple[Array, Array]:
    """(1797, 1, 8, 8) digits in [0, 1] in an order drawn with a seed, and their classes."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise QoptError(
            "scikit-learn is not installed: pip install scikit-learn, or --sets images10,images100"
        ) from None
    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    return (x[order] / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels[order]


def parts(name: str) -> dict[str, tuple[Array, Array]]:
    """A set by parts: (n, ...) float32 images, made ones centred, and (n,) int64 classes."""
    found = SETS[name]
    x, labels = digits() if name == "digits" else made(found.classes, sum(found.sizes))
    if x.dtype == np.uint8:
        x = (4 * (x / 255 - 0.5)).astype(np.float32)
    ends = np.cumsum(found.sizes)
    pairs = zip(np.split(x, ends)[:3], np.split(labels.astype(np.int64), ends)[:3], strict=True)
    return dict(zip(PARTS, pairs, strict=True))


@exit_code
def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sets as files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--sets", default=",".join(SETS))
    options = parser.parse_args(arguments)
    for name in chosen(options.sets):
        for part, (x, labels) in parts(name).items():
            options.folder.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(options.folder / f"{name}-{part}.npz", x=x, labels=labels)


if __name__ == "__main__":
    sys.exit(main())

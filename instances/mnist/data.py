"""MNIST's images and the division of the training images that all three networks share."""

from __future__ import annotations

from pathlib import Path

from qopt.errors import InputError
from qopt.measure.examples import Examples, read

SHAPE = (1, 28, 28)
SPLIT = {"training": 40_000, "coefficients": 10_000, "calibration": 10_000}
SEED = 0
"""Of the division. Networks that are trained from other seeds keep it, so that no image changes sides."""


def divided(folder: Path) -> dict[str, Examples]:
    """The 60 000 training images of a folder in three parts that share none; pixels in [0, 1], background 0."""
    examples = read(folder, SHAPE, "train")
    if len(examples) != sum(SPLIT.values()):
        raise InputError("training images", str(len(examples)), str(sum(SPLIT.values())))
    return dict(zip(SPLIT, examples.split(list(SPLIT.values()), SEED), strict=True))


def test_images(folder: Path) -> Examples:
    """The 10 000 test images, which neither training nor coefficients nor calibration see."""
    return read(folder, SHAPE, "t10k")

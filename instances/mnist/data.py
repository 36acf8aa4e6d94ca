"""What the networks share: their names, MNIST's images, the division of the training images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import needs as needs  # says what is missing, before anything else is imported

from qopt.core.errors import InputError
from qopt.measuring.examples import Examples, read

NETWORKS = ("mlp6", "cnn", "resnet")
SHAPE = (1, 28, 28)
SPLIT = {"training": 40_000, "coefficients": 10_000, "calibration": 10_000}
SEED = 0
"""Of the division. Networks that are trained from other seeds keep it, so that no image changes sides."""


def chosen(names: Sequence[str]) -> Sequence[str]:
    """The networks that were named, all if none was."""
    for name in names:
        if name not in NETWORKS:
            raise InputError("network", name, ", ".join(NETWORKS))
    return names or NETWORKS


def divided(folder: Path) -> dict[str, Examples]:
    """The 60 000 training images of a folder in three parts that share none; pixels in [0, 1], background 0."""
    examples = read(folder, SHAPE, "train")
    if len(examples) != sum(SPLIT.values()):
        raise InputError("training images", str(len(examples)), str(sum(SPLIT.values())))
    return dict(zip(SPLIT, examples.split(list(SPLIT.values()), SEED), strict=True))


def test_images(folder: Path) -> Examples:
    """The 10 000 test images, which neither training nor coefficients nor calibration see."""
    return read(folder, SHAPE, "t10k")

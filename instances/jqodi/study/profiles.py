"""MACs, parameters and outputs of the three networks, computed from their printed shapes (footnotes 1-6).

    python instances/jqodi/study/profiles.py

A picture is 32 x 32 x 3. Convolutions are 3 x 3 and keep the side; MP2 halves it. A layer is what lies between two
printed partition points, so cut j is point p_j: LeNet-like and ResNet20 have four, VGG-like five. Biases and batch
normalization are left out, and so are pooling and additions, which multiply nothing.

ResNet20 is read as the network of that name, three stages of three blocks of two convolutions with shortcuts that
have no weights. The footnote's blocks of three convolutions, one block a stage, would be a ResNet of 11 layers.
"""

from __future__ import annotations

from dataclasses import dataclass

SIDE, CHANNELS, CLASSES = 32, 3, 10
INPUT = SIDE * SIDE * CHANNELS

Cost = tuple[int, int]
"""MACs and parameters."""


@dataclass(frozen=True)
class Profile:
    """One network, a layer an entry."""

    name: str
    title: str
    layers: tuple[str, ...]
    macs: tuple[int, ...]
    weights: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def cuts(self) -> range:
        """The printed partition points."""
        return range(1, len(self.layers))


def convolution(read: int, written: int, side: int) -> Cost:
    """A 3 x 3 convolution whose output has this side."""
    weights = 9 * read * written
    return weights * side * side, weights


def linear(read: int, written: int) -> Cost:
    """A fully connected layer."""
    return read * written, read * written


def together(*costs: Cost) -> Cost:
    """Several operations as one layer."""
    return sum(macs for macs, _ in costs), sum(weights for _, weights in costs)


def _profile(name: str, title: str, layers: list[tuple[str, Cost, int]]) -> Profile:
    return Profile(
        name=name,
        title=title,
        layers=tuple(label for label, _, _ in layers),
        macs=tuple(cost[0] for _, cost, _ in layers),
        weights=tuple(cost[1] for _, cost, _ in layers),
        outputs=tuple(size for _, _, size in layers),
    )


def lenet() -> Profile:
    """64C3 - MP2 | 128C3 - MP2 | 128C3 - MP2 | 1024FC | 10SVM."""
    layers = [
        ("64C3-MP2", convolution(3, 64, 32), 64 * 16 * 16),
        ("128C3-MP2", convolution(64, 128, 16), 128 * 8 * 8),
        ("128C3-MP2", convolution(128, 128, 8), 128 * 4 * 4),
        ("1024FC", linear(128 * 4 * 4, 1024), 1024),
        ("10SVM", linear(1024, CLASSES), CLASSES),
    ]
    return _profile("lenet", "LeNet-like", layers)


def resnet20() -> Profile:
    """16C3 | three blocks of 16 channels | of 32 | of 64 | FC; a stage's first convolution halves the side."""

    def stage(read: int, written: int, side: int) -> Cost:
        rest = [convolution(written, written, side)] * 5
        return together(convolution(read, written, side), *rest)

    layers = [
        ("16C3", convolution(3, 16, 32), 16 * 32 * 32),
        ("3 Block16", stage(16, 16, 32), 16 * 32 * 32),
        ("3 Block32", stage(16, 32, 16), 32 * 16 * 16),
        ("3 Block64", stage(32, 64, 8), 64 * 8 * 8),
        ("FC", linear(64, CLASSES), CLASSES),
    ]
    return _profile("resnet20", "ResNet20", layers)


def vgg() -> Profile:
    """128C3 | 128C3 - MP2 | 256C3 | 256C3 | MP2 - 1024FC | 10SVM; point p_4 lies before the pooling."""
    layers = [
        ("128C3", convolution(3, 128, 32), 128 * 32 * 32),
        ("128C3-MP2", convolution(128, 128, 32), 128 * 16 * 16),
        ("256C3", convolution(128, 256, 16), 256 * 16 * 16),
        ("256C3", convolution(256, 256, 16), 256 * 16 * 16),
        ("MP2-1024FC", linear(256 * 8 * 8, 1024), 1024),
        ("10SVM", linear(1024, CLASSES), CLASSES),
    ]
    return _profile("vgg", "VGG-like", layers)


PROFILES = {profile.name: profile for profile in (lenet(), resnet20(), vgg())}


def table() -> list[str]:
    """Layers, MACs, parameters and outputs."""
    lines = ["| network | layer | MACs | parameters | outputs |", "| --- | --- | --- | --- | --- |"]
    for profile in PROFILES.values():
        rows = zip(profile.layers, profile.macs, profile.weights, profile.outputs, strict=True)
        lines += [f"| {profile.title} | {label} | {m:,} | {w:,} | {o:,} |" for label, m, w, o in rows]
        lines.append(f"| {profile.title} | all | {sum(profile.macs):,} | {sum(profile.weights):,} | |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))

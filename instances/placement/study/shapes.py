"""The four networks as operations with work, weights and tensors, computed from their published shapes.

Table 2's parameters and section 4.5.4's cuts tell which networks they are: wide_resnet101_2 and resnext101_64x4d
of torchvision at 224 x 224, ResNet-101 with an FCN head of stride 8, and ResNet-101 with the dense upsampling head
of 19 classes (DUC-HDC) at 800 x 800. An operation is the stem, a bottleneck block or the head, with normalization
and activation folded in; the one block that the study cuts in its branches is four operations. Work in MACs,
weights in values, tensors in values of 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FCN_PICTURE = (480, 640)
"""Height and width assumed for FCN, whose tensors follow the picture: the commonest size of COCO 2017."""

BLOCKS = (3, 4, 23, 3)
"""Bottleneck blocks of the four stages of a ResNet of 101 layers."""


@dataclass
class Network:
    """Columns of the graph: `tensors` holds producer, readers, values."""

    operations: list[str] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    tensors: list[tuple[str, list[str], int]] = field(default_factory=list)

    def add(self, name: str, work: float, weights: int) -> str:
        """One operation; returns its name."""
        self.operations.append(name)
        self.work.append(float(work))
        self.weights.append(weights)
        return name

    def send(self, producer: str, readers: list[str], values: int) -> None:
        """One tensor."""
        self.tensors.append((producer, readers, values))


@dataclass(frozen=True)
class Kind:
    """A ResNet of 101 layers: width factor, groups, strides of the last two stages, side of the input."""

    name: str
    height: int
    width: int
    base: int = 64
    groups: int = 1
    strides: tuple[int, int, int, int] = (1, 2, 2, 2)
    stem: tuple[int, ...] = (64,)
    classes: int = 1000
    head: str = "linear"
    split_block: str | None = None


KINDS = {
    "resnet": Kind("wide_resnet101_2", 224, 224, base=128),
    "resnext": Kind("resnext101_64x4d", 224, 224, base=4, groups=64),
    "fcn": Kind("fcn_resnet101", *FCN_PICTURE, strides=(1, 2, 1, 1), classes=21, head="fcn"),
    "duc": Kind(
        "ResNet101-DUC-HDC", 800, 800, strides=(1, 2, 1, 1), stem=(64, 64, 128), classes=19, head="duc",
        split_block="layer4.0",
    ),
}  # fmt: skip

SKIPPED = ("layer4.1", "layer4.2")
"""The two identical blocks that early exit leaves out: the sizes of Table 6 fit no other two."""

CUTS = {"resnet": "layer3.17", "resnext": "layer3.17", "fcn": "layer3.22", "duc": "layer4.0.expand"}
"""First operation of the second half, where section 4.5.4 places it."""


def build(subject: str) -> Network:
    """The network of one subject."""
    kind, net = KINDS[subject], Network()
    height, width = kind.height // 2, kind.width // 2
    weights, work, channels = 0, 0.0, 3
    size = 7 if len(kind.stem) == 1 else 3
    for out in kind.stem:
        weights += channels * out * size**2
        work += channels * out * size**2 * height * width
        channels = out
    last = net.add("stem", work, weights)
    height, width = -(-height // 2), -(-width // 2)
    for stage, (count, stride) in enumerate(zip(BLOCKS, kind.strides, strict=True), start=1):
        out = 256 * 2 ** (stage - 1)
        middle = kind.base * kind.groups * 2 ** (stage - 1)
        for b in range(count):
            before = height * width
            if b == 0:
                height, width = -(-height // stride), -(-width // stride)
            last = _block(
                net, f"layer{stage}.{b}", last, (channels, middle, out), kind, (before, height * width), b == 0
            )
            channels = out
    _head(net, kind, last, channels, height * width)
    return net


def _block(
    net: Network, name: str, last: str, channels: tuple[int, int, int], kind: Kind, areas: tuple[int, int], first: bool
) -> str:
    """A bottleneck: 1 x 1, 3 x 3 with the stride, 1 x 1, and a 1 x 1 shortcut in a stage's first block."""
    read, middle, out = channels
    before, after = areas
    spatial = 9 * middle * (middle // kind.groups)
    reduce, expand, shortcut = read * middle, middle * out, read * out if first else 0
    carried = read * before
    if name != kind.split_block:
        work = reduce * before + (spatial + expand + shortcut) * after
        net.add(name, work, reduce + spatial + expand + shortcut)
        net.send(last, [name], carried)
        return name
    one, two, side, three = (f"{name}.{part}" for part in ("reduce", "spatial", "shortcut", "expand"))
    net.add(one, reduce * before, reduce)
    net.add(two, spatial * after, spatial)
    net.add(side, shortcut * after, shortcut)
    net.add(three, expand * after, expand)
    net.send(last, [one, side], carried)
    net.send(one, [two], middle * before)
    net.send(two, [three], middle * after)
    net.send(side, [three], out * after)
    return three


def _head(net: Network, kind: Kind, last: str, channels: int, area: int) -> None:
    """The classifier; for segmentation a 3 x 3 convolution that reads the last block."""
    if kind.head == "linear":
        weights = channels * kind.classes
        net.add("head", weights, weights)
    elif kind.head == "fcn":
        hidden = channels // 4
        weights = 9 * channels * hidden + hidden * kind.classes
        net.add("head", weights * area, weights)
        net.send("stem", ["head"], 8)  # the picture's height and width, which the final resizing reads
    else:
        weights = 9 * channels * 64 * kind.classes
        net.add("head", weights * area, weights)
    net.send(last, ["head"], channels * area)


def halves(subject: str, skips: tuple[str, ...] = ()) -> str:
    """First operation of the second half of equal size, among the starts of whole blocks."""
    net = build(subject)
    kept = [(name, w) for name, w in zip(net.operations, net.weights, strict=True) if name not in skips]
    total, before = sum(w for _, w in kept), 0
    best = (float("inf"), "")
    for name, weight in kept:
        if name.count(".") < 2 or name.endswith(".reduce"):
            best = min(best, (abs(total - 2 * before), name))
        before += weight
    return best[1]


def cut(subject: str, operator: str) -> str:
    """First operation of the second half: the study's, or by equal size where early exit leaves blocks out."""
    return halves(subject, SKIPPED) if "E" in operator else CUTS[subject]


def crossing(net: Network, at: int) -> float:
    """Values of the tensors that leave the first `at` operations."""
    place = {name: i for i, name in enumerate(net.operations)}
    return sum(v for p, readers, v in net.tensors if place[p] < at <= max(place[r] for r in readers))


def table() -> list[str]:
    """Parameters, work and halves of the four networks."""
    lines = [
        "| subject | network | parameters [M] | work [GMAC] | halves, identity [MiB] | cut, identity | tensor [Mb] "
        "| cut, hybrid | tensor [Mb] |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for subject, kind in KINDS.items():
        net, parts = build(subject), []
        for operator in ("I", "QE"):
            name = cut(subject, operator)
            parts += [name, f"{crossing(net, net.operations.index(name)) * 32 / 2**20:.3f}"]
        at = net.operations.index(parts[0])
        first, second = (sum(w) * 4 / 2**20 for w in (net.weights[:at], net.weights[at:]))
        lines.append(
            f"| {subject} | {kind.name} | {sum(net.weights) / 1e6:.2f} | {sum(net.work) / 1e9:.1f} "
            f"| {first:.1f} + {second:.1f} | " + " | ".join(parts) + " |"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(table()))

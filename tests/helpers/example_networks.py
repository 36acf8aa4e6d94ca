"""Networks of the tests: the shapes of the literature, small where only the structure matters; and their traces."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from qopt.measuring.network import Network
from qopt.measuring.profile import trace


def seeded(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random running statistics and affine parameters in every batch normalization: the fresh ones hide errors."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for tensor, low, high in (
                (part.running_mean, -0.2, 0.2),
                (part.running_var, 0.7, 1.4),
                (part.weight.data, 0.8, 1.2),
                (part.bias.data, -0.2, 0.2),
            ):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return module.eval()


class Padded(nn.Module):
    """A shortcut without parameters: every second pixel, zeros for the new channels."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))


def projected(inside: int, out: int, stride: int) -> nn.Module:
    """A shortcut that is a 1 x 1 convolution."""
    return nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))


def padded(inside: int, out: int, stride: int) -> nn.Module:
    """A shortcut without parameters."""
    assert stride == 2
    return Padded(out - inside)


Shortcut = Callable[[int, int, int], nn.Module]


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, added and rectified in place."""

    def __init__(self, inside: int, out: int, stride: int, shortcut: Shortcut = projected) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Identity() if inside == out and stride == 1 else shortcut(inside, out, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions and a shortcut, four times as many channels at the end."""

    def __init__(self, inside: int, middle: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, 4 * middle, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * middle)
        same = inside == 4 * middle and stride == 1
        self.downsample = nn.Identity() if same else projected(inside, 4 * middle, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet(nn.Module):
    """ResNet18, 34 and 50 (He et al. 2016, table 1)."""

    def __init__(self, block: type[Block] | type[Bottleneck], blocks: tuple[int, ...], classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        wider, inside, stages = 4 if block is Bottleneck else 1, 64, []
        for stage, count in enumerate(blocks):
            for i in range(count):
                stages.append(block(inside, 64 * 2**stage, 2 if stage and not i else 1))
                inside = 64 * 2**stage * wider
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(inside, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.stages(x)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))  # type: ignore[no-any-return]


class ResNet20(nn.Module):
    """Three stages of three two-convolution blocks, 16 to 64 channels, for inputs 3 x 32 x 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        pairs = itertools.pairwise([16] * 4 + [32] * 3 + [64] * 3)
        self.blocks = nn.Sequential(*(Block(a, b, 1 + (a != b), padded) for a, b in pairs))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))  # type: ignore[no-any-return]


def mlp(sizes: tuple[int, ...] = (784, 512, 256, 128, 64, 32, 10)) -> nn.Module:
    """Linear layers with rectifiers between them, for flattened images."""
    parts: list[nn.Module] = [nn.Flatten()]
    for inside, out in itertools.pairwise(sizes):
        parts += [nn.Linear(inside, out), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def _convolution(inside: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(inside, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]


def lenet_like() -> nn.Module:
    """64C3 - MP2 - 128C3 - MP2 - 128C3 - MP2 - 1024FC - 10, for inputs 3 x 32 x 32."""
    parts: list[nn.Module] = []
    for inside, out in ((3, 64), (64, 128), (128, 128)):
        parts += [*_convolution(inside, out), nn.MaxPool2d(2)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, 10))


def vgg_like() -> nn.Module:
    """2 x 128C3 - MP2 - 2 x 256C3 - MP2 - 1024FC - 10, for inputs 3 x 32 x 32."""
    parts = [*_convolution(3, 128), *_convolution(128, 128), nn.MaxPool2d(2)]
    parts += [*_convolution(128, 256), *_convolution(256, 256), nn.MaxPool2d(2)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(16384, 1024), nn.ReLU(), nn.Linear(1024, 10))


class Encoder(nn.Module):
    """Two transformer blocks behind a class token and a learned position."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=batch_first)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.token = nn.Parameter(torch.randn(1, 1, 16) * 0.2)
        self.position = nn.Parameter(torch.randn(1, 6, 16) * 0.2)
        self.head = nn.Linear(16, 10)
        self.batch_first = batch_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        if self.batch_first:
            return self.head(self.blocks(x)[:, 0])  # type: ignore[no-any-return]
        return self.head(self.blocks(x.transpose(0, 1))[0])  # type: ignore[no-any-return]


class HandWritten(nn.Module):
    """Causal attention written by hand: einsum, a softmax, heads merged with the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Parameter(torch.randn(8, 8) * 0.3)
        self.head = nn.Linear(40, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, _ = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, 2, 4).permute(2, 0, 3, 1, 4).reshape(3, n * 2, t, 4)
        scores = torch.einsum("bid,bjd->bij", q, k) / 2 + torch.full((t, t), -1e9).triu(1)
        mixed = (scores.softmax(-1) @ v).view(n, 2, t, 4).transpose(1, 2).reshape(n, t, 8)
        return self.head((x + mixed @ self.out).flatten(1))  # type: ignore[no-any-return]


class Dense(nn.Module):
    """Convolutions that read everything before them, normalized and rectified in front."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(3 + 4 * i) for i in range(4))
        self.convs = nn.ModuleList(nn.Conv2d(3 + 4 * i, 4, 3, padding=1, bias=False) for i in range(4))
        self.norm = nn.BatchNorm2d(19)
        self.fc = nn.Linear(19, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [x]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            found.append(conv(F.relu(norm(torch.cat(found, 1)))))
        return self.fc(F.relu(self.norm(torch.cat(found, 1))).mean((2, 3)))  # type: ignore[no-any-return]


class Sound(nn.Module):
    """Convolutions over one dimension: groups, dilation, stride, padding by name, a gate, weight normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(2, 8, 5, stride=2)
        self.grouped = nn.Conv1d(8, 8, 3, padding=2, dilation=2, groups=4, bias=False)
        self.norm = nn.BatchNorm1d(8)
        self.same = nn.Conv1d(8, 12, 3, padding="same")
        self.gate = nn.Linear(12, 12)
        self.fc = nn.utils.parametrizations.weight_norm(nn.Linear(12, 6))
        self.after = nn.BatchNorm1d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.gelu(self.norm(self.grouped(F.leaky_relu(self.first(x)))))
        y = self.same(y)
        y = y * torch.sigmoid(self.gate(y.mean(2)))[:, :, None]
        return self.after(self.fc(F.max_pool1d(y, 2).amax(2)))  # type: ignore[no-any-return]


class Depthwise(nn.Module):
    """Depthwise and pointwise convolutions, stride and dilation, hard activations, upsampling to a map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.depth = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, padding_mode="circular")
        self.point = nn.Conv2d(8, 12, 1)
        self.norm = nn.GroupNorm(3, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.hardswish(self.bn(self.stem(x)))
        y = self.norm(self.point(F.hardtanh(self.depth(y))))
        return F.interpolate(y, scale_factor=2.0, mode="bilinear")


class Tied(nn.Module):
    """One weight used twice, with a batch normalization of its own behind each use, and decoded by its transpose."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Linear(9, 9)
        self.norms = nn.ModuleList([nn.BatchNorm1d(9), nn.BatchNorm1d(9)])
        self.code = nn.Linear(9, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm in self.norms:
            x = torch.tanh(norm(self.same(x)))
        return F.linear(self.code(x), self.code.weight.t())


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, (1, 28, 28)),
    "lenet-like": (lenet_like, (3, 32, 32)),
    "vgg-like": (vgg_like, (3, 32, 32)),
    "resnet20": (ResNet20, (3, 32, 32)),
    "resnet18": (lambda: ResNet(Block, (2, 2, 2, 2)), (3, 33, 33)),
    "resnet34": (lambda: ResNet(Block, (3, 4, 6, 3)), (3, 33, 33)),
    "resnet50": (lambda: ResNet(Bottleneck, (3, 4, 6, 3)), (3, 33, 33)),
    "encoder": (Encoder, (5, 16)),
    "encoder-time-first": (lambda: Encoder(batch_first=False), (5, 16)),
    "hand-written-attention": (HandWritten, (5, 8)),
    "dense": (Dense, (3, 9, 9)),
    "sound": (Sound, (2, 40)),
    "depthwise": (Depthwise, (3, 10, 10)),
    "tied": (Tied, (9,)),
}
"""Builder and shape of one input."""


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network of `NETWORKS` in eval mode and three inputs, always the same."""
    builder, shape = NETWORKS[name]
    with torch.random.fork_rng():
        torch.manual_seed(7)
        module = seeded(builder())
        return module, torch.randn(3, *shape)


@functools.cache
def traced(name: str) -> tuple[Any, Network, list[torch.Tensor]]:
    """Module, network and tensors on three inputs."""
    module, x = build(name)
    network = trace(module, x)
    return module, network, network.tensors(x)


def returned(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The module's own output, attention by its plain operations."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            output: torch.Tensor = module.eval()(x)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return output


def near(found: torch.Tensor, wanted: torch.Tensor, relative: float = 1e-5) -> bool:
    """Equal up to float32 rounding, of the largest entry: processors add up thousands of products in other orders."""
    assert found.shape == wanted.shape
    return bool((found - wanted).abs().max() <= relative * wanted.abs().max())

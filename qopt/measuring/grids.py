"""Uniform grids (Eqs. 9-10): how a tensor becomes whole numbers of b bits, and numbers again.

Eq. 9 prints the step as 1 / (2^b - 1), which holds for a range of length one; on [low, high] it is
(high - low) / (2^b - 1). Eq. 10 takes the nearest point of that grid. Beside the codes travel, for the whole tensor,
for each output channel or for each group of neighbouring inputs of a channel, one number (symmetric: the step) or two
(asymmetric: the step and the lowest point): float32, or for groups 16 or 8 bits (`qopt.measuring.scales`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from qopt.core.arguments import whole
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.measuring.clipping import best_ends
from qopt.measuring.scales import rounded_down, rounded_up

MAX_BITS = 16
"""Widest code."""

FLOAT_BITS = 32
"""Bits of a number sent beside the codes."""

_WORDS: dict[str, tuple[str, object]] = {
    "per-tensor": ("per", "tensor"),
    "per-channel": ("per", "channel"),
    "groups-of-32": ("per", "group-32"),
    "groups-of-64": ("per", "group-64"),
    "groups-of-128": ("per", "group-128"),
    "asymmetric": ("symmetric", False),
    "symmetric": ("symmetric", True),
    "minmax": ("clip", "minmax"),
    "clipped": ("clip", "mse"),
    "scales-16": ("scale_bits", 16),
    "scales-8": ("scale_bits", 8),
}

_GROUPS = {"group-32": 32, "group-64": 64, "group-128": 128}

WORDS = (
    "per-tensor, per-channel or groups-of-32, -64 or -128, asymmetric or symmetric, minmax or clipped, for groups "
    "scales-16 or scales-8, by commas"
)
"""What `Grid.parse` reads."""


@dataclass(frozen=True)
class Grid:
    """How a tensor is quantized.

    Attributes
    ----------
    per : one grid for the tensor, one for each output channel (axis 0), or one for each group of 32, 64 or 128 entries
        of an output channel, in the order in which they lie: neighbouring inputs (of a convolution, input channels
        with their kernels). A channel's last group may be shorter.
    symmetric : whether the points lie symmetrically about zero, odd multiples of half a step (so one bit means
        two signs); otherwise they span any interval.
    clip : ``minmax`` spans from the smallest to the largest entry (symmetric: to the largest magnitude), ``mse`` the
        interval of least squared error for the width, what lies outside going to the nearest end.
    scale_bits : bits of a scale, and of an offset, of a group: 32, 16, or 8 with a float32 number for each channel.
    """

    per: Literal["tensor", "channel", "group-32", "group-64", "group-128"] = "tensor"
    symmetric: bool = False
    clip: Literal["minmax", "mse"] = "minmax"
    scale_bits: Literal[32, 16, 8] = 32

    def __post_init__(self) -> None:
        for field, allowed in (
            ("per", ("tensor", "channel", *_GROUPS)),
            ("symmetric", (False, True)),
            ("clip", ("minmax", "mse")),
            ("scale_bits", (32, 16, 8) if self.group else (32,)),
        ):
            if getattr(self, field) not in allowed:
                raise InputError(f"grid.{field}", shown(getattr(self, field)), " or ".join(map(str, allowed)))

    @classmethod
    def parse(cls, text: str) -> Grid:
        """The grid of a `text` such as ``per-channel,symmetric,clipped``; what is not said is as in ``Grid()``.

        Raises
        ------
        InputError
            A word that is none of these.
        """
        chosen: dict[str, object] = {}
        for word in filter(None, (part.strip() for part in text.split(","))):
            field, value = _WORDS.get(word, ("", None))
            if not field or field in chosen:
                raise InputError("grid", shown(text), WORDS)
            chosen[field] = value
        return cls(**chosen)  # type: ignore[arg-type]

    def __str__(self) -> str:
        asked: dict[str, object] = {"per": self.per, "symmetric": self.symmetric, "clip": self.clip}
        asked["scale_bits"] = self.scale_bits  # 32 has no word
        return ",".join(word for word, (field, value) in _WORDS.items() if asked[field] == value)

    def numbers(self, tensor: torch.Tensor) -> int:
        """How many numbers are sent beside the codes of a tensor, of `scale_bits` each."""
        return (1 if self.symmetric else 2) * self._grids(tensor)

    def overhead(self, tensor: torch.Tensor) -> int:
        """Bits sent beside the codes of a tensor, whatever their width: those of 8-bit scales' channels included."""
        channels = (1 if self.symmetric else 2) * tensor.shape[0] if self.scale_bits == 8 else 0
        return self.scale_bits * self.numbers(tensor) + FLOAT_BITS * channels

    @property
    def group(self) -> int | None:
        """Entries of a group; None where the grid has no groups."""
        return _GROUPS.get(self.per)

    def _grids(self, tensor: torch.Tensor) -> int:
        """How many grids a tensor has."""
        if self.group:
            return int(tensor.shape[0]) * -(-tensor[0].numel() // self.group)
        return int(tensor.shape[0]) if self.per == "channel" else 1


Largest = tuple[torch.Tensor, ...]
"""Of 8-bit scales the largest of each channel, then of offsets if the grid has them; empty otherwise."""


@dataclass(frozen=True)
class Range:
    """An interval [low, high] that a grid spans: an activation's is fixed in advance.

    Attributes
    ----------
    low, high : its ends, in the unit of the entries.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise InputError("range", f"[{self.low}, {self.high}]", "finite numbers low <= high")

    @property
    def length(self) -> float:
        """high - low."""
        return self.high - self.low

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Range:
        """Smallest and largest entry of a tensor.

        Raises
        ------
        InputError
            The tensor has no entries.
        """
        if tensor.numel() == 0:
            raise InputError("tensor", "no entries", "at least one entry")
        low, high = torch.aminmax(tensor)
        return cls(float(low), float(high))

    @classmethod
    def best(cls, tensor: torch.Tensor, bits: int, grid: Grid) -> Range:
        """The range that a per-tensor `grid` of `bits` bits spans on these entries."""
        low, high = _row_ends(_rows(tensor, Grid()), whole("bits", bits, 1, MAX_BITS), grid)
        return cls(float(low[0]), float(high[0]))


@dataclass(frozen=True, repr=False)
class Quantized(Brief):
    """What is sent for a tensor.

    Attributes
    ----------
    codes : whole numbers 0..2^b - 1, int32, in the tensor's shape.
    scale : float32, distance of neighbouring points: (), one for each channel, or (channels, groups).
    offset : float32, the point of code 0, likewise; None where the grid is symmetric.
    bits, grid : width b, and the kind of grid.
    largest : (channels,) float32, the numbers that 8-bit scales, and offsets, of a channel's groups are parts of.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor | None
    bits: int
    grid: Grid
    largest: Largest = ()

    def values(self) -> torch.Tensor:
        """What the receiver computes with, float32: offset + scale * code, computed in float64 and rounded once."""
        return _points(self.codes.double(), self.scale, self.offset, self.bits, self.grid).float()


@dataclass(frozen=True, repr=False)
class Steps(Brief):
    """Scale and offset of a tensor's grid at one width, found once and used for batch after batch.

    Attributes
    ----------
    scale : step of the grid: one, or one for each channel.
    offset : lowest value, likewise; None where the grid is symmetric.
    bits : width.
    grid : of which kind it is.
    largest : as in `Quantized`.
    """

    scale: torch.Tensor
    offset: torch.Tensor | None
    bits: int
    grid: Grid
    largest: Largest = ()

    @classmethod
    def of(cls, tensor: torch.Tensor, bits: int, grid: Grid) -> Steps:
        """The grid of a tensor's own entries at `bits` bits."""
        bits = whole("bits", bits, 1, MAX_BITS)
        return cls._between(*_ends(tensor, bits, grid), bits, grid)

    @classmethod
    def on(cls, span: Range, bits: int, grid: Grid, device: torch.device | None = None) -> Steps:
        """The per-tensor grid of `bits` bits on a range fixed in advance; a symmetric one reaches to its larger end.

        Parameters
        ----------
        device : where its numbers are to be.

        Raises
        ------
        InputError
            The grid is not per tensor.
        """
        bits = whole("bits", bits, 1, MAX_BITS)
        if grid.per != "tensor":
            raise InputError("grid.per", grid.per, "tensor, where the range is fixed in advance")
        low, high = (torch.tensor([x], dtype=torch.float64, device=device) for x in (span.low, span.high))
        if grid.symmetric:
            high = torch.maximum(low.abs(), high.abs())
            low = -high
        return cls._between(low, high, bits, grid)

    @classmethod
    def _between(cls, low: torch.Tensor, high: torch.Tensor, bits: int, grid: Grid) -> Steps:
        """The grid from low to high, float64: a number for each grid."""
        last = 2**bits - 1
        offset, scale = low, (high - low) / last
        largest: list[torch.Tensor | None] = []
        if grid.scale_bits < FLOAT_BITS:
            if not grid.symmetric:
                offset, of_offsets = rounded_down(low, grid.scale_bits)
                scale = (high - offset) / last
                largest.append(of_offsets)
            scale, of_scales = rounded_up(scale, grid.scale_bits)
            largest.insert(0, of_scales)
        scale = scale.float()
        if not bool(torch.isfinite(scale).all()):
            raise InputError("tensor", f"entries that span {float((high - low).max()):g}", "a span within float32")
        shape = () if grid.per == "tensor" else scale.shape
        rows = tuple(numbers for numbers in largest if numbers is not None)
        return cls(scale.reshape(shape), None if grid.symmetric else offset.float().reshape(shape), bits, grid, rows)

    def codes(self, tensor: torch.Tensor) -> Quantized:
        """What is sent for a tensor on this grid."""
        whole = _nearest(tensor, self.scale, self.offset, self.bits, self.grid)
        return Quantized(whole.int(), self.scale, self.offset, self.bits, self.grid, self.largest)

    def values(self, tensor: torch.Tensor) -> torch.Tensor:
        """The receiver's float32 values of a tensor, bit for bit ``codes(tensor).values()``."""
        whole = _nearest(tensor, self.scale, self.offset, self.bits, self.grid)
        return _points(whole, self.scale, self.offset, self.bits, self.grid).float()


def quantize(tensor: torch.Tensor, bits: int, grid: Grid | None = None, span: Range | None = None) -> Quantized:
    """The nearest point of the grid for each entry of a tensor (Eqs. 9-10).

    Parameters
    ----------
    tensor : any shape, finite; output channels first for a per-channel grid.
    bits : width b, 1..16.
    grid : how; by default one asymmetric grid from the smallest to the largest entry.
    span : a range fixed in advance instead; what lies outside is clipped to its ends.

    Raises
    ------
    InputError
        A width outside 1..16, no entries, entries that are not finite, a fixed range for a per-channel grid.
    """
    grid = grid or Grid()
    steps = Steps.of(tensor, bits, grid) if span is None else Steps.on(span, bits, grid, tensor.device)
    return steps.codes(tensor)


def lengths(tensor: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Largest less smallest entry of what shares a grid, float32, shaped to go with the tensor.

    Parameters
    ----------
    tensor : the entries, of any shape, at least one.
    """
    if grid.per == "tensor":
        return torch.tensor(Range.of(tensor).length, dtype=torch.float32, device=tensor.device)
    low, high = (torch.cat(ends, dim=1) for ends in zip(*(p.aminmax(dim=2) for p in _parts(tensor, grid)), strict=True))
    return _columns(high - low, tensor.shape, grid)


def _rows(tensor: torch.Tensor, grid: Grid) -> torch.Tensor:
    """(channels, entries) of a tensor; one row for a per-tensor grid."""
    if tensor.numel() == 0:
        raise InputError("tensor", "no entries", "at least one entry")
    return tensor.detach().reshape(1 if grid.per == "tensor" or not tensor.ndim else tensor.shape[0], -1)


def _parts(tensor: torch.Tensor, grid: Grid) -> list[torch.Tensor]:
    """(channels, groups, entries): the groups of full size, then each channel's shorter last one if there is one."""
    rows = _rows(tensor, grid)
    size = grid.group or rows.shape[1]
    full = rows.shape[1] // size * size
    parts = [rows[:, :full].reshape(len(rows), full // size, size), rows[:, full:].unsqueeze(1)]
    return [part for part in parts if part.numel()]


def _ends(tensor: torch.Tensor, bits: int, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    """Lowest and highest point of each grid of a tensor, float64: (channels,) or (channels, groups)."""
    found = []
    for part in _parts(tensor, grid):
        low, high = _row_ends(part.flatten(0, 1), bits, grid)
        found.append((low.reshape(part.shape[:2]), high.reshape(part.shape[:2])))
    low, high = (torch.cat(ends, dim=1) for ends in zip(*found, strict=True))
    return (low, high) if grid.group else (low[:, 0], high[:, 0])


def _row_ends(rows: torch.Tensor, bits: int, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows,) lowest and highest point of each row's grid, float64."""
    low, high = (end.double() for end in torch.aminmax(rows, dim=1))
    if not bool((torch.isfinite(low) & torch.isfinite(high)).all()):
        raise InputError("tensor", "entries that are not finite", "finite numbers")
    if grid.symmetric:
        high = torch.maximum(low.abs(), high.abs())
        low = -high
    return best_ends(rows, bits, low, high, symmetric=grid.symmetric) if grid.clip == "mse" else (low, high)


def _columns(numbers: torch.Tensor, shape: torch.Size, grid: Grid) -> torch.Tensor:
    """A number for each channel or group, shaped to go with a tensor; one number as it is."""
    if grid.group:
        entries = shape[1:].numel()
        return numbers.repeat_interleave(grid.group, dim=1)[:, :entries].reshape(shape)
    return numbers.reshape(-1, *[1] * (len(shape) - 1)) if numbers.ndim else numbers


def _nearest(
    tensor: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor | None, bits: int, grid: Grid
) -> torch.Tensor:
    """Codes of the nearest points, as float64 whole numbers; zero on a grid of one point."""
    last = 2**bits - 1
    step = _columns(scale, tensor.shape, grid).double()
    step = torch.where(step > 0, step, torch.inf)
    whole = tensor.detach().to(torch.float64, copy=True)
    if offset is None:
        whole.div_(step).add_(last / 2)
    else:
        whole.sub_(_columns(offset, tensor.shape, grid).double()).div_(step)
    return whole.round_().clamp_(0, last)


def _points(
    whole: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor | None, bits: int, grid: Grid
) -> torch.Tensor:
    """Points of the grid at float64 whole numbers, in place."""
    if offset is None:
        return whole.sub_((2**bits - 1) / 2).mul_(_columns(scale, whole.shape, grid).double())
    return whole.mul_(_columns(scale, whole.shape, grid).double()).add_(_columns(offset, whole.shape, grid).double())

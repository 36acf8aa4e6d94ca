"""The file of a quantized segment: what the server sends to the device before the first inference.

A safetensors file. Its tensors are, for layers l = 1..p of the plan's cut,

    weight.l.codes     uint8    codes of b_l bits without gaps (`qopt.measuring.packing`)
    weight.l.scale     float32  one, or one for each output channel, or (channels, groups)
    weight.l.offset    float32  likewise, if the grid is asymmetric
    bias.l             float32  where the layer has a bias

Scales and offsets of groups may also be float16, or 8 bits (uint8 and int8) beside weight.l.scale.largest and
weight.l.offset.largest, float32, one for each output channel (`qopt.measuring.scales`). A weight that several layers
share stands in the first of them. So the file has the bits of Eq. 14 with the overhead (`network.overhead`), every
tensor rounded up to whole bytes, the biases, which Eq. 14 leaves out, and a header whose size is known before it is
written: 8 bytes of length, then JSON that says where each tensor lies, with one string of metadata, the `Header`. The
grids of the activations, fixed in advance, are in the header.

A file is untrusted: everything is checked against the header, the header against the network that it is used with.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator

from qopt.core.columns import complaint
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.files import write_whole
from qopt.core.problem import Frozen
from qopt.measuring.fingerprint import digest
from qopt.measuring.grids import MAX_BITS, Grid, Quantized
from qopt.measuring.packing import pack, packed_bytes, unpack
from qopt.measuring.scales import OFFSETS, SCALES, from_parts, parts_of
from qopt.qpart.plan import QPartPlan

METADATA = "qopt"
"""Key of the header in the file's metadata."""

ALLOWED = "a file that `qopt pack` wrote"

_KINDS = {torch.float32: "F32", torch.float16: "F16", torch.int8: "I8", torch.uint8: "U8"}
"""Types of a file's tensors by the format's names, in the order in which it writes them."""

WholeNumber = Annotated[int, Field(ge=0, le=2**53, strict=True)]
CodeWidth = Annotated[int, Field(ge=1, le=MAX_BITS, strict=True)]
LARGEST = torch.finfo(torch.float32).max
"""Largest float32, which is what the numbers of a grid are computed with."""

Finite = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False, strict=True)]
Step = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False, strict=True)]


class StoredLayer(Frozen):
    """What the file holds of one layer.

    Attributes
    ----------
    name : of the layer.
    bits : width of its weights.
    shape : list of the weight's axes, output channels first; empty where the layer has none, or shares that of
        `weight_of`.
    weight_of : an earlier layer whose weight this one multiplies by.
    biases : how many.
    """

    name: str
    bits: CodeWidth
    shape: tuple[WholeNumber, ...] = ()
    weight_of: WholeNumber | None = None
    biases: WholeNumber = 0


class SentTensor(Frozen):
    """An activation that is quantized and sent: its size for one inference, and its grid, fixed in advance.

    Attributes
    ----------
    tensor : its number, 1..L.
    size : values of one inference.
    bits : of each value.
    scale, offset : step, and lowest value; no offset where the grid is symmetric.
    """

    tensor: WholeNumber
    size: WholeNumber
    bits: CodeWidth
    scale: Step
    offset: Finite | None = None


class Header(Frozen):
    """What a segment is.

    Attributes
    ----------
    structure, weights : digests of the network that it was made from (`qopt.measuring.fingerprint`).
    data : digest of the file's tensors and of the rest of the header (`sealed`).
    grid, activation_grid : how weights and activations are quantized.
    plan : cut and widths.
    layers : one for each layer 1..p.
    activations : one for each quantized tensor that crosses the cut, ascending.
    """

    format: Literal["qopt/segment"] = "qopt/segment"
    version: Literal[1] = 1
    structure: str
    weights: str
    data: str
    grid: str
    activation_grid: str
    plan: QPartPlan
    layers: tuple[StoredLayer, ...]
    activations: tuple[SentTensor, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        activation_grid = Grid.parse(self.activation_grid)
        if activation_grid.per != "tensor":
            raise complaint(".activation_grid", self.activation_grid, "a per-tensor grid: ranges are fixed in advance")
        symmetric = activation_grid.symmetric
        Grid.parse(self.grid)
        plan = self.plan
        if [layer.bits for layer in self.layers] != list(plan.weights) or plan.cut != len(self.layers):
            raise complaint(".layers", "widths that are not the plan's", "one layer for each of the plan's weights")
        if [sent.bits for sent in self.activations] != list(plan.activations):
            raise complaint(".activations", "widths that are not the plan's", "one for each of the plan's activations")
        for number, layer in enumerate(self.layers, start=1):
            of = layer.weight_of
            if of is not None and (not 1 <= of < number or not self.layers[of - 1].shape or layer.shape):
                raise complaint(f".layers[{number - 1}].weight_of", str(of), "an earlier layer with a weight")
        if any((sent.offset is None) != symmetric for sent in self.activations):
            raise complaint(".activations", "offsets that do not fit the grid", "one each, for asymmetric grids alone")
        return self


@dataclass(frozen=True)
class SegmentSize:
    """Bytes of a segment's file.

    Attributes
    ----------
    payload_bits : Eq. 14's bits down, sum of b_l z_l, and the overhead: what a QPart request counts.
    codes : each weight's codes, rounded up to whole bytes.
    overhead : scales and offsets, and for 8-bit ones the largest of each channel.
    biases : float32.
    header : everything else.
    """

    payload_bits: int
    codes: int
    overhead: int
    biases: int
    header: int

    @property
    def total(self) -> int:
        """Bytes of the file."""
        return self.codes + self.overhead + self.biases + self.header


@dataclass(frozen=True, repr=False)
class SegmentFile(Brief):
    """A quantized segment.

    Attributes
    ----------
    header : what it is.
    weights : by layer; a weight that is shared stands with the first layer alone.
    biases : by layer, float32.
    """

    header: Header
    weights: dict[int, Quantized]
    biases: dict[int, torch.Tensor]

    @property
    def size(self) -> SegmentSize:
        """Bytes of its file, known without writing it."""
        grid = Grid.parse(self.header.grid)
        entries = _entries(self.header)
        size = {name: math.prod(shape) * kind.itemsize for name, (kind, shape) in entries.items()}
        codes, biases = (
            sum(length for name, length in size.items() if re.fullmatch(pattern, name))
            for pattern in (r"weight.*\.codes", r"bias.*")
        )
        return SegmentSize(
            payload_bits=sum(
                grid.overhead(weight.codes) + weight.codes.numel() * weight.bits for weight in self.weights.values()
            ),
            codes=codes,
            overhead=sum(size.values()) - codes - biases,
            biases=biases,
            header=_header_bytes(entries, _text(self.header)),
        )

    def packed(self, number: int) -> bytes:
        """Codes of the weight of layer `number` without gaps, as the file has them."""
        weight = self.weights[number]
        return pack(weight.codes.reshape(-1), weight.bits).cpu().numpy().tobytes()

    def save(self, path: str | os.PathLike[str]) -> SegmentSize:
        """Write the file, whole or not at all.

        Returns
        -------
        `SegmentSize`: bytes of the file and of its parts.

        Raises
        ------
        InputError
            The path cannot be written.
        """
        from safetensors.torch import save

        data = save(tensors_of(self.weights, self.biases), {METADATA: _text(self.header)})
        size = self.size
        assert len(data) == size.total
        write_whole(path, lambda file: file.write(data))
        return size


def tensors_of(weights: dict[int, Quantized], biases: dict[int, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a file by name."""
    found: dict[str, torch.Tensor] = {}
    for number, weight in weights.items():
        found[f"weight.{number}.codes"] = pack(weight.codes.reshape(-1), weight.bits).cpu()
        for i, (name, numbers) in enumerate((("scale", weight.scale), ("offset", weight.offset))):
            if numbers is None:
                continue
            at = f"weight.{number}.{name}"
            if weight.grid.scale_bits == 8:
                found[f"{at}.largest"] = weight.largest[i].cpu().contiguous()
                numbers = parts_of(numbers, weight.largest[i], (SCALES, OFFSETS)[i])
            elif weight.grid.scale_bits == 16:
                numbers = numbers.half()  # exact: they were rounded so
            found[at] = numbers.cpu().contiguous()
    found |= {f"bias.{number}": bias.detach().cpu().contiguous() for number, bias in biases.items()}
    return found


def sealed(header: Header, tensors: dict[str, torch.Tensor]) -> Header:
    """The header with the digest of these tensors and of all else that it says."""
    found = hashlib.sha256(digest(iter(sorted(tensors.items()))).encode())
    found.update(_text(header.model_copy(update={"data": ""})).encode(errors="surrogatepass"))
    return header.model_copy(update={"data": found.hexdigest()})


def read_segment(path: str | os.PathLike[str]) -> SegmentFile:
    """Read a file that `SegmentFile.save` wrote.

    Raises
    ------
    InputError
        The file is missing, damaged, of another version, or its parts do not fit each other.
    """
    name = os.fspath(path)
    text, tensors = _contents(name)
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise InputError("header", shown(data), "an object")
        header = Header(**data)
    except InputError as error:
        raise InputError(f"{name}: {error.field}", error.found, error.allowed) from error
    except (ValueError, RecursionError) as error:
        raise InputError(name, "a header that is no JSON", ALLOWED) from error
    entries = _entries(header)
    found = {key: (str(tensor.dtype), tuple(tensor.shape)) for key, tensor in tensors.items()}
    expected = {key: (str(kind), shape) for key, (kind, shape) in entries.items()}
    if found != expected:
        key = sorted(set(found.items()) ^ set(expected.items()))[0][0]
        raise InputError(f"{name}: {key}", shown(found.get(key)), f"{shown(expected.get(key))}, as in the header")
    if sealed(header, tensors) != header:
        raise InputError(name, "tensors or a header that are not those that were written", ALLOWED)
    weights, biases = {}, {}
    grid = Grid.parse(header.grid)
    for number, layer in enumerate(header.layers, start=1):
        if layer.shape:
            at = f"weight.{number}"
            scale, offset, largest = _grid_of(tensors, at, grid)
            numbers = scale if offset is None else torch.cat((scale.reshape(-1), offset.reshape(-1)))
            if not bool(torch.isfinite(numbers).all()) or bool((scale < 0).any()):
                raise InputError(f"{name}: {at}", "a grid that is not finite", "finite numbers, scales >= 0")
            codes = unpack(tensors[f"{at}.codes"], layer.bits, math.prod(layer.shape)).reshape(layer.shape)
            weights[number] = Quantized(codes, scale, offset, layer.bits, grid, largest)
        if layer.biases:
            biases[number] = tensors[f"bias.{number}"]
            if not bool(torch.isfinite(biases[number]).all()):
                raise InputError(f"{name}: bias.{number}", "numbers that are not finite", "finite numbers")
    return SegmentFile(header, weights, biases)


def _grid_of(
    tensors: dict[str, torch.Tensor], at: str, grid: Grid
) -> tuple[torch.Tensor, torch.Tensor | None, tuple[torch.Tensor, ...]]:
    """Scales and offsets in float32, and what 8-bit ones are parts of."""
    numbers, largest = [], []
    for part, last in (("scale", SCALES), ("offset", OFFSETS)):
        own = tensors.get(f"{at}.{part}")
        if own is not None and grid.scale_bits == 8:
            largest.append(tensors[f"{at}.{part}.largest"])
            own = from_parts(own, largest[-1], last)
        numbers.append(None if own is None else own.float())
    scale, offset = numbers
    assert scale is not None  # read_segment has compared the names with the header's
    return scale, offset, tuple(largest)


def _contents(name: str) -> tuple[str, dict[str, torch.Tensor]]:
    """Metadata and tensors of a safetensors file."""
    from safetensors import safe_open

    try:
        with open(name, "rb"):
            pass
        with safe_open(name, framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, no mapping
    except OSError as error:
        raise InputError(name, (error.strerror or "an unreadable file").lower(), ALLOWED) from None
    except Exception as error:  # safetensors raises types of its own for a damaged file
        raise InputError(name, f"no safetensors file, or a damaged one ({shown(str(error))})", ALLOWED) from error
    if text is None:
        raise InputError(name, "a safetensors file without a segment's header", ALLOWED)
    return text, tensors


def _entries(header: Header) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """Type and shape of every tensor that a file with this header has."""
    grid = Grid.parse(header.grid)
    found: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
    for number, layer in enumerate(header.layers, start=1):
        if layer.shape:
            length = packed_bytes(math.prod(layer.shape), layer.bits)
            numbers = layer.shape[:1] if grid.per == "channel" else ()
            if grid.group:
                numbers = layer.shape[0], -(-math.prod(layer.shape[1:]) // grid.group)
            found[f"weight.{number}.codes"] = torch.uint8, (length,)
            for part, whole in (("scale", torch.uint8), ("offset", torch.int8)):
                if part == "offset" and grid.symmetric:
                    continue
                kind = {32: torch.float32, 16: torch.float16, 8: whole}[grid.scale_bits]
                found[f"weight.{number}.{part}"] = kind, numbers
                if grid.scale_bits == 8:
                    found[f"weight.{number}.{part}.largest"] = torch.float32, layer.shape[:1]
        if layer.biases:
            found[f"bias.{number}"] = torch.float32, (layer.biases,)
    return found


def _text(header: Header) -> str:
    data: dict[str, Any] = header.model_dump(exclude_defaults=True) | {"format": header.format, "version": 1}
    data["plan"] = header.plan.to_dict()
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _header_bytes(entries: dict[str, tuple[torch.dtype, tuple[int, ...]]], text: str) -> int:
    """Bytes before the first tensor: the length of the JSON, and the JSON, padded with spaces to a multiple of 8.

    The format puts wider types first and signed ones before unsigned, names of one type in order.
    """
    content: dict[str, Any] = {"__metadata__": {METADATA: text}}
    at = 0
    kinds = list(_KINDS)
    for name, (kind, shape) in sorted(entries.items(), key=lambda item: (kinds.index(item[1][0]), item[0])):
        end = at + math.prod(shape) * kind.itemsize
        content[name] = {
            "dtype": _KINDS[kind],
            "shape": list(shape),
            "data_offsets": [at, end],
        }
        at = end
    length = len(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode())
    return 8 + length + -length % 8

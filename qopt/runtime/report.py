"""ONNX files for people: what a profile says, what parts there are, what was left out. No onnx is needed to print."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from qopt.core.report import add_rows, console, scaled

if TYPE_CHECKING:
    from onnx import ModelProto

    from qopt.placement.profile import Profile, Timing
    from qopt.runtime.exits import EarlyExit
    from qopt.runtime.manifest import Parts


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Where lines of progress go: standard error, and only to a terminal.

    Parameters
    ----------
    quiet : no lines.
    """
    out = Console(stderr=True, markup=False, emoji=False)

    def say(line: str) -> None:
        if not quiet and out.is_terminal:
            out.print(line, markup=False, highlight=False, soft_wrap=True)

    yield say


def _table(*columns: str) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in columns:
        words = name in ("operation", "kind", "tier", "file", "tensor", "type", "from", "to", "reads")
        table.add_column(name, justify="left" if words else "right", overflow="fold")
    return table


def _line(text: str) -> None:
    console().print(text, markup=False, highlight=False, soft_wrap=True)


def _spread(timing: Timing | None, size: int) -> list[str]:
    if timing is None:
        return ["skipped", ""]
    low, high = scaled(timing.low[size], "s"), scaled(timing.high[size], "s")
    return [scaled(timing.seconds[size], "s"), f"{low} to {high}"]


def show_profile(found: Profile) -> None:
    """Print operations with what they take, write and hold, at the last of the input sizes.

    Parameters
    ----------
    found : of one operator on one machine.
    """
    size = len(found.sizes) - 1
    bytes_of = {tensor.name: tensor.bytes[size] for tensor in found.tensors}
    weights = {weight.name: weight.bytes for weight in found.weights}
    table = _table("operation", "kind", "time", "interval", "writes", "weights")
    rows = [
        [
            own.name,
            own.kind,
            *_spread(own.time, size),
            scaled(sum(bytes_of[name] for name in own.writes), "B"),
            scaled(sum(weights[name] for name in own.weights), "B"),
        ]
        for own in found.operations
    ]
    add_rows(table, rows, "operations")
    _line(f"{found}; {', '.join(_size(size) for size in found.sizes)}")
    console().print(table)
    if found.whole is not None:
        seconds, interval = _spread(found.whole, size)
        _line(f"whole    {seconds} ({interval}), with what the runtime does between operations")
    how = found.measuring
    if found.deployed is not None:
        seconds, interval = _spread(found.deployed, size)
        after = f", {scaled(how.pause, 's')} after the last" if how.pause else ""
        _line(f"deployed {seconds} ({interval}), as parts run: rewritten in full{after}")
    _line(f"weights  {scaled(sum(weights.values()), 'B')}, those that are shared once")
    _line(
        f"times    medians of {how.repetitions} x {how.runs} runs after {how.warmup}, threads: {how.threads}; "
        f"confidence of the intervals {100 * how.confidence:.4g}%"
    )


def _size(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items())


def show_parts(parts: Parts, folder: str | os.PathLike[str]) -> None:
    """Print the files and what crosses between them.

    Parameters
    ----------
    parts : the manifest.
    folder : where they lie.
    """
    table = _table("tier", "file", "operations", "weights", "reads", "writes")
    rows = [
        [part.tier, part.file, str(part.operations), scaled(part.weights, "B"), _few(part.reads), _few(part.writes)]
        for part in parts.parts
    ]
    add_rows(table, rows, "parts")
    console().print(table)
    if parts.tensors:
        crossing = _table("tensor", "type", "shape", "bytes", "from", "to")
        rows = [
            [
                tensor.name,
                tensor.type,
                "–" if tensor.shape is None else " x ".join("?" if e is None else str(e) for e in tensor.shape),
                "–" if tensor.bytes is None else str(tensor.bytes),
                tensor.sender,
                ", ".join(tensor.readers),
            ]
            for tensor in parts.tensors
        ]
        add_rows(crossing, rows, "tensors")
        console().print("")
        console().print(crossing)
    _line(f"written to {os.fspath(folder)}")


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])}, … {len(names)} in all"


def show_exit(found: EarlyExit, save: str | os.PathLike[str] | None) -> None:
    """Print what was left out.

    Parameters
    ----------
    found : the early exit.
    save : where the model was written, if it was.
    """
    _line(str(found))
    _line(f"left out  {', '.join(found.skips)}")
    if save is not None:
        _line(f"written to {os.fspath(save)}")


def exit_data(found: EarlyExit) -> dict[str, object]:
    """An early exit as plain data, without the model."""
    return {
        "skips": list(found.skips),
        "blocks": found.blocks,
        "alike": found.alike,
        "entry": found.entry,
        "end": found.end,
    }


def quantized_data(found: ModelProto) -> dict[str, object]:
    """What a quantized model holds, as plain data."""
    from qopt.runtime.reading import weight_bytes

    kinds = [node.op_type for node in found.graph.node]
    return {
        "operations": len(kinds),
        "quantizing": kinds.count("QuantizeLinear"),
        "weights": sum(weight_bytes(entry) for entry in found.graph.initializer),
        "opset": next((int(s.version) for s in found.opset_import if s.domain in ("", "ai.onnx")), 1),
    }


def show_quantized(found: ModelProto, save: str | os.PathLike[str]) -> None:
    """Print what a quantized model holds.

    Parameters
    ----------
    found : the model.
    save : where it was written.
    """
    data = quantized_data(found)
    _line(f"{data['quantizing']} tensors quantized, {scaled(float(str(data['weights'])), 'B')} of weights")
    _line(f"written to {os.fspath(save)}")

"""Pre- and post-processing: what happens to an input before the model, and to its outputs after. Timed, or given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.core.arguments import is_number
from qopt.core.errors import InputError, shown
from qopt.runtime.functions import called, feeds
from qopt.runtime.sessions import Array
from qopt.runtime.timing import Interval, Protocol, clocked

Given = float | Sequence[float]
"""Seconds, the same at each input size or one for each."""

RAW, RESULT = "raw:input", "post:result"
"""Tensors that surround the model: what comes in before pre-processing, and what goes out after post-processing."""


@dataclass(frozen=True)
class Processed:
    """One step at one input size.

    Attributes
    ----------
    seconds : that it takes.
    bytes : of what it takes in (before the model) or gives (after it).
    feeds : the model's inputs, of a function before the model.
    """

    seconds: Interval
    bytes: int
    feeds: dict[str, Array] | None = None


def given(value: Given, size: int, option: str) -> Interval:
    """Seconds that a user states, at one input size."""
    listed: Sequence[float] = value if isinstance(value, Sequence) else [value]
    seconds = listed[min(size, len(listed) - 1)] if listed else None
    if seconds is None or not is_number(seconds) or not 0 <= seconds < float("inf"):
        raise InputError(option, shown(value), "seconds >= 0, or a function")
    return Interval(float(seconds), float(seconds), float(seconds))


def before(
    function: Callable[..., Any], shapes: Mapping[str, tuple[int, ...]], protocol: Protocol, option: str
) -> Processed:
    """Time pre-processing: ``function(shapes)`` gives what to call and a raw input to call it with.

    Parameters
    ----------
    function : of the shapes of the model's inputs; gives (callable, raw input).
    shapes : of the model's inputs.
    protocol : how often.
    option : what messages call it.
    """
    made = called(function, (dict(shapes),), option)
    if not isinstance(made, tuple) or len(made) != 2 or not callable(made[0]):
        raise InputError(option, shown(made), "a function of shapes that gives (callable, raw input)")
    call, raw = made
    found = feeds(called(call, (raw,), option), shapes)
    for name, shape in shapes.items():
        if name not in found or tuple(np.shape(found[name])) != tuple(shape):
            there = list(np.shape(found[name])) if name in found else "nothing"
            raise InputError(option, f"{there} for input {shown(name)}", f"shape {list(shape)}")
    arrays = {name: np.asarray(found[name]) for name in shapes}
    return Processed(clocked(lambda: call(raw), protocol), size_of(raw), arrays)


def after(function: Callable[..., Any], outputs: Mapping[str, Array], protocol: Protocol, option: str) -> Processed:
    """Time post-processing: ``function(outputs)`` gives the result.

    Parameters
    ----------
    function : of the model's outputs by name.
    outputs : of one run.
    protocol : how often.
    option : what messages call it.
    """
    result = called(function, (dict(outputs),), option)
    return Processed(clocked(lambda: function(dict(outputs)), protocol), size_of(result))


def size_of(value: Any) -> int:
    """Bytes of an array, of bytes or a text, or of what a list, a tuple or a dictionary holds."""
    if isinstance(value, bytes | bytearray | memoryview):
        return len(value)
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict):
        return sum(size_of(entry) for entry in value.values())
    if isinstance(value, list | tuple):
        return sum(size_of(entry) for entry in value)
    return int(np.asarray(value).nbytes)

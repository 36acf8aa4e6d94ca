"""What the generators of random problems share: draws, and the name of what was drawn."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray

LONGEST_SUFFIX = 40
"""Characters of options that a name holds; more are a digest."""


def log_uniform(rng: np.random.Generator, decades: float, middle: float, size: int) -> FloatArray:
    """Numbers whose logarithm is uniform, `decades` wide around `middle`."""
    return middle * 10.0 ** rng.uniform(-decades / 2, decades / 2, size)


def drawn_head(
    generator: Callable[..., object], size: int, options: Mapping[str, object], name: str | None
) -> dict[str, Any]:
    """Name and source of a drawn problem.

    Parameters
    ----------
    generator : a function of `qopt.generate`; its signature tells which options are not the defaults.
    size : its first argument.
    options : its keywords as they were given, seed first, without the name.
    name : as given; by default ``random-<size>-<seed>``, with the options that are not the defaults behind it
        (``random-6-1-noise=grid-bits=2-8``), or a digest of them where they are long.
    """
    written = ", ".join(f"{key}={value!r}" for key, value in options.items())
    source = f"qopt.generate.{generator.__name__}({size}, {written})"
    if name is None:
        name = f"random-{size}-{options['seed']}{_suffix(generator, options)}"
    return {"name": name, "source": source}


def _suffix(generator: Callable[..., object], options: Mapping[str, object]) -> str:
    """What the options add to a name: nothing where all are the defaults."""
    parameters = inspect.signature(generator).parameters
    texts = {key: _text(value) for key, value in options.items() if key != "seed"}
    suffix = "".join(f"-{key}={text}" for key, text in texts.items() if text != _text(parameters[key].default))
    if len(suffix) > LONGEST_SUFFIX:
        return "-" + hashlib.sha256(suffix.encode()).hexdigest()[:8]
    return suffix


def _text(value: object) -> str:
    """An option in a name: the same for 2, 2.0 and numpy's 2, and for a list and a tuple."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return f"{value:.17g}"
    if isinstance(value, Mapping):
        return ",".join(f"{key}:{_text(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return "-".join(map(_text, value))
    return str(value)

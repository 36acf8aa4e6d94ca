"""Curves of fine-tuning: the losses of one model at one width, epoch by epoch, and the file that keeps them.

An epoch quantizes the cloud's full-precision copy, trains what the device and the server got of it, and updates the
copy with what comes back (section III of the JQODI paper). Three losses on the device's validation data are known of
each epoch: of the quantized model, of the trained one, and of the updated full-precision copy. Eqs. 11-12 then hold
by definition:

    gamma           = quantized(1) - L_a
    gamma^run(k)    = trained(k) - quantized(k)
    gamma^update(k) = quantized(k) - trained(k - 1),   and 0 at k = 1
    L(k)            = L_a + gamma + sum of gamma^update(i) + gamma^run(i) over i <= k  =  trained(k)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from qopt.core.arguments import is_number, whole
from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.files import write_text
from qopt.core.reading import read_json

FORMAT = "qopt/curves"

PARTS = ("quantized", "trained", "updated")
"""The three losses of an epoch, in order."""

LARGEST_LOSS = 1e100
"""Losses beyond this are refused: fits square them."""

DIGITS = 6
"""Significant digits of a loss in a file: float32 sums have no more."""


@dataclass(frozen=True, repr=False)
class Curve(Brief):
    """Losses of one model at one width, fine-tuned once.

    Attributes
    ----------
    model : its name.
    bits : width q, 1 to 32; 32 is full precision.
    loss : L_a, of the full-precision model before anything is done, on the device's validation data.
    quantized, trained, updated : (epochs,) losses in each epoch: after quantizing, after training, and of the
        full-precision copy after its update; numbers from 0 to `LARGEST_LOSS`.
    seed : of the run, for telling repetitions apart.
    data : which data it was tuned on, a name.
    parameters : how many weights are quantized; 0 where it is not known.
    accuracy : (epochs,) share of the validation data that the trained model tells rightly; empty where nobody counted.
    """

    model: str
    bits: int
    loss: float
    quantized: tuple[float, ...]
    trained: tuple[float, ...]
    updated: tuple[float, ...]
    seed: int = 0
    data: str = ""
    parameters: int = 0
    accuracy: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("model", "data"):
            if not isinstance(getattr(self, name), str) or (name == "model" and not self.model):
                raise InputError(name, shown(getattr(self, name)), "a name")
        whole("bits", self.bits, 1, 32)
        whole("seed", self.seed, 0)
        whole("parameters", self.parameters, 0)
        _check_loss("loss", self.loss)
        for name in (*PARTS, "accuracy"):
            column = getattr(self, name)
            if not isinstance(column, list | tuple):
                raise InputError(name, shown(column), "a list of numbers, one for each epoch")
            for k, value in enumerate(column):
                _check_loss(f"{name}[{k}]", value)
            object.__setattr__(self, name, tuple(map(float, column)))
        for name in PARTS[1:] + (("accuracy",) if self.accuracy else ()):
            if len(getattr(self, name)) != self.epochs:
                found = f"{len(getattr(self, name))} entries"
                raise InputError(name, found, f"{self.epochs}, one for each epoch, as in {PARTS[0]}")
        object.__setattr__(self, "loss", float(self.loss))

    @property
    def epochs(self) -> int:
        """How many epochs were run."""
        return len(self.quantized)

    @property
    def gamma(self) -> float:
        """Loss change by quantizing for the first time (Eq. 12).

        Raises
        ------
        InputError
            There is no epoch.
        """
        if not self.quantized:
            raise InputError("curve", "no epochs", "at least one epoch, whose beginning quantizes the model")
        return self.quantized[0] - self.loss

    @property
    def run(self) -> FloatArray:
        """gamma^run of each epoch, (epochs,)."""
        return np.asarray(np.array(self.trained) - np.array(self.quantized))

    @property
    def update(self) -> FloatArray:
        """gamma^update of each epoch, (epochs,); 0 in the first."""
        return np.asarray(np.array(self.quantized) - np.array((self.quantized[:1] + self.trained)[: self.epochs]))

    @property
    def after(self) -> FloatArray:
        """L(0), ..., L(epochs): after quantizing, then after each epoch (Eq. 12)."""
        return np.array(self.quantized[:1] + self.trained)

    def first(self, epochs: int) -> Self:
        """The same with its first epochs only.

        Parameters
        ----------
        epochs : how many are kept, at most as many as there are.
        """
        epochs = whole("epochs", epochs, 0, self.epochs)
        cut = {name: getattr(self, name)[:epochs] for name in (*PARTS, "accuracy")}
        return type(self)(**{**self.__dict__, **cut})

    def epochs_to(self, limit: float) -> int | None:
        """The fewest epochs >= 1 after which the loss is at most `limit`; None where no epoch that was run reaches it.

        Parameters
        ----------
        limit : L_max.
        """
        return next((k for k, loss in enumerate(self.trained, start=1) if loss <= limit), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, losses with six significant digits."""
        plain: dict[str, Any] = {"model": self.model, "bits": self.bits, "seed": self.seed, "data": self.data}
        plain |= {"parameters": self.parameters, "loss": _rounded(self.loss)}
        for name in (*PARTS, "accuracy"):
            plain[name] = [_rounded(value) for value in getattr(self, name)]
        return plain


def _check_loss(where: str, value: object) -> None:
    if not is_number(value) or not 0 <= value <= LARGEST_LOSS:
        raise InputError(where, shown(value), f"a finite number >= 0 and <= {LARGEST_LOSS:g}")


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def save_curves(curves: Iterable[Curve], path: str | os.PathLike[str]) -> None:
    """Write curves to a file, whole or not at all: a curve a line.

    Parameters
    ----------
    curves : list of curves, in the order in which they are to stand there.
    path : of a JSON file.

    Raises
    ------
    InputError
        The path cannot be written.
    """
    import json

    rows = ",\n".join(json.dumps(curve.to_dict(), separators=(",", ":")) for curve in curves)
    write_text(path, f'{{"format": "{FORMAT}", "version": 1, "curves": [\n{rows}\n]}}\n')


def read_curves(path: str | os.PathLike[str]) -> list[Curve]:
    """The curves of a file that `save_curves` wrote.

    Parameters
    ----------
    path : of a JSON file.

    Raises
    ------
    InputError
        There is no such file, or it holds something else; the line says where.
    """
    name, found = os.fspath(path), read_json(path)
    if not isinstance(found, Mapping) or found.get("format") != FORMAT or found.get("version") != 1:
        what = shown(found.get("format")) if isinstance(found, Mapping) else type(found).__name__
        raise InputError(name, what, f'format "{FORMAT}", version 1')
    rows = found.get("curves")
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise InputError(f"{name}: curves", shown(rows), "a list of curves")
    return [_curve(f"{name}: curves[{i}]", row) for i, row in enumerate(rows)]


def _curve(where: str, row: object) -> Curve:
    fields = Curve.__dataclass_fields__
    needed = ("model", "bits", "loss", *PARTS)
    if not isinstance(row, Mapping):
        raise InputError(where, shown(row), "an object with " + ", ".join(needed))
    for name in row:
        if name not in fields:
            raise InputError(f"{where}.{name}", "a field of no curve", ", ".join(fields))
    for name in needed:
        if name not in row:
            raise InputError(f"{where}.{name}", "nothing", "a value")
    try:
        return Curve(**row)
    except InputError as error:
        raise InputError(f"{where}.{error.field}", error.found, error.allowed) from None

"""Models of a JQODI problem: their layers, their bit-widths, and how many epochs each needs.

K is given, or it follows from how quantizing and training change the loss (`qopt.jqodi.losses`).
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.checks import check_length, twice
from qopt.core.columns import Amounts, Counts, Series, complaint
from qopt.core.errors import shown
from qopt.core.limits import within
from qopt.core.problem import Amount, Frozen, Positive
from qopt.jqodi.losses import MAX_EPOCHS, Change, fewest_epochs

Name = Annotated[str, Field(min_length=1, max_length=200, strict=True)]
Finite = Annotated[float, Field(ge=-1e300, le=1e300, allow_inf_nan=False, strict=True)]
Bits = Annotated[int, Field(ge=1, le=32, strict=True)]
EpochCount = Annotated[int, Field(ge=1, le=MAX_EPOCHS, strict=True)]

LARGEST = 1e300
"""Sums of work, of sizes, of times and of energies beyond this are refused."""


CHANCE_SLACK = 1e-12
"""Share by which a sum of chances may miss what is asked for: they are written in decimals."""


class Epochs(Frozen):
    """K: epochs until the loss is low enough.

    Attributes
    ----------
    expected, robust : K^exp <= K^rob. No robust number says that the robust estimate never reaches the loss.
    chances : pairs of a number of epochs, ascending, and the chance that K is this number; what their sum lacks of 1
        is the chance that the loss is never reached.
    """

    expected: EpochCount
    robust: EpochCount | None = None
    chances: Annotated[tuple[tuple[EpochCount, Positive], ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.robust is not None and self.robust < self.expected:
            raise complaint(".robust", str(self.robust), f"at least the expected number, {self.expected}")
        if self.chances is not None:
            counts = [count for count, _ in self.chances]
            for i, (before, after) in enumerate(itertools.pairwise(counts)):
                if after <= before:
                    raise complaint(
                        f".chances[{i + 1}][0]", str(after), f"more than {before} epochs, the pair before's"
                    )
            if not within([chance for _, chance in self.chances], 1.0):
                total = math.fsum(chance for _, chance in self.chances)
                raise complaint(".chances", f"chances that add up to {total:.15g}", "at most 1")
        return self

    def at(self, confidence: float, done: int = 0) -> int | None:
        """The fewest epochs k with P(K <= k, given K > done) >= confidence; None if never is likelier than the rest.

        Exact in the chances as they are, but for the relative slack 1e-12 of every limit.

        Parameters
        ----------
        confidence : between 0 and 1.
        done : epochs after which the loss was not reached.
        """
        behind = sum((Fraction(chance) for count, chance in self.chances or () if count <= done), Fraction(0))
        asked, reached = Fraction(confidence) * (1 - Fraction(CHANCE_SLACK)) * (1 - behind), Fraction(0)
        for count, chance in self.chances or ():
            reached += Fraction(chance) if count > done else 0
            if count > done and reached >= asked:
                return count
        return None

    def chance(self, epochs: int, done: int = 0) -> float:
        """P(K <= epochs, given K > done), by the chances given; 0 where nothing but never is left.

        Parameters
        ----------
        epochs : since the beginning of the run.
        done : epochs after which the loss was not reached.
        """
        given = [(count, Fraction(chance)) for count, chance in self.chances or ()]
        left = 1 - sum((chance for count, chance in given if count <= done), Fraction(0))
        reached = sum((chance for count, chance in given if done < count <= epochs), Fraction(0))
        return min(float(reached / left), 1.0) if left > 0 else 0.0


class Estimate(Frozen):
    """One loss change, by both estimates.

    Attributes
    ----------
    expected, robust : gamma, positive where the loss rises.
    """

    expected: Finite
    robust: Finite


class Estimates(Frozen):
    """Loss changes by epoch, by both estimates: one number for every epoch, or one an epoch.

    Attributes
    ----------
    expected, robust : a number for every epoch, or a list of one for each.
    """

    expected: Series
    robust: Series


class Loss(Frozen):
    """How quantizing and training change the loss (Eqs. 11-12).

    Attributes
    ----------
    quantization : gamma, once.
    update, run : gamma^update and gamma^run of each epoch; negative where the loss falls. What a list does not reach is
        never reached.
    """

    quantization: Estimate
    update: Estimates
    run: Estimates


class Width(Frozen):
    """A bit-width that a model can be quantized to.

    Attributes
    ----------
    bits : 1 to 32.
    quantize_time, quantize_energy : tau [s] and e [J], once.
    work : multiplies the work of device and server; the cloud's is the full-precision model's.
    risk : the score's factor in Algorithm 4, default 1; only the method jqodi-paper reads it.
    epochs : K, or
    loss : the loss changes that K follows from. With neither, the loss is never reached.
    """

    bits: Bits
    quantize_time: Amount = 0.0
    quantize_energy: Amount = 0.0
    work: Positive = 1.0
    risk: Positive | None = None
    epochs: Epochs | None = None
    loss: Loss | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.epochs is not None and self.loss is not None:
            raise complaint(".epochs", "epochs beside loss", "one or the other")
        return self


class Model(Frozen):
    """A trained model of n layers (or blocks).

    Attributes
    ----------
    name : of the model, each once.
    loss : L_a, the full-precision model's.
    loss_limit : L_max. Both are needed where K follows from the loss.
    macs : (n,) of each layer, for one image.
    weights : (n,) parameters of each layer.
    activations : (n,) outputs of each layer; inference needs them.
    layers : names, optional.
    input_size, input_bits : values of one input and the bits of each; inference at cut 0 needs them.
    cuts : all admissible cuts j, layers 1..j on the device; default 1..n-1, 0 and n where they are listed.
    cloud_work : F_a [MAC] that the cloud does in an epoch; default the whole model's, as on device and server.
    widths : bit-widths, each once.
    """

    name: Name
    loss: Finite | None = None
    loss_limit: Amount | None = None
    macs: Amounts
    weights: Amounts
    activations: Amounts | None = None
    layers: tuple[Name, ...] | None = None
    input_size: Amount | None = None
    input_bits: Bits | None = None
    cuts: Counts | None = None
    cloud_work: Amount | None = None
    widths: Annotated[tuple[Width, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        n = len(self.macs)
        if n == 0:
            raise complaint(".macs", "no layers", "at least one layer")
        for name in ("weights", "activations", "layers"):
            check_length(f".{name}", getattr(self, name), n, "layer")
        with np.errstate(over="ignore"):
            for name in ("macs", "weights"):
                if getattr(self, name).sum() > LARGEST:
                    raise complaint(f".{name}", "numbers too large", f"numbers whose sum is below {LARGEST:g}")
        if self.cuts is None and n == 1:
            raise complaint(".cuts", "nothing, with one layer", "cuts among 0 and 1")
        cuts = self.cuts
        if cuts is not None and (not cuts.size or np.any(np.diff(cuts) <= 0) or cuts[-1] > n):
            raise complaint(".cuts", shown(cuts.tolist()), f"at least one cut from 0 to {n}, ascending")
        again = twice(tuple(width.bits for width in self.widths))
        if again is not None:
            raise complaint(".widths", f"{again} bits twice", "each bit-width once")
        for w, width in enumerate(self.widths):
            if width.loss is not None:
                for name in ("loss", "loss_limit"):
                    if getattr(self, name) is None:
                        raise complaint(
                            f".{name}", "nothing", f"a number, since widths[{w}].loss stands for its epochs"
                        )
                expected, robust = self.epochs(width)
                if robust is not None and (expected is None or robust < expected):
                    found = f"{robust} robust epochs and {'no' if expected is None else expected} expected ones"
                    raise complaint(f".widths[{w}].loss", found, "a robust estimate that needs at least as many epochs")
        return self

    def __len__(self) -> int:
        return len(self.macs)

    @cached_property
    def admissible_cuts(self) -> tuple[int, ...]:
        """Cuts that may be chosen, ascending."""
        return tuple(range(1, len(self))) if self.cuts is None else tuple(self.cuts.tolist())

    def width(self, bits: int) -> Width:
        """The entry of a bit-width; KeyError if there is none.

        Parameters
        ----------
        bits : q.
        """
        return {width.bits: width for width in self.widths}[bits]

    def loss_parts(self, width: Width, estimate: str) -> tuple[tuple[float, ...], tuple[Change, ...]] | None:
        """(L_a, gamma) and (gamma^update, gamma^run) of an estimate; None where only K is known."""
        if width.loss is None or self.loss is None:
            return None
        loss = width.loss
        update: Change = getattr(loss.update, estimate)
        run: Change = getattr(loss.run, estimate)
        return (self.loss, getattr(loss.quantization, estimate)), (update, run)

    def epochs(self, width: Width) -> tuple[int | None, int | None]:
        """K^exp and K^rob at a width, given or derived from the loss; None where the loss is never reached."""
        if width.epochs is not None:
            return width.epochs.expected, width.epochs.robust
        epochs = []
        for estimate in ("expected", "robust"):
            parts = self.loss_parts(width, estimate)
            limit = self.loss_limit
            epochs.append(None if parts is None or limit is None else fewest_epochs(*parts, limit))
        return epochs[0], epochs[1]

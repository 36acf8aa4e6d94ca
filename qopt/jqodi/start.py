"""Where a run stands when it is decided, and what devices and servers exchange beside parameters: optional parts."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from qopt.core.columns import complaint
from qopt.core.problem import Amount, Flag, Frozen
from qopt.jqodi.losses import MAX_EPOCHS
from qopt.jqodi.models import LARGEST, Bits, Finite, Name

Done = Annotated[int, Field(ge=0, le=MAX_EPOCHS, strict=True)]
Spent = Annotated[Amount, Field(le=LARGEST)]


class Start(Frozen):
    """Where a run stands: epochs are done, time has passed, and the device is with some server.

    Epochs are numbered through: the first that is decided is number `epochs` + 1, in `conditions` and in the lists of
    loss changes of the model under way (`trained` + 1 there, if it was begun later).

    Attributes
    ----------
    epochs : done so far.
    elapsed : seconds since the run began; they count towards T_max.
    energy : joules spent since then; told beside the objective, which is what is still to be spent.
    model, bits : what is under way: quantized, and trained for `epochs` epochs. Both, or neither where nothing is.
    trained : epochs of what is under way, where something else was trained before it; default `epochs`.
    server, cut : the state of the last epoch; changing from it before the first epoch that is decided costs as any
        change does. Both, or neither where there is nothing to change from.
    loss : observed loss of what is under way, in place of the forecast; only where K follows from losses.
    loss_after : epochs of what is under way after which it was observed; default all that are done.
    anew : whether another model or bit-width may be begun, with quantizing and all of its epochs; default not.
    """

    epochs: Done = 0
    elapsed: Spent = 0.0
    energy: Spent = 0.0
    model: Name | None = None
    bits: Bits | None = None
    trained: Done | None = None
    server: Name | None = None
    cut: Done | None = None
    loss: Finite | None = None
    loss_after: Done | None = None
    anew: Flag = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        for one, two in (("model", "bits"), ("server", "cut")):
            if (getattr(self, one) is None) != (getattr(self, two) is None):
                missing, given = (one, two) if getattr(self, one) is None else (two, one)
                raise complaint(f".{missing}", f"nothing beside a {given}", "both, or neither")
        for name in ("epochs", "loss", "trained"):
            if self.model is None and getattr(self, name):
                raise complaint(".model", f"nothing beside {name}", "the model under way, and its bits")
        if self.loss_after is not None and self.loss is None:
            raise complaint(".loss_after", "a number, and no loss", "the loss that was observed after so many epochs")
        if self.trained is not None and self.trained > self.epochs:
            raise complaint(".trained", str(self.trained), f"at most {self.epochs}, the epochs done")
        if self.loss_after is not None and self.loss_after > self.behind:
            raise complaint(".loss_after", str(self.loss_after), f"at most {self.behind}, the epochs done")
        return self

    @property
    def behind(self) -> int:
        """Epochs of what is under way."""
        return self.epochs if self.trained is None else self.trained

    @property
    def seen(self) -> int:
        """Epochs after which the loss was last known: observed, or 0 where it never was."""
        if self.loss is None:
            return 0
        return self.behind if self.loss_after is None else self.loss_after


class Traffic(Frozen):
    """Features and gradients between device and server in an epoch, beside the parameters of Eqs. 2 and 9.

    Each image of an epoch, for training and for validation, sends up once what layer j puts out (at cut 0 the input),
    at the model's bit-width; each training image gets the gradient of it back. At cut n nothing is sent, at cut 0 no
    gradient, since the device trains nothing.

    Attributes
    ----------
    gradient_bits : of each value of a gradient; default 32, as training computes them.
    """

    gradient_bits: Bits = 32

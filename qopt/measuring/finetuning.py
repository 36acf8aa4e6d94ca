"""Fine-tuning a quantized network, epoch by epoch, as the JQODI paper does: quantize, train, update.

The cloud keeps a full-precision copy W. In epoch k

1. *quantize*: W_q = Q(W), the grid of each weight found anew;
2. *train*: one pass over the device's training examples. Every step computes with Q(V), and moves V, which starts at
   W_q, by the gradient at Q(V): the straight-through estimator. What comes of it is the quantized model Q(V);
3. *update*: W becomes W + (V - W_q), so that steps that are too small for the grid add up over epochs.

Weights of two and more dimensions are quantized; biases and normalizations are trained as they are. Activations stay
in float32. The optimizer (Adam) begins anew in each epoch, because server and device may change between epochs.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from qopt.core.arguments import real, whole
from qopt.core.errors import InputError
from qopt.core.files import write_whole
from qopt.jqodi.estimators.adam_torch import Adam
from qopt.jqodi.estimators.curves import LARGEST_LOSS, Curve
from qopt.measuring.archives import read_arrays
from qopt.measuring.examples import Examples
from qopt.measuring.grids import MAX_BITS, Grid, Steps
from qopt.measuring.scores import correct

FULL = 32
"""Bits of full precision: nothing is quantized."""

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``(output (n, ...), labels (n, ...)) -> ()``: mean loss of a batch, >= 0."""

EVALUATED = 500
"""Validation examples that run at a time."""


GRID = Grid(per="channel", symmetric=True, clip="mse")
"""Of the weights: one grid a channel, so that one bit means two signs."""


@dataclass(frozen=True)
class Settings:
    """How a network is fine-tuned.

    Attributes
    ----------
    lr : learning rate of Adam.
    batch : examples of a step.
    grid : of the weights.
    loss : mean loss of a batch; cross-entropy of classes by default.
    seed : of the order of the examples.
    """

    lr: float = 1e-3
    batch: int = 64
    grid: Grid = GRID
    loss: Loss | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        real("lr", self.lr, 0.0, 10.0, above=True)
        whole("batch", self.batch, 1)
        whole("seed", self.seed, 0)


def class_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of logits (n, classes); of one logit each, binary.

    Parameters
    ----------
    logits : (n, classes), (n, 1) or (n,).
    labels : (n,) whole numbers.

    Raises
    ------
    InputError
        Outputs of another shape, or labels that are no classes.
    """
    correct(logits, labels)  # says in one line what does not fit
    if logits.numel() == len(logits):
        return nn.functional.binary_cross_entropy_with_logits(logits.flatten(), labels.to(logits.dtype))
    return nn.functional.cross_entropy(logits, labels)


class Tuned:
    """A network under fine-tuning: the full-precision copy, and what is made of it.

    Parameters
    ----------
    module : trained; its parameters and buffers are changed.
    bits : width of the weights, 1 to 16, or 32 for full precision.
    settings : how.
    """

    def __init__(self, module: nn.Module, bits: int, settings: Settings) -> None:
        self.module, self.settings = module, settings
        self.bits = bits if bits == FULL else whole("bits", bits, 1, MAX_BITS)
        self.loss: Loss = settings.loss or class_loss
        self.weights = [p for p in module.parameters() if p.ndim > 1 and p.is_floating_point()]
        if not self.weights:
            raise InputError("network", "no weights of two dimensions", "a network with weights to quantize")
        self.full = [p.detach().clone() for p in self.weights]

    @property
    def parameters(self) -> int:
        """How many weights are quantized."""
        return sum(p.numel() for p in self.weights)

    @contextmanager
    def holding(self, values: list[torch.Tensor]) -> Iterator[None]:
        """The module with these weights; afterwards with those that it had."""
        with torch.no_grad():
            before = [p.detach().clone() for p in self.weights]
            self._put(values)
        yield
        self._put(before)

    @torch.no_grad()
    def _put(self, values: list[torch.Tensor]) -> None:
        for weight, value in zip(self.weights, values, strict=True):
            weight.copy_(value)

    def steps(self) -> list[Steps]:
        """The grids of the full-precision copy; none at full precision."""
        return [] if self.bits == FULL else [Steps.of(w, self.bits, self.settings.grid) for w in self.full]

    @staticmethod
    def on(steps: list[Steps], values: list[torch.Tensor]) -> list[torch.Tensor]:
        """Values on their grids; as they are where there are none."""
        return [step.values(v) for step, v in zip(steps, values, strict=True)] if steps else values

    def epoch(self, training: Examples, validation: Examples, epoch: int) -> tuple[float, float, float, float]:
        """One epoch: losses after quantizing, training and updating, and the trained model's accuracy.

        Parameters
        ----------
        training, validation : the device's examples.
        epoch : which, from 1; the order of the examples depends on it.
        """
        steps = self.steps()
        sent = self.on(steps, self.full)
        with self.holding(sent):
            quantized, _ = self.evaluate(validation)
        latent = self._train(training, steps, [value.clone() for value in sent], epoch)
        with self.holding(self.on(steps, latent)):
            trained, accuracy = self.evaluate(validation)
        with torch.no_grad():
            for full, new, old in zip(self.full, latent, sent, strict=True):
                full.copy_(new if not steps else full + (new - old))
        with torch.no_grad():
            self._put(self.full)
        updated, _ = self.evaluate(validation)
        for name, value in (("quantizing", quantized), ("training", trained), ("the update", updated)):
            if not 0 <= value <= LARGEST_LOSS:
                found = f"a loss of {value:g} after {name} in epoch {epoch} at {self.bits} bits"
                raise InputError("loss", found, "a finite loss >= 0; a smaller learning rate may keep it so")
        return quantized, trained, updated, accuracy

    def _train(
        self, examples: Examples, steps: list[Steps], latent: list[torch.Tensor], epoch: int
    ) -> list[torch.Tensor]:
        """One pass with the straight-through estimator, from and to latent weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._order(epoch))  # of dropout: an epoch is the same, whatever ran before it
            return self._pass(examples, steps, latent, epoch)

    def _order(self, epoch: int) -> int:
        return 1_000_003 * self.settings.seed + epoch

    def _pass(
        self, examples: Examples, steps: list[Steps], latent: list[torch.Tensor], epoch: int
    ) -> list[torch.Tensor]:
        self.module.train()
        optimizer = Adam((p for p in self.module.parameters() if p.requires_grad), self.settings.lr)
        order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(self._order(epoch)))
        for chosen in torch.split(order, self.settings.batch):
            if len(chosen) == 1 < self.settings.batch:
                continue  # a normalization over one example has no variance
            self._put(self.on(steps, latent))
            optimizer.clear()
            torch.autograd.backward(self._mean(self.module(examples.x[chosen]), examples.labels[chosen]))
            self._put(latent)
            optimizer.step()
            latent = [p.detach().clone() for p in self.weights]
        self.module.eval()
        return latent

    def _state(self) -> list[torch.Tensor]:
        """Everything that an epoch leaves behind, in one order."""
        return [*self.module.parameters(), *self.module.buffers()]

    def keep(self, path: Path, before: float, rows: list[tuple[float, ...]]) -> None:
        """Write losses and state after an epoch to a file, whole or not at all."""
        buffer = io.BytesIO()
        arrays = {f"state{i}": tensor.detach().cpu().numpy() for i, tensor in enumerate(self._state())}
        np.savez(buffer, before=np.array(before), rows=np.array(rows), **arrays)  # type: ignore[arg-type]
        write_whole(path, lambda file: file.write(buffer.getbuffer()))

    @torch.no_grad()
    def restore(self, path: Path) -> tuple[float, list[tuple[float, ...]]]:
        """Take up what `keep` wrote: the loss before the first epoch and the epochs' losses."""
        arrays = read_arrays(path, "a file as it was written; delete it to begin this width again", field="checkpoint")
        for i, tensor in enumerate(self._state()):
            tensor.copy_(torch.from_numpy(arrays[f"state{i}"]))
        self.full = [p.detach().clone() for p in self.weights]
        return float(arrays["before"]), [tuple(map(float, row)) for row in arrays["rows"]]

    def _mean(self, output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch, refused in a line where it is no number or nothing can be trained with it."""
        value: object = self.loss(output, labels)
        allowed = "one number, the mean loss"
        if not isinstance(value, torch.Tensor):
            raise InputError("loss", f"a {type(value).__name__}", f"{allowed}, as a tensor")
        if value.numel() != 1:
            raise InputError("loss", f"a tensor of shape {tuple(value.shape)}", allowed)
        if torch.is_grad_enabled() and not value.requires_grad:
            raise InputError("loss", "a number that does not depend on the weights", f"{allowed}, with its gradient")
        return value

    @torch.no_grad()
    def evaluate(self, examples: Examples) -> tuple[float, float]:
        """Mean loss on examples, and the share told rightly (0 where the outputs are no classes)."""
        self.module.eval()
        total, right, classes = 0.0, 0, self.settings.loss is None
        for x, labels in zip(*(torch.split(part, EVALUATED) for part in (examples.x, examples.labels)), strict=True):
            output = self.module(x)
            total += float(self._mean(output, labels)) * len(labels)
            if classes:
                right += int(correct(output, labels).sum())
        return total / len(examples), right / len(examples)


def tune(
    module: nn.Module,
    training: Examples,
    validation: Examples,
    bits: int,
    epochs: int,
    settings: Settings | None = None,
    *,
    name: str = "network",
    data: str = "",
    running: Path | None = None,
    advance: Callable[[int], None] | None = None,
) -> Curve:
    """Fine-tune a module at one width and keep its losses; the module is changed.

    Parameters
    ----------
    module : trained, float32; ends as the updated full-precision copy.
    training, validation : the device's examples.
    bits : 1 to 16, or 32 for full precision.
    epochs : how many, at least 1.
    settings : how.
    name, data : of the model and of the data, for the curve.
    running : a file that is written after each epoch and gone at the end; where it is there, tuning goes on from it.
    advance : called with the number of epochs done after each.

    Raises
    ------
    InputError
        A width or number that is not allowed, a network without weights to quantize, or a loss that is not finite.
    """
    settings, epochs = settings or Settings(), whole("epochs", epochs, 1)
    tuned = Tuned(module, bits, settings)
    rows: list[tuple[float, ...]] = []
    if running is not None and running.exists():
        before, rows = tuned.restore(running)
    else:
        before, _ = tuned.evaluate(validation)
    for epoch in range(len(rows) + 1, epochs + 1):
        rows.append(tuned.epoch(training, validation, epoch))
        if running is not None:
            tuned.keep(running, before, rows)
        if advance is not None:
            advance(epoch)
    if running is not None:
        running.unlink(missing_ok=True)
    quantized, trained, updated, accuracy = (tuple(map(float, column)) for column in np.array(rows[:epochs]).T)
    curve = Curve(name, bits, before, quantized, trained, updated, settings.seed, data, tuned.parameters)
    return replace(curve, accuracy=accuracy) if settings.loss is None else curve

"""What `qopt finetune` does: a network at several widths, a curve each, with a checkpoint.

A finished curve is a unit of the checkpoint; the one under way has a file of its own there, written after each epoch.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from qopt.core.arguments import is_whole, whole
from qopt.core.checks import twice
from qopt.core.errors import InputError, shown
from qopt.jqodi.estimators.curves import Curve
from qopt.measuring import fingerprint
from qopt.measuring.checkpoint import Checkpoint
from qopt.measuring.examples import Examples, as_examples
from qopt.measuring.finetuning import FULL, Settings, tune
from qopt.measuring.grids import MAX_BITS
from qopt.measuring.progress import LineCallback, ProgressCallback, ignore_line, ignore_progress

LEAST_EXAMPLES = 10
"""Of training and of validation: fewer say nothing of a loss."""


def run(
    module: nn.Module,
    example: Any,
    data: Any,
    bits: Sequence[int],
    epochs: int,
    seeds: int,
    settings: Settings,
    *,
    sizes: Sequence[int] | None = None,
    split: str = "train",
    name: str = "network",
    label: str = "",
    checkpoint: str | os.PathLike[str] | None = None,
    say: LineCallback = ignore_line,
    advance: ProgressCallback = ignore_progress,
) -> list[Curve]:
    """Fine-tune copies of a module at some widths and seeds; see `qopt.finetune`."""
    if not isinstance(example, torch.Tensor) or not example.is_floating_point() or example.ndim < 2:
        found = shown(example) if not isinstance(example, torch.Tensor) else f"{example.dtype}, {tuple(example.shape)}"
        raise InputError("example", found, "one tensor (n, ...) of floating-point numbers: the network's only input")
    widths = [_width(f"bits[{i}]", width) for i, width in enumerate(bits)]
    if not widths or twice(widths) is not None:
        raise InputError("bits", shown(list(bits)), "at least one width, each once")
    epochs, seeds = whole("epochs", epochs, 1, 100_000), whole("seeds", seeds, 1, 1000)
    training, validation = _parts(as_examples(data, example.shape[1:], split), sizes, settings.seed)
    made_from = {
        "weights": fingerprint.digest(iter(module.state_dict().items())),
        "training": training.digest(),
        "validation": validation.digest(),
        "epochs": epochs,
        "settings": [settings.lr, settings.batch, str(settings.grid), settings.seed],
        "loss": None if settings.loss is None else getattr(settings.loss, "__qualname__", "loss"),
    }
    kept = Checkpoint(checkpoint, made_from)
    curves: list[Curve] = []
    total = len(widths) * seeds * epochs
    for number, (seed, width) in enumerate((s, w) for s in range(seeds) for w in widths):
        done = number * epochs
        running = None if kept.folder is None else kept.folder / f"running-{width}-{seed}.npz"
        own = replace(settings, seed=settings.seed + seed)

        def compute(
            width: int = width, own: Settings = own, running: Path | None = running, done: int = done
        ) -> dict[str, np.ndarray[Any, Any]]:
            curve = tune(
                copy.deepcopy(module), training, validation, width, epochs, own, name=name, data=label,
                running=running, advance=lambda epoch: advance("epochs", done + epoch, total),
            )  # fmt: skip
            return {"curve": np.array(json.dumps(curve.to_dict()))}

        curve = Curve(**json.loads(str(kept.unit(f"curve-{width}-{seed}", compute)["curve"])))
        curves.append(replace(curve, model=name, data=label))
        advance("epochs", done + epochs, total)
        say(f"{width:2} bits, seed {own.seed}: loss {curve.loss:.4g}, quantized {curve.quantized[0]:.4g}, after epoch "
            f"{epochs} {curve.trained[-1]:.4g}")  # fmt: skip
    return curves


def _width(where: str, bits: object) -> int:
    if bits == FULL and is_whole(bits):
        return FULL
    if not is_whole(bits) or not 1 <= bits <= MAX_BITS:
        raise InputError(where, shown(bits), f"a whole number from 1 to {MAX_BITS}, or {FULL} for full precision")
    return int(bits)


def _parts(examples: Examples, sizes: Sequence[int] | None, seed: int) -> list[Examples]:
    """Training and validation examples, four fifths and a fifth by default."""
    if sizes is None:
        sizes = [len(examples) - len(examples) // 5, len(examples) // 5]
    if len(sizes) != 2 or any(not is_whole(size) or size < LEAST_EXAMPLES for size in sizes):
        allowed = f"two numbers >= {LEAST_EXAMPLES}, of training and validation"
        raise InputError("sizes", shown(list(sizes)), allowed)
    return examples.split([int(size) for size in sizes], seed)

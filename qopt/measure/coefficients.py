"""From a trained network and data to the coefficients of an instance (section III-IV of QPART).

Two sets of data, neither of them the final test's: one for noise table, s, rho and the activations' ranges,
the other for Delta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from qopt.arrays import FloatArray, IntArray
from qopt.errors import InputError
from qopt.measure.arithmetic import plain_float32
from qopt.measure.calibration import Calibrated, Loss, WidthSolver, calibrate, paired_bootstrap
from qopt.measure.network import Chain, TensorName
from qopt.measure.quantizer import Range, quantize
from qopt.measure.sensitivity import (
    Law,
    Robustness,
    adversarial_noise,
    fit_law,
    noise_table,
    robustness,
    span_of,
)

Say = Callable[[str], None]
"""Where lines of progress go."""


def _silent(line: str) -> None:
    del line


@dataclass(frozen=True)
class Examples:
    """Inputs (n, ...) in float32 and labels (n,) in int64."""

    x: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        if self.labels.ndim != 1 or len(self.x) != len(self.labels) or len(self.x) == 0:
            found = f"{len(self.x)} inputs and labels of shape {tuple(self.labels.shape)}"
            raise InputError("examples", found, "one label for each input, at least one")

    def __len__(self) -> int:
        return len(self.labels)


@plain_float32()
def right(chain: Chain, examples: Examples) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(n,) whether the unquantized network classifies each example rightly."""
    with torch.no_grad():
        found: torch.Tensor = chain(examples.x).argmax(1) == examples.labels
    return found.numpy(force=True)


@plain_float32()
def right_with_plan(
    chain: Chain, examples: Examples, weights: Sequence[int], activation: int | None, span: Range | None
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(n,) whether each example is classified rightly behind a cut p = ``len(weights)``.

    Parameters
    ----------
    weights : (p,) widths of the weights of layers 1..p, each on its own range.
    activation : width of the output of layer p, None if it is not quantized.
    span : range of that output.

    Raises
    ------
    InputError
        A width without a range: the range of the examples at hand is not known in advance.
    """
    if activation is not None and span is None:
        raise InputError("span", "nothing", "the range that the output is quantized on")
    received = [quantize(chain.layer(i).weight, b) for i, b in enumerate(weights, start=1)]
    change = None if activation is None else partial(quantize, bits=activation, span=span)
    found = chain.logits_of_plan(examples.x, received, change).argmax(1) == examples.labels
    return found.numpy(force=True)


def plan_loss(
    chain: Chain,
    examples: Examples,
    weights: Sequence[int],
    activation: int | None,
    span: Range | None,
    *,
    seed: int = 0,
) -> Loss:
    """Accuracy that a plan loses on some examples, with its paired-bootstrap interval."""
    return paired_bootstrap(
        right(chain, examples), right_with_plan(chain, examples, weights, activation, span), seed=seed
    )


@dataclass(frozen=True)
class Sensitivity:
    """Coefficients measured on one set of data.

    Attributes
    ----------
    natural : mean ``||sigma*||^2``.
    bits : (k,) widths of the table.
    table : N_i(b) of each tensor, (k,).
    laws : s and the law's error of each tensor.
    loss : accuracy level a of `robustness`.
    robustness : rho of each tensor.
    spans : (L,) ranges of the activations, which calibration, test and device use too.
    """

    natural: float
    bits: IntArray
    table: dict[TensorName, FloatArray]
    laws: dict[TensorName, Law]
    loss: float
    robustness: dict[TensorName, Robustness]
    spans: tuple[Range, ...]

    def terms(self, tensor: TensorName) -> FloatArray:
        """(k,) N_i(b) / rho_i; zero where the loss is never reached."""
        return self.table[tensor] / self.robustness[tensor].rho


def measure(chain: Chain, examples: Examples, bits: Sequence[int], loss: float, say: Say = _silent) -> Sensitivity:
    """Noise table, s, rho and sigma* of a chain.

    Parameters
    ----------
    chain : the trained network.
    examples : data for the coefficients alone.
    bits : consecutive widths.
    loss : accuracy level a.
    say : receives a line for each tensor.
    """
    outputs = chain.outputs(examples.x)
    table = noise_table(chain, examples.x, bits)
    laws = {tensor: fit_law(bits, row) for tensor, row in table.items()}
    rho = {}
    for tensor in chain.tensors():
        rho[tensor] = robustness(chain, tensor, examples.labels, outputs, loss)
        law = laws[tensor]
        say(
            f"{tensor!s:>13}: s {law.s:.4g}, law within 2^{law.error:.2f}, "
            f"rho {rho[tensor].rho:.4g} at noise {rho[tensor].scale:.3g} of the range"
        )
    spans = tuple(span_of(chain, TensorName("activation", i), outputs) for i in range(1, len(chain) + 1))
    natural = adversarial_noise(outputs[-1])
    return Sensitivity(natural, np.array(bits), table, laws, loss, rho, spans)


def calibrate_cuts(
    chain: Chain,
    examples: Examples,
    found: Sensitivity,
    solver: WidthSolver,
    *,
    shared_by: Sequence[int] = (1,),
    seed: int = 0,
    say: Say = _silent,
) -> list[Calibrated]:
    """Delta(a, p) of cuts p = 1..L, each with the plans that led to it.

    A plan's widths are those of the weights of layers 1..p, then that of layer p's output; it is the one of
    least payload (Eq. 14), and of least payload per inference where a download serves several.

    Parameters
    ----------
    examples : data used neither for `found` nor for the final test.
    found : coefficients.
    solver : exact solver of the whole-bit plan.
    shared_by : numbers of inferences that share one download of the weights; a limit must hold for the plans
        of each.
    seed : of the bootstrap.
    """
    size = {t: chain.layer(t.layer).weight.numel() for t in chain.tensors() if t.kind == "weight"}
    shapes = chain.outputs(examples.x[:1])
    reference = right(chain, examples)
    results = []
    for cut in range(1, len(chain) + 1):
        tensors = [TensorName("weight", i) for i in range(1, cut + 1)] + [TensorName("activation", cut)]
        entries = np.array([size.get(t, shapes[cut].numel()) for t in tensors], dtype=float)
        span = found.spans[cut - 1]

        def measured(widths: tuple[int, ...], span: Range = span) -> Loss:
            correct = right_with_plan(chain, examples, widths[:-1], widths[-1], span)
            return paired_bootstrap(reference, correct, seed=seed)

        result = calibrate(
            found.natural,
            [np.append(entries[:-1] / n, entries[-1])[:, None] * found.bits for n in shared_by],
            np.stack([found.terms(t) for t in tensors]),
            found.bits,
            found.loss,
            measured,
            solver,
        )
        results.append(result)
        say(
            f"cut {cut}: Delta {result.delta:.5g} ({result.delta / found.natural:.3g} of natural, "
            f"{len(result.trials)} limits tried); "
            + "; ".join(f"plan {p} loses {x}" for p, x in zip(result.chosen.plans, result.chosen.losses, strict=True))
        )
    return results


def noise_fields(found: Sensitivity, layers: int) -> dict[str, Any]:
    """The ``noise`` object of an instance: the table in force, the law's coefficients beside it."""
    weights = [TensorName("weight", i) for i in range(1, layers + 1)]
    activations = [TensorName("activation", i) for i in range(1, layers + 1)]
    return {
        "model": "table",
        "s_weights": [found.laws[t].s for t in weights],
        "s_activations": [found.laws[t].s for t in activations],
        "table": {
            "bits": found.bits.tolist(),
            "weights": [found.table[t].tolist() for t in weights],
            "activations": [found.table[t].tolist() for t in activations],
        },
    }


def accuracy_fields(found: Sensitivity, cuts: Sequence[Calibrated]) -> dict[str, Any]:
    """The ``accuracy`` object of an instance, one level."""
    layers = range(1, len(cuts) + 1)
    return {
        "levels": [found.loss],
        "delta": [[c.delta for c in cuts]],
        "rho_weights": [[found.robustness[TensorName("weight", i)].rho for i in layers]],
        "rho_activations": [[found.robustness[TensorName("activation", i)].rho for i in layers]],
    }

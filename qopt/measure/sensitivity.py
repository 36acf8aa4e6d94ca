"""How much noise a tensor's quantization adds to the logits, and how much the accuracy bears.

The quantities of Eqs. 18-22 of QPART: the adversarial noise sigma*, the noise N_i(b) of every tensor at
every width, the coefficient s_i of the law N_i(b) = s_i 4^-b, and the robustness rho_i(a).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from qopt.arrays import FloatArray
from qopt.errors import InputError
from qopt.measure.arithmetic import mean_square, plain_float32
from qopt.measure.network import Chain, TensorName
from qopt.measure.quantizer import Range, quantize

LAW_BITS = range(4, 11)
"""Widths that s is fitted on: below, the law does not hold; above, float32 rounding shows."""

FIRST_SCALE, LAST_SCALE, SCALES_PER_OCTAVE = 2.0**-8, 2.0**4, 8
"""Noise is tried from 1/256 of a tensor's range to 16 times its range, in steps of 2^(1/8)."""

SEEDS = (0, 1, 2)
"""Seeds of the random directions of noise."""


def adversarial_noise(logits: torch.Tensor) -> float:
    """Mean ``||sigma*||^2 = (z_(1) - z_(2))^2 / 2``: the least noise that makes the two largest logits equal.

    Parameters
    ----------
    logits : (n, classes), at least two classes.
    """
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise InputError("logits", f"shape {tuple(logits.shape)}", "(n, classes) with at least two classes")
    first, second = logits.double().topk(2, dim=1).values.unbind(1)
    return float(((first - second) ** 2 / 2).mean())


def span_of(chain: Chain, tensor: TensorName, outputs: Sequence[torch.Tensor]) -> Range:
    """Range of a tensor's grid: a weight's own, an activation's over the whole batch.

    The range of an activation is fixed here, once: what lies outside on other data is clipped, and a device
    needs no pass over its output, nor two more numbers an inference, to quantize it.
    """
    return Range.of(chain.layer(tensor.layer).weight if tensor.kind == "weight" else outputs[tensor.layer])


@plain_float32()
def noise_table(chain: Chain, x: torch.Tensor, bits: Sequence[int]) -> dict[TensorName, FloatArray]:
    """N_i(b), mean ``||Z_q - Z||^2`` with only tensor i quantized, a row of ``len(bits)`` for each tensor.

    Parameters
    ----------
    chain : the trained network.
    x : batch that the coefficients are measured on.
    bits : widths.
    """
    outputs = chain.outputs(x)
    table = {}
    for tensor in chain.tensors():
        span = span_of(chain, tensor, outputs)
        quantizers = [partial(quantize, bits=b, span=span) for b in bits]
        noisy = (chain.logits_with(tensor, change, outputs) for change in quantizers)
        table[tensor] = np.array([mean_square(z, outputs[-1]) for z in noisy])
    return table


@dataclass(frozen=True)
class Law:
    """N(b) = s 4^-b fitted to one row of the table.

    Attributes
    ----------
    s : median of ``N(b) 4^b`` over the widths of the fit.
    error : largest ``|log2(N(b) / (s 4^-b))|`` over those widths: 1 is a factor of two.
    """

    s: float
    error: float


def fit_law(bits: Sequence[int], noise: FloatArray, over: Sequence[int] = LAW_BITS) -> Law:
    """The coefficient s of Eqs. 18-19 and how far the law is from what was measured.

    Parameters
    ----------
    bits : (k,) widths of the row.
    noise : (k,) measured N(b).
    over : widths that the fit uses, those of them that the row has.
    """
    used = [i for i, b in enumerate(bits) if b in over]
    if not used:
        raise InputError("bits", str(list(bits)), f"at least one width of {list(over)}")
    scaled = np.array([math.ldexp(float(noise[i]), 2 * bits[i]) for i in used])
    s = float(np.median(scaled))
    if s == 0.0:
        return Law(0.0, 0.0 if not scaled.any() else math.inf)
    with np.errstate(divide="ignore"):
        return Law(s, float(np.max(np.abs(np.log2(scaled / s)))))


@dataclass(frozen=True)
class Robustness:
    """rho of one tensor at one accuracy level.

    Attributes
    ----------
    rho : mean ``||Z_noisy - Z||^2`` over mean ``||sigma*||^2``; infinite if the loss is never reached.
    scale : amplitude of the noise there, as a multiple of the tensor's range; infinite likewise.
    """

    rho: float
    scale: float


@plain_float32()
def robustness(
    chain: Chain,
    tensor: TensorName,
    labels: torch.Tensor,
    outputs: Sequence[torch.Tensor],
    loss: float,
    seeds: Sequence[int] = SEEDS,
) -> Robustness:
    """rho_i(a): the noise on the logits at which uniform noise on tensor i costs `loss` of accuracy (Eq. 22).

    The noise is ``scale * range * u`` with u uniform in [-1, 1] and the same at every scale; accuracy and
    noise are means over the seeds. The answer is the smallest scale of the grid that loses at least `loss`.

    Parameters
    ----------
    chain, labels, outputs : network, (n,) labels and `Chain.outputs` of the batch.
    tensor : which tensor.
    loss : accuracy level a.
    """
    if not 0 < loss <= 1:
        raise InputError("loss", f"{loss}", "an accuracy loss in (0, 1]")
    logits = outputs[-1]
    base = chain.layer(tensor.layer).weight if tensor.kind == "weight" else outputs[tensor.layer]
    length, natural = Range.of(base).length, adversarial_noise(logits)
    if natural == 0.0:
        raise InputError("logits", "the two largest equal for every example", "a network that tells classes apart")
    if length == 0.0:
        return Robustness(math.inf, math.inf)
    directions = []
    for seed in seeds:
        generator = torch.Generator(device=base.device).manual_seed(seed)
        uniform = torch.rand(base.shape, generator=generator, dtype=base.dtype, device=base.device)
        directions.append(uniform.mul_(2).sub_(1))
    reference = int((logits.argmax(1) == labels).sum())
    enough = loss * len(labels) * len(seeds) * (1 - 1e-12)

    def tried(scale: float) -> tuple[bool, float]:
        lost, noise = 0, 0.0
        for u in directions:
            noisy = chain.logits_with(tensor, partial(torch.add, other=u, alpha=scale * length), outputs)
            lost += reference - int((noisy.argmax(1) == labels).sum())
            noise += mean_square(noisy, logits) / len(directions)
        return lost >= enough, noise

    first = round(SCALES_PER_OCTAVE * math.log2(FIRST_SCALE))
    last = round(SCALES_PER_OCTAVE * math.log2(LAST_SCALE))
    while first > -SCALES_PER_OCTAVE * 24 and tried(2.0 ** (first / SCALES_PER_OCTAVE))[0]:
        first -= SCALES_PER_OCTAVE
    for k in range(first, last + 1):
        scale = 2.0 ** (k / SCALES_PER_OCTAVE)
        reached, noise = tried(scale)
        if reached:
            return Robustness(noise / natural, scale)
    return Robustness(math.inf, math.inf)

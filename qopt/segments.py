"""What a cut leaves to choose: one width per tensor, as arrays.

Everything that solves QPART at a fixed cut works on a `Segment`; only this file knows which tensors
those are, and how a choice of widths becomes a plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from qopt.costs import base_costs, tensor_prices
from qopt.plan import QPartPlan, crossing_activations
from qopt.arrays import FloatArray, IntArray
from qopt.problems.qpart import QPart
from qopt.problems.terms import coefficients, noise_terms, widths


@dataclass(frozen=True)
class Segment:
    """The choice at one cut: n tensors, k widths.

    ``minimise base + sum price_i b_i  subject to  sum noise_i(b_i) <= limit,  sum stored_i b_i <= memory``

    Attributes
    ----------
    cut : p.
    base : objective that no width changes.
    tensors : (n,) l for the weights of layer l, -l for the output of layer l; a tied pair is one entry l.
    price : (n,) pi_i, objective per bit of width.
    stored : (n,) bits of device memory per bit of width (0 for activations).
    noise : (n, k) noise terms, a column for each width.
    coefficient : (n,) c_i of the law, None where only measured noise is known.
    limit : Delta(a, p); infinite at cut 0.
    memory : device memory for weights [bits]; infinite if not limited.
    bits : (k,) admissible widths.
    """

    cut: int
    base: float
    tensors: IntArray
    price: FloatArray
    stored: FloatArray
    noise: FloatArray
    coefficient: FloatArray | None
    limit: float
    memory: float
    bits: IntArray
    tied: bool

    @cached_property
    def cost(self) -> FloatArray:
        """(n, k) objective of every tensor at every width."""
        return self.price[:, None] * self.bits

    def plan(
        self, chosen: FloatArray | IntArray, kind: Literal["whole", "real"], name: str = ""
    ) -> QPartPlan:
        """The plan that gives tensor i the width ``chosen[i]``."""
        weights = chosen[: self.cut]
        activations = chosen[self.cut :]
        if self.tied:
            activations = np.append(activations, chosen[self.cut - 1])
        return QPartPlan(
            problem=name,
            bits=kind,
            cut=self.cut,
            weights=tuple(float(b) for b in weights),
            activations=tuple(float(b) for b in activations),
        )


def segments(problem: QPart) -> SegmentTable:
    """The choices at every cut of a problem, built on demand from shared columns."""
    return SegmentTable(problem)


class SegmentTable:
    """Columns of a problem from which the `Segment` of any cut is sliced."""

    def __init__(self, problem: QPart) -> None:
        self.problem = problem
        self.base = base_costs(problem)
        self.price_w, self.price_x = tensor_prices(problem)
        self.noise_w, self.noise_x = noise_terms(problem)
        noise = problem.noise
        self.lawful = noise.s_weights is not None and noise.s_activations is not None
        self.c_w: FloatArray | None = None
        self.c_x: FloatArray | None = None
        if self.lawful:
            self.c_w, self.c_x = coefficients(problem)
        self.bits = widths(problem)

    def at(self, cut: int) -> Segment:
        """The choice at one cut, in time proportional to its tensors."""
        problem = self.problem
        outputs = np.array(crossing_activations(problem, cut), dtype=np.int64)
        # Tensors cross in ascending order, so the output of layer p, if it crosses, is the last.
        tied = problem.tie_cut and cut > 0 and outputs.size > 0 and outputs[-1] == cut
        own = outputs[:-1] if tied else outputs
        price = np.concatenate((self.price_w[:cut], self.price_x[own - 1]))
        noise = np.concatenate((self.noise_w[:cut], self.noise_x[own - 1]))
        c = None
        if self.c_w is not None and self.c_x is not None:
            c = np.concatenate((self.c_w[:cut], self.c_x[own - 1]))
        if tied:
            price[cut - 1] += self.price_x[cut - 1]
            noise[cut - 1] += self.noise_x[cut - 1]
            if c is not None and self.c_x is not None:
                c[cut - 1] += self.c_x[cut - 1]
        return Segment(
            cut=cut,
            base=float(self.base[cut]),
            tensors=np.concatenate((np.arange(1, cut + 1), -own)),
            price=price,
            stored=np.concatenate((problem.network.weights[:cut], np.zeros(own.size))),
            noise=noise,
            coefficient=c,
            limit=float(problem.delta[cut - 1]) if cut else np.inf,
            memory=np.inf if problem.device.memory is None else problem.device.memory,
            bits=self.bits,
            tied=bool(tied),
        )

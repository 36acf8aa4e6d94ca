"""The fixed-cut subproblem: what a cut leaves to choose, one width per tensor, as arrays.

Everything that solves QPART at a fixed cut works on a `Subproblem`; only this file knows which tensors
those are, and how a choice of widths becomes a plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.limits import within
from qopt.qpart.costs import base_costs, tensor_prices
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import QPart
from qopt.qpart.terms import coefficients, noise_terms, widths


@dataclass(frozen=True, repr=False)
class Subproblem(Brief):
    """The choice at one cut: n items of k widths. An item is a tensor, or several that share a width.

    ``minimise base + sum price_i b_i  subject to  sum noise_i(b_i) <= limit,
    sum (stored_i b_i + overhead_i) <= memory``

    Attributes
    ----------
    cut : p.
    base : objective that no width changes.
    tensors : (n,) name of each item: l for the weights of layer l (the first of a tie), -l for the output of layer l.
    price : (n,) pi_i, objective per bit of width.
    stored : (n,) bits of device memory per bit of width (0 for activations).
    overhead : (n,) bits of device memory that any width takes, scales and zero points; their cost is in `base`.
    noise : (n, k) noise terms, a column for each width.
    coefficient : (n,) c_i of the law, None where only measured noise is known.
    limit : Delta(a, p); infinite at cut 0.
    memory : device memory for weights [bits]; infinite if not limited.
    bits : (k,) admissible widths.
    owner : (m,) item of each tensor of the plan: weights of layers 1..p, then the outputs that cross.
    outputs : (m - p,) layers whose outputs those are, ascending.
    """

    cut: int
    base: float
    tensors: IntArray
    price: FloatArray
    stored: FloatArray
    overhead: FloatArray
    noise: FloatArray
    coefficient: FloatArray | None
    limit: float
    memory: float
    bits: IntArray
    owner: IntArray
    outputs: IntArray

    @cached_property
    def cost(self) -> FloatArray:
        """(n, k) objective of every item at every width."""
        return self.price[:, None] * self.bits

    @cached_property
    def uploads(self) -> IntArray:
        """Items with an output among their tensors: their price does not follow their storage."""
        return np.unique(self.owner[self.cut :])

    @cached_property
    def storage(self) -> FloatArray:
        """(n, k) bits of device memory of every item at every width."""
        return self.stored[:, None] * self.bits + self.overhead[:, None]

    def memory_of(self, width: FloatArray | IntArray) -> FloatArray:
        """(n,) bits of device memory of every item at real-valued or whole widths.

        Parameters
        ----------
        width : (n,) bits.
        """
        return self.stored * width + self.overhead

    def stored_bits(self, width: FloatArray | IntArray) -> float:
        """Bits that the server sends and the device stores at these widths.

        Parameters
        ----------
        width : (n,) bits.
        """
        return float(self.stored @ width) + float(self.overhead.sum())

    def keeps_memory(self, columns: IntArray) -> bool:
        """The exact test of the memory limit, for the columns of whole widths."""
        return math.isinf(self.memory) or within(self.storage[np.arange(len(columns)), columns], self.memory)

    def keeps(self, columns: IntArray) -> bool:
        """The exact test of both limits.

        Parameters
        ----------
        columns : (n,) index of the width of each item.
        """
        noise = self.noise[np.arange(len(columns)), columns]
        return (self.cut == 0 or within(noise, self.limit)) and self.keeps_memory(columns)

    def plan(self, chosen: FloatArray | IntArray, kind: Literal["whole", "real"], name: str = "") -> QPartPlan:
        """The plan that gives item i the width ``chosen[i]``.

        Parameters
        ----------
        kind : ``whole`` or ``real``.
        name : of the problem.
        """
        widths = np.asarray(chosen, dtype=np.float64)[self.owner].tolist()
        return QPartPlan(
            problem=name,
            bits=kind,
            cut=self.cut,
            weights=tuple(widths[: self.cut]),
            activations=tuple(widths[self.cut :]),
        )


class SubproblemTable:
    """Columns of a problem from which the `Subproblem` of any cut is sliced.

    Parameters
    ----------
    problem : a request.
    """

    def __init__(self, problem: QPart) -> None:
        self.problem = problem
        self.base = base_costs(problem)
        self.price_w, self.price_x = tensor_prices(problem)
        self.noise_w, self.noise_x = noise_terms(problem)
        noise = problem.noise
        self.c_w: FloatArray | None = None
        self.c_x: FloatArray | None = None
        if noise.s_weights is not None and noise.s_activations is not None:
            self.c_w, self.c_x = coefficients(problem)
        self.bits = widths(problem)
        self.sent = problem.network.sent
        self.overhead = problem.network.sent_overhead
        leaders = problem.network.leaders
        self.first = leaders == np.arange(1, len(leaders) + 1)
        # Items stand in the order of their first layers.
        self.item = (np.cumsum(self.first) - 1)[leaders - 1]

    def __repr__(self) -> str:
        return f"SubproblemTable({self.problem!r})"

    def at(self, cut: int) -> Subproblem:
        """The choice at one cut, in time proportional to its tensors."""
        problem = self.problem
        outputs = np.array(crossing_activations(problem, cut), dtype=np.int64)
        heads = np.flatnonzero(self.first[:cut])
        # Eq. 14 to the letter: the output of layer p, the last to cross if it does, has its weights' width.
        tied = problem.tie_cut and cut > 0 and outputs.size > 0 and outputs[-1] == cut
        own = outputs[:-1] if tied else outputs
        owner = np.concatenate((self.item[:cut], len(heads) + np.arange(own.size)))
        if tied:
            owner = np.append(owner, self.item[cut - 1])
        n = len(heads) + own.size
        untied = len(owner) == n

        def collect(weights: FloatArray, activations: FloatArray) -> FloatArray:
            """Column of the items: tensors of one item are added up."""
            column = np.concatenate((weights[:cut], activations[outputs - 1]))
            if untied:
                return column
            total = np.zeros((n, *column.shape[1:]))
            np.add.at(total, owner, column)
            return total

        c = None if self.c_w is None or self.c_x is None else collect(self.c_w, self.c_x)
        return Subproblem(
            cut=cut,
            base=float(self.base[cut]),
            tensors=np.concatenate((heads + 1, -own)),
            price=collect(self.price_w, self.price_x),
            stored=collect(self.sent, np.zeros_like(self.sent)),
            overhead=collect(self.overhead, np.zeros_like(self.overhead)),
            noise=collect(self.noise_w, self.noise_x),
            coefficient=c,
            limit=float(problem.delta[cut - 1]) if cut else np.inf,
            memory=np.inf if problem.device.memory is None else problem.device.memory,
            bits=self.bits,
            owner=owner,
            outputs=outputs,
        )


def subproblems(problem: QPart) -> SubproblemTable:
    """The fixed-cut subproblems of a problem, each built when its cut is asked for, from shared columns."""
    return SubproblemTable(problem)

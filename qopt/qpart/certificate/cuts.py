"""The choice at a cut as the certificate sees it, rebuilt from the problem: no method's arrays are used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError
from qopt.core.limits import limit_with_slack
from qopt.qpart.costs import prices
from qopt.qpart.plan import crossing_activations
from qopt.qpart.problem import QPart
from qopt.qpart.terms import coefficients, noise_terms, widths


@dataclass(frozen=True, repr=False)
class Cut(Brief):
    """The choice at one cut: n items, k widths. Limits include their slack.

    Items are the weights of layers 1..p, then the quantized outputs that cross, ascending; tensors that must have
    one width are one item, which stands where its first tensor does.

    Attributes
    ----------
    cut, base : p, and the objective that no width changes.
    price : (n,) objective per bit of width.
    stored, overhead : (n,) bits of device memory per bit of width, and those that any width takes.
    c : (n,) noise coefficients, None where only measured noise is known.
    noise : (n, k) noise terms of the widths lo..hi, None for real-valued bits.
    owner : (m,) item of each tensor, weights of layers 1..p first, then outputs.
    """

    cut: int
    base: float
    price: FloatArray
    stored: FloatArray
    overhead: FloatArray
    c: FloatArray | None
    noise: FloatArray | None
    limit: float
    memory: float
    bits: IntArray
    grid: bool
    owner: IntArray

    @property
    def lo(self) -> int:
        """Least width."""
        return int(self.bits[0])

    @property
    def hi(self) -> int:
        """Largest width."""
        return int(self.bits[-1])

    @cached_property
    def cost(self) -> FloatArray:
        """(n, k) price times width."""
        return self.price[:, None] * self.bits

    @cached_property
    def storage(self) -> FloatArray:
        """(n, k) bits of memory."""
        return self.stored[:, None] * self.bits + self.overhead[:, None]

    def memory_of(self, b: FloatArray | float) -> FloatArray:
        """(n,) bits of memory at widths b."""
        return self.stored * b + self.overhead

    def noise_at(self, b: FloatArray) -> FloatArray:
        """(n,) noise c 4^-b, or c (2^b - 1)^-2 on the quantizer's grid."""
        assert self.c is not None
        with np.errstate(all="ignore"):
            return self.c * (np.exp2(b) - 1.0) ** -2 if self.grid else self.c * np.exp2(-2.0 * b)

    def noise_slope(self, b: FloatArray) -> FloatArray:
        """(n,) noise saved per bit, minus the derivative of `noise_at`."""
        assert self.c is not None
        if self.grid:
            return self.c * (2 * math.log(2)) * np.exp2(b) * (np.exp2(b) - 1.0) ** -3
        return self.c * math.log(4) * np.exp2(-2.0 * b)

    def least_noise(self) -> FloatArray:
        """(n,) least noise of each item."""
        if self.noise is None:
            return self.noise_at(np.full(self.price.size, float(self.hi)))
        return self.noise.min(axis=1, initial=math.inf)  # type: ignore[no-any-return]


def _fixed(problem: QPart, overhead: FloatArray) -> FloatArray:
    """(L + 1,) Eqs. 5-8 and 17 at every cut without what bits of width cost, in extended precision.

    Not the sums that methods use: if either were wrong, plans that are proved would show it.
    """
    net, price = problem.network, prices(problem)
    macs = net.macs.astype(np.longdouble)
    total = np.zeros(len(macs) + 1, dtype=np.longdouble)
    total[1:] += price.device * np.cumsum(macs)
    total[:-1] += price.server * np.cumsum(macs[::-1])[::-1]
    for cut in range(len(total)):
        if (net.last_reader is not None and net.last_reader[0] <= cut) or (net.last_reader is None and cut):
            break
        total[cut] += price.upload * np.longdouble(net.input_size) * net.input_bits
    total[1:] += price.download * np.cumsum(overhead.astype(np.longdouble))
    if net.overhead_activations is not None:
        sent_up = price.upload * net.overhead_activations.astype(np.longdouble)
        for cut in range(1, len(total)):
            total[cut] += sum((sent_up[i - 1] for i in crossing_activations(problem, cut)), np.longdouble(0))
    return total.astype(np.float64)


class CutTable:
    """Columns of a problem from which the choice at any cut is sliced."""

    def __init__(self, problem: QPart, bits: str) -> None:
        if bits == "real" and problem.noise.model == "table":
            raise InputError(
                "bits", "real-valued bits with a measured noise table", "whole, or noise.model law or grid"
            )
        self.problem, self.bits = problem, bits
        net, price = problem.network, prices(problem)
        # A shared tensor is sent and stored once, with the first of its layers.
        self.stored_w = np.array(net.weights)
        self.overhead_w = np.zeros(len(net)) if net.overhead is None else np.array(net.overhead)
        for tie in net.ties:
            if tie.shared:
                self.stored_w[tie.layers[1:] - 1] = 0.0
                self.overhead_w[tie.layers[1:] - 1] = 0.0
        self.base = _fixed(problem, self.overhead_w)
        self.price_w, self.price_x = price.download * self.stored_w, price.upload * net.activations
        self.noise_w: FloatArray | None = None
        self.noise_x: FloatArray | None = None
        self.c_w: FloatArray | None = None
        self.c_x: FloatArray | None = None
        if bits == "whole":
            self.noise_w, self.noise_x = noise_terms(problem)
        if problem.noise.model != "table":
            self.c_w, self.c_x = coefficients(problem)
        self.memory = math.inf if problem.device.memory is None else limit_with_slack(problem.device.memory)

    def at(self, p: int) -> Cut:
        """The choice at cut p."""
        problem = self.problem
        outputs = np.array(crossing_activations(problem, p), dtype=np.int64)
        owner, items = self._owners(p, outputs)

        def joined(weights: FloatArray, activations: FloatArray) -> FloatArray:
            rows = np.concatenate((weights[:p], activations[outputs - 1]))
            if items == len(owner):
                return rows
            order = np.argsort(owner, kind="stable")
            return np.add.reduceat(rows[order], np.searchsorted(owner[order], np.arange(items)), axis=0)

        return Cut(
            cut=p,
            base=float(self.base[p]),
            price=joined(self.price_w, self.price_x),
            stored=joined(self.stored_w, np.zeros_like(self.stored_w)),
            overhead=joined(self.overhead_w, np.zeros_like(self.overhead_w)),
            c=joined(self.c_w, self.c_x) if self.c_w is not None and self.c_x is not None else None,
            noise=joined(self.noise_w, self.noise_x) if self.noise_w is not None and self.noise_x is not None else None,
            limit=limit_with_slack(float(problem.delta[p - 1])) if p else math.inf,
            memory=self.memory,
            bits=widths(problem),
            grid=problem.noise.model == "grid",
            owner=owner,
        )

    def knapsack(self, p: int) -> tuple[list[list[float]], list[list[float]], float, list[list[float]], float, float]:
        """What `witness.check_tree` reads: cost, noise, limit, stored, memory, offset; limits without their slack."""
        cut, problem = self.at(p), self.problem
        assert cut.noise is not None
        limit = float(problem.delta[p - 1]) if p else math.inf
        memory = math.inf if problem.device.memory is None else problem.device.memory
        return cut.cost.tolist(), cut.noise.tolist(), limit, cut.storage.tolist(), memory, cut.base

    def _owners(self, p: int, outputs: IntArray) -> tuple[IntArray, int]:
        """Item of each tensor at cut p, and how many items there are: tensors of one width carry one label."""
        net = self.problem.network
        if not net.ties and not (self.problem.tie_cut and p in outputs):
            return np.arange(p + outputs.size), p + outputs.size
        label = {layer: layer for layer in range(1, p + 1)}
        for tie in net.ties:
            for layer in tie.layers.tolist():
                if layer <= p:
                    label[layer] = int(tie.layers[0])
        labels = [label[layer] for layer in range(1, p + 1)]
        labels += [label[p] if self.problem.tie_cut and out == p else -out for out in outputs.tolist()]
        position: dict[int, int] = {}
        owner = [position.setdefault(name, len(position)) for name in labels]
        return np.array(owner, dtype=np.int64), len(position)

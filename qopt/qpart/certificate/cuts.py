"""The choice at a cut as the certificate sees it, rebuilt from the problem: no method's arrays are used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError
from qopt.core.limits import limit_with_slack, within
from qopt.qpart.certificate.witness import KnapsackData
from qopt.qpart.costs import device_costs, prices, server_costs, upload_values
from qopt.qpart.limits import LimitTerms
from qopt.qpart.menus import stand_ins
from qopt.qpart.plan import crossing_activations
from qopt.qpart.problem import QPart
from qopt.qpart.terms import coefficients, menu_masks, noise_terms, widths


class More(NamedTuple):
    """A limit on what a plan costs: ``fixed + sum use[i, c_i] <= limit``, slack not included.

    Attributes
    ----------
    name : time, energy, price or payload.
    use : (n, k) what items use at each width.
    fixed : what the cut uses whatever the widths.
    limit : what it allows.
    """

    name: str
    use: FloatArray
    fixed: float
    limit: float

    @property
    def least(self) -> float:
        """What the least plan uses."""
        return math.fsum([self.fixed, *self.use.min(axis=1, initial=math.inf).tolist()])

    @property
    def broken(self) -> bool:
        """Whether even the least of every item breaks it, by the exact test."""
        return not within([self.fixed, *self.use.min(axis=1, initial=math.inf).tolist()], self.limit)


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
    noise : (n, k) noise terms of the widths `bits`, None for real-valued bits.
    owner : (m,) item of each tensor, weights of layers 1..p first, then outputs.
    stand_in : (n, k) column whose numbers each has: widths off an item's menu are copies of one on it; None without
        menus.
    computing : (n, k) objective of computing on the device by width, None without tables.
    more : limits on what a plan costs.
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
    stand_in: IntArray | None = None
    computing: FloatArray | None = None
    more: tuple[More, ...] = ()

    @property
    def lo(self) -> int:
        """Least width."""
        return int(self.bits[0])

    @property
    def hi(self) -> int:
        """Largest width."""
        return int(self.bits[-1])

    @cached_property
    def width(self) -> IntArray:
        """(k,) or (n, k) widths that the columns stand for."""
        return self.bits if self.stand_in is None else self.bits[self.stand_in]

    @cached_property
    def cost(self) -> FloatArray:
        """(n, k) price times width, and computing by width."""
        cost = self.price[:, None] * self.width
        return cost if self.computing is None else cost + self.computing

    @cached_property
    def storage(self) -> FloatArray:
        """(n, k) bits of memory."""
        return self.stored[:, None] * self.width + self.overhead[:, None]

    def columns(self, b: FloatArray) -> IntArray | None:
        """(n,) columns of widths; None where one of them is not on its item's menu."""
        found: IntArray = np.minimum(np.searchsorted(self.bits, b), len(self.bits) - 1)
        if np.any(self.bits[found] != b):
            return None
        if self.stand_in is not None and np.any(self.stand_in[np.arange(b.size), found] != found):
            return None
        return found

    def least_memory(self) -> FloatArray:
        """(n,) least bits of memory of each item."""
        if self.stand_in is None:
            return self.memory_of(self.lo)
        return self.memory_of(self.bits[self.stand_in[:, 0]].astype(float))

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
    server = server_costs(problem)
    if server is not None:
        total[:-1] += np.cumsum(server[::-1].astype(np.longdouble))[::-1]
    for cut in range(0 if problem.quantize_input else len(total)):
        if (net.last_reader is not None and net.last_reader[0] <= cut) or (net.last_reader is None and cut):
            break
        total[cut] += price.upload * np.longdouble(net.input_size) * net.input_bits
    total[1:] += price.download * np.cumsum(overhead.astype(np.longdouble))
    if net.overhead_activations is not None:
        sent_up = price.upload * net.overhead_activations.astype(np.longdouble)
        for cut in range(1, len(total)):
            total[cut] += sum((sent_up[i - 1] for i in crossing_activations(problem, cut) if i), np.longdouble(0))
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
        self.price_w, self.price_x = price.download * self.stored_w, price.upload * upload_values(problem)
        self.computing = device_costs(problem)
        self.menus = menu_masks(problem)
        self.limits = LimitTerms(problem)
        self.noise_w: FloatArray | None = None
        self.noise_x: FloatArray | None = None
        self.c_w: FloatArray | None = None
        self.c_x: FloatArray | None = None
        self.raw_w: FloatArray | None = None
        self.raw_x: FloatArray | None = None
        if bits == "whole":
            self.raw_w, self.raw_x = self.noise_w, self.noise_x = noise_terms(problem)
            if self.menus is not None:  # no width off the menu is to be had
                self.noise_w, self.noise_x = (
                    np.where(mask, noise, np.inf) for mask, noise in zip(self.menus, noise_terms(problem), strict=True)
                )
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

        place = None if self.menus is None else stand_ins(self._allowed(p, outputs, owner, items))

        def by_width(weights: FloatArray, activations: FloatArray) -> FloatArray:
            with np.errstate(invalid="ignore"):
                rows = joined(weights, activations)
            return rows if place is None else np.take_along_axis(rows, place, axis=1)

        nothing = np.zeros(len(self.price_x))
        computing = None
        if self.computing is not None:
            computing = by_width(self.computing, np.zeros((nothing.size, self.computing.shape[1])))
        terms = self.limits
        more = tuple(
            More(name, by_width(weights, activations), fixed, limit)
            for name, weights, activations, fixed, limit in zip(
                terms.names, terms.weights, terms.outputs, terms.fixed(p).tolist(), terms.limits.tolist(), strict=True
            )
        )
        return Cut(
            cut=p,
            base=float(self.base[p]),
            price=joined(self.price_w, self.price_x),
            stored=joined(self.stored_w, nothing),
            overhead=joined(self.overhead_w, nothing),
            c=joined(self.c_w, self.c_x) if self.c_w is not None and self.c_x is not None else None,
            noise=by_width(self.raw_w, self.raw_x) if self.raw_w is not None and self.raw_x is not None else None,
            limit=limit_with_slack(problem.noise_limit(p)),
            memory=self.memory,
            bits=widths(problem),
            grid=problem.noise.model == "grid",
            owner=owner,
            stand_in=place,
            computing=computing,
            more=more,
        )

    def _allowed(self, p: int, outputs: IntArray, owner: IntArray, items: int) -> BoolArray:
        """(n, k) widths that all tensors of an item may have."""
        assert self.menus is not None
        of_weights, of_outputs = self.menus
        found = np.ones((items, of_weights.shape[1]), dtype=bool)
        for item, mask in zip(owner.tolist(), [*of_weights[:p], *of_outputs[outputs - 1]], strict=True):
            found[item] &= mask
        return found

    def knapsack(self, p: int) -> KnapsackData:
        """What `witness.check_tree` reads: cost, noise, limit, stored, memory, offset; limits without their slack.

        With limits on what the plan costs a last item of one choice holds what the cut uses whatever the widths, and
        for each of them its row and the limit follow.
        """
        cut, problem = self.at(p), self.problem
        assert cut.noise is not None
        limit = problem.noise_limit(p)
        memory = math.inf if problem.device.memory is None else problem.device.memory
        cost, noise, stored = cut.cost.tolist(), cut.noise.tolist(), cut.storage.tolist()
        if not cut.more:
            return cost, noise, limit, stored, memory, cut.base
        k = len(cut.bits)
        cost, noise, stored = ([*rows, [0.0] * k] for rows in (cost, noise, stored))
        more = [([*row.use.tolist(), [row.fixed] * k], row.limit) for row in cut.more]
        return cost, noise, limit, stored, memory, cut.base, *more

    def _owners(self, p: int, outputs: IntArray) -> tuple[IntArray, int]:
        """Item of each tensor at cut p, and how many items there are: tensors of one width carry one label."""
        net = self.problem.network
        if not net.ties and not (self.problem.tie_cut and p and p in outputs):
            return np.arange(p + outputs.size), p + outputs.size
        label = {layer: layer for layer in range(1, p + 1)}
        for tie in net.ties:
            for layer in tie.layers.tolist():
                if layer <= p:
                    label[layer] = int(tie.layers[0])
        labels = [label[layer] for layer in range(1, p + 1)]
        labels += [label[p] if self.problem.tie_cut and out == p > 0 else -out for out in outputs.tolist()]
        position: dict[int, int] = {}
        owner = [position.setdefault(name, len(position)) for name in labels]
        return np.array(owner, dtype=np.int64), len(position)

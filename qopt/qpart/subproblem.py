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

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.limits import within
from qopt.qpart.costs import base_costs, device_costs, tensor_prices
from qopt.qpart.limits import LimitTerms
from qopt.qpart.menus import stand_ins
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import QPart
from qopt.qpart.rows import Row
from qopt.qpart.terms import coefficients, menu_masks, noise_terms, widths


@dataclass(frozen=True, repr=False)
class Subproblem(Brief):
    """The choice at one cut: n items of k widths. An item is a tensor, or several that share a width.

    ``minimise base + sum price_i b_i + computing_i(b_i)  subject to  sum noise_i(b_i) <= limit,
    sum (stored_i b_i + overhead_i) <= memory,  and the rows of `limits```

    A width that is not on an item's menu is a copy of one that is: every table has the numbers of `stand_in`'s column.

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
    bits : (k,) widths, of which an item may have those on its menu.
    owner : (m,) item of each tensor of the plan: weights of layers 1..p, then the outputs that cross.
    outputs : (m - p,) layers whose outputs those are, ascending; 0 for the raw input where it is quantized.
    stand_in : (n, k) the column that each stands for; None without menus, where every one stands for itself.
    computing : (n, k) objective of computing the item's layers on the device by their width; None without tables.
    limits : rows of time, energy, price and payload, those that are given.
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
    stand_in: IntArray | None = None
    computing: FloatArray | None = None
    limits: tuple[Row, ...] = ()

    @cached_property
    def width(self) -> IntArray:
        """(k,) or (n, k) widths that the columns stand for."""
        return self.bits if self.stand_in is None else self.bits[self.stand_in]

    @cached_property
    def cost(self) -> FloatArray:
        """(n, k) objective of every item at every width."""
        cost = self.price[:, None] * self.width
        return cost if self.computing is None else cost + self.computing

    @cached_property
    def on_menu(self) -> BoolArray:
        """(n, k) which columns are widths that the item may have."""
        n, k = len(self.tensors), len(self.bits)
        if self.stand_in is None:
            return np.ones((n, k), dtype=bool)
        found: BoolArray = self.stand_in == np.arange(k)
        return found

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """All limits: accuracy, memory, then those on what the plan costs."""
        return (
            Row("accuracy", self.noise, 0.0, self.limit),
            Row("memory", self.storage, 0.0, self.memory),
            *self.limits,
        )

    def cheaper(self, columns: IntArray) -> float:
        """Objective of a choice, to compare choices with.

        Parameters
        ----------
        columns : (n,) index of the width of each item.
        """
        if self.computing is None:
            return self.base + float(self.price @ self.widths_of(columns))
        return self.base + float(self.cost[np.arange(len(columns)), columns].sum())

    def widths_of(self, columns: IntArray) -> IntArray:
        """(n,) widths of columns.

        Parameters
        ----------
        columns : (n,) index of the width of each item.
        """
        found: IntArray = self.bits[self.standing(columns)]
        return found

    def standing(self, columns: IntArray) -> IntArray:
        """(n,) the columns on the menus that given columns stand for.

        Parameters
        ----------
        columns : (n,) index of the width of each item.
        """
        if self.stand_in is None:
            return columns
        found: IntArray = self.stand_in[np.arange(len(columns)), columns]
        return found

    def columns_of(self, widths: FloatArray | IntArray) -> IntArray:
        """(n,) columns of admissible whole widths.

        Parameters
        ----------
        widths : (n,) bits.
        """
        found: IntArray = np.searchsorted(self.bits, widths)
        return found

    def next_lower(self, columns: IntArray) -> IntArray:
        """(n,) columns of the next smaller widths on the menus; the same column where there is none.

        Parameters
        ----------
        columns : (n,) index of the width of each item.
        """
        if self.stand_in is None:
            return np.maximum(columns - 1, 0)
        k = len(self.bits)
        last = np.maximum.accumulate(np.where(self.on_menu, np.arange(k), -1), axis=1)
        here = self.standing(columns)
        lower = np.where(here > 0, last[np.arange(len(columns)), np.maximum(here - 1, 0)], -1)
        found: IntArray = np.where(lower < 0, columns, lower)
        return found

    def knapsack(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cost (m, k), weights (R, m, k) and limits (R,) of the kernels: all rows.

        With limits on what the plan costs, a last class of one choice stands for what the cut uses whatever the widths.
        """
        limits = np.array([row.limit for row in self.rows])
        if not self.limits:
            return self.cost, np.stack([self.noise, self.storage]), limits
        k = len(self.bits)
        weights = np.stack([np.vstack((row.use, np.full((1, k), row.fixed))) for row in self.rows])
        return np.vstack((self.cost, np.zeros((1, k)))), weights, limits

    @cached_property
    def uploads(self) -> IntArray:
        """Items with an output among their tensors: their price does not follow their storage."""
        return np.unique(self.owner[self.cut :])

    @cached_property
    def storage(self) -> FloatArray:
        """(n, k) bits of device memory of every item at every width."""
        return self.stored[:, None] * self.width + self.overhead[:, None]

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

    def keeps_others(self, columns: IntArray) -> bool:
        """The exact test of all limits but that on noise, for the columns of whole widths."""
        return self.keeps_memory(columns) and all(row.keeps(columns) for row in self.limits)

    def keeps(self, columns: IntArray) -> bool:
        """The exact test of all limits.

        Parameters
        ----------
        columns : (n,) index of the width of each item.
        """
        noise = self.noise[np.arange(len(columns)), columns]
        return (math.isinf(self.limit) or within(noise, self.limit)) and self.keeps_others(columns)

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
        self.menus = menu_masks(problem)
        self.computing = device_costs(problem)
        self.limits = LimitTerms(problem)

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

        def allowed() -> BoolArray:
            """(n, k) widths on the menus of all tensors of an item."""
            assert self.menus is not None
            column = np.concatenate((self.menus[0][:cut], self.menus[1][outputs - 1]))
            if untied:
                return column
            found = np.ones((n, column.shape[1]), dtype=bool)
            np.logical_and.at(found, owner, column)
            return found

        def collect(weights: FloatArray, activations: FloatArray) -> FloatArray:
            """Column of the items: tensors of one item are added up."""
            column = np.concatenate((weights[:cut], activations[outputs - 1]))
            if untied:
                return column
            total = np.zeros((n, *column.shape[1:]))
            np.add.at(total, owner, column)
            return total

        place = None if self.menus is None else stand_ins(allowed())

        def table(weights: FloatArray, activations: FloatArray) -> FloatArray:
            """Rows by width of the items, with the numbers of a width on the menu in place of one that is not."""
            with np.errstate(invalid="ignore"):
                rows = collect(weights, activations)
            return rows if place is None else np.take_along_axis(rows, place, axis=1)

        computing = None
        if self.computing is not None:
            computing = table(self.computing, np.zeros((len(self.price_x), len(self.bits))))
        limits = tuple(
            Row(name, table(weights, activations), fixed, limit)
            for name, weights, activations, fixed, limit in zip(
                self.limits.names,
                self.limits.weights,
                self.limits.outputs,
                self.limits.fixed(cut).tolist(),
                self.limits.limits.tolist(),
                strict=True,
            )
        )
        c = None if self.c_w is None or self.c_x is None else collect(self.c_w, self.c_x)
        return Subproblem(
            cut=cut,
            base=float(self.base[cut]),
            tensors=np.concatenate((heads + 1, -own)),
            price=collect(self.price_w, self.price_x),
            stored=collect(self.sent, np.zeros(len(self.price_x))),
            overhead=collect(self.overhead, np.zeros(len(self.price_x))),
            noise=table(self.noise_w, self.noise_x),
            coefficient=c,
            limit=problem.noise_limit(cut),
            memory=np.inf if problem.device.memory is None else problem.device.memory,
            bits=self.bits,
            owner=owner,
            outputs=outputs,
            stand_in=place,
            computing=computing,
            limits=limits,
        )


def subproblems(problem: QPart) -> SubproblemTable:
    """The fixed-cut subproblems of a problem, each built when its cut is asked for, from shared columns."""
    return SubproblemTable(problem)

"""A multiple-choice knapsack with one row as its search sees it: less the least of each class, in powers of two."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError
from qopt.core.limits import limit_with_slack
from qopt.kernels.arguments import LARGEST, number, table
from qopt.kernels.grid import grain, room
from qopt.kernels.nodes import Node
from qopt.kernels.tolerances import EPSILON, LIMIT_ROUNDING, PROOF_GAP, SUM_ROUNDING


class Scaled:
    """Data of a search; sums of them round relative to what is chosen.

    Parameters
    ----------
    cost, weight, limit : of the merged classes, in the units given.
    on_grid : whether to make use of costs and weights that lie on a grid.
    cost_error, weight_error : what sums over tied classes were rounded by, in all; nothing lies on a grid then.

    Attributes
    ----------
    c, w : (n, k) costs and weights.
    capacity, margin : on the sum of w, and what that may be off by; 0 on a grid, where sums are exact.
    allowed : what the weights as given may add up to.
    offset : sum of the least costs.
    cost_unit, weight_unit : exponents of the units.
    whole : capacity in the given unit where weights lie on a grid, else None.
    step : grid of the costs in the given unit, 0.0 without one.
    cost_error : as given.
    """

    def __init__(
        self,
        cost: FloatArray,
        weight: FloatArray,
        limit: float,
        *,
        on_grid: bool,
        cost_error: float,
        weight_error: float,
    ) -> None:
        floor_c, floor_w = cost.min(axis=1, initial=math.inf), weight.min(axis=1, initial=math.inf)
        c, w = cost - floor_c[:, None], weight - floor_w[:, None]
        self.cost_unit, self.weight_unit = (math.frexp(float(x.max(initial=0.0)))[1] for x in (c, w))
        self.c, self.w = np.ldexp(c, -self.cost_unit), np.ldexp(w, -self.weight_unit)
        self.offset = math.fsum(floor_c.tolist())
        self.allowed = limit_with_slack(limit)
        self.whole = room(weight, self.allowed) if math.isfinite(limit) and on_grid and not weight_error else None
        self.margin = 0.0
        if self.whole is not None:
            capacity = self.whole
        elif math.isfinite(limit):
            capacity = math.fsum([self.allowed, *(-floor_w).tolist(), weight_error])
            rounding = LIMIT_ROUNDING * (abs(limit) + float(np.abs(floor_w).sum())) + 2.0 * weight_error
            self.margin = math.ldexp(rounding, -self.weight_unit)
        else:
            capacity = math.inf
        try:
            self.capacity = math.ldexp(capacity, -self.weight_unit)
        except OverflowError:
            self.capacity = math.copysign(math.inf, capacity)
        size = abs(self.offset) + float(c.max(axis=1, initial=0.0).sum())
        self.step = grain(cost, size) if on_grid and not cost_error else 0.0
        self.cost_error = cost_error

    @property
    def multiplier_unit(self) -> float:
        """What a multiplier of 1 is in the given units; 0 or infinite where floats end."""
        try:
            return math.ldexp(1.0, self.cost_unit - self.weight_unit)
        except OverflowError:
            return math.inf

    def total(self, value: float) -> float:
        """A sum of shifted costs as one of given costs."""
        return self.offset + math.ldexp(value, self.cost_unit)

    def certain(self, value: float, objective: float) -> bool:
        """Whether the rounding of sums is far below what a certificate asks for (it is not where costs cancel)."""
        blur = 2 * SUM_ROUNDING * abs(math.ldexp(value, self.cost_unit)) + EPSILON * abs(self.offset) + self.cost_error
        exact = bool(self.step) or (value == 0.0 and not self.cost_error)
        return exact or blur <= PROOF_GAP * abs(objective)

    def in_given_units(self, tree: list[Node] | None) -> list[Node] | None:
        """A tree with its multipliers in the given units; None where they are none that a checker takes."""
        unit = self.multiplier_unit
        if tree is None or unit == 1.0:
            return tree
        converted: dict[int, Node] = {}  # nodes that stand in several places stay one
        for node in tree:
            match node:
                case ["leaf", 1, float() | int() as multiplier] if id(node) not in converted:
                    converted[id(node)] = ["leaf", 1, multiplier * unit]
                case ["sums", classes, list() as several]:
                    converted[id(node)] = ["sums", classes, [x * unit for x in several]]
        scaled = [converted.get(id(node), node) for node in tree]
        multipliers = [x for node in scaled if node[0] != "split" for x in np.asarray(node[-1]).ravel().tolist()]
        return scaled if all(x <= LARGEST for x in multipliers) else None


def checked(cost: ArrayLike, weight: ArrayLike, limit: ArrayLike) -> tuple[FloatArray, FloatArray, float]:
    """Arrays of costs and weights, and a limit, that can be used; InputError otherwise."""
    cost, weight = table("cost", cost, "(n, k)"), table("weight", weight, "(n, k)")
    if cost.shape != weight.shape or (len(cost) and cost.shape[1] == 0):
        raise InputError("weight", f"shapes {cost.shape} and {weight.shape}", "two arrays of one shape (n, k), k >= 1")
    allowed = number("limit", limit)
    # Without a class any number of columns is right; zero of them have no least item.
    return (cost, weight, allowed) if len(cost) else (np.zeros((0, 1)), np.zeros((0, 1)), allowed)

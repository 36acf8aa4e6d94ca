"""A multiple-choice knapsack with one row as its search sees it: less the least of each class, in powers of two."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError
from qopt.core.limits import limit_with_slack
from qopt.kernels.arguments import LARGEST, number, table
from qopt.kernels.grid import grain_of, room_of, steps
from qopt.kernels.knapsack.ranges import is_wide, shifted_exponent, tamed
from qopt.kernels.nodes import Node
from qopt.kernels.tolerances import EPSILON, LIMIT_ROUNDING, PROOF_GAP, SUM_ROUNDING

SLACK_TERMS = 8
"""Roundings of a sum besides its additions, generously."""


class Scaled:
    """Data of a search; sums of them round relative to what is chosen.

    Parameters
    ----------
    cost, weight, limit : of the merged classes, in the units given.
    on_grid : whether to make use of costs and weights that lie on a grid.
    cost_error, weight_error : what sums over tied classes were rounded by, in all; nothing lies on a grid then.
    known : what a choice is known to cost above the least of all classes; infinite for none.

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
    feasible : whether the lightest items keep the limit, up to what sums over tied classes were rounded by.
    above : (n, k) costs less the least of each class, in the units given.
    scale : what `known` is, at most the greatest of `above`; None where no number is lost beside the others.
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
        known: float = math.inf,
    ) -> None:
        floor_c, floor_w = cost.min(axis=1, initial=math.inf), weight.min(axis=1, initial=math.inf)
        c, w = cost - floor_c[:, None], weight - floor_w[:, None]
        costs = steps(cost) if on_grid and not cost_error else None
        weights = steps(weight) if math.isfinite(limit) and on_grid and not weight_error else None
        wide = costs is None and is_wide(c)  # on a grid numbers have 53 digits at most
        self.above, self.scale = c, min(known, float(c.max(initial=0.0))) if wide else None
        self.offset = math.fsum(floor_c.tolist())
        self.allowed = limit_with_slack(limit)
        self.whole = room_of(weights, self.allowed)
        capacity, rounding = math.inf, 0.0
        if self.whole is not None:
            capacity = self.whole
        elif math.isfinite(limit):
            capacity = math.fsum([self.allowed, *(-floor_w).tolist(), weight_error])
            share = max(LIMIT_ROUNDING, EPSILON * (len(c) + SLACK_TERMS))
            rounding = share * (abs(limit) + float(np.abs(floor_w).sum())) + 2.0 * weight_error
        self.feasible = capacity >= 0
        size = abs(self.offset) + float(c.max(axis=1, initial=0.0).sum())
        self.step = grain_of(costs, size)
        self.cost_error = cost_error
        if wide:
            c = tamed(c, known)
        if weights is None:
            w = tamed(w, max(capacity + rounding, 0.0))
        self.cost_unit, self.weight_unit = (math.frexp(float(x.max(initial=0.0)))[1] for x in (c, w))
        self.c, self.w = np.ldexp(c, -self.cost_unit), np.ldexp(w, -self.weight_unit)
        self.capacity, self.margin = (self._ended(x) for x in (capacity, rounding))

    def _ended(self, weight: float) -> float:
        """A sum of weights in their unit; infinite beyond the range of floats."""
        try:
            return math.ldexp(weight, -self.weight_unit)
        except OverflowError:
            return math.copysign(math.inf, weight)

    def in_units(self, cost: float) -> float:
        """A cost in the unit of `c`.

        Parameters
        ----------
        cost : (n, k) a class a row, or costs by element.
        """
        return shifted_exponent(cost, -self.cost_unit)

    @property
    def multiplier_unit(self) -> float:
        """What a multiplier of 1 is in the given units; 0 or infinite where floats end."""
        try:
            return math.ldexp(1.0, self.cost_unit - self.weight_unit)
        except OverflowError:
            return math.inf

    def total(self, value: float) -> float:
        """A sum of shifted costs as one of given costs.

        Parameters
        ----------
        value : a number in the search's unit.
        """
        return self.offset + math.ldexp(value, self.cost_unit)

    def certain(self, value: float, objective: float) -> bool:
        """Whether the rounding of sums is far below what a certificate asks for (it is not where costs cancel).

        Parameters
        ----------
        value : a number in the search's unit.
        objective : cost of the answer in the units given.
        """
        blur = 2 * SUM_ROUNDING * abs(math.ldexp(value, self.cost_unit)) + EPSILON * abs(self.offset) + self.cost_error
        exact = bool(self.step) or (value == 0.0 and not self.cost_error)
        return exact or blur <= PROOF_GAP * abs(objective)

    def surely(self, value: float) -> float:
        """A lower bound on shifted costs as one on given costs, less what its sums may be off.

        Parameters
        ----------
        value : a number in the search's unit.
        """
        above = math.ldexp(value, self.cost_unit)
        share = max(SUM_ROUNDING, EPSILON * (len(self.c) + SLACK_TERMS))
        return self.offset + above - (share * abs(above) + EPSILON * abs(self.offset) + self.cost_error)

    def in_given_units(self, tree: list[Node] | None) -> list[Node] | None:
        """A tree with its multipliers in the given units; None where they are none that a checker takes.

        Parameters
        ----------
        tree : the nodes in preorder.
        """
        digits = self.cost_unit - self.weight_unit
        if tree is None or digits == 0:
            return tree
        converted: dict[int, Node] = {}  # nodes that stand in several places stay one
        try:
            for node in tree:
                match node:
                    case ["leaf", 1, float() | int() as multiplier] if id(node) not in converted:
                        converted[id(node)] = ["leaf", 1, _moved(multiplier, digits)]
                    case ["sums", classes, list() as several, *near]:
                        converted[id(node)] = ["sums", classes, [_moved(x, digits) for x in several], *near]
        except OverflowError:
            return None
        scaled = [converted.get(id(node), node) for node in tree]
        multipliers = [x for node in scaled if node[0] != "split" for x in np.asarray(node[-1]).ravel().tolist()]
        return scaled if all(x <= LARGEST for x in multipliers) else None


def _moved(multiplier: float, digits: int) -> float:
    """multiplier * 2^digits, exactly; OverflowError where floats end, at either end."""
    found = math.ldexp(multiplier, digits)
    if math.ldexp(found, -digits) != multiplier:
        raise OverflowError
    return found


def checked(cost: ArrayLike, weight: ArrayLike, limit: ArrayLike) -> tuple[FloatArray, FloatArray, float]:
    """Arrays of costs and weights, and a limit, that can be used; InputError otherwise.

    Parameters
    ----------
    cost : (n, k) a class a row, or costs by element.
    weight : of the same shape, or (R, n, k).
    limit : on the sums, as `solve` takes it.

    Raises
    ------
    InputError
        A number, a shape or a name that is not what it may be, in one line.
    """
    cost, weight = table("cost", cost, "(n, k)"), table("weight", weight, "(n, k)")
    if cost.shape != weight.shape or (len(cost) and cost.shape[1] == 0):
        raise InputError("weight", f"shapes {cost.shape} and {weight.shape}", "two arrays of one shape (n, k), k >= 1")
    allowed = number("limit", limit)
    # Without a class any number of columns is right; zero of them have no least item.
    return (cost, weight, allowed) if len(cost) else (np.zeros((0, 1)), np.zeros((0, 1)), allowed)

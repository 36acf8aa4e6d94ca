"""QPART in real-valued bits at a fixed cut: a convex problem, as a cone program and as tangents.

Data (names as in `qopt.formulations.qpart`; the cut p is fixed)
    pi_i            objective per bit of width                      (Eqs. 14, 17)
    c_i             s_i / rho_i, noise of tensor i at width 0       (Eqs. 18-22)
    Delta           noise that the cut and the level allow          (Eq. 23)
    g(b)            4^-b (the law, Eq. 18), or (2^b - 1)^-2 (the grid of Eq. 9)

Variables
    width[i]        b_i in [lo, hi]

    minimise    base + sum_i pi_i b_i                               (Eq. 24)
    accuracy    sum_i c_i g(b_i) <= Delta                           (Eq. 25)
    memory      sum_i (z_i b_i + h_i) <= memory                     (weights and their scales)

In CVXPY (`convex_cvxpy`), for the law, the accuracy row divided by Delta reads

    log sum_i exp(log(c_i / Delta) - b_i ln 4) <= 0,

which the exponential cone holds whatever the scale of c. Its dual value mu and the multiplier lambda of the row
as printed are one thing: lambda = mu unit / Delta (both make pi_i = lambda ln 4 c_i 4^-b_i where b_i is free).

In Pyomo (`convex`), for a linear solver: g is convex, so it lies above its tangents (Kelley 1960). With one
variable share[i] for the part of Delta that tensor i spends,

    accuracy    sum_i share_i <= 1
    tangents    share_i >= f_i(a) + f_i'(a) (b_i - a),   f_i = c_i g / Delta, at any number of widths a

is a relaxation: its optimum is a lower bound. Solve, add tangents at the solution (`add_tangent`), repeat. Since
no tensor may spend more than Delta, b_i >= f_i^-1(2) (`least_width`) cuts off nothing and keeps tangents moderate; it
is 2 and not 1 so that this bound is never active and the accuracy row keeps its multiplier. Each tangent is divided
by f_i(a).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from qopt.core.arrays import FloatArray
from qopt.core.errors import MethodError
from qopt.core.limits import within
from qopt.core.reading import problem_of
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem, subproblems

if TYPE_CHECKING:
    import cvxpy as cp

LN2, LN4 = math.log(2.0), math.log(4.0)

SMALLEST_SHARE = 1e-10
"""Tangents are taken where a tensor spends at least this part of Delta; below it, share >= 0 says enough."""


def _log2_coefficients(subproblem: Subproblem) -> FloatArray:
    """(n,) log2 of c_i / Delta; minus infinity where c_i = 0, even if Delta is."""
    c = subproblem.coefficient
    assert c is not None
    scaled = np.full(len(c), -np.inf)
    with np.errstate(divide="ignore"):  # a limit of 0
        scaled[c > 0] = np.log2(c[c > 0]) - np.log2(subproblem.limit)
    return scaled


def log2_share(subproblem: Subproblem, width: FloatArray, model: str) -> FloatArray:
    """(n,) log2 of f_i(b_i) = c_i g(b_i) / Delta; minus infinity where c_i = 0.

    Parameters
    ----------
    width : (n,) bits.
    model : ``law`` or ``grid``: how noise falls with width.
    """
    scaled = _log2_coefficients(subproblem)
    g = -2.0 * width
    if model == "grid":
        g = g - 2.0 * np.log1p(-np.exp2(-width)) / LN2
    return scaled + g


def steepness(width: FloatArray, model: str) -> FloatArray:
    """(n,) -f'(b) / f(b): ln 4 for the law, ln 4 / (1 - 2^-b) for the grid.

    Parameters
    ----------
    width : (n,) bits.
    model : ``law`` or ``grid``: how noise falls with width.
    """
    return np.full(len(width), LN4) if model == "law" else LN4 / -np.expm1(-LN2 * width)


def width_at(subproblem: Subproblem, share: float | FloatArray, model: str) -> FloatArray:
    """(n,) width at which a tensor spends a share of Delta, f_i^-1(share): log2(c / (Delta share)) / 2 for the law.

    Minus infinity for the law and 0 for the grid where c_i = 0.

    Parameters
    ----------
    share : of Delta: one for all, or (n,).
    model : ``law`` or ``grid``: how noise falls with width.
    """
    half: FloatArray = 0.5 * (_log2_coefficients(subproblem) - np.log2(share))
    # The grid's: log2(1 + sqrt(c / (Delta share))).
    return half if model == "law" else np.logaddexp2(0.0, half)


def least_width(subproblem: Subproblem, model: str) -> FloatArray:
    """(n,) width at which a tensor alone spends twice Delta, within [lo, hi]: no feasible point is below it.

    Parameters
    ----------
    model : ``law`` or ``grid``: how noise falls with width.
    """
    return np.clip(width_at(subproblem, 2.0, model), float(subproblem.bits[0]), float(subproblem.bits[-1]))


def noisy(subproblem: Subproblem) -> list[int]:
    """Positions of the tensors that make any noise, where there is a limit on it."""
    if math.isinf(subproblem.limit):
        return []
    assert subproblem.coefficient is not None
    return [int(k) for k in np.flatnonzero(subproblem.coefficient > 0)]


def fixed_cut(problem: QPart, cut: int) -> Subproblem:
    """Data of one cut, for real-valued bits.

    Parameters
    ----------
    cut : p, 0..L.

    Raises
    ------
    InputError
        The problem is of another family.
    MethodError
        The noise is a measured table, which says nothing between whole widths; Delta is 0, so that no width
        of a tensor that makes noise keeps it; or the overhead alone exceeds the memory.
    """
    problem = problem_of(QPart, problem)
    if problem.noise.model == "table":
        raise MethodError("noise.model: found 'table'; allowed: 'law' or 'grid', because a table has whole widths only")
    subproblem = subproblems(problem).at(cut)
    if subproblem.limit == 0.0 and noisy(subproblem):
        raise MethodError(f"accuracy.delta: found 0 at cut {cut}; allowed: a limit > 0, because noise never vanishes")
    if not within(subproblem.overhead, subproblem.memory):
        found = f"{subproblem.memory:g} bits, less than the overhead at cut {cut}"
        raise MethodError(f"device.memory: found {found}; allowed: a memory that holds it")
    return subproblem


def units(subproblem: Subproblem) -> tuple[float, float]:
    """Offset and unit of the objective: its cost at the smallest widths, and the prices' sum."""
    offset = subproblem.base + float(subproblem.price.sum()) * float(subproblem.bits[0])
    return offset, float(subproblem.price.sum()) or 1.0


def first_guess(subproblem: Subproblem, model: str) -> FloatArray:
    """(n,) widths at which every tensor spends noise in proportion to its price, clipped to their ranges.

    Parameters
    ----------
    model : ``law`` or ``grid``: how noise falls with width.
    """
    lo, hi = least_width(subproblem, model), float(subproblem.bits[-1])
    total = float(subproblem.price.sum()) or 1.0
    # A tensor without price spends nothing: hi, unless it makes no noise.
    share = np.maximum(subproblem.price / total, 1e-300)
    return np.clip(width_at(subproblem, share, model), lo, hi)


def convex(problem: QPart, cut: int) -> pyo.ConcreteModel:
    """The tangent form in Pyomo, with first tangents where noise is spent in proportion to price.

    Variables ``width[tensor]`` and ``share[tensor]``, rows ``accuracy``, ``memory`` and ``tangents``, expression
    ``cost`` (Eq. 17); the objective is ``(cost - offset) / unit``. A linear relaxation of the convex problem:
    `qopt.qpart.methods.highs_cuts` tightens it until it is exact.

    Parameters
    ----------
    cut : p, 1..L.

    Raises
    ------
    MethodError
        See `fixed_cut`.
    """
    subproblem = fixed_cut(problem, cut)
    tensors = [int(i) for i in subproblem.tensors]
    lo, hi = least_width(subproblem, problem.noise.model), float(subproblem.bits[-1])
    price = dict(zip(tensors, subproblem.price.tolist(), strict=True))
    part = noisy(subproblem)

    model = pyo.ConcreteModel(name=f"{problem.name}, cut {cut}")
    least = dict(zip(tensors, lo.tolist(), strict=True))
    model.width = pyo.Var(tensors, bounds=lambda _, i: (least[i], hi))
    model.share = pyo.Var([tensors[k] for k in part], bounds=(0.0, 2.0))
    model.cost = pyo.Expression(expr=subproblem.base + sum(price[i] * model.width[i] for i in tensors))
    model.offset, model.unit = units(subproblem)
    model.objective = pyo.Objective(
        expr=sum(price[i] / model.unit * (model.width[i] - float(subproblem.bits[0])) for i in tensors)
    )
    if part:
        model.accuracy = pyo.Constraint(expr=sum(model.share.values()) <= 1)
    if math.isfinite(subproblem.memory) and subproblem.stored.any():
        limit = subproblem.memory or 1.0
        used = sum(z / limit * model.width[i] for z, i in zip(subproblem.stored.tolist(), tensors, strict=True) if z)
        model.memory = pyo.Constraint(expr=used + math.fsum(subproblem.overhead) / limit <= subproblem.memory / limit)
    model.tangents = pyo.ConstraintList()
    add_tangents(model, subproblem, first_guess(subproblem, problem.noise.model), problem.noise.model)
    return model


def add_tangents(model: pyo.ConcreteModel, subproblem: Subproblem, width: FloatArray, noise_model: str) -> list[Any]:
    """Add the tangent of every noisy tensor at its width, divided by its share there; returns the rows.

    Parameters
    ----------
    model : a `convex` model, which gets the rows.
    width : (n,) bits.
    noise_model : ``law`` or ``grid``.
    """
    last = width_at(subproblem, SMALLEST_SHARE, noise_model)
    at = np.clip(np.minimum(width, last), float(subproblem.bits[0]), float(subproblem.bits[-1]))
    inverse = np.exp2(-log2_share(subproblem, at, noise_model))  # 1 / f(a) <= 1 / SMALLEST_SHARE
    slope = steepness(at, noise_model)  # -f'(a) / f(a)
    rows = []
    for k in noisy(subproblem):
        i = int(subproblem.tensors[k])
        if last[k] > float(subproblem.bits[0]):
            row = inverse[k] * model.share[i] + slope[k] * model.width[i] >= 1.0 + slope[k] * at[k]
            rows.append(model.tangents.add(row))
    return rows


def convex_cvxpy(problem: QPart, cut: int) -> cp.Problem:
    """The cone form in CVXPY, for noise that follows the law; ``width`` in the order of the subproblem's tensors.

    Returns a `cvxpy.Problem` whose objective is (Eq. 17 - offset) / unit, see `units`. The accuracy row is
    ``constraints[0]`` where any tensor makes noise, the memory row the last one where there is one.

    Parameters
    ----------
    cut : p, 1..L.

    Raises
    ------
    MethodError
        See `fixed_cut`; also if the noise is that of the grid.
    """
    import cvxpy as cp  # 0.9 s: only when asked for

    problem = problem_of(QPart, problem)
    if problem.noise.model != "law":
        raise MethodError(
            f"noise.model: found {problem.noise.model!r}; allowed: 'law', which the exponential cone holds"
        )
    subproblem = fixed_cut(problem, cut)
    n, part = len(subproblem.tensors), noisy(subproblem)
    if n == 0:
        return cp.Problem(cp.Minimize(cp.Constant(0.0)))
    lo, hi = least_width(subproblem, "law"), float(subproblem.bits[-1])
    _, unit = units(subproblem)

    width = cp.Variable(n, name="width")
    constraints = []
    if part:
        at_zero = log2_share(subproblem, np.zeros(n), "law")[part] * LN2
        constraints.append(cp.log_sum_exp(at_zero - LN4 * width[part]) <= 0)
    constraints += [width >= lo, width <= hi]
    if math.isfinite(subproblem.memory) and subproblem.stored.any():
        limit = subproblem.memory or 1.0
        used = subproblem.stored / limit @ width + math.fsum(subproblem.overhead) / limit
        constraints.append(used <= subproblem.memory / limit)
    cost = subproblem.price / unit @ (width - float(subproblem.bits[0]))
    return cp.Problem(cp.Minimize(cost), constraints)


def extract_widths(model: pyo.ConcreteModel | cp.Problem, subproblem: Subproblem) -> FloatArray:
    """(n,) widths of a solved model, Pyomo's or CVXPY's, clipped to [lo, hi].

    Parameters
    ----------
    model : a solved `convex` or `convex_cvxpy`.
    """
    if hasattr(model, "var_dict"):
        found = model.var_dict["width"].value if len(subproblem.tensors) else np.zeros(0)
    else:
        found = np.array([pyo.value(model.width[int(i)]) for i in subproblem.tensors], dtype=np.float64)
    clipped: FloatArray = np.clip(found, float(subproblem.bits[0]), float(subproblem.bits[-1]))
    return clipped


def extract(model: pyo.ConcreteModel | cp.Problem, problem: QPart, cut: int) -> QPartPlan:
    """The plan of a solved model at its cut; whether it keeps the limits to the last digit is not checked.

    Parameters
    ----------
    model : a solved `convex` or `convex_cvxpy`.
    cut : the one that it is of.
    """
    subproblem = subproblems(problem_of(QPart, problem)).at(cut)
    return subproblem.plan(extract_widths(model, subproblem), "real", problem.name)

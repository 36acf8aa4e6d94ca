"""A format for each group within budgets: a multiple-choice knapsack, with pairs of groups as products.

Sets and data
    g in G            groups;  F_g its menu of formats;  q in Q the pools (one without a name where there are none)
    d_gf              damage of group g in format f
    r_kgfq, R_k       use of resource k, and its budget less what is fixed; for a pool, the use that lies in it
    (g, h) in P       pairs that interact, with damage D_fe

Variables
    chosen[g, f, q]       x_gfq = 1 if g takes format f and lies in pool q
    together[g, h, f, e]  y_ghfe = 1 if g takes f and h takes e

    minimise      sum d_gf x_gfq + sum D_fe y_ghfe             or a resource, with this as a row: damage <= its limit
    one           sum_fq x_gfq = 1                             for each g
    budget        sum r_kgfq x_gfq <= R_k                      for each k with a budget, and each pool
    tied          x_gfq = x_hfq                                for tied groups g, h
    marginals     sum_e y_ghfe = sum_q x_gfq,   sum_f y_ghfe = sum_q x_heq        for each pair
    x binary, 0 <= y <= 1

The products' marginals are what makes the relaxation worth something: McCormick's rows alone, y >= x_f + x_e - 1, leave
y = 0 at x = 1/2, a bound of nothing where D >= 0. y need not be declared binary, as x decides it.

Form ``lp`` has 0 <= x <= 1. Scaling: costs are divided by `model.unit`, rows by their limits; `model.cost` is in the
problem's units. Budgets in whole units are rows in floats here like the others: whoever solves puts the point to the
exact test and calls `exclude` where it fails.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo

from qopt.allocation.items import Items, items
from qopt.allocation.plan import AllocationPlan, places, plan_of
from qopt.allocation.problem import DAMAGE, Allocation
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.errors import InputError, shown
from qopt.core.reading import problem_of
from qopt.core.solvers.answers import give

RATE, RATE_CVXPY = 40_000, 200_000
"""Entries of a model that are built and handed over in a second, by Pyomo and by CVXPY."""

PAIR_CVXPY = 1_000.0
"""A pair of groups takes CVXPY as long as so many entries."""

FORMS = ("mip", "lp")
"""Forms of the joint model: ``lp`` is its linear relaxation."""


def unit(own: Items) -> float:
    """What costs are divided by: a thousandth of the median group's spread, times the number of groups."""
    spread = np.ptp(np.where(own.allowed, own.cost[: len(own.allowed)], own.cost[: len(own.allowed), :1]), axis=1)
    return float(np.median(spread) or spread.max(initial=0.0) or 1.0) * len(spread) / 1000.0


def _afford(own: Items, rate: float, pair: float, clock: Clock) -> None:
    """Raise `OutOfTime` where there is surely no time to build a model and to hand it over."""
    pairs = len(own.problem.interactions)
    size = float(own.allowed.sum()) * (2 + len(own.budgets))
    if not clock.affords(size + pair * pairs, rate):
        raise OutOfTime(f"a model of {size:.0f} entries and {pairs} pairs")


def joint(problem: Allocation, form: str = "mip", *, clock: Clock = ENDLESS) -> pyo.ConcreteModel:
    """The choice of formats as one Pyomo model, in one of `FORMS`; see the head of this file.

    Parameters
    ----------
    form : one of `FORMS`.
    clock : the model is built only where there is time to build it and to hand it over.

    Returns
    -------
    A model with ``chosen[g, f, q]`` by names, ``together``, the rows named above, the expressions ``damage`` and
    ``cost``, and an empty list of rows ``excluded``. Read the plan with `extract`.

    Raises
    ------
    InputError
        The problem is no allocation, or the form is none of `FORMS`.
    OutOfTime
        By the clock there is no time to build the model and to hand it over.
    """
    problem = problem_of(Allocation, problem, named=True)
    if form not in FORMS:
        raise InputError("form", shown(form), ", ".join(FORMS))
    own = items(problem)
    _afford(own, RATE, 4.0 * len(problem.formats) ** 2, clock)
    domain = pyo.Binary if form == "mip" else pyo.UnitInterval
    model = pyo.ConcreteModel(name=problem.name)
    at = _columns(own)
    model.chosen = pyo.Var(list(at), domain=domain)
    _choose_one(model, own, at)
    _pairs(model, own)
    model.damage = pyo.Expression(expr=_damage(model, problem, at))
    if problem.minimise == DAMAGE:
        cost = model.damage
    else:
        cost = _total(model, own.cost, at) + float(own.cost[len(own.allowed) :, 0].sum())
    model.cost = pyo.Expression(expr=cost)
    model.unit = unit(own)
    model.objective = pyo.Objective(expr=model.cost / model.unit)
    _keep_budgets(model, own, at)
    model.excluded = pyo.ConstraintList(doc="plans that kept a budget only within the solver's tolerance")
    return model


def _columns(own: Items) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Class and column of every item that is on a menu, by the names of group, format and pool."""
    problem, pools = own.problem, own.problem.pool_names
    return {
        (problem.groups[g], problem.formats[c // own.pools], pools[c % own.pools]): (int(g), int(c))
        for g, c in np.argwhere(own.allowed).tolist()
    }


def _choose_one(model: Any, own: Items, at: dict[tuple[str, str, str], tuple[int, int]]) -> None:
    """Rows ``one``, a format for each group, and ``tied``, the same for tied ones."""
    of_group: dict[int, dict[int, Any]] = {}
    for key, (g, c) in at.items():
        of_group.setdefault(g, {})[c] = model.chosen[key]
    model.one = pyo.Constraint(range(len(own.allowed)), rule=lambda _, g: sum(of_group[g].values()) == 1)
    tied = [(tie[0], g, c) for tie in own.ties for g in tie[1:] for c in of_group[g]]
    model.tied = pyo.Constraint(tied, rule=lambda _, first, g, c: of_group[g][c] == of_group[first][c])


def _pairs(model: Any, own: Items) -> None:
    """Variables ``together`` and rows ``marginals``, on both sides of each pair."""
    problem, pools = own.problem, own.problem.pool_names
    menus = {
        name: [f for f, on in zip(problem.formats, own.allowed[g, :: own.pools], strict=True) if on]
        for name, g in problem.place.items()
    }
    keys = [(*p.groups, f, e) for p in problem.interactions for f in menus[p.groups[0]] for e in menus[p.groups[1]]]
    model.together = pyo.Var(keys, domain=pyo.UnitInterval)
    model.marginals = pyo.ConstraintList(doc="products add up to what they are products of")
    for pair in problem.interactions:
        g, h = pair.groups
        for f in menus[g]:
            products = sum(model.together[g, h, f, e] for e in menus[h])
            model.marginals.add(products == sum(model.chosen[g, f, q] for q in pools))
        for e in menus[h]:
            products = sum(model.together[g, h, f, e] for f in menus[g])
            model.marginals.add(products == sum(model.chosen[h, e, q] for q in pools))


def _damage(model: Any, problem: Allocation, at: dict[tuple[str, str, str], tuple[int, int]]) -> Any:
    """Damage of groups and pairs."""
    place = {name: f for f, name in enumerate(problem.formats)}
    alone = sum(float(problem.damage[g, place[key[1]]]) * model.chosen[key] for key, (g, _) in at.items())
    tables = {pair.groups: pair.damage for pair in problem.interactions}
    pairs = sum(float(tables[g, h][place[f], place[e]]) * y for (g, h, f, e), y in model.together.items())
    return alone + pairs


def _total(model: Any, table: FloatArray, at: dict[tuple[str, str, str], tuple[int, int]]) -> Any:
    """A sum over what is chosen."""
    return sum(float(table[place]) * model.chosen[key] for key, place in at.items() if table[place])


def _keep_budgets(model: Any, own: Items, at: dict[tuple[str, str, str], tuple[int, int]]) -> None:
    """Rows ``budgets``: every resource and pool with a limit, and damage where that is limited."""
    model.budgets = pyo.ConstraintList(doc="in the order of the problem's limits")
    for budget in own.budgets:
        left = budget.allowed - float(budget.use[len(own.allowed) :, 0].sum())
        scale = abs(left) or float(budget.use.max()) or 1.0
        used = model.damage if budget.name == DAMAGE else _total(model, budget.use, at)
        if isinstance(used, int | float):  # nobody takes any of it
            used = used + 0 * next(iter(model.chosen.values()))
        model.budgets.add(used / scale <= left / scale)


def extract(model: Any, problem: Allocation) -> AllocationPlan:
    """The plan that a solved joint model holds: of each group the item that is chosen most.

    Whether it keeps the budgets is for the certificate to say.

    Parameters
    ----------
    model : a solved `joint`.
    """
    problem = problem_of(Allocation, problem)
    best: dict[str, tuple[float, str, str]] = {}
    for (g, f, q), variable in model.chosen.items():
        value = pyo.value(variable, exception=False) or 0.0
        if g not in best or value > best[g][0]:
            best[g] = (value, f, q)
    format_of, pool_of = ({name: i for i, name in enumerate(names)} for names in (problem.formats, problem.pool_names))
    formats = [format_of[best[g][1]] for g in problem.groups]
    return plan_of(problem, formats, [pool_of[best[g][2]] for g in problem.groups])


def assign(model: Any, problem: Allocation, plan: AllocationPlan) -> None:
    """Give the variables of a joint model the values of a plan; the inverse of `extract`.

    Parameters
    ----------
    model : a `joint`, of the same problem.

    Raises
    ------
    InputError
        The plan does not fit the problem.
    """
    problem = problem_of(Allocation, problem)
    formats, pools = places(problem, plan)
    names = [problem.formats[f] for f in formats.tolist()]
    pool = [problem.pool_names[q] for q in pools.tolist()]
    values: list[tuple[Any, object, float]] = [
        (model.chosen, key, 1.0) for key in zip(problem.groups, names, pool, strict=True)
    ]
    taken = dict(zip(problem.groups, names, strict=True))
    for pair in problem.interactions:
        g, h = pair.groups
        values.append((model.together, (g, h, taken[g], taken[h]), 1.0))
    give(model, values)


def legend(problem: Allocation) -> list[str]:
    """What the names of the joint model's columns mean, a line each."""
    problem = problem_of(Allocation, problem)
    pools = ", in pool q: chosen(g,f,q)" if problem.pools is not None else ""
    lines = [f"chosen(g,f): group g takes format f{pools}"]
    return [*lines, "together(g,h,f,e): g takes f and h takes e"] if problem.interactions else lines


def exclude(model: Any, problem: Allocation, plan: AllocationPlan) -> None:
    """Cut off one plan: some group must choose another item.

    Parameters
    ----------
    model : a `joint`, which gets a row more in ``excluded``.
    plan : the plan that becomes infeasible, and no other.
    """
    problem = problem_of(Allocation, problem)
    pools = plan.pools or dict.fromkeys(problem.groups, "")
    chosen = [model.chosen[g, plan.formats[g], pools[g]] for g in problem.groups]
    model.excluded.add(sum(chosen) <= len(chosen) - 1)


def boolean_cvxpy(problem: Allocation, form: str = "mip", *, clock: Clock = ENDLESS) -> Any:
    """The same model in CVXPY, as matrices; in one of `FORMS`.

    Returns a `cvxpy.Problem` with the variable ``chosen``, (groups, items) with item f Q + q. Its objective is divided
    by `unit`. Read the plan with `extract_cvxpy`.

    Parameters
    ----------
    form : one of `FORMS`.
    clock : as for `joint`.

    Raises
    ------
    InputError
        The problem is no allocation, or the form is none of `FORMS`.
    OutOfTime
        By the clock there is no time to build the model and to hand it over.
    """
    import cvxpy as cp  # 0.9 s: only when asked for

    problem = problem_of(Allocation, problem, named=True)
    if form not in FORMS:
        raise InputError("form", shown(form), ", ".join(FORMS))
    own = items(problem)
    _afford(own, RATE_CVXPY, PAIR_CVXPY, clock)
    n = len(own.allowed)
    x = cp.Variable(own.allowed.shape, boolean=form == "mip", nonneg=form == "lp", name="chosen")
    formats = cp.reshape(x, (n * len(problem.formats), own.pools), order="C") @ np.ones(own.pools)
    by_format = cp.reshape(formats, (n, len(problem.formats)), order="C")
    constraints = [cp.sum(x, axis=1) == 1]
    if not own.allowed.all():
        constraints.append(x[~own.allowed] == 0)
    if own.ties:
        first, other = zip(*((tie[0], g) for tie in own.ties for g in tie[1:]), strict=True)
        constraints.append(x[list(first)] == x[list(other)])
    damage = cp.sum(cp.multiply(np.where(problem.menu, problem.damage, 0.0), by_format))
    for pair in problem.interactions:
        g, h = (problem.place[name] for name in pair.groups)
        y = cp.Variable(pair.damage.shape, nonneg=True)
        constraints += [cp.sum(y, axis=1) == by_format[g], cp.sum(y, axis=0) == by_format[h]]
        damage = damage + cp.sum(cp.multiply(np.where(np.isfinite(pair.damage), pair.damage, 0.0), y))
    for budget in own.budgets:
        left = budget.allowed - float(budget.use[n:, 0].sum())
        scale = abs(left) or float(budget.use.max()) or 1.0
        used = damage if budget.name == DAMAGE else cp.sum(cp.multiply(budget.use[:n], x))
        constraints.append(used / scale <= left / scale)
    cost = damage if problem.minimise == DAMAGE else cp.sum(cp.multiply(own.cost[:n], x))
    return cp.Problem(cp.Minimize(cost / unit(own)), constraints)


def extract_cvxpy(model: Any, problem: Allocation) -> AllocationPlan:
    """The plan that a solved `boolean_cvxpy` holds.

    Parameters
    ----------
    model : a solved `boolean_cvxpy`.
    """
    problem = problem_of(Allocation, problem)
    own = items(problem)
    column: IntArray = np.argmax(np.where(own.allowed, model.var_dict["chosen"].value, -1.0), axis=1)
    return plan_of(problem, column // own.pools, column % own.pools)

"""QPART in whole bits: the joint choice of cut and bit-widths as a mixed-integer program.

Sets and data (QPART, sections III-IV)
    p in P          admissible cuts, layers 1..p on the device (p = 0 sends the raw input and quantizes nothing)
    i in T_p        tensors that cut p quantizes: weights of layer l are written l, its output -l
                    (tensors that share a width are one entry, named after the first: tied layers, or with Eq. 14 to
                    the letter layer p's weights and output)
    b in B_i        widths on the menu of tensor i, lo..hi without one
    base_p          xi O_1 + delta O_2, the raw input where it is sent, and overhead (Eq. 17 without eps Z)
    pi_i            objective per bit of width: eps z_i                          (Eqs. 14, 17)
    N_i(b) / rho_i  noise term of tensor i at b bits                             (Eqs. 18-22)
    Delta_p         noise that cut p and the accuracy level allow                (Eq. 23)
    z_i, h_i        bits of device memory per bit of width, and those that any width takes (scales, zero points)
    memory          bits of device memory
    t_i(b)          objective of computing tensor i's layers on the device at b bits, where a table says it
    u_ri(b), u_rp   what tensor i at b bits, and the cut whatever the widths, use of limit r
    U_r             limits on time, energy, price and payload

Variables
    cut[p]          y_p = 1 if the network is cut after layer p
    width[p, i, b]  x_pib = 1 if moreover tensor i gets b bits

Model ``one-hot``
    minimise    sum_p base_p y_p + sum_pib (pi_i b + t_i(b)) x_pib               (Eq. 17)
    one_cut     sum_p y_p = 1
    one_width   sum_b x_pib = y_p                             for p, i in T_p
    accuracy    sum_ib N_i(b) / rho_i x_pib <= Delta_p y_p    for p >= 1         (Eq. 23)
    memory      sum_ib (z_i b + h_i) x_pib <= memory y_p              for p >= 1
    limit       u_rp y_p + sum_ib u_ri(b) x_pib <= U_r y_p            for every limit r, all p

``aggregated`` adds the accuracy rows of all cuts (each divided by its Delta_p) into one row, and the memory rows
likewise. At integer points that says the same, because one cut's variables alone are not zero; its LP
relaxation is weaker, since one cut may borrow noise from another.

``big-m`` and ``hull`` start from the disjunction "cut 1's rows hold, or cut 2's, or ..." over shared variables
width[i, b], written with `pyomo.gdp`. The hull's LP bound equals that of ``one-hot``; big-M's is never better.

Scaling, so that a solver's absolute tolerances mean something: accuracy and memory rows are divided by their
limits; items that break a limit on their own are left out. `model.cost` is Eq. 17 in its own units; the objective
is ``(cost - offset) / unit`` with the numbers ``model.offset`` and ``model.unit``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
from pyomo.gdp import Disjunct, Disjunction

from qopt.core.arrays import BoolArray
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.errors import InputError, shown
from qopt.core.limits import limit_with_slack
from qopt.core.reading import problem_of
from qopt.core.solvers.answers import give
from qopt.qpart.costs import breakdown
from qopt.qpart.plan import QPartPlan, checked_plan
from qopt.qpart.problem import QPart
from qopt.qpart.rows import Row
from qopt.qpart.subproblem import Subproblem, subproblems

if TYPE_CHECKING:
    import cvxpy as cp

FORMS = ("one-hot", "aggregated", "big-m", "hull")
"""Forms of the joint model."""

RATES = {"one-hot": 15_000, "aggregated": 15_000, "big-m": 6_000, "hull": 700}
"""Variables a second that are built and handed to HiGHS, on two old cores: Pyomo cannot be stopped while it does that,
so a model for which there is no time is not begun."""


def tables(problem: QPart, clock: Clock = ENDLESS) -> dict[int, Subproblem]:
    """Data of every admissible cut: prices, noise terms, limits. Raises `OutOfTime` where the clock is over."""
    problem = problem_of(QPart, problem)
    table = subproblems(problem)
    return {int(p): table.at(int(p)) for p in clock.watching(problem.admissible_cuts)}


def admissible(subproblem: Subproblem) -> BoolArray:
    """(n, k) widths on the menus that do not break a limit on their own."""
    fits: BoolArray = subproblem.noise <= limit_with_slack(subproblem.limit)
    fits &= subproblem.storage <= limit_with_slack(subproblem.memory)
    for row in subproblem.limits:
        fits &= row.use <= limit_with_slack(row.limit)
    return fits & subproblem.on_menu


def items(subproblem: Subproblem) -> Iterator[tuple[int, int, float, float, float]]:
    """Every admissible item of a cut: tensor, width, cost, share of Delta, share of the memory."""
    allowed = admissible(subproblem)
    noise_limit = limit_with_slack(subproblem.limit) or 1.0
    memory_limit = limit_with_slack(subproblem.memory) or 1.0
    for i, j in zip(*np.nonzero(allowed), strict=True):
        b = int(subproblem.bits[j])
        share, stored = float(subproblem.noise[i, j]) / noise_limit, float(subproblem.storage[i, j]) / memory_limit
        yield int(subproblem.tensors[i]), b, float(subproblem.cost[i, j]), share, stored


def shares(subproblem: Subproblem, row: Row) -> tuple[dict[tuple[int, int], float], float]:
    """What every admissible item uses of a limit, and what they may use together: shares of what the cut leaves of it.

    Parameters
    ----------
    row : one of ``subproblem.limits``.
    """
    i, j = np.nonzero(admissible(subproblem))
    used, room = row.scaled(row.use[i, j])
    keys = zip(subproblem.tensors[i].tolist(), subproblem.bits[j].tolist(), strict=True)
    return dict(zip(keys, used.tolist(), strict=True)), room


def scale(at: dict[int, Subproblem]) -> tuple[float, float]:
    """Offset and unit of the objective: optima lie between 0 and about 1000 units above the offset.

    The offset is the cheapest cut at the smallest widths, a lower bound; the unit is a thousandth of the way from
    there to the cheapest cut at the largest widths.

    Parameters
    ----------
    at : data of each admissible cut, as `tables` gives them.
    """
    # With tables the smallest width need not be the cheapest.
    least = [s.base + float((s.cost[:, 0] if s.computing is None else s.cost.min(axis=1)).sum()) for s in at.values()]
    most = [s.base + float((s.cost[:, -1] if s.computing is None else s.cost.max(axis=1)).sum()) for s in at.values()]
    offset = min(least)
    way = max(min(most) - offset, 1e-3 * (max(most) - offset))
    return offset, (way or abs(offset) or 1.0) / 1000.0


def joint(problem: QPart, form: str = "one-hot", *, clock: Clock = ENDLESS) -> pyo.ConcreteModel:
    """The joint mixed-integer program over cut and widths.

    Parameters
    ----------
    problem : the request.
    form : one of `FORMS`; see the head of this file.
    clock : the model is built only where there is time to build it and to hand it over.

    Returns
    -------
    An ordinary Pyomo model with binaries ``cut[p]`` and ``width[p, tensor, b]`` (``width[tensor, b]`` in the forms
    ``big-m`` and ``hull``), rows ``accuracy`` and ``memory`` and the expression ``cost`` (Eq. 17). Add
    constraints to it, solve it with any MIP solver, and read the plan with `extract`. Ask HiGHS for a gap of 0 and
    tolerances of 1e-9 (``mip_rel_gap``, ``mip_feasibility_tolerance``, ``primal_feasibility_tolerance``): with its
    default of 1e-6 it calls worse plans optimal.

    Raises
    ------
    InputError
        The problem is of another family, or the form is none of `FORMS`.
    OutOfTime
        There is no time.
    """
    problem = problem_of(QPart, problem)
    if form not in FORMS:
        raise InputError("form", shown(form), ", ".join(FORMS))
    at = tables(problem, clock)
    of = {p: list(clock.watching(items(subproblem))) for p, subproblem in at.items()}
    if not clock.affords(sum(map(len, of.values())), RATES[form]):
        raise OutOfTime(f"{sum(map(len, of.values()))} variables")
    if form in ("big-m", "hull"):
        model = gdp(problem)
        pyo.TransformationFactory("gdp.bigm" if form == "big-m" else "gdp.hull").apply_to(model)
        return model

    device_cuts = [p for p in at if p > 0 or len(at[p].tensors)]
    tensors = [(p, int(i)) for p in at for i in at[p].tensors]
    choices = [(p, i, b) for p in at for i, b, *_ in of[p]]
    widths: dict[tuple[int, int], list[int]] = {key: [] for key in tensors}
    for p, i, b in choices:
        widths[p, i].append(b)

    model = pyo.ConcreteModel(name=problem.name)
    model.cut = pyo.Var(list(at), domain=pyo.Binary)
    model.width = pyo.Var(choices, domain=pyo.Binary)
    cut, width = model.cut, model.width

    model.cost = pyo.Expression(
        expr=sum(at[p].base * cut[p] for p in at) + sum(cost * width[p, i, b] for p in at for i, b, cost, *_ in of[p])
    )
    model.offset, model.unit = scale(at)
    model.objective = pyo.Objective(expr=(model.cost - model.offset) / model.unit)

    model.one_cut = pyo.Constraint(expr=sum(cut[p] for p in at) == 1)

    model.one_width = pyo.Constraint(tensors, rule=lambda _, p, i: sum(width[p, i, b] for b in widths[p, i]) == cut[p])

    noise = {p: sum(share * width[p, i, b] for i, b, _, share, _ in of[p]) for p in device_cuts}
    stored = {p: sum(bits * width[p, i, b] for i, b, _, _, bits in of[p]) for p in device_cuts}
    if form == "one-hot":
        model.accuracy = pyo.Constraint(device_cuts, rule=lambda _, p: noise[p] <= cut[p])
        if problem.device.memory is not None:
            model.memory = pyo.Constraint(device_cuts, rule=lambda _, p: stored[p] <= cut[p])
    elif device_cuts:
        used = sum(cut[p] for p in device_cuts)
        model.accuracy = pyo.Constraint(expr=sum(noise.values()) <= used)
        if problem.device.memory is not None:
            model.memory = pyo.Constraint(expr=sum(stored.values()) <= used)
    _add_limits(model, problem, at, aggregated=form == "aggregated")
    return model


def _add_limits(model: pyo.ConcreteModel, problem: QPart, at: dict[int, Subproblem], aggregated: bool) -> None:
    """Rows ``limit[name, p]``, or ``limit[name]``, in shares of what the cut leaves of the limit."""
    cut, width = model.cut, model.width
    rows: dict[tuple[str, int], tuple[Any, Any]] = {}
    for p, subproblem in at.items():
        for row in subproblem.limits:
            used, room = shares(subproblem, row)
            left = sum(share * width[p, i, b] for (i, b), share in used.items() if share)
            rows[row.name, p] = left, room * cut[p]
    if not aggregated:
        model.limit = pyo.Constraint(list(rows), rule=lambda _, name, p: _at_most(*rows[name, p]))
        return
    names = list(problem.given_limits)

    def total(_: object, name: str) -> Any:
        mine = [sides for (of, _p), sides in rows.items() if of == name]
        return _at_most(sum(left for left, _ in mine), sum(right for _, right in mine))

    model.limit = pyo.Constraint(names, rule=total)


def _at_most(left: Any, right: Any) -> Any:
    """A row, or that there is none where nothing in it varies."""
    if left is right or (isinstance(left, int | float) and isinstance(right, int | float)):
        return pyo.Constraint.Feasible if left <= right else pyo.Constraint.Infeasible
    return left <= right


def gdp(problem: QPart) -> pyo.ConcreteModel:
    """The same choice as a disjunction over cuts, before any transformation.

    Disjunct ``at_cut[p]`` holds what is true if the network is cut after layer p: its tensors have one width each,
    the others none, its accuracy and memory rows, and its cost. ``width[tensor, b]`` is shared by all cuts, ``cut[p]``
    are the disjuncts' binary indicators, and ``total`` is the objective.
    """
    at = tables(problem)
    tensors = sorted({int(i) for subproblem in at.values() for i in subproblem.tensors})
    bits = [int(b) for b in next(iter(at.values())).bits]

    model = pyo.ConcreteModel(name=problem.name)
    model.offset, model.unit = offset, unit = scale(at)
    most = max(s.base + float(s.cost.max(axis=1, initial=0.0).sum()) for s in at.values())
    model.width = pyo.Var(tensors, bits, domain=pyo.Binary)
    # A thousandth more than any plan costs: the sums of its price row round.
    model.total = pyo.Var(bounds=(0.0, (most - offset) / unit + 1.0))
    model.cost = pyo.Expression(expr=offset + unit * model.total)
    model.objective = pyo.Objective(expr=model.total)
    width = model.width

    def at_cut(disjunct: Disjunct, p: int) -> None:
        subproblem, choices = at[p], list(items(at[p]))
        chosen = {(i, b) for i, b, *_ in choices}
        idle = [width[i, b] for i in tensors for b in bits if (i, b) not in chosen]
        disjunct.one_width = pyo.Constraint(
            [int(i) for i in subproblem.tensors], rule=lambda _, i: sum(width[i, b] for b in bits) == 1
        )
        if idle:
            disjunct.idle = pyo.Constraint(expr=sum(idle) == 0)
        disjunct.price = pyo.Constraint(
            expr=model.total
            >= (subproblem.base - offset) / unit + sum(cost / unit * width[i, b] for i, b, cost, *_ in choices)
        )
        noise = [share * width[i, b] for i, b, _, share, _ in choices if share]
        if noise:
            disjunct.accuracy = pyo.Constraint(expr=sum(noise) <= 1)
        memory = [stored * width[i, b] for i, b, *_, stored in choices if stored]
        if memory:
            disjunct.memory = pyo.Constraint(expr=sum(memory) <= 1)
        disjunct.limit = pyo.Constraint([row.name for row in subproblem.limits])
        for row in subproblem.limits:
            used, room = shares(subproblem, row)
            terms = sum(share * width[i, b] for (i, b), share in used.items() if share)
            disjunct.limit[row.name] = _at_most(terms, room)

    model.at_cut = Disjunct(list(at), rule=at_cut)
    model.one_cut = Disjunction(expr=list(model.at_cut.values()))
    model.cut = pyo.Reference(model.at_cut[:].binary_indicator_var)
    return model


def joint_cvxpy(problem: QPart) -> cp.Problem:
    """The ``one-hot`` model in CVXPY; boolean vectors named ``cut`` and ``width`` (items in the order of `items`).

    Returns a `cvxpy.Problem`, whose objective is scaled like that of `joint`; read the plan with `extract`.
    Ask HiGHS for tolerances of 1e-9 (``primal_feasibility_tolerance``, ``mip_feasibility_tolerance``): with its default
    of 1e-6 it calls worse plans optimal.
    """
    import cvxpy as cp  # 0.9 s: only when asked for
    from scipy import sparse

    at = tables(problem)
    offset, unit = scale(at)
    rows: list[tuple[Any, ...]] = [(k, i, b, *numbers) for k, p in enumerate(at) for i, b, *numbers in items(at[p])]
    of_tensor = {key: r for r, key in enumerate((k, int(i)) for k, p in enumerate(at) for i in at[p].tensors)}

    cut = cp.Variable(len(at), boolean=True, name="cut")
    base = np.array([subproblem.base for subproblem in at.values()])
    if not rows:
        blocked = [
            cut[k] == 0
            for k, (p, subproblem) in enumerate(at.items())
            if len(at[p].tensors) or any(shares(subproblem, row)[1] < 0 for row in subproblem.limits)
        ]
        return cp.Problem(cp.Minimize((base - offset) / unit @ cut), [cp.sum(cut) == 1, *blocked])

    width = cp.Variable(len(rows), boolean=True, name="width")
    cost, share, stored = (np.array([row[column] for row in rows]) for column in (3, 4, 5))
    where = np.arange(len(rows))
    tensor = np.array([of_tensor[row[0], row[1]] for row in rows])
    owner = np.array([row[0] for row in rows])
    choose = sparse.csr_array((np.ones(len(rows)), (tensor, where)), shape=(len(of_tensor), len(rows)))
    noise = sparse.csr_array((share, (owner, where)), shape=(len(at), len(rows)))
    memory = sparse.csr_array((stored, (owner, where)), shape=(len(at), len(rows)))

    constraints = [
        cp.sum(cut) == 1,
        choose @ width == cut[[k for k, _ in of_tensor]],
        noise @ width <= cut,
    ]
    if problem.device.memory is not None:
        constraints.append(memory @ width <= cut)
    for r in range(len(problem.given_limits)):
        found = [shares(subproblem, subproblem.limits[r]) for subproblem in at.values()]
        used = np.array([found[row[0]][0][row[1], row[2]] for row in rows])
        room = np.array([room for _, room in found])
        of_cut = sparse.csr_array((used, (owner, where)), shape=(len(at), len(rows)))
        constraints.append(of_cut @ width <= cp.multiply(room, cut))
    return cp.Problem(cp.Minimize((base - offset) / unit @ cut + cost / unit @ width), constraints)


def _values(
    model: pyo.ConcreteModel | cp.Problem, problem: QPart
) -> tuple[dict[int, float], dict[tuple[int, ...], float]]:
    """Values of ``cut[p]`` and ``width[...]`` of a solved model, Pyomo's or CVXPY's."""
    if hasattr(model, "var_dict"):
        at, found = tables(problem), model.var_dict
        cut = dict(zip(at, found["cut"].value, strict=True))
        keys = [(p, i, b) for p in at for i, b, *_ in items(at[p])]
        return cut, dict(zip(keys, found["width"].value if keys else [], strict=True))
    cut = {p: pyo.value(v, exception=False) or 0.0 for p, v in model.cut.items()}
    return cut, {key: pyo.value(v, exception=False) or 0.0 for key, v in model.width.items()}


def extract(model: pyo.ConcreteModel | cp.Problem, problem: QPart) -> QPartPlan:
    """The plan that a solved joint model (any form, Pyomo or CVXPY) holds.

    Binaries are rounded: the cut with the largest ``cut[p]``, then for each of its tensors the largest ``width``.
    Whether the plan keeps the limits is for the certificate to say.

    Parameters
    ----------
    model : a solved joint model, of the same problem.
    """
    problem = problem_of(QPart, problem)
    cut, width = _values(model, problem)
    p = max(cut, key=lambda q: cut[q])
    subproblem = subproblems(problem).at(p)
    shared = bool(width) and len(next(iter(width))) == 2
    bits = [int(b) for b in subproblem.bits]

    def value(i: int, b: int) -> float:
        return width.get((i, b) if shared else (p, i, b), -1.0)

    menus = [[b for b, own in zip(bits, mask, strict=True) if own] for mask in subproblem.on_menu.tolist()]
    chosen = np.array(
        [max(menu, key=lambda b: value(int(i), b)) for i, menu in zip(subproblem.tensors, menus, strict=True)],
        dtype=np.int64,
    )
    return subproblem.plan(chosen, "whole", problem.name)


def assign(model: pyo.ConcreteModel, problem: QPart, plan: QPartPlan) -> None:
    """Give the variables of a joint model (any form) the values of a plan; the inverse of `extract`.

    Of form ``hull`` the variables that its transformation adds stay 0.

    Parameters
    ----------
    model : a `joint`, of the same problem.
    plan : in whole bits.

    Raises
    ------
    InputError
        The plan does not fit the problem, or has a width that the model leaves out, as one that is not whole.
    """
    problem = problem_of(QPart, problem)
    plan = checked_plan(problem, plan)
    subproblem = subproblems(problem).at(plan.cut)
    width = dict(zip(subproblem.owner.tolist(), [*plan.weights, *plan.activations], strict=True))
    shared = model.width.dim() == 2
    values: list[tuple[Any, object, float]] = [(model.cut, plan.cut, 1.0)]
    for item, tensor in enumerate(subproblem.tensors.tolist()):
        b = int(width[item]) if width[item].is_integer() else width[item]
        values.append((model.width, (tensor, b) if shared else (plan.cut, tensor, b), 1.0))
    give(model, values)
    if shared:
        model.total.set_value((breakdown(problem, plan).objective - model.offset) / model.unit, skip_validation=True)


def legend(problem: QPart) -> list[str]:
    """What the names of the joint model's columns mean, a line each."""
    problem_of(QPart, problem)
    return [
        "cut(p): layers 1..p run on the device",
        "width(p,i,b), in forms big-m and hull width(i,b): tensor i gets b bits, if the cut is p;",
        "    i is the weights of layer i (the first of a tie), _i the output of layer i",
    ]

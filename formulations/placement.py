"""Operators on tiers: a minimum cut on ordered labels, and a mixed-integer program where limits hold too.

Sets and data (of one operator o; all of them depend on it)
    v in V            operations that o keeps, and node 0, the raw input
    k in 0..K-1       tiers, in a line; link k leads from tier k to tier k + 1
    c_vk              cost of running v on tier k: (w_t + w_e power_k + w_p price_k) time_vk
    t in T            tensors with producer u(t) and readers R(t)
    w_tk              cost of sending t over link k: w_t overhead_k bits_t / rate_k + energy and price
    l_k               cost of a message over link k: w_t latency_k; all of it is one. An operation runs above k
                      if and only if one of the ends does, whose outputs nothing reads: l_k is the weight of one more
                      "tensor", from node 0 to the ends; where there is one end, a part of its c_vk
    m_vk, M_k         bytes of weights of v on tier k, and how many tier k holds
    g in G, b_gk      operations that share weights, and the bytes of these, held once by a tier that runs any of them
    d_tik             what w_tk is more if t is written on tier i: o treats what runs there in another way
    q_t, s in 1..n    bytes of t, where a tier's memory holds tensors too, and steps of the listed order: t is held from
                      its producer's step to its last reader's; r_v bytes more while v runs
    a_o, A            accuracy of operator o, and the least one asked for

Variables
    above[v, k]       x_vk = 1 if v runs above tier k, so tier_v = sum_k x_vk;  x_v,-1 = 1 and x_v,K-1 = 0
    sent[t, k]        z_tk = 1 if tensor t crosses link k
    larger[t, i, k]   e_tik = 1 if it crosses link k and is written on tier i, where d_tik > 0
    held[g, k]        h_gk = 1 if tier k runs an operation of g; stored[k] is what all weights come to
    chosen[o]         y_o = 1 if operator o is taken

Model ``lp`` for one operator: the minimum cut
    minimise    sum_vk c_vk (x_v,k-1 - x_vk) + sum_tk w_tk z_tk
    rising      x_v,k+1 <= x_vk
    upward      x_uk <= x_rk                    for r in R(t), u = u(t): data only moves up the line
    crossing    z_tk >= x_rk - x_uk             once per tensor, however many readers
    0 <= x <= 1

It is the dual of a maximum flow: every row is a difference of two variables, so its vertices are integral, and x
need not be declared binary. That is why any number of tiers is solved exactly: tiers are ordered. As a cut, x_vk says
on which side node (v, k) is; c_vk is the capacity of the arc (v, k-1) -> (v, k), and w_tk that of the arc from an
auxiliary node, on the side of one as soon as one reader is, to (u, k). For any number 0 < h <= 1 the plan "x_vk = 1
where the solution's is >= h" is optimal too, which is how a solution inside a face is read.

Model ``mip`` for all operators: x, z of each operator at most y_o,
    one_operator   sum_o y_o = 1,  over operators with a_o >= A
    memory         sum_v m_vk (x_v,k-1 - x_vk) <= M_k y_o      for each o and tier k with a limit
    latency        the same sum of seconds <= target y_o       (at the size of the input that it is asked for)
    x, y binary
and where o has any of it
    grows          e_tik >= z_tk + (x_u,i-1 - x_ui) - y_o,  cost + sum_tik d_tik e_tik
    holds          h_gk >= x_v,k-1 - x_vk                      for v of g
                   stored_k >= sum_v m_vk (x_v,k-1 - x_vk) + sum_g b_gk h_gk
    limits         stored_k + sum_t q_t (z_t,k-1 + x_u,k-1 - x_uk) + r_s (x_s,k-1 - x_sk) <= M_k y_o
                                                               for each step s, over t held at s

Memory rows, and sizes that depend on the tier, break the total unimodularity: the LP is then only a bound. Scaling:
costs are divided by `model.unit`, rows by their limits. `model.cost` is in the problem's units.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from qopt.core.arrays import FloatArray
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.limits import limit_with_slack
from qopt.core.reading import problem_of
from qopt.core.solvers.answers import give
from qopt.placement.costs import Labelling, labellings, priced_out, used
from qopt.placement.plan import PlacementPlan, checked_placement, labels_of, plan_of
from qopt.placement.problem import Placement
from qopt.placement.rows import Limit, binding, limits
from qopt.placement.terms import Terms, terms

if TYPE_CHECKING:
    import cvxpy as cp

FORMS = ("mip", "lp")
"""Forms of the joint model: ``lp`` is ``mip`` without limits and with x, y between 0 and 1."""


RATE, RATE_CVXPY = 1_000, 250
"""Nodes times links a second that are built and handed to HiGHS, on two old cores, with their tensors: neither can be
stopped, so a model for which there is no time is not begun."""


def operators(problem: Placement, below: float | None = None) -> dict[str, tuple[Terms, Labelling, tuple[Limit, ...]]]:
    """Network, costs and limits of every operator that reaches the accuracy target, by its name.

    Parameters
    ----------
    below : as in `joint`.
    """
    problem = problem_of(Placement, problem)
    return {
        name: (own, priced_out(costs, below), limits(problem, own, costs))
        for name, (own, costs) in labellings(problem).items()
    }


def joint(
    problem: Placement, form: str = "mip", *, below: float | None = None, clock: Clock = ENDLESS
) -> pyo.ConcreteModel:
    """The choice of operator and tiers as one Pyomo model, in one of `FORMS`; see the head of this file.

    Parameters
    ----------
    form : one of `FORMS`.
    below : what a known plan costs: tiers and links that alone cost more are left out, so that numbers which mean
        "not here" do not set the scale.
    clock : raises `OutOfTime` where there is surely no time to build it.

    Returns
    -------
    A model with ``chosen[o]``, ``above[o, v, k]``, ``sent[o, t, k]``, ``larger[o, t, i, k]``, ``held[o, g, k]``,
    ``stored[o, k]``, the rows named above and the expression ``cost``, and an empty list of rows ``excluded``. Read the
    plan with `extract`.

    Raises
    ------
    InputError
        The problem is no placement, or the form is none of `FORMS`.
    MethodError
        No operator reaches the accuracy target, or form ``lp`` of a problem with limits that can bind.
    OutOfTime
        By the clock there is no time to build the model and to hand it over.
    """
    problem = problem_of(Placement, problem, named=True)
    if form not in FORMS:
        raise InputError("form", shown(form), ", ".join(FORMS))
    _afford(problem, clock)
    data = operators(problem, below)
    if not data:
        raise MethodError("no operator reaches the accuracy target")
    if form == "lp":
        for _, costs, rows in data.values():
            _refuse_limits(problem, costs, rows, "form lp")
    domain = pyo.Binary if form == "mip" else pyo.UnitInterval
    nodes = [(o, v) for o, (_, costs, _) in data.items() for v in range(len(costs.unary))]
    tensors = [(o, t) for o, (_, costs, _) in data.items() for t in range(len(costs.producer))]
    links = range(len(problem.links))

    model = pyo.ConcreteModel(name=problem.name)
    model.chosen = pyo.Var(list(data), domain=domain)
    model.above = pyo.Var(nodes, links, domain=domain)
    model.sent = pyo.Var(tensors, links, domain=pyo.UnitInterval)

    dear = [(o, *place) for o, (_, costs, rows) in data.items() for place in _dear(costs, rows)]
    model.larger = pyo.Var(dear, domain=pyo.UnitInterval)

    model.cost = pyo.Expression(
        expr=sum(_total(model, o, costs, costs.unary, costs.weight, costs.extra) for o, (_, costs, _) in data.items())
    )
    model.unit = unit(costs for _, costs, _ in data.values())
    model.objective = pyo.Objective(expr=model.cost / model.unit)
    model.one_operator = pyo.Constraint(expr=sum(model.chosen[o] for o in data) == 1)
    labels = {o: costs for o, (_, costs, _) in data.items()}
    _order_tiers(model, labels, nodes, links)
    _follow_data(model, labels, tensors, links, free=form == "lp")
    model.excluded = pyo.ConstraintList(doc="plans that kept a limit only within the solver's tolerance")
    if form == "mip":
        _grow(model, labels)
        _keep_limits(model, labels, {o: rows for o, (_, _, rows) in data.items()})
    return model


def _afford(problem: Placement, clock: Clock) -> None:
    """Raise `OutOfTime` where there is surely no time: the graph has as many nodes as any operator keeps, and more."""
    size = len(problem.eligible) * len(problem.graph) * len(problem.links)
    if not clock.affords(size, RATE):
        raise OutOfTime(f"a model of {size} nodes times links")


def _on(model: pyo.ConcreteModel, o: str, v: int, k: int) -> Any:
    """1 if v runs on tier k: x_v,k-1 - x_vk."""
    x, y = model.above, model.chosen
    above = x[o, v, k - 1] if k > 0 else y[o]
    return above - x[o, v, k] if (o, v, k) in x else above  # nothing runs above the last tier


def _dear(costs: Labelling, rows: Iterable[Limit]) -> list[tuple[int, int, int]]:
    """Tensor, tier and link at which something comes on top of a weight, of the cost or of a limit."""
    if not len(costs.places):
        return []
    there = np.any([costs.extra > 0, *(row.extra > 0 for row in rows if len(row.extra))], axis=0)
    return [(t, i, k) for t, i, k in costs.places[there].tolist()]


def _total(
    model: pyo.ConcreteModel, o: str, costs: Labelling, unary: FloatArray, weight: FloatArray, extra: FloatArray
) -> Any:
    """What operator o's plan costs, or uses of a limit; per node and tier, per tensor and link, and on top of these."""
    run = sum(float(unary[v, k]) * _on(model, o, v, k) for v, k in np.ndindex(unary.shape) if unary[v, k] < np.inf)
    carry = sum(float(weight[t, k]) * model.sent[o, t, k] for t, k in np.ndindex(weight.shape) if weight[t, k] < np.inf)
    larger = [(place, x) for place, x in zip(costs.places.tolist(), extra.tolist(), strict=False) if x > 0]
    return run + carry + sum(x * model.larger[(o, *place)] for place, x in larger)


def _order_tiers(
    model: pyo.ConcreteModel, labels: dict[str, Labelling], nodes: list[tuple[str, int]], links: range
) -> None:
    """Rows ``rising``, x_v,k+1 <= x_vk, and ``pinned``: no node on a tier where it may not run."""
    x, y = model.above, model.chosen

    def rising(_: Any, o: str, v: int, k: int) -> Any:
        return x[o, v, k] <= (x[o, v, k - 1] if k > 0 else y[o])

    model.rising = pyo.Constraint(nodes, links, rule=rising)
    forbidden = [(o, v, int(k)) for o, v in nodes for k in np.flatnonzero(np.isinf(labels[o].unary[v]))]
    model.pinned = pyo.Constraint(forbidden, rule=lambda _, o, v, k: _on(model, o, v, k) == 0)


def _follow_data(
    model: pyo.ConcreteModel, labels: dict[str, Labelling], tensors: list[tuple[str, int]], links: range, free: bool
) -> None:
    """Rows ``upward``, x_uk <= x_rk, and ``crossing``, z_tk >= x_rk - x_uk, for each reader r of a tensor.

    `free` leaves out the crossing of links that cost nothing, which bounds nothing where there are no limits.
    """
    x, z = model.above, model.sent
    readings = [(o, t, r) for o, t in tensors for r in labels[o].readers[t]]

    def upward(_: Any, o: str, t: int, r: int, k: int) -> Any:
        u = labels[o].producer[t]
        return pyo.Constraint.Skip if u == r else x[o, u, k] <= x[o, r, k]

    def crossing(_: Any, o: str, t: int, r: int, k: int) -> Any:
        u, weight = labels[o].producer[t], labels[o].weight[t, k]
        if np.isinf(weight):
            return x[o, r, k] == x[o, u, k]
        return pyo.Constraint.Skip if free and not weight > 0 else z[o, t, k] >= x[o, r, k] - x[o, u, k]

    model.upward = pyo.Constraint(readings, links, rule=upward)
    model.crossing = pyo.Constraint(readings, links, rule=crossing)


def _grow(model: pyo.ConcreteModel, labels: dict[str, Labelling]) -> None:
    """Rows ``grows``: what comes on top where a tensor is written on a tier and crosses a link."""
    model.grows = pyo.ConstraintList(doc="tensors that are larger if they are written on a tier")
    for o, t, i, k in model.larger:
        u = labels[o].producer[t]
        model.grows.add(model.larger[o, t, i, k] >= model.sent[o, t, k] + _on(model, o, u, i) - model.chosen[o])


def _keep_limits(
    model: pyo.ConcreteModel, labels: dict[str, Labelling], limits_of: dict[str, tuple[Limit, ...]]
) -> None:
    """Rows ``limits``: memory of each tier and latency, of each operator; with ``held`` and ``stored``."""
    many = [(o, row) for o, rows in limits_of.items() for row in rows if not row.single]
    model.held = pyo.Var(
        [(o, g, row.tier) for o, row in many for g in range(len(row.groups))], domain=pyo.NonNegativeReals
    )
    model.stored = pyo.Var([(o, row.tier) for o, row in many], domain=pyo.NonNegativeReals)
    model.holds = pyo.ConstraintList(doc="weights that a tier holds")
    model.limits = pyo.ConstraintList(doc="memory of each tier and latency, of each operator")
    for o, rows in limits_of.items():
        for row in rows:
            limit = limit_with_slack(row.limit) / row.unit * model.chosen[o]
            uses = _total(model, o, labels[o], row.unary / row.unit, row.weight / row.unit, row.extra / row.unit)
            if row.single:
                model.limits.add(uses <= limit)
            else:
                _keep_largest(model, o, labels[o], row, uses, limit)


def _keep_largest(model: pyo.ConcreteModel, o: str, costs: Labelling, row: Limit, uses: Any, limit: Any) -> None:
    """A limit that is the largest of many rows, in shares of its unit; `uses` is what these have in common."""
    k, unit_ = row.tier, row.unit
    for g, (nodes, _) in enumerate(row.groups):
        for v in nodes:
            model.holds.add(model.held[o, g, k] >= _on(model, o, v, k))
    shared = sum(size / unit_ * model.held[o, g, k] for g, (_, size) in enumerate(row.groups))
    model.holds.add(model.stored[o, k] >= uses + shared)
    steps = [] if row.alive is None else row.alive.steps
    model.limits.add(model.stored[o, k] <= limit)
    common = replace(row, groups=(), unary=np.zeros_like(row.unary))
    for step in steps:
        one = common.member(step, ())
        alive = _total(model, o, costs, one.unary / unit_, one.weight / unit_, one.extra)
        model.limits.add(model.stored[o, k] + alive <= limit)


def _refuse_limits(problem: Placement, costs: Labelling, rows: Iterable[Limit], model: str) -> None:
    """Refuse limits that a minimum cut would leave out, and sizes that depend on tiers: its vertices are no plans."""
    if not costs.plain:
        raise MethodError(f"{model}: tensors are larger on some tiers, and it takes one size; form mip of joint does")
    row = binding(problem, tuple(rows))
    if row is not None:
        raise MethodError(f"{model}: the {row.name} can bind, and it takes no limits; form mip of joint does")


def unit(costs: Iterable[Labelling]) -> float:
    """What the objective is divided by: a thousandth of the cheapest operator's cost when every tier is its dearest.

    Parameters
    ----------
    costs : of every operator that may be taken.
    """
    known = [np.where(np.isinf(c.unary), 0.0, c.unary).max(axis=1).sum() for c in costs]
    return float(min(known) or 1.0) / 1000.0


def extract(model: pyo.ConcreteModel, problem: Placement) -> PlacementPlan:
    """The plan that a solved joint model holds: the operator with the largest ``chosen``, x at least half of it.

    Whether it keeps the limits is for the certificate to say.

    Parameters
    ----------
    model : a solved `joint`.
    """

    problem = problem_of(Placement, problem)

    def value(variable: Any) -> float:
        return pyo.value(variable, exception=False) or 0.0

    name = max(model.chosen, key=lambda o: value(model.chosen[o]))
    half = value(model.chosen[name]) / 2.0 or 0.5
    own = terms(problem, problem.operator(name))
    links = range(len(problem.links))
    labels = [sum(value(model.above[name, v, k]) >= half for k in links) for v in range(1, len(own.names) + 1)]
    return plan_of(problem, own, labels)


def assign(model: pyo.ConcreteModel, problem: Placement, plan: PlacementPlan) -> None:
    """Give the variables of a joint model the values of a plan; the inverse of `extract`.

    Parameters
    ----------
    model : a `joint`, of the same problem.

    Raises
    ------
    InputError
        The plan does not fit the problem, or its operator misses the accuracy target.
    """
    problem = problem_of(Placement, problem)
    plan = checked_placement(problem, plan)
    own = terms(problem, problem.operator(plan.operator))
    labels = labels_of(problem, own, plan)
    o, links = plan.operator, range(len(problem.links))
    above = [(v, k) for v, label in enumerate(labels) for k in links if label > k]
    values: list[tuple[Any, object, float]] = [(model.chosen, o, 1.0)]
    values += [(model.above, (o, v, k), 1.0) for v, k in above]
    costs = labellings(problem)[o][1]
    for t, (u, readers) in enumerate(zip(costs.producer, costs.readers, strict=True)):
        highest = max((labels[r] for r in readers), default=0)
        values += [(model.sent, (o, t, k), 1.0) for k in links if labels[u] <= k < highest]
        here = [(i, k) for name, t_, i, k in model.larger if name == o and t_ == t]
        values += [(model.larger, (o, t, i, k), 1.0) for i, k in here if labels[u] == i <= k < highest]
    if model.find_component("held") is not None:
        values += _held(model, problem, own, labels)
    give(model, values)


def _held(
    model: pyo.ConcreteModel, problem: Placement, own: Terms, labels: list[int]
) -> list[tuple[Any, object, float]]:
    """Values of what tiers hold under a plan."""
    o, costs = own.operator.name, labellings(problem)[own.operator.name][1]
    values: list[tuple[Any, object, float]] = []
    for row in limits(problem, own, costs):
        if row.single:
            continue
        held = [float(any(labels[v] == row.tier for v in nodes)) for nodes, _ in row.groups]
        values += [(model.held, (o, g, row.tier), on) for g, on in enumerate(held)]
        shared = [size * on for (_, size), on in zip(row.groups, held, strict=True)]
        stored = math.fsum([*used(costs, row.unary, row.weight, labels), *shared]) / row.unit
        values.append((model.stored, (o, row.tier), stored))
    return values


def legend(problem: Placement) -> list[str]:
    """What the names of the joint model's columns mean, a line each."""
    problem = problem_of(Placement, problem)
    tiers = ", ".join(f"{k} {name}" for k, name in enumerate(problem.tier_names))
    lines = [
        "chosen(o): operator o is taken",
        f"above(o,v,k): node v runs above tier k, if the operator is o; tiers are {tiers}",
        "sent(o,t,k): tensor t crosses the link from tier k to tier k + 1; where several operations write nothing"
        " that is read, the last t is the message",
    ]
    for name in (operator.name for operator in problem.eligible):
        nodes = [f"{v} {node}" for v, node in enumerate(terms(problem, problem.operator(name)).names, 1)]
        lines.append(f"nodes of {name}: 0 the raw input")
        lines += ["    " + ", ".join(nodes[at : at + 6]) for at in range(0, len(nodes), 6)]
    return lines


def exclude(model: pyo.ConcreteModel, problem: Placement, plan: PlacementPlan) -> None:
    """Cut off one plan of a joint model of form ``mip``: some x must differ, if the operator stays.

    Parameters
    ----------
    model : a `joint` of form ``mip``, which gets a row more.
    plan : the plan that becomes infeasible, and no other.
    """
    problem = problem_of(Placement, problem)
    y, own = model.chosen[plan.operator], terms(problem, problem.operator(plan.operator))
    differs = [
        y - model.above[plan.operator, v, k] if label > k else model.above[plan.operator, v, k]
        for v, label in enumerate(labels_of(problem, own, plan))
        for k in range(len(problem.links))
    ]
    model.excluded.add(sum(differs) >= y)


def cut_cvxpy(problem: Placement, operator: str, *, below: float | None = None) -> cp.Problem:
    """The minimum cut of one operator in CVXPY, as the mathematics writes it: w max_r (x_r - x_u)^+ once per tensor.

    Returns a `cvxpy.Problem` with one variable ``above``, (nodes, links); node 0 is the raw input. Its objective is
    divided by `unit`. Read the plan with `extract_cvxpy`.

    Parameters
    ----------
    operator : name of one of the problem's operators.
    below : as in `joint`.

    Raises
    ------
    InputError
        The problem is no placement.
    MethodError
        The operator is unknown or misses the accuracy target, there is one tier only, or a limit can bind.
    """
    import cvxpy as cp  # 0.9 s: only when asked for

    problem = problem_of(Placement, problem, named=True)
    data = labellings(problem)
    if operator not in data:
        raise MethodError(f"operator {shown(operator)}: not one that reaches the accuracy target: {', '.join(data)}")
    if not problem.links:
        raise MethodError("one tier: there is nothing to cut")
    own, costs = data[operator]
    _refuse_limits(problem, costs, limits(problem, own, costs), "cut_cvxpy")
    costs = priced_out(costs, below)
    nodes, tiers = costs.unary.shape
    x = cp.Variable((nodes, tiers - 1), name="above")
    ones, zeros = np.ones((nodes, 1)), np.zeros((nodes, 1))
    on = cp.hstack([ones, x]) - cp.hstack([x, zeros])  # (nodes, tiers): 1 where v runs
    forbidden = np.isinf(costs.unary)
    run = cp.sum(cp.multiply(np.where(forbidden, 0.0, costs.unary), on))
    constraints = [on >= 0, on[forbidden] == 0]
    carry = []
    for u, readers, weight in zip(costs.producer, costs.readers, costs.weight, strict=True):
        for r in readers:
            constraints.append(x[u] <= x[r])
            if np.isinf(weight).any():
                constraints.append(x[u][np.isinf(weight)] == x[r][np.isinf(weight)])
        finite = np.where(np.isinf(weight), 0.0, weight)
        highest = x[readers[0]] if len(readers) == 1 else cp.maximum(*(x[r] for r in readers))
        carry.append(finite @ cp.pos(highest - x[u]))
    return cp.Problem(cp.Minimize((run + cp.sum(carry)) / unit([costs])), constraints)


def extract_cvxpy(model: cp.Problem, problem: Placement, operator: str) -> PlacementPlan:
    """The plan that a solved `cut_cvxpy` holds.

    Parameters
    ----------
    model : a solved `cut_cvxpy`.
    operator : the one that it is of.
    """
    problem = problem_of(Placement, problem)
    own = terms(problem, problem.operator(operator))
    labels = (model.var_dict["above"].value[1:] >= 0.5).sum(axis=1)
    return plan_of(problem, own, labels)

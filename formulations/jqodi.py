"""Model, bit-width, cut and server: one choice, a schedule or a path through the epochs, as mixed-integer programs.

Sets and data
    i = (a, q)        model a at bit-width q: those that reach their loss, L_a + gamma + sum_k l(k) <= L_max
                      (Eqs. 12, 15.3), after a known number K_i of epochs; so the loss needs no row
    k = 1..K_i        epochs
    s = (x, j)        edge server and cut; those that are impossible in an epoch are left out (t = infinity)
    t_iks, e_iks      time and energy of epoch k in state s (Eqs. 5-10); with the robust estimate K_i epochs are timed
                      and the energy of the first K^exp counts; the last epoch's has the inference requests in it;
                      of a run under way K_i is what is left, and the first epoch's have the change into it
    tau_i, e_i        time and energy of quantizing, where it is still to do; and the time that has passed
    d_rs, c_rs        time and energy of changing from state r to s before an epoch, >= 0; d_ss = c_ss = 0
    T_max             limit on time

Variables, binary
    chosen[i]         y_i = 1 if model and bit-width are i
    state[i, s]       mode choice: eta_is = 1 for the one decision (eta_(a,q,j,x) in the paper)
    state[i, k, s]    else x_iks = 1 if epoch k is in state s

Mode ``choice`` (Eq. 16 with 15.1 and 15.2; the sums over epochs are numbers)
    minimise    sum_is (e_i + sum_k e_iks) eta_is
    one_state   sum_is eta_is = 1                                    (15.1), printed with <=
    time        sum_is (tau_i + sum_k t_iks) eta_is <= T_max         (15.2)

Mode ``schedule`` (Eq. 13)
    minimise    sum_i e_i y_i + sum_iks e_iks x_iks
    one_model   sum_i y_i = 1
    one_state   sum_s x_iks = y_i                                    for each i, k
    time        tau_i y_i + sum_ks t_iks x_iks <= T_max y_i          for each i

Mode ``path``: the same, and changes z_ikrs between epoch k in r and k + 1 in s add sum c_rs z_ikrs to the energy and
sum d_rs z_ikrs to the time. They are the products x_ikr x_i,k+1,s, made linear in one of two forms:
    ``flow``        sum_s z_ikrs = x_ikr,  sum_r z_ikrs = x_i,k+1,s      what leaves a state came to it, z >= 0
    ``assignment``  z_ikrs >= x_ikr + x_i,k+1,s - y_i                    only where changing costs, z >= 0
In whole numbers both are exact. Relaxed, the assignment's changes vanish (z = 0 where no state has more than half),
while the flow's are a mixture of paths: without the time row its vertices are paths, the shortest one among them.

Scaling: the objective is divided by `model.unit`, time rows by T_max. `model.cost` is in joules.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.limits import limit_with_slack
from qopt.core.reading import problem_of
from qopt.core.solvers.answers import give
from qopt.jqodi.plan import JqodiPlan, checked_plan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import possible
from qopt.jqodi.terms import Candidate, arcs, candidates, plan_of, states_of, terms_of

if TYPE_CHECKING:
    import cvxpy as cp

FORMS = ("flow", "assignment")
"""Forms of mode path."""


def data(problem: Jqodi) -> dict[str, Candidate]:
    """Model and bit-width by ``MODEL/BITS``: those with a possible state in every epoch (for choice, one for all).

    Raises
    ------
    InputError
        The problem is no JQODI problem.
    MethodError
        There is none.
    """
    problem = problem_of(Jqodi, problem)
    constant = problem.mode == "choice"
    some = [candidate for candidate in candidates(problem) if possible(candidate)]
    entries = {each.key: each for each in some if not constant or len(_constant(each))}
    if not entries:
        raise MethodError("no model at an admissible width reaches its loss with a state that is possible")
    return entries


def _constant(candidate: Candidate) -> IntArray:
    """States that are possible in all epochs."""
    return np.flatnonzero(np.isfinite(candidate.time).all(axis=0))


def joint(problem: Jqodi, form: str | None = None, *, relaxed: bool = False) -> pyo.ConcreteModel:
    """The Pyomo model of the problem's mode; see the head of this file.

    Parameters
    ----------
    form : of mode path, one of `FORMS`, default ``flow``; None in other modes, which have one form.
    relaxed : variables between 0 and 1.

    Returns
    -------
    A model with the variables and rows named above, the expression ``cost`` and an empty list of rows ``excluded``.
    Read the plan with `extract`.

    Raises
    ------
    InputError
        The problem is no JQODI problem, or the form is none of its mode.
    MethodError
        Nothing can be chosen.
    """
    _check_form(problem, form)
    if problem.mode == "choice":
        return choice(problem, relaxed=relaxed)
    return path(problem, form or "flow", relaxed=relaxed) if problem.mode == "path" else schedule(problem, relaxed)


def _check_form(problem: Jqodi, form: str | None) -> None:
    problem_of(Jqodi, problem)
    forms = FORMS if problem.mode == "path" else ()
    if form is not None and form not in forms:
        raise InputError("form", shown(form), ", ".join(forms) or f"None: mode {problem.mode} has one form")


def choice(problem: Jqodi, *, relaxed: bool = False) -> pyo.ConcreteModel:
    """One server and cut for all epochs. Parameters as `joint`."""
    entries = data(problem)
    keys = [(i, s) for i, each in entries.items() for s in _constant(each).tolist()]
    sums = {(i, s): tuple(map(math.fsum, terms_of(entries[i], np.full(entries[i].epochs, s)))) for i, s in keys}
    model = _start(problem, entries)
    model.state = pyo.Var(keys, domain=_domain(relaxed))
    eta = model.state
    _minimise(model, sum(sums[key][0] * eta[key] for key in keys))
    model.one_state = pyo.Constraint(expr=sum(eta[key] for key in keys) == 1)
    limit = limit_with_slack(problem.time_limit)
    model.time = pyo.Constraint(expr=sum(sums[key][1] / limit * eta[key] for key in keys) <= 1.0)
    return model


def schedule(problem: Jqodi, relaxed: bool = False) -> pyo.ConcreteModel:
    """One server and cut an epoch; what changing costs is left out. Parameters as `joint`."""
    entries = data(problem)
    model = _start(problem, entries)
    _states(model, entries, relaxed)
    _minimise(model, _energy(model, entries))
    _time(model, problem, entries, dict.fromkeys(entries, 0.0))
    return model


def path(problem: Jqodi, form: str = "flow", *, relaxed: bool = False) -> pyo.ConcreteModel:
    """One server and cut an epoch, and what changing costs. Parameters as `joint`."""
    entries = data(problem)
    if form not in FORMS:
        raise InputError("form", shown(form), ", ".join(FORMS))
    model = _start(problem, entries)
    _states(model, entries, relaxed)
    x, y = model.state, model.chosen
    pairs = [
        (i, k, r, s)
        for i, each in entries.items()
        for k in range(each.epochs - 1)
        for r in _there(each, k)
        for s in _there(each, k + 1)
        if (form == "flow" and _switches(each)) or _change(each, k, r, s) != (0.0, 0.0)
    ]
    model.change = pyo.Var(pairs, domain=pyo.NonNegativeReals)
    z = model.change
    if form == "flow":
        leaving: dict[Any, list[Any]] = {}
        coming: dict[Any, list[Any]] = {}
        for i, k, r, s in pairs:
            leaving.setdefault((i, k, r), []).append(z[i, k, r, s])
            coming.setdefault((i, k + 1, s), []).append(z[i, k, r, s])
        model.leaving = pyo.Constraint(list(leaving), rule=lambda _, i, k, r: sum(leaving[i, k, r]) == x[i, k, r])
        model.coming = pyo.Constraint(list(coming), rule=lambda _, i, k, s: sum(coming[i, k, s]) == x[i, k, s])
    else:
        model.product = pyo.Constraint(
            pairs, rule=lambda _, i, k, r, s: z[i, k, r, s] >= x[i, k, r] + x[i, k + 1, s] - y[i]
        )
    costs = {key: _change(entries[key[0]], *key[1:]) for key in pairs}
    _minimise(model, _energy(model, entries) + sum(costs[key][0] * z[key] for key in pairs if costs[key][0]))
    seconds: dict[str, Any] = dict.fromkeys(entries, 0.0)
    for key in pairs:
        if costs[key][1]:
            seconds[key[0]] += costs[key][1] * z[key]
    _time(model, problem, entries, seconds)
    return model


def _start(problem: Jqodi, entries: dict[str, Candidate]) -> pyo.ConcreteModel:
    model = pyo.ConcreteModel(name=problem.name)
    model.unit = unit(entries)
    model.excluded = pyo.ConstraintList(doc="plans that kept T_max only within the solver's tolerance")
    return model


def unit(entries: dict[str, Candidate]) -> float:
    """What the objective is divided by: a thousandth of the least energy that any plan takes.

    Parameters
    ----------
    entries : as `data` gives them.
    """
    return min(each.setup_energy + float(each.energy.min(axis=1).sum()) for each in entries.values()) / 1000.0 or 1.0


def _domain(relaxed: bool) -> Any:
    return pyo.UnitInterval if relaxed else pyo.Binary


def _there(candidate: Candidate, k: int) -> list[int]:
    """States that are possible in an epoch."""
    found: list[int] = np.flatnonzero(np.isfinite(candidate.time[k])).tolist()
    return found


def _switches(candidate: Candidate) -> bool:
    return candidate.switch_energy is not None or candidate.switch_time is not None


def _change(candidate: Candidate, k: int, r: int, s: int) -> tuple[float, float]:
    """Energy and time of changing from r to s after epoch k, 0-based."""
    joules, seconds = candidate.switch_energy, candidate.switch_time
    energy = 0.0 if joules is None or k + 1 >= candidate.counted else float(joules[r, s])
    return energy, 0.0 if seconds is None else float(seconds[r, s])


def _states(model: pyo.ConcreteModel, entries: dict[str, Candidate], relaxed: bool) -> None:
    """y, x and the rows between them."""
    model.chosen = pyo.Var(list(entries), domain=_domain(relaxed))
    model.state = pyo.Var(
        [(i, k, s) for i, each in entries.items() for k in range(each.epochs) for s in _there(each, k)],
        domain=_domain(relaxed),
    )
    x, y = model.state, model.chosen
    model.one_model = pyo.Constraint(expr=sum(y[i] for i in entries) == 1)
    model.one_state = pyo.Constraint(
        [(i, k) for i, each in entries.items() for k in range(each.epochs)],
        rule=lambda _, i, k: sum(x[i, k, s] for s in _there(entries[i], k)) == y[i],
    )


def _energy(model: pyo.ConcreteModel, entries: dict[str, Candidate]) -> Any:
    """Energy of quantizing and of the epochs."""
    x, y = model.state, model.chosen
    return sum(each.setup_energy * y[i] for i, each in entries.items()) + sum(
        float(entries[i].energy[k, s]) * x[i, k, s] for i, k, s in x
    )


def _time(model: pyo.ConcreteModel, problem: Jqodi, entries: dict[str, Candidate], changing: dict[str, Any]) -> None:
    """T_max for each model and width, whose changes take some seconds."""
    x, y = model.state, model.chosen
    limit = limit_with_slack(problem.time_limit)

    def row(_: Any, i: str) -> Any:
        each = entries[i]
        epochs = sum(float(each.time[k, s]) * x[i, k, s] for k in range(each.epochs) for s in _there(each, k))
        return (each.setup_time * y[i] + epochs + changing[i]) / limit <= y[i]

    model.time = pyo.Constraint(list(entries), rule=row)


def _minimise(model: pyo.ConcreteModel, energy: Any) -> None:
    model.cost = pyo.Expression(expr=energy)
    model.objective = pyo.Objective(expr=model.cost / model.unit)


def extract(model: pyo.ConcreteModel, problem: Jqodi) -> JqodiPlan:
    """The plan that a solved model holds: the largest ``chosen``, and in each epoch the largest ``state``.

    Whether it keeps T_max is for the certificate to say.

    Parameters
    ----------
    model : a solved `joint`.
    """

    def value(variable: Any) -> float:
        return pyo.value(variable, exception=False) or 0.0

    entries = data(problem)
    if problem.mode == "choice":
        i, s = max(model.state, key=lambda key: value(model.state[key]))
        return plan_of(problem, entries[i], np.full(entries[i].epochs, s))
    i = max(model.chosen, key=lambda key: value(model.chosen[key]))
    states = [max(_there(entries[i], k), key=lambda s: value(model.state[i, k, s])) for k in range(entries[i].epochs)]
    return plan_of(problem, entries[i], states)


def assign(model: pyo.ConcreteModel, problem: Jqodi, plan: JqodiPlan) -> None:
    """Give the variables of a model the values of a plan; the inverse of `extract`.

    Parameters
    ----------
    model : a `joint`, of the same problem.

    Raises
    ------
    InputError
        The plan does not fit the problem, or has a state that is impossible; in mode choice, states that change.
    """
    problem = problem_of(Jqodi, problem)
    plan = checked_plan(problem, plan)
    key, entries = f"{plan.model}/{plan.bits}", data(problem)
    if key not in entries:
        raise InputError("plan.model", shown(key), "one that reaches its loss: " + ", ".join(entries))
    states = states_of(entries[key], plan).tolist()
    values: list[tuple[Any, object, float]]
    if problem.mode == "choice":
        if len(set(states)) > 1:
            raise InputError("plan.servers", "states that change", "one server and cut, in mode choice")
        values = [(model.state, (key, states[0]), 1.0)]
    else:
        values = [(model.chosen, key, 1.0), *((model.state, (key, k, s), 1.0) for k, s in enumerate(states))]
    if problem.mode == "path":
        changes = ((key, k, r, s) for k, (r, s) in enumerate(itertools.pairwise(states)))
        values += [(model.change, change, 1.0) for change in changes if change in model.change]
    give(model, values)


def legend(problem: Jqodi) -> list[str]:
    """What the names of the model's columns mean, a line each."""
    problem = problem_of(Jqodi, problem)
    epoch = "" if problem.mode == "choice" else ",k"
    lines = [
        "chosen(i), i = MODEL_BITS: the model is trained at so many bits" if epoch else "i = MODEL_BITS",
        f"state(i{epoch},s): its {'state' if not epoch else 'state in epoch k, from 0,'} is s, a server and a cut:",
    ]
    for model in problem.models:
        states = [f"{x} after layer {j}" for x in problem.server_names for j in model.admissible_cuts]
        named = [f"{s} {state}" for s, state in enumerate(states)]
        lines.append(f"states of {model.name}:")
        lines += ["    " + ", ".join(named[at : at + 4]) for at in range(0, len(named), 4)]
    if problem.mode == "path":
        lines.append("change(i,k,r,s): from state r in epoch k to s in the next")
    return lines


def exclude(model: pyo.ConcreteModel, problem: Jqodi, plan: JqodiPlan) -> None:
    """Cut off one plan.

    Parameters
    ----------
    model : a `joint`, which gets a row more.
    plan : the plan that becomes infeasible, and no other.
    """
    problem = problem_of(Jqodi, problem)
    key = f"{plan.model}/{plan.bits}"
    states = states_of(data(problem)[key], plan).tolist()
    if problem.mode == "choice":
        model.excluded.add(model.state[key, states[0]] <= 0)
    else:
        taken = sum(model.state[key, k, s] for k, s in enumerate(states))
        model.excluded.add(taken <= (len(states) - 1) * model.chosen[key])


def joint_cvxpy(problem: Jqodi, form: str | None = None, *, relaxed: bool = False) -> cp.Problem:
    """The model of the problem's mode in CVXPY, on arrays. Parameters and errors as `joint`.

    Returns a `cvxpy.Problem`, its objective divided by `unit`. Its variables are ``chosen`` (one entry for each model
    and width of `data`, in order) and for each of them ``state MODEL/BITS``, (S,) or (K, S), and
    ``change MODEL/BITS``, ((K - 1) S, S). Read the plan with `extract_cvxpy`.
    """
    import cvxpy as cp  # 0.9 s: only when asked for

    _check_form(problem, form)
    entries = data(problem)
    limit = limit_with_slack(problem.time_limit)
    y = cp.Variable(len(entries), name="chosen", boolean=not relaxed)
    constraints = [cp.sum(y) == 1, y >= 0]
    energy: Any = 0.0
    chosen_time: Any = 0.0
    for n, (i, each) in enumerate(entries.items()):
        joules, seconds, there = _tables(problem, each)
        x = cp.Variable(joules.shape, name=f"state {i}", boolean=not relaxed)
        constraints += [x >= 0, cp.sum(x, axis=x.ndim - 1) == y[n]]
        if not there.all():
            constraints.append(x[~there] == 0)
        if problem.mode == "choice":  # quantizing is in the sums, and (15.2) is one row
            energy, chosen_time = energy + joules @ x, chosen_time + seconds @ x
            continue
        energy += each.setup_energy * y[n] + cp.sum(cp.multiply(joules, x))
        time = each.setup_time * y[n] + cp.sum(cp.multiply(seconds, x))
        if problem.mode == "path" and _switches(each) and each.epochs > 1:
            z = cp.Variable(((each.epochs - 1) * len(each.states), len(each.states)), name=f"change {i}", nonneg=True)
            constraints += _products(each, x, y[n], z, form or "flow")
            for matrix, of_energy in zip(arcs(each), (True, False), strict=True):
                if matrix is not None:
                    stacked = np.broadcast_to(matrix, (each.epochs - 1, *matrix.shape[-2:])).reshape(z.shape)
                    spent = cp.sum(cp.multiply(stacked, z))
                    energy, time = (energy + spent, time) if of_energy else (energy, time + spent)
        constraints.append(time / limit <= y[n])
    if problem.mode == "choice":
        constraints.append(chosen_time / limit <= 1.0)
    return cp.Problem(cp.Minimize(energy / unit(entries)), constraints)


def _tables(problem: Jqodi, candidate: Candidate) -> tuple[FloatArray, FloatArray, Any]:
    """Joules and seconds of the states, 0 where they are impossible, and where they are not."""
    there = np.isfinite(candidate.time)
    if problem.mode != "choice":
        return np.where(there, candidate.energy, 0.0), np.where(there, candidate.time, 0.0), there
    sums = np.zeros((2, len(candidate.states)))
    for s in _constant(candidate):
        sums[:, s] = [math.fsum(terms) for terms in terms_of(candidate, np.full(candidate.epochs, s))]
    return sums[0], sums[1], there.all(axis=0)


def _products(candidate: Candidate, x: Any, y: Any, z: Any, form: str) -> list[Any]:
    """Rows that make z the products of neighbouring states."""
    import cvxpy as cp

    states, rows = len(candidate.states), []
    for k in range(candidate.epochs - 1):
        block = z[k * states : (k + 1) * states]
        if form == "flow":
            rows += [cp.sum(block, axis=1) == x[k], cp.sum(block, axis=0) == x[k + 1]]
        else:
            one, two = cp.reshape(x[k], (states, 1), order="C"), cp.reshape(x[k + 1], (1, states), order="C")
            ones = np.ones((states, states))
            rows.append(block >= one @ ones[:1] + ones[:, :1] @ two - y * ones)
    return rows


def extract_cvxpy(model: cp.Problem, problem: Jqodi) -> JqodiPlan:
    """The plan that a solved `joint_cvxpy` holds.

    Parameters
    ----------
    model : a solved `joint_cvxpy`.
    """
    entries = data(problem)
    values = model.var_dict
    i = list(entries)[int(np.argmax(values["chosen"].value))]
    state = np.where(_tables(problem, entries[i])[2], values[f"state {i}"].value, -1.0)
    states = np.full(entries[i].epochs, np.argmax(state)) if problem.mode == "choice" else np.argmax(state, axis=1)
    return plan_of(problem, entries[i], states)

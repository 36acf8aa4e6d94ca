"""Known traps, in which other solvers say 'optimal' of what is not, and qopt must not.

Each trap is shown to be real first: the peer falls into it on a fixed instance. The truth is a dynamic programme over
integer weights or an enumeration, both written here.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import pytest
from sweeps import swept

import qopt
from qopt.core.method import Options, named
from qopt.kernels import checker, exchange, mckp, rcsp
from qopt.qpart.generate import qpart
from qopt.qpart.methods import registry
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem, subproblems

CLAIMS = ("optimal", "optimal-by-solver")
"""Statuses of a kernel that says its answer is the best one."""

WAYS: list[tuple[str, str | None]] = [
    (method.name, form)
    for method in registry.METHODS
    if method.bits == "whole" and method.exact
    for form in method.formulations or (None,)
]
"""Every exact method over whole bits, in every formulation."""

TIMED = [(name, form) for name, form in WAYS if "time_limit" in named(registry.METHODS, name).options]


@dataclass(frozen=True)
class Knapsack:
    """cost and weight (n, k), a class a row; limit on the sum of weights."""

    cost: Any
    weight: Any
    limit: float

    def value(self, choice: Any) -> float:
        return math.fsum(self.cost[np.arange(len(self.cost)), choice].tolist())

    def holds(self, choice: Any) -> bool:
        """The exact test, for limits >= 0."""
        return math.fsum([*self.weight[np.arange(len(self.cost)), choice].tolist(), -self.limit * (1 + 1e-12)]) <= 0

    def scaled(self, cost: float = 1.0, weight: float = 1.0) -> Knapsack:
        return Knapsack(self.cost * cost, self.weight * weight, self.limit * weight)


def halfway(weight: Any, share: float = 0.5) -> float:
    return float(np.floor(share * (weight.min(axis=1) + weight.max(axis=1)).sum()))


def strong(n: int, k: int, seed: int) -> Knapsack:
    """Strongly correlated: profits are weights plus ten for each step up, in integers."""
    weight = np.cumsum(np.sort(np.random.default_rng(seed).integers(1, 1001, (n, k)), axis=1), axis=1).astype(float)
    return Knapsack(-weight - 10.0 * np.arange(1, k + 1), weight, halfway(weight))


def weak(n: int, k: int, seed: int) -> Knapsack:
    """Weakly correlated: costs are 1101 less the weight, give or take 100, in integers."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 1001, (n, k)).astype(float)
    return Knapsack(1101.0 - weight + rng.integers(-100, 101, (n, k)), weight, halfway(weight))


def dear(n: int, k: int, seed: int) -> Knapsack:
    """Integer costs that differ by less than a tenth: most of the objective is paid whatever is chosen."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 1001, (n, k)).astype(float)
    return Knapsack(10_000.0 + rng.integers(1, 1001, (n, k)), weight, halfway(weight, 0.4))


def dynamic(knapsack: Knapsack) -> float:
    """The optimum for integer data: least cost for each sum of weights, a class after the other."""
    limit = int(knapsack.limit)
    least = np.full(limit + 1, np.inf)
    least[0] = 0.0
    for costs, weights in zip(knapsack.cost.tolist(), knapsack.weight.astype(int).tolist(), strict=True):
        following = np.full(limit + 1, np.inf)
        for cost, weight in zip(costs, weights, strict=True):
            if weight <= limit:
                np.minimum(following[weight:], least[: limit + 1 - weight] + cost, out=following[weight:])
        least = following
    return float(least.min())


def enumerated(knapsack: Knapsack) -> float:
    """The optimum by trying every choice."""
    n, k = knapsack.cost.shape
    costs, weights = np.zeros(1), np.zeros(1)
    for i in range(n):
        costs = (costs[:, None] + knapsack.cost[i]).ravel()
        weights = (weights[:, None] + knapsack.weight[i]).ravel()
    for at in np.argsort(costs):  # rounded sums find the candidates, exact ones decide
        choice = np.array(np.unravel_index(at, (k,) * n))
        if weights[at] <= knapsack.limit * (1 + 1e-9) and knapsack.holds(choice):
            return knapsack.value(choice)
    raise AssertionError("nothing fits")


def highs(knapsack: Knapsack, **options: Any) -> tuple[str, Any]:
    """What HiGHS says of a knapsack, and its choice: default options but one thread, the data as they are."""
    n, k = knapsack.cost.shape
    h = highspy.Highs()
    for name, value in {"output_flag": False, "threads": 1, **options}.items():
        assert h.setOptionValue(name, value) == highspy.HighsStatus.kOk
    columns = np.tile(np.arange(n * k, dtype=np.int32), 2)
    h.passModel(
        n * k,
        n + 1,
        2 * n * k,
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        knapsack.cost.ravel(),
        np.zeros(n * k),
        np.ones(n * k),
        np.append(np.ones(n), -np.inf),
        np.append(np.ones(n), knapsack.limit),
        np.append(np.arange(n + 1) * k, 2 * n * k).astype(np.int32),
        columns,
        np.concatenate([np.ones(n * k), knapsack.weight.ravel()]),
        np.ones(n * k, dtype=np.int32),
    )
    h.run()
    point = np.array(h.getSolution().col_value)
    return h.modelStatusToString(h.getModelStatus()), point.reshape(n, k).argmax(axis=1)


def check_kernel(knapsack: Knapsack, optimum: float) -> None:
    """The kernel claims the optimum, keeps the limit, and its proof, where there is one, is accepted."""
    found = mckp.solve(knapsack.cost, knapsack.weight, knapsack.limit)
    assert found.status in CLAIMS
    assert found.choice is not None
    assert knapsack.holds(found.choice)
    assert found.objective == knapsack.value(found.choice) == pytest.approx(optimum, rel=1e-12, abs=0)
    if found.status == "optimal":
        instance = exchange.mckp_instance(knapsack.cost, knapsack.weight, knapsack.limit)
        witness = json.loads(json.dumps(exchange.mckp_witness(found)))
        verdict = checker.check(instance, witness)
        assert verdict.accepted, verdict.reason


def layers(seed: int) -> tuple[rcsp.Layered, float, dict[tuple[int, ...], tuple[float, list[float]]]]:
    """Six layers of four states with switching, a limit, and every path's cost and amounts of the resource."""
    rng = np.random.default_rng(seed)
    cost, time = rng.uniform(1, 10, (6, 4)), rng.uniform(1, 10, (6, 4))
    switch = rng.uniform(0.1, 2.0, (2, 4, 4)) * (1 - np.eye(4))
    paths = {}
    for path in itertools.product(range(4), repeat=6):
        pairs = list(itertools.pairwise(path))
        costs = [*(cost[k, s] for k, s in enumerate(path)), *(switch[0][pair] for pair in pairs)]
        used = [*(time[k, s] for k, s in enumerate(path)), *(switch[1][pair] for pair in pairs)]
        paths[path] = math.fsum(costs), [float(x) for x in used]
    least = min(math.fsum(used) for _, used in paths.values())
    return rcsp.Layered(cost, time, switch[0], switch[1]), 1.3 * least, paths


def cheapest(paths: dict[tuple[int, ...], tuple[float, list[float]]], limit: float) -> tuple[int, ...]:
    """The best path by enumeration."""
    fitting = [p for p, (_, used) in paths.items() if math.fsum([*used, -limit * (1 + 1e-12)]) <= 0]
    return min(fitting, key=lambda p: paths[p][0])


# --- requests at one cut, for the methods ---------------------------------------------------------------------------


def at_a_cut(seed: int, **options: Any) -> QPart:
    """A request with one admissible cut: six tensors, six widths."""
    return qpart(5, seed=seed, bits=(1, 6), reference_bits=4, cuts=[5], **options)


def as_knapsack(problem: QPart) -> tuple[Subproblem, Knapsack]:
    subproblem = subproblems(problem).at(int(problem.admissible_cuts[0]))
    return subproblem, Knapsack(subproblem.cost, subproblem.noise, subproblem.limit)


def check_method(problem: QPart, name: str, form: str | None) -> None:
    """A method's plan keeps the limit; its certificate proves the enumerated optimum, or it does not say optimal."""
    subproblem, knapsack = as_knapsack(problem)
    best = subproblem.base + enumerated(knapsack)
    found = qopt.solve(problem, name, formulation=form)
    assert found.certificate.feasible
    assert found.objective is not None
    payload = knapsack.value(chosen(problem, found.plan))
    if found.status == "optimal":
        assert found.objective == pytest.approx(best, rel=1e-9, abs=0)
        assert payload == pytest.approx(best - subproblem.base, rel=1e-8, abs=0)
    else:
        assert found.status in ("optimal-by-solver", "failed")
        assert name != "mckp"


def chosen(problem: QPart, plan: Any) -> Any:
    """Columns of a plan's widths: with one cut and no ties, items are tensors in order."""
    return np.array([*plan.weights, *plan.activations]).astype(int) - problem.bits.lo


# --- a clock that stops the search --------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0.0, 1e-3, 0.05])
@pytest.mark.parametrize(("name", "form"), TIMED)
def test_a_method_stopped_by_the_clock_does_not_say_optimal(name: str, form: str | None, limit: float) -> None:
    """Its own claim, and what `qopt.solve` makes of it."""
    problem = at_a_cut(3)
    subproblem, knapsack = as_knapsack(problem)
    best = subproblem.base + enumerated(knapsack)
    claim = named(registry.METHODS, name).run(problem, Options(time_limit=limit, formulation=form))
    found = qopt.solve(problem, name, time_limit=limit, formulation=form)
    for status, plan in ((claim.status, claim.plan), (found.status, found.plan)):
        if status in CLAIMS:
            assert plan is not None
            assert subproblem.base + knapsack.value(chosen(problem, plan)) == pytest.approx(best, rel=1e-9)
        assert not status.startswith("infeasible")
    if found.status == "optimal":
        assert found.certificate.proved
    if claim.bound is not None:
        assert claim.bound <= best * (1 + 1e-9)


@pytest.mark.parametrize(("name", "form"), TIMED)
def test_clocks_do_stop_methods(name: str, form: str | None) -> None:
    """The test above would be empty if no method were ever stopped."""
    problem = qpart(60, seed=1, cuts=[60], bits=(1, 4), reference_bits=3)
    if named(registry.METHODS, name).unavailable(problem):
        problem = at_a_cut(3)  # brute force takes small requests only
    claim = named(registry.METHODS, name).run(problem, Options(time_limit=0.0, formulation=form))
    assert claim.status == "time-limit"


@pytest.mark.parametrize("options", [{"time_limit": 0.0}, {"branch_nodes": 0, "max_labels": 1}, {"branch_nodes": 1}])
@pytest.mark.parametrize("draw", [strong, weak])
def test_a_kernel_stopped_early_does_not_say_optimal(draw: Any, options: dict[str, Any]) -> None:
    stopped = 0
    for seed in range(4):
        knapsack = draw(20, 8, seed)
        optimum = dynamic(knapsack)
        found = mckp.solve(knapsack.cost, knapsack.weight, knapsack.limit, **options)
        if found.status in CLAIMS:
            assert found.objective == optimum
        else:
            assert found.status == "limit"
            stopped += 1
        assert found.bound is not None
        assert found.bound <= optimum
        if found.choice is not None:
            assert knapsack.holds(found.choice)
            assert found.objective == knapsack.value(found.choice) >= optimum
    if options.keys() != {"branch_nodes"}:  # partial sums then finish the search
        assert stopped


@pytest.mark.parametrize("options", [{"time_limit": 0.0}, {"max_labels": 1}, {"max_labels": 20}])
def test_a_path_search_stopped_early_does_not_say_optimal(options: dict[str, Any]) -> None:
    stopped = 0
    for seed in range(8):
        graph, limit, paths = layers(seed)
        optimum = paths[cheapest(paths, limit)][0]
        found = rcsp.solve(graph, limit, **options)
        if found.status in CLAIMS:
            assert found.objective == pytest.approx(optimum, rel=1e-12)
        else:
            assert found.status == "limit"
            stopped += 1
        assert found.bound is None or found.bound <= optimum * (1 + 1e-12)
        if found.path is not None:
            cost, used = paths[tuple(found.path.tolist())]
            assert math.fsum([*used, -limit * (1 + 1e-12)]) <= 0
            assert found.objective == pytest.approx(cost, rel=1e-15)
    assert stopped or options.get("max_labels") == 20


@pytest.mark.parametrize("stop", [{"options": ["maxNodes 1"]}, {"timeLimit": 1}])
def test_pulp_calls_a_stopped_search_optimal(stop: dict[str, Any]) -> None:
    """`LpStatus` is 'Optimal' of CBC's best point so far; only `sol_status`, which hardly anybody reads, tells."""
    pulp = pytest.importorskip("pulp", reason="shows the trap in PuLP itself; the tests of qopt above need no PuLP")
    knapsack = weak(50, 15, 0) if "options" in stop else strong(50, 15, 1)
    n, k = knapsack.cost.shape
    problem = pulp.LpProblem("knapsack", pulp.LpMinimize)
    x = [[pulp.LpVariable(f"x_{i}_{j}", cat="Binary") for j in range(k)] for i in range(n)]
    pairs = list(itertools.product(range(n), range(k)))
    problem += pulp.lpSum(float(knapsack.cost[i, j]) * x[i][j] for i, j in pairs)
    for row in x:
        problem += pulp.lpSum(row) == 1
    problem += pulp.lpSum(float(knapsack.weight[i, j]) * x[i][j] for i, j in pairs) <= knapsack.limit
    problem.solve(pulp.PULP_CBC_CMD(msg=False, threads=1, **stop))
    assert pulp.LpStatus[problem.status] == "Optimal"
    assert problem.sol_status != pulp.LpSolutionOptimal
    assert knapsack.value([max(range(k), key=lambda j: row[j].value()) for row in x]) > dynamic(knapsack)


@pytest.mark.parametrize("knapsack", [weak(50, 15, 0), strong(50, 15, 1)], ids=["weak", "strong"])
def test_the_kernel_solves_what_stops_pulp(knapsack: Knapsack) -> None:
    check_kernel(knapsack, dynamic(knapsack))


# --- a relative gap that is not zero -------------------------------------------------------------------------------


def test_a_default_gap_hides_better_answers() -> None:
    """HiGHS stops within 1e-4 of its bound, and says Optimal."""
    fallen = 0
    for seed in range(6):
        knapsack = dear(100, 10, seed)
        optimum = dynamic(knapsack)
        said, choice = highs(knapsack)
        assert said == "Optimal"
        fallen += knapsack.value(choice) > optimum + 0.5
        check_kernel(knapsack, optimum)
    assert fallen >= 2


@pytest.mark.parametrize(("name", "form"), WAYS)
def test_methods_close_the_gap(name: str, form: str | None) -> None:
    """Bits are a ten-thousandth of an objective that is all computation."""
    problem = at_a_cut(8)
    heavy = problem.replace({"network.macs": (problem.network.macs * 1e5).tolist()})
    subproblem, knapsack = as_knapsack(heavy)
    assert enumerated(knapsack) < 1e-4 * subproblem.base
    check_method(heavy, name, form)


# --- costs far below a solver's tolerances --------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-6, 1e-9, 1e-12])
def test_tiny_costs(scale: float) -> None:
    """With costs around 1e-9 every point is within HiGHS's absolute tolerances of the optimum, gap 0 or not."""
    fallen = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        weight = rng.integers(1, 101, (20, 8)).astype(float)
        whole = Knapsack(rng.integers(1, 1001, (20, 8)).astype(float), weight, halfway(weight))
        optimum = dynamic(whole)
        knapsack = whole.scaled(cost=scale / 1000)
        said, choice = highs(knapsack, mip_rel_gap=0.0)
        fallen += said == "Optimal" and whole.value(choice) > optimum * 1.01
        check_kernel(knapsack, optimum * (scale / 1000))
    assert fallen == 3 or scale == 1e-6  # at 1e-6 the peer does well


@pytest.mark.parametrize("scale", swept([1e-9, 1e-6, 1e9], lambda scale: scale > 1e-9))
@pytest.mark.parametrize(("name", "form"), WAYS)
def test_methods_do_not_mind_the_scale_of_costs(name: str, form: str | None, scale: float) -> None:
    check_method(at_a_cut(5, objective_scale=scale), name, form)


# --- points that break a limit within tolerance ---------------------------------------------------------------------


def just_short(seed: int) -> tuple[Knapsack, Any]:
    """A limit of 1 that falls short of some optimum's weight by 5e-7: that choice is cheaper than all that fit."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(1, 2, (8, 5))
    cost = 10 - weight + rng.normal(0, 0.3, (8, 5))
    said, over = highs(Knapsack(cost, weight / halfway(weight * 1e6) * 1e6, 1.0), mip_rel_gap=0.0)
    assert said == "Optimal"
    used = math.fsum(weight[np.arange(8), over].tolist())
    return Knapsack(cost, weight / (used * (1 - 5e-7)), 1.0), over


def test_a_tolerance_breaks_the_limit() -> None:
    """HiGHS accepts rows broken by 1e-6, so that its optimum is cheaper than the true one, and does not fit."""
    fallen = 0
    for seed in range(6):
        knapsack, over = just_short(seed)
        assert not knapsack.holds(over)
        optimum = enumerated(knapsack)
        said, choice = highs(knapsack, mip_rel_gap=0.0)
        fallen += said == "Optimal" and not knapsack.holds(choice) and knapsack.value(choice) < optimum
        check_kernel(knapsack, optimum)
    assert fallen >= 2


@pytest.mark.parametrize("cost_scale", [1e-12, 1.0, 1e9])
@pytest.mark.parametrize("scale", swept([1e-12, 1.0, 1e12], lambda scale: scale == 1.0))
def test_a_path_keeps_a_limit_that_is_just_short(scale: float, cost_scale: float) -> None:
    """The limit misses the time of the path that was best by 5e-7, at every scale of times and costs."""
    for seed in range(4):
        graph, limit, paths = layers(seed)
        over = cheapest(paths, limit)
        short = math.fsum(paths[over][1]) * (1 - 5e-7)
        best = cheapest(paths, short)
        assert paths[best][0] > paths[over][0]
        scaled = rcsp.Layered(
            graph.node_cost * cost_scale,
            graph.node_resource * scale,
            None if graph.arc_cost is None else graph.arc_cost * cost_scale,
            None if graph.arc_resource is None else graph.arc_resource * scale,
        )
        found = rcsp.solve(scaled, short * scale)
        assert found.status in CLAIMS
        assert found.path is not None
        assert tuple(found.path.tolist()) == best
        if found.status == "optimal":
            verdict = checker.check(
                exchange.rcsp_instance(scaled.digraph(), short * scale), exchange.rcsp_witness(found)
            )
            assert verdict.accepted, verdict.reason


def test_small_weights_are_dropped() -> None:
    """HiGHS sets coefficients below 1e-9 to zero, with a warning: the limit is gone, and it says Optimal."""
    rng = np.random.default_rng(0)
    whole = Knapsack(rng.integers(1, 1001, (12, 6)).astype(float), rng.integers(1, 101, (12, 6)).astype(float), 300.0)
    optimum = dynamic(whole)
    knapsack = whole.scaled(weight=1e-13)
    said, choice = highs(knapsack, mip_rel_gap=0.0)
    assert said == "Optimal"
    assert not knapsack.holds(choice)
    check_kernel(knapsack, optimum)


@pytest.mark.parametrize("scale", swept([1e-12, 1.0, 1e12], lambda scale: scale >= 1.0))
@pytest.mark.parametrize(("name", "form"), WAYS)
def test_methods_keep_a_limit_that_is_just_short(name: str, form: str | None, scale: float) -> None:
    """The accuracy limit misses the noise of a cheaper plan by 5e-7, at every scale of the noise."""
    problem = at_a_cut(2, noise_scale=scale)
    subproblem, knapsack = as_knapsack(problem)
    cheaper = next(c for c in cheapest_first(knapsack) if knapsack.holds(c))
    short = math.fsum(knapsack.weight[np.arange(len(cheaper)), cheaper].tolist()) * (1 - 5e-7)
    delta = problem.accuracy.delta.copy()
    delta[0, subproblem.cut - 1] = short
    tightened = problem.replace({"accuracy.delta": delta.tolist()})
    _, tight = as_knapsack(tightened)
    assert tight.limit == short
    assert not tight.holds(cheaper)
    assert enumerated(tight) > tight.value(cheaper)
    said, choice = highs(Knapsack(tight.cost / tight.cost.mean(), tight.weight / short, 1.0), mip_rel_gap=0.0)
    assert said == "Optimal"
    assert not tight.holds(choice)  # the peer takes the cheaper plan
    check_method(tightened, name, form)


def cheapest_first(knapsack: Knapsack) -> Any:
    """All choices by their cost."""
    n, k = knapsack.cost.shape
    costs = np.zeros(1)
    for row in knapsack.cost:
        costs = (costs[:, None] + row).ravel()
    for at in np.argsort(costs):
        yield np.array(np.unravel_index(at, (k,) * n))

"""Certificates: what they prove is true, and what is true of small problems they prove."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from exact import SEEDS
from hypothesis import assume, given
from hypothesis import strategies as st
from sweeps import examples, few

from qopt.core.errors import InputError
from qopt.core.limits import limit_with_slack, within
from qopt.qpart.certificate.bounds import best_bound, screening
from qopt.qpart.certificate.certify import certify, proof_target
from qopt.qpart.certificate.cuts import CutTable
from qopt.qpart.certificate.witness import check_tree
from qopt.qpart.costs import breakdown
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import QPart
from qopt.qpart.terms import noise_terms

LEVEL = 0.01


# --- problems and their optimum by brute force ------------------------------------------------------------------


def small(rng: random.Random, **changes: Any) -> QPart:
    """A problem of one to three layers, at any scale, with any of the features that change what a cut holds."""
    n, hi = rng.randint(1, 3), rng.choice([2, 4])
    scale = 10.0 ** rng.randint(-12, 12)
    model = changes.pop("model", rng.choice(["law", "grid", "table"]))
    noise: dict[str, Any] = {"model": model}
    if model == "table":
        noise["table"] = {"bits": list(range(1, hi + 1))}
        for name in ("weights", "activations"):
            rows = [[rng.random() * scale * 4.0**-b for b in range(1, hi + 1)] for _ in range(n)]
            noise["table"][name] = [sorted(r, reverse=True) if rng.random() < 0.8 else r for r in rows]
    else:
        noise["s_weights"] = [rng.choice([0, 1, 1, 1]) * rng.uniform(0.1, 3) * scale for _ in range(n)]
        noise["s_activations"] = [rng.uniform(0.1, 3) * scale for _ in range(n)]
    tight = rng.choice([0.003, 0.02, 0.1, 0.5]) * scale
    weights = [rng.randint(0, 50) for _ in range(n)]
    problem = QPart(
        network={
            "macs": [rng.randint(0, 100) for _ in range(n)],
            "weights": weights,
            "activations": [rng.randint(0, 30) for _ in range(n)],
            "input_size": rng.choice([5, 5000]),
            "input_bits": 8,
            "last_reader": [rng.randint(i + 1, n + 1) for i in range(n)] + [n + 1] if rng.random() < 0.4 else None,
        },
        device={"cycles_per_mac": 1.0, "clock": rng.choice([1.0, 10.0])},
        server={"cycles_per_mac": 1.0, "clock": 50.0, "price": 0.1},
        channel={"rate": rng.choice([1.0, 1e-9, 1e9]), "transmit_power": 1.0},
        noise=noise,
        accuracy={"levels": [LEVEL], "delta": [[tight * rng.uniform(0.5, 2) * (i + 1) for i in range(n)]]},
        level=LEVEL,
        bits={"lo": 1, "hi": hi},
        tie_cut=rng.random() < 0.3,
        send_output=rng.random() < 0.7,
    )
    if rng.random() < 0.4:
        changes.setdefault("device.memory", float(rng.randint(1, 200)))
    if rng.random() < 0.5:
        changes.setdefault("cuts", sorted(rng.sample(range(1, n + 1), rng.randint(1, n))))
    return problem.replace(changes)


def whole_plans(problem: QPart) -> list[tuple[QPartPlan, bool, float]]:
    """Every whole-bit plan, whether it is feasible, and its objective: section 1 read word for word."""
    found = []
    noise_w, noise_x = noise_terms(problem)
    lo, hi = problem.bits.lo, problem.bits.hi
    for p in problem.admissible_cuts.tolist():
        outputs = crossing_activations(problem, p)
        for widths in itertools.product(range(lo, hi + 1), repeat=p + len(outputs)):
            w, x = widths[:p], widths[p:]
            if problem.tie_cut and p > 0 and p in outputs and x[-1] != w[-1]:
                continue
            terms = [float(noise_w[i, b - lo]) for i, b in enumerate(w)]
            terms += [float(noise_x[i - 1, b - lo]) for i, b in zip(outputs, x, strict=True)]
            stored = [float(z * b) for z, b in zip(problem.network.weights, w, strict=False)]
            feasible = (p == 0 or within(terms, float(problem.delta[p - 1]))) and (
                problem.device.memory is None or within(stored, problem.device.memory)
            )
            plan = QPartPlan(cut=p, weights=tuple(map(float, w)), activations=tuple(map(float, x)))
            found.append((plan, feasible, breakdown(problem, plan).objective))
    return found


@examples(200)
@given(SEEDS)
def test_whole_bits_against_brute_force(seed: int) -> None:
    rng = random.Random(seed)
    problem = small(rng)
    plans = whole_plans(problem)
    feasible = [entry for entry in plans if entry[1]]
    best = min((objective for *_, objective in feasible), default=math.inf)

    nothing = certify(problem, None)
    assert nothing.infeasible == (not feasible)
    assert nothing.bound is None if not feasible else nothing.bound <= best * (1 + 1e-12)
    for plan, _, objective in feasible:
        if objective == best:
            assert certify(problem, plan).proved
            break
    for plan, holds, objective in rng.sample(plans, min(4, len(plans))):
        certificate = certify(problem, plan)
        assert certificate.feasible == holds == (not certificate.violations)
        assert certificate.objective == objective
        assert not (certificate.infeasible and feasible)
        if certificate.bound is not None:
            assert certificate.bound <= best * (1 + 1e-12)
        assert certificate.cost is not None
        if objective > best * (1 + 1e-8) or not holds:
            assert not certificate.proved
        if holds and objective > best * (1 + 1e-8):
            assert any("better plan" in note for note in certificate.notes) or certificate.gap
        # Without enumeration a bound may be weaker, never wrong.
        weaker = certify(problem, plan, labels=0)
        assert weaker.bound is None or weaker.bound <= best * (1 + 1e-12)
        assert not (weaker.proved and not certificate.proved)


@examples(120)
@given(SEEDS, st.booleans())
def test_limits_that_a_plan_just_keeps(seed: int, below: bool) -> None:
    """Noise and memory limits set to exactly what one plan uses, or a hair less memory."""
    rng = random.Random(seed)
    g = np.random.default_rng(seed)
    n, hi = 3, 4
    c_w, c_x = g.uniform(0.5, 2, n), g.uniform(0.5, 2, n)
    z = np.floor(g.uniform(10, 40, n))
    widths = [rng.randint(1, hi) for _ in range(n + 1)]
    used = math.fsum(c * 4.0**-b for c, b in zip([*c_w, c_x[-1]], widths, strict=True))
    memory = math.fsum(z * widths[:n])
    problem = QPart(
        network={"macs": [1] * n, "weights": z, "activations": np.floor(g.uniform(10, 400, n)), "input_size": 1},
        device={"cycles_per_mac": 1.0, "clock": 1.0, "memory": memory * (1 - 1e-9) if below else memory},
        server={"cycles_per_mac": 1.0, "clock": 1.0},
        channel={"rate": 1.0, "download_rate": 30.0},
        noise={"s_weights": c_w, "s_activations": c_x},
        accuracy={"levels": [LEVEL], "delta": [[used] * n]},
        level=LEVEL,
        bits={"lo": 1, "hi": hi},
        cuts=[n],
    )
    feasible = [(objective, plan) for plan, holds, objective in whole_plans(problem) if holds]
    assert certify(problem, None).infeasible == (not feasible)
    if feasible:
        assert certify(problem, min(feasible, key=lambda entry: entry[0])[1]).proved
        objective, plan = rng.choice(feasible)
        assert certify(problem, plan).proved == (objective <= min(o for o, _ in feasible) * (1 + 1e-9))


@examples(30)
@given(SEEDS)
def test_real_bound_is_below_every_whole_plan(seed: int) -> None:
    problem = small(random.Random(seed), model=random.Random(seed).choice(["law", "grid"]))
    feasible = [objective for _, holds, objective in whole_plans(problem) if holds]
    bound = certify(problem, None, bits="real")
    if feasible:
        assert not bound.infeasible
        assert bound.bound is not None
        assert bound.bound <= min(feasible) * (1 + 1e-12)


# --- real-valued bits: problems made from their own multipliers -------------------------------------------------


def slope(noise: str, c: float, b: float) -> float:
    """Minus the derivative of a tensor's noise."""
    if noise == "law":
        return c * math.log(4) * 4.0**-b
    return c * 2 * math.log(2) * 2.0**b * (2.0**b - 1) ** -3


def width_at(noise: str, price: float, c: float, lam: float, lo: int, hi: int) -> float:
    """The width where price = lam * slope, by bisection, or the bound that comes before it."""
    low, high = float(lo), float(hi)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if lam * slope(noise, c, middle) > price else (low, middle)
    return hi if high == hi else low


def solved(
    seed: int, n: int, noise: str, with_memory: bool, scale: float = 1.0, money: float = 1.0
) -> tuple[QPart, QPartPlan, float]:
    """A one-cut problem whose optimum is known: limits are set to what given multipliers' minimiser uses."""
    g = np.random.default_rng(seed)
    lo, hi = 2, 12
    z_w, z_x = np.floor(g.uniform(1, 1e4, n)), np.floor(g.uniform(1, 1e3, n))
    s_w, s_x = g.lognormal(0, 2, n) * scale, g.lognormal(0, 2, n) * scale
    stored, c = np.append(z_w, 0.0), np.append(s_w, s_x[-1])
    price = np.append(z_w, z_x[-1]) * money
    lam, mu = money * 1e5 / scale, money * (2.0 if with_memory else 0.0)
    b = np.array([width_at(noise, p + mu * z, k, lam, lo, hi) for p, z, k in zip(price, stored, c, strict=True)])
    used = c * 4.0**-b if noise == "law" else c * (2.0**b - 1) ** -2
    problem = QPart(
        network={"macs": np.ones(n), "weights": z_w, "activations": z_x, "input_size": 1.0},
        device={
            "cycles_per_mac": 1.0,
            "clock": 1.0 / money,
            "memory": float(stored @ b) if with_memory else None,
        },
        server={"cycles_per_mac": 1.0, "clock": 1.0 / money},
        channel={"rate": 1.0 / money},
        noise={"model": noise, "s_weights": s_w, "s_activations": s_x},
        accuracy={"levels": [LEVEL], "delta": [np.full(n, math.fsum(used))]},
        level=LEVEL,
        bits={"lo": lo, "hi": hi},
        cuts=[n],
    )
    return problem, QPartPlan(bits="real", cut=n, weights=tuple(b[:n]), activations=tuple(b[n:])), lam


@pytest.mark.parametrize("noise", ["law", "grid"])
@pytest.mark.parametrize("with_memory", [False, True])
@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1.0, 1e9, 1e12])
@pytest.mark.parametrize("money", [1e-9, 1.0, 1e9])
def test_real_optimum_is_proved_at_every_scale(noise: str, with_memory: bool, scale: float, money: float) -> None:
    for n in (1, 7, 40):
        problem, plan, lam = solved(n, n, noise, with_memory, scale, money)
        certificate = certify(problem, plan)
        assert certificate.feasible, certificate.violations
        assert certificate.proved, certificate
        assert certificate.kind == "kkt-dual"
        assert certificate.kkt is not None
        assert certificate.kkt.worst <= 1e-9
        if n > 1:
            assert certificate.kkt.multiplier == pytest.approx(lam, rel=1e-6)


@examples(60)
@given(SEEDS, st.integers(2, 30), st.sampled_from(["law", "grid"]), st.booleans())
def test_moved_real_plans_are_not_proved(seed: int, n: int, noise: str, with_memory: bool) -> None:
    problem, plan, _ = solved(seed, n, noise, with_memory, 10.0 ** (seed % 19 - 9))
    assume(max(plan.weights) > problem.bits.lo + 0.02)
    limit = {"accuracy.delta": [(problem.delta * 2).tolist()]}
    if with_memory:
        limit["device.memory"] = 2 * problem.device.memory
    roomy = certify(problem.replace(limit), plan)
    assert roomy.feasible
    assert not roomy.proved
    assert roomy.kkt is not None
    assert roomy.kkt.worst > 1e-6
    longer = [min(b + 0.01, problem.bits.hi) for b in plan.weights]
    if longer != list(plan.weights):
        moved = certify(problem, QPartPlan(bits="real", cut=n, weights=tuple(longer), activations=plan.activations))
        assert not moved.proved
        assert moved.kkt is not None
        assert moved.kkt.worst > 1e-6 or not moved.feasible
    shorter = tuple(max(b - 0.01, problem.bits.lo) for b in plan.weights)
    if shorter != plan.weights:
        assert not certify(
            problem, QPartPlan(bits="real", cut=n, weights=shorter, activations=plan.activations)
        ).feasible


@pytest.mark.parametrize("noise", ["law", "grid"])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_real_infeasibility_that_needs_both_rows(noise: str, scale: float) -> None:
    """The least memory that keeps the noise limit is known by construction; a hair less holds no plan."""
    problem, plan, _ = solved(5, 12, noise, True, scale)
    n, lo, hi = 12, problem.bits.lo, problem.bits.hi
    z, s = problem.network.weights, problem.noise.s_weights
    assert s is not None
    b = [width_at(noise, float(p), float(k), 3e5 / scale, lo, hi) for p, k in zip(z, s, strict=True)]
    assert sum(lo < w < hi for w in b) >= 3
    leanest = QPartPlan(bits="real", cut=n, weights=tuple(b), activations=(float(hi),))
    c = np.append(s, problem.noise.s_activations[-1])
    widths = np.array([*b, hi])
    used = math.fsum(c * 4.0**-widths if noise == "law" else c * (2.0**widths - 1) ** -2)
    tight = {"accuracy.delta": [np.full(n, used)]}
    memory = math.fsum(z * np.array(b))
    for factor, holds in ((1 + 1e-9, True), (1 - 1e-9, False)):
        changed = problem.replace({**tight, "device.memory": memory * factor})
        assert certify(changed, leanest).feasible == holds
        assert certify(changed, None, bits="real").infeasible == (not holds)
        if not holds:
            assert certify(changed, plan).infeasible
            assert certify(changed, None, bits="whole").infeasible
            # Each row alone can be kept.
            assert not certify(changed.replace({"device.memory": None}), None, bits="real").infeasible
            roomy = changed.replace({"accuracy.delta": [(problem.delta * 1e9).tolist()]})
            assert not certify(roomy, None, bits="real").infeasible
            assert not certify(roomy, None, bits="whole").infeasible


# --- exact limits, shapes ---------------------------------------------------------------------------------------


def table_problem(noise: list[float], limit: float) -> QPart:
    """Two layers of one width each, whose noise is given; only the last cut is admissible, the output stays."""
    return QPart(
        network={"macs": [1, 1], "weights": [10, 10], "activations": [5, 5], "input_size": 100},
        device={"cycles_per_mac": 1.0, "clock": 1.0},
        server={"cycles_per_mac": 1.0, "clock": 1.0},
        channel={"rate": 1.0},
        noise={
            "model": "table",
            "table": {"bits": [4], "weights": [[noise[0]], [noise[1]]], "activations": [[0.0], [0.0]]},
        },
        accuracy={"levels": [LEVEL], "delta": [[limit, limit]]},
        level=LEVEL,
        bits={"lo": 4, "hi": 4},
        cuts=[2],
        send_output=False,
    )


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize(("limit", "holds"), [(0.3, True), (0.3 * (1 - 0.5e-12), True), (0.3 * (1 - 2e-12), False)])
def test_the_limit_is_exact_to_its_slack(scale: float, limit: float, holds: bool) -> None:
    problem = table_problem([0.1 * scale, 0.2 * scale], limit * scale)
    certificate = certify(problem, QPartPlan(cut=2, weights=(4, 4), activations=()))
    assert certificate.feasible == certificate.proved == holds
    assert certificate.infeasible == certify(problem, None).infeasible == (not holds)
    assert any("accuracy" in line for line in certificate.violations) == (not holds)


def test_each_broken_constraint_is_named() -> None:
    problem = small(random.Random(1), model="law").replace(
        {"cuts": [1], "tie_cut": True, "send_output": True, "device.memory": 1e9}
    )
    assert crossing_activations(problem, 1) == [1]

    def lines(w: float, x: float, kind: str = "whole") -> str:
        return "\n".join(certify(problem, QPartPlan(bits=kind, cut=1, weights=(w,), activations=(x,))).violations)

    assert "tied" in lines(2, 1)
    assert "not whole" in lines(1.5, 1.5)
    assert "not whole" not in lines(1.5, 1.5, "real")
    assert f"allowed 1 to {problem.bits.hi}" in lines(9, 9)
    assert "allowed 1 to" in lines(0, 0)
    assert "memory" in "\n".join(
        certify(
            problem.replace({"device.memory": 0.5, "network.weights": [10.0] * len(problem.network)}),
            QPartPlan(cut=1, weights=(1,), activations=(1,)),
        ).violations
    )
    other = certify(problem, QPartPlan(cut=0, weights=(), activations=()))
    assert "not admissible" in other.violations[0]
    assert not other.proved


def test_wrong_questions_are_errors() -> None:
    problem = table_problem([0.1, 0.2], 0.3)
    with pytest.raises(InputError, match=r"plan\.weights"):
        certify(problem, QPartPlan(cut=2, weights=(4,), activations=()))
    with pytest.raises(InputError, match="measured noise table"):
        certify(problem, QPartPlan(bits="real", cut=2, weights=(4, 4), activations=()))
    with pytest.raises(InputError, match="whole or real"):
        certify(problem, None, bits="integer")


@pytest.mark.parametrize("branches", [False, True])
def test_many_near_equal_cuts_are_all_bounded(branches: bool) -> None:
    """Computing is priced so that the optimum hardly depends on the cut: screening alone decides nothing."""
    g = np.random.default_rng(3)
    n = 40
    problem = QPart(
        network={
            "macs": np.floor(g.uniform(200, 300, n)),
            "weights": np.floor(g.uniform(20, 60, n)),
            "activations": np.floor(g.uniform(5, 30, n)),
            "input_size": 1e9,
            "last_reader": [*[min(i + 2 + i % 4, n + 1) for i in range(n)], n + 1] if branches else None,
        },
        device={"cycles_per_mac": 1.0, "clock": 1e9},
        server={"cycles_per_mac": 1.0, "clock": 1.0},
        channel={"rate": 1.0},
        noise={"s_weights": g.lognormal(0, 1, n), "s_activations": g.lognormal(0, 1, n)},
        accuracy={"levels": [LEVEL], "delta": [g.uniform(0.01, 0.02, n)]},
        level=LEVEL,
    )
    for bits in ("real", "whole"):
        alone = [certify(problem.replace({"cuts": [p]}), None, bits=bits, labels=0).bound for p in range(1, n + 1)]
        together = certify(problem, None, bits=bits, labels=0).bound
        table = CutTable(problem, bits)
        rough = screening(table, problem.admissible_cuts)
        assert all(rough[p] <= best_bound(table.at(p)).value * (1 + 1e-9) for p in range(1, n + 1))
        assert all(rough[p] >= 0.5 * best_bound(table.at(p)).value for p in range(5, n + 1))
        assert together == pytest.approx(min(b for b in alone if b is not None), rel=1e-9)


# --- witnesses --------------------------------------------------------------------------------------------------


Data = tuple[Any, Any, float, Any, float, float]


def grown(data: Data, target: float | Fraction, rng: random.Random) -> list[Any] | None:
    """A tree by plain branch and bound; None where some choice is below the target."""
    cost, noise, limit, stored, memory, offset = data
    limit, memory = limit_with_slack(limit), limit_with_slack(memory)
    c, w, z = (np.array(rows, dtype=float).reshape(len(cost), -1) for rows in (cost, noise, stored))
    base = float(np.median(c[c > 0]) / np.median(w[w > 0])) if (c > 0).any() and (w > 0).any() else 1.0
    leaves = [(a, base * 2.0**e if e > -40 else 0.0, 0.0) for e in range(-40, 40, 2) for a in (1, 0)]
    if math.isfinite(memory):
        per = float(c.max() / max(z.max(), 1e-300)) or 1.0
        leaves += [(a, x, per * f) for a, x, _ in leaves for f in (0.25, 1.0, 4.0, 64.0)]
        leaves += [(0, 0.0, 1.0)]
    needed = float(Fraction(target) - Fraction(offset))
    tree: list[Any] = []
    todo: list[list[list[int]]] = [[list(range(c.shape[1])) for _ in cost]]
    while todo:
        allowed = todo.pop()
        for a, lam, mu in leaves:
            paid = lam * limit + (mu * memory if mu else 0.0)
            gain = sum(min(a * c[i, j] + lam * w[i, j] + mu * z[i, j] for j in js) for i, js in enumerate(allowed))
            if gain - paid > (needed if a else 0.0) + 1e-14 * (gain + paid):
                tree.append(["leaf", a, lam, mu])
                break
        else:
            free = [i for i, js in enumerate(allowed) if len(js) > 1]
            if not free:
                return None
            i = rng.choice(free)
            half = allowed[i][: len(allowed[i]) // 2]
            tree.append(["split", i, half])
            rest = [j for j in allowed[i] if j not in half]
            todo += [[*allowed[:i], rest, *allowed[i + 1 :]], [*allowed[:i], half, *allowed[i + 1 :]]]
    return tree


def knapsack(rng: random.Random, n: int = 4, k: int = 4, with_memory: bool = False) -> tuple[Data, float]:
    """A random multiple-choice knapsack and its optimum by brute force."""
    scale = 10.0 ** rng.randint(-9, 9)
    cost = [[rng.uniform(1, 9) * scale * (j + 1) for j in range(k)] for _ in range(n)]
    noise = [[rng.uniform(1, 9) * 4.0**-j / scale for j in range(k)] for _ in range(n)]
    stored = [[rng.uniform(1, 5) * (j + 1) for j in range(k)] for _ in range(n)]
    limit = sum(r[k // 2] for r in noise)
    memory = sum(r[k // 2] for r in stored) * 1.2 if with_memory else math.inf
    best = math.inf
    for choice in itertools.product(range(k), repeat=n):
        if sum(r[j] for r, j in zip(noise, choice, strict=True)) > limit:
            continue
        if sum(r[j] for r, j in zip(stored, choice, strict=True)) <= memory:
            best = min(best, sum(r[j] for r, j in zip(cost, choice, strict=True)))
    return (cost, noise, limit, stored, memory, 3.0 * scale), best + 3.0 * scale


def verdict(data: Data, tree: Any, target: float | Fraction) -> Any:
    cost, noise, limit, stored, memory, offset = data
    return check_tree(cost, noise, limit, stored, memory, tree, target, offset)


@examples(60)
@given(SEEDS, st.booleans())
def test_true_witnesses_are_accepted_and_forged_ones_refused(seed: int, with_memory: bool) -> None:
    rng = random.Random(seed)
    data, best = knapsack(rng, with_memory=with_memory)
    target = best * (1 - 1e-9) if math.isfinite(best) else 1e30
    tree = grown(data, target, rng)
    assert tree is not None
    accepted = verdict(data, tree, target)
    assert accepted.accepted, accepted.reason
    assert accepted.bound >= target
    assert verdict(data, json.loads(json.dumps(tree)), Fraction(target)).accepted
    if math.isfinite(best):
        assert accepted.bound <= best * (1 + 1e-12)
        assert not verdict(data, tree, best * (1 + 1e-6)).accepted  # nothing proves what is false
        assert not verdict(data, tree, math.inf).accepted
    assert not verdict(data, tree[:-1], target).accepted
    assert not verdict(data, [*tree, tree[-1]], target).accepted
    assert not verdict(data, [], target).accepted

    leaves = [i for i, node in enumerate(tree) if node[0] == "leaf"]
    splits = [i for i, node in enumerate(tree) if node[0] == "split"]
    for value in (-1.0, math.nan, math.inf, -math.inf, "1", None, True, [1], 10**400):
        forged = copy.deepcopy(tree)
        forged[rng.choice(leaves)][2] = value
        assert not verdict(data, forged, target).accepted
    if math.isfinite(best):
        # The leaf that holds the optimum cannot be proved by other means: a ray, or wild multipliers.
        for change in ([0, 1.0, 0.0], [1, 1e200, 0.0], [2, 0.0, 0.0]):
            forged = [["leaf", *change] if node[0] == "leaf" else node for node in tree]
            assert not verdict(data, forged, target).accepted
    for at in splits[:3]:
        dropped = [node for i, node in enumerate(tree) if i != at]
        assert not verdict(data, dropped, target).accepted
        for columns in ([], [0, 0], [0, 1, 2, 3], [99], [-1], "01", None, [True], [0.0], list(range(10**5))):
            forged = copy.deepcopy(tree)
            forged[at][2] = columns
            assert not verdict(data, forged, target).accepted
        for item in (-1, 4, "0", None, 0.0, True, 10**30):
            forged = copy.deepcopy(tree)
            forged[at][1] = item
            assert not verdict(data, forged, target).accepted


def test_a_forged_split_cannot_hide_the_optimum() -> None:
    """Columns allowed on neither side, or given back to the second, would let a tree skip the best choice."""
    cost, noise = [[1.0, 2.0], [1.0, 2.0]], [[1.0, 0.0], [1.0, 0.0]]
    args = (1.0, [[0.0, 0.0]] * 2, math.inf)
    tree = [["split", 0, [0]], ["leaf", 1, 1.0, 0.0], ["leaf", 1, 1.0, 0.0]]
    assert check_tree(cost, noise, *args, tree, 3.0).accepted
    assert not check_tree(cost, noise, *args, tree, 3.0000001).accepted
    # A split that splits nothing, even where either side would be proved.
    for columns in ([0, 1], []):
        assert not check_tree(cost, noise, *args, [["split", 0, columns], *tree[1:]], 1.0).accepted
    assert not check_tree(cost, noise, *args, [["split", 0, [0, 1]], tree[1]], 1.0).accepted
    again = [["split", 0, [1]], ["split", 0, [0]], *[["leaf", 1, 1.0, 0.0]] * 3]
    assert not check_tree(cost, noise, *args, again, 1.0).accepted


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["leaf", "split"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@examples(60)
@given(JUNK, st.dictionaries(st.sampled_from(["0", "1", "2", "x"]), JUNK, max_size=3))
def test_junk_is_refused_and_never_raises(junk: Any, cuts: Any) -> None:
    data, best = knapsack(random.Random(7))
    assert not verdict(data, junk, best).accepted
    problem, plan, _ = open_problem()
    for witness in (junk, {"format": "qopt/qpart-witness", "version": 1, "cuts": cuts}):
        certificate = certify(problem, plan, witness, labels=0)
        assert not certificate.proved


def test_deep_trees_are_walked_without_recursion() -> None:
    n = few(100_000)
    cost, zero = [[1.0, 2.0]] * n, [[0.0, 0.0]] * n
    splits = [["split", i, [0]] for i in range(n)]
    assert "too early" in check_tree(cost, zero, 1.0, zero, math.inf, splits, 1.0).reason
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    assert not check_tree([[1.0]], [[0.0]], 1.0, [[0.0]], math.inf, nested, 1.0).accepted
    m = 150
    tree = [node for i in range(m) for node in (["split", i, [0]], ["leaf", 1, 0.0, 0.0])]
    # Reversed sense: the first side of every split is the leaf, the second goes on.
    chain = [*tree, ["leaf", 1, 0, 0]]
    assert check_tree(cost[:m], zero[:m], 1.0, zero[:m], math.inf, chain, float(m)).accepted
    assert not check_tree(cost[:m], zero[:m], 1.0, zero[:m], math.inf, chain, float(m) + 1).accepted


@functools.cache
def open_problem() -> tuple[QPart, QPartPlan, float]:
    """A problem whose optimum Lagrange's bound alone does not prove, and that optimum by brute force."""
    for seed in range(1000):
        problem = small(random.Random(seed)).replace({"tie_cut": False})
        feasible = [(objective, plan) for plan, holds, objective in whole_plans(problem) if holds]
        if len(feasible) > 20 and len(problem.admissible_cuts) > 1:
            objective, plan = min(feasible, key=lambda entry: entry[0])
            if not certify(problem, plan, labels=0).proved:
                return problem, plan, objective
    raise AssertionError("no such problem")


@examples(60)
@given(SEEDS)
def test_a_witness_closes_what_lagrange_leaves(seed: int) -> None:
    rng = random.Random(seed)
    problem = small(rng)
    feasible = [(objective, plan) for plan, holds, objective in whole_plans(problem) if holds]
    if not feasible:
        return
    objective, plan = min(feasible, key=lambda entry: entry[0])
    target = proof_target(problem, plan)
    table, trees = CutTable(problem, "whole"), {}
    for p in problem.admissible_cuts.tolist():
        if p > 0:
            tree = grown(table.knapsack(p), target, rng)
            assert tree is not None
            trees[str(p)] = tree
    witness = {"format": "qopt/qpart-witness", "version": 1, "cuts": trees}
    plain = certify(problem, plan, labels=0)
    proof = certify(problem, plan, witness, labels=0)
    assert proof.proved, proof.notes
    assert proof.kind == ("lagrangian" if plain.proved else "witness")
    assert proof.bound is not None
    assert proof.bound <= objective * (1 + 1e-12)
    if plain.proved:
        return
    forgeries: list[Any] = [
        {**witness, "version": 2},
        {**witness, "version": True},
        {**witness, "format": "qopt/plan"},
        {**witness, "cuts": {}},
        {**witness, "cuts": list(trees.values())},
        {**witness, "cuts": {**trees, "77": trees[max(trees)]}},
        {**witness, "cuts": {p: tree[:-1] for p, tree in trees.items()}},
        {**witness, "cuts": {p: [["leaf", 1, 0, 0]] for p in trees}},
        [],
    ]
    for forged in forgeries:
        refused = certify(problem, plan, forged, labels=0)
        assert not refused.proved
        assert any("witness rejected" in note for note in refused.notes)
    # The witness of the best plan proves nothing of a worse one.
    worse = [p for o, p in feasible if o > objective * (1 + 1e-8)]
    if worse:
        assert not certify(problem, rng.choice(worse), witness).proved


def test_the_tree_of_another_cut_is_refused() -> None:
    problem, plan, _ = open_problem()
    table = CutTable(problem, "whole")
    cuts = [p for p in problem.admissible_cuts.tolist() if p > 0]
    rng = random.Random(0)
    target = proof_target(problem, plan)
    trees = {str(p): grown(table.knapsack(p), target, rng) for p in cuts}
    witness = {"format": "qopt/qpart-witness", "version": 1, "cuts": trees}
    assert certify(problem, plan, witness, labels=0).proved
    for p, q in itertools.permutations(trees, 2):
        forged = {**witness, "cuts": {**trees, p: trees[q]}}
        certificate = certify(problem, plan, forged, labels=0)
        # Whatever is accepted is a proof: the foreign tree must hold on the cut's own numbers.
        cost, noise, limit, stored, memory, offset = table.knapsack(int(p))
        assert certificate.proved == check_tree(cost, noise, limit, stored, memory, trees[q], target, offset).accepted


def test_a_better_plan_is_named() -> None:
    problem, _, objective = open_problem()
    feasible = [(o, p) for p, holds, o in whole_plans(problem) if holds]
    worst = max(feasible, key=lambda entry: entry[0])[1]
    certificate = certify(problem, worst)
    assert not certificate.proved
    assert certificate.bound is not None
    assert certificate.bound <= objective * (1 + 1e-12)
    named = [float(note.split()[-1]) for note in certificate.notes if "better plan" in note]
    assert named
    assert named[0] == pytest.approx(objective, rel=1e-12)

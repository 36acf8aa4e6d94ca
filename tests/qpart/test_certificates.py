"""Certificates: what they prove is true, and what is true of small problems they prove."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from exact import SEEDS
from hypothesis import assume, given
from hypothesis import strategies as st
from small_requests import LEVEL, small, whole_plans
from sweeps import examples

from qopt.core.errors import InputError
from qopt.qpart.certificate.bounds import best_bound, screening
from qopt.qpart.certificate.certify import certify
from qopt.qpart.certificate.cuts import CutTable
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import QPart

# --- problems and their optimum by brute force ------------------------------------------------------------------


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

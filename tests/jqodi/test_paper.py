"""The paper's algorithm, its ADP, its comparisons, and the approximation scheme, against plain code and enumeration."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from sweeps import few, swept

import qopt
from qopt.core.errors import InputError, MethodError
from qopt.jqodi.costs import breakdown
from qopt.jqodi.generate import jqodi
from qopt.jqodi.methods import adp as jqodi_adp
from qopt.jqodi.methods import paper as jqodi_paper
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidates

SLACK = 1e-12


def small(seed: int, mode: Any = "path", **options: Any) -> Jqodi:
    options = {"servers": 2, "cuts": 2, "models": 2, "tightness": 0.8} | options
    return jqodi(3 + seed % 3, seed=seed, mode=mode, **options)


# --- Algorithms 1-4, plainly ---------------------------------------------------------------------------------------


def select_path(problem: Jqodi) -> tuple[float, JqodiPlan] | None:
    """CreateTree, Traversal and SelectPath by recursion over plans, costs from the account of Eqs. 1-10."""
    best: tuple[float, JqodiPlan] | None = None
    robust_problem = problem.model_copy(update={"estimate": "robust", "time_limit": 1e300})
    for model, width in problem.admissible:
        expected, robust = model.epochs(width)
        if expected is None or robust is None or (problem.horizon is not None and robust > problem.horizon):
            continue
        pairs = list(itertools.product(problem.server_names, model.admissible_cuts))
        sequences: Any = itertools.product(pairs, repeat=robust)
        if problem.mode == "choice":
            sequences = [(pair,) * robust for pair in pairs]
        for states in sequences:
            servers, cuts = zip(*states, strict=True)
            plan = JqodiPlan(problem=problem.name, model=model.name, bits=width.bits, servers=servers, cuts=cuts)
            rows = breakdown(robust_problem, plan).epochs
            if any(row.time is None for row in rows):
                continue
            steps = [width.quantize_time, *(row.time for row in rows)]
            if math.fsum(steps) > problem.time_limit * (1 + SLACK):
                continue
            joules = [x for row in rows for x in (*row.energies, row.switch_energy)]
            weight = math.fsum([width.quantize_energy, *joules])
            risk = 1.0
            if width.risk is not None:
                risk = width.risk
            elif width.loss is not None and model.loss is not None:
                after = []
                for name, epochs in (("expected", expected), ("robust", robust)):
                    update, run = (
                        np.broadcast_to(getattr(c, name), robust)
                        if np.ndim(getattr(c, name)) == 0
                        else np.array(getattr(c, name))
                        for c in (width.loss.update, width.loss.run)
                    )
                    start = model.loss + getattr(width.loss.quantization, name)
                    after.append(start + float(update[:epochs].sum() + run[:epochs].sum()))
                risk = after[0] / after[1] if min(after) > 0 else 1.0
            opportunity = math.fsum(steps[: 1 + expected]) / math.fsum(steps)
            score = weight * risk / opportunity
            if best is None or score < best[0] * (1 - 1e-12):
                kept = robust if problem.estimate == "robust" else expected
                chosen = {"servers": servers[:kept], "cuts": cuts[:kept]}
                best = score, plan.model_copy(update=chosen)
    return best


@pytest.mark.parametrize("mode", ["choice", "schedule", "path"])
@pytest.mark.parametrize("seed", swept(range(8), lambda seed: seed in (1, 2, 5)))
def test_the_path_of_least_score(seed: int, mode: Any) -> None:
    options: dict[str, Any] = {"losses": seed % 2 == 1, "estimate": "robust" if seed % 3 == 0 else "expected"}
    problem = small(seed, mode, models=1, **options)
    if seed % 4 == 0:
        problem = problem.replace({"models[0].widths[0].risk": 3.0})
    found, expected = qopt.solve(problem, method="jqodi-paper"), select_path(problem)
    if expected is None:
        assert found.plan is None
        assert "Theta" in found.message
        return
    assert found.status == "heuristic"
    assert found.details["score"] == pytest.approx(expected[0], rel=1e-9)
    assert found.plan == expected[1]
    assert ("only paths of one server" in found.message) == (mode == "choice")


def test_a_risk_decides() -> None:
    problem = small(5, "choice", models=1, widths=(4, 8)).replace({"time_limit": 1e9})
    chosen = qopt.solve(problem, method="jqodi-paper").plan.bits
    index = [width.bits for width in problem.models[0].widths].index(chosen)
    dearer = problem.replace({f"models[0].widths[{index}].risk": 1e6})
    assert qopt.solve(dearer, method="jqodi-paper").plan.bits != chosen


def test_beyond_a_million_paths_only_constant_ones() -> None:
    problem = jqodi(12, seed=1, servers=2, cuts=2, models=1, tightness=0.9)
    found = qopt.solve(problem, method="jqodi-paper")
    assert found.details["listed"] == "constant"
    assert "all would be" in found.message
    if found.plan is not None:
        assert len(set(zip(found.plan.servers, found.plan.cuts, strict=True))) == 1
    alone = jqodi_paper.create_trees(problem)
    assert jqodi_paper.paths_of(problem, alone) > jqodi_paper.MAX_PATHS


def test_vertices_of_the_tree_grow_with_every_epoch() -> None:
    """Without a limit that bites, S + S^2 + ... + S^K vertices: the tree is exponential in K."""
    for epochs in (3, 4, 5):
        problem = jqodi(
            epochs,
            seed=2,
            servers=2,
            cuts=2,
            models=1,
            widths=(8,),
            conditions=False,
            estimate="robust",
            mode="schedule",
        ).replace({"time_limit": 1e9})
        found = qopt.solve(problem, method="jqodi-paper")
        robust = problem.models[0].epochs(problem.models[0].width(8))[1]
        assert robust is not None
        assert found.details["vertices"] == sum(4**k for k in range(1, robust + 1))
        assert found.details["paths"] == 4**robust


@pytest.mark.parametrize(
    ("name", "method", "plan", "joules"),
    [
        ("jqodi/data1", "jqodi-paper", ("lenet", 6, "rtx3090", 1, 33), 7651.3),
        ("jqodi/data1", "full-model", ("vgg", 32, "rtx4090", 1, 4), 19091.0),
        ("jqodi/data2", "jqodi-paper", ("resnet20", 8, "rtx4090", 1, 50), 12091.0),
    ],
)
def test_published_plans(name: str, method: str, plan: tuple[Any, ...], joules: float) -> None:
    found = qopt.solve(qopt.load(name), method=method)
    chosen = found.plan
    assert (chosen.model, chosen.bits, chosen.servers[0], chosen.cuts[0], len(chosen.cuts)) == plan
    assert found.objective == pytest.approx(joules, rel=1e-3)


# --- the ADP -------------------------------------------------------------------------------------------------------


def on_schedule(problem: Jqodi, model: Any, width: Any, epochs: int, k: int, elapsed: float) -> bool:
    """V >= 1/2, from Eq. 14 without its logistic function."""
    if elapsed > problem.time_limit * (1 + SLACK):
        return False
    if width.loss is None:
        return elapsed <= problem.time_limit * k / epochs
    loss, limit = width.loss, model.loss_limit
    start = model.loss + getattr(loss.quantization, problem.estimate)
    steps = [np.asarray(getattr(c, problem.estimate), dtype=float) for c in (loss.update, loss.run)]
    gone = sum(float(c) * k if c.ndim == 0 else float(c[:k].sum()) for c in steps)
    if start + gone <= limit * (1 + SLACK) + 1e-15:
        return True
    exponent = math.log(start / limit) / math.log(2)
    return start + gone <= start / (1 + elapsed / problem.time_limit) ** exponent


@pytest.mark.parametrize("seed", range(24))
def test_adp_keeps_one_label_a_state_and_prunes_what_is_late(seed: int) -> None:
    mode: Any = ("choice", "schedule", "path")[seed % 3]
    problem = small(seed, mode, losses=seed % 2 == 0, tightness=1.0, estimate="robust" if seed % 5 == 0 else "expected")
    best = math.inf
    for own in candidates(problem):
        model = problem.model(own.model)
        width = model.width(own.bits)
        labels = {
            s: (own.setup_energy + own.energy[0, s], own.setup_time + own.time[0, s])
            for s in range(len(own.states))
            if math.isfinite(own.time[0, s])
        }
        for k in range(own.epochs):
            if k:
                reached = {}
                for s in range(len(own.states)):
                    ways = []
                    for r, (energy, elapsed) in labels.items():
                        if (mode == "choice" and r != s) or not math.isfinite(own.time[k, s]):
                            continue
                        counts = own.switch_energy is not None and k < own.counted
                        energy = energy + (own.switch_energy[r, s] if counts else 0.0)  # type: ignore[index]
                        elapsed = elapsed + (0.0 if own.switch_time is None else own.switch_time[r, s])
                        ways.append((energy, elapsed))
                    if ways:
                        energy, elapsed = min(ways)
                        reached[s] = (energy + own.energy[k, s], elapsed + own.time[k, s])
                labels = reached
            labels = {
                s: (energy, elapsed)
                for s, (energy, elapsed) in labels.items()
                if on_schedule(problem, model, width, own.epochs, k + 1, elapsed)
            }
        best = min([best, *(energy for energy, _ in labels.values())])
    found = qopt.solve(problem, method="adp")
    assert found.status == "heuristic"
    if math.isinf(best):
        assert found.plan is None
        assert "ideal curve" in found.message
    else:
        assert found.objective == pytest.approx(best, rel=1e-9)
        assert found.certificate.feasible
        assert found.objective >= qopt.solve(problem).objective * (1 - 1e-12)
    assert ("k / K" in found.message) == (seed % 2 == 1)


def test_the_ideal_curve_joins_its_ends() -> None:
    curve = jqodi_adp.LossSchedule(np.array([0.08, 0.05, 0.02]), 0.02, 2, 100.0)
    assert curve.ideal(np.array([0.0, 1.0])) == pytest.approx([0.08, 0.02])
    fine = curve.ideal(np.linspace(0, 1, 101))
    assert np.all(np.diff(fine) < 0)
    assert np.all(np.diff(fine, 2) > 0)
    # Late is 0, reached is 1, on the curve is 1/2.
    assert curve.value(1, np.array([100.1]))[0] == 0.0
    assert curve.value(2, np.array([99.0]))[0] == 1.0
    at = 100.0 * (math.sqrt(0.08 / 0.05) - 1)  # exponent 2: (1 + T / 100)^-2 = 0.05 / 0.08
    assert curve.value(1, np.array([at]))[0] == pytest.approx(0.5, abs=1e-12)
    assert curve.value(1, np.array([0.9 * at]))[0] > 0.5 > curve.value(1, np.array([1.1 * at]))[0]


# --- comparisons ---------------------------------------------------------------------------------------------------


def test_full_and_minimal_are_the_best_at_their_width() -> None:
    for seed in range(4):
        for mode in ("choice", "schedule", "path"):
            problem = small(seed, mode, widths=(4, 8), tightness=1.0)
            for method, bits in (("full-model", 32), ("minimal-model", 4)):
                found = qopt.solve(problem, method=method)
                assert found.plan.bits == bits
                alone = problem.replace({"widths": [bits]})
                best = qopt.solve(alone, method="brute-force")
                if best.plan is None:
                    best = qopt.solve(alone.replace({"time_limit": 1e9}), method="brute-force")
                    assert any(line.startswith("time") for line in found.certificate.violations)
                    assert "T_max" in found.message
                assert found.objective == pytest.approx(best.objective, rel=1e-9)


def test_a_width_that_never_reaches_its_loss_trains_while_time_lasts() -> None:
    problem = small(0, "schedule", models=1, conditions=False, tightness=1.0)
    never = problem.replace({"models[0].widths[0].epochs": None, "models[0].widths[0].bits": 1, "widths": None})
    found = qopt.solve(never, method="minimal-model")
    assert found.plan.bits == 1
    assert len(set(zip(found.plan.servers, found.plan.cuts, strict=True))) == 1
    cost = breakdown(never, found.plan)
    assert cost.time is not None
    each = cost.epochs[0].time
    assert each is not None
    assert cost.time <= never.time_limit < cost.time + each
    assert any("never reaches" in line for line in found.certificate.violations)
    energies = []
    for server, cut in itertools.product(never.server_names, never.models[0].admissible_cuts):
        one = JqodiPlan(problem=never.name, model=never.models[0].name, bits=1, servers=(server,), cuts=(cut,))
        row = breakdown(never, one).epochs[0]
        if row.time is not None and cost.setup_time + row.time <= never.time_limit:
            energies.append(row.energy)
    assert cost.epochs[0].energy == min(energies)
    nothing = never.replace({"time_limit": 1e-9})
    assert "not one epoch" in qopt.solve(nothing, method="minimal-model").message


def test_a_width_whose_epochs_are_impossible_has_no_plan() -> None:
    problem = small(0, "schedule", models=1, conditions=False, tightness=1.0)
    gone = {name: {"available": [True, False, True, True]} for name in problem.server_names}
    blocked = problem.replace({"conditions": {"servers": gone}, "models[0].widths[0].epochs": {"expected": 2}})
    bits = blocked.models[0].widths[0].bits
    found = qopt.solve(blocked.replace({"widths": [bits]}), method="full-model" if bits == 32 else "minimal-model")
    assert found.plan is None
    assert "in epoch 2 no server and cut is possible" in found.message


# --- the approximation scheme --------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [None, 0.2, 1e-3])
def test_fptas_keeps_its_guarantee(gap: float | None) -> None:
    for seed in range(few(12)):
        problem = small(seed, "path" if seed % 2 else "schedule", estimate="robust" if seed % 3 == 0 else "expected")
        best = qopt.solve(problem, method="brute-force").objective
        found = qopt.solve(problem, method="fptas", **({} if gap is None else {"gap": gap}))
        if best is None:
            assert found.plan is None
            assert found.status.startswith("infeasible")
            continue
        assert found.status in ("feasible", "optimal")
        assert found.certificate.feasible
        assert Fraction(found.objective) <= (1 + Fraction(0.01 if gap is None else gap)) * Fraction(best)
        assert found.bound is not None
        assert found.bound <= best * (1 + 1e-12)


def test_fptas_on_a_diagram_of_fifty_epochs() -> None:
    problem = jqodi(50, seed=4, servers=3, cuts=3, models=1, widths=(8,))
    best = qopt.solve(problem, method="rcsp").objective
    for gap in (0.1, 0.01, 1e-4):
        found = qopt.solve(problem, method="fptas", gap=gap)
        assert best * (1 - 1e-12) <= found.objective <= (1 + gap) * best


def test_fptas_refuses_what_it_does_not_take() -> None:
    with pytest.raises(MethodError, match="inspection"):
        qopt.solve(small(0, "choice"), method="fptas")
    with pytest.raises(InputError, match="gap"):
        qopt.solve(small(0), method="fptas", gap=0.0)
    with pytest.raises(InputError, match="gap"):
        qopt.solve(small(0), method="adp", gap=0.1)
    late = qopt.solve(small(0), method="fptas", time_limit=0.0, gap=1e-12)
    assert late.status in ("time-limit", "feasible", "optimal")
    if late.plan is not None and late.bound is not None:
        assert late.bound <= late.objective


def test_the_paper_says_what_has_no_tree() -> None:
    problem = small(0, "schedule")
    data: Any = problem.model_dump(exclude_none=True)
    width = data["models"][0]["widths"][0]
    width["epochs"] = {"expected": 3}
    found = qopt.solve(Jqodi(**data), "jqodi-paper")
    name = f"{data['models'][0]['name']} at {width['bits']} bits"
    assert f"left out: {name} (no K^rob)" in found.message
    width["epochs"] = {"expected": 3, "robust": 9}
    data["conditions"] = {"cloud_speed": [1.0] * 5}
    found = qopt.solve(Jqodi(**data), "jqodi-paper")
    assert f"{name} (K^rob = 9, conditions for 5 epochs)" in found.message
    for model in data["models"]:
        for each in model["widths"]:
            each["epochs"] = {"expected": 3}
    found = qopt.solve(Jqodi(**data), "jqodi-paper")
    assert found.plan is None
    assert found.message.startswith("no model and bit-width has a tree; ")

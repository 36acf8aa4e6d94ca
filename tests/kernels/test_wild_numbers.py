"""Numbers of any range, limits within a digit of a sum, costs that stand for never: no false claim, all proofs hold."""

from __future__ import annotations

import json
import math
import os
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from wild_numbers import case, knapsack

from qopt.core.errors import InputError
from qopt.kernels import mckp, mincut, rcsp
from qopt.kernels.checker import check
from qopt.kernels.exchange import cut_instance, mckp_instance, mckp_witness, rcsp_instance, rcsp_witness

MANY = int(os.environ.get("QOPT_WILD_CASES", "500"))
"""Cases of the sweep for each kernel."""


def accepted(instance: Any, witness: Any) -> bool:
    """Whether the checker takes a proof, from JSON."""
    return check(json.loads(json.dumps(instance)), json.loads(json.dumps(witness)), gap=1e-9).accepted


def judge(kind: str, seed: int) -> None:
    """Every claim of a kernel against enumeration in rationals."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found, true, best, instance, witness = case(kind, np.random.default_rng((31, seed)))
        except InputError as refused:  # what no answer could be written down for, a case in 5000
            if (kind, refused.field) != ("mckp", "ties") or "beyond 1e+300" not in refused.found:
                raise
            return
    if best is None:
        assert found.status == "infeasible"
        assert accepted(instance, witness(found))
        return
    assert found.status == "optimal" or (kind == "cut" and found.status == "optimal-by-solver")
    assert true is not None
    assert found.objective == float(true)
    assert true - best <= Fraction(1e-9) * abs(best)
    assert found.bound is not None
    assert Fraction(found.bound) - best <= Fraction(1e-9) * abs(best)
    if found.status == "optimal":
        assert accepted(instance, witness(found))


@pytest.mark.parametrize("kind", ["mckp", "rcsp", "cut"])
def test_numbers_of_any_range(kind: str) -> None:
    for seed in range(40):
        judge(kind, seed)


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["mckp", "rcsp", "cut"])
def test_many_numbers_of_any_range(kind: str) -> None:
    for seed in range(60, 60 + MANY):
        judge(kind, seed)


@pytest.mark.parametrize(
    ("cost", "weight", "limit", "optimum"),
    [
        pytest.param([[1e16, 5e-324, 0.0]], [[1e300, -1e-16, 1e-310]], 1e-310, 0.0, id="costs 340 decades apart"),
        pytest.param(
            [[6e-190, 3.6e241, 8e105, 3.6e218], [7e-214, 1e-218, 2.5e260, 4.5e-194]],
            [[3.7e-7, 9e-6, 2e-6, 7.3e-6], [4.7e-6, 4.6e-6, 8.5e-7, 4.1e-6]],
            1.3e-5,
            6e-190,
            id="costs 480 decades apart",
        ),
        pytest.param([[-2, -1], [4, 0]], [[1.00000000001, 0], [-1000, 0]], 1.0, -1.0, id="a credit and a small limit"),
        pytest.param(
            [
                [273.2033328397031, -150.0285024406877, 1.226329978983675],
                [0.002435598194010776, 0.1149726587345719, 7.139532398768504],
                [0.07811810408755666, -0.008227947586566907, -312.13224859751284],
                [0.0001697522155611177, 2.8546761113051553, -5703.28511271546],
                [0.5257802946564343, 118.58745579220617, -0.007724893604528703],
            ],
            [
                [3.4098027040792506e-10, 0.0, 114.49898817574704],
                [0.0, 8.47078287958126e-10, -9.083652970269649e-08],
                [-281254946097.8804, 0.0, 0.0],
                [13860.26955870905, 3.2482266299097635e-08, 9.86508959031797e-08],
                [6.767233916634972e-08, 0.3380719868595821, 48.509955404557836],
            ],
            1.1642626454867059e-07,
            -6157.780551060236,
            id="a limit below what a credit is rounded by",
        ),
        pytest.param(
            [[-5.5, -5.8, -5.86, -5.88, -5.89], [-4.4, -4.6, -4.66, -4.68, -4.682], [-8.4, -8.9, -8.96, -8.99, -8.992]],
            [[-0.6, -0.3, 0.0, 0.6, 1.2], [-6.0, -3.0, 0.0, 6.0, 12.0], [-1.2, -0.6, 0.0, 1.2, 2.4]],
            0.0,
            None,
            id="a mean of four bits, sizes in tenths",
        ),
    ],
)
def test_knapsacks_that_floats_cannot_settle(cost: Any, weight: Any, limit: float, optimum: float | None) -> None:
    for rows in (1, 2):
        weights = np.array([weight, np.zeros_like(weight)][:rows], dtype=float)
        limits = np.array([limit, 0.0][:rows])
        found = mckp.solve(cost, weights, limits)
        assert found.status == "optimal"
        assert optimum is None or found.objective == pytest.approx(optimum, rel=1e-12, abs=0.0)
        assert accepted(mckp_instance(cost, weights, limits), mckp_witness(found))


def test_a_limit_below_all_floats_but_0_is_broken() -> None:
    found = mckp.solve([[3e-6, 6e-8, 2e-11]], [[1.9e280, 5e279, 0.0]], -5e-324)
    assert found.status == "infeasible"


@pytest.mark.parametrize("never", [1e17, 1e18, 1e30, 1e300])
def test_a_cost_that_stands_for_never_is_not_taken(never: float) -> None:
    """The first labels known pay it, so all others cost nothing on their grid; on a finer one it is clipped."""
    unary, tensors = np.array([[never, 3.0], [0.0, 0.2], [0.3, 0.0]]), [(1, [2], [0.1])]
    found = mincut.solve(unary, tensors)
    assert found.status == "optimal"
    assert found.labels is not None
    assert (found.labels.tolist(), found.objective) == ([1, 0, 1], pytest.approx(3.1))
    assert accepted(cut_instance(unary, tensors), found.witness())
    choice = mckp.solve([[never, 3.0], [0.0, 0.2]], [[0.0, 1.0], [1.0, 1.0]], 2.0)
    assert (choice.status, choice.objective) == ("optimal", 3.0)


def test_cheap_labels_that_draw_a_dear_one_after_them() -> None:
    """Costs of 1e30 that cancel hide all others from 57 digits, not from whole numbers."""
    unary = np.array([[0.0, 1e30, 1.0], [5.0, -1e30, 2.0]])
    tensors = [(0, [1], [1e300, 1e300]), (1, [0], [1e300, 1e300])]
    found = mincut.solve(unary, tensors)
    assert found.labels is not None
    assert (found.labels.tolist(), found.objective) == ([1, 1], 0.0)


@pytest.mark.parametrize(
    ("cost", "used", "between", "limit"),
    [
        ([[2e200], [5e199], [2e200]], [[3e-200], [9e-185], [1e-183]], ([[5e-324]], [[3.000000003e-200]]), 1.09e-183),
        (
            [[8e-17, 1.3e-9, 8.2e-6], [1.3e-11, 1.1e-14, 3e-7]],
            [[8e91, 2.9e97, 6.2e92], [8.6e95, 5e95, 3.1e95]],
            (
                [[6.6e287, 1.3e-282, 4e160], [1.3e-214, 6.3e-260, 8e74], [5.4e-265, 1e-166, 4.8e16]],
                [[4.7e-42, 2.6e153, 1.3e-138], [3.9e-119, 1.7e240, 4.2e251], [6.7e-171, 4.9e-74, 1.8e21]],
            ),
            3.11559997310456e95,
        ),
    ],
)
def test_paths_that_floats_cannot_settle(cost: Any, used: Any, between: tuple[Any, Any], limit: float) -> None:
    graph = rcsp.Layered(np.array(cost), np.array(used), *map(np.array, between))
    found = rcsp.solve(graph, limit)
    assert found.status in ("optimal", "infeasible")
    assert accepted(rcsp_instance(graph, limit), rcsp_witness(found))


@pytest.mark.parametrize("table", [[[2**53 + 1, 2**53]], np.array([[2**53 + 1, 2**53]]), [[2**53 + 1, 0.5]]])
def test_whole_numbers_that_no_float_holds_are_refused(table: Any) -> None:
    plain = [[1.0, 1.0]]
    calls = [
        lambda: mckp.solve(table, plain, 2.0),
        lambda: mckp.solve(plain, table, 2.0),
        lambda: mckp.solve(plain, [table, plain], [2.0, 2.0]),
        lambda: rcsp.Layered(table, plain),
        lambda: rcsp.Layered(plain, table),
        lambda: mincut.solve(table, []),
    ]
    for call in calls:
        with pytest.raises(InputError, match="9007199254740993"):
            call()
    with pytest.raises(InputError, match=r"limit: found 9007199254740993"):
        mckp.solve(plain, plain, 2**53 + 1)
    with pytest.raises(InputError, match="hundreds of digits"):
        mckp.solve([[10**400, 1]], plain, 2.0)
    found = mckp.solve([[2**60, 2**53]], plain, 2)
    assert found.objective == 2**53


def test_a_time_limit_of_nothing_leaves_a_choice_and_a_bound() -> None:
    """Where the search has no time at all: what is said is true."""
    seen = 0
    for seed in range(60):
        given = knapsack(np.random.default_rng((32, seed)))
        proved, late = mckp.solve(**given), mckp.solve(**given, time_limit=0.0)
        if proved.objective is None:
            assert late.choice is None
            continue
        assert late.bound is not None
        assert late.bound <= proved.objective
        seen += late.choice is not None
    assert seen > 30
    rng = np.random.default_rng(33)
    cost, used = rng.uniform(1, 9, (2, 40, 6))
    graph = rcsp.Layered(cost, used, rng.uniform(0, 1, (6, 6)))
    limits = [float(used.min(axis=1).sum()) * 1.2, math.inf]
    best = [rcsp.solve(graph, limit).objective for limit in limits]
    for limit, optimum in zip(limits, best, strict=True):
        late_path = rcsp.solve(graph, limit, time_limit=0.0)
        assert late_path.objective is not None
        assert late_path.bound is not None
        assert optimum is not None
        assert late_path.bound <= optimum <= late_path.objective
    unary = rng.uniform(0, 9, (50, 3))
    tensors = [(v, [v + 1], rng.uniform(0, 3, 2).tolist()) for v in range(49)]
    whole, stopped = mincut.solve(unary, tensors), mincut.solve(unary, tensors, time_limit=0.0)
    assert stopped.status == "limit"
    assert stopped.bound is not None
    assert whole.objective is not None
    assert stopped.objective is not None
    assert stopped.bound <= whole.objective <= stopped.objective

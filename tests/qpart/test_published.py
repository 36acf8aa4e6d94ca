"""Algorithms 1 and 2 to the letter, Table II as an instance, layers counted from their shapes, widths up to 64."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from qopt.instances.make_table2 import table2

import qopt
from qopt.core.errors import InputError, MethodError
from qopt.core.reading import load
from qopt.qpart.costs import breakdown, prices
from qopt.qpart.generate import qpart
from qopt.qpart.methods.published import averaged, offline_widths
from qopt.qpart.table2 import TABLE_II


def test_equation_40_as_printed_asks_for_minus_72_million_bits() -> None:
    """Table II, fully connected, server's energy off: a number of values is taken from a cost."""
    problem = load("qpart/table2")
    found = {plan.cut: (plan, raw) for plan, raw in offline_widths(problem)}
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    for plan, raw in found.values():
        assert raw[plan.cut - 1] == pytest.approx(-7.2e7, rel=5e-3)
        assert set(plan.weights) == {1.0}


@pytest.mark.parametrize("equation", ["printed", "restored"])
def test_widths_are_those_of_the_equations_written_out(equation: str) -> None:
    """Eq. 40 at layer p, Eq. 27 downwards, Eq. 22's mean, at Table II whatever the request's own condition."""
    problem = qpart(4, seed=3).replace({"accuracy.rho_weights": [[2.0, 1, 4, None]], "channel.rate": 3e5})
    at, net = prices(problem.replace(dict(TABLE_II))), problem.network
    rho_x = problem.accuracy.rho_activations
    s, mean = problem.noise.s_weights, averaged(problem).accuracy.rho_weights
    assert s is not None
    assert mean is not None
    for layer, rho in enumerate((2.0, 1.0, 4.0)):
        own = 1.0 if rho_x is None else rho_x[0][layer]
        assert mean[0][layer] == (rho + own) / 2
    for plan, raw in offline_widths(problem, equation=equation):
        p = plan.cut
        z = float(net.weights[p - 1])
        lost = z if equation == "printed" else at.upload * z
        b = ((at.device - at.server) * float(net.macs[p - 1]) - lost / math.log(4)) / (at.upload * z)
        assert raw[p - 1] == pytest.approx(b, rel=1e-12)
        assert plan.activations == plan.weights[-1:]
        for layer in range(1, p) if p < 4 else ():
            c = [s[k - 1] / mean[0][k - 1] for k in (p, layer)]
            ratio = c[1] / net.weights[layer - 1] * z / c[0]
            assert raw[layer - 1] == pytest.approx(b + 0.5 * math.log2(ratio), rel=1e-9, abs=1e-9)


def test_the_table_decides_as_the_method_does() -> None:
    """Algorithm 2 by `decide` on the published table: level looked up, then the cheapest fixed plan."""
    problem = load("qpart/mnist-mlp6")
    rates, levels = np.geomspace(1e5, 1e8, 7), [0.002, 0.004, 0.01, 0.03, 0.05, 0.05, 1.0]
    for equation in ("printed", "restored"):
        table = qopt.published_table(problem, equation=equation)
        found = qopt.decide(table, {"channel.rate": rates, "level": levels})
        for row in range(len(rates)):
            asked = found.requests.problem(row, problem)
            alone = qopt.solve(asked, "qpart-published", formulation=equation)
            assert found.plan(row) == alone.plan
            assert alone.plan is not None
            assert found.objective[row] == pytest.approx(breakdown(asked, alone.plan).objective, rel=1e-12)


def test_a_condition_of_ones_own_moves_the_widths() -> None:
    problem = load("qpart/table2")
    slow = [plan for plan, _ in offline_widths(problem, {"channel.rate": 2e8}, "restored")]
    fast = [plan for plan, _ in offline_widths(problem, {"channel.rate": 1e9}, "restored")]
    assert slow != fast


def test_what_the_published_algorithm_cannot_take_is_said() -> None:
    problem = load("qpart/mnist-mlp6")
    assert qopt.solve(problem.replace({"cuts": [0]}), "qpart-published").plan is None
    with pytest.raises(MethodError, match="bits has menus"):
        qopt.solve(problem.replace({"bits.menu": [2, 4]}), "qpart-published")
    with pytest.raises(MethodError, match="bits has menus"):
        qopt.published_table(problem.replace({"bits.menu": [2, 4]}))
    for arguments, line in (
        ({"problems": []}, "problems: found none"),
        ({"problems": [problem, problem]}, "twice"),
        ({"problems": problem, "equation": "40"}, "equation: found '40'; allowed: printed or restored"),
    ):
        with pytest.raises(InputError, match=line):
            qopt.published_table(**arguments)  # type: ignore[arg-type]


def test_table_ii_is_bundled_and_its_script_still_makes_it() -> None:
    made, kept = table2(), load("qpart/table2")
    assert made == kept.replace({"best_known": None})
    price = prices(kept)
    assert (price.device, price.server, price.upload) == pytest.approx((2.56e-8, 4.1667e-10, 1e-8), rel=1e-4)
    charged = prices(kept.replace({"server.charge_energy": True}))
    assert charged.server == pytest.approx(4.26042e-8, rel=1e-5)


def test_widths_go_up_to_double_precision() -> None:
    """bits.hi = 64 changes no optimum, and a tensor that must be exact enough gets what it needs."""
    law = qpart(3, seed=2)
    assert qopt.solve(law.replace({"bits.hi": 64})).objective == qopt.solve(law).objective
    strict = qopt.load("qpart/teaching-3").replace({"bits.lo": 1, "bits.hi": 64, "cuts": [2]})
    strict = strict.replace({"accuracy.delta": [[4.0**-40] * 3]})
    found = qopt.solve(strict)
    assert found.status == "optimal"
    assert found.plan is not None
    assert max(found.plan.weights) > 32
    assert qopt.solve(strict, "kkt").status == "optimal"


MADE = [
    (qopt.Linear(784, 512), 401408, 401408, 512),
    (qopt.Conv(3, 64, 7, 224, stride=2, padding=3, pool=2), 118013952, 9408, 64 * 56 * 56),
    (qopt.Conv(32, 32, 3, (10, 12), padding=1, groups=32), 32 * 9 * 120, 288, 32 * 120),
    (qopt.Conv(1, 12, 5, 28), 12 * 25 * 576, 300, 12 * 576),
]


@pytest.mark.parametrize(("layer", "macs", "weights", "outputs"), MADE)
def test_layers_are_counted_from_their_shapes(layer: Any, macs: int, weights: int, outputs: int) -> None:
    assert (layer.macs, layer.weights, layer.values_out) == (macs, weights, outputs)


def test_equation_2_as_printed_counts_the_inputs_positions() -> None:
    assert qopt.Conv(1, 12, 5, 28).macs_as_printed == 12 * 25 * 784
    assert qopt.Conv(4, 4, 3, 8, padding=1).macs_as_printed == qopt.Conv(4, 4, 3, 8, padding=1).macs


def test_a_request_from_shapes_is_the_bundled_network() -> None:
    sizes = (784, 512, 256, 128, 64, 32, 10)
    kept = load("qpart/table2")
    made = qopt.QPart.from_layers(
        [qopt.Linear(a, b) for a, b in itertools.pairwise(sizes)],
        noise=kept.noise,
        accuracy=kept.accuracy,
        level=0.01,
        input_bits=8,
        cuts=[1, 2, 3, 4, 5, 6],
    )
    assert made.network == kept.network.model_copy(update={"overhead": None, "layers": made.network.layers})
    assert qopt.solve(made).objective == qopt.solve(kept).objective


@pytest.mark.parametrize(
    ("layers", "line"),
    [
        ([], r"layers: found \[\]; allowed: a list of Linear and Conv"),
        ([3], r"layers\[0\]: found 3; allowed: Linear or Conv"),
        ([qopt.Linear(4, 3), qopt.Linear(2, 1)], r"layers\[1\]: found 2 values in, behind 3 out"),
    ],
)
def test_layers_that_do_not_fit_are_one_line(layers: Any, line: str) -> None:
    noise = {"s_weights": [1], "s_activations": [1]}
    with pytest.raises(InputError, match=line):
        qopt.QPart.from_layers(layers, noise=noise, accuracy={"levels": [0.01], "delta": [[1]]}, level=0.01)


def test_shapes_that_cannot_be_are_one_line() -> None:
    for make, line in (
        (lambda: qopt.Linear(0, 3), "Linear.inputs: found 0"),
        (lambda: qopt.Conv(3, 4, 9, 8), "Conv.kernel"),
        (lambda: qopt.Conv(3, 4, (1, 2, 3), 8), "Conv.kernel"),  # type: ignore[arg-type]
        (lambda: qopt.Conv(3, 4, 3, 8, groups=2), "Conv.groups"),
        (lambda: qopt.Conv(3, 4, 3, 8, pool=9), "Conv.pool"),
    ):
        with pytest.raises(InputError, match=line):
            make()

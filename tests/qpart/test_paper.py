"""The published algorithm: its numbers, and what the certificate says of it."""

from __future__ import annotations

from typing import Any

import pytest
from qpart_problems import table_ii

import qopt
from qopt.qpart.generate import qpart
from qopt.qpart.methods.paper import raw_widths
from qopt.qpart.subproblem import subproblems


@pytest.mark.parametrize(
    ("macs", "charge", "bits"),
    [(784 * 512, False, 1.80), (784 * 512, True, -2.42), (784 * 512 * 1024, False, 2578)],
)
@pytest.mark.parametrize("delta", [1e-3, 1.0])
def test_equation_40_on_table_ii(macs: int, charge: bool, bits: float, delta: float) -> None:
    network = {"macs": [macs], "weights": [784 * 512], "activations": [10], "input_size": 10}
    accuracy = {"levels": [0.01], "delta": [[delta]]}
    p = table_ii(network=network, accuracy=accuracy, **{"server.charge_energy": charge})
    table = subproblems(p)
    assert raw_widths(p, table, table.at(1))[0] == pytest.approx(bits, rel=5e-3)


@pytest.mark.parametrize("seed", range(25))
def test_the_certificate_says_what_it_breaks(seed: int) -> None:
    changes: dict[str, Any] = {} if seed % 2 else {"network.ties": [{"layers": [1, 2]}]}
    p = qpart(5, seed=seed).replace(changes)
    found, best = qopt.solve(p, "qpart-paper"), qopt.solve(p)
    assert found.status == "heuristic"
    assert found.plan is not None
    holds = all(slack.holds for slack in found.certificate.constraints)
    assert found.certificate.feasible == holds
    assert bool(found.certificate.violations) != holds
    if holds:
        assert found.objective >= best.objective * (1 - 1e-12)


def test_the_published_widths_break_levels() -> None:
    """The kindest reading of the algorithm spends more noise than the level allows on random requests."""
    found = [qopt.solve(qpart(5, seed=seed), "qpart-paper").certificate for seed in range(25)]
    broken = [c for c in found if any("noise" in v or "accuracy" in v for v in c.violations)]
    assert broken


def test_edges() -> None:
    p = qpart(3, seed=1)
    assert qopt.solve(p.replace({"cuts": [0]}), "qpart-paper").plan is None
    zero = {"objective.time": 0.0, "objective.energy": 0.0, "objective.price": 0.0}
    assert qopt.solve(p.replace(zero), "qpart-paper").plan is not None

"""JQODI: 500 random small problems in each mode, one optimum by all exact methods, proved by the witnesses alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from jqodi_problems import MODES, Mode
from sweeps import few, swept

from qopt.core.method import Options, named
from qopt.jqodi.certificate.certify import certify
from qopt.jqodi.costs import breakdown
from qopt.jqodi.generate import jqodi
from qopt.jqodi.methods import registry as registry
from qopt.jqodi.problem import Jqodi

CHUNKS = range(10)
EACH = 50
SOLVERS = ("highs-mip", "pyomo", "cvxpy")
OURS = ("inspection", "mckp", "rcsp", "brute-force")


def drawn(seed: int, mode: Mode) -> Jqodi:
    """A small random problem: conditions or none, both estimates, requests or none, now and then infeasible."""
    rng = np.random.default_rng(seed)
    servers, cuts = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    most = 5 if servers * cuts == 1 else min(5, int(math.log(600) / math.log(servers * cuts)))  # brute force is slow
    problem = jqodi(
        int(rng.integers(1, most + 1)),
        seed=seed,
        mode=mode,
        servers=servers,
        cuts=cuts,
        models=int(rng.integers(1, 3)),
        widths=[4, 8][: int(rng.integers(1, 3))],
        conditions=bool(rng.integers(0, 2)),
        switching=False if mode != "path" or seed % 4 == 0 else None,
        estimate=("expected", "robust")[int(rng.integers(0, 2))],
        losses=bool(rng.integers(0, 2)),
        requests=float(rng.choice([0.0, 1e4])),
        tightness=float(rng.choice([0.0, 0.2, 0.5, 0.8])),
    )
    return problem.replace({"time_limit": 0.9 * problem.time_limit}) if seed % 10 == 0 else problem


@pytest.mark.parametrize("chunk", swept(CHUNKS, lambda chunk: chunk > 0))
@pytest.mark.parametrize("mode", MODES)
def test_one_optimum_and_verified_witnesses(mode: Mode, chunk: int) -> None:
    for seed in range(EACH * chunk, EACH * chunk + few(EACH)):
        problem = drawn(seed, mode)
        expected = named(registry.METHODS, "brute-force").run(problem, Options())
        best = None if expected.plan is None else breakdown(problem, expected.plan).objective
        names = [*OURS, *(SOLVERS if seed % 10 == 1 else ())]
        used = 0
        for name in names:
            method = named(registry.METHODS, name)
            if name == "brute-force" or method.unavailable(problem):
                continue
            used += 1
            found = method.run(problem, Options())
            assert found.status == expected.status, (seed, name)
            if found.plan is not None:
                assert breakdown(problem, found.plan).objective == pytest.approx(best, rel=1e-9), (seed, name)
                assert found.bound == pytest.approx(best, rel=1e-9), (seed, name)
            if name in ("mckp", "rcsp"):  # nothing is enumerated: the trees alone prove it
                certificate = certify(problem, found.plan, found.witness, labels=0)
                assert certificate.infeasible if found.plan is None else certificate.proved, (seed, name)
                assert not certificate.notes, (seed, name, certificate.notes)
                assert certificate.kind in ("witness", "lagrangian")
        assert used >= 1

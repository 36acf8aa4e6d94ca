"""Solutions of every family as proofs for a stranger: accepted at the plan's cost, refused where they cannot be."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import qopt
from qopt.core.errors import InputError
from qopt.kernels.checker import check_proof, main
from qopt.kernels.proof import proof_of

NAMES = ["qpart/teaching-3", "placement/teaching-5", "jqodi/fig5", "allocation/teaching-4"]


def solution_of(name: str) -> Any:
    return qopt.solve(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_checker_takes_the_proof_of_every_family(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solution = solution_of(name)
    assert solution.status == "optimal"
    proof = proof_of(name, solution)
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    assert main([str(tmp_path / "proof.json")]) == 0
    assert capsys.readouterr().out.startswith("yes: objective")
    verdict = check_proof(json.loads((tmp_path / "proof.json").read_text()))
    assert verdict.objective is not None
    assert math.isclose(float(verdict.objective), solution.objective, rel_tol=1e-12)
    (tmp_path / "solution.json").write_text(json.dumps(solution.to_dict()))
    assert proof_of(name, tmp_path / "solution.json") == proof
    (tmp_path / "short.json").write_text(json.dumps(proof)[:-200])
    assert main([str(tmp_path / "short.json")]) == 2
    assert "not readable" in capsys.readouterr().err


def test_what_is_no_optimum_has_no_proof() -> None:
    rounded = qopt.solve("qpart/teaching-3", method="round-up")
    assert rounded.objective > 312
    with pytest.raises(InputError, match="no proof: "):
        proof_of("qpart/teaching-3", rounded.plan)
    wide = proof_of("qpart/teaching-3", rounded.plan, gap=0.05)
    assert check_proof(wide, 0.05).accepted
    assert not check_proof(wide, 0.01).accepted, "who checks states the gap"


def test_solutions_that_fit_no_proof() -> None:
    asked = qopt.load("qpart/teaching-3")
    with pytest.raises(InputError, match="solution: found a JqodiPlan"):
        proof_of(asked, solution_of("jqodi/data1"))
    with pytest.raises(InputError, match="no proof: the witness of part"):
        proof_of("qpart/mnist-mlp6", solution_of("qpart/teaching-3"))
    with pytest.raises(InputError, match=r"plan\.bits"):
        proof_of(asked, qopt.solve(asked, bits="real"))
    free = solution_of("placement/teaching-5").certificate.cost.latency
    tight = qopt.load("placement/teaching-5").replace({"targets.latency": 1.001 * free})
    with pytest.raises(InputError, match="limits on memory or latency"):
        proof_of(tight, qopt.solve(tight))

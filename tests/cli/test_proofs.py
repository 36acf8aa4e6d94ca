"""`qopt export --format proof`, and the checker that stands alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Cli, check_refusal

import qopt
from qopt.kernels import checker

TEACHING = "qpart/teaching-3"


@pytest.mark.parametrize("instance", [TEACHING, "placement/teaching-5", "jqodi/fig5", "allocation/teaching-4"])
def test_a_proof_for_the_checker(qopt_cli: Cli, tmp_path: Path, instance: str) -> None:
    solution, proof = tmp_path / "solution.json", tmp_path / "proof.json"
    solution.write_text(qopt_cli("solve", instance, "--json").out)
    assert qopt_cli("export", instance, solution, "--format", "proof", "--out", proof).code == 0
    run = subprocess.run(
        [sys.executable, "-I", checker.__file__, str(proof)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith("yes: objective")
    proof.write_text(proof.read_text()[: proof.stat().st_size // 2])
    run = subprocess.run(
        [sys.executable, "-I", checker.__file__, str(proof)], capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "yes" not in run.stdout


def test_what_is_no_proof(qopt_cli: Cli, tmp_path: Path) -> None:
    solution = tmp_path / "solution.json"
    solution.write_text(qopt_cli("solve", TEACHING, "--json").out)
    for arguments, words in (
        (("qpart/mnist-mlp6", solution, "--format", "proof"), "solution: found no proof"),
        ((TEACHING, solution, "--format", "mps"), "solution: found"),
        ((TEACHING, "--format", "mps", "--gap", "0"), "--gap: found 0"),
        ((TEACHING, "--format", "proof", "--gap", "-1"), "gap: found -1"),
        ((TEACHING, "--format", "proof", "--formulation", "hull"), "--formulation: found 'hull'"),
        ((TEACHING, tmp_path / "none.json", "--format", "proof"), "found"),
    ):
        assert words in check_refusal(qopt_cli("export", *arguments))
    worse = json.loads(solution.read_text())
    uniform = qopt.solve(TEACHING, "uniform").to_dict()
    worse["plan"] = uniform["plan"]
    solution.write_text(json.dumps(worse))
    refused = qopt_cli("export", TEACHING, solution, "--format", "proof")
    assert uniform["objective"] != qopt.solve(TEACHING).objective
    assert "solution: found" in check_refusal(refused)

"""Profiles of one network as a placement: what is measured is what counts, and what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import qopt
from qopt.cli.app import main
from qopt.core.errors import InputError
from qopt.placement.merge import merge
from qopt.placement.profile import Profile

SLOW = {("mobile", "identity"): 8.0, ("edge", "identity"): 2.0, ("mobile", "quantized"): 3.0}


def timing(*seconds: float) -> dict[str, Any]:
    return {"seconds": list(seconds), "low": list(seconds), "high": list(seconds)}


def profile(tier: str, operator: str = "identity", **changes: Any) -> Profile:
    """A picture is prepared, two convolutions hold one table together, and the result is shown where it is wanted."""
    slow, small = SLOW[tier, operator], 0.25 if operator == "quantized" else 1.0
    data: dict[str, Any] = {
        "name": "two-convolutions",
        "tier": tier,
        "operator": operator,
        "accuracy": 0.9 if operator == "identity" else 0.85,
        "source": {"file": f"{operator}.onnx", "fingerprint": ("1" if small < 1 else "0") * 64, "folded": "2" * 64},
        "base": {"file": "net.onnx", "fingerprint": "3" * 64, "folded": "4" * 64},
        "sizes": [{"x": [1, 8]}, {"x": [1, 16]}],
        "inputs": ["raw:x"],
        "outputs": ["shown"],
        "operations": [
            {"name": "x", "kind": "python", "reads": ["raw:x"], "writes": ["x"], "stays": "input",
             "time": timing(1, 2)},
            {"name": "a", "kind": "Conv", "reads": ["x"], "writes": ["a"], "weights": ["t", "wa"],
             "time": timing(slow, 2 * slow)},
            {"name": "b", "kind": "Conv", "reads": ["a"], "writes": ["b"], "weights": ["t"],
             "time": timing(slow, 2 * slow)},
            {"name": "shown", "kind": "given", "reads": ["b"], "writes": ["shown"], "stays": "output",
             "time": timing(0.5, 0.5)},
        ],
        "tensors": [
            {"name": "raw:x", "bytes": [10, 20]},
            {"name": "x", "bytes": [8, 16]},
            {"name": "a", "bytes": [40 * small, 80 * small]},
            {"name": "b", "bytes": [2, 2]},
            {"name": "shown", "bytes": [1, 1]},
        ],
        "weights": [{"name": "t", "bytes": int(400 * small)}, {"name": "wa", "bytes": int(80 * small)}],
        "measuring": {"warmup": 1, "repetitions": 5, "runs": 1, "threads": 1, "confidence": 0.9375},
    }  # fmt: skip
    return Profile(**data | changes)


def all_profiles() -> dict[str, Profile]:
    return {f"{o}-{t}.json": profile(t, o) for t, o in SLOW}


def test_what_is_measured_counts() -> None:
    found = merge(all_profiles(), [{"rate": 32.0}], shares=[3.0, 1.0])
    assert found.tier_names == ("mobile", "edge")
    identity = found.operator("identity")
    assert identity.time_at is not None
    assert identity.time_at[1].tolist() == [[2, 2], [16, 4], [16, 4], [0.5, 0.5]]
    assert found.operator("quantized").on == ("mobile",)
    assert found.operator("quantized").tensors_at is not None
    assert [(s.operations, s.size) for s in found.graph.shared] == [(("a", "b"), 400)]
    assert found.graph.weights.tolist() == [0, 80, 0, 0]
    assert found.operator("quantized").shared.tolist() == [100]
    assert [(o.operation, o.size, o.tier) for o in found.results] == [("b", 16.0, "mobile")]
    assert found.pins == {"x": ("mobile",), "shown": ("mobile",)}
    # x: 1.25 s, its 80 bits (mean of 64 and 128, 3 to 1) in 2.5 s, a and b in 2.5 s each, 16 bits back, shown 0.5 s.
    best = qopt.solve(found.replace({"targets.accuracy": 0.9}))
    assert best.plan.tiers == {"x": "mobile", "a": "edge", "b": "edge", "shown": "mobile"}
    assert best.objective == pytest.approx(1.25 + 2.5 + 5 + 0.5 + 0.5)
    assert qopt.solve(found).plan.operator == "quantized"


def test_a_mixture_of_measured_operators() -> None:
    found = merge(all_profiles(), [{"rate": 1e9}], mixtures=[{"mobile": "quantized", "edge": "identity"}])
    mixed = found.operator("quantized-identity")
    assert mixed.accuracy == 0.85
    solution = qopt.solve(found.replace({"operators": [o.model_dump() for o in found.operators]}))
    assert solution.status == "optimal"
    with pytest.raises(InputError, match="an operator measured there: identity"):
        merge(all_profiles(), [{"rate": 1.0}], mixtures=[{"mobile": "identity", "edge": "quantized"}])


def test_shares_of_the_whole_as_it_is_deployed() -> None:
    """Two convolutions of 8 and 16 s each take 4 and 24 s together; processing is as it was."""
    slow, fast = profile("mobile", deployed=timing(4.0, 24.0)), profile("edge", deployed=timing(2.0, 2.0))
    found = merge({"m.json": slow, "e.json": fast}, [{"rate": 32.0}], deployed=True).operator("identity")
    assert found.time_at is not None
    assert found.time_at[0].tolist() == [[1, 1], [2, 1], [2, 1], [0.5, 0.5]]
    assert found.time_at[1].tolist() == [[2, 2], [12, 1], [12, 1], [0.5, 0.5]]
    assert slow.as_deployed().as_deployed() == slow.as_deployed()
    with pytest.raises(InputError, match="deployed: found no time"):
        merge({"m.json": profile("mobile")}, [], deployed=True)
    with pytest.raises(InputError, match=r"deployed\.seconds"):
        profile("mobile", deployed=timing(4.0))


OTHER = {"file": "other.onnx", "fingerprint": "5" * 64, "folded": "4" * 64}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base": OTHER}, "second.json: found a profile of other.onnx"),
        ({"tier": "mobile"}, "second.json: found identity on mobile a second time"),
        ({"sizes": [{"x": [1, 8]}, {"x": [1, 32]}]}, "second.json: found other operations, tensors or sizes"),
    ],
)
def test_profiles_that_do_not_belong_together(changes: dict[str, Any], words: str) -> None:
    second = Profile(**profile("edge").model_dump() | changes)
    with pytest.raises(InputError, match=words):
        merge({"first.json": profile("mobile"), "second.json": second}, [{"rate": 1.0}])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = []
    for name, of in all_profiles().items():
        of.save(tmp_path / name)
        paths.append(str(tmp_path / name))
    out, plan = tmp_path / "problem.json", tmp_path / "plan.json"
    asked = ["place", *paths, "--link", "32", "--set", "targets.accuracy=0.9", "-o", str(out), "--save-plan", str(plan)]
    assert main(asked) == 0
    assert "feasible and optimal, proved" in capsys.readouterr().out
    assert qopt.solve(out).plan == qopt.read_plan(plan)
    assert json.loads(plan.read_text())["tiers"]["b"] == "edge"
    for extra, words in (
        (["--link", "32,1"], "link: found 2 links for the tiers mobile, edge"),
        (["--link", "fast"], "--link: found 'fast'"),
        (["--link", "32", "--mix", "edge"], "--mix: found 'edge'"),
        (["--link", "32", "--shares", "1"], "shares: found 1 entries; allowed: 2"),
        (["--link", "32", "--output-tier", "fog"], "output_tier: found 'fog'"),
    ):
        assert main(["place", *paths, *extra]) == 2
        assert words in capsys.readouterr().err


def test_an_accuracy_that_nobody_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for tier in ("mobile", "edge"):
        profile(tier, accuracy=None).save(tmp_path / f"{tier}.json")
    files = [str(tmp_path / "mobile.json"), str(tmp_path / "edge.json")]
    assert main(["place", *files, "--link", "32"]) == 0
    assert "mobile.json: its accuracy was not measured, 1 stands for it" in capsys.readouterr().err
    assert main(["place", *files, "--link", "32", "--set", "targets.accuracy=0.5"]) == 2
    assert "no accuracy" in capsys.readouterr().err

"""Best plans and their proofs: each record holds, and is replaced by a verified better plan only."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from qopt.instances import best, library, rcsp_records, records

import qopt
from qopt.core.errors import QoptError
from qopt.core.plan import save_plan

TEACHING = "qpart/teaching-3"


@pytest.mark.parametrize("name", records.names())
def test_every_record_holds(name: str) -> None:
    assert best.faults(name) == []


@pytest.mark.parametrize("name", [TEACHING, "placement/teaching-5", "allocation/teaching-4", "jqodi/fig5"])
def test_the_checker_accepts_the_files_of_a_proof(name: str) -> None:
    assert best.false_claims(name) == []


@pytest.mark.sweep
@pytest.mark.parametrize("name", records.names())
def test_the_checker_by_itself_accepts_every_proof(name: str) -> None:
    assert best.false_claims(name, standalone=True) == []
    found = records.record(name)
    assert found is not None
    # The modes of JQODI in which every plan can be looked at need no file; everything else has one.
    assert found["proved"]["files"] > 0 or found["proved"]["kind"] == "enumeration"


def test_nothing_is_recorded_of_what_is_not_there() -> None:
    kept = {path.relative_to(records.BEST).as_posix().split(".json")[0] for path in records.BEST.rglob("*.json")}
    packed = {path.relative_to(records.BEST).as_posix().split(".proof")[0] for path in records.BEST.rglob("*.gz")}
    assert kept == set(records.names())
    assert packed <= kept


@pytest.fixture
def two_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of two records, to be changed."""
    (tmp_path / "qpart").mkdir()
    for path in (records.BEST / "qpart").glob("teaching-3*"):
        shutil.copy(path, tmp_path / "qpart")
    monkeypatch.setattr(records, "BEST", tmp_path)
    return tmp_path


def plan_file(folder: Path, weights: tuple[int, ...], activations: tuple[int, ...]) -> str:
    path = folder / "plan.json"
    save_plan(qopt.QPartPlan(cut=len(weights), weights=weights, activations=activations), path)
    return str(path)


def edited(folder: Path, **changes: Any) -> None:
    path = folder / f"{TEACHING}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_worse_an_infeasible_and_the_same_plan_are_refused(two_records: Path) -> None:
    standing = (two_records / f"{TEACHING}.json").read_bytes()
    for weights, activations, line in (
        ((6, 4), (2,), "the plan costs 328, 312 is known"),
        ((5, 3), (2,), "the plan breaks a limit: accuracy: noise 1.75, allowed 1"),
        ((5, 4), (2,), "no better than what is known"),
    ):
        with pytest.raises(best.Refused, match=line):
            best.add(TEACHING, plan_file(two_records, weights, activations), "somebody")
    assert (two_records / f"{TEACHING}.json").read_bytes() == standing


def test_a_better_plan_is_taken_and_one_below_a_proof_is_an_alarm(two_records: Path) -> None:
    edited(two_records, objective=328.0, bound=304.0, status="feasible")
    assert best.add(TEACHING, plan_file(two_records, (5, 4), (2,)), "somebody") == f"{TEACHING}: 312, optimal"
    found = records.record(TEACHING)
    assert found is not None
    assert found["proved"]["by"] == "somebody"
    assert best.faults(TEACHING) == best.false_claims(TEACHING) == []
    edited(two_records, objective=328.0, bound=328.0)
    with pytest.raises(best.Refused, match="below the proved 328: a proof is false"):
        best.add(TEACHING, plan_file(two_records, (5, 4), (2,)), "somebody")


def test_what_was_tampered_with_is_found(two_records: Path) -> None:
    edited(two_records, objective=300.0)
    assert "costs 312, not 300" in best.faults(TEACHING)[0]
    edited(two_records, fingerprint="0" * 16)
    assert "the instance has changed" in best.faults(TEACHING)[0]
    edited(two_records, objective=312.0, fingerprint=best.fingerprint(qopt.load(TEACHING)))
    whole = records.proof(TEACHING)
    assert whole is not None
    path = two_records / f"{TEACHING}.proof.json.gz"

    def rewritten(change: Any) -> list[str]:
        data = json.loads(json.dumps(whole))
        change(data["claims"])
        path.write_bytes(gzip.compress(json.dumps(data).encode()))
        return best.false_claims(TEACHING)

    assert rewritten(len) == []
    assert any("another problem" in line for line in rewritten(lambda claims: claims.pop()))
    assert any("another problem" in line for line in rewritten(lambda claims: claims[0]["instance"]["limit"].pop()))
    lines = rewritten(lambda claims: claims[-1]["witness"].update(tree=[["leaf", 0, 0, 0]]))
    assert lines
    assert all("\n" not in line for line in lines)


def test_a_proof_unpacks_to_pairs_that_the_checker_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from qopt.kernels import checker

    lines = best.unpack("rcsp/rcsp3", tmp_path)
    assert len(lines) == 1
    assert checker.main(lines[0].split()[2:4]) == 0
    assert capsys.readouterr().out.startswith(f"yes: objective {rcsp_records.published('rcsp/rcsp3')!r}")
    with pytest.raises(QoptError, match="an instance whose proof has files"):
        best.unpack("jqodi/data1", tmp_path)
    assert best.main(["check", "no-such"]) == 1


def test_the_table_is_current() -> None:
    assert library.PAGE.read_text(encoding="utf-8") == library.page(), "run python instances/library.py"

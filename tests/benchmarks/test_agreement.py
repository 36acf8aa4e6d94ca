"""Every bundled instance under every method that claims it: they agree, and what is proved is never wrong."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import qopt

PUBLISHED = {"qpart-paper", "qpart-published", "minimal-model", "full-model"}
"""Rules as they were published, which do not look at every limit, and claim nothing."""

SOLVERS = {"highs-mip", "pyomo", "cvxpy"}
"""Methods whose claim is a solver's word; where a heuristic refutes it, their status is ``failed``."""


def script() -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / "agreement.py"
    spec = importlib.util.spec_from_file_location("agreement", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(names: list[str], limit: float, methods: list[str] | None = None) -> pd.DataFrame:
    agreement = script()
    rows: pd.DataFrame = agreement.judged(names, limit, methods)
    wrong = rows[rows["wrong"] != ""]
    # What a solver says by itself may be wrong: it is listed, and never what qopt calls optimal.
    own = wrong[~wrong["status"].isin(("optimal-by-solver", "infeasible-by-solver"))]
    assert set(own["method"]) <= PUBLISHED | SOLVERS, agreement.table(rows)
    assert not wrong["status"].isin(("optimal", "infeasible")).any(), agreement.table(rows)
    claimed = rows[rows["proved"].map(lambda x: x is True) & rows["excess"].notna()]
    assert (claimed["excess"].astype(float) <= 1e-9).all()
    assert len(claimed)
    text = agreement.table(rows)
    assert all(f"`{name}`" in text for name in names)
    return rows


def test_a_small_instance_agrees_and_a_wrong_claim_is_listed() -> None:
    agreement = script()
    rows = check(["qpart/teaching-3"], 10.0, ["mckp", "highs-mip", "kkt", "round-up", "qpart-paper"])
    assert rows[rows["method"] == "mckp"]["objective"].tolist() == [312.0]
    rows.loc[rows["method"] == "round-up", "status"] = "optimal-by-solver"
    rows["wrong"] = agreement.claims_refuted(rows)
    text = agreement.table(rows)
    assert "* `qpart/teaching-3`, round-up (optimal-by-solver): a better plan is known" in text
    assert "1 claim wrong." in text


@pytest.mark.sweep
@pytest.mark.parametrize("name", qopt.bundled())
def test_bundled_instances_agree(name: str) -> None:
    rows = check([name], float(os.environ.get("QOPT_AGREEMENT_SECONDS", "2")))
    best = rows[rows["bits"].map(str) != "real"] if "bits" in rows else rows
    least = best[best["verified"].map(lambda x: x is True)]["objective"].min()
    assert least == pytest.approx(qopt.load(name).best_known["objective"], rel=1e-9)

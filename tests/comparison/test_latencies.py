"""Logs as the study's tables: what counts, which groups enter which test, prediction beside measurement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Cli, check_refusal

from qopt.comparison import latencies
from qopt.comparison.agreement import agreement, read_predictions
from qopt.core.errors import InputError

pytest.importorskip("scikit_posthocs")

MEDIANS = {
    ("identity", "mobile"): 0.009,
    ("identity", "edge"): 0.006,
    ("quantized", "mobile"): 0.005,
    ("quantized", "edge"): 0.004,
    ("identity", "mobile-edge"): 0.007,
}


def line(operator: str, tiers: str, total: float, **more: Any) -> dict[str, Any]:
    own = {"format": latencies.LINE, "strategy": f"{operator} on {tiers}", "operator": operator, "tiers": tiers}
    seconds = {"pre": 0.0, "compute": dict.fromkeys(tiers.split("-"), total / 4), "link": {"l": total / 8}, "post": 0.0}
    return own | {"status": "answered", "seconds": seconds | {"total": total}} | more


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Five repetitions of ten examples of five strategies, the same draw for each; and lines that do not count."""
    factor = np.random.default_rng(0).lognormal(0.0, 0.05, (5, 10))
    rows = [
        line(*key, total * factor[r, e], repetition=r, example=e)
        for key, total in MEDIANS.items()
        for r in range(5)
        for e in range(10)
    ]
    rows.append(line("identity", "mobile", 9.0, example=0))
    rows.append(line("identity", "mobile", 9.0))
    rows.append(line("identity", "mobile", 9.0, repetition=0, example=0, status="refused", reason="gone"))
    texts = [json.dumps(row) for row in rows]
    texts += [json.dumps(line("identity", "mobile", float("nan"), repetition=0, example=0)), "[]", texts[0][:57]]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(texts))
    return path


def test_lines_that_do_not_count_are_counted(log: Path) -> None:
    found = latencies.read_logs([log])
    assert len(found.requests) == 250
    assert found.left_out == {"of the warm-up": 1, "of services": 1, "refused": 1, "cut off or broken": 3}
    assert found.reasons == {"gone": 1}


def test_medians_of_medians_and_who_enters_which_test(log: Path) -> None:
    requests = latencies.read_logs([log]).requests
    table = latencies.medians(requests)
    one = requests[requests["strategy"] == "quantized on edge"]
    by_hand = np.median([np.median(one.loc[one["repetition"] == r, "total"]) for r in range(5)])
    row = table[table["strategy"] == "quantized on edge"].iloc[0]
    assert row["total"] == pytest.approx(by_hand, rel=1e-12)
    assert row["low"] <= row["total"] <= row["high"]
    assert row["compute"] == pytest.approx(by_hand / 4, rel=1e-12)
    found = {(t.dimension, t.name): t.strategies for t in latencies.comparisons(table)}
    identity = ("identity on mobile", "identity on edge")
    assert found == {
        ("tier", "identity"): identity,
        ("tier", "identity, partitions too"): (*identity, "identity on mobile-edge"),
        ("tier", "quantized"): ("quantized on mobile", "quantized on edge"),
        ("operator", "mobile"): ("identity on mobile", "quantized on mobile", "identity on mobile-edge"),
        ("operator", "edge"): ("identity on edge", "quantized on edge", "identity on mobile-edge"),
    }
    for test in latencies.comparisons(table):
        pairs = latencies.run_test(requests, test)
        letters, deltas = (latencies.matrix(pairs, column) for column in ("letter", "delta"))
        for left in test.strategies:
            for right in test.strategies:
                if left != right:
                    faster = MEDIANS[tuple(left.split(" on "))] < MEDIANS[tuple(right.split(" on "))]  # type: ignore[index]
                    assert letters.loc[left, right] == ("-L" if faster else "L")
                    assert deltas.loc[left, right] == -deltas.loc[right, left]
        assert (pairs["wilcoxon_p"] == 2 / 2**10).all()  # ten examples, all with one sign


def test_prediction_beside_measurement(log: Path, tmp_path: Path) -> None:
    requests = latencies.read_logs([log]).requests
    said = {name: {"total": MEDIANS[tuple(name.split(" on "))]} for name in requests["strategy"].unique()}
    found = agreement(requests, said)
    assert found.rank == 1.0
    assert found.rank_interval is not None
    assert found.rank_interval[0] > 0.5
    assert (found.best, found.recommended, found.excess) == ("quantized on edge", "quantized on edge", 0.0)
    assert set(found.close) == {name for name in said if name != "identity on mobile"}
    assert found.table["error_total"].abs().max() < 0.05
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"strategy": "identity split on mobile-edge", "latency": 0.01}]))
    assert read_predictions(path) == {"identity on mobile-edge": {"total": 0.01}}
    assert agreement(requests, read_predictions(path)).rank is None
    with pytest.raises(InputError, match="a predicted total for a strategy of the logs"):
        agreement(requests, {"other": {"total": 1.0}})


def test_a_plan_is_no_prediction(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"format": "qopt/solution", "version": 1}')
    with pytest.raises(InputError, match=r"seconds by strategy: .*as the log calls it"):
        read_predictions(path)


def test_predictions_are_printed_whole(log: Path, tmp_path: Path, qopt_cli: Cli) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"identity on edge": {"total": 0.01, "compute": 0.004, "link": 0.005}}))
    printed = qopt_cli("latency", log, "--predicted", path).out
    assert "…" not in printed
    table = [row.split() for row in printed.splitlines() if row.startswith("identity on edge ")]
    assert [row[3] for row in table if len(row) > 3 and row[3] in ("total", "compute", "link")] == [
        "total",
        "compute",
        "link",
    ]


@pytest.mark.sweep
def test_the_command_prints_all_of_it(log: Path, tmp_path: Path, qopt_cli: Cli) -> None:
    predicted, box = tmp_path / "p.json", tmp_path / "box.png"
    predicted.write_text(json.dumps({f"{o} on {t}": {"total": v, "compute": v / 4} for (o, t), v in MEDIANS.items()}))
    found = qopt_cli("latency", log, "--predicted", predicted, "--box", box)
    assert found.code == 0
    for words in (
        "left out: 3 lines cut off or broken",
        "refused 1 times: gone",
        "tier dimension, identity, partitions too: Kruskal-Wallis",
        "Conover, adjusted",
        "Wilcoxon, adjusted",
        "recommended: quantized on edge, 0.0 % above the best measured",
        "rank correlation of the 4 within a factor of 2 of the best: 1.00",
    ):
        assert words in found.out
    assert box.stat().st_size > 1000
    data = json.loads(qopt_cli("latency", log, "--predicted", predicted, "--json").out)
    assert data["tests"][0]["name"] == "identity"
    assert data["prediction"]["best"] == "quantized on edge"
    (tmp_path / "empty.jsonl").write_text(log.read_text()[-50:])
    two = tmp_path / "two.jsonl"
    two.write_text("\n".join(json.dumps(line(o, "edge", 1.0, repetition=0, example=0, strategy="s")) for o in "ab"))
    predicted.write_text('{"identity on edge": {"wait": 1}}')
    for arguments, why in (
        ((tmp_path / "no.jsonl",), "no such file"),
        ((tmp_path / "empty.jsonl",), "1 lines cut off or broken"),
        ((two,), "one for each name: give each a --strategy"),
        ((log, "--predicted", predicted), "identity on edge.wait"),
        ((log, "--adjust", "none"), "adjust"),
    ):
        assert why in check_refusal(qopt_cli("latency", *arguments))


@pytest.mark.parametrize("other", [{"model": "b"}, {"plan": "b"}, {"rate": 1e9}, {"rate": None}])
def test_experiments_of_one_name_are_not_pooled(tmp_path: Path, other: dict[str, Any]) -> None:
    own = {"model": "a", "plan": "a", "rate": 1e6}
    rows = [line("q", "edge", 0.1, repetition=0, example=e, **(own | o)) for e in range(3) for o in ({}, other)]
    (tmp_path / "log").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match=r"two ways of running .* give each a --strategy"):
        latencies.read_logs([tmp_path / "log"])


def test_a_tier_with_a_hyphen_is_no_partition(tmp_path: Path) -> None:
    rows = [
        line(o, t, 0.1 + 0.01 * e, repetition=0, example=e, parts=[t])
        for o in ("a", "b")
        for t in ("edge-1", "mobile")
        for e in range(4)
    ]
    (tmp_path / "log").write_text("\n".join(map(json.dumps, rows)))
    tests = latencies.comparisons(latencies.medians(latencies.read_logs([tmp_path / "log"]).requests))
    assert [(t.dimension, t.name) for t in tests] == [
        ("tier", "a"),
        ("tier", "b"),
        ("operator", "edge-1"),
        ("operator", "mobile"),
    ]
    assert all(len(t.strategies) == 2 for t in tests)


def test_lines_without_times_are_broken_and_names_are_printable(tmp_path: Path) -> None:
    rows = [line("q", "e", 0.1, repetition=0, example=0, strategy="a\ud800\x1b[31m")]
    rows += [line("q", "e", 0.1, repetition=0, example=e, seconds=s) for e, s in enumerate(({}, {"total": 1.0}))]
    rows += [line("q", "e", 0.1, repetition=0, example=0, status="refused", reason="x\ud800\x1b[2J")]
    (tmp_path / "log").write_text("\n".join(map(json.dumps, rows)))
    found = latencies.read_logs([tmp_path / "log"])
    assert found.left_out == {"cut off or broken": 2, "refused": 1}
    assert all(text.isprintable() for text in (*found.requests["strategy"], *found.reasons))

"""Times beside each other: time-outs are charged, ratios are paired, a profile says what it cannot say."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qopt.comparison import profiles, statistics, times
from qopt.core.errors import InputError


def compared(seconds: dict[str, list[float]], limit: float = 60.0) -> pd.DataFrame:
    """A table as `qopt.compare` makes it; what takes as long as the limit did not end."""
    rows: list[dict[str, Any]] = []
    for method, values in seconds.items():
        for i, t in enumerate(values):
            done = t < limit
            rows.append(
                {"problem": f"p{i}", "method": method, "bits": "whole", "status": "optimal" if done else "time-limit"}
                | {"objective": 2.0, "bound": 2.0 if done else 1.0, "gap": 0.0 if done else 0.5}
                | {"seconds": t, "verified": True, "proved": done, "message": ""}
            )
    return pd.DataFrame(rows)


SECONDS = {"a": [1.0, 2.0, 3.0, 60.0], "b": [2.0, 1.0, 60.0, 60.0]}


def test_time_outs_are_charged() -> None:
    found = times.times(compared(SECONDS), limit=60.0)
    assert found.seconds.T.tolist() == list(SECONDS.values())
    assert found.solved.T.tolist() == [[True, True, True, False], [True, True, False, False]]
    table = times.summary(found).set_index("run")
    assert table["solved"].to_dict() == {"a": 3, "b": 2}
    for run, values in SECONDS.items():
        assert table.loc[run, "mean"] == pytest.approx(math.prod(t + 10 for t in values) ** 0.25 - 10, rel=1e-12)
    assert times.shifted_mean(np.full(5, 3.0)) == pytest.approx(3.0, rel=1e-12)
    with pytest.raises(InputError, match="limit: found none, and a did not solve p3"):
        times.times(compared(SECONDS))


def test_a_refuted_claim_is_a_time_out() -> None:
    """Kinds of claims that another row refutes: a better plan, a plan where there is none, a bound, a broken limit."""
    table = compared({run: [1.0, 1.0] for run in "abcde"}).astype(object).set_index(["method", "problem"])
    table.loc[("b", "p0"), "objective"] = 2.1
    table.loc[("c", "p0"), ["status", "objective", "verified"]] = ["infeasible-by-solver", None, None]
    table.loc[("d", "p0"), ["status", "bound"]] = ["feasible", 2.1]
    table.loc[("e", "p0"), ["objective", "verified"]] = [1.5, False]
    refuted = times.times(table.reset_index(), limit=9.0)
    assert refuted.wrong == (0, 1, 1, 1, 1)
    assert refuted.solved.tolist() == [[True, False, False, False, False], [True] * 5]
    assert refuted.seconds[0].tolist() == [1.0, 9.0, 9.0, 9.0, 9.0]
    assert "b: 1 wrong claim, counted as not solved." in profiles.statement(refuted)


def test_a_studys_words_are_taken_and_repeats_are_one_time() -> None:
    rows = [
        {"instance": i, "run": r, "repeat": k, "status": "optimal", "bits": None, "seconds": 9.0, "wrong": ""}
        | {"charged": c, "solved": True}
        for i in ("x", "y")
        for r in ("a", "b")
        for k, c in enumerate((1.0, 7.0, 2.0))
    ]
    gone = {"instance": "z", "run": "a", "repeat": 0, "status": "optimal", "bits": None, "seconds": 1.0, "wrong": ""}
    found = times.times(pd.DataFrame([*rows, gone | {"charged": 1.0, "solved": True}]))
    assert found.seconds.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert found.left_out == 1


def test_ratios_are_paired() -> None:
    """Instances of very different length: unpaired samples overlap, while every pair says the same."""
    rng = np.random.default_rng(3)
    base = 10.0 ** rng.uniform(-3, 1, 30)
    found = times.times(compared({"a": base.tolist(), "b": (base * rng.uniform(1.2, 1.4, 30)).tolist()}))
    row = times.ratios(found).iloc[0]
    assert row["low"] < row["ratio"] < row["high"] < 1
    assert row["ratio"] == pytest.approx(stats.gmean(found.seconds[:, 0] / found.seconds[:, 1]))
    assert (row["faster"], row["slower"], row["charged"]) == (30, 0, 0)
    assert row["adjusted"] < 1e-6
    assert stats.mannwhitneyu(*found.seconds.T).pvalue > 0.3
    again = times.ratios(found).iloc[0]
    assert again["low"] == row["low"]  # seeded
    swapped = stats.bootstrap(
        (np.log(found.seconds[:, 0] / found.seconds[:, 1]),), np.mean, method="percentile", rng=1
    ).confidence_interval
    assert (row["low"], row["high"]) == pytest.approx(np.exp(swapped), rel=0.01)


# Within a factor of 2 of the fastest: C is fast where A is not slow enough to lose B's order by itself.
SWITCHING = {"A": [1, 1, 5, 5, 5], "B": [3, 3, 3, 3, 1], "C": [9, 9, 1, 1, 9]}


def test_a_profile_rises_where_it_should_and_says_when_an_order_turns() -> None:
    found = times.times(compared({run: list(map(float, values)) for run, values in SWITCHING.items()}))
    table = profiles.profile(found)
    for run, values in SWITCHING.items():
        fastest = np.min(list(SWITCHING.values()), axis=0)
        for at in (1.0, 3.0, 5.0, 9.0):
            steps = table[(table["run"] == run) & (table["factor"] <= at * (1 + 1e-12))]
            assert steps["share"].max() == pytest.approx(np.mean(np.array(values) / fastest <= at)) or steps.empty
    turned = profiles.switches(found, (1.0,))
    assert ["A", "B", "C"] in turned[["left", "right", "removed"]].to_numpy().tolist()
    row = turned[turned["removed"] == "C"].iloc[0]
    assert row.tolist()[4:] == pytest.approx([0.4, 0.2, 0.4, 0.6])
    assert any("; without " in line and line.endswith("4 more such turns.") for line in profiles.statement(found))


def test_nobody_and_few_are_said() -> None:
    lines = " ".join(profiles.statement(times.times(compared(SECONDS), limit=60.0)))
    assert "Nobody solved 1 of the instances: no curve can rise above 75.0%." in lines
    assert "One instance is a step of 25.0%" in lines


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda t: times.times(t.drop(columns="bound")), "table: found no column bound"),
        (lambda t: times.times(t[t["method"] == "a"], limit=60), "table: found 1 runs; allowed: at least 2"),
        (lambda t: times.times(t, limit=-1), "limit: found -1; allowed: seconds > 0"),
        (lambda t: times.times(pd.concat([t, t.assign(bits="real")]), limit=60), "table: found real and whole bits"),
        (lambda t: times.ratios(times.times(t[t["problem"] < "p2"])), "instances: found 2; allowed: at least 3"),
        (lambda t: times.ratios(times.times(t, limit=60), level=1), "level: found 1; allowed: a number in (0, 1)"),
        (lambda _: times.shifted_mean([1.0, math.nan]), "seconds: found [1.0, nan]; allowed: a list of finite"),
        (lambda _: statistics.signed_rank([1, 2], [1]), "right: found 1 values; allowed: 2"),
        (lambda _: statistics.adjusted([0.5, 2.0]), "p_values: found 2.0; allowed: numbers in [0, 1]"),
        (lambda _: statistics.ranks({"a": [1, 2, 3], "b": [1, 2, 3]}), "samples: found 2 groups; allowed: at least 3"),
        (
            lambda _: statistics.ranks({"a": [1, 2, 3], "b": [1, 2, 3], "c": [1, 2, 3]}),
            "samples: found ties everywhere; allowed: groups that differ",
        ),
        (lambda _: statistics.ranks({"a": [1, 2, 3], "b": [1, 2, 3], "c": [1, 2, 3, 4]}), "samples: found 'a: 3, b"),
    ],
)
def test_bad_input_is_one_clear_line(change: Any, line: str) -> None:
    with pytest.raises(InputError) as error:
        change(compared(SECONDS))
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_ranks_against_the_textbook() -> None:
    """Friedman's statistic and Nemenyi's from mean ranks; Holm's steps by hand."""
    rng = np.random.default_rng(0)
    data = rng.normal([0, 0, 0.5, 1], size=(12, 4))
    table = statistics.ranks(dict(zip("abcd", data.T, strict=True)))
    mean = np.mean([np.argsort(np.argsort(row)) + 1 for row in data], axis=0)
    chi2 = 12 * 12 / (4 * 5) * (np.sum(mean**2) - 4 * 25 / 4)
    assert table["friedman_chi2"].to_numpy() == pytest.approx(chi2)
    for row, (i, j) in zip(table.itertuples(), itertools.combinations(range(4), 2), strict=True):
        assert (row.left_rank, row.right_rank) == pytest.approx((mean[i], mean[j]))
    # Demsar (2006): the critical difference of 4 groups at 0.05 is 2.569 sqrt(k (k + 1) / 6 n).
    critical = 2.569 * math.sqrt(4 * 5 / (6 * 12))
    apart = (table["left_rank"] - table["right_rank"]).abs()
    assert ((table["nemenyi_p"] < 0.05) == (apart > critical)).all()
    assert statistics.adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.adjusted([0.01, 0.04, 0.03], "fdr_bh") == pytest.approx([0.03, 0.04, 0.04])
    assert statistics.adjusted([0.01, 0.4], "bonferroni") == pytest.approx([0.02, 0.8])

"""qopt.statistics: effect sizes by counting, tests by their textbook formulas, the study's accuracies, bad input."""

from __future__ import annotations

import itertools
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qopt import statistics
from qopt.core.errors import InputError, MethodError

STUDY = Path(__file__).parents[2] / "instances" / "placement" / "study"


def counted(left: Any, right: Any) -> float:
    """Cliff's delta by looking at every pair."""
    signs = [int(a > b) - int(a < b) for a in left for b in right]
    return sum(signs) / len(signs)


@pytest.fixture(scope="module")
def accuracies() -> dict[str, list[float]]:
    """Table 6 as the study pairs it: 18 values an operator."""
    rows = json.loads((STUDY / "accuracies.json").read_text(encoding="utf-8"))["rows"]
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(row["operator"], []).extend(v for m in ("top1", "top5", "miou") for v in row.get(m, []))
    return groups


@pytest.fixture
def samples() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        "mobile": rng.lognormal(1, 0.4, 60),
        "edge": rng.lognormal(0.4, 0.4, 50),
        "cloud": rng.lognormal(1.05, 0.4, 70),
    }


# --- effect size -----------------------------------------------------------------------------------


def test_cliffs_delta_is_what_counting_gives() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        left = rng.integers(0, 6, rng.integers(1, 12)).astype(float)
        right = rng.integers(0, 6, rng.integers(1, 12)).astype(float)
        assert statistics.cliffs_delta(left, right) == counted(left, right)
        assert statistics.cliffs_delta(left, right) == -statistics.cliffs_delta(right, left)


def test_cliffs_delta_of_long_samples() -> None:
    left = np.arange(200_000.0)
    assert statistics.cliffs_delta(left, left) == 0
    assert statistics.cliffs_delta(left, left + 0.5) == -1 / 200_000  # a > b + 1/2: one pair fewer than the others
    assert statistics.cliffs_delta(left, [-1.0]) == 1


@pytest.mark.parametrize(
    ("delta", "name", "short"),
    [
        (0.0, "negligible", "N"), (0.1469, "negligible", "N"), (-0.1469, "negligible", "-N"), (0.147, "small", "S"),
        (-0.3299, "small", "-S"), (0.33, "medium", "M"), (0.4739, "medium", "M"), (-0.474, "large", "-L"),
        (1.0, "large", "L"),
    ],
)  # fmt: skip
def test_bands(delta: float, name: str, short: str) -> None:
    assert statistics.band(delta) == name
    assert statistics.letter(delta) == short


# --- the study's accuracies ------------------------------------------------------------------------


def test_the_studys_accuracies(accuracies: dict[str, list[float]]) -> None:
    assert {len(values) for values in accuracies.values()} == {18}
    table = statistics.compare(accuracies, paired=True, comparisons=4).set_index(["left", "right"])
    for pair in itertools.combinations(["I", "Q", "E", "QE"], 2):
        # the smallest p-value that 18 pairs allow: all differences of one sign
        assert table.loc[pair, "wilcoxon_p"] == pytest.approx(2 / 2**18, rel=1e-12)
        assert table.loc[pair, "wilcoxon_adjusted"] == pytest.approx(8 / 2**18, rel=1e-12)
        assert table.loc[pair, "delta"] == counted(accuracies[pair[0]], accuracies[pair[1]])
    assert f"{2 / 2**18:.1e}" == "7.6e-06"
    assert table.loc[("I", "Q"), "delta"] == pytest.approx(0.167, abs=5e-4)
    assert table.loc[("I", "Q"), "band"] == "small"
    assert table.loc[("I", "E"), "delta"] == pytest.approx(0.389, abs=5e-4)
    assert {table.loc[pair, "band"] for pair in itertools.combinations(["I", "Q", "E", "QE"], 2)} == {"small", "medium"}
    assert table["band"].tolist().count("small") == 1


# --- tests -----------------------------------------------------------------------------------------


def test_against_the_textbook(samples: dict[str, Any]) -> None:
    """Kruskal-Wallis and Conover from rank sums (no ties here), Bonferroni by multiplying."""
    sizes = np.array([len(v) for v in samples.values()])
    n, k = sizes.sum(), len(sizes)
    ranks = np.split(stats.rankdata(np.concatenate(list(samples.values()))), np.cumsum(sizes)[:-1])
    means = np.array([r.mean() for r in ranks])
    h = 12 / (n * (n + 1)) * np.sum(sizes * means**2) - 3 * (n + 1)
    table = statistics.compare(samples)
    assert table["kruskal_h"].to_numpy() == pytest.approx(h)
    assert table["kruskal_p"].to_numpy() == pytest.approx(stats.chi2.sf(h, k - 1))
    variance = n * (n + 1) / 12 * (n - 1 - h) / (n - k)
    for row, (i, j) in zip(table.itertuples(), itertools.combinations(range(k), 2), strict=True):
        t = abs(means[i] - means[j]) / math.sqrt(variance * (1 / sizes[i] + 1 / sizes[j]))
        expected = min(1.0, 3 * 2 * stats.t.sf(t, n - k))
        assert row.conover_p == pytest.approx(expected, rel=1e-9)
        assert row.significant == (expected < 0.05)
        assert bool(row.letter) == row.significant
        assert math.isnan(row.wilcoxon_p)
    assert table["letter"].tolist()[0] == "L"
    assert not table["significant"].all()
    assert table["ratio"].tolist()[0] == pytest.approx(np.median(samples["mobile"]) / np.median(samples["edge"]))


def test_signed_ranks_by_all_signs() -> None:
    """Exact p-value of untied differences, counted over all 2^n signs."""
    rng = np.random.default_rng(5)
    for n in (6, 9):
        difference = rng.normal(0.4, 1, n)
        ranks = np.argsort(np.argsort(abs(difference))) + 1
        found = min(ranks[difference > 0].sum(), ranks[difference < 0].sum())
        sums = [np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=n)]
        expected = min(1.0, 2 * np.mean([s <= found for s in sums]))
        base = rng.normal(5, 1, n)
        table = statistics.compare({"a": base + difference, "b": base}, paired=True)
        assert table["wilcoxon_p"][0] == pytest.approx(expected)


def test_pairs_without_a_difference_are_left_out() -> None:
    table = statistics.compare({"a": [1, 2, 3, 4, 5], "b": [1, 2, 3.5, 4.6, 5.7]}, paired=True)
    assert table["wilcoxon_p"][0] == pytest.approx(2 / 2**3)
    same = statistics.compare({"a": [1, 2, 3], "b": [1, 2, 3]}, paired=True)
    assert same["wilcoxon_p"][0] == 1
    assert same["delta"][0] == 0


def test_summaries(samples: dict[str, Any]) -> None:
    table = statistics.summarize(samples | {"steady": [2.0, 2.0, 2.0]}).set_index("group")
    assert table.loc["edge", "n"] == 50
    assert table.loc["edge", "median"] == np.median(samples["edge"])
    assert table.loc["edge", "shapiro_p"] == pytest.approx(stats.shapiro(samples["edge"]).pvalue)
    assert math.isnan(table.loc["steady", "shapiro_p"])
    assert not table.loc["steady", "normal"]
    normal = statistics.summarize({"a": stats.norm.ppf(np.linspace(0.01, 0.99, 50))})
    assert normal["normal"].tolist() == [True]
    assert not statistics.summarize({"a": np.exp(stats.norm.ppf(np.linspace(0.01, 0.99, 50)))})["normal"].any()


def test_long_and_wide_frames_agree(samples: dict[str, Any]) -> None:
    equal = {name: values[:50] for name, values in samples.items()}
    wide = pd.DataFrame(equal)
    long = wide.melt(var_name="tier", value_name="seconds")
    expected = statistics.compare(equal)
    pd.testing.assert_frame_equal(statistics.compare(wide), expected)
    pd.testing.assert_frame_equal(statistics.compare(long, group="tier", value="seconds"), expected)
    holm = statistics.compare(wide, adjust="holm")
    assert (holm["conover_p"] <= expected["conover_p"]).all()


# --- bad input -------------------------------------------------------------------------------------

GOOD = [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("samples", "options", "line"),
    [
        ({"a": GOOD}, {}, "samples: found 1 groups; allowed: at least 2"),
        ({}, {}, "samples: found 0 groups; allowed: at least 2"),
        ({"a": GOOD, "b": [1, 2]}, {}, "samples.b: found 2 values; allowed: at least 3"),
        ({"a": GOOD, "b": [1, float("nan"), 2]}, {}, "samples.b[1]: found nan; allowed: a finite number"),
        ({"a": GOOD, "b": [1, 2, float("inf")]}, {}, "samples.b[2]: found inf; allowed: a finite number"),
        ({"a": GOOD, "b": ["x", 1, 2]}, {}, "samples.b: found ['x', 1, 2]; allowed: a list of numbers"),
        ({"a": GOOD, "b": 3.0}, {}, "samples.b: found 0 dimensions; allowed: a list of numbers"),
        ([GOOD, GOOD], {}, "samples: found 'list'; allowed: a mapping of groups or a pandas DataFrame"),
        (
            {"a": [1, 1, 1], "b": [1, 1, 1]},
            {},
            "samples: found only the value 1.0; allowed: values that are not all equal",
        ),
        (
            {"a": [1, 1, 1], "b": [2, 2, 2]},
            {},
            "samples: found no spread inside any group; allowed: values that differ",
        ),
        ({"a": GOOD, "b": [*GOOD, 5]}, {"paired": True}, "samples: found 'a: 3, b: 4'; allowed: equally many values"),
        ({"a": GOOD, "b": GOOD}, {"adjust": "none"}, "adjust: found 'none'; allowed: one of bonferroni"),
        ({"a": GOOD, "b": GOOD}, {"alpha": 1}, "alpha: found 1; allowed: a number in (0, 1)"),
        ({"a": GOOD, "b": GOOD}, {"comparisons": 0}, "comparisons: found 0; allowed: a whole number >= 1"),
    ],
)
def test_bad_input_is_one_clear_line(samples: Any, options: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as error:
        statistics.compare(samples, **options)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_long_frame_with_a_missing_name() -> None:
    frame = pd.DataFrame({"group": ["a", "a", "a", None], "latency": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(InputError, match="missing name"):
        statistics.compare(frame)


def test_band_outside_its_range() -> None:
    with pytest.raises(InputError, match=r"delta: found 1\.5"):
        statistics.band(1.5)
    with pytest.raises(InputError, match="left: found 0 values; allowed: at least 1"):
        statistics.cliffs_delta([], [1.0])


def test_without_scikit_posthocs(monkeypatch: pytest.MonkeyPatch, samples: dict[str, Any]) -> None:
    monkeypatch.setitem(sys.modules, "scikit_posthocs", None)
    with pytest.raises(MethodError, match=r"pip install 'qopt-edge\[study\]'"):
        statistics.compare(samples)
    assert len(statistics.summarize(samples)) == 3


@pytest.mark.parametrize("seed", range(12))
def test_signed_ranks_with_ties_are_counted_out(seed: int) -> None:
    """Against all signs; scipy's exact p-value holds without ties only."""
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 4, 9).astype(float)
    right = rng.integers(0, 4, 9).astype(float) + (0.25 if seed % 2 else 0.0)
    difference = (left - right)[left != right]
    ranks = stats.rankdata(np.abs(difference))
    sums = [
        sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in itertools.product((0, 1), repeat=len(ranks))
    ]
    positive = float(ranks[difference > 0].sum())
    extreme = min(positive, float(ranks.sum()) - positive)
    expected = min(1.0, 2 * sum(x <= extreme + 1e-9 for x in sums) / len(sums))
    groups = {"left": left.tolist(), "right": right.tolist()}
    found = statistics.compare(groups, paired=True)["wilcoxon_p"][0]
    assert found == pytest.approx(expected, rel=1e-12)

"""Tests that tell whether latency samples differ, and by how much: one table, a row a pair of groups.

The chain is that of empirical studies of deployments: Shapiro-Wilk for normality, Kruskal-Wallis over all groups,
Conover's post-hoc test with an adjustment for each pair, Cliff's delta for sign and size, and the Wilcoxon
signed-rank test with Bonferroni's correction where the samples are paired. `ranks` compares several groups on the same
subjects: Friedman's test, and Nemenyi's for each pair (Demsar, 2006).

Needs scikit-posthocs for Conover's test: ``pip install 'qopt-edge[study]'``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from qopt.core.arguments import is_number, whole
from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, MethodError, shown

if TYPE_CHECKING:
    import pandas as pd

BANDS = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"))
"""Upper ends, excluded, of the bands of abs(Cliff's delta) (Romano et al., 2006); beyond them it is large."""

ADJUSTMENTS = ("bonferroni", "sidak", "holm", "holm-sidak", "simes-hochberg", "hommel", "fdr_bh", "fdr_by")
"""Adjustments of the Conover p-values for the number of pairs."""

SMALLEST = 3
"""Values that a group must have: Shapiro-Wilk needs three."""

EXACT = 50
"""Largest number of pairs for which the signed-rank distribution is counted out and not approximated."""


def cliffs_delta(left: Sequence[float] | FloatArray, right: Sequence[float] | FloatArray) -> float:
    """Cliff's delta, P(left > right) - P(left < right), exact in O((n + m) log m).

    Parameters
    ----------
    left, right : array_like, shapes (n,) and (m,)
        Two samples; the unit does not matter as long as both have the same.

    Returns
    -------
    float
        In [-1, 1]; negative where values of ``left`` are the lower ones.

    Raises
    ------
    InputError
        An empty sample, or a value that is no finite number.
    """
    a, b = _sample("left", left, 1), np.sort(_sample("right", right, 1))
    lower = int(np.searchsorted(b, a, side="left").sum())  # pairs with left > right
    upper = a.size * b.size - int(np.searchsorted(b, a, side="right").sum())
    return (lower - upper) / (a.size * b.size)


def band(delta: float) -> str:
    """Size of an effect: ``negligible`` below 0.147, ``small`` below 0.33, ``medium`` below 0.474, else ``large``.

    Parameters
    ----------
    delta : Cliff's delta, in [-1, 1].

    Raises
    ------
    InputError
        A number outside of that.
    """
    if not -1.0 <= delta <= 1.0:
        raise InputError("delta", shown(delta), "a number in [-1, 1]")
    return next((name for end, name in BANDS if abs(delta) < end), "large")


def letter(delta: float) -> str:
    """Sign and first letter of the size, as tables of effects print them: ``-L``, ``S``; a zero has no sign.

    Parameters
    ----------
    delta : Cliff's delta, in [-1, 1]; errors as `band`.
    """
    return ("-" if delta < 0 else "") + band(delta)[0].upper()


def summarize(
    samples: Mapping[str, Sequence[float] | FloatArray] | pd.DataFrame,
    *,
    group: str = "group",
    value: str = "latency",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """One row a group: size, quartiles, and whether Shapiro-Wilk leaves normality standing.

    Parameters
    ----------
    samples, group, value, alpha
        As for `compare`, one list for each group; a single group will do.

    Returns
    -------
    pandas.DataFrame
        ``group, n, minimum, q1, median, q3, maximum, shapiro_w, shapiro_p, normal``. A group of one value repeated
        has no Shapiro-Wilk statistic: its columns hold NaN, and ``normal`` is False.
    """
    import pandas as pd
    from scipy import stats

    groups = _groups(samples, group, value, 1)
    _alpha(alpha)
    records: list[dict[str, object]] = []
    for name, values in groups.items():
        low, q1, median, q3, high = (float(q) for q in np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0]))
        w = p = float("nan")
        if high > low:
            test = stats.shapiro(values)
            w, p = float(test.statistic), float(test.pvalue)
        records.append(
            {"group": name, "n": values.size, "minimum": low, "q1": q1, "median": median, "q3": q3, "maximum": high}
            | {"shapiro_w": w, "shapiro_p": p, "normal": bool(p >= alpha)}
        )
    return pd.DataFrame(records)


def compare(
    samples: Mapping[str, Sequence[float] | FloatArray] | pd.DataFrame,
    *,
    group: str = "group",
    value: str = "latency",
    adjust: str = "bonferroni",
    alpha: float = 0.05,
    paired: bool = False,
    comparisons: int | None = None,
) -> pd.DataFrame:
    """Every pair of groups: tests, effect size and medians in one table.

    Parameters
    ----------
    samples : mapping or pandas.DataFrame
        Name of a group -> its values, all in one unit. A data frame is long if it has the columns ``group`` and
        ``value``, one row a measurement; else wide, one column a group.
    group, value : str
        Names of a long data frame's columns.
    adjust : str
        Adjustment of the Conover p-values, one of `ADJUSTMENTS`.
    alpha : float
        Level of significance, in (0, 1).
    paired : bool
        Values of equal position belong together (same subject and hardware, say): adds the Wilcoxon test.
    comparisons : int, optional
        Number of tests in the Bonferroni correction of the Wilcoxon p-values; the number of pairs by default.

    Returns
    -------
    pandas.DataFrame
        One row a pair, in the order of the groups:

        * ``left, right, n_left, n_right, median_left, median_right``, and ``ratio`` = median_left / median_right;
        * ``kruskal_h, kruskal_p``: over all groups, the same in every row;
        * ``conover_p``: adjusted; ``significant``: both the Kruskal-Wallis and the Conover p-value are below alpha;
        * ``delta, band``: Cliff's delta of left and right, negative where left has the lower values, and its size;
          ``letter`` is the short form, empty where the pair is not significant;
        * ``wilcoxon_p``: two-sided, exact up to 50 pairs, pairs without a difference left out; ``wilcoxon_adjusted``:
          times ``comparisons``, at most 1. NaN unless ``paired``.

    Raises
    ------
    InputError
        Fewer than two groups, fewer than three values in one, a value that is no finite number, values that are all
        equal, paired groups of different sizes, an unknown adjustment.
    MethodError
        scikit-posthocs is not installed.
    """
    import pandas as pd
    from scipy import stats

    groups = _groups(samples, group, value, 2)
    _alpha(alpha)
    if adjust not in ADJUSTMENTS:
        raise InputError("adjust", shown(adjust), f"one of {', '.join(ADJUSTMENTS)}")
    pairs = list(combinations(groups, 2))
    times = len(pairs) if comparisons is None else whole("comparisons", comparisons, 1)
    _check_comparable(groups, paired)

    kruskal = stats.kruskal(*groups.values())
    conover = _conover(groups, adjust)
    records: list[dict[str, object]] = []
    for left, right in pairs:
        a, b = groups[left], groups[right]
        p = conover[left, right]
        significant = bool(kruskal.pvalue < alpha and p < alpha)
        delta = cliffs_delta(a, b)
        signed = signed_rank(a, b) if paired else float("nan")
        records.append(
            {"left": left, "right": right, **_sizes_and_medians(a, b)}
            | {"kruskal_h": float(kruskal.statistic), "kruskal_p": float(kruskal.pvalue), "conover_p": p}
            | {"significant": significant, "delta": delta, "band": band(delta)}
            | {"letter": letter(delta) if significant else ""}
            | {"wilcoxon_p": signed, "wilcoxon_adjusted": float(np.minimum(1.0, times * signed))}
        )
    return pd.DataFrame(records)


def adjusted(p_values: Sequence[float], method: str = "holm") -> list[float]:
    """p-values adjusted for their number, in the order given.

    Parameters
    ----------
    p_values : (m,) numbers in [0, 1].
    method : ``bonferroni`` or ``holm``, which keep the chance of any false alarm below the level, or ``fdr_bh``
        (Benjamini and Hochberg), which keeps the share of false ones among the alarms.

    Raises
    ------
    InputError
        A value outside of [0, 1], or another method.
    """
    if method not in ("bonferroni", "holm", "fdr_bh"):
        raise InputError("adjust", shown(method), "bonferroni, holm or fdr_bh")
    found = _sample("p_values", p_values, 0)
    if ((found < 0) | (found > 1)).any():
        raise InputError("p_values", shown(float(found[(found < 0) | (found > 1)][0])), "numbers in [0, 1]")
    m, order = found.size, np.argsort(found, kind="stable")
    ordered = found[order]
    if method == "bonferroni":
        ordered = ordered * m
    elif method == "holm":
        ordered = np.maximum.accumulate(ordered * np.arange(m, 0, -1))
    else:
        ordered = np.minimum.accumulate((ordered * m / np.arange(1, m + 1))[::-1])[::-1]
    result = np.empty(m)
    result[order] = np.minimum(1.0, ordered)
    return [float(p) for p in result]


def ranks(
    samples: Mapping[str, Sequence[float] | FloatArray] | pd.DataFrame,
    *,
    group: str = "group",
    value: str = "latency",
) -> pd.DataFrame:
    """Groups measured on the same subjects, ranked within each: Friedman's test and Nemenyi's for every pair.

    For several solvers on the same instances. Ranks leave sizes out: one that is ahead by a hair everywhere is first.

    Parameters
    ----------
    samples : mapping or pandas.DataFrame
        As for `compare`: three groups or more, each of shape (n,); values of equal position belong to one subject.
    group, value : str
        Names of a long data frame's columns.

    Returns
    -------
    pandas.DataFrame
        One row a pair: ``left, right, n, left_rank, right_rank`` (means; 1 is the lowest value), ``friedman_chi2,
        friedman_p`` (over all groups, the same in every row), ``nemenyi_p``, ``delta`` and ``band`` (Cliff's).

    Raises
    ------
    InputError
        Fewer than three groups or values, groups of different sizes, a value that is no finite number, or all groups
        equal in every position.
    """
    import pandas as pd
    from scipy import stats

    groups = _groups(samples, group, value, 3)
    _check_comparable(groups, paired=True)
    data = np.column_stack(list(groups.values()))
    n, k = data.shape
    if (data == data[:, :1]).all():
        raise InputError("samples", "ties everywhere", "groups that differ in some position")
    mean = stats.rankdata(data, axis=1).mean(axis=0)
    test = stats.friedmanchisquare(*groups.values())
    scale = np.sqrt(k * (k + 1) / (6.0 * n))
    records: list[dict[str, object]] = []
    for (i, left), (j, right) in combinations(enumerate(groups), 2):
        p = float(stats.studentized_range.sf(abs(mean[i] - mean[j]) / scale * np.sqrt(2.0), k, np.inf))
        delta = cliffs_delta(groups[left], groups[right])
        records.append(
            {"left": left, "right": right, "n": n, "left_rank": float(mean[i]), "right_rank": float(mean[j])}
            | {"friedman_chi2": float(test.statistic), "friedman_p": float(test.pvalue), "nemenyi_p": p}
            | {"delta": delta, "band": band(delta)}
        )
    return pd.DataFrame(records)


def _check_comparable(groups: Mapping[str, FloatArray], paired: bool) -> None:
    """Refuse groups of different sizes where they are paired, and values that are all equal."""
    if paired and len({values.size for values in groups.values()}) > 1:
        found = ", ".join(f"{name}: {values.size}" for name, values in groups.items())
        raise InputError("samples", shown(found), "equally many values in every group when paired")
    pooled = np.concatenate(list(groups.values()))
    if pooled.min() == pooled.max():
        raise InputError("samples", f"only the value {shown(float(pooled[0]))}", "values that are not all equal")


def _sizes_and_medians(left: FloatArray, right: FloatArray) -> dict[str, float]:
    """Columns that describe the two samples of a pair."""
    middle = float(np.median(left)), float(np.median(right))
    ratio = middle[0] / middle[1] if middle[1] else float("nan")
    return {
        "n_left": left.size,
        "n_right": right.size,
        "median_left": middle[0],
        "median_right": middle[1],
        "ratio": ratio,
    }


def _conover(groups: Mapping[str, FloatArray], adjust: str) -> dict[tuple[str, str], float]:
    """Adjusted p-values of Conover's test, a pair each."""
    try:
        import scikit_posthocs
    except ImportError as error:
        raise MethodError("Conover's test needs scikit-posthocs: pip install 'qopt-edge[study]'") from error
    if all(values.min() == values.max() for values in groups.values()):
        raise InputError("samples", "no spread inside any group", "values that differ inside some group")
    table = scikit_posthocs.posthoc_conover(list(groups.values()), p_adjust=adjust).to_numpy(float)
    return {(a, b): float(table[i, j]) for (i, a), (j, b) in combinations(enumerate(groups), 2)}


def signed_rank(left: Sequence[float] | FloatArray, right: Sequence[float] | FloatArray) -> float:
    """Two-sided p-value of the Wilcoxon signed-rank test over the pairs that differ; exact up to 50 of them.

    Parameters
    ----------
    left, right : array_like, shape (n,)
        Values of equal position belong together. Without a difference anywhere the p-value is 1.

    Raises
    ------
    InputError
        Samples of different lengths, an empty one, or a value that is no finite number.
    """
    from scipy import stats

    left, right = _sample("left", left, 1), _sample("right", right, 1)
    if left.size != right.size:
        raise InputError("right", f"{right.size} values", f"{left.size}, one for each of left")

    difference = (left - right)[left != right]
    if difference.size == 0:
        return 1.0
    if difference.size <= EXACT:
        return _exact(difference)
    return float(stats.wilcoxon(difference).pvalue)


def _exact(difference: FloatArray) -> float:
    """Exact two-sided p-value, also where sizes tie (scipy counts untied ranks): all signs over twice the midranks."""
    from scipy import stats

    ranks = np.rint(2.0 * stats.rankdata(np.abs(difference))).astype(np.int64)
    ways = np.zeros(int(ranks.sum()) + 1)  # by the sum of the positive ranks; at most 2^50, exact in floats
    ways[0] = 1.0
    for rank in ranks.tolist():
        ways[rank:] = ways[rank:] + ways[: len(ways) - rank]
    positive = int(ranks[difference > 0].sum())
    lesser = min(positive, int(ranks.sum()) - positive)
    return min(1.0, 2.0 * float(ways[: lesser + 1].sum()) / 2.0 ** len(ranks))


def _groups(
    samples: Mapping[str, Sequence[float] | FloatArray] | pd.DataFrame, group: str, value: str, fewest: int
) -> dict[str, FloatArray]:
    """The samples as arrays by name, checked; groups keep the order in which they first appear."""
    import pandas as pd

    columns: dict[str, object]
    if isinstance(samples, pd.DataFrame):
        if {group, value} <= set(samples.columns):
            if samples[group].isna().any():
                raise InputError(f"samples.{group}", "a missing name", "a group in every row")
            columns = {str(key): part[value] for key, part in samples.groupby(group, sort=False, observed=True)}
        else:
            columns = {str(key): samples[key] for key in samples.columns}
    elif isinstance(samples, Mapping):
        columns = {str(key): values for key, values in samples.items()}
    else:
        raise InputError("samples", shown(type(samples).__name__), "a mapping of groups or a pandas DataFrame")
    if len(columns) < fewest:
        raise InputError("samples", f"{len(columns)} groups", f"at least {fewest}")
    return {key: _sample(f"samples.{key}", values, SMALLEST) for key, values in columns.items()}


def _sample(field: str, values: object, fewest: int) -> FloatArray:
    """One group's values as a flat array of finite numbers."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(field, shown(values), "a list of numbers") from None
    if array.ndim != 1:
        raise InputError(field, f"{array.ndim} dimensions", "a list of numbers")
    if array.size < fewest:
        raise InputError(field, f"{array.size} values", f"at least {fewest}")
    wrong = np.flatnonzero(~np.isfinite(array))
    if wrong.size:
        raise InputError(f"{field}[{wrong[0]}]", shown(float(array[wrong[0]])), "a finite number")
    return array


def _alpha(alpha: float) -> None:
    if not (is_number(alpha) and 0 < alpha < 1):
        raise InputError("alpha", shown(alpha), "a number in (0, 1)")

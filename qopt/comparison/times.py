"""Times of several runs on the same instances: what was charged, means that keep time-outs, profiles, ratios.

A run that did not solve an instance is charged the time limit: to leave it out would reward giving up. Runs are
compared on the instances that all of them were put to, since means over different instances compare the instances.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.comparison.statistics import adjusted, signed_rank
from qopt.core.arguments import is_number, whole
from qopt.core.arrays import BoolArray, FloatArray
from qopt.core.claims import CLAIMS, NONE, refuted
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown

if TYPE_CHECKING:
    import pandas as pd

SHIFT = 10.0
"""Seconds added before a geometric mean and taken off after it, as in H. Mittelmann's benchmarks."""

FEWEST = 3
"""Instances for an interval: the bootstrap of two has three values."""


@dataclass(frozen=True, eq=False, repr=False)
class Times(Brief):
    """Seconds of R runs on I instances.

    Attributes
    ----------
    runs : (R,) names.
    instances : (I,) names of the instances that every run was put to.
    seconds : (I, R) charged seconds, > 0: the median over repeats, of which each not solved counts as the limit.
    solved : (I, R) whether the run solved the instance in most of its repeats.
    wrong : (R,) claims that another result refutes.
    left_out : instances that some run could not be put to.
    """

    runs: tuple[str, ...]
    instances: tuple[str, ...]
    seconds: FloatArray
    solved: BoolArray
    wrong: tuple[int, ...]
    left_out: int


def times(table: pd.DataFrame, *, limit: float | None = None) -> Times:
    """Charged seconds, from the table of a study or of `qopt.compare`.

    Parameters
    ----------
    table : of a study, whose columns ``charged``, ``solved`` and ``wrong`` are taken as they are; or of
        `qopt.compare`, where a row counts as solved if its status is ``optimal``, ``optimal-by-solver``,
        ``infeasible`` or ``infeasible-by-solver`` and no other row refutes that. One sort of bits.
    limit : seconds charged for what was not solved; needed where a row was not, and the table does not say it.

    Raises
    ------
    InputError
        A column is missing; both sorts of bits; no limit where one is needed; fewer than two runs, or no instance that
        all were put to.
    """
    import pandas as pd

    if limit is not None and not (is_number(limit) and 0 < limit < math.inf):
        raise InputError("limit", shown(limit), "seconds > 0")
    rows = _judged(table)
    rows = rows[rows["status"] != "unavailable"]
    kinds = sorted({str(kind) for kind in rows["bits"] if isinstance(kind, str)}) if "bits" in rows else []
    if len(kinds) > 1:
        raise InputError("table", " and ".join(kinds) + " bits", "one sort, such as table[table['bits'] == 'whole']")
    charged = rows["charged"].astype(float).where(rows["solved"].astype(bool), np.nan if limit is None else limit)
    charged = charged.fillna(rows["charged"].astype(float))
    if charged.isna().any():
        at = rows[charged.isna()].iloc[0]
        raise InputError("limit", f"none, and {at['run']} did not solve {at['instance']}", "seconds, to be charged")
    frame = pd.DataFrame(
        {
            "instance": rows["instance"].astype(str),
            "run": rows["run"].astype(str),
            "seconds": charged,
            "solved": rows["solved"].astype(float),
            "wrong": rows["wrong"].fillna("").astype(str) != "",
        }
    )
    runs = tuple(dict.fromkeys(frame["run"]))
    if len(runs) < 2:
        raise InputError("table", f"{len(runs)} runs", "at least 2 that could be used")
    order = list(dict.fromkeys(frame["instance"]))
    wide = frame.pivot_table(index="instance", columns="run", values=["seconds", "solved"], aggfunc="median")
    seconds, solved = wide["seconds"].loc[order, list(runs)], wide["solved"].loc[order, list(runs)]
    whole_rows = ~np.isnan(seconds.to_numpy(float)).any(axis=1)
    if not whole_rows.any():
        raise InputError("table", "no instance that every run was put to", "at least one")
    found = seconds.to_numpy(float)[whole_rows]
    if not (np.isfinite(found).all() and (found >= 0).all()):
        raise InputError("table", shown(float(found[~(np.isfinite(found) & (found >= 0))][0])), "seconds >= 0")
    tick = np.finfo(float).tiny
    wrong = frame[frame["wrong"]].groupby("run").size()
    return Times(
        runs=runs,
        instances=tuple(np.array(order, dtype=object)[whole_rows].tolist()),
        seconds=np.maximum(found, tick),
        solved=solved.to_numpy(float)[whole_rows] > 0.5,
        wrong=tuple(int(wrong.get(run, 0)) for run in runs),
        left_out=int((~whole_rows).sum()),
    )


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a study's names: instance, run, charged, solved, wrong."""
    if {"instance", "run", "charged", "solved", "wrong"} <= set(table.columns):
        return table
    for name in ("problem", "method", "status", "objective", "bound", "seconds", "verified"):
        if name not in table.columns:
            raise InputError("table", f"no column {name}", "the table of a study, or of qopt.compare")
    rows = table.rename(columns={"problem": "instance", "method": "run"})
    rows["wrong"] = claims_refuted(rows)
    done = rows["status"].isin((*CLAIMS, *NONE)) & (rows["wrong"] == "")
    rows["solved"] = done
    rows["charged"] = rows["seconds"].astype(float).where(done)
    return rows


def claims_refuted(rows: pd.DataFrame) -> list[str]:
    """For each row the claim that the others refute, or `qopt.solve` did, in words; empty where there is none.

    Parameters
    ----------
    rows : with columns ``instance``, ``status``, ``objective``, ``bound`` and ``verified``, ``bits`` if families
        have them, and ``refuted`` as `qopt.Solution.refuted` says it.
    """
    best: dict[tuple[str, str], float] = {}
    records: list[dict[Hashable, Any]] = rows.to_dict("records")

    def key(row: dict[Hashable, Any]) -> tuple[str, str]:
        return str(row["instance"]), str(row.get("bits"))

    for row in records:
        if row["verified"] is True and row["objective"] is not None:
            best[key(row)] = min(best.get(key(row), math.inf), float(row["objective"]))

    def wrong(row: dict[Hashable, Any]) -> str:
        said = row.get("refuted")
        if isinstance(said, str) and said:
            return said
        return refuted(row["status"], row["objective"], [row["bound"]], row["verified"], best.get(key(row)))

    return [wrong(row) for row in records]


def shifted_mean(seconds: FloatArray | list[float], shift: float = SHIFT) -> float:
    """The shifted geometric mean, exp(mean(log(t + s))) - s, in seconds.

    The shift keeps instances of a few milliseconds from deciding. The unit matters: 10 means ten seconds.

    Parameters
    ----------
    seconds : (n,) times in seconds, >= 0.
    shift : s > 0, in seconds.

    Raises
    ------
    InputError
        No times, one that is negative or no finite number, or a shift that is not > 0.
    """
    found = np.asarray(seconds, dtype=np.float64)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all() or (found < 0).any():
        raise InputError("seconds", shown(seconds), "a list of finite numbers >= 0")
    if not (is_number(shift) and 0 < shift < math.inf):
        raise InputError("shift", shown(shift), "seconds > 0")
    return float(np.expm1(np.log1p(found / shift).mean()) * shift)


def summary(found: Times, *, shift: float = SHIFT) -> pd.DataFrame:
    """A row a run: how many instances it solved, wrong claims, and its shifted geometric mean, the lowest first.

    Parameters
    ----------
    found : of `times`.
    shift : of the mean, in seconds.

    Returns
    -------
    pandas.DataFrame
        ``run, instances, solved, wrong, mean`` (shifted geometric, seconds, time-outs charged), ``relative`` (mean
        over the least mean), ``median`` (seconds).
    """
    import pandas as pd

    means = [shifted_mean(column.tolist(), shift) for column in found.seconds.T]
    least = min(means)
    rows = pd.DataFrame(
        {
            "run": list(found.runs),
            "instances": len(found.instances),
            "solved": found.solved.sum(axis=0),
            "wrong": list(found.wrong),
            "mean": means,
            "relative": [mean / least if least else math.nan for mean in means],
            "median": np.median(found.seconds, axis=0),
        }
    )
    return rows.sort_values("mean", kind="stable", ignore_index=True)


def ratios(
    found: Times, *, level: float = 0.95, draws: int = 2000, seed: int = 0, adjust: str = "holm"
) -> pd.DataFrame:
    """Every pair of runs, paired by instance: geometric mean of the time ratio, its interval, and a test.

    The interval is the bootstrap's, by percentiles: instances are drawn with replacement, so it speaks of other
    instances of the same kind and of no others. Where both ran into the limit the ratio counts as 1 and where one did
    it is at least, or at most, what is shown: the column ``charged`` says how often.

    Parameters
    ----------
    found : of `times`, with at least three instances.
    level : of the interval, in (0, 1).
    draws : of the bootstrap, at least 100.
    seed : of the draws, which are the same for every pair.
    adjust : of the p-values for the number of pairs: ``holm``, ``bonferroni`` or ``fdr_bh``.

    Returns
    -------
    pandas.DataFrame
        ``left, right, n, ratio`` (of left over right: below 1, left is faster), ``low, high``, ``faster, slower``
        (instances on which left is), ``charged`` (with a time-out), ``wilcoxon_p`` (two-sided, of the logarithms) and
        ``adjusted``.

    Raises
    ------
    InputError
        Fewer than three instances, or an option outside of its range.
    """
    import pandas as pd

    n = len(found.instances)
    if n < FEWEST:
        raise InputError("instances", str(n), f"at least {FEWEST} that every run was put to")
    if not (is_number(level) and 0 < level < 1):
        raise InputError("level", shown(level), "a number in (0, 1)")
    draws, seed = whole("draws", draws, 100), whole("seed", seed, 0)
    logs = np.log(found.seconds)
    pairs = list(combinations(range(len(found.runs)), 2))
    difference = np.column_stack([logs[:, a] - logs[:, b] for a, b in pairs])
    low, high = np.exp(_bootstrap(difference, draws, level, np.random.default_rng(seed)))
    records = []
    for k, (a, b) in enumerate(pairs):
        here = difference[:, k]
        records.append(
            {"left": found.runs[a], "right": found.runs[b], "n": n, "ratio": math.exp(here.mean())}
            | {"low": float(low[k]), "high": float(high[k])}
            | {"faster": int((here < 0).sum()), "slower": int((here > 0).sum())}
            | {"charged": int((~found.solved[:, [a, b]]).any(axis=1).sum())}
            | {"wilcoxon_p": signed_rank(logs[:, a], logs[:, b])}
        )
    table = pd.DataFrame(records)
    table["adjusted"] = adjusted(table["wilcoxon_p"].tolist(), adjust)
    return table


def _bootstrap(values: FloatArray, draws: int, level: float, rng: np.random.Generator) -> FloatArray:
    """(2, P) ends of the interval of the means of the columns of (I, P) values."""
    n = len(values)
    at_once = max(1, 1_000_000 // n)  # rows of counts that are held together
    means = []
    for begin in range(0, draws, at_once):
        rows = min(at_once, draws - begin)
        chosen = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(chosen.ravel(), minlength=rows * n).reshape(rows, n)
        means.append(counts @ values / n)
    return np.asarray(np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2], axis=0))

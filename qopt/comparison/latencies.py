"""One's own logs of `qopt run-part` as the study's tables: medians of medians, tests, effects.

A log has a line of JSON for each request. Those of an experiment carry a repetition and an example; what was refused,
what was warm-up, what a service passed on and what is no whole line is counted and left out.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.comparison.statistics import SMALLEST, compare, signed_rank, summarize
from qopt.core.errors import InputError, printable, shown

if TYPE_CHECKING:
    import pandas as pd

LINE = "qopt/latency"
"""Format of a line."""

LONGEST = 2**20
"""Bytes of a line; a longer one is broken."""

PARTS = ("pre", "compute", "link", "post", "total")
"""Section 4.4.1: pre-processing, computing, transmission, post-processing, and the whole, which is timed by itself."""

WAY = ("operator", "tiers", "model", "plan", "rate")
"""What a way of running is: requests that differ in one of these are of two experiments."""


@dataclass(frozen=True)
class Logs:
    """What logs hold.

    Attributes
    ----------
    requests : a row for each request that counts: strategy, operator, tiers, how many parts they are, model, plan and
        rate (None where the log does not say), repetition, example, and the seconds of `PARTS`.
    left_out : how many lines were not such requests, by the reason.
    reasons : how many requests were refused, by what the log says of it.
    """

    requests: pd.DataFrame
    left_out: dict[str, int]
    reasons: dict[str, int]

    def __str__(self) -> str:
        from qopt.core.display import listed
        from qopt.core.report import scaled

        rows = []
        for row in medians(self.requests).to_dict("records"):
            parts = ", ".join(f"{part} {scaled(row[part], 's')}" for part in ("compute", "link"))
            spread = f"{scaled(row['low'], 's')} to {scaled(row['high'], 's')}"
            rows.append(f"{row['strategy']}: {scaled(row['total'], 's')} ({spread}); {parts}; {row['n']} requests")
        return listed("latency, median of the repetitions' medians", rows)


def read_logs(paths: Sequence[str | os.PathLike[str]]) -> Logs:
    """Read logs that nobody vouches for; a line that is cut off or broken is counted.

    Parameters
    ----------
    paths : files that `qopt run-part --log` wrote, at least one.

    Raises
    ------
    InputError
        A file cannot be read, there is no request that counts, or a strategy of one name is two.
    """
    import pandas as pd

    left_out, reasons, rows = Counter[str](), Counter[str](), []
    for path in paths:
        try:
            with open(path, "rb") as file:
                while line := file.readline(LONGEST):
                    kind, row = _read(line)
                    if row is not None:
                        rows.append(row)
                    elif kind.startswith("refused: "):
                        left_out["refused"] += 1
                        reasons[kind.removeprefix("refused: ")] += 1
                    elif kind:
                        left_out[kind] += 1
        except OSError as error:
            why = (error.strerror or "unreadable").lower()
            raise InputError(os.fspath(path), why, "a log of `qopt run-part`") from None
    if not rows:
        found = ", ".join(f"{count} lines {kind}" for kind, count in left_out.items()) or "no lines"
        if reasons:
            found += f" ({reasons.most_common(1)[0][0]})"
        raise InputError("logs", found, "requests of an experiment: `qopt run-part --examples --log`")
    requests = pd.DataFrame(rows)
    for name, group in requests.groupby("strategy", sort=False):
        kinds = group[list(WAY)].drop_duplicates()
        if len(kinds) > 1:
            differ = [field for field in WAY if len(kinds[[field]].drop_duplicates()) > 1]
            ways = [", ".join(f"{f} {shown(row[f])}" for f in differ) for row in kinds.head(2).to_dict("records")]
            found = f"{len(kinds) if len(kinds) > 2 else 'two'} ways of running ({'; '.join(ways)})"
            raise InputError(f"strategy {shown(name)}", found, "one for each name: give each a --strategy")
    return Logs(requests, dict(left_out), dict(reasons))


def _read(line: bytes) -> tuple[str, dict[str, Any] | None]:
    """Why a line does not count, or its row."""
    if not line.strip():
        return "", None
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return "cut off or broken", None
    if not isinstance(data, dict) or data.get("format") != LINE:
        return "cut off or broken", None
    if not isinstance(data.get("example"), int):
        return "of services", None
    if not isinstance(data.get("repetition"), int):
        return "of the warm-up", None
    if data.get("status") != "answered":
        return f"refused: {printable(str(data.get('reason'))[:200])}", None
    way = _way(data)
    seconds = data.get("seconds")
    if way is None or not isinstance(seconds, dict) or not {"total", "compute"} <= seconds.keys():
        return "cut off or broken", None
    row = {}
    for name in PARTS:
        value = seconds.get(name, 0.0)
        values = list(value.values()) if isinstance(value, dict) else [value]
        if not all(type(v) in (int, float) and 0 <= v < 1e9 for v in values):
            return "cut off or broken", None
        row[name] = float(sum(values))
    return "", way | {"repetition": data["repetition"], "example": data["example"]} | row


def _way(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """How a request was run, with names that a terminal can print; None where it is broken."""
    words = {name: data.get(name) for name in ("strategy", "operator", "tiers")}
    if not all(isinstance(word, str) for word in words.values()):
        return None
    words |= {name: data.get(name) for name in ("model", "plan")}
    rate, listed = data.get("rate"), data.get("parts")
    if not all(word is None or isinstance(word, str) for word in words.values()):
        return None
    if rate is not None and (type(rate) not in (int, float) or not 0 < rate < math.inf):
        return None
    if listed is None:  # older logs have the tiers as one word alone
        listed = str(words["tiers"]).split("-")
    if not isinstance(listed, list) or not listed:
        return None
    clean = {name: None if word is None else printable(word) for name, word in words.items()}
    return clean | {"parts": len(listed), "rate": None if rate is None else float(rate)}


def medians(requests: pd.DataFrame) -> pd.DataFrame:
    """One row a strategy: the median over repetitions of the medians over examples (section 4.4.1), of every part.

    Parameters
    ----------
    requests : of `read_logs`.

    Returns
    -------
    ``strategy, operator, tiers, parts, n, repetitions``, seconds of `PARTS`, and ``low, high``: the least and the
    largest repetition of the total.
    """
    import pandas as pd

    records = []
    for name, group in requests.groupby("strategy", sort=False):
        by_repetition = group.groupby("repetition")[list(PARTS)].median()
        whole = by_repetition["total"]
        records.append(
            {"strategy": name, "operator": group["operator"].iloc[0], "tiers": group["tiers"].iloc[0]}
            | {"parts": int(group["parts"].min())}  # of older logs, a hyphen in a tier's name counts too
            | {"n": len(group), "repetitions": len(by_repetition)}
            | by_repetition.median().to_dict()
            | {"low": float(whole.min()), "high": float(whole.max())}
        )
    return pd.DataFrame(records)


@dataclass(frozen=True)
class Compared:
    """Strategies that are compared with each other.

    Attributes
    ----------
    dimension : ``tier`` (Table 3 of the study) or ``operator`` (Table 4).
    name : the operator whose tiers, or the tier whose operators are compared.
    strategies : names, at least two.
    """

    dimension: str
    name: str
    strategies: tuple[str, ...]


def comparisons(table: pd.DataFrame) -> list[Compared]:
    """Which strategies enter which test, as in Tables 3 and 4 of the study.

    Tier: an operator's single tiers, and these with its partitions where it has some. Operator: all operators on one
    tier, with all partitions.

    Parameters
    ----------
    table : of `medians`.
    """
    single, split = table[table["parts"] == 1], table[table["parts"] > 1]
    found = []
    for operator in dict.fromkeys(table["operator"]):
        alone = tuple(single.loc[single["operator"] == operator, "strategy"])
        parted = tuple(split.loc[split["operator"] == operator, "strategy"])
        found.append(Compared("tier", operator, alone))
        if parted:
            found.append(Compared("tier", f"{operator}, partitions too", alone + parted))
    for tier in dict.fromkeys(single["tiers"]):
        names = tuple(single.loc[single["tiers"] == tier, "strategy"])
        found.append(Compared("operator", tier, names + tuple(split["strategy"])))
    seen, kept = set(), []
    for test in found:
        if len(test.strategies) > 1 and (test.dimension, frozenset(test.strategies)) not in seen:
            seen.add((test.dimension, frozenset(test.strategies)))
            kept.append(test)
    return kept


def run_test(
    requests: pd.DataFrame, test: Compared, *, adjust: str = "bonferroni", alpha: float = 0.05
) -> pd.DataFrame:
    """Kruskal-Wallis, Conover and Cliff's delta over all requests, Wilcoxon over shared examples.

    Parameters
    ----------
    requests : of `read_logs`.
    test : which strategies.
    adjust, alpha : as in `qopt.statistics.compare`.

    Returns
    -------
    The table of `qopt.statistics.compare`; its Wilcoxon columns pair each example's median over the repetitions,
    with Bonferroni's correction for the number of pairs.

    Raises
    ------
    InputError
        Fewer than three requests of a strategy, or times without any spread. MethodError without scikit-posthocs.
    """
    groups = {n: requests.loc[requests["strategy"] == n, "total"].to_numpy(float) for n in test.strategies}
    table = compare(groups, adjust=adjust, alpha=alpha)
    by_example = {n: requests[requests["strategy"] == n].groupby("example")["total"].median() for n in test.strategies}
    pairs = list(combinations(test.strategies, 2))
    found = []
    for left, right in pairs:
        a, b = by_example[left], by_example[right]
        shared = a.index.intersection(b.index)
        found.append(signed_rank(a[shared].to_numpy(), b[shared].to_numpy()) if len(shared) else float("nan"))
    table["wilcoxon_p"] = found
    table["wilcoxon_adjusted"] = np.minimum(1.0, np.array(found) * len(pairs))
    return table


def matrix(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of a test's table as a matrix, rows and columns the strategies; left of each pair in the row.

    Parameters
    ----------
    table : of `run_test`.
    column : ``conover_p``, ``wilcoxon_adjusted``, ``delta``, ``letter``, …; what has a sign changes it below the
        diagonal, which is empty.
    """
    import pandas as pd

    names = list(dict.fromkeys([*table["left"], *table["right"]]))
    found = pd.DataFrame("", index=names, columns=names, dtype=object)
    for row in table.itertuples():
        value = getattr(row, column)
        found.loc[row.left, row.right] = value
        found.loc[row.right, row.left] = _turned(column, value)
    return found


def _turned(column: str, value: Any) -> Any:
    """What a pair's value is for the pair the other way round."""
    if column == "delta":
        return -value
    if column == "letter" and value:
        return value.removeprefix("-") if value.startswith("-") else f"-{value}"
    return value


def normality(requests: pd.DataFrame) -> pd.DataFrame | None:
    """Quartiles and Shapiro-Wilk of each strategy's totals (`qopt.statistics.summarize`).

    Parameters
    ----------
    requests : of `read_logs`.

    Returns
    -------
    The table; None where a strategy has fewer than three requests.
    """
    if requests.groupby("strategy").size().min() < SMALLEST:
        return None
    return summarize(requests, group="strategy", value="total")

"""Predicted latencies beside measured ones: errors, ranks, and how far the recommended strategy is above the best."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.comparison.latencies import PARTS, medians
from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, printable, shown
from qopt.core.reading import read_json

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 1000
"""Bootstrap samples of the interval of a rank correlation."""


SPELLED = '{"STRATEGY": {"total": ..., "compute": ..., "link": ...}}, the strategy as the log calls it'


def read_predictions(path: str | os.PathLike[str]) -> dict[str, dict[str, float]]:
    """Predicted seconds by strategy.

    Parameters
    ----------
    path : JSON: ``{"STRATEGY": SECONDS}``, or instead of the seconds ``{"total": SECONDS, "compute": SECONDS, "link":
        SECONDS}``, or what ``qopt strategies --json`` prints.

    Raises
    ------
    InputError
        Something else.
    """
    data = read_json(path)
    if isinstance(data, list):
        data = {str(r.get("strategy")): r.get("latency") for r in data if isinstance(r, dict)}
    if not isinstance(data, dict) or not data:
        raise InputError(os.fspath(path), shown(data), "seconds by strategy")
    if "format" in data:
        raise InputError(os.fspath(path), shown(data["format"]), f"seconds by strategy: {SPELLED}")
    found = {}
    for name, value in data.items():
        own = value if isinstance(value, dict) else {"total": value}
        for part, seconds in own.items():
            if part not in PARTS or type(seconds) not in (int, float) or not 0 <= seconds < 1e9:
                raise InputError(f"{os.fspath(path)}: {name}.{part}", shown(seconds), f"seconds of {', '.join(PARTS)}")
        found[_plain(str(name))] = {part: float(seconds) for part, seconds in own.items()}
    return found


def _plain(name: str) -> str:
    return printable(name).replace(" split on ", " on ")


@dataclass(frozen=True)
class Agreement:
    """Prediction beside measurement.

    Attributes
    ----------
    table : a row for each strategy that is predicted: ``strategy``, then for total, compute and link, as far as there
        are predictions, ``predicted_…``, ``measured_…`` and ``error_…``, which is predicted / measured - 1.
    close : strategies within a factor of 2 of the best measured total.
    rank : Spearman's correlation of predicted and measured totals among those; None of fewer than three, or all alike.
    rank_interval : 95 %, by bootstrap over the requests of each strategy; None likewise.
    best, recommended : the strategies of the least measured, and of the least predicted total.
    excess : how much the recommended one's measured total is above the best, 0.1 for 10 %.
    """

    table: pd.DataFrame
    close: tuple[str, ...]
    rank: float | None
    rank_interval: tuple[float, float] | None
    best: str
    recommended: str
    excess: float


def agreement(requests: pd.DataFrame, predictions: Mapping[str, Mapping[str, float]], *, seed: int = 0) -> Agreement:
    """Prediction beside measurement for the strategies that have both.

    Parameters
    ----------
    requests : of `read_logs`.
    predictions : of `read_predictions`: seconds by strategy and part.
    seed : of the bootstrap.

    Raises
    ------
    InputError
        No strategy has both a measured and a predicted total.
    """
    import pandas as pd

    table = medians(requests)
    known = {str(n): predictions[_plain(str(n))] for n in table["strategy"] if _plain(str(n)) in predictions}
    known = {name: own for name, own in known.items() if "total" in own}
    if not known:
        there = f"none of {', '.join(map(str, table['strategy']))}"
        raise InputError("predictions", there, "a predicted total for a strategy of the logs, by its name there")
    records: list[dict[str, Any]] = []
    for row in table[table["strategy"].isin(list(known))].to_dict("records"):
        own: dict[str, Any] = {"strategy": row["strategy"]}
        for part in ("total", "compute", "link"):
            if part in known[row["strategy"]]:
                said, measured = known[row["strategy"]][part], row[part]
                error = said / measured - 1 if measured > 0 else float("nan")
                own |= {f"predicted_{part}": said, f"measured_{part}": measured, f"error_{part}": error}
        records.append(own)
    found = pd.DataFrame(records)
    least = found["measured_total"].min()
    near = found[found["measured_total"] <= 2 * least]
    best, chosen = (min(records, key=lambda row: row[f"{kind}_total"]) for kind in ("measured", "predicted"))
    rank = _rank(near["predicted_total"].to_numpy(float), near["measured_total"].to_numpy(float))
    interval = None
    if rank is not None:
        rng = np.random.default_rng(seed)
        samples = [requests.loc[requests["strategy"] == n, "total"].to_numpy(float) for n in near["strategy"]]
        drawn = np.array([np.median(rng.choice(sample, (DRAWS, sample.size)), axis=1) for sample in samples])
        ranks = [_rank(near["predicted_total"].to_numpy(float), drawn[:, i]) for i in range(DRAWS)]
        low, high = np.quantile([r for r in ranks if r is not None], [0.025, 0.975])
        interval = float(low), float(high)
    return Agreement(
        found,
        tuple(near["strategy"]),
        rank,
        interval,
        str(best["strategy"]),
        str(chosen["strategy"]),
        float(chosen["measured_total"] / least - 1),
    )


def _rank(left: FloatArray, right: FloatArray) -> float | None:
    """Spearman's correlation; None where it says nothing."""
    import pandas as pd

    if left.size < 3 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    return float(np.corrcoef(pd.Series(left).rank(), pd.Series(right).rank())[0, 1])

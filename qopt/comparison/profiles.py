"""Performance profiles, and what they cannot say.

Dolan and More, Benchmarking optimization software with performance profiles, Mathematical Programming 91 (2002); the
limits are shown by Gould and Scott, A note on performance profiles for benchmarking software, ACM Transactions on
Mathematical Software 43 (2016).
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from qopt.comparison.times import Times
from qopt.core.arrays import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

FACTORS = (1.0, 1.5, 2.0, 5.0, 10.0)
"""Where `switches` looks at profiles."""


def profile(found: Times) -> pd.DataFrame:
    """Performance profiles (Dolan and More, 2002): the share of instances solved within a factor of the fastest.

    Parameters
    ----------
    found : of `times`.

    Returns
    -------
    pandas.DataFrame
        ``run, factor, share``: where each run's step function rises, and to what. What was not solved is in no share.
        An instance that nobody solved counts among the instances.
    """
    import pandas as pd

    factor = _factors(found.seconds, found.solved)
    parts = []
    for r, run in enumerate(found.runs):
        reached = np.sort(factor[np.isfinite(factor[:, r]), r])
        at, count = np.unique(reached, return_counts=True)
        parts.append(pd.DataFrame({"run": run, "factor": at, "share": np.cumsum(count) / len(factor)}))
    return pd.concat(parts, ignore_index=True)


def _factors(seconds: FloatArray, solved: BoolArray) -> FloatArray:
    """(I, R) each time over the least of those who solved the instance; infinite where not solved."""
    counted = np.where(solved, seconds, np.inf)
    least = counted.min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(solved, counted / least, np.inf)


def switches(found: Times, factors: tuple[float, ...] = FACTORS) -> pd.DataFrame:
    """Pairs whose order in the profile turns round when a third run is left out (Gould and Scott, 2016).

    Parameters
    ----------
    found : of `times`.
    factors : (F,) where the profiles are compared, >= 1.

    Returns
    -------
    pandas.DataFrame
        ``left, right, removed, factor, left_share, right_share, left_alone, right_alone``: shares with and without the
        removed run; with it left is above right, without it below. Empty: no pair turns.
    """
    import pandas as pd

    columns = ["left", "right", "removed", "factor", "left_share", "right_share", "left_alone", "right_alone"]

    def shares(kept: list[int]) -> FloatArray:
        factor = _factors(found.seconds[:, kept], found.solved[:, kept])
        return np.array([(factor <= at * (1 + 1e-12)).mean(axis=0) for at in factors])

    everybody = list(range(len(found.runs)))
    together = shares(everybody)
    records = []
    for removed in everybody:
        kept = [r for r in everybody if r != removed]
        if len(kept) < 2:
            continue
        alone = shares(kept)
        for (i, a), (j, b) in combinations(enumerate(kept), 2):
            for f, at in enumerate(factors):
                before, after = together[f, a] - together[f, b], alone[f, i] - alone[f, j]
                if before * after < 0:
                    first = ((a, i), (b, j)) if before > 0 else ((b, j), (a, i))
                    (left, left_at), (right, right_at) = first
                    names = (found.runs[left], found.runs[right], found.runs[removed], at)
                    values = (together[f, left], together[f, right], alone[f, left_at], alone[f, right_at])
                    records.append(dict(zip(columns, (*names, *map(float, values)), strict=True)))
    return pd.DataFrame(records, columns=columns)


def statement(found: Times) -> list[str]:
    """What a performance profile of these times says, and what it cannot, in sentences.

    Parameters
    ----------
    found : of `times`.
    """
    n, runs = len(found.instances), len(found.runs)
    lines = [
        f"{n} instance{'s' * (n != 1)}, {runs} runs. A curve at factor 1 is the share of instances on which the run "
        "was the fastest; far to the right, the share that it solved.",
        "Curves are measured against the fastest of these runs: they rank a run against the best of all, and no two "
        "runs against each other. Add or remove a run and all curves move.",
    ]
    if found.left_out:
        lines.append(f"{found.left_out} instances are left out: not every run could be put to them.")
    nobody = int((~found.solved.any(axis=1)).sum())
    if nobody:
        lines.append(f"Nobody solved {nobody} of the instances: no curve can rise above {1 - nobody / n:.1%}.")
    if n < 20:
        lines.append(f"One instance is a step of {1 / n:.1%}: differences of a few steps are chance.")
    turned = switches(found)
    if len(turned):
        lines.append(_turn(turned))
    elif runs > 2:
        lines.append(
            "Leaving out any one run turns round no pair at factors " + ", ".join(f"{at:g}" for at in FACTORS) + "."
        )
    lines += [
        f"{run}: {count} wrong claim{'s' * (count != 1)}, counted as not solved."
        for run, count in zip(found.runs, found.wrong, strict=True)
        if count
    ]
    return lines


def _turn(turned: pd.DataFrame) -> str:
    """The first pair that turns round, and how many more do."""
    worst, more = turned.iloc[0], len(turned) - 1
    with_it = f"({worst['left_share']:.1%}, {worst['right_share']:.1%})"
    without = f"({worst['left_alone']:.1%}, {worst['right_alone']:.1%})"
    return (
        f"Within a factor of {worst['factor']:g}, {worst['left']} is above {worst['right']} {with_it}; without "
        f"{worst['removed']} it is below {without}" + (f"; {more} more such turn{'s' * (more != 1)}." if more else ".")
    )

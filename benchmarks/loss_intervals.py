"""How often the interval of a loss, and calibration as a whole, promise too much.

    python benchmarks/loss_intervals.py [--draws N]

First the upper end of `qopt.measuring.losses` alone: given the shares of examples lost and gained, how probable is an
upper end below the loss. Then the search of `qopt.measuring.calibration`: limits with a plan each (more can only fail
sooner) are tested from the smallest upwards; it misses where the plan of the limit kept loses more than the level.
How often at most is summed exactly; draws show how far below that it stays, with the noise of draws (a standard
deviation of 0.16 % in one setting with 10 000, and the largest of 540 settings lies two to three above).
Plans at neighbouring limits change the same examples, or others: the dependence is not known, so both are tried. 2.5 %
is promised each time.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.measuring.calibration import RATIO, before_first_failure
from qopt.measuring.losses import exact_upper, least_examples, refuted

LOSSES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
SIZES = (50, 100, 200, 500, 1000, 2000, 5000, 10_000)
DISCORDANCE = (1.0, 1.5, 2.0, 3.0, 4.0)
"""Share of examples that change, as a multiple of the loss."""

STEPS = np.arange(-12, 9)
"""Limits tried, in steps of `RATIO`; 0 is the first that must not be kept: its plan loses just more than the level."""

PROFILES = {
    "rising": RATIO ** STEPS.astype(float),
    "flat": np.where(STEPS < 0, 0.5, 1.0),
}
"""Loss over level at each limit: in proportion to the noise, or the same at every limit that must not be kept."""

JUST_MORE = 1.0 + 1e-6

NEGLIGIBLE = 1e-12
"""Probability of a number of changes below which it is left out."""


@dataclass(frozen=True)
class Case:
    """A setting and the share of draws in which it misses."""

    loss: float
    n: int
    discordance: float
    how: str
    missed: float


def shares(loss: Any, discordance: float) -> tuple[Any, Any]:
    """Shares of examples lost and gained."""
    return loss * (discordance + 1.0) / 2.0, loss * (discordance - 1.0) / 2.0


def missed(loss: float, n: int, discordance: float) -> tuple[float, float]:
    """Probability that the upper end lies below the loss, of the score and of the exact interval: summed, not drawn."""
    from scipy.stats import binom

    lost, gained = shares(loss, discordance)
    score = exact = 0.0
    changed = np.arange(n + 1)
    for k, probability in zip(changed, binom.pmf(changed, n, lost + gained), strict=True):
        if probability > NEGLIGIBLE:
            b = np.arange(k + 1)
            weights = probability * binom.pmf(b, k, lost / (lost + gained))
            score += float(weights @ refuted(b, k - b, n, loss))
            exact += float(weights @ (exact_upper(b, k - b, n) <= loss))
    return score, exact


def intervals() -> Iterator[Case]:
    """The upper end alone."""
    for loss, n, discordance in itertools.product(LOSSES, SIZES, DISCORDANCE):
        for how, share in zip(("score", "exact"), missed(loss, n, discordance), strict=True):
            yield Case(loss, n, discordance, how, share)


def counts(
    rng: np.random.Generator, n: int, lost: np.ndarray, gained: np.ndarray, draws: int, same: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(draws, plans) examples lost and gained by plans of rising shares; the same examples, or others for each plan."""
    if not same:
        found = np.stack(
            [rng.multinomial(n, [b, c, 1.0 - b - c], size=draws) for b, c in zip(lost, gained, strict=True)], axis=1
        )
        return found[..., 0], found[..., 1]
    cells = [*np.diff(lost, prepend=0.0), *np.diff(gained, prepend=0.0)]
    found = rng.multinomial(n, [*cells, max(0.0, 1.0 - sum(cells))], size=draws)
    return found[:, : len(lost)].cumsum(axis=1), found[:, len(lost) : 2 * len(lost)].cumsum(axis=1)


def first_limits() -> Iterator[Case]:
    """Calibration as a whole misses no more often than this, exactly.

    Whatever the limits below and however plans depend on each other: a limit that must not be kept is kept only where
    the first such limit passes its test, whose plan loses just more than the level.
    """
    for level, n, discordance in itertools.product(LOSSES, SIZES, DISCORDANCE):
        if least_examples(level) <= n:
            yield Case(level, n, discordance, "upwards, whatever else", missed(level * JUST_MORE, n, discordance)[0])


def searches(draws: int, seed: int = 0) -> Iterator[Case]:
    """The search: fixed-sequence testing; and the largest limit that passes, alone or with the next two below it."""
    rng = np.random.default_rng(seed)
    for level, n, discordance, profile, same in itertools.product(LOSSES, SIZES, DISCORDANCE, PROFILES, (True, False)):
        if least_examples(level) > n:
            continue  # refused
        lost, gained = shares(level * PROFILES[profile] * JUST_MORE, discordance)
        passed = refuted(*counts(rng, n, lost, gained, draws, same), n, level).T
        good = int(np.sum(STEPS < 0))
        three = passed.copy()
        three[2:] &= passed[1:-1] & passed[:-2]
        three[:2] = False
        ways = {
            "upwards": before_first_failure(passed),
            "downwards": _largest(passed),
            "downwards, three in a row": _largest(three),
        }
        for way, kept in ways.items():
            yield Case(level, n, discordance, f"{way}; {profile}", float((kept > good).mean()))


def _largest(passed: np.ndarray) -> np.ndarray:
    """(draws,) one more than the last limit that passes, from below; 0 where none does."""
    last = len(passed) - np.argmax(passed[::-1], axis=0)
    return np.where(passed.any(axis=0), last, 0)


def summary(cases: list[Case]) -> list[str]:
    """For each way, the share missed: the largest and the mean over the settings."""
    lines = []
    for how in dict.fromkeys(case.how for case in cases):
        here = [case for case in cases if case.how == how]
        worst = max(here, key=lambda case: case.missed)
        lines.append(
            f"{how:34} {len(here):4} settings, missed at most {worst.missed:7.2%} (loss {100 * worst.loss:g} points, "
            f"n {worst.n}, discordance {worst.discordance:g}), mean {np.mean([case.missed for case in here]):6.2%}"
        )
    return lines


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=10_000)
    draws = parser.parse_args().draws
    print("upper end of the loss, exactly")
    print("\n".join(summary(list(intervals()))))
    print("calibration, search included: at most, exactly")
    print("\n".join(summary(list(first_limits()))))
    print(f"calibration, search included, {draws} draws each")
    print("\n".join(summary(list(searches(draws)))))


if __name__ == "__main__":
    main()

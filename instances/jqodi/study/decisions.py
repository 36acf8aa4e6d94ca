"""What the model decides, by listing every choice: Optimum, JQODI (Algorithm 4), Full and Minimal.

Everything is for many parameter sets at once. Epochs at 32 and at 1 bit are not printed; what is assumed of them is
`FULL_EPOCHS` and `MINIMAL_EPOCHS`, and what the printed decision needs of the other models comes out as a number
(`needed_epochs`), not as an assumption.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from data import PUBLISHED_BITS, Choice, decision, epochs, time_limit
from model import Choices, Floats, choices, epoch
from numpy.typing import NDArray
from profiles import PROFILES, Profile

FULL_EPOCHS = {"data1": 4, "data2": 33}
"""Assumed epochs of the printed Full Model at 32 bits: VGG-like with Data 1; LeNet-like with Data 2, as
many as at 8 bits."""

MINIMAL_EPOCHS = {"data1": None, "data2": 15}
"""Assumed epochs at 1 bit of the printed Minimal Model: never (Data 1, as printed), and Data 2's VGG-like."""


@dataclass(frozen=True)
class Listed:
    """Choices with their epochs: the costs of one epoch are (sets, choices)."""

    choices: Choices
    expected: Floats
    robust: Floats
    limit: float

    def totals(self, z: Floats) -> tuple[Floats, Floats]:
        """Seconds and joules of K^exp epochs."""
        seconds, joules = epoch(z, self.choices.work)
        return seconds * self.expected, joules * self.expected


def published(data: str, profiles: dict[str, Profile] = PROFILES) -> Listed:
    """Every choice of the printed bit-widths whose loss is ever reached."""
    counts = {(m, q): epochs(data, m, q) for m in PROFILES for q in PUBLISHED_BITS}
    bits = {m: tuple(q for q in PUBLISHED_BITS if counts[m, q] is not None) for m in PROFILES}
    found = choices(data, bits, profiles)
    pairs = [counts[c.model, c.bits] or (0, 0) for c in found.listed]
    expected, robust = np.array(pairs, dtype=float).T
    return Listed(found, expected, robust, time_limit(data))


def optimum(listed: Listed, z: Floats) -> NDArray[np.intp]:
    """Least energy within T_max; -1 where nothing fits."""
    seconds, joules = listed.totals(z)
    return _least(np.where(seconds <= listed.limit, joules, np.inf))


def _least(cost: Floats) -> NDArray[np.intp]:
    best = np.argmin(cost, axis=-1)
    return np.where(np.isfinite(np.take_along_axis(cost, best[..., None], axis=-1)[..., 0]), best, -1)


def scores(listed: Listed, z: Floats) -> Floats:
    """Algorithm 4's score with risk 1: energy of K^rob epochs, over T_exp / T_rob; infinite where T_rob > T_max."""
    seconds, joules = epoch(z, listed.choices.work)
    score = joules * listed.robust * listed.robust / listed.expected
    return np.where(seconds * listed.robust <= listed.limit, score, np.inf)


def risk_needed(listed: Listed, z: Floats, chosen: Choice) -> tuple[Floats, Floats]:
    """Largest risk of the chosen model and bit-width, the others' being 1, with which Algorithm 4 takes them.

    The second answer holds it against the other widths of the same model alone. 0 where the choice does not fit or
    another cut or server of it scores better.
    """
    score, at = scores(listed, z), listed.choices.at(chosen)
    here = np.array([(c.model, c.bits) == (chosen.model, chosen.bits) for c in listed.choices.listed])
    same = np.array([c.model == chosen.model for c in listed.choices.listed])
    mine = score[..., at]
    first = np.isfinite(mine) & (mine <= score[..., here].min(axis=-1))
    found = []
    for others in (~here, ~here & same):
        best = score[..., others].min(axis=-1)
        with np.errstate(invalid="ignore"):
            found.append(np.where(first, best / mine, 0.0))
    return found[0], found[1]


def at_width(data: str, bits: int) -> Choices:
    """Every choice at one bit-width."""
    return choices(data, dict.fromkeys(PROFILES, (bits,)))


def full_right(data: str, z: Floats, count: int | None = None) -> NDArray[np.bool_]:
    """Whether cut and server of the printed Full Model are the best of its model, with an assumed K.

    T_max counts where anything of this model fits it, and does not otherwise.
    """
    chosen, found = decision(data, "full"), at_width(data, 32)
    own = np.array([c.model == chosen.model for c in found.listed])
    seconds, joules = epoch(z, found.work[own])
    fits = seconds * (count or FULL_EPOCHS[data]) <= time_limit(data)
    cost = np.where(fits | ~fits.any(axis=-1, keepdims=True), joules, np.inf)
    return np.asarray(_least(cost) == [c for c in found.listed if c.model == chosen.model].index(chosen))


def needed_epochs(data: str, z: Floats, count: int | None = None) -> dict[str, Floats]:
    """Fewest epochs at 32 bits that the other models must need, for the printed Full Model to be the cheapest."""
    chosen, found = decision(data, "full"), at_width(data, 32)
    joules = epoch(z, found.work)[1]
    total = joules[..., found.at(chosen)] * (count or FULL_EPOCHS[data])
    needed = {}
    for name in PROFILES:
        if name != chosen.model:
            own = np.array([c.model == name for c in found.listed])
            needed[name] = np.ceil(total / joules[..., own].min(axis=-1))
    return needed


def minimal_choice(data: str, z: Floats) -> tuple[Choices, NDArray[np.intp]]:
    """Least energy of an epoch at 1 bit; Data 2's within T_max for the assumed K, and of its model alone."""
    found, count = at_width(data, 1), MINIMAL_EPOCHS[data]
    seconds, joules = epoch(z, found.work)
    if count is None:
        return found, _least(joules)
    own = np.array([c.model == decision(data, "minimal").model for c in found.listed])
    return found, _least(np.where(own & (seconds * count <= time_limit(data)), joules, np.inf))


def minimal_right(data: str, z: Floats) -> NDArray[np.bool_]:
    """Whether `minimal_choice` is the printed one."""
    found, best = minimal_choice(data, z)
    return np.asarray(best == found.at(decision(data, "minimal")))

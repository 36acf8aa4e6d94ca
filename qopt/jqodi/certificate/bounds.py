"""Lower bounds for one candidate of a JQODI problem (a model at a bit-width): proofs checked, duals, enumeration.

For any multiplier lam >= 0 a plan within T_max costs at least

    min over plans of (energy + lam time)  -  lam T_max,

where the minimum is easy: the best state of every epoch, or a shortest path by dynamic programming. A witness divides
the plans until each part has such a bound; it is checked in exact arithmetic (`qopt.kernels.checker`). The duals
here need no witness. Their sums have no negative term, so rounding is relative, and `MARGIN` takes it off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import ENDLESS, Clock
from qopt.core.display import Brief
from qopt.core.limits import limit_with_slack, within
from qopt.jqodi.certificate.arrays import Arrays, Change
from qopt.jqodi.certificate.instances import knapsack, layered
from qopt.kernels import checker
from qopt.kernels.checker import Refused

Bound = Fraction | float

MARGIN = 2.0**-50
"""For each epoch, twice what a weighted sum rounds by, relative."""

TINY = 1e-280
"""Sums below this may have lost digits to underflow: they count as 0."""

TREE_ARCS, TREE_WORK = 1_000_000, 30_000_000
"""Arcs, and arcs times nodes, of a tree that is followed: about ten seconds at most."""

TREE_RATE = 1_000_000
"""Arcs times nodes that are followed in a second, on a slow machine: what takes longer than there is time is left."""

TREE_COLUMNS = 2_000_000
"""Columns of a knapsack whose tree is followed."""

DUAL_WORK = 1_000_000_000
"""Numbers that the ascent of one dual may look at."""

CLOSE = 1e-6
"""Relative: a dual that cannot reach what is asked for is raised no further than this below its maximum."""

LARGEST = 1e290
"""Weighted sums stay below this, so that nothing overflows."""


# --- trees --------------------------------------------------------------------------------------------------------


def tree_work(candidate: Arrays, kind: str, tree: object) -> float:
    """How much there is to do to check a tree; infinite where it is too much."""
    nodes = len(tree) if isinstance(tree, list) else 1
    if kind == "mckp":
        size = candidate.epochs * candidate.states
        return float(size + nodes * candidate.epochs) if size <= TREE_COLUMNS else math.inf
    size = candidate.epochs * candidate.states**2
    work = float(size * (10 + nodes))
    return work if size <= TREE_ARCS and work <= TREE_WORK else math.inf


def tree_bound(candidate: Arrays, limit: float, kind: str, tree: object, target: Fraction | None) -> Bound:
    """What a tree proves of a candidate that is possible in every epoch.

    Parameters
    ----------
    kind : ``mckp`` or ``rcsp``, whose columns and arcs `qopt.jqodi.certificate.instances` orders; how nodes read is
        said in `qopt.kernels.checker`, which follows them.
    target : what leaves that add up sums must reach; None: they must show that there is no plan.

    Raises
    ------
    Refused
        It is not a proof of anything.
    """
    problem: checker.Knapsack | checker.Path
    if kind == "mckp":
        if candidate.changing:
            raise Refused("a tree of kind mckp, and changing costs")
        problem = checker.Knapsack(knapsack(candidate, limit))
    else:
        problem = checker.Path(layered(candidate, limit))
    bound = checker.tree_bound(problem, tree, target)
    if bound is None:
        return math.inf
    return min(bound, Fraction(LARGEST)) if bound > -LARGEST else -math.inf  # a multiplier may be too large for floats


def first_multiplier(tree: object) -> float | None:
    """The multiplier of a tree's first leaf, as a guess; None if there is none to use."""
    for node in tree if isinstance(tree, list) else ():
        if isinstance(node, list) and len(node) == 3 and node[0] == "leaf" and node[1] == 1:
            given = node[2]
            return float(given) if type(given) in (int, float) and 0 <= given <= 1e300 else None
    return None


# --- duals --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Dual(Brief):
    """A lower bound, and the multiplier that gives it."""

    bound: Bound
    multiplier: float


def dual(
    candidate: Arrays, limit: float, target: Fraction | None, guess: float | None = None, clock: Clock = ENDLESS
) -> Dual:
    """The best Lagrangian bound on a candidate's plans: changes are left out at first, then priced where they cost.

    Parameters
    ----------
    target : no more than this is needed; None for infinity.
    guess : a multiplier to begin with.
    clock : ends the ascent after its first step; any multiplier's bound is one.
    """
    if not candidate.possible:
        return Dual(math.inf, 0.0)
    free = replace(candidate, switch_energy=None, switch_time=None)
    found = _ascend(Epochs(free), limit, target, guess, clock)
    reached = found.bound == math.inf or (target is not None and found.bound >= target)
    if not candidate.changing or reached or clock.over:
        return found
    better = _ascend(Paths(candidate), limit, target, found.multiplier if guess is None else guess, clock)
    return better if better.bound >= found.bound else found


def _ascend(relaxed: Epochs | Paths, limit: float, target: Fraction | None, guess: float | None, clock: Clock) -> Dual:
    """Maximise over the multiplier: next is where the lines of a plan that is fast enough and one that is not cross."""
    candidate, room = relaxed.candidate, limit_with_slack(limit)
    _, states = relaxed.least(0.0, 1.0)
    if relaxed.too_slow(states, limit):
        return Dual(math.inf, math.inf)
    fits, heavy = candidate.totals(states), (0.0, -math.inf)
    best, lam = Dual(-math.inf, 0.0), guess or 0.0
    work = relaxed.work
    while work < DUAL_WORK and lam * relaxed.slowest < LARGEST:
        work += relaxed.work
        value, states = relaxed.least(1.0, lam)
        bound = Fraction(lowered(candidate, value)) - Fraction(lam) * Fraction(room)
        if bound > max(best.bound, -LARGEST):  # far below all plans, and too large for a float
            best = Dual(bound, lam)
        if clock.over or (target is not None and best.bound >= target):
            break
        line = candidate.totals(states)
        if line[1] <= room:
            if lam == 0.0:
                break
            before, fits = fits, line
        else:
            before, heavy = heavy, line
        if heavy[1] == -math.inf:
            lam = 0.0
            continue
        crossing = (fits[0] - heavy[0]) / (heavy[1] - fits[1]) if heavy[1] > fits[1] else 0.0
        if not crossing > 0.0 or crossing == lam or line == before:
            break
        top = fits[0] + crossing * (fits[1] - room)  # the bound rises no higher
        if (target is None or top < target) and top - best.bound <= CLOSE * abs(top):
            break
        lam = crossing
    return best


def lowered(candidate: Arrays, value: float) -> float:
    """A sum over the epochs, less what it may have been rounded up by."""
    return 0.0 if value < TINY else value * (1.0 - MARGIN * (candidate.epochs + 4))


class Epochs:
    """Plans whose epochs are free of each other."""

    def __init__(self, candidate: Arrays) -> None:
        self.candidate, self.work = candidate, candidate.time.size
        self.slowest = _slowest(candidate)
        self._energy = np.where(candidate.there, candidate.energy, 0.0)
        self._time = np.where(candidate.there, candidate.time, 0.0)

    def least(self, share: float, lam: float) -> tuple[float, IntArray]:
        """The least of share energy + lam time, and its states (K,)."""
        candidate = self.candidate
        length = np.where(candidate.there, share * self._energy + lam * self._time, np.inf)
        states = np.argmin(length, axis=1)
        chosen = length[np.arange(candidate.epochs), states]
        return math.fsum([share * candidate.setup_energy + lam * candidate.setup_time, *chosen.tolist()]), states

    def too_slow(self, fastest: IntArray, limit: float) -> bool:
        """Whether no plan keeps T_max: every one takes at least as long as the fastest, epoch by epoch."""
        return not within(self.candidate.terms(fastest)[1], limit)


class Paths:
    """Plans whose changes cost.

    A change costs a server's part plus a cut's, so the shortest way on is found over one and then the other: (X + J) S
    numbers a layer in place of S^2.
    """

    def __init__(self, candidate: Arrays) -> None:
        self.candidate, self.slowest = candidate, _slowest(candidate)
        self._energy = np.where(candidate.there, candidate.energy, 0.0)
        self._time = np.where(candidate.there, candidate.time, 0.0)
        servers, cuts = len(candidate.servers), len(candidate.cuts)
        free = Change(np.zeros((servers, servers)), np.zeros((cuts, cuts)))
        self._switch_energy, self._switch_time = candidate.switch_energy or free, candidate.switch_time or free
        self.work = candidate.time.size * (servers + cuts)

    def suffixes(self, share: float, lam: float) -> FloatArray:
        """(K, S) least of share energy + lam time from each state on, that state included; quantizing left out."""
        candidate = self.candidate
        lengths = np.where(candidate.there, share * self._energy + lam * self._time, np.inf)
        for k in range(candidate.epochs - 2, -1, -1):
            counts = share if k + 1 < candidate.counted else 0.0
            lengths[k] += self._shortest(lengths[k + 1], counts, lam)
        return lengths

    def prefixes(self, share: float, lam: float) -> FloatArray:
        """(K, S) the same up to each state, that state left out."""
        candidate = self.candidate
        lengths = np.where(candidate.there, share * self._energy + lam * self._time, np.inf)
        reached = np.zeros_like(lengths)
        for k in range(1, candidate.epochs):
            counts = share if k < candidate.counted else 0.0
            reached[k] = self._shortest(reached[k - 1] + lengths[k - 1], counts, lam, back=True)
        return reached

    def least(self, share: float, lam: float) -> tuple[float, IntArray]:
        """The least of share energy + lam time, and its states (K,)."""
        candidate, lengths = self.candidate, self.suffixes(share, lam)
        states, onto = np.zeros(candidate.epochs, dtype=np.int64), np.arange(candidate.states)
        states[0] = int(np.argmin(lengths[0]))
        for k in range(1, candidate.epochs):
            counts, at = share if k < candidate.counted else 0.0, states[k - 1]
            joules, seconds = self._switch_energy.between(at, onto), self._switch_time.between(at, onto)
            states[k] = int(np.argmin(counts * joules + lam * seconds + lengths[k]))
        return share * candidate.setup_energy + lam * candidate.setup_time + float(lengths[0, states[0]]), states

    def too_slow(self, fastest: IntArray, limit: float) -> bool:
        """Whether no plan keeps T_max, beyond rounding."""
        return lowered(self.candidate, self.candidate.totals(fastest)[1]) > limit_with_slack(limit)

    def _shortest(self, ends: FloatArray, share: float, lam: float, back: bool = False) -> FloatArray:
        """(S,) least of a change from each state (back: to each) and the length at its other end."""
        of_server = share * self._switch_energy.of_server + lam * self._switch_time.of_server
        of_cut = share * self._switch_energy.of_cut + lam * self._switch_time.of_cut
        if back:
            of_server, of_cut = of_server.T, of_cut.T
        grid = ends.reshape(len(of_server), len(of_cut))
        grid = (grid[:, None, :] + of_cut[None]).min(axis=2)
        shortest: FloatArray = (of_server[:, :, None] + grid[None]).min(axis=1).ravel()
        return shortest


def _slowest(candidate: Arrays) -> float:
    """More than any plan takes, in seconds."""
    most = np.where(candidate.there, candidate.time, 0.0).max(axis=1).sum() + candidate.setup_time
    return float(most) + candidate.epochs * (0.0 if candidate.switch_time is None else candidate.switch_time.largest)

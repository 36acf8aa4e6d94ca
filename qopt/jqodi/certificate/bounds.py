"""Lower bounds for one candidate of a JQODI problem (a model at a bit-width): proofs checked, duals, enumeration.

For any multiplier lam >= 0 a plan within T_max costs at least

    min over plans of (energy + lam time)  -  lam T_max,

where the minimum is easy: the best state of every epoch, or a shortest path by dynamic programming. A witness divides
the plans until each part has such a bound; it is checked in exact arithmetic (`qopt.kernels.checker`). The duals
here need no witness. Their sums have no negative term, so rounding is relative, and `MARGIN` takes it off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import QoptError
from qopt.core.limits import limit_with_slack, within
from qopt.jqodi.reductions import path_graph, possible, schedule_instance
from qopt.jqodi.terms import Candidate, terms_of, totals
from qopt.kernels import checker, exchange

Bound = Fraction | float

MARGIN = 2.0**-50
"""For each epoch, twice what a weighted sum rounds by, relative."""

TINY = 1e-280
"""Sums below this may have lost digits to underflow: they count as 0."""

TREE_ARCS, TREE_WORK = 1_000_000, 30_000_000
"""Arcs, and arcs times nodes, of a tree that is followed: about ten seconds at most."""

TREE_COLUMNS = 2_000_000
"""Columns of a knapsack whose tree is followed."""

DUAL_WORK = 1_000_000_000
"""Numbers that the ascent of one dual may look at."""

CLOSE = 1e-6
"""Relative: a dual that cannot reach what is asked for is raised no further than this below its maximum."""

LARGEST = 1e290
"""Weighted sums stay below this, so that nothing overflows."""


class Refused(QoptError):
    """What is wrong with a witness, in a line."""


# --- trees --------------------------------------------------------------------------------------------------------


def tree_work(own: Candidate, kind: str, tree: Any) -> float:
    """How much there is to do to check a tree; infinite where it is too much."""
    nodes = len(tree) if isinstance(tree, list) else 1
    if kind == "mckp":
        size = own.epochs * len(own.states)
        return float(size + nodes * own.epochs) if size <= TREE_COLUMNS else math.inf
    size = own.epochs * len(own.states) ** 2
    work = float(size * (10 + nodes))
    return work if size <= TREE_ARCS and work <= TREE_WORK else math.inf


def tree_bound(own: Candidate, limit: float, kind: str, tree: Any, target: Fraction | None) -> Bound:
    """What a tree proves of a candidate that is possible in every epoch.

    Parameters
    ----------
    kind : ``mckp`` (`qopt.jqodi.reductions.schedule_instance`) or ``rcsp`` (`path_graph`); how nodes read is said in
        `qopt.kernels.checker`, whose functions follow them.
    target : what leaves that add up sums must reach; None: they must show that there is no plan.

    Raises
    ------
    Refused
        It is not a proof of anything.
    """
    problem: checker.Knapsack | checker.Path
    start: Any
    try:
        if kind == "mckp":
            if own.switch_energy is not None or own.switch_time is not None:
                raise Refused("a tree of kind mckp, and changing costs")
            instance = schedule_instance(own, limit)
            problem = checker.Knapsack(exchange.mckp_instance(instance.cost, instance.weight, limit))
            start = tuple((1 << width) - 1 for width in problem.widths)
        else:
            problem = checker.Path(exchange.rcsp_instance(path_graph(own), limit))
            start = problem.start
        needed = None if target is None else math.ceil(target * (1 << problem.cost.shift))
        least: list[int] = []

        def leaf(node: Sequence[Any], state: Any) -> None:
            if node[0] != "leaf":
                if needed is None:
                    raise Refused(f"{node[0]}: it does not show that there is no plan")
                least.append(problem.other(node, state, needed))
                return
            prices = problem.prices(node)
            found = problem.least(prices, state)
            if found is not None and node[1] == 1:
                least.append(problem.cost.up(found - prices.constant, prices.shift))
            elif found is not None and found <= prices.constant:
                raise Refused("a ray that proves nothing")

        checker.walk(tree, start, problem.split, leaf)
    except checker._Refused as why:
        raise Refused(str(why)) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Refused(f"malformed ({type(error).__name__})") from None
    if not least:
        return math.inf
    bound = Fraction(min(least), 1 << problem.cost.shift)
    return min(bound, Fraction(LARGEST)) if bound > -LARGEST else -math.inf  # a multiplier may be too large for floats


def first_multiplier(tree: Any) -> float | None:
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


def dual(own: Candidate, limit: float, target: Fraction | None, guess: float | None = None) -> Dual:
    """The best Lagrangian bound on a candidate's plans: changes are left out at first, then priced where they cost.

    Parameters
    ----------
    target : no more than this is needed; None for infinity.
    guess : a multiplier to begin with.
    """
    if not possible(own):
        return Dual(math.inf, 0.0)
    free = replace(own, switch_energy=None, switch_time=None)
    found = _ascend(Epochs(free), limit, target, guess)
    changing = own.switch_energy is not None or own.switch_time is not None
    if not changing or found.bound == math.inf or (target is not None and found.bound >= target):
        return found
    better = _ascend(Paths(own), limit, target, found.multiplier if guess is None else guess)
    return better if better.bound >= found.bound else found


def _ascend(relaxed: Epochs | Paths, limit: float, target: Fraction | None, guess: float | None) -> Dual:
    """Maximise over the multiplier: next is where the lines of a plan that is fast enough and one that is not cross."""
    own, room = relaxed.own, limit_with_slack(limit)
    _, states = relaxed.least(0.0, 1.0)
    if relaxed.too_slow(states, limit):
        return Dual(math.inf, math.inf)
    fits, heavy = totals(own, states), (0.0, -math.inf)
    best, lam = Dual(-math.inf, 0.0), guess or 0.0
    work = relaxed.work
    while work < DUAL_WORK and lam * relaxed.slowest < LARGEST:
        work += relaxed.work
        value, states = relaxed.least(1.0, lam)
        bound = Fraction(lowered(own, value)) - Fraction(lam) * Fraction(room)
        if bound > max(best.bound, -LARGEST):  # far below all plans, and too large for a float
            best = Dual(bound, lam)
        if target is not None and best.bound >= target:
            break
        line = totals(own, states)
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


def lowered(own: Candidate, value: float) -> float:
    """A sum over the epochs, less what it may have been rounded up by."""
    return 0.0 if value < TINY else value * (1.0 - MARGIN * (own.epochs + 4))


class Epochs:
    """Plans whose epochs are free of each other."""

    def __init__(self, own: Candidate) -> None:
        self.own, self.work = own, own.time.size
        self.slowest = _slowest(own)
        self._there = np.isfinite(own.time)
        self._energy, self._time = np.where(self._there, own.energy, 0.0), np.where(self._there, own.time, 0.0)

    def least(self, share: float, lam: float) -> tuple[float, IntArray]:
        """The least of share energy + lam time, and its states (K,)."""
        own = self.own
        length = np.where(self._there, share * self._energy + lam * self._time, np.inf)
        states = np.argmin(length, axis=1)
        chosen = length[np.arange(own.epochs), states]
        return math.fsum([share * own.setup_energy + lam * own.setup_time, *chosen.tolist()]), states

    def too_slow(self, fastest: IntArray, limit: float) -> bool:
        """Whether no plan keeps T_max: every one takes at least as long as the fastest, epoch by epoch."""
        return not within(terms_of(self.own, fastest)[1], limit)


class Paths:
    """Plans whose changes cost.

    Where states are all pairs of server and cut, and a change costs a server's part plus a cut's, the shortest way on
    is found over one and then the other: (X + J) S numbers a layer in place of S^2.
    """

    def __init__(self, own: Candidate) -> None:
        self.own, self.slowest = own, _slowest(own)
        self._there = np.isfinite(own.time)
        self._energy, self._time = np.where(self._there, own.energy, 0.0), np.where(self._there, own.time, 0.0)
        size = (len(own.states), len(own.states))
        self._switch_energy = np.zeros(size) if own.switch_energy is None else own.switch_energy
        self._switch_time = np.zeros(size) if own.switch_time is None else own.switch_time
        self._parts = [_parts(own, matrix) for matrix in (self._switch_energy, self._switch_time)]
        apart = all(part is not None for part in self._parts)
        cuts = len({j for _, j in own.states})
        self.work = own.time.size * (cuts + size[0] // cuts if apart else size[0])

    def suffixes(self, share: float, lam: float) -> FloatArray:
        """(K, S) least of share energy + lam time from each state on, that state included; quantizing left out."""
        own = self.own
        lengths = np.where(self._there, share * self._energy + lam * self._time, np.inf)
        for k in range(own.epochs - 2, -1, -1):
            counts = share if k + 1 < own.counted else 0.0
            lengths[k] += self._shortest(lengths[k + 1], counts, lam)
        return lengths

    def prefixes(self, share: float, lam: float) -> FloatArray:
        """(K, S) the same up to each state, that state left out."""
        own = self.own
        lengths = np.where(self._there, share * self._energy + lam * self._time, np.inf)
        reached = np.zeros_like(lengths)
        for k in range(1, own.epochs):
            counts = share if k < own.counted else 0.0
            reached[k] = self._shortest(reached[k - 1] + lengths[k - 1], counts, lam, back=True)
        return reached

    def least(self, share: float, lam: float) -> tuple[float, IntArray]:
        """The least of share energy + lam time, and its states (K,)."""
        own, lengths = self.own, self.suffixes(share, lam)
        states = np.zeros(own.epochs, dtype=np.int64)
        states[0] = int(np.argmin(lengths[0]))
        for k in range(1, own.epochs):
            counts, at = share if k < own.counted else 0.0, states[k - 1]
            states[k] = int(np.argmin(counts * self._switch_energy[at] + lam * self._switch_time[at] + lengths[k]))
        return share * own.setup_energy + lam * own.setup_time + float(lengths[0, states[0]]), states

    def too_slow(self, fastest: IntArray, limit: float) -> bool:
        """Whether no plan keeps T_max, beyond rounding."""
        return lowered(self.own, totals(self.own, fastest)[1]) > limit_with_slack(limit)

    def _shortest(self, ends: FloatArray, share: float, lam: float, back: bool = False) -> FloatArray:
        """(S,) least of a change from each state (back: to each) and the length at its other end."""
        energy, time = self._parts
        if energy is None or time is None:
            change = share * self._switch_energy + lam * self._switch_time
            found: FloatArray = ((change.T if back else change) + ends).min(axis=1)
        else:
            of_server, of_cut = (share * e + lam * t for e, t in zip(energy, time, strict=True))
            if back:
                of_server, of_cut = of_server.T, of_cut.T
            grid = ends.reshape(len(of_server), len(of_cut))
            grid = (grid[:, None, :] + of_cut[None]).min(axis=2)
            found = (of_server[:, :, None] + grid[None]).min(axis=1).ravel()
        return found


def _slowest(own: Candidate) -> float:
    """More than any plan takes, in seconds."""
    most = np.where(np.isfinite(own.time), own.time, 0.0).max(axis=1).sum() + own.setup_time
    return float(most) + own.epochs * (0.0 if own.switch_time is None else float(own.switch_time.max()))


def _parts(own: Candidate, matrix: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """The server's and the cut's part of a cost of changing, if that is their sum over a grid of states."""
    servers, cuts = list(dict.fromkeys(x for x, _ in own.states)), list(dict.fromkeys(j for _, j in own.states))
    if own.states != tuple((x, j) for x in servers for j in cuts):
        return None
    of_server, of_cut = matrix[:: len(cuts), :: len(cuts)], matrix[: len(cuts), : len(cuts)]
    together = of_server[:, None, :, None] + of_cut[None, :, None, :]
    return (of_server, of_cut) if np.array_equal(together.reshape(matrix.shape), matrix) else None

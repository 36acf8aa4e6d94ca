"""The exact method on the time-energy diagram, step by step, to be read: which labels stay and why the others leave.

A label is a way from the source to a vertex with the energy e and the time t that it has taken. It leaves

    time         if t and the least time to go exceed T_max
    bound        if e and the least energy to go, or e + lam (t - T_max) and the shortest rest for the weights (1, lam),
                 are not below the energy of a plan already known; lam >= 0 is the best multiplier of T_max
    dominance    if another label at the same vertex has no more energy and no more time

What stays is extended by every arc, and completed by the rests above: a completion within T_max that is cheaper becomes
the plan to beat, and the labels on its way stay. Methods do the same on arrays (`qopt.kernels.rcsp`); here every label
is kept with its story.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from qopt.core.arguments import whole
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief, listed, number
from qopt.core.errors import InputError, shown
from qopt.core.limits import limit_with_slack
from qopt.core.reading import problem_of
from qopt.jqodi.diagram import arc, step_terms, vertex
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import path_graph, possible
from qopt.jqodi.terms import Candidate, candidates, keeps_limit, plan_of, totals
from qopt.kernels import rcsp

MAX_LABELS = 100_000
"""Labels made in all, by default."""

ROUNDING = 1e-12
"""Share by which sums may be off; time leaves room for it, and what is as cheap as the best plan up to it leaves."""

RULES = ("time", "bound", "dominance")
"""Why labels leave."""

Fate = Literal["kept", "time", "bound", "dominance"]


@dataclass(frozen=True, repr=False)
class Label(Brief):
    """A way to a vertex.

    Attributes
    ----------
    vertex : its name in `qopt.jqodi.diagram.diagram`.
    epoch : epochs done, 1..K.
    states : pairs of server and cut so far.
    energy, time : joules and seconds so far, quantizing included.
    fate : ``kept``, or why it left.
    reason : the same in a sentence, with numbers.
    """

    vertex: str
    epoch: int
    states: tuple[tuple[str, int], ...]
    energy: float
    time: float
    fate: Fate
    reason: str


@dataclass(frozen=True, repr=False)
class Walk(Brief):
    """All labels, in the order in which they are made.

    Attributes
    ----------
    labels : of every vertex; those of an epoch follow those of the epoch before.
    plan, energy : the best plan and its joules, None if there is none.
    multipliers : lam of each model and width, ``MODEL/BITS`` [J/s].
    """

    labels: tuple[Label, ...]
    plan: JqodiPlan | None
    energy: float | None
    multipliers: dict[str, float]

    def __str__(self) -> str:
        rows = [f"{fate}: {count}" for fate, count in self.counts().items()]
        return listed(f"{len(self.labels)} labels, best energy {number(self.energy)} J", rows)

    def at(self, vertex: str) -> tuple[Label, ...]:
        """Labels of one vertex."""
        return tuple(label for label in self.labels if label.vertex == vertex)

    def counts(self) -> dict[str, int]:
        """How many labels were kept, and how many left for which reason."""
        fates: list[str] = [label.fate for label in self.labels]
        return {fate: fates.count(fate) for fate in ("kept", *RULES)}

    def table(self) -> list[dict[str, object]]:
        """A row for each label, for instance for a DataFrame."""
        return [
            {
                "vertex": label.vertex,
                "epoch": label.epoch,
                "states": " ".join(f"{server}/{cut}" for server, cut in label.states),
                "energy": label.energy,
                "time": label.time,
                "fate": label.fate,
                "reason": label.reason,
            }
            for label in self.labels
        ]


@dataclass(frozen=True)
class _Way:
    """States so far, and what their sums are made of."""

    states: list[int]
    energy_terms: list[float]
    time_terms: list[float]

    @cached_property
    def energy(self) -> float:
        """Joules so far."""
        return math.fsum(self.energy_terms)

    @cached_property
    def time(self) -> float:
        """Seconds so far."""
        return math.fsum(self.time_terms)


@dataclass(frozen=True)
class _Rests:
    """Shortest rests after a state, for each epoch (K, S): length, and the state that follows (K - 1, S)."""

    length: FloatArray
    following: IntArray

    def complete(self, states: list[int], epochs: int) -> list[int]:
        """A sequence of states up to its end."""
        whole_path = list(states)
        while len(whole_path) < epochs:
            whole_path.append(int(self.following[len(whole_path) - 1, whole_path[-1]]))
        return whole_path


def labels(problem: Jqodi, *, rules: Collection[str] = RULES, max_labels: int = MAX_LABELS) -> Walk:
    """Solve a problem by labels and tell the story of each. Modes schedule and path; small problems.

    Parameters
    ----------
    rules : those by which labels leave, of `RULES`; with fewer of them more labels stay, and the answer is the same.
    max_labels : labels made, at most.

    Returns
    -------
    `Walk`: every label with its fate, and the best plan.

    Raises
    ------
    InputError
        The problem is none of this family or its mode is choice, a rule is unknown, or there are more labels.
    """
    problem = problem_of(Jqodi, problem)
    if problem.mode == "choice":
        raise InputError("problem", f"{problem.name}, of mode choice", "mode schedule or path: a choice has no labels")
    for rule in rules:
        if rule not in RULES:
            raise InputError("rules", shown(rule), ", ".join(RULES))
    walk = _Walk(problem, frozenset(rules), whole("max_labels", max_labels, 1, 10**8))
    for candidate in candidates(problem):
        if possible(candidate):
            walk.follow(candidate)
    plan = None if walk.best is None else plan_of(problem, *walk.best)
    energy = None if walk.best is None else walk.upper
    return Walk(tuple(walk.labels), plan, energy, walk.multipliers)


class _Walk:
    """The labels so far, and the plan to beat."""

    def __init__(self, problem: Jqodi, rules: frozenset[str], most: int) -> None:
        self.problem, self.rules, self.most = problem, rules, most
        self.labels: list[Label] = []
        self.best: tuple[Candidate, list[int]] | None = None
        self.upper = math.inf
        self.multipliers: dict[str, float] = {}
        self.room = limit_with_slack(problem.time_limit)

    def follow(self, candidate: Candidate) -> None:
        """All labels of one model and width."""
        lam = multiplier(problem=self.problem, candidate=candidate)
        self.multipliers[candidate.key] = lam
        least = {name: _rests(candidate, *of) for name, of in (("energy", (1.0, 0.0)), ("time", (0.0, 1.0)))}
        least["both"] = _rests(candidate, 1.0, lam)
        ways: list[_Way] = []
        for k in range(candidate.epochs):
            made = list(_extended(candidate, ways, k))
            ways = self._settled(candidate, k, made, least, lam)

    def _settled(
        self, candidate: Candidate, k: int, made: list[_Way], least: dict[str, _Rests], lam: float
    ) -> list[_Way]:
        """Labels of an epoch that stay; all are noted down."""
        if len(self.labels) + len(made) > self.most:
            raise InputError(
                "max_labels", str(self.most), f"more, for epoch {k + 1} of {candidate.key}; or a smaller problem"
            )
        for way in made:  # completions first: a plan that is found here bounds its neighbours too
            if not self._why(way, candidate, k, least, lam):
                for rest in least.values():
                    self._offer(candidate, rest.complete(way.states, candidate.epochs))
        kept: list[_Way] = []
        by_vertex: dict[int, list[_Way]] = {}
        for way in sorted(made, key=lambda w: (w.states[-1], w.energy, w.time)):
            why = self._why(way, candidate, k, least, lam)
            rivals = by_vertex.setdefault(way.states[-1], [])
            if not why:
                rival = next((r for r in rivals if r.time <= way.time), None)
                if rival is not None and "dominance" in self.rules:
                    by = " ".join(f"{server}/{cut}" for server, cut in _pairs(candidate, rival))
                    why = "dominance", f"{by} gets there with {rival.energy:.6g} J in {rival.time:.6g} s"
                else:
                    rivals.append(way)
                    kept.append(way)
            of_best = "the best plan so far goes on from here" if k + 1 < candidate.epochs else "the best plan so far"
            fate, reason = why or ("kept", of_best if self._on_best(candidate, way) else "nothing rules it out")
            at, states = vertex(candidate, k, way.states[-1]), _pairs(candidate, way)
            self.labels.append(Label(at, k + 1, states, way.energy, way.time, fate, reason))
        return kept

    def _why(
        self, way: _Way, candidate: Candidate, k: int, least: dict[str, _Rests], lam: float
    ) -> tuple[Fate, str] | None:
        """Why a label leaves for time or bound, or None."""
        state = way.states[-1]
        reach = way.time + float(least["time"].length[k, state])
        if ("time" in self.rules or k + 1 == candidate.epochs) and reach > self.room * (1.0 + ROUNDING):
            return "time", f"at least {reach:.6g} s in all, T_max is {self.problem.time_limit:g} s"
        if "bound" not in self.rules or self._on_best(candidate, way):
            return None
        ceiling = self.upper - ROUNDING * abs(self.upper) if math.isfinite(self.upper) else math.inf
        energy = way.energy + float(least["energy"].length[k, state])
        if energy >= ceiling:
            return "bound", f"at least {energy:.6g} J in all, a plan has {self.upper:.6g} J"
        both = way.energy + lam * (way.time - self.room) + float(least["both"].length[k, state])
        if both >= ceiling:
            return "bound", f"at least {both:.6g} J in all at {lam:.4g} J/s, a plan has {self.upper:.6g} J"
        return None

    def _on_best(self, candidate: Candidate, way: _Way) -> bool:
        """Whether the best plan begins like this."""
        return self.best is not None and self.best[0] is candidate and self.best[1][: len(way.states)] == way.states

    def _offer(self, candidate: Candidate, states: list[int]) -> None:
        """Take a whole plan if it is cheaper and keeps T_max."""
        energy = totals(candidate, states)[0]
        if energy < self.upper and keeps_limit(self.problem, candidate, states):
            self.best, self.upper = (candidate, states), energy


def multiplier(problem: Jqodi, candidate: Candidate) -> float:
    """The best Lagrange multiplier of T_max [J/s] for one candidate."""
    relaxed = rcsp.solve(path_graph(candidate), problem.time_limit, witness_nodes=0, max_labels=0)
    leaf = relaxed.details.get("root_leaf")
    return float(leaf[2]) if isinstance(leaf, list) and leaf[1] == 1 else 0.0


def _pairs(candidate: Candidate, way: _Way) -> tuple[tuple[str, int], ...]:
    return tuple(candidate.states[s] for s in way.states)


def _extended(candidate: Candidate, ways: list[_Way], k: int) -> Iterator[_Way]:
    """Every way one epoch on."""
    there = np.flatnonzero(np.isfinite(candidate.time[k])).tolist()
    start = _Way([], [candidate.setup_energy], [candidate.setup_time])
    for way in [start] if k == 0 else ways:
        for s in there:
            energy, time = step_terms(candidate, k, way.states[-1] if way.states else None, s)
            joules, seconds = way.energy_terms + energy, way.time_terms + time
            yield _Way([*way.states, s], joules, seconds)


def _rests(candidate: Candidate, of_energy: float, of_time: float) -> _Rests:
    """Shortest rests for weights of energy and time, backwards over the epochs."""
    epochs, states = candidate.time.shape
    length, following = np.zeros((epochs, states)), np.zeros((epochs, states), dtype=np.int64)
    for k in range(epochs - 1, 0, -1):
        for r in range(states):
            onward = np.full(states, np.inf)
            for s in np.flatnonzero(np.isfinite(candidate.time[k])).tolist():
                step = arc(candidate, k, r, s)
                onward[s] = of_energy * step["energy"] + of_time * step["time"] + length[k, s]
            following[k - 1, r] = int(np.argmin(onward))
            length[k - 1, r] = onward.min()
    return _Rests(length, following)

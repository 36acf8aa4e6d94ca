"""`jqodi-paper`: the paper's Algorithms 1-4 as printed: CreateTree, Traversal, SelectPath. A heuristic.

The diagram has K^rob epochs for each model and bit-width, and the elapsed time is part of a vertex, so it is a tree: a
vertex for each way to reach a state of an epoch within T_max. The weight of a path is the energy of quantizing and of
all K^rob epochs, changes included. Of all paths to Theta that one is taken whose score is least:

    score = weight risk / opp,   opp = T_exp / T_rob                         (Algorithm 4, lines 2-8)

T_exp is the time of the first K^exp epochs of the same path. The risk is the one in the data; where that has none and
losses are given, L_exp / L_rob of lines 5-7, each after its own K; else 1.

Followed, not mended: K^rob over K^exp counts twice, in the weight and in opp, and neither opp >= 1 nor risk >= 1 holds
as defined. Where the printed algorithm is ambiguous: T_max may be reached, the time of quantizing counts, and line 39's
Omega is Theta.

The tree has about S^K leaves. Up to `MAX_PATHS` in all it is built in full, vertices of an epoch as arrays; else, and
in mode choice, only paths of one server and cut. The message says which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray, IntArray, SmallArray
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.display import Brief
from qopt.core.limits import limit_with_slack, within
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.jqodi.losses import losses
from qopt.jqodi.models import Model, Width
from qopt.jqodi.parts import Inference
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import Candidate, candidate_at, plan_of, terms_of

MAX_PATHS = 1_000_000
"""Paths of all trees together that are listed."""

NAMED = 6
"""Models and widths without a tree that the message names."""

MOST = 691.0
"""Logarithm up to which paths are counted."""


ROUNDING = 1e-12
"""Times added up in floats may be off by this share: so much above T_max a path is still put to the exact test."""


@dataclass(frozen=True, repr=False)
class Tree(Brief):
    """One model and bit-width: its K^rob epochs, every one of which counts.

    Attributes
    ----------
    candidate : seconds and joules.
    expected : K^exp.
    risk : the factor in the score.
    """

    candidate: Candidate
    expected: int
    risk: float


@dataclass(frozen=True, repr=False)
class ScoredPath(Brief):
    """A path to Theta: its score, its tree, and the state of each epoch."""

    score: float
    tree: Tree
    states: IntArray


def left_out(problem: Jqodi, model: Model, width: Width) -> str | None:
    """Why a model at a width has no tree, or None."""
    expected, robust = problem.epochs(model, width)
    if expected is None:
        return "no K^exp"
    if robust is None:
        return "no K^rob"
    if robust < 1 or not 1 <= (problem.needed(model, width) or 0) <= robust:
        return f"K^rob = {robust} epochs are fewer than the estimate asks for"
    if problem.horizon is not None and robust > problem.horizon:
        return f"K^rob = {robust}, conditions for {problem.horizon} epochs"
    return None


def create_trees(problem: Jqodi) -> list[Tree]:
    """Data of every tree whose model and width reach the loss by the robust estimate too, under known conditions."""
    trees = []
    training = problem.model_copy(update={"inference": Inference()})
    for model, width in problem.admissible:
        expected, robust = problem.epochs(model, width)
        if expected is None or robust is None or left_out(problem, model, width):
            continue
        candidate = candidate_at(training, model.name, width.bits, epochs=robust, all_count=True)
        trees.append(Tree(candidate, max(expected, 1), _risk(problem, model, width, expected, robust)))
    return trees


def _risk(problem: Jqodi, model: Model, width: Width, expected: int, robust: int) -> float:
    """The data's, else that of lines 5-7, else 1."""
    if width.risk is not None:
        return width.risk
    after = []
    for estimate, epochs in (("expected", expected), ("robust", robust)):
        parts = problem.loss_parts(model, width, estimate)
        if parts is None:
            return 1.0
        after.append(losses(*parts, epochs)[-1])
    return float(after[0] / after[1]) if min(after) > 0 else 1.0


def paths_of(problem: Jqodi, trees: list[Tree]) -> float:
    """Leaves of all trees without a time limit."""
    if problem.mode == "choice":
        return math.inf
    logs = [np.log(np.maximum(np.isfinite(tree.candidate.time).sum(axis=1), 1)).sum() for tree in trees]
    return math.fsum(math.exp(min(float(x), MOST)) for x in logs)


def traversal(
    problem: Jqodi, tree: Tree, everything: bool, clock: Clock = ENDLESS
) -> tuple[SmallArray, FloatArray, int]:
    """(paths, K^rob) states and (paths,) weights of the paths within T_max, and how many vertices were met.

    Times add up in floats here; `select` puts the path that it takes to the exact test.
    """
    candidate = tree.candidate
    ceiling = limit_with_slack(problem.time_limit) * (1.0 + ROUNDING)
    start = np.flatnonzero(np.isfinite(candidate.time[0]))
    elapsed = candidate.setup_time + candidate.time[0, start]
    weight = candidate.setup_energy + candidate.energy[0, start]
    paths, vertices = start[:, None].astype(np.int32), 0
    for k in range(candidate.epochs):
        clock.check()
        kept = np.flatnonzero(elapsed <= ceiling)
        paths, elapsed, weight = paths[kept], elapsed[kept], weight[kept]
        vertices += len(kept)
        if k + 1 == candidate.epochs or not len(kept):
            break
        following = np.flatnonzero(np.isfinite(candidate.time[k + 1]))
        if everything:
            parent = np.repeat(np.arange(len(paths)), len(following))
            state = np.tile(following, len(paths))
        else:
            parent = np.flatnonzero(np.isin(paths[:, -1], following))
            state = paths[parent, -1]
        last = paths[parent, -1]
        elapsed = elapsed[parent] + candidate.time[k + 1, state]
        weight = weight[parent] + candidate.energy[k + 1, state]
        if candidate.switch_time is not None:
            elapsed = elapsed + candidate.switch_time[last, state]
        if candidate.switch_energy is not None:
            weight = weight + candidate.switch_energy[last, state]
        paths = np.column_stack((paths[parent], state.astype(np.int32)))
    return paths, weight, vertices


def select(
    problem: Jqodi, trees: list[Tree], everything: bool, clock: Clock = ENDLESS
) -> tuple[ScoredPath | None, dict[str, Any]]:
    """The path of least score, the first of equal ones; paths and vertices that there are.

    Where the clock stops it, the path is of the trees before, and the details have ``stopped``.
    """
    best: ScoredPath | None = None
    details: dict[str, Any] = {"paths": 0, "vertices": 0, "scores": {}}
    for tree in trees:
        try:
            paths, weight, vertices = traversal(problem, tree, everything, clock)
        except OutOfTime:
            details["stopped"] = tree.candidate.key
            break
        details["vertices"] += vertices
        candidate = tree.candidate
        if paths.shape[1] < candidate.epochs or not len(paths):
            continue
        details["paths"] += len(paths)
        expected, robust = (_times(candidate, paths, epochs) for epochs in (tree.expected, candidate.epochs))
        with np.errstate(divide="ignore", invalid="ignore"):
            opportunity = np.where(robust > 0, expected / robust, 1.0)
            scores = weight * tree.risk / opportunity
        for i in np.argsort(scores, kind="stable").tolist():
            if clock.over:
                details["stopped"] = candidate.key
                return best, details
            if within(terms_of(candidate, paths[i])[1], problem.time_limit):
                details["scores"][candidate.key] = float(scores[i])
                if best is None or scores[i] < best.score:
                    best = ScoredPath(float(scores[i]), tree, paths[i].astype(np.int64))
                break
    return best, details


def _times(candidate: Candidate, paths: SmallArray, epochs: int) -> FloatArray:
    """(paths,) seconds of quantizing and of the first epochs."""
    total = np.full(len(paths), candidate.setup_time)
    for k in range(epochs):
        total += candidate.time[k, paths[:, k]]
        if k and candidate.switch_time is not None:
            total += candidate.switch_time[paths[:, k - 1], paths[:, k]]
    return total


def solve(problem: Jqodi, options: Options) -> Outcome:
    """The path that Algorithm 4 takes, as many of its epochs as the plan has. Takes time_limit."""
    clock = options.clock()
    trees = create_trees(problem)
    listed = paths_of(problem, trees)
    everything = listed <= MAX_PATHS
    best, details = select(problem, trees, everything, clock)
    details["listed"] = "all" if everything else "constant"
    which = "all paths" if everything else "only paths of one server and cut for all epochs"
    if not everything and problem.mode != "choice":
        which += f" (all would be {listed:.3g})" if listed < math.exp(MOST) else " (all would be more than 1e300)"
    without = [
        f"{model.name} at {width.bits} bits ({why})"
        for model, width in problem.admissible
        if (why := left_out(problem, model, width))
    ]
    if without:
        which += f"; left out: {', '.join(without[:NAMED])}"
        which += f" and {len(without) - NAMED} more" if len(without) > NAMED else ""
    status: Status = "time-limit" if "stopped" in details else "heuristic"
    if best is None and status == "time-limit":
        return Outcome(status, message=which, details=details)
    if best is None:
        why = "no path of K^rob epochs reaches Theta within T_max" if trees else "no model and bit-width has a tree"
        return Outcome("heuristic", message=f"{why}; {which}", details=details)
    candidate = best.tree.candidate
    model = problem.model(candidate.model)
    epochs = problem.needed(model, model.width(candidate.bits)) or candidate.epochs
    details["score"] = best.score
    return Outcome(status, plan_of(problem, candidate, best.states[:epochs].tolist()), message=which, details=details)

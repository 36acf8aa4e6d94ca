"""Labels: partial paths extended in rounds, pruned by bounds and dominance, all of a round at once.

A label of cost e and resources t at a vertex v is dropped if for one of several multipliers
``e + lam (t - limit) + h_lam(v)`` reaches the incumbent, h_lam being the shortest suffix; if its resources and the
least that the rest needs exceed a limit; or if another label of the vertex is no worse in any respect. The
suffixes also complete labels: where one fits, its path is offered.

A round keeps at most `width` labels, those of least bound. What was dropped for width is remembered by its bound:
if nothing was, the search is complete.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray, SmallArray
from qopt.kernels.nodes import Node
from qopt.kernels.paths.layers import Labels, Tables
from qopt.kernels.paths.limits import Incumbent, Limits

COMPARED = 200
"""With several limits a label is compared with this many of the strongest at its vertex. Chosen: comparing with all
would take the square of their number."""

MULTIPLES = (0.0, 0.5, 0.8, 1.25, 2.0)
"""Of the best multiplier, whose suffixes bound labels too: a label with more or less of a limit left than the best
path has there is bounded best by a smaller or a greater one. Measured: none, two or ten others change times by a
fifth at most."""

COMPLETIONS = 4
"""Completions of labels that are put to the exact test in a round, at most, before one is taken. Measured: 1 and 16
are as good."""


class Paths(Protocol):
    """What a search needs of a graph; see `qopt.kernels.paths.layers.LayerPaths`.

    Attributes
    ----------
    revisits : whether a walk may come back to a vertex.
    together : parts of a tree whose paths are found at once.
    deadline : `time.perf_counter` after which paths raise `qopt.kernels.exact.Late`; None for none.
    everything : mask of all elements.
    """

    revisits: bool
    together: int
    deadline: float | None
    everything: BoolArray

    def shortest(self, weights: FloatArray, allowed: BoolArray) -> tuple[float, IntArray | None]:
        """Length and steps of a shortest path; infinite and None if there is none.

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask, or one a search, of the elements that may be used.
        """

    def shortest_of_each(self, weights: FloatArray, allowed: list[BoolArray]) -> list[tuple[float, IntArray | None]]:
        """`shortest` for each row of weights and each mask.

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask, or one a search, of the elements that may be used.
        """

    def through(self, weights: FloatArray, allowed: BoolArray) -> FloatArray:
        """Length of a shortest path through each element.

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask, or one a search, of the elements that may be used.
        """

    def tables(self, weights: FloatArray, allowed: BoolArray) -> Tables:
        """Shortest suffixes for each row of weights (L, 1 + r).

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask, or one a search, of the elements that may be used.
        """

    def suffix(self, tables: Tables, which: int, vertex: int) -> list[int]:
        """Steps of a stored suffix.

        Parameters
        ----------
        tables : shortest suffixes, a set for each row of weights.
        which : the set of suffixes.
        vertex : where it starts, or where labels stand.
        """

    def start(self, allowed: BoolArray) -> Labels:
        """Labels of no step.

        Parameters
        ----------
        allowed : mask, or one a search, of the elements that may be used.
        """

    def finished(self, vertex: IntArray) -> BoolArray:
        """Whether vertices end a path.

        Parameters
        ----------
        vertex : where it starts, or where labels stand.
        """

    def expand(self, labels: Labels, weights: FloatArray, ahead: FloatArray, bar: float, allowed: BoolArray) -> Labels:
        """Labels one step on, those that may stay below a bar.

        Parameters
        ----------
        labels : partial paths of one round.
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        ahead : (n,) shortest suffixes.
        bar : what a label's length with its suffix must stay below.
        allowed : mask, or one a search, of the elements that may be used.
        """

    def holds(self, allowed: BoolArray, path: IntArray) -> bool:
        """Whether all elements of a path are allowed.

        Parameters
        ----------
        allowed : mask, or one a search, of the elements that may be used.
        path : steps.
        """

    def split(
        self, allowed: BoolArray, light: IntArray, heavy: IntArray, weights: FloatArray
    ) -> tuple[Node, BoolArray, BoolArray]:
        """A tree's node that parts two paths, and what its two sides allow.

        Parameters
        ----------
        allowed : mask, or one a search, of the elements that may be used.
        light : steps of the path of less weighted resource.
        heavy : steps of the path of more.
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        """

    def apart(self, allowed: BoolArray, dropped: BoolArray) -> tuple[list[Node], BoolArray]:
        """Tree nodes whose first subtrees hold dropped elements; what is left after them.

        Parameters
        ----------
        allowed : mask, or one a search, of the elements that may be used.
        dropped : mask of the elements to be left out.
        """


@dataclass(frozen=True)
class Outcome:
    """How a search ended: whether it is complete, a bound on what it left out, and its labels.

    Attributes
    ----------
    complete : whether nothing was left out.
    bound : lower bound on what was.
    labels : kept in all.
    """

    complete: bool
    bound: float
    labels: int


class Round(NamedTuple):
    """What is remembered of a round's labels: the label before, the last step, and, where paths may come back, the
    vertex.

    Attributes
    ----------
    parent : label of the round before.
    step : the last one; -1 for none.
    visited : vertex of each label where paths may come back, else empty.
    """

    parent: SmallArray
    step: SmallArray
    visited: SmallArray


def search(
    paths: Paths,
    bounds: Limits,
    allowed: BoolArray,
    tables: Tables,
    weights: FloatArray,
    least: FloatArray,
    incumbent: Incumbent,
    *,
    width: float = math.inf,
    deadline: float | None = None,
    max_labels: int,
) -> Outcome:
    """Search all paths of allowed elements; the best ends up in the incumbent.

    Parameters
    ----------
    tables, weights : suffixes for multipliers (L, 1 + r), the best multiplier first; all with costs counted.
    least : (r, n) least resource from each vertex to the target.
    width : labels kept in a round.
    paths : shortest paths of the graph.
    bounds : its limits.
    allowed : mask of the elements that may be used.
    incumbent : the best answer so far, which takes what is found.
    deadline : `time.perf_counter` at which it stops; None for none.
    max_labels : labels kept before it stops.
    """
    room = bounds.room + bounds.margin
    shift = weights[:, 1:] @ room
    labels = paths.start(allowed)
    history: list[Round] = []
    stored: Labels | None = None
    left_out, total = math.inf, 0
    while True:
        keep = np.all(labels.used + least[:, labels.vertex] <= room[:, None], axis=0)
        labels = labels.take(np.flatnonzero(keep))
        reach = labels.cost + weights[:, 1:] @ labels.used + tables.length[:, labels.vertex]
        bound = (reach - shift[:, None]).max(axis=0, initial=-math.inf)
        keep = bound < incumbent.cutoff
        labels, bound = labels.take(np.flatnonzero(keep)), bound[keep]
        if stored is not None and len(room) > 1:
            keep = _onward(labels, stored, history)
            labels, bound = labels.take(keep), bound[keep]
        keep, stored = _undominated(labels, bound, stored, paths.revisits)
        labels, bound = labels.take(keep), bound[keep]
        if len(bound) > width:
            order = np.argpartition(bound, int(width))
            left_out = min(left_out, float(bound[order[int(width) :]].min()))
            keep = np.sort(order[: int(width)])
            labels, bound = labels.take(keep), bound[keep]
        visited = labels.vertex if paths.revisits else labels.vertex[:0]
        history.append(Round(labels.parent.astype(np.int32), labels.step.astype(np.int32), visited.astype(np.int32)))
        total += len(bound)
        _complete(paths, tables, labels, room, history, incumbent)
        keep = (bound < incumbent.cutoff) & ~paths.finished(labels.vertex)
        current = np.flatnonzero(keep)
        if current.size == 0:
            break
        late = deadline is not None and time.perf_counter() > deadline
        if late or total > max_labels:
            return Outcome(False, min(left_out, float(bound[current].min())), total)
        chosen = labels.take(current)
        bar = incumbent.cutoff + float(shift[0])
        labels = paths.expand(chosen, weights[0], tables.length[0], bar, allowed)
        labels = Labels(current[labels.parent], labels.step, labels.vertex, labels.cost, labels.used)
    complete = left_out >= incumbent.cutoff
    return Outcome(complete, left_out, total)


def guided(
    paths: Paths,
    bounds: Limits,
    allowed: BoolArray,
    weights: FloatArray,
    incumbent: Incumbent,
    *,
    width: float,
    deadline: float | None,
    max_labels: int,
) -> Outcome:
    """`search` by the suffixes of a multiplier, (1 + r,) weights, and of multiples of it.

    Parameters
    ----------
    paths : shortest paths of the graph.
    bounds : its limits.
    allowed : mask of the elements that may be used.
    weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
    incumbent : the best answer so far, which takes what is found.
    width : labels kept in a round or at a stage.
    deadline : `time.perf_counter` at which it stops; None for none.
    max_labels : labels kept before it stops.
    """
    rows = len(bounds.rows)
    lam = weights[1:]
    several = np.array([[1.0, *lam], *([1.0, *(factor * lam)] for factor in MULTIPLES)])
    tables = paths.tables(several, allowed)
    units = np.column_stack((np.zeros(rows), np.eye(rows)))
    least = paths.tables(units, allowed).length if rows else np.zeros((0, tables.length.shape[1]))
    return search(
        paths,
        bounds,
        allowed,
        tables,
        several,
        least,
        incumbent,
        width=width,
        deadline=deadline,
        max_labels=max_labels,
    )


def _complete(
    paths: Paths,
    tables: Tables,
    labels: Labels,
    room: FloatArray,
    history: list[Round],
    incumbent: Incumbent,
) -> None:
    """Offer the cheapest completions of labels by stored suffixes that fit."""
    if not len(labels.vertex):
        return
    cost = labels.cost + tables.cost[:, labels.vertex]
    fits = np.all(labels.used[:, None] + tables.used[:, :, labels.vertex] <= room[:, None, None], axis=0)
    cheaper = fits & (cost < incumbent.value) & (tables.length[:, labels.vertex] < np.inf)
    which, label = np.nonzero(cheaper)
    ended = paths.finished(labels.vertex[label])
    order = np.argsort(cost[which, label], kind="stable")
    tried = 0
    for i in order:
        # Only at the end of a path is it the last chance; before, a few attempts will do.
        if tried >= COMPLETIONS and not ended[i]:
            continue
        tried += 1
        suffix = paths.suffix(tables, int(which[i]), int(labels.vertex[label[i]]))
        if incumbent.offer(np.array(_prefix(history, int(label[i])) + suffix, dtype=np.int64)):
            return


def _prefix(history: list[Round], label: int) -> list[int]:
    """Steps behind a label of the last round."""
    steps = []
    for past in reversed(history):
        steps.append(int(past.step[label]))
        label = int(past.parent[label])
    return [step for step in reversed(steps) if step >= 0]


def _onward(labels: Labels, stored: Labels, history: list[Round]) -> IntArray:
    """Labels that do not come back to a vertex of their own path, told where dominance does not compare all.

    Else a cycle of no cost would go on for ever, one of little cost for long.
    """
    top = int(max(labels.vertex.max(initial=0), stored.vertex.max(initial=0))) + 1
    there = np.bincount(stored.vertex, minlength=top) + np.bincount(labels.vertex, minlength=top)
    walking = np.flatnonzero(there[labels.vertex] > COMPARED)
    back = np.zeros(len(labels.vertex), dtype=bool)
    ancestor: IntArray | SmallArray = labels.parent[walking]
    for past in reversed(history):
        back[walking] |= past.visited[ancestor] == labels.vertex[walking]
        ancestor = past.parent[ancestor]
    return np.flatnonzero(~back)


def _undominated(
    labels: Labels, strength: FloatArray, stored: Labels | None, revisits: bool
) -> tuple[IntArray, Labels | None]:
    """Labels that no other, of this round or stored, dominates; and what to store."""
    if not revisits or stored is None:
        keep = pareto(labels.vertex, labels.cost, labels.used, strength)
        return keep, labels.take(keep) if revisits else None
    touched = np.isin(stored.vertex, labels.vertex)
    past, rest = stored.take(np.flatnonzero(touched)), stored.take(np.flatnonzero(~touched))
    both = _joined(past, labels)
    old = len(past.vertex)
    # Stored labels come first, so that they win among equals.
    keep = pareto(both.vertex, both.cost, both.used, both.cost)
    return keep[keep >= old] - old, _joined(rest, both.take(keep))


def _joined(one: Labels, two: Labels) -> Labels:
    return Labels(
        np.concatenate((one.parent, two.parent)),
        np.concatenate((one.step, two.step)),
        np.concatenate((one.vertex, two.vertex)),
        np.concatenate((one.cost, two.cost)),
        np.concatenate((one.used, two.used), axis=1),
    )


def pareto(vertex: IntArray, cost: FloatArray, used: FloatArray, strength: FloatArray) -> IntArray:
    """Sorted indices of labels that none at their vertex is as good as in cost and every resource.

    Parameters
    ----------
    vertex : where it stands, or where each of them stands.
    cost : (n, k) a class a row, or costs by element.
    used : resources by row.
    strength : by which labels are compared first, where not all are.
    """
    count = len(vertex)
    if count < 2:
        return np.arange(count)
    if len(used) == 1:
        order = np.lexsort((cost, used[0], vertex))
        # Cost as rank, lowered from vertex to vertex: one running minimum serves all vertices, in whole numbers.
        rank = np.empty(count, dtype=np.int64)
        rank[np.argsort(cost[order], kind="stable")] = np.arange(count)
        group = np.cumsum(np.concatenate(([False], np.diff(vertex[order]) != 0)))
        key = rank - group * count
        return np.sort(order[key == np.minimum.accumulate(key)])
    order = np.lexsort((strength, vertex))
    for position in range(COMPARED):
        starts = np.flatnonzero(np.concatenate(([True], np.diff(vertex[order]) != 0)))
        sizes = np.diff(np.concatenate((starts, [len(order)])))
        if sizes.max() <= position + 1:
            break
        within = np.arange(len(order)) - np.repeat(starts, sizes)
        rival = order[np.minimum(np.repeat(starts, sizes) + position, len(order) - 1)]
        later = within > position
        worse = later & (cost[rival] <= cost[order]) & np.all(used[:, rival] <= used[:, order], axis=0)
        order = order[~worse]
    return np.sort(order)

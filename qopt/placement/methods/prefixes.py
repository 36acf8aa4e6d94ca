"""A good plan to begin with: of the ways to cut the listed order twice, the cheapest that keeps the limits.

The first a operations run on one tier, those up to b on a second, the others on a third. What that costs, or uses of a
limit, is a sum over operations and over tensors that cross a or b, so all pairs a <= b are a matrix. Of graphs that are
nearly chains this is close to the optimum.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.placement.costs import Labelling, paid
from qopt.placement.limits import keeps_rows
from qopt.placement.methods.candidates import Candidate

LONGEST = 1_000
"""Operations up to which it is looked for: the matrix grows with their square."""

MOST = 5
"""Pairs of one triple of tiers that meet the exact test."""


MOST_TIERS = 12
"""Tiers that are tried, evenly spread: their triples grow with the cube."""


def best_prefixes(candidate: Candidate, birth: int, clock: Clock) -> IntArray | None:
    """Labels of all nodes, node 0 included; None where no such plan keeps everything, or the network is too long.

    Parameters
    ----------
    birth : tier of node 0.
    clock : when it is over, the best so far counts.
    """
    costs, n = candidate.costs, len(candidate.own.names)
    if n > LONGEST or not candidate.costs.plain:
        return None
    best: tuple[float, IntArray] | None = None
    for labels in _cheapest(candidate, birth):
        if clock.over:
            break
        at = labels.tolist()
        value = math.fsum(paid(costs, at))
        better = math.isfinite(value) and (best is None or value < best[0])
        if better and _goes_up(costs, labels) and keeps_rows(costs, candidate.rows, at):
            best = (value, labels)
    return None if best is None else best[1]


def _goes_up(costs: Labelling, labels: IntArray) -> bool:
    """Whether no data move down; operations that stay together may not follow each other in the list."""
    reads = costs.reads
    counts = np.diff(np.append(reads.start, len(reads.reader)))
    return bool(np.all(labels[np.repeat(reads.producer, counts)] <= labels[reads.reader]))


def _cheapest(candidate: Candidate, birth: int) -> Iterator[IntArray]:
    n, tiers = len(candidate.own.names), candidate.costs.unary.shape[1]
    spread = np.linspace(birth, tiers - 1, min(tiers - birth, MOST_TIERS))
    known = np.rint(spread).astype(np.int64).tolist()
    triples = list(itertools.combinations(known, 3)) or [(known[0], known[-1], known[-1])]
    for triple in triples:
        value = _matrix(candidate.costs, candidate.costs.unary, candidate.costs.weight, birth, triple)
        for row in candidate.rows:
            if row.single:
                use = _matrix(candidate.costs, row.unary, row.weight, birth, triple)
                value[use > row.limit * (1.0 + 1e-9)] = np.inf
        for place in np.argsort(value, axis=None, kind="stable")[:MOST].tolist():
            a, b = divmod(place, n + 1)
            if math.isfinite(value[a, b]):
                step = np.arange(1, n + 1)
                yield np.concatenate(([birth], np.select([step <= a, step <= b], triple[:2], triple[2])))


def _matrix(
    costs: Labelling, unary: FloatArray, weight: FloatArray, birth: int, triple: tuple[int, int, int]
) -> FloatArray:
    """(n + 1, n + 1) sums for a, b with a <= b; infinite where a > b or something is forbidden."""
    low, middle, high = triple
    n = len(unary) - 1
    sums = [np.concatenate(([0.0], np.cumsum(np.where(np.isinf(unary[1:, k]), 0.0, unary[1:, k])))) for k in triple]
    bars = [np.concatenate(([0], np.cumsum(np.isinf(unary[1:, k])))) for k in triple]
    first, last = costs.reads.producer, np.maximum.reduceat(costs.reads.reader, costs.reads.start)

    def across(start: int, stop: int) -> FloatArray:
        """(n + 1,) what tensors pay between two tiers where the first p operations are below."""
        over = weight[:, start:stop].sum(axis=1)
        barred, there = np.isinf(over), first < last
        found, shut = np.zeros(n + 2), np.zeros(n + 2)
        for sums_, which, size in ((found, there & ~barred, over), (shut, there & barred, np.ones(len(over)))):
            np.add.at(sums_, first[which], size[which])
            np.subtract.at(sums_, last[which], size[which])
        return np.where(np.cumsum(shut)[: n + 1] > 0.5, np.inf, np.cumsum(found)[: n + 1])

    a, b = np.arange(n + 1)[:, None], np.arange(n + 1)[None, :]
    value = sums[0][a] + sums[1][b] - sums[1][a] + sums[2][n] - sums[2][b]
    value = value + (across(low, middle)[a] + across(middle, high)[b])
    stopped = bars[0][a] + bars[1][b] - bars[1][a] + bars[2][n] - bars[2][b]
    below = weight[costs.reads.producer == 0, birth:low].sum() if low > birth else 0.0
    found: FloatArray = np.where((a > b) | (stopped > 0), np.inf, value + below)
    return found

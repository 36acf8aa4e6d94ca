"""What the trees of a witness talk about: a candidate as an instance of a kernel, columns and arcs in a stated order.

`mckp`, where changing costs nothing. Class 0 is quantizing, class 1 + k is epoch k. Its columns are the possible states
that no other is as good as in both energy and time (of equal ones the first counts), by rising energy. An epoch with
fewer columns than another repeats its last, and quantizing has as many columns as the longest, all equal. Any plan can
be moved to these states without using more of anything, so nothing is lost.

`rcsp`. Layer 0 is quantizing, in any of S states, so that the first epoch's state costs no change; layer 1 + k is epoch
k. Vertex 0 is the source; state s of layer l is entered at 1 + 2 l S + s and left at 1 + (2 l + 1) S + s; the target is
1 + 2 (K + 1) S. Arcs in order: the source to layer 0; then for each layer one through each possible state and, but for
the last, those of the changes to the next layer, row by row; at last layer K to the target. A change before an epoch
whose energy does not count takes time only. (Where methods write other graphs, for 20 million changes and more, no tree
is followed: `qopt.jqodi.certificate.bounds.TREE_ARCS`.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.jqodi.certificate.arrays import Arrays


@dataclass(frozen=True, eq=False)
class Block:
    """Epochs with the same numbers, and the states that matter in them.

    Attributes
    ----------
    states : (p,) as `undominated` orders them.
    epochs : (n,) from 0.
    energy, time : (p,) joules and seconds of one epoch in these states.
    """

    states: IntArray
    epochs: IntArray
    energy: FloatArray
    time: FloatArray


def undominated(energy: FloatArray, time: FloatArray) -> list[int]:
    """Possible states of an epoch that no other is as good as in both, by rising energy."""
    kept, fastest = [], math.inf
    for _, seconds, s in sorted(zip(energy.tolist(), time.tolist(), range(len(time)), strict=True)):
        if seconds < fastest:
            kept.append(s)
            fastest = seconds
    return kept


def blocks(candidate: Arrays) -> list[Block]:
    """The epochs of a candidate that is possible in each, those with equal numbers together."""
    alike: dict[tuple[bytes, bytes], list[int]] = {}
    for k, (energy, time) in enumerate(zip(candidate.energy, candidate.time, strict=True)):
        alike.setdefault((energy.tobytes(), time.tobytes()), []).append(k)
    parts = []
    for epochs in alike.values():
        energy, time = candidate.energy[epochs[0]], candidate.time[epochs[0]]
        states = np.array(undominated(energy, time), dtype=np.int64)
        parts.append(Block(states, np.array(epochs, dtype=np.int64), energy[states], time[states]))
    return parts


def knapsack(candidate: Arrays, limit: float) -> dict[str, object]:
    """A candidate that is possible in each epoch and whose changes cost nothing, as `checker.Knapsack` reads it.

    Parameters
    ----------
    limit : T_max [s].
    """
    parts = blocks(candidate)
    width = max(len(part.states) for part in parts)
    cost: list[list[float]] = [[candidate.setup_energy] * width, *([] for _ in range(candidate.epochs))]
    weight: list[list[float]] = [[candidate.setup_time] * width, *([] for _ in range(candidate.epochs))]
    for part in parts:
        for table, column in ((cost, part.energy.tolist()), (weight, part.time.tolist())):
            column += [column[-1]] * (width - len(column))
            for k in part.epochs.tolist():
                table[1 + k] = column
    return {"cost": cost, "weight": [weight], "limit": [limit]}


def layered(candidate: Arrays, limit: float) -> dict[str, object]:
    """A candidate as `checker.Path` reads it: S^2 arcs an epoch.

    Parameters
    ----------
    limit : T_max [s].
    """
    count = candidate.states
    free = np.zeros((count, count))
    joules = free if candidate.switch_energy is None else candidate.switch_energy.matrix
    seconds = (free if candidate.switch_time is None else candidate.switch_time.matrix).tolist()
    counts, gratis = joules.tolist(), free.tolist()
    arcs: list[list[float]] = [[0, 1 + s, 0.0, 0.0] for s in range(count)]
    for layer in range(candidate.epochs + 1):
        entered, left = 1 + 2 * layer * count, 1 + (2 * layer + 1) * count
        for s in range(count):
            if layer == 0:
                arcs.append([entered + s, left + s, candidate.setup_energy, candidate.setup_time])
            elif candidate.there[layer - 1, s]:
                energy, time = float(candidate.energy[layer - 1, s]), float(candidate.time[layer - 1, s])
                arcs.append([entered + s, left + s, energy, time])
        if layer < candidate.epochs:  # before epoch number `layer`, from 0
            energies = counts if layer < candidate.counted else gratis
            for r in range(count):
                for s in range(count):
                    arcs.append([left + r, left + count + s, energies[r][s], seconds[r][s]])
    target = 1 + 2 * (candidate.epochs + 1) * count
    arcs += [[target - count + s, target, 0.0, 0.0] for s in range(count)]
    return {"vertices": target + 1, "source": 0, "target": target, "arcs": arcs, "limit": [limit]}

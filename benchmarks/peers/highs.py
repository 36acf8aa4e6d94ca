"""HiGHS on arrays: the fastest way to hand a model over; gap 0 (its default is 1e-4), default tolerances otherwise."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import highspy
import numpy as np
from answer import Answer
from scaling import rows_of, to_one
from scipy.sparse import coo_array, csr_array

Array = np.ndarray[Any, Any]
Options = dict[str, Any]


def version() -> str:
    """Which HiGHS this is."""
    return f"highspy {metadata.version('highspy')}"


def _solve(
    cost: Array,
    matrix: csr_array,
    lower: Array,
    upper: Array,
    integer: bool,
    *,
    gap: float,
    seconds: float,
    threads: int,
) -> tuple[Answer, Array | None]:
    """Minimise cost x for lower <= matrix x <= upper, 0 <= x <= 1."""
    highspy.Highs.resetGlobalScheduler(True)
    h = highspy.Highs()
    options = {"output_flag": False, "mip_rel_gap": gap, "mip_abs_gap": 0.0, "time_limit": seconds, "threads": threads}
    for name, value in options.items():
        if h.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise RuntimeError(f"HiGHS refuses {name} = {value}")
    n = len(cost)
    status = h.passModel(
        n,
        matrix.shape[0],
        matrix.nnz,
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        np.ascontiguousarray(cost, dtype=np.float64),
        np.zeros(n),
        np.ones(n),
        np.ascontiguousarray(lower, dtype=np.float64),
        np.ascontiguousarray(upper, dtype=np.float64),
        matrix.indptr.astype(np.int32),
        matrix.indices.astype(np.int32),
        matrix.data,
        np.full(n, int(integer), dtype=np.int32),
    )
    if status == highspy.HighsStatus.kError:
        raise RuntimeError("HiGHS refuses the model")
    h.run()
    found = h.getModelStatus()
    has_point = h.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    said = h.modelStatusToString(found) + (" (coefficients dropped)" if status != highspy.HighsStatus.kOk else "")
    answer = Answer(
        said, found == highspy.HighsModelStatus.kOptimal, None, found == highspy.HighsModelStatus.kTimeLimit
    )
    return answer, np.array(h.getSolution().col_value) if has_point else None


def _matrix(values: list[Any], rows: list[Array], columns: list[Array], shape: tuple[int, int]) -> csr_array:
    """A matrix from blocks of entries; a number stands for a block of it."""
    data = [np.broadcast_to(np.asarray(v, dtype=float), c.shape) for v, c in zip(values, columns, strict=True)]
    return csr_array(coo_array((np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))), shape=shape))


def mckp(cost: Array, weight: Array, limit: Array, **options: Any) -> Answer:
    """A one-hot row a class, and the limits."""
    n, k = cost.shape
    c, w, room = to_one(cost, *rows_of(weight, limit))
    limits = len(room)
    matrix = csr_array(
        (
            np.concatenate([np.ones(n * k), w.ravel()]),
            np.tile(np.arange(n * k), 1 + limits),
            np.append(np.arange(n + 1) * k, n * k * np.arange(2, 2 + limits)),
        ),
        shape=(n + limits, n * k),
    )
    ones = np.ones(n)
    lower, upper = np.append(ones, np.full(limits, -np.inf)), np.append(ones, room)
    answer, x = _solve(c.ravel(), matrix, lower, upper, True, **options)
    return answer if x is None else answer.with_point(x.reshape(n, k).argmax(axis=1).tolist())


rows = mckp


def layered(cost: Array, time: Array, switch_cost: Array, switch_time: Array, limit: Array, **options: Any) -> Answer:
    """A flow of one unit: a variable for each first state and for each pair of states of neighbouring epochs."""
    epochs, states = cost.shape
    c = np.concatenate([cost[0], (switch_cost[None] + cost[1:, None, :]).ravel()])
    t = np.concatenate([time[0], (switch_time[None] + time[1:, None, :]).ravel()])
    moves = states + np.arange((epochs - 1) * states * states)
    epoch, rest = np.divmod(moves - states, states * states)
    before, after = np.divmod(rest, states)
    first, inner = np.arange(states), epoch < epochs - 2
    # Rows: what enters (epoch, state) leaves it, epochs 0..K-2; one unit begins; the limit, scaled to 1.
    begins, limits = (epochs - 1) * states, (epochs - 1) * states + 1
    matrix = _matrix(
        [1.0, -1.0, 1.0, 1.0, t / float(limit)],
        [
            first,
            epoch * states + before,
            ((epoch + 1) * states + after)[inner],
            np.full(states, begins),
            np.full(len(c), limits),
        ],
        [first, moves, moves[inner], first, np.arange(len(c))],
        (limits + 1, len(c)),
    )
    lower = np.zeros(limits + 1)
    upper = np.zeros(limits + 1)
    lower[begins] = upper[begins] = upper[limits] = 1.0
    lower[limits] = -np.inf
    answer, x = _solve(c / c.mean(), matrix, lower, upper, True, **options)
    if x is None:
        return answer
    taken = moves[x[states:] > 0.5] - states
    path = [int(x[:states].argmax()), *(int(a) for a in after[taken])]  # moves are numbered epoch by epoch
    return answer.with_point(path) if len(path) == epochs else answer


def digraph(arcs: Array, ends: Array, lower: Array, upper: Array, **options: Any) -> Answer:
    """A flow of one unit over the arcs. It may hold cycles beside the path; costs here are positive."""
    tail, head = arcs[:, 0].astype(np.int64), arcs[:, 1].astype(np.int64)
    n, m, resources = int(max(tail.max(), head.max())) + 1, len(arcs), len(upper)
    column = np.arange(m)
    matrix = _matrix(
        [1.0, -1.0, *arcs[:, 3:].T],
        [tail, head, *(np.full(m, n + r) for r in range(resources))],
        [column] * (2 + resources),
        (n + resources, m),
    )
    balance = np.zeros(n)
    balance[ends] = 1.0, -1.0
    answer, x = _solve(arcs[:, 2], matrix, np.append(balance, lower), np.append(balance, upper), True, **options)
    if x is None:
        return answer
    leaving = {int(tail[a]): int(a) for a in column[x > 0.5]}
    at, path = int(ends[0]), []
    while at != ends[1] and at in leaving:
        path.append(leaving.pop(at))
        at = int(head[path[-1]])
    return answer.with_point(path)


def cut(unary: Array, producer: Array, starts: Array, readers: Array, price: Array, **options: Any) -> Answer:
    """The linear program: x[v, l] = 1 where v stands above tier l, a[t, l] = 1 where a reader of t does."""
    n, links = unary.shape[0], unary.shape[1] - 1
    tensor = np.repeat(np.arange(len(producer)), np.diff(starts))
    x, a = np.arange(n * links).reshape(n, links), n * links + np.arange(len(producer) * links).reshape(-1, links)
    finite = np.where(np.isfinite(unary), unary, 0.0)
    cost = np.concatenate([np.diff(finite, axis=1).ravel(), price.ravel()])
    np.subtract.at(cost, x[producer].ravel(), price.ravel())
    # Rows, each >= 0: a reader is not below its producer, `a` not below a reader, a tier above l + 1 is above l.
    above = [(x[readers], x[producer[tensor]]), (a[tensor], x[readers]), (x[:, :-1], x[:, 1:])]
    larger, less = (np.concatenate([pair[side].ravel() for pair in above]) for side in (0, 1))
    row = np.arange(len(larger))
    forbidden = np.argwhere(~np.isfinite(unary))
    # v does not stand on a tier l: x[v, l - 1] = x[v, l], with x[v, -1] = 1 and x[v, L - 1] = 0.
    extra_rows, extra_columns, values, right = [], [], [], []
    for i, (v, tier) in enumerate(forbidden):
        right.append(1.0 if tier == 0 else 0.0)
        for at, sign in ((tier - 1, 1.0 if tier else 0.0), (tier, -1.0 if tier else 1.0)):
            if 0 <= at < links:
                extra_rows.append(len(row) + i)
                extra_columns.append(x[v, at])
                values.append(sign)
    matrix = _matrix(
        [1.0, -1.0, np.array(values)],
        [row, row, np.array(extra_rows, dtype=np.int64)],
        [larger, less, np.array(extra_columns, dtype=np.int64)],
        (len(row) + len(forbidden), len(cost)),
    )
    lower, upper = np.append(np.zeros(len(row)), right), np.append(np.full(len(row), np.inf), right)
    answer, point = _solve(cost, matrix, lower, upper, False, **options)
    return (
        answer
        if point is None
        else answer.with_point((point[: n * links].reshape(n, links) > 0.5).sum(axis=1).tolist())
    )

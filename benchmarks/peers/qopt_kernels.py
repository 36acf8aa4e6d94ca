"""qopt's own kernels. Writing the witness is part of the time; what the checker says of it is timed apart."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from answer import Answer

import qopt
from qopt.kernels import checker, exchange, mincut, rcsp
from qopt.kernels import mckp as knapsack

Array = np.ndarray[Any, Any]

CHECKED = 2_000_000
"""Numbers of an instance up to which the witness is checked: exact integers in Python take their time."""


def version() -> str:
    """Which qopt this is."""
    return f"qopt {qopt.__version__}"


def _answer(found: Any, answer: Any, write: Any) -> Answer:
    """An answer, its witness as text where a proof was found."""
    notes: dict[str, Any] = {"bound": found.bound}
    if found.status == "optimal":
        try:
            notes["witness"] = json.dumps(write(found))
        except qopt.InputError as error:  # optimal, without a proof
            notes["reason"] = str(error)
    claims = ("optimal", "optimal-by-solver", "within-gap")
    return Answer(
        found.status,
        found.status in claims,
        None if answer is None else np.asarray(answer).tolist(),
        found.status == "limit",
        notes,
    )


def mckp(cost: Array, weight: Array, limit: Array, *, gap: float, seconds: float, **_: int) -> Answer:
    """`qopt.kernels.mckp.solve`, on one thread; one limit or several."""
    found = knapsack.solve(cost, weight, limit, **({"gap": gap} if gap else {}), time_limit=seconds)
    return _answer(found, found.choice, exchange.mckp_witness)


rows = mckp


def cut(unary: Array, producer: Array, starts: Array, readers: Array, price: Array, **_: float) -> Answer:
    """`qopt.kernels.mincut.solve`, on one thread; it has no time limit."""
    found = mincut.solve(unary, mincut.Tensors(producer, starts, readers, price))
    return _answer(found, found.labels, exchange.cut_witness)


def _layered(cost: Array, time: Array, switch_cost: Array, switch_time: Array) -> rcsp.Layered:
    return rcsp.Layered(cost, time, switch_cost, switch_time)


def layered(*arrays: Array, gap: float, seconds: float, **_: int) -> Answer:
    """`qopt.kernels.rcsp.solve` on layers of states."""
    *graph, limit = arrays
    found = rcsp.solve(_layered(*graph), float(limit), gap=gap, time_limit=seconds)
    return _answer(found, found.path, exchange.rcsp_witness)


def _digraph(arcs: Array, ends: Array) -> rcsp.Digraph:
    tail, head = arcs[:, 0].astype(np.int64), arcs[:, 1].astype(np.int64)
    vertices = int(max(tail.max(), head.max(), ends.max())) + 1
    return rcsp.Digraph(vertices, tail, head, arcs[:, 2], arcs[:, 3:].T, int(ends[0]), int(ends[1]))


def digraph(arcs: Array, ends: Array, lower: Array, upper: Array, *, gap: float, seconds: float, **_: int) -> Answer:
    """`qopt.kernels.rcsp.solve` on vertices and arcs."""
    found = rcsp.solve(_digraph(arcs, ends), upper, lower=lower, gap=gap, time_limit=seconds)
    return _answer(found, found.arcs, exchange.rcsp_witness)


def _instance(kind: str, arrays: list[Array]) -> dict[str, Any]:
    """An instance as JSON, for the checker."""
    if kind in ("mckp", "rows"):
        cost, weight, limit = arrays
        return exchange.mckp_instance(cost, weight, limit)
    if kind == "layered":
        return exchange.rcsp_instance(_layered(*arrays[:4]).digraph(), float(arrays[4]))
    if kind == "digraph":
        arcs, ends, _, upper = arrays
        return exchange.rcsp_instance(_digraph(arcs, ends), upper)
    unary, *tensors = arrays
    return exchange.cut_instance(unary, mincut.Tensors(*tensors))


def _size(kind: str, arrays: list[Array]) -> int:
    """Numbers that the instance holds when written out."""
    return len(arrays[0]) * arrays[2].size if kind == "layered" else sum(a.size for a in arrays)


def verify(kind: str, arrays: list[Array], answer: Answer, gap: float) -> dict[str, Any]:
    """What the standard-library checker says of the witness, and how long it takes, reading excluded.

    Parameters
    ----------
    gap : what was asked for; that an answer leaves exactly this gap is a matter of rounding.
    """
    notes = dict(answer.notes)
    text = notes.pop("witness", None)
    if text is None or _size(kind, arrays) > CHECKED:
        return notes
    instance, witness = json.loads(json.dumps(_instance(kind, arrays))), json.loads(text)
    start = time.perf_counter()
    verdict = checker.check(instance, witness, gap=max(checker.GAP, gap * (1 + 1e-6)))
    return notes | {
        "check_seconds": time.perf_counter() - start,
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "witness_bytes": len(text),
    }

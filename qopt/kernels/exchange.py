"""Problems and answers of the kernels as JSON, for the checker, for other programs, and back.

An instance is ``{"format": "qopt/kernel-instance", "version": 1, "kind": ..., ...}``:

* ``mckp``: ``cost`` [class][column], ``weight`` [row][class][column], ``limit`` [row] (null: none), optionally ``ties``
  [[class, ...], ...], classes that take the same column;
* ``rcsp``: ``vertices``, ``source``, ``target``, ``arcs`` [[tail, head, cost, resource_1, ..., resource_R], ...],
  ``limit`` [R] (null: none); an arc of cost null is absent;
* ``cut``: ``labels`` L, ``unary`` [node][label] (null: forbidden), ``tensors`` [[producer, [reader, ...], [w_0, ...,
  w_{L-2}]], ...] (null: this link must not be crossed).

A witness is ``{"format": "qopt/kernel-witness", "version": 1, "kind": ..., ...}`` with an answer (``choice``, ``path``
or ``labels``; null claims that nothing is feasible) and its proof (``tree`` or ``flow``), which
`qopt/kernels/checker.py` checks; ``gap`` says how much cheaper something may be (a share), where the proof leaves so
much open. Whoever checks states the largest gap that they take, by default 1e-9.
Numbers are written with all their digits, so they come back as they were.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.errors import InputError, shown
from qopt.core.files import write_whole
from qopt.kernels import mincut
from qopt.kernels.arguments import table
from qopt.kernels.cuts.data import Tensor, Tensors, checked
from qopt.kernels.knapsack.result import Result as KnapsackResult
from qopt.kernels.knapsack.ties import merge
from qopt.kernels.paths.graph import Digraph, Layered
from qopt.kernels.paths.result import Result as PathResult

MAX_VERTICES = 2**24
"""More are refused: a number in a file must not decide how much memory is taken."""

INSTANCE, WITNESS, VERSION = "qopt/kernel-instance", "qopt/kernel-witness", 1
FIELDS = {
    "mckp": ("cost", "weight", "limit"),
    "rcsp": ("vertices", "source", "target", "arcs", "limit"),
    "cut": ("labels", "unary", "tensors"),
}
"""What an instance of each kind holds; ``ties`` of a knapsack, ``name`` and ``note`` may be there too."""


class Knapsack(NamedTuple):
    """Arguments of `mckp.solve`: cost (n, k), weight (R, n, k), limit (R,), infinite for none; ties of classes."""

    cost: FloatArray
    weight: FloatArray
    limit: FloatArray
    ties: list[list[int]]


class Route(NamedTuple):
    """Arguments of `rcsp.solve`: a graph with R resources, limit (R,), infinite for none.

    Attributes
    ----------
    graph : with R resources.
    limit : (R,), infinite for none.
    """

    graph: Digraph
    limit: FloatArray


class Labelling(NamedTuple):
    """Arguments of `mincut.solve`: unary (n, L), infinite where forbidden; tensors (producer, readers, weights)."""

    unary: FloatArray
    tensors: list[tuple[int, list[int], list[float]]]


# --- out ----------------------------------------------------------------------------------------------------------


def mckp_instance(
    cost: ArrayLike, weight: ArrayLike, limit: ArrayLike, ties: Sequence[Sequence[int]] | None = None
) -> dict[str, object]:
    """A knapsack as JSON.

    Parameters
    ----------
    cost : (n, k).
    weight : (n, k), or (R, n, k) for R rows.
    limit : a number, or (R,); infinite for none.
    ties : groups of classes that take the same column.

    Raises
    ------
    InputError
        Shapes that do not fit, a number that is not finite or beyond 1e300, or bad ties.
    """
    cost, limit = table("cost", cost, "(n, k)"), _limits(limit)
    weight = table("weight", weight, "(R, n, k)") if _axes(weight) == 3 else table("weight", weight, "(n, k)")[None]
    if weight.shape != (len(limit), *cost.shape):
        found = f"shapes {cost.shape}, {weight.shape} and {limit.shape}"
        raise InputError("weight", found, "(n, k), (R, n, k) and (R,) for cost, weight and limit")
    merge(ties, len(cost))
    data: dict[str, object] = {
        "cost": _listed(cost, "cost"),
        "weight": _listed(weight, "weight"),
        "limit": _listed(limit, "limit", True),
    }
    if ties:
        data["ties"] = [[int(i) for i in group] for group in ties]
    return _headed(INSTANCE, "mckp", data)


def rcsp_instance(graph: Digraph | Layered, limit: ArrayLike) -> dict[str, object]:
    """A constrained shortest path as JSON, layers as the arcs of `Layered.digraph`.

    Parameters
    ----------
    graph : with R resources.
    limit : (R,), or a number for one resource; infinite for none.

    Raises
    ------
    InputError
        Not a graph, not one limit for each resource, or one that is no number.
    """
    if not isinstance(graph, Digraph | Layered):
        raise InputError("graph", shown(graph), "a Digraph, or Layered")
    graph, limit = graph.digraph() if isinstance(graph, Layered) else graph, _limits(limit)
    if limit.shape != (graph.resources,):
        raise InputError("limit", f"shape {limit.shape}", f"({graph.resources},): one for each resource")
    numbers = [_listed(graph.cost, "cost", True), *_listed(graph.resource, "resource")]
    data = {
        "vertices": graph.vertices,
        "source": graph.source,
        "target": graph.target,
        "arcs": [list(arc) for arc in zip(graph.tail.tolist(), graph.head.tolist(), *numbers, strict=True)],
        "limit": _listed(limit, "limit", True),
    }
    return _headed(INSTANCE, "rcsp", data)


def cut_instance(unary: ArrayLike, tensors: Tensors | Iterable[Tensor]) -> dict[str, object]:
    """A minimum cut on ordered labels as JSON.

    Parameters
    ----------
    unary : (n, L), infinite where a label is forbidden.
    tensors : `mincut.Tensors`, or (producer, readers, weights) each, weights (L-1,), infinite where a link must not be
        crossed.

    Raises
    ------
    InputError
        As `mincut.solve`.
    """
    unary, tensors = checked(unary, tensors)
    rows = []
    for producer, begin, end, weights in zip(
        tensors.producer.tolist(), tensors.start[:-1], tensors.start[1:], tensors.weight, strict=True
    ):
        rows.append([producer, tensors.reader[begin:end].tolist(), _listed(weights, "weights", True)])
    data = {"labels": unary.shape[1], "unary": _listed(unary, "unary", True), "tensors": rows}
    return _headed(INSTANCE, "cut", data)


def mckp_witness(result: KnapsackResult) -> dict[str, object]:
    """The choice and the tree of a result of `mckp.solve`; InputError if it comes without a proof.

    Parameters
    ----------
    result : of the kernel's `solve`.
    """
    proof = _proof(result, "choice", "mckp")
    return _headed(WITNESS, "mckp", {"choice": _answer(result.choice), **proof})


def rcsp_witness(result: PathResult) -> dict[str, object]:
    """The arcs and the tree of a result of `rcsp.solve`; InputError if it comes without a proof.

    Parameters
    ----------
    result : of the kernel's `solve`.
    """
    proof = _proof(result, "arcs", "rcsp")
    return _headed(WITNESS, "rcsp", {"path": _answer(result.arcs), **proof})


def cut_witness(result: mincut.Result) -> dict[str, object]:
    """The labels and the flow of a result, which always has one.

    Parameters
    ----------
    result : of `mincut.solve`; InputError if it is none.
    """
    if not hasattr(result, "witness"):
        raise InputError("result", shown(result), "a result of mincut.solve")
    return result.witness()


def save(path: str | os.PathLike[str], data: Mapping[str, object]) -> None:
    """Write an instance or a witness; InputError if the path cannot be written, or the data are no JSON.

    Parameters
    ----------
    path : of the file, whole or not at all.
    data : as the functions above make it.
    """
    try:
        text = json.dumps(data, allow_nan=False) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("data", shown(error), "lists and objects of finite numbers and text") from None
    write_whole(path, lambda file: file.write(text.encode()))


def _headed(form: str, kind: str, data: Mapping[str, object]) -> dict[str, object]:
    return {"format": form, "version": VERSION, "kind": kind, **data}


def _listed(array: FloatArray, field: str, infinite: bool = False) -> list[object]:
    """Nested lists of an array; +infinity, where it is allowed, as None."""
    bad = np.argwhere(np.isnan(array) | (array == -math.inf) if infinite else ~np.isfinite(array))
    if bad.size:
        where = ", ".join(map(str, bad[0]))
        raise InputError(f"{field}[{where}]", f"{array[tuple(bad[0])]}", "numbers" if infinite else "finite numbers")
    if not np.isinf(array).any():
        return list(array.tolist())
    boxed = array.astype(object)
    boxed[np.isinf(array)] = None
    return list(boxed.tolist())


def _axes(values: ArrayLike) -> int:
    """Dimensions of what may be no array at all."""
    try:
        return np.ndim(values)
    except ValueError:
        return 0


def _limits(limit: ArrayLike) -> FloatArray:
    """(R,) limits, from one number too."""
    return table("limit", [limit] if _axes(limit) == 0 else limit, "(R,)", infinite=True)


def _proof(result: KnapsackResult | PathResult, answer: str, kind: str) -> dict[str, object]:
    """The tree, and the gap that it leaves where one was asked for."""
    if not all(hasattr(result, name) for name in (answer, "status", "tree", "objective", "bound")):
        raise InputError("result", shown(result), f"a result of {kind}.solve")
    if result.status not in ("optimal", "within-gap", "infeasible") or result.tree is None:
        found = f"status {result.status} with{'out' if result.tree is None else ''} a tree"
        raise InputError("result", found, "optimal, within-gap or infeasible, with a tree")
    plain = {id(node): _plain(node) for node in result.tree}  # many leaves are one and the same
    tree = [plain[id(node)] for node in result.tree]
    if result.status != "within-gap":
        return {"tree": tree}
    assert result.objective is not None
    assert result.bound is not None
    objective, gap = float(result.objective), float(result.objective) - float(result.bound)
    if gap <= 0:
        return {"tree": tree, "gap": 0.0}
    if objective == 0:
        raise InputError("result", "a gap to an objective of 0", "another objective, or an optimal result")
    # The rounding of the two is far below this.
    return {"tree": tree, "gap": gap / abs(objective) * (1 + 1e-9) + 1e-15}


def _plain(value: object) -> object:
    """Numbers of NumPy as those of Python, in lists."""
    if isinstance(value, list):
        return [_plain(x) for x in value]
    return value.item() if isinstance(value, np.generic) else value


def _answer(chosen: IntArray | None) -> list[int] | None:
    return None if chosen is None else [int(x) for x in np.asarray(chosen).tolist()]


# --- in -----------------------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str]) -> Knapsack | Route | Labelling:
    """Read an instance, to be solved by ``mckp.solve(**load(path)._asdict())``, ``rcsp.solve(*load(path))`` and so on.

    Parameters
    ----------
    path : of a JSON file.

    Returns
    -------
    `Knapsack`, `Route` or `Labelling`, by the instance's kind.

    Raises
    ------
    InputError
        The file is missing, too large or not JSON; a field is missing, unknown, or holds what it may not.
    """
    from qopt.core.reading import read_json

    return from_data(read_json(path))


def from_data(data: object) -> Knapsack | Route | Labelling:
    """The arrays of an instance as parsed from JSON.

    Parameters
    ----------
    data : an object with ``kind``; InputError if a field is not as it should be.
    """
    if not isinstance(data, dict):
        raise InputError("file", shown(data), f"an object of format {INSTANCE}")
    for field, allowed in (("format", INSTANCE), ("version", VERSION)):
        if type(data.get(field)) is not type(allowed) or data[field] != allowed:
            raise InputError(field, shown(data.get(field)), str(allowed))
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in FIELDS:
        raise InputError("kind", shown(kind), " or ".join(FIELDS))
    for field in FIELDS[kind]:
        if field not in data:
            raise InputError(field, "nothing", f"a field of every instance of kind {kind}")
    others = ("format", "version", "kind", "name", "note", *(("ties",) if kind == "mckp" else ()))
    for field in data:
        if field not in FIELDS[kind] and field not in others:
            raise InputError(str(field), "an unknown field", f"{', '.join(FIELDS[kind])}; also {', '.join(others)}")
    if kind == "mckp":
        return _knapsack(data)
    return _route(data) if kind == "rcsp" else _labelling(data)


def _knapsack(data: Mapping[str, object]) -> Knapsack:
    limit = _row(data["limit"], "limit", null=math.inf)
    cost = _table(data["cost"], "cost")
    shape = (len(cost), len(cost[0]) if cost else 0)
    weight = [
        _table(table, f"weight[{r}]", *shape) for r, table in enumerate(_list(data["weight"], "weight", len(limit)))
    ]
    ties = [
        [_index(i, f"ties[{g}][{at}]", len(cost)) for at, i in enumerate(_list(group, f"ties[{g}]"))]
        for g, group in enumerate(_list(data.get("ties") or [], "ties"))
    ]
    return Knapsack(
        np.array(cost, dtype=np.float64).reshape(shape),
        np.array(weight, dtype=np.float64).reshape(len(limit), *shape),
        np.array(limit, dtype=np.float64),
        ties,
    )


def _route(data: Mapping[str, object]) -> Route:
    limit = _row(data["limit"], "limit", null=math.inf)
    vertices = _index(data["vertices"], "vertices", MAX_VERTICES + 1)
    source, target = (_index(data[end], end, vertices) for end in ("source", "target"))
    arcs, amounts = [], []
    for k, arc in enumerate(_list(data["arcs"], "arcs")):
        entries = _list(arc, f"arcs[{k}]", 3 + len(limit))
        arcs.append([_index(entries[end], f"arcs[{k}][{end}]", vertices) for end in (0, 1)])
        cost = _number(entries[2], f"arcs[{k}][2]", null=math.inf)
        amounts.append([cost, *(_number(entries[x], f"arcs[{k}][{x}]") for x in range(3, 3 + len(limit)))])
    ends = np.array(arcs, dtype=np.int64).reshape(-1, 2)
    numbers = np.array(amounts, dtype=np.float64).reshape(-1, 1 + len(limit))
    graph = Digraph(
        vertices=vertices,
        tail=ends[:, 0].copy(),
        head=ends[:, 1].copy(),
        cost=numbers[:, 0].copy(),
        resource=numbers[:, 1:].T.copy(),
        source=source,
        target=target,
    )
    return Route(graph, np.array(limit, dtype=np.float64))


def _labelling(data: Mapping[str, object]) -> Labelling:
    labels = _index(data["labels"], "labels", 2**31)
    rows = _list(data["unary"], "unary")
    unary = [_row(row, f"unary[{v}]", labels, null=math.inf) for v, row in enumerate(rows)]
    tensors = []
    for t, tensor in enumerate(_list(data["tensors"], "tensors")):
        producer, readers, weights = _list(tensor, f"tensors[{t}]", 3)
        paid = _row(weights, f"tensors[{t}][2]", labels - 1, null=math.inf)
        if any(w < 0 for w in paid):
            raise InputError(f"tensors[{t}][2]", shown(min(paid)), "weights >= 0, or null")
        nodes = [
            _index(v, f"tensors[{t}][1][{j}]", len(rows)) for j, v in enumerate(_list(readers, f"tensors[{t}][1]"))
        ]
        tensors.append((_index(producer, f"tensors[{t}][0]", len(rows)), nodes, paid))
    return Labelling(np.array(unary, dtype=np.float64).reshape(len(rows), labels), tensors)


def _list(value: object, field: str, length: int | None = None) -> list[object]:
    if not isinstance(value, list):
        raise InputError(field, shown(value), "a list")
    if length is not None and len(value) != length:
        raise InputError(field, f"{len(value)} entries", f"{length}")
    return value


def _index(value: object, field: str, below: int) -> int:
    if type(value) is not int or not 0 <= value < below:
        raise InputError(field, shown(value), f"a whole number from 0 to {below - 1}" if below else "nothing")
    return value


def _number(value: object, field: str, null: float | None = None) -> float:
    if value is None and null is not None:
        return null
    if not (type(value) is int or type(value) is float) or not abs(value) <= 1e300 or float(value) != value:
        allowed = "a number up to 1e300, if whole then one that a double holds" + ("" if null is None else ", or null")
        raise InputError(field, shown(value), allowed)
    return float(value)


def _row(value: object, field: str, length: int | None = None, null: float | None = None) -> list[float]:
    return [_number(x, f"{field}[{i}]", null) for i, x in enumerate(_list(value, field, length))]


def _table(value: object, field: str, rows: int | None = None, columns: int | None = None) -> list[list[float]]:
    """Rows of one length."""
    found: list[list[float]] = []
    for i, row in enumerate(_list(value, field, rows)):
        found.append(_row(row, f"{field}[{i}]", columns if not found else len(found[0])))
    return found

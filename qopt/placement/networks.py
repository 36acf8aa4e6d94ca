"""A `networkx.DiGraph` as the graph of a placement: nodes are operations, edges say who reads what."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from qopt.core.checks import twice
from qopt.core.errors import InputError, shown

if TYPE_CHECKING:
    import networkx

COLUMNS = ("work", "weights", "scratch")
"""Attributes of nodes that are columns of a graph."""


def graph_data(graph: networkx.DiGraph[Any]) -> dict[str, Any]:
    """The fields of `qopt.placement.graph.Graph`, operations in an order in which they can run.

    Parameters
    ----------
    graph : a directed graph without cycles. Attributes of a node: ``work`` [MACs], ``weights`` and ``scratch`` [bytes],
        ``time`` [s, for each tier], ``size`` [bits] of the one tensor that it writes. Attributes of an edge: ``size``
        [bits], where a node writes several tensors, and ``tensor``: edges from one node that have the same are one
        tensor, without it each is a tensor of its own.

    Raises
    ------
    InputError
        No directed graph, two nodes of one name, a cycle, an edge without a size, an attribute that is unknown.
    """
    if not getattr(graph, "is_directed", lambda: False)():
        raise InputError("graph", shown(type(graph).__name__), "a directed graph, as networkx.DiGraph")
    attributes = {node: dict(found) for node, found in graph.nodes(data=True)}
    names = {node: str(node) for node in attributes}
    again = twice(names.values())
    if again is not None:
        raise InputError("graph.nodes", f"two nodes that are called {shown(again)}", "names that differ")
    edges = [(u, v, dict(found)) for u, v, *_, found in graph.edges(data=True)]
    order = _order(list(attributes), [(u, v) for u, v, _ in edges], names)
    for node in order:
        _only(f"graph.nodes[{names[node]!r}]", attributes[node], {*COLUMNS, "time", "size"})
    data: dict[str, Any] = {"operations": [names[node] for node in order]}
    for column in COLUMNS:
        if column != "scratch" or any(column in found for found in attributes.values()):
            data[column] = [attributes[node].get(column, 0.0) for node in order]
    data["time"] = {names[node]: list(attributes[node]["time"]) for node in order if "time" in attributes[node]}
    data["tensors"] = _tensors(order, edges, attributes, names)
    return data


def _only(where: str, found: Mapping[str, object], known: set[str]) -> None:
    for name in found:
        if name not in known:
            raise InputError(where, f"the attribute {shown(name)}", ", ".join(sorted(known)))


def _order(
    nodes: list[Hashable], edges: list[tuple[Hashable, Hashable]], names: Mapping[Hashable, str]
) -> list[Hashable]:
    """Nodes in an order in which they can run; of those that can, the first of the graph first."""
    place = {node: i for i, node in enumerate(nodes)}
    missing, behind = [0] * len(nodes), [[] for _ in nodes]  # type: tuple[list[int], list[list[int]]]
    for u, v in edges:
        missing[place[v]] += 1
        behind[place[u]].append(place[v])
    order: list[Hashable] = []
    ready = [i for i, count in enumerate(missing) if not count][::-1]
    while ready:
        i = ready.pop()
        order.append(nodes[i])
        free = []
        for j in behind[i]:
            missing[j] -= 1
            if not missing[j]:
                free.append(j)
        ready += sorted(free, reverse=True)
    if len(order) < len(nodes):
        stuck = next(node for i, node in enumerate(nodes) if missing[i] > 0)
        raise InputError("graph.edges", f"a cycle before or through {shown(names[stuck])}", "a graph without cycles")
    return order


def _tensors(
    order: list[Hashable],
    edges: list[tuple[Hashable, Hashable, dict[str, Any]]],
    attributes: Mapping[Hashable, Mapping[str, Any]],
    names: Mapping[Hashable, str],
) -> list[dict[str, Any]]:
    found: dict[tuple[Hashable, object], dict[str, Any]] = {}
    for i, (u, v, data) in enumerate(edges):
        at = f"graph.edges[{names[u]!r}, {names[v]!r}]"
        _only(at, data, {"size", "tensor"})
        own = "size" in data
        size = data.get("size", attributes[u].get("size"))
        if size is None:
            raise InputError(at, "no size", f"bits, here or at the node {names[u]!r}")
        key = ("named", data["tensor"]) if "tensor" in data else (("edge", i) if own else "the node's")
        tensor = found.setdefault((u, key), {"producer": names[u], "readers": [], "size": size})
        if tensor["size"] != size:
            raise InputError(at, f"size {size} beside {tensor['size']}", "one size for one tensor")
        if names[v] not in tensor["readers"]:
            tensor["readers"].append(names[v])
    place = {names[node]: i for i, node in enumerate(order)}
    return sorted(found.values(), key=lambda tensor: place[tensor["producer"]])


def read_input(data: Mapping[str, Any], graph: Mapping[str, Any]) -> dict[str, Any]:
    """An input's fields; who reads it, unless it says so: the operations that read no tensor.

    Parameters
    ----------
    data : fields of an input.
    graph : as `graph_data` gives it.
    """
    read = {reader for tensor in graph["tensors"] for reader in tensor["readers"]}
    return {"readers": [name for name in graph["operations"] if name not in read], **data}

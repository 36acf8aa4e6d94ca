"""Graphs given by their edges."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter


def cycle_among(edges: Iterable[tuple[str, str]]) -> list[str]:
    """Nodes of a cycle, the first again at the end; empty if there is none."""
    before: dict[str, list[str]] = {}
    for tail, head in edges:
        before.setdefault(head, []).append(tail)
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []

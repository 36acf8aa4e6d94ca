"""What can be said of a path when the time is over: one that is light, and what every path costs at least."""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.kernels.paths.graph import Digraph, Layered
from qopt.kernels.paths.labels import Paths
from qopt.kernels.paths.limits import Limits

MANY_LAYERS = 2_500
"""Layers from which on a shortest path takes tenths of a second, so that the lightest state of each layer must do."""


def light_path(paths: Paths, graph: Layered | Digraph, bounds: Limits) -> IntArray | None:
    """Steps of a path of little resource, each row counted as a share of its limit; None where there is none.

    Parameters
    ----------
    paths : shortest paths of the graph, not asked for the time.
    graph : layers, or a digraph.
    bounds : its limits.
    """
    # A row of no room counts as much as one of the largest amount's share.
    units = np.maximum(bounds.room, bounds.largest * 2.0**-30)
    largest = bounds.largest / np.where(units > 0, units, 1.0)
    shares = np.where(bounds.largest > 0, largest / np.where(bounds.largest > 0, bounds.largest, 1.0), 0.0)
    top = float(shares.max(initial=0.0)) or 1.0
    weights = np.concatenate(([0.0], shares / top))
    if isinstance(graph, Layered) and graph.layers > MANY_LAYERS:
        load = np.tensordot(weights[1:], graph.node_resource[bounds.rows], 1)
        path = np.argmin(np.where(graph.node_cost < np.inf, load, np.inf), axis=1)
        return path if np.isfinite(graph.terms(path)[0]).all() else None
    return paths.shortest(weights, paths.everything)[1]


def least_costs(graph: Layered | Digraph) -> float:
    """What every path costs at least, from the least cost of each layer alone; -inf where nothing is known.

    Parameters
    ----------
    graph : layers, or a digraph.
    """
    if isinstance(graph, Digraph):
        return 0.0 if not np.any(graph.cost < 0) else -math.inf
    least: FloatArray = graph.node_cost.min(axis=1)
    terms = least.tolist()
    if graph.arc_cost is not None:
        if graph.arc_cost.ndim == 2:
            terms += [float(graph.arc_cost.min())] * (graph.layers - 1)
        else:
            terms += graph.arc_cost.min(axis=(1, 2)).tolist()
    return math.nextafter(math.fsum(terms), -math.inf) if all(map(math.isfinite, terms)) else -math.inf

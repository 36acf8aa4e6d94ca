"""Resource-constrained shortest path, exactly, with a proof.

    minimise cost(p)  subject to  resource_r(p) <= limit_r for every r,  p a path from source to target

in layers of states, in graphs without cycles and in digraphs (G. Y. Handler and I. Zang, A dual algorithm for the
constrained shortest path problem, Networks 10 (1980) 293-309; J. E. Beasley and N. Christofides, Networks 19 (1989)
379-394). The Lagrangian dual gives a bound and first paths. States and arcs whose best path is no better than the
incumbent leave for good. Labels, pruned by suffixes for several multipliers and by dominance, then find the
optimum, in passes of growing width. Last, branch and bound writes the proof, a tree that anyone can check.
`approximate` settles for a guarantee, in polynomial time.

Sums round: labels within rounding of a limit are kept, and complete paths are judged by the exact test. Where
rounding might hide the optimum, a search in whole numbers tells.
The kernel knows nothing of networks.

Constants that are called measured, here and in `qopt.kernels.paths`, were tried at other values by the processor's time
on six diagrams of the kernels' benchmark, 50 epochs x 20 states; differences below a fifth are noise.
"""

from __future__ import annotations

import math
import time
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.errors import InputError, shown
from qopt.kernels.arguments import LARGEST, check_options, number, table
from qopt.kernels.exact import Late, almost
from qopt.kernels.nodes import Node
from qopt.kernels.paths.approximate import approximate
from qopt.kernels.paths.dual import Dual, ascent, maximise
from qopt.kernels.paths.exact import ExactPaths, few_arcs
from qopt.kernels.paths.graph import Digraph, Layered, read_orlib
from qopt.kernels.paths.labels import MULTIPLES, Outcome, Paths, guided
from qopt.kernels.paths.late import least_costs, light_path
from qopt.kernels.paths.layers import LayerPaths
from qopt.kernels.paths.limits import Incumbent, Limits, limits
from qopt.kernels.paths.model import Cuts, OuterModel
from qopt.kernels.paths.result import Result, answer
from qopt.kernels.paths.tree import Claim, branch, leaf, writable

__all__ = ["Digraph", "Layered", "Result", "approximate", "read_orlib", "solve"]

MAX_LABELS = 20_000_000
"""Labels kept in all before the search stops with a bound: 160 MB at 8 bytes each, step and parent."""

WITNESS_NODES = 500
"""Nodes of branch and bound that may go into a proof. Chosen: a proof must not take much longer than the search."""

WITNESS_LABELS = 10_000
"""Labels of a search up to which its proof may be one leaf, whose checker makes them again: some tenths of a second."""

LABELS_FROM = 5_000
"""Arcs from which on such a leaf is written; in smaller graphs a tree of multipliers alone takes no time, and other
formats know it as well."""

WITNESS_WORK = 100_000_000
"""Arcs times nodes that may go into a proof, so that it costs little in large graphs."""

FIXING_PAYS = 0.9
"""Elements are dropped again, with the dual raised over what is left, while at most this share of them stays.
Measured: 0.5 and 0.99 are as good."""

WIDTHS = (100.0, 2_000.0, 50_000.0, math.inf)
"""Labels kept in a round, pass by pass: a narrow pass finds good paths early, by which elements leave. Measured: one
pass without a width is as good on small diagrams; on large ones it keeps every label."""


def solve(
    graph: Layered | Digraph,
    limit: ArrayLike,
    *,
    lower: ArrayLike | None = None,
    upper: float = math.inf,
    gap: float = 0.0,
    time_limit: float | None = None,
    max_labels: int | None = MAX_LABELS,
    witness_nodes: int | None = WITNESS_NODES,
    witness_labels: int | None = WITNESS_LABELS,
) -> Result:
    """Solve a resource-constrained shortest path to proved optimality.

    Parameters
    ----------
    graph : `Layered` or `Digraph`.
    limit : (R,) on the sums of resources, or a number for one; relative slack 1e-12; infinite for none.
    lower : (R,) lower limits; only values <= 0, which say nothing, are taken.
    upper : only paths of lower cost than this are of interest.
    gap : relative; stop when objective - bound <= gap |objective|.
    time_limit : seconds; when it is over, the best path and a valid bound are returned.
    max_labels : labels kept before the search stops, as at a time limit.
    witness_nodes : nodes of branch and bound spent on the proof, fewer in large graphs; 0 for no proof.
        None, here and for `max_labels`, stands for what is usual.
    witness_labels : in large graphs the proof may ask its checker for so many labels; 0 for a tree whose leaves are
        multipliers alone, as VIPR has them.

    Returns
    -------
    `Result`: status, path, objective, bound, and the tree that proves it.

    Raises
    ------
    InputError
        A limit that is not a number, a positive lower limit, an option out of its range.
    """
    if not isinstance(graph, Layered | Digraph):
        raise InputError("graph", shown(graph), "a Layered or a Digraph")
    checked = _limits("limit", limit, graph.resources)
    _check_lower(lower, graph.resources)
    counts = {"max_labels": max_labels, "witness_nodes": witness_nodes, "witness_labels": witness_labels}
    check_options(upper, gap, time_limit, **counts)
    max_labels = MAX_LABELS if max_labels is None else max_labels
    witness_nodes = WITNESS_NODES if witness_nodes is None else witness_nodes
    witness_labels = WITNESS_LABELS if witness_labels is None else witness_labels
    at_once = _at_once(graph, checked, float(upper), witness_nodes > 0)
    if at_once is not None:
        return at_once
    run = _Run(graph, limits(graph, checked), float(upper), gap, time_limit)
    return run.finish(run.search(max_labels), witness_nodes, witness_labels)


def _at_once(graph: Layered | Digraph, limit: FloatArray, upper: float, prove: bool) -> Result | None:
    """What needs no search: a limit below 0, which no resources keep, and an empty path, which none beats."""
    negative, empty = np.flatnonzero(limit < 0), isinstance(graph, Digraph) and graph.source == graph.target
    if not negative.size and not empty:
        return None
    node: Node = ["leaf", 0 if negative.size else 1, *[0.0] * graph.resources]
    if negative.size:
        node[2 + int(negative[0])] = 1.0
    tree = [node] if prove else None
    details: dict[str, object] = {"root_bound": None if negative.size else 0.0, "root_leaf": node}
    if negative.size:
        return Result("infeasible", tree=tree, details=details)
    if not upper > 0:
        return Result("cutoff", bound=upper, tree=tree, details=details)
    assert isinstance(graph, Digraph)
    none, used = np.zeros(0, dtype=np.int64), np.zeros(graph.resources)
    status: Literal["optimal", "optimal-by-solver"] = "optimal" if prove else "optimal-by-solver"
    return Result(status, np.array([graph.source]), none, 0.0, used, bound=0.0, tree=tree, details=details)


class _Run:
    """One call of `solve`."""

    def __init__(
        self, graph: Layered | Digraph, bounds: Limits, upper: float, gap: float, time_limit: float | None
    ) -> None:
        self.graph, self.bounds, self.upper, self.gap = graph, bounds, upper, gap
        self.deadline = None if time_limit is None else time.perf_counter() + time_limit
        self.incumbent = Incumbent(graph, bounds, upper)
        self.paths: Paths
        if isinstance(graph, Layered):
            self.paths = LayerPaths(graph, bounds.rows)
        else:
            from qopt.kernels.paths.arcs import ArcPaths

            self.paths = ArcPaths(graph, bounds.rows)
        units = np.maximum(np.abs(bounds.room), bounds.largest)
        self.model = OuterModel(bounds.room, self.incumbent.largest, units)
        self.bound = -math.inf
        self.details: dict[str, object] = {}
        self.whole: ExactPaths | None = None
        self.labels = 0
        """Labels of all passes."""
        self.last: Dual | None = None
        """What bounded those of the last one."""
        self.paths.deadline = self.deadline
        none = np.zeros(len(bounds.rows))
        try:
            self.root = self._dual(self.paths.everything, Cuts(), none)
        except Late:
            self.root = Dual(least_costs(graph), np.concatenate(([1.0], none)), Cuts())
        self.bound = self.root.bound
        self.details["root_bound"] = self.root.bound if math.isfinite(self.root.bound) else None
        self.details["root_leaf"] = leaf(self.root.weights, bounds.rows, graph.resources)

    def late(self) -> bool:
        """Whether the time is over."""
        return self.deadline is not None and time.perf_counter() > self.deadline

    def closed(self) -> bool:
        """Whether nothing better is left."""
        return self.bound >= self.incumbent.cutoff

    def within_gap(self) -> bool:
        """Whether the gap asked for is reached."""
        value = self.incumbent.value
        return self.gap > 0 and self.incumbent.path is not None and value - self.bound <= self.gap * abs(value)

    def search(self, max_labels: int) -> bool:
        """Labels in passes of growing width; whether the search is complete."""
        try:
            return self._search(max_labels)
        except Late:
            return False

    def _search(self, max_labels: int) -> bool:
        """`search`; Late where a pass is broken off."""
        allowed = self.paths.everything
        dual = self.root
        for width in WIDTHS:
            if self.closed():
                return True
            if self.within_gap() or self.late():
                return False
            allowed, dual = self._fix(allowed, dual)
            self.details["left"] = int(np.count_nonzero(allowed))
            if self.closed() or self.late():
                continue
            outcome = self._pass(allowed, dual, width, max_labels - self.labels)
            self.last = dual
            self.labels += outcome.labels
            self.details["labels"] = self.labels
            if outcome.complete:
                return True
            self.bound = max(self.bound, min(outcome.bound, self.incumbent.value))
            if self.labels >= max_labels:
                return False
        return self.closed()

    def _dual(self, allowed: BoolArray, cuts: Cuts, guess: FloatArray) -> Dual:
        steps = ascent(self.bounds, self.incumbent, self.model, cuts, guess=guess, deadline=self.deadline)
        return maximise(self.paths.shortest, allowed, steps)

    def _fix(self, allowed: BoolArray, dual: Dual) -> tuple[BoolArray, Dual]:
        """Drop elements that no better path uses, and raise the dual over what is left, while it pays."""
        room = self.bounds.room + self.bounds.margin
        for i in range(len(room)):
            weights = np.zeros(1 + len(room))
            weights[1 + i] = 1.0
            allowed = allowed & (self.paths.through(weights, allowed) <= room[i])
        if not allowed.any():
            self.bound = math.inf
        while allowed.any() and not self.late():
            before = int(np.count_nonzero(allowed))
            shift = float(dual.weights[1:] @ room)
            allowed = allowed & (self.paths.through(dual.weights, allowed) - shift < self.incumbent.cutoff)
            if np.count_nonzero(allowed) > FIXING_PAYS * before:
                break
            inside = [i for i, path in enumerate(dual.cuts.paths) if self.paths.holds(allowed, path)]
            dual = self._dual(allowed, dual.cuts.take(inside), dual.weights[1:])
            self.bound = max(self.bound, min(dual.bound, self.incumbent.value))
            if dual.bound >= self.incumbent.cutoff:
                self.bound = math.inf
                break
        return allowed, dual

    def _pass(self, allowed: BoolArray, dual: Dual, width: float, max_labels: int) -> Outcome:
        """One search by labels."""
        return guided(
            self.paths,
            self.bounds,
            allowed,
            dual.weights,
            self.incumbent,
            width=width,
            deadline=self.deadline,
            max_labels=max_labels,
        )

    def finish(self, complete: bool, witness_nodes: int, witness_labels: int) -> Result:
        """The answer, with a proof where one is found in time."""
        incumbent, exact = self.incumbent, False
        if complete and (incumbent.refused_cost < incumbent.value or not incumbent.precise):
            exact = self._solve_exactly()
            # A cheaper path was refused within rounding: it may have hidden one that fits.
            complete = exact or not incumbent.refused_cost < incumbent.value
        if not complete:
            return self._unproved()
        path, tree = incumbent.path, None
        if witness_nodes:
            exhausted = False
            if self.root.bound >= incumbent.proof_cutoff:
                tree = [leaf(self.root.weights, self.bounds.rows, self.graph.resources)]
            elif incumbent.precise:
                tree = self._relabelled(witness_labels)
                if tree is None:
                    tree, exhausted = self._witness(witness_nodes)
            if tree is not None and not writable(tree):
                tree = None
            if tree is None and not exhausted:  # it was not for want of nodes: floats cannot tell
                tree = self._prove_exactly(witness_nodes)
        if path is None:
            if math.isinf(self.upper) or self.root.bound == math.inf:
                return Result("infeasible", tree=tree, details=self.details)
            return Result("cutoff", bound=self.upper, tree=tree, details=self.details)
        if tree is None and self.gap > 0 and witness_nodes:
            within = self._by_root(path)  # what was asked for can be proved, what was found cannot
            if within is not None:
                return within
        status: Literal["optimal", "optimal-by-solver"] = "optimal-by-solver" if tree is None else "optimal"
        bound = incumbent.value
        if tree is None and not (exact or incumbent.precise):
            bound -= 4 * incumbent.rounding
        return Result(status, *answer(self.graph, path), bound=bound, tree=tree, details=self.details)

    def _exact(self) -> ExactPaths | None:
        """The graph in whole numbers, where it is small and there is time."""
        if self.whole is None and few_arcs(self.graph) and not self.late():
            self.whole = ExactPaths(self.graph, self.bounds, self.deadline)
        return self.whole

    def _solve_exactly(self) -> bool:
        """Search again in whole numbers, where the graph is small; whether that is complete."""
        whole, incumbent = self._exact(), self.incumbent
        if whole is None:
            return False
        complete, found = whole.cheapest(self.root.weights[1:], whole.below(incumbent.path, self.upper))
        if found is not None:
            incumbent.offer(found)
        return complete

    def _prove_exactly(self, nodes: int) -> list[Node] | None:
        """A tree in whole numbers, where the graph is small."""
        whole = self._exact()
        if whole is None:
            return None
        target = whole.below(self.incumbent.path, self.upper)
        if target is not None and self.incumbent.path is not None:
            target = almost(target)
        return whole.prove([self.root.weights], target, nodes)

    def _unproved(self) -> Result:
        """Stopped early: the best path, a light one where none was found, and the bound."""
        if self.incumbent.path is None:
            self.paths.deadline = None
            light = light_path(self.paths, self.graph, self.bounds)
            if light is not None:
                self.incumbent.offer(light)
        path, value = self.incumbent.path, self.incumbent.value
        bound = min(self.bound - self.incumbent.rounding, value) if self.bound > -math.inf else None
        if path is None:
            return Result("limit", bound=bound, details=self.details)
        reached = bound is not None and self.gap > 0 and value - bound <= self.gap * abs(value)
        if not reached:
            return Result("limit", *answer(self.graph, path), bound=bound, details=self.details)
        within = Result("within-gap", *answer(self.graph, path), bound=bound, details=self.details)
        return self._by_root(path) or within

    def _by_root(self, path: IntArray) -> Result | None:
        """The answer within the gap, where the root's bound alone proves it: its leaf is the tree."""
        value = self.incumbent.value
        least = min(self.root.bound, value)
        if value - least > self.gap * abs(value):
            return None
        tree = [leaf(self.root.weights, self.bounds.rows, self.graph.resources)]
        if not writable(tree):
            return None
        return Result("within-gap", *answer(self.graph, path), bound=least, tree=tree, details=self.details)

    def _relabelled(self, most: int) -> list[Node] | None:
        """One leaf that has the labels of the search made again; None where these are many, or the graph is small.

        They are as few for the checker: at the same multipliers, and what was fixed out is out by its bound as well.
        """
        if self.incumbent.path is None or self.paths.revisits or self.last is None or self.arcs < LABELS_FROM:
            return None
        if not 0 < self.labels <= most:
            return None
        multipliers = np.zeros(self.graph.resources)
        multipliers[self.bounds.rows] = self.last.weights[1:]
        several = [multipliers, *(factor * multipliers for factor in MULTIPLES if factor)]
        if not max(float(x.max(initial=0.0)) for x in several) <= LARGEST:
            return None
        return [["labels", [x.tolist() for x in several]]]

    @property
    def arcs(self) -> int:
        """About how many the graph has."""
        graph = self.graph
        return graph.layers * graph.states**2 if isinstance(graph, Layered) else len(graph.cost)

    def _witness(self, nodes: int) -> tuple[list[Node] | None, bool]:
        """A tree by branch and bound; if there is none, whether nodes or time were too few for it."""
        graph = self.graph
        claim = Claim(
            paths=self.paths,
            bounds=self.bounds,
            resources=graph.resources,
            incumbent=self.incumbent,
            cutoff=self.incumbent.proof_cutoff,
            model=self.model,
            deadline=self.deadline,
        )
        most = min(nodes, WITNESS_WORK // max(self.arcs, 1))
        try:
            proof = branch(claim, self.root.cuts, self.root.weights[1:], max_nodes=most)
        except Late:
            return None, True
        self.details["nodes"] = proof.nodes
        return proof.tree, most < 1 or proof.nodes > most or self.late()


def _limits(name: str, value: ArrayLike, rows: int) -> FloatArray:
    """(R,) numbers; infinity above is allowed."""
    if isinstance(value, list | tuple | np.ndarray):
        array = table(name, np.atleast_1d(value) if isinstance(value, np.ndarray) else value, "(R,)", infinite=True)
    else:
        array = np.array([number(name, value, "a number, or one for each resource; inf for no limit")])
    if array.shape != (rows,):
        raise InputError(name, shown(value), f"{rows} numbers, one for each resource")
    return array


def _check_lower(lower: ArrayLike | None, rows: int) -> None:
    if lower is None:
        return
    for r, value in enumerate(_limits("lower", lower, rows)):
        if value > 0:
            raise InputError(
                "lower" if rows == 1 else f"lower[{r}]",
                f"{value}",
                "values <= 0: under a positive lower limit a path that another beats in cost and resources may be "
                "the only feasible one, so dominance would not be exact",
            )

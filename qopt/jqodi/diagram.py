"""The time-energy diagram (Fig. 5) as a networkx DiGraph: source -> model -> bit-width -> epoch 1 -> ... -> Theta.

An arc has the energy and the time of the step it stands for: quantizing, an epoch in a state with the change before it,
nothing into Theta. A plan is a path from source to Theta, its energy the sum along the path.

Vertices of an epoch are states, a server and a cut; what has gone before does not matter for what is to come, so the
diagram has K |X| |J| of them for a model and width. The paper has the elapsed time in the vertex as well. Then every
way to reach a state is a vertex of its own, and the diagram a tree with (|X| |J|)^K leaves: `tree=True`.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qopt.core.arguments import whole
from qopt.core.errors import InputError, shown
from qopt.core.files import write_whole
from qopt.core.limits import within
from qopt.core.reading import problem_of
from qopt.jqodi.plan import JqodiPlan, checked_plan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import Candidate, candidate_at, setup

if TYPE_CHECKING:
    import networkx as nx

SOURCE, THETA = "source", "theta"
"""Names of the first and the last vertex."""

MAX_SIZE = 100_000
"""Vertices and arcs of a diagram, by default."""


def diagram(problem: Jqodi, *, tree: bool = False, max_size: int = MAX_SIZE) -> nx.DiGraph:
    """The time-energy diagram of a problem.

    Parameters
    ----------
    tree : a vertex for each way to reach a state within T_max, as the paper's Algorithm 1 has it; else one for each
        state. The number of epochs is the one of the problem's estimate; the paper's is the robust one.
    max_size : vertices and arcs, at most.

    Returns
    -------
    A `networkx.DiGraph`. Vertices are texts: ``source``, ``M``, ``M/8``, ``M/8/2/x/1`` (epoch 2 on server x with cut
    1; in a tree, the servers and cuts of all epochs), ``theta``. Attributes of a vertex: ``kind`` (source, model,
    width, epoch, theta), ``layer`` (0 for the source, 1 models, 2 widths, 2 + k epoch k), and where they apply
    ``model``, ``bits``, ``epoch``, ``server``, ``cut``, ``reaches`` (whether a width ever reaches its loss); in a tree
    ``elapsed`` [s] too, and ``spent`` [J]. Attributes of an arc: ``energy`` [J] and ``time`` [s].

    Raises
    ------
    InputError
        The problem is none of this family, or the diagram is larger.
    """
    import networkx as nx

    problem = problem_of(Jqodi, problem)
    max_size = whole("max_size", max_size, 1, 10**8)
    graph = nx.DiGraph(name=problem.name, mode=problem.mode, time_limit=problem.time_limit)
    graph.add_node(SOURCE, kind="source", layer=0)
    last = 3 + max((problem.needed(m, w) or 0 for m, w in problem.admissible), default=0)
    graph.add_node(THETA, kind="theta", layer=last)
    for model, width in problem.admissible:
        if model.name not in graph:
            graph.add_node(model.name, kind="model", layer=1, model=model.name)
            graph.add_edge(SOURCE, model.name, energy=0.0, time=0.0)
        needed = problem.needed(model, width)
        key = f"{model.name}/{width.bits}"
        of_width = {"kind": "width", "layer": 2, "model": model.name, "bits": width.bits}
        graph.add_node(key, **of_width, reaches=needed is not None)
        energy, time = setup(problem, model, width)
        graph.add_edge(model.name, key, energy=energy, time=time)
        if needed is not None:
            candidate = candidate_at(problem, model.name, width.bits)
            steps = _tree(problem, candidate) if tree else _states(problem, candidate)
            for vertex, of_vertex, before, of_arc in steps:
                graph.add_node(vertex, **of_vertex)
                graph.add_edge(before, vertex, **of_arc)
                if of_vertex["layer"] == 2 + candidate.epochs:
                    graph.add_edge(vertex, THETA, energy=0.0, time=0.0)
                if len(graph) + graph.number_of_edges() > max_size:
                    raise InputError("max_size", str(max_size), _larger(problem, tree))
    return graph


def _larger(problem: Jqodi, tree: bool) -> str:
    """What a diagram that is too large would take."""
    size = 0.0
    for model, width in problem.admissible:
        epochs, states = problem.needed(model, width) or 0, len(problem.servers) * len(model.admissible_cuts)
        if tree and problem.mode != "choice":
            size += 10.0 ** min(epochs * math.log10(max(states, 1)), 300.0)
        else:
            size += epochs * states * (1 if problem.mode == "choice" else 1 + states)
    what = "(a tree; tree=False is smaller)" if tree else ""
    return f"room for up to about {size:.3g} vertices and arcs {what}".rstrip()


Step = tuple[str, dict[str, object], str, dict[str, float]]
"""A vertex and its attributes, the vertex before, the attributes of the arc between them."""


def vertex(candidate: Candidate, k: int, state: int) -> str:
    """Name of a state's vertex in epoch k, from 0.

    Parameters
    ----------
    k : epoch, from 0.
    state : index into the candidate's states.
    """
    server, cut = candidate.states[state]
    return f"{candidate.key}/{candidate.done + k + 1}/{server}/{cut}"


def arc(candidate: Candidate, k: int, before: int | None, state: int) -> dict[str, float]:
    """Energy and time of epoch k, from 0, and of the change before it.

    Parameters
    ----------
    k : epoch, from 0.
    before : state of the epoch before, an index; None for the first epoch.
    state : index into the candidate's states.
    """
    energy, time = step_terms(candidate, k, before, state)
    return {"energy": sum(energy), "time": sum(time)}


def _attributes(candidate: Candidate, k: int, state: int) -> dict[str, object]:
    server, cut = candidate.states[state]
    return {
        "kind": "epoch",
        "layer": 3 + k,
        "model": candidate.model,
        "bits": candidate.bits,
        "epoch": candidate.done + k + 1,
        "server": server,
        "cut": cut,
    }


def _states(problem: Jqodi, candidate: Candidate) -> Iterator[Step]:
    """A vertex for each possible state of each epoch."""
    for k in range(candidate.epochs):
        for s in np.flatnonzero(np.isfinite(candidate.time[k])).tolist():
            here = (vertex(candidate, k, s), _attributes(candidate, k, s))
            if k == 0:
                yield *here, candidate.key, arc(candidate, k, None, s)
                continue
            earlier = np.flatnonzero(np.isfinite(candidate.time[k - 1])).tolist()
            for r in earlier if problem.mode != "choice" else [s] * (s in earlier):
                yield *here, vertex(candidate, k - 1, r), arc(candidate, k, r, s)


def _tree(problem: Jqodi, candidate: Candidate) -> Iterator[Step]:
    """A vertex for each sequence of states within T_max, depth first."""
    if not within([candidate.setup_time], problem.time_limit):
        return
    pending: list[tuple[str, int | None, int, list[float], list[float]]] = [
        (candidate.key, None, 0, [candidate.setup_energy], [candidate.setup_time])
    ]
    while pending:
        before, last, k, energy, time = pending.pop()
        following = np.flatnonzero(np.isfinite(candidate.time[k])).tolist()
        if last is not None and problem.mode == "choice":
            following = [s for s in following if s == last]
        for s in following:
            more = step_terms(candidate, k, last, s)
            joules, seconds = energy + more[0], time + more[1]
            if not within(seconds, problem.time_limit):
                continue
            server, cut = candidate.states[s]
            name = f"{before}/{server}/{cut}"
            elapsed = {"elapsed": math.fsum(seconds), "spent": math.fsum(joules)}
            yield name, _attributes(candidate, k, s) | elapsed, before, arc(candidate, k, last, s)
            if k + 1 < candidate.epochs:
                pending.append((name, s, k + 1, joules, seconds))


def step_terms(candidate: Candidate, k: int, before: int | None, state: int) -> tuple[list[float], list[float]]:
    """Energies and times of epoch k, from 0: the epoch's own, then those of the change before it.

    Parameters
    ----------
    k : epoch, from 0.
    before : state of the epoch before, an index; None for the first epoch.
    state : index into the candidate's states.
    """
    energy, time = [float(candidate.energy[k, state])], [float(candidate.time[k, state])]
    if before is not None and candidate.switch_energy is not None and k < candidate.counted:
        energy.append(float(candidate.switch_energy[before, state]))
    if before is not None and candidate.switch_time is not None:
        time.append(float(candidate.switch_time[before, state]))
    return energy, time


def plan_vertices(problem: Jqodi, plan: JqodiPlan, *, tree: bool = False) -> list[str]:
    """The vertices of a plan's path through the diagram.

    Parameters
    ----------
    tree : whether the diagram is a tree.
    """
    checked_plan(problem_of(Jqodi, problem), plan)
    key = f"{plan.model}/{plan.bits}"
    first = problem.done + 1
    pairs = [f"{server}/{cut}" for server, cut in zip(plan.servers, plan.cuts, strict=True)]
    names = (
        list(itertools.accumulate(pairs, "{}/{}".format)) if tree else [f"{k}/{x}" for k, x in enumerate(pairs, first)]
    )
    return [SOURCE, plan.model, key, *(f"{key}/{name}" for name in names), THETA]


def write_diagram(graph: nx.DiGraph, path: str | os.PathLike[str]) -> None:
    """Write a diagram to a file, as GraphML (``.graphml``) or as node-link JSON (``.json``).

    Parameters
    ----------
    graph : as `diagram` makes it.
    path : of the file to write; its ending says how.

    Raises
    ------
    InputError
        Another ending, or a file that cannot be written.
    """
    import networkx as nx

    ending = Path(path).suffix.lower()
    if ending == ".graphml":
        write_whole(path, lambda file: nx.write_graphml(graph, file))
    elif ending == ".json":
        text = json.dumps(nx.node_link_data(graph, edges="edges"), indent=1) + "\n"
        write_whole(path, lambda file: file.write(text.encode()))
    else:
        raise InputError("path", shown(str(path)), "a file that ends in .graphml or .json")

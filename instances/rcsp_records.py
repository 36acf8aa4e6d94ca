"""The OR-Library's constrained paths in the library of best-known values: solved, proved and checked by the kernel."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import qopt
from qopt.kernels import exchange, rcsp

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """The files, as ``rcsp/rcsp1``."""
    return [f"rcsp/{path.stem}" for path in sorted((FOLDER / "rcsp").glob("rcsp*.txt"))]


def fingerprint(name: str) -> str:
    """16 hex digits of a file's numbers."""
    words = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split()
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]


def published(name: str) -> float:
    """The optimum that was published with a file."""
    optima: dict[str, float] = json.loads((FOLDER / "rcsp" / "optima.json").read_text(encoding="utf-8"))
    return float(optima[name.split("/")[1]])


def instance(name: str) -> dict[str, object]:
    """A file as an instance of the checker. Its lower limits are all 0, and no amount is negative: they say nothing."""
    graph, lower, upper = rcsp.read_orlib(FOLDER / f"{name}.txt")
    assert not lower.any()
    return exchange.rcsp_instance(graph, upper)


def solved(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Record and claims of a path that the kernel finds and proves."""
    graph, _, upper = rcsp.read_orlib(FOLDER / f"{name}.txt")
    result = rcsp.solve(graph, upper)
    assert result.arcs is not None
    claim = {"about": "the path", "instance": instance(name), "witness": exchange.rcsp_witness(result)}
    found = {
        "format": "qopt/path",
        "version": 1,
        "instance": name,
        "problem": name.split("/")[1],
        "fingerprint": fingerprint(name),
        "status": "optimal",
        "objective": result.objective,
        "bound": result.bound,
        "plan": {"arcs": [int(arc) for arc in result.arcs]},
        "proved": {
            "kind": "witness",
            "method": "qopt.kernels.rcsp",
            "solver": None,
            "by": "qopt",
            "qopt": qopt.__version__,
            "date": datetime.date.today().isoformat(),
            "files": 1,
            "no_files": "",
        },
    }
    return found, [claim]


def faults(name: str, found: dict[str, Any]) -> list[str]:
    """What is wrong with a record, a line each."""
    if found["fingerprint"] != fingerprint(name):
        return [f"{name}: the file has changed; run python instances/best.py update {name}"]
    graph, _, upper = rcsp.read_orlib(FOLDER / f"{name}.txt")
    arcs = found["plan"]["arcs"]
    at, lines = graph.source, []
    for arc in arcs:
        if graph.tail[arc] != at:
            return [f"{name}: the arcs are no path"]
        at = int(graph.head[arc])
    cost, used = (values.sum(axis=-1) for values in graph.terms(arcs))
    if at != graph.target or (used > upper).any():
        lines.append(f"{name}: the path does not end at the target, or breaks a limit")
    if float(cost) != found["objective"]:
        lines.append(f"{name}: the path costs {float(cost):.12g}, not {found['objective']:.12g}")
    if found["objective"] != published(name):
        lines.append(f"{name}: {published(name):.12g} is published, not {found['objective']:.12g}")
    return lines

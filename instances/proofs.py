"""Proofs of best-known values as files for the standalone checker (`qopt/kernels/checker.py`).

A value U is the best where nothing keeps the limits and costs less. An instance falls into parts: the cuts of a QPART
request, the operators of a placement, the candidates of JQODI, the one knapsack of an allocation or of a fleet. For
each there is a claim, a pair of files that the checker reads:

* `below`: a knapsack, or path, whose costs are a limit too, U (1 - 1e-9) less what the part costs in any case. That
  nothing keeps its limits is the claim; a leaf ``["leaf", 1, lam, ...]`` of a witness becomes
  ``["leaf", 0, 1, lam, ...]``.
* `optimum`: a minimum cut or a knapsack with its answer; what it proves as the least must reach U (1 - 1e-9).

A part that costs more before anything is chosen needs no file. Where the certificate enumerates there is no file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from qopt.allocation.certificate.reading import HALF, Reading, read
from qopt.allocation.problem import Allocation
from qopt.core.problem import Problem
from qopt.fleet.certificate.closing import instance as fleet_instance
from qopt.fleet.problem import Fleet
from qopt.fleet.units import units
from qopt.jqodi.certificate import arrays as jqodi_arrays
from qopt.jqodi.certificate.bounds import dual
from qopt.jqodi.certificate.instances import knapsack, layered
from qopt.jqodi.problem import Jqodi
from qopt.kernels import checker
from qopt.placement.certificate.bounds import cut_instance
from qopt.placement.costs import labellings
from qopt.placement.problem import Placement
from qopt.qpart.certificate.bounds import best_bound
from qopt.qpart.certificate.cuts import CutTable
from qopt.qpart.problem import QPart

GAP = Fraction(1, 10**9)
"""Share of a best-known value below which nothing was looked for: the tolerance of certificates."""

ROOM = 1.0 - 4e-12
"""A limit on costs stands for a little more, see the checker: this takes it off."""

Claim = dict[str, Any]


class NoFile(Exception):
    """Why a proof cannot be written as files."""


def claims(problem: Problem, plan: Any, objective: float, witness: object) -> list[Claim]:
    """What proves that no plan costs less than ``objective`` by more than 1e-9 of it, part by part.

    Parameters
    ----------
    problem : of any family.
    plan : the best one known.
    objective : its value.
    witness : of the method that found it.

    Raises
    ------
    NoFile
        The proof is no set of kernel instances; or the checker does not accept one of them.
    """
    least = Fraction(objective) - GAP * abs(Fraction(objective))
    kinds: dict[type, Any] = {
        QPart: _cuts,
        Placement: _operators,
        Jqodi: _candidates,
        Allocation: _knapsack,
        Fleet: _requests,
    }
    parts = kinds[type(problem)](problem, plan, least, witness)
    found = []
    for about, attempts in parts:
        reasons = []
        for claim in attempts:
            reason = refuted(claim, least)
            if reason is None:
                found.append({"about": about, **claim})
                break
            reasons.append(reason)
        else:
            raise NoFile(f"{about}: {reasons[0] if reasons else 'nothing to check'}")
    return found


def refuted(claim: Mapping[str, Any], least: Fraction) -> str | None:
    """Why a claim does not hold; None if the checker accepts it, and what it proves is enough.

    Parameters
    ----------
    claim : with ``instance`` and ``witness``.
    least : what every plan must cost at least.
    """
    verdict = checker.check(claim["instance"], claim["witness"], gap=checker.GAP)
    if not verdict.accepted:
        return verdict.reason
    if verdict.bound is None or verdict.bound >= least:
        return None
    return f"it proves {float(verdict.bound):.12g}, which is less than {float(least):.12g}"


Part = tuple[str, list[Claim]]


def _file(kind: str, fields: Mapping[str, Any], answer: Mapping[str, Any]) -> Claim:
    head = {"version": 1, "kind": kind}
    return {
        "instance": {"format": "qopt/kernel-instance", **head, **fields},
        "witness": {"format": "qopt/kernel-witness", **head, **answer},
    }


def _rays(tree: object) -> list[Any]:
    """A tree of bounds as one of rays, the costs being the first limit."""
    if not isinstance(tree, list):
        raise NoFile("no tree")
    nodes: list[Any] = []
    for node in tree:
        if node[0] == "leaf":
            nodes.append(["leaf", 0, node[1], *node[2:]])
        elif node[0] in ("split", "out", "cross"):
            nodes.append(node)
        else:
            raise NoFile(f"a leaf of kind {node[0]}, which counts sums")
    return nodes


def _room(least: Fraction, fixed: float) -> float:
    """The limit on costs: what is left below U (1 - 1e-9)."""
    left = float(least - Fraction(fixed))
    return left * ROOM if left >= 0 else left * (2.0 - ROOM)


# --- families -----------------------------------------------------------------------------------------------------


def _cuts(problem: QPart, plan: Any, least: Fraction, witness: Any) -> Iterator[Part]:  # noqa: ARG001
    table = CutTable(problem, "whole")
    trees = witness.get("cuts", {}) if isinstance(witness, dict) else {}
    for p in problem.admissible_cuts.tolist():
        cost, noise, limit, stored, memory, base = table.knapsack(p)
        if Fraction(base) + sum((Fraction(min(row)) for row in cost), Fraction(0)) >= least:
            continue
        limits = [_room(least, base), *(None if math.isinf(x) else x for x in (limit, memory))]
        fields = {"cost": cost, "weight": [cost, noise, stored], "limit": limits}
        attempts = [_rays(trees[str(p)])] if str(p) in trees else []
        found = best_bound(table.at(p))
        given = [x if math.isfinite(x) else 0.0 for x in (found.lam, found.mu)]
        attempts += [[["leaf", 0, *leaf]] for leaf in ((1, *given), (0, *given), (0, 1, 0), (0, 0, 1))]
        yield f"cut {p}", [_file("mckp", fields, {"choice": None, "tree": tree}) for tree in attempts]


def _operators(problem: Placement, plan: Any, least: Fraction, witness: Any) -> Iterator[Part]:  # noqa: ARG001
    trees = witness.get("operators", {}) if isinstance(witness, dict) else {}
    for name, (_, costs) in labellings(problem).items():
        match trees.get(name):
            case [["leaf", 1, multipliers, labels, flow]] if not any(multipliers.values()):
                claim = _file("cut", {}, {"labels": labels, "flow": flow})
                yield f"operator {name}", [{**claim, "instance": cut_instance(costs)}]
            case _:
                raise NoFile(f"operator {name}: limits, whose proof is a tree of flows")


def _candidates(problem: Jqodi, plan: Any, least: Fraction, witness: Any) -> Iterator[Part]:  # noqa: ARG001
    if problem.mode == "choice":
        raise NoFile("every model, width, server and cut was looked at")
    trees = witness.get("candidates", {}) if isinstance(witness, dict) else {}
    for candidate in jqodi_arrays.every(problem):
        if not candidate.possible:
            continue
        tree = trees.get(candidate.key)
        lam = dual(candidate, problem.time_limit, least).multiplier
        attempts = ([_rays(tree)] if tree is not None else []) + [[["leaf", 0, 1, lam]], [["leaf", 0, 0, 1]]]
        limits = [_room(least, 0.0), problem.time_limit]
        if candidate.changing:
            graph = layered(candidate, problem.time_limit)
            arcs: Any = graph["arcs"]
            fields = {**graph, "arcs": [[*arc[:3], *arc[2:]] for arc in arcs], "limit": limits}
            files = [_file("rcsp", fields, {"path": None, "tree": nodes}) for nodes in attempts]
        else:
            table = knapsack(candidate, problem.time_limit)
            weight: Any = table["weight"]
            fields = {"cost": table["cost"], "weight": [table["cost"], *weight], "limit": limits}
            files = [_file("mckp", fields, {"choice": None, "tree": nodes}) for nodes in attempts]
        yield f"candidate {candidate.key}", files


def _knapsack(problem: Allocation, plan: Any, least: Fraction, witness: Any) -> Iterator[Part]:  # noqa: ARG001
    if problem.interactions:
        raise NoFile("damage of pairs")
    reading = read(problem)
    tree = witness.get("tree") if isinstance(witness, dict) else None
    if tree is None:
        raise NoFile("no tree")
    limits = [(x + HALF) * (1.0 - 1e-12) if whole else x for x, whole in zip(reading.limit, reading.whole, strict=True)]
    fields = {
        "cost": reading.cost.tolist(),
        "weight": [weight.tolist() for weight in reading.weight],
        "limit": limits,
        "ties": [list(tie) for tie in reading.ties],
    }
    yield "the allocation", [_file("mckp", fields, {"choice": _columns(problem, reading, plan), "tree": tree})]


def _requests(problem: Fleet, plan: Any, least: Fraction, witness: Any) -> Iterator[Part]:  # noqa: ARG001
    tree = witness.get("tree") if isinstance(witness, dict) else None
    if tree is None:
        raise NoFile("no tree")
    own = units(problem)
    answer = {"choice": own.choice(problem, plan).tolist(), "tree": tree}
    yield "the requests", [_file("mckp", fleet_instance(own), answer)]


def _columns(problem: Allocation, reading: Reading, plan: Any) -> Sequence[int]:
    """The column of every class."""
    pools = list(problem.pools.budgets) if problem.pools is not None else [""]
    formats = list(problem.formats)
    chosen = [
        formats.index(plan.formats[name]) * len(pools) + (pools.index(plan.pools[name]) if plan.pools else 0)
        for name in problem.groups
    ]
    return [*chosen, *[0] * (len(reading.cost) - reading.groups)]

"""Instance files, table archives and requests with a few entries changed, and what must be true of the answer."""

from __future__ import annotations

import copy
import json
import math
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import qopt
from qopt.core.errors import InputError, QoptError
from qopt.core.reading import from_data
from qopt.core.solution import Solution

ENDS: tuple[Any, ...] = (
    0, -1, 1, 2, 0.5, -0.0, 1e-9, 5e-324, 2.2e-308, 1e-300, 1e-100, 9e-101, 1e-30, 1e17, 1e30, 1e100, 1.1e100,
    1e291, 1.7e308, -1e308, 2**53, 2**53 + 1, 10**40, 10**400, math.inf, -math.inf, math.nan,
)  # fmt: skip
"""Numbers at the ends of floats and of what is allowed."""

OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    "",
    "1",
    "x",
    "tier\n\x1b[2J",
    "ä" * 300,
    "\ud800",
    [],
    {},
    [[]],
    [1],
    {"a": 1},
)
"""What is no number."""


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all entries of nested data."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path for key, inner in entries for path in ((*at, key), *places(inner, (*at, key)))]


def mutated(data: Any, random: Random, most: int = 3) -> Any:
    """A copy with one to three entries changed: replaced, scaled, left out, added, doubled, or swapped with another.

    Half of them change numbers alone and by what leaves most instances valid.
    """
    data = copy.deepcopy(data)
    mild = random.random() < 0.5
    for _ in range(random.randint(1, most)):
        paths = [p for p in places(data) if p[0] not in ("format", "best_known")]
        if mild:
            paths = [p for p in paths if type(_at(data, p)[p[-1]]) in (int, float) and p[0] != "version"]
        path = random.choice(paths)
        parent, key = _at(data, path), path[-1]
        number = isinstance(parent[key], int | float) and not isinstance(parent[key], bool)
        if mild:
            others = [x for x in (parent if isinstance(parent, list) else parent.values()) if type(x) in (int, float)]
            parent[key] = _near(parent[key], others, random)
            continue
        how = random.random()
        if how < 0.55:
            parent[key] = random.choice(ENDS if number or random.random() < 0.3 else OTHERS)
        elif how < 0.7 and number and abs(parent[key]) <= sys.float_info.max:
            parent[key] *= 10.0 ** random.randint(-120, 120)
        elif how < 0.8:
            del parent[key]
        elif isinstance(parent, list):
            parent.insert(key, copy.deepcopy(random.choice(parent)))
        else:
            name = random.choice(["extra", "", "größe", "nach\nlinks", *parent])
            parent[name] = copy.deepcopy(random.choice(list(parent.values())))
    return data


def _at(data: Any, path: tuple[Any, ...]) -> Any:
    """What holds the entry of a path."""
    for step in path[:-1]:
        data = data[step]
    return data


def _near(value: float, others: list[float], random: Random) -> float:
    """A number in the place of another: its neighbour in floats, itself scaled, one beside it, a small whole number."""
    if type(value) is int:
        return random.choice([value + 1, value - 1, 2 * value, 0, 1, random.choice(others)])
    with_ulp = math.nextafter(value, random.choice([-math.inf, math.inf]))
    scaled = value * random.choice(
        [0.5, 2.0, 1.0 + 1e-9, 10.0 ** random.randint(-12, 12), 10.0 ** random.randint(-90, 90)]
    )
    return random.choice([with_ulp, scaled, scaled, float(random.choice(others)), 0.0, float(random.randint(1, 9))])


def answer(ask: Callable[[], Any]) -> Any:
    """What a call gives, or None where it refuses its input in one line; anything else, and a warning, is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return ask()
        except QoptError as error:
            line = str(error)
            if not line.isprintable() or len(line) > 2000:
                raise AssertionError(f"no clear line: {line!r}") from error
            if isinstance(error, InputError) and not (error.found and error.allowed):
                raise AssertionError(f"no field or no range: {line!r}") from error
            return None


def refuted(data: Any, methods: tuple[str, ...], tally: Counter[str] | None = None) -> str | None:
    """Solve an instance by some methods; in words what is false or contradictory in the answers, None if nothing.

    Statuses and refusals are counted in `tally`.
    """
    tally = Counter() if tally is None else tally
    problem = answer(lambda: from_data(data))
    tally["instances refused" if problem is None else "instances solved"] += 1
    if problem is None:
        return None
    found: dict[str, Solution] = {}
    for method in methods:
        solution = answer(lambda m=method: qopt.solve(problem, m))
        tally["methods refused" if solution is None else solution.status] += 1
        if solution is not None:
            found[method] = solution
            json.dumps(solution.to_dict(), allow_nan=False)
            answer(solution.report)
    kinds = {solution.bits for solution in found.values()}
    lines = [contradiction({m: s for m, s in found.items() if s.bits == bits}) for bits in kinds]
    return next(filter(None, lines), None)


def contradiction(found: dict[str, Solution]) -> str | None:
    """Two answers that cannot both be true."""
    costs = {m: s.objective for m, s in found.items() if s.plan is not None and s.certificate.feasible}
    least = min(costs.values(), default=math.inf)
    for method, solution in found.items():
        if solution.certificate.infeasible and costs:
            return f"{method} proves infeasible what has plans: {costs}"
        slack = 2e-9 * abs(least)
        if solution.status == "optimal" and solution.objective > least + slack:
            return f"{method} proves optimal {solution.objective!r}, and there is {least!r}"
        bound = solution.certificate.bound
        if bound is not None and bound > least + slack:
            return f"{method} certifies the bound {bound!r}, and there is {least!r}"
        if solution.status == "infeasible" and solution.plan is not None:
            return f"{method} is infeasible with a plan"
    return None

"""A problem of another family is one clear line, whoever is asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import qopt.formulations.allocation
import qopt.formulations.fleet
import qopt.formulations.jqodi
import qopt.formulations.placement
import qopt.formulations.qpart
import qopt.formulations.qpart_convex

import qopt
import qopt.jqodi
import qopt.jqodi.diagram
import qopt.jqodi.labels
import qopt.plots
from qopt.allocation import breakpoints as allocation_breakpoints
from qopt.core.errors import InputError
from qopt.core.families import FAMILIES
from qopt.core.problem import Problem
from qopt.core.reading import problem_of
from qopt.placement import breakpoints as placement_breakpoints
from qopt.placement import front as placement_front
from qopt.qpart.serving import breakpoints as qpart_breakpoints

SMALL = {
    "qpart": "qpart/teaching-3",
    "placement": "placement/teaching-5",
    "jqodi": "jqodi/fig5",
    "allocation": "allocation/teaching-4",
    "fleet": "fleet/teaching-4",
}
NAMES = [family.name for family in FAMILIES.values()]


def a(family: str) -> str:
    """A family's name with its article."""
    return f"an {family}" if family == "allocation" else f"a {family}"


def asking(module: ModuleType, *names: str) -> list[Callable[..., Any]]:
    """Public functions of a module (or those named) that take a problem."""
    found = []
    for name, member in inspect.getmembers(module, inspect.isfunction):
        own = member.__module__ == module.__name__ or name in names
        if own and not name.startswith("_") and "problem" in inspect.signature(member).parameters:
            found.append(member)
    return found


OF_FAMILY: dict[str, list[Callable[..., Any]]] = {
    "qpart": [
        *asking(qopt.formulations.qpart),
        *asking(qopt.formulations.qpart_convex),
        *(getattr(qopt.plots, f"plot_{name}") for name in ("objective_by_cut", "cut_by_rate", "bits", "noise")),
        *(getattr(qopt.plots, f"plot_{name}") for name in ("breakpoints", "water_level")),
        qpart_breakpoints.breakpoints,
    ],
    "placement": [
        *asking(qopt.formulations.placement),
        *(getattr(qopt.plots, f"plot_{name}") for name in ("placement", "front", "break_even")),
        *(placement_front.front, qopt.recommend, qopt.strategies, placement_breakpoints.breakpoints),
    ],
    "jqodi": [
        *asking(qopt.formulations.jqodi),
        *(getattr(qopt.plots, f"plot_{name}") for name in ("diagram", "energy_time", "breakdown")),
        *(
            qopt.jqodi.breakdown,
            qopt.jqodi.breakpoints.breakpoints,
            qopt.jqodi.plan_vertices,
            qopt.jqodi.smallest_limits,
        ),
        *(qopt.jqodi.diagram.diagram, qopt.jqodi.labels.labels),
    ],
    "allocation": [
        *asking(qopt.formulations.allocation),
        *(getattr(qopt.plots, f"plot_{name}") for name in ("formats", "budgets")),
        allocation_breakpoints.breakpoints,
    ],
    "fleet": [*asking(qopt.formulations.fleet), qopt.plots.plot_capacities],
}
PAIRS = [
    pytest.param(function, own, other, id=f"{function.__module__}.{function.__name__}-{other}")
    for own, functions in OF_FAMILY.items()
    for function in functions
    for other in (*NAMES, None)
    if other != own
]


def call(function: Callable[..., Any], problem: Any) -> Any:
    """A call whose other required arguments are nothing of use."""
    required = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    ]
    return function(**{name: problem if name == "problem" else None for name in required})


def test_nothing_is_left_out() -> None:
    assert list(SMALL) == NAMES
    joints = [f"{f.__module__}.{f.__name__}" for functions in OF_FAMILY.values() for f in functions]
    assert {"qopt.formulations.qpart.joint", "qopt.formulations.placement.extract_cvxpy"} <= set(joints)
    assert len(joints) > 35


@pytest.mark.parametrize(("function", "own", "other"), PAIRS)
def test_another_family_is_one_line(function: Callable[..., Any], own: str, other: str | None) -> None:
    problem = None if other is None else qopt.load(SMALL[other])
    with pytest.raises(InputError) as caught:
        call(function, problem)
    line = str(caught.value)
    found = "None" if problem is None else f"{problem.name!r}, {a(other)} problem"
    assert line.startswith(f"problem: found {found}; allowed: {a(own)} problem")
    assert "\n" not in line


@pytest.mark.parametrize("own", NAMES)
@pytest.mark.parametrize("other", NAMES)
def test_a_problem_and_a_plan_of_two_families(own: str, other: str) -> None:
    if own == other:
        return
    plan = qopt.solve(SMALL[other]).plan
    with pytest.raises(InputError, match=rf"^plan: found a \w+; allowed: a plan for {a(own)} problem$"):
        qopt.certify(qopt.load(SMALL[own]), plan)


@pytest.mark.parametrize("name", NAMES)
def test_names_and_paths_where_they_are_offered(name: str, tmp_path: Any) -> None:
    problem = qopt.load(SMALL[name])
    kind: type[Problem] = type(problem)
    assert problem_of(kind, problem) is problem
    assert problem_of(kind, SMALL[name], named=True) == problem
    qopt.save(problem, tmp_path / "a.json")
    assert problem_of(kind, tmp_path / "a.json", named=True) == problem
    with pytest.raises(InputError, match=rf"^problem: found '{SMALL[name]}'; allowed: {a(name)} problem$"):
        problem_of(kind, SMALL[name])
    other = NAMES[NAMES.index(name) - 1]
    allowed = f"{a(name)} problem, a bundled name, or the path of an instance file; look elsewhere"
    with pytest.raises(InputError, match=rf"^from: found '[\w-]+', {a(other)} problem; allowed: {allowed}$"):
        problem_of(kind, SMALL[other], field="from", named=True, instead="look elsewhere")
    with pytest.raises(InputError, match=r"^instance: found 'no-such'; allowed: the path of a file, or a bundled name"):
        problem_of(kind, "no-such", named=True)


def test_several_problems() -> None:
    with pytest.raises(InputError, match=r"^problems: found .*, a placement problem; allowed: a qpart problem"):
        qopt.offline([SMALL["qpart"], SMALL["placement"]])
    with pytest.raises(InputError, match=r"^problems\[1\]: found .*, a jqodi problem; allowed: a qpart problem"):
        qopt.plots.plot_published([qopt.load(SMALL["qpart"]), qopt.load(SMALL["jqodi"])])


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (5, "problems: found 5; allowed: a qpart problem, its name or path, or several of them"),
        ([], "problems: found none; allowed: at least one"),
        (["qpart/teaching-3"] * 2, "problems: found 'teaching-3' twice; allowed: different names"),
        (["jqodi/fig5"], "problems: found 'fig5', a jqodi problem"),
    ],
)
def test_networks_by_name(given: Any, line: str) -> None:
    for ask in (qopt.offline, qopt.published_table):
        with pytest.raises(InputError) as caught:
            ask(given)
        assert str(caught.value).startswith(line)

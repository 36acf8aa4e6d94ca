"""Models as files for other solvers, and plans back from what these write: nothing is lost, nothing believed."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highspy
import pytest
from command_line import Cli

import qopt
from qopt.allocation.problem import Allocation
from qopt.core.errors import InputError
from qopt.core.export import FORMATS, joint_model
from qopt.core.families import family_of
from qopt.core.solvers.arrays import compiled
from qopt.core.writers.linear import LONGEST, distinct

TEACHING = {
    "qpart/teaching-3": ("one-hot", "aggregated", "big-m", "hull"),
    "placement/teaching-5": ("mip", "lp"),
    "jqodi/fig5": ("flow", "assignment"),
    "jqodi/data1": (None,),
    "allocation/teaching-4": ("mip", "lp"),
    "fleet/teaching-4": ("mip",),
}
"""Formulations of small instances."""

SCIP = """
import sys
from pyscipopt import Model
model = Model()
model.hideOutput()
model.readProblem(sys.argv[1])
model.optimize()
model.writeBestSol(sys.argv[2])
"""


def highs(model: Path, solution: Path, limit: float = 60.0, presolve: str = "choose") -> str:
    """What HiGHS says of a file, after it has written its own."""
    solver = highspy.Highs()
    options = {"output_flag": False, "mip_rel_gap": 0.0, "mip_abs_gap": 0.0, "time_limit": limit}
    tolerances = dict.fromkeys(
        ("mip_feasibility_tolerance", "primal_feasibility_tolerance", "dual_feasibility_tolerance"), 1e-9
    )
    for name, value in {**options, **tolerances}.items():
        solver.setOptionValue(name, value)
    solver.setOptionValue("presolve", presolve)
    assert solver.readModel(str(model)) != highspy.HighsStatus.kError
    solver.run()
    solver.writeSolution(str(solution), 0)
    return str(solver.modelStatusToString(solver.getModelStatus()))


def scip(model: Path, solution: Path) -> str:
    """SCIP, in a process of its own."""
    subprocess.run([sys.executable, "-c", SCIP, str(model), str(solution)], check=True, capture_output=True)
    return "Optimal"


def optimum(problem: Any) -> float:
    return float(problem.best_known["objective"])


def check_round_trip(tmp_path: Path, name: str, formulation: str | None, format: str) -> None:
    """A solver that reads the file finds the optimum, and its solution file leads to an optimal plan."""
    problem, model, solution = qopt.load(name), tmp_path / f"model.{format}", tmp_path / "model.sol"
    text = qopt.export(problem, model, formulation=formulation)
    assert model.read_text() == text == qopt.export(problem, format=format, formulation=formulation)
    assert (highs if format in ("mps", "lp") else scip)(model, solution) == "Optimal"
    certificate = qopt.certify(problem, qopt.read_solution(solution, problem, formulation=formulation))
    assert certificate.feasible
    assert certificate.objective == pytest.approx(optimum(problem), rel=1e-9)


@pytest.mark.parametrize(("name", "formulation"), [(name, forms[0]) for name, forms in TEACHING.items()])
def test_round_trips_through_highs(tmp_path: Path, name: str, formulation: str | None) -> None:
    check_round_trip(tmp_path, name, formulation, "mps")
    check_round_trip(tmp_path, name, formulation, "lp")


@pytest.mark.parametrize("format", ["cip", "nl"])
def test_round_trips_through_scip(tmp_path: Path, format: str) -> None:
    name = {"cip": "placement/teaching-5", "nl": "qpart/teaching-3"}[format]
    if format == "nl":  # SCIP knows the names of an NL file by the file .col beside it
        qopt.export(name, tmp_path / "model.nl")
        columns = (tmp_path / "model.col").read_text().split()
        assert len(columns) == len(set(columns))
        assert "cut(2)" in columns
    check_round_trip(tmp_path, name, TEACHING[name][0], format)


@pytest.mark.sweep
@pytest.mark.parametrize("format", list(FORMATS))
@pytest.mark.parametrize(("name", "formulation"), [(name, form) for name, forms in TEACHING.items() for form in forms])
def test_every_formulation_makes_the_round_trip(
    tmp_path: Path, name: str, formulation: str | None, format: str
) -> None:
    check_round_trip(tmp_path, name, formulation, format)


@pytest.mark.sweep
@pytest.mark.parametrize("format", list(FORMATS))
@pytest.mark.parametrize("name", [name for name in qopt.bundled() if name != "qpart/resnet34"])  # resnet50 is larger
def test_every_bundled_instance_is_written_and_its_best_plan_comes_back(tmp_path: Path, name: str, format: str) -> None:
    """The file has every column; a list of the best plan's columns is that plan again. The smaller ones are solved."""
    problem = qopt.load(name)
    model, solution = tmp_path / f"x.{format}", tmp_path / "x.sol"
    qopt.export(problem, model)
    best = qopt.solve(problem).plan
    solution.write_text(written(problem, None, best, "plain"))
    assert qopt.read_solution(solution, problem) == best
    said = "nothing"
    if format in ("mps", "lp"):
        # HiGHS 1.15 with presolve calls a plan of mnist-resnet's model optimal that is twice too dear.
        said = highs(model, solution, limit=5.0, presolve="off")
    elif model.stat().st_size < 100_000:
        said = scip(model, solution)
    if said == "Optimal":
        found = qopt.certify(problem, qopt.read_solution(solution, problem))
        assert found.feasible
        assert found.objective == pytest.approx(optimum(problem), rel=1e-7)


# --- solution files ---------------------------------------------------------------------------------------------------


def point(problem: Any, formulation: str | None, plan: Any) -> list[tuple[str, float]]:
    """Columns of a plan, by name, in the order of the file."""
    model = joint_model(problem, formulation)
    family_of(problem).part("formulation").assign(model, problem, plan)
    made = compiled(model)
    return [(name, float(v.value)) for name, v in zip(made.linear.columns, made.variables, strict=True)]


def written(problem: Any, formulation: str | None, plan: Any, kind: str) -> str:
    """What a solver would write of a plan."""
    return WRITERS[kind](point(problem, formulation, plan))


Columns = list[tuple[str, float]]


def listed(columns: Columns, *, zeros: bool = True) -> str:
    return "".join(f"{name} {value:g}\n" for name, value in columns if zeros or value)


def ampl(columns: Columns) -> str:
    values = "\n".join(f"{value:g}" for _, value in columns)
    return (
        f"\nSOLVER: optimal\n\nOptions\n3\n1\n1\n0\n2\n2\n{len(columns)}\n{len(columns)}\n0\n0\n{values}\nobjno 0 0\n"
    )


def cplex(columns: Columns) -> str:
    rows = "".join(f'<variable name="{name}" index="{j}" value="{v:g}"/>' for j, (name, v) in enumerate(columns))
    head = '<header solutionStatusString="integer optimal solution" objectiveValue="1"/>'
    return f'<?xml version = "1.0"?>\n<CPLEXSolution version="1.2">{head}<variables>{rows}</variables></CPLEXSolution>'


WRITERS: dict[str, Callable[[Columns], str]] = {
    "plain": listed,
    "highs": lambda columns: (
        f"Model status\nOptimal\n\n# Primal solution values\nFeasible\nObjective 1\n# Columns {len(columns)}\n"
        f"{listed(columns)}# Rows 1\none 1\n\n# Dual solution values\nNone\n"
    ),
    "scip": lambda columns: (
        "solution status: optimal solution found\nobjective value:    1\n"
        + "".join(f"{name}    {value:g} \t(obj:1)\n" for name, value in columns if value)
    ),
    "gurobi": lambda columns: f"# Solution for model x\n# Objective value = 1\n{listed(columns)}",
    "cbc": lambda columns: (
        "Optimal - objective value 1.00000000\n"
        + "".join(f"{j:7d} {name} {value:g} 0\n" for j, (name, value) in enumerate(columns) if value)
    ),
    "cplex": cplex,
    "glpk": lambda columns: (
        f"c Problem: x\nc\ns mip 3 {len(columns)} o 1\ni 1 1\n"
        + "".join(f"j {j} {value:g}\n" for j, (_, value) in enumerate(columns, 1))
        + "e o f\n"
    ),
    "ampl": ampl,
}
"""What solvers write of a point."""


@pytest.mark.parametrize("kind", list(WRITERS))
def test_solution_files_of_every_kind(tmp_path: Path, kind: str) -> None:
    problem, path = qopt.load("allocation/teaching-4"), tmp_path / "x.sol"
    plan = qopt.solve(problem).plan
    path.write_text(written(problem, None, plan, kind))
    assert qopt.read_solution(path, problem) == plan


@pytest.mark.parametrize(
    "text",
    [
        "Model status\nInfeasible\n\n# Primal solution values\nNone\n\n# Dual solution values\nNone\n",
        "solution status: infeasible\nno solution available\n",
        "Infeasible - objective value 0.00000000\n      0 chosen(a,int2) 1 0\n",
        "c Problem: x\ns mip 8 12 n 0\ne o f\n",
        "\nCBC: infeasible\n\nOptions\n3\n1\n1\n0\n8\n0\n12\n0\nobjno 0 200\n",
    ],
)
def test_a_solver_that_says_there_is_no_plan_is_not_believed(tmp_path: Path, qopt_cli: Cli, text: str) -> None:
    path = tmp_path / "x.sol"
    path.write_text(text)
    assert qopt.read_solution(path, "allocation/teaching-4") is None
    called = qopt_cli("check", "allocation/teaching-4", str(path))
    assert called.code == 3
    assert "says" in called.out
    assert "infeasible" in called.out.lower()


def test_check_certifies_what_a_solver_wrote(tmp_path: Path, qopt_cli: Cli) -> None:
    model, solution, plan = (tmp_path / name for name in ("x.mps", "x.sol", "plan.json"))
    assert qopt_cli("export", "qpart/teaching-3", "-o", str(model)).code == 0
    highs(model, solution)
    called = qopt_cli("check", "qpart/teaching-3", str(solution), "--save-plan", str(plan))
    assert called.code == 0
    assert "feasible and optimal, proved" in called.out
    assert "HiGHS says Optimal, objective 312" in called.out
    assert qopt.certify("qpart/teaching-3", qopt.read_plan(plan)).objective == 312
    tighter = qopt_cli("check", "qpart/teaching-3", str(solution), "--set", "accuracy.scale=0.5", "--json")
    assert tighter.code in (1, 2)


def test_a_point_that_breaks_a_limit_is_certified_with_its_row(tmp_path: Path) -> None:
    problem, path = qopt.load("allocation/teaching-4"), tmp_path / "x.sol"
    best = qopt.solve(problem).plan
    widest = best.model_copy(update={"formats": dict.fromkeys(problem.groups, problem.formats[-1])})
    path.write_text(written(problem, None, widest, "scip"))
    found = qopt.certify(problem, qopt.read_solution(path, problem))
    assert not found.feasible
    assert found.violations[0].startswith("budget")


def changed(**values: float) -> Callable[[Columns], Columns]:
    return lambda columns: [(name, values.get(name, value)) for name, value in columns]


REFUSED: dict[str, tuple[Callable[[Columns], str], str]] = {
    "another model": (lambda _: "x 1\ny 0\n", "the column 'x'; allowed: names of the model of teaching-4"),
    "fractional": (lambda c: listed([(n, 0.5 if v else v) for n, v in c]), "0.5; allowed: a whole number"),
    "out of bounds": (lambda c: listed([(n, 2 if v else v) for n, v in c]), "2; allowed: a value from 0 to 1"),
    "two items": (lambda c: listed([(n, 1) for n, _ in c]), "as the other columns have it: no plan's"),
    "nothing chosen": (lambda c: listed([(n, 0) for n, _ in c]), "as the other columns have it: no plan's"),
    "a name twice": (lambda c: listed([*c, c[0]]), "once"),
    "no number": (lambda c: listed(c) + "z one\n", "a name and its value"),
    "infinite": (lambda c: listed(c) + "z inf\n", "a value that is finite"),
    "a column missing": (lambda c: WRITERS["highs"](c[1:]), "11 columns; allowed: the 12 of the model"),
    "numbers missing": (lambda c: WRITERS["glpk"](c).replace("j 3 ", "i 9 "), "values of 11 columns; allowed: 12"),
    "cut short": (lambda c: WRITERS["highs"](c).split("# Rows")[0][:-9], "a name and its value"),
    "cut short, numbers": (lambda c: ampl(c)[:-30], "values"),
    "no point": (lambda _: "Model status\nTime limit reached\n\n# Primal solution values\nNone\n", "no point: HiGHS"),
    "no solution file": (lambda _: "hello world out there\n", "a solution file of HiGHS, SCIP"),
    "empty": (lambda _: "", "an empty file"),
    "a swelling document": (lambda _: '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x/>', "document type"),
    "another document": (lambda _: '<?xml version="1.0"?><x/>', "XML with the root 'x'"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_a_bad_solution_file_is_one_line(tmp_path: Path, case: str) -> None:
    problem, path = qopt.load("allocation/teaching-4"), tmp_path / "x.sol"
    text, allowed = REFUSED[case]
    path.write_text(text(point(problem, None, qopt.solve(problem).plan)))
    with pytest.raises(InputError) as caught:
        qopt.read_solution(path, problem)
    assert allowed in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "xls"), "format: found 'xls'; allowed: mps, lp, nl, cip"),
        ((), "format: found nothing; allowed: mps, lp, nl, cip"),
        (("-o", "model.txt"), "format: found 'txt', what the path ends in; allowed: mps"),
        (("--format", "lp", "--formulation", "flow"), "formulation: found 'flow'; allowed: one-hot"),
        (("-o", "no/such/folder/x.lp"), "a path that can be written"),
    ],
)
def test_bad_calls_are_one_line(qopt_cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    called = qopt_cli("export", "qpart/teaching-3", *arguments)
    assert (called.code, called.out) == (2, "")
    assert said in called.err
    assert called.err.count("\n") == 1


def test_names_that_no_reader_takes_are_written_and_read_back(tmp_path: Path) -> None:
    """Groups with signs, spaces and letters of any script, two that become one name, and one that is too long."""
    groups = ("a b", "a-b", "größe", "3e5", "x" * 200, "x" * 199 + "y", "<b>", "[c]")
    problem = Allocation(
        name="odd names/äöü\nMinimize\n x" + "y" * 900,
        groups=groups,
        formats=("int 4", "int-4", "∞"),
        resources={"bytes": {"use": [[1.0, 2.0, 3.0]] * len(groups), "budget": 15.0}},
        damage=[[9.0 + g, 4.0, 1.0] for g in range(len(groups))],
    )
    best = qopt.solve(problem)
    for format in ("mps", "lp", "cip"):
        model, solution = tmp_path / f"x.{format}", tmp_path / "x.sol"
        assert qopt.export(problem, model).isascii()
        (highs if format != "cip" else scip)(model, solution)
        plan = qopt.read_solution(solution, problem)
        assert qopt.certify(problem, plan).objective == pytest.approx(best.objective)


def test_names_are_distinct_and_short() -> None:
    names = distinct(["a", "a", "a b", "a-b", "1", ".", "y" * 200, "y" * 300, "y" * 90, "a~2"])
    assert len(set(names)) == len(names) == 10
    assert max(map(len, names)) <= LONGEST
    assert names[0] == "a"


def test_costs_in_the_head_of_a_file_are_the_problems() -> None:
    """The head's two numbers turn the file's objective into the problem's."""
    for name in ("qpart/teaching-3", "jqodi/fig5"):
        problem = qopt.load(name)
        head = next(line for line in qopt.export(problem, format="lp").splitlines() if "objective of the" in line)
        offset, unit = (float(word) for word in (head.split(" = ")[1].split(" + ")[0], head.split(" + ")[1].split()[0]))
        made = compiled(joint_model(problem, None))
        values = dict(point(problem, None, qopt.solve(problem).plan))
        cost = math.fsum(c * values[n] for c, n in zip(made.linear.cost, made.linear.columns, strict=True))
        assert offset + unit * cost == pytest.approx(optimum(problem), rel=1e-12)


def test_a_solution_of_another_request_is_pointed_out(tmp_path: Path, qopt_cli: Cli) -> None:
    model, solution = tmp_path / "x.mps", tmp_path / "x.sol"
    assert qopt_cli("export", "qpart/teaching-3", "--set", "channel.rate=0.5", "-o", str(model)).code == 0
    highs(model, solution)
    assert (
        "is the model of these" not in qopt_cli("check", "qpart/teaching-3", solution, "--set", "channel.rate=0.5").out
    )
    assert "is the model of these" in qopt_cli("check", "qpart/teaching-3", solution).out

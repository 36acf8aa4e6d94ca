"""`qopt check`: certify a plan, or the claim that there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qopt.cli.common import AsJson, Changes, Cut, ExitCode, Instance, Level, exit_code, print_json, read_problem
from qopt.core.errors import InputError

if TYPE_CHECKING:
    from qopt.core.plan import Plan
    from qopt.core.problem import Problem


FAR = 1e-3
"""Share by which a solver's objective may differ from its plan's: what tolerances and scaling leave is far less."""


def check(
    instance: Instance,
    plan: Annotated[
        Path,
        typer.Argument(
            help="A plan file, the output of `qopt solve --json`, or what a solver wrote of an exported model (.sol)."
        ),
    ],
    formulation: Annotated[str | None, typer.Option(help="Of a .sol file: the formulation that was exported.")] = None,
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of wall time, for the proof.")] = None,
    save_plan: Annotated[Path | None, typer.Option(help="Write the plan, as a plan file, to this one.")] = None,
    as_json: AsJson = False,
) -> int:
    """Certify a plan, or the claim that there is none, from the instance and the file alone.

    Example: qopt check qpart/teaching-3 solution.json

    Exit code 1 if the plan is not feasible, or if it is proved that there is none.
    """
    from qopt.core.solving import certify

    problem = read_problem(instance, change, cut, level)
    decision, witness, note, claimed = _read(plan, problem, formulation)
    certificate = certify(problem, decision, witness, time_limit=time_limit)
    found = certificate.objective
    if claimed is not None and found is not None and abs(claimed - found) > FAR * max(abs(claimed), abs(found)):
        note += ", which this plan has not: is the model of these --set, --cut and --level?"
    if decision is not None and decision.problem not in ("", problem.name):
        note = f"the plan was made for {decision.problem}, this is {problem.name}"
    if note:
        certificate = replace(certificate, notes=(*certificate.notes, note))
    if save_plan is not None and decision is not None:
        from qopt.core.plan import save_plan as write

        write(decision, save_plan)
    if as_json:
        print_json(certificate.to_dict())
    else:
        from qopt.core.report import certificate_table, console

        console().print(certificate_table(problem, certificate))
    if decision is None:
        return exit_code(False, certificate.infeasible)
    return ExitCode.FOUND if certificate.feasible else ExitCode.INFEASIBLE


def _read(path: Path, problem: Problem, formulation: str | None) -> tuple[Plan | None, object, str, float | None]:
    """Plan, witness, a note and a claimed objective, of a file of qopt's or, by its suffix .sol, of a solver's."""
    if path.suffix.lower() == ".sol":
        from qopt.core.export import solution_of

        decision, said, claimed = solution_of(path, problem, formulation)
        return decision, None, said, claimed
    if formulation is not None:
        raise InputError("--formulation", formulation, "nothing: only a solver's file, NAME.sol, is of a formulation")
    from qopt.core.plan import read_answer

    return *read_answer(path, problem), "", None

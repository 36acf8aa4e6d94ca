"""`qopt check`: certify a plan, or the claim that there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, Changes, Cut, ExitCode, Instance, Level, exit_code, print_json, read_problem


def check(
    instance: Instance,
    plan: Annotated[Path, typer.Argument(help="A plan file, or the output of `qopt solve --json`.")],
    cut: Cut = None,
    level: Level = None,
    change: Changes = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of wall time, for the proof.")] = None,
    as_json: AsJson = False,
) -> int:
    """Certify a plan, or the claim that there is none, from the instance and the file alone.

    Exit code 1 if the plan is not feasible, or if it is proved that there is none.
    """
    from qopt.core.plan import read_answer
    from qopt.core.solving import certify

    problem = read_problem(instance, change, cut, level)
    decision, witness = read_answer(plan, problem)
    certificate = certify(problem, decision, witness, time_limit=time_limit)
    if decision is not None and decision.problem not in ("", problem.name):
        note = f"the plan was made for {decision.problem}, this is {problem.name}"
        certificate = replace(certificate, notes=(*certificate.notes, note))
    if as_json:
        print_json(certificate.to_dict())
    else:
        from qopt.core.report import certificate_table, console

        console().print(certificate_table(problem, certificate))
    if decision is None:
        return exit_code(False, certificate.infeasible)
    return ExitCode.FOUND if certificate.feasible else ExitCode.INFEASIBLE

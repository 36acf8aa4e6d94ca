"""`qopt replan`: decide again while a JQODI run is under way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, Changes, Instance, load_instance, method_names, settings, told
from qopt.core.errors import InputError


def replan(
    instance: Instance,
    plan: Annotated[Path, typer.Argument(help="The plan, or the solution (`qopt solve --json`), that was followed.")],
    after: Annotated[int, typer.Option(help="Epochs of the plan that are done.")],
    elapsed: Annotated[
        float | None, typer.Option(help="Seconds since the run began; default what the plan takes.")
    ] = None,
    energy: Annotated[float | None, typer.Option(help="Joules spent since then; default what the plan takes.")] = None,
    observed: Annotated[float | None, typer.Option(help="Loss after these epochs, in place of the forecast.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Another model or bit-width may be begun now.")] = False,
    method: Annotated[
        str, typer.Option(help="A name from `qopt methods`, or auto.", autocompletion=method_names)
    ] = "auto",
    time_limit: Annotated[float | None, typer.Option(help="Seconds of wall time, for plan and proof together.")] = None,
    change: Changes = None,
    save_problem: Annotated[Path | None, typer.Option(help="Write the problem that is left to this file.")] = None,
    save_plan: Annotated[Path | None, typer.Option(help="Write the plan to this file.")] = None,
    as_json: AsJson = False,
) -> int:
    """Decide the rest of a JQODI run again, from what has happened: what was spent counts, a loss that was seen too.

    Example: qopt replan jqodi/fig5 plan.json --after 1 --elapsed 2.0

    Exit code 1 if it is proved that the limits can no longer be kept.
    """
    from qopt.core.plan import read_answer
    from qopt.core.reading import problem_of, save
    from qopt.core.solving import solve
    from qopt.jqodi.plan import JqodiPlan
    from qopt.jqodi.problem import Jqodi
    from qopt.jqodi.replan import remaining

    problem = problem_of(Jqodi, load_instance(instance))
    followed = read_answer(plan, problem)[0]
    if not isinstance(followed, JqodiPlan):
        raise InputError("plan", f"{plan}, which says that there is no plan", "a file with a plan")
    left = remaining(
        problem,
        followed,
        after,
        elapsed=elapsed,
        energy=energy,
        observed=observed,
        anew=anew,
        changes=settings(change),
    )
    if save_problem is not None:
        save(left, save_problem)
    return told(solve(left, method, time_limit=time_limit), save_plan, as_json)

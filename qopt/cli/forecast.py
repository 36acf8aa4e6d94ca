"""`qopt forecast`: how many epochs a loss takes, from the few that were seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, Changes, ExitCode, Instance, print_json, read_problem, settings
from qopt.core.errors import InputError, one_line
from qopt.core.reading import as_problem


def forecast(
    instance: Instance,
    curves: Annotated[Path, typer.Argument(help="Curves of its models, as `qopt finetune --save` writes them.")],
    quantile: Annotated[float, typer.Option(help="Of the robust estimate, from 0.5 to below 1.")] = 0.9,
    epochs: Annotated[int, typer.Option(help="How far to forecast.")] = 50,
    estimator: Annotated[str, typer.Option(help="power-law, learned, others, last, mean or auto.")] = "auto",
    history: Annotated[Path | None, typer.Option(help="Finished curves beside the others.")] = None,
    write: Annotated[str, typer.Option(help="loss, or epochs for K itself.")] = "loss",
    limit: Annotated[
        list[str] | None, typer.Option(help="MODEL=L_MAX, where the instance has none or another. Repeatable.")
    ] = None,
    change: Changes = None,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    save: Annotated[Path | None, typer.Option(help="Write the instance with the estimates to this file.")] = None,
    as_json: AsJson = False,
) -> int:
    """Forecast losses of a JQODI instance from a few epochs, and write them into it: expected and robust.

    Example: qopt forecast jqodi/data1 curves.json --save mine.json
    """
    from qopt.core.reading import save as write_problem
    from qopt.jqodi.estimators.writing import forecast_losses, loss_limit
    from qopt.jqodi.problem import Jqodi

    problem = as_problem(read_problem(instance, change))
    if not isinstance(problem, Jqodi):
        raise InputError(instance, problem.format, "a JQODI instance")
    limits = {
        name: loss_limit(f"--limit {one_line(name, 60)}", value)
        for name, value in settings(limit, "--limit", "MODEL=L_MAX").items()
    }
    found = forecast_losses(
        problem,
        curves,
        epochs=epochs,
        quantile=quantile,
        estimator=estimator,
        history=() if history is None else history,
        write=write,  # type: ignore[arg-type]  # checked there, with its line
        limits=limits,
        seed=seed,
    )
    if save is not None:
        write_problem(found.problem, save)
    if as_json:
        print_json(found.to_dict())
    else:
        print(found.table())
    return ExitCode.FOUND

"""`qopt place`: profiles of one network, a file for each machine and operator, as a placement; solved and certified."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from qopt.cli.common import AsJson, method_names, settings, told
from qopt.core.errors import InputError


def place(
    profiles: Annotated[list[Path], typer.Argument(help="Files that `qopt profile MODEL.onnx --save` wrote.")],
    link: Annotated[str, typer.Option(help="Bits per second of every link, from the first tier up: 200e6,1e6.")] = "",
    mix: Annotated[
        list[str] | None,
        typer.Option(help="An operator for each tier: mobile=quantized,edge=identity. Repeatable."),
    ] = None,
    shares: Annotated[str | None, typer.Option(help="How often each size of the input comes: 3,1.")] = None,
    output_tier: Annotated[str | None, typer.Option(help="The tier that wants the result; default the first.")] = None,
    deployed: Annotated[
        bool, typer.Option("--deployed", help="Times as parts run: shares of the whole, rewritten in full.")
    ] = False,
    method: Annotated[
        str, typer.Option(help="A name from `qopt methods`, or auto.", autocompletion=method_names)
    ] = "auto",
    time_limit: Annotated[float | None, typer.Option(help="Seconds of wall time, for plan and proof together.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="Change a field first, e.g. --set 'tiers[0].memory=4e9'. Repeatable."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the placement problem to this file.")] = None,
    save_plan: Annotated[Path | None, typer.Option(help="Write the plan to this file, for `qopt split`.")] = None,
    as_json: AsJson = False,
) -> int:
    """Place a profiled network: merge the profiles of all machines, solve, and certify the answer.

    Example: qopt place mobile.json edge.json --link 200e6 --save-plan plan.json

    Links have a rate alone; --set gives the rest: --set 'links[1].latency=0.02', --set 'tiers[0].memory=4e9'.
    """
    from qopt.core.reading import save
    from qopt.core.solving import solve
    from qopt.placement.merge import merge
    from qopt.placement.profile import read_profile

    read = {str(path): read_profile(path) for path in dict.fromkeys(profiles)}
    problem = merge(
        read,
        [{"rate": rate} for rate in _numbers("--link", link)],
        mixtures=[_pairs(text) for text in mix or []],
        shares=None if shares is None else _numbers("--shares", shares),
        output_tier=output_tier,
        deployed=deployed,
    )
    fields = settings(change)
    problem = problem.replace(fields) if fields else problem
    unknown = next((path for path, profile in read.items() if profile.accuracy is None), None)
    if problem.targets.accuracy and unknown is not None:
        raise InputError(unknown, "no accuracy, while targets.accuracy asks for one", "a profile with its accuracy")
    if unknown is not None:
        print(f"qopt: {unknown}: its accuracy was not measured, 1 stands for it", file=sys.stderr)
    if out is not None:
        save(problem, out)
    return told(solve(problem, method, time_limit=time_limit), save_plan, as_json)


def _numbers(option: str, text: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise InputError(option, repr(text), "numbers with commas between them") from None


def _pairs(text: str) -> dict[str, str]:
    """TIER=OPERATOR with commas between them."""
    found = {}
    for part in text.split(","):
        tier, equals, operator = part.partition("=")
        if not tier or not equals or not operator or tier in found:
            raise InputError("--mix", repr(text), "TIER=OPERATOR for each tier once, with commas between them")
        found[tier] = operator
    return found

"""What the commands share: exit codes, arguments of one meaning everywhere, and how they read and print."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qopt.core.display import with_article
from qopt.core.errors import InputError

if TYPE_CHECKING:
    from qopt.core.problem import Problem
    from qopt.core.solution import Solution


class ExitCode(IntEnum):
    """What `qopt` says to the shell.

    Attributes
    ----------
    FOUND : a plan was found, proved or not: the output says which. Also: what was asked for was done.
    INFEASIBLE : it is proved that there is no plan; of `qopt check`, that the plan is not feasible.
    BAD_INPUT : an instance, a plan, an option or a method that is not usable as it stands.
    NO_PLAN : no plan that keeps the limits, and no proof that there is none.
    INTERNAL : an error of qopt's own; the number is EX_SOFTWARE of sysexits.h.
    INTERRUPTED : Ctrl-C; 128 + SIGINT, as shells count.
    """

    FOUND = 0
    INFEASIBLE = 1
    BAD_INPUT = 2
    NO_PLAN = 3
    INTERNAL = 70
    INTERRUPTED = 130


def instance_names(incomplete: str) -> list[str]:
    """Bundled names that begin like this, for the shell's completion; it completes paths by itself."""
    from qopt.core.reading import bundled

    return [name for name in bundled() if name.startswith(incomplete)]


def family_names(incomplete: str) -> list[str]:
    """Families that begin like this, for the shell's completion."""
    from qopt.core.families import FAMILIES

    return [family.name for family in FAMILIES.values() if family.name.startswith(incomplete)]


def method_names(context: typer.Context, incomplete: str) -> list[str]:
    """Methods of the instance that stands before, of every family without one, for the shell's completion."""
    from qopt.core.errors import QoptError
    from qopt.core.families import FAMILIES, family_of
    from qopt.core.plugins import methods_of
    from qopt.core.reading import load

    families = list(FAMILIES.values())
    for word in context.args:  # the option that is being typed is not yet complete, so nothing was parsed
        with contextlib.suppress(QoptError):
            families = [family_of(load(word))]
    known = [method.name for family in families for method in methods_of(family)]
    return [name for name in dict.fromkeys(["auto", *known]) if name.startswith(incomplete)]


Instance = Annotated[
    str,
    typer.Argument(
        help="A bundled name (see `qopt instances`), the path of an instance file, or - for standard input.",
        autocompletion=instance_names,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field first, e.g. --set channel.rate=1e6. Repeatable."),
]
Cut = Annotated[int | None, typer.Option(help="Allow this cut only.")]
Level = Annotated[float | None, typer.Option(help="Accuracy level, e.g. 0.01 for one point.")]
NetworkFunction = Annotated[
    str, typer.Argument(metavar="NET.py:FUNCTION", help="A function that returns (module, example input).")
]
Weights = Annotated[Path | None, typer.Option(help="Safetensors file with the module's weights.")]


def read_problem(
    instance: str, changes: list[str] | None, cut: int | None = None, level: float | None = None
) -> Problem:
    """An instance with the fields that ``--set``, ``--cut`` and ``--level`` change; ``-`` is standard input.

    Raises
    ------
    InputError
        No such instance, a change that is no ``FIELD=VALUE``, a field twice, or one that the family does not have.
    """
    problem: Problem = load_instance(instance)
    fields = settings(changes)
    for option, name, value in (("--cut", "cuts", None if cut is None else [cut]), ("--level", "level", level)):
        if value is not None and name not in type(problem).model_fields:
            family = with_article(problem.format.removeprefix("qopt/"))
            raise InputError(option, str(cut if name == "cuts" else value), f"nothing: {family} has no {option[2:]}")
        if value is not None and name in fields:
            raise InputError(option, f"{option} beside --set {name}", "one or the other")
        if value is not None:
            fields[name] = value
    return problem.replace(fields) if fields else problem


def load_instance(instance: str) -> Any:
    """A bundled instance, or one in a file or (``-``) on standard input; of its family's class."""
    from qopt.core.reading import from_data, load, parse_json

    return load(instance) if instance != "-" else from_data(parse_json("standard input", sys.stdin.buffer))


def settings(changes: list[str] | None, option: str = "--set", form: str = "FIELD=VALUE") -> dict[str, object]:
    """What ``--set`` or an option like it gives: names, and values as JSON has them, or else texts."""
    fields: dict[str, object] = {}
    for change in changes or []:
        name, equals, text = change.partition("=")
        if not equals or not name:
            raise InputError(option, repr(change), form)
        if name in fields:
            raise InputError(option, f"{name} twice", f"each {form.partition('=')[0].lower()} once")
        try:
            fields[name] = json.loads(text)
        except (ValueError, RecursionError):
            fields[name] = text
    return fields


def exit_code(found: bool, infeasible: bool) -> ExitCode:
    """`FOUND` for a plan that keeps every limit, `INFEASIBLE` where it is proved that there is none, else `NO_PLAN`."""
    if found:
        return ExitCode.FOUND
    return ExitCode.INFEASIBLE if infeasible else ExitCode.NO_PLAN


def told(solution: Solution, save_plan: Path | None, as_json: bool) -> ExitCode:
    """Print a solution, as a report or as JSON, write its plan to a file if one is named, and say how it ended."""
    if save_plan is not None and solution.plan is not None:
        from qopt.core.plan import save_plan as write

        write(solution.plan, save_plan)
    if as_json:
        print_json(solution.to_dict())
    else:
        from qopt.core.report import console

        console().print(solution.rendered())
    return exit_code(solution.plan is not None and solution.certificate.feasible, solution.certificate.infeasible)


def print_rows(table: Any, as_json: bool, as_csv: bool, rendered: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Print a DataFrame's rows as JSON, as CSV, or as a person likes to read them; what is missing is null or empty."""
    if as_json:
        print_json(records(table))
    elif as_csv:
        sys.stdout.write(table.to_csv(index=False, lineterminator="\n"))
    else:
        from qopt.core.report import console

        console().print(rendered(records(table)))


def records(table: Any) -> list[dict[str, Any]]:
    """A DataFrame's rows by column name, every digit of them; what is missing is None."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def print_json(data: object) -> None:
    """Print plain data as JSON, as the standard has it: without NaN and infinities."""
    print(json.dumps(data, indent=1, allow_nan=False))

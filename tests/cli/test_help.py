"""The help: commands stand by what they are for, each with an example that its options take, and so does their page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
from command_line import Cli

from qopt.cli.app import COMMANDS, app

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
PANELS = {panel: [command.__name__.replace("_", "-") for command in commands] for panel, commands in COMMANDS.items()}
NAMED = {command.__name__.replace("_", "-"): command for commands in COMMANDS.values() for command in commands}
OWN_FILES = (
    *("replan", "place", "check", "profile", "measure", "finetune", "forecast", "exit", "quantize", "pack", "split"),
    *("run-part", "audit", "latency"),
)
"""Commands whose examples read files that a reader has; the pages make such files and run them."""


def example(command: Callable[..., int]) -> str:
    """The example of a command's help, a paragraph of its own."""
    (line,) = re.findall(r"\n\n    Example: (qopt [^\n]+)\n", command.__doc__ or "")
    return str(line)


def sections(heading: str, row: str, text: str) -> dict[str, list[str]]:
    """The rows below each heading, patterns of whole lines and of their beginnings."""
    _, *parts = re.split(f"^{heading}$", text, flags=re.MULTILINE)
    return {
        title: re.findall(f"^{row}", body, re.MULTILINE) for title, body in zip(parts[::2], parts[1::2], strict=True)
    }


def test_commands_stand_by_what_they_are_for(qopt_cli: Cli) -> None:
    shown = sections(r"╭─ ([\w ]+) ─+╮", r"│ ([a-z-]+)  ", qopt_cli("-h").out)
    assert {title: names for title, names in shown.items() if title != "Options"} == PANELS


def test_the_page_of_commands_has_the_same_groups() -> None:
    assert sections(r"## (.+)", r"\| `qopt ([\w-]+)` \|", PAGE.read_text(encoding="utf-8")) == PANELS


@pytest.mark.parametrize("name", NAMED)
def test_every_command_has_an_example_with_options_that_it_takes(name: str) -> None:
    program, command, *words = shlex.split(example(NAMED[name]))
    assert (program, command) == ("qopt", name)
    with typer.main.get_command(app).commands[name].make_context(name, words) as context:  # type: ignore[attr-defined]
        assert context.command.name == name


@pytest.mark.sweep
@pytest.mark.parametrize("name", [name for name in NAMED if name not in OWN_FILES])
def test_examples_run(qopt_cli: Cli, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = qopt_cli(*shlex.split(example(NAMED[name]))[1:])
    assert (found.code, found.err) == (0, "")

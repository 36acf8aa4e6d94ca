"""First contact: help, version, completion, an output that cannot be written, Ctrl-C while the command still loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Cli

import qopt


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "qopt", *arguments], capture_output=True, text=True, timeout=60, **options
    )


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], ["solve"], ["measure"]])
def test_help_has_a_short_name(qopt_cli: Cli, command: list[str], option: str) -> None:
    found = qopt_cli(*command, option)
    assert found.code == 0
    assert "Usage: qopt" in found.out
    assert found.err == ""


def test_the_module_is_the_command_and_says_its_version() -> None:
    found = run("--version")
    assert (found.returncode, found.stdout, found.stderr) == (0, f"qopt {qopt.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("so", ["solve", "solvers"]),
        ("solve qpart/mnist-m", ["qpart/mnist-mlp6"]),
        ("compare jqodi/data1 jqodi/f", ["jqodi/fig5"]),
        ("solve placement/resnet --method min", ["mincut"]),
        ("solve nothing-of-the-kind --method mi", ["mincut", "minimal-model"]),
    ],
)
def test_a_shell_completes_commands_instances_and_methods(words: str, expected: list[str]) -> None:
    state = {"COMP_WORDS": f"qopt {words}", "COMP_CWORD": str(len(words.split())), "_QOPT_COMPLETE": "complete_bash"}
    found = run(env={**os.environ, **state})
    assert found.stderr == ""
    assert found.stdout.split() == expected


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", [["instances"], ["solve", "qpart/teaching-3"], ["solve", "jqodi/fig5", "--json"]])
def test_an_output_that_cannot_be_written_is_one_line(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "qopt", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert found.returncode == 2
    assert found.stderr == "qopt: the output cannot be written: No space left on device\n"


def test_interrupted_while_it_loads() -> None:
    """Ctrl-C during an import: exit code 130 and one line, as during a solve."""
    broken_off = """
import sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from qopt.__main__ import run
run()
"""
    found = subprocess.run([sys.executable, "-c", broken_off], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "qopt: interrupted\n")


@pytest.mark.parametrize("script", ["evaluate.py", "make.py", "train.py"])
def test_a_script_says_in_one_line_what_it_needs(script: str) -> None:
    path = Path(__file__).parents[2] / "instances" / "mnist" / script
    begin = "import runpy, sys; sys.argv[:] = sys.argv[1:]; sys.path.insert(0, sys.argv.pop(0)); "
    bare = [sys.executable, "-I", "-S", "-c", begin + "runpy.run_path(sys.argv[0], run_name='__main__')"]
    found = subprocess.run([*bare, str(path.parent), str(path)], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("error: qopt is not installed")
    assert found.stderr.count("\n") == 1

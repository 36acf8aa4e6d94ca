"""The command line, called in this process: the fixture `qopt_cli` is one of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Call(NamedTuple):
    """Exit code, standard output and standard error of a command."""

    code: int
    out: str
    err: str


Cli = Callable[..., Call]


def check_refusal(call: Call, code: int = 2) -> str:
    """The one line of a call that was refused, for people: nothing on the output, no traceback."""
    assert call.code == code
    assert call.out == ""
    assert call.err.startswith("qopt: ")
    assert call.err.endswith("\n")
    assert call.err.count("\n") == 1
    assert call.err[:-1].isprintable()
    assert len(call.err) < 800
    assert "Traceback" not in call.err
    return str(call.err)


# --- answers ------------------------------------------------------------------------------------------------------

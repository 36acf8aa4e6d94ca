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

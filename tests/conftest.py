"""What several test files share: how hypothesis runs, and a way to call the command line in process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import settings

# The same examples every time, and no deadline: continuous integration is slow now and then.
settings.register_profile("qopt", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("qopt")


class Call(NamedTuple):
    """Exit code, standard output and standard error of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def qopt_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Call]:
    """``qopt ARGUMENTS`` in this process."""
    from qopt.cli.app import main

    def call(*arguments: object) -> Call:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Call(code, captured.out, captured.err)

    return call

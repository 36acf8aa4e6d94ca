"""What all tests share: how hypothesis runs, pictures without a screen, a way to call the command line in process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
import sweeps
from command_line import Call, Cli
from hypothesis import settings

pytest.register_assert_rewrite("constrained_paths", "knapsack_rows")  # their checks speak as those of a test

# The same examples every time, and no deadline: continuous integration is slow now and then.
settings.register_profile("qopt", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("qopt")

os.environ["MPLBACKEND"] = "Agg"


def pytest_configure(config: pytest.Config) -> None:
    sweeps.quick = "not sweep" in config.option.markexpr


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without the sweeps, a test of many cases takes a few of them."""
    if not sweeps.quick:
        return
    kept = set(sweeps.spread([item.nodeid for item in items]))
    config.hook.pytest_deselected(items=[item for at, item in enumerate(items) if at not in kept])
    items[:] = [item for at, item in enumerate(items) if at in kept]


@pytest.fixture(autouse=True)
def _pictures_are_closed() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def qopt_cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """``qopt ARGUMENTS`` in this process."""
    from qopt.cli.app import main

    def call(*arguments: object) -> Call:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Call(code, captured.out, captured.err)

    return call

"""Methods that go wrong, each in its way: they are in the registry of QPART once this module is imported."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

from qopt.core.method import Method, Options
from qopt.core.solution import Outcome
from qopt.qpart.methods import registry, simple
from qopt.qpart.problem import QPart


def hangs(_problem: QPart, _options: Options) -> Outcome:
    """Take no notice of the limit."""
    while True:
        time.sleep(1.0)


def dies(_problem: QPart, _options: Options) -> Outcome:
    """Break off as a fault in a library does."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return Outcome("failed")


def leaves(_problem: QPart, _options: Options) -> Outcome:
    """End the process."""
    print("a line that is no answer", flush=True)
    os._exit(3)


def raises(_problem: QPart, _options: Options) -> Outcome:
    """Fail with an error of its own."""
    raise ZeroDivisionError("no luck")


def overrates(problem: QPart, options: Options) -> Outcome:
    """Call the plan of one width the best."""
    return replace(simple.solve_uniform(problem, options), status="optimal")


def denies(_problem: QPart, _options: Options) -> Outcome:
    """Say that there is no plan."""
    return Outcome("infeasible")


TROUBLE = ("hangs", "dies", "leaves", "raises", "overrates", "denies")

if not any(method.name == TROUBLE[0] for method in registry.METHODS):
    registry.METHODS += tuple(
        Method(name, "goes wrong", "nothing", f"troubled_methods:{name}", bits="whole") for name in TROUBLE
    )

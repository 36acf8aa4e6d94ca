"""What is being done, and what solvers print while they do it: on standard error, so that output stays what it is."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator


def teller(name: str, verbose: bool) -> Callable[[str], None]:
    """A function that says in a line what is being done on a problem, or says nothing."""

    def tell(line: str) -> None:
        if verbose:
            print(f"qopt: {name}: {line}", file=sys.stderr, flush=True)

    return tell


@contextlib.contextmanager
def logged(on: bool) -> Iterator[None]:
    """A context in which what is printed, by Python or by a library beneath it, goes to standard error."""
    if not on:
        yield
        return
    sys.stdout.flush()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            kept = os.dup(1)
        except OSError:  # there is no standard output
            yield
            return
        try:
            os.dup2(2, 1)
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 1)
            os.close(kept)

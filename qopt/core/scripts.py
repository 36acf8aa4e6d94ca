"""How a script of the repository ends: bad input is one line, as at the command line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

from qopt.core.errors import QoptError

Arguments = ParamSpec("Arguments")


def exit_code(main: Callable[Arguments, None]) -> Callable[Arguments, int]:
    """A script's main function, which gives 0; where input is bad 2, with one line on standard error.

    Parameters
    ----------
    main : what the script does.
    """

    @functools.wraps(main)
    def ended(*positional: Arguments.args, **named: Arguments.kwargs) -> int:
        try:
            main(*positional, **named)
        except QoptError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0

    return ended

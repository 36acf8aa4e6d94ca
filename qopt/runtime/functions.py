"""A function that a user names by file and name, such as pre- and post-processing."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from qopt.core.errors import InputError, shown


def load_function(text: str, option: str) -> Callable[..., Any]:
    """The function that ``FILE.py:FUNCTION`` names.

    Parameters
    ----------
    text : path and name.
    option : what messages call it.

    Raises
    ------
    InputError
        There is no such file or function, or the file fails when it is run.
    """
    path, _, name = text.rpartition(":")
    if not path or not Path(path).is_file():
        raise InputError(option, shown(text), "seconds, or FILE.py:FUNCTION")
    called = f"_qopt_{option.strip('-')}_{Path(path).stem}"  # no other module's name
    spec = importlib.util.spec_from_file_location(called, path)
    if spec is None or spec.loader is None:
        raise InputError(option, shown(text), "a file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses, pickle and others look for it there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a stranger's file raises
        raise InputError(option, f"{path}: {type(error).__name__}: {error}", "a file that runs") from None
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError(option, f"no function {shown(name)} in {path}", "a function of that file")
    function: Callable[..., Any] = found
    return function


def called(function: Callable[..., Any], arguments: tuple[Any, ...], option: str) -> Any:
    """What a user's function gives.

    Parameters
    ----------
    function, arguments : called once.
    option : what messages call it.

    Raises
    ------
    InputError
        Whatever it raises.
    """
    try:
        return function(*arguments)
    except Exception as error:  # whatever a stranger's function raises
        raise InputError(option, f"{type(error).__name__}: {error}", "a function that runs") from None


def feeds(found: Any, names: Iterable[str]) -> dict[str, Any]:
    """A model's inputs by name, of what pre-processing gives: these, or the only one.

    Parameters
    ----------
    found : what it gives.
    names : of the model's inputs.
    """
    return found if isinstance(found, dict) else dict(zip(names, [found], strict=False))

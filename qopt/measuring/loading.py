"""A user's network from the command line: ``NET.py:FUNCTION``, and its weights from a safetensors file."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import nn

from qopt.core.errors import InputError, shown

SPELLING = "NET.py:FUNCTION, a function without arguments that returns (module, example input)"

EXAMPLE = "(module, example input): one tensor, or a tuple or a dict of tensors where the module has several inputs"


def load_module(where: str, weights: Path | None = None) -> tuple[nn.Module, Any]:
    """The module and the example input that a function in a Python file returns.

    Parameters
    ----------
    where : ``NET.py:FUNCTION``. The file is run, with its folder in the path of imports.
    weights : safetensors file with the module's parameters and buffers by name; by default the module's own.

    Raises
    ------
    InputError
        There is no such file or function, it fails or returns something else, or the weights do not fit.
    """
    name, found = _called(where, "network")
    if not (
        isinstance(found, (tuple, list))
        and len(found) == 2
        and isinstance(found[0], nn.Module)
        and isinstance(found[1], (torch.Tensor, tuple, list, dict))
    ):
        several = isinstance(found, (tuple, list)) and len(found) >= 2 and isinstance(found[0], nn.Module)
        raise InputError("network", f"{shown(name)} returned {_kinds(found)}", EXAMPLE if several else SPELLING)
    module, example = found
    if weights is not None:
        load_weights(module, weights)
    return module, example


def load_function(where: str, option: str) -> Callable[..., Any]:
    """A function in a Python file, such as a score or a margin.

    Parameters
    ----------
    where : ``NET.py:FUNCTION``. The file is run, with its folder in the path of imports.
    option : for the message.

    Raises
    ------
    InputError
        There is no such file or function, or the file fails.
    """
    return _function(where, option, "NET.py:FUNCTION, a function or an object that is called")[1]


def _called(where: str, field: str) -> tuple[str, Any]:
    """Name of a function in a Python file, and what it returns."""
    name, function = _function(where, field, SPELLING)
    with _folder(where):
        try:
            with redirect_stdout(sys.stderr):  # standard output is the command's, which may be JSON
                return name, function()
        except (Exception, SystemExit) as error:
            path = where.rpartition(":")[0]
            found = f"{type(error).__name__} in {shown(path)}: {shown(str(error))}"
            raise InputError(field, found, SPELLING) from error


def _function(where: str, field: str, spelling: str) -> tuple[str, Callable[..., Any]]:
    path, colon, name = where.rpartition(":")
    if where.lower().endswith(".onnx"):
        raise InputError(field, f"an ONNX file, {shown(where)}", f"{spelling}; ONNX files go to qopt profile and place")
    if not colon or not path or not name:
        raise InputError(field, shown(where), spelling)
    if not Path(path).is_file():
        raise InputError(field, f"no file {shown(path)}", spelling)
    with _folder(where):
        try:
            with redirect_stdout(sys.stderr):
                function = runpy.run_path(path).get(name)
        except (Exception, SystemExit) as error:
            found = f"{type(error).__name__} in {shown(path)}: {shown(str(error))}"
            raise InputError(field, found, spelling) from error
    if not callable(function):
        raise InputError(field, f"no function {shown(name)} in {shown(path)}", spelling)
    return name, function


@contextmanager
def _folder(where: str) -> Iterator[None]:
    """The folder of a file in the path of imports."""
    folder = str(Path(where.rpartition(":")[0]).resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill a module's parameters and buffers from a safetensors file; a pickle is refused, because it runs code.

    Parameters
    ----------
    module : gets the tensors.
    path : of the safetensors file.

    Raises
    ------
    InputError
        The file is no safetensors, or its tensors are not those of the module, by name and shape.
    """
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except Exception as error:  # safetensors raises types of its own for a damaged file
        found = "no file" if not Path(path).is_file() else f"no safetensors file ({shown(str(error))})"
        raise InputError(str(path), found, "weights as safetensors; pickles (.pt, .pth) are not read") from error
    own = module.state_dict()
    for name, tensor in tensors.items():
        if name not in own:
            raise InputError(str(path), f"a tensor {shown(name)}", f"the module's own names, {shown(list(own))}")
        if tensor.shape != own[name].shape:
            found = f"{name} of shape {tuple(tensor.shape)}"
            raise InputError(str(path), found, f"{tuple(own[name].shape)}, as in the module")
    held = {tensor.data_ptr() for name, tensor in own.items() if name in tensors}
    # A tensor that two names share is stored under one of them.
    missing = [name for name, tensor in own.items() if name not in tensors and tensor.data_ptr() not in held]
    if missing:
        raise InputError(str(path), f"no tensor {shown(missing[0])}", "every parameter and buffer of the module")
    module.load_state_dict(tensors, strict=False)


def _kinds(found: Any) -> str:
    if isinstance(found, (tuple, list)):
        kinds = (_kinds(item) if isinstance(item, (tuple, list)) else type(item).__name__ for item in found[:8])
        return f"({', '.join(kinds)}{', ...' if len(found) > 8 else ''})"
    return type(found).__name__

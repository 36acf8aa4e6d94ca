"""What the pictures of requests share: the request itself, and names of its tensors."""

from __future__ import annotations

from typing import Any

from qopt.core.errors import InputError, shown
from qopt.qpart.problem import QPart


def as_request(problem: Any, instead: str = "plot_placement, plot_front, plot_break_even") -> QPart:
    """The problem, if it is a QPART request; otherwise an error that names the pictures of placements."""
    if isinstance(problem, QPart):
        return problem
    found = getattr(problem, "name", problem)
    raise InputError("problem", shown(found), f"a QPART request (for a placement: {instead})")


def tensor_name(problem: QPart, tensor: int) -> str:
    """``fc1 weights`` for 1, ``fc1 output`` for -1."""
    return f"{problem.network.names[abs(tensor) - 1]} {'weights' if tensor > 0 else 'output'}"

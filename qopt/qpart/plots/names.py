"""What the pictures of requests share: names of tensors, and where to look with a problem of another family."""

from __future__ import annotations

from qopt.qpart.problem import QPart

OTHERS = "for a placement: plot_placement, plot_front, plot_break_even; for JQODI: plot_diagram, plot_energy_time"
"""Pictures of another family."""

ELSEWHERE = "for a placement: plot_break_even; for JQODI: plot_energy_time"
"""Pictures of another family against one parameter."""


def tensor_name(problem: QPart, tensor: int) -> str:
    """``fc1 weights`` for 1, ``fc1 output`` for -1, ``raw input`` for 0."""
    if tensor == 0:
        return "raw input"
    return f"{problem.network.names[abs(tensor) - 1]} {'weights' if tensor > 0 else 'output'}"

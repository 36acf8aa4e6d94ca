"""All methods for allocations, as they are listed. The first exact one that can solve a problem is its default."""

from __future__ import annotations

from qopt.allocation.methods import mckp as allocation_mckp
from qopt.core.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="mckp",
        summary="a multiple-choice knapsack with a row for each budget",
        proves="optimal, with a witness",
        target="qopt.allocation.methods.mckp:solve",
        options=("time_limit", "gap"),
        refuses=allocation_mckp.refuses,
    ),
)

"""Parts of a proof: instances of kernels with their witnesses, for `qopt.kernels.checker.check_proof`."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from qopt.core.errors import InputError
from qopt.kernels import mckp
from qopt.kernels.exchange import VERSION, WITNESS, mckp_instance


def proof(parts: list[dict[str, object]]) -> dict[str, object]:
    """A proof of several parts.

    Parameters
    ----------
    parts : objects with ``instance`` and ``witness``.
    """
    return {"format": "qopt/kernel-proof", "version": 1, "parts": parts}


def witness(kind: str, answer: str, given: object, gap: float, **evidence: object) -> dict[str, object]:
    """A witness of one part.

    Parameters
    ----------
    kind : of the instance.
    answer : name of the field of its answer.
    given : the answer; None for none.
    gap : share by which something may be cheaper than the best answer of the proof.
    evidence : its tree or flow.
    """
    head = {"format": WITNESS, "version": VERSION, "kind": kind, answer: given, **evidence}
    return head if gap <= 1e-9 else {**head, "gap": gap}


def knapsack_part(
    cost: ArrayLike,
    weight: ArrayLike,
    limit: ArrayLike,
    choice: Sequence[int] | None,
    upper: float,
    gap: float,
    ties: Sequence[Sequence[int]] | None = None,
) -> dict[str, object]:
    """A knapsack in which nothing costs less than an upper value, by the kernel's tree.

    Parameters
    ----------
    cost, weight, limit, ties : as `mckp.solve` takes them.
    choice : the answer, if it is one to this knapsack.
    upper : cost of the best answer of all parts; infinite where there is none.
    gap : share of it by which something may be cheaper.

    Raises
    ------
    InputError
        The kernel finds no tree, or numbers beyond its range.
    """
    instance = mckp_instance(cost, weight, limit, ties)
    found = mckp.solve(cost, weight, limit, ties=ties, upper=upper * (1 + 1e-12 if upper > 0 else 1 - 1e-12), gap=gap)
    if found.tree is None:
        raise InputError("solution", f"no tree, {found.status}", "a problem whose proof the kernel can write down")
    tree = [[x.item() if hasattr(x, "item") else x for x in node] for node in found.tree]
    return {"instance": instance, "witness": witness("mckp", "choice", choice, gap, tree=tree)}

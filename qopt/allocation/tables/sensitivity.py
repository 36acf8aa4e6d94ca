"""A sensitivity file of `qopt measure` as an allocation of the weights' widths.

    damage[l, b] = N_l(b) / ||sigma*||^2,    bytes = ceil(weights_l b / 8)

N is the measured mean squared noise of the logits with only that layer's weights quantized, relative to what moves a
decision (docs/measuring.md); such noises add up. The file says nothing of sizes, so they are given. Scales of the grid
are not counted unless they stand in `fixed`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from qopt.allocation.problem import Allocation
from qopt.allocation.tables.fields import field, numbers, with_budgets
from qopt.core.arguments import is_number
from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, shown

FORMAT = "qopt/sensitivity"


def is_sensitivity(data: object) -> bool:
    """Whether parsed JSON is such a file."""
    return isinstance(data, dict) and data.get("format") == FORMAT


def from_sensitivity(
    data: object,
    parameters: Sequence[float] | FloatArray | None,
    *,
    fixed: float = 0.0,
    budgets: Mapping[str, float | None],
    name: str,
) -> Allocation:
    """The allocation of a sensitivity file.

    Parameters
    ----------
    parameters : weights of each layer, such as ``qopt.load("qpart/mnist-mlp6").network.weights``.
    fixed : bytes that scales and whatever else is sent take in any case.
    budgets : of ``bytes``.
    """
    bits = numbers(data, "bits", None, least=1.0)
    tensors = field(data, "tensors", list, "what was measured of each tensor")
    measured = []
    for i, tensor in enumerate(tensors):
        where = f"tensors[{i}]"
        if field(tensor, "kind", str, "weight or activation", where) != "weight":
            continue
        tables = field(tensor, "noise", list, "the noise at each width, and its interval", where)
        rows = dict(enumerate(tables))
        measured.append(
            (field(tensor, "layer", int, "a layer", where), numbers({"noise": rows.get(0)}, "noise", len(bits)))
        )
    if parameters is None:
        raise InputError(
            "parameters", "nothing", "the number of weights of each layer: a sensitivity file has no sizes"
        )
    sizes = list(parameters)
    if len(sizes) != len(measured) or not all(is_number(x) and x > 0 and float(x).is_integer() for x in sizes):
        raise InputError(
            "parameters",
            shown([float(x) if is_number(x) else x for x in sizes]),
            f"{len(measured)} whole numbers > 0, one for each layer",
        )
    natural = numbers(data, "natural", None, least=0.0)
    if not natural or natural[0] <= 0:
        raise InputError("natural", shown(natural), "a number > 0 and its interval")
    use = [[math.ceil(int(size) * b / 8) for b in bits] for size in sizes]
    resources = {"bytes": {"use": np.array(use, dtype=np.float64), "unit": "B", "fixed": fixed}}
    return Allocation(
        name=name,
        description="Widths of weights; damage is measured noise of the logits relative to the natural scale.",
        source="qopt measure",
        groups=tuple(f"layer{layer}" for layer, _ in measured),
        formats=tuple(f"int{int(b)}" for b in bits),
        damage=np.array([noise for _, noise in measured]) / natural[0],
        resources=with_budgets(resources, budgets),
    )

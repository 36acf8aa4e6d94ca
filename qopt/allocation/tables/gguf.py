"""The GGUF Tool Suite's table: bytes of every tensor in every block format, and how much each tensor matters.

The suite measures the Kullback-Leibler divergence from the unquantized model with one tensor at a time in a reference
format, and with all tensors in each format. *Assumed*: formats rank and scale alike in all tensors,

    damage[t, f] = kld[t, reference] kld_all[f] / kld_all[reference],

and damages of several tensors add up. Bytes are those of the files, scales included; tensors that stay as they are
(norms, biases) are fixed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qopt.allocation.problem import Allocation
from qopt.allocation.tables.fields import field, numbers, with_budgets
from qopt.core.arguments import is_number
from qopt.core.errors import InputError, shown

KLD = "kld_"
"""How the field of a tensor's divergence begins; the reference format follows."""


def is_gguf(data: object) -> bool:
    """Whether parsed JSON looks like such a table."""
    return isinstance(data, dict) and {"formats", "tensors"} <= set(data) and "format" not in data


def from_gguf(data: object, *, budgets: Mapping[str, float | None], name: str) -> Allocation:
    """The allocation of such a table.

    Parameters
    ----------
    data : parsed JSON with ``formats`` [{name, kld}], ``tensors`` [{name, kld_REFERENCE, bytes by format}] and
        ``fixed_bytes_of_other_tensors``.
    budgets : of ``bytes``.
    """
    formats = field(data, "formats", list, "a list of formats")
    names = [field(f, "name", str, "a name", f"formats[{i}]") for i, f in enumerate(formats)]
    whole = [_number(f, "kld", f"formats[{i}]") for i, f in enumerate(formats)]
    tensors = field(data, "tensors", list, "a list of tensors")
    if not names or not tensors:
        raise InputError("tensors" if names else "formats", "none", "at least one")
    reference = _reference(tensors[0], names)
    at = whole[names.index(reference)]
    if at <= 0:
        raise InputError(
            f"formats[{names.index(reference)}].kld", f"{at:g}", f"a number > 0: {reference} is the reference"
        )
    own = [_number(t, KLD + reference, f"tensors[{i}]") for i, t in enumerate(tensors)]
    sizes = [numbers(t, "bytes", len(names), f"tensors[{i}]", least=0.0) for i, t in enumerate(tensors)]
    fixed = data.get("fixed_bytes_of_other_tensors", 0) if isinstance(data, dict) else 0
    resources = {"bytes": {"use": np.array(sizes, dtype=np.float64), "unit": "B", "fixed": fixed}}
    what = data.get("what", "") if isinstance(data, dict) else ""
    assumed = (
        f"Assumed: damage is the tensor's divergence in {reference}, times the whole model's in the format over that "
        f"in {reference}."
    )
    return Allocation(
        name=name,
        description=f"{what}. {assumed}".lstrip(". "),
        source=str(data.get("source", "")) if isinstance(data, dict) else "",
        groups=tuple(field(t, "name", str, "a name", f"tensors[{i}]") for i, t in enumerate(tensors)),
        formats=tuple(names),
        damage=np.outer(own, np.array(whole) / at),
        resources=with_budgets(resources, budgets),
    )


def _reference(tensor: object, names: list[str]) -> str:
    fields = [key for key in tensor if key.startswith(KLD)] if isinstance(tensor, dict) else []
    if len(fields) != 1 or fields[0].removeprefix(KLD) not in names:
        raise InputError("tensors[0]", shown(fields), f"one field {KLD}FORMAT, of a format of the table")
    return str(fields[0]).removeprefix(KLD)


def _number(data: object, name: str, where: str) -> float:
    value = field(data, name, (int, float), "a number >= 0", where)
    if not is_number(value) or not 0 <= value <= 1e300:
        raise InputError(f"{where}.{name}", shown(value), "a number >= 0")
    return float(value)

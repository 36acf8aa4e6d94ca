"""HAWQ-V3's table: Hessian trace and weight error of each layer, with its size, bit operations and latency.

    damage[g, b] = trace_g ||W_g - Q_b(W_g)||^2          (Yao et al., HAWQ-V3, ICML 2021, Eq. 7; trace over parameters)
    bytes = parameters b / 8,   bops = MACs b^2,   latency as measured

Layers that are tied (both ends of a residual connection) share their bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qopt.allocation.problem import Allocation
from qopt.allocation.tables.fields import field, numbers, with_budgets
from qopt.core.errors import InputError, shown


def is_hawq(data: object) -> bool:
    """Whether parsed JSON looks like such a table."""
    return isinstance(data, dict) and {"trace", "delta_w2", "parameters"} <= set(data)


def from_hawq(data: object, *, budgets: Mapping[str, float | None], name: str) -> Allocation:
    """The allocation of a HAWQ table.

    Parameters
    ----------
    data : parsed JSON with ``bits``, ``trace``, ``delta_w2`` (by bits), ``parameters``, ``macs``, ``latency_ms`` (by
        bits, optional) and ``tied`` (pairs of layers, counted from 0).
    budgets : of ``bytes``, ``bops`` and ``latency`` [ms].
    """
    bits = numbers(data, "bits", None, least=1)
    if not bits or any(b != int(b) for b in bits):
        raise InputError("bits", shown(bits), "widths, whole numbers >= 1")
    trace = np.array(numbers(data, "trace", None), dtype=np.float64)
    layers = len(trace)

    def by_bits(column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        table = field(data, column, dict, f"an object with a list for each of the bits {shown(bits)}")
        rows = [numbers(table, str(int(b)), layers, column, least=0.0) for b in bits]
        return np.array(rows, dtype=np.float64).T

    widths = np.array(bits, dtype=np.float64)
    parameters = np.array(numbers(data, "parameters", layers, least=0.0))
    resources: dict[str, dict[str, Any]] = {"bytes": {"use": np.outer(parameters, widths) / 8.0, "unit": "B"}}
    if isinstance(data, dict) and "macs" in data:
        macs = np.array(numbers(data, "macs", layers, least=0.0))
        resources["bops"] = {"use": np.outer(macs, widths**2), "unit": "bit operations"}
    if isinstance(data, dict) and "latency_ms" in data:
        resources["latency"] = {"use": by_bits("latency_ms"), "unit": "ms"}
    names = [f"layer{i + 1}" for i in range(layers)]
    about = data.get("network", "") if isinstance(data, dict) else ""
    return Allocation(
        name=name,
        description=f"{about}. Damage is trace times squared weight error; tied layers share their bits.".lstrip(". "),
        source=str(data.get("source", "")) if isinstance(data, dict) else "",
        groups=tuple(names),
        formats=tuple(f"int{int(b)}" for b in bits),
        damage=trace[:, None] * by_bits("delta_w2"),
        resources=with_budgets(resources, budgets),
        ties=_ties(data, names),
    )


def _ties(data: object, names: list[str]) -> tuple[tuple[str, ...], ...]:
    """Chains of tied pairs as groups of names."""
    pairs = data.get("tied", []) if isinstance(data, dict) else []
    if not isinstance(pairs, list):
        raise InputError("tied", shown(pairs), "pairs of layers, counted from 0")
    group = list(range(len(names)))
    for i, pair in enumerate(pairs):
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or any(type(x) is not int or not 0 <= x < len(names) for x in pair)
        ):
            raise InputError(f"tied[{i}]", shown(pair), f"two layers from 0 to {len(names) - 1}")
        first, second = (group[x] for x in pair)
        group = [min(first, second) if g in (first, second) else g for g in group]
    members = [[names[i] for i, g in enumerate(group) if g == head] for head in sorted(set(group))]
    return tuple(tuple(tie) for tie in members if len(tie) > 1)

"""What random requests may have besides: menus, measured tables of layers, limits on what a plan costs.

Apart from the generator proper, which draws first: what a seed means without these does not change with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qopt.core.arguments import is_number, real, whole
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.errors import InputError, shown
from qopt.qpart.costs import breakdown
from qopt.qpart.menus import BitRange
from qopt.qpart.plan import QPartPlan, crossing_activations
from qopt.qpart.problem import LIMITS, QPart

SAMPLED = 64
"""Cuts, evenly spaced, among which the cheapest plan at the reference width is looked for."""

SCATTER = 0.2
"""Standard deviation of the logarithm of a measured time: that of one kernel beside another."""


def checked_menu(menu: object, bits: BitRange) -> list[int] | None:
    """The option `menu`: widths within the range, ascending."""
    if menu is None:
        return None
    if not isinstance(menu, Sequence) or isinstance(menu, str) or not menu:
        raise InputError("menu", shown(menu), "a list of widths, such as (2, 4, 8)")
    found = [whole(f"menu[{i}]", b, bits.lo, bits.hi) for i, b in enumerate(menu)]
    if sorted(set(found)) != found:
        raise InputError("menu", shown(menu), "widths, ascending, none twice")
    return found


def checked_limits(limits: object) -> dict[str, float]:
    """The option `limits`: shares by the names of limits."""
    if limits is None:
        return {}
    if not isinstance(limits, Mapping) or not set(limits) <= set(LIMITS):
        raise InputError("limits", shown(limits), f"shares by name: {', '.join(LIMITS)}")
    for name, share in limits.items():
        if not is_number(share):
            raise InputError(f"limits.{name}", shown(share), "a number, the share of what a known plan uses")
    return {name: real(f"limits.{name}", limits[name], 0, 1e6, above=True) for name in LIMITS if name in limits}


def layer_tables(
    rng: np.random.Generator,
    macs: FloatArray,
    widths: IntArray,
    device: Mapping[str, float],
    server: Mapping[str, float],
) -> dict[str, object]:
    """Time and energy of every layer: MACs times a constant, less at small widths, and scattered as kernels are.

    Parameters
    ----------
    rng : a generator.
    macs : (L,) of the layers.
    widths : (k,) columns of the device's tables.
    device, server : cycles for a MAC, clock and energy coefficient of each.
    """
    layers, k = len(macs), len(widths)
    scatter = np.exp(rng.normal(0.0, SCATTER, (2, layers, k)))
    on_server = np.exp(rng.normal(0.0, SCATTER, layers))
    # At 8 bits a layer takes what its MACs say; at half the width somewhat more than half of that.
    speed = (widths / 8.0) ** 0.7
    seconds = macs[:, None] * (device["cycles_per_mac"] / device["clock"]) * speed
    joules = seconds * device["energy_coefficient"] * device["clock"] ** 3
    return {
        "bits": widths,
        "device_time": seconds * scatter[0],
        "device_energy": joules * scatter[1],
        "server_time": macs * (server["cycles_per_mac"] / server["clock"]) * on_server,
    }


def limits_from(request: QPart, shares: Mapping[str, float], reference: int) -> dict[str, Any]:
    """Limits that are shares of what the cheapest plan at the reference width uses.

    Parameters
    ----------
    request : without limits.
    shares : by name of a limit.
    reference : width of every tensor; one whose menu lacks it takes the next up, or the largest.
    """
    weights, outputs = request.bits.menus(request.layers, request.quantize_input)
    of_weights = [_near(menu, reference) for menu in weights]
    of_outputs = [_near(menu, reference) for menu in outputs]
    cuts = request.admissible_cuts
    some = cuts[np.unique(np.linspace(0, len(cuts) - 1, SAMPLED).astype(np.int64))]
    costs = []
    for cut in some.tolist():
        crossing = tuple(of_outputs[i - 1] for i in crossing_activations(request, cut))
        costs.append(breakdown(request, QPartPlan(cut=cut, weights=tuple(of_weights[:cut]), activations=crossing)))
    cheapest = min(costs, key=lambda cost: cost.objective)
    # Sums are rounded differently elsewhere: a billionth keeps the plan feasible at a share of 1.
    return {name: share * getattr(cheapest, name) * (1 + 1e-9) for name, share in shares.items()}


def _near(menu: IntArray, width: int) -> float:
    at = int(np.searchsorted(menu, width))
    return float(menu[min(at, len(menu) - 1)])

"""Where widths decide about time and energy too: all plans of a cut that none other beats in anything it costs.

For any request J and every limit rise with bits down, bits up, seconds and joules on the device. So whatever is
asked, a plan that none beats in all four is among the best: the list serves every request exactly. It may be as long
as there are plans, and is refused beyond `MOST`.
"""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import ENDLESS, Clock
from qopt.core.errors import MethodError
from qopt.core.limits import limit_with_slack
from qopt.qpart.costs import upload_values
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem

MOST = 4000
"""Plans of a cut, whole or partial, that are kept at once: a matrix of requests and plans is what serving costs."""

CLOSE = 1e-12
"""Share of the noise limit within which rounded sums do not say whether a plan keeps it: the exact test does."""


def upload_sizes(subproblem: Subproblem, values: FloatArray) -> FloatArray:
    """(n,) values that go up for each item: 0 for weights alone.

    Parameters
    ----------
    values : of the outputs (`qopt.qpart.costs.upload_values`).
    """
    sizes = np.zeros(len(subproblem.tensors))
    np.add.at(sizes, subproblem.owner[subproblem.cut :], values[subproblem.outputs - 1])
    return sizes


def undominated_plans(
    problem: QPart, subproblem: Subproblem, clock: Clock = ENDLESS
) -> tuple[FloatArray, FloatArray, list[IntArray]]:
    """Download, upload and widths of every plan of a cut that no other beats in bits, time and energy.

    Partial plans are built item by item; one goes when another is no worse in all of these and in noise, or when what
    is left cannot keep the noise limit.

    Parameters
    ----------
    problem : with tables by width, without limits but that on noise.
    subproblem : of one of its cuts.
    clock : of the call.

    Raises
    ------
    OutOfTime
        The clock is over.
    MethodError
        More than `MOST` of them, or one within rounding of the noise limit.
    """
    uses = _uses(problem, subproblem)
    n, allowed = len(subproblem.tensors), limit_with_slack(subproblem.limit)
    rest = np.append(np.cumsum(subproblem.noise.min(axis=1)[::-1])[::-1], 0.0)
    sums, choices = np.zeros((1, len(uses))), np.zeros((1, 0), dtype=np.int64)
    for i in range(n):
        clock.check()
        columns = np.flatnonzero(subproblem.on_menu[i])
        sums = (sums[:, None, :] + uses[:, i, columns].T[None]).reshape(-1, len(uses))
        choices = np.column_stack((np.repeat(choices, len(columns), axis=0), np.tile(columns, len(choices))))
        fits = sums[:, 0] + rest[i + 1] <= allowed * (1.0 + CLOSE)
        sums, choices = sums[fits], choices[fits]
        keep = _undominated(sums)
        if keep.sum() > MOST:
            allowed_words = "fewer widths or layers, or requests solved one by one"
            raise MethodError(
                f"{problem.name}: found more than {MOST} plans at cut {subproblem.cut} that none beats in payload, "
                f"time and energy, which differ by width; allowed: {allowed_words}"
            )
        sums, choices = sums[keep], choices[keep]
    plans, kept = [], []
    for k, columns in enumerate(choices):
        if subproblem.keeps(columns):
            kept.append(k)
            plans.append(subproblem.widths_of(columns)[subproblem.owner].astype(np.int64))
        elif sums[k, 0] <= allowed:
            raise MethodError(
                f"{problem.name}: found a plan at cut {subproblem.cut} within rounding of its noise limit"
            )
    sizes = upload_sizes(subproblem, upload_values(problem))
    bits = [subproblem.widths_of(choices[k]) for k in kept]
    down = np.array([subproblem.stored_bits(b) for b in bits])
    up = np.array([float(sizes @ b) for b in bits])
    final = _undominated(sums[kept][:, 1:]) if kept else np.zeros(0, dtype=bool)
    return down[final], up[final], [plan for plan, good in zip(plans, final.tolist(), strict=True) if good]


def _uses(problem: QPart, subproblem: Subproblem) -> FloatArray:
    """(U, n, k) noise, bits down and bits up of every item, then its seconds and joules where widths decide them."""
    tables = problem.tables
    assert tables is not None
    sizes = upload_sizes(subproblem, upload_values(problem))
    rows = [subproblem.noise, subproblem.storage, sizes[:, None] * subproblem.width]
    n, k = subproblem.noise.shape
    place = np.broadcast_to(np.arange(k), (n, k)) if subproblem.stand_in is None else subproblem.stand_in
    for table in (tables.device_time, tables.device_energy):
        if table is not None:
            of_layers = tables.at(table, subproblem.bits)
            found = np.zeros((n, k))
            np.add.at(found, subproblem.owner[: subproblem.cut], of_layers[: subproblem.cut])
            rows.append(np.take_along_axis(found, place, axis=1))
    return np.stack(rows)


def _undominated(sums: FloatArray) -> BoolArray:
    """(m,) which rows no other beats: is no worse in every column; of equal rows the first stays."""
    m = len(sums)
    order = np.lexsort(sums.T[::-1])
    ranked = sums[order]
    alive = np.ones(m, dtype=bool)
    kept = 0
    for i in range(m):
        if not alive[i]:
            continue
        kept += 1
        if kept > MOST:
            break
        alive[i + 1 :] &= ~np.all(ranked[i + 1 :] >= ranked[i], axis=1)
    found = np.zeros(m, dtype=bool)
    found[order[alive]] = True
    return found

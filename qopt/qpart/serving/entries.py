"""Whole bits: everything that a request could make of a network at one level, as a short list of plans.

For fixed widths of what goes up, the weights' bits do not depend on the request: the plan that stores least is
best for every rate, price and memory, and for every limit on time, energy, price and payload, since all of these rise
with the same bits. At most 16 such plans a cut (for a chain), and of those only the ones that no other beats in both
directions of the link.

Where a table says the device's time or energy by width, the leanest plan need not be the fastest. Then the list is of
all plans that no other beats in bits down, bits up, time and energy (`qopt.qpart.serving.fronts`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.display import Brief
from qopt.core.limits import limits_with_slack
from qopt.kernels import mckp
from qopt.qpart.costs import fixed_upload, split_macs, upload_values
from qopt.qpart.problem import QPart
from qopt.qpart.serving.fronts import undominated_plans, upload_sizes
from qopt.qpart.serving.prices import RequestPrices
from qopt.qpart.subproblem import Subproblem, subproblems


@dataclass(frozen=True, repr=False)
class Entries(Brief):
    """Plans of one network at one level, ascending in their cuts.

    Attributes
    ----------
    cut : (e,) cut of each plan.
    device_macs, server_macs : (e,) MACs on either side.
    download, upload : (e,) bits in either direction, overhead included, the raw input among the upload. What is
        downloaded is stored.
    extreme : (e,) plans that some pair of prices prefers; the others matter only where memory is short.
    widths : (sum of tensors,) bit-widths of all plans, weights before activations, one plan after another.
    start : (e + 1,) where each plan's widths begin.
    measured : (4, e) seconds and joules on the device and on the server that tables say; None without tables.
    """

    cut: IntArray
    device_macs: FloatArray
    server_macs: FloatArray
    download: FloatArray
    upload: FloatArray
    extreme: BoolArray
    widths: IntArray
    start: IntArray
    measured: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.cut)

    @property
    def features(self) -> FloatArray:
        """(F, e) what Eq. 17 multiplies by xi, delta, upload and download price, and by those of what is measured."""
        macs_and_bits = np.stack((self.device_macs, self.server_macs, self.upload, self.download))
        return macs_and_bits if self.measured is None else np.vstack((macs_and_bits, self.measured))


def decide_whole(table: Entries, prices: RequestPrices) -> tuple[FloatArray, IntArray, IntArray]:
    """J of every plan is one row of a matrix product; corner plans first, all plans only where memory is short."""
    n = len(prices.device)
    if len(table) == 0:
        return np.full(n, np.inf), np.full(n, -1), np.full(n, -1)
    coefficients = prices.objective
    corners = np.flatnonzero(table.extreme)
    features = table.features
    cost = coefficients @ features[:, corners]
    best = np.argmin(cost, axis=1)
    value, chosen = cost[np.arange(n), best], corners[best]
    allowed = limits_with_slack(prices.memory)
    breaks = table.download[chosen] > allowed
    uses = [(rates, limits_with_slack(limit)) for rates, limit in prices.uses]
    for rates, limit in uses:
        breaks |= np.einsum("fn,fn->n", rates, features[:, chosen]) > limit
    short = np.flatnonzero(breaks)
    if short.size:
        cost = coefficients[short] @ features
        cost[table.download[None, :] > allowed[short, None]] = np.inf
        for rates, limit in uses:
            cost[rates[:, short].T @ features > limit[short, None]] = np.inf
        best = np.argmin(cost, axis=1)
        value[short], chosen[short] = cost[np.arange(short.size), best], best
    none = np.isinf(value)
    return value, np.where(none, -1, table.cut[chosen]), np.where(none, -1, chosen)


def entries(problem: QPart) -> Entries:
    """All plans that matter at the problem's level, whatever the request."""
    return entries_in_time(problem, ENDLESS)[0]


def entries_in_time(problem: QPart, clock: Clock) -> tuple[Entries, bool]:
    """The plans of the cuts that there is time for, and whether these are all."""
    table = subproblems(problem)
    by_width = problem.tables is not None and problem.tables.by_width
    on_device, on_server = split_macs(problem)
    cuts, downloads, uploads, extremes, widths = [], [], [], [], []
    complete = True
    for cut in problem.admissible_cuts:
        subproblem = table.at(int(cut))
        fixed = fixed_upload(problem, int(cut))
        try:
            if by_width:
                down, up, plans = undominated_plans(problem, subproblem, clock)
                keep, extreme = list(range(len(plans))), [True] * len(plans)
            else:
                down, up, plans = _plans(subproblem, upload_values(problem), clock)
                keep, extreme = front(down, up + fixed)
        except OutOfTime:
            complete = False
            break
        for i, corner in zip(keep, extreme, strict=True):
            cuts.append(int(cut))
            downloads.append(down[i])
            uploads.append(up[i] + fixed)
            extremes.append(corner)
            widths.append(plans[i])
    cut_column = np.array(cuts, dtype=np.int64)
    lengths = [len(w) for w in widths]
    measured = None
    if problem.tables is not None:
        each = [measured_of(problem, cut, plan) for cut, plan in zip(cuts, widths, strict=True)]
        measured = np.array(each).reshape(-1, 4).T.copy()
    found = Entries(
        cut=cut_column,
        device_macs=on_device[cut_column],
        server_macs=on_server[cut_column],
        download=np.array(downloads),
        upload=np.array(uploads),
        extreme=np.array(extremes, dtype=bool),
        widths=np.concatenate([np.empty(0, dtype=np.int64), *widths]),
        start=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        measured=measured,
    )
    return found, complete


def measured_of(problem: QPart, cut: int, widths: IntArray) -> tuple[float, float, float, float]:
    """Seconds and joules on the device, then on the server, that tables say of a plan; 0 where they say nothing.

    Parameters
    ----------
    cut : p.
    widths : of the plan's tensors, weights first.
    """
    tables = problem.tables
    assert tables is not None
    on_device = []
    for table in (tables.device_time, tables.device_energy):
        if table is None or tables.bits is None:
            on_device.append(0.0)
            continue
        at = np.searchsorted(tables.bits, widths[:cut])
        on_device.append(math.fsum(table[np.arange(cut), at].tolist()))
    on_server = [0.0 if c is None else math.fsum(c[cut:].tolist()) for c in (tables.server_time, tables.server_energy)]
    return on_device[0], on_device[1], on_server[0], on_server[1]


def _plans(
    subproblem: Subproblem, activations: FloatArray, clock: Clock
) -> tuple[FloatArray, FloatArray, list[IntArray]]:
    """Download, upload and widths of the leanest plan for every combination of the widths that go up."""
    others = subproblem.uploads
    sizes = upload_sizes(subproblem, activations)
    down, up, plans = [], [], []
    menus = [np.flatnonzero(subproblem.on_menu[i]).tolist() for i in others.tolist()]
    for index in itertools.product(*menus):
        clock.check()
        columns = np.array(index, dtype=np.int64)
        stored, noise = subproblem.storage.copy(), subproblem.noise.copy()
        for array in (stored, noise):  # tensors that go up have the value of one width at every width
            array[others] = array[others, columns][:, None]
        found = mckp.solve(stored, noise, subproblem.limit, time_limit=clock.left)
        if found.status == "limit" and clock.limit is not None:
            raise OutOfTime("a plan of the table was not proved in time")
        if found.choice is None:
            continue
        found.choice[others] = columns
        bits = subproblem.widths_of(found.choice)
        down.append(subproblem.stored_bits(bits))
        up.append(float(sizes @ bits))
        plans.append(bits[subproblem.owner].astype(np.int64))
    return np.array(down), np.array(up), plans


def front(down: FloatArray, up: FloatArray) -> tuple[list[int], list[bool]]:
    """Plans that no other beats in both directions, and which of them are corners of the lower hull."""
    order = np.lexsort((up, down))
    front: list[int] = []
    for i in order:
        if not front or up[i] < up[front[-1]]:
            front.append(int(i))
    hull: list[int] = []
    for i in front:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = (down[hull[-2]], up[hull[-2]]), (down[hull[-1]], up[hull[-1]])
            if (x1 - x0) * (up[i] - y0) <= (down[i] - x0) * (y1 - y0):
                hull.pop()
            else:
                break
        hull.append(i)
    return front, [i in hull for i in front]

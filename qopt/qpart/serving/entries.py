"""Whole bits: everything that a request could make of a network at one level, as a short list of plans.

For fixed widths of what goes up, the weights' bits do not depend on the request: the plan that stores least is
best for every rate, price and memory. At most 16 such plans a cut (for a chain), and of those only the ones that
no other beats in both directions of the link.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.display import Brief
from qopt.core.limits import limits_with_slack
from qopt.kernels import mckp
from qopt.qpart.costs import fixed_upload, split_macs
from qopt.qpart.problem import QPart
from qopt.qpart.serving.requests import RequestPrices
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
    """

    cut: IntArray
    device_macs: FloatArray
    server_macs: FloatArray
    download: FloatArray
    upload: FloatArray
    extreme: BoolArray
    widths: IntArray
    start: IntArray

    def __len__(self) -> int:
        return len(self.cut)

    @property
    def features(self) -> FloatArray:
        """(4, e) what Eq. 17 multiplies by xi, delta, upload and download price."""
        return np.stack((self.device_macs, self.server_macs, self.upload, self.download))


def decide_whole(table: Entries, prices: RequestPrices) -> tuple[FloatArray, IntArray, IntArray]:
    """J of every plan is one row of a matrix product; corner plans first, all plans only where memory is short."""
    n = len(prices.device)
    if len(table) == 0:
        return np.full(n, np.inf), np.full(n, -1), np.full(n, -1)
    coefficients = np.stack((prices.device, prices.server, prices.upload, prices.download), axis=1)
    corners = np.flatnonzero(table.extreme)
    features = table.features
    cost = coefficients @ features[:, corners]
    best = np.argmin(cost, axis=1)
    value, chosen = cost[np.arange(n), best], corners[best]
    allowed = limits_with_slack(prices.memory)
    short = np.flatnonzero(table.download[chosen] > allowed)
    if short.size:
        cost = coefficients[short] @ features
        cost[table.download[None, :] > allowed[short, None]] = np.inf
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
    on_device, on_server = split_macs(problem)
    cuts, downloads, uploads, extremes, widths = [], [], [], [], []
    complete = True
    for cut in problem.admissible_cuts:
        subproblem = table.at(int(cut))
        fixed = fixed_upload(problem, int(cut))
        try:
            down, up, plans = _plans(subproblem, problem.network.activations, clock)
        except OutOfTime:
            complete = False
            break
        keep, extreme = front(down, up + fixed)
        for i, corner in zip(keep, extreme, strict=True):
            cuts.append(int(cut))
            downloads.append(down[i])
            uploads.append(up[i] + fixed)
            extremes.append(corner)
            widths.append(plans[i])
    cut_column = np.array(cuts, dtype=np.int64)
    lengths = [len(w) for w in widths]
    found = Entries(
        cut=cut_column,
        device_macs=on_device[cut_column],
        server_macs=on_server[cut_column],
        download=np.array(downloads),
        upload=np.array(uploads),
        extreme=np.array(extremes, dtype=bool),
        widths=np.concatenate([np.empty(0, dtype=np.int64), *widths]),
        start=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
    )
    return found, complete


def _plans(
    subproblem: Subproblem, activations: FloatArray, clock: Clock
) -> tuple[FloatArray, FloatArray, list[IntArray]]:
    """Download, upload and widths of the leanest plan for every combination of the widths that go up."""
    others = subproblem.uploads
    sizes = upload_sizes(subproblem, activations)
    down, up, plans = [], [], []
    for index in np.ndindex(*(len(subproblem.bits),) * len(others)):
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
        bits = subproblem.bits[found.choice]
        down.append(subproblem.stored_bits(bits))
        up.append(float(sizes @ bits))
        plans.append(bits[subproblem.owner].astype(np.int64))
    return np.array(down), np.array(up), plans


def upload_sizes(subproblem: Subproblem, activations: FloatArray) -> FloatArray:
    """(n,) values that go up for each item: 0 for weights alone."""
    sizes = np.zeros(len(subproblem.tensors))
    np.add.at(sizes, subproblem.owner[subproblem.cut :], activations[subproblem.outputs - 1])
    return sizes


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

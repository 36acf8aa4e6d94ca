"""`decide` on torch: requests and answers as tensors on one device, the same decisions as numpy's.

Costs are one matrix product in float64, as on the CPU, but its sums may be rounded otherwise, and so may a price that
comes from a logarithm (Eq. 13). A rounded sum of four products is off by less than 2^-51 of itself, so where the best
plan is ahead of all others by more than `NEAR` both libraries choose it. The other requests, few if any, are handed to
numpy. So cuts and plans are equal, and objectives equal up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.limits import SLACK
from qopt.qpart.problem import SAME_LEVEL, QPart
from qopt.qpart.serving.entries import Entries, decide_whole
from qopt.qpart.serving.prices import RequestPrices, check_columns, prices_from, uses_from
from qopt.qpart.serving.requests import AMOUNTS, ENDLESS, FIELDS, Requests, allowed_in
from qopt.qpart.serving.table import Table, network_of

if TYPE_CHECKING:
    import torch

NEAR = 1e-12
"""Plans whose costs differ by less, relative to the lower, are told apart by numpy."""

BLOCK_BYTES = {"cuda": 1 << 30, "cpu": 1 << 22}
"""Bytes of a block's costs: enough to fill a GPU, little enough for a processor's cache."""


@dataclass(frozen=True, repr=False)
class TensorDecisions(Brief):
    """Answers to requests, as tensors on their device.

    Attributes
    ----------
    objective : (n,) float64, J of the best plan; infinite where no plan keeps the limits.
    cut : (n,) int64, its cut; -1 where there is none.
    entry : (n,) int64, its position in the table of its network and level; -1 where there is none.
    """

    objective: torch.Tensor
    cut: torch.Tensor
    entry: torch.Tensor

    def __len__(self) -> int:
        return len(self.objective)


def decide_tensors(table: Table, columns: Mapping[str, torch.Tensor], network: str = "") -> TensorDecisions:
    """Answer requests of one network where they are: the best cut and plan of each, the same as `decide` gives.

    Parameters
    ----------
    table : of `offline`, whole bits.
    columns : (n,) real tensors by field name, a selection of `FIELDS`, all of one length on one device.
    network : its name; empty: the table's only one. Its own values stand where a column is missing.

    Returns
    -------
    Objective, cut and entry of the table of each request, tensors on their device.

    Raises
    ------
    InputError
        A table of real-valued bits, a network that is not in it, an unknown field, tensors of different length or
        device, or a value that is not admissible, with row and column.
    """
    import torch

    if table.bits != "whole":
        raise InputError("table.bits", table.bits, "whole, where requests are tensors")
    name = next(iter(table.networks)) if not network and len(table.networks) == 1 else network
    if name not in table.networks:
        raise InputError("network", shown(name), ", ".join(table.networks))
    problem = table.networks[name]
    given, n, device = _checked(columns, problem)
    check_columns(given, problem)
    objective = torch.full((n,), torch.inf, dtype=torch.float64, device=device)
    cut = torch.full((n,), -1, dtype=torch.int64, device=device)
    entry = cut.clone()

    def own(number: float) -> torch.Tensor:
        return torch.tensor(number, dtype=torch.float64, device=device)  # by a Python number torch divides otherwise

    found = prices_from(given, problem, own=own, log1p=torch.log1p)
    prices = torch.stack([x.expand(n) for x in found])
    uses = [
        (torch.stack([x.expand(n) for x in rates]), limit.expand(n) * (1.0 + SLACK))
        for rates, limit in uses_from(given, problem, own=own, log1p=torch.log1p)
    ]
    bad = ~torch.isfinite(prices[:4].sum(dim=0))
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise InputError(f"requests[{row}]", "numbers whose prices overflow", "numbers with finite prices")
    for level_row, rows in _by_level(given.get("level"), problem, device):
        if rows is None:
            return TensorDecisions(*_decide(table.whole[name, level_row], prices, uses))
        of_level = [(rates[:, rows], limit[rows]) for rates, limit in uses]
        answer = _decide(table.whole[name, level_row], prices[:, rows], of_level)
        for column, values in zip((objective, cut, entry), answer, strict=True):
            column[rows] = values
    return TensorDecisions(objective, cut, entry)


def decide_on(device: str, table: Table, requests: Requests) -> tuple[FloatArray, IntArray, IntArray]:
    """(n,) objective, cut and entry of requests of any networks, decided on a device.

    Raises
    ------
    InputError
        As `decide_tensors`; a device that is not there.
    """
    import torch

    try:
        target = torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise InputError("device", device, "a device of this machine, such as cpu or cuda") from error
    n = len(requests)
    objective, cut = np.full(n, np.inf), np.full(n, -1, dtype=np.int64)
    entry = cut.copy()
    for k, name in enumerate(requests.networks):
        rows = np.flatnonzero(requests.network == k)
        if rows.size == 0:
            continue
        columns = {field: torch.from_numpy(column[rows]).to(target) for field, column in requests.columns.items()}
        if not columns:  # every request is the network's own
            own = float(network_of(table, requests, k)[1].inferences)
            columns = {"inferences": torch.full((rows.size,), own, dtype=torch.float64, device=target)}
        answer = decide_tensors(table, columns, name)
        objective[rows], cut[rows] = answer.objective.numpy(force=True), answer.cut.numpy(force=True)
        entry[rows] = answer.entry.numpy(force=True)
    return objective, cut, entry


def _checked(columns: Mapping[str, torch.Tensor], network: QPart) -> tuple[dict[str, torch.Tensor], int, torch.device]:
    """Columns in float64, their length and device."""
    import torch

    unknown = [name for name in columns if name not in FIELDS]
    if unknown or not columns:
        field, found = (f"requests.{unknown[0]}", "an unknown column") if unknown else ("requests", "no columns")
        raise InputError(field, found, ", ".join(FIELDS))
    given, first = {}, next(iter(columns))
    for name, column in columns.items():
        if not isinstance(column, torch.Tensor):
            raise InputError(f"requests.{name}", shown(column), "a tensor of real numbers with one dimension")
        if column.ndim != 1 or column.is_complex() or column.dtype == torch.bool:
            found = f"{column.dtype} of {column.ndim} dimensions"
            raise InputError(f"requests.{name}", found, "a tensor of real numbers with one dimension")
        like = columns[first]
        if column.shape != like.shape or column.device != like.device:
            wanted = f"{len(like)} rows on {like.device}, as in column {first}"
            raise InputError(f"requests.{name}", f"{len(column)} rows on {column.device}", wanted)
        given[name] = column.double()
    good = torch.stack([_admissible(name, column).all() for name, column in given.items()])
    for name in (name for name, fine in zip(given, good.tolist(), strict=True) if not fine):
        row = int((~_admissible(name, given[name])).nonzero()[0])
        raise InputError(f"requests.{name}[{row}]", f"{float(given[name][row]):g}", allowed_in(name))
    power = given.get("channel.transmit_power")
    if power is not None and network.channel.rate is None and "channel.rate" not in given and bool((power == 0).any()):
        row = int((power == 0).nonzero()[0])
        raise InputError(f"requests.channel.transmit_power[{row}]", "0", "a power > 0, or a column channel.rate")
    return given, len(columns[first]), columns[first].device


def _admissible(name: str, column: torch.Tensor) -> torch.Tensor:
    """(n,) which numbers a field may have; as for `Requests`."""
    good = column >= 0 if name in AMOUNTS or name in ENDLESS else column > 0
    if name not in ENDLESS:
        good &= column < np.inf
    if name == "inferences":
        good &= column == column.floor()
    if name == "level":
        good &= column <= 1
    return good


def _by_level(
    asked: torch.Tensor | None, network: QPart, device: torch.device
) -> Iterator[tuple[int, torch.Tensor | None]]:
    """Rows of requests by the level that serves them (Algorithm 2); None: all of them."""
    import torch

    if asked is None:
        yield network.level_row, None
        return
    levels = torch.tensor(network.accuracy.levels * (1.0 - SAME_LEVEL), dtype=torch.float64, device=device)
    served = torch.searchsorted(levels, asked, right=True) - 1
    order = torch.argsort(served.to(torch.int16), stable=True)
    counts = torch.bincount(served + 1, minlength=len(levels) + 1).tolist()
    if counts[0]:
        row = int(order[0])
        allowed = f"a level from {network.accuracy.levels[0]:g} up"
        raise InputError(f"requests.level[{row}]", f"{float(asked[row]):g}", allowed)
    for row, rows in enumerate(order.split(counts[1:])):  # type: ignore[no-untyped-call]  # torch has no types there
        if len(rows):
            yield row, rows


Uses = Sequence[tuple["torch.Tensor", "torch.Tensor"]]
"""For every limit what it counts of each feature, (F, n), and what it allows, (n,), slack included."""


def _decide(table: Entries, prices: torch.Tensor, uses: Uses = ()) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Objective, cut and entry for prices (F + 1, n): corner plans first, all plans only where a limit is short.

    The first four rows of the prices and those from the sixth on are of the plans' features, the fifth is the memory.
    """
    import torch

    n, device = prices.shape[1], prices.device
    if len(table) == 0:
        none = torch.full((n,), -1, dtype=torch.int64, device=device)
        return torch.full((n,), torch.inf, dtype=torch.float64, device=device), none, none.clone()
    corners = torch.from_numpy(np.flatnonzero(table.extreme)).to(device)
    features = torch.from_numpy(np.ascontiguousarray(table.features.T)).to(device)
    download = torch.from_numpy(table.download).to(device)
    cuts = torch.from_numpy(table.cut).to(device)
    memory = prices[4]
    coefficients = prices[:4] if len(prices) == 5 else torch.cat((prices[:4], prices[5:]))
    allowed = memory * (1.0 + SLACK)
    value, chosen, near = _least(features[corners], coefficients)
    chosen = corners[chosen]
    breaks = download[chosen] > allowed
    for rates, limit in uses:
        used = (rates * features[chosen].T).sum(dim=0)
        breaks |= used > limit * (1.0 - NEAR)  # as good as at the limit: all plans are looked at, rounding in mind
    short = breaks.nonzero()[:, 0]
    if len(short):
        of_short = [(rates[:, short], limit[short]) for rates, limit in uses]
        value[short], chosen[short], near[short] = _least(
            features, coefficients[:, short], download, allowed[short], of_short
        )
    none = torch.isinf(value)
    cut, entry = torch.where(none, -1, cuts[chosen]), torch.where(none, -1, chosen)
    close = near.nonzero()[:, 0]
    if len(close):
        device_price, server_price, up, down, room, *measured = prices[:, close].numpy(force=True)
        of_close = tuple((rates[:, close].numpy(force=True), limit[close].numpy(force=True)) for rates, limit in uses)
        asked = RequestPrices(
            device_price,
            server_price,
            up,
            down,
            room,
            tuple(measured),
            tuple((rates, limit / (1.0 + SLACK)) for rates, limit in of_close),
        )
        answer = decide_whole(table, asked)
        for column, values in zip((value, cut, entry), answer, strict=True):
            column[close] = torch.from_numpy(np.ascontiguousarray(values)).to(device)
    return value, cut, entry


def _least(
    features: torch.Tensor,
    prices: torch.Tensor,
    download: torch.Tensor | None = None,
    allowed: torch.Tensor | None = None,
    uses: Uses = (),
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(n,) least cost, the plan (e, F) that has it, and whether rounding may hide another one.

    Parameters
    ----------
    features, prices : (e, F) and (F, n).
    download, allowed : (e,) bits stored and (n,) how many may be; without them all plans do.
    uses : other limits.
    """
    import torch

    e, n = len(features), prices.shape[1]
    block = max(1, BLOCK_BYTES.get(prices.device.type, BLOCK_BYTES["cpu"]) // (8 * e))
    value = torch.empty(n, dtype=torch.float64, device=prices.device)
    chosen = torch.empty(n, dtype=torch.int64, device=prices.device)
    near = torch.empty(n, dtype=torch.bool, device=prices.device)
    for first in range(0, n, block):
        part = slice(first, first + block)
        cost = features @ prices[:, part]
        if download is not None and allowed is not None:
            cost.masked_fill_(download[:, None] > allowed[None, part], torch.inf)
        unsure = torch.zeros_like(cost[0], dtype=torch.bool)
        for rates, limit in uses:
            used = features @ rates[:, part]
            cost.masked_fill_(used > limit[None, part], torch.inf)
            # A sum within rounding of its limit: numpy decides.
            unsure |= ((used - limit[None, part]).abs() <= NEAR * limit[None, part]).any(dim=0)
        least, chosen[part] = cost.min(dim=0)
        value[part] = least
        near[part] = ((cost <= least * (1.0 + NEAR)).sum(dim=0, dtype=torch.int32) > 1) & torch.isfinite(least)
        near[part] |= unsure
    return value, chosen, near

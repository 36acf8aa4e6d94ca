"""The online step: requests answered from a table by the million, with numpy here or with torch on a device."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.errors import InputError
from qopt.qpart.problem import QPart
from qopt.qpart.serving.curves import STEEPEST, Curve
from qopt.qpart.serving.entries import decide_whole
from qopt.qpart.serving.prices import RequestPrices, check_columns, request_prices
from qopt.qpart.serving.requests import Requests
from qopt.qpart.serving.table import Decisions, Table, level_rows, network_of

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 1 << 15
"""Requests decided at a time, so that a block stays in the processor's cache."""


def decide(
    table: Table,
    requests: Requests | Mapping[str, ArrayLike] | pd.DataFrame,
    *,
    threads: int = 2,
    device: str | None = None,
) -> Decisions:
    """Answer requests from a table: the best cut and plan of each, exactly.

    A request's level is served by the largest level of its network that does not exceed it (Algorithm 2).

    Parameters
    ----------
    table : of `offline`.
    requests : columns by field name.
    threads : of the processor, where no device is named.
    device : decide with torch there, such as ``cuda``: the same cuts and plans, objectives equal up to rounding. Where
        requests are tensors on a device already, `decide_tensors` spares them the way to it and back.

    Returns
    -------
    Objective, cut and entry of the table of each request, in the order of the requests.

    Raises
    ------
    InputError
        A network that is not in the table, a level below all of its network's, with row and column; a device that is
        not there.
    """
    if not isinstance(requests, Requests):
        requests = Requests.of(requests)
    n = len(requests)
    if device is not None:
        from qopt.qpart.serving.decide_torch import decide_on

        return Decisions(*decide_on(device, table, requests), table, requests)
    objective, cut = np.full(n, np.inf), np.full(n, -1, dtype=np.int64)
    entry = np.full(n, -1, dtype=np.int64)

    def block(name: str, problem: QPart, level_row: int, rows: IntArray) -> None:
        mine = requests if len(rows) == n else requests.take(rows)
        prices = request_prices(mine, problem)
        bad = np.flatnonzero(~np.isfinite(prices.device + prices.server + prices.upload + prices.download))
        if bad.size:
            raise InputError(f"requests[{rows[bad[0]]}]", "numbers whose prices overflow", "numbers with finite prices")
        if table.bits == "whole":
            value, chosen, where = decide_whole(table.whole[name, level_row], prices)
            entry[rows] = where
        else:
            value, chosen = _decide_real(table.real[name, level_row], prices)
        objective[rows], cut[rows] = value, chosen

    jobs = []
    for k in range(len(requests.networks)):
        rows = np.flatnonzero(requests.network == k) if len(requests.networks) > 1 else np.arange(n)
        if rows.size == 0:
            continue
        name, problem = network_of(table, requests, k)
        _check_power(requests, problem, rows)
        check_columns(requests.columns, problem)
        if table.bits == "real":
            limited = next((field for field in requests.columns if field.startswith("limits.")), None)
            if limited is not None:
                raise InputError(f"requests.{limited}", "a column", "none, for a table of real-valued bits")
        levels = level_rows(requests, problem, rows)
        for level_row in np.unique(levels):
            of_level = rows[levels == level_row]
            jobs += [(name, problem, int(level_row), of_level[i : i + BLOCK]) for i in range(0, len(of_level), BLOCK)]
    if threads > 1 and len(jobs) > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda job: block(*job), jobs))
    else:
        for job in jobs:
            block(*job)
    return Decisions(objective, cut, entry, table, requests)


def _check_power(requests: Requests, problem: QPart, rows: IntArray) -> None:
    """By Eq. 13 no power is no rate."""
    power = requests.columns.get("channel.transmit_power")
    if power is None or problem.channel.rate is not None or "channel.rate" in requests.columns:
        return
    silent = rows[power[rows] == 0]
    if silent.size:
        raise InputError(f"requests.channel.transmit_power[{silent[0]}]", "0", "a power > 0, or a column channel.rate")


def _decide_real(found: list[Curve], prices: RequestPrices) -> tuple[FloatArray, IntArray]:
    """The least of the cuts' closed forms."""
    n = len(prices.device)
    value, chosen = np.full(n, np.inf), np.full(n, -1, dtype=np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.minimum(np.where(prices.upload > 0, prices.upload / prices.download, 0.0), STEEPEST)
    for c in found:
        down, up = c.within_memory(ratio, prices.memory)
        fits = np.isfinite(down)
        up, down = np.where(fits, up, 0.0), np.where(fits, down, 0.0)
        computing = prices.device * c.device_macs + prices.server * c.server_macs
        j = np.where(fits, computing + prices.upload * (up + c.fixed) + prices.download * down, np.inf)
        better = j < value
        value, chosen = np.where(better, j, value), np.where(better, c.cut, chosen)
    return value, chosen

"""The offline table and the online step.

`offline` works out, once, what a network can be asked for; `decide` answers requests by the million with one
matrix product. Nothing is lost: the answer is the one that solving each request would give.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief, listed, number
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.limits import limits_with_slack
from qopt.core.problem import Frozen
from qopt.core.reading import problem_of
from qopt.qpart.methods.kkt import at_cut
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart, serving_rows
from qopt.qpart.serving.curves import STEEPEST, Curve, curves
from qopt.qpart.serving.entries import Entries, entries
from qopt.qpart.serving.requests import RequestPrices, Requests, request_prices
from qopt.qpart.serving.table_file import one_line, read_parts, write_parts
from qopt.qpart.subproblem import subproblems

if TYPE_CHECKING:
    import pandas as pd

Problem = QPart | str | os.PathLike[str]

BLOCK = 1 << 15
"""Requests decided at a time, so that a block stays in the processor's cache."""


@dataclass(frozen=True, repr=False)
class Table(Brief):
    """What `offline` worked out.

    Attributes
    ----------
    bits : ``whole`` or ``real``.
    networks : the problems it was made from, by name; their own request fields are the defaults of `decide`.
    whole, real : by (network, level row): plans, or curves of plans.
    """

    bits: Literal["whole", "real"]
    networks: dict[str, QPart]
    whole: dict[tuple[str, int], Entries]
    real: dict[tuple[str, int], list[Curve]]

    def __str__(self) -> str:
        rows = []
        for name, problem in self.networks.items():
            levels = range(len(problem.accuracy.levels))
            held = [len(self.whole[name, k] if self.bits == "whole" else self.real[name, k]) for k in levels]
            what = "plans" if self.bits == "whole" else "curves"
            rows.append(f"{name}: {problem.layers} layers, {len(levels)} levels, {sum(held)} {what}")
        return listed(f"offline table of {self.bits} bits, {len(rows)} networks", rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one npz file: a JSON header and plain arrays, no pickle. `load_table` reads it.

        Curves of real-valued bits are left out: they take milliseconds to make anew.

        Parameters
        ----------
        path : of the file to write, whole or not at all.
        """
        write_parts(self.bits, self.networks, self.whole, path)


def offline(problems: Problem | Iterable[Problem], bits: Literal["whole", "real"] = "whole") -> Table:
    """Work out what every network can be asked for, at every level.

    Parameters
    ----------
    problems : one or several, or their names or paths: networks with their noise, limits, admissible cuts and
        widths. Their device, channel and objective are only defaults for requests that do not say.
    bits : ``whole`` or ``real`` (the law s 4^-b only).

    Returns
    -------
    `Table`: for every network and level what the best plans can be, whatever the request.

    Raises
    ------
    InputError
        No problem, or two of one name.
    MethodError
        Real-valued bits for noise that does not follow the law.
    """
    networks: dict[str, QPart] = {}
    given = [problems] if isinstance(problems, Frozen | str | os.PathLike) else problems
    for one in given:
        problem = problem_of(QPart, one, field="problems", named=True)
        if problem.name in networks:
            raise InputError("problems", f"{problem.name!r} twice", "networks of different names")
        networks[problem.name] = problem
    if not networks:
        raise InputError("problems", "none", "at least one network")
    if bits not in ("whole", "real"):
        raise InputError("bits", shown(bits), "whole or real")
    whole: dict[tuple[str, int], Entries] = {}
    real: dict[tuple[str, int], list[Curve]] = {}
    for name, problem in networks.items():
        if bits == "real" and problem.noise.model != "law":
            raise MethodError(f"{name}: noise.model is {problem.noise.model}, real-valued tables take the law")
        for row, level in enumerate(problem.accuracy.levels):
            at_level = problem.replace({"level": float(level), "device.memory": None})
            if bits == "whole":
                whole[name, row] = entries(at_level)
            else:
                real[name, row] = curves(at_level)
    return Table(bits, networks, whole, real)


def load_table(path: str | os.PathLike[str]) -> Table:
    """Read a table that `Table.save` wrote.

    Parameters
    ----------
    path : of an npz file.

    Returns
    -------
    The table; its curves of real-valued bits are made anew.

    Raises
    ------
    InputError
        The file is missing, too large, damaged, or not such a table.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError("path", shown(path), "the path of a table file")
    name = os.fspath(path)
    with one_line(name):
        bits, networks, whole = read_parts(name)
        return offline(networks.values(), bits="real") if bits == "real" else Table("whole", networks, whole, {})


@dataclass(frozen=True, repr=False)
class Decisions(Brief):
    """Answers to requests, as columns.

    Attributes
    ----------
    objective : (n,) J of the best plan; infinite where no plan keeps the limits.
    cut : (n,) its cut; -1 where there is none.
    entry : (n,) whole bits: its position in the table of its network and level; -1 where there is none.
    table, requests : what was asked, and of what.
    """

    objective: FloatArray
    cut: IntArray
    entry: IntArray
    table: Table
    requests: Requests

    def __str__(self) -> str:
        found = self.cut >= 0
        rows = [f"{found.sum()} have a plan"]
        if found.any():
            least, most = (number(float(end)) for end in (self.objective[found].min(), self.objective[found].max()))
            cuts = self.cut[found]
            rows[0] += f": objective {least} to {most}, cuts {cuts.min()} to {cuts.max()}"
        return listed(f"decisions on {len(self)} requests over {self.table.bits} bits", rows)

    def __len__(self) -> int:
        return len(self.objective)

    def plan(self, row: int) -> QPartPlan | None:
        """The plan of one request; None if there is none.

        Parameters
        ----------
        row : of the request, from 0.

        Raises
        ------
        InputError
            No such row.
        """
        if not 0 <= row < len(self):
            raise InputError("row", shown(row), f"a row from 0 to {len(self) - 1}")
        if self.cut[row] < 0:
            return None
        name, problem = network_of(self.table, self.requests, int(self.requests.network[row]))
        cut = int(self.cut[row])
        if self.table.bits == "real":
            asked = self.requests.problem(row, problem)
            subproblem = subproblems(asked).at(cut)
            found = at_cut(subproblem)
            assert found is not None
            return subproblem.plan(found.bits, "real", name)
        level_row = _level_rows(self.requests, problem, np.array([row]))[0]
        table, e = self.table.whole[name, int(level_row)], int(self.entry[row])
        widths = table.widths[table.start[e] : table.start[e + 1]].astype(float).tolist()
        return QPartPlan(problem=name, cut=cut, weights=tuple(widths[:cut]), activations=tuple(widths[cut:]))

    def to_dataframe(self) -> pd.DataFrame:
        """Requests and answers side by side."""
        return self.requests.to_dataframe().assign(cut=self.cut, objective=self.objective)


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
    table : as `offline` makes it.
    requests : columns of n numbers by dotted field name, such as ``channel.rate`` [bit/s]; ``network`` names a network
        each.
    threads : of the processor, where no device is named.
    device : decide with torch there, such as ``cuda``: the same cuts and plans, objectives equal up to rounding. Where
        requests are tensors on a device already, `decide_tensors` spares them the way to it and back.

    Returns
    -------
    `Decisions`: objective, cut and plan of each request.

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
        levels = _level_rows(requests, problem, rows)
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


def network_of(table: Table, requests: Requests, k: int) -> tuple[str, QPart]:
    """Name and problem of the k-th network that requests name."""
    name = requests.networks[k]
    if name == "" and len(table.networks) == 1:
        name = next(iter(table.networks))
    if name not in table.networks:
        row = int(np.flatnonzero(requests.network == k)[0])
        raise InputError(f"requests.network[{row}]", shown(name), ", ".join(table.networks))
    return name, table.networks[name]


def _check_power(requests: Requests, problem: QPart, rows: IntArray) -> None:
    """By Eq. 13 no power is no rate."""
    power = requests.columns.get("channel.transmit_power")
    if power is None or problem.channel.rate is not None or "channel.rate" in requests.columns:
        return
    silent = rows[power[rows] == 0]
    if silent.size:
        raise InputError(f"requests.channel.transmit_power[{silent[0]}]", "0", "a power > 0, or a column channel.rate")


def _level_rows(requests: Requests, problem: QPart, rows: IntArray) -> IntArray:
    """(n,) row of the level that serves each request."""
    asked = requests.columns.get("level")
    if asked is None:
        return np.full(len(rows), problem.level_row)
    levels: IntArray = serving_rows(problem.accuracy.levels, asked[rows])
    low = np.flatnonzero(levels < 0)
    if low.size:
        row = int(rows[low[0]])
        raise InputError(f"requests.level[{row}]", f"{asked[row]:g}", f"a level from {problem.accuracy.levels[0]:g} up")
    return levels


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

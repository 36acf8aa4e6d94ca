"""The offline table and the online step.

`offline` works out, once, what a network can be asked for; `decide` answers requests by the million with one
matrix product. Nothing is lost: the answer is the one that solving each request would give.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qopt.core.arguments import check_time_limit
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.core.display import Brief, listed, number
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.reading import problems_of
from qopt.qpart.methods.kkt import at_cut
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart, serving_rows
from qopt.qpart.real_bits import not_in_closed_form
from qopt.qpart.serving.curves import Curve, curves
from qopt.qpart.serving.entries import Entries, entries
from qopt.qpart.serving.requests import Requests
from qopt.qpart.serving.table_file import one_line, read_parts, write_parts
from qopt.qpart.serving.verify import check_complete
from qopt.qpart.subproblem import subproblems

if TYPE_CHECKING:
    import pandas as pd

Problem = QPart | str | os.PathLike[str]


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

    def verify(self, *, time_limit: float | None = None) -> bool:
        """Work the table out again, and see that it lacks no better plan: of one from elsewhere, before it is trusted.

        That the values of `decide` are costs of plans that keep the limits `load_table` has seen already; that no plan
        is better takes as long as `offline` took.

        Parameters
        ----------
        time_limit : seconds of wall time.

        Returns
        -------
        Whether all was seen; false where the time limit was reached and nothing was missing by then.

        Raises
        ------
        InputError
            The network, level and cut where a plan is missing.
        """
        check_time_limit(time_limit)
        clock = Clock(time_limit)
        return all(
            check_complete(name, self.networks[name], row, plans, clock) for (name, row), plans in self.whole.items()
        )


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
        Real-valued bits for noise that does not follow the law, or for menus, tables by width or limits beside memory;
        tables by width with more plans than serving takes (`qopt.qpart.serving.fronts`).
    """
    networks = problems_of(QPart, problems)
    if bits not in ("whole", "real"):
        raise InputError("bits", shown(bits), "whole or real")
    whole: dict[tuple[str, int], Entries] = {}
    real: dict[tuple[str, int], list[Curve]] = {}
    for name, problem in networks.items():
        if bits == "real" and problem.noise.model != "law":
            raise MethodError(f"{name}: noise.model is {problem.noise.model}, real-valued tables take the law")
        if bits == "real" and (why := not_in_closed_form(problem)) is not None:
            raise MethodError(f"{name}: {why}")
        for row, level in enumerate(problem.accuracy.levels):
            at_level = problem.replace({"level": float(level), "device.memory": None, "limits": None})
            if bits == "whole":
                whole[name, row] = entries(at_level)
            else:
                real[name, row] = curves(at_level)
    return Table(bits, networks, whole, real)


def load_table(path: str | os.PathLike[str], *, verify: bool = False) -> Table:
    """Read a table that `Table.save` wrote.

    Parameters
    ----------
    path : of an npz file.
    verify : whether to work the table out again and refuse it where it lacks a better plan (`Table.verify`).

    Returns
    -------
    The table; its curves of real-valued bits are made anew.

    Raises
    ------
    InputError
        The file is missing, too large, damaged, not such a table, or with `verify` not the whole one.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError("path", shown(path), "the path of a table file")
    name = os.fspath(path)
    with one_line(name):
        bits, networks, whole = read_parts(name)
        table = offline(networks.values(), bits="real") if bits == "real" else Table("whole", networks, whole, {})
    if verify:
        table.verify()
    return table


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
        level_row = level_rows(self.requests, problem, np.array([row]))[0]
        table, e = self.table.whole[name, int(level_row)], int(self.entry[row])
        widths = table.widths[table.start[e] : table.start[e + 1]].astype(float).tolist()
        return QPartPlan(problem=name, cut=cut, weights=tuple(widths[:cut]), activations=tuple(widths[cut:]))

    def to_dataframe(self) -> pd.DataFrame:
        """Requests and answers side by side."""
        return self.requests.to_dataframe().assign(cut=self.cut, objective=self.objective)


def network_of(table: Table, requests: Requests, k: int) -> tuple[str, QPart]:
    """Name and problem of the k-th network that requests name."""
    name = requests.networks[k]
    if name == "" and len(table.networks) == 1:
        name = next(iter(table.networks))
    if name not in table.networks:
        row = int(np.flatnonzero(requests.network == k)[0])
        raise InputError(f"requests.network[{row}]", shown(name), ", ".join(table.networks))
    return name, table.networks[name]


def level_rows(requests: Requests, problem: QPart, rows: IntArray) -> IntArray:
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

"""Policies on one stream of requests: decided with what the server is told, carried out on the channel of its time."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.arguments import whole
from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief, listed
from qopt.core.errors import InputError, shown
from qopt.core.limits import limits_with_slack, within
from qopt.qpart.problem import LIMITS, QPart
from qopt.qpart.serving.decide import decide
from qopt.qpart.serving.requests import Requests
from qopt.qpart.serving.table import Table, level_rows
from qopt.qpart.subproblem import subproblems
from qopt.simulation.modules import (
    QUANTILES,
    Columns,
    CommunicationModule,
    ExecutingModule,
    Figure,
    PerformanceModule,
    figure,
    share,
)
from qopt.simulation.policies import Policy, policies
from qopt.simulation.streams import Stream

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = ("objective", "time", "energy", "price", "payload")


def simulate(
    stream: Stream, policy: Sequence[str] = ("published", "exact", "device", "server"), *, threads: int = 2
) -> Simulation:
    """Run policies on the same stream: what each request took, what it missed (Eqs. 5-17, Algorithm 2).

    Every policy decides with the rate that the server is told; what is sent then takes the rates of its own moments.

    Parameters
    ----------
    stream : of `draw_stream`.
    policy : list of names of policies: exact, published, restored, device, server, float.
    threads : of the processor.

    Returns
    -------
    `Simulation`: columns of every policy, their distributions and misses as tables.

    Raises
    ------
    InputError
        An unknown policy, one that a network does not admit, or a network with tables of time or energy.
    """
    if not isinstance(stream, Stream):
        raise InputError("stream", shown(stream), "what `draw_stream` returns")
    whole("threads", threads, 1, 1024)
    measured = next((name for name, network in stream.networks.items() if network.tables is not None), None)
    if measured is not None:
        raise InputError("networks", f"{measured} with tables", "networks whose layers take MACs times a constant")
    names = [policy] if isinstance(policy, str) else list(policy) if isinstance(policy, Iterable) else [policy]
    known = {p.name: p for p in policies(stream.networks, names)}
    return Simulation(stream, {name: _run(stream, p, threads) for name, p in known.items()}, known)


def _told(stream: Stream, policy: Policy) -> Requests:
    """What a policy sees of the requests."""
    if policy.looks:
        return stream.requests
    n = len(stream)
    blind = {name: np.full(n, np.inf) for name in ("device.memory", *(f"limits.{name}" for name in LIMITS))}
    return Requests({**stream.requests.columns, **blind}, stream.requests.network, stream.requests.networks)


def _groups(stream: Stream) -> Iterator[tuple[str, QPart, int, IntArray]]:
    """Requests by network and level row that serves them."""
    requests = stream.requests
    for k, name in enumerate(requests.networks):
        rows = np.flatnonzero(requests.network == k)
        network = stream.networks[name]
        served = level_rows(requests, network, rows)
        for level in np.unique(served).tolist():
            yield name, network, level, rows[served == level]


def _run(stream: Stream, policy: Policy, threads: int) -> PerformanceModule:
    """One policy on the stream."""
    executing, communication = ExecutingModule(), CommunicationModule()
    decisions = decide(policy.table, _told(stream, policy), threads=threads)
    found = PerformanceModule.empty(policy.name, len(stream), stream.units)
    found.miss("plan", np.arange(len(stream)), (decisions.cut < 0).astype(float))
    for name, network, level, rows in _groups(stream):
        rows = rows[decisions.cut[rows] >= 0]
        entry = decisions.entry[rows]
        table = policy.table.whole[name, level]
        said = Columns({k: v[rows] for k, v in stream.requests.columns.items()}, network)
        ran = executing.run(said, network, table.device_macs[entry], table.server_macs[entry])
        down, up = table.download[entry], table.upload[entry]
        rates = stream.download_rate[rows], stream.upload_rate[rows]
        sent = communication.run(said, network, (down, up), rates)
        used = {
            "time": ran.device_time + ran.server_time + sent.time,
            "energy": ran.device_energy + ran.server_energy + sent.energy,
            "price": ran.price,
            "payload": down + up,
        }
        weights = (said["objective.time"], said["objective.energy"], said["objective.price"])
        j = weights[0] * used["time"] + weights[1] * used["energy"] + weights[2] * used["price"]
        promised = decisions.objective[rows]
        found.collect(rows, decisions.cut[rows], entry, {**used, "objective": j, "promised": promised})
        over = np.zeros(len(table), dtype=bool) if policy.exempt else over_level(policy.table, name, level)
        found.miss("level", rows, over[entry].astype(float))
        _limits(found, rows, said, network, used, down)
    return found


def _limits(
    found: PerformanceModule,
    rows: IntArray,
    said: Columns,
    network: QPart,
    used: dict[str, FloatArray],
    held: FloatArray,
) -> None:
    """Count what broke a limit that was given; `held` is what the device stores [bits]."""
    given = network.given_limits
    for name in LIMITS:
        limit: Any = said.given(f"limits.{name}")
        limit = given.get(name) if limit is None else limit
        if limit is not None:
            allowed = limits_with_slack(np.broadcast_to(np.asarray(limit, dtype=float), used[name].shape))
            found.miss(name, rows, (used[name] > allowed).astype(float))
    memory: Any = said.given("device.memory")
    memory = network.device.memory if memory is None else memory
    if memory is not None:
        allowed = limits_with_slack(np.broadcast_to(np.asarray(memory, dtype=float), held.shape))
        found.miss("memory", rows, (held > allowed).astype(float))


def over_level(table: Table, name: str, level: int) -> BoolArray:
    """(e,) which plans of a network and level spend more noise than the level allows, by the exact test.

    Parameters
    ----------
    table : of plans of whole bits, all of them widths whose noise is known.
    name : of the network.
    level : row of the level.
    """
    network = table.networks[name]
    asked = network.replace({"level": float(network.accuracy.levels[level]), "device.memory": None, "limits": None})
    at = functools.cache(subproblems(asked).at)
    plans = table.whole[name, level]
    found = np.zeros(len(plans), dtype=bool)
    for e in range(len(plans)):
        widths = plans.widths[plans.start[e] : plans.start[e + 1]]
        if not len(widths):
            continue
        one = at(int(plans.cut[e]))
        if math.isinf(one.limit):
            continue
        items = np.empty(len(one.tensors), dtype=np.int64)
        items[one.owner] = widths
        columns = one.columns_of(items)
        if np.any(columns >= len(one.bits)) or np.any(one.bits[np.minimum(columns, len(one.bits) - 1)] != items):
            raise InputError("policies", f"a plan of {name} with widths off its range", "widths whose noise is known")
        found[e] = not within(one.noise[np.arange(len(items)), columns], one.limit)
    return found


@dataclass(frozen=True, repr=False)
class Simulation(Brief):
    """What policies made of one stream.

    Attributes
    ----------
    stream : the requests.
    runs : what each policy came to, by its name.
    policies : these, with their tables.
    """

    stream: Stream
    runs: dict[str, PerformanceModule]
    policies: dict[str, Policy]

    def __str__(self) -> str:
        return listed(f"simulation of {len(self.stream)} requests", [str(run) for run in self.runs.values()])

    def to_dataframe(self) -> pd.DataFrame:
        """Distributions: a row for each policy and quantity, mean with its 95 % interval, and quantiles.

        Time in seconds, energy in joules, payload in bits. Intervals are those of independent stretches of devices.
        """
        import pandas as pd

        rows = []
        for name, run in self.runs.items():
            for quantity in QUANTITIES:
                mean, quantiles = run.distribution(quantity)
                ends = {f"q{100 * q:g}": v for q, v in zip(QUANTILES, quantiles.tolist(), strict=True)}
                rows.append({"policy": name, "quantity": quantity, **_figure("mean", mean), **ends})
        return pd.DataFrame.from_records(rows)

    def misses(self) -> pd.DataFrame:
        """Shares of requests that missed: a row for each policy and kind, with its 95 % interval.

        ``level``: more noise than the accuracy level allows; ``time``, ``energy``, ``price``, ``payload``, ``memory``:
        a limit that was given; ``plan``: the policy found none.
        """
        import pandas as pd

        rows = [
            {"policy": name, "missed": kind, **_figure("share", share(column, self.stream.units))}
            for name, run in self.runs.items()
            for kind, column in run.misses.items()
        ]
        return pd.DataFrame.from_records(rows)

    def excess(self, policy: str, than: str = "exact") -> pd.DataFrame:
        """How much more a policy costs than another on the same requests, as a share of the other's J: a row for each
        kind of request, those whose level the policy keeps, those whose it misses, and all.

        Parameters
        ----------
        policy, than : names of runs.

        Raises
        ------
        InputError
            No such run.
        """
        import pandas as pd

        for name in (policy, than):
            if name not in self.runs:
                raise InputError("policy", shown(name), ", ".join(self.runs))
        mine, other = self.runs[policy], self.runs[than]
        with np.errstate(invalid="ignore", divide="ignore"):  # nothing over nothing is no excess
            more = mine.objective / other.objective - 1.0
        more[(mine.objective == 0.0) & (other.objective == 0.0)] = 0.0
        both, missed = np.isfinite(more), mine.misses.get("level", np.zeros(len(mine))) > 0
        rows = []
        for kind, chosen in (("level kept", both & ~missed), ("level missed", both & missed), ("all", both)):
            values = more[chosen]
            mean = figure(values, self.stream.units.of(chosen))
            ends = np.quantile(values, QUANTILES).tolist() if values.size else [math.nan] * len(QUANTILES)
            named = {f"q{100 * q:g}": v for q, v in zip(QUANTILES, ends, strict=True)}
            rows.append({"requests": kind, "count": int(chosen.sum()), **_figure("mean", mean), **named})
        return pd.DataFrame.from_records(rows)

    def digest(self) -> str:
        """SHA-256 over all runs: the same stream gives the same."""
        return "-".join(run.digest() for run in self.runs.values())


def _figure(name: str, found: Figure) -> dict[str, float | None]:
    """A figure as columns."""
    return {name: found.value, "low": found.low, "high": found.high}

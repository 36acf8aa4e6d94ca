"""Several devices on shared servers, as a fleet: against every combination of choices."""

from __future__ import annotations

import itertools
import math
import os

import numpy as np
import pytest
from sweeps import few

import qopt
from qopt.bridges.devices import SharedServers, share_servers
from qopt.jqodi.problem import Jqodi

DEVICES = int(os.environ.get("QOPT_JQODI_DEVICES", "0")) or few(30)
"""Random groups of devices that methods solve; 500 by hand."""


def devices(seed: int, count: int) -> dict[str, Jqodi]:
    """Devices with a model each, on the servers of the first one."""
    drawn = [
        qopt.generate.jqodi(
            3 + k,
            seed=100 * seed + k,
            mode="choice",
            servers=2,
            cuts=2,
            models=1,
            conditions=seed % 2 == 0,
            tightness=0.4 + 0.2 * k,
            requests=10.0 * (seed % 3),
        )
        for k in range(count)
    ]
    servers = [server.model_dump() for server in drawn[0].servers]
    found = {}
    for k, one in enumerate(drawn):
        shared = one.replace({"servers": servers})
        least = qopt.jqodi.smallest_limits(shared).time_limit
        assert least is not None
        found[f"device{k}"] = shared.replace({"time_limit": max(one.time_limit, 1.2 * least)})
    return found


def every_choice(shared: SharedServers, seconds: dict[str, float], seats: dict[str, int]) -> tuple[int, float]:
    """Devices served, and the least joules of so many, over all combinations."""
    best = (0, math.inf)
    for combination in itertools.product(*((None, *mine) for mine in shared.choices.values())):
        served = [one for one in combination if one is not None]
        work = {x: math.fsum(one.work for one in served if one.server == x) for x in seconds}
        taken = {x: sum(one.server == x for one in served) for x in seats}
        if all(work[x] <= seconds[x] for x in seconds) and all(taken[x] <= seats[x] for x in seats):
            joules = math.fsum(one.energy for one in served)
            if len(served) > best[0] or (len(served) == best[0] and joules < best[1]):
                best = (len(served), joules)
    return best


def test_devices_on_shared_servers_have_one_optimum() -> None:
    """Seconds and seats that bind: every exact method of fleets against every combination."""
    bound = refused = 0
    for seed in range(DEVICES):
        rng = np.random.default_rng(seed)
        problems = devices(seed, 2 + seed % 2)
        free = share_servers(problems, {})
        own = free.chosen(qopt.solve(free.fleet).plan)
        assert all(one is not None for one in own.values())
        for name, one in own.items():  # without limits each has its own optimum
            assert one is not None
            assert one.energy == pytest.approx(qopt.solve(problems[name]).objective)
            assert qopt.certify(problems[name], one.plan).proved
        used = {
            x: math.fsum(one.work for one in own.values() if one and one.server == x) for x in ("server1", "server2")
        }
        seconds = {x: max(used.values()) * float(rng.uniform(0.2, 0.9)) for x in used}
        seats = {"server1": int(rng.integers(1, 4))}
        shared = share_servers(problems, seconds, seats=seats)  # type: ignore[arg-type]
        served, joules = every_choice(shared, seconds, seats)
        for method in ("auto", "highs-mip", "brute-force", *(["pyomo"] if seed % 5 == 0 else [])):
            solution = qopt.solve(shared.fleet, method)
            assert solution.certificate.feasible
            assert method != "auto" or solution.status == "optimal"
            chosen = [one for one in shared.chosen(solution.plan).values() if one is not None]
            assert len(chosen) == served, (seed, method)
            assert shared.energy(solution.plan) == pytest.approx(0.0 if not served else joules, rel=1e-8), (
                seed,
                method,
            )
            for x, most in seconds.items():
                assert math.fsum(one.work for one in chosen if one.server == x) <= most * (1.0 + 1e-12)
        bound += joules > free.energy(qopt.solve(free.fleet).plan) * (1 + 1e-9)
        refused += served < len(problems)
    assert bound
    assert refused < DEVICES


def test_bad_devices_are_one_line() -> None:
    problems = devices(0, 2)
    path = qopt.generate.jqodi(3, seed=0)
    for given, seconds, seats, message in (
        ({}, {}, None, "problems: found no devices"),
        ({"a": path}, {}, None, "problems.a.mode: found 'path'; allowed: 'choice'"),
        ({"a": qopt.load("qpart/teaching-3")}, {}, None, "problems.a: found 'teaching-3', a qpart problem"),
        (problems, {"moon": 1.0}, None, "seconds.moon: found 'moon'; allowed: a server: server1, server2"),
        (problems, {"server1": -1.0}, None, "seconds.server1: found -1"),
        (problems, {}, {"server1": 1.5}, "seats.server1: found 1.5"),
        (
            {"a": problems["device0"].replace({"time_limit": 1e-3})},
            {},
            None,
            "problems.a: found no choice that keeps T_max",
        ),
    ):
        with pytest.raises(qopt.InputError) as error:
            share_servers(given, seconds, seats=seats)  # type: ignore[arg-type]
        assert message in str(error.value)

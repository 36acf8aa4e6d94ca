"""Numbers at the ends of floats: handled, or refused with the field and the range; and lines that name every fault."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from jqodi_problems import solved

import qopt
from qopt.core.certificate import Certificate, claimed
from qopt.core.errors import InputError
from qopt.jqodi.generate import jqodi

REQUEST, PLACES = "qpart/teaching-3", "placement/teaching-5"


def refusal(name: str, changes: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        qopt.load(name).replace(changes)
    line = str(caught.value)
    assert line.isprintable()
    return line


@pytest.mark.parametrize("value", [1e308, 1e291, 1.1e100, 9e-101, 1e-308, 5e-324])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        (REQUEST, "channel.rate"),
        (REQUEST, "channel.download_rate"),
        (REQUEST, "device.clock"),
        (REQUEST, "device.memory"),
        (REQUEST, "server.price"),
        (REQUEST, "network.input_size"),
        (REQUEST, "objective.time"),
        (PLACES, "links[0].rate"),
        (PLACES, "links[1].latency"),
        (PLACES, "tiers[0].memory"),
        (PLACES, "tiers[1].speed"),
        (PLACES, "targets.latency"),
    ],
)
def test_a_number_out_of_range(name: str, field: str, value: float) -> None:
    line = refusal(name, {field: value})
    assert line.startswith(f"{field}: found {value!r}; allowed: ")
    assert "a number from 1e-100 to 1e+100" in line


@pytest.mark.parametrize("value", [1e308, 1.1e100, 5e-324])
@pytest.mark.parametrize(
    ("name", "field", "at"),
    [
        (REQUEST, "network.macs", "network.macs[1]"),
        (REQUEST, "noise.s_weights", "noise.s_weights[1]"),
        (PLACES, "graph.work", "graph.work[1]"),
        (PLACES, "operators[0].speeds", "operators[0].speeds[1]"),
    ],
)
def test_an_entry_out_of_range(name: str, field: str, at: str, value: float) -> None:
    known: dict[str, int] = {"graph.work": 5}
    column: Any = [1.0, value, *[1.0] * (known.get(field, 3) - 2)]
    assert refusal(name, {field: column}).startswith(f"{at}: found {value!r}; allowed: 0, or a number from")
    assert refusal(name, {field: np.array(column)}).startswith(f"{at}: found {value!r}")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (REQUEST, {"channel.rate": 1e100}),
        (REQUEST, {"channel.rate": 1e-100}),
        (REQUEST, {"device.memory": 1e-100}),
        (REQUEST, {"device.clock": 1e100, "server.clock": 1e-100}),
        (REQUEST, {"objective": {"time": 1e-100, "energy": 0, "price": 0}}),
        (PLACES, {"links[0].rate": 1e100, "links[1].rate": 1e100}),
        (PLACES, {"links[0].rate": 1e-100}),
        (PLACES, {"tiers[0].memory": 1e-100}),
        (PLACES, {"objective.time": 1e-100}),
        (PLACES, {"targets.latency": 1e-100}),
    ],
)
def test_numbers_at_the_ends_of_the_range_are_solved_and_proved(name: str, changes: dict[str, Any]) -> None:
    problem = qopt.load(name).replace(changes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, known = qopt.solve(problem), qopt.solve(problem, "brute-force")
    assert found.status in ("optimal", "infeasible")
    assert (found.plan is None) == (known.plan is None)
    if found.plan is not None:
        assert found.objective == pytest.approx(known.objective, rel=1e-9)


def test_an_infinite_limit_is_none() -> None:
    for name, field in ((REQUEST, "device.memory"), (PLACES, "tiers[0].memory"), (PLACES, "targets.latency")):
        free, asked = qopt.load(name).replace({field: None}), qopt.load(name).replace({field: math.inf})
        assert asked == free
        assert "Infinity" not in asked.model_dump_json()
    table = qopt.offline(REQUEST)
    assert np.isfinite(qopt.decide(table, {"device.memory": [math.inf]}).objective[0])


def test_a_free_link_in_words() -> None:
    for name, field in ((REQUEST, "channel.rate"), (REQUEST, "channel.download_rate"), (PLACES, "links[0].down_rate")):
        line = refusal(name, {field: math.inf})
        assert line == f"{field}: found inf; allowed: a number from 1e-100 to 1e+100; the largest is as good as free"
    with pytest.raises(InputError, match=r"requests.channel.rate\[0\]: found inf; .* as good as free"):
        qopt.Requests.of({"channel.rate": [math.inf]})


def test_faults_of_each_kind_are_named() -> None:
    data = qopt.load(REQUEST).model_dump(exclude_none=True)
    data["network"] = {}
    del data["level"]
    data["device"] |= {"clock": -1, "memory": "x", "colour": 3}
    with pytest.raises(InputError) as caught:
        qopt.QPart(**data)
    line = str(caught.value)
    assert line.startswith("network.macs: found nothing; allowed: a list; the field is required (4 more like this: ")
    assert "network.weights, network.activations, network.input_size, …)" in line
    assert "also device.clock: found -1; allowed: a number > 0" in line
    assert "also device.memory: found 'x'; allowed: a number" in line
    assert "also device.colour: found an unknown field; allowed: cycles_per_mac, clock" in line
    assert len(caught.value.every) == 8


@pytest.mark.parametrize(
    ("name", "field", "words"),
    [
        (REQUEST, "network", "an object with macs, weights"),
        (REQUEST, "level", "a number"),
        (PLACES, "tiers", "a list, each entry an object with name, speed"),
        (PLACES, "graph", "an object with operations"),
    ],
)
def test_a_missing_field_says_what_should_be_there(name: str, field: str, words: str) -> None:
    problem = qopt.load(name)
    data = problem.model_dump(exclude_none=True)
    del data[field]
    with pytest.raises(InputError) as caught:
        type(problem)(**data)
    assert str(caught.value).startswith(f"{field}: found nothing; allowed: {words}")
    assert str(caught.value).endswith("; the field is required")


def test_more_faults_than_a_line_holds() -> None:
    data = qopt.load(REQUEST).model_dump(exclude_none=True)
    for part in ("device", "server", "channel", "objective", "noise", "accuracy", "bits", "network"):
        data[part] |= {"colour": 1}
    data["device"] |= {"clock": -1, "memory": "x"}
    with pytest.raises(InputError) as caught:
        qopt.QPart(**data)
    assert len(str(caught.value)) < 700
    assert "more, not like these" in str(caught.value)


@pytest.mark.parametrize("seed", range(4))
def test_a_bound_is_not_above_the_plan_by_rounding(seed: int) -> None:
    for mode in ("choice", "schedule", "path"):
        found = solved(jqodi(3, seed=seed, mode=mode, servers=2, cuts=2, tightness=0.8))
        assert found.gap is None or found.gap >= 0.0


def test_what_is_claimed_beside_what_is_true() -> None:
    known = Certificate(None, True, 0.3, None)
    above = math.nextafter(0.3, 1.0)
    assert claimed(above, known) == 0.3
    assert claimed(0.2, known) == 0.2
    assert claimed(0.4, known) == 0.4  # false, and shown
    assert claimed(None, known) is None
    assert claimed(above, Certificate(None, False, 0.3, None)) == above


def test_no_number_is_minus_zero() -> None:
    """A rate of -0.0 times its factor would make a link infinitely fast in the wrong direction."""
    problem = jqodi(2, seed=1, mode="schedule", servers=2, cuts=2)
    server = problem.server_names[0]
    gone = {
        zero: problem.replace({"conditions": {"servers": {server: {"cloud_rate": [zero, 1.0, 1.0]}}}})
        for zero in (0.0, -0.0)
    }
    assert solved(gone[-0.0]).objective == solved(gone[0.0]).objective
    request = qopt.load(REQUEST).replace({"device.memory": -0.0, "network.macs": [-0.0, 1.0, 1.0]})
    assert math.copysign(1.0, request.device.memory) == math.copysign(1.0, request.network.macs[0]) == 1.0


def test_names_that_would_break_the_line_are_escaped() -> None:
    data: Any = qopt.load(PLACES).model_dump(exclude_none=True)
    for name in ("two\nlines", "\ud800", "\x1b[2J"):
        data["graph"]["operations"] = [name, *data["graph"]["operations"][1:]]
        with pytest.raises(InputError) as caught:
            qopt.Placement(**data)
        assert str(caught.value).isprintable()

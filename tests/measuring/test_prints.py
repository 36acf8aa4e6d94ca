"""Prints of what is measured are short, however many layers and tensors there are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from small_networks import Chain, build, data_for  # noqa: E402

from qopt.measuring.calibration import calibrate_cuts  # noqa: E402
from qopt.measuring.coefficients import instance  # noqa: E402
from qopt.measuring.command import Cheapest, Measured, Settings  # noqa: E402
from qopt.measuring.delivery import check as run_on  # noqa: E402
from qopt.measuring.grids import Grid, Range, quantize  # noqa: E402
from qopt.measuring.network import Network  # noqa: E402
from qopt.measuring.plans import Widths  # noqa: E402
from qopt.measuring.profile import trace  # noqa: E402
from qopt.measuring.segment import DeviceSegment, ServerSegment, make  # noqa: E402
from qopt.measuring.sensitivity import measure  # noqa: E402
from qopt.qpart.plan import QPartPlan  # noqa: E402


@functools.cache
def long() -> Network:
    """60 layers."""
    return trace(Chain((6,) * 61).eval().requires_grad_(False), torch.zeros(1, 6))


@functools.cache
def examples() -> Any:
    return data_for(build("chain")[0], "chain", 400, 1)


@functools.cache
def found() -> Any:
    return measure(build("chain")[1], examples(), levels=(0.05, 0.2))


@functools.cache
def cuts() -> Any:
    return calibrate_cuts(build("chain")[1], examples(), found())


@functools.cache
def segment() -> Any:
    plan = QPartPlan(cut=50, weights=(4.0,) * 50, activations=(8.0,))
    return make(long(), plan, Grid(), {50: Range(-1.0, 1.0)})


def measured() -> Measured:
    problem = instance(build("chain")[1], found(), cuts(), name="chain", level=0.05, input_bits=8)
    plan, delta = Widths((4,) * 60, (8,)), cuts()[0][0].delta
    rows = [Cheapest(0.05, cut, delta, plan, 0.1, delta, delta) for cut in range(1, 61)]
    return Measured(found(), cuts(), problem, rows, 0.9)


def checked() -> Any:
    plan = QPartPlan(cut=2, weights=(4.0, 4.0), activations=(8.0,))
    network = build("chain")[1]
    return run_on(make(network, plan, Grid(), {2: Range(0.0, 4.0)}), network, examples())


HELD: dict[str, Callable[[], Any]] = {
    "network": long,
    "network with branches": lambda: build("branch")[1],
    "layer": lambda: long().layers[-1],
    "examples": examples,
    "grid": Grid,
    "quantized": lambda: quantize(torch.rand(300, 300), 4),
    "widths": lambda: Widths((4,) * 900, (8,) * 90),
    "sensitivity": found,
    "a tensor's sensitivity": lambda: next(iter(found().tensors.values())),
    "calibrated": lambda: cuts()[0][0],
    "trial": lambda: cuts()[0][0].trials[0],
    "measured": measured,
    "settings": Settings,
    "segment": segment,
    "segment's size": lambda: segment().size,
    "device's part": lambda: DeviceSegment(segment(), long()),
    "server's part": lambda: ServerSegment(segment(), long()),
    "checked": checked,
}


@pytest.mark.parametrize("name", HELD)
def test_prints_are_short(name: str) -> None:
    shown = HELD[name]()
    line, lines = repr(shown), str(shown).splitlines()
    assert len(line) <= 500, f"{len(line)} characters: {line[:200]}"
    assert "\n" not in line
    assert len(lines) <= 14


def test_a_print_says_what_it_is() -> None:
    assert repr(long()) == "Network(layers=60, input=[6], parameters=2160)"
    assert str(long()).startswith("network of 60 layers, input 6\n  1 layer1: linear, 36 MACs, 36 parameters")
    assert str(found()).startswith("sensitivity of 6 tensors, 1 to 16 bits, 400 examples")
    assert repr(DeviceSegment(segment(), long())).startswith("DeviceSegment(cut=50, layers=50, sent=[50]")
    assert str(measured()).splitlines()[0] == "chain, measured: score 0.9 on the test examples"

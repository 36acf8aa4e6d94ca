"""Names of drawn problems: what differs has a name that differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qopt import generate

ALL: dict[str, tuple[int, dict[str, list[Any]]]] = {
    "qpart": (
        6,
        {
            "seed": [2],
            "spread": [1.0],
            "noise": ["grid", "table"],
            "bits": [(2, 8), (2, 9)],
            "reference_bits": [5],
            "tie_cut": [True],
            "branches": [True],
            "insensitive": [0.25],
            "memory": [1, 1.5],
            "cuts": [[0, 3], [0], list(range(7))],
            "objective_scale": [1e-6],
            "noise_scale": [1e-6],
        },
    ),
    "jqodi": (
        6,
        {
            "seed": [2],
            "mode": ["choice", "schedule"],
            "servers": [2],
            "cuts": [3],
            "models": [1],
            "widths": [[8], (4, 8, 16)],
            "conditions": [False],
            "switching": [False],
            "estimate": ["robust"],
            "losses": [True],
            "requests": [1e3],
            "tightness": [0.25],
        },
    ),
    "placement": (
        6,
        {
            "seed": [2],
            "tiers": [2],
            "branches": [0],
            "operators": [3],
            "pins": [0.5],
            "memory": [0.5],
            "private": [True],
            "spread": [1],
            "objective": [{"time": 1.0, "energy": 0.5}, {"energy": 1}],
        },
    ),
    "allocation": (
        6,
        {
            "seed": [2],
            "formats": [3],
            "resources": [2],
            "pools": [2],
            "ties": [0.5],
            "menus": [0.5],
            "interactions": [0.5],
            "tightness": [0.25],
            "minimise": ["bytes"],
            "spread": [1],
        },
    ),
    "fleet": (
        6,
        {
            "seed": [2],
            "classes": [2],
            "options": [3],
            "servers": [2],
            "cells": [1],
            "load": [1, 2],
            "memory": [True],
            "deadlines": [False],
            "rows": [3],
        },
    ),
}


@pytest.mark.parametrize("family", ALL)
def test_each_option_that_is_not_the_default_changes_the_name(family: str) -> None:
    size, options = ALL[family]
    draw = getattr(generate, family)
    calls: list[dict[str, Any]] = [{"seed": 1}, *({"seed": 1, k: v} for k, values in options.items() for v in values)]
    names = [draw(size, **call).name for call in calls]
    for left in options:  # long suffixes, as digests
        others = {key: values[0] for key, values in options.items() if key not in ("seed", left)}
        names += [] if left == "seed" else [draw(size, seed=1, **others).name]
    assert names[0] == "random-6-1"
    assert len(set(names)) == len(names)
    assert all(name.startswith(("random-6-1", "random-6-2")) and len(name) <= 60 for name in names)


def test_names_say_the_options_while_they_are_short() -> None:
    assert generate.qpart(6, seed=1, noise="grid", bits=(2, 8)).name == "random-6-1-noise=grid-bits=2-8"
    assert generate.jqodi(4, seed=1, mode="choice", losses=True).name == "random-4-1-mode=choice-losses=true"
    assert generate.placement(4, seed=1, objective={"energy": 1.0}).name == "random-4-1-objective=energy:1"
    long = generate.qpart(6, seed=1, noise="table", bits=(2, 8), memory=0.5, insensitive=0.25).name
    assert long.startswith("random-6-1-")
    assert "=" not in long


def test_equal_options_give_equal_names() -> None:
    assert generate.qpart(6, seed=1, bits=[1, 16], spread=np.float64(2), memory=None).name == "random-6-1"  # type: ignore[arg-type]
    cuts = ([0, 2], (0, 2), np.array([0, 2]))
    assert {generate.qpart(6, seed=np.int64(1), cuts=c, noise_scale=2).name for c in cuts} == {  # type: ignore[arg-type]
        "random-6-1-cuts=0-2-noise_scale=2"
    }
    assert generate.qpart(6, seed=1, noise="grid", name="mine").name == "mine"

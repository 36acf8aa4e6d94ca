"""Tables II to IV of the QPART paper as printed: what follows from what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scripts import scripts

import qopt
from qopt.qpart.table2 import TABLE_II


@pytest.fixture(scope="module")
def study() -> Iterator[Any]:
    with scripts("instances/qpart/study", "arithmetic") as found:
        yield found.arithmetic


def test_table_ii_is_the_one_that_is_bundled(study: Any) -> None:
    printed = study.tables()["table2"]
    ours = {
        "device.cycles_per_mac": "gamma_local",
        "server.cycles_per_mac": "gamma_server",
        "device.clock": "f_local",
        "server.clock": "f_server",
        "channel.transmit_power": "pi",
        "channel.rate": "r",
        "objective.time": "omega",
        "objective.energy": "tau",
        "device.energy_coefficient": "kappa",
        "server.energy_coefficient": "eta",
    }
    for field, name in ours.items():
        assert TABLE_II[field] == printed[name]
    assert qopt.load("qpart/table2").channel.rate == printed["r"]


def test_what_follows_from_what(study: Any) -> None:
    found = study.checks()
    assert len(found) == 10
    assert all(check.holds for check in found)
    assert not study.Check("Table IV", "made up", 13.6, 13.3, 13.5).holds


def test_sentences_of_section_v(study: Any) -> None:
    found = study.sentences()
    assert [text for text, holds in found.items() if not holds] == [
        "QPART surpasses the auto-encoder at every point",
        "the auto-encoder improves with every layer that is local",
    ]


def test_initial_sizes_are_no_precision(study: Any) -> None:
    """Neither 32 nor 64 bits a weight, biases and normalization being less than 1 %."""
    for bits in study.bits_a_weight().values():
        assert min(abs(bits / precision - 1) for precision in (16, 32, 64)) > 0.03

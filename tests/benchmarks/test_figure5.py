"""Fig. 5 from the model: each decided statement of docs/figure5.md, asserted from Table II by hand, and the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripts import ROOT, scripts

SIZES = np.array([784, 512, 256, 128, 64, 32, 10])
MACS = SIZES[:-1] * SIZES[1:]
DONE = np.cumsum(MACS)
LEFT = MACS.sum() - DONE
SCALES = 2 * 32 * np.cumsum(SIZES[1:])
"""Bits of the two float32 numbers that are sent for each output of layers 1..p where weights are quantized."""


@pytest.fixture(scope="module")
def figure() -> Iterator[Any]:
    with scripts("benchmarks", "figure5") as modules:
        yield modules.figure5


def curves(figure: Any, quantized: bool) -> dict[str, np.ndarray[Any, Any]]:
    """Time, energy in both readings, price and payload at cuts 1..6, from Table II's numbers and the widths alone."""
    bits = []
    for point in figure.points(False)[1:]:
        p = point.cut
        widths = np.array(point.widths if quantized else [32] * (p + 1))
        bits.append(widths[:-1] @ MACS[:p] + widths[-1] * SIZES[p] + (SCALES[p - 1] if quantized else 0))
    payload = np.array(bits, dtype=float)
    link, device = payload / 2e8, DONE * 5 / 2e8
    energy = link + 3e-27 * (2e8) ** 2 * DONE * 5
    server = LEFT * 1.25 / 3e9
    return {
        "payload": payload,
        "link": link,
        "device": device,
        "time": link + device + server,
        "energy": energy,
        "energy with the server's": energy + 3.75e-27 * (3e9) ** 2 * LEFT * 1.25,
        "price": server,
    }


@pytest.mark.parametrize("quantized", [True, False])
def test_the_model_gives_table_ii_by_hand(figure: Any, quantized: bool) -> None:
    hand = curves(figure, quantized)
    for charge, energy in ((False, "energy"), (True, "energy with the server's")):
        cost = [p.quantized if quantized else p.full for p in figure.points(charge)[1:]]
        for name, found in (
            ("time", [c.time for c in cost]),
            (energy, [c.energy for c in cost]),
            ("price", [c.price for c in cost]),
            ("payload", [c.payload for c in cost]),
        ):
            np.testing.assert_allclose(found, hand[name], rtol=1e-12, err_msg=name)


def test_what_increases_and_decreases_with_the_cut(figure: Any) -> None:
    quantized, full = curves(figure, True), curves(figure, False)
    for both in (quantized, full):
        assert np.all(np.diff(both["time"]) > 0)
        assert np.all(np.diff(both["price"]) < 0)
    assert np.all(np.diff(full["energy"]) > 0)
    # Layer 4 bears one bit at cut 5: a little energy less than at cut 4.
    assert (np.diff(quantized["energy"]) > 0).tolist() == [True, True, True, False, True]
    assert np.all(np.diff(quantized["energy"]) > -2e-3 * quantized["energy"][:-1])
    # With the server's energy charged the quantized curve falls up to cut 5, and the one of 32 bits still rises.
    assert np.all(np.diff(quantized["energy with the server's"])[:4] < 0)
    assert quantized["energy with the server's"][-1] < 0.6 * quantized["energy with the server's"][0]
    assert np.all(np.diff(full["energy with the server's"]) > 0)


def test_what_quantization_saves_at_every_cut(figure: Any) -> None:
    quantized, full = curves(figure, True), curves(figure, False)
    assert np.all(full["time"] / quantized["time"] > 5.2)
    assert np.all(full["energy"] / quantized["energy"] > 14)
    assert np.all(full["energy with the server's"] / quantized["energy with the server's"] > 6)
    left = quantized["payload"] / full["payload"]
    assert 0.934 < 1 - left.max() < 1 - left.min() < 0.9365
    assert 0.967 < 1 - left.max() / 2 < 1 - left.min() / 2 < 0.9685  # of 64 bits
    for energy in ("energy", "energy with the server's"):
        j, j_full = (c["time"] + c[energy] + c["price"] for c in (quantized, full))
        assert np.all(j < j_full)


def test_where_time_goes(figure: Any) -> None:
    quantized, full = curves(figure, True), curves(figure, False)
    assert np.all(full["link"] / full["time"] > 0.86)
    assert np.all(quantized["link"] / quantized["time"] < 0.3)
    assert np.all(quantized["device"] / quantized["time"] > 0.7)
    for c, most in ((quantized, False), (full, True)):
        share = (c["link"][-1] - c["link"][0]) / (c["time"][-1] - c["time"][0])
        assert bool(share > 0.5) == most
        assert (c["link"][-1] - c["link"][0]) / (c["energy"][-1] - c["energy"][0]) > 0.9


def test_sending_the_picture_beats_every_partition_point_of_the_paper(figure: Any) -> None:
    for charge in (False, True):
        cost = [p.quantized.objective for p in figure.points(charge)]
        assert cost[0] < min(cost[1:])


def test_verdicts(figure: Any) -> None:
    judged = {(s.text, s.reading): s.verdict for s in figure.statements()}
    assert len(judged) == len(figure.statements())
    fails = {key for key, verdict in judged.items() if verdict == figure.FAILS}
    assert fails == {
        ("energy increases as the cut moves to the last layer", "quantized, server's energy not charged"),
        ("energy increases as the cut moves to the last layer", "quantized, server's energy charged"),
        ("time grows because more parameters are sent", "quantized"),
        ("transmission makes up most of the latency", "quantized"),
        ("each layer's parameters shrink by 62 to 84 %", "our network, cut 6"),
        ("the model's size falls exponentially as the noise allowed grows", "law, real-valued bits"),
    }
    assert [text for (text, _), verdict in judged.items() if verdict == figure.OPEN] == [
        "the same, as the accuracy accepted falls"
    ]
    carried = [s for s in figure.statements() if s.verdict == figure.CARRIED]
    assert {s.where for s in carried} == {"Figs. 7-10", "Fig. 10", "Table III"}
    assert all("simulation.md" in s.number for s in carried)


def test_the_page_and_its_data_are_current(figure: Any) -> None:
    page = (ROOT / "docs" / "figure5.md").read_text(encoding="utf-8")
    assert figure.filled(page) == page, "run benchmarks/figure5.py"
    assert "| 6 | 2 2 2 1 3 3 6 | optimal |" in page
    assert (ROOT / "docs" / "figure5.csv").read_text(encoding="utf-8") == figure.comma_separated()


def test_the_picture_is_drawn(figure: Any, tmp_path: Path) -> None:
    figure.draw(tmp_path / "figure5.png")
    assert (tmp_path / "figure5.png").read_bytes().startswith(b"\x89PNG")

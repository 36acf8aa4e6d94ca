"""Break-even intervals against direct solving, and the envelope against the minimum of its lines."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweeps import swept

import qopt
from qopt.core.envelope import lower_envelope
from qopt.core.errors import InputError
from qopt.qpart.generate import qpart

LINES = st.lists(st.tuples(st.integers(-9, 9), st.integers(-4, 4)), min_size=1, max_size=12)


@given(LINES, st.integers(0, 3), st.integers(4, 9))
def test_the_envelope_is_the_least_line(lines: list[tuple[int, int]], low: int, high: int) -> None:
    pieces = lower_envelope([(float(a), float(b)) for a, b in lines], low, high)
    assert pieces[0][0] == low
    assert pieces[-1][1] == high
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
    assert all(start < stop for start, stop, _ in pieces)
    for start, stop, i in pieces:
        for x in (Fraction(start), (Fraction(start) + Fraction(stop)) / 2, Fraction(stop)):
            least = min(a + b * x for a, b in lines)
            assert float(lines[i][0] + lines[i][1] * x) == pytest.approx(float(least), abs=1e-12)


@pytest.mark.parametrize("seed", swept(range(16), lambda seed: seed > 5))
def test_pieces_are_what_solving_gives(seed: int) -> None:
    rnd = random.Random(seed)
    p = qpart(5, seed=seed, noise=rnd.choice(["law", "table"]), bits=(1, 6), tie_cut=seed % 3 == 0)
    if seed % 2:
        p = p.replace({"device.memory": float(p.network.weights.sum()) * rnd.uniform(1, 4)})
    if seed % 4 == 0:
        p = p.replace({"network.ties": [{"layers": [1, 3]}]})
    for name, field in (("rate", "channel.rate"), ("price", "server.price"), ("objective.time", "objective.time")):
        found = qopt.breakpoints(p, name)
        pieces = found.pieces
        assert (pieces[0].start, pieces[-1].stop) == (0.0, math.inf)
        assert all(a.stop == b.start and a.start < a.stop for a, b in itertools.pairwise(pieces))
        lines = {piece: piece.objective for piece in pieces}
        assert all(lines.values())
        slopes = [lines[piece].slope for piece in (reversed(pieces) if found.inverse else pieces)]
        assert slopes == sorted(slopes, reverse=True)  # concave in x
        for a, b in itertools.pairwise(pieces):  # continuous where they meet
            assert lines[a](a.stop) == pytest.approx(lines[b](b.start), rel=1e-9)
        for _ in range(5):
            value = (p.channel.uplink if name == "rate" else 1.0) * 10 ** rnd.uniform(-3, 3)
            at = p.replace({field: value})
            assert float(found.objective(value)) == pytest.approx(qopt.solve(at).objective, rel=1e-12)
            certificate = qopt.certify(at, found.at(value).plan)
            assert certificate.feasible
            assert certificate.objective == pytest.approx(float(found.objective(value)), rel=1e-9)


def test_real_bits_and_bad_questions() -> None:
    p = qpart(4, seed=1)
    found = qopt.breakpoints(p, "rate", bits="real")
    direct = qopt.solve(p.replace({"channel.rate": 3 * p.channel.uplink}), bits="real")
    assert float(found.objective(3 * p.channel.uplink)) == pytest.approx(direct.objective, rel=1e-9)
    for name, options in (
        ("download_rate", {"bits": "real"}),
        ("speed", {}),
        ("rate", {"bits": "half"}),
        ("rate", {"low": 2.0, "high": 1.0}),
        ("rate", {"low": math.nan}),
    ):
        with pytest.raises(InputError) as error:
            qopt.breakpoints(p, name, **options)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)
    none = qopt.breakpoints(p.replace({"cuts": [2], "device.memory": 0.0}), "rate")
    assert [(piece.start, piece.stop, piece.plan, piece.objective) for piece in none] == [(0.0, math.inf, None, None)]
    assert none.objective(1e6) is None
    assert none.by("cut") == [(0.0, math.inf, None)]
    with pytest.raises(InputError, match=r"an attribute of the plans: .*cut"):
        found.by("depth")

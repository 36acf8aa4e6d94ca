"""The ledger: no claim without a verdict, no verdict without a test that exists or a reason; its mathematics."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scripts import scripts


@pytest.fixture(scope="module")
def ledger() -> Iterator[Any]:
    with scripts("docs", "make_ledger") as found:
        yield found.make_ledger


@pytest.fixture(scope="module")
def claims(ledger: Any) -> list[Any]:
    found: list[Any] = ledger.claims()
    return found


def test_every_claim_has_a_verdict_and_what_shows_it(ledger: Any, claims: list[Any]) -> None:
    for claim in claims:
        assert claim.verdict in ledger.VERDICTS, claim
        assert claim.paper in ledger.PAPERS, claim
        assert claim.says, claim
        assert claim.tests or claim.reason, claim
        if claim.verdict == "cannot be tested here":
            assert claim.reason, claim
            assert not claim.tests, claim
        elif claim.verdict != "contradicted":
            assert claim.tests, claim
            assert claim.ours, claim
    twice = [key for key, n in Counter((c.paper, c.where, c.says) for c in claims).items() if n > 1]
    assert twice == []


def test_the_tests_that_are_named_exist(ledger: Any, claims: list[Any]) -> None:
    assert ledger.missing_tests(claims) == []
    made_up = ledger.Claim("QPART", "Eq. 0", "", "reproduced", tests=("tests/docs/test_ledger.py::test_no_such",))
    assert ledger.missing_tests([made_up]) == ["tests/docs/test_ledger.py::test_no_such"]


def test_every_equation_algorithm_table_and_figure_is_there(claims: list[Any]) -> None:
    def named(paper: str, kind: str) -> set[int]:
        """Numbers that a paper's claims name of a kind, ranges written out."""
        found: set[int] = set()
        for claim in (c for c in claims if c.paper == paper):
            for first, last in re.findall(rf"{kind} (\d+)(?: (?:to|and) (\d+))?", claim.where):
                found |= set(range(int(first), int(last or first) + 1))
        return found

    assert named("QPART", "Eq.") == set(range(1, 41))
    assert named("QPART", "Algorithm") == {1, 2}
    assert named("QPART", "Fig.") == set(range(1, 11))
    assert named("JQODI", "Eq.") == set(range(1, 18))
    assert named("JQODI", "Algorithm") == {1, 2, 3, 4}
    assert named("JQODI", "Fig.") == set(range(1, 13))
    assert named("Strategies", r"Tables?") == set(range(1, 17))
    assert named("Strategies", r"Figs?\.") == set(range(1, 20))
    for paper, tables in (("QPART", ("I", "II", "III", "IV")), ("JQODI", ("I", "V", "VI", "VII", "VIII"))):
        where = [c.where for c in claims if c.paper == paper]
        for number in tables:
            assert any(re.match(rf"Table {number}\b", text) for text in where), number
    assert sum(c.where.startswith("Section 5") for c in claims if c.paper == "Strategies") == 156


def test_the_page_is_current(ledger: Any) -> None:
    assert ledger.PAGE.read_text(encoding="utf-8") == ledger.page(), "run python docs/make_ledger.py"


def test_the_printed_hessian_is_indefinite() -> None:
    """Eq. 29: zeros, and eps z_p in the last row's first column."""
    printed = np.zeros((4, 4))
    printed[3, 0] = 2.5
    values = np.linalg.eigvalsh((printed + printed.T) / 2)
    assert values.min() == pytest.approx(-1.25)


def test_equation_36_is_the_derivative_and_37_is_none() -> None:
    """By central differences; one layer more adds s 4^-b / rho, where Eq. 37 has its negative."""
    s, rho, b = np.array([4.0, 2.0, 9.0]), np.array([1.0, 0.5, 3.0]), np.array([2.0, 3.0, 4.0])

    def g(b: Any, layers: int) -> float:
        return float(np.sum((s * 4.0**-b / rho)[:layers]))

    step = 1e-6
    for layer in range(3):
        up, down = b.copy(), b.copy()
        up[layer] += step
        down[layer] -= step
        slope = (g(up, 3) - g(down, 3)) / (2 * step)
        assert slope == pytest.approx(-np.log(4.0) * s[layer] * 4.0 ** -b[layer] / rho[layer], rel=1e-6)
    assert g(b, 3) - g(b, 2) == pytest.approx(+s[2] * 4.0 ** -b[2] / rho[2])

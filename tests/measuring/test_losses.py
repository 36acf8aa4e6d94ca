"""Intervals of a paired loss: right for small counts, by hand, by enumeration and beside a bootstrap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, binom
from scripts import scripts

from qopt.core.errors import InputError
from qopt.measuring.intervals import Estimate
from qopt.measuring.losses import (
    LEAST_CHANGED,
    check_decidable,
    exact_upper,
    holm,
    least_examples,
    p_value,
    paired_loss,
    refuted,
    score_upper,
)


def scores(lost: int, gained: int, n: int) -> tuple[Any, Any]:
    """Right or wrong before and after, of n examples."""
    before, after = np.ones(n), np.ones(n)
    after[:lost] = 0.0
    before[lost : lost + gained] = 0.0
    return before, after


def test_nothing_that_changes_still_leaves_a_loss_of_about_four_in_n() -> None:
    """A bootstrap of zeros has no width: 40 examples must not hold a level of 0.2 points."""
    z2 = 1.959963984540054**2
    for n in (1, 40, 500, 10_000):
        assert score_upper(0, 0, n) == pytest.approx(z2 / (n + z2))
        assert exact_upper(0, 0, n) == pytest.approx(1 - 0.0125 ** (1 / n))
        loss = paired_loss(*scores(0, 0, n))
        assert loss.value == 0.0
        assert loss.high == -loss.low == pytest.approx(z2 / (n + z2))
    assert paired_loss(*scores(0, 0, 40)).high > 0.08
    assert paired_loss(*scores(0, 0, 40), guarantee=True).high == pytest.approx(1 - 0.0125 ** (1 / 40))


def test_least_numbers_of_examples() -> None:
    assert [least_examples(a) for a in (0.01, 0.005)] == [381, 765]
    for level in (0.001, 0.002, 0.01, 0.05, 0.3, 1.0):
        for guarantee, upper in ((False, score_upper), (True, exact_upper)):
            n = least_examples(level, guarantee=guarantee)
            assert upper(0, 0, n) <= level
            assert n == 1 or upper(0, 0, n - 1) > level
    check_decidable([0.01, 0.02], 381)
    with pytest.raises(InputError, match="at least 381 calibration examples") as caught:
        check_decidable([0.01, 0.02], 380)
    assert "\n" not in str(caught.value)


def test_the_upper_end_is_the_root_of_the_score_equation() -> None:
    """Section by section as Tango has it, at shares where no form cancels."""
    for b, c, n in ((9, 1, 100), (12, 30, 400), (3, 0, 50), (700, 300, 2000)):
        delta = float(score_upper(b, c, n))
        a1, b1, c1 = 2 * n, -b - c + (2 * n - b + c) * delta, -c * delta * (1 - delta)
        q = (np.sqrt(b1**2 - 4 * a1 * c1) - b1) / (2 * a1)
        assert (b - c - n * delta) / np.sqrt(n * (2 * q + delta * (1 - delta))) == pytest.approx(-1.959964, abs=1e-6)
        assert delta > (b - c) / n
    assert score_upper(100, 0, 100) == 1.0
    b, c = np.divmod(np.arange(121), 11)
    upper = score_upper(b, c, 30)
    for k in range(121):
        assert upper[k] == score_upper(b[k], c[k], 30)
    level = 0.2
    assert np.array_equal(refuted(b, c, 30, level), upper <= level)


def test_exact_ends_are_clopper_s_and_pearson_s() -> None:
    for b, c, n in ((9, 1, 100), (0, 4, 50), (50, 0, 50)):
        most = beta.ppf(0.9875, b + 1, n - b) if b < n else 1.0
        least = beta.ppf(0.0125, c, n - c + 1) if c else 0.0
        assert exact_upper(b, c, n) == pytest.approx(most - least)


def test_the_upper_end_misses_as_rarely_as_it_promises() -> None:
    """Summed over all counts: no draws."""
    for n, loss, discordance in ((60, 0.02, 1.0), (60, 0.05, 3.0), (200, 0.01, 4.0)):
        lost, gained = loss * (discordance + 1) / 2, loss * (discordance - 1) / 2
        total = exact = 0.0
        for k in np.flatnonzero(binom.pmf(np.arange(n + 1), n, lost + gained) > 1e-9):
            b = np.arange(k + 1)
            weight = binom.pmf(k, n, lost + gained) * binom.pmf(b, k, lost / (lost + gained))
            total += float(weight @ (score_upper(b, k - b, n) <= loss))
            exact += float(weight @ (exact_upper(b, k - b, n) <= loss))
        assert total <= 0.027
        assert exact <= 0.025


@pytest.mark.sweep
def test_calibration_misses_as_rarely_as_it_promises_search_included() -> None:
    with scripts("benchmarks", "loss_intervals") as modules:
        cases = list(modules.loss_intervals.searches(600, seed=3))
    upwards = [case.missed for case in cases if case.how.startswith("upwards")]
    downwards = [case.missed for case in cases if case.how.startswith("downwards; flat")]
    # 600 draws of 2.5 %: three standard deviations are 1.9 %
    assert max(upwards) <= 0.027 + 0.019
    assert np.mean(upwards) <= 0.027
    assert max(downwards) > 0.1  # what searching for the largest limit that passes would do


@pytest.mark.parametrize("graded", [False, True])
def test_a_paired_loss_is_near_the_bootstrap_of_differences(graded: bool) -> None:
    rng = np.random.default_rng(0)
    before: Any = rng.random(2000) < 0.9
    after: Any = np.where(rng.random(2000) < 0.06, ~before, before)
    if graded:
        before, after = 0.5 * before + 0.25, 0.5 * after + 0.3 * rng.random(2000)
    loss = paired_loss(before, after, seed=1)
    difference = before.astype(float) - after
    resampled = difference[rng.integers(0, 2000, (4000, 2000))].mean(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    assert loss.value == pytest.approx(difference.mean())
    assert loss.low == pytest.approx(low, abs=0.001)
    assert loss.high == pytest.approx(high, abs=0.001)
    assert loss.low < loss.value < loss.high
    assert paired_loss(before, after, seed=1) == loss
    sure = paired_loss(before, after, guarantee=True)
    assert sure.low < loss.low < loss.high < sure.high


def test_few_graded_changes_count_as_whole_examples() -> None:
    before, after = np.ones(500), np.ones(500)
    after[: LEAST_CHANGED - 1] = 0.9
    few = paired_loss(before, after)
    assert few.high == score_upper(LEAST_CHANGED - 1, 0, 500)
    after[: LEAST_CHANGED + 100] = 0.9
    assert paired_loss(before, after).high < few.high
    one = paired_loss(np.array([0.5]), np.array([0.4]), guarantee=True)
    assert one.low <= -1.0 < 1.0 <= one.high


@pytest.mark.parametrize(
    "call",
    [
        lambda: paired_loss(np.ones(2), np.ones(3)),
        lambda: paired_loss(np.ones((2, 2)), np.ones((2, 2))),
        lambda: paired_loss(np.ones(0), np.ones(0)),
        lambda: paired_loss(np.array([1.0, np.nan]), np.ones(2)),
    ],
)
def test_bad_input_gives_one_line(call: Any) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_ends_hold_the_value() -> None:
    assert isinstance(paired_loss(*scores(3, 1, 50)), Estimate)
    for lost, gained in ((0, 0), (5, 0), (0, 5), (50, 0), (0, 50), (25, 25)):
        for guarantee in (False, True):
            loss = paired_loss(*scores(lost, gained, 50), guarantee=guarantee)
            assert -1.0 <= loss.low <= loss.value == (lost - gained) / 50 <= loss.high <= 1.0


def test_the_p_value_is_that_of_the_interval() -> None:
    """Below 2.5 % exactly where the interval's lower end lies above the loss; a half at the loss that was seen."""
    rng = np.random.default_rng(4)
    lost, gained = rng.integers(0, 60, 200), rng.integers(0, 60, 200)
    lower = -score_upper(gained, lost, 1000)
    for loss in (0.002, 0.01, 0.03):
        clear = np.abs(lower - loss) > 1e-9
        assert np.array_equal((p_value(lost, gained, 1000, loss) < 0.025)[clear], (lower > loss)[clear])
    some = lost > gained
    seen = p_value(lost[some], gained[some], 1000, (lost - gained)[some] / 1000)
    assert seen == pytest.approx(np.full(some.sum(), 0.5))
    assert p_value(0, 0, 1000, 0.0) == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]).tolist() == [True, False, False]  # 0.05 / 3, then 0.05 / 2
    assert holm([0.04, 0.01, 0.02]).tolist() == [True, True, True]
    assert holm([0.02, 0.02, 0.001]).tolist() == [True, True, True]
    assert holm([0.017, 0.017, 0.018]).tolist() == [False] * 3
    assert holm([]).tolist() == []
